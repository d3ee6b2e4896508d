"""The ``runbooks:`` section of captain.yml: where runbooks are, how they run, and which the clock asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bot.config import nearest
from bot.yaml_lines import Place
from handlers.catalogue import Service
from handlers.runs import cron, picked
from runbooks import Runbook
from runbooks.book import misfit


def _texts(value: object) -> object:
    """Parameters as texts, written as YAML writes them."""
    if not isinstance(value, Mapping):
        return value
    return {name: str(one).lower() if isinstance(one, bool) else str(one) for name, one in value.items()}


def defaults(value: object) -> object:
    """``runbooks.parameters`` as written, with texts for values: runbook to parameter to value."""
    return {name: _texts(given) for name, given in value.items()} if isinstance(value, Mapping) else value


class Schedule(BaseModel):
    """One row of ``runbooks.schedules``: a runbook that the clock asks for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runbook: str = Field(description="its name")
    cron: str = Field(description="minute, hour, day of the month, month, day of the week; UTC")
    service: str = Field("", description="the service it looks at, whose channel hears of it")
    environment: str = Field("", description="without it, the service's")
    parameters: Mapping[str, str] = Field(default_factory=dict)
    only: tuple[str, ...] = Field((), description="checks and tags, to look at no others")
    channel: str = Field("", pattern=r"^(#[^\s#]{1,80}|[CG][A-Z0-9]{2,})?$", description="instead of the service's")
    only_failures: bool = Field(default=True, description="whether a run that passes is said nowhere")

    @field_validator("cron")
    @classmethod
    def _cron(cls, value: str) -> str:
        cron.parse(value)
        return value

    @field_validator("parameters", mode="before")
    @classmethod
    def _values(cls, value: object) -> object:
        return _texts(value)


class RunbookSettings(BaseModel):
    """The ``runbooks:`` section of captain.yml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str = Field("", description="a folder of runbooks beside the shipped ones")
    parallel: int = Field(4, ge=1, le=100, description="checks of a run that look at the same time")
    deadline: float = Field(300.0, gt=0, le=3600, description="seconds a run may take; an incident's: checks_deadline")
    allow_addresses: tuple[str, ...] = Field(
        (), description="link-local or metadata addresses, or networks, that checks may ask all the same"
    )
    parameters: Mapping[str, Mapping[str, str]] = Field(
        default_factory=dict, description="runbook to parameter to value, over the defaults of its own file"
    )
    keep_days: float = Field(30.0, ge=1, le=3650, description="how long runs and their outcomes are kept")
    schedules: Mapping[str, Schedule] = Field(default_factory=dict)

    @field_validator("parameters", mode="before")
    @classmethod
    def _defaults(cls, value: object) -> object:
        return defaults(value)

    @field_validator("allow_addresses")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            try:
                ip_network(one)
            except ValueError as e:
                raise ValueError(f"'{one}' must be an address or a network such as 169.254.20.10 or 10.0.0.0/8") from e
        return value

    @property
    def allowed(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """``allow_addresses`` as networks."""
        return tuple(ip_network(one) for one in self.allow_addresses)


def misfits(
    made: RunbookSettings, services: Mapping[str, Service], runbooks: Mapping[str, Runbook]
) -> Iterator[tuple[Place, str]]:
    """Mistakes in ``runbooks:`` that its model cannot see: (place, sentence)."""
    for name, one in made.schedules.items():
        place: Place = ("runbooks", "schedules", name)
        if one.service and one.service not in services:
            yield (*place, "service"), f"'{one.service}' is not a service.{nearest(one.service, list(services))}"
        if not one.channel and not one.service:
            yield place, "has neither a service nor a channel, so nobody would hear of a failure; name one"
        runbook = runbooks.get(one.runbook)
        if runbook is None:
            yield (*place, "runbook"), f"there is no runbook '{one.runbook}'.{nearest(one.runbook, list(runbooks))}"
            continue
        known = services.get(one.service)
        environment = one.environment or (known.environment if known else "")
        given = {**picked.of_service(runbook, one.service, environment), **one.parameters}
        for why in picked.faults(runbook, given):
            yield (*place, "parameters"), why
        for why in picked.unknown(runbook, one.only):
            yield (*place, "only"), why


def with_parameters(found: dict[str, Runbook], given: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[Place, str]]:
    """Give the runbooks in ``found`` the defaults that captain.yml has for them: (place, sentence) for what fits nowhere."""
    for name, values in given.items():
        place: Place = ("runbooks", "parameters", name)
        runbook = found.get(name)
        if runbook is None:
            yield place, f"there is no runbook '{name}'.{nearest(name, list(found))}"
            continue
        for parameter, value in values.items():
            if parameter not in runbook.declared:
                near = nearest(parameter, list(runbook.declared))
                yield (*place, parameter), f"the runbook {name} has no parameter '{parameter}'.{near}"
            elif why := misfit(runbook.declared[parameter], value):
                yield (*place, parameter), why
        declared = {key: replace(one, default=values.get(key, one.default)) for key, one in runbook.declared.items()}
        found[name] = replace(
            runbook, declared=declared, parameters={key: one.default for key, one in declared.items()}
        )
