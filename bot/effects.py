"""What is owed to the outside: the ledger of effects, the transaction that writes it, the lanes that start it.

An effect is one thing to do outside (a page, a post, a ticket), written down in the same transaction as the decision
that asks for it. Effects are independent: none waits for, or fails with, another, unless it says ``after``.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

log = logging.getLogger(__name__)


class State(StrEnum):
    """Where an effect stands."""

    WAITING = "waiting"  # for the effect it comes after
    OWED = "owed"  # to be tried as soon as its lane is free
    RETRYING = "retrying"  # tried, will be tried again at due_at
    DONE = "done"  # the outside has accepted it and we have stored that
    SKIPPED = "skipped"  # no longer wanted when its turn came
    GAVE_UP = "gave_up"  # cannot work until a person changes something


FINAL = (State.DONE, State.SKIPPED, State.GAVE_UP)
UNSETTLED = (State.OWED.value, State.RETRYING.value)
"""The states in which an effect is to be tried."""


class EffectRow(SQLModel, table=True):
    """The ledger. Times are UNIX seconds; ``args`` and ``result`` are JSON without secrets."""

    __tablename__ = "effects"

    key: str = Field(primary_key=True)
    kind: str
    lane: str
    about: int | None = Field(default=None, index=True)
    args: str = "{}"
    urgency: int = 5
    after: str | None = Field(default=None, index=True)
    state: str
    attempt: int = 0
    tried: int = 0
    tried_at: float | None = None
    due_at: float
    pause: float = 0.0
    deadline: float | None = None
    created_at: float
    done_at: float | None = None
    took_ms: float | None = None
    reason: str = ""
    result: str = "{}"


@dataclass(frozen=True)
class Effect:
    """One thing to do outside.

    ``key``: ours, unique for ever, carries the occurrence. ``lane``: which outside service. ``about``: incident number.
    ``urgency``: smaller goes first. ``after``: key of the effect that must be settled before. ``delay``: seconds to wait.
    ``deadline``: UNIX s after which no try is begun: what came too late to be undone in time is not done at all.
    """

    key: str
    kind: str
    lane: str
    about: int | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    urgency: int = 5
    after: str | None = None
    delay: float = 0.0
    deadline: float | None = None


@dataclass(frozen=True)
class Task:
    """An effect as its performer sees it.

    Before a call that is not idempotent at the service the performer calls ``acting``: that is committed first, so that
    a later try knows from ``tried`` (how often) and ``tried_at`` (when last, UNIX s) that the call may have acted.
    """

    key: str
    kind: str
    about: int | None
    args: Mapping[str, Any]
    attempt: int
    tried: int
    tried_at: float
    created_at: float
    acting: Callable[[], None]


@dataclass(frozen=True)
class Outcome:
    """What a performer achieved. ``apply`` writes it into the subject's tables, in the transaction that settles it."""

    result: Mapping[str, Any] = field(default_factory=dict)
    apply: Callable[[Tx], None] | None = None
    skipped: str = ""


@dataclass(frozen=True)
class Performer:
    """How one kind of effect is done."""

    kind: str
    run: Callable[[Task], Outcome]


@dataclass(frozen=True)
class Settled:
    """An effect after a try, told to whoever shows the truth about effects."""

    key: str
    kind: str
    lane: str
    about: int | None
    state: State
    attempt: int
    took_ms: float
    reason: str


class Tx:
    """A write transaction of the application: decide and write down here, act outside later."""

    def __init__(self, connection: Connection, now: float) -> None:
        self.c = connection
        self.now = now
        self.started: list[tuple[Effect, int, float]] = []
        self._mine: set[str] = set()

    def owe(self, effect: Effect) -> bool:
        """Write an effect down; False when its key is owed or done already."""
        t = EFFECTS()
        state = State.OWED
        if effect.after is not None and not self._settled(effect.after):
            state = State.WAITING
        due = self.now + effect.delay
        row = {
            "key": effect.key,
            "kind": effect.kind,
            "lane": effect.lane,
            "about": effect.about,
            "args": json.dumps(dict(effect.args), ensure_ascii=False),
            "urgency": effect.urgency,
            "after": effect.after,
            "state": state.value,
            "attempt": 0,
            "tried": 0,
            "due_at": due,
            "pause": effect.delay,
            "deadline": effect.deadline,
            "created_at": self.now,
            "reason": "",
            "result": "{}",
        }
        if insert_once(self.c, t, row) is None:
            return False
        self._mine.add(effect.key)
        if state is State.OWED:
            self.started.append((effect, 1, due))
        return True

    def release(self, key: str) -> None:
        """Let the effects that waited for ``key`` go."""
        t = EFFECTS()
        waiting = sa.select(t).where(t.c.after == key, t.c.state == State.WAITING.value)
        for row in self.c.execute(waiting).all():
            due = max(self.now, row.due_at)
            self.c.execute(t.update().where(t.c.key == row.key).values(state=State.OWED.value, due_at=due))
            self.started.append((effect_of(row), row.attempt + 1, due))

    def hasten(self, key: str) -> bool:
        """Do now what was to be done later; False when it is settled, or waits for another effect."""
        t = EFFECTS()
        mine = (t.c.key == key) & t.c.state.in_(UNSETTLED)
        if self.c.execute(t.update().where(mine).values(due_at=self.now, pause=0.0)).rowcount == 0:
            return False
        row = self.c.execute(sa.select(t).where(t.c.key == key)).one()
        self.started.append((effect_of(row), row.attempt + 1, self.now))
        return True

    def cancel(self, key: str, why: str) -> bool:
        """Begin no more tries of an effect; False when it is settled. A try that runs already settles as it ends."""
        t = EFFECTS()
        mine = (t.c.key == key) & t.c.state.in_((State.WAITING.value, *UNSETTLED))
        values = {"state": State.SKIPPED.value, "reason": why, "done_at": self.now}
        if self.c.execute(t.update().where(mine).values(**values)).rowcount == 0:
            return False
        self.release(key)
        return True

    def _settled(self, key: str) -> bool:
        if key in self._mine:
            return False
        t = EFFECTS()
        state = self.c.execute(sa.select(t.c.state).where(t.c.key == key)).scalar()
        return state is None or State(state) in FINAL


def EFFECTS() -> sa.Table:  # noqa: N802 - it is the table
    """The ledger's table, for SQL."""
    return EffectRow.__table__  # type: ignore[attr-defined,no-any-return]


def insert_once(c: Connection, table: sa.Table, row: Mapping[str, Any]) -> Any:
    """INSERT … ON CONFLICT DO NOTHING; the new row's key, or None. Works the same on SQLite and PostgreSQL."""
    return c.execute(_insert_once(table, postgres=c.dialect.name == "postgresql"), dict(row)).first()


@functools.cache
def _insert_once(table: sa.Table, *, postgres: bool) -> Any:
    """The statement, built once: its values come as parameters, which is five times quicker than values in it."""
    made = (postgresql if postgres else sqlite).insert(table)
    # RETURNING says it on both databases; the row count does not where the driver fetches the new key itself.
    return made.on_conflict_do_nothing().returning(*table.primary_key.columns)


def effect_of(row: Any) -> Effect:
    """The effect a ledger row stands for."""
    return Effect(row.key, row.kind, row.lane, row.about, json.loads(row.args), row.urgency, row.after)


def backoff(attempt: int, rule: LaneRule, *, after: float | None = None) -> float:
    """Seconds until try ``attempt + 1``: doubling from ``rule.first`` to ``rule.cap``, jittered, never before ``after``."""
    grown = min(rule.cap, rule.first * 2.0 ** min(attempt - 1, 20))
    return max(after or 0.0, grown * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load, keeps no secret


@dataclass(frozen=True)
class LaneRule:
    """One outside service's lane: how many calls at once, first and longest pause between tries, hours of patience."""

    name: str
    workers: int
    first: float = 1.0
    cap: float = 120.0
    patience_h: float = 24.0


class Lane:
    """Starts the effects of one outside service, most urgent first, on at most ``workers`` threads.

    It holds keys in memory only to be quick: the ledger is the truth, and whatever a kill loses here is swept up again.
    """

    def __init__(
        self, rule: LaneRule, run: Callable[[str, int], None], *, clock: Callable[[], float] = time.time
    ) -> None:
        self.rule = rule
        self._run = run
        self._clock = clock
        self._ready: list[tuple[int, int, str, int]] = []
        self._later: list[tuple[float, int, int, str, int]] = []
        self._held: dict[tuple[str, int], int] = {}
        """What waits or runs here, and which of its places in the queues counts."""
        self._asleep: set[tuple[str, int]] = set()
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def put(self, key: str, attempt: int, *, urgency: int, due: float) -> None:
        """Start try ``attempt`` of an effect at ``due`` (UNIX s). Putting the same try twice is one try.

        One that waits for later is started now when it is put again and due now.
        A pause between tries waits here and in the ledger's ``due_at``: it holds no thread, and survives a kill.
        """
        task = (key, attempt)
        with self._wake:
            pause = due - self._clock()
            if self._closed or (task in self._held and (pause > 0 or task not in self._asleep)):
                return
            n = next(self._order)
            self._held[task] = -n
            # Newest first among equals: in a storm the new critical page does not stand behind the old ones.
            if pause <= 0:
                self._asleep.discard(task)
                heapq.heappush(self._ready, (urgency, -n, key, attempt))
            else:
                self._asleep.add(task)
                # Waited for by the clock that is never set: an hour put back must not be an hour of nobody being woken.
                heapq.heappush(self._later, (time.monotonic() + pause, urgency, -n, key, attempt))
            self._hire()

    def _hire(self) -> None:
        """Wake or start a thread, so that no try waits behind another's slow call while the lane has room."""
        self._wake.notify()
        if max(1, len(self._ready)) > self._idle and len(self._threads) < self.rule.workers:
            name = f"lane-{self.rule.name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def holds(self, key: str, attempt: int) -> bool:
        """True when this try waits or runs here."""
        return (key, attempt) in self._held

    def close(self) -> None:
        """Take no more and start no more."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()

    def join(self, deadline: float) -> None:
        """After ``close``: wait for the calls in flight until ``deadline`` (monotonic s)."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (task := self._next()) is not None:
            key, attempt = task
            try:
                self._run(key, attempt)
            finally:
                with self._wake:
                    self._held.pop(task, None)

    def _next(self) -> tuple[str, int] | None:
        with self._wake:
            while not self._closed:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    _, urgency, n, key, attempt = heapq.heappop(self._later)
                    if self._held.get((key, attempt)) == n:  # else it was hastened, and this place counts no more
                        self._asleep.discard((key, attempt))
                        heapq.heappush(self._ready, (urgency, n, key, attempt))
                if self._ready:
                    _, _, key, attempt = heapq.heappop(self._ready)
                    if self._ready or self._later:
                        self._hire()
                    return key, attempt
                self._idle += 1
                self._wake.wait(self._later[0][0] - now if self._later else None)
                self._idle -= 1
            return None


def overdue(c: Connection, *, before: float) -> Sequence[Any]:
    """Ledger rows that should have been tried by ``before`` and have not been settled, the most urgent first."""
    t = EFFECTS()
    late = sa.select(t).where(t.c.state.in_(UNSETTLED), t.c.due_at <= before)
    return c.execute(late.order_by(t.c.urgency, t.c.created_at)).all()
