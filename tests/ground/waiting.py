"""Waiting for what happens elsewhere, with a deadline and a sentence for when it does not."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], *, timeout: float = 14.0, message: str = "", every: float = 0.02) -> T:
    """Ask ``condition`` every ``every`` seconds until it gives something true, and return that.

    An AssertionError it raises counts as "not yet", and so does taking the first of none. After ``timeout`` seconds it raises
    AssertionError with ``message``,
    what it gave last and, if it asserted, what it said. Left alone it stays below the lease of 15 s, so that what only the
    sweep finds again does not pass for what was done at once.
    """
    pause = threading.Event()
    deadline = time.monotonic() + timeout
    while True:
        said: AssertionError | IndexError | None = None
        last: object = None
        try:
            given = condition()
        except (AssertionError, IndexError) as e:
            said = e
        else:
            if given:
                return given
            last = given
        if time.monotonic() >= deadline:
            heading = message or f"{getattr(condition, '__qualname__', condition)} did not come true"
            detail = f"it said: {said}" if said else f"the last answer was {last!r}"
            raise AssertionError(f"{heading} within {timeout:g} s; {detail}") from said
        pause.wait(every)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on now. Prefer port 0 where the server can tell which it took.

    Below those that the system gives to connections that go out: until it is listened on, one of these could take it.
    """
    while True:
        port = random.randrange(15000, 32000)
        with contextlib.closing(socket.socket()) as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
