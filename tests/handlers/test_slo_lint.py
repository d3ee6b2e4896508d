"""What is wrong with an SLO is said when captain.yml is read, at its line, with what would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ConfigError
from bot.settings import load
from handlers.catalogue import Policy, Service
from handlers.incidents.rules import Severity
from handlers.slo.kinds import Slo, Tier, bad_query, kinds, seconds, span, total_query
from handlers.slo.lint import misfits

BAD = 'sum(rate(http_requests_total{job="docs-api",code=~"5.."}[{{window}}]))'
TOTAL = 'sum(rate(http_requests_total{job="docs-api"}[{{window}}]))'
GOOD: dict[str, Any] = {"service": "docs-api", "objective": 99.9, "bad": BAD, "total": TOTAL}
SERVICES = {"docs-api": Service(channel="#docs", pagerduty="a" * 32), "gateway": Service(channel="#gateway")}


def found(
    name: str = "docs-api-availability", *, pager: bool = True, metrics: bool = True, **changes: Any
) -> list[str]:
    slo = Slo.model_validate({key: value for key, value in (GOOD | changes).items() if value is not None})
    said = misfits({name: slo}, SERVICES, Policy(), pager=pager, metrics=metrics)
    return [f"{'.'.join(map(str, place[2:]))}: {why}" for place, why in said]


def test_the_usual_one_is_right():
    assert found() == []
    assert found(good=BAD, bad=None) == []
    assert found(bad=BAD.replace("rate", "increase"), total=TOTAL.replace("rate", "increase")) == []
    assert found(bad="sum(sum_over_time(errors[{{window}}]))", total="sum(sum_over_time(requests[{{ window }}]))") == []


WRONG = [
    ({"service": "docs-ap"}, "service: 'docs-ap' is not a service. Did you mean 'docs-api'?"),
    ({"service": "gateway"}, "service: services.gateway.pagerduty is not set: the tiers that page would wake nobody"),
    ({"good": TOTAL}, "good: good and bad both say"),
    ({"bad": None}, ": good or bad is missing"),
    ({"total": "sum(rate(x[5m]))"}, "total: has a fixed range [5m]; write [{{window}}]"),
    ({"total": "sum(increase(x[{{window}}])) / sum(rate(x[5m:1m]))"}, "total: has a fixed range [5m]"),
    ({"total": "sum(rate(x))"}, "total: must have [{{window}}] where the range goes"),
    ({"total": 'sum(rate(x{a="[{{window}}]"}))'}, "total: must have [{{window}}] where the range goes"),
    ({"total": 'sum(rate(x{a="{{env}}"}[{{window}}]))'}, "total: {{env}} is not known here; only {{window}} is filled in"),
    ({"bad": "sum(increase(x[{{window}}]))"}, "bad: counts by increase and total by rate"),
    ({"bad": "sum(rate(x[{{window}}])) # of the gateway"}, "bad: has a comment (#)"),
    ({"bad": "sum(x[{{window}}])"}, "bad: must count events: by rate()"),
    ({"bad": "sum(irate(x[{{window}}]))"}, "bad: irate() looks at two samples alone"),
    ({"bad": "sum(rate(x[{{window}}])) + sum(increase(x[{{window}}]))"}, "bad: has rate() beside increase()"),
    ({"objective": 90}, "tiers.0.burn: burn 14.4 can never be reached at an objective of 90: when every event is bad it burns"),
    ({"objective": 90}, "10 times its budget; give tiers: a burn below 10, or an objective above 93.06"),
    ({"tiers": [Tier(severity="page", burn=2, long="1h", short="1h")]}, "tiers.0.short: short (1h) must be shorter"),
    ({"tiers": [Tier(severity="page", burn=2, long="1h", short="2h")]}, "a twelfth is usual, 5m"),
    ({"window": "1d"}, "tiers.3.long: looks at 3d, which is longer than the SLO's window of 1d"),
    (
        {"tiers": [Tier(severity="page", burn=b, long="1h", short="5m") for b in (14.4, 6)]},
        "tiers.1: there are two tiers 'page-1h'",
    ),
    ({"window": "433m"}, "window: 433m must be a multiple of 5m"),
    ({"tiers": [], "few_bad": 0}, "tiers: is empty and few_bad is 0"),
    ({"silent_after": "5m"}, "silent_after: must be at least missing_after, 10m"),
    ({"runbook": "docs-api"}, "runbook: must be a link"),
    ({"by": ["le", "a-b"]}, "by.1: 'a-b' is not the name of a label"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_is_wrong_is_said_with_what_would_do(changes, said):
    assert any(said in line for line in found(**changes)), found(**changes)


@pytest.mark.parametrize("name", ["docs api", "", "1st", "a" * 64, 'a"b', "größe", "a\nb"])
def test_a_name_that_is_no_word_is_refused(name):
    assert "an SLO's name has letters, digits" in found(name)[0]


def test_nobody_is_asked_for_prometheus_where_prometheus_runs_the_rules():
    assert "there is no prometheus: section, so I could not measure it" in found(metrics=False)[0]
    assert found(metrics=False, evaluate=False) == []


def test_a_service_without_a_pager_may_have_tickets():
    tickets = [Tier(severity="ticket", burn=1, long="3d")]
    assert "gateway.pagerduty" in found(service="gateway", tiers=tickets)[0], "few_bad pages too"
    assert found(service="gateway", tiers=tickets, few_bad=0) == []
    assert found(service="gateway", pager=False) == []


def test_the_severities_of_its_alerts_must_mean_what_they_say():
    slos = {"docs-api-availability": Slo(**GOOD)}
    policy = Policy(severities={"page": Severity.SEV3})
    said = list(misfits(slos, SERVICES, policy, pager=True, metrics=True))
    assert [place for place, _ in said] == [("incidents", "severities")] * 2
    assert "'page' is sev3, which pages nobody: give the alerts of slos: page: sev2" in said[0][1]
    assert "'ticket' is sev2, which pages: give the alerts of slos: ticket: sev3" in said[1][1]
    assert list(misfits({}, SERVICES, policy, pager=True, metrics=True)) == []


def test_a_template_of_keys_that_would_make_every_tier_an_incident_of_its_own_is_refused():
    slos = {"docs-api-availability": Slo(**GOOD)}

    def said(template: str) -> list[str]:
        services = {"docs-api": Service(channel="#docs", pagerduty="a" * 32, group_by=template)}
        return [why for _, why in misfits(slos, services, Policy(), pager=True, metrics=True)]

    assert "by {cluster}, which the alerts of this SLO do not carry" in said("{service}/{cluster}/{slo|alertname}")[0]
    assert said("{service}/{cluster|slo}") == []


def test_a_mistake_stops_the_start_at_its_line(tmp_path: Path):
    file = tmp_path / "captain.yml"
    config = {
        "services": {"docs-api": {"channel": "#docs"}},
        "slos": {"docs-api-availability": GOOD | {"objective": 50, "evaluate": False}},
    }
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    with pytest.raises(ConfigError) as said:
        load(file, {})
    line = file.read_text().splitlines().index("  docs-api-availability:") + 1
    assert f"{file}:{line}: slos.docs-api-availability.tiers.0.burn: burn 14.4 can never be reached" in str(said.value)
    config["slos"]["docs-api-availability"]["objektive"] = 1
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    with pytest.raises(ConfigError, match=r"objektive is not known here. Did you mean 'objective'\?"):
        load(file, {})


@pytest.mark.parametrize("wrong", [{"few_bad": 1}, {"window": "month"}, {"objective": 100}, {"missing_after": ""}])
def test_values_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        Slo.model_validate(GOOD | wrong)


def test_how_a_query_counts_is_read_off_its_functions_not_off_its_labels():
    assert kinds('sum(increase(rate_limited{path="rate(x)"}[1h]))') == {"increase"}
    assert kinds("sum(rate (x[1h]))") == {"rate"}
    assert kinds("sum(irate(x[1h]))") == set()


def test_counts_are_events_whichever_way_they_are_measured():
    rate, increase = (
        Slo(**GOOD),
        Slo(**GOOD | {"total": TOTAL.replace("rate", "increase"), "bad": BAD.replace("rate", "increase")}),
    )
    assert total_query(rate, 3600) == TOTAL.replace("{{window}}", "1h") + " * 3600"
    assert total_query(increase, 3600) == TOTAL.replace("rate", "increase").replace("{{window}}", "1h")
    assert " or on () 0 * " in bad_query(increase, 3600)


@pytest.mark.parametrize(
    "query",
    [
        "sum by (pod) (increase(x[{{window}}]))",
        "sum(increase(x[{{window}}])) or sum(increase(y[{{window}}]))",
        "increase(x[{{window}}])",
    ],
)
def test_several_series_are_summed_so_that_one_number_comes_out(query):
    slo = Slo(**GOOD | {"total": query, "bad": query})
    assert total_query(slo, 300) == f"sum({query.replace('{{window}}', '5m')})"


SPANS = st.integers(1, 40_000).map(lambda n: n * 300)


@given(st.floats(1, 99.999), SPANS)
def test_the_tiers_for_few_events_can_always_fire_and_never_look_further_than_the_window(objective, window):
    slo = Slo(**GOOD | {"objective": objective, "window": span(window)})
    own = {tier.name for tier in slo.tiers}
    for tier in slo.all_tiers:
        if tier.name not in own:
            assert tier.long_s <= slo.window_s
            assert tier.burn * slo.budget < 1
            assert tier.min_bad == 5


@given(st.integers(1, 999_999))
def test_a_duration_is_written_as_it_is_read(length):
    assert seconds(span(length)) == length
