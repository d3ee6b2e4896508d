"""The README and the example configuration cannot lag: they are compared with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot import grammar
from bot.__main__ import ROOMS
from bot.config import ENV_REF
from bot.sandbox.cli import sandbox_app
from bot.settings import load
from handlers.subjects import SUBJECTS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def command_table() -> str:
    rows = [f"| `{c.usage}` | {c.help} |" for _, c in sorted(grammar.commands(SUBJECTS).items())]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])


def subject_table() -> str:
    """A line for each subject, with its verbs."""
    rows = [
        f"| `{name}` | {', '.join(f'`{verb}`' for verb in sorted(verbs) if verb) or 'said alone'} |"
        for name, verbs in SUBJECTS.items()
    ]
    return "\n".join(["| subject | verbs |", "|---|---|", *sorted(rows)])


@pytest.mark.parametrize(("file", "table"), [("README.md", subject_table), ("docs/commands.md", command_table)])
def test_the_command_lists_are_the_codes(file, table):
    shown = re.search(r"<!-- commands -->\n(.*?)\n<!-- /commands -->", (ROOT / file).read_text(), re.DOTALL)
    assert shown is not None
    assert shown.group(1) == table(), f"put this between the marks of {file}:\n{table()}"


def test_the_machines_commands_are_named():
    for room in ROOMS:
        assert f"`captain {room}" in README, room
    for command in sandbox_app().registered_commands:
        name = command.name or command.callback.__name__
        assert name == "run" or f"`{name}`" in README, name


def test_the_readme_is_at_most_two_screens():
    assert len(README.splitlines()) <= 90


def test_every_file_it_names_exists():
    for name in [*re.findall(r"\]\(([\w./-]+)\)", README), "captain.example.yml", "Dockerfile", "deploy/kubernetes"]:
        assert (ROOT / name).exists(), name


def test_the_example_configuration_is_right():
    path = ROOT / "captain.example.yml"
    names = {match.group(1) for match in ENV_REF.finditer(path.read_text())} - {"NAME"}
    settings, _ = load(path, dict.fromkeys(names, "x" * 32))
    assert settings.slack
    assert settings.pagerduty
    assert settings.jira
    assert settings.kubernetes
