"""Decides of an incident that alerts open whether it is folded into a storm, and whose page calls its on-call.

Folding must leave nobody asleep: in a storm the on-call of each service with something that pages is called once, by the
umbrella's page or by that of the first such incident, which opens as always. That page is held until all that depends on
it is over; when it ended before, or a person ended it, the next one of the service pages again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.effects import Tx
from bot.integrations.slack.words import escape
from handlers.alerts.payload import Alert
from handlers.desk import Desk
from handlers.incidents import decide, owing, remind, rules, verdicts
from handlers.incidents import table as incidents
from handlers.incidents.rules import Deed, Severity, Status
from handlers.incidents.table import INCIDENTS
from handlers.rooms import owing as rooms
from handlers.slo import owed as burns
from handlers.storms import table, words
from handlers.tickets import owed as tickets


@dataclass(frozen=True)
class Opening:
    """An incident that is about to be opened or reopened by an alert. ``at``: UNIX s at which the alert was received."""

    uid: str
    service: str
    environment: str
    severity: Severity
    at: float


@dataclass(frozen=True)
class Place:
    """Where it goes. ``umbrella``: the storm that goes on, or None. ``caller``: whose page calls its on-call, if any."""

    umbrella: int | None = None
    folded: bool = False
    caller: int | None = None

    @property
    def values(self) -> Mapping[str, Any]:
        """What that writes into the incident's row."""
        return {"umbrella": self.umbrella} if self.folded else {}


def place(desk: Desk, tx: Tx, new: Opening) -> Place:
    """Where an incident goes; a storm begins when it is one too many. What it says is in force once it is opened."""
    storm = _storm(desk, tx, new)
    if storm is None:
        return Place()
    if not new.severity.pages:
        return Place(storm.number, folded=True)
    caller = _call(desk, tx, storm, new.service, new.environment, new.severity, since=new.at)
    return Place(storm.number, folded=caller is not None, caller=caller)


def opened(desk: Desk, tx: Tx, where: Place, number: int, alert: Alert, severity: Severity) -> str:
    """An incident has been opened where it goes: what is written down of it; the verdict of its alert."""
    if where.folded:
        said = _quietly(desk, where, alert.service, severity, verdicts.label(desk, alert, severity))
        return f"opened INC-{number}, pages nobody: {said}"
    _remember(desk, tx, where, alert.service, number, severity)
    return verdicts.opened(desk, number, alert, severity)


def reopening(desk: Desk, tx: Tx, where: Place, row: Any) -> Any:
    """An incident that is over is about to be reopened where it goes; its row as it then is."""
    t = INCIDENTS()
    if where.folded:
        tx.c.execute(t.update().where(t.c.number == row.number).values(umbrella=where.umbrella))
        return incidents.by_number(tx.c, row.number)
    _remember(desk, tx, where, row.service, row.number, Severity(row.severity))
    return row if row.umbrella is None else decide.unfold(desk, tx, row)


def reopened(desk: Desk, where: Place, row: Any, alert: Alert, severity: Severity) -> str:
    """The verdict of an alert that has reopened an incident where it goes. ``row``: the incident as it was."""
    if where.folded:
        said = _quietly(desk, where, row.service, severity, verdicts.label(desk, alert, severity))
        return f"reopened INC-{row.number}, pages nobody: {said}"
    return verdicts.reopened(desk, row, alert, severity)


def raised(desk: Desk, tx: Tx, row: Any, *, since: float) -> str:
    """What is folded has become worse: its service is called if nobody was. ``row``: as it is now; why it stays folded.

    Empty when it is folded no longer: then it has its own page, thread and ticket. ``since``: UNIX s from which the time
    to that page counts.
    """
    severity, storm = Severity(row.severity), incidents.locked(tx.c, row.umbrella)
    if not severity.pages:
        return words.quiet(row.umbrella)
    if incidents.is_open(storm):
        caller = _call(desk, tx, storm, row.service, row.environment, severity, since=since)
        if caller is not None:
            return words.called(row.umbrella, caller, row.service)
    out(desk, tx, row, since=since)
    return ""


def out(desk: Desk, tx: Tx, row: Any, *, since: float) -> None:
    """Take an open incident out of its storm: from now on it has its own thread, ticket, checks, and page where it pages.

    ``row``: locked. ``since``: as above.
    """
    umbrella, severity, t = row.umbrella, Severity(row.severity), INCIDENTS()
    goes_on = severity.pages and incidents.is_open(incidents.locked(tx.c, umbrella))
    if goes_on and table.holds(tx.c, umbrella, row.service) is None:
        table.call(tx.c, umbrella, row.service, row.number)
    now = decide.unfold(desk, tx, row)
    if severity.pages:
        # Whoever had it had what pages nobody; a page is to be taken.
        tx.c.execute(t.update().where(t.c.number == row.number).values(**incidents.ANEW))
        if verdicts.pages(desk, severity, row.service):
            owing.page(tx, now, severity, since=since)
    owing.checks(desk, tx, now)
    burns.wanted(desk, tx, now)
    now = incidents.by_number(tx.c, row.number)
    remind.arm(desk, tx, now, Status(now.status))
    decide.show(desk, tx, umbrella)
    decide.show(desk, tx, row.number)


# ---- the storm ----------------------------------------------------------------------------------------------------------


def _storm(desk: Desk, tx: Tx, new: Opening) -> Any:
    """The storm that goes on, locked, or the one that begins with this incident; None when there is none."""
    rule = desk.policy.storm
    if not rule.keys:
        return None
    found = incidents.open_by_key(tx.c, table.KEY)
    storm = None if found is None else incidents.locked(tx.c, found.number)
    if storm is not None and incidents.is_open(storm):
        last = max(storm.opened_at, storm.reopened_at or 0.0, table.latest_at(tx.c, storm.number))
        if new.at - last < rule.calm or _many(desk, tx, new):
            return storm
        return None
    return _begin(desk, tx, new) if _many(desk, tx, new) else None


def _many(desk: Desk, tx: Tx, new: Opening) -> bool:
    rule = desk.policy.storm
    since = min(new.at, tx.now) - rule.within
    return table.fresh(tx.c, since=since, most=rule.keys) >= rule.keys


def _begin(desk: Desk, tx: Tx, new: Opening) -> Any:
    """Open the umbrella, or reopen the one that ended lately; its row, locked; None when neither can be."""
    rule = desk.policy.storm
    last = incidents.last_of_key(tx.c, table.KEY)
    early = table.before(tx.c, since=min(new.at, tx.now) - rule.within, most=rule.keys)
    back = last is not None and rules.is_back(last.resolved_at, new.at, within=desk.policy.reopen_within)
    number = _again(desk, tx, last.number, new) if back else _open(desk, tx, new, early)
    if number is None:
        # Another replica was quicker.
        found = incidents.open_by_key(tx.c, table.KEY)
        return None if found is None else incidents.locked(tx.c, found.number)
    for row in early:
        waking = Severity(row.severity).pages and table.caller(tx.c, number, row.service) is None
        if waking and row.service != new.service:
            table.call(tx.c, number, row.service, row.number)
    if new.severity.pages:
        table.call(tx.c, number, new.service, number)
    return incidents.locked(tx.c, number)


def _open(desk: Desk, tx: Tx, new: Opening, early: Any) -> int | None:
    rule = desk.policy.storm
    title, uid = words.opening(rule), rules.incident_uid(table.KEY, new.uid, repr(new.at))
    about = {"summary": title, "description": words.description(early)}
    number = decide.open_(
        desk,
        tx,
        {
            "uid": uid, "key": table.KEY, "open_key": table.KEY, "service": new.service, "source": table.SOURCE,
            "environment": new.environment, "severity": new.severity.value, "title": title, "opened_at": new.at,
            "opened_by": decide.ITSELF, "about": json.dumps(about, ensure_ascii=False),
        },
    )  # fmt: skip
    if number is not None:
        said = verdicts.opened_by_itself(desk, new.severity, new.service, words.reason(rule))
        incidents.add_event(tx.c, incident=number, at=tx.now, kind="paging", actor=decide.ITSELF, text=said)
    return number


def _again(desk: Desk, tx: Tx, number: int, new: Opening) -> int | None:
    """Reopen the umbrella that ended lately: its page calls whoever has the incident with which it begins again."""
    t = INCIDENTS()
    if incidents.is_open(incidents.locked(tx.c, number)):
        return None
    values = {"service": new.service, "environment": new.environment, "severity": new.severity.value}
    tx.c.execute(t.update().where(t.c.number == number).values(**values))
    table.forget_calls(tx.c, number)
    reason = words.reason(desk.policy.storm)
    row = incidents.by_number(tx.c, number)
    done = decide.move(desk, tx, row, Deed.REOPEN, actor=decide.ITSELF, text=reason, since=new.at, reason=reason)
    return number if done else None


# ---- who is called ------------------------------------------------------------------------------------------------------


def _call(
    desk: Desk, tx: Tx, storm: Any, service: str, environment: str, severity: Severity, *, since: float
) -> int | None:
    """The incident whose page calls a service's on-call in this storm; None when one of its own has to do that.

    A storm that has woken nobody so far wakes them itself: its page becomes theirs.
    """
    if not Severity(storm.severity).pages:
        _wake(desk, tx, storm, service, environment, severity, since=since)
        return int(storm.number)
    caller = table.holds(tx.c, storm.number, service)
    if caller is not None and severity.rank < Severity(storm.severity).rank:
        _worse(desk, tx, storm, severity, {})
    return caller


def _wake(desk: Desk, tx: Tx, storm: Any, service: str, environment: str, severity: Severity, *, since: float) -> None:
    """The first that pages in a storm that has paged nobody: the umbrella is of its service from now on, and pages."""
    values = {"service": service, "environment": environment, **incidents.ANEW}
    _worse(desk, tx, storm, severity, values)
    table.call(tx.c, storm.number, service, storm.number)
    now = incidents.by_number(tx.c, storm.number)
    remind.arm(desk, tx, now, Status.TRIGGERED)
    if verdicts.pages(desk, severity, service):
        owing.page(tx, now, severity, since=since)
    said = verdicts.opened_by_itself(desk, severity, service, f"{severity.value} is among its incidents now")
    incidents.add_event(tx.c, incident=storm.number, at=tx.now, kind="paging", actor=decide.ITSELF, text=said)
    times = incidents.events_of(tx.c, storm.number, "paging")
    decide.say(desk, tx, now, f"wakes:{times}", escape(f"The storm is of {service} from now on, and {said}."))


def _worse(desk: Desk, tx: Tx, storm: Any, severity: Severity, values: Mapping[str, Any]) -> None:
    """A storm is as bad as the worst that is folded into it."""
    t = INCIDENTS()
    tx.c.execute(t.update().where(t.c.number == storm.number).values(severity=severity.value, **values))
    text = f"severity raised from {storm.severity} to {severity.value} by what is folded in"
    incidents.add_event(tx.c, incident=storm.number, at=tx.now, kind="severity", actor=decide.ITSELF, text=text)
    tickets.edited(desk, tx, storm, "severity")
    rooms.raised(desk, tx, storm.number)


def _remember(desk: Desk, tx: Tx, where: Place, service: str, number: int, severity: Severity) -> None:
    """Its own page calls the service's on-call: what comes after it is folded, and the storm's table names it."""
    if where.umbrella is not None and severity.pages:
        table.call(tx.c, where.umbrella, service, number)
        decide.show(desk, tx, where.umbrella)


def _quietly(desk: Desk, where: Place, service: str, severity: Severity, label: str) -> str:
    """Why what is folded pages nobody."""
    assert where.umbrella is not None, "it is folded into a storm"
    if where.caller is None:
        return f"{label}, which wakes nobody, and {words.quiet(where.umbrella)}"
    if not verdicts.pages(desk, severity, service):
        deaf = verdicts.opened_by_itself(desk, severity, service, "").removeprefix("pages nobody: ")
        return f"{deaf}; {words.quiet(where.umbrella)}"
    return words.called(where.umbrella, where.caller, service)
