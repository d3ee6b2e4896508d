"""What a runbook's checks said over time: how often each passed, how long it took, since when it fails, which of them flap."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import Outcome as Came
from bot.effects import Task
from bot.integrations.slack.words import clip, escape
from handlers.desk import Desk
from handlers.incidents.words import OUTCOME_ICON, Blocks, duration, fitted
from handlers.posts import upload_once
from handlers.runs import chart as drawing
from handlers.runs.table import OUTCOMES
from runbooks import Outcome

CHART = "run-chart"
DAYS = 30
DAY = 86400.0
FLAPS = 3
"""Changes between passing and not, within LATELY outcomes, from which a check is called flaky."""
LATELY = 50
MOST_LINES = 40


@dataclass(frozen=True)
class Past:
    """One check over a period. ``counts``: how often it said what; ``p95_s``: seconds of 95 in 100 looks; times UNIX s.

    ``failing_since``: when the outcomes began that have not been PASS since, or None. ``days``: by day, oldest first, its
    outcomes and p95; None for a day without any.
    """

    name: str
    counts: Counter[Outcome]
    p95_s: float
    last: Outcome
    failing_since: float | None
    flaky: bool
    days: Sequence[tuple[Counter[Outcome], float] | None]


def read(c: Connection, runbook: str, *, now: float, service: str = "") -> list[Past]:
    """Each check's past of DAYS days, what fails now first."""
    t, since = OUTCOMES(), _midnight(now) - (DAYS - 1) * DAY
    wanted = (t.c.runbook == runbook) & (t.c.at >= since)
    wanted &= (t.c.service == service) if service else sa.true()
    asked = sa.select(t.c.name, t.c.outcome, t.c.took_s, t.c.at).where(wanted).order_by(t.c.at, t.c.id)
    by_name: dict[str, list[tuple[Outcome, float, float]]] = {}
    for row in c.execute(asked):
        by_name.setdefault(row.name, []).append((Outcome(row.outcome), float(row.took_s), float(row.at)))
    found = [past(name, looks, since=since) for name, looks in by_name.items()]
    return sorted(found, key=lambda one: (one.failing_since is None, not one.flaky, one.name))


def past(name: str, looks: Sequence[tuple[Outcome, float, float]], *, since: float) -> Past:
    """A check's past of its looks, oldest first: (outcome, seconds, UNIX s)."""
    days: list[list[tuple[Outcome, float, float]]] = [[] for _ in range(DAYS)]
    for one in looks:
        days[min(DAYS - 1, max(0, int((one[2] - since) // DAY)))].append(one)
    failing: float | None = None
    for outcome, _, at in reversed(looks):
        if outcome is Outcome.PASS:
            break
        failing = at
    passed = [outcome is Outcome.PASS for outcome, _, _ in looks[-LATELY:]]
    turns = sum(a != b for a, b in itertools.pairwise(passed))
    return Past(
        name,
        Counter(outcome for outcome, _, _ in looks),
        p95(took for _, took, _ in looks),
        looks[-1][0],
        failing,
        turns >= FLAPS,
        [(Counter(o for o, _, _ in day), p95(took for _, took, _ in day)) if day else None for day in days],
    )


def p95(seconds: Iterable[float]) -> float:
    """The time within which 95 of 100 were done; 0 for none."""
    ordered = sorted(seconds)
    return ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else 0.0


def listing(runbook: str, found: Sequence[Past], *, now: float) -> tuple[str, Blocks]:
    """A runbook's history, a line for each check. (text, blocks)."""
    if not found:
        text = f"{escape(runbook)} has not been run in {DAYS} days."
        return text, [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
    wide = min(40, max(len(one.name) for one in found))
    head = f"{'check':<{wide}}  {'last':<12}  {'looks':>6}  {'passed':>6}  {'p95':>8}"
    lines = [head, *(_line(one, wide) for one in found[:MOST_LINES])]
    lines += [f"… {len(found) - MOST_LINES} more"] if len(found) > MOST_LINES else []
    failing = [_failing(one, now) for one in found if one.failing_since is not None]
    flaky = [f"`{_ticked(one.name)}`" for one in found if one.flaky]
    told = [*failing[:10], f"◐ *Flaky:* {', '.join(flaky[:20])} (passed and did not by turns)" if flaky else ""]
    title = f"*{escape(runbook)}, the last {DAYS} days*"
    tables = [lines[i : i + 20] for i in range(0, len(lines), 20)]
    shown = [title, *("```\n" + escape("\n".join(part)).replace("```", "'''") + "\n```" for part in tables)]
    shown += [one for one in ["\n".join(part for part in told if part)] if one]
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": part}} for part in shown]
    return fitted("\n".join(shown), blocks)


def plain(one: Past) -> dict[str, Any]:
    """A check's past as plain JSON."""
    return {
        "name": one.name,
        "counts": {outcome.value: count for outcome, count in one.counts.items()},
        "p95_s": one.p95_s,
        "last": one.last.value,
        "failing_since": one.failing_since,
        "flaky": one.flaky,
    }


def chart(desk: Desk, task: Task) -> Came:
    """Draw a runbook's history and put it into the channel that it was asked for in."""
    runbook, channel = str(task.args["runbook"]), str(task.args["channel"])
    with desk.store.read() as c:
        found = read(c, runbook, now=task.created_at, service=str(task.args.get("service") or ""))
    if not found:
        return Came(skipped="there is nothing to draw any more")
    title = f"{runbook}: outcomes and p95 duration, {DAYS} days"
    until = _midnight(task.created_at) + DAY
    image = drawing.draw([(one.name, one.days) for one in found], title=title, until=until)
    upload_once(desk, task, channel, name="runbook-history", suffix="png", content=image, title=title)
    return Came({"channel": channel})


def _line(one: Past, wide: int) -> str:
    looks = sum(one.counts.values())
    passed = 100 * one.counts[Outcome.PASS] // looks
    last = f"{OUTCOME_ICON[one.last]} {one.last.value}"
    return f"{clip(one.name, wide):<{wide}}  {last:<12}  {looks:>6}  {passed:>5}%  {_seconds(one.p95_s):>8}"


def _failing(one: Past, now: float) -> str:
    since = one.failing_since or now
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(since))
    ago = duration(now - since)
    return f"{OUTCOME_ICON[one.last]} `{_ticked(one.name)}` has not passed since {at}, {ago} ago"


def _ticked(name: str) -> str:
    return escape(name.replace("`", "'"))


def _seconds(took: float) -> str:
    return f"{took * 1000:.0f} ms" if took < 1 else f"{took:.1f} s"


def _midnight(at: float) -> float:
    return at - at % DAY
