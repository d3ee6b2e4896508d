"""What an incident owes to its ticket as it moves: a status, a comment, its summary and priority, links."""

from __future__ import annotations

import re
from typing import Any

from bot.effects import Effect, Settled, State, Tx
from bot.integrations.jira import Step
from bot.integrations.slack.words import clip
from handlers.desk import Desk
from handlers.incidents import table
from handlers.incidents.rules import Status
from handlers.tickets import rules

MOVES = ("ticket", "ticket-done", "ticket-reopen", "ticket-move")
"""What makes or moves a ticket: one after another, as the last to arrive would win."""
LEAD = re.compile(r"^\W+")
"""The sign a line of the thread begins with; a Jira on MySQL cannot store some of them."""
LONGEST = 20_000
"""Characters of a comment; Jira takes 32,767."""
PAGE_LANE = "checks"
"""The lane in which PagerDuty is asked for a page's address: one that nothing urgent waits in, should it not answer."""
PAGE_PAUSE = 3.0
"""Seconds after which PagerDuty has an incident for the page that it took."""
STEPS: dict[Status, Step] = {Status.ACKNOWLEDGED: "acknowledged", Status.MITIGATED: "mitigated"}


def moved(desk: Desk, tx: Tx, row: Any, status: Status, said: str, *, back: bool) -> None:
    """What follows for the ticket from a move of the incident, beside what ends or reopens it.

    ``said``: the sentence for the ticket, plain. ``back``: it was over and is open again.
    """
    if table.newest(tx.c, row.number, "ticket") is None:
        return
    step = None if back else STEPS.get(status)
    if step is not None and rules.rules(desk, row).statuses.get(step):
        last = table.newest_of(tx.c, row.number, *MOVES)
        key = table.another_key(tx.c, row, "ticket-move")
        tx.owe(Effect(key, "ticket-move", "jira", row.number, {"to": step}, urgency=4, after=last.key))
    if rules.settings(desk).comments and status is not Status.CLOSED:
        ticket_note(tx, row, LEAD.sub("", said))


def ticket_note(tx: Tx, row: Any, text: str) -> bool:
    """Owe one comment on the incident's ticket, plain text; False where there is no ticket to be.

    It says the incident and the time at its end. Of a private incident it is held back unless its ticket is guarded.
    """
    made = table.newest(tx.c, row.number, "ticket")
    if made is None:
        return False
    key, said = table.another_key(tx.c, row, "ticket-note"), rules.stamped(row, clip(text, LONGEST), tx.now)
    before = table.newest(tx.c, row.number, "ticket-note")
    after = before.key if before is not None else made.key
    return tx.owe(Effect(key, "ticket-note", "jira", row.number, {"text": said}, urgency=6, after=after))


def edited(desk: Desk, tx: Tx, row: Any, kind: str) -> None:
    """The title, the severity or the service has changed: the ticket follows."""
    made = table.newest(tx.c, row.number, "ticket")
    if made is None or desk.outside.tracker is None:
        return
    key = table.another_key(tx.c, row, "ticket-edit")
    before = table.newest(tx.c, row.number, "ticket-edit")
    after, args = before.key if before is not None else made.key, {"priority": kind == "severity"}
    tx.owe(Effect(key, "ticket-edit", "jira", row.number, args, urgency=5, after=after))


def settled(desk: Desk, tx: Tx, done: Settled) -> None:
    """The ticket, the thread or a page is there: those that are link to one another."""
    if done.state is not State.DONE or done.kind not in ("ticket", "root", "page") or done.about is None:
        return
    row = table.by_number(tx.c, done.about)
    if row is None or not row.ticket_key or desk.outside.tracker is None:
        return
    if row.thread_ts and desk.outside.chat is not None:
        # Its name says which thread on which ticket, so that a new one of either is linked anew.
        key = f"{row.uid}:ticket-thread:{row.ticket_key}:{row.thread_ts}"
        tx.owe(Effect(key, "ticket-thread", "slack", row.number, urgency=8))
    page = table.newest(tx.c, row.number, "page")
    if page is not None and page.state == State.DONE.value and desk.outside.pager and desk.outside.pager.reads:
        key = f"{row.uid}:ticket-page:{row.ticket_key}:{page.key.removeprefix(f'{row.uid}:')}"
        args = {"look": 1}
        tx.owe(Effect(key, "ticket-page", PAGE_LANE, row.number, args, urgency=8, delay=PAGE_PAUSE))
