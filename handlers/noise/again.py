"""Decides anew about what is held when the reason has ended: whoever must be paged is paged, only later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Connection

from bot.effects import Outcome, Performer, Task, Tx
from handlers.alerts import journal
from handlers.alerts.journal import Entry
from handlers.desk import Desk
from handlers.incidents import arrive
from handlers.incidents import decide as incidents
from handlers.incidents import table as incident_table
from handlers.incidents.words import duration
from handlers.noise import decide, flap, owed, table
from handlers.noise.weigh import Kind, clock

LINE = "* * * * *"
QUIETS = (Kind.MAINTENANCE.value, Kind.DRILL.value, Kind.SILENCE.value)


def performers(desk: Desk) -> list[Performer]:
    """The decisions that are owed."""
    return [Performer(owed.AGAIN, lambda task: _decide(desk, task), decides=True)]


def tick(desk: Desk, _slot: float) -> None:
    """Once a minute: end what is due, and let go what nothing holds any more, whatever was missed before."""
    now = desk.engine.now()
    with desk.engine.transaction(now) as tx:
        decide.expire(desk, tx)
        decide.sync(desk, tx)
        due = list(_due(tx))
    for one in _flaps(desk):
        with desk.engine.transaction(now) as tx:
            _settle(desk, tx, one.incident)
    for start in range(0, len(due), owed.AT_ONCE):
        with desk.engine.transaction(now) as tx:
            owed.release(tx, due[start : start + owed.AT_ONCE])


def busy(c: Connection) -> bool:
    """True while something is held or flaps: without it the clock has nothing to let go."""
    return bool(table.held(c, limit=1)) or bool(table.flapping(c))


def _due(tx: Tx) -> Iterator[Any]:
    """What is held though its reason has ended, the worst first."""
    on = {row.id for row in table.active(tx.c) if row.end_at > tx.now}
    held = table.held(tx.c)
    parents = incident_table.open_among(tx.c, {one.incident for one in held if one.kind == Kind.INHIBITED.value})
    for one in held:
        if one.kind in QUIETS:
            if one.silence not in on:
                yield one
        elif one.kind == Kind.INHIBITED.value and one.incident not in parents:
            yield one
        elif one.until is not None and not (one.since <= tx.now < one.until):
            yield one  # also when the clock was set back to before it was held


def _flaps(desk: Desk) -> Sequence[Any]:
    with desk.store.read() as c:
        return table.flapping(c)


def _settle(desk: Desk, tx: Tx, number: int) -> None:
    """End what has been quiet for long enough; what fires steadily by now is an incident like any other."""
    row = incident_table.locked(tx.c, number)
    state = table.flap(tx.c, number)
    if row is None or not incident_table.is_open(row):
        flap.over(tx, number)
        return
    calm = tx.now - state.last_at
    if calm < 0:
        flap.touch(tx, number)  # the clock was set back
    if calm < desk.noise.flap.quiet and desk.noise.flap.changes:
        return
    why = f"quiet for {duration(calm)}, after {state.changes} changes"
    unsure = journal.unsure(tx.c, number)  # an alert of it ended, and not because all was well: a person ends it
    if unsure or journal.still_firing(tx.c, number) or arrive.quiet(desk, tx, number, why):
        flap.over(tx, number)
        incidents.show(desk, tx, number)


def _decide(desk: Desk, task: Task) -> Outcome:
    number, turn = int(task.args["hold"]), int(task.args["turn"])
    return Outcome(apply=lambda tx: _again(desk, tx, number, turn))


def _again(desk: Desk, tx: Tx, number: int, turn: int) -> None:
    one = table.hold(tx.c, number)
    if one is None or one.over_at is not None or one.turn != turn:
        return  # it has ended meanwhile, or is held by another reason
    entry = _whose(desk, journal.entry(tx.c, one.alert))
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


def _whose(desk: Desk, entry: Entry | None) -> Entry | None:
    """The entry of an alert whose service is no longer in captain.yml, as it would be taken if it came now."""
    fallback = desk.policy.fallback_service
    if entry is None or entry.alert.service in desk.services or fallback not in desk.services:
        return entry
    return replace(entry, alert=replace(entry.alert, service=fallback))
