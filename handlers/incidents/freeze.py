"""An incident of which nothing is known any more stays open: it is said once, and it goes on when there is data again."""

from __future__ import annotations

from typing import Any

from bot.effects import Effect, Outcome, Performer, Task, Tx
from bot.integrations.slack.words import escape
from handlers.alerts import journal
from handlers.desk import Desk
from handlers.incidents import decide, grouping, table
from handlers.incidents.rules import Deed
from handlers.incidents.table import INCIDENTS
from handlers.storms import table as storms

KIND = "thaw"
GRACE_S = 300.0
"""Seconds after which an incident whose data is back ends, when nothing of it fires: what burns on must have time to say so."""


def performers(desk: Desk) -> list[Performer]:
    """The one kind of effect this owes: a look whether what is known again still burns."""
    return [Performer(KIND, lambda task: _ends(desk, task), decides=True)]


def blind(tx: Tx, row: Any) -> bool:
    """True while nothing is known of what an incident is about: no alert of it that ends means that it is over."""
    if row.frozen_at is not None:
        return True
    other = table.last_of_key(tx.c, grouping.blind_key(row.key))
    return other is not None and journal.still_firing(tx.c, other.number) > 0


def freeze(desk: Desk, tx: Tx, number: int, why: str) -> None:
    """Keep an open incident open until there is data, and say so; nothing when it is frozen already."""
    row = table.locked(tx.c, number)
    if row is None or not table.is_open(row) or row.frozen_at is not None:
        return
    tx.c.execute(INCIDENTS().update().where(INCIDENTS().c.number == number).values(frozen_at=tx.now))
    _tell(
        desk,
        tx,
        row,
        "frozen",
        f"no data: {why}. This incident stays open: only a person ends it until there is data again",
    )


def thaw(desk: Desk, tx: Tx, number: int) -> None:
    """There is data again; nothing when it was not frozen. What burns on goes on, and what does not ends in a while."""
    row = table.locked(tx.c, number)
    if row is None or row.frozen_at is None:
        return
    tx.c.execute(INCIDENTS().update().where(INCIDENTS().c.number == number).values(frozen_at=None))
    if not table.is_open(row):
        return
    _tell(desk, tx, row, "thawed", "there is data again, and it goes on as usual")
    if not journal.still_firing(tx.c, number):
        key = table.another_key(tx.c, row, KIND)
        tx.owe(Effect(key, KIND, "reminders", number, urgency=5, delay=GRACE_S))


def freeze_seen(desk: Desk, tx: Tx, key: str, why: str) -> None:
    """An alert says that something cannot be measured: freeze what is open about that. ``key``: the alert's own."""
    row = table.open_by_key(tx.c, grouping.seen_key(key)) if grouping.seen_key(key) else None
    if row is not None:
        freeze(desk, tx, row.number, why)


def thaw_seen(desk: Desk, tx: Tx, key: str) -> None:
    """The same when nothing says so any more."""
    row = table.open_by_key(tx.c, grouping.seen_key(key)) if grouping.seen_key(key) else None
    if row is not None:
        thaw(desk, tx, row.number)


def unmeasured(tx: Tx, number: int, name: str) -> None:
    """Write into the timeline why the end of an alert is none of a burn."""
    text = f"{name} is not measured by me any more: captain.yml was changed"
    table.add_event(tx.c, incident=number, at=tx.now, kind="unmeasured", actor=decide.ITSELF, text=text)


def _tell(desk: Desk, tx: Tx, row: Any, kind: str, text: str) -> None:
    table.add_event(tx.c, incident=row.number, at=tx.now, kind=kind, actor=decide.ITSELF, text=text)
    times = table.events_of(tx.c, row.number, kind)
    said = f"∅ *{escape(text[0].upper() + text[1:])}.*"
    decide.say(desk, tx, row, kind if times == 1 else f"{kind}:{times}", said)
    decide.show(desk, tx, row.number)


def _ends(desk: Desk, task: Task) -> Outcome:
    """End what nothing burns of any more."""
    number = task.about or 0

    def apply(tx: Tx) -> None:
        row = table.locked(tx.c, number)
        if row is None or not table.is_open(row) or blind(tx, row) or journal.still_firing(tx.c, number):
            return
        if journal.unsure(tx.c, number):
            return  # an alert of it ended, and not because all was well
        if storms.carried(tx.c, row):
            return  # its page stands for others, and it ends with them
        decide.move(desk, tx, row, Deed.RESOLVE, actor=decide.ITSELF, text="there is data again, and nothing burns")

    return Outcome(apply=apply)
