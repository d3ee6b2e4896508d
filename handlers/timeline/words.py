"""What is shown of a timeline in Slack, and what is taken away as Markdown or JSON."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bot.integrations.slack.words import clip, escape
from handlers.incidents import words
from handlers.incidents.postmortem import escaped
from handlers.timeline import rules

LINES, LONGEST, TOGETHER = 60, 400, 9000
"""Lines of a timeline in one message, the newest; characters of each, and of all."""
SECTION = 2800
SAYS: Mapping[str, str] = {"opened": "opened: ", "checks": "checks of ", rules.NOTE: "notes: "}
"""What stands before the words of these kinds."""


def shown(row: Any, events: Sequence[Any], *, of: int) -> tuple[str, words.Blocks]:
    """The newest lines with absolute times, oldest first. (text, blocks). ``of``: how many there are in all."""
    whole = f"`incident export INC-{row.number}`"
    lines: list[str] = []
    room = TOGETHER
    for event in reversed(events[-LINES:]):
        line = _line(event)
        room -= len(line)
        if room < 0 and lines:
            break
        lines.append(line)
    kept = list(zip(events[len(events) - len(lines) :], reversed(lines), strict=True))
    head = f"*Timeline of INC-{row.number}* {escape(row.title)} (times are UTC)"
    if of > len(kept):
        head += f"\n… {of - len(kept)} earlier {'line' if of - len(kept) == 1 else 'lines'}: {whole} has all."
    parts, day = [head], ""
    for event, line in kept:
        new = f"*{_day(event.at)}*\n" if _day(event.at) != day else ""
        day = _day(event.at)
        if len(parts[-1]) + len(new) + len(line) + 1 > SECTION or parts == [head]:
            parts.append(new + line)
        else:
            parts[-1] += f"\n{new}{line}"
    cut = any(len(_what(event)) > LONGEST for event, _ in kept)
    if cut:
        parts.append(f"What ends with … is longer: {whole} has the whole.")
    blocks: words.Blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": part}} for part in parts]
    return "\n".join(parts), words.fitted(parts[0], blocks)[1]


def _line(event: Any) -> str:
    # A quoted or indented text of a message must not look like the next line of the timeline.
    said = escape(clip(_what(event), LONGEST))
    return f"`{time.strftime('%H:%M:%S', time.gmtime(event.at))}` {escape(event.actor)}: {said}"


def _what(event: Any) -> str:
    """What an event says, on one line, with what it is where the words alone do not tell."""
    said = " ".join(str(event.text).split())
    if event.kind == rules.MESSAGE:
        return f"“{said}”" if said != rules.DELETED else said
    return f"{event.kind} {said}" if said.startswith("by ") else f"{SAYS.get(event.kind, '')}{said}"


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def iso(at: float | None) -> str | None:
    """UNIX s as ISO 8601 in UTC, to the millisecond: 2026-11-26T02:20:59.123Z."""
    if at is None:
        return None
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def data(row: Any, events: Sequence[Any], roles: Sequence[Any]) -> dict[str, Any]:
    """The timeline as plain JSON; every time is ISO 8601 in UTC."""
    times = ("opened_at", "paged_at", "acked_at", "mitigated_at", "resolved_at", "closed_at", "reopened_at")
    said = ("number", "title", "severity", "service", "environment", "status", "opened_by", "ticket_key", "ticket_url")
    incident = {name: getattr(row, name) for name in (*said, "test", "private")}
    incident |= {name: iso(getattr(row, name)) for name in times}
    return {
        "incident": incident | {"roles": [{"role": one.role, "person": one.person, "name": one.name} for one in roles]},
        "timeline": [_event(one) for one in events],
    }


def _event(one: Any) -> dict[str, Any]:
    message = {"channel": one.channel, "ts": one.ts, "noted_at": iso(one.noted_at)} if one.ts else None
    return {"at": iso(one.at), "kind": one.kind, "who": one.actor, "text": one.text, "message": message}


def as_json(plain: dict[str, Any]) -> str:
    """That as a document."""
    return json.dumps(plain, ensure_ascii=False, indent=2) + "\n"


def as_markdown(row: Any, events: Sequence[Any], roles: Sequence[Any]) -> str:
    """The same as Markdown: a table in which no text can mean more than it says."""
    test = "Test: " if row.test else ""
    lines = [
        f"# {test}Timeline of INC-{row.number} {escaped(row.title)}",
        "",
        f"{row.severity}, {escaped(row.service)} ({escaped(row.environment)}), {row.status}; times are UTC.",
        *([""] if roles else []),
        *(f"- {escaped(one.role)}: {escaped(one.name or one.person)}" for one in roles),
        "",
        "| time | what | who | said |",
        "|---|---|---|---|",
        *(
            f"| {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(one.at))} | {escaped(one.kind)} | {escaped(one.actor)} "
            f"| {escaped(one.text)} |"
            for one in events
        ),
    ]
    return "\n".join(lines) + "\n"


def noted(asker: str, text: str) -> str:
    """A note as the thread shows it, mrkdwn."""
    return f"*{escape(asker)}* notes: {escape(text)}"
