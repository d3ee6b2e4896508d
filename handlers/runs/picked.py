"""Which checks of a runbook a run looks at, with which parameters, and what is wrong with what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bot.config import nearest
from runbooks import Runbook
from runbooks.book import BETWEEN, misfit, selected


def of_service(runbook: Runbook, service: str, environment: str) -> dict[str, str]:
    """The parameters that a run has because it is of a service."""
    known = {"service": service, "environment": environment, "env": environment}
    return {name: value for name, value in known.items() if value and name in runbook.parameters}


def faults(runbook: Runbook, given: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a runbook's parameters as they are given: sentences."""
    for name in given:
        if name not in runbook.parameters:
            valid = list(runbook.parameters)
            which = nearest(name, valid) if valid else " It has none."
            yield f"the runbook {runbook.name} has no parameter '{name[:80]}'.{which}"
        elif name in runbook.declared and (why := misfit(runbook.declared[name], given[name])):
            yield f"{why}."
    missing = [name for name, default in runbook.parameters.items() if default is None and name not in given]
    if missing:
        said = " ".join(f"{name}=…" for name in missing)
        yield f"the runbook {runbook.name} needs {said}"


def unknown(runbook: Runbook, only: Sequence[str]) -> Iterator[str]:
    """What is named and is neither a check, a runbook that is used, nor a tag of a runbook: sentences."""
    valid = sorted(_names(runbook) | _tags(runbook))
    for name in only:
        if name not in valid:
            yield f"the runbook {runbook.name} has no check and no tag '{name[:80]}'.{nearest(name, valid)}"


def picked(runbook: Runbook, only: Sequence[str]) -> Runbook:
    """The runbook with the checks of these names and tags, and with what they need; all of it for none.

    Raises ValueError for what is neither: the runbook has changed since it was named.
    """
    names = [name for name in only if name in _names(runbook)]
    tags = [name for name in only if name not in names]
    return replace(runbook, checks=tuple(selected(runbook, names, tags))) if only else runbook


def _names(runbook: Runbook) -> set[str]:
    """The names of the checks, and of the runbooks that are used."""
    parts = [one.name.split(BETWEEN) for one in runbook.checks]
    return {BETWEEN.join(part[:n]) for part in parts for n in range(1, len(part) + 1)}


def _tags(runbook: Runbook) -> set[str]:
    return {tag for one in runbook.checks for tag in one.tags}
