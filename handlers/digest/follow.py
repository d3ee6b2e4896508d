"""Which incidents have a line in the digest, and the owing of it: one post, then edits that gather what changes."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from bot.effects import UNSETTLED, Effect, State, Tx
from handlers import panels
from handlers.buckets import EDITS
from handlers.desk import Desk
from handlers.incidents import table
from handlers.incidents.rules import Severity

URGENCY = 9
"""Of a line: whatever else is asked of Slack goes first."""
LINE_GONE = "the incident's line in the digest is gone: somebody deleted it. Repair posts it anew"
"""Why an edit was given up that repair brings back."""


def wanted(desk: Desk, row: Any) -> bool:
    """Whether an incident that has no line is to get one. Never a test, never what is private or folded into a storm."""
    policy = desk.policy
    asked = bool(policy.digest) and desk.outside.chat is not None and Severity(row.severity) in policy.digest_severities
    return asked and table.is_open(row) and not row.test and not row.private and row.umbrella is None


def shown(desk: Desk, c: Connection, row: Any) -> bool:
    """Whether a reader of the digest sees this incident, now or as soon as Slack takes its line."""
    if row.private:
        return False
    if row.digest_channel:
        return bool(row.digest_ts)
    last = table.newest(c, row.number, "digest")
    return wanted(desk, row) and (last is None or last.state != State.GAVE_UP.value)


def follow(desk: Desk, tx: Tx, number: int) -> None:
    """An incident has changed: owe its line, or one edit of it; changes that come in the meantime ride along.

    A line that somebody deleted is left alone until it is repaired.
    """
    row = table.by_number(tx.c, number)
    if row is None or desk.outside.chat is None:
        return
    if row.digest_ts:
        edit(desk, tx, row)
    elif not row.digest_channel and wanted(desk, row):
        _post(desk, tx, row)


def _post(desk: Desk, tx: Tx, row: Any) -> None:
    """Owe the line, unless it is owed: whatever it says is read when it is posted. After the thread, which it links to."""
    last = table.newest(tx.c, row.number, "digest")
    if last is not None and last.state in (State.WAITING.value, *UNSETTLED):
        return
    if last is not None and last.state == State.GAVE_UP.value:
        # Under its own key: what it may have posted all the same is looked for.
        desk.engine.repair(tx, last.key)
        return
    key, bucket = table.another_key(tx.c, row, "digest"), f"post:{desk.policy.digest}"
    args = {"channel": desk.policy.digest}
    after = f"{row.uid}:root"
    tx.owe(Effect(key, "digest", "slack", row.number, args, urgency=URGENCY, after=after, bucket=bucket))


def edit(desk: Desk, tx: Tx, row: Any) -> None:
    """Owe one edit of a line that is there."""
    t = table.INCIDENTS()
    if not panels.mark(tx.c, t, t.c.number == row.number, name="digest"):
        return
    count = table.by_number(tx.c, row.number).digest
    key, pause = f"{row.uid}:digest-edit:{count}", desk.policy.panel_pause
    tx.owe(Effect(key, "digest-edit", "slack", row.number, urgency=URGENCY, delay=pause, bucket=EDITS))


def forget(tx: Tx, number: int) -> None:
    """Forget a line that somebody deleted: what is owed next posts another."""
    t = table.INCIDENTS()
    gone = (t.c.number == number) & (t.c.digest_ts == "")
    tx.c.execute(t.update().where(gone).values(digest_channel=""))
