"""Alerts that Prometheus remembers to have fired: its ALERTS series, as webhooks would have told them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bot.integrations.prometheus import Metrics
from handlers.alerts.payload import Source
from handlers.replay.stream import Delivery, body, instant

QUERY = 'ALERTS{alertstate="firing"}'
OWN = ("__name__", "alertstate")
POINTS = 10_000
"""Points of a series in one answer; Prometheus gives 11,000."""
GAPS = 1.5
"""Steps without a point after which an alert has ended."""


def read(metrics: Metrics, *, start: float, end: float, step: float, say: Callable[[str], None]) -> list[Delivery]:
    """What fired between two times (UNIX s), looked at every ``step`` seconds. Raises Retry and GiveUp.

    ``say`` hears of answers that may not be whole.
    """
    found: dict[str, list[float]] = {}
    at = start
    while at < end:
        until = min(end, at + POINTS * step)
        answer = metrics.query_range(QUERY, start=at, end=until, step=step)
        for warning in answer.warnings:
            say(f"Prometheus says that its answer may not be whole: {warning}")
        for series in answer.series:
            labels = json.dumps({k: v for k, v in sorted(series.labels.items()) if k not in OWN})
            found.setdefault(labels, []).extend(t for t, _ in series.points)
        at = until + step
    return deliveries({text: sorted(set(points)) for text, points in found.items()}, end=end, step=step)


def deliveries(found: Mapping[str, Sequence[float]], *, end: float, step: float) -> list[Delivery]:
    """Webhooks of series: labels as JSON → the times (UNIX s) at which the alert fired, oldest first.

    What still fires at the last look has not ended.
    """
    told: list[tuple[float, Mapping[str, Any]]] = []
    for text, points in found.items():
        labels = json.loads(text)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
        for first, last in runs(points, gap=GAPS * step):
            alert = {"labels": labels, "fingerprint": fingerprint, "startsAt": instant(round(first * 1e6))}
            told.append((first, alert | {"status": "firing"}))
            if last + step <= end:
                told.append(
                    (last + step, alert | {"status": "resolved", "endsAt": instant(round((last + step) * 1e6))})
                )
    told.sort(key=lambda one: one[0])
    return [
        Delivery(at, Source.ALERTMANAGER, body([alert for _, alert in together]))
        for at, together in itertools.groupby(told, key=lambda one: one[0])
    ]


def runs(points: Sequence[float], *, gap: float) -> Iterator[tuple[float, float]]:
    """The first and the last of each run of times between which no more than ``gap`` seconds lie."""
    first = last = None
    for point in points:
        if first is None or last is None:
            first = last = point
        elif point - last > gap:
            yield first, last
            first = point
        last = point
    if first is not None and last is not None:
        yield first, last
