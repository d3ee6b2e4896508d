"""What was last told of an incident and when the next is promised, for whoever shows it; pure functions over its row."""

from __future__ import annotations

import re
import time
from typing import Any

from bot.integrations.slack.words import clip, escape

IN_PANEL = 1200
"""Characters of the last update that the panel shows; the thread and the timeline have it whole."""
TURNS = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]+")
"""What turns the direction of the text that follows: in a line of several parts it would turn those, too."""


def panel(row: Any, *, now: float) -> str:
    """The panel's lines, mrkdwn; empty when nothing was told and nothing is promised."""
    told = f"*Last update* by {escape(row.update_by)} {clock(row.update_at)}: " if row.update_at is not None else ""
    lines = [f"{told}{clip(escape(row.update_text), IN_PANEL)}" if told else "", promise(row, now=now)]
    return "\n".join(line for line in lines if line)


def plain(row: Any) -> list[str]:
    """The same for a terminal: lines that are escaped and hold no dates that only Slack can read."""
    told = [f"Last update by {escape(row.update_by)}, {utc(row.update_at)}: {escape(row.update_text)}"]
    due = [f"Next update by {utc(row.next_update_at)}."] if row.next_update_at is not None else []
    return [*(told if row.update_at is not None else ()), *due]


def promise(row: Any, *, now: float) -> str:
    """When the next update is promised, mrkdwn; empty when it is not."""
    if row.next_update_at is None:
        return ""
    if row.next_update_at <= now:
        return f"⚠ *The next update was promised for* {clock(row.next_update_at)}."
    return f"*Next update by* {clock(row.next_update_at)}."


def one_line(text: str) -> str:
    """Text from outside on one line, which turns no other text around."""
    return " ".join(TURNS.sub(" ", text).split())


def clock(at: float) -> str:
    """A time of day as each reader's Slack shows it, with the day where it is not today; UTC where it cannot."""
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time}}|{utc(at)}>"


def ago(at: float) -> str:
    """How long ago, which the reader's Slack reckons anew each time it is shown; as a UTC time where it cannot."""
    return f"<!date^{int(at)}^{{ago}}|{utc(at)}>"


def utc(at: float) -> str:
    """``Thu 14:30 UTC``."""
    return time.strftime("%a %H:%M UTC", time.gmtime(at))
