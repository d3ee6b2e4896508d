"""What the services of the sandbox's world answer by themselves: their health, and the newest event of the audit stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bot.standin import CallLog, Faults, Guard

EVERY = 2
"""Seconds between two audit events."""


class Plant:
    """``GET /SERVICE/health`` and ``GET /audit/last``. ``down``: services that are not well; ``silent_since`` UNIX s."""

    name = "services"

    def __init__(self, calls: CallLog, services: Sequence[str], *, clock: Callable[[], float] = time.time) -> None:
        self.services, self.clock = list(services), clock
        self.faults = Faults()
        self.changed: list[Callable[[], None]] = []
        self.down: set[str] = set()
        self.silent_since: float | None = None
        routes = [
            Route("/audit/last", self._audit, methods=["GET", "HEAD"]),
            Route("/{service}/health", self._health, methods=["GET", "HEAD"]),
        ]
        self.app: ASGIApp = Guard(self.name, Starlette(routes=routes), self.faults, calls)

    def set_down(self, service: str, *, down: bool = True) -> None:
        """Have a service say that it is not well, or that it is again."""
        (self.down.add if down else self.down.discard)(service)
        self._tell()

    def set_silent(self, since: float | None) -> None:
        """No audit event has come since then (UNIX s); None has them come again."""
        self.silent_since = since
        self._tell()

    def last_event(self) -> dict[str, Any]:
        """``{"id", "at", "actor", "action", "object"}``; ``at`` UNIX s."""
        until = self.clock() if self.silent_since is None else self.silent_since
        number = int(until // EVERY)
        return {
            "id": f"evt-{number}",
            "at": number * EVERY,
            "actor": ("spiffe://prod.example.org/ns/prod/sa/gateway", "alice@example.com")[number % 2],
            "action": ("document.read", "document.update")[number % 2],
            "object": f"documents/{number % 997}",
        }

    def state(self) -> dict[str, Any]:
        """``{"services": {name: "ok" | "down"}, "audit": last_event()}``."""
        health = {name: "down" if name in self.down else "ok" for name in self.services}
        return {"services": health, "audit": self.last_event()}

    def dump(self) -> dict[str, Any]:
        return {"down": sorted(self.down), "silent_since": self.silent_since}

    def load(self, data: dict[str, Any]) -> None:
        self.down = {str(name) for name in data["down"]}
        self.silent_since = None if data["silent_since"] is None else float(data["silent_since"])

    def _tell(self) -> None:
        for tell in self.changed:
            tell()

    async def _health(self, request: Request) -> Response:
        name = request.path_params["service"]
        if name not in self.services:
            return JSONResponse({"error": f"there is no service {name}"}, 404)
        if name in self.down:
            return JSONResponse({"service": name, "status": "down", "why": "cannot reach its database"}, 503)
        return JSONResponse({"service": name, "status": "ok"})

    async def _audit(self, _request: Request) -> Response:
        return JSONResponse(self.last_event())
