"""The table of flags: one row for each switching-on, and the reads that more than one file needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

from bot.effects import EFFECTS, State
from handlers.flags.kinds import Spot, Target
from handlers.flags.rules import Mark


class FlagRow(SQLModel, table=True):
    """One switching-on. Times are UNIX seconds. ``on_key`` is the flag's name while it is not over, and NULL afterwards.

    ``target`` is JSON: where it stands and which value is on. ``prior`` is JSON once the look has been there:
    ``found`` and ``back``, the value it had and the one it goes back to, null for a field that is not there.
    ``term`` counts the ends it has been given: the undo that counts is the last one.
    """

    __tablename__ = "flags"

    id: int | None = Field(default=None, primary_key=True)
    uid: str = Field(unique=True)
    name: str = Field(index=True)
    on_key: str | None = Field(default=None, unique=True)
    service: str
    status: str
    target: str
    prior: str = ""
    term: int = 0
    asked_by: str
    asker: str
    asked_at: float
    reason: str = ""
    until: float
    on_at: float | None = None
    ending_at: float | None = None
    off_at: float | None = Field(default=None, index=True)
    off_by: str = ""
    why: str = ""
    channel: str = ""
    ts: str = ""
    alarm_ts: str = ""
    panel: int = 0
    panel_owed: bool = False


def FLAGS() -> sa.Table:  # noqa: N802 - it is the table
    """The table, for SQL."""
    return FlagRow.__table__  # type: ignore[attr-defined,no-any-return]


def key_of(uid: str, what: str) -> str:
    """The key of one of its effects: ``flag:0f3a…:undo:1``."""
    return f"flag:{uid}:{what}"


def uid_in(key: str) -> str:
    """The switching-on that an effect's key is about."""
    return key.split(":")[1]


def term_in(key: str) -> int:
    """Which of its ends an effect's key belongs to; 0 for the look."""
    last = key.rsplit(":", 1)[1]
    return int(last) if last.isdigit() else 0


def by_uid(c: Connection, uid: str) -> Any:
    """The row, or None."""
    return c.execute(sa.select(FLAGS()).where(FLAGS().c.uid == uid)).first()


def kept(c: Connection, uid: str) -> Any:
    """The row, kept from other writers until the transaction ends; or None. For who holds one of its effects already."""
    return c.execute(sa.select(FLAGS()).where(FLAGS().c.uid == uid).with_for_update()).first()


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
    """The keys of the effects that count for a switching-on now."""
    return [key_of(row.uid, "look"), *(key_of(row.uid, f"{what}:{row.term}") for what in ("on", "undo"))]


def not_over(c: Connection, name: str = "") -> Sequence[Any]:
    """The switchings-on that are not over, of one flag or of all, oldest first."""
    t = FLAGS()
    wanted = t.c.on_key == name if name else t.c.on_key.is_not(None)
    return c.execute(sa.select(t).where(wanted).order_by(t.c.id)).all()


def latest(c: Connection, name: str) -> Any:
    """The newest switching-on of a flag, or None."""
    t = FLAGS()
    return c.execute(sa.select(t).where(t.c.name == name).order_by(t.c.id.desc()).limit(1)).first()


def around(c: Connection, service: str, *, since: float) -> Sequence[Any]:
    """The switchings-on of a service that are not over, or were over at or after ``since`` (UNIX s), oldest first."""
    found = {row.id: row for row in (*not_over(c), *ended_since(c, since)) if row.service == service}
    return [found[number] for number in sorted(found)]


def ended_since(c: Connection, since: float) -> Sequence[Any]:
    """The switchings-on that were over at or after ``since``, UNIX s."""
    t = FLAGS()
    return c.execute(sa.select(t).where(t.c.off_at >= since)).all()


def trouble(c: Connection, row: Any) -> str:
    """What an effect that is tried again now says of its last try; empty when all goes well."""
    t = EFFECTS()
    retried = t.c.key.in_(effect_keys(row)) & (t.c.state == State.RETRYING.value)
    found = c.execute(sa.select(t.c.reason).where(retried)).scalars().all()
    return str(found[-1]) if found else ""


def due(row: Any) -> float:
    """UNIX s at which it should have been off: its end, or the moment somebody wanted it off."""
    return float(row.ending_at or row.until)


def spot_of(row: Any) -> Spot:
    """Where a switching-on stands, as it was when it was asked for."""
    told = json.loads(row.target)
    on = told.pop("on")
    return Spot(row.name, Target.model_validate(told), on)


def target_text(spot: Spot) -> str:
    """``target`` of a row."""
    return json.dumps(spot.target.model_dump() | {"on": spot.on}, ensure_ascii=False)


def mark_of(row: Any) -> Mark:
    """The mark that a switching-on puts on its object."""
    return Mark(row.uid, row.until, json.loads(row.prior)["back"], row.asked_by)
