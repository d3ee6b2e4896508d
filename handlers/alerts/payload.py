"""Reads an Alertmanager v4 webhook body, alert by alert, and says what is wrong with those it cannot take.

The shape is Alertmanager's ``webhook_config`` body, version "4". The status of the payload is not looked at: a body
that says "firing" may carry alerts that are resolved.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from bot.config import nearest
from bot.errors import Problem
from bot.grammar import plain
from handlers.catalogue import Policy, Service, Watchdog
from handlers.watchdogs.rules import matching

MAX_LABELS = 64
MAX_VALUE = 16_000
"""Characters of one label value or annotation that are kept; the rest is cut, the alert is not lost."""
OURS = "release-captain"
"""The group key of the alerts that our own looks raise: no Alertmanager knows of them."""
FINGERPRINT = re.compile(r"[0-9a-fA-F]{1,64}")


class BadPayload(Problem):
    """The body as a whole cannot be taken; ``status`` is the HTTP status that says so."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Source(StrEnum):
    """Who sent an alert; the value is stored with it."""

    ALERTMANAGER = "alertmanager"
    GRAFANA = "grafana"
    WEBHOOK = "webhook"  # the form that docs/alerts.md tells
    SLO = "slo"  # we ourselves, who asked Prometheus

    @property
    def sender(self) -> str:
        """How it is called where people read it."""
        return SENDERS[self]


SENDERS: Mapping[Source, str] = {
    Source.ALERTMANAGER: "Alertmanager",
    Source.GRAFANA: "Grafana",
    Source.WEBHOOK: "A webhook",
    Source.SLO: "Release Captain",
}


@dataclass(frozen=True)
class Alert:
    """One alert. ``starts_at`` and ``ends_at`` in microseconds since the epoch; (fingerprint, starts_at) is its identity.

    ``starts_at`` 0: its sender does not say, and it is still to be placed among what is known of it.
    """

    fingerprint: str
    starts_at: int
    firing: bool
    ends_at: int | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    service: str
    group_key: str = ""
    source: Source = Source.ALERTMANAGER

    @property
    def identity(self) -> tuple[str, int, str]:
        """What makes two deliveries one event: fingerprint, start and status."""
        return self.fingerprint, self.starts_at, "firing" if self.firing else "resolved"


@dataclass(frozen=True)
class Unfit:
    """An alert that cannot be taken, as it came, and the sentence that says why."""

    why: str
    raw: Any

    def text(self) -> str:
        """The alert as JSON; empty when it cannot be written as such."""
        try:
            return json.dumps(self.raw, ensure_ascii=False)
        except RecursionError:
            return ""


@dataclass(frozen=True)
class Body:
    """The alerts that can be taken, and those that cannot. ``left_out``: how many the sender did not even send.

    ``notes``: what was not understood of what was taken, for whoever tries it out.
    """

    alerts: tuple[Alert, ...]
    refused: tuple[Unfit, ...]
    left_out: int = 0
    notes: tuple[str, ...] = ()


def read(
    body: bytes, services: Mapping[str, Service], policy: Policy, watchdogs: Mapping[str, Watchdog] | None = None
) -> Body:
    """Read a webhook body. Raises BadPayload when nothing in it can be taken."""
    data = parsed(body)
    if not isinstance(data, dict):
        raise BadPayload(400, f"the body must be a JSON object, not {type(data).__name__}")
    version = data.get("version")
    if version != "4":
        raise BadPayload(
            422, f'webhook version {version!r} is not understood; Alertmanager 0.12 and newer send version "4"'
        )
    return group(data, lambda raw, group_key: _alert(raw, group_key, services, policy, watchdogs or {}))


def parsed(body: bytes) -> Any:
    """The JSON of a body. Raises BadPayload when it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as e:
        raise BadPayload(400, f"the body is not JSON: {e}") from e


def group(data: Mapping[str, Any], read_one: Callable[[Any, str], Alert]) -> Body:
    """Read each alert of a group as Alertmanager and Grafana send it. Raises BadPayload when none can be taken."""
    group_key = data.get("groupKey") if isinstance(data.get("groupKey"), str) else ""
    cut = data.get("truncatedAlerts")
    made = each(data.get("alerts"), lambda raw: read_one(raw, str(group_key)))
    return replace(made, left_out=cut if isinstance(cut, int) and cut > 0 else 0)


def each(listed: Any, read_one: Callable[[Any], Alert]) -> Body:
    """Read alert by alert: one that cannot be taken costs no other. Raises BadPayload when none can be taken."""
    if not isinstance(listed, list) or not listed:
        raise BadPayload(422, "the body has no alerts: 'alerts' must be a list that is not empty")
    alerts: list[Alert] = []
    refused: list[Unfit] = []
    for i, raw in enumerate(listed):
        try:
            alerts.append(read_one(raw))
        except ValueError as e:
            refused.append(Unfit(f"alerts[{i}]: {e}", raw))
    if not alerts:
        raise BadPayload(422, "; ".join(unfit.why for unfit in refused[:10]))
    return Body(tuple(alerts), tuple(refused))


def one(
    raw: Mapping[str, Any],
    services: Mapping[str, Service],
    policy: Policy,
    watchdogs: Mapping[str, Watchdog] | None = None,
) -> Alert:
    """Check one alert, in the shape a webhook body has it. Raises ValueError with what is wrong with it."""
    return _alert(raw, "", services, policy, watchdogs or {})


def _alert(
    raw: Any, group_key: str, services: Mapping[str, Service], policy: Policy, watchdogs: Mapping[str, Watchdog]
) -> Alert:
    must_be_an_object(raw)
    status = raw.get("status")
    if status not in ("firing", "resolved"):
        raise ValueError(f"status must be 'firing' or 'resolved', not {status!r}")
    labels = texts(raw.get("labels"), "labels")
    annotations = texts(raw.get("annotations") or {}, "annotations")
    if not labels.get("alertname"):
        raise ValueError("the label 'alertname' is missing")
    fingerprint = raw.get("fingerprint")
    if not isinstance(fingerprint, str) or not FINGERPRINT.fullmatch(fingerprint):
        raise ValueError("'fingerprint' is missing or not hexadecimal")
    starts = instant(raw.get("startsAt"), "startsAt")
    if starts is None:
        raise ValueError("'startsAt' is missing or the zero time")
    ends = instant(raw.get("endsAt"), "endsAt")
    service = service_of(labels, services, policy, watchdogs)
    return Alert(fingerprint.lower(), starts, status == "firing", ends, labels, annotations, service, group_key)


def must_be_an_object(raw: Any) -> None:
    """Raises ValueError when it is not one."""
    if not isinstance(raw, dict):
        raise ValueError(f"must be an object, not {type(raw).__name__}")  # noqa: TRY004 - all faults of a body are one kind


def service_of(
    labels: Mapping[str, str], services: Mapping[str, Service], policy: Policy, watchdogs: Mapping[str, Watchdog]
) -> str:
    """The service of the catalogue that an alert is about. Raises ValueError when nobody knows."""
    known = matching(watchdogs, labels)
    if known:
        return watchdogs[known[0]].service  # it says who is paged by its silence; it needs no label for it
    name = labels.get(policy.service_label, "")
    if name in services:
        return name
    if policy.fallback_service in services:
        return policy.fallback_service
    if not name:
        raise ValueError(
            f"the label '{policy.service_label}' is missing, so nobody knows whom to page; add it to the rule, "
            "or set incidents.fallback_service in captain.yml"
        )
    raise ValueError(
        f"the service '{name[:80]}' is not in captain.yml.{nearest(name, list(services))} "
        "Add it there, or set incidents.fallback_service"
    )


def texts(value: Any, name: str) -> dict[str, str]:
    """A mapping of texts, each cut to what is kept. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"'{name}' must be an object")  # noqa: TRY004 - as above
    if len(value) > MAX_LABELS:
        raise ValueError(f"'{name}' has {len(value)} entries; at most {MAX_LABELS} are taken")
    for key, text in value.items():
        if not isinstance(text, str):
            raise ValueError(f"{name}.{key[:80]} must be a string, not {type(text).__name__}")  # noqa: TRY004
    return {plain(key): plain(text[:MAX_VALUE]) for key, text in value.items()}


def microseconds(text: str) -> int:
    """An RFC 3339 time as microseconds since the epoch; 0 for the zero time. Raises ValueError."""
    return instant(text, "the time") or 0


def instant(value: Any, name: str) -> int | None:
    """RFC 3339 → microseconds since the epoch; the zero time ("0001-01-01T00:00:00Z") is None. Raises ValueError."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"'{name}' must be an RFC 3339 time")  # noqa: TRY004 - as above
    if value.startswith("0001-01-01"):
        return None
    try:
        at = dt.datetime.fromisoformat(value)
    except ValueError as e:
        raise ValueError(f"'{name}' is not an RFC 3339 time: {value[:40]!r}") from e
    if at.tzinfo is None:
        raise ValueError(f"'{name}' has no time zone: {value[:40]!r}")
    return round((at - EPOCH) / MICROSECOND)


EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
