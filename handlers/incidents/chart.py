"""Draws what incidents took, week by week, as a PNG that is read at half its size, on a light and on a dark screen."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 1000, 860
LEFT, RIGHT, TOP, BETWEEN, BOTTOM = 150, 30, 110, 140, 90
"""Pixels around the two plots and between them."""
PAPER, INK, FAINT = "#ffffff", "#24292f", "#d0d7de"
P50, P90 = "#1f5fa8", "#9cc3ec"
UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
STEPS = (1, 2, 5, 10, 20, 30, 50, 100, 200, 500, 1000)
"""What a line of the scale may stand for, in its unit."""
MOST_LABELS = 7


def draw(columns: Sequence[Mapping[str, Any]], *, title: str) -> bytes:
    """The chart of ``columns`` (stats.drawn), as PNG. ``title``: in Latin letters; others have no glyph."""
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((30, 20), title, INK, ImageFont.load_default(34))
    tall = (HEIGHT - TOP - BETWEEN - BOTTOM) // 2
    for n, (name, said) in enumerate((("ack", "Time to acknowledge"), ("resolve", "Time to resolve"))):
        top = TOP + n * (tall + BETWEEN)
        _plot(pen, [column[name] for column in columns], said, top=top, bottom=top + tall)
        _weeks(pen, [str(column["week"]) for column in columns], top + tall)
    _legend(pen)
    held = io.BytesIO()
    image.save(held, "PNG", optimize=True)
    return held.getvalue()


def scale(most: float) -> tuple[float, str, int]:
    """The unit in seconds, its name, and what one of at most five lines stands for, so that ``most`` seconds fit."""
    unit, name = next((one for one in UNITS if most >= 2 * one[0]), UNITS[-1])
    return unit, name, next((step for step in STEPS if most <= 5 * step * unit), STEPS[-1])


def _plot(
    pen: ImageDraw.ImageDraw, pairs: Sequence[Sequence[float | None]], said: str, *, top: int, bottom: int
) -> None:
    small = ImageFont.load_default(26)
    known = [value for pair in pairs for value in pair if value is not None]
    if not known:
        pen.text((LEFT, top - 44), said, INK, ImageFont.load_default(28))
        pen.text(((LEFT + WIDTH - RIGHT) // 2, (top + bottom) // 2), "no data", INK, small, anchor="mm")
        pen.line((LEFT, bottom, WIDTH - RIGHT, bottom), INK, 2)
        return
    unit, name, step = scale(max(known))
    lines = max(1, -int(-max(known) // (step * unit)))
    pen.text((LEFT, top - 44), f"{said} ({name})", INK, ImageFont.load_default(28))
    for n in range(lines + 1):
        y = bottom - n * (bottom - top) / lines
        pen.line((LEFT, y, WIDTH - RIGHT, y), FAINT if n else INK, 2)
        pen.text((LEFT - 14, y), f"{n * step}", INK, small, anchor="rm")
    wide = (WIDTH - RIGHT - LEFT) / len(pairs)
    for n, pair in enumerate(pairs):
        for value, colour, share in zip(reversed(pair), (P90, P50), (0.36, 0.22), strict=True):
            if value is not None:
                # What took no time at all is still to be told from a week without data.
                high = max(3.0, (bottom - top) * value / (lines * step * unit))
                half = min(40.0, wide) * share if wide > 40 else wide * share
                middle = LEFT + (n + 0.5) * wide
                pen.rectangle((middle - half, bottom - high, middle + half, bottom), colour)


def _weeks(pen: ImageDraw.ImageDraw, weeks: Sequence[str], bottom: int) -> None:
    every = -(-len(weeks) // MOST_LABELS)
    wide = (WIDTH - RIGHT - LEFT) / len(weeks)
    for n in range(0, len(weeks), every):
        day = dt.date.fromisoformat(weeks[n])
        at = (LEFT + (n + 0.5) * wide, bottom + 12)
        pen.text(at, f"{day.day} {day:%b}", INK, ImageFont.load_default(26), anchor="ma")


def _legend(pen: ImageDraw.ImageDraw) -> None:
    small = ImageFont.load_default(26)
    y, x = HEIGHT - 26, LEFT
    for colour, said in ((P50, "half within (p50)"), (P90, "nine of ten within (p90)")):
        pen.rectangle((x, y - 12, x + 24, y + 12), colour)
        pen.text((x + 34, y), said, INK, small, anchor="lm")
        x += 34 + int(pen.textlength(said, small)) + 40
    pen.text((WIDTH - RIGHT, y), "week of, UTC", INK, small, anchor="rm")
