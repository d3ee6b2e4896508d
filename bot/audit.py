"""Append-only record of who did what, each row sealed with the hash of the one before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

GENESIS = "0" * 64


class AuditEntry(SQLModel, table=True):
    """One thing somebody did. ``at`` UNIX seconds; ``detail`` JSON; ``seal`` SHA-256 over the row and the seal before."""

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True)
    at: float
    actor: str
    door: str
    action: str
    subject: str
    detail: str
    before: str
    seal: str


def _seal(before: str, at: float, actor: str, door: str, action: str, subject: str, detail: str) -> str:
    text = json.dumps([before, at, actor, door, action, subject, detail], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def append(
    c: Connection, *, at: float, actor: str, door: str, action: str, subject: str, detail: Mapping[str, Any]
) -> None:
    """Add one entry in the caller's transaction: the deed and its record are committed together or not at all."""
    if c.dialect.name == "postgresql":
        # Two transactions must not both chain onto the same row.
        c.execute(sa.text("select pg_advisory_xact_lock(7311843)"))
    t = AuditEntry.__table__  # type: ignore[attr-defined]
    before = c.execute(sa.select(t.c.seal).order_by(t.c.id.desc()).limit(1)).scalar() or GENESIS
    text = json.dumps(detail, sort_keys=True, ensure_ascii=False, default=str)
    seal = _seal(before, at, actor, door, action, subject, text)
    row = {"at": at, "actor": actor, "door": door, "action": action, "subject": subject, "detail": text}
    c.execute(t.insert().values(**row, before=before, seal=seal))


def done_by(c: Connection, ident: str, subjects: Sequence[str]) -> Sequence[Any]:
    """What one person did to these subjects, oldest first: rows with subject, action and actor. ``ident``: as the door has it."""
    t = AuditEntry.__table__  # type: ignore[attr-defined]
    mine = t.c.subject.in_(subjects) & t.c.actor.endswith(f" ({ident})", autoescape=True)
    found: Sequence[Any] = c.execute(sa.select(t.c.subject, t.c.action, t.c.actor).where(mine).order_by(t.c.id)).all()
    return found


def verify(c: Connection) -> tuple[int, str]:
    """Walk the chain: (entries that hold, "") or (entries before the break, what is wrong with the next)."""
    t = AuditEntry.__table__  # type: ignore[attr-defined]
    before, held = GENESIS, 0
    for row in c.execute(sa.select(t).order_by(t.c.id)):
        if row.before != before:
            return held, f"entry {row.id} does not follow the one before it: something was removed or inserted"
        if row.seal != _seal(before, row.at, row.actor, row.door, row.action, row.subject, row.detail):
            return held, f"entry {row.id} was changed after it was written"
        before, held = row.seal, held + 1
    return held, ""
