"""Shows a run: one message, posted once, edited in place to what is true, with all results in a file when it cannot hold them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bot.effects import EFFECTS, Effect, Outcome, Task, Tx
from bot.errors import GiveUp
from bot.integrations.slack import Declined, Edit, Post
from handlers import panels
from handlers.buckets import EDITS, posts
from handlers.desk import Desk
from handlers.incidents import decide
from handlers.incidents import table as incidents
from handlers.posts import chat_of, post_once, upload_once
from handlers.runs import table, words
from handlers.runs.kinds import Trigger
from handlers.runs.owing import key_of, uid_in
from handlers.runs.table import RUNS
from runbooks import Result

POST, PANEL, FILE = "run-post", "run-panel", "run-file"


def show(desk: Desk, tx: Tx, uid: str, *, begin: bool = True) -> None:
    """Owe what makes a run's message true: the message, or one edit of it; changes that come in the meantime ride along.

    ``begin``: whether a message is to be posted where there is none yet.
    """
    if desk.outside.chat is None:
        return
    row = table.by_uid(tx.c, uid)
    if not row.shown_by and begin:
        shown_by = _post(desk, tx, row)
        tx.c.execute(RUNS().update().where(RUNS().c.uid == uid).values(shown_by=shown_by))
    elif row.shown_by and panels.mark(tx.c, RUNS(), RUNS().c.uid == uid):
        # Behind the panels of incidents, which somebody who was woken looks at first.
        key, pause = key_of(uid, f"panel:{row.panel + 1}"), desk.policy.panel_pause
        tx.owe(Effect(key, PANEL, "slack", None, urgency=7, after=row.shown_by, delay=pause, bucket=EDITS))


def ended(desk: Desk, tx: Tx, uid: str, *, begin: bool = True) -> None:
    """Owe what is shown of a run that has ended. ``begin``: as above."""
    show(desk, tx, uid, begin=begin)
    row = table.by_uid(tx.c, uid)
    if row.shown_by and not words.holds(table.results(tx.c, row.id)):
        key = key_of(uid, f"file:{row.turn}")
        bucket = f"post:{row.channel}" if row.incident is None else posts(desk, row.service)
        tx.owe(Effect(key, FILE, "slack", None, urgency=7, after=row.shown_by, bucket=bucket))


def _post(desk: Desk, tx: Tx, row: Any) -> str:
    """Owe the message; the key of the effect that posts it, or nothing where it is shown nowhere."""
    if row.incident is not None:
        incident = incidents.by_number(tx.c, row.incident)
        name = row.key.removeprefix(f"{incident.uid}:")
        decide.say(
            desk, tx, incident, name, *words.message(row, table.results(tx.c, row.id), desk.runbooks.get(row.runbook))
        )
        return f"{incident.uid}:note:{name}"
    if not row.channel:
        return ""
    key = key_of(row.uid, "post")
    tx.owe(Effect(key, POST, "slack", None, urgency=4, bucket=f"post:{row.channel}"))
    return key


def post(desk: Desk, task: Task) -> Outcome:
    """Post a run's message, as it is true now."""
    row, found = _run(desk, task)
    text, blocks = words.message(row, found, desk.runbooks.get(row.runbook))
    try:
        posted = post_once(desk, task, Post(row.channel, text, blocks, row.thread or None, task.key))
    except Declined as no:
        if not no.lost or row.trigger != Trigger.PERSON.value or not row.asker:
            raise
        # Asked for where the bot is not: who asked hears of it alone.
        posted = post_once(desk, task, Post(row.asker, text, blocks, None, task.key))

    where = {"said_in": posted.channel, "ts": posted.ts}

    def apply(tx: Tx) -> None:
        tx.c.execute(RUNS().update().where(RUNS().c.uid == row.uid).values(**where))

    return Outcome({"channel": posted.channel, "ts": posted.ts}, apply)


def panel(desk: Desk, task: Task) -> Outcome:
    """Edit a run's message to what is true now. Whatever changes after this starts makes an edit of its own."""
    with desk.store.write() as c:
        c.execute(RUNS().update().where(RUNS().c.uid == uid_in(task.key)).values(panel_owed=False))
    row, found = _run(desk, task)
    if task.key != key_of(row.uid, f"panel:{row.panel}"):
        return Outcome(skipped="a newer edit is on its way")
    spot = _spot(desk, row)
    if spot is None:
        return Outcome(skipped="there is no message to edit")
    text, blocks = words.message(row, found, desk.runbooks.get(row.runbook))
    if not chat_of(desk).edit(Edit(*spot, text, blocks)):
        return Outcome(skipped="somebody deleted the message")
    return Outcome()


def file(desk: Desk, task: Task) -> Outcome:
    """Put all results into a file in the thread of the run's message."""
    row, found = _run(desk, task)
    spot = _spot(desk, row)
    if spot is None:
        return Outcome(skipped="there is no message to put it under")
    channel, ts = spot
    name, text = f"checks-{row.runbook}-{row.id}", words.document(row, found)
    thread, title = _thread(desk, row, channel) or ts, f"Checks of {row.runbook}, run #{row.id}"
    upload_once(desk, task, channel, name=name, suffix="txt", content=text.encode(), title=title, thread_ts=thread)
    return Outcome({"channel": channel})


def _spot(desk: Desk, row: Any) -> tuple[str, str] | None:
    """(channel id, ts) of the run's message; None while, or where, there is none."""
    if row.ts:
        return row.said_in, row.ts
    with desk.store.read() as c:
        put = c.execute(sa.select(EFFECTS().c.result).where(EFFECTS().c.key == row.shown_by)).scalar()
    posted = json.loads(put or "{}")
    return (posted["channel"], posted["ts"]) if "ts" in posted else None


def _thread(desk: Desk, row: Any, channel: str) -> str:
    """The head of the thread the message itself stands in; empty outside of one."""
    if row.incident is None:
        return str(row.thread)
    with desk.store.read() as c:
        incident = incidents.by_number(c, row.incident)
    return str(incident.thread_ts) if incident is not None and incident.channel == channel else ""


def _run(desk: Desk, task: Task) -> tuple[Any, Sequence[Result]]:
    with desk.store.read() as c:
        row = table.by_uid(c, uid_in(task.key))
        found = table.results(c, row.id) if row is not None else []
    if row is None:
        raise GiveUp("the run is no longer in the database")
    return row, found
