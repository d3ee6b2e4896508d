"""The simulated traffic and its tiers: windows, least counts, episodes, and the same events for both."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest
from detection import BURSTS, Counted, bursty, drawn, fires, pages, sets, steady

from handlers.slo.kinds import Tier

BUDGET = 0.001


def counted(total: list[int], bad: list[int]) -> Counted:
    return Counted([0, *accumulate(total)], [0, *accumulate(bad)])


def test_a_window_has_its_last_minutes_and_no_more():
    events = counted([1, 2, 4, 8], [0, 1, 1, 2])
    assert events.over(3, 120) == (3, 12)
    assert events.over(3, 60) == (2, 8)
    assert events.over(1, 3600) == (1, 3), "before the beginning there is nothing"


def test_a_tier_needs_both_windows_and_its_least_counts():
    tier = Tier(severity="page", burn=10, long="10m", short="2m")
    events = counted([100] * 20, [0] * 10 + [20] * 5 + [0] * 5)
    assert fires(tier, events, 14, BUDGET)
    assert not fires(tier, events, 17, BUDGET), "it burnt, but the last two minutes are clean"
    assert not fires(tier.model_copy(update={"min_bad": 101}), events, 14, BUDGET)
    assert not fires(tier.model_copy(update={"min_total": 1001}), events, 14, BUDGET)
    assert not fires(tier, counted([0] * 20, [0] * 20), 14, BUDGET), "nothing is no burn"


def test_an_episode_is_one_page_until_it_has_been_calm():
    tier = Tier(severity="page", burn=10, long="1m", short="1m")
    bad = [0, 50, 0, 0, 50, 0, 0, 0, 50]
    assert pages([tier], counted([100] * 9, bad), range(9), BUDGET) == [1, 8]


def test_one_bad_event_at_night_wakes_somebody_by_the_workbook_and_nobody_here():
    events = counted([1] * 4400, [0] * 4380 + [1] + [0] * 19)
    found = {who: pages(tiers, events, range(4320, 4400), BUDGET) for who, tiers in sets().items()}
    assert found == {"ours": [], "workbook": [4380]}


@pytest.mark.parametrize("traffic", [steady, bursty])
def test_an_outage_of_a_busy_service_is_paged_within_minutes_by_both(traffic):
    events = drawn(random.Random(3), traffic, 100.0, [0.0] * 4320 + [1.0] * 10)
    for tiers in sets().values():
        (at,) = pages(tiers, events, range(4320, 4330), BUDGET)
        assert at < 4325


def test_the_traffic_that_is_drawn_has_the_mean_and_the_share_that_were_asked_for():
    for traffic, rate in ((steady, 3.0), (steady, 200.0), (bursty, 30.0)):
        events = drawn(random.Random(5), traffic, rate, [0.1] * 20_000)
        bad, total = events.over(19_999, 20_000 * 60)
        assert total / 20_000 == pytest.approx(rate, rel=0.03)
        assert bad / total == pytest.approx(0.1, rel=0.05)
    chance = random.Random(1)
    assert sum(bursty(chance, 1.0) > 1 for _ in range(10_000)) / 10_000 == pytest.approx(BURSTS, rel=0.2)
