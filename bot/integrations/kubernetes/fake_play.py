"""The controllers and the kubelet, played: workloads make pods, pods start or crash, and each status tells of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from bot.integrations.kubernetes import fake_daemon, fake_rollout, fake_workloads
from bot.integrations.kubernetes.fake_kinds import Resource
from bot.integrations.kubernetes.fake_objects import Objects
from bot.integrations.kubernetes.fake_pods import Kubelet
from bot.integrations.kubernetes.fake_stage import Stage
from bot.integrations.kubernetes.fake_store import Change, Place, Record, Table

Job = tuple[str, Table, Place]
"""What is due, and for which object."""
_ROUNDS = 5000


class Play:
    """Reacts to changes of workloads and pods. Without work it holds no thread: one timer waits for the earliest due.

    ``seconds``: how long a rollout takes from its change to the last pod being ready.
    """

    def __init__(self, objects: Objects, seconds: float) -> None:
        self.objects = objects
        self.store = objects.store
        self.seconds = seconds
        self._dirty: dict[tuple[Table, Place], None] = {}
        self._due: dict[Job, float] = {}
        self._timer: threading.Timer | None = None
        self._armed = 0.0
        self._closed = False
        self.stage = Stage(objects, seconds, self.at, self.forget, self.due)
        self.kubelet = Kubelet(self.stage)
        self._turns: dict[Table, Callable[[Record], None]] = {
            ("apps", "deployments"): lambda record: fake_rollout.deployment(self.stage, record),
            ("apps", "replicasets"): lambda record: fake_workloads.replica_set(self.stage, record),
            ("apps", "statefulsets"): lambda record: fake_workloads.stateful_set(self.stage, record),
            ("apps", "daemonsets"): lambda record: fake_daemon.daemon_set(self.stage, record),
            ("batch", "jobs"): lambda record: fake_workloads.job(self.stage, record),
            ("", "pods"): self.kubelet.pod,
        }
        self.store.heard.append(self._hear)
        objects.on_delete.append(self._graceful)

    def at(self, what: str, table: Table, place: Place, delay: float) -> None:
        """Do something to an object after ``delay`` seconds; asked again, the earlier asking is replaced."""
        self._due[what, table, place] = time.monotonic() + delay

    def forget(self, what: str, table: Table, place: Place) -> None:
        self._due.pop((what, table, place), None)

    def due(self, what: str, table: Table, place: Place) -> bool:
        return (what, table, place) in self._due

    def pending(self) -> int:
        """How much is still to happen by itself."""
        return len(self._due)

    def run(self) -> None:
        """Carry out what is due and everything that follows from it, then sleep until the next."""
        with self.store.lock:
            if self._closed:
                return
            for _ in range(_ROUNDS):
                now = time.monotonic()
                ripe = [job for job, when in self._due.items() if when <= now]
                for what, table, place in ripe:
                    self._due.pop((what, table, place), None)
                    self._ripe(what, table, place)
                if not self._dirty and not ripe:
                    break
                self._sweep()
            self._arm()

    def close(self) -> None:
        """Stop for good."""
        with self.store.lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def wake(self) -> None:
        """Look at every object again, as controllers do after a restart."""
        with self.store.lock:
            self._due.clear()
            for table, record in self.store.every():
                if table in self._turns:
                    self._dirty[table, record.place] = None
            self.run()

    def _sweep(self) -> None:
        dirty, self._dirty = list(self._dirty), {}
        for table, place in dirty:
            record = self.store.get(table, place)
            if record is None:
                for job in [job for job in self._due if job[1:] == (table, place)]:
                    del self._due[job]
            else:
                self._turns[table](record)

    def _ripe(self, what: str, table: Table, place: Place) -> None:
        record = self.store.get(table, place)
        if record is None:
            return
        match what:
            case "end":
                resource = self.objects.registry.find(*table)
                if resource is not None:
                    self.objects.finish(resource, *place)
            case "deadline":
                fake_rollout.overdue(self.stage, record)
            case "look":
                self._dirty[table, place] = None
            case "expire":
                resource = self.objects.registry.find(*table)
                if resource is not None:
                    self.objects.delete(resource, *place, {"propagationPolicy": "Background"})
            case _:
                self.kubelet.ripe(what, record)

    def _arm(self) -> None:
        soonest = min(self._due.values(), default=None)
        if self._timer is not None and soonest is not None and self._armed == soonest and self._timer.is_alive():
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if soonest is not None:
            self._armed = soonest
            self._timer = threading.Timer(max(0.0, soonest - time.monotonic()), self.run)
            self._timer.daemon = True
            self._timer.start()

    def _hear(self, change: Change) -> None:
        if change.table in self._turns:
            self._dirty[change.table, change.record.place] = None
        self._owners_too(change.record)

    def _owners_too(self, record: Record) -> None:
        """Whoever owns a changed object looks again, and whoever owns the owner."""
        for ref in record.meta.get("ownerReferences") or ():
            resource = self._owner(ref)
            if resource is None or resource.table not in self._turns:
                continue
            place = record.meta.get("namespace", ""), ref["name"]
            self._dirty[resource.table, place] = None
            above = self.store.get(resource.table, place)
            if above is not None:
                self._owners_too(above)

    def _owner(self, ref: dict[str, Any]) -> Resource | None:
        group = ref.get("apiVersion", "").rpartition("/")[0]
        return self.objects.registry.by_kind(group, ref.get("kind", ""))

    def _graceful(self, resource: Resource, record: Record) -> bool:
        """A pod on a node ends when its kubelet has stopped it."""
        if resource.table != ("", "pods") or not record.body["spec"].get("nodeName"):
            return False
        phase = (record.body.get("status") or {}).get("phase")
        return phase in ("Pending", "Running") and not self._closed
