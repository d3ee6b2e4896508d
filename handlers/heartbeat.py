"""The heartbeat out: each slot one call to a dead-man's switch outside, withheld while somebody waits for a page."""

from __future__ import annotations

import logging
import time

from sqlalchemy.engine import Connection

from bot.effects import EFFECTS, FINAL, Effect, Outcome, Performer, State, Task
from bot.errors import GiveUp
from handlers.alerts import journal
from handlers.desk import Desk
from handlers.incidents import table

log = logging.getLogger(__name__)
KIND = "heartbeat"
KEPT = 86400.0
"""Seconds that the record of a heartbeat is kept."""


def beat(desk: Desk, slot: float) -> None:
    """Owe the heartbeat of a slot (UNIX s), unless it is too late for it or we do not do our work."""
    settings, now = desk.heartbeat, time.time()
    if settings is None or int(slot) % settings.every or now >= slot + settings.every:
        return
    with desk.engine.transaction(now) as tx:
        why = ill(tx.c, now=now, patience=settings.withhold_after)
        if why:
            log.warning("the heartbeat is withheld, so that somebody hears of it from outside: %s", why)
            return
        tx.owe(Effect(key_of(slot), KIND, KIND, urgency=9, deadline=slot + settings.every))
        t = EFFECTS()
        old = t.c.key.between(key_of(0), key_of(slot - KEPT)) & t.c.state.in_([state.value for state in FINAL])
        tx.c.execute(t.delete().where(old))


def ill(c: Connection, *, now: float, patience: float) -> str:
    """Why nobody should believe that we work; empty when we do. ``patience``: seconds a page may be owed."""
    for page in table.pages_unheard(c):
        if page.state == State.GAVE_UP.value:
            return f"the page of INC-{page.number} was given up and nobody has the incident"
        if now - page.since > patience:
            return f"the page of INC-{page.number} has been owed for {now - page.since:.0f} s"
    if journal.undecided(c, before=now - patience, limit=1):
        return f"an alert has been waiting for {patience:.0f} s to be decided about"
    return ""


def key_of(slot: float) -> str:
    """The effect's key; the keys of two slots stand in the order of their times."""
    return f"{KIND}:{int(slot):012d}"


def performers(desk: Desk) -> list[Performer]:
    """How a heartbeat is sent."""
    return [Performer(KIND, lambda task: _send(desk, task))]


def _send(desk: Desk, _task: Task) -> Outcome:
    if desk.outside.heartbeat is None:
        return Outcome(skipped="the heartbeat: section is no longer in captain.yml")
    try:
        desk.outside.heartbeat.beat()
    except GiveUp as e:
        # It is about no incident, so no panel shows it.
        log.warning("the heartbeat was not taken: %s", e.reason)
        raise
    return Outcome()
