"""Where something about an incident may be said: the one place that decides it, and that refuses rather than tell too many."""

from __future__ import annotations

from typing import Any


def place(row: Any, *, thread: bool = False) -> tuple[str, str | None] | None:
    """(channel, thread) to say something about an incident in; None where there is no such place (yet).

    Its own channel where it has one, else its thread. ``thread``: what belongs into the thread all the same. A private
    incident has its own channel and nothing else, whatever is asked for.
    """
    if row.private:
        return (row.room, None) if row.room else None
    if row.room and not thread:
        return row.room, None
    return (row.channel, row.thread_ts) if row.thread_ts else None
