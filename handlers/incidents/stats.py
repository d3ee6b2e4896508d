"""How long incidents take: to a person's acknowledgement and to their end, reckoned from events that are never changed."""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from handlers.incidents.table import INCIDENTS, TIMELINE

MACHINES = ("Alertmanager", "Grafana", "A webhook", "Release Captain")
"""Who acts without being a person."""
KINDS = ("opened", "paged", "acknowledged", "resolved", "reopened")
"""The timeline events that are reckoned with."""
MOST = 10_000
"""Incidents that are looked at, the newest; so long a history of one period is said to be cut."""
AT_ONCE = 500
"""Incidents whose events are read at a time."""


@dataclass(frozen=True)
class Life:
    """What is reckoned of one incident. Times are UNIX s; None for what did not happen.

    ``paged_at``: PagerDuty took the first page. ``acked_at``: the first person acknowledged. ``resolved_at``: the last
    time it was resolved; None while it is open, reopened or not.
    """

    number: int
    service: str
    severity: str
    test: bool
    opened_at: float
    paged_at: float | None = None
    acked_at: float | None = None
    resolved_at: float | None = None
    folded: bool = False
    """Its page was a storm's, which is counted: it was no call of its own, and nobody had to take it."""

    @property
    def to_ack(self) -> float | None:
        """Seconds from the page to a person; None where one of them is missing, or the person was there before the page."""
        if self.paged_at is None or self.acked_at is None or self.acked_at < self.paged_at:
            return None
        return self.acked_at - self.paged_at

    @property
    def to_resolve(self) -> float | None:
        """Seconds from the opening to the end; None while it is open, or where a clock that was set back makes it less."""
        if self.resolved_at is None or self.resolved_at < self.opened_at:
            return None
        return self.resolved_at - self.opened_at


@dataclass(frozen=True)
class Spread:
    """Of ``count`` durations the mean, the median and the ninth decile in seconds; None where there is nothing to reckon."""

    count: int
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None


@dataclass(frozen=True)
class Group:
    """What a set of incidents took. The counts beside ``ack`` and ``resolve`` are the incidents that are in neither.

    ``incidents`` = ack.count + unpaged + unacked + early = resolve.count + unresolved.
    """

    name: str
    incidents: int
    ack: Spread
    resolve: Spread
    unpaged: int
    unacked: int
    early: int
    unresolved: int


@dataclass(frozen=True)
class Stats:
    """A period, UNIX s, and what its incidents took. ``cut``: there were more than could be looked at."""

    since: float
    until: float
    service: str
    total: Group
    severities: Sequence[Group]
    services: Sequence[Group]
    weeks: Sequence[Group]
    tests: Group
    folded: Group
    cut: bool


def lives(c: Connection, *, since: float, until: float, service: str = "") -> list[Life]:
    """The incidents opened in a period, oldest first, at most MOST of the newest; by the index of ``opened_at``."""
    t, e = INCIDENTS(), TIMELINE()
    asked = sa.select(t.c.number, t.c.service, t.c.severity, t.c.test, t.c.opened_at, t.c.umbrella)
    asked = asked.where(t.c.opened_at >= since, t.c.opened_at <= until)
    if service:
        asked = asked.where(t.c.service == service)
    rows = c.execute(asked.order_by(t.c.opened_at.desc(), t.c.number.desc()).limit(MOST)).all()[::-1]
    events: dict[int, list[Any]] = {}
    for start in range(0, len(rows), AT_ONCE):
        some = [row.number for row in rows[start : start + AT_ONCE]]
        told = sa.select(e.c.incident, e.c.at, e.c.kind, e.c.actor).where(e.c.incident.in_(some), e.c.kind.in_(KINDS))
        for event in c.execute(told.order_by(e.c.id)):
            events.setdefault(event.incident, []).append(event)
    return [life(row, events.get(row.number, [])) for row in rows]


def life(row: Any, events: Iterable[Any]) -> Life:
    """Fold an incident's events, in the order in which they were written, into its times."""
    opened, paged, acked, over = None, None, None, None
    for event in events:
        if event.kind == "opened" and opened is None:
            opened = event.at
        elif event.kind == "paged" and paged is None:
            paged = event.at
        elif event.kind == "acknowledged" and acked is None and event.actor not in MACHINES:
            acked = event.at
        elif event.kind == "resolved":
            over = event.at
        elif event.kind == "reopened":
            over = None
    began = row.opened_at if opened is None else opened
    folded = row.umbrella is not None
    return Life(row.number, row.service, row.severity, bool(row.test), began, paged, acked, over, folded)


def spread(seconds: Sequence[float]) -> Spread:
    """The mean, median and ninth decile of durations, between neighbours in proportion."""
    if not seconds:
        return Spread(0)
    tenth = statistics.quantiles(seconds, n=10, method="inclusive")[8] if len(seconds) > 1 else seconds[0]
    return Spread(len(seconds), statistics.fmean(seconds), statistics.median(seconds), tenth)


def group(name: str, some: Sequence[Life]) -> Group:
    """What a set of incidents took, and how many of them cannot say."""
    paged = [one for one in some if one.paged_at is not None]
    acked = [one for one in paged if one.acked_at is not None]
    to_ack = [one.to_ack for one in acked if one.to_ack is not None]
    to_resolve = [one.to_resolve for one in some if one.to_resolve is not None]
    return Group(
        name,
        len(some),
        spread(to_ack),
        spread(to_resolve),
        unpaged=len(some) - len(paged),
        unacked=len(paged) - len(acked),
        early=len(acked) - len(to_ack),
        unresolved=len(some) - len(to_resolve),
    )


def week(at: float) -> str:
    """The Monday of a moment's week in UTC, such as 2026-11-23."""
    day = dt.datetime.fromtimestamp(at, dt.UTC).date()
    return (day - dt.timedelta(days=day.weekday())).isoformat()


def report(found: Sequence[Life], *, since: float, until: float, service: str = "") -> Stats:
    """What the incidents of a period took: together, by severity, by service and by week; tests and what was folded for themselves."""
    real = [one for one in found if not one.test and not one.folded]
    return Stats(
        since,
        until,
        service,
        group("all", real),
        _by(real, lambda one: one.severity),
        _by(real, lambda one: one.service),
        _by(real, lambda one: week(one.opened_at)),
        group("tests", [one for one in found if one.test]),
        group("folded", [one for one in found if one.folded and not one.test]),
        cut=len(found) >= MOST,
    )


def _by(some: Sequence[Life], name: Callable[[Life], str]) -> list[Group]:
    return [group(key, list(members)) for key, members in groupby(sorted(some, key=name), name)]


def drawn(stats: Stats) -> list[Mapping[str, Any]]:
    """What the chart shows, a column for each week of the period: its Monday, and p50 and p90 of both in seconds."""
    known = {one.name: one for one in stats.weeks}
    if not known:
        return []
    day, last = dt.date.fromisoformat(min(known)), dt.date.fromisoformat(max(*known, week(stats.until)))
    columns: list[Mapping[str, Any]] = []
    while day <= last:
        one = known.get(day.isoformat())
        ack, resolve = (one.ack, one.resolve) if one else (Spread(0), Spread(0))
        columns.append({"week": day.isoformat(), "ack": [ack.p50, ack.p90], "resolve": [resolve.p50, resolve.p90]})
        day += dt.timedelta(days=7)
    return columns
