"""Fills declared parameters into the fields of a check, in a way that keeps a value a value wherever it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from runbooks.kind import Filling
from runbooks.secret_refs import is_reference

VARIABLE = "CAPTAIN_PARAMETER_"
"""Under this prefix, in capitals, a shell line finds a parameter in its environment."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACES = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_DOLLAR = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EITHER = re.compile(rf"{_BRACES.pattern}|{_DOLLAR.pattern}")
_SHELLS = frozenset(("sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "busybox"))
_SCRIPT = re.compile(r"-[A-Za-z]*c")
_SQL_BARE = re.compile(r"\d+(\.\d+)?")
_SQL_UNSURE = re.compile(r"--|/\*|\\|\"|\$(?!\{)")
_PROMQL_BARE = re.compile(r"[A-Za-z0-9_.:+-]*")


def references(value: Any, filling: Filling) -> Iterator[str]:
    """The names a field refers to; ``${NAME}`` in a shell line is the shell's unless a parameter has that name."""
    if isinstance(value, str):
        for found in _EITHER.finditer(value):
            name = found[1] if found[1] is not None else found[2]
            if found[1] is not None or filling is not Filling.SHELL:
                yield name
    elif isinstance(value, list):
        for item in value:
            yield from references(item, Filling.PLAIN if filling is Filling.SHELL else filling)
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item, filling)


def filled(value: Any, parameters: Mapping[str, str], filling: Filling = Filling.PLAIN) -> Any:
    """The value with every reference to a parameter filled in. Raises ValueError when one cannot stand where it is.

    A list of words is never a shell line: its words are filled in as they are.
    """
    if isinstance(value, list):
        inner = Filling.PLAIN if filling is Filling.SHELL else filling
        if filling is Filling.SHELL and (name := _in_a_script(value, parameters)):
            raise ValueError(
                f"the parameter {name} stands in a script for a shell, where its value would be code; "
                f"hand it on as a word: [sh, -c, 'echo \"$1\"', sh, '{{{{{name}}}}}']"
            )
        return [filled(item, parameters, inner) for item in value]
    if isinstance(value, dict):
        return {key: filled(item, parameters, _within(key, item, filling)) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    parts: list[str] = []
    end = 0
    for found in _EITHER.finditer(value):
        name = found[1] if found[1] is not None else found[2]
        if name in parameters:
            parts += [value[end : found.start()], _fitting(value, found.start(), name, parameters[name], filling)]
            end = found.end()
    return "".join([*parts, value[end:]])


def _within(key: str, item: Any, filling: Filling) -> Filling:
    """How an item of a mapping is filled."""
    match filling:
        case Filling.WANTED:
            return Filling.COMPARISON if isinstance(item, dict) else Filling.PLAIN
        case Filling.COMPARISON:
            return Filling.PATTERN if key == "matches" else Filling.PLAIN
    return filling


def filled_beside_secrets(value: Any, parameters: Mapping[str, str], filling: Filling = Filling.PLAIN) -> Any:
    """As ``filled``, of a field whose references to secrets are resolved: only one that stands there as it is written is one.

    Raises ValueError for a value that would become one: whoever gives a parameter does not choose what is read.
    """
    if isinstance(value, dict):
        return {
            key: filled_beside_secrets(item, parameters, _within(key, item, filling)) for key, item in value.items()
        }
    made = filled(value, parameters, filling)
    if isinstance(value, str) and is_reference(made) and not is_reference(value):
        name = next(name for name in references(value, Filling.PLAIN) if name in parameters)
        raise ValueError(
            f"the value of the parameter {name} would become a reference to a secret; write the reference itself here"
        )
    return made


def _in_a_script(words: list[Any], parameters: Mapping[str, str]) -> str:
    """A parameter within a word that a shell among the words reads as its script; empty when there is none."""
    shells = False
    for before, word in pairwise(map(str, words)):
        shells = shells or before.rpartition("/")[2] in _SHELLS
        if shells and _SCRIPT.fullmatch(before):
            return next((name for name in references(word, Filling.PLAIN) if name in parameters), "")
    return ""


def environment(parameters: Mapping[str, str]) -> dict[str, str]:
    """The variables in which a shell line finds its parameters."""
    return {VARIABLE + name.upper(): value for name, value in parameters.items()}


def _fitting(text: str, at: int, name: str, value: str, filling: Filling) -> str:
    match filling:
        case Filling.URL:
            return quote(value, safe="") if at else value
        case Filling.PROMQL:
            return _for_promql(text, at, name, value)
        case Filling.SHELL:
            return _for_shell(text, at, name)
        case Filling.SQL:
            return _for_sql(text, at, name, value)
        case Filling.PATTERN:
            return re.escape(value)
    return value


def _for_promql(text: str, at: int, name: str, value: str) -> str:
    if _promql_quote(text, at):
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'").replace("\n", "\\n")
    if not _PROMQL_BARE.fullmatch(value):
        raise ValueError(f"the parameter {name} may only hold letters, digits and _.:+- where it stands outside quotes")
    return value


def _promql_quote(text: str, at: int) -> str:
    """The quote a place in a query is within, or nothing. Raises ValueError within backticks, where nothing can be escaped."""
    quoted, skip = "", False
    for sign in text[:at]:
        if skip:
            skip = False
        elif quoted:
            skip = sign == "\\" and quoted != "`"
            quoted = "" if sign == quoted else quoted
        elif sign in "\"'`":
            quoted = sign
    if quoted == "`":
        raise ValueError("a parameter cannot stand within backticks; use double quotes")
    return quoted


def _for_sql(text: str, at: int, name: str, value: str) -> str:
    """Within single quotes any text, its quotes doubled; outside of them a number."""
    if _SQL_UNSURE.search(text):
        why = "a query that holds comments, backslashes, double quotes or dollar quotes"
        raise ValueError(f"the parameter {name} cannot stand in {why}; write it without them")
    if text[:at].count("'") % 2:
        if "\\" in value:
            raise ValueError(f"the parameter {name} must not hold a backslash")
        return value.replace("'", "''")
    if not _SQL_BARE.fullmatch(value):
        raise ValueError(f"the parameter {name} may only be a number where it stands outside single quotes")
    return value


def _for_shell(text: str, at: int, name: str) -> str:
    """The value itself never becomes part of the line: a quoted variable does, which no shell reads as code."""
    quoted = shell_quote(text, at)
    if quoted == "'":
        raise ValueError(
            f"the parameter {name} stands within single quotes, where a shell fills in nothing; use double quotes"
        )
    variable = f"${{{VARIABLE}{name.upper()}}}"
    return variable if quoted == '"' else f'"{variable}"'


def shell_quote(text: str, at: int) -> str:
    """The quote a place in a shell line is within; a $( ) starts afresh."""
    stack = [""]
    place = 0
    while place < at:
        sign = text[place]
        if sign == "\\" and stack[-1] != "'":
            place += 1
        elif stack[-1] == "'":
            stack[-1] = "" if sign == "'" else "'"
        elif sign == "'" and stack[-1] == "":
            stack[-1] = "'"
        elif sign == '"':
            stack[-1] = "" if stack[-1] == '"' else '"'
        elif text.startswith("$(", place):
            stack.append("")
            place += 1
        elif sign == ")" and stack[-1] == "" and len(stack) > 1:
            stack.pop()
        place += 1
    return stack[-1]
