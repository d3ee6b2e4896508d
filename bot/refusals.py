"""The journal of what was not taken: payloads that were refused, with the reason, so that nobody has to guess where they went."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

from bot.gate import Turn
from bot.grammar import plain
from bot.store import GroupCommit, Store
from bot.tally import Count, Tally

MAX_PAYLOAD = 65_536
"""Bytes of a payload that are kept."""
MAX_REASON = 2000
WINDOW = 60.0
"""Seconds over which a source's share of the disk is counted."""
OFTEN = 100
"""Different reasons that are counted when there are too many to write each of them down."""


@dataclass(frozen=True)
class Share:
    """What one source may write in a window: rows, and bytes of payloads."""

    rows: int
    size: int


KNOWN = Share(rows=600, size=1_048_576)
"""Somebody who has shown the secret: room for every alert of a bad hour, and an end to what a mad sender can fill."""
STRANGER = Share(rows=1, size=0)
"""Somebody who has not: one row a minute says that he is there, and none of what he sent is kept."""


class RefusalRow(SQLModel, table=True):
    """Something that was refused.

    ``received_at`` UNIX s; ``status`` the HTTP status the sender saw, 202 for a single alert of a body that was taken otherwise;
    ``payload`` the text that came, cut, or empty.
    """

    __tablename__ = "refusals"

    id: int | None = Field(default=None, primary_key=True)
    received_at: float = Field(index=True)
    source: str
    status: int
    reason: str
    payload: str = ""


@dataclass(frozen=True)
class Refusal:
    """Something refused, on its way into the journal. ``stranger``: it came without the secret."""

    at: float
    source: str
    status: int
    reason: str
    payload: str | bytes = ""
    stranger: bool = False


@dataclass
class _Window:
    began: float
    rows: int = 0
    size: int = 0


class Refusals:
    """Writes refusals down, many in one commit; what is too much for the disk is counted and written as a sum.

    ``window``: seconds of a share, and between two sums.
    """

    def __init__(self, store: Store, *, window: float = WINDOW) -> None:
        self._window = window
        self._shares: dict[tuple[str, bool], _Window] = {}
        self._lock = threading.Lock()
        # Nobody's page waits for these: the alerts that are taken go first.
        self._commits = GroupCommit(store, _write, lambda _results: None, turn=Turn.LATER)
        self._sums: Tally[tuple[str, int, str]] = Tally(store, _write_sums, name="refusals", every=window, most=OFTEN)

    def start(self) -> None:
        self._commits.start()
        self._sums.start()

    def stop(self, deadline: float) -> None:
        """Write what is queued, if the database answers at once; waits until ``deadline`` (monotonic s) at most."""
        self._commits.stop(min(deadline, time.monotonic() + 1.0))
        self._sums.stop(deadline)

    def put(self, refusals: Sequence[Refusal], done: Callable[[], None] = lambda: None) -> None:
        """Journal refusals; ``done`` is called, on another thread or on this one, when they are written or cannot be."""
        rows = [row for refusal in refusals if (row := self._row(refusal)) is not None]
        if rows:
            self._commits.put(rows, lambda _result, _error: done())
        else:
            done()

    def count(self, refusal: Refusal) -> None:
        """Count a refusal without a row of its own: there are too many, or the database is away now."""
        self._sums.note([(refusal.source, refusal.status, plain(refusal.reason[:MAX_REASON]))], refusal.at)

    def _row(self, refusal: Refusal) -> tuple[Any, ...] | None:
        """The row to write, or None when it was counted instead."""
        share = STRANGER if refusal.stranger else KNOWN
        kept = "" if refusal.stranger else cut(refusal.payload)
        with self._lock:
            used = self._shares.get((refusal.source, refusal.stranger))
            if used is None or not 0 <= refusal.at - used.began < self._window:
                used = self._shares[refusal.source, refusal.stranger] = _Window(refusal.at)
            full = used.rows >= share.rows
            if not full:
                used.rows += 1
                size = len(kept.encode())
                kept, size = (kept, size) if used.size + size <= share.size else ("", 0)
                used.size += size
        if full:
            self.count(refusal)
            return None
        return refusal.at, refusal.source, refusal.status, plain(refusal.reason[:MAX_REASON]), kept


def cut(payload: str | bytes) -> str:
    """The first 64 kB of a payload, as text that every database takes."""
    if isinstance(payload, str):
        payload = payload[:MAX_PAYLOAD].encode("utf-8", "replace")
    # What is no UTF-8 grows as it is replaced, and a character may be cut in half: hence cut twice.
    text = plain(payload[:MAX_PAYLOAD].decode("utf-8", "replace"))
    return text.encode()[:MAX_PAYLOAD].decode("utf-8", "ignore")


def REFUSALS() -> sa.Table:  # noqa: N802 - it is the table
    """The refusals' table, for SQL."""
    return RefusalRow.__table__  # type: ignore[attr-defined,no-any-return]


def _write(c: Connection, entries: Sequence[Sequence[Any]]) -> list[None]:
    names = ("received_at", "source", "status", "reason", "payload")
    rows = [dict(zip(names, row, strict=True)) for entry in entries for row in entry]
    c.execute(REFUSALS().insert(), rows)
    return [None] * len(entries)


def _write_sums(c: Connection, sums: Mapping[tuple[str, int, str], Count]) -> Collection[tuple[str, int, str]]:
    rows = []
    for (source, status, reason), count in sums.items():
        last = time.strftime("%H:%M:%S", time.gmtime(count.last))
        said = f"{reason} (this one and {count.n - 1} more like it, the last at {last} UTC)" if count.n > 1 else reason
        rows.append({"received_at": count.first, "source": source, "status": status, "reason": said, "payload": ""})
    c.execute(REFUSALS().insert(), rows)
    return ()
