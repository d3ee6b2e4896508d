"""What an incident shows of deploys: those of its service that may have to do with it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from handlers.deploys import table, words
from handlers.incidents.words import Blocks

BEFORE_S = 2 * 3600.0
"""Seconds before an incident in which a deploy may be its cause."""
MOST = 3


def lines(c: Connection, row: Any, *, since: float, now: float) -> list[str]:
    """The deploys of an incident's service since then (UNIX s), a line each, the newest first; mrkdwn."""
    found = table.lately(c, row.service, since=since, limit=MOST)
    return words.recent(found, row.environment, now)


def blocks(c: Connection, row: Any, *, now: float) -> Blocks:
    """The same for the panel of an incident that is open; nothing for nearly all of them."""
    if row is None or row.open_key is None:
        return []
    said = lines(c, row, since=row.opened_at - BEFORE_S, now=now)
    return [{"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(said)}}] if said else []
