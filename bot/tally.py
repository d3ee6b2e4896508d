"""Counts what is not worth a commit of its own, and writes the counts down every so often in one transaction."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.store import Store

log = logging.getLogger(__name__)
K = TypeVar("K")

A_TRANSACTION = 200
"""Counts written in one transaction: the writer's turn stays so short that a page does not feel it."""
PATIENCE = 5.0
"""Seconds by which writing is put off while the senders of alerts need the database."""
LAST = 1.0
"""Seconds the last writing may take when the process ends; it loses a count, and somebody waits for the end."""


@dataclass(frozen=True)
class Count:
    """How often something came, first and last (UNIX s)."""

    n: int
    first: float
    last: float

    def __add__(self, other: Count) -> Count:
        return Count(self.n + other.n, min(self.first, other.first), max(self.last, other.last))


class Tally(Generic[K]):
    """Counts by key, in memory; ``write(connection, counts)`` writes some of them and gives back the keys it could not.

    What is counted here has been answered already and changes nothing that is done: a kill -9 loses the counts of the
    last ``every`` seconds and nothing else. ``most`` keys are held while the database is away; new ones beyond that are
    not counted. ``pressed`` says that others need the database more.
    """

    def __init__(
        self,
        store: Store,
        write: Callable[[Connection, Mapping[K, Count]], Collection[K]],
        *,
        name: str,
        every: float = 1.0,
        most: int = 10_000,
        pressed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._write = write
        self._every = every
        self._most = most
        self._pressed = pressed
        self._counts: dict[K, Count] = {}
        self._late: set[K] = set()
        """Could not be written last time; what cannot be written twice in a row is gone, and is forgotten."""
        self._wake = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{name}-tally", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def note(self, keys: Iterable[K], at: float) -> None:
        """Count each key once more. Costs no disk; any thread may call it."""
        one = Count(1, at, at)
        with self._wake:
            for key in keys:
                known = self._counts.get(key)
                if known is not None:
                    self._counts[key] = known + one
                elif len(self._counts) < self._most:
                    self._counts[key] = one
            self._wake.notify()

    def stop(self, deadline: float) -> None:
        """Write what is counted, if the database answers at once; waits until ``deadline`` (monotonic s) at most."""
        self._closing.set()
        with self._wake:
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(max(0.0, min(LAST, deadline - time.monotonic())))

    def _run(self) -> None:
        while not self._closing.is_set():
            with self._wake:
                while not self._counts and not self._closing.is_set():
                    self._wake.wait()
            self._closing.wait(self._every)
            until = time.monotonic() + PATIENCE
            while self._pressed() and time.monotonic() < until and not self._closing.wait(0.05):
                pass
            self._flush()
        self._flush()  # what came in while the last counts were written

    def _flush(self) -> None:
        with self._wake:
            left, self._counts = self._counts, {}
        late, self._late = self._late, set()
        keys = list(left)
        for start in range(0, len(keys), A_TRANSACTION):
            part = {key: left[key] for key in keys[start : start + A_TRANSACTION]}
            try:
                with self._store.write() as c:
                    missed = set(self._write(c, part))
            except (sa.exc.SQLAlchemyError, OSError) as e:
                log.warning("%d counts could not be written, trying again: %s", len(keys) - start, e)
                self._keep({key: left[key] for key in keys[start:]})
                return
            self._late |= missed - late
            self._keep({key: left[key] for key in missed - late})

    def _keep(self, counts: Mapping[K, Count]) -> None:
        """Hold counts until the next time."""
        with self._wake:
            for key, count in counts.items():
                known = self._counts.get(key)
                if known is not None:
                    self._counts[key] = known + count
                elif len(self._counts) < self._most:
                    self._counts[key] = count
