"""Looks again by the clock: at flags that should be off, and at the objects themselves, which alone know what is on."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

from bot.errors import GiveUp, Retry
from handlers.desk import Desk
from handlers.flags import decide, table
from handlers.flags.kinds import Spot
from handlers.flags.rules import Seen, Status

log = logging.getLogger(__name__)
LINE = "* * * * *"
SKEW = 2.0
"""Seconds by which the replicas' clocks may differ: what was settled as late as that before a look may not be in it."""
LOOK_BACK = 2 * 3600.0
"""Seconds after its end for which the object of a flag that captain.yml no longer names is still looked at."""


def tick(desk: Desk, _slot: float) -> None:
    """Once a minute: say what is overdue, and heal what the objects and our rows disagree about."""
    now = time.time()
    with desk.engine.transaction(now) as tx:
        for row in table.not_over(tx.c):
            decide.alarm_if_overdue(desk, tx, row)
    cluster = desk.outside.cluster
    if cluster is None:
        return
    for spot, service in _spots(desk, now=now):
        before = time.time() - SKEW
        try:
            seen = spot.seen(cluster.get(spot.ref))
        except Retry as e:
            # The cluster does not answer. What is owed is tried on; this looks again in a minute.
            log.warning("flags: %s", e.reason)
            return
        except GiveUp as e:
            log.warning("flags: %s cannot be looked at: %s", spot.flag, e.reason)
            continue
        _compare(desk, spot, service, seen, before=before)


def _spots(desk: Desk, *, now: float) -> Iterator[tuple[Spot, str]]:
    """Where our mark may be: every flag of captain.yml, and those that stood elsewhere a while ago."""
    known = [(Spot(name, flag.object, flag.on), flag.service) for name, flag in desk.flags.items()]
    with desk.store.read() as c:
        rows = [*table.not_over(c), *table.ended_since(c, now - LOOK_BACK)]
    yield from dict.fromkeys([*known, *((table.spot_of(row), row.service) for row in rows)])


def _compare(desk: Desk, spot: Spot, service: str, seen: Seen, *, before: float) -> None:
    """``before``: what was settled by then (UNIX s) is in what was seen."""
    if seen.mark is None or seen.mark.over:
        _unmarked(desk, spot, seen, before=before)
        return
    with desk.store.read() as c:
        row = table.by_uid(c, seen.mark.uid)
    if row is None:
        if decide.adopt(desk, spot, service, seen.mark, now=time.time()):
            log.warning(
                "flags: %s carries a mark of ours that the database does not know; it will be undone", spot.flag
            )
    elif row.status == Status.ON.value and seen.value != spot.on:
        _changed(desk, row, seen)
    elif row.off_at is not None and row.off_at < before:
        _again(desk, row)


def _unmarked(desk: Desk, spot: Spot, seen: Seen, *, before: float) -> None:
    """No mark: nothing of ours is on, unless somebody took the mark alone and left the value we set."""
    with desk.store.read() as c:
        row: Any = table.latest(c, spot.flag)
    if row is None or table.spot_of(row) != spot or row.on_at is None:
        return
    shown = seen.ours(row.uid, spot.on)
    if row.status == Status.ON.value and row.on_at < before and not shown:
        _changed(desk, row, seen)
    elif row.off_at is not None and row.off_at < before and shown:
        _again(desk, row)


def _again(desk: Desk, row: Any) -> None:
    if decide.seen_on(desk, row.uid, now=time.time()):
        log.warning("flags: %s is on after its end; it is undone again", row.name)


def _changed(desk: Desk, row: Any, seen: Seen) -> None:
    with desk.engine.transaction(time.time()) as tx:
        decide.changed_by_others(desk, tx, row.uid, seen)
