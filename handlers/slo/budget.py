"""The arithmetic of error budgets: how fast one burns, when a tier fires, what is left and when it is gone; pure.

What is not known is None and stays None: it is no zero, it fires nothing, and it ends nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from handlers.slo.kinds import Tier


def known(value: float | None) -> float | None:
    """A number of events; None for what no counter can say: NaN, infinity, less than nothing."""
    if value is None or not math.isfinite(value) or value < 0:
        return None
    return value


@dataclass(frozen=True)
class Reading:
    """What was counted over one window, in events. Both are known or both are None."""

    bad: float | None = None
    total: float | None = None

    @property
    def known(self) -> bool:
        return self.total is not None

    @property
    def share(self) -> float | None:
        """The share of bad events, 0 to 1; None when it is not known, and when nothing happened at all."""
        if self.bad is None or not self.total:
            return None
        return min(1.0, self.bad / self.total)


UNKNOWN = Reading()


def reading(total: float | None, bad: float | None) -> Reading:
    """What two queries say together; unknown unless both say something that can be."""
    all_, some = known(total), known(bad)
    return UNKNOWN if all_ is None or some is None else Reading(some, all_)


def burn(found: Reading, budget: float) -> float | None:
    """How many times the speed that spends the budget exactly in the SLO's window; None when it is not known."""
    return None if found.share is None else found.share / budget


def fires(tier: Tier, budget: float, long: Reading, short: Reading) -> bool | None:
    """Whether both windows burn fast enough; None when that is not known: then what fires stays, and nothing begins.

    ``tier``: one of ``Slo.all_tiers``, with its minima.
    Where nothing at all happens in the short window, the share of the long one decides alone whether it is over: in an outage
    that keeps all requests away the bad ones become few, which is no end.
    """
    if long.bad is None or long.total is None or not short.known:
        return None
    slow, fast = burn(long, budget), burn(short, budget)
    if slow is not None and not _reaches(slow, tier.burn):
        return False
    if slow is None or fast is None:
        return None
    if long.bad < (tier.min_bad or 0) or long.total < (tier.min_total or 0):
        return False
    return _reaches(fast, tier.burn)


def _reaches(speed: float, threshold: float) -> bool:
    """At least; 144 of 10 000 against 14.4 times a budget of 0.001 is no less for being reckoned in binary."""
    return speed >= threshold * (1 - 1e-9)


def left(found: Reading, budget: float) -> float | None:
    """The share of the budget that is left over the SLO's window: 1 all of it, less than 0 overspent; None unknown."""
    speed = burn(found, budget)
    return None if speed is None else 1.0 - speed


def gone_in(remaining: float | None, speed: float | None, window_s: float) -> float | None:
    """Seconds until the budget is gone at this speed; None when it is not known, or never is.

    At a burn of 1 or less as much comes back as is spent, since the window moves along.
    """
    if remaining is None or speed is None or speed <= 1:
        return None
    return max(0.0, remaining) * window_s / speed
