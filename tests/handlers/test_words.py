"""What a reader sees at three in the morning: true, complete, and never more than Slack takes."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.effects import State
from bot.integrations.slack.fake_blocks import check_blocks
from bot.integrations.slack.words import fit
from handlers.incidents import findings, table, words
from handlers.incidents.compare import Kind

NOW = time.time()


def incident(**changes):
    row = {
        "number": 7, "uid": "u", "service": "docs-api", "environment": "prod", "severity": "sev2", "title": "it burns",
        "status": "triggered", "source": "alert", "about": '{"slo": "docs-api-availability", "burn": "fast"}',
        "opened_at": NOW - 90, "opened_by": "Alertmanager", "acked_by": "", "acked_at": None, "resolved_at": None,
        "resolved_by": "", "mitigated_at": None, "test": False, "mitigated_by": "", "closed_at": None, "closed_by": "",
        "frozen_at": None, "reopened_at": None, "room": "", "ticket_key": "", "ticket_url": "", "checks": "", "update_text": "", "update_at": None,
        "update_by": "", "next_update_at": None, "private": False, "umbrella": None,
    }  # fmt: skip
    return SimpleNamespace(**(row | changes))


def effect(kind, state, **changes):
    row = {
        "kind": kind,
        "state": state.value,
        "reason": "",
        "attempt": 1,
        "due_at": NOW,
        "created_at": NOW - 2,
        "done_at": None,
    }
    return SimpleNamespace(**(row | changes))


def shown(row, *effects) -> str:
    return str(words.panel(row, effects)[1])


def test_a_tick_only_for_what_is_stored_as_accepted():
    done = effect("page", State.DONE, done_at=NOW - 1.6)
    text = shown(
        incident(),
        done,
        effect("ticket", State.RETRYING, attempt=3, due_at=time.time() + 40, reason="Jira answers 503"),
    )
    assert "PagerDuty ✔ 0.4 s" in text
    assert "Jira ⏳ retry 3 in 40 s" in text
    assert "Jira answers 503" in text
    assert "PagerDuty ⏳ on its way" in shown(incident(), effect("page", State.OWED))


def test_checks_that_ran_show_their_verdict_not_a_tick():
    ran = effect("checks", State.DONE, done_at=NOW)
    text = shown(incident(checks="✘ FAIL (4 of 6 passed)"), effect("page", State.DONE, done_at=NOW), ran)
    assert "Checks ✘ FAIL (4 of 6 passed)" in text
    assert "Checks ✔" not in text


def test_that_nobody_is_paged_is_said_in_full_size():
    assert "Nobody is paged" in shown(incident())
    assert "Nobody is paged" not in shown(incident(severity="sev3"))
    waiting = effect("page", State.RETRYING, reason="PagerDuty answered 500.")
    row = incident()
    blocks = words.panel(row, [waiting])[1]
    assert blocks[1]["type"] == "section"
    assert "Nobody has been paged yet:* PagerDuty answered 500." in blocks[1]["text"]["text"]
    assert "Nobody has been paged" not in shown(row, effect("page", State.DONE, done_at=NOW))
    assert "Nobody has been paged" not in shown(incident(status="resolved", resolved_by="a", resolved_at=NOW), waiting)


def test_the_newest_page_is_the_one_that_counts():
    first = effect("page", State.DONE, done_at=NOW)
    again = effect("page", State.GAVE_UP, created_at=NOW, reason="no such routing key")
    assert "Nobody has been paged:* no such routing key" in shown(incident(), first, again)
    assert "Nobody has been paged" not in shown(incident(), again, first)
    assert "Nobody has been paged" in shown(incident(severity="sev3"), again), "a person asked for it"
    skipped = effect("ticket", State.SKIPPED, created_at=NOW, reason="it is there")
    assert "Jira ✔" in shown(incident(), effect("ticket", State.DONE, done_at=NOW), skipped)


def test_what_was_asked_stands_in_the_panel_until_it_is_answered():
    asked = SimpleNamespace(text="*Jira no longer knows OPS-1*")
    blocks = words.panel(incident(), [effect("page", State.DONE, done_at=NOW)], [asked])[1]
    assert blocks[1]["text"]["text"] == asked.text


def test_repair_is_offered_while_something_was_given_up():
    lost = effect("ticket", State.GAVE_UP)
    over = incident(status="resolved", resolved_by="a", resolved_at=NOW)
    assert "incident repair" in shown(incident(), lost)
    assert "incident repair" in shown(over, lost)
    assert "incident repair" not in shown(incident(), effect("ticket", State.DONE, done_at=NOW))
    assert "incident repair" not in shown(over, effect("page", State.GAVE_UP)), "nobody needs that page any more"


@pytest.mark.parametrize(
    ("kinds", "left"),
    [
        ([("ticket", State.GAVE_UP), ("ticket", State.DONE)], 0),
        ([("ticket", State.DONE), ("ticket", State.GAVE_UP)], 1),
        ([("ticket", State.GAVE_UP), ("ticket", State.OWED)], 0),  # its successor is on its way
        ([("panel", State.GAVE_UP), ("panel", State.GAVE_UP)], 1),
        ([("panel", State.GAVE_UP), ("root", State.DONE)], 0),
        ([("note", State.GAVE_UP), ("note", State.GAVE_UP), ("note", State.DONE)], 2),
        ([("page-ack", State.GAVE_UP), ("page-resolve", State.DONE)], 0),
    ],
)
def test_what_a_later_success_makes_good_is_not_given_up(kinds, left):
    effects = [effect(kind, state, created_at=NOW + n, done_at=NOW + n) for n, (kind, state) in enumerate(kinds)]
    assert len(table.given_up(effects)) == left


@given(st.sampled_from(Kind), st.text(max_size=4000))
def test_a_question_fits_into_a_message_and_mentions_nobody(kind, text):
    blocks = fit(findings.question(7, kind, words.escape(text)))[0]
    assert check_blocks(blocks) == []
    assert {button["value"] for button in blocks[-1]["elements"]} == {"INC-7"}
    assert "<!channel>" not in str(blocks)


def test_a_question_is_told_in_the_timeline_without_its_marks():
    assert findings.plain("*<https://pd/1|The page> is &lt;gone&gt;* now") == "The page is <gone> now"


def test_buttons_offer_what_still_makes_sense():
    assert "incident ack" in shown(incident())
    acked = incident(status="acknowledged", acked_by="alice", acked_at=NOW)
    assert "incident ack" not in shown(acked)
    assert "incident resolve" in shown(acked)
    mitigated = acked.__dict__ | {"status": "mitigated", "mitigated_by": "bob", "mitigated_at": NOW}
    assert "mitigated by bob; alice has it" in shown(incident(**mitigated))
    assert "incident mitigate" not in shown(incident(**mitigated))
    over = incident(status="resolved", resolved_by="alice", resolved_at=NOW)
    assert "incident close" in shown(over)
    assert "incident resolve" not in shown(over)
    assert "resolved by alice after 1 min 30 s" in shown(over)


def test_links_a_browser_would_not_open_are_left_out():
    about = '{"runbook_url": "javascript:alert(1)", "dashboard": "https://grafana.example/d/x"}'
    text = shown(incident(about=about))
    assert "javascript" not in text
    assert "<https://grafana.example/d/x|Dashboard>" in text


@given(st.text(max_size=400), st.text(max_size=40), st.text(max_size=300))
def test_whatever_a_title_holds_slack_takes_it_and_nobody_is_mentioned(title, who, reason):
    row = incident(title=title or "x", status="acknowledged", acked_by=who, acked_at=NOW)
    text, blocks = words.panel(row, [effect("page", State.GAVE_UP, reason=reason)])
    assert check_blocks(blocks) == []
    for raw in ("<!channel>", "<!here>", "<@U"):
        assert raw not in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (273600, "3 d 4 h")],
)
def test_durations(seconds, text):
    assert words.duration(seconds) == text
