"""What keeps a text from being a regular expression that decides anything."""

from __future__ import annotations

import re


def unfit(pattern: str) -> str:
    """Why a check cannot look for a pattern; empty when it can."""
    if not pattern:
        return "is empty, and an empty regular expression is found in everything"
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as problem:
        return f"is not a regular expression: {problem}"
    return ""
