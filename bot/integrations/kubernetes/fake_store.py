"""What the API server remembers: objects under one revision counter, a bounded history, and who wants to hear of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.integrations.kubernetes.fake_fields import Ownership, from_wire

Body = dict[str, Any]
Table = tuple[str, str]
"""API group and plural."""
Place = tuple[str, str]
"""Namespace ("" for cluster scope) and name."""

HISTORY = 2000
"""Changes kept; an older resourceVersion is answered with 410 Gone."""


@dataclass(frozen=True)
class Record:
    """One object. ``body`` has no apiVersion, kind or managedFields and is never changed in place."""

    body: Body
    owners: tuple[Ownership, ...] = ()

    @property
    def meta(self) -> Body:
        meta: Body = self.body["metadata"]
        return meta

    @property
    def place(self) -> Place:
        return self.meta.get("namespace", ""), self.meta["name"]


@dataclass(frozen=True)
class Change:
    """ADDED, MODIFIED or DELETED at a revision. ``record`` after it (or as it was last), ``before`` None when added."""

    revision: int
    type: str
    table: Table
    record: Record
    before: Record | None


@dataclass
class Store:
    """Safe to use from any thread; hold ``lock`` around a read and the write that depends on it."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    revision: int = 1
    floor: int = 0  # the newest revision whose change is forgotten
    tables: dict[Table, dict[Place, Record]] = field(default_factory=dict)
    history: deque[Change] = field(default_factory=deque)
    heard: list[Callable[[Change], None]] = field(default_factory=list)

    def get(self, table: Table, place: Place) -> Record | None:
        return self.tables.get(table, {}).get(place)

    def put(self, table: Table, body: Body, owners: tuple[Ownership, ...]) -> Record:
        """Store an object under the next revision."""
        with self.lock:
            self.revision += 1
            record = Record({**body, "metadata": {**body["metadata"], "resourceVersion": str(self.revision)}}, owners)
            rows = self.tables.setdefault(table, {})
            before = rows.get(record.place)
            rows[record.place] = record
            self._log(Change(self.revision, "MODIFIED" if before else "ADDED", table, record, before))
            return record

    def drop(self, table: Table, place: Place) -> Record | None:
        with self.lock:
            before = self.tables.get(table, {}).pop(place, None)
            if before is None:
                return None
            self.revision += 1
            body = {**before.body, "metadata": {**before.meta, "resourceVersion": str(self.revision)}}
            last = Record(body, before.owners)
            self._log(Change(self.revision, "DELETED", table, last, before))
            return last

    def _log(self, change: Change) -> None:
        self.history.append(change)
        if len(self.history) > HISTORY:
            self.floor = self.history.popleft().revision
        for hear in tuple(self.heard):
            hear(change)

    def compact(self) -> None:
        """Forget all changes so far, as etcd does every five minutes."""
        with self.lock:
            self.floor = self.revision
            self.history.clear()

    def since(self, revision: int, table: Table) -> list[Change]:
        """Changes after a revision, oldest first; only right when ``revision >= floor``."""
        with self.lock:
            out: list[Change] = []
            for change in reversed(self.history):
                if change.revision <= revision:
                    break
                if change.table == table:
                    out.append(change)
            return out[::-1]

    def at(self, revision: int, table: Table) -> dict[Place, Record]:
        """A table as it was; only right when ``revision >= floor``."""
        with self.lock:
            rows = dict(self.tables.get(table, {}))
            for change in reversed(self.since(revision, table)):
                place = change.record.place
                if change.before is None:
                    rows.pop(place, None)
                else:
                    rows[place] = change.before
            return rows

    def every(self) -> Iterator[tuple[Table, Record]]:
        with self.lock:
            for table, rows in list(self.tables.items()):
                for record in list(rows.values()):
                    yield table, record

    def dump(self) -> dict[str, Any]:
        with self.lock:
            rows = [
                {"group": t[0], "plural": t[1], "body": r.body, "owners": [o.wire() for o in r.owners]}
                for t, r in self.every()
            ]
            return {"revision": self.revision, "objects": rows}

    def load(self, data: dict[str, Any]) -> None:
        """Take over a dump; the history starts anew, so that older watches are told 410."""
        with self.lock:
            self.tables.clear()
            self.history.clear()
            self.revision = self.floor = data["revision"]
            for row in data["objects"]:
                record = Record(row["body"], tuple(from_wire(one) for one in row["owners"]))
                self.tables.setdefault((row["group"], row["plural"]), {})[record.place] = record
