"""Asks Alertmanager's v2 API over plain HTTP, with a hard timeout and without retries of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry as NoRetry

from bot.errors import GiveUp, Retry
from bot.integrations.alertmanager import ActiveAlert, AlertmanagerSettings

MAX_BODY = 32 * 1024 * 1024


class AlertmanagerClient:
    """``Alerts`` over HTTP. A call takes at most ``settings.timeout`` seconds and is never repeated here."""

    def __init__(self, settings: AlertmanagerSettings) -> None:
        self._url = settings.url.rstrip("/")
        self._timeout = settings.timeout
        self._session = requests.Session()
        token = settings.bearer_token
        self._session.auth = _Bearer(token.get_secret_value() if token is not None else "")
        for scheme in ("http://", "https://"):
            # read=False lets a timeout be told from a lost connection.
            self._session.mount(scheme, HTTPAdapter(max_retries=NoRetry(total=0, read=False)))

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
        status, headers, text = self._call(self._url + path)
        said = text[:200].decode("utf-8", "replace").strip() or "no text"
        if status >= 500 or status == 429:
            raise Retry(f"Alertmanager answered {status}: {said}", after=_after(headers))
        if status in (401, 403):
            raise GiveUp(f"Alertmanager refused us ({status}): set alertmanager.bearer_token, or grant it read access")
        if status >= 400:
            raise GiveUp(f"Alertmanager refused the call ({status}): {said}: check alertmanager.url")
        try:
            return json.loads(text)
        except ValueError as problem:
            kind = headers.get("content-type", "no content type")
            raise Retry(f"What answered at {self._url} is not Alertmanager's API ({status}, {kind})") from problem

    def _call(self, url: str) -> tuple[int, Mapping[str, str], bytes]:
        deadline = time.monotonic() + self._timeout
        try:
            with self._session.get(url, timeout=self._timeout, stream=True) as response:
                return response.status_code, response.headers, _read(response, deadline, self._timeout)
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
        ) as e:
            raise GiveUp(f"alertmanager.url is not an address that can be called: {e}") from e
        except requests.exceptions.Timeout as e:
            raise Retry(f"Alertmanager did not answer within {self._timeout:g} s") from e
        except (requests.exceptions.RequestException, HTTPError, OSError) as e:
            raise Retry(f"Alertmanager cannot be reached: {_cause(e)}") from e


class _Bearer(requests.auth.AuthBase):
    """Sets the token as auth, so that a .netrc of the machine cannot put another in its place; "" sends none."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _read(response: requests.Response, deadline: float, timeout: float) -> bytes:
    """The whole body by the deadline, however slowly it drips."""
    parts: list[bytes] = []
    size = 0
    while part := response.raw.read1(65_536, decode_content=True):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            raise GiveUp(f"Alertmanager's answer is larger than {MAX_BODY // 1024**2} MB")
        if time.monotonic() > deadline:
            raise Retry(f"Alertmanager did not finish its answer within {timeout:g} s")
    return b"".join(parts)


def _after(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _cause(problem: BaseException) -> str:
    inner = problem
    while inner.__context__ is not None:
        inner = inner.__context__
    return (str(inner) or type(inner).__name__)[:200]


def _alert(row: Any) -> ActiveAlert:
    try:
        status = row["status"]
        return ActiveAlert(
            fingerprint=str(row["fingerprint"]),
            labels={str(k): str(v) for k, v in row["labels"].items()},
            starts_at=str(row["startsAt"]),
            state=str(status["state"]),
            silenced_by=tuple(str(s) for s in status.get("silencedBy") or ()),
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise Retry(f"Alertmanager told an alert we cannot read: {json.dumps(row)[:200]}") from problem
