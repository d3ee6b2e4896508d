"""Checks that a system the bot works with answers it, by the cheapest call it has."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bot.errors import GiveUp, NotConfigured, Retry
from runbooks.kind import Ask, Field, Kind, Shape
from runbooks.verdict import Finding, Outcome

SYSTEMS = ("slack", "pagerduty", "jira", "alertmanager", "prometheus", "kubernetes")
_TICK_S = 0.05


def look(ask: Ask) -> Finding:
    """FAIL when it does not answer, or not to us; ERROR (ValueError) with what to add when it is not configured."""
    system = ask.spec["system"]
    ping = ask.looks.pings.get(system)
    if ping is None:
        raise ValueError(f"{system} is not configured: add a {system}: section to captain.yml")
    began = time.monotonic()
    came: queue.SimpleQueue[str | Retry | GiveUp] = queue.SimpleQueue()
    # On a thread of its own, because the client's own timeout may be longer than this check's.
    threading.Thread(target=_asked, args=(ping, came), name=f"ping-{system}", daemon=True).start()
    said = None
    while said is None and (left := began + ask.timeout - time.monotonic()) > 0 and not ask.cancelled.is_set():
        try:
            said = came.get(timeout=min(left, _TICK_S))
        except queue.Empty:
            continue
    match said:
        case None if ask.cancelled.is_set():
            raise ValueError("the run was cancelled while it looked")
        case None:
            return Finding(
                Outcome.FAIL, f"{system} did not answer within {ask.timeout:g} s", "", f"<= {ask.timeout:g}", "s"
            )
        case NotConfigured():
            raise ValueError(said.reason)
        case Retry(limited=True):
            return Finding(Outcome.INCONCLUSIVE, said.reason)
        case Retry() | GiveUp():
            return Finding(Outcome.FAIL, said.reason)
    took = f"{(time.monotonic() - began) * 1000:.0f}"
    return Finding(Outcome.PASS, f"{system} answers: {said}", took, "", "ms")


def _asked(ping: Callable[[], str], came: queue.SimpleQueue[str | Retry | GiveUp]) -> None:
    try:
        came.put(ping())
    except (Retry, GiveUp) as problem:
        came.put(problem)


def _asks(spec: Mapping[str, Any]) -> str:
    return f"ping {spec['system']}"


KIND = Kind(
    fields={
        "system": Field(Shape.TEXT, required=True, choices=SYSTEMS, about="which of the bot's systems must answer")
    },
    look=look,
    keeps_time=True,
    asks=_asks,
)
