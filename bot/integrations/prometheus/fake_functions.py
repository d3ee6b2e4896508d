"""The functions of the PromQL subset that look at many samples or many buckets, computed as Prometheus 2.42 does."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise

from bot.integrations.prometheus.fake_series import Labels, Point

OverRange = Callable[[list[Point], int, int], float | None]
"""(points of one series, window start ms, window end ms) to a value, or None for "not enough samples"."""


def _extrapolated(points: list[Point], start: int, end: int, *, counter: bool) -> float | None:
    """The growth over the window, from what was seen to the window's edges (as far as the samples' spacing allows)."""
    if len(points) < 2:
        return None
    (first_at, first), (last_at, last) = points[0], points[-1]
    grown = last - first
    if counter:
        grown += math.fsum(before for (_, before), (_, after) in pairwise(points) if after < before)
    to_start, to_end = (first_at - start) / 1000, (end - last_at) / 1000
    seen = (last_at - first_at) / 1000
    spacing = seen / (len(points) - 1)
    if counter and grown > 0 and first >= 0:
        # A counter cannot have been below zero: do not reach back past that.
        to_start = min(to_start, seen * (first / grown))
    limit = spacing * 1.1
    reach = seen
    reach += to_start if to_start < limit else spacing / 2
    reach += to_end if to_end < limit else spacing / 2
    return grown * (reach / seen)


def _increase(points: list[Point], start: int, end: int) -> float | None:
    return _extrapolated(points, start, end, counter=True)


def _rate(points: list[Point], start: int, end: int) -> float | None:
    grown = _increase(points, start, end)
    return None if grown is None else grown / ((end - start) / 1000)


def _delta(points: list[Point], start: int, end: int) -> float | None:
    return _extrapolated(points, start, end, counter=False)


def _irate(points: list[Point], _start: int, _end: int) -> float | None:
    if len(points) < 2:
        return None
    (before_at, before), (at, value) = points[-2], points[-1]
    return (value if value < before else value - before) / ((at - before_at) / 1000)


def _changes(points: list[Point], _start: int, _end: int) -> float:
    return float(sum(a != b and not (math.isnan(a) and math.isnan(b)) for (_, a), (_, b) in pairwise(points)))


def _resets(points: list[Point], _start: int, _end: int) -> float:
    return float(sum(after < before for (_, before), (_, after) in pairwise(points)))


def _known(points: list[Point]) -> list[float]:
    return [v for _, v in points if not math.isnan(v)]


OVER_RANGE: dict[str, OverRange] = {
    "rate": _rate,
    "increase": _increase,
    "irate": _irate,
    "delta": _delta,
    "changes": _changes,
    "resets": _resets,
    "avg_over_time": lambda points, _a, _b: sum(v for _, v in points) / len(points),
    "sum_over_time": lambda points, _a, _b: float(sum(v for _, v in points)),
    "min_over_time": lambda points, _a, _b: min(_known(points), default=math.nan),
    "max_over_time": lambda points, _a, _b: max(_known(points), default=math.nan),
    "count_over_time": lambda points, _a, _b: float(len(points)),
    "last_over_time": lambda points, _a, _b: points[-1][1],
}


def histogram_quantile(q: float, vector: list[tuple[Labels, float]]) -> list[tuple[Labels, float]]:
    """One quantile per set of buckets; series without a readable ``le`` are left out."""
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, count in vector:
        try:
            edge = float(dict(labels).get("le", ""))
        except ValueError:
            continue
        rest = tuple(p for p in labels if p[0] not in ("le", "__name__"))
        groups.setdefault(rest, []).append((edge, count))
    return [(labels, _quantile(q, sorted(buckets, key=_edge))) for labels, buckets in groups.items()]


class BadLabelError(Exception):
    """``label_replace`` was given a label or a pattern that cannot be."""


def label_replace(
    vector: list[tuple[Labels, float]], target: str, replacement: str, source: str, pattern: str
) -> list[tuple[Labels, float]]:
    """The vector with a label set from another where the whole of that matches; an empty result takes the label away."""
    try:
        wanted = re.compile(pattern)
    except re.error as problem:
        raise BadLabelError(f"invalid regular expression in label_replace(): {pattern}") from problem
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", target):
        raise BadLabelError(f"invalid destination label name in label_replace(): {target}")
    made: list[tuple[Labels, float]] = []
    for labels, value in vector:
        found = wanted.fullmatch(dict(labels).get(source, ""))
        if found is None:
            made.append((labels, value))
            continue
        kept = {name: text for name, text in labels if name != target}
        text = _expanded(replacement, found)
        made.append((tuple(sorted((kept | {target: text} if text else kept).items())), value))
    return made


def _expanded(template: str, found: re.Match[str]) -> str:
    """``$1``, ``${1}`` and ``$name`` as Go expands them: the longest name, and nothing for a group that is not there."""
    groups = {str(n + 1): text for n, text in enumerate(found.groups())} | found.groupdict() | {"0": found[0]}

    def one(mark: re.Match[str]) -> str:
        return "$" if mark[0] == "$$" else groups.get(mark[1] or mark[2], "") or ""

    return re.sub(r"\$\$|\$\{(\w+)\}|\$(\w+)", one, template)


def _edge(bucket: tuple[float, float]) -> float:
    return bucket[0]


def _quantile(q: float, raw: list[tuple[float, float]]) -> float:
    if math.isnan(q) or not 0 <= q <= 1:
        return q if math.isnan(q) else math.copysign(math.inf, q - 0.5)
    merged: dict[float, float] = {}
    for edge, count in raw:
        merged[edge] = merged.get(edge, 0.0) + count
    edges, counts, most = list(merged), [], -math.inf
    for count in merged.values():
        most = max(most, count)  # counts read from several targets may be a little out of step
        counts.append(most)
    if not math.isinf(edges[-1]) or len(edges) < 2 or not counts[-1] > 0:
        return math.nan
    rank = q * counts[-1]
    place = bisect_left(counts[:-1], rank)
    if place == len(edges) - 1 or (place == 0 and edges[0] <= 0):
        return edges[min(place, len(edges) - 2)]
    start, below = (edges[place - 1], counts[place - 1]) if place else (0.0, 0.0)
    inside = counts[place] - below
    return start + (edges[place] - start) * ((rank - below) / inside) if inside else math.nan
