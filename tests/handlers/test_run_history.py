"""A runbook's past: since when a check fails, which of them flap, and how long they take."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.integrations.slack.fake_blocks import check_blocks
from handlers.runs import chart, history
from runbooks import Outcome

NOW = 1_764_000_000.0
SINCE = NOW - NOW % 86400 - 29 * 86400
GOOD, BAD = Outcome.PASS, Outcome.FAIL


def past(*outcomes: Outcome, every: float = 3600.0, name: str = "p95") -> history.Past:
    looks = [(one, 0.1 * (n + 1), NOW - every * (len(outcomes) - 1 - n)) for n, one in enumerate(outcomes)]
    return history.past(name, looks, since=SINCE)


def test_it_fails_since_the_first_failure_after_the_last_pass():
    assert past(BAD, GOOD, BAD, Outcome.ERROR, Outcome.NO_DATA).failing_since == NOW - 2 * 3600
    assert past(BAD, BAD).failing_since == NOW - 3600
    assert past(BAD, GOOD).failing_since is None


def test_what_passes_and_fails_by_turns_is_flaky_and_what_broke_once_is_not():
    assert past(GOOD, BAD, GOOD, BAD).flaky
    assert not past(GOOD, GOOD, BAD, BAD, BAD).flaky
    assert not past(GOOD, BAD, GOOD).flaky
    assert not past(BAD, Outcome.ERROR, BAD, Outcome.NO_DATA).flaky


@pytest.mark.parametrize(
    ("seconds", "wanted"), [([], 0.0), ([2.0], 2.0), (list(range(1, 101)), 95), ([1.0] * 19 + [9.0], 1.0)]
)
def test_p95_is_what_95_of_100_took_at_most(seconds: list[float], wanted: float):
    assert history.p95(seconds) == wanted


def test_each_outcome_is_counted_on_its_day():
    found = past(GOOD, BAD, GOOD, every=86400.0)
    assert [day and day[0] for day in found.days[-3:]] == [Counter({GOOD: 1}), Counter({BAD: 1}), Counter({GOOD: 1})]
    assert found.days[:-3] == [None] * 27


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=120), st.lists(st.sampled_from(Outcome), min_size=1, max_size=40)),
        max_size=60,
    )
)
def test_whatever_the_checks_are_called_slack_takes_the_table(rows):
    found = [past(*outcomes, name=name) for name, outcomes in rows]
    text, blocks = history.listing("docs-api", found, now=NOW)
    assert check_blocks(blocks) == []
    assert "<!" not in text


def test_the_chart_shows_many_checks_and_none():
    for count in (0, 1, 40):
        rows = [(f"check {n} \N{GREEK SMALL LETTER ALPHA}", past(GOOD, BAD, every=86400.0).days) for n in range(count)]
        image = Image.open(io.BytesIO(chart.draw(rows, title="docs-api", until=NOW)))
        assert image.width == chart.WIDTH
    red = (0xC6, 0x28, 0x28)
    assert any(colour == red for _, colour in image.convert("RGB").getcolors(1_000_000))
