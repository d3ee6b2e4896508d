"""Each format, read back by a parser of its own: nothing is lost, nothing gets out of its place, no outcome passes for another."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import xmlschema
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from runbooks import Outcome, Result, Severity, fold
from runbooks.formats import RENDER, Format, github, plain
from runbooks.formats.told import Told, Whole, cleaned, mistakes, one_line, told, unreadable
from runbooks.read import Runbook
from runbooks.verdict import Report

DATA = Path(__file__).resolve().parent.parent / "data" / "junit"
SCHEMAS = [xmlschema.XMLSchema(str(DATA / name)) for name in ("windyroad.xsd", "jenkins-10.xsd")]

LATER = "TO" + "DO"  # TAP's word for a point that decides nothing; tests/test_shape.py looks for it

# Everything that anybody ever got wrong: what formats give a meaning to, what terminals obey, what XML cannot hold.
NASTY = [
    "", " ", "a\nb", "%0A", "::error::x", "##[error]x", "::stop-commands::x", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x00", "\x08",
    "\ud800", "\ufffe", "]]>", "<&>\"'", "&amp;", "a,b:c=d", f"# {LATER} x", "# SKIP", "ok 1 - x", "not ok", "...", "---", "  ...",
    "Bail out!", "\\", "\\#", "\\n", '"', "|", "`x`", "<script>", "@someone", "\u2028", "\r\n", "\u202eevil", "naïve ☃ 😀", "- a: b", "{}", "NaN",
    "+Inf", "null", "yes", "12", "!!python/object:os.system",
]  # fmt: skip
texts = st.lists(st.sampled_from(NASTY) | st.text(max_size=8), max_size=4).map("".join)
names = st.text(max_size=12).map(lambda text: f"n{cleaned(text)}") | st.sampled_from(NASTY).map(lambda text: f"n{text}")
results = st.builds(
    Result,
    name=names,
    kind=st.sampled_from(["command", "http", "promql"]),
    outcome=st.sampled_from(Outcome),
    value=texts,
    threshold=texts,
    unit=texts,
    samples=st.none() | st.integers(0, 10**9),
    took_s=st.floats(0, 1e5),
    attempt=st.integers(0, 21),
    detail=texts,
    hint=texts,
    severity=st.sampled_from(Severity),
    asked=texts,
    at=st.floats(0, 4e9),
    tags=st.lists(texts, max_size=3).map(tuple),
)


@st.composite
def runs(draw: Any, number: int = 0) -> Told:
    found = draw(st.lists(results, max_size=4, unique_by=lambda one: one_line(cleaned(one.name))))
    book = Runbook(f"book{number}", draw(texts), (), {})
    report = Report(book.name, found, draw(st.floats(0, 1e5)), "" if found else draw(texts))
    path = draw(st.sampled_from(["", "runbooks/b.yml", "a b/c,d:e%.yml"]))
    return told(book, report, {"p": draw(texts)}, path=path, began=draw(st.floats(0, 4e9)), mask=lambda text: text)


wholes = st.builds(
    Whole,
    runs=st.tuples(runs(0), runs(1)) | st.tuples(runs(0)),
    began=st.floats(0, 4e9),
    took_s=st.floats(0, 1e5),
    cancelled=st.booleans(),
)
FEW = settings(max_examples=40)
CHECKED = ("value", "threshold", "unit", "samples", "attempt", "asked", "detail", "hint")


def same(facts: dict[str, Any], result: Result) -> None:
    """What every format must carry."""
    assert facts["outcome"] == result.outcome.value
    assert facts["severity"] == result.severity.value
    assert {name: facts[name] for name in CHECKED} == {name: getattr(result, name) for name in CHECKED}
    assert tuple(facts["tags"]) == result.tags
    assert facts["took_s"] == pytest.approx(result.took_s, abs=0.001)


def controls(text: str) -> list[str]:
    return re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", text)


@settings(FEW)
@given(wholes, st.sampled_from(Format))
def test_no_format_holds_what_a_terminal_would_obey(whole: Whole, form: Format):
    assert controls(RENDER[form](whole)) == []
    assert controls(github.summary(whole)) == []


@settings(FEW)
@given(wholes)
def test_json_gives_back_what_was_put_in(whole: Whole):
    read = json.loads(RENDER[Format.JSON](whole))
    assert (read["schema_version"], read["outcome"], read["exit_code"]) == (1, whole.outcome.value, whole.code)
    for run, row in zip(whole.runs, read["runbooks"], strict=True):
        assert (row["name"], row["title"], row["parameters"]) == (run.runbook, run.title, run.parameters)
        for result, facts in zip(run.results, row["checks"], strict=True):
            assert facts["name"] == result.name
            same(facts, result)


@settings(FEW)
@given(wholes)
def test_junit_gives_back_what_was_put_in_and_is_what_readers_take(whole: Whole):
    text = RENDER[Format.JUNIT](whole)
    for schema in SCHEMAS:
        schema.validate(text)
    for run, suite in zip(whole.runs, ET.fromstring(text), strict=True):
        cases = suite.findall("testcase")
        if not run.results:
            assert [case.find("error") is not None for case in cases] == [True]
            continue
        printed = yaml.safe_load(suite.findtext("system-out"))
        for result, case, facts in zip(run.results, cases, printed, strict=True):
            assert case.get("name") == one_line(result.name)
            assert facts["check"] == result.name
            same(facts, result)
            wrong = {Outcome.PASS: [], Outcome.FAIL: ["failure"]}.get(result.outcome, ["error"])
            assert [part.tag for part in case] == wrong
            for part in case:
                assert part.get("type") == result.outcome.value
                same(yaml.safe_load(part.text), result)
        outcomes = [result.outcome for result in run.results]
        assert suite.get("failures") == str(outcomes.count(Outcome.FAIL))
        assert suite.get("errors") == str(sum(one not in (Outcome.PASS, Outcome.FAIL) for one in outcomes))
        assert suite.get("skipped") == "0"


def read_tap(text: str) -> tuple[list[tuple[bool, str, bool, Any]], bool]:
    """What a reader of TAP 14 makes of a text: (ok, description, decides nothing, YAML) of each point, and whether it bailed out."""
    lines = text.splitlines()
    assert lines[0] == "TAP version 14"
    plan = re.fullmatch(r"1\.\.(\d+)", lines[1])
    assert plan
    points: list[tuple[bool, str, bool, Any]] = []
    bailed, at = False, 2
    while at < len(lines):
        if lines[at].startswith("Bail out!"):
            bailed, at = True, at + 1
            continue
        point = re.fullmatch(r"(not )?ok (\d+) - (.*)", lines[at])
        assert point, lines[at]
        assert int(point[2]) == len(points) + 1
        rest = re.fullmatch(r"((?:\\.|[^\\#])*?)(?: # (" + LATER + r"|SKIP)\b.*)?", point[3])
        assert rest, point[3]
        assert rest[2] != "SKIP"
        assert lines[at + 1] == "  ---"
        end = lines.index("  ...", at)
        block = "\n".join(line[2:] for line in lines[at + 2 : end])
        description = re.sub(r"\\(.)", r"\1", rest[1])
        points.append((point[1] is None, description, rest[2] == LATER, yaml.safe_load(block)))
        at = end + 1
    assert len(points) == int(plan[1])
    return points, bailed


@settings(FEW)
@given(wholes)
def test_tap_gives_back_what_was_put_in(whole: Whole):
    points, bailed = read_tap(RENDER[Format.TAP](whole))
    assert bailed == whole.cancelled
    wanted = [(run, result) for run in whole.runs for result in run.results or [None]]
    for (good, description, nothing, facts), (run, result) in zip(points, wanted, strict=True):
        if result is None:
            assert (good, nothing) == (False, False)
            continue
        assert description == one_line(f"{run.runbook}: {result.name}")
        assert good == (result.outcome is Outcome.PASS)
        assert nothing == (not good and result.severity is Severity.WARNING)
        same(facts, result)


@settings(FEW)
@given(wholes)
def test_prometheus_gives_back_what_was_put_in(whole: Whole):
    text = RENDER[Format.PROMETHEUS](whole)
    assert not re.search(r"^[^#\n].*\} \S+ \S+$", text, re.MULTILINE), "a textfile may not have timestamps of its own"
    found = {
        (sample.name.removeprefix("captain_runbook_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    def at(name: str, **labels: str) -> float | None:
        return found.get((name, frozenset(labels.items())))

    for run in whole.runs:
        assert [one.value for one in Outcome if at("outcome", runbook=run.runbook, outcome=one.value)] == [
            run.outcome.value
        ]
        assert at("timestamp_seconds", runbook=run.runbook) == pytest.approx(run.began + run.took_s)
        for result in run.results:
            name = {"runbook": run.runbook, "check": result.name}
            assert at("check_outcome", **name, outcome=result.outcome.value) == 1
            assert sum(at("check_outcome", **name, outcome=one.value) for one in Outcome) == 1
            assert at("check_duration_seconds", **name) == pytest.approx(result.took_s)
            assert at("check_attempts", **name) == result.attempt
            assert at("check_samples", **name) == result.samples
            value = at("check_value", **name)
            texts = {key: getattr(result, key) for key in ("kind", "asked", "threshold", "unit", "hint")}
            texts |= {"severity": result.severity.value, "tags": ",".join(result.tags)}
            info = at("check_info", **name, **texts, value="" if value is not None else result.value)
            assert info == 1
            if value is not None:
                assert value == pytest.approx(float(result.value)) or math.isnan(value)


def read_github(text: str) -> tuple[list[tuple[str, dict[str, str], str]], list[str]]:
    """What the runner of GitHub Actions makes of a log: (command, properties, message) of each, and the other lines."""
    commands, others = [], []
    stopped = ""

    def plain_text(escaped: str) -> str:
        return (
            escaped.replace("%0D", "\r")
            .replace("%0A", "\n")
            .replace("%3A", ":")
            .replace("%2C", ",")
            .replace("%25", "%")
        )

    for line in text.splitlines():
        if stopped:
            if line.strip() == f"::{stopped}::":
                stopped = ""
            else:
                others.append(line)
            continue
        command = re.fullmatch(r"::([\w-]+)(?: ((?:[^:]|:(?!:))*))?::(.*)", line.lstrip())
        if command is None:
            assert "##[" not in line
            others.append(line)
        elif command[1] == "stop-commands":
            stopped = command[3]
        else:
            pairs = dict(pair.split("=", 1) for pair in (command[2] or "").split(",") if pair)
            commands.append(
                (command[1], {key: plain_text(value) for key, value in pairs.items()}, plain_text(command[3]))
            )
    assert not stopped
    return commands, others


@settings(FEW)
@given(wholes)
def test_github_annotates_each_check_that_does_not_pass_and_obeys_nothing_a_check_said(whole: Whole):
    commands, others = read_github(RENDER[Format.GITHUB](whole))
    assert {name for name, _, _ in commands} <= {"group", "endgroup", "error", "warning"}
    annotated = [one for one in commands if one[0] in ("error", "warning")]
    wrong = [
        (run, one)
        for run in whole.runs
        for one in run.results or [None]
        if one is None or one.outcome is not Outcome.PASS
    ]
    for (run, result), (level, more, message) in zip(wrong, annotated, strict=True):
        if result is None:
            assert (level, more["title"]) == ("error", f"{run.runbook}: ERROR")
            continue
        assert level == ("error" if result.severity is Severity.BLOCKING else "warning")
        assert more["title"] == f"{result.outcome.value}: {run.runbook}: {one_line(result.name)}"
        assert more.get("file", "") == run.path
        assert one_line(result.detail) in one_line(message)
        assert not result.hint or result.hint in message
        assert not result.asked or result.asked in message
    for run in whole.runs:
        for result in run.results:
            assert any(f"{result.outcome.value}" in line and one_line(result.name) in line for line in others)


@settings(FEW)
@given(wholes)
def test_the_summary_is_a_table_whatever_stands_in_it(whole: Whole):
    rows = [line for line in github.summary(whole).splitlines() if line.startswith("|")]
    assert len(rows) == sum(len(run.results) + 2 for run in whole.runs if run.results)
    for row in rows:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 9, row
        assert "<script" not in row


def test_a_summary_that_github_would_drop_is_cut():
    many = [result(name=f"check {n}", detail="x" * 5000) for n in range(1000)]
    text = github.summary(Whole([run_of(*many)]))
    assert len(text.encode()) < 1024 * 1024
    assert text.endswith("The rest is too long for a summary; the log has it.\n")


@settings(FEW)
@given(wholes)
def test_the_table_has_a_line_for_each_check(whole: Whole):
    lines = plain.render(whole, verbose=True).splitlines()
    for run in whole.runs:
        for result in run.results:
            assert any(
                line.startswith(f"  {result.outcome.value} ") and one_line(result.name) in line for line in lines
            )
            for text in (result.value, result.threshold, result.detail, result.hint, result.asked):
                assert any(one_line(text) in one_line(line) for line in lines)


@settings(FEW)
@given(texts)
def test_cleaning_is_done_once_and_leaves_what_is_readable(text: str):
    once = cleaned(text)
    assert cleaned(once) == once
    assert controls(once) == []


@settings(FEW)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("ïäéß☃😀字\n\t")))
def test_cleaning_changes_nothing_that_people_write(text: str):
    assert cleaned(text) == text


def test_colours_and_titles_go_as_a_whole():
    assert cleaned("\x1b[1;31mred\x1b[0m \x1b]0;title\x07and\r\nplain\rend") == "red and\nplain\nend"


# ---- exit codes ---------------------------------------------------------------------------------------------------------------


def result(outcome: Outcome = Outcome.FAIL, severity: Severity = Severity.BLOCKING, **more: Any) -> Result:
    known = {"name": "it", "kind": "http", "value": "", "threshold": "", "unit": "", "samples": None, "took_s": 0.0}
    known |= {"attempt": 1, "detail": "", "hint": ""}
    return Result(outcome=outcome, severity=severity, **(known | more))


def run_of(*found: Result) -> Told:
    return Told("book", fold(found), results=found)


B, W = Severity.BLOCKING, Severity.WARNING
CODES = [
    ([[(Outcome.PASS, B)]], 0),
    ([[(Outcome.PASS, B), (Outcome.FAIL, W)]], 0),
    ([[(Outcome.PASS, B), (Outcome.ERROR, W)]], 0),
    ([[(Outcome.FAIL, B)]], 1),
    ([[(Outcome.FAIL, B), (Outcome.ERROR, B)]], 1),
    ([[(Outcome.PASS, B)], [(Outcome.FAIL, B)]], 1),
    ([[(Outcome.ERROR, B)], [(Outcome.FAIL, B)]], 1),
    ([[(Outcome.ERROR, B)]], 2),
    ([[(Outcome.NO_DATA, B)]], 2),
    ([[(Outcome.INCONCLUSIVE, B)]], 2),
    ([[(Outcome.PASS, B)], [(Outcome.NO_DATA, B)]], 2),
    ([[(Outcome.PASS, W)]], 2),
    ([[]], 2),
    ([[(Outcome.PASS, B)], []], 2),
    ([], 2),
]


@pytest.mark.parametrize(("found", "code"), CODES)
def test_the_exit_code_is_the_worst_that_was_seen(found, code):
    made = Whole([run_of(*(result(*one) for one in row)) for row in found])
    assert made.code == code
    assert json.loads(RENDER[Format.JSON](made))["exit_code"] == code


def test_what_was_cancelled_is_never_a_pass():
    assert Whole([run_of(result(Outcome.PASS))], cancelled=True).code == 2
    assert Whole([run_of(result(Outcome.FAIL))], cancelled=True).code == 1


def test_mistakes_keep_their_lines():
    why = "a/b.yml:3: there is no kind 'htpp'; did you mean 'http'?\na/b.yml: cannot be read: no\n"
    assert [(one.path, one.line) for one in mistakes(why)] == [("a/b.yml", 3), ("", 0)]
    commands, _ = read_github(RENDER[Format.GITHUB](Whole([unreadable("b", why, path="a/b.yml", began=0.0)])))
    errors = [one for one in commands if one[0] == "error"]
    assert errors[0][1]["file"] == "a/b.yml"
    assert errors[0][1]["line"] == "3"
    assert errors[0][2] == "there is no kind 'htpp'; did you mean 'http'?"
    assert "cannot be read" in errors[1][2]
