"""Performs what is owed for deploys: the message in the service's channel, kept true, and the beginning of the checks."""

from __future__ import annotations

from typing import Any

from bot.effects import Outcome, Performer, Task, Tx
from bot.errors import GiveUp
from bot.integrations.slack import Edit, Post
from handlers.deploys import after, decide, kinds, table, words
from handlers.deploys.table import DEPLOYS
from handlers.desk import Desk
from handlers.posts import chat_of, post_once


def performers(desk: Desk) -> list[Performer]:
    """Every kind of effect this subject owes."""
    return [
        Performer(decide.ROOT, lambda task: root(desk, task)),
        Performer(decide.PANEL, lambda task: panel(desk, task)),
        Performer(decide.ALARM, lambda task: alarm(desk, task)),
        Performer(decide.AFTER, lambda task: after.begin(desk, task)),
    ]


def root(desk: Desk, task: Task) -> Outcome:
    """Post the message of a deploy."""
    row = _row(desk, task)
    text, blocks = words.panel(row, _runbook(desk, row))
    posted = post_once(desk, task, Post(row.channel, text, blocks, None, task.key))
    where = {"channel": posted.channel, "ts": posted.ts}

    def keep(tx: Tx) -> None:
        table.change(tx.c, row.id, where)

    return Outcome(where, keep)


def panel(desk: Desk, task: Task) -> Outcome:
    """Edit it to what is true now. Whatever changes after this starts makes an edit of its own."""
    t = DEPLOYS()
    with desk.store.write() as c:
        c.execute(t.update().where(t.c.uid == table.uid_in(task.key)).values(panel_owed=False))
    row = _row(desk, task)
    if not row.ts:
        return Outcome(skipped="there is no message to edit")
    if row.panel != table.number_in(task.key):
        return Outcome(skipped="a newer edit is on its way")
    text, blocks = words.panel(row, _runbook(desk, row))
    if not chat_of(desk).edit(Edit(row.channel, row.ts, text, blocks)):
        return Outcome(skipped="somebody deleted the message")
    return Outcome()


def alarm(desk: Desk, task: Task) -> Outcome:
    """Say in the channel that it failed, or that its checks did not pass, unless that is over by now."""
    row = _row(desk, task)
    if not task.tried and not words.bad(row):
        return Outcome(skipped="it is well by now")
    link = chat_of(desk).permalink(row.channel, row.ts) if row.ts else ""
    post_once(desk, task, Post(row.channel, words.alarm(row, link), (), None, task.key))
    return Outcome()


def _runbook(desk: Desk, row: Any) -> str:
    service = desk.services.get(row.service)
    return kinds.after_deploy(desk.deploys, service) if service is not None else ""


def _row(desk: Desk, task: Task) -> Any:
    with desk.store.read() as c:
        row = table.by_uid(c, table.uid_in(task.key))
    if row is None:
        raise GiveUp(f"the deploy of {task.key} is not in the database any more")
    return row
