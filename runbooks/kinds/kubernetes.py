"""Checks objects of the cluster: rollouts, restarts, conditions, fields, images, and that something is not there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.integrations.kubernetes import Cluster, ObjectRef
from runbooks.images import judge_images
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
    "namespace": ("v1", "namespaces"),
    "replicaset": ("apps/v1", "replicasets"),
    "cronjob": ("batch/v1", "cronjobs"),
    "ingress": ("networking.k8s.io/v1", "ingresses"),
    "job": ("batch/v1", "jobs"),
    "peerauthentication": ("security.istio.io/v1", "peerauthentications"),
    "authorizationpolicy": ("security.istio.io/v1", "authorizationpolicies"),
    "destinationrule": ("networking.istio.io/v1", "destinationrules"),
    "virtualservice": ("networking.istio.io/v1", "virtualservices"),
}
ROLLS_OUT = ("deployment", "statefulset", "daemonset")
_MISSING = object()
_HOST = re.compile(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+(?::\d+)?|[A-Za-z0-9.-]+:\d+|localhost")
_ROLLING = ("ReplicaSetUpdated", "NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetCreated")


ASKED = ("rollout", "max_restarts", "field", "condition", "image", "image_pinned", "image_signed", "absent")
"""What can be asked of an object; each check asks one of these."""

_FIRST = (Outcome.FAIL, Outcome.ERROR, Outcome.NO_DATA, Outcome.INCONCLUSIVE, Outcome.PASS)


def look(ask: Ask) -> Finding:
    """FAIL when an object is not there or not so; INCONCLUSIVE while a rollout goes on; NO_DATA when it is not told.

    Of several objects the one that is worst is told. ERROR (Retry, GiveUp, ValueError) when the cluster, or for a
    signature the registry, does not tell.
    """
    cluster, spec = ask.looks.cluster, ask.spec
    if cluster is None:
        raise ValueError("Kubernetes is not configured: add a kubernetes: section to captain.yml")
    api_version, plural = _which(spec)
    namespace = spec.get("namespace", "")
    within = f" in {namespace}" if namespace else ""
    if "selector" in spec:
        objects = list(cluster.select(api_version, plural, namespace, spec["selector"]))
        what = f"{plural} with {spec['selector']}{within}"
    else:
        one = cluster.get(ObjectRef(api_version, plural, spec["object"], namespace))
        objects = [] if one is None else [one]
        what = f"{plural}/{spec['object']}{within}"
    if spec.get("absent"):
        names = ", ".join(_name(one) for one in objects[:5])
        told = f"{what} is there: {names}" if objects else f"{what} does not exist"
        return Finding(Outcome.FAIL if objects else Outcome.PASS, told, str(len(objects)), "0", "objects", len(objects))
    least = int(spec.get("min_objects", 1))
    if len(objects) < least:
        told = f"{what}: {len(objects)} of at least {least}" if objects or least > 1 else f"{what} does not exist"
        return Finding(Outcome.FAIL, told, str(len(objects)), f">= {least}", "objects", len(objects))
    findings = [_of_one(ask, cluster, f"{plural}/{_name(one)}{within}", one) for one in objects]
    worst = min(findings, key=lambda finding: _FIRST.index(finding.outcome))
    if "selector" not in spec:
        return worst
    bad = sum(finding.outcome is not Outcome.PASS for finding in findings)
    counted = f"{len(findings) - bad} of {len(findings)} are as they should be"
    return replace(worst, detail=f"{counted}; {worst.detail}", samples=len(findings))


def _which(spec: Mapping[str, Any]) -> tuple[str, str]:
    api_version, plural = KNOWN.get(spec["resource"], (spec.get("api_version", ""), spec["resource"]))
    return spec.get("api_version", api_version), plural


def _name(found: Mapping[str, Any]) -> str:
    return str((found.get("metadata") or {}).get("name", "?"))


def _of_one(ask: Ask, cluster: Cluster, where: str, found: Mapping[str, Any]) -> Finding:
    spec = ask.spec
    if spec.get("rollout"):
        return _rollout(where, spec["resource"], found)
    if "max_restarts" in spec:
        return _restarts(where, _pods(cluster, spec, found), spec["max_restarts"])
    if "condition" in spec:
        return _has_condition(where, found, spec["condition"])
    if "image" in spec or spec.get("image_pinned") or spec.get("image_signed"):
        return judge_images(ask, where, found)
    return _field(where, found, spec["field"], spec["equals"])


def _pods(cluster: Cluster, spec: Mapping[str, Any], found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The pods an object stands for: itself, or those that its selector picks."""
    if spec["resource"] not in ROLLS_OUT:
        return [found]
    selector = (found.get("spec") or {}).get("selector") or {}
    if selector.get("matchExpressions") or not selector.get("matchLabels"):
        raise ValueError("its selector is not one of labels alone; give resource: pod and a selector:")
    labels = ",".join(f"{key}={value}" for key, value in selector["matchLabels"].items())
    return list(cluster.select("v1", "pods", (found.get("metadata") or {}).get("namespace", ""), labels))


def _has_condition(where: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Finding:
    kind, status = str(wanted["type"]), _flag(wanted.get("status", "True"))
    held = _condition(found.get("status") or {}, kind)
    threshold = f"{kind}={status}"
    if not held or "status" not in held:
        return Finding(Outcome.NO_DATA, f"{where} has no condition {kind}", "", threshold)
    value = str(held["status"])
    why = " ".join(str(held[name]) for name in ("reason", "message") if held.get(name))
    told = f"{where}: {kind} is {value}" + (f" ({why[:200]})" if why else "")
    if value == "Unknown" and status != "Unknown":
        return Finding(Outcome.INCONCLUSIVE, told, value, threshold)
    return Finding(Outcome.PASS if value == status else Outcome.FAIL, told, value, threshold)


def _flag(value: Any) -> str:
    """A condition's status as Kubernetes writes it; YAML makes true a truth."""
    return str(value).capitalize()


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


def _restarts(where: str, pods: Sequence[Mapping[str, Any]], most: float) -> Finding:
    counts: dict[str, int] = {}
    for pod in pods:
        status = pod.get("status") or {}
        # A sidecar that starts before the others is told among those that prepare the pod.
        for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            name = str(one.get("name", "?")) if len(pods) == 1 else f"{_name(pod)}/{one.get('name', '?')}"
            counts[name] = int(one.get("restartCount", 0))
    if not counts:
        return Finding(Outcome.NO_DATA, f"{where} tells nothing of its containers", "", f"<= {most:g}", "restarts")
    total = sum(counts.values())
    shown = [f"{name} {n}" for name, n in sorted(counts.items(), key=lambda pair: -pair[1])[:5]]
    told = f"{where}: {total} restarts ({', '.join(shown)}{', …' if len(counts) > 5 else ''})"
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
    """The value at a dotted path; a number picks from a list, ``[type=Ready]`` the item of a list with that value.

    ``["app.kubernetes.io/name"]`` is a name that holds dots.
    """
    for step in re.findall(r"""\["[^"]*"\]|\[[^\]]*\]|[^.\[\]]+""", path):
        if step.startswith('["'):
            found = found.get(step[2:-2], _MISSING) if isinstance(found, Mapping) else _MISSING
        elif step.startswith("["):
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
    if ("object" in spec) == ("selector" in spec):
        yield "object", "give either object: or selector:"
    asked = [name for name in ASKED if name in spec and spec[name] is not False]
    if len(asked) != 1:
        yield "resource", f"give exactly one of {', '.join(ASKED)}, not {' and '.join(asked) or 'none'}"
    if "rollout" in asked and resource not in ROLLS_OUT:
        yield "rollout", f"only {', '.join(ROLLS_OUT)} roll out, not {resource}"
    if "max_restarts" in asked and resource not in ("pod", "pods", *ROLLS_OUT):
        yield "max_restarts", f"only a pod and what has pods counts restarts, not {resource}"
    if ("field" in spec) != ("equals" in spec):
        yield "field", "field: and equals: go together"
    if "condition" in spec and not ("type" in spec["condition"] and spec["condition"].keys() <= {"type", "status"}):
        yield "condition", "condition: takes type: and status: (True by default)"
    if "min_objects" in spec and "selector" not in spec:
        yield "min_objects", "min_objects: needs selector: beside it"
    yield from _judge_images(spec, asked)


def _judge_images(spec: Mapping[str, Any], asked: Sequence[str]) -> Iterator[tuple[str, str]]:
    images = {"image", "image_pinned", "image_signed"} & set(asked)
    if "container" in spec and not images:
        yield "container", "container: needs image:, image_pinned: or image_signed: beside it"
    if "registry_login" in spec and "image_signed" not in asked:
        yield "registry_login", "registry_login: needs image_signed: beside it"
    if ("registry_login" in spec) != ("registry" in spec):
        yield "registry_login", "registry_login: and registry:, the host whose login it is, go together"
    if "registry" in spec and not _HOST.fullmatch(spec["registry"]):
        yield "registry", f"registry must be a host such as ghcr.io or docker.io, not {spec['registry']!r}"


def _asks(spec: Mapping[str, Any]) -> str:
    what = f"-l {spec['selector']}" if "selector" in spec else spec.get("object", "")
    asked = next((name for name in ASKED if spec.get(name)), "")
    where = f" -n {spec['namespace']}" if "namespace" in spec else ""
    return f"{_which(spec)[1]} {what}{where}: {spec[asked] if asked == 'field' else asked}"


KIND = Kind(
    fields={
        "resource": Field(Shape.TEXT, required=True, about=f"{', '.join(KNOWN)}, or a plural with api_version:"),
        "api_version": Field(Shape.TEXT, about="group and version of a resource that is not known by name"),
        "object": Field(Shape.TEXT, about="name of the object"),
        "selector": Field(
            Shape.TEXT, about="labels such as app=docs instead of a name; every object they pick must be so"
        ),
        "min_objects": Field(Shape.NUMBER, about="how many objects selector: must pick; 1 by default"),
        "namespace": Field(Shape.TEXT, about="namespace of the object; none for what has none"),
        "rollout": Field(Shape.FLAG, about="true: every replica is updated and available"),
        "max_restarts": Field(
            Shape.NUMBER, about="restarts of all containers of the pod, or of all pods of it, at most"
        ),
        "field": Field(
            Shape.TEXT, about='dotted path; a number or [key=value] picks from a list, ["a.b/c"] is a name with dots'
        ),
        "equals": Field(Shape.ANY, about="the value the field must have"),
        "condition": Field(
            Shape.VALUES, about="type: and status: (True by default) of a condition in the object's status"
        ),
        "image": Field(Shape.TEXT, about="the image the container must have, letter by letter"),
        "image_pinned": Field(Shape.FLAG, about="true: every image is named by its digest (@sha256:…)"),
        "image_signed": Field(
            Shape.FLAG,
            about="true: the registry holds a signature for the digest of every image; whose it is and whether it "
            "verifies is for admission to say",
        ),
        "container": Field(Shape.TEXT, about="the container whose image is meant; every one by default"),
        "registry": Field(Shape.TEXT, about="the host that registry_login: is for; it is shown to no other"),
        "registry_login": Field(Shape.TEXT, secret=True, about="user:password for the registry, by reference"),
        "absent": Field(Shape.FLAG, about="true: there must be no such object; a namespace that is not there has none"),
    },
    look=look,
    judge=_judge,
    asks=_asks,
)
