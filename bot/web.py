"""The HTTP ear: webhooks, Slack's signed requests, the CLI's door, health and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot import inbox
from bot.app import COMMIT_PATIENCE, Captain
from bot.errors import Refused
from bot.grammar import Asker, Reply
from bot.integrations.slack.words import unescape
from bot.refusals import Refusal
from bot.store import away, clashed
from handlers.alerts import grafana, occurrences
from handlers.alerts.doors import DOORS
from handlers.alerts.journal import Entry, Identity
from handlers.alerts.payload import Alert, BadPayload, Body, Source
from handlers.deploys import github
from handlers.deploys import read as deploy_read
from handlers.incidents import phone
from handlers.status import page, seal
from handlers.tickets import events as ticket_events

if TYPE_CHECKING:
    from pydantic import SecretStr

log = logging.getLogger(__name__)
MAX_BODY = 8 * 1024 * 1024
"""Bytes of a webhook body; some twenty thousand alerts. A larger one is refused before it is read."""
JOURNAL_PATIENCE = 0.5
"""Seconds an answer waits for the journal of refusals. The refusal itself does not depend on it."""
REFUSED_ALERTS = 20
"""Refused alerts of one accepted body that are journaled each on its own; the rest are one row."""
STATUS_PATIENCE = 5.0
"""Seconds the status page waits for the database."""
UNSIGNED = (
    "the webhook is not signed and shows no secret: in Jira Cloud set its secret to jira.webhook_secret of captain.yml, "
    "in Data Center end its address with /webhooks/jira/SECRET"
)
WRONGLY_SIGNED = "the signature does not match jira.webhook_secret of captain.yml"
GRAFANA_STRANGER = (
    "what is shown is not grafana.webhook_secret of captain.yml: set it in the contact point as the credentials of the "
    "Authorization header (scheme Bearer), as the basic password, or as the HMAC secret with the header's own name"
)
DEPLOY_STRANGER = (
    "show deploys.webhook_secret of captain.yml as a bearer token (Authorization: Bearer …), or sign the body with it as "
    "GitHub does (X-Hub-Signature-256)"
)
STRANGERS = (401, 404)
"""The answers to whoever has not shown the secret: nothing of what they sent is kept."""


def build(captain: Captain, slack: Callable[[Request], Awaitable[Response]] | None) -> Starlette:
    """The ASGI app. ``slack`` answers Slack's signed requests, or is None in Socket Mode."""
    ear = _Ear(captain)
    routes = [
        Route("/webhooks/alertmanager", ear.alertmanager, methods=["POST"]),
        Route("/webhooks/grafana", ear.grafana, methods=["POST", "PUT"]),
        Route("/webhooks/alerts", ear.webhook, methods=["POST"]),
        Route("/webhooks/pagerduty", ear.pagerduty, methods=["POST"]),
        Route("/webhooks/jira", ear.jira, methods=["POST"]),
        Route("/webhooks/jira/{secret}", ear.jira, methods=["POST"]),
        Route("/webhooks/deploy", ear.deploy, methods=["POST"]),
        Route("/api/command", ear.command, methods=["POST"]),
        Route("/api/commands", ear.commands, methods=["GET"]),
        Route(seal.PATH, ear.status, methods=["GET"]),
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
        self._placing = asyncio.Lock()

    async def alertmanager(self, request: Request) -> Response:
        """Take the alerts of an Alertmanager."""
        return await self._alerts(request, Source.ALERTMANAGER)

    async def grafana(self, request: Request) -> Response:
        """Take the alerts of Grafana's unified alerting."""
        return await self._alerts(request, Source.GRAFANA)

    async def webhook(self, request: Request) -> Response:
        """Take alerts in the form that docs/alerts.md tells."""
        return await self._alerts(request, Source.WEBHOOK)

    async def _alerts(self, request: Request, source: Source) -> Response:
        """Journal the alerts, commit, then answer 202; 503 when the database does not answer within two seconds."""
        meter, at, body = self._captain.meter, time.time(), b""
        try:
            body = await self._whole_of_ours(request, source)
            read = self._captain.read_alerts(body, source)
            new, repeated = await self._take(read.alerts, at)
        except BadPayload as e:
            return await self._refuse(source, e, body, at)
        if read.refused or read.left_out:
            await self._journal(_unfit(read, source, at))
        meter.alerts.labels("refused").inc(len(read.refused))
        meter.alerts.labels("accepted").inc(new)
        meter.alerts.labels("duplicate").inc(repeated)
        meter.webhooks.labels(source, "202").inc()
        told: dict[str, Any] = {"accepted": new, "duplicates": repeated}
        if read.refused:
            told["refused"] = [unfit.why for unfit in read.refused]
        if read.notes:
            told["notes"] = read.notes
        return JSONResponse(told, 202)

    async def _whole_of_ours(self, request: Request, source: Source) -> bytes:
        """The body, once the sender has shown the secret."""
        section = DOORS[source].section
        settings = getattr(self._captain.settings, section)
        if settings is None:
            raise BadPayload(404, f"there is no {section}: section in captain.yml")
        if source is Source.GRAFANA:
            body = await _whole(request)  # it may be signed
            if not grafana.allowed(body, request.headers, settings.webhook_secret.get_secret_value()):
                raise BadPayload(401, GRAFANA_STRANGER)
            return body
        if not _bearer(request, settings.webhook_secret):
            raise BadPayload(401, f"the bearer token is not {section}.webhook_secret of captain.yml")
        return await _whole(request)

    async def _refuse(self, source: str, why: BadPayload, body: bytes, at: float) -> Response:
        """Say why nothing was taken, and journal it. A journal that cannot be written makes no other answer of it."""
        log.warning("%s webhook answered with %d: %s", source, why.status, why)
        self._captain.meter.webhooks.labels(source, str(why.status)).inc()
        refusal = Refusal(at, source, why.status, str(why), body, stranger=why.status in STRANGERS)
        if why.status == 503:
            self._captain.refusals.count(refusal)  # in memory: it is the database that does not answer
        else:
            await self._journal([refusal])
        return JSONResponse({"error": str(why)}, why.status)

    async def _journal(self, refusals: Sequence[Refusal]) -> None:
        """Journal refusals before they are answered, unless that takes too long: then they are written a little later."""
        loop = asyncio.get_running_loop()
        written = asyncio.Event()
        self._captain.refusals.put(refusals, lambda: _quietly(loop, written.set))
        try:
            await asyncio.wait_for(written.wait(), JOURNAL_PATIENCE)
        except TimeoutError:
            log.warning("%d refusals are not journaled yet: the database is slow", len(refusals))

    async def _take(self, alerts: Sequence[Alert], at: float) -> tuple[int, int]:
        """How many of the alerts are new, and how many came before, once they are durable. 503 as below."""
        if not any(occurrences.needs(alert) for alert in alerts):
            new = await self._store(alerts, at)
            return new, len(alerts) - new
        try:
            # One after the other: of two that come at once, the second has to know the first.
            async with asyncio.timeout(COMMIT_PATIENCE), self._placing:
                placed = await run_in_threadpool(occurrences.placed_in, self._captain.store, alerts, at=at)
                new = await self._store(placed, at)
        except (sa.exc.SQLAlchemyError, OSError, TimeoutError) as e:
            raise BadPayload(503, "the database does not answer; send it again") from e
        return new, len(placed) - new

    async def _store(self, alerts: Sequence[Alert], at: float) -> int:
        """How many of the alerts are new, once they are durable. 503 when they could not be stored in time.

        Those that came before cost no commit: they are counted, and the counts are written down a second later.
        """
        intake = self._captain.alerts
        fresh: list[Alert] = []
        again: list[Identity] = []
        for alert in alerts:
            if intake.known(alert.identity) and not self._captain.watchdogs.due(alert):
                again.append(alert.identity)
            else:
                fresh.append(alert)
        new = await self._commit(fresh, at) if fresh else []
        if len(new) < len(fresh):
            # Another replica took it, or a process before this one, or it stands twice in this very body.
            known = Counter(alert.identity for alert in fresh) - Counter(entry.alert.identity for entry in new)
            again += known.elements()
        if again:
            self._captain.repeats.note(again, at)
        return len(new)

    async def _commit(self, fresh: list[Alert], at: float) -> list[Entry]:
        """Journal alerts; the entries that are new."""
        intake = self._captain.alerts
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[list[Entry] | None] = loop.create_future()

        def tell(new: list[Entry] | None) -> None:
            if not stored.done():
                stored.set_result(new)

        intake.put((at, fresh), lambda new, _error: _quietly(loop, tell, new))
        try:
            new = await asyncio.wait_for(stored, COMMIT_PATIENCE)
        except TimeoutError:
            new = None
        if new is None:
            raise BadPayload(503, "the database does not answer; send it again")
        intake.remember([alert.identity for alert in fresh])
        self._captain.watchdogs.written(fresh)
        return new

    async def pagerduty(self, request: Request) -> Response:
        """Store a signed v3 webhook, then answer 202: what was done by phone drives the incident and shows in its thread."""
        meter, settings = self._captain.meter, self._captain.settings.pagerduty
        secret, at, body = settings.webhook_secret if settings else None, time.time(), b""
        try:
            if secret is None or not secret.get_secret_value():
                raise BadPayload(404, "pagerduty.webhook_secret is not set in captain.yml")
            body = await _whole(request)
            if not phone.signed(body, request.headers.get("x-pagerduty-signature", ""), secret.get_secret_value()):
                raise BadPayload(401, "the signature does not match pagerduty.webhook_secret of captain.yml")
            key, event = phone.read(body)
            asked = inbox.Request(f"pagerduty:{key}", at, "pagerduty", {"event": event})
            if not await run_in_threadpool(self._captain.take, asked):
                raise BadPayload(503, "the database does not answer; send it again")
        except BadPayload as e:
            return await self._refuse("pagerduty", e, body, at)
        meter.webhooks.labels("pagerduty", "202").inc()
        return JSONResponse({"accepted": 1}, 202)

    async def jira(self, request: Request) -> Response:
        """Store a webhook of Jira, then answer 202: what was done to a ticket drives its incident and shows in its thread."""
        meter, settings = self._captain.meter, self._captain.settings.jira
        secret, at, body = settings.webhook_secret if settings else None, time.time(), b""
        try:
            if secret is None or not secret.get_secret_value():
                raise BadPayload(404, "jira.webhook_secret is not set in captain.yml")
            body = await _whole(request)
            signature = request.headers.get("x-hub-signature")
            if not ticket_events.allowed(body, signature, _shown(request), secret.get_secret_value()):
                raise BadPayload(401, UNSIGNED if signature is None else WRONGLY_SIGNED)
            event = ticket_events.read(body)
            if event is not None:
                asked = inbox.Request(f"jira:{event['id']}", at, "jira", {"event": event})
                if not await run_in_threadpool(self._captain.take, asked):
                    raise BadPayload(503, "the database does not answer; send it again")
        except BadPayload as e:
            return await self._refuse("jira", e, body, at)
        meter.webhooks.labels("jira", "202").inc()
        return JSONResponse({"accepted": int(event is not None)}, 202)

    async def deploy(self, request: Request) -> Response:
        """Store what is told of a deploy, in our own form or by GitHub, then answer 202."""
        meter, at, body = self._captain.meter, time.time(), b""
        try:
            body = await self._of_a_deploy(request)
            heard = self._read_deploy(request, body, at)
            if heard.told is not None:
                told = heard.told
                # A status is told at a time: whatever is sent again is the same request.
                key = f"{told.key}:{told.status}:{hashlib.sha256(body).hexdigest()[:16]}"
                asked = inbox.Request(f"deploy:{key}", at, "deploy", {"told": told.plain()})
                if not await run_in_threadpool(self._captain.take, asked):
                    raise BadPayload(503, "the database does not answer; send it again")
        except BadPayload as e:
            return await self._refuse("deploy", e, body, at)
        meter.webhooks.labels("deploy", "202").inc()
        told_back: dict[str, Any] = {"accepted": int(heard.told is not None)}
        if heard.notes:
            told_back["notes"] = heard.notes
        return JSONResponse(told_back, 202)

    async def _of_a_deploy(self, request: Request) -> bytes:
        """The body of whoever has shown the secret: by a bearer token before it is read, or by signing it."""
        secret = self._captain.settings.deploys.webhook_secret
        if secret is None or not secret.get_secret_value():
            raise BadPayload(404, "deploys.webhook_secret is not set in captain.yml")
        signature = request.headers.get("x-hub-signature-256")
        if signature is None and not _bearer(request, secret):
            raise BadPayload(401, DEPLOY_STRANGER)
        body = await _whole(request)
        if signature is not None and not deploy_read.signed(body, signature, secret.get_secret_value()):
            raise BadPayload(401, "X-Hub-Signature-256 does not match deploys.webhook_secret of captain.yml")
        return body

    def _read_deploy(self, request: Request, body: bytes, at: float) -> deploy_read.Heard:
        settings, event = self._captain.settings, request.headers.get("x-github-event")
        if event == "ping":
            return deploy_read.Heard(None, ("pong: the secret is right",))
        data = deploy_read.parsed(body, request.headers.get("content-type", ""))
        if event is not None:
            return github.read(event, data, settings.services, settings.deploys, now=at)
        return deploy_read.read(data, settings.services, now=at)

    async def command(self, request: Request) -> Response:
        """One line of the grammar from the CLI: {"line", "as"} → {"text", "data"} or {"error"}."""
        token, email = self._captain.settings.captain.api_token, self._owner(request)
        if token is None and not email:
            return JSONResponse({"error": "the door is shut: set captain.api_token in captain.yml"}, 403)
        if not email and (token is None or not _bearer(request, token)):
            return JSONResponse({"error": "the token is not captain.api_token of the running bot"}, 401)
        try:
            given = json.loads(await _body(request))
            line, name = given["line"], given["as"]
        except (_TooLarge, ValueError, KeyError, TypeError):
            return JSONResponse({"error": 'send {"line": "incident list", "as": "your name"}'}, 400)
        if not isinstance(line, str) or not isinstance(name, str) or not name.strip():
            return JSONResponse({"error": "'line' and 'as' must be strings, and 'as' says who you are"}, 400)
        key = str(given.get("key") or uuid.uuid4())
        name = email or name.strip()[:80]  # who has shown a token of their own is who it belongs to
        asker = Asker(f"cli:{name}", name, "cli", key, email=email)
        return await self._said(line, asker)

    def _owner(self, request: Request) -> str:
        """The e-mail address of whoever has shown a token of their own, or nothing. Every token is compared."""
        tokens = self._captain.settings.permissions.tokens.items()
        found = [email.lower() for email, token in tokens if _bearer(request, token)]
        return found[0] if found else ""

    def _run(self, line: str, asker: Asker) -> Reply:
        """As Captain.run; again where two transactions stood in each other's way, under the same key."""
        for left in (2, 1, 0):
            try:
                return self._captain.run(line, asker)
            except sa.exc.OperationalError as e:
                if not left or not clashed(e):
                    raise
                log.info("again, two transactions stood in each other's way: %s", line)
        raise AssertionError("the last time is not caught")

    async def _said(self, line: str, asker: Asker) -> Response:
        try:
            reply = await run_in_threadpool(self._run, line, asker)
        except Refused as e:
            return JSONResponse({"error": unescape(str(e))}, 422)
        except (sa.exc.SQLAlchemyError, OSError) as e:
            if not away(e):
                raise
            said = "".join(str(getattr(e, "orig", e)).splitlines()[:1])
            why = f"The database does not take it now ({said}); nothing was done. Say it again in a while."
            return JSONResponse({"error": why}, 503)
        return JSONResponse({"text": unescape(reply.text), "data": reply.data})

    async def commands(self, _request: Request) -> Response:
        """The grammar, for completion: usage and help of every command."""
        known = self._captain.commands.values()
        return JSONResponse([{"usage": c.usage, "help": c.help, "subject": c.subject, "verb": c.verb} for c in known])

    async def status(self, request: Request) -> Response:
        """The page of open incidents for whoever has a signed link: 403 without a good one, 404 when it is off."""
        secret, desk, now = self._captain.settings.captain.status_secret, self._captain.desk, time.time()
        if secret is None:
            return _page(page.sorry("The status page is off here: captain.status_secret is not set."), 404)
        ask = f"captain status, or {desk.command} status in Slack"
        try:
            until = seal.opened(secret.get_secret_value(), request.query_params, now=now, ask=ask)
            drawn = await asyncio.wait_for(run_in_threadpool(page.draw, desk, now=now, until=until), STATUS_PATIENCE)
        except Refused as e:
            return _page(page.sorry(str(e)), 403)
        except (sa.exc.SQLAlchemyError, OSError, TimeoutError) as e:
            log.warning("status page: the database does not answer: %s", e)
            return _page(page.sorry("The database does not answer, so nothing can be shown now. Load it again."), 503)
        return _page(drawn, 200)

    async def healthz(self, _request: Request) -> Response:
        """200 while the process lives."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _request: Request) -> Response:
        """200 when alerts can be taken: the database answers, and takes what is written."""
        if not self._captain.ready.is_set():
            return PlainTextResponse("starting\n", 503)
        try:
            await asyncio.wait_for(run_in_threadpool(self._captain.store.ping), COMMIT_PATIENCE)
        except (TimeoutError, OSError):
            return PlainTextResponse("the database does not answer\n", 503)
        if not self._captain.engine.beating():
            return PlainTextResponse("the database takes no writes\n", 503)
        return PlainTextResponse("ready\n")

    async def metrics(self, _request: Request) -> Response:
        """The bot's own metrics."""
        text = await run_in_threadpool(self._captain.metrics)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _unfit(read: Body, source: Source, at: float) -> list[Refusal]:
    """What was not taken of a body that was taken otherwise, for the journal."""
    for unfit in read.refused:
        log.warning("an alert was refused: %s", unfit.why)
    each = [Refusal(at, source, 202, unfit.why, unfit.text()) for unfit in read.refused[:REFUSED_ALERTS]]
    rest = read.refused[REFUSED_ALERTS:]
    if rest:
        why = f"{len(rest)} more alerts of this delivery, the first of them: {rest[0].why}"
        each.append(Refusal(at, source, 202, why, "\n".join(unfit.text() for unfit in rest[:100])))
    if read.left_out:
        cut = f"{source.sender} left {read.left_out} alerts out of this delivery; raise or remove max_alerts on the receiver"
        log.warning("%s", cut)
        each.append(Refusal(at, source, 202, cut, json.dumps({"groupKey": read.alerts[0].group_key})))
    return each


def _page(html: str, status: int) -> Response:
    """A page nobody keeps, frames, indexes or learns the link of."""
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex",
    }
    return HTMLResponse(html, status, headers)


def _quietly(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: object) -> None:
    """Call on the event loop from another thread; nobody waits any more when the loop has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *args)


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


def _shown(request: Request) -> str:
    """The secret as Data Center shows it, which signs nothing: in the address, or as a bearer token."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if kind.lower() == "bearer" else ""
    return request.path_params.get("secret") or request.query_params.get("secret") or bearer


def _bearer(request: Request, secret: SecretStr) -> bool:
    """Compare in constant time, so that the answer's time tells nothing about the secret. An empty one is none."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    expected = secret.get_secret_value().encode()
    same = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), expected)
    return same and bool(expected) and kind.lower() == "bearer"
