"""Looks again by the clock: at actions that should be undone, and at the objects themselves, which alone know what is on."""

from __future__ import annotations

import logging
import time
from typing import Any

from bot.errors import GiveUp, Retry
from bot.integrations.kubernetes import Cluster
from handlers.actions import decide, moves, table, ways
from handlers.actions.place import Spot, named
from handlers.actions.rules import Status
from handlers.desk import Desk
from handlers.flags.rules import Seen

log = logging.getLogger(__name__)
LINE = "* * * * *"
SKEW = 2.0
"""Seconds by which the replicas' clocks may differ: what was settled as late as that before a look may not be in it."""
LOOK_BACK = 2 * 3600.0
"""Seconds after its end for which the object of a request is still looked at."""


def tick(desk: Desk, _slot: float) -> None:
    """Once a minute: say what is overdue, and heal what the objects and our rows disagree about."""
    now = time.time()
    with desk.engine.transaction(now) as tx:
        rows = table.not_over(tx.c)
        for row in rows:
            moves.alarm_if_overdue(desk, tx, row)
    cluster = desk.outside.cluster
    if cluster is None:
        return
    _unknown(desk, cluster, now=now)
    with desk.store.read() as c:
        rows = [*rows, *table.ended_since(c, now - LOOK_BACK)]
    for row in rows:
        made = table.plan_of(row)
        spot = ways.spot_of(made, row)
        if spot is None or made.none:
            continue
        before = time.time() - SKEW
        try:
            seen = spot.seen(cluster.get(spot.ref))
        except Retry as e:
            # The cluster does not answer. What is owed is tried on; this looks again in a minute.
            log.warning("actions: %s", e.reason)
            return
        except GiveUp as e:
            log.warning("actions: %s cannot be looked at: %s", row.name, e.reason)
            continue
        _compare(desk, row, spot, seen, before=before)


def _unknown(desk: Desk, cluster: Cluster, *, now: float) -> None:
    """Marks of ours in the objects that captain.yml names outright, which no row knows."""
    for name, action in desk.actions.items():
        spot = named(name, action.do.made)
        if spot is None or action.undo.none:
            continue
        try:
            seen = spot.seen(cluster.get(spot.ref))
        except Retry as e:
            log.warning("actions: %s", e.reason)
            return
        except GiveUp as e:
            log.warning("actions: %s cannot be looked at: %s", name, e.reason)
            continue
        mark = seen.mark
        if mark is None or mark.over or mark.back is None:
            continue
        with desk.store.read() as c:
            known = table.by_uid(c, mark.uid)
        changed = ways.changed(spot, seen, mark.back)
        if known is None and changed.fields and decide.adopt(desk, name, changed, mark, now=now):
            log.warning("actions: %s has a mark of ours that the database does not know; it will be undone", name)


def _compare(desk: Desk, row: Any, spot: Spot, seen: Seen, *, before: float) -> None:
    """``before``: what was settled by then (UNIX s) is in what was seen."""
    shown = seen.there and seen.ours(row.uid, spot.on)
    if row.status == Status.ON.value and row.on_at < before and (not shown or seen.value != spot.on):
        with desk.engine.transaction(time.time()) as tx:
            decide.changed_by_others(desk, tx, row.uid, seen)
        return
    marked = seen.mark is not None and seen.mark.uid == row.uid and not seen.mark.over
    if marked and row.off_at is not None and row.off_at < before and decide.seen_on(desk, row.uid, now=time.time()):
        log.warning("actions: %s is on after its end; it is undone again", row.name)
