"""What hangs below an object's name, and what is only asked and never stored: scale, eviction, log, token, reviews."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.integrations.kubernetes import fake_rbac
from bot.integrations.kubernetes.fake_kinds import Resource
from bot.integrations.kubernetes.fake_objects import Objects, Options
from bot.integrations.kubernetes.fake_patch import APPLY, patched
from bot.integrations.kubernetes.fake_rbac import Ask, User
from bot.integrations.kubernetes.fake_removal import stamp
from bot.integrations.kubernetes.fake_schema import ANY
from bot.integrations.kubernetes.fake_select import selects
from bot.integrations.kubernetes.fake_status import ApiError, bad_request, conflict, invalid, wrong
from bot.integrations.kubernetes.fake_store import Body, Record

Place = tuple[str, str]


def _path(body: Mapping[str, Any], path: str) -> Any:
    at: Any = body
    for part in filter(None, path.split(".")):
        at = at.get(part) if isinstance(at, Mapping) else None
    return at


def _with(body: Mapping[str, Any], path: list[str], value: Any) -> Body:
    if len(path) == 1:
        return {**body, path[0]: value}
    return {**body, path[0]: _with(body.get(path[0]) or {}, path[1:], value)}


def scale(resource: Resource, record: Record) -> Body:
    """The ``autoscaling/v1`` Scale of an object."""
    want, have, selector = resource.scale
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    meta = {key: record.meta[key] for key in kept if key in record.meta}
    labels = (_path(record.body, ".spec.selector") or {}) if not resource.custom else {}
    said = ",".join(f"{key}={value}" for key, value in (labels.get("matchLabels") or {}).items())
    said = said or (_path(record.body, selector) or "" if selector else "")
    status: Body = {"replicas": _path(record.body, have) or 0}
    if said:
        status["selector"] = said
    spec = {"replicas": _path(record.body, want) or 0}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": status}


def rescale(
    objects: Objects, resource: Resource, version: str, place: Place, kind: str, body: Any, how: Options
) -> Body:
    """PUT (``kind`` "") or PATCH of a Scale; answers the new one."""
    with objects.store.lock:
        old = objects.get(resource, *place)
        now = scale(resource, old)
        if kind == APPLY:
            return _apply_scale(objects, resource, version, place, body, how)
        if kind and isinstance(body, dict):
            stale = (body.get("metadata") or {}).get("resourceVersion")
            if stale not in (None, old.meta["resourceVersion"]):
                raise conflict(resource.group, resource.plural, place[1])
        new = patched(kind, now, body, ANY) if kind else body
        if not isinstance(new, dict) or new.get("kind", "Scale") != "Scale":
            raise bad_request("the object provided is not an autoscaling/v1 Scale")
        meta = new.get("metadata") or {}
        if meta.get("resourceVersion") not in (None, "", old.meta["resourceVersion"]):
            raise conflict(resource.group, resource.plural, place[1])
        wanted = _replicas(new, place[1])
        changed = _with(old.body, resource.scale[0].strip(".").split("."), wanted)
        changed["metadata"] = dict(old.meta)
        return scale(resource, objects.replace(resource, version, *place, changed, how, "scale"))


def _replicas(new: Mapping[str, Any], name: str) -> int:
    wanted = (new.get("spec") or {}).get("replicas", 0)
    if not isinstance(wanted, int) or isinstance(wanted, bool):
        raise bad_request(
            'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal into Go struct field '
            "ScaleSpec.spec.replicas of type int32"
        )
    if wanted < 0:
        raise invalid(
            "autoscaling", "Scale", name, [wrong("spec.replicas", str(wanted), "must be greater than or equal to 0")]
        )
    return wanted


def _apply_scale(objects: Objects, resource: Resource, version: str, place: Place, body: Any, how: Options) -> Body:
    wanted = _replicas(body if isinstance(body, dict) else {}, place[1])
    config = {"apiVersion": resource.api_version(version), "kind": resource.kind, "metadata": {"name": place[1]}}
    config = _with(config, resource.scale[0].strip(".").split("."), wanted)
    record, _ = objects.apply(resource, version, place, config, how, "scale")
    return scale(resource, record)


def evict(objects: Objects, pods: Resource, place: Place, body: Any, how: Options) -> Body:
    """Delete a pod unless a PodDisruptionBudget forbids it (429)."""
    if not isinstance(body, dict):
        raise bad_request("the object provided is not a policy/v1 Eviction")
    with objects.store.lock:
        pod = objects.get(pods, *place)
        budgets = objects.store.tables.get(("policy", "poddisruptionbudgets"), {})
        for (namespace, name), budget in budgets.items():
            selector = budget.body["spec"].get("selector") or {}
            if namespace != place[0] or not selects(selector, pod.meta.get("labels") or {}):
                continue
            needed, healthy = _budget(objects, pods, namespace, budget.body["spec"])
            if _ready(pod) and healthy - 1 < needed:
                text = f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently"
                cause = {"reason": "DisruptionBudget", "message": text}
                said = "Cannot evict pod as it would violate the pod's disruption budget."
                raise ApiError(429, "TooManyRequests", said, {"causes": [cause]})
        objects.delete(pods, *place, body.get("deleteOptions") or {}, dry_run=how.dry_run)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _ready(pod: Record) -> bool:
    conditions = (pod.body.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _budget(objects: Objects, pods: Resource, namespace: str, spec: Mapping[str, Any]) -> tuple[int, int]:
    """How many healthy pods the budget needs, and how many there are."""
    rows = objects.store.tables.get(pods.table, {}).values()
    chosen = [
        one
        for one in rows
        if one.meta.get("namespace") == namespace and selects(spec.get("selector") or {}, one.meta.get("labels") or {})
    ]
    healthy = sum(_ready(one) and not one.meta.get("deletionTimestamp") for one in chosen)
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if most is not None:
        return len(chosen) - share(most, len(chosen)), healthy
    return share(least if least is not None else 1, len(chosen)), healthy


def share(value: Any, whole: int, *, up: bool = True) -> int:
    """A number or a percentage of ``whole``, rounded up or down."""
    if isinstance(value, str) and value.endswith("%"):
        part = int(value[:-1]) * whole / 100
        return math.ceil(part) if up else math.floor(part)
    return int(value)


def log(objects: Objects, pods: Resource, place: Place, query: Mapping[str, str]) -> str | None:
    """A container's output; None while the pod has no node."""
    pod = objects.get(pods, *place)
    names = [one["name"] for one in pod.body["spec"]["containers"]]
    name = query.get("container") or (names[0] if len(names) == 1 else "")
    if not name:
        raise bad_request(f"a container name must be specified for pod {place[1]}, choose one of: {names}")
    if name not in names:
        raise bad_request(f"container {name} is not valid for pod {place[1]}")
    statuses = (pod.body.get("status") or {}).get("containerStatuses") or ()
    status = next((one for one in statuses if one.get("name") == name), None)
    if not pod.body["spec"].get("nodeName"):
        return None
    if status is None:
        return ""
    if not status.get("restartCount") and "waiting" in status["state"]:
        why = status["state"]["waiting"].get("reason", "ContainerCreating")
        raise bad_request(f'container "{name}" in pod "{place[1]}" is waiting to start: {why}')
    at = pod.body["status"].get("startTime", stamp())
    lines = [f"{at} starting {status['image']}"]
    if "broken" in status["image"]:
        lines.append(f"{at} fatal: {status['image']} exits with code 1 (restart {status.get('restartCount', 0)})")
    elif "running" in status["state"]:
        lines.append(f"{at} ready to serve")
    else:
        lines.append(f"{at} done")
    tail = query.get("tailLines")
    if tail is not None and tail.isdigit():
        lines = lines[len(lines) - min(int(tail), len(lines)) :]
    return "".join(f"{line}\n" for line in lines)


def token(objects: Objects, accounts: Resource, place: Place, body: Any, tokens: dict[str, User]) -> Body:
    """Mint a token for a service account."""
    account = objects.get(accounts, *place)
    spec = (body.get("spec") or {}) if isinstance(body, dict) else {}
    seconds = int(spec.get("expirationSeconds") or 3600)
    if seconds < 600:
        why = wrong("spec.expirationSeconds", str(seconds), "may not specify a duration less than 10 minutes")
        raise invalid("authentication.k8s.io", "TokenRequest", place[1], [why])
    made = "sa." + secrets.token_urlsafe(24)
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{place[0]}", "system:authenticated")
    tokens[made] = User(f"system:serviceaccount:{place[0]}:{place[1]}", groups, account.meta["uid"])
    ends = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    top = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
    meta = {"name": place[1], "namespace": place[0], "creationTimestamp": stamp()}
    status = {"token": made, "expirationTimestamp": ends}
    return {**top, "metadata": meta, "spec": {"audiences": [], **spec, "expirationSeconds": seconds}, "status": status}


def review(objects: Objects, resource: Resource, user: User, body: Any) -> Body:
    """A SelfSubjectAccessReview, SubjectAccessReview or SelfSubjectReview, answered."""
    spec = (body.get("spec") or {}) if isinstance(body, dict) else {}
    top = {"kind": resource.kind, "apiVersion": resource.api_version("v1"), "metadata": {"creationTimestamp": None}}
    if resource.plural == "selfsubjectreviews":
        info = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
        return {**top, "status": {"userInfo": {key: value for key, value in info.items() if value}}}
    who = user
    if resource.plural == "subjectaccessreviews":
        if not spec.get("user") and not spec.get("groups"):
            why = wrong("spec.user", '""', "at least one of user or group must be specified")
            raise invalid(resource.group, resource.kind, "", [why])
        who = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
    wants: Body = spec.get("resourceAttributes") or {}
    path: Body = spec.get("nonResourceAttributes") or {}
    if bool(wants) == bool(path):
        why = wrong(
            "spec.resourceAttributes",
            "null",
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )
        raise invalid(resource.group, resource.kind, "", [why])
    if path:
        ask = Ask(path.get("verb", ""), path=path.get("path", ""))
    else:
        sub = wants.get("subresource", "")
        what = (
            wants.get("group", ""),
            wants.get("resource", ""),
            sub,
            wants.get("namespace", ""),
            wants.get("name", ""),
        )
        ask = Ask(wants.get("verb", ""), *what)
    why_not = fake_rbac.allowed(objects.store, who, ask)
    status: Body = {"allowed": bool(why_not)}
    if why_not:
        status["reason"] = why_not
    return {**top, "spec": spec, "status": status}
