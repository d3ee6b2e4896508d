"""The kubernetes kind over many objects, and images: pinned, and signed in a registry that tells, refuses and errs."""

from __future__ import annotations

import base64

import pytest
import requests
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.errors import ConfigError
from bot.integrations.kubernetes import KubernetesSettings
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.fake import FakeKubernetes
from bot.standin import CallLog, serve
from runbooks import Looks, Outcome
from runbooks.kinds.kubernetes import pick
from runbooks.registry import image

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def pod(name, *, restarts=0, ready="True", app="docs", images=("nginx:1",), running=()):
    containers = [{"name": f"c{i}", "image": one} for i, one in enumerate(images)]
    statuses = [
        {
            "name": f"c{i}",
            "image": one,
            "restartCount": restarts,
            "ready": True,
            "imageID": running[i] if running else "",
        }
        for i, one in enumerate(images)
    ]
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "prod", "labels": {"app": app, "app.kubernetes.io/name": app}},
        "spec": {"containers": containers},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready, "reason": "Because"}], "containerStatuses": statuses},
    }  # fmt: skip


def deployment(name="docs", images=("nginx:1",)):
    labels = {"app": name}
    containers = [{"name": f"c{i}", "image": one} for i, one in enumerate(images)]
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "prod", "labels": labels},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}},
    }  # fmt: skip


@pytest.fixture
def look(one, behind):
    """``look(objects, fields)``: the objects are put into the stand-in, and looked at through the real client."""
    # Without controllers: what a kubelet would say of its pods is said here.
    fake = FakeKubernetes(CallLog(), rollout_seconds=None)
    url = behind(fake.app)
    client = KubernetesClient(KubernetesSettings(url=url, timeout=5))

    def run(objects, text, **how):
        for body in objects:
            root = "api/v1" if body["apiVersion"] == "v1" else f"apis/{body['apiVersion']}"
            folder = f"{url}/{root}/namespaces/prod/{body['kind'].lower()}s"
            one_of_them = f"{folder}/{body['metadata']['name']}"
            requests.delete(one_of_them, params={"gracePeriodSeconds": 0}, timeout=5)
            requests.post(folder, json=body, timeout=5).raise_for_status()
            said = {"content-type": "application/merge-patch+json"}
            status = {"status": body.get("status", {})}
            requests.patch(f"{one_of_them}/status", json=status, headers=said, timeout=5).raise_for_status()
        return one(f"kind: kubernetes\nnamespace: prod\n{text}", Looks(cluster=client), **how)

    run.fake = fake
    yield run
    client.close()


PODS = [pod("docs-1", restarts=2), pod("docs-2", restarts=1), pod("other", app="other", restarts=9, ready="Unknown")]


@pytest.mark.parametrize(
    ("text", "outcome", "said"),
    [
        ("selector: app=docs\ncondition: {type: Ready}", "PASS", "2 of 2 are as they should be; pods/docs-"),
        ("selector: app=docs\nmin_objects: 3\ncondition: {type: Ready}", "FAIL", "pods with app=docs in prod: 2 of at least 3"),
        ("selector: app=none\ncondition: {type: Ready}", "FAIL", "does not exist"),
        ("selector: app\ncondition: {type: Ready}", "INCONCLUSIVE", "2 of 3 are as they should be; pods/other in prod: Ready is Unknown (Because)"),
        ("selector: app=docs\ncondition: {type: Ready, status: false}", "FAIL", "0 of 2"),
        ("selector: app=docs\ncondition: {type: Other}", "NO_DATA", "has no condition Other"),
        ("selector: app=docs\nmax_restarts: 2", "PASS", ""),
        ("selector: app\nmax_restarts: 2", "FAIL", "2 of 3 are as they should be; pods/other in prod: 9 restarts"),
        ("selector: app=docs\nfield: status.phase\nequals: Running", "PASS", ""),
        ("selector: app\nfield: 'metadata.labels[\"app.kubernetes.io/name\"]'\nequals: docs", "FAIL", "is other, not docs"),
        ("selector: app=none\nabsent: true", "PASS", "does not exist"),
        ("selector: app=docs\nabsent: true", "FAIL", "is there: docs-1, docs-2"),
        ("object: docs-1\nabsent: true", "FAIL", "pods/docs-1 in prod is there"),
        ("object: docs-9\nabsent: true", "PASS", "does not exist"),
        ("object: docs-9\ncondition: {type: Ready}", "FAIL", "does not exist"),
        ("object: other\ncondition: {type: Ready, status: Unknown}", "PASS", "Ready is Unknown"),
    ],
)  # fmt: skip
def test_many_objects(look, text, outcome, said):
    result = look(PODS, f"resource: pod\n{text}")
    assert result.outcome == Outcome(outcome), result.detail
    assert said in result.detail


def test_restarts_over_all_pods_of_a_deployment(look):
    objects = [deployment(), *PODS]
    text = "resource: deployment\nobject: docs\nmax_restarts: "
    result = look(objects, text + "3")
    assert (result.outcome, result.value, result.samples) == (Outcome.PASS, "3", 2), result.detail
    assert "3 restarts (docs-1/c0 2, docs-2/c0 1)" in result.detail
    assert look((), text + "2").outcome is Outcome.FAIL


@pytest.mark.parametrize("mode", ["500", "429", "reset"])
def test_a_cluster_that_does_not_tell_is_an_error(look, mode):
    look.fake.faults.breaks(mode)
    assert look((), "resource: pod\nselector: app=docs\nabsent: true").outcome is Outcome.ERROR


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("resource: pod\nfield: a\nequals: 1", "give either object: or selector:"),
        ("resource: pod\nobject: a\nselector: b\nfield: a\nequals: 1", "give either object: or selector:"),
        ("resource: pod\nobject: a", "give exactly one of rollout, max_restarts, field, condition"),
        ("resource: pod\nobject: a\nabsent: true\nmax_restarts: 1", "not max_restarts and absent"),
        ("resource: service\nobject: a\nmax_restarts: 1", "only a pod and what has pods counts restarts"),
        ("resource: pod\nobject: a\ncondition: {status: x}", "condition: takes type: and status:"),
        ("resource: pod\nobject: a\nabsent: true\nmin_objects: 2", "min_objects: needs selector:"),
        ("resource: pod\nobject: a\nabsent: true\ncontainer: x", "container: needs image:"),
    ],
)
def test_what_cannot_be_asked_is_refused(look, text, said):
    with pytest.raises(ConfigError, match=said):
        look((), text)


def test_a_name_with_dots_is_picked():
    labels = {"metadata": {"labels": {"a.b/c": "yes"}, "list": [{"name": "x", "v": 1}]}}
    assert pick(labels, 'metadata.labels["a.b/c"]') == "yes"
    assert pick(labels, "metadata.list[name=x].v") == 1


@pytest.mark.parametrize(
    ("images", "more", "outcome", "said"),
    [
        (("x/y:1",), "image: x/y:1", "PASS", "c0 has x/y:1"),
        (("x/y:2",), "image: x/y:1", "FAIL", "c0 has x/y:2, not x/y:1"),
        (("x/y:1", "proxy:3"), "image: x/y:1", "FAIL", "c1 has proxy:3"),
        (("x/y:1", "proxy:3"), "image: x/y:1\ncontainer: c0", "PASS", ""),
        (("x/y:1",), "image: x/y:1\ncontainer: nobody", "NO_DATA", "has no container nobody"),
        ((f"x/y:1@{A}",), "image_pinned: true", "PASS", ""),
        ((f"x/y@{A}", "proxy:3"), "image_pinned: true", "FAIL", "c1 has proxy:3, which names no digest"),
    ],
)
def test_images(look, images, more, outcome, said):
    for text, body in (
        ("deployment\nobject: docs", deployment(images=images)),
        ("pod\nobject: p", pod("p", images=images)),
    ):
        result = look([body], f"resource: {text}\n{more}")
        assert result.outcome == Outcome(outcome), result.detail
        assert said in result.detail


def test_names_of_images():
    assert image("nginx") == image("docker.io/library/nginx:latest")
    made = image(f"localhost:5000/a/b:1@{A}")
    assert (made.host, made.path, made.tag, made.digest) == ("localhost:5000", "a/b", "1", A)
    assert image("ghcr.io/org/app:v1").host == "ghcr.io"
    with pytest.raises(ValueError, match="is no name of an image"):
        image("What Is This")


class Registry:
    """A registry with a repository team/docs: A is signed by a tag, B by a referrer in ``referred``, others not at all."""

    def __init__(self):
        self.login = ""
        self.status = 200
        self.referred = {}
        self.seen = []
        self.realm = ""
        self.app = Starlette(
            routes=[
                Route("/token", self.token),
                Route("/v2/team/docs/manifests/{tag}", self.manifest),
                Route("/v2/team/docs/referrers/{digest}", self.referrers),
            ]
        )

    def refused(self, request):
        self.seen.append(request.url.path)
        if self.status != 200:
            return Response(status_code=self.status)
        if self.login and request.headers.get("authorization") != "Bearer t0ken":
            challenge = f'Bearer realm="{self.realm or request.url.replace(path="/token", query="")}",service="reg"'
            return Response(status_code=401, headers={"www-authenticate": challenge})
        return None

    async def token(self, request):
        given = request.headers.get("authorization", "")
        if given != "Basic " + base64.b64encode(self.login.encode()).decode():
            return Response(status_code=401)
        assert request.query_params["scope"] == "repository:team/docs:pull"
        return JSONResponse({"token": "t0ken"})

    async def manifest(self, request):
        if refused := self.refused(request):
            return refused
        signed = request.path_params["tag"] == A.replace(":", "-") + ".sig"
        return JSONResponse({"schemaVersion": 2} if signed else {}, 200 if signed else 404)

    async def referrers(self, request):
        if refused := self.refused(request):
            return refused
        digest = request.path_params["digest"]
        rows = [{"artifactType": kind} for kind in self.referred.get(digest, ())]
        return JSONResponse({"manifests": rows}, 200 if self.referred else 404)


@pytest.fixture
def registry():
    made = Registry()
    door = serve(made.app)
    made.host = door.url.removeprefix("http://")
    yield made
    door.stop()


SIGNED = "resource: pod\nobject: p\nimage_signed: true"


def test_a_signature_in_the_registry(look, registry):
    name = f"{registry.host}/team/docs"
    result = look([pod("p", images=(f"{name}@{A}",))], SIGNED)
    assert result.outcome is Outcome.PASS, result.detail
    assert f"c0 by the tag sha256-{'a' * 64}.sig" in result.detail
    assert look([pod("p", images=(f"{name}@{B}",))], SIGNED).outcome is Outcome.FAIL
    registry.referred[B] = ["application/spdx+json"]
    unsigned = look((), SIGNED)
    assert unsigned.outcome is Outcome.FAIL
    assert f"holds no signature for team/docs@{B} (c0)" in unsigned.detail
    registry.referred[B].append("application/vnd.dev.sigstore.bundle.v0.3+json")
    assert look((), SIGNED).outcome is Outcome.PASS


def test_a_running_pod_tells_the_digest_that_its_image_leaves_open(look, registry):
    name = f"{registry.host}/team/docs"
    assert "names no digest" in look([pod("p", images=(f"{name}:1",))], SIGNED).detail
    assert look([pod("p", images=(f"{name}:1",), running=(f"{name}@{A}",))], SIGNED).outcome is Outcome.PASS


def test_a_registry_that_wants_a_login(look, registry):
    registry.login = "reader:s3cret-pass"
    look([pod("p", images=(f"{registry.host}/team/docs@{A}",))], "resource: pod\nobject: p\nabsent: true")
    without = look((), SIGNED)
    assert without.outcome is Outcome.ERROR
    assert "gives no token (401); give registry_login" in without.detail
    ours = f"{SIGNED}\nregistry: {registry.host}\nregistry_login: env:L"
    assert look((), ours, environ={"L": registry.login}).outcome is Outcome.PASS
    others = look((), ours.replace(registry.host, "ghcr.io"), environ={"L": registry.login})
    assert (others.outcome, "gives no token (401)" in others.detail) == (Outcome.ERROR, True)
    registry.realm = "http://169.254.169.254/token"
    away = look((), ours, environ={"L": registry.login})
    assert away.outcome is Outcome.ERROR
    assert "which is not https" in away.detail


@pytest.mark.parametrize("status", [403, 429, 500])
def test_a_registry_that_does_not_tell_is_an_error(look, registry, status):
    registry.status = status
    result = look([pod("p", images=(f"{registry.host}/team/docs@{A}",))], SIGNED)
    assert result.outcome is Outcome.ERROR
    assert f"answered {status}" in result.detail


def test_a_registry_that_is_not_there_or_not_to_be_asked(look):
    for host, said in (("127.0.0.1:9", "cannot be asked"), ("169.254.169.254", "where a check must not look")):
        result = look([pod("p", images=(f"{host}/team/docs@{A}",))], SIGNED)
        assert result.outcome is Outcome.ERROR
        assert said in result.detail
