"""Every step a bot takes against the API answers as a real API server did; the answers are in real-answers-1.36.2.yaml."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import yaml
from kubernetes import client, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.stream import stream

from bot.integrations.kubernetes import fake
from bot.integrations.kubernetes.fake import FakeKubernetes
from bot.standin import CallLog, serve

HERE = Path(__file__).parent
REAL = yaml.safe_load((HERE / "real-answers-1.36.2.yaml").read_text())
GROUP, NS, PLURAL = "security.istio.io", "prod", "peerauthentications"
SSA = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STEPS = {}


def step(name):
    def keep(function):
        STEPS[name] = function
        return function

    return keep


def auth(mode="STRICT", name="mesh-mtls"):
    meta = {"name": name, "namespace": NS}
    return {
        "apiVersion": f"{GROUP}/v1beta1",
        "kind": "PeerAuthentication",
        "metadata": meta,
        "spec": {"mtls": {"mode": mode}},
    }


class Walker:
    """The APIs of the administrator (``api``) and of the user ``bot`` (``other``)."""

    def __init__(self, url):
        self.url = url
        self.api, self.other = self.connect(), self.connect("pretend-token")
        self.core, self.apps = client.CoreV1Api(self.api), client.AppsV1Api(self.api)
        self.custom = client.CustomObjectsApi(self.api)
        self.at = {"group": GROUP, "version": "v1beta1", "namespace": NS, "plural": PLURAL}

    def connect(self, token=""):
        configuration = client.Configuration()
        configuration.host = self.url
        if token:
            configuration.api_key["BearerToken"] = f"Bearer {token}"
        return client.ApiClient(configuration)

    def create(self, body, **more):
        return self.custom.create_namespaced_custom_object(body=body, **self.at, **more)

    def get(self, name):
        return self.custom.get_namespaced_custom_object(name=name, **self.at)

    def patch(self, name, body, media=MERGE, **more):
        return self.custom.patch_namespaced_custom_object(name=name, body=body, _content_type=media, **self.at, **more)

    def delete(self, name):
        return self.custom.delete_namespaced_custom_object(name=name, **self.at)


def managers(body):
    return [[entry["manager"], entry["operation"]] for entry in body["metadata"]["managedFields"]]


@step("version")
def _(w):
    return client.VersionApi(w.api).get_code().git_version


@step("install the Istio kinds")
def _(w):
    crds = client.ApiextensionsV1Api(w.api)
    for crd in yaml.safe_load_all(Path(fake.__file__).with_name("istio-crds.yaml").read_text()):
        crds.create_custom_resource_definition(crd)
    rows = crds.list_custom_resource_definition().items
    states = {c.status for row in rows for c in row.status.conditions if c.type == "Established"}
    return [len(rows), *states]


@step("create a namespace")
def _(w):
    return w.core.create_namespace({"metadata": {"name": NS}}).metadata.name


@step("create a PeerAuthentication")
def _(w):
    meta = w.create(auth())["metadata"]
    assert meta["resourceVersion"].isdigit()
    assert len(meta["uid"]) == 36


@step("create it again")
def _(w):
    return w.create(auth())


@step("a mode outside the schema")
def _(w):
    return w.create(auth("STRICTT", "bad"))


@step("read it in the other served version")
def _(w):
    return w.custom.get_namespaced_custom_object(GROUP, "v1", NS, PLURAL, "mesh-mtls")["apiVersion"]


@step("read what is not there")
def _(w):
    return w.get("nope")


@step("replace with a stale version")
def _(w):
    old = w.get("mesh-mtls")
    w.patch("mesh-mtls", {"metadata": {"labels": {"a": "b"}}})
    old["spec"]["mtls"]["mode"] = "DISABLE"
    return w.custom.replace_namespaced_custom_object(name="mesh-mtls", body=old, **w.at)


@step("patch as the client picks the type")
def _(w):
    body = {"spec": {"mtls": {"mode": "PERMISSIVE"}}}
    return w.custom.patch_namespaced_custom_object(name="mesh-mtls", body=body, **w.at)["spec"]


def swap(have, want):
    path = "/spec/mtls/mode"
    return [{"op": "test", "path": path, "value": have}, {"op": "replace", "path": path, "value": want}]


@step("JSON patch whose test holds")
def _(w):
    return w.patch("mesh-mtls", swap("PERMISSIVE", "STRICT"), "application/json-patch+json")["spec"]


@step("JSON patch whose test fails")
def _(w):
    return w.patch("mesh-mtls", swap("DISABLE", "UNSET"), "application/json-patch+json")


@step("merge patch with a stale version")
def _(w):
    return w.patch("mesh-mtls", {"metadata": {"resourceVersion": "1"}, "spec": {"mtls": {"mode": "UNSET"}}})


@step("strategic merge on a custom resource")
def _(w):
    return w.patch("mesh-mtls", {"spec": {"mtls": {"mode": "UNSET"}}}, "application/strategic-merge-patch+json")


@step("apply that creates")
def _(w):
    # The generated API maps 200 alone: an apply that creates (201) gives None.
    assert w.patch("ssa", auth("STRICT", "ssa"), SSA, field_manager="rc") is None
    return managers(w.get("ssa"))


@step("apply against another manager")
def _(w):
    return w.patch("ssa", auth("DISABLE", "ssa"), SSA, field_manager="argo")


@step("apply with force")
def _(w):
    body = w.patch("ssa", auth("PERMISSIVE", "ssa"), SSA, field_manager="argo", force=True)
    return [body["spec"], managers(body)]


@step("apply without a manager")
def _(w):
    return w.patch("ssa", auth("STRICT", "ssa"), SSA)


@step("dry run")
def _(w):
    tried = w.patch("ssa", {"spec": {"mtls": {"mode": "DISABLE"}}}, dry_run="All")["spec"]
    return [tried, w.get("ssa")["spec"]]


@step("strict about unknown fields")
def _(w):
    body = auth("STRICT", "strict")
    body["spec"]["mtlz"] = {}
    return w.create(body, field_validation="Strict")


def names(listed):
    return [item["metadata"]["name"] for item in listed["items"]]


@step("list by label")
def _(w):
    return names(w.custom.list_namespaced_custom_object(label_selector="a=b", **w.at))


@step("list by field")
def _(w):
    return names(w.custom.list_namespaced_custom_object(field_selector="metadata.name=ssa", **w.at))


@step("watch")
def _(w):
    revision = w.custom.list_namespaced_custom_object(**w.at)["metadata"]["resourceVersion"]
    seen = []

    def follow():
        source = watch.Watch()
        listing = w.custom.list_namespaced_custom_object
        for event in source.stream(listing, **w.at, resource_version=revision, timeout_seconds=5):
            seen.append([event["type"], event["object"]["metadata"]["name"]])
            if event["type"] == "DELETED":
                source.stop()

    thread = threading.Thread(target=follow)
    thread.start()
    w.create(auth("STRICT", "w1"))
    w.patch("w1", {"spec": {"mtls": {"mode": "DISABLE"}}})
    w.delete("w1")
    thread.join(8)
    return seen


@step("create a VirtualService and a DestinationRule")
def _(w):
    to = [{"destination": {"host": "docs-api", "subset": s}, "weight": n} for s, n in (("v1", 90), ("v2", 10))]
    specs = {
        "VirtualService": {"hosts": ["docs-api"], "http": [{"route": to}]},
        "DestinationRule": {
            "host": "docs-api.prod.svc.cluster.local",
            "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}},
        },
    }
    group, version = "networking.istio.io", "v1beta1"
    made = []
    for kind, spec in specs.items():
        body = {"apiVersion": f"{group}/{version}", "kind": kind, "metadata": {"name": "docs-api"}, "spec": spec}
        made.append(w.custom.create_namespaced_custom_object(group, version, NS, f"{kind.lower()}s", body))
    return [one["metadata"]["name"] for one in made]


@step("create a Deployment")
def _(w):
    marks = {"app": "docs-api"}
    template = {"metadata": {"labels": marks}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": marks}, "template": template}
    return w.apps.create_namespaced_deployment(NS, {"metadata": {"name": "docs-api"}, "spec": spec}).metadata.name


@step("read and patch its scale")
def _(w):
    before = w.apps.read_namespaced_deployment_scale("docs-api", NS).spec.replicas
    w.apps.patch_namespaced_deployment_scale("docs-api", NS, {"spec": {"replicas": 5}})
    return [before, w.apps.read_namespaced_deployment("docs-api", NS).spec.replicas]


@step("replace its scale with a stale version")
def _(w):
    old = w.apps.read_namespaced_deployment_scale("docs-api", NS)
    w.apps.patch_namespaced_deployment_scale("docs-api", NS, {"spec": {"replicas": 4}})
    old.spec.replicas = 1
    return w.apps.replace_namespaced_deployment_scale("docs-api", NS, old)


@step("restart its rollout")
def _(w):
    notes = {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}
    body = w.apps.patch_namespaced_deployment("docs-api", NS, {"spec": {"template": {"metadata": notes}}})
    return [body.metadata.generation, len(body.spec.template.spec.containers)]


@step("create an autoscaler")
def _(w):
    spec = {"minReplicas": 1, "maxReplicas": 3}
    spec["scaleTargetRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "docs-api"}
    body = {"metadata": {"name": "docs-api"}, "spec": spec}
    return client.AutoscalingV2Api(w.api).create_namespaced_horizontal_pod_autoscaler(NS, body).metadata.name


@step("create and replace a Lease")
def _(w):
    leases = client.CoordinationV1Api(w.api)
    body = {"metadata": {"name": "rc"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}
    lease = leases.create_namespaced_lease(NS, body)
    lease.spec.holder_identity = "b"
    return leases.replace_namespaced_lease("rc", NS, lease).spec.holder_identity


@step("replace a ConfigMap with a stale version")
def _(w):
    flags = w.core.create_namespaced_config_map(NS, {"metadata": {"name": "flags"}, "data": {"x": "0"}})
    w.core.patch_namespaced_config_map("flags", NS, {"data": {"x": "1"}})
    flags.data = {"x": "2"}
    return w.core.replace_namespaced_config_map("flags", NS, flags)


@step("create an Event")
def _(w):
    about = {"kind": "Deployment", "name": "docs-api", "namespace": NS}
    body = {"metadata": {"generateName": "rc-"}, "involvedObject": about, "reason": "Drill", "type": "Normal"}
    name = w.core.create_namespaced_event(NS, {**body, "message": "m"}).metadata.name
    assert name.startswith("rc-")
    assert len(name) == 8


@step("create a pod and patch its status")
def _(w):
    spec = {"containers": [{"name": "c", "image": "x:1"}]}
    w.core.create_namespaced_pod(NS, {"metadata": {"name": "p1", "labels": {"app": "docs-api"}}, "spec": spec})
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    return w.core.patch_namespaced_pod_status("p1", NS, {"status": status}).status.phase


@step("exec into it")
def _(w):
    core = client.CoreV1Api(w.connect())  # stream() changes the ApiClient it is given
    call = core.connect_get_namespaced_pod_exec
    return stream(call, "p1", NS, command=["true"], stdout=True, stderr=True, _request_timeout=5)


@step("read its log")
def _(w):
    return w.core.read_namespaced_pod_log("p1", NS)


@step("evict it")
def _(w):
    return w.core.create_namespaced_pod_eviction("p1", NS, {"metadata": {"name": "p1", "namespace": NS}}) is not None


@step("discover and apply")
def _(w):
    found = DynamicClient(w.api, cache_file=w.cache).resources.get(
        api_version=f"{GROUP}/v1beta1", kind="PeerAuthentication"
    )
    body = auth("STRICT", "dyn")
    return found.server_side_apply(body=body, name="dyn", namespace=NS, field_manager="rc").metadata.name


@step("may the administrator patch")
def _(w):
    ask = {"namespace": NS, "verb": "patch", "group": GROUP, "resource": PLURAL}
    reviews = client.AuthorizationV1Api(w.api)
    return reviews.create_self_subject_access_review({"spec": {"resourceAttributes": ask}}).status.allowed


@step("a token user without a role")
def _(w):
    return client.CustomObjectsApi(w.other).list_namespaced_custom_object(**w.at)


@step("with a role for one name")
def _(w):
    rbac, group = client.RbacAuthorizationV1Api(w.api), "rbac.authorization.k8s.io"
    rule = {"apiGroups": [GROUP], "resources": [PLURAL], "resourceNames": ["mesh-mtls"], "verbs": ["get", "patch"]}
    rbac.create_namespaced_role(NS, {"metadata": {"name": "rc"}, "rules": [rule]})
    ref, who = {"apiGroup": group, "kind": "Role", "name": "rc"}, {"kind": "User", "name": "bot", "apiGroup": group}
    rbac.create_namespaced_role_binding(NS, {"metadata": {"name": "rc"}, "roleRef": ref, "subjects": [who]})
    body = {"spec": {"mtls": {"mode": "STRICT"}}}
    mine = client.CustomObjectsApi(w.other)
    done = mine.patch_namespaced_custom_object(name="mesh-mtls", body=body, _content_type=MERGE, **w.at)
    return [name for name, _ in managers(done)]


@step("another name")
def _(w):
    mine = client.CustomObjectsApi(w.other)
    return mine.patch_namespaced_custom_object(name="ssa", body={}, **w.at)


@step("delete")
def _(w):
    w.delete("mesh-mtls")
    with pytest.raises(ApiException) as gone:
        w.get("mesh-mtls")
    return gone.value.status


def carried_out(function, walker):
    try:
        return {"gives": function(walker)}
    except ApiException as error:
        try:
            said = json.loads(error.body)
        except (TypeError, ValueError):
            return {"status": error.status, "says": str(error.reason)}
        return {"status": error.status, "says": said["message"], "body": said}


@pytest.fixture(scope="module", params=["/", "/kubernetes"])
def walked(request, tmp_path_factory):
    """The whole walk, once at the root of a server and once below a prefix: what each step answered."""
    cluster = FakeKubernetes(CallLog(), seed=False, rollout_seconds=None)
    cluster.add_token("pretend-token", "bot", ["release-captain"])
    prefix = request.param.rstrip("/")

    async def mounted(scope, receive, send):
        await cluster.app({**scope, "root_path": prefix}, receive, send)

    served = serve(mounted)
    walker = Walker(served.url + prefix)
    walker.cache = str(tmp_path_factory.mktemp("walk") / "discovery.json")
    answers = {name: carried_out(function, walker) for name, function in STEPS.items()}
    walker.api.close()
    walker.other.close()
    served.stop()
    return answers


def test_every_recorded_answer_has_its_step():
    assert list(REAL) == list(STEPS)


@pytest.mark.parametrize("name", list(REAL))
def test_the_step_answers_as_the_real_server_did(walked, name):
    real, answer = REAL[name], walked[name]
    if "status" in real:
        assert answer.get("status") == real["status"], answer
        assert answer["says"].startswith(real["says"])
        if "body" in answer:
            assert answer["body"]["kind"] == "Status"
            assert answer["body"]["code"] == real["status"]
    elif real["gives"] == "any":
        assert "gives" in answer, answer
    else:
        assert answer == real
