"""The PromQL subset the stand-in reads: its syntax tree and what its functions take and give.

In the subset: selectors with = != =~ !~, ranges and offset; rate and its kin; aggregations by/without; arithmetic,
comparison (bool) and set operators with on/ignoring/group_left/group_right; the functions named in ``FUNCTIONS``.
Everything else PromQL knows is refused by name; nothing is guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SCALAR, VECTOR, MATRIX, STRING = "scalar", "instant vector", "range vector", "string"

FUNCTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    **dict.fromkeys(("rate", "increase", "irate", "delta", "changes", "resets"), ((MATRIX,), VECTOR)),
    **{f"{name}_over_time": ((MATRIX,), VECTOR) for name in ("avg", "min", "max", "sum", "count", "last")},
    **dict.fromkeys(("abs", "ceil", "floor", "absent"), ((VECTOR,), VECTOR)),
    **dict.fromkeys(("clamp_min", "clamp_max"), ((VECTOR, SCALAR), VECTOR)),
    "histogram_quantile": ((SCALAR, VECTOR), VECTOR),
    "label_replace": ((VECTOR, STRING, STRING, STRING, STRING), VECTOR),
    "vector": ((SCALAR,), VECTOR),
    "scalar": ((VECTOR,), SCALAR),
    "time": ((), SCALAR),
}
"""What each function takes and gives."""

ELSEWHERE = frozenset(
    (
        "absent_over_time",
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atanh",
        "clamp",
        "cos",
        "cosh",
        "day_of_month",
        "day_of_week",
        "day_of_year",
        "days_in_month",
        "deg",
        "deriv",
        "exp",
        "histogram_count",
        "histogram_fraction",
        "histogram_sum",
        "holt_winters",
        "hour",
        "idelta",
        "label_join",
        "ln",
        "log10",
        "log2",
        "minute",
        "month",
        "pi",
        "predict_linear",
        "present_over_time",
        "quantile_over_time",
        "rad",
        "round",
        "sgn",
        "sin",
        "sinh",
        "sort",
        "sort_desc",
        "sqrt",
        "stddev_over_time",
        "stdvar_over_time",
        "tan",
        "tanh",
        "timestamp",
        "year",
    )
)
"""Functions the real Prometheus has and this stand-in has not."""

AGGREGATIONS = frozenset(("sum", "avg", "min", "max", "count", "topk", "bottomk"))
WITH_PARAMETER = frozenset(("topk", "bottomk", "quantile", "count_values"))
AGGREGATIONS_ELSEWHERE = frozenset(("stddev", "stdvar", "group", "quantile", "count_values"))

SET_OPERATORS = frozenset(("and", "or", "unless"))
COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
PRECEDENCE = {
    "or": 1,
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(COMPARISONS, 3),
    **dict.fromkeys("+-", 4),
    **dict.fromkeys("*/%", 5),
    "^": 6,
}


@dataclass(frozen=True)
class Matcher:
    """One label condition; ``op`` is = != =~ or !~."""

    label: str
    op: str
    value: str

    def matches(self, value: str) -> bool:
        if self.op in ("=", "!="):
            return (value == self.value) == (self.op == "=")
        return (re.fullmatch(self.value, value) is not None) == (self.op == "=~")


@dataclass(frozen=True)
class Number:
    value: float
    pos: int


@dataclass(frozen=True)
class Text:
    value: str
    pos: int


@dataclass(frozen=True)
class Selector:
    """``range_ms`` is None for an instant selector. ``offset_ms`` looks back when positive."""

    matchers: tuple[Matcher, ...]
    pos: int
    range_ms: int | None = None
    offset_ms: int | None = None


@dataclass(frozen=True)
class Call:
    name: str
    args: tuple[Node, ...]
    pos: int


@dataclass(frozen=True)
class Aggregate:
    op: str
    expr: Node
    parameter: Node | None
    labels: tuple[str, ...]
    without: bool
    pos: int


@dataclass(frozen=True)
class Matching:
    """How two vectors meet: ``on`` or ignoring these labels; ``many`` is left, right or empty for one-to-one."""

    labels: tuple[str, ...] = ()
    on: bool = False
    many: str = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binary:
    op: str
    left: Node
    right: Node
    as_bool: bool
    matching: Matching
    pos: int


@dataclass(frozen=True)
class Negative:
    expr: Node
    pos: int


Node = Number | Text | Selector | Call | Aggregate | Binary | Negative


def kind(node: Node) -> str:
    """The type of an expression, as Prometheus names it in its errors."""
    match node:
        case Number():
            found = SCALAR
        case Text():
            found = STRING
        case Selector():
            found = VECTOR if node.range_ms is None else MATRIX
        case Call():
            found = FUNCTIONS[node.name][1]
        case Aggregate():
            found = VECTOR
        case Negative():
            found = kind(node.expr)
        case Binary():
            found = SCALAR if kind(node.left) == kind(node.right) == SCALAR else VECTOR
    return found
