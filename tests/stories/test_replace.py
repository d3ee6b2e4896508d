"""Two bots on one SQLite file: refused, unless the second is told to take the place of the first."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ground.town import Town
from ground.waiting import until

from bot.errors import ConfigError
from bot.files import Lock


@pytest.mark.slow
def test_a_bot_is_replaced_by_another_and_what_it_had_in_hand_is_carried_on(town: Town, alertmanager_body):
    first = town.spawn()
    town.pagerduty.faults.breaks("500")
    first.alert(alertmanager_body("firing-single"))
    until(lambda: town.roots() and town.tickets())
    second = town.spawn("--replace")
    assert first.process.wait(5) == 0, "it was asked to stop and has finished what was in flight"
    assert second.process.poll() is None
    town.pagerduty.faults.mend()
    until(lambda: len(town.pages()) == 1, timeout=30)
    until(lambda: "PagerDuty ✔" in town.shown(town.roots()[0]), timeout=30)
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == 1


def test_with_nobody_there_to_replace_it_just_starts(town: Town):
    (town.folder / "bot.db.lock").write_text("999999 this-machine")  # of a bot that was killed
    assert town.spawn("--replace").ask("incident list")["text"].startswith("No incident is open")


def test_a_bot_that_does_not_go_is_left_alone_and_named(town: Town):
    stuck = town.spawn()
    lock = Lock(town.folder / "bot.db")
    os.kill(stuck.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(
            ConfigError, match=rf"process {stuck.process.pid} was asked to stop 0\.3 s ago and still uses"
        ) as e:
            lock.take(replace=0.3)
        assert f"`kill -9 {stuck.process.pid}` loses nothing" in str(e.value)
    finally:
        os.kill(stuck.process.pid, signal.SIGCONT)
    assert stuck.process.wait(20) == 0, "what it was asked it does when it can"
    lock.take(replace=0.3)
    lock.release()


@contextmanager
def held(path: Path, says: str) -> Iterator[None]:
    """Somebody holds the lock, and says who it is."""
    with path.with_name(f"{path.name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.write(says)
        handle.flush()
        yield


@pytest.mark.parametrize("says", ["1 another-pod", "", "gibberish"])
def test_a_holder_that_is_not_on_this_machine_is_not_looked_for_here(tmp_path: Path, says: str):
    with (
        held(tmp_path / "bot.db", says),
        pytest.raises(ConfigError, match="runs in another container or on another machine .*Stop it there"),
    ):
        Lock(tmp_path / "bot.db").take(replace=1)


def test_a_process_that_is_no_bot_is_never_stopped(tmp_path: Path):
    """Its number may have been given to somebody else: in a container nearly everything is process 7."""
    stranger = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()", "serve"], stdin=subprocess.PIPE)
    try:
        with held(tmp_path / "bot.db", str(stranger.pid)), pytest.raises(ConfigError, match="so it is not stopped"):
            Lock(tmp_path / "bot.db").take(replace=1)
        assert stranger.poll() is None
    finally:
        stranger.communicate(timeout=10)


def test_a_bot_on_another_file_is_never_stopped(town: Town, tmp_path: Path):
    bystander = town.spawn()
    elsewhere = tmp_path / "elsewhere.db"
    with held(elsewhere, str(bystander.process.pid)), pytest.raises(ConfigError, match="so it is not stopped"):
        Lock(elsewhere).take(replace=1)
    assert bystander.process.poll() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_a_lock_that_root_leaves_behind_belongs_to_whom_the_database_belongs(tmp_path: Path):
    os.chown(tmp_path, 10001, 10001)
    lock = Lock(tmp_path / "bot.db")
    lock.take()
    lock.release()
    assert (tmp_path / "bot.db.lock").stat().st_uid == 10001


def test_on_postgresql_there_is_nobody_to_replace(town: Town):
    town.config["captain"]["database"] = "postgresql://captain@127.0.0.1:1/none"
    with pytest.raises(RuntimeError, match="--replace is for SQLite; on PostgreSQL replicas share the work"):
        town.spawn("--replace")
