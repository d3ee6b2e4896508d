"""The draft of a post-mortem: a Markdown file of what is known of an incident, with what is still to be answered."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import Effect, Outcome, Performer, State, Task, Tx
from bot.errors import GiveUp, in_time
from bot.integrations.slack.words import escape
from handlers.deploys import table as deploys
from handlers.deploys import words as deploy_words
from handlers.desk import Desk
from handlers.flags.table import FLAGS
from handlers.incidents import findings, stats, table
from handlers.incidents.words import duration
from handlers.posts import chat_of, upload_once
from handlers.rooms import effects as rooms
from handlers.rooms.place import place
from handlers.tickets.effects import HELD, held_back

UNLISTED = (
    "panel",
    "digest-edit",
    "postmortem",
    "postmortem-ticket",
    "ticket-heard",
    "ticket-thread",
    "ticket-page",
    "ticket-link",
)
"""Effects that are no news to whoever learns from an incident."""
BEFORE = 1800.0
"""Seconds before the opening in which a flag that was switched, or a deploy, may be the cause."""
MOST_EVENTS = 3000
"""Lines of the timeline in a draft, the oldest; more are counted."""
LONGEST_CELL = 600
"""Characters of one text in a table; alerts may carry thousands."""
MARKS = re.compile(r"([\\`*_{}\[\]<>#|~&])")
UNSEEN = re.compile("[\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069\u200e\u200f]+")
"""Line ends and what turns the direction of the text that follows: either would break the table it stands in."""


@dataclass(frozen=True)
class Facts:
    """All that a draft is made of: rows of the incident's tables, read at one instant."""

    row: Any
    events: Sequence[Any]
    more: int
    effects: Sequence[Any]
    flags: Sequence[Any]
    asked: Sequence[Any]
    roles: Sequence[Any]
    deploys: Sequence[Any] = ()


def facts(c: Connection, row: Any) -> Facts:
    """Read what is known of an incident."""
    t = table.TIMELINE()
    count = sa.select(sa.func.count()).select_from(t).where(t.c.incident == row.number)
    return Facts(
        row,
        table.timeline(c, row.number, limit=MOST_EVENTS),
        max(0, int(c.execute(count).scalar_one()) - MOST_EVENTS),
        table.effects_about(c, row.number),
        _flags(c, row.opened_at),
        findings.questions(c, row.number),
        table.roles(c, row.number),
        deploys.between(c, row.opened_at - BEFORE, row.opened_at),
    )


def _flags(c: Connection, opened_at: float) -> Sequence[Any]:
    """The flags that were switched on or off shortly before, oldest first."""
    f = FLAGS()
    switched = f.c.on_at.between(opened_at - BEFORE, opened_at) | f.c.off_at.between(opened_at - BEFORE, opened_at)
    return c.execute(sa.select(f).where(switched).order_by(f.c.asked_at)).all()


def cell(text: object) -> str:
    """Text that means nothing in Markdown, on one line."""
    one = " ".join(UNSEEN.sub(" ", str(text)).split())
    cut = one if len(one) <= LONGEST_CELL else one[: LONGEST_CELL - 1] + "…"
    return MARKS.sub(r"\\\1", cut)


def escaped(text: object) -> str:
    """The same, however long it is."""
    return MARKS.sub(r"\\\1", " ".join(UNSEEN.sub(" ", str(text)).split()))


def draft(found: Facts) -> str:
    """The draft as Markdown."""
    row = found.row
    test = "Test: " if row.test else ""
    said = table.about(row)
    summary = [said[name] for name in ("summary", "description") if said.get(name) and said[name] != row.title]
    parts = [
        [f"# {test}Post-mortem draft: INC-{row.number} {cell(row.title)}", ""],
        _rows("what", "is", [(name, cell(value)) for name, value in _head(found)]),
        ["", "## Summary", "", *([cell(one) for one in summary] or ["What happened, whom it hurt and what ended it:"])],
        ["", "## People", "", *[f"- {cell(name)}: {what}" for name, what in people(found)]],
        ["", "## Timeline (UTC)", "", *_timeline(found)],
        ["", "## What was done outside", "", *_outside(found)],
        ["", "## Checks", "", cell(row.checks) if row.checks else "None has run."],
        ["", "## Flags switched in the 30 minutes before", "", *_switched(found)],
        ["", "## Deploys in the 30 minutes before", "", *_deployed(found)],
        ["", "## Open questions", "", *[f"- {cell(one)}" for one in questions(found)]],
    ]
    return "\n".join(line for part in parts for line in part) + "\n"


def _rows(first: str, *rest: Any) -> list[str]:
    """A table; the last of ``rest`` is its rows, of cells that are escaped."""
    *names, rows = rest
    head = [first, *names]
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(cells)} |" for cells in rows),
    ]


def _head(found: Facts) -> list[tuple[str, str]]:
    row = found.row
    life = stats.life(row, sorted(found.events, key=lambda event: int(event.id)))
    to_ack = "not measured: nobody acknowledged" if life.acked_at is None else "not measured: they were before the page"
    if life.paged_at is None:
        to_ack = "not measured: PagerDuty took no page"
    if life.to_ack is not None:
        to_ack = duration(life.to_ack)
    ends = [event for event in found.events if event.kind == "reopened"]
    return [
        ("Severity", row.severity),
        ("Service", f"{row.service} ({row.environment})"),
        ("Status", row.status),
        ("Opened", f"{_instant(row.opened_at)} UTC by {row.opened_by}"),
        ("Resolved", f"{_instant(row.resolved_at)} UTC by {row.resolved_by}" if row.resolved_at else "not yet"),
        ("Reopened", f"{len(ends)} times" if len(ends) != 1 else "once"),
        ("Time to acknowledge, from the page to the first person", to_ack),
        ("Time to resolve, from the opening", duration(life.to_resolve) if life.to_resolve is not None else "open"),
        ("Ticket", f"{row.ticket_key} {row.ticket_url}".strip() or "none"),
    ]


def people(found: Facts) -> list[tuple[str, str]]:
    """(name, what they did) of everybody who had a part, in the order in which they came."""
    parts: dict[str, list[str]] = {}
    for event in found.events:
        if event.actor not in (*stats.MACHINES, "PagerDuty"):
            done = parts.setdefault(event.actor, [])
            if event.kind not in done:
                done.append(event.kind)
    for one in found.roles:
        parts.setdefault(one.name or one.person, []).append(f"role {cell(one.role)}")
    return [(name, ", ".join(done)) for name, done in parts.items()] or [("nobody", "no person has acted")]


def _timeline(found: Facts) -> list[str]:
    lines = [(_instant(event.at), cell(event.kind), cell(event.actor), cell(event.text)) for event in found.events]
    more = (
        ["", f"And {found.more} later lines: `captain incident export INC-{found.row.number}` has all."]
        if found.more
        else []
    )
    return _rows("time", "what", "who", "said", lines) + more


def _outside(found: Facts) -> list[str]:
    """What was paged, posted and ticketed, and how long it took. Edits of the panel are counted, not listed."""
    kept = [one for one in found.effects if one.kind not in UNLISTED]
    edits = sum(one.kind == "panel" and one.state == State.DONE.value for one in found.effects)
    rows = [(_instant(one.created_at), cell(one.kind), cell(_outcome(one)), cell(one.reason or "")) for one in kept]
    made = _rows("owed at", "what", "became of it", "said", rows) if rows else ["Nothing."]
    return [*made, "", f"The root message was edited {edits} times."] if edits else made


def _outcome(one: Any) -> str:
    state = str(one.state).replace("_", " ")
    if one.state == State.DONE.value and one.done_at is not None:
        tries = f", tried {one.attempt} times" if one.attempt > 1 else ""
        return f"done after {max(0.0, one.done_at - one.created_at):.1f} s{tries}"
    return state


def _switched(found: Facts) -> list[str]:
    opened = found.row.opened_at
    lines = []
    for flag in found.flags:
        for at, what in ((flag.on_at, f"on, by {flag.asked_by}"), (flag.off_at, f"off, by {flag.off_by or 'me'}")):
            if at is not None and opened - BEFORE <= at <= opened:
                lines.append((_instant(at), cell(flag.name), cell(flag.service), cell(what), cell(flag.reason)))
    return _rows("time", "flag", "service", "switched", "because", sorted(lines)) if lines else ["None."]


def _deployed(found: Facts) -> list[str]:
    rows = [
        (
            _instant(one.at),
            cell(f"D-{one.id}"),
            cell(one.service),
            cell(one.environment),
            cell(deploy_words.versions(one)),
            cell(one.status),
            cell(one.by_name or "unknown"),
            cell(deploy_words.verdict(one) or "none"),
        )
        for one in found.deploys
    ]
    names = ("deploy", "service", "environment", "version", "became", "by", "checks")
    return _rows("time", *names, rows) if rows else ["None."]


def questions(found: Facts) -> list[str]:
    """What the facts leave open, each as a sentence."""
    row = found.row
    kinds = {event.kind for event in found.events}
    asked = [findings.plain(one.text) for one in found.asked]
    asked += [
        f"{one.kind} could not be done ({one.reason}): who has to know?"
        for one in table.given_up(found.effects, open_=table.is_open(row))
    ]
    if "paged" in kinds and "acknowledged" not in kinds:
        asked.append("Nobody acknowledged the page: did it reach anybody?")
    if "reopened" in kinds:
        asked.append("It was reopened: why did the first end not hold?")
    if not row.checks:
        asked.append("No checks ran: which look would have shown it?")
    if row.source == "person":
        asked.append("A person noticed it before an alert did: which alert was missing?")
    return [*asked, "What was the cause, and what keeps it from coming back?"]


def _instant(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


# ---- sending it --------------------------------------------------------------------------------------------------------


def performers(desk: Desk) -> list[Performer]:
    """What this file owes to the outside."""
    return [
        Performer("postmortem", lambda task: _send(desk, task)),
        Performer("postmortem-ticket", lambda task: _comment(desk, task)),
    ]


def _row(desk: Desk, task: Task) -> Any:
    with desk.store.read() as c:
        row = table.by_number(c, task.about or 0)
    if row is None:
        raise GiveUp(f"INC-{task.about} is not in the database")
    return row


def _send(desk: Desk, task: Task) -> Outcome:
    row = _row(desk, task)
    if table.is_open(row) and not task.args.get("asked"):
        return Outcome(skipped="reopened meanwhile")
    spot = place(row)
    if spot is None:
        return Outcome(skipped="there is no thread to send it to: the root message was never posted")
    with desk.store.read() as c:
        text = draft(facts(c, row))
    title = f"Post-mortem draft of INC-{row.number}, version {task.args['version']}"
    name = f"postmortem-INC-{row.number}-v{task.args['version']}"
    upload_once(
        desk, task, spot[0], name=name, suffix="md", content=text.encode(), title=title, text=escape(f"{title}."),
        thread_ts=spot[1],
    )  # fmt: skip
    head = spot[1] or rooms.panel_ts(desk, row)
    link = chat_of(desk).permalink(spot[0], head) if head else ""
    where = "thread" if spot[1] else "channel"

    def apply(tx: Tx) -> None:
        made = table.newest(tx.c, row.number, "ticket")
        if made is not None and desk.outside.tracker is not None:
            # The key of the draft marks its comment, so that one whose answer was lost is found.
            args = {"text": f"{title} is in the incident's {where}: {link}", "mark": f"{title} is in"}
            key = f"{task.key}:ticket"
            tx.owe(Effect(key, "postmortem-ticket", "jira", row.number, args, urgency=7, after=made.key))

    return Outcome({"version": task.args["version"]}, apply)


def _comment(desk: Desk, task: Task) -> Outcome:
    row, tracker = _row(desk, task), desk.outside.tracker
    if tracker is None:
        raise GiveUp("the jira: section is missing in captain.yml; add it and repair")
    if not row.ticket_key:
        return Outcome(skipped="there is no ticket")
    if held_back(desk, row):
        return Outcome(skipped=HELD)
    if task.tried and tracker.commented(row.ticket_key, str(task.args["mark"])):
        return Outcome()
    in_time(task.acting())
    tracker.comment(row.ticket_key, str(task.args["text"]))
    return Outcome()
