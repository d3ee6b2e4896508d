"""Reads alerts in the form that docs/alerts.md tells: for whatever is neither Alertmanager nor Grafana."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.config import nearest
from bot.grammar import plain
from handlers.alerts import payload
from handlers.alerts.payload import Alert, BadPayload, Body, Source
from handlers.catalogue import Policy, Service, Watchdog

TEXTS = ("title", "description", "runbook_url", "dashboard")
FIELDS = ("key", "status", "service", "environment", "severity", *TEXTS, "starts_at", "ends_at", "labels")
"""What an alert may have; ``key`` it must have."""
MOST_NOTES = 10


class WebhookSettings(BaseModel):
    """The ``webhooks:`` section of captain.yml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook_secret: SecretStr = Field(description="the bearer token of whoever sends alerts to /webhooks/alerts")


def read(
    body: bytes, services: Mapping[str, Service], policy: Policy, watchdogs: Mapping[str, Watchdog] | None = None
) -> Body:
    """Read a body: ``{"alerts": [...]}``, a list, or one alert alone. Raises BadPayload when nothing in it can be taken."""
    data = payload.parsed(body)
    if not isinstance(data, (dict, list)):
        raise BadPayload(400, f"the body must be a JSON object or list, not {type(data).__name__}")
    listed = data if isinstance(data, list) else data.get("alerts", [data])
    made = payload.each(listed, lambda raw: _alert(raw, services, policy, watchdogs or {}))
    notes = (
        f"alerts[{i}].{name[:40]} is not known here.{nearest(name[:40], list(FIELDS))}"
        for i, raw in enumerate(listed)
        if isinstance(raw, dict)
        for name in raw
        if name not in FIELDS
    )
    # Only those that are told are made: to look for the nearest name takes long, and nobody else is heard meanwhile.
    return Body(made.alerts, made.refused, notes=tuple(itertools.islice(notes, MOST_NOTES)))


def _alert(raw: Any, services: Mapping[str, Service], policy: Policy, watchdogs: Mapping[str, Watchdog]) -> Alert:
    payload.must_be_an_object(raw)
    key, status = _text(raw, "key"), raw.get("status", "firing")
    if not key:
        raise ValueError("'key' is missing: the name you give to what is wrong, the same when it ends")
    if status not in ("firing", "resolved"):
        raise ValueError(f"status must be 'firing' or 'resolved', not {str(status)[:40]!r}")
    labels = {"alertname": key} | payload.texts(raw.get("labels") or {}, "labels")
    named = {policy.service_label: "service", policy.environment_label: "environment", "severity": "severity"}
    labels |= {label: value for label, name in named.items() if (value := _text(raw, name))}
    annotations = {name: value for name in TEXTS if (value := _text(raw, name))}
    if "title" in annotations:
        annotations["summary"] = annotations.pop("title")
    service = payload.service_of(labels, services, policy, watchdogs)
    # Two services may use one key for what has nothing to do with one another.
    whose = (Source.WEBHOOK.value, service, labels.get(policy.environment_label, ""), key)
    return Alert(
        hashlib.sha256("\0".join(whose).encode()).hexdigest()[:32],
        payload.instant(raw.get("starts_at"), "starts_at") or 0,
        status == "firing",
        payload.instant(raw.get("ends_at"), "ends_at"),
        labels,
        annotations,
        service,
        source=Source.WEBHOOK,
    )


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"'{name}' must be a string, not {type(value).__name__}")  # noqa: TRY004 - all faults are one kind
    return plain(value[: payload.MAX_VALUE])
