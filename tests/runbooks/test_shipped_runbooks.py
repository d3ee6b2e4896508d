"""The shipped runbooks in the stand-ins' world: PASS while it is calm, FAIL with number and hint while it burns."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml
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
from runbooks.kind import Filling
from runbooks.parameters import filled


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


CAPTAIN = """
captain_database_up 1
captain_replicas 1
captain_page_oldest_seconds {page}
captain_pages_missed_total{{why="gave_up"}} 0
captain_effects_oldest_seconds{{lane="slack"}} {owed}
captain_undecided{{intake="alerts"}} 0
captain_watchdog_age_seconds{{watchdog="prometheus"}} {watchdog}
captain_watchdog_within_seconds{{watchdog="prometheus"}} 600
captain_flags_overdue 0
captain_slo_missing{{slo="docs-api-latency"}} 0
"""


@pytest.fixture
def captain(metrics):
    """``captain(page=…, owed=…, watchdog=…)``: what Prometheus has heard of the captain in the last minute."""

    def tell(page=0, owed=0, watchdog=60):
        now = metrics.clock()
        metrics.recorded.series.clear()
        for ago in (60, 30, 0):
            metrics.ingest(CAPTAIN.format(page=page, owed=owed, watchdog=watchdog), at=now - ago)

    return tell


@pytest.fixture
def bot():
    """The captain's own health, ready for as long as ``bot.ready`` is 200."""

    async def answer(request):
        return PlainTextResponse("ok\n", 200 if request.url.path == "/healthz" else bot.ready)

    bot = serve(Starlette(routes=[Route("/healthz", answer), Route("/readyz", answer)]))
    bot.ready = 200
    yield bot
    bot.stop()


def test_the_captain_itself(looks, captain, bot):
    captain()
    report = run(shipped()["self"], {"base": bot.url}, looks)
    assert {n: r.detail for n, r in by_name(report).items() if r.outcome is not Outcome.PASS} == {}
    bot.ready = 503
    assert run(shipped()["self"], {"base": bot.url}, looks).outcome is Outcome.FAIL
    bot.stop()
    found = by_name(run(shipped()["self"], {"base": bot.url}, looks))
    assert [found[n].outcome for n in ("alive", "ready")] == [Outcome.FAIL, Outcome.INCONCLUSIVE]


@pytest.mark.parametrize(
    ("told", "check"),
    [({"page": 300}, "pages owed"), ({"owed": 1000}, "work owed"), ({"watchdog": 900}, "watchdogs")],
)
def test_what_the_captain_owes_is_found(looks, captain, bot, told, check):
    captain(**told)
    found = by_name(run(shipped()["self"], {"base": bot.url}, looks))
    assert [n for n, r in found.items() if r.outcome is Outcome.FAIL] == [check]


def test_a_captain_that_nobody_scrapes_is_not_well(looks, bot):
    report = run(shipped()["self"], {"base": bot.url}, looks)
    assert report.outcome is Outcome.NO_DATA
    assert {r.outcome for n, r in by_name(report).items() if n not in ("alive", "ready", "prometheus reachable")} == {
        Outcome.NO_DATA
    }


def expressions():
    for runbook in shipped().values():
        defaults = {name: value or "" for name, value in runbook.parameters.items()}
        for check in runbook.checks:
            for key in ("expr", "samples"):
                if key in check.spec:
                    yield filled(check.spec[key], defaults, Filling.PROMQL)


def test_the_real_prometheus_reads_every_query(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here: apt-get install prometheus")
    rules = [{"record": f"a:{n}:b", "expr": expr} for n, expr in enumerate(expressions())]
    assert len(rules) > 60
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(shipped()))
def test_whoever_is_woken_by_it_knows_what_to_do(name):
    """One or two sentences, from every check, and somebody to ask."""
    runbook = shipped()[name]
    assert runbook.owners
    for check in runbook.checks:
        assert 20 < len(check.hint) <= 200, (check.name, len(check.hint))
        assert check.hint.endswith("."), check.name
        assert 1 <= len(re.findall(r"[.?!:;](?= |$)", check.hint)) <= 4, check.name
