"""The SLOs of captain.yml: what is promised, how it is measured, and at which burn rates somebody is paged."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

MARK = re.compile(r"\{\{\s*window\s*\}\}")
QUOTED = re.compile(r"""\"(?:\\.|[^"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`""")
PER_SECOND = re.compile(r"\brate\s*\(")
COUNTED = re.compile(r"\b(?:increase|sum_over_time|count_over_time)\s*\(")
UNITS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
SPAN = re.compile(r"(\d{1,6})([smhdw])")
SUMMED_FROM, SUMMED_STEP = 6 * 3600, 300
"""Seconds: windows longer than the first are summed from counts of the second in the rules that are written."""


def seconds(span: str) -> int:
    """Seconds of a Prometheus duration such as 5m, 1h30m or 30d. Raises ValueError."""
    text, at, total = span.strip(), 0, 0
    while found := SPAN.match(text, at):
        total, at = total + int(found[1]) * UNITS[found[2]], found.end()
    if at != len(text) or not total:
        raise ValueError(f"'{span[:20]}' must be a duration such as 5m, 1h or 30d")
    return total


def span(length: int) -> str:
    """Seconds as the shortest Prometheus duration of one unit: 300 is 5m, 5400 is 90m."""
    unit = next(name for name in ("d", "h", "m", "s") if length % UNITS[name] == 0)
    return f"{length // UNITS[unit]}{unit}"


class Tier(BaseModel):
    """A burn rate at which something happens: both windows must burn at least so fast.

    ``burn`` 1 spends the budget exactly in the SLO's window. ``long`` and ``short``: Prometheus durations. ``min_bad`` and
    ``min_total``: events in the long window below which it does not fire; None: the SLO's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Literal["page", "ticket"]
    burn: float = Field(gt=0, description="times the speed that spends the whole budget exactly in the window")
    long: str
    short: str = Field("", description="without it a twelfth of the long one")
    min_bad: float | None = Field(None, ge=1, description="without it the SLO's")
    min_total: float | None = Field(None, ge=0, description="without it the SLO's")

    @field_validator("long", "short")
    @classmethod
    def _span(cls, value: str) -> str:
        return span(seconds(value)) if value else ""

    @property
    def long_s(self) -> int:
        return seconds(self.long)

    @property
    def short_s(self) -> int:
        """Seconds of the short window."""
        return seconds(self.short) if self.short else max(60, self.long_s // 12)

    @property
    def name(self) -> str:
        """``page-1h``: unique among the tiers of an SLO, and stable while it is not changed."""
        return f"{self.severity}-{self.long}"


TIERS: Sequence[Tier] = (
    Tier(severity="page", burn=14.4, long="1h", short="5m"),
    Tier(severity="page", burn=6, long="6h", short="30m"),
    Tier(severity="ticket", burn=3, long="1d", short="2h"),
    Tier(severity="ticket", burn=1, long="3d", short="6h"),
)
"""The Site Reliability Workbook's, chapter 5: 2 % of a 30-day budget in 1 h, 5 % in 6 h, 10 % in 1 d and in 3 d."""


class Slo(BaseModel):
    """One row of ``slos:``. ``bad`` or ``good``, and ``total``: PromQL with ``{{window}}`` where the range goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str = Field(description="the service of the catalogue whose on-call is paged")
    environment: str = Field("", description="without it the service's")
    objective: float = Field(gt=0, lt=100, description="per cent of the events that shall be good, such as 99.9")
    window: str = Field("30d", description="for which the objective is promised")
    good: str = ""
    bad: str = ""
    total: str
    min_bad: float = Field(10, ge=1, description="bad events in the long window below which a tier does not fire")
    min_total: float = Field(100, ge=0, description="events in the long window below which a tier does not fire")
    few_bad: float = Field(
        5, ge=0, description="bad events that suffice where there are few events at all, see all_tiers; 0: none do"
    )
    tiers: Sequence[Tier] = TIERS
    by: Sequence[str] = Field((), description="labels asked for what contributes most, such as handler or pod")
    missing_after: str = Field("10m", description="how long there may be no measurement before a ticket says so")
    silent_after: str = Field(
        "1d", description="how long no event may be counted before a ticket says so; empty: for ever"
    )
    evaluate: bool = Field(True, description="the bot asks Prometheus itself; off where `captain slo rules` runs there")
    dashboard: str = ""
    runbook: str = Field("", description="a link; the service's runbook: is for checks")
    description: str = ""

    @field_validator("window", "missing_after")
    @classmethod
    def _window(cls, value: str) -> str:
        return span(seconds(value))

    @field_validator("silent_after")
    @classmethod
    def _silent(cls, value: str) -> str:
        return span(seconds(value)) if value else ""

    @field_validator("few_bad")
    @classmethod
    def _few(cls, value: float) -> float:
        if 0 < value < 2:
            raise ValueError("must be 2 or more, so that a single bad event wakes nobody, or 0 to have no such tiers")
        return value

    @property
    def budget(self) -> float:
        """The share of events that may be bad: 0.001 for 99.9 %."""
        return round(1 - self.objective / 100, 12)

    @property
    def window_s(self) -> int:
        return seconds(self.window)

    @property
    def per_second(self) -> bool:
        """True when the queries give events a second (rate), False when they give the number of events (increase)."""
        return "rate" in kinds(self.total)

    @property
    def all_tiers(self) -> Sequence[Tier]:
        """What watches this SLO: its tiers, each with its minima, and the two for few events.

        ``min_bad`` and ``min_total`` keep a single bad event at night from waking anybody, and would mute a service with
        little traffic for ever. The two for few events count over long windows instead, without a least total: page when
        at least ``few_bad`` bad events have spent the whole budget within a tenth of the window (3d of 30d), ticket when
        they have spent it within the window; either while it still burns in the short window.
        """
        own = [
            tier.model_copy(
                update={
                    "min_bad": self.min_bad if tier.min_bad is None else tier.min_bad,
                    "min_total": self.min_total if tier.min_total is None else tier.min_total,
                }
            )
            for tier in self.tiers
        ]
        taken = {tier.name for tier in own}
        return (*own, *(tier for tier in self._few_tiers() if tier.name not in taken))

    def _few_tiers(self) -> Sequence[Tier]:
        unit = next((unit for unit in (86400, 3600, 600) if self.window_s >= 10 * unit), 0)
        if not self.few_bad or not unit:
            return ()
        tenth = self.window_s // 10 // unit * unit
        # With a low objective even a total outage burns slowly: half of what it can burn at most must do.
        burn = min(round(self.window_s / tenth, 3), round(0.5 / self.budget, 3))
        short = span(max(300, tenth // 12))
        least = {"min_bad": self.few_bad, "min_total": 0}
        return (
            Tier(severity="page", burn=burn, long=span(tenth), short=short, **least),
            Tier(severity="ticket", burn=1, long=self.window, short=short, **least),
        )


def kinds(query: str) -> set[str]:
    """How a query counts: ``rate`` (events a second), ``increase`` (events), both, or neither."""
    bare = QUOTED.sub('""', query)
    return {name for name, what in (("rate", PER_SECOND), ("increase", COUNTED)) if what.search(bare)}


def over(query: str, length: int) -> str:
    """A query of an SLO over so many seconds."""
    return MARK.sub(span(length), query)


def total_query(slo: Slo, length: int) -> str:
    """PromQL: the number of events in so many seconds, as one sample without labels; nothing when it is not measured."""
    return _events(slo, slo.total, length)


def bad_query(slo: Slo, length: int, *, total: str = "") -> str:
    """PromQL: the number of bad events in so many seconds, as one sample without labels.

    Where there are events, a series that nobody has yet incremented (no 5xx so far) is 0, not missing. ``total``: PromQL
    that gives the number of all events in that time, where it is known already.
    """
    total = total or total_query(slo, length)
    if slo.bad:
        return f"{_events(slo, slo.bad, length)} or on () 0 * {total}"
    return f"clamp_min({total} - on () ({_events(slo, slo.good, length)} or on () 0 * {total}), 0)"


def _events(slo: Slo, query: str, length: int) -> str:
    asked = over(query, length).strip()
    return (asked if _one(asked) else f"sum({asked})") + (f" * {length}" if slo.per_second else "")


def _one(query: str) -> bool:
    """True when a query is ``sum(…)`` and nothing else, so that it gives one sample without labels."""
    bare = QUOTED.sub('""', query)
    if not re.match(r"sum\s*\(", bare):
        return False
    depth = 0
    for at, sign in enumerate(bare):
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and sign == ")":
            return at == len(bare) - 1
    return False


def labels(name: str, slo: Slo, *, environment: str) -> dict[str, str]:
    """What identifies an SLO's alerts, whoever raises them: the incident they belong to is reckoned from these."""
    return {"slo": name, "service": slo.service, "env": slo.environment or environment}


BURN, MISSING = "SLOBurn", "SLODataMissing"
"""The alert names: one of a tier, the other that an SLO cannot be measured."""
