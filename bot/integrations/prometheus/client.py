"""Asks Prometheus through prometheus-api-client, with a hard timeout, no retries of its own and no lost warnings."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect

from bot.errors import GiveUp, Retry
from bot.http_client import Bearer, Got, Reader, no_retries, retry_after
from bot.integrations.prometheus import Answer, PrometheusSettings, RangeAnswer, Sample, Series

HINT = "PromQL info:"
LONG_QUERY = 1500
"""Characters from which a query goes by POST: longer addresses are cut by some proxies."""


class PrometheusClient:
    """``Metrics`` over HTTP. A call takes at most ``settings.timeout`` seconds and is never repeated here.

    The library builds and holds the session; the answer is read here, because the library drops ``warnings`` and
    ``resultType``, rounds range times to whole seconds, and lets a page of HTML out as a JSON error.
    """

    def __init__(self, settings: PrometheusSettings) -> None:
        self._timeout = settings.timeout
        self._reader = Reader("Prometheus", "prometheus.url", settings.timeout, ": aggregate more in the query")
        self._session = requests.Session()
        if settings.bearer_token is not None:
            self._session.auth = Bearer(settings.bearer_token.get_secret_value())
        self._prometheus = PrometheusConnect(
            url=settings.url.rstrip("/"),
            session=self._session,
            retry=no_retries(),
            timeout=settings.timeout,
        )

    def query(self, expr: str, *, at: float | None = None) -> Answer:
        asked = {"query": expr} if at is None else {"query": expr, "time": repr(float(at))}
        data, warnings = self._ask("query", asked)
        kind, result = _result(data)
        if kind == "scalar":
            return Answer((_sample({}, result),), warnings)
        if kind != "vector":
            raise GiveUp(f"Prometheus answered with a {kind}, not with one value per series: rewrite {_short(expr)}")
        return Answer(tuple(_sample(row["metric"], row["value"]) for row in result), warnings)

    def query_range(self, expr: str, *, start: float, end: float, step: float) -> RangeAnswer:
        asked = {"query": expr, "start": repr(float(start)), "end": repr(float(end)), "step": repr(float(step))}
        data, warnings = self._ask("query_range", asked)
        _, result = _result(data)
        series = tuple(
            Series(dict(row["metric"]), tuple((float(t), float(v)) for t, v in row["values"])) for row in result
        )
        return RangeAnswer(series, warnings)

    def ping(self) -> str:
        data, _ = self._ask("status/buildinfo", {})
        version = data.get("version") if isinstance(data, Mapping) else None
        return str(version or "unknown version")

    def close(self) -> None:
        """Give the connections back."""
        self._prometheus.close()

    def _ask(self, path: str, asked: Mapping[str, str]) -> tuple[Any, tuple[str, ...]]:
        """``data`` and ``warnings`` of an answer that says success; anything else is raised."""
        got = self._call(f"{self._prometheus.url}/api/v1/{path}", asked)
        status, text = got.status, got.body
        body = _json(text)
        if status >= 500 or status == 429:
            raise Retry(f"Prometheus answered {status}: {_said(body, text)}", after=retry_after(got.headers))
        if status in (401, 403):
            raise GiveUp(f"Prometheus refused us ({status}): set prometheus.bearer_token, or grant it read access")
        if status >= 400:
            hint = "" if body else ": check prometheus.url"
            raise GiveUp(f"Prometheus refused the call ({status}): {_said(body, text)}{hint}")
        if body is None or body.get("status") != "success" or "data" not in body:
            kind = got.headers.get("content-type", "no content type")
            raise Retry(f"What answered at {self._prometheus.url} is not Prometheus' API ({status}, {kind})")
        said = [str(warning) for warning in body.get("warnings") or ()]
        # Prometheus 2.50 and those about it put hints about a metric's name among the warnings; nothing is missing from such an answer.
        return body["data"], tuple(warning for warning in said if not warning.startswith(HINT))

    def _call(self, url: str, asked: Mapping[str, str]) -> Got:
        # The server is told the limit too, so that it stops working on what nobody waits for any more.
        params = {**asked, "timeout": f"{self._timeout:g}"} if "query" in asked else dict(asked)
        long = len(asked.get("query", "")) > LONG_QUERY
        return self._reader.call(
            self._session,
            "POST" if long else "GET",
            url,
            params=None if long else params,
            data=params if long else None,
            headers={"Accept": "application/json"},
        )


def _json(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _said(body: Mapping[str, Any] | None, text: bytes) -> str:
    """Prometheus' own sentence, or the start of whatever came instead."""
    said = (body or {}).get("error")
    if isinstance(said, str):
        return said
    return _short(text.decode("utf-8", "replace").strip()) or "no text"


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"


def _result(data: Any) -> tuple[str, Any]:
    if not isinstance(data, Mapping) or "result" not in data:
        raise Retry("Prometheus' answer has no result")
    return str(data.get("resultType")), data["result"]


def _sample(labels: Mapping[str, str], pair: Sequence[Any]) -> Sample:
    at, text = pair
    return Sample(dict(labels), float(at), float(text) if text != "" else math.nan)
