"""The deployment controller, played: replica sets made, scaled against each other within surge and unavailability, and judged."""

from __future__ import annotations

import copy
from typing import Any

from bot.integrations.kubernetes.fake_below import share
from bot.integrations.kubernetes.fake_stage import Stage, condition, conditions, fingerprint, live
from bot.integrations.kubernetes.fake_store import Body, Record, Table

DEPLOYMENTS: Table = ("apps", "deployments")
SETS: Table = ("apps", "replicasets")
HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


def deployment(stage: Stage, found: Record) -> None:
    """Bring a deployment one step nearer to what it wants, and tell how far it is."""
    if not live(found):
        return
    sets = [one for one in stage.owned(SETS, found) if live(one)]
    new = next((one for one in sets if _plain(one) == found.body["spec"]["template"]), None)
    if new is None and not found.body["spec"].get("paused"):
        new = _made(stage, found, sets)
        sets.append(new)
    if new is not None:
        found = _revised(stage, found, new, sets)
    olds = [one for one in sets if new is None or one.place != new.place]
    _steps(stage, found, new, olds)
    found = stage.objects.get(stage.resource(DEPLOYMENTS), *found.place)
    sets = [one for one in stage.owned(SETS, found) if live(one)]
    new = next((one for one in sets if new is not None and one.place == new.place), None)
    _tell(stage, found, new, sets)


def _plain(one: Record) -> Any:
    """A replica set's template as the deployment wrote it."""
    template = copy.deepcopy(one.body["spec"]["template"])
    template.get("metadata", {}).get("labels", {}).pop(HASH, None)
    return template


def _revision(one: Record) -> int:
    return int((one.meta.get("annotations") or {}).get(REVISION, "0"))


def _made(stage: Stage, found: Record, sets: list[Record]) -> Record:
    spec = found.body["spec"]
    mark = fingerprint(spec["template"])
    template = copy.deepcopy(spec["template"])
    template.setdefault("metadata", {}).setdefault("labels", {})[HASH] = mark
    selector = copy.deepcopy(spec["selector"])
    selector.setdefault("matchLabels", {})[HASH] = mark
    revision = str(max((_revision(one) for one in sets), default=0) + 1)
    meta = {"name": f"{found.meta['name']}-{mark}", "labels": template["metadata"]["labels"]}
    meta["annotations"] = {REVISION: revision}
    wanted = {"replicas": 0, "selector": selector, "template": template}
    if spec.get("minReadySeconds"):
        wanted["minReadySeconds"] = spec["minReadySeconds"]
    return stage.make(SETS, found, "Deployment", {"metadata": meta, "spec": wanted})


def _revised(stage: Stage, found: Record, new: Record, sets: list[Record]) -> Record:
    """The newest replica set has the highest revision (also after a rollback), and the deployment shows it."""
    others = max((_revision(one) for one in sets if one.place != new.place), default=0)
    revision = _revision(new)
    if revision <= others:
        revision = others + 1
        notes = {**(new.meta.get("annotations") or {}), REVISION: str(revision)}
        stage.write(SETS, new, {**new.body, "metadata": {**new.meta, "annotations": notes}})
    notes = found.meta.get("annotations") or {}
    if notes.get(REVISION) == str(revision):
        return found
    meta = {**found.meta, "annotations": {**notes, REVISION: str(revision)}}
    return stage.write(DEPLOYMENTS, found, {**found.body, "metadata": meta})


def _wants(one: Record) -> int:
    wanted: int = one.body["spec"].get("replicas", 0)
    return wanted


def _count(one: Record, name: str) -> int:
    counted: int = (one.body.get("status") or {}).get(name, 0)
    return counted


def _steps(stage: Stage, found: Record, new: Record | None, olds: list[Record]) -> None:
    spec = found.body["spec"]
    replicas = spec["replicas"]
    active = [one for one in olds if _wants(one)]
    if new is None or spec.get("paused"):
        sets = [*active, *([new] if new is not None and _wants(new) else [])]
        if len(sets) == 1:
            stage.scale(SETS, sets[0], replicas)
        return
    if spec["strategy"]["type"] == "Recreate":
        for one in active:
            stage.scale(SETS, one, 0)
        if not any(_wants(one) or stage.owned(("", "pods"), one) for one in olds):
            stage.scale(SETS, new, replicas)
        return
    surge, missing = _limits(spec)
    now = _wants(stage.objects.get(stage.resource(SETS), *new.place))
    if now > replicas:
        new = stage.scale(SETS, new, replicas)
    elif now < replicas:
        room = replicas + surge - now - sum(_wants(one) for one in active)
        new = stage.scale(SETS, new, now + max(0, min(replicas - now, room)))
    _shrink(stage, new, active, replicas - missing)
    _forget_old(stage, olds, spec.get("revisionHistoryLimit", 10))


def _limits(spec: Body) -> tuple[int, int]:
    """How many pods more, and how many fewer, than asked for a rollout may have."""
    rolling = spec["strategy"].get("rollingUpdate") or {}
    surge = share(rolling.get("maxSurge", "25%"), spec["replicas"])
    missing = share(rolling.get("maxUnavailable", "25%"), spec["replicas"], up=False)
    return surge, missing if surge or missing else 1


def _shrink(stage: Stage, new: Record, olds: list[Record], least: int) -> None:
    """Take away old pods: those that never became available first, then as many as stay above ``least``."""
    wanted = _wants(new) + sum(_wants(one) for one in olds)
    spare = wanted - least - (_wants(new) - _count(new, "availableReplicas"))
    for one in olds:
        sick = _wants(one) - _count(one, "availableReplicas")
        cut = min(max(0, spare), max(0, sick))
        if cut:
            spare -= cut
            stage.scale(SETS, one, _wants(one) - cut)
    olds = [stage.objects.get(stage.resource(SETS), *one.place) for one in olds]
    spare = sum(min(_count(one, "availableReplicas"), _wants(one)) for one in olds)
    spare += _count(new, "availableReplicas") - least
    for one in olds:
        cut = min(max(0, spare), _wants(one))
        if cut:
            spare -= cut
            stage.scale(SETS, one, _wants(one) - cut)


def _forget_old(stage: Stage, olds: list[Record], keep: int) -> None:
    empty = [one for one in olds if not _wants(one) and not _count(one, "replicas")]
    for one in sorted(empty, key=_revision)[: max(0, len(empty) - keep)]:
        stage.delete(SETS, one)


def _tell(stage: Stage, found: Record, new: Record | None, sets: list[Record]) -> None:
    spec = found.body["spec"]
    counts = {name: sum(_count(one, name) for one in sets) for name in _COUNTS}
    counts["updatedReplicas"] = _count(new, "replicas") if new is not None else 0
    _, missing = _limits(spec) if spec["strategy"]["type"] == "RollingUpdate" else (0, spec["replicas"])
    enough = counts["availableReplicas"] >= spec["replicas"] - missing
    available = (
        ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        if enough
        else ("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    )
    old = found.body.get("status") or {}
    status = {key: value for key, value in old.items() if key not in (*_COUNTS, "unavailableReplicas", "conditions")}
    status |= {"observedGeneration": found.meta["generation"], **counts}
    status["unavailableReplicas"] = max(0, spec["replicas"] - counts["availableReplicas"])
    moved = any(old.get(name, 0) != counts[name] for name in _COUNTS)
    moved = moved or old.get("observedGeneration") != found.meta["generation"]
    progress = _progress(stage, found, new, counts, moved=moved)
    status["conditions"] = conditions(found.body, available, *progress)
    stage.status(DEPLOYMENTS, found, status)


def _progress(
    stage: Stage, found: Record, new: Record | None, counts: dict[str, int], *, moved: bool
) -> list[tuple[str, str, str, str]]:
    """The Progressing condition; the deadline starts anew with every step forward."""
    spec = found.body["spec"]
    if new is None or spec.get("paused"):
        stage.forget("deadline", DEPLOYMENTS, found.place)
        return [("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")] if spec.get("paused") else []
    name = new.meta["name"]
    whole = ("updatedReplicas", "availableReplicas", "replicas")
    if all(counts[one] == spec["replicas"] for one in whole):
        stage.forget("deadline", DEPLOYMENTS, found.place)
        text = f'ReplicaSet "{name}" has successfully progressed.'
        return [("Progressing", "True", "NewReplicaSetAvailable", text)]
    said = condition(found.body, "Progressing")
    if not moved and said:
        if said["reason"] != "ProgressDeadlineExceeded" and not stage.due("deadline", DEPLOYMENTS, found.place):
            stage.at("deadline", DEPLOYMENTS, found.place, float(spec.get("progressDeadlineSeconds", 600)))
        return []
    stage.at("deadline", DEPLOYMENTS, found.place, float(spec.get("progressDeadlineSeconds", 600)))
    if counts["updatedReplicas"] == 0:
        return [("Progressing", "True", "NewReplicaSetCreated", f'Created new replica set "{name}"')]
    return [("Progressing", "True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')]


def overdue(stage: Stage, found: Record) -> None:
    """The progress deadline has passed: say so; nothing is rolled back by itself."""
    sets = [one for one in stage.owned(SETS, found) if live(one)]
    new = next((one for one in sets if _plain(one) == found.body["spec"]["template"]), None)
    name = new.meta["name"] if new is not None else found.meta["name"]
    text = f'ReplicaSet "{name}" has timed out progressing.'
    failed = ("Progressing", "False", "ProgressDeadlineExceeded", text)
    status = {**(found.body.get("status") or {}), "conditions": conditions(found.body, failed)}
    stage.status(DEPLOYMENTS, found, status)
