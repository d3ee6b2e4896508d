"""Catches chosen calls at a stand-in's door, before it has acted or after it has and before it has answered."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.standin import _abort, _gone, _into, _read

KEPT = 20_000
"""Arrivals remembered; older ones fall off."""


@dataclass(frozen=True)
class Heard:
    """A call as it arrives. ``at`` is monotonic s; ``path`` is below the stand-in's own address."""

    at: float
    service: str
    method: str
    path: str
    body: str


Matches = Callable[[Heard], bool]


@dataclass
class Snare:
    """One snare for all stand-ins of a stage. Safe to use from any thread.

    A caught call is held until its caller is gone or the snare is opened, and then dropped without an answer.
    """

    held: list[Heard] = field(default_factory=list)
    """What was caught since it was set; after acting, what the stand-in has done."""
    heard: deque[Heard] = field(default_factory=lambda: deque(maxlen=KEPT))
    _wanted: Matches | None = None
    _acts: bool = False
    _set: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, matches: Matches, *, acts: bool) -> None:
        """Catch calls that match from now on; with ``acts`` the stand-in does what is asked first."""
        with self._lock:
            self._wanted, self._acts, self.held = matches, acts, []
            self._set += 1

    def open(self) -> None:
        """Catch nothing any more and let go of what is held."""
        with self._lock:
            self._wanted = None
            self._set += 1

    def first(self, service: str, *, since: float) -> float | None:
        """When a service was called first at or after ``since`` (monotonic s)."""
        return min((h.at for h in list(self.heard) if h.service == service and h.at >= since), default=None)

    def quiet(self, seconds: float) -> bool:
        """True when no stand-in has been called for so long."""
        return bool(self.heard) and time.monotonic() - self.heard[-1].at > seconds

    def around(self, service: str, app: ASGIApp) -> ASGIApp:
        """The stand-in's app with the snare at its door."""

        async def door(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            body, receive = await _read(receive)
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            call = Heard(time.monotonic(), service, scope["method"], path, body.decode("utf-8", "replace"))
            self.heard.append(call)
            with self._lock:
                caught, acts, turn = self._wanted is not None and self._wanted(call), self._acts, self._set
            if not caught:
                await app(scope, receive, send)
                return
            if acts:
                answer: list[Message] = []
                await app(scope, receive, _into(answer))
            with self._lock:
                if turn == self._set:
                    self.held.append(call)
            while turn == self._set:
                if await _gone(receive):
                    return
            _abort(scope)

        return door
