"""The loader: what it takes, and that it points at the line of every mistake with the nearest right name."""

from __future__ import annotations

import os
import time
from itertools import pairwise

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from bot.errors import ConfigError
from runbooks import KINDS, Looks, Outcome, Severity, load, load_folder, run, shipped
from runbooks.read import TOP, cycle
from runbooks.rows import COMMON, USES


def wrong(path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_the_shipped_runbooks_load():
    found = shipped()
    assert {"docs-api", "gateway", "self"} <= set(found)
    for runbook in found.values():
        assert runbook.owners
        assert all(check.hint for check in runbook.checks)


def test_all_of_a_runbook(written):
    runbook = load(
        written(
            """
            name: full
            title: All of it
            owners: [a, b]
            links: {Dashboard: https://x.example}
            parameters: {service: docs-api, limit: 0.5, must: , flag: true}
            checks:
              - name: first
                kind: http
                url: "http://{{service}}.example/${must}"
                hint: look at {{service}}
                severity: warning
                timeout: 2.5
                retries: 3
                retry_delay: 0.5
              - {name: second, command: "true", needs: first}
            """
        )
    )
    assert (runbook.name, runbook.title, runbook.owners) == ("full", "All of it", ("a", "b"))
    assert runbook.parameters == {"service": "docs-api", "limit": "0.5", "must": None, "flag": "true"}
    first, second = runbook.checks
    assert (first.timeout, first.retries, first.retry_delay, first.severity) == (2.5, 3, 0.5, Severity.WARNING)
    assert (second.kind, second.needs) == ("command", ("first",))


def test_all_that_a_runbook_may_say_of_its_checks_and_parameters(written):
    runbook = load(
        written(
            """
            tags: after-deploy
            deadline: 90
            parallel: 8
            defaults: {timeout: 3, retries: 2, retry_delay: 0.5, successes: 2, severity: warning, mutex: [db]}
            parameters:
              service: {description: Whose, required: true}
              environment: {description: Where, choices: [dev, prod], default: prod}
              short: 5
              none: {description: May be left out, required: false}
            env: {BASE: "https://{{service}}.example", TOKEN: env:THE_TOKEN}
            checks:
              - {name: one, command: "true", tags: [smoke, after-deploy]}
              - {name: two, command: "true", timeout: 9, retries: 0, successes: 1, severity: blocking, mutex: "own {{service}}"}
            """
        )
    )
    assert (runbook.tags, runbook.deadline_s, runbook.parallel) == (("after-deploy",), 90, 8)
    assert runbook.parameters == {"service": None, "environment": "prod", "short": "5", "none": ""}
    environment = runbook.declared["environment"]
    assert (environment.description, environment.choices, environment.required) == ("Where", ("dev", "prod"), False)
    assert runbook.declared["service"].required
    assert runbook.env == {"BASE": "https://{{service}}.example", "TOKEN": "env:THE_TOKEN"}
    one, two = runbook.checks
    assert (one.timeout, one.retries, one.retry_delay, one.successes) == (3, 2, 0.5, 2)
    assert (one.severity, one.mutex, one.tags) == (Severity.WARNING, ("db",), ("after-deploy", "smoke"))
    assert (two.timeout, two.retries, two.retry_delay, two.successes) == (9, 0, 0.5, 1)
    assert (two.severity, two.mutex, two.tags) == (Severity.BLOCKING, ("own {{service}}",), ("after-deploy",))


PLAN = """\
checks:
  - name: health-endpoints
    command: curl -sf $BASE/health
  - name: audit-stream
    command: test -n "$(curl -s $OBS/audit/last)"
"""


def test_the_plans_file_loads_from_any_path_and_says_what_to_set(tmp_path):
    path = tmp_path / "tools" / "runbook-checks" / "checks.yml"
    path.parent.mkdir(parents=True)
    path.write_text(PLAN)
    (path.parent / "no-runbook.yml").write_text("{{ chart }}: [")
    runbook = load(path)
    assert runbook.name == "checks"
    report = run(runbook, {}, Looks(), environ={"PATH": os.environ["PATH"]})
    assert report.outcome is Outcome.ERROR
    assert [r.detail for r in report.results] == [
        f"the environment has no {name}, which the command names; set it for the bot or under env:"
        for name in ("BASE", "OBS")
    ]


def test_the_name_is_the_files_without_another(written):
    assert load(written("checks: [{name: a, command: 'true'}]", "after-deploy.yml")).name == "after-deploy"


MISTAKES = {
    "checks: [{name: a, kind: htp, url: http://x}]": ["1: there is no kind 'htp'; did you mean 'http'?"],
    "chekcs: []": ["1: a runbook has no field 'chekcs'; did you mean 'checks'?", "1: a runbook needs at least one check under checks:"],
    "name: x\nchecks: []": ["2: a runbook needs at least one check under checks:"],
    "name: x": ["1: a runbook needs at least one check under checks:"],
    "checks:\n- name: a\n  command: x\n- name: b\n  command: x\n- name: a\n  command: x": ["6: the name 'a' is taken by the check on line 2"],
    "checks:\n- name: a\n  command: x\n  name: b": ["4: 'name' stands here twice; the first is on line 2"],
    "checks:\n- name: a\n  kind: http\n  url: http://x\n  statsu: 200": ["5: a check of kind http has no field 'statsu'; did you mean 'status'?"],
    "checks:\n- name: a\n  kind: http": ["2: a check of kind http needs the field 'url'"],
    "checks:\n- name: a\n  kind: http\n  url: ftp://x": ["4: url must start with http:// or https://, not 'ftp://x'"],
    "checks:\n- name: a\n  kind: http\n  url: http://x\n  status: 2000": ["5: status: must be a status or a list of them, not 2000"],
    "checks:\n- name: a\n  kind: http\n  url: http://x\n  method: DELETE": ["5: method: must be one of GET, HEAD, POST, OPTIONS, not 'DELETE'"],
    "checks:\n- name: a\n  kind: http\n  url: http://x\n  body: '('": ["5: body is not a regular expression: missing ), unterminated subpattern at position 0"],
    "checks:\n- name: a\n  kind: tcp\n  host: x\n  port: 70000": ["5: port must be a whole number from 1 to 65535, not 70000"],
    "checks:\n- name: a\n  kind: promql\n  expr: up\n  op: '=>'\n  threshold: lots": ["5: op: must be one of <, <=, >, >=, ==, !=, not '=>'", "6: threshold: must be a number, not 'lots'"],
    "checks:\n- name: a\n  kind: promql\n  expr: up\n  threshold: .inf": ["5: threshold: must be a number, not inf"],
    "checks:\n- name: a\n  kind: promql\n  expr: up\n  threshold: 1" + "0" * 400: [f"5: threshold: must be a number, not 1{'0' * 79}…"],
    "checks:\n- name: a\n  kind: promql\n  expr: up\n  threshold: 1\n  min_samples: .nan": ["6: min_samples: must be a number, not nan"],
    "checks:\n- name: a\n  kind: tcp\n  host: h\n  port: 1\n  max_latency_ms: .nan": ["6: max_latency_ms: must be a number, not nan"],
    "checks:\n- name: a\n  kind: kubernetes\n  resource: deploymnt\n  object: x\n  rollout: true": ["4: 'deploymnt' is not known by name (deployment, statefulset, daemonset, pod, service, configmap, node, namespace, replicaset, cronjob, ingress, job, peerauthentication, authorizationpolicy, destinationrule, virtualservice); give api_version: and its plural", "6: only deployment, statefulset, daemonset roll out, not deploymnt"],
    "checks:\n- name: a\n  kind: kubernetes\n  resource: pod\n  object: x": ["4: give exactly one of rollout, max_restarts, field, condition, image, image_pinned, image_signed, absent, not none"],
    "checks:\n- name: a\n  kind: command": ["2: a check of kind command needs the field 'command'"],
    "checks:\n- name: a\n  command: ''": ["3: command: must be a shell line or a list of words, not ''"],
    "checks:\n- name: a\n  command: x\n  timeout: 5s": ["4: timeout must be a number from 0.01 to 600, not '5s'"],
    "checks:\n- name: a\n  command: x\n  retries: -1": ["4: retries must be a number from 0 to 20, not -1"],
    "checks:\n- name: a\n  command: x\n  severity: warnin": ["4: severity must be blocking or warning, not 'warnin'; did you mean 'warning'?" ],
    "checks:\n- name: a\n  command: x\n  severity: warning": ["1: every check is a warning, so this runbook could never fail; make one blocking"],
    "checks:\n- name: first\n  command: x\n- name: b\n  command: x\n  needs: [frist]": ["6: there is no check 'frist' to need; did you mean 'first'?"],
    "checks:\n- name: a\n  command: x\n  needs: c\n- name: b\n  command: x\n  needs: a\n- name: c\n  command: x\n  needs: b": ["4: checks need each other in a circle: a → c → b → a"],
    "checks:\n- name: a\n  command: x\n  needs: a": ["4: checks need each other in a circle: a → a"],
    "parameters: {service: x}\nchecks:\n- name: a\n  kind: http\n  url: http://{{sevice}}/": ["5: 'sevice' is not a declared parameter; did you mean 'service'?"],
    "checks:\n- name: a\n  kind: http\n  url: http://${host}/": ["4: 'host' is not a declared parameter"],
    "parameters: {service: x}\nchecks:\n- name: a\n  command: x\n  hint: see {{servce}}": ["5: 'servce' is not a declared parameter; did you mean 'service'?"],
    "parameters: {service: x}\nchecks:\n- name: a\n  command: echo '{{service}}'": ["4: command: the parameter service stands within single quotes, where a shell fills in nothing; use double quotes"],
    "parameters: {w: 5 m}\nchecks:\n- name: a\n  kind: promql\n  expr: rate(up[{{w}}])\n  threshold: 1": ["5: expr: the parameter w may only hold letters, digits and _.:+- where it stands outside quotes"],
    "parameters: {a-b: x}\nchecks: [{name: a, command: x}]": ["1: a parameter's name is letters, digits and '_', not 'a-b'"],
    "parameters: {a: x, A: y}\nchecks: [{name: a, command: x}]": ["1: 'A' differs from another parameter only in its capitals", "1: 'a' differs from another parameter only in its capitals"],
    "parameters:\n  a: [1]\nchecks: [{name: a, command: x}]": ["2: the default of 'a' must be one value"],
    "checks:\n- name: a\n  kind: http\n  url: http://x\n  send_body: env:TOKEN\n  method: POST": ["5: send_body takes no secret; references (env:, file:, secret:) go into headers, env or database"],
    "checks:\n- name: a\n  command: [curl, 'env:TOKEN']": ["3: command takes no secret; references (env:, file:, secret:) go into headers, env or database"],
    "checks:\n- 5": ["2: a check is a mapping with name: and kind:, not 5"],
    "checks:\n- kind: tcp\n  host: x\n  port: 1": ["2: a check needs a name"],
    "checks:\n- name: a": ["2: the check 'a' needs a kind; valid: command, dns, http, kubernetes, promql, reachable, spiffe, sql, tcp, tls"],
    "- a": ["1: a runbook is a mapping with at least checks:"],
    "": ["1: a runbook is a mapping with at least checks:"],
    "name: ../x\nchecks: [{name: a, command: x}]": ["1: name must be letters, digits, '-', '_' or '.', not '../x'"],
    "owners: me\nchecks: [{name: a, command: x}]": ["1: owners must be a list of names"],
    "checks:\n- name: 5\n  command: x": ["2: a check's name must be text, not 5; write it in quotes"],
    'checks:\n- name: "a\\nb"\n  command: x': ["2: a check's name is one line of at most 100 printable signs, not 'a\\nb'"],
    "checks:\n- name: a\n  command: yes": ["3: command: must be a shell line or a list of words, not True; write it in quotes"],
    "checks:\n- name: a\n  command: x\n  retries: 1.5": ["4: retries must be a whole number from 0 to 20, not 1.5"],
    "checks:\n- name: a\n  command: x\n  successes: 0": ["4: successes must be a number from 1 to 20, not 0"],
    "checks:\n- name: a\n  command: x\n  timeout: .nan": ["4: timeout must be a number from 0.01 to 600, not nan"],
    "checks:\n- name: a\n  command: x\n  tags: [a b]": ["4: a tag is letters, digits and '_.:/-', not 'a b'"],
    "checks:\n- name: a\n  command: x\n  tags: {a: b}": ["4: tags must be a tag or a list of tags"],
    "checks:\n- name: a\n  command: x\n  mutex: 5": ["4: mutex must be a key or a list of keys"],
    "parameters: {service: x}\nchecks:\n- name: a\n  command: x\n  mutex: db {{servce}}": ["5: 'servce' is not a declared parameter; did you mean 'service'?"],
    "checks:\n- name: a\n  command: x\n  tag: b": ["4: a check of kind command has no field 'tag'; did you mean 'tags'?"],
    "defaults: 5\nchecks: [{name: a, command: x}]": ["1: defaults must be a mapping of severity, timeout, retries, retry_delay, successes, mutex"],
    "defaults:\n  timout: 5\nchecks: [{name: a, command: x}]": ["2: there is no default for 'timout'; did you mean 'timeout'?"],
    "defaults:\n  timeout: 5s\nchecks: [{name: a, command: x}]": ["2: timeout must be a number from 0.01 to 600, not '5s'"],
    "deadline: 2m\nchecks: [{name: a, command: x}]": ["1: deadline must be a number from 0.1 to 3600, not '2m'"],
    "parallel: 2.5\nchecks: [{name: a, command: x}]": ["1: parallel must be a whole number from 1 to 64, not 2.5"],
    "env: x\nchecks: [{name: a, command: x}]": ["1: env must be a mapping from names of variables to texts or references such as env:NAME"],
    "env: {A-B: x}\nchecks: [{name: a, command: x}]": ["1: a variable's name is letters, digits and '_', not 'A-B'"],
    "env: {A: '{{x}}'}\nchecks: [{name: a, command: x}]": ["1: 'x' is not a declared parameter"],
    "parameters:\n  a: {defualt: 5}\nchecks: [{name: a, command: x}]": ["2: a parameter has no field 'defualt'; did you mean 'default'?"],
    "parameters:\n  a: {default: 5, required: true}\nchecks: [{name: a, command: x}]": ["2: 'a' has a default, so it is not required; leave one of them out"],
    "parameters:\n  a: {required: maybe}\nchecks: [{name: a, command: x}]": ["2: required must be true or false, not 'maybe'"],
    "parameters:\n  a: {choices: prod}\nchecks: [{name: a, command: x}]": ["2: choices must be a list of values"],
    "parameters:\n  a:\n    default: prd\n    choices: [dev, prod]\nchecks: [{name: a, command: x}]": ["3: the default of a must be one of its choices (dev, prod), not 'prd'; did you mean 'prod'?"],
    "parameters:\n  a: {default: [5]}\nchecks: [{name: a, command: x}]": ["2: the default of 'a' must be one value"],
    "checks:\n- name: a\n\tcommand: x": ["3: not valid YAML: found character '\\t' that cannot start any token"],
    "? [a, b]\n: c\nchecks: [{name: a, command: x}]": ["1: a key must be one value, not a list or a mapping"],
    'checks:\n- name: a\n  command: x\n  hint: "\\ud800"': ["4: a NUL or half a character (\\ud800 to \\udfff) is no text; leave it out"],
    'title: "a\\0b"\nchecks: [{name: a, command: x}]': ["1: a NUL or half a character (\\ud800 to \\udfff) is no text; leave it out"],
    "parameters:\n  base: https://bob:hunter2@x\nchecks: [{name: a, command: x}]": ["2: base seems to hold a password in an address; refer to it: env:NAME, file:PATH, secret:NAMESPACE/NAME/KEY"],
    "just text": ["1: a runbook is a mapping with at least checks:"],
    "checks: [{name: a, command: x}]\nchecks: []": ["2: 'checks' stands here twice; the first is on line 1"],
    "checks:\n- &a {name: a, command: x}\n- *a": ["3: aliases (*a) are refused; write the value out"],
    "checks:\n- name: a\n  command: [x": ["4: not valid YAML: expected ',' or ']', but got '<stream end>'"],
    "checks: []\n---\nchecks: []": ["2: not valid YAML: but found another document"],
    "checks: !!python/object:os.system x": ["1: not valid YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system'"],
}  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES)
def test_every_mistake_has_its_line(written, text):
    assert wrong(written(text + "\n")) == MISTAKES[text]


def test_all_mistakes_are_told_at_once_in_order(written):
    text = "nme: x\nchecks:\n- name: a\n  kind: tcp\n  hst: x\n- name: a\n  kind: nope\n"
    lines = [int(line.partition(":")[0]) for line in wrong(written(text))]
    assert lines == sorted(lines)
    assert len(lines) >= 5


def test_an_alias_bomb_is_refused_at_once(written):
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)
    )
    assert "aliases" in wrong(written(bomb))[0]


@pytest.mark.parametrize("text", ["[" * 20_000, "x: " + "y" * 300_000, "\0", "a: \x07"])
def test_what_cannot_be_a_runbook_is_refused_in_a_sentence(written, text):
    assert len(wrong(written(text))) == 1


def test_a_file_is_the_same_with_a_byte_order_mark_and_with_windows_line_ends(tmp_path):
    text = 'parameters: {who: "grüße 🚀"}\nchecks:\n- name: "grüße 🚀"\n  command: echo {{who}}\n'
    (tmp_path / "plain.yml").write_bytes(text.encode())
    (tmp_path / "windows.yml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load(tmp_path / "plain.yml").checks == load(tmp_path / "windows.yml").checks


def test_a_huge_file_is_refused_without_being_read_whole(tmp_path):
    with (tmp_path / "huge.yml").open("wb") as file:
        file.truncate(1 << 40)
    began = time.monotonic()
    assert wrong(tmp_path / "huge.yml") == ["1: larger than 256000 bytes; this cannot be a runbook"]
    assert time.monotonic() - began < 1


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.yml")
    for path in (tmp_path / "pipe.yml", tmp_path):
        with pytest.raises(ConfigError, match="it is no file"):
            load(path)


def test_a_thousand_checks_are_read_soon(written):
    rows = "".join(
        f"- name: check number {i}\n  command: test {i} = {i}\n  needs: [check number 0]\n" for i in range(1, 1000)
    )
    began = time.monotonic()
    runbook = load(written(f"checks:\n- name: check number 0\n  command: x\n{rows}"))
    assert time.monotonic() - began < 10
    assert len(runbook.checks) == 1000


def test_too_many_checks_are_one_mistake(written):
    assert wrong(written("checks:\n" + "- 5\n" * 5_000)) == ["1: 5000 checks are too many; a runbook has at most 2000"]


@given(st.text(max_size=200))
@example("checks: [{name: a, command: x, timeout: !!float x}]")
@example("checks: [{name: a, command: x, timeout: 1_000}]")
@example("&a [*a]")
@example("%YAML 9.9\n---\nchecks: []")
@example("checks: [{name: 2026-13-45, command: x}]")
@example("checks: 99999" + "9" * 5000)
def test_any_text_is_a_runbook_or_a_sentence_with_a_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load(path)
    except ConfigError as problem:
        assert all(line.startswith(str(path)) for line in str(problem).split("\n"))


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = sorted({name for kind in KINDS.values() for name in kind.fields} | {*COMMON, *USES})


@given(
    st.fixed_dictionaries(
        {
            "checks": st.lists(
                st.dictionaries(st.sampled_from(fields), trees | st.sampled_from(sorted(KINDS)), max_size=6), max_size=3
            )
        },
        optional={key: trees for key in TOP if key != "checks"},
    )
)
def test_any_values_in_any_fields_are_a_runbook_or_sentences_with_lines(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "fields.yml"
    path.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    try:
        runbook = load(path)
    except ConfigError as problem:
        assert str(problem).startswith(str(path))
    else:
        assert runbook.checks


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yml")
    (tmp_path / "latin.yml").write_bytes(b"name: \xff\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "latin.yml")


def test_a_folder_tells_the_mistakes_of_all_its_files(written):
    path = written("checks: [{name: a, kind: x}]", "one.yml")
    written("checks: [{name: a, kind: y}]", "two.yaml")
    written("name: same\nchecks: [{name: a, command: x}]", "three.yml")
    written("name: same\nchecks: [{name: a, command: x}]", "zzz.yml")
    with pytest.raises(ConfigError) as caught:
        load_folder(path.parent)
    assert [
        part in str(caught.value) for part in ("one.yml:1", "two.yaml:1", "zzz.yml:1: the name 'same' is taken")
    ] == [True] * 3


def test_every_kind_has_its_file_and_its_line():
    from pathlib import Path

    import runbooks.kinds

    files = {path.stem for path in Path(runbooks.kinds.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(KINDS) == files


@given(st.dictionaries(st.integers(0, 8), st.lists(st.integers(0, 8), max_size=4), max_size=9))
def test_a_circle_is_found_exactly_when_there_is_one(graph):
    needs = {str(k): [str(v) for v in vs] for k, vs in graph.items()}
    found = cycle(needs)
    if found:
        assert found[0] == found[-1]
        assert all(b in needs[a] for a, b in pairwise(found))
    else:
        order: list[str] = []
        while len(order) < len(needs):
            free = [n for n in needs if n not in order and all(w in order or w not in needs for w in needs[n])]
            assert free, "a circle was missed"
            order += free
