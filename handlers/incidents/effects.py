"""Performs what is owed for incidents: each function makes one call (or looks, then makes one) and says what came of it."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from bot.effects import EFFECTS, Outcome, Performer, Task, Tx
from bot.errors import GiveUp, Retry
from bot.integrations.jira import Ticket, Tracker
from bot.integrations.pagerduty import Pager, PageRef, Trigger
from bot.integrations.slack import Declined, Edit, Post, Posted
from handlers.deploys import shown as deploys
from handlers.desk import Desk
from handlers.digest.follow import follow
from handlers.incidents import decide, findings, owing, private, remind, table, words
from handlers.incidents.phone import PREFIX
from handlers.incidents.rules import Severity, Status
from handlers.incidents.table import INCIDENTS
from handlers.noise import panel as noise
from handlers.posts import CLOCK_SLACK, chat_of, post_once
from handlers.rooms import effects as rooms
from handlers.rooms.place import place
from handlers.storms import shown as storm
from handlers.storms.table import SOURCE as STORM
from handlers.tickets.effects import taken_to
from handlers.tickets.rules import description, fields, settings, summary
from handlers.tickets.rules import level as guard

PAGERDUTY_SEVERITY: Mapping[Severity, Any] = {
    Severity.SEV1: "critical",
    Severity.SEV2: "error",
    Severity.SEV3: "error",  # it is paged only when a person asks for it, and then it must wake somebody
}
SEARCH_LAG = 8.0
"""Seconds after which Jira Cloud's search is trusted to know an issue that a lost answer may have created."""


def performers(desk: Desk) -> list[Performer]:
    """Every kind of effect this subject owes. Page, ack and resolve are idempotent at PagerDuty by their dedup key."""
    return [
        Performer("page", lambda task: page(desk, task)),
        Performer("page-ack", lambda task: page_ack(desk, task)),
        Performer("page-resolve", lambda task: page_resolve(desk, task)),
        Performer("root", lambda task: root(desk, task)),
        Performer("note", lambda task: note(desk, task)),
        Performer("asked", lambda task: asked(desk, task)),
        Performer("panel", lambda task: panel(desk, task)),
        Performer("ticket", lambda task: ticket(desk, task)),
        Performer("ticket-reopen", lambda task: ticket_reopen(desk, task)),
        Performer("ticket-done", lambda task: ticket_done(desk, task)),
        Performer(remind.KIND, lambda task: _remind(desk, task)),
    ]


def _remind(desk: Desk, task: Task) -> Outcome:
    return remind.remind(desk, task, functools.partial(decide.say, desk), functools.partial(decide.show, desk))


def page(desk: Desk, task: Task) -> Outcome:
    """Page the service's on-call. The dedup key is the incident's uid, so asking twice pages once."""
    row = _row(desk, task)
    if not table.is_open(row):
        # An earlier try may have reached PagerDuty; the resolve that follows this closes it either way.
        return Outcome(skipped="resolved before PagerDuty confirmed the page")
    with desk.store.read() as c:
        newest = table.newest(c, row.number, "page")
    if newest is not None and newest.key != task.key:
        return Outcome(skipped="a newer page follows")
    accepted = _pager(desk).trigger(
        Trigger(
            routing_key=_routing_key(desk, task, row),
            dedup_key=dedup_key(row),
            summary=f"[{row.severity}] {row.service}: {private.about(row) if row.private else row.title}",
            source="release-captain",
            severity=PAGERDUTY_SEVERITY[Severity(row.severity)],
            component=row.service,
            group=row.environment,
            links=[(url, text) for text, url in words.links(row)],
            details={"incident": f"INC-{row.number}", **({} if row.private else _told(row))},
        )
    )

    def apply(tx: Tx) -> None:
        t = INCIDENTS()
        first = (t.c.number == row.number) & t.c.paged_at.is_(None)
        again = "" if tx.c.execute(t.update().where(first).values(paged_at=tx.now)).rowcount else " again"
        said = f"PagerDuty took the page{again}"
        table.add_event(tx.c, incident=row.number, at=tx.now, kind="paged", actor="PagerDuty", text=said)
        if desk.policy.escalate_after and _pager(desk).reads:
            now = table.by_number(tx.c, row.number)
            if now.status == Status.TRIGGERED.value:
                owing.taken(tx, row)  # it waits for the newest page alone
                waits = desk.policy.escalate_after
                owing.escalation(tx, row, newest, {"itself": True, "by": "Release Captain"}, delay=waits)

    return Outcome({"dedup_key": accepted.dedup_key}, apply)


def _told(row: Any) -> Mapping[str, str]:
    """What the page says of an incident beside its title."""
    return {"opened_by": row.opened_by, **table.about(row)}


def page_ack(desk: Desk, task: Task) -> Outcome:
    """Acknowledge the page, so that PagerDuty stops escalating."""
    row = _row(desk, task)
    if not table.is_open(row):
        return Outcome(skipped="resolved meanwhile")
    if row.status == Status.TRIGGERED.value:
        return Outcome(skipped="somebody has to take it anew")
    _pager(desk).acknowledge(PageRef(_routing_key(desk, task, row), dedup_key(row)))
    return Outcome()


def page_resolve(desk: Desk, task: Task) -> Outcome:
    """Resolve the page. Also sent when the page's own outcome is unknown: for an unknown key it does nothing."""
    row = _row(desk, task)
    _pager(desk).resolve(PageRef(_routing_key(desk, task, row), dedup_key(row)))
    return Outcome()


def root(desk: Desk, task: Task) -> Outcome:
    """Post the incident's root message: the live panel its thread hangs from."""
    row = _row(desk, task)
    if row.private:
        return Outcome(skipped="it is private: it stands in its own channel alone")
    text, blocks = words.panel(row, *_truth(desk, row))
    posted = post_once(desk, task, Post(desk.services[row.service].channel, text, blocks, None, task.key))

    def apply(tx: Tx) -> None:
        t = INCIDENTS()
        where = {"channel": posted.channel, "thread_ts": posted.ts}
        tx.c.execute(t.update().where(t.c.number == row.number).values(**where))
        if row.digest_ts:
            follow(desk, tx, row.number)  # its line was posted without a link to this
        if task.key != f"{row.uid}:root":
            # What changed and what was said while the old one was gone had no message to be shown in.
            decide.show(desk, tx, row.number)
            for lost in table.given_up(table.effects_about(tx.c, row.number)):
                if lost.kind == "note":
                    desk.engine.repair(tx, lost.key)

    return Outcome({"channel": posted.channel, "ts": posted.ts}, apply)


def note(desk: Desk, task: Task) -> Outcome:
    """Post one message in the incident's own channel, or in its thread where it has none or can no longer use it."""
    row = _row(desk, task)
    spot = place(row, thread=bool(task.args.get("thread")))
    if spot is None and row.private:
        raise GiveUp("its private channel is not there, and it is said nowhere else; it comes when the channel is made")
    if spot is None:
        return Outcome(skipped="there is no thread to post into: the root message was never posted")
    earlier = _said_in_thread(desk, task, row) if spot[0] == row.room else None
    if earlier is not None:
        return Outcome({"channel": earlier.channel, "ts": earlier.ts})
    text = str(task.args["text"])
    blocks = task.args.get("blocks") or ()
    gone = ""
    try:
        posted = post_once(desk, task, Post(spot[0], text, blocks, spot[1], task.key))
    except Declined as no:
        if not no.lost or spot[0] != row.room or row.private or not row.thread_ts:
            raise
        gone = no.reason
        posted = post_once(desk, task, Post(row.channel, text, blocks, row.thread_ts, task.key))

    def apply(tx: Tx) -> None:
        if gone:
            rooms.lost(desk, tx, row, gone)

    return Outcome({"channel": posted.channel, "ts": posted.ts}, apply)


def _said_in_thread(desk: Desk, task: Task, row: Any) -> Posted | None:
    """What an earlier try may have put into the thread before there was a channel."""
    if not task.tried or row.private or not row.thread_ts:
        return None
    since = min(task.created_at, time.time()) - CLOCK_SLACK
    return chat_of(desk).find(row.channel, task.key, since=since, thread_ts=row.thread_ts)


def asked(desk: Desk, task: Task) -> Outcome:
    """Take the buttons from a question that has its answer."""
    with desk.store.read() as c:
        put = c.execute(sa.select(EFFECTS().c.result).where(EFFECTS().c.key == task.args["note"])).scalar()
    posted = json.loads(put or "{}")
    if "ts" not in posted:
        return Outcome(skipped="the question was never posted")
    text = str(task.args["text"])
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
    if not chat_of(desk).edit(Edit(posted["channel"], posted["ts"], text, blocks)):
        return Outcome(skipped="somebody deleted the question")
    return Outcome()


def panel(desk: Desk, task: Task) -> Outcome:
    """Edit the root message, and the panel in the incident's own channel, to what is true now. Whatever changes after this starts makes an edit of its own."""
    t = INCIDENTS()
    with desk.store.write() as c:
        c.execute(t.update().where(t.c.number == task.about).values(panel_owed=False))
    row = _row(desk, task)
    if not row.thread_ts and not row.room:
        return Outcome(skipped="there is no root message to edit")
    if task.key != f"{row.uid}:panel:{row.panel}":
        return Outcome(skipped="a newer edit is on its way")
    if row.source == STORM:
        with desk.engine.transaction(time.time()) as tx:
            storm.retitle(desk, tx, row.number)
        row = _row(desk, task)
    gone = rooms.edit(desk, row)
    if not row.thread_ts or row.private:
        return Outcome(apply=gone)
    text, blocks = words.panel(row, *_truth(desk, row))
    if not chat_of(desk).edit(Edit(row.channel, row.thread_ts, text, blocks)):
        raise GiveUp(words.ROOT_GONE)
    return Outcome(apply=gone)


def ticket(desk: Desk, task: Task) -> Outcome:
    """Find the incident's ticket by our label, or create it."""
    row = _row(desk, task)
    tracker, project, label = _tracker(desk), desk.services[row.service].jira, f"captain-{row.uid}"
    made_as, level = settings(desk).rules(project), guard(desk, row)
    told = not row.private or bool(level)
    title, priority = summary(row, open_=told), made_as.priorities.get(Severity(row.severity).value, "")
    found = tracker.find(project, label)
    if found is not None and found.key == task.args.get("gone") and tracker.get(found.key) is None:
        # Jira Cloud's search still knows the one that was deleted.
        found = None
    if found is None:
        since = time.time() - task.tried_at
        if task.tried and since < SEARCH_LAG:
            if since < 0:
                # The clock was set back: from now on it is waited for by the new one.
                task.acting()
                since = 0.0
            # An earlier try may have created it, and Jira Cloud's search does not know it yet.
            raise Retry("looking again before creating, since Jira's search is late", after=SEARCH_LAG - since)
        found = tracker.create(
            Ticket(
                by=task.acting(),
                project=project,
                key_label=label,
                summary=title,
                description=description(desk, row, open_=told),
                issue_type=made_as.issue_type or Ticket.issue_type,
                priority_id=priority,
                labels=["incident", row.severity, *made_as.labels],
                components=made_as.components,
                security=level,
                fields=fields(made_as, row, open_=told),
            )
        )

    def apply(tx: Tx) -> None:
        t = INCIDENTS()
        where = {"ticket_key": found.key, "ticket_url": found.url, "ticket_id": found.id}
        tx.c.execute(t.update().where(t.c.number == row.number).values(**where))

    return Outcome({"key": found.key, "summary": found.summary or title, "priority": priority}, apply)


def ticket_reopen(desk: Desk, task: Task) -> Outcome:
    """Move the incident's ticket back to the status for it, or to any of the category "in progress"."""
    row = _row(desk, task)
    if not table.is_open(row):
        return Outcome(skipped="resolved meanwhile")
    if not row.ticket_key:
        return Outcome(skipped="there is no ticket")
    return taken_to(desk, row, "reopened")


def ticket_done(desk: Desk, task: Task) -> Outcome:
    """Move the incident's ticket to the status for it, or to any of the category "done"; what people ended stays as it is."""
    row = _row(desk, task)
    if not row.ticket_key:
        return Outcome(skipped="there is no ticket")
    if table.is_open(row):
        return Outcome(skipped="reopened meanwhile")
    return taken_to(desk, row, "resolved")


def dedup_key(row: Any) -> str:
    """Our key for the incident's page at PagerDuty."""
    return f"{PREFIX}{row.uid}"


def _row(desk: Desk, task: Task) -> Any:
    with desk.store.read() as c:
        row = table.by_number(c, task.about or 0)
    if row is None:
        raise GiveUp(f"INC-{task.about} is not in the database")
    if row.service not in desk.services:
        raise GiveUp(f"the service '{row.service}' is no longer in captain.yml; put it back and repair")
    return row


def _truth(desk: Desk, row: Any) -> tuple[Any, Any, Any, Any]:
    """The incident's effects, what was asked about it and waits for an answer, who has which role, its storm and its silence."""
    number = row.number
    with desk.store.read() as c:
        effects, asked = table.effects_about(c, number), findings.questions(c, number)
        return (
            effects,
            asked,
            table.roles(c, number),
            [
                *storm.blocks(c, row),
                *deploys.blocks(c, row, now=time.time()),
                *noise.blocks(c, row),
            ],
        )


def _routing_key(desk: Desk, task: Task, row: Any) -> str:
    """The key of whom the page goes to, or went to: the incident may have moved to another service since."""
    name = str(task.args.get("service") or row.service)
    secret = desk.services[name].pagerduty if name in desk.services else None
    if secret is None:
        raise GiveUp(f"services.{name}.pagerduty is not set in captain.yml; set it and repair")
    return secret.get_secret_value()


def _pager(desk: Desk) -> Pager:
    if desk.outside.pager is None:
        raise GiveUp("the pagerduty: section is missing in captain.yml; add it and repair")
    return desk.outside.pager


def _tracker(desk: Desk) -> Tracker:
    if desk.outside.tracker is None:
        raise GiveUp("the jira: section is missing in captain.yml; add it and repair")
    return desk.outside.tracker
