"""Panels are edited once for many changes: a change marks its panel, and whoever edits takes the mark away and then looks."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection


def mark(c: Connection, t: sa.Table, mine: sa.ColumnElement[bool]) -> bool:
    """Mark the panel of the one row ``mine``; True when an edit has to be owed, False when one is on its way.

    Whoever edits waits for this transaction, or it would look before what changed is committed and nobody would again.
    """
    marking = t.update().where(mine & t.c.panel_owed.is_(False)).values(panel_owed=True, panel=t.c.panel + 1)
    if c.execute(marking).rowcount:
        return True
    if c.dialect.name == "sqlite":
        return False  # one writer at a time
    owed = c.execute(sa.select(t.c.panel_owed).where(mine).with_for_update()).scalar()
    return owed is False and c.execute(marking).rowcount == 1
