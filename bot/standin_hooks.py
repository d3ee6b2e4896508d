"""Sends a stand-in's webhooks: signed, in the background, and again when the listener does not take them."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Any
from urllib.parse import urlsplit

WAITS = (0.2, 1.0, 3.0)
"""Seconds before the second, third and fourth attempt; after that the event is given up."""
TIMEOUT = 5.0


@dataclass(frozen=True)
class Manner:
    """How one service delivers.

    ``signed``: the header that carries the HMAC-SHA256 of the body, and what stands before the hex digits.
    ``again``: whether it tries again after a status; 0 stands for no answer.
    ``headers``: sent with every event. ``count_header``: says on each repetition which one it is; "" for a service that does not.
    """

    name: str
    signed: tuple[str, str]
    again: Callable[[int], bool]
    headers: Mapping[str, str]
    count_header: str = ""


class Hooks:
    """Deliveries that are due, sent by one thread that lives only while there are any. ``sent``: (status or 0, event)."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.sent: list[tuple[int, dict[str, Any]]] = []
        self._due: list[tuple[float, int, int, str, bytes, dict[str, str]]] = []
        self._order = count()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def send(self, url: str, secret: str, event: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        """Queue one event for delivery and come back at once. ``headers``: those of this event alone."""
        body = json.dumps(event).encode()
        every = {**self.manner.headers, **(headers or {})}
        if secret:
            header, scheme = self.manner.signed
            every[header] = scheme + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        with self._wake:
            heappush(self._due, (time.monotonic(), next(self._order), 0, url, body, every))
            self._wake.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"{self.manner.name}-webhooks", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._wake:
                if not self._due:
                    self._thread = None
                    return
                wait = self._due[0][0] - time.monotonic()
                if wait > 0:
                    self._wake.wait(wait)
                    continue
                _, order, tried, url, body, headers = heappop(self._due)
            status = _post(url, body, headers)
            self.sent.append((status, json.loads(body)))
            if self.manner.again(status) and tried < len(WAITS):
                counted = {self.manner.count_header: str(tried + 1)} if self.manner.count_header else {}
                with self._wake:
                    due = time.monotonic() + WAITS[tried]
                    heappush(self._due, (due, order, tried + 1, url, body, {**headers, **counted}))


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer, 0 when there was none."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=TIMEOUT)
    try:
        connection.request("POST", parts.path + (f"?{parts.query}" if parts.query else ""), body, dict(headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
