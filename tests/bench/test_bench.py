"""The benchmark's judgement: a wrong count is a failure whatever the figure, and a goal that is missed is said."""

from __future__ import annotations

import pytest
from report import Row, percentile, table
from subject import wrong


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("a", 5, "ms", 1, at_most=6), "met"),
        (Row("a", 7, "ms", 1, at_most=6), "not met"),
        (Row("a", 50, "/s", 1, 100, judged="ratio", at_least=0.5), "met"),
        (Row("a", 49, "/s", 1, 100, judged="ratio", at_least=0.5), "not met"),
        (Row("a", 1, "ms", 1), "recorded"),
        (Row("a", 1, "ms", 1, at_most=6, faults=["incidents: 2 instead of 1"]), "failed"),
        (Row("a", 1, "ms", 1, faults=["a row too many"]), "failed"),
        (Row("a", float("nan"), "ms", 1, at_most=6), "failed"),
        (Row("a", 5, "/s", 1, None, judged="ratio", at_least=0.5), "failed"),
    ],
)
def test_a_row_is_judged_by_its_counts_and_then_by_its_goal(row: Row, verdict: str):
    assert row.verdict == verdict


def test_a_wrong_count_becomes_a_sentence_in_the_table():
    faults = wrong({"alert rows": (5, 1), "incidents": (1, 1)})
    assert faults == ["alert rows: 5 instead of 1"]
    text = table([Row("P2", 9999, "/s", 10, faults=faults)])
    assert "FAILED   P2: alert rows: 5 instead of 1" in text


def test_the_table_says_why_a_goal_is_not_met():
    assert "not met  P4: commits" in table([Row("P4", 9, "ms", 10, at_most=6, note="commits")])


def test_percentiles_are_of_the_values_that_came():
    assert percentile(range(100), 0.5) == 50
    assert percentile([3.0], 0.99) == 3.0
    assert percentile([], 0.5) != percentile([], 0.5)
