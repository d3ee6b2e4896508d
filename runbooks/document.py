"""Reads a runbook's file, and says the nearest name to one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from bot.errors import ConfigError
from bot.yaml_lines import Document, parse

MAX_BYTES = 256_000


def nearest(name: str, valid: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the closest valid name, else the list of them."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; valid: {', '.join(names)}" if names else ""


def read(path: Path) -> Document:
    """The document in a file. Raises ConfigError for what is no YAML, twice-given keys, aliases, or too much."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path}: cannot be read: {problem}") from problem
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{path}:1: larger than {MAX_BYTES} bytes; this cannot be a runbook")
    return parse(path, text, aliases="are refused")
