"""What a check kind is: the fields it takes, what it says of them when they are read, and how it looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from threading import Event
from typing import Any

from bot.integrations.kubernetes import Cluster
from bot.integrations.prometheus import Metrics
from runbooks.secret_refs import Secrets
from runbooks.verdict import Finding

MAX_SHOWN = 80
"""Signs of a wrong value that are told."""


@dataclass(frozen=True)
class Looks:
    """The clients a check may look with; None for what is not configured.

    ``pings``: what a system of that name answers when it is asked for nothing else; only those that are configured.
    ``allow``: networks that may be looked at although they are link-local or a cloud's metadata.
    """

    metrics: Metrics | None = None
    cluster: Cluster | None = None
    pings: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    allow: tuple[IPv4Network | IPv6Network, ...] = ()


@dataclass(frozen=True)
class Ask:
    """One look: the check's fields with parameters filled in, the clients, and how long it may take (seconds).

    ``parameters`` are for the one kind that hands them on by name; a kind that waits ends early on ``cancelled``.
    """

    spec: Mapping[str, Any]
    looks: Looks
    timeout: float
    cancelled: Event
    secrets: Secrets
    parameters: Mapping[str, str]


class Shape(StrEnum):
    """What a field may hold."""

    TEXT = "text"
    NUMBER = "a number"
    FLAG = "true or false"
    TEXTS = "a mapping of texts"
    LIST = "a text or a list of texts"
    VALUES = "a mapping"
    STATUSES = "a status or a list of them"
    LINE = "a shell line or a list of words"
    ANY = "any value"


class Filling(StrEnum):
    """What a parameter's value must become in a field, so that it stays a value there."""

    PLAIN = "plain"
    URL = "url"
    PROMQL = "promql"
    SHELL = "shell"
    SQL = "sql"
    PATTERN = "pattern"
    """A regular expression."""
    WANTED = "wanted"
    """A mapping to values and comparisons."""
    COMPARISON = "comparison"
    """A mapping of which ``matches`` is a regular expression."""


@dataclass(frozen=True)
class Field:
    """One field of a kind. ``secret``: its values may be references such as env:NAME. ``about``: what it means."""

    shape: Shape
    required: bool = False
    filling: Filling = Filling.PLAIN
    secret: bool = False
    choices: tuple[str, ...] = ()
    about: str = ""


def nothing_to_say(_spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The ``judge`` of a kind whose fields cannot contradict each other."""
    yield from ()


def _nothing_asked(_spec: Mapping[str, Any]) -> str:
    """The ``asks`` of a kind that says nothing of what it looks with."""
    return ""


@dataclass(frozen=True)
class Kind:
    """``look`` may raise bot.errors.Retry, GiveUp or ValueError, all of which mean that it could not look.

    ``judge`` yields (field, sentence) for what is wrong with fields that are each right alone. ``keeps_time``: it ends
    at the timeout by itself and says what that means; others wait on a client with a timeout of its own. ``asks`` says
    what is looked with (a query, an address, an argv) for fields with their parameters filled in; secrets as references.
    """

    fields: Mapping[str, Field]
    look: Callable[[Ask], Finding]
    judge: Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]] = nothing_to_say
    keeps_time: bool = False
    asks: Callable[[Mapping[str, Any]], str] = _nothing_asked


def fitted(field: Field, value: Any) -> Any:
    """A value in the field's shape. Raises ValueError with what it must be."""
    wrong = ValueError(f"must be {field.shape.value}, not {_shown(value)}")
    match field.shape:
        case Shape.TEXT:
            fits = _is_text(value)
            made: Any = str(value)
        case Shape.NUMBER:
            made, fits = _number(value), True
            if made is None:
                raise wrong
        case Shape.FLAG:
            made = {"true": True, "false": False}.get(str(value).lower())
            fits = made is not None
        case Shape.TEXTS:
            fits = isinstance(value, dict) and not any(isinstance(v, dict | list) for v in value.values())
            made = {str(k): "" if v is None else str(v) for k, v in value.items()} if fits else {}
        case Shape.LIST:
            made = [str(one) for one in (value if isinstance(value, list) else [value]) if _is_text(one)]
            fits = bool(made) and len(made) == (len(value) if isinstance(value, list) else 1)
        case Shape.VALUES | Shape.ANY:
            fits, made = field.shape is Shape.ANY or isinstance(value, dict), value
        case Shape.STATUSES:
            listed = value if isinstance(value, list) else [value]
            made = [_status(one) for one in listed]
            fits = bool(made) and None not in made
        case Shape.LINE:
            words = isinstance(value, list) and bool(value) and not any(isinstance(w, dict | list) for w in value)
            fits = words or (isinstance(value, str) and bool(value.strip()))
            made = [str(w) for w in value] if words else value
    if not fits:
        raise wrong
    if field.choices and made not in field.choices:
        raise ValueError(f"must be one of {', '.join(field.choices)}, not {value!r}")
    return made


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _is_text(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _number(value: Any) -> float | None:
    """A finite number: every comparison with NaN is false, so that no limit would hold anything back."""
    if isinstance(value, bool):
        return None
    try:
        made = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return made if math.isfinite(made) else None


def _status(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isdigit() and 100 <= int(text) <= 599 else None
