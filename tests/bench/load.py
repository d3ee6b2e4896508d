"""Load clients over raw sockets: closed loop for rates, open loop with a time due for latencies."""

from __future__ import annotations

import asyncio
import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import uvloop

HOST = "127.0.0.1"


@dataclass
class Heard:
    """What a load client saw. ``due`` and ``ended`` are CLOCK_MONOTONIC seconds by request, 0 where none came."""

    due: list[float]
    ended: list[float]
    status: list[int]
    began: float = 0.0
    broke: int = 0
    bodies: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, count: int) -> Heard:
        return cls([0.0] * count, [0.0] * count, [0] * count)

    @property
    def taken(self) -> list[int]:
        """Positions of the requests that were answered with 2xx."""
        return [i for i, status in enumerate(self.status) if 200 <= status < 300]

    @property
    def rate(self) -> float:
        """Requests answered a second, from the first sent to the last answered."""
        last = max(self.ended)
        return len(self.taken) / (last - self.began) if last else 0.0

    def latencies(self) -> list[float]:
        """Milliseconds from due to answered."""
        return [(self.ended[i] - self.due[i]) * 1000 for i in self.taken]


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._buffer = b""
        self._at = -1
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, at: int, request: bytes) -> None:
        self._at = at
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        lower = self._buffer[:head].lower()
        where = lower.find(b"content-length:")
        length = int(lower[where + 15 :].split(b"\r\n", 1)[0]) if where >= 0 else 0
        if len(self._buffer) < head + 4 + length:
            return
        status, self._buffer = int(self._buffer[9:12]), b""
        at, self._at = self._at, -1
        self._run.answered(self, at, status)

    def connection_lost(self, _error: Exception | None) -> None:
        if self._at >= 0:
            self._run.lost()


class Run:
    """One load: which requests are still to be sent, and what has come back."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self.requests = requests
        self.heard = Heard.of(len(requests))
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next = 0
        self._left = len(requests)
        self._idle: deque[Connection] = deque()
        self._waiting: deque[int] = deque()
        self._closed = True

    async def connect(self, port: int, count: int) -> list[Connection]:
        loop = asyncio.get_running_loop()
        made = []
        for _ in range(count):
            _, connection = await loop.create_connection(lambda: Connection(self), HOST, port)
            made.append(connection)
        return made

    def closed(self, connections: Sequence[Connection]) -> None:
        """Each connection sends its next request when the last one is answered."""
        self.heard.began = time.monotonic()
        for connection in connections:
            self._follow(connection)

    def opened(self, connections: Sequence[Connection], rate: float) -> None:
        """Requests are sent when they are due, whatever became of those before them."""
        self._closed = False
        self._idle.extend(connections)
        loop = asyncio.get_running_loop()
        start = time.monotonic() + 0.05
        self.heard.began = start
        for i in range(len(self.requests)):
            self.heard.due[i] = start + i / rate
            loop.call_at(loop.time() + self.heard.due[i] - time.monotonic(), self._due, i)

    def answered(self, connection: Connection, at: int, status: int) -> None:
        self.heard.ended[at], self.heard.status[at] = time.monotonic(), status
        self._left -= 1
        if self._left == 0 and not self.done.done():
            self.done.set_result(None)
        elif self._closed:
            self._follow(connection)
        elif self._waiting:
            i = self._waiting.popleft()
            connection.send(i, self.requests[i])
        else:
            self._idle.append(connection)

    def lost(self) -> None:
        """The other side is gone, as it is after a kill."""
        self.heard.broke += 1
        if not self.done.done():
            self.done.set_result(None)

    def _follow(self, connection: Connection) -> None:
        if self._next >= len(self.requests):
            return
        i, self._next = self._next, self._next + 1
        self.heard.due[i] = time.monotonic()
        connection.send(i, self.requests[i])

    def _due(self, i: int) -> None:
        if self._idle:
            self._idle.popleft().send(i, self.requests[i])
        else:
            self._waiting.append(i)


def closed(port: int, requests: Sequence[bytes], *, connections: int = 32, patience: float = 120.0) -> Heard:
    """Send all requests as fast as they are answered, over so many keep-alive connections."""

    async def run() -> Heard:
        load = Run(requests)
        made = await load.connect(port, connections)
        load.closed(made)
        return await _finished(load, made, patience)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def opened(port: int, requests: Sequence[bytes], *, rate: float, connections: int = 64) -> Heard:
    """Send ``rate`` requests a second; latency counts from the moment a request was due.

    select() wakes to the microsecond, where epoll and uvloop round a timer up to the next millisecond.
    """

    async def run() -> Heard:
        load = Run(requests)
        made = await load.connect(port, connections)
        load.opened(made, rate)
        return await _finished(load, made, 30.0 + len(requests) / rate)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        return runner.run(run())


async def _finished(load: Run, made: Sequence[Connection], patience: float) -> Heard:
    try:
        await asyncio.wait_for(load.done, patience)
    except TimeoutError:
        load.heard.broke += 1
    for connection in made:
        connection.transport.abort()
    return load.heard


def post(path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """One HTTP/1.1 request as bytes."""
    lines = [f"POST {path} HTTP/1.1", f"host: {HOST}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])
