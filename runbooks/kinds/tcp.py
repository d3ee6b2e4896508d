"""Checks that something accepts TCP connections at a host and port."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from runbooks.kind import Ask, Field, Kind, Shape
from runbooks.outward import Way
from runbooks.verdict import Finding, Outcome


def look(ask: Ask) -> Finding:
    """FAIL when nobody accepts, or too slowly; ERROR when the name does not resolve or the address is refused."""
    host, port = ask.spec["host"], int(ask.spec["port"])
    where = f"{host}:{port}"
    most = ask.spec.get("max_latency_ms")
    threshold = f"<= {most:g}" if most is not None else ""
    began = time.monotonic()
    with Way(ask) as way:
        try:
            with way.connect(host, port):
                took = (time.monotonic() - began) * 1000
        except socket.gaierror as problem:
            raise ValueError(f"{host} does not resolve: {problem.strerror}") from problem
        except OSError as problem:
            if way.over or isinstance(problem, TimeoutError):
                return Finding(Outcome.FAIL, f"{where} did not accept within {ask.timeout:g} s", "", threshold, "ms")
            why = problem.strerror or problem
            return Finding(Outcome.FAIL, f"{where} does not accept connections: {why}", "", threshold)
    if most is not None and took > most:
        return Finding(Outcome.FAIL, f"{where} accepted after {took:.0f} ms", f"{took:.0f}", threshold, "ms")
    return Finding(Outcome.PASS, f"{where} accepts connections", f"{took:.0f}", threshold, "ms")


def judge_port(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with a port, if there is one."""
    port = spec.get("port", 1.0)
    if not (port.is_integer() and 1 <= port <= 65_535):
        yield "port", f"port must be a whole number from 1 to 65535, not {port:g}"


def _asks(spec: Mapping[str, Any]) -> str:
    return f"{spec['host']}:{spec['port']:g}"


KIND = Kind(
    fields={
        "host": Field(Shape.TEXT, required=True, about="name or address to connect to"),
        "port": Field(Shape.NUMBER, required=True, about="1 to 65535"),
        "max_latency_ms": Field(Shape.NUMBER, about="milliseconds that resolving and connecting may take"),
    },
    look=look,
    judge=judge_port,
    keeps_time=True,
    asks=_asks,
)
