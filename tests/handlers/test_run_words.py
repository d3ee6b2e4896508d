"""What people read of a run: failures first, as much as Slack takes, and everything in the file."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import grammar
from bot.integrations.slack.fake_blocks import check_blocks
from handlers.runs import words
from runbooks import Outcome, Result, Severity

NOW = 1_764_000_000.0


def a_run(**more: Any) -> SimpleNamespace:
    row = {
        "id": 7, "runbook": "docs-api", "trigger": "person", "asked_by": "alice", "asker": "U0ALICE", "incident": None,
        "service": "", "environment": "", "parameters": "{}", "confined": "[]", "asked_at": NOW, "began_at": NOW, "ended_at": NOW + 3, "took_s": 3.0,
        "checks": 3, "outcome": "PASS", "detail": "", "cancelled_by": "",
    }  # fmt: skip
    return SimpleNamespace(**row | more)


def result(name: str, outcome: Outcome = Outcome.PASS, **more: Any) -> Result:
    told = {
        "value": "",
        "threshold": "",
        "unit": "",
        "samples": None,
        "took_s": 0.1,
        "attempt": 1,
        "detail": "",
        "hint": "",
    }
    return Result(**{"name": name, "kind": "http", "outcome": outcome, "severity": Severity.BLOCKING} | told | more)


def test_failed_checks_stand_first():
    rows = [("fine", Outcome.PASS), ("broken", Outcome.FAIL), ("blind", Outcome.ERROR)]
    text = str(words.message(a_run(outcome="FAIL"), [result(*one) for one in rows], None)[1])
    assert text.index("broken") < text.index("blind") < text.index("fine")


def test_a_failure_says_what_it_found_what_was_wanted_and_what_to_do():
    found = [result("p95", Outcome.FAIL, value="812", threshold="< 400", unit="ms", hint="Look at the dashboard.")]
    text = str(words.message(a_run(outcome="FAIL"), found, None)[1])
    assert "812 ms, wanted &lt; 400 ms" in text
    assert "→ Look at the dashboard." in text


def test_who_looks_on_sees_how_far_it_is_and_can_end_it():
    text, blocks = words.message(a_run(ended_at=None, outcome="", checks=4), [result("a"), result("b")], None)
    assert "2 of 4" in text
    assert "■" * 10 + "□" * 10 in str(blocks)
    assert "runbook cancel" in str(blocks)


def test_what_the_message_cannot_hold_is_in_the_file():
    few = [result(f"check {n}") for n in range(words.MOST)]
    assert words.holds(few)
    assert not words.holds([*few, result("one more")])
    assert not words.holds([result("long", detail="x" * 301)])
    told = words.document(a_run(), [*few, result("long", detail="x" * 301, asked="vector(1)", value="1")])
    assert "x" * 301 in told
    assert "vector(1)" in told


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=200), st.sampled_from(Outcome), st.text(max_size=4000)), max_size=120
    ),
    st.booleans(),
)
def test_sixty_checks_and_more_fit_into_one_message(rows, going):
    found = [result(n, o, detail=d, hint="do this") for n, o, d in rows]
    row = a_run(ended_at=None, outcome="") if going else a_run(outcome="ERROR", detail="none ran")
    text, blocks = words.message(row, found, None)
    assert check_blocks(blocks) == []
    assert "<!" not in text.replace("<!date", "")


@pytest.mark.parametrize("value", ["a b", "it's", '"', "$(rm)", "--only"])
def test_run_again_means_the_same_run(value):
    row = a_run(parameters=json.dumps({"service": value}), confined=json.dumps(["tag one", "two"]))
    assert grammar.split(words.again(row, None)) == ["docs-api", f"service={value}", "--only", "tag one,two"]
