"""The HTTP ear: webhooks, Slack's signed requests, the CLI's door, health and metrics."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot import inbox
from bot.app import COMMIT_PATIENCE, Captain
from bot.errors import Refused
from bot.grammar import Asker
from handlers.alerts.journal import Entry
from handlers.alerts.payload import Alert, BadPayload, Body
from handlers.incidents import phone

if TYPE_CHECKING:
    from pydantic import SecretStr

log = logging.getLogger(__name__)
MAX_BODY = 8 * 1024 * 1024
"""Bytes of a webhook body; some twenty thousand alerts. A larger one is refused before it is read."""


def build(captain: Captain, slack: Callable[[Request], Awaitable[Response]] | None) -> Starlette:
    """The ASGI app. ``slack`` answers Slack's signed requests, or is None in Socket Mode."""
    ear = _Ear(captain)
    routes = [
        Route("/webhooks/alertmanager", ear.alertmanager, methods=["POST"]),
        Route("/webhooks/pagerduty", ear.pagerduty, methods=["POST"]),
        Route("/api/command", ear.command, methods=["POST"]),
        Route("/api/commands", ear.commands, methods=["GET"]),
        Route("/healthz", ear.healthz, methods=["GET"]),
        Route("/readyz", ear.readyz, methods=["GET"]),
        Route("/metrics", ear.metrics, methods=["GET"]),
    ]
    if slack is not None:
        routes.append(Route("/slack/events", slack, methods=["POST"]))
    return Starlette(routes=routes)


class _TooLarge(Exception):
    pass


class _Ear:
    def __init__(self, captain: Captain) -> None:
        self._captain = captain

    async def alertmanager(self, request: Request) -> Response:
        """Journal the alerts, commit, then answer 202; 503 when the database does not answer within two seconds."""
        meter = self._captain.meter
        try:
            read = await self._read(request)
            new = await self._store(read.alerts)
        except BadPayload as e:
            log.warning("alertmanager webhook answered with %d: %s", e.status, e)
            meter.webhooks.labels("alertmanager", str(e.status)).inc()
            return JSONResponse({"error": str(e)}, e.status)
        for why in read.refused:
            log.warning("an alert was refused: %s", why)
        repeated = len(read.alerts) - new
        meter.alerts.labels("refused").inc(len(read.refused))
        meter.alerts.labels("accepted").inc(new)
        meter.alerts.labels("duplicate").inc(repeated)
        meter.webhooks.labels("alertmanager", "202").inc()
        told: dict[str, Any] = {"accepted": new, "duplicates": repeated}
        if read.refused:
            told["refused"] = list(read.refused)
        return JSONResponse(told, 202)

    async def _read(self, request: Request) -> Body:
        settings = self._captain.settings.alertmanager
        if settings is None:
            raise BadPayload(404, "there is no alertmanager: section in captain.yml")
        if not _bearer(request, settings.webhook_secret):
            raise BadPayload(401, "the bearer token is not alertmanager.webhook_secret of captain.yml")
        return self._captain.read_alerts(await _whole(request))

    async def _store(self, alerts: tuple[Alert, ...]) -> int:
        """How many of the alerts are new, once they are durable. 503 when they could not be stored in time."""
        intake, watchdogs = self._captain.alerts, self._captain.watchdogs
        fresh = [alert for alert in alerts if not intake.known(alert.identity) or watchdogs.due(alert)]
        if not fresh:
            return 0
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[int | None] = loop.create_future()

        def tell(count: int | None) -> None:
            if not stored.done():
                stored.set_result(count)

        def done(new: list[Entry] | None, _error: Exception | None) -> None:
            loop.call_soon_threadsafe(tell, None if new is None else len(new))

        intake.put((time.time(), fresh), done)
        try:
            count = await asyncio.wait_for(stored, COMMIT_PATIENCE)
        except TimeoutError:
            count = None
        if count is None:
            raise BadPayload(503, "the database does not answer; send it again")
        intake.remember([alert.identity for alert in fresh])
        watchdogs.written(fresh)
        return count

    async def pagerduty(self, request: Request) -> Response:
        """Store a signed v3 webhook, then answer 202: what was done by phone drives the incident and shows in its thread."""
        meter, settings = self._captain.meter, self._captain.settings.pagerduty
        secret = settings.webhook_secret if settings else None
        try:
            if secret is None:
                raise BadPayload(404, "pagerduty.webhook_secret is not set in captain.yml")
            body = await _whole(request)
            if not phone.signed(body, request.headers.get("x-pagerduty-signature", ""), secret.get_secret_value()):
                raise BadPayload(401, "the signature does not match pagerduty.webhook_secret of captain.yml")
            key, event = phone.read(body)
            asked = inbox.Request(f"pagerduty:{key}", time.time(), "pagerduty", {"event": event})
            if not await run_in_threadpool(self._captain.take, asked):
                raise BadPayload(503, "the database does not answer; send it again")
        except BadPayload as e:
            log.warning("pagerduty webhook answered with %d: %s", e.status, e)
            meter.webhooks.labels("pagerduty", str(e.status)).inc()
            return JSONResponse({"error": str(e)}, e.status)
        meter.webhooks.labels("pagerduty", "202").inc()
        return JSONResponse({"accepted": 1}, 202)

    async def command(self, request: Request) -> Response:
        """One line of the grammar from the CLI: {"line", "as"} → {"text", "data"} or {"error"}."""
        token = self._captain.settings.captain.api_token
        if token is None:
            return JSONResponse({"error": "the door is shut: set captain.api_token in captain.yml"}, 403)
        if not _bearer(request, token):
            return JSONResponse({"error": "the token is not captain.api_token of the running bot"}, 401)
        try:
            given = json.loads(await _body(request))
            line, name = given["line"], given["as"]
        except (_TooLarge, ValueError, KeyError, TypeError):
            return JSONResponse({"error": 'send {"line": "incident list", "as": "your name"}'}, 400)
        if not isinstance(line, str) or not isinstance(name, str) or not name.strip():
            return JSONResponse({"error": "'line' and 'as' must be strings, and 'as' says who you are"}, 400)
        key = str(given.get("key") or uuid.uuid4())
        asker = Asker(f"cli:{name.strip()[:80]}", name.strip()[:80], "cli", key)
        try:
            reply = await run_in_threadpool(self._captain.run, line, asker)
        except Refused as e:
            return JSONResponse({"error": str(e)}, 422)
        return JSONResponse({"text": reply.text, "data": reply.data})

    async def commands(self, _request: Request) -> Response:
        """The grammar, for completion: usage and help of every command."""
        known = self._captain.commands.values()
        return JSONResponse([{"usage": c.usage, "help": c.help, "subject": c.subject, "verb": c.verb} for c in known])

    async def healthz(self, _request: Request) -> Response:
        """200 while the process lives."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _request: Request) -> Response:
        """200 when alerts can be taken: the database answers."""
        if not self._captain.ready.is_set():
            return PlainTextResponse("starting\n", 503)
        try:
            await asyncio.wait_for(run_in_threadpool(self._captain.store.ping), COMMIT_PATIENCE)
        except (TimeoutError, OSError):
            return PlainTextResponse("the database does not answer\n", 503)
        return PlainTextResponse("ready\n")

    async def metrics(self, _request: Request) -> Response:
        """The bot's own metrics."""
        text = await run_in_threadpool(self._captain.metrics)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def _whole(request: Request) -> bytes:
    """The body of a webhook. Raises BadPayload when it is too large or never came."""
    try:
        return await _body(request)
    except _TooLarge as e:
        raise BadPayload(413, f"the body is larger than {MAX_BODY} bytes; set max_alerts on the receiver") from e
    except ClientDisconnect as e:
        raise BadPayload(400, "the sender hung up") from e


async def _body(request: Request) -> bytes:
    """The body, read no further than MAX_BODY."""
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BODY:
        raise _TooLarge
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            raise _TooLarge
        chunks.append(chunk)
    return b"".join(chunks)


def _bearer(request: Request, secret: SecretStr) -> bool:
    """Compare in constant time, so that the answer's time tells nothing about the secret."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    expected = secret.get_secret_value().encode()
    return hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), expected) and kind.lower() == "bearer"
