"""Keeps timelines as the marked messages are: each event owes a look at its message, and what is seen is written down."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import EFFECTS, UNSETTLED, Effect, Outcome, Performer, Settled, State, Task, Tx, insert_once, left
from bot.errors import GiveUp, Retry
from bot.grammar import plain as storable
from bot.integrations.slack import Chat, Ephemeral, Message, Post
from bot.integrations.slack.said import mentioned
from bot.integrations.slack.words import escape
from handlers.buckets import LOOKS
from handlers.desk import Desk
from handlers.incidents.table import INCIDENTS, TIMELINE
from handlers.posts import chat_of, post_once
from handlers.timeline import rules

LOOK, WHISPER, DECLARE = "mark", "whisper", "declare"
PATIENT = 2
"""Failed tries after which somebody who wants an incident opened hears that it is late."""
URGENCY = 8
"""Of a look: nobody waits for it, and there may be thousands; threads and panels go first."""
AT_ONCE = 50
"""Looks at one message that are asked about at a time."""
OPENING = 60.0
"""Seconds for which a marked message waits for an incident whose thread is just being opened."""
LONGEST_NAME = 80
MOST_NAMES = 10
"""People mentioned in one message whose names are looked up; the others keep their ids."""
NAMES_S = 1.0
"""Seconds after which no more names are asked for where a page waits."""


def ask(desk: Desk, channel: str, ts: str, user: str, *, edit: bool, now: float) -> str:
    """Owe a look at a message; the verdict. ``edit``: only if it is in a timeline, or may come into one."""
    with desk.store.read() as c:
        if not _lives_here(c, channel) and not _to_come(c):
            return "no incident is there"
        free, pending, waiting = _looks(c, channel, ts)
        if edit and not pending and not _lines(c, channel, ts):
            return "it is in no timeline"
    if waiting:
        return "it is looked at once more already"  # which begins later than whatever this is about
    args = {"channel": channel, "ts": ts, "user": user}
    with desk.engine.transaction(now) as tx:
        # One after the other: an older look that ends last would undo what a newer one has written.
        tx.owe(Effect(free, LOOK, "slack", None, args, urgency=URGENCY, after=pending, bucket=LOOKS))
    return "it is looked at"


def _lives_here(c: Connection, channel: str) -> bool:
    t = INCIDENTS()
    here = (t.c.room == channel) | ((t.c.channel == channel) & (t.c.thread_ts != ""))
    return c.execute(sa.select(t.c.number).where(here).limit(1)).first() is not None


def _to_come(c: Connection) -> bool:
    """Whether an incident waits for its thread: it may be in Slack, and our word of it be on its way."""
    t, e = INCIDENTS(), EFFECTS()
    root = (e.c.about == t.c.number) & (e.c.kind == "root") & left(e) & e.c.state.in_(UNSETTLED)
    waits = t.c.open_key.is_not(None) & (t.c.thread_ts == "")
    return c.execute(sa.select(t.c.number).join(e, root).where(waits).limit(1)).first() is not None


def place(c: Connection, channel: str, ts: str, thread_ts: str) -> Any:
    """The incident in whose own channel or thread a message is: its row, or None."""
    t = INCIDENTS()
    here = t.c.room == channel
    for head in {thread_ts, ts} - {""}:
        here |= (t.c.channel == channel) & (t.c.thread_ts == head)
    return c.execute(sa.select(t).where(here).order_by(t.c.number.desc()).limit(1)).first()


def _looks(c: Connection, channel: str, ts: str) -> tuple[str, str | None, bool]:
    """(a free key, the look that is under way or to come, whether another waits for that one already)."""
    e = EFFECTS()
    free, pending, waiting = "", None, False
    for start in itertools.count(1, AT_ONCE):
        keys = [f"{LOOK}:{channel}:{ts}:{n}" for n in range(start, start + AT_ONCE)]
        found = {row.key: row.state for row in c.execute(sa.select(e.c.key, e.c.state).where(e.c.key.in_(keys)))}
        for key in keys:
            free = free or (key if key not in found else "")
            pending = key if found.get(key) in UNSETTLED else pending
            waiting = waiting or found.get(key) == State.WAITING.value
        if len(found) < AT_ONCE:
            return free, pending, waiting
    raise AssertionError("there are more looks than numbers")


def _lines(c: Connection, channel: str, ts: str) -> bool:
    return c.execute(sa.select(TIMELINE().c.id).where(_of(channel, ts)).limit(1)).first() is not None


def _known(c: Connection, channel: str, ts: str) -> Any:
    """The incident in whose timeline a message is already, wherever its thread is by now: its row, or None."""
    t = INCIDENTS()
    mine = sa.select(TIMELINE().c.incident).where(_of(channel, ts))
    return c.execute(sa.select(t).where(t.c.number.in_(mine)).limit(1)).first()


def _of(channel: str, ts: str) -> sa.ColumnElement[bool]:
    t = TIMELINE()
    return (t.c.channel == channel) & (t.c.ts == ts)


# ---- what is done ------------------------------------------------------------------------------------------------------


def performers(desk: Desk) -> list[Performer]:
    """What this file knows to do outside."""
    return [
        Performer(LOOK, lambda task: look(desk, task)),
        Performer(WHISPER, lambda task: whisper(desk, task)),
    ]


def look(desk: Desk, task: Task) -> Outcome:
    """Read the message as it is now, and make the timeline agree with it."""
    channel, ts = str(task.args["channel"]), str(task.args["ts"])
    chat = chat_of(desk)
    message = chat.message(channel, ts)
    if message is None:
        return Outcome({"seen": "deleted"}, lambda tx: _deleted(tx, channel, ts))
    if not rules.is_marked(message, desk.policy.mark_emoji):
        return Outcome({"seen": "not marked"}, lambda tx: _removed(tx, channel, ts))
    with desk.store.read() as c:
        row = place(c, channel, "", message.thread_ts) or _known(c, channel, ts)
        early = row is None and bool(message.thread_ts) and _to_come(c)
    if early and 0 <= time.time() - task.created_at < OPENING:
        raise Retry("the thread of an incident is not written down yet", after=1.0)
    if row is None:
        return Outcome({"seen": "of no incident"})
    names = names_in(chat, message)
    text, who = rules.said(message, names), author(message, names)

    def apply(tx: Tx) -> None:
        t = TIMELINE()
        mine = (t.c.incident == row.number) & _of(channel, ts)
        if tx.c.execute(t.update().where(mine).values(text=text, actor=who)).rowcount == 0:
            line = {"incident": row.number, "at": float(ts), "kind": rules.MESSAGE, "actor": who, "text": text}
            insert_once(tx.c, t, line | {"channel": channel, "ts": ts, "noted_at": tx.now})

    return Outcome({"seen": "marked", "incident": row.number}, apply)


def _deleted(tx: Tx, channel: str, ts: str) -> None:
    tx.c.execute(TIMELINE().update().where(_of(channel, ts)).values(text=rules.DELETED))


def _removed(tx: Tx, channel: str, ts: str) -> None:
    tx.c.execute(TIMELINE().delete().where(_of(channel, ts)))


def names_in(chat: Chat, message: Message, *, wait: bool = True) -> dict[str, str]:
    """The names of a message's author and of whom it mentions, by id; who is unknown there is left out.

    ``wait``: raise Retry when Slack does not say now; else the ids must do, also where it is slow.
    """
    people, until = [message.user, *mentioned(message.text)[:MOST_NAMES]], time.monotonic() + NAMES_S
    names = {}
    for one in dict.fromkeys(people):
        if not wait and time.monotonic() > until:
            break
        try:
            names[one] = chat.person(one).name if one else ""
        except GiveUp:
            continue  # a guest of another workspace, or a scope that is missing: their id says it
        except Retry:
            if wait:
                raise
            break
    return {one: name for one, name in names.items() if name}


def author(message: Message, names: dict[str, str]) -> str:
    """Who wrote a message, as it is shown."""
    return storable(message.name or names.get(message.user) or message.user or "somebody")[:LONGEST_NAME]


# ---- what somebody is told ---------------------------------------------------------------------------------------------


def tell(tx: Tx, key: str, *, user: str, channel: str, text: str) -> None:
    """Owe a message to one person alone, where they reacted. ``key``: what it is about; it is said once. ``text``: mrkdwn."""
    if user:
        args = {"user": user, "channel": channel, "text": text}
        tx.owe(Effect(f"{WHISPER}:{key}", WHISPER, "replies", None, args, urgency=1))


def whisper(desk: Desk, task: Task) -> Outcome:
    """Say it in the channel to one person alone, or as a direct message where that cannot be."""
    user, channel, text = str(task.args["user"]), str(task.args["channel"]), str(task.args["text"])
    try:
        chat_of(desk).ephemeral(Ephemeral(channel, user, text))
    except GiveUp:
        post_once(desk, task, Post(user, text, (), None, task.key))
    return Outcome()


def settled(desk: Desk, tx: Tx, done: Settled) -> None:
    """What was given up, or is late, is told to whoever asked for it."""
    late = done.kind == DECLARE and done.state is State.RETRYING and done.attempt >= PATIENT
    if not late and (done.state is not State.GAVE_UP or done.kind not in (LOOK, DECLARE)):
        return
    e = EFFECTS()
    args = json.loads(tx.c.execute(sa.select(e.c.args).where(e.c.key == done.key)).scalar_one())
    what = "I could not put the message you marked into the timeline"
    how = f"`{desk.command} incident note` writes it down; `{desk.command} incident repair --all` tries this again."
    if done.kind == DECLARE:
        what = (
            "I have not opened an incident from that message yet" if late else "I opened no incident from that message"
        )
        how = f"`{desk.command} incident open sev2 SERVICE what is wrong` opens one now."
    reason = escape(done.reason).rstrip(".")
    text = f"{what}: {reason}. {'I keep trying. ' if late else ''}{how}"
    tell(
        tx,
        f"{done.key}:late" if late else done.key,
        user=str(args.get("user") or ""),
        channel=str(args["channel"]),
        text=text,
    )
