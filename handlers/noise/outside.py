"""Makes and ends the silences in Alertmanager: looks before it asks again, by our mark in their comments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from bot.effects import Outcome, Performer, Task, Tx
from bot.errors import GiveUp, Retry
from bot.integrations.alertmanager import Alerts, LabelMatcher, Silence, SilenceAsk
from handlers.desk import Desk
from handlers.noise import decide, table
from handlers.noise.matchers import Matcher
from handlers.noise.table import SILENCES

OURS = "(Release Captain"
"""What every silence of ours has in its comment."""
SAME_END = 2.0
"""Seconds by which two ends may differ and be the same."""


def performers(desk: Desk) -> list[Performer]:
    """What is owed to Alertmanager."""
    return [
        Performer(decide.MAKE, lambda task: make(desk, task)),
        Performer(decide.UNMAKE, lambda task: unmake(desk, task)),
    ]


def make(desk: Desk, task: Task) -> Outcome:
    """Make the silence, or give it its new end; one that an earlier try has made is taken as it is."""
    row = _row(desk, task)
    if row.open_key is None or row.term != task.args["term"]:
        return Outcome(skipped="it has ended" if row.open_key is None else "it was given another end")
    alerts, quiet = _alerts(desk), table.quiet(row)
    if not quiet.matchers:
        raise GiveUp("its alerts have no label in common that Alertmanager could silence; mine holds all the same")
    found = next(iter(ours(alerts.silences(), row.uid)), None) if task.tried or row.term > 1 else None
    if found is not None and abs(_instant(found.ends_at) - row.end_at) <= SAME_END:
        name = found.id
    else:
        name = alerts.silence(
            SilenceAsk(
                matchers=[_matcher(one) for one in quiet.matchers],
                until=row.end_at,
                created_by=row.by_name,
                comment=f"{row.reason or f'{row.name} is silenced'} {mark(row.uid)}",
                by=task.acting(),
                id=found.id if found else "",
            )
        )

    def apply(tx: Tx) -> None:
        t = SILENCES()
        tx.c.execute(t.update().where(t.c.id == row.id).values(outside=name))

    return Outcome({"silence": name}, apply)


def unmake(desk: Desk, task: Task) -> Outcome:
    """End it there: whatever carries our mark, also what a try made whose answer was lost."""
    row, alerts = _row(desk, task), _alerts(desk)
    found = ours(alerts.silences(), row.uid)
    if not found:
        return Outcome(skipped="Alertmanager has no silence of ours for it that is on")
    for one in found:
        alerts.expire(one.id)
    return Outcome({"silences": [one.id for one in found]})


def elsewhere(desk: Desk) -> tuple[list[tuple[Silence, int]], str]:
    """The silences that people made in Alertmanager, each with how many alerts it keeps from us, and what hinders the look."""
    if desk.outside.alerts is None:
        return [], ""
    try:
        found = [one for one in desk.outside.alerts.silences() if one.state != "expired" and OURS not in one.comment]
        alerts = desk.outside.alerts.active() if found else ()
    except (Retry, GiveUp) as e:
        return [], f"What it silences cannot be told now: {e.reason}"
    return [(one, sum(one.id in alert.silenced_by for alert in alerts)) for one in found], ""


def mark(uid: str) -> str:
    """What a silence of ours has in its comment."""
    return f"{OURS} {uid})"


def ours(silences: Sequence[Silence], uid: str) -> list[Silence]:
    """The silences that carry our mark and have not ended."""
    return [one for one in silences if mark(uid) in one.comment and one.state != "expired"]


def _matcher(one: Matcher) -> LabelMatcher:
    return LabelMatcher(one.name, one.value, one.op.endswith("~"), not one.op.startswith("!"))


def _instant(text: str) -> float:
    try:
        return dt.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _row(desk: Desk, task: Task) -> Any:
    with desk.store.read() as c:
        row = table.by_id(c, int(task.args["silence"]))
    if row is None:
        raise GiveUp(f"the silence #{task.args['silence']} is not in the database")
    return row


def _alerts(desk: Desk) -> Alerts:
    if desk.outside.alerts is None:
        raise GiveUp("alertmanager.url is not set in captain.yml; my own silence holds, and ends, all the same")
    return desk.outside.alerts
