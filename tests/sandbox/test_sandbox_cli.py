"""`captain sandbox …` against the running sandbox, and its start and stop as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ground.waiting import until
from typer.testing import CliRunner

from bot.sandbox.cli import sandbox_app, seconds
from bot.sandbox.run import check_port

ROOT = Path(__file__).parents[2]


@pytest.fixture
def captain(sandbox, there):
    def run(*words, stdin=None, code=0):
        done = CliRunner().invoke(sandbox_app(), [*words, "--port", str(sandbox.port)], input=stdin)
        assert done.exit_code == code, done.output
        return done.output

    return run


def test_say_prints_the_answer_it_waited_for(captain):
    said = captain("say", "#general", "/captain knock knock", "--as", "bob", "--wait", "5s")
    assert said.splitlines()[0] == "bob ran /captain knock knock"
    assert "#general Release Captain" not in said
    assert "(only visible to one person): You asked for `knock knock`" in said


def test_press_by_words_and_by_last(captain, there):
    captain("say", "#incidents", "/captain incident open from a script")
    until(lambda: [m for m in there.state()["slack"]["messages"] if "from a script" in m["text"]])
    assert "alice pressed Acknowledge" in captain("press", "from a script", "Acknowledge")
    assert "carol pressed Severity" in captain("press", "last", "severity", "--choose", "SEV3", "--as", "carol")
    assert "No such message has a 'Nope'" in captain("press", "last", "Nope", code=1)


def test_break_for_a_while_and_mend(captain, there):
    assert (
        captain("break", "pagerduty", "429", "--for", "30s", "--retry-after", "9").strip()
        == "pagerduty is broken (429) for 30s"
    )
    assert 25 < there.state()["world"]["faults"]["pagerduty"][0]["seconds_left"] <= 30
    assert "pagerduty: 429" in captain("state")
    captain("break", "slack", "reset", "--times", "2", "--only", "chat.postMessage")
    fault = there.state()["world"]["faults"]["slack"][0]
    assert (fault["calls_left"], fault["only"], fault["seconds_left"]) == (2, "chat.postMessage", None)
    captain("mend")
    assert not any(there.state()["world"]["faults"].values())
    captain("break", "pagerduty", "500", "--for", "soon", code=2)
    captain("break", "pagerduty", "sideways", code=2)


def test_a_deploy_changes_what_the_cluster_runs_and_a_bad_one_how_it_does(captain):
    def runs():
        return next(
            one["spec"]["template"]["spec"]["containers"][0]["image"]
            for one in json.loads(captain("state", "--json"))["kubernetes"]["objects"]
            if (one["kind"], one["name"]) == ("Deployment", "gateway")
        )

    before = runs()
    said = captain("deploy", "gateway", "--bad", "--as", "bob")
    assert said.startswith(f"bob deploys gateway {before.rpartition(':')[2]} -> ")
    assert "a bad one; watch #gateway" in said
    assert runs() != before
    assert json.loads(captain("state", "--json"))["prometheus"]["services"]["gateway"]["errors"] > 0.01
    captain("deploy", "gateway")
    assert json.loads(captain("state", "--json"))["prometheus"]["services"]["gateway"]["errors"] < 0.01
    assert "There is no service 'nope'" in captain("deploy", "nope", code=1)


def test_burn_calm_and_state_as_json(captain):
    captain("burn", "docs-api", "--kind", "slow")
    state = json.loads(captain("state", "--json"))
    assert [a["labels"]["service"] for a in state["alertmanager"]["alerts"]] == ["docs-api"]
    captain("calm", "docs-api")
    assert json.loads(captain("state", "--json"))["alertmanager"]["alerts"] == []
    assert "There is no service 'nope'" in captain("burn", "nope", code=1)


def test_send_a_file_and_stdin(captain, tmp_path):
    body = {"version": "4", "alerts": [{"status": "firing", "labels": {}, "annotations": {"summary": "by file"}}]}
    (tmp_path / "a.json").write_text(json.dumps(body))
    assert "The bot answered 202" in captain("send", str(tmp_path / "a.json"))
    assert "The bot answered 202" in captain("send", "-", stdin=json.dumps({"alerts": []}))
    assert "is not JSON" in captain("send", "-", stdin="nope", code=1)


def test_kill(captain, there):
    pid = there.state()["bot"]["pid"]
    assert captain("kill", "--for", "200ms").strip() == f"killed {pid}"
    until(lambda: there.state()["bot"]["state"] == "ready" and there.state()["bot"]["pid"] != pid)


def test_nobody_there():
    done = CliRunner().invoke(sandbox_app(), ["state", "--port", str(check_port(0, "nobody"))])
    assert done.exit_code == 1
    assert "No sandbox answers on 127.0.0.1" in done.output


@pytest.mark.parametrize(("text", "given"), [("30s", 30), ("2m", 120), ("500ms", 0.5), ("1h", 3600), ("7", 7)])
def test_durations(text, given):
    assert seconds(text) == given


def test_every_command_explains_itself():
    shown = CliRunner().invoke(sandbox_app(), ["--help"]).output
    for name in ("run", "send", "say", "press", "break", "mend", "burn", "calm", "deploy", "kill", "state", "reset"):
        assert f"\n  {name} " in shown


STARTER = """
import sys
from pathlib import Path
from bot.sandbox.run import run_sandbox
run_sandbox(Path(sys.argv[1]), int(sys.argv[2]), bot_port=int(sys.argv[3]), bot_command=sys.argv[4:],
            say=lambda text: print(text, flush=True))
"""


def test_it_starts_says_one_address_and_ends_cleanly_on_ctrl_c(tmp_path, bot_command):
    port, bot_port = check_port(0, "x"), check_port(0, "y")
    words = [sys.executable, "-c", STARTER, str(tmp_path), str(port), str(bot_port), *bot_command]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        lines = iter(process.stdout.readline, "")
        assert f"http://127.0.0.1:{port}" in next(lines)
        assert next(lines).startswith("The bot is up")
        bot = int((tmp_path / "bot.pid").read_text())
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
        assert time.monotonic() - began < 5
    assert not (tmp_path / "bot.pid").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(bot, 0)
