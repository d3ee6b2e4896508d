"""What the machine allows: the least code that does the same to the disk and the wire, each in a process of its own.

``python floors.py ingest DB`` and ``python floors.py signed`` print their port; ``python floors.py imports`` prints
when it had imported everything (CLOCK_MONOTONIC) and what it then held in memory (kB).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import socket
import sqlite3
import sys
import threading
import time
import warnings
from collections import deque
from pathlib import Path
from urllib.parse import parse_qs

SECRET = "bench-signing-secret"
PACKAGES = (
    "alembic.command", "apscheduler.schedulers.background", "dbos", "httptools", "jira", "kubernetes.client",
    "kubernetes.dynamic", "pdpyras", "prometheus_api_client", "prometheus_client", "psycopg", "yaml", "slack_bolt",
    "slack_bolt.adapter.socket_mode.builtin", "slack_sdk", "sqlmodel", "starlette.applications", "typer", "uvicorn",
    "uvloop", "websockets",
)  # fmt: skip
"""All that pyproject.toml asks for."""


class Journal:
    """SQLite in WAL with synchronous=FULL and one writer thread that commits all that waits at once."""

    def __init__(self, path: str) -> None:
        self._queue: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._wake = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        for line in (
            "pragma journal_mode=wal",
            "pragma synchronous=full",
            "create table alerts (id integer primary key, fingerprint text, body blob)",
            "create index by_fingerprint on alerts (fingerprint)",
        ):
            self._db.execute(line)
        threading.Thread(target=self._write, daemon=True).start()

    async def put(self, body: bytes) -> None:
        self._loop = self._loop or asyncio.get_running_loop()
        done: asyncio.Future[None] = self._loop.create_future()
        with self._wake:
            self._queue.append((body, done))
            self._wake.notify()
        await done

    def _write(self) -> None:
        while True:
            with self._wake:
                while not self._queue:
                    self._wake.wait()
                batch = [self._queue.popleft() for _ in range(min(200, len(self._queue)))]
            rows = [(json.loads(body)["alerts"][0]["fingerprint"], body) for body, _ in batch]
            self._db.execute("begin immediate")
            self._db.executemany("insert into alerts (fingerprint, body) values (?, ?)", rows)
            self._db.execute("commit")
            self._loop.call_soon_threadsafe(_tell, [done for _, done in batch])


def _tell(waiting: list[asyncio.Future[None]]) -> None:
    for done in waiting:
        if not done.done():
            done.set_result(None)


def ingest(path: str) -> None:
    """G: Starlette, group commit, answer."""
    from starlette.responses import JSONResponse

    journal = Journal(path)

    async def take(request):
        await journal.put(await request.body())
        return JSONResponse({"accepted": 1}, 202)

    _serve(take)


def signed() -> None:
    """A slash command's signature and form, and nothing else."""
    from slack_sdk.signature import SignatureVerifier
    from starlette.responses import Response

    verifier = SignatureVerifier(SECRET)

    async def take(request):
        body = await request.body()
        if not verifier.is_valid_request(body, dict(request.headers)):
            return Response("no", 401)
        parse_qs(body.decode())
        return Response("", 200)

    _serve(take)


def _serve(take) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Route

    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    print(sock.getsockname()[1], flush=True)
    app = Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None, access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[sock])


def imports() -> None:
    """Import every package and say when that was done."""
    warnings.simplefilter("ignore")
    for name in PACKAGES:
        importlib.import_module(name)
    at = time.monotonic()
    kilobytes = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line)
    print(at, kilobytes, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        {"ingest": ingest, "signed": signed, "imports": imports}[sys.argv[1]](*sys.argv[2:])
