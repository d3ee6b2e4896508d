"""Makes an incident's channel and fills it; where the channel is gone the thread goes on, and both say so."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from bot.effects import EFFECTS, Effect, Outcome, Performer, Settled, State, Task, Tx
from bot.errors import GiveUp, Retry
from bot.integrations.slack import Declined, Edit, Post
from bot.integrations.slack.words import escape
from handlers.buckets import posts
from handlers.desk import Desk
from handlers.incidents import decide, findings, private, table, words
from handlers.incidents.phone import PREFIX
from handlers.incidents.table import INCIDENTS
from handlers.noise import panel as noise
from handlers.oncall.commands import answered
from handlers.posts import SHARE_LAG, chat_of, post_once
from handlers.rooms import owing, rules
from handlers.storms import shown as storm


def performers(desk: Desk) -> list[Performer]:
    """Every kind of effect that a channel owes."""
    return [
        Performer(owing.ROOM, lambda task: make(desk, task)),
        Performer(owing.PANEL, lambda task: _in_room(desk, task, panel)),
        Performer(owing.PIN, lambda task: _in_room(desk, task, pin)),
        Performer(owing.TOPIC, lambda task: _in_room(desk, task, describe)),
        Performer(owing.LINKS, lambda task: _in_room(desk, task, bookmark)),
        Performer(owing.INVITE, lambda task: _in_room(desk, task, invite)),
        Performer(owing.ONCALL, lambda task: on_call(desk, task)),
    ]


def make(desk: Desk, task: Task) -> Outcome:
    """Make the channel, or take the one that an earlier try has made: same name, made by us, since it was asked for."""
    row = _row(desk, task)
    if row.room:
        return Outcome(skipped="it has its channel")
    if not table.is_open(row) and not task.args.get("asked"):
        return Outcome(skipped="resolved meanwhile")
    found, called = _made(desk, task, row)

    def apply(tx: Tx) -> None:
        t = INCIDENTS()
        tx.c.execute(t.update().where(t.c.number == row.number).values(room=found))
        now = table.by_number(tx.c, row.number)
        said = f"the channel #{called} was made"
        table.add_event(tx.c, incident=row.number, at=tx.now, kind="channel", actor=decide.ITSELF, text=said)
        for waits in table.given_up(table.effects_about(tx.c, row.number)):
            if row.private and waits.kind == "note":
                desk.engine.repair(tx, waits.key)
        owing.fill(desk, tx, now, task.key, by=str(task.args.get("by") or ""))
        _in_thread(
            desk, tx, now, f"{task.key}:said", f"Go on in <#{found}>: what comes of it is written there from now on."
        )

    return Outcome({"room": found, "name": called}, apply)


def _made(desk: Desk, task: Task, row: Any) -> tuple[str, str]:
    """(id, name) of the incident's channel, new or of an earlier try."""
    rooms = chat_of(desk).rooms
    since, mark = min(task.created_at, time.time()), rules.purpose(row.number, row.uid)
    for again in range(rules.MOST_NAMES):
        called = rules.name(row.number, *_called(row), again=again)
        found = rooms.create(called, private=row.private, by=task.acting())
        # A name that is taken may be ours: the answer to an earlier try was lost, or was not written down.
        found = found or rooms.mine(called, private=row.private, since=since, mark=mark)
        if found:
            return found, called
        ago = time.time() - task.tried_at
        if task.tried and again == 0 and 0 <= ago < SHARE_LAG:
            raise Retry("looking again before another name is taken, since Slack lists a channel late", after=SHARE_LAG)
    first = rules.name(row.number, *_called(row))
    raise GiveUp(
        f"#{first} and {rules.MOST_NAMES - 1} names like it are taken. Rename or archive one of them, then repair"
    )


def _called(row: Any) -> tuple[str, ...]:
    return (rules.PRIVATE,) if row.private else (row.service, row.title)


def panel(desk: Desk, task: Task, row: Any) -> Outcome:
    """Post the panel and pin it: it is edited with the root message from then on."""
    text, blocks = words.panel(row, *_truth(desk, row))
    posted = post_once(desk, task, Post(row.room, text, blocks, None, task.key))

    def apply(tx: Tx) -> None:
        args = {"room": row.room, "ts": posted.ts}
        tx.owe(Effect(f"{task.key}:pin", owing.PIN, "slack", row.number, args, urgency=6))
        decide.show(desk, tx, row.number)  # what changed since it was read

    return Outcome({"channel": posted.channel, "ts": posted.ts}, apply)


def pin(desk: Desk, task: Task, row: Any) -> Outcome:
    """Pin the panel, so that it is found however much is said."""
    chat_of(desk).rooms.pin(row.room, str(task.args["ts"]))
    return Outcome()


def describe(desk: Desk, _task: Task, row: Any) -> Outcome:
    """Set topic and purpose; by the purpose the channel is known as this incident's."""
    topic = rules.topic(row.number, row.severity, row.service, row.title)
    chat_of(desk).rooms.describe(row.room, topic=topic, purpose=rules.purpose(row.number, row.uid))
    return Outcome()


def bookmark(desk: Desk, task: Task, row: Any) -> Outcome:
    """Put what helps above the channel."""
    chat = chat_of(desk)
    links = words.links(row)
    if row.ticket_key and row.ticket_url.startswith(("https://", "http://")):
        links.append((f"Ticket {row.ticket_key}", row.ticket_url))
    if task.args.get("page"):
        links.append(("PagerDuty", str(task.args["page"])))
    if row.thread_ts:
        links.append(("Thread", chat.permalink(row.channel, row.thread_ts)))
    chat.rooms.bookmark(row.room, links)
    return Outcome({"links": [title for title, _ in links]})


def invite(desk: Desk, task: Task, row: Any) -> Outcome:
    """Ask each in by themselves: one who cannot come keeps nobody else out, and is named."""
    rooms = chat_of(desk).rooms
    refused = []
    found = [(f"<@{one}>", str(one)) for one in task.args.get("people") or ()]
    for email in task.args.get("emails") or ():
        user = rooms.by_email(str(email))
        if user:
            found.append((f"<@{user}>", user))
        else:
            refused.append(f"{escape(str(email))} (nobody in this workspace has that address)")
    for shown, user in dict.fromkeys(found):
        why = rooms.invite(row.room, user)
        if why:
            refused.append(f"{shown} ({why})")

    def apply(tx: Tx) -> None:
        if refused:
            said = f"I could not invite {', '.join(refused)}. Whoever is here can, with `/invite`, or call them."
            decide.say(desk, tx, row, task.key.removeprefix(f"{row.uid}:"), said)

    return Outcome({"refused": refused}, apply)


def on_call(desk: Desk, task: Task) -> Outcome:
    """Ask PagerDuty who is on call first, and where its incident is, and owe the invitation and the bookmark."""
    row = _row(desk, task)
    pager = desk.outside.pager
    if pager is None or not pager.reads or row.room != task.args["room"]:
        return Outcome(skipped="there is nobody to ask, or no channel")
    (answer,) = answered(desk, pager, [row.service], now=time.time())
    first = answer.levels[0].now if answer.levels else ()
    emails = []
    for turn in first:
        emails += [one.email for one in pager.users(turn.name) if one.id == turn.user_id and one.email]
    page = pager.find(f"{PREFIX}{row.uid}")

    def apply(tx: Tx) -> None:
        now = table.by_number(tx.c, row.number)
        owing.invite(tx, now, (), emails)
        if page is not None and page.html_url:
            owing.link(tx, now, page=page.html_url)

    return Outcome({"people": len(emails)}, apply)


def edit(desk: Desk, row: Any) -> Callable[[Tx], None] | None:
    """Edit the panel in the incident's channel to what is true now; what to write down when the channel is gone."""
    there = panel_ts(desk, row)
    if not there:
        return None
    text, blocks = words.panel(row, *_truth(desk, row))
    try:
        chat_of(desk).edit(Edit(row.room, there, text, blocks))
    except Declined as no:
        if not no.lost:
            raise
        why = no.reason
        return lambda tx: lost(desk, tx, row, why)
    return None


def panel_ts(desk: Desk, row: Any) -> str:
    """The message in the incident's channel that is its panel; empty where there is none."""
    t = EFFECTS()
    mine = (t.c.about == row.number) & (t.c.kind == owing.PANEL) & (t.c.state == State.DONE.value)
    with desk.store.read() as c:
        kept = [json.loads(one) for one in c.execute(sa.select(t.c.result).where(mine)).scalars()]
    return next((str(one["ts"]) for one in kept if row.room and one.get("channel") == row.room), "")


def lost(desk: Desk, tx: Tx, row: Any, why: str) -> None:
    """The channel is archived or gone: the thread goes on, and says how to get another."""
    t = INCIDENTS()
    same = (t.c.number == row.number) & (t.c.room == row.room)
    if not tx.c.execute(t.update().where(same).values(room="")).rowcount:
        return
    said = f"the channel can no longer be used: {why}"
    table.add_event(tx.c, incident=row.number, at=tx.now, kind="channel", actor=decide.ITSELF, text=said)
    now = table.by_number(tx.c, row.number)
    text = (
        f"⚠ <#{row.room}> can no longer be used, so this thread goes on: {escape(why)} "
        f"`incident channel INC-{row.number}` makes another."
    )
    _in_thread(desk, tx, now, f"{row.uid}:lost:{row.room}", text)
    text = (
        f"⚠ The private channel of INC-{row.number} can no longer be used: {escape(why)} Nothing of it is said anywhere else. "
        f"`incident channel INC-{row.number}` makes another."
    )
    _to_declarer(tx, now, f"{row.uid}:lost:{row.room}:said", text)
    decide.show(desk, tx, row.number)


def settled(tx: Tx, done: Settled) -> None:
    """A private channel that cannot be had: whoever declared it is told by direct message, since nothing is said elsewhere."""
    if done.kind != owing.ROOM or done.state is not State.GAVE_UP or done.about is None:
        return
    row = table.by_number(tx.c, done.about)
    text = (
        f"⚠ The private channel of INC-{row.number} could not be made: {escape(done.reason)} Nothing of it is said anywhere "
        f"else. `incident repair INC-{row.number}` tries again; until then `incident show INC-{row.number}` is for you alone."
    )
    _to_declarer(tx, row, f"{done.key}:sorry:{done.attempt}", text)


def _to_declarer(tx: Tx, row: Any, key: str, text: str) -> None:
    """Owe whoever declared a private incident in Slack a direct message: there is no other place to say it."""
    who = table.about(row).get(private.DECLARED_BY, "")
    if row.private and words.USER.fullmatch(who):
        args = {"url": "", "user": who, "text": text, "blocks": [], "in_channel": False}
        tx.owe(Effect(key, "reply", "replies", None, args, urgency=1))


def _in_thread(desk: Desk, tx: Tx, row: Any, key: str, text: str) -> None:
    """Owe a message that belongs into the thread whether or not there is a channel."""
    args, bucket = {"text": text, "blocks": [], "thread": True}, posts(desk, row.service)
    if not row.private:
        tx.owe(Effect(key, "note", "slack", row.number, args, urgency=4, after=f"{row.uid}:root", bucket=bucket))


def _in_room(desk: Desk, task: Task, act: Callable[[Desk, Task, Any], Outcome]) -> Outcome:
    """Do something in the channel it was owed for; a channel that is gone is noticed."""
    row = _row(desk, task)
    if not row.room or ("room" in task.args and task.args["room"] != row.room):
        return Outcome(skipped="there is no such channel any more")
    try:
        return act(desk, task, row)
    except Declined as no:
        if not no.lost:
            raise
        why = no.reason
    return Outcome(skipped="the channel is gone", apply=lambda tx: lost(desk, tx, row, why))


def _truth(desk: Desk, row: Any) -> tuple[Any, Any, Any, Any]:
    with desk.store.read() as c:
        return (
            table.effects_about(c, row.number),
            findings.questions(c, row.number),
            table.roles(c, row.number),
            [*storm.blocks(c, row), *noise.blocks(c, row)],
        )


def _row(desk: Desk, task: Task) -> Any:
    with desk.store.read() as c:
        row = table.by_number(c, task.about or 0)
    if row is None:
        raise GiveUp(f"INC-{task.about} is not in the database")
    if row.service not in desk.services:
        raise GiveUp(f"the service '{row.service}' is no longer in captain.yml; put it back and repair")
    return row
