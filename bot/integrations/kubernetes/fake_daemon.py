"""The controller of daemon sets, played on a cluster of one node."""

from __future__ import annotations

from bot.integrations.kubernetes.fake_pods import PODS
from bot.integrations.kubernetes.fake_stage import Stage, fingerprint, live, ready
from bot.integrations.kubernetes.fake_store import Record, Table
from bot.integrations.kubernetes.fake_workloads import REVISION, available, from_template

DAEMONS: Table = ("apps", "daemonsets")
GENERATION = "deprecated.daemonset.template.generation"
_MARK = "pod-template-generation"


def daemon_set(stage: Stage, found: Record) -> None:
    """One pod on the node; a rolling update takes the old one away first, since no node shall have two."""
    if not live(found):
        return
    spec, name = found.body["spec"], found.meta["name"]
    found = _counted(stage, found, fingerprint(spec["template"]))
    revision = fingerprint(spec["template"])
    pods = [pod for pod in stage.owned(PODS, found) if live(pod)]
    if not pods and not stage.owned(PODS, found):
        generation = (found.meta.get("annotations") or {})[GENERATION]
        labels = {REVISION: revision, _MARK: generation}
        body = from_template(spec["template"], f"{name}-", exact=False, labels=labels)
        pods = [stage.make(PODS, found, "DaemonSet", body)]
    old = [pod for pod in pods if (pod.meta.get("labels") or {}).get(REVISION) != revision]
    if old and (spec.get("updateStrategy") or {}).get("type") != "OnDelete":
        stage.delete(PODS, old[0])
        pods = [pod for pod in pods if pod.place != old[0].place]
    new = sum((pod.meta.get("labels") or {}).get(REVISION) == revision for pod in pods)
    up = available(stage, DAEMONS, found, pods)
    status = {"desiredNumberScheduled": 1, "currentNumberScheduled": len(pods), "numberReady": sum(map(ready, pods))}
    status |= {
        "updatedNumberScheduled": new,
        "numberAvailable": up,
        "numberUnavailable": 1 - up,
        "numberMisscheduled": 0,
    }
    stage.status(DAEMONS, found, {**status, "observedGeneration": found.meta["generation"]})


def _counted(stage: Stage, found: Record, mark: str) -> Record:
    """With the number of its template, which the API server itself counts with each change of it."""
    notes = found.meta.get("annotations") or {}
    kept = stage.marks.get(found.meta["uid"])
    if kept == mark and GENERATION in notes:
        return found
    count = int(notes.get(GENERATION, "0")) + (1 if kept is not None or GENERATION not in notes else 0)
    stage.marks[found.meta["uid"]] = mark
    if notes.get(GENERATION) == str(count):
        return found
    meta = {**found.meta, "annotations": {**notes, GENERATION: str(count)}}
    return stage.write(DAEMONS, found, {**found.body, "metadata": meta})
