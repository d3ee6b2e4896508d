"""PagerDuty by its REST API: the next level, one more responder, notes. What is not idempotent there is looked for first."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import sqlalchemy as sa

from bot.effects import EFFECTS, UNSETTLED, Effect, Outcome, Performer, State, Task, Tx
from bot.errors import GiveUp, Refused, Retry, in_time
from bot.grammar import Asker
from bot.integrations.pagerduty import Page, Pager, User
from bot.integrations.slack.words import escape
from handlers.desk import Desk
from handlers.incidents import decide, owing, phone, private, remind, table
from handlers.incidents.phone import PREFIX
from handlers.incidents.rules import Severity, Status
from handlers.incidents.table import ANEW, INCIDENTS
from handlers.rooms import owing as rooms
from handlers.storms import words as storm_words

SLACK_PERSON = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")
SLACK_ADDRESS = re.compile(r"<mailto:([^|>]+)(?:\|[^>]*)?>")
WANTS_REST = (
    "PagerDuty takes that by its REST API alone: set pagerduty.api_token in captain.yml to a full-access token."
)
LATE = 60.0
"""Seconds after which an incident is no longer merely late in PagerDuty's REST API, which follows its events."""
NOT_THERE = "PagerDuty shows no incident for the page: a rule there may have suppressed it, or the token may not see it"


# ---- what people ask for --------------------------------------------------------------------------------------------


def escalate(desk: Desk, asker: Asker, number: int, *, level: int, now: float) -> str:
    """Owe the escalation; the sentence that says what follows. ``level``: 0 for the next. Raises Refused."""
    if level < 0:
        raise Refused("--level must be 1 or more; without it I take the next one.")
    with desk.engine.transaction(now) as tx:
        row, page = _paged(desk, tx, number)
        last = table.newest_of(tx.c, number, "escalate", "escalate-to")
        if last is not None and last.state in UNSETTLED and not _waits(last, now):
            tx.hasten(last.key)
            return "An escalation is on its way already; the thread says to whom as soon as PagerDuty has taken it."
        owing.taken(tx, row)  # what waited to do this by itself
        owing.escalation(tx, row, page, {"level": level, **owing.sender(asker)})
        decide.record(tx, asker, "incident escalate", number, {"level": level})
    to = f"level {level}" if level else "the next level"
    return f"I escalate it to {to}; the thread says to whom as soon as PagerDuty has taken it."


def add_responder(desk: Desk, asker: Asker, number: int, person: str, *, now: float) -> str:
    """Owe the request; the sentence that says what follows. Raises Refused."""
    slack = SLACK_PERSON.fullmatch(person)
    address = SLACK_ADDRESS.fullmatch(person)
    who = address.group(1) if address else person.strip().lstrip("@")
    if slack:
        who = _address(desk, slack.group(1))
    if not who and not slack:
        raise Refused("Say whom: a name or an e-mail address, as PagerDuty knows it.")
    with desk.engine.transaction(now) as tx:
        row, page = _paged(desk, tx, number)
        args = {"who": who, "person": slack.group(1) if slack else "", **owing.sender(asker)}
        key, rank = table.another_key(tx.c, row, "responder"), Severity(row.severity).rank
        tx.owe(Effect(key, "responder", "pagerduty", number, args, urgency=rank, after=page.key))
        rooms.invite(tx, row, [slack.group(1)] if slack else (), [who] if "@" in who and not slack else ())
        decide.record(tx, asker, "incident add-responder", number, {"who": person[:200]})
    return f"I ask {escape(who) or person} to join; the thread says when PagerDuty has taken it."


def _address(desk: Desk, person: str) -> str:
    """The e-mail address of somebody in Slack; empty when Slack does not say now: then it is asked again later."""
    if desk.outside.chat is None:
        raise Refused("The slack: section is missing in captain.yml, so I know no addresses; say the e-mail address.")
    try:
        email = desk.outside.chat.person(person).email
    except Retry:
        return ""
    except GiveUp as e:
        raise Refused(f"Slack does not say who that is ({e.reason.rstrip('.')}); say the e-mail address.") from e
    if not email:
        raise Refused(
            f"Slack shows no e-mail address of <@{person}> (or the scope users:read.email is missing); "
            "say the address they have in PagerDuty."
        )
    return email


def _paged(desk: Desk, tx: Tx, number: int) -> tuple[Any, Any]:
    """The incident's row and its newest page. Raises Refused when nothing can be asked of PagerDuty about it."""
    row = table.locked(tx.c, number)
    if not table.is_open(row):
        raise Refused(f"INC-{number} is {row.status}, so nobody is called for it.")
    if row.umbrella is not None:
        raise Refused(storm_words.not_of_its_own(row))
    if desk.outside.pager is None:
        raise Refused("The pagerduty: section is missing in captain.yml, so nobody can be called.")
    if not desk.outside.pager.reads:
        raise Refused(WANTS_REST)
    page = table.newest(tx.c, number, "page")
    if page is None:
        raise Refused(f"INC-{number} has paged nobody. `incident page INC-{number}` pages the on-call.")
    return row, page


def _waits(effect: Any, now: float) -> bool:
    """True for one that is for later: it waits whether somebody acknowledges."""
    return bool(effect.attempt == 0 and effect.due_at > now + 1)


# ---- what is done ---------------------------------------------------------------------------------------------------


def performers(desk: Desk) -> list[Performer]:
    """Every kind of effect this owes."""
    return [
        Performer("escalate", lambda task: choose(desk, task)),
        Performer("escalate-to", lambda task: escalate_to(desk, task)),
        Performer("responder", lambda task: responder(desk, task)),
        Performer("page-note", lambda task: page_note(desk, task)),
        Performer(phone.WHICH, lambda task: which(desk, task)),
    ]


def choose(desk: Desk, task: Task) -> Outcome:
    """Look which level is next, and owe that very level: asked again after a crash, it is the same one."""
    row, pager = _row(desk, task), _pager(desk)
    over = _over(row, task)
    if over:
        return Outcome(skipped=over)
    page = _page(pager, task, row)
    if page.status == "resolved":
        return Outcome(skipped="the page is resolved in PagerDuty")
    count, turns = pager.levels(page.policy_id), pager.on_calls([page.policy_id])
    present = [turn.level for turn in turns if turn.user_id in page.assignee_ids]
    at = max(present, default=0)  # who was named by hand may be at none: then it begins with the first
    level = int(task.args.get("level") or at + 1)
    people = [turn for turn in turns if turn.level == level]
    names = ", ".join(dict.fromkeys(turn.name for turn in people)) or "nobody"

    def apply(tx: Tx) -> None:
        if level > count or not people:
            why = f"the policy has {count} levels" if level > count else f"nobody is on call at level {level}"
            _tell(desk, tx, task, row, f"Not escalated: {why}. `incident add-responder` calls somebody by name.")
            return
        args = {**task.args, "level": level, "users": sorted({one.user_id for one in people}), "names": names}
        key = task.key.replace(":escalate", ":escalate-to", 1)
        tx.owe(Effect(key, "escalate-to", "pagerduty", row.number, args, urgency=Severity(row.severity).rank))

    return Outcome({"level": level, "of": count}, apply)


def escalate_to(desk: Desk, task: Task) -> Outcome:
    """Give the page to a level. To the level it has, PagerDuty would call everybody again: so it is looked for first."""
    row, pager = _row(desk, task), _pager(desk)
    over = _over(row, task)
    if over and not task.tried:
        return Outcome(skipped=over)
    page, level = _page(pager, task, row), int(task.args["level"])
    began = task.tried_at if task.tried else time.time()
    if page.status == "resolved":
        return Outcome(skipped="the page is resolved in PagerDuty")
    if not (task.tried and set(page.assignee_ids) == set(task.args["users"])):
        sender = _sender(desk, pager, task)
        in_time(task.acting())
        pager.escalate(page.id, level, sender=sender.email)

    def apply(tx: Tx) -> None:
        now = table.locked(tx.c, row.number)
        if now.status == Status.ACKNOWLEDGED.value and (now.acked_at or 0.0) < began:
            # PagerDuty takes the acknowledgement back, too: who is called now has to take it.
            tx.c.execute(INCIDENTS().update().where(INCIDENTS().c.number == row.number).values(**ANEW))
            remind.arm(desk, tx, row, Status.TRIGGERED)
        why = ": nobody had acknowledged it" if task.args.get("itself") else ""
        said = f"Escalated to level {level} by {task.args['by']}{why}. Called: {task.args['names']}."
        table.add_event(tx.c, incident=row.number, at=tx.now, kind="escalated", actor=task.args["by"], text=said)
        _tell(desk, tx, task, row, said)
        decide.show(desk, tx, row.number)
        last = table.newest(tx.c, row.number, "page")
        if task.args.get("itself") and last is not None:
            itself = {"itself": True, "by": task.args["by"]}
            owing.escalation(tx, row, last, itself, delay=desk.policy.escalate_after)

    return Outcome({"level": level}, apply)


def responder(desk: Desk, task: Task) -> Outcome:
    """Ask somebody to join, unless they are asked already: twice would call them twice."""
    row, pager = _row(desk, task), _pager(desk)
    if not table.is_open(row):
        return Outcome(skipped="resolved meanwhile")
    who = str(task.args["who"]) or _slack_email(desk, str(task.args["person"]))
    page, found = _page(pager, task, row), pager.users(who) if who else ()
    if page.status == "resolved":
        return Outcome(skipped="the page is resolved in PagerDuty")
    if len(found) != 1:
        several = ", ".join(one.email for one in found[:5])
        why = f"several people there fit '{who}': {several}" if found else f"PagerDuty has no user '{who}'"
        said = f"Nobody was asked to join: {why}. Name one by the e-mail address they have in PagerDuty."
        return Outcome(apply=lambda tx: _tell(desk, tx, task, row, said), skipped=why)
    (user,) = found
    said = f"{user.name} was asked to join by {task.args['by']}; PagerDuty calls them."
    if user.id in (*page.responder_ids, *page.assignee_ids):
        if not task.tried:
            said = f"{user.name} is called for this already."
    else:
        sender = _sender(desk, pager, task)
        in_time(task.acting())
        title = private.about(row) if row.private else f"INC-{row.number} {row.service}: {row.title}"
        pager.request_responder(page.id, user, f"{task.args['by']} asks you to join {title}"[:1000], sender=sender)

    def apply(tx: Tx) -> None:
        table.add_event(tx.c, incident=row.number, at=tx.now, kind="responder", actor=task.args["by"], text=said)
        _tell(desk, tx, task, row, said)

    return Outcome({"user": user.id}, apply)


def page_note(desk: Desk, task: Task) -> Outcome:
    """Write a note on the page. After a try whose end is unknown the notes are counted: one more than we know of is it."""
    row, pager = _row(desk, task), _pager(desk)
    page, text = pager.find(f"{PREFIX}{row.uid}"), str(task.args["text"])
    if page is None:
        return Outcome(skipped=NOT_THERE)
    if not (task.tried and list(pager.notes(page.id)).count(text) > _noted(desk, task, text)):
        sender = _sender(desk, pager, task)
        in_time(task.acting())
        pager.note(page.id, text, sender=sender.email)
    return Outcome()


def which(desk: Desk, task: Task) -> Outcome:
    """Ask which of our incidents something is about that PagerDuty told with its own id alone, and hear it then."""
    event = task.args["event"]
    page = _pager(desk).incident(str(event["pd"]))
    if page is None:
        return Outcome(skipped="PagerDuty no longer knows the incident")
    return Outcome({"verdict": phone.hear(desk, {**event, "dedup_key": page.dedup_key, "again": True})})


def _noted(desk: Desk, task: Task, text: str) -> int:
    """How many notes of this very text we have written on this page."""
    t = EFFECTS()
    mine = (t.c.about == task.about) & (t.c.kind == "page-note") & (t.c.state == State.DONE.value)
    with desk.store.read() as c:
        return [json.loads(args)["text"] for args in c.execute(sa.select(t.c.args).where(mine)).scalars()].count(text)


def _tell(desk: Desk, tx: Tx, task: Task, row: Any, said: str) -> None:
    """Say it in the thread, once for each effect."""
    decide.say(desk, tx, row, task.key.removeprefix(f"{row.uid}:"), escape(said))


def _over(row: Any, task: Task) -> str:
    """Why an escalation is no longer wanted; empty while it is."""
    if not table.is_open(row):
        return "resolved meanwhile"
    if task.args.get("itself") and row.status != Status.TRIGGERED.value:
        return "somebody has taken it"
    return ""


def _sender(desk: Desk, pager: Pager, task: Task) -> User:
    """In whose name PagerDuty is asked: theirs who asked, as far as we know their address; else the configured one's."""
    email = str(task.args.get("email") or "")
    return pager.sender(email or _slack_email(desk, str(task.args.get("slack") or "")))


def _slack_email(desk: Desk, person: str) -> str:
    """Their address; empty when Slack does not say: a page does not wait for Slack."""
    if not person or desk.outside.chat is None:
        return ""
    try:
        return desk.outside.chat.person(person).email
    except (Retry, GiveUp):
        return ""


def _page(pager: Pager, task: Task, row: Any) -> Page:
    page = pager.find(f"{PREFIX}{row.uid}")
    if page is None and 0 <= time.time() - task.created_at < LATE:
        raise Retry("PagerDuty has taken the page and does not show it yet", after=2.0)
    if page is None:
        raise GiveUp(f"{NOT_THERE}. Call the on-call yourself, or page again")
    return page


def _row(desk: Desk, task: Task) -> Any:
    with desk.store.read() as c:
        return table.by_number(c, task.about or 0)


def _pager(desk: Desk) -> Pager:
    if desk.outside.pager is None or not desk.outside.pager.reads:
        raise GiveUp(f"{WANTS_REST.rstrip('.')}, and repair")
    return desk.outside.pager
