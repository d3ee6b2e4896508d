"""Asks Alertmanager's v2 API over plain HTTP, with a hard timeout and without retries of its own."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Sequence
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from bot.errors import GiveUp, NotConfigured, Retry, in_time
from bot.http_client import Bearer, Reader, no_retries, retry_after
from bot.integrations.alertmanager import ActiveAlert, AlertmanagerSettings, LabelMatcher, Silence, SilenceAsk

CLOCKS = 3600.0
"""Seconds by which Alertmanager's clock and ours may differ."""


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
        rows = self._call("GET", "/api/v2/alerts")
        if not isinstance(rows, list):
            raise Retry(f"What answered at {self._url} is not Alertmanager's API")
        return tuple(_alert(row) for row in rows)

    def silences(self) -> Sequence[Silence]:
        rows = self._call("GET", "/api/v2/silences")
        if not isinstance(rows, list):
            raise Retry(f"What answered at {self._url} is not Alertmanager's API")
        return tuple(_silence(row) for row in rows)

    def silence(self, ask: SilenceAsk) -> str:
        in_time(ask.by)
        body = {
            "matchers": [
                {"name": one.name, "value": one.value, "isRegex": one.regex, "isEqual": one.equal}
                for one in ask.matchers
            ],
            # Its clock may be behind ours: what has begun there already is on at once.
            "startsAt": _instant(time.time() - CLOCKS),
            "endsAt": _instant(ask.until),
            "createdBy": ask.created_by,
            "comment": ask.comment,
            **({"id": ask.id} if ask.id else {}),
        }
        try:
            said = self._call("POST", "/api/v2/silences", json=body)
        except Retry as e:
            raise Retry(e.reason, after=e.after, unknown=True) from e
        name = said.get("silenceID") if isinstance(said, dict) else None
        if not isinstance(name, str) or not name:
            raise Retry("Alertmanager made a silence without saying which", unknown=True)
        return name

    def expire(self, silence: str) -> None:
        # Real ones answer 500 both for a silence they do not know and for one that has ended.
        if any(one.id == silence and one.state != "expired" for one in self.silences()):
            self._call("DELETE", f"/api/v2/silence/{silence}")

    def ping(self) -> str:
        said = self._call("GET", "/api/v2/status")
        version = said.get("versionInfo", {}).get("version") if isinstance(said, dict) else None
        return str(version or "unknown version")

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def _call(self, method: str, path: str, **asked: Any) -> Any:
        if not self._url:
            raise NotConfigured("alertmanager.url is not set: add it to captain.yml")
        got = self._reader.call(self._session, method, self._url + path, **asked)
        status, text = got.status, got.body
        said = text[:200].decode("utf-8", "replace").strip() or "no text"
        if status >= 500 or status == 429:
            raise Retry(f"Alertmanager answered {status}: {said}", after=retry_after(got.headers))
        if status in (401, 403):
            raise GiveUp(f"Alertmanager refused us ({status}): set alertmanager.bearer_token, or grant it access")
        if status >= 400:
            raise GiveUp(f"Alertmanager refused the call ({status}): {said}: check alertmanager.url")
        if method == "DELETE":
            return None
        try:
            return json.loads(text)
        except ValueError as problem:
            kind = got.headers.get("content-type", "no content type")
            raise Retry(f"What answered at {self._url} is not Alertmanager's API ({status}, {kind})") from problem


def _instant(at: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _silence(row: Any) -> Silence:
    try:
        matchers = [
            LabelMatcher(str(m["name"]), str(m["value"]), bool(m.get("isRegex")), bool(m.get("isEqual", True)))
            for m in row["matchers"]
        ]
        return Silence(
            id=str(row["id"]),
            state=str(row["status"]["state"]),
            matchers=tuple(matchers),
            ends_at=str(row["endsAt"]),
            created_by=str(row.get("createdBy") or ""),
            comment=str(row.get("comment") or ""),
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise Retry(f"Alertmanager told a silence we cannot read: {json.dumps(row)[:200]}") from problem


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
