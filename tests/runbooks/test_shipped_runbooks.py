"""The shipped runbooks in the stand-ins' world: PASS while it is calm, FAIL with number and hint while it burns."""

from __future__ import annotations

import pytest
from ground.waiting import until
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bot.integrations.kubernetes import KubernetesSettings
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.fake import FakeKubernetes
from bot.integrations.prometheus import PrometheusSettings
from bot.integrations.prometheus.client import PrometheusClient
from bot.integrations.prometheus.fake import FakePrometheus
from bot.standin import CallLog, serve
from runbooks import Looks, Outcome, run, shipped


@pytest.fixture(scope="module")
def cluster():
    fake = FakeKubernetes(CallLog(), rollout_seconds=0.05)
    served = serve(fake.app)
    client = KubernetesClient(KubernetesSettings(url=served.url))
    until(
        lambda: all(
            run(shipped()[s], {}, Looks(cluster=client)).results[0].outcome is Outcome.PASS
            for s in ("docs-api", "gateway")
        )
    )
    yield client
    served.stop()
    fake.close()


@pytest.fixture
def metrics():
    return FakePrometheus(CallLog())


@pytest.fixture
def looks(cluster, metrics, behind):
    client = PrometheusClient(PrometheusSettings(url=behind(metrics.app)))
    yield Looks(metrics=client, cluster=cluster)
    client.close()


def by_name(report):
    return {r.name: r for r in report.results}


@pytest.mark.parametrize("service", ["docs-api", "gateway"])
def test_a_calm_world_passes(looks, service):
    report = run(shipped()[service], {}, looks)
    assert report.outcome is Outcome.PASS, report
    assert {r.outcome for r in report.results} == {Outcome.PASS}


@pytest.mark.parametrize("service", ["docs-api", "gateway"])
def test_a_burn_fails_with_value_threshold_and_hint(looks, metrics, service):
    metrics.set_world(service, errors=0.3, ago=120)
    report = run(shipped()[service], {"service": service, "environment": "prod"}, looks)
    assert report.outcome is Outcome.FAIL
    found = by_name(report)["error ratio"]
    assert found.outcome is Outcome.FAIL
    assert 0.08 < float(found.value) < 0.16
    assert found.threshold == "<= 0.01"
    assert found.samples > 1000
    assert "roll back" in found.hint
    assert by_name(report)["p95"].outcome is Outcome.PASS
    assert by_name(report)["rollout complete"].outcome is Outcome.PASS


def test_a_burn_that_has_just_begun_fails_already(looks, metrics):
    metrics.set_world("docs-api", errors=0.3, ago=15)
    found = by_name(run(shipped()["docs-api"], {}, looks))
    assert found["errors now"].outcome is Outcome.FAIL


def test_slowness_and_tls_failures_fail_on_their_own(looks, metrics):
    metrics.set_world("docs-api", p95_ms=1500, tls_failures=4, ago=600)
    found = by_name(run(shipped()["docs-api"], {}, looks))
    assert [found[n].outcome for n in ("error ratio", "p95", "TLS failures")] == [
        Outcome.PASS,
        Outcome.FAIL,
        Outcome.FAIL,
    ]
    assert float(found["p95"].value) > 400
    assert found["TLS failures"].value.startswith("4")


def test_no_requests_never_pass(looks, metrics):
    metrics.set_world("docs-api", rps=0, ago=900)
    found = by_name(run(shipped()["docs-api"], {}, looks))
    assert found["requests seen"].outcome is Outcome.FAIL
    assert found["error ratio"].outcome is Outcome.NO_DATA
    metrics.remove("docs-api")
    found = by_name(run(shipped()["docs-api"], {}, looks))
    assert {found[n].outcome for n in ("requests seen", "error ratio", "p95", "TLS failures")} == {Outcome.NO_DATA}


def test_too_few_requests_are_inconclusive(looks, metrics):
    metrics.set_world("docs-api", rps=0.1, errors=0.5, ago=900)
    found = by_name(run(shipped()["docs-api"], {}, looks))
    assert found["error ratio"].outcome is Outcome.INCONCLUSIVE
    assert "of at least 50 samples" in found["error ratio"].detail


def test_a_service_that_does_not_exist_fails(looks):
    report = run(shipped()["docs-api"], {"service": "ghost"}, looks)
    assert report.outcome is Outcome.FAIL
    assert "deployments/ghost in prod does not exist" in by_name(report)["rollout complete"].detail


def test_the_captain_itself(metrics, looks, behind):
    ready = [200]

    async def answer(request):
        return PlainTextResponse("ok\n", 200 if request.url.path == "/healthz" else ready[0])

    bot = serve(Starlette(routes=[Route("/healthz", answer), Route("/readyz", answer)]))
    try:
        assert run(shipped()["self"], {"base": bot.url}, looks).outcome is Outcome.PASS
        ready[0] = 503
        assert run(shipped()["self"], {"base": bot.url}, looks).outcome is Outcome.FAIL
    finally:
        bot.stop()
    found = by_name(run(shipped()["self"], {"base": bot.url}, looks))
    assert [found[n].outcome for n in ("alive", "ready")] == [Outcome.FAIL, Outcome.INCONCLUSIVE]
