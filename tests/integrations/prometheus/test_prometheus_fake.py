"""The stand-in's world, its honesty about what it cannot do, and its memory. Needs no real Prometheus."""

from __future__ import annotations

import json

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from bot.integrations.prometheus.fake import FakePrometheus
from bot.integrations.prometheus.fake_lexer import BadQueryError
from bot.integrations.prometheus.fake_promql import parse
from bot.integrations.prometheus.fake_series import number
from bot.integrations.prometheus.fake_world import FINE_BUCKETS
from bot.standin import CallLog

RATIO = (
    'sum(rate(istio_requests_total{{reporter="destination",destination_workload="{0}",response_code=~"5.."}}[{1}]))'
    ' / sum(rate(istio_requests_total{{reporter="destination",destination_workload="{0}"}}[{1}]))'
)
P95 = (
    "histogram_quantile(0.95, sum by (le) (rate(istio_request_duration_milliseconds_bucket"
    '{{reporter="destination",destination_workload="{0}"}}[{1}])))'
)


class Clock:
    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def fake(clock):
    return FakePrometheus(CallLog(), clock=clock)


@pytest.fixture
def url(fake, behind):
    return behind(fake.app)


def ask(url, query, **params):
    return requests.get(f"{url}/api/v1/query", params={"query": query, **params}, timeout=5).json()


def value(url, query):
    (row,) = ask(url, query)["data"]["result"]
    return float(row["value"][1])


def test_rates_give_back_what_was_set(fake, url, clock):
    fake.set_world("docs-api", errors=0.2, rps=120, p95_ms=400, tls_failures=3)
    clock.now += 600
    assert value(url, RATIO.format("docs-api", "5m")) == pytest.approx(0.2, rel=0.01)
    all_requests = 'sum(rate(istio_requests_total{reporter="destination",destination_workload="docs-api"}[5m]))'
    assert value(url, all_requests) == pytest.approx(120, rel=0.01)
    assert value(url, 'rate(envoy_cluster_ssl_fail_total{app="docs-api"}[5m])') == pytest.approx(3, rel=0.01)
    # The default buckets are as coarse as a mesh's: 400 ms is somewhere between 250 and 500.
    assert 250 < value(url, P95.format("docs-api", "5m")) < 500


def test_fine_buckets_resolve_a_p95(clock, behind):
    fake = FakePrometheus(CallLog(), clock=clock, buckets=FINE_BUCKETS)
    fake.set_world("docs-api", p95_ms=400, ago=1800)
    assert value(behind(fake.app), P95.format("docs-api", "5m")) == pytest.approx(400, rel=0.02)


def test_a_burn_shows_after_some_scrapes_and_goes_again(fake, url, clock):
    assert value(url, RATIO.format("docs-api", "5m")) < 0.001
    fake.set_world("docs-api", errors=0.3)
    clock.now += 30
    assert 0.01 < value(url, RATIO.format("docs-api", "5m")) < 0.1
    fake.set_world("docs-api", errors=0.0)
    clock.now += 301
    assert value(url, RATIO.format("docs-api", "5m")) == 0
    assert value(url, RATIO.format("gateway", "5m")) < 0.001


def test_the_past_can_be_set(fake, url):
    fake.set_world("docs-api", errors=0.5, ago=600)
    assert value(url, RATIO.format("docs-api", "5m")) == pytest.approx(0.5, rel=0.01)


def test_a_service_that_is_down_stops_reporting_but_for_up(fake, url, clock):
    fake.set_world("docs-api", up=False)
    clock.now += 400
    assert value(url, 'up{pod="docs-api-0"}') == 0
    assert ask(url, RATIO.format("docs-api", "5m"))["data"]["result"] == []


def test_an_unknown_service_is_empty_not_zero_and_can_be_added_and_removed(fake, url, clock):
    assert ask(url, RATIO.format("billing", "5m"))["data"]["result"] == []
    fake.set_world("billing", rps=10)
    assert value(url, RATIO.format("billing", "5m")) == pytest.approx(0.0005, abs=0.002)
    fake.remove("billing")
    assert ask(url, RATIO.format("billing", "5m"))["data"]["result"] == []


@pytest.mark.parametrize("wrong", [{"errors": 2}, {"errors": -0.1}, {"rps": -1}, {"p95_ms": 0}, {"tls_failures": -2}])
def test_what_cannot_be_is_refused(fake, wrong):
    with pytest.raises(ValueError):
        fake.set_world("docs-api", **wrong)


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("predict_linear(up[5m], 3600)", "the function predict_linear()"),
        ("label_join(up, 'a', '-', 'b', 'c')", "the function label_join()"),
        ("quantile(0.9, up)", "the aggregation quantile"),
        ("stddev by (job) (up)", "the aggregation stddev"),
        ("rate(up[5m:1m])", "subqueries"),
        ("up @ 5", "the @ modifier"),
        ("up atan2 up", "the operator atan2"),
    ],
)
def test_what_the_stand_in_cannot_do_it_says(url, query, what):
    body = ask(url, query)
    assert body["status"] == "error"
    assert body["errorType"] == "bad_data"
    assert f"unsupported by this stand-in: {what}" in body["error"]


def test_too_much_to_load_is_refused(fake, url, clock):
    body = requests.get(
        f"{url}/api/v1/query",
        params={"query": 'sum(rate({__name__=~".+"}[2h])) + sum(rate({__name__=~".+"}[119m]))' + " + sum(rate({__name__=~'.+'}[118m]))" * 9},
        timeout=60,
    )  # fmt: skip
    assert (body.status_code, body.json()["errorType"]) == (422, "execution")


def test_a_query_that_takes_too_long_is_stopped(url):
    asked = {"query": "sum(istio_requests_total)", "start": 1_789_990_000, "end": 1_790_000_000, "step": 1}
    body = requests.get(f"{url}/api/v1/query_range", params={**asked, "timeout": "10ms"}, timeout=5)
    assert (body.status_code, body.json()["errorType"]) == (503, "timeout")


def test_warnings_ride_along(fake, url):
    fake.partial("remote store did not answer")
    assert ask(url, "up")["warnings"] == ["remote store did not answer"]
    fake.partial()
    assert "warnings" not in ask(url, "up")


def test_alerts_and_rules(fake, url, clock):
    assert requests.get(f"{url}/api/v1/alerts", timeout=5).json()["data"] == {"alerts": []}
    fake.set_world("docs-api", errors=0.3, ago=900)
    (alert,) = requests.get(f"{url}/api/v1/alerts", timeout=5).json()["data"]["alerts"][:1]
    assert alert["labels"] == {
        "alertname": "SLOBurnFast", "burn": "fast", "env": "prod", "service": "docs-api", "severity": "page",
        "slo": "docs-api-availability",
    }  # fmt: skip
    assert alert["state"] == "firing"
    clock.now += 60
    later = requests.get(f"{url}/api/v1/alerts", timeout=5).json()["data"]["alerts"][0]
    assert later["activeAt"] == alert["activeAt"]
    groups = requests.get(f"{url}/api/v1/rules", timeout=5).json()["data"]["groups"]
    assert [g["name"] for g in groups] == ["slo-docs-api", "slo-gateway"]
    assert groups[0]["rules"][0]["state"] == "firing"
    assert groups[1]["rules"][0]["state"] == "inactive"
    assert requests.get(f"{url}/api/v1/rules?type=record", timeout=5).json()["data"]["groups"] == []


def test_it_carries_on_after_a_restart(fake, clock):
    fake.set_world("docs-api", errors=0.25, ago=100)
    fake.ingest('extra{a="b"} 3\n')
    fake.partial("half")
    kept = json.loads(json.dumps(fake.dump()))
    again = FakePrometheus(CallLog(), clock=clock)
    again.load(kept)
    assert again.state() == fake.state()
    assert again.dump() == fake.dump()


def test_changes_are_told(fake):
    heard = []
    fake.changed.append(lambda: heard.append(1))
    fake.set_world("docs-api", errors=0.1)
    fake.partial("x")
    assert len(heard) == 2


def test_out_of_order_samples_are_refused(fake, clock):
    fake.ingest("a 1\n")
    with pytest.raises(ValueError, match="out of order"):
        fake.ingest("a 2\n", at=clock.now - 1)


def test_counters_never_fall_whatever_is_set(fake, url, clock):
    for step in range(40):
        fake.set_world("docs-api", rps=step % 7 * 30, errors=step % 3 / 10, up=step % 11 != 0)
        clock.now += 17
    for query in (
        'resets(istio_requests_total{destination_workload="docs-api"}[1h])',
        "resets(envoy_cluster_ssl_fail_total[1h])",
    ):
        assert all(float(row["value"][1]) == 0 for row in ask(url, query)["data"]["result"])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_without_exponent_and_reads_back(value):
    text = number(value)
    assert "e" not in text
    assert float(text) == value


@given(st.text(alphabet="up{}[]()=~!\"'5m+-*/%^<>, \nabyoffset", max_size=40))
def test_any_text_parses_or_is_refused_in_a_sentence(text):
    reason = "parse error"
    try:
        parse(text)
    except BadQueryError as problem:
        reason = problem.at(text)
    assert "parse error" in reason
