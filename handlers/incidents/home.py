"""The App Home: what is open, and what is still owed to the outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from bot.integrations.slack.words import escape, fit_view
from handlers.desk import Desk
from handlers.flags import table as flag_table
from handlers.flags import words as flag_words
from handlers.incidents import declare, stuck, table, words
from handlers.watchdogs import table as watchdog_table
from handlers.watchdogs import words as watchdog_words


def view(desk: Desk, user: str, *, may: Callable[[str, str], bool]) -> dict[str, Any]:
    """The Home tab of one person, as Slack's views.publish takes it; ``may(subject, verb)`` says what they may do."""
    with desk.store.read() as c:
        rows = table.open_incidents(c, limit=20)
        found = stuck.stuck(c, now=time.time())
        heard = watchdog_table.states(c, desk.watchdogs)
        now = desk.store.clock(c)
        flags = [(row, flag_table.trouble(c, row)) for row in flag_table.not_over(c)]
    owed = desk.engine.owed()
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": "Release Captain"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": f"Hello <@{user}>. This is what is open now."}},
        *words.listing(rows, everything=False)[1],
        *(_actions(words.button("Open an incident", declare.CALLBACK, "form")) if may("incident", "open") else ()),
        *(flag_words.listing(flags, (), now=time.time())[1] if flags or desk.flags else ()),
        {"type": "divider"},
        {"type": "section", "text": {"type": "mrkdwn", "text": _owed(owed)}},
        *_stuck(found, button=may("incident", "repair")),
        *_watchdogs(desk, heard, now),
        {
            "type": "context",
            "elements": [{"type": "mrkdwn", "text": f"`{escape(desk.command)} help` lists what you can ask for."}],
        },
    ]
    return fit_view({"type": "home", "blocks": blocks})


def _actions(*buttons: dict[str, Any]) -> words.Blocks:
    return [{"type": "actions", "elements": list(buttons)}]


def _stuck(found: Sequence[stuck.Stuck], *, button: bool) -> words.Blocks:
    said = stuck.count_line(found)
    if not said:
        return []
    block = {"type": "section", "text": {"type": "mrkdwn", "text": said}}
    return [block | ({"accessory": words.button("Repair all", "incident repair", "--all")} if button else {})]


def _watchdogs(desk: Desk, heard: Sequence[Any], now: float) -> list[dict[str, Any]]:
    if not desk.watchdogs:
        return []
    text = watchdog_words.home(desk.watchdogs, heard, now=now)
    return [{"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}]


def _owed(owed: Any) -> str:
    if not owed:
        return "Nothing is owed to PagerDuty, Slack or Jira."
    lines = [f"*{lane}*: {n} not done, the oldest {words.duration(age)} old" for lane, (n, age) in sorted(owed.items())]
    return "*Still owed*\n" + "\n".join(lines)
