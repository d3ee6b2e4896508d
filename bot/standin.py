"""What every stand-in shares: one place to break it on purpose, one record of the calls it got, one way to serve it.

A stand-in is a stateful server that speaks a real service's wire protocol and refuses what that service refuses.
It ships with the product: the sandbox and the tests use the same ones.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TRANSPORT = "captain.transport"
MAX_CALLS = 2000
"""Calls kept per log; older ones fall off."""


class Mode(StrEnum):
    """How a stand-in can be told to fail."""

    ERROR = "500"  # answers 500 and has not acted
    UNAVAILABLE = "503"  # answers 503 and has not acted
    TOO_MANY = "429"  # answers 429 with Retry-After and has not acted
    HANG = "hang"  # takes the request, never answers, has not acted
    RESET = "reset"  # acts, then drops the connection before a byte of the answer
    LATE = "late"  # acts, then answers after `delay` seconds


@dataclass(frozen=True)
class Fault:
    """One way of failing, for a while or for a number of calls.

    ``until``: UNIX seconds after which it is gone, or None for "until mended".
    ``left``: how many more matching calls fail, or None for all.
    ``only``: a piece of the path (or Slack method) that must match; empty matches all.
    """

    mode: Mode
    until: float | None = None
    left: int | None = None
    only: str = ""
    retry_after: int = 5
    delay: float = 1.0


@dataclass(frozen=True)
class Call:
    """One call a stand-in got, as the page and ``captain sandbox state`` show it. ``at`` UNIX s, ``ms`` milliseconds."""

    at: float
    service: str
    method: str
    path: str
    status: int
    ms: float
    fault: str = ""
    body: str = ""


@dataclass
class CallLog:
    """The calls of all stand-ins that share it, oldest first. Safe to use from any thread."""

    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=MAX_CALLS))
    heard: list[Callable[[Call], None]] = field(default_factory=list)

    def add(self, call: Call) -> None:
        self.calls.append(call)
        for hear in self.heard:
            hear(call)

    def rows(self) -> list[dict[str, Any]]:
        return [asdict(call) for call in list(self.calls)]


class StandIn(Protocol):
    """What the sandbox and the tests ask of every stand-in."""

    name: str
    app: ASGIApp
    faults: Faults
    changed: list[Callable[[], None]]

    def state(self) -> dict[str, Any]:
        """What the service holds, in the shape ``captain sandbox state --json`` prints. Plain JSON."""
        ...

    def dump(self) -> dict[str, Any]:
        """Everything needed to carry on after a restart. Plain JSON."""
        ...

    def load(self, data: dict[str, Any]) -> None:
        """Take over what ``dump`` gave."""
        ...


class Faults:
    """The breakage of one stand-in, set from any thread, asked on every call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self.delay = 0.0  # seconds added to every answer, as a network would

    def breaks(
        self,
        mode: Mode | str,
        *,
        seconds: float | None = None,
        times: int | None = None,
        only: str = "",
        retry_after: int = 5,
        delay: float = 1.0,
    ) -> None:
        """Fail from now on in one way; the newest matching fault wins."""
        until = None if seconds is None else time.time() + seconds
        with self._lock:
            self._faults.insert(0, Fault(Mode(mode), until, times, only, retry_after, delay))

    def mend(self) -> None:
        with self._lock:
            self._faults.clear()

    def active(self) -> list[Fault]:
        """The faults in force now, newest first."""
        now = time.time()
        with self._lock:
            self._faults = [f for f in self._faults if (f.until is None or f.until > now) and f.left != 0]
            return list(self._faults)

    def take(self, path: str) -> Fault | None:
        """The fault that hits this call, counting it down."""
        for fault in self.active():
            if fault.only in path:
                if fault.left is not None:
                    with self._lock:
                        i = self._faults.index(fault)
                        self._faults[i] = Fault(**{**asdict(fault), "left": fault.left - 1})
                return fault
        return None

    def rows(self) -> list[dict[str, Any]]:
        """For the page: mode, seconds left, calls left, what it is limited to."""
        now = time.time()
        return [
            {
                "mode": f.mode.value,
                "seconds_left": None if f.until is None else round(f.until - now, 1),
                "calls_left": f.left,
                "only": f.only,
            }
            for f in self.active()
        ]


class Guard:
    """ASGI wrapper around a stand-in's app: applies faults, adds delay, records calls. Websockets pass through."""

    def __init__(self, name: str, app: ASGIApp, faults: Faults, calls: CallLog, *, quiet: tuple[str, ...] = ()) -> None:
        self.name = name
        self.app = app
        self.faults = faults
        self.calls = calls
        self.quiet = quiet  # path endings not worth recording (long watches, health)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, at = time.perf_counter(), time.time()
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        body, receive = await _read(receive)
        fault = self.faults.take(path)
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if self.faults.delay:
                await asyncio.sleep(self.faults.delay)
            if fault is None:
                await self.app(scope, receive, watch)
            else:
                await self._fail(fault, scope, receive, watch)
        finally:
            if not path.endswith(self.quiet or ("\0",)):
                took = (time.perf_counter() - began) * 1000
                mode = fault.mode.value if fault else ""
                text = body[:4000].decode("utf-8", "replace")
                self.calls.add(Call(at, self.name, scope["method"], path, status, round(took, 2), mode, text))

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.mode in (Mode.ERROR, Mode.UNAVAILABLE, Mode.TOO_MANY):
            headers = [(b"content-type", b"application/json")]
            if fault.mode is Mode.TOO_MANY:
                headers.append((b"retry-after", str(fault.retry_after).encode()))
            body = json.dumps({"ok": False, "error": {"message": "broken on purpose", "code": 2100}}).encode()
            await send({"type": "http.response.start", "status": int(fault.mode.value), "headers": headers})
            await send({"type": "http.response.body", "body": body})
        elif fault.mode is Mode.HANG:
            while fault in self.faults.active() or fault.left is not None:
                if await _gone(receive):
                    return
            _abort(scope)
        elif fault.mode is Mode.LATE:
            held: list[Message] = []
            await self.app(scope, receive, _into(held))
            await asyncio.sleep(fault.delay)
            for message in held:
                await send(message)
        else:
            await self.app(scope, receive, _into([]))
            _abort(scope)


class Addressed(Protocol):
    """What ``Notice`` asks of a stand-in: ``base_url`` has no trailing slash."""

    base_url: str

    def announce(self) -> None: ...


class Notice:
    """ASGI wrapper: remembers the address the stand-in is reached by, and announces after each request but a GET."""

    def __init__(self, fake: Addressed, app: ASGIApp) -> None:
        self.fake = fake
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = dict(scope["headers"]).get(b"host", b"localhost").decode("latin-1")
            self.fake.base_url = f"{scope['scheme']}://{host}{scope.get('root_path', '')}"
        await self.app(scope, receive, send)
        if scope["type"] == "http" and scope["method"] != "GET":
            self.fake.announce()


def _into(held: list[Message]) -> Send:
    async def keep(message: Message) -> None:
        held.append(message)

    return keep


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """Read the whole body and give a receive that plays it again, then passes the disconnect on."""
    chunks: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(chunks)
    played = False

    async def again() -> Message:
        nonlocal played
        if played:
            return await receive()
        played = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, again


async def _gone(receive: Receive) -> bool:
    """Wait up to a fifth of a second; True when the caller has hung up."""
    try:
        async with asyncio.timeout(0.2):
            while True:
                if (await receive())["type"] == "http.disconnect":
                    return True
    except TimeoutError:
        return False


def _abort(scope: Scope) -> None:
    """Drop the TCP connection with a reset, as a crashed proxy does."""
    transport = scope["state"][TRANSPORT]
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class _KeepTransport:
    """Outermost wrapper: remembers the connection of each request, so that a fault can drop it from any depth."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})[TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await self.app(scope, receive, send)


@dataclass
class Served:
    """A server running on a thread of its own. ``url`` has no trailing slash."""

    url: str
    port: int
    _server: uvicorn.Server
    _thread: threading.Thread

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)


def serve(app: ASGIApp, *, port: int = 0, host: str = "127.0.0.1") -> Served:
    """Serve an ASGI app on a thread; port 0 takes a free one. Raises OSError when the port is taken."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    config = uvicorn.Config(
        _KeepTransport(app),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=30,
        ws="websockets-sansio",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name=f"serve-{port}", daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise OSError(f"nothing came up on {host}:{port}")
        time.sleep(0.002)
    bound = sock.getsockname()[1]
    return Served(f"http://{host}:{bound}", bound, server, thread)
