"""A town for stories: every stand-in on one address, and the bot in front of them, in this process or in one to be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from ground.waiting import free_port, until
from starlette.applications import Starlette
from starlette.routing import Mount

from bot import web
from bot.app import Captain, build
from bot.integrations.alertmanager.fake import FakeAlertmanager
from bot.integrations.jira.fake import API_TOKEN as JIRA_TOKEN
from bot.integrations.jira.fake import EMAIL, FakeJira
from bot.integrations.kubernetes.fake import FakeKubernetes
from bot.integrations.pagerduty.fake import FakePagerDuty
from bot.integrations.prometheus.fake import FakePrometheus
from bot.integrations.slack.fake import FakeSlack
from bot.slack import SlackEar
from bot.standin import CallLog, Served, serve
from bot.watch import Watcher
from handlers.subjects import SUBJECTS

ROUTING_KEY = "a" * 32
OTHER_KEY = "b" * 32
WEBHOOK_SECRET = "alert-secret"
DEPLOY_SECRET = "deploy-secret"
API_TOKEN = "cli-token"
BYPASS = {"namespace": "prod", "name": "gateway-flags", "key": "bypass"}
"""Where the flag gateway-bypass stands (``Town.has_a_flag``); it is 'false' there when the town begins."""
PD_SECRET = "pagerduty-webhook-secret"


@dataclass
class Bot:
    """A running bot. ``url`` takes webhooks and signed Slack requests."""

    url: str
    captain: Captain | None = None
    process: subprocess.Popen[bytes] | None = None
    _served: Served | None = None
    _ear: SlackEar | None = None
    _watcher: Watcher | None = None

    def alert(self, body: dict[str, Any], *, secret: str = WEBHOOK_SECRET) -> requests.Response:
        """Deliver an Alertmanager body."""
        headers = {"authorization": f"Bearer {secret}"}
        return requests.post(f"{self.url}/webhooks/alertmanager", json=body, headers=headers, timeout=10)

    def deploy(self, *, secret: str = DEPLOY_SECRET, **told: Any) -> requests.Response:
        """Tell of a deploy as CI does; what is not said is of docs-api 1.4.3, done."""
        body = {"service": "docs-api", "version": "1.4.3", "status": "succeeded", "id": "run-1"} | told
        headers = {"authorization": f"Bearer {secret}"}
        return requests.post(f"{self.url}/webhooks/deploy", json=body, headers=headers, timeout=10)

    def ask(self, line: str, name: str = "carol") -> dict[str, Any]:
        """One line through the CLI's door."""
        headers = {"authorization": f"Bearer {API_TOKEN}"}
        answer = requests.post(f"{self.url}/api/command", json={"line": line, "as": name}, headers=headers, timeout=10)
        return answer.json()

    def metric(self, name: str) -> float:
        """The value of one line of /metrics, 0 when it is not there."""
        for line in requests.get(f"{self.url}/metrics", timeout=10).text.splitlines():
            if line.rsplit(" ", 1)[0] == name:
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def stop(self) -> None:
        if self._ear is not None:
            self._ear.close()
        if self._watcher is not None:
            self._watcher.stop()
        if self._served is not None:
            self._served.stop()
        if self.captain is not None:
            self.captain.stop(5)
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(5)


@dataclass
class Town:
    """The stand-ins and the configuration that points at them."""

    folder: Path
    slack: FakeSlack
    pagerduty: FakePagerDuty
    jira: FakeJira
    kubernetes: FakeKubernetes
    prometheus: FakePrometheus
    alertmanager: FakeAlertmanager
    calls: CallLog
    served: Served
    config: dict[str, Any] = field(default_factory=dict)
    bots: list[Bot] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "captain.yml"

    def write(self) -> Path:
        self.file.write_text(yaml.safe_dump(self.config, sort_keys=False))
        return self.file

    def has_a_flag(self, **settings: object) -> None:
        """Configure the flag gateway-bypass before a bot is started; ``settings`` of the flag beside the usual."""
        flag = {"service": "gateway", "object": {"kind": "configmap", **BYPASS}, "on": "true"}
        self.config["flags"] = {"gateway-bypass": flag | settings}

    def start(self) -> Bot:
        """Start the bot in this process: quick, and its parts can be looked at. One at a time."""
        captain = build(self.write(), {})
        captain.start()
        ear = SlackEar(captain, captain.settings.slack) if captain.settings.slack else None
        http = ear.http if ear and captain.settings.slack.mode == "http" else None
        served = serve(web.build(captain, http))
        if ear:
            ear.listen()
        self.slack.request_url = f"{served.url}/slack/events"
        watcher = Watcher(captain, seconds=5, first=0.05)
        watcher.start()
        bot = Bot(served.url, captain=captain, _served=served, _ear=ear, _watcher=watcher)
        self.bots.append(bot)
        return bot

    def spawn(self, *options: str, port: int = 0, env: Mapping[str, str] | None = None) -> Bot:
        """Start the bot as its users do, in a process of its own that can be killed; ``options`` of `captain serve`."""
        port = port or free_port()
        self.config["captain"]["listen"] = f"127.0.0.1:{port}"
        self.write()
        # Bytecode is written, as on a user's machine: without it each start takes seconds longer.
        ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        ours |= {"PYTHONWARNINGS": "ignore", **(env or {})}
        command = [str(Path(sys.executable).with_name("captain")), "serve", "--config", str(self.file), *options]
        with (self.folder / f"bot-{len(self.bots)}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=ours)
        bot = Bot(f"http://127.0.0.1:{port}", process=process)
        self.bots.append(bot)
        self.slack.request_url = f"{bot.url}/slack/events"

        def ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError((self.folder / f"bot-{len(self.bots) - 1}.log").read_text())
            try:
                return requests.get(f"{bot.url}/readyz", timeout=1).status_code == 200
            except (requests.ConnectionError, requests.Timeout):
                return False

        until(ready, timeout=90, message="the bot did not come up")
        return bot

    # ---- what the outside holds ---------------------------------------------------------------------------------

    def pages(self) -> list[dict[str, Any]]:
        return self.pagerduty.state()["incidents"]

    def tickets(self) -> list[dict[str, Any]]:
        return self.jira.state()["issues"]

    def flags(self) -> dict[str, Any]:
        """The ConfigMap that the town's flag stands in: its ``data``, and its ``annotations`` with our mark."""
        objects = self.kubernetes.state()["objects"]
        return next(o for o in objects if (o["kind"], o["name"]) == ("ConfigMap", BYPASS["name"]))

    def bypass(self) -> str:
        """The value of the flag gateway-bypass in the cluster."""
        return self.flags()["data"].get(BYPASS["key"], "")

    def messages(self) -> list[dict[str, Any]]:
        return [m for m in self.slack.state()["messages"] if not m.get("ephemeral_to")]

    def roots(self) -> list[dict[str, Any]]:
        """Root messages of incidents, oldest first."""
        return [m for m in self.messages() if "INC-" in m["text"] and m.get("thread_ts") in (None, m["ts"])]

    def thread(self, root: dict[str, Any]) -> list[str]:
        """The texts below a root message."""
        return [m["text"] for m in self.messages() if m.get("thread_ts") == root["ts"] and m["ts"] != root["ts"]]

    def whispers(self, user: str) -> list[str]:
        """The ephemeral texts one person has seen."""
        return [m["text"] for m in self.slack.state()["messages"] if m.get("ephemeral_to") == user]

    def shown(self, message: dict[str, Any]) -> str:
        """All that a reader sees of a message, as one string."""
        return json.dumps(message["blocks"], ensure_ascii=False)


def user(town: Town, name: str) -> str:
    """The id of a person."""
    return next(u["id"] for u in town.slack.state()["users"] if u["name"] == name)


def channel(town: Town, name: str) -> str:
    """The id of a channel."""
    return next(c["id"] for c in town.slack.state()["channels"] if c["name"] == name.removeprefix("#"))


def _goodbyes() -> list[threading.Thread]:
    """The goodbyes of bots of this process that are not said yet."""
    return [thread for thread in threading.enumerate() if thread.name == "leave"]


@pytest.fixture
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Town]:
    """Every stand-in, and a configuration for two services; the test starts the bot it needs."""
    # Asked for before the bots start, PostgreSQL is there until they have said goodbye. One that cannot goes on trying, and
    # its executor, of which a process has one, would be that of the next test's bot.
    given = getattr(request.node, "callspec", None)
    on_postgres = "postgres" in request.fixturenames or (given and "postgresql" in given.params.values())
    postgres = request.getfixturevalue("postgres") if on_postgres else None
    calls = CallLog()
    slack = FakeSlack(calls)
    pagerduty = FakePagerDuty(calls, routing_keys={ROUTING_KEY: "docs-api", OTHER_KEY: "gateway"})
    jira, kubernetes, prometheus = FakeJira(calls), FakeKubernetes(calls), FakePrometheus(calls)
    alertmanager = FakeAlertmanager(calls, bearer=WEBHOOK_SECRET)
    flags = {"name": BYPASS["name"], "namespace": BYPASS["namespace"]}
    data = {BYPASS["key"]: "false", "rate-limit": "100"}
    kubernetes.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": flags, "data": data})
    made = {"slack": slack, "pagerduty": pagerduty, "jira": jira, "kubernetes": kubernetes, "prometheus": prometheus}
    made["alertmanager"] = alertmanager
    served = serve(Starlette(routes=[Mount(f"/{name}", app=one.app) for name, one in made.items()]))
    slack.people.commands |= {f"/{subject}" for subject in SUBJECTS}
    slack.url = f"{served.url}/slack"
    config = {
        "captain": {"database": f"sqlite:///{tmp_path}/bot.db", "api_token": API_TOKEN},
        "slack": {
            "mode": "http",
            "bot_token": slack.bot_token,
            "app_token": slack.app_token,
            "signing_secret": slack.signing_secret,
            "base_url": f"{served.url}/slack/api/",
            "timeout": 2,
            "pace": 0.02,
        },
        "pagerduty": {
            "events_url": f"{served.url}/pagerduty",
            "rest_url": f"{served.url}/pagerduty",
            "webhook_secret": PD_SECRET,
            "timeout": 2,
        },
        "jira": {"url": f"{served.url}/jira", "email": EMAIL, "api_token": JIRA_TOKEN, "timeout": 2},
        "prometheus": {"url": f"{served.url}/prometheus"},
        "kubernetes": {"url": f"{served.url}/kubernetes", "timeout": 2},
        "alertmanager": {"webhook_secret": WEBHOOK_SECRET},
        "services": {
            "docs-api": {"channel": "#docs-api", "pagerduty": ROUTING_KEY, "jira": "OPS", "runbook": "docs-api"},
            "gateway": {"channel": "#gateway", "pagerduty": OTHER_KEY, "jira": "OPS", "runbook": "gateway"},
        },
        "incidents": {"panel_pause": 0.05},
        "deploys": {"webhook_secret": DEPLOY_SECRET, "checks_after": 0},
    }
    here = Town(tmp_path, slack, pagerduty, jira, kubernetes, prometheus, alertmanager, calls, served, config)
    yield here
    try:
        if postgres is not None:
            postgres.start()
        for bot in here.bots:
            bot.stop()
        until(lambda: not _goodbyes(), message="a bot of this process is not gone, and the next would be half of it")
    finally:
        alertmanager.stop()
        served.stop()
