"""Decides anew about what is held when the reason has ended: whoever must be paged is paged, only later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bot.effects import Outcome, Performer, Task, Tx
from handlers.alerts import journal
from handlers.desk import Desk
from handlers.incidents import arrive
from handlers.incidents.words import duration
from handlers.noise import decide, owed, table
from handlers.noise.weigh import Kind, clock

LINE = "* * * * *"
QUIETS = (Kind.MAINTENANCE.value, Kind.DRILL.value, Kind.SILENCE.value)


def performers(desk: Desk) -> list[Performer]:
    """The decisions that are owed."""
    return [Performer(owed.AGAIN, lambda task: _decide(desk, task))]


def tick(desk: Desk, _slot: float) -> None:
    """Once a minute: end what is due, and let go what nothing holds any more, whatever was missed before."""
    now = time.time()
    with desk.engine.transaction(now) as tx:
        decide.expire(desk, tx)
        decide.sync(desk, tx)
        due = list(_due(tx))
    for start in range(0, len(due), owed.AT_ONCE):
        with desk.engine.transaction(now) as tx:
            owed.release(tx, due[start : start + owed.AT_ONCE])


def _due(tx: Tx) -> Iterator[Any]:
    """What is held though its reason has ended, the worst first."""
    on = {row.id for row in table.active(tx.c) if row.end_at > tx.now}
    for one in table.held(tx.c):
        if one.kind in QUIETS:
            if one.silence not in on:
                yield one
        elif one.until is not None and not (one.since <= tx.now < one.until):
            yield one  # also when the clock was set back to before it was held


def _decide(desk: Desk, task: Task) -> Outcome:
    number, turn = int(task.args["hold"]), int(task.args["turn"])
    return Outcome(apply=lambda tx: _again(desk, tx, number, turn))


def _again(desk: Desk, tx: Tx, number: int, turn: int) -> None:
    one = table.hold(tx.c, number)
    if one is None or one.over_at is not None or one.turn != turn:
        return  # it has ended meanwhile, or is held by another reason
    entry = journal.entry(tx.c, one.alert)
    if entry is None or entry.alert.service not in desk.services:
        owed.over(tx, one.id, "gone")
        if entry is not None:
            why = f"held until {clock(tx.now)}; by then its service was no longer in captain.yml, so nobody is paged"
            journal.decided_again(tx.c, entry, verdict=why, incident=None, held=one.kind)
        return
    before = journal.verdict_of(tx.c, one.alert)
    owed.over(tx, one.id, "acted")
    journal.hold(tx.c, one.alert, None)
    verdict, incident = arrive.again(desk, tx, replace(entry, received_at=tx.now))
    after = table.hold(tx.c, number)
    if after.over_at is None:
        journal.decided_again(tx.c, entry, verdict=verdict, incident=None, held=after.kind)
        return
    if incident is None:
        # It has ended, and whoever decides about that has not come to it.
        owed.outcome(tx, one.id, "resolved")
        journal.decided_again(tx.c, entry, verdict=verdict, incident=None, held=one.kind)
        return
    reason = before.removeprefix("held, pages nobody: ")
    verdict = f"{verdict}, after it was held for {duration(tx.now - one.since)} ({reason})"
    journal.decided_again(tx.c, entry, verdict=verdict, incident=incident, held=None)
