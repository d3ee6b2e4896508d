"""Sends the pretend Jira's webhooks: signed, in the background, and again when the listener is not ready."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from itertools import count
from typing import Any
from urllib.parse import urlsplit

WAITS = (0.2, 1.0, 3.0)
"""Seconds before the second, third and fourth attempt; after that the event is given up."""
AGAIN = (0, 408, 409, 425, 429)
"""Answers that Jira tries again after, beside every 5xx; 0 stands for no answer."""
TIMEOUT = 5.0


def signature(secret: str, body: bytes) -> str:
    """The value of X-Hub-Signature for one secret."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Hooks:
    """Deliveries that are due, sent by one thread that lives only while there are any. ``sent``: (status or 0, event)."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, dict[str, Any]]] = []
        self.heard: list[Callable[[], None]] = []
        self._due: list[tuple[float, int, int, str, bytes, dict[str, str]]] = []
        self._order = count()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def send(self, url: str, secret: str, event: Mapping[str, Any]) -> None:
        """Queue one event for delivery and come back at once."""
        body = json.dumps(event).encode()
        with self._wake:
            number = next(self._order)
            headers = {"Content-Type": "application/json; charset=UTF-8", "User-Agent": "Atlassian HttpClient"}
            headers["X-Atlassian-Webhook-Identifier"] = f"captain-{event['timestamp']}-{number}"
            if secret:
                headers["X-Hub-Signature"] = signature(secret, body)
            heappush(self._due, (time.monotonic(), number, 0, url, body, headers))
            self._wake.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="jira-webhooks", daemon=True)
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
                _, number, tried, url, body, headers = heappop(self._due)
            status = _post(url, body, headers)
            self.sent.append((status, json.loads(body)))
            if (status in AGAIN or status >= 500) and tried < len(WAITS):
                again = {**headers, "X-Atlassian-Webhook-Retry": str(tried + 1)}
                with self._wake:
                    heappush(self._due, (time.monotonic() + WAITS[tried], number, tried + 1, url, body, again))
            for hear in self.heard:
                hear()


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
