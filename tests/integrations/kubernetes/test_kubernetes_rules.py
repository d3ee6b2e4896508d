"""What the stand-in refuses and what it does by itself, through the official client's typed calls."""

from __future__ import annotations

import json

import pytest
from kubernetes import client
from kubernetes.client.rest import ApiException

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def refused(call, *args, **more):
    """The Status a call is refused with."""
    with pytest.raises(ApiException) as caught:
        call(*args, **more)
    body = json.loads(caught.value.body)
    assert (body["kind"], body["status"], body["code"]) == ("Status", "Failure", caught.value.status)
    return body


@pytest.fixture
def core(api):
    return client.CoreV1Api(api)


@pytest.fixture
def apps(api):
    return client.AppsV1Api(api)


@pytest.fixture
def custom(api):
    return client.CustomObjectsApi(api)


def deployment(name="web", labels=None, **spec):
    template = {
        "metadata": {"labels": labels or {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "x:1"}]},
    }
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    return {"metadata": {"name": name}, "spec": spec}


POD = {"containers": [{"name": "c", "image": "x:1"}]}
TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": POD}
WORKLOAD = {"selector": {"matchLabels": {"app": "x"}}, "template": TEMPLATE}
ONCE = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}
KINDS = [
    ("CoreV1Api", "pod", {"spec": POD}),
    ("CoreV1Api", "config_map", {"data": {"a": "b"}}),
    ("CoreV1Api", "secret", {"stringData": {"a": "b"}}),
    ("CoreV1Api", "service", {"spec": {"ports": [{"port": 80}]}}),
    ("CoreV1Api", "service_account", {}),
    ("CoreV1Api", "event", {"involvedObject": {"namespace": "prod"}}),
    ("AppsV1Api", "deployment", {"spec": WORKLOAD}),
    ("AppsV1Api", "replica_set", {"spec": WORKLOAD}),
    ("AppsV1Api", "stateful_set", {"spec": {**WORKLOAD, "serviceName": "x"}}),
    ("BatchV1Api", "job", {"spec": ONCE}),
    ("BatchV1Api", "cron_job", {"spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": ONCE}}}),
    (
        "AutoscalingV2Api",
        "horizontal_pod_autoscaler",
        {"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "x"}}},
    ),
    ("CoordinationV1Api", "lease", {"spec": {"holderIdentity": "a"}}),
    ("PolicyV1Api", "pod_disruption_budget", {"spec": {"minAvailable": 1}}),
    ("RbacAuthorizationV1Api", "role", {"rules": []}),
    ("RbacAuthorizationV1Api", "role_binding", {"roleRef": {"kind": "Role", "name": "x"}}),
]


@pytest.mark.parametrize(("group", "kind", "body"), KINDS, ids=[kind for _, kind, _ in KINDS])
def test_every_built_in_kind_lives_its_life(api, group, kind, body):
    calls = getattr(client, group)(api)

    def ask(verb, *args, **more):
        return getattr(calls, f"{verb}_namespaced_{kind}")(*args, **more)

    made = ask("create", "prod", {"metadata": {"name": "x"}, **body})
    assert made.metadata.uid
    assert ask("read", "x", "prod").metadata.resource_version == made.metadata.resource_version
    assert "x" in [one.metadata.name for one in ask("list", "prod").items]
    changed = ask("patch", "x", "prod", {"metadata": {"labels": {"a": "b"}}})
    assert changed.metadata.labels["a"] == "b"
    assert ask("replace", "x", "prod", changed).metadata.resource_version == changed.metadata.resource_version
    assert refused(ask, "create", "prod", {"metadata": {"name": "x"}, **body})["reason"] == "AlreadyExists"
    ask("delete", "x", "prod")
    assert refused(ask, "read", "x", "prod")["reason"] == "NotFound"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (deployment(labels={"app": "other"}), "`selector` does not match template `labels`"),
        (deployment(replicas=-1), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (deployment("Web"), "a lowercase RFC 1123 subdomain"),
        ({"metadata": {}, "spec": deployment()["spec"]}, "metadata.name: Required value"),
        (deployment(strategy={"type": "Sideways"}), 'Unsupported value: "Sideways"'),
    ],
)
def test_a_deployment_that_cannot_be_is_refused(apps, body, said):
    answer = refused(apps.create_namespaced_deployment, "prod", body)
    assert (answer["code"], answer["reason"]) == (422, "Invalid")
    assert said in answer["message"]
    assert answer["details"]["causes"]


RAW = ("apps", "v1", "prod", "deployments")  # the typed calls would refuse these bodies before they are sent


def test_a_value_of_the_wrong_type_is_no_object(custom):
    answer = refused(custom.create_namespaced_custom_object, *RAW, deployment(replicas="three"))
    assert answer["code"] == 400
    assert "cannot unmarshal string into Go struct field" in answer["message"]


def test_unknown_fields_warn_or_are_refused(custom):
    body = deployment(replica=3)
    answer = refused(custom.create_namespaced_custom_object, *RAW, body, field_validation="Strict")
    assert answer["code"] == 400
    assert answer["message"].endswith('strict decoding error: unknown field "spec.replica"')
    made, status, headers = custom.create_namespaced_custom_object_with_http_info(*RAW, body)
    assert status == 201
    assert made["spec"]["replicas"] == 1
    assert "replica" not in made["spec"]
    assert headers["Warning"] == r'299 - "unknown field \"spec.replica\""'


def test_a_selector_never_changes(apps):
    made = apps.read_namespaced_deployment("gateway", "prod")
    made.spec.selector.match_labels = {"app": "other"}
    made.spec.template.metadata.labels = {"app": "other"}
    assert "field is immutable" in refused(apps.replace_namespaced_deployment, "gateway", "prod", made)["message"]


def test_generation_counts_what_is_wanted_and_not_what_is_told(apps):
    apps.patch_namespaced_deployment("gateway", "prod", {"metadata": {"labels": {"a": "b"}}})
    apps.patch_namespaced_deployment_status("gateway", "prod", {"status": {"readyReplicas": 1}})
    body = apps.read_namespaced_deployment("gateway", "prod")
    assert (body.metadata.generation, body.status.ready_replicas) == (1, 1)
    body = apps.patch_namespaced_deployment(
        "gateway", "prod", {"spec": {"replicas": 3}, "status": {"readyReplicas": 9}}
    )
    assert (body.metadata.generation, body.status.ready_replicas) == (2, 1)


def test_a_write_that_changes_nothing_is_no_new_version(apps):
    before = apps.read_namespaced_deployment("gateway", "prod").metadata.resource_version
    after = apps.patch_namespaced_deployment("gateway", "prod", {"spec": {"replicas": 2}})
    assert after.metadata.resource_version == before


def test_a_strategic_patch_merges_lists_by_their_keys(apps):
    def patch(*containers):
        spec = {"template": {"spec": {"containers": list(containers)}}}
        return apps.patch_namespaced_deployment("gateway", "prod", {"spec": spec}).spec.template.spec.containers

    found = patch({"name": "gateway", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]})
    assert found[0].image.endswith("gateway:1.4.2")
    found = patch({"name": "gateway", "env": [{"name": "B", "value": "3"}, {"name": "A", "$patch": "delete"}]})
    assert [(e.name, e.value) for e in found[0].env] == [("B", "3")]
    found = patch({"name": "side", "image": "s:1"}, {"name": "gateway", "env": None})
    assert sorted(one.name for one in found) == ["gateway", "side"]
    found = patch({"$patch": "replace"}, {"name": "only", "image": "o:1"})
    assert [one.name for one in found] == ["only"]


def test_a_list_as_merge_patch_is_refused(custom):
    at = ("security.istio.io", "v1beta1", "prod", "peerauthentications")
    custom.create_namespaced_custom_object(
        *at, {"apiVersion": "security.istio.io/v1beta1", "kind": "PeerAuthentication", "metadata": {"name": "x"}}
    )
    answer = refused(custom.patch_namespaced_custom_object, *at, "x", [{"op": "remove", "path": "/spec"}])
    assert answer["code"] == 400
    assert "cannot unmarshal array" in answer["message"]
    assert refused(custom.patch_namespaced_custom_object, *at, "y", {}, _content_type=MERGE)["code"] == 404


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"mtls": {"mode": 1}}, "spec.mtls.mode in body must be of type string"),
        ({"mtls": "STRICT"}, "spec.mtls in body must be of type object"),
        ({"portLevelMtls": {"80": {"mode": "MAYBE"}}}, 'spec.portLevelMtls.80.mode: Unsupported value: "MAYBE"'),
    ],
)
def test_the_schema_of_a_custom_kind_is_held(custom, spec, said):
    body = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {"name": "x"}, "spec": spec}
    at = ("security.istio.io", "v1", "prod", "peerauthentications")
    answer = refused(custom.create_namespaced_custom_object, *at, body)
    assert answer["code"] == 422
    assert said in answer["message"]


def test_a_definition_that_goes_takes_its_objects_along(api, custom):
    at = ("security.istio.io", "v1beta1", "prod", "peerauthentications")
    body = {"apiVersion": "security.istio.io/v1beta1", "kind": "PeerAuthentication", "metadata": {"name": "x"}}
    custom.create_namespaced_custom_object(*at, body)
    crds = client.ApiextensionsV1Api(api)
    crd = crds.read_custom_resource_definition("peerauthentications.security.istio.io")
    crds.delete_custom_resource_definition("peerauthentications.security.istio.io")
    assert "could not find the requested resource" in refused(custom.list_namespaced_custom_object, *at)["message"]
    crds.create_custom_resource_definition({"metadata": {"name": crd.metadata.name}, "spec": crd.spec})
    assert custom.list_namespaced_custom_object(*at)["items"] == []


def test_a_definition_without_a_structure_is_refused(api):
    names = {"plural": "flags", "kind": "Flag"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    loose = {**version, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {}}}}}
    crds = client.ApiextensionsV1Api(api)

    def create(name, *versions):
        spec = {"group": "example.org", "names": names, "scope": "Namespaced", "versions": list(versions)}
        return crds.create_custom_resource_definition({"metadata": {"name": name}, "spec": spec})

    assert "spec.names.plural" in refused(create, "flag.example.org", version)["message"]
    assert "must not be empty" in refused(create, "flags.example.org", loose)["message"]
    two = {**version, "name": "v2"}
    assert "exactly one version" in refused(create, "flags.example.org", version, two)["message"]
    create("flags.example.org", version)


def test_finalizers_hold_an_object_until_they_are_gone(core):
    core.create_namespaced_config_map("prod", {"metadata": {"name": "x", "finalizers": ["example.org/hold"]}})
    core.delete_namespaced_config_map("x", "prod", _preload_content=False)
    held = core.read_namespaced_config_map("x", "prod")
    assert held.metadata.deletion_timestamp
    more = {"metadata": {"finalizers": ["example.org/hold", "example.org/more"]}}
    assert refused(core.patch_namespaced_config_map, "x", "prod", more)["code"] == 422
    core.patch_namespaced_config_map("x", "prod", [{"op": "remove", "path": "/metadata/finalizers"}])
    assert refused(core.read_namespaced_config_map, "x", "prod")["code"] == 404


def owned(name, owner):
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner.metadata.name, "uid": owner.metadata.uid}
    return {"metadata": {"name": name, "ownerReferences": [ref]}}


@pytest.mark.parametrize(("policy", "left"), [("Background", False), ("Foreground", False), ("Orphan", True)])
def test_what_is_owned_goes_with_its_owner_unless_orphaned(core, policy, left):
    top = core.create_namespaced_config_map("prod", {"metadata": {"name": "top"}})
    child = core.create_namespaced_config_map("prod", owned("child", top))
    core.create_namespaced_config_map("prod", owned("grandchild", child))
    core.delete_namespaced_config_map("top", "prod", propagation_policy=policy, _preload_content=False)
    found = {one.metadata.name: one for one in core.list_namespaced_config_map("prod").items}
    assert sorted(found) == (["child", "grandchild"] if left else [])
    if left:
        assert not found["child"].metadata.owner_references


def test_a_delete_with_a_precondition(core):
    core.create_namespaced_config_map("prod", {"metadata": {"name": "x"}})
    body = {"preconditions": {"uid": "another"}}
    assert refused(core.delete_namespaced_config_map, "x", "prod", body=body)["code"] == 409
    core.delete_namespaced_config_map("x", "prod", dry_run="All")
    assert core.read_namespaced_config_map("x", "prod")


def test_deletecollection_takes_what_the_selector_takes(core):
    for name, tier in (("a", "x"), ("b", "x"), ("c", "y")):
        core.create_namespaced_config_map("prod", {"metadata": {"name": name, "labels": {"tier": tier}}})
    core.delete_collection_namespaced_config_map("prod", label_selector="tier=x", _preload_content=False)
    assert [one.metadata.name for one in core.list_namespaced_config_map("prod").items] == ["c"]


def test_a_namespace_takes_its_content_along_but_waits_for_finalizers(core):
    core.create_namespaced_config_map("stage", {"metadata": {"name": "a"}})
    core.create_namespaced_config_map("stage", {"metadata": {"name": "b", "finalizers": ["example.org/hold"]}})
    core.delete_namespace("stage", _preload_content=False)
    assert core.read_namespace("stage").status.phase == "Terminating"
    answer = refused(core.create_namespaced_config_map, "stage", {"metadata": {"name": "c"}})
    assert answer["code"] == 403
    assert "is being terminated" in answer["message"]
    core.patch_namespaced_config_map("b", "stage", [{"op": "remove", "path": "/metadata/finalizers"}])
    assert refused(core.read_namespace, "stage")["code"] == 404


def test_the_url_and_the_body_must_agree(core):
    body = {"metadata": {"name": "x", "namespace": "stage"}}
    assert refused(core.create_namespaced_config_map, "prod", body)["code"] == 400
    core.create_namespaced_config_map("prod", {"metadata": {"name": "x"}})
    other = {"metadata": {"name": "y"}}
    assert (
        "does not match the name on the URL"
        in refused(core.replace_namespaced_config_map, "x", "prod", other)["message"]
    )
    wrong = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "z"}}
    assert (
        "does not match the expected API version"
        in refused(core.create_namespaced_config_map, "prod", wrong)["message"]
    )
    answer = refused(core.create_namespaced_config_map, "nowhere", {"metadata": {"name": "x"}})
    assert answer["message"] == 'namespaces "nowhere" not found'


def test_dry_run_writes_nothing(cluster, core, apps):
    before = cluster.dump()
    core.create_namespaced_config_map("prod", {"metadata": {"name": "x"}}, dry_run="All")
    apps.patch_namespaced_deployment("gateway", "prod", {"spec": {"replicas": 9}}, dry_run="All")
    apps.patch_namespaced_deployment_scale("gateway", "prod", {"spec": {"replicas": 9}}, dry_run="All")
    apps.delete_namespaced_deployment("gateway", "prod", dry_run="All")
    assert cluster.dump() == before


# Who may do what


def grant(api, name, rules, subject, namespace="prod"):
    rbac = client.RbacAuthorizationV1Api(api)
    rbac.create_namespaced_role(namespace, {"metadata": {"name": name}, "rules": rules})
    body = {"metadata": {"name": name}, "roleRef": {"kind": "Role", "name": name}, "subjects": [subject]}
    rbac.create_namespaced_role_binding(namespace, body)


def test_a_role_covers_its_namespace_verbs_and_subresources(cluster, api, api_of):
    cluster.add_token("t", "bot", ["captains"])
    mine = client.AppsV1Api(api_of("t"))
    rules = [{"apiGroups": ["apps"], "resources": ["deployments", "deployments/scale"], "verbs": ["get", "list"]}]
    grant(api, "reader", rules, {"kind": "Group", "name": "captains"})
    assert mine.read_namespaced_deployment("gateway", "prod").metadata.name == "gateway"
    assert mine.read_namespaced_deployment_scale("gateway", "prod").spec.replicas == 2
    answer = refused(mine.patch_namespaced_deployment_scale, "gateway", "prod", {"spec": {"replicas": 0}})
    assert 'cannot patch resource "deployments/scale" in API group "apps" in the namespace "prod"' in answer["message"]
    assert refused(mine.list_namespaced_deployment, "stage")["code"] == 403
    assert "at the cluster scope" in refused(mine.list_deployment_for_all_namespaces)["message"]


def test_nobody_gives_what_they_do_not_have(cluster, api, api_of):
    cluster.add_token("t", "bot")
    rules = [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create"]}]
    grant(api, "granter", rules, {"kind": "User", "name": "bot"})
    mine = client.RbacAuthorizationV1Api(api_of("t"))
    secrets = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    answer = refused(mine.create_namespaced_role, "prod", {"metadata": {"name": "more"}, "rules": secrets})
    assert "attempting to grant RBAC permissions not currently held" in answer["message"]
    same = {"metadata": {"name": "same"}, "rules": rules}
    assert mine.create_namespaced_role("prod", same).metadata.name == "same"


def test_a_service_account_and_its_token(api, api_of):
    core = client.CoreV1Api(api)
    core.create_namespaced_service_account("prod", {"metadata": {"name": "captain"}})
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
    grant(api, "lister", rules, {"kind": "ServiceAccount", "name": "captain", "namespace": "prod"})
    token = core.create_namespaced_service_account_token("captain", "prod", {"spec": {"audiences": []}}).status.token
    mine = client.CoreV1Api(api_of(token))
    assert mine.list_namespaced_config_map("prod").items == []
    answer = refused(mine.list_namespaced_secret, "prod")
    assert 'User "system:serviceaccount:prod:captain"' in answer["message"]


def test_a_review_says_what_enforcement_does(cluster, api, api_of):
    cluster.add_token("t", "bot")
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["flags"], "verbs": ["get"]}]
    grant(api, "one", rules, {"kind": "User", "name": "bot"})
    reviews = client.AuthorizationV1Api(api_of("t"))

    def may(**ask):
        return reviews.create_self_subject_access_review({"spec": {"resourceAttributes": ask}}).status.allowed

    ask = {"namespace": "prod", "resource": "configmaps", "verb": "get"}
    assert may(**ask, name="flags")
    assert not may(**ask, name="other")
    assert not may(**{**ask, "verb": "delete"}, name="flags")
    assert not may(**{**ask, "namespace": "stage"}, name="flags")


def test_without_a_token_a_closed_cluster_knows_nobody(cluster_with, api_of):
    cluster_with(require_token=True, rollout_seconds=None)
    answer = refused(client.CoreV1Api(api_of()).list_namespace)
    assert (answer["code"], answer["reason"]) == (401, "Unauthorized")


# What the page and a restart see


def test_state_is_what_a_person_wants_to_see(cluster, core):
    core.create_namespaced_secret("prod", {"metadata": {"name": "key"}, "stringData": {"token": "hidden"}})
    state = cluster.state()
    row = next(one for one in state["objects"] if (one["kind"], one["name"]) == ("Deployment", "gateway"))
    assert set(row) == {
        *("apiVersion", "kind", "namespace", "name", "generation"),
        *("labels", "annotations", "spec", "status", "created_at", "managers"),
    }
    assert (row["apiVersion"], row["namespace"], row["spec"]["replicas"]) == ("apps/v1", "prod", 2)
    assert row["managers"] == ["seed"]
    text = json.dumps(state)
    assert "managedFields" not in text
    assert "hidden" not in text
    assert "aGlkZGVu" not in text


def test_changes_are_told(cluster, core):
    told = []
    cluster.changed.append(lambda: told.append(1))
    core.list_namespaced_config_map("prod")
    assert not told
    core.create_namespaced_config_map("prod", {"metadata": {"name": "x"}})
    assert told


def test_a_dump_is_loaded_as_it_was(cluster, cluster_with, api, api_of):
    cluster.add_token("t", "bot", ["captains"])
    custom = client.CustomObjectsApi(api)
    at = ("security.istio.io", "v1beta1", "prod", "peerauthentications")
    spec = {"mtls": {"mode": "STRICT"}}
    body = {
        "apiVersion": "security.istio.io/v1beta1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "x"},
        "spec": spec,
    }
    apply = {"field_manager": "captain", "_content_type": "application/apply-patch+yaml"}
    custom.patch_namespaced_custom_object(*at, "x", body, **apply)
    saved = json.loads(json.dumps(cluster.dump()))
    state = cluster.state()

    other = cluster_with(seed=False, rollout_seconds=None)
    other.load(saved)
    assert other.dump() == saved
    assert other.state() == state
    assert client.VersionApi(api_of("t")).get_code().git_version
    again = client.CustomObjectsApi(api_of())
    answer = refused(again.patch_namespaced_custom_object, *at, "x", body, _content_type=STRATEGIC)
    assert answer["code"] == 415
    changed = {**body, "spec": {"mtls": {"mode": "UNSET"}}}
    more = {**apply, "field_manager": "argo"}
    answer = refused(again.patch_namespaced_custom_object, *at, "x", changed, **more)
    assert answer["message"] == 'Apply failed with 1 conflict: conflict with "captain": .spec.mtls.mode'
