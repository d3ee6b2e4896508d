"""Watchdogs: which alerts are one, which silence counts, and how seldom they are written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.store import Store
from handlers.alerts import payload
from handlers.alerts.payload import Alert, BadPayload
from handlers.catalogue import Policy, Service, Watchdog
from handlers.watchdogs import rules, table, words
from handlers.watchdogs.hear import Ear

WATCHDOGS = {
    "any": Watchdog(service="docs-api"),
    "mesh": Watchdog(service="gateway", labels={"cluster": "mesh"}),
    "lamp": Watchdog(service="gateway", alertname="AlwaysOn"),
}
SERVICES = {"docs-api": Service(channel="#docs-api"), "gateway": Service(channel="#gateway")}


def alert(status: str = "firing", **labels: str) -> Alert:
    named = {"alertname": "Watchdog", **labels}
    return Alert("ff", 1, status == "firing", None, named, {}, "docs-api")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ({"alertname": "Watchdog"}, ["any"]),
        ({"alertname": "Watchdog", "cluster": "mesh", "x": "y"}, ["any", "mesh"]),
        ({"alertname": "Watchdog", "cluster": "other"}, ["any"]),
        ({"alertname": "AlwaysOn"}, ["lamp"]),
        ({"alertname": "watchdog"}, []),
        ({"alertname": "Burn", "cluster": "mesh"}, []),
    ],
)
def test_an_alert_is_every_watchdog_it_matches(labels, names):
    assert rules.matching(WATCHDOGS, labels) == names


@pytest.mark.parametrize(
    ("gap", "deaf"), [(60, 0), (61, 0), (89, 0), (0, 0), (-3600, 0), (91, 31), (120, 60), (3660, 3600)]
)
def test_time_in_which_nobody_could_hear_is_what_exceeds_one_look(gap, deaf):
    assert rules.unheard(1000.0, 1000.0 + gap) == deaf


def test_the_key_is_like_no_alerts():
    assert rules.key_of("mesh").count("/") == 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/bot.db")
    made.migrate()
    yield made
    made.close()


class Clock:
    at = 100.0

    def __call__(self) -> float:
        return self.at


def heard(store: Store) -> list[str]:
    with store.read() as c:
        return [row.name for row in table.states(c, WATCHDOGS) if row.seen_at]


def test_a_watchdog_is_written_down_once_in_a_rest(store: Store):
    clock = Clock()
    ear = Ear(store, WATCHDOGS, rest=5, clock=clock)
    one = alert(cluster="mesh")
    assert ear.due(one)
    with store.write() as c:
        ear.write(c, [(0.0, [one]), (0.0, [one, alert("resolved")])])
    assert ear.due(one), "not before the commit is known"
    ear.written([one])
    assert not ear.due(one)
    assert heard(store) == ["any", "mesh"]
    assert ear.due(alert(alertname="AlwaysOn")), "each has its own rest"
    clock.at += 5
    assert ear.due(one)


def test_what_is_no_watchdog_or_has_resolved_is_never_due(store: Store):
    ear = Ear(store, WATCHDOGS)
    for one in (alert("resolved"), alert(alertname="Burn")):
        assert not ear.due(one)
        with store.write() as c:
            ear.write(c, [(0.0, [one])])
    assert heard(store) == []
    assert not Ear(store, {}).due(alert())


def test_rows_are_armed_once_and_forgotten_when_they_are_not_wanted(store: Store):
    with store.write() as c:
        assert {n: (r.armed_at, r.seen_at) for n, r in table.hold(c, ["a", "b"], now=10.0).items()} == {
            table.LOOKER: (10.0, None),
            "a": (10.0, None),
            "b": (10.0, None),
        }
        table.arrived(c, ["b"], now=20.0)
        rows = table.hold(c, ["b", "c"], now=30.0)
    assert rows.keys() == {table.LOOKER, "b", "c"}
    assert (rows["b"].armed_at, rows["b"].seen_at, rows["c"].armed_at) == (10.0, 20.0, 30.0)
    assert table.age(rows["b"], 25.0) == 5.0
    assert table.age(rows["c"], 31.0) == 1.0
    assert table.age(rows["c"], 0.0) == 0.0, "a clock that was set back"


def body(*labels: dict[str, str], status: str = "firing") -> bytes:
    alerts = [
        {"status": status, "labels": one, "annotations": {}, "startsAt": "2026-11-23T07:00:00Z", "fingerprint": "ff"}
        for one in labels
    ]
    return json.dumps({"version": "4", "groupKey": "{}", "alerts": alerts}).encode()


def test_a_watchdog_without_a_service_label_is_taken_beside_an_alert_that_is_refused():
    lamp, lost = {"alertname": "AlwaysOn"}, {"alertname": "Burn"}
    read = payload.read(body(lamp, lost), SERVICES, Policy(), WATCHDOGS)
    assert [one.service for one in read.alerts] == ["gateway"]
    assert len(read.refused) == 1
    with pytest.raises(BadPayload):
        payload.read(body(lamp), SERVICES, Policy())


def test_the_home_line_escapes_and_tells_who_never_came(store: Store):
    with store.write() as c:
        table.arrived(c, ["mesh"], now=40.0)
        rows = table.states(c, WATCHDOGS)
    line = words.home(WATCHDOGS, rows, now=100.0)
    assert line == "Watchdogs: *any* has never arrived · *mesh* arrived 1 min ago · *lamp* has never arrived"


def test_titles_speak_in_minutes():
    one = WATCHDOGS["mesh"]
    assert words.title(one, "mesh", seen=0.0, armed=0.0, now=731.0).endswith("has not arrived for 12 min")
    assert words.title(one, "mesh", seen=None, armed=700.0, now=731.0).endswith("has never arrived in 1 min")


def test_the_table_is_the_migrations(store: Store):
    columns = {column["name"] for column in sa.inspect(store.engine).get_columns("heartbeats")}
    assert columns == {column.name for column in table.HEARTBEATS().columns}
