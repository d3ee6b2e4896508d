"""Alerts, silences and matchers as Alertmanager 0.25 keeps them, with its fingerprints and its rules for merging."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

RESOLVE_TIMEOUT_S = 300.0
NEVER = "0001-01-01T00:00:00Z"

_FNV_OFFSET, _FNV_PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF
_MATCHER = re.compile(r'\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^"]*?))\s*$', re.DOTALL)


def fingerprint(labels: Mapping[str, str]) -> str:
    """FNV-1a, 64 bits, over the labels by name, each name and value followed by a byte no text holds."""
    value = _FNV_OFFSET
    for name in sorted(labels):
        for byte in name.encode() + b"\xff" + labels[name].encode() + b"\xff":
            value = ((value ^ byte) * _FNV_PRIME) & _MASK
    return f"{value:016x}"


def iso(stamp: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(stamp, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ApiError(Exception):
    """An answer that is an error: the v2 API has plain JSON strings and objects with a code, as each place has it."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(str(body))
        self.status, self.body = status, body


def unreadable(why: str) -> ApiError:
    return ApiError(400, {"code": 400, "message": f'parsing alerts body from "" failed, because {why}'})


@dataclass(frozen=True)
class Matcher:
    """One condition on labels. ``isEqual`` False turns it round."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def matches(self, labels: Mapping[str, str]) -> bool:
        held = labels.get(self.name, "")
        met = re.fullmatch(self.value, held) is not None if self.is_regex else held == self.value
        return met == self.is_equal

    def row(self) -> dict[str, Any]:
        return {"isEqual": self.is_equal, "isRegex": self.is_regex, "name": self.name, "value": self.value}


def matcher(text: str) -> Matcher:
    """A ``filter`` parameter. Raises ValueError with Alertmanager's sentence."""
    found = _MATCHER.fullmatch(text)
    if not found:
        raise ValueError(f"bad matcher format: {text}")
    name, op, quoted, plain = found.groups()
    value = plain if quoted is None else re.sub(r'\\(["\\n])', lambda m: {"n": "\n"}.get(m[1], m[1]), quoted)
    if op in ("=~", "!~"):
        try:
            re.compile(value)
        except re.error as problem:
            raise ValueError(f"error parsing regexp: {problem.msg}: `^(?:{value})$`") from problem
    return Matcher(name, value, op in ("=~", "!~"), op in ("=", "=~"))


@dataclass
class Alert:
    """One alert; times are UNIX seconds. ``ends`` None means that it fires until someone says otherwise.

    ``timeout``: ``ends`` is only the time by which the sender must have said it again.
    """

    labels: dict[str, str]
    annotations: dict[str, str]
    starts: float
    ends: float | None
    updated: float
    generator: str = ""
    timeout: bool = False

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.labels)

    def resolved(self, now: float) -> bool:
        return self.ends is not None and self.ends <= now

    def merged(self, older: Alert | None, now: float) -> Alert:
        """The alert as it is after an older one of the same labels: the older start stays if the two touch."""
        if older is None or (older.resolved(now) and self.starts > (older.ends or now)):
            return self
        return Alert(
            self.labels, self.annotations, min(older.starts, self.starts), self.ends, now, self.generator, self.timeout
        )

    def row(self, now: float, silenced_by: Sequence[str], inhibited_by: Sequence[str]) -> dict[str, Any]:
        """As ``/api/v2/alerts`` tells it."""
        status = {
            "inhibitedBy": list(inhibited_by),
            "silencedBy": list(silenced_by),
            "state": "suppressed" if silenced_by or inhibited_by else "active",
        }
        return {
            "annotations": self.annotations,
            "endsAt": iso(now + RESOLVE_TIMEOUT_S if self.ends is None else self.ends),
            "fingerprint": self.fingerprint,
            "receivers": [{"name": "rc"}],
            "startsAt": iso(self.starts),
            "status": status,
            "updatedAt": iso(self.updated),
            "generatorURL": self.generator,
            "labels": self.labels,
        }

    def notice(self, now: float) -> dict[str, Any]:
        """As a webhook tells it."""
        over = self.resolved(now)
        return {
            "status": "resolved" if over else "firing",
            "labels": self.labels,
            "annotations": self.annotations,
            "startsAt": iso(self.starts),
            "endsAt": iso(self.ends) if over and self.ends is not None else NEVER,
            "generatorURL": self.generator,
            "fingerprint": self.fingerprint,
        }


@dataclass
class Silence:
    """Mutes what all its matchers match between ``starts`` and ``ends`` (UNIX seconds)."""

    id: str
    matchers: list[Matcher]
    starts: float
    ends: float
    updated: float
    created_by: str = ""
    comment: str = ""

    def state(self, now: float) -> str:
        if now >= self.ends:
            return "expired"
        return "pending" if now < self.starts else "active"

    def mutes(self, labels: Mapping[str, str], now: float) -> bool:
        return self.state(now) == "active" and all(m.matches(labels) for m in self.matchers)

    def row(self, now: float) -> dict[str, Any]:
        return {
            "id": self.id,
            "status": {"state": self.state(now)},
            "updatedAt": iso(self.updated),
            "comment": self.comment,
            "createdBy": self.created_by,
            "endsAt": iso(self.ends),
            "matchers": [m.row() for m in self.matchers],
            "startsAt": iso(self.starts),
        }


@dataclass
class Held:
    """All alerts and silences. ``alerts`` by fingerprint, the resolved ones too until their end has been told."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    silences: dict[str, Silence] = field(default_factory=dict)

    def put(self, alert: Alert, now: float) -> Alert:
        merged = alert.merged(self.alerts.get(alert.fingerprint), now)
        self.alerts[merged.fingerprint] = merged
        return merged

    def silenced_by(self, alert: Alert, now: float) -> list[str]:
        return sorted(s.id for s in self.silences.values() if s.mutes(alert.labels, now))

    def inhibited_by(self, alert: Alert, now: float) -> list[str]:
        """A firing page keeps the tickets of the same SLO quiet."""
        if alert.labels.get("severity") != "ticket":
            return []
        slo = alert.labels.get("slo", "")
        pages = (a for a in self.alerts.values() if a.labels.get("severity") == "page" and not a.resolved(now))
        return sorted(a.fingerprint for a in pages if a.labels.get("slo", "") == slo)

    def muted(self, alert: Alert, now: float) -> bool:
        return bool(self.silenced_by(alert, now) or self.inhibited_by(alert, now))


def common(maps: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The pairs that all maps share, by name."""
    rest = list(maps)
    first = rest[0] if rest else {}
    return {k: first[k] for k in sorted(first) if all(other.get(k) == first[k] for other in rest)}
