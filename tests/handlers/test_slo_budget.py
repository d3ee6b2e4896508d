"""Burn and budget: more that goes wrong never calms a tier, and what is not known neither fires nor ends anything."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.slo import budget
from handlers.slo.budget import UNKNOWN, Reading, burn, fires, gone_in, left, reading
from handlers.slo.kinds import Slo, Tier

SLO = Slo(service="docs-api", objective=99.9, bad="b", total="t")
TIERS = SLO.all_tiers
PAGE = TIERS[0]
counts = st.floats(0, 1e9)
readings = st.builds(lambda total, share: Reading(total * share, total), counts, st.floats(0, 1))
maybe = st.one_of(st.just(UNKNOWN), readings)
tiers = st.sampled_from(TIERS)
odd = st.sampled_from([None, math.nan, math.inf, -math.inf, -1.0, -1e-3])


def test_the_workbook_s_page_fires_at_14_4_times_in_both_windows_and_not_below():
    at, below = Reading(144, 10_000), Reading(143, 10_000)
    assert fires(PAGE, SLO.budget, at, at) is True
    assert fires(PAGE, SLO.budget, at, below) is False
    assert fires(PAGE, SLO.budget, below, at) is False


@given(tiers, readings, readings, st.floats(1, 10), st.floats(1, 10))
def test_more_bad_events_never_calm_a_tier_that_fires(tier: Tier, long: Reading, short: Reading, a: float, b: float):
    worse = fires(tier, SLO.budget, Reading(long.bad * a, long.total), Reading(short.bad * b, short.total))
    assert not (fires(tier, SLO.budget, long, short) is True and worse is not True)


@given(tiers, maybe, maybe)
def test_what_is_not_known_neither_fires_nor_ends_anything(tier: Tier, long: Reading, short: Reading):
    if UNKNOWN in (long, short):
        assert fires(tier, SLO.budget, long, short) is None


@given(tiers, readings)
def test_silence_in_the_short_window_alone_does_not_begin_a_tier(tier: Tier, long: Reading):
    assert fires(tier, SLO.budget, long, Reading(0.0, 0.0)) is not True


@pytest.mark.parametrize("long", [Reading(5_000.0, 5_000.0), Reading(4.0, 4.0), Reading(0.0, 0.0)])
def test_an_outage_that_keeps_all_requests_away_does_not_end_as_the_bad_ones_leave_the_window(long: Reading):
    assert fires(PAGE, SLO.budget, long, Reading(0.0, 0.0)) is None


@given(st.sampled_from(TIERS[:4]), st.floats(0, 9.99), st.floats(0, 1e6))
def test_a_handful_of_errors_wakes_nobody_however_large_their_share(tier: Tier, bad: float, total: float):
    assert fires(tier, SLO.budget, Reading(bad, total), Reading(bad, bad)) is not True


@given(odd, counts)
def test_a_number_that_no_counter_can_say_is_unknown_and_never_good(value, other):
    for found in (reading(value, other), reading(other, value)):
        assert found == UNKNOWN
        assert burn(found, SLO.budget) is None
        assert left(found, SLO.budget) is None


def test_an_slo_that_measures_nothing_is_not_at_100_per_cent():
    assert left(UNKNOWN, SLO.budget) is None
    assert left(Reading(0.0, 0.0), SLO.budget) is None


@given(readings)
def test_no_share_is_above_one(found: Reading):
    assert found.share is None or 0 <= found.share <= 1


def test_all_of_a_month_s_budget_is_gone_in_two_days_and_two_hours_at_14_4():
    assert gone_in(1.0, 14.4, SLO.window_s) == pytest.approx(50 * 3600)
    assert gone_in(0.31, 14.4, SLO.window_s) == pytest.approx(0.31 * 50 * 3600)


@given(st.floats(-100, 1), st.floats(0, 1000), st.floats(0, 1000))
def test_a_faster_burn_never_leaves_more_time(remaining: float, one: float, two: float):
    slow, fast = (gone_in(remaining, speed, SLO.window_s) for speed in sorted((one, two)))
    assert slow is None or (fast is not None and 0 <= fast <= slow)


def test_a_speed_that_spends_no_more_than_comes_back_never_ends_the_budget():
    assert gone_in(0.5, 1.0, SLO.window_s) is None
    assert gone_in(None, 20.0, SLO.window_s) is None
    assert gone_in(-0.2, 20.0, SLO.window_s) == 0.0


def test_more_bad_than_total_is_a_broken_query_that_still_fires():
    assert budget.burn(Reading(200.0, 100.0), 0.001) == pytest.approx(1000)
