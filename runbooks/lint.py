"""What is no mistake in a runbook but will surprise somebody: said by ``captain runbook check``, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bot.yaml_lines import Document
from runbooks.document import read
from runbooks.kind import Filling
from runbooks.parameters import NAME, VARIABLE, references, shell_quote
from runbooks.read import Runbook

_VARIABLE = re.compile(r"(?<!\\)\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_SET_HERE = re.compile(r"(?:^|[\s;&|(])(?:([A-Za-z_]\w*)=|for\s+([A-Za-z_]\w*)|read\s+(?:-r\s+)?([A-Za-z_]\w*))")
_NEVER_FAILS = re.compile(r"(?:\|\||;)\s*(?:true|:|exit\s+0)\s*$")


def warnings(runbook: Runbook) -> list[tuple[int, str]]:
    """(line, sentence) for each, in the order of the file. The runbook must have been read from a file."""
    assert runbook.path is not None
    document = read(runbook.path)
    return sorted([*_checks(document), *_unused(document)])


def _checks(document: Document) -> Iterator[tuple[int, str]]:
    for i, row in enumerate(document.values["checks"]):
        line = row.get("command")
        if isinstance(line, str):
            at = document.line(("checks", i, "command"))
            yield from ((at, why) for why in _of_shell_line(line, document.values.get("parameters") or {}))
        if "hint" not in row and row.get("severity") != "warning" and "uses" not in row:
            at = document.line(("checks", i))
            yield at, f"the check '{row.get('name')}' has no hint: whoever sees it fail is not told what to do"


def _of_shell_line(line: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    own = {name for found in _SET_HERE.findall(line) for name in found if name}
    seen: set[str] = set()
    for found in _VARIABLE.finditer(line):
        name = found[1] or found[2]
        filled_in = found[1] is not None and name in parameters  # ${parameter} comes with quotes of its own
        if name in own | seen or filled_in or shell_quote(line, found.start()):
            continue
        seen.add(name)
        yield f'${name} stands outside quotes: a value with a space or a * becomes several words; write "${name}"'
    if _NEVER_FAILS.search(line):
        yield "the command ends in one that always succeeds, so this check can never fail"


def _unused(document: Document) -> Iterator[tuple[int, str]]:
    declared = document.values.get("parameters") or {}
    texts = list(_texts({key: value for key, value in document.values.items() if key != "parameters"}))
    used = {name for text in texts for name in references(text, Filling.PLAIN)} | {
        name for name in declared if any(f"{VARIABLE}{name.upper()}" in text for text in texts)
    }
    for name in declared:
        if NAME.fullmatch(name) and name not in used:
            yield document.line(("parameters", name)), f"the parameter {name} is used by no check"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
