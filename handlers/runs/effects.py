"""Carries runs out: looks, writes down what was seen as it is seen, and stops when nobody wants it any more."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from bot.effects import Outcome as Came
from bot.effects import Performer, Settled, State, Task, Tx
from bot.errors import GiveUp, Retry
from bot.gate import Turn
from handlers.checks import looks
from handlers.desk import Desk
from handlers.incidents import decide
from handlers.incidents import table as incidents
from handlers.incidents.table import INCIDENTS
from handlers.runs import history, owing, picked, schedule, shown, states, table, words
from handlers.runs.kinds import of_incident
from handlers.runs.table import RUNS
from runbooks import Outcome, Report, Result, Runbook, run
from runbooks.watched import watched

log = logging.getLogger(__name__)

SHOWN_AFTER = 1.5
"""Seconds a run may take before its progress is shown; of one that is quicker only the end is."""
EVERY = 0.25
"""Seconds between two looks at whether it is still wanted, after which also what it found is written down."""


def performers(desk: Desk) -> list[Performer]:
    """Every kind of effect this subject owes."""
    return [
        Performer(owing.RUN, lambda task: carry_out(desk, task)),
        Performer(owing.CHECKS, lambda task: carry_out(desk, task)),
        Performer(shown.POST, lambda task: shown.post(desk, task)),
        Performer(shown.PANEL, lambda task: shown.panel(desk, task)),
        Performer(shown.FILE, lambda task: shown.file(desk, task)),
        Performer(schedule.SAID, lambda task: schedule.said(desk, task)),
        Performer(history.CHART, lambda task: history.chart(desk, task)),
    ]


def carry_out(desk: Desk, task: Task) -> Came:
    """Run a runbook. Whoever takes this over looks anew. Raises GiveUp when there is no such runbook."""
    task.acting()  # whoever was frozen while another took this over finds that out here
    row, runbook = _begin(desk, task)
    if row is None:
        return Came(skipped="cancelled before it began")
    hand = _Hand(desk, row, {check.name: place for place, check in enumerate(runbook.checks)})
    usual = desk.runbook_settings.deadline if row.incident is None else desk.policy.checks_deadline
    with watched(hand.look, every=EVERY) as stop:
        report = run(
            runbook,
            _parameters(row, runbook),
            looks(desk.outside, desk.runbook_settings.allowed),
            parallel=runbook.parallel or desk.runbook_settings.parallel,
            # An incident's checks share a lane with those of others: no file may hold it up for longer.
            deadline_s=(runbook.deadline_s or usual)
            if row.incident is None
            else min(runbook.deadline_s or usual, usual),
            on_result=hand.take,
            cancelled=stop,
        )
    if hand.gone:
        with desk.store.read() as c:
            now = table.by_uid(c, row.uid)
        if now is None or now.ended_at is not None:
            return Came(skipped="it was cancelled")
        task.acting()  # raises: another process has it in hand, and settles it
        raise Retry("another process has it in hand", after=1.0)
    if stop.is_set():
        raise Retry("I was stopped while I looked; it is looked at anew", after=0.1)
    return Came({"outcome": report.outcome.value}, lambda tx: _end(desk, tx, row, report))


@dataclass
class _Hand:
    """One run in this process's hand: what its checks found and is not written down yet."""

    desk: Desk
    row: Any
    places: dict[str, int]
    gone: bool = False
    _offered: bool = False
    """Whether its message was owed, where it has one: until then it is looked whether it is late enough."""
    _began: float = field(default_factory=time.monotonic)
    _new: dict[int, Result] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, result: Result) -> None:
        """A check has ended."""
        with self._lock:
            self._new[self.places.get(result.name, len(self.places))] = result

    def look(self) -> bool:
        """Write down what is new, and show it; True when the run is to stop."""
        if self.desk.engine.stopping.is_set():
            return True
        with self._lock:
            new = dict(self._new)
        try:
            self.gone = not self._write(new)
        except (sa.exc.SQLAlchemyError, OSError) as e:
            log.warning(
                "run #%s: what was found so far could not be written down, it is tried again: %s", self.row.id, e
            )
            return False
        with self._lock:
            for place in new:
                self._new.pop(place)
        return self.gone

    def _write(self, new: dict[int, Result]) -> bool:
        """False when the run is in nobody's hand any more, or in another's."""
        late = time.monotonic() - self._began >= SHOWN_AFTER
        if not new and (self._offered or not late):
            with self.desk.store.read() as c:
                return _mine(table.by_uid(c, self.row.uid), self.row)
        now = time.time()
        with self.desk.engine.transaction(now, Turn.LATER) as tx:
            row = table.locked(tx.c, self.row.uid)
            if not _mine(row, self.row):
                return False
            table.write(tx.c, row, new, now=now)
            if new or not row.shown_by:
                shown.show(self.desk, tx, row.uid, begin=late and row.schedule is None)
        self._offered = late
        return True


def _mine(now: Any, row: Any) -> bool:
    return now is not None and now.turn == row.turn and now.ended_at is None


def _begin(desk: Desk, task: Task) -> tuple[Any, Runbook]:
    """Take a run in hand; (None, …) when nobody wants it any more."""
    with desk.engine.transaction(time.time(), Turn.LATER) as tx:
        row = table.by_key(tx.c, task.key)
        if row is None:
            _write_late(desk, tx, task)
            row = table.by_key(tx.c, task.key)
        runbook = desk.runbooks.get(row.runbook)
        if runbook is None:
            raise GiveUp(f"there is no runbook '{row.runbook}'; these there are: {', '.join(desk.runbooks)}")
        runbook = picked.picked(runbook, table.only(row))
        if row.cancelled_by:
            return None, runbook
        anew = {"began_at": tx.now, "ended_at": None, "took_s": None, "outcome": "", "detail": ""}
        t = RUNS()
        tx.c.execute(t.update().where(t.c.uid == row.uid).values(turn=t.c.turn + 1, checks=len(runbook.checks), **anew))
        table.wipe(tx.c, row.id)
        shown.show(desk, tx, row.uid, begin=False)
        return table.by_uid(tx.c, row.uid), runbook


def _write_late(desk: Desk, tx: Tx, task: Task) -> None:
    """Write the row of a run that a release before owed, which kept none."""
    if task.about is None:
        raise GiveUp("it was so long ago that nothing is known of this run any more; ask for it anew")
    incident = incidents.by_number(tx.c, task.about)
    if incident is None or incident.service not in desk.services:
        raise GiveUp(f"INC-{task.about} or its service is not there any more, so there is nothing to look at")
    owing.write(desk, tx, task.key, of_incident(desk.services, incident))


def _parameters(row: Any, runbook: Runbook) -> dict[str, str]:
    """What it was asked for with, over what is known of its service."""
    return picked.of_service(runbook, row.service, row.environment) | table.parameters(row)


def _end(desk: Desk, tx: Tx, row: Any, report: Report) -> None:
    """Write down what a run found, and owe what is said of it; nothing when it was cancelled meanwhile."""
    if not _mine(table.locked(tx.c, row.uid), row):
        return
    table.wipe(tx.c, row.id)
    table.write(tx.c, row, dict(enumerate(report.results)), now=tx.now)
    over(desk, tx, row.uid, outcome=report.outcome, detail=report.detail, took_s=report.took_s)


def over(desk: Desk, tx: Tx, uid: str, *, outcome: Outcome, detail: str, took_s: float, cancelled_by: str = "") -> None:
    """A run has ended: say so wherever it is shown."""
    t = RUNS()
    values = {"ended_at": tx.now, "outcome": outcome.value, "detail": detail, "took_s": took_s}
    values |= {"cancelled_by": cancelled_by}
    tx.c.execute(t.update().where(t.c.uid == uid).values(**values))
    row = table.by_uid(tx.c, uid)
    found = table.results(tx.c, row.id)
    if states.keeps(row, desk.services):
        states.keep(tx.c, row, found, now=tx.now)
    if row.incident is not None:
        _tell_incident(tx, row, found)
    begin = True
    if row.schedule is not None:
        begin, said = schedule.ended(desk, tx, row, found)
        tx.c.execute(t.update().where(t.c.uid == uid).values(detail=" ".join(part for part in (detail, said) if part)))
    shown.ended(desk, tx, uid, begin=begin)


def _tell_incident(tx: Tx, row: Any, found: Sequence[Result]) -> None:
    t = INCIDENTS()
    tx.c.execute(t.update().where(t.c.number == row.incident).values(checks=words.short(row, found)))
    said = f"{row.runbook}: {row.outcome}" + (f", cancelled by {row.cancelled_by}" if row.cancelled_by else "")
    actor = decide.ITSELF
    incidents.add_event(tx.c, incident=row.incident, at=tx.now, kind="checks", actor=actor, text=said)


def settled(desk: Desk, tx: Tx, done: Settled) -> None:
    """A run that was given up has ended, too: it could not look."""
    if done.kind not in (owing.RUN, owing.CHECKS) or done.state is not State.GAVE_UP:
        return
    row = table.by_key(tx.c, done.key)
    if row is None or row.ended_at is not None:
        return
    t, took = RUNS(), max(0.0, tx.now - (row.began_at or tx.now))
    tx.c.execute(t.update().where(t.c.uid == row.uid).values(turn=t.c.turn + 1))
    if row.incident is None:
        over(desk, tx, row.uid, outcome=Outcome.ERROR, detail=done.reason, took_s=took)
        return
    # Its panel says why, and that it can be repaired.
    values = {"ended_at": tx.now, "outcome": Outcome.ERROR.value, "detail": done.reason, "took_s": took}
    tx.c.execute(t.update().where(t.c.uid == row.uid).values(**values))
    shown.ended(desk, tx, row.uid, begin=False)


def cancel(desk: Desk, tx: Tx, row: Any, *, by: str) -> bool:
    """End a run now, verdict ERROR; whoever has it in hand finds that out and stops. False when it has ended already."""
    # The effect goes first: whoever settles it holds it, and then wants the row.
    owed = tx.cancel(row.key, f"cancelled by {by}")
    row = table.locked(tx.c, row.uid)
    if not owed or row.ended_at is not None:
        return False
    t, took = RUNS(), max(0.0, tx.now - (row.began_at or tx.now))
    tx.c.execute(t.update().where(t.c.uid == row.uid).values(turn=t.c.turn + 1))
    over(desk, tx, row.uid, outcome=Outcome.ERROR, detail=f"cancelled by {by}", took_s=took, cancelled_by=by)
    if row.incident is not None:
        decide.show(desk, tx, row.incident)
    return True
