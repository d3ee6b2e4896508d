"""``slo``: how much of each error budget is left, how fast it burns and whom that has woken, as the last look saw it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.config import nearest
from bot.effects import Effect, Outcome, Performer, Task, Tx
from bot.errors import Refused
from bot.grammar import Asker, Reply, Verb
from handlers.catalogue import grouped
from handlers.desk import Desk
from handlers.incidents import grouping, table
from handlers.incidents.table import INCIDENTS
from handlers.noise import table as noise
from handlers.noise.matchers import all_match
from handlers.posts import upload_once
from handlers.slo import budget, judge, kinds, meaning, report, states
from handlers.slo.judge import State
from handlers.slo.kinds import Slo
from handlers.slo.report import Seen

ASK, POST = "slo-chart", "slo-chart-post"
MOST_CHARTS = 3


def slo(desk: Desk, asker: Asker, service: str = "") -> Reply:
    """Say what is left of each error budget, how fast it burns and what fires; of a SERVICE or an SLO with a chart."""
    if not desk.slos:
        raise Refused("There is no SLO in captain.yml: `slos:` names them, and docs/slo.md says how.")
    names, now = _named(desk, service), time.time()
    with desk.store.read() as c:
        found = [_seen(desk, c, name, states.load(c)) for name in names]
    text, blocks = report.listing(found, now=now) if not service else report.detail(found, now=now)
    if service and asker.door == "slack" and asker.channel and desk.outside.chat and desk.outside.metrics:
        with desk.engine.transaction(now) as tx:
            for name in names[:MOST_CHARTS]:
                # Named by the request: one that is asked again after a kill draws no second chart.
                args = {"slo": name, "channel": asker.channel}
                tx.owe(Effect(f"slo:{asker.key}:{name}", ASK, "checks", None, args, urgency=5))
        text += "\nA chart follows in this channel, where the app is in it."
    return Reply(text, blocks, data=[report.plain(one, now=now) for one in found])


def performers(desk: Desk) -> list[Performer]:
    """What this file owes: to ask for a chart's numbers, and to post it."""
    return [Performer(ASK, lambda task: _ask(desk, task)), Performer(POST, lambda task: _post(desk, task))]


def _named(desk: Desk, word: str) -> list[str]:
    """The SLOs that a service's or an SLO's name stands for. Raises Refused."""
    if not word:
        return sorted(desk.slos)
    if word in desk.slos:
        return [word]
    mine = sorted(name for name, one in desk.slos.items() if one.service == word)
    if mine:
        return mine
    with_some = sorted({one.service for one in desk.slos.values()})
    if word in desk.services:
        raise Refused(f"The service {word} has no SLO. These have some: {', '.join(with_some)}.")
    raise Refused(f"I know no service and no SLO '{word[:80]}'.{nearest(word, [*with_some, *desk.slos])}")


def _seen(desk: Desk, c: Connection, name: str, kept: Mapping[str, tuple[float, State]]) -> Seen:
    one = desk.slos[name]
    looked, state = kept.get(name, (0.0, State()))
    labels = kinds.labels(name, one, environment=desk.services[one.service].environment)
    quiet = [row for row in noise.active(c) if _silences(desk, row, one, labels)]
    counts = noise.counts(c, [row.id for row in quiet])
    silences = [(row, *counts[row.id]) for row in quiet]
    return Seen(name, one, state, looked or None, _open(c, name, one, labels["env"]), silences)


def _open(c: Connection, name: str, one: Slo, environment: str) -> Sequence[Any]:
    t = INCIDENTS()
    mine = (t.c.service == one.service) & t.c.open_key.is_not(None) & (t.c.environment == environment)
    # Sorted here: asked for in order, SQLite would walk through all of them from the first on.
    rows = sorted(c.execute(sa.select(t).where(mine)).all(), key=lambda row: int(row.number))
    return [row for row in rows if table.about(row).get("slo") == name]


def _silences(desk: Desk, row: Any, one: Slo, labels: Mapping[str, str]) -> bool:
    """Whether a silence may hold what this SLO raises; what it says of a tier or a severity is left to the alert."""
    quiet, template = noise.quiet(row), grouped(desk.policy, desk.services, one.service)
    named = {**labels, "alertname": kinds.BURN}
    key = grouping.key_of(template, named, service=one.service, environment=labels["env"]).text
    known = [each for each in quiet.matchers if each.name in labels]
    return (
        (not quiet.services or one.service in quiet.services)
        and (not quiet.key or quiet.key == key)
        and all_match(known, labels)
    )


def _ask(desk: Desk, task: Task) -> Outcome:
    name, metrics = str(task.args["slo"]), desk.outside.metrics
    if name not in desk.slos or metrics is None:
        return Outcome(skipped="it is no longer in captain.yml")
    one, now = desk.slos[name], time.time()
    shown = meaning.drawn(metrics, one, judge.fastest(one), now)
    if not shown:
        return Outcome(skipped="Prometheus has no data for it")

    def apply(tx: Tx) -> None:
        channel = str(task.args["channel"])
        args = {**task.args, **shown}
        tx.owe(Effect(f"{task.key}:post", POST, "slack", None, args, urgency=7, bucket=f"post:{channel}"))

    return Outcome(apply=apply)


def _post(desk: Desk, task: Task) -> Outcome:
    name, channel = str(task.args["slo"]), str(task.args["channel"])
    if name not in desk.slos:
        return Outcome(skipped="it is no longer in captain.yml")
    image, title = meaning.picture(name, desk.slos[name], task.args)
    upload_once(desk, task, channel, name="slo", suffix="png", content=image, title=title)
    return Outcome({"channel": channel})


def gauges(
    desk: Desk, c: Connection, now: float
) -> tuple[list[tuple[str, str, float]], dict[str, float], dict[str, bool]]:
    """For /metrics: burns as (SLO, window, burn), the share left by SLO, and whether it cannot be measured; the unknown is left out."""
    burns: list[tuple[str, str, float]] = []
    left: dict[str, float] = {}
    missing: dict[str, bool] = {}
    for name, (_, state) in states.load(c).items():
        if name not in desk.slos:
            continue
        one = desk.slos[name]
        missing[name] = not judge.measured(one, state, now)
        for length in judge.lengths(one):
            speed = budget.burn(judge.recent(state, length, now), one.budget)
            if speed is not None:
                burns.append((name, kinds.span(length), speed))
        share = budget.left(judge.recent(state, one.window_s, now), one.budget)
        if share is not None:
            left[name] = share
    return burns, left, missing


VERBS: Mapping[str, Verb] = {"": slo}
