"""Jira: what can be asked of the ticket system, by whom, and with which settings. Cloud and Data Center."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

PLACES = ("number", "title", "severity", "service", "environment", "opened_by")
"""What a template of ``jira.fields`` may name in braces."""
PLACE = re.compile(r"\{([^{}\s]*)\}")
Step = Literal["acknowledged", "mitigated", "resolved", "reopened"]
Rank = Literal["sev1", "sev2", "sev3"]


@dataclass(frozen=True)
class Ticket:
    """A ticket to create. ``key_label`` is ours: a label without spaces by which the ticket is found again.

    ``priority``: a name, or the id where ``priority_id`` is set. ``security``: id or name of its security level.
    ``fields``: field id or name → value, beside the usual ones; shaped as the create screen wants it.
    ``by``: monotonic s after which the call must not leave any more (see ``Task.acting``); None: any time.
    """

    project: str
    key_label: str
    summary: str  # at most 255 characters, no newline
    description: str
    issue_type: str = "Task"
    priority: str = ""
    priority_id: str = ""
    labels: Sequence[str] = ()
    components: Sequence[str] = ()
    security: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    by: float | None = None


@dataclass(frozen=True)
class TicketRef:
    """A ticket that exists. ``status_category``: new, indeterminate or done (Jira's own keys).

    ``id`` stays the same when the ticket moves to another project, ``key`` does not. ``security``: id and name of its
    security level, or nothing. ``passed``: ids of the statuses that this very call took it to.
    """

    key: str
    url: str
    status: str = ""
    status_category: str = ""
    id: str = ""
    status_id: str = ""
    summary: str = ""
    priority_id: str = ""
    security: Sequence[str] = ()
    passed: Sequence[str] = field(default=(), compare=False)


@dataclass(frozen=True)
class Goal:
    """Where a ticket is to be moved.

    ``ids``: status ids that will do, the best first; without them any status of ``category`` does. ``through``: the
    statuses that may be passed on the way to one of ``ids``. ``resolution``: id or name to end it with. ``wakes``: one
    that is in a done status is moved, too; without it what people ended stays ended.
    """

    category: str
    ids: Sequence[str] = ()
    through: Sequence[str] = ()
    resolution: str = ""
    wakes: bool = True


@dataclass(frozen=True)
class Link:
    """A link on a ticket to something elsewhere. ``name``: ours for it; linking the same name again replaces it."""

    name: str
    url: str
    title: str
    relation: str = "release captain"


@dataclass(frozen=True)
class Account:
    """A Jira user. ``id``: accountId in Cloud, user key in Data Center."""

    id: str
    name: str


@dataclass(frozen=True)
class Fit:
    """How the settings fit a project. ``problems``: what it does not know or wants, each as a sentence.

    ``statuses`` and ``priorities``: id → name of those there are.
    """

    problems: Sequence[str]
    statuses: Mapping[str, str] = field(default_factory=dict)
    priorities: Mapping[str, str] = field(default_factory=dict)


class Tracker(Protocol):
    """What the bot asks of Jira. Every call has a hard timeout and raises Retry or GiveUp, never an SDK error."""

    def find(self, project: str, key_label: str) -> TicketRef | None:
        """The ticket that carries our label; None when search knows none. Jira Cloud's search is some seconds late."""
        ...

    def create(self, ask: Ticket) -> TicketRef: ...

    def get(self, key: str) -> TicketRef | None:
        """The ticket of a key or an id as it is now; a key it had before it was moved finds it, too."""
        ...

    def move(self, key: str, goal: Goal | str) -> TicketRef:
        """Transition to the goal, or to a status of that category (``done``, ``indeterminate``, ``new``).

        A no-op if it is there already. Passes no done status on the way. Raises GiveUp with what the workflow offers.
        """
        ...

    def edit(self, key: str, *, summary: str = "", priority_id: str = "") -> None:
        """Set what is given."""
        ...

    def comment(self, key: str, text: str) -> None: ...

    def commented(self, key: str, mark: str) -> bool:
        """True when a comment of the ticket contains ``mark``: one that was sent and whose answer was lost."""
        ...

    def link(self, key: str, link: Link) -> None:
        """Put a link on the ticket, or replace the one of its name: asked twice, there is one."""
        ...

    def me(self) -> Account:
        """Whose token this is; asked once and then remembered."""
        ...

    def fit(self, project: str, rules: TicketRules) -> Fit:
        """How the settings fit a project."""
        ...

    def ping(self) -> str:
        """One cheap call that proves the credentials work; returns the user's display name."""
        ...


class TicketRules(BaseModel):
    """How tickets are made and moved: at the top of ``jira:`` for every project, under ``jira.projects`` for one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issue_type: str = Field("", description="name of the issue type; Task without it")
    labels: tuple[str, ...] = Field((), description="beside incident, the severity and our own")
    components: tuple[str, ...] = ()
    security_level: str = Field("", description="id or name of the security level of every ticket")
    fields: Mapping[str, Any] = Field(
        default_factory=dict, description="field id or name → value; {title}, {service}… are filled in"
    )
    priorities: Mapping[Rank, str] = Field(default_factory=dict, description="severity → id of a priority")
    statuses: Mapping[Step, tuple[str, ...]] = Field(
        default_factory=dict, description="where the incident stands → ids of statuses; the first is where it is moved"
    )
    through: tuple[str, ...] = Field((), description="ids of further statuses that may be passed on the way to those")
    resolution: str = Field("", description="id or name of the resolution a ticket is ended with")

    @field_validator("labels")
    @classmethod
    def _labels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for label in value:
            if not label or re.search(r"\s", label) or len(label) > 255:
                raise ValueError(f"'{label}' is no label: Jira takes no spaces in one, and 255 characters at most")
        return value

    @field_validator("priorities", mode="before")
    @classmethod
    def _priorities(cls, value: Any) -> Any:
        return {name: _id(one, "priority") for name, one in value.items()} if isinstance(value, Mapping) else value

    @field_validator("statuses", mode="before")
    @classmethod
    def _statuses(cls, value: Any) -> Any:
        return {name: _ids(one) for name, one in value.items()} if isinstance(value, Mapping) else value

    @field_validator("through", mode="before")
    @classmethod
    def _through(cls, value: Any) -> Any:
        return _ids(value)

    @field_validator("fields")
    @classmethod
    def _templates(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        for name, given in value.items():
            if name.lower() in OURS:
                raise ValueError(f"'{name}' is set by {OURS[name.lower()]}, not here")
            for place in places(given):
                if place not in PLACES:
                    raise ValueError(f"{{{place}}} in '{name}' is not known; there are {{{'}, {'.join(PLACES)}}}")
        return value


OURS: Mapping[str, str] = {
    "project": "services.NAME.jira",
    "issuetype": "jira.issue_type",
    "summary": "the incident's title",
    "description": "the incident",
    "labels": "jira.labels",
    "components": "jira.components",
    "priority": "jira.priorities",
    "security": "jira.security_level",
}
"""Fields that have a setting of their own."""


class JiraSettings(TicketRules):
    """The ``jira:`` section of captain.yml. Cloud: email + api_token. Data Center: personal_token."""

    url: str
    email: str = ""
    api_token: SecretStr | None = None
    personal_token: SecretStr | None = None
    webhook_secret: SecretStr | None = Field(
        None, description="signs webhooks to /webhooks/jira, or is in their address"
    )
    timeout: float = Field(8.0, gt=0, le=60, description="seconds a call may take")
    comments: bool = Field(
        True, description="whether the ticket hears who acknowledged, mitigated, resolved and reopened"
    )
    private_security_level: str = Field(
        "", description="security level of private incidents' tickets; without it they say nothing of what it is about"
    )
    projects: Mapping[str, TicketRules] = Field(default_factory=dict, description="what is different in one project")

    def rules(self, project: str) -> TicketRules:
        """What holds in a project: its own settings, over those of all."""
        own = self.projects.get(project, TicketRules())
        merged: dict[str, Any] = {}
        for name in TicketRules.model_fields:
            mine, common = getattr(own, name), getattr(self, name)
            merged[name] = {**common, **mine} if isinstance(common, Mapping) else mine or common
        return TicketRules.model_construct(**merged)


def places(given: Any) -> Sequence[str]:
    """The names in braces in a value of ``jira.fields``, however deep."""
    if isinstance(given, str):
        return PLACE.findall(given)
    inner = given.values() if isinstance(given, Mapping) else given if isinstance(given, list | tuple) else ()
    return [place for one in inner for place in places(one)]


def filled(given: Any, facts: Mapping[str, str]) -> Any:
    """A value of ``jira.fields`` with the names in braces replaced."""
    if isinstance(given, str):
        return PLACE.sub(lambda found: facts[found.group(1)], given)
    if isinstance(given, Mapping):
        return {name: filled(one, facts) for name, one in given.items()}
    return [filled(one, facts) for one in given] if isinstance(given, list | tuple) else given


def _id(given: Any, what: str) -> str:
    if isinstance(given, bool) or not re.fullmatch(r"\d{1,18}", str(given)):
        raise ValueError(f"{given!r} is no id of a {what}: it is a number, which `captain check --ask` lists")
    return str(given)


def _ids(given: Any) -> tuple[str, ...]:
    return tuple(_id(one, "status") for one in (given if isinstance(given, list | tuple) else [given]))
