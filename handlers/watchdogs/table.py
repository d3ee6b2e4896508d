"""When each watchdog was armed and last heard, by the database's clock, and when somebody last looked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

from bot.effects import insert_once

LOOKER = "*"
"""The row of the look itself: ``seen_at`` is when it was last made."""
ARRIVED = (
    "INSERT INTO heartbeats (name, armed_at, seen_at) VALUES (:name, :now, :now) "
    "ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at"
)


class Heartbeat(SQLModel, table=True):
    """One watchdog. UNIX s: its silence counts from the later of ``armed_at`` and ``seen_at`` (None: it never came)."""

    __tablename__ = "heartbeats"

    name: str = Field(primary_key=True)
    armed_at: float
    seen_at: float | None = None


def HEARTBEATS() -> sa.Table:  # noqa: N802 - it is the table
    """The heartbeats' table, for SQL."""
    return Heartbeat.__table__  # type: ignore[attr-defined,no-any-return]


def arrived(c: Connection, names: Iterable[str], *, now: float) -> None:
    """Write down that watchdogs were heard. In order of name, as ``hold``, so that replicas do not lock each other out."""
    for name in sorted(names):
        c.execute(sa.text(ARRIVED), {"name": name, "now": now})


def hold(c: Connection, names: Iterable[str], *, now: float) -> Mapping[str, Any]:
    """The rows of these names, armed now where they are new, locked until the transaction ends; all others are deleted.

    One that was taken out of captain.yml and is put back is armed anew: its old silence means nothing.
    """
    t = HEARTBEATS()
    wanted = sorted({LOOKER, *names})
    for name in wanted:
        insert_once(c, t, {"name": name, "armed_at": now, "seen_at": None})
    c.execute(t.delete().where(t.c.name.not_in(wanted)))
    rows = c.execute(sa.select(t).order_by(t.c.name).with_for_update()).all()
    return {row.name: row for row in rows}


def write(c: Connection, name: str, **values: float | None) -> None:
    """Change a row that is held."""
    t = HEARTBEATS()
    c.execute(t.update().where(t.c.name == name).values(**values))


def states(c: Connection, names: Iterable[str]) -> Sequence[Any]:
    """The rows of these watchdogs, as far as somebody has looked, in order of name."""
    t = HEARTBEATS()
    return c.execute(sa.select(t).where(t.c.name.in_(list(names))).order_by(t.c.name)).all()


def age(row: Any, now: float) -> float:
    """Seconds since a watchdog was heard, or since it was armed when it never was."""
    since: float = row.armed_at if row.seen_at is None else row.seen_at
    return max(0.0, now - since)
