"""Has the pretend Prometheus scrape the real bot, so that what the bot tells of itself can be looked at."""

from __future__ import annotations

import threading

from bot.integrations.prometheus.fake import FakePrometheus
from bot.sandbox import remote

EVERY = 5.0
"""Seconds between two scrapes."""


class Scraper:
    """Asks ``/metrics`` on ``port`` of this machine until it is closed."""

    def __init__(self, prometheus: FakePrometheus, port: int, *, every: float = EVERY) -> None:
        self._prometheus, self._port, self._every = prometheus, port, every
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._scrape, name="world-scraper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(5)

    def _scrape(self) -> None:
        instance = f"127.0.0.1:{self._port}"
        while not self._closing.is_set():
            try:
                answer = remote.ask(self._port, "GET", "/metrics", timeout=2.0)
                text = answer.text if answer.status == 200 else ""
            except remote.Unreachable:
                text = ""
            self._prometheus.scrape(text, job="release-captain", instance=instance)
            self._closing.wait(self._every)
