"""Calls the heartbeat's address with a plain GET, the one method that every such service takes."""

from __future__ import annotations

import requests
from requests.adapters import HTTPAdapter

from bot.errors import GiveUp, Retry
from bot.http_client import Reader, no_retries, retry_after
from bot.integrations.heartbeat import HeartbeatSettings

NAME = "The heartbeat's service"


class HeartbeatClient:
    """``Heartbeat`` over HTTP. A call takes at most ``settings.timeout`` seconds and is never repeated here.

    No error carries the address: it is a secret.
    """

    def __init__(self, settings: HeartbeatSettings) -> None:
        self._url = settings.url.get_secret_value()
        self._reader = Reader(NAME, "heartbeat.url", settings.timeout)
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=no_retries()))

    def beat(self) -> None:
        got = self._reader.call(self._session, "GET", self._url)
        said = got.body[:200].decode("utf-8", "replace").strip()
        # Healthchecks answers 200 to every uuid, and says only in the text that it counted nothing.
        if got.status in (404, 410) or "(not found)" in said:
            raise GiveUp(f"{NAME} knows no such heartbeat: check heartbeat.url in captain.yml")
        if got.status == 429 or got.status >= 500 or "(rate limited)" in said:
            raise Retry(f"{NAME} answered {got.status}: {said or 'no text'}", after=retry_after(got.headers))
        if not 200 <= got.status < 300:
            raise GiveUp(f"{NAME} refused the call ({got.status}): check heartbeat.url in captain.yml")

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()
