"""`captain slo …` without the bot: rules for Prometheus out of captain.yml, and what Prometheus answers for it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ground.waiting import free_port

from bot.integrations.prometheus import PrometheusSettings
from bot.integrations.prometheus.client import PrometheusClient
from bot.integrations.prometheus.fake import FakePrometheus
from bot.standin import CallLog, serve
from handlers.slo import dry
from handlers.slo.kinds import Slo

CAPTAIN = str(Path(sys.executable).with_name("captain"))
SLO = {
    "service": "docs-api",
    "objective": 99.9,
    "bad": 'sum(rate(istio_requests_total{destination_workload="docs-api",response_code=~"5.."}[{{window}}]))',
    "total": 'sum(rate(istio_requests_total{destination_workload="docs-api"}[{{window}}]))',
    "evaluate": False,
}
CONFIG: dict[str, Any] = {"services": {"docs-api": {"channel": "#docs"}}, "slos": {"docs-api-availability": SLO}}


def captain(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """In a folder of its own, as an operator calls it."""
    return subprocess.run([CAPTAIN, *words], capture_output=True, text=True, timeout=60, check=False, cwd=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, **CONFIG)
    return tmp_path


def write(folder: Path, **sections: Any) -> None:
    (folder / "captain.yml").write_text(yaml.safe_dump(sections, sort_keys=False))


def test_the_rules_come_on_standard_output_or_into_a_file(folder: Path):
    printed = captain(folder, "slo", "rules")
    assert (printed.returncode, printed.stderr) == (0, "")
    written = captain(folder, "slo", "rules", "--out", "rules.yml")
    assert "rules.yml: 32 rules for 1 SLO; name it in rule_files:" in written.stdout
    assert (folder / "rules.yml").read_text() == printed.stdout
    assert [group["name"] for group in yaml.safe_load(printed.stdout)["groups"]] == [
        "slo-docs-api-availability",
        "slo-docs-api-availability-long",
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["captain.yml", "rules.yml"]


def test_the_operator_gets_a_prometheusrule(folder: Path):
    made = captain(folder, "slo", "rules", "--prometheusrule", "--name", "slos", "--label", "release=prometheus")
    read = yaml.safe_load(made.stdout)
    assert read["kind"] == "PrometheusRule"
    assert read["metadata"] == {"name": "slos", "labels": {"release": "prometheus"}}
    wrong = captain(folder, "slo", "rules", "--prometheusrule", "--label", "release")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--label wants KEY=VALUE" in wrong.stderr


def test_who_would_be_told_twice_hears_of_it(folder: Path):
    write(folder, **CONFIG | {"slos": {"a": SLO | {"evaluate": True}}, "prometheus": {"url": "http://127.0.0.1:9"}})
    made = captain(folder, "slo", "rules")
    assert made.returncode == 0
    assert "The bot evaluates a too: once Prometheus runs these rules, set evaluate: false there." in made.stderr


def test_what_is_wrong_is_said_with_exit_code_2(folder: Path):
    write(folder, **CONFIG | {"slos": {"a": SLO | {"objective": 50}}})
    made = captain(folder, "slo", "rules", "--out", "rules.yml")
    assert made.returncode == 2
    assert "slos.a.tiers.0.burn: burn 14.4 can never be reached" in made.stderr
    assert not (folder / "rules.yml").exists()
    write(folder, services=CONFIG["services"])
    assert "has no slos: section" in captain(folder, "slo", "rules").stderr
    write(folder, **CONFIG)
    unwritable = captain(folder, "slo", "rules", "--out", "nowhere/rules.yml")
    assert (unwritable.returncode, unwritable.stderr.strip()) == (
        2,
        "nowhere/rules.yml cannot be written: No such file or directory",
    )


# ---- captain slo check ------------------------------------------------------------------------------------------------------

ERRORS = 'istio_requests_total{reporter="destination",destination_workload="docs-api",response_code=~"5.."}'
REQUESTS = 'istio_requests_total{reporter="destination",destination_workload="docs-api"}'
RIGHT = SLO | {"bad": f"sum(rate({ERRORS}[{{{{window}}}}]))", "total": f"sum(rate({REQUESTS}[{{{{window}}}}]))"}


@pytest.fixture
def prometheus() -> Iterator[tuple[FakePrometheus, str]]:
    fake = FakePrometheus(CallLog())
    served = serve(fake.app)
    try:
        yield fake, served.url
    finally:
        served.stop()


def asked(folder: Path, url: str, *words: str, timeout: float = 5.0, **slo: Any) -> subprocess.CompletedProcess[str]:
    write(
        folder,
        services=CONFIG["services"],
        prometheus={"url": url, "timeout": timeout},
        slos={"docs-api-availability": {key: value for key, value in (RIGHT | slo).items() if value is not None}},
    )
    return captain(folder, "slo", "check", *words)


def test_what_is_counted_and_left_is_shown(folder: Path, prometheus: tuple[FakePrometheus, str]):
    fake, url = prometheus
    fake.set_world("docs-api", errors=0.0004, rps=100, ago=7000)
    made = asked(folder, url)
    assert (made.returncode, made.stderr) == (0, "")
    assert "docs-api-availability: 99.9 % of 30d" in made.stdout
    assert "60 % of the error budget is left" in made.stdout
    assert "all is well." in made.stdout
    (row,) = [line.split() for line in made.stdout.splitlines() if line.strip().startswith("1h ")]
    assert 350_000 < float(row[1].replace(",", "")) < 370_000
    assert float(row[3]) == pytest.approx(99.96, abs=0.002)
    told = json.loads(asked(folder, url, "--json").stdout)["slos"][0]
    assert told["findings"] == []
    assert told["windows"]["1h"]["sli"] == pytest.approx(0.9996, abs=2e-5)
    assert told["budget_left"] == pytest.approx(0.6, abs=0.02)


MISTAKES = [
    ({"total": "sum(rate(istio_request_total[{{window}}]))"}, "total: finds no series: is the metric's name right"),
    (
        {"total": "sum by (response_code) (rate(istio_requests_total[{{window}}]))"},
        "total at 5m, 30m, 1h, 2h, 6h, 1d, 3d, 30d: gives several series (by response_code), where one number is wanted",
    ),
    ({"bad": "sum(rate(istio_requests_total[{{window}}]))"}, "bad at 5m, 30m, 1h, 2h, 6h, 1d, 3d, 30d: counts more events"),
    ({"bad": None, "good": "sum(rate(nothing[{{window}}]))"}, "finds nothing where total does, so that every event counts"),
    ({"total": "sum(rate(istio_requests_total[{{window}}])"}, "Prometheus refused the call (400)"),
    ({"bad": f"sum(rate({ERRORS}[{{{{window}}}}])) / 0 * 0"}, "gives nan, which is no number"),
    ({"bad": f"-sum(rate({REQUESTS}[{{{{window}}}}]))"}, "gives less than nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("slo", "said"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_what_is_to_be_mended_is_said(prometheus, slo, said):
    _, url = prometheus
    client = PrometheusClient(PrometheusSettings(url=url))
    try:
        made = Slo.model_validate({key: value for key, value in (RIGHT | slo).items() if value is not None})
        done = dry.check(client, "docs-api-availability", made, timeout=5.0, clock=time.monotonic)
    finally:
        client.close()
    assert dry.code([done]) == 1
    assert any(line.startswith("  mistake: ") and said in line for line in dry.lines(done)), list(dry.lines(done))


def test_an_slo_that_counts_nothing_bad_is_told_apart_from_one_that_counts_nothing(folder: Path, prometheus):
    fake, url = prometheus
    nothing_bad = asked(folder, url, bad=f"sum(rate({REQUESTS.replace('docs-api', 'docs-ap')}[{{{{window}}}}]))")
    assert nothing_bad.returncode == 0
    assert "note: bad: counts no event in any window: none was bad, or a label is misspelt" in nothing_bad.stdout
    fake.set_world("docs-api", rps=0, ago=9000)  # before its history began, however long this took
    idle = asked(folder, url)
    assert idle.returncode == 1
    assert "mistake: total: counts no event in any window" in idle.stdout


def test_what_could_not_be_told_is_no_mistake_and_not_well_either(folder: Path, prometheus):
    fake, url = prometheus
    fake.partial("store-2 did not answer")
    partial = asked(folder, url)
    assert partial.returncode == 2
    assert "unknown: total at 5m" in partial.stdout
    assert "may be of a part of the data only, says Prometheus: store-2 did not answer" in partial.stdout
    fake.partial()
    fake.faults.breaks("hang", only="/query")
    slow = asked(folder, url, timeout=0.5)
    assert slow.returncode == 2
    assert "did not answer within 0.5 s; longer windows were not asked" in slow.stdout
    fake.faults.mend()
    fake.faults.breaks("late", only="/query", delay=0.4)
    late = asked(folder, url, timeout=0.7)
    assert "took more than half of prometheus.timeout (0.7 s)" in late.stdout


def test_nobody_to_ask_is_said_once(folder: Path, prometheus):
    _, url = prometheus
    away = asked(folder, f"http://127.0.0.1:{free_port()}")
    assert (away.returncode, away.stdout) == (2, "")
    assert "Prometheus cannot be reached" in away.stderr
    unknown = asked(folder, url, "docs-api-availabilty")
    assert "Did you mean 'docs-api-availability'?" in unknown.stderr
    write(folder, **CONFIG)
    assert "there is no prometheus: section in captain.yml" in captain(folder, "slo", "check").stderr


# ---- captain slo import -----------------------------------------------------------------------------------------------------

SHOP = Path(__file__).resolve().parent.parent / "data" / "openslo" / "shop.yaml"


def test_openslo_comes_out_as_a_section_of_captain_yml(folder: Path):
    made = captain(folder, "slo", "import", str(SHOP))
    assert made.returncode == 0
    assert made.stdout.startswith("# From OpenSLO: ")
    assert list(yaml.safe_load(made.stdout)["slos"]) == [
        "checkout-availability",
        "search-latency-quick",
        "search-latency-usable",
        "mails-delivered",
    ]
    assert "note: checkout-availability: 'checkout' is not a service of captain.yml. Valid: docs-api." in made.stderr


def test_openslo_that_was_left_out_is_told_by_the_exit_code(folder: Path):
    other = folder / "other.yaml"
    other.write_text("apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: a}\nspec: {budgetingMethod: Timeslices}\n")
    some = captain(folder, "slo", "import", str(SHOP), "other.yaml")
    assert some.returncode == 1
    assert "refused: other.yaml: a: budgetingMethod Timeslices counts good minutes" in some.stderr
    none = captain(folder, "slo", "import", "other.yaml")
    assert (none.returncode, none.stdout) == (2, "")
    assert "nowhere.yaml cannot be read" in captain(folder, "slo", "import", "nowhere.yaml").stderr
