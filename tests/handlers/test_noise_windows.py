"""When the maintenance windows of captain.yml are on, and which mistakes in them are said."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from handlers.noise.kinds import DAYS, Window, misfits


def at(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def weekly(days: str = "sun", begins: str = "02:00", ends: str = "04:00", zone: str = "UTC") -> Window:
    said = {"services": ["docs-api"], "days": days.split(), "from": begins, "to": ends, "timezone": zone}
    return Window.model_validate(said)


def test_one_time_is_on_from_its_start_until_before_its_end():
    window = Window(services=("docs-api",), start="2026-12-01T02:00:00Z", end="2026-12-01T04:00:00Z")  # type: ignore[arg-type]
    assert window.at(at("2026-12-01T01:59:59+00:00")) is None
    assert window.at(at("2026-12-01T02:00:00+00:00"))
    assert window.at(at("2026-12-01T04:00:00+00:00")) is None
    assert window.after(at("2026-11-01T00:00:00+00:00"))
    assert window.after(at("2026-12-01T02:00:00+00:00")) is None


def test_a_time_without_an_offset_is_of_its_time_zone():
    said = {"services": ["x"], "start": "2026-07-01 02:00", "end": "2026-07-01 03:00", "timezone": "Europe/Berlin"}
    assert Window.model_validate(said).at(at("2026-07-01T00:30:00+00:00"))


def test_every_week_it_keeps_the_time_of_day_through_summer_and_winter():
    window = weekly(zone="Europe/Berlin")
    assert window.at(at("2026-07-05T00:30:00+00:00")), "summer: 02:30"
    assert window.at(at("2026-12-06T01:30:00+00:00")), "winter: 02:30"
    assert window.at(at("2026-12-06T00:30:00+00:00")) is None
    assert window.at(at("2026-12-07T01:30:00+00:00")) is None, "a Monday"


def test_a_night_that_ends_the_next_day_is_one_window():
    window = weekly("sat", "22:00", "03:00")
    late, early = window.at(at("2026-12-05T23:00:00+00:00")), window.at(at("2026-12-06T02:00:00+00:00"))
    assert late == early
    assert late
    assert window.at(at("2026-12-06T23:00:00+00:00")) is None


def test_a_time_of_day_without_quotes_is_understood():
    assert Window.model_validate({"services": ["x"], "days": ["mon"], "from": 750, "to": 840}).from_ == "12:30"


@given(st.sets(st.sampled_from(DAYS), min_size=1), st.integers(0, 1439), st.integers(1, 1439), st.floats(0, 14 * 86400))
def test_the_times_never_overlap_and_the_next_is_found(days: set[str], begins: int, length: int, later: float):
    ends = (begins + length) % 1440
    window = weekly(" ".join(days), f"{begins // 60:02d}:{begins % 60:02d}", f"{ends // 60:02d}:{ends % 60:02d}")
    now = at("2026-11-23T00:00:00+00:00") + later
    spans = list(window.around(now))
    assert all(end - start == length * 60 for start, end in spans)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    following = window.after(now)
    assert following
    assert now < following[0] <= now + 8 * 86400


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, "needs either start and end, or days, from and to"),
        ({"days": ["mon"], "from": "02:00"}, "needs either"),
        ({"start": "2026-12-01T02:00Z", "end": "2026-12-01T02:00Z"}, "ends before it starts"),
        ({"days": ["someday"], "from": "02:00", "to": "03:00"}, "must be one of mon"),
        ({"days": ["mon"], "from": "25:00", "to": "03:00"}, "must be a time of day"),
        ({"days": ["mon"], "from": "03:00", "to": "03:00"}, "has no length"),
        ({"days": ["mon"], "from": "02:00", "to": "03:00", "timezone": "Mars/Base"}, "must be a time zone"),
        ({"days": ["mon"], "from": "02:00", "to": "03:00", "matchers": ["x"]}, "must be a matcher"),
        ({"services": [], "matchers": ['env!="dev"'], "days": ["mon"], "from": "02:00", "to": "03:00"}, "every alert"),
    ],
)
def test_a_mistake_in_a_window_is_said(said: dict[str, object], why: str):
    with pytest.raises(ValidationError, match=why):
        Window.model_validate({"services": ["x"]} | said)


def test_a_service_that_is_none_is_said_with_the_nearest():
    assert list(misfits({"nightly": weekly()}, {"docs-app": ()})) == [
        (("maintenance", "nightly", "services"), "'docs-api' is not a service. Did you mean 'docs-app'?")
    ]
