"""Checks an object of the cluster: a rollout that is complete, restarts that are few, a field that holds a value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bot.integrations.kubernetes import ObjectRef
from runbooks.kind import Ask, Field, Kind, Shape
from runbooks.verdict import Finding, Outcome

KNOWN = {
    "deployment": ("apps/v1", "deployments"),
    "statefulset": ("apps/v1", "statefulsets"),
    "daemonset": ("apps/v1", "daemonsets"),
    "pod": ("v1", "pods"),
    "service": ("v1", "services"),
    "configmap": ("v1", "configmaps"),
    "node": ("v1", "nodes"),
    "job": ("batch/v1", "jobs"),
    "peerauthentication": ("security.istio.io/v1", "peerauthentications"),
    "authorizationpolicy": ("security.istio.io/v1", "authorizationpolicies"),
    "destinationrule": ("networking.istio.io/v1", "destinationrules"),
    "virtualservice": ("networking.istio.io/v1", "virtualservices"),
}
ROLLS_OUT = ("deployment", "statefulset", "daemonset")
_MISSING = object()
_ROLLING = ("ReplicaSetUpdated", "NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetCreated")


def look(ask: Ask) -> Finding:
    """FAIL when the object is not there or not so; INCONCLUSIVE while a rollout goes on; NO_DATA when the field is not told."""
    cluster, spec = ask.looks.cluster, ask.spec
    if cluster is None:
        raise ValueError("Kubernetes is not configured: add a kubernetes: section to captain.yml")
    api_version, plural = KNOWN.get(spec["resource"], (spec.get("api_version", ""), spec["resource"]))
    ref = ObjectRef(spec.get("api_version", api_version), plural, spec["object"], spec.get("namespace", ""))
    found = cluster.get(ref)
    where = f"{plural}/{ref.name}" + (f" in {ref.namespace}" if ref.namespace else "")
    if found is None:
        return Finding(Outcome.FAIL, f"{where} does not exist")
    if spec.get("rollout"):
        return _rollout(where, spec["resource"], found)
    if "max_restarts" in spec:
        return _restarts(where, found, spec["max_restarts"])
    return _field(where, found, spec["field"], spec["equals"])


def _rollout(where: str, resource: str, found: Mapping[str, Any]) -> Finding:
    spec, status = found.get("spec", {}), found.get("status") or {}
    if not status:
        return Finding(Outcome.NO_DATA, f"{where} has no status yet")
    wanted, updated, available = _counts(resource, spec, status)
    value, threshold = f"{available} of {wanted}", f"{wanted} updated and available"
    told = f"{where}: {updated} updated and {available} available of {wanted}"

    outcome, why = _progress(resource, found, wanted, updated, available)
    return Finding(outcome, told + why, value, threshold, "replicas", wanted)


def _progress(
    resource: str, found: Mapping[str, Any], wanted: int, updated: int, available: int
) -> tuple[Outcome, str]:
    """How far a rollout is, and what keeps it."""
    spec, status = found.get("spec", {}), found["status"]
    reason = _condition(status, "Progressing").get("reason")
    behind = updated < wanted or (resource == "deployment" and int(status.get("replicas", 0)) > wanted)
    going_on = reason in _ROLLING if resource == "deployment" else behind
    if int(status.get("observedGeneration", 0)) < int(found.get("metadata", {}).get("generation", 0)):
        verdict = (Outcome.INCONCLUSIVE, "; the controller has not seen the newest change yet")
    elif reason == "ProgressDeadlineExceeded":
        verdict = (Outcome.FAIL, "; the rollout exceeded its deadline")
    elif behind and spec.get("paused"):
        verdict = (Outcome.INCONCLUSIVE, "; the rollout is paused")
    elif (behind or available < wanted) and going_on:
        verdict = (Outcome.INCONCLUSIVE, "; it is rolling out")
    else:
        verdict = (Outcome.FAIL if behind or available < wanted else Outcome.PASS, "")
    return verdict


def _counts(resource: str, spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[int, int, int]:
    """(wanted, updated, available); Kubernetes leaves a zero out."""
    if resource == "daemonset":
        names = ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable")
        wanted, updated, available = (int(status.get(name, 0)) for name in names)
        return wanted, updated, available
    wanted = int(spec.get("replicas", 1))
    return wanted, int(status.get("updatedReplicas", 0)), int(status.get("availableReplicas", 0))


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((c for c in status.get("conditions") or () if c.get("type") == kind), {})


def _restarts(where: str, found: Mapping[str, Any], most: float) -> Finding:
    containers = (found.get("status") or {}).get("containerStatuses")
    if not containers:
        return Finding(Outcome.NO_DATA, f"{where} tells nothing of its containers", "", f"<= {most:g}", "restarts")
    counts = {c.get("name", "?"): int(c.get("restartCount", 0)) for c in containers}
    total = sum(counts.values())
    told = f"{where}: {total} restarts ({', '.join(f'{name} {n}' for name, n in counts.items())})"
    outcome = Outcome.PASS if total <= most else Outcome.FAIL
    return Finding(outcome, told, str(total), f"<= {most:g}", "restarts", len(counts))


def _field(where: str, found: Mapping[str, Any], path: str, wanted: Any) -> Finding:
    value = pick(found, path)
    threshold = f"== {_shown(wanted)}"
    if value is _MISSING:
        return Finding(Outcome.NO_DATA, f"{where} has no {path}", "", threshold)
    same = value == wanted or _shown(value) == _shown(wanted)
    told = f"{where}: {path} is {_shown(value)}" + ("" if same else f", not {_shown(wanted)}")
    return Finding(Outcome.PASS if same else Outcome.FAIL, told, _shown(value), threshold)


def pick(found: Any, path: str) -> Any:
    """The value at a dotted path; a number picks from a list, ``[type=Ready]`` the item of a list with that value."""
    for step in re.findall(r"\[[^\]]*\]|[^.\[\]]+", path):
        if step.startswith("["):
            key, _, wanted = step[1:-1].partition("=")
            items = found if isinstance(found, list) else []
            found = next((i for i in items if isinstance(i, Mapping) and str(i.get(key)) == wanted), _MISSING)
        elif isinstance(found, list):
            found = found[int(step)] if step.isdigit() and int(step) < len(found) else _MISSING
        else:
            found = found.get(step, _MISSING) if isinstance(found, Mapping) else _MISSING
    return found


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _judge(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    resource = spec["resource"]
    if resource not in KNOWN and "api_version" not in spec:
        yield "resource", f"'{resource}' is not known by name ({', '.join(KNOWN)}); give api_version: and its plural"
    asked = [name for name in ("rollout", "max_restarts", "field") if name in spec and spec[name] is not False]
    if len(asked) != 1:
        yield "resource", f"give exactly one of rollout, max_restarts and field, not {' and '.join(asked) or 'none'}"
    if "rollout" in asked and resource not in ROLLS_OUT:
        yield "rollout", f"only {', '.join(ROLLS_OUT)} roll out, not {resource}"
    if "max_restarts" in asked and resource not in ("pod", "pods"):
        yield "max_restarts", f"only a pod counts restarts, not {resource}"
    if ("field" in spec) != ("equals" in spec):
        yield "field", "field: and equals: go together"


KIND = Kind(
    fields={
        "resource": Field(Shape.TEXT, required=True),
        "api_version": Field(Shape.TEXT),
        "object": Field(Shape.TEXT, required=True),
        "namespace": Field(Shape.TEXT),
        "rollout": Field(Shape.FLAG),
        "max_restarts": Field(Shape.NUMBER),
        "field": Field(Shape.TEXT),
        "equals": Field(Shape.ANY),
    },
    look=look,
    judge=_judge,
)
