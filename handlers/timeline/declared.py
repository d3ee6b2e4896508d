"""Opens an incident from an emoji on a message: once for each message, and whoever reacted hears what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from bot.effects import Effect, Outcome, Performer, Task
from bot.errors import GiveUp, Refused, Retry
from bot.grammar import Asker
from bot.integrations.slack import Chat, Message
from bot.integrations.slack.words import escape
from handlers.desk import Desk
from handlers.incidents import commands, declare
from handlers.posts import chat_of
from handlers.timeline import marks, rules

KIND = marks.DECLARE
LATE = 900.0
"""Seconds after which nothing is opened any more: Slack was away, and whoever reacted has long done something else."""


def ask(desk: Desk, told: Mapping[str, Any], check: Callable[[Asker], None], *, now: float) -> str:
    """Owe an incident from a message; the verdict. Who may not is told so."""
    channel, ts, user = str(told["channel"]), str(told["ts"]), str(told["user"])
    occurrence = f"{channel}:{ts}:{user}:{told['at']}"  # Slack repeats it when it sends an event again
    try:
        check(_asker(channel, ts, user, user))
    except Refused as e:
        with desk.engine.transaction(now) as tx:
            marks.tell(tx, f"{KIND}:{occurrence}", user=user, channel=channel, text=str(e))
        return str(e)
    with desk.engine.transaction(now) as tx:
        args = {"channel": channel, "ts": ts, "user": user, "emoji": told["emoji"]}
        tx.owe(Effect(f"{KIND}:{occurrence}", KIND, "slack", None, args, urgency=1))
    return "an incident is opened from it"


def performers(desk: Desk) -> list[Performer]:
    """What this file knows to do outside."""
    return [Performer(KIND, lambda task: open_from(desk, task))]


def open_from(desk: Desk, task: Task) -> Outcome:
    """Read the message and open the incident. Opening is keyed by the message: tried or reacted again, it is the same one."""
    channel, user = str(task.args["channel"]), str(task.args["user"])
    said = _opened(desk, task, chat_of(desk))
    return Outcome(apply=lambda tx: marks.tell(tx, task.key, user=user, channel=channel, text=said))


def _opened(desk: Desk, task: Task, chat: Chat) -> str:
    """Open it; what whoever reacted is told."""
    channel, ts, user = (str(task.args[name]) for name in ("channel", "ts", "user"))
    message, do = chat.message(channel, ts), f"`{desk.command} incident open sev2 SERVICE what is wrong`"
    why = _unfit(desk, task, message)
    services = [] if why else _living_in(desk, chat, channel)
    severity = desk.policy.declare_emoji.get(str(task.args["emoji"]))
    if message is None or severity is None or len(services) != 1:
        return f"{why or _which(services)} Nothing was opened. To open one: {do}."
    title = " ".join(rules.said(message, marks.names_in(chat, message, wait=False)).split())[: declare.LONGEST_TITLE]
    name = _name(chat, user)
    asker = _asker(channel, ts, user, name)
    reply = commands.opened(desk, asker, severity, services[0], title, link=_link(chat, channel, ts))
    if reply.data["opened_by"] == name:
        return reply.text  # also when a kill came between the opening and the telling
    return f"{escape(reply.data['opened_by'])} has opened INC-{reply.data['number']} from that message already."


def _unfit(desk: Desk, task: Task, message: Message | None) -> str:
    """Why nothing can be opened from a message; empty when it can."""
    if time.time() - task.created_at > LATE:
        return "Slack let me read that message too late."
    if message is None:
        return "That message was deleted before I could read it."
    if message.ours:
        return "That message is one of mine."
    if str(task.args["emoji"]) not in desk.policy.declare_emoji:
        return "That emoji no longer opens incidents."
    with desk.store.read() as c:
        row = marks.place(c, message.channel, message.ts, message.thread_ts)
    return f"That message belongs to INC-{row.number}." if row is not None else ""


def _asker(channel: str, ts: str, user: str, name: str) -> Asker:
    """Whoever reacted. The key is the message's: one incident for each, however many react."""
    return Asker(user, name, "slack", f"slack:declared:{channel}:{ts}", channel)


def _living_in(desk: Desk, chat: Chat, channel: str) -> list[str]:
    """The services whose channel it is. The channel's name is asked for only where captain.yml has names."""
    wanted = {channel}
    if any(service.channel.startswith("#") for service in desk.services.values()):
        wanted.add(f"#{chat.channel_name(channel)}")
    return sorted(name for name, service in desk.services.items() if service.channel in wanted)


def _which(services: list[str]) -> str:
    if not services:
        return "No service lives in this channel, so I cannot tell which one it is about."
    return (
        f"Several services live in this channel ({escape(', '.join(services[:10]))}), so I cannot tell which one it is."
    )


def _name(chat: Chat, user: str) -> str:
    try:
        return chat.person(user).name or user
    except (Retry, GiveUp):
        return user  # a page does not wait for a name


def _link(chat: Chat, channel: str, ts: str) -> str:
    """The address of the message. A page does not wait for one that Slack does not give."""
    try:
        return chat.permalink(channel, ts)
    except (Retry, GiveUp):
        return ""
