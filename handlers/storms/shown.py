"""The storm in what is shown of an incident: an umbrella's table, a member's word of its storm, a title that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import Tx
from handlers.desk import Desk
from handlers.digest.follow import follow
from handlers.incidents import table as incidents
from handlers.incidents.table import INCIDENTS
from handlers.incidents.words import Blocks
from handlers.storms import table, words

MOST = 1000
"""Members that are given as data."""


def blocks(c: Connection, row: Any) -> Blocks:
    """What the panel of an incident has to do with a storm; nothing for nearly all of them."""
    if row is None:
        return []
    if row.umbrella is not None:
        storm = incidents.by_number(c, row.umbrella)
        return [{"type": "section", "text": {"type": "mrkdwn", "text": words.member(storm)}}]
    if row.source != table.SOURCE:
        return [{"type": "section", "text": {"type": "mrkdwn", "text": said}} for said in _stands_for(c, row)]
    newest = table.members(c, row.number, limit=words.NEWEST)
    return words.table(row.number, table.tallies(c, row.number), newest, _apart(c, row.number))


def detail(c: Connection, row: Any) -> tuple[Sequence[str], Mapping[str, Any]]:
    """(lines, data) that ``incident show`` adds: a storm's members, or a member's storm."""
    if row.umbrella is not None:
        return [words.member(incidents.by_number(c, row.umbrella))], {}
    if row.source != table.SOURCE:
        return _stands_for(c, row), {}
    lasting, members = table.still_open(c, row.number), table.members(c, row.number, limit=MOST, open_=False)
    told = [
        {
            "number": one.number,
            "service": one.service,
            "severity": one.severity,
            "status": one.status,
            "title": one.title,
        }
        for one in members
    ]
    open_ = [one for one in members if one.open_key is not None]
    apart = [{"service": service, "number": number} for service, number in _apart(c, row.number).items()]
    return words.listed(row.number, lasting, open_), {"members": told, "members_open": lasting, "apart": apart}


def _stands_for(c: Connection, row: Any) -> list[str]:
    call = table.call_of(c, row.number)
    return [] if call is None else [words.stands_for(call.umbrella, call.service)]


def _apart(c: Connection, number: int) -> Mapping[str, int]:
    """Service → the incident whose own page has called its on-call in a storm."""
    return {one.service: int(one.incident) for one in table.calls(c, number) if one.incident != number}


def retitle(desk: Desk, tx: Tx, number: int) -> None:
    """Let an umbrella's title count its members, unless a person gave it another."""
    row = incidents.by_number(tx.c, number)
    found = table.tallies(tx.c, number)
    title = words.title(found)
    if not found or row.title == title or not words.OURS.fullmatch(row.title):
        return
    t = INCIDENTS()
    same = (t.c.number == number) & (t.c.title == row.title)
    if tx.c.execute(sa.update(t).where(same).values(title=title)).rowcount:
        follow(desk, tx, number)
