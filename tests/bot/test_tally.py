"""Counts that are not worth a commit: gathered, written down soon, kept while the database is away, and bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from ground.waiting import until

from bot.store import Store
from bot.tally import A_TRANSACTION, Count, Tally


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/bot.db")
    yield made
    made.close()


class Book:
    """Writes counts down as a subject would, or cannot."""

    def __init__(self) -> None:
        self.written: list[dict[str, Count]] = []
        self.away = threading.Event()
        self.missing: set[str] = set()

    def __call__(self, _c, counts):
        if self.away.is_set():
            raise sa.exc.OperationalError("", {}, Exception("the database is away"))
        self.written.append({key: count for key, count in counts.items() if key not in self.missing})
        return self.missing & set(counts)

    def total(self, key: str) -> int:
        return sum(part[key].n for part in self.written if key in part)


def tally(store: Store, book: Book, **more) -> Tally[str]:
    made = Tally(store, book, name="test", **({"every": 0.01} | more))
    made.start()
    return made


def test_what_came_often_is_one_write_with_its_first_and_last_time(store: Store):
    book = Book()
    made = tally(store, book, every=0.1)
    for n in range(50):
        made.note(["a", "b"] if n == 0 else ["a"], 100.0 + n)
    until(lambda: book.total("a") == 50)
    made.stop(time.monotonic() + 5)
    assert book.written == [{"a": Count(50, 100.0, 149.0), "b": Count(1, 100.0, 100.0)}]


def test_a_clean_stop_writes_what_is_counted(store: Store):
    book = Book()
    made = tally(store, book, every=60.0)
    made.note(["a"], 1.0)
    made.stop(time.monotonic() + 5)
    assert book.total("a") == 1


def test_counts_outlive_a_database_that_is_away_and_new_ones_have_an_end(store: Store):
    book = Book()
    book.away.set()
    made = tally(store, book, most=3)
    for n in range(10):
        made.note([f"key {n}", "key 0"], float(n))
    threading.Event().wait(0.1)  # some vain tries
    made.note(["key 0"], 99.0)
    book.away.clear()
    until(lambda: book.written)
    made.stop(time.monotonic() + 5)
    assert book.total("key 0") == 12
    assert book.total("key 2") == 1
    assert book.total("key 9") == 0, "memory has an end"


def test_what_cannot_be_counted_now_is_tried_once_more_and_then_forgotten(store: Store):
    book = Book()
    book.missing = {"busy", "gone"}
    made = tally(store, book, every=0.2)
    made.note(["busy", "gone"], 1.0)
    until(lambda: book.written == [{}])
    book.missing = {"gone"}
    until(lambda: book.total("busy") == 1)
    made.note(["other"], 2.0)
    until(lambda: book.total("other") == 1)
    made.stop(time.monotonic() + 5)
    assert len(book.written) == 3, "what is gone is not tried for ever"


def test_many_counts_are_written_in_short_turns(store: Store):
    book = Book()
    made = tally(store, book, every=60.0)
    made.note([str(n) for n in range(A_TRANSACTION * 2 + 1)], 1.0)
    made.stop(time.monotonic() + 5)
    assert [len(part) for part in book.written] == [A_TRANSACTION, A_TRANSACTION, 1]


def test_it_waits_while_alerts_need_the_database(store: Store):
    book, pressed = Book(), threading.Event()
    pressed.set()
    made = tally(store, book, pressed=pressed.is_set)
    made.note(["a"], 1.0)
    threading.Event().wait(0.2)
    assert book.written == []
    pressed.clear()
    until(lambda: book.total("a") == 1)
    made.stop(time.monotonic() + 5)
