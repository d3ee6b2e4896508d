"""A copied history is as what the bot writes: the same tables, the same columns filled, and nothing of its model but the shape."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ground import history
from ground.town import Town, town
from ground.waiting import until

from bot.store import Store

__all__ = ["town"]
EACH, NUMBERS = 3, {"model": (1, 2), "written": (3, 4), "open": (5,)}
OFTEN = ("panel",)
"""Kinds of effects that there are more or fewer of, as events happen to ride along."""


@pytest.fixture
def lived(town: Town, alertmanager_body) -> Store:
    """A database in which the bot wrote four incidents that are over, two after two, and one that is open."""
    bot, body = town.start(), alertmanager_body("firing-single")
    one = body["alerts"][0]

    def deliver(slo: int, status: str, alerts: int) -> None:
        labels = one["labels"] | {"slo": f"slo-{slo}"}
        made = [one | {"status": status, "fingerprint": f"{slo:08x}{n:08x}", "labels": labels} for n in range(alerts)]
        assert bot.alert(body | {"status": status, "alerts": made}).status_code == 202

    for number in (*NUMBERS["model"], *NUMBERS["written"]):
        deliver(number, "firing", EACH)
        until(lambda n=number: len(town.tickets()) == len(town.pages()) == n)
        bot.ask(f"incident ack INC-{number}")
        deliver(number, "resolved", EACH)
        until(lambda n=number: sum(page["status"] == "resolved" for page in town.pages()) == n)
    deliver(NUMBERS["open"][0], "firing", 1)
    until(lambda: len(town.tickets()) == 5)
    unsettled = "select count(*) from effects where lane != 'reminders' and state not in ('done', 'skipped')"
    store = bot.captain.store
    until(lambda: _one(store, unsettled) == 0, message="something is still on its way")
    return store


def _one(store: Store, sql: str) -> Any:
    with store.read() as c:
        return c.exec_driver_sql(sql).scalar_one()


def _rows(store: Store, number: int) -> Mapping[str, list[dict[str, Any]]]:
    """All that is about an incident, by table, in the order in which it was written."""
    with store.read() as c:
        asked = {
            name: f"select * from {name} where {of} = {number} order by rowid"
            for name, of in history.OF_AN_INCIDENT.items()
        }
        return {name: [dict(row) for row in c.execute(sa.text(sql)).mappings()] for name, sql in asked.items()}


def _shape(rows: Mapping[str, list[dict[str, Any]]]) -> Mapping[str, Any]:
    """How often there is a row of a kind with these columns filled, by table."""
    found = {}
    for name, some in rows.items():
        kinds = [(row.get("kind") or row.get("status"), row) for row in some]
        filled = [(kind, frozenset(c for c, v in row.items() if v not in (None, "", 0))) for kind, row in kinds]
        often = {one for one in filled if one[0] in OFTEN}
        found[name] = (Counter(one for one in filled if one[0] not in OFTEN), {kind for kind, _ in often})
    return found


def test_a_copy_has_the_shape_of_what_the_bot_writes(lived: Store):
    model = history.seen(lived)
    history.grow(lived, model, incidents=8, now=time.time(), days=30, chance=random.Random(1))
    written = [_shape(_settled(_rows(lived, number))) for number in NUMBERS["written"]]
    copies = [_shape(_rows(lived, number)) for number in range(6, 14)]
    assert all(copy in written for copy in copies)
    assert {name for name, (rows, _) in copies[0].items() if rows} >= {"incidents", "alerts", "effects", "timeline"}


def _settled(rows: Mapping[str, list[dict[str, Any]]]) -> Mapping[str, list[dict[str, Any]]]:
    """The same when the reminders that wait have lapsed, which they have done wherever it is history."""
    lapsed = {"state": "skipped", "done_at": 1.0}
    return rows | {"effects": [row | (lapsed if row["state"] == "owed" else {}) for row in rows["effects"]]}


def test_a_copy_has_all_of_its_model_and_none_of_its_names(lived: Store):
    model, now, chance = history.seen(lived), time.time(), random.Random(1)
    before = {number: _rows(lived, number) for number in range(1, 6)}
    history.grow(lived, model, incidents=4, now=now, days=30, chance=chance)
    history.grow(lived, model, incidents=1, now=now, days=1, chance=chance, open_=True)
    for (number, old), copy in zip(before.items(), range(6, 11), strict=True):
        new = _rows(lived, copy)
        assert {name: len(rows) for name, rows in new.items()} == {name: len(rows) for name, rows in old.items()}
        was, now = old["incidents"][0], new["incidents"][0]
        later = now["opened_at"] - was["opened_at"]
        assert was["uid"] not in str(new)
        assert f"INC-{number}'" not in str(new)
        for name, rows in new.items():
            for mine, its in zip(rows, old[name], strict=True):
                for column in mine.keys() - {"state", "done_at"}:
                    if column.endswith("_at") and its[column] and column not in ("starts_at", "ends_at"):
                        assert mine[column] - its[column] == pytest.approx(later, abs=1e-3), (name, column)
                    elif isinstance(its[column], str):
                        assert bool(mine[column]) is bool(its[column]), (name, column)
        prints = {row["fingerprint"] for row in new["alerts"]}
        assert len(prints) == len({row["fingerprint"] for row in old["alerts"]})
        assert prints.isdisjoint(row["fingerprint"] for row in old["alerts"])
    for column in ("uid", "open_key"):
        sql = f"select count(*) - count(distinct {column}) from incidents where {column} is not null"
        assert _one(lived, sql) == 0


def test_a_new_table_must_be_said_to_grow_or_not(tmp_path: Path):
    store = Store(f"sqlite:///{tmp_path}/bot.db")
    store.migrate()
    with store.write() as c:
        c.exec_driver_sql("create table novelties (id integer primary key)")
    with pytest.raises(AssertionError, match="say in tests/ground/history.py whether these grow: \\['novelties'\\]"):
        history.seen(store)
    store.close()
