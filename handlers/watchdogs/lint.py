"""Mistakes in ``watchdogs:`` that the section alone cannot see."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bot.config import nearest
from handlers.catalogue import Service, Watchdog

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def misfits(
    watchdogs: Mapping[str, Watchdog], services: Mapping[str, Service], *, alerts: bool, pager: bool
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(place, sentence) for each watchdog that could not do what it is for. ``alerts``, ``pager``: alertmanager: and pagerduty: are there."""
    if watchdogs and not alerts:
        yield ("watchdogs",), "are set, but there is no alertmanager: section: no watchdog could ever arrive"
    for name, watchdog in watchdogs.items():
        service = services.get(watchdog.service)
        if not NAME.fullmatch(name):
            yield ("watchdogs", name), "must be named with at most 63 letters, digits, '-', '_' and '.'"
        if service is None:
            why = f"'{watchdog.service}' is not a service.{nearest(watchdog.service, list(services))}"
            yield ("watchdogs", name, "service"), why
        elif watchdog.severity.pages and pager and service.pagerduty is None:
            why = f"services.{watchdog.service}.pagerduty is not set: the watchdog's silence would page nobody"
            yield ("watchdogs", name, "service"), why
