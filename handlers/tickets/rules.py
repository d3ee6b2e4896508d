"""How an incident and its ticket correspond, by what captain.yml says: pure, given the row and the settings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from bot.integrations.jira import Goal, JiraSettings, Step, TicketRef, TicketRules, filled
from handlers.desk import Desk
from handlers.incidents import words
from handlers.incidents.rules import Severity

CATEGORY: Mapping[Step, str] = {
    "acknowledged": "indeterminate",
    "mitigated": "indeterminate",
    "resolved": "done",
    "reopened": "indeterminate",
}
"""Where a ticket is moved when captain.yml names no status for it."""
PRIVATE = "Private incident"
"""All that the ticket of a private incident says of it, unless it has a security level."""


def settings(desk: Desk) -> JiraSettings:
    """The ``jira:`` section; an empty one where there is none, as it holds for whatever is owed all the same."""
    return desk.tickets or JiraSettings(url="")


def project(desk: Desk, row: Any) -> str:
    """The project its ticket is in, wherever people have moved it; else the one it is to be made in."""
    if row.ticket_key:
        return str(row.ticket_key).rsplit("-", 1)[0]
    return desk.services[row.service].jira


def rules(desk: Desk, row: Any) -> TicketRules:
    """What holds for an incident's ticket."""
    return settings(desk).rules(project(desk, row))


def goal(found: TicketRules, step: Step) -> Goal:
    """Where the ticket goes when the incident gets there. On the way only statuses are passed that captain.yml names."""
    named = [ident for other, idents in found.statuses.items() if other != "resolved" for ident in idents]
    idents, wakes = found.statuses.get(step, ()), step == "reopened"
    return Goal(CATEGORY[step], idents, (*found.through, *named), found.resolution, wakes)


def stands_for(found: TicketRules, status: str) -> frozenset[Step]:
    """What a status id means for the incident; nothing when captain.yml does not name it."""
    return frozenset(step for step, idents in found.statuses.items() if status in idents)


def severity_of(found: TicketRules, priority: str, now: Severity) -> Severity | None:
    """The severity a priority id stands for: the one it has where that fits, else the worst; None when it stands for none."""
    fitting = sorted((Severity(name) for name, ident in found.priorities.items() if ident == priority), key=_rank)
    if now in fitting:
        return now
    return fitting[0] if fitting else None


def _rank(one: Severity) -> int:
    return one.rank


# ---- what a ticket may say ------------------------------------------------------------------------------------------


def level(desk: Desk, row: Any) -> str:
    """The security level its ticket is made with; empty for none."""
    if row.private:
        return settings(desk).private_security_level
    return rules(desk, row).security_level


def guarded(desk: Desk, row: Any, ref: TicketRef) -> bool:
    """True when the ticket may say what the incident is about: it is not private, or Jira shows it to few as configured.

    It is the ticket that is looked at, not what was asked for: somebody may have taken the level away.
    """
    if not row.private:
        return True
    wanted = settings(desk).private_security_level.lower()
    return bool(wanted) and wanted in [one.lower() for one in ref.security]


def summary(row: Any, *, open_: bool) -> str:
    """The ticket's summary, at most 255 characters. ``open_``: it may say what the incident is about."""
    if not open_:
        return f"{PRIVATE} INC-{row.number}"
    return " ".join(f"[{row.severity}] {row.service}: {row.title}".split())[:255].rstrip()


def description(desk: Desk, row: Any, *, open_: bool) -> str:
    """The ticket's description, plain text."""
    if not open_:
        return f"{PRIVATE} INC-{row.number}. Who is in it finds what it is about in its channel in Slack."
    return words.ticket_text(desk, row)


def fields(found: TicketRules, row: Any, *, open_: bool) -> Mapping[str, Any]:
    """``jira.fields`` with what the incident is filled in."""
    facts = {
        "number": f"INC-{row.number}",
        "title": row.title if open_ else PRIVATE,
        "severity": row.severity,
        "service": row.service,
        "environment": row.environment,
        "opened_by": row.opened_by if open_ else "somebody",
    }
    return {name: filled(given, facts) for name, given in found.fields.items()}


def stamped(row: Any, text: str, at: float) -> str:
    """A comment as it is written: with the incident and the time, by which this very one is known again."""
    return f"{text} (INC-{row.number}, {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(at))})"
