"""The durable executor behind the engine: numbered tries and clock ticks as DBOS workflows. The only file that knows DBOS."""

from __future__ import annotations

import datetime as dt
import logging
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from typing import Any, TypeVar

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from bot.errors import ConfigError
from bot.files import engine_file
from bot.store import IDLE_TIMEOUT, LIBPQ, Store

T = TypeVar("T")
VERSION = "1"
"""Constant: open workflows of an older release are carried on by the newer one; changed flows use DBOS.patch."""
UNFINISHED = ("PENDING", "ENQUEUED", "DELAYED")
FINISHED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


class _Quick(sqlite3.Connection):
    """The executor's own file: safe from kill -9; what a power cut takes of it, the ledger knows and is done again."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.execute("pragma synchronous=normal")


class Durable:
    """One process's workflows. ``poll``: seconds between looks at the queue of ticks."""

    def __init__(self, store: Store, executor: str, *, poll: float) -> None:
        self._store = store
        self._executor = executor
        self._poll = poll
        self._effect: Callable[[str, int], str]
        self._tick: Callable[[str, float], None]

    def launch(self, effect: Callable[[str, int], str], tick: Callable[[str, float], None]) -> None:
        """Start; ``effect(key, attempt)`` and ``tick(name, slot)`` are what the two kinds of workflows do.

        Their names and arguments are stored, so a newer release must keep them.
        """

        def effect_(key: str, attempt: int) -> str:
            return effect(key, attempt)

        def tick_(name: str, slot: float) -> None:
            tick(name, slot)

        logging.getLogger("dbos").setLevel(logging.ERROR)
        # A process that is frozen in a transaction must not hold up whoever takes over its work, here as in the store.
        impatient = {"options": f"-c idle_in_transaction_session_timeout={IDLE_TIMEOUT}"}
        connecting: dict[str, Any] = {"factory": _Quick} if self._store.sqlite else {**LIBPQ, **impatient}
        config: DBOSConfig = {
            "name": "release-captain",
            "application_version": VERSION,
            "executor_id": self._executor,
            "system_database_url": self._url(),
            "log_level": "ERROR",
            "console_log_level": "ERROR",
            "serializer": DBOSPortableJSONSerializer(),
            "notification_listener_polling_interval_sec": 0.2,
            "sys_db_pool_size": 20,
            "db_engine_kwargs": {"connect_args": connecting},
        }
        DBOS(config=config)
        self._effect = DBOS.workflow(name="effect", max_recovery_attempts=None)(
            effect_
        )  # the engine counts deaths itself
        self._tick = DBOS.workflow(name="tick", max_recovery_attempts=3)(tick_)  # the next slot asks again
        DBOS.launch()
        DBOS.register_queue("cron", polling_interval_sec=self._poll, worker_concurrency=2)

    def destroy(self) -> None:
        """End at once: the wait for running workflows is over when this is called, and DBOS's own sleeps a second."""
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=0)

    def run(self, key: str, attempt: int) -> None:
        """Run one try here and now; one that exists already is not run again."""
        with SetWorkflowID(f"{key}#{attempt}"):
            self._effect(key, attempt)

    def enqueue_tick(self, name: str, slot: dt.datetime) -> None:
        """N replicas that all hear a tick run it once, because they give it the same name."""
        at = slot.astimezone(dt.UTC)
        with SetWorkflowID(f"cron:{name}:{at.isoformat()}"):
            DBOS.enqueue_workflow("cron", self._tick, name, at.timestamp())

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Inside a workflow: do ``work`` once; its result is stored and given again after a kill."""
        return DBOS.run_step({"name": name}, work)

    def states(self, ids: list[str]) -> dict[str, tuple[str, str | None]]:
        """For each try that exists, by ``KEY#attempt``: its status, and who runs it."""
        known = DBOS.list_workflows(workflow_ids=ids, load_input=False, load_output=False)
        return {w.workflow_id: (w.status, w.executor_id if w.status == "PENDING" else None) for w in known}

    def take_over(self, alive: Collection[str]) -> int:
        """Carry on what processes that are not among the living had in hand; returns how many processes those were."""
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        dead = {w.executor_id for w in pending if w.executor_id} - set(alive)
        if dead:
            # Internal, held by a contract test: takes only rows still owned by the dead, and counts the attempts.
            DBOS._recover_pending_workflows(sorted(dead))  # noqa: SLF001
        return len(dead)

    def purge(self, before: dt.datetime) -> int:
        """Delete workflows that had finished by then; returns how many."""
        return _purge(DBOS, before)

    def _url(self) -> str:
        if self._store.path is not None:
            path = engine_file(self._store.path)
            try:
                with closing(sqlite3.connect(path)) as connection:
                    connection.execute("pragma journal_mode=wal")
            except sqlite3.Error as e:
                raise ConfigError(
                    f"captain.database: {path}, the executor's own file beside it, cannot be used: {e}"
                ) from e
        return _url(self._store)


class Finished:
    """The finished workflows of a database, for a process that runs none. ``close`` when done with it."""

    def __init__(self, store: Store) -> None:
        logging.getLogger("dbos").setLevel(logging.ERROR)
        self._client = DBOSClient(
            system_database_url=_url(store), serializer=DBOSPortableJSONSerializer(), retry_connection_errors=False
        )

    def purge(self, days: float, *, dry: bool = False) -> int:
        """Delete what finished longer ago than ``days``, or with ``dry`` only count it; returns how many."""
        return _purge(self._client, dt.datetime.now(dt.UTC) - dt.timedelta(days=days), dry=dry)

    def close(self) -> None:
        self._client.destroy()


def _purge(source: Any, before: dt.datetime, *, dry: bool = False) -> int:
    """``source`` is the running executor or a client: both list and delete workflows in the same words."""
    asked = {
        "status": list(FINISHED),
        "completed_before": before.isoformat(),
        "load_input": False,
        "load_output": False,
    }
    if dry:
        return len(source.list_workflows(**asked))
    gone = 0
    while found := source.list_workflows(limit=500, **asked):
        source.delete_workflows([w.workflow_id for w in found])
        gone += len(found)
    return gone


def _url(store: Store) -> str:
    if store.path is None:
        return store.url.replace("postgresql+psycopg://", "postgresql://")
    return f"sqlite:///{engine_file(store.path)}"
