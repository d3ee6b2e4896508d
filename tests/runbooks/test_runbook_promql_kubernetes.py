"""The promql and kubernetes kinds through the real clients: every verdict, and what is said with it."""

from __future__ import annotations

import copy
import time

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from bot.integrations.kubernetes import KubernetesSettings
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.prometheus import PrometheusSettings
from bot.integrations.prometheus.client import PrometheusClient
from bot.integrations.prometheus.fake import FakePrometheus
from bot.standin import CallLog
from runbooks import Looks, Outcome


@pytest.fixture
def fake():
    made = FakePrometheus(CallLog())
    made.ingest('n{a="1"} 5\nn{a="2"} 7\nmixed{a="1"} NaN\nmixed{a="2"} 3\nbig +Inf\nsmall -Inf\nfew 3\nnothing NaN\n')
    return made


@pytest.fixture
def promql(one, fake, behind):
    client = PrometheusClient(PrometheusSettings(url=behind(fake.app), timeout=5))
    yield lambda text, **how: one(f"kind: promql\n{text}", Looks(metrics=client), **how)
    client.close()


@pytest.mark.parametrize(
    ("text", "outcome", "value", "said"),
    [
        ("expr: n\nthreshold: 10", "PASS", "7", 'want < 10) for a="2"'),
        ("expr: n\nop: <\nthreshold: 6", "FAIL", "7", "7 (want < 6)"),
        ("expr: n\nop: '>'\nthreshold: 6\nunit: req/s", "FAIL", "5", "5 req/s (want > 6)"),
        ("expr: n\nop: '>='\nthreshold: 5", "PASS", "5", "want >= 5"),
        ("expr: n\nop: '<='\nthreshold: 7", "PASS", "7", "want <= 7"),
        ("expr: few\nop: ==\nthreshold: 3", "PASS", "3", "want == 3"),
        ("expr: few\nop: '!='\nthreshold: 3", "FAIL", "3", "want != 3"),
        ("expr: 1 + 1\nthreshold: 3", "PASS", "2", "2 (want < 3)"),
        ("expr: nowhere\nthreshold: 3", "NO_DATA", "", "no data"),
        ("expr: nothing\nthreshold: 3", "NO_DATA", "nan", "NaN"),
        ("expr: vector(0) / 0\nop: '!='\nthreshold: 3", "NO_DATA", "nan", "NaN"),
        ("expr: mixed\nthreshold: 10", "NO_DATA", "nan", "NaN"),
        ("expr: mixed\nthreshold: 2", "FAIL", "3", "want < 2"),
        ("expr: big\nthreshold: 10", "FAIL", "inf", "inf"),
        ("expr: big\nop: '>'\nthreshold: 10", "INCONCLUSIVE", "inf", "infinite"),
        ("expr: small\nthreshold: 10", "INCONCLUSIVE", "-inf", "infinite"),
        ("expr: n\nthreshold: 10\nmin_samples: 3", "INCONCLUSIVE", "7", "2 of at least 3 samples"),
        ("expr: n\nthreshold: 1\nmin_samples: 3", "INCONCLUSIVE", "7", "2 of at least 3 samples"),
        ("expr: n\nthreshold: 10\nsamples: sum(n)\nmin_samples: 12", "PASS", "7", "want"),
        ("expr: n\nthreshold: 10\nsamples: sum(n)\nmin_samples: 13", "INCONCLUSIVE", "7", "12 of at least 13 samples"),
        ("expr: n\nthreshold: 10\nsamples: nowhere\nmin_samples: 1", "INCONCLUSIVE", "7", "how many samples"),
        ("expr: n\nthreshold: 10\nsamples: nothing\nmin_samples: 1", "INCONCLUSIVE", "7", "how many samples"),
        ("expr: n{\nthreshold: 10", "ERROR", "", "unexpected end of input"),
        ("expr: n[5m]\nthreshold: 10", "ERROR", "", "matrix"),
        ("expr: deriv(n[5m])\nthreshold: 10", "ERROR", "", "unsupported by this stand-in"),
    ],
)
def test_promql(promql, text, outcome, value, said):
    result = promql(text)
    assert result.outcome == Outcome(outcome), result.detail
    assert result.value == value
    assert said in result.detail


def test_promql_tells_what_it_rests_on(promql):
    result = promql("expr: n\nthreshold: 10\nsamples: sum(n)\nmin_samples: 5\nunit: ms")
    assert (result.threshold, result.unit, result.samples) == ("< 10", "ms", 12)


def test_promql_partial_answers_are_inconclusive(promql, fake):
    fake.partial("remote store did not answer")
    for text in ("expr: n\nthreshold: 10", "expr: n\nthreshold: 1"):
        result = promql(text)
        assert result.outcome is Outcome.INCONCLUSIVE
        assert "remote store did not answer" in result.detail


@pytest.mark.parametrize("mode", ["500", "503", "429", "reset"])
def test_promql_broken_is_an_error(promql, fake, mode):
    fake.faults.breaks(mode)
    assert promql("expr: n\nthreshold: 10").outcome is Outcome.ERROR


def test_promql_a_hang_is_an_error_within_the_checks_timeout(promql, fake):
    fake.faults.breaks("hang")
    began = time.monotonic()
    result = promql("expr: n\nthreshold: 10\ntimeout: 0.5")
    assert time.monotonic() - began < 0.9
    assert result.outcome is Outcome.ERROR
    assert "0.5 s" in result.detail


def test_promql_without_prometheus_says_what_to_add(one):
    result = one("kind: promql\nexpr: up\nthreshold: 1")
    assert result.outcome is Outcome.ERROR
    assert "prometheus:" in result.detail
    assert "captain.yml" in result.detail


def test_promql_parameters_stay_values(promql):
    text = 'expr: count(up{pod="{{pod}}"}) or vector(0)\nop: ">"\nthreshold: 0'
    how = {"parameters": {"pod": "x"}}
    assert promql(text, **how, given={"pod": "docs-api-0"}).outcome is Outcome.PASS
    assert promql(text, **how, given={"pod": '"} or vector(9) or up{pod="'}).outcome is Outcome.FAIL
    assert promql(text, **how, given={"pod": 'back\\slash"'}).outcome is Outcome.FAIL
    window = {"parameters": {"w": "5m"}}
    expr = 'expr: "count(rate(istio_requests_total[{{w}}]))"\nop: ">"\nthreshold: 0'
    assert promql(expr, **window, given={"w": "10m"}).outcome is Outcome.PASS
    refused = promql(expr, **window, given={"w": "5m])) or vector(1) #"})
    assert refused.outcome is Outcome.ERROR
    assert "outside quotes" in refused.detail


COMPLETE = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "docs-api", "namespace": "prod", "generation": 4},
    "spec": {"replicas": 2, "strategy": {"type": "RollingUpdate"}},
    "status": {
        "observedGeneration": 4, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2,
        "conditions": [{"type": "Available", "status": "True"}, {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}],
    },
}  # fmt: skip


def but(**status):
    body = copy.deepcopy(COMPLETE)
    reason = status.pop("reason", None)
    spec = status.pop("spec", {})
    body["spec"] |= spec
    body["status"] |= status
    body["status"] = {k: v for k, v in body["status"].items() if v is not None}
    if reason:
        body["status"]["conditions"][1]["reason"] = reason
    return body


@pytest.fixture
def kubernetes(one, behind):
    def look(body, text, **how):
        async def answer(request):
            if body is None:
                group, plural, name = (
                    ("apps", "deployments", "docs-api") if "apps" in request.url.path else ("", "pods", "p")
                )
                status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
                details = {"name": name, "group": group, "kind": plural}
                said = f'{plural}{"." if group else ""}{group} "{name}" not found'
                return JSONResponse({**status, "message": said, "details": details}, 404)
            return JSONResponse(body)

        url = behind(Starlette(routes=[Route("/{rest:path}", answer)]))
        client = KubernetesClient(KubernetesSettings(url=url, timeout=2))
        return one(f"kind: kubernetes\n{text}", Looks(cluster=client), **how)

    return look


ROLLOUT = "resource: deployment\nobject: docs-api\nnamespace: prod\nrollout: true"


@pytest.mark.parametrize(
    ("body", "outcome", "said"),
    [
        (COMPLETE, "PASS", "2 updated and 2 available of 2"),
        (
            but(spec={"replicas": 0}, replicas=None, updatedReplicas=None, availableReplicas=None),
            "PASS",
            "0 available of 0",
        ),
        (but(observedGeneration=3), "INCONCLUSIVE", "not seen the newest change"),
        (but(updatedReplicas=1, reason="ReplicaSetUpdated"), "INCONCLUSIVE", "rolling out"),
        (but(replicas=3, reason="ReplicaSetUpdated"), "INCONCLUSIVE", "rolling out"),
        (but(updatedReplicas=1, spec={"paused": True}), "INCONCLUSIVE", "paused"),
        (but(availableReplicas=1, reason="ReplicaSetUpdated"), "INCONCLUSIVE", "rolling out"),
        (but(availableReplicas=None), "FAIL", "0 available of 2"),
        (but(availableReplicas=1), "FAIL", "1 available of 2"),
        (but(updatedReplicas=1, reason="ProgressDeadlineExceeded"), "FAIL", "exceeded its deadline"),
        ({**COMPLETE, "status": {}}, "NO_DATA", "no status"),
        (None, "FAIL", "does not exist"),
    ],
)
def test_kubernetes_rollout(kubernetes, body, outcome, said):
    result = kubernetes(body, ROLLOUT)
    assert result.outcome == Outcome(outcome), result.detail
    assert said in result.detail
    if outcome == "PASS":
        assert (result.unit, result.threshold.split()[1]) == ("replicas", "updated")


@pytest.mark.parametrize(
    ("resource", "status", "outcome"),
    [
        ("statefulset", {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}, "PASS"),
        (
            "statefulset",
            {
                "replicas": 3,
                "updatedReplicas": 1,
                "availableReplicas": 3,
                "currentRevision": "a",
                "updateRevision": "b",
            },
            "INCONCLUSIVE",
        ),
        ("statefulset", {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 2}, "FAIL"),
        ("daemonset", {"desiredNumberScheduled": 4, "updatedNumberScheduled": 4, "numberAvailable": 4}, "PASS"),
        ("daemonset", {"desiredNumberScheduled": 4, "updatedNumberScheduled": 2, "numberAvailable": 4}, "INCONCLUSIVE"),
        ("daemonset", {"desiredNumberScheduled": 4, "updatedNumberScheduled": 4, "numberAvailable": 3}, "FAIL"),
    ],
)
def test_kubernetes_other_things_that_roll_out(kubernetes, resource, status, outcome):
    body = {"apiVersion": "apps/v1", "kind": "x", "metadata": {"name": "a", "generation": 1}, "spec": {"replicas": 3}}
    body["status"] = {"observedGeneration": 1, **status}
    result = kubernetes(body, f"resource: {resource}\nobject: a\nnamespace: prod\nrollout: true")
    assert result.outcome == Outcome(outcome), result.detail


POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "x"}},
       "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
                  "containerStatuses": [{"name": "app", "restartCount": 2}, {"name": "proxy", "restartCount": 1}]}}  # fmt: skip


@pytest.mark.parametrize(
    ("body", "more", "outcome", "said"),
    [
        (POD, "max_restarts: 3", "PASS", "3 restarts (app 2, proxy 1)"),
        (POD, "max_restarts: 2", "FAIL", "3 restarts"),
        (
            {**POD, "status": {"initContainerStatuses": [{"name": "init", "restartCount": 9}], **POD["status"]}},
            "max_restarts: 3",
            "FAIL",
            "12 restarts (init 9, app 2",
        ),
        ({**POD, "status": {}}, "max_restarts: 2", "NO_DATA", "nothing of its containers"),
        (POD, "field: status.phase\nequals: Running", "PASS", "status.phase is Running"),
        (POD, "field: status.phase\nequals: Pending", "FAIL", "not Pending"),
        (POD, "field: 'status.conditions[type=Ready].status'\nequals: 'True'", "PASS", "True"),
        (POD, "field: 'status.conditions[type=Other].status'\nequals: 'True'", "NO_DATA", "has no"),
        (POD, "field: status.containerStatuses.1.restartCount\nequals: 1", "PASS", "is 1"),
        (POD, "field: spec.nodeName\nequals: n", "NO_DATA", "has no spec.nodeName"),
        (None, "field: status.phase\nequals: Running", "FAIL", "does not exist"),
    ],
)
def test_kubernetes_pods_and_fields(kubernetes, body, more, outcome, said):
    result = kubernetes(body, f"resource: pod\nobject: p\nnamespace: prod\n{more}")
    assert result.outcome == Outcome(outcome), result.detail
    assert said in result.detail


def test_kubernetes_any_other_resource_by_its_version_and_plural(kubernetes):
    body = {"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"on": True}}
    more = "api_version: x.io/v1\nresource: things\nobject: t\nfield: spec.on\nequals: true"
    assert kubernetes(body, more).outcome is Outcome.PASS


def test_kubernetes_not_configured_or_unreachable_is_an_error(one):
    result = one(f"kind: kubernetes\n{ROLLOUT}")
    assert result.outcome is Outcome.ERROR
    assert "kubernetes:" in result.detail
    nobody = KubernetesClient(KubernetesSettings(url="http://127.0.0.1:9", timeout=1))
    assert one(f"kind: kubernetes\n{ROLLOUT}", Looks(cluster=nobody)).outcome is Outcome.ERROR
