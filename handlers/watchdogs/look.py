"""Looks every minute whether a watchdog is overdue: its silence opens an incident, its return resolves it."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from bot.effects import Tx
from handlers.catalogue import Watchdog
from handlers.desk import Desk
from handlers.incidents import decide
from handlers.incidents.rules import incident_uid
from handlers.incidents.table import INCIDENTS, open_by_key
from handlers.watchdogs import rules, table, words


def look(desk: Desk, _slot: float) -> None:
    """Look at every watchdog once. Done twice at the same time it pages once: the rows are locked."""
    with desk.engine.transaction(time.time()) as tx:
        now = desk.store.clock(tx.c)
        rows = table.hold(tx.c, desk.watchdogs, now=now)
        looker = rows[table.LOOKER]
        deaf = 0.0 if looker.seen_at is None else rules.unheard(looker.seen_at, now)
        table.write(tx.c, table.LOOKER, seen_at=now)
        for name, watchdog in desk.watchdogs.items():
            _look_at(desk, tx, watchdog, rows[name], deaf=deaf, now=now)


def _look_at(desk: Desk, tx: Tx, watchdog: Watchdog, row: Any, *, deaf: float, now: float) -> None:
    """``deaf``: seconds since the last look in which nothing could have been heard."""
    # A time to come is one from before the clock was set back; it counts as now, or an hour would pass unwatched.
    armed = min(row.armed_at, now)
    seen = None if row.seen_at is None else min(row.seen_at, now)
    incident = open_by_key(tx.c, rules.key_of(row.name))
    if incident is not None:
        # It was armed anew when the incident was opened.
        if seen is not None and seen > armed:
            decide.end_by_itself(desk, tx, incident, why="the watchdog is back")
    else:
        if deaf:
            armed = min(now, max(armed, seen or armed) + deaf)
        if _overdue(tx, watchdog, row.name, armed, seen, now):
            _open(desk, tx, watchdog, row.name, seen=seen, armed=row.armed_at, now=now)
            armed = now
    if (armed, seen) != (row.armed_at, row.seen_at):
        table.write(tx.c, row.name, armed_at=armed, seen_at=seen)


def _overdue(tx: Tx, watchdog: Watchdog, name: str, armed: float, seen: float | None, now: float) -> bool:
    since = max(armed, seen or armed)
    if now - since <= watchdog.within:
        return False
    # Resolved by a person while it is still silent: it counts from there, and pages again after as long.
    return now - max(since, _closed_at(tx, name, now)) > watchdog.within


def _closed_at(tx: Tx, name: str, now: float) -> float:
    """When a person last resolved an incident of the watchdog, UNIX s; 0 when nobody ever did."""
    t = INCIDENTS()
    mine = (t.c.key == rules.key_of(name)) & (t.c.resolved_at <= now) & (t.c.resolved_by != decide.ITSELF)
    return float(tx.c.execute(sa.select(sa.func.max(t.c.resolved_at)).where(mine)).scalar() or 0.0)


def _open(desk: Desk, tx: Tx, watchdog: Watchdog, name: str, *, seen: float | None, armed: float, now: float) -> None:
    key = rules.key_of(name)
    decide.open_by_itself(
        desk,
        tx,
        key=key,
        uid=incident_uid(key, repr(now)),
        source="watchdog",
        service=watchdog.service,
        severity=watchdog.severity,
        title=words.title(watchdog, name, seen=seen, armed=armed, now=now),
        about={"alertname": watchdog.alertname, "description": words.what_to_do(desk, watchdog, name, seen=seen)},
        reason=f"the watchdog {name} was silent for longer than {watchdog.within:g} s",
    )
