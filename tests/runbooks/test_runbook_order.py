"""The runner with keys, consecutive successes, selection, callbacks, many checks, and looks that never come back."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from ground.waiting import until
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks import Check, Looks, Outcome, Report, Runbook, Severity, load, run
from runbooks.mutex import MAX_LEFT_BEHIND, shared


def book(*checks, **more):
    return Runbook("book", "Book", checks, more.pop("parameters", {}), **more)


def shell(name, line, **more):
    return Check(name, "command", {"command": line}, **more)


def fails_unless(passes: str, told) -> str:
    """A line that passes at the looks that have a 1 in ``passes``, and at all later ones if it ends with a 1."""
    return (
        f"echo x >> {told}; n=$(wc -l < {told}); s={passes}; test $n -gt {len(passes)} && n={len(passes)}; "
        f'test "$(printf %s $s | cut -c $n)" = 1'
    )


def test_a_check_passes_only_after_so_many_passes_in_a_row(tmp_path):
    line = fails_unless("0110111", tmp_path / "n")
    (found,) = run(book(shell("a", line, successes=3, retries=5, retry_delay=0)), {}, Looks()).results
    assert (found.outcome, found.attempt) == (Outcome.PASS, 7)
    assert "3 times in a row" in found.detail


def test_retries_count_what_is_no_pass_whatever_passes_between(tmp_path):
    line = fails_unless("1010101", tmp_path / "n")
    (found,) = run(book(shell("a", line, successes=2, retries=2, retry_delay=0)), {}, Looks()).results
    assert (found.outcome, found.attempt) == (Outcome.FAIL, 6)


def test_passes_that_were_too_few_before_the_time_was_up_are_no_pass():
    check = shell("a", "true", successes=20, retries=5, retry_delay=0.1)
    (found,) = run(book(check), {}, Looks(), deadline_s=0.5).results
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "of 20 times in a row before the time was up" in found.detail


def test_a_cancelled_run_makes_no_pass_of_too_few(tmp_path):
    stop = threading.Event()
    check = shell("a", f"echo x >> {tmp_path}/n", successes=20, retry_delay=5)
    reports: list[Report] = []
    thread = threading.Thread(target=lambda: reports.append(run(book(check), {}, Looks(), cancelled=stop)))
    thread.start()
    until(lambda: (tmp_path / "n").exists())
    began = time.monotonic()
    stop.set()
    thread.join(5)
    assert time.monotonic() - began < 1
    assert reports[0].results[0].outcome in (Outcome.INCONCLUSIVE, Outcome.ERROR)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(1, 3), st.integers(0, 3))
def test_a_pass_is_so_many_in_a_row_within_the_retries_and_nothing_else(tmp_path_factory, looks, successes, retries):
    """Against the rule said plainly: walk the looks, the last of which goes on for ever."""
    told = tmp_path_factory.mktemp("looks") / "n"
    row = failed = at = 0
    while row < successes and failed <= retries:
        passed = looks[min(at, len(looks) - 1)]
        row, failed, at = (row + 1 if passed else 0), failed + (not passed), at + 1
    line = fails_unless("".join("01"[look] for look in looks), told)
    check = shell("a", line, successes=successes, retries=retries, retry_delay=0)
    (found,) = run(book(check), {}, Looks()).results
    assert (found.outcome, found.attempt) == (Outcome.PASS if row == successes else Outcome.FAIL, at)


def overlap(folder, key: str) -> str:
    """A line that fails when another line of the same key runs at the same time."""
    return f"mkdir {folder}/{key} || exit 9; sleep 0.05; rmdir {folder}/{key}"


def test_checks_with_the_same_key_are_never_at_once_and_others_are_not_kept(tmp_path):
    checks = [shell(f"a{i}", overlap(tmp_path, "db"), mutex=("db",)) for i in range(6)]
    ended: list[str] = []
    began = time.monotonic()
    report = run(book(*checks, shell("b", "true")), {}, Looks(), parallel=7, on_result=lambda r: ended.append(r.name))
    assert report.outcome is Outcome.PASS
    assert time.monotonic() - began >= 0.3
    assert ended[0] == "b"


def test_the_key_holds_across_runs_of_one_process(tmp_path):
    reports: list[Report] = []
    one = book(*[shell(f"a{i}", overlap(tmp_path, "db"), mutex=("db",)) for i in range(4)])
    threads = [threading.Thread(target=lambda: reports.append(run(one, {}, Looks()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [r.outcome for r in reports] == [Outcome.PASS] * 3
    assert not shared().held


def test_a_key_is_filled_in_with_parameters():
    lines = [shell("a", "sleep 0.4", mutex=("db {{service}}",)), shell("b", "sleep 0.4", mutex=("db other",))]
    for service, least, most in (("docs", 0.3, 0.75), ("other", 0.8, 5)):
        began = time.monotonic()
        assert run(book(*lines, parameters={"service": None}), {"service": service}, Looks()).outcome is Outcome.PASS
        assert least <= time.monotonic() - began < most, service


def test_what_waits_for_a_key_until_the_time_is_up_says_so():
    checks = [shell("a", "sleep 5", mutex=("db", "x")), shell("b", "true", mutex=("db",))]
    report = run(book(*checks), {}, Looks(), deadline_s=0.3)
    assert [r.outcome for r in report.results] == [Outcome.ERROR] * 2
    assert report.results[1].detail == "not looked at: the runbook's time was up while it waited for the mutex db"
    assert not shared().held


class Hangs:
    """Metrics whose answers come when they are let go."""

    def __init__(self):
        self.let_go = threading.Event()
        self.asked = 0

    def query(self, _expr):
        self.asked += 1
        self.let_go.wait(30)
        raise ValueError("let go")


def promql(name, **more):
    return Check(name, "promql", {"expr": "up", "threshold": 1}, timeout=0.05, **more)


def test_a_look_that_never_comes_back_keeps_its_key_until_it_does():
    metrics = Hangs()
    try:
        first = run(book(promql("a", mutex=("db",))), {}, Looks(metrics=metrics))
        assert "no answer within 0.05 s" in first.results[0].detail
        second = run(book(shell("b", "true", mutex=("db",))), {}, Looks(), deadline_s=0.2)
        assert "waited for the mutex db" in second.results[0].detail
        metrics.let_go.set()
        until(lambda: run(book(shell("b", "true", mutex=("db",))), {}, Looks(), deadline_s=1).outcome is Outcome.PASS)
    finally:
        metrics.let_go.set()


def test_no_more_than_so_many_looks_are_left_behind():
    metrics = Hangs()
    try:
        checks = [promql(f"a{i}") for i in range(MAX_LEFT_BEHIND + 20)]
        report = run(book(*checks), {}, Looks(metrics=metrics), parallel=8, deadline_s=3)
        assert metrics.asked <= MAX_LEFT_BEHIND + 8
        assert {r.outcome for r in report.results} == {Outcome.ERROR}
        assert "looks that were given up on to come back" in report.results[-1].detail
    finally:
        metrics.let_go.set()
        until(shared().has_room)


def test_looking_again_leaves_no_more_behind_either():
    metrics = Hangs()
    try:
        checks = [promql(f"a{i}", retries=20, retry_delay=0) for i in range(8)]
        run(book(*checks), {}, Looks(metrics=metrics), parallel=8, deadline_s=2)
        assert metrics.asked <= MAX_LEFT_BEHIND + 8
    finally:
        metrics.let_go.set()
        until(shared().has_room)


def test_a_caller_that_breaks_off_at_a_start_holds_no_key():
    def no(_check):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        run(book(shell("a", "true", mutex=("db",))), {}, Looks(), on_start=no)
    assert not shared().held


def test_a_look_that_breaks_off_is_an_error_at_once():
    class Broken:
        def query(self, _expr):
            raise AttributeError("no such thing")

    told = []
    before, threading.excepthook = threading.excepthook, told.append
    try:
        began = time.monotonic()
        (found,) = run(book(Check("a", "promql", {"expr": "up", "threshold": 1})), {}, Looks(metrics=Broken())).results
    finally:
        threading.excepthook = before
    assert found.outcome is Outcome.ERROR
    assert "fault of its kind" in found.detail
    assert time.monotonic() - began < 2
    until(lambda: bool(told))


def test_a_cancelled_run_waits_for_no_server_that_never_answers():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        stop = threading.Event()
        check = Check("a", "http", {"url": url}, timeout=60)
        began = time.monotonic()
        report = run(book(check), {}, Looks(), cancelled=stop, on_start=lambda _: stop.set(), deadline_s=100)
        assert time.monotonic() - began < 6
        assert report.results[0].detail == "the run was cancelled while it looked"
    until(lambda: not shared().left or shared().has_room())


def test_starts_and_ends_are_told_on_the_callers_thread_in_order(tmp_path):
    told = []
    mine = threading.get_ident()

    def start(check):
        assert threading.get_ident() == mine
        told.append(("start", check.name))

    def end(result):
        assert threading.get_ident() == mine
        told.append(("end", result.name))

    checks = [
        shell("a", fails_unless("01", tmp_path / "n"), retries=1, retry_delay=0),
        shell("b", "exit 1", needs=("a",)),
        shell("c", "true", needs=("b",)),
    ]
    run(book(*checks), {}, Looks(), on_start=start, on_result=end)
    assert told == [("start", "a"), ("end", "a"), ("start", "b"), ("end", "b"), ("end", "c")]


def test_a_caller_that_breaks_off_leaves_nothing_running(tmp_path):
    def no(_result):
        raise RuntimeError("enough")

    checks = [shell("a", "true"), shell("b", f"echo $$ > {tmp_path}/pid; sleep 60", timeout=60, mutex=("db",))]
    with pytest.raises(RuntimeError, match="enough"):
        run(book(*checks), {}, Looks(), on_result=no)
    assert not shared().held
    assert not any(thread.name == "look-b" for thread in threading.enumerate())


def test_a_result_says_when_it_began_and_its_tags():
    before = time.time()
    checks = [shell("a", "exit 1", tags=("smoke", "x")), shell("b", "true", needs=("a",))]
    first, second = run(book(*checks), {}, Looks()).results
    assert first.tags == ("smoke", "x")
    assert before <= first.at <= second.at <= time.time()
    assert second.attempt == 0


def test_what_was_asked_holds_no_secret():
    environ = {"PATH": "/usr/bin:/bin", "TOKEN": "s3cret-value"}
    check = Check(
        "a", "command", {"command": ["echo", "s3cret-value", "http://me:hidden@x.example/"], "env": {"T": "env:TOKEN"}}
    )
    (found,) = run(book(check), {}, Looks(), environ=environ).results
    assert found.asked == "echo ••• http://•••@x.example/"


SOME = [
    shell("first", "true", tags=("smoke",)),
    shell("second", "true", needs=("first",), tags=("slow",)),
    shell("other / a", "true", tags=("smoke",)),
    shell("other / b", "true", severity=Severity.WARNING, tags=("w",)),
]


@pytest.mark.parametrize(
    ("only", "tags", "names"),
    [
        ([], [], ["first", "second", "other / a", "other / b"]),
        (["first"], [], ["first"]),
        (["second"], [], ["first", "second"]),
        (["other"], [], ["other / a", "other / b"]),
        (["other / a"], [], ["other / a"]),
        ([], ["slow"], ["first", "second"]),
        ([], ["smoke"], ["first", "other / a"]),
        (["other / b"], ["slow"], ["first", "second", "other / b"]),
    ],
)
def test_checks_are_selected_by_name_and_by_tag_with_what_they_need(only, tags, names):
    report = run(book(*SOME), {}, Looks(), only=only, tags=tags)
    assert [r.name for r in report.results] == names
    assert report.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"only": ["frist"]}, "the runbook book has no check 'frist'; did you mean 'first'?"),
        ({"only": ["othr"]}, "has no check 'othr'; did you mean 'other'?"),
        ({"tags": ["smok"]}, "no check of the runbook book has the tag 'smok'; did you mean 'smoke'?"),
        ({"tags": ["w"]}, "only warnings were looked at"),
    ],
)
def test_a_selection_of_nothing_that_decides_is_an_error(how, said):
    report = run(book(*SOME), {}, Looks(), **how)
    assert report.outcome is Outcome.ERROR
    assert said in report.detail


def test_a_runbook_without_checks_says_so():
    report = run(book(), {}, Looks())
    assert (report.outcome, report.detail) == (
        Outcome.ERROR,
        "the runbook book has no checks, so nothing was looked at",
    )


def test_the_deadline_and_how_many_at_once_are_the_files_unless_the_caller_says_otherwise():
    slow = [shell(f"c{i}", "sleep 0.3") for i in range(2)]
    began = time.monotonic()
    assert run(book(*slow, parallel=1), {}, Looks()).outcome is Outcome.PASS
    assert time.monotonic() - began >= 0.6
    assert run(book(*slow, parallel=1, deadline_s=0.2), {}, Looks()).outcome is Outcome.ERROR
    assert run(book(*slow, parallel=1, deadline_s=0.2), {}, Looks(), deadline_s=5, parallel=2).outcome is Outcome.PASS


def test_a_thousand_checks_take_no_more_threads_than_run_at_once():
    most = [0]

    def count(_what):
        most[0] = max(most[0], sum(thread.name.startswith("look-c") for thread in threading.enumerate()))

    checks = [Check(f"c{i}", "command", {"command": ["true"]}) for i in range(1000)]
    report = run(book(*checks), {}, Looks(), parallel=20, on_start=count, on_result=count)
    assert report.outcome is Outcome.PASS, [r.detail for r in report.results if r.outcome is not Outcome.PASS][:3]
    # A thread that has put its result down may still be ending.
    assert most[0] <= 2 * 20


def test_a_long_chain_of_needs_is_settled_at_once_when_its_first_fails():
    chain = [shell("c0", "exit 1"), *[shell(f"c{i}", "true", needs=(f"c{i - 1}",)) for i in range(1, 1500)]]
    began = time.monotonic()
    report = run(book(*reversed(chain)), {}, Looks())
    assert time.monotonic() - began < 5
    assert [r.outcome for r in report.results].count(Outcome.INCONCLUSIVE) == 1499


def test_ending_what_is_late_never_ends_what_another_check_has_just_started():
    late = [shell(f"late{i}", "setsid -f sleep 60; sleep 60", timeout=0.1 + i / 20) for i in range(10)]
    quick = [Check(f"c{i}", "command", {"command": ["true"]}) for i in range(400)]
    report = run(book(*late, *quick), {}, Looks(), parallel=20)
    assert {r.outcome for r in report.results[:10]} == {Outcome.ERROR}
    assert [r.detail for r in report.results[10:] if r.outcome is not Outcome.PASS] == []


def test_a_need_that_is_no_check_is_an_error(written):
    report = run(book(shell("a", "true", needs=("ghost",)), shell("b", "true", needs=("a",))), {}, Looks())
    assert [r.outcome for r in report.results] == [Outcome.ERROR, Outcome.INCONCLUSIVE]
    assert "needs 'ghost', which is no check" in report.results[0].detail


def test_the_environment_of_a_runbook_reaches_its_commands_with_secrets_masked(written):
    path = written(
        """
        parameters: {base: "http://x.example"}
        env: {BASE: "{{base}}/v1", TOKEN: env:THE_TOKEN, OTHER: here}
        checks:
          - {name: both, command: 'echo "$BASE $TOKEN $OTHER"; exit 1', env: {OTHER: there}}
        """
    )
    environ = {"PATH": "/usr/bin:/bin", "THE_TOKEN": "s3cret-value"}
    (found,) = run(load(path), {}, Looks(), environ=environ).results
    assert found.detail == "exit 1. http://x.example/v1 ••• there"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"env": "prd"}, "env must be one of its choices (dev, stage, prod), not 'prd'; did you mean 'prod'?"),
        ({"env": "prod", "servce": "x"}, "no parameter 'servce'; did you mean 'service'?"),
    ],
)
def test_a_parameter_with_choices_takes_nothing_else(written, given, said):
    path = written(
        """
        parameters:
          env: {description: Where, choices: [dev, stage, prod], default: dev}
          service: docs
        checks: [{name: a, command: "true"}]
        """
    )
    assert run(load(path), {}, Looks()).outcome is Outcome.PASS
    report = run(load(path), given, Looks())
    assert report.outcome is Outcome.ERROR
    assert said in report.detail


@st.composite
def plans(draw):
    """Checks that pass or fail, each needing some that stand before it in a drawn order, as it may be in a file."""
    count = draw(st.integers(1, 8))
    rows = []
    for i in range(count):
        needs = draw(st.lists(st.integers(0, i - 1), unique=True, max_size=3)) if i else []
        severity = draw(st.sampled_from(Severity))
        rows.append(
            Check(
                f"c{i}",
                "command",
                {"command": [draw(st.sampled_from(["true", "false", "/no/such/program"]))]},
                needs=tuple(f"c{n}" for n in needs),
                severity=severity,
                mutex=tuple(draw(st.lists(st.sampled_from("xyz"), unique=True, max_size=2))),
            )
        )
    return draw(st.permutations(rows)), draw(st.integers(1, 8))


@settings(deadline=None, max_examples=40)
@given(plans())
def test_whatever_the_order_each_check_is_what_its_look_and_its_needs_make_it(plan):
    checks, parallel = plan
    by_name = {check.name: check for check in checks}
    looks = {"true": Outcome.PASS, "false": Outcome.FAIL, "/no/such/program": Outcome.ERROR}

    def wanted(check):
        if any(wanted(by_name[need]) is not Outcome.PASS for need in check.needs):
            return Outcome.INCONCLUSIVE
        return looks[check.spec["command"][0]]

    report = run(book(*checks), {}, Looks(), parallel=parallel)
    assert [(r.name, r.outcome) for r in report.results] == [(check.name, wanted(check)) for check in checks]
    blocking = [wanted(check) for check in checks if check.severity is Severity.BLOCKING]
    assert (report.outcome is Outcome.PASS) == (bool(blocking) and set(blocking) == {Outcome.PASS})
