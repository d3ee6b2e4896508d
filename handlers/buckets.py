"""Whose rate limit at a service an effect counts for: the names of the buckets that lanes keep a pace in."""

from __future__ import annotations

from handlers.desk import Desk

EDITS = "edit"
"""The bucket of edits: Slack counts them by the workspace."""

LOOKS = "look"
"""The bucket of looks at marked messages: when Slack asks for fewer of them, nothing else waits."""


def posts(desk: Desk, service: str) -> str:
    """The bucket of messages to a service's channel: Slack takes one a second in each."""
    known = desk.services.get(service)
    return f"post:{known.channel}" if known else ""


def events(service: str) -> str:
    """The bucket of a service's pages: PagerDuty counts events by routing key."""
    return f"events:{service}"
