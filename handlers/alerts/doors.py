"""Who may send alerts: the section of captain.yml that names the sender's secret, and the reader of what it sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from handlers.alerts import generic, grafana, payload
from handlers.alerts.payload import Body, Source


@dataclass(frozen=True)
class Door:
    """One sender. ``section``: where its secret stands; ``read(body, services, policy, watchdogs)`` reads a body."""

    section: str
    read: Callable[..., Body]


DOORS: Mapping[Source, Door] = {
    Source.ALERTMANAGER: Door("alertmanager", payload.read),
    Source.GRAFANA: Door("grafana", grafana.read),
    Source.WEBHOOK: Door("webhooks", generic.read),
}
