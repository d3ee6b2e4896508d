"""The verb that gives an incident a channel of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping

from bot.errors import Refused
from bot.grammar import Asker, Reply, Verb
from handlers.desk import Desk
from handlers.incidents import commands, decide, table
from handlers.incidents.rules import Status
from handlers.rooms import owing
from handlers.storms import words as storm_words


def channel(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """Give an incident a Slack channel of its own: the on-call, the roles and you are asked in; its notes go there."""
    if desk.outside.chat is None:
        raise Refused("The slack: section is missing in captain.yml, so there are no channels; add it.")
    with desk.store.read() as c:
        number = commands.meant(desk, c, asker, incident).number
    with desk.engine.transaction(time.time()) as tx:
        row = table.locked(tx.c, number)
        if row.room:
            owing.invite(tx, row, [owing.person(asker)])
            return Reply(f"INC-{number} has its channel: <#{row.room}>.", data={"incident": number, "room": row.room})
        if row.status == Status.CLOSED.value:
            raise Refused(f"INC-{number} is closed. `incident reopen INC-{number}` comes first. No channel was made.")
        if row.umbrella is not None:
            raise Refused(storm_words.not_of_its_own(row))
        last = table.newest(tx.c, number, owing.ROOM)
        if owing.has(tx, row):
            if not (desk.engine.repair(tx, last.key) or tx.hasten(last.key)):
                return Reply(
                    f"The channel of INC-{number} is being made already.", data={"incident": number, "room": ""}
                )
        else:
            owing.make(tx, row, by=owing.person(asker), asked=True)
        decide.record(tx, asker, "incident channel", number, {})
    said = f"INC-{number} gets its channel; its thread says which as soon as Slack has made it."
    return Reply(said, data={"incident": number, "room": ""})


VERBS: Mapping[str, Verb] = {"channel": channel}
