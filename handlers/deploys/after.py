"""What follows a deploy: its service's checks are owed once, and what they found is heard and said."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import sqlalchemy as sa

from bot.effects import EFFECTS, FINAL, Outcome, Settled, State, Task, Tx
from bot.errors import Retry
from handlers.deploys import decide, kinds, table, words
from handlers.deploys.kinds import Status
from handlers.deploys.table import DEPLOYS, key_of
from handlers.desk import Desk
from handlers.incidents import table as incidents
from handlers.runs import owing
from handlers.runs import table as runs
from handlers.runs.kinds import Trigger, Wanted
from runbooks import Outcome as Verdict

log = logging.getLogger(__name__)
LINE = "* * * * *"
THREAD_S = 20.0
"""Seconds for which the checks wait for the message in whose thread they are shown; then they are shown beside it."""


def begin(desk: Desk, task: Task) -> Outcome:
    """Owe the run of a deploy that is done, unless it is not the last word any more."""
    with desk.store.read() as c:
        row = table.by_uid(c, table.uid_in(task.key))
        root = _root(c, row) if row is not None else None
    turn = table.number_in(task.key)
    if row is None or row.turn != turn or row.status != Status.SUCCEEDED.value:
        return Outcome(skipped="it is not done after all, or was done once more")
    waited = time.time() - task.created_at - desk.deploys.checks_after
    if root is not None and not row.ts and State(root.state) not in FINAL and waited < THREAD_S:
        raise Retry("its message is not posted yet, in whose thread the checks are shown", after=0.5)
    return Outcome({}, lambda tx: _owe(desk, tx, row.uid, turn))


def _root(c: sa.engine.Connection, row: Any) -> Any:
    t = EFFECTS()
    return c.execute(sa.select(t.c.state).where(t.c.key == key_of(row.uid, "root"))).first()


def _owe(desk: Desk, tx: Tx, uid: str, turn: int) -> None:
    row = table.kept(tx.c, uid)
    service = desk.services.get(row.service) if row is not None else None
    if row is None or service is None or row.turn != turn or row.status != Status.SUCCEEDED.value:
        return
    runbook = kinds.after_deploy(desk.deploys, service)
    if runbook not in desk.runbooks:
        decide.show(
            desk, tx, table.change(tx.c, row.id, {"verdict": words.undone("its runbook is no longer configured")})
        )
        return
    known = desk.runbooks[runbook].parameters
    given = {"service": row.service, "environment": row.environment, "env": row.environment, "version": row.version}
    wanted = Wanted(
        runbook,
        Trigger.DEPLOY,
        f"D-{row.id}",
        {name: value for name, value in given.items() if name in known},
        row.service,
        row.environment,
        channel=row.channel if desk.outside.chat is not None else "",
        thread=row.ts,
        deploy=str(row.id),
    )
    key = key_of(uid, f"run:{turn}")
    owing.owe(desk, tx, key, wanted)
    row = table.change(tx.c, row.id, {"run": key, "verdict": words.RUNNING})
    decide.show(desk, tx, row)


def settled(desk: Desk, tx: Tx, done: Settled) -> None:
    """A run was tried: of a deploy's, keep what it found."""
    if not done.key.startswith("deploy:") or done.state not in FINAL:
        return
    if done.kind == owing.RUN:
        _heard(desk, tx, table.kept(tx.c, table.uid_in(done.key)), done.key, done.reason)


def tick(desk: Desk, _slot: float) -> None:
    """Once a minute: hear of the runs whose end nobody told us, such as those that were cancelled."""
    with desk.store.read() as c:
        waiting = table.waiting(c)
        ended = [row for row in waiting if row.run and _over(c, row.run)]
    for row in ended:
        with desk.engine.transaction(time.time()) as tx:
            _heard(desk, tx, table.kept(tx.c, row.uid), row.run, "")


def _over(c: sa.engine.Connection, key: str) -> bool:
    t = EFFECTS()
    state = c.execute(sa.select(t.c.state).where(t.c.key == key)).scalar()
    return state is None or State(state) in FINAL


def _heard(desk: Desk, tx: Tx, row: Any, key: str, reason: str) -> None:
    """Write down what the run that counts has found, say it, and put it into the timeline of what burns."""
    if row is None or row.run != key or row.verdict in tuple(Verdict):
        return
    run = runs.by_key(tx.c, key)
    values: dict[str, Any]
    if run is None or not run.outcome:
        values = {"verdict": words.undone(reason or "its run was cancelled")}
    elif run.cancelled_by:
        values = {"verdict": words.undone(f"cancelled by {run.cancelled_by}")}
    else:
        found = [
            {
                "name": one.name, "outcome": one.outcome.value, "value": str(one.value), "threshold": str(one.threshold),
                "unit": one.unit, "detail": one.detail[:300], "hint": one.hint[:500],
            }
            for one in runs.results(tx.c, run.id)
            if one.outcome is not Verdict.PASS
        ]  # fmt: skip
        found = sorted(found, key=lambda one: words.worst(one["outcome"]))
        values = {"verdict": run.outcome, "found": json.dumps(found[: words.MOST_FOUND * 4], ensure_ascii=False)}
    t = DEPLOYS()
    tx.c.execute(t.update().where(t.c.id == row.id).values(**values))
    row = table.by_id(tx.c, row.id)
    decide.show(desk, tx, row)
    if words.bad(row):
        decide.alarm(desk, tx, row, f"checks:{row.turn}")
    decide.tell(desk, tx, incidents.open_of(tx.c, row.service), words.checked(row))
