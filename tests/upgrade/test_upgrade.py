"""Upgrades: a release that was killed in the middle of its work is carried on by today's code, and nothing is done twice."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from ground.town import Bot, Town, user
from ground.waiting import until
from recorded import ALERTS, BY_HAND, Recording, body, moved, read

from bot import audit
from bot.store import MIGRATIONS, Store

HERE = Path(__file__).parent
RELEASES = sorted(folder.name for folder in HERE.iterdir() if (folder / "sqlite").is_dir())
ACKNOWLEDGED, PARKED, OWED = 2, 4, 6
"""Numbers of the recorded incidents; INC-1 is resolved, and a person opened INC-3."""
EVERY = len(ALERTS) + 1


def play(town: Town, release: str, database: str) -> Recording:
    """Put the world of a recording around the bot that is about to start."""
    made = read(HERE / release / database, now=time.time() - 5, stand_ins=town.served.url)
    for name in ("slack", "pagerduty", "jira"):
        getattr(town, name).load(made.world[name])
    return made


@pytest.fixture(params=RELEASES)
def release(request) -> str:
    return request.param


@pytest.fixture
def on_sqlite(town: Town, release: str) -> Town:
    for name, sql in play(town, release, "sqlite").databases.items():
        with closing(sqlite3.connect(town.folder / f"{name}.db")) as c:
            c.executescript(sql)
    return town


@pytest.fixture
def on_postgresql(town: Town, postgres, release: str) -> Town:
    town.config["captain"]["database"] = postgres.url
    with psycopg.connect(postgres.url, autocommit=True) as c:
        c.execute(play(town, release, "postgresql").databases["bot"])
    return town


@pytest.fixture(params=["sqlite", "postgresql"])
def recorded(request, release: str) -> Town:
    return request.getfixturevalue(f"on_{request.param}")


def shown(bot: Bot, number: int) -> dict[str, Any]:
    return bot.ask(f"incident show INC-{number}")["data"]


def everything(bot: Bot) -> list[dict[str, Any]]:
    """Every incident, oldest first. PostgreSQL gives a number twice never, and one that was rolled back not at all."""
    numbers = sorted(row["number"] for row in bot.ask("incident list --all")["data"])
    return [shown(bot, number) for number in numbers]


def settled(bot: Bot) -> bool:
    """Nothing is owed for any incident but what was parked, and reminders, which are for later."""
    effects = [effect for row in everything(bot) for effect in row["effects"] if effect["kind"] != "remind"]
    states = Counter(effect["state"] for effect in effects)
    return not states.keys() - {"done", "skipped", "gave_up"}


def once(rows: list[str], count: int) -> None:
    """There are so many of them, and no two are the same."""
    assert len(rows) == count
    assert len(set(rows)) == count, rows


def test_there_is_a_recording_of_the_last_release():
    assert RELEASES


@pytest.mark.slow
def test_what_the_last_release_left_open_is_done_and_done_once(recorded: Town):
    bot = recorded.spawn()
    until(lambda: len(recorded.pages()) == EVERY, timeout=30, message="somebody was forgotten")
    until(lambda: len(recorded.roots()) == EVERY and len(recorded.tickets()) == EVERY - 1, timeout=30)
    until(lambda: settled(bot), timeout=30, message="something stays owed")
    until(lambda: shown(bot, OWED)["acked_by"] == "alice", message="the command that was taken is not done")
    until(lambda: "You acknowledged INC-6" in "\n".join(recorded.whispers(user(recorded, "alice"))))

    # What was given up stays so until a person has mended its cause: gateway names a project that exists by now.
    assert [e["kind"] for e in shown(bot, PARKED)["effects"] if e["state"] == "gave_up"] == ["ticket"]
    bot.ask(f"incident repair INC-{PARKED}")
    until(lambda: len(recorded.tickets()) == EVERY, timeout=20)
    until(lambda: settled(bot))

    # What the last release knew is known: an alert that comes again is no news, and one that ends, ends.
    assert bot.alert(body("owed")).json()["duplicates"] == 1
    assert bot.alert(body("acknowledged", status="resolved")).status_code == 202
    until(lambda: shown(bot, ACKNOWLEDGED)["status"] == "resolved")
    until(lambda: settled(bot))

    once([page["dedup_key"] for page in recorded.pages()], EVERY)
    once([label for t in recorded.tickets() for label in t["labels"] if label.startswith("captain-")], EVERY)
    once([root["ts"] for root in recorded.roots()], EVERY)
    incidents = everything(bot)
    once([row["thread_ts"] for row in incidents], EVERY)
    once([row["ticket_key"] for row in incidents], EVERY)
    assert [row["title"] for row in incidents if row["source"] == "person"] == [BY_HAND]
    status = Counter(page["status"] for page in recorded.pages())
    assert status == {"resolved": 2, "acknowledged": 1, "triggered": EVERY - 3}
    for root in recorded.roots():
        once(recorded.thread(root), len(recorded.thread(root)))
    bot.stop()
    store = Store(recorded.config["captain"]["database"])
    with store.read() as c:
        # Acknowledged and opened by the last release, acknowledged and repaired by this one.
        assert audit.verify(c) == (4, "")
        assert c.exec_driver_sql("select version_num from alembic_version").scalar() == head()
    store.close()


def head() -> str | None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config).get_current_head()


@pytest.mark.slow
def test_while_both_releases_run_the_old_one_can_write_and_the_new_one_does_it(on_postgresql: Town, postgres):
    """A rolling upgrade: the old replica knows nothing of the new columns and is killed with work in hand."""
    on_postgresql.config["captain"]["lease"] = 2
    with psycopg.connect(postgres.url, autocommit=True) as c:
        tables = [name for (name,) in c.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        known = {name: columns(c, name) for name in tables if name != "alembic_version"}
        bot = on_postgresql.spawn()
        until(lambda: settled(bot), timeout=30)
        grown = {name: set(columns(c, name)) - set(known[name]) for name in known}
        assert grown["effects"], "the schema has not changed since: record a younger release"
        for name, instead in OTHER_KEYS.items():
            again(c, name, known[name], instead)
        note = {"key": "key || ':again'", "args": """'{"text": "said by the old release"}'""", "state": "'owed'"}
        where = f"kind = 'note' AND about = {ACKNOWLEDGED} AND key LIKE '%:checks'"
        again(c, "effects", known["effects"], note | {"attempt": "0", "tried": "0"}, where=where)
    until(lambda: any("said by the old release" in m["text"] for m in on_postgresql.messages()), timeout=15)
    once([page["dedup_key"] for page in on_postgresql.pages()], EVERY)


OTHER_KEYS = {
    "alerts": {"id": "id + 1000", "fingerprint": "'00000000000000ff'"},
    "inbox": {"key": "key || ':again'", "done_at": "0"},
    "replicas": {"id": "'old-1-12345678'", "seen": "seen + 10"},
}
"""What a row that is inserted once more has instead, so that it is another one."""


def columns(c: psycopg.Connection, table: str) -> list[str]:
    sql = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
    return [name for (name,) in c.execute(sql, (table,))]


def again(c: psycopg.Connection, table: str, names: list[str], instead: dict[str, str], *, where: str = "true") -> None:
    """Insert a row once more as the old release would: its own columns, no others; some of them with another value."""
    values = ", ".join(instead.get(name, f'"{name}"') for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    sql = f"INSERT INTO {table} ({listed}) SELECT {values} FROM {table} WHERE {where} LIMIT 1"
    assert c.execute(sql).rowcount == 1


def test_only_times_of_the_recorded_day_are_moved_and_sealed_ones_are_not():
    at = 1_795_634_794.0
    for text, then in (
        ("(1795634794.25,'x')", "(1795634894.25,'x')"),
        ("1795634794250", "1795634894250"),
        ("'1795634794.000100'", "'1795634894.000100'"),
        ("1795634794000100", "1795634894000100"),
        ("1767323041000000", "1767323041000000"),
        ("OPS-1795634794 a1795634794 0.1795634794", "OPS-1795634894 a1795634794 0.1795634794"),
        ('INSERT INTO "audit" VALUES(1,1795634794.5)', 'INSERT INTO "audit" VALUES(1,1795634794.5)'),
        ("INSERT INTO public.audit VALUES (1, 1795634794.5)", "INSERT INTO public.audit VALUES (1, 1795634794.5)"),
    ):
        assert moved(text, at=at, by=100) == then
