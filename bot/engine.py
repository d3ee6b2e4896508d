"""Carries out what is owed and never forgets: every try is a durable workflow. The only file that knows DBOS."""

from __future__ import annotations

import datetime as dt
import json
import logging
import math
import os
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID
from sqlmodel import Field, SQLModel

from bot.effects import (
    EFFECTS,
    FINAL,
    UNSETTLED,
    Lane,
    LaneRule,
    Outcome,
    Performer,
    Settled,
    State,
    Task,
    Tx,
    backoff,
    effect_of,
    overdue,
)
from bot.errors import ConfigError, GiveUp, Retry
from bot.store import NOTICE_A_DEAD_SERVER, Store, away

log = logging.getLogger(__name__)

VERSION = "1"
"""Constant: open workflows of an older release are carried on by the newer one; changed flows use DBOS.patch."""
LEADERS = frozenset({"pagerduty", "replies"})
"""Lanes that somebody is waiting for."""
HEAD_START = 0.015
"""Seconds by which they go before the others of the same decision."""
UNFINISHED = ("PENDING", "ENQUEUED", "DELAYED")


class Replica(SQLModel, table=True):
    """Heartbeat of one process; ``seen`` by the database's clock."""

    __tablename__ = "replicas"

    id: str = Field(primary_key=True)
    seen: float


class _Quick(sqlite3.Connection):
    """The executor's own file: safe from kill -9; what a power cut takes of it, the ledger knows and is done again."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.execute("pragma synchronous=normal")


class Engine:
    """One process's durable executor.

    Build it, add performers and ticks, then ``launch``. ``transaction`` decides and writes down; what is owed in it is
    started as soon as it has committed, and is found again after a kill at any point.
    """

    def __init__(self, store: Store, lanes: Sequence[LaneRule], *, lease: float = 15.0, poll: float = 1.0) -> None:
        self.store = store
        self.lease = lease
        self.poll = poll
        self.id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.settled: list[Callable[[Tx, Settled], None]] = []
        self.chores: list[Callable[[float], None]] = []
        """Called on every heartbeat with the seconds after which a dead replica's work may be taken up."""
        self._performers: dict[str, Performer] = {}
        self._ticks: dict[str, Callable[[float], None]] = {}
        self.pressed: Callable[[], bool] = lambda: False
        """Says whether alerts come in so fast that what wakes nobody should wait."""
        self._lanes = {
            rule.name: Lane(rule, self._try if rule.name in LEADERS else self._try_politely) for rule in lanes
        }
        self._closing = threading.Event()
        self._flight = threading.Condition()
        self._flying: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._seen: tuple[set[str], set[str]] = ({self.id}, set())
        self._dropped: set[str] = set()
        """Tries that were ours on paper and in no thread's hand when last looked; twice in a row is no coincidence."""
        self._effect: Callable[[str, int], str] = self._perform
        self._tick: Callable[[str, float], None] = self._run_tick

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
        logging.getLogger("dbos").setLevel(logging.ERROR)
        config: DBOSConfig = {
            "name": "release-captain",
            "application_version": VERSION,
            "executor_id": self.id,
            "system_database_url": self._system_url(),
            "log_level": "ERROR",
            "console_log_level": "ERROR",
            "serializer": DBOSPortableJSONSerializer(),
            "notification_listener_polling_interval_sec": 0.2,
            "sys_db_pool_size": 20,
        }
        if self.store.sqlite:
            config["db_engine_kwargs"] = {"connect_args": {"factory": _Quick}}
        else:
            config["db_engine_kwargs"] = {"connect_args": dict(NOTICE_A_DEAD_SERVER)}
        try:
            DBOS(config=config)
            self._register()
            DBOS.launch()
            DBOS.register_queue("cron", polling_interval_sec=self.poll, worker_concurrency=2)
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

    def _register(self) -> None:
        """Make the two workflows; their names and arguments are stored, so a newer release must keep them."""

        def effect(key: str, attempt: int) -> str:
            return self._perform(key, attempt)

        def tick(name: str, slot: float) -> None:
            self._run_tick(name, slot)

        self._effect = DBOS.workflow(name="effect")(effect)
        self._tick = DBOS.workflow(name="tick")(tick)

    def close(self, timeout: float = 15.0) -> None:
        """Stop taking, finish the calls in flight within ``timeout`` seconds, and hand the rest over at once."""
        deadline = time.monotonic() + timeout
        self._closing.set()
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
        t = Replica.__table__  # type: ignore[attr-defined]
        try:
            with self.store.write() as c:
                c.execute(t.delete().where(t.c.id == self.id))
        except sa.exc.SQLAlchemyError as e:
            log.warning("could not say goodbye, the database does not answer: %s", e)
        # Its own wait for running workflows sleeps at least a second; ours is over already.
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=0)

    def _system_url(self) -> str:
        if self.store.path is None:
            return self.store.url.replace("postgresql+psycopg://", "postgresql://")
        # A file of its own: one writer lock shared by both can starve the executor's connection pool.
        path = self.store.path.with_suffix(".dbos.db")
        try:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("pragma journal_mode=wal")
        except sqlite3.Error as e:
            raise ConfigError(
                f"captain.database: {path}, the executor's own file beside it, cannot be used: {e}"
            ) from e
        return f"sqlite:///{path}"

    # ---- decide ---------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, now: float) -> Iterator[Tx]:
        """Decide and write down; after the commit the lanes start what is owed, most urgent first."""
        with self.store.write() as c:
            tx = Tx(c, now)
            yield tx
        started = sorted(tx.started, key=lambda one: one[0].urgency)
        lead = any(effect.lane in LEADERS for effect, _, _ in started)
        for effect, attempt, due in started:
            # What wakes nobody starts a moment later: the page has the processor and the disk to itself.
            behind = HEAD_START if lead and effect.lane not in LEADERS else 0.0
            self._lanes[effect.lane].put(effect.key, attempt, urgency=effect.urgency, due=max(due, now + behind))

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
        while self.pressed() and time.monotonic() < until and not self._closing.wait(0.02):
            pass
        self._try(key, attempt)

    def _try(self, key: str, attempt: int) -> None:
        """A lane's thread: run one try as a durable workflow. A try that exists already is not run again."""
        try:
            if not self.store.sqlite:
                # The executor waits up to a minute and a half between its looks at a database that is away; we do not.
                self._patiently(self.store.ping)
            with SetWorkflowID(f"{key}#{attempt}"):
                self._effect(key, attempt)
        except Exception:  # the engine is the one place that catches: a lane outlives any single effect
            log.exception("effect %s, try %d, broke; it will be swept up", key, attempt)

    def _perform(self, key: str, attempt: int) -> str:
        """The workflow: one try, recorded, taken over when this process dies in the middle of it."""
        with self._airborne(f"{key}#{attempt}"):
            told: dict[str, Any] = DBOS.run_step({"name": "try"}, lambda: self._step(key, attempt))
        if told["state"] == State.RETRYING.value:
            self._lanes[told["lane"]].put(key, attempt + 1, urgency=told["urgency"], due=told["due"])
        return str(told["state"])

    def _step(self, key: str, attempt: int) -> dict[str, Any]:
        row = self._patiently(lambda: self._load(key))
        if row is None:
            return {"state": State.SKIPPED.value}
        if State(row.state) in FINAL or row.attempt >= attempt:
            # Settled by an earlier run that was killed before its checkpoint.
            return {"state": row.state, "lane": row.lane, "urgency": row.urgency, "due": row.due_at}
        began = time.perf_counter()
        outcome, state, reason, delay = self._attempt(row, attempt)
        took = (time.perf_counter() - began) * 1000
        done = Settled(key, row.kind, row.lane, row.about, state, attempt, took, reason)
        due = time.time() + delay
        self._patiently(lambda: self._settle(done, outcome, due, delay))
        return {"state": state.value, "lane": row.lane, "urgency": row.urgency, "due": due}

    def _attempt(self, row: Any, attempt: int) -> tuple[Outcome, State, str, float]:
        """Let the performer act: what it achieved, the state that follows, why, and the seconds until the next try."""
        if row.deadline is not None and time.time() > row.deadline:
            return Outcome(), State.SKIPPED, "it came too late to be undone in time, so it was not done", 0.0
        rule = self._lanes[row.lane].rule
        task = Task(
            row.key,
            row.kind,
            row.about,
            json.loads(row.args),
            attempt=attempt,
            tried=row.tried,
            tried_at=row.tried_at or 0.0,
            created_at=row.created_at,
            acting=lambda: self._acting(row.key),
        )
        try:
            outcome = self._performers.get(row.kind, _unknown(row.kind)).run(task)
        except Retry as e:
            reason, delay = e.reason, backoff(attempt, rule, after=e.after)
        except GiveUp as e:
            return Outcome(), State.GAVE_UP, e.reason, 0.0
        except Exception as e:
            # A fault of ours is no reason to leave somebody asleep: it is tried again like any other.
            log.exception("effect %s broke", row.key)
            reason = f"a fault of mine, please report it: {type(e).__name__}: {e}"
            delay = backoff(attempt, rule)
        else:
            return outcome, State.SKIPPED if outcome.skipped else State.DONE, outcome.skipped, 0.0
        if time.time() - row.created_at > rule.patience_h * 3600:
            return Outcome(), State.GAVE_UP, f"no success in {rule.patience_h:g} h: {reason}", 0.0
        return Outcome(), State.RETRYING, reason, delay

    def _load(self, key: str) -> Any:
        t = EFFECTS()
        with self.store.read() as c:
            return c.execute(sa.select(t).where(t.c.key == key)).first()

    def _acting(self, key: str) -> None:
        """Commit that a call is about to go out that may act without our hearing of it."""
        t = EFFECTS()
        with self.store.write() as c:
            c.execute(t.update().where(t.c.key == key).values(tried=t.c.tried + 1, tried_at=time.time()))

    def _settle(self, done: Settled, outcome: Outcome, due: float, pause: float) -> None:
        t = EFFECTS()
        now = time.time()
        values: dict[str, Any] = {"state": done.state.value, "attempt": done.attempt, "reason": done.reason}
        values |= {"took_ms": round(done.took_ms, 1), "result": json.dumps(dict(outcome.result))}
        values |= {"due_at": due, "pause": pause}
        if done.state in FINAL:
            values["done_at"] = now
        with self.transaction(now) as tx:
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
                if self._closing.is_set() or not away(e):
                    raise
                said = str(getattr(e, "orig", e)).splitlines()[:1]
                log.warning("the database does not answer, trying again in %.1f s: %s", pause, "".join(said))
                self._closing.wait(pause)
                pause = min(2.0, pause * 2)

    # ---- clock --------------------------------------------------------------------------------------------------------

    def ticked(self, name: str, slot: dt.datetime) -> None:
        """A clock tick: N replicas that all hear it run it once, because they give it the same name."""
        at = slot.astimezone(dt.UTC)
        with SetWorkflowID(f"cron:{name}:{at.isoformat()}"):
            DBOS.enqueue_workflow("cron", self._tick, name, at.timestamp())

    def _run_tick(self, name: str, slot: float) -> None:
        with self._airborne(f"{name}@{slot}"):
            DBOS.run_step({"name": name}, lambda: self._ticks[name](slot))

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

    def beat(self) -> tuple[set[str], set[str]]:
        """Say that this process lives; returns the ids of the living and of the dead that nobody has taken over."""
        t = Replica.__table__  # type: ignore[attr-defined]
        with self.store.write() as c:
            clock = sa.text("select extract(epoch from clock_timestamp())::float8")
            at = time.time() if self.store.sqlite else float(c.execute(clock).scalar_one())
            c.execute(t.delete().where(t.c.id == self.id))
            c.execute(t.insert().values(id=self.id, seen=at))
            seen = {row.id: row.seen for row in c.execute(sa.select(t)).all()}
        if self.store.sqlite:
            # The file lock says that we are alone.
            alive = {self.id}
        else:
            # A time to come is one from before the clock was set back: whoever wrote it and lives writes a new one soon.
            alive = {one for one, when in seen.items() if abs(at - when) < self.lease} | {self.id}
        return alive, set(seen) - alive

    def _take_over(self, seen: tuple[set[str], set[str]]) -> None:
        """The lowest living id carries on what the dead had in hand, in memory and in the journals."""
        alive, gone = seen
        if self.id != min(alive):
            return
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        dead = {w.executor_id for w in pending if w.executor_id} - alive
        if dead:
            log.info("taking over the work of %d dead process(es)", len(dead))
            # Internal, held by a contract test: takes only rows still owned by the dead, and counts the attempts.
            DBOS._recover_pending_workflows(sorted(dead))  # noqa: SLF001
        if not gone:
            return
        self.sweep(grace=None)
        t = Replica.__table__  # type: ignore[attr-defined]
        with self.store.write() as c:
            # Last, so that a kill in the middle of this leaves it to the next; one that wakes up writes its row again.
            c.execute(t.delete().where(t.c.id.in_(sorted(gone))))

    def sweep(self, *, grace: float | None) -> int:
        """Put into the lanes what is owed and nobody works on; returns how many.

        With ``grace``: what should have been tried that many seconds ago. With None: everything, each at its time.
        """
        with self.store.read() as c:
            rows = overdue(c, before=math.inf if grace is None else time.time() - grace)
        found, dropped = 0, set[str]()
        for start in range(0, len(rows), 200):
            tries = {row.key: (row, row.attempt + 1) for row in rows[start : start + 200]}
            while tries:
                states = self._states([f"{key}#{n}" for key, (_, n) in tries.items()])
                spent: dict[str, tuple[Any, int]] = {}
                for key, (row, n) in tries.items():
                    status, owner = states.get(f"{key}#{n}", (None, None))
                    lane = self._lanes[row.lane]
                    if status is None:
                        lane.put(key, n, urgency=row.urgency, due=row.due_at)
                        found += 1
                    elif owner == self.id and not lane.holds(key, n) and f"{key}#{n}" not in self._flying:
                        dropped.add(f"{key}#{n}")
                    if status is not None and (status not in UNFINISHED or f"{key}#{n}" in dropped & self._dropped):
                        # That try has ended without settling anything (a fault in the executor): it takes a new number.
                        spent[key] = (row, n + 1)
                tries = spent
        self._dropped = dropped
        return found

    def _states(self, ids: list[str]) -> dict[str, tuple[str, str | None]]:
        known = DBOS.list_workflows(workflow_ids=ids, load_input=False, load_output=False)
        return {w.workflow_id: (w.status, w.executor_id if w.status == "PENDING" else None) for w in known}

    def purge(self, *, days: float) -> int:
        """Delete finished workflows older than ``days``; returns how many. The ledger stays with its incidents."""
        before = (dt.datetime.now(dt.UTC) - dt.timedelta(days=days)).isoformat()
        status = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
        gone = 0
        while True:
            found = DBOS.list_workflows(
                status=status, completed_before=before, limit=500, load_input=False, load_output=False
            )
            if not found:
                return gone
            DBOS.delete_workflows([w.workflow_id for w in found])
            gone += len(found)

    def owed(self) -> Mapping[str, tuple[int, float]]:
        """For each lane: (effects not settled, age of the oldest in seconds). What is for later is not late."""
        t = EFFECTS()
        now = time.time()
        late = t.c.state.in_(UNSETTLED) & ((t.c.attempt > 0) | (t.c.due_at <= now))
        counted = sa.select(t.c.lane, sa.func.count(), sa.func.min(t.c.created_at)).group_by(t.c.lane)
        with self.store.read() as c:
            rows = c.execute(counted.where(late)).all()
        return {lane: (n, now - oldest) for lane, n, oldest in rows}

    def _pulse(self) -> None:
        self._seen = self.beat()

    def _care(self) -> None:
        """Apart from the heartbeat: the executor waits long for a database that is away, and we must not seem dead."""
        self._take_over(self._seen)
        self.sweep(grace=self.lease)
        for chore in self.chores:
            chore(self.lease)

    def _regularly(self, work: Callable[[], None]) -> None:
        while not self._closing.wait(self.lease / 3):
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
