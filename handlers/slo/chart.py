"""Draws how fast a budget burned over the last hours, with what pages and what is a ticket, as a PNG read at half its size."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 1000, 620
LEFT, RIGHT, TOP, BOTTOM = 110, 190, 122, 122
PAPER, INK, FAINT = "#ffffff", "#24292f", "#d0d7de"
FAST, SLOW, PAGE, TICKET = "#1f5fa8", "#9cc3ec", "#c62828", "#b26a00"
LOWEST = 0.1
"""The burn at the foot of the scale; what is less stands there too."""
APART = 25
"""Pixels between two thresholds' names."""
LABELS = 5
"""Times of day below the plot."""
DATES_FROM_S = 36 * 3600
"""The length from which a time of day alone would be ambiguous."""

Points = Sequence[tuple[float, float | None]]
"""UNIX s and a burn; None is a gap: nobody knows."""


@dataclass(frozen=True)
class Line:
    """One window's burn. ``said``: such as "over 5m"."""

    said: str
    points: Points


@dataclass(frozen=True)
class Threshold:
    """A burn at which something happens. ``severity``: page or ticket."""

    severity: str
    burn: float


def draw(lines: Sequence[Line], thresholds: Sequence[Threshold], *, title: str, since: float, until: float) -> bytes:
    """The chart as PNG, the first line above the others. ``since`` and ``until``: UNIX s of its edges. ``title``: Latin."""
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((30, 20), title, INK, ImageFont.load_default(32))
    pen.text((30, 62), "times the speed that just spends the budget", INK, ImageFont.load_default(24))
    most = max([10.0, *(t.burn for t in thresholds), *(v for one in lines for _, v in one.points if v is not None)])
    top = 10.0 ** math.ceil(math.log10(most * 1.0001))
    _scale(pen, top)
    _times(pen, since, until)
    _thresholds(pen, thresholds, top)
    for line, colour, wide in reversed(list(zip(lines, (FAST, SLOW), (4, 6), strict=False))):
        _line(pen, line.points, colour, wide, since=since, until=until, top=top)
    _legend(pen, lines)
    held = io.BytesIO()
    image.save(held, "PNG", optimize=True)
    return held.getvalue()


def _y(burn: float, top: float) -> float:
    share = (math.log10(max(burn, LOWEST)) - math.log10(LOWEST)) / (math.log10(top) - math.log10(LOWEST))
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _x(at: float, since: float, until: float) -> float:
    return LEFT + (at - since) / max(1.0, until - since) * (WIDTH - RIGHT - LEFT)


def _scale(pen: ImageDraw.ImageDraw, top: float) -> None:
    small, value = ImageFont.load_default(24), LOWEST
    while value <= top * 1.001:
        y = _y(value, top)
        pen.line((LEFT, y, WIDTH - RIGHT, y), INK if value <= LOWEST * 1.001 else FAINT, 2)
        pen.text((LEFT - 12, y), f"{value:g}", INK, small, anchor="rm")
        value = round(value * 10, 6)


def _times(pen: ImageDraw.ImageDraw, since: float, until: float) -> None:
    small = ImageFont.load_default(24)
    form = "%d %b" if until - since > DATES_FROM_S else "%H:%M"
    for n in range(LABELS):
        at = since + (until - since) * n / (LABELS - 1)
        x = _x(at, since, until)
        pen.line((x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 8), INK, 2)
        pen.text((x, HEIGHT - BOTTOM + 14), time.strftime(form, time.gmtime(at)), INK, small, anchor="ma")


def _thresholds(pen: ImageDraw.ImageDraw, thresholds: Sequence[Threshold], top: float) -> None:
    small, last = ImageFont.load_default(24), math.inf
    for one in sorted(thresholds, key=lambda one: one.burn):
        y, colour = _y(one.burn, top), PAGE if one.severity == "page" else TICKET
        for x in range(LEFT, WIDTH - RIGHT, 18):
            pen.line((x, y, min(x + 10, WIDTH - RIGHT), y), colour, 3)
        if last - y >= APART:
            pen.text((WIDTH - RIGHT + 12, y), f"{one.severity} {one.burn:g}", colour, small, anchor="lm")
            last = y


def _line(
    pen: ImageDraw.ImageDraw, points: Points, colour: str, wide: int, *, since: float, until: float, top: float
) -> None:
    """A line with its gaps; a point alone is a dot."""
    run: list[tuple[float, float]] = []
    for at, value in [*points, (until, None)]:
        if value is not None:
            run.append((_x(at, since, until), _y(value, top)))
            continue
        if len(run) > 1:
            pen.line(run, colour, wide, joint="curve")
        elif run:
            (x, y), half = run[0], wide
            pen.ellipse((x - half, y - half, x + half, y + half), colour)
        run = []


def _legend(pen: ImageDraw.ImageDraw, lines: Sequence[Line]) -> None:
    small, x, y = ImageFont.load_default(24), LEFT, HEIGHT - 34
    for line, colour in zip(lines, (FAST, SLOW), strict=False):
        pen.line((x, y, x + 34, y), colour, 6)
        pen.text((x + 44, y), line.said, INK, small, anchor="lm")
        x += 44 + int(pen.textlength(line.said, small)) + 40
    pen.text((WIDTH - 30, y), "UTC", INK, small, anchor="rm")
