"""What the last look at each SLO saw, one row each: the memory between two looks, and what `slo` answers from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

from bot.effects import insert_once
from handlers.slo.judge import State

ALL = "*"
"""The row of Prometheus itself, on which all SLOs depend; no SLO can have this name."""


class SloState(SQLModel, table=True):
    """An SLO that we evaluate. ``looked_at``: UNIX s of the last look; ``state``: JSON, see judge.State."""

    __tablename__ = "slo_states"

    name: str = Field(primary_key=True)
    looked_at: float
    state: str


def STATES() -> sa.Table:  # noqa: N802 - it is the table
    """The table, for SQL."""
    return SloState.__table__  # type: ignore[attr-defined,no-any-return]


def load(c: Connection) -> Mapping[str, tuple[float, State]]:
    """Every row: name → (UNIX s of its last look, what it saw)."""
    return {row.name: _read(row) for row in c.execute(sa.select(STATES()).order_by(STATES().c.name)).all()}


def hold(c: Connection, name: str) -> tuple[float, State]:
    """A row, made where it is new, which nobody else changes until this transaction ends."""
    t = STATES()
    insert_once(c, t, {"name": name, "looked_at": 0.0, "state": State().text()})
    return _read(c.execute(sa.select(t).where(t.c.name == name).with_for_update()).one())


def write(c: Connection, name: str, state: State, *, now: float) -> None:
    """Change a row that is held."""
    t = STATES()
    c.execute(t.update().where(t.c.name == name).values(looked_at=now, state=state.text()))


def forget(c: Connection, name: str) -> None:
    """Delete a row."""
    c.execute(STATES().delete().where(STATES().c.name == name))


def others(c: Connection, names: Collection[str]) -> list[str]:
    """The names of the rows that are of none of these."""
    t = STATES()
    return list(c.execute(sa.select(t.c.name).where(t.c.name.not_in(sorted({ALL, *names})))).scalars())


def _read(row: Any) -> tuple[float, State]:
    return float(row.looked_at), State.of(row.state)
