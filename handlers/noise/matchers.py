"""Conditions on labels as Alertmanager writes them: ``slo="docs"``, ``env!="dev"``, ``team=~"docs|search"``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

WRITTEN = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^"\s]*))\s*', re.DOTALL)
SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
"""What an expression reads as something else than itself; Alertmanager's refuses a backslash before other characters."""
MOST = 20
ESCAPED = re.compile(r'\\(["\\n])')


@dataclass(frozen=True)
class Matcher:
    """One condition. A label that is not there counts as empty; an expression has to match the whole value."""

    name: str
    op: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        held = labels.get(self.name, "")
        met = re.fullmatch(self.value, held, re.DOTALL) is not None if self.op.endswith("~") else held == self.value
        return met != self.op.startswith("!")

    def __str__(self) -> str:
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.op}"{quoted}"'


def read(text: str) -> Matcher:
    """A condition from its text. Raises ValueError with what is wrong with it."""
    found = WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(f'\'{text[:60]}\' must be a matcher such as env="prod", slo!="docs" or team=~"docs|search"')
    name, op, quoted, bare = found.groups()
    value = bare if quoted is None else ESCAPED.sub(lambda one: "\n" if one[1] == "n" else one[1], quoted)
    if op.endswith("~"):
        try:
            re.compile(value)
        except re.error as e:
            raise ValueError(f"'{text[:60]}': {e.msg} in its expression") from e
    return Matcher(name, op, value)


def any_of(values: Mapping[str, Collection[str]]) -> tuple[Matcher, ...]:
    """Conditions that exactly these values meet, by name; of a label with more than MOST values none is made."""
    made = []
    for name, seen in sorted(values.items()):
        if len(seen) == 1:
            made.append(Matcher(name, "=", next(iter(seen))))
        elif len(seen) <= MOST:
            made.append(Matcher(name, "=~", "|".join(SPECIAL.sub(r"\\\g<0>", one) for one in sorted(seen))))
    return tuple(made)


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(one.matches(labels) for one in matchers)
