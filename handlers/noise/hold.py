"""Stands before every incident that an alert opens, reopens or raises: holds the alert, remembers it, and lets it go again."""

from __future__ import annotations

from typing import Any

from bot.effects import Tx, insert_once
from handlers.alerts import journal
from handlers.alerts.journal import Entry
from handlers.desk import Desk
from handlers.incidents import verdicts
from handlers.incidents.rules import Severity
from handlers.noise import decide, owed, table
from handlers.noise.table import HOLDS
from handlers.noise.weigh import Held, Incoming, Known, weigh

RESOLVED = "resolved while it was held: nothing was opened, nobody was paged"


def held(
    desk: Desk, tx: Tx, entry: Entry, *, key: str, environment: str, severity: Severity, row: Any
) -> tuple[str, None] | None:
    """The verdict of an alert that is held, which is then written down; None when it acts.

    ``row``: the open incident of its key, locked, or None. What only joins that one wakes nobody and is not weighed.
    """
    if row is not None and severity.rank >= Severity(row.severity).rank:
        return None
    alert = entry.alert
    one = Incoming(
        labels={**alert.labels, "service": alert.service, "env": environment},
        service=alert.service,
        environment=environment,
        key=key,
        rank=severity.rank,
        pages=verdicts.pages(desk, severity, alert.service),
        at=tx.now,
    )
    found = weigh(one, _known(desk, tx))
    if found is None:
        return None
    _keep(tx, entry, one, found)
    desk.count_held(found.kind.value)
    return found.sentence, None


def ended(tx: Tx, alert: int) -> tuple[str, int | None]:
    """An alert has resolved that had opened nothing: its verdict, and the incident that it has opened meanwhile after all.

    ``alert``: the journal's row of its firing half. The verdict is empty when it was not held.
    """
    hold = table.of_alert(tx.c, alert)  # locked: whoever decides about it anew is done, or finds it over
    if hold is None:
        return "", None
    incident = journal.incident_of(tx.c, alert)
    if incident is None:
        owed.over(tx, hold.id, "resolved")
    return RESOLVED, incident


def _known(desk: Desk, tx: Tx) -> Known:
    return Known(quiets=[table.quiet(row) for row in decide.sync(desk, tx)])


def _keep(tx: Tx, entry: Entry, one: Incoming, found: Held) -> None:
    """Remember what is held: for the first time, or by another reason than before."""
    t = HOLDS()
    values = {
        "kind": found.kind.value, "silence": found.quiet, "incident": found.incident, "key": one.key,
        "service": one.service, "rank": one.rank, "until": found.until, "over_at": None, "outcome": "",
    }  # fmt: skip
    row = {"alert": entry.id, "since": tx.now, "turn": 1, **values}
    if insert_once(tx.c, t, row) is None:
        tx.c.execute(t.update().where(t.c.alert == entry.id).values(turn=t.c.turn + 1, **values))
    journal.hold(tx.c, entry.id, found.kind.value)
