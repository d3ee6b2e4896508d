"""docs/runbooks.md cannot lag: its tables are compared with the code, and its examples are read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.sandbox.troubles import TROUBLES
from handlers.runs.settings import RunbookSettings, Schedule
from runbooks import KINDS, Outcome, load, shipped
from runbooks.read import PARAMETER, TOP
from runbooks.rows import COMMON, DEFAULTS, USES

FILE = Path(__file__).resolve().parent.parent.parent / "docs" / "runbooks.md"
TEXT = FILE.read_text(encoding="utf-8")


def kind_tables() -> str:
    """A table for each kind: what it takes, and what is needed."""
    parts: list[str] = []
    for name, kind in KINDS.items():
        rows = ["| field | holds | |", "|---|---|---|"]
        for field_name, field in kind.fields.items():
            shape = " or ".join(f"`{c}`" for c in field.choices) if field.choices else field.shape.value
            marks = ["needed"] * field.required + ["may be a secret"] * field.secret
            about = field.about.replace("|", "\\|")
            rows.append(f"| `{field_name}` | {shape}{f': {about}' if about else ''} | {', '.join(marks)} |")
        parts.append(f"### `{name}`\n\n" + "\n".join(rows))
    return "\n\n".join(parts)


def shipped_table() -> str:
    """The runbooks that come with the product."""
    rows = [
        f"| `{name}` | {runbook.title} | {', '.join(runbook.owners)} | {', '.join(runbook.tags)} | {len(runbook.checks)} |"
        for name, runbook in sorted(shipped().items())
    ]
    return "\n".join(["| runbook | asks | owners | tags | checks |", "|---|---|---|---|---|", *rows])


def settings_table() -> str:
    """What captain.yml may say of runbooks."""
    rows = ["| field | holds |", "|---|---|"]
    for where, model in (("", RunbookSettings), ("schedules.NAME.", Schedule)):
        for name, field in model.model_fields.items():
            about = field.description or {"schedules": "name to what the clock asks for"}.get(name, "")
            about = about or "values for its parameters"
            usual = field.get_default(call_default_factory=True)
            shown = f" ({usual:g})" if isinstance(usual, float | int) and not isinstance(usual, bool) else ""
            shown = " (true)" if usual is True else shown
            rows.append(f"| `{where}{name}` | {about}{shown} |")
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("mark", "table"), [("settings", settings_table), ("kinds", kind_tables), ("shipped", shipped_table)]
)
def test_the_tables_are_the_codes(mark, table):
    shown = re.search(rf"<!-- {mark} -->\n(.*?)\n<!-- /{mark} -->", TEXT, re.DOTALL)
    assert shown is not None
    assert shown.group(1) == table(), f"put this between the marks of {FILE.name}:\n{table()}"


def fields_after(heading: str) -> list[str]:
    """The names in the first column of the first table after a line."""
    table = re.search(r"\n\|[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n)+)", TEXT[TEXT.index(heading) :])
    assert table is not None
    return re.findall(r"^\| `(\w+)` \|", table.group(1), re.MULTILINE)


def test_every_field_of_the_file_is_told():
    assert set(fields_after("## The file")) == set(TOP)
    assert set(fields_after("Each check has a `kind`")) == set(COMMON)
    for name in (*PARAMETER, *DEFAULTS, *USES):
        assert f"`{name}`" in TEXT, name


def test_every_outcome_is_told():
    told = re.findall(r"^\| ([A-Z_]+) \|", TEXT, re.MULTILINE)
    assert set(told) == set(Outcome)


def test_its_troubles_exist():
    named = re.findall(r"captain sandbox trouble ([\w-]+)`", TEXT)
    assert named
    assert {*named, "spire-unseen", "cache-unseen"} <= TROUBLES.keys()


@pytest.mark.parametrize("n", range(3))
def test_its_examples_are_runbooks(tmp_path, n):
    path = tmp_path / "example.yml"
    path.write_text(re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[n], encoding="utf-8")
    assert load(path).checks
