"""The actions of captain.yml: what each changes, how that is undone, for how long it stands, and who has to agree."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bot.config import nearest
from bot.yaml_lines import Place
from handlers.access import Role
from handlers.flags.rules import seconds_of
from runbooks import Runbook
from runbooks.kind import Filling
from runbooks.parameters import references
from runbooks.secret_refs import is_reference, literal

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?")
"""Of an action: it is part of an annotation's name, which has 63 characters."""
DNS = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
PARAMETER = re.compile(r"[a-z][a-z0-9_]{0,39}")
LONGEST_VALUE = 200
"""Characters of a parameter's value."""
GIVEN = ("service", "environment")
"""What every action may refer to besides its own parameters."""
HOST_ENDS = re.compile(r"https?://[^/{}$\s]+/")
STEP = re.compile(r"\[([^\[\]]+)\]|([^.\[\]]+)")
PATH = re.compile(r"(?:[^.\[\]]+|\[[^\[\]]+\])(?:\.[^.\[\]]+|\[[^\[\]]+\])*")
CHANGEABLE = ("spec", "data")
METADATA = ("labels", "annotations")
METHODS = ("POST", "PUT", "PATCH", "DELETE")
RESTARTED_AT = "spec.template.metadata.annotations[kubectl.kubernetes.io/restartedAt]"
MOST_TIMEOUT = 120.0
INTERPRETERS = ("sh", "bash", "dash", "ash", "zsh", "ksh", "su", "python", "python3", "perl", "ruby", "node", "psql")
ANYWHERE = ("su", "psql")
"""Those of them whose options take words that stand between."""
CODE = re.compile(r"-[a-z]*[ce]|--command|--eval")
"""The option after which an interpreter takes a word as what to do."""
SECRET_NAME = re.compile(r"(?i)authorization|password|passwd|secret|token|cookie|api[-_]?key|private[-_]?key")


@dataclass(frozen=True)
class Kind:
    """One kind of object: its API version, its name in URLs, and its name in manifests."""

    api_version: str
    plural: str
    kind: str


KINDS: Mapping[str, Kind] = {
    "configmap": Kind("v1", "configmaps", "ConfigMap"),
    "service": Kind("v1", "services", "Service"),
    "deployment": Kind("apps/v1", "deployments", "Deployment"),
    "statefulset": Kind("apps/v1", "statefulsets", "StatefulSet"),
    "daemonset": Kind("apps/v1", "daemonsets", "DaemonSet"),
    "cronjob": Kind("batch/v1", "cronjobs", "CronJob"),
    "peerauthentication": Kind("security.istio.io/v1", "peerauthentications", "PeerAuthentication"),
    "authorizationpolicy": Kind("security.istio.io/v1", "authorizationpolicies", "AuthorizationPolicy"),
    "destinationrule": Kind("networking.istio.io/v1", "destinationrules", "DestinationRule"),
    "virtualservice": Kind("networking.istio.io/v1", "virtualservices", "VirtualService"),
}
"""What an action may change; another kind is its line here. Secrets are not among them: their values would be shown."""
SCALES = ("deployment", "statefulset")
ROLLS_OUT = ("deployment", "statefulset", "daemonset")

Value = bool | int | float | str


class Model(BaseModel):
    """Of captain.yml: nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def length(text: str) -> float:
    """Seconds of a duration such as 30m. Raises ValueError."""
    seconds = seconds_of(text)
    if not seconds:
        raise ValueError("must be a time such as 30m, 1h30m or 90s")
    return seconds


class Parameter(Model):
    """What may be given as ``name=value``. ``pattern``: a regular expression that the whole value matches."""

    default: str | None = Field(None, description="without it, it must be given")
    choices: tuple[str, ...] = ()
    pattern: str = ""
    about: str = Field("", description="what it means, for people")

    @field_validator("pattern")
    @classmethod
    def _pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as e:
            raise ValueError(f"is not a regular expression: {e}") from e
        return value

    @model_validator(mode="after")
    def _bounded(self) -> Parameter:
        if bool(self.choices) == bool(self.pattern):
            raise ValueError("needs choices: or pattern:, and one of them only: nothing free goes into a change")
        wrong = self.unfit(self.default) if self.default is not None else ""
        if wrong:
            raise ValueError(f"its default {wrong}")
        return self

    def unfit(self, value: str) -> str:
        """What is wrong with a value; empty when it may be used."""
        if self.choices:
            return "" if value in self.choices else f"must be one of {', '.join(self.choices)}"
        if len(value) > LONGEST_VALUE or not value.isprintable():
            return f"must be at most {LONGEST_VALUE} characters that can be printed"
        if value.startswith("-"):
            return "must not begin with -: a command would take it for an option"
        return "" if re.fullmatch(self.pattern, value) else f"must match {self.pattern}"


class Where(Model):
    """One object of the cluster. Its names may refer to parameters."""

    kind: str
    namespace: str
    name: str

    @field_validator("kind")
    @classmethod
    def _kind(cls, value: str) -> str:
        if value not in KINDS:
            raise ValueError(f"an action cannot change this kind.{nearest(value, list(KINDS))}")
        return value

    @field_validator("namespace", "name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not list(references(value, Filling.PLAIN)) and not DNS.fullmatch(value):
            raise ValueError("must be the name of a Kubernetes object: small letters, digits, - and .")
        return value


class Fields(Where):
    """Named fields of one object, and the value each gets: ``data[a.key]``, ``spec.suspend``, ``metadata.labels[x]``."""

    fields: Mapping[str, Value] = Field(min_length=1)

    @field_validator("fields")
    @classmethod
    def _paths(cls, value: Mapping[str, Value]) -> Mapping[str, Value]:
        for path in value:
            first, *rest = steps(path) if PATH.fullmatch(path) else [""]
            if (first not in CHANGEABLE and first != "metadata") or not rest:
                raise ValueError(f"'{path[:60]}' is no field of spec, data, metadata.labels or metadata.annotations")
            if first == "metadata" and (rest[0] not in METADATA or len(rest) != 2):
                raise ValueError(f"of metadata an action changes labels and annotations, not '{path[:60]}'")
        return value


class Scale(Where):
    """How many replicas a workload has."""

    replicas: int | str

    @field_validator("kind")
    @classmethod
    def _scales(cls, value: str) -> str:
        if value not in SCALES:
            raise ValueError(f"only {' and '.join(SCALES)} scale")
        return value

    @field_validator("replicas")
    @classmethod
    def _count(cls, value: int | str) -> int | str:
        if isinstance(value, str) and not list(references(value, Filling.PLAIN)) and not value.isdigit():
            raise ValueError("must be a whole number, or a parameter such as '{{ replicas }}'")
        return value


class Restart(Where):
    """A new rollout of a workload, as ``kubectl rollout restart`` begins one."""

    @field_validator("kind")
    @classmethod
    def _rolls_out(cls, value: str) -> str:
        if value not in ROLLS_OUT:
            raise ValueError(f"only {', '.join(ROLLS_OUT)} roll out")
        return value


class Call(Model):
    """What commands and HTTP calls share. ``repeatable``: doing it twice does no harm, so what was not heard is done again.

    ``done_when``: a runbook that passes when it has been done; asked before it is done again.
    """

    timeout: float = Field(10.0, ge=0.1, le=MOST_TIMEOUT, description="seconds")
    repeatable: bool = False
    done_when: str = ""


class Command(Call):
    """A program with its words; never a shell line. A parameter is one word, or a part of one, whatever it holds."""

    argv: tuple[str, ...] = Field(min_length=1)
    env: Mapping[str, str] = Field(default_factory=dict, description="values may be env:NAME or file:PATH")

    @field_validator("argv")
    @classmethod
    def _program(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value[0] or list(references(value[0], Filling.PLAIN)):
            raise ValueError("must begin with the program, which is no parameter's choice")
        return value


class Http(Call):
    """One HTTP call; redirects are not followed. Its key goes along as ``Idempotency-Key``."""

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = Field(default_factory=dict, description="values may be env:NAME or file:PATH")
    body: str = ""
    status: tuple[int, ...] = Field((), description="statuses that mean it is done; 2xx without them")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not HOST_ENDS.match(value):
            raise ValueError("must be http:// or https:// with a host that no parameter chooses, and a path")
        return value

    @field_validator("method")
    @classmethod
    def _method(cls, value: str) -> str:
        if value.upper() not in METHODS:
            raise ValueError(f"must be one of {', '.join(METHODS)}")
        return value.upper()


class Deed(Model):
    """What an action does: one of these."""

    object: Fields | None = None
    scale: Scale | None = None
    restart: Restart | None = None
    command: Command | None = None
    http: Http | None = None

    @model_validator(mode="after")
    def _one(self) -> Deed:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"needs exactly one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def kind(self) -> str:
        return next(iter(self.model_fields_set))

    @property
    def made(self) -> Where | Call:
        """The one that is given."""
        made: Where | Call = getattr(self, self.kind)
        return made


class Undo(Model):
    """How it is undone: ``restore`` (the fields get back what they had), a command, a call, or ``{none: why not}``."""

    restore: bool = False
    none: str = ""
    command: Command | None = None
    http: Http | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        if value == "restore":
            return {"restore": True}
        if value == "none":
            raise ValueError("say why there is none: undo: {none: a restart cannot be taken back}")
        return value

    @model_validator(mode="after")
    def _one(self) -> Undo:
        given = self.model_fields_set
        if len(given) != 1 or not getattr(self, next(iter(given))):
            raise ValueError("needs exactly one of restore, command, http, or none with the reason why there is none")
        return self


class Checks(Model):
    """Runbooks that must pass: ``before`` it is done, and ``after``, at the latest ``within`` a while."""

    before: str = ""
    after: str = ""
    within: str = "2m"

    @field_validator("within")
    @classmethod
    def _within(cls, value: str) -> str:
        length(value)
        return value


class Approval(Model):
    """Who else has to agree. ``needed``: always, never, or in these environments.

    ``by``: roles of permissions.roles; ``people``: e-mail addresses; ``group``: a Slack user group's id.
    """

    needed: bool | tuple[str, ...] = False
    by: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    group: str = ""
    within: str = Field("30m", description="after that, it is not done")

    @field_validator("needed", mode="before")
    @classmethod
    def _environments(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("by", "people", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("within")
    @classmethod
    def _within(cls, value: str) -> str:
        length(value)
        return value

    @model_validator(mode="after")
    def _a_role(self) -> Approval:
        Role(usergroup=self.group, emails=self.people)
        return self

    @property
    def nobody(self) -> bool:
        return not (self.by or self.people or self.group)


class Action(Model):
    """One row of the ``actions:`` section of captain.yml."""

    title: str = Field("", description="what it does, for people; its name without one")
    service: str = Field(description="whose channel hears of it")
    environment: str = Field("", description="the service's, without one")
    parameters: Mapping[str, Parameter] = Field(default_factory=dict)
    do: Deed
    undo: Undo = Field(description="an action without a way back has {none: why}")
    ttl: str = Field("", description="after that it is undone by itself, such as 30m")
    lasting: bool = Field(False, description="it stands until somebody undoes it")
    check: Checks = Field(default_factory=Checks)
    approval: Approval = Field(default_factory=Approval)
    loud_after: float = Field(120.0, ge=1, description="seconds overdue after which the channel is told")
    hint: str = Field("", description="what to know before and after")

    @field_validator("ttl")
    @classmethod
    def _ttl(cls, value: str) -> str:
        if value and not 1 <= length(value) <= 7 * 86400:
            raise ValueError("must be at least a second and at most seven days")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Action:
        fields = self.do.kind in ("object", "scale")
        if fields and not self.undo.restore:
            raise ValueError("what is set in an object is put back: undo: restore")
        if self.do.kind == "restart" and not self.undo.none:
            raise ValueError("a restart cannot be taken back: undo: {none: why that is fine}")
        if self.undo.restore and not fields:
            raise ValueError("undo: restore is for object and scale; a command or call is undone by another of them")
        if self.undo.none and (self.ttl or self.lasting):
            raise ValueError("without an undo it has neither ttl: nor lasting:")
        if not self.undo.none and bool(self.ttl) == self.lasting:
            raise ValueError("needs ttl: (after which it is undone by itself) or lasting: true, and one of them only")
        return self

    def needs_approval(self, environment: str) -> bool:
        """Whether a second person has to agree; always where there is no way back."""
        wanted = self.approval.needed
        return bool(self.undo.none) or (wanted if isinstance(wanted, bool) else environment in wanted)


def steps(path: str) -> tuple[str, ...]:
    """``data[a.key]`` as ("data", "a.key")."""
    return tuple(found[1] or found[2] for found in STEP.finditer(path))


# ---- mistakes that the section alone cannot see ------------------------------------------------------------------------


def misfits(
    actions: Mapping[str, Action],
    environments: Mapping[str, str],
    runbooks: Mapping[str, Runbook],
    roles: Collection[str],
    *,
    cluster: bool,
) -> Iterator[tuple[Place, str]]:
    """(place, sentence) for each. ``environments``: of each service."""
    for name, action in actions.items():
        here: Place = ("actions", name)
        if not NAME.fullmatch(name):
            yield here, "an action's name has small letters, digits and -, at most 50 of them"
        if action.service not in environments:
            yield (
                (*here, "service"),
                f"'{action.service}' is not a service.{nearest(action.service, list(environments))}",
            )
        if not cluster and isinstance(action.do.made, Where):
            yield (*here, "do"), "there is no kubernetes: section, so it could not be done"
        yield from _parameters(here, action)
        yield from _unsafe(here, action)
        yield from _runbooks(here, action, runbooks)
        yield from _approval(here, action, action.environment or environments.get(action.service, ""), roles)


def unoffered(actions: Mapping[str, Action], runbooks: Mapping[str, Runbook]) -> Iterator[tuple[Place, str]]:
    """Actions that a runbook's check offers and captain.yml does not have, or that could not be run by a button."""
    for runbook in runbooks.values():
        for check in runbook.checks:
            for name in check.actions:
                where = f"the check '{check.name}' of {runbook.path or runbook.name} offers the action '{name}'"
                if name not in actions:
                    yield ("actions",), f"{where}, which is not here.{nearest(name, list(actions))}"
                elif any(parameter.default is None for parameter in actions[name].parameters.values()):
                    yield ("actions", name), f"{where}, and a button gives no parameters: each needs a default"


def _parameters(here: Place, action: Action) -> Iterator[tuple[Place, str]]:
    for name in action.parameters:
        if not PARAMETER.fullmatch(name) or name in GIVEN:
            taken = f"{' and '.join(GIVEN)} are given" if name in GIVEN else "has small letters, digits and _"
            yield (*here, "parameters", name), f"a parameter's name {taken}"
    known = [*action.parameters, *GIVEN]
    for part, kind, made in _places(action):
        for field, value in made.model_dump().items():
            for name in references(list(value) if isinstance(value, tuple) else value, Filling.PLAIN):
                if name not in known:
                    yield (*here, part, kind, field), f"'{name}' is not a declared parameter.{nearest(name, known)}"


def _places(action: Action) -> list[tuple[str, str, Where | Call]]:
    """What it does and how it is undone, each with where that stands."""
    back = (("command", action.undo.command), ("http", action.undo.http))
    return [("do", action.do.kind, action.do.made), *(("undo", which, one) for which, one in back if one)]


def _unsafe(here: Place, action: Action) -> Iterator[tuple[Place, str]]:
    """What would be read as code though somebody gives it, and secrets that everybody would be shown who has to agree."""
    free = [name for name, parameter in action.parameters.items() if not parameter.choices]
    for part, kind, made in _places(action):
        if isinstance(made, Command):
            reads, program = False, ""
            for before, word in pairwise(made.argv):
                named = before.rsplit("/", 1)[-1]
                program = named if named in INTERPRETERS else program
                # Their own options come first; what follows a script's name is the script's.
                reads = named == program or (reads and (before.startswith("-") or program in ANYWHERE))
                if reads and CODE.fullmatch(before) and set(free) & set(references(word, Filling.PLAIN)):
                    why = 'would read a parameter as code; let it be a word of its own after that, which is "$1" there'
                    yield (*here, part, kind, "argv"), f"the line after {before} {why}"
        if not isinstance(made, Command | Http):
            continue
        for field, value in made.model_dump().items():
            if what := literal(value):
                yield (*here, part, kind, field), f"seems to hold {what}; refer to it: env:NAME or file:PATH"
        for name, text in (made.env if isinstance(made, Command) else made.headers).items():
            if SECRET_NAME.search(name) and not is_reference(text):
                yield (
                    (*here, part, kind),
                    f"{name} is a secret by its name, and would be shown: refer to it: env:NAME or file:PATH",
                )


def _runbooks(here: Place, action: Action, runbooks: Mapping[str, Runbook]) -> Iterator[tuple[Place, str]]:
    named: list[tuple[Place, str]] = [
        (("check", "before"), action.check.before),
        (("check", "after"), action.check.after),
    ]
    if isinstance(action.do.made, Call):
        named.append((("do", action.do.kind, "done_when"), action.do.made.done_when))
    for place, name in named:
        if name and name not in runbooks:
            yield (*here, *place), f"'{name}' is not a runbook.{nearest(name, list(runbooks))}"


def _approval(here: Place, action: Action, environment: str, roles: Collection[str]) -> Iterator[tuple[Place, str]]:
    for role in action.approval.by:
        if role not in roles:
            yield (*here, "approval", "by"), f"'{role}' is not one of permissions.roles.{nearest(role, list(roles))}"
    if action.needs_approval(environment) and action.approval.nobody:
        why = "it has no undo, so a second person has to agree" if action.undo.none else "a second person has to agree"
        yield (*here, "approval"), f"{why}, and nobody may: name roles (by), people or a group"
