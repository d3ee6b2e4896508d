"""Asks Alertmanager's v2 API over plain HTTP, with a hard timeout and without retries of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from bot.errors import GiveUp, Retry
from bot.http_client import Bearer, Reader, no_retries, retry_after
from bot.integrations.alertmanager import ActiveAlert, AlertmanagerSettings


class AlertmanagerClient:
    """``Alerts`` over HTTP. A call takes at most ``settings.timeout`` seconds and is never repeated here."""

    def __init__(self, settings: AlertmanagerSettings) -> None:
        self.receiver = settings.receiver
        self._url = settings.url.rstrip("/")
        self._reader = Reader("Alertmanager", "alertmanager.url", settings.timeout)
        self._session = requests.Session()
        token = settings.bearer_token
        self._session.auth = Bearer(token.get_secret_value() if token is not None else "")
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=no_retries()))

    def active(self) -> Sequence[ActiveAlert]:
        """Every alert that fires, the silenced and inhibited ones too."""
        rows = self._get("/api/v2/alerts")
        if not isinstance(rows, list):
            raise Retry(f"What answered at {self._url} is not Alertmanager's API")
        return tuple(_alert(row) for row in rows)

    def ping(self) -> str:
        said = self._get("/api/v2/status")
        version = said.get("versionInfo", {}).get("version") if isinstance(said, dict) else None
        return str(version or "unknown version")

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def _get(self, path: str) -> Any:
        if not self._url:
            raise GiveUp("alertmanager.url is not set: add it to captain.yml")
        got = self._reader.call(self._session, "GET", self._url + path)
        status, text = got.status, got.body
        said = text[:200].decode("utf-8", "replace").strip() or "no text"
        if status >= 500 or status == 429:
            raise Retry(f"Alertmanager answered {status}: {said}", after=retry_after(got.headers))
        if status in (401, 403):
            raise GiveUp(f"Alertmanager refused us ({status}): set alertmanager.bearer_token, or grant it read access")
        if status >= 400:
            raise GiveUp(f"Alertmanager refused the call ({status}): {said}: check alertmanager.url")
        try:
            return json.loads(text)
        except ValueError as problem:
            kind = got.headers.get("content-type", "no content type")
            raise Retry(f"What answered at {self._url} is not Alertmanager's API ({status}, {kind})") from problem


def _alert(row: Any) -> ActiveAlert:
    try:
        status = row["status"]
        return ActiveAlert(
            fingerprint=str(row["fingerprint"]),
            labels={str(k): str(v) for k, v in row["labels"].items()},
            starts_at=str(row["startsAt"]),
            state=str(status["state"]),
            silenced_by=tuple(str(s) for s in status.get("silencedBy") or ()),
            annotations={str(k): str(v) for k, v in (row.get("annotations") or {}).items()},
            ends_at=str(row.get("endsAt") or ""),
            updated_at=str(row.get("updatedAt") or ""),
            receivers=tuple(str(r["name"]) for r in row.get("receivers") or ()),
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise Retry(f"Alertmanager told an alert we cannot read: {json.dumps(row)[:200]}") from problem
