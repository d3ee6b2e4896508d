"""What is owed to the outside: the ledger of effects and the transaction that writes it.

An effect is one thing to do outside (a page, a post, a ticket), written down in the same transaction as the decision
that asks for it. Effects are independent: none waits for, or fails with, another, unless it says ``after``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel


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
LEFT = (State.WAITING.value, *UNSETTLED, State.GAVE_UP.value)
"""The states of what is not done and was not found to be unwanted."""


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
    deaths: int = 0
    bucket: str = ""
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
    ``bucket``: whose rate limit at the service it counts for, such as "post:C012AB3CD"; see ``LaneRule.paces``.
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
    bucket: str = ""


@dataclass(frozen=True)
class Task:
    """An effect as its performer sees it.

    Before a call that is not idempotent at the service the performer calls ``acting``: that is committed first, so that
    a later try knows from ``tried`` (how often) and ``tried_at`` (when last, UNIX s) that the call may have acted. It gives
    the monotonic s by which the call has to leave: after that another process may be doing the same.
    """

    key: str
    kind: str
    about: int | None
    args: Mapping[str, Any]
    attempt: int
    tried: int
    tried_at: float
    created_at: float
    acting: Callable[[], float]


@dataclass(frozen=True)
class Outcome:
    """What a performer achieved. ``apply`` writes it into the subject's tables, in the transaction that settles it."""

    result: Mapping[str, Any] = field(default_factory=dict)
    apply: Callable[[Tx], None] | None = None
    skipped: str = ""


@dataclass(frozen=True)
class Performer:
    """How one kind of effect is done. ``decides``: it only decides and asks nobody outside, so a replay does it too."""

    kind: str
    run: Callable[[Task], Outcome]
    decides: bool = False


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
            "deaths": 0,
            "due_at": due,
            "pause": effect.delay,
            "deadline": effect.deadline,
            "bucket": effect.bucket,
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
            # Never later than its own pause from now: the clock may have been set back since it was owed.
            due = max(self.now, min(row.due_at, self.now + row.pause))
            still = (t.c.key == row.key) & (t.c.state == State.WAITING.value)
            if self.c.execute(t.update().where(still).values(state=State.OWED.value, due_at=due)).rowcount:
                self.started.append((effect_of(row), row.attempt + 1, due))

    def let_go(self) -> None:
        """Release what still waits for something that is settled: it was owed in the moment in which that settled."""
        t = EFFECTS()
        first = t.alias()
        asked = sa.select(t.c.after).distinct().join(first, first.c.key == t.c.after)
        waits = t.c.state == _written(State.WAITING.value)
        over = waits & first.c.state.in_(tuple(state.value for state in FINAL))
        for key in self.c.execute(asked.where(over)).scalars().all():
            self.release(str(key))

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


def unsettled(t: sa.FromClause) -> sa.ColumnElement[bool]:
    """True of what is to be tried; by the index of these alone, however much was done before."""
    return t.c.state.in_([_written(state) for state in UNSETTLED])


def left(t: sa.FromClause) -> sa.ColumnElement[bool]:
    """True of what is LEFT, by the index of it alone."""
    return t.c.state.in_([_written(state) for state in LEFT])


def _written(state: str) -> sa.ColumnElement[str]:
    """A state written out, not bound: only so SQLite knows that an index of these states has all that is asked for."""
    return sa.literal_column(f"'{state}'")


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
    args = json.loads(row.args)
    return Effect(row.key, row.kind, row.lane, row.about, args, row.urgency, row.after, bucket=row.bucket)


def overdue(c: Connection, *, before: float) -> Sequence[Any]:
    """Ledger rows that should have been tried by ``before`` and have not been settled, the most urgent first."""
    t = EFFECTS()
    late = sa.select(t).where(unsettled(t), t.c.due_at <= before)
    return c.execute(late.order_by(t.c.urgency, t.c.created_at)).all()
