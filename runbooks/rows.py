"""Reads the entries under ``checks:``: each check with its fields, and what came by ``uses:``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.yaml_lines import Document, Place
from runbooks.book import TIMEOUT_S, Check, Parameter
from runbooks.document import nearest, shown
from runbooks.kind import Field, Filling, Kind, Shape, fitted
from runbooks.kinds import KINDS
from runbooks.parameters import filled, references
from runbooks.secret_refs import is_reference, literal
from runbooks.verdict import Severity

MAX_TIMEOUT_S = 600.0
MAX_RETRIES = 20
MAX_SUCCESSES = 20
MAX_CHECKS = 2000
MAX_NAME = 100

DEFAULTS = ("severity", "timeout", "retries", "retry_delay", "successes", "mutex")
"""What a runbook may say once under ``defaults:`` for all of its checks."""
COMMON = (
    "name",
    "kind",
    "hint",
    "severity",
    "timeout",
    "retries",
    "retry_delay",
    "successes",
    "needs",
    "tags",
    "mutex",
    "actions",
)
USES = ("name", "uses", "with", "needs", "tags", "severity")
_WORDS = (Shape.TEXT, Shape.LINE)
"""What is easily written as yes, no, on or off, which are true and false in YAML."""
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]*")

Parameters = Mapping[str, Parameter]
Embed = Callable[[Place, Mapping[str, Any], str], Sequence[Check]]
"""The checks of the runbook that a ``uses:`` entry names, given its place, the entry and its own name."""


@dataclass(frozen=True)
class Head:
    """What stands above the checks and holds for all of them."""

    parameters: Parameters
    tags: tuple[str, ...]
    defaults: Mapping[str, Any]


def checks(document: Document, head: Head, embed: Embed) -> list[Check]:
    """Every check of a runbook, with its needs as names of checks. Notes what is wrong in the document."""
    rows = document.values.get("checks")
    if not isinstance(rows, list) or not rows:
        document.wrong(("checks",), "a runbook needs at least one check under checks:")
        return []
    if len(rows) > MAX_CHECKS:
        document.wrong(("checks",), f"{len(rows)} checks are too many; a runbook has at most {MAX_CHECKS}")
        return []
    found = [_row(document, ("checks", i), row, head, embed) for i, row in enumerate(rows)]
    _refuse_twice(document, found)
    made = _with_needs(document, found)
    if len(made) > MAX_CHECKS:
        document.wrong(("checks",), f"{len(made)} checks are too many; a runbook has at most {MAX_CHECKS}")
    if made and all(check.severity is Severity.WARNING for check in made):
        document.wrong(("checks",), "every check is a warning, so this runbook could never fail; make one blocking")
    return made


@dataclass(frozen=True)
class _Row:
    """One entry: its name, the checks it stands for, and what it needs, as written."""

    name: str
    checks: Sequence[Check]
    needs: tuple[str, ...]


def _row(document: Document, place: Place, row: Any, head: Head, embed: Embed) -> _Row:
    if not isinstance(row, dict):
        document.wrong(place, f"a check is a mapping with name: and kind:, not {shown(row)}")
        return _Row("", [Check("", "", {})], ())
    name = _name(document, place, row)
    needs = _texts(document, (*place, "needs"), row.get("needs"), "the name of a check or a list of names")
    if "uses" in row:
        return _Row(name, _used(document, place, row, name, head, embed), needs)
    return _Row(name, [_check(document, place, row, name, head)], needs)


def _name(document: Document, place: Place, row: Mapping[str, Any]) -> str:
    name = row.get("name", row.get("uses"))
    why = ""
    if name is None or (isinstance(name, str) and not name.strip()):
        why = "a check needs a name"
    elif not isinstance(name, str):
        why = f"a check's name must be text, not {shown(name)}; write it in quotes"
    elif len(name) > MAX_NAME or not name.isprintable():
        why = f"a check's name is one line of at most {MAX_NAME} printable signs, not {shown(name)}"
    if why:
        document.wrong((*place, "name"), why)
    return f"check {place[-1]}" if why else str(name)


def _used(
    document: Document, place: Place, row: Mapping[str, Any], name: str, head: Head, embed: Embed
) -> Sequence[Check]:
    """The checks of another runbook, with the tags and the severity of the entry that uses it."""
    for key in row.keys() - set(USES):
        document.wrong((*place, key), f"an entry with uses: has no field '{key}'{nearest(key, USES)}")
    given = row.get("with") or {}
    if not isinstance(given, dict):
        document.wrong((*place, "with"), "with must be a mapping from the other runbook's parameters to values")
        row = {**row, "with": {}}
    else:
        for key, value in given.items():
            if isinstance(value, dict | list) or value is None:
                document.wrong((*place, "with", key), f"{key} must be one value, not {shown(value)}")
            elif isinstance(value, str):
                no_literal_secret(document, (*place, "with", key), key, value)
                _known_names(document, (*place, "with", key), value, Filling.PLAIN, head.parameters)
    tags = (*head.tags, *tags_of(document, (*place, "tags"), row.get("tags")))
    severity = _severity(document, place, row, {})
    return [
        replace(
            check,
            tags=tuple(dict.fromkeys((*tags, *check.tags))),
            severity=Severity.WARNING if severity is Severity.WARNING else check.severity,
        )
        for check in embed(place, row, name)
    ]


def _refuse_twice(document: Document, found: Sequence[_Row]) -> None:
    places: dict[str, int] = {}
    for i, row in enumerate(found):
        for name in dict.fromkeys([row.name, *(check.name for check in row.checks)]):
            if name in places and row.name:
                first = document.line(("checks", places[name]))
                document.wrong(("checks", i, "name"), f"the name '{name}' is taken by the check on line {first}")
                break
            places.setdefault(name, i)


def _with_needs(document: Document, found: Sequence[_Row]) -> list[Check]:
    """The checks with their needs resolved: what needs an entry with ``uses:`` needs every check that came with it."""
    of_row = {row.name: tuple(check.name for check in row.checks) for row in reversed(found)}
    of_row |= {check.name: (check.name,) for row in found for check in row.checks if check.name not in of_row}
    stands_in = {check.name: row.name for row in found for check in row.checks} | {row.name: row.name for row in found}
    made: list[Check] = []
    for i, row in enumerate(found):
        for need in row.needs:
            if need not in of_row:
                others = [row.name for j, row in enumerate(found) if j != i]
                document.wrong(("checks", i, "needs"), f"there is no check '{need}' to need{nearest(need, others)}")
        wanted = tuple(dict.fromkeys(name for need in row.needs for name in of_row.get(need, (need,))))
        made += [replace(check, needs=(*wanted, *check.needs)) if wanted else check for check in row.checks]
    wanted_by_row: dict[str, list[str]] = {}
    for row in found:
        wanted_by_row.setdefault(row.name, [stands_in.get(need, need) for need in row.needs])
    if circle := cycle(wanted_by_row):
        at = next(i for i, row in enumerate(found) if row.name == circle[0])
        document.wrong(("checks", at, "needs"), f"checks need each other in a circle: {' → '.join(circle)}")
    return made


def _check(document: Document, place: Place, row: Mapping[str, Any], name: str, head: Head) -> Check:
    kind = str(row.get("kind", "command" if "command" in row else ""))
    if kind not in KINDS:
        why = f"there is no kind '{kind[:MAX_NAME]}'" if kind else f"the check '{name}' needs a kind"
        document.wrong((*place, "kind"), why + nearest(kind, KINDS))
        return Check(name, kind, {})
    known = KINDS[kind]
    spec = {key: value for key, value in row.items() if key not in COMMON}
    for key in sorted(spec.keys() - known.fields.keys()):
        names = (*known.fields, *COMMON, "uses")
        document.wrong((*place, key), f"a check of kind {kind} has no field '{key[:MAX_NAME]}'{nearest(key, names)}")
    _fields(document, place, known, {k: v for k, v in spec.items() if k in known.fields}, head.parameters, kind)
    hint = str(row.get("hint") or "")
    _known_names(document, (*place, "hint"), hint, Filling.PLAIN, head.parameters)
    common = numbers(document, place, row, head.defaults)
    return Check(
        name=name,
        kind=kind,
        spec=spec,
        hint=hint,
        severity=_severity(document, place, row, head.defaults),
        timeout=common["timeout"],
        retries=int(common["retries"]),
        retry_delay=common["retry_delay"],
        successes=int(common["successes"]),
        tags=tuple(dict.fromkeys((*head.tags, *tags_of(document, (*place, "tags"), row.get("tags"))))),
        actions=_actions(document, (*place, "actions"), row.get("actions")),
        mutex=mutex_of(document, (*place, "mutex"), row.get("mutex", head.defaults.get("mutex")), head.parameters),
    )


def _actions(document: Document, place: Place, given: Any) -> tuple[str, ...]:
    """Names of what may be done when it does not pass; whether there is such an action is for captain.yml to say."""
    listed = [] if given is None else given if isinstance(given, list) else [given]
    if not all(isinstance(name, str) and TAG.fullmatch(name) for name in listed):
        document.wrong(place, "actions must be the name of an action in captain.yml or a list of names")
        return ()
    return tuple(dict.fromkeys(listed))


def defaults(document: Document, given: Any, parameters: Parameters) -> Mapping[str, Any]:
    """What stands under ``defaults:``, without what is wrong in it; that is noted in the document."""
    place: Place = ("defaults",)
    if given is None:
        return {}
    if not isinstance(given, dict):
        document.wrong(place, f"defaults must be a mapping of {', '.join(DEFAULTS)}")
        return {}
    for key in given.keys() - set(DEFAULTS):
        document.wrong((*place, key), f"there is no default for '{key[:MAX_NAME]}'{nearest(key, DEFAULTS)}")
    found: dict[str, Any] = {key: value for key, value in numbers(document, place, given, {}).items() if key in given}
    if "severity" in given:
        found["severity"] = _severity(document, place, given, {})
    if "mutex" in given:
        found["mutex"] = list(mutex_of(document, (*place, "mutex"), given["mutex"], parameters))
    return found


def numbers(document: Document, place: Place, row: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, float]:
    """The timeout and retry_delay (s), retries and successes of a check: given, by default, or as they are otherwise."""
    ranges = {
        "timeout": (TIMEOUT_S, 0.01, MAX_TIMEOUT_S, False),
        "retries": (0, 0, MAX_RETRIES, True),
        "retry_delay": (1.0, 0, MAX_TIMEOUT_S, False),
        "successes": (1, 1, MAX_SUCCESSES, True),
    }
    return {
        key: between(document, (*place, key), row.get(key, defaults.get(key, usual)), least, most, whole=whole)
        for key, (usual, least, most, whole) in ranges.items()
    }


def between(document: Document, place: Place, value: Any, least: float, most: float, *, whole: bool = False) -> float:
    """A number within its bounds; the least one when it is none, which is noted in the document."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most or (whole and value != int(value)):
        what = "a whole number" if whole and number and least <= value <= most else "a number"
        document.wrong(place, f"{place[-1]} must be {what} from {least:g} to {most:g}, not {shown(value)}")
        return least
    return float(value)


def tags_of(document: Document, place: Place, given: Any) -> tuple[str, ...]:
    found = _texts(document, place, given, "a tag or a list of tags")
    for tag in found:
        if not TAG.fullmatch(tag) or len(tag) > MAX_NAME:
            document.wrong(place, f"a tag is letters, digits and '_.:/-', not {shown(tag)}")
    return found


def mutex_of(document: Document, place: Place, given: Any, parameters: Parameters) -> tuple[str, ...]:
    found = _texts(document, place, given, "a key or a list of keys")
    for key in found:
        _known_names(document, place, key, Filling.PLAIN, parameters)
    return found


def _texts(document: Document, place: Place, given: Any, what: str) -> tuple[str, ...]:
    listed = given if isinstance(given, list) else [] if given is None else [given]
    if not all(isinstance(one, str) and one.strip() for one in listed):
        document.wrong(place, f"{place[-1]} must be {what}")
        return ()
    return tuple(dict.fromkeys(listed))


def _severity(document: Document, place: Place, row: Mapping[str, Any], defaults: Mapping[str, Any]) -> Severity:
    severity = row.get("severity", defaults.get("severity", Severity.BLOCKING))
    if severity not in list(Severity):
        why = f"severity must be {' or '.join(Severity)}, not {shown(severity)}"
        document.wrong((*place, "severity"), why + nearest(str(severity), list(Severity)))
        return Severity.BLOCKING
    return Severity(severity)


def _fields(
    document: Document,
    place: Place,
    kind: Kind,
    spec: Mapping[str, Any],
    parameters: Parameters,
    name: str,
) -> None:
    """Check the fields of a kind as they will be when its parameters have their defaults."""
    for key, field in kind.fields.items():
        if field.required and key not in spec:
            document.wrong(place, f"a check of kind {name} needs the field '{key}'")
    defaults = {k: one.default for k, one in parameters.items() if one.default is not None}
    made: dict[str, Any] = {}
    whole = True
    for key, value in spec.items():
        field, where = kind.fields[key], (*place, key)
        no_literal_secret(document, where, key, value)
        if not _known_names(document, where, value, field.filling, parameters):
            whole = False
            continue
        if any(one in parameters and parameters[one].required for one in references(value, field.filling)):
            continue  # Its shape is known only when the parameter is.
        try:
            made[key] = fitted(field, filled(value, defaults, field.filling))
        except ValueError as problem:
            quotes = "; write it in quotes" if isinstance(value, bool) and field.shape in _WORDS else ""
            document.wrong(where, f"{key}: {problem}{quotes}")
            whole = False
        _no_stray_secret(document, where, key, value, field)
    if whole and all(key in made or not field.required for key, field in kind.fields.items()):
        for key, why in kind.judge(made):
            document.wrong((*place, key), why)


def _known_names(document: Document, place: Place, value: Any, filling: Filling, parameters: Parameters) -> bool:
    unknown = [name for name in references(value, filling) if name not in parameters]
    for name in unknown:
        document.wrong(place, f"'{name[:MAX_NAME]}' is not a declared parameter{nearest(name, parameters)}")
    return not unknown


def environment(document: Document, given: Any, parameters: Parameters) -> Mapping[str, str]:
    """What stands under ``env:`` above the checks; what is wrong is noted in the document."""
    if given is None:
        return {}
    try:
        found: dict[str, str] = fitted(Field(Shape.TEXTS), given)
    except ValueError:
        document.wrong(
            ("env",), "env must be a mapping from names of variables to texts or references such as env:NAME"
        )
        return {}
    for name, value in found.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            document.wrong(("env", name), f"a variable's name is letters, digits and '_', not {shown(name)}")
        _known_names(document, ("env", name), value, Filling.PLAIN, parameters)
        no_literal_secret(document, ("env", name), name, value)
    return found


def no_literal_secret(document: Document, place: Place, key: str, value: Any) -> None:
    """A secret that stands in the file is known to everybody who may read the file."""
    if what := literal(value):
        document.wrong(
            place, f"{key} seems to hold {what}; refer to it: env:NAME, file:PATH, secret:NAMESPACE/NAME/KEY"
        )


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
    known = {name: list(_known(wanted, needs)) for name, wanted in needs.items()}
    missing = {name: len(wanted) for name, wanted in known.items()}
    wanted_by: dict[str, list[str]] = {}
    for name, wanted in known.items():
        for need in wanted:
            wanted_by.setdefault(need, []).append(name)
    free = [name for name, count in missing.items() if count == 0]
    while free:
        name = free.pop()
        del missing[name]
        for other in wanted_by.get(name, ()):
            missing[other] -= 1
            if missing[other] == 0:
                free.append(other)
    path: dict[str, int] = {}
    name = next(iter(missing), "")
    while missing and name not in path:
        path[name] = len(path)
        name = next(need for need in known[name] if need in missing)
    return [*list(path)[path[name] :], name] if missing else []


def _known(wanted: Sequence[str], needs: Mapping[str, Sequence[str]]) -> Iterator[str]:
    return (need for need in wanted if need in needs)
