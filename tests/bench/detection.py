"""P19: how soon an SLO's tiers page, and how often for nothing, on traffic that is drawn; ours beside the workbook's as they stand.

No clock and no process: minutes are counted, and a tier is looked at once a minute, as the bot does.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from report import Row
from size import Run, Size
from subject import Bench

from handlers.slo.judge import CALM_LOOKS
from handlers.slo.kinds import TIERS, Slo, Tier

OBJECTIVE = 99.9
RATES = (1, 3, 10, 100, 1000, 10_000)
"""Events a minute."""
BROKEN = (0.02, 0.1, 1.0)
"""Shares of events that are bad from one minute on."""
SOUND = 0.0005
"""The share that is bad all the time while the promise is kept: half the budget. Whoever is paged for that is paged for nothing."""
MONTH, BEFORE, LATEST = 30 * 1440, 3 * 1440, 1440
"""Minutes of a month; of a calm before it breaks, as long as the workbook's longest window; and after which nobody is detected any more."""
BURSTS, HIGHER = 0.05, 10.0
"""Of bursty traffic so many minutes have so many times the mean, and the others what is left of it."""
Traffic = Callable[[random.Random, float], float]


def steady(_chance: random.Random, rate: float) -> float:
    """Events to be expected in a minute of steady traffic."""
    return rate


def bursty(chance: random.Random, rate: float) -> float:
    """Events to be expected in a minute of traffic that comes in bursts, at the same mean."""
    return rate * (HIGHER if chance.random() < BURSTS else (1 - BURSTS * HIGHER) / (1 - BURSTS))


@dataclass(frozen=True)
class Counted:
    """Events of all minutes up to each, from the beginning: ``total`` and ``bad``, one longer than there are minutes."""

    total: Sequence[int]
    bad: Sequence[int]

    def over(self, minute: int, seconds: int) -> tuple[int, int]:
        """(bad, total) of the window that ends with a minute."""
        start = max(0, minute + 1 - max(1, seconds // 60))
        return self.bad[minute + 1] - self.bad[start], self.total[minute + 1] - self.total[start]


def drawn(chance: random.Random, traffic: Traffic, rate: float, shares: Sequence[float]) -> Counted:
    """Events of as many minutes as there are shares of bad ones."""
    totals = [_events(chance, traffic(chance, rate)) for _ in shares]
    bads = [min(n, _events(chance, n * share)) if share < 1 else n for n, share in zip(totals, shares, strict=True)]
    return Counted([0, *accumulate(totals)], [0, *accumulate(bads)])


def _events(chance: random.Random, mean: float) -> int:
    """A number of events that come independently of one another."""
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    n, left = 0, chance.random()
    least = math.exp(-mean)
    while left > least:
        n, left = n + 1, left * chance.random()
    return n


def fires(tier: Tier, events: Counted, minute: int, budget: float) -> bool:
    """Whether both windows of a tier burn fast enough, and there are events enough in the long one."""
    bad, total = events.over(minute, tier.long_s)
    if bad < (tier.min_bad or 0) or total < (tier.min_total or 0) or bad == 0 or bad < tier.burn * budget * total:
        return False
    bad, total = events.over(minute, tier.short_s)
    return bad > 0 and bad >= tier.burn * budget * total


def pages(tiers: Sequence[Tier], events: Counted, minutes: range, budget: float) -> list[int]:
    """The minutes at which somebody is paged: a tier that pages begins, and none did that is not over."""
    found: list[int] = []
    calm = CALM_LOOKS
    for minute in minutes:
        burns = any(fires(tier, events, minute, budget) for tier in tiers)
        if burns and calm >= CALM_LOOKS:
            found.append(minute)
        calm = 0 if burns else calm + 1
    return found


def sets() -> dict[str, Sequence[Tier]]:
    """The tiers that page: ours with their least counts, and the workbook's without any."""
    ours = Slo(
        service="docs-api", objective=OBJECTIVE, total="sum(rate(x[{{window}}]))", bad="sum(rate(y[{{window}}]))"
    )
    return {
        name: [one for one in tiers if one.severity == "page"]
        for name, tiers in (("ours", ours.all_tiers), ("workbook", TIERS))
    }


def detection(_bench: Bench, size: Size) -> Iterator[Row]:
    """P19: by rate, kind of traffic and share of bad events; the floor is the workbook's figure on the very same events."""
    budget, tiers = round(1 - OBJECTIVE / 100, 12), sets()
    for traffic in (steady, bursty):
        for rate in RATES:
            chance = random.Random(rate)  # the same events every time
            name = f"P19 {rate:,} a minute, {traffic.__name__}"
            yield _false(name, chance, traffic, rate, tiers, budget, months=size.turns)
            for share in BROKEN:
                yield _delay(name, chance, traffic, rate, share, tiers, budget, trials=4 * size.turns)


def _false(
    name: str,
    chance: random.Random,
    traffic: Traffic,
    rate: float,
    tiers: dict[str, Sequence[Tier]],
    budget: float,
    *,
    months: int,
) -> Row:
    counts: dict[str, list[int]] = {who: [] for who in tiers}
    for _ in range(months):
        events = drawn(chance, traffic, rate, [SOUND] * (BEFORE + MONTH))
        for who, some in tiers.items():
            counts[who].append(len(pages(some, events, range(BEFORE, BEFORE + MONTH), budget)))
    runs: list[Run] = [{"of": who, "pages": found} for who, found in counts.items()]
    mean = {who: statistics.fmean(found) for who, found in counts.items()}
    return Row(f"{name}: pages a month for nothing", mean["ours"], "pages", months, mean["workbook"], "≤ the workbook's",
               at_most=mean["workbook"], runs=runs)  # fmt: skip


def _delay(
    name: str, chance: random.Random, traffic: Traffic, rate: float, share: float, tiers: dict[str, Sequence[Tier]], budget: float, *, trials: int
) -> Row:  # fmt: skip
    late: dict[str, list[int]] = {who: [] for who in tiers}
    for _ in range(trials):
        # Nothing is bad before: how soon is asked, not how lucky.
        events = drawn(chance, traffic, rate, [0.0] * BEFORE + [share] * LATEST)
        for who, some in tiers.items():
            minutes = (m for m in range(BEFORE, BEFORE + LATEST) if any(fires(one, events, m, budget) for one in some))
            late[who].append(next(minutes, BEFORE + LATEST) - BEFORE + 1)
    runs: list[Run] = [{"of": who, "minutes": found} for who, found in late.items()]
    median = {who: statistics.median(found) for who, found in late.items()}
    return Row(
        f"{name}, {share:.0%} bad: paged after",
        median["ours"],
        "min",
        trials,
        median["workbook"],
        "recorded",
        runs=runs,
    )
