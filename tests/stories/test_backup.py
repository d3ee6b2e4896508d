"""Backups: both files as of one instant while the bot runs, and back from one without doing anything twice."""

from __future__ import annotations

import json
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from ground.town import Bot, Town
from ground.waiting import until
from typer.testing import CliRunner

from bot import audit, backup, serving, upkeep
from bot.errors import ConfigError
from bot.files import Lock
from bot.store import Store


@dataclass(frozen=True)
class Told:
    """What a command of the machine came to."""

    returncode: int
    stdout: str
    stderr: str


def captain(town: Town, *words: str) -> Told:
    """Run a command as the console script does, but in this process, which is quicker."""
    app = serving.cli() if words[0] == "audit" else upkeep.cli()
    done = CliRunner().invoke(app, [*words, "--config", str(town.write())], catch_exceptions=False)
    return Told(done.exit_code, done.stdout, done.stderr)


def other(fire: dict[str, Any], number: int, service: str = "gateway") -> dict[str, Any]:
    """Another alert, which is another incident."""
    first = fire["alerts"][0]
    labels = first["labels"] | {"service": service, "slo": f"slo-{number}"}
    return fire | {"alerts": [first | {"labels": labels, "fingerprint": f"{number:016x}"}]}


def effects(town: Town) -> list[Any]:
    with closing(sqlite3.connect(town.folder / "bot.db")) as c:
        c.row_factory = sqlite3.Row
        return c.execute("select * from effects").fetchall()


def quiet(town: Town) -> bool:
    """Nothing is owed but reminders, which are for later."""
    return {row["state"] for row in effects(town) if row["kind"] != "remind"} <= {"done", "skipped"}


def unpacked(archive: Path, folder: Path) -> Sequence[Path]:
    folder.mkdir()
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return [folder / name for name in backup.NAMES]


# ---- backup -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_backups_under_load_are_of_one_instant_and_for_their_owner_alone(town: Town, alertmanager_body):
    bot, fire, done = town.spawn(), alertmanager_body("firing-single"), threading.Event()
    made: list[Path] = []

    def alerts() -> None:
        number = 0
        while not done.is_set():
            number += 1
            bot.alert(other(fire, number))

    load = threading.Thread(target=alerts)
    load.start()
    try:
        until(lambda: len(town.pages()) > 3, timeout=60)
        for number in range(3):
            archive = town.folder / "kept" / f"{number}.zip"
            archive.parent.mkdir(exist_ok=True)
            told = captain(town, "db", "backup", str(archive))
            assert told.returncode == 0, told.stderr
            assert "schema 0" in told.stdout
            made.append(archive)
    finally:
        done.set()
        load.join(10)
    assert {path.name for path in made[0].parent.iterdir()} == {"0.zip", "1.zip", "2.zip"}, (
        "nothing else is left behind"
    )
    tries = 0
    for archive in made:
        assert stat.S_IMODE(archive.stat().st_mode) == 0o600
        app, engine = unpacked(archive, archive.with_suffix(""))
        with closing(sqlite3.connect(app)) as c, closing(sqlite3.connect(engine)) as d:
            attempts = dict(c.execute("select key, attempt from effects"))
            ended = d.execute("select workflow_uuid from workflow_status where name = 'effect' and status = 'SUCCESS'")
            for key, _, attempt in (name.rpartition("#") for (name,) in ended):
                tries += 1
                assert attempts[key] >= int(attempt), "a try that has ended is in the ledger of the same instant"
    assert tries > 3
    bot.stop()
    town.folder.joinpath("bot.db").unlink()  # the archive needs nothing beside it
    assert captain(town, "db", "restore", str(made[-1]), "--yes").returncode == 0
    assert captain(town, "db", "check").returncode == 0


def test_a_backup_is_never_written_over_and_one_that_fails_leaves_nothing(town: Town, tmp_path: Path):
    town.start().stop()
    folder = tmp_path / "kept"
    folder.mkdir()
    assert captain(town, "db", "backup", str(folder)).returncode == 0
    (first,) = folder.iterdir()
    assert first.name.startswith("captain-20")
    told = captain(town, "db", "backup", str(first))
    assert told.returncode == 2
    assert "never written over" in told.stderr
    told = captain(town, "db", "backup", str(tmp_path / "nowhere" / "x.zip"))
    assert told.returncode == 2
    assert "No such file or directory. Nothing was left behind" in told.stderr
    assert list(folder.iterdir()) == [first]


def test_there_is_nothing_to_back_up_before_the_first_start(town: Town, tmp_path: Path):
    told = captain(town, "db", "backup", str(tmp_path / "x.zip"))
    assert told.returncode == 2
    assert "does not exist; `captain serve` makes it" in told.stderr


def test_a_damaged_database_is_not_backed_up_and_check_says_so(town: Town, tmp_path: Path):
    town.start().stop()
    with (tmp_path / "bot.db").open("r+b") as f:
        f.seek(4096 * 3)
        f.write(b"\xff" * 4096 * 4)
    told = captain(town, "db", "backup", str(tmp_path / "x.zip"))
    assert told.returncode == 2
    assert "damaged" in told.stderr or "could not be read" in told.stderr
    assert not (tmp_path / "x.zip").exists()
    told = captain(town, "db", "check")
    assert told.returncode == 2
    assert "bot.db is damaged" in told.stderr
    assert "restore the last backup" in told.stderr


# ---- restore -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_was_owed_in_a_backup_and_done_since_is_not_done_twice(town: Town, alertmanager_body):
    bot, fire = town.spawn(), alertmanager_body("firing-single")
    for fake in (town.pagerduty, town.slack, town.jira):
        fake.faults.breaks("500")
    bot.alert(fire)
    bot.alert(other(fire, 1))

    def kinds(**wanted: object) -> list[str]:
        rows = effects(town)
        return sorted(row["kind"] for row in rows if all(row[name] == value for name, value in wanted.items()))

    until(lambda: kinds(state="waiting").count("note") == 2, message="the checks' words do not wait for their thread")
    until(lambda: len([row for row in effects(town) if row["tried"] == 0 and row["state"] != "done"]) > 2)
    archive = town.folder / "kept.zip"
    assert captain(town, "db", "backup", str(archive)).returncode == 0
    for fake in (town.pagerduty, town.slack, town.jira):
        fake.faults.mend()
    until(lambda: len(town.pages()) == len(town.tickets()) == len(town.roots()) == 2, timeout=40)
    until(lambda: quiet(town), timeout=20)
    said = sorted(text for root in town.roots() for text in town.thread(root))
    bot.stop()

    told = captain(town, "db", "restore", str(archive), "--yes")
    assert told.returncode == 0, told.stderr
    assert "it is looked for before it is done again" in told.stdout
    assert not quiet(town), "the backup does not know what has been done since"
    again = town.spawn()
    until(lambda: quiet(town), timeout=60, message="what was owed stays owed")
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == 2
    assert sorted(text for root in town.roots() for text in town.thread(root)) == said
    rows = again.ask("incident list")["data"]
    assert {row["thread_ts"] for row in rows} == {root["ts"] for root in town.roots()}
    assert {row["ticket_key"] for row in rows} == {ticket["key"] for ticket in town.tickets()}
    assert captain(town, "audit", "verify").stdout.startswith("the audit chain holds: 1 entries")


@pytest.mark.slow
def test_an_incident_that_the_backup_does_not_know_is_found_when_its_alert_comes_again(town: Town, alertmanager_body):
    bot, fire = town.spawn(), alertmanager_body("firing-single")
    archive = town.folder / "kept.zip"
    assert captain(town, "db", "backup", str(archive)).returncode == 0
    bot.alert(fire)
    until(lambda: town.roots() and town.tickets() and town.thread(town.roots()[0]), timeout=20)
    until(lambda: quiet(town), timeout=20)
    bot.stop()
    assert captain(town, "db", "restore", str(archive), "--yes").returncode == 0
    again = town.spawn()
    assert again.alert(fire).json()["accepted"] == 1
    until(lambda: again.ask("incident list")["data"], timeout=20)
    until(lambda: effects(town) and quiet(town), timeout=20)
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == 1
    assert len(town.thread(town.roots()[0])) == 1


def test_a_bot_that_runs_is_not_restored_under_its_feet(town: Town, tmp_path: Path):
    bot = town.spawn()
    archive = tmp_path / "x.zip"
    assert captain(town, "db", "backup", str(archive)).returncode == 0
    told = captain(town, "db", "restore", str(archive), "--yes")
    assert told.returncode == 2
    assert f"another bot (process {bot.process.pid}) is using" in told.stderr
    assert f"in use by a bot (process {bot.process.pid})" in captain(town, "db", "check").stdout


def test_a_restore_asks_first(town: Town, tmp_path: Path):
    town.start().stop()
    archive = tmp_path / "x.zip"
    captain(town, "db", "backup", str(archive))
    told = captain(town, "db", "restore", str(archive))
    assert told.returncode == 2
    assert "Say --yes if so; nothing was changed" in told.stderr


def rewritten(archive: Path, target: Path, **changes: Any) -> Path:
    """A copy of an archive whose manifest, or one of whose files, says something else; None leaves a file out."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == backup.MANIFEST:
                content = json.dumps(json.loads(content) | {k: v for k, v in changes.items() if "." not in k}).encode()
            if changes.get(name, content) is not None:
                new.writestr(name, changes.get(name, content))
    return target


def test_what_cannot_be_restored_is_refused_and_changes_nothing(town: Town, tmp_path: Path):
    town.start().stop()
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    captain(town, "db", "backup", str(good))
    before = {path.name: path.read_bytes() for path in tmp_path.glob("bot*.db")}
    cut = good.read_bytes()
    garbage = zipfile.ZipFile(good).read("bot.db")[:-4096] + b"\xff" * 4096
    for made, why in (
        (lambda: rewritten(good, bad, revision="9999"), "this release knows no further than"),
        (lambda: rewritten(good, bad, format=2, release="9.9.9"), "was made by release 9.9.9"),
        (lambda: rewritten(good, bad, **{"bot.db": garbage}), "bot.db is not what its checksum says"),
        (lambda: rewritten(good, bad, **{"bot.dbos.db": None}), "bot.dbos.db is missing in it"),
        (lambda: rewritten(good, bad, files={}), "is no backup of Release Captain, or is damaged"),
        (lambda: rewritten(good, bad, **{backup.MANIFEST: b"[]"}), "is no backup of Release Captain"),
        (lambda: bad.write_bytes(cut[: len(cut) // 2]), "is no backup of Release Captain"),
        (lambda: bad.write_text("hello"), "is no backup of Release Captain"),
        (lambda: bad.unlink(), "does not exist"),
    ):
        bad.unlink(missing_ok=True)
        if why != "does not exist":
            made()
        told = captain(town, "db", "restore", str(bad), "--yes")
        assert told.returncode == 2, why
        assert why in told.stderr, told.stderr
        assert {path.name: path.read_bytes() for path in tmp_path.glob("bot*.db")} == before
        assert list(tmp_path.glob("*.restor*")) == []


KILLED_AT = """
import os, shutil, signal, sys, time
from pathlib import Path
from bot import backup

folder, archive, first, last = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

def killed_at(step, path):
    left = step

    def kill(event, arguments):
        nonlocal left
        if event in ("os.rename", "os.remove"):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill)
    backup.restore(path, archive, actor="nobody", now=time.time())

for step in range(first, last + 1):
    here = folder
    if last > first:
        here = folder.with_name(f"{folder.name}-{step}")
        shutil.copytree(folder, here)
    child = os.fork()
    if child == 0:
        killed_at(step, here / "bot.db")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(here, os.waitstatus_to_exitcode(status))
"""
"""Restores, and is killed -9 right before the nth time that a file is renamed or removed."""


def killed(folder: Path, archive: Path, first: int, last: int) -> list[tuple[Path, int]]:
    """For each step the folder it was killed in (a copy when there are several), and how the process ended."""
    command = [sys.executable, "-c", KILLED_AT, str(folder), str(archive), str(first), str(last)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [(Path(path), int(code)) for path, code in (line.rsplit(" ", 1) for line in done.stdout.splitlines())]


def notes(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as c:
        return [text for (text,) in c.execute("select text from marks")]


@pytest.mark.slow
def test_killed_anywhere_in_a_restore_the_database_is_the_old_or_the_restored_one(tmp_path: Path):
    """The files it replaces are those of a bot that was killed as well: what it wrote last is in its write-ahead logs."""
    archive, folder, old = tmp_path / "kept.zip", tmp_path / "at", ["restored", "old"]
    live = [folder / "bot.db", folder / "bot.dbos.db"]
    store = Store(f"sqlite:///{live[0]}")
    store.migrate()
    store.close()
    for file in live:
        mark(file, "restored").communicate("")
    backup.save(live[0], archive)
    for process in [mark(file, "old") for file in live]:
        process.kill()
        process.communicate(timeout=10)
    assert all(file.with_name(f"{file.name}-wal").stat().st_size for file in live)

    steps = killed(folder, archive, 1, 14)
    survived = [code for _, code in steps if code == 0]
    assert len(survived) in range(1, 4), "it is killed at every step but the last few, which are none"
    seen = []
    for here, code in steps:
        assert code in (0, -signal.SIGKILL)
        lock = Lock(here / "bot.db")
        lock.take()  # as the next bot does
        found = [notes(here / file.name) for file in live]
        kept = sorted(here.glob("bot*.before-restore-*Z"))
        if found[0] == old:
            assert kept == []
        else:
            assert found[0] == ["restored"]
            assert [notes(file) for file in kept] == [old, old], "what was replaced is kept whole"
        assert found[0] == found[1], f"halved: {here.name}"
        lock.release()
        seen.append(found[0])
    assert old in seen
    assert seen.count(["restored"]) > 5


HOLD = """
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("pragma journal_mode=wal")
c.execute("create table if not exists marks (text text)")
c.execute("insert into marks values (?)", (sys.argv[2],))
c.commit()
print("done", flush=True)
sys.stdin.read()
c.close()
"""


def mark(file: Path, text: str) -> subprocess.Popen[str]:
    """A process that has written a mark into a file, and has it only in the log until it ends."""
    command = [sys.executable, "-c", HOLD, str(file), text]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "done\n"
    return process


@pytest.mark.slow
def test_an_interrupted_restore_is_seen_by_who_only_looks_and_ended_by_the_next_start(town: Town, tmp_path: Path):
    town.start().stop()
    archive = tmp_path / "x.zip"
    captain(town, "db", "backup", str(archive))
    assert killed(tmp_path, archive, 5, 5) == [(tmp_path, -signal.SIGKILL)]
    assert (tmp_path / "bot.db.restore").exists()
    for words in (("db", "check"), ("db", "backup", str(tmp_path / "y.zip")), ("purge",), ("audit", "verify")):
        told = captain(town, *words)
        assert told.returncode == 2
        assert "was interrupted. The next `captain serve` or `captain db restore` carries it to its end" in told.stderr
    town.spawn().stop()
    store = Store(f"sqlite:///{tmp_path}/bot.db")
    with store.read() as c:
        assert audit.verify(c) == (1, "")
    store.close()
    assert captain(town, "db", "check").returncode == 0


# ---- PostgreSQL ----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_on_postgresql_the_commands_it_names_do_it(town: Town, postgres, alertmanager_body):
    tools = postgres.server.binaries
    if not (tools / "pg_restore").exists():
        pytest.skip("these PostgreSQL binaries come without pg_dump and pg_restore")
    town.config["captain"]["database"] = postgres.url
    told = captain(town, "db", "backup", str(town.folder / "captain.dump"))
    assert told.returncode == 2
    dump, restore, last = [line.split() for line in told.stderr.splitlines() if line.startswith("  ")]
    assert last == ["captain", "db", "restored"]

    bot = town.spawn()
    for fake in (town.pagerduty, town.slack, town.jira):
        fake.faults.breaks("500")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: owed(bot) >= {"page", "root", "ticket", "note"})
    subprocess.run([str(tools / dump[0]), *dump[1:]], check=True, timeout=30)
    for fake in (town.pagerduty, town.slack, town.jira):
        fake.faults.mend()
    until(lambda: not owed(bot), timeout=40)
    bot.stop()

    subprocess.run([str(tools / restore[0]), *restore[1:]], check=True, timeout=30)
    told = captain(town, *last[1:])
    assert told.returncode == 0, told.stderr
    assert "it is looked for before it is done again" in told.stdout
    bot = town.spawn()
    until(lambda: not owed(bot), timeout=60)
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == 1
    assert len(town.thread(town.roots()[0])) == 1
    assert "PostgreSQL" in captain(town, "db", "check").stdout


def test_a_standby_and_an_empty_database_are_told_apart(town: Town, postgres):
    town.config["captain"]["database"] = postgres.url
    told = captain(town, "db", "check")
    assert told.returncode == 2
    assert "the schema dbos is missing" in told.stderr
    with psycopg.connect(postgres.server.url(), autocommit=True) as c:
        c.execute(f"ALTER DATABASE {postgres.database} SET default_transaction_read_only = on")
    for words in (("db", "check"), ("db", "restored"), ("purge",), ("audit", "verify")):
        told = captain(town, *words)
        assert told.returncode == 2
        assert "is read-only; name the primary, not a standby" in told.stderr


def owed(bot: Bot) -> set[str]:
    found = bot.ask("incident show INC-1").get("data", {}).get("effects", [{"kind": "all of it", "state": "owed"}])
    return {effect["kind"] for effect in found if effect["state"] not in ("done", "skipped")} - {"remind"}


# ---- purge -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_purging_by_hand_counts_deletes_and_shrinks(town: Town, alertmanager_body):
    bot = town.spawn()
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: town.roots() and quiet(town), timeout=20)
    with closing(sqlite3.connect(town.folder / "bot.db", timeout=10)) as c:
        sql = (
            "insert into alerts (received_at, fingerprint, starts_at, status, service, labels, annotations, group_key, verdict) "
            "values (0, ?, 1, 'firing', 'x', ?, '{}', '', 'nobody is paged')"
        )
        c.executemany(sql, [(f"{n:x}", "x" * 2000) for n in range(1500)])
        c.commit()
    told = captain(town, "purge", "--dry-run")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("Older than 90 days would go: 1500 alerts, 0 refusals")
    told = captain(town, "purge", "--older-than", "12w")
    assert told.stdout.startswith("Older than 84 days, gone: 1500 alerts, 0 refusals")
    assert "The files keep their size while the bot runs" in told.stdout
    assert "→" in captain(town, "purge", "--vacuum").stdout, "unless that is meant"
    assert bot.ask("incident list")["data"]
    bot.stop()
    assert (town.folder / "bot.db").stat().st_size < 1_000_000
    told = captain(town, "purge")
    assert "gone: 0 alerts" in told.stdout
    assert "→" in told.stdout
    assert town.spawn().ask("incident list")["data"]


def test_an_age_that_is_none_is_refused(town: Town):
    town.start().stop()
    for age in ("soon", "0d", "12", "-3d", "0.5d"):
        told = captain(town, "purge", "--older-than", age)
        if age == "12":
            assert told.returncode == 0, "a number alone is days"
        else:
            assert told.returncode == 2
            assert "wants an age of a day or more, such as 90d or 12w" in told.stderr


def test_the_secrets_of_the_outside_services_are_not_needed(town: Town):
    town.start().stop()
    town.config["slack"]["bot_token"] = "${NOT_SET_ANYWHERE}"
    assert captain(town, "db", "check").returncode == 0
    assert yaml.safe_load(town.file.read_text())["slack"]["bot_token"] == "${NOT_SET_ANYWHERE}"


def test_a_schema_of_a_newer_release_is_refused_with_what_to_do(town: Town):
    town.start().stop()
    with closing(sqlite3.connect(town.folder / "bot.db")) as c:
        c.execute("update alembic_version set version_num = '9999'")
        c.commit()
    with pytest.raises(ConfigError, match=r"its schema \(9999\) is of a newer release; this one knows no further than"):
        town.start()
    told = captain(town, "db", "check")
    assert told.returncode == 2
    assert "schema 9999 is of a newer release" in told.stderr
