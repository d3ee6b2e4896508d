"""What a run of a runbook is, and why it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Trigger(StrEnum):
    """Who or what asked for a run."""

    PERSON = "person"
    INCIDENT = "incident"
    DEPLOY = "deploy"
    SCHEDULE = "schedule"


@dataclass(frozen=True)
class Wanted:
    """A run that somebody wants.

    ``channel``: where its progress is shown (a channel id or #name; empty shows it nowhere), in the thread of the message
    ``thread`` (its ts) if there is one. ``incident`` and ``deploy``: the number of the incident and the id of the deploy
    it belongs to.
    """

    runbook: str
    trigger: Trigger
    asked_by: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    service: str = ""
    environment: str = ""
    channel: str = ""
    thread: str = ""
    incident: int | None = None
    deploy: str = ""
