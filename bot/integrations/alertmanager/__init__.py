"""Alertmanager: what can be asked of it, by whom, and with which settings. Its webhooks come in through `bot.web`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr


@dataclass(frozen=True)
class ActiveAlert:
    """An alert as ``/api/v2/alerts`` tells it. ``state``: active, suppressed or unprocessed; times RFC 3339.

    ``receivers``: the names of the receivers its routes lead to.
    """

    fingerprint: str
    labels: Mapping[str, str]
    starts_at: str
    state: str
    silenced_by: Sequence[str] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    ends_at: str = ""
    updated_at: str = ""
    receivers: Sequence[str] = ()


@dataclass(frozen=True)
class LabelMatcher:
    """One condition of a silence. ``equal`` False turns it round; an expression has to match the whole value."""

    name: str
    value: str
    regex: bool = False
    equal: bool = True


@dataclass(frozen=True)
class Silence:
    """A silence as ``/api/v2/silences`` tells it. ``state``: active, pending or expired. ``ends_at``: RFC 3339."""

    id: str
    state: str
    matchers: Sequence[LabelMatcher]
    ends_at: str
    created_by: str
    comment: str


@dataclass(frozen=True)
class SilenceAsk:
    """A silence that is to be, from now until ``until`` (UNIX s). ``id``: of the one whose end is to be changed.

    ``by``: monotonic s by which the call has to leave: after that another process may be doing the same.
    """

    matchers: Sequence[LabelMatcher]
    until: float
    created_by: str
    comment: str
    by: float
    id: str = ""


class Alerts(Protocol):
    """What the bot asks of Alertmanager. Every call has a hard timeout and raises Retry or GiveUp.

    ``receiver``: the name of our receiver there, or empty.
    """

    receiver: str

    def active(self) -> Sequence[ActiveAlert]: ...

    def silences(self) -> Sequence[Silence]:
        """Every silence it knows, those that have ended lately too."""
        ...

    def silence(self, ask: SilenceAsk) -> str:
        """Make a silence, or give one another end; its id. Asked twice it makes two: look before asking again."""
        ...

    def expire(self, silence: str) -> None:
        """End a silence now; one that has ended stays ended, and one that is not known is none."""
        ...

    def ping(self) -> str:
        """One cheap call that proves it answers; returns its version."""
        ...


class AlertmanagerSettings(BaseModel):
    """The ``alertmanager:`` section of captain.yml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = ""
    webhook_secret: SecretStr = Field(description="the bearer token Alertmanager sends to /webhooks/alertmanager")
    bearer_token: SecretStr | None = None
    receiver: str = Field(
        "", description="our receiver's name there: an alert that fires and whose webhook never came is then taken in"
    )
    timeout: float = Field(5.0, gt=0, le=60, description="seconds a call may take")
