"""PagerDuty: what can be asked of the pager, by whom, and with which settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr


@dataclass(frozen=True)
class Trigger:
    """A page. ``dedup_key`` makes sending it twice harmless: PagerDuty keeps one open incident per key."""

    routing_key: str
    dedup_key: str
    summary: str  # at most 1,024 characters
    source: str
    severity: Literal["critical", "error", "warning", "info"]
    component: str = ""
    group: str = ""
    links: Sequence[tuple[str, str]] = ()  # (address, text)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PageRef:
    """Which page an acknowledge or a resolve is for."""

    routing_key: str
    dedup_key: str


@dataclass(frozen=True)
class Accepted:
    """PagerDuty took the event; only now may anyone say "paged"."""

    dedup_key: str
    message: str


@dataclass(frozen=True)
class Page:
    """A PagerDuty incident as its REST API tells it. ``status``: triggered, acknowledged or resolved.

    ``changed_at``: UNIX s of the last change of status; ``changed_by``: the person who made it, empty when an event did.
    """

    id: str
    number: int
    status: str
    title: str
    dedup_key: str
    html_url: str
    assignees: tuple[str, ...] = ()
    changed_at: float = 0.0
    changed_by: str = ""
    policy_id: str = ""
    assignee_ids: tuple[str, ...] = ()
    responder_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class User:
    """Somebody PagerDuty knows."""

    id: str
    name: str
    email: str


@dataclass(frozen=True)
class OnCall:
    """One turn of one person at a level of an escalation policy. ``since``, ``until``: UNIX s; 0 for always."""

    name: str
    level: int
    policy: str = ""
    policy_id: str = ""
    user_id: str = ""
    schedule: str = ""
    since: float = 0.0
    until: float = 0.0


@dataclass(frozen=True)
class Paged:
    """A service of PagerDuty's and the escalation policy its pages follow. ``keys``: its Events API v2 routing keys."""

    id: str
    name: str
    policy_id: str
    policy: str
    html_url: str = ""
    keys: tuple[str, ...] = ()


class Pager(Protocol):
    """What the bot asks of PagerDuty. Every call has a hard timeout and raises Retry or GiveUp, never an SDK error."""

    def trigger(self, ask: Trigger) -> Accepted: ...

    def acknowledge(self, ask: PageRef) -> Accepted: ...

    def resolve(self, ask: PageRef) -> Accepted: ...

    def find(self, dedup_key: str) -> Page | None:
        """The newest incident of that key by REST; None when there is none. Needs ``api_token``."""
        ...

    @property
    def reads(self) -> bool:
        """True with an ``api_token``: without one only events can be sent."""
        ...

    def note(self, incident_id: str, text: str, *, sender: str = "") -> None:
        """Write one note. ``sender``: address of the PagerDuty user who writes it; ``from_email`` without it."""
        ...

    def notes(self, incident_id: str) -> Sequence[str]:
        """The text of every note of an incident."""
        ...

    def users(self, who: str) -> Sequence[User]:
        """Who has that e-mail address; else everybody, up to 100, in whose name or address it is."""
        ...

    def sender(self, email: str) -> User:
        """In whose name something is asked: who has that address, else who has ``from_email``. Raises GiveUp."""
        ...

    def levels(self, policy_id: str) -> int:
        """How many levels an escalation policy has."""
        ...

    def escalate(self, incident_id: str, level: int, *, sender: str) -> None:
        """Give the incident to who is on call at a level: they are called, and somebody has to acknowledge anew."""
        ...

    def request_responder(self, incident_id: str, user: User, message: str, *, sender: User) -> None:
        """Ask somebody to join. Not idempotent: ``Page.responder_ids`` says who was asked before."""
        ...

    def services(self, *, keys: Collection[str] = (), ids: Collection[str] = ()) -> Sequence[Paged]:
        """The services with these routing keys or ids; one that PagerDuty does not know is not among them."""
        ...

    def on_calls(self, policy_ids: Sequence[str] = (), *, since: float = 0.0, until: float = 0.0) -> Sequence[OnCall]:
        """Every turn that touches ``since`` to ``until`` (UNIX s); without them, who is on call now."""
        ...

    def ping(self) -> str:
        """One cheap REST call that proves the token works; returns the account's first service or user name."""
        ...


class PagerDutySettings(BaseModel):
    """The ``pagerduty:`` section of captain.yml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events_url: str = Field("https://events.pagerduty.com", description="Events API v2, without /v2/enqueue")
    rest_url: str = "https://api.pagerduty.com"
    api_token: SecretStr | None = Field(None, description="REST API v2 token; without it notes and on-call are off")
    from_email: str = Field("", description="the From header REST writes need: a PagerDuty user's address")
    webhook_secret: SecretStr | None = Field(None, description="signs v3 webhooks to /webhooks/pagerduty")
    timeout: float = Field(5.0, gt=0, le=60, description="seconds a call may take")
