"""How it is said who is on call: in Slack each reader's own time, elsewhere UTC."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bot.integrations.pagerduty import OnCall, Paged
from bot.integrations.slack.words import escape, fit
from handlers.oncall.turns import Level

When = Callable[[float], str]


@dataclass(frozen=True)
class Answer:
    """What is known of one service of the catalogue. ``missing``: why nothing is, as a sentence."""

    service: str
    paged: Paged | None = None
    levels: Sequence[Level] = ()
    missing: str = ""


def told(answers: Sequence[Answer]) -> tuple[str, list[dict[str, Any]]]:
    """(plain text, blocks for Slack)."""
    text = "\n".join(line for answer in answers for line in _lines(answer, utc, bold=""))
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(_lines(answer, _local, bold="*"))}}
        for answer in answers
    ]
    fitted, _ = fit(blocks)
    return escape(text), fitted


def data(answer: Answer) -> dict[str, Any]:
    """The same as JSON; times are UNIX s, 0 for always."""
    paged = answer.paged
    return {
        "service": answer.service,
        "policy": paged.policy if paged else "",
        "levels": [
            {"level": level.number, "now": [_row(one) for one in level.now], "next": [_row(one) for one in level.then]}
            for level in answer.levels
        ],
        "missing": answer.missing,
    }


def utc(at: float) -> str:
    return time.strftime("%a %d %b %H:%M UTC", time.gmtime(at))


def _lines(answer: Answer, when: When, *, bold: str) -> list[str]:
    """What stands in a line of its own; ``bold``: the mark around names, which also says that this is mrkdwn."""
    said = escape if bold else str
    head = f"{bold}{said(answer.service)}{bold}"
    if answer.missing:
        return [f"{head}: {said(answer.missing)}"]
    policy = f" ({said(answer.paged.policy)})" if answer.paged else ""
    return [f"{head}{policy}", *(f"level {level.number}: {_level(level, when, bold, said)}" for level in answer.levels)]


def _level(level: Level, when: When, bold: str, said: Callable[[str], str]) -> str:
    now = ", ".join(
        f"{bold}{said(one.name)}{bold}" + (f" until {when(one.until)}" if one.until else "") for one in level.now
    )
    then = ", ".join(said(one.name) for one in level.then)
    line = now or "⚠ nobody now"
    return f"{line}; next {then} from {when(level.then[0].since)}" if level.then else line


def _local(at: float) -> str:
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time}}|{utc(at)}>"


def _row(one: OnCall) -> dict[str, Any]:
    return {"name": one.name, "since": one.since, "until": one.until, "schedule": one.schedule}
