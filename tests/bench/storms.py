"""What a storm of alerts and a service that is down must not do to those who wait: pages, commands, memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import load
import subject
from report import Row, percentile
from size import Run, Size, latency, least, taken
from subject import Bench, Load, Product

ALONE = 20
"""Incidents of a storm that page for themselves, as captain.yml has it when it says nothing: what comes after is folded."""
SLACK_LIMIT = {"pace": 1.0}
"""A storm meets Slack's real limit: one message a second in a channel."""


def storm(bench: Bench, size: Size) -> Iterator[Row]:
    """P9, P10, P11: a storm; half a second into it a new critical alert; all the while people ask for the list."""
    runs: list[Run] = []
    faults: list[str] = []
    for _ in range(size.turns):
        for delay in (0, 100):
            with bench.product(slack=SLACK_LIMIT, folds=True) as bot:
                bot.warm(bench.outside)
                bench.outside.reset(delay_ms=delay)
                runs.append(_storm(bench, bot, size, delay, faults))
    near, far = ([run for run in runs if run["delay_ms"] == delay] for delay in (0, 100))
    n, name = size.turns, f"a storm of {size.storm}"
    yield Row(
        f"P9 slash command in {name}, p99", least(runs, "slash_p99_ms"), "ms", sum(run["slashes"] for run in runs), None,
        "≤ 250 ms", at_most=250, faults=faults, runs=runs, peers="Dispatch fails at command 31",
    )  # fmt: skip
    yield Row(
        f"P9 slash command in {name}, slowest", least(runs, "slash_max_ms"), "ms", sum(run["slashes"] for run in runs),
        None, "≤ 1000 ms", at_most=1000, faults=faults,
    )  # fmt: skip
    yield Row(f"P10 {name} acknowledged", least(runs, "storm_acked_s"), "s", n, None, "recorded", faults=faults,
              peers="Alertmanager 0.9-1.4; Keep 300-600", note="10 000 / 0.5 G is 2-4 s")  # fmt: skip
    yield Row(f"P10 {name}: most Slack messages in 10 s", max(run["posts_10_s"] for run in runs), "messages", n, None,
              "≤ 12", at_most=12, faults=faults, note="one a second, and one to the channel of the new alert")  # fmt: skip
    yield Row(f"P10 {name}: Slack calls in all", max(run["slack_calls"] for run in runs), "calls", n, None, "≤ 150",
              at_most=150, faults=faults, note=f"pages: {max(run['pages'] for run in runs)}")  # fmt: skip
    yield Row(
        f"P11 new critical alert in {name}, paged after", least(near, "paged_ms"), "ms", n, None, "≤ 100 ms", at_most=100,
        faults=faults, peers="Alertmanager 13-23; Keep 57-99 s", note="worst: " + _worst(near, "paged_ms"),
    )  # fmt: skip
    yield Row(
        f"P11 the same with the outside 100 ms away: beyond these, {name}", least(far, "paged_ms") - 100, "ms", n, None,
        "≤ 100 ms", at_most=100, faults=faults, peers="Alertmanager 7-84", note="worst: " + _worst(far, "paged_ms"),
    )  # fmt: skip


def _worst(runs: list[Run], name: str) -> str:
    return f"{max((run[name] for run in runs), default=float('nan')):.0f} ms"


def _storm(bench: Bench, bot: Product, size: Size, delay: int, faults: list[str]) -> Run:
    groups = size.storm // 20
    requests = subject.alerts(size.storm, groups)
    new: list[load.Heard] = []
    said: list[load.Heard] = []
    over = threading.Event()

    def strike() -> None:
        # Of a service whose on-call nobody has called: it is not folded, whatever else comes.
        critical = subject.alert("new-one", severity="critical", service="gateway")
        new.append(load.closed(bot.port, [critical], connections=1))

    def ask() -> None:
        while not over.is_set():
            slashes = [subject.slash(bench.outside.child.port) for _ in range(20)]
            said.append(load.opened(bot.port, slashes, rate=20, connections=4))

    striker, asker = threading.Timer(0.5, strike), threading.Thread(target=ask)
    striker.start()
    asker.start()
    with Load(bench.pids) as busy:
        heard = load.closed(bot.port, requests)
    striker.join()
    taken(heard, faults)
    # The warm-up's incidents are the first of the storm's twenty that page for themselves; one more page is the storm's.
    folded = groups + subject.WARM // 20 > ALONE
    paging = ALONE - subject.WARM // 20 + 1 if folded else groups
    incidents = groups + 1 + folded
    faults += bot.faults(bench.outside, alerts=size.storm + 1, incidents=incidents, warm=True, pages_of=paging + 1)
    over.set()
    asker.join()
    for one in said:
        taken(one, faults)
    waits = [ms for one in said for ms in one.latencies()]
    at = bench.outside.page_of().get("new-one")
    if at is None:
        faults.append("the new critical alert was not paged")
    posts = sorted(when for when, _, method, _ in bench.outside.calls() if method == "chat.postMessage")
    slack = sum(service == "slack" and method != "respond" for _, service, method, _ in bench.outside.calls())
    most = max((sum(at <= other < at + 10 for other in posts) for at in posts), default=0)
    return {
        "of": "product",
        "delay_ms": delay,
        "paged_ms": ((at or float("nan")) - new[0].due[0]) * 1000,
        "acked_ms": (new[0].ended[0] - new[0].due[0]) * 1000,
        "storm_acked_s": max(heard.ended) - heard.began,
        "slashes": len(waits),
        "slash_p99_ms": percentile(waits, 0.99),
        "slash_max_ms": max(waits, default=float("nan")),
        "posts_10_s": most,
        "slack_calls": slack,
        "pages": len(bench.outside.pages()),
        "other_cpu": busy.other_cpu,
    }


def again(bench: Bench, size: Size) -> Iterator[Row]:
    """P12: memory over one storm and over many of the same shape; open files and threads are back afterwards."""
    faults: list[str] = []
    held: list[dict[str, Any]] = []
    with bench.product(slack=SLACK_LIMIT, folds=True) as bot:
        bot.warm(bench.outside)
        held.append(bot.holds())
        for n in range(size.storms):
            bench.outside.reset()
            taken(load.closed(bot.port, subject.alerts(size.storm, size.storm // 20)), faults)
            if not bot.drained(timeout=120):
                faults.append(f"storm {n + 1} was not worked off in 120 s")
            held.append(bot.holds())
        _commands(bench, bot, 400, faults)
        before = bot.holds()
        _commands(bench, bot, size.storm, faults)
        after = bot.holds()
        pages = bot.count("select count(*) from effects where kind = 'page' and state = 'done'")
        first = size.storm // 20 + subject.WARM // 20
        faults += subject.wrong({"pages": (pages, min(first, ALONE + 1) + bot.tamper)})
    grown = [row["memory_mb"] - held[0]["memory_mb"] for row in held]
    yield Row(
        "P12 memory grown over a storm", grown[1], "MB", size.storm, None, "≤ 20 MB", at_most=20, faults=faults, runs=held,
        peers="Alertmanager 61-134; Keep 25 for 1 000", note="by storm: " + ", ".join(f"{mb:.0f}" for mb in grown[1:]),
    )  # fmt: skip
    yield Row(
        "P12 memory grown from the second storm to the last", grown[-1] - grown[min(2, size.storms)], "MB", size.storms,
        None, "≤ 5 MB", at_most=5, faults=faults, note="the ledger of open incidents is on disk",
    )  # fmt: skip
    yield Row(
        f"P9 open files more after {size.storm} commands in a row", after["files"] - before["files"], "files", size.storm,
        None, "0", at_most=0, faults=faults, peers="Dispatch: each leaves a database session open",
    )  # fmt: skip


def _commands(bench: Bench, bot: Product, count: int, faults: list[str]) -> None:
    """So many slash commands, each right after the other, and all of them answered."""
    commands = [subject.slash(bench.outside.child.port) for _ in range(count)]
    taken(load.closed(bot.port, commands, connections=4), faults)
    if not subject.until(lambda: bot.count("select count(*) from inbox where done_at is null") == 0, timeout=120):
        faults.append("commands were not done within 120 s")


def outage(bench: Bench, size: Size) -> Iterator[Row]:
    """Pages while Slack answers 500, and while Jira hangs: what is down must not be felt by who is paged."""
    runs: list[Run] = []
    faults: list[str] = []
    for what in ("nothing", "slack", "jira"):
        with bench.product() as bot:
            bot.warm(bench.outside)
            bench.outside.reset(down="" if what == "nothing" else what)
            names = [f"out-{what}-{i}" for i in range(size.pages)]
            with Load(bench.pids) as busy:
                heard = load.opened(bot.port, [subject.alert(name) for name in names], rate=20)
            taken(heard, faults)
            subject.until(lambda names=names: set(names) <= bench.outside.page_of().keys(), timeout=30)
            paged = bench.outside.page_of()
            if missing := set(names) - paged.keys():
                faults.append(f"{len(missing)} pages never came while {what} was down")
            late = [(paged[n] - at) * 1000 for n, at in zip(names, heard.due, strict=True) if n in paged]
            bench.outside.reset()
        runs.append(latency(what, late, busy, began=time.time()))
    calm = least(runs, "p99_ms", "nothing")
    for what, name in (("slack", "while Slack answers 500"), ("jira", "while Jira hangs")):
        yield Row(f"alert to page, p99, {name}", least(runs, "p99_ms", what), "ms", size.pages, calm, "recorded",
                  faults=faults, runs=[run for run in runs if run["of"] == what])  # fmt: skip
