"""The runner: order, parallelism, retries, deadlines, cancelling, and the verdict that follows from the results."""

from __future__ import annotations

import sqlite3
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks import Check, Looks, Outcome, Report, Result, Runbook, Severity, fold, load, run

WORSE = [Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE, Outcome.NO_DATA, Outcome.PASS]


def book(*checks, parameters=None):
    return Runbook("book", "Book", checks, parameters or {})


def shell(name, line, **more):
    return Check(name, "command", {"command": line}, **more)


def result(outcome, severity=Severity.BLOCKING):
    return Result("x", "http", outcome, "", "", "", None, 0.0, 1, "", "", severity)


results = st.lists(st.builds(result, st.sampled_from(Outcome), st.sampled_from(Severity)))


@given(results)
def test_the_verdict_is_the_worst_of_the_blocking_checks(found):
    blocking = [r.outcome for r in found if r.severity is Severity.BLOCKING]
    verdict = fold(found)
    assert verdict == Report("b", found, 0.0).outcome
    if not blocking:
        assert verdict is Outcome.ERROR
    else:
        assert verdict in blocking
        assert all(WORSE.index(verdict) <= WORSE.index(outcome) for outcome in blocking)


@given(results, results)
def test_the_verdict_passes_only_when_all_pass_and_order_does_not_matter(some, more):
    both = fold([*some, *more])
    assert both == fold([*more, *some])
    blocking = [r.outcome for r in [*some, *more] if r.severity is Severity.BLOCKING]
    assert (both is Outcome.PASS) == (bool(blocking) and set(blocking) == {Outcome.PASS})


@given(results, st.sampled_from(Outcome))
def test_a_warning_never_changes_the_verdict(found, outcome):
    assert fold([*found, result(outcome, Severity.WARNING)]) == fold(found)


@given(results, st.sampled_from([o for o in Outcome if o is not Outcome.PASS]))
def test_nothing_that_is_no_pass_can_help(found, outcome):
    before, after = fold(found), fold([*found, result(outcome)])
    if any(r.severity is Severity.BLOCKING for r in found):
        assert WORSE.index(after) <= WORSE.index(before)
    assert after is not Outcome.PASS


def test_there_are_five_verdicts_and_no_sixth():
    assert [o.value for o in Outcome] == ["PASS", "FAIL", "INCONCLUSIVE", "NO_DATA", "ERROR"]


def test_no_checks_are_an_error():
    assert run(book(), {}, Looks()).outcome is Outcome.ERROR


def test_checks_run_side_by_side_but_only_so_many(tmp_path):
    """Each of two checks waits for a sign of the other; with one at a time neither can pass."""

    def pair(folder):
        folder.mkdir()
        wait = "touch {0}/{1}; n=0; while test ! -e {0}/{2} && test $n -lt 20; do sleep 0.02; n=$((n+1)); done; test -e {0}/{2}"
        return book(shell("a", wait.format(folder, "a", "b")), shell("b", wait.format(folder, "b", "a")))

    assert run(pair(tmp_path / "two"), {}, Looks(), parallel=2).outcome is Outcome.PASS
    alone = run(pair(tmp_path / "one"), {}, Looks(), parallel=1)
    assert [r.outcome for r in alone.results] == [Outcome.FAIL, Outcome.PASS]


def test_never_more_at_once_than_allowed(tmp_path):
    line = (
        f"mkdir {tmp_path}/$$.on; ls -d {tmp_path}/*.on | wc -l >> {tmp_path}/seen; sleep 0.1; rmdir {tmp_path}/$$.on"
    )
    report = run(book(*[shell(f"c{i}", line) for i in range(7)]), {}, Looks(), parallel=3)
    assert report.outcome is Outcome.PASS
    assert 1 <= max(map(int, (tmp_path / "seen").read_text().split())) <= 3


def test_needs_are_looked_at_first_whatever_the_order_of_the_file(tmp_path):
    log = tmp_path / "log"
    checks = [
        shell("third", f"echo third >> {log}", needs=("second",)),
        shell("second", f"echo second >> {log}", needs=("first",)),
        shell("first", f"sleep 0.1; echo first >> {log}"),
    ]
    ended = []
    report = run(book(*checks), {}, Looks(), on_result=lambda r: ended.append(r.name))
    assert report.outcome is Outcome.PASS
    assert log.read_text().split() == ended == ["first", "second", "third"]
    assert [r.name for r in report.results] == ["third", "second", "first"]


def test_what_needs_a_check_that_does_not_pass_is_not_looked_at(tmp_path):
    checks = [
        shell("first", "exit 1"),
        shell("second", f"touch {tmp_path}/ran", needs=("first",)),
        shell("third", f"touch {tmp_path}/ran", needs=("second",)),
    ]
    report = run(book(*checks), {}, Looks())
    assert [r.outcome for r in report.results] == [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE]
    assert "needs 'first', which is FAIL" in report.results[1].detail
    assert report.results[1].attempt == 0
    assert not (tmp_path / "ran").exists()
    assert report.outcome is Outcome.FAIL


def test_retries_until_it_passes(tmp_path):
    line = f"echo x >> {tmp_path}/tries; test $(wc -l < {tmp_path}/tries) -ge 3"
    began = time.monotonic()
    (found,) = run(book(shell("a", line, retries=5, retry_delay=0.1)), {}, Looks()).results
    assert (found.outcome, found.attempt) == (Outcome.PASS, 3)
    assert 0.2 <= time.monotonic() - began < 1.5
    assert found.took_s >= 0.2


def test_retries_end_and_the_last_look_counts(tmp_path):
    line = f"echo x >> {tmp_path}/tries; echo try $(wc -l < {tmp_path}/tries); exit 1"
    (found,) = run(book(shell("a", line, retries=2, retry_delay=0)), {}, Looks()).results
    assert (found.outcome, found.attempt) == (Outcome.FAIL, 3)
    assert "try 3" in found.detail


def test_the_runbooks_deadline_ends_what_runs_and_what_waits():
    checks = [shell("long", "sleep 30", timeout=20), shell("after", "true", needs=("long",)), shell("beside", "true")]
    began = time.monotonic()
    report = run(book(*checks), {}, Looks(), parallel=1, deadline_s=0.4)
    assert time.monotonic() - began < 2
    assert [r.outcome for r in report.results] == [Outcome.ERROR] * 3
    assert "did not end within 0.4 s" in report.results[0].detail or "0.39" in report.results[0].detail
    assert "time was up" in report.results[2].detail


def test_cancelling_ends_what_waits():
    stop = threading.Event()
    report = run(
        book(*[shell(f"c{i}", "true") for i in range(5)]), {}, Looks(), parallel=1, cancelled=stop,
        on_result=lambda r: stop.set(),
    )  # fmt: skip
    assert report.results[0].outcome is Outcome.PASS
    assert all("cancelled" in r.detail for r in report.results[1:])
    assert report.outcome is Outcome.ERROR


def test_results_carry_hint_and_severity():
    warning = shell("a", "exit 1", severity=Severity.WARNING, hint="see {{service}} and ${service}")
    report = run(book(warning, shell("b", "true"), parameters={"service": "docs"}), {"service": "other"}, Looks())
    assert report.results[0].hint == "see other and other"
    assert report.results[0].severity is Severity.WARNING
    assert report.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "needs the parameter must"),
        ({"must": "x", "servce": "y"}, "no parameter 'servce'; did you mean 'service'?"),
        ({"must": "a\0b"}, "NUL"),
    ],
)
def test_parameters_that_do_not_fit_are_an_error_with_a_sentence(given, said):
    report = run(book(shell("a", "true"), parameters={"service": "x", "must": None}), given, Looks())
    assert report.outcome is Outcome.ERROR
    assert said in report.detail
    assert report.results == ()


def test_a_parameter_that_makes_a_field_wrong_is_an_error(written):
    path = written(
        """
        parameters: {limit: 5, port: 80}
        checks:
          - {name: a, kind: promql, expr: up, threshold: "{{limit}}"}
          - {name: b, kind: tcp, host: 127.0.0.1, port: "{{port}}"}
        """
    )
    report = run(load(path), {"limit": "many", "port": "70000"}, Looks())
    assert [r.outcome for r in report.results] == [Outcome.ERROR] * 2
    assert "must be a number, not 'many'" in report.results[0].detail
    assert "65535" in report.results[1].detail


def test_an_answer_of_megabytes_does_not_become_a_result_of_megabytes(one, tmp_path):
    with sqlite3.connect(tmp_path / "x.db") as made:
        made.execute("CREATE TABLE t (a)")
    made.close()
    query = f"kind: sql\ndatabase: sqlite:///{tmp_path}/x.db\nquery: select hex(zeroblob(3000000))\nequals: x"
    result = one(query)
    assert result.outcome is Outcome.FAIL
    assert len(result.value) <= 501
    assert len(result.detail) <= 4001
