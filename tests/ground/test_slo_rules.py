"""The rules of SLOs, run by the real promtool on series that burn, barely burn, are sparse, begin anew, or are missing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from handlers.catalogue import Policy, Service
from handlers.incidents import grouping
from handlers.slo import rule_file
from handlers.slo.kinds import Slo
from handlers.slo.lint import misfits

pytestmark = pytest.mark.realprom

SERVICES = {"docs-api": Service(channel="#docs", dashboard="https://grafana.example/d/docs")}
SLOS = {
    "availability": Slo(
        service="docs-api",
        objective=99.9,
        bad='sum(rate(http_requests_total{job="docs-api",code=~"5.."}[{{window}}]))',
        total='sum(rate(http_requests_total{job="docs-api"}[{{window}}]))',
        evaluate=False,
        runbook="https://runbooks.example/docs-api",
        description="Answers of {{docs-api}} that are no 5xx.",
    ),
    "latency": Slo(
        service="docs-api",
        objective=99,
        window="7d",
        good='sum(increase(http_request_seconds_bucket{le="0.5"}[{{window}}]))',
        total="sum(increase(http_request_seconds_count[{{window}}]))",
        evaluate=False,
    ),
}
OK, BAD = 'http_requests_total{job="docs-api",code="200"}', 'http_requests_total{job="docs-api",code="503"}'
QUICK, ALL = 'http_request_seconds_bucket{le="0.5"}', "http_request_seconds_count"
NOBODY: set[str] = set()

# The SLO; its series (counts in promtool's notation, one a minute); how often the rules run, which five minutes must be a
# whole number of; after how many minutes who is told.
Story = tuple[str, dict[str, str], str, dict[int, set[str]]]
FINE, COARSE = "1m", "150s"
TICKETS = {"ticket-3d", "ticket-30d"}
ALL_TICKETS = {"ticket-1d", *TICKETS}
PAGES = {"page-1h", "page-6h"}


def requests(ok: str, bad: str) -> dict[str, str]:
    return {OK: ok, BAD: bad}


def each(minutes: int, times: int, first: int = 0) -> str:
    """A counter that is raised by one every so many minutes, so many times."""
    return " ".join(f"{n}x{minutes - 1}" for n in range(first, first + times))


STORIES: dict[str, Story] = {
    "all is well": ("availability", requests("0+1000x400", "0x400"), COARSE, {28: NOBODY, 400: NOBODY}),
    "nothing has ever failed, so there is no series of failures": (
        "availability",
        {OK: "0+1000x400"},
        COARSE,
        {28: NOBODY, 400: NOBODY},
    ),
    "a little less than the budget is used": (
        "availability",
        requests("0+99910x400", "0+90x400"),
        COARSE,
        {400: NOBODY},
    ),
    "a little more than the budget is used": (
        "availability",
        requests("0+99880x400", "0+120x400"),
        COARSE,
        {400: TICKETS},
    ),
    "just under three times": ("availability", requests("0+99705x400", "0+295x400"), COARSE, {400: TICKETS}),
    "just over three times": ("availability", requests("0+99690x400", "0+310x400"), COARSE, {400: ALL_TICKETS}),
    "just under six times": ("availability", requests("0+99405x400", "0+595x400"), COARSE, {400: ALL_TICKETS}),
    "just over six times": (
        "availability",
        requests("0+99390x400", "0+610x400"),
        COARSE,
        {400: {"page-6h"}},
    ),
    "just under what pages within the hour": (
        "availability",
        requests("0+98570x400", "0+1430x400"),
        COARSE,
        {400: {"page-6h"}},
    ),
    "just over what pages within the hour": (
        "availability",
        requests("0+98550x400", "0+1450x400"),
        COARSE,
        {400: PAGES},
    ),
    "everything fails after seven good hours": (
        "availability",
        requests("0+1000x420 420000x20", "0x420 0+1000x20"),
        FINE,
        {420: NOBODY, 422: {"page-1h"}, 424: PAGES, 435: PAGES},
    ),
    "one in twenty fails after ten good hours": (
        "availability",
        requests("0+1000x600 600950+950x120", "0x600 50+50x120"),
        COARSE,
        {617: NOBODY, 622: {"page-1h", *TICKETS}, 650: {*PAGES, *TICKETS}},
    ),
    "ten bad minutes, long over": (
        "availability",
        requests("0+1000x480 480000x10 481000+1000x500", "0x480 1000+1000x9 10000x500"),
        COARSE,
        {492: PAGES, 497: {"page-6h"}, 527: NOBODY, 650: NOBODY, 860: NOBODY},
    ),
    "a burst that pages, and then a slow burn: a ticket once the burst is out of sight": (
        "availability",
        requests("0+1000x240 240000x10 241000+995x300", "0x240 1000+1000x9 10000+5x300"),
        COARSE,
        {252: PAGES, 290: NOBODY, 380: NOBODY, 430: {"ticket-1d"}},
    ),
    "a slow burn that becomes a fast one: the ticket stays, and the page comes": (
        "availability",
        requests("0+9950x120 1194000+8000x60", "0+50x120 6000+2000x60"),
        COARSE,
        {118: ALL_TICKETS, 140: {"page-1h", "page-6h", *ALL_TICKETS}},
    ),
    "a hiccup of one minute in which one in ten fails": (
        "availability",
        requests("0+1000x400 400900 401900+1000x30", "0x400 100x30"),
        FINE,
        {402: NOBODY, 420: NOBODY},
    ),
    "sparse: one request a minute, and one of them fails": (
        "availability",
        requests("0+1x400 400 401+1x60", "0x400 1x60"),
        FINE,
        {403: NOBODY, 420: NOBODY, 458: NOBODY},
    ),
    "sparse: two requests an hour, and one of them fails": (
        "availability",
        requests(each(30, 12), "0x179 1x180"),
        COARSE,
        {184: NOBODY, 220: NOBODY, 356: NOBODY},
    ),
    "sparse: two requests an hour, and all of them fail: the fifth pages": (
        "availability",
        requests("0x300", each(30, 10)),
        FINE,
        {119: NOBODY, 140: NOBODY, 155: {"page-3d"}},
    ),
    "sparse: fifty requests an hour, and all of them fail after a good morning": (
        "availability",
        requests(each(1, 360) + " 360x40", "0x359 " + each(1, 40)),
        FINE,
        {361: NOBODY, 368: {"page-3d"}, 374: {"page-6h", "page-3d"}},
    ),
    "sparse: two requests an hour, and one in twenty fails: a ticket with the fifth, after two days": (
        "latency",
        {QUICK: " ".join(f"{n - n // 20}x29" for n in range(105)), ALL: each(30, 105)},
        COARSE,
        {1440: NOBODY, 2590: NOBODY, 3015: {"ticket-7d"}, 3140: NOBODY},
    ),
    "a pod is replaced every half hour and nothing fails": (
        "availability",
        requests(" ".join(["0+1000x29"] * 13), " ".join(["0x29"] * 13)),
        COARSE,
        {388: NOBODY},
    ),
    "counters begin anew every half hour while it burns": (
        "availability",
        requests(" ".join(["0+9840x29"] * 13), " ".join(["0+160x29"] * 13)),
        COARSE,
        {388: PAGES},
    ),
    "nothing is there": ("availability", {}, FINE, {9: NOBODY, 12: {"missing"}, 30: {"missing"}}),
    "it vanishes, and is back": (
        "availability",
        requests("0+1000x60 stale _x60 0+1000x60", "0x60 stale _x60 0x60"),
        FINE,
        {68: NOBODY, 80: {"missing"}, 130: NOBODY},
    ),
    "it vanishes while it burns: the page stays until something is measured": (
        "availability",
        requests("0+900x60 stale _x100 0+1000x60", "0+100x60 stale _x100 0x60"),
        FINE,
        {60: PAGES, 70: PAGES, 90: {"missing", *PAGES}, 160: {"missing", *PAGES}, 190: NOBODY},
    ),
    "nobody comes while it burns: the page stays": (
        "availability",
        requests("0+900x60 54000x200", "0+100x60 6000x200"),
        COARSE,
        {240: PAGES},
    ),
    "nobody has come for a day: the counters stand still": (
        "latency",
        {QUICK: "0+10x3 30x1520", ALL: "0+10x3 30x1520"},
        COARSE,
        {23 * 60: NOBODY, 25 * 60: {"missing"}},
    ),
    "a day in which one person came": ("latency", {QUICK: "0x500 1x1300", ALL: "0x500 1x1300"}, COARSE, {1800: NOBODY}),
    "good: all is quick": ("latency", {QUICK: "0+100x400", ALL: "0+100x400"}, COARSE, {400: NOBODY}),
    "good: nothing is quick, so there is no series of what is": (
        "latency",
        {ALL: "0+100x60"},
        COARSE,
        {60: PAGES},
    ),
    "good: just under what pages within the hour": (
        "latency",
        {QUICK: "0+8570x400", ALL: "0+10000x400"},
        COARSE,
        {400: {"page-6h"}},
    ),
    "good: just under six times": (
        "latency",
        {QUICK: "0+9410x400", ALL: "0+10000x400"},
        COARSE,
        {400: {"ticket-1d", "ticket-3d", "ticket-7d"}},
    ),
    "good: sparse: two an hour, and none is quick: the fifth pages": (
        "latency",
        {QUICK: "0x170", ALL: each(30, 6)},
        FINE,
        {140: NOBODY, 155: {"page-16h"}},
    ),
    "good: just under the budget": ("latency", {QUICK: "0+9905x400", ALL: "0+10000x400"}, COARSE, {400: NOBODY}),
    "good: more is counted as quick than there was": (
        "latency",
        {QUICK: "0+10010x400", ALL: "0+10000x400"},
        COARSE,
        {400: NOBODY},
    ),
    "good: nothing is there": ("latency", {}, FINE, {8: NOBODY, 12: {"missing"}}),
}


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on PATH; on Debian apt install prometheus prometheus-alertmanager")
    return found


def groups(slos: Mapping[str, Slo] = SLOS) -> list[dict[str, Any]]:
    assert list(misfits(slos, SERVICES, Policy(), pager=False, metrics=False)) == []
    return rule_file.groups(slos, SERVICES, Policy())


def checked(file: Path) -> str:
    run = subprocess.run([tool("promtool"), "check", "rules", file], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def played(folder: Path, test: Mapping[str, Any], every: str, slos: Mapping[str, Slo]) -> None:
    """Run one test of promtool on the rules. ``every``: how often they run."""
    (folder / "rules.yml").write_text(rule_file.plain(groups(slos)))
    asked = {"rule_files": ["rules.yml"], "evaluation_interval": every, "tests": [{"interval": "1m", **test}]}
    file = folder / "story.yml"
    file.write_text(yaml.safe_dump(asked))
    run = subprocess.run([tool("promtool"), "test", "rules", file], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def seen(series: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in series.items()]


@pytest.mark.parametrize("story", STORIES)
def test_who_is_told_when(story: str, tmp_path: Path):
    name, series, every, told = STORIES[story]
    test = {
        "input_series": seen(series),
        "promql_expr_test": [
            {
                "expr": f'count by (tier) (ALERTS{{alertstate="firing",slo="{name}"}})',
                "eval_time": f"{minutes}m",
                "exp_samples": [{"labels": f'{{tier="{tier}"}}', "value": 1} for tier in sorted(tiers)],
            }
            for minutes, tiers in told.items()
        ],
    }
    played(tmp_path, test, every, {name: SLOS[name]})


def test_an_slo_that_was_given_to_another_service_still_burns_over_its_long_windows(tmp_path: Path):
    before = '{slo="availability",service="docs-old",env="prod"}'
    series = {
        f"slo:sli_total:increase5m{before}": "1000x59 stale",
        f"slo:sli_bad:increase5m{before}": "100x59 stale",
        OK: "_x60 0+1000x120",
        BAD: "_x60 0+5x120",
    }
    asked = {
        "expr": 'count by (tier) (ALERTS{alertstate="firing",severity="ticket"})',
        "eval_time": "120m",
        "exp_samples": [{"labels": f'{{tier="{tier}"}}', "value": 1} for tier in sorted(ALL_TICKETS)],
    }
    test = {"input_series": seen(series), "promql_expr_test": [asked]}
    played(tmp_path, test, FINE, {"availability": SLOS["availability"]})


def test_every_tier_has_a_story_in_which_it_speaks_and_ones_in_which_it_is_silent():
    for name, slo in SLOS.items():
        tiers = {tier.name for tier in slo.all_tiers} | {"missing"}
        nights = [told for about, _, _, when in STORIES.values() if about == name for told in when.values()]
        assert set().union(*nights) == tiers
        assert not set.intersection(*nights)


def test_the_rules_are_rules_and_each_series_and_alert_carries_what_identifies_the_slo(tmp_path: Path):
    made = groups()
    (tmp_path / "rules.yml").write_text(rule_file.plain(made))
    count = sum(len(group["rules"]) for group in made)
    assert f"{count} rules found" in checked(tmp_path / "rules.yml")
    for rule in (rule for group in made for rule in group["rules"]):
        assert rule["labels"].items() >= {"service": "docs-api", "env": "prod"}.items()
        assert rule["labels"]["slo"] in SLOS


def test_what_an_alert_says(tmp_path: Path):
    tier = {"slo": "availability", "service": "docs-api", "env": "prod", "severity": "page", "tier": "page-1h"}
    said = {
        "summary": "availability burns 50.0 times its error budget",
        "description": "Answers of {{docs-api}} that are no 5xx. Of the events of 1h and of 5m at least 1.44 % are bad. "
        "At 14.4 times its speed the whole error budget of 30d (99.9 %) is gone in 2 d 2 h.",
        "runbook_url": "https://runbooks.example/docs-api",
        "dashboard": "https://grafana.example/d/docs",
        "burn": "50.00",
    }
    rules = rule_file.groups({"availability": SLOS["availability"]}, SERVICES, Policy())
    kept = [rule for rule in rules[0]["rules"] if "record" in rule or rule["labels"]["tier"] == "page-1h"]
    (tmp_path / "rules.yml").write_text(rule_file.plain([{**rules[0], "rules": kept}]))
    asked = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": seen(requests("0+95x60", "0+5x60")),
                "alert_rule_test": [
                    {
                        "eval_time": "60m",
                        "alertname": "SLOBurn",
                        "exp_alerts": [{"exp_labels": tier, "exp_annotations": said}],
                    }
                ],
                "promql_expr_test": [
                    {
                        "expr": f'round({series}{{slo="availability"}}, 0.0001)',
                        "eval_time": "60m",
                        "exp_samples": [
                            {"labels": '{slo="availability", service="docs-api", env="prod"}', "value": value}
                        ],
                    }
                    for series, value in (
                        ("slo:sli_bad:increase5m", 25),
                        ("slo:sli_total:increase5m", 500),
                        ("slo:sli_error:ratio_rate1h", 0.05),
                    )
                ],
            }
        ],
    }
    (tmp_path / "story.yml").write_text(yaml.safe_dump(asked))
    run = subprocess.run(
        [tool("promtool"), "test", "rules", tmp_path / "story.yml"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_all_tiers_of_an_slo_lead_to_one_incident_and_those_of_another_to_another():
    keys: dict[tuple[str, str], set[str]] = {}
    for rule in (rule for group in groups() for rule in group["rules"] if "alert" in rule):
        labels = {"alertname": rule["alert"], **rule["labels"]}
        key = grouping.key_of(grouping.DEFAULT, labels, service=labels["service"], environment=labels["env"])
        assert not key.missing
        keys.setdefault((labels["slo"], rule["alert"]), set()).add(key.text)
    assert {about: len(found) for about, found in keys.items()} == {
        ("availability", "SLOBurn"): 1,
        ("availability", "SLODataMissing"): 1,
        ("latency", "SLOBurn"): 1,
        ("latency", "SLODataMissing"): 1,
    }
    assert len(set.union(*keys.values())) == 4, "that something cannot be measured is an incident beside it"


def test_where_the_bot_reads_other_labels_the_alerts_carry_them_too():
    policy = Policy(service_label="app", environment_label="stage")
    for rule in (rule for group in rule_file.groups(SLOS, SERVICES, policy) for rule in group["rules"]):
        assert rule["labels"].items() >= {"app": "docs-api", "stage": "prod", "service": "docs-api"}.items()


def test_the_same_captain_yml_gives_the_same_file_whatever_its_order():
    turned = dict(reversed(SLOS.items()))
    assert rule_file.plain(groups()) == rule_file.plain(groups(turned))
    made = rule_file.prometheus_rule(groups(), name="slos", namespace="monitoring", marks={"release": "prometheus"})
    read = yaml.safe_load(made)
    assert (read["apiVersion"], read["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert read["metadata"] == {"name": "slos", "namespace": "monitoring", "labels": {"release": "prometheus"}}
    assert read["spec"]["groups"] == yaml.safe_load(rule_file.plain(groups()))["groups"] == groups()


def test_names_that_need_quotes_do_not_break_the_rules(tmp_path: Path):
    odd = SLOS["latency"].model_copy(
        update={"environment": 'pre"prod\\1', "description": "Größe: {{ $labels.x }}\n# no"}
    )
    (tmp_path / "rules.yml").write_text(rule_file.plain(groups({"odd": odd})))
    checked(tmp_path / "rules.yml")


@pytest.mark.parametrize("objective", [50.5, 93.1, 99, 99.99, 99.999])
@pytest.mark.parametrize("window", ["3d", "7d", "28d", "90d"])
def test_whatever_is_promised_the_rules_are_rules(objective: float, window: str, tmp_path: Path):
    tiers = [{"severity": "ticket", "burn": 1.5, "long": "1d"}]
    slo = Slo.model_validate(SLOS["latency"].model_dump() | {"objective": objective, "window": window, "tiers": tiers})
    (tmp_path / "rules.yml").write_text(rule_file.plain(groups({"any": slo})))
    checked(tmp_path / "rules.yml")
