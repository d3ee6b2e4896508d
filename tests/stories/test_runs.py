"""Runbooks are run from chat, by the clock and in incidents: one message that tells the truth, and nothing left behind."""

from __future__ import annotations

import base64
import io
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ground.town import Bot, Town, channel, user
from ground.waiting import until
from PIL import Image

from handlers.runs import schedule

FAILS = """
name: edge
title: What stands at the edge
links: {Dashboard: "https://grafana.example.com/d/edge"}
parameters: {who: "world", wanted: }
checks:
  - {name: greets, kind: command, command: ["echo", "hello {{who}}"]}
  - {name: holds, kind: command, command: "test {{who}} = {{wanted}}", hint: "Ask the team at the edge."}
"""
QUICK = """
name: quick
checks:
  - {name: one, kind: command, command: "test -e FOLDER/good", hint: "Look after it."}
  - {name: two, kind: command, command: "true"}
"""
SLOW = """
name: slow
checks:
  - {name: first, kind: command, command: "true"}
  - {name: last, kind: command, command: "echo $$ > FOLDER/pid; while ! test -e FOLDER/good; do sleep 0.05; done", timeout: 30}
"""
MANY = "name: many\nchecks:\n" + "".join(
    f"  - {{name: number {n}, kind: command, command: {'false' if n == 7 else 'true'!r}}}\n" for n in range(40)
)


@pytest.fixture
def town(town: Town) -> Town:
    folder = town.folder / "runbooks"
    folder.mkdir()
    for name, text in (("edge", FAILS), ("quick", QUICK), ("slow", SLOW), ("many", MANY)):
        (folder / f"{name}.yml").write_text(text.replace("FOLDER", str(town.folder)))
    town.config["runbooks"] = {"folder": "runbooks"}
    return town


def good(town: Town) -> Path:
    """What the checks called "one" and "last" wait for."""
    return town.folder / "good"


def of(town: Town, runbook: str) -> list[dict[str, Any]]:
    """The messages of a runbook's runs, oldest first."""
    return [m for m in town.messages() if f"Checks of {runbook}:" in m["text"]]


def reads(town: Town, runbook: str, words: str) -> dict[str, Any]:
    """The last message of a runbook once it says this."""
    return until(
        lambda: next((m for m in of(town, runbook)[-1:] if words in town.shown(m) + m["text"]), None),
        message=f"nobody reads {words!r} of {runbook}",
    )


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_whoever_runs_one_in_chat_reads_what_failed_what_was_wanted_and_what_to_do(town: Town):
    bot, alice = town.start(), user(town, "alice")
    town.slack.slash("#docs-api", alice, "/captain", "runbook run edge who=hello wanted='no; rm -rf /'")
    until(lambda: "its message follows" in "".join(town.whispers(alice)[-1:]))
    message = reads(town, "edge", "FAIL (1 PASS, 1 FAIL)")
    shown = town.shown(message)
    assert shown.index("*holds* FAIL") < shown.index("*greets* PASS")
    for words in ("exit 1", "exit 0", "→ Ask the team at the edge.", f"asked by <@{alice}>", "grafana.example.com"):
        assert words in shown
    town.slack.press(message["channel"], message["ts"], "runbook run", alice)
    until(lambda: len(of(town, "edge")) == 2, message="Run again runs nothing")
    told = until(lambda: [r for r in bot.ask("runbook show #2")["data"]["results"] if r["name"] == "holds"])
    assert told[0]["outcome"] == "FAIL"
    assert bot.ask("runbook show 2")["data"]["parameters"] == {"who": "hello", "wanted": "no; rm -rf /"}


def test_a_secret_that_a_program_prints_is_nowhere(town: Town, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDGE_TOKEN", "hush-hush-4711")
    line = "echo it says $TOKEN; echo $TOKEN | base64; exit 3"
    check = {"name": "tells", "kind": "command", "command": line, "env": {"TOKEN": "env:EDGE_TOKEN"}}
    (town.folder / "runbooks" / "leaks.yml").write_text(yaml.safe_dump({"checks": [check]}))
    bot = town.start()
    town.slack.slash("#docs-api", user(town, "alice"), "/captain", "runbook run leaks")
    reads(town, "leaks", "exit 3. it says")
    told = str(bot.ask("runbook show 1")) + str(town.slack.state())
    bot.stop()
    town.bots.clear()
    kept = b"".join(path.read_bytes() for path in town.folder.glob("bot.*db*"))
    for secret in ("hush-hush-4711", base64.b64encode(b"hush-hush-4711\n").decode()):
        assert secret not in told
        assert secret.encode() not in kept


WRONG = [
    ("runbook run egde", "Did you mean 'edge'?"),
    ("runbook run edge", "needs wanted=…"),
    ("runbook run edge wanted=x whoo=y", "Did you mean 'who'?"),
    ("runbook run edge wanted=x wanted=y", "given twice"),
    ("runbook run edge who", "name=value"),
    ("runbook run quick --only too", "Did you mean 'two'?"),
    ("runbook cancel", "nothing to cancel"),
    ("runbook show #7", "no run '#7'"),
    ("runbook history edgy", "Did you mean 'edge'?"),
    ("incident checks", "No incident is open"),
]


def test_what_cannot_be_run_is_said_with_the_nearest_name(town: Town):
    bot = town.start()
    for line, said in WRONG:
        assert said in bot.ask(line)["error"], line


def test_a_long_run_shows_how_far_it_is_in_one_message_and_ends_at_once_when_it_is_cancelled(town: Town):
    bot, alice = town.start(), user(town, "alice")
    town.slack.slash("#docs-api", alice, "/captain", "runbook run slow")
    message = reads(town, "slow", "1 of 2 looked at")
    pid = int(until(lambda: (town.folder / "pid").read_text()))
    assert alive(pid)
    assert "■■■■■■■■■■□" in town.shown(message)
    assert [row["id"] for row in bot.ask("runbook list")["data"]["going"]] == [1]
    town.slack.press(message["channel"], message["ts"], "runbook cancel", alice)
    reads(town, "slow", "ERROR (cancelled by alice")
    until(lambda: not alive(pid), timeout=12, message="the process of a cancelled check is left")
    assert len(of(town, "slow")) == 1
    assert bot.ask("runbook show 1")["data"]["outcome"] == "ERROR"
    assert "has ended (ERROR)" in bot.ask("runbook cancel 1")["text"]
    assert bot.metric('captain_run_outcome{environment="",outcome="ERROR",runbook="slow",service=""}') == 0


def test_more_than_a_message_holds_is_in_a_file_in_its_thread(town: Town):
    town.start()
    town.slack.slash("#docs-api", user(town, "alice"), "/captain", "runbook run many")
    message = reads(town, "many", "All results are in a file")
    assert town.shown(message).index("*number 7* FAIL") < town.shown(message).index("39 passed")
    shared = until(lambda: [m for m in town.messages() if m.get("files") and m.get("thread_ts") == message["ts"]])
    text = town.slack.file(shared[0]["files"][0]["id"]).decode()
    assert text.index("FAIL number 7") < text.index("PASS number 39")


def test_a_run_that_is_killed_is_looked_at_anew_in_the_same_message(town: Town):
    town.config["captain"]["lease"] = 2
    bot = town.spawn()
    town.slack.slash("#docs-api", user(town, "alice"), "/captain", "runbook run slow")
    reads(town, "slow", "1 of 2 looked at")
    first = int(until(lambda: (town.folder / "pid").read_text()))
    bot.kill()
    os.kill(first, 9)  # nobody was left to end it
    (town.folder / "pid").unlink()
    town.spawn()
    until(lambda: (town.folder / "pid").exists() and (town.folder / "pid").read_text(), message="nobody looks anew")
    good(town).touch()
    reads(town, "slow", "PASS (2 PASS)")
    assert len(of(town, "slow")) == 1


def test_a_stop_in_the_middle_hands_the_run_over(town: Town):
    bot = town.start()
    bot.ask("runbook run slow")
    pid = int(until(lambda: (town.folder / "pid").exists() and (town.folder / "pid").read_text()))
    bot.stop()
    town.bots.clear()
    assert not alive(pid)
    good(town).touch()
    again = town.start()
    until(lambda: again.ask("runbook show 1")["data"]["outcome"] == "PASS", timeout=20)


@pytest.mark.slow
def test_a_run_ends_wherever_it_is_and_goes_on_in_one_place_alone(postgres, town: Town):
    """Two replicas: cancelled at the one it stops at the other; frozen at the one it is looked at anew at the other."""
    town.config["captain"] |= {"database": postgres.url, "lease": 2}
    one = town.spawn()
    one.ask("runbook run slow")
    pid = town.folder / "pid"
    first = int(until(lambda: pid.exists() and pid.read_text()))
    other = town.spawn()
    assert "is cancelled" in other.ask("runbook cancel")["text"]
    until(lambda: not alive(first), timeout=12, message="the other replica goes on with what was cancelled")
    pid.unlink()
    one.ask("runbook run slow")
    second = int(until(lambda: pid.exists() and pid.read_text()))
    pid.unlink()
    one.process.send_signal(signal.SIGSTOP)
    third = int(until(lambda: pid.exists() and pid.read_text(), timeout=20, message="nobody takes it over"))
    one.process.send_signal(signal.SIGCONT)
    until(lambda: not alive(second), timeout=12, message="two replicas run it")
    assert alive(third)
    good(town).touch()
    until(lambda: other.ask("runbook show 2")["data"]["outcome"] == "PASS")


# ---- incidents ---------------------------------------------------------------------------------------------------------


def test_an_incidents_checks_are_runs_and_a_press_looks_again(town: Town, alertmanager_body):
    town.config["services"]["docs-api"]["runbook"] = "quick"
    bot, alice = town.start(), user(town, "alice")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: town.roots() and "Checks ✘ FAIL (1 of 2 passed)" in town.shown(town.roots()[0]))
    good(town).touch()
    root = town.roots()[0]
    town.slack.press(root["channel"], root["ts"], "incident checks", alice)
    until(lambda: "Checks ✔ PASS (2 of 2 passed)" in town.shown(town.roots()[0]))

    def outcomes() -> list[str]:
        return [text.split(":")[1].split()[0] for text in town.thread(root) if "Checks of quick" in text]

    until(lambda: outcomes() == ["FAIL", "PASS"], message="the thread does not say both")
    told = {one["name"]: one for one in bot.ask("runbook history quick")["data"]}
    assert told["one"]["counts"] == {"FAIL": 1, "PASS": 1}
    assert told["two"]["counts"] == {"PASS": 2}
    line = 'captain_check_outcome{check="one",environment="prod",outcome="PASS",runbook="quick",service="docs-api"}'
    assert bot.metric(line) == 1
    town.slack.slash("#docs-api", alice, "/captain", "runbook history quick")
    shared = until(lambda: [m for m in town.messages() if m.get("files")], message="no chart came")
    assert Image.open(io.BytesIO(town.slack.file(shared[0]["files"][0]["id"]))).width == 1200


def test_a_run_whose_runbook_is_gone_when_it_is_taken_up_again_does_not_go_on_in_its_message(
    town: Town, alertmanager_body
):
    town.config["services"]["docs-api"]["runbook"] = "slow"
    bot = town.start()
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: of(town, "slow"))
    bot.stop()
    town.bots.clear()
    (town.folder / "runbooks" / "slow.yml").unlink()
    town.config["services"]["docs-api"]["runbook"] = "quick"
    town.start()
    reads(town, "slow", "there is no runbook 'slow'")


def test_the_run_of_a_private_incident_is_nobodys_but_its_own(town: Town):
    town.config["services"]["docs-api"]["runbook"] = "slow"
    bot, alice, bob = town.start(), user(town, "alice"), user(town, "bob")
    town.slack.slash("#docs-api", alice, "/captain", "incident open sev3 docs-api a secret --private")
    until(lambda: "private" in "".join(town.whispers(alice)[-1:]))
    until(lambda: (town.folder / "pid").exists())
    town.slack.slash("#docs-api", bob, "/captain", "runbook cancel #1")
    until(lambda: "There is no run '#1'" in "".join(town.whispers(bob)[-1:]))
    assert "no run" in bot.ask("runbook show 1")["error"]
    assert bot.ask("runbook list")["data"]["going"] == []
    good(town).touch()
    until(lambda: of(town, "slow"))
    assert {m["channel"] for m in of(town, "slow")}.isdisjoint({channel(town, "docs-api"), channel(town, "gateway")})


# ---- the clock -----------------------------------------------------------------------------------------------------------


def scheduled(town: Town, **more: Any) -> Bot:
    row = {"runbook": "quick", "cron": "*/5 * * * *", "service": "gateway", **more}
    town.config["runbooks"]["schedules"] = {"edge-watch": row}
    return town.start()


def ticks(bot: Bot, slot: float) -> None:
    """The clock says so, as it does to each of the replicas."""
    for _ in range(2):
        schedule.tick(bot.captain.desk, slot)


def test_a_failing_schedule_is_said_once_and_that_it_is_over_once(town: Town):
    bot, minute = scheduled(town, cron="* * * * *"), time.time() // 60 * 60
    for n, passes in enumerate((False, False, True, True)):
        good(town).touch() if passes else good(town).unlink(missing_ok=True)
        ticks(bot, minute - 60 * (3 - n))
        until(
            lambda n=n: bot.ask(f"runbook show {n + 1}").get("data", {}).get("outcome"),
            message=f"run {n} has not ended",
        )
    until(lambda: len(of(town, "quick")) == 2)
    failed, over = of(town, "quick")
    assert failed["channel"] == over["channel"] == channel(town, "gateway")
    assert "FAIL (1 PASS, 1 FAIL)" in failed["text"]
    assert "It passes again; it had failed since 20" in town.shown(over), "a time that nobody can read"
    assert "no run '5'" in bot.ask("runbook show 5")["error"], "each slot is run once"


def test_slots_that_went_by_while_the_bot_was_down_are_said_and_not_run_late(town: Town):
    bot = scheduled(town, channel="#general")
    slot = time.time() // 300 * 300
    ticks(bot, slot - 3600)
    until(lambda: len([m for m in town.messages() if "edge-watch" in m["text"]]) == 1)
    ticks(bot, slot - 1200)
    missed = until(lambda: [m for m in town.messages() if "edge-watch" in m["text"]][1:])
    assert "did not run 8 times" in missed[0]["text"]
    assert "`runbook run quick` looks now" in missed[0]["text"]
    assert bot.ask("runbook list")["data"]["going"] == []
    assert bot.ask("runbook history quick")["data"] == []


def test_a_schedule_goes_on_when_a_clock_that_was_ahead_is_set_right(town: Town):
    good(town).touch()
    bot, minute = scheduled(town, cron="* * * * *", only_failures=False), time.time() // 60 * 60
    for n, slot in enumerate((minute + 300 * 86400, minute)):
        ticks(bot, slot)
        until(
            lambda n=n: bot.ask(f"runbook show {n + 1}").get("data", {}).get("outcome"), message=f"slot {n} is not run"
        )


def test_run_again_looks_at_the_service_that_the_schedule_looked_at(town: Town):
    check = {"name": "is", "kind": "command", "command": "test {{service}} = nothing"}
    text = yaml.safe_dump({"parameters": {"service": "gateway"}, "checks": [check]})
    (town.folder / "runbooks" / "of.yml").write_text(text)
    bot = scheduled(town, runbook="of", service="docs-api", cron="* * * * *")
    ticks(bot, time.time() // 60 * 60)
    (message,) = until(lambda: of(town, "of"))
    town.slack.press(message["channel"], message["ts"], "runbook run", user(town, "alice"))
    until(lambda: bot.ask("runbook show 2").get("data", {}).get("service") == "docs-api")


def test_what_is_no_longer_in_captain_yml_is_no_longer_measured(town: Town):
    good(town).touch()
    bot = scheduled(town, cron="* * * * *")
    ticks(bot, time.time() // 60 * 60)
    line = 'captain_run_outcome{environment="prod",outcome="PASS",runbook="quick",service="gateway"}'
    until(lambda: bot.metric(line) == 1)
    bot.stop()
    town.bots.clear()
    town.config["services"]["gateway"]["environment"] = "staging"
    assert town.start().metric(line) == 0


# ---- who may -------------------------------------------------------------------------------------------------------------


def test_help_lists_what_one_may_run_and_a_button_needs_the_same_role(town: Town):
    town.config["permissions"] = {
        "roles": {"captain": {"usergroup": town.slack.add_usergroup("captains", [user(town, "bob")])}},
        "needs": {"runbook run": "captain"},
    }
    town.start()
    bob, carol = user(town, "bob"), user(town, "carol")
    town.slack.slash("#docs-api", carol, "/captain", "help runbook")
    told = until(lambda: town.whispers(carol))[-1]
    assert "runbook list" in told
    assert "runbook run" not in told
    town.slack.slash("#docs-api", bob, "/captain", "runbook run quick")
    message = reads(town, "quick", "Run again")
    town.slack.press(message["channel"], message["ts"], "runbook run", carol)
    until(lambda: "needs the role captain" in town.whispers(carol)[-1])
    assert len(of(town, "quick")) == 1
