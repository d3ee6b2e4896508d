"""What was last seen of each check, and since when: few rows, whatever has been run and however often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import insert_once
from handlers.catalogue import Service
from handlers.runs.kinds import Trigger
from handlers.runs.table import STATES
from runbooks import Result, Runbook

WHOLE = ""
"""The name under which a runbook's own verdict is kept."""


def keeps(row: Any, services: Mapping[str, Service]) -> bool:
    """Whether a run says how things stand: not one that was cancelled or confined, or that a person asked with values of theirs.

    Only services and environments of captain.yml: what people and alerts name may be without end.
    """
    if row.cancelled_by or row.confined != "[]" or (row.trigger == Trigger.PERSON.value and row.parameters != "{}"):
        return False
    return _known(row, services)


def _known(row: Any, services: Mapping[str, Service]) -> bool:
    if not row.service:
        return not row.environment
    return row.service in services and row.environment == services[row.service].environment


def keep(c: Connection, row: Any, found: Sequence[Result], *, now: float) -> None:
    """Write down what a run that has ended says of its checks, in place of what was said before."""
    t = STATES()
    where = {"runbook": row.runbook, "service": row.service, "environment": row.environment}
    mine = (t.c.runbook == row.runbook) & (t.c.service == row.service) & (t.c.environment == row.environment)
    # Whoever else keeps the end of such a run at the same moment waits for this row.
    insert_once(c, t, where | {"name": WHOLE, "outcome": "", "since": now, "at": now, "took_s": 0.0, "run": row.id})
    c.execute(sa.select(t.c.run).where(mine & (t.c.name == WHOLE)).with_for_update()).one()
    before = {one.name: one for one in c.execute(sa.select(t).where(mine)).all()}
    seen = {one.name: (one.outcome.value, one.took_s) for one in found} | {WHOLE: (row.outcome, row.took_s or 0.0)}
    rows = {
        name: {"run": row.id, "outcome": outcome, "took_s": took, "at": now}
        | {"since": before[name].since if name in before and before[name].outcome == outcome else now}
        for name, (outcome, took) in seen.items()
    }
    c.execute(t.update().where(mine & (t.c.name == WHOLE)).values(**rows.pop(WHOLE)))
    c.execute(t.delete().where(mine & (t.c.name != WHOLE)))
    if rows:
        c.execute(t.insert(), [where | {"name": name} | one for name, one in rows.items()])


def of(c: Connection, runbooks: Mapping[str, Runbook], services: Mapping[str, Service]) -> Sequence[Any]:
    """What was last seen of the checks that these runbooks have now, in the services and environments there are now."""
    t = STATES()
    rows = c.execute(sa.select(t).where(t.c.runbook.in_(list(runbooks))).order_by(t.c.runbook, t.c.name)).all()
    checks = {name: {one.name for one in runbook.checks} | {WHOLE} for name, runbook in runbooks.items()}
    return [row for row in rows if row.name in checks[row.runbook] and _known(row, services)]
