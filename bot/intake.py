"""Takes what comes in: committed before it is answered, handed over by urgency after, found again after a kill."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy.engine import Connection

from bot.store import GroupCommit, Store, away

log = logging.getLogger(__name__)
T = TypeVar("T")

KNOWN = 50_000
"""Identities remembered as committed, so that a repeated delivery costs no write."""
PAUSE = 0.25
"""Seconds before an item that cannot be decided yet is looked at again."""


BROKEN = 30.0
"""Seconds before an item whose decision broke is looked at again, when there is nobody to tell."""


class Later(Exception):
    """The decision needs something that another replica is about to write; look again soon."""


class Intake(Generic[T]):
    """A journal in front of a decision.

    ``write(connection, deliveries)`` journals and returns, for each delivery, the items that are new.
    ``decide(items)`` decides a few items, most urgent first, in one transaction of its own making.
    ``rest`` is the seconds an item waits before it is decided, so that its acknowledgement leaves first.
    ``broke(item)`` hears of an item whose decision raised what nobody expected, so that somebody is told; without it
    such an item is looked at again every half a minute.
    ``undecided(connection, before)`` finds items journaled by ``before`` (UNIX s) that nobody has decided about; deciding
    twice must be harmless.
    ``urgency(item)`` sorts: smaller goes first; among equals the newest goes first.
    """

    def __init__(
        self,
        store: Store,
        *,
        name: str,
        write: Callable[[Connection, Sequence[Sequence[Any]]], list[list[T]]],
        decide: Callable[[Sequence[T]], None],
        urgency: Callable[[T], tuple[int, ...]],
        undecided: Callable[[Connection, float], list[T]],
        broke: Callable[[T], None] | None = None,
        workers: int = 1,
        batch: int = 1,
        rest: float = 0.0,
    ) -> None:
        self._store = store
        self.name = name
        self._decide = decide
        self._urgency = urgency
        self._undecided = undecided
        self._broke = broke
        self._batch = batch
        self._rest = rest
        self._breath = threading.Event()
        self._heap: list[tuple[tuple[int, ...], int, T]] = []
        self._order = itertools.count()
        self._busy: list[T] = []
        """Being decided, or looked at again soon."""
        self._wake = threading.Condition()
        self._closed = False
        self._known: OrderedDict[Hashable, None] = OrderedDict()
        # A person waits for the answer; of an alert, what matters is the page.
        self._commits = GroupCommit(store, write, self._committed, answer_first=rest > 0)
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{i}", daemon=True) for i in range(workers)]

    def start(self) -> None:
        """Take up what a kill left undecided, then take what comes."""
        with self._store.read() as c:
            left = self._undecided(c, math.inf)
        self._commits.start()
        self._committed([left])
        for thread in self._threads:
            thread.start()

    def refresh(self, grace: float) -> None:
        """Take up what was journaled ``grace`` seconds ago and is still undecided: another replica died with it."""
        if self._heap:
            return
        with self._store.read() as c:
            left = self._undecided(c, time.time() - grace)
        with self._wake:
            left = [item for item in left if item not in self._busy]
        self._committed([left])

    def put(self, rows: Sequence[Any], done: Callable[[list[T] | None, Exception | None], None]) -> None:
        """Journal a delivery; ``done(new items, error)`` is called once it is durable, on the writer's thread."""
        self._commits.put(rows, done)

    def known(self, identity: Hashable) -> bool:
        """True when this identity has been committed before, as far as this process remembers."""
        return identity in self._known

    def remember(self, identities: Sequence[Hashable]) -> None:
        """Remember identities as committed; called on the event loop or the writer, never before the commit."""
        with self._wake:
            for identity in identities:
                self._known[identity] = None
            while len(self._known) > KNOWN:
                self._known.popitem(last=False)

    def waiting(self) -> int:
        """Items journaled and not decided."""
        return len(self._heap)

    def stop(self, deadline: float) -> None:
        """Take no more; finish what is being decided until ``deadline`` (monotonic s). The rest is in the journal."""
        self._commits.stop(deadline)
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _committed(self, results: Sequence[Sequence[T]]) -> None:
        with self._wake:
            new = 0
            for items in results:
                for item in items:
                    heapq.heappush(self._heap, (self._urgency(item), -next(self._order), item))
                    new += 1
            self._wake.notify(new)

    def pressed(self) -> bool:
        """True while deliveries come faster than one at a time: what nobody waits for takes a rest."""
        return self._commits.pressed()

    def _work(self) -> None:
        while taken := self._take():
            if self._rest:
                self._breath.wait(self._rest)
            began = time.monotonic()
            try:
                self._decide([item for _, _, item in taken])
            except Exception as e:  # noqa: BLE001 - the journal keeps the items; one that breaks must not stop the others
                if len(taken) == 1:
                    self._look_again(taken[0], e)
                else:
                    self._one_by_one(taken)
            else:
                self._done_with(taken)
            if self.pressed():
                # The senders come first: they hold a connection, and their alerts are safe only once committed.
                self._breath.wait(min(0.02, 2 * (time.monotonic() - began)))

    def _take(self) -> list[tuple[tuple[int, ...], int, T]]:
        """The most urgent items, or nothing when the end has come."""
        with self._wake:
            while not self._heap and not self._closed:
                self._wake.wait()
            if self._closed:
                return []
            taken = [heapq.heappop(self._heap)]
            # Of one urgency: the worst must not wait until what is less bad has been decided with it.
            while len(taken) < self._batch and self._heap and self._heap[0][0] == taken[0][0]:
                taken.append(heapq.heappop(self._heap))
            self._busy += [item for _, _, item in taken if item not in self._busy]
            return taken

    def _one_by_one(self, taken: Sequence[tuple[tuple[int, ...], int, T]]) -> None:
        for one in taken:
            try:
                self._decide([one[2]])
            except Exception as e:  # noqa: BLE001 - as above
                self._look_again(one, e)
            else:
                self._done_with([one])

    def _look_again(self, one: tuple[tuple[int, ...], int, T], error: Exception) -> None:
        again = PAUSE if isinstance(error, Later) else self._failed(one[2], error)
        if again:
            timer = threading.Timer(again, self._again, one)
            timer.daemon = True
            timer.start()
        else:
            self._done_with([one])

    def _done_with(self, taken: Sequence[tuple[tuple[int, ...], int, T]]) -> None:
        with self._wake:
            for _, _, item in taken:
                if item in self._busy:
                    self._busy.remove(item)

    def _failed(self, item: T, error: Exception) -> float:
        """A decision raised: seconds until it is looked at again, 0 when somebody has been told instead."""
        if away(error):
            log.warning("%s: the database does not answer, trying again: %s", self.name, error)
            return 1.0
        log.error("%s: could not decide %r; it stays in the journal", self.name, item, exc_info=error)
        if self._broke is None:
            return BROKEN
        try:
            self._broke(item)
        except Exception:
            log.exception("%s: could not even say so", self.name)
            return BROKEN
        return 0.0

    def _again(self, urgency: tuple[int, ...], order: int, item: T) -> None:
        with self._wake:
            heapq.heappush(self._heap, (urgency, order, item))
            self._wake.notify()
