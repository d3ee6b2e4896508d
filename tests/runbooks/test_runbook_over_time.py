"""Checks over a stretch of time, and of who talks to whom: every reason for not knowing is its own, and none passes."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ConfigError
from bot.integrations.prometheus import PrometheusSettings, Series
from bot.integrations.prometheus.client import PrometheusClient
from bot.integrations.prometheus.fake import FakePrometheus
from bot.standin import CallLog
from runbooks import Looks, Outcome
from runbooks.compare import COMPARATORS
from runbooks.series import FOLDS, Want, judged, seconds

STEP = 60.0


@pytest.fixture
def fake():
    return FakePrometheus(CallLog())


@pytest.fixture
def look(one, fake, behind):
    client = PrometheusClient(PrometheusSettings(url=behind(fake.app), timeout=5))
    yield lambda text, **how: one(text, Looks(metrics=client), **how)
    client.close()


def record(fake, name, values, *, ago=0):
    """One value a minute, the newest ``ago`` minutes back; None leaves a minute out."""
    now = math.floor(time.time() / STEP) * STEP - ago * STEP
    lines = [
        f"{name} {value} {(now - (len(values) - 1 - i) * STEP) * 1000:.0f}"
        for i, value in enumerate(values)
        if value is not None
    ]
    fake.ingest("\n".join(lines) + "\n")


UP = [*range(10, 40)]

RANGES = [
    ("fold: max\nthreshold: 40", UP, "PASS", "39", "max 39 over 30m (want < 40)"),
    ("fold: max\nthreshold: 39", UP, "FAIL", "39", ""),
    ("fold: min\nop: '>'\nthreshold: 10", UP, "FAIL", "10", "min 10"),
    ("fold: avg\nthreshold: 25", UP, "PASS", "24.5", "avg 24.5"),
    ("fold: last\nop: ==\nthreshold: 39", UP, "PASS", "39", ""),
    ("fold: every\nop: '>='\nthreshold: 11", UP, "FAIL", "10", "every 10"),
    ("fold: every\nop: '>='\nthreshold: 10", UP, "PASS", "10", ""),
    ("fold: every\nop: '!='\nthreshold: 20", UP, "FAIL", "20", ""),
    ("fold: max\nthreshold: 40", [math.nan] * 30, "NO_DATA", "nan", "every value is NaN"),
    ("fold: max\nthreshold: 40", [*UP[:10], math.nan, *UP[11:]], "INCONCLUSIVE", "39", "1 of 30 values are NaN"),
    ("fold: max\nthreshold: 39", [*UP[:10], math.nan, *UP[11:]], "FAIL", "39", ""),
    ("fold: max\nthreshold: 40", [math.nan] * 15 + UP[15:], "INCONCLUSIVE", "39", "only 15 of 30 slots hold a number (15 are NaN)"),
    ("fold: max\nop: '>'\nthreshold: 1", [*UP[:-1], math.inf], "INCONCLUSIVE", "inf", "infinite"),
    ("fold: max\nthreshold: 1", [*UP[:-1], math.inf], "FAIL", "inf", ""),
    ("fold: avg\nop: '>'\nthreshold: 1", [*UP[:-1], math.inf], "INCONCLUSIVE", "inf", "infinite"),
    ("fold: avg\nop: '>'\nthreshold: 1", [*UP[:-2], math.inf, -math.inf], "FAIL", "nan", ""),
    ("fold: max\nthreshold: 40", UP[20:], "INCONCLUSIVE", "39", "only 10 of 30 slots hold a number, 33 % of at least 80 %"),
    ("fold: max\nthreshold: 40\ncoverage: 30", UP[20:], "PASS", "39", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "values", "outcome", "value", "said"), RANGES)
def test_a_range(look, fake, text, values, outcome, value, said):
    record(fake, "n", values)
    result = look(f"kind: promql\nexpr: n\nover: 30m\n{text}")
    assert result.outcome == Outcome(outcome), result.detail
    assert result.value == value
    assert said in result.detail


def test_a_range_nobody_has_data_for(look):
    result = look("kind: promql\nexpr: nowhere\nover: 30m\nfold: max\nthreshold: 1")
    assert (result.outcome, result.samples) == (Outcome.NO_DATA, 0)


def test_a_range_that_ended_is_stale(look, fake):
    record(fake, "n", [1] * 60, ago=12)
    result = look("kind: promql\nexpr: n\nover: 30m\nfold: max\nthreshold: 5\ncoverage: 50")
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "it is stale: the newest value is of" in result.detail


def test_a_counter_that_was_set_back(look, fake):
    record(fake, "jobs_total", [*UP[:20], *range(10)])
    text = "over: 30m\nfold: max\nthreshold: 100"
    found = look(f"kind: promql\nexpr: jobs_total\n{text}")
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "the counter was set back at" in found.detail
    assert look(f"kind: promql\nexpr: jobs_total\ncounter: false\n{text}").outcome is Outcome.PASS
    assert look(f"kind: promql\nexpr: max(jobs_total)\n{text}").outcome is Outcome.PASS
    assert look(f"kind: promql\nexpr: max(jobs_total)\ncounter: true\n{text}").outcome is Outcome.INCONCLUSIVE


def test_several_series(look, fake):
    record(fake, 'n{a="1"}', UP)
    record(fake, 'n{a="2"}', [value + 1 for value in UP])
    text = "kind: promql\nexpr: n\nthreshold: 40"
    over = "\nover: 30m\nfold: max"
    assert look(text + over).outcome is Outcome.FAIL
    assert 'for a="2"' in look(text + over).detail
    for more in (over, ""):
        found = look(f"{text}\none_series: true{more}")
        assert found.outcome is Outcome.INCONCLUSIVE
        assert "2 series where one is expected" in found.detail


def test_a_range_is_partial_or_rests_on_too_little(look, fake):
    record(fake, "n", UP)
    text = "kind: promql\nexpr: n\nover: 30m\nfold: max\nthreshold: 100\nsamples: n\n"
    assert look(text + "min_samples: 40").outcome is Outcome.INCONCLUSIVE
    assert look(text + "min_samples: 20").samples == 39
    assert "nothing tells" in look(text.replace("samples: n", "samples: nowhere") + "min_samples: 1").detail
    fake.partial("a store is away")
    assert "may be partial" in look(text + "min_samples: 1").detail


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("over: 30m", "over: and fold: go together"),
        ("fold: max", "over: and fold: go together"),
        ("step: 1m", "step: needs over: beside it"),
        ("over: soon\nfold: max", "over must be a time such as 30m, not 'soon'"),
        ("over: 0s\nfold: max", "longer than nothing"),
        ("over: 30d\nstep: 1s\nfold: max", "from 1 to 11000 steps of 1s"),
        ("over: 30s\nfold: max", "from 1 to 11000 steps of 1m"),
        ("over: 30m\nfold: max\ncoverage: 0", "coverage must be a percentage"),
        ("over: 30m\nfold: middle", "must be one of max, min, avg, last, every"),
    ],
)
def test_a_range_that_cannot_be_is_refused(look, text, said):
    with pytest.raises(ConfigError, match=said):
        look(f"kind: promql\nexpr: n\nthreshold: 1\n{text}")


def test_durations():
    assert [seconds(text) for text in ("1h30m", "500ms", "2d", "1w", "90s")] == [5400, 0.5, 172_800, 604_800, 90]


NUMBERS = st.one_of(st.floats(-100, 100), st.sampled_from([math.nan, math.inf, -math.inf]))


@given(
    values=st.lists(st.one_of(st.none(), NUMBERS), min_size=1, max_size=20),
    fold=st.sampled_from(FOLDS),
    op=st.sampled_from(sorted(COMPARATORS)),
    threshold=st.floats(-100, 100),
    coverage=st.floats(1, 100),
    counter=st.booleans(),
)
def test_what_passes_was_seen_whole_and_finite(values, fold, op, threshold, coverage, counter):
    points = [(i * STEP, value) for i, value in enumerate(values) if value is not None]
    if not points:
        return
    want = Want(fold, op, threshold, (len(values) - 1) * STEP, STEP, len(values), coverage, counter)
    found = judged(Series({}, points), want)
    told = [value for _, value in points]
    if found.outcome is Outcome.PASS:
        assert all(map(math.isfinite, told))
        assert 100 * len(told) / len(values) >= coverage
        assert not counter or told == sorted(told)
        assert points[-1][0] >= want.end - 2 * STEP
        assert COMPARATORS[op](found.value, threshold)
        assert fold != "every" or all(COMPARATORS[op](value, threshold) for value in told)
    elif found.outcome is Outcome.FAIL:
        assert not COMPARATORS[op](found.value, threshold)
    else:
        assert found.why


GATEWAY, DOCS = "spiffe://prod.example.org/ns/prod/sa/gateway", "spiffe://prod.example.org/ns/prod/sa/docs-api"
PATH = f"""
kind: spiffe
source: gateway
source_namespace: prod
destination: docs-api
destination_namespace: prod
source_ids: {GATEWAY}
destination_ids: [{DOCS}]
"""


def calls(
    fake, count, *, source="gateway", principal=GATEWAY, policy="mutual_tls", to=DOCS, reporter="destination", **more
):
    """``count`` requests within the last minutes."""
    labels = {
        "reporter": reporter, "source_workload": source, "source_workload_namespace": "prod", "source_principal": principal,
        "destination_workload": "docs-api", "destination_workload_namespace": "prod", "destination_principal": to,
        "destination_service_name": "docs-api", "connection_security_policy": policy, "pod": "extra", **more,
    }  # fmt: skip
    named = ",".join(f'{key}="{value}"' for key, value in labels.items())
    now = time.time()
    lines = [f"istio_requests_total{{{named}}} {count * i / 20} {(now - 600 + i * 30) * 1000:.0f}" for i in range(21)]
    fake.ingest("\n".join(lines) + "\n")


def test_the_path_is_as_registered(look):
    result = look(PATH)
    assert (result.outcome, result.value, result.threshold) == (Outcome.PASS, "100 %", ">= 100 % mTLS")
    assert result.samples > 1000
    assert look(PATH + "all_seen: true\nmax_failures: 100").outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("how", "more", "said"),
    [
        ({"principal": "spiffe://prod.example.org/ns/prod/sa/other"}, "", "not expected as source: spiffe://prod.example.org/ns/prod/sa/other ("),
        ({"principal": "spiffe://spiffe://prod.example.org/ns/prod/sa/gateway"}, "", "not expected as source: spiffe://spiffe://"),
        ({"to": "spiffe://prod.example.org/ns/prod/sa/imposter"}, "", "not expected as destination: spiffe://prod.example.org/ns/prod/sa/imposter"),
        ({"policy": "none", "principal": "unknown"}, "", "not mutual TLS: prod/gateway ("),
        ({"reporter": "source", "response_code": "503", "response_flags": "UF,URX"}, "max_failures: 3", "requests failed in the connection"),
    ],
)  # fmt: skip
def test_the_path_is_not_as_registered(look, fake, how, more, said):
    calls(fake, 40, **how)
    result = look(PATH + more)
    assert result.outcome is Outcome.FAIL, result.detail
    assert said in result.detail


def test_an_id_that_is_listed_and_never_seen(look):
    text = PATH.replace(f"source_ids: {GATEWAY}", f"source_ids: [{GATEWAY}, spiffe://prod.example.org/ns/prod/sa/new]")
    assert look(text).outcome is Outcome.PASS
    result = look(text + "all_seen: true")
    assert "not seen as source: spiffe://prod.example.org/ns/prod/sa/new" in result.detail


def test_a_share_that_is_enough(look, fake):
    calls(fake, 400, policy="none", source="cron", principal="unknown")
    everybody = PATH.replace("source: gateway\nsource_namespace: prod\n", "").replace(f"source_ids: {GATEWAY}\n", "")
    assert look(PATH).outcome is Outcome.PASS
    found = look(everybody)
    assert found.outcome is Outcome.FAIL
    assert "not mutual TLS: prod/cron (4" in found.detail
    assert look(everybody + "min_share: 0.9").outcome is Outcome.PASS


def test_a_path_on_which_nothing_was_sent(look, fake):
    fake.remove("docs-api")
    result = look(PATH)
    assert (result.outcome, result.samples) == (Outcome.NO_DATA, 0)
    assert "no request was seen in 10m" in result.detail
    calls(fake, 5)
    assert look(PATH).outcome is Outcome.INCONCLUSIVE
    assert "of at least 10 requests" in look(PATH).detail
    assert look(PATH + "min_samples: 3").outcome is Outcome.PASS


def test_a_path_without_a_whole_answer(look, fake, one):
    fake.partial("a store is away")
    assert look(PATH).outcome is Outcome.INCONCLUSIVE
    for mode in ("500", "429", "reset"):
        fake.faults.breaks(mode)
        assert look(PATH).outcome is Outcome.ERROR
    assert "add a prometheus: section" in one(PATH).detail


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source_ids: prod.example.org/ns/prod/sa/gateway", "only policies leave spiffe:// out"),
        ("source_ids: [spiffe://spiffe://x/ns/prod/sa/gateway]", "source_ids must be spiffe://TRUST_DOMAIN"),
        ("min_samples: 0", "nothing seen proves nothing"),
        ("min_share: 2", "from 0 to 1"),
        ("over: '10m]) or vector(1'", "over must be a time"),
        ("source: 'x\"} or up{a=\"'", "source must be the name of one"),
    ],
)
def test_a_path_that_cannot_be_is_refused(look, text, said):
    with pytest.raises(ConfigError, match=said.replace("(", "\\(")):
        look(f"kind: spiffe\ndestination: docs-api\n{text}")
