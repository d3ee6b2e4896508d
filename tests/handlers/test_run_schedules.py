"""Cron lines mean what everybody means by them, and mistakes in ``runbooks:`` are said with file, line and nearest name."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ConfigError
from bot.settings import load
from handlers.runs import cron

MONDAY = dt.datetime(2026, 11, 23, tzinfo=dt.UTC).timestamp()
DAY = 86400.0


def days(line: str) -> set[str]:
    """The weekdays on which a line fires in one week."""
    found = cron.slots(line, after=MONDAY - 1, until=MONDAY + 7 * DAY - 1)
    return {dt.datetime.fromtimestamp(at, dt.UTC).strftime("%a") for at in found}


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("0", {"Sun"}),
        ("7", {"Sun"}),
        ("1", {"Mon"}),
        ("1-5", {"Mon", "Tue", "Wed", "Thu", "Fri"}),
        ("mon-fri", {"Mon", "Tue", "Wed", "Thu", "Fri"}),
        ("5-1", {"Fri", "Sat", "Sun", "Mon"}),
        ("fri-7", {"Fri", "Sat", "Sun"}),
        ("*/2", {"Sun", "Tue", "Thu", "Sat"}),
        ("SAT,sun", {"Sat", "Sun"}),
        ("*", {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}),
    ],
)
def test_days_of_the_week_are_those_of_cron(field: str, wanted: set[str]):
    assert days(f"0 9 * * {field}") == wanted


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("* * * *", "five fields"),
        ("* * * * 8", "no day of the week"),
        ("* * * * monday", "no day of the week"),
        ("61 * * * *", "no cron line"),
        ("0 0 1 * 1", "a day of the month and a day of the week"),
        ("0 0 1 * frx", "a day of the month and a day of the week"),
    ],
)
def test_what_is_no_cron_line_is_said(line: str, why: str):
    with pytest.raises(ValueError, match=why):
        cron.parse(line)


def test_a_slot_belongs_to_the_minute_it_ends():
    assert cron.slots("*/5 * * * *", after=MONDAY, until=MONDAY + 300) == [MONDAY + 300]
    assert cron.slots("*/5 * * * *", after=MONDAY - 1, until=MONDAY) == [MONDAY]
    assert cron.slots("*/5 * * * *", after=MONDAY, until=MONDAY) == []
    assert cron.following("@daily", MONDAY) == MONDAY + DAY


@given(st.integers(0, 10 * 1440), st.lists(st.integers(1, 600), max_size=12))
def test_however_often_the_clock_is_asked_each_slot_comes_once(start: int, steps: list[int]):
    line, at = "7,31 */3 * * 1-5", MONDAY + start * 60
    end, seen = at + sum(steps) * 60, list[float]()
    for step in steps:
        seen += cron.slots(line, after=at, until=at + step * 60)
        at += step * 60
    assert seen == cron.slots(line, after=MONDAY + start * 60, until=end)


# ---- captain.yml ---------------------------------------------------------------------------------------------------------


def mistakes(tmp_path: Path, section: dict, **captain: str) -> str:
    folder = tmp_path / "books"
    folder.mkdir(exist_ok=True)
    (folder / "edge.yml").write_text(
        "name: edge\nparameters: {who: , where: here}\nchecks:\n  - {name: a, kind: command, command: 'true'}\n"
    )
    path = tmp_path / "captain.yml"
    services = {"docs-api": {"channel": "#docs-api"}}
    made = {"captain": captain, "services": services, "runbooks": {"folder": "books", **section}}
    path.write_text(yaml.safe_dump(made, sort_keys=False))
    with pytest.raises(ConfigError) as problem:
        load(path, {})
    return str(problem.value)


def a_schedule(**more: object) -> dict:
    row = {"runbook": "edge", "cron": "0 * * * *", "service": "docs-api", "parameters": {"who": "x"}}
    return {"schedules": {"hourly": row | more}}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"runbook": "egde"}, "there is no runbook 'egde'. Did you mean 'edge'?"),
        ({"service": "docs-ap"}, "'docs-ap' is not a service. Did you mean 'docs-api'?"),
        ({"parameters": {"whoo": "x", "who": "x"}}, "no parameter 'whoo'. Did you mean 'who'?"),
        ({"parameters": {}}, "needs who=…"),
        ({"only": ["b"]}, "no check and no tag 'b'"),
        ({"cron": "every hour"}, "must have five fields"),
        ({"service": ""}, "neither a service nor a channel"),
        ({"only_failure": True}, "is not known here. Did you mean 'only_failures'?"),
    ],
)
def test_a_mistake_in_a_schedule_is_said_with_its_line_and_the_nearest_name(tmp_path: Path, more: dict, said: str):
    told = mistakes(tmp_path, a_schedule(**more))
    assert said in told
    assert "captain.yml:" in told
    assert "runbooks.schedules.hourly" in told


def test_addresses_are_addresses_and_one_folder_is_enough(tmp_path: Path):
    assert "'metadata' must be an address or a network" in mistakes(tmp_path, {"allow_addresses": ["metadata"]})
    assert "runbooks.folder alone is enough" in mistakes(tmp_path, {}, runbooks="books")
    assert "the folder" in mistakes(tmp_path, {"folder": "nowhere"})


def test_the_older_name_of_the_folder_still_works(tmp_path: Path):
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "mine.yml").write_text("checks:\n  - {name: a, kind: command, command: 'true'}\n")
    path = tmp_path / "captain.yml"
    services = {"docs-api": {"channel": "#docs-api", "runbook": "mine"}}
    path.write_text(yaml.safe_dump({"captain": {"runbooks": "books"}, "services": services}))
    assert "mine" in load(path, {})[1]


def test_a_schedule_of_a_service_looks_in_that_services_environment(tmp_path: Path):
    (tmp_path / "books").mkdir()
    declared = {"environment": {"default": "prod", "choices": ["prod", "eu"]}}
    check = {"name": "a", "kind": "command", "command": "true"}
    (tmp_path / "books" / "edge.yml").write_text(yaml.safe_dump({"parameters": declared, "checks": [check]}))
    path = tmp_path / "captain.yml"
    row = {"runbook": "edge", "cron": "0 * * * *", "service": "docs-api"}
    for environment, right in (("eu", True), ("mars", False)):
        services = {"docs-api": {"channel": "#docs-api", "environment": environment}}
        made = {"services": services, "runbooks": {"folder": "books", "schedules": {"hourly": row}}}
        path.write_text(yaml.safe_dump(made))
        if right:
            assert load(path, {})[0].runbooks.schedules["hourly"].runbook == "edge"
        else:
            with pytest.raises(ConfigError, match="must be one of its choices"):
                load(path, {})
