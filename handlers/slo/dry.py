"""Asks each query of an SLO once at each window it is used with, and says what would go wrong with the answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from bot.errors import GiveUp, Retry
from bot.integrations.prometheus import Answer, Metrics
from handlers.slo import budget
from handlers.slo.kinds import Slo, over, span

TOO_MANY = 1.01
"""Counts of one moment may differ by so much: Prometheus reckons each from its own samples."""


class Weight(Enum):
    """What a finding means: something to mend, something nobody could tell, or something to know."""

    MISTAKE = "mistake"
    UNKNOWN = "unknown"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """What is to be said of one query. ``windows``: s; empty when it is about all of them."""

    weight: Weight
    query: str
    why: str
    windows: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f" at {', '.join(span(length) for length in self.windows)}" if self.windows else ""
        return f"{self.query}{where}: {self.why}"


@dataclass
class Checked:
    """One SLO as Prometheus answered for it. ``counts``: the events and the bad ones of each window (s) that are known."""

    name: str
    slo: Slo
    counts: dict[int, budget.Reading] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def left(self) -> float | None:
        """The share of the budget that is left: 1 is all of it; None when that is not known."""
        return budget.left(self.counts.get(self.slo.window_s, budget.UNKNOWN), self.slo.budget)

    def add(self, weight: Weight, query: str, why: str, length: int = 0) -> None:
        """Note a finding; the same about another window of the query is one with it."""
        for i, old in enumerate(self.findings):
            if (old.weight, old.query, old.why) == (weight, query, why):
                self.findings[i] = Finding(weight, query, why, (*old.windows, *([length] if length else ())))
                return
        self.findings.append(Finding(weight, query, why, (length,) if length else ()))


def check(metrics: Metrics, name: str, slo: Slo, *, timeout: float, clock: Callable[[], float]) -> Checked:
    """Ask everything about one SLO, the short windows first. ``timeout``: what a query may take, ``clock``: seconds."""
    done = Checked(name, slo)
    for length in sorted({slo.window_s, *(s for t in slo.all_tiers for s in (t.long_s, t.short_s))}):
        found: dict[str, float | None] = {}
        for query in ("total", "bad" if slo.bad else "good"):
            began = clock()
            try:
                answer = metrics.query(over(getattr(slo, query), length))
            except GiveUp as e:
                done.add(Weight.MISTAKE, query, e.reason, length)
                continue
            except Retry as e:
                why = f"{e.reason}; longer windows were not asked. Where this is because a long window is too much to read, "
                done.add(
                    Weight.UNKNOWN,
                    query,
                    why + "set evaluate: false and let Prometheus sum it (`captain slo rules`)",
                    length,
                )
                return done
            if (took := clock() - began) > timeout / 2:
                done.add(
                    Weight.NOTE,
                    query,
                    f"took more than half of prometheus.timeout ({timeout:g} s): {took:.1f} s",
                    length,
                )
            found[query] = _number(done, query, length, answer)
        _together(done, length, found)
    _over_all(done)
    return done


def _number(done: Checked, query: str, length: int, answer: Answer) -> float | None:
    """The number of events an answer stands for; None when it does not say, which is noted. A query without series is 0."""
    if answer.warnings:
        why = f"may be of a part of the data only, says Prometheus: {answer.warnings[0][:200]}"
        done.add(Weight.UNKNOWN, query, why, length)
        return None
    if len(answer.samples) > 1:
        names = sorted({label for one in answer.samples for label in one.labels} - {"__name__"})
        why = f"gives several series (by {', '.join(names)}), where one number is wanted: put sum(…) around it"
        done.add(Weight.MISTAKE, query, why, length)
        return None
    if not answer.samples:
        return None if query == "total" else 0.0
    value = answer.samples[0].value * (length if done.slo.per_second else 1)
    if not math.isfinite(value):
        done.add(
            Weight.MISTAKE,
            query,
            f"gives {value}, which is no number: it divides by zero, or its metric says so",
            length,
        )
        return None
    if value < 0:
        done.add(Weight.MISTAKE, query, "gives less than nothing: is it the rate or increase of a counter?", length)
        return None
    return value


def _together(done: Checked, length: int, found: Mapping[str, float | None]) -> None:
    """What total and the other query say of one window."""
    total, part = found.get("total"), "bad" if done.slo.bad else "good"
    some = found.get(part)
    if total is None or some is None:
        return
    if some > total * TOO_MANY + 0.5:
        why = f"counts more events than total does: what is {part} must be among them. Do both look at the same metric and labels?"
        done.add(Weight.MISTAKE, part, why, length)
        return
    if part == "good" and total > 0 and not some:
        why = "finds nothing where total does, so that every event counts as bad: is a label misspelt?"
        done.add(Weight.MISTAKE, part, why, length)
    bad = some if part == "bad" else max(0.0, total - some)
    done.counts[length] = budget.reading(total, bad)


def _over_all(done: Checked) -> None:
    """What only all windows together tell: that there is nothing, and since when."""
    asked = {length for finding in done.findings for length in finding.windows if finding.query == "total"}
    lengths = sorted({done.slo.window_s, *(s for t in done.slo.all_tiers for s in (t.long_s, t.short_s))})
    empty = [length for length in lengths if length not in done.counts and length not in asked]
    if empty and not done.counts:
        why = "finds no series: is the metric's name right, are its labels, is it scraped? An SLO on nothing can never burn"
        done.add(Weight.MISTAKE, "total", why)
    else:
        for length in empty:
            why = (
                "finds nothing, though it does in longer windows: it is scraped too rarely for this one, or gone since"
            )
            done.add(Weight.MISTAKE, "total", why, length)
    totals = [found.total or 0.0 for found in done.counts.values()]
    if totals and not any(totals):
        done.add(Weight.MISTAKE, "total", "counts no event in any window: is there no traffic, or is a label misspelt?")
    elif done.slo.bad and totals and not any(found.bad for found in done.counts.values()):
        why = "counts no event in any window: none was bad, or a label is misspelt, which nobody would notice"
        done.add(Weight.NOTE, "bad", why)


# ---- what is said of it ------------------------------------------------------------------------------------------------------


def plain(done: Checked) -> dict[str, Any]:
    """As JSON has it: counts by window, the share of good events, burn and budget left; None where nothing is known."""
    windows = {
        span(length): {
            "total": found.total,
            "bad": found.bad,
            "sli": None if found.share is None else 1 - found.share,
            "burn": budget.burn(found, done.slo.budget),
        }
        for length, found in done.counts.items()
    }
    return {
        "slo": done.name,
        "objective": done.slo.objective,
        "window": done.slo.window,
        "budget_left": done.left,
        "windows": windows,
        "findings": [
            {
                "weight": one.weight.value,
                "query": one.query,
                "windows": [span(length) for length in one.windows],
                "why": one.why,
            }
            for one in done.findings
        ],
    }


def lines(done: Checked) -> Iterator[str]:
    """For people: a table of the windows, what is left, and every finding."""
    slo = done.slo
    yield f"{done.name}: {slo.objective:g} % of {slo.window}"
    rows = [("window", "events", "bad", "good", "burn")]
    for length, found in done.counts.items():
        speed = budget.burn(found, slo.budget)
        share = "-" if found.share is None else _per_cent(found.share)
        rows.append(
            (
                span(length),
                f"{found.total or 0:,.0f}",
                f"{found.bad or 0:,.0f}",
                share,
                "-" if speed is None else f"{speed:.2f}",
            )
        )
    if done.counts:
        yield from _table(rows)
    if done.left is not None:
        yield f"  {100 * done.left:.0f} % of the error budget is left"
    for one in done.findings:
        yield f"  {one.weight.value}: {one}"


def _per_cent(bad: float) -> str:
    """The share of good events; 100 % only where none was bad."""
    text = f"{100 * (1 - bad):.4f}".rstrip("0").rstrip(".")
    return "> 99.9999 %" if bad and text == "100" else f"{text} %"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


def code(done: Sequence[Checked]) -> int:
    """The exit code: 1 when something is to be mended, 2 when something could not be told, 0 when all is well."""
    weights = {finding.weight for one in done for finding in one.findings}
    return 1 if Weight.MISTAKE in weights else 2 if Weight.UNKNOWN in weights else 0
