"""By the clock: open incidents that should have a line and were never given one, because the digest was named after they opened."""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import EFFECTS
from handlers.desk import Desk
from handlers.digest.follow import follow
from handlers.incidents.table import INCIDENTS

LINE = "*/5 * * * *"
MOST = 100
"""Lines that are owed in one turn; the next turn owes the rest."""


def tick(desk: Desk, _slot: float) -> None:
    """Owe a line for each of them. Those whose line was given up wait for a change or a repair."""
    with desk.store.read() as c:
        numbers = lineless(desk, c)
    for number in numbers:
        # A transaction each: alerts that come in meanwhile wait for one of them at most.
        with desk.engine.transaction(time.time()) as tx:
            follow(desk, tx, number)


def lineless(desk: Desk, c: Connection) -> list[int]:
    """The numbers of open incidents for which no line was ever owed, oldest first."""
    t, e = INCIDENTS(), EFFECTS()
    owed = sa.select(e.c.key).where(e.c.about == t.c.number, e.c.kind == "digest").exists()
    severities = [one.value for one in desk.policy.digest_severities]
    never = t.c.open_key.is_not(None) & t.c.test.is_(False) & t.c.private.is_(False) & t.c.severity.in_(severities)
    never &= t.c.umbrella.is_(None)
    return [
        int(n) for n in c.execute(sa.select(t.c.number).where(never, ~owed).order_by(t.c.number).limit(MOST)).scalars()
    ]
