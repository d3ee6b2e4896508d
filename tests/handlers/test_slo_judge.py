"""What a look changes: begun at once, ended after calm looks, kept while nothing is known; and what is asked for when."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.slo import judge, words
from handlers.slo.judge import BLIND_LOOKS, CALM_LOOKS, Fired, Heard, State, due, look
from handlers.slo.kinds import MISSING, Slo, seconds

SLO = Slo(service="docs-api", objective=99.9, bad="b", total="t")
PAGE, TICKET = "page-1h", "ticket-3d"
NOW = 1_790_000_000.0


def heard(share: float | None, now: float = NOW, slo: Slo = SLO) -> dict[int, Heard]:
    """Every window with the same share of bad events among a hundred thousand; None: no data."""
    one = Heard(now) if share is None else Heard(now, share * 1e5, 1e5)
    return dict.fromkeys(judge.lengths(slo), one)


class Minutes:
    """Looks a minute apart, and what began and ended."""

    def __init__(self) -> None:
        self.now, self.state = NOW, State()
        self.seen: list[tuple[str, bool]] = []

    def look(self, share: float | None) -> list[tuple[str, bool]]:
        self.now += 60
        state = State(
            heard(share, self.now), self.state.fired, self.state.blind, self.state.blind_since, "", self.state.paged_at
        )
        after, changes = look(SLO, state, self.now)
        fired = {**after.fired, **{one.name: Fired(int(self.now * 1e6)) for one in changes if one.begins}}
        self.state = State(after.windows, fired, after.blind, after.blind_since, "", after.paged_at)
        self.seen = [(one.name, one.begins) for one in changes]
        return self.seen


def test_a_total_outage_begins_the_pages_and_not_the_tickets_beside_them():
    days = Minutes()
    assert days.look(1.0) == [("page-1h", True), ("page-6h", True), ("page-3d", True)]
    assert days.look(1.0) == []


def test_a_burst_that_was_paged_for_is_no_slow_burn_afterwards():
    days = Minutes()
    days.look(1.0)
    ended = [days.look(0.0) for _ in range(CALM_LOOKS)][-1]
    assert {name for name, begins in ended if not begins} == {"page-1h", "page-6h", "page-3d"}
    assert days.look(0.0035) == [], "the short window of a ticket's tier is full of what was paged for"
    days.now += 6 * 3600
    assert (TICKET, True) in days.look(0.0035)


def test_a_slow_burn_is_a_ticket_and_may_become_a_page():
    days = Minutes()
    assert {name for name, _ in days.look(0.0035)} == {"ticket-1d", "ticket-3d", "ticket-30d"}
    assert ("page-1h", True) in days.look(0.5)


def test_one_calm_look_between_two_that_burn_ends_nothing():
    days = Minutes()
    days.look(1.0)
    for _ in range(5):
        assert days.look(0.0) == []
        assert days.look(0.0) == []
        assert days.look(1.0) == []


@given(st.lists(st.sampled_from([None, 1.0, 0.0]), max_size=30))
@settings(max_examples=60)
def test_no_end_comes_of_what_is_not_known(shares: list[float | None]):
    days = Minutes()
    for share in shares:
        changes = days.look(share)
        assert share is not None or [name for name, _ in changes if name != MISSING] == []


def test_no_data_for_long_enough_is_an_alert_of_its_own_and_ends_with_the_first_measurement():
    days, minutes = Minutes(), seconds(SLO.missing_after) // 60
    seen = [days.look(None) for _ in range(minutes + 1)]
    assert seen[-1] == [(MISSING, True)]
    assert not any(seen[:-1])
    assert days.look(0.0) == [(MISSING, False)]


def test_a_bot_that_was_down_for_an_hour_does_not_count_that_as_looks_without_data():
    days = Minutes()
    days.look(None)
    days.now += 3600
    assert days.look(None) == []
    assert BLIND_LOOKS > 2


def test_an_slo_whose_total_counts_nothing_for_a_day_is_asked_about_and_is_not_at_100_per_cent():
    silent = {length: Heard(NOW, 0.0, 0.0) for length in judge.lengths(SLO)}
    state, changes = look(SLO, State(silent), NOW)
    assert [(one.name, one.begins) for one in changes] == [(MISSING, True)]
    assert "100 %" not in words.of_state(SLO, state, None, NOW)


def test_what_was_heard_too_long_ago_counts_as_not_known():
    assert judge.recent(State(heard(1.0, NOW - 3600)), 300, NOW) == judge.UNKNOWN
    assert judge.recent(State(heard(1.0, NOW - 3000)), 30 * 86400, NOW).known
    assert judge.recent(State(heard(1.0, NOW + 3600)), 300, NOW).known, "the clock was set back: it was heard just now"


def test_short_windows_are_asked_for_each_minute_and_long_ones_seldom():
    state = State(heard(0.0))
    asked = dict.fromkeys(judge.lengths(SLO), 0)
    for minute in range(1, 61):
        now = NOW + 60 * minute
        for length in due(SLO, state, now):
            asked[length] += 1
            state = State({**state.windows, length: Heard(now, 0.0, 1e5)})
    assert asked[300] == asked[3600] == 60
    assert asked[6 * 3600] == 10
    assert asked[30 * 86400] == 2
    assert all(len(batch) == 1 for batch in judge.batches(judge.lengths(SLO))[1:])


def test_a_long_window_that_is_not_told_is_asked_for_again_in_minutes_and_not_each_minute():
    state = State({**heard(0.0), 30 * 86400: Heard(NOW)})
    assert 30 * 86400 not in due(SLO, state, NOW + 60)
    assert 30 * 86400 in due(SLO, state, NOW + 300)


def test_a_burn_in_the_short_window_makes_the_long_one_urgent():
    state = State({**heard(0.0), 300: Heard(NOW, 5e4, 1e5)})
    assert judge.hot(SLO, state, NOW) == []
    later = State({**heard(0.0, NOW - 60), 300: Heard(NOW, 5e4, 1e5)})
    assert 3600 in judge.hot(SLO, later, NOW)
    assert 3 * 86400 not in judge.hot(SLO, State({**heard(0.0, NOW - 60), 6 * 3600: Heard(NOW, 5e4, 1e5)}), NOW)
    assert 3 * 86400 in judge.hot(SLO, State({**heard(0.0, NOW - 300), 6 * 3600: Heard(NOW, 5e4, 1e5)}), NOW)


def test_a_state_is_kept_as_it_is():
    state = State(heard(0.5), {PAGE: Fired(5, 1, "docs-api", "ab", {"a": "b"}, {})}, 2, NOW, "why", NOW)
    assert State.of(state.text()) == state


@pytest.mark.parametrize(
    ("speed", "left", "said"),
    [
        (14.4, 1.0, "At this speed the month's budget is gone in 2 d 2 h; 100 % is left."),
        (14.4, 0.31, "At this speed the month's budget is gone in 15 h 30 min; 31 % is left."),
        (0.5, 0.31, "At this speed the month's budget is not used up. 31 % is left."),
        (0.5, -0.2, "The month's budget is spent, 120 % of it. At this speed as much comes back as is spent, or more."),
        (20.0, -0.2, "The month's budget is spent, 120 % of it. At this speed as much again is spent in 1 d 12 h."),
        (20.0, None, "At this speed a whole month's budget is gone in 1 d 12 h; what is left of it is not known."),
        (None, 0.5, "How fast it burns is not known: there is no data."),
    ],
)
def test_what_a_burn_means_is_said_in_hours_and_per_cent(speed, left, said):
    assert words.meaning(speed, left, SLO.window_s) == said


@given(st.one_of(st.none(), st.floats(0, 1e6)), st.one_of(st.none(), st.floats(-1e4, 1)))
def test_no_sentence_has_nan_or_a_negative_time(speed, left):
    said = words.meaning(speed, left, SLO.window_s)
    assert "nan" not in said
    assert " -" not in said
    assert not math.isnan(len(said))
