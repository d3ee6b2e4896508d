"""What we did is never taken for somebody else's doing, what others did never for ours, in whatever order it is told."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.integrations.jira.text import escaped, plain
from handlers.incidents.rules import Status, after
from handlers.tickets.drive import deed_of
from handlers.tickets.echo import AROUND, Done, Heard, late, our_comment, ours

ME, BOB = "me", "bob"
STATUS = ("1", "2", "3", "4")


def item(field, to):
    return {"field": field, "from": "", "to": to, "from_text": "", "to_text": to}


@st.composite
def moves(draw):
    """A move of ours: settled, in flight, or broken off and gone on with."""
    began = draw(st.floats(1000, 2000))
    ended = draw(st.one_of(st.none(), st.floats(0, 100).map(lambda took: began + took)))
    passed = draw(st.lists(st.sampled_from(STATUS), max_size=3, unique=True))
    certain = ended is not None and draw(st.booleans())
    return Done("move", began, ended, passed if certain else None), passed


@given(st.lists(moves(), min_size=1, max_size=4), st.data())
@settings(max_examples=200, deadline=None)
def test_each_step_of_ours_is_known_whenever_it_is_told(made, data):
    done, passed = data.draw(st.sampled_from(made))
    if not passed:
        return
    shift = data.draw(st.floats(-AROUND, AROUND))  # Jira's clock is not ours
    took = (done.ended or done.began) - done.began
    at = min(
        max(done.began + took * data.draw(st.floats(0, 1)) + shift, done.began - AROUND), done.began + took + AROUND
    )
    change = item("status", data.draw(st.sampled_from(passed)))
    told = [one for one, _ in made]
    assert ours(change, by=ME, at=at, me=ME, done=told)
    assert ours(change, by=ME, at=at, me="", done=told), "also when Jira does not tell who we are"


@given(st.lists(moves(), max_size=4), st.sampled_from(STATUS), st.floats(0, 3000))
def test_what_another_account_did_is_theirs_even_when_it_is_what_we_did(made, to, at):
    told = [one for one, _ in made]
    for field in ("status", "priority", "summary", "assignee"):
        assert not ours(item(field, to), by=BOB, at=at, me=ME, done=told)
    assert not our_comment("x", by=BOB, me=ME, done=[Done("note", 1000, 1001, text="x")])


@given(st.lists(moves(), max_size=4), st.sampled_from(STATUS))
def test_a_person_who_shares_the_account_is_heard_when_we_did_nothing(made, to):
    long_after = 10_000.0
    settled = [one for one, _ in made if one.ended is not None]
    assert not ours(item("status", to), by=ME, at=long_after, me=ME, done=settled)
    assert not our_comment(
        "on it", by=ME, me=ME, done=[Done("note", 1000, 1001, text="Acknowledged by alice. (INC-1, …)")]
    )
    assert our_comment("a  b", by=ME, me=ME, done=[Done("note", 1000, 1001, text="a b")]), "Jira may wrap a line"


def test_a_comment_of_ours_is_known_however_jira_writes_a_mention():
    text = "Update by alice: ask [~bob] or [~accountid:5b10], see {code} now. (INC-1, 2026-11-26 04:00:00 UTC)"
    done = [Done("note", 1000, 1001, text=escaped(text))]
    for heard in (plain(escaped(text)), plain(text), text):
        assert our_comment(heard, by=ME, me=ME, done=done), heard
    assert not our_comment(plain(text.replace("now", "later")), by=ME, me=ME, done=done)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50)), min_size=1, max_size=8, unique_by=lambda one: one[1]),
    st.randoms(),
)
@settings(max_examples=300, deadline=None)
def test_in_any_order_and_repeated_the_newest_change_is_what_counts_in_the_end(changes, rnd):
    """Each arrives at least once; what counts is the last that was not late when it came."""
    arrivals = [*changes, *rnd.choices(changes, k=4)]
    rnd.shuffle(arrivals)
    known, counts = [], None
    for at, order in arrivals:
        if not late("status", at=at, order=order, known=known):
            counts = at, order
        known.append(Heard("status", at, order))
    assert counts == max(changes)
    assert not late("priority", at=0, order=0, known=known), "of another field they say nothing"


@given(st.sampled_from(Status), st.frozensets(st.sampled_from(["acknowledged", "mitigated", "resolved", "reopened"])))
def test_a_status_in_jira_asks_only_for_moves_that_there_are_and_for_none_where_the_incident_is(status, steps):
    if not status.open:
        return
    deed = deed_of(status, steps)
    if deed is not None:
        assert after(status, deed) is not None
        assert after(status, deed).value in steps
    if status.value in steps:
        assert deed is None
