"""Draws a runbook's days, a row for each check: what it said, and how long it took, as a PNG that is read at half its size."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from runbooks import Outcome

WIDTH, LEFT, RIGHT, TOP, FOOT = 1200, 330, 30, 90, 120
ROW, PLOT = 44, 230
"""Pixels of a check's row, and of the plot of durations below them."""
PAPER, INK, FAINT = "#ffffff", "#24292f", "#d0d7de"
LINE = "#1f5fa8"
COLOURS: Mapping[Outcome, str] = {
    Outcome.PASS: "#2e7d32",
    Outcome.FAIL: "#c62828",
    Outcome.ERROR: "#b26a00",
    Outcome.INCONCLUSIVE: "#9c6ade",
    Outcome.NO_DATA: "#8c959f",
}
WORST_FIRST = (Outcome.FAIL, Outcome.ERROR, Outcome.NO_DATA, Outcome.INCONCLUSIVE, Outcome.PASS)
MOST = 24
"""Checks that have a row; what fails stands first and so is among them."""
NAME = 25
LABELS = 5

Day = tuple[Mapping[Outcome, int], float] | None


def draw(rows: Sequence[tuple[str, Sequence[Day]]], *, title: str, until: float) -> bytes:
    """The chart as PNG. ``rows``: name and days, oldest first; ``until``: UNIX s of the end of the last day."""
    shown = rows[:MOST]
    bottom = TOP + ROW * len(shown)
    height = bottom + 60 + PLOT + FOOT
    image = Image.new("RGB", (WIDTH, height), PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((30, 20), _latin(title, 60), INK, ImageFont.load_default(32))
    for n, (name, days) in enumerate(shown):
        y = TOP + n * ROW
        pen.text((LEFT - 14, y + ROW / 2), _latin(name, NAME), INK, ImageFont.load_default(24), anchor="rm")
        _days(pen, days, y)
    if len(rows) > MOST:
        pen.text((30, bottom + 8), f"{len(rows) - MOST} more checks", INK, ImageFont.load_default(22))
    slowest = [_slowest(n, [days for _, days in rows]) for n in range(len(shown[0][1]) if shown else 0)]
    _durations(pen, slowest, bottom + 60, height - FOOT)
    _dates(pen, len(slowest), until, height - FOOT)
    _legend(pen, height - 34)
    held = io.BytesIO()
    image.save(held, "PNG", optimize=True)
    return held.getvalue()


def _days(pen: ImageDraw.ImageDraw, days: Sequence[Day], y: int) -> None:
    wide = (WIDTH - RIGHT - LEFT) / max(1, len(days))
    for n, day in enumerate(days):
        x = LEFT + n * wide
        box = (x + 2, y + 5, x + wide - 2, y + ROW - 5)
        if day is None:
            pen.rectangle(box, None, FAINT, 2)
            continue
        counts = {outcome: day[0].get(outcome, 0) for outcome in WORST_FIRST}
        top, every = float(box[1]), sum(counts.values())
        for outcome, count in counts.items():
            if count:
                # The worst is never too thin to be seen.
                tall = max(6.0, (box[3] - box[1]) * count / every)
                pen.rectangle((box[0], min(top, box[3] - 2), box[2], min(box[3], top + tall)), COLOURS[outcome])
                top += tall


def _slowest(n: int, rows: Sequence[Sequence[Day]]) -> float | None:
    """The p95 of the slowest check of a day."""
    return max((day[1] for days in rows if (day := days[n]) is not None), default=None)


def _durations(pen: ImageDraw.ImageDraw, values: Sequence[float | None], top: int, bottom: int) -> None:
    small = ImageFont.load_default(24)
    most = max([v for v in values if v is not None], default=0.0) or 1.0
    pen.text((30, top), "p95 of the", INK, small)
    pen.text((30, top + 28), "slowest check", INK, small)
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - top)
        pen.line((LEFT, y, WIDTH - RIGHT, y), FAINT if share else INK, 2)
        pen.text((LEFT - 14, y), f"{most * share:.3g} s", INK, small, anchor="rm")
    wide, run = (WIDTH - RIGHT - LEFT) / max(1, len(values)), list[tuple[float, float]]()
    for n, value in enumerate([*values, None]):
        if value is not None:
            run.append((LEFT + (n + 0.5) * wide, bottom - value / most * (bottom - top)))
            continue
        if len(run) > 1:
            pen.line(run, LINE, 4, joint="curve")
        elif run:
            (x, y) = run[0]
            pen.ellipse((x - 5, y - 5, x + 5, y + 5), LINE)
        run = []


def _dates(pen: ImageDraw.ImageDraw, days: int, until: float, y: int) -> None:
    wide = (WIDTH - RIGHT - LEFT) / max(1, days)
    for label in range(LABELS):
        n = round(label * (days - 1) / (LABELS - 1))
        at = until - (days - n) * 86400
        said = time.strftime("%d %b", time.gmtime(at))
        pen.text((LEFT + (n + 0.5) * wide, y + 12), said, INK, ImageFont.load_default(24), anchor="ma")


def _legend(pen: ImageDraw.ImageDraw, y: int) -> None:
    small, x = ImageFont.load_default(24), 30
    for outcome, colour in COLOURS.items():
        pen.rectangle((x, y - 10, x + 20, y + 10), colour)
        pen.text((x + 28, y), outcome.value, INK, small, anchor="lm")
        x += 28 + int(pen.textlength(outcome.value, small)) + 32
    pen.text((WIDTH - RIGHT, y), "days, UTC", INK, small, anchor="rm")


def _latin(text: str, most: int) -> str:
    """Text that the font has glyphs for."""
    said = text if len(text) <= most else f"{text[: most - 3]}..."
    return said.encode("latin-1", "replace").decode("latin-1")
