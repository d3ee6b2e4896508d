"""What differs outside is told from what merely was not heard: the comparison, given both sides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.effects import State
from bot.integrations.alertmanager import ActiveAlert
from bot.integrations.jira import TicketRef
from bot.integrations.pagerduty import Page
from handlers.incidents import compare, reconcile
from handlers.incidents.compare import EMPTY_LOOKS, LOOKS, MANY, Compared, Heard, Kept, Kind, Known, Ours, Theirs
from handlers.incidents.rules import Status

NOW, PATIENCE = 1_000_000.0, 120.0
LONG_AGO = NOW - 600
PAGED = Kept(State.DONE, LONG_AGO)


def ours(**changes) -> Ours:
    given = {"status": Status.TRIGGERED, "from_alert": True, "firing": {"f1": "Burn"}, "page": PAGED}
    return Ours(7, **(given | {"ticket": PAGED, "ticket_key": "OPS-1"} | changes))


def page(status: str, **changes) -> Page:
    given = {"id": "P1", "number": 1, "status": status, "title": "t", "dedup_key": "k", "html_url": "https://pd/1"}
    return Page(**(given | {"assignees": ("Alice",), "changed_at": LONG_AGO} | changes))


def ticket(category: str) -> TicketRef:
    return TicketRef("OPS-1", "https://jira/OPS-1", "Some status", category)


def found(mine: Ours, *, now: float = NOW, **theirs) -> Compared:
    return compare.compare(mine, Theirs(**{k: Heard(v) for k, v in theirs.items()}), now=now, patience=PATIENCE)


# ---- Alertmanager -----------------------------------------------------------------------------------------------------


def test_an_alert_that_is_not_there_is_gone_and_one_of_several_is_enough_to_burn_on():
    two = ours(firing={"f1": "Burn", "f2": "SlowBurn"})
    assert Kind.ALERT_GONE in found(two, alerts={"other"}).seen
    assert "Burn, SlowBurn" in found(two, alerts=set()).seen[Kind.ALERT_GONE]
    assert found(two, alerts={"f2"}).seen == {}
    assert found(two, alerts={"f2"}).looked == {Kind.ALERT_GONE}, "so that an older finding can end"


def test_an_incident_that_a_person_opened_needs_no_alert():
    assert found(ours(from_alert=False, firing={}), alerts=set()) == Compared()


def test_what_another_sender_sees_burn_is_nothing_that_alertmanager_could_know():
    assert found(ours(elsewhere=True, firing={}), alerts=set()) == Compared()
    assert found(ours(elsewhere=True), alerts=set()) == Compared(), "one of its alerts burns on elsewhere"


def test_an_incident_none_of_whose_alerts_fires_any_more_is_asked_about():
    assert "Is it over?" in found(ours(firing={}), alerts={"other"}).seen[Kind.ALERT_GONE]


@pytest.mark.parametrize(
    ("known", "need", "looks"),
    [(set(), MANY, 2), (set(), MANY + 1, EMPTY_LOOKS), ({"x"}, 50, 2)],
)
def test_an_empty_alertmanager_that_many_incidents_need_is_looked_at_longer(known, need, looks):
    needed = compare.looks_needed(known, need_alerts=need)
    assert needed[Kind.ALERT_GONE] == looks
    assert needed[Kind.PAGE_LOST] == 1


# ---- PagerDuty --------------------------------------------------------------------------------------------------------


def test_a_page_resolved_elsewhere_a_lost_one_and_one_that_is_as_it_should_be():
    assert found(ours(), page=page("resolved", changed_by="Bob")).seen.keys() == {Kind.PAGE_RESOLVED}
    assert "by Bob" in found(ours(), page=page("resolved", changed_by="Bob")).seen[Kind.PAGE_RESOLVED]
    assert found(ours(), page=None).seen.keys() == {Kind.PAGE_LOST}
    fine = found(ours(), page=page("triggered"))
    assert fine.seen == {}
    assert fine.looked == {Kind.PAGE_LOST, Kind.PAGE_RESOLVED}
    assert not fine.heals


def test_what_was_acknowledged_there_is_taken_over_by_name():
    assert found(ours(), page=page("acknowledged", changed_by="Bob")).acked_by == "Bob"
    assert found(ours(), page=page("acknowledged")).acked_by == "Alice", "an event did it: whoever it is assigned to"
    assert found(ours(), page=page("acknowledged", assignees=())).acked_by == "somebody"
    assert not found(ours(status=Status.ACKNOWLEDGED), page=page("acknowledged")).heals
    # PagerDuty triggers again what was acknowledged too long ago: that is for people.
    assert not found(ours(status=Status.ACKNOWLEDGED), page=page("triggered")).heals


@pytest.mark.parametrize(
    "kept",
    [None, Kept(State.OWED, 0), Kept(State.RETRYING, 0), Kept(State.GAVE_UP, LONG_AGO), Kept(State.DONE, NOW - 5)],
    ids=["never owed", "owed", "retrying", "given up", "just taken"],
)
def test_a_page_that_is_on_its_way_or_never_went_is_not_compared(kept):
    assert not compare.wants_pager(ours(page=kept), now=NOW, patience=PATIENCE)
    assert found(ours(page=kept), page=None) == Compared()


def over(told: Kept | None, **changes) -> Ours:
    return ours(status=Status.RESOLVED, firing={}, page_resolve=told, **changes)


def test_a_page_that_outlives_its_incident_is_resolved_and_one_that_somebody_reopened_is_left():
    assert found(over(PAGED), page=page("triggered", changed_at=LONG_AGO - 60)).resolve_page
    assert found(over(PAGED), page=page("acknowledged", changed_at=LONG_AGO - 60)).resolve_page
    assert not found(over(PAGED), page=page("triggered", changed_at=LONG_AGO + 60)).heals
    assert not found(over(PAGED), page=page("resolved")).heals
    assert not found(over(PAGED), page=None).heals


def test_a_resolve_is_sent_anew_a_few_times_and_then_left_to_people():
    assert compare.wants_pager(over(PAGED), now=NOW, patience=PATIENCE)
    assert not compare.wants_pager(over(Kept(State.DONE, LONG_AGO, 3)), now=NOW, patience=PATIENCE)
    assert not compare.wants_pager(over(Kept(State.GAVE_UP, LONG_AGO)), now=NOW, patience=PATIENCE)
    old = Kept(State.GAVE_UP, NOW - 4000)
    assert found(over(old), page=page("triggered", changed_at=NOW)).resolve_page
    assert not compare.wants_pager(over(Kept(State.RETRYING, 0.0)), now=NOW, patience=PATIENCE)
    assert not compare.wants_pager(over(None), now=NOW, patience=PATIENCE)


def test_a_clock_that_was_set_back_delays_no_look():
    assert compare.wants_pager(ours(page=Kept(State.DONE, NOW + 3600)), now=NOW, patience=PATIENCE)


# ---- Jira -------------------------------------------------------------------------------------------------------------


def test_a_ticket_that_is_done_or_gone_is_asked_about_while_the_incident_is_open():
    assert found(ours(), ticket=ticket("done")).seen.keys() == {Kind.TICKET_DONE}
    assert found(ours(), ticket=None).seen.keys() == {Kind.TICKET_GONE}
    assert found(ours(), ticket=ticket("indeterminate")).seen == {}
    assert found(over(PAGED), ticket=ticket("new")) == Compared(), "what a person reopens afterwards stays open"
    assert found(ours(ticket_key=""), ticket=None) == Compared()
    assert found(ours(ticket=Kept(State.DONE, NOW - 1)), ticket=None) == Compared()


# ---- whatever they say ------------------------------------------------------------------------------------------------

KEPT = st.none() | st.builds(Kept, st.sampled_from(State), st.sampled_from([0.0, LONG_AGO, NOW - 1]), st.integers(1, 4))
OURS = st.builds(
    Ours,
    st.just(7),
    st.sampled_from(Status),
    st.booleans(),
    st.dictionaries(st.sampled_from(["f1", "f2"]), st.text(max_size=8)),
    KEPT,
    KEPT,
    KEPT,
    st.sampled_from(["", "OPS-1"]),
    st.booleans(),
)
PAGES = st.none() | st.builds(
    page,
    st.sampled_from(["triggered", "acknowledged", "resolved"]),
    changed_by=st.text(max_size=5),
    changed_at=st.sampled_from([0.0, LONG_AGO, NOW]),
)
THEIRS = st.builds(
    Theirs,
    st.none() | st.builds(Heard, st.frozensets(st.sampled_from(["f1", "f2", "x"]))),
    st.none() | st.builds(Heard, PAGES),
    st.none() | st.builds(Heard, st.none() | st.builds(ticket, st.sampled_from(["new", "indeterminate", "done"]))),
)


@given(OURS, THEIRS)
def test_no_answer_is_no_finding_and_ends_none(mine, theirs):
    told = compare.compare(mine, theirs, now=NOW, patience=PATIENCE)
    assert set(told.seen) <= told.looked
    services = {kind.value.split("-")[0] for kind in told.looked}
    heard = {"alert": theirs.alerts, "page": theirs.page, "ticket": theirs.ticket}
    assert all(heard[name] is not None for name in services)
    assert compare.compare(mine, Theirs(), now=NOW, patience=PATIENCE) == Compared()


@given(OURS, THEIRS)
def test_nobody_is_asked_about_what_is_over_and_nothing_is_healed_twice(mine, theirs):
    told = compare.compare(mine, theirs, now=NOW, patience=PATIENCE)
    if mine.open:
        assert not told.resolve_page
        assert not told.acked_by or mine.status is Status.TRIGGERED
    else:
        assert told.seen == {}
        assert not told.acked_by
    assert not (told.acked_by and told.resolve_page)
    assert set(told.seen) <= set(LOOKS)


# ---- missed webhooks --------------------------------------------------------------------------------------------------


def alert(fingerprint: str = "f1", *, receivers=("rc",), state: str = "active") -> ActiveAlert:
    return ActiveAlert(fingerprint, {"alertname": "Burn"}, "", state, receivers=receivers)


def missed(one: ActiveAlert, *known: Known, start: float = LONG_AGO, receiver: str = "rc") -> bool:
    at = round(start * 1e6)
    return compare.missed([(one, at)], known, receiver=receiver, now=NOW, after=300) == [one]


def test_an_alert_for_us_that_no_webhook_told_is_missed_and_nothing_else_is():
    assert missed(alert())
    assert not missed(alert(receivers=("other",)))
    assert not missed(alert(state="suppressed")), "silenced, inhibited or muted: nobody is to hear of it"
    assert not missed(alert(), start=NOW - 60), "its webhook may still be on its way"
    assert not missed(alert(receivers=("",)), receiver="")


@pytest.mark.parametrize(
    ("known_start", "burns", "is_missed"),
    [
        (LONG_AGO, False, False),  # known, and over or resolved by hand
        (LONG_AGO + 0.0004, False, False),  # the webhook told it to the nanosecond
        (LONG_AGO + 60, False, False),  # Alertmanager has moved its start back since
        (LONG_AGO - 60, True, False),  # the fire of an open incident goes on
        (LONG_AGO - 60, False, True),  # it ended, and burns anew
    ],
)
def test_one_that_the_journal_knows_is_not_missed(known_start, burns, is_missed):
    assert missed(alert(), Known("f1", round(known_start * 1e6), burns)) is is_missed


# ---- turns ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 400), st.integers(1, 100), st.integers(0, 10_000))
def test_with_too_many_incidents_the_runs_take_turns_and_leave_none_out(count, most, turn):
    numbers = list(range(count))
    turns = -(-count // most) + 1
    seen = [reconcile.turn_of(numbers, n, most) for n in range(turn, turn + turns)]
    assert all(len(part) == len(set(part)) == min(count, most) for part in seen)
    assert {number for part in seen for number in part} == set(numbers)
