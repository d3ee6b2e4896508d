"""An incident's life: whatever is done to it, in whatever order and how often, it stands where everybody expects it."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.integrations.slack.fake_blocks import check_blocks
from handlers.incidents import remind, rules, words
from handlers.incidents.rules import Deed, Reminder, Status

ORDER = list(Status)
NOTHING = {
    (Status.TRIGGERED, Deed.CLOSE),
    (Status.TRIGGERED, Deed.REOPEN),
    (Status.ACKNOWLEDGED, Deed.ACKNOWLEDGE),
    (Status.ACKNOWLEDGED, Deed.CLOSE),
    (Status.ACKNOWLEDGED, Deed.REOPEN),
    (Status.MITIGATED, Deed.ACKNOWLEDGE),
    (Status.MITIGATED, Deed.MITIGATE),
    (Status.MITIGATED, Deed.CLOSE),
    (Status.RESOLVED, Deed.ACKNOWLEDGE),
    (Status.RESOLVED, Deed.MITIGATE),
    (Status.RESOLVED, Deed.RESOLVE),
    (Status.CLOSED, Deed.ACKNOWLEDGE),
    (Status.CLOSED, Deed.MITIGATE),
    (Status.CLOSED, Deed.RESOLVE),
    (Status.CLOSED, Deed.CLOSE),
}
"""What explains and changes nothing; everything else moves."""


def lived(deeds: list[Deed], status: Status = Status.TRIGGERED) -> Status:
    for deed in deeds:
        status = rules.after(status, deed) or status
    return status


@pytest.mark.parametrize(("status", "deed"), list(itertools.product(Status, Deed)))
def test_every_deed_in_every_state_moves_it_or_is_known_to_do_nothing(status, deed):
    assert (rules.after(status, deed) is None) == ((status, deed) in NOTHING)
    assert (deed in rules.possible(status)) == ((status, deed) not in NOTHING)


@given(st.sampled_from(Status), st.sampled_from(Deed))
def test_a_second_press_changes_nothing(status, deed):
    once = rules.after(status, deed)
    if once is not None:
        assert rules.after(once, deed) is None


@given(st.lists(st.sampled_from([deed for deed in Deed if deed is not Deed.REOPEN])))
def test_without_reopening_a_life_only_moves_forward(deeds):
    status = Status.TRIGGERED
    for deed in deeds:
        after = rules.after(status, deed)
        if after is not None:
            assert ORDER.index(after) > ORDER.index(status)
            status = after


@given(st.lists(st.sampled_from([deed for deed in Deed if deed is not Deed.REOPEN])))
def test_nothing_leads_out_of_closed_but_reopening(deeds):
    assert lived(deeds, Status.CLOSED) is Status.CLOSED
    assert lived(deeds, Status.RESOLVED) in (Status.RESOLVED, Status.CLOSED)
    assert rules.after(Status.CLOSED, Deed.REOPEN) is Status.TRIGGERED


@given(st.lists(st.sampled_from(Deed)))
def test_whatever_was_done_it_can_be_ended_and_closed(deeds):
    status = lived(deeds)
    assert lived([Deed.RESOLVE, Deed.CLOSE], status) is Status.CLOSED


@given(st.lists(st.sampled_from(Deed)))
def test_nobody_has_what_was_over_and_is_open_again(deeds):
    """Whoever had it went home: it has to be taken anew, or nobody is on it and nobody is called."""
    status = lived(deeds)
    reopened = rules.after(status, Deed.REOPEN)
    if not status.open:
        assert reopened is Status.TRIGGERED
    elif reopened is not None:
        assert (status, reopened) == (Status.MITIGATED, Status.ACKNOWLEDGED)


@given(st.lists(st.sampled_from(Deed)))
def test_only_what_is_resolved_can_be_closed(deeds):
    status = lived(deeds)
    assert (rules.after(status, Deed.CLOSE) is not None) == (status is Status.RESOLVED)


@given(st.floats(0, 1e9), st.floats(0, 1e6), st.floats(0, 1e6))
def test_what_comes_back_within_the_window_is_the_same_incident(resolved, later, within):
    assert rules.is_back(resolved, resolved + later, within=within) == (
        within > 0 and (resolved + later) - resolved <= within
    )
    assert not rules.is_back(resolved, resolved + later, within=0)
    assert not rules.is_back(None, later, within=within)


def test_every_deed_has_its_button_and_every_state_its_sign():
    assert set(words.DEED_BUTTONS) == set(Deed)
    assert set(words.STATUS_ICON) == set(Status)
    assert len(set(words.STATUS_ICON.values())) == len(Status)


@given(st.lists(st.sampled_from(Deed)))
def test_somebody_is_reminded_of_whatever_is_not_closed(deeds):
    status = lived(deeds)
    what = rules.reminder_of(status)
    assert (what is None) == (status is Status.CLOSED)
    assert (what is Reminder.ACKNOWLEDGE) == (status is Status.TRIGGERED)
    assert (what is Reminder.CLOSE) == (status is Status.RESOLVED)


@given(st.sampled_from(Reminder), st.text(max_size=300), st.text(max_size=300), st.floats(0, 1e8))
def test_whatever_a_reminder_says_slack_takes_it_and_nobody_else_is_called(what, lead, taker, ago):
    leads = (None, SimpleNamespace(person=lead, name=lead), SimpleNamespace(person="U012AB3CD", name=lead))
    for one, promised in itertools.product(leads, (None, 1e9)):
        row = SimpleNamespace(number=7, status="acknowledged", acked_by=taker, next_update_at=promised)
        text, blocks = remind.said(row, what, one, ago=ago)
        assert check_blocks(blocks) == []
        assert "<!" not in text.replace("<!date^1000000000^", "")
        called = [word for word in text.split() if word.startswith("<@")]
        assert all(word.startswith("<@U012AB3CD>") for word in called) or words.USER.fullmatch(lead)
        assert blocks[-1]["elements"], "a reminder offers what it asks for"
