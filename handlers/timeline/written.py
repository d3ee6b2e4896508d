"""Writes into the timeline what the outside has taken: a ticket that was made, reopened or is done."""

from __future__ import annotations

from collections.abc import Mapping

from bot.effects import Settled, State, Tx
from handlers.incidents import decide, table

SAID: Mapping[str, str] = {
    "ticket": "the ticket {ticket} was made",
    "ticket-reopen": "the ticket {ticket} was reopened",
    "ticket-done": "the ticket {ticket} is done",
}


def settled(tx: Tx, done: Settled) -> None:
    """An effect has ended; what it did for an incident becomes a line."""
    if done.state is not State.DONE or done.about is None or done.kind not in SAID:
        return
    row = table.by_number(tx.c, done.about)
    if row is not None and row.ticket_key:
        said = SAID[done.kind].format(ticket=row.ticket_key)
        table.add_event(tx.c, incident=row.number, at=tx.now, kind="ticket", actor=decide.ITSELF, text=said)
