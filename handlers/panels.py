"""Panels are edited once for many changes: a change marks its panel, and whoever edits takes the mark away and then looks."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection


def mark(c: Connection, t: sa.Table, mine: sa.ColumnElement[bool], *, name: str = "panel") -> bool:
    """Mark the panel of the one row ``mine``; True when an edit has to be owed, False when one is on its way.

    ``name``: the column that counts its edits; the one with ``_owed`` behind it is the mark.
    Whoever edits waits for this transaction, or it would look before what changed is committed and nobody would again.
    """
    owing, count = t.c[f"{name}_owed"], t.c[name]
    marking = t.update().where(mine & owing.is_(False)).values({owing: True, count: count + 1})
    if c.execute(marking).rowcount:
        return True
    if c.dialect.name == "sqlite":
        return False  # one writer at a time
    owed = c.execute(sa.select(owing).where(mine).with_for_update()).scalar()
    return owed is False and c.execute(marking).rowcount == 1
