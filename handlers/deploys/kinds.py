"""The ``deploys:`` section of captain.yml, and what a deploy is told as."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bot.config import nearest
from bot.yaml_lines import Place
from handlers.catalogue import Service

NOTHING = "none"
"""``after_deploy`` of a service after whose deploys nothing is checked."""
MOST_NAMESPACES = 30
"""Namespaces that one process watches: each costs it a thread and a connection for each kind."""


class Status(StrEnum):
    """Where a deploy stands."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REPLACED = "replaced"  # a newer one of the same workload began before this one was done


FINAL = (Status.SUCCEEDED, Status.FAILED, Status.REPLACED)


class Workload(StrEnum):
    """The kinds that are watched, as their URLs have them."""

    DEPLOYMENTS = "deployments"
    STATEFULSETS = "statefulsets"
    DAEMONSETS = "daemonsets"


class Watch(BaseModel):
    """``deploys.watch``: whose rollouts are heard of from Kubernetes itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespaces: tuple[str, ...] = Field(min_length=1, max_length=MOST_NAMESPACES)
    kinds: tuple[Workload, ...] = Field(tuple(Workload), min_length=1)

    @field_validator("namespaces", "kinds")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))


class DeploySettings(BaseModel):
    """The ``deploys:`` section of captain.yml: who tells of deploys, and what follows them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook_secret: SecretStr | None = Field(
        None, description="bearer token of whoever tells of deploys, and the secret GitHub signs its webhooks with"
    )
    watch: Watch | None = Field(
        None, description="namespaces whose rollouts are watched; needs the kubernetes: section"
    )
    environments: Mapping[str, str] = Field(
        default_factory=dict, description="namespace → environment, where the two are not called the same"
    )
    repositories: Mapping[str, str] = Field(
        default_factory=dict, description="GitHub's OWNER/NAME → service, where the two are not called the same"
    )
    workflows: tuple[str, ...] = Field(
        ("deploy",), description="names of the GitHub workflows whose runs are deploys; others are not heard"
    )
    runbook: str = Field("", description="what is checked after a deploy of a service that names no runbook itself")
    checks_after: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="seconds from the end of a deploy to its checks, so that the metrics are those of the new version",
    )

    @field_validator("workflows")
    @classmethod
    def _small(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one.strip().lower() for one in value)

    def environment(self, namespace: str) -> str:
        """The environment that a namespace is."""
        return self.environments.get(namespace, namespace)


@dataclass(frozen=True)
class Told:
    """One telling of one deploy.

    ``key``: what it is called by whoever tells it, the same in each of its statuses. ``origin``: who tells it, such that
    one of them tells of one deploy under one key only. ``at``: UNIX s of the status. ``before``: the version it replaces,
    where the teller knows.
    """

    key: str
    origin: str
    source: str
    service: str
    environment: str
    status: str
    at: float
    version: str
    image: str = ""
    revision: str = ""
    before: str = ""
    by: str = ""
    url: str = ""
    why: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def after_deploy(settings: DeploySettings, service: Service) -> str:
    """The name of the runbook that follows a service's deploys; empty for none."""
    name = service.after_deploy or service.runbook or settings.runbook
    return "" if name == NOTHING else name


def workloads(services: Mapping[str, Service]) -> dict[str, str]:
    """Which service a workload belongs to, by the workload's name; that of the service itself unless it names others."""
    return {name: service for service, one in services.items() for name in (one.workloads or (service,))}


def misfits(
    made: DeploySettings, services: Mapping[str, Service], runbooks: Collection[str], *, cluster: bool
) -> Iterator[tuple[Place, str]]:
    """Mistakes that the section alone cannot see: (place, sentence). ``cluster``: whether there is a Kubernetes to watch."""
    if made.watch is not None and not cluster:
        yield ("deploys", "watch"), "is set, but there is no kubernetes: section: nothing can be watched"
    if made.runbook and made.runbook not in runbooks:
        yield ("deploys", "runbook"), f"there is no runbook '{made.runbook}'.{nearest(made.runbook, list(runbooks))}"
    for repository, called in made.repositories.items():
        if called not in services:
            why = f"'{called}' is not a service.{nearest(called, list(services))}"
            yield ("deploys", "repositories", repository), why
    owner: dict[str, str] = {}
    for name, service in services.items():
        wanted = service.after_deploy
        if wanted and wanted != NOTHING and wanted not in runbooks:
            why = f"there is no runbook '{wanted}'.{nearest(wanted, [*runbooks, NOTHING])}"
            yield ("services", name, "after_deploy"), why
        for one in service.workloads or (name,):
            first = owner.setdefault(one, name)
            if first != name:
                yield ("services", name, "workloads"), f"the workload '{one}' belongs to {first} already"
