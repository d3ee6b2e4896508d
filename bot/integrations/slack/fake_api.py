"""The door of the stand-in's Web API: reads a request as Slack does, checks token and scope, and answers in Slack's shape."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.integrations.slack.fake_world import Channel, Message, World

POSTS_PER_SECOND = 1.0
POST_BURST = 3.0
"""Slack allows one message a second per channel and lets short bursts pass."""


class SlackError(Exception):
    """Slack says no: ``code`` is its error, ``more`` what else stands in the answer."""

    def __init__(self, code: str, *, status: int = 200, **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.more = more


def refuse_blocks(code: str, problems: list[str]) -> None:
    """Raise when there are problems, with the details where Slack puts them."""
    if problems:
        messages = [f"[ERROR] {problem}" for problem in problems]
        raise SlackError(code, errors=problems, response_metadata={"messages": messages})


@dataclass
class Ask:
    """The arguments of one Web API call. ``base`` is the stand-in's own address, without a trailing slash."""

    args: dict[str, Any]
    base: str = ""

    def text(self, name: str, default: str = "") -> str:
        value = self.args.get(name)
        return default if value is None else str(value)

    def need(self, name: str, error: str) -> str:
        value = self.text(name)
        if not value:
            raise SlackError(error)
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.args.get(name)
        return default if value is None else str(value).lower() in ("1", "true")

    def number(self, name: str, default: int) -> int:
        value = self.text(name)
        if not value:
            return default
        if not value.isdigit():
            raise SlackError(
                "invalid_arguments",
                response_metadata={"messages": [f"[ERROR] must be a number [json-pointer:/{name}]"]},
            )
        return int(value)

    def json(self, name: str, error: str) -> Any:
        """A nested argument: JSON text in a form, plain JSON in a JSON body."""
        value = self.args.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return json.loads(value)
        except ValueError:
            raise SlackError(error) from None

    def names(self, name: str) -> list[str]:
        """A list of ids: separated by commas, or a JSON array."""
        value = self.args.get(name)
        parts = value if isinstance(value, list) else self.text(name).split(",")
        return [str(part).strip() for part in parts if str(part).strip()]


Run = Callable[[World, Ask], dict[str, Any]]


@dataclass(frozen=True)
class Method:
    """One Web API method: what it does, the scope it needs, and whether it wants the app-level token."""

    run: Run
    scope: str = ""
    app_token: bool = False


def the_channel(world: World, ask: Ask, *, by_name: bool = False) -> Channel:
    """The channel asked for; most methods take ids only. A private one the bot is not in does not exist for it."""
    name = ask.text("channel")
    found = world.channel(name) if by_name else world.channels.get(name)
    if found is None or (found.is_private and world.bot_user not in found.members):
        raise SlackError("channel_not_found")
    return found


def the_message(
    world: World, ask: Ask, channel: Channel, name: str = "ts", error: str = "message_not_found"
) -> Message:
    found = world.message(channel.id, ask.text(name))
    if found is None or found.ephemeral_to:
        raise SlackError(error)
    return found


@dataclass
class _Bucket:
    tokens: float = POST_BURST
    at: float = field(default_factory=time.monotonic)


class Api:
    """Runs Web API calls against one workspace."""

    def __init__(self, world: World, methods: dict[str, Method], *, bot_token: str, app_token: str) -> None:
        self.world = world
        self.methods = methods
        self.bot_token = bot_token
        self.app_token = app_token
        self.limit_posts = False
        self._buckets: dict[str, _Bucket] = {}

    async def answer(self, request: Request) -> Response:
        """The endpoint of /api/METHOD."""
        name = request.path_params["method"]
        headers = {"x-oauth-scopes": ",".join(sorted(self.world.scopes)), "x-slack-req-id": "stand-in"}
        try:
            args = await read_args(request)
            out = self._call(name, args, request)
        except SlackError as no:
            headers.update(no.more.pop("headers", {}))
            return JSONResponse({"ok": False, "error": no.code, **no.more}, status_code=no.status, headers=headers)
        return JSONResponse({"ok": True, **out}, headers=headers)

    def _call(self, name: str, args: dict[str, Any], request: Request) -> dict[str, Any]:
        method = self.methods.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        if name == "api.test":
            return method.run(self.world, Ask(args))
        self._admit(method, args, request)
        base = f"{request.url.scheme}://{request.headers['host']}{request.scope.get('root_path', '')}"
        with self.world.changing():
            if name == "chat.postMessage" and self.limit_posts:
                self._limit(args)
            return method.run(self.world, Ask(args, base))

    def _admit(self, method: Method, args: dict[str, Any], request: Request) -> None:
        bearer = request.headers.get("authorization", "")
        token = bearer[7:] if bearer.lower().startswith("bearer ") else str(args.get("token") or "")
        if not token:
            raise SlackError("not_authed")
        if token not in (self.bot_token, self.app_token):
            raise SlackError("invalid_auth")
        if method.app_token != (token == self.app_token):
            raise SlackError("not_allowed_token_type")
        if method.scope and method.scope not in self.world.scopes:
            raise SlackError("missing_scope", needed=method.scope, provided=",".join(sorted(self.world.scopes)))

    def _limit(self, args: dict[str, Any]) -> None:
        channel = self.world.channel(str(args.get("channel") or ""))
        bucket = self._buckets.setdefault(channel.id if channel else "", _Bucket())
        now = time.monotonic()
        bucket.tokens = min(POST_BURST, bucket.tokens + (now - bucket.at) * POSTS_PER_SECOND)
        bucket.at = now
        if bucket.tokens < 1:
            wait = max(1, math.ceil((1 - bucket.tokens) / POSTS_PER_SECOND))
            raise SlackError("ratelimited", status=429, headers={"retry-after": str(wait)})
        bucket.tokens -= 1


async def read_args(request: Request) -> dict[str, Any]:
    """Query and body as one dict, whatever the body's type."""
    args: dict[str, Any] = dict(request.query_params)
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body:
        return args
    if kind == "application/json":
        try:
            value = json.loads(body)
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(value, dict):
            raise SlackError("json_not_object")
        return args | value
    if kind == "application/x-www-form-urlencoded":
        return args | dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    raise SlackError("invalid_form_data" if kind.startswith("multipart/") else "invalid_post_type")
