"""Reads YAML into plain values and remembers the line of each, so that every mistake can be pointed at."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bot.errors import ConfigError

Place = tuple[str | int, ...]
MAX_DEPTH = 20
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


@dataclass
class Document:
    """A file's values (None when it is empty), the line of each place in it, and what has been found wrong so far."""

    path: Path
    values: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest one above it that stands in the file."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place, 1)

    def wrong(self, place: Place, why: str) -> None:
        """Note a mistake at a place, or at the nearest one above it that has a line."""
        self.problems.append((self.line(place), why))

    def settle(self) -> None:
        """Raise ConfigError with every mistake noted, a line each, in the order of the file."""
        if self.problems:
            raise ConfigError("\n".join(f"{self.path}:{line}: {why}" for line, why in sorted(self.problems)))


class _Loader(yaml.SafeLoader):
    """Composes a document in one pass, and refuses aliases and too much nesting before anything is made of them."""

    def __init__(self, path: Path, text: str, aliases: str) -> None:
        super().__init__(text)
        self._path, self._aliases, self._depth = path, aliases, 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"{self._path}:{line}: aliases (*{event.anchor}) {self._aliases}; write the value out")
        inner = isinstance(event, yaml.CollectionStartEvent)
        self._depth += inner
        if self._depth > MAX_DEPTH:
            raise ConfigError(f"{self._path}:{line}: nested more than {MAX_DEPTH} deep")
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= inner
        return node


def parse(path: Path, text: str, *, aliases: str) -> Document:
    """The document in ``text``; keys that stand twice are noted in it. ``aliases``: what is said of them, as "are refused".

    Raises ConfigError for what is no YAML, for aliases, and for nesting deeper than MAX_DEPTH.
    """
    document = Document(path)
    loader: _Loader | None = None
    try:
        loader = _Loader(path, text, aliases)
        node = loader.get_single_node()
        if node is not None:
            document.values = _built(document, loader, node, ())
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        raise ConfigError(f"{path}:{mark.line + 1 if mark else 1}: not valid YAML: {problem.problem}") from problem
    except (yaml.YAMLError, ValueError) as problem:
        first = str(problem).partition("\n")[0]
        raise ConfigError(f"{path}:1: not valid YAML: {first}") from problem
    finally:
        if loader is not None:
            loader.dispose()
    return document


def _built(document: Document, loader: _Loader, node: yaml.Node, place: Place) -> Any:
    document.lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_built(document, loader, item, (*place, i)) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                document.problems.append((line, "a key must be one value, not a list or a mapping"))
                continue
            key = str(key_node.value)
            _refuse_what_is_no_text(document, line, key)
            if key in made:
                first = document.lines[*place, key]
                document.problems.append((line, f"'{key}' stands here twice; the first is on line {first}"))
                continue
            document.lines[*place, key] = line
            made[key] = _built(document, loader, value_node, (*place, key))
        return made
    value = loader.construct_object(node)
    if isinstance(value, str):
        _refuse_what_is_no_text(document, node.start_mark.line + 1, value)
    return value


def _refuse_what_is_no_text(document: Document, line: int, text: str) -> None:
    """An escape can make what no database and no message takes."""
    if _NO_TEXT.search(text):
        document.problems.append((line, "a NUL or half a character (\\ud800 to \\udfff) is no text; leave it out"))
