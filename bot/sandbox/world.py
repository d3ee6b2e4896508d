"""The pretend world around the bot: every stand-in below one address, kept in one file across restarts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from starlette.routing import Mount

from bot.errors import Refused
from bot.integrations.alertmanager.fake import FakeAlertmanager
from bot.integrations.heartbeat.fake import FakeHeartbeat
from bot.integrations.jira.fake import FakeJira
from bot.integrations.kubernetes.fake import FakeKubernetes
from bot.integrations.pagerduty.fake import FakePagerDuty
from bot.integrations.prometheus.fake import FakePrometheus
from bot.integrations.slack.fake import FakeSlack
from bot.sandbox.plant import Plant
from bot.sandbox.scraper import Scraper
from bot.sandbox.secrets_file import EMAIL, FLAGS, Secrets, write_private
from bot.standin import Call, CallLog, StandIn

SERVICES = ("docs-api", "gateway")
CALLS_KEPT = 500
"""Calls that survive a restart."""
SAVE_AFTER = 0.4
"""Seconds of quiet after a change before it is written."""


class World:
    """All stand-ins, sharing one record of calls. Faults do not survive a restart: a fresh start is a whole world."""

    def __init__(self, path: Path, held: Secrets, services: Sequence[str] = SERVICES) -> None:
        self.path = path
        self.services = list(services)
        self.calls = CallLog()
        self.slack = FakeSlack(
            self.calls, bot_token=held.bot_token, app_token=held.app_token, signing_secret=held.signing_secret
        )
        self.pagerduty = FakePagerDuty(self.calls, api_token=held.pagerduty_token, routing_keys=held.routing_keys)
        self.jira = FakeJira(self.calls, email=EMAIL, api_token=held.jira_token)
        self.kubernetes = FakeKubernetes(self.calls)
        self.prometheus = FakePrometheus(self.calls, around=True)
        self.alertmanager = FakeAlertmanager(self.calls, bearer=held.alertmanager_webhook)
        self.heartbeat = FakeHeartbeat(self.calls, uuid=held.heartbeat)
        self.plant = Plant(self.calls, self.services)
        self.troubles: set[str] = set()
        self.stand_ins: dict[str, StandIn] = {
            "slack": self.slack,
            "pagerduty": self.pagerduty,
            "jira": self.jira,
            "kubernetes": cast("StandIn", self.kubernetes),
            "prometheus": cast("StandIn", self.prometheus),
            "alertmanager": cast("StandIn", self.alertmanager),
            "heartbeat": self.heartbeat,
            "services": self.plant,
        }
        self.heard: list[Callable[[], None]] = []
        self._held = held
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._saving = threading.Lock()
        self._saver: threading.Thread | None = None
        self._scraper: Scraper | None = None

    def mounts(self) -> list[Mount]:
        return [Mount(f"/{name}", app=one.app) for name, one in self.stand_ins.items()]

    def open(self, *, port: int, bot_port: int) -> None:
        """Take over what was saved, point the stand-ins at the bot, and save every change from now on."""
        self._load()
        self._have_flags()
        bot = f"http://127.0.0.1:{bot_port}"
        self.slack.url = f"http://127.0.0.1:{port}/slack"
        self.pagerduty.webhook_url = f"{bot}/webhooks/pagerduty"
        self.pagerduty.webhook_secret = self._held.pagerduty_webhook
        self.jira.webhook_url, self.jira.webhook_secret = f"{bot}/webhooks/jira", self._held.jira_webhook
        self.alertmanager.webhook_url = f"{bot}/webhooks/alertmanager"
        for one in self.stand_ins.values():
            one.changed.append(self.touch)
        self.calls.heard.append(lambda _call: self.touch())
        self._saver = threading.Thread(target=self._save_on_change, name="world-saver", daemon=True)
        self._saver.start()
        self._scraper = Scraper(self.prometheus, bot_port)
        self._scraper.start()

    def close(self) -> None:
        """Save once more; nothing is saved after this."""
        self._closing.set()
        self._dirty.set()
        if self._scraper is not None:
            self._scraper.close()
        if self._saver is not None:
            self._saver.join(5)
        self.save()
        self.alertmanager.stop()
        self.kubernetes.close()

    def touch(self) -> None:
        """Something changed: save soon, and tell the page."""
        self._dirty.set()
        for hear in list(self.heard):
            hear()

    def state(self) -> dict[str, Any]:
        """What every stand-in holds, under its name, and ``calls``, oldest first."""
        return {name: one.state() for name, one in self.stand_ins.items()} | {"calls": self.calls.rows()}

    def faults(self) -> dict[str, list[dict[str, Any]]]:
        return {name: one.faults.rows() for name, one in self.stand_ins.items()}

    def deploy(self, service: str, *, by: str) -> tuple[str, str]:
        """Roll out the next version of a service in the cluster; (version before, version now). Raises KeyError."""
        images = [
            row["spec"]["template"]["spec"]["containers"][0]["image"]
            for row in self.kubernetes.state()["objects"]
            if (row["kind"], row["namespace"], row["name"]) == ("Deployment", "prod", service)
        ]
        if not images:
            raise KeyError(f"there is no deployment prod/{service}")
        name, _, before = images[0].rpartition(":")
        first, _, last = before.rpartition(".")
        after = f"{first}.{int(last) + 1}" if last.isdigit() and first else f"{before}.1"
        self.kubernetes.deploy("prod", service, f"{name}:{after}", by=by)
        return before, after

    def stand_in(self, name: str) -> StandIn:
        """By name; raises Refused for one there is not."""
        found = self.stand_ins.get(name)
        if found is None:
            raise Refused(f"There is no stand-in called '{name}'; there are {', '.join(self.stand_ins)}.")
        return found

    def save(self) -> None:
        """Write everything in one step."""
        with self._saving:
            data = {name: one.dump() for name, one in self.stand_ins.items()}
            data["world"] = {"troubles": sorted(self.troubles)}
            data["calls"] = {"rows": self.calls.rows()[-CALLS_KEPT:]}
            write_private(self.path, json.dumps(data))

    def _load(self) -> None:
        if not self.path.exists():
            return
        try:
            data: Mapping[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            for name, one in self.stand_ins.items():
                if name in data:
                    one.load(data[name])
            self.troubles = {str(name) for name in data.get("world", {}).get("troubles", ())}
            self.calls.calls.extend(Call(**row) for row in data["calls"]["rows"])
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise Refused(
                f"{self.path} cannot be read ({type(e).__name__}: {e}). It may be from another version; "
                "`captain sandbox reset` starts an empty world."
            ) from e

    def _have_flags(self) -> None:
        """The object that the sandbox's flag stands in."""
        meta = {"name": FLAGS["name"], "namespace": FLAGS["namespace"]}
        there = {(row["kind"], row["namespace"], row["name"]) for row in self.kubernetes.state()["objects"]}
        if ("ConfigMap", meta["namespace"], meta["name"]) not in there:
            data = {FLAGS["key"]: "false", "rate-limit": "100"}
            self.kubernetes.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})

    def _save_on_change(self) -> None:
        pause = SAVE_AFTER
        while not self._closing.is_set():
            self._dirty.wait()
            self._closing.wait(pause)
            self._dirty.clear()
            if not self._closing.is_set():
                began = time.monotonic()
                self.save()
                # A large world is written less often: saving takes at most a tenth of the time.
                pause = max(SAVE_AFTER, 10 * (time.monotonic() - began))
