"""What is folded into a storm and whose page has called whom in it; each read by an index, and none grows with history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

from handlers.alerts import journal
from handlers.incidents import table
from handlers.incidents.rules import Severity
from handlers.incidents.table import INCIDENTS

SOURCE = "storm"
"""The source of an umbrella incident."""
KEY = "storm"
"""Its key: at most one is open. Keys of alerts and watchdogs have slashes, so none is the same."""
WAKING = tuple(one.value for one in Severity if one.pages)


class StormCall(SQLModel, table=True):
    """In a storm the on-call of ``service`` was called by the page of ``incident``: the umbrella, or one of their own."""

    __tablename__ = "storm_calls"

    umbrella: int = Field(primary_key=True)
    service: str = Field(primary_key=True)
    incident: int = Field(index=True)


@dataclass(frozen=True)
class Tally:
    """How many members of a storm are of a service and a severity."""

    service: str
    severity: str
    open: bool
    count: int


def CALLS() -> sa.Table:  # noqa: N802 - it is the table
    """The table of who was called, for SQL."""
    return StormCall.__table__  # type: ignore[attr-defined,no-any-return]


def fresh(c: Connection, *, since: float, most: int) -> int:
    """How many incidents alerts have opened or reopened since then (UNIX s); it counts no further than ``most``."""
    t = INCIDENTS()
    found: set[int] = set()
    for began in (t.c.opened_at, t.c.reopened_at):
        asked = sa.select(t.c.number).where(began > since, t.c.source == "alert").limit(most)
        found |= set(c.execute(asked).scalars())
    return min(most, len(found))


def before(c: Connection, *, since: float, most: int) -> Sequence[Any]:
    """What alerts have opened or reopened since then (UNIX s) and is open with a thread of its own, oldest first."""
    t = INCIDENTS()
    own = (t.c.source == "alert") & t.c.open_key.is_not(None) & t.c.umbrella.is_(None)
    found: dict[int, Any] = {}
    for began in (t.c.opened_at, t.c.reopened_at):
        found |= {row.number: row for row in c.execute(sa.select(t).where(began > since, own).limit(most))}
    return [found[number] for number in sorted(found)]


def latest_at(c: Connection, umbrella: int) -> float:
    """When the newest of what is folded in was opened, UNIX s; 0 when nothing is."""
    t = INCIDENTS()
    newest = sa.select(t.c.opened_at).where(t.c.umbrella == umbrella).order_by(t.c.number.desc()).limit(1)
    return float(c.execute(newest).scalar() or 0.0)


def members(c: Connection, umbrella: int, *, limit: int, open_: bool = True) -> Sequence[Any]:
    """What is folded into a storm, newest first; only what is open, or all."""
    t = INCIDENTS()
    mine = sa.select(t).where(t.c.umbrella == umbrella).order_by(t.c.number.desc()).limit(limit)
    return c.execute(mine.where(t.c.open_key.is_not(None)) if open_ else mine).all()


def tallies(c: Connection, umbrella: int) -> Sequence[Tally]:
    """How many are folded into a storm, by service and severity, open and over."""
    t = INCIDENTS()
    lasts = sa.case((t.c.open_key.is_not(None), 1), else_=0).label("lasts")
    asked = sa.select(t.c.service, t.c.severity, lasts, sa.func.count().label("n")).where(t.c.umbrella == umbrella)
    rows = c.execute(asked.group_by(t.c.service, t.c.severity, lasts)).all()
    return [Tally(row.service, row.severity, bool(row.lasts), int(row.n)) for row in rows]


def still_open(c: Connection, umbrella: int) -> int:
    """How many are folded into a storm and open."""
    t = INCIDENTS()
    mine = (t.c.umbrella == umbrella) & t.c.open_key.is_not(None)
    return int(c.execute(sa.select(sa.func.count()).select_from(t).where(mine)).scalar_one())


def any_open(c: Connection, umbrella: int) -> bool:
    """Whether anything that is folded into a storm is open."""
    t = INCIDENTS()
    mine = (t.c.umbrella == umbrella) & t.c.open_key.is_not(None)
    return c.execute(sa.select(t.c.number).where(mine).limit(1)).first() is not None


def carried(c: Connection, row: Any) -> int:
    """How many open incidents have no page but this one's: of a storm all that is folded in, of others a service's share."""
    if row.source == SOURCE:
        return still_open(c, row.number)
    call = call_of(c, row.number)
    if call is None:
        return 0
    t = INCIDENTS()
    mine = (t.c.umbrella == call.umbrella) & (t.c.service == call.service) & t.c.open_key.is_not(None)
    asked = sa.select(sa.func.count()).select_from(t).where(mine, t.c.severity.in_(WAKING))
    return int(c.execute(asked).scalar_one())


def firing(c: Connection, umbrella: int) -> Sequence[Any]:
    """The alerts that fire of what is folded into a storm and open: rows of (incident, fingerprint, labels, source)."""
    t = INCIDENTS()
    return journal.firing(c, sa.select(t.c.number).where(t.c.umbrella == umbrella, t.c.open_key.is_not(None)))


# ---- who was called ---------------------------------------------------------------------------------------------------


def call_of(c: Connection, number: int) -> Any:
    """The call that the page of an incident of its own was in a storm: rows of (umbrella, service), the newest; or None."""
    t = CALLS()
    mine = sa.select(t).where(t.c.incident == number, t.c.umbrella != number)
    return c.execute(mine.order_by(t.c.umbrella.desc()).limit(1)).first()


def calls(c: Connection, umbrella: int) -> Sequence[Any]:
    """Everybody who was called in a storm, in order of service."""
    t = CALLS()
    return c.execute(sa.select(t).where(t.c.umbrella == umbrella).order_by(t.c.service)).all()


def caller(c: Connection, umbrella: int, service: str) -> int | None:
    """The number of the incident whose page has called a service's on-call in a storm; None when none has."""
    t = CALLS()
    return c.execute(sa.select(t.c.incident).where(t.c.umbrella == umbrella, t.c.service == service)).scalar()


def holds(c: Connection, umbrella: int, service: str) -> int | None:
    """The same, as long as that page is not over: only then is nobody else of the service to be called."""
    number = caller(c, umbrella, service)
    if number is None or number == umbrella:
        return number
    row = table.by_number(c, number)
    theirs = row is not None and row.umbrella is None and row.service == service
    return number if theirs and table.is_open(row) and Severity(row.severity).pages else None


def call(c: Connection, umbrella: int, service: str, number: int) -> None:
    """Write down whose page calls a service's on-call in a storm from now on."""
    t = CALLS()
    c.execute(t.delete().where(t.c.umbrella == umbrella, t.c.service == service))
    c.execute(t.insert(), {"umbrella": umbrella, "service": service, "incident": number})


def forget_calls(c: Connection, umbrella: int) -> None:
    """A storm begins anew: everybody is called anew."""
    c.execute(CALLS().delete().where(CALLS().c.umbrella == umbrella))
