"""docs/operating.md cannot lag: what it names exists, and its figures are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from bot import effects, engine, serving, upkeep
from bot.__main__ import ROOMS
from bot.config import CaptainSettings
from bot.meter import Meter
from bot.retention import WORKFLOW_DAYS
from handlers.posts import DOUBT
from handlers.subjects import SUBJECTS, lanes

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "operating.md").read_text()
FLAT = " ".join(TEXT.split())


def test_every_command_it_names_exists():
    subcommands = {"db": {"backup", "restore", "restored", "check"}}
    made = typer.main.get_command(upkeep.cli())
    assert set(made.commands["db"].commands) == subcommands["db"]
    for words in re.findall(r"captain ([a-z]+(?: [a-z]+)?)", TEXT):
        first, _, second = words.partition(" ")
        assert first in ROOMS or first in SUBJECTS, words
        if first in subcommands and second:
            assert second in subcommands[first], words
        if first == "incident":
            assert second in SUBJECTS["incident"], words


def test_every_option_it_names_exists():
    commands = {**typer.main.get_command(upkeep.cli()).commands, **typer.main.get_command(serving.cli()).commands}
    known = {option for command in commands.values() for one in _params(command) for option in one.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) - {"--all", "--help"} <= known


def _params(command):
    inner = getattr(command, "commands", {}).values()
    return [*command.params, *(param for one in inner for param in one.params)]


def test_every_metric_it_names_exists():
    shown = Meter().text().decode()
    for name in set(re.findall(r"captain_[a-z_]+", TEXT)):
        assert f"# TYPE {name} " in shown or f"# TYPE {name}_total " in shown, name


def test_its_figures_are_the_codes():
    lane = {rule.name: rule for rule in lanes()}
    settings = CaptainSettings()
    assert f"`captain.lease`, {settings.lease:g} s" in FLAT
    assert f"`captain.retention_days` ({settings.retention_days:g})" in FLAT
    assert lane["pagerduty"].cap == 20
    assert "at least every 20 s for 72 h" in FLAT
    assert [lane[name].patience_h for name in ("pagerduty", "slack", "jira")] == [72, 24, 72]
    assert lane["kubernetes"].patience_h == 30 * 24
    assert "tried for 30 days" in FLAT
    assert (engine.MAX_DEATHS, engine.MAX_DEATHS_OF_LEADERS) == (5, 20)
    assert "five processes (twenty for a page)" in FLAT
    assert serving.REPLACE_WITHIN == 25
    assert "waits up to 25 s" in FLAT
    assert DOUBT == 86400
    assert "for a day that also holds" in FLAT
    assert settings.retention_days > WORKFLOW_DAYS
    assert effects.State.GAVE_UP.value == "gave_up"
