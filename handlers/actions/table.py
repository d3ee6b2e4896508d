"""The table of actions: one row for each request, and the reads that more than one file needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

from bot.effects import EFFECTS, State
from handlers.actions import rules
from handlers.actions.plan import Plan
from handlers.actions.rules import Status
from handlers.flags.rules import Mark

STANDING = (Status.TURNING_ON.value, Status.ON.value, Status.TURNING_OFF.value)
"""What may be on."""


class ActionRow(SQLModel, table=True):
    """One request. Times are UNIX seconds. ``lock``: what nobody else may change while it is not over, NULL afterwards.

    ``plan`` is JSON of a Plan, ``parameters`` JSON of what was given. ``prior``: JSON once the look has been there: ``found``
    and ``back``, themselves JSON. ``seal`` is the hash of all that, and ``approved`` the seal that was agreed to.
    ``term`` counts the ends it has been given. ``begun_at``: when its command or call was about to go out. ``heard``: that
    what became of it is known. ``quiet``: it belongs to a private incident.
    """

    __tablename__ = "actions"

    id: int | None = Field(default=None, primary_key=True)
    uid: str = Field(unique=True)
    name: str = Field(index=True)
    lock: str | None = Field(default=None, unique=True)
    service: str
    environment: str = ""
    incident: int | None = None
    quiet: bool = False
    status: str
    parameters: str = "{}"
    plan: str
    prior: str = ""
    diff: str = ""
    seal: str = ""
    approval: bool = False
    approve_by: float | None = None
    approved: str = ""
    approved_by: str = ""
    approved_at: float | None = None
    term: int = 0
    asked_by: str
    asker: str = ""
    person: str = ""
    email: str = ""
    asked_at: float
    reason: str = ""
    until: float | None = None
    armed_at: float | None = None
    begun_at: float | None = None
    heard: bool = False
    on_at: float | None = None
    ending_at: float | None = None
    off_at: float | None = Field(default=None, index=True)
    off_by: str = ""
    why: str = ""
    checked: str = ""
    channel: str = ""
    thread: str = ""
    ts: str = ""
    alarm_ts: str = ""
    panel: int = 0
    panel_owed: bool = False


def ACTIONS() -> sa.Table:  # noqa: N802 - it is the table
    """The table, for SQL."""
    return ActionRow.__table__  # type: ignore[attr-defined,no-any-return]


def key_of(uid: str, what: str) -> str:
    """The key of one of its effects: ``action:0f3a…:undo:1``."""
    return f"action:{uid}:{what}"


def uid_in(key: str) -> str:
    """The request that an effect's key is about."""
    return key.split(":")[1]


def term_in(key: str) -> int:
    """Which of its ends an effect's key belongs to; 0 for what comes before."""
    last = key.rsplit(":", 1)[1]
    return int(last) if last.isdigit() else 0


def by_uid(c: Connection, uid: str) -> Any:
    """The row, or None."""
    return c.execute(sa.select(ACTIONS()).where(ACTIONS().c.uid == uid)).first()


def by_id(c: Connection, number: int) -> Any:
    """The row, or None."""
    return c.execute(sa.select(ACTIONS()).where(ACTIONS().c.id == number)).first()


def kept(c: Connection, uid: str) -> Any:
    """The row, kept from other writers until the transaction ends; or None. For who holds one of its effects already."""
    return c.execute(sa.select(ACTIONS()).where(ACTIONS().c.uid == uid).with_for_update()).first()


def lock(c: Connection, uid: str) -> Any:
    """The row and the effects that count, kept from other writers until the transaction ends; or None.

    The effects go first: whoever settles one holds it, and then wants the row.
    """
    t = EFFECTS()
    row = by_uid(c, uid)
    while row is not None:
        keys = effect_keys(row)
        c.execute(sa.select(t.c.key).where(t.c.key.in_(keys)).order_by(t.c.key).with_for_update())
        term, row = row.term, kept(c, uid)
        if row is None or row.term == term:
            break
    return row


def effect_keys(row: Any) -> list[str]:
    """The keys of the effects that count for a request now."""
    before = ("look", "expire", "before")
    return [key_of(row.uid, what) for what in (*before, *(f"{one}:{row.term}" for one in ("do", "undo", "after")))]


def keep(c: Connection, uid: str, **values: Any) -> None:
    """Write into a row."""
    c.execute(ACTIONS().update().where(ACTIONS().c.uid == uid).values(**values))


def not_over(c: Connection, name: str = "") -> Sequence[Any]:
    """The requests that are not over, of one action or of all, oldest first."""
    t = ACTIONS()
    wanted = t.c.lock.is_not(None)
    return c.execute(sa.select(t).where(wanted & (t.c.name == name) if name else wanted).order_by(t.c.id)).all()


def holds(c: Connection, what: str) -> Any:
    """The request that has locked this, or None."""
    return c.execute(sa.select(ACTIONS()).where(ACTIONS().c.lock == what)).first()


def latest(c: Connection, name: str, limit: int = 1) -> Sequence[Any]:
    """The newest requests of an action, newest first."""
    t = ACTIONS()
    return c.execute(sa.select(t).where(t.c.name == name).order_by(t.c.id.desc()).limit(limit)).all()


def ended_since(c: Connection, since: float) -> Sequence[Any]:
    """The requests that were over at or after ``since``, UNIX s."""
    t = ACTIONS()
    return c.execute(sa.select(t).where(t.c.off_at >= since)).all()


def trouble(c: Connection, row: Any) -> str:
    """What an effect that is tried again now says of its last try; empty when all goes well."""
    t = EFFECTS()
    keys = [key for key in effect_keys(row) if ":after:" not in key]
    retried = t.c.key.in_(keys) & (t.c.state == State.RETRYING.value)
    found = c.execute(sa.select(t.c.reason).where(retried)).scalars().all()
    return str(found[-1]) if found else ""


def due(row: Any) -> float | None:
    """UNIX s at which it should have been undone: its end, or the moment somebody wanted that; None: nobody has."""
    at = row.ending_at if row.ending_at is not None else row.until
    return None if at is None else float(at)


def plan_of(row: Any) -> Plan:
    """What a request does, as it was when it was asked for."""
    return Plan.read(row.plan)


def seal_of(row: Any, plan: Plan | None = None) -> str:
    """The hash of what a row asks for; with ``plan``, of what it would ask for by that plan."""
    text = row.plan if plan is None else plan.text()
    return rules.seal(row.name, json.loads(row.parameters), text, row.prior, row.diff)


def mark_of(row: Any) -> Mark:
    """The mark that a request puts on its object; ``until`` of one that lasts is far away."""
    return Mark(row.uid, row.until if row.until is not None else FAR, json.loads(row.prior)["back"], row.asked_by)


def found_of(row: Any) -> str:
    """JSON of the fields as the look has found them; empty before that."""
    return str(json.loads(row.prior)["found"]) if row.prior else ""


FAR = 253_402_300_799.0
"""The last second of the year 9999."""
