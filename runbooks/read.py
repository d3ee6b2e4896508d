"""Reads runbooks: every mistake with file, line, what is wrong and the nearest valid name."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bot.errors import ConfigError
from bot.yaml_lines import Document, Place
from runbooks import rows
from runbooks.book import BETWEEN, Check, Parameter, Runbook, Scope, misfit
from runbooks.document import nearest, read, shown
from runbooks.kind import Filling
from runbooks.parameters import NAME, references
from runbooks.rows import cycle

__all__ = ["Check", "Runbook", "cycle", "load", "load_folder", "shipped"]

MAX_DEADLINE_S = 3600.0
MAX_PARALLEL = 64
MAX_USES_DEPTH = 5
"""How many runbooks deep a check may come from."""
_MAX_TRAIL = 50
_MAX_FILES = 1000

TOP = (
    "name", "title", "owners", "links", "tags", "parameters", "env", "defaults", "deadline", "parallel", "checks",
)  # fmt: skip
PARAMETER = ("description", "default", "required", "choices")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def load(path: Path) -> Runbook:
    """The runbook in a file, with the checks of the runbooks it uses. Raises ConfigError with every mistake, a line each.

    ``uses:`` names a runbook of the same folder or, if that has none of the name, a shipped one.
    """
    return _Library(path.parent).load(path)


def load_folder(folder: Path) -> dict[str, Runbook]:
    """Every runbook (``*.yml``, ``*.yaml``) of a folder by its name. Raises ConfigError with the mistakes of all files."""
    library = _Library(folder)
    found: dict[str, Runbook] = {}
    problems: list[str] = []
    for path in _files(folder):
        try:
            runbook = library.load(path)
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
    """The runbooks that come with the product, by name. Read once: they do not change while this runs."""
    return dict(_read_shipped())


@functools.cache
def _read_shipped() -> Mapping[str, Runbook]:
    return load_folder(_shipped())


def _shipped() -> Path:
    return Path(__file__).parent


def _files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])


@dataclass
class _Library:
    """The runbooks of a folder, read when they are wanted; ``trail`` is what is being read, and the line that wanted the next."""

    folder: Path
    documents: dict[Path, Document] = field(default_factory=dict)
    read: dict[Path, Runbook | ConfigError] = field(default_factory=dict)
    trail: dict[Path, int] = field(default_factory=dict)
    names: dict[Path, dict[str, Path]] = field(default_factory=dict)

    def load(self, path: Path) -> Runbook:
        if path not in self.read:
            self.trail[path] = 1
            try:
                self.read[path] = self._load(path)
            except ConfigError as problem:
                self.read[path] = problem
            finally:
                del self.trail[path]
        found = self.read[path]
        if isinstance(found, ConfigError):
            raise found
        return found

    def _load(self, path: Path) -> Runbook:
        document = self._document(path)
        if not isinstance(document.values, dict):
            raise ConfigError(f"{path}:1: a runbook is a mapping with at least checks:")
        given = document.values
        for key in given.keys() - set(TOP):
            document.wrong((key,), f"a runbook has no field '{key[:80]}'{nearest(key, TOP)}")
        parameters = _parameters(document)
        tags = rows.tags_of(document, ("tags",), given.get("tags"))
        head = rows.Head(parameters, tags, rows.defaults(document, given.get("defaults"), parameters))
        env = rows.environment(document, given.get("env"), parameters)

        def embed(place: Place, row: Mapping[str, Any], name: str) -> Sequence[Check]:
            return self._embedded(document, place, row, name, parameters)

        checks = rows.checks(document, head, embed)
        name, title, owners, links = _heading(document, path)
        runbook = Runbook(
            name=name,
            title=title,
            checks=tuple(checks),
            parameters={name: one.default for name, one in parameters.items()},
            owners=owners,
            links=links,
            path=path,
            tags=tags,
            declared=parameters,
            env=env,
            deadline_s=_number(document, "deadline", 0.1, MAX_DEADLINE_S, whole=False),
            parallel=None if (n := _number(document, "parallel", 1, MAX_PARALLEL, whole=True)) is None else int(n),
        )
        document.settle()
        return runbook

    def _document(self, path: Path) -> Document:
        if path not in self.documents:
            self.documents[path] = read(path)
        return self.documents[path]

    def _embedded(
        self, document: Document, place: Place, row: Mapping[str, Any], name: str, parameters: Mapping[str, Parameter]
    ) -> Sequence[Check]:
        """The checks of the runbook that an entry uses, in a scope of their own."""
        where = (*place, "uses")
        self.trail[document.path] = document.line(where)
        other = self._other(document, where, row["uses"])
        if other is None:
            return ()
        given = {key: _text(value) for key, value in (row.get("with") or {}).items() if _is_one(value)}
        _fit(document, place, other, given, parameters)
        scope = Scope(other.name, other.parameters, other.declared, given, other.env)
        made = [
            replace(
                check,
                name=f"{name}{BETWEEN}{check.name}",
                needs=tuple(f"{name}{BETWEEN}{need}" for need in check.needs),
                scopes=(scope, *check.scopes),
            )
            for check in other.checks
        ]
        if any(len(check.scopes) >= MAX_USES_DEPTH for check in made):
            document.wrong(
                where, f"'{other.name}' uses others that use others, more than {MAX_USES_DEPTH} runbooks deep"
            )
        return made

    def _other(self, document: Document, where: Place, name: Any) -> Runbook | None:
        if not isinstance(name, str) or not name:
            document.wrong(where, f"uses must be the name of a runbook, not {shown(name)}")
            return None
        path, known = self._named(name)
        if path is None:
            document.wrong(where, f"there is no runbook '{name[:80]}' to use{nearest(name, known)}")
        elif path in self.trail:
            steps = list(self.trail.items())
            steps = steps[[step for step, _ in steps].index(path) :]
            told = ", ".join(f"{step}:{line}" for step, line in steps)
            document.wrong(where, f"runbooks use each other in a circle: {told} and {path} again")
        elif len(self.trail) > _MAX_TRAIL:
            document.wrong(where, f"'{name}' is used from more than {MAX_USES_DEPTH} runbooks deep")
        else:
            try:
                return self.load(path)
            except ConfigError as problem:
                document.wrong(where, f"'{name}' cannot be used: {str(problem).partition(chr(10))[0]}")
        return None

    def _named(self, name: str) -> tuple[Path | None, list[str]]:
        """The file of a runbook, and the names that there are."""
        known: list[str] = []
        for folder in dict.fromkeys((self.folder, _shipped())):
            names = self._names(folder)
            if name in names:
                return names[name], []
            known += names
        return None, known

    def _names(self, folder: Path) -> dict[str, Path]:
        if folder not in self.names:
            found: dict[str, Path] = {}
            for path in _files(folder)[:_MAX_FILES]:
                try:
                    values = self._document(path).values
                except ConfigError:
                    values = None  # It is told of where it is read for its own sake, or used by its file's name.
                name = values.get("name", path.stem) if isinstance(values, dict) else path.stem
                found.setdefault(str(name), path)
            self.names[folder] = found
        return self.names[folder]


def _fit(
    document: Document, place: Place, other: Runbook, given: Mapping[str, str], parameters: Mapping[str, Parameter]
) -> None:
    """Whether what an entry gives is what the runbook it uses takes."""
    for key, value in given.items():
        if key not in other.parameters:
            why = f"the runbook '{other.name}' has no parameter '{key[:80]}'{nearest(key, other.parameters)}"
            document.wrong((*place, "with", key), why)
            continue
        names = list(references(value, Filling.PLAIN))
        plain = not any(name in parameters for name in names)
        if plain and key in other.declared and (why := misfit(other.declared[key], value)):
            document.wrong((*place, "with", key), why)
    if missing := [key for key, value in other.parameters.items() if value is None and key not in given]:
        why = f"the runbook '{other.name}' needs the parameter {', '.join(missing)}; give it under with:"
        document.wrong((*place, "uses"), why)


def _heading(document: Document, path: Path) -> tuple[str, str, tuple[str, ...], Mapping[str, str]]:
    """Name, title, owners and links."""
    given = document.values
    name = given.get("name", path.stem)
    if not isinstance(name, str) or not FILE_NAME.fullmatch(name):
        told = "name must be" if "name" in given else "without name: the file's name is the runbook's, so it must be"
        document.wrong(("name",), f"{told} letters, digits, '-', '_' or '.', not {shown(name)}")
    title = given.get("title", name)
    if not isinstance(title, str):
        document.wrong(("title",), f"title must be text, not {shown(title)}")
    owners, links = given.get("owners") or [], given.get("links") or {}
    if not isinstance(owners, list) or not all(isinstance(owner, str) for owner in owners):
        document.wrong(("owners",), "owners must be a list of names")
        owners = []
    if not isinstance(links, dict) or not all(isinstance(link, str) for link in links.values()):
        document.wrong(("links",), "links must be a mapping from text to address")
        links = {}
    return str(name), str(title), tuple(owners), links


def _number(document: Document, key: str, least: float, most: float, *, whole: bool) -> float | None:
    given = document.values.get(key)
    return None if given is None else rows.between(document, (key,), given, least, most, whole=whole)


def _parameters(document: Document) -> dict[str, Parameter]:
    given = document.values.get("parameters")
    if given is None:
        return {}
    if not isinstance(given, dict):
        document.wrong(("parameters",), "parameters must be a mapping from name to default")
        return {}
    found: dict[str, Parameter] = {}
    for name, value in given.items():
        if not NAME.fullmatch(name):
            document.wrong(("parameters", name), f"a parameter's name is letters, digits and '_', not '{name[:80]}'")
        found[name] = _parameter(document, name, value)
        rows.no_literal_secret(document, ("parameters", name), name, found[name].default)
    capitals = [name.upper() for name in found]
    for name in found:
        if capitals.count(name.upper()) > 1:
            document.wrong(("parameters", name), f"'{name}' differs from another parameter only in its capitals")
    return found


def _parameter(document: Document, name: str, value: Any) -> Parameter:
    """A parameter in its short form, ``name: default``, or with a mapping of what there is to say of it."""
    place: Place = ("parameters", name)
    if isinstance(value, list):
        document.wrong(place, f"the default of '{name}' must be one value")
        return Parameter(name, "")
    if not isinstance(value, dict):
        return Parameter(name, None if value is None else _text(value))
    for key in value.keys() - set(PARAMETER):
        document.wrong((*place, key), f"a parameter has no field '{key[:80]}'{nearest(key, PARAMETER)}")
    default, required = value.get("default"), value.get("required", value.get("default") is None)
    if not isinstance(required, bool):
        document.wrong((*place, "required"), f"required must be true or false, not {shown(required)}")
        required = True
    if isinstance(default, dict | list):
        document.wrong((*place, "default"), f"the default of '{name}' must be one value")
        default = None
    if required and default is not None:
        document.wrong((*place, "required"), f"'{name}' has a default, so it is not required; leave one of them out")
    choices = value.get("choices") or []
    if not isinstance(choices, list) or not all(map(_is_one, choices)):
        document.wrong((*place, "choices"), "choices must be a list of values")
        choices = []
    description = value.get("description") or ""
    if not isinstance(description, str):
        document.wrong((*place, "description"), f"description must be text, not {shown(description)}")
    made = Parameter(
        name=name,
        default=None if required else "" if default is None else _text(default),
        description=str(description),
        choices=tuple(_text(choice) for choice in choices),
    )
    if made.default is not None and (why := misfit(made, made.default)):
        document.wrong((*place, "default" if "default" in value else "choices"), f"the default of {why}")
    return made


def _is_one(value: Any) -> bool:
    return value is not None and not isinstance(value, dict | list)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
