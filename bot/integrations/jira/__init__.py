"""Jira: what can be asked of the ticket system, by whom, and with which settings. Cloud and Data Center."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr


@dataclass(frozen=True)
class Ticket:
    """A ticket to create. ``key_label`` is ours: a label without spaces by which the ticket is found again.

    ``by``: monotonic s after which the call must not leave any more (see ``Task.acting``); None: any time.
    """

    project: str
    key_label: str
    summary: str  # at most 255 characters, no newline
    description: str
    issue_type: str = "Task"
    priority: str = ""
    labels: Sequence[str] = ()
    by: float | None = None


@dataclass(frozen=True)
class TicketRef:
    """A ticket that exists. ``status_category``: new, indeterminate or done (Jira's own keys)."""

    key: str
    url: str
    status: str = ""
    status_category: str = ""


class Tracker(Protocol):
    """What the bot asks of Jira. Every call has a hard timeout and raises Retry or GiveUp, never an SDK error."""

    def find(self, project: str, key_label: str) -> TicketRef | None:
        """The ticket that carries our label; None when search knows none. Jira Cloud's search is some seconds late."""
        ...

    def create(self, ask: Ticket) -> TicketRef: ...

    def get(self, key: str) -> TicketRef | None: ...

    def move(self, key: str, category: str) -> TicketRef:
        """Transition to a status of that category (``done``, ``indeterminate``, ``new``); a no-op if it is there already."""
        ...

    def comment(self, key: str, text: str) -> None: ...

    def commented(self, key: str, mark: str) -> bool:
        """True when a comment of the ticket contains ``mark``: one that was sent and whose answer was lost."""
        ...

    def ping(self) -> str:
        """One cheap call that proves the credentials work; returns the user's display name."""
        ...


class JiraSettings(BaseModel):
    """The ``jira:`` section of captain.yml. Cloud: email + api_token. Data Center: personal_token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    email: str = ""
    api_token: SecretStr | None = None
    personal_token: SecretStr | None = None
    webhook_secret: SecretStr | None = Field(None, description="signs webhooks to /webhooks/jira")
    timeout: float = Field(8.0, gt=0, le=60, description="seconds a call may take")
