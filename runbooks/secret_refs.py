"""Secrets by reference: resolved when a check looks, and masked in every text that leaves it."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

from bot.integrations.kubernetes import ObjectRef

MASK = "•••"
SHORTEST = 4
"""Characters below which a secret cannot be masked without blotting out half of every text."""

SURE = 8
"""Characters from which a secret is also found when it was broken over lines, or with other capitals in its escapes."""

_REFERENCE = re.compile(r"(env|file|secret):(.+)", re.DOTALL)
_LOOSE = re.compile(r"(Bearer|Basic|token) ((?:env|file|secret):.+)", re.DOTALL)
_IN_CLUSTER = re.compile(r"([a-z0-9.-]+)/([a-z0-9.-]+)/([A-Za-z0-9._-]+)")
_BREAK = re.compile(r"(?<![ \t])[ \t]*(?:\r\n|\n|\r|\\r\\n|\\n|\\r|\x0b|\x0c|\x85|\u2028|\u2029| / )[ \t]*")
"""How a line ends in an output, in an escaped one, and in one whose lines were put into one."""

_UNFIT = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
"""Control signs, and halves of characters that JSON can hold and UTF-8 cannot."""

_USER = re.compile(r"(?<=://)[^/\s'\"<>]+@")
"""Who an address asks as, up to the last @ before its path: a password may hold one."""

_TELLING = re.compile(
    r"(?i)token|secret|passw|passphrase|credential|(?:^|_)(?:auth|authorization|cookie|dsn|pat|pwd|pass)(?:_|$)|key$"
)
"""What is in the name of a variable that holds a secret."""

_LITERAL = (
    (re.compile(r"xox[abeoprs]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}"), "a Slack token"),
    (re.compile(r"gh[opsru]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}"), "a GitHub token"),
    (re.compile(r"glpat-[A-Za-z0-9_-]{16,}"), "a GitLab token"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "an AWS key"),
    (re.compile(r"\bAIza[A-Za-z0-9_-]{30,}"), "a Google key"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), "a JSON web token"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"(?i)\bbearer +(?=\S*\d)[A-Za-z0-9._~+/=-]{16,}"), "a bearer token"),
    (re.compile(r"(?i)\bbasic +(?=\S*[\d=])[A-Za-z0-9+/]{12,}={0,2}"), "a user and password"),
    (re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@'\"${}]*:[^\s/@'\"${}]+@"), "a password in an address"),
)


class Holder(Protocol):
    """Where secret: references look: a cluster."""

    def get(self, ref: ObjectRef) -> Mapping[str, Any] | None: ...


def is_reference(text: str) -> bool:
    return _REFERENCE.fullmatch(text) is not None or _LOOSE.fullmatch(text) is not None


def literal(value: Any) -> str:
    """What secret a field's value seems to hold as it is written, such as "a Slack token"; empty when none is seen."""
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        return next((found for one in value if (found := literal(one))), "")
    if not isinstance(value, str):
        return ""
    return next((what for pattern, what in _LITERAL if pattern.search(value)), "")


class Secrets:
    """The secrets one run has resolved. ``environ`` is where env: references look, ``cluster`` where secret: ones do."""

    def __init__(self, environ: Mapping[str, str], cluster: Holder | None = None) -> None:
        self.environ = environ
        self._cluster = cluster
        self._known: tuple[str, ...] = ()

    def resolve(self, text: str) -> str:
        """The text, or the secret it refers to: ``env:NAME``, ``file:PATH``, ``secret:NAMESPACE/NAME/KEY``.

        Or one of those after "Bearer ", "Basic " or "token ". Raises ValueError with what to do when there is none;
        Retry or GiveUp when the cluster does not tell.
        """
        if loose := _LOOSE.fullmatch(text):
            value = self.resolve(loose[2])
            if loose[1] == "Basic":
                self._know_login(value)
            return f"{loose[1]} {value}"
        found = _REFERENCE.fullmatch(text)
        if not found:
            return text
        where, name = found.groups()
        match where:
            case "file":
                value = self._from_file(name)
            case "secret":
                value = self._from_cluster(name)
            case _:
                value = self._from_environment(name)
        if len(value) < SHORTEST:
            raise ValueError(
                f"the secret of {text} is shorter than {SHORTEST} characters, too short to be kept out of results"
            )
        self.know(value)
        return value

    def know(self, value: str) -> None:
        """Mask a text from now on as if it had been resolved: a part of a secret that may show up by itself."""
        forms = {*self._known, *_forms(value)}
        self._known = tuple(sorted(forms, key=len, reverse=True))

    def know_named(self, name: str, value: str) -> None:
        """Mask the value of a variable whose name says that it is a secret, if it is long enough to be masked."""
        if _TELLING.search(name) and len(value) >= SHORTEST:
            self.know(value)

    def _know_login(self, value: str) -> None:
        """A server may answer with the password itself where it was sent user:password in base64."""
        try:
            login = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return
        for part in (login, login.partition(":")[2]):
            self.know(part)

    def mask(self, text: str) -> str:
        """The text without any secret resolved so far, and without signs that no terminal and no database should get.

        Found as it is, in base64, hex, percent-encoded or escaped for JSON, HTML or Python, and broken over lines. The
        user and password of an address are masked wherever they come from.
        """
        known = self._known
        for form in known:
            text = text.replace(form, MASK)
        if _BREAK.search(text):
            text = self._mask_broken(text, known)
        return _UNFIT.sub("\ufffd", _USER.sub(f"{MASK}@", text))

    def _mask_broken(self, text: str, known: tuple[str, ...]) -> str:
        """Look again with the ends of lines taken out, and mask from where a secret begins to where it ends."""
        joined: list[str] = []
        starts: list[int] = []
        end = 0
        for gap in [*_BREAK.finditer(text), None]:
            upto = gap.start() if gap else len(text)
            joined.append(text[end:upto])
            starts += range(end, upto)
            end = gap.end() if gap else upto
        flat = "".join(joined)
        spans: list[tuple[int, int]] = []
        for form in known:
            bare = _BREAK.sub("", form)
            at = flat.find(bare) if len(bare) >= SURE else -1
            while at >= 0:
                spans.append((starts[at], starts[at + len(bare) - 1] + 1))
                at = flat.find(bare, at + 1)
        return _blotted(text, spans)

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

    def _from_cluster(self, name: str) -> str:
        parts = _IN_CLUSTER.fullmatch(name)
        if not parts:
            raise ValueError(f"secret:{name} must be secret:NAMESPACE/NAME/KEY")
        if self._cluster is None:
            raise ValueError(f"secret:{name} needs Kubernetes: add a kubernetes: section to captain.yml")
        namespace, secret, key = parts.groups()
        found = self._cluster.get(ObjectRef("v1", "secrets", secret, namespace))
        if found is None:
            raise ValueError(f"there is no Secret {secret} in the namespace {namespace}; create it")
        data = found.get("data") or {}
        if key not in data:
            raise ValueError(
                f"the Secret {namespace}/{secret} has no key {key}; it has {', '.join(sorted(data)) or 'none'}"
            )
        try:
            return base64.b64decode(data[key], validate=True).decode().strip()
        except (binascii.Error, UnicodeDecodeError, TypeError) as problem:
            raise ValueError(f"the key {key} of the Secret {namespace}/{secret} holds no text") from problem


def _blotted(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with every span masked; those that overlap are one."""
    parts: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if start >= end:
            parts += [text[end:start], MASK]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


def _forms(value: str) -> list[str]:
    """A secret in every way it may come back to us."""
    # The signs that browsers and curl leave alone in a part of an address, and in a whole one, differ from Python's.
    percent = {quote_plus(value), *(quote(value, safe=safe) for safe in ("", "/", "!'()*", ";/?:@&=+$,#!'()*"))}
    escaped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    escaped |= {html.escape(value), html.escape(value, quote=False), json.dumps(json.dumps(value))[3:-3]}
    forms = {value, *value.splitlines(), *percent, *escaped}
    forms |= {re.sub("%[0-9A-F]{2}", _lower, form) for form in percent}
    forms |= {form.replace("/", "\\/") for form in escaped}
    raw = value.encode()
    for digits in (raw.hex(), raw.hex(":"), raw.hex(" ")):
        forms |= {digits, digits.upper()}
    for lead in range(3):
        # Inside a longer text the secret starts at any of three places of base64's grid; only whole groups are sure.
        skip = -(-lead * 8 // 6) if lead else 0
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * lead + raw).decode().rstrip("=")
            whole = text[skip : (lead + len(raw)) * 8 // 6]
            forms |= {whole, quote(whole, safe="")}
    forms.add(base64.b64encode(raw).decode())
    return sorted((form for form in forms if len(form) >= SHORTEST), key=len, reverse=True)


def _lower(found: re.Match[str]) -> str:
    return found[0].lower()
