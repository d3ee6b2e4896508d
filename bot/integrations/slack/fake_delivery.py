"""How the stand-in reaches the app: over one of its sockets, or by signed HTTP, with Slack's three seconds and its retries."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.client
import json
import queue
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from bot.integrations.slack.fake_api import Ask, Method
from bot.integrations.slack.fake_world import World

ACK_SECONDS = 3.0
MAX_SOCKETS = 10
SLASH, INTERACTIVE, EVENT = "slash_commands", "interactive", "events_api"


@dataclass(frozen=True)
class Ack:
    """What came back. ``error``: operation_timeout, dispatch_failed, or empty; ``reason`` in the words of a retry header."""

    payload: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    reason: str = ""
    no_retry: bool = False


@dataclass
class Socket:
    """One connection of the app. ``leaving`` once it was told to reconnect: it gets nothing new."""

    ws: WebSocket
    loop: asyncio.AbstractEventLoop
    waiting: dict[str, Future[dict[str, Any]]] = field(default_factory=dict)
    leaving: bool = False

    async def say(self, body: dict[str, Any]) -> None:
        await self.ws.send_text(json.dumps(body))

    async def close(self) -> None:
        if self.ws.application_state is WebSocketState.CONNECTED:
            await self.ws.close(1000)


class Errands:
    """Runs jobs on a few daemon threads that come when needed and go when idle."""

    def __init__(self, most: int = 6) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._most = most
        self._lock = threading.Condition()
        self._threads = 0
        self._open = 0

    def run(self, job: Callable[[], object]) -> None:
        with self._lock:
            self._open += 1
            self._jobs.put(job)
            if self._threads < min(self._most, self._open):
                self._threads += 1
                threading.Thread(target=self._work, name="slack-stand-in", daemon=True).start()

    def settled(self, timeout: float) -> bool:
        """Wait until nothing is under way; False when it still is after ``timeout`` seconds."""
        with self._lock:
            return self._lock.wait_for(lambda: self._open == 0, timeout)

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=1.0)
            except queue.Empty:
                with self._lock:
                    if self._jobs.empty():
                        self._threads -= 1
                        return
                continue
            try:
                job()
            finally:
                with self._lock:
                    self._open -= 1
                    self._lock.notify_all()


class Delivery:
    """Brings envelopes to the app. A connected socket wins over ``request_url``."""

    def __init__(self, world: World, *, signing_secret: str) -> None:
        self.world = world
        self.signing_secret = signing_secret
        self.request_url = ""
        self.ack_seconds = ACK_SECONDS
        self.retry_delays: tuple[float, ...] = (0.05, 1.0, 5.0)
        """Seconds before each of the up to three retries of an event (Slack: at once, one minute, five minutes)."""
        self.sockets: list[Socket] = []
        self.errands = Errands()
        self._tickets: dict[str, float] = {}
        self._turn = 0

    # The app's side of Socket Mode.

    def open_connection(self, world: World, ask: Ask) -> dict[str, Any]:
        """apps.connections.open: an address that is good for one connection within 30 seconds."""
        now = time.monotonic()
        self._tickets = {name: until for name, until in self._tickets.items() if until > now}
        ticket = str(uuid.uuid4())
        self._tickets[ticket] = now + 30
        base = ask.base.replace("http", "ws", 1)
        return {"url": f"{base}/socket?ticket={ticket}&app_id={world.app_id}"}

    def methods(self) -> dict[str, Method]:
        return {"apps.connections.open": Method(self.open_connection, app_token=True)}

    async def serve_socket(self, ws: WebSocket) -> None:
        """The endpoint of that address."""
        until = self._tickets.pop(ws.query_params.get("ticket", ""), 0.0)
        if until < time.monotonic():
            await ws.close(4403)
            return
        await ws.accept()
        socket = Socket(ws, asyncio.get_running_loop())
        if len(self.sockets) >= MAX_SOCKETS:
            await socket.say(self._goodbye("too_many_websockets"))
            await socket.close()
            return
        self.sockets.append(socket)
        info = {"host": "stand-in", "build_number": 1, "approximate_connection_time": 18060}
        try:
            hello = {"type": "hello", "num_connections": len(self.sockets), "debug_info": info}
            await socket.say(hello | {"connection_info": {"app_id": self.world.app_id}})
            self._tell()
            while True:
                self._heard(socket, await ws.receive_text())
        except (WebSocketDisconnect, RuntimeError):
            pass  # Either side closed it; RuntimeError is starlette's word for a send or receive after that.
        finally:
            self.sockets.remove(socket)
            for answer in list(socket.waiting.values()):
                answer.cancel()
            self._tell()

    def _heard(self, socket: Socket, raw: str) -> None:
        try:
            body = json.loads(raw)
        except ValueError:
            return  # The app's own pings are plain text.
        if not isinstance(body, dict):
            return
        answer = socket.waiting.pop(str(body.get("envelope_id")), None)
        if answer is not None and not answer.done():
            payload = body.get("payload")
            answer.set_result(payload if isinstance(payload, dict) else {})

    def _tell(self) -> None:
        with self.world.changing():
            self.world.touch()

    def _goodbye(self, reason: str) -> dict[str, Any]:
        return {"type": "disconnect", "reason": reason, "debug_info": {"host": "stand-in"}}

    def refresh(self, *, linger: float = 0.5) -> int:
        """Tell every connection to come back on a new one, and close it ``linger`` seconds later. Returns how many."""
        told = [s for s in self.sockets if not s.leaving]
        for socket in told:
            socket.leaving = True
            asyncio.run_coroutine_threadsafe(self._part(socket, linger), socket.loop)
        return len(told)

    async def _part(self, socket: Socket, linger: float) -> None:
        try:
            await socket.say(self._goodbye("refresh_requested"))
            await asyncio.sleep(linger)
            await socket.close()
        except RuntimeError:
            pass  # The app was faster and has closed it.

    def drop(self, most: int | None = None) -> int:
        """Close connections without a word, the oldest first, as a lost network does."""
        gone = list(self.sockets)[:most]
        for socket in gone:
            asyncio.run_coroutine_threadsafe(socket.close(), socket.loop)
        return len(gone)

    # Slack's side: send and wait for the acknowledgement.

    def send(self, kind: str, payload: dict[str, Any], *, retry: int = 0, reason: str = "") -> Ack:
        """Deliver once and wait for the acknowledgement; call it from any thread but the server's own."""
        ready = [s for s in self.sockets if not s.leaving]
        if ready:
            self._turn += 1
            return self._by_socket(ready[self._turn % len(ready)], kind, payload, retry, reason)
        if self.request_url:
            return self._by_http(kind, payload, retry, reason)
        return Ack(error="dispatch_failed", reason="connection_failed")

    def _by_socket(self, socket: Socket, kind: str, payload: dict[str, Any], retry: int, reason: str) -> Ack:
        name = str(uuid.uuid4())
        body = {"envelope_id": name, "payload": payload, "type": kind, "accepts_response_payload": kind != EVENT}
        if kind == EVENT:
            body |= {"retry_attempt": retry, "retry_reason": reason}
        answer: Future[dict[str, Any]] = Future()
        socket.waiting[name] = answer
        asyncio.run_coroutine_threadsafe(socket.say(body), socket.loop)
        try:
            return Ack(answer.result(self.ack_seconds))
        except TimeoutError:
            return Ack(error="operation_timeout", reason="timeout")
        except CancelledError:
            return Ack(error="dispatch_failed", reason="connection_failed")
        finally:
            socket.waiting.pop(name, None)

    def _by_http(self, kind: str, payload: dict[str, Any], retry: int, reason: str) -> Ack:
        form = "application/x-www-form-urlencoded"
        if kind == EVENT:
            body, content = json.dumps(payload), "application/json"
        elif kind == SLASH:
            body, content = urlencode(payload), form
        else:
            body, content = urlencode({"payload": json.dumps(payload)}), form
        headers = self.signed(body) | {"Content-Type": content, "User-Agent": "Slackbot 1.0 (stand-in)"}
        if retry:
            headers |= {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": reason}
        target = urlsplit(self.request_url)
        plain = target.scheme == "http"
        make = http.client.HTTPConnection if plain else http.client.HTTPSConnection
        connection = make(target.hostname or "", target.port, timeout=self.ack_seconds)
        try:
            path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            connection.request("POST", path, body.encode(), headers)
            response = connection.getresponse()
            raw = response.read()
        except TimeoutError:
            return Ack(error="operation_timeout", reason="http_timeout")
        except (OSError, http.client.HTTPException):
            return Ack(error="dispatch_failed", reason="connection_failed")
        finally:
            connection.close()
        stop = response.getheader("x-slack-no-retry") == "1"
        if not 200 <= response.status < 300:
            return Ack(error="dispatch_failed", reason="http_error", no_retry=stop)
        return Ack(_parsed(raw, response.getheader("content-type") or ""), no_retry=stop)

    def signed(self, body: str) -> dict[str, str]:
        """The headers by which the app knows that Slack is asking (signature version v0)."""
        stamp = str(int(time.time()))
        digest = hmac.new(self.signing_secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}

    def event(self, payload: dict[str, Any]) -> None:
        """Deliver an event in the background and again, up to three times, while it is not acknowledged."""
        self.errands.run(lambda: self.event_now(payload))

    def event_now(self, payload: dict[str, Any]) -> Ack:
        ack = self.send(EVENT, payload)
        for attempt, delay in enumerate(self.retry_delays, start=1):
            if not ack.error or ack.no_retry:
                break
            time.sleep(delay)
            ack = self.send(EVENT, payload, retry=attempt, reason=ack.reason)
        return ack

    def verify_url(self) -> bool:
        """The handshake Slack makes when a request URL is entered; True when the app gives the challenge back."""
        challenge = secrets.token_urlsafe(24)
        ack = self._by_http(EVENT, {"token": "stand-in", "challenge": challenge, "type": "url_verification"}, 0, "")
        return challenge in (ack.payload.get("challenge"), ack.payload.get("text"))


def _parsed(raw: bytes, content: str) -> dict[str, Any]:
    text = raw.decode("utf-8", "replace")
    if not text.strip():
        return {}
    if content.startswith("application/json"):
        try:
            value = json.loads(text)
        except ValueError:
            return {"text": text}
        return value if isinstance(value, dict) else {}
    return {"text": text}
