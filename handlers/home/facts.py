"""What the Home tab of one person shows, read from the database at one instant: no outside service is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot import audit
from bot.grammar import Asker
from handlers.actions import table as action_table
from handlers.desk import Desk
from handlers.flags import table as flag_table
from handlers.home import turns
from handlers.home.turns import Turns
from handlers.incidents import private, stuck, table
from handlers.incidents.stuck import Stuck
from handlers.watchdogs import table as watchdog_table
from handlers.watchdogs import words as watchdog_words

MOST = 200
"""Open incidents that are looked at; a screen shows fewer."""
TOOK = ("incident acknowledge", "incident mitigate")
DECLARED = "incident open"

May = Callable[[str, str], bool]
"""Whether the person may use a command: (subject, verb)."""


@dataclass(frozen=True)
class Facts:
    """All that a Home tab is made of. ``mine``: (row, what I have to do with it); ``others``: the other open ones.

    ``hidden``: the numbers of those of which the person may know that there is one, and nothing else.
    ``owed``: lane → (effects not done, seconds the oldest waits). ``watchdogs``: mrkdwn, or empty.
    """

    user: str
    command: str
    now: float
    may: May
    mine: Sequence[tuple[Any, str]] = ()
    others: Sequence[Any] = ()
    hidden: Collection[int] = ()
    on_call: Turns | None = None
    flags: Sequence[tuple[Any, str]] = ()
    has_flags: bool = False
    actions: Sequence[tuple[Any, str]] = ()
    owed: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    stuck: Sequence[Stuck] = ()
    watchdogs: str = ""


def gather(desk: Desk, user: str, *, may: May) -> Facts:
    """Read them. ``user``: Slack user id."""
    now, me = time.time(), Asker(user, user, "slack", "")
    private.ask(desk, me)
    with desk.store.read() as c:
        rows = sorted(table.open_incidents(c, limit=MOST), key=_worst_first)
        parts = _parts(c, user, rows)
        hidden = {row.number for row in rows if not private.sees(desk, c, row, me)}
        found = private.hushed(desk, c, stuck.stuck(c, now=now), me)
        heard = watchdog_table.states(c, desk.watchdogs)
        clock = desk.store.clock(c)
        flags = [(row, flag_table.trouble(c, row)) for row in flag_table.not_over(c)]
        actions = [(row, action_table.trouble(c, row)) for row in action_table.not_over(c)]
        on_call = turns.known(desk, c, now=now)
    return Facts(
        user=user,
        command=desk.command,
        now=now,
        may=may,
        mine=[(row, parts[row.number]) for row in rows if row.number in parts],
        others=[row for row in rows if row.number not in parts],
        hidden=hidden,
        on_call=on_call,
        flags=flags,
        has_flags=bool(desk.flags),
        actions=actions,
        owed=desk.engine.owed(),
        stuck=found,
        watchdogs=watchdog_words.home(desk.watchdogs, heard, now=clock) if desk.watchdogs else "",
    )


def _worst_first(row: Any) -> tuple[bool, str, int]:
    return bool(row.test), str(row.severity), -int(row.number)


def _parts(c: Connection, user: str, rows: Sequence[Any]) -> Mapping[int, str]:
    """Number → what the person has to do with it, of the incidents they have a role in, have taken or have declared."""
    by_ref = {f"INC-{row.number}": row for row in rows}
    made: dict[int, list[str]] = {}
    for deed in audit.done_by(c, user, list(by_ref)):
        row, name = by_ref[deed.subject], deed.actor.rpartition(" (")[0]
        if deed.action in TOOK and row.acked_by == name and row.status != "triggered":
            made.setdefault(row.number, []).append("you have it")
        elif deed.action == DECLARED:
            made.setdefault(row.number, []).append("you declared it")
    t = table.ROLES()
    mine = (t.c.person == user) & t.c.incident.in_([row.number for row in rows])
    for one in c.execute(sa.select(t.c.incident, t.c.role).where(mine).order_by(t.c.given_at)).all():
        made.setdefault(one.incident, []).append(f"you are {one.role}")
    return {number: ", ".join(dict.fromkeys(said)) for number, said in made.items()}
