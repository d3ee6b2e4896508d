"""The kubelet, played: a pod is bound, its containers start, finish or crash, and it ends when it is deleted."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from bot.integrations.kubernetes.fake_below import share
from bot.integrations.kubernetes.fake_objects import Options
from bot.integrations.kubernetes.fake_removal import stamp
from bot.integrations.kubernetes.fake_stage import NODE, Stage, conditions, live, ready
from bot.integrations.kubernetes.fake_store import Body, Record, Table

PODS: Table = ("", "pods")
KUBELET = Options("kubelet", named=True)
SCHEDULER = Options("kube-scheduler", named=True)
_HOST = "10.0.0.1"
_LONGEST_BACKOFF = 300.0


def broken(pod: Record) -> bool:
    """Whether a container of the pod can never run."""
    return any("broken" in one["image"] for one in pod.body["spec"]["containers"])


def _ends(pod: Record) -> bool:
    """Whether its containers are to finish, as a job's are."""
    return bool(pod.body["spec"]["restartPolicy"] != "Always")


class Kubelet:
    """Moves pods along; only the API is told, through status."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def pod(self, pod: Record) -> None:
        """A pod is new or has changed."""
        if not live(pod):
            self.stage.at("end", PODS, pod.place, self.stage.seconds / 10)
            return
        if not pod.body["spec"].get("nodeName"):
            bound = {**pod.body, "spec": {**pod.body["spec"], "nodeName": NODE}}
            pod = self.stage.write(PODS, pod, bound, how=SCHEDULER)
        status = pod.body.get("status") or {}
        if status.get("phase") in ("Succeeded", "Failed"):
            return
        images = {one["name"]: one["image"] for one in pod.body["spec"]["containers"]}
        running = {one["name"]: one.get("image") for one in status.get("containerStatuses") or ()}
        if images != running:
            self._creating(pod)
            self.stage.at("start", PODS, pod.place, self._delay(pod))
        elif not ready(pod) and not self.stage.due("start", PODS, pod.place):
            self.stage.at("start", PODS, pod.place, self._delay(pod))
        elif ready(pod) and _ends(pod) and not self.stage.due("complete", PODS, pod.place):
            self.stage.at("complete", PODS, pod.place, self.stage.seconds / 2)

    def ripe(self, what: str, pod: Record) -> None:
        """Something that was due for a pod."""
        if not live(pod):
            return
        match what:
            case "start" if broken(pod):
                self._crashed(pod)
            case "start":
                self._running(pod)
            case "complete":
                self._ended(pod, "Succeeded", 0)

    def _delay(self, pod: Record) -> float:
        """How long the containers take: a rollout in several batches takes as long as one in a single batch."""
        refs = pod.meta.get("ownerReferences") or []
        owner = self.stage.objects.store.get(("apps", "replicasets"), (pod.place[0], refs[0]["name"])) if refs else None
        above = (owner.meta.get("ownerReferences") or []) if owner else []
        found = (
            self.stage.objects.store.get(("apps", "deployments"), (pod.place[0], above[0]["name"])) if above else None
        )
        if found is None or len(self.stage.owned(("apps", "replicasets"), found)) < 2:
            return self.stage.seconds
        spec = found.body["spec"]
        replicas: int = spec["replicas"]
        rolling = spec["strategy"].get("rollingUpdate") or {"maxSurge": spec["replicas"], "maxUnavailable": 0}
        step = share(rolling["maxSurge"], spec["replicas"])
        step += share(rolling["maxUnavailable"], spec["replicas"], up=False)
        batches = math.ceil(replicas / max(1, step))
        return self.stage.seconds / max(1, batches)

    def _said(self, pod: Record, phase: str, states: list[Body], reason: str = "") -> None:
        up = all(one["ready"] for one in states)
        word = "True" if up else "False"
        why = reason or ("" if up else "ContainersNotReady")
        text = "" if up else f"containers with unready status: {[one['name'] for one in states if not one['ready']]}"
        wanted = [("PodScheduled", "True", "", ""), ("Initialized", "True", "", "")]
        wanted += [("ContainersReady", word, why, text), ("Ready", word, why, text)]
        found = [
            {key: value for key, value in one.items() if value != ""}
            for one in conditions(pod.body, *wanted, updates=False)
        ]
        old = pod.body.get("status") or {}
        status: dict[str, Any] = {**old, "phase": phase, "conditions": found, "containerStatuses": states}
        status |= {"hostIP": _HOST, "startTime": old.get("startTime") or stamp(), "qosClass": "BestEffort"}
        status["observedGeneration"] = pod.meta.get("generation", 1)
        if phase == "Running":
            seen = hashlib.sha256(pod.meta["uid"].encode()).digest()
            address = f"10.244.{seen[0]}.{seen[1]}"
            status |= {"podIP": address, "podIPs": [{"ip": address}]}
        self.stage.status(PODS, pod, status, KUBELET)

    def _states(self, pod: Record, state: Body, *, up: bool, last: Body | None = None, restarts: int = 0) -> list[Body]:
        out: list[Body] = []
        for one in pod.body["spec"]["containers"]:
            fine = up or (last is not None and "broken" not in one["image"])
            shown = state if fine is up else {"running": {"startedAt": stamp()}}
            row: Body = {"name": one["name"], "image": one["image"], "imageID": "", "ready": fine, "started": fine}
            row |= {"restartCount": 0 if fine and not up else restarts, "state": shown, "lastState": {}}
            if last is not None and not fine:
                row["lastState"] = last
            out.append(row)
        return out

    def _creating(self, pod: Record) -> None:
        waiting = {"waiting": {"reason": "ContainerCreating"}}
        self._said(pod, "Pending", self._states(pod, waiting, up=False))

    def _running(self, pod: Record) -> None:
        self._said(pod, "Running", self._states(pod, {"running": {"startedAt": stamp()}}, up=True))

    def _crashed(self, pod: Record) -> None:
        """One more crash; the next try is twice as far off, as with the real back-off."""
        old = (pod.body.get("status") or {}).get("containerStatuses") or [{}]
        restarts = max(one.get("restartCount", 0) for one in old)
        restarts += any(one.get("lastState") for one in old)
        if pod.body["spec"]["restartPolicy"] == "Never":
            self._ended(pod, "Failed", 1)
            return
        wait = min(_LONGEST_BACKOFF, self.stage.seconds * 2**restarts)
        said = f"back-off {max(1, round(wait))}s restarting failed container in pod {pod.meta['name']}"
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": said}}
        ended = {"exitCode": 1, "reason": "Error", "startedAt": stamp(), "finishedAt": stamp()}
        states = self._states(pod, waiting, up=False, last={"terminated": ended}, restarts=restarts)
        self._said(pod, "Running", states)
        self.stage.at("start", PODS, pod.place, wait)

    def _ended(self, pod: Record, phase: str, code: int) -> None:
        reason = "Completed" if code == 0 else "Error"
        ended = {"terminated": {"exitCode": code, "reason": reason, "startedAt": stamp(), "finishedAt": stamp()}}
        why = "PodCompleted" if code == 0 else "PodFailed"
        self._said(pod, phase, self._states(pod, ended, up=False), why)
