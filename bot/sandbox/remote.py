"""JSON over HTTP to something on this machine: the running sandbox, or the bot."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.errors import Refused


class Unreachable(Exception):
    """Nothing answered there."""


@dataclass(frozen=True)
class Answer:
    """What came back: the HTTP status, the raw text, and the JSON in it (None when it is not JSON)."""

    status: int
    text: str
    data: Any


def ask(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10.0,
) -> Answer:
    """One call to 127.0.0.1; raises Unreachable when nobody answers within ``timeout`` seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    sent = None if body is None else json.dumps(body).encode()
    head = {"content-type": "application/json"} if body is not None else {}
    try:
        connection.request(method, path, body=sent, headers={**head, **(headers or {})})
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as e:
        raise Unreachable(f"nothing answers on 127.0.0.1:{port}: {e}") from e
    finally:
        connection.close()
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    return Answer(response.status, text, data)


@dataclass(frozen=True)
class Remote:
    """The running sandbox, asked by the command line."""

    port: int

    def state(self) -> dict[str, Any]:
        """What ``GET /state`` says; raises Refused when no sandbox runs there."""
        return self._ask("GET", "/state")

    def act(self, name: str, body: Mapping[str, Any], *, timeout: float = 60.0) -> dict[str, Any]:
        """Do one of the page's actions; raises Refused with the sandbox's own sentence when it cannot be done."""
        return self._ask("POST", f"/act/{name}", dict(body), timeout=timeout)

    def _ask(self, method: str, path: str, body: Any = None, *, timeout: float = 10.0) -> dict[str, Any]:
        try:
            answer = ask(self.port, method, path, body, timeout=timeout)
        except Unreachable as e:
            raise Refused(
                f"No sandbox answers on 127.0.0.1:{self.port}. "
                "Start one with `captain sandbox`, or name its port with --port."
            ) from e
        if isinstance(answer.data, dict) and answer.status == 200:
            return answer.data
        if isinstance(answer.data, dict) and "error" in answer.data:
            raise Refused(str(answer.data["error"]))
        raise Refused(f"What listens on 127.0.0.1:{self.port} is no sandbox: it answered {answer.status}.")
