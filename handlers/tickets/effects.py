"""Performs what is owed to a ticket: each function makes one change (or looks, then makes one) and says what came of it."""

from __future__ import annotations

import json
from typing import Any

from bot.effects import Effect, Outcome, Performer, Task, Tx
from bot.errors import GiveUp, in_time
from bot.integrations.jira import Link, Step, TicketRef, Tracker
from handlers.desk import Desk
from handlers.incidents import table
from handlers.incidents.phone import PREFIX
from handlers.incidents.rules import Status
from handlers.incidents.table import INCIDENTS
from handlers.posts import chat_of
from handlers.tickets import owed, rules
from handlers.tickets.owed import STEPS

LOOKS = 4
"""How often PagerDuty is asked for the incident of a page, twice as long apart each time."""
FIRST_LOOK = 10.0
NO_TICKET = "there is no ticket"
GONE = "Jira no longer knows the ticket"
HELD = "the incident is private, and its ticket does not have jira.private_security_level"


def performers(desk: Desk) -> list[Performer]:
    """Every kind of effect this subject owes, but for making, ending and reopening a ticket."""
    return [
        Performer("ticket-move", lambda task: move(desk, task)),
        Performer("ticket-edit", lambda task: edit(desk, task)),
        Performer("ticket-note", lambda task: note(desk, task)),
        Performer("ticket-thread", lambda task: thread(desk, task)),
        Performer("ticket-page", lambda task: page(desk, task)),
        Performer("ticket-link", lambda task: link(desk, task)),
    ]


def move(desk: Desk, task: Task) -> Outcome:
    """Move the ticket to the status that captain.yml names for where the incident stands. What people ended stays ended."""
    row, step = row_of(desk, task), task.args["to"]
    if STEPS.get(Status(row.status)) != step:
        return Outcome(skipped="the incident has moved on")
    if not row.ticket_key:
        return Outcome(skipped=NO_TICKET)
    return taken_to(desk, row, step)


def taken_to(desk: Desk, row: Any, step: Step) -> Outcome:
    """Take the ticket to where the incident is. What it went through is kept, to know our own steps when Jira tells them."""
    ref = tracker_of(desk).move(row.ticket_key, rules.goal(rules.rules(desk, row), step))
    if ref.status_category == "done" and step != "resolved":
        return Outcome(skipped=f"somebody has ended {ref.key} in Jira")
    return Outcome({"status": ref.status, "passed": list(ref.passed)}, lambda tx: follow(tx, row, ref))


def edit(desk: Desk, task: Task) -> Outcome:
    """Bring summary and priority in step with the incident. A summary that a person has rewritten stays theirs."""
    row, tracker = row_of(desk, task), tracker_of(desk)
    if not row.ticket_key:
        return Outcome(skipped=NO_TICKET)
    ref = tracker.get(row.ticket_key)
    if ref is None:
        return Outcome(skipped=GONE)
    want, priority = rules.summary(row, open_=rules.guarded(desk, row, ref)), ""
    if task.args["priority"]:
        priority = rules.rules(desk, row).priorities.get(row.severity, "")
    wrote = _wrote(desk, row)
    theirs = wrote is not None and ref.summary not in wrote and ref.summary != want
    change = {
        "summary": "" if theirs or ref.summary == want else want,
        "priority_id": "" if priority == ref.priority_id else priority,
    }
    if any(change.values()):
        task.acting()  # Jira may tell of it before this is settled
        tracker.edit(ref.key, **change)
    told = {"summary": ref.summary if theirs else want, "priority": priority, "kept": theirs}
    return Outcome(told, lambda tx: follow(tx, row, ref))


def _wrote(desk: Desk, row: Any) -> set[str] | None:
    """The summaries that were ours; None when no effect tells, as those of a release before do not."""
    with desk.store.read() as c:
        done = table.effects_about(c, row.number)
    results = [json.loads(one.result) for one in done if one.kind in ("ticket", "ticket-edit")]
    told = {str(one["summary"]) for one in results if "summary" in one and not one.get("kept")}
    return told or None


def note(desk: Desk, task: Task) -> Outcome:
    """Comment on the ticket once: one whose answer was lost is known by its text, which ends with its time."""
    row, tracker, text = row_of(desk, task), tracker_of(desk), str(task.args["text"])
    if not row.ticket_key:
        return Outcome(skipped=NO_TICKET)
    if held_back(desk, row):
        return Outcome(skipped=HELD)
    if not (task.tried and tracker.commented(row.ticket_key, text)):
        in_time(task.acting())
        tracker.comment(row.ticket_key, text)
    return Outcome()


def held_back(desk: Desk, row: Any) -> bool:
    """True when nothing may be written on the ticket: the incident is private and the ticket not guarded, as it is now."""
    if not row.private:
        return False
    ref = tracker_of(desk).get(row.ticket_key)
    return ref is None or not rules.guarded(desk, row, ref)


def thread(desk: Desk, task: Task) -> Outcome:
    """Ask Slack for the thread's address, to put it on the ticket."""
    row = row_of(desk, task)
    if not row.thread_ts:
        return Outcome(skipped="there is no thread")
    at = chat_of(desk).permalink(row.channel, row.thread_ts)
    return Outcome({"url": at}, lambda tx: _owe_link(tx, row, "thread", at, f"INC-{row.number} in Slack"))


def page(desk: Desk, task: Task) -> Outcome:
    """Ask PagerDuty for the page's address, to put it on the ticket. Of what it has suppressed there is none."""
    row, pager = row_of(desk, task), desk.outside.pager
    found = pager.find(f"{PREFIX}{row.uid}") if pager is not None else None
    if found is not None:
        title = f"INC-{row.number} in PagerDuty"
        return Outcome({"url": found.html_url}, lambda tx: _owe_link(tx, row, "page", found.html_url, title))
    looks = int(task.args["look"])

    def again(tx: Tx) -> None:
        key, args = f"{task.key.split('#')[0]}#{looks + 1}", {"look": looks + 1}
        delay = FIRST_LOOK * 2**looks
        tx.owe(Effect(key, "ticket-page", owed.PAGE_LANE, row.number, args, urgency=8, delay=delay))

    if looks < LOOKS:
        return Outcome({"found": False}, again)
    return Outcome(skipped="PagerDuty shows no incident for the page")


def _owe_link(tx: Tx, row: Any, what: str, url: str, title: str) -> None:
    key = table.another_key(tx.c, row, "ticket-link")
    tx.owe(Effect(key, "ticket-link", "jira", row.number, {"what": what, "url": url, "title": title}, urgency=7))


def link(desk: Desk, task: Task) -> Outcome:
    """Put a link on the ticket. Jira knows it by our name for it, so asked twice there is one."""
    row, args = row_of(desk, task), task.args
    if not row.ticket_key:
        return Outcome(skipped=NO_TICKET)
    if held_back(desk, row):
        return Outcome(skipped=HELD)
    name = f"release-captain:{row.uid}:{args['what']}"
    tracker_of(desk).link(row.ticket_key, Link(name, str(args["url"]), str(args["title"])))
    return Outcome()


# ---- shared with what is heard --------------------------------------------------------------------------------------


def follow(tx: Tx, row: Any, ref: TicketRef) -> None:
    """Take down where the ticket is by now: people move one to another project, where it has another key."""
    if not ref.key or (ref.key == row.ticket_key and ref.id == row.ticket_id):
        return
    t = INCIDENTS()
    where = {"ticket_key": ref.key, "ticket_url": ref.url, "ticket_id": ref.id or row.ticket_id}
    mine = (t.c.number == row.number) & (t.c.ticket_key == row.ticket_key)
    tx.c.execute(t.update().where(mine).values(**where))


def row_of(desk: Desk, task: Task) -> Any:
    """The incident's row. Raises GiveUp."""
    with desk.store.read() as c:
        row = table.by_number(c, task.about or 0)
    if row is None:
        raise GiveUp(f"INC-{task.about} is not in the database")
    if row.service not in desk.services:
        raise GiveUp(f"the service '{row.service}' is no longer in captain.yml; put it back and repair")
    return row


def tracker_of(desk: Desk) -> Tracker:
    """Jira. Raises GiveUp."""
    if desk.outside.tracker is None:
        raise GiveUp("the jira: section is missing in captain.yml; add it and repair")
    return desk.outside.tracker
