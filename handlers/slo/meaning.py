"""Says below an incident what its burn means: how long the budget lasts, what contributes most, what was switched on and deployed, a chart."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bot.effects import Effect, Outcome, Performer, Task, Tx
from bot.errors import GiveUp, Retry
from bot.integrations.prometheus import Metrics
from bot.integrations.slack.words import escape
from handlers.alerts import journal
from handlers.deploys import shown as deploys
from handlers.desk import Desk
from handlers.flags import table as flags
from handlers.incidents import decide, table
from handlers.incidents import words as incident_words
from handlers.incidents.table import INCIDENTS
from handlers.incidents.words import duration
from handlers.posts import upload_once
from handlers.rooms import owing as rooms
from handlers.rooms.place import place
from handlers.slo import ask, budget, chart, judge, kinds, states, words
from handlers.slo.chart import Line, Threshold
from handlers.slo.judge import State, recent
from handlers.slo.kinds import Slo, Tier, span
from handlers.slo.owed import KIND

CHART = "burn-chart"
PATIENCE = 3
"""Tries after which it is said that Prometheus does not answer, instead of waiting for it."""
FRESH_S = 90.0
"""Seconds for which our own look is asked instead of Prometheus."""
POINTS, LEAST_S, MOST_S = 120, 3 * 3600, 7 * 86400
"""Points of the chart, and the seconds it shows at least and at most."""
TOP = 3
"""Label values that are named."""
RECENT_S = 2 * 3600.0
"""Seconds after its end for which a flag or a deploy may have to do with it."""
SUM = re.compile(r"\s*sum\s*(?:(?:by|without)\s*\([^()]*\)\s*)?\(", re.IGNORECASE)


@dataclass(frozen=True)
class Facts:
    """What was found. ``top``: (labels, share of the bad events of the tier's long window). ``why``: why there is no data."""

    state: State
    tier: Tier
    top: Sequence[tuple[str, float]] = ()
    why: str = ""
    drawn: Mapping[str, Any] = field(default_factory=dict)


def performers(desk: Desk) -> list[Performer]:
    """What this file owes: the message, and the chart below it."""
    return [Performer(KIND, lambda task: _say(desk, task)), Performer(CHART, lambda task: _draw(desk, task))]


def _say(desk: Desk, task: Task) -> Outcome:
    with desk.store.read() as c:
        row = table.by_number(c, task.about or 0)
        firing = [json.loads(one.labels).get("tier", "") for one in journal.firing(c, [task.about or 0])]
        kept = states.load(c)
    name = table.about(row).get("slo", "") if row is not None else ""
    slo, metrics = desk.slos.get(name), desk.outside.metrics
    if row is None or slo is None or metrics is None:
        return Outcome(skipped="its SLO is no longer in captain.yml, or nobody can be asked about it")
    if not table.is_open(row):
        return Outcome(skipped="resolved meanwhile")
    now = time.time()
    tier = tier_of(slo, [*firing, table.about(row).get("tier", "")])
    looked, state = kept.get(name, (0.0, State()))
    began = max(row.opened_at, row.reopened_at or 0.0)
    if not (began <= looked and 0 <= now - looked <= FRESH_S):
        state = State()  # what was seen before it burned says nothing of it
    try:
        found = gather(metrics, slo, tier, state, now)
    except (Retry, GiveUp) as e:
        if isinstance(e, Retry) and task.attempt < PATIENCE:
            raise
        found = Facts(state, tier, why=e.reason)
    with desk.store.read() as c:
        switched = flag_lines(flags.around(c, row.service, since=now - RECENT_S), now)
        switched += deploys.lines(c, row, since=now - RECENT_S, now=now)
    text = told(name, slo, found, switched, incident_words.links(row), now)

    def apply(tx: Tx) -> None:
        fresh = table.locked(tx.c, row.number)
        speed = budget.burn(recent(found.state, tier.short_s, now), slo.budget)
        about = {**table.about(fresh), "meaning": words.of_state(slo, found.state, tier, now)}
        if speed is not None:
            about["burn"] = words.times(speed)
        values = {"about": json.dumps(about, ensure_ascii=False)}
        tx.c.execute(INCIDENTS().update().where(INCIDENTS().c.number == row.number).values(**values))
        decide.say(desk, tx, fresh, task.key.removeprefix(f"{row.uid}:"), text)
        if found.drawn:
            key, after, bucket = f"{task.key}:chart", f"{row.uid}:root", rooms.bucket(desk, fresh)
            args = {"slo": name, **found.drawn}
            tx.owe(Effect(key, CHART, "slack", row.number, args, urgency=7, after=after, bucket=bucket))
        decide.show(desk, tx, row.number)

    return Outcome({"tier": tier.name}, apply)


def tier_of(slo: Slo, names: Sequence[str]) -> Tier:
    """The worst of the tiers that are named; the first of the SLO's where none of them is its own."""
    mine = [tier for tier in slo.all_tiers if tier.name in names]
    return min(mine or slo.all_tiers, key=lambda tier: (tier.severity != "page", tier.long_s))


def gather(metrics: Metrics, slo: Slo, tier: Tier, state: State, now: float) -> Facts:
    """Ask for what the message says. ``state``: what a look has just seen, or nothing. Raises Retry and GiveUp.

    The short windows must be told; a long one, the labels and the chart are left out where they are not.
    """
    needed = sorted({tier.short_s, tier.long_s, slo.window_s})
    missing = [length for length in needed if not recent(state, length, now).known]
    why = ""
    for wanted in judge.batches(missing):
        try:
            heard, said = ask.windows(metrics, slo, wanted, now=now)
        except (Retry, GiveUp):
            if tier.short_s in wanted:
                raise
            continue
        state = replace(state, windows={**state.windows, **heard})
        why = why or (said if tier.short_s in wanted else "")
    found = Facts(state, tier, why=why)
    if not recent(state, tier.short_s, now).known:
        return replace(found, why=why or "no data")
    try:
        return replace(found, top=_top(metrics, slo, tier, found, now), drawn=drawn(metrics, slo, tier, now))
    except (Retry, GiveUp) as e:
        return replace(found, why=f"the chart is missing: {e.reason}")


def _top(metrics: Metrics, slo: Slo, tier: Tier, found: Facts, now: float) -> Sequence[tuple[str, float]]:
    """The label values with the most bad events in the short window, each with its share of all of them."""
    bad = recent(found.state, tier.short_s, now).bad
    if not slo.by or not bad:
        return ()
    answer = metrics.query(f"topk({TOP}, {by_label(slo, tier.short_s)})")
    known = [one for one in answer.samples if budget.known(one.value) and any(one.labels.get(n) for n in slo.by)]
    named = [
        (" ".join(f'{n}="{one.labels[n][:80]}"' for n in slo.by if one.labels.get(n)), min(1.0, one.value / bad))
        for one in known
    ]
    return sorted(named, key=lambda one: -one[1])


def by_label(slo: Slo, length: int) -> str:
    """PromQL: the bad events by the labels of ``by``. A sum() around a query hides them, and is taken off."""
    by, times = f"sum by ({', '.join(slo.by)})", f" * {length}" if slo.per_second else ""
    if slo.bad:
        return f"{by} ({bare(kinds.over(slo.bad, length))}){times}"
    total, good = (f"{by} ({bare(kinds.over(query, length))})" for query in (slo.total, slo.good))
    return f"({total} - ({good} or 0 * {total})){times}"


def bare(query: str) -> str:
    """A query without the sum() that is around the whole of it."""
    text = query.strip()
    found = SUM.match(text)
    if found is None:
        return text
    depth, quote = 1, ""
    for at in range(found.end(), len(text)):
        one = text[at]
        if quote:
            quote = "" if one == quote and text[at - 1] != "\\" else quote
        elif one in "\"'`":
            quote = one
        elif one in "()":
            depth += 1 if one == "(" else -1
            if not depth:
                return text[found.end() : at] if at == len(text) - 1 else text
    return text


def drawn(metrics: Metrics, slo: Slo, tier: Tier, now: float) -> Mapping[str, Any]:
    """What the chart shows, as JSON; nothing where there is nothing to show. Raises Retry and GiveUp."""
    length = min(MOST_S, max(LEAST_S, tier.long_s * 3 // 2))
    # Three days at each of many points is what a Prometheus chokes on: there the short window is drawn alone.
    shown = [tier.short_s, *([tier.long_s] if tier.long_s <= judge.LONG_S else [])]
    # Whole seconds: the points are found again by their times.
    step = max(1, length // POINTS)
    until = int(now)
    since = until - step * POINTS
    answer = metrics.query_range(ask.expression(slo, shown), start=since, end=until, step=step)
    if answer.warnings:
        return {}
    parts = {one.labels.get(ask.PART, ""): dict(one.points) for one in answer.series}
    lines = []
    for window in shown:
        bad, total = parts.get(f"{ask.BAD}:{window}", {}), parts.get(f"{ask.TOTAL}:{window}", {})
        times = [since + step * n for n in range(POINTS + 1)]
        burns = [budget.burn(budget.reading(total.get(at), bad.get(at)), slo.budget) for at in times]
        lines.append([span(window), [None if burn is None else round(burn, 4) for burn in burns]])
    if all(burn is None for _, burns in lines for burn in burns):
        return {}
    return {"since": since, "until": until, "lines": lines}


def told(
    name: str, slo: Slo, found: Facts, switched: Sequence[str], links: Sequence[tuple[str, str]], now: float
) -> str:
    """The message, mrkdwn."""
    tier, state = found.tier, found.state
    fast, slow = recent(state, tier.short_s, now), recent(state, tier.long_s, now)
    if not fast.known:
        lines = [
            f"∅ *What {escape(name)} burns now is not known:* {escape(found.why or 'no data')}. There is no chart."
        ]
    else:
        at, slowly = (words.times(budget.burn(one, slo.budget)) for one in (fast, slow))
        does = "a page" if tier.severity == "page" else "a ticket"
        counted = f"{fast.bad:.0f} of {fast.total:.0f} events were bad ({words.per_cent(fast.share or 0)})"
        lines = [
            f"*{escape(name)} burns at {at}* over {span(tier.short_s)}, at {slowly} over {tier.long}; {does} from {tier.burn:g}x on.",
            words.of_state(slo, state, tier, now),
            f"In the last {span(tier.short_s)} {counted}; {slo.objective:g} % shall be good over {slo.window}.",
        ]
        if found.top:
            shown = ", ".join(f"`{escape(labels)}` {words.per_cent(share)}" for labels, share in found.top)
            lines.append(f"*Most of it:* {shown}")
        if found.why:
            lines.append(escape(f"∅ {found.why[0].upper()}{found.why[1:]}."))
    lines += switched
    if links:
        lines.append(" · ".join(f"<{escape(url)}|{escape(said)}>" for said, url in links))
    return "\n".join(lines)


def flag_lines(rows: Sequence[Any], now: float) -> list[str]:
    """What was switched on or off lately for the service, a line each, mrkdwn."""
    lines = []
    for row in rows:
        who, flag = escape(row.asked_by), f"`{escape(row.name)}`"
        if row.on_key is None:
            if row.on_at is not None and row.off_at is not None:
                lines.append(f"*Flag:* {flag} went off {duration(now - row.off_at)} ago (on by {who}).")
        elif row.on_at is None:
            lines.append(f"*Flag:* {flag} is being switched on by {who}.")
        else:
            lines.append(f"*Flag:* {flag} is on since {duration(now - row.on_at)}, by {who}.")
    return lines


def picture(name: str, slo: Slo, shown: Mapping[str, Any]) -> tuple[bytes, str]:
    """The chart of what ``drawn`` gave, and its title."""
    since, until = float(shown["since"]), float(shown["until"])
    lines = []
    for window, burns in shown["lines"]:
        step = (until - since) / max(1, len(burns) - 1)
        lines.append(Line(f"over {window}", [(since + step * n, burn) for n, burn in enumerate(burns)]))
    title = f"{name[:40]}: burn"
    thresholds = [Threshold(tier.severity, tier.burn) for tier in slo.tiers]
    return chart.draw(lines, thresholds, title=title, since=since, until=until), title


def _draw(desk: Desk, task: Task) -> Outcome:
    with desk.store.read() as c:
        row = table.by_number(c, task.about or 0)
    name = str(task.args["slo"])
    spot = place(row) if row is not None else None
    if spot is None or name not in desk.slos:
        return Outcome(skipped="there is no thread to put it into")
    image, title = picture(name, desk.slos[name], task.args)
    upload_once(desk, task, spot[0], name="burn", suffix="png", content=image, title=title, thread_ts=spot[1])
    return Outcome({"channel": spot[0]})
