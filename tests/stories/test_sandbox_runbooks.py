"""The shipped runbooks around the real bot in the sandbox: what it tells of itself is looked at, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ground.waiting import until

from bot.app import Captain
from bot.sandbox.run import Sandbox
from bot.settings import load
from handlers.checks import looks as looks_of
from runbooks import Outcome, Report, run

pytestmark = pytest.mark.slow


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
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
