"""Who has the turn now and who has it next, at each level of an escalation policy; pure functions over PagerDuty's turns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bot.integrations.pagerduty import OnCall

SEAM = 1.0
"""Seconds between two turns of one person that still are one: PagerDuty tells whole seconds."""


@dataclass(frozen=True)
class Level:
    """One level of a policy. ``now``: who is on call. ``then``: who begins next, all at the same instant, and is not now."""

    number: int
    now: tuple[OnCall, ...]
    then: tuple[OnCall, ...]


def levels(turns: Iterable[OnCall], now: float) -> Sequence[Level]:
    """The levels of one policy, the first first. ``now``: UNIX s."""
    found: dict[int, list[OnCall]] = {}
    for turn in _joined(turns):
        found.setdefault(turn.level, []).append(turn)
    return [_level(number, found[number], now) for number in sorted(found)]


def _level(number: int, turns: Sequence[OnCall], now: float) -> Level:
    present = [turn for turn in turns if turn.since <= now and (now < turn.until or not turn.until)]
    coming = [turn for turn in turns if turn.since > now]
    first = min((turn.since for turn in coming), default=0.0)
    return Level(number, tuple(present), tuple(turn for turn in coming if turn.since <= first + SEAM))


def _joined(turns: Iterable[OnCall]) -> Sequence[OnCall]:
    """Turns of one person at one level that touch are one; who is there by two schedules is there once."""
    made: dict[tuple[int, str], list[OnCall]] = {}
    for turn in sorted(turns, key=lambda turn: (turn.level, turn.since)):
        mine = made.setdefault((turn.level, turn.user_id), [])
        last = mine[-1] if mine else None
        if last is not None and not last.until:
            continue
        if last is not None and turn.since <= last.until + SEAM:
            mine[-1] = replace(last, until=max(last.until, turn.until) if turn.until else 0.0)
        else:
            mine.append(turn)
    return [turn for one in made.values() for turn in one]
