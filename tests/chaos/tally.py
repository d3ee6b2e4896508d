"""Counts kills, recoveries and violations, prints the table and writes build/chaos.json."""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chaos.invariants import Violation, Wrong, counts


@dataclass
class Row:
    """One kind of kill: how often, how many incidents it touched, and how long until all of it was settled, in s."""

    name: str
    kills: int = 0
    incidents: int = 0
    recoveries: list[float] = field(default_factory=list)
    takeovers: list[float] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        return {
            "point": self.name,
            "kills": self.kills,
            "incidents": self.incidents,
            "recovery_p50_s": percentile(self.recoveries, 0.5),
            "recovery_max_s": percentile(self.recoveries, 1.0),
            "takeover_p50_s": percentile(self.takeovers, 0.5),
            "takeover_max_s": percentile(self.takeovers, 1.0),
        }


@dataclass
class Tally:
    """What one database came through. Safe to use from any thread."""

    database: str
    rows: dict[str, Row] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    overlooked: list[str] = field(default_factory=list)
    """What was falsified and not found."""
    incidents: int = 0
    events: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def kills(self) -> int:
        return sum(row.kills for row in list(self.rows.values()))

    def killed(self, name: str, *, kills: int = 1, incidents: int = 0) -> None:
        with self._lock:
            row = self.rows.setdefault(name, Row(name))
            row.kills += kills
            row.incidents += incidents

    def recovered(self, name: str, seconds: float, *, takeover: float | None = None) -> None:
        with self._lock:
            row = self.rows.setdefault(name, Row(name))
            row.recoveries.append(seconds)
            if takeover is not None:
                row.takeovers.append(takeover)

    def event(self, name: str) -> None:
        """Count what happened beside kills: faults, freezes, restarts."""
        with self._lock:
            self.events[name] = self.events.get(name, 0) + 1

    def judged(self, violations: Sequence[Violation], *, incidents: int, overlooked: Sequence[str] = ()) -> None:
        """The last word on a stage."""
        with self._lock:
            self.violations += violations
            self.overlooked += overlooked
            self.incidents += incidents

    @property
    def clean(self) -> bool:
        return not self.violations

    def plain(self) -> dict[str, Any]:
        recoveries = [s for row in self.rows.values() for s in row.recoveries]
        takeovers = [s for row in self.rows.values() for s in row.takeovers]
        return {
            "kills": self.kills,
            "incidents": self.incidents,
            **counts(self.violations),
            "slowest_recovery_s": percentile(recoveries, 1.0),
            "recovery_p50_s": percentile(recoveries, 0.5),
            "takeover_p50_s": percentile(takeovers, 0.5),
            "takeover_max_s": percentile(takeovers, 1.0),
            "seconds": round(self.seconds, 1),
            "events": dict(sorted(self.events.items())),
            "points": [row.plain() for row in self.rows.values()],
            "violations": [asdict(v) for v in self.violations],
            "overlooked": self.overlooked,
        }


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value at ``share`` of the ordered ones; None when there are none."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None


HEADS = ("", "kills", "incidents", "recovery p50 s", "max s", "takeover p50 s", "max s")


def table(tallies: Sequence[Tally]) -> str:
    """What a reader wants to know: the promises first, then a line for each kind of kill."""
    promises = [("", *(tally.database for tally in tallies))]
    told = {tally.database: tally.plain() for tally in tallies}
    names = ("kills", "incidents", *(wrong.value for wrong in Wrong), "slowest_recovery_s")
    promises += [(name, *(_shown(told[tally.database][name]) for tally in tallies)) for name in names]
    text = [*_aligned(promises)]
    for tally in tallies:
        lines = [(f"{tally.database}: killed at", *HEADS[1:])]
        lines += [tuple(_shown(cell) for cell in row.plain().values()) for row in tally.rows.values()]
        text += ["", *_aligned(lines)]
        events = ", ".join(f"{count} x {name}" for name, count in sorted(tally.events.items()))
        text += [f"beside them: {events}"] if events else []
        text += [f"WRONG  {v.wrong.value}: {v.token} {v.said}" for v in tally.violations]
        text += [f"OVERLOOKED  {name}: falsified, and the judge did not see it" for name in tally.overlooked]
    return "\n".join(text)


def write(path: Path, tallies: Sequence[Tally], *, seed: int, seconds: float) -> None:
    """build/chaos.json."""
    told = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seed": seed,
        "seconds": round(seconds, 1),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        },
    } | {tally.database: tally.plain() for tally in tallies}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:,.2f}" if isinstance(value, float) else str(value)


def _aligned(lines: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    made = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    made.insert(1, "  ".join("-" * width for width in widths))
    return made
