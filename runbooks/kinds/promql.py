"""Checks a number Prometheus tells against a threshold; nothing there, NaN and partial answers never pass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.integrations.prometheus import Metrics, Sample
from runbooks.compare import COMPARATORS
from runbooks.kind import Ask, Field, Filling, Kind, Shape
from runbooks.verdict import Finding, Outcome


def look(ask: Ask) -> Finding:
    """Every series of ``expr`` must compare true with ``threshold``; the worst one is told.

    ``samples`` is a query for the number of observations behind it; fewer than ``min_samples`` is INCONCLUSIVE. Without
    it, ``min_samples`` counts series.
    """
    metrics = ask.looks.metrics
    if metrics is None:
        raise ValueError("Prometheus is not configured: add a prometheus: section with its url to captain.yml")
    spec = ask.spec
    compare, wanted = spec.get("op", "<"), float(spec["threshold"])
    unit, threshold = spec.get("unit", ""), f"{compare} {wanted:g}"
    answer = metrics.query(spec["expr"])
    if not answer.samples:
        return Finding(Outcome.NO_DATA, "Prometheus has no data for this query", "", threshold, unit, 0)
    worst = _worst(answer.samples, compare, wanted)
    value = f"{worst.value:.6g}"
    named = ", ".join(f'{k}="{v}"' for k, v in sorted(worst.labels.items()) if k != "__name__")
    told = f"{value}{' ' + unit if unit else ''} (want {threshold})" + (f" for {named}" if named else "")
    count, more = _count(metrics, spec, len(answer.samples))
    outcome, why = _verdict(
        worst.value, COMPARATORS[compare](worst.value, wanted), [*answer.warnings, *more], count, spec
    )
    samples = None if math.isnan(count) else int(count)
    return Finding(outcome, f"{why}: {told}" if why else told, value, threshold, unit, samples)


def _verdict(
    value: float, holds: bool, warnings: Sequence[str], count: float, spec: Mapping[str, Any]
) -> tuple[Outcome, str]:
    """The verdict on the worst value, and why it is neither PASS nor FAIL, if it is not."""
    least = spec.get("min_samples", 1)
    if math.isnan(value):
        found = (Outcome.NO_DATA, "the value is NaN")
    elif warnings:
        found = (Outcome.INCONCLUSIVE, f"the answer may be partial ({'; '.join(warnings)})")
    elif math.isnan(count):
        found = (Outcome.INCONCLUSIVE, "nothing tells how many samples it rests on")
    elif count < least:
        found = (Outcome.INCONCLUSIVE, f"too little to judge, {count:.0f} of at least {least:g} samples")
    elif holds and math.isinf(value):
        found = (Outcome.INCONCLUSIVE, "the value is infinite")
    else:
        found = (Outcome.PASS if holds else Outcome.FAIL, "")
    return found


def _worst(samples: Sequence[Sample], compare: str, wanted: float) -> Sample:
    """The sample to tell: one that fails before one that is NaN, one that is infinite before one that is plainly right."""

    def rank(sample: Sample) -> tuple[int, float]:
        value = sample.value
        if math.isnan(value):
            return (1, 0.0)
        away = -value if compare.startswith("<") else value
        if not COMPARATORS[compare](value, wanted):
            return (0, away)
        return (2 if math.isinf(value) else 3, away)

    return min(samples, key=rank)


def _count(metrics: Metrics, spec: Mapping[str, Any], series: int) -> tuple[float, list[str]]:
    """How many observations the value rests on (NaN for none told), and the warnings of asking."""
    if "samples" not in spec:
        return float(series), []
    answer = metrics.query(spec["samples"])
    values = [sample.value for sample in answer.samples]
    return (math.fsum(values) if values and all(map(math.isfinite, values)) else math.nan), list(answer.warnings)


def _judge(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "threshold" in spec and not math.isfinite(spec["threshold"]):
        yield "threshold", "threshold must be a finite number"
    if "samples" in spec and "min_samples" not in spec:
        yield "samples", "samples: needs min_samples: beside it"


KIND = Kind(
    fields={
        "expr": Field(Shape.TEXT, required=True, filling=Filling.PROMQL),
        "threshold": Field(Shape.NUMBER, required=True),
        "op": Field(Shape.TEXT, choices=tuple(COMPARATORS)),
        "unit": Field(Shape.TEXT),
        "samples": Field(Shape.TEXT, filling=Filling.PROMQL),
        "min_samples": Field(Shape.NUMBER),
    },
    look=look,
    judge=_judge,
)
