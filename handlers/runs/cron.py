"""Cron lines as everybody writes them: five fields in UTC, Sunday is 0 and 7."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}
MOST = 10_000
"""Slots that are counted at most; who was away for longer has missed as many."""
_PART = re.compile(r"(\*|[a-z]{3}|[0-7])(?:-([a-z]{3}|[0-7]))?(?:/([1-9]))?")


def parse(line: str) -> CronTrigger:
    """The trigger of a cron line. Raises ValueError with what is wrong in it."""
    fields = ALIASES.get(line.strip().lower(), line).lower().split()
    if len(fields) != 5:
        raise ValueError(
            f"must have five fields (minute, hour, day, month, day of the week) such as '*/15 * * * *', not {len(fields)}"
        )
    if fields[2] != "*" and fields[4] != "*":
        raise ValueError("names a day of the month and a day of the week; two schedules say which of both is meant")
    fields[4] = _weekdays(fields[4])
    try:
        return CronTrigger.from_crontab(" ".join(fields), timezone=UTC)
    except ValueError as e:
        raise ValueError(f"is no cron line: {e}") from e


def slots(line: str, *, after: float, until: float) -> list[float]:
    """The slots of a line, UNIX s, later than ``after`` and not later than ``until``; at most MOST, the last ones missing."""
    trigger, found = parse(line), list[float]()
    at = datetime.fromtimestamp(after, UTC) + timedelta(microseconds=1)
    while len(found) < MOST:
        fires = trigger.get_next_fire_time(None, at)
        if fires is None or fires.timestamp() > until:
            break
        found.append(fires.timestamp())
        at = fires + timedelta(microseconds=1)
    return found


def following(line: str, now: float) -> float | None:
    """The next slot after ``now``, UNIX s; None when there will be none."""
    fires = parse(line).get_next_fire_time(None, datetime.fromtimestamp(now, UTC) + timedelta(microseconds=1))
    return None if fires is None else float(fires.timestamp())


def said(at: float) -> str:
    """A slot in plain words: ``2026-01-31 06:00 UTC``."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


def _weekdays(field: str) -> str:
    """A day of the week as the library means it: by name, since it counts from Monday, and no range over the week's end."""
    if field == "*":
        return field
    named: list[str] = []
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"'{part}' is no day of the week; use 0 to 7 (Sunday is both) or sun to sat")
        first, last, step = match.groups()
        begin = 0 if first == "*" else _day(first)
        end = 6 if first == "*" else _day(last) if last else 6 if step else begin
        if end < begin:
            end += 7
        named += [DAYS[day % 7] for day in range(begin, end + 1, int(step or 1))]
    return ",".join(dict.fromkeys(named))


def _day(word: str) -> int:
    if word.isdigit():
        return int(word)
    if word not in DAYS:
        raise ValueError(f"'{word}' is no day of the week; use 0 to 7 (Sunday is both) or sun to sat")
    return DAYS.index(word)
