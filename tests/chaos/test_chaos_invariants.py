"""The judge of chaos: a world as it should be is clean, and whatever is wrong with it is found and named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from chaos.invariants import (
    TWICE,
    UNSURE,
    Owed,
    OwedFlag,
    Page,
    Root,
    Seen,
    Ticket,
    Wrong,
    about,
    counts,
    judge,
    missing,
)
from hypothesis import given
from hypothesis import strategies as st

TOKEN = "chaos-t-0001"
STATUS = {True: "resolved", False: "triggered"}


def shown(one: Owed) -> str:
    """The panel of an opening as the bot shows it when all is well."""
    status = "resolved by" if one.resolved else "acknowledged by" if one.acked else "nobody has it yet"
    ticks = [status, "Jira ✔"]
    ticks += ["PagerDuty ✔"] if one.pages else []
    ticks += ["Jira done ✔"] if one.resolved else []
    ticks += ["PagerDuty resolve ✔"] if one.resolved and one.pages else []
    return " · ".join(ticks)


def thread(one: Owed) -> tuple[tuple[str, str], ...]:
    said = {"Resolved by carol": one.resolved, "Acknowledged by carol": one.acked, "Checks of svc": one.checked}
    return tuple((f"key-{text}", text) for text, due in said.items() if due)


def right(*owed: Owed) -> Seen:
    """A world in which every promise to these is kept."""
    return Seen(
        pages={one.token: [Page(f"k-{one.token}", page_status(one))] for one in owed if one.pages},
        tickets={one.token: [Ticket(f"OPS-{one.token}", one.resolved)] for one in owed},
        roots={one.token: [Root(f"C1/{one.token}", shown(one), thread(one))] for one in owed},
    )


def page_status(one: Owed) -> str:
    return "resolved" if one.resolved else "acknowledged" if one.acked else "triggered"


def root(one: Owed, **changes) -> dict[str, list[Root]]:
    return {one.token: [replace(right(one).roots[one.token][0], **changes)]}


def found(one: Owed, seen: Seen) -> set[Wrong]:
    return {violation.wrong for violation in judge([one], seen)}


openings = st.builds(
    Owed,
    st.integers(1, 9999).map("chaos-t-{:04d}".format),
    pages=st.booleans(),
    checked=st.booleans(),
    acked=st.booleans(),
    resolved=st.booleans(),
)
many = st.lists(openings, min_size=1, max_size=6, unique_by=lambda one: one.token)


@given(many)
def test_a_world_in_which_every_promise_is_kept_is_clean(owed):
    assert judge(owed, right(*owed)) == []


@given(many, st.data())
def test_whatever_is_there_twice_is_found_once_and_about_that_opening_alone(owed, data):
    seen = right(*owed)
    kind = data.draw(st.sampled_from(["pages", "tickets", "roots"]))
    held = getattr(seen, kind)
    if not held:
        return
    token = data.draw(st.sampled_from(sorted(held)))
    told = judge(owed, replace(seen, **{kind: {**held, token: [*held[token], held[token][0]]}}))
    wanted = {"pages": Wrong.DUPLICATE_PAGE, "tickets": Wrong.DUPLICATE_TICKET, "roots": Wrong.DUPLICATE_ROOT}
    assert [(one.wrong, one.token) for one in told] == [(wanted[kind], token)]
    assert missing(told) == [], "time does not heal it, so nobody waits for it"


@given(many, st.data())
def test_whatever_is_gone_is_found_and_may_be_on_its_way(owed, data):
    seen = right(*owed)
    kind = data.draw(st.sampled_from(["pages", "tickets", "roots"]))
    held = getattr(seen, kind)
    if not held:
        return
    token = data.draw(st.sampled_from(sorted(held)))
    told = judge(owed, replace(seen, **{kind: {other: things for other, things in held.items() if other != token}}))
    assert {(one.wrong, one.token) for one in told} >= {(Wrong.LOST, token)}
    assert missing(told) == told


@given(many, st.data())
def test_a_page_in_the_wrong_state_is_found(owed, data):
    paged = [one for one in owed if one.pages]
    if not paged:
        return
    one = data.draw(st.sampled_from(paged))
    others = {"triggered", "acknowledged", "resolved"} - {page_status(one)}
    status = data.draw(st.sampled_from(sorted(others)))
    seen = right(*owed)
    told = judge(owed, replace(seen, pages={**seen.pages, one.token: [Page("k", status)]}))
    # Somebody may acknowledge it in PagerDuty itself: that is no fault of ours.
    fine = status == "acknowledged" and not one.resolved
    assert [(v.wrong, v.token) for v in told] == ([] if fine else [(Wrong.LOST, one.token)])


@given(openings)
def test_a_ticket_in_the_wrong_state_is_found(one):
    seen = replace(right(one), tickets={one.token: [Ticket("OPS-1", not one.resolved)]})
    assert found(one, seen) == {Wrong.LOST}


@given(openings, st.data())
def test_a_note_that_stands_twice_is_found_by_its_key_and_by_its_words(one, data):
    notes = thread(one)
    if not notes:
        return
    key, text = data.draw(st.sampled_from(notes))
    by_key = root(one, notes=(*notes, (key, "said in other words")))
    by_words = root(one, notes=(*notes, ("another key", text)))
    assert found(one, replace(right(one), roots=by_key)) == {Wrong.DUPLICATE_NOTE}
    assert found(one, replace(right(one), roots=by_words)) == {Wrong.DUPLICATE_NOTE}


@given(openings, st.data())
def test_a_note_that_is_gone_is_found(one, data):
    notes = thread(one)
    if not notes:
        return
    gone = data.draw(st.sampled_from(notes))
    kept = tuple(note for note in notes if note != gone)
    assert found(one, replace(right(one), roots=root(one, notes=kept))) == {Wrong.LOST}


@given(openings, st.data())
def test_a_panel_that_does_not_say_what_is_true_is_found(one, data):
    said = shown(one).split(" · ")
    gone = data.draw(st.sampled_from(said))
    # A longer word holds a shorter one: "Jira ✔" is not said by "Jira done ✔".
    less = " · ".join(part for part in said if part != gone)
    assert found(one, replace(right(one), roots=root(one, shown=less))) == {Wrong.UNTRUE_PANEL}


@given(openings, st.sampled_from(["⏳", "Jira on its way"]))
def test_a_panel_that_still_waits_is_found(one, said):
    assert found(one, replace(right(one), roots=root(one, shown=f"{shown(one)} {said}"))) == {Wrong.UNTRUE_PANEL}


def test_a_panel_that_boasts_is_found():
    one = Owed(TOKEN, fickle=True, resolved=True)
    seen = Seen(roots=root(one, shown="resolved by · PagerDuty ✔"))
    assert found(one, seen) == {Wrong.UNTRUE_PANEL}
    seen = Seen(roots=root(one, shown="resolved by · Jira ✔"))
    assert found(one, seen) == {Wrong.UNTRUE_PANEL}


def test_a_panel_that_says_it_does_not_know_whether_the_page_came_is_true():
    one = Owed(TOKEN, resolved=True)
    said = shown(one).replace("PagerDuty ✔ · ", "")
    seen = replace(right(one), roots=root(one, shown=said))
    assert found(one, seen) == {Wrong.UNTRUE_PANEL}
    assert found(one, replace(seen, roots=root(one, shown=f"{said} · {UNSURE}"))) == set()


def test_somebody_who_is_paged_for_a_ticket_is_found():
    one = Owed(TOKEN, pages=False)
    seen = replace(right(one), pages={TOKEN: [Page("k", "triggered")]})
    assert Wrong.DUPLICATE_PAGE in found(one, seen)


def test_what_ended_at_once_may_be_nowhere_and_is_left_nowhere_open():
    one = Owed(TOKEN, fickle=True, resolved=True)
    assert found(one, Seen()) == set()
    assert found(one, Seen(pages={TOKEN: [Page("k", "triggered")]})) == {Wrong.LOST}
    assert found(one, Seen(tickets={TOKEN: [Ticket("OPS-1", done=False)]})) == {Wrong.LOST}


def test_a_press_nobody_heard_an_answer_to_may_have_been_taken_or_not():
    taken, asked = Owed(TOKEN, acked=True), Owed(TOKEN, asked=True)
    seen = replace(right(taken), pages={TOKEN: [Page("k", "acknowledged")]})
    assert found(asked, seen) == set()
    assert found(asked, right(Owed(TOKEN))) == set()
    assert found(Owed(TOKEN), seen) == {Wrong.UNTRUE_PANEL}, "nobody pressed, and the panel says that somebody did"


def test_a_flag_has_one_message_which_says_in_the_end_that_it_is_over():
    one = OwedFlag(TOKEN)
    for said in ("flag-01 is off since 14:20, switched off by the clock", "flag-01 was not switched on: too late"):
        assert found(one, Seen(flags={TOKEN: [Root("C1/1", said)]})) == set()
    assert found(one, Seen()) == {Wrong.LOST}
    over = Root("C1/1", "is off since", (("a", "changed"), ("b", "left")))
    assert found(one, Seen(flags={TOKEN: [over, over]})) == {Wrong.DUPLICATE_ROOT}
    assert found(one, Seen(flags={TOKEN: [replace(over, shown="is on until 14:20")]})) == {Wrong.UNTRUE_PANEL}
    again = replace(over, notes=(*over.notes, over.notes[0]))
    assert found(one, Seen(flags={TOKEN: [again]})) == {Wrong.DUPLICATE_NOTE}


def test_what_nobody_asked_for_is_found():
    for seen in (right(Owed(TOKEN)), Seen(tickets={TOKEN: [Ticket("OPS-1", done=True)]})):
        assert {v.wrong for v in judge([], seen)} == {Wrong.LOST}


def test_what_is_left_on_is_found():
    told = judge([], Seen(left_on=["ConfigMap/prod/x is not as it was"]))
    assert [(v.wrong, v.said) for v in told] == [(Wrong.LEFT_ON, "ConfigMap/prod/x is not as it was")]
    assert missing(told) == told, "its time may not have come yet"


@pytest.mark.parametrize("wrong", Wrong)
def test_every_kind_is_counted_by_its_name(wrong: Wrong):
    told = [v for v in judge([], Seen(left_on=["x"])) if v.wrong is wrong]
    assert counts(told)[wrong.value] == len(told)
    assert set(counts([])) == {kind.value for kind in Wrong}
    assert set(TWICE) < set(Wrong)


def test_about_is_what_the_judge_says_of_one():
    one, other = Owed(TOKEN), Owed("chaos-t-0002")
    seen = right(other)
    assert about(one, seen) == judge([one, other], seen)
