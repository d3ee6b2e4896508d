"""OpenSLO documents become SLOs that load, or a sentence says what of them would have read differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.config import load
from bot.settings import Settings
from handlers.catalogue import Policy, Service
from handlers.slo import openslo, promql, rule_file
from handlers.slo.kinds import TIERS, Slo
from handlers.slo.lint import misfits

DATA = Path(__file__).resolve().parent.parent / "data" / "openslo"
SHOP = (DATA / "shop.yaml").read_text()


def document(**changes: Any) -> dict[str, Any]:
    """An SLO of the usual shape, its spec changed; None takes a field away."""

    def metric(query: str) -> dict[str, Any]:
        return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}

    ratio = {"counter": True, "good": metric('sum(rate(x{code!~"5.."}[5m]))'), "total": metric("sum(rate(x[5m]))")}
    spec = {
        "service": "docs-api",
        "indicator": {"metadata": {"name": "answers"}, "spec": {"ratioMetric": ratio}},
        "timeWindow": [{"duration": "30d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.999}],
    }
    made = {key: value for key, value in (spec | changes).items() if value is not None}
    return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": "docs-api-availability"}, "spec": made}


def ratio(**parts: Any) -> dict[str, Any]:
    usual = document()["spec"]["indicator"]["spec"]["ratioMetric"]
    made = {key: value for key, value in (usual | parts).items() if value is not None}
    return {"metadata": {"name": "answers"}, "spec": {"ratioMetric": made}}


def query(text: str, kind: str = "Prometheus") -> dict[str, Any]:
    return {"metricSource": {"type": kind, "spec": {"query": text}}}


def read(*documents: dict[str, Any]) -> openslo.Imported:
    return openslo.read({"slo.yaml": yaml.safe_dump_all(documents)})


def test_a_file_of_documents_that_refer_to_each_other_is_read_whole(tmp_path: Path):
    made = openslo.read({"shop.yaml": SHOP})
    assert made.refused == []
    assert list(made.slos) == [
        "checkout-availability",
        "search-latency-quick",
        "search-latency-usable",
        "mails-delivered",
    ]
    assert made.slos["checkout-availability"] == {
        "service": "checkout",
        "objective": 99.95,
        "window": "28d",
        "bad": 'sum(increase(http_requests_total{service="checkout",code=~"5.{2}"}[{{window}}]))',
        "total": 'sum(increase(http_requests_total{service="checkout"}[{{window}}]))',
        "description": "Whoever wants to pay, can.",
        "tiers": [{"severity": "page", "burn": 14.4, "long": "1h"}, {"severity": "ticket", "burn": 1.0, "long": "3d"}],
    }
    assert made.slos["search-latency-usable"]["good"] == 'sum(rate(search_seconds_bucket{le="0.5"}[{{window}}]))'
    assert made.slos["search-latency-usable"]["total"] == "sum(rate(search_seconds_count[{{window}}]))"
    assert made.slos["mails-delivered"]["total"] == "sum(sum_over_time(mails_sent[{{window}}]))"
    notes = "\n".join(made.notes)
    assert "the alert condition lte 2 over 1h is left out: it would tell of a budget that burns slowly" in notes
    assert "the tier page-1h (14.4 times) is left out: at 90 % of 30d it can never fire" in notes
    assert "mails-delivered: has no timeWindow; 30d is taken" in notes


def test_what_is_imported_loads_and_passes_lint_and_gives_rules(tmp_path: Path):
    made = openslo.read({"shop.yaml": SHOP})
    file = tmp_path / "captain.yml"
    services = {row["service"]: {"channel": "#shop"} for row in made.slos.values()}
    file.write_text(yaml.safe_dump({"services": services}) + rule_file.as_yaml({"slos": made.slos}))
    settings = load(file, Settings, {})
    assert list(settings.slos) == list(made.slos)
    assert list(misfits(settings.slos, settings.services, Policy(), pager=False, metrics=True)) == []
    assert len(rule_file.groups(settings.slos, settings.services, Policy())) == 2 * len(made.slos)
    assert settings.slos["search-latency-usable"].tiers == TIERS


REFUSED = [
    (document(budgetingMethod="Timeslices"), "budgetingMethod Timeslices counts good minutes, not good events"),
    (document(budgetingMethod="RatioTimeslices"), "averages the shares of minutes"),
    (document(budgetingMethod="Guess"), "budgetingMethod Guess is none that OpenSLO knows"),
    (document(objectives=[]), "has no objectives"),
    (document(objectives=[{"target": 1}]), "its target of 100 % leaves no budget"),
    (document(objectives=[{"displayName": "x"}]), "has neither target nor targetPercent"),
    (document(objectives=[{"target": 0.9, "indicatorRef": "a"}]), "is a composite of several indicators"),
    (document(timeWindow=[{"duration": "1M", "isRolling": True}]), "timeWindow: '1M' must be a duration"),
    (document(timeWindow=[{"duration": "4w", "calendar": {"startTime": "x"}}]), "is aligned to the calendar"),
    (document(timeWindow=[{"duration": "4w", "isRolling": False}]), "is aligned to the calendar"),
    (document(indicator=None), "has neither indicator nor indicatorRef"),
    (document(indicator=None, indicatorRef="elsewhere"), "refers to the SLI 'elsewhere', which is in none of the files"),
    (document(indicator={"spec": {"thresholdMetric": query("up")}}), "its thresholdMetric compares a value with a limit"),
    (document(indicator=ratio(raw=query("x"))), "its ratioMetric is raw: a share tells nobody of how many events"),
    (document(indicator=ratio(total=None)), "must have good or bad, and total; it has good"),
    (document(indicator=ratio(bad=query("x"))), "it has good, bad, total"),
    (document(indicator=ratio(total=query("sum:hits{*}", "Datadog"))), "total is asked of Datadog; only Prometheus is asked"),
    (document(indicator=ratio(total=query(" "))), "total has no query"),
    (document(indicator=ratio(total=query("sum(rate(x[5m:1m]))"))), "total: has a subquery"),
    (document(indicator=ratio(total=query("sum(rate(x[5m])) + sum(rate(y[1h]))"))), "has ranges that differ (1h, 5m)"),
    (document(indicator=ratio(total=query("sum(x_total) + sum(y_total)"))), "total: has no range such as [5m]"),
    (document(indicator=ratio(total=query("sum(rate(x))"))), "has rate() or increase() without a range"),
    (document(indicator=ratio(counter=None, total=query("requests"))), "names requests alone, and ratioMetric.counter does not"),
    (document(indicator=ratio(total=query("sum(increase(x[5m]))"))), "good: counts by rate and total by increase"),
    (document(indicator=ratio(total=query("max(max_over_time(x[5m]))"))), "total: must count events"),
    (document(alertPolicies=["elsewhere"]), "refers to the AlertPolicy 'elsewhere'"),
    (document() | {"apiVersion": "openslo.com/v2alpha"}, "apiVersion openslo.com/v2alpha is not read (its shape still changes)"),
    (document() | {"apiVersion": "openslo/v1alpha"}, "apiVersion openslo/v1alpha is not read (it was a draft of v1)"),
    ({"version": "prometheus/v1", "service": "a"}, "is no OpenSLO document"),
    (document() | {"metadata": {}}, "SLO needs metadata.name and spec"),
    ({"apiVersion": "openslo/v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {}}, "no document of kind: SLO"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_cannot_be_kept_is_refused_in_a_sentence(given, said):
    made = read(given)
    assert made.slos == {}
    assert any(said in why for why in made.refused), made.refused


def test_one_that_is_refused_does_not_take_the_others_with_it():
    other = document(budgetingMethod="Timeslices") | {"metadata": {"name": "other"}}
    made = read(other, document(), document())
    assert list(made.slos) == ["docs-api-availability"]
    assert len(made.refused) == 2
    assert "there is a second SLO named 'docs-api-availability'" in made.refused[1]


@pytest.mark.parametrize("text", ["a: [", "a: &x [*x]", "- 1", "", "x: !!python/object:os.system {}", "[" * 2000])
def test_what_is_no_document_breaks_nothing(text):
    made = openslo.read({"slo.yaml": text})
    assert made.slos == {}
    assert made.refused


@pytest.mark.parametrize(
    ("text", "counter", "made"),
    [
        ("sum(rate(x[5m]))", None, "sum(rate(x[{{window}}]))"),
        ("sum(rate(x[ {{.window}} ]))", None, "sum(rate(x[{{window}}]))"),
        ("sum(rate(x[$__rate_interval]))", True, "sum(rate(x[{{window}}]))"),
        ("sum(rate(x[${window}]))", True, "sum(rate(x[{{window}}]))"),
        ('sum(increase(x{a="[5m]",b=~"a{2}"}[1h30m] offset 5m))', None, 'sum(increase(x{a="[5m]",b=~"a{2}"}[{{window}}] offset 5m))'),
        ('x_total{a="b"}', None, 'sum(increase(x_total{a="b"}[{{window}}]))'),
        ("sum by (a) (x_count)", None, "sum by (a)(increase(x_count[{{window}}]))"),
        ("sum(x)", False, "sum(sum_over_time(x[{{window}}]))"),
    ],
)  # fmt: skip
def test_a_query_for_one_range_becomes_one_for_any(text, counter, made):
    assert promql.windowed(text, counter=counter) == made


@given(st.text(alphabet="sumrate()[]{}\"'`5m: $x_total\\", max_size=40), st.sampled_from([True, False, None]))
def test_any_query_has_its_window_or_is_refused(text, counter):
    try:
        made = promql.windowed(text, counter=counter)
    except ValueError:
        return
    assert "{{window}}" in made


@given(st.decimals(min_value="0.0001", max_value="0.99999", places=5))
def test_a_target_is_the_same_promise(target):
    made = read(document(objectives=[{"target": float(target)}]))
    if made.slos:
        slo = Slo.model_validate(made.slos["docs-api-availability"])
        assert slo.budget == pytest.approx(1 - float(target), abs=1e-9)
        assert list(misfits({"a": slo}, {"docs-api": Service(channel="#a")}, Policy(), pager=False, metrics=True)) == []


@pytest.mark.parametrize("speeds", [(14.4, 2), (2, 14.4)])
def test_of_two_conditions_over_the_same_window_the_one_that_fires_first_is_kept_and_the_other_is_named(speeds: Any):
    conditions = [
        {
            "kind": "AlertCondition",
            "spec": {
                "severity": "page",
                "condition": {"kind": "burnrate", "op": "gte", "threshold": speed, "lookbackWindow": "1h"},
            },
        }
        for speed in speeds
    ]
    policy = {"kind": "AlertPolicy", "spec": {"alertWhenBreaching": True, "conditions": conditions}}
    made = openslo.read({"slos.yaml": yaml.safe_dump(document(alertPolicies=[policy]))})
    assert [tier["burn"] for tier in made.slos["docs-api-availability"]["tiers"]] == [2]
    assert any("page-1h (14.4 times) is left out" in note for note in made.notes)


def test_a_reference_that_is_no_name_is_a_sentence_and_no_crash():
    good = {"metricSource": {"metricSourceRef": {"name": "thanos"}, "spec": {"query": "sum(rate(x[5m]))"}}}
    made = openslo.read({"slos.yaml": yaml.safe_dump(document(indicator=ratio(good=good)))})
    assert any("good does not say of what type" in note for note in made.notes)


def test_aliases_are_refused_before_anybody_writes_them_out():
    layers = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))
    made = openslo.read({"bomb.yml": f"apiVersion: openslo/v1\na0: &a0 x\n{layers}\nkind: *a9\n"})
    assert made.refused == ["bomb.yml: aliases (*a0) are not read here; write the value out"]
