"""Reads a runbook's file, and says the nearest name to one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bot.errors import ConfigError
from bot.yaml_lines import Document, parse

MAX_BYTES = 256_000
_SHOWN = 80


def nearest(name: str, valid: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the closest valid name, else the list of them, as long as it is a short one."""
    names = sorted(valid)
    close = difflib.get_close_matches(name[:_SHOWN], names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    listed, more = names[:20], f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"; valid: {', '.join(listed)}{more}" if names else ""


def shown(value: Any) -> str:
    """A value as it was written, short enough for a sentence."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def read(path: Path) -> Document:
    """The document in a file. Raises ConfigError for what is no YAML, twice-given keys, aliases, or too much."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: cannot be read: it is no file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigError(f"{path}:1: larger than {MAX_BYTES} bytes; this cannot be a runbook")
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path}: cannot be read: {problem}") from problem
    return parse(path, text, aliases="are refused")
