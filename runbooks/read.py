"""Reads runbooks: every mistake with file, line, what is wrong and the nearest valid name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.errors import ConfigError
from bot.yaml_lines import Document, Place
from runbooks.document import nearest, read
from runbooks.kind import Field, Filling, Kind, Shape, fitted
from runbooks.kinds import KINDS
from runbooks.parameters import NAME, filled, references
from runbooks.secret_refs import is_reference, literal
from runbooks.verdict import Severity

TIMEOUT_S = 5.0
MAX_TIMEOUT_S = 600.0
MAX_RETRIES = 20

_TOP = ("name", "title", "owners", "links", "parameters", "checks")
_COMMON = ("name", "kind", "hint", "severity", "timeout", "retries", "retry_delay", "needs")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Check:
    """One check as written. ``timeout`` (s) is for one attempt; ``needs`` names checks that must PASS before it looks."""

    name: str
    kind: str
    spec: Mapping[str, Any]
    hint: str = ""
    severity: Severity = Severity.BLOCKING
    timeout: float = TIMEOUT_S
    retries: int = 0
    retry_delay: float = 1.0
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Runbook:
    """A runbook. ``parameters``: name to default, None for one that must be given; ``links``: text to address."""

    name: str
    title: str
    checks: Sequence[Check]
    parameters: Mapping[str, str | None]
    owners: Sequence[str] = ()
    links: Mapping[str, str] | None = None
    path: Path | None = None


def load(path: Path) -> Runbook:
    """The runbook in a file. Raises ConfigError with every mistake found, a line each."""
    document = read(path)
    if not isinstance(document.values, dict):
        raise ConfigError(f"{path}:1: a runbook is a mapping with at least checks:")
    for key in document.values.keys() - set(_TOP):
        document.wrong((key,), f"a runbook has no field '{key}'{nearest(key, _TOP)}")
    parameters = _parameters(document)
    checks = _checks(document, parameters)
    name = document.values.get("name", path.stem)
    if not isinstance(name, str) or not _FILE_NAME.fullmatch(name):
        document.wrong(("name",), f"name must be letters, digits, '-', '_' or '.', not {name!r}")
    title = document.values.get("title", name)
    if not isinstance(title, str):
        document.wrong(("title",), f"title must be text, not {title!r}")
    owners, links = document.values.get("owners") or [], document.values.get("links") or {}
    if not isinstance(owners, list) or not all(isinstance(owner, str) for owner in owners):
        document.wrong(("owners",), "owners must be a list of names")
    if not isinstance(links, dict) or not all(isinstance(link, str) for link in links.values()):
        document.wrong(("links",), "links must be a mapping from text to address")
    document.settle()
    return Runbook(str(name), str(title), tuple(checks), parameters, tuple(owners), links, path)


def load_folder(folder: Path) -> dict[str, Runbook]:
    """Every runbook (``*.yml``, ``*.yaml``) of a folder by its name. Raises ConfigError with the mistakes of all files."""
    found: dict[str, Runbook] = {}
    problems: list[str] = []
    for path in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]):
        try:
            runbook = load(path)
        except ConfigError as problem:
            problems.append(str(problem))
            continue
        if runbook.name in found:
            problems.append(f"{path}:1: the name '{runbook.name}' is taken by {found[runbook.name].path}")
        found[runbook.name] = runbook
    if problems:
        raise ConfigError("\n".join(problems))
    return found


def shipped() -> dict[str, Runbook]:
    """The runbooks that come with the product, by name."""
    return load_folder(Path(__file__).parent)


def _parameters(document: Document) -> dict[str, str | None]:
    given = document.values.get("parameters")
    if given is None:
        return {}
    if not isinstance(given, dict):
        document.wrong(("parameters",), "parameters must be a mapping from name to default")
        return {}
    found: dict[str, str | None] = {}
    for name, value in given.items():
        if not NAME.fullmatch(name):
            document.wrong(("parameters", name), f"a parameter's name is letters, digits and '_', not '{name}'")
        if isinstance(value, dict | list):
            document.wrong(("parameters", name), f"the default of '{name}' must be one value")
        found[name] = value if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    capitals = [name.upper() for name in found]
    for name in found:
        if capitals.count(name.upper()) > 1:
            document.wrong(("parameters", name), f"'{name}' differs from another parameter only in its capitals")
    return found


def _checks(document: Document, parameters: Mapping[str, str | None]) -> list[Check]:
    rows = document.values.get("checks")
    if not isinstance(rows, list) or not rows:
        document.wrong(("checks",), "a runbook needs at least one check under checks:")
        return []
    checks = [_check(document, ("checks", i), row, parameters) for i, row in enumerate(rows)]
    places: dict[str, int] = {}
    for i, check in enumerate(checks):
        if check.name in places:
            first = document.lines["checks", places[check.name]]
            document.wrong(("checks", i, "name"), f"the name '{check.name}' is taken by the check on line {first}")
        places.setdefault(check.name, i)
    for i, check in enumerate(checks):
        for need in check.needs:
            if need not in places:
                others = places.keys() - {check.name}
                document.wrong(("checks", i, "needs"), f"there is no check '{need}' to need{nearest(need, others)}")
    circle = cycle({check.name: check.needs for check in checks})
    if circle:
        why = f"checks need each other in a circle: {' → '.join(circle)}"
        document.wrong(("checks", places[circle[0]], "needs"), why)
    if all(check.severity is Severity.WARNING for check in checks):
        document.wrong(("checks",), "every check is a warning, so this runbook could never fail; make one blocking")
    return checks


def _check(document: Document, place: Place, row: Any, parameters: Mapping[str, str | None]) -> Check:
    if not isinstance(row, dict):
        document.wrong(place, f"a check is a mapping with name: and kind:, not {row!r}")
        return Check("", "", {})
    name = row.get("name")
    if not isinstance(name, str) or not name.strip():
        document.wrong((*place, "name"), "a check needs a name")
        name = f"check {place[-1]}"
    kind = str(row.get("kind", "command" if "command" in row else ""))
    if kind not in KINDS:
        why = f"there is no kind '{kind}'" if kind else f"the check '{name}' needs a kind"
        document.wrong((*place, "kind"), why + nearest(kind, KINDS))
        return Check(name, kind, {}, needs=_needs(document, place, row))
    known = KINDS[kind]
    spec = {key: value for key, value in row.items() if key not in _COMMON}
    for key in sorted(spec.keys() - known.fields.keys()):
        names = (*known.fields, *_COMMON)
        document.wrong((*place, key), f"a check of kind {kind} has no field '{key}'{nearest(key, names)}")
    _fields(document, place, known, {k: v for k, v in spec.items() if k in known.fields}, parameters, kind)
    hint = str(row.get("hint") or "")
    _known_names(document, (*place, "hint"), hint, Filling.PLAIN, parameters)
    severity = row.get("severity", "blocking")
    if severity not in list(Severity):
        why = f"severity must be {' or '.join(Severity)}, not {severity!r}"
        document.wrong((*place, "severity"), why + nearest(str(severity), list(Severity)))
        severity = Severity.BLOCKING
    return Check(
        name=name,
        kind=kind,
        spec=spec,
        hint=hint,
        severity=Severity(severity),
        timeout=_between(document, (*place, "timeout"), row.get("timeout", TIMEOUT_S), 0.01, MAX_TIMEOUT_S),
        retries=int(_between(document, (*place, "retries"), row.get("retries", 0), 0, MAX_RETRIES)),
        retry_delay=_between(document, (*place, "retry_delay"), row.get("retry_delay", 1.0), 0, MAX_TIMEOUT_S),
        needs=_needs(document, place, row),
    )


def _needs(document: Document, place: Place, row: Mapping[str, Any]) -> tuple[str, ...]:
    given = row.get("needs") or []
    listed = given if isinstance(given, list) else [given]
    if not all(isinstance(need, str) for need in listed):
        document.wrong((*place, "needs"), "needs must be the name of a check or a list of names")
        return ()
    return tuple(listed)


def _between(document: Document, place: Place, value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        document.wrong(place, f"{place[-1]} must be a number from {least:g} to {most:g}, not {value!r}")
        return least
    return float(value)


def _fields(
    document: Document,
    place: Place,
    kind: Kind,
    spec: Mapping[str, Any],
    parameters: Mapping[str, str | None],
    name: str,
) -> None:
    """Check the fields of a kind as they will be when its parameters have their defaults."""
    for key, field in kind.fields.items():
        if field.required and key not in spec:
            document.wrong(place, f"a check of kind {name} needs the field '{key}'")
    defaults = {k: v for k, v in parameters.items() if v is not None}
    made: dict[str, Any] = {}
    whole = True
    for key, value in spec.items():
        field, where = kind.fields[key], (*place, key)
        if what := literal(value):
            document.wrong(
                where, f"{key} seems to hold {what}; refer to it: env:NAME, file:PATH, secret:NAMESPACE/NAME/KEY"
            )
        if not _known_names(document, where, value, field.filling, parameters):
            whole = False
            continue
        if any(parameters.get(reference, "") is None for reference in references(value, field.filling)):
            continue  # Its shape is known only when the parameter is.
        try:
            made[key] = fitted(field, filled(value, defaults, field.filling))
        except ValueError as problem:
            document.wrong(where, f"{key}: {problem}")
            whole = False
        _no_stray_secret(document, where, key, value, field)
    if whole and all(key in made or not field.required for key, field in kind.fields.items()):
        for key, why in kind.judge(made):
            document.wrong((*place, key), why)


def _known_names(
    document: Document, place: Place, value: Any, filling: Filling, parameters: Mapping[str, str | None]
) -> bool:
    unknown = [name for name in references(value, filling) if name not in parameters]
    for name in unknown:
        document.wrong(place, f"'{name}' is not a declared parameter{nearest(name, parameters)}")
    return not unknown


def _no_stray_secret(document: Document, place: Place, key: str, value: Any, field: Field) -> None:
    """A reference where none is resolved would be sent out as it is, and the check would fail for a reason nobody sees."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    shaped = field.shape in (Shape.TEXT, Shape.TEXTS, Shape.LIST, Shape.LINE)
    if shaped and not field.secret and any(isinstance(v, str) and is_reference(v) for v in values):
        document.wrong(
            place, f"{key} takes no secret; references (env:, file:, secret:) go into headers, env or database"
        )


def cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """One circle of needs, its first name again at the end; empty when there is none."""
    left = {name: [need for need in wanted if need in needs] for name, wanted in needs.items()}
    while free := [name for name, wanted in left.items() if not any(need in left for need in wanted)]:
        for name in free:
            del left[name]
    path: list[str] = []
    name = next(iter(left), "")
    while left and name not in path:
        path.append(name)
        name = next(need for need in left[name] if need in left)
    return [*path[path.index(name) :], name] if left else []
