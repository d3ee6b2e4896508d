"""A stand-in for a dead-man's switch: counts the calls it gets, and is down when none came for its period and grace."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bot.standin import CallLog, Faults, Guard

UUID = "5b9d5f4e-3c1a-4d53-9b0e-6f1f2a7c8d90"
MAX_BEATS = 500
"""Beats whose times are kept; the count goes on."""


class FakeHeartbeat:
    """Knows one check, as Healthchecks does: ``new`` until the first beat, then ``up``, ``grace`` and ``down``.

    ``period`` and ``grace`` in seconds. The address to call is ``/UUID`` below where it is served.
    """

    name = "heartbeat"

    def __init__(
        self,
        calls: CallLog,
        *,
        uuid: str = UUID,
        period: float = 60.0,
        grace: float = 120.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.uuid, self.period, self.grace, self.clock = uuid, period, grace, clock
        self.faults = Faults()
        self.changed: list[Callable[[], None]] = []
        self.count = 0
        self.beats: list[float] = []
        """When the latest came, UNIX s, oldest first."""
        methods = ["GET", "HEAD", "POST"]
        app = Starlette(routes=[Route("/{uuid}", self._beat, methods=methods)])
        self.app: ASGIApp = Guard(self.name, app, self.faults, calls)

    async def _beat(self, request: Request) -> Response:
        if request.path_params["uuid"] != self.uuid:
            return PlainTextResponse("OK (not found)")
        self.count += 1
        self.beats = [*self.beats, self.clock()][-MAX_BEATS:]
        for tell in self.changed:
            tell()
        return PlainTextResponse("OK")

    def status(self) -> str:
        """``new``, ``up``, ``grace`` or ``down``; down is when it would alarm somebody."""
        if not self.beats:
            return "new"
        silent = self.clock() - self.beats[-1]
        if silent <= self.period:
            return "up"
        return "grace" if silent <= self.period + self.grace else "down"

    def state(self) -> dict[str, Any]:
        """``{"status", "count", "last"}``; ``last`` UNIX s or None."""
        return {"status": self.status(), "count": self.count, "last": self.beats[-1] if self.beats else None}

    def dump(self) -> dict[str, Any]:
        return {"count": self.count, "beats": list(self.beats)}

    def load(self, data: dict[str, Any]) -> None:
        self.count, self.beats = int(data["count"]), [float(at) for at in data["beats"]]
