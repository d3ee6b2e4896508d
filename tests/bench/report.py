"""What a benchmark says: rows with their goals, the judgement of each, the table and the JSON."""

from __future__ import annotations

import json
import math
import os
import platform
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """One figure. ``ratio`` is value by floor. ``at_most`` or ``at_least`` bounds ``judged`` ("value" or "ratio")."""

    name: str
    value: float
    unit: str
    n: int
    floor: float | None = None
    goal: str = ""
    judged: str = "value"
    at_most: float | None = None
    at_least: float | None = None
    peers: str = ""
    note: str = ""
    faults: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        return self.value / self.floor if self.floor else None

    @property
    def verdict(self) -> str:
        """failed (a wrong count: a faster figure is worth nothing), met, not met, or recorded (no goal)."""
        if self.faults:
            return "failed"
        figure = self.ratio if self.judged == "ratio" else self.value
        if self.at_most is None and self.at_least is None:
            return "recorded"
        if figure is None or math.isnan(figure):
            return "failed"
        above = self.at_most is not None and figure > self.at_most
        below = self.at_least is not None and figure < self.at_least
        return "not met" if above or below else "met"

    def plain(self) -> dict[str, Any]:
        ratio = None if self.ratio is None else round(self.ratio, 3)
        return asdict(self) | {"value": round(self.value, 3), "ratio": ratio, "verdict": self.verdict}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of them lie; not a number when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def table(rows: Sequence[Row]) -> str:
    """The rows for a reader, and a line for each that is not met or failed."""
    heads = ("", "value", "floor", "ratio", "goal", "n", "verdict")
    lines = [
        (
            row.name,
            f"{row.value:,.2f} {row.unit}",
            "" if row.floor is None else f"{row.floor:,.2f}",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.goal,
            str(row.n),
            row.verdict.upper() if row.verdict in ("failed", "not met") else row.verdict,
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in [heads, *lines]) for i in range(len(heads))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [heads, *lines]]
    text.insert(1, "  ".join("-" * width for width in widths))
    for row in rows:
        if row.faults:
            text.append(f"FAILED   {row.name}: {'; '.join(row.faults)}")
        elif row.verdict == "not met":
            text.append(f"not met  {row.name}: {row.note or 'see build/bench.json'}")
    return "\n".join(text)


def write(path: Path, rows: Sequence[Row], *, quick: bool, seconds: float) -> None:
    """build/bench.json."""
    told = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "quick": quick,
        "seconds": round(seconds, 1),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        },
        "rows": [row.plain() for row in rows],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
