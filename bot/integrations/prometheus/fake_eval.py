"""The evaluator of the PromQL subset: what the real one computes, sample by sample, as of version 2.42."""

from __future__ import annotations

import math
import operator
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from bot.integrations.prometheus.fake_functions import OVER_RANGE, BadLabelError, histogram_quantile, label_replace
from bot.integrations.prometheus.fake_series import Labels, Point, Source
from bot.integrations.prometheus.fake_syntax import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregate,
    Binary,
    Call,
    Matching,
    Negative,
    Node,
    Number,
    Selector,
    Text,
)

LOOKBACK_MS = 300_000
MAX_SAMPLES = 2_000_000
"""Samples one query may load; the real default is 50 million."""

Vector = list[tuple[Labels, float]]
Value = float | str | Vector


class ExecutionError(Exception):
    """A query that parses but cannot be carried out; Prometheus answers 422."""


class QueryTimeoutError(Exception):
    """A query that took longer than it may; Prometheus answers 503."""


def nameless(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != "__name__")


@dataclass
class Evaluation:
    """One query over ``start`` to ``end`` (UNIX ms). ``deadline`` is on time.monotonic()."""

    sources: Sequence[Source]
    start: int
    end: int
    deadline: float
    loaded: int = 0
    _held: dict[int, list[tuple[Labels, list[int], list[Point]]]] = field(default_factory=dict)

    def at(self, node: Node, when: int) -> Value:
        """The value of an expression that is no range vector at one time."""
        if time.monotonic() > self.deadline:
            raise QueryTimeoutError("query timed out in expression evaluation")
        match node:
            case Number() | Text():
                return node.value
            case Selector():
                return self._instant(node, when)
            case Call():
                return self._call(node, when)
            case Aggregate():
                return self._aggregate(node, when)
            case Negative():
                inner = self.at(node.expr, when)
                return -inner if isinstance(inner, float) else [(nameless(k), -v) for k, v in _vector(inner)]
        return self._binary(node, when)

    def matrix(self, node: Selector, when: int) -> list[tuple[Labels, list[Point]]]:
        """The samples of a range selector at one time; both ends belong to it, as up to Prometheus 2."""
        assert node.range_ms is not None
        last = when - (node.offset_ms or 0)
        first = last - node.range_ms
        found = []
        for labels, stamps, points in self._load(node):
            inside = points[bisect_left(stamps, first) : bisect_right(stamps, last)]
            if inside:
                found.append((labels, inside))
        return found

    def _load(self, node: Selector) -> list[tuple[Labels, list[int], list[Point]]]:
        """Everything the selector can need between start and end, read once."""
        if id(node) not in self._held:
            back = (node.offset_ms or 0) + (LOOKBACK_MS if node.range_ms is None else node.range_ms)
            held = []
            for source in self.sources:
                for labels, points_of in source.select(node.matchers):
                    points = points_of(self.start - back, self.end - (node.offset_ms or 0))
                    self.loaded += len(points)
                    if self.loaded > MAX_SAMPLES:
                        raise ExecutionError(
                            "query processing would load too many samples into memory in query execution"
                        )
                    held.append((labels, [at for at, _ in points], points))
            self._held[id(node)] = sorted(held, key=itemgetter(0))
        return self._held[id(node)]

    def _instant(self, node: Selector, when: int) -> Vector:
        when -= node.offset_ms or 0
        found: Vector = []
        for labels, stamps, points in self._load(node):
            place = bisect_right(stamps, when) - 1
            if place >= 0 and stamps[place] >= when - LOOKBACK_MS:
                found.append((labels, points[place][1]))
        return found

    def _call(self, node: Call, when: int) -> Value:
        if node.name in OVER_RANGE:
            return self._over_range(node, when)
        args = [self.at(arg, when) for arg in node.args]
        found: Value
        match node.name:
            case "time":
                found = when / 1000
            case "absent":
                found = _absent(node.args[0], _vector(args[0]))
            case "vector":
                found = [((), _scalar(args[0]))]
            case "scalar":
                held = _vector(args[0])
                found = held[0][1] if len(held) == 1 else math.nan
            case "histogram_quantile":
                found = _unique(histogram_quantile(_scalar(args[0]), _vector(args[1])))
            case "label_replace":
                try:
                    found = _unique(label_replace(_vector(args[0]), *(_text(arg) for arg in args[1:])))
                except BadLabelError as problem:
                    raise ExecutionError(str(problem)) from problem
            case _:
                change = _CHANGES[node.name]
                others = [_scalar(arg) for arg in args[1:]]
                found = _unique([(nameless(k), change(v, *others)) for k, v in _vector(args[0])])
        return found

    def _over_range(self, node: Call, when: int) -> Vector:
        (selector,) = node.args
        assert isinstance(selector, Selector)
        last = when - (selector.offset_ms or 0)
        first = last - (selector.range_ms or 0)
        found: Vector = []
        for labels, points in self.matrix(selector, when):
            value = OVER_RANGE[node.name](points, first, last)
            if value is not None:
                found.append((labels if node.name == "last_over_time" else nameless(labels), value))
        return _unique(found)

    def _aggregate(self, node: Aggregate, when: int) -> Vector:
        groups: dict[Labels, Vector] = {}
        for labels, value in _vector(self.at(node.expr, when)):
            inside = [
                p for p in labels if (p[0] in node.labels) != node.without and (p[0] != "__name__" or not node.without)
            ]
            groups.setdefault(tuple(inside), []).append((labels, value))
        if node.parameter is None:
            return [(key, _FOLDS[node.op]([v for _, v in members])) for key, members in groups.items()]
        count = _scalar(self.at(node.parameter, when))
        if math.isnan(count) or math.isinf(count):
            raise ExecutionError(f"Scalar value {count} overflows int64")
        sign = -1 if node.op == "topk" else 1
        found: Vector = []
        for members in groups.values():
            ranked = sorted(members, key=lambda m: (math.isnan(m[1]), sign * m[1] if not math.isnan(m[1]) else 0.0))
            found += ranked[: max(0, int(count))]
        return found

    def _binary(self, node: Binary, when: int) -> Value:
        left, right = self.at(node.left, when), self.at(node.right, when)
        if node.op in SET_OPERATORS:
            return _set(node.op, _vector(left), _vector(right), node.matching)
        if isinstance(left, float) and isinstance(right, float):
            return float(_ARITHMETIC[node.op](left, right))
        if isinstance(left, list) and isinstance(right, list):
            return _vectors(node, left, right)
        flipped = isinstance(left, float)
        single, many = (left, right) if flipped else (right, left)
        found: Vector = []
        for labels, value in _vector(many):
            a, b = (_scalar(single), value) if flipped else (value, _scalar(single))
            kept = _outcome(node, a, b, value)
            if kept is not None:
                found.append((labels if node.op in COMPARISONS and not node.as_bool else nameless(labels), kept))
        return _unique(found)


def _vector(value: Value) -> Vector:
    assert isinstance(value, list)
    return value


def _scalar(value: Value) -> float:
    assert isinstance(value, (float, int))
    return float(value)


def _text(value: Value) -> str:
    assert isinstance(value, str)
    return value


def _unique(found: Vector) -> Vector:
    if len({labels for labels, _ in found}) != len(found):
        raise ExecutionError("vector cannot contain metrics with the same labelset")
    return found


def _raised(value: float, edge: float) -> float:
    return math.nan if math.isnan(value) or math.isnan(edge) else max(value, edge)


def _lowered(value: float, edge: float) -> float:
    return math.nan if math.isnan(value) or math.isnan(edge) else min(value, edge)


_CHANGES: dict[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": lambda v: float(math.ceil(v)) if math.isfinite(v) else v,
    "floor": lambda v: float(math.floor(v)) if math.isfinite(v) else v,
    "clamp_min": _raised,
    "clamp_max": _lowered,
}


def _absent(node: Node, held: Vector) -> Vector:
    if held:
        return []
    labels: dict[str, str] = {}
    if isinstance(node, Selector):
        seen = [m.label for m in node.matchers]
        labels = {m.label: m.value for m in node.matchers if m.op == "=" and m.label != "__name__" and m.value}
        labels = {k: v for k, v in labels.items() if seen.count(k) == 1}
    return [(tuple(sorted(labels.items())), 1.0)]


def _divide(a: float, b: float) -> float:
    if b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def _modulo(a: float, b: float) -> float:
    return math.nan if b == 0 or math.isinf(a) else math.fmod(a, b)


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        return math.nan if a else math.copysign(math.inf, a) if b % 2 == 1 else math.inf


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": _modulo,
    "^": _power,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _least(values: list[float]) -> float:
    return min((v for v in values if not math.isnan(v)), default=math.nan)


def _most(values: list[float]) -> float:
    return max((v for v in values if not math.isnan(v)), default=math.nan)


def _total(values: list[float]) -> float:
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)


_FOLDS: dict[str, Callable[[list[float]], float]] = {
    "sum": _total,
    "avg": lambda values: _total(values) / len(values),
    "min": _least,
    "max": _most,
    "count": lambda values: float(len(values)),
}


def _outcome(node: Binary, a: float, b: float, kept: float) -> float | None:
    """The value of one pair, or None when a comparison drops it."""
    result = _ARITHMETIC[node.op](a, b)
    if node.op not in COMPARISONS:
        return float(result)
    if node.as_bool:
        return float(result)
    return kept if result else None


def _key(labels: Labels, matching: Matching) -> Labels:
    if matching.on:
        return tuple(p for p in labels if p[0] in matching.labels)
    return tuple(p for p in labels if p[0] not in matching.labels and p[0] != "__name__")


def _set(op: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    if op == "or":
        known = {_key(labels, matching) for labels, _ in left}
        return [*left, *((k, v) for k, v in right if _key(k, matching) not in known)]
    known = {_key(labels, matching) for labels, _ in right}
    return [(k, v) for k, v in left if (_key(k, matching) in known) == (op == "and")]


def _vectors(node: Binary, left: Vector, right: Vector) -> Vector:
    matching, flipped = node.matching, node.matching.many == "right"
    many, one = (right, left) if flipped else (left, right)
    ones: dict[Labels, tuple[Labels, float]] = {}
    for labels, value in one:
        key = _key(labels, matching)
        if key in ones:
            side = "left" if flipped else "right"
            raise ExecutionError(
                f"found duplicate series for the match group {_show(key)} on the {side} hand-side of the operation: "
                f"[{_show(labels)}, {_show(ones[key][0])}];"
                "many-to-many matching not allowed: matching labels must be unique on one side"
            )
        ones[key] = (labels, value)
    found: dict[Labels, float] = {}
    met: set[Labels] = set()
    for labels, value in many:
        key = _key(labels, matching)
        if key not in ones:
            continue
        other, single = ones[key]
        a, b = (single, value) if flipped else (value, single)
        kept = _outcome(node, a, b, a)
        if kept is None:
            continue
        result = _result(node, labels, other)
        if not matching.many and key in met:
            raise ExecutionError(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        if result in found:
            raise ExecutionError("multiple matches for labels: grouping labels must ensure unique matches")
        met.add(key)
        found[result] = kept
    return list(found.items())


def _result(node: Binary, labels: Labels, other: Labels) -> Labels:
    """The labels of a matched pair; ``other`` is from the side of which there is one."""
    matching = node.matching
    held = dict(labels)
    if node.op not in COMPARISONS or node.as_bool:
        held.pop("__name__", None)
    if not matching.many:
        held = {k: v for k, v in held.items() if (k in matching.labels) == matching.on}
    for name in matching.include:
        held.pop(name, None)
        if value := dict(other).get(name):
            held[name] = value
    return tuple(sorted(held.items()))


def _show(labels: Labels) -> str:
    name = dict(labels).get("__name__", "")
    inside = ", ".join(f'{k}="{v}"' for k, v in labels if k != "__name__")
    both = [f'__name__="{name}"'] if name else []
    return "{" + ", ".join([*both, *([inside] if inside else [])]) + "}"
