"""``uses:``: the checks of another runbook, with its parameters given; circles, unknown names and too much are refused."""

from __future__ import annotations

import pytest

from bot.errors import ConfigError
from runbooks import Looks, Outcome, Severity, load, load_folder, run
from runbooks.read import MAX_USES_DEPTH
from runbooks.rows import MAX_CHECKS


def wrong(path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


@pytest.fixture
def health(written):
    return written(
        """
        parameters: {host: , path: /healthz, word: hello}
        tags: [health]
        env: {WORD: "{{word}}", OWN: inner}
        checks:
          - {name: says, command: 'test "{{host}}{{path}}" = docs/healthz && echo "$WORD $OWN ${OUTER:-}"', hint: "Look at {{host}}."}
          - {name: then, command: "true", needs: says, severity: warning, tags: late}
        """,
        "health.yml",
    )


def test_the_checks_of_another_runbook_run_with_what_they_are_given(written, health):
    path = written(
        """
        parameters: {service: docs}
        env: {OUTER: outer, OWN: no, WORD: no}
        tags: [all]
        checks:
          - {name: first, command: "true"}
          - {uses: health, with: {host: "{{service}}", word: "{{ service }} word"}, needs: first, tags: extra}
          - {name: last, command: "true", needs: health}
        """
    )
    runbook = load(path)
    assert [check.name for check in runbook.checks] == ["first", "health / says", "health / then", "last"]
    says, then = runbook.checks[1:3]
    assert says.needs == ("first",)
    assert then.needs == ("first", "health / says")
    assert runbook.checks[3].needs == ("health / says", "health / then")
    assert (says.tags, then.tags) == (("all", "extra", "health"), ("all", "extra", "health", "late"))
    assert then.severity is Severity.WARNING
    report = run(runbook, {}, Looks())
    assert report.outcome is Outcome.PASS, report.results
    assert report.results[1].detail == "docs word inner outer"
    assert report.results[1].hint == "Look at docs."
    failed = run(runbook, {"service": "other"}, Looks())
    assert failed.outcome is Outcome.FAIL
    assert failed.results[1].hint == "Look at other."
    assert failed.results[3].outcome is Outcome.INCONCLUSIVE


def test_one_runbook_may_be_used_twice_under_two_names(written, health):
    path = written(
        """
        checks:
          - {name: docs, uses: health, with: {host: docs}}
          - {name: gate, uses: health, with: {host: gateway}, severity: warning}
        """
    )
    report = run(load(path), {}, Looks())
    assert [r.name for r in report.results] == ["docs / says", "docs / then", "gate / says", "gate / then"]
    assert report.results[2].outcome is Outcome.FAIL
    assert report.outcome is Outcome.PASS


def test_a_shipped_runbook_is_used_unless_the_folder_has_one_of_the_name(written):
    path = written("checks: [{uses: self, with: {base: http://127.0.0.1:1}}]")
    assert "self / alive" in [check.name for check in load(path).checks]
    written("checks: [{name: mine, command: x}]", "self.yaml")
    assert wrong(path) == ["1: the runbook 'self' has no parameter 'base'"]
    written("checks: [{uses: self}]")
    assert [check.name for check in load(path).checks] == ["self / mine"]


def test_uses_of_uses_run_in_the_scope_of_each(written):
    written('parameters: {c: }\nchecks: [{name: it, command: \'test "{{c}}" = "<[x]>"\'}]', "c.yml")
    written("parameters: {b: }\nchecks: [{uses: c, with: {c: '<{{b}}>'}}]", "b.yml")
    path = written("parameters: {a: x}\nchecks: [{uses: b, with: {b: '[{{a}}]'}}]", "a.yml")
    report = run(load(path), {}, Looks())
    assert [(r.name, r.outcome) for r in report.results] == [("b / c / it", Outcome.PASS)]
    assert run(load(path), {"a": "y"}, Looks()).outcome is Outcome.FAIL
    assert run(load(path), {}, Looks(), only=["b / c"]).outcome is Outcome.PASS


def test_what_a_parameter_is_given_is_never_filled_in_again(written):
    written('parameters: {c: }\nchecks: [{name: it, command: \'test "$(printf %s {{c}})" = "{{"c"}}"\'}]', "c.yml")
    written("parameters: {c: }\nchecks: [{name: it, command: [echo, '{{c}}']}]", "c.yml")
    path = written("parameters: {a: x}\nchecks: [{uses: c, with: {c: '{{a}}'}}]", "a.yml")
    assert run(load(path), {"a": "{{a}}${a}"}, Looks()).results[0].detail == "{{a}}${a}"


MISTAKES = {
    "checks:\n- uses: helth": "2: there is no runbook 'helth' to use; did you mean 'health'?",
    "checks:\n- uses: health": "2: the runbook 'health' needs the parameter host; give it under with:",
    "checks:\n- uses: health\n  with:\n    host: x\n    pth: y": "5: the runbook 'health' has no parameter 'pth'; did you mean 'path'?",
    "parameters: {service: x}\nchecks:\n- uses: health\n  with: {host: '{{servce}}'}": "4: 'servce' is not a declared parameter; did you mean 'service'?",
    "checks:\n- uses: health\n  with: {host: [x]}": "3: host must be one value, not ['x']",
    "checks:\n- uses: health\n  with: host": "3: with must be a mapping from the other runbook's parameters to values",
    "checks:\n- uses: health\n  wth: {host: x}": "3: an entry with uses: has no field 'wth'; did you mean 'with'?",
    "checks:\n- uses: 5": "2: a check's name must be text, not 5; write it in quotes",
    "checks:\n- name: a\n  uses: [x]": "3: uses must be the name of a runbook, not ['x']",
    "checks:\n- name: health / says\n  command: x\n- uses: health\n  with: {host: x}": "4: the name 'health / says' is taken by the check on line 2",
    "checks:\n- uses: broken": "2: 'broken' cannot be used: {folder}/broken.yml:1: there is no kind 'nope'; valid: ",
    "checks:\n- uses: choosy\n  with: {env: prd}": "3: env must be one of its choices (dev, prod), not 'prd'; did you mean 'prod'?",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_every_mistake_of_a_use_has_its_line(written, health, text):
    written("checks: [{name: a, kind: nope}]", "broken.yml")
    written("parameters: {env: {choices: [dev, prod]}}\nchecks: [{name: a, command: x}]", "choosy.yml")
    path = written(text + "\n", "it.yml")
    assert any(told.startswith(MISTAKES[text].format(folder=path.parent)) for told in wrong(path)), wrong(path)


def test_a_circle_over_files_is_said_with_file_and_line(written):
    a = written("checks:\n- {name: x, command: x}\n- uses: b", "a.yml")
    b = written("checks:\n- uses: c", "b.yml")
    c = written("# third\n\nchecks:\n- uses: a", "c.yml")
    with pytest.raises(ConfigError) as caught:
        load(a)
    assert f"runbooks use each other in a circle: {a}:3, {b}:2, {c}:4 and {a} again" in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        load_folder(a.parent)
    assert "in a circle" in str(caught.value)
    itself = written("checks:\n- uses: d", "d.yml")
    assert f"in a circle: {itself}:2 and {itself} again" in wrong(itself)[0]


def test_a_use_may_not_be_deeper_than_so_many_runbooks(written):
    written("checks: [{name: a, command: x}]", "r0.yml")
    for i in range(1, 80):
        written(f"checks: [{{uses: r{i - 1}}}]", f"r{i}.yml")
    folder = written("checks: [{name: a, command: x}]", "x.yml").parent
    assert len(load(folder / f"r{MAX_USES_DEPTH - 1}.yml").checks) == 1
    deep = "more than 5 runbooks deep"
    assert deep in wrong(folder / f"r{MAX_USES_DEPTH}.yml")[0]
    assert "cannot be used" in wrong(folder / "r79.yml")[0]


def test_uses_cannot_multiply_without_end(written):
    written("checks: [" + ",".join(f"{{name: c{i}, command: x}}" for i in range(100)) + "]", "r0.yml")
    for n in (1, 2):
        rows = ",".join(f"{{name: u{i}, uses: r{n - 1}}}" for i in range(30))
        path = written(f"checks: [{rows}]", f"r{n}.yml")
    (folder, n) = (path.parent, 3000)
    assert wrong(folder / "r1.yml") == [f"1: {n} checks are too many; a runbook has at most {MAX_CHECKS}"]
    assert "cannot be used" in wrong(path)[0]


def test_a_circle_of_needs_through_a_used_runbook_is_found(written, health):
    path = written(
        "checks:\n- {name: a, command: x, needs: health}\n- {uses: health, with: {host: x}, needs: a}\n", "it.yml"
    )
    assert wrong(path) == ["2: checks need each other in a circle: a → health → a"]
    path = written(
        "checks:\n- {name: a, command: x, needs: health / says}\n- {uses: health, with: {host: x}, needs: a}\n",
        "it.yml",
    )
    assert wrong(path) == ["2: checks need each other in a circle: a → health → a"]
