"""The verbs about timelines: a note into it, a look at it, and a copy of it to take away."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.config import nearest
from bot.effects import EFFECTS, Effect, Outcome, Performer, Task, Tx
from bot.errors import Refused
from bot.grammar import Asker, Reply, Verb
from bot.integrations.slack.said import plain
from bot.integrations.slack.words import escape
from handlers.buckets import posts
from handlers.desk import Desk
from handlers.incidents import commands, decide, owing, private, table
from handlers.incidents.rules import Status
from handlers.posts import upload_once
from handlers.rooms.place import place
from handlers.tickets import owed as ticket_owed
from handlers.tickets import rules as tickets
from handlers.timeline import rules, words

EXPORT = "export"
MOST = 100_000
"""Lines of a timeline that are exported: all, in any life that an incident has had."""
OVER = (Status.RESOLVED,)


class Format(StrEnum):
    """How a timeline is taken away."""

    MD = "md"
    JSON = "json"


def note(
    desk: Desk,
    asker: Asker,
    *text: str,
    of: Annotated[str, "INCIDENT"] = "",
    service: str = "",
) -> Reply:
    """Write a note into the timeline and the thread; with --service into every open incident of one, such as a deploy."""
    # What Slack makes of mentions and links is not how a person reads them.
    typed = plain(" ".join(text), {}) if asker.door == "slack" else " ".join(text)
    said = " ".join(typed.split())
    if not said:
        raise Refused('Say what is to be noted: `incident note "rolled back to 1.4.2"`. Nothing was noted.')
    if of and service:
        raise Refused("Name an incident with --of or a service with --service, not both. Nothing was noted.")
    now = time.time()
    if service:
        return _note_all(desk, asker, said, service, now=now)
    with desk.store.read() as c:
        row = _meant(desk, c, asker, of)
    _note(desk, asker, row.number, said, now=now)
    return Reply(f"Noted in INC-{row.number}: {escape(said)}", data={"incidents": [row.number]})


def _note_all(desk: Desk, asker: Asker, said: str, service: str, *, now: float) -> Reply:
    """Whoever deploys does not know what burns: it is noted wherever the service does."""
    if service not in desk.services:
        raise Refused(f"I know no service '{service[:80]}'.{nearest(service, list(desk.services))}")
    with desk.store.read() as c:
        rows = [table.by_number(c, number) for number in table.open_of(c, service)]
        numbers = [row.number for row in rows if private.sees(desk, c, row, asker)]
    for number in numbers:
        _note(desk, asker, number, said, now=now)
    names = ", ".join(f"INC-{number}" for number in numbers)
    text = f"Noted in {names}: {escape(said)}" if numbers else f"No incident of {service} is open: nothing was noted."
    return Reply(text, data={"incidents": numbers})


def _note(desk: Desk, asker: Asker, number: int, said: str, *, now: float) -> None:
    """One note; asked twice under one key it is one."""
    name = f"noted:{_short(asker.key)}"
    with desk.engine.transaction(now) as tx:
        row = table.locked(tx.c, number)
        if _owed(tx, f"{row.uid}:note:{name}"):
            return
        table.add_event(tx.c, incident=number, at=now, kind=rules.NOTE, actor=asker.name, text=said)
        decide.record(tx, asker, "incident note", number, {"text": said[:500]})
        decide.say(desk, tx, row, name, words.noted(asker.name, said), once=True)
        if table.is_open(row) and not row.private:
            owing.page_note(desk, tx, row, asker, said)
        if tickets.settings(desk).comments:
            ticket_owed.ticket_note(tx, row, f"{asker.name}: {said}")


def timeline(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """Show what happened, with absolute times, the newest lines; what people noted and marked is in it."""
    with desk.store.read() as c:
        row = _meant(desk, c, asker, incident)
        events, count, roles = (
            table.latest_events(c, row.number, limit=words.LINES),
            _count(c, row.number),
            table.roles(c, row.number),
        )
    text, blocks = words.shown(row, events, of=count)
    return Reply(text, blocks, data=words.data(row, events, roles) | {"lines": count})


def export(desk: Desk, asker: Asker, incident: str = "", *, format_: Annotated[Format, "MD/JSON"] = Format.MD) -> Reply:
    """Take the whole timeline away as Markdown or JSON; in Slack as a file in the incident's thread."""
    with desk.store.read() as c:
        row = _meant(desk, c, asker, incident)
    if asker.door != "slack" or desk.outside.chat is None:
        text, told = _document(desk, row.number, format_)
        return Reply(escape(text), data=told)
    where = place(row)
    if where is None:
        raise Refused(
            f"INC-{row.number} has no thread to send a file to. `captain incident export {row.number}` prints it."
        )
    with desk.engine.transaction(time.time()) as tx:
        key, args = f"{row.uid}:{EXPORT}:{_short(asker.key)}", {"format": format_.value}
        tx.owe(Effect(key, EXPORT, "slack", row.number, args, urgency=5, bucket=posts(desk, row.service)))
    return Reply(f"The timeline of INC-{row.number} follows in its thread as a file.", data={"incident": row.number})


def performers(desk: Desk) -> list[Performer]:
    """What this file owes to the outside."""
    return [Performer(EXPORT, lambda task: _send(desk, task))]


def _send(desk: Desk, task: Task) -> Outcome:
    with desk.store.read() as c:
        row = table.by_number(c, task.about or 0)
    where = None if row is None else place(row)
    if where is None:
        return Outcome(skipped="there is no thread to send it to")
    kind = Format(task.args["format"])
    (content, _), name = _document(desk, row.number, kind), f"timeline-INC-{row.number}"
    upload_once(
        desk, task, where[0], name=name, suffix=kind.value, content=content.encode(), title=f"Timeline of INC-{row.number}",
        text=f"The timeline of INC-{row.number} as it is now.", thread_ts=where[1],
    )  # fmt: skip
    return Outcome({"channel": where[0]})


def _document(desk: Desk, number: int, kind: Format) -> tuple[str, dict[str, Any]]:
    """The whole timeline as a document, and as plain JSON."""
    with desk.store.read() as c:
        row = table.by_number(c, number)
        events, roles = table.timeline(c, number, limit=MOST), table.roles(c, number)
    told = words.data(row, events, roles)
    return words.as_json(told) if kind is Format.JSON else words.as_markdown(row, events, roles), told


def _meant(desk: Desk, c: Connection, asker: Asker, ref: str) -> Any:
    """The incident meant: without a name an open one, or where none is open the one that is resolved. Raises Refused."""
    try:
        return commands.meant(desk, c, asker, ref)
    except Refused:
        if ref or table.open_incidents(c, limit=1):
            raise
        return commands.meant(desk, c, asker, ref, OVER)


def _count(c: Connection, number: int) -> int:
    t = table.TIMELINE()
    return int(c.execute(sa.select(sa.func.count()).select_from(t).where(t.c.incident == number)).scalar_one())


def _owed(tx: Tx, key: str) -> bool:
    return tx.c.execute(sa.select(EFFECTS().c.key).where(EFFECTS().c.key == key)).first() is not None


def _short(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


VERBS: Mapping[str, Verb] = {"note": note, "timeline": timeline, "export": export}
