"""What the API server refuses about an object before it stores it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bot.integrations.kubernetes.fake_defaults import pod_specs
from bot.integrations.kubernetes.fake_kinds import Resource
from bot.integrations.kubernetes.fake_schema import problems
from bot.integrations.kubernetes.fake_select import selects
from bot.integrations.kubernetes.fake_status import Cause, required, wrong

Body = Mapping[str, Any]

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NOT_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', "
    f"regex used for validation is '{_SUBDOMAIN}')"
)
_NOT_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
    f"regex used for validation is '{_LABEL}')"
)
_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_QUALIFIED = re.compile(r"^([a-z0-9.-]{1,253}/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$")
_IMMUTABLE = "field is immutable"
_RBAC = "rbac.authorization.k8s.io"


def causes(resource: Resource, version: str, body: Body, before: Body | None) -> list[Cause]:
    """Everything wrong with an object that is to be stored; empty when it may be."""
    found = list(_metadata(resource, body, before))
    if resource.custom:
        shape = {key: value for key, value in body.items() if key != "metadata"}
        found += problems(shape, resource.node(version))
    else:
        found += _BY_PLURAL.get(resource.plural, _nothing)(body, before)
    return found


def _nothing(_body: Body, _before: Body | None) -> Iterator[Cause]:
    return iter(())


def _metadata(resource: Resource, body: Body, before: Body | None) -> Iterator[Cause]:
    meta = body["metadata"]
    name = meta.get("name")
    loose = resource.group == _RBAC
    narrow = resource.plural in ("namespaces", "services")
    pattern, said = (_LABEL, _NOT_LABEL) if narrow else (_SUBDOMAIN, _NOT_SUBDOMAIN)
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif not loose and not re.fullmatch(pattern, name):
        yield wrong("metadata.name", json.dumps(name), said)
    elif len(name) > (63 if narrow else 253):
        yield Cause(
            "FieldValueTooLong", f"Too long: may not be more than {63 if narrow else 253} bytes", "metadata.name"
        )
    yield from _labels(meta.get("labels") or {}, "metadata.labels")
    for key, value in (meta.get("annotations") or {}).items():
        if not isinstance(value, str):
            yield wrong(f"metadata.annotations[{key}]", json.dumps(value), "must be a string")
    if before is not None and before["metadata"].get("deletionTimestamp"):
        new = set(meta.get("finalizers") or ()) - set(before["metadata"].get("finalizers") or ())
        if new:
            text = "Forbidden: no new finalizers can be added if the object is being deleted"
            yield Cause("FieldValueForbidden", f"{text}, found new finalizers {sorted(new)}", "metadata.finalizers")


def _labels(labels: Body, path: str) -> Iterator[Cause]:
    for key, value in labels.items():
        if not _QUALIFIED.match(key):
            yield wrong(path, json.dumps(key), "name part must consist of alphanumeric characters, '-', '_' or '.'")
        if not isinstance(value, str) or len(value) > 63 or not _VALUE.match(value):
            text = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"
            yield wrong(path, json.dumps(value), text)


def _pod_spec(path: str, spec: Body) -> Iterator[Cause]:
    containers = spec.get("containers") or []
    if not containers:
        yield required(f"{path}.containers")
    seen: set[str] = set()
    for i, container in enumerate(containers):
        at = f"{path}.containers[{i}]"
        if not container.get("name"):
            yield required(f"{at}.name")
        elif container["name"] in seen:
            yield Cause("FieldValueDuplicate", f"Duplicate value: {json.dumps(container['name'])}", f"{at}.name")
        seen.add(container.get("name", ""))
        if not container.get("image"):
            yield required(f"{at}.image")
        for j, mount in enumerate(container.get("volumeMounts") or ()):
            if mount.get("name") not in {one.get("name") for one in spec.get("volumes") or ()}:
                text = f"Not found: {json.dumps(mount.get('name'))}"
                yield Cause("FieldValueNotFound", text, f"{at}.volumeMounts[{j}].name")
        for j, port in enumerate(container.get("ports") or ()):
            if not 0 < port.get("containerPort", 0) < 65536:
                yield wrong(
                    f"{at}.ports[{j}].containerPort",
                    str(port.get("containerPort", 0)),
                    "must be between 1 and 65535, inclusive",
                )
    policy = spec.get("restartPolicy")
    if policy not in ("Always", "OnFailure", "Never"):
        known = '"Always", "OnFailure", "Never"'
        text = f"Unsupported value: {json.dumps(policy)}: supported values: {known}"
        yield Cause("FieldValueNotSupported", text, f"{path}.restartPolicy")


def _not_negative(body: Body, path: str, names: tuple[str, ...]) -> Iterator[Cause]:
    for name in names:
        value = body.get(name)
        if isinstance(value, int) and value < 0:
            yield wrong(f"{path}.{name}", str(value), "must be greater than or equal to 0")


def _workload(body: Body, before: Body | None) -> Iterator[Cause]:
    spec = body.get("spec") or {}
    yield from _not_negative(spec, "spec", ("replicas", "minReadySeconds", "revisionHistoryLimit"))
    selector = spec.get("selector")
    if not selector:
        yield required("spec.selector")
    if not isinstance(spec.get("template"), dict):
        yield required("spec.template")
    for path, meta, pod in pod_specs(dict(body)):
        labels = meta.get("labels") or {}
        yield from _labels(labels, f"{path}.metadata.labels")
        yield from _pod_spec(f"{path}.spec", pod)
        if selector and not selects(selector, labels):
            text = "`selector` does not match template `labels`"
            yield wrong(f"{path}.metadata.labels", json.dumps(labels), text)
        if pod.get("restartPolicy") not in (None, "Always"):
            text = f'Unsupported value: {json.dumps(pod["restartPolicy"])}: supported values: "Always"'
            yield Cause("FieldValueNotSupported", text, f"{path}.spec.restartPolicy")
    if before is not None and before["spec"].get("selector") != selector:
        yield wrong("spec.selector", json.dumps(selector), _IMMUTABLE)


def _deployment(body: Body, before: Body | None) -> Iterator[Cause]:
    yield from _workload(body, before)
    spec = body.get("spec") or {}
    strategy = spec.get("strategy") or {}
    if strategy.get("type") not in ("RollingUpdate", "Recreate"):
        text = f'Unsupported value: {json.dumps(strategy.get("type"))}: supported values: "Recreate", "RollingUpdate"'
        yield Cause("FieldValueNotSupported", text, "spec.strategy.type")
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate"):
        text = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        yield Cause("FieldValueForbidden", text, "spec.strategy.rollingUpdate")
    rolling = strategy.get("rollingUpdate") or {}
    if rolling and all(rolling.get(one) in (0, "0%") for one in ("maxSurge", "maxUnavailable")):
        yield wrong("spec.strategy.rollingUpdate.maxUnavailable", "0", "may not be 0 when `maxSurge` is 0")
    if spec.get("progressDeadlineSeconds", 600) <= spec.get("minReadySeconds", 0):
        said = str(spec["progressDeadlineSeconds"])
        yield wrong("spec.progressDeadlineSeconds", said, "must be greater than minReadySeconds")


def _stateful_set(body: Body, before: Body | None) -> Iterator[Cause]:
    yield from _workload(body, before)
    fixed = ("serviceName", "podManagementPolicy", "volumeClaimTemplates")
    if before is not None and any(before["spec"].get(one) != (body.get("spec") or {}).get(one) for one in fixed):
        text = (
            "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
            "are forbidden"
        )
        yield Cause("FieldValueForbidden", text, "spec")


def _job(body: Body, before: Body | None) -> Iterator[Cause]:
    spec = body.get("spec") or {}
    yield from _not_negative(spec, "spec", ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds"))
    if not isinstance(spec.get("template"), dict):
        yield required("spec.template")
    for path, _, pod in pod_specs(dict(body)):
        if pod.get("restartPolicy") not in ("OnFailure", "Never"):
            text = 'Required value: valid values: "OnFailure", "Never"'
            yield Cause("FieldValueRequired", text, f"{path}.spec.restartPolicy")
        yield from _pod_spec(f"{path}.spec", {**pod, "restartPolicy": "Never"})
    if before is not None:
        for name in ("template", "selector", "completions", "completionMode"):
            if before["spec"].get(name) != spec.get(name):
                yield wrong(f"spec.{name}", json.dumps(spec.get(name)), _IMMUTABLE)


def _cron_job(body: Body, _before: Body | None) -> Iterator[Cause]:
    spec = body.get("spec") or {}
    schedule = spec.get("schedule") or ""
    if not schedule:
        yield required("spec.schedule")
    elif not re.fullmatch(r"@(yearly|annually|monthly|weekly|daily|midnight|hourly)|@every \S+|\S+( \S+){4}", schedule):
        text = f"expected exactly 5 fields, found {len(schedule.split())}: [{schedule}]"
        yield wrong("spec.schedule", json.dumps(schedule), text)
    if spec.get("concurrencyPolicy") not in ("Allow", "Forbid", "Replace"):
        known = '"Allow", "Forbid", "Replace"'
        text = f"Unsupported value: {json.dumps(spec.get('concurrencyPolicy'))}: supported values: {known}"
        yield Cause("FieldValueNotSupported", text, "spec.concurrencyPolicy")
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    for cause in _job({"spec": job}, None):
        yield Cause(cause.reason, cause.message, f"spec.jobTemplate.{cause.field}")


def _pod(body: Body, before: Body | None) -> Iterator[Cause]:
    spec = body.get("spec") or {}
    yield from _pod_spec("spec", spec)
    if before is None:
        return
    loose = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "nodeName", "schedulingGates")

    def fixed(one: Mapping[str, Any]) -> dict[str, Any]:
        rest = {key: value for key, value in one.items() if key not in loose}
        named = ("containers", "initContainers")
        return {k: [{**c, "image": ""} for c in v] if k in named else v for k, v in rest.items()}

    if fixed(spec) != fixed(before["spec"]):
        text = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
            "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
            "(allow it to be set to 1 if it was previously negative)"
        )
        yield Cause("FieldValueForbidden", text, "spec")


def _service(body: Body, before: Body | None) -> Iterator[Cause]:
    spec = body.get("spec") or {}
    kind = spec.get("type")
    if kind not in ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"):
        known = '"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
        yield Cause(
            "FieldValueNotSupported", f"Unsupported value: {json.dumps(kind)}: supported values: {known}", "spec.type"
        )
    ports = spec.get("ports") or []
    if not ports and kind != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    for i, port in enumerate(ports):
        if not 0 < port.get("port", 0) < 65536:
            yield wrong(f"spec.ports[{i}].port", str(port.get("port", 0)), "must be between 1 and 65535, inclusive")
        if len(ports) > 1 and not port.get("name"):
            yield required(f"spec.ports[{i}].name")
    if before is not None and before["spec"].get("clusterIP") not in (None, "", spec.get("clusterIP")):
        yield wrong("spec.clusterIPs[0]", json.dumps([spec.get("clusterIP")]), "may not change once set")


def _config(body: Body, before: Body | None) -> Iterator[Cause]:
    for key in [*(body.get("data") or {}), *(body.get("binaryData") or {})]:
        if not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key):
            text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
            yield wrong(f"data[{key}]", json.dumps(key), text)
    if before is not None and before.get("immutable"):
        for name in ("data", "binaryData", "immutable"):
            if before.get(name) != body.get(name):
                yield Cause("FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set", name)


def _hpa(body: Body, _before: Body | None) -> Iterator[Cause]:
    spec = body.get("spec") or {}
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if most < 1:
        yield wrong("spec.maxReplicas", str(most), "must be greater than 0")
    elif most < least:
        yield wrong("spec.maxReplicas", str(most), "must be greater than or equal to `minReplicas`")
    if least < 1:
        yield wrong("spec.minReplicas", str(least), "must be greater than or equal to 1")
    for name in ("kind", "name"):
        if not (spec.get("scaleTargetRef") or {}).get(name):
            yield required(f"spec.scaleTargetRef.{name}")


def _binding(body: Body, before: Body | None) -> Iterator[Cause]:
    ref = body.get("roleRef") or {}
    if ref.get("kind") not in ("Role", "ClusterRole"):
        text = f'Unsupported value: {json.dumps(ref.get("kind", ""))}: supported values: "Role", "ClusterRole"'
        yield Cause("FieldValueNotSupported", text, "roleRef.kind")
    if not ref.get("name"):
        yield required("roleRef.name")
    if before is not None and before.get("roleRef") != body.get("roleRef"):
        yield wrong("roleRef", json.dumps(ref), "cannot change roleRef")


def _role(body: Body, _before: Body | None) -> Iterator[Cause]:
    for i, rule in enumerate(body.get("rules") or ()):
        if not rule.get("verbs"):
            yield required(f"rules[{i}].verbs", "verbs must contain at least one value")
        if not rule.get("nonResourceURLs") and not rule.get("apiGroups"):
            yield required(f"rules[{i}].apiGroups", "resource rules must supply at least one api group")
        if not rule.get("nonResourceURLs") and not rule.get("resources"):
            yield required(f"rules[{i}].resources", "resource rules must supply at least one resource")


def _event(body: Body, _before: Body | None) -> Iterator[Cause]:
    involved = body.get("involvedObject") or {}
    if (involved.get("namespace") or "default") != body["metadata"].get("namespace"):
        said = json.dumps(involved.get("namespace", ""))
        yield wrong("involvedObject.namespace", said, "does not match event.namespace")


def _lease(body: Body, _before: Body | None) -> Iterator[Cause]:
    spec = body.get("spec") or {}
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        yield wrong("spec.leaseDurationSeconds", str(seconds), "must be greater than 0")
    yield from _not_negative(spec, "spec", ("leaseTransitions",))


def _pdb(body: Body, _before: Body | None) -> Iterator[Cause]:
    spec = body.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield wrong("spec", json.dumps(spec), "minAvailable and maxUnavailable cannot be both set")


def _crd(body: Body, before: Body | None) -> Iterator[Cause]:
    spec = body.get("spec") or {}
    names = spec.get("names") or {}
    want = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if body["metadata"].get("name") != want:
        said = json.dumps(body["metadata"].get("name"))
        yield wrong("metadata.name", said, 'must be spec.names.plural+"."+spec.group')
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        text = f'Unsupported value: {json.dumps(spec.get("scope"))}: supported values: "Cluster", "Namespaced"'
        yield Cause("FieldValueNotSupported", text, "spec.scope")
    for name in ("plural", "kind"):
        if not names.get(name):
            yield required(f"spec.names.{name}")
    versions = spec.get("versions") or []
    if sum(bool(one.get("storage")) for one in versions) != 1:
        yield wrong(
            "spec.versions",
            json.dumps([one.get("name") for one in versions]),
            "must have exactly one version marked as storage version",
        )
    for i, version in enumerate(versions):
        at = f"spec.versions[{i}].schema.openAPIV3Schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if not schema:
            yield required(at, "schemas are required")
        elif not schema.get("type"):
            yield required(f"{at}.type", "must not be empty at the root")
        else:
            yield from _structural(schema, at)
    if before is not None and before["spec"].get("scope") != spec.get("scope"):
        yield wrong("spec.scope", json.dumps(spec.get("scope")), _IMMUTABLE)


def _structural(schema: Mapping[str, Any], path: str) -> Iterator[Cause]:
    inner = [(f"{path}.properties[{k}]", v) for k, v in (schema.get("properties") or {}).items()]
    if isinstance(schema.get("additionalProperties"), Mapping):
        inner.append((f"{path}.additionalProperties", schema["additionalProperties"]))
        if inner[:-1]:
            text = "Forbidden: additionalProperties and properties are mutual exclusive"
            yield Cause("FieldValueForbidden", text, f"{path}.additionalProperties")
    if schema.get("type") == "array":
        if not schema.get("items"):
            yield required(f"{path}.items", "must be specified")
        else:
            inner.append((f"{path}.items", schema["items"]))
    loose = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string")
    for at, child in inner:
        if not child.get("type") and not any(child.get(one) for one in loose):
            yield required(f"{at}.type", "must not be empty for specified object fields")
        yield from _structural(child, at)


_BY_PLURAL: dict[str, Callable[[Body, Body | None], Iterator[Cause]]] = {
    "deployments": _deployment,
    "replicasets": _workload,
    "statefulsets": _stateful_set,
    "daemonsets": _workload,
    "jobs": _job,
    "cronjobs": _cron_job,
    "pods": _pod,
    "services": _service,
    "configmaps": _config,
    "secrets": _config,
    "horizontalpodautoscalers": _hpa,
    "rolebindings": _binding,
    "clusterrolebindings": _binding,
    "roles": _role,
    "clusterroles": _role,
    "events": _event,
    "leases": _lease,
    "poddisruptionbudgets": _pdb,
    "customresourcedefinitions": _crd,
}
