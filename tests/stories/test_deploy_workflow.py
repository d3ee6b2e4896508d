"""The GitHub workflow that follows a deploy: it is valid, keeps its secrets, and its steps do what they say against a real bot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ground.town import DEPLOY_SECRET, Town
from ground.waiting import until

from runbooks import shipped

FILE = Path(__file__).resolve().parents[2] / ".github" / "workflows" / "runbook-checks.yml"
ACTION = re.compile(r"actions/[a-z-]+@v\d+")
STARTS = {"workflow_run", "deployment_status", "workflow_dispatch"}


def workflow() -> dict[str, Any]:
    found = yaml.safe_load(FILE.read_text())
    return found | {"on": found.pop(True)}  # YAML 1.1 reads `on` as a truth


def steps() -> dict[str, dict[str, Any]]:
    return {one.get("name") or one["uses"]: one for one in workflow()["jobs"]["verify"]["steps"]}


def test_it_starts_after_a_deploy_and_may_only_read():
    made = workflow()
    assert set(made["on"]) == STARTS
    assert made["on"]["workflow_run"]["types"] == ["completed"]
    assert made["permissions"] == {"contents": "read"}
    assert made["jobs"]["verify"]["timeout-minutes"] <= 30


def test_actions_are_pinned_and_nothing_from_outside_is_pasted_into_a_script():
    for one in steps().values():
        if "uses" in one:
            assert ACTION.fullmatch(one["uses"]), one["uses"]
        assert "${{" not in one.get("run", ""), "a branch's name would be run as a command"


def test_its_secrets_are_githubs_and_stand_in_no_argument():
    text = FILE.read_text()
    for name in re.findall(r"^\s*(\w*(?:SECRET|TOKEN)\w*): (.*)$", text, re.MULTILINE):
        assert name[1].startswith("${{ secrets."), name
    assert "DEPLOY_SECRET" not in steps()["Check"]["run"]
    assert '--header "Authorization' not in text, "whoever lists processes would see it"


@pytest.mark.skipif(
    not (shutil.which("jq") and shutil.which("curl")), reason="needs jq and curl, as GitHub's runners have"
)
@pytest.mark.parametrize(("status", "became"), [("success", "succeeded"), ("timed_out", "failed")])
def test_the_step_that_tells_the_bot_tells_it(town: Town, status: str, became: str):
    bot = town.start()
    env = {
        "PATH": os.environ["PATH"], "CAPTAIN_URL": bot.url, "DEPLOY_SECRET": DEPLOY_SECRET, "SERVICE": "docs-api",
        "ENVIRONMENT": "prod", "VERSION": "1.4.3", "REVISION": "3f2c1ab90d4e5f60718293a4b5c6d7e8f9012345",
        "STATUS": status, "DEPLOY_ID": "77", "DEPLOY_URL": "https://ci.example/77", "GITHUB_ACTOR": 'ali"ce $(id)',
        "GITHUB_REPOSITORY": "acme/docs",
    }  # fmt: skip

    def run(**changes: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps()["Tell the bot"]["run"]]
        return subprocess.run(command, env=env | changes, capture_output=True, text=True, check=False, timeout=60)

    done = run()
    assert done.returncode == 0, done.stderr
    (deploy,) = until(lambda: bot.ask("deploy list")["data"])
    assert (deploy["status"], deploy["version"], deploy["by_name"]) == (became, "1.4.3", 'ali"ce $(id)')
    assert DEPLOY_SECRET not in done.stdout + done.stderr


def test_the_command_of_the_check_is_one_that_captain_has(tmp_path: Path):
    line = steps()["Check"]["run"]
    assert line.startswith("captain runbook run ")
    book = tmp_path / "book.yml"
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "SERVICE": "docs-api", "ENVIRONMENT": "prod"}
    for check, status in (("true", 0), ("false", 1)):
        book.write_text(f"checks:\n  - {{name: fine, command: '{check}'}}\n")
        command = ["bash", "-c", line]
        done = subprocess.run(
            command,
            env=env | {"RUNBOOK": str(book)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == status, done.stdout + done.stderr
    assert {"service", "environment"} <= set(shipped()["docs-api"].parameters)
