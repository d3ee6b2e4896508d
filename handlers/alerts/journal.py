"""The alert journal: every alert that came in, once, with what was decided about it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel, UniqueConstraint

from bot.store import by
from bot.tally import Count
from handlers.alerts.payload import Alert, Source


class JournalRow(SQLModel, table=True):
    """One alert event. ``received_at``, ``seen_at`` UNIX s; ``starts_at``, ``ends_at`` microseconds since the epoch.

    ``source``: who sent it, see payload.Source. ``repeats``: how often it came again, last at ``seen_at``. ``held``: what kind of rule kept it from waking anybody.
    """

    __tablename__ = "alerts"
    __table_args__ = (UniqueConstraint("fingerprint", "starts_at", "status"),)

    id: int | None = Field(default=None, primary_key=True)
    received_at: float = Field(index=True)
    fingerprint: str
    starts_at: int = Field(sa_type=sa.BigInteger)
    status: str
    ends_at: int | None = Field(default=None, sa_type=sa.BigInteger)
    service: str
    labels: str
    annotations: str
    group_key: str = ""
    verdict: str | None = None
    incident: int | None = Field(default=None, index=True)
    seen_at: float | None = None
    repeats: int = 0
    held: str | None = None
    source: str = Source.ALERTMANAGER.value


@dataclass(frozen=True)
class Entry:
    """An alert that is journaled, on its way to a decision."""

    id: int
    received_at: float
    alert: Alert


REASON = "grafana_state_reason"
"""The annotation by which Grafana says that an alert's state comes of something else than what was measured."""
Identity = tuple[str, int, str]
"""Fingerprint, start (µs since the epoch) and status: what makes two deliveries one alert."""
COLUMNS = (
    "received_at", "fingerprint", "starts_at", "status", "ends_at", "service", "labels", "annotations", "group_key",
    "source",
)  # fmt: skip
INSERT = (
    f"INSERT INTO alerts ({', '.join(COLUMNS)}) VALUES %s "  # noqa: S608 - names are ours, values are bound
    "ON CONFLICT (fingerprint, starts_at, status) DO NOTHING RETURNING id, fingerprint, starts_at, status"
)
ROWS_A_STATEMENT = 80
"""Rows in one INSERT: ten parameters each stay below SQLite's oldest limit of 999."""


def JOURNAL() -> sa.Table:  # noqa: N802 - it is the table
    """The journal's table, for SQL."""
    return JournalRow.__table__  # type: ignore[attr-defined,no-any-return]


def write(c: Connection, deliveries: Sequence[Sequence[Any]]) -> list[list[Entry]]:
    """Journal the alerts of several deliveries at once; for each delivery, the entries that are new.

    Plain SQL on purpose: this is the one place where every alert passes, and an ORM session costs six times as much.
    """
    alerts: dict[tuple[str, int, str], tuple[int, float, Alert]] = {}
    for i, (at, given) in enumerate(deliveries):
        for alert in given:
            alerts.setdefault(alert.identity, (i, at, alert))
    made: list[list[Entry]] = [[] for _ in deliveries]
    todo = list(alerts.values())
    postgres = c.dialect.name == "postgresql"
    mark = "(" + ", ".join(["%s" if postgres else "?"] * len(COLUMNS)) + ")"
    for start in range(0, len(todo), ROWS_A_STATEMENT):
        part = todo[start : start + ROWS_A_STATEMENT]
        values = tuple(v for _, at, alert in part for v in _row(at, alert))
        sql = INSERT % ", ".join([mark] * len(part))
        for row in c.exec_driver_sql(sql, values):
            i, at, alert = alerts[row[1], row[2], row[3]]
            made[i].append(Entry(row[0], at, alert))
    return made


def _row(at: float, alert: Alert) -> tuple[Any, ...]:
    fingerprint, starts_at, status = alert.identity
    labels = json.dumps(alert.labels, ensure_ascii=False)
    annotations = json.dumps(alert.annotations, ensure_ascii=False)
    said = alert.ends_at, alert.service, labels, annotations, alert.group_key, alert.source.value
    return at, fingerprint, starts_at, status, *said


REPEATED = """
    UPDATE alerts SET repeats = repeats + ?, seen_at = max(coalesce(seen_at, 0), ?)
    WHERE fingerprint = ? AND starts_at = ? AND status = ?
"""
REPEATED_POSTGRES = """
    WITH seen AS (
        SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::int[], %s::float8[])
            AS t (fingerprint, starts_at, status, n, at)
    ), free AS (
        SELECT alerts.id, seen.n, seen.at FROM alerts JOIN seen USING (fingerprint, starts_at, status)
        FOR UPDATE OF alerts SKIP LOCKED
    )
    UPDATE alerts SET repeats = repeats + free.n, seen_at = greatest(coalesce(seen_at, 0), free.at)
    FROM free WHERE alerts.id = free.id
    RETURNING alerts.fingerprint, alerts.starts_at, alerts.status
"""
"""A row that is being decided about is left for the next time: a count must never make a decision wait, or end it."""


def repeated(c: Connection, counts: Mapping[Identity, Count]) -> set[Identity]:
    """Write down how often known alerts came again; the identities that could not be counted now."""
    if c.dialect.name == "postgresql":
        rows = [(*identity, count.n, count.last) for identity, count in counts.items()]
        columns = tuple(list(column) for column in zip(*rows, strict=True))
        return set(counts) - {tuple(row) for row in c.exec_driver_sql(REPEATED_POSTGRES, columns)}
    c.exec_driver_sql(REPEATED, [(count.n, count.last, *identity) for identity, count in counts.items()])
    return set()


def undecided(c: Connection, *, before: float, limit: int = 5000) -> list[Entry]:
    """Alerts journaled by ``before`` (UNIX s) that nobody has decided about: a kill came between commit and decision."""
    t = JOURNAL()
    left = t.c.verdict.is_(None) & by(t.c.received_at, before)
    rows = c.execute(sa.select(t).where(left).order_by(t.c.id).limit(limit)).all()
    return [Entry(row.id, row.received_at, alert_of(row)) for row in rows]


def waiting(c: Connection, service: str, *, since: float) -> list[Alert]:
    """Alerts of a service that were journaled ``since`` (UNIX s), fire, have not ended, and that nobody has decided about."""
    t = JOURNAL()
    left = t.c.verdict.is_(None) & (t.c.status == "firing") & (t.c.service == service) & (t.c.received_at >= since)
    return [alert_of(row) for row in c.execute(sa.select(t).where(left, ~_ended(t))).all()]


def alert_of(row: Any) -> Alert:
    """The alert of a journal row."""
    labels, annotations = json.loads(row.labels), json.loads(row.annotations)
    return Alert(
        row.fingerprint,
        row.starts_at,
        row.status == "firing",
        row.ends_at,
        labels,
        annotations,
        row.service,
        row.group_key,
        Source(row.source),
    )


def decided(c: Connection, entry: Entry, *, verdict: str, incident: int | None) -> bool:
    """Write down what was decided about an alert; False when another replica has decided about it already."""
    t = JOURNAL()
    mine = (t.c.id == entry.id) & t.c.verdict.is_(None)
    return c.execute(t.update().where(mine), {"verdict": verdict, "incident": incident}).rowcount == 1


def hold(c: Connection, alert: int, kind: str | None) -> None:
    """Write down what kind of rule holds an alert, by its row; None when none does any more."""
    t = JOURNAL()
    c.execute(t.update().where(t.c.id == alert).values(held=kind))


def decided_again(c: Connection, entry: Entry, *, verdict: str, incident: int | None, held: str | None) -> None:
    """Write down what was decided about an alert that had been held; whoever decides keeps others from it."""
    t = JOURNAL()
    c.execute(t.update().where(t.c.id == entry.id).values(verdict=verdict, incident=incident, held=held))


def entry(c: Connection, alert: int) -> Entry | None:
    """An alert by its row, with when it came; None when it is gone."""
    row = c.execute(sa.select(JOURNAL()).where(JOURNAL().c.id == alert)).first()
    return None if row is None else Entry(row.id, row.received_at, alert_of(row))


def verdict_of(c: Connection, alert: int) -> str:
    """What was decided about an alert, by its row; empty when nothing was."""
    return str(c.execute(sa.select(JOURNAL().c.verdict).where(JOURNAL().c.id == alert)).scalar() or "")


def incident_of(c: Connection, alert: int) -> int | None:
    """The incident an alert belongs to, by its row."""
    found: int | None = c.execute(sa.select(JOURNAL().c.incident).where(JOURNAL().c.id == alert)).scalar()
    return found


def sibling(c: Connection, alert: Alert) -> Any:
    """The other half of an alert: its firing row if it is resolved, its resolved row if it fires; or None."""
    t = JOURNAL()
    other = "resolved" if alert.firing else "firing"
    same = (t.c.fingerprint == alert.fingerprint) & (t.c.starts_at == alert.starts_at) & (t.c.status == other)
    return c.execute(sa.select(t.c.id, t.c.incident, t.c.verdict).where(same)).first()


def incident_firing(c: Connection, fingerprint: str, starts_at: int) -> int | None:
    """The incident that an alert which fires was put into; None when it was put into none, or not yet."""
    t = JOURNAL()
    same = (t.c.fingerprint == fingerprint) & (t.c.starts_at == starts_at) & (t.c.status == "firing")
    found = c.execute(sa.select(t.c.incident).where(same)).scalar()
    return None if found is None else int(found)


def still_firing(c: Connection, incident: int) -> int:
    """How many alerts of an incident fire and have not resolved."""
    t = JOURNAL()
    mine = (t.c.incident == incident) & (t.c.status == "firing") & ~_ended(t)
    return int(c.execute(sa.select(sa.func.count()).select_from(t).where(mine)).scalar_one())


def firing(c: Connection, incidents: Sequence[int] | sa.Select[Any]) -> Sequence[Any]:
    """The alerts of these incidents that fire and have not resolved: rows of (incident, fingerprint, labels, source).

    ``incidents``: their numbers, or what selects them.
    """
    t = JOURNAL()
    mine = t.c.incident.in_(incidents) & (t.c.status == "firing") & ~_ended(t)
    return c.execute(sa.select(t.c.incident, t.c.fingerprint, t.c.labels, t.c.source).where(mine)).all()


def latest(c: Connection, fingerprint: str, *, limit: int) -> Sequence[Any]:
    """The newest rows of one alert, by the unique index, newest first: however long its history is, it costs the same."""
    t = JOURNAL()
    return c.execute(
        sa.select(t).where(t.c.fingerprint == fingerprint).order_by(t.c.starts_at.desc()).limit(limit)
    ).all()


def unsure(c: Connection, incident: int) -> Mapping[str, tuple[int, str]]:
    """The alerts of an incident that last ended without being well again: fingerprint → (start, the sender's reason)."""
    t = JOURNAL()
    ended_ = (t.c.incident == incident) & (t.c.status == "resolved")
    shown = sa.select(t.c.fingerprint, t.c.starts_at, t.c.annotations)
    found: dict[str, tuple[int, str]] = {}
    for row in c.execute(shown.where(ended_, t.c.annotations.contains(f'"{REASON}"')).order_by(t.c.starts_at)).all():
        reason = json.loads(row.annotations).get(REASON, "")
        if reason:
            found[row.fingerprint] = (row.starts_at, reason)
    latest_ = sa.select(t.c.fingerprint, sa.func.max(t.c.starts_at)).group_by(t.c.fingerprint)
    newest = {row[0]: row[1] for row in c.execute(latest_.where(ended_, t.c.fingerprint.in_(found)))} if found else {}
    return {name: one for name, one in found.items() if newest.get(name, one[0]) <= one[0]}


def labels_of(c: Connection, incident: int, source: Source, *, limit: int = 200) -> Sequence[Any]:
    """The newest alerts of an incident that one source has sent, whether or not they fire: rows of (labels)."""
    t = JOURNAL()
    mine = (t.c.incident == incident) & (t.c.status == "firing") & (t.c.source == source.value)
    return c.execute(sa.select(t.c.labels).where(mine).order_by(t.c.id.desc()).limit(limit)).all()


def of_fingerprints(c: Connection, fingerprints: Sequence[str]) -> Sequence[Any]:
    """Every row of these alerts, by the unique index: rows of (fingerprint, starts_at, status, incident)."""
    t = JOURNAL()
    shown = sa.select(t.c.fingerprint, t.c.starts_at, t.c.status, t.c.incident)
    found: list[Any] = []
    for start in range(0, len(fingerprints), ROWS_A_STATEMENT):
        found += c.execute(shown.where(t.c.fingerprint.in_(fingerprints[start : start + ROWS_A_STATEMENT]))).all()
    return found


def _ended(t: sa.Table) -> sa.Exists:
    """True of a firing row whose resolved half is in the journal."""
    end = t.alias()
    same = (end.c.fingerprint == t.c.fingerprint) & (end.c.starts_at == t.c.starts_at) & (end.c.status == "resolved")
    return sa.select(sa.literal(1)).where(same).exists()
