"""What a burn means, in sentences: how long the budget lasts at this speed, and what is left of it."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.incidents.words import duration
from handlers.slo import budget
from handlers.slo.judge import State, fastest, recent
from handlers.slo.kinds import Slo, Tier, span

MONTH, WEEK = range(28, 32), 7
"""Lengths of a window in days that people call a month, and a week."""
UNKNOWN_BURN = "How fast it burns is not known: there is no data."


def period(window_s: int) -> str:
    """``month's budget``, ``week's budget``, else ``budget of 90d``."""
    days = window_s / 86400
    if days in MONTH:
        return "month's budget"
    return "week's budget" if days == WEEK else f"budget of {span(window_s)}"


def per_cent(share: float) -> str:
    """``31 %``, ``0.4 %``, ``-120 %``: as many digits as a decision needs."""
    value = share * 100
    return f"{value:.0f} %" if abs(value) >= 10 or value == 0 else f"{value:.2g} %"


def times(speed: float | None) -> str:
    """``14.4x``; a burn nobody knows is ``no data``."""
    if speed is None:
        return "no data"
    return f"{speed:.0f}x" if speed >= 100 else f"{speed:.1f}x" if speed >= 1 else f"{speed:.2g}x"


def meaning(speed: float | None, left: float | None, window_s: int) -> str:
    """``At this speed the month's budget is gone in 2 d 2 h; 31 % is left.``: what a burn rate means to people."""
    name = period(window_s)
    if speed is None:
        return UNKNOWN_BURN
    if speed <= 1 and left is not None and left <= 0:
        return f"{_left(left, name)} At this speed as much comes back as is spent, or more."
    if speed <= 1:
        known = "" if left is None else f" {_left(left, name)}"
        return f"At this speed the {name} is not used up.{known}"
    if left is None:
        whole = budget.gone_in(1.0, speed, window_s) or 0.0
        return f"At this speed a whole {name} is gone in {duration(whole)}; what is left of it is not known."
    if left <= 0:
        whole = budget.gone_in(1.0, speed, window_s) or 0.0
        return f"{_left(left, name)} At this speed as much again is spent in {duration(whole)}."
    gone = budget.gone_in(left, speed, window_s) or 0.0
    return f"At this speed the {name} is gone in {duration(gone)}; {per_cent(left)} is left."


def _left(left: float, name: str) -> str:
    if left <= -1:
        return f"The {name} is spent {1 - left:.3g} times over."
    if left <= 0:
        return f"The {name} is spent" + (f", {per_cent(1 - left)} of it." if left < 0 else ".")
    return f"{per_cent(left)} is left."


def of_state(slo: Slo, state: State, tier: Tier | None, now: float) -> str:
    """What the last look means for people; the speed is that of the tier's short window, without one the shortest."""
    speed = budget.burn(recent(state, (tier or fastest(slo)).short_s, now), slo.budget)
    return meaning(speed, budget.left(recent(state, slo.window_s, now), slo.budget), slo.window_s)


def summary(name: str, slo: Slo, speed: float | None) -> str:
    """The title of a burn."""
    fast = times(speed).removesuffix("x")
    return f"{name} burns its error budget {fast} times as fast as {slo.objective:g} % allows"


def unmeasured(names: Sequence[str]) -> str:
    """``docs-availability`` or ``docs-availability and 11 more``."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
