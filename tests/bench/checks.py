"""P20, P21, P22: what a runbook's checks cost: each over the bare call, many at a time against the ideal, and a thousand in memory.

``python checks.py COUNT`` runs so many checks and prints what that took in memory and threads (kB, kB, threads).
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # It is also run as a program of its own.

from report import Row  # noqa: E402 - after the path is there
from size import Run, Size, least  # noqa: E402
from subject import Bench, Load, wrong  # noqa: E402

from runbooks import Check, Looks, Outcome, Report, Runbook, run  # noqa: E402

SLEEP_S = 0.1
PARALLEL = 20
MANY = 1000


def book(count: int, kind: str, **spec: object) -> Runbook:
    return Runbook("bench", "Bench", [Check(f"check {i}", kind, spec) for i in range(count)], {})


def not_passed(report: Report, count: int) -> dict[str, tuple[int, int]]:
    """What ``wrong`` is asked: all of the checks passed."""
    return {"checks that passed": (sum(r.outcome is Outcome.PASS for r in report.results), count)}


def overhead(_bench: Bench, size: Size) -> Iterator[Row]:
    """P20: one check after the other, and the same call by itself; what is between the two is ours."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        port = server.getsockname()[1]
        closing = threading.Event()
        threading.Thread(target=_accept, args=(server, closing), daemon=True).start()
        yield from _overhead("command, true", 50 * size.turns, size, _bare_command, book, "command", command=["true"])
        yield from _overhead(
            "tcp, 127.0.0.1", 200 * size.turns, size, lambda: _bare_tcp(port), book, "tcp", host="127.0.0.1", port=port
        )
        closing.set()


def _overhead(
    name: str, count: int, size: Size, bare: Callable[[], None], make: Callable[..., Runbook], kind: str, **spec: object
) -> Iterator[Row]:
    runs: list[Run] = []
    faults: list[str] = []
    asked = make(count, kind, **spec)
    for _ in range(size.turns):
        with Load([]) as busy:
            began = time.monotonic()
            for _ in range(count):
                bare()
            took = time.monotonic() - began
        runs.append({"of": "floor", "ms": took * 1000 / count, "other_cpu": busy.other_cpu})
        with Load([]) as busy:
            report = run(asked, {}, Looks(), parallel=1, deadline_s=600)
        faults += wrong(not_passed(report, count))
        runs.append({"of": "product", "ms": report.took_s * 1000 / count, "other_cpu": busy.other_cpu})
    value, floor = least(runs, "ms"), least(runs, "ms", "floor")
    yield Row(
        f"P20 a check, {name}", value, "ms", count, floor, "≤ 2 ms over the bare call",
        at_most=floor + 2, faults=faults, runs=runs, note="the bare call leaves behind what it started and masks nothing",
    )  # fmt: skip


def _bare_command() -> None:
    subprocess.run(["true"], stdin=subprocess.DEVNULL, capture_output=True, check=True)


def _bare_tcp(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


def _accept(server: socket.socket, closing: threading.Event) -> None:
    while not closing.is_set():
        try:
            taken, _ = server.accept()
        except OSError:
            return
        taken.close()


def side_by_side(_bench: Bench, size: Size) -> Iterator[Row]:
    """P21: checks of 100 ms, twenty at a time; the ideal, ``xargs -P 20`` on the same commands, and one after the other."""
    runs: list[Run] = []
    faults: list[str] = []
    count = 200 if size.turns > 1 else 60
    ideal = count / PARALLEL * SLEEP_S
    asked = book(count, "command", command=["sleep", str(SLEEP_S)])
    for _ in range(size.turns):
        with Load([]) as busy:
            began = time.monotonic()
            lines = "\n".join([str(SLEEP_S)] * count)
            subprocess.run(["xargs", "-P", str(PARALLEL), "-n", "1", "sleep"], input=lines, text=True, check=True)
            took = time.monotonic() - began
        runs.append({"of": "xargs", "s": took, "other_cpu": busy.other_cpu})
        with Load([]) as busy:
            report = run(asked, {}, Looks(), parallel=PARALLEL, deadline_s=600)
        faults += wrong(not_passed(report, count))
        runs.append({"of": "product", "s": report.took_s, "other_cpu": busy.other_cpu})
    few = count // 10
    began = time.monotonic()
    for _ in range(few):
        subprocess.run(["sleep", str(SLEEP_S)], check=True)
    serial = (time.monotonic() - began) / few * count
    runs.append({"of": "one after the other", "s": serial, "measured": few})
    value, xargs = least(runs, "s"), least(runs, "s", "xargs")
    peers = f"one after the other {serial:.1f} s (of {few} measured)"
    name = f"P21 {count} checks of {SLEEP_S * 1000:.0f} ms, {PARALLEL} at a time"
    yield Row(f"{name}, against the ideal", value, "s", count, ideal, "≤ 1.2 of the ideal", "ratio",
              at_most=1.2, faults=faults, runs=runs, peers=peers,
              note="starting 200 programs takes the cores that are there")  # fmt: skip
    yield Row(f"{name}, against xargs -P {PARALLEL}", value, "s", count, xargs, "≤ 1.1 of xargs", "ratio",
              at_most=1.1, faults=faults, peers=peers, note="a check is a thread, a group and a leash of its own")  # fmt: skip
    yield Row(f"{name}, against one after the other", value, "s", count, serial, "recorded", "ratio", faults=faults)


def memory(_bench: Bench, size: Size) -> Iterator[Row]:
    """P22: a process that ran a thousand checks, and the same process that ran one; and its threads at most."""
    runs: list[Run] = []
    faults: list[str] = []
    for _ in range(size.turns):
        for of, count in (("floor", 1), ("product", MANY)):
            done = subprocess.run(
                [sys.executable, __file__, str(count)], capture_output=True, text=True, check=True, cwd=ROOT
            )
            most, threads, passed = map(int, done.stdout.split())
            faults += wrong({f"checks of {count} that passed": (passed, count)})
            runs.append({"of": of, "mb": most / 1024, "threads": threads})
    value, floor = least(runs, "mb"), least(runs, "mb", "floor")
    yield Row(f"P22 memory of {MANY} checks", value - floor, "MB", MANY, None, "≤ 16 MB over one check",
              at_most=16, faults=faults, runs=runs, note="see the runs")  # fmt: skip
    yield Row(f"P22 threads of {MANY} checks, {PARALLEL} at a time", max(r["threads"] for r in runs), "threads", MANY,
              None, f"≤ {2 * PARALLEL}", at_most=2 * PARALLEL, faults=faults, note="one a look, and those that end")  # fmt: skip


def _child(count: int) -> None:
    most = [0]

    def watch(_what: object) -> None:
        most[0] = max(most[0], threading.active_count())

    report = run(book(count, "command", command=["true"]), {}, Looks(), parallel=PARALLEL, deadline_s=600,
                 on_start=watch, on_result=watch)  # fmt: skip
    passed = sum(r.outcome is Outcome.PASS for r in report.results)
    # The system's own figure at exit would begin with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), most[0], passed)


if __name__ == "__main__":
    _child(int(sys.argv[1]))
