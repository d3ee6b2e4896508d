"""Compares an incident with what Alertmanager, PagerDuty and Jira say of it: pure, given both sides.

A service that was not heard says nothing: no data is not a finding, and takes none away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from bot.effects import State
from bot.integrations.alertmanager import ActiveAlert
from bot.integrations.jira import TicketRef
from bot.integrations.pagerduty import Page
from bot.integrations.slack.words import escape
from handlers.incidents.rules import Status

T_co = TypeVar("T_co", covariant=True)

EMPTY_LOOKS, MANY = 4, 3
"""An Alertmanager that knows no alert at all, while more than so many incidents need one, has more likely just started:
so many looks are wanted then before anybody is asked."""
GIVEN_UP_PAUSE = 3600.0
"""Seconds between tries of a resolve that was given up: it needs a person, and is on the list of stuck effects."""
MOST_RESOLVES = 3
"""How often a page is resolved anew before it is left to people."""
REOPENED = 5.0
"""Seconds after our resolve from which on a change at PagerDuty is somebody's, and not what our resolve overtook."""
SAME_START = 1000
"""Microseconds: Alertmanager's API tells times in whole milliseconds, its webhooks in nanoseconds."""


class Kind(StrEnum):
    """What may differ and is a person's to decide."""

    ALERT_GONE = "alert-gone"
    PAGE_RESOLVED = "page-resolved"
    PAGE_LOST = "page-lost"
    TICKET_DONE = "ticket-done"
    TICKET_GONE = "ticket-gone"


LOOKS: Mapping[Kind, int] = {
    Kind.ALERT_GONE: 2,
    Kind.PAGE_RESOLVED: 2,
    Kind.PAGE_LOST: 1,  # somebody may be asleep who should not be
    Kind.TICKET_DONE: 2,
    Kind.TICKET_GONE: 2,
}
"""How many looks must agree before somebody is asked: what is on its way must have time to arrive."""


@dataclass(frozen=True)
class Kept:
    """The newest effect of a kind as our ledger has it. ``at``: UNIX s when it was settled; ``count``: of that kind."""

    state: State
    at: float
    count: int = 1


@dataclass(frozen=True)
class Ours:
    """What we hold of an incident. ``firing``: fingerprint → name of Alertmanager's alerts of it that have not resolved.

    ``elsewhere``: one fires of which Alertmanager knows nothing, because another has sent it; or there is no data of it.
    """

    number: int
    status: Status
    from_alert: bool = False
    firing: Mapping[str, str] = field(default_factory=dict)
    page: Kept | None = None
    page_resolve: Kept | None = None
    ticket: Kept | None = None
    ticket_key: str = ""
    elsewhere: bool = False

    @property
    def open(self) -> bool:
        return self.status.open

    @property
    def known_there(self) -> bool:
        """True when Alertmanager should know an alert of it, or else it may be over."""
        return self.open and self.from_alert and not self.elsewhere


@dataclass(frozen=True)
class Heard(Generic[T_co]):
    """An answer. Where a Heard is None, there was none."""

    value: T_co


@dataclass(frozen=True)
class Theirs:
    """What was heard of an incident. ``alerts``: the fingerprints Alertmanager knows, the silenced ones too."""

    alerts: Heard[Collection[str]] | None = None
    page: Heard[Page | None] | None = None
    ticket: Heard[TicketRef | None] | None = None


@dataclass(frozen=True)
class Compared:
    """What a look found.

    ``seen``: what differs, with the sentence that asks. ``looked``: what this look can tell at all: what is in it and
    not seen does not differ. ``acked_by``: who acknowledged in PagerDuty, where we do not know. ``resolve_page``: the
    page outlived its incident.
    """

    seen: Mapping[Kind, str] = field(default_factory=dict)
    looked: frozenset[Kind] = frozenset()
    acked_by: str = ""
    resolve_page: bool = False

    @property
    def heals(self) -> bool:
        return bool(self.acked_by) or self.resolve_page


def wants_pager(ours: Ours, *, now: float, patience: float) -> bool:
    """True when PagerDuty can tell something of this incident: what we sent last was taken ``patience`` seconds ago."""
    if ours.open:
        return ours.page is not None and ours.page.state is State.DONE and _ago(ours.page.at, now) >= patience
    told = ours.page_resolve
    if told is None or told.count >= MOST_RESOLVES:
        return False
    pause = max(patience, GIVEN_UP_PAUSE) if told.state is State.GAVE_UP else patience
    return told.state in (State.DONE, State.GAVE_UP) and _ago(told.at, now) >= pause


def wants_tracker(ours: Ours, *, now: float, patience: float) -> bool:
    """True when Jira can tell something of this incident. What a person reopens after the end stays open: people win."""
    made = ours.ticket
    taken = made is not None and made.state is State.DONE and _ago(made.at, now) >= patience
    return ours.open and taken and bool(ours.ticket_key)


def compare(ours: Ours, theirs: Theirs, *, now: float, patience: float) -> Compared:
    """What differs, what can be healed. ``patience``: seconds that what was sent is given to arrive."""
    seen: dict[Kind, str] = {}
    looked: set[Kind] = set()
    acked_by, resolve_page = "", False
    if theirs.alerts is not None and ours.known_there:
        looked.add(Kind.ALERT_GONE)
        if not any(one in theirs.alerts.value for one in ours.firing):
            seen[Kind.ALERT_GONE] = _alert_gone(ours)
    if theirs.page is not None and wants_pager(ours, now=now, patience=patience):
        page = theirs.page.value
        if ours.open:
            looked |= {Kind.PAGE_RESOLVED, Kind.PAGE_LOST}
            seen |= _page(page)
            if page is not None and page.status == "acknowledged" and ours.status is Status.TRIGGERED:
                acked_by = page.changed_by or ", ".join(page.assignees) or "somebody"
        else:
            resolve_page = page is not None and _outlived(ours, page)
    if theirs.ticket is not None and wants_tracker(ours, now=now, patience=patience):
        looked |= {Kind.TICKET_DONE, Kind.TICKET_GONE}
        ticket = theirs.ticket.value
        if ticket is None:
            seen |= ticket_gone(ours.ticket_key)
        elif ticket.status_category == "done":
            seen |= ticket_ended(ours.ticket_key, ticket)
    return Compared(seen, frozenset(looked), acked_by, resolve_page)


def looks_needed(known: Collection[str], *, need_alerts: int) -> Mapping[Kind, int]:
    """How many looks must agree; ``known``: what Alertmanager knows, ``need_alerts``: how many incidents need an alert."""
    if known or need_alerts <= MANY:
        return LOOKS
    return {**LOOKS, Kind.ALERT_GONE: EMPTY_LOOKS}


def _alert_gone(ours: Ours) -> str:
    names = ", ".join(sorted({escape(name) for name in ours.firing.values()})[:5])
    if not names:
        return "*None of this incident's alerts fires any more*, and it is open. Is it over?"
    return (
        f"*Alertmanager no longer knows {names}*, and no resolved came: it sends none for an alert that ended while it "
        "was silenced, and one can get lost. Is it over?"
    )


def _page(page: Page | None) -> dict[Kind, str]:
    if page is None:
        return {
            Kind.PAGE_LOST: "⚠ *PagerDuty took the page and shows no incident for it:* a rule there may have suppressed it, "
            "so that nobody was woken. Call the on-call yourself, or page again. (Or pagerduty.api_token may not see it.)"
        }
    if page.status == "resolved":
        by = f" by {escape(page.changed_by)}" if page.changed_by else ""
        return {
            Kind.PAGE_RESOLVED: f"*<{escape(page.html_url)}|The page> is resolved in PagerDuty*{by}, and this incident is "
            "open: nobody is called for it any more. Is it over?"
        }
    return {}


def _outlived(ours: Ours, page: Page) -> bool:
    """A page that is open because our resolve never worked; one that somebody opened again afterwards is theirs."""
    told = ours.page_resolve
    assert told is not None, "the pager is asked about resolved incidents whose resolve was sent"
    overtaken = told.state is State.GAVE_UP or page.changed_at <= told.at + REOPENED
    return page.status != "resolved" and overtaken


def ticket_gone(key: str) -> dict[Kind, str]:
    """The question about a ticket that Jira no longer knows."""
    return {
        Kind.TICKET_GONE: f"*Jira no longer knows {escape(key)}:* somebody deleted it, or hid it from the bot. "
        "Shall there be a new one?"
    }


def ticket_ended(key: str, ticket: TicketRef) -> dict[Kind, str]:
    """The question about a ticket that somebody has ended while its incident is open."""
    link = f"<{escape(ticket.url)}|{escape(key)}>"
    return {Kind.TICKET_DONE: f"*{link} is {escape(ticket.status)} in Jira*, and this incident is open. Is it over?"}


@dataclass(frozen=True)
class Known:
    """A firing or resolved alert of the journal. ``starts_at`` µs; ``burns``: it fires and its incident is open."""

    fingerprint: str
    starts_at: int
    burns: bool


def missed(
    alerts: Iterable[tuple[ActiveAlert, int]], known: Sequence[Known], *, receiver: str, now: float, after: float
) -> list[ActiveAlert]:
    """The alerts that fire for us in Alertmanager since ``after`` seconds and of which no webhook ever came.

    ``alerts``: each with its start in µs. One that is silenced or inhibited is not missed: nobody is to hear of it. Of
    one fire Alertmanager may move the start back, never forward: a start that we know or a later one is no news.
    """
    latest: dict[str, int] = {}
    burning: set[str] = set()
    for one in known:
        latest[one.fingerprint] = max(one.starts_at, latest.get(one.fingerprint, one.starts_at))
        if one.burns:
            burning.add(one.fingerprint)
    found = []
    for alert, start in alerts:
        # A start far ahead is of a clock that runs before ours, and must not put off what fires until ours is there.
        ours = receiver in alert.receivers and alert.state == "active" and _ago(start / 1e6, now) >= after
        name = alert.fingerprint
        news = name not in burning and (name not in latest or start - latest[name] >= SAME_START)
        if receiver and ours and news:
            found.append(alert)
    return found


def _ago(at: float, now: float) -> float:
    """Seconds between two instants, whichever way the clock was set in between."""
    return abs(now - at)
