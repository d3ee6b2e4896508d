"""The command kind: what its exit means, and that nothing it started is ever left behind."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ground.waiting import until
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ConfigError
from runbooks import Looks, Outcome, load, run
from runbooks.kind import Filling
from runbooks.parameters import environment, filled


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_exit_codes(one):
    assert one("command: echo hello").outcome is Outcome.PASS
    failed = one("command: echo broken; exit 3")
    assert (failed.outcome, failed.value, failed.threshold) == (Outcome.FAIL, "3", "exit 0")
    assert "broken" in failed.detail
    assert one("command: exit 3\nexit: 3").outcome is Outcome.PASS


def test_output_that_must_match(one):
    assert one("command: echo 42 rows\nmatches: '^\\d+ rows$'").outcome is Outcome.PASS
    assert one("command: echo no rows\nmatches: '^\\d+ rows$'").outcome is Outcome.FAIL


@pytest.mark.parametrize(
    "words",
    ["[sh, -c, 'echo {{v}}']", "[env, A=1, /bin/bash, -ec, 'echo ${v}']", "[kubectl, exec, p, --, sh, -c, '{{v}}']"],
)
def test_a_parameter_never_becomes_code_by_a_list_of_words_that_is_a_shell(one, words):
    with pytest.raises(ConfigError, match="would be code; hand it on as a word"):
        one(f"command: {words}", parameters={"v": "x"})
    needed = one(f"command: {words}", parameters={"v": None}, given={"v": "; echo INJECTED"})
    assert (needed.outcome, "INJECTED" in needed.detail) == (Outcome.ERROR, False)


def test_a_parameter_goes_into_a_script_as_a_word(one):
    line = "command: [sh, -c, 'echo \"$1\"', sh, '{{v}}']\nmatches: '^; echo INJECTED$'"
    assert one(line, parameters={"v": "; echo INJECTED"}).outcome is Outcome.PASS


def test_a_parameter_within_a_pattern_of_its_output_is_looked_for_as_it_is(one):
    for value, outcome in (("1.2", Outcome.PASS), ("1.3|", Outcome.FAIL), (".*", Outcome.FAIL), ("", Outcome.ERROR)):
        result = one("command: echo 1.2\nmatches: '{{v}}'", parameters={"v": "1.2"}, given={"v": value})
        assert result.outcome is outcome, value


@pytest.mark.parametrize(
    "command", ["[no-such-program-here, x]", "no-such-program-here", "/etc/passwd", "[/etc/passwd]"]
)
def test_a_program_that_is_not_there_or_cannot_run_is_an_error(one, command):
    assert one(f"command: {command}").outcome is Outcome.ERROR


def test_a_program_killed_from_outside_is_an_error(one):
    result = one("command: kill -9 $$")
    assert result.outcome is Outcome.ERROR
    assert "SIGKILL" in result.detail


def test_argv_is_not_read_by_a_shell(one):
    assert one("command: [echo, '$HOME; exit 3']\nmatches: '[$]HOME; exit 3'").outcome is Outcome.PASS


def test_unicode_and_bytes_that_are_none(one):
    assert "grüße 🚀" in one("command: echo 'grüße 🚀'").detail
    result = one("command: printf 'a\\377b\\033[31mred\\033[0m\\001'")
    assert result.outcome is Outcome.PASS
    assert result.detail == "a\ufffdbred"


def test_huge_output_neither_fills_memory_nor_blocks(one):
    result = one("command: head -c 20000000 /dev/zero | tr '\\0' x; echo; echo end >&2; exit 4", looks=Looks())
    assert (result.outcome, result.value) == (Outcome.FAIL, "4")
    assert "output cut at 64 kB of 19531 kB" in result.detail
    assert len(result.detail) < 1000


CHILDREN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pids = [os.getpid()]
out = open(sys.argv[1], "w")
r, w = os.pipe()
if os.fork() == 0:              # a child ...
    pid = os.fork()             # ... and its child, which outlives it: a double fork
    if pid:
        os.write(w, f"{os.getpid()} {pid}\\n".encode())
        os._exit(0)
    time.sleep(60)
    os._exit(0)
pids += os.read(r, 100).decode().split()
out.write(" ".join(map(str, pids))); out.close()
if len(sys.argv) > 2:
    sys.exit(0)
time.sleep(60)
"""


@pytest.fixture
def children(tmp_path):
    script = tmp_path / "children.py"
    script.write_text(CHILDREN)
    return script


def pids_in(path: Path) -> list[int]:
    return [int(pid) for pid in path.read_text().split()]


def test_a_timeout_kills_the_whole_group_even_what_ignores_sigterm(one, children, tmp_path):
    told = tmp_path / "pids"
    began = time.monotonic()
    result = one(f"command: [{sys.executable}, {children}, {told}]\ntimeout: 1")
    assert time.monotonic() - began < 3
    assert result.outcome is Outcome.ERROR
    assert "did not end within 1 s" in result.detail
    pids = pids_in(told)
    assert len(pids) == 3
    until(lambda: not any(alive(pid) for pid in pids), timeout=10)


def test_a_program_that_ends_leaves_nothing_in_the_background_either(one, children, tmp_path):
    told = tmp_path / "pids"
    began = time.monotonic()
    result = one(f"command: [{sys.executable}, {children}, {told}, end]\ntimeout: 20")
    assert result.outcome is Outcome.PASS
    assert time.monotonic() - began < 5
    until(lambda: not any(alive(pid) for pid in pids_in(told)), timeout=10)


def test_a_shell_line_with_children_is_stopped_as_a_whole(one, tmp_path):
    told = tmp_path / "pids"
    one(f"command: sleep 61 & sleep 62 & echo $! $$ > {told}; wait\ntimeout: 0.5")
    pids = pids_in(told)
    assert len(pids) == 2
    until(lambda: not any(alive(pid) for pid in pids), timeout=10)


def test_sigterm_comes_first(one, tmp_path):
    told = tmp_path / "told"
    one(f"command: trap 'echo term > {told}; exit 1' TERM; while true; do sleep 0.05; done\ntimeout: 0.3")
    assert told.read_text() == "term\n"


def test_a_cancelled_run_kills_what_runs(written, tmp_path):
    told = tmp_path / "pids"
    path = written(f"checks:\n- {{name: long, command: 'echo $$ > {told}; sleep 60', timeout: 30}}\n")
    stop = threading.Event()
    reports = []
    thread = threading.Thread(target=lambda: reports.append(run(load(path), {}, Looks(), cancelled=stop)))
    thread.start()
    until(lambda: told.exists() and told.read_text())
    stop.set()
    thread.join(5)
    assert reports[0].outcome is Outcome.ERROR
    assert "cancelled" in reports[0].results[0].detail
    until(lambda: not alive(pids_in(told)[0]), timeout=10)


def test_the_plans_own_form_with_its_variables(written):
    path = written(
        """
        checks:
          - name: health-endpoints
            command: test "$BASE/health" = http://base.example/health
          - name: audit-stream
            command: test -n "$(echo $OBS)"
        """
    )
    report = run(
        load(path), {}, Looks(), environ={"BASE": "http://base.example", "OBS": "x", "PATH": os.environ["PATH"]}
    )
    assert [(r.kind, r.outcome) for r in report.results] == [("command", Outcome.PASS)] * 2


def test_a_variable_nobody_set_is_an_error_that_names_it(one):
    result = one("command: curl -sf $BASE/health", environ={"PATH": os.environ["PATH"]})
    assert result.outcome is Outcome.ERROR
    assert "no BASE" in result.detail


@pytest.mark.parametrize(
    "line",
    [
        "x=1; test $x = 1",
        'for i in 1 2; do echo "$i"; done',
        "test -z ${GONE:-}",
        'echo a | while read -r l; do test "$l" = a; done',
    ],
)
def test_variables_of_the_line_itself_are_its_own(one, line):
    assert one(f"command: {json.dumps(line)}", environ={"PATH": os.environ["PATH"]}).outcome is Outcome.PASS


def test_the_bots_other_variables_are_not_passed_on(one):
    environ = {**os.environ, "SLACK_BOT_TOKEN": "xoxb-hidden"}
    assert one("command: [env]\nmatches: SLACK_BOT_TOKEN", environ=environ).outcome is Outcome.FAIL


def test_env_takes_secrets_and_results_do_not_show_them(one):
    environ = {"PATH": os.environ["PATH"], "TOKEN": "s3cret/+value"}
    result = one('command: echo "$KEY"; printf %s "$KEY" | base64; exit 1\nenv: {KEY: "env:TOKEN"}', environ=environ)
    assert result.outcome is Outcome.FAIL
    assert "s3cret" not in result.detail
    assert "czNjcmV0" not in result.detail
    assert result.detail.count("•••") == 2


NASTY = [
    "x; exit 7",
    "$(exit 7)",
    "`exit 7`",
    '"; exit 7; "',
    "' ; exit 7; '",
    "a b  c*",
    "-n",
    "${HOME}",
    "\\",
    "🚀\n2",
]


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize(
    "line",
    [
        "printf %s {{who}}",
        'printf %s "{{who}}"',
        'printf %s "$(printf %s {{who}})"',
        'printf %s "$(printf %s "{{ who }}")"',
        "printf %s ${who}",
    ],
)
def test_a_parameter_never_becomes_code(one, line, value, tmp_path):
    told = tmp_path / "told"
    result = one(f"command: {json.dumps(f'{line} > {told}')}", parameters={"who": "x"}, given={"who": value})
    assert result.outcome is Outcome.PASS, result.detail
    assert told.read_text() == value


@given(st.text(max_size=30))
def test_a_shell_line_never_holds_the_value(value):
    values = {"who": "#" + value.replace("\0", "") + "#"}
    line = 'grep {{who}} "a {{who}} b" "$(echo {{who}})" \\" {{who}}'
    made = filled(line, values, Filling.SHELL)
    assert made == filled(line, {"who": "other"}, Filling.SHELL)
    assert environment(values) == {"CAPTAIN_PARAMETER_WHO": values["who"]}
    assert shlex.split(made)[1] == "${CAPTAIN_PARAMETER_WHO}"


ESCAPES = {
    "by setsid": "setsid sh -c 'echo $$ > {told}; sleep 60' & wait",
    "by setsid, orphaned": "setsid -f sh -c 'echo $$ > {told}; exec sleep 60'; sleep 60",
    "with no environment": "env -i setsid -f sh -c 'echo $$ > {told}; exec sleep 60'; sleep 60",
    "without what it inherited": "setsid -f sh -c 'echo $$ > {told}; exec sleep 60' < /dev/null > /dev/null 2>&1; sleep 60",
    "ignoring SIGTERM": "trap '' TERM; setsid sh -c 'echo $$ > {told}; sleep 60'; sleep 60",
    "with its output closed": "exec >&- 2>&-; echo $$ > {told}; sleep 60",
    "printing for ever": "setsid -f sh -c 'echo $$ > {told}; yes'; sleep 60",
}


@pytest.mark.parametrize("how", ESCAPES)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells enough of processes")
def test_nothing_of_a_timed_out_check_is_left_even_what_left_its_group(one, tmp_path, how):
    told = tmp_path / "pids"
    began = time.monotonic()
    result = one(f"command: {json.dumps(ESCAPES[how].format(told=told))}\ntimeout: 0.5")
    assert time.monotonic() - began < 4
    assert result.outcome is Outcome.ERROR
    assert "did not end within 0.5 s" in result.detail
    assert not any(alive(pid) for pid in pids_in(told))
    assert not orphans(tmp_path)


def orphans(folder: Path) -> list[str]:
    """The command lines of what still runs and was told of a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(folder) in line and alive(int(entry.name)):
            found.append(line)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells enough of processes")
def test_a_program_that_passes_leaves_no_daemon_that_left_its_group(one, tmp_path):
    told = tmp_path / "pids"
    result = one(f"command: setsid -f sh -c 'echo $$ > {told}; sleep 60'; until test -s {told}; do sleep 0.01; done")
    assert result.outcome is Outcome.PASS
    assert not any(alive(pid) for pid in pids_in(told))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells enough of processes")
def test_what_forks_without_end_is_ended(one, tmp_path):
    """Each generation leaves its group and starts the next one before it ends."""
    script = tmp_path / "again.sh"
    script.write_text(f"#!/bin/sh\necho x >> {tmp_path}/n\nsleep 0.02\nsetsid {script} &\n")
    script.chmod(0o755)
    result = one(f"command: {script}; sleep 60\ntimeout: 0.5")
    assert "did not end within" in result.detail
    assert not orphans(tmp_path)
    before = (tmp_path / "n").read_text()
    threading.Event().wait(0.2)
    assert (tmp_path / "n").read_text() == before


def test_two_checks_at_once_never_end_what_the_other_started(written, tmp_path):
    path = written(
        """
        checks:
          - {name: late, command: "setsid -f sleep 60; sleep 60", timeout: 0.3}
          - {name: steady, command: "setsid sleep 1; echo done", matches: done}
        """
    )
    assert [r.outcome for r in run(load(path), {}, Looks()).results] == [Outcome.ERROR, Outcome.PASS]


def test_a_gigabyte_is_read_past_in_bounded_memory(one):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = one("command: head -c 1000000000 /dev/zero\ntimeout: 60")
    assert result.outcome is Outcome.PASS
    assert "of 976562 kB" in result.detail
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024


def test_output_without_end_is_an_error_in_time(one):
    began = time.monotonic()
    result = one("command: 'yes'\ntimeout: 0.5")
    assert result.outcome is Outcome.ERROR
    assert time.monotonic() - began < 3


def test_a_secret_that_lies_across_a_cut_is_masked_whole(one):
    environ = {"PATH": os.environ["PATH"], "TOKEN": "abcdefghijklmnopqrstuvwxyz"}
    cut_in_tail = "command: printf '%s%0290d' $T 0; exit 1\nenv: {T: env:TOKEN}"
    cut_at_the_end = "command: head -c 65525 /dev/zero | tr '\\0' '\\n'; echo $T; seq 9000; exit 1\nenv: {T: env:TOKEN}"
    for text in (cut_in_tail, cut_at_the_end):
        detail = one(text, environ=environ).detail
        assert not any("abcdefghijklmnopqrstuvwxyz"[i : i + 4] in detail for i in range(23)), detail


@pytest.mark.parametrize(
    "line",
    [
        "printf 'a b\\n' | awk '{ n = NF; print $n }'",
        "test \"$(echo '$NOBODY')\" = '$NOBODY'",
        'test \\$NOBODY = "\\$NOBODY"',
        "cd / && test $PWD = / && test $PPID -gt 0",
        "echo 1 2 | { read a b; test $b = 2; }",
        "set -- -x; while getopts xy o; do test $o = x; done",
    ],
)
def test_what_the_shell_fills_in_by_itself_or_not_at_all_need_not_be_set(one, line):
    result = one(f"command: {json.dumps(line)}", environ={"PATH": os.environ["PATH"]})
    assert result.outcome is Outcome.PASS, result.detail


def test_every_variable_that_is_missing_is_named_at_once(one):
    result = one('command: curl -sf "$BASE/health" "${OBS}/audit"', environ={"PATH": os.environ["PATH"]})
    assert result.outcome is Outcome.ERROR
    assert "the environment has no BASE and no OBS, which the command names; set it" in result.detail


def test_a_result_says_what_was_run(written):
    path = written(
        """
        parameters: {who: docs api}
        checks:
          - {name: line, command: 'echo {{who}} $HOME'}
          - {name: words, command: [echo, '{{who}}', 'a;b']}
        """
    )
    assert [r.asked for r in run(load(path), {}, Looks()).results] == ["echo docs api $HOME", "echo 'docs api' 'a;b'"]


FIRST_PROCESS = """
import ctypes, os, sys, threading
from pathlib import Path
from runbooks import Check, Looks, Runbook, run
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans come to this process, as to a container's first one
lines = ["(sleep 60 &) ; true", "(setsid sleep 60 &) ; true", "sleep 60 & sleep 60", "setsid -f sleep 60; sleep 60"]
checks = [Check(line, "command", {"command": line}, timeout=0.4) for line in lines]
report = run(Runbook("b", "b", checks, {}), {}, Looks())
print(*[r.outcome.value for r in report.results])
for entry in Path("/proc").glob("[0-9]*"):
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        continue
    if int(fields[1]) == os.getpid():
        print("left:", entry.name, fields[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells enough of processes")
def test_a_bot_that_inherits_orphans_does_not_keep_them_as_zombies():
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", FIRST_PROCESS], check=False, cwd=root, capture_output=True, text=True)
    assert done.stdout.split("\n") == ["PASS PASS ERROR ERROR", ""], done.stdout + done.stderr
