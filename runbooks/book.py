"""What a runbook is once it is read: its checks, its parameters, and the scopes that another runbook's checks stand in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runbooks.document import nearest
from runbooks.parameters import filled, filled_beside_secrets
from runbooks.verdict import Severity

TIMEOUT_S = 5.0
DEADLINE_S = 60.0
PARALLEL = 4
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
BETWEEN = " / "
"""Stands between the name of a ``uses:`` entry and the name of a check that came with it."""


@dataclass(frozen=True)
class Parameter:
    """A parameter as declared. ``default`` is None when it must be given; ``choices`` are all it may be, if there are any."""

    name: str
    default: str | None = None
    description: str = ""
    choices: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        return self.default is None


@dataclass(frozen=True, eq=False)
class Scope:
    """What stands around the checks that came by ``uses:``: the parameters of their own runbook, and what they were given.

    ``given`` may refer to parameters of the runbook that uses it; ``env`` is their own runbook's.
    """

    runbook: str
    parameters: Mapping[str, str | None]
    declared: Mapping[str, Parameter]
    given: Mapping[str, str]
    env: Mapping[str, str]


@dataclass(frozen=True)
class Check:
    """One check as written. ``timeout`` (s) is for one attempt; ``needs`` names checks that must PASS before it looks.

    ``retries``: looks that may be other than PASS before the last one counts; ``successes``: how many in a row must PASS;
    ``retry_delay`` (s) is between looks. ``mutex``: keys that no two checks of this process hold at once.
    ``actions``: names of actions in captain.yml that are offered when it does not pass.
    ``scopes``: from the runbook that is run down to its own, when it came by ``uses:``.
    """

    name: str
    kind: str
    spec: Mapping[str, Any]
    hint: str = ""
    severity: Severity = Severity.BLOCKING
    timeout: float = TIMEOUT_S
    retries: int = 0
    retry_delay: float = 1.0
    needs: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    successes: int = 1
    mutex: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()


@dataclass(frozen=True)
class Runbook:
    """A runbook. ``parameters``: name to default, None for one that must be given; ``links``: text to address.

    ``declared`` says more of the parameters. ``env``: what its commands find in their environment, secrets as references.
    ``deadline_s`` and ``parallel`` are None when its file says nothing of them. ``tags`` are also those of each check.
    """

    name: str
    title: str
    checks: Sequence[Check]
    parameters: Mapping[str, str | None]
    owners: Sequence[str] = ()
    links: Mapping[str, str] | None = None
    path: Path | None = None
    tags: tuple[str, ...] = ()
    declared: Mapping[str, Parameter] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float | None = None
    parallel: int | None = None


def values(runbook: Runbook | Scope, given: Mapping[str, str]) -> dict[str, str]:
    """The parameters' values. Raises ValueError with what is unknown, missing or not among the choices."""
    name = runbook.name if isinstance(runbook, Runbook) else runbook.runbook
    for key in given:
        if key not in runbook.parameters:
            raise ValueError(f"the runbook {name} has no parameter '{key}'{nearest(key, runbook.parameters)}")
    found = {**runbook.parameters, **given}
    if missing := [key for key, value in found.items() if value is None]:
        raise ValueError(f"the runbook {name} needs the parameter {', '.join(missing)}")
    for key, value in given.items():
        if _NO_TEXT.search(value):
            raise ValueError(f"the parameter {key} holds a NUL byte or half a character")
        if key in runbook.declared and (why := misfit(runbook.declared[key], value)):
            raise ValueError(why)
    return {key: str(value) for key, value in found.items()}


def misfit(parameter: Parameter, value: str) -> str:
    """Why a parameter may not have a value; nothing when it may."""
    if not parameter.choices or value in parameter.choices:
        return ""
    near = nearest(value, parameter.choices)
    listed = "" if near.startswith("; valid") else f" ({', '.join(parameter.choices)})"
    return f"{parameter.name} must be one of its choices{listed}, not '{value[:80]}'{near}"


def inner_values(
    outer: Mapping[str, str], env: Mapping[str, str], scopes: Sequence[Scope]
) -> tuple[dict[str, str], dict[str, str]]:
    """(parameters, env) as a check's own runbook sees them, from the values of the runbook that is run and its env.

    Raises ValueError when one cannot be what the runbook that uses it gives.
    """
    found = dict(outer)
    around = dict(filled_beside_secrets(dict(env), outer))
    for scope in scopes:
        found = values(scope, {key: str(filled(value, found)) for key, value in scope.given.items()})
        around |= filled_beside_secrets(dict(scope.env), found)
    return found, around


def selected(runbook: Runbook, names: Sequence[str], tags: Sequence[str]) -> Sequence[Check]:
    """The checks that have one of the names or one of the tags, and what they need, in the order of the file.

    All of them when neither is given. A name may also be that of a ``uses:`` entry, for all that came with it.
    Raises ValueError for a name or a tag that no check has.
    """
    if not names and not tags:
        return runbook.checks
    wanted: set[str] = set()
    for name in names:
        found = [c.name for c in runbook.checks if c.name == name or c.name.startswith(name + BETWEEN)]
        if not found:
            known = dict.fromkeys(known for check in runbook.checks for known in prefixes(check.name))
            raise ValueError(f"the runbook {runbook.name} has no check '{name}'{nearest(name, known)}")
        wanted.update(found)
    for tag in tags:
        found = [check.name for check in runbook.checks if tag in check.tags]
        if not found:
            known = dict.fromkeys(tag for check in runbook.checks for tag in check.tags)
            raise ValueError(f"no check of the runbook {runbook.name} has the tag '{tag}'{nearest(tag, known)}")
        wanted.update(found)
    by_name = {check.name: check for check in runbook.checks}
    waiting = list(wanted)
    while waiting:
        for need in by_name[waiting.pop()].needs:
            if need not in wanted:
                wanted.add(need)
                waiting.append(need)
    return [check for check in runbook.checks if check.name in wanted]


def prefixes(name: str) -> Iterator[str]:
    """What a check may be called by: its name, and the names of the ``uses:`` entries that it came with."""
    parts = name.split(BETWEEN)
    yield from (BETWEEN.join(parts[: n + 1]) for n in range(len(parts)))
