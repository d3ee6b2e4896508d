"""A stage for chaos: stand-ins that can be snared and broken, and `captain serve` processes on SQLite or PostgreSQL."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml
from chaos.invariants import Page, Root, Seen, Ticket, gathered
from chaos.snare import Snare
from starlette.applications import Starlette
from starlette.routing import Mount

from bot.integrations.jira.fake import API_TOKEN as JIRA_TOKEN
from bot.integrations.jira.fake import EMAIL, FakeJira
from bot.integrations.kubernetes.fake import FakeKubernetes
from bot.integrations.pagerduty.fake import FakePagerDuty
from bot.integrations.prometheus.fake import FakePrometheus
from bot.integrations.slack.fake import FakeSlack
from bot.standin import CallLog, Mode, serve
from handlers.subjects import SUBJECTS

WEBHOOK_SECRET = "alert-secret"
API_TOKEN = "cli-token"
SERVICES = 16
"""Each with a channel of its own: Slack takes one message a second and channel."""
FLAGS_EACH = 4
"""Flags that share one object: what is done to one must not touch the others."""
LEASE = 2.0
TOKEN = re.compile(r"chaos-\w+-\d+")
PASSING = {"Pod", "ReplicaSet", "Event", "Lease", "Endpoints", "EndpointSlice", "Node"}
"""Kinds of the cluster that change by themselves."""
GLANCE = {
    "name": "glance",
    "title": "Is it well?",
    "owners": ["chaos"],
    "checks": [{"name": "answers", "kind": "promql", "expr": "vector(1)", "op": ">", "threshold": 0, "hint": "Look."}],
}


AWAY, MOST_REFUSED = "does not take us", 20
"""What `captain serve` says when its database is away at the start, and how often in a row that may be."""


class NeverUp(Exception):
    """A bot did not start; the text is the end of its log."""


@dataclass
class Replica:
    """One `captain serve` at an address that stays, whatever becomes of its processes."""

    name: str
    file: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    frozen: bool = False
    spawned_at: float = 0.0
    refused: int = 0
    """Starts in a row that ended because the database was just being restarted."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.file.with_suffix(".log")

    def spawn(self) -> None:
        """Start a process; returns at once."""
        # Python compiles a thousand files anew at each start when told to keep no bytecode.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONWARNINGS": "ignore"}
        command = [str(Path(sys.executable).with_name("captain")), "serve", "--config", str(self.file)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=env)
        self.spawned_at = time.monotonic()

    def ready(self) -> bool:
        """True when it takes alerts. Raises NeverUp when the process has ended by itself."""
        process = self.process
        if process is None or self.frozen:
            return False
        if process.poll() is not None:
            if process.returncode == -signal.SIGKILL:
                return False
            self.refused += 1
            if self.refused <= MOST_REFUSED and AWAY in self.log.read_text()[-3000:]:
                self.spawn()  # as a supervisor does: another stage has restarted the database they share
                return False
            raise NeverUp(f"{self.name} ended with {process.returncode}:\n{self.log.read_text()[-3000:]}")
        try:
            up = requests.get(f"{self.url}/readyz", timeout=1).status_code == 200
        except requests.RequestException:
            return False
        self.refused = 0 if up else self.refused
        return up

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self.frozen = False

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.frozen = False


@dataclass
class Stage:
    """Stand-ins at one address, a configuration with many services, and one or several replicas of the bot."""

    folder: Path
    name: str
    database: str
    rng: random.Random
    replicas: list[Replica] = field(default_factory=list)
    snare: Snare = field(default_factory=Snare)

    def __post_init__(self) -> None:
        calls = CallLog()
        self.services = [f"svc-{i:02d}" for i in range(SERVICES)]
        keys = {f"{i:032d}": name for i, name in enumerate(self.services)}
        self.slack, self.jira = FakeSlack(calls), FakeJira(calls, search_delay=1.0)
        self.pagerduty = FakePagerDuty(calls, routing_keys=keys)
        self.kubernetes, self.prometheus = FakeKubernetes(calls), FakePrometheus(calls)
        made = (self.slack, self.jira, self.pagerduty, self.kubernetes, self.prometheus)
        self.stand_ins = {one.name: one for one in made}
        routes = [Mount(f"/{one.name}", app=self.snare.around(one.name, one.app)) for one in made]
        self.served = serve(Starlette(routes=routes))
        self.slack.people.commands |= {f"/{subject}" for subject in SUBJECTS}
        self.slack.url = f"{self.served.url}/slack"
        self.channels = {name: self.slack.add_channel(name) for name in self.services}
        self.runbooks = self.folder / "runbooks"
        self.runbooks.mkdir(parents=True)
        (self.runbooks / "glance.yml").write_text(yaml.safe_dump(GLANCE, sort_keys=False))
        self.flags = {f"flag-{i:02d}": _place(i) for i in range(SERVICES)}
        for name in sorted({place["name"] for place in self.flags.values()}):
            data = {place["key"]: "false" for place in self.flags.values() if place["name"] == name}
            meta = {"name": name, "namespace": "prod"}
            self.kubernetes.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
        self._numbers = itertools.count(1)
        self._ports = iter(_ports(self.rng))
        self._before = self._switched()

    # ---- the bot ------------------------------------------------------------------------------------------------

    def add(self, count: int = 1) -> None:
        """Add replicas and start them; returns when all take alerts."""
        for _ in range(count):
            number, port = len(self.replicas), next(self._ports)
            file = self.folder / f"captain-{number}.yml"
            file.write_text(yaml.safe_dump(self._settings(port), sort_keys=False))
            self.replicas.append(Replica(f"{self.name}/{number}", file, port))
            self.replicas[-1].spawn()
        self.up(self.replicas)

    def up(self, replicas: Iterable[Replica], timeout: float = 60.0) -> None:
        """Wait until these take alerts."""
        for replica in replicas:
            if not wait(replica.ready, timeout):
                raise NeverUp(f"{replica.name} is not ready after {timeout:g} s:\n{replica.log.read_text()[-3000:]}")

    def living(self) -> list[Replica]:
        """Replicas whose process runs, frozen or not."""
        return [r for r in self.replicas if r.process is not None and r.process.poll() is None]

    def checked(self, service: str) -> bool:
        """True when the service has a runbook."""
        return self.services.index(service) % 2 == 0

    def token(self) -> str:
        """A new name for one opening of an incident; it stands in every title outside."""
        return f"chaos-{self.name}-{next(self._numbers):04d}"

    def mend(self) -> None:
        """All stand-ins work, and nothing is held."""
        self.snare.open()
        for one in self.stand_ins.values():
            one.faults.mend()

    def close(self) -> None:
        """Kill what runs and free the address."""
        for replica in self.living():
            replica.kill()
        self.kubernetes.close()
        self.served.stop()

    def _settings(self, port: int) -> dict[str, Any]:
        url = self.served.url
        services = {
            name: {"channel": self.channels[name], "pagerduty": f"{i:032d}", "jira": "OPS"}
            | ({"runbook": "glance"} if self.checked(name) else {})
            for i, name in enumerate(self.services)
        }
        return {
            "captain": {
                "database": self.database or f"sqlite:///{self.folder}/bot.db",
                "listen": f"127.0.0.1:{port}",
                "api_token": API_TOKEN,
                "runbooks": "runbooks",
                "lease": LEASE,
            },
            "slack": {
                "mode": "http",
                "bot_token": self.slack.bot_token,
                "signing_secret": self.slack.signing_secret,
                "base_url": f"{url}/slack/api/",
                "timeout": 3,
            },
            "pagerduty": {"events_url": f"{url}/pagerduty", "rest_url": f"{url}/pagerduty", "timeout": 3},
            "jira": {"url": f"{url}/jira", "email": EMAIL, "api_token": JIRA_TOKEN, "timeout": 3},
            "prometheus": {"url": f"{url}/prometheus", "timeout": 3},
            "kubernetes": {"url": f"{url}/kubernetes", "timeout": 1},
            "alertmanager": {"webhook_secret": WEBHOOK_SECRET},
            # What comes back is a new incident: page, ticket and thread of each are counted.
            # And each incident owes its own, however many there are at once.
            "incidents": {"reopen_within": 0, "storm": {"keys": 0}},
            "services": services,
            "flags": {
                name: {"service": service, "object": place, "on": "true"}
                for (name, place), service in zip(self.flags.items(), self.services, strict=True)
            },
        }

    # ---- the outside --------------------------------------------------------------------------------------------

    def look(self, *, cluster: bool = False) -> Seen:
        """What the stand-ins hold now; with ``cluster`` also what was left switched on there, which takes longer."""
        with self.pagerduty.account.lock:
            held = self.pagerduty.account.incidents.values()
            pages = [(i.title, Page(f"{i.dedup_key}#{i.number}", i.status)) for i in held]
        with self.jira.site.lock:
            site = self.jira.site
            tickets = [(i.summary, Ticket(i.key, site.status_of(i).category == "done")) for i in site.issues.values()]
        left_on = self._left_on() if cluster else ()
        roots, flags = self._roots()
        return Seen(_by_token(pages), _by_token(tickets), _by_token(roots), _by_token(flags), left_on)

    def is_on(self, name: str) -> bool:
        """True when the cluster has a flag on."""
        place = self.flags[name]
        rows = self.kubernetes.state()["objects"]
        row = next(r for r in rows if (r["kind"], r["name"]) == ("ConfigMap", place["name"]))
        return row["data"].get(place["key"]) == "true"

    def _roots(self) -> tuple[list[tuple[str, Root]], list[tuple[str, Root]]]:
        """Messages that stand in the channel itself: those of incidents, and those of flags."""
        world = self.slack.world
        incidents, flags = [], []
        with world.lock:
            everything = [m for channel in world.messages.values() for m in channel.values() if not m.ephemeral_to]
            for message in everything:
                if message.thread_ts not in ("", message.ts):
                    continue
                notes = tuple((_key(n.metadata), n.text) for n in world.thread(message.channel, message.ts))
                shown = json.dumps(message.blocks, ensure_ascii=False)
                held = incidents if "INC-" in message.text else flags
                held.append((message.text, Root(f"{message.channel}/{message.ts}", shown, notes)))
        return incidents, flags

    def _left_on(self) -> Sequence[str]:
        now = self._switched()
        names = [name for name in now.keys() | self._before.keys() if now.get(name) != self._before.get(name)]
        return [f"{'/'.join(name)} is not as it was" for name in sorted(names)]

    def _switched(self) -> dict[tuple[str, ...], str]:
        """Everything that the cluster holds by somebody's wish: what was switched on and not off again differs here."""
        rows = [row for row in self.kubernetes.state()["objects"] if row["kind"] not in PASSING]
        return {
            (row["kind"], row["namespace"], row["name"]): json.dumps(
                [row["spec"], row["labels"], row["annotations"], row.get("data")]
            )
            for row in rows
        }


def wait(condition: Any, timeout: float, every: float = 0.05) -> bool:
    """True as soon as ``condition()`` holds, False when it did not within ``timeout`` seconds."""
    pause, deadline = threading.Event(), time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(every)
    return True


def broken(stage: Stage, rng: random.Random) -> str:
    """Break one stand-in in one way for a few seconds; says which and how."""
    name = rng.choice(["pagerduty", "slack", "jira", "slack", "jira", "prometheus", "kubernetes"])
    mode, seconds = rng.choice(list(Mode)), rng.uniform(0.5, 4.0)
    stage.stand_ins[name].faults.breaks(mode, seconds=seconds, retry_after=1, delay=rng.choice([0.5, 2.0, 4.0]))
    return f"{name} {mode.value} for {seconds:.1f} s"


def _place(number: int) -> dict[str, str]:
    """Where a flag stands."""
    name = f"flags-{number // FLAGS_EACH}"
    return {"kind": "configmap", "namespace": "prod", "name": name, "key": f"key-{number:02d}"}


def _by_token(pairs: Iterable[tuple[str, object]]) -> dict[str, list[Any]]:
    return gathered((found.group(), thing) for title, thing in pairs if (found := TOKEN.search(title)))


def _key(metadata: dict[str, Any] | None) -> str:
    return str(((metadata or {}).get("event_payload") or {}).get("key") or "")


def _ports(rng: random.Random) -> Iterable[int]:
    """Free ports below those that the system gives to callers: a bot's address must be free when it comes back."""
    while True:
        port = rng.randrange(20_000, 32_000)
        with contextlib.closing(socket.socket()) as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
