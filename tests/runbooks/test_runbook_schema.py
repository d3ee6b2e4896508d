"""The schema for editors: what the reader takes is valid by it, and a wrong field or shape is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import runbooks
from bot.errors import ConfigError
from runbooks import KINDS, load, schema
from runbooks.kind import Shape
from runbooks.rows import COMMON, USES

SHIPPED = sorted(Path(runbooks.__file__).parent.glob("*.yml"))
PLAN = """
checks:
  - name: health-endpoints
    command: curl -sf $BASE/health
  - name: audit-stream
    command: test -n "$(curl -s $OBS/audit/last)"
"""


@pytest.fixture(scope="module")
def validator():
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


def valid(validator, text: str) -> list[str]:
    return [f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_runbook_is_valid(validator, path):
    assert valid(validator, path.read_text(encoding="utf-8")) == []


def test_the_plans_file_is_valid(validator):
    assert valid(validator, PLAN) == []


def test_all_of_the_format_is_valid(validator, written):
    text = """
        name: all
        title: All of it
        owners: [a]
        links: {Dashboard: https://x.example}
        tags: after-deploy
        deadline: 90
        parallel: 8
        defaults: {timeout: 3, retries: 2, retry_delay: 0.5, successes: 2, severity: blocking, mutex: [db]}
        parameters:
          service: {description: Whose, required: true}
          base: {choices: [http://127.0.0.1, http://x.example], default: http://x.example}
          limit: 5
          must:
        env: {BASE: "{{base}}", TOKEN: env:THE_TOKEN}
        checks:
          - {name: one, command: [curl, -sf, "{{base}}"], tags: [smoke], env: {A: b, C: 1}, exit: 3, hint: Look.}
          - {name: two, kind: http, url: "{{base}}/x", status: [200, "{{limit}}01"], needs: one, max_latency_ms: "{{limit}}"}
          - {name: three, kind: tcp, host: x, port: 80, severity: warning, mutex: own}
          - {name: four, kind: promql, expr: up, threshold: "{{limit}}", op: ">="}
          - {uses: self, with: {base: "{{base}}"}, needs: [one, two], severity: warning, tags: x}
    """
    assert load(written(text)).checks
    assert valid(validator, text) == []


WRONG = [
    "checks: []",
    "chekcs: [{name: a, command: x}]",
    "checks: [{name: a, command: x, timout: 5}]",
    "checks: [{name: a, command: x, timeout: 5s}]",
    "checks: [{name: a, command: x, successes: 0}]",
    "checks: [{name: a, command: x, severity: warnin}]",
    "checks: [{name: a}]",
    "checks: [{command: x}]",
    "checks: [{name: a, command: ''}]",
    "checks: [{name: a, command: true}]",
    "checks: [{name: a, kind: htp, url: http://x}]",
    "checks: [{name: a, kind: http}]",
    "checks: [{name: a, kind: http, url: http://x, statsu: 200}]",
    "checks: [{name: a, kind: http, url: http://x, status: 2000}]",
    "checks: [{name: a, kind: http, url: http://x, method: DELETE}]",
    "checks: [{name: a, kind: tcp, host: x, port: http}]",
    "checks: [{uses: x, wth: {a: b}}]",
    "checks: [{uses: [x]}]",
    "checks: [{uses: x, with: [a]}]",
    "checks: [5]",
    "parameters: {a-b: x}\nchecks: [{name: a, command: x}]",
    "parameters: {a: {defualt: x}}\nchecks: [{name: a, command: x}]",
    "defaults: {timout: 5}\nchecks: [{name: a, command: x}]",
    "deadline: 2m\nchecks: [{name: a, command: x}]",
    "parallel: 2.5\nchecks: [{name: a, command: x}]",
    "env: [x]\nchecks: [{name: a, command: x}]",
    "tags: [a b]\nchecks: [{name: a, command: x}]",
    "- a",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_the_reader_refuses_for_its_shape_is_not_valid_either(validator, written, text):
    with pytest.raises(ConfigError):
        load(written(text))
    assert valid(validator, text) != []


def test_every_kind_and_every_field_is_in_it():
    made = schema()
    for name, kind in KINDS.items():
        fields = made["$defs"][f"check {name}"]["properties"]
        assert set(fields) == {*kind.fields, *COMMON}
        for key, field in kind.fields.items():
            assert not field.about or fields[key]["description"] == field.about
    assert set(made["$defs"]["uses"]["properties"]) == set(USES)


SAMPLES = {
    Shape.TEXT: ["x", 5],
    Shape.NUMBER: [5, 0.5, "5", "{{p}}"],
    Shape.FLAG: [True, False, "{{p}}"],
    Shape.TEXTS: [{}, {"a": "b"}, {"a": 1}],
    Shape.LIST: ["x", ["x", "y"]],
    Shape.VALUES: [{"a": [1]}],
    Shape.STATUSES: [200, [200, 404], "{{p}}"],
    Shape.LINE: ["x", ["x", "{{p}}"]],
    Shape.ANY: [None, 5, {"a": "b"}],
}


@given(st.data())
def test_what_the_reader_takes_of_any_kind_is_valid(tmp_path_factory, data):
    name = data.draw(st.sampled_from(sorted(KINDS)))
    kind = KINDS[name]
    row = {"name": "a", "kind": name}
    for key, field in kind.fields.items():
        if field.required or data.draw(st.booleans()):
            row[key] = data.draw(st.sampled_from(list(field.choices) or SAMPLES[field.shape]))
    values = {"parameters": {"p": None}, "checks": [row]}
    path = tmp_path_factory.getbasetemp() / "kind.yml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    try:
        load(path)
    except ConfigError:
        return
    assert [error.message for error in Draft202012Validator(schema()).iter_errors(values)] == []
