"""Kill -9 at any point of an action's life: it is done at most once, and undone in time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import requests
from ground.nth import taken, the_nth_call
from ground.town import Town
from ground.waiting import until

SLACK = 10.0
"""Seconds after its end, or after there is a bot again, by which it must be undone: two leases on a machine that is busy."""
DEED = 4
"""Which call to Kubernetes is the deed: a look, a dry run, and another look come before."""


@pytest.fixture
def town(town: Town) -> Town:
    town.config["kubernetes"]["timeout"] = 1
    town.config["actions"] = {
        "more": {
            "service": "docs-api",
            "do": {"scale": {"kind": "deployment", "namespace": "prod", "name": "docs-api", "replicas": 5}},
            "undo": "restore",
            "ttl": "9s",
        },
        "restart": {
            "service": "docs-api",
            "do": {"restart": {"kind": "deployment", "namespace": "prod", "name": "docs-api"}},
            "undo": {"none": "a restart cannot be taken back"},
            "approval": {"people": "bob@example.com"},
        },
    }
    return town


@pytest.fixture
def shared(postgres, town: Town) -> Town:
    town.config["captain"] |= {"database": postgres.url, "lease": 2}
    return town


def deployment(town: Town) -> dict:
    objects = town.kubernetes.state()["objects"]
    return next(one for one in objects if (one["kind"], one["name"]) == ("Deployment", "docs-api"))


def replicas(town: Town) -> int:
    return deployment(town)["spec"]["replicas"]


def undone_in_time(town: Town, bot, until_s: float) -> None:
    left = max(time.time(), until_s) + SLACK - time.time()
    until(lambda: bot.ask("action list")["data"] == [], timeout=left, message="it is not over")
    assert replicas(town) == 2
    assert not any("release-captain" in name for name in deployment(town)["annotations"])


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        pytest.param(DEED, "hang", id="before it is done", marks=pytest.mark.slow),
        pytest.param(DEED, "late", id="after it was done and before anybody heard of it"),
    ],
)
def test_killed_while_it_is_done(town: Town, call, fault):
    bot = town.spawn()
    came = the_nth_call(town, call, fault)
    asked = time.time()
    bot.ask("action run more it queues")
    until(lambda: taken(town, came), every=0.002)
    if fault == "late":
        until(lambda: replicas(town) == 5)
    bot.kill()
    town.kubernetes.faults.mend()
    undone_in_time(town, town.spawn(), asked + 9)


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        pytest.param(2, "hang", id="before it acts", marks=pytest.mark.slow),
        pytest.param(2, "late", id="after it has acted and before anybody heard of it"),
    ],
)
def test_killed_while_it_is_undone(town: Town, call, fault):
    town.config["actions"]["more"]["ttl"] = "10m"
    bot = town.spawn()
    bot.ask("action run more it queues")
    until(lambda: bot.ask("action list")["data"][0]["status"] == "on")
    came = the_nth_call(town, call, fault)
    bot.ask("action undo ACT-1")
    until(lambda: taken(town, came), every=0.002)
    bot.kill()
    town.kubernetes.faults.mend()
    undone_in_time(town, town.spawn(), time.time())


def test_a_command_whose_bot_was_killed_is_not_run_again_and_is_undone_when_it_has_ended(town: Town, tmp_path: Path):
    log, file = tmp_path / "log", tmp_path / "file"
    code = (
        "import sys, time; f = open(sys.argv[1], 'a'); f.write(sys.argv[2]); f.flush(); time.sleep(float(sys.argv[3]))"
    )
    town.config["actions"]["slow"] = {
        "service": "docs-api",
        "do": {"command": {"argv": [sys.executable, "-c", f"{code}; open({str(file)!r}, 'w')", str(log), "do ", "2"], "timeout": 3}},
        "undo": {"command": {"argv": [sys.executable, "-c", f"{code}; import os; os.remove({str(file)!r})", str(log), "undo ", "0"]}},
        "ttl": "10m",
    }  # fmt: skip
    bot = town.spawn()
    bot.ask("action run slow it queues")
    until(lambda: log.exists() and log.read_text() == "do ")
    bot.kill()
    assert not file.exists()
    bot = town.spawn()
    until(lambda: bot.ask("action list")["data"] == [], timeout=20, message="it is not undone")
    assert log.read_text() == "do undo "
    assert not file.exists()
    data = bot.ask("action show ACT-1")["data"]
    assert "nobody heard whether it ran" in data["why"]


def test_a_restart_whose_answer_is_lost_is_one_restart(town: Town):
    town.config["permissions"] = {"tokens": {"bob@example.com": "bob", "eve@example.com": "eve"}}
    bot = town.spawn()
    came = the_nth_call(town, DEED, "late")
    assert "data" in by(bot, "eve", "action run restart it leaks")
    until(lambda: by(bot, "bob", "action show ACT-1")["data"]["status"] == "waiting")
    by(bot, "bob", "action approve ACT-1")
    until(lambda: taken(town, came), every=0.002)
    until(lambda: deployment(town)["generation"] == 2)
    bot.kill()
    bot = town.spawn()
    until(lambda: by(bot, "bob", "action show ACT-1")["data"]["status"] == "done", timeout=20)
    assert deployment(town)["generation"] == 2


def by(bot, who: str, line: str) -> dict:
    headers = {"authorization": f"Bearer {who}"}
    return requests.post(f"{bot.url}/api/command", json={"line": line, "as": who}, headers=headers, timeout=10).json()


# ---- replicas ----------------------------------------------------------------------------------------------------------


def test_what_a_dead_replica_did_a_living_one_undoes(shared: Town):
    doomed, heir = shared.spawn(), shared.spawn()
    asked = time.time()
    doomed.ask("action run more it queues")
    until(lambda: replicas(shared) == 5)
    doomed.kill()
    undone_in_time(shared, heir, asked + 9)


def test_two_replicas_that_are_asked_at_once_do_it_once(shared: Town):
    one, two = shared.spawn(), shared.spawn()
    told = [bot.ask("action run more it queues") for bot in (one, two)]
    assert sum("data" in answer for answer in told) == 1
    assert "One at a time" in str(told)
    until(lambda: two.ask("action list")["data"][0]["status"] == "on")
    assert two.ask("action undo ACT-1")["data"]["off_by"] == "carol"
    undone_in_time(shared, one, time.time())
    deeds = [call for call in shared.calls.calls if call.service == "kubernetes" and call.method == "PATCH"]
    assert sum('"replicas": 5' in call.body or '"replicas":5' in call.body for call in deeds) == 2, (
        "a dry run and a deed"
    )
