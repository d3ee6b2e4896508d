"""Looks every few minutes at the threads themselves: what was marked while nobody listened gets into the timeline, too."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import EFFECTS, FINAL, Effect, Outcome, Performer, Task
from bot.errors import GiveUp, Retry
from bot.integrations.slack import Message
from bot.integrations.slack.said import mentioned
from handlers.desk import Desk
from handlers.incidents.table import INCIDENTS, TIMELINE, over_since
from handlers.posts import chat_of
from handlers.timeline import marks, rules

log = logging.getLogger(__name__)
KIND, LINE, PERIOD = "mark-sweep", "*/5 * * * *", 300
OVER_FOR = 86400.0
"""Seconds after its end for which an incident's thread is still looked at: its post-mortem is written in them."""
MOST = 30
"""Incidents that one run looks at; with more, the runs take turns. Slack lets an app read some fifty threads a minute."""
MOST_LOOKS = 100
"""Looks that one run owes, each a call; what else differs is left to the next."""
RUN_S = 60.0
"""Seconds after which a run begins no more calls."""


def tick(desk: Desk, slot: float) -> None:
    """Owe one run, and forget the runs before."""
    e = EFFECTS()
    with desk.engine.transaction(time.time()) as tx:
        tx.owe(Effect(f"{KIND}:{slot:.0f}", KIND, "reconcile", None, {"slot": slot}, urgency=9))
        before = [f"{KIND}:{slot - n * PERIOD:.0f}" for n in range(1, 13)]
        old = e.c.key.in_(before) & e.c.state.in_([state.value for state in FINAL])
        tx.c.execute(e.delete().where(old))


def performers(desk: Desk) -> list[Performer]:
    """What this file knows to do outside."""
    return [Performer(KIND, lambda task: run(desk, task))]


def run(desk: Desk, task: Task) -> Outcome:
    """Compare threads and timelines, and owe a look at every message in which they differ."""
    chat, began = chat_of(desk), time.monotonic()
    with desk.store.read() as c:
        rows = _turn(_lately(c, now=time.time()), int(float(task.args["slot"]) // PERIOD))
    places = [(row, *place) for row in rows for place in _places(row)]
    found = 0
    for row, where, thread_ts in places:
        if time.monotonic() - began > RUN_S or found >= MOST_LOOKS:
            break
        try:
            seen = chat.messages(where, since=row.opened_at, thread_ts=thread_ts)
        except Retry as e:
            log.warning("marked messages: %s", e.reason)
            break  # the next run looks again
        except GiveUp as e:
            log.warning("marked messages of INC-%d: %s", row.number, e.reason)
            continue
        with desk.store.read() as c:
            # Of a thread that began anew, what was said before is not in this one.
            kept = _kept(c, row.number, where, since=float(thread_ts or 0))
        looks = differing(seen, kept, desk.policy.mark_emoji, whole=where != row.room)
        for ts in itertools.islice(looks, MOST_LOOKS - found):
            marks.ask(desk, where, ts, "", edit=False, now=time.time())
            found += 1
    return Outcome({"looks": found})


def differing(seen: Sequence[Message], kept: Mapping[str, str], emoji: str, *, whole: bool) -> Iterator[str]:
    """The ts of messages about which Slack and the timeline differ. ``kept``: ts → text in the timeline.

    ``whole``: ``seen`` is all there is; of a channel it lacks the answers in threads.
    """
    for message in seen:
        marked, text = rules.is_marked(message, emoji), kept.get(message.ts)
        if marked is not (text is not None):
            yield message.ts
        elif marked and not mentioned(message.text) and text != rules.said(message, {}):
            yield message.ts  # whom it mentions is not known here by name
    if whole:
        there = {message.ts for message in seen}
        yield from (ts for ts, text in kept.items() if ts not in there and text != rules.DELETED)


def _places(row: Any) -> list[tuple[str, str | None]]:
    """(channel, thread) where its messages are: its thread and its own channel, where it has them."""
    thread = [(row.channel, row.thread_ts)] if row.thread_ts else []
    return [*thread, *([(row.room, None)] if row.room else [])]


def _lately(c: Connection, *, now: float) -> Sequence[Any]:
    t = INCIDENTS()
    asked = sa.select(t.c.number, t.c.channel, t.c.thread_ts, t.c.room, t.c.opened_at)
    somewhere = (t.c.thread_ts != "") | (t.c.room != "")
    # Each by its own index: asked for either at once, SQLite would read every incident there ever was.
    each = (t.c.open_key.is_not(None), over_since(now - OVER_FOR))
    rows = [row for wanted in each for row in c.execute(asked.where(wanted, somewhere)).all()]
    return sorted(rows, key=lambda row: -int(row.number))


def _turn(rows: Sequence[Any], turn: int) -> list[Any]:
    """Those that one run looks at, each time beginning with others: one that Slack does not give holds up no other."""
    start = turn * (MOST if len(rows) > MOST else 1)
    return [rows[(start + i) % len(rows)] for i in range(min(len(rows), MOST))]


def _kept(c: Connection, number: int, channel: str, *, since: float) -> dict[str, str]:
    """The messages in an incident's timeline, ts → text, that are no older than ``since`` (UNIX s)."""
    t = TIMELINE()
    mine = (t.c.incident == number) & (t.c.kind == rules.MESSAGE) & (t.c.channel == channel) & (t.c.at >= since)
    return {row.ts: row.text for row in c.execute(sa.select(t.c.ts, t.c.text).where(mine))}
