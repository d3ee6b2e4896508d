"""History: copies of what the bot itself wrote about some incidents, as long ago and as many as wanted."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.store import Store

OF_AN_INCIDENT: Mapping[str, str] = {
    "incidents": "number",
    "alerts": "incident",
    "effects": "about",
    "timeline": "incident",
    "findings": "incident",
    "roles": "incident",
    "flaps": "incident",
    "storm_calls": "umbrella",
}
"""The tables that hold an incident, and the column that says which."""
BESIDE: Mapping[str, str] = {
    "inbox": "key",
    "audit": "",
    "refusals": "",
    "effects": "key",
    "flags": "uid",
    "actions": "uid",
    "silences": "uid",
    "holds": "alert",
    "deploys": "uid",
    "deploy_parts": "key",
    "runs": "uid",
    "outcomes": "run",
}
"""The tables that grow beside the incidents, and what must be another one in each row; of the effects, those about none."""
NOW = frozenset(
    {
        "alembic_version", "replicas", "paces", "heartbeats", "slo_states", "check_states", "schedules", "deploy_places",
        "deploy_workloads",
    }
)  # fmt: skip
"""The tables that hold what is, not what was."""
NUMBERED = frozenset(
    {
        "alerts",
        "timeline",
        "roles",
        "audit",
        "refusals",
        "flags",
        "actions",
        "silences",
        "holds",
        "runs",
        "outcomes",
        "deploys",
    }
)
"""The tables whose ``id`` the database gives."""
FAR = 1_000_000_000
"""More than there are alerts."""
ELSEWHERE = (
    ("holds", "silence"),
    *((table, "incident") for table in ("holds", "silences", "actions", "runs")),
    ("deploy_parts", "deploy"),
)
"""Numbers of what is not copied along."""
DAY = 86400.0
AT_ONCE = 100
"""Incidents that are copied in one transaction."""


@dataclass(frozen=True)
class Copy:
    """What one copy has of its own: its number, its uid, how many seconds later it is, and where its fingerprints come from."""

    number: int
    uid: str
    later: float
    prints: Callable[[str], str]


Change = Callable[[Any, Copy], Any]


@dataclass(frozen=True)
class Line:
    """A row to be copied: its values, and which of them become others."""

    values: Sequence[Any]
    changes: Sequence[tuple[int, Change]]

    def copied(self, copy: Copy) -> tuple[Any, ...]:
        made = list(self.values)
        for i, change in self.changes:
            made[i] = change(made[i], copy)
        return tuple(made)


@dataclass(frozen=True)
class Model:
    """An incident that the bot wrote, by table."""

    number: int
    opened_at: float
    over: bool
    lines: Mapping[str, Sequence[Line]]


@dataclass(frozen=True)
class Seen:
    """All that the bot wrote, to be copied. ``inserts``: the statement for each table."""

    models: Sequence[Model]
    beside: Mapping[str, Sequence[Line]]
    columns: Mapping[str, Sequence[str]]


def seen(store: Store) -> Seen:
    """Read what is there."""
    schema = sa.MetaData()
    schema.reflect(store.engine)
    grows = {*OF_AN_INCIDENT, *BESIDE}
    unknown = set(schema.tables) - grows - NOW
    assert not unknown, f"say in tests/ground/history.py whether these grow: {sorted(unknown)}"
    with store.read() as c:
        found = {
            name: [dict(row) for row in c.execute(sa.select(schema.tables[name])).mappings()] for name in sorted(grows)
        }
    models = []
    for one in found["incidents"]:
        over = one["open_key"] is None
        mine = {name: [row for row in found[name] if row[of] == one["number"]] for name, of in OF_AN_INCIDENT.items()}
        lines = {name: [_line(name, row, one, over=over) for row in rows] for name, rows in mine.items()}
        models.append(Model(one["number"], one["opened_at"], over, lines))
    alone = {name: [row for row in found[name] if name != "effects" or row["about"] is None] for name in BESIDE}
    beside = {name: [_line(name, row, None, over=True) for row in rows] for name, rows in alone.items()}
    columns = {name: [c.name for c in schema.tables[name].columns if _ours(name, c.name)] for name in grows}
    return Seen(models, beside, columns)


def grow(
    store: Store, model: Seen, *, incidents: int, now: float, days: float, chance: random.Random, open_: bool = False
) -> None:
    """Copy incidents, those that are over or those that are open, so that they began evenly over the last ``days`` days.

    Fingerprints and uids are drawn, so that no index gets them in order. Rows beside come along, two of each table.
    """
    of = [one for one in model.models if one.over is not open_]
    assert of, "there is nothing to copy"
    with store.read() as c:
        last = int(c.execute(sa.text("select max(number) from incidents")).scalar_one())
    for start in range(0, incidents, AT_ONCE):
        batch: dict[str, list[tuple[Any, ...]]] = {name: [] for name in model.columns}
        for i in range(start, min(start + AT_ONCE, incidents)):
            one, at = of[i % len(of)], now - days * DAY * (1 - (i + 1) / (incidents + 1))
            copy = _copy(last + 1 + i, at - one.opened_at, chance)
            for name, lines in one.lines.items():
                batch[name] += [line.copied(copy) for line in lines]
            for name, lines in model.beside.items():
                if lines and not open_:
                    batch[name] += [lines[(2 * i + n) % len(lines)].copied(_another(copy, n, chance)) for n in (0, 1)]
        with store.write() as c:
            for name, rows in batch.items():
                _insert(c, name, model.columns[name], rows)
            if not store.sqlite:
                c.exec_driver_sql(
                    "select setval(pg_get_serial_sequence('incidents', 'number'), max(number)) from incidents"
                )


def _copy(number: int, later: float, chance: random.Random) -> Copy:
    prints: dict[str, str] = {}
    return Copy(
        number,
        f"{chance.getrandbits(64):016x}",
        later,
        lambda old: prints.setdefault(old, f"{chance.getrandbits(64):016x}"),
    )


def _another(copy: Copy, n: int, chance: random.Random) -> Copy:
    """What the n-th row beside a copy has of its own."""
    return replace(copy, number=2 * copy.number + n, uid=f"{chance.getrandbits(64):016x}")


def _ours(table: str, column: str) -> bool:
    return column != "id" or table not in NUMBERED


def _line(table: str, row: Mapping[str, Any], one: Mapping[str, Any] | None, *, over: bool) -> Line:
    values, changes = {name: value for name, value in row.items() if _ours(table, name)}, []
    if table == "effects" and over and values["state"] in ("waiting", "owed", "retrying"):
        # What is still to be asked of people about what is over lapses when its time has come, and that is long ago.
        values |= {"state": "skipped", "done_at": values["due_at"]}
    # What is on, or held, goes on in its model alone.
    if table == "flags":
        values |= {"on_key": None, "off_at": values["off_at"] or values["until"]}
    if table == "actions":
        values |= {"lock": None, "off_at": values["off_at"] or values["asked_at"]}
    if table == "silences":
        values |= {"open_key": None, "ended_at": values["ended_at"] or values["end_at"]}
    if table == "flaps" and over:
        values |= {"over_at": values["over_at"] or values["last_at"]}
    if table == "holds":
        values |= {"over_at": values["over_at"] or values["since"]}
    if table == "runs":
        values |= {"ended_at": values["ended_at"] or values["asked_at"]}
    for i, (name, value) in enumerate(values.items()):
        change = _change(table, name, value, one)
        if change is not None:
            changes.append((i, change))
    return Line(list(values.values()), changes)


def _change(table: str, name: str, value: Any, one: Mapping[str, Any] | None) -> Change | None:
    """How a value becomes another one in a copy; None where it stays."""
    foreign = one is not None and name in ("key", "after") and value and one["uid"] not in value
    if (table == "effects" and foreign) or (table, name) == ("runs", "key"):
        return lambda old, copy: f"{old}/{copy.uid}"  # of a silence or a run, which have uids of their own
    own = _own(table, name, one)
    if own is not None or not value or isinstance(value, bool):
        return own
    if isinstance(value, str):
        return _named(table, name, value, one)
    if name in ("starts_at", "ends_at"):
        return lambda old, copy: old + int(copy.later * 1e6)
    return (lambda old, copy: old + copy.later) if _is_time(name) else None


def _is_time(name: str) -> bool:
    return name == "at" or name.endswith("_at") or name in ("since", "until", "deadline")


def _own(table: str, name: str, one: Mapping[str, Any] | None) -> Change | None:
    """What no other row has: numbers, fingerprints, keys."""
    if table == "alerts" and name == "fingerprint":
        return lambda old, copy: copy.prints(old)
    if one is None and BESIDE[table] == name:
        # Nobody looks for the alert of a hold that is over; its number is as good as any.
        return lambda old, copy: f"{old[:-16]}{copy.uid}" if isinstance(old, str) else FAR + copy.number
    if one is None:
        return (
            (lambda old, copy: FAR + copy.number if old is not None else None) if (table, name) in ELSEWHERE else None
        )
    if OF_AN_INCIDENT[table] == name:
        return lambda _old, copy: copy.number
    if table == "incidents" and name in ("key", "open_key") and one["open_key"] is not None:
        return lambda old, copy: f"{old}/{copy.uid}"
    return None


def _named(table: str, name: str, value: str, one: Mapping[str, Any] | None) -> Change | None:
    """A text that is of an incident is of the copy: Slack's times of messages, our uid, its name."""
    if name in ("ts", "thread_ts", "digest_ts"):
        return lambda old, copy: f"{float(old) + copy.later:.6f}"
    if table == "audit" and name == "subject" and value.startswith("INC-"):
        return lambda _old, copy: f"INC-{copy.number}"
    if one is None:
        return None
    uid, called = one["uid"], f"INC-{one['number']}"
    if uid not in value and called not in value:
        return None
    return lambda old, copy: old.replace(uid, copy.uid).replace(called, f"INC-{copy.number}")


def _insert(c: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    into = f"{table} ({', '.join(columns)})"
    if c.dialect.name == "sqlite":
        c.exec_driver_sql(f"INSERT INTO {into} VALUES ({', '.join('?' * len(columns))})", list(rows))
        return
    wire: Any = c.connection.driver_connection
    with wire.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN") as target:
        for row in rows:
            target.write_row(row)
