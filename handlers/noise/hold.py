"""Stands before every incident that an alert opens, reopens or raises: holds the alert, remembers it, and lets it go again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from bot.effects import Tx, insert_once
from handlers.alerts import journal
from handlers.alerts.journal import Entry
from handlers.desk import Desk
from handlers.incidents import decide as incidents
from handlers.incidents import table as incident_table
from handlers.incidents import verdicts
from handlers.incidents.rules import Severity
from handlers.noise import decide, flap, owed, table
from handlers.noise.matchers import Matcher, all_match
from handlers.noise.table import HOLDS
from handlers.noise.weigh import Held, Incoming, Kind, Known, Parent, Past, Rule, weigh
from handlers.storms import table as storms

RESOLVED = "resolved while it was held: nothing was opened, nobody was paged"


def held(
    desk: Desk, tx: Tx, entry: Entry, *, key: str, environment: str, severity: Severity, row: Any
) -> tuple[str, int | None] | None:
    """The verdict of an alert that is held, and its incident, which is then written down; None when it acts.

    ``row``: the open incident of its key, locked, or None. What only joins that one wakes nobody and is not weighed.
    """
    if row is not None and severity.rank >= Severity(row.severity).rank:
        return flap.again(desk, tx, entry, row)
    alert = entry.alert
    one = Incoming(
        labels={**alert.labels, "service": alert.service, "env": environment},
        service=alert.service,
        environment=environment,
        key=key,
        rank=severity.rank,
        pages=verdicts.pages(desk, severity, alert.service),
        at=tx.now,
        since=table.since(tx.c, entry.id) or tx.now,
        sent=alert.labels,
    )
    found = weigh(one, _known(desk, tx, one, open_=row is not None))
    if found is None:
        return None
    if _keep(tx, entry, one, found):
        desk.count_held(found.kind.value)
    if found.kind is Kind.INHIBITED and found.incident is not None:
        incidents.show(desk, tx, found.incident)
    return found.sentence, None


def ended(desk: Desk, tx: Tx, alert: int) -> tuple[str, int | None]:
    """An alert has resolved that had opened nothing: its verdict, and the incident that it has opened meanwhile after all.

    ``alert``: the journal's row of its firing half. The verdict is empty when it was not held.
    """
    hold = table.of_alert(tx.c, alert)  # locked: whoever decides about it anew is done, or finds it over
    if hold is None:
        return "", None
    incident = journal.incident_of(tx.c, alert)
    if incident is None:
        owed.over(tx, hold.id, "resolved")
        if hold.kind == Kind.INHIBITED.value:
            incidents.show(desk, tx, hold.incident)
    return RESOLVED, incident


def _known(desk: Desk, tx: Tx, one: Incoming, *, open_: bool) -> Known:
    """What there is to know. ``open_``: its incident is open, so that nothing has ended."""
    quiets = [table.quiet(row) for row in decide.sync(desk, tx)]
    rules = [rule for rule in desk_rules(desk) if all_match(rule.target, one.labels)]
    rows = incident_table.parents(tx.c, one.rank) if rules else []
    # A storm is of the service with which it began; what is up again in it holds nothing, however long the storm lasts.
    parents = [_parent(desk, row) for row in rows if row.source != storms.SOURCE]
    if open_ or not (desk.noise.cooldown or desk.noise.flap.changes):
        return Known(quiets, parents, rules)
    before = incident_table.last_of_key(tx.c, one.key)
    if before is None or before.resolved_at is None:
        return Known(quiets, parents, rules)
    rule = desk.noise.flap
    flaps = bool(rule.changes) and flap.changes(tx.c, one.key, tx.now - rule.within) + 1 >= rule.changes
    past = Past(before.number, Severity(before.severity).rank, before.resolved_at)
    return Known(quiets, parents, rules, past, desk.noise.cooldown, rule.quiet if flaps else 0.0)


def desk_rules(desk: Desk) -> Iterator[Rule]:
    """What inhibits what, as captain.yml has it."""
    for name, service in desk.services.items():
        for parent in service.depends_on:
            ours, theirs = Matcher("service", "=", name), Matcher("service", "=", parent)
            yield Rule([theirs], [ours], ("env",), depends=True)
    for rule in desk.noise.inhibit:
        yield Rule(rule.sources, rule.targets, rule.equal)


def _parent(desk: Desk, row: Any) -> Parent:
    severity, said = Severity(row.severity), incident_table.about(row)
    labels = {"service": row.service, "env": row.environment, "severity": row.severity}
    labels |= {name: said[name] for name in ("alertname", "slo") if name in said}
    woke = verdicts.pages(desk, severity, row.service) if row.service in desk.services else False
    return Parent(row.number, row.key, labels, severity.rank, woke)


def _keep(tx: Tx, entry: Entry, one: Incoming, found: Held) -> bool:
    """Remember what is held; True when nothing, or another kind of reason, held it before."""
    t = HOLDS()
    values = {
        "kind": found.kind.value, "silence": found.quiet, "incident": found.incident, "key": one.key,
        "service": one.service, "rank": one.rank, "until": found.until, "over_at": None, "outcome": "",
    }  # fmt: skip
    row = {"alert": entry.id, "since": tx.now, "turn": 1, **values}
    before = None
    if insert_once(tx.c, t, row) is None:
        before = tx.c.execute(sa.select(t.c.kind).where(t.c.alert == entry.id)).scalar()
        tx.c.execute(t.update().where(t.c.alert == entry.id).values(turn=t.c.turn + 1, **values))
    journal.hold(tx.c, entry.id, found.kind.value)
    return before != found.kind.value
