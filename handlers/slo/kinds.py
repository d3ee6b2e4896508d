"""The SLOs of captain.yml: what is promised, how it is measured, and at which burn rates somebody is paged."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

MARK = re.compile(r"\{\{\s*window\s*\}\}")
UNITS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
SPAN = re.compile(r"(\d{1,6})([smhdw])")


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

    ``burn`` 1 spends the budget exactly in the SLO's window. ``long`` and ``short``: Prometheus durations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Literal["page", "ticket"]
    burn: float = Field(gt=0, description="times the speed that spends the whole budget exactly in the window")
    long: str
    short: str = Field("", description="without it a twelfth of the long one")

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
    min_bad: float = Field(10, ge=1, description="bad events in the long window below which no tier fires")
    min_total: float = Field(100, ge=0, description="events in the long window below which no tier fires")
    few_bad: float = Field(
        0,
        ge=0,
        description="bad events in the window's budget that page whatever the share; 0 is reckoned from min_total",
    )
    tiers: Sequence[Tier] = TIERS
    by: Sequence[str] = Field((), description="labels asked for what contributes most, such as handler or pod")
    evaluate: bool = Field(True, description="the bot asks Prometheus itself; off where `captain slo rules` runs there")
    dashboard: str = ""
    runbook: str = Field("", description="a link; the service's runbook: is for checks")
    description: str = ""

    @field_validator("window")
    @classmethod
    def _window(cls, value: str) -> str:
        return span(seconds(value))

    @property
    def budget(self) -> float:
        """The share of events that may be bad: 0.001 for 99.9 %."""
        return round(1 - self.objective / 100, 12)

    @property
    def window_s(self) -> int:
        return seconds(self.window)


def over(query: str, length: int) -> str:
    """A query of an SLO over so many seconds."""
    return MARK.sub(span(length), query)


def labels(name: str, slo: Slo, *, environment: str) -> dict[str, str]:
    """What identifies an SLO's alerts, whoever raises them: the incident they belong to is reckoned from these."""
    return {"slo": name, "service": slo.service, "env": slo.environment or environment}


BURN, MISSING = "SLOBurn", "SLODataMissing"
"""The alert names: one of a tier, the other that an SLO cannot be measured."""
