"""Lanes: when a try of an effect is started, so that no outside service delays another, is hammered, or is asked too fast."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

LONGER = 5
"""How many times as long as at first a service that stays down is left alone between two calls."""


@dataclass(frozen=True)
class LaneRule:
    """One outside service's lane. ``title``: its name to people.

    ``workers``: calls at once. ``first``, ``cap``: shortest and longest pause between tries of one effect, seconds.
    ``patience_h``: hours until an effect is given up.
    ``trips``: failures in a row after which the service counts as down; 0 for a lane of many services.
    ``probe``: seconds between calls while it counts as down, growing to LONGER times as much.
    ``paces``: seconds from one call to the next in a bucket, by the bucket's part before the colon.
    """

    name: str
    workers: int
    first: float = 1.0
    cap: float = 120.0
    patience_h: float = 24.0
    trips: int = 5
    probe: float = 5.0
    paces: Mapping[str, float] = field(default_factory=dict)
    title: str = "the service"

    def pace(self, bucket: str) -> float:
        """Seconds from one call to the next in this bucket; 0 when there is no such limit."""
        return self.paces.get(bucket.partition(":")[0], 0.0)


def backoff(attempt: int, rule: LaneRule, *, after: float | None = None) -> float:
    """Seconds until try ``attempt + 1``: doubling from ``rule.first`` to ``rule.cap``, jittered, never before ``after``."""
    grown = min(rule.cap, rule.first * 2.0 ** min(attempt - 1, 20))
    return max(after or 0.0, grown * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load, keeps no secret


class _Item(NamedTuple):
    """A try in a queue; sorts as it is to be started: by ``urgency``, then by ``order``."""

    urgency: int
    order: int
    key: str
    attempt: int
    bucket: str
    soft: bool

    @property
    def name(self) -> tuple[str, int]:
        return self.key, self.attempt


NO_LONGER = -1.0
"""What a claim says of a call that another process has made meanwhile."""


def _free(_key: str, _attempt: int, _bucket: str, _pace: float) -> float:
    """The claim of a process that is alone: its own memory has decided already."""
    return 0.0


class Lane:
    """Starts the effects of one outside service, most urgent first, on at most ``workers`` threads.

    It holds keys in memory only to be quick: the ledger is the truth, and whatever a kill loses here is swept up again.

    A bucket that has a pace, or that the service asked to slow down, waits without a thread.
    ``claim(key, attempt, bucket, pace)`` asks whether another replica has used the bucket meanwhile: 0 when the call may
    go, NO_LONGER when it is not wanted any more, else the seconds to wait.

    A service that has failed ``trips`` times in a row is asked now and then (``probe``), by the most urgent try,
    whatever its own pause; with its first answer all that waited for it goes.
    """

    def __init__(
        self,
        rule: LaneRule,
        run: Callable[[str, int], None],
        *,
        clock: Callable[[], float] = time.time,
        claim: Callable[[str, int, str, float], float] = _free,
    ) -> None:
        self.rule = rule
        self._run = run
        self._clock = clock
        self._claim = claim
        self._ready: list[_Item] = []
        self._later: list[tuple[float, _Item]] = []
        self._blocked: dict[str, list[_Item]] = {}
        self._free_at: dict[str, float] = {}
        self._held: dict[tuple[str, int], int] = {}
        """What waits or runs here, and which of its places in the queues counts."""
        self._asleep: dict[tuple[str, int], float] = {}
        self._order = itertools.count(1)
        self._wake = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False
        self._failures = 0
        self._probe_at = 0.0
        self._probing: tuple[str, int] | None = None

    def put(self, key: str, attempt: int, *, urgency: int, due: float, bucket: str = "", soft: bool = False) -> None:
        """Start try ``attempt`` of an effect at ``due`` (UNIX s). Putting the same try twice is one try.

        One that waits for later is started now when it is put again and due now.
        A pause between tries waits here and in the ledger's ``due_at``: it holds no thread, and survives a kill.
        ``soft``: it waits for the service to come back, and goes as soon as that has shown itself.
        """
        name = (key, attempt)
        with self._wake:
            pause = due - self._clock()
            wakes = time.monotonic() + pause
            if self._closed or (name in self._held and not self._hastened(name, pause, wakes)):
                return
            # Newest first among equals: in a storm the new critical page does not stand behind the old ones. But where
            # calls are paced the oldest goes first: in a long storm none may wait for ever.
            n = next(self._order)
            item = _Item(urgency, n if self.rule.pace(bucket) else -n, key, attempt, bucket, soft)
            self._held[name] = item.order
            if pause <= 0:
                self._asleep.pop(name, None)
                heapq.heappush(self._ready, item)
            else:
                # Waited for by the clock that is never set: an hour put back must not be an hour of nobody being woken.
                self._asleep[name] = wakes
                heapq.heappush(self._later, (wakes, item))
            self._hire()

    def holds(self, key: str, attempt: int) -> bool:
        """True when this try waits or runs here."""
        return (key, attempt) in self._held

    def hold(self, bucket: str, seconds: float) -> None:
        """The service asked to slow down: start nothing more of this bucket for so long."""
        with self._wake:
            self._free_at[bucket] = max(self._free_at.get(bucket, 0.0), time.monotonic() + seconds)

    def heard(self, key: str, attempt: int, *, answered: bool | None) -> None:
        """What became of a try: the service answered, it did not, or (None) the try says nothing about the service."""
        with self._wake:
            if self._probing == (key, attempt):
                self._probing = None
            if answered is None:
                return
            if answered:
                was_down, self._failures = self._down, 0
                if was_down:
                    self._hasten_soft()
            else:
                self._failures += 1
                longer = min(LONGER, max(1, self._failures - self.rule.trips + 1))
                self._probe_at = time.monotonic() + longer * self.rule.probe
            self._wake.notify_all()

    @property
    def down(self) -> bool:
        """True while the service counts as down."""
        return self._down

    def kept_back(self) -> list[str]:
        """Keys of effects whose try is due and waits for the service to come back, or to allow more."""
        with self._wake:
            blocked = [item.key for items in self._blocked.values() for item in items]
            return [item.key for item in self._ready if self._down] + blocked

    def close(self) -> None:
        """Take no more and start no more."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()

    def join(self, deadline: float) -> None:
        """After ``close``: wait for the calls in flight until ``deadline`` (monotonic s)."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # ---- inside, all with the lock held but for the run itself ------------------------------------------------------

    @property
    def _down(self) -> bool:
        return 0 < self.rule.trips <= self._failures

    def _hire(self) -> None:
        """Wake or start a thread, so that no try waits behind another's slow call while the lane has room."""
        self._wake.notify()
        if max(1, len(self._ready)) > self._idle and len(self._threads) < self.rule.workers:
            name = f"lane-{self.rule.name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _hasten_soft(self) -> None:
        """The service is back: what only waited for that need wait no longer."""
        soft = [item for _, item in self._later if item.soft and self._counts(item)]
        self._later = [place for place in self._later if not place[1].soft]
        heapq.heapify(self._later)
        for item in soft:
            self._asleep.pop(item.name, None)
            heapq.heappush(self._ready, item)
        self._hire()

    def _wake_one_soft(self) -> None:
        """Nothing is due while the service is down: the most urgent of what only waits for it asks how it is."""
        soft = [item for _, item in self._later if item.soft and self._counts(item)]
        if soft:
            item = min(soft)
            self._later = [place for place in self._later if place[1] is not item]
            heapq.heapify(self._later)
            self._asleep.pop(item.name, None)
            heapq.heappush(self._ready, item)

    def _hastened(self, name: tuple[str, int], pause: float, wakes: float) -> bool:
        """True when a try that is held sleeps, and is now wanted at once, or clearly sooner than it would wake."""
        return name in self._asleep and (pause <= 0 or wakes < self._asleep[name] - 1.0)

    def _counts(self, item: _Item) -> bool:
        """False for a place in a queue that was given up for a better one."""
        return self._held.get(item.name) == item.order

    def _work(self) -> None:
        while (item := self._next()) is not None:
            pace = self.rule.pace(item.bucket)
            wait = self._claim(item.key, item.attempt, item.bucket, pace) if pace else 0.0
            if wait:
                self._put_back(item, wait)
                continue
            try:
                self._run(item.key, item.attempt)
            finally:
                with self._wake:
                    self._held.pop(item.name, None)
                    if self._probing == item.name:
                        self._probing = None
                        self._wake.notify()

    def _put_back(self, item: _Item, wait: float) -> None:
        """It was not started after all: another process has used the bucket, or has done this very thing."""
        with self._wake:
            if self._probing == item.name:
                self._probing = None
            if wait == NO_LONGER:
                self._held.pop(item.name, None)
                self._free_at[item.bucket] = 0.0
            else:
                self._free_at[item.bucket] = time.monotonic() + wait
                heapq.heappush(self._blocked.setdefault(item.bucket, []), item)

    def _next(self) -> _Item | None:
        with self._wake:
            while not self._closed:
                now = time.monotonic()
                self._ripen(now)
                item = self._pick(now)
                if item is not None:
                    if self._ready or self._later or self._blocked:
                        self._hire()
                    return item
                self._idle += 1
                self._wake.wait(self._until(now))
                self._idle -= 1
            return None

    def _ripen(self, now: float) -> None:
        """Move what is due by now to where it can be started."""
        while self._later and self._later[0][0] <= now:
            _, item = heapq.heappop(self._later)
            if self._counts(item):
                self._asleep.pop(item.name, None)
                heapq.heappush(self._ready, item)
        for bucket in [name for name in self._blocked if self._free_at.get(name, 0.0) <= now]:
            for item in self._blocked.pop(bucket):
                heapq.heappush(self._ready, item)

    def _pick(self, now: float) -> _Item | None:
        """The most urgent try that may start now; those whose bucket is not free are put aside."""
        if self._down and (self._probing is not None or now < self._probe_at):
            return None
        if self._down and not self._ready:
            self._wake_one_soft()
        while self._ready:
            item = heapq.heappop(self._ready)
            if not self._counts(item):
                continue
            if self._free_at.get(item.bucket, 0.0) > now:
                heapq.heappush(self._blocked.setdefault(item.bucket, []), item)
                continue
            pace = self.rule.pace(item.bucket)
            if pace:
                self._free_at[item.bucket] = now + pace
            if self._down:
                self._probing = item.name
            return item
        return None

    def _until(self, now: float) -> float | None:
        """Seconds until something may become possible without anybody's doing; None for never."""
        times = [self._free_at[bucket] for bucket in self._blocked]
        if self._later:
            times.append(self._later[0][0])
        if self._down and self._probing is None and (self._ready or any(item.soft for _, item in self._later)):
            times.append(self._probe_at)
        return max(0.0, min(times) - now) if times else None


def soonest(due: float, pause: float) -> float:
    """``due`` (UNIX s), or ``pause`` seconds from now if the clock was set back since that was reckoned."""
    return min(due, time.time() + pause)
