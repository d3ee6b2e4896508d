"""How much a benchmark does, and the arithmetic that its measurements share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import load
from report import percentile
from subject import Load


@dataclass(frozen=True)
class Corner:
    """So many rows of past alerts, twenty of them an incident, and so many open incidents."""

    alerts: int
    open: int

    def __str__(self) -> str:
        return f"{self.alerts:,} past alerts, {self.open:,} open"


@dataclass(frozen=True)
class Size:
    """How much of everything. ``corners``: of P18, each against no history at all. ``turns``: how often product and floor are measured, in turns; the best is kept.

    ``storm``: alerts of a storm, twenty to an incident; ``storms``: how many of them one after the other.
    """

    turns: int
    alerts: int
    groups: int
    duplicates: int
    pages: int
    slashes: int
    kills: int
    storm: int
    storms: int
    open_s: float
    growth_turns: int
    growth_alerts: int
    growth_pages: int
    corners: tuple[Corner, ...]


FULL = Size(3, 3000, 150, 5000, 160, 200, 20, 10_000, 10, 3.0, 2, 2000, 80, (Corner(100_000, 10), Corner(0, 1000)))
QUICK = Size(1, 600, 20, 2000, 40, 40, 1, 400, 2, 1.0, 1, 400, 20, (Corner(4000, 10),))
CORNERS = (
    Corner(100_000, 10),
    Corner(1_000_000, 10),
    Corner(0, 100),
    Corner(0, 1000),
    Corner(0, 10_000),
    Corner(1_000_000, 1000),
)
"""Of P18 when it is asked for by name; they take about twenty minutes."""
Run = dict[str, Any]


def taken(heard: load.Heard, faults: list[str]) -> None:
    if len(heard.taken) != len(heard.status):
        faults.append(f"{len(heard.status) - len(heard.taken)} of {len(heard.status)} requests were not acknowledged")


def most(runs: list[Run], of: str) -> float:
    return max(run["rate"] for run in runs if run["of"] == of)


def least(runs: list[Run], name: str, of: str = "product") -> float:
    return min((run[name] for run in runs if run["of"] == of), default=float("nan"))


def latency(of: str, values: list[float], busy: Load, **more: Any) -> Run:
    figures = {"p50_ms": percentile(values, 0.5), "p99_ms": percentile(values, 0.99), "max_ms": max(values, default=0)}
    return {"of": of, **{name: round(v, 3) for name, v in figures.items()}, "other_cpu": busy.other_cpu, **more}
