"""The command line: the same words as in Slack, answered by the running bot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ground.town import Bot, Town
from ground.waiting import free_port

CAPTAIN = str(Path(sys.executable).with_name("captain"))


def captain(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CAPTAIN, *words], capture_output=True, text=True, timeout=30, check=False, env=env or None)


@pytest.fixture
def bot(town: Town) -> Bot:
    for section in ("slack", "jira", "prometheus", "kubernetes"):
        town.config.pop(section)
    for service in town.config["services"].values():
        service.pop("jira")
    bot = town.start()
    town.config["captain"]["listen"] = bot.url.removeprefix("http://")
    town.write()
    return bot


def test_an_incident_is_opened_taken_and_read_back_as_json(town: Town, bot: Bot):
    config = ("--config", str(town.file))
    opened = captain("incident", "open", "sev2", "docs-api", "gateway's p95 is up", "--as", "dora", *config)
    assert opened.returncode == 0, opened.stderr
    assert "Opened *INC-1*" in opened.stdout
    assert captain("incident", "ack", *config, "--as", "dora").stdout.startswith("You acknowledged INC-1")
    told = json.loads(captain("incident", "show", "INC-1", "--json", *config).stdout)
    assert told["title"] == "gateway's p95 is up"
    assert told["acked_by"] == "dora"
    assert [event["kind"] for event in told["timeline"]][:1] == ["opened"]


def test_what_is_wrong_is_said_on_stderr_with_exit_code_2(town: Town, bot: Bot):
    answer = captain("incident", "akc", "--config", str(town.file))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "Did you mean 'ack'?" in answer.stderr


def test_help_is_the_bots_own(town: Town, bot: Bot):
    assert (
        "`captain incident open SEVERITY SERVICE TITLE… [--test] [--private]`"
        in captain("help", "--config", str(town.file)).stdout
    )


def test_nobody_answers_says_what_to_do(town: Town):
    town.config["captain"]["listen"] = f"127.0.0.1:{free_port()}"
    answer = captain("incident", "list", "--config", str(town.write()))
    assert answer.returncode == 2
    assert "Is `captain serve` running?" in answer.stderr


def test_a_wrong_token_is_refused(town: Town, bot: Bot, tmp_path: Path):
    other = tmp_path / "other.yml"
    config = {"captain": town.config["captain"] | {"api_token": "wrong"}}
    other.write_text(yaml.safe_dump(config))
    answer = captain("incident", "list", "--config", str(other))
    assert answer.returncode == 2
    assert "not captain.api_token of the running bot" in answer.stderr


def test_check_says_what_is_wrong_and_starts_nothing(town: Town):
    town.config["services"]["docs-api"]["chanel"] = "x"
    answer = captain("check", "--config", str(town.write()))
    assert answer.returncode == 2
    assert "services.docs-api.chanel is not known here" in answer.stderr
    town.config["services"]["docs-api"].pop("chanel")
    assert "is right: 2 services" in captain("check", "--config", str(town.write())).stdout


def test_check_asks_jira_when_it_is_told_to(town: Town):
    town.config["jira"] |= {"statuses": {"acknowledged": "3"}, "priorities": {"sev1": "1"}}
    answer = captain("check", "--ask", "--config", str(town.write()))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "OPS: statuses To Do (10000), In Progress (3), Done (10001)" in answer.stdout
    assert "OPS: priorities Highest (1)" in answer.stdout
    assert "Jira (Release Captain) has what captain.yml names in OPS." in answer.stdout
    assert "jira.webhook_secret is not set: what people do in Jira is not heard." in answer.stdout
    town.config["jira"]["statuses"] = {"resolved": "77"}
    answer = captain("check", "--ask", "--config", str(town.write()))
    assert answer.returncode == 2
    assert "jira.statuses.resolved: a Task in OPS has no status 77" in answer.stderr
    town.config["jira"]["api_token"] = "wrong"
    answer = captain("check", "--ask", "--config", str(town.write()))
    assert (answer.returncode, "check the secret behind jira.api_token" in answer.stderr) == (2, True)


def test_the_manifest_lists_every_slash_command_and_scope(town: Town):
    made = yaml.safe_load(captain("slack", "manifest", "--config", str(town.write())).stdout)
    commands = {slash["command"] for slash in made["features"]["slash_commands"]}
    assert {"/captain", "/incident"} <= commands
    scopes, heard = made["oauth_config"]["scopes"]["bot"], made["settings"]["event_subscriptions"]["bot_events"]
    assert "chat:write" in scopes
    wanted = {
        "message.channels": "channels:history", "message.groups": "groups:history", "pin_added": "pins:read",
        "pin_removed": "pins:read", "reaction_added": "reactions:read", "reaction_removed": "reactions:read",
    }  # fmt: skip
    assert set(heard) == {"app_home_opened", *wanted}
    assert set(wanted.values()) <= set(scopes)
    assert made["features"]["app_home"]["messages_tab_enabled"] is True
    assert made["settings"]["socket_mode_enabled"] is False


def test_the_front_door_lists_its_rooms():
    shown = captain("--help").stdout
    for word in ("serve", "check", "sandbox", "incident list"):
        assert word in shown
