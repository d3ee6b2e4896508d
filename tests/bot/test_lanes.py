"""Lanes: no try waits behind another's slow call while the lane has room, and the worst goes first."""

from __future__ import annotations

import threading
import time

import pytest
from ground.waiting import until

from bot.lanes import Lane, LaneRule


class Calls:
    """What a lane has started; each call lasts until it is let go."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.go = threading.Event()

    def run(self, key: str, _attempt: int) -> None:
        self.started.append(key)
        assert self.go.wait(10)


@pytest.fixture
def calls():
    made = Calls()
    yield made
    made.go.set()


def test_calls_at_the_same_moment_do_not_wait_for_one_another(calls):
    lane = Lane(LaneRule("pagerduty", workers=8), calls.run)
    # One thread has worked before and is idle now: it must not be counted on for all that comes.
    calls.go.set()
    lane.put("first", 1, urgency=1, due=0)
    until(lambda: calls.started == ["first"] and lane._idle == 1)
    calls.go.clear()
    for n in range(6):
        lane.put(f"page-{n}", 1, urgency=1, due=0)
    until(lambda: len(calls.started) == 7, timeout=3, message="a page waits behind another's slow call")
    calls.go.set()
    lane.close()


def test_tries_that_fall_due_at_the_same_moment_do_not_wait_for_one_another(calls):
    lane = Lane(LaneRule("pagerduty", workers=8), calls.run)
    for n in range(6):
        lane.put(f"retry-{n}", 2, urgency=1, due=time.time() + 0.1)
    until(lambda: len(calls.started) == 6, timeout=3, message="a retry waits behind another's slow call")
    calls.go.set()
    lane.close()


def test_a_lane_never_makes_more_calls_at_once_than_it_may(calls):
    lane = Lane(LaneRule("jira", workers=2), calls.run)
    for n in range(10):
        lane.put(f"ticket-{n}", 1, urgency=3, due=0)
    until(lambda: len(calls.started) == 2)
    assert len(lane._threads) == 2
    calls.go.set()
    until(lambda: len(calls.started) == 10)
    lane.close()


def test_the_most_urgent_goes_first_and_among_equals_the_newest(calls):
    lane = Lane(LaneRule("pagerduty", workers=1), calls.run)
    lane.put("busy", 1, urgency=9, due=0)
    until(lambda: calls.started == ["busy"])
    for key, urgency in (("old-2", 2), ("old-1", 1), ("new-2", 2), ("new-1", 1)):
        lane.put(key, 1, urgency=urgency, due=0)
    calls.go.set()
    until(lambda: len(calls.started) == 5)
    assert calls.started[1:] == ["new-1", "old-1", "new-2", "old-2"]
    lane.close()


def test_one_try_put_twice_is_one_try(calls):
    lane = Lane(LaneRule("slack", workers=4), calls.run)
    for _ in range(3):
        lane.put("root", 1, urgency=1, due=0)
    until(lambda: calls.started)
    assert lane.holds("root", 1)
    calls.go.set()
    until(lambda: not lane.holds("root", 1))
    assert calls.started == ["root"]
    lane.close()


def test_a_closed_lane_starts_nothing_more(calls):
    lane = Lane(LaneRule("slack", workers=1), calls.run)
    lane.put("busy", 1, urgency=1, due=0)
    until(lambda: calls.started)
    lane.put("never", 1, urgency=1, due=0)
    lane.close()
    calls.go.set()
    lane.join(time.monotonic() + 5)
    assert calls.started == ["busy"]


def test_a_try_that_sleeps_too_long_is_woken_by_one_who_wants_it_sooner(calls):
    """As when the clock was set back between the reckoning of its time and its being put here."""
    lane = Lane(LaneRule("pagerduty", workers=2), calls.run)
    calls.go.set()
    lane.put("page", 2, urgency=1, due=time.time() + 3600)
    lane.put("page", 2, urgency=1, due=time.time() + 0.1)
    until(lambda: calls.started == ["page"], timeout=3, message="the page sleeps for an hour")
    lane.close()
    assert calls.started == ["page"]
