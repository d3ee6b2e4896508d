"""The pretend Events API v2: takes alert and change events, and refuses what PagerDuty refuses."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bot.integrations.pagerduty.fake_account import Account

MAX_BODY = 512 * 1024
SEVERITIES = ("critical", "warning", "error", "info")
ACTIONS = ("trigger", "acknowledge", "resolve")
ADDRESS = re.compile(r"https?://[^\s/]+\S*")


class Events:
    """The two event endpoints. ``keys`` routing key → service id; ``limit`` events a minute and key, None for no limit."""

    def __init__(self, account: Account, keys: Mapping[str, str]) -> None:
        self.account = account
        self.keys = dict(keys)
        self.limit: int | None = None
        self._seen: dict[str, deque[float]] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/v2/enqueue", self.enqueue, methods=["POST"]),
            Route("/v2/change/enqueue", self.change, methods=["POST"]),
        ]

    async def enqueue(self, request: Request) -> JSONResponse:
        event, refusal = _parse(await request.body())
        if refusal is not None:
            return refusal
        errors = _key_errors(event, self.keys) + _event_errors(event)
        if errors:
            return _invalid(*errors)
        late = self._throttled(event["routing_key"])
        if late is not None:
            return late
        service = self.keys[event["routing_key"]]
        key = event.get("dedup_key") or uuid.uuid4().hex
        if event["event_action"] == "trigger":
            self.account.trigger(service, key, event["payload"], event)
        elif event["event_action"] == "acknowledge":
            self.account.event_acknowledge(service, key)
        else:
            self.account.event_resolve(service, key)
        return _taken(dedup_key=key)

    async def change(self, request: Request) -> JSONResponse:
        event, refusal = _parse(await request.body())
        if refusal is not None:
            return refusal
        payload = event.get("payload")
        errors = _key_errors(event, self.keys) + _link_errors(event)
        errors += _summary_errors(payload) if isinstance(payload, dict) else ["'payload' is missing or blank"]
        if errors:
            return _invalid(*errors)
        late = self._throttled(event["routing_key"])
        if late is not None:
            return late
        service = self.keys[event["routing_key"]]
        kept = {"at": time.time(), "service": service, "payload": payload, "links": event.get("links") or []}
        with self.account.lock:
            self.account.changes.append(kept)
        return _taken()

    def _throttled(self, key: str) -> JSONResponse | None:
        if self.limit is None:
            return None
        now, seen = time.monotonic(), self._seen.setdefault(key, deque())
        while seen and seen[0] <= now - 60:
            seen.popleft()
        if len(seen) < self.limit:
            seen.append(now)
            return None
        wait = 60 if not seen else max(1, round(seen[0] + 60 - now))
        message = "Requests for this service are arriving too quickly. Please retry later."
        body = {"status": "throttle exceeded", "message": message, "errors": [message]}
        return JSONResponse(body, 429, {"Retry-After": str(wait)})


def _taken(**more: str) -> JSONResponse:
    return JSONResponse({"status": "success", "message": "Event processed", **more}, 202)


def _invalid(*errors: str, message: str = "Event object is invalid") -> JSONResponse:
    return JSONResponse({"status": "invalid event", "message": message, "errors": list(errors)}, 400)


def _parse(body: bytes) -> tuple[dict[str, Any], JSONResponse | None]:
    if len(body) > MAX_BODY:
        return {}, _invalid(f"Event exceeds the maximum size of {MAX_BODY} bytes")
    try:
        event = json.loads(body)
    except ValueError:
        answer = {"status": "Unrecognized object", "message": "Event object format is unrecognized"}
        return {}, JSONResponse({**answer, "errors": ["JSON parse error"]}, 400)
    if not isinstance(event, dict):
        return {}, _invalid("Event must be an object", message="Event object format is invalid")
    return event, None


def _key_errors(event: Mapping[str, Any], keys: Mapping[str, str]) -> list[str]:
    key = event.get("routing_key")
    if not isinstance(key, str) or not key:
        return ["'routing_key' is missing or blank"]
    if len(key) != 32:
        return ["Length of 'routing_key' is incorrect (should be 32 characters)"]
    return [] if key in keys else ["'routing_key' is invalid"]


def _event_errors(event: Mapping[str, Any]) -> list[str]:
    errors: list[str] = []
    action, key = event.get("event_action"), event.get("dedup_key")
    if not action:
        errors.append("'event_action' is missing or blank")
    elif action not in ACTIONS:
        errors.append("'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')")
    if key is not None and (not isinstance(key, str) or len(key) > 255):
        errors.append("'dedup_key' is invalid (must be a string of at most 255 characters)")
    elif not key and action in ("acknowledge", "resolve"):
        errors.append("'dedup_key' is missing or blank")
    if action == "trigger":
        payload = event.get("payload")
        if isinstance(payload, dict):
            errors += _payload_errors(payload)
        else:
            errors.append("'payload' is missing or blank")
        errors += _link_errors(event)
    return errors


def _summary_errors(payload: Mapping[str, Any]) -> list[str]:
    summary = payload.get("summary")
    if not isinstance(summary, str) or not summary.strip():
        return ["'payload.summary' is missing or blank"]
    return ["'payload.summary' is too long (maximum is 1024 characters)"] if len(summary) > 1024 else []


def _payload_errors(payload: Mapping[str, Any]) -> list[str]:
    errors = _summary_errors(payload)
    source = payload.get("source")
    if not isinstance(source, str) or not source.strip():
        errors.append("'payload.source' is missing or blank")
    if not payload.get("severity"):
        errors.append("'payload.severity' is missing or blank")
    elif payload["severity"] not in SEVERITIES:
        allowed = "'critical', 'warning', 'error' or 'info'"
        errors.append(f"'payload.severity' is invalid (must be one of the following: {allowed})")
    if not isinstance(payload.get("custom_details", {}), dict):
        errors.append("'payload.custom_details' is invalid (must be an object)")
    errors += [
        f"'payload.{name}' is invalid (must be a string)"
        for name in ("component", "group", "class", "timestamp")
        if not isinstance(payload.get(name, ""), str)
    ]
    return errors


def _link_errors(event: Mapping[str, Any]) -> list[str]:
    errors: list[str] = []
    for name, needed in (("links", "href"), ("images", "src")):
        items = event.get(name)
        if items is None:
            continue
        if not isinstance(items, list):
            errors.append(f"'{name}' is invalid (must be an array)")
            continue
        for i, item in enumerate(items):
            address = item.get(needed) if isinstance(item, dict) else None
            if not isinstance(address, str) or not ADDRESS.fullmatch(address):
                errors.append(f"'{name}[{i}].{needed}' is missing or is not a valid URL")
            elif name == "images" and not address.startswith("https://"):
                errors.append(f"'{name}[{i}].{needed}' is invalid (must be served over HTTPS)")
            elif name == "links" and not isinstance(item.get("text", ""), str):
                errors.append(f"'{name}[{i}].text' is invalid (must be a string)")
    return errors
