"""The shipped runbooks around the real bot in the sandbox: what it tells of itself is looked at, too."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ground.waiting import until

from bot.app import Captain
from bot.errors import Refused
from bot.sandbox.remote import Remote
from bot.sandbox.run import Sandbox
from bot.settings import load
from handlers.checks import looks as looks_of
from runbooks import Outcome, Report, run

pytestmark = pytest.mark.slow
PLAN = Path(__file__).parent.parent / "data" / "runbooks" / "checks.yml"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    own = tmp_path / "data" / "runbooks"
    own.mkdir(parents=True)
    shutil.copy(PLAN, own)
    made = Sandbox(tmp_path / "data", port=0)
    made.start()
    try:
        assert made.bot.wait_ready(40), made.bot.tail()
        yield made
    finally:
        made.stop()


def wrong(report: Report) -> dict[str, str]:
    return {r.name: f"{r.outcome}: {r.detail}" for r in report.results if r.outcome is not Outcome.PASS}


def test_every_shipped_runbook_passes_and_a_bot_that_is_down_is_seen(sandbox: Sandbox) -> None:
    settings, books = load(sandbox.data / "captain.yml", {})
    captain = Captain(settings, books)
    looks = looks_of(captain.outside)
    try:
        until(lambda: not wrong(run(books["self"], {}, looks)), timeout=40, message="the bot is not well")
        del books["checks"]  # It needs the bot's environment.
        assert {name: wrong(run(book, {}, looks)) for name, book in books.items()} == {name: {} for name in books}
        assert sandbox.bot.kill(60)
        until(lambda: run(books["self"], {}, looks).outcome is Outcome.FAIL)
        until(
            lambda: "pages owed" in _unseen(run(books["self"], {}, looks)), timeout=30, message="it is still measured"
        )
    finally:
        captain.store.close()


def _unseen(report: Report) -> set[str]:
    return {r.name for r in report.results if r.outcome is Outcome.NO_DATA}


def test_the_plans_own_checks_and_a_trouble_are_told_in_the_channel(sandbox: Sandbox) -> None:
    there = Remote(sandbox.port)

    def said(text: str) -> bool:
        rows = there.state()["slack"]["messages"]
        return any(text in row["text"] for row in rows if row["channel_name"] == "docs-api")

    def ask(command: str) -> bool:
        try:
            there.act("say", {"channel": "#docs-api", "text": f"/captain runbook run {command}", "user": "alice"})
        except Refused:
            return False  # It is up and not connected to Slack yet.
        return True

    until(lambda: ask("checks"), timeout=30)
    until(lambda: said("Checks of checks: PASS (2 PASS)"), timeout=30)
    there.act("trouble", {"name": "cache-cold"})
    ask("cache")
    until(lambda: said("Checks of cache: FAIL (5 PASS, 1 FAIL)"), timeout=30)
    there.act("mend", {})
    ask("cache")
    until(lambda: said("Checks of cache: PASS (6 PASS)"), timeout=30)
