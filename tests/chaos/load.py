"""Alerts and people: what happens to incidents, and what the bot has acknowledged of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from chaos.invariants import Owed, OwedFlag
from chaos.points import Step
from chaos.stage import API_TOKEN, WEBHOOK_SECRET, Replica, Stage

NUMBER = re.compile(r"INC-(\d+)")
PATIENCE = 120.0
"""Seconds after which a sender says that the bot takes nothing any more."""


class NotTaken(Exception):
    """The bot has refused what was asked."""


class Unheard(Exception):
    """Nobody took a delivery within the sender's patience."""


@dataclass
class Alert:
    """One alert of an opening. ``starts_at`` as RFC 3339."""

    name: str
    severity: str
    fingerprint: str
    starts_at: str


@dataclass
class Opening:
    """One incident from its first alert to its end. The flags say what the bot has acknowledged."""

    token: str
    service: str
    slo: str
    severity: str = "page"
    checked: bool = False
    alerts: list[Alert] = field(default_factory=list)
    fired: bool = False
    paged: bool = False
    acked: bool = False
    asked: bool = False
    resolved: bool = False
    fickle: bool = False

    def owed(self) -> Owed:
        return Owed(
            self.token,
            pages=self.paged,
            checked=self.checked,
            acked=self.acked,
            asked=self.asked,
            resolved=self.resolved,
            fickle=self.fickle,
        )


@dataclass
class Switching:
    """One switching-on of a flag. ``asked``: the bot has answered that it took it."""

    token: str
    flag: str
    asked: bool = False

    def owed(self) -> OwedFlag:
        return OwedFlag(self.token)


class Load:
    """Sends what Alertmanager and people send, and sends again what was not acknowledged. Safe to use from any thread."""

    def __init__(self, stage: Stage, rng: random.Random) -> None:
        self.stage = stage
        self.openings: list[Opening] = []
        self.switchings: list[Switching] = []
        self._free = deque(stage.flags)
        self._rng = rng
        self._pause = threading.Event()
        self._local = threading.local()

    def new(self, service: str = "", severity: str = "page", slo: str = "") -> Opening:
        """Think up an incident; nothing is sent yet. ``severity``: page, critical or ticket."""
        service = service or self._rng.choice(self.stage.services)
        token = self.stage.token()
        made = Opening(token, service, slo or token, severity, self.stage.checked(service))
        self.openings.append(made)
        return made

    def some(self, count: int, *, checked: bool = False) -> list[Opening]:
        """As many new incidents, each of another service; with ``checked`` of services with a runbook only."""
        services = [name for name in self.stage.services if self.stage.checked(name) or not checked]
        return [self.new(service) for service in self._rng.sample(services, count)]

    def owed(self) -> list[Owed | OwedFlag]:
        """What the outside owes everything that the bot has acknowledged."""
        fired = [one.owed() for one in self.openings if one.fired]
        return [*fired, *(one.owed() for one in self.switchings if one.asked)]

    # ---- flags --------------------------------------------------------------------------------------------------

    def flag(self) -> Switching:
        """Think up the switching-on of a flag that nobody else has in hand; nothing is sent yet."""
        one = Switching(self.stage.token(), self._free.popleft())
        self.switchings.append(one)
        return one

    def give_back(self, one: Switching) -> None:
        """It is over: its flag may be switched on again."""
        self._free.append(one.flag)

    def switch_on(self, one: Switching, seconds: int, *, to: Replica | None = None) -> None:
        self.say(f"flag on {one.flag} --for {seconds}s {one.token}", to=to)
        one.asked = True

    def switch_off(self, one: Switching, *, to: Replica | None = None) -> None:
        """A person wants it off before its time; when it is off already, nothing comes of it."""
        self.say(f"flag off {one.flag}", to=to)

    def extend(self, one: Switching, seconds: int) -> None:
        """A person wants it on for longer; when it is over already, that is refused."""
        with contextlib.suppress(NotTaken):
            self.say(f"flag extend {one.flag} --for {seconds}s")

    # ---- steps --------------------------------------------------------------------------------------------------

    def take(self, step: Step, openings: Sequence[Opening], to: Replica | None = None) -> None:
        """Let a step happen to each of these; ``to`` names the replica that shall hear of it."""
        for one in openings:
            if step is Step.FIRE:
                self.fire(one, to=to)
            elif step is Step.ACK:
                self.acknowledge(one, to=to)
            else:
                self.resolve(one, to=to)

    def fire(self, one: Opening, *, name: str = "SLOBurnFast", severity: str = "", to: Replica | None = None) -> None:
        """Deliver a firing alert until it is acknowledged."""
        severity = severity or one.severity
        one.alerts.append(Alert(name, severity, f"{uuid.uuid4().int >> 64:016x}", _now()))
        self.deliver(self._body(one, one.alerts[-1:], "firing"), to=to)
        one.fired = True
        one.paged = one.paged or severity != "ticket"

    def resolve(self, one: Opening, *, to: Replica | None = None) -> None:
        """Deliver the end of all its alerts until it is acknowledged."""
        self.deliver(self._body(one, one.alerts, "resolved"), to=to)
        one.resolved = True

    def acknowledge(self, one: Opening, *, to: Replica | None = None) -> None:
        """A person takes it on the command line, and asks again until there is an answer."""
        self.say(f"incident ack INC-{self.number(one)}", to=to)
        one.acked = True

    def acknowledge_in_slack(self, one: Opening, *, press: bool) -> None:
        """A person presses the button or writes the command; Slack sends neither again, so that it may not be heard."""
        root = self.stage.look().roots[one.token][0]
        channel, ts = root.place.split("/")
        slack = self.stage.slack
        one.asked = True
        slack.request_url = f"{self._rng.choice(self.stage.replicas).url}/slack/events"
        if press:
            told = slack.press(channel, ts, "incident ack", "carol")
        else:
            told = slack.slash(channel, "carol", "/captain", f"incident ack INC-{self.number(one)}")
        said = str((told.get("payload") or {}).get("text", ""))
        one.acked = one.acked or (bool(told["ok"]) and "nothing was done" not in said)

    def open(self, one: Opening) -> None:
        """A person opens it on the command line."""
        self.say(f"incident open sev2 {one.service} {one.token} opened by hand")
        one.fired = one.paged = True

    def end(self, one: Opening) -> None:
        """A person resolves it on the command line."""
        self.say(f"incident resolve INC-{self.number(one)}")
        one.resolved = True

    def number(self, one: Opening) -> int:
        """Its number, as everybody reads it in Slack."""
        root = self.stage.look().roots[one.token][0]
        found = NUMBER.search(root.shown)
        assert found is not None
        return int(found.group(1))

    # ---- the wire -------------------------------------------------------------------------------------------------

    def deliver(self, body: dict[str, Any], *, to: Replica | None = None, twice: bool = False) -> None:
        """Send an Alertmanager body to one replica, and to another whenever it is not acknowledged with a 2xx."""
        headers = {"authorization": f"Bearer {WEBHOOK_SECRET}"}
        for _ in range(2 if twice else 1):
            self._until_taken("/webhooks/alertmanager", body, headers, to)

    def say(self, line: str, *, to: Replica | None = None) -> dict[str, Any]:
        """One line through the CLI's door, with a key, so that asking again is asking once."""
        headers = {"authorization": f"Bearer {API_TOKEN}"}
        body = {"line": line, "as": "carol", "key": uuid.uuid4().hex}
        return self._until_taken("/api/command", body, headers, to).json()

    def _until_taken(
        self, path: str, body: dict[str, Any], headers: dict[str, str], to: Replica | None
    ) -> requests.Response:
        deadline = time.monotonic() + PATIENCE
        said = ""
        while time.monotonic() < deadline:
            replica = to or self._rng.choice(self.stage.replicas)
            try:
                answer = self._session().post(f"{replica.url}{path}", json=body, headers=headers, timeout=5)
            except requests.RequestException as e:
                said = str(e)
            else:
                if answer.ok:
                    return answer
                said = f"{answer.status_code} {answer.text[:300]}"
                if answer.status_code < 500:
                    raise NotTaken(f"{path} refused {str(body)[:300]}: {said}")
            self._pause.wait(self._rng.uniform(0.05, 0.3))
        raise Unheard(f"nobody took a delivery to {path} in {PATIENCE:g} s: {said}")

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        return self._local.session

    def _body(self, one: Opening, alerts: Sequence[Alert], status: str) -> dict[str, Any]:
        """An Alertmanager v4 body."""
        group = {"service": one.service, "slo": one.slo}
        listed = [
            {
                "status": status,
                "labels": group | {"alertname": alert.name, "severity": alert.severity, "burn": "fast"},
                "annotations": {"summary": f"{one.token} burns its budget"},
                "startsAt": alert.starts_at,
                "endsAt": _now() if status == "resolved" else "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus.example:9090/graph?g0.expr=slo",
                "fingerprint": alert.fingerprint,
            }
            for alert in alerts
        ]
        return {
            "receiver": "rc",
            "status": status,
            "alerts": listed,
            "groupLabels": group,
            "commonLabels": group,
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example:9093",
            "version": "4",
            "groupKey": f'{{}}:{{service="{one.service}", slo="{one.slo}"}}',
            "truncatedAlerts": 0,
        }


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
