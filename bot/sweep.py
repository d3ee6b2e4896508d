"""Finds what is owed and in nobody's hand: lost by a kill between the commit and the start, or by a fault in the executor."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from typing import Any

from bot.durable import UNFINISHED, Durable
from bot.effects import overdue
from bot.lanes import Lane, soonest
from bot.store import Store


class Sweep:
    """Puts into a process's lanes what nobody works on. ``flying``: the tries (KEY#attempt) that this process is at."""

    def __init__(
        self, store: Store, lanes: Mapping[str, Lane], durable: Durable, executor: str, flying: Collection[str]
    ) -> None:
        self._store = store
        self._lanes = lanes
        self._durable = durable
        self._executor = executor
        self._flying = flying
        self._dropped: set[str] = set()
        """Tries that were ours on paper and in no thread's hand when last looked; twice in a row is no coincidence."""

    def __call__(self, grace: float | None) -> int:
        """How many were found. ``grace``: only what should have been tried that many seconds ago; None: everything."""
        with self._store.read() as c:
            rows = overdue(c, before=math.inf if grace is None else time.time() - grace)
        left = [row for row in rows if not self._lanes[row.lane].holds(row.key, row.attempt + 1)]
        found, dropped = 0, set[str]()
        for start in range(0, len(left), 200):
            tries = {row.key: (row, row.attempt + 1) for row in left[start : start + 200]}
            while tries:
                states = self._durable.states([f"{key}#{n}" for key, (_, n) in tries.items()])
                spent: dict[str, tuple[Any, int]] = {}
                for key, (row, n) in tries.items():
                    status, owner = states.get(f"{key}#{n}", (None, None))
                    lane = self._lanes[row.lane]
                    if status is None:
                        lane.put(key, n, urgency=row.urgency, due=soonest(row.due_at, row.pause), bucket=row.bucket)
                        found += 1
                    elif owner == self._executor and not lane.holds(key, n) and f"{key}#{n}" not in self._flying:
                        dropped.add(f"{key}#{n}")
                    if status is not None and (status not in UNFINISHED or f"{key}#{n}" in dropped & self._dropped):
                        # That try has ended without settling anything (a fault in the executor): it takes a new number.
                        spent[key] = (row, n + 1)
                tries = spent
        if grace is not None:
            # Only the regular look counts: two in a moment could both see a try that is just starting.
            self._dropped = dropped
        return found
