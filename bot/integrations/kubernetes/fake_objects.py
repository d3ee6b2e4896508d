"""Writing objects as the API server does: decode, default, check, own, version, finalize, and collect what nobody owns."""

from __future__ import annotations

import copy
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.integrations.kubernetes import fake_fields
from bot.integrations.kubernetes.fake_checks import causes
from bot.integrations.kubernetes.fake_defaults import fill
from bot.integrations.kubernetes.fake_fields import Ownership
from bot.integrations.kubernetes.fake_kinds import CRDS, NAMESPACES, Resource
from bot.integrations.kubernetes.fake_patch import JSON_PATCH, patched
from bot.integrations.kubernetes.fake_removal import Removal, stamp
from bot.integrations.kubernetes.fake_schema import Node, misfit, prune, unknown
from bot.integrations.kubernetes.fake_status import (
    ApiError,
    Cause,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
    required,
    wrong,
)
from bot.integrations.kubernetes.fake_store import Body, Record

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_LOCKED_UPDATE = ("leases", "customresourcedefinitions", "poddisruptionbudgets")  # PUT needs a resourceVersion
_SYSTEM_META = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def suffix(length: int = 5) -> str:
    """What is put after a generateName."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


@dataclass(frozen=True)
class Options:
    """How to write. ``validation`` is Strict, Warn or Ignore; ``warnings`` collects what Warn says."""

    manager: str = "unknown"
    named: bool = False  # the caller gave fieldManager itself
    dry_run: bool = False
    validation: str = "Warn"
    force: bool = False
    warnings: list[str] = field(default_factory=list)


class Objects(Removal):
    """The objects of a cluster, changed only through the rules of the API server. Errors are ApiError."""

    # Writing

    def create(self, resource: Resource, version: str, namespace: str, body: Any, how: Options) -> Record:
        body = self._decoded(resource, version, body, how)
        meta = body["metadata"]
        self._same_namespace(resource, namespace, meta)
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + suffix()
        with self.store.lock:
            self._namespace_open(resource, namespace, meta.get("name", ""))
            if meta.get("resourceVersion"):
                raise bad_request("resourceVersion should not be set on objects to be created")
            if meta.get("name") and self.store.get(resource.table, (namespace, meta["name"])):
                raise already_exists(resource.group, resource.plural, meta["name"])
            body = self._born(resource, body, namespace)
            self._check(resource, version, body, None)
            node = resource.node(version)
            writer = self._writer(resource, version, how, "Update")
            owners = fake_fields.updated((), {}, fake_fields.leaves(body, node), writer)
            return self._commit(resource, body, owners, how)

    def replace(
        self, resource: Resource, version: str, namespace: str, name: str, body: Any, how: Options, sub: str = ""
    ) -> Record:
        body = self._decoded(resource, version, body, how)
        with self.store.lock:
            old = self.get(resource, namespace, name)
            self._same_name(resource, namespace, name, body["metadata"])
            if not body["metadata"].get("resourceVersion") and (resource.custom or resource.plural in _LOCKED_UPDATE):
                why = wrong("metadata.resourceVersion", "0", "must be specified for an update")
                raise invalid(resource.group, resource.kind, name, [why])
            return self._update(resource, version, old, body, how, sub)

    def patch(
        self,
        resource: Resource,
        version: str,
        place: tuple[str, str],
        kind: str,
        patch: Any,
        how: Options,
        sub: str = "",
    ) -> Record:
        """A JSON, merge or strategic patch; ``kind`` is its media type."""
        node = resource.node(version)
        with self.store.lock:
            old = self.get(resource, *place)
            shown = {"apiVersion": resource.api_version(version), "kind": resource.kind, **old.body}
            if kind != JSON_PATCH and isinstance(patch, dict):
                meta = patch.get("metadata")
                if isinstance(meta, dict) and meta.get("resourceVersion") not in (None, old.meta["resourceVersion"]):
                    raise conflict(resource.group, resource.plural, place[1])
            out = patched(kind, shown, patch, node)
            found = [] if how.validation == "Ignore" else list(unknown(out, node))
            if found and how.validation == "Strict":
                said = f"strict decoding error: {', '.join(f'unknown field {json.dumps(one)}' for one in found)}"
                raise invalid("", "", "", [wrong("patch", json.dumps(json.dumps(out)), said)])
            how.warnings.extend(f'unknown field "{one}"' for one in found)
            misfits = None if resource.custom else misfit(out, node)
            if misfits:
                raise invalid("", "", "", [wrong("patch", json.dumps(json.dumps(out)), misfits)])
            body = prune(copy.deepcopy(out), node)
            self._same_name(resource, *place, body.setdefault("metadata", {}))
            return self._update(resource, version, old, body, how, sub)

    def apply(
        self, resource: Resource, version: str, place: tuple[str, str], config: Any, how: Options, sub: str = ""
    ) -> tuple[Record, bool]:
        """Server-side apply; the record and whether it is new."""
        if not how.named:
            missing = required("fieldManager", "is required for apply patch")
            raise invalid("meta.k8s.io", "PatchOptions", "", [missing])
        node = resource.node(version)
        config = self._config(resource, version, place, config, node)
        with self.store.lock:
            old = self.store.get(resource.table, place)
            stale = config["metadata"].get("resourceVersion")
            if stale and (old is None or old.meta["resourceVersion"] != stale):
                raise conflict(resource.group, resource.plural, place[1])
            writer = self._writer(resource, version, how, "Apply", sub)
            if old is None:
                if sub:
                    raise not_found(resource.group, resource.plural, place[1])
                if config["metadata"].get("uid"):
                    # Who names an object's uid means that very one: it is not made anew.
                    said = f"uid mismatch: the provided object specified uid {config['metadata']['uid']}, and no existing object was found"
                    raise conflict(resource.group, resource.plural, place[1], said)
                self._namespace_open(resource, *place)
                body = self._born(resource, prune(copy.deepcopy(config), node), place[0])
                self._check(resource, version, body, None)
                if resource.has_status:
                    config = {key: value for key, value in config.items() if key != "status"}
                owner = Ownership(**{**vars(writer), "fields": frozenset(fake_fields.leaves(config, node))})
                return self._commit(resource, body, (owner,) if owner.fields else (), how), True
            config = self._part(resource, config, sub)
            merged, owners = fake_fields.apply(old.body, old.owners, config, node, writer, force=how.force)
            merged["metadata"] = {**merged["metadata"], "resourceVersion": old.meta["resourceVersion"]}
            body = prune(copy.deepcopy(merged), node)
            return self._update(resource, version, old, body, how, sub, owners), False

    def _part(self, resource: Resource, config: Body, sub: str) -> Body:
        """What of an applied configuration the endpoint takes: status below /status, everything else without it."""
        if sub == "status":
            return {key: value for key, value in config.items() if key in ("apiVersion", "kind", "status")}
        if resource.has_status:
            return {key: value for key, value in config.items() if key != "status"}
        return config

    def _config(self, resource: Resource, version: str, place: tuple[str, str], config: Any, node: Node) -> Body:
        if not isinstance(config, dict):
            raise bad_request("error decoding YAML: the configuration is not an object")
        want = resource.api_version(version)
        if config.get("apiVersion") != want or config.get("kind") != resource.kind:
            got = f"{config.get('apiVersion', '')}, Kind={config.get('kind', '')}"
            raise bad_request(f"the applied object is {got}, the endpoint serves {want}, Kind={resource.kind}")
        body: Body = {**config, "metadata": dict(config.get("metadata") or {})}
        if body["metadata"].get("managedFields") is not None:
            raise bad_request("metadata.managedFields must be nil")
        self._same_name(resource, *place, body["metadata"])
        found = list(unknown(body, node))
        if found:
            lines = [f".{one}: field not declared in schema" for one in found]
            said = lines[0] if len(lines) == 1 else "errors:\n  " + "\n  ".join(lines)
            where = f"{place[0]}/{place[1]}; {want}, Kind={resource.kind}"
            raise ApiError(500, "InternalError", f"failed to create typed patch object ({where}): {said}")
        misfits = None if resource.custom else misfit(body, node)
        if misfits:
            raise bad_request(
                f'{resource.kind} in version "{version}" cannot be handled as a {resource.kind}: {misfits}'
            )
        return body

    # The rules

    def _decoded(self, resource: Resource, version: str, body: Any, how: Options) -> Body:
        if not isinstance(body, dict):
            raise bad_request("the object provided is unrecognized (must be of type object)")
        want = resource.api_version(version)
        if resource.custom and not body.get("kind"):
            raise bad_request(f"Object 'Kind' is missing in '{json.dumps(body)}'")
        if body.get("apiVersion") not in (None, want) or body.get("kind") not in (None, resource.kind):
            got = f"{body.get('apiVersion')}, Kind={body.get('kind')}"
            text = f"the API version in the data ({got}) does not match the expected API version ({want}, Kind={resource.kind})"
            raise bad_request(text)
        node = resource.node(version)
        where = f'{resource.kind} in version "{version}" cannot be handled as a {resource.kind}'
        said = None if resource.custom else misfit(body, node)
        if said:
            raise bad_request(f"{where}: {said}")
        found = [] if how.validation == "Ignore" else list(unknown(body, node))
        if found and how.validation == "Strict":
            listed = ", ".join(f'unknown field "{one}"' for one in found)
            raise bad_request(f"{where}: strict decoding error: {listed}")
        how.warnings.extend(f'unknown field "{one}"' for one in found)
        out: Body = prune(copy.deepcopy(body), node)
        out.setdefault("metadata", {})
        return out

    def _same_namespace(self, resource: Resource, namespace: str, meta: Body) -> None:
        if resource.namespaced and meta.setdefault("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")

    def _same_name(self, resource: Resource, namespace: str, name: str, meta: Body) -> None:
        if meta.setdefault("name", name) != name:
            text = f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
            raise bad_request(text)
        self._same_namespace(resource, namespace, meta)

    def _namespace_open(self, resource: Resource, namespace: str, name: str) -> None:
        if not resource.namespaced:
            return
        found = self.store.get(NAMESPACES.table, ("", namespace))
        if found is None:
            raise not_found("", "namespaces", namespace)
        if found.meta.get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise forbidden(resource.group, resource.plural, name, why)

    def _born(self, resource: Resource, body: Body, namespace: str) -> Body:
        """The object as it is first stored."""
        body = {key: value for key, value in body.items() if key not in ("apiVersion", "kind")}
        meta = {key: value for key, value in body["metadata"].items() if key not in (*_SYSTEM_META, "managedFields")}
        meta.pop("resourceVersion", None)
        if not resource.namespaced:
            meta.pop("namespace", None)
        elif namespace:
            meta["namespace"] = namespace
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": stamp()}
        if resource.generation:
            meta["generation"] = 1
        body["metadata"] = meta
        if resource.has_status:
            body.pop("status", None)
        if not resource.custom:
            fill(resource.plural, body)
        if resource.table == CRDS.table:
            body["status"] = established(body)
        return body

    def _check(self, resource: Resource, version: str, body: Body, before: Record | None) -> None:
        wrongs: list[Cause] = causes(resource, version, body, before.body if before else None)
        if wrongs:
            name = body["metadata"].get("name", "")
            raise invalid(resource.group, resource.kind, name, wrongs)

    def _writer(self, resource: Resource, version: str, how: Options, operation: str, sub: str = "") -> Ownership:
        return Ownership(how.manager, operation, resource.api_version(version), stamp(), sub, frozenset())

    def _update(
        self,
        resource: Resource,
        version: str,
        old: Record,
        body: Body,
        how: Options,
        sub: str = "",
        owners: tuple[Ownership, ...] | None = None,
    ) -> Record:
        meta = body["metadata"]
        if meta.get("resourceVersion") not in (None, "", old.meta["resourceVersion"]):
            raise conflict(resource.group, resource.plural, old.meta["name"])
        if meta.get("uid") not in (None, "", old.meta["uid"]):
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {old.meta['uid']}"
            raise conflict(resource.group, resource.plural, old.meta["name"], why)
        body = self._kept(resource, old, body, sub)
        if not resource.custom and not sub:
            fill(resource.plural, body)
        if resource.generation and _desired(resource, body) != _desired(resource, old.body):
            body["metadata"]["generation"] = old.meta.get("generation", 1) + 1
        self._check(resource, version, body, old)
        if owners is None:
            node = resource.node(version)
            writer = self._writer(resource, version, how, "Update", sub)
            before, after = fake_fields.leaves(old.body, node), fake_fields.leaves(body, node)
            owners = fake_fields.updated(old.owners, before, after, writer)
        if body == old.body and owners == old.owners:
            return old
        return self._commit(resource, body, owners, how)

    def _kept(self, resource: Resource, old: Record, body: Body, sub: str) -> Body:
        """The new body with what this endpoint may not change taken from the old one."""
        if sub == "status":
            return {**old.body, "status": body.get("status", {}), "metadata": dict(old.meta)}
        meta = {key: value for key, value in body["metadata"].items() if key not in (*_SYSTEM_META, "managedFields")}
        meta |= {key: old.meta[key] for key in (*_SYSTEM_META, "resourceVersion") if key in old.meta}
        kept = {key: value for key, value in body.items() if key not in ("apiVersion", "kind")}
        kept["metadata"] = meta
        if resource.has_status:
            kept.pop("status", None)
            if "status" in old.body:
                kept["status"] = old.body["status"]
        if resource.plural == "services" and not resource.custom:
            for key in ("clusterIP", "clusterIPs"):
                if key in old.body["spec"]:
                    kept.setdefault("spec", {}).setdefault(key, old.body["spec"][key])
        return kept

    def _commit(self, resource: Resource, body: Body, owners: tuple[Ownership, ...], how: Options) -> Record:
        if how.dry_run:
            return Record(body, owners)
        meta = body["metadata"]
        record = self.store.put(resource.table, body, owners)
        held = resource.table == NAMESPACES.table or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds")
        if meta.get("deletionTimestamp") and not held:
            self._gone(resource, record, "Background")
        self._settle_namespaces()
        return record


def _desired(resource: Resource, body: Body) -> Body:
    """What ``metadata.generation`` counts the changes of."""
    if resource.custom:
        return {key: value for key, value in body.items() if key not in ("metadata", "status")}
    return {"spec": body.get("spec")}


def established(crd: Mapping[str, Any]) -> Body:
    """The status of a definition that has just been taken in."""
    spec = crd["spec"]
    now = stamp()
    said = [
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    conditions = [
        {"type": kind, "status": "True", "reason": why, "message": text, "lastTransitionTime": now}
        for kind, why, text in said
    ]
    stored = [one["name"] for one in spec.get("versions") or () if one.get("storage")]
    return {"conditions": conditions, "acceptedNames": spec.get("names", {}), "storedVersions": stored}
