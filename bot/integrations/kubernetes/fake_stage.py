"""The stage the played controllers act on: finding what an object owns, making it, and writing status."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.integrations.kubernetes.fake_kinds import Resource
from bot.integrations.kubernetes.fake_objects import Objects, Options
from bot.integrations.kubernetes.fake_removal import stamp
from bot.integrations.kubernetes.fake_store import Body, Place, Record, Table

_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_ALWAYS = {
    ("apps", "replicasets"): ("replicas",),
    ("apps", "statefulsets"): ("replicas", "availableReplicas"),
    ("apps", "daemonsets"): (
        "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
    ),
}  # fmt: skip
_APPS = ("ReplicaSet", "StatefulSet", "DaemonSet", "Deployment")
CONTROLLER = Options("kube-controller-manager", named=True)
NODE = "node-1"


@dataclass(frozen=True)
class Stage:
    """``at`` and ``forget`` set and clear what is due for an object, ``due`` tells whether it is (see ``Play``).

    ``marks``: what a controller has seen of a template last, by the uid of its object.
    """

    objects: Objects
    seconds: float
    at: Callable[[str, Table, Place, float], None]
    forget: Callable[[str, Table, Place], None]
    due: Callable[[str, Table, Place], bool]
    marks: dict[str, str] = field(default_factory=dict)

    def resource(self, table: Table) -> Resource:
        found = self.objects.registry.find(*table)
        assert found is not None
        return found

    def owned(self, table: Table, owner: Record) -> list[Record]:
        """What the owner controls, by name."""
        rows = self.objects.store.tables.get(table, {}).values()
        uid = owner.meta["uid"]
        found = [one for one in rows if any(ref.get("uid") == uid for ref in one.meta.get("ownerReferences") or ())]
        return sorted(found, key=lambda one: one.place)

    def make(self, table: Table, owner: Record, kind: str, body: Body) -> Record:
        """Create an object that the owner controls."""
        group = table[0] if kind != "Job" else "batch"
        version = "apps/v1" if kind in _APPS else f"{group}/v1"
        ref = {"apiVersion": version, "kind": kind, "name": owner.meta["name"], "uid": owner.meta["uid"]}
        ref = {**ref, "controller": True, "blockOwnerDeletion": True}
        meta = {**body["metadata"], "ownerReferences": [ref], "namespace": owner.meta["namespace"]}
        made = {**copy.deepcopy(body), "metadata": copy.deepcopy(meta)}
        return self.objects.create(self.resource(table), "v1", owner.meta["namespace"], made, CONTROLLER)

    def write(self, table: Table, record: Record, body: Body, sub: str = "", how: Options = CONTROLLER) -> Record:
        """Replace an object (or its status) as a controller does."""
        now = self.objects.get(self.resource(table), *record.place)
        body = copy.deepcopy({**body, "metadata": {**body["metadata"], "resourceVersion": now.meta["resourceVersion"]}})
        return self.objects.replace(self.resource(table), "v1", *record.place, body, how, sub)

    def status(self, table: Table, record: Record, status: Body, how: Options = CONTROLLER) -> Record:
        """Write a status; zeros are left out where the wire leaves them out."""
        always = ("observedGeneration", *_ALWAYS.get(table, ()))
        kept = {key: value for key, value in status.items() if value not in (0, None) or key in always}
        now = self.objects.get(self.resource(table), *record.place)
        return self.write(table, now, {**now.body, "status": kept}, "status", how)

    def delete(self, table: Table, record: Record) -> None:
        if self.objects.store.get(table, record.place) is not None and not record.meta.get("deletionTimestamp"):
            self.objects.delete(self.resource(table), *record.place, {})

    def scale(self, table: Table, record: Record, replicas: int) -> Record:
        if record.body["spec"].get("replicas") == replicas:
            return record
        return self.write(table, record, {**record.body, "spec": {**record.body["spec"], "replicas": replicas}})


def live(record: Record) -> bool:
    return not record.meta.get("deletionTimestamp")


def ready(pod: Record) -> bool:
    return condition(pod.body, "Ready").get("status") == "True"


def condition(body: Body, kind: str) -> dict[str, Any]:
    """The condition of that type, or {}."""
    found = (one for one in (body.get("status") or {}).get("conditions") or () if one.get("type") == kind)
    return dict(next(found, {}))


def conditions(body: Body, *wanted: tuple[str, str, str, str], updates: bool = True) -> list[Body]:
    """Conditions (type, status, reason, message) set anew; a time moves only when what it tells of has changed."""
    out = {one["type"]: one for one in (body.get("status") or {}).get("conditions") or ()}
    for kind, status, reason, message in wanted:
        old = out.get(kind, {})
        new = {"type": kind, "status": status, "reason": reason, "message": message}
        if {key: old.get(key) for key in new} == new:
            continue
        moved = old.get("lastTransitionTime") if old.get("status") == status else None
        out[kind] = {**new, "lastTransitionTime": moved or stamp()}
        if updates:
            out[kind]["lastUpdateTime"] = stamp()
    return list(out.values())


def fingerprint(template: Any) -> str:
    """Ten letters that stand for a pod template, as in the names of replica sets."""
    text = json.dumps(template, sort_keys=True)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    out = ""
    for _ in range(10):
        number, digit = divmod(number, len(_SAFE))
        out += _SAFE[digit]
    return out
