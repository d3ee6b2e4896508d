"""Where the stand-in's samples come from: labelled series of a synthetic world, and samples read from exposition text."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Protocol, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from bot.integrations.prometheus.fake_syntax import Matcher

Labels = tuple[tuple[str, str], ...]
"""Sorted (name, value) pairs; the metric's name is ``__name__``. No empty values: in Prometheus they are no labels."""

Point = tuple[int, float]
"""UNIX milliseconds and a value."""

State = TypeVar("State")
Changes = Sequence[tuple[int, State]]
"""How something is over time, oldest first: (from UNIX ms, how it is from then on)."""


def labels_of(name: str, pairs: Iterable[tuple[str, str]]) -> Labels:
    return tuple(sorted((k, v) for k, v in (("__name__", name), *pairs) if v))


def held(changes: Changes[State], at: int) -> tuple[int, State]:
    """The change in force at a time (UNIX ms)."""
    found = changes[0]
    for change in changes:
        if change[0] > at:
            break
        found = change
    return found


def counted(
    changes: Changes[State],
    rate: Callable[[State], float],
    seen: Callable[[State], bool],
    grid: range,
    unit: float = 1.0,
) -> list[Point]:
    """The integral of a rate per second on the grid, in whole units; nothing, and no growth, while it is not ``seen``."""
    points: list[Point] = []
    total = 0.0
    ends = [begins for begins, _ in changes[1:]] + [(grid[-1] if grid else 0) + 1]
    for (begins, state), ends_at in zip(changes, ends, strict=True):
        per_ms = rate(state) / 1000 if seen(state) else 0.0
        if seen(state) and grid:
            low = max(grid.start, -(-begins // grid.step) * grid.step)
            points += [
                (at, math.floor((total + (at - begins) * per_ms) / unit + 1e-6) * unit)
                for at in range(low, min(ends_at, grid.stop), grid.step)
            ]
        total += max(0, ends_at - begins) * per_ms
    return points


class Source(Protocol):
    """Something that holds series."""

    def select(self, matchers: Sequence[Matcher]) -> Iterator[tuple[Labels, Callable[[int, int], list[Point]]]]:
        """Each matching series with a function that gives its points between two times, both included, oldest first."""
        ...


def matches(labels: Labels, matchers: Sequence[Matcher]) -> bool:
    held = dict(labels)
    return all(m.matches(held.get(m.label, "")) for m in matchers)


@dataclass
class Recorded:
    """Samples that were read, as a scrape would have."""

    series: dict[Labels, list[Point]] = field(default_factory=dict)

    def read(self, text: str, *, at_ms: int, extra: dict[str, str]) -> int:
        """Take over exposition text; lines without a timestamp get ``at_ms``. Returns the number of samples.

        Out-of-order and duplicate timestamps of a series are refused (ValueError), as a scrape refuses them.
        """
        taken = 0
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                stamp = at_ms if sample.timestamp is None else round(float(sample.timestamp) * 1000)
                labels = labels_of(sample.name, {**sample.labels, **extra}.items())
                points = self.series.setdefault(labels, [])
                if points and points[-1][0] >= stamp:
                    raise ValueError(f"out of order sample for {dict(labels)} at {stamp}")
                points.append((stamp, float(sample.value)))
                taken += 1
        return taken

    def scrape(self, text: str, *, at_ms: int, labels: Mapping[str, str], keep_ms: int) -> None:
        """Take over what a target exposed, with ``up``, and forget what is older than ``keep_ms``.

        Text that is no exposition makes ``up`` 0, as a failed scrape does. What the target no longer tells ends.
        """
        up = labels_of("up", labels.items())
        target = {*labels.items()}
        try:
            taken = self.read(text, at_ms=at_ms, extra=dict(labels))
        except ValueError:
            taken = 0
        self.series.setdefault(up, []).append((at_ms, float(taken > 0)))
        for key, points in list(self.series.items()):
            if key != up and target <= {*key} and (not taken or points[-1][0] < at_ms):
                del self.series[key]
            else:
                self.series[key] = points[bisect_left(points, at_ms - keep_ms, key=_stamp) :]

    def select(self, matchers: Sequence[Matcher]) -> Iterator[tuple[Labels, Callable[[int, int], list[Point]]]]:
        for labels, points in list(self.series.items()):
            if matches(labels, matchers):
                yield labels, partial(_between, points)


def _between(points: list[Point], start: int, end: int) -> list[Point]:
    return points[bisect_left(points, start, key=_stamp) : bisect_right(points, end, key=_stamp)]


def _stamp(point: Point) -> int:
    return point[0]


def number(value: float) -> str:
    """A sample's value as Prometheus writes it: shortest digits, never an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{Decimal(repr(value)):f}".removesuffix(".0")
