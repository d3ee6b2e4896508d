"""How far a rollout is, off the objects as the API server shows them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from handlers.deploys import rollout
from handlers.deploys.kinds import Workload
from handlers.deploys.rollout import Stage

TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "x", "image": "x:1"}]}}


def deployment(*, replicas=2, generation=3, observed=3, revision="4", reason="", paused=False, **status):
    meta = {"name": "x", "uid": "u", "generation": generation, "creationTimestamp": "2026-11-26T10:00:00Z"}
    meta["annotations"] = {rollout.REVISION: revision} if revision else {}
    said = {
        "type": "Progressing",
        "reason": reason,
        "message": "it took too long",
        "lastUpdateTime": "2026-11-26T10:05:00Z",
    }
    spec = {"replicas": replicas, "template": TEMPLATE, "paused": paused}
    counts = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2} | status
    return {"metadata": meta, "spec": spec, "status": {"observedGeneration": observed, "conditions": [said], **counts}}


def stage(kind, body):
    found = rollout.read(kind, body)
    return found.stage if found else None


def test_a_deployment_is_done_when_kubectl_would_say_so():
    read = lambda **changes: stage(Workload.DEPLOYMENTS, deployment(**changes))  # noqa: E731
    assert read() is Stage.COMPLETE
    assert read(updatedReplicas=1) is Stage.ROLLING
    assert read(replicas=3) is Stage.ROLLING
    assert read(availableReplicas=1) is Stage.ROLLING
    assert read(updatedReplicas=2, replicas=2, availableReplicas=2) is Stage.COMPLETE
    assert read(reason="ProgressDeadlineExceeded") is Stage.FAILED


def test_nothing_is_said_of_what_its_controller_has_not_looked_at():
    assert rollout.read(Workload.DEPLOYMENTS, deployment(observed=2)) is None
    assert rollout.read(Workload.DEPLOYMENTS, deployment(revision="")) is None
    assert rollout.read(Workload.DEPLOYMENTS, {"metadata": {"name": "x", "generation": 1}}) is None


def test_a_stateful_set_is_done_when_every_pod_is_of_the_new_revision_and_ready():
    def read(**status):
        meta = {"name": "x", "uid": "u", "generation": 1}
        spec = {
            "replicas": 2,
            "template": TEMPLATE,
            "updateStrategy": {"rollingUpdate": {"partition": status.pop("partition", 0)}},
        }
        known = {
            "observedGeneration": 1,
            "updateRevision": "b",
            "currentRevision": "b",
            "readyReplicas": 2,
            "updatedReplicas": 2,
        }
        return stage(Workload.STATEFULSETS, {"metadata": meta, "spec": spec, "status": known | status})

    assert read() is Stage.COMPLETE
    assert read(currentRevision="a", updatedReplicas=1) is Stage.ROLLING
    assert read(readyReplicas=1) is Stage.ROLLING
    assert read(currentRevision="a", updatedReplicas=1, partition=1) is Stage.COMPLETE


def test_a_daemon_set_is_done_when_every_node_has_the_new_one():
    def read(**status):
        meta = {"name": "x", "uid": "u", "generation": 5, "annotations": {rollout.GENERATION: "2"}}
        known = {
            "observedGeneration": 5,
            "desiredNumberScheduled": 3,
            "updatedNumberScheduled": 3,
            "numberAvailable": 3,
        }
        return rollout.read(
            Workload.DAEMONSETS, {"metadata": meta, "spec": {"template": TEMPLATE}, "status": known | status}
        )

    assert read().stage is Stage.COMPLETE
    assert read().revision == "2"
    assert read(updatedNumberScheduled=2).stage is Stage.ROLLING
    assert read(numberAvailable=2).stage is Stage.ROLLING


def test_who_deployed_is_who_wrote_the_spec_last_and_no_controller():
    body = deployment()
    body["metadata"]["managedFields"] = [
        {"manager": "helm", "time": "2026-11-26T09:00:00Z"},
        {"manager": "argocd", "time": "2026-11-26T10:00:00Z"},
        {"manager": "kube-controller-manager", "time": "2026-11-26T10:01:00Z", "subresource": "status"},
    ]
    assert rollout.read(Workload.DEPLOYMENTS, body).by == "argocd"
    body["metadata"]["annotations"][rollout.CAUSE] = "release 77 by alice"
    assert rollout.read(Workload.DEPLOYMENTS, body).by == "release 77 by alice"


def test_the_image_that_changed_is_the_one_that_is_told():
    body = deployment()
    sidecar = {"name": "proxy", "image": "proxy:8"}
    body["spec"]["template"] = {"spec": {"containers": [sidecar, {"name": "x", "image": "x:1"}]}}
    seen = rollout.read(Workload.DEPLOYMENTS, body)
    assert seen.image({}) == "x:1"
    assert seen.image({"proxy": "proxy:7", "x": "x:1"}) == "proxy:8"
    assert seen.image({"proxy": "proxy:8", "x": "x:0"}) == "x:1"


@given(st.sampled_from(list(Workload)), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_what_is_scaled_keeps_its_revision(kind, replicas, now, new, ready):
    one = deployment(replicas=replicas, updatedReplicas=new, availableReplicas=ready)
    one["status"] |= {"replicas": now, "updateRevision": "r", "currentRevision": "r"}
    one["metadata"]["annotations"][rollout.GENERATION] = "4"
    other = deployment(replicas=replicas + 1)
    other["status"] |= {"updateRevision": "r"}
    other["metadata"]["annotations"][rollout.GENERATION] = "4"
    assert rollout.read(kind, one).revision == rollout.read(kind, other).revision
