"""Tells everybody how an incident stands: thread, timeline, panel, digest and ticket; and when they hear the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from bot.effects import EFFECTS, Tx
from bot.errors import Refused
from bot.grammar import Asker
from bot.integrations.slack.words import escape
from handlers.desk import Desk
from handlers.digest import follow
from handlers.flags.rules import seconds_of
from handlers.incidents import decide, latest, remind, rules, table, words
from handlers.incidents.rules import Status
from handlers.incidents.table import INCIDENTS
from handlers.tickets import owed as tickets

LONGEST = 3000
"""Characters of an update; Slack's form takes no more either."""
LONGEST_PROMISE = 7 * 86400.0
"""Seconds for which the next update can be promised at most."""
PIECE = 550
"""Characters of an update in one block where it is too long for one: however many of them are escaped, they fit."""


def update(desk: Desk, asker: Asker, number: int, text: str, *, promised: float, now: float) -> str:
    """Tell how an incident stands; what follows, as a sentence. ``promised``: s until the next is due; 0 promises none.

    Raises Refused. The same request asked twice tells it once.
    """
    said = text.strip()
    wrong = fault(said)
    if wrong:
        raise Refused(wrong)
    name = f"update:{rules.incident_uid(asker.key)}"
    with desk.engine.transaction(now) as tx:
        row = table.locked(tx.c, number)
        if row.status == Status.CLOSED.value:
            raise Refused(closed(number))
        if _known(tx, f"{row.uid}:note:{name}"):
            return "your update is told already."
        due = now + promised if promised and table.is_open(row) else None
        values = {"update_text": said, "update_at": now, "update_by": asker.name, "next_update_at": due}
        tx.c.execute(INCIDENTS().update().where(INCIDENTS().c.number == number).values(**values))
        table.add_event(tx.c, incident=number, at=now, kind="update", actor=asker.name, text=said)
        detail = {"text": "of a private incident" if row.private else said, "next": due}
        decide.record(tx, asker, "incident update", number, detail)
        row = table.by_number(tx.c, number)
        decide.say(desk, tx, row, name, *_told(row), once=True)
        if Status(row.status) in (Status.ACKNOWLEDGED, Status.MITIGATED):
            remind.arm(desk, tx, row, Status(row.status))
        places = _places(desk, tx, row, ticket=_comment(desk, tx, row))
        decide.show(desk, tx, number)
        return _follows(row, places, promised=promised, when=latest.clock if asker.door == "slack" else latest.utc)


def fault(text: str) -> str:
    """What is wrong with the text of an update; empty when nothing is."""
    if not text.strip():
        return (
            'Say how it stands: `incident update "the cache is warm again, latency falls"`. Nobody was told anything.'
        )
    if len(text.strip()) > LONGEST:
        return f"That has {len(text.strip())} characters; an update takes {LONGEST}. Nobody was told anything."
    return ""


def closed(number: int) -> str:
    """Why nothing more is told of an incident."""
    return f"INC-{number} is closed, so nothing more is told of it. `incident reopen INC-{number}` comes first."


def promised(text: str) -> float:
    """The seconds of ``--next``; 0 without it. Raises Refused."""
    if not text:
        return 0.0
    seconds = seconds_of(text)
    if seconds is None or not 0 < seconds <= LONGEST_PROMISE:
        most = words.duration(LONGEST_PROMISE)
        raise Refused(f"--next must be a length of time up to {most}, such as 30m; it is '{text[:40]}'.")
    return seconds


def _known(tx: Tx, key: str) -> bool:
    return tx.c.execute(sa.select(EFFECTS().c.key).where(EFFECTS().c.key == key)).scalar() is not None


def _told(row: Any) -> tuple[str, words.Blocks]:
    """The message in the thread. (text, blocks)."""
    text = escape(row.update_text)
    head = f"*Update* by {escape(row.update_by)}:"
    pieces = [f"{head} {text}"]
    if len(pieces[0]) > 2900:
        raw = row.update_text
        pieces = [head, *(escape(raw[i : i + PIECE]) for i in range(0, len(raw), PIECE))]
    blocks: words.Blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": one}} for one in pieces]
    due = latest.promise(row, now=row.update_at)
    if due:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": due}]})
    return f"{head} {text}{f' {due}' if due else ''}", blocks


def _comment(desk: Desk, tx: Tx, row: Any) -> str:
    """Owe the comment on the ticket, where there is one to be; its key there as far as it is known, or empty."""
    due = f"\nNext update by {latest.utc(row.next_update_at)}." if row.next_update_at is not None else ""
    said = f"Update by {row.update_by}: {row.update_text}{due}"
    if desk.outside.tracker is None or row.private or not tickets.ticket_note(tx, row, said):
        return ""
    return row.ticket_key or "the ticket"


def _places(desk: Desk, tx: Tx, row: Any, *, ticket: str) -> list[str]:
    """Where it is told."""
    found = (["its channel"] if row.room else ["its thread"]) if desk.outside.chat is not None else []
    if row.umbrella is not None and not row.thread_ts and not row.room:
        found = []  # it is folded into a storm
    if ticket:
        found.append(escape(ticket))
    if follow.shown(desk, tx.c, row):
        found.append("the digest")
    return [*found, "the timeline"]


def _follows(row: Any, places: list[str], *, promised: float, when: Callable[[float], str]) -> str:
    said = f"your update is in {', '.join(places[:-1])} and {places[-1]}." if places[1:] else "it is in the timeline."
    if row.next_update_at is not None:
        reminds = "; I remind the thread then" if places[0] in ("its thread", "its channel") else ""
        if reminds and row.status == Status.TRIGGERED.value:
            reminds += ", once somebody has it"
        return f"{said} The next is promised by {when(row.next_update_at)}{reminds}."
    if promised:
        return f"{said} It is {row.status}, so no next one is promised."
    return said
