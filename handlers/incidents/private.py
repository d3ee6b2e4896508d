"""Private incidents: who may see one, and what everybody else is shown instead."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.errors import Refused
from bot.grammar import Asker
from handlers.desk import Desk
from handlers.incidents import table
from handlers.incidents.phone import PREFIX
from handlers.incidents.stuck import Stuck
from handlers.incidents.table import INCIDENTS

TITLE = "private incident"
"""What stands for its title wherever others may read."""
SOMEBODY = "somebody"
NOT_SAID = "it is private, and the reason is shown in its own channel"
KEPT = (
    "id",
    "number",
    "uid",
    "service",
    "environment",
    "severity",
    "status",
    "source",
    "private",
    "test",
    "panel",
    "panel_owed",
)
"""Columns of a private incident that are no secret, beside its times."""
HEARD = ("type", "id", "at", "dedup_key")
"""What of a webhook of PagerDuty about a private incident is no secret."""
ABOUT = re.compile(r"INC-(\d+): ")
"""What a sentence about an incident begins with."""
DECLARED_BY = "declared_by"
"""Where ``about`` has who declared a private incident: a Slack user id, or an e-mail address."""


def declarer(asker: Asker) -> str:
    """Who an asker provably is: a Slack user id, or the e-mail address of a token of their own; empty when nobody's."""
    return asker.id if asker.door == "slack" else asker.email


def ask(desk: Desk, asker: Asker) -> None:
    """Have Slack asked now what ``sees`` may need to know of somebody: what asks later holds a connection."""
    if desk.access is not None and asker.door == "slack":
        desk.access.sees_private(asker)


def sees(desk: Desk, c: Connection, row: Any, asker: Asker) -> bool:
    """Whether somebody may see an incident.

    A private one is seen in its own channel, by who declared it, who has a role in it, and who has a role of
    ``permissions.sees_private``.
    """
    if not row.private:
        return True
    if asker.door == "slack" and row.room and asker.channel == row.room:
        return True  # Slack lets nobody else speak there
    me = declarer(asker)
    if not me:
        return False
    if me == table.about(row).get(DECLARED_BY):
        return True
    if asker.door == "slack" and any(me == one.person for one in table.roles(c, row.number)):
        return True
    return _sees_all(desk, asker)


def _sees_all(desk: Desk, asker: Asker) -> bool:
    return desk.access is not None and desk.access.sees_private(asker)


def check(desk: Desk, c: Connection, row: Any, asker: Asker) -> None:
    """Raises Refused when somebody may not see an incident; it says nothing of it."""
    if not sees(desk, c, row, asker):
        how = "" if declarer(asker) else " The token you share with others proves nobody's name: use one of your own."
        raise Refused(
            f"INC-{row.number} is private, and you are not part of it. Whoever told you of it can invite you to its "
            f"channel or give you a role in it.{how}"
        )


def masked(row: Any) -> Any:
    """A private incident's row as everybody may see it: no title, no text, nobody's name, no place."""
    if not row.private:
        return row
    told = dict(row._mapping)  # noqa: SLF001 - the public name of a row's columns
    for name, value in told.items():
        if isinstance(value, str) and value and name not in KEPT:
            told[name] = SOMEBODY if name.endswith("_by") else ""
    told |= {"title": TITLE, "about": "{}"}
    return SimpleNamespace(**told, _mapping=told)


def shown(desk: Desk, c: Connection, row: Any, asker: Asker | None) -> Any:
    """A row as somebody may see it; ``asker`` None: as anybody may."""
    return row if asker is not None and sees(desk, c, row, asker) else masked(row)


def hushed(desk: Desk, c: Connection, found: Sequence[Stuck], asker: Asker | None) -> list[Stuck]:
    """What is stuck, without the reasons of private incidents that somebody may not see: they may name its channel."""
    rows: Mapping[int, Any] = {
        number: table.by_number(c, number) for number in {one.about for one in found if one.about is not None}
    }
    hidden = {
        number
        for number, row in rows.items()
        if row is not None and row.private and (asker is None or not sees(desk, c, row, asker))
    }
    return [replace(one, reason=NOT_SAID) if one.about in hidden else one for one in found]


def muted(row: Any, effects: Sequence[Any]) -> Sequence[Any]:
    """An incident's effects as everybody may see them: of a private one how each stands, and not why."""
    if not row.private:
        return effects
    told = [dict(one._mapping) for one in effects]  # noqa: SLF001 - the public name of a row's columns
    return [SimpleNamespace(**one | {"reason": NOT_SAID if one["reason"] else ""}) for one in told]


def lines(desk: Desk, c: Connection, said: Sequence[str], asker: Asker) -> list[str]:
    """Sentences that begin with an incident, without what they say of private ones that somebody may not see."""
    return [_line(desk, c, one, asker) for one in said]


def _line(desk: Desk, c: Connection, said: str, asker: Asker) -> str:
    found = ABOUT.match(said)
    row = table.by_number(c, int(found.group(1))) if found else None
    return said if row is None or sees(desk, c, row, asker) else f"INC-{row.number}: {NOT_SAID}"


def overheard(desk: Desk, c: Connection, rows: Sequence[Any], asker: Asker) -> list[Any]:
    """PagerDuty's webhooks as they were stored, without the people and notes of private incidents that somebody may not see.

    Of one that does not say which incident it is about that cannot be told: it counts as private while there is any.
    """
    return [_overheard(desk, c, row, asker) for row in rows]


def _overheard(desk: Desk, c: Connection, row: Any, asker: Asker) -> Any:
    t, event = INCIDENTS(), json.loads(row.payload)["event"]
    key = str(event.get("dedup_key") or "")
    hidden = t.c.private.is_(True)
    found = c.execute(sa.select(t).where(hidden & (t.c.uid == key.removeprefix(PREFIX)) if key else hidden)).first()
    if found is None or (sees(desk, c, found, asker) if key else _sees_all(desk, asker)):
        return row
    kept = {name: value for name, value in event.items() if name in HEARD} | {"agent": SOMEBODY}
    told = dict(row._mapping) | {"payload": json.dumps({"event": kept})}  # noqa: SLF001 - as above
    return SimpleNamespace(**told, _mapping=told)


def about(row: Any) -> str:
    """A private incident's page: all that PagerDuty is told of it, plain."""
    return f"{TITLE} INC-{row.number}, see Slack"


def detail(asker: Asker) -> Mapping[str, str]:
    """What ``about`` keeps of whoever declares a private incident. Raises Refused when nobody could be let in."""
    me = declarer(asker)
    if not me:
        raise Refused(
            "A private incident needs to know who you are, and the token you share with others proves nobody's name. "
            "Use a token of your own (permissions.tokens in captain.yml), or Slack. Nothing was opened."
        )
    return {DECLARED_BY: me}
