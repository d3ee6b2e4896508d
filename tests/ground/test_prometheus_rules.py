"""The rules that watch over the bot, run by the real promtool on series that burn, do not burn, are sparse or missing."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.meter import BUCKETS, PROMISE, Meter

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy" / "prometheus"
RULES = DEPLOY / "captain-rules.yml"
GROUPS = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on PATH; on Debian apt install prometheus prometheus-alertmanager")
    return found


def pages(good: str, bad: str, instance: str = "a") -> dict[str, str]:
    """The histogram of one replica: pages accepted in time and, besides, late ones; both as counts in promtool's notation."""
    of = f'source="alert",instance="{instance}"'
    inf = re.sub(r"(\d+)\+(\d+)x", r"\1+\2x", bad)
    return {
        f'captain_page_seconds_bucket{{{of},le="30.0"}}': good,
        f'captain_page_seconds_bucket{{{of},le="+Inf"}}': inf,
        f"captain_page_seconds_count{{{of}}}": inf,
        f'captain_pages_missed_total{{why="gave_up",instance="{instance}"}}': "0x900",
        f'captain_pages_missed_total{{why="ended",instance="{instance}"}}': "0x900",
    }


ALIVE = {
    'captain_build_info{version="1"}': "1x900",
    "captain_database_up": "1x900",
    "captain_replicas": "3x900",
    "captain_page_oldest_seconds": "0x900",
    'captain_undecided{intake="alerts"}': "0x900",
    'captain_watchdog_age_seconds{watchdog="mesh"}': "60x900",
    'captain_watchdog_within_seconds{watchdog="mesh"}': "600x900",
}
GAVE_UP = 'captain_pages_missed_total{why="gave_up",instance="a"}'
AGE = 'captain_watchdog_age_seconds{watchdog="mesh"}'
WATCH = 'captain_deploy_watch_up{namespace="prod",kind="deployments"}'
BEATS = 'captain_effects_total{lane="heartbeat",state="gave_up"}'

# What is seen (counts, a step a minute, or five where it takes days), after how many minutes, and who is told.
STORIES = {
    "no page was ever needed": (pages("0x600", "0x600"), 500, set()),
    "a thousand pages an hour, all in time": (pages("0+17x600", "0+17x600"), 500, set()),
    "five late in ten thousand are allowed for": (pages("0+9995x600", "0+10000x600"), 500, set()),
    "every second page is late": (
        pages("0+5x600", "0+10x600"),
        30,
        {"CaptainPagesBurnFast", "CaptainPagesBurn", "CaptainPagesBurnSlow"},
    ),
    "one in a hundred is late": (
        pages("0+99x600", "0+100x600"),
        400,
        {"CaptainPagesBurn", "CaptainPagesBurnSlow"},
    ),
    "four in a thousand are late": (pages("0+996x600", "0+1000x600"), 400, {"CaptainPagesBurnSlow"}),
    "two in a thousand are late": (pages("0+998x600", "0+1000x600"), 400, {"CaptainPagesBurnSlow"}),
    "it burned until ten minutes ago": (
        pages("0+5x60 300+10x600", "0+10x60 600+10x600"),
        72,
        {"CaptainPagesBurn", "CaptainPagesBurnSlow"},
    ),
    "it has begun to burn": (
        pages("0+100x60 6090+90x600", "0+100x600"),
        65,
        {"CaptainPagesBurn", "CaptainPagesBurnSlow"},
    ),
    "ten bad minutes in a good morning": (
        pages("0+100x300 30090+90x11 31180+100x600", "0+100x600"),
        320,
        {"CaptainPagesBurnSlow"},
    ),
    "a hiccup on a busy day": (pages("0+100x480 48098+98x600", "0+100x600"), 500, set()),
    "a day that is worse than the others": (
        pages("0+3000x576 1728996+996x300", "0+3000x576 1729000+1000x300"),
        5 * 850,
        {"CaptainPagesBurnSlow"},
    ),
    "it burned in the night": (pages("0+5x60 300+10x600", "0+10x60 600+10x600"), 450, set()),
    "it burned, and is over": (pages("0+5x60 300+10x600", "0+10x60 600+10x600"), 120, {"CaptainPagesBurnSlow"}),
    "sparse: one page in the hour, and it is late": (pages("0x600", "0x50 1x600"), 52, {"CaptainPagesBurnSlow"}),
    "sparse: some hours later that late page is no news": (pages("0x600", "0x50 1x600"), 450, set()),
    "sparse: two pages in the hour, and both are late": (
        pages("0x600", "0x20 1x28 2x600"),
        52,
        {"CaptainPagesBurnFast", "CaptainPagesBurn", "CaptainPagesBurnSlow"},
    ),
    "sparse: three pages in the hour, all in time": (
        pages("0x10 1x10 2x10 3x600", "0x10 1x10 2x10 3x600"),
        35,
        set(),
    ),
    "a process that began anew counts from zero": (
        pages("0+3x60 0+3x600", "0+3x60 0+3x600"),
        64,
        set(),
    ),
    "one of two replicas is late": (
        pages("0+10x600", "0+10x600", "a") | pages("0+5x600", "0+10x600", "b"),
        60,
        {"CaptainPagesBurnFast", "CaptainPagesBurn", "CaptainPagesBurnSlow"},
    ),
    "one page was given up": (
        pages("0x600", "0x600") | {GAVE_UP: "0x50 1x600"},
        52,
        {"CaptainPageGivenUp", "CaptainPagesBurnSlow"},
    ),
    "a page is owed for a minute": ({"captain_page_oldest_seconds": "0x50 0+60x1 0x100"}, 52, set()),
    "a page is owed for three minutes": ({"captain_page_oldest_seconds": "0x50 0+60x100"}, 54, {"CaptainPageOwed"}),
    "nothing is scraped": (dict.fromkeys(ALIVE, ""), 10, {"CaptainDown"}),
    "a scrape or two failed": ({'captain_build_info{version="1"}': "1x50 stale _ 1x100"}, 52, set()),
    "all replicas vanished": ({'captain_build_info{version="1"}': "1x50 stale"}, 54, {"CaptainDown"}),
    "the database is away": ({"captain_database_up": "1x50 0x100"}, 53, {"CaptainDatabaseAway"}),
    "one replica does not reach the database": (
        {'captain_database_up{instance="b"}': "0x600"},
        53,
        set(),
    ),
    "a replica is gone": ({"captain_replicas": "3x50 2x100"}, 70, {"CaptainReplicaGone"}),
    "a replica was restarted": ({"captain_replicas": "3x50 2x5 3x100"}, 54, set()),
    "alerts wait to be decided about": ({'captain_undecided{intake="alerts"}': "0x50 4x100"}, 57, {"CaptainUndecided"}),
    "a storm waits for a moment": ({'captain_undecided{intake="alerts"}': "0x50 900 0x100"}, 51, set()),
    "the watchdog is silent": ({AGE: "0x50 0+60x100"}, 65, {"CaptainWatchdogMissing"}),
    "the watchdog is late": ({AGE: "0x50 0+60x9 0x100"}, 65, set()),
    "rollouts are not heard of": ({WATCH: "1x50 0x100"}, 67, {"CaptainDeployWatchDown"}),
    "one of two replicas does not hear of rollouts": (
        {WATCH: "1x150", f'{WATCH[:-1]},instance="b"}}': "0x150"},
        67,
        set(),
    ),
    "the heartbeat is refused": ({BEATS: "0+1x100"}, 30, {"CaptainHeartbeatRefused"}),
}


@pytest.mark.realprom
def test_the_rules_are_rules():
    checked = subprocess.run([tool("promtool"), "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.realprom
@pytest.mark.parametrize("story", STORIES)
def test_who_is_told_when(story: str, tmp_path: Path):
    series, minutes, told = STORIES[story]
    step = 5 if minutes > 600 else 1
    asked = {
        "rule_files": [str(RULES)],
        "evaluation_interval": f"{step}m",
        "tests": [
            {
                "interval": f"{step}m",
                "input_series": [{"series": name, "values": v} for name, v in (ALIVE | series).items() if v],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": f"{minutes}m",
                        "exp_samples": [{"labels": f'{{alertname="{a}"}}', "value": 1} for a in told | {"Watchdog"}],
                    }
                ],
            }
        ],
    }
    file = tmp_path / "story.yml"
    file.write_text(yaml.safe_dump(asked))
    run = subprocess.run([tool("promtool"), "test", "rules", file], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_alert_has_a_story_in_which_it_speaks_and_ones_in_which_it_is_silent():
    spoken = {alert for _, _, told in STORIES.values() for alert in told}
    assert spoken == ALERTS.keys() - {"Watchdog"}
    assert sum(not told for _, _, told in STORIES.values()) > len(STORIES) / 3


def test_every_metric_the_rules_name_is_one_of_the_bots():
    """A rule on a metric that nobody exposes is silent for ever."""
    meter = Meter()
    for family in (meter.watchdog_age, meter.watchdog_within):
        family.labels("mesh")
    meter.undecided.labels("alerts")
    meter.watches.labels("prod", "deployments")
    meter.effects.labels("heartbeat", "gave_up")
    exposed = meter.text().decode()
    text = "\n".join(str(rule["expr"]) for group in GROUPS for rule in group["rules"])
    named = set(re.findall(r"\bcaptain_\w+", text))
    assert len(named) > 8
    samples = {re.split(r"[{ ]", line)[0] for line in exposed.splitlines() if not line.startswith("#")}
    assert named - samples == set()
    recorded = {rule["record"] for group in GROUPS for rule in group["rules"] if "record" in rule}
    assert set(re.findall(r"\bcaptain:\w+:\w+", text)) == recorded, "recorded and not used, or used and not recorded"


def test_every_window_is_measured_in_the_same_way():
    rules = [rule for group in GROUPS for rule in group["rules"] if "record" in rule]
    windows = {rule["record"].rpartition("increase")[2] for rule in rules}
    assert len(rules) == 2 * len(windows) == 14
    assert len({(r["record"] + r["expr"]).replace(r["record"].rpartition("increase")[2], "W") for r in rules}) == 2


def test_the_promise_is_a_bucket_and_the_rules_look_at_that_one():
    assert PROMISE in BUCKETS
    assert f'le=~"{PROMISE:g}(\\\\.0)?"' in RULES.read_text()


def test_every_alert_says_what_to_do_and_can_be_routed_past_the_bot():
    for name, rule in ALERTS.items():
        if name != "Watchdog":
            assert rule["labels"]["watches"] == "release-captain", name
            assert rule["labels"]["severity"] in {"page", "ticket"}, name
            assert len(rule["annotations"]["description"]) > 20, name
        assert rule["annotations"]["summary"], name


def route_of(labels: dict[str, str]) -> Any:
    return [f"{name}={value}" for name, value in labels.items()]


@pytest.mark.realprom
def test_the_route_of_the_readme_is_taken_by_alertmanager(tmp_path: Path):
    shown = re.search(r"```yaml\n(.*?)```", (DEPLOY / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    file = tmp_path / "alertmanager.yml"
    file.write_text(shown.group(1))
    amtool = tool("amtool")
    checked = subprocess.run([amtool, "check-config", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for labels, receivers in (
        ({"watches": "release-captain", "service": "release-captain"}, "without-captain,captain"),
        ({"alertname": "Watchdog", "severity": "none"}, "captain"),
        ({"alertname": "Burn", "service": "docs-api"}, "captain"),
    ):
        asked = [amtool, "config", "routes", "test", f"--config.file={file}", *route_of(labels)]
        assert subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == receivers
