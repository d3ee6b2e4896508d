"""The journal of refusals: complete for whoever has the secret, and no way for a stranger to fill the disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from ground.waiting import until
from hypothesis import given
from hypothesis import strategies as st

from bot.refusals import KNOWN, MAX_PAYLOAD, REFUSALS, Refusal, Refusals, cut
from bot.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/bot.db")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def refusals(store: Store) -> Iterator[Refusals]:
    made = Refusals(store)
    made.start()
    yield made
    made.stop(time.monotonic() + 5)


def rows(store: Store) -> list[sa.Row]:
    with store.read() as c:
        return list(c.execute(sa.select(REFUSALS()).order_by(REFUSALS().c.id)).all())


def put(refusals: Refusals, *given: Refusal) -> None:
    written = threading.Event()
    refusals.put(given, written.set)
    assert written.wait(5)


def test_a_refusal_is_durable_when_it_is_answered(store: Store, refusals: Refusals):
    put(refusals, Refusal(5.0, "alertmanager", 400, "the body is not JSON", b"{nonsense"))
    (row,) = rows(store)
    assert (row.received_at, row.source, row.status) == (5.0, "alertmanager", 400)
    assert (row.reason, row.payload) == ("the body is not JSON", "{nonsense")


def test_strangers_leave_one_row_a_minute_without_what_they_sent_and_are_counted(store: Store, refusals: Refusals):
    for n in range(500):
        put(
            refusals,
            Refusal(1000.0 + n / 100, "alertmanager", 401, "the bearer token is wrong", b"x" * 999, stranger=True),
        )
    assert len(rows(store)) == 1
    put(refusals, Refusal(1061.0, "alertmanager", 401, "the bearer token is wrong", b"x", stranger=True))
    assert len(rows(store)) == 2
    refusals.stop(time.monotonic() + 5)
    summed = rows(store)[-1]
    assert summed.reason == "the bearer token is wrong (this one and 498 more like it, the last at 00:16:44 UTC)"
    assert {row.payload for row in rows(store)} == {""}


def test_a_known_sender_gone_mad_has_an_end_too(store: Store, refusals: Refusals):
    big = b"y" * MAX_PAYLOAD
    put(refusals, *[Refusal(1000.0, "alertmanager", 422, f"reason {n % 7}", big) for n in range(KNOWN.rows + 10)])
    put(refusals, Refusal(1000.0, "pagerduty", 400, "another source has its own share", b"z"))
    assert len(rows(store)) == KNOWN.rows + 1
    assert sum(len(row.payload) for row in rows(store)) <= KNOWN.size + 1
    refusals.stop(time.monotonic() + 5)
    assert min(row.reason for row in rows(store)[KNOWN.rows + 1 :]).startswith("reason 0 (this one and 1 more like it")


def test_the_share_is_new_after_a_clock_that_was_set_back(store: Store, refusals: Refusals):
    put(refusals, Refusal(5000.0, "alertmanager", 401, "no", stranger=True))
    put(refusals, Refusal(1000.0, "alertmanager", 401, "no", stranger=True))
    assert len(rows(store)) == 2


def test_a_journal_that_cannot_be_written_is_said_to_have_ended_and_the_next_is_written(
    store: Store, refusals: Refusals
):
    with store.write() as c:
        c.exec_driver_sql("alter table refusals rename to elsewhere")
    put(refusals, Refusal(1.0, "alertmanager", 400, "lost"))
    with store.write() as c:
        c.exec_driver_sql("alter table elsewhere rename to refusals")
    put(refusals, Refusal(2.0, "alertmanager", 400, "kept"))
    assert [row.reason for row in rows(store)] == ["kept"]


def test_deliveries_that_the_database_could_not_take_are_told_of_later(store: Store):
    refusals = Refusals(store, window=0.05)
    refusals.start()
    for n in range(3):
        refusals.count(Refusal(100.0 + n, "alertmanager", 503, "the database does not answer; send it again"))
    until(lambda: rows(store))
    refusals.stop(time.monotonic() + 5)
    assert rows(store)[0].reason.endswith("(this one and 2 more like it, the last at 00:01:42 UTC)")
    assert rows(store)[0].received_at == 100.0


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)), st.integers(0, 2))
def test_any_payload_becomes_text_that_a_database_takes(payload, times):
    text = cut(payload * 10 ** (2 * times))
    assert "\0" not in text
    assert len(text.encode()) <= MAX_PAYLOAD
