"""The sandbox's web side: the page, what it shows, the stream of changes, and the door for actions."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.errors import Refused
from bot.sandbox import remote, troubles
from bot.sandbox.acts import Acts
from bot.sandbox.bot_process import BotProcess
from bot.sandbox.world import World

PAGE = Path(__file__).parent / "page"
BODY_BYTES = 2_000_000
CALLS_SHOWN = 200
CALL_BODY_SHOWN = 2000
HEARTBEAT = 15.0
"""Seconds after which the stream says something, so that a lost reader is noticed."""
COMMAND = "/captain"
HERE = frozenset({"127.0.0.1", "localhost", "::1"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: https: http:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Stream:
    """Tells any number of open pages that something changed, from any thread. Changes close together become one."""

    def __init__(self) -> None:
        self.revision = 0
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._closed = False

    def bump(self) -> None:
        with self._lock:
            self.revision += 1
            for event, loop in self._waiting.items():
                loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """End every stream; a new one ends at once."""
        self._closed = True
        self.bump()

    async def lines(self) -> AsyncIterator[str]:
        """Server-sent events: the revision now, and again after each change, at most twenty a second."""
        event = asyncio.Event()
        with self._lock:
            self._waiting[event] = asyncio.get_running_loop()
        try:
            yield f"retry: 1000\nevent: change\ndata: {self.revision}\n\n"
            while not self._closed:
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await event.wait()
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                await asyncio.sleep(0.05)
                event.clear()
                yield f"event: change\ndata: {self.revision}\n\n"
        finally:
            with self._lock:
                self._waiting.pop(event, None)


class Commands:
    """The bot's own list of commands for completion, asked once per start of the bot."""

    def __init__(self, bot: BotProcess, api_token: str) -> None:
        self._bot = bot
        self._token = api_token
        self._asked_of: int | None = None
        self._rows: list[dict[str, str]] = []

    def rows(self, status: dict[str, Any]) -> list[dict[str, str]]:
        """``[{"text", "usage", "help"}]``; empty while the bot has not said."""
        if status["state"] == "ready" and status["pid"] != self._asked_of:
            self._asked_of = status["pid"]
            headers = {"authorization": f"Bearer {self._token}"}
            try:
                answer = remote.ask(self._bot.port, "GET", "/api/commands", headers=headers, timeout=1.0)
            except remote.Unreachable:
                self._asked_of = None
                return self._rows
            if answer.status == 200:
                self._rows = _commands(answer.data)
        return self._rows


def _commands(data: Any) -> list[dict[str, str]]:
    """The bot tells ``usage`` ("incident open SEV SERVICE …"); what is typed first is its subject and verb."""
    given = data.get("commands") if isinstance(data, dict) else data
    out = []
    for row in given if isinstance(given, list) else []:
        if isinstance(row, dict) and row.get("usage"):
            usage = str(row["usage"])
            usage = usage if usage.startswith("/") else f"{COMMAND} {usage}"
            fixed = str(row.get("text") or f"{COMMAND} {row.get('subject', '')} {row.get('verb', '')}".strip())
            more = len(usage.split()) > len(fixed.split())
            text = f"{fixed.strip()} " if more else fixed.strip()
            out.append({"text": text, "usage": usage, "help": str(row.get("help") or "")})
    return out


class Site:
    """The routes of the sandbox, around one world and one bot."""

    def __init__(self, world: World, bot: BotProcess, acts: Acts, commands: Commands) -> None:
        self.world = world
        self.bot = bot
        self.acts = acts
        self.commands = commands
        self.stream = Stream()
        world.heard.append(self.stream.bump)

    def app(self) -> ASGIApp:
        routes = [
            Route("/", self._index),
            Route("/state", self._state),
            Route("/events", self._events),
            Route("/act/{name}", self._act, methods=["POST"]),
            Mount("/page", StaticFiles(directory=PAGE)),
            *self.world.mounts(),
        ]
        return OnlyHere(Starlette(routes=routes), open_to_apps=tuple(f"/{name}/" for name in self.world.stand_ins))

    def state(self) -> dict[str, Any]:
        """What ``captain sandbox state --json`` prints."""
        bot = self.bot.status()
        return self.world.state() | {
            "bot": bot,
            "world": {
                "services": self.world.services,
                "faults": self.world.faults(),
                "troubles": troubles.rows(self.world),
            },
            "commands": self.commands.rows(bot),
        }

    def page_state(self) -> dict[str, Any]:
        """The same, with the last calls only and what a person may do to each ticket."""
        out = self.state()
        calls = out["calls"][-CALLS_SHOWN:]
        out["calls"] = [call | {"body": call["body"][:CALL_BODY_SHOWN]} for call in calls]
        site = self.world.jira.site
        for row in out["jira"]["issues"]:
            issue = site.issues[row["key"]] if row["key"] in site.issues else site.issue(row["key"])
            workflow = site.projects[issue.project].workflow
            row["transitions"] = [workflow.status(step.to).name for step in workflow.offered(issue.status)]
        return out

    async def _index(self, _request: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def _state(self, request: Request) -> Response:
        wanted = self.page_state if request.query_params.get("for") == "page" else self.state
        return JSONResponse(await run_in_threadpool(wanted))

    async def _events(self, _request: Request) -> Response:
        return StreamingResponse(self.stream.lines(), media_type="text/event-stream")

    async def _act(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _no(415, "Send JSON, with the content type application/json.")
        if int(request.headers.get("content-length") or 0) > BODY_BYTES:
            return _no(413, f"That is more than {BODY_BYTES} bytes.")
        raw = await request.body()
        try:
            body = json.loads(raw or b"{}")
        except ValueError as e:
            return _no(400, f"That is not JSON: {e}.")
        if not isinstance(body, dict):
            return _no(400, "The body must be a JSON object.")
        try:
            done = await run_in_threadpool(self.acts.do, request.path_params["name"], body)
        except Refused as e:
            return _no(400, str(e))
        return JSONResponse(done)


class OnlyHere:
    """Lets in only what this machine asks by a local name, and of browsers only the sandbox's own page.

    Without it any page in the reader's browser could drive the sandbox (cross-site requests, DNS rebinding).
    ``open_to_apps``: paths of the stand-ins, whose answers go out untouched.
    """

    def __init__(self, app: ASGIApp, *, open_to_apps: tuple[str, ...]) -> None:
        self.app = app
        self.open_to_apps = open_to_apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        own = _name_of(host) in HERE and origin in (None, f"http://{host}")
        page = scope["path"] == "/" or scope["path"].startswith("/page/")
        if not page and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            # A link from a stand-in's own pages into another (a ticket, say) is followed by a person: that may be.
            own = own and scope.get("method") == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if not own:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                refusal = _no(403, "Only this machine's own programs and the sandbox's own page may ask here.")
                await refusal(scope, receive, send)
            return
        apps = scope["path"].startswith(self.open_to_apps)
        await self.app(scope, receive, send if apps else _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["content-security-policy"] = POLICY
            headers["x-content-type-options"] = "nosniff"
            headers["referrer-policy"] = "no-referrer"
            headers["cross-origin-resource-policy"] = "same-origin"
            headers.setdefault("cache-control", "no-cache")
        await send(message)

    return add


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _no(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status_code=status)
