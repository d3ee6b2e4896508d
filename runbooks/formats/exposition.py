"""Prometheus' text format for the textfile collector of node_exporter: outcomes, values and when they were seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from runbooks.formats.told import Told, Whole
from runbooks.verdict import Outcome, Result

CHECK = ("runbook", "check")
INFO = ("kind", "severity", "asked", "threshold", "unit", "hint", "tags", "value")
"""``value`` is filled in only where it is a text, which no gauge can hold."""
HELP: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "captain_runbook_outcome": (
        "1 for the outcome of the runbook's last run, 0 for the others.",
        ("runbook", "outcome"),
    ),
    "captain_runbook_timestamp_seconds": ("When the last run ended.", ("runbook",)),
    "captain_runbook_duration_seconds": ("How long the last run took.", ("runbook",)),
    "captain_runbook_check_outcome": ("1 for what the check said last, 0 for the others.", (*CHECK, "outcome")),
    "captain_runbook_check_value": ("What it saw, where that is a number.", CHECK),
    "captain_runbook_check_samples": ("How many observations its value rests on.", CHECK),
    "captain_runbook_check_duration_seconds": ("How long all its attempts took.", CHECK),
    "captain_runbook_check_attempts": ("Which attempt the outcome is of.", CHECK),
    "captain_runbook_check_timestamp_seconds": ("When it had looked.", CHECK),
    "captain_runbook_check_info": ("How the check is written; always 1.", (*CHECK, *INFO)),
}


def render(whole: Whole) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Found(whole))
    return generate_latest(registry).decode("utf-8")


@dataclass(eq=False)
class _Found:
    """Gives the registry one family for each line of HELP."""

    whole: Whole
    families: dict[str, GaugeMetricFamily] = field(default_factory=dict)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        self.families = {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in HELP.items()}
        for run in self.whole.runs:
            self._run(run)
        yield from (family for family in self.families.values() if family.samples)

    def _add(self, name: str, value: float, *labels: str) -> None:
        self.families[f"captain_runbook_{name}"].add_metric(list(labels), value)

    def _run(self, run: Told) -> None:
        for outcome in Outcome:
            self._add("outcome", outcome is run.outcome, run.runbook, outcome.value)
        self._add("timestamp_seconds", run.began + run.took_s, run.runbook)
        self._add("duration_seconds", run.took_s, run.runbook)
        for result in run.results:
            self._check(run, result)

    def _check(self, run: Told, result: Result) -> None:
        name = (run.runbook, result.name)
        for outcome in Outcome:
            self._add("check_outcome", outcome is result.outcome, *name, outcome.value)
        value = _number(result.value)
        if value is not None:
            self._add("check_value", value, *name)
        if result.samples is not None:
            self._add("check_samples", result.samples, *name)
        self._add("check_duration_seconds", result.took_s, *name)
        self._add("check_attempts", result.attempt, *name)
        self._add("check_timestamp_seconds", (result.at or run.began) + result.took_s, *name)
        about = (result.kind, result.severity.value, result.asked, result.threshold, result.unit, result.hint)
        self._add("check_info", 1, *name, *about, ",".join(result.tags), "" if value is not None else result.value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
