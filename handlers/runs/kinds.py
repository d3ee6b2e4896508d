"""What a run of a runbook is, and why it was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from handlers.catalogue import Service


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
    it belongs to; a run for an incident is shown where the incident lives, whatever ``channel`` says.
    ``asker``: the Slack id of who asked. ``only``: names of checks and tags, to look at no others.
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
    schedule: str = ""
    asker: str = ""
    only: Sequence[str] = ()


def of_incident(services: Mapping[str, Service], row: Any, *, by: str = "", asker: str = "") -> Wanted:
    """The run of an incident's service; ``by``, ``asker``: the name and Slack id of who asks for it, or nobody."""
    trigger, name = (Trigger.PERSON, by) if by else (Trigger.INCIDENT, f"INC-{row.number}")
    runbook = services[row.service].runbook
    return Wanted(runbook, trigger, name, {}, row.service, row.environment, incident=row.number, asker=asker)
