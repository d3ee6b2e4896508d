"""The lanes: order, pauses, and that one try put twice is one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from ground.waiting import until
from hypothesis import given
from hypothesis import strategies as st

from bot.lanes import Lane, LaneRule, backoff


class Ran:
    """What a lane ran; ``hold`` keeps it from going on."""

    def __init__(self, workers: int = 1, clock: Callable[[], float] = time.time) -> None:
        self.keys: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.lane = Lane(LaneRule("test", workers=workers), self._run, clock=clock)

    def _run(self, key: str, _attempt: int) -> None:
        self.keys.append(key)
        self.gate.wait(5)

    def hold(self) -> None:
        """Occupy the only worker, so that what is put now has to queue."""
        self.gate.clear()
        self.lane.put("first", 1, urgency=0, due=0.0)
        until(lambda: self.keys == ["first"])

    def put(self, key: str, urgency: int = 5, due: float = 0.0, attempt: int = 1) -> None:
        self.lane.put(key, attempt, urgency=urgency, due=due)

    def end(self) -> None:
        self.gate.set()
        self.lane.close()
        self.lane.join(time.monotonic() + 5)


@pytest.fixture
def ran():
    made = Ran()
    yield made
    made.end()


def test_the_most_urgent_goes_first_and_the_newest_among_equals(ran: Ran):
    ran.hold()
    for key, urgency in (("old", 5), ("page", 1), ("new", 5), ("newer page", 1), ("panel", 9)):
        ran.put(key, urgency)
    ran.gate.set()
    until(lambda: len(ran.keys) == 6)
    assert ran.keys[1:] == ["newer page", "page", "new", "old", "panel"]


def test_one_try_put_twice_is_one_also_while_it_runs(ran: Ran):
    ran.hold()
    ran.put("first")
    ran.put("x")
    ran.put("x")
    ran.put("x", attempt=2)
    assert ran.lane.holds("x", 1)
    ran.gate.set()
    until(lambda: not ran.lane._held)
    assert ran.keys == ["first", "x", "x"]
    ran.put("x")
    until(lambda: len(ran.keys) == 4, message="a try that has ended may come again")


def test_what_is_due_later_waits_and_holds_nobody_up(ran: Ran):
    began = time.monotonic()
    ran.put("later", urgency=0, due=time.time() + 0.3)
    ran.put("soon", due=time.time() + 0.1)
    ran.put("now", urgency=9)
    until(lambda: len(ran.keys) == 3)
    assert ran.keys == ["now", "soon", "later"]
    assert time.monotonic() - began >= 0.29


def test_an_earlier_pause_wakes_a_lane_that_waits_for_a_later_one(ran: Ran):
    ran.put("far", due=time.time() + 3600)
    until(lambda: ran.lane._idle == 1)
    ran.put("near", due=time.time() + 0.05)
    until(lambda: ran.keys == ["near"], timeout=2)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_is_set_changes_no_pause(jump):
    wrong = [0.0]
    ran = Ran(clock=lambda: time.time() + wrong[0])
    began = time.monotonic()
    ran.put("x", due=time.time() + 0.3)
    wrong[0] = jump
    until(lambda: ran.keys == ["x"], timeout=2)
    assert time.monotonic() - began >= 0.29
    ran.end()


def test_no_more_threads_than_workers_and_none_before_there_is_work():
    ran = Ran(workers=3)
    assert ran.lane._threads == []
    ran.gate.clear()
    for n in range(10):
        ran.put(str(n))
    until(lambda: len(ran.keys) == 3)
    assert len(ran.lane._threads) == 3
    ran.end()


def test_a_closed_lane_starts_nothing_more(ran: Ran):
    ran.hold()
    ran.put("queued")
    ran.lane.close()
    ran.put("late")
    ran.end()
    assert ran.keys == ["first"]


@given(
    attempt=st.integers(1, 10_000),
    first=st.floats(0.01, 10),
    cap=st.floats(10, 600),
    after=st.none() | st.floats(0, 10_000),
)
def test_a_pause_grows_to_its_cap_and_is_never_shorter_than_the_outside_asked(attempt, first, cap, after):
    rule = LaneRule("test", workers=1, first=first, cap=cap)
    pause = backoff(attempt, rule, after=after)
    assert pause >= (after or 0.0)
    if after is None or after < first * 0.75:
        assert first * 0.75 <= pause <= cap * 1.25
    if after is not None and after > cap * 1.25:
        assert pause == after
    if first * 2 ** min(attempt - 1, 20) >= cap and after is None:
        assert pause >= cap * 0.75


def test_pauses_are_spread(ran: Ran):
    rule = LaneRule("test", workers=1)
    assert len({backoff(3, rule) for _ in range(50)}) > 40, "a herd that failed together must not return together"
