"""The tables of noise control: what is silenced, and which alerts are held; and the reads that more than one file needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

from handlers.noise import matchers
from handlers.noise.weigh import Kind, Quiet


class SilenceRow(SQLModel, table=True):
    """One maintenance window, silence or drill's silence. Times are UNIX seconds, ``length`` seconds.

    ``open_key`` is unique while it is on and NULL afterwards. ``services`` and ``matchers`` are JSON lists.
    ``key`` and ``incident``: the incident whose thread silenced it; ``rank``: the worst severity it holds.
    ``source``: ``person``, or ``captain.yml``. ``term`` counts the ends it has been given.
    ``outside``: the id of its silence in Alertmanager.
    """

    __tablename__ = "silences"

    id: int | None = Field(default=None, primary_key=True)
    uid: str = Field(unique=True)
    open_key: str | None = Field(default=None, unique=True)
    kind: str
    name: str
    services: str = "[]"
    matchers: str = "[]"
    key: str = ""
    rank: int = 1
    incident: int | None = None
    source: str = "person"
    by_name: str
    by_id: str = ""
    asked_key: str = ""
    reason: str = ""
    made_at: float
    end_at: float
    length: float
    term: int = 1
    ended_at: float | None = Field(default=None, index=True)
    ended_by: str = ""
    outside: str = ""


class HoldRow(SQLModel, table=True):
    """One alert that is or was held. ``alert``: its row in the journal. Times are UNIX seconds.

    ``turn`` counts how often it was weighed. ``over_at`` is NULL while it is held; ``outcome``: what became of it.
    """

    __tablename__ = "holds"

    id: int | None = Field(default=None, primary_key=True)
    alert: int = Field(unique=True)
    kind: str
    silence: int | None = Field(default=None, index=True)
    incident: int | None = None
    key: str
    service: str
    rank: int
    since: float
    until: float | None = None
    turn: int = 1
    over_at: float | None = None
    outcome: str = ""


class FlapRow(SQLModel, table=True):
    """One incident that flaps or did. Times are UNIX seconds. ``over_at`` is NULL while it does."""

    __tablename__ = "flaps"

    incident: int = Field(primary_key=True)
    since: float
    last_at: float
    changes: int
    over_at: float | None = None


def FLAPS() -> sa.Table:  # noqa: N802 - it is the table
    """The table of what flaps, for SQL."""
    return FlapRow.__table__  # type: ignore[attr-defined,no-any-return]


def SILENCES() -> sa.Table:  # noqa: N802 - it is the table
    """The silences' table, for SQL."""
    return SilenceRow.__table__  # type: ignore[attr-defined,no-any-return]


def HOLDS() -> sa.Table:  # noqa: N802 - it is the table
    """The table of what is held, for SQL."""
    return HoldRow.__table__  # type: ignore[attr-defined,no-any-return]


def active(c: Connection) -> Sequence[Any]:
    """The silences that are on, oldest first: few, by their unique index."""
    t = SILENCES()
    return c.execute(sa.select(t).where(t.c.open_key.is_not(None)).order_by(t.c.id)).all()


def by_id(c: Connection, number: int) -> Any:
    """The silence's row, or None."""
    return c.execute(sa.select(SILENCES()).where(SILENCES().c.id == number)).first()


def by_uid(c: Connection, uid: str) -> Any:
    """The silence's row, or None."""
    return c.execute(sa.select(SILENCES()).where(SILENCES().c.uid == uid)).first()


def locked(c: Connection, number: int) -> Any:
    """The silence's row, which nobody else changes until this transaction ends; or None."""
    return c.execute(sa.select(SILENCES()).where(SILENCES().c.id == number).with_for_update()).first()


def of_key(c: Connection, open_key: str) -> Any:
    """The silence that is on under a key, or None."""
    t = SILENCES()
    return c.execute(sa.select(t).where(t.c.open_key == open_key)).first()


def latest_of(c: Connection, incident: int) -> Any:
    """The newest silence that an incident's thread has made, or None; by the index of what has ended."""
    t = SILENCES()
    return c.execute(sa.select(t).where(t.c.incident == incident).order_by(t.c.id.desc()).limit(1)).first()


def open_by_key(c: Connection, open_key: str) -> Any:
    """The silence that is on under a key, or None; nobody else changes it until this transaction ends."""
    t = SILENCES()
    return c.execute(sa.select(t).where(t.c.open_key == open_key).with_for_update()).first()


def quiet(row: Any) -> Quiet:
    """A silence's row as it is weighed."""
    return Quiet(
        id=row.id, kind=Kind(row.kind), name=row.name, until=row.end_at, length=row.length, by=row.by_name,
        reason=row.reason, services=tuple(json.loads(row.services)),
        matchers=tuple(matchers.Matcher(*one) for one in json.loads(row.matchers)), key=row.key, rank=row.rank,
    )  # fmt: skip


def plain(found: Iterable[matchers.Matcher]) -> str:
    """``matchers`` of a row."""
    return json.dumps([[one.name, one.op, one.value] for one in found], ensure_ascii=False)


def held(c: Connection, *, silence: int | None = None, limit: int = 10_000) -> Sequence[Any]:
    """The alerts that are held now, by one silence or by anything; the worst first, then the oldest."""
    t = HOLDS()
    asked = sa.select(t).where(t.c.over_at.is_(None))
    if silence is not None:
        asked = asked.where(t.c.silence == silence)
    return c.execute(asked.order_by(t.c.rank, t.c.id).limit(limit)).all()


def behind(c: Connection, incident: int, *, limit: int = 500) -> Sequence[Any]:
    """The alerts that an open incident holds now, by the index of those that are held; the worst first."""
    t = HOLDS()
    mine = t.c.over_at.is_(None) & (t.c.incident == incident) & (t.c.kind == Kind.INHIBITED.value)
    return c.execute(sa.select(t).where(mine).order_by(t.c.rank, t.c.id).limit(limit)).all()


def since(c: Connection, alert: int) -> float | None:
    """Since when (UNIX s) an alert that is weighed anew was held; None of one that never was."""
    found: float | None = c.execute(sa.select(HOLDS().c.since).where(HOLDS().c.alert == alert)).scalar()
    return found


def flap(c: Connection, incident: int) -> Any:
    """How an incident flaps or did; or None."""
    return c.execute(sa.select(FLAPS()).where(FLAPS().c.incident == incident)).first()


def flapping(c: Connection) -> Sequence[Any]:
    """The incidents that flap now, by the index of those."""
    t = FLAPS()
    return c.execute(sa.select(t).where(t.c.over_at.is_(None)).order_by(t.c.incident)).all()


def by_rule(c: Connection) -> Sequence[Any]:
    """What no silence holds: rows of (kind, incident, n)."""
    t = HOLDS()
    mine = t.c.over_at.is_(None) & t.c.silence.is_(None)
    asked = sa.select(t.c.kind, t.c.incident, sa.func.count().label("n")).where(mine)
    return c.execute(asked.group_by(t.c.kind, t.c.incident).order_by(t.c.kind, t.c.incident)).all()


def between(c: Connection, start: float, end: float, *, limit: int = 20) -> Sequence[Any]:
    """The silences that were on between two times (UNIX s), oldest first."""
    t = SILENCES()
    mine = (t.c.made_at < end) & (t.c.ended_at.is_(None) | (t.c.ended_at >= start))
    return c.execute(sa.select(t).where(mine).order_by(t.c.id.desc()).limit(limit)).all()[::-1]


def counts(c: Connection, silences: Sequence[int]) -> Mapping[int, tuple[int, int]]:
    """For each silence: how many alerts it has held, and how many of them it holds now."""
    t = HOLDS()
    now = sa.func.sum(sa.case((t.c.over_at.is_(None), 1), else_=0))
    asked = sa.select(t.c.silence, sa.func.count(), now).where(t.c.silence.in_(silences)).group_by(t.c.silence)
    found = {number: (int(all_), int(still)) for number, all_, still in c.execute(asked).all()}
    return {number: found.get(number, (0, 0)) for number in silences}


def hold(c: Connection, number: int) -> Any:
    """One row of what is held, which nobody else changes until this transaction ends; or None."""
    return c.execute(sa.select(HOLDS()).where(HOLDS().c.id == number).with_for_update()).first()


def of_alert(c: Connection, alert: int) -> Any:
    """What holds or held an alert: its row, which nobody else changes until this transaction ends; or None."""
    t = HOLDS()
    return c.execute(sa.select(t).where(t.c.alert == alert).with_for_update()).first()
