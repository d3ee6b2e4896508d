"""Reads how far the rollout of a workload is, off the object as the API server shows it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from handlers.deploys.kinds import Workload

REVISION = "deployment.kubernetes.io/revision"
GENERATION = "deprecated.daemonset.template.generation"
CAUSE = "kubernetes.io/change-cause"
VERSION = "app.kubernetes.io/version"
CONTROLLERS = ("kube-controller-manager", "k3s", "horizontal-pod-autoscaler")
"""Who writes into workloads without deploying anything."""
LONGEST = 200


class Stage(StrEnum):
    """How far a rollout is."""

    ROLLING = "rolling"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True)
class Rollout:
    """What a workload shows. ``revision``: what changes with its pods' template, and with nothing else.

    ``images``: container → image. ``moved_at``: UNIX s at which its controller last saw it move, or None. ``by``: who wrote
    it last, as far as the object tells.
    """

    name: str
    uid: str
    revision: str
    images: Mapping[str, str]
    stage: Stage
    made_at: float
    moved_at: float | None = None
    why: str = ""
    by: str = ""
    labelled: str = ""

    def image(self, before: Mapping[str, str]) -> str:
        """The image that the rollout is about: the one that changed, else the one called as the workload, else the first."""
        changed = [image for name, image in self.images.items() if before and before.get(name) != image]
        return (changed or [self.images.get(self.name, "")])[0] or next(iter(self.images.values()), "")


def read(kind: Workload, body: Mapping[str, Any]) -> Rollout | None:
    """What an object shows; None while its controller has not looked at it, so that nothing can be said yet."""
    meta, spec, status = (body.get(part) or {} for part in ("metadata", "spec", "status"))
    if int(status.get("observedGeneration") or 0) < int(meta.get("generation") or 0):
        return None
    revision = _revision(kind, meta, spec, status)
    template = spec.get("template") or {}
    if not revision:
        return None
    stage, why = _READ[kind](spec, status)
    notes = meta.get("annotations") or {}
    containers = (template.get("spec") or {}).get("containers") or ()
    return Rollout(
        str(meta["name"]),
        str(meta.get("uid") or ""),
        revision,
        {str(one.get("name")): str(one.get("image") or "")[: LONGEST * 2] for one in containers},
        stage,
        _at(meta.get("creationTimestamp")) or 0.0,
        moved_at=_at(_progress(status).get("lastUpdateTime")),
        why=why[:LONGEST],
        by=str(notes.get(CAUSE) or _writer(meta))[:LONGEST],
        labelled=str(((template.get("metadata") or {}).get("labels") or {}).get(VERSION) or "")[:LONGEST],
    )


def _revision(kind: Workload, meta: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    notes = meta.get("annotations") or {}
    if kind is Workload.DEPLOYMENTS:
        return str(notes.get(REVISION) or "")
    if kind is Workload.STATEFULSETS:
        return str(status.get("updateRevision") or "")
    if notes.get(GENERATION):
        return str(notes[GENERATION])
    text = json.dumps(spec.get("template") or {}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _deployment(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[Stage, str]:
    """As ``kubectl rollout status`` has it."""
    said = _progress(status)
    if said.get("reason") == "ProgressDeadlineExceeded":
        return Stage.FAILED, str(said.get("message") or "the progress deadline was exceeded")
    wanted, now = _count(spec, "replicas", 1), _count(status, "replicas")
    new, ready = _count(status, "updatedReplicas"), _count(status, "availableReplicas")
    return (Stage.COMPLETE if new >= wanted and now <= new and ready >= new else Stage.ROLLING), ""


def _stateful_set(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[Stage, str]:
    strategy = spec.get("updateStrategy") or {}
    wanted, new = _count(spec, "replicas", 1), _count(status, "updatedReplicas")
    if _count(status, "readyReplicas") < wanted:
        return Stage.ROLLING, ""
    partition = _count(strategy.get("rollingUpdate") or {}, "partition")
    if partition:
        return (Stage.COMPLETE if new >= wanted - partition else Stage.ROLLING), ""
    done = status.get("updateRevision") == status.get("currentRevision") or new >= wanted
    return (Stage.COMPLETE if done else Stage.ROLLING), ""


def _daemon_set(_spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[Stage, str]:
    wanted = _count(status, "desiredNumberScheduled")
    new, ready = _count(status, "updatedNumberScheduled"), _count(status, "numberAvailable")
    return (Stage.COMPLETE if new >= wanted and ready >= wanted else Stage.ROLLING), ""


_READ = {
    Workload.DEPLOYMENTS: _deployment,
    Workload.STATEFULSETS: _stateful_set,
    Workload.DAEMONSETS: _daemon_set,
}


def _progress(status: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(
        (one for one in status.get("conditions") or () if one.get("type") == "Progressing"), {}
    )
    return found


def _count(of: Mapping[str, Any], name: str, default: int = 0) -> int:
    value = of.get(name)
    return default if value is None else int(value)


def _writer(meta: Mapping[str, Any]) -> str:
    """Who wrote into its spec last: a person's tool, or the tool of whoever deploys."""
    wrote = [
        (str(one.get("time") or ""), str(one.get("manager") or ""))
        for one in meta.get("managedFields") or ()
        if not one.get("subresource") and one.get("manager") not in CONTROLLERS
    ]
    return max(wrote, default=("", ""))[1]


def _at(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp() if text else None
    except ValueError:
        return None
