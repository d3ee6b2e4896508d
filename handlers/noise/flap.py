"""An incident that opens and resolves again and again: it stays open, what it does is counted, and nobody is paged anew."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import Tx, insert_once
from handlers.alerts import journal
from handlers.alerts.journal import Entry
from handlers.alerts.payload import SENDERS
from handlers.desk import Desk
from handlers.incidents import decide as incidents
from handlers.incidents.table import INCIDENTS, TIMELINE
from handlers.incidents.table import add_event as event
from handlers.incidents.words import duration
from handlers.noise import table, words
from handlers.noise.table import FLAPS
from handlers.noise.weigh import Kind

LATEST = 20
"""Incidents of one key that are looked at; more changes than these can have need no counting."""


def changes(c: Connection, key: str, since: float) -> int:
    """How often alerts have opened, ended or reopened incidents of a key since then (UNIX s); people's deeds do not count."""
    t, e = INCIDENTS(), TIMELINE()
    asked = sa.select(t.c.number, t.c.opened_at, t.c.source).where(t.c.key == key)
    rows = c.execute(asked.order_by(t.c.number.desc()).limit(LATEST)).all()
    moved = e.c.incident.in_([row.number for row in rows]) & e.c.kind.in_(("resolved", "reopened"))
    by_itself = e.c.actor.in_((*SENDERS.values(), incidents.ITSELF)) & (e.c.at >= since)
    count: int = int(c.execute(sa.select(sa.func.count()).select_from(e).where(moved & by_itself)).scalar_one())
    return count + len([row for row in rows if row.source == "alert" and row.opened_at >= since])


def keeps_open(desk: Desk, tx: Tx, row: Any) -> str:
    """What is said of the end of an incident's last alert when the incident stays open for it; empty when it ends.

    ``row``: the incident, locked.
    """
    rule = desk.noise.flap
    if not rule.changes:
        return ""
    state = table.flap(tx.c, row.number)
    if state is not None and state.over_at is None:
        return _count(desk, tx, row, state)
    count = changes(tx.c, row.key, tx.now - rule.within) + 1
    if count < rule.changes:
        return ""
    values = {"since": tx.now, "last_at": tx.now, "changes": count, "over_at": None}
    if insert_once(tx.c, FLAPS(), {"incident": row.number, **values}) is None:
        tx.c.execute(FLAPS().update().where(FLAPS().c.incident == row.number).values(**values))
    text = f"it flaps: {count} changes within {duration(rule.within)}; it stays open until it has been quiet for {duration(rule.quiet)}"
    event(tx.c, incident=row.number, at=tx.now, kind="flap", actor=incidents.ITSELF, text=text)
    incidents.say(desk, tx, row, f"flap:{tx.now:.3f}", words.flapping(count, within=rule.within, quiet=rule.quiet))
    incidents.show(desk, tx, row.number)
    return f"resolved, and INC-{row.number} stays open: {text}"


def again(desk: Desk, tx: Tx, entry: Entry, row: Any) -> tuple[str, int] | None:
    """The verdict of an alert that fires again for an incident that flaps; None of any other. ``row``: it, locked."""
    if not desk.noise.flap.changes:
        return None
    state = table.flap(tx.c, row.number)
    if state is None or state.over_at is not None or journal.still_firing(tx.c, row.number):
        return None
    said = _count(desk, tx, row, state)
    journal.hold(tx.c, entry.id, Kind.FLAP.value)
    desk.count_held(Kind.FLAP.value)
    return f"held, pages nobody again: {said.partition(': ')[2]}", row.number


def over(tx: Tx, incident: int) -> None:
    """It flaps no longer."""
    t = FLAPS()
    tx.c.execute(t.update().where(t.c.incident == incident, t.c.over_at.is_(None)).values(over_at=tx.now))


def touch(tx: Tx, incident: int) -> None:
    """Reckon its quiet from now."""
    tx.c.execute(FLAPS().update().where(FLAPS().c.incident == incident).values(last_at=tx.now))


def _count(desk: Desk, tx: Tx, row: Any, state: Any) -> str:
    """One change more: counted, and shown in the panel alone."""
    t, count = FLAPS(), state.changes + 1
    tx.c.execute(t.update().where(t.c.incident == row.number).values(changes=count, last_at=tx.now))
    incidents.show(desk, tx, row.number)
    quiet = duration(desk.noise.flap.quiet)
    return f"resolved, and INC-{row.number} stays open: it flaps, {count} changes so far, until it has been quiet for {quiet}"
