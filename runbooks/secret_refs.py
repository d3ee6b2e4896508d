"""Secrets by reference: resolved when a check looks, and masked in every text that leaves it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

MASK = "•••"
SHORTEST = 4
"""Characters below which a secret cannot be masked without blotting out half of every text."""

_REFERENCE = re.compile(r"(env|file):(.+)", re.DOTALL)
_LOOSE = re.compile(r"(Bearer|Basic|token) ((?:env|file):.+)", re.DOTALL)


def is_reference(text: str) -> bool:
    return _REFERENCE.fullmatch(text) is not None or _LOOSE.fullmatch(text) is not None


class Secrets:
    """The secrets one run has resolved. ``environ`` is where env: references look."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self._known: list[str] = []

    def resolve(self, text: str) -> str:
        """The text, or the secret it refers to: ``env:NAME``, ``file:PATH``, or those after "Bearer ".

        Raises ValueError with what to do when there is none.
        """
        if loose := _LOOSE.fullmatch(text):
            return f"{loose[1]} {self.resolve(loose[2])}"
        found = _REFERENCE.fullmatch(text)
        if not found:
            return text
        where, name = found.groups()
        value = self._from_file(name) if where == "file" else self._from_environment(name)
        if len(value) < SHORTEST:
            raise ValueError(
                f"the secret of {text} is shorter than {SHORTEST} characters, too short to be kept out of results"
            )
        self._known += [form for form in _forms(value) if form not in self._known]
        self._known.sort(key=len, reverse=True)
        return value

    def mask(self, text: str) -> str:
        """The text without any secret resolved so far, as it is, base64-encoded or percent-encoded."""
        for form in list(self._known):
            text = text.replace(form, MASK)
        return text

    def _from_environment(self, name: str) -> str:
        try:
            return self.environ[name]
        except KeyError:
            raise ValueError(f"the environment has no {name}; set it for the bot") from None

    def _from_file(self, name: str) -> str:
        try:
            return Path(name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise ValueError(f"the secret file {name} cannot be read: {problem}") from problem


def _forms(value: str) -> list[str]:
    """A secret in every way it may come back to us, the longest first."""
    forms = {value, quote(value, safe=""), quote(value), quote_plus(value), *value.splitlines()}
    raw = value.encode()
    for lead in range(3):
        # Inside a longer text the secret starts at any of three places of base64's grid; only whole groups are sure.
        skip = -(-lead * 8 // 6) if lead else 0
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * lead + raw).decode().rstrip("=")
            whole = text[skip : (lead + len(raw)) * 8 // 6]
            forms |= {whole, quote(whole, safe="")}
    forms.add(base64.b64encode(raw).decode())
    return sorted((form for form in forms if len(form) >= SHORTEST), key=len, reverse=True)
