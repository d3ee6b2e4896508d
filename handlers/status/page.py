"""The status page: open incidents, what is owed for them, what is switched on. Plain HTML without a script."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from handlers.desk import Desk
from handlers.flags import table as flag_table
from handlers.incidents import findings, latest, private, table, words
from handlers.incidents.rules import Severity

MOST = 100
"""Open incidents that are shown; the rest is counted."""
REFRESH = 15
"""Seconds after which the page loads itself anew."""


def draw(desk: Desk, *, now: float, until: float) -> str:
    """The whole page as it is at ``now``; ``until``: UNIX s when the link runs out."""
    with desk.store.read() as c:
        rows = table.open_incidents(c, limit=MOST + 1)
        told = [(private.masked(row), private.muted(row, table.effects_about(c, row.number))) for row in rows[:MOST]]
        flags = flag_table.not_over(c)
    owed = desk.engine.owed()
    cards = "".join(_card(row, effects, now) for row, effects in sorted(told, key=_worst_first))
    if len(rows) > MOST:
        cards += f"<p>More than {MOST} are open; <code>captain incident list</code> has them all.</p>"
    real = sum(not row.test for row, _ in told)
    return _shell(
        title=f"{real} incident{'' if real == 1 else 's'} open" if real else "Nothing is open",
        state="open" if real else "calm",
        body=f"{cards or '<p>No incident is open.</p>'}{_owed(owed)}{_flags(flags, now)}",
        foot=f"As of {_clock(now)} UTC. It loads itself anew every {REFRESH} s. The link is good until {_clock(until, day=True)} UTC.",
        refresh=f'<meta http-equiv="refresh" content="{REFRESH}">',
    )


def _worst_first(told: tuple[Any, Sequence[Any]]) -> tuple[bool, int, int]:
    row = told[0]
    return bool(row.test), Severity(row.severity).rank, -int(row.number)


def sorry(why: str) -> str:
    """The page that says why nothing is shown."""
    return _shell(title="Not shown", state="sorry", body=f"<p>{escape(why)}</p>", foot="", refresh="")


def _shell(**parts: str) -> str:
    shell = Path(__file__).with_name("page.html")
    return Template(shell.read_text(encoding="utf-8")).substitute(parts)


def _card(row: Any, effects: Sequence[Any], now: float) -> str:
    truth = escape(findings.plain(words.truth(row, effects)))
    test = '<span class="tag">test</span> ' if row.test else ""
    who = escape(words.standing(row))
    return (
        f'<article class="{escape(row.severity)}{" test" if row.test else ""}">'
        f'<h2>{test}<span class="tag">{escape(row.severity)}</span> INC-{row.number} <bdi>{escape(row.title)}</bdi></h2>'
        f"<p>{escape(row.service)} · {escape(row.environment)} · {who} · open for {words.duration(now - row.opened_at)}</p>"
        f"{_told(row)}<p>{truth}</p></article>"
    )


def _told(row: Any) -> str:
    """The last update and the promise of the next; of a private incident neither."""
    lines = [] if row.private else latest.plain(row)
    return "".join(f"<p><bdi>{line}</bdi></p>" for line in lines)


def _owed(owed: Mapping[str, tuple[int, float]]) -> str:
    lines = "".join(
        f"<li>{escape(lane)}: {n} not done, the oldest {words.duration(age)} old</li>"
        for lane, (n, age) in sorted(owed.items())
    )
    return f"<section><h3>Still owed to the outside</h3><ul>{lines}</ul></section>" if lines else ""


def _flags(rows: Sequence[Any], now: float) -> str:
    lines = "".join(
        f"<li>{escape(row.name)}: goes off in {words.duration(flag_table.due(row) - now)}</li>"
        if flag_table.due(row) > now
        else f"<li><strong>{escape(row.name)}: overdue by {words.duration(now - flag_table.due(row))}</strong></li>"
        for row in rows
    )
    return f"<section><h3>Switched on</h3><ul>{lines}</ul></section>" if lines else ""


def _clock(at: float, *, day: bool = False) -> str:
    return time.strftime("%Y-%m-%d %H:%M" if day else "%H:%M:%S", time.gmtime(at))
