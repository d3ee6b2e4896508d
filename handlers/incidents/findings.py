"""What was found to differ outside: looked at until it is certain, asked about once, answered or gone."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

from bot.effects import Effect, Tx, insert_once
from handlers.buckets import EDITS, posts
from handlers.desk import Desk
from handlers.incidents import table, words
from handlers.incidents.compare import Compared, Kind

KEPT = "keep"
"""The answer after which nothing is asked again for as long as it lasts."""
LINK = re.compile(r"<[^|>]*\|([^>]*)>")
BUTTONS: Mapping[Kind, Sequence[tuple[str, str]]] = {
    Kind.ALERT_GONE: (("incident resolve", "Resolve"), ("incident keep", "Keep open")),
    Kind.PAGE_RESOLVED: (
        ("incident resolve", "Resolve"),
        ("incident page", "Page again"),
        ("incident keep", "Keep open"),
    ),
    Kind.PAGE_LOST: (("incident page", "Page again"), ("incident keep", "Leave it")),
    Kind.TICKET_DONE: (
        ("incident resolve", "Resolve"),
        ("incident ticket --reopen", "Reopen the ticket"),
        ("incident keep", "Keep open"),
    ),
    Kind.TICKET_GONE: (("incident ticket", "New ticket"), ("incident keep", "Leave it")),
}
"""(command, label) of each answer."""


class Finding(SQLModel, table=True):
    """Something that differs outside. ``seen_at``: UNIX s of the last look that counted, of ``looks`` that agreed.

    Unsettled while it lasts: ``settled_at`` is set when it is no longer so, or when somebody did something about it.
    """

    __tablename__ = "findings"

    key: str = Field(primary_key=True)
    incident: int = Field(index=True)
    kind: str
    text: str
    seen_at: float
    looks: int
    asked_at: float | None = None
    settled_at: float | None = None
    answer: str = ""


def FINDINGS() -> sa.Table:  # noqa: N802 - it is the table
    """The findings' table, for SQL."""
    return Finding.__table__  # type: ignore[attr-defined,no-any-return]


def unsettled(c: Connection, incidents: Sequence[int]) -> Sequence[Any]:
    """What lasts, of these incidents."""
    t = FINDINGS()
    return c.execute(sa.select(t).where(t.c.incident.in_(incidents), t.c.settled_at.is_(None))).all()


def questions(c: Connection, number: int) -> list[Any]:
    """What was asked about an incident and has no answer yet, oldest first."""
    asked = [row for row in unsettled(c, [number]) if row.asked_at is not None and not row.answer]
    return sorted(asked, key=lambda row: float(row.asked_at))


def gone(c: Connection, number: int) -> bool:
    """True when somebody was asked whether it is over because Alertmanager no longer knows its alerts, and it lasts."""
    asked = (row for row in unsettled(c, [number]) if row.kind == Kind.ALERT_GONE.value)
    return any(row.asked_at is not None for row in asked)


def look(
    desk: Desk, tx: Tx, row: Any, found: Compared, *, needed: Mapping[Kind, int], apart: float
) -> tuple[list[Kind], bool]:
    """Count one look at an incident, whose row is locked; (what was asked because of it, True when anything is to be shown).

    ``needed``: looks that must agree. ``apart``: seconds between two that count.
    """
    lasting = {Kind(one.kind): one for one in unsettled(tx.c, [row.number])}
    asked, changed = [], False
    for kind in sorted(found.looked):
        have, text = lasting.get(kind), found.seen.get(kind)
        if text is None:
            if have is not None:
                _vanished(tx, row, have)
                changed = changed or have.asked_at is not None
        elif _counts(tx, row, kind, have, text, apart) >= needed[kind]:
            _ask(desk, tx, row, kind, text)
            asked.append(kind)
    return asked, changed or bool(asked)


def _counts(tx: Tx, row: Any, kind: Kind, have: Any, text: str, apart: float) -> int:
    """How many looks agree by now; 0 when it was asked already, or when the last look is too fresh to count this one."""
    t = FINDINGS()
    if have is None:
        n = tx.c.execute(
            sa.select(sa.func.count()).select_from(t).where(t.c.incident == row.number, t.c.kind == kind.value)
        ).scalar_one()
        key = f"{row.uid}:{kind.value}:{n + 1}"
        first = {"key": key, "incident": row.number, "kind": kind.value, "text": text, "seen_at": tx.now, "looks": 1}
        return 1 if insert_once(tx.c, t, first | {"answer": ""}) is not None else 0
    # An hour put back must not be an hour in which no look counts.
    if have.asked_at is not None or abs(tx.now - have.seen_at) < apart:
        return 0
    tx.c.execute(t.update().where(t.c.key == have.key).values(looks=have.looks + 1, seen_at=tx.now, text=text))
    return int(have.looks) + 1


def _ask(desk: Desk, tx: Tx, row: Any, kind: Kind, text: str) -> None:
    """Put the question into the thread, once."""
    t = FINDINGS()
    mine = (t.c.incident == row.number) & (t.c.kind == kind.value) & t.c.settled_at.is_(None)
    tx.c.execute(t.update().where(mine).values(asked_at=tx.now))
    key = str(tx.c.execute(sa.select(t.c.key).where(mine)).scalar_one())
    args = {"text": text, "blocks": question(row.number, kind, text)}
    after, bucket = f"{row.uid}:root", posts(desk, row.service)
    tx.owe(Effect(_note(row.uid, key), "note", "slack", row.number, args, urgency=3, after=after, bucket=bucket))
    table.add_event(tx.c, incident=row.number, at=tx.now, kind="asked", actor="Release Captain", text=plain(text))


def question(number: int, kind: Kind, text: str) -> list[dict[str, Any]]:
    """The message that asks, with a button for each answer: its action id is the command, its value the argument."""
    buttons = [words.button(label, line, f"INC-{number}") for line, label in BUTTONS[kind]]
    said = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return [said, {"type": "actions", "block_id": f"ask-{kind.value}", "elements": buttons}]


def answer(tx: Tx, row: Any, kinds: Collection[Kind], said: str, *, keep: bool = False) -> list[str]:
    """Answer what was asked: its message loses its buttons and says ``said``. The kinds that were answered.

    With ``keep`` it is not asked again while it lasts; without, what was done is looked at afresh.
    """
    t = FINDINGS()
    wanted = {kind.value for kind in kinds}
    answered = []
    for one in unsettled(tx.c, [row.number]):
        if one.kind not in wanted:
            continue
        values: dict[str, Any] = {"answer": KEPT if keep else said} if one.asked_at is not None else {}
        if not keep:
            values["settled_at"] = tx.now
        elif one.asked_at is None or one.answer:
            continue
        tx.c.execute(t.update().where(t.c.key == one.key).values(**values))
        if one.asked_at is not None and not one.answer:
            _close(tx, row, one, said)
            answered.append(str(one.kind))
    return answered


def _vanished(tx: Tx, row: Any, one: Any) -> None:
    t = FINDINGS()
    if one.asked_at is None:
        tx.c.execute(t.delete().where(t.c.key == one.key))
        return
    tx.c.execute(t.update().where(t.c.key == one.key).values(settled_at=tx.now))
    if not one.answer:
        _close(tx, row, one, "It is no longer so.")


def _close(tx: Tx, row: Any, one: Any, said: str) -> None:
    """Take the buttons from a question's message: whoever reads it later must not press what no longer fits."""
    note = _note(row.uid, one.key)
    args = {"note": note, "text": f"{one.text}\n_{said}_"}
    key = f"{row.uid}:asked:{one.key.removeprefix(f'{row.uid}:')}"
    tx.owe(Effect(key, "asked", "slack", row.number, args, urgency=5, after=note, bucket=EDITS))


def _note(uid: str, key: str) -> str:
    return f"{uid}:note:ask:{key.removeprefix(f'{uid}:')}"


def plain(text: str) -> str:
    """The question for the timeline, which is no mrkdwn."""
    return html.unescape(LINK.sub(r"\1", text).replace("*", ""))[:500]
