"""Server-side apply: who owns which field after any sequence of writes, and when a write is a conflict."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes import client
from kubernetes.client.rest import ApiException

from bot.integrations.kubernetes.fake_fields import Ownership, apply, from_wire, leaves, said, updated
from bot.integrations.kubernetes.fake_schema import builtin, custom
from bot.integrations.kubernetes.fake_status import ApiError

SSA = "application/apply-patch+yaml"
MTLS = yaml.safe_load(
    """
    type: object
    properties:
      spec:
        type: object
        properties:
          mode: {type: string}
          replicas: {type: integer}
          labels: {type: object, additionalProperties: {type: string}}
          list: {type: array, items: {type: string}}
          hosts: {type: array, x-kubernetes-list-type: set, items: {type: string}}
          ports:
            type: array
            x-kubernetes-list-type: map
            x-kubernetes-list-map-keys: [name]
            items: {type: object, properties: {name: {type: string}, port: {type: integer}, kind: {type: string}}}
          free: {type: object, x-kubernetes-preserve-unknown-fields: true}
    """
)
NODE = custom(MTLS)
WORD = st.sampled_from(["a", "b", "c"])
PORT = st.fixed_dictionaries({"name": WORD}, optional={"port": st.integers(1, 3), "kind": WORD})
SPEC = st.fixed_dictionaries(
    {},
    optional={
        "mode": WORD,
        "replicas": st.integers(0, 2),
        "labels": st.dictionaries(WORD, WORD, max_size=2),
        "list": st.lists(WORD, max_size=2),
        "hosts": st.lists(WORD, max_size=2, unique=True),
        "ports": st.lists(PORT, max_size=2, unique_by=lambda port: port["name"]),
        "free": st.dictionaries(WORD, st.dictionaries(WORD, WORD, max_size=2), max_size=2),
    },
)
WRITER = st.sampled_from(["bot", "argo", "kubectl"])
WRITES = st.lists(st.tuples(WRITER, SPEC, st.booleans()), min_size=1, max_size=6)


def there(path, have):
    return any(path == other[: len(path)] for other in have)


def writer(name, operation="Apply"):
    return Ownership(name, operation, "example.org/v1", "2026-01-01T00:00:00Z", "", frozenset())


def owners_of(owners, path):
    return {one.manager for one in owners if path in one.fields}


def conflicting(live, owners, config, name):
    """What must be a conflict, said without the code under test: another owns a leaf and it would not stay as it is."""
    have, want = leaves(live, NODE), leaves(config, NODE)
    mine = {path for path in want if path in have and want[path] != have[path]}
    return {path for one in owners if one.manager != name for path in one.fields & mine}


@given(WRITES)
@settings(max_examples=200)
def test_the_last_who_wrote_a_field_owns_it_and_others_values_are_safe(writes):
    live, owners = {"spec": {}}, ()
    for name, spec, force in writes:
        config = {"spec": spec}
        expected = conflicting(live, owners, config, name)
        before = json.dumps([live, [one.wire() for one in owners]])
        try:
            live, owners = apply(live, owners, config, NODE, writer(name), force=force)
        except ApiError as refused:
            assert refused.code == 409
            assert not force
            assert expected
            assert {cause["field"] for cause in refused.details["causes"]} == {said(path) for path in expected}
            assert json.dumps([live, [one.wire() for one in owners]]) == before
            continue
        assert force or not expected
        have, want = leaves(live, NODE), leaves(config, NODE)
        for path, value in want.items():
            assert there(path, have)
            if path in have:
                assert have[path] == value
                assert name in owners_of(owners, path)
        for one in owners:
            assert all(there(path, have) for path in one.fields)
            assert one.manager == name or not one.fields & expected


@given(WRITES)
@settings(max_examples=100)
def test_a_field_nobody_names_any_more_is_gone(writes):
    live, owners = {"spec": {}}, ()
    for name, spec, _ in writes:
        live, owners = apply(live, owners, {"spec": spec}, NODE, writer(name), force=True)
    for name in ("bot", "argo", "kubectl"):
        live, owners = apply(live, owners, {}, NODE, writer(name), force=True)
    assert owners == ()
    assert not [path for path, value in leaves(live, NODE).items() if value not in ({}, [])]


@given(SPEC, SPEC)
def test_a_plain_write_owns_what_it_changed_and_nothing_else(first, second):
    node_leaves = [leaves({"spec": spec}, NODE) for spec in (first, second)]
    owners = updated((), {}, node_leaves[0], writer("argo", "Update"))
    owners = updated(owners, *node_leaves, writer("bot", "Update"))
    for path, value in node_leaves[1].items():
        same = path in node_leaves[0] and node_leaves[0][path] == value
        assert owners_of(owners, path) == {"argo" if same else "bot"}
    owned = frozenset().union(*(one.fields for one in owners))
    assert owned >= node_leaves[1].keys()
    assert all(there(path, node_leaves[1]) for path in owned)


@given(SPEC)
def test_owned_fields_survive_the_wire(spec):
    own = Ownership(
        "bot", "Apply", "example.org/v1", "2026-01-01T00:00:00Z", "status", frozenset(leaves({"spec": spec}, NODE))
    )
    assert from_wire(json.loads(json.dumps(own.wire()))) == own


def test_paths_are_said_as_kubernetes_says_them():
    ports = {"spec": {"ports": [{"port": 80, "name": "http"}]}, "metadata": {"finalizers": ["f"]}}
    assert sorted(said(path) for path in leaves(ports, builtin("Service"))) == [
        '.metadata.finalizers[="f"]',
        '.spec.ports[port=80,protocol="TCP"]',
        '.spec.ports[port=80,protocol="TCP"].name',
        '.spec.ports[port=80,protocol="TCP"].port',
    ]


# Over the wire, with the official client


@pytest.fixture
def apps(api):
    return client.AppsV1Api(api)


def config(*containers, **spec):
    meta = {"name": "gateway", "namespace": "prod"}
    if containers:
        spec["template"] = {"spec": {"containers": list(containers)}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def put(apps, body, manager, **more):
    return apps.patch_namespaced_deployment("gateway", "prod", body, field_manager=manager, _content_type=SSA, **more)


def refused(call, *args, **more):
    with pytest.raises(ApiException) as caught:
        call(*args, **more)
    return json.loads(caught.value.body)


def test_two_managers_share_a_container_field_by_field(apps):
    env = {"name": "gateway", "env": [{"name": "LOG", "value": "debug"}]}
    body = put(apps, config(env), "bot")
    assert body.spec.template.spec.containers[0].image == "ghcr.io/example/gateway:1.4.2"
    assert [e.value for e in body.spec.template.spec.containers[0].env] == ["debug"]
    body = put(apps, config({"name": "side", "image": "example/side:1"}), "mesh")
    assert [c.name for c in body.spec.template.spec.containers] == ["gateway", "side"]
    body = put(apps, config({"name": "gateway"}), "bot")
    assert body.spec.template.spec.containers[0].env is None
    assert [c.name for c in body.spec.template.spec.containers] == ["gateway", "side"]


def test_conflicts_name_every_manager_and_field(apps):
    put(apps, config({"name": "gateway", "image": "example/gateway:2"}), "argo", force=True)
    said_back = refused(put, apps, config({"name": "gateway", "image": "x:3"}, replicas=5), "bot")
    assert said_back["reason"] == "Conflict"
    assert said_back["message"].startswith("Apply failed with 2 conflicts: ")
    causes = {(c["message"], c["field"]) for c in said_back["details"]["causes"]}
    assert causes == {
        ('conflict with "argo"', '.spec.template.spec.containers[name="gateway"].image'),
        ('conflict with "seed" using apps/v1', ".spec.replicas"),
    }


def test_the_same_value_is_shared_and_stays_when_one_lets_go(apps):
    put(apps, config(replicas=2), "bot")
    put(apps, config(replicas=2), "argo")
    assert put(apps, config(), "bot").spec.replicas == 2
    said_back = refused(put, apps, config(replicas=3), "bot")
    assert 'conflicts with "' in said_back["message"] or 'conflict with "' in said_back["message"]


def test_a_default_comes_back_when_nobody_wants_the_field(apps):
    put(apps, config(minReadySeconds=5, revisionHistoryLimit=3), "bot", force=True)
    body = put(apps, config(), "bot")
    assert (body.spec.revision_history_limit, body.spec.min_ready_seconds) == (10, None)


def test_apply_of_the_same_is_no_new_version(apps):
    first = put(apps, config(minReadySeconds=5), "bot")
    assert put(apps, config(minReadySeconds=5), "bot").metadata.resource_version == first.metadata.resource_version


def test_a_field_the_kind_does_not_have_is_refused_at_once(apps):
    said_back = refused(put, apps, config(replica=5), "bot")
    assert said_back["code"] == 500
    assert ".spec.replica: field not declared in schema" in said_back["message"]


def test_apply_of_scale_is_owned_apart(apps):
    body = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "gateway"}, "spec": {"replicas": 4}}
    scale = apps.patch_namespaced_deployment_scale(
        "gateway", "prod", body, field_manager="hpa", force=True, _content_type=SSA
    )
    assert scale.spec.replicas == 4
    said_back = refused(put, apps, config(replicas=1), "bot")
    assert (
        said_back["message"]
        == 'Apply failed with 1 conflict: conflict with "hpa" with subresource "scale": .spec.replicas'
    )
