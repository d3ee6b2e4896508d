"""Checks that something accepts TCP connections at a host and port."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from runbooks.kind import Ask, Field, Kind, Shape
from runbooks.verdict import Finding, Outcome


def look(ask: Ask) -> Finding:
    """FAIL when nobody accepts, or too slowly; ERROR when the name does not resolve."""
    host, port = ask.spec["host"], int(ask.spec["port"])
    where = f"{host}:{port}"
    most = ask.spec.get("max_latency_ms")
    threshold = f"<= {most:g}" if most is not None else ""
    began = time.monotonic()
    try:
        with socket.create_connection((host, port), timeout=ask.timeout):
            took = (time.monotonic() - began) * 1000
    except socket.gaierror as problem:
        raise ValueError(f"{host} does not resolve: {problem.strerror}") from problem
    except TimeoutError:
        return Finding(Outcome.FAIL, f"{where} did not accept within {ask.timeout:g} s", "", threshold, "ms")
    except OSError as problem:
        return Finding(
            Outcome.FAIL, f"{where} does not accept connections: {problem.strerror or problem}", "", threshold
        )
    if most is not None and took > most:
        return Finding(Outcome.FAIL, f"{where} accepted after {took:.0f} ms", f"{took:.0f}", threshold, "ms")
    return Finding(Outcome.PASS, f"{where} accepts connections", f"{took:.0f}", threshold, "ms")


def _judge(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    port = spec["port"]
    if not (port.is_integer() and 1 <= port <= 65_535):
        yield "port", f"port must be a whole number from 1 to 65535, not {port:g}"


KIND = Kind(
    fields={
        "host": Field(Shape.TEXT, required=True),
        "port": Field(Shape.NUMBER, required=True),
        "max_latency_ms": Field(Shape.NUMBER),
    },
    look=look,
    judge=_judge,
    keeps_time=True,
)
