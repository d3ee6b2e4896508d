"""Who is on call, for the Home tab: PagerDuty is asked beside it, at most once a minute for everybody, and remembered."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import EFFECTS, Effect, Outcome, Performer, State, Task, Tx
from bot.errors import GiveUp
from handlers.desk import Desk
from handlers.oncall import words
from handlers.oncall.commands import answered

SLOT = 60.0
"""Seconds in which PagerDuty is asked once, whoever opens their Home tab."""
KEPT = 30
"""Slots for which an answer is shown, with its age, while there is no newer one."""
LOOK, LANE = "oncall-look", "looks"


@dataclass(frozen=True)
class Turns:
    """What is known. ``at``: UNIX s of the answer, or None; ``answers``: as ``words.data`` has them, a service each.

    ``asking``: PagerDuty is being asked. ``why``: why it did not answer the last time, or empty.
    """

    at: float | None = None
    answers: Sequence[Mapping[str, Any]] = ()
    asking: bool = False
    why: str = ""
    reads: bool = True


def known(desk: Desk, c: Connection, *, now: float) -> Turns | None:
    """What was last answered, as far as it is not too old; None when there is no PagerDuty to ask."""
    pager = desk.outside.pager
    if pager is None or not pager.reads:
        return None if pager is None else Turns(reads=False)
    t = EFFECTS()
    keys = [_key(now - n * SLOT) for n in range(KEPT)]
    rows = c.execute(sa.select(t).where(t.c.key.in_(keys)).order_by(t.c.created_at.desc())).all()
    done = next((row for row in rows if row.state == State.DONE.value), None)
    last = rows[0] if rows else None
    failing = last is not None and last.state in (State.RETRYING.value, State.GAVE_UP.value)
    result = json.loads(done.result) if done is not None else {}
    return Turns(
        at=result.get("at"),
        answers=result.get("answers", ()),
        asking=done is None and not (last is not None and last.state == State.GAVE_UP.value),
        why=str(last.reason) if failing and last is not None else "",
    )


def refresh(desk: Desk, tx: Tx, user: str, key: str, *, drawn: float) -> None:
    """Have PagerDuty asked, unless somebody has just done so, and the tab drawn anew when it has answered or has not.

    ``key``: the request's own. ``drawn``: UNIX s at which the tab was begun to be drawn: an answer since is not in it.
    """
    pager = desk.outside.pager
    if pager is None or not pager.reads or desk.outside.chat is None:
        return
    t = EFFECTS()
    fresh = (_key(tx.now), _key(tx.now - SLOT))
    done = t.c.key.in_(fresh) & (t.c.state == State.DONE.value)
    answered_at = tx.c.execute(sa.select(sa.func.max(t.c.done_at)).where(done)).scalar()
    if answered_at is not None:
        if answered_at >= drawn:
            again(tx, user, key)
        return
    tx.owe(Effect(fresh[0], LOOK, LANE, None, urgency=1))
    again(tx, user, key, after=fresh[0])


def again(tx: Tx, user: str, key: str, *, after: str | None = None) -> None:
    """Owe the tab of one person anew. ``key``: the request's own, so that it is drawn once for it."""
    tx.owe(Effect(f"home:{key}", "home", LANE, None, {"user": user}, urgency=2, after=after))


def performers(desk: Desk) -> list[Performer]:
    """What this file owes to the outside."""
    return [Performer(LOOK, lambda task: look(desk, task))]


def look(desk: Desk, task: Task) -> Outcome:
    """Ask PagerDuty who is on call for every service. In a lane of its own: nothing waits for the answer."""
    pager, now = desk.outside.pager, time.time()
    if pager is None:
        raise GiveUp("the pagerduty: section is missing in captain.yml")
    if now - task.created_at > KEPT * SLOT:
        return Outcome(skipped="nobody waits for it any more")
    answers = answered(desk, pager, sorted(desk.services), now=now)
    return Outcome({"at": now, "answers": [words.data(one) for one in answers]})


def _key(at: float) -> str:
    return f"oncall:{int(at // SLOT)}"
