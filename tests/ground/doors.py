"""Addresses that stay while the app behind them changes, and somebody who listens to webhooks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.standin import CallLog, serve


class Door:
    """One server whose app a test sets: starting a server for each test would cost 0.2 s. ``url`` has no trailing slash."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self.served = serve(self)
        self.url = self.served.url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None, "no test has put an app behind this door"
        await self.app(scope, receive, send)


@dataclass
class Ear:
    """Hears webhooks: ``heard`` has (headers, body); ``answers`` are the statuses to give, the last for ever.

    ``inside``: the key under which a body holds its event; "" where the body is the event.
    """

    answers: list[int]
    inside: str = ""
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.heard.append(({name.decode(): value.decode() for name, value in scope["headers"]}, body))
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def events(self) -> list[dict[str, Any]]:
        bodies = [json.loads(body) for _, body in self.heard]
        return [body[self.inside] for body in bodies] if self.inside else bodies


@contextmanager
def listening(path: str, answer: int, *, inside: str = "") -> Iterator[Ear]:
    """An ear on a port of its own, whose address ends in ``path``; gone when the block ends."""
    ear = Ear([answer], inside)
    served = serve(ear)
    ear.url = f"{served.url}{path}"
    try:
        yield ear
    finally:
        served.stop()


@pytest.fixture(scope="session")
def door() -> Iterator[Door]:
    """The session's door; tests that change its app once ask for ``behind`` instead."""
    made = Door()
    yield made
    made.served.stop()


@pytest.fixture
def behind(door: Door) -> Callable[[ASGIApp], str]:
    """``behind(app)`` serves the app until the test ends, or the next call, and gives its address."""

    def put(app: ASGIApp) -> str:
        door.app = app
        return door.url

    return put


@pytest.fixture
def calls() -> CallLog:
    """The record of the calls that this test's stand-ins got."""
    return CallLog()
