"""Writes down that a watchdog was heard: with the delivery's own commit, and no oftener than is needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from bot.store import Store
from handlers.alerts.payload import Alert
from handlers.catalogue import Watchdog
from handlers.watchdogs import rules, table

REST = 5.0
"""Seconds in which one process writes a watchdog down once, however often it comes: far below the shortest ``within``."""


class Ear:
    """One process's memory of the watchdogs it has written down. ``clock``: monotonic s."""

    def __init__(
        self,
        store: Store,
        watchdogs: Mapping[str, Watchdog],
        *,
        rest: float = REST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._watchdogs = watchdogs
        self._rest = rest
        self._clock = clock
        self._written: dict[str, float] = {}

    def due(self, alert: Alert) -> bool:
        """True when this delivery must be written down although the alert itself is known."""
        now = self._clock()
        return any(now - self._written.get(name, float("-inf")) >= self._rest for name in self._names(alert))

    def write(self, c: Connection, deliveries: Sequence[Sequence[Any]]) -> None:
        """Write down the watchdogs among (time, alerts) pairs, in the transaction that journals them."""
        if not self._watchdogs:
            return
        names = {name for _, alerts in deliveries for alert in alerts for name in self._names(alert)}
        if names:
            table.arrived(c, names, now=self._store.clock(c))

    def written(self, alerts: Sequence[Alert]) -> None:
        """Remember what was committed; never called before the commit."""
        if self._watchdogs:
            now = self._clock()
            self._written.update((name, now) for alert in alerts for name in self._names(alert))

    def _names(self, alert: Alert) -> list[str]:
        """The watchdogs a delivery keeps alive: one that has resolved has stopped firing, which it never should."""
        return rules.matching(self._watchdogs, alert.labels) if alert.firing else []
