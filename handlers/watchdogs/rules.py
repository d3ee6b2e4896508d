"""The rules of watchdogs as pure functions: which alerts are one, and what time counts as silence."""

from __future__ import annotations

from collections.abc import Mapping

from handlers.catalogue import Watchdog

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
