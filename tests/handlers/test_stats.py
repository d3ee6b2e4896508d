"""What incidents took: whatever happened to them, each is counted once, and what was not measured is no zero."""

from __future__ import annotations

import io
import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from handlers.incidents import chart, learned, stats
from handlers.incidents.stats import Life

NOW = 1_790_000_000.0
seconds = st.floats(0, 1e6, allow_nan=False)
maybe = st.none() | st.floats(NOW - 1e6, NOW, allow_nan=False)
lives = st.builds(
    Life,
    st.integers(1, 999),
    st.sampled_from(["docs-api", "gateway"]),
    st.sampled_from(["sev1", "sev2", "sev3"]),
    st.booleans(),
    st.floats(NOW - 90 * 86400, NOW, allow_nan=False),
    maybe,
    maybe,
    maybe,
    st.booleans(),
)


def event(kind, at, actor="alice"):
    return SimpleNamespace(kind=kind, at=NOW + at, actor=actor)


def folded(*events):
    row = SimpleNamespace(number=1, service="docs-api", severity="sev2", test=False, opened_at=NOW - 5, umbrella=None)
    return stats.life(row, events)


@given(st.lists(lives, max_size=40))
def test_every_incident_is_in_a_duration_or_in_a_count(found):
    told = stats.report(found, since=NOW - 90 * 86400, until=NOW)
    for one in (told.total, told.tests, told.folded, *told.severities, *told.services, *told.weeks):
        assert one.incidents == one.ack.count + one.unpaged + one.unacked + one.early
        assert one.incidents == one.resolve.count + one.unresolved
    assert told.total.incidents + told.tests.incidents + told.folded.incidents == len(found)
    for groups in (told.severities, told.services, told.weeks):
        assert sum(one.incidents for one in groups) == told.total.incidents
        assert sum(one.ack.count for one in groups) == told.total.ack.count


@given(st.lists(seconds, min_size=1, max_size=60))
def test_percentiles_are_between_the_least_and_the_most_and_in_order(some):
    told = stats.spread(some)
    low, high = min(some), max(some)
    assert low - 1e-6 <= told.p50 <= told.p90 + 1e-6 <= high + 2e-6
    assert sum(one <= told.p50 + 1e-6 for one in some) >= len(some) / 2
    # Nine tenths are within it, but for the one it lies beside.
    assert sum(one <= told.p90 + 1e-6 for one in some) >= math.floor(0.9 * (len(some) - 1)) + 1
    assert low - 1e-6 <= told.mean <= high + 1e-6


@given(st.permutations([1.0, 5.0, 9.0, 100.0, 3.0]))
def test_the_order_of_incidents_does_not_matter(some):
    assert stats.spread(some) == stats.spread([1.0, 3.0, 5.0, 9.0, 100.0])
    assert stats.spread(some).p50 == 5.0


def test_nothing_measured_is_no_zero():
    assert stats.spread([]) == stats.Spread(0, None, None, None)
    found = stats.report([Life(1, "docs-api", "sev3", False, NOW)], since=NOW - 86400, until=NOW)
    said = learned.told(found, 1)
    assert "no data" in said
    assert "1 without a page" in said
    assert "0 s" not in said


def test_the_first_person_counts_and_no_machine():
    one = folded(
        event("opened", 0), event("paged", 2), event("acknowledged", 9, "Release Captain"), event("resolved", 60)
    )
    assert one.to_ack is None
    one = folded(event("opened", 0), event("paged", 2), event("acknowledged", 9), event("acknowledged", 30, "bob"))
    assert one.to_ack == pytest.approx(7)


def test_a_reopened_incident_lasts_until_its_last_end():
    events = [event("opened", 0), event("resolved", 60), event("reopened", 90, "Alertmanager")]
    assert folded(*events).to_resolve is None
    assert folded(*events, event("resolved", 600), event("closed", 900)).to_resolve == 600
    mitigated = [event("opened", 0), event("mitigated", 5), event("reopened", 9), event("resolved", 20)]
    assert folded(*mitigated).to_resolve == 20


def test_who_was_there_before_the_page_is_said_and_not_counted():
    one = folded(event("opened", 0), event("acknowledged", 1), event("paged", 4))
    assert one.to_ack is None
    assert stats.group("all", [one]).early == 1


@given(st.lists(lives, max_size=20))
def test_every_week_of_the_period_has_its_column(found):
    columns = stats.drawn(stats.report(found, since=NOW - 90 * 86400, until=NOW))
    weeks = [column["week"] for column in columns]
    assert weeks == sorted(set(weeks))
    counted = [one for one in found if not one.test and not one.folded]
    assert {stats.week(one.opened_at) for one in counted} <= set(weeks)


@given(st.floats(0, 3e7, allow_nan=False))
def test_a_scale_has_at_most_five_lines(most):
    unit, name, step = chart.scale(most)
    assert most <= 5 * step * unit
    assert name


@pytest.mark.parametrize("weeks", [1, 13, 53])
def test_the_chart_is_a_picture(weeks):
    columns = [{"week": "2026-11-23", "ack": [30.0, 90.0], "resolve": [None, None]}] * weeks
    picture = Image.open(io.BytesIO(chart.draw(columns, title="12 incidents in 90 days")))
    assert (picture.format, picture.size) == ("PNG", (chart.WIDTH, chart.HEIGHT))
    assert len({colour for _, colour in picture.convert("RGB").getcolors(100000)}) > 4
