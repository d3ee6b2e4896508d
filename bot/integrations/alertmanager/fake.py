"""A stand-in for Alertmanager 0.25: its v2 API, and real v4 webhooks to whoever is set to receive them."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

from bot.integrations.alertmanager.fake_alerts import (
    RESOLVE_TIMEOUT_S,
    Alert,
    ApiError,
    Held,
    Matcher,
    Silence,
    fingerprint,
    iso,
    unreadable,
)
from bot.integrations.alertmanager.fake_api import Api
from bot.integrations.alertmanager.fake_dispatch import Dispatcher, Timing
from bot.standin import CallLog, Faults, Guard

VERSION = "0.25.0"
_STATES = {"active": 0, "pending": 1, "expired": 2}


class FakeAlertmanager:
    """Holds alerts and silences and notifies ``webhook_url`` about them, grouped by slo and service.

    ``bearer``: the token its webhook calls carry. Times in seconds. ``webhook_url`` and ``bearer`` may be set later;
    until there is an address nothing is sent and nothing counts as told. Call ``stop`` when done.
    """

    name = "alertmanager"

    def __init__(
        self,
        calls: CallLog,
        *,
        webhook_url: str = "",
        bearer: str = "",
        group_wait: float = 0.2,
        group_interval: float = 2.0,
        repeat_interval: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.webhook_url, self.bearer, self.clock = webhook_url, bearer, clock
        self.changed: list[Callable[[], None]] = []
        self.faults = Faults()
        self.held = Held()
        self._began = clock()
        self._lock = threading.RLock()
        timing = Timing(group_wait, group_interval, repeat_interval)
        self.dispatcher = Dispatcher(
            self.held, self._lock, clock, timing, lambda: (self.webhook_url, self.bearer), self._tell
        )
        self.app = Guard(self.name, Api(self).app(), self.faults, calls, quiet=("/-/healthy", "/-/ready"))

    def fire(self, labels: Mapping[str, str], annotations: Mapping[str, str], starts_at: float | None = None) -> str:
        """Fire an alert from ``starts_at`` (UNIX seconds, now by default) until it is resolved; its fingerprint."""
        now = self.clock()
        starts = now if starts_at is None else starts_at
        return self._put(Alert({k: v for k, v in labels.items() if v}, dict(annotations), starts, None, now))

    def resolve(self, which: str | Mapping[str, str]) -> bool:
        """End the alert of that fingerprint or exactly these labels now; False when none of them fires."""
        found = which if isinstance(which, str) else fingerprint(which)
        with self._lock:
            alert, now = self.held.alerts.get(found), self.clock()
            if alert is None or alert.resolved(now):
                return False
            alert.ends = alert.updated = now
            self.dispatcher.add(alert)
        self._tell()
        return True

    def burn(self, service: str, kind: Literal["fast", "slow"] = "fast") -> str:
        """Fire the SLO burn alert of a service: fast pages, slow asks for a ticket. Returns its fingerprint."""
        labels = burn_labels(service, kind)
        annotations = {
            "dashboard": f"https://grafana.sandbox/d/slo?var-service={service}",
            "runbook_url": f"https://runbooks.sandbox/{service}#burn",
            "summary": f"{service} burns its 99.9% budget {'14.4' if kind == 'fast' else '6'} times too fast",
        }
        return self.fire(labels, annotations)

    def calm(self, service: str) -> bool:
        """Resolve both burn alerts of a service; False when neither fired."""
        ended = [self.resolve(burn_labels(service, kind)) for kind in ("fast", "slow")]
        return any(ended)

    def state(self) -> dict[str, Any]:
        """``{"alerts": [as /api/v2/alerts], "silences": [...], "deliveries": [{at, status, alerts, groupKey}]}``."""
        with self._lock:
            return {
                "alerts": self.rows(),
                "silences": self.silence_rows(),
                "deliveries": list(self.dispatcher.deliveries),
            }

    def dump(self) -> dict[str, Any]:
        with self._lock:
            told = [
                [g.labels, sorted(g.told_firing), sorted(g.told_resolved), g.told_at]
                for g in self.dispatcher.groups.values()
            ]
            return {
                "alerts": [asdict(a) for a in self.held.alerts.values()],
                "silences": [asdict(s) for s in self.held.silences.values()],
                "deliveries": list(self.dispatcher.deliveries),
                "told": told,
            }

    def load(self, data: dict[str, Any]) -> None:
        """Carry on: what the receiver has been told is not told again, what it missed is."""
        with self._lock:
            self.held.alerts = {a.fingerprint: a for a in (Alert(**row) for row in data["alerts"])}
            self.held.silences = {
                row["id"]: Silence(**{**row, "matchers": [Matcher(**m) for m in row["matchers"]]})
                for row in data["silences"]
            }
            self.dispatcher.deliveries.extend(data["deliveries"])
            for alert in self.held.alerts.values():
                self.dispatcher.add(alert)
            for labels, firing, resolved, at in data["told"]:
                group = self.dispatcher.groups.get(tuple(sorted(labels.items())))
                if group is not None:
                    group.told_firing, group.told_resolved, group.told_at = set(firing), set(resolved), at
        self._tell()

    def stop(self) -> None:
        """End the sending thread."""
        self.dispatcher.stop()

    def rows(self) -> list[dict[str, Any]]:
        """The alerts that fire, as ``/api/v2/alerts`` tells them, by fingerprint."""
        with self._lock:
            now = self.clock()
            firing = sorted((a for a in self.held.alerts.values() if not a.resolved(now)), key=lambda a: a.fingerprint)
            return [a.row(now, self.held.silenced_by(a, now), self.held.inhibited_by(a, now)) for a in firing]

    def silence_rows(self) -> list[dict[str, Any]]:
        """The silences, those in force first."""
        with self._lock:
            now = self.clock()
            rows = [s.row(now) for s in self.held.silences.values()]
        return sorted(rows, key=lambda r: (_STATES[r["status"]["state"]], r["endsAt"]))

    def post_alerts(self, body: Any) -> None:
        """Take alerts as a Prometheus sends them. What is valid is kept even when another is not; then ApiError."""
        if not isinstance(body, list):
            kind = {dict: "object", str: "string", int: "number", float: "number", bool: "bool"}.get(type(body), "null")
            raise unreadable(f"json: cannot unmarshal {kind} into Go value of type models.PostableAlerts")
        for place, row in enumerate(body):
            if not isinstance(row, dict) or not isinstance(row.get("labels"), dict):
                raise ApiError(422, {"code": 602, "message": f"{place}.labels in body is required"})
        problems, now = [], self.clock()
        for row in body:
            try:
                self._put(_alert(row, now))
            except ValueError as problem:
                problems.append(str(problem))
        if problems:
            raise ApiError(400, "; ".join(problems))

    def post_silence(self, body: Any) -> str:
        """Make or change a silence; its id. ApiError when Alertmanager would refuse it."""
        row = body if isinstance(body, dict) else {}
        for name in ("comment", "createdBy", "endsAt", "matchers", "startsAt"):
            if row.get(name) in (None, ""):
                raise ApiError(422, {"code": 602, "message": f"{name} in body is required"})
        if not row["matchers"]:
            raise ApiError(422, {"code": 612, "message": "matchers in body should have at least 1 items"})
        matchers = [_silence_matcher(place, m) for place, m in enumerate(row["matchers"])]
        starts, ends, now = _time(row["startsAt"]), _time(row["endsAt"]), self.clock()
        if ends < starts:
            raise ApiError(400, "Failed to create silence: start time must be before end time")
        if ends < now:
            raise ApiError(400, "Failed to create silence: end time can't be in the past")
        if all(m.matches({}) for m in matchers):
            raise ApiError(400, "silence invalid: at least one matcher must not match the empty string")
        with self._lock:
            if row.get("id") and row["id"] not in self.held.silences:
                raise ApiError(404, "silence not found")
            name = row.get("id") or str(uuid.uuid4())
            silence = Silence(name, matchers, max(starts, now), ends, now, row["createdBy"], row["comment"])
            self.held.silences[name] = silence
        self._tell()
        return str(name)

    def expire(self, name: str) -> None:
        """End a silence now; one that has ended stays ended. KeyError when there is none of that id."""
        with self._lock:
            silence, now = self.held.silences[name], self.clock()
            if silence.state(now) != "expired":
                silence.ends = silence.updated = now
                silence.starts = min(silence.starts, now)
        self._tell()

    def status(self) -> dict[str, Any]:
        return {
            "cluster": {"peers": [], "status": "disabled"},
            "config": {"original": "route:\n  receiver: rc\n  group_by:\n  - slo\n  - service\n"},
            "uptime": iso(self._began),
            "versionInfo": {
                **dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion", "revision"), ""),
                "version": VERSION,
            },
        }

    def _put(self, alert: Alert) -> str:
        with self._lock:
            self.dispatcher.add(self.held.put(alert, self.clock()))
        self._tell()
        return alert.fingerprint

    def _tell(self) -> None:
        for hear in list(self.changed):
            hear()


def burn_labels(service: str, kind: str) -> dict[str, str]:
    """The labels of a service's burn alert; ``kind`` is fast or slow."""
    return {
        "alertname": f"SLOBurn{kind.capitalize()}",
        "burn": kind,
        "env": "prod",
        "service": service,
        "severity": "page" if kind == "fast" else "ticket",
        "slo": f"{service}-availability",
    }


def _time(text: Any) -> float:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC).timestamp()
    except ValueError as problem:
        why = f'parsing time "{text}" as "2006-01-02 15:04:05": cannot parse "{text}" as "2006"'
        raise unreadable(why) from problem


def _alert(row: Mapping[str, Any], now: float) -> Alert:
    """An alert from the wire. Raises ValueError with Alertmanager's sentence."""
    labels = {str(k): str(v) for k, v in row["labels"].items() if v != ""}
    if not labels:
        raise ValueError("at least one label pair required")
    for name in labels:
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name):
            raise ValueError(f'invalid label set: invalid name "{name}"')
    ends = _time(row["endsAt"]) if row.get("endsAt") else None
    starts = _time(row["startsAt"]) if row.get("startsAt") else min(now, now if ends is None else ends)
    if ends is not None and ends < starts:
        raise ValueError("start time must be before end time")
    annotations = {str(k): str(v) for k, v in (row.get("annotations") or {}).items()}
    generator = str(row.get("generatorURL") or "")
    until = now + RESOLVE_TIMEOUT_S if ends is None else ends
    return Alert(labels, annotations, starts, until, now, generator, timeout=ends is None)


def _silence_matcher(place: int, row: Any) -> Matcher:
    for name in ("isRegex", "name", "value"):
        if not isinstance(row, dict) or row.get(name) is None:
            raise ApiError(422, {"code": 602, "message": f"matchers.{place}.{name} in body is required"})
    if row["isRegex"]:
        try:
            re.compile(row["value"])
        except re.error as problem:
            said = "missing closing )" if "missing )" in problem.msg else problem.msg
            why = f'invalid regular expression "{row["value"]}": error parsing regexp: {said}: `{row["value"]}`'
            raise ApiError(400, f"silence invalid: invalid label matcher {place}: {why}") from problem
    return Matcher(row["name"], row["value"], bool(row["isRegex"]), bool(row.get("isEqual", True)))
