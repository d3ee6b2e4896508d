"""The machine's clock is set back or forward an hour: what is owed goes out when it can, not when the clock says so."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ground.town import Town, user
from ground.waiting import until

HOUR = 3600
SOON = 60
"""Seconds within which what is owed is done once its service is mended: its longest pause, on a busy machine."""


class Clock:
    """The clock that a bot sees, through libfaketime. What waits by the clock that is never set sees nothing of it.

    Under it Python's own ``time.sleep`` may fail with EINVAL; nothing of ours uses that, and one thread of the executor
    that only wakes those who wait for messages, which is nobody, ends of it.
    """

    def __init__(self, library: Path, file: Path) -> None:
        self.file = file
        self.env: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set(0)

    def set(self, seconds: int) -> None:
        """So many seconds ahead of the true time from now on; a running bot sees it within a second."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("no libfaketime here: apt install faketime")
    return Clock(found[0], tmp_path / "clock")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, town: Town) -> Town:
    """The town on one of the databases; that of PostgreSQL keeps its own, true time."""
    if request.param == "postgresql":
        town.config["captain"] |= {"database": request.getfixturevalue("postgres").url, "lease": 2}
    return town


def tries(town: Town) -> int:
    return sum(call.path.endswith("/v2/enqueue") for call in list(town.calls.calls))


def other(fire: dict[str, Any]) -> dict[str, Any]:
    first = fire["alerts"][0]
    labels = first["labels"] | {"service": "gateway", "slo": "gateway-latency"}
    return fire | {"alerts": [first | {"labels": labels, "fingerprint": "00000000000000ff"}]}


def panel(town: Town, root: dict[str, Any]) -> str:
    """What the panel shows by now."""
    return next(town.shown(now) for now in town.roots() if now["ts"] == root["ts"])


def everything(town: Town, count: int) -> None:
    until(lambda: len(town.pages()) == count, timeout=SOON, message="the page waits for the clock")
    until(lambda: (len(town.roots()), len(town.tickets())) == (count, count), timeout=SOON)
    for root in town.roots():
        until(lambda root=root: "PagerDuty ✔" in panel(town, root), timeout=SOON, message=panel(town, root))
    assert len(town.pages()) == len(town.roots()) == len(town.tickets()) == count


@pytest.mark.slow
@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=["back", "forward"])
def test_a_clock_that_jumps_while_a_page_is_owed_does_not_delay_it(place: Town, clock: Clock, alertmanager_body, jump):
    bot, fire = place.spawn(env=clock.env), alertmanager_body("firing-single")
    place.pagerduty.faults.breaks("500")
    bot.alert(fire)
    until(lambda: tries(place) >= 2 and place.roots() and place.tickets(), timeout=SOON)
    clock.set(jump)
    before = tries(place)
    until(lambda: tries(place) > before, timeout=SOON, message="it is not tried any more")
    place.pagerduty.faults.mend()
    everything(place, 1)
    # And whoever comes after the jump is no worse off.
    bot.alert(other(fire))
    everything(place, 2)
    for number in (1, 2):
        bot.ask(f"incident resolve INC-{number} --anyway")
    until(lambda: all(page["status"] == "resolved" for page in place.pages()), timeout=SOON)


@pytest.mark.slow
@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=["back", "forward"])
def test_a_clock_that_was_set_while_the_bot_was_down_does_not_delay_what_it_owes(
    place: Town, clock: Clock, alertmanager_body, jump
):
    place.pagerduty.faults.breaks("500")
    place.jira.faults.breaks("reset", times=1, only="/issue")  # it has acted, and nobody knows
    place.slack.faults.breaks("reset", times=1, only="chat.postMessage")
    bot = place.spawn(env=clock.env)
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: tries(place) >= 2 and len(place.roots()) == len(place.tickets()) == 1, timeout=SOON)
    bot.kill()
    clock.set(jump)
    place.pagerduty.faults.mend()
    place.spawn(env=clock.env)
    everything(place, 1)


@pytest.mark.slow
def test_what_was_only_taken_before_the_clock_was_set_back_is_decided_at_once(
    town: Town, clock: Clock, alertmanager_body
):
    """An alert and a command of an hour to come: who looks for what is old enough must not pass them by."""
    town.config["captain"]["database"] = f"sqlite:///{town.folder}/bot.db"
    bot, fire = town.spawn(env=clock.env), alertmanager_body("firing-single")
    bot.alert(fire)
    everything(town, 1)
    held = (("decision", "alerts", "verdict"), ("deed", "incidents", "acked_at"), ("answer", "inbox", "done_at"))
    database = town.folder / "bot.db"
    with closing(sqlite3.connect(database, timeout=10)) as c:
        for name, table, column in held:
            c.execute(
                f"CREATE TRIGGER {name} BEFORE UPDATE OF {column} ON {table} BEGIN SELECT RAISE(ABORT, 'held'); END"
            )
    assert bot.alert(other(fire)).status_code == 202
    assert town.slack.slash("#docs-api", user(town, "alice"), "/incident", "ack INC-1")["ok"]
    bot.kill()
    with closing(sqlite3.connect(database)) as c:
        assert c.execute("SELECT count(*) FROM alerts WHERE verdict IS NULL").fetchone() == (1,)
        for name, _, _ in held:
            c.execute(f"DROP TRIGGER {name}")
    clock.set(-HOUR)
    again = town.spawn(env=clock.env)
    everything(town, 2)
    until(lambda: again.ask("incident show INC-1")["data"]["acked_by"] == "alice", timeout=SOON)
