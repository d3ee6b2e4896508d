"""The v2 HTTP API of the Alertmanager stand-in: what it reads, what it refuses, and with which words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot.integrations.alertmanager.fake_alerts import ApiError, matcher, unreadable

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ALLOWED = {"/api/v2/alerts": "POST,GET", "/api/v2/silences": "POST,GET"}


class Asked(Protocol):
    """What the API asks of the stand-in behind it."""

    def rows(self) -> list[dict[str, Any]]: ...

    def silence_rows(self) -> list[dict[str, Any]]: ...

    def post_alerts(self, body: Any) -> None: ...

    def post_silence(self, body: Any) -> str: ...

    def expire(self, name: str) -> None: ...

    def status(self) -> dict[str, Any]: ...


class Api:
    """The endpoints."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    def app(self) -> Starlette:
        routes = [
            Route("/api/v2/alerts", self.alerts, methods=["GET", "POST"]),
            Route("/api/v2/silences", self.silences, methods=["GET", "POST"]),
            Route("/api/v2/silence/{id}", self.silence, methods=["GET", "DELETE"]),
            Route("/api/v2/status", self.status),
            Route("/api/v2/receivers", self.receivers),
            Route("/-/healthy", self.healthy),
            Route("/-/ready", self.healthy),
        ]
        return Starlette(routes=routes, exception_handlers={ApiError: _refused, 404: _lost, 405: _wrong_method})

    async def alerts(self, request: Request) -> Response:
        if request.method == "POST":
            self.asked.post_alerts(await _json(request))
            return Response()
        wanted = {n: request.query_params.get(n, "true") != "false" for n in ("active", "silenced", "inhibited")}
        rows = [r for r in _filtered(request, self.asked.rows(), _alert_labels) if _shown(r, wanted)]
        return JSONResponse([{k: v for k, v in r.items() if k != "generatorURL" or v} for r in rows])

    async def silences(self, request: Request) -> Response:
        if request.method == "POST":
            return JSONResponse({"silenceID": self.asked.post_silence(await _json(request))})
        return JSONResponse(_filtered(request, self.asked.silence_rows(), _silence_labels))

    async def silence(self, request: Request) -> Response:
        name = request.path_params["id"]
        if not _UUID.fullmatch(name):
            raise ApiError(422, {"code": 601, "message": f'silenceID in path must be of type uuid: "{name}"'})
        found = [row for row in self.asked.silence_rows() if row["id"] == name]
        if request.method != "DELETE":
            return JSONResponse(found[0]) if found else Response(status_code=404)
        if not found:
            raise ApiError(500, "silence not found")
        self.asked.expire(name)
        return Response()

    async def status(self, _request: Request) -> Response:
        return JSONResponse(self.asked.status())

    async def receivers(self, _request: Request) -> Response:
        return JSONResponse([{"name": "rc"}])

    async def healthy(self, _request: Request) -> Response:
        return PlainTextResponse("OK")


async def _refused(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, ApiError)
    return JSONResponse(problem.body, problem.status)


async def _lost(request: Request, _problem: Exception) -> Response:
    return JSONResponse({"code": 404, "message": f"path {request.url.path} was not found"}, 404)


async def _wrong_method(request: Request, _problem: Exception) -> Response:
    allowed = _ALLOWED.get(request.url.path, "GET")
    said = f"method {request.method} is not allowed, but [{allowed}] are"
    return JSONResponse({"code": 405, "message": said}, 405)


def _alert_labels(row: Mapping[str, Any]) -> dict[str, str]:
    return dict(row["labels"])


def _silence_labels(row: Mapping[str, Any]) -> dict[str, str]:
    return {m["name"]: m["value"] for m in row["matchers"]}


async def _json(request: Request) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        said = f'unsupported media type "{kind}", only [application/json] are allowed'
        raise ApiError(415, {"code": 415, "message": said})
    try:
        return json.loads(await request.body())
    except ValueError as problem:
        raise unreadable("unexpected EOF") from problem


def _filtered(
    request: Request, rows: list[dict[str, Any]], labels: Callable[[Mapping[str, Any]], dict[str, str]]
) -> list[dict[str, Any]]:
    try:
        wanted = [matcher(text) for text in request.query_params.getlist("filter")]
    except ValueError as problem:
        raise ApiError(400, str(problem)) from problem
    return [row for row in rows if all(m.matches(labels(row)) for m in wanted)]


def _shown(row: dict[str, Any], wanted: Mapping[str, bool]) -> bool:
    status = row["status"]
    if status["state"] == "active":
        return wanted["active"]
    return (wanted["silenced"] or not status["silencedBy"]) and (wanted["inhibited"] or not status["inhibitedBy"])
