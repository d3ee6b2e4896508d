"""The store: one writer on SQLite, group commit, and databases that cannot be used."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from ground.waiting import until
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ConfigError
from bot.gate import Gate, Turn
from bot.intake import Intake, Later
from bot.store import BATCH, GroupCommit, Store, away


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/bot.db")
    with made.write() as c:
        c.exec_driver_sql("create table notes (text text primary key check (text != 'bad'), done integer default 0)")
    yield made
    made.close()


def insert(c, entries):
    made = []
    for rows in entries:
        sql = "insert into notes (text) values (?) on conflict do nothing"
        made.append([row for row in rows if c.exec_driver_sql(sql, (row,)).rowcount])
    return made


class Heard:
    """Collects what the writer told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, Exception | None]] = []

    def __call__(self, result, error) -> None:
        self.told.append((result, error))


def written(store: Store) -> set[str]:
    with store.read() as c:
        return set(c.exec_driver_sql("select text from notes").scalars())


# ---- group commit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer_first", [False, True])
def test_a_caller_hears_after_the_commit_and_not_before(store: Store, answer_first):
    seen = []

    def handed_over(results):
        seen.append(("handed over", written(store), results))

    commits = GroupCommit(store, insert, handed_over, answer_first=answer_first)
    commits.start()
    commits.put(["a"], lambda result, error: seen.append(("told", written(store), result)))
    until(lambda: len(seen) == 2)
    commits.stop(time.monotonic() + 5)
    wanted = [("handed over", {"a"}, [["a"]]), ("told", {"a"}, ["a"])]
    assert seen == (wanted[::-1] if answer_first else wanted)


@pytest.mark.parametrize("bad", ["bad", "\ud800", object()], ids=["refused by the database", "no text", "no row"])
def test_one_bad_entry_does_not_take_the_others_down(store: Store, bad):
    heard = {name: Heard() for name in ("first", "bad", "last")}
    commits = GroupCommit(store, insert, lambda _results: None)
    for name, row in (("first", "1"), ("bad", bad), ("last", "2")):
        commits.put([row], heard[name])
    commits.start()  # they are one batch
    until(lambda: all(h.told for h in heard.values()))
    assert heard["first"].told == [(["1"], None)]
    assert heard["last"].told == [(["2"], None)]
    assert heard["bad"].told[0][0] is None
    assert heard["bad"].told[0][1] is not None
    after = Heard()
    commits.put(["3"], after)
    until(lambda: after.told)
    commits.stop(time.monotonic() + 5)
    assert written(store) == {"1", "2", "3"}


def test_many_entries_are_few_commits_and_a_stop_commits_what_is_queued(store: Store):
    batches, heard = [], Heard()
    commits = GroupCommit(store, insert, lambda results: batches.append(len(results)))
    for n in range(BATCH * 2 + 1):
        commits.put([str(n)], heard)
    commits.start()
    commits.stop(time.monotonic() + 10)
    assert batches == [BATCH, BATCH, 1]
    assert len(heard.told) == len(written(store)) == BATCH * 2 + 1


def test_a_database_that_is_locked_by_another_is_an_error_the_caller_hears(store: Store):
    """Nothing is split and tried one by one: the database does not answer anybody."""
    heard = Heard()
    commits = GroupCommit(store, _gone, lambda _results: None)
    commits.put(["1"], heard)
    commits.put(["2"], heard)
    commits.start()
    until(lambda: len(heard.told) == 2)
    commits.stop(time.monotonic() + 5)
    assert all(away(error) for _, error in heard.told)


def _gone(c, _entries):
    c.exec_driver_sql("select * from no_such_table_so_this_is_an_operational_error")


# ---- intake -----------------------------------------------------------------------------------------------------


def intake(store: Store, decide, **options) -> Intake[str]:
    def undecided(c, _before):
        return list(c.exec_driver_sql("select text from notes where done = 0 order by text").scalars())

    options = {"urgency": lambda item: (0,), "undecided": undecided} | options

    def each(items):
        for item in items:
            decide(item)

    return Intake(store, name="notes", write=insert, decide=each, **options)


def test_later_is_looked_at_again(store: Store):
    looked = []

    def decide(item: str) -> None:
        looked.append(item)
        if looked.count(item) < 3:
            raise Later

    taken = intake(store, decide)
    taken.start()
    taken.put(["a"], Heard())
    until(lambda: looked == ["a", "a", "a"])
    taken.stop(time.monotonic() + 5)


def test_the_most_urgent_goes_first_and_the_newest_among_equals(store: Store):
    decided, gate = [], threading.Event()

    def decide(item: str) -> None:
        gate.wait(5)
        decided.append(item)

    taken = intake(store, decide, urgency=lambda item: (int(item[0]),))
    taken.start()
    taken.put(["5 holds the thread"], Heard())
    until(lambda: taken.waiting() == 0 and taken._busy)
    heard = Heard()
    for row in ("2 old", "1 old", "2 new", "1 new", "3"):
        taken.put([row], heard)
    until(lambda: len(heard.told) == 5)
    gate.set()
    until(lambda: len(decided) == 6)
    taken.stop(time.monotonic() + 5)
    assert decided[1:] == ["1 new", "1 old", "2 new", "2 old", "3"]


def test_the_worst_does_not_wait_for_what_is_less_bad_to_be_decided_with_it(store: Store):
    decided, gate = [], threading.Event()

    def decide(items: list[str]) -> None:
        gate.wait(5)
        decided.append(list(items))

    taken: Intake[str] = Intake(
        store,
        name="notes",
        write=insert,
        decide=decide,
        urgency=lambda item: (int(item[0]),),
        undecided=lambda _c, _before: [],
        batch=3,
    )
    taken.start()
    taken.put(["9 holds the thread"], Heard())
    until(lambda: taken.waiting() == 0 and taken._busy)
    for row in ("2 a", "2 b", "2 c", "2 d", "1"):
        taken.put([row], Heard())
    until(lambda: taken.waiting() == 5)
    gate.set()
    until(lambda: sum(len(batch) for batch in decided) == 6)
    taken.stop(time.monotonic() + 5)
    assert decided[1:] == [["1"], ["2 d", "2 c", "2 b"], ["2 a"]]


def test_an_item_that_breaks_is_told_and_does_not_stop_the_others(store: Store):
    told, decided = [], []

    def decide(item: str) -> None:
        if item == "odd":
            raise RuntimeError("a fault of ours")
        decided.append(item)

    def broke(item: str) -> None:
        told.append(item)
        raise RuntimeError("and telling breaks too")

    taken = intake(store, decide, broke=broke)
    taken.start()
    taken.put(["odd"], Heard())
    until(lambda: told == ["odd"])
    taken.put(["even"], Heard())
    until(lambda: decided == ["even"])
    taken.stop(time.monotonic() + 5)


def test_what_a_kill_left_undecided_is_taken_up_and_what_is_in_hand_is_not_taken_twice(store: Store):
    with store.write() as c:
        insert(c, [["left"]])
    decided, gate = [], threading.Event()

    def decide(item: str) -> None:
        decided.append(item)
        gate.wait(5)

    taken = intake(store, decide, workers=2)
    taken.start()
    until(lambda: decided == ["left"])
    taken.refresh(0.0)
    assert taken.waiting() == 0
    gate.set()
    taken.stop(time.monotonic() + 5)
    assert decided == ["left"]


def test_known_only_what_was_remembered(store: Store):
    taken = intake(store, lambda _item: None)
    assert not taken.known("x")
    taken.remember(["x"])
    assert taken.known("x")


# ---- databases that cannot be used ------------------------------------------------------------------------------


def test_two_stores_on_one_file_are_refused(tmp_path: Path):
    one, two = (Store(f"sqlite:///{tmp_path}/bot.db") for _ in range(2))
    one.lock_file()
    with pytest.raises(ConfigError, match=rf"another bot \(process {os.getpid()}\) is using .*bot\.db.*PostgreSQL"):
        two.lock_file()
    one.close()
    two.lock_file()
    two.close()


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"the folder .*file/data cannot be made: Not a directory"):
        Store(f"sqlite:///{tmp_path}/file/data/bot.db")


def test_a_folder_that_cannot_be_written_says_so():
    with pytest.raises(ConfigError, match=r"bot\.db\.lock cannot be written: .*writable for the user"):
        Store("sqlite:////proc/bot.db").lock_file()


def test_a_file_that_is_no_database_says_so(tmp_path: Path):
    (tmp_path / "bot.db").write_text("these are notes, not a database\n" * 100)
    store = Store(f"sqlite:///{tmp_path}/bot.db")
    with pytest.raises(ConfigError, match=r"bot\.db is not a SQLite file, or a damaged one"):
        store.migrate()
    store.close()


def test_a_database_that_is_a_folder_says_so(tmp_path: Path):
    (tmp_path / "bot.db").mkdir()
    store = Store(f"sqlite:///{tmp_path}/bot.db")
    with pytest.raises(ConfigError, match=r"bot\.db cannot be used; .* must be writable for this user"):
        store.migrate()
    store.close()


AS_A_READER = """
import os, sys
from bot.errors import ConfigError
from bot.store import Store
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.chown("bot.db", 65534, 65534)
    os.seteuid(65534)
try:
    Store("sqlite:///bot.db").migrate()
except ConfigError as e:
    print(e)
"""


def test_a_database_that_is_read_only_says_so():
    """As a user who may read the file and not write it; root may do everything."""
    # Not pytest's own folder: other users may not pass through that one.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with contextlib.closing(sqlite3.connect(folder / "bot.db")) as c:
            c.execute("create table other (id integer)")
        (folder / "bot.db").chmod(0o444)
        folder.chmod(0o755)
        command = [sys.executable, "-c", AS_A_READER, name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert "must be writable for this user" in done.stdout, done.stderr
    assert "readonly database" in done.stdout


def test_a_connection_whose_server_has_become_a_standby_is_not_used_again(postgres):
    """Some failovers leave connections open to what was the primary: the pool must not hand them out for half an hour."""
    store = Store(postgres.url)
    with store.read() as c:
        c.exec_driver_sql("set default_transaction_read_only = on")
    with pytest.raises(sa.exc.DBAPIError, match="read-only transaction") as refused, store.write() as c:
        c.exec_driver_sql("create table notes (text text)")
    assert away(refused.value)
    with store.write() as c:
        c.exec_driver_sql("create table notes (text text)")
    store.close()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (sa.exc.OperationalError("", {}, Exception()), True),
        (sa.exc.InterfaceError("", {}, Exception()), True),
        (sa.exc.TimeoutError(), True),
        (ConnectionRefusedError(), True),
        (sa.exc.IntegrityError("", {}, Exception()), False),
        (sa.exc.ProgrammingError("", {}, Exception()), False),
        (ValueError(), False),
    ],
)
def test_away_is_told_from_refused(error, expected):
    assert away(error) is expected


def test_a_batch_in_which_one_item_breaks_is_decided_one_by_one(store: Store):
    decided, gate, begun = [], threading.Event(), threading.Event()

    def decide(items):
        begun.set()
        assert gate.wait(5)
        if len(items) > 1 and "odd" in items:
            raise ValueError("all or nothing")
        if items == ["odd"]:
            raise ValueError("this one")
        decided.extend(items)

    taken = Intake(
        store, name="notes", write=insert, decide=decide, urgency=lambda _: (0,), undecided=lambda _c, _b: [],
        broke=lambda item: decided.append(f"broken {item}"), batch=8,
    )  # fmt: skip
    taken.start()
    taken.put(["first"], lambda _new, _error: None)
    assert begun.wait(5)
    for item in ("a", "odd", "b"):
        taken.put([item], lambda _new, _error: None)
    until(lambda: taken.waiting() == 3)
    gate.set()
    until(lambda: len(decided) == 4)
    assert sorted(decided) == ["a", "b", "broken odd", "first"]
    taken.stop(time.monotonic() + 5)


def test_the_gate_lets_those_pass_whom_somebody_waits_for_but_starves_nobody():
    gate, order = Gate(), []

    def enter(turn):
        with gate.turn(turn):
            order.append(turn.name)

    with gate.turn(Turn.LATER):
        threads = [threading.Thread(target=enter, args=(turn,)) for turn in (*[Turn.LATER] * 3, *[Turn.SOON] * 3)]
        threads += [threading.Thread(target=enter, args=(Turn.FIRST,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        until(lambda: sum(len(waiting) for waiting in gate._waiting.values()) == 11)
    for thread in threads:
        thread.join(5)
    assert order == ["FIRST", "SOON", "FIRST", "LATER", "FIRST", "SOON", "FIRST", "LATER", "FIRST", "SOON", "LATER"]


@given(st.lists(st.sampled_from(Turn), max_size=40))
def test_whoever_waits_at_the_gate_is_passed_by_few(turns):
    """Everybody gets through, alone, and no turn goes twice in a row while one that it goes before waits."""
    gate, order, inside = Gate(), [], threading.Lock()

    def enter(turn):
        with gate.turn(turn):
            assert inside.acquire(blocking=False), "two at once"
            order.append(turn)
            inside.release()

    with gate.turn(Turn.LATER):
        threads = [threading.Thread(target=enter, args=(turn,)) for turn in turns]
        for thread in threads:
            thread.start()
        until(lambda: sum(len(waiting) for waiting in gate._waiting.values()) == len(turns))
    for thread in threads:
        thread.join(5)
    assert sorted(order) == sorted(turns)
    for i, (one, next_) in enumerate(itertools.pairwise(order)):
        if one is next_ is Turn.FIRST:
            assert set(order[i:]) == {Turn.FIRST}
    others = [turn for turn in order if turn is not Turn.FIRST]
    for i, (one, next_) in enumerate(itertools.pairwise(others)):
        if one is next_ is Turn.SOON:
            assert Turn.LATER not in others[i:]


def test_a_writer_that_raises_hands_the_gate_on():
    gate = Gate()
    with pytest.raises(ValueError, match="mine"), gate.turn(Turn.SOON):
        raise ValueError("mine")
    with gate.turn(Turn.LATER):
        pass
