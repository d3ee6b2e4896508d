"""What the API server fills into built-in kinds when the writer left it out."""

from __future__ import annotations

import base64
import copy
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

Body = dict[str, Any]
_QUARTER = {"maxSurge": "25%", "maxUnavailable": "25%"}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def _fill(into: Body, values: Body) -> None:
    for key, value in values.items():
        if into.get(key) is None:
            into[key] = copy.deepcopy(value)


def _pod_spec(spec: Body, restart: str = "Always") -> None:
    _fill(spec, {"restartPolicy": restart, "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst"})
    _fill(spec, {"securityContext": {}, "schedulerName": "default-scheduler"})
    if spec.get("serviceAccountName"):
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        image = container.get("image", "")
        tag = image.rpartition("/")[2].partition(":")[2]
        policy = "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"
        _fill(container, {"resources": {}, "terminationMessagePath": "/dev/termination-log"})
        _fill(container, {"terminationMessagePolicy": "File", "imagePullPolicy": policy})
        for port in container.get("ports") or ():
            _fill(port, {"protocol": "TCP"})
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if container.get(probe):
                _fill(container[probe], _PROBE)
                if container[probe].get("httpGet"):
                    _fill(container[probe]["httpGet"], {"path": "/", "scheme": "HTTP"})


def _template(spec: Body, restart: str = "Always") -> None:
    template = spec.get("template")
    if isinstance(template, dict):
        template.setdefault("metadata", {})
        if isinstance(template.get("spec"), dict):
            _pod_spec(template["spec"], restart)


def _deployment(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600, "strategy": {}})
    _fill(spec["strategy"], {"type": "RollingUpdate"})
    if spec["strategy"]["type"] == "RollingUpdate":
        _fill(spec["strategy"], {"rollingUpdate": {}})
        _fill(spec["strategy"]["rollingUpdate"], _QUARTER)
    _template(spec)


def _replica_set(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _fill(spec, {"replicas": 1})
    _template(spec)
    body.setdefault("status", {"replicas": 0})


def _stateful_set(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady"})
    _fill(spec, {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}})
    _fill(spec, {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"}})
    _template(spec)
    body.setdefault("status", {"replicas": 0, "availableReplicas": 0})


def _daemon_set(body: Body) -> None:
    spec = body.setdefault("spec", {})
    rolling = {"maxSurge": 0, "maxUnavailable": 1}
    _fill(spec, {"revisionHistoryLimit": 10, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling}})
    _template(spec)
    counts = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    body.setdefault("status", dict.fromkeys(counts, 0))


def _job_spec(spec: Body) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        _fill(spec, {"completions": 1})
    _fill(spec, {"parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False})
    _fill(spec, {"podReplacementPolicy": "TerminatingOrFailed"})
    _template(spec, restart="")


def _job(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _job_spec(spec)
    if not spec.get("manualSelector") and body["metadata"].get("uid"):
        mark = {"batch.kubernetes.io/controller-uid": body["metadata"]["uid"]}
        _fill(spec, {"selector": {"matchLabels": mark}})
        labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
        labels.update({**mark, "batch.kubernetes.io/job-name": body["metadata"]["name"]})


def _cron_job(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _fill(spec, {"concurrencyPolicy": "Allow", "suspend": False})
    _fill(spec, {"successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1})
    if isinstance(spec.get("jobTemplate"), dict):
        inner = spec["jobTemplate"].setdefault("spec", {})
        _fill(inner, {"template": {}})
        _template(inner, restart="")


def _pod(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _pod_spec(spec)
    _fill(spec, {"serviceAccountName": "default", "serviceAccount": "default", "enableServiceLinks": True})
    _fill(spec, {"preemptionPolicy": "PreemptLowerPriority", "priority": 0})
    status = body.setdefault("status", {})
    _fill(status, {"phase": "Pending", "qosClass": "BestEffort"})


def _service(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _fill(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    for port in spec.get("ports") or ():
        _fill(port, {"protocol": "TCP"})
        if isinstance(port.get("port"), int):
            _fill(port, {"targetPort": port["port"]})
    if spec["type"] != "ExternalName":
        uid = body["metadata"].get("uid", "")
        seen = hashlib.sha256(uid.encode()).digest()
        _fill(spec, {"clusterIP": f"10.96.{seen[0]}.{seen[1]}", "internalTrafficPolicy": "Cluster"})
        _fill(spec, {"clusterIPs": [spec["clusterIP"]], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
    body.setdefault("status", {"loadBalancer": {}})


def _namespace(body: Body) -> None:
    _fill(body.setdefault("spec", {}), {"finalizers": ["kubernetes"]})
    _fill(body.setdefault("status", {}), {"phase": "Active"})
    body["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = body["metadata"].get("name", "")


def _secret(body: Body) -> None:
    _fill(body, {"type": "Opaque"})
    for key, value in (body.pop("stringData", None) or {}).items():
        body.setdefault("data", {})[key] = base64.b64encode(str(value).encode()).decode()


def _hpa(body: Body) -> None:
    spec = body.setdefault("spec", {})
    target = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    _fill(spec, {"minReplicas": 1, "metrics": [{"type": "Resource", "resource": target}]})
    body.setdefault("status", {"currentMetrics": None, "desiredReplicas": 0})


def _budget(body: Body) -> None:
    body.setdefault("spec", {})
    counts = ("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods")
    body.setdefault("status", dict.fromkeys(counts, 0))


def _crd(body: Body) -> None:
    spec = body.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if names.get("kind"):
        _fill(names, {"singular": names["kind"].lower(), "listKind": f"{names['kind']}List"})
    _fill(spec, {"conversion": {"strategy": "None"}})


def _binding(body: Body) -> None:
    for subject in body.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            _fill(subject, {"apiGroup": "rbac.authorization.k8s.io"})
    if isinstance(body.get("roleRef"), dict):
        _fill(body["roleRef"], {"apiGroup": "rbac.authorization.k8s.io"})


def _nothing(_body: Body) -> None:
    return


_BY_PLURAL: dict[str, Callable[[Body], None]] = {
    "deployments": _deployment,
    "replicasets": _replica_set,
    "statefulsets": _stateful_set,
    "daemonsets": _daemon_set,
    "jobs": _job,
    "cronjobs": _cron_job,
    "pods": _pod,
    "services": _service,
    "namespaces": _namespace,
    "secrets": _secret,
    "horizontalpodautoscalers": _hpa,
    "customresourcedefinitions": _crd,
    "poddisruptionbudgets": _budget,
    "rolebindings": _binding,
    "clusterrolebindings": _binding,
}


def fill(plural: str, body: Body) -> None:
    """Set the defaults of a built-in kind in place."""
    _BY_PLURAL.get(plural, _nothing)(body)


def pod_specs(body: Body) -> Iterator[tuple[str, Body, Body]]:
    """Every pod template in an object: its path, its metadata and its spec."""
    spec = body.get("spec") or {}
    if isinstance(spec.get("template"), dict):
        yield "spec.template", spec["template"].get("metadata") or {}, spec["template"].get("spec") or {}
    inner = (spec.get("jobTemplate") or {}).get("spec") or {} if isinstance(spec.get("jobTemplate"), dict) else {}
    if isinstance(inner.get("template"), dict):
        path = "spec.jobTemplate.spec.template"
        yield path, inner["template"].get("metadata") or {}, inner["template"].get("spec") or {}
