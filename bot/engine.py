"""Carries out what is owed and never forgets: every try is a durable workflow."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from bot.durable import Durable
from bot.effects import (
    EFFECTS,
    FINAL,
    UNSETTLED,
    Outcome,
    Performer,
    Settled,
    State,
    Task,
    Tx,
    effect_of,
    unsettled,
)
from bot.errors import GiveUp, Retry
from bot.gate import Turn
from bot.lanes import NO_LONGER, Lane, LaneRule, backoff, soonest
from bot.replicas import Roster
from bot.store import Store, away
from bot.sweep import Sweep

log = logging.getLogger(__name__)

LEADERS = frozenset({"pagerduty", "replies", "noise"})
"""Lanes that somebody is waiting for, or may be: what was held and is decided about anew may page."""
HEAD_START = 0.015
"""Seconds by which they go before the others of the same decision."""
PROMPT, IN_FLIGHT = 1.0, 3.0
"""Seconds within which a call leaves once it was noted down, and after which one that left has arrived, or never will."""
RELIEF = 0.2
"""Seconds an item in a journal must have been undecided for a process to take it up when another has left."""
SILENCE = 10.0
"""Seconds without a heartbeat, however short the lease, after which a process says that it is not ready."""
MAX_DEATHS, MAX_DEATHS_OF_LEADERS = 5, 20
"""How often a process may die while it does one thing that was taken over, until that is parked as the likely cause.

More often for what somebody waits for: a page is seldom the cause, and parking it is the worst that can happen to it.
"""


@dataclass(frozen=True)
class _Tried:
    """What came of a try. ``pause``: seconds until the next. ``answered``: whether the service answered; None: it was not asked."""

    state: State
    reason: str = ""
    pause: float = 0.0
    outcome: Outcome = field(default_factory=Outcome)
    answered: bool | None = True


class _Overtaken(Exception):
    """Another process has acted on this try, or ended it, since this one looked: it was frozen, and taken for dead."""


class Engine:
    """One process's durable executor.

    Build it, add performers and ticks, then ``launch``. ``transaction`` decides and writes down; what is owed in it is
    started as soon as it has committed, and is found again after a kill at any point.
    """

    def __init__(self, store: Store, lanes: Sequence[LaneRule], *, lease: float = 15.0, poll: float = 1.0) -> None:
        self.store = store
        self.lease = lease
        self.poll = poll
        self._roster = Roster(store, lease)
        self.id = self._roster.id
        self.settled: list[Callable[[Tx, Settled], None]] = []
        self.chores: list[Callable[[float], None]] = []
        """Called on every heartbeat with the seconds after which a dead replica's work may be taken up."""
        self._performers: dict[str, Performer] = {}
        self._ticks: dict[str, Callable[[float], None]] = {}
        self.pressed: Callable[[], bool] = lambda: False
        """Says whether alerts come in so fast that what wakes nobody should wait."""
        self._lanes = {
            rule.name: Lane(rule, self._try if rule.name in LEADERS else self._try_politely, claim=self._claim)
            for rule in lanes
        }
        self.stopping = threading.Event()
        """Set once this process has been asked to stop: what takes long ends early, and the next process does it."""
        self._flight = threading.Condition()
        self._flying: set[str] = set()
        self._suspects = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._seen: tuple[set[str], set[str]] = ({self.id}, set())
        self._durable = Durable(store, self.id, poll=poll)
        self._sweep = Sweep(store, self._lanes, self._durable, self.id, self._flying)

    def perform(self, performers: Sequence[Performer]) -> None:
        """Say how kinds of effects are done. A kind has one performer."""
        for performer in performers:
            self._performers[performer.kind] = performer

    def tick(self, name: str, run: Callable[[float], None]) -> None:
        """Say what a clock tick does; ``run(slot)`` gets the UNIX seconds the tick stands for."""
        self._ticks[name] = run

    # ---- life ---------------------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Start the durable executor, take over what a dead process left, and start what is owed."""
        try:
            self._durable.launch(self._perform, self._run_tick)
        except sa.exc.DBAPIError as e:
            raise self.store.unusable(e) from e
        self._pulse()
        self._take_over(self._seen)
        self.sweep(grace=None)
        self._threads = [
            threading.Thread(target=self._regularly, args=(work,), name=name, daemon=True)
            for name, work in (("heartbeat", self._pulse), ("caretaker", self._care))
        ]
        for thread in self._threads:
            thread.start()
        hears = (self.stopping, self._relieve)
        threading.Thread(target=self._roster.listen, args=hears, name="listener", daemon=True).start()

    def close(self, timeout: float = 15.0) -> None:
        """Stop taking, finish the calls in flight within ``timeout`` seconds, and hand the rest over at once."""
        deadline = time.monotonic() + timeout
        self.stopping.set()
        for lane in self._lanes.values():
            lane.close()
        if not self._answers():
            # Nothing that is in flight can be written down: the next process looks what has become of it.
            deadline = min(deadline, time.monotonic() + 1.0)
        for lane in self._lanes.values():
            lane.join(deadline)
        with self._flight:
            self._flight.wait_for(lambda: not self._flying, max(0.0, deadline - time.monotonic()))
        # A thread of its own: neither a database that is away nor one that is frozen may hold up the end.
        leave = threading.Thread(target=self._leave, name="leave", daemon=True)
        leave.start()
        leave.join(max(1.0, deadline - time.monotonic()))
        if leave.is_alive():
            log.warning("the database does not answer; the next process takes over when the lease has run out")

    def _answers(self) -> bool:
        """True when the database answers within a second."""
        answered = threading.Event()

        def ask() -> None:
            for _ in range(2):  # the first may get a connection that died in the pool
                with suppress(OSError, sa.exc.SQLAlchemyError):
                    self.store.ping()
                    answered.set()
                    return

        asked = threading.Thread(target=ask, name="ask", daemon=True)
        asked.start()
        asked.join(1.0)
        return answered.is_set()

    def _leave(self) -> None:
        """Say goodbye, so that the next process need not wait for the lease, and end the durable executor."""
        for thread in self._threads:
            thread.join()
        try:
            self._roster.leave()
        except sa.exc.SQLAlchemyError as e:
            log.warning("could not say goodbye, the database does not answer: %s", e)
        self._durable.destroy()

    def now(self) -> float:
        """UNIX s, for what the clock asks for; a replay has a clock of its own."""
        return time.time()

    # ---- decide ---------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, now: float, turn: Turn = Turn.SOON) -> Iterator[Tx]:
        """Decide and write down; after the commit the lanes start what is owed, most urgent first."""
        with self.store.write(turn) as c:
            tx = Tx(c, now)
            yield tx
        started = sorted(tx.started, key=lambda one: one[0].urgency)
        lead = any(effect.lane in LEADERS for effect, _, _ in started)
        for effect, attempt, due in started:
            # What wakes nobody starts a moment later: the page has the processor and the disk to itself.
            behind = HEAD_START if lead and effect.lane not in LEADERS else 0.0
            at = soonest(max(due, now + behind), max(due - now, behind))
            self._lanes[effect.lane].put(effect.key, attempt, urgency=effect.urgency, due=at, bucket=effect.bucket)

    def repair(self, tx: Tx, key: str) -> bool:
        """Owe a parked effect again; False when it is not parked."""
        t = EFFECTS()
        row = tx.c.execute(sa.select(t).where(t.c.key == key, t.c.state == State.GAVE_UP.value)).first()
        if row is None:
            return False
        tx.c.execute(t.update().where(t.c.key == key).values(state=State.OWED.value, due_at=tx.now, reason=""))
        tx.started.append((effect_of(row), row.attempt + 1, tx.now))
        return True

    # ---- act --------------------------------------------------------------------------------------------------------

    def _try_politely(self, key: str, attempt: int) -> None:
        """As ``_try``, but for at most a second it lets alerts come in and pages go out."""
        until = time.monotonic() + 1.0
        while self.pressed() and time.monotonic() < until and not self.stopping.wait(0.02):
            pass
        self._try(key, attempt)

    def _claim(self, key: str, attempt: int, bucket: str, pace: float) -> float:
        """Take a paced call for this process; on a shared database, unless another has made it meanwhile."""
        if self.store.sqlite:
            return 0.0
        with suppress(sa.exc.SQLAlchemyError):
            row = self._load(key)
            if row is None or State(row.state) in FINAL or row.attempt >= attempt:
                return NO_LONGER
        return self._roster.claim(bucket, pace)

    def _try(self, key: str, attempt: int) -> None:
        """A lane's thread: run one try as a durable workflow. A try that exists already is not run again."""
        try:
            if not self.store.sqlite:
                # The executor waits up to a minute and a half between its looks at a database that is away; we do not.
                self._patiently(self.store.ping)
            self._durable.run(key, attempt)
        except Exception:  # the engine is the one place that catches: a lane outlives any single effect
            log.exception("effect %s, try %d, broke; it will be swept up", key, attempt)

    def _perform(self, key: str, attempt: int) -> str:
        """The workflow: one try, recorded, taken over when this process dies in the middle of it."""
        with self._airborne(f"{key}#{attempt}"):
            told: dict[str, Any] = self._durable.step("try", lambda: self._step(key, attempt))
        if told["state"] == State.RETRYING.value:
            bucket, soft = told.get("bucket", ""), told.get("soft", False)  # not told by 0.1
            lane = self._lanes[told["lane"]]
            due = soonest(told["due"], told.get("pause", math.inf))
            lane.put(key, attempt + 1, urgency=told["urgency"], due=due, bucket=bucket, soft=soft)
        return str(told["state"])

    def _step(self, key: str, attempt: int) -> dict[str, Any]:
        row = self._patiently(lambda: self._load(key))
        if row is None:
            return {"state": State.SKIPPED.value}
        if State(row.state) in FINAL or row.attempt >= attempt:
            # Settled by an earlier run that was killed before its checkpoint.
            told = {"state": row.state, "lane": row.lane, "urgency": row.urgency}
            return told | {"due": row.due_at, "pause": row.pause, "bucket": row.bucket}
        ours = any(lane.holds(key, attempt) for lane in self._lanes.values())
        if row.tried and not self.store.sqlite and not (ours and row.attempt == attempt - 1):
            # The try before was another process's, and it may live: what it sent last may arrive only now.
            self.stopping.wait(min(IN_FLIGHT, max(0.0, row.tried_at + IN_FLIGHT - time.time())))
            row = self._patiently(lambda: self._load(key))
            if row is None or State(row.state) in FINAL or row.attempt >= attempt:
                return {"state": State.SKIPPED.value}
        if ours:
            return self._do(row, attempt)
        # Taken over from the dead, and it may be why they died: the longer it waits the more often, and all else goes
        # first. Those that have died before go one at a time, or an innocent one would be counted with the cause.
        if row.deaths:
            self.stopping.wait(min(8.0, 2.0 ** (row.deaths - 1)))
        with self._suspects if row.deaths else nullcontext():
            now = self._patiently(lambda: self._load(key)) if row.deaths else row
            if now is None or State(now.state) in FINAL:
                return {"state": State.SKIPPED.value}  # cancelled while it waited: what is not wanted is not done
            return {"state": State.GAVE_UP.value} if self._poison(now, attempt) else self._do(now, attempt)

    def _do(self, row: Any, attempt: int) -> dict[str, Any]:
        """Act, and write down what came of it."""
        key = row.key
        began = time.perf_counter()
        try:
            tried = self._attempt(row, attempt)
        except _Overtaken:
            self._lanes[row.lane].heard(key, attempt, answered=None)
            log.warning("effect %s, try %d: another process has taken it over; it is left alone here", key, attempt)
            return {"state": State.SKIPPED.value}  # the ledger is the other's; should it be dead, the sweep finds that
        took = (time.perf_counter() - began) * 1000
        self._lanes[row.lane].heard(key, attempt, answered=tried.answered)
        done = Settled(key, row.kind, row.lane, row.about, tried.state, attempt, took, tried.reason)
        due = time.time() + tried.pause
        self._patiently(lambda: self._settle(done, tried.outcome, due, tried.pause))
        told = {"state": tried.state.value, "lane": row.lane, "urgency": row.urgency, "due": due, "pause": tried.pause}
        return told | {"bucket": row.bucket, "soft": tried.answered is False}

    def _attempt(self, row: Any, attempt: int) -> _Tried:
        """Let the performer act, and say what came of it."""
        if row.deadline is not None and time.time() > row.deadline:
            return _Tried(State.SKIPPED, "it came too late to be undone in time, so it was not done", answered=None)
        lane = self._lanes[row.lane]
        try:
            outcome = self._performers.get(row.kind, _unknown(row.kind)).run(self._task(row, attempt))
        except Retry as e:
            if e.limited and e.after:
                lane.hold(row.bucket, e.after)
            # A pause that somebody asked for says that the service answers.
            answered = True if e.limited else None if e.after else False
            tried = _Tried(State.RETRYING, e.reason, backoff(attempt, lane.rule, after=e.after), answered=answered)
        except GiveUp as e:
            return _Tried(State.GAVE_UP, e.reason)
        except _Overtaken:
            raise
        except Exception as e:
            # A fault of ours is no reason to leave somebody asleep: it is tried again like any other.
            log.exception("effect %s broke", row.key)
            reason = f"a fault of mine, please report it: {type(e).__name__}: {e}"
            tried = _Tried(State.RETRYING, reason, backoff(attempt, lane.rule), answered=None)
        else:
            if outcome.skipped:
                return _Tried(State.SKIPPED, outcome.skipped, outcome=outcome, answered=None)
            return _Tried(State.DONE, outcome=outcome)
        if time.time() - row.created_at > lane.rule.patience_h * 3600:
            return _Tried(State.GAVE_UP, f"no success in {lane.rule.patience_h:g} h: {tried.reason}", answered=False)
        return tried

    def _task(self, row: Any, attempt: int) -> Task:
        tries = itertools.count(row.tried)
        return Task(
            row.key,
            row.kind,
            row.about,
            json.loads(row.args),
            attempt=attempt,
            tried=row.tried,
            tried_at=row.tried_at or 0.0,
            created_at=row.created_at,
            acting=lambda: self._acting(row.key, attempt, next(tries)),
        )

    def _load(self, key: str) -> Any:
        t = EFFECTS()
        with self.store.read() as c:
            return c.execute(sa.select(t).where(t.c.key == key)).first()

    def _acting(self, key: str, attempt: int, tried: int) -> float:
        """Commit that a call is about to go out that may act without our hearing of it; ``tried`` went out before it.

        Gives the monotonic s by which it has to leave. Whoever was frozen while another took over finds here that it is
        no longer its turn: raises _Overtaken.
        """
        t = EFFECTS()
        by = time.monotonic() + PROMPT
        mine = (t.c.key == key) & (t.c.tried == tried) & (t.c.attempt < attempt) & t.c.state.in_(UNSETTLED)
        with self.store.write() as c:
            values = {"tried": tried + 1, "tried_at": time.time()}
            if c.execute(t.update().where(mine).values(**values)).rowcount == 0:
                raise _Overtaken
        return by

    def _settle(self, done: Settled, outcome: Outcome, due: float, pause: float) -> None:
        t = EFFECTS()
        now = time.time()
        values: dict[str, Any] = {"state": done.state.value, "attempt": done.attempt, "reason": done.reason}
        values |= {"took_ms": round(done.took_ms, 1), "result": json.dumps(dict(outcome.result))}
        values |= {"due_at": due, "pause": pause, "deaths": 0}
        if done.state in FINAL:
            values["done_at"] = now
        with self.transaction(now, Turn.LATER) as tx:
            fresh = t.c.attempt < done.attempt
            if done.state is not State.DONE:
                # It was cancelled while this try ran: only what was done after all changes that.
                fresh &= t.c.state.in_(UNSETTLED)
            if tx.c.execute(t.update().where(t.c.key == done.key, fresh), values).rowcount == 0:
                return
            if outcome.apply is not None:
                outcome.apply(tx)
            if done.state in FINAL:
                tx.release(done.key)
            for tell in self.settled:
                tell(tx, done)

    def _patiently(self, work: Callable[[], Any]) -> Any:
        """Do database work; when the database is away, wait for it: an effect that acted must be written down."""
        pause = 0.1
        while True:
            try:
                return work()
            except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError) as e:
                if self.stopping.is_set() or not away(e):
                    raise
                said = str(getattr(e, "orig", e)).splitlines()[:1]
                log.warning("the database does not answer, trying again in %.1f s: %s", pause, "".join(said))
                self.stopping.wait(pause)
                pause = min(2.0, pause * 2)

    # ---- clock --------------------------------------------------------------------------------------------------------

    def ticked(self, name: str, slot: dt.datetime) -> None:
        """A clock tick: N replicas that all hear it run it once, because they give it the same name."""
        self._durable.enqueue_tick(name, slot)

    def _run_tick(self, name: str, slot: float) -> None:
        with self._airborne(f"{name}@{slot}"):
            self._durable.step(name, lambda: self._ticks[name](slot))

    @contextmanager
    def _airborne(self, name: str) -> Iterator[None]:
        """Something runs that a clean stop waits for."""
        with self._flight:
            self._flying.add(name)
        try:
            yield
        finally:
            with self._flight:
                self._flying.discard(name)
                self._flight.notify_all()

    # ---- replicas, recovery, retention ---------------------------------------------------------------------------------

    def _take_over(self, seen: tuple[set[str], set[str]]) -> None:
        """The lowest living id carries on what the dead had in hand, in memory and in the journals."""
        alive, gone = seen
        if self.id != min(alive):
            return
        dead = self._durable.take_over(alive)
        if dead:
            log.info("taking over the work of %d dead process(es)", dead)
        if not gone:
            return
        self.sweep(grace=None)
        # Last, so that a kill in the middle of this leaves it to the next.
        self._roster.forget(gone)

    def sweep(self, *, grace: float | None) -> int:
        """Put into the lanes what is owed and nobody works on; returns how many.

        With ``grace``: what should have been tried that many seconds ago. With None: everything, each at its time.
        """
        return self._sweep(grace)

    def _poison(self, row: Any, attempt: int) -> bool:
        """Count that a try taken over from the dead is run again; True when it is parked instead.

        A process that dies while a try waits does not count. A person has to look at what is parked; all else goes on.
        """
        t = EFFECTS()
        if row.deaths < (MAX_DEATHS_OF_LEADERS if row.lane in LEADERS else MAX_DEATHS):
            self._patiently(lambda: self._write(t.update().where(t.c.key == row.key).values(deaths=t.c.deaths + 1)))
            return False
        reason = f"{row.deaths} processes of mine died one after the other while they did this; see my log, then repair"
        log.error("effect %s is given up: %s", row.key, reason)
        done = Settled(row.key, row.kind, row.lane, row.about, State.GAVE_UP, attempt, 0.0, reason)
        self._patiently(lambda: self._settle(done, Outcome(), time.time(), 0.0))
        return True

    def _write(self, statement: sa.Executable) -> None:
        with self.store.write() as c:
            c.execute(statement)

    def _tell_kept_back(self) -> None:
        """What waits for a service that is down has not failed, but whoever looks must not read "on its way"."""
        t = EFFECTS()
        for lane in self._lanes.values():
            keys = lane.kept_back() if lane.down else []
            for start in range(0, len(keys), 200):
                now = time.time()
                with self.transaction(now, Turn.LATER) as tx:
                    fresh = t.c.key.in_(keys[start : start + 200]) & (t.c.state == State.OWED.value)
                    for row in tx.c.execute(sa.select(t).where(fresh)).all():
                        reason = f"{lane.rule.title} does not answer; I keep asking, and this goes as soon as it does"
                        values = {"state": State.RETRYING.value, "reason": reason}
                        tx.c.execute(t.update().where(t.c.key == row.key).values(**values))
                        told = Settled(row.key, row.kind, row.lane, row.about, State.RETRYING, row.attempt, 0.0, reason)
                        for tell in self.settled:
                            tell(tx, told)

    def purge(self, *, days: float) -> int:
        """Delete finished workflows older than ``days``; returns how many. The ledger stays with its incidents."""
        return self._durable.purge(dt.datetime.now(dt.UTC) - dt.timedelta(days=days))

    def owed(self) -> Mapping[str, tuple[int, float]]:
        """For each lane: (effects not settled, age of the oldest in seconds). What is for later is not late."""
        t = EFFECTS()
        now = time.time()
        late = unsettled(t) & ((t.c.attempt > 0) | (t.c.due_at <= now))
        counted = sa.select(t.c.lane, sa.func.count(), sa.func.min(t.c.created_at)).group_by(t.c.lane)
        with self.store.read() as c:
            rows = c.execute(counted.where(late)).all()
        return {lane: (n, now - oldest) for lane, n, oldest in rows}

    @property
    def replicas(self) -> int:
        """How many processes lived when this one last looked, this one among them."""
        return len(self._seen[0])

    def beating(self) -> bool:
        """True while heartbeats are written: a database may answer and yet take nothing, as on a full disk."""
        return time.monotonic() - self._roster.beat_at < max(self.lease, SILENCE)

    def _pulse(self) -> None:
        self._seen = self._roster.beat()

    def _care(self) -> None:
        """Apart from the heartbeat: the executor waits long for a database that is away, and we must not seem dead."""
        if self._seen[1] or not self.store.sqlite:
            # Alone on its file a process has found the dead when it started; the executor reads a week's tries for this.
            self._take_over(self._seen)
        self.sweep(grace=self.lease)
        self._tell_kept_back()
        for chore in self.chores:
            chore(self.lease)
        # What still waits for something settled: of two transactions at once neither saw the other.
        with self.transaction(time.time(), Turn.LATER) as tx:
            tx.let_go()

    def _relieve(self) -> None:
        """Another process has left: take up at once what it left behind, in its lanes and in its journals."""
        self._pulse()
        self._take_over(self._seen)
        for chore in self.chores:
            chore(RELIEF)

    def _regularly(self, work: Callable[[], None]) -> None:
        while not self.stopping.wait(self.lease / 3):
            try:
                work()
            except sa.exc.SQLAlchemyError as e:
                log.warning("the database does not answer: %s", e)
            except Exception:  # a process without a heartbeat is taken for dead
                log.exception("the engine's own housekeeping broke; it is tried again")


def _unknown(kind: str) -> Performer:
    def refuse(_task: Task) -> Outcome:
        raise GiveUp(f"this release does not know how to do '{kind}'")

    return Performer(kind, refuse)
