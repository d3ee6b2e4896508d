"""What breaks under the bot: a disk that is full, a database that takes no writes, connections that are cut."""

from __future__ import annotations

import json
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from ground.town import Bot, Town
from ground.waiting import until


def another(fire: dict[str, Any], number: int, *, size: int = 0) -> dict[str, Any]:
    """Another alert, which is another incident; ``size`` makes it that many bytes larger."""
    first = fire["alerts"][0]
    labels = first["labels"] | {"slo": f"slo-{number}"}
    annotations = first["annotations"] | {"summary": f"number {number}", "description": "x" * size}
    return fire | {"alerts": [first | {"labels": labels, "annotations": annotations, "fingerprint": f"{number:016x}"}]}


def asked(town: Town) -> list[str]:
    """The dedup key of every page that PagerDuty was asked for, as often as it was."""
    calls = [json.loads(call.body) for call in list(town.calls.calls) if call.path.endswith("/v2/enqueue")]
    return [body["dedup_key"] for body in calls if body["event_action"] == "trigger"]


def ready(bot: Bot) -> str:
    return requests.get(f"{bot.url}/readyz", timeout=5).text


class Sender:
    """Alertmanager: what was not taken is sent again, until it is."""

    def __init__(self, bot: Bot, fire: dict[str, Any]) -> None:
        self.bot, self.fire = bot, fire
        self.taken: set[int] = set()
        self.refused: set[int] = set()
        self.slowest = 0.0
        self.number = 0

    def send(self, number: int | None = None, *, size: int = 0) -> int:
        """The status one alert, or a new one, is answered with."""
        if number is None:
            self.number += 1
            number = self.number
        began = time.monotonic()
        status = self.bot.alert(another(self.fire, number, size=size)).status_code
        self.slowest = max(self.slowest, time.monotonic() - began)
        (self.taken if status == 202 else self.refused).add(number)
        return status

    def again(self) -> None:
        """Send what was refused until everything is taken."""
        until(lambda: all(self.send(n) == 202 for n in sorted(self.refused - self.taken)), timeout=30)


def paged_once_each(town: Town, sender: Sender) -> None:
    """Everything that was taken has paged, once."""
    wanted = len(sender.taken)
    until(lambda: len(town.pages()) == wanted, timeout=60, message="somebody was forgotten")
    until(lambda: len(town.roots()) == wanted and len(town.tickets()) == wanted, timeout=90)
    until(lambda: all("PagerDuty ✔" in town.shown(root) for root in town.roots()), timeout=60)
    assert len(town.pages()) == len(town.roots()) == len(town.tickets()) == wanted


# ---- SQLite: the disk ---------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def each_on_its_own(town: Town) -> None:
    """No alert is folded into a storm: each has its page, so that one that is lost or doubled is seen."""
    town.config["incidents"]["storm"] = {"keys": 0}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own that can be filled."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount here")
    if done.returncode:
        pytest.skip(f"only root may mount a small disk to fill ({done.stderr.strip()})")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as f:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while f.write(b"x" * size):
                    pass
            except OSError:
                continue
    return ballast


@pytest.mark.slow
def test_a_full_disk_is_answered_with_503_loses_nothing_and_heals(town: Town, small_disk: Path, alertmanager_body):
    town.config["captain"] |= {"database": f"sqlite:///{small_disk}/bot.db", "lease": 2}
    town.config["pagerduty"]["timeout"] = 10
    bot = town.spawn()
    sender = Sender(bot, alertmanager_body("firing-single"))
    assert sender.send() == 202
    until(lambda: town.roots() and town.tickets())

    # PagerDuty takes this page and is slow to say so; by then there is no room to write its answer down.
    town.pagerduty.faults.breaks("late", delay=4, times=1)
    assert sender.send() == 202
    until(lambda: len(town.pages()) == 2)
    ballast = fill(small_disk)
    until(lambda: sender.send(size=50_000) == 503, timeout=20, message="the disk is full and everything is taken")
    answer = bot.alert(another(sender.fire, 1000, size=50_000))
    assert answer.status_code == 503
    assert "send it again" in answer.json()["error"]
    told = until(lambda: bot.ask("incident open sev2 docs-api help").get("error"), message="it could be opened")
    assert "The database does not take it now" in told
    assert "full" in told
    assert sender.slowest < 2.5, "Alertmanager must hear within two seconds"
    late = lambda: [call for call in list(town.calls.calls) if call.fault == "late"]  # noqa: E731
    until(late, timeout=10)
    # Full for a while: what waits to be written must not be done again meanwhile.
    until(lambda: ready(bot) == "the database takes no writes\n", timeout=20)

    ballast.unlink()
    sender.again()
    until(lambda: ready(bot) == "ready\n")
    paged_once_each(town, sender)
    assert sorted(asked(town)) == sorted(set(asked(town))), "a page that was accepted is not sent again"


@pytest.mark.slow
def test_killed_with_a_full_disk_it_says_so_at_the_start_and_carries_on_when_there_is_room(
    town: Town, small_disk: Path, alertmanager_body
):
    town.config["captain"] |= {"database": f"sqlite:///{small_disk}/bot.db", "lease": 2}
    town.pagerduty.faults.breaks("500")
    sender = Sender(town.spawn(), alertmanager_body("firing-single"))
    assert sender.send() == 202
    until(lambda: town.roots() and town.tickets())
    ballast = fill(small_disk)
    until(lambda: sender.send(size=50_000) == 503, timeout=20)
    sender.bot.kill()
    with pytest.raises(RuntimeError, match="has no room: its disk is full; free some"):
        town.spawn()
    ballast.unlink()
    town.pagerduty.faults.mend()
    sender.bot = town.spawn()
    sender.again()
    paged_once_each(town, sender)


@contextmanager
def no_writes(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Every write of the process to a file fails, as on a file system that has gone read-only under it.

    The system answers EFBIG where it would say EROFS; SQLite makes the same "disk I/O error" of both.
    """
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.slow
def test_files_that_take_no_more_writes_are_answered_with_503_lose_nothing_and_heal(town: Town, alertmanager_body):
    town.config["captain"]["lease"] = 2
    town.config["pagerduty"]["timeout"] = 10
    bot = town.spawn()
    sender = Sender(bot, alertmanager_body("firing-single"))
    assert sender.send() == 202
    until(lambda: town.roots() and town.tickets())
    town.pagerduty.faults.breaks("late", delay=3, times=1)
    assert sender.send() == 202
    until(lambda: len(town.pages()) == 2)
    with no_writes(bot.process):
        assert sender.send() == 503
        assert sender.slowest < 2.5
        until(lambda: any(call.fault == "late" for call in list(town.calls.calls)), timeout=10)
        assert "disk I/O error" in bot.ask("incident open sev2 docs-api help")["error"]
        until(lambda: ready(bot) == "the database takes no writes\n", timeout=20)
    sender.again()
    paged_once_each(town, sender)
    assert sorted(asked(town)) == sorted(set(asked(town))), "a page that was accepted is not sent again"


# ---- PostgreSQL: connections and standbys -------------------------------------------------------------------------------


@pytest.fixture
def shared(postgres, town: Town) -> Town:
    town.config["captain"] |= {"database": postgres.url, "lease": 2}
    return town


@contextmanager
def read_only(postgres) -> Iterator[None]:
    """A failover to a standby: every connection is cut, and whoever comes back finds a server that takes no writes."""
    with psycopg.connect(postgres.server.url(), autocommit=True) as c:
        c.execute(f"ALTER DATABASE {postgres.database} SET default_transaction_read_only = on")
        cut(c, postgres.database)
        try:
            yield
        finally:
            c.execute(f"ALTER DATABASE {postgres.database} RESET default_transaction_read_only")


def cut(c: psycopg.Connection, database: str) -> int:
    """End every connection to a database, whatever it is in the middle of."""
    sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    return c.execute(sql, (database,)).fetchone()[0]


@pytest.mark.slow
def test_a_failover_to_a_standby_is_answered_with_503_loses_nothing_and_heals(
    shared: Town, postgres, alertmanager_body
):
    shared.config["pagerduty"]["timeout"] = 10
    bot = shared.spawn()
    sender = Sender(bot, alertmanager_body("firing-single"))
    assert sender.send() == 202
    until(lambda: shared.roots() and shared.tickets())
    shared.pagerduty.faults.breaks("late", delay=3, times=1)
    assert sender.send() == 202
    until(lambda: len(shared.pages()) == 2)
    with read_only(postgres):
        assert [sender.send() for _ in range(3)] == [503] * 3
        assert sender.slowest < 2.5
        until(lambda: any(call.fault == "late" for call in list(shared.calls.calls)), timeout=10)
        told = bot.ask("incident open sev2 docs-api help")
        assert "read-only" in told["error"]
        until(lambda: ready(bot) != "ready\n", timeout=20)
    sender.again()
    until(lambda: ready(bot) == "ready\n", timeout=20)
    paged_once_each(shared, sender)
    assert sorted(asked(shared)) == sorted(set(asked(shared))), "a page that was accepted is not sent again"


def storm(sender: Sender, seconds: float, breaks: Callable[[], object]) -> None:
    """Alerts one after the other for a while, and something that breaks every now and then meanwhile."""
    done = threading.Event()

    def alerts() -> None:
        while not done.is_set():
            sender.send()
            done.wait(0.02)

    load = threading.Thread(target=alerts)
    load.start()
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            breaks()
            done.wait(0.15)
    finally:
        done.set()
        load.join(20)


@pytest.mark.slow
def test_connections_cut_in_the_middle_of_everything_cost_nothing(shared: Town, postgres, alertmanager_body):
    sender = Sender(shared.spawn(), alertmanager_body("firing-single"))
    with psycopg.connect(postgres.server.url(), autocommit=True) as c:
        storm(sender, 4.0, lambda: cut(c, postgres.database))
    sender.again()
    assert len(sender.taken) > 10
    paged_once_each(shared, sender)


@pytest.mark.slow
def test_a_database_that_crashes_under_load_costs_nothing(shared: Town, postgres, alertmanager_body):
    sender = Sender(shared.spawn(), alertmanager_body("firing-single"))
    storm(sender, 4.0, lambda: postgres.restart("immediate"))
    sender.again()
    assert len(sender.taken) > 10
    paged_once_each(shared, sender)
