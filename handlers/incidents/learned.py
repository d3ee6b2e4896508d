"""``incident stats``: what incidents took, in numbers where it was asked, and in Slack as a chart in the same channel."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict

from bot.config import nearest
from bot.effects import Effect, Outcome, Performer, Task
from bot.errors import Refused
from bot.grammar import Asker, Reply
from bot.integrations.slack.words import escape
from handlers.desk import Desk
from handlers.incidents import chart, stats
from handlers.incidents.stats import Group, Spread, Stats
from handlers.incidents.words import duration
from handlers.posts import upload_once

LONGEST = 366
"""Days that are looked back at most."""
MOST_ROWS = 12
"""Services and weeks that are listed in a message; --json has all."""


def stats_(desk: Desk, asker: Asker, *, service: str = "", days: int = 90) -> Reply:
    """Say how long it took to acknowledge and to resolve, by severity, service and week; in Slack with a chart."""
    if service and service not in desk.services:
        raise Refused(f"I know no service '{service[:80]}'.{nearest(service, list(desk.services))}")
    if not 1 <= days <= LONGEST:
        raise Refused(f"--days is from 1 to {LONGEST}. Say for example `incident stats --days 30`.")
    now = time.time()
    found = _reckoned(desk, service=service, days=days, now=now)
    text = told(found, days)
    if asker.door == "slack" and asker.channel and desk.outside.chat is not None and stats.drawn(found):
        args = {"channel": asker.channel, "service": service, "days": days, "until": now}
        with desk.engine.transaction(now) as tx:
            # Named by the request: one that is asked again after a kill draws no second chart.
            tx.owe(Effect(f"stats:{asker.key}", "stats-chart", "slack", None, args, bucket=f"post:{asker.channel}"))
        text += "\nA chart follows in this channel, where the app is in it."
    return Reply(text, in_channel=asker.door == "slack", data=asdict(found))


def performers(desk: Desk) -> list[Performer]:
    """What this file owes to the outside."""
    return [Performer("stats-chart", lambda task: _chart(desk, task))]


def _chart(desk: Desk, task: Task) -> Outcome:
    asked = task.args
    days, service = int(asked["days"]), str(asked["service"])
    found = _reckoned(desk, service=service, days=days, now=float(asked["until"]))
    columns = stats.drawn(found)
    if not columns:
        return Outcome(skipped="what it was about has been purged")
    title = f"{_counted(found.total.incidents)} in {days} days{f' · {service}' if service else ''}"
    picture = chart.draw(columns, title=title)
    upload_once(desk, task, str(asked["channel"]), name="incidents", suffix="png", content=picture, title=title)
    return Outcome({"channel": asked["channel"]})


def _reckoned(desk: Desk, *, service: str, days: int, now: float) -> Stats:
    since = now - days * 86400.0
    with desk.store.read() as c:
        lives = stats.lives(c, since=since, until=now, service=service)
    return stats.report(lives, since=since, until=now, service=service)


def told(found: Stats, days: int) -> str:
    """The numbers as mrkdwn. What is not in them is counted and said."""
    about = f"{f' of {found.service}' if found.service else ''} in the last {days} {'day' if days == 1 else 'days'}"
    tests = found.tests.incidents
    apart = f" {tests} {'test is' if tests == 1 else 'tests are'} not counted." if tests else ""
    folded = found.folded.incidents
    apart += (
        f" {folded} folded into storms {'is' if folded == 1 else 'are'} not counted, each storm is." if folded else ""
    )
    if not found.total.incidents:
        return escape(f"No incident{about}, so there is nothing to reckon.{apart}")
    lines = [f"*{escape(_counted(found.total.incidents))}*{escape(about)}.{apart}", *_total(found.total)]
    for name, groups in (("severity", found.severities), ("service", found.services), ("week of", found.weeks)):
        lines += _table(name, groups, newest=name == "week of")
    if found.cut:
        lines.append(f"Only the newest {stats.MOST:,} were looked at; ask for fewer --days.")
    return "\n".join(lines)


def _counted(n: int) -> str:
    return f"{n} incident" if n == 1 else f"{n} incidents"


def _total(one: Group) -> list[str]:
    without = [
        f"{count} {why}"
        for count, why in (
            (one.unpaged, "without a page"),
            (one.unacked, "paged and acknowledged by nobody"),
            (one.early, "acknowledged before PagerDuty had the page"),
        )
        if count
    ]
    left = f" Not in it: {', '.join(without)}." if without else ""
    still = f" Not in it: {one.unresolved} not resolved." if one.unresolved else ""
    return [
        f"Time to acknowledge, from the page to the first person: {_spread(one.ack)}.{left}",
        f"Time to resolve, from the opening to the last end: {_spread(one.resolve)}.{still}",
    ]


def _spread(one: Spread) -> str:
    if one.p50 is None or one.p90 is None or one.mean is None:
        return "no data"
    of = f"of {one.count}"
    return f"p50 *{duration(one.p50)}*, p90 *{duration(one.p90)}*, mean {duration(one.mean)} ({of})"


def _table(name: str, groups: Sequence[Group], *, newest: bool) -> list[str]:
    """A table in a code block, which a narrow screen scrolls; of the weeks the newest, of the rest the most frequent."""
    shown = list(groups)[-MOST_ROWS:] if newest else sorted(groups, key=lambda one: -one.incidents)[:MOST_ROWS]
    if not newest:
        shown.sort(key=lambda one: one.name)
    head = (name, "n", "ack p50", "p90", "resolve p50", "p90")
    rows = [head, *((one.name, str(one.incidents), *_pair(one.ack), *_pair(one.resolve)) for one in shown)]
    wide = [max(len(row[n]) for row in rows) for n in range(len(head))]
    drawn = ["  ".join(f"{cell:<{wide[n]}}" for n, cell in enumerate(row)).rstrip() for row in rows]
    more = [f"… and {len(groups) - len(shown)} more; --json has all."] if len(groups) > len(shown) else []
    return ["```", *(escape(line).replace("`", "'") for line in drawn), *more, "```"]


def _pair(one: Spread) -> tuple[str, str]:
    return ("-", "-") if one.p50 is None or one.p90 is None else (duration(one.p50), duration(one.p90))
