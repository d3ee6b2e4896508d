"""The verb that takes an incident out of its storm."""

from __future__ import annotations

import time
from collections.abc import Mapping

from bot.errors import Refused
from bot.grammar import Asker, Reply, Verb
from handlers.desk import Desk
from handlers.incidents import commands, decide, table, verdicts
from handlers.incidents.rules import Severity
from handlers.storms import fold


def unfold(desk: Desk, asker: Asker, incident: str) -> Reply:
    """Take an incident out of its storm: it gets a thread and a ticket of its own, and pages if its severity does."""
    now = time.time()
    with desk.store.read() as c:
        number = commands.meant(desk, c, asker, incident).number
    with desk.engine.transaction(now) as tx:
        row = table.locked(tx.c, number)
        if row.umbrella is None:
            raise Refused(f"INC-{number} is not folded into a storm: it has its own page, thread and ticket.")
        if not table.is_open(row):
            raise Refused(
                f"INC-{number} is {row.status}, so nothing is owed for it. `incident reopen INC-{number}` does."
            )
        fold.out(desk, tx, row, since=now)
        said = verdicts.opened_by_itself(
            desk, Severity(row.severity), row.service, f"{asker.name} took it out of the storm"
        )
        table.add_event(tx.c, incident=number, at=now, kind="paging", actor=asker.name, text=said)
        decide.record(tx, asker, "incident unfold", number, {"storm": f"INC-{row.umbrella}"})
    text = f"INC-{number} is no longer folded into INC-{row.umbrella}. It has its own thread and ticket now and {said}."
    return Reply(text, data={"incident": number, "storm": row.umbrella})


VERBS: Mapping[str, Verb] = {"unfold": unfold}
