"""Ends a storm when what was folded into it is over, and with it the pages that stood for others; by the clock, and when told to."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import Outcome, Performer, Task, Tx
from bot.errors import Retry
from handlers.alerts import journal
from handlers.desk import Desk
from handlers.incidents import arrive, decide, freeze, owing
from handlers.incidents import table as incidents
from handlers.incidents.rules import Deed
from handlers.incidents.table import INCIDENTS
from handlers.storms import shown, table
from handlers.tickets import owed as tickets

LINE = "* * * * *"
AT_ONCE = 20
"""Members that are resolved in one transaction: alerts that come in meanwhile wait for no more."""


def tick(desk: Desk, _slot: float) -> None:
    """Look at the storm that goes on, if there is one."""
    with desk.store.read() as c:
        storm = incidents.open_by_key(c, table.KEY)
    if storm is not None:
        with desk.engine.transaction(desk.engine.now()) as tx:
            settle(desk, tx, storm.number)


def busy(c: Connection) -> bool:
    """True while a storm goes on."""
    return incidents.open_by_key(c, table.KEY) is not None


def settle(desk: Desk, tx: Tx, number: int) -> None:
    """Let go the pages that stand for nothing more; end the storm when all in it is over and it no longer goes on."""
    storm = incidents.locked(tx.c, number)
    shown.retitle(desk, tx, number)
    left = _let_go(desk, tx, number)
    rule = desk.policy.storm
    if left or not incidents.is_open(storm) or table.any_open(tx.c, number):
        return
    if rule.keys and table.fresh(tx.c, since=tx.now - rule.within, most=rule.keys) >= rule.keys:
        return
    tickets.edited(desk, tx, storm, "title")
    decide.end_by_itself(desk, tx, storm, why="every incident that was folded in is over")


def _let_go(desk: Desk, tx: Tx, number: int) -> bool:
    """Resolve the incidents whose alerts are over and that were open for others alone; True when one must wait."""
    t, left = INCIDENTS(), False
    for call in table.calls(tx.c, number):
        # Whoever holds it is ending it, and sees what it stands for after us.
        mine = sa.select(t).where(t.c.number == call.incident, t.c.source == "alert", t.c.open_key.is_not(None))
        row = tx.c.execute(mine.with_for_update(skip_locked=True)).first()
        if row is None or row.umbrella is not None or journal.still_firing(tx.c, row.number):
            continue
        if table.carried(tx.c, row) or freeze.blind(tx, row) or journal.unsure(tx.c, row.number):
            continue
        if arrive.more_to_come(desk, tx, row):
            left = True
            continue
        text = "its alerts have resolved, and what its page stood for in the storm is over"
        decide.move(desk, tx, row, Deed.RESOLVE, actor=decide.ITSELF, text=text)
    return left


def performers(desk: Desk) -> list[Performer]:
    """The one kind of effect this owes."""
    return [Performer(owing.MEMBERS, lambda task: end_members(desk, task), decides=True)]


def end_members(desk: Desk, task: Task) -> Outcome:
    """Resolve what is folded into a storm that somebody has resolved, some at a time; a storm that came back is left alone."""
    number, by, ended = task.about or 0, str(task.args["by"]), 0
    while not desk.engine.stopping.is_set():
        with desk.engine.transaction(desk.engine.now()) as tx:
            storm = incidents.by_number(tx.c, number)
            some = () if incidents.is_open(storm) else table.members(tx.c, number, limit=AT_ONCE)
            ended += sum(_end(desk, tx, row, by) for row in some)
            if not some:
                settle(desk, tx, number)
                return Outcome({"ended": ended})
    raise Retry("the bot is stopping; the next one goes on", after=0.1)


def _end(desk: Desk, tx: Tx, row: Any, by: str) -> bool:
    now = incidents.locked(tx.c, row.number)
    return decide.move(desk, tx, now, Deed.RESOLVE, actor=by, text=f"with the storm INC-{now.umbrella}, by {by}")
