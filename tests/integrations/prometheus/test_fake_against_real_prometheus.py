"""The stand-in and the real Prometheus binary are given the same samples and asked the same things."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from ground.waiting import free_port, until

from bot.integrations.prometheus.fake import FakePrometheus
from bot.integrations.prometheus.fake_series import number
from bot.standin import CallLog, serve
from handlers.slo.ask import PART, expression
from handlers.slo.kinds import Slo
from handlers.slo.meaning import by_label

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")

pytestmark = [
    pytest.mark.realprom,
    pytest.mark.skipif(
        PROMETHEUS is None or PROMTOOL is None, reason="the prometheus and promtool binaries are not installed"
    ),
]

NOW = 1_790_000_000.0
NAN = math.nan

HAND_MADE = {
    # a counter that starts over twice, with a hole of scrapes in it
    'jobs_total{job="a",queue="x"}': [
        (t, v) for t, v in zip(range(-600, 1, 15), [*range(0, 200, 10)] * 3, strict=False)
    ],
    'jobs_total{job="a",queue="y"}': [(t, 7.5) for t in range(-600, -299, 15)]
    + [(t, 99.0) for t in range(-120, 1, 15)],
    'jobs_total{job="b",queue="x"}': [(-400, 3.0), (-10, 4.0)],
    'temperature{room="one"}': [(t, math.sin(t) * 20) for t in range(-900, 1, 30)],
    'temperature{room="two"}': [(t, NAN if t % 60 else -4.25) for t in range(-900, 1, 30)],
    'temperature{room="three"}': [(t, math.inf) for t in range(-900, 1, 30)],
    'temperature{room="cold"}': [(t, -273.15) for t in range(-900, -310, 30)],
    'limits{room="one",level="high"}': [(0, 12.0)],
    'limits{room="one",level="low"}': [(0, -12.0)],
    'rooms{room="one",floor="1"}': [(0, 1.0)],
    'rooms{room="two",floor="2"}': [(0, 1.0)],
    'tiny{size="small"}': [(0, 1.5e-9)],
    'tiny{size="large"}': [(0, 1.25e22)],
    'odd_bucket{le="0"}': [(0, 2.0)],
    'odd_bucket{le="5"}': [(0, 1.0)],
    'odd_bucket{le="10"}': [(0, 9.0)],
    'odd_bucket{le="+Inf"}': [(0, 9.0)],
    'endless_bucket{le="1"}': [(0, 5.0)],
    'endless_bucket{le="2"}': [(0, 6.0)],
    'words{text="with \\"quotes\\" and ünïcode",dir="C:\\\\x"}': [(0, 1.0)],
}

ERRORS = 'istio_requests_total{reporter="destination",destination_workload="docs-api",response_code=~"5.."}'
ALL = 'istio_requests_total{reporter="destination",destination_workload="docs-api"}'
BUCKETS = 'istio_request_duration_milliseconds_bucket{reporter="destination",destination_workload="docs-api"}'

QUERIES = [
    "up", 'up{pod=~"docs.*"}', 'up{pod!~"docs.*"}', 'up{pod!="gateway-0"}', 'up{nope=""}', '{__name__=~"up|tiny"}',
    "nothing_here", 'up{pod="none"}', "1", "1.5e3 + 0x1F", "Inf", "-Inf", "NaN", '"text"', "'it\\'s'", "`raw\\n`",
    "time()", "vector(3)", "vector(1) / 0", "-vector(1) / 0", "vector(0) / 0", "vector(5) % 3", "vector(-5) % 3",
    "2 ^ 3 ^ 2", "-2 ^ 2", "vector(2) ^ -1", "1 + 2 * 3 - 4 / 8", "(1 + 2) * 3", "1 > bool 2", "2 >= bool 2",
    f"sum(rate({ERRORS}[5m])) / sum(rate({ALL}[5m]))",
    f"(sum(rate({ERRORS}[5m])) or vector(0)) / sum(rate({ALL}[5m])) > 0.0001",
    f"sum(rate({ALL}[1m])) by (response_code)", f"sum by (response_code) (increase({ALL}[10m]))",
    f"sum without (response_code, le) (irate({ALL}[2m]))", f"count({ALL})", f"count by (reporter) ({ALL})",
    f"avg(rate({ALL}[5m] offset 10m))", f"max(rate({ALL}[5m] offset -1m))", f"min({ALL} offset 1h)",
    f"histogram_quantile(0.95, sum by (le) (rate({BUCKETS}[5m])))",
    f"histogram_quantile(0.5, sum by (le, response_code) (rate({BUCKETS}[5m])))",
    f"histogram_quantile(1.5, {BUCKETS})", f"histogram_quantile(-1, {BUCKETS})", f"histogram_quantile(1, {BUCKETS})",
    f"histogram_quantile(0, {BUCKETS})", f"histogram_quantile(NaN, {BUCKETS})",
    "histogram_quantile(0.9, odd_bucket)", "histogram_quantile(0.1, odd_bucket)", "histogram_quantile(0.9, endless_bucket)",
    "histogram_quantile(0.9, up)", "histogram_quantile(0.9, nothing_here)",
    "sum(rate(envoy_cluster_ssl_fail_total[5m]))", "jobs_total", "rate(jobs_total[5m])", "increase(jobs_total[10m])",
    "irate(jobs_total[5m])", "irate(jobs_total[20m])", "resets(jobs_total[10m])", "changes(jobs_total[10m])",
    "delta(jobs_total[10m])", "delta(temperature[10m])", "rate(temperature[15m])", "increase(jobs_total[15s])",
    "rate(jobs_total[1m30s])", "rate(jobs_total[200ms])", "changes(temperature[15m])", "temperature", "abs(temperature)",
    "ceil(temperature)", "floor(temperature)", "clamp_min(temperature, 0)", "clamp_max(temperature, NaN)",
    'avg_over_time(temperature{room!="three"}[10m])', "min_over_time(temperature[10m])", "max_over_time(temperature[10m])",
    "sum_over_time(jobs_total[10m])", "count_over_time(jobs_total[10m])", "last_over_time(jobs_total[10m])",
    "sum(temperature)", 'avg(temperature{room!="two"})', "min(temperature)", "max(temperature)", "count(temperature)",
    "topk(2, temperature)", "bottomk(1, temperature)", "topk(1, jobs_total) by (job)", "topk(0, up)", "topk(9, tiny)",
    "sum by (nope) (up)", "sum by () (up)", "sum(nothing_here)", "count(nothing_here)",
    "temperature > 0", "temperature > bool 0", "0 < temperature", "10 < bool temperature", "temperature == temperature",
    "temperature != temperature", 'temperature > on(room) limits{level="high"}',
    'temperature > bool on(room) limits{level="low"}', 'temperature - on(room) limits{level="high"}',
    "temperature * on(room) group_left(floor) rooms", "rooms * on(room) group_right(floor) temperature",
    "temperature * ignoring(floor) group_left rooms", "limits - ignoring(level) group_left temperature",
    "temperature and on(room) rooms", "temperature unless on(room) rooms", "rooms or on(room) temperature",
    "up or vector(1)", "nothing_here or vector(0)", "up and up", "up unless up", "-temperature", "+temperature",
    "temperature + 1 and temperature > 0 or vector(9)", "tiny", "tiny * 2", "words", 'words{text=~".*ünï.*"}',
    "absent(nothing_here)", "absent(up)", 'absent(nothing_here{a="b",c=~"d",e="f",e="g"})', "absent(sum(nothing_here))",
    'label_replace(up, "part", "bad:300", "", "")', 'label_replace(sum(up), "part", "total", "", "")', 'label_replace(up, "app", "$1", "pod", "(.*)-0")',
    'label_replace(up, "app", "${1}x$2$$", "pod", "(docs).*")', 'label_replace(up, "pod", "", "pod", ".*")', 'label_replace(up, "a", "b", "pod", "none")',
    'label_replace(sum(up), "p", "1", "", "") or label_replace(sum(nothing_here), "p", "2", "", "") or label_replace(count(up), "p", "3", "", "")',
    "scalar(up)", 'scalar(tiny{size="large"})', "scalar(nothing_here)", 'vector(scalar(rooms{room="one"})) * 2',
    "jobs_total[1m]", "nothing_here[1m]", "up * 2 # a comment", "sum(\n  up\n) by (job)", "SUM(up)", "up{}", '{pod="gateway-0",__name__="up"}',
]  # fmt: skip

REFUSED = [
    "", "#", "up{", "up{a", "up{a=", 'up{a="b', 'up{a="b"', 'up{a="b" c="d"}', "foo(up)", "rate(up)", "sum(rate(up[5m]) ",
    '{job=~".*"}', "{}", 'up{job=~"("}', "1 > 2", "up offset", "up[5x]", "up[5m", "up[]", "up[5]", "sum(1)", "up)", "1 and up", "up or 1",
    "clamp_min(up)", "topk(up)", "sum()", "up $", 'up{job="istio"}{a="b"}', "up[5m][5m]", "(up)[5m]", 'up{__name__="x"}', "rate(up[0s])",
    "up + bool up", "up > bool", 'label_replace(tiny, "size", "one", "", "")', 'label_replace(up, "a-b", "x", "", "")', 'label_replace(1, "a", "b", "", "")', "sum by (a", "1 +", "vector(up)", "rate(rate(up[5m]))", "-up[5m]", "up[5m] + 1", "up up", "'a' + 1",
    "istio_requests_total + ignoring(response_code) istio_requests_total", "sum(up) + on(job) up", "up on(job) up",
    "rooms * on() temperature", 'rate({__name__=~"istio_request_duration_milliseconds_(count|sum)"}[5m])', "sum by (1) (up)", "sum by (a b) (up)", "sum by", "sum(up,)",
    "sum(up up)", "rate(up[5m] up)", "bool", "on", "(up", "sum(up", "rate(up", "]", "}", ",", "up 5", 'up "x"', "up{,}", 'up{1="a"}', "up == == up",
    'up{a:b="c"}', "((up))[5m]", "offset 5m", "up)(", "up{a!b}", "5m", "1x", "up offset 5m offset 5m",
    "up and on(job) group_left up", "time(1)", "abs(1)", "histogram_quantile(up, up)", 'up{a=~"a(?=b)"}', '"a\\qb"',
]  # fmt: skip

RANGES = [
    (f"sum(rate({ERRORS}[1m]))", -900, 0, "60"), ("jobs_total", -600, 0, "30s"), ("rate(jobs_total[2m])", -600, 0, "47"),
    ("vector(1)", -5, 0, "1"), ("time()", -3, 0, "1.5"), ("nothing_here", -60, 0, "15"), ("temperature > 0", -900, 0, "1m"),
    (f"histogram_quantile(0.95, sum by (le) (increase({BUCKETS}[1m])))", -1800, 0, "1m"), ("up", 0, 0, "1"),
    ("topk(1, temperature)", -300, 0, "30"),
]  # fmt: skip

REFUSED_RANGES = [
    {"query": "up", "start": "10", "end": "5", "step": "1"}, {"query": "up", "start": "10", "end": "50", "step": "0"},
    {"query": "up", "start": "10", "end": "5000000", "step": "1"}, {"query": "up", "start": "10", "end": "50"},
    {"query": "up", "end": "50", "step": "1"}, {"query": "up", "start": "x", "end": "50", "step": "1"},
    {"query": "up[5m]", "start": "10", "end": "50", "step": "1"}, {"query": "up{", "start": "10", "end": "50", "step": "1"},
    {"query": "up", "start": "10", "end": "50", "step": "1y1s1d"},
]  # fmt: skip


@dataclass
class Both:
    real: str
    fake: str

    def get(self, path: str, params=None):
        return tuple(requests.get(url + path, params=params, timeout=10) for url in (self.real, self.fake))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    home: Path = tmp_path_factory.mktemp("prometheus")
    fake = FakePrometheus(CallLog(), clock=lambda: NOW)
    fake.set_world("docs-api", errors=0.03, p95_ms=700, tls_failures=2.5, ago=240)
    fake.set_world("gateway", up=False, ago=100)
    for name, points in HAND_MADE.items():
        fake.ingest("".join(f"{name} {number(v)} {int((NOW + t) * 1000)}\n" for t, v in points))
    (home / "samples.txt").write_text(_exposition(fake), encoding="utf-8")
    (home / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    subprocess.run(
        [PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", "samples.txt", "data"],
        cwd=home, check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    process = subprocess.Popen(
        [PROMETHEUS, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--storage.tsdb.retention.time=50y",
         f"--web.listen-address=127.0.0.1:{port}"],
        cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    served = serve(fake.app)
    try:
        until(lambda: _ready(f"http://127.0.0.1:{port}/-/ready", process), timeout=30)
        yield Both(f"http://127.0.0.1:{port}", served.url)
    finally:
        served.stop()
        process.terminate()
        process.wait(10)


def _exposition(fake) -> str:
    """Everything the stand-in holds, as OpenMetrics text with times in seconds."""
    lines = []
    for source in fake.sources:
        for labels, points in source.select(()):
            name = dict(labels)["__name__"]
            inside = ",".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in labels if k != "__name__")
            for at, value in points(int((NOW - 7300) * 1000), int(NOW * 1000)):
                lines.append(f"{name}{{{inside}}} {number(value)} {at / 1000:.3f}\n")
    return "".join([*lines, "# EOF\n"])


def _ready(url: str, process) -> bool:
    assert process.poll() is None, "prometheus ended"
    try:
        return requests.get(url, timeout=1).status_code == 200
    except requests.ConnectionError:
        return False


def same(real, fake) -> bool:
    """Equal JSON, where numbers (also those in strings) may differ in the last digits."""
    if isinstance(real, dict) and isinstance(fake, dict):
        return real.keys() == fake.keys() and all(same(real[k], fake[k]) for k in real)
    if isinstance(real, list) and isinstance(fake, list):
        return len(real) == len(fake) and all(same(a, b) for a, b in zip(real, fake, strict=True))
    if isinstance(real, bool) or not isinstance(real, int | float | str):
        return real == fake
    try:
        a, b = float(real), float(fake)
    except ValueError:
        return real == fake
    return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


def ordered(body, query: str):
    """Instant vectors come in no order, unless topk made one."""
    if body.get("data", {}).get("resultType") == "vector" and "topk" not in query and "bottomk" not in query:
        body["data"]["result"].sort(key=lambda row: sorted(row["metric"].items()))
    return body


@pytest.mark.parametrize("query", QUERIES)
def test_the_same_value(both, query):
    real, fake = both.get("/api/v1/query", {"query": query, "time": NOW})
    assert real.status_code == 200, real.text
    assert fake.status_code == 200, fake.text
    assert same(ordered(real.json(), query), ordered(fake.json(), query)), f"{real.text}\n{fake.text}"


@pytest.mark.parametrize("query", REFUSED)
def test_the_same_refusal(both, query):
    real, fake = both.get("/api/v1/query", {"query": query, "time": NOW})
    assert real.status_code in (400, 422), real.text
    assert fake.status_code == real.status_code, f"{real.text}\n{fake.text}"
    assert fake.json()["errorType"] == real.json()["errorType"]
    assert fake.json()["error"] == real.json()["error"]


@pytest.mark.parametrize(("query", "start", "end", "step"), RANGES)
def test_the_same_range(both, query, start, end, step):
    real, fake = both.get("/api/v1/query_range", {"query": query, "start": NOW + start, "end": NOW + end, "step": step})
    assert real.status_code == fake.status_code == 200, f"{real.text}\n{fake.text}"
    assert same(real.json(), fake.json()), f"{real.text}\n{fake.text}"


@pytest.mark.parametrize("params", REFUSED_RANGES)
def test_the_same_refusal_of_a_range(both, params):
    real, fake = both.get("/api/v1/query_range", params)
    assert real.status_code == 400
    assert (fake.status_code, fake.json()) == (real.status_code, real.json())


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/api/v1/labels", {"start": NOW - 3600, "end": NOW}),
        ("/api/v1/labels", {"match[]": "rooms", "start": NOW - 3600, "end": NOW}),
        ("/api/v1/labels", {"match[]": "rooms{"}),
        ("/api/v1/label/room/values", {"start": NOW - 3600, "end": NOW}),
        ("/api/v1/label/room/values", {"match[]": 'limits{level="low"}', "start": NOW - 3600, "end": NOW}),
        ("/api/v1/label/__name__/values", {"start": NOW - 3600, "end": NOW}),
        ("/api/v1/label/1x/values", {}),
        ("/api/v1/label/nope/values", {}),
        ("/api/v1/series", {}),
        ("/api/v1/series", {"match[]": ["rooms", 'up{pod="docs-api-0"}'], "start": NOW - 3600, "end": NOW}),
        ("/api/v1/series", {"match[]": "up{"}),
        ("/api/v1/query", {"query": "up", "time": "abc"}),
        ("/api/v1/query", {"query": "up", "timeout": "abc"}),
        ("/api/v1/query", {"query": "up", "time": "2026-09-21T13:33:20Z"}),
        ("/api/v1/rules", {"type": "x"}),
    ],
)
def test_the_same_answer(both, path, params):
    real, fake = both.get(path, params)
    assert (fake.status_code, fake.json()) == (real.status_code, real.json())


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/api/v1/nope"])
def test_the_same_plain_answer(both, path):
    real, fake = both.get(path)
    assert fake.status_code == real.status_code
    if real.ok:
        assert fake.text == real.text


def test_methods_that_are_not_allowed(both):
    for method, path in (("PUT", "/api/v1/query"), ("DELETE", "/api/v1/alerts"), ("POST", "/api/v1/rules")):
        assert requests.request(method, both.fake + path, timeout=5).status_code == 405
        assert requests.request(method, both.real + path, timeout=5).status_code == 405


def test_a_query_in_a_form(both):
    form = {"query": f"sum({ALL})", "time": NOW}
    real, fake = (requests.post(url + "/api/v1/query", data=form, timeout=5) for url in (both.real, both.fake))
    assert same(real.json(), fake.json())


SLO = Slo(
    service="docs-api",
    objective=99.9,
    bad=f"sum(rate({ERRORS}[{{{{window}}}}]))",
    total=f"sum(rate({ALL}[{{{{window}}}}]))",
    by=["response_code", "pod"],
)
GOOD = SLO.model_copy(
    update={
        "bad": "",
        "good": f'increase({ALL[:-1]},response_code="200"}}[{{{{window}}}}])',
        "total": f"increase({ALL}[{{{{window}}}}])",
    }
)
EMPTY = SLO.model_copy(update={"bad": "sum(rate(nope[{{window}}]))", "total": "sum(rate(nothing_here[{{window}}]))"})
NEVER_BAD = SLO.model_copy(update={"bad": "sum(rate(nope[{{window}}]))"})


@pytest.mark.parametrize("slo", [SLO, GOOD, EMPTY, NEVER_BAD], ids=["bad", "good", "nothing", "never bad"])
def test_what_a_look_asks_is_understood_and_answered_alike(both, slo):
    for query in (expression(slo, [300, 3600]), f"topk(3, {by_label(slo, 300)})"):
        real, fake = both.get("/api/v1/query", {"query": query, "time": NOW})
        assert real.status_code == fake.status_code == 200, f"{real.text}\n{fake.text}"
        assert same(real.json(), fake.json()), f"{real.text}\n{fake.text}"
    told = {
        one["metric"][PART]: float(one["value"][1])
        for one in both.get("/api/v1/query", {"query": expression(slo, [300]), "time": NOW})[0].json()["data"]["result"]
    }
    if slo is EMPTY:
        assert told == {}, "nothing is not 100 %"
    elif slo is NEVER_BAD:
        assert told["bad:300"] == 0.0 < told["total:300"]
    else:
        assert 0 < told["bad:300"] < told["total:300"]
