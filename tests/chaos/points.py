"""The points at which the bot is killed: one row for each kind of effect. A new kind of effect is a new row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chaos.snare import Heard, Matches


class When(StrEnum):
    """On which side of the outside's act the bot dies."""

    BEFORE = "before"  # the call was taken and nothing was done
    AFTER = "after"  # it was done and the answer never came


class Step(StrEnum):
    """What happens to an incident, in this order."""

    FIRE = "fire"  # its alert is delivered
    ACK = "ack"  # a person takes it
    RESOLVE = "resolve"  # its alerts end


class Flip(StrEnum):
    """What a person does to a flag."""

    ON = "on"
    OFF = "off"  # long before its time


@dataclass(frozen=True)
class Point:
    """Where to kill: the call that ``matches`` at ``service`` and follows from ``step``, to an incident or to a flag.

    What comes before ``step`` has happened and has settled by then. ``checked``: only services with a runbook get there.
    """

    name: str
    service: str
    step: Step | Flip
    matches: Matches
    checked: bool = False


def _event(action: str) -> Matches:
    return lambda h: h.path == "/v2/enqueue" and json.loads(h.body)["event_action"] == action


def _message(h: Heard) -> dict[str, Any]:
    """The arguments of a message that is posted; empty for any other call."""
    return dict(json.loads(h.body)) if h.path == "/api/chat.postMessage" else {}


def _root(h: Heard) -> bool:
    said = _message(h)
    return bool(said) and not said.get("thread_ts")


def _note(h: Heard) -> bool:
    said = _message(h)
    return bool(said.get("thread_ts")) and "Acknowledged" in said.get("text", "")


def _creates(h: Heard) -> bool:
    return h.method == "POST" and h.path.endswith("/issue")


def _moves(h: Heard) -> bool:
    return h.method == "POST" and h.path.endswith("/transitions")


def _flags(method: str) -> Matches:
    return lambda h: h.method == method and "/configmaps/flags-" in h.path


POINTS: Sequence[Point] = (
    Point("page", "pagerduty", Step.FIRE, _event("trigger")),
    Point("root", "slack", Step.FIRE, _root),
    Point("ticket", "jira", Step.FIRE, _creates),
    Point("checks", "prometheus", Step.FIRE, lambda h: h.path.endswith("/query"), checked=True),
    Point("panel", "slack", Step.FIRE, lambda h: h.path == "/api/chat.update"),
    Point("page-ack", "pagerduty", Step.ACK, _event("acknowledge")),
    Point("note", "slack", Step.ACK, _note),
    Point("page-resolve", "pagerduty", Step.RESOLVE, _event("resolve")),
    Point("ticket-done", "jira", Step.RESOLVE, _moves),
    Point("flag-look", "kubernetes", Flip.ON, _flags("GET")),
    Point("flag-apply", "kubernetes", Flip.ON, _flags("PATCH")),
    Point("flag-undo", "kubernetes", Flip.OFF, _flags("PATCH")),
)
