"""What people ask through Slack: stored before it is acknowledged, done once, done after a kill if it was not."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

from bot.store import by

STALE = 900.0
"""Seconds after which a request that a kill left undone is not done any more: the person has long asked again."""

LASTING = ("jira", "deploy")
"""Kinds that nobody asks again for: a service was told that they are stored, and what they mean is looked up when they are done."""
VERDICT = 1000
"""Characters of a verdict that are kept."""


class InboxRow(SQLModel, table=True):
    """One request. ``key`` is the door's own id of it, so that a redelivery is not a second request."""

    __tablename__ = "inbox"

    key: str = Field(primary_key=True)
    received_at: float
    kind: str
    payload: str
    done_at: float | None = None
    verdict: str = ""


@dataclass(frozen=True)
class Request:
    """A stored request on its way to a handler. ``payload`` is plain JSON, and in no log: people wrote it."""

    key: str
    received_at: float
    kind: str
    payload: dict[str, Any] = field(repr=False)


def INBOX() -> sa.Table:  # noqa: N802 - it is the table
    """The inbox's table, for SQL."""
    return InboxRow.__table__  # type: ignore[attr-defined,no-any-return]


def write(c: Connection, deliveries: Sequence[Sequence[Any]]) -> list[list[Request]]:
    """Store requests; for each delivery, those that are new. Plain SQL: a person waits for this commit."""
    mark = "%s" if c.dialect.name == "postgresql" else "?"
    sql = (
        f"INSERT INTO inbox (key, received_at, kind, payload) VALUES ({mark}, {mark}, {mark}, {mark}) "  # noqa: S608
        "ON CONFLICT (key) DO NOTHING"
    )
    made: list[list[Request]] = []
    for requests in deliveries:
        new = []
        for r in requests:
            values = (r.key, r.received_at, r.kind, json.dumps(r.payload, ensure_ascii=False))
            if c.exec_driver_sql(sql, values).rowcount == 1:
                new.append(r)
        made.append(new)
    return made


def undone(c: Connection, before: float) -> list[Request]:
    """Requests stored by ``before`` (UNIX s) that a kill left undone and that are not stale."""
    t = INBOX()
    wanted = (t.c.received_at > time.time() - STALE) | t.c.kind.in_(LASTING)
    open_ = t.c.done_at.is_(None) & wanted & by(t.c.received_at, before)
    rows = c.execute(sa.select(t).where(open_).order_by(t.c.received_at)).all()
    return [Request(row.key, row.received_at, row.kind, json.loads(row.payload)) for row in rows]


def done(c: Connection, key: str, *, at: float, verdict: str) -> None:
    """Mark a request as done, with what was decided about it."""
    c.execute(INBOX().update().where(INBOX().c.key == key).values(done_at=at, verdict=verdict[:VERDICT]))
