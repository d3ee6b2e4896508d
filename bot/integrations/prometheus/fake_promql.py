"""The parser of the PromQL subset, with the type rules and the error sentences of the real one."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from bot.integrations.prometheus.fake_lexer import BadQueryError, Token, duration_ms, tokens, unsupported
from bot.integrations.prometheus.fake_syntax import (
    AGGREGATIONS,
    AGGREGATIONS_ELSEWHERE,
    COMPARISONS,
    ELSEWHERE,
    FUNCTIONS,
    PRECEDENCE,
    SCALAR,
    SET_OPERATORS,
    VECTOR,
    WITH_PARAMETER,
    Aggregate,
    Binary,
    Call,
    Matcher,
    Matching,
    Negative,
    Node,
    Number,
    Selector,
    Text,
    kind,
)

KEYWORDS = frozenset(("on", "ignoring", "bool", "by", "without", "offset", "group_left", "group_right"))
_UNARY = 5  # a minus sign binds as * does: -2 ^ 2 is -(2 ^ 2)


def parse(text: str) -> Node:
    """The tree of a query, type-checked. Raises BadQueryError."""
    parser = _Parser(tokens(text))
    if parser.now.kind == "eof":
        raise BadQueryError(0, "no expression found in input")
    node = parser.expression(0)
    if parser.now.kind != "eof":
        raise parser.surprise()
    return node


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """The matchers of a ``match[]`` parameter. Raises BadQueryError."""
    node = parse(text)
    if not isinstance(node, Selector) or node.range_ms is not None or node.offset_ms is not None:
        raise BadQueryError(0, "only an instant vector selector is allowed here")
    return node.matchers


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self.found = found
        self.index = 0

    @property
    def now(self) -> Token:
        return self.found[self.index]

    def take(self) -> Token:
        token = self.now
        self.index += token.kind != "eof"
        return token

    def at(self, *texts: str) -> bool:
        return self.now.kind in ("op", "ident") and self.now.text in texts

    def expect(self, text: str, where: str, expected: str = "") -> Token:
        if not self.at(text):
            raise self.surprise(where, expected)
        return self.take()

    def surprise(self, where: str = "", expected: str = "") -> BadQueryError:
        token = self.now
        within = (f" in {where}" if where else "") + (f", expected {expected}" if expected else "")
        if token.kind in ("eof", "stray"):
            return BadQueryError(token.pos, token.text or f"unexpected end of input{within}")
        return BadQueryError(token.pos, f"unexpected {_described(token)}{within}")

    def expression(self, least: int) -> Node:
        left = self.unary()
        while True:
            word = self.now.text.lower() if self.now.kind in ("op", "ident") else ""
            if word == "atan2":
                raise unsupported(self.now.pos, "the operator atan2")
            level = PRECEDENCE.get(word, -1)
            if level < max(least, 1):
                return left
            sign = self.take()
            as_bool, matching = self.modifiers()
            right = self.expression(level if word == "^" else level + 1)
            left = _checked(Binary(word, left, right, as_bool, matching, left.pos), sign.pos)

    def modifiers(self) -> tuple[bool, Matching]:
        as_bool = self.at("bool")
        if as_bool:
            self.take()
        matching = Matching()
        if self.at("on", "ignoring"):
            on = self.take().text == "on"
            matching = Matching(self.names(), on)
            if self.at("group_left", "group_right"):
                many = self.take().text.removeprefix("group_")
                include = self.names() if self.at("(") else ()
                matching = replace(matching, many=many, include=include)
        return as_bool, matching

    def names(self) -> tuple[str, ...]:
        self.expect("(", "grouping opts", '"("')
        found: list[str] = []
        while not self.at(")"):
            if self.now.kind != "ident" or ":" in self.now.text:
                raise self.surprise("grouping opts", "label")
            found.append(self.take().text)
            if not self.at(")"):
                self.expect(",", "grouping opts", '"," or ")"')
        self.take()
        return tuple(found)

    def unary(self) -> Node:
        if self.at("-", "+"):
            sign = self.take()
            inner = self.expression(_UNARY + 1)
            if kind(inner) not in (SCALAR, VECTOR):
                raise BadQueryError(
                    sign.pos,
                    "unary expression only allowed on expressions of type scalar or instant vector, got "
                    f'"{kind(inner)}"',
                )
            return Negative(inner, sign.pos) if sign.text == "-" else inner
        bare = not self.at("(")
        return self.suffixes(self.primary(), bare=bare)

    def suffixes(self, node: Node, *, bare: bool) -> Node:
        """What may follow a selector; ``bare`` is False for one in parentheses, which takes none of it."""
        while True:
            if self.at("["):
                node = self.ranged(node, bare=bare)
            elif self.at("offset"):
                node = self.shifted(node, bare=bare)
            elif self.at("@"):
                raise unsupported(self.now.pos, "the @ modifier")
            else:
                return node

    def ranged(self, node: Node, *, bare: bool) -> Node:
        bracket = self.take()
        if self.now.kind != "duration":
            raise self.surprise()
        span = _duration(self.take())
        if self.at(":"):
            raise unsupported(bracket.pos, "subqueries")
        if not self.at("]"):
            raise self.surprise("subquery selector")
        self.take()
        if not isinstance(node, Selector) or node.range_ms is not None or not bare:
            raise BadQueryError(bracket.pos, "ranges only allowed for vector selectors")
        if node.offset_ms is not None:
            raise BadQueryError(bracket.pos, "no offset modifiers allowed before range")
        return replace(node, range_ms=span)

    def shifted(self, node: Node, *, bare: bool) -> Node:
        word = self.take()
        sign = -1 if self.at("-") else 1
        if self.at("-", "+"):
            self.take()
        if self.now.kind != "duration":
            raise self.surprise("offset", "duration")
        span = _duration(self.take()) * sign
        if not isinstance(node, Selector) or not bare:
            raise BadQueryError(
                word.pos, "offset modifier must be preceded by an instant vector selector or range vector selector"
            )
        if node.offset_ms is not None:
            raise BadQueryError(node.pos, "offset may not be set multiple times")
        return replace(node, offset_ms=span)

    def primary(self) -> Node:
        token = self.now
        if token.kind == "number":
            return Number(_number(self.take().text), token.pos)
        if token.kind == "string":
            return Text(self.take().text, token.pos)
        if self.at("("):
            self.take()
            inner = self.expression(0)
            self.expect(")", "paren expression")
            return replace(inner, pos=token.pos) if not isinstance(inner, Selector) else inner
        if self.at("{"):
            return self.selector("")
        if token.kind == "ident" and token.text not in KEYWORDS - {"by", "without", "offset"}:
            return self.named()
        raise self.surprise()

    def named(self) -> Node:
        token = self.take()
        word = token.text
        if word.lower() in ("inf", "nan") and not self.at("{"):
            return Number(float(word), token.pos)
        grouped = self.at("by", "without")
        if (word.lower() in AGGREGATIONS | AGGREGATIONS_ELSEWHERE) and (self.at("(") or grouped):
            return self.aggregate(token)
        if self.at("("):
            return self.call(token)
        return self.selector(word, token.pos)

    def arguments(self, where: str = "") -> list[Node]:
        self.expect("(", where)
        found: list[Node] = []
        while not self.at(")"):
            found.append(self.expression(0))
            if self.at(","):
                comma = self.take()
                if self.at(")"):
                    raise BadQueryError(comma.pos, "trailing commas not allowed in function call args")
            elif not self.at(")"):
                raise self.surprise(where)
        self.take()
        return found

    def call(self, token: Token) -> Node:
        name = token.text
        if name in ELSEWHERE:
            raise unsupported(token.pos, f"the function {name}()")
        if name not in FUNCTIONS:
            raise BadQueryError(token.pos, f'unknown function with name "{name}"')
        args, wants = self.arguments(), FUNCTIONS[name][0]
        if len(args) != len(wants):
            raise BadQueryError(token.pos, f'expected {len(wants)} argument(s) in call to "{name}", got {len(args)}')
        for arg, want in zip(args, wants, strict=True):
            _want(arg, want, f'call to function "{name}"')
        return Call(name, tuple(args), token.pos)

    def aggregate(self, token: Token) -> Node:
        op = token.text.lower()
        if op in AGGREGATIONS_ELSEWHERE:
            raise unsupported(token.pos, f"the aggregation {op}")
        labels, without = self.grouping() if self.at("by", "without") else (None, False)
        args = self.arguments("aggregation")
        if labels is None and self.at("by", "without"):
            labels, without = self.grouping()
        wanted = 2 if op in WITH_PARAMETER else 1
        if not args:
            raise BadQueryError(token.pos, "no arguments for aggregate expression provided")
        if len(args) != wanted:
            raise BadQueryError(
                token.pos,
                f"wrong number of arguments for aggregate expression provided, expected {wanted}, got {len(args)}",
            )
        _want(args[-1], VECTOR, "aggregation expression")
        if wanted == 2:
            _want(args[0], SCALAR, "aggregation parameter")
        return Aggregate(op, args[-1], args[0] if wanted == 2 else None, labels or (), without, token.pos)

    def grouping(self) -> tuple[tuple[str, ...], bool]:
        without = self.take().text == "without"
        return self.names(), without

    def selector(self, name: str, pos: int | None = None) -> Node:
        start = self.now.pos if pos is None else pos
        found = [Matcher("__name__", "=", name)] if name else []
        if self.at("{"):
            self.take()
            while not self.at("}"):
                found.append(self.matcher())
                if not self.at("}"):
                    self.expect(",", "label matching", '"," or "}"')
            self.take()
        if name and any(m.label == "__name__" for m in found[1:]):
            second = next(m.value for m in found[1:] if m.label == "__name__")
            raise BadQueryError(start, f'metric name must not be set twice: "{name}" or "{second}"')
        if all(m.matches("") for m in found):
            raise BadQueryError(start, "vector selector must contain at least one non-empty matcher")
        return Selector(tuple(found), start)

    def matcher(self) -> Matcher:
        label = self.now
        if label.kind != "ident":
            raise self.surprise("label matching", 'identifier or "}"')
        self.take()
        if not self.at("=", "!=", "=~", "!~"):
            raise self.surprise("label matching", "label matching operator")
        op = self.take().text
        if self.now.kind != "string":
            raise self.surprise("label matching", "string")
        value = self.take()
        if op in ("=~", "!~"):
            _check_regex(value.text, label.pos)
        return Matcher(label.text, op, value.text)


def _number(text: str) -> float:
    return float(int(text, 16)) if text[:2].lower() == "0x" else float(text)


def _described(token: Token) -> str:
    """A token as the real parser names it in its errors."""
    if token.kind == "string":
        return f"string {json.dumps(json.dumps(token.text))}"
    if token.kind == "op":
        signs = {")": "right parenthesis ')'", "]": "right bracket ']'", "(": '"("', "{": '"{"', ",": '","', "[": '"["'}
        return signs.get(token.text, f"<op:{token.text}>")
    if token.kind == "ident":
        if token.text in KEYWORDS:
            return f"<{token.text}>"
        return f"<op:{token.text}>" if token.text in SET_OPERATORS else f'identifier "{token.text}"'
    return f'{token.kind} "{token.text}"'


def _duration(token: Token) -> int:
    try:
        return duration_ms(token.text)
    except ValueError as problem:
        raise BadQueryError(token.pos, str(problem)) from problem


def _want(node: Node, wanted: str, where: str) -> None:
    if kind(node) != wanted:
        raise BadQueryError(node.pos, f"expected type {wanted} in {where}, got {kind(node)}")


def _checked(node: Binary, sign: int) -> Binary:
    sides = {kind(node.left), kind(node.right)}
    if node.as_bool and node.op not in COMPARISONS:
        raise BadQueryError(sign, "bool modifier can only be used on comparison operators")
    if not sides <= {SCALAR, VECTOR}:
        raise BadQueryError(node.pos, "binary expression must contain only scalar and instant vector types")
    if node.op in COMPARISONS and sides == {SCALAR} and not node.as_bool:
        raise BadQueryError(sign, "comparisons between scalars must use BOOL modifier")
    if node.op in SET_OPERATORS and SCALAR in sides:
        raise BadQueryError(node.pos, f'set operator "{node.op}" not allowed in binary scalar expression')
    if node.op in SET_OPERATORS and node.matching.many:
        raise BadQueryError(node.pos, f'no grouping allowed for "{node.op}" operation')
    if SCALAR in sides and (node.matching.labels or node.matching.on):
        raise BadQueryError(node.pos, "vector matching only allowed between instant vectors")
    both = set(node.matching.labels) & set(node.matching.include)
    if node.matching.on and both:
        raise BadQueryError(node.pos, f'label "{min(both)}" must not occur in ON and GROUP clause at once')
    return node


def _check_regex(text: str, pos: int) -> None:
    """Refuse what Go's RE2 refuses and Python's re would take: look-around and back-references."""
    perl = re.search(r"\(\?(?:<?[=!]|>|P=)", text)
    if perl:
        raise BadQueryError(pos, f"error parsing regexp: invalid or unsupported Perl syntax: `{perl.group()}`")
    back = re.search(r"(?<!\\)(?:\\\\)*(\\[1-9])", text)
    if back:
        raise BadQueryError(pos, f"error parsing regexp: invalid escape sequence: `{back.group(1)}`")
    try:
        re.compile(text)
    except re.error as problem:
        reason = "missing closing )" if "missing )" in problem.msg else problem.msg
        raise BadQueryError(pos, f"error parsing regexp: {reason}: `^(?:{text})$`") from problem
