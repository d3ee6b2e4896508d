"""A replay: recorded alerts through the code that decides, with nobody outside, and the difference of two policies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ground.town import Town
from ground.waiting import until
from hypothesis import given
from hypothesis import strategies as st

from bot import replay
from bot.errors import Refused
from handlers.alerts.payload import Source
from handlers.replay import history, stream, words
from handlers.replay.words import Decision, Result, Wake

HOUR = 3600
START = 1_793_000_000.0 - 1_793_000_000.0 % 60
POLICY: dict[str, Any] = {
    "pagerduty": {"api_token": "${NOBODY_HAS_SET_THIS}"},
    "jira": {"url": "https://jira.example.com", "email": "a@example.com", "api_token": "${NOR_THIS}"},
    "services": {
        "docs-api": {"channel": "C012AB3CD", "pagerduty": "${PAGERDUTY_KEY}", "jira": "OPS"},
        "gateway": {"channel": "C012AB3CE", "pagerduty": "${PAGERDUTY_KEY}", "jira": "OPS"},
    },
}


def policy(folder: Path, name: str = "captain.yml", **sections: Any) -> Path:
    file = folder / name
    file.write_text(yaml.safe_dump(POLICY | sections))
    return file


def alert(minute: float, *, over: float | None = None, **labels: str) -> stream.Delivery:
    """An alert that fires in a minute of the recording; or that ended, ``over`` being the minute."""
    given_ = {"alertname": "Burn", "service": "docs-api", "severity": "page", "slo": "a"} | labels
    one = {
        "status": "firing" if over is None else "resolved",
        "labels": given_,
        "fingerprint": f"{abs(hash(tuple(sorted(given_.items())))):x}"[:16],
        "startsAt": stream.instant(round((START + minute * 60) * 1e6)),
    }
    at = START + (minute if over is None else over) * 60
    if over is not None:
        one["endsAt"] = stream.instant(round(at * 1e6))
    return stream.Delivery(at, Source.ALERTMANAGER, stream.body([one]))


def play(file: Path, *deliveries: stream.Delivery) -> Result:
    return replay.run(*replay.policy(file, {}), sorted(deliveries, key=lambda one: one.at), name=file.name)


def made(result: Result) -> list[tuple[str, int, str]]:
    return [(one.kind, round((one.at - START) / 60), one.service) for one in result.wakes]


def test_it_makes_the_pages_and_tickets_that_would_have_been(tmp_path: Path):
    result = play(
        policy(tmp_path),
        alert(0, severity="ticket", burn="slow"),
        alert(5, burn="fast"),
        alert(6, pod="b", burn="fast"),
        alert(7, slo="b", service="gateway"),
        alert(8, service="nobody"),
    )
    assert made(result) == [
        ("ticket", 0, "docs-api"),
        ("page", 5, "docs-api"),
        ("page", 7, "gateway"),
        ("ticket", 7, "gateway"),
    ]
    assert (result.alerts, result.incidents) == (5, 2)
    assert "raised INC-1 from sev3 to sev2 and pages the on-call of docs-api" in result.wakes[1].why
    assert list(result.refused.values()) == [1]


def test_its_clock_is_that_of_the_recording(tmp_path: Path):
    """Half an hour is half an hour, however quickly it is replayed; and a maintenance window holds in its own time."""
    again = [alert(0), alert(0, over=10), alert(35)]
    soon = play(policy(tmp_path, incidents={"reopen_within": 1800}), *again)
    assert soon.incidents == 1
    late = play(policy(tmp_path, incidents={"reopen_within": 1200}), *again)
    assert late.incidents == 2
    assert made(soon) == [("page", 0, "docs-api"), ("ticket", 0, "docs-api"), ("page", 35, "docs-api")]


def test_what_maintenance_holds_is_paged_when_it_ends_in_the_recordings_time(tmp_path: Path):
    window = {
        "start": stream.instant(round((START - 600) * 1e6)),
        "end": stream.instant(round((START + HOUR) * 1e6)),
        "services": ["docs-api"],
    }
    file = policy(tmp_path, maintenance={"move": window})
    result = play(file, alert(1), alert(2, slo="b"), alert(2, over=5, slo="b"), alert(90, slo="c"))
    assert [minute for kind, minute, _ in made(result) if kind == "page"] == [60, 90]
    assert result.held == 1, "what ended meanwhile woke nobody"


def test_it_leaves_nothing_behind_and_needs_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    play(policy(tmp_path, captain={"database": f"sqlite:///{tmp_path}/real.db"}), alert(0))
    assert [one.name for one in tmp_path.rglob("*") if one.is_file()] == ["captain.yml"]


def test_two_policies_are_compared_by_the_alerts_that_woke(tmp_path: Path):
    told = [alert(0), alert(0, over=10), alert(30), alert(60, slo="b", severity="ticket")]
    new = play(policy(tmp_path), *told)
    old = play(policy(tmp_path, "old.yml", incidents={"severities": {"ticket": "sev2", "page": "sev2"}}), *told)
    assert [(one.kind, one.title) for one in words.only(old, new)] == [("page", "Burn on docs-api")]
    assert words.only(new, old) == []
    said = words.table(new, old)
    assert "pages 2 3 -1" in " ".join(said.split())
    assert "captain.yml: opened INC-2, pages nobody: severity 'ticket' is sev3" in said
    data = words.plain(new, old)
    assert data["difference"]["pages"] == -1
    assert data["difference"]["only_against"][0]["other"].startswith("opened INC-2, pages nobody")
    assert json.loads(json.dumps(data)) == data


def test_a_number_for_pages_a_week():
    wakes = [Wake("page", 0.0, "a", "sev2", "t", n) for n in range(8)]
    result = Result("p", 0.0, 4 * words.WEEK, 9, 8, wakes, [Decision(0.0, "a", "f", "held", "flap")])
    assert "pages a week 2.0" in " ".join(words.table(result, None).split())
    assert words.plain(result, None)["policy"]["pages_a_week"] == 2.0
    assert words.plain(result, None)["policy"]["held"] == {"flap": 1}


# ---- recordings -------------------------------------------------------------------------------------------------------


def test_a_folder_of_bodies_is_read_in_the_order_of_its_times(tmp_path: Path, alertmanager_body, grafana_body):
    (tmp_path / "2.json").write_text(json.dumps(alertmanager_body("firing-single")))
    lines = [
        json.dumps({"at": 1e9, "body": grafana_body("firing")}),
        "",
        json.dumps({"key": "k", "starts_at": "2026-01-01T00:00:00Z"}),
    ]
    (tmp_path / "1.jsonl").write_text("\n".join(lines))
    (tmp_path / "notes.txt").write_text("not a recording")
    read = stream.folder(tmp_path)
    assert [one.source for one in read] == [Source.GRAFANA, Source.WEBHOOK, Source.ALERTMANAGER]
    assert read[0].at == 1e9
    (tmp_path / "again.jsonl").write_text("".join(f"{one.line()}\n" for one in read))
    assert stream.folder(tmp_path / "again.jsonl") == read


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "1.jsonl:1: not JSON"), ("7", "no webhook body"), ('{"version": "4", "alerts": [{}]}', "nothing in it says when"),
     ('{"at": "now", "body": {}}', "'at' must be UNIX seconds"), ('{"at": 1e99, "body": {}}', "'at' must be"),
     ('{"at": 1, "source": "x", "body": {}}', "source must be")],
)  # fmt: skip
def test_what_is_no_recording_is_named_with_its_line(tmp_path: Path, text, said):
    (tmp_path / "1.jsonl").write_text(text)
    with pytest.raises(Refused, match=said):
        stream.folder(tmp_path)


def test_the_journal_of_a_bot_is_a_recording(town: Town, alertmanager_body, tmp_path: Path):
    bot = town.start()
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    # What ends before its page went out is never paged, and neither a recording nor this test is about that.
    until(lambda: len(town.pages()) == 1)
    bot.alert(fire | {"alerts": [fire["alerts"][0] | {"status": "resolved"}]})
    until(lambda: bot.captain.alerts.waiting() == 0)
    captain = Path(sys.executable).with_name("captain")
    asked = [str(captain), "slo", "replay", "--from", "journal", "--policy", str(town.file), "--json"]
    done = subprocess.run(
        [*asked, "--record", str(tmp_path / "r.jsonl")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["policy"]["pages"] == 1
    assert len(stream.folder(tmp_path / "r.jsonl")) == 2


# ---- Prometheus -------------------------------------------------------------------------------------------------------


def test_the_history_of_prometheus_is_read_as_webhooks():
    labels = json.dumps({"alertname": "Burn", "service": "docs-api"})
    times = [START, START + 60, START + 120, START + 600]
    told = history.deliveries({labels: times}, end=START + 630, step=60)
    assert [(round(one.at - START), one.body["alerts"][0]["status"]) for one in told] == [
        (0, "firing"), (180, "resolved"), (600, "firing"),
    ]  # fmt: skip
    assert told[0].body["alerts"][0]["startsAt"] == told[1].body["alerts"][0]["startsAt"]


@given(st.lists(st.integers(0, 300), unique=True).map(sorted))
def test_every_point_of_the_history_lies_in_one_run(points):
    found = list(history.runs(points, gap=1.5))
    assert [p for first, last in found for p in range(first, last + 1)] == points


def test_a_real_prometheus_tells_what_has_fired(real_prometheus, tmp_path: Path):
    real = real_prometheus(webhook="http://127.0.0.1:9/nowhere", bearer="x")
    real.set(err=0.3)
    file = policy(tmp_path, prometheus={"url": real.url})
    captain = Path(sys.executable).with_name("captain")
    asked = [
        str(captain),
        "slo",
        "replay",
        "--from",
        "prometheus",
        "--policy",
        str(file),
        "--since",
        "1h",
        "--step",
        "10",
        "--json",
    ]

    def paged() -> dict[str, Any] | None:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
        return json.loads(done.stdout)["policy"] if done.returncode == 0 else None

    told = until(lambda: (found := paged()) and found["pages"] and found, timeout=60, every=1.0)
    assert told["services"]["docs-api"]["pages"] == 1
