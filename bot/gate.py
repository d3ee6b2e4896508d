"""Whose turn it is to write: what somebody waits for does not stand behind what nobody waits for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class Turn(IntEnum):
    """Who wants to write."""

    FIRST = 0  # somebody waits for this very commit
    SOON = 1  # a decision: it may wake somebody
    LATER = 2  # what came of a call, and the rest


class Gate:
    """One writer at a time, in turns, each handed to one who waits, so that nobody else wakes up for it.

    FIRST goes before the others and SOON before LATER, each in the order in which they came; but neither goes twice in a
    row while one that it goes before waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = False
        self._waiting: dict[Turn, deque[threading.Lock]] = {turn: deque() for turn in Turn}
        self._was_first = False
        self._was_soon = False

    @contextmanager
    def turn(self, turn: Turn) -> Iterator[None]:
        """Hold the gate. Not to be entered twice by one thread."""
        self._enter(turn)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, turn: Turn) -> None:
        with self._lock:
            if not self._held:
                self._held = True
                self._had(turn)
                return
            called = threading.Lock()
            called.acquire()
            self._waiting[turn].append(called)
        called.acquire()

    def _leave(self) -> None:
        with self._lock:
            turn = self._next()
            if turn is None:
                self._held = False
                return
            self._had(turn)
            self._waiting[turn].popleft().release()

    def _next(self) -> Turn | None:
        """Who goes next, of those who wait."""
        first, soon, later = (bool(self._waiting[turn]) for turn in Turn)
        if first and not (self._was_first and (soon or later)):
            return Turn.FIRST
        if soon and not (self._was_soon and later):
            return Turn.SOON
        return Turn.LATER if later else None

    def _had(self, turn: Turn) -> None:
        self._was_first = turn is Turn.FIRST
        if turn is not Turn.FIRST:
            self._was_soon = turn is Turn.SOON
