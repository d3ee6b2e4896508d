"""Which checks of a runbook a run looks at, with which parameters, and what is wrong with what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bot.config import nearest
from runbooks import Check, Runbook
from runbooks.book import misfit, prefixes


def of_service(runbook: Runbook, service: str, environment: str) -> dict[str, str]:
    """The parameters that a run has because it is of a service."""
    known = {"service": service, "environment": environment, "env": environment}
    return {name: value for name, value in known.items() if value and name in runbook.parameters}


def faults(runbook: Runbook, given: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a runbook's parameters as they are given: sentences."""
    for name, value in given.items():
        if name not in runbook.parameters:
            valid = list(runbook.parameters)
            which = nearest(name, valid) if valid else " It has none."
            yield f"the runbook {runbook.name} has no parameter '{name[:80]}'.{which}"
        elif name in runbook.declared and (why := misfit(runbook.declared[name], value)):
            yield f"the runbook {runbook.name}: {why}"
    missing = [name for name, default in runbook.parameters.items() if default is None and name not in given]
    if missing:
        said = " ".join(f"{name}=…" for name in missing)
        yield f"the runbook {runbook.name} needs {said}"


def unknown(runbook: Runbook, only: Sequence[str]) -> Iterator[str]:
    """What is named and is neither a check nor a tag of a runbook: sentences."""
    valid = sorted({called for one in runbook.checks for called in _called(one)})
    for name in only:
        if name not in valid:
            yield f"the runbook {runbook.name} has no check and no tag '{name[:80]}'.{nearest(name, valid)}"


def picked(runbook: Runbook, only: Sequence[str]) -> Runbook:
    """The runbook with the checks of these names and tags, and with what they need; all of it for none."""
    if not only:
        return runbook
    checks = {one.name: one for one in runbook.checks}
    wanted: set[str] = set()
    left = [one.name for one in runbook.checks if _called(one) & set(only)]
    while left:
        name = left.pop()
        if name not in wanted:
            wanted.add(name)
            left += checks[name].needs
    return replace(runbook, checks=tuple(one for one in runbook.checks if one.name in wanted))


def _called(check: Check) -> set[str]:
    """What a check may be asked for by: its name, that of a ``uses:`` entry it came with, or a tag."""
    return {*prefixes(check.name), *tags(check)}


def tags(check: object) -> tuple[str, ...]:
    """A check's tags."""
    return tuple(getattr(check, "tags", ()))
