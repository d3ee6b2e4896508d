"""What an incident owes to PagerDuty and Jira as it moves, in the order in which it must arrive there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from bot.effects import EFFECTS, UNSETTLED, Effect, State, Tx
from bot.grammar import Asker
from bot.integrations.slack.words import clip
from handlers.buckets import events, posts
from handlers.desk import Desk
from handlers.incidents import table
from handlers.incidents.rules import Severity
from handlers.runs import owing as runs
from handlers.runs.kinds import of_incident
from handlers.storms import table as storms
from handlers.tickets.owed import MOVES

NOTE = 20_000
"""Characters of a note; PagerDuty takes 25,000."""


def page(tx: Tx, row: Any, severity: Severity, *, since: float) -> None:
    """Page the on-call, anew if there was a page before.

    ``since``: UNIX s from which the time to the page counts: when the alert that pages arrived, or a person asked.
    """
    key, args = table.another_key(tx.c, row, "page"), {"since": since, "service": row.service}
    # The end of the page before is sent first: arriving later, it would end this one, and nobody would be called.
    kinds = ("page", "page-resolve")
    before = [effect for effect in table.effects_about(tx.c, row.number) if effect.kind in kinds]
    before = [effect for effect in before if table.paged_service(effect, row) == row.service]
    for effect in before:
        if effect.state in UNSETTLED:
            tx.hasten(effect.key)
    after, bucket = before[-1].key if before else None, events(row.service)
    tx.owe(Effect(key, "page", "pagerduty", row.number, args, urgency=severity.rank, after=after, bucket=bucket))


def page_follow_up(tx: Tx, row: Any, kind: str) -> None:
    """Acknowledge or resolve the newest page of each service that was paged: one moved since has several to be ended."""
    pages = [effect for effect in table.effects_about(tx.c, row.number) if effect.kind == "page"]
    for service, last in {table.paged_service(one, row): one for one in pages}.items():
        key, args = table.another_key(tx.c, row, kind), {"service": service}
        tx.owe(Effect(key, kind, "pagerduty", row.number, args, urgency=2, after=last.key, bucket=last.bucket))


def escalation(tx: Tx, row: Any, page: Any, args: Mapping[str, Any], *, delay: float = 0.0) -> None:
    """Give the page to the next level; ``delay``: seconds it waits to be acknowledged first."""
    key, rank = table.another_key(tx.c, row, "escalate"), Severity(row.severity).rank
    tx.owe(Effect(key, "escalate", "pagerduty", row.number, args, urgency=rank, after=page.key, delay=delay))


def taken(tx: Tx, row: Any) -> None:
    """Somebody has it, or it is over: what waited for that to escalate it waits no longer."""
    t = EFFECTS()
    pending = (t.c.about == row.number) & (t.c.kind == "escalate")
    pending &= t.c.state.in_((State.WAITING.value, *UNSETTLED))
    for one in tx.c.execute(sa.select(t.c.key, t.c.args).where(pending)).all():
        if json.loads(one.args).get("itself"):
            tx.cancel(one.key, "somebody has taken it")


def page_note(desk: Desk, tx: Tx, row: Any, asker: Asker, text: str) -> bool:
    """Write what somebody says in Slack on the page, too; False without a page or a token, and of what is private."""
    page, pager = table.newest(tx.c, row.number, "page"), desk.outside.pager
    if page is None or pager is None or not pager.reads or row.private:
        return False
    key, args = (
        table.another_key(tx.c, row, "page-note"),
        {"text": clip(f"{asker.name}: {text}", NOTE), **sender(asker)},
    )
    return tx.owe(Effect(key, "page-note", "pagerduty", row.number, args, urgency=5, after=page.key))


def sender(asker: Asker) -> Mapping[str, str]:
    """What an effect has to know of who asks, to be done in their name."""
    return {"by": asker.name, "slack": asker.id if asker.door == "slack" else "", "email": asker.email}


def ticket_follow_up(tx: Tx, row: Any, kind: str) -> None:
    """Move the ticket, where there is one to be. Not beside a move the other way: the last to arrive would win."""
    made = table.newest(tx.c, row.number, "ticket")
    last = table.newest_of(tx.c, row.number, *MOVES)
    if made is not None:
        key = table.another_key(tx.c, row, kind)
        tx.owe(Effect(key, kind, "jira", row.number, urgency=4, after=last.key, bucket=made.bucket))


def checks(desk: Desk, tx: Tx, row: Any, *, by: str = "", asker: str = "") -> bool:
    """Owe the checks of the service's runbook once more; False where it has none.

    ``by``, ``asker``: the name and the Slack id of the person who asks for them, or nobody.
    """
    if not desk.services[row.service].runbook:
        return False
    key, urgency = table.another_key(tx.c, row, runs.CHECKS), Severity(row.severity).rank + 1
    return runs.owe(desk, tx, key, of_incident(desk.services, row, by=by, asker=asker), urgency=urgency)


MEMBERS = "members"
"""The kind of effect that resolves what is folded into a storm that somebody has resolved."""


def members(tx: Tx, row: Any, *, by: str) -> None:
    """Owe the end of whatever is folded into a storm that ends; of other incidents nothing."""
    if row.source == storms.SOURCE and storms.any_open(tx.c, row.number):
        key = table.another_key(tx.c, row, MEMBERS)
        tx.owe(Effect(key, MEMBERS, "reminders", row.number, {"by": by}, urgency=3))


DRAFT_PAUSE = 5.0
"""Seconds after the end in which what ends with it, the page and the ticket, still gets into the draft."""


def postmortem(desk: Desk, tx: Tx, row: Any, *, asked: str = "") -> bool:
    """Owe the draft of a post-mortem in the incident's thread, a new version of it each time; False when none is wanted.

    ``asked``: the key of a person's request for it, whatever the severity, and now.
    """
    wanted = bool(asked) or (Severity(row.severity) in desk.policy.postmortem and row.umbrella is None)
    if desk.outside.chat is None or not wanted:
        return False
    version = sum(one.kind == "postmortem" for one in table.effects_about(tx.c, row.number)) + 1
    key = f"{row.uid}:postmortem:by:{asked}" if asked else table.another_key(tx.c, row, "postmortem")
    bucket = posts(desk, row.service)
    args, pause, after = {"version": version, "asked": bool(asked)}, 0.0 if asked else DRAFT_PAUSE, f"{row.uid}:root"
    return tx.owe(
        Effect(key, "postmortem", "slack", row.number, args, urgency=7, after=after, delay=pause, bucket=bucket)
    )
