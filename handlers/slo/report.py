"""What `slo` shows: a line for each SLO, or of a few their windows, what fires, and what is silenced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.integrations.slack.words import escape, fit
from handlers.incidents.rules import Status
from handlers.incidents.words import STATUS_ICON, duration
from handlers.noise import words as noise
from handlers.slo import budget, judge, words
from handlers.slo.judge import State, recent
from handlers.slo.kinds import MISSING, Slo, span

Blocks = list[dict[str, Any]]
LATE_S = 180.0
"""Seconds after which the last look is too long ago to pass for now."""
MOST_LINES = 40
"""SLOs in one table; --json has all."""


@dataclass(frozen=True)
class Seen:
    """An SLO with what is known of it. ``looked_at``: UNIX s of the last look, None for none. ``open_``: its open incidents.

    ``silences``: those that may hold what it raises, each with how many alerts it has held, and holds now.
    """

    name: str
    slo: Slo
    state: State
    looked_at: float | None
    open_: Sequence[Any] = ()
    silences: Sequence[tuple[Any, int, int]] = ()


def _speed(one: Seen, length: int, now: float) -> float | None:
    return budget.burn(recent(one.state, length, now), one.slo.budget)


def _left(one: Seen, now: float) -> float | None:
    return budget.left(recent(one.state, one.slo.window_s, now), one.slo.budget)


def _fires(one: Seen) -> list[str]:
    return [tier.name for tier in one.slo.all_tiers if tier.name in one.state.fired]


def doubt(one: Seen, now: float) -> str:
    """Why what is shown of an SLO is not what is; empty when it is."""
    if one.looked_at is None:
        return "not looked at yet"
    if one.state.blind:
        ago = "" if one.state.blind_since is None else f" for {duration(now - one.state.blind_since)}"
        return f"no data{ago}: {one.state.why or 'nothing was counted'}"
    if now - one.looked_at > (LATE_S if one.slo.evaluate else 2 * LATE_S):
        return f"the last look was {duration(now - one.looked_at)} ago"
    return ""


def standing(one: Seen, now: float) -> str:
    """In a word or two: ``page-1h fires``, ``no data``, ``calm``."""
    fires = _fires(one)
    if fires:
        return f"{', '.join(fires)}: fires"
    if doubt(one, now):
        return "no data" if one.looked_at is not None else "not measured"
    return "data missing" if MISSING in one.state.fired else "calm"


def listing(found: Sequence[Seen], *, now: float) -> tuple[str, Blocks]:
    """A line each, what fires first. (text, blocks)."""
    order = sorted(found, key=lambda one: (not one.state.fired, not one.open_, one.name))
    head = ("SLO", "of", "over", "left", "burns", "")
    rows = [head, *(_row(one, now) for one in order[:MOST_LINES])]
    lines = [f"*{len(found)} SLO{'s' if len(found) != 1 else ''}*, {_age(found, now)}.", *_table(rows)]
    if len(order) > MOST_LINES:
        lines.append(f"… and {len(order) - MOST_LINES} more: `slo SERVICE` shows those of one service.")
    lines += [_incident(row) for one in order for row in one.open_]
    return _fitted(lines)


def _row(one: Seen, now: float) -> tuple[str, ...]:
    left, speed = _left(one, now), _speed(one, judge.fastest(one.slo).short_s, now)
    shown = "-" if left is None else words.per_cent(left)
    return (
        one.name, f"{one.slo.objective:g} %", one.slo.window, shown, "-" if speed is None else words.times(speed),
        standing(one, now),
    )  # fmt: skip


def detail(found: Sequence[Seen], *, now: float) -> tuple[str, Blocks]:
    """All that is known of a few. (text, blocks)."""
    lines: list[str] = []
    for one in found:
        lines += _one(one, now)
    return _fitted(lines)


def _one(one: Seen, now: float) -> list[str]:
    slo = one.slo
    lines = [
        f"*{escape(one.name)}* of {escape(slo.service)}: {slo.objective:g} % good over {slo.window}, {_age([one], now)}."
    ]
    if slo.description:
        lines.append(escape(slo.description))
    if not slo.evaluate:
        lines.append(
            "Its alerts are raised by Prometheus' own rules; I only look every three minutes (evaluate: false)."
        )
    unsure = doubt(one, now)
    if unsure:
        lines.append(f"∅ {escape(unsure[0].upper() + unsure[1:])}.")
    whole, left = recent(one.state, slo.window_s, now), _left(one, now)
    speed = _speed(one, judge.fastest(slo).short_s, now)
    if whole.share is not None and left is not None:
        rest = "" if speed is not None else f" {words.per_cent(left)} of the budget is left."
        lines.append(f"{100 * (1 - whole.share):.5g} % were good in the last {slo.window}.{rest}")
    if speed is not None:
        lines.append(escape(words.of_state(slo, one.state, None, now)))
    lines += _table(
        [
            ("tier", "burn from", "long", "burns", "short", "burns", ""),
            *(_tier(one, tier, now) for tier in slo.all_tiers),
        ]
    )
    lines += [_incident(row) for row in one.open_]
    lines += [noise.line(row, now=now, held=held, still=still) for row, held, still in one.silences]
    return lines


def _tier(one: Seen, tier: Any, now: float) -> tuple[str, ...]:
    fired = one.state.fired.get(tier.name)
    said = "" if fired is None else f"fires since {duration(now - fired.since / 1e6)}"
    speeds = [_speed(one, length, now) for length in (tier.long_s, tier.short_s)]
    slow, fast = ("-" if speed is None else words.times(speed) for speed in speeds)
    return tier.name, f"{tier.burn:g}x", tier.long, slow, span(tier.short_s), fast, said


def _incident(row: Any) -> str:
    return (
        f"{STATUS_ICON[Status(row.status)]} *INC-{row.number}* {row.severity}, {row.status}: {escape(row.title[:120])}"
    )


def _age(found: Sequence[Seen], now: float) -> str:
    looks = [one.looked_at for one in found if one.looked_at is not None]
    return (
        f"as I saw {'it' if len(found) == 1 else 'them'} {duration(now - min(looks))} ago"
        if looks
        else "not looked at yet"
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in a code block, which a narrow screen scrolls."""
    wide = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    drawn = ["  ".join(f"{cell:<{wide[n]}}" for n, cell in enumerate(row)).rstrip() for row in rows]
    return ["```", *(escape(line).replace("`", "'") for line in drawn), "```"]


def _fitted(lines: Sequence[str]) -> tuple[str, Blocks]:
    """The text, and a block for each part of it that Slack shows whole."""
    parts: list[str] = []
    table: list[str] = []
    for line in lines:
        if line == "```" and not table:
            table = [line]
        elif table:
            table.append(line)
            if line == "```":
                parts += _pieces(table[1:-1])
                table = []
        else:
            parts.append(line)
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": part}} for part in parts]
    kept, text = fit(blocks, "\n".join(lines))
    return text, kept


def _pieces(rows: Sequence[str]) -> list[str]:
    """A table in blocks of at most as many lines as fit into one."""
    return ["```\n" + "\n".join(rows[n : n + 20]) + "\n```" for n in range(0, len(rows), 20)]


def plain(one: Seen, *, now: float) -> dict[str, Any]:
    """As JSON; what is not known is null."""
    return {
        "slo": one.name, "service": one.slo.service, "objective": one.slo.objective, "window": one.slo.window,
        "looked_at": one.looked_at, "doubt": doubt(one, now), "budget_left": _left(one, now),
        "burn": {span(length): _speed(one, length, now) for length in judge.lengths(one.slo)},
        "fires": {name: fired.since / 1e6 for name, fired in one.state.fired.items()},
        "incidents": [row.number for row in one.open_], "silences": [row.id for row, _, _ in one.silences],
    }  # fmt: skip
