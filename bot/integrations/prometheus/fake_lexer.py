"""PromQL cut into tokens, with the errors and positions the real lexer gives."""

from __future__ import annotations

import re
from dataclasses import dataclass

DURATION_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}

_SPACE = re.compile(r"(?:\s|#[^\n]*)+")
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+(?![A-Za-z0-9_.])")
_DURATION_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_IDENT = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IN_BRACES = re.compile(r"=~|!~|!=|=|[,{}]")
_OPENS = {"(": "unclosed left parenthesis", "[": "unclosed left bracket", "{": "unexpected end of input inside braces"}
_STRAY = {")": "unexpected right parenthesis ')'", "]": "unexpected right bracket ']'"}
_CLOSES = {")": "(", "]": "[", "}": "{"}
_OPERATOR = re.compile(r"==|!=|=~|!~|<=|>=|[-+*/%^<>=@(){}\[\],:]")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[abfnrtv\\'\"]|.)", re.DOTALL)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class BadQueryError(Exception):
    """A query that does not parse. ``pos`` is an offset into the text; ``at`` puts it as line:column, as Prometheus does."""

    def __init__(self, pos: int, reason: str) -> None:
        super().__init__(reason)
        self.pos = pos
        self.reason = reason

    def at(self, text: str) -> str:
        before = text[: self.pos]
        column = self.pos - (before.rfind("\n") + 1) + 1
        return f"{before.count(chr(10)) + 1}:{column}: parse error: {self.reason}"


def unsupported(pos: int, what: str) -> BadQueryError:
    """Real PromQL that this stand-in does not evaluate: said, never guessed."""
    return BadQueryError(pos, f"unsupported by this stand-in: {what}")


@dataclass(frozen=True)
class Token:
    """``kind``: ident, number, duration, string, op, eof or stray (a bracket that closes nothing).

    ``text`` of a string is its value, of eof what is still open, of stray the error.
    """

    kind: str
    text: str
    pos: int


def duration_ms(text: str) -> int:
    """``1h30m`` in milliseconds. The units must go from large to small, each once."""
    parts = _DURATION_PART.findall(text)
    sizes = [DURATION_MS[unit] for _, unit in parts]
    if "".join(n + u for n, u in parts) != text or not parts or sizes != sorted(set(sizes), reverse=True):
        raise ValueError(f"not a valid duration string: {text!r}")
    total = sum(int(number) * DURATION_MS[unit] for number, unit in parts)
    if total == 0:
        raise ValueError("duration must be greater than 0")
    return total


def tokens(text: str) -> list[Token]:
    """The tokens of a query, ending with one ``eof`` whose text says what was left open. Raises BadQueryError."""
    found: list[Token] = []
    pos, opened = 0, ""
    while pos < len(text):
        if space := _SPACE.match(text, pos):
            pos = space.end()
            continue
        token, pos = _next(text, pos, opened[-1:])
        if token.kind == "op" and token.text in _OPENS:
            opened += token.text
        elif token.kind == "op" and token.text in _CLOSES:
            if not opened.endswith(_CLOSES[token.text]):
                return [*found, Token("stray", _STRAY[token.text], pos if token.text == ")" else token.pos)]
            opened = opened[:-1]
        found.append(token)
    return [*found, Token("eof", _OPENS.get(opened[-1:], ""), len(text))]


def _next(text: str, pos: int, within: str) -> tuple[Token, int]:
    """The token at ``pos``; ``within`` is the innermost open bracket, because braces and brackets have their own rules."""
    if text[pos] in "\"'`":
        return _string(text, pos)
    if within == "{":
        return _in_braces(text, pos)
    if duration := _DURATION.match(text, pos):
        return Token("duration", duration.group(), pos), duration.end()
    number = _NUMBER.match(text, pos)
    follow = text[number.end() : number.end() + 1] if number else ""
    if number and follow and (follow.isalnum() or follow in "_:"):
        what = "duration" if within == "[" else "number or duration"
        raise BadQueryError(pos, f'bad {what} syntax: "{number.group()}"')
    if within == "[" and text[pos - 1] == "[":
        raise BadQueryError(pos, "missing unit character in duration")
    if within == "[" and text[pos] == ":":
        return Token("op", ":", pos), pos + 1
    for kind, found in (("number", number), ("ident", _IDENT.match(text, pos)), ("op", _OPERATOR.match(text, pos))):
        if found and found.group() not in ("=", "}", "=~", "!~"):
            return Token(kind, found.group(), pos), found.end()
    raise BadQueryError(pos, f"unexpected character: {text[pos]!r}")


def _in_braces(text: str, pos: int) -> tuple[Token, int]:
    if ident := _LABEL.match(text, pos):
        return Token("ident", ident.group(), pos), ident.end()
    if operator := _IN_BRACES.match(text, pos):
        return Token("op", operator.group(), pos), operator.end()
    if text[pos] == "!":
        raise BadQueryError(pos, f"unexpected character after '!' inside braces: {text[pos + 1 : pos + 2]!r}")
    raise BadQueryError(pos, f"unexpected character inside braces: {text[pos]!r}")


def _string(text: str, pos: int) -> tuple[Token, int]:
    quote, end = text[pos], pos + 1
    while end < len(text) and text[end] != quote:
        if quote != "`" and text[end] == "\n":
            break
        end += 2 if text[end] == "\\" and quote != "`" else 1
    if end >= len(text) or text[end] != quote:
        raise BadQueryError(pos, "unterminated quoted string" if quote != "`" else "unterminated raw string")
    raw = text[pos + 1 : end]
    if quote == "`":
        return Token("string", raw, pos), end + 1

    def unescape(match: re.Match[str]) -> str:
        what = match.group(1)
        if len(what) > 1:
            return chr(int(what[1:], 16))
        if what in _ESCAPED:
            return _ESCAPED[what]
        if what in ("\\", quote):
            return what
        raise BadQueryError(pos, f"unknown escape sequence U+{ord(what):04X} {what!r}")

    return Token("string", _ESCAPE.sub(unescape, raw), pos), end + 1
