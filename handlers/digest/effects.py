"""Posts and edits the digest's lines: found again after a kill, never in the way of a page or a thread."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import EFFECTS, Outcome, Performer, State, Task, Tx
from bot.errors import GiveUp, Retry
from bot.integrations.slack import Edit, Post, Posted
from handlers.desk import Desk
from handlers.digest import follow
from handlers.digest.line import line
from handlers.incidents import table
from handlers.incidents.words import Blocks
from handlers.posts import CLOCK_SLACK, chat_of, post_once


def performers(desk: Desk) -> list[Performer]:
    """What this subject owes to the outside."""
    return [
        Performer("digest", lambda task: post(desk, task)),
        Performer("digest-edit", lambda task: edit(desk, task)),
    ]


def post(desk: Desk, task: Task) -> Outcome:
    """Post an incident's line. What an earlier try may have posted is looked for, whatever became of the incident since."""
    row, lead = _row(desk, task)
    if row.digest_ts:
        return Outcome(skipped="it has its line")
    link, now = _link(desk, row), time.time()
    text, blocks = line(row, now=now, lead=lead, link=link)
    wanted = follow.wanted(desk, row)
    posted = _before(desk, task, wanted=wanted) if task.tried else None
    if posted is None and wanted:
        posted = post_once(desk, task, Post(desk.policy.digest, text, blocks, None, task.key))
    if posted is None:
        return Outcome(skipped="it is over, or no longer for the digest")

    def apply(tx: Tx) -> None:
        t = table.INCIDENTS()
        where = {"digest_channel": posted.channel, "digest_ts": posted.ts}
        tx.c.execute(t.update().where(t.c.number == row.number).values(**where))
        fresh = table.by_number(tx.c, row.number)
        if task.tried or line(fresh, now=now, lead=_lead(tx.c, row.number), link=link)[1] != blocks:
            # It changed while this was on its way, or an earlier try has posted what was true then.
            follow.edit(desk, tx, fresh)

    # What an earlier try has posted may say something else.
    face = "" if task.tried else _face(blocks)
    return Outcome({"face": face, "link": link, "of": row.thread_ts}, apply)


def _before(desk: Desk, task: Task, *, wanted: bool) -> Posted | None:
    """What an earlier try may have posted where nothing is posted now: it was for another channel, or is no longer wanted."""
    channel = str(task.args["channel"])
    if wanted and channel == desk.policy.digest:
        return None  # it is looked for before it is posted
    try:
        return chat_of(desk).find(channel, task.key, since=min(task.created_at, time.time()) - CLOCK_SLACK)
    except GiveUp:
        if wanted:
            return None  # a channel that is gone holds nothing up in the one that took its place
        raise


def edit(desk: Desk, task: Task) -> Outcome:
    """Edit the line to what is true now. Whatever changes after this starts makes an edit of its own."""
    t = table.INCIDENTS()
    with desk.store.write() as c:
        c.execute(t.update().where(t.c.number == task.about).values(digest_owed=False))
    row, lead = _row(desk, task)
    if not row.digest_ts:
        return Outcome(skipped="there is no line to edit")
    if task.key != f"{row.uid}:digest-edit:{row.digest}":
        return Outcome(skipped="a newer edit is on its way")
    link = _link(desk, row)
    text, blocks = line(row, now=time.time(), lead=lead, link=link)
    face = _face(blocks)
    if face == _last(desk, row.number).get("face"):
        return Outcome(skipped="nothing that it says has changed")
    if not chat_of(desk).edit(Edit(row.digest_channel, row.digest_ts, text, blocks)):
        with desk.store.write() as c:
            there = (t.c.number == task.about) & (t.c.digest_ts == row.digest_ts)
            c.execute(t.update().where(there).values(digest_ts=""))
        raise GiveUp(follow.LINE_GONE)
    return Outcome({"face": face, "link": link, "of": row.thread_ts})


def _row(desk: Desk, task: Task) -> tuple[Any, str]:
    """The incident's row, and the name of who leads it."""
    with desk.store.read() as c:
        row = table.by_number(c, task.about or 0)
        if row is None:
            raise GiveUp(f"INC-{task.about} is not in the database")
        return row, _lead(c, row.number)


def _lead(c: Connection, number: int) -> str:
    found = table.role_of(c, number, "lead")
    return str(found.name) if found is not None else ""


def _link(desk: Desk, row: Any) -> str:
    """The address of its thread. Slack is asked once; a line does without rather than wait for it."""
    if not row.thread_ts or row.private:
        return ""
    last = _last(desk, row.number)
    if last.get("of") == row.thread_ts and last.get("link"):
        return str(last["link"])
    try:
        return chat_of(desk).permalink(row.channel, row.thread_ts)
    except (Retry, GiveUp):
        return ""


def _last(desk: Desk, number: int) -> dict[str, Any]:
    """What came of the last post or edit of an incident's line: its face, and the link in it."""
    t = EFFECTS()
    mine = (t.c.about == number) & t.c.kind.in_(("digest", "digest-edit")) & (t.c.state == State.DONE.value)
    newest = sa.select(t.c.result).where(mine).order_by(t.c.done_at.desc(), t.c.created_at.desc()).limit(1)
    with desk.store.read() as c:
        found = c.execute(newest).scalar()
    made: dict[str, Any] = json.loads(found or "{}")
    return made


def _face(blocks: Blocks) -> str:
    """What a line says, as one short word: an edit that would say the same is not made."""
    return hashlib.sha256(json.dumps(blocks).encode()).hexdigest()[:16]
