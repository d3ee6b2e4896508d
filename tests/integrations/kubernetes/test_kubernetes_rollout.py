"""Rollouts as they look from outside: a change makes pods, the pods start or crash, and the status tells of it."""

from __future__ import annotations

import threading

import pytest
from ground.waiting import until
from kubernetes import client
from kubernetes.client.rest import ApiException


@pytest.fixture
def played(cluster_with):
    return cluster_with(rollout_seconds=0.2)


@pytest.fixture
def apps(played, api_of):
    return client.AppsV1Api(api_of())


@pytest.fixture
def core(played, api_of):
    return client.CoreV1Api(api_of())


def conditions(body):
    return {c.type: (c.status, c.reason) for c in body.status.conditions or []}


def rolled_out(apps, name="gateway"):
    """The deployment once everything wanted is there, as ``kubectl rollout status`` sees it."""

    def done():
        body = apps.read_namespaced_deployment(name, "prod")
        s = body.status
        assert s.observed_generation == body.metadata.generation
        assert s.updated_replicas == s.available_replicas == s.replicas == body.spec.replicas, s
        return body

    return until(done, message=f"{name} did not roll out")


def image(text, **spec):
    return {"spec": {"template": {"spec": {"containers": [{"name": "gateway", "image": text}]}}, **spec}}


def pods(core, app="gateway"):
    return core.list_namespaced_pod("prod", label_selector=f"app={app}").items


def test_the_seeded_deployments_become_available(apps, core):
    body = rolled_out(apps)
    assert conditions(body) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    assert [pod.status.phase for pod in pods(core)] == ["Running", "Running"]
    assert "ready to serve" in core.read_namespaced_pod_log(pods(core)[0].metadata.name, "prod")


def test_a_new_image_replaces_every_pod_and_keeps_enough_of_them(apps, core, played):
    rolled_out(apps)
    fewest = []

    def hear():
        rows = [row for row in played.state()["objects"] if row["kind"] == "Deployment" and row["name"] == "gateway"]
        fewest.append(rows[0]["status"].get("availableReplicas", 0))

    played.changed.append(hear)
    old = {pod.metadata.name for pod in pods(core)}
    apps.patch_namespaced_deployment("gateway", "prod", image("example/gateway:2"))
    body = rolled_out(apps)
    until(lambda: len(pods(core)) == 2)
    assert not old & {pod.metadata.name for pod in pods(core)}
    assert {pod.spec.containers[0].image for pod in pods(core)} == {"example/gateway:2"}
    assert body.metadata.annotations["deployment.kubernetes.io/revision"] == "2"
    assert min(fewest) == 2
    sets = apps.list_namespaced_replica_set("prod", label_selector="app=gateway").items
    assert sorted(one.spec.replicas for one in sets) == [0, 2]


def test_a_broken_image_never_takes_the_old_pods_away_and_fails_at_its_deadline(apps, core):
    rolled_out(apps)
    apps.patch_namespaced_deployment("gateway", "prod", image("example/gateway:broken", progressDeadlineSeconds=1))

    def failed():
        body = apps.read_namespaced_deployment("gateway", "prod")
        return body if conditions(body)["Progressing"] == ("False", "ProgressDeadlineExceeded") else None

    body = until(failed)
    assert conditions(body)["Available"] == ("True", "MinimumReplicasAvailable")
    assert (body.status.available_replicas, body.status.updated_replicas) == (2, 1)
    sick = next(pod for pod in pods(core) if "broken" in pod.spec.containers[0].image)
    state = sick.status.container_statuses[0]
    assert state.state.waiting.reason == "CrashLoopBackOff"
    assert state.last_state.terminated.exit_code == 1
    assert not state.ready
    assert state.restart_count >= 1
    assert "fatal" in core.read_namespaced_pod_log(sick.metadata.name, "prod")


def test_going_back_to_the_old_image_heals_and_counts_as_a_new_revision(apps, core):
    good = rolled_out(apps).spec.template.spec.containers[0].image
    apps.patch_namespaced_deployment("gateway", "prod", image("example/gateway:broken"))
    until(lambda: any("broken" in pod.spec.containers[0].image for pod in pods(core)))
    apps.patch_namespaced_deployment("gateway", "prod", image(good))
    body = rolled_out(apps)
    assert body.metadata.annotations["deployment.kubernetes.io/revision"] == "3"
    assert conditions(body)["Progressing"] == ("True", "NewReplicaSetAvailable")


def test_scaling_makes_and_removes_pods(apps, core):
    rolled_out(apps)
    apps.patch_namespaced_deployment_scale("gateway", "prod", {"spec": {"replicas": 4}})
    rolled_out(apps)
    assert len(pods(core)) == 4
    apps.patch_namespaced_deployment_scale("gateway", "prod", {"spec": {"replicas": 0}})
    until(lambda: not pods(core))
    scale = apps.read_namespaced_deployment_scale("gateway", "prod")
    assert (scale.spec.replicas, scale.status.selector) == (0, "app=gateway")


def test_a_deleted_pod_comes_back_under_another_name(apps, core):
    rolled_out(apps)
    victim = pods(core)[0].metadata.name
    core.delete_namespaced_pod(victim, "prod")
    until(lambda: victim not in [pod.metadata.name for pod in pods(core)])
    rolled_out(apps)
    assert len(pods(core)) == 2


def test_recreate_has_no_two_generations_at_once(apps, core, played):
    rolled_out(apps)
    strategy = {"strategy": {"type": "Recreate", "rollingUpdate": None}}
    mixed = []

    def hear():
        rows = [row for row in played.state()["objects"] if row["kind"] == "Pod" and row["name"].startswith("gateway")]
        mixed.append(len({row["spec"]["containers"][0]["image"] for row in rows}))

    played.changed.append(hear)
    apps.patch_namespaced_deployment("gateway", "prod", image("example/gateway:3", **strategy))
    rolled_out(apps)
    assert max(mixed) == 1


def test_a_paused_deployment_waits(apps, core):
    rolled_out(apps)
    apps.patch_namespaced_deployment("gateway", "prod", image("example/gateway:4", paused=True))
    body = apps.read_namespaced_deployment("gateway", "prod")
    assert conditions(body)["Progressing"] == ("Unknown", "DeploymentPaused")
    assert all("gateway:4" not in pod.spec.containers[0].image for pod in pods(core))
    apps.patch_namespaced_deployment("gateway", "prod", {"spec": {"paused": False}})
    rolled_out(apps)
    until(lambda: all("gateway:4" in pod.spec.containers[0].image for pod in pods(core)))


def test_a_stateful_set_starts_in_order_and_updates_from_the_last(apps, core):
    marks = {"app": "store"}
    template = {"metadata": {"labels": marks}, "spec": {"containers": [{"name": "c", "image": "example/store:1"}]}}
    spec = {"replicas": 2, "serviceName": "store", "selector": {"matchLabels": marks}, "template": template}
    apps.create_namespaced_stateful_set("prod", {"metadata": {"name": "store"}, "spec": spec})
    assert [pod.metadata.name for pod in pods(core, "store")] == ["store-0"]
    until(lambda: apps.read_namespaced_stateful_set("store", "prod").status.ready_replicas == 2)
    newer = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "example/store:2"}]}}}}
    apps.patch_namespaced_stateful_set("store", "prod", newer)

    def updated():
        status = apps.read_namespaced_stateful_set("store", "prod").status
        return (
            status.updated_replicas == status.ready_replicas == 2 and status.current_revision == status.update_revision
        )

    until(updated)
    assert {pod.spec.containers[0].image for pod in pods(core, "store")} == {"example/store:2"}


@pytest.mark.parametrize(("tag", "want"), [("1", "Complete"), ("broken", "Failed")])
def test_a_job_completes_or_fails(played, core, api_of, tag, want):
    jobs = client.BatchV1Api(api_of())
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": f"example/job:{tag}"}]}
    spec = {"backoffLimit": 0, "template": {"spec": pod}}
    jobs.create_namespaced_job("prod", {"metadata": {"name": "j"}, "spec": spec})
    body = until(lambda: (b := jobs.read_namespaced_job("j", "prod")).status.conditions and b)
    assert conditions(body)[want][0] == "True"
    assert (body.status.succeeded, body.status.failed) == ((1, None) if want == "Complete" else (None, 1))


def test_a_disruption_budget_refuses_an_eviction(apps, core, api_of):
    rolled_out(apps)
    budgets = client.PolicyV1Api(api_of())
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "gateway"}}}
    budgets.create_namespaced_pod_disruption_budget("prod", {"metadata": {"name": "b"}, "spec": spec})
    name = pods(core)[0].metadata.name
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_pod_eviction(name, "prod", {"metadata": {"name": name}})
    assert refused.value.status == 429
    assert name in [pod.metadata.name for pod in pods(core)]


def test_without_work_there_is_no_thread(apps, played):
    rolled_out(apps)
    rolled_out(apps, "docs-api")
    until(lambda: played.play.pending() == 0)

    def ours(thread: threading.Thread) -> bool:
        return isinstance(thread, threading.Timer) and getattr(thread.function, "__self__", None) is played.play

    until(lambda: not any(map(ours, threading.enumerate())))


def test_a_rollout_under_way_goes_on_in_a_loaded_cluster(apps, played, cluster_with, api_of):
    rolled_out(apps)
    apps.patch_namespaced_deployment("gateway", "prod", image("example/gateway:5"))
    saved = played.dump()
    played.close()
    cluster_with(seed=False, rollout_seconds=0.2).load(saved)
    body = rolled_out(client.AppsV1Api(api_of()))
    assert body.spec.template.spec.containers[0].image == "example/gateway:5"


def test_a_daemon_set_has_one_pod_on_the_node_and_replaces_it_when_its_template_changes(apps, core):
    marks = {"app": "agent"}
    pod = {"metadata": {"labels": marks}, "spec": {"containers": [{"name": "agent", "image": "agent:1"}]}}
    body = {"metadata": {"name": "agent"}, "spec": {"selector": {"matchLabels": marks}, "template": pod}}
    apps.create_namespaced_daemon_set("prod", body)

    def done():
        now = apps.read_namespaced_daemon_set("agent", "prod")
        s = now.status
        assert s.observed_generation == now.metadata.generation
        assert s.desired_number_scheduled == s.updated_number_scheduled == s.number_available == 1
        return now

    first = until(done)
    (before,) = pods(core, "agent")
    apps.patch_namespaced_daemon_set("agent", "prod", {"spec": {"minReadySeconds": 0, "revisionHistoryLimit": 3}})
    note = "deprecated.daemonset.template.generation"
    assert until(done).metadata.annotations[note] == first.metadata.annotations[note], "its template is the same"
    changed = {"spec": {"template": {"spec": {"containers": [{"name": "agent", "image": "agent:2"}]}}}}
    apps.patch_namespaced_daemon_set("agent", "prod", changed)
    until(lambda: [one.spec.containers[0].image for one in pods(core, "agent") if done()] == ["agent:2"])
    (after,) = pods(core, "agent")
    assert after.metadata.name != before.metadata.name
    assert done().metadata.annotations[note] == "2"
