"""Checks a number Prometheus tells against a threshold; nothing there, NaN and partial answers never pass."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.integrations.prometheus import Metrics, Sample
from runbooks.compare import COMPARATORS
from runbooks.kind import Ask, Field, Filling, Kind, Shape
from runbooks.series import FOLDS, MAX_SLOTS, Want, counts_up, judged, seconds, worst
from runbooks.verdict import Finding, Outcome

COVERAGE = 80.0
STEP = "1m"


def look(ask: Ask) -> Finding:
    """Every series of ``expr`` must compare true with ``threshold``; the worst one is told.

    With ``over``, what its points of that time fold into must. ``samples`` is a query for the number of observations
    behind it; fewer than ``min_samples`` is INCONCLUSIVE. Without it, ``min_samples`` counts series.
    """
    metrics = ask.looks.metrics
    if metrics is None:
        raise ValueError("Prometheus is not configured: add a prometheus: section with its url to captain.yml")
    return _over_time(metrics, ask.spec) if "over" in ask.spec else _now(metrics, ask.spec)


def _now(metrics: Metrics, spec: Mapping[str, Any]) -> Finding:
    compare, wanted = spec.get("op", "<"), float(spec["threshold"])
    unit, threshold = spec.get("unit", ""), f"{compare} {wanted:g}"
    answer = metrics.query(spec["expr"])
    if not answer.samples:
        return Finding(Outcome.NO_DATA, "Prometheus has no data for this query", "", threshold, unit, 0)
    told_of = _worst(answer.samples, compare, wanted)
    value = f"{told_of.value:.6g}"
    told = f"{value}{' ' + unit if unit else ''} (want {threshold}){_named(told_of.labels)}"
    count, more = _count(metrics, spec, len(answer.samples))
    outcome, why = _verdict(
        told_of.value, COMPARATORS[compare](told_of.value, wanted), [*answer.warnings, *more], count, spec
    )
    if outcome is not Outcome.NO_DATA and spec.get("one_series") and len(answer.samples) > 1:
        outcome, why = Outcome.INCONCLUSIVE, f"{len(answer.samples)} series where one is expected"
    samples = None if math.isnan(count) else int(count)
    return Finding(outcome, f"{why}: {told}" if why else told, value, threshold, unit, samples)


def _over_time(metrics: Metrics, spec: Mapping[str, Any]) -> Finding:
    want = _want(spec, time.time())
    unit, threshold = spec.get("unit", ""), f"{want.op} {want.threshold:g}"
    start = want.end - (want.slots - 1) * want.step
    answer = metrics.query_range(spec["expr"], start=start, end=want.end, step=want.step)
    if not any(series.points for series in answer.series):
        return Finding(
            Outcome.NO_DATA, f"Prometheus has no data for this query in {spec['over']}", "", threshold, unit, 0
        )
    found = worst([judged(series, want) for series in answer.series if series.points], want.op)
    count, more = _count(metrics, spec, len(answer.series))
    outcome, why = found.outcome, found.why
    warnings = [*answer.warnings, *more]
    if warnings:
        outcome, why = Outcome.INCONCLUSIVE, f"the answer may be partial ({'; '.join(warnings)})"
    elif spec.get("one_series") and len(answer.series) > 1:
        outcome, why = Outcome.INCONCLUSIVE, f"{len(answer.series)} series where one is expected"
    elif "min_samples" in spec and outcome is not Outcome.NO_DATA and not count >= spec["min_samples"]:
        outcome = Outcome.INCONCLUSIVE
        why = f"too little to judge, {count:.0f} of at least {spec['min_samples']:g} samples"
        why = "nothing tells how many samples it rests on" if math.isnan(count) else why
    value = f"{found.value:.6g}"
    told = (
        f"{want.fold} {value}{' ' + unit if unit else ''} over {spec['over']} (want {threshold}){_named(found.labels)}"
    )
    samples = None if math.isnan(count) else int(count) if "samples" in spec else found.covered
    return Finding(outcome, f"{why}: {told}" if why else told, value, threshold, unit, samples)


def _want(spec: Mapping[str, Any], now: float) -> Want:
    """Slots on the grid of the step, as the rules of Prometheus are evaluated, the newest just past."""
    step = seconds(spec.get("step", STEP))
    return Want(
        fold=spec["fold"],
        op=spec.get("op", "<"),
        threshold=float(spec["threshold"]),
        end=math.floor(now / step) * step,
        step=step,
        slots=max(int(seconds(spec["over"]) / step + 1e-9), 1),
        coverage=spec.get("coverage", COVERAGE),
        counter=spec.get("counter", counts_up(spec["expr"])),
    )


def _named(labels: Mapping[str, str]) -> str:
    named = ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k != "__name__")
    return f" for {named}" if named else ""


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
    if "samples" in spec and "min_samples" not in spec:
        yield "samples", "samples: needs min_samples: beside it"
    if ("over" in spec) != ("fold" in spec):
        yield "over" if "over" in spec else "fold", "over: and fold: go together"
    for name in ("step", "coverage", "counter"):
        if name in spec and "over" not in spec:
            yield name, f"{name}: needs over: beside it"
    if not 0 < spec.get("coverage", COVERAGE) <= 100:
        yield "coverage", f"coverage must be a percentage above 0, not {spec['coverage']:g}"
    wrong = False
    for name in ("over", "step"):
        try:
            wrong |= name in spec and seconds(spec[name]) <= 0
        except ValueError as problem:
            yield name, f"{name} {problem}"
            return
    if wrong:
        yield "over", "over: and step: must be longer than nothing"
    elif "over" in spec and not 1 <= seconds(spec["over"]) / seconds(spec.get("step", STEP)) <= MAX_SLOTS:
        yield "over", f"over: must hold from 1 to {MAX_SLOTS} steps of {spec.get('step', STEP)}"


def _asks(spec: Mapping[str, Any]) -> str:
    query = " ".join(str(spec["expr"]).split())
    return f"{spec['fold']} over {spec['over']} of {query}" if "over" in spec else query


KIND = Kind(
    fields={
        "expr": Field(
            Shape.TEXT, required=True, filling=Filling.PROMQL, about="PromQL; every series it gives is compared"
        ),
        "threshold": Field(Shape.NUMBER, required=True, about="the number it is compared with"),
        "op": Field(Shape.TEXT, choices=tuple(COMPARATORS), about="how it is compared with threshold; < by default"),
        "unit": Field(Shape.TEXT, about="what the value counts, for people"),
        "samples": Field(Shape.TEXT, filling=Filling.PROMQL, about="PromQL for how many observations it rests on"),
        "min_samples": Field(
            Shape.NUMBER, about="observations (series, without samples:) below which nothing is judged"
        ),
        "one_series": Field(Shape.FLAG, about="true: more than one series is INCONCLUSIVE"),
        "over": Field(Shape.TEXT, about="look at the points of this time, such as 30m, instead of the newest value"),
        "step": Field(Shape.TEXT, about=f"time between two points; {STEP} by default"),
        "fold": Field(Shape.TEXT, choices=FOLDS, about="what the points become; every: each must compare true"),
        "coverage": Field(Shape.NUMBER, about=f"percent of the steps that must hold a number; {COVERAGE:g} by default"),
        "counter": Field(
            Shape.FLAG, about="true: a value that falls is a reset; seen by itself for a bare ..._total and the like"
        ),
    },
    look=look,
    judge=_judge,
    asks=_asks,
)
