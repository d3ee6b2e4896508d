"""`captain slo …` without the bot: rules for Prometheus out of captain.yml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

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
