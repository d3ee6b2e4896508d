"""The measurements: each gives its rows, takes product and floor in turns, and counts what the product holds afterwards."""

from __future__ import annotations

import contextlib
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import checks
import detection
import growth
import load
import storms
import subject
from report import Row, percentile
from size import Run, Size, latency, least, most, taken
from subject import HERE, Bench, Load


def _ingest_floor(bench: Bench, requests: list[bytes], faults: list[str]) -> Run:
    path = bench.fresh("floor") / "g.db"
    with bench.floor("ingest", str(path)) as child:
        load.closed(child.port, requests[:200])
        with Load(bench.pids) as busy:
            heard = load.closed(child.port, requests)
        taken(heard, faults)
    with contextlib.closing(sqlite3.connect(path)) as c:
        kept = int(c.execute("select count(*) from alerts").fetchone()[0])
    faults += subject.wrong({"rows of the floor": (kept, len(requests) + 200)})
    return {"of": "floor", "rate": heard.rate, "other_cpu": busy.other_cpu}


def ingest(bench: Bench, size: Size) -> Iterator[Row]:
    """P1: unique alerts from 32 senders, each committed before its ack."""
    runs: list[Run] = []
    faults: list[str] = []
    for _ in range(size.turns):
        requests = subject.alerts(size.alerts, size.groups)
        runs.append(_ingest_floor(bench, requests, faults))
        with bench.product() as bot:
            bot.warm(bench.outside)
            with Load(bench.pids) as busy:
                heard = load.closed(bot.port, requests)
            taken(heard, faults)
            acked = time.monotonic()
            faults += bot.faults(bench.outside, alerts=size.alerts, incidents=size.groups, warm=True)
            rest = time.monotonic() - acked
        run = {"of": "product", "rate": heard.rate, "other_cpu": busy.other_cpu, "worked_off_s": round(rest, 2)}
        runs.append(run | {"ack_p99_ms": percentile(heard.latencies(), 0.99)})
    yield Row(
        "P1 ingest, unique alerts", most(runs, "product"), "alerts/s", size.alerts, most(runs, "floor"),
        "≥ 0.5 of G", "ratio", at_least=0.5, faults=faults, runs=runs, peers="Alertmanager 16-18 k/s; Keep 17-33 /s",
        note="intake, decisions and effects share one writer lock and one interpreter",
    )  # fmt: skip


def duplicates(bench: Bench, size: Size) -> Iterator[Row]:
    """P2: one alert from 32 senders at once, over and over."""
    runs: list[Run] = []
    faults: list[str] = []
    for _ in range(size.turns):
        requests = [subject.alert("one-alert")] * size.duplicates
        runs.append(_ingest_floor(bench, requests, faults))
        with bench.product() as bot:
            bot.warm(bench.outside)
            with Load(bench.pids) as busy:
                heard = load.closed(bot.port, requests)
            taken(heard, faults)
            faults += bot.faults(bench.outside, alerts=1, incidents=1, warm=True)
        runs.append({"of": "product", "rate": heard.rate, "other_cpu": busy.other_cpu})
    yield Row(
        "P2 ingest, duplicates", most(runs, "product"), "alerts/s", size.duplicates, most(runs, "floor"),
        "≥ 0.6 of G, 1 row", "ratio", at_least=0.6, faults=faults, runs=runs,
        peers="Alertmanager 19-20 k/s; Keep 34-77 /s and 5-15 rows",
    )  # fmt: skip


def steady(bench: Bench, size: Size) -> Iterator[Row]:
    """P3: the ack at 500 alerts a second, whatever became of those before."""
    runs: list[Run] = []
    faults: list[str] = []
    count = int(500 * size.open_s)
    for _ in range(size.turns):
        requests = subject.alerts(count, 20)
        path = bench.fresh("floor") / "g.db"
        with bench.floor("ingest", str(path)) as child:
            with Load(bench.pids) as busy:
                heard = load.opened(child.port, requests, rate=500)
            taken(heard, faults)
        runs.append(latency("floor", heard.latencies(), busy))
        with bench.product() as bot:
            bot.warm(bench.outside)
            with Load(bench.pids) as busy:
                heard = load.opened(bot.port, requests, rate=500)
            taken(heard, faults)
            faults += bot.faults(bench.outside, alerts=count, incidents=20, warm=True)
        runs.append(latency("product", heard.latencies(), busy))
    floor = least(runs, "p99_ms", "floor")
    yield Row("P3 ack p99 at 500/s", least(runs, "p99_ms"), "ms", count, floor, faults=faults, runs=runs)


def paging(bench: Bench, size: Size) -> Iterator[Row]:
    """P4, P5, P6: from the moment an alert is due to its page at the wire, near and far; and how many calls that takes."""
    runs: list[Run] = []
    faults: list[str] = []
    for _ in range(size.turns):
        with bench.product() as bot:
            bot.warm(bench.outside)
            runs.extend(_pages(bench, bot, size.pages, delay, faults) for delay in (0, 100))
    near = [run for run in runs if run["delay_ms"] == 0]
    far = [run for run in runs if run["delay_ms"] == 100]
    peers = "Alertmanager 1.9/5.4; incidentbot 145/305; Keep 600/1080"
    why = "journal, decision and durable workflow each commit before the call goes out"
    p50, p99 = least(near, "p50_ms"), least(near, "p99_ms")
    yield Row(
        "P4 alert to page, p50", p50, "ms", size.pages, None, "≤ 6 ms at 20/s",
        at_most=6, faults=faults, runs=near, peers=peers, note=why,
    )  # fmt: skip
    yield Row(
        "P4 alert to page, p99", p99, "ms", size.pages, None, "≤ 16 ms at 20/s",
        at_most=16, faults=faults, peers=peers, note=why,
    )  # fmt: skip
    yield Row(
        "P5 page later when outside is 100 ms away", least(far, "p50_ms") - p50, "ms", size.pages, None, "≤ 5 ms",
        at_most=5, faults=faults, runs=far, peers="Alertmanager 0; Keep 0; incidentbot +916",
    )  # fmt: skip
    yield Row(
        "P6 outside calls an incident", max(run["calls"] for run in runs), "calls", size.pages, None, "≤ 6",
        at_most=6, faults=faults, peers="incidentbot 11", note=f"by method: {runs[0]['by_method']}",
    )  # fmt: skip
    yield Row(
        "P6 alert to page, thread and ticket answered, 100 ms away", least(far, "all_ms"), "ms", size.pages,
        None, "recorded", faults=faults, note="p50",
    )  # fmt: skip


def _pages(bench: Bench, bot: subject.Product, count: int, delay: int, faults: list[str]) -> Run:
    bench.outside.reset(delay_ms=delay)
    rows, incidents = (bot.count(f"select count(*) from {table}") for table in ("alerts", "incidents"))
    names = [f"away-{delay}-{i}" for i in range(count)]
    requests = [subject.alert(name) for name in names]
    with Load(bench.pids) as busy:
        heard = load.opened(bot.port, requests, rate=20)
    taken(heard, faults)
    if not bot.settled(timeout=60):
        faults.append("effects were still owed 60 s after the last alert")
    calls, paged = bench.outside.calls(), bench.outside.page_of()
    due = dict(zip(names, heard.due, strict=True))
    seen = {
        "alert rows": (bot.count("select count(*) from alerts") - rows - bot.tamper, count),
        "incidents": (bot.count("select count(*) from incidents") - incidents, count),
        "page calls": (sum(method == "trigger" for _, _, method, _ in calls), count),
        "incidents without a page": (len(due.keys() - paged.keys()), 0),
        "Slack threads": (len({k for _, _, m, k in calls if m == "chat.postMessage" and k.endswith(":root")}), count),
        "Jira tickets": (len({k for _, _, m, k in calls if m == "create"}), count),
    }
    faults += subject.wrong(seen)
    late = [(paged[name] - at) * 1000 for name, at in due.items() if name in paged]
    done = _all_answered(calls, due, delay / 1000)
    counted = Counter(f"{service} {method}" for _, service, method, _ in calls)
    methods = {name: round(times / count, 2) for name, times in counted.items()}
    more = {"delay_ms": delay, "calls": len(calls) / count, "by_method": methods, "all_ms": percentile(done, 0.5)}
    return latency("product", late, busy, **more)


def _all_answered(calls: list[Any], due: dict[str, float], delay: float) -> list[float]:
    """Milliseconds until page, root message and ticket of an incident were answered, over all that have the three."""
    slo, at = {}, {}
    for when, service, method, key in calls:
        if method == "trigger":
            dedup, name = key.split(" ", 1)
            slo[dedup[-16:]] = name
            at.setdefault((dedup[-16:], "page"), when)
        elif method == "chat.postMessage" and key.endswith(":root"):
            at.setdefault((key[:16], "root"), when)
        elif (service, method) == ("jira", "create"):
            at.setdefault((key[-16:], "ticket"), when)
    found = []
    for uid, name in slo.items():
        three = [at.get((uid, kind)) for kind in ("page", "root", "ticket")]
        if None not in three and name in due:
            found.append((max(three) + delay - due[name]) * 1000)
    return found


def commands(bench: Bench, size: Size) -> Iterator[Row]:
    """P7: a signed slash command over HTTP, one at a time; paced as people are, and one right after the other."""
    runs: list[Run] = []
    faults: list[str] = []
    for _ in range(size.turns):
        with bench.floor("signed") as child:
            _slashes(bench, child.port, 50, 100)
            for pace, name in ((40.0, "floor"), (0.0, "floor, no pause")):
                runs.append(_slash_run(bench, child.port, name, pace, size.slashes, faults))
        with bench.product() as bot:
            _slashes(bench, bot.port, 50, 100)
            bench.outside.reset()
            runs.append(_slash_run(bench, bot.port, "product", 40.0, size.slashes, faults))
            runs.append(_slash_run(bench, bot.port, "product, no pause", 0.0, size.slashes, faults))
            subject.until(lambda b=bot: b.count("select count(*) from inbox where done_at is null") == 0, timeout=30)
            bench.outside.reset(delay_ms=100)
            runs.append(_slash_run(bench, bot.port, "product, 100 ms away", 40.0, size.slashes, faults))
            rows = bot.count("select count(*) from inbox") - bot.tamper
            faults += subject.wrong({"stored commands": (rows, 50 + size.slashes * 3)})
    why = "Bolt's dispatch runs in a thread, and the request is committed before the ack"
    n, peers = size.slashes, "Dispatch 26.7/213"
    yield Row(
        "P7 slash command, p50", least(runs, "p50_ms"), "ms", n, least(runs, "p50_ms", "floor"),
        "≤ 1 ms, 40/s", at_most=1, faults=faults, runs=runs, peers=peers, note=why,
    )  # fmt: skip
    yield Row(
        "P7 slash command, p99", least(runs, "p99_ms"), "ms", n, least(runs, "p99_ms", "floor"),
        "≤ 5 ms, 40/s", at_most=5, faults=faults, peers=peers, note=why,
    )  # fmt: skip
    later = least(runs, "p50_ms", "product, 100 ms away") - least(runs, "p50_ms")
    yield Row("P7 slash command later when outside is 100 ms away", later, "ms", n, goal="recorded", faults=faults)
    yield Row(
        "P7 slash command, no pause between, p50", least(runs, "p50_ms", "product, no pause"), "ms", n,
        least(runs, "p50_ms", "floor, no pause"), "recorded", faults=faults,
    )  # fmt: skip


def _slashes(bench: Bench, port: int, count: int, pace: float) -> load.Heard:
    requests = [subject.slash(bench.outside.child.port) for _ in range(count)]
    if pace:
        return load.opened(port, requests, rate=pace, connections=1)
    return load.closed(port, requests, connections=1)


def _slash_run(bench: Bench, port: int, of: str, pace: float, count: int, faults: list[str]) -> Run:
    with Load(bench.pids) as busy:
        heard = _slashes(bench, port, count, pace)
    taken(heard, faults)
    return latency(of, heard.latencies(), busy)


def life(bench: Bench, size: Size) -> Iterator[Row]:
    """P14, P15: from the start of the process to the first stored alert, with a Slack that never answers; idle memory."""
    runs: list[Run] = []
    faults: list[str] = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as hung:
        slack = {"mode": "socket", "base_url": f"http://127.0.0.1:{hung.getsockname()[1]}/api/"}
        for _ in range(size.turns):
            with Load(bench.pids) as busy:
                began = time.monotonic()
                done = subprocess.run(
                    [sys.executable, str(HERE / "floors.py"), "imports"], capture_output=True, text=True, check=True
                )
            at, kilobytes = done.stdout.split()
            figures = {"start_s": float(at) - began, "memory_mb": int(kilobytes) / 1024}
            runs.append({"of": "floor", **figures, "other_cpu": busy.other_cpu})
            bench.outside.reset()
            with Load(bench.pids) as busy, bench.product(slack=slack) as bot:
                heard = load.closed(bot.port, [subject.alert("first")], connections=1)
                taken(heard, faults)
                start = heard.ended[0] - bot.began
                if not subject.until(lambda: len(bench.outside.pages()) == 1, timeout=10):
                    faults.append("nobody was paged while Slack did not answer")
                subject.pause(1.0)
                cpu = bot.cpu_s()
                subject.pause(2.0)
                figures = {"start_s": start, "memory_mb": bot.memory_mb(), "idle_cores": (bot.cpu_s() - cpu) / 2}
                if bot.count("select count(*) from alerts") - bot.tamper != 1:
                    faults.append("the first alert is not in the database")
            runs.append({"of": "product", **figures, "other_cpu": busy.other_cpu})
    n = size.turns
    yield Row(
        "P14 start to first alert stored, Slack silent", least(runs, "start_s"), "s", n,
        least(runs, "start_s", "floor"), "≤ 1.5 of imports", "ratio", at_most=1.5, faults=faults, runs=runs,
        peers="Alertmanager 0.07; incidentbot 2.2; Keep 7.4; Dispatch 11-14",
    )  # fmt: skip
    yield Row(
        "P15 idle memory", least(runs, "memory_mb"), "MB", n, least(runs, "memory_mb", "floor"),
        "≤ 1.3 of imports", "ratio", at_most=1.3, faults=faults, peers="Alertmanager 31; incidentbot 140; Keep 601-1589",
    )  # fmt: skip
    idle = least(runs, "idle_cores")
    yield Row("P15 idle CPU", idle, "cores", n, goal="recorded", faults=faults, note="with a Slack that is retried")


def kills(bench: Bench, size: Size) -> Iterator[Row]:
    """P13 in small: kill -9 under load, start again; nothing acknowledged is lost, nothing is done twice."""
    runs: list[Run] = []
    faults: list[str] = []
    lost = 0
    for _ in range(size.kills):
        bench.outside.reset()
        requests = subject.alerts(4000, 20)
        prints = [request.split(b'"fingerprint": "')[1][:16].decode() for request in requests]
        folder = bench.fresh("killed")
        after = random.uniform(0.2, 0.8)
        with bench.product(folder=folder) as bot:
            killer = threading.Timer(after, bot.process.kill)
            killer.start()
            with Load(bench.pids) as busy:
                heard = load.closed(bot.port, requests)
            killer.join()
        with bench.product(folder=folder) as bot:
            kept = bot.fingerprints()
            gone = [prints[i] for i in heard.taken if prints[i] not in kept]
            lost += len(gone) + bot.tamper
            if not bot.settled(timeout=90):
                faults.append("effects were still owed 90 s after the restart")
            groups = min(20, len(kept))
            faults += bot.faults(bench.outside, alerts=len(kept), incidents=groups, strict_pages=False)
            calls = bench.outside.calls()
        roots = [key for _, _, m, key in calls if m == "chat.postMessage" and key.endswith(":root")]
        tickets = [key for _, _, m, key in calls if m == "create"]
        again = [key for key, (_, count) in bench.outside.pages().items() if count > 1]
        for what, keys in (("tickets", tickets), ("threads", roots)):
            if subject.repeated(keys):
                faults.append(f"{what} made twice: {subject.repeated(keys)}")
        run = {"of": "product", "killed_after_s": after, "acked": len(heard.taken), "lost": len(gone)}
        run["other_cpu"] = busy.other_cpu
        runs.append(run | {"pages_sent_again": len(again)})
    if lost:
        faults.append(f"{lost} acknowledged alerts were lost")
    yield Row("P13 acknowledged alerts lost by kill -9", lost, "alerts", size.kills, None, "0", at_most=0,
              faults=faults, runs=runs, peers="Keep 379 of 500; Alertmanager all")  # fmt: skip


def instrument(bench: Bench, size: Size) -> Iterator[Row]:
    """What the load client and the outside can do by themselves: neither may be the limit of a figure above."""
    bench.outside.reset()
    body = b'{"event_action": "trigger", "dedup_key": "x", "payload": {}}'
    with Load(bench.pids) as busy:
        heard = load.closed(bench.outside.child.port, [load.post("/pagerduty/v2/enqueue", body)] * (size.alerts * 2))
    run = {"of": "outside", "rate": heard.rate, "other_cpu": busy.other_cpu}
    seen = {"calls noted": (len(bench.outside.calls()), size.alerts * 2)}
    bench.outside.reset()
    yield Row("instrument: client and outside together", heard.rate, "calls/s", size.alerts * 2,
              faults=subject.wrong(seen), runs=[run])  # fmt: skip


MEASURES: dict[str, Callable[[Bench, Size], Iterator[Row]]] = {
    "instrument": instrument,
    "P1": ingest,
    "P2": duplicates,
    "P3": steady,
    "P4": paging,
    "P7": commands,
    "P9": storms.storm,
    "P12": storms.again,
    "outage": storms.outage,
    "P13": kills,
    "P14": life,
    "P18": growth.growth,
    "P19": detection.detection,
    "P20": checks.overhead,
    "P21": checks.side_by_side,
    "P22": checks.memory,
}
