"""Imports go one way: the contracts in pyproject.toml hold, name every module there is, and catch one that breaks them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bot", "handlers", "runbooks", "drills")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = {contract["type"] + ":" + contract["name"]: contract for contract in SETTINGS["contracts"]}
LAYERS = next(contract["layers"] for contract in CONTRACTS.values() if contract["type"] == "layers")

# Each line breaks one contract; the second word of the finding is the module that did.
BREACHES = [
    pytest.param("handlers/breach.py", "import slack_sdk\n", "handlers.breach -> slack_sdk", id="an SDK in a handler"),
    pytest.param(
        "handlers/breach.py", "import kubernetes.client\n", "handlers.breach -> kubernetes", id="part of an SDK"
    ),
    pytest.param("handlers/breach.py", "from bot import web\n", "handlers.breach -> bot.web", id="upwards, to an ear"),
    pytest.param(
        "handlers/breach.py", "from bot import app\n", "handlers.breach -> bot.app", id="upwards, to the builder"
    ),
    pytest.param(
        "handlers/breach.py", "def late():\n    import bot.web\n", "handlers.breach -> bot.web", id="inside a function"
    ),
    pytest.param(
        "runbooks/breach.py", "import drills\n", "runbooks.breach -> drills", id="a check that imports a drill"
    ),
    pytest.param(
        "bot/engine.py", "import bot.integrations.jira\n", "bot.engine -> bot.integrations.jira", id="memory upwards"
    ),
    pytest.param("bot/errors.py", "import bot.config\n", "bot.errors -> bot.config", id="the lowest upwards"),
    pytest.param("bot/web.py", "import bot.clock\n", "bot.web -> bot.clock", id="one ear of another"),
    pytest.param("bot/web.py", "import pdpyras\n", "bot.web -> pdpyras", id="an SDK in an ear"),
    pytest.param("bot/slack.py", "import jira\n", "bot.slack -> jira", id="another's SDK in an ear that may have one"),
    pytest.param(
        "bot/integrations/jira/client.py",
        "import slack_sdk\n",
        "bot.integrations.jira.client -> slack_sdk",
        id="another's SDK",
    ),
    pytest.param(
        "bot/integrations/jira/breach.py",
        "import jira\n",
        "bot.integrations.jira.breach -> jira",
        id="an SDK beside its client",
    ),
    pytest.param(
        "bot/integrations/jira/breach.py",
        "import bot.integrations.slack\n",
        "bot.integrations.jira.breach -> bot.integrations.slack",
        id="one integration of another",
    ),
    pytest.param(
        "handlers/breach.py", "from dbos import DBOS\n", "handlers.breach -> dbos", id="dbos outside the engine"
    ),
]

ALLOWED = [
    pytest.param("bot/slack.py", "import slack_bolt\nimport slack_sdk\n", id="Bolt in the ear for Slack"),
    pytest.param("bot/integrations/jira/client.py", "import jira\n", id="an SDK in its client"),
    pytest.param(
        "bot/integrations/connect.py", "def connect():\n    import bot.integrations.jira.client\n", id="connect"
    ),
    pytest.param(
        "handlers/breach.py", "import bot.integrations.jira\nimport drills\nimport bot.errors\n", id="downwards"
    ),
]


def lint_imports(directory: Path) -> tuple[int, str]:
    """Check the contracts of the tree in ``directory``: the exit status and what was said."""
    program = Path(sys.executable).with_name("lint-imports")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [program, "--no-cache", "--config", directory / "pyproject.toml"],
        cwd=directory,
        env={**environment, "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their contracts, to be broken."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.yml"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for ear in ("web", "clock", "app", "slack"):
        if not any((tmp_path / "bot").glob(f"{ear}*")):
            (tmp_path / "bot" / f"{ear}.py").write_text("")
    return tmp_path


def add(path: Path, line: str) -> None:
    """Add an import to a module that is there, or make one that holds it alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    package = path.with_suffix("") / "__init__.py"
    target = package if package.exists() else path
    before = target.read_text() if target.exists() else '"""Broken on purpose."""\n'
    target.write_text(before + line)


def test_the_contracts_hold():
    status, said = lint_imports(ROOT)
    assert status == 0, said
    assert re.search(r"[1-9][0-9]* kept, 0 broken", said), said


@pytest.mark.parametrize(("where", "line", "found"), BREACHES)
def test_a_breach_is_found_and_named(copy: Path, where: str, line: str, found: str):
    add(copy / where, line)
    status, said = lint_imports(copy)
    assert status == 1, said
    assert re.search(rf"{re.escape(found)}(\.[\w.]+)? \(l\.\d+\)", said), said


@pytest.mark.parametrize(("where", "line"), ALLOWED)
def test_what_is_allowed_is_not_called_a_breach(copy: Path, where: str, line: str):
    add(copy / where, line)
    status, said = lint_imports(copy)
    assert status == 0, said


def test_every_module_of_the_machine_has_its_layer():
    """A module that no layer names may be imported from anywhere: each has to be named."""
    children = {path.stem for path in (ROOT / "bot").glob("*.py")} | {
        path.parent.name for path in (ROOT / "bot").glob("*/*.py")
    }
    modules = {f"bot.{name}" for name in children - {"__init__", "migrations"}}
    assert unlayered(modules, LAYERS) == set(), "name them in a layer of pyproject.toml's first import contract"
    assert set(PACKAGES[1:]) <= layered(LAYERS)


def test_an_unnamed_module_would_be_noticed():
    assert unlayered({"bot.web", "bot.stray"}, ["(bot.slack) | (bot.web)", "handlers"]) == {"bot.stray"}


def layered(layers: list[str]) -> set[str]:
    return {name for layer in layers for name in re.findall(r"[\w.]+", layer)}


def unlayered(modules: set[str], layers: list[str]) -> set[str]:
    return modules - layered(layers)


def test_every_sdk_is_guarded():
    """Each SDK among the dependencies stands in the contract that keeps it to its own client."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.match(r"[\w-]+", line)[0].replace("-", "_") for line in project["dependencies"]}
    guarded = {name for contract in CONTRACTS.values() for name in contract.get("forbidden_modules", [])}
    not_services = {
        "alembic", "apscheduler", "dnspython", "httptools", "pillow", "prometheus_client", "psycopg", "pyyaml", "rich", "sqlmodel", "starlette", "typer",
        "uvicorn", "uvloop", "websockets",
    }  # fmt: skip
    assert needed - not_services == guarded
