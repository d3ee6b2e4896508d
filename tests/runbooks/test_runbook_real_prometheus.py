"""The queries of checks before the real Prometheus: ranges, gaps and the path of the mesh."""

from __future__ import annotations

from ground.waiting import until

from bot.integrations.prometheus import PrometheusSettings
from bot.integrations.prometheus.client import PrometheusClient
from runbooks import Looks, Outcome

REQUESTS = (
    "kind: promql\nexpr: sum(istio_requests_total)\nop: '>'\nthreshold: 0\nfold: every\nstep: 1s\ncounter: true\n"
)
PATH = "kind: spiffe\nsource: gateway\ndestination: docs-api\nover: 10s\n"


def test_checks_look_at_the_real_prometheus(one, real_prometheus):
    prometheus = real_prometheus(webhook="http://127.0.0.1:9/", bearer="x")
    client = PrometheusClient(PrometheusSettings(url=prometheus.url, timeout=5))

    def look(text):
        return one(text, Looks(metrics=client, pings={"prometheus": client.ping}))

    assert look("kind: reachable\nsystem: prometheus").outcome is Outcome.PASS
    until(lambda: look(REQUESTS + "over: 5s").outcome is Outcome.PASS, timeout=30)
    gap = look(REQUESTS + "over: 1h")
    assert gap.outcome is Outcome.INCONCLUSIVE
    assert "of 3600 slots hold a number" in gap.detail
    until(lambda: look(PATH).outcome is Outcome.PASS, timeout=30)
    named = look(PATH + "source_ids: spiffe://prod.example.org/ns/prod/sa/gateway")
    assert named.outcome is Outcome.FAIL
    assert "not expected as source: unknown (" in named.detail
    assert look(PATH.replace("docs-api", "nobody")).outcome is Outcome.NO_DATA
    client.close()
