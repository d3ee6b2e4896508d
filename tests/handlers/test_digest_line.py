"""An incident's line in the digest: true, short, and never more than Slack takes, whatever was typed."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.integrations.slack.fake_blocks import check_blocks
from handlers.digest.line import line
from handlers.incidents.rules import Status

NOW = time.time()


def incident(**changes):
    row = {
        "number": 7, "severity": "sev2", "service": "docs-api", "title": "it burns", "status": "triggered",
        "opened_at": NOW - 90, "acked_by": "", "mitigated_at": None, "resolved_at": None, "resolved_by": "",
        "update_text": "", "update_at": None, "update_by": "", "next_update_at": None, "private": False, "room": "",
    }  # fmt: skip
    return SimpleNamespace(**(row | changes))


def shown(row, **more) -> str:
    return line(row, now=NOW, **more)[1][0]["text"]["text"]


def test_it_says_how_bad_which_where_who_has_it_and_how_old_it_is():
    text = shown(incident(), link="https://x.slack.com/archives/C1/p1")
    assert "*sev2* · <https://x.slack.com/archives/C1/p1|INC-7> · *docs-api*: it burns" in text
    assert "triggered, nobody has it yet · opened <!date^" in text
    assert "{ago}" in text, "the age grows without an edit"
    assert "acknowledged, dora has it" in shown(incident(status="acknowledged", acked_by="dora"))
    assert "acknowledged, alice leads" in shown(incident(status="acknowledged", acked_by="dora"), lead="alice")
    assert "<#C9>" in shown(incident(room="C9"))


def test_at_its_end_it_is_struck_out_and_says_who_and_how_long():
    over = incident(status="resolved", resolved_at=NOW, resolved_by="bob", title="~it~ burns", next_update_at=NOW + 9)
    text = shown(over)
    assert "~*sev2* · INC-7 · *docs-api*: -it- burns~" in text
    assert "*Resolved* <!date^" in text
    assert "by bob after 1 min 30 s" in text
    assert "Next update" not in text
    assert ", closed" in shown(incident(status="closed", resolved_at=NOW, resolved_by="bob"))


def test_the_last_update_and_the_promise_stand_below():
    text = shown(incident(update_text="warm\nagain", update_at=NOW, update_by="dora", next_update_at=NOW + 1800))
    assert "> warm again (dora, <!date^" in text
    assert "> *Next update by* <!date^" in text
    assert "was promised for" in shown(incident(next_update_at=NOW - 1))


def test_of_a_private_incident_it_says_that_there_is_one_and_nothing_else():
    row = incident(private=True, title="the merger", service="secret", update_text="leaked", room="C9")
    text, blocks = line(row, now=NOW, lead="alice", link="https://x/y")
    assert text == "INC-7: private incident"
    assert "INC-7: private incident" in str(blocks)
    for word in ("merger", "secret", "leaked", "alice", "C9", "https"):
        assert word not in str(blocks) + text


@pytest.mark.parametrize("status", list(Status))
@given(
    title=st.text(max_size=4000),
    service=st.text(min_size=1, max_size=200),
    said=st.text(max_size=3000),
    who=st.text(max_size=300),
)
def test_whatever_was_typed_slack_takes_it_and_nobody_is_woken(status, title, service, said, who):
    row = incident(
        status=status.value, title=title, service=service, acked_by=who, mitigated_at=NOW, resolved_at=NOW, room="",
        resolved_by=who, update_text=said, update_at=NOW, update_by=who, next_update_at=NOW + 60,
    )  # fmt: skip
    text, blocks = line(row, now=NOW, lead=who, link="https://x.slack.com/archives/C1/p1?a=1&b=2")
    assert check_blocks(blocks) == []
    assert len(blocks) == 1
    marks = re.findall(r"<[^>]*>", blocks[0]["text"]["text"])
    assert all(mark.startswith(("<!date^", "<https://x.slack.com/")) for mark in marks), marks
    assert not re.search(r"<[^>]*>", text)
    assert len(blocks[0]["text"]["text"].splitlines()) <= 4
