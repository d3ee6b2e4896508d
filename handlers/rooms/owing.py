"""What is owed for an incident's own channel: the channel itself, what stands in it, and who is asked in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.effects import Effect, State, Tx
from bot.grammar import Asker
from handlers.buckets import EDITS, posts
from handlers.desk import Desk
from handlers.incidents import table, words
from handlers.incidents.rules import Severity

ROOM, PANEL, PIN, TOPIC, LINKS, INVITE, ONCALL = (
    "room", "room-panel", "room-pin", "room-topic", "room-links", "room-invite", "room-oncall",
)  # fmt: skip
FILLING = (PANEL, PIN, TOPIC, LINKS, INVITE, ONCALL)
"""What is done to a channel that stands."""


def wanted(desk: Desk, tx: Tx, row: Any, *, by: str = "") -> None:
    """Owe an incident its channel when its severity gets one by itself, and a private one always.

    ``by``: the Slack id of who opened it.
    """
    automatic = row.private or (Severity(row.severity) in desk.policy.channel_for and not row.test)
    automatic = automatic and row.umbrella is None
    if desk.outside.chat is not None and automatic and not has(tx, row):
        make(tx, row, by=by)


def raised(desk: Desk, tx: Tx, number: int) -> None:
    """The severity is another one: it may get a channel for that, or its channel says so."""
    row = table.by_number(tx.c, number)
    retitle(tx, row)
    if table.is_open(row):
        wanted(desk, tx, row)


def bucket(desk: Desk, row: Any) -> str:
    """Whose pace a message about an incident counts for."""
    return f"post:{row.room}" if row.room else posts(desk, row.service)


def has(tx: Tx, row: Any) -> bool:
    """True when an incident has its channel, or one is on its way or given up: what is stuck is repaired, not doubled."""
    last = table.newest(tx.c, row.number, ROOM)
    return bool(row.room) or (last is not None and last.state not in (State.DONE.value, State.SKIPPED.value))


def make(tx: Tx, row: Any, *, by: str = "", asked: bool = False) -> None:
    """Owe an incident its channel. ``asked``: a person wants it, whether or not the incident is over."""
    key, rank = table.another_key(tx.c, row, ROOM), Severity(row.severity).rank
    tx.owe(Effect(key, ROOM, "slack", row.number, {"by": by, "asked": asked}, urgency=rank + 2))


def fill(desk: Desk, tx: Tx, row: Any, made: str, *, by: str) -> None:
    """Owe what a channel that was just made lacks. ``made``: the key of the effect that made it; ``row`` has its id."""
    args, pace = {"room": row.room}, bucket(desk, row)
    tx.owe(Effect(f"{made}:panel", PANEL, "slack", row.number, args, urgency=3, bucket=pace))
    retitle(tx, row)
    link(tx, row)
    people = [by, *(one.person for one in table.roles(tx.c, row.number))]
    invite(tx, row, people)
    if desk.outside.pager is not None and desk.outside.pager.reads:
        key = table.another_key(tx.c, row, ONCALL)
        # Not in the lane of the pages: a REST API that is down must not hold them back.
        tx.owe(Effect(key, ONCALL, "checks", row.number, {"room": row.room}, urgency=6))


def retitle(tx: Tx, row: Any) -> None:
    """Owe a channel the topic that is true now."""
    if row.room:
        key = table.another_key(tx.c, row, TOPIC)
        tx.owe(Effect(key, TOPIC, "slack", row.number, {"room": row.room}, urgency=6, bucket=EDITS))


def link(tx: Tx, row: Any, *, page: str = "") -> None:
    """Owe a channel the bookmarks that can be made now. ``page``: the address of the incident at PagerDuty."""
    if row.room:
        key = table.another_key(tx.c, row, LINKS)
        tx.owe(Effect(key, LINKS, "slack", row.number, {"room": row.room, "page": page}, urgency=7))


def invite(tx: Tx, row: Any, people: Sequence[str], emails: Sequence[str] = ()) -> None:
    """Owe an invitation into the incident's channel. ``people``: Slack ids; whoever has none is left out."""
    who = [one for one in dict.fromkeys(people) if words.USER.fullmatch(one)]
    if row.room and (who or emails):
        key = table.another_key(tx.c, row, INVITE)
        args = {"room": row.room, "people": who, "emails": list(dict.fromkeys(emails))}
        tx.owe(Effect(key, INVITE, "slack", row.number, args, urgency=4))


def person(asker: Asker) -> str:
    """The Slack id of whoever asks; empty at another door."""
    return asker.id if asker.door == "slack" else ""
