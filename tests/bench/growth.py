"""P18: what the same runs cost with a long history and with many open incidents, against none of both, in turns.

``python growth.py purge FILE ALERTS`` deletes about so many of the oldest alerts, and whatever is as old, as the nightly purge
does, and moves the write-ahead log into the file: that runs beside what is measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import load
import sqlalchemy as sa
import subject
from ground import history
from report import Row, percentile
from size import Corner, Run, Size, least, most, taken
from subject import Bench, Load, Product

from bot import retention
from bot.store import Store

EACH = 10
"""Alerts of a past incident. Each fired and ended, which makes two rows of each: twenty rows an incident."""
MODELS = 50
"""Past incidents that the product itself writes: a thousand rows of alerts; the others are copies of them."""
DAYS = 80.0
"""Days over which the history is spread; within ``captain.retention_days``, so that the bot itself purges nothing."""
OLDEST = 1000
"""Alerts that are purged beside each run."""
NONE = Corner(0, 10)


def growth(bench: Bench, size: Size) -> Iterator[Row]:
    """P18: each corner and the one without any history take turns; what is judged is the ratio."""
    begun = {name: _begun(bench, past=past) for name, past in (("new", 0), ("old", MODELS))}
    for corner in size.corners:
        faults: list[str] = []
        seeds = {of: _seed(bench, begun, one) for of, one in (("none", NONE), ("corner", corner))}
        runs: list[Run] = []
        for _ in range(size.growth_turns):
            runs += [_run(bench, size, seed, of, faults) for of, seed in seeds.items()]
        megabytes = sum(path.stat().st_size for path in seeds["corner"].iterdir()) / 1e6
        for folder in seeds.values():
            shutil.rmtree(folder)
        yield from _judged(corner, size, runs, faults, megabytes)


def _judged(corner: Corner, size: Size, runs: list[Run], faults: list[str], megabytes: float) -> Iterator[Row]:
    """The rows of a corner; ``floor`` is the best run without history."""
    told = f"P18 {corner}: "
    note = f"{megabytes:.0f} MB on disk; other work on this machine moves it: see other_cpu of each run"
    if corner.open > NONE.open:
        note += f"; the command lists up to fifty incidents, and {NONE.open} of none"
    rate, none = most(runs, "corner"), most(runs, "none")
    yield Row(f"{told}ingest", rate, "alerts/s", size.growth_alerts, none, "≥ 0.7 of none", "ratio",
              at_least=0.7, faults=faults, runs=runs, note=note)  # fmt: skip
    for name, what, unit, n in (
        ("page", "alert to page, p50", "ms", size.growth_pages),
        ("slash", "slash command, p50", "ms", size.growth_pages),
        # What others do on the machine moves these the least.
        ("alert_cpu_ms", "processor time of an alert", "ms", size.growth_alerts),
        ("slash_cpu_ms", "processor time of a command", "ms", size.growth_pages),
    ):
        yield Row(f"{told}{what}", least(runs, name, "corner"), unit, n, least(runs, name, "none"), "≤ 1.2 of none",
                  "ratio", at_most=1.2, faults=faults, note=note)  # fmt: skip
    for name, what, n in (
        ("ingest_p99", "ack p99 of the ingest", size.growth_alerts),
        ("page_p99", "alert to page, p99", size.growth_pages),
        ("slash_p99", "slash command, p99", size.growth_pages),
        ("first_s", "start, its files on disk alone", size.growth_turns),
    ):
        unit = "s" if name.endswith("_s") else "ms"
        yield Row(
            f"{told}{what}", least(runs, name, "corner"), unit, n, least(runs, name, "none"), "recorded", faults=faults
        )
    more = corner.open - NONE.open
    start, before = least(runs, "start_s", "corner"), least(runs, "start_s", "none")
    allowed = 1.2 * before + 0.1 * more / 1000
    yield Row(f"{told}start to first alert stored", start, "s", size.growth_turns, before,
              f"≤ 1.2 of none{' + 0.1 s/1000 open' if more else ''}", at_most=allowed, faults=faults, note=note)  # fmt: skip
    memory, floor = least(runs, "memory_mb", "corner"), least(runs, "memory_mb", "none")
    yield Row(f"{told}idle memory", memory, "MB", size.growth_turns, floor,
              f"≤ 1.2 of none{' + 5 kB each open' if more else ''}", at_most=1.2 * floor + 0.005 * more,
              faults=faults, note=note)  # fmt: skip


# ---- what was before --------------------------------------------------------------------------------------------------


def _begun(bench: Bench, *, past: int) -> Path:
    """A folder with a database that the product wrote: ``past`` incidents that are over, and as many open ones as NONE has."""
    bench.outside.reset()
    folder = bench.fresh("begun")
    with bench.product(folder=folder) as bot:
        for status in ("firing", "resolved") if past else ():
            requests = [
                subject.alert(f"past-{i}", fingerprint=f"{i:08x}{j:08x}", status=status, starts=1.0)
                for i in range(past)
                for j in range(EACH)
            ]
            load.closed(bot.port, requests)
            if not bot.settled(timeout=120):
                raise RuntimeError("the history was not worked off in 120 s")
        load.closed(bot.port, [subject.alert(f"open-{i}") for i in range(NONE.open)], connections=4)
        if past:
            load.closed(bot.port, [subject.slash(bench.outside.child.port) for _ in range(past)], connections=4)
        if not (bot.settled(timeout=120) and bot.answered(timeout=60)):
            raise RuntimeError("the incidents were not worked off in 120 s")
        over, open_ = (
            bot.count(f"select count(*) from incidents where open_key is {what} null") for what in ("", "not")
        )
        if (over, open_) != (past, NONE.open):
            raise RuntimeError(f"{over} past and {open_} open incidents instead of {past} and {NONE.open}")
    return folder


def _seed(bench: Bench, begun: dict[str, Path], corner: Corner) -> Path:
    """A folder with a database of that many past alerts and open incidents, all of it on the disk."""
    folder = bench.fresh("seed")
    shutil.copytree(begun["old" if corner.alerts else "new"], folder, dirs_exist_ok=True)
    store = Store(f"sqlite:///{folder}/bot.db")
    sa.event.listen(store.engine, "connect", _hurry)
    try:
        model, now, chance = history.seen(store), time.time(), random.Random(7)
        past = corner.alerts // (2 * EACH) - MODELS
        if past > 0:
            history.grow(store, model, incidents=past, now=now, days=DAYS, chance=chance)
        if corner.open > NONE.open:
            history.grow(
                store, model, incidents=corner.open - NONE.open, now=now, days=0.001, chance=chance, open_=True
            )
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
            c.exec_driver_sql("pragma wal_checkpoint(truncate)")
    finally:
        store.close()
    return folder


def _hurry(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("pragma synchronous=off")
    connection.execute("pragma cache_size=-400000")


def _placed(bench: Bench, seed: Path) -> Path:
    """A copy of a seed to run on, with reminders that fall due after the run, and none of it in memory."""
    folder = bench.fresh("grown")
    for name in ("bot.db", "bot.dbos.db"):
        for suffix in ("", "-wal"):
            if (seed / f"{name}{suffix}").exists():
                shutil.copy(seed / f"{name}{suffix}", folder)
    with contextlib.closing(sqlite3.connect(folder / "bot.db")) as c:
        c.execute(
            "update effects set due_at = ?, pause = 3600 where lane = 'reminders' and state = 'owed'",
            (time.time() + 3600,),
        )
        c.commit()
        c.execute("pragma wal_checkpoint(truncate)")
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return folder


# ---- the runs ---------------------------------------------------------------------------------------------------------


def _run(bench: Bench, size: Size, seed: Path, of: str, faults: list[str]) -> Run:
    """Start, idle, slash, page and ingest on a copy of a seed; the last two while it is purged."""
    bench.outside.reset()
    folder = _placed(bench, seed)
    run: Run = {"of": of}
    with bench.product(folder=folder) as bot:
        run["first_s"] = _first(bot, faults)
    with bench.product(folder=folder) as bot, Load(bench.pids) as busy:
        run["start_s"] = _first(bot, faults)
        before = {table: bot.count(f"select count(*) from {table}") for table in ("alerts", "incidents")}
        last = {
            name: bot.count(f"select max({key}) from {name}")
            for name, key in (("alerts", "id"), ("incidents", "number"))
        }
        subject.pause(1.0)
        run["memory_mb"] = bot.memory_mb()
        bench.outside.reset()
        cpu = bot.cpu_s()
        run |= _slashes(bench, bot, size, faults)
        run["slash_cpu_ms"] = (bot.cpu_s() - cpu) * 1000 / (size.growth_pages + 20)
        cpu = bot.cpu_s()
        with _purging(folder) as purge:
            run |= _pages(bench, bot, size, faults)
            requests = subject.alerts(size.growth_alerts, size.growth_alerts // 20)
            heard = load.closed(bot.port, requests)
        taken(heard, faults)
        run |= {
            "rate": heard.rate,
            "ingest_p99": percentile(heard.latencies(), 0.99),
            "ingest_max": max(heard.latencies()),
        }
        if not bot.drained(timeout=120):
            faults.append("alerts or pages were still waiting after 120 s")
        run["alert_cpu_ms"] = (bot.cpu_s() - cpu) * 1000 / (size.growth_alerts + size.growth_pages)
        new = {
            "alert rows": (
                bot.count(f"select count(*) from alerts where id > {last['alerts']}") - bot.tamper,
                size.growth_alerts + size.growth_pages,
            ),
            "incidents": (
                bot.count(f"select count(*) from incidents where number > {last['incidents']}"),
                size.growth_alerts // 20 + size.growth_pages,
            ),
            "pages": (len(bench.outside.pages()), size.growth_alerts // 20 + size.growth_pages),
        }
        faults += subject.wrong(new)
        run |= {"purge": purge, "before": before}
    run["other_cpu"] = busy.other_cpu
    shutil.rmtree(folder)
    return run


def _first(bot: Product, faults: list[str]) -> float:
    """Seconds from the start of the process to its first stored alert, of an incident that was open before."""
    heard = load.closed(bot.port, [subject.alert("open-0")], connections=1)
    taken(heard, faults)
    return heard.ended[0] - bot.began


def _slashes(bench: Bench, bot: Product, size: Size, faults: list[str]) -> Run:
    for count, rate in ((20, 0.0), (size.growth_pages, 40.0)):
        requests = [subject.slash(bench.outside.child.port) for _ in range(count)]
        heard = (
            load.opened(bot.port, requests, rate=rate, connections=1)
            if rate
            else load.closed(bot.port, requests, connections=1)
        )
        taken(heard, faults)
        if not bot.answered(timeout=30):
            faults.append("commands were not answered in 30 s")
    late = heard.latencies()
    return {"slash": percentile(late, 0.5), "slash_p99": percentile(late, 0.99), "slash_max": max(late)}


def _pages(bench: Bench, bot: Product, size: Size, faults: list[str]) -> Run:
    names = [f"new-{i}" for i in range(size.growth_pages)]
    heard = load.opened(bot.port, [subject.alert(name) for name in names], rate=20)
    taken(heard, faults)
    if not bot.drained(timeout=60):
        faults.append("pages were still owed 60 s after the last alert")
    paged = bench.outside.page_of()
    late = [(paged[name] - due) * 1000 for name, due in zip(names, heard.due, strict=True) if name in paged]
    if len(late) < len(names):
        faults.append(f"{len(names) - len(late)} alerts were not paged")
    return {"page": percentile(late, 0.5), "page_p99": percentile(late, 0.99), "page_max": max(late, default=0.0)}


@contextlib.contextmanager
def _purging(folder: Path) -> Iterator[dict[str, Any]]:
    """Purge and checkpoint while the block runs; what came of it is in the dictionary afterwards."""
    told: dict[str, Any] = {}
    process = subprocess.Popen(
        [sys.executable, __file__, "purge", str(folder / "bot.db"), str(OLDEST)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    try:
        yield told
        out, err = process.communicate(timeout=120)
        if process.returncode:
            raise RuntimeError(f"the purge broke: {err[-2000:]}")
        told |= json.loads(out)
    finally:
        process.kill()
        process.wait()


def purge(path: str, alerts: int) -> dict[str, float]:
    """Purge what is as old as the oldest ``alerts``, a second from now, and checkpoint every half a second for five."""
    threading.Event().wait(1.0)
    store = Store(f"sqlite:///{path}")
    began = time.monotonic()
    with store.read() as c:
        asked = "select received_at from alerts where received_at < ? order by received_at limit 1 offset ?"
        oldest = c.exec_driver_sql(asked, (time.time() - 86400, alerts)).scalar()
    gone = retention.Purged()
    if oldest is not None:
        now = time.time()
        gone = retention.purge(store, lambda _days: 0, now=now, days=(now - oldest) / 86400)
    took, longest = time.monotonic() - began, 0.0
    for _ in range(10):
        at = time.monotonic()
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
            c.exec_driver_sql("pragma wal_checkpoint(passive)")
        longest = max(longest, time.monotonic() - at)
        threading.Event().wait(0.5)
    store.close()
    return {
        "alerts": gone.alerts,
        "events": gone.events,
        "messages": gone.messages,
        "purge_s": took,
        "checkpoint_s": longest,
    }


if __name__ == "__main__":
    print(json.dumps(purge(sys.argv[2], int(sys.argv[3]))))
