"""The processes a measurement needs: the product as its users start it, the floors, the outside; and what they hold."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import hmac
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import load
import yaml
from floors import SECRET

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WEBHOOK_SECRET = "bench-webhook-secret"
WARM = 200
"""Alerts of the warm-up; twenty make an incident."""
TICK = os.sysconf("SC_CLK_TCK")


def pause(seconds: float) -> None:
    """Let a measured process be alone for a while."""
    threading.Event().wait(seconds)


def until(condition: Callable[[], bool], *, timeout: float) -> bool:
    """True as soon as the condition holds, False when it did not within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause(0.05)
    return True


@dataclass
class Child:
    """A process of ours that answers on a port."""

    process: subprocess.Popen[Any]
    port: int

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def memory_mb(self) -> float:
        """Resident set."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS"))) / 1024

    def holds(self) -> dict[str, float]:
        """What it keeps open: memory, files, threads."""
        proc = Path(f"/proc/{self.process.pid}")
        counts = {name: len(list((proc / where).iterdir())) for name, where in (("files", "fd"), ("threads", "task"))}
        return {"memory_mb": self.memory_mb(), **counts}

    def cpu_s(self) -> float:
        return _cpu(self.process.pid)


def _cpu(pid: int | str) -> float:
    """CPU seconds a process has used; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


@dataclass
class Load:
    """How busy the machine was with other people's work, in cores."""

    pids: list[int]
    _machine: float = 0.0
    _ours: float = 0.0
    _at: float = 0.0

    def __enter__(self) -> Self:
        self._machine, self._ours, self._at = _busy(), self._own(), time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        took = time.monotonic() - self._at
        other = (_busy() - self._machine) - (self._own() - self._ours)
        self.other_cpu = round(max(0.0, other / took), 2) if took else 0.0

    def _own(self) -> float:
        return sum(_cpu(pid) for pid in [os.getpid(), *self.pids])


def _busy() -> float:
    """CPU seconds the machine has worked."""
    user, nice, system, _idle, _wait, irq, soft, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + soft + steal) / TICK


@dataclass
class Outside:
    """The outside process, asked over HTTP."""

    child: Child

    def reset(self, *, delay_ms: float = 0.0, down: str = "") -> None:
        """Forget the calls; from now on answer after ``delay_ms``, and let ``down`` (slack: 500, jira: hangs) fail."""
        self._get(f"reset/{delay_ms}/{down or 'nothing'}")

    def calls(self) -> list[tuple[float, str, str, str]]:
        """(CLOCK_MONOTONIC s, service, method, key) of every call since the reset."""
        return [tuple(call) for call in self._get("calls")]

    def pages(self) -> dict[str, tuple[float, int]]:
        """By dedup key and slo: when the first trigger came, and how many came."""
        found: dict[str, tuple[float, int]] = {}
        for at, service, method, key in self.calls():
            if service == "pagerduty" and method == "trigger":
                first, count = found.get(key, (at, 0))
                found[key] = (first, count + 1)
        return found

    def page_of(self) -> dict[str, float]:
        """By slo: when its first page came."""
        return {key.split(" ", 1)[1]: at for key, (at, _) in self.pages().items()}

    def _get(self, what: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.child.port}/-/{what}", timeout=30) as answer:
            return json.loads(answer.read())


@dataclass
class Bench:
    """The ground: a folder on the checkout's disk, the outside, and ways to start what is measured."""

    folder: Path
    outside: Outside
    tamper: bool = False
    _made: int = 0
    running: list[Child] = field(default_factory=list)

    def fresh(self, name: str) -> Path:
        self._made += 1
        path = self.folder / f"{name}-{self._made}"
        path.mkdir()
        return path

    @property
    def pids(self) -> list[int]:
        return [self.outside.child.process.pid, *(child.process.pid for child in self.running)]

    @contextlib.contextmanager
    def floor(self, *what: str) -> Iterator[Child]:
        child = _spawn([sys.executable, str(HERE / "floors.py"), *what])
        yield from self._lent(child)

    @contextlib.contextmanager
    def product(self, *, folder: Path | None = None, **more: Any) -> Iterator[Product]:
        made = self.start(folder or self.fresh("product"), **more)
        yield from self._lent(made)

    def start(self, folder: Path, *, slack: dict[str, Any] | None = None, folds: bool = False) -> Product:
        """Start the bot; returns when it has taken its first (refused) webhook."""
        port = load.free_port()
        config = folder / "captain.yml"
        made_of = settings(folder, port, self.outside.child.port, slack or {})
        if not folds:
            made_of["incidents"] = {"storm": {"keys": 0}}  # each incident is measured, however many there are
        config.write_text(yaml.safe_dump(made_of))
        command = [sys.executable, "-m", "bot", "serve", "--config", str(config)]
        began = time.monotonic()
        with (folder / "bot.log").open("ab") as log:
            env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
            env["PYTHONWARNINGS"] = "ignore"
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=env)
        made = Product(process, port, folder, tamper=self.tamper, began=began)
        wait = threading.Event()
        while not _reachable(port):
            if process.poll() is not None or time.monotonic() - began > 60:
                raise RuntimeError(f"the product did not start:\n{(folder / 'bot.log').read_text()[-3000:]}")
            wait.wait(0.002)
        return made

    def _lent(self, child: Any) -> Iterator[Any]:
        self.running.append(child)
        try:
            yield child
        finally:
            self.running.remove(child)
            child.stop()


def _reachable(port: int) -> bool:
    with contextlib.suppress(OSError):
        load.socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def _spawn(command: list[str]) -> Child:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    port = int(process.stdout.readline())
    if not until(lambda: _reachable(port), timeout=20):
        raise RuntimeError(f"nothing answers on the port of {command}")
    return Child(process, port)


@dataclass
class Product(Child):
    """The bot in a process of its own, and its database read from outside."""

    folder: Path
    tamper: bool = False
    began: float = 0.0

    @property
    def database(self) -> Path:
        return self.folder / "bot.db"

    def count(self, sql: str) -> int:
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=20)) as c:
            return int(c.execute(sql).fetchone()[0])

    def drained(self, *, timeout: float) -> bool:
        """True once every alert is decided and no page is owed."""
        undecided = "select count(*) from alerts where verdict is null"
        owed = "select count(*) from effects where kind = 'page' and state not in ('done', 'skipped', 'gave_up')"
        return until(lambda: self.count(undecided) == 0 and self.count(owed) == 0, timeout=timeout)

    def warm(self, outside: Outside) -> None:
        """Let every path have run once: WARM alerts in WARM // 20 incidents, worked off and forgotten by the outside."""
        load.closed(self.port, [alert(f"warm-{i % (WARM // 20)}") for i in range(WARM)])
        if not self.settled(timeout=60):
            raise RuntimeError("the warm-up was not worked off in 60 s")
        outside.reset()

    def settled(self, *, timeout: float) -> bool:
        """True once nothing at all is owed to the outside; what is to be asked of people comes in hours."""
        sql = "select count(*) from effects where lane != 'reminders' and state not in ('done', 'skipped', 'gave_up')"
        return self.drained(timeout=timeout) and until(lambda: self.count(sql) == 0, timeout=timeout)

    def answered(self, *, timeout: float) -> bool:
        """True once every stored command is done."""
        return until(lambda: self.count("select count(*) from inbox where done_at is null") == 0, timeout=timeout)

    def fingerprints(self) -> set[str]:
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=20)) as c:
            return {row[0] for row in c.execute("select fingerprint from alerts")}

    def faults(
        self,
        outside: Outside,
        *,
        alerts: int,
        incidents: int,
        warm: bool = False,
        strict_pages: bool = True,
        pages_of: int | None = None,
    ) -> list[str]:
        """What the counts after a run should be and are not; empty when all is right. ``warm``: the warm-up came before.

        ``pages_of``: how many incidents page, where a storm folds the others.
        """
        paged = incidents if pages_of is None else pages_of
        if self.tamper:
            with contextlib.closing(sqlite3.connect(self.database, timeout=20)) as c:
                c.execute("delete from alerts where id = (select max(id) from alerts)")
                c.commit()
        found = []
        if not self.drained(timeout=90):
            found.append("alerts or pages were still waiting after 90 s")
        pages = outside.pages()
        seen = {
            "alert rows": (self.count("select count(*) from alerts"), alerts + warm * WARM),
            "incidents": (self.count("select count(*) from incidents"), incidents + warm * WARM // 20),
            "pages by dedup key": (len({key.split(" ")[0] for key in pages}), paged),
        }
        if strict_pages:
            seen["page calls"] = (sum(count for _, count in pages.values()), paged)
        return found + wrong(seen)


def wrong(seen: dict[str, tuple[int, int]]) -> list[str]:
    """A sentence for each count that is not what it must be. (counted, expected)."""
    return [f"{what}: {got} instead of {expected}" for what, (got, expected) in seen.items() if got != expected]


def repeated(keys: list[str]) -> list[str]:
    """Keys that came more than once."""
    return sorted(key for key, count in Counter(keys).items() if count > 1)


def settings(folder: Path, port: int, outside: int, slack: dict[str, Any]) -> dict[str, Any]:
    """captain.yml with every service configured and two services of the catalogue; the second is called in storms alone."""
    url = f"http://127.0.0.1:{outside}"
    service = {"channel": "C0BENCH01", "pagerduty": "a" * 32, "jira": "OPS"}
    return {
        "captain": {"database": f"sqlite:///{folder}/bot.db", "listen": f"127.0.0.1:{port}"},
        "slack": {
            "mode": "http",
            "bot_token": "xoxb-bench",
            "app_token": "xapp-bench",
            "signing_secret": SECRET,
            "base_url": f"{url}/slack/api/",
            "pace": 0.02,  # the outside is an instrument without Slack's limit
        }
        | slack,
        "pagerduty": {"events_url": f"{url}/pagerduty", "rest_url": f"{url}/pagerduty"},
        "jira": {"url": f"{url}/jira", "email": "bench@example.com", "api_token": "bench"},
        "prometheus": {"url": f"{url}/prometheus"},
        "kubernetes": {"url": f"{url}/kubernetes"},
        "alertmanager": {"webhook_secret": WEBHOOK_SECRET},
        "services": {"docs-api": service, "gateway": service | {"channel": "C0BENCH02", "pagerduty": "b" * 32}},
    }


@contextlib.contextmanager
def ground(*, tamper: bool = False) -> Iterator[Bench]:
    """A bench in a folder of its own below build/, on the disk of the checkout: memory would flatter every commit."""
    (ROOT / "build").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "build"))
    outside = _spawn([sys.executable, str(HERE / "outside.py")])
    try:
        yield Bench(folder, Outside(outside), tamper=tamper)
    finally:
        outside.stop()
        shutil.rmtree(folder, ignore_errors=True)


# ---- requests -------------------------------------------------------------------------------------------------------


def alert(
    slo: str,
    *,
    severity: str = "page",
    fingerprint: str = "",
    service: str = "docs-api",
    status: str = "firing",
    starts: float = 0.0,
) -> bytes:
    """An Alertmanager v4 delivery of one alert, about 700 bytes. ``starts``: UNIX s; now without it."""
    began = dt.datetime.fromtimestamp(starts or time.time(), dt.UTC).isoformat(timespec="milliseconds")
    labels = {"alertname": "SLOBurnFast", "burn": "fast", "service": service, "severity": severity, "slo": slo}
    one = {
        "status": status,
        "labels": labels,
        "annotations": {"summary": f"{slo} burns its 99.9% budget at 2.29% errors (fast)"},
        "startsAt": began.replace("+00:00", "Z"),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=slo",
        "fingerprint": fingerprint or f"{random.getrandbits(64):016x}",
    }
    body = {
        "receiver": "rc",
        "status": status,
        "alerts": [one],
        "groupLabels": {"service": service, "slo": slo},
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example:9093",
        "version": "4",
        "groupKey": f'{{}}:{{service="{service}", slo="{slo}"}}',
        "truncatedAlerts": 0,
    }
    headers = {"authorization": f"Bearer {WEBHOOK_SECRET}", "content-type": "application/json"}
    return load.post("/webhooks/alertmanager", json.dumps(body).encode(), headers)


def alerts(count: int, groups: int) -> list[bytes]:
    """Unique alerts that fall into so many incidents."""
    return [alert(f"slo-{i % groups}") for i in range(count)]


def slash(outside: int) -> bytes:
    """One signed slash command, as Slack posts it."""
    form = {
        "command": "/captain",
        "text": "incident list",
        "user_id": "U0BENCH01",
        "user_name": "bench",
        "channel_id": "C0BENCH01",
        "channel_name": "bench",
        "team_id": "T0BENCH01",
        "team_domain": "bench",
        "api_app_id": "A0BENCH01",
        "token": "unused",
        "trigger_id": f"{random.getrandbits(64)}.1.x",
        "response_url": f"http://127.0.0.1:{outside}/slack/respond",
    }
    body, at = urlencode(form), str(int(time.time()))
    mac = hmac.new(SECRET.encode(), f"v0:{at}:{body}".encode(), hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": at,
        "x-slack-signature": f"v0={mac}",
    }
    return load.post("/slack/events", body.encode(), headers)
