"""Where the stand-in's samples come from: labelled series of a synthetic world, and samples read from exposition text."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Protocol

from prometheus_client.parser import text_string_to_metric_families

from bot.integrations.prometheus.fake_syntax import Matcher

Labels = tuple[tuple[str, str], ...]
"""Sorted (name, value) pairs; the metric's name is ``__name__``. No empty values: in Prometheus they are no labels."""

Point = tuple[int, float]
"""UNIX milliseconds and a value."""


def labels_of(name: str, pairs: Iterable[tuple[str, str]]) -> Labels:
    return tuple(sorted((k, v) for k, v in (("__name__", name), *pairs) if v))


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

    def select(self, matchers: Sequence[Matcher]) -> Iterator[tuple[Labels, Callable[[int, int], list[Point]]]]:
        for labels, points in self.series.items():
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
