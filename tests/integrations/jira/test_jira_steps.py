"""The way of a ticket through any workflow: never over an end, never to one that nobody asked for, in few steps or not at all."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.integrations.jira import Goal
from bot.integrations.jira.client import MAX_STEPS
from bot.integrations.jira.steps import leads, no_way, reached, step

CATEGORIES = ("new", "indeterminate", "done")
IDS = ("1", "2", "3", "4", "5", "6")


@st.composite
def workflows(draw):
    """(status id → status, status id → what is offered there)."""
    statuses = {
        ident: {"id": ident, "name": draw(st.sampled_from(["Done", "Closed", "Won't Do", "Doing", ident])), "statusCategory": {"key": draw(st.sampled_from(CATEGORIES))}}
        for ident in IDS
    }  # fmt: skip
    screens = st.sampled_from(
        [
            {},
            {"resolution": {"required": True, "allowedValues": [{"id": "9", "name": "Done"}]}},
            {"duedate": {"required": True}},
        ]
    )
    offered = {}
    for ident in IDS:
        ends = draw(st.lists(st.sampled_from(IDS), max_size=4, unique=True))
        offered[ident] = [
            {"id": f"{ident}{to}", "name": f"to {to}", "to": statuses[to], "fields": draw(screens)} for to in ends
        ]
    return statuses, offered


@st.composite
def goals(draw):
    ids = tuple(draw(st.lists(st.sampled_from(IDS), max_size=2, unique=True)))
    through = tuple(draw(st.lists(st.sampled_from(IDS), max_size=4, unique=True)))
    return Goal(draw(st.sampled_from(CATEGORIES)), ids, through, wakes=draw(st.booleans()))


def walk(flow, goal, start):
    """The statuses a ticket goes through, as the client takes it: (passed, True when it arrived)."""
    statuses, offered = flow
    at, seen, passed = start, set(), []
    for _ in range(MAX_STEPS):
        if reached(goal, statuses[at]):
            return passed, True
        seen.add(at)
        taken = step(goal, offered[at], seen)
        if taken is None:
            assert no_way("OPS-1", at, goal, offered[at])
            return passed, False
        at = taken["to"]["id"]
        passed.append(at)
    return passed, reached(goal, statuses[at])


@given(workflows(), goals(), st.sampled_from(IDS))
@settings(max_examples=400, deadline=None)
def test_no_end_is_passed_on_the_way_and_none_reached_that_nobody_asked_for(flow, goal, start):
    statuses, _ = flow
    passed, _ = walk(flow, goal, start)
    ends = [ident for ident in passed if statuses[ident]["statusCategory"]["key"] == "done"]
    assert ends in ([], passed[-1:]), "a done status on the way tells everybody that it is over"
    if goal.category != "done":
        assert ends == []
    if goal.ids:
        assert all(ident in goal.ids for ident in ends)
        assert all(ident in (*goal.ids, *goal.through) for ident in passed)
    if not goal.wakes and statuses[start]["statusCategory"]["key"] == "done":
        assert passed == []


@given(workflows(), goals(), st.sampled_from(IDS))
@settings(max_examples=200, deadline=None)
def test_what_is_offered_straight_is_taken_and_what_is_there_is_left(flow, goal, start):
    statuses, offered = flow
    passed, arrived = walk(flow, goal, start)
    if reached(goal, statuses[start]):
        assert (passed, arrived) == ([], True)
    elif any(leads(goal, one) and "duedate" not in one["fields"] for one in offered[start]):
        assert (len(passed), arrived) == (1, True)
    assert len(passed) == len(set(passed)), "it goes in no circle"


def test_of_several_ends_the_one_that_says_it_was_dealt_with_is_taken():
    def end(ident, name):
        return {"id": ident, "name": name, "to": {"id": ident, "name": name, "statusCategory": {"key": "done"}}}

    offered = [end("1", "Won't Do"), end("2", "Done")]
    assert step(Goal("done"), offered, set())["id"] == "2"
    assert step(Goal("done", ("1", "2")), offered, set())["id"] == "1", "as captain.yml says it"
    assert step(Goal("done", ("3",)), offered, set()) is None
