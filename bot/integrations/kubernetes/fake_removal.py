"""Deleting as the API server and its garbage collector do: preconditions, finalizers, dependents, namespaces."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bot.integrations.kubernetes.fake_kinds import CRDS, NAMESPACES, Registry, Resource
from bot.integrations.kubernetes.fake_status import Cause, conflict, forbidden, invalid, not_found
from bot.integrations.kubernetes.fake_store import Record, Store

FOREGROUND = "foregroundDeletion"


def stamp() -> str:
    """Now, as Kubernetes writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Removal:
    """How objects end. ``on_delete`` hears of each delete; one that says True ends the object itself, later."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store = store
        self.registry = registry
        self.on_delete: list[Callable[[Resource, Record], bool]] = []

    def get(self, resource: Resource, namespace: str, name: str) -> Record:
        """Raises ApiError 404."""
        record = self.store.get(resource.table, (namespace, name))
        if record is None:
            raise not_found(resource.group, resource.plural, name)
        return record

    def delete(
        self, resource: Resource, namespace: str, name: str, options: Mapping[str, Any], *, dry_run: bool = False
    ) -> tuple[Record, bool]:
        """The object as it was last, and whether it is gone (False: finalizers or a kubelet come first)."""
        with self.store.lock:
            old = self.get(resource, namespace, name)
            self._preconditions(resource, old, options.get("preconditions") or {})
            policy = options.get("propagationPolicy") or (
                "Orphan" if resource.table == ("batch", "jobs") else "Background"
            )
            if policy not in ("Background", "Foreground", "Orphan"):
                known = '"Background", "Foreground", "Orphan"'
                text = f"Unsupported value: {json.dumps(policy)}: supported values: {known}"
                raise invalid(
                    "meta.k8s.io", "DeleteOptions", "", [Cause("FieldValueNotSupported", text, "propagationPolicy")]
                )
            if dry_run:
                return old, not old.meta.get("finalizers")
            if resource.table == NAMESPACES.table:
                return self._delete_namespace(old)
            if policy == "Foreground":
                old = self._foreground(resource, old)
            grace = options.get("gracePeriodSeconds")
            waits = grace != 0 and any(hear(resource, old) for hear in self.on_delete)
            if old.meta.get("finalizers") or waits:
                return self._marked(resource, old, 30 if waits and grace is None else grace or 0), False
            last = self._gone(resource, old, policy)
            self._settle_namespaces()
            return last, True

    def _preconditions(self, resource: Resource, old: Record, wanted: Mapping[str, Any]) -> None:
        for key, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if wanted.get(key) not in (None, old.meta.get(key)):
                have = old.meta.get(key)
                why = f"Precondition failed: {label} in precondition: {wanted[key]}, {label} in object meta: {have}"
                raise conflict(resource.group, resource.plural, old.meta["name"], why)

    def _marked(self, resource: Resource, old: Record, grace: int) -> Record:
        """The object with its deletionTimestamp, still there."""
        if old.meta.get("deletionTimestamp"):
            return old
        meta = {**old.meta, "deletionTimestamp": stamp(), "deletionGracePeriodSeconds": grace}
        if resource.generation:
            meta["generation"] = meta.get("generation", 1) + 1
        return self.store.put(resource.table, {**old.body, "metadata": meta}, old.owners)

    def finish(self, resource: Resource, namespace: str, name: str) -> None:
        """Remove an object whose graceful end has come; nothing when finalizers still hold it."""
        with self.store.lock:
            record = self.store.get(resource.table, (namespace, name))
            if record is None:
                return
            if record.meta.get("finalizers"):
                meta = {**record.meta, "deletionGracePeriodSeconds": 0}
                self.store.put(resource.table, {**record.body, "metadata": meta}, record.owners)
                return
            self._gone(resource, record, "Background")
            self._settle_namespaces()

    def _gone(self, resource: Resource, record: Record, policy: str) -> Record:
        last = self.store.drop(resource.table, record.place) or record
        if resource.table == CRDS.table:
            spec = record.body["spec"]
            for place in list(self.store.tables.get((spec["group"], spec["names"]["plural"]), {})):
                self.store.drop((spec["group"], spec["names"]["plural"]), place)
        for table, child in list(self.store.every()):
            refs = child.meta.get("ownerReferences") or []
            if not any(ref.get("uid") == record.meta["uid"] for ref in refs):
                continue
            kind = self.registry.find(*table)
            if kind is None or self.store.get(table, child.place) is None:
                continue
            others = [ref for ref in refs if ref.get("uid") != record.meta["uid"]]
            if policy == "Orphan" or any(self._lives(ref.get("uid")) for ref in others):
                self.store.put(
                    table, {**child.body, "metadata": {**child.meta, "ownerReferences": others}}, child.owners
                )
            else:
                self.delete(kind, *child.place, {"propagationPolicy": "Background"})
        return last

    def _lives(self, uid: str | None) -> bool:
        return any(record.meta["uid"] == uid for _, record in self.store.every())

    def _foreground(self, resource: Resource, old: Record) -> Record:
        """Delete the dependents first; while one that blocks is left, the object waits with a finalizer."""
        held = {**old.body, "metadata": {**old.meta, "finalizers": [*(old.meta.get("finalizers") or ()), FOREGROUND]}}
        waiting = self._marked(resource, self.store.put(resource.table, held, old.owners), 0)
        self._sweep(resource, waiting, delete=True)
        return self.store.get(resource.table, old.place) or waiting

    def _sweep(self, resource: Resource, waiting: Record, *, delete: bool) -> None:
        blocked = False
        for table, child in list(self.store.every()):
            refs = [r for r in child.meta.get("ownerReferences") or () if r.get("uid") == waiting.meta["uid"]]
            kind = self.registry.find(*table)
            if not refs or kind is None:
                continue
            if delete and not child.meta.get("deletionTimestamp"):
                self.delete(kind, *child.place, {"propagationPolicy": "Foreground"})
            left = self.store.get(table, child.place) is not None
            blocked = blocked or (left and bool(refs[0].get("blockOwnerDeletion")))
        if not blocked:
            rest = [one for one in waiting.meta["finalizers"] if one != FOREGROUND]
            self.store.put(
                resource.table, {**waiting.body, "metadata": {**waiting.meta, "finalizers": rest}}, waiting.owners
            )

    def _delete_namespace(self, old: Record) -> tuple[Record, bool]:
        if old.meta["name"] in ("default", "kube-system", "kube-public"):
            raise forbidden("", "namespaces", old.meta["name"], "this namespace may not be deleted")
        body = {**old.body, "status": {**(old.body.get("status") or {}), "phase": "Terminating"}}
        marked = self._marked(NAMESPACES, Record(body, old.owners), 0)
        for table, record in list(self.store.every()):
            kind = self.registry.find(*table)
            inside = kind is not None and record.meta.get("namespace") == old.meta["name"]
            if kind is not None and inside and self.store.get(table, record.place) is not None:
                self.delete(kind, *record.place, {"propagationPolicy": "Background", "gracePeriodSeconds": 0})
        self._settle_namespaces()
        return marked, False

    def _settle_namespaces(self) -> None:
        """End what only waited for its content: terminating namespaces, and owners deleted in the foreground."""
        for (group, plural), record in list(self.store.every()):
            if not record.meta.get("deletionTimestamp"):
                continue
            if (group, plural) == NAMESPACES.table:
                name = record.meta["name"]
                if not record.meta.get("finalizers") and not any(
                    one.meta.get("namespace") == name for _, one in self.store.every()
                ):
                    self.store.drop(NAMESPACES.table, record.place)
            elif FOREGROUND in (record.meta.get("finalizers") or ()):
                resource = self.registry.find(group, plural)
                if resource is not None:
                    self._sweep(resource, record, delete=False)
                    now = self.store.get(resource.table, record.place)
                    if now is not None and not now.meta.get("finalizers"):
                        self._gone(resource, now, "Background")
