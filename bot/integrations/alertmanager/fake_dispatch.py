"""Groups alerts and posts them to the webhook when Alertmanager would: after group_wait, then every group_interval.

One thread keeps the time while there are groups, and ends with the last of them; the posts go out on a small pool, so
that a receiver that hangs for one group does not hold up another.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import requests

from bot.integrations.alertmanager.fake_alerts import Alert, Held, common

GROUP_BY = ("slo", "service")
POST_TIMEOUT_S = 10.0
RETRY_FOR_S = 10.0
"""How long one notification is retried on 5xx and lost connections; Alertmanager's least as well."""
MAX_DELIVERIES = 500


@dataclass(frozen=True)
class Timing:
    """Seconds."""

    group_wait: float
    group_interval: float
    repeat_interval: float


@dataclass
class Group:
    """The alerts (by fingerprint) of one slo and service, and what the receiver was last told of them."""

    labels: dict[str, str]
    due: float
    members: set[str] = field(default_factory=set)
    told_firing: set[str] = field(default_factory=set)
    told_resolved: set[str] = field(default_factory=set)
    told_at: float = 0.0
    busy: bool = False

    @property
    def key(self) -> str:
        inside = ", ".join(f'{k}="{_escaped(v)}"' for k, v in sorted(self.labels.items()))
        return f"{{}}:{{{inside}}}"


class Dispatcher:
    """Sends what ``held`` holds. ``target`` gives the webhook's address ("" sends nothing) and its bearer token."""

    def __init__(
        self,
        held: Held,
        lock: threading.RLock,
        clock: Callable[[], float],
        timing: Timing,
        target: Callable[[], tuple[str, str]],
        told: Callable[[], None],
    ) -> None:
        self.held, self.clock, self.timing, self.target, self.told = held, clock, timing, target, told
        self.groups: dict[tuple[tuple[str, str], ...], Group] = {}
        self.deliveries: deque[dict[str, Any]] = deque(maxlen=MAX_DELIVERIES)
        self._changed = threading.Condition(lock)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None

    def add(self, alert: Alert) -> None:
        """Put an alert into its group; a new group starts its group_wait, or goes at once when the alert is old."""
        with self._changed:
            labels = {k: alert.labels[k] for k in GROUP_BY if k in alert.labels}
            key = tuple(sorted(labels.items()))
            if key not in self.groups:
                old = alert.starts + self.timing.group_wait < self.clock()
                self.groups[key] = Group(labels, time.monotonic() + (0 if old else self.timing.group_wait))
            self.groups[key].members.add(alert.fingerprint)
            self._wake()

    def stop(self) -> None:
        """End the thread and the pool; alerts stay, and sending starts again with the next one."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
            thread, pool = self._thread, self._pool
            self._thread = self._pool = None
        if thread is not None:
            thread.join(5)
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _wake(self) -> None:
        if self._thread is None:
            self._stop = threading.Event()
            self._pool = ThreadPoolExecutor(8, thread_name_prefix="alertmanager-send")
            self._thread = threading.Thread(target=self._keep_time, name="alertmanager-groups", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _keep_time(self) -> None:
        with self._changed:
            stop, pool = self._stop, self._pool
            while self.groups and not stop.is_set() and pool is not None:
                now = time.monotonic()
                for group in [g for g in self.groups.values() if not g.busy and g.due <= now]:
                    group.busy = True
                    pool.submit(self._flush, group, stop)
                waits = [g.due - now for g in self.groups.values() if not g.busy]
                self._changed.wait(max(0.0, min(waits, default=60.0)))
            if self._stop is stop:
                self._thread = self._pool = None
                if pool is not None:
                    pool.shutdown(wait=False)

    def _flush(self, group: Group, stop: threading.Event) -> None:
        began = time.monotonic()
        try:
            with self._changed:
                now = self.clock()
                alerts = self._awake(group, now)
                firing = {a.fingerprint for a in alerts if not a.resolved(now)}
                resolved = {a.fingerprint for a in alerts if a.resolved(now)}
                over = {f: a for f in group.members if (a := self.held.alerts.get(f)) is None or a.resolved(now)}
                needed = self._needed(group, firing, resolved, now)
                body = self._body(group, alerts, now) if needed else {}
            if not needed or self._send(body, stop):
                with self._changed:
                    if needed:
                        group.told_firing, group.told_resolved, group.told_at = firing, resolved, now
                    self._forget(group, over)
        finally:
            with self._changed:
                group.busy = False
                group.due = began + self.timing.group_interval
                if not group.members:
                    self.groups.pop(tuple(sorted(group.labels.items())), None)
                self._changed.notify_all()
            self.told()

    def _awake(self, group: Group, now: float) -> list[Alert]:
        """The group's alerts that nothing mutes, by their labels."""
        known = [self.held.alerts[f] for f in group.members if f in self.held.alerts]
        return sorted((a for a in known if not self.held.muted(a, now)), key=lambda a: sorted(a.labels.items()))

    def _needed(self, group: Group, firing: set[str], resolved: set[str], now: float) -> bool:
        """Alertmanager's own rule: something new fires, all or something new is over, or it is time to repeat."""
        if not group.told_at:
            return bool(firing)
        if not firing <= group.told_firing:
            return True
        if not firing:
            return bool(group.told_firing)
        return not resolved <= group.told_resolved or now - group.told_at >= self.timing.repeat_interval

    def _forget(self, group: Group, over: Mapping[str, Alert | None]) -> None:
        """Let go of alerts that were over when this was begun; one that has ended while it was sent is told first."""
        for fingerprint, alert in over.items():
            if self.held.alerts.get(fingerprint) is alert:
                group.members.discard(fingerprint)
                self.held.alerts.pop(fingerprint, None)

    def _body(self, group: Group, alerts: list[Alert], now: float) -> dict[str, Any]:
        notices = [a.notice(now) for a in alerts]
        return {
            "receiver": "rc",
            "status": "firing" if any(n["status"] == "firing" for n in notices) else "resolved",
            "alerts": notices,
            "groupLabels": group.labels,
            "commonLabels": common(a.labels for a in alerts),
            "commonAnnotations": common(a.annotations for a in alerts),
            "externalURL": "http://alertmanager.sandbox:9093",
            "version": "4",
            "groupKey": group.key,
            "truncatedAlerts": 0,
        }

    def _send(self, body: dict[str, Any], stop: threading.Event) -> bool:
        """True when the receiver took it. 5xx and lost connections are tried again for a while, 4xx are not."""
        deadline, pause = time.monotonic() + RETRY_FOR_S, 0.5
        while not stop.is_set():
            status = self._post(body)
            if status == 0 or 200 <= status < 300:
                return status != 0
            if 400 <= status < 500 or time.monotonic() + pause > deadline:
                return False
            stop.wait(pause)
            pause = min(1.4, pause * 1.5)
        return False

    def _post(self, body: dict[str, Any]) -> int:
        """The answer's status; 599 for none at all, 0 when there is nowhere to send to."""
        url, bearer = self.target()
        if not url:
            return 0
        headers = {"User-Agent": "Alertmanager/0.25.0"}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        try:
            status = requests.post(url, json=body, headers=headers, timeout=POST_TIMEOUT_S).status_code
        except requests.RequestException:
            status = 599
        told = [{"fingerprint": a["fingerprint"], "status": a["status"]} for a in body["alerts"]]
        self.deliveries.append({"at": self.clock(), "status": status, "alerts": told, "groupKey": body["groupKey"]})
        self.told()
        return status


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
