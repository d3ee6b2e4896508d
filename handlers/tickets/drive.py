"""What follows for an incident from what people do to its ticket: the status and the priority drive it, an end may be asked about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.effects import Tx
from bot.grammar import Asker
from bot.integrations.jira import Step, TicketRef
from handlers.alerts import journal
from handlers.desk import Desk
from handlers.incidents import change, compare, decide, findings, table
from handlers.incidents.compare import Compared, Kind
from handlers.incidents.rules import Deed, Severity, Status
from handlers.storms import table as storms
from handlers.tickets import rules

ONCE: Mapping[Kind, int] = dict.fromkeys(Kind, 1)
"""A webhook says what has happened: nothing is on its way that a second look would wait for."""


def drive(desk: Desk, tx: Tx, row: Any, item: Mapping[str, str], event: Mapping[str, Any], ref: TicketRef) -> None:
    """Do what a change means, when the ticket still is as it says: what was changed back since means nothing."""
    if item["field"] == "status" and ref.status_id == item["to"]:
        if table.is_open(row) and event["at"] < _anew(tx, row):
            return  # it came so late that it says nothing of what was paged since
        _stands(desk, tx, row, event, ref)
    elif item["field"] == "priority" and ref.priority_id == item["to"]:
        _weighs(desk, tx, row, event, ref)


def _anew(tx: Tx, row: Any) -> float:
    """Since when, in UNIX s, somebody has to take it anew: it was reopened, or paged once more; 0 when it never was."""
    pages = [one for one in table.effects_about(tx.c, row.number) if one.kind == "page"]
    return max(row.reopened_at or 0.0, float(pages[-1].created_at) if pages[1:] else 0.0)


def _stands(desk: Desk, tx: Tx, row: Any, event: Mapping[str, Any], ref: TicketRef) -> None:
    steps = rules.stands_for(rules.rules(desk, row), ref.status_id)
    ended = ref.status_category == "done"
    if not table.is_open(row):
        if not ended:
            text = f"INC-{row.number} stays {row.status}: `incident reopen INC-{row.number}` opens it again, and pages."
            decide.say(desk, tx, row, f"jira:{event['id']}:stays", text)
        return
    if ended or "resolved" in steps:
        _ended(desk, tx, row, event, ref, meant="resolved" in steps)
        return
    findings.look(desk, tx, row, Compared({}, frozenset({Kind.TICKET_DONE})), needed=ONCE, apart=0.0)
    deed = deed_of(Status(row.status), steps)
    if deed is not None:
        text = f"by {event['name']} in Jira"
        decide.move(desk, tx, row, deed, actor=event["name"], text=text, tell_tracker=False)


def deed_of(status: Status, steps: frozenset[Step]) -> Deed | None:
    """What brings an open incident to where its ticket was moved; None when it is there, or when nothing is meant."""
    if status.value in steps:
        return None
    if "acknowledged" in steps and status is Status.TRIGGERED:
        return Deed.ACKNOWLEDGE
    if "mitigated" in steps:
        return Deed.MITIGATE
    if "acknowledged" in steps and status is Status.MITIGATED:
        return Deed.REOPEN  # the mitigation did not hold
    return None


def _ended(desk: Desk, tx: Tx, row: Any, event: Mapping[str, Any], ref: TicketRef, *, meant: bool) -> None:
    """Somebody ended the ticket: that ends the incident when captain.yml says so and nothing burns any more; else it is asked."""
    burns = journal.still_firing(tx.c, row.number) > 0 or row.source == "watchdog" or storms.carried(tx.c, row) > 0
    if meant and not burns:
        text = f"by {event['name']} in Jira"
        decide.move(desk, tx, row, Deed.RESOLVE, actor=event["name"], text=text, tell_tracker=False)
        return
    _ask(desk, tx, row, compare.ticket_ended(row.ticket_key, ref))


def _weighs(desk: Desk, tx: Tx, row: Any, event: Mapping[str, Any], ref: TicketRef) -> None:
    """Another priority is another severity, where captain.yml says which; raised to one that pages, it pages."""
    now = Severity(row.severity)
    new = rules.severity_of(rules.rules(desk, row), ref.priority_id, now)
    if new is None or new is now or row.status == Status.CLOSED.value:
        return
    asker = Asker(f"jira:{event['by']}", f"{event['name']} in Jira", "jira", f"jira:{event['id']}")
    change.set_severity(desk, tx, asker, row, new)


def gone(desk: Desk, tx: Tx, row: Any) -> None:
    """The ticket was deleted: whether there shall be a new one is asked, while somebody needs it."""
    if not table.is_open(row):
        return
    _ask(desk, tx, row, compare.ticket_gone(row.ticket_key))


def _ask(desk: Desk, tx: Tx, row: Any, seen: Mapping[Kind, str]) -> None:
    findings.look(desk, tx, row, Compared(seen, frozenset(seen)), needed=ONCE, apart=0.0)
    decide.show(desk, tx, row.number)
