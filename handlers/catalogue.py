"""The service catalogue and the incident policy: the operator's sections of captain.yml."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from bot.config import nearest
from bot.yaml_lines import Place
from handlers.incidents import grouping
from handlers.incidents.rules import Reminder, Severity

ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}")


def _emoji(name: str) -> str:
    """An emoji's name as Slack's events have it: without colons and skin tone."""
    bare = name.strip().strip(":").partition("::")[0]
    if not re.fullmatch(r"[a-z0-9_+'-]{1,100}", bare):
        raise ValueError(f"'{name[:40]}' must be an emoji's name such as pushpin, as Slack shows it between colons")
    return bare


class Service(BaseModel):
    """One row of the service catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: str = Field(description="where its incidents live: a channel id (C…, safest) or #name")
    environment: str = "prod"
    pagerduty: SecretStr | None = Field(None, description="Events v2 routing key; without it nobody is paged")
    pagerduty_service: str = Field(
        "", pattern=r"^([A-Z0-9]{4,20})?$", description="PagerDuty's id of the service; without it found by routing key"
    )
    jira: str = Field("", description="project key; without it no ticket is made")
    runbook: str = Field("", description="name of the runbook whose checks run when an incident opens")
    after_deploy: str = Field("", description="the runbook that follows its deploys, instead of runbook; none for none")
    workloads: tuple[str, ...] = Field(
        (), description="what it is called in Kubernetes, where that is not its own name"
    )
    dashboard: str = ""
    owners: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = Field((), description="services whose open incident holds this one's alerts")
    group_by: str = Field("", description="which of its alerts are one incident, instead of incidents.group_by")

    @field_validator("channel")
    @classmethod
    def _channel(cls, value: str) -> str:
        return _a_channel(value)

    @field_validator("pagerduty")
    @classmethod
    def _routing_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not ROUTING_KEY.fullmatch(value.get_secret_value()):
            raise ValueError("must be an Events API v2 routing key: 32 letters and digits")
        return value

    @field_validator("group_by")
    @classmethod
    def _group_by(cls, value: str) -> str:
        return _a_template(value) if value else value

    @field_validator("jira")
    @classmethod
    def _project(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Z][A-Z0-9_]{1,9}", value):
            raise ValueError("must be a Jira project key such as OPS")
        return value


class Watchdog(BaseModel):
    """One row of ``watchdogs:``: an alert that always fires, and who is paged when it no longer arrives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str = Field(description="the service whose on-call is paged")
    alertname: str = Field("Watchdog", min_length=1)
    labels: Mapping[str, str] = Field(default_factory=dict, description="labels it carries, where several send one")
    within: float = Field(
        600.0,
        ge=60,
        description="seconds of silence that page somebody; at least twice the repeat_interval of its route, "
        "or one late delivery wakes a person",
    )
    severity: Severity = Severity.SEV1


ROLES: Mapping[str, str] = {
    "lead": "you decide and say who does what; you need not fix it yourself.",
    "communications": "you tell everybody outside this thread what is known, so that nobody asks in it.",
    "scribe": "you write down what is seen, tried and decided, with its time.",
}


class Remind(BaseModel):
    """``incidents.remind``: seconds until a thread is reminded, each followed by twice as many; 0 switches one off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    acknowledge: float = Field(300.0, ge=0, description="seconds in which nobody has taken it")
    update: float = Field(1800.0, ge=0, description="seconds without news from people while it is open")
    close: float = Field(86400.0, ge=0, description="seconds after its end in which it was not closed")

    def after(self, what: Reminder) -> float:
        """Seconds until the first reminder of a kind; 0 for none."""
        return {Reminder.ACKNOWLEDGE: self.acknowledge, Reminder.UPDATE: self.update, Reminder.CLOSE: self.close}[what]


class Storm(BaseModel):
    """``incidents.storm``: from when on new incidents are folded into one umbrella incident; ``keys: 0`` folds none.

    Twenty in a minute: nobody can read twenty pages in a minute, and twenty messages are what one Slack channel takes in
    twenty seconds; a release that breaks its own service opens a handful. Ten minutes: Alertmanager tells of a group again
    after ``group_interval`` (5 min as shipped), and its second wave belongs to the same storm.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: int = Field(20, ge=0, le=1000, description="incidents that alerts may open before it is a storm; 0 is never")
    within: float = Field(60.0, gt=0, le=3600, description="seconds in which they open")
    calm: float = Field(
        600.0,
        ge=0,
        le=86400,
        description="seconds after the last that was folded in which more are; longer than Alertmanager's group_interval",
    )


class Policy(BaseModel):
    """The ``incidents:`` section of captain.yml: how alerts become incidents."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service_label: str = Field("service", description="the alert label that names a service of the catalogue")
    environment_label: str = Field("env", description="the alert label that names the environment, if there is one")
    fallback_service: str = Field("", description="service that takes alerts of unknown services; empty refuses them")
    group_by: str = Field(
        grouping.DEFAULT,
        description="which alerts of an environment are one incident: parts of stable labels with '/' between them",
    )
    severities: Mapping[str, Severity] = Field(
        default={
            "critical": Severity.SEV1,
            "page": Severity.SEV2,
            "error": Severity.SEV2,
            "ticket": Severity.SEV3,
            "warning": Severity.SEV3,
            "info": Severity.SEV3,
            "none": Severity.SEV3,
        },
        description="alert severity label → ours; a label that is not here pages, to be safe",
    )
    no_data: Severity | None = Field(
        None,
        description="severity of alerts that say that something cannot be measured; without it that of their label",
    )
    panel_pause: float = Field(0.7, ge=0, le=10, description="seconds in which changes of the panel are gathered")
    roles: Mapping[str, str] = Field(
        default=ROLES, description="role → one line that says what its bearer does, posted when somebody gets it"
    )
    postmortem: Sequence[Severity] = Field(
        default=(Severity.SEV1, Severity.SEV2),
        description="severities whose end puts a post-mortem draft into the thread; an empty list is never",
    )
    channel_for: Sequence[Severity] = Field(
        default=(),
        description="severities whose incidents get a Slack channel of their own; `incident channel` makes one",
    )
    remind: Remind = Remind()
    digest: str = Field("", description="channel with one line for each open incident: an id (C…, safest) or #name")
    digest_severities: Sequence[Severity] = Field(
        default=tuple(Severity), description="severities that have a line in the digest"
    )
    reopen_within: float = Field(
        1800.0,
        ge=0,
        le=7 * 86400,
        description="seconds after its end in which the same alert reopens an incident; 0 makes a new one every time",
    )
    storm: Storm = Storm()
    looks_apart: float = Field(
        120.0,
        ge=0,
        description="seconds between two looks at the outside services that must agree before anybody is asked",
    )
    missed_after: float = Field(
        300.0, ge=0, description="seconds an alert fires in Alertmanager before it is taken in without its webhook"
    )
    escalate_after: float = Field(
        0.0,
        ge=0,
        le=86400,
        description="seconds a page waits to be acknowledged before I escalate it, and again at the next level; "
        "0 leaves that to PagerDuty's policy",
    )
    checks_deadline: float = Field(60.0, gt=0, le=900, description="seconds an incident's checks may take")
    mark_emoji: str = Field(
        "pushpin",
        description="emoji by which people put a message into an incident's timeline; empty leaves it to pins",
    )
    declare_emoji: Mapping[str, Severity] = Field(
        default_factory=dict, description="emoji → severity: it opens an incident from a message; one alone means sev2"
    )

    @field_validator("group_by")
    @classmethod
    def _group_by(cls, value: str) -> str:
        return _a_template(value)

    @field_validator("mark_emoji")
    @classmethod
    def _mark_emoji(cls, value: str) -> str:
        return _emoji(value) if value else ""

    @field_validator("declare_emoji", mode="before")
    @classmethod
    def _one_emoji(cls, value: object) -> object:
        return {value: Severity.SEV2} if isinstance(value, str) and value else value or {}

    @field_validator("declare_emoji")
    @classmethod
    def _declare_emoji(cls, value: Mapping[str, Severity], info: ValidationInfo) -> Mapping[str, Severity]:
        made = {_emoji(name): severity for name, severity in value.items()}
        if info.data.get("mark_emoji") in made:
            raise ValueError("must be another emoji than mark_emoji, or every mark would open an incident")
        return made

    @field_validator("roles")
    @classmethod
    def _roles(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for name, said in value.items():
            if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
                raise ValueError(f"'{name}' must be a word of small letters, such as lead")
            if not said.strip() or "\n" in said.strip() or len(said) > 300:
                raise ValueError(f"what '{name}' does must be one line of at most 300 characters")
        return value

    @field_validator("digest")
    @classmethod
    def _digest(cls, value: str) -> str:
        return _a_channel(value) if value else value


def grouped(policy: Policy, services: Mapping[str, Service], name: str) -> str:
    """The template by which a service's alerts become incidents."""
    return services[name].group_by or policy.group_by


def misfits(
    policy: Policy, services: Mapping[str, Service], runbooks: Collection[str], *, pager: bool, tracker: bool
) -> Iterator[tuple[Place, str]]:
    """What is set of services and does not fit the rest: (place, sentence). ``pager``, ``tracker``: whether there is one."""
    fallback = policy.fallback_service
    if fallback and fallback not in services:
        yield ("incidents", "fallback_service"), f"'{fallback}' is not a service.{nearest(fallback, list(services))}"
    for name, service in services.items():
        if service.runbook and service.runbook not in runbooks:
            why = f"there is no runbook '{service.runbook}'.{nearest(service.runbook, list(runbooks))}"
            yield ("services", name, "runbook"), why
        if service.pagerduty is not None and not pager:
            yield ("services", name, "pagerduty"), "is set, but there is no pagerduty: section: nobody would be paged"
        if service.jira and not tracker:
            yield ("services", name, "jira"), "is set, but there is no jira: section: no ticket would be made"
    yield from _templates(policy, services)


def _templates(policy: Policy, services: Mapping[str, Service]) -> Iterator[tuple[Place, str]]:
    """Templates that would put together what does not belong together, or tear apart what does."""
    constant = {policy.service_label, policy.environment_label}
    found: list[tuple[Place, str]] = [(("incidents", "group_by"), policy.group_by)]
    found += [(("services", name, "group_by"), one.group_by) for name, one in services.items() if one.group_by]
    for place, template in found:
        for why in grouping.faults(template, constant=constant):
            yield place, why


def _a_template(value: str) -> str:
    grouping.parse(value)
    return value


def _a_channel(value: str) -> str:
    if not re.fullmatch(r"#[^\s#]{1,80}|[CG][A-Z0-9]{2,}", value):
        raise ValueError("must be a channel id such as C012AB3CD or a name such as #docs-api")
    return value
