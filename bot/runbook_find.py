"""Finds runbooks by the names and paths that a person gives: files, folders, those of captain.yml, and the shipped ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

import runbooks
from bot import config
from bot.config import ENV_REF
from bot.errors import ConfigError, Refused
from handlers.runs.settings import defaults, with_parameters
from runbooks import Runbook, load
from runbooks.document import nearest

PARAMETER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
SUFFIXES = (".yml", ".yaml")


class OwnRunbooks(BaseModel):
    """Of the ``runbooks:`` section of captain.yml, what is of use without the bot."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    folder: str = ""
    allow_addresses: tuple[str, ...] = ()
    parameters: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)

    @field_validator("parameters", mode="before")
    @classmethod
    def _defaults(cls, value: object) -> object:
        return defaults(value)


class OwnCaptain(BaseModel):
    """Of the ``captain:`` section, the older name of ``runbooks.folder``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    runbooks: str = ""


class OwnSections(BaseModel):
    """captain.yml for who looks for runbooks."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    captain: OwnCaptain = OwnCaptain()
    runbooks: OwnRunbooks = OwnRunbooks()


@dataclass(frozen=True)
class Found:
    """One file: the runbook in it, or what is wrong with it (ConfigError's text)."""

    path: Path
    runbook: Runbook | None
    problem: str = ""

    @property
    def name(self) -> str:
        return self.runbook.name if self.runbook else self.path.stem


def known(config_file: Path, environ: Mapping[str, str], *, must_exist: bool) -> dict[str, Found]:
    """The shipped runbooks and those beside captain.yml, by name; its own go over the shipped ones.

    Raises ConfigError for a captain.yml that is not right, or that is not there although it must be.
    """
    found = {one.name: one for one in in_folder(Path(runbooks.__file__).parent)}
    if must_exist or config_file.exists():
        own = _sections(config_file, environ)
        named = own.runbooks.folder or own.captain.runbooks
        folder = config_file.parent / named
        if named and not folder.is_dir():
            raise ConfigError(f"{config_file}: the folder of runbooks it names, {folder}, does not exist")
        if named:
            found.update({one.name: one for one in in_folder(folder)})
        found = _with_parameters(found, config_file, own.runbooks.parameters)
    return dict(sorted(found.items()))


def _with_parameters(
    found: Mapping[str, Found], config_file: Path, given: Mapping[str, Mapping[str, str]]
) -> dict[str, Found]:
    """The runbooks with the defaults that captain.yml has for them. A file that is not right has said so itself."""
    books = {name: one.runbook for name, one in found.items() if one.runbook}
    wrong = [
        f"{config_file}: {'.'.join(map(str, place))}: {why}"
        for place, why in with_parameters(books, given)
        if place[2] not in found or found[str(place[2])].runbook
    ]
    if wrong:
        raise ConfigError("\n".join(wrong))
    return {name: replace(one, runbook=books.get(name)) for name, one in found.items()}


def _sections(config_file: Path, environ: Mapping[str, str]) -> OwnSections:
    """A variable that the environment does not have is no mistake here: the captain's own secrets are not needed."""
    try:
        text = config_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""  # config.load says what is wrong
    wanted = {match[1] for match in ENV_REF.finditer(text) if match[2] is None}
    return config.load(config_file, OwnSections, {**dict.fromkeys(wanted, "unset"), **environ})


def in_folder(folder: Path) -> Iterator[Found]:
    """Every runbook of a folder; a name that is taken is a mistake of the later file."""
    taken: dict[str, Path] = {}
    for path in sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file()):
        one = in_file(path)
        if one.runbook and one.name in taken:
            one = Found(path, None, f"{path}:1: the name '{one.name}' is taken by {taken[one.name]}")
        taken.setdefault(one.name, path)
        yield one


def in_file(path: Path) -> Found:
    try:
        return Found(path, load(path))
    except ConfigError as problem:
        return Found(path, None, str(problem))


def named(words: Sequence[str], config_file: Path, environ: Mapping[str, str], *, must_exist: bool) -> list[Found]:
    """What the words name: a path to a file, to a folder (all in it), or a runbook's name. Each once, in their order.

    captain.yml is read only when a name is among them. Raises Refused for what names nothing, ConfigError as ``known``.
    """
    names: dict[str, Found] | None = None
    found: list[Found] = []
    for word in words:
        path = Path(word)
        if path.is_dir():
            inside = list(in_folder(path))
            if not inside:
                raise Refused(f"there is no runbook (*.yml, *.yaml) in the folder {path}")
            found += inside
        elif path.exists() or path.suffix in SUFFIXES or "/" in word:
            found.append(in_file(path))
        else:
            names = known(config_file, environ, must_exist=must_exist) if names is None else names
            if word not in names:
                raise Refused(f"there is no runbook '{word}', nor a file or folder of that name{nearest(word, names)}")
            found.append(names[word])
    return list({one.path.resolve(): one for one in found}.values())


def parted(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """(names and paths, parameters): ``key=value`` is a parameter; a path with such a name is written ./key=value.

    Raises Refused for a parameter that is given twice.
    """
    names: list[str] = []
    parameters: dict[str, str] = {}
    for word in words:
        match = PARAMETER.fullmatch(word)
        if match is None:
            names.append(word)
        elif match[1] in parameters:
            raise Refused(f"the parameter {match[1]} is given twice")
        else:
            parameters[match[1]] = match[2]
    return names, parameters


def shown(path: Path) -> str:
    """A path as its reader can use it: below the folder he stands in if it is there; nothing for a shipped runbook."""
    if path.resolve().parent == Path(runbooks.__file__).resolve().parent:
        return ""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
