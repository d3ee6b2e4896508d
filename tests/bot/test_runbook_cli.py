"""`captain runbook …` as a person or a CI calls it: real files, real commands, a real terminal, and what is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml
from ground.waiting import free_port, until
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from typer.testing import CliRunner

from bot import runbook_cli, runbook_run
from bot.__main__ import ROOMS, _room
from bot.integrations.prometheus.fake import FakePrometheus
from bot.standin import CallLog, serve

CAPTAIN = str(Path(sys.executable).with_name("captain"))
BASE = "CAPTAIN_PARAMETER_BASE"
BOOK = """
    name: shop
    title: Is the shop well?
    owners: [shop-team]
    links:
      Dashboard: https://grafana.example/d/shop
    parameters:
      greeting: hello
      limit: 3
    checks:
      - name: greets
        command: echo "${greeting} there"
        matches: hello
        tags: [smoke]
        hint: It must greet.
      - name: few files
        command: test 5 -le "${limit}"
        needs: [greets]
        hint: Raise limit above {{limit}}, or tidy up.
"""


CHANGES_WHAT_IS_SHOWN = ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "GITHUB_STEP_SUMMARY")


def without(environ: dict[str, str]) -> dict[str, str]:
    """No variable of the machine that changes what is shown."""
    return {name: value for name, value in environ.items() if name not in CHANGES_WHAT_IS_SHOWN}


@dataclass(frozen=True)
class Done:
    """How a call ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def captain(folder: Path, *words: str, **env: str) -> Done:
    """``captain runbook …`` in a folder, within this process: what it imports is imported already."""
    app = runbook_run.cli() if words[:1] == ("run",) else runbook_cli.cli()
    handlers = {number: signal.getsignal(number) for number in runbook_run.SIGNALS}
    try:
        with contextlib.chdir(folder):
            nothing = dict.fromkeys(("CI", "NO_COLOR", "GITHUB_STEP_SUMMARY"))
            done = CliRunner().invoke(app, ["runbook", *words], env=nothing | env)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def spawned(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The same as a process of its own."""
    environ = without(dict(os.environ)) | env
    command = [CAPTAIN, "runbook", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder, env=environ)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of somebody who has a runbook and no captain.yml."""
    write(tmp_path / "shop.yml", BOOK)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return path


# ---- what a call says and how it ends ------------------------------------------------------------------------------------------


def one(command: str, **more: Any) -> str:
    return yaml.safe_dump({"checks": [{"name": "it", "command": command, **more}]})


ENDS = [
    pytest.param(one("true"), 0, "book: PASS", id="pass"),
    pytest.param(one("false"), 1, "book: FAIL", id="fail"),
    pytest.param(one("sleep 9", timeout=0.2), 2, "book: ERROR", id="never ends"),
    pytest.param(one("/no/such/program"), 2, "book: ERROR", id="missing program"),
    pytest.param("checks: []\n", 2, "at least one check", id="no check"),
    pytest.param("checks: [{name: a, kind: htpp}]\n", 2, "book.yml:1: there is no kind 'htpp'; did you mean 'http'?", id="wrong"),
    pytest.param("a: *b\n", 2, "aliases (*b) are refused", id="no runbook at all"),
    pytest.param("checks: [{name: m, kind: promql, expr: up, threshold: 0}]\n", 2, "add a prometheus: section", id="no Prometheus"),
    pytest.param(
        "checks: [{name: k, kind: kubernetes, resource: deployment, object: a, namespace: b, rollout: true}]\n",
        2,
        "add a kubernetes: section",
        id="no cluster",
    ),
    pytest.param("parameters: {who: }\n" + one("true"), 2, "needs the parameter who", id="a parameter is missing"),
    pytest.param(
        yaml.safe_dump({"checks": [{"name": "a", "command": "true"}, {"name": "b", "command": "false", "severity": "warning"}]}),
        0,
        "warnings: 1 FAIL",
        id="a warning decides nothing",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "said"), ENDS)
def test_the_exit_code_says_pass_fail_or_could_not_tell(tmp_path: Path, text: str, code: int, said: str):
    (tmp_path / "book.yml").write_text(text)
    done = captain(tmp_path, "run", "book.yml")
    assert (done.returncode, done.stderr) == (code, "")
    assert said in done.stdout


MISUSED = [
    (("run",), "Missing argument"),
    (("run", "greeting=x"), "name a runbook, a file or a folder"),
    (("run", "shopp.yml"), "shopp.yml: cannot be read"),
    (("run", "selv"), "there is no runbook 'selv', nor a file or folder of that name; did you mean 'self'?"),
    (("run", "shop.yml", "greting=x"), "the runbook shop has no parameter 'greting'; did you mean 'greeting'?"),
    (("run", "shop.yml", "greeting=x", "greeting=y"), "the parameter greeting is given twice"),
    (("run", "shop.yml", "--only", "greet"), "the runbook shop has no check 'greet'; did you mean 'greets'?"),
    (("run", "shop.yml", "--tag", "smoek"), "has the tag 'smoek'; did you mean 'smoke'?"),
    (("run", "shop.yml", "--format", "xml"), "Invalid value for '--format'"),
    (("run", "shop.yml", "--env", "BASE"), "--env wants NAME=VALUE"),
    (("run", "shop.yml", "--parallel", "0"), "Invalid value for '--parallel'"),
    (("run", "shop.yml", "--deadline", "never"), "Invalid value for '--deadline'"),
    (("run", "shop.yml", "--output", "nowhere/x"), "nowhere/x cannot be written: there is no folder nowhere"),
    (("run", "shop.yml", "--output", "."), ". cannot be written"),
    (("run", "self", "--config", "other.yml"), "other.yml does not exist"),
    (("run", "empty"), "there is no runbook (*.yml, *.yaml) in the folder empty"),
    (("show", "selv"), "did you mean 'self'?"),
    (("check", "selv"), "did you mean 'self'?"),
]


@pytest.mark.parametrize(("words", "said"), MISUSED, ids=[" ".join(words) for words, _ in MISUSED])
def test_what_is_not_understood_ends_with_2_and_looks_at_nothing(folder: Path, words: tuple[str, ...], said: str):
    (folder / "empty").mkdir()
    done = captain(folder, *words)
    assert done.returncode == 2
    assert said in " ".join((done.stdout + done.stderr).split())
    assert "hello there" not in done.stdout


def test_plain_lines_say_value_threshold_and_what_to_do(folder: Path):
    done = spawned(folder, "run", "shop.yml")
    assert done.returncode == 1
    lines = [re.sub(r"\d+\.\d+ s", "N s", line) for line in done.stdout.splitlines()]
    assert lines[0] == "shop: Is the shop well? (greeting=hello limit=3)"
    assert lines[1] == "  PASS          greets: 0 (want exit 0) [N s, smoke]"
    assert lines[2] == "  FAIL          few files: 1 (want exit 0) [N s]"
    assert "                  hint: Raise limit above 3, or tidy up." in lines
    assert lines[-1] == "shop: FAIL in N s: 1 FAIL, 1 PASS"
    assert "\x1b" not in done.stdout


def test_parameters_names_and_tags_choose_what_is_looked_at(folder: Path):
    assert captain(folder, "run", "shop.yml", "limit=9").returncode == 0
    some = captain(folder, "run", "shop.yml", "--tag", "smoke", "-v")
    assert some.returncode == 0
    assert "few files" not in some.stdout
    assert 'asked: echo "hello there"' in some.stdout
    needs = captain(folder, "run", "shop.yml", "--only", "few files")
    assert needs.returncode == 1
    assert "greets" in needs.stdout


def test_env_reaches_the_command_and_the_folder_runs_in_the_order_of_its_files(folder: Path):
    (folder / "a.yml").write_text(one('test "$BASE" = "https://docs.example/a b"'))
    done = captain(folder, "run", ".", "limit=9", "--env", "BASE=https://docs.example/a b")
    assert done.returncode == 0, done.stdout
    assert [line.split(":")[0] for line in done.stdout.splitlines() if ": PASS in" in line] == ["a", "shop"]
    broken = write(folder / "b.yml", "checks: 1\n")
    done = captain(folder, "run", ".", "limit=9", "--env", "BASE=https://docs.example/a b")
    assert done.returncode == 2, "one that cannot be read must not hide behind those that pass"
    assert f"{broken.name}:1: a runbook needs at least one check" in done.stdout


def test_checks_run_side_by_side_and_the_deadline_holds(tmp_path: Path):
    slow = [{"name": f"c{n}", "command": "sleep 30", "timeout": 60} for n in range(8)]
    (tmp_path / "slow.yml").write_text(yaml.safe_dump({"checks": slow}))
    done = captain(tmp_path, "run", "slow.yml", "--parallel", "8", "--deadline", "0.5", "--format", "json")
    read = json.loads(done.stdout)
    assert done.returncode == 2
    assert {row["outcome"] for row in read["runbooks"][0]["checks"]} == {"ERROR"}
    assert read["took_s"] < 5


# ---- formats ------------------------------------------------------------------------------------------------------------------


def test_one_run_writes_every_format_it_is_asked_for(folder: Path):
    forms = ("table", "json", "junit", "tap", "prometheus", "github")
    summary = folder / "summary.md"
    summary.write_text("before\n")
    wanted = [word for form in forms for word in ("--output", f"{form}=out.{form}")]
    done = captain(folder, "run", "shop.yml", *wanted, GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 1
    assert "shop: FAIL" in done.stdout
    texts = {form: (folder / f"out.{form}").read_text() for form in forms}
    assert texts["table"] == done.stdout
    assert [row["outcome"] for row in json.loads(texts["json"])["runbooks"][0]["checks"]] == ["PASS", "FAIL"]
    assert [len(case) for case in ET.fromstring(texts["junit"]).iter("testcase")] == [0, 1]
    assert "ok 1 - shop: greets" in texts["tap"]
    assert "not ok 2 - shop: few files" in texts["tap"]
    names = {family.name for family in text_string_to_metric_families(texts["prometheus"])}
    assert "captain_runbook_check_outcome" in names
    assert re.search(r"^::error file=shop.yml,line=15,title=FAIL%3A shop%3A few files::", texts["github"], re.MULTILINE)
    assert summary.read_text().startswith("before\n### shop: FAIL\n")
    assert not list(folder.glob("*.new"))


def test_a_file_of_the_chosen_format_leaves_the_table_on_the_screen(folder: Path):
    done = captain(folder, "run", "shop.yml", "--format", "junit", "--output", "report.xml")
    assert "shop: FAIL" in done.stdout
    assert (folder / "report.xml").read_text().startswith("<?xml")
    alone = captain(folder, "run", "shop.yml", "--format", "junit")
    assert [case.get("name") for case in ET.fromstring(alone.stdout).iter("testcase")] == ["greets", "few files"]


@pytest.mark.parametrize("form", ["table", "json", "junit", "tap", "prometheus", "github"])
def test_no_format_holds_a_secret(tmp_path: Path, form: str):
    secret = "hunter2/tröt=hunter2"
    book = {
        "parameters": {"said": "x"},
        "checks": [
            {"name": "leaks", "command": 'echo "$KEY"; printf %s "$KEY" | base64; echo "${said}"; false', "env": {"KEY": "env:DEEP"}},
        ],
    }  # fmt: skip
    (tmp_path / "leak.yml").write_text(yaml.safe_dump(book))
    done = captain(tmp_path, "run", "leak.yml", f"said={secret}", "--format", form, "-v", DEEP=secret)
    assert done.returncode == 1
    assert "hunter2" not in done.stdout + done.stderr
    assert "aHVudGVyMi90" not in done.stdout
    assert "•••" in json.dumps(done.stdout, ensure_ascii=False)


def test_a_reader_that_has_enough_does_not_change_the_outcome(folder: Path):
    line = f"{CAPTAIN} runbook run shop.yml -v | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "")


# ---- captain.yml --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def prometheus() -> Iterator[str]:
    fake = FakePrometheus(CallLog())
    fake.set_world("docs-api", rps=100, ago=7000)
    served = serve(fake.app)
    try:
        yield served.url
    finally:
        served.stop()


METRIC = """
    checks:
      - name: requests
        kind: promql
        expr: sum(rate(istio_requests_total{reporter="destination",destination_workload="docs-api"}[5m]))
        op: ">"
        threshold: 1
        hint: Nothing comes in.
"""


def test_captain_yml_gives_the_clients_that_the_runbook_needs_and_no_other_secret_is_asked_for(
    tmp_path: Path, prometheus: str
):
    write(tmp_path / "metric.yml", METRIC)
    config = {"prometheus": {"url": prometheus}, "slack": {"bot_token": "${NOBODY_HAS_THIS}"}}
    (tmp_path / "captain.yml").write_text(yaml.safe_dump(config))
    done = captain(tmp_path, "run", "metric.yml", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(done.stdout)["runbooks"][0]["checks"]
    assert 50 < float(row["value"]) < 150
    assert row["threshold"] == "> 1"
    (tmp_path / "captain.yml").rename(tmp_path / "other.yml")
    assert captain(tmp_path, "run", "metric.yml").returncode == 2
    assert captain(tmp_path, "run", "metric.yml", "--config", "other.yml").returncode == 0
    assert captain(tmp_path, "run", "metric.yml", CAPTAIN_CONFIG="other.yml").returncode == 0


def test_a_client_that_cannot_be_made_here_is_an_error_of_its_checks_alone(tmp_path: Path, prometheus: str):
    rollout = "  - {name: rollout, kind: kubernetes, resource: deployment, object: a, namespace: b, rollout: true}\n"
    (tmp_path / "both.yml").write_text(textwrap.dedent(METRIC).lstrip("\n") + rollout)
    (tmp_path / "captain.yml").write_text(yaml.safe_dump({"prometheus": {"url": prometheus}, "kubernetes": {}}))
    done = captain(tmp_path, "run", "both.yml", "--format", "json", KUBECONFIG="/nowhere")
    rows = json.loads(done.stdout)["runbooks"][0]["checks"]
    assert [row["outcome"] for row in rows] == ["PASS", "ERROR"]
    assert "set kubernetes.url or kubernetes.kubeconfig" in rows[1]["detail"]


def test_a_mistake_in_a_section_that_is_needed_is_said_before_anything_is_looked_at(tmp_path: Path):
    write(tmp_path / "metric.yml", METRIC)
    (tmp_path / "captain.yml").write_text("prometheus:\n  url: ${PROMETHEUS_URL}\n  timeot: 1\n")
    done = captain(tmp_path, "run", "metric.yml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "captain.yml:2: prometheus.url needs the environment variable PROMETHEUS_URL" in done.stderr


def test_the_runbooks_beside_captain_yml_go_by_their_names(tmp_path: Path):
    (tmp_path / "books").mkdir()
    write(tmp_path / "books" / "shop.yml", BOOK)
    write(tmp_path / "books" / "broken.yml", "checks: 1\n")
    (tmp_path / "captain.yml").write_text("captain: {runbooks: books, api_token: '${CAPTAIN_API_TOKEN}'}\n")
    listed = captain(tmp_path, "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    lines = [
        " ".join(line.split()) for line in listed.stdout.splitlines()
    ]  # how wide names are depends on what is shipped
    assert "shop Is the shop well? (2 checks) [shop-team]" in lines
    assert f"broken cannot be read; see `captain runbook check {Path('books', 'broken.yml')}`" in lines
    assert "self " in listed.stdout
    rows = {row["name"]: row for row in json.loads(captain(tmp_path, "list", "--json").stdout)}
    assert [check["name"] for check in rows["shop"]["checks"]] == ["greets", "few files"]
    assert rows["broken"]["mistakes"][0]["line"] == 1
    assert captain(tmp_path, "run", "shop", "limit=9").returncode == 0
    assert "books/broken.yml:1:" in captain(tmp_path, "run", "broken").stdout
    elsewhere = captain(tmp_path / "books", "run", "shop", "--config", "../captain.yml", "limit=9")
    assert elsewhere.returncode == 0


def test_captain_yml_gives_runbooks_their_parameters_here_too(tmp_path: Path):
    (tmp_path / "books").mkdir()
    write(tmp_path / "books" / "shop.yml", BOOK)
    write(tmp_path / "books" / "broken.yml", "checks: 1\n")
    given = "{shop: {limit: 9}, broken: {a: b}}"
    (tmp_path / "captain.yml").write_text(f"runbooks: {{folder: books, parameters: {given}}}\n")
    assert captain(tmp_path, "run", "shop").returncode == 0
    (tmp_path / "captain.yml").write_text("runbooks: {folder: books, parameters: {shop: {limt: 9}, shp: {}}}\n")
    done = captain(tmp_path, "run", "shop")
    assert done.returncode == 2
    assert (
        "runbooks.parameters.shop.limt: the runbook shop has no parameter 'limt'. Did you mean 'limit'?" in done.stderr
    )
    assert "runbooks.parameters.shp: there is no runbook 'shp'. Did you mean 'shop'?" in done.stderr


# ---- list, show, check --------------------------------------------------------------------------------------------------------


def test_show_says_what_is_looked_at_and_what_to_do(folder: Path):
    done = captain(folder, "show", "shop.yml")
    assert done.returncode == 0
    for line in (
        "shop: Is the shop well?",
        "  owners  shop-team",
        "  link    Dashboard: https://grafana.example/d/shop",
        "  greeting  hello",
        "  greets: command, within 5 s, tags smoke",
        "  few files: command, within 5 s, needs greets",
        "    hint: It must greet.",
    ):
        assert line in done.stdout.splitlines()
    assert json.loads(captain(folder, "show", "shop.yml", "--json").stdout)[0]["owners"] == ["shop-team"]


def test_check_says_every_mistake_with_its_line_and_what_may_surprise(folder: Path):
    assert captain(folder, "check", "shop.yml").stdout == "1 runbook: no mistakes, no warnings.\n"
    write(
        folder / "odd.yml",
        """
        parameters:
          base: http://a.example
          left_over: 1
        checks:
          - name: unquoted
            command: curl -sf $BASE/health "$BASE" ${base} $CAPTAIN_PARAMETER_BASE
            hint: x
          - name: never
            command: grep x file || true
        """,
    )
    odd = captain(folder, "check", "odd.yml")
    assert odd.returncode == 0
    assert odd.stdout.splitlines() == [
        "odd.yml:3: warning: the parameter left_over is used by no check",
        'odd.yml:6: warning: $BASE stands outside quotes: a value with a space or a * becomes several words; write "$BASE"',
        f'odd.yml:6: warning: ${BASE} stands outside quotes: a value with a space or a * becomes several words; write "${BASE}"',
        "odd.yml:8: warning: the check 'never' has no hint: whoever sees it fail is not told what to do",
        "odd.yml:9: warning: the command ends in one that always succeeds, so this check can never fail",
        "1 runbook: no mistakes, 5 warnings.",
    ]
    write(folder / "bad.yml", "checks:\n  - name: a\n    kind: htpp\n  - name: a\n    command: x\n    retris: 1\n")
    bad = captain(folder, "check", ".")
    assert bad.returncode == 1
    assert "bad.yml:3: there is no kind 'htpp'; did you mean 'http'?" in bad.stdout
    assert "bad.yml:6: a check of kind command has no field 'retris'; did you mean 'retries'?" in bad.stdout
    assert "3 runbooks: 3 mistakes, 5 warnings." in bad.stderr


def test_what_is_shipped_can_be_read(tmp_path: Path):
    done = captain(tmp_path, "check")
    assert done.returncode == 0, done.stdout
    assert "no mistakes" in done.stdout


def test_what_needs_the_bot_is_asked_of_the_bot(tmp_path: Path):
    (tmp_path / "captain.yml").write_text(f"captain: {{listen: '127.0.0.1:{free_port()}', api_token: {'x' * 16}}}\n")
    for words in (("history", "self"), ("show", "#12")):
        done = spawned(tmp_path, *words)
        assert done.returncode == 2
        assert "Is `captain serve` running?" in done.stderr
    assert _room(["runbook", "history", "x"]) == _room(["incident", "list"])
    assert {_room(["runbook", word]) for word in ("list", "show", "check", "schema")} == {ROOMS["runbook"][0]}


def test_help_names_every_command(tmp_path: Path):
    shown = spawned(tmp_path, "--help").stdout
    assert [word for word in ("run", "list", "show", "check", "schema") if f"  {word} " not in shown] == []
    direct = [sys.executable, "-m", "bot.runbook_cli", "runbook", "run", "--help"]
    assert "--output" in subprocess.run(direct, capture_output=True, text=True, timeout=60, check=False).stdout


HEAVY = (
    "sqlalchemy",
    "dbos",
    "starlette",
    "kubernetes",
    "slack_sdk",
    "jira",
    "pdpyras",
    "prometheus_api_client",
    "rich.console",
)


def test_whoever_lists_waits_for_nothing_that_is_not_needed():
    line = "import sys, bot.runbook_cli; print(*[name for name in sys.argv[1:] if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", line, *HEAVY], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
    run = line.replace("runbook_cli", "runbook_run")
    done = subprocess.run([sys.executable, "-c", run, *HEAVY], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["rich.console"]


def test_the_schema_that_is_printed_takes_what_the_reader_takes(folder: Path):
    done = captain(folder, "schema")
    assert done.returncode == 0
    schema = jsonschema.Draft202012Validator(json.loads(done.stdout))
    assert list(schema.iter_errors(yaml.safe_load((folder / "shop.yml").read_text()))) == []
    assert list(schema.iter_errors({"checks": [{"name": "a", "kind": "htpp"}]}))


PLAN = """
    checks:
      - name: health-endpoints
        command: curl -sf $BASE/health
      - name: audit-stream
        command: test -n "$(curl -s $OBS/audit/last)"
"""


def test_the_checks_of_a_plan_run_as_they_are_written(tmp_path: Path):
    write(tmp_path / "checks.yml", PLAN)
    served = serve(Starlette(routes=[Route("/health", _well), Route("/audit/last", _well)]))
    try:
        here = {"BASE": served.url, "OBS": served.url}
        assert captain(tmp_path, "run", "checks.yml", **here).returncode == 0
        down = captain(tmp_path, "run", "checks.yml", "--env", f"OBS=http://127.0.0.1:{free_port()}", **here)
        assert down.returncode == 1
        assert "FAIL          audit-stream: 1 (want exit 0)" in down.stdout
    finally:
        served.stop()
    assert captain(tmp_path, "run", "checks.yml", **here).returncode == 1
    unset = captain(tmp_path, "run", "checks.yml")
    assert unset.returncode == 2
    assert "the environment has no BASE, which the command names" in unset.stdout
    assert "asked: curl -sf $BASE/health" in unset.stdout


def _well(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("well")


# ---- the end before the end ---------------------------------------------------------------------------------------------------


def alive(marker: str) -> list[int]:
    """The processes with a variable of that value in their environment, as each check of ours has; no zombies."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and f"MARKER={marker}".encode() in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
    return found


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_in_the_middle_leaves_no_process_and_tells_what_was_found(tmp_path: Path, number: int, code: int):
    marker = f"marker-{os.getpid()}-{number}"
    book = {
        "checks": [
            {"name": "quick", "command": "true"},
            {"name": "stubborn", "command": "trap '' INT TERM; sleep 60 & sleep 60", "timeout": 60, "needs": ["quick"], "env": {"MARKER": marker}},
            {"name": "waits", "command": "true", "needs": ["stubborn"]},
        ]
    }  # fmt: skip
    (tmp_path / "long.yml").write_text(yaml.safe_dump(book))
    command = [CAPTAIN, "runbook", "run", "long.yml", "long.yml", "--format", "json"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=without(dict(os.environ)))
    until(lambda: len(alive(marker)) == 3, message="the command has started")
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == code
    read = json.loads(out)
    assert (read["cancelled"], read["exit_code"]) == (True, 2)
    assert [row["outcome"] for row in read["runbooks"][0]["checks"]] == ["PASS", "ERROR", "ERROR"]
    assert alive(marker) == []


# ---- a terminal ---------------------------------------------------------------------------------------------------------------


class Terminal:
    """A real terminal of 100 columns, and what a person has seen in it."""

    def __init__(self, folder: Path, *words: str, rows: int = 24, **env: str) -> None:
        self.seen = ""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 100, 0, 0))
        environ = without(dict(os.environ)) | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"} | env
        command = [CAPTAIN, "runbook", *words]
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
        )
        os.close(theirs)
        self._ours = ours
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._ours, 65536)
            except OSError:  # the other end is closed
                return
            if not part:
                return
            self.seen += part.decode("utf-8", "replace")

    def text(self) -> str:
        """All that was shown, without colours and movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen)

    def rests(self) -> str:
        """What stands on the screen in the end: each line as it was last written."""
        lines, at = [""], 0
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", self.seen):
            if part == "\n":
                at += 1
                lines += [""] * (at + 1 - len(lines))
            elif part == "\x1b[2K":
                lines[at] = ""
            elif up := re.fullmatch(r"\x1b\[(\d+)A", part):
                at = max(0, at - int(up[1]))
            elif part != "\r" and not part.startswith("\x1b"):
                lines[at] += part
        return "\n".join(line.rstrip() for line in lines)

    def end(self) -> int:
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=5)
        os.close(self._ours)
        return code


LIVE = """
    name: live
    title: Is it alive?
    checks:
      - name: first
        command: echo fine
      - name: gated
        command: until test -e go; do sleep 0.05; done; exit 3
        timeout: 30
        hint: Look at the gate.
        needs: [first]
      - name: after it
        command: "true"
        needs: [gated]
      - name: minor
        command: "false"
        severity: warning
"""


def test_a_terminal_shows_each_check_as_it_goes_and_the_result_in_its_place(tmp_path: Path):
    write(tmp_path / "live.yml", LIVE)
    terminal = Terminal(tmp_path, "run", "live.yml")
    until(lambda: re.search(r"gated\s+looking", terminal.text()), message="it is shown while it looks")
    until(lambda: "2 of 4" in terminal.text(), message="the bar counts")
    assert re.search(r"PASS\s+first\s+0 \(want exit 0\)", terminal.text())
    assert re.search(r"waiting\s+after it", terminal.text())
    assert "━" in terminal.text()
    frames = terminal.seen.count("\x1b[2K")
    until(lambda: terminal.seen.count("\x1b[2K") > frames + 20, message="it moves")
    (tmp_path / "go").touch()
    assert terminal.end() == 1
    left = terminal.rests()
    assert "looking" not in left
    assert "of 4" not in left
    lines = left.splitlines()
    assert lines[0] == "live: Is it alive?"
    assert lines[1].split() == ["outcome", "check", "value", "wanted", "samples", "took"]
    assert [line.split()[0] for line in lines[2:6]] == ["PASS", "FAIL", "INCONCLUSIVE", "FAIL*"]
    assert re.search(r"FAIL +gated +3 +exit 0", lines[3])
    assert "  hint   Look at the gate." in lines
    assert "* only a warning: it decides nothing" in lines
    assert re.fullmatch(
        r"live: FAIL in \d+\.\d s: 1 FAIL, 1 INCONCLUSIVE, 1 PASS; warnings: 1 FAIL", left.strip().splitlines()[-1]
    )
    assert terminal.seen.rstrip().count("\x1b[?25h") == 1, "the cursor is back"


def test_ctrl_c_in_a_terminal_gives_it_back_with_what_is_known(tmp_path: Path):
    marker = f"terminal-{os.getpid()}"
    write(tmp_path / "live.yml", LIVE.replace("needs: [first]", f"env: {{MARKER: {marker}}}"))
    terminal = Terminal(tmp_path, "run", "live.yml")
    until(lambda: alive(marker), message="it looks")
    until(lambda: "looking" in terminal.text(), message="it is shown")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert alive(marker) == []
    assert "cancelled" in terminal.rests()
    assert "live: ERROR" in terminal.rests()
    assert "\x1b[?25h" in terminal.seen


def test_a_hundred_checks_do_not_scroll_the_one_that_fails_away(tmp_path: Path):
    checks = [{"name": f"check {n}", "command": "true"} for n in range(100)]
    checks[7]["command"] = "false"
    checks.append({"name": "gate", "command": "until test -e go; do sleep 0.05; done", "timeout": 30})
    (tmp_path / "many.yml").write_text(yaml.safe_dump({"checks": checks}))
    terminal = Terminal(tmp_path, "run", "many.yml", "--parallel", "8", rows=16)
    until(lambda: "100 of 101" in terminal.text(), message="all but one are done", timeout=30)
    last = terminal.text()[terminal.text().rindex("many") :]
    until(lambda: terminal.text().count("100 of 101") > 2, message="it is drawn once more")
    (tmp_path / "go").touch()
    last = terminal.text().split("100 of 101")[-2]
    assert re.search(r"FAIL\s+check 7 ", last)
    assert re.search(r"gate\s+looking", last)
    assert re.search(r"and \d+ more", last)
    assert len(last.splitlines()) <= 16
    assert terminal.end() == 1


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"CI": "true"}, {"TERM": "dumb"}], ids=str)
def test_who_wants_no_colour_gets_plain_lines_in_a_terminal_too(folder: Path, env: dict[str, str]):
    terminal = Terminal(folder, "run", "shop.yml", **env)
    assert terminal.end() == 1
    assert "\x1b" not in terminal.seen
    assert "  FAIL          few files: 1 (want exit 0)" in terminal.seen


def test_who_pipes_json_away_still_sees_how_far_it_is(tmp_path: Path):
    write(tmp_path / "live.yml", LIVE)
    (tmp_path / "go").touch()
    line = f"{CAPTAIN} runbook run live.yml --format json > out.json"
    ours, theirs = pty.openpty()
    environ = without(dict(os.environ)) | {"TERM": "xterm", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(["sh", "-c", line], cwd=tmp_path, stderr=theirs, env=environ)
    os.close(theirs)
    assert process.wait(timeout=30) == 1
    seen = os.read(ours, 1_000_000).decode("utf-8", "replace")
    os.close(ours)
    assert "live: Is it alive?" in seen
    assert json.loads((tmp_path / "out.json").read_text())["outcome"] == "FAIL"


def test_the_service_is_a_value_for_runbooks_that_ask_for_it_and_no_mistake_for_others(tmp_path: Path):
    (tmp_path / "checks.yml").write_text("checks:\n  - {name: fine, command: 'true'}\n")
    asks = "parameters: {service: , env: dev}\nchecks:\n  - {name: it, command: [test, '{{service}}-{{env}}', '=', docs-api-prod]}\n"
    (tmp_path / "asks.yml").write_text(asks)
    done = captain(tmp_path, "run", ".", "--service", "docs-api", "--environment", "prod")
    assert done.returncode == 0, done.stdout
    assert "asks: PASS" in done.stdout
    assert "checks: PASS" in done.stdout


@pytest.mark.parametrize("words", ["run shop.yml limit=9", "show shop.yml", "check shop.yml"])
def test_without_a_standard_output_nothing_looks_like_a_check_that_failed(tmp_path: Path, words: str) -> None:
    (tmp_path / "shop.yml").write_text(textwrap.dedent(BOOK), encoding="utf-8")
    line = f"exec {CAPTAIN} runbook {words} >&-"
    done = subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
