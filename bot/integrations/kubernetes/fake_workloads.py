"""The controllers of replica sets, stateful sets and jobs, played."""

from __future__ import annotations

import copy
import time
from datetime import datetime

from bot.integrations.kubernetes.fake_pods import PODS
from bot.integrations.kubernetes.fake_removal import stamp
from bot.integrations.kubernetes.fake_stage import Stage, condition, conditions, fingerprint, live, ready
from bot.integrations.kubernetes.fake_store import Body, Record, Table

SETS: Table = ("apps", "replicasets")
STATEFUL: Table = ("apps", "statefulsets")
JOBS: Table = ("batch", "jobs")
REVISION = "controller-revision-hash"


def from_template(template: Body, name: str, *, exact: bool, labels: dict[str, str] | None = None) -> Body:
    """A pod of a template, called exactly so or so and something more."""
    meta = copy.deepcopy(template.get("metadata") or {})
    meta["name" if exact else "generateName"] = name
    if labels:
        meta["labels"] = {**(meta.get("labels") or {}), **labels}
    return {"metadata": meta, "spec": copy.deepcopy(template["spec"])}


def _phase(pod: Record) -> str:
    phase: str = (pod.body.get("status") or {}).get("phase", "Pending")
    return phase


def available(stage: Stage, table: Table, owner: Record, pods: list[Record]) -> int:
    """Pods ready for ``minReadySeconds``; looks again when the next one will be."""
    least = owner.body["spec"].get("minReadySeconds", 0)
    count = 0
    for pod in pods:
        if not ready(pod):
            continue
        since = datetime.fromisoformat(condition(pod.body, "Ready")["lastTransitionTime"])
        left = since.timestamp() + least - time.time()
        if not least or left <= 0:
            count += 1
        else:
            stage.at("look", table, owner.place, left)
    return count


def replica_set(stage: Stage, found: Record) -> None:
    """As many pods as asked for."""
    if not live(found):
        return
    spec = found.body["spec"]
    pods = [pod for pod in stage.owned(PODS, found) if live(pod) and _phase(pod) not in ("Succeeded", "Failed")]
    for _ in range(spec["replicas"] - len(pods)):
        body = from_template(spec["template"], f"{found.meta['name']}-", exact=False)
        pods.append(stage.make(PODS, found, "ReplicaSet", body))
    extra = len(pods) - spec["replicas"]
    for pod in sorted(pods, key=ready)[: max(0, extra)]:
        stage.delete(PODS, pod)
        pods.remove(pod)
    counts = {"replicas": len(pods), "fullyLabeledReplicas": len(pods), "readyReplicas": sum(map(ready, pods))}
    counts["availableReplicas"] = available(stage, SETS, found, pods)
    stage.status(SETS, found, {**counts, "observedGeneration": found.meta["generation"]})


def stateful_set(stage: Stage, found: Record) -> None:
    """Pods with names that stay, made in order and replaced from the last to the first."""
    if not live(found):
        return
    spec, name = found.body["spec"], found.meta["name"]
    revision = f"{name}-{fingerprint(spec['template'])}"
    pods = {pod.meta["name"]: pod for pod in stage.owned(PODS, found)}
    names = [f"{name}-{i}" for i in range(spec["replicas"])]
    together = spec.get("podManagementPolicy") == "Parallel"
    for i, one in enumerate(names):
        if one not in pods:
            marks = {"statefulset.kubernetes.io/pod-name": one, "apps.kubernetes.io/pod-index": str(i)}
            body = from_template(spec["template"], one, exact=True, labels={**marks, REVISION: revision})
            pods[one] = stage.make(PODS, found, "StatefulSet", body)
        if not together and not (ready(pods[one]) and live(pods[one])):
            break
    extra = sorted((one for one in pods if one not in names), key=_ordinal, reverse=True)
    for one in extra if together else extra[:1]:
        stage.delete(PODS, pods[one])
    kept = [pods[one] for one in names if one in pods and live(pods[one])]
    _replace_last(stage, found, kept, revision, settled=len(kept) == len(names) and not extra)
    new = sum((pod.meta.get("labels") or {}).get(REVISION) == revision for pod in kept)
    status = {"replicas": len(kept), "readyReplicas": sum(map(ready, kept)), "updatedReplicas": new}
    status["availableReplicas"] = available(stage, STATEFUL, found, kept)
    old = (found.body.get("status") or {}).get("currentRevision") or revision
    done = new == len(kept) == spec["replicas"]
    current = revision if done or old == revision else old
    revisions = {"currentRevision": current, "updateRevision": revision, "observedGeneration": found.meta["generation"]}
    holding = new if current == revision else len(kept) - new
    stage.status(STATEFUL, found, {**status, **revisions, "currentReplicas": holding})


def _ordinal(name: str) -> int:
    return int(name.rpartition("-")[2])


def _replace_last(stage: Stage, found: Record, pods: list[Record], revision: str, *, settled: bool) -> None:
    """A rolling update deletes the last outdated pod once every pod is ready; one that is sick goes at once."""
    strategy = found.body["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    old = [
        pod
        for pod in pods
        if (pod.meta.get("labels") or {}).get(REVISION) != revision and _ordinal(pod.meta["name"]) >= partition
    ]
    if old and ((settled and all(map(ready, pods))) or not ready(old[-1])):
        stage.delete(PODS, old[-1])


def job(stage: Stage, found: Record) -> None:
    """Pods until enough have succeeded, or too many failed."""
    spec, old = found.body["spec"], found.body.get("status") or {}
    finished = any(condition(found.body, kind).get("status") == "True" for kind in ("Complete", "Failed"))
    if finished:
        _expire(stage, found)
    if not live(found) or finished:
        return
    pods = [pod for pod in stage.owned(PODS, found) if live(pod)]
    done = sum(_phase(pod) == "Succeeded" for pod in pods)
    failed = sum(_phase(pod) == "Failed" for pod in pods)
    active = [pod for pod in pods if _phase(pod) in ("Pending", "Running")]
    crashes = sum(
        one.get("restartCount", 0)
        for pod in active
        for one in pod.body.get("status", {}).get("containerStatuses") or ()
    )
    wanted = spec.get("completions") or 1
    end: tuple[str, str, str, str] | None = None
    if done >= wanted:
        end = ("Complete", "True", "CompletionsReached", "Reached expected number of succeeded pods")
    elif failed + crashes > spec["backoffLimit"]:
        end = ("Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if end or spec.get("suspend"):
        for pod in active:
            stage.delete(PODS, pod)
        active = []
    else:
        labels = {
            "batch.kubernetes.io/controller-uid": found.meta["uid"],
            "batch.kubernetes.io/job-name": found.meta["name"],
        }
        for _ in range(min(spec["parallelism"], wanted - done) - len(active)):
            body = from_template(spec["template"], f"{found.meta['name']}-", exact=False, labels=labels)
            active.append(stage.make(PODS, found, "Job", body))
    _tell_job(
        stage,
        found,
        {"active": len(active), "ready": sum(map(ready, active)), "succeeded": done, "failed": failed},
        old,
        end,
    )


def _tell_job(stage: Stage, found: Record, counts: Body, old: Body, end: tuple[str, str, str, str] | None) -> None:
    status: Body = {**old, **counts}
    if not found.body["spec"].get("suspend"):
        status.setdefault("startTime", stamp())
    if end is not None:
        status["conditions"] = conditions(found.body, end, updates=False)
        if end[0] == "Complete":
            status["completionTime"] = stamp()
    stage.status(JOBS, found, status)


def _expire(stage: Stage, found: Record) -> None:
    ttl = found.body["spec"].get("ttlSecondsAfterFinished")
    if ttl is not None and not stage.due("expire", JOBS, found.place):
        stage.at("expire", JOBS, found.place, float(ttl))
