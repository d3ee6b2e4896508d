"""The application's database: SQLite by default, PostgreSQL by URL; migrations at start, group commit on the intake path."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import InterfaceError, OperationalError

from bot.errors import ConfigError
from bot.files import Lock
from bot.gate import Gate, Turn

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
LIBPQ: Mapping[str, int | str] = {
    "target_session_attrs": "read-write",
    "connect_timeout": 2,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""libpq's settings (s, the last in ms): a server that vanished without a word is noticed in seconds, not in hours.

A standby is no server to us: of several hosts in the URL the primary is found, and after a failover again.
"""
AHEAD = 60.0
"""Seconds by which the clocks of replicas may differ without one of them being taken for one that was set back."""
READ_ONLY = "25006"
"""SQLSTATE of a write that a read-only server was asked for."""
STATEMENT_TIMEOUT = 30_000
"""Milliseconds after which PostgreSQL ends a statement of ours."""
IDLE_TIMEOUT = 5_000
"""Milliseconds after which PostgreSQL ends a transaction that we hold and do not use; ours take a few, and call nobody."""
PRESSED = 0.004
"""Seconds since the last commit within which the intake counts as busy: alerts at 250 a second and more."""
BATCH = 200
"""Most entries one group commit carries: bounds how long an entry can wait behind others."""


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL, or None for PostgreSQL. Raises ConfigError on a URL of another kind."""
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError as e:
        raise ConfigError(
            f"captain.database: '{url}' is not a database URL; use sqlite:///PATH or postgresql://USER@HOST/NAME"
        ) from e
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigError("captain.database: SQLite needs a file, such as sqlite:///data/bot.db; memory forgets")
        return Path(parsed.database)
    if parsed.get_backend_name() != "postgresql":
        raise ConfigError(
            f"captain.database: {parsed.get_backend_name()} is not supported; use sqlite:///… or postgresql://…"
        )
    return None


def driver_url(url: str) -> URL:
    """The URL with the driver we ship (psycopg 3 for PostgreSQL)."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


@dataclass(frozen=True)
class Restore:
    """That a database was restored ``at`` a time, to what it was when it ``shows``; UNIX s."""

    at: float
    shows: float


class Store:
    """One database. ``write`` is a transaction that may write; ``read`` is one that may not.

    On SQLite all writers of the process queue on one lock, so that none of them sleeps in SQLite's own busy loop.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.path = sqlite_path(url)
        self.restored: Restore | None = None
        """The last restore of it; whoever starts on it finds that out."""
        self._gate = Gate()
        self._lock = Lock(self.path) if self.path else None
        # What people wrote must not get into a log by way of a statement that failed.
        options: dict[str, Any] = {"pool_size": 16, "max_overflow": 16, "pool_timeout": 5, "hide_parameters": True}
        if self.path:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as e:
                raise ConfigError(
                    f"captain.database: the folder {self.path.parent} cannot be made: {e.strerror}. "
                    "Make it, or name one that this user may write to."
                ) from e
            options["connect_args"] = {"timeout": 10, "check_same_thread": False}
        else:
            # A database that is down must be noticed within the two seconds a webhook may take.
            options |= {"pool_pre_ping": False, "pool_recycle": 1800, "connect_args": dict(LIBPQ)}
        self.engine = sa.create_engine(driver_url(url), **options)
        if self.path:
            sa.event.listen(self.engine, "connect", _sqlite_connect)
            sa.event.listen(self.engine, "begin", _sqlite_begin)
        else:
            sa.event.listen(self.engine, "connect", _postgres_connect)
            sa.event.listen(self.engine, "handle_error", _postgres_error)

    @property
    def sqlite(self) -> bool:
        return self.path is not None

    def migrate(self) -> None:
        """Bring the schema to the newest revision; replicas that start together wait for one another.

        Raises ConfigError when the database cannot be used as it is.
        """
        try:
            self._migrate()
        except (ConfigError, sa.exc.DBAPIError) as e:
            self.close()
            if isinstance(e, ConfigError):
                raise
            raise self.unusable(e) from e

    def unusable(self, error: sa.exc.DBAPIError) -> ConfigError:
        """What to tell the operator of a database that cannot be used at start."""
        said = str(error.orig).strip().splitlines()[0]
        if self.path:
            damaged = "not a database" in said or "malformed" in said
            what = "is not a SQLite file, or a damaged one; restore a backup, or move it away" if damaged else ""
            if "disk is full" in said:
                what = "has no room: its disk is full; free some, such as an old backup or log"
            what = what or "cannot be used; the file, its folder and the files beside it must be writable for this user"
            return ConfigError(f"captain.database: {self.path} {what} ({said})")
        shown = driver_url(self.url).set(drivername="postgresql").render_as_string(hide_password=True)
        what = "does not take us; is it running, and are name, user and password right?"
        if not away(error):
            what = "cannot be used; this user must own the database or may create tables and schemas in it"
        if "read-only" in said:
            what = "is read-only; name the primary, not a standby"
        return ConfigError(f"captain.database: {shown} {what} ({said})")

    def _migrate(self) -> None:
        known = revisions()
        with self.write() as c:
            if not self.sqlite:
                c.execute(sa.text("set local statement_timeout = 0"))  # a migration takes the time it takes
                c.execute(sa.text("select pg_advisory_xact_lock(7311842)"))
            at = revision(c)
            if at == known[-1]:
                return
            if at is not None and at not in known:
                raise ConfigError(
                    f"captain.database: its schema ({at}) is of a newer release; this one knows no further than {known[-1]}. "
                    "Start the newer release, or restore the backup that was made before the upgrade."
                )
            config = _alembic()
            config.attributes["connection"] = c
            command.upgrade(config, "head")

    def lock_file(self, *, replace: float = 0.0) -> None:
        """Refuse a second bot on one SQLite file: both would act, neither would know of the other.

        ``replace``: seconds to wait for another one after asking it to stop; 0 asks nobody. See files.Lock.
        """
        if self._lock is not None:
            self._lock.take(replace=replace)

    @contextmanager
    def write(self, turn: Turn = Turn.LATER) -> Iterator[Connection]:
        """A transaction that commits when the block ends and rolls back when it raises. Not to be entered twice by one thread."""
        if not self.sqlite:
            with self.engine.begin() as c:
                yield c
            return
        with self._gate.turn(turn), self.engine.connect() as c:
            c.info["write"] = True
            try:
                with c.begin():
                    yield c
            finally:
                c.info.pop("write", None)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.engine.connect() as c, c.begin():
            yield c

    def clock(self, c: Connection) -> float:
        """UNIX s by the database's clock: one for all replicas. SQLite has one process, and that has one."""
        if self.sqlite:
            return time.time()
        return float(c.exec_driver_sql("select extract(epoch from clock_timestamp())::float8").scalar_one())

    def ping(self) -> None:
        """One read. Raises OSError when the database does not answer."""
        try:
            with self.read() as c:
                c.exec_driver_sql("select 1")
        except sa.exc.SQLAlchemyError as e:
            raise OSError(str(e)) from e

    def close(self) -> None:
        self.engine.dispose()
        if self._lock is not None:
            self._lock.release()


def revisions() -> list[str]:
    """The schemas this release knows, oldest first."""
    return [script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions()][::-1]


def revision(c: Connection) -> str | None:
    """The schema a database has; None when it has none of ours."""
    if not sa.inspect(c).has_table("alembic_version"):
        return None
    found: str | None = c.execute(sa.text("select version_num from alembic_version")).scalar()
    return found


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _sqlite_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in (
        "journal_mode=wal",
        "synchronous=full",  # an acknowledged alert survives power loss
        "busy_timeout=10000",
        "foreign_keys=on",
        "cache_size=-8000",
    ):
        connection.execute(f"pragma {pragma}")


def _postgres_connect(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"set statement_timeout = {STATEMENT_TIMEOUT}")
        # A process that is frozen in a transaction must not hold up the others with its locks.
        cursor.execute(f"set idle_in_transaction_session_timeout = {IDLE_TIMEOUT}")
    connection.commit()


def _postgres_error(context: sa.engine.ExceptionContext) -> None:
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        # The server has become a standby under an open connection: all of them lead to it, so none is used again.
        context.is_disconnect = True


def away(error: BaseException) -> bool:
    """True when the database did not answer, as against: answered that it will not."""
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return True
    # OSError is what ``ping`` says; TimeoutError of the pool, that every connection waits for an answer.
    return isinstance(error, (OperationalError, InterfaceError, sa.exc.TimeoutError, OSError))


def clashed(error: BaseException) -> bool:
    """True when two transactions stood in each other's way and this one was taken back whole: done again, it goes through."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in ("40P01", "40001")


def _sqlite_begin(connection: Connection) -> None:
    # A writer takes its lock at once: a deferred lock that is upgraded later can fail half-way.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.get("write") else "BEGIN")


@dataclass
class _Entry:
    rows: Sequence[Any]
    done: Callable[[Any, Exception | None], None]


class GroupCommit:
    """Writes entries of many callers in one transaction, on one thread, and tells each when it is durable.

    ``apply(connection, entries)`` writes a batch and returns one result for each entry, in order.
    ``done(results)`` is called once a batch, after the commit: before the callers hear of it, or after that with
    ``answer_first``. ``turn``: whether somebody waits for these commits.
    """

    def __init__(
        self,
        store: Store,
        apply: Callable[[Connection, Sequence[Sequence[Any]]], Sequence[Any]],
        done: Callable[[Sequence[Any]], None],
        *,
        answer_first: bool = False,
        turn: Turn = Turn.FIRST,
    ) -> None:
        self._answer_first = answer_first
        self._turn = turn
        self._store = store
        self._apply = apply
        self._done = done
        self._queue: deque[_Entry] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._last = 0.0
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, rows: Sequence[Any], done: Callable[[Any, Exception | None], None]) -> None:
        """Queue rows; ``done(result, error)`` is called on the writer's thread."""
        with self._wake:
            self._queue.append(_Entry(rows, done))
            self._wake.notify()

    def pressed(self) -> bool:
        """True while entries come faster than one at a time."""
        return bool(self._queue) or time.monotonic() - self._last < PRESSED

    def stop(self, deadline: float) -> None:
        """Commit what is queued, then end; waits until ``deadline`` (monotonic s) at most."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._closed:
                    self._wake.wait()
                if not self._queue:
                    return
                batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            self._commit(batch)

    def _commit(self, batch: list[_Entry], *, again: bool = True) -> None:
        try:
            with self._store.write(self._turn) as c:
                results = self._apply(c, [entry.rows for entry in batch])
        except Exception as e:  # noqa: BLE001 - this one thread takes everything in: no entry may end it
            if again and isinstance(e, sa.exc.DBAPIError) and e.connection_invalidated:
                # The server was restarted behind the pool's back; the pool has thrown its connections away by now.
                self._commit(batch, again=False)
                return
            if len(batch) > 1 and not away(e):
                # One bad entry must not take the others down: each has its own transaction now.
                for entry in batch:
                    self._commit([entry])
                return
            log.error("could not store %d webhook entries: %s", len(batch), e)
            for entry in batch:
                entry.done(None, e)
            return
        if not self._answer_first:
            self._done(results)
        for entry, result in zip(batch, results, strict=True):
            entry.done(result, None)
        if self._answer_first:
            self._done(results)
        self._last = time.monotonic()


def by(column: sa.ColumnElement[float], before: float) -> sa.ColumnElement[bool]:
    """Written by ``before`` (UNIX s), or in a time to come: that was before the clock was set back."""
    return (column <= before) | (column > time.time() + AHEAD)


def now() -> float:
    """UNIX seconds; taken once at a door and passed on."""
    return time.time()
