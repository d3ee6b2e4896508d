"""The outside as an instrument: answers PagerDuty, Slack and Jira calls at once or after a delay, and notes when each came.

It is not a stand-in to develop against: it says yes to everything. ``python outside.py`` prints its port.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import time
from typing import Any
from urllib.parse import parse_qs

import httptools
import uvloop


class Outside:
    """What came in, and how late it is answered."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, str, str, str]] = []
        self.delay = 0.0
        self.down = "nothing"
        self.labels: dict[str, str] = {}
        self.posts: list[dict[str, Any]] = []
        self.count = itertools.count(1)
        self.port = 0
        self.over: set[str] = set()

    def answer(self, at: float, url: str, body: bytes) -> tuple[int, Any, float]:
        """(status, JSON, seconds to wait) for one call. Noted as (when, service, method, key)."""
        if url.startswith("/pagerduty/"):
            event = json.loads(body)
            details = event.get("payload", {}).get("custom_details", {})
            self.calls.append(
                (at, "pagerduty", event["event_action"], event["dedup_key"] + " " + details.get("slo", ""))
            )
            said = {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
            return 202, said, self.delay
        if url.startswith(f"/{self.down}/"):
            self.calls.append((at, self.down, "refused", ""))
            return 500, {"ok": False, "error": "internal_error"}, 0.0 if self.down == "slack" else 3600.0
        if url.startswith(("/slack/", "/jira/")):
            return self._slack(at, url, body) if url.startswith("/slack/") else self._jira(at, url, body)
        if url == "/-/calls":
            return 200, self.calls, 0.0
        if url.startswith("/-/reset/"):
            delay, self.down = url.rsplit("/", 2)[1:]
            self.delay = float(delay) / 1000
            self.calls, self.labels, self.posts = [], {}, []
            return 200, {}, 0.0
        self.calls.append((at, "unknown", url, ""))
        return 404, {}, 0.0

    def _slack(self, at: float, url: str, body: bytes) -> tuple[int, Any, float]:
        method = url.rsplit("/", 1)[1].split("?", maxsplit=1)[0]
        key = ""
        if method == "chat.postMessage":
            metadata = _given(body).get("metadata") or {}
            metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
            key = metadata.get("event_payload", {}).get("key", "")
            ts = f"1700000000.{len(self.posts) + 1:06d}"
            self.posts.append({"type": "message", "ts": ts, "metadata": metadata})
        self.calls.append((at, "slack", method, key))
        said: dict[str, Any] = {"ok": True, "channel": "C0BENCH01", "ts": f"1700000000.{len(self.posts):06d}"}
        if method == "files.getUploadURLExternal":
            said |= {"upload_url": f"http://127.0.0.1:{self.port}/slack/upload", "file_id": "F0BENCH01"}
        if method == "files.completeUploadExternal":
            said["files"] = [{"id": "F0BENCH01"}]
        if "history" in method or "replies" in method:
            said["messages"] = self.posts[:-201:-1]  # a restarted product looks whether it has posted before
        return 200, said, self.delay

    def _jira(self, at: float, url: str, body: bytes) -> tuple[int, Any, float]:
        if url.endswith("/issue"):
            label = json.loads(body)["fields"]["labels"][0]
            n = next(self.count)
            self.labels[label] = f"OPS-{n}"
            self.calls.append((at, "jira", "create", label))
            return 201, {"id": str(n), "key": f"OPS-{n}", "self": ""}, self.delay
        kind = "search" if "search" in url else "other"
        self.calls.append((at, "jira", kind, ""))
        if kind == "other":
            return 200, self._ticket(url.partition("?")[0].split("/issue/")[-1].split("/"), asked=not body), self.delay
        known = [(key, label) for label, key in self.labels.items() if label in url or label.encode() in body]
        status = {"name": "Open", "statusCategory": {"key": "new"}}
        issues = [{"id": key[4:], "key": key, "fields": {"status": status}} for key, _ in known]
        return 200, {"issues": issues, "isLast": True}, self.delay

    def _ticket(self, path: list[str], *, asked: bool) -> Any:
        """What a ticket is, or what comes of changing it; ``asked``: it is only read."""
        key, what = path[0], path[1] if len(path) > 1 else ""
        done = {"id": "3", "name": "Done", "statusCategory": {"key": "done"}}
        if what == "transitions":
            if not asked:
                self.over.add(key)
            return {"transitions": [{"id": "31", "name": "Done", "to": done, "fields": {}}]}
        if what:
            return {"id": "1", "body": "", "comments": []}
        status = done if key in self.over else {"id": "1", "name": "Open", "statusCategory": {"key": "new"}}
        return {"id": key[4:], "key": key, "fields": {"status": status}}


def _given(body: bytes) -> dict[str, Any]:
    if body.startswith(b"{"):
        return json.loads(body)
    return {name: values[0] for name, values in parse_qs(body.decode()).items()}


class Wire(asyncio.Protocol):
    """One connection from the product."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._url, self._body = "", b""
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url, self._body = url.decode(), b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        status, said, wait = self._outside.answer(time.monotonic(), self._url, self._body)
        close = not self._parser.should_keep_alive()
        if wait:
            asyncio.get_running_loop().call_later(wait, self._say, status, said, close)
        else:
            self._say(status, said, close)

    def _say(self, status: int, said: Any, close: bool) -> None:
        if self._transport.is_closing():
            return
        body = b"ok" if said is None else json.dumps(said).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        head += "connection: close\r\n\r\n" if close else "\r\n"
        self._transport.write(head.encode() + body)
        if close:
            self._transport.close()


async def serve() -> None:
    outside = Outside()
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(lambda: Wire(outside), sock=sock, backlog=1024)
    outside.port = sock.getsockname()[1]
    print(outside.port, flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
