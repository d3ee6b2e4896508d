"""An incident's line in the digest: how bad, which, where, who has it, how it stands and what was last told; pure."""

from __future__ import annotations

from typing import Any

from bot.integrations.slack.words import clip, escape, fit
from handlers.incidents.latest import ago, clock, one_line, promise
from handlers.incidents.rules import Status
from handlers.incidents.words import STATUS_ICON, Blocks, duration

TITLE, UPDATE, NAME = 150, 400, 80
"""Characters of each that a line has room for, before they are escaped."""


def line(row: Any, *, now: float, lead: str = "", link: str = "") -> tuple[str, Blocks]:
    """The message of one incident. (text, blocks). ``lead``: the name of who leads; ``link``: its thread, or empty.

    Of a private incident only that there is one, however its line came to be.
    """
    if row.private:
        said = f"INC-{row.number}: private incident"
        return said, [_section(said)]
    status = Status(row.status)
    ref = f"<{escape(link)}|INC-{row.number}>" if link else f"INC-{row.number}"
    head = f"*{escape(row.severity)}* · {ref} · *{_part(row.service, NAME)}*: {_part(row.title, TITLE)}"
    if not status.open:
        # A tilde of its own would end the striking out.
        head = f"~{head.replace('~', '-')}~"
    lines = [f"{STATUS_ICON[status]} {head}", _state(row, status, lead), _update(row, status, now)]
    where = f"<#{row.room}>" if row.room else ""
    if where:
        lines[1] += f" · {where}"
    text = clip(f"{row.severity} INC-{row.number} {one_line(row.service)}: {one_line(row.title)[:TITLE]}", 300)
    kept, said = fit([_section("\n".join(one for one in lines if one))], escape(f"{text} ({status.value})"))
    return said, kept


def _state(row: Any, status: Status, lead: str) -> str:
    """How it stands, who has it and how old it is."""
    has = _part(lead or row.acked_by, NAME)
    leads = f"{has} leads" if lead else f"{has} has it"
    if status is Status.TRIGGERED:
        stands = f"triggered, {leads if lead else 'nobody has it yet'}"
    elif status is Status.ACKNOWLEDGED:
        stands = f"acknowledged, {leads}"
    elif status is Status.MITIGATED:
        stands = f"mitigated {ago(row.mitigated_at)}, {leads}"
    else:
        took = duration(row.resolved_at - row.opened_at)
        closed = ", closed" if status is Status.CLOSED else ""
        return f"*Resolved* {ago(row.resolved_at)} by {_part(row.resolved_by, NAME)} after {took}{closed}"
    return f"{stands} · opened {ago(row.opened_at)}"


def _update(row: Any, status: Status, now: float) -> str:
    """What was last told and when, and when the next is promised, or was."""
    said = ""
    if row.update_at is not None:
        text, by = _part(row.update_text, UPDATE), _part(row.update_by, NAME)
        said = f"> {text} ({by}, {clock(row.update_at)})"
    if row.next_update_at is not None and status.open:
        said += f"\n> {promise(row, now=now)}"
    return said.strip()


def _part(text: str, most: int) -> str:
    """Text from outside as one part of a line, cut before it is escaped so that nothing is cut in two."""
    return escape(clip(one_line(text), most))


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}
