"""Reads what ``why`` is asked about: an incident's number, a time, or the name of something."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot.errors import Refused

AROUND = 300.0
"""Seconds before and after a time that count as around it."""
HOUR, DAY = 3600.0, 86400.0
LONGEST_NAME = 200
INCIDENT = re.compile(r"(?:inc(?:ident)?[ -]?|#)?([0-9]{1,9})", re.IGNORECASE)
SPAN = re.compile(r"(last )?(?:([0-9]{1,6}) ?)?([smhd]|secs?|mins?|(?:second|minute|hour|day)s?)( ago)?", re.IGNORECASE)
CLOCK = re.compile(r"(?:(today|yesterday) )?([0-9]{1,2}:.*)", re.IGNORECASE)
DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([T ].*)?", re.IGNORECASE)
UNIX = re.compile(r"[0-9]{10}(?:\.[0-9]{1,6})?")
SECONDS = {"s": 1.0, "m": 60.0, "h": HOUR, "d": DAY}
SAY = "Say 14:05, 2026-11-25T14:05Z, 10m (ago) or last 2h; times are UTC unless they carry an offset."


@dataclass(frozen=True)
class ByNumber:
    """An incident."""

    number: int


@dataclass(frozen=True)
class ByTime:
    """What came in from ``start`` to ``end`` (UNIX s); ``said`` is how to call that: ``around 14:05 UTC``."""

    start: float
    end: float
    said: str


@dataclass(frozen=True)
class ByName:
    """An alertname, a fingerprint, a service, an SLO, or a part of one."""

    text: str


def read(words: Sequence[str], now: float) -> ByNumber | ByTime | ByName:
    """What is asked about. Raises Refused when it looks like a time and is none.

    A bare number is an incident, unless it has the ten digits of UNIX seconds. A time of day is the latest such time.
    """
    text = " ".join(" ".join(words).split()).strip("*`\"' ")
    if not text:
        return ByTime(now - HOUR, now, "in the last hour")
    match = INCIDENT.fullmatch(text)
    if match:
        return ByNumber(int(match.group(1)))
    span = SPAN.fullmatch(text)
    if span and (span.group(1) or span.group(2)):
        return _span(span, now, text)
    at = _instant(text, now)
    if at is not None:
        return at
    if len(text) > LONGEST_NAME:
        raise Refused(
            f"That is {len(text)} characters long. Name an alert, a service or an SLO in at most {LONGEST_NAME}."
        )
    return ByName(text)


def _span(span: re.Match[str], now: float, text: str) -> ByTime:
    last, count, unit, _ = span.groups()
    seconds = float(count or 1) * SECONDS[unit[0].lower()]
    if last:
        return ByTime(_past(now - seconds, text), now, f"in the {text.lower()}")
    return _around(_past(now - seconds, text), now)


def _instant(text: str, now: float) -> ByTime | None:
    """The window around a time, a whole day for a date alone; None when the text is not meant as a time."""
    today = dt.datetime.fromtimestamp(now, dt.UTC)
    days = {"today": 0, "yesterday": 1}
    if text.lower() in days:
        return _day(today - dt.timedelta(days=days[text.lower()]), now)
    if UNIX.fullmatch(text):
        return _around(_come(float(text), text, now), now)
    clock = CLOCK.fullmatch(text)
    if clock:
        day, hours = clock.groups()
        hour, _, rest = hours.partition(":")
        at = _iso(f"{today:%Y-%m-%d}T{hour:0>2}:{rest}", text)
        if day:
            at -= dt.timedelta(days=days[day.lower()])
        elif at.timestamp() > now + AROUND:
            at -= dt.timedelta(days=1)
        return _around(_come(at.timestamp(), text, now), now)
    date = DATE.fullmatch(text)
    if date:
        at = _iso(text, text)
        if date.group(1) is None:
            return _day(at, now)
        return _around(_come(at.timestamp(), text, now), now)
    return None


def _iso(text: str, given: str) -> dt.datetime:
    """An ISO 8601 time; UTC unless it says otherwise."""
    try:
        plain = re.sub(r" ?(z|utc)$", "Z", text, flags=re.IGNORECASE)
        at = dt.datetime.fromisoformat(re.sub(r" (?=[+-])", "", plain))
        at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
        at.timestamp()
        return at.astimezone(dt.UTC)
    except (ValueError, OverflowError) as e:
        raise Refused(f"'{given[:40]}' is not a time I can read. {SAY}") from e


def _day(day: dt.datetime, now: float) -> ByTime:
    start = day.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    said = f"on {day:%Y-%m-%d} (UTC)"
    return ByTime(_come(_past(start, said), said, now), start + DAY, said)


def _around(at: float, now: float) -> ByTime:
    return ByTime(at - AROUND, at + AROUND, f"around {clock_of(at, now)} UTC")


def _past(at: float, text: str) -> float:
    if at < 0:
        raise Refused(f"'{text[:40]}' is too long ago: nobody kept anything then. {SAY}")
    return at


def _come(at: float, text: str, now: float) -> float:
    """A time that has come, give or take what clocks differ by."""
    if at > now + AROUND:
        raise Refused(f"'{text[:40]}' is still to come: it is {clock_of(now, now)} UTC now.")
    return _past(at, text)


def clock_of(at: float, now: float) -> str:
    """``14:05:09``, with its date when that is not today's; without seconds when there are none. UTC."""
    then, today = time.gmtime(at), time.gmtime(now)
    day = "" if then[:3] == today[:3] else time.strftime("%Y-%m-%d ", then)
    return day + time.strftime("%H:%M:%S" if then.tm_sec else "%H:%M", then)
