"""What the points of a time series come to: one value, or the reason why they come to none."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bot.integrations.prometheus import Series
from runbooks.compare import COMPARATORS
from runbooks.verdict import Outcome

FOLDS = ("max", "min", "avg", "last", "every")
MAX_SLOTS = 11_000
"""Points a series may have in one answer of Prometheus."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdw]))+")
_PART = re.compile(r"(\d+)(ms|[smhdw])")
_COUNTER = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*_(?:total|count|sum|bucket)\s*(?:\{[^}]*\})?")


def seconds(text: str) -> float:
    """Seconds of a duration as Prometheus writes it, such as 30m or 1h30m. Raises ValueError."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"must be a time such as 30m, not {text!r}")
    return math.fsum(int(count) * _UNITS[unit] for count, unit in _PART.findall(text))


def counts_up(expr: str) -> bool:
    """Whether a query is a counter as it stands, which only ever grows until its process starts again."""
    return _COUNTER.fullmatch(expr.strip()) is not None


@dataclass(frozen=True)
class Want:
    """What is wanted of the points: ``slots`` of them, ``step`` s apart, the newest at ``end`` (UNIX s).

    ``coverage``: percent of the slots that must hold a number.
    """

    fold: str
    op: str
    threshold: float
    end: float
    step: float
    slots: int
    coverage: float
    counter: bool = False


@dataclass(frozen=True)
class Folded:
    """What one series came to. ``why`` says what kept it from a verdict, if something did."""

    outcome: Outcome
    value: float
    covered: int
    labels: Mapping[str, str]
    why: str = ""


def judged(series: Series, want: Want) -> Folded:
    """The verdict on one series: never PASS with a gap too large, a reset, a stale end, a NaN or an infinite value."""
    points = [(at, value) for at, value in series.points if not math.isnan(value)]
    covered = len(points)
    if not points:
        return Folded(Outcome.NO_DATA, math.nan, 0, series.labels, "every value is NaN")
    values = [value for _, value in points]
    value = folded(values, want)
    holds = COMPARATORS[want.op](value, want.threshold)
    share = 100 * covered / want.slots
    drop = next((at for (_, low), (at, high) in pairwise(points) if high < low), None) if want.counter else None
    behind = want.end - points[-1][0]
    nans = len(series.points) - covered
    outcome, why = Outcome.INCONCLUSIVE, ""
    if share < want.coverage:
        gap = f" ({nans} are NaN)" if nans else ""
        why = f"only {covered} of {want.slots} slots hold a number{gap}, {share:.0f} % of at least {want.coverage:g} %"
    elif drop is not None:
        why = f"the counter was set back at {_clock(drop)}, so its process began anew"
    elif behind > 2 * want.step:
        why = f"it is stale: the newest value is of {_clock(points[-1][0])}, {behind:.0f} s ago"
    elif not holds:
        outcome = Outcome.FAIL
    elif nans:
        why = f"{nans} of {want.slots} values are NaN"
    elif any(map(math.isinf, values)):
        why = "a value is infinite"
    else:
        outcome = Outcome.PASS
    return Folded(outcome, value, covered, series.labels, why)


def folded(values: Sequence[float], want: Want) -> float:
    """One value of several; for ``every`` the one that is furthest from being as wanted."""
    match want.fold:
        case "max":
            return max(values)
        case "min":
            return min(values)
        case "avg":
            return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values)
        case "last":
            return values[-1]
    if want.op in ("==", "!="):
        return next((one for one in values if not COMPARATORS[want.op](one, want.threshold)), values[-1])
    return max(values) if want.op.startswith("<") else min(values)


def worst(found: Sequence[Folded], op: str) -> Folded:
    """The series to tell: one that fails first, then one that has no data, one that is not sure, one that is right."""
    order = (Outcome.FAIL, Outcome.NO_DATA, Outcome.INCONCLUSIVE, Outcome.PASS)

    def rank(one: Folded) -> tuple[int, float]:
        value = 0.0 if math.isnan(one.value) else one.value
        return (order.index(one.outcome), -value if op.startswith("<") else value)

    return min(found, key=rank)


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(at))
