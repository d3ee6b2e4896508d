"""The rules of watchdogs as pure functions: which alerts are one, and what time counts as silence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bot.config import nearest
from bot.yaml_lines import Place
from handlers.catalogue import Service, Watchdog

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
EVERY = 60.0
"""Seconds between two looks."""


def matching(watchdogs: Mapping[str, Watchdog], labels: Mapping[str, str]) -> list[str]:
    """The names of the watchdogs that an alert with these labels is; one without extra labels takes any."""
    name = labels.get("alertname")
    return [key for key, one in watchdogs.items() if one.alertname == name and one.labels.items() <= labels.items()]


def unheard(looked_at: float, now: float) -> float:
    """Seconds before ``now`` in which nobody could have heard: what is longer than one look to the next.

    We were down, frozen or without a database, or the clock was set forward. A late look is no such time.
    """
    beyond = now - looked_at - EVERY
    return beyond if beyond > EVERY / 2 else 0.0


def key_of(name: str) -> str:
    """The key of a watchdog's incident: at most one is open. Alerts' keys have two slashes, so none is the same."""
    return f"watchdog/{name}"


def misfits(
    watchdogs: Mapping[str, Watchdog], services: Mapping[str, Service], *, heard: bool, pages: bool
) -> Iterator[tuple[Place, str]]:
    """Watchdogs that could not do what they are for: (place, sentence).

    ``heard``: whether any alert can arrive. ``pages``: whether there is a pager.
    """
    if watchdogs and not heard:
        yield (
            ("watchdogs",),
            "are set, but there is no alertmanager: section (nor grafana: or webhooks:): no watchdog could ever arrive",
        )
    for name, watchdog in watchdogs.items():
        service = services.get(watchdog.service)
        if not NAME.fullmatch(name):
            yield ("watchdogs", name), "must be named with at most 63 letters, digits, '-', '_' and '.'"
        if service is None:
            why = f"'{watchdog.service}' is not a service.{nearest(watchdog.service, list(services))}"
            yield ("watchdogs", name, "service"), why
        elif watchdog.severity.pages and pages and service.pagerduty is None:
            why = f"services.{watchdog.service}.pagerduty is not set: the watchdog's silence would page nobody"
            yield ("watchdogs", name, "service"), why
