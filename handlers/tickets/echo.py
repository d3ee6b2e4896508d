"""Which of what Jira tells is our own doing, and which came too late to count: pure, given what we did and what we heard."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.integrations.jira.text import plain

AROUND = 120.0
"""Seconds by which Jira's clock and ours may differ."""
STANDING = ("status", "priority")
"""The fields that drive an incident: of each the newest change by its own time counts, in whatever order they arrive."""


@dataclass(frozen=True)
class Done:
    """Something that we did to a ticket, or are doing. ``began`` and ``ended``: UNIX s; ``ended`` is None while it lasts.

    ``statuses``: ids of those it took the ticket to. ``summary``, ``priority``: what it set. Each is None while that cannot
    be told, as while it lasts or after a kill. ``text``: of a comment.
    """

    kind: str
    began: float
    ended: float | None = None
    statuses: Collection[str] | None = ()
    summary: str | None = ""
    priority: str | None = ""
    text: str = ""

    def at(self, when: float) -> bool:
        """True when it may have been done at that time."""
        return self.began - AROUND <= when and (self.ended is None or when <= self.ended + AROUND)


@dataclass(frozen=True)
class Heard:
    """A change of one field that is known. ``order``: Jira's own number of the change, which grows."""

    name: str
    at: float
    order: int


def ours(item: Mapping[str, Any], *, by: str, at: float, me: str, done: Sequence[Done]) -> bool:
    """True when we made this change of a field.

    The account alone does not tell: a person may share it, and what they do counts. What we did is in our ledger; what
    another account did is theirs, even when it is what we were about to do. ``me``: our account's id, empty when unknown.
    """
    if me and by and by != me:
        return False
    field, to = item["field"], item["to"]
    mine = [one for one in done if one.at(at)]
    if field in ("status", "resolution"):
        moves = [one for one in mine if one.kind == "move"]
        return any(field == "resolution" or one.statuses is None or to in one.statuses for one in moves)
    if field == "priority":
        return any(one.kind == "edit" and one.priority in (None, to) for one in mine)
    if field == "summary":
        return any(one.kind == "edit" and one.summary in (None, item["to_text"]) for one in mine)
    return False


def our_comment(text: str, *, by: str, me: str, done: Sequence[Done]) -> bool:
    """True when it is a comment of ours: it ends with our incident and our time, so no time needs to be compared."""
    if me and by and by != me:
        return False
    said = _bare(text)
    return any(one.kind == "note" and _bare(one.text) == said for one in done)


def _bare(text: str) -> str:
    """A comment without what Jira and we write in different ways: its spaces, what is escaped, and mentions."""
    return " ".join(plain(text).replace("\\", "").split())


def late(field: str, *, at: float, order: int, known: Sequence[Heard]) -> bool:
    """True when a newer change of the same field is known. Changes of one millisecond go by their number."""
    mine = [one for one in known if one.name == field]
    return any((one.at, one.order) > (at, order) for one in mine)
