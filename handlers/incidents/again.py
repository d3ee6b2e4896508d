"""What people answer when something differs outside: page again, a new ticket, the ticket reopened, or left as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.effects import UNSETTLED, Effect, State, Tx
from bot.errors import Refused
from bot.grammar import Asker
from bot.integrations.slack.words import escape
from handlers.desk import Desk
from handlers.incidents import decide, findings, owing, remind, table
from handlers.incidents.compare import Kind
from handlers.incidents.rules import Severity, Status
from handlers.incidents.table import INCIDENTS
from handlers.storms import words as storm_words


def page(desk: Desk, asker: Asker, number: int, *, now: float) -> str:
    """Page the on-call once more; the sentence that says what follows. Raises Refused when nobody can be paged."""
    with desk.engine.transaction(now) as tx:
        row = _open_row(
            tx, number, "so nobody is paged for it. If it burns again, open a new one with `incident open`."
        )
        entry = desk.services.get(row.service)
        if desk.outside.pager is None or entry is None or entry.pagerduty is None:
            raise Refused(
                f"Nobody can be paged for {escape(row.service)}: services.{escape(row.service)}.pagerduty or the pagerduty: "
                "section is missing in captain.yml. Call the on-call yourself."
            )
        last = table.newest(tx.c, number, "page")
        if _tried_again(desk, tx, last):
            said = "The page had not gone out yet; I try it again as soon as PagerDuty takes one."
        else:
            owing.page(tx, row, Severity(row.severity), since=now)
            # Whoever had it had the old page: the new one is to be taken anew, or PagerDuty escalates it for ever.
            t = INCIDENTS()
            tx.c.execute(t.update().where(t.c.number == number).values(**table.ANEW))
            remind.arm(desk, tx, row, Status.TRIGGERED)
            said = (
                "The on-call is paged again. Where PagerDuty still has an open incident for this, it adds this page to it "
                "and wakes nobody anew."
            )
            times = table.events_of(tx.c, number, "page") + 1
            decide.say(desk, tx, row, f"page:{times}", f"Paged again, asked for by {escape(asker.name)}.")
        findings.answer(tx, row, (Kind.PAGE_LOST, Kind.PAGE_RESOLVED), f"{escape(asker.name)} has it paged again.")
        _done(desk, tx, asker, row, "page", "asked for another page")
        return said


def ticket(desk: Desk, asker: Asker, number: int, *, reopen: bool, now: float) -> str:
    """Make the ticket again, or open it again; the sentence that says what follows. Raises Refused."""
    with desk.engine.transaction(now) as tx:
        row = _open_row(tx, number, "so its ticket stays as it is.")
        entry = desk.services.get(row.service)
        if desk.outside.tracker is None or entry is None or not entry.jira:
            raise Refused(
                f"There is no Jira for {escape(row.service)}: services.{escape(row.service)}.jira or the jira: section is "
                "missing in captain.yml."
            )
        said = _reopen(desk, tx, row) if reopen else _new_ticket(desk, tx, row)
        kind, what = (Kind.TICKET_DONE, "reopens the ticket") if reopen else (Kind.TICKET_GONE, "has a new one made")
        findings.answer(tx, row, (kind,), f"{escape(asker.name)} {what}.")
        _done(desk, tx, asker, row, "ticket", "asked to reopen the ticket" if reopen else "asked for a new ticket")
        return said


def _new_ticket(desk: Desk, tx: Tx, row: Any) -> str:
    if _tried_again(desk, tx, table.newest(tx.c, row.number, "ticket")):
        return "The ticket was not made yet; I try it again as soon as Jira takes it."
    gone = any(one.kind == Kind.TICKET_GONE.value for one in findings.unsettled(tx.c, [row.number]))
    if row.ticket_key and not gone:
        raise Refused(
            f"INC-{row.number} has its ticket: {escape(row.ticket_key)}. I make another when Jira no longer knows it; "
            "`incident reconcile` looks now."
        )
    key = table.another_key(tx.c, row, "ticket")
    rank = Severity(row.severity).rank
    tx.owe(Effect(key, "ticket", "jira", row.number, {"gone": row.ticket_key}, urgency=rank + 1))
    return "A new ticket is made."


def _reopen(desk: Desk, tx: Tx, row: Any) -> str:
    if not row.ticket_key:
        raise Refused(f"INC-{row.number} has no ticket to reopen. `incident ticket INC-{row.number}` makes one.")
    last = table.newest(tx.c, row.number, "ticket-reopen")
    if not _tried_again(desk, tx, last):
        key = table.another_key(tx.c, row, "ticket-reopen")
        tx.owe(Effect(key, "ticket-reopen", "jira", row.number, urgency=4))
    return f"{escape(row.ticket_key)} is reopened."


def keep(desk: Desk, asker: Asker, number: int, *, now: float) -> Sequence[str]:
    """Leave what was asked about as it is, and not be asked again while it lasts; the kinds that were answered."""
    with desk.engine.transaction(now) as tx:
        row = table.locked(tx.c, number)
        said = f"{escape(asker.name)} leaves it as it is."
        kinds = findings.answer(tx, row, tuple(Kind), said, keep=True)
        if kinds:
            _done(desk, tx, asker, row, "keep", f"leaves as it is: {', '.join(kinds)}")
        return kinds


def _open_row(tx: Tx, number: int, why: str) -> Any:
    row = table.locked(tx.c, number)
    if not table.is_open(row):
        raise Refused(f"INC-{number} is resolved, {why}")
    if row.umbrella is not None:
        raise Refused(storm_words.not_of_its_own(row))
    return row


def _tried_again(desk: Desk, tx: Tx, last: Any) -> bool:
    """True when the newest of its kind has not succeeded yet: it is tried at once, instead of a second beside it."""
    if last is None:
        return False
    if last.state == State.GAVE_UP.value:
        return desk.engine.repair(tx, last.key)
    if last.state in UNSETTLED:
        tx.hasten(last.key)
    return last.state in (*UNSETTLED, State.WAITING.value)


def _done(desk: Desk, tx: Tx, asker: Asker, row: Any, kind: str, text: str) -> None:
    table.add_event(tx.c, incident=row.number, at=tx.now, kind=kind, actor=asker.name, text=text)
    decide.record(tx, asker, f"incident {kind}", row.number, {"text": text})
    decide.show(desk, tx, row.number)
