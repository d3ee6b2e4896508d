"""What is owed for held alerts: a new decision about each when nothing holds it any more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.effects import Effect, Tx
from handlers.noise.table import HOLDS

AGAIN, LANE = "hold-again", "noise"
AT_ONCE = 500
"""Decisions that are owed in one transaction: nobody who waits to write waits long."""


def release(tx: Tx, holds: Iterable[Any]) -> int:
    """Owe a new decision about what is held, the worst first; how many that are."""
    owed = [
        tx.owe(Effect(_key(one), AGAIN, LANE, None, {"hold": one.id, "turn": one.turn}, urgency=one.rank))
        for one in holds
    ]
    return sum(owed)


def over(tx: Tx, hold: int, outcome: str) -> None:
    """It is held no longer. ``outcome``: what became of it."""
    t = HOLDS()
    still = (t.c.id == hold) & t.c.over_at.is_(None)
    tx.c.execute(t.update().where(still).values(over_at=tx.now, outcome=outcome))


def outcome(tx: Tx, hold: int, said: str) -> None:
    """What became of it is something else than was thought."""
    tx.c.execute(HOLDS().update().where(HOLDS().c.id == hold).values(outcome=said))


def _key(one: Any) -> str:
    """The time is part of it: a row's number may come again once it has been purged."""
    return f"hold:{one.id}:{one.since:.3f}:{one.turn}"
