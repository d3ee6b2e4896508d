"""Lanes hold back: from a service that is down, in a channel that takes one message a second, and when asked to slow down."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest
from ground.waiting import until
from hypothesis import given
from hypothesis import strategies as st

from bot.lanes import NO_LONGER, Lane, LaneRule

DOWN = LaneRule("pagerduty", workers=8, trips=3, probe=0.3)
PACED = LaneRule("slack", workers=4, paces={"post": 0.2})


class Outside:
    """A service behind a lane, as the engine tells the lane of it; notes (when, key) of each call."""

    def __init__(self, rule: LaneRule, claim: Callable[[str, int, str, float], float] | None = None) -> None:
        self.calls: list[tuple[float, str]] = []
        self.works = True
        more = {"claim": claim} if claim else {}
        self.lane = Lane(rule, self._run, **more)

    def _run(self, key: str, attempt: int) -> None:
        self.calls.append((time.monotonic(), key))
        self.lane.heard(key, attempt, answered=self.works)
        if not self.works:
            self.put(key, attempt=attempt + 1, due=time.time() + 60, soft=True)

    def put(self, key: str, *, attempt: int = 1, urgency: int = 5, due: float = 0.0, **more) -> None:
        self.lane.put(key, attempt, urgency=urgency, due=due, **more)

    @property
    def keys(self) -> list[str]:
        return [key for _, key in self.calls]

    def gaps(self, *keys: str) -> list[float]:
        """Seconds between one call and the next of these keys, of all when none is named."""
        times = [at for at, key in self.calls if not keys or key in keys]
        return [b - a for a, b in itertools.pairwise(times)]


@pytest.fixture
def make():
    made: list[Outside] = []

    def one(rule: LaneRule, **more) -> Outside:
        made.append(Outside(rule, **more))
        return made[-1]

    yield one
    for outside in made:
        outside.lane.close()


# ---- a service that is down -------------------------------------------------------------------------------------


def test_a_service_that_is_down_is_asked_now_and_then_by_the_most_urgent_try(make):
    outside = make(DOWN)
    outside.works = False
    for n in range(3):
        outside.put(f"trip-{n}")
    until(lambda: outside.lane.down)
    called = len(outside.calls)
    for n in range(20):
        outside.put(f"ticket-{n}", urgency=3)
    outside.put("page", urgency=1)
    assert set(outside.lane.kept_back()) == {"page", *(f"ticket-{n}" for n in range(20))}
    until(lambda: len(outside.calls) == called + 3, timeout=5)
    assert outside.keys[called] == "page"
    assert all(gap >= 0.29 for gap in outside.gaps()[called:]), "it was hammered"


def test_when_it_is_back_all_that_waited_for_it_goes_at_once(make):
    outside = make(DOWN)
    outside.works = False
    for n in range(6):
        outside.put(f"page-{n}")
    until(lambda: outside.lane.down and len(outside.calls) >= 4)
    outside.works = True
    mended = time.monotonic()
    outside.put("new", urgency=1)
    until(
        lambda: {"new", *(f"page-{n}" for n in range(6))} <= {key for at, key in outside.calls if at > mended},
        timeout=5,
    )
    assert not outside.lane.down
    assert time.monotonic() - mended < 2, "a pause of a minute was waited for though the service was back"


def test_the_only_try_there_is_asks_while_its_own_pause_is_long(make):
    """A page that has failed for an hour must not wait out its pause when PagerDuty is back."""
    outside = make(DOWN)
    outside.works = False
    for n in range(1, 4):
        outside.put("page", attempt=n, due=0.0)
        until(lambda n=n: len(outside.calls) == n)
    until(lambda: outside.lane.down)
    outside.works = True
    until(lambda: not outside.lane.down, timeout=2, message="nobody asked whether the service is back")


def test_a_pause_that_somebody_wanted_is_kept_when_the_service_comes_back(make):
    outside = make(DOWN)
    outside.works = False
    for n in range(3):
        outside.put(f"trip-{n}")
    outside.put("undo", due=time.time() + 30)
    until(lambda: outside.lane.down)
    outside.works = True
    outside.put("probe")
    until(lambda: not outside.lane.down)
    until(lambda: sum(key.startswith("trip") for key in outside.keys) == 6)
    assert "undo" not in outside.keys


def test_one_answer_between_failures_keeps_a_service_up(make):
    outside = make(DOWN)
    for n in range(12):
        outside.works = n % 3 == 2
        outside.put(f"try-{n}")
        until(lambda n=n: f"try-{n}" in outside.keys)
    assert not outside.lane.down


def test_a_lane_of_many_services_is_never_down(make):
    outside = make(LaneRule("checks", workers=2, trips=0))
    outside.works = False
    for n in range(20):
        outside.put(f"check-{n}")
    until(lambda: len(outside.calls) == 20)
    assert not outside.lane.down


def test_a_probe_that_is_lost_does_not_lock_the_lane(make):
    """A try that ends without telling anything (a fault in the executor) must not stand for a probe for ever."""
    outside = make(DOWN)
    outside.works = False
    for n in range(3):
        outside.put(f"trip-{n}")
    until(lambda: outside.lane.down)
    told, outside.lane.heard = outside.lane.heard, lambda *_a, **_k: None
    outside.put("silent", urgency=1)
    until(lambda: "silent" in outside.keys)
    outside.lane.heard = told
    outside.works = True
    outside.put("next", urgency=1)
    until(lambda: "next" in outside.keys and not outside.lane.down, timeout=5)


# ---- paces and rate limits ---------------------------------------------------------------------------------------


def test_a_channel_takes_one_message_a_pace_and_the_most_urgent_goes_first(make):
    outside = make(PACED)
    for n in range(4):
        outside.put(f"note-{n}", bucket="post:C1", urgency=4)
    until(lambda: outside.calls)
    outside.put("root", bucket="post:C1", urgency=1)
    until(lambda: len(outside.calls) == 5, timeout=5)
    assert outside.keys[1] == "root"
    assert all(gap >= 0.19 for gap in outside.gaps()), outside.gaps()


def test_where_calls_are_paced_the_oldest_goes_first_among_equals(make):
    """In a long storm no panel may wait for ever behind newer ones."""
    outside = make(PACED)
    outside.lane.hold("post:C1", 0.2)
    for n in range(4):
        outside.put(f"note-{n}", bucket="post:C1")
    until(lambda: len(outside.calls) == 4, timeout=5)
    assert outside.keys == ["note-0", "note-1", "note-2", "note-3"]


def test_channels_do_not_wait_for_one_another(make):
    outside = make(PACED)
    for n in range(5):
        outside.put(f"a-{n}", bucket="post:A")
    for name in "bcdefgh":
        outside.put(name, bucket=f"post:{name}")
    outside.put("free", bucket="")
    until(lambda: {"free", *"bcdefgh"} <= set(outside.keys), timeout=2)
    assert sum(key.startswith("a-") for key in outside.keys) < 5


def test_who_is_asked_to_slow_down_waits_and_others_go_on(make):
    outside = make(PACED)
    outside.lane.hold("events:docs-api", 0.5)
    began = time.monotonic()
    outside.put("held", bucket="events:docs-api")
    outside.put("other", bucket="events:gateway")
    until(lambda: outside.keys == ["other"])
    assert outside.lane.kept_back() == ["held"]
    until(lambda: "held" in outside.keys, timeout=5)
    assert time.monotonic() - began >= 0.49


def test_a_bucket_that_another_replica_has_used_is_waited_for(make):
    answers = iter([0.3, 0.0])
    outside = make(PACED, claim=lambda *_: next(answers))
    began = time.monotonic()
    outside.put("root", bucket="post:C1")
    until(lambda: outside.keys == ["root"], timeout=5)
    assert time.monotonic() - began >= 0.29


def test_what_another_replica_has_posted_takes_no_turn(make):
    outside = make(PACED, claim=lambda key, *_: NO_LONGER if key.startswith("done") else 0.0)
    began = time.monotonic()
    for n in range(10):
        outside.put(f"done-{n}", bucket="post:C1", urgency=1)
    outside.put("mine", bucket="post:C1")
    until(lambda: outside.keys == ["mine"], timeout=5)
    assert time.monotonic() - began < 1.5, "turns were spent on what is done"
    assert not outside.lane.holds("done-3", 1)


def test_a_claim_is_asked_for_paced_buckets_alone(make):
    asked: list[str] = []

    def claim(_key: str, _attempt: int, bucket: str, _pace: float) -> float:
        asked.append(bucket)
        return 0.0

    outside = make(PACED, claim=claim)
    outside.put("a", bucket="post:C1")
    outside.put("b", bucket="events:x")
    outside.put("c")
    until(lambda: len(outside.calls) == 3)
    assert asked == ["post:C1"]


@given(
    tries=st.lists(
        st.tuples(st.integers(1, 6), st.sampled_from(["", "post:A", "post:B", "edit"]), st.booleans()), max_size=40
    ),
    fails=st.sets(st.integers(0, 39), max_size=6),
)
def test_whatever_comes_every_try_is_started_once(tries, fails):
    started: list[str] = []
    done = threading.Event()
    rule = LaneRule("x", workers=3, trips=3, probe=0.005, paces={"post": 0.002, "edit": 0.001})

    def run(key: str, attempt: int) -> None:
        lane.heard(key, attempt, answered=int(key) not in fails)
        started.append(key)
        if len(started) == len(tries):
            done.set()

    lane = Lane(rule, run)
    for n, (urgency, bucket, later) in enumerate(tries):
        lane.put(str(n), 1, urgency=urgency, due=time.time() + 0.003 if later else 0.0, bucket=bucket, soft=later)
    assert not tries or done.wait(10), f"{len(started)} of {len(tries)} were started"
    lane.close()
    lane.join(time.monotonic() + 5)
    assert sorted(map(int, started)) == list(range(len(tries)))
