"""Who else lives: heartbeats by the database's clock, and the word of a process that leaves."""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from bot.store import Store

log = logging.getLogger(__name__)
LEFT = 0.0
"""The heartbeat of a process that has said goodbye: older than any lease, so that its work is taken up at once."""
CHANNEL = "captain_left"
CLOCK = "extract(epoch from clock_timestamp())::float8"


class Replica(SQLModel, table=True):
    """Heartbeat of one process; ``seen`` in UNIX seconds by the database's clock, or LEFT."""

    __tablename__ = "replicas"

    id: str = Field(primary_key=True)
    seen: float


class Pace(SQLModel, table=True):
    """When a bucket of calls is free again, in UNIX seconds by the database's clock."""

    __tablename__ = "paces"

    bucket: str = Field(primary_key=True)
    free_at: float


class Roster:
    """One process among the others on a database. ``lease``: seconds of silence after which a process is taken for dead."""

    def __init__(self, store: Store, lease: float) -> None:
        self.id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._store = store
        self._lease = lease
        self.beat_at = -math.inf
        """When the last heartbeat was written, by the clock that is never set (s)."""

    def beat(self) -> tuple[set[str], set[str]]:
        """Say that this process lives; returns the ids of the living and of the dead that nobody has taken over."""
        t = _table(Replica)
        with self._store.write() as c:
            at = self._store.clock(c)
            c.execute(t.delete().where(t.c.id == self.id))
            c.execute(t.insert().values(id=self.id, seen=at))
            seen = {row.id: row.seen for row in c.execute(sa.select(t)).all()}
        self.beat_at = time.monotonic()
        if self._store.sqlite:
            # The file lock says that we are alone.
            alive = {self.id}
        else:
            # A time to come is one from before the clock was set back: whoever wrote it and lives writes a new one soon.
            alive = {one for one, when in seen.items() if abs(at - when) < self._lease} | {self.id}
        return alive, set(seen) - alive

    def leave(self) -> None:
        """Say goodbye: whoever else lives takes up what is left at once, whoever comes need not wait for the lease."""
        t = _table(Replica)
        with self._store.write() as c:
            if self._store.sqlite:
                c.execute(t.delete().where(t.c.id == self.id))
            else:
                c.execute(t.update().where(t.c.id == self.id).values(seen=LEFT))
                c.execute(sa.text(f"select pg_notify('{CHANNEL}', :id)"), {"id": self.id})

    def forget(self, gone: set[str]) -> None:
        """Strike off those whose work has been taken over; one that wakes up writes its row again."""
        t = _table(Replica)
        with self._store.write() as c:
            c.execute(t.delete().where(t.c.id.in_(sorted(gone))))

    def claim(self, bucket: str, pace: float) -> float:
        """Take the next call of a bucket for this process: 0, or the seconds until it is free for anybody.

        One process alone on its file keeps the pace in memory, so nothing is asked here.
        """
        if self._store.sqlite:
            return 0.0
        take = sa.text(  # the names in it are ours, the values are bound
            f"insert into paces (bucket, free_at) values (:bucket, {CLOCK} + :pace) on conflict (bucket) "  # noqa: S608
            f"do update set free_at = {CLOCK} + :pace where paces.free_at <= {CLOCK} "
            f"or paces.free_at > {CLOCK} + :pace returning 1"  # the latter: a clock that was set back
        )
        left = sa.text(f"select free_at - {CLOCK} from paces where bucket = :bucket")  # noqa: S608
        try:
            with self._store.write() as c:
                if c.execute(take, {"bucket": bucket, "pace": pace}).first() is not None:
                    return 0.0
                wait = c.execute(left, {"bucket": bucket}).scalar()
        except (sa.exc.SQLAlchemyError, OSError) as e:
            # The try itself waits for the database; the pace of this process holds all the same.
            log.warning("the pace of %s could not be shared: %s", bucket, e)
            return 0.0
        return min(pace, max(0.01, float(wait or 0.0)))

    def listen(self, closing: threading.Event, left: Callable[[], None]) -> None:
        """Call ``left`` whenever another process says goodbye, until ``closing``. Returns at once on SQLite."""
        errors: tuple[type[Exception], ...] = (sa.exc.SQLAlchemyError, OSError, _driver_error(self._store))
        while not self._store.sqlite and not closing.is_set():
            try:
                self._hear(closing, left)
            except errors as e:
                log.warning("cannot listen for replicas that leave; their leases end all the same: %s", e)
                closing.wait(2.0)

    def _hear(self, closing: threading.Event, left: Callable[[], None]) -> None:
        borrowed = self._store.engine.raw_connection()
        wire: Any = borrowed.driver_connection
        borrowed.detach()  # it is kept: the pool is for work
        try:
            wire.autocommit = True
            wire.execute(f"LISTEN {CHANNEL}")
            while not closing.is_set():
                for word in wire.notifies(timeout=min(1.0, self._lease / 3), stop_after=1):
                    if word.payload != self.id and not closing.is_set():
                        left()
        finally:
            wire.close()


def _driver_error(store: Store) -> type[Exception]:
    """What the driver itself raises, outside SQLAlchemy's wrapping."""
    error: type[Exception] = store.engine.dialect.dbapi.Error  # type: ignore[union-attr]
    return error


def _table(model: type[SQLModel]) -> sa.Table:
    return model.__table__  # type: ignore[attr-defined,no-any-return]
