"""What an alert, a page, a command or a tick costs does not grow with the history: each statement is asked how it is done."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from ground import history, plans
from ground.plans import Record
from ground.town import PD_SECRET, Bot, Town, user
from ground.waiting import until

from bot import retention
from bot.integrations.pagerduty.fake import API_TOKEN
from bot.refusals import REFUSALS
from bot.store import Store
from handlers.flags import table as flags
from handlers.incidents import table
from handlers.subjects import TICKS

INCIDENTS, MORE = 450, 450
"""Past incidents that every statement is asked with first, and those that come along then: about what a purge takes at once, and twice that."""
BOUNDED = frozenset(
    {
        "ix_actions_on", "ix_alerts_undecided", "ix_deploys_running", "ix_effects_due", "ix_effects_left", "ix_effects_waiting", "ix_flags_on", "ix_flaps_now", "ix_holds_behind",
        "ix_holds_still",
        "ix_inbox_undone", "ix_incidents_open", "ix_incidents_open_of", "ix_runs_going", "ix_silences_on",
    }
)  # fmt: skip
"""Indexes that hold what is not over, and so may be read from end to end."""
LIMITED = {
    "bot/audit.py append": "the newest row, by the primary key",
    "handlers/deploys/table.py newest": "the newest twenty, by their index",
    "handlers/incidents/table.py latest_incidents": "the newest twenty, by the primary key",
}
"""What SQLite calls a scan and ends after a few rows."""
OF_A_WINDOW = {
    "handlers/incidents/stats.py lives": "the incidents of a period, which is what was asked for",
    "handlers/runs/history.py read": "the outcomes of thirty days, which is what was asked for",
    "handlers/why/find.py named": "the newest so many alerts and refusals, to be searched for a name",
}
"""What may read more where there was more, up to an end of its own."""
HOT = {
    "bot/audit.py append", "bot/effects.py let_go", "bot/effects.py overdue", "bot/effects.py _settled",
    "bot/effects.py release", "bot/engine.py _acting", "bot/engine.py _load", "bot/engine.py _settle", "bot/engine.py owed",
    "bot/inbox.py done", "bot/inbox.py undone", "bot/retention.py _delete",
    "handlers/actions/table.py ended_since", "handlers/actions/table.py not_over", "handlers/alerts/journal.py decided", "handlers/alerts/journal.py repeated", "handlers/alerts/journal.py sibling",
    "handlers/alerts/journal.py still_firing", "handlers/alerts/journal.py undecided", "handlers/alerts/journal.py waiting",
    "handlers/deploys/table.py by_uid", "handlers/deploys/table.py change", "handlers/deploys/table.py lately",
    "handlers/deploys/table.py newest", "handlers/deploys/table.py part", "handlers/deploys/table.py parts",
    "handlers/deploys/table.py waiting",
    "handlers/digest/sweep.py lineless", "handlers/flags/table.py not_over", "handlers/home/facts.py _parts",
    "handlers/incidents/arrive.py _lock_open", "handlers/incidents/reconcile.py _numbers",
    "handlers/incidents/reconcile.py tick", "handlers/incidents/stuck.py stuck", "handlers/incidents/table.py _pages",
    "handlers/incidents/table.py another_key", "handlers/incidents/table.py by_number",
    "handlers/incidents/table.py effects_about", "handlers/incidents/table.py last_of_key",
    "handlers/incidents/table.py latest_incidents", "handlers/incidents/table.py locked",
    "handlers/incidents/table.py open_incidents", "handlers/incidents/table.py open_of",
    "handlers/incidents/table.py take_key", "handlers/panels.py mark", "handlers/timeline/marks.py _lives_here",
    "handlers/timeline/sweep.py _lately",
    "handlers/runs/table.py by_key", "handlers/runs/table.py by_uid", "handlers/runs/table.py going",
    "handlers/runs/table.py locked", "handlers/runs/table.py results", "handlers/runs/table.py wipe",
}  # fmt: skip
"""What the story must have gone past, or it would say nothing about it."""


OF_DOCS_API = 'istio_requests_total{reporter="destination",destination_workload="docs-api"'
SLO = {
    "service": "docs-api", "objective": 99.9, "by": ["response_code"],
    "bad": f'sum(rate({OF_DOCS_API},response_code=~"5.."}}[{{{{window}}}}]))',
    "total": f"sum(rate({OF_DOCS_API}}}[{{{{window}}}}]))",
}  # fmt: skip
"""What the alerts called "a" are about."""


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = Store(url)
    try:
        store.migrate()
        yield store
    finally:
        store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path) -> str:
    return request.getfixturevalue("postgres").url if request.param == "postgresql" else f"sqlite:///{tmp_path}/bot.db"


@pytest.fixture
def busy(town: Town, database: str) -> Town:
    """A town that uses what there is: digest, watchdog, flag, and people who are asked about."""
    town.config["captain"] |= {"database": database, "lease": 2}
    town.config["pagerduty"] |= {"api_token": API_TOKEN, "from_email": "bob@example.com"}
    town.config["alertmanager"] |= {"url": f"{town.served.url}/alertmanager", "receiver": "rc"}
    town.config["watchdogs"] = {"mesh": {"service": "gateway", "labels": {"prometheus": "mesh"}}}
    town.config["incidents"]["digest"] = "#general"
    town.has_a_flag()
    scale = {"kind": "deployment", "namespace": "prod", "name": "docs-api", "replicas": 3}
    town.config["actions"] = {"more": {"service": "docs-api", "do": {"scale": scale}, "undo": "restore", "ttl": "10m"}}
    town.config["slos"] = {"a": SLO}
    often = {"runbook": "docs-api", "cron": "* * * * *", "service": "docs-api"}
    town.config["runbooks"] = {"schedules": {"often": often}}
    return town


def a_day(town: Town, bot: Bot, body: dict[str, Any]) -> None:
    """Alerts of every kind, what people do about them, and everything that the clock asks for."""
    one, alice = body["alerts"][0], user(town, "alice")

    def alert(slo: str, n: int, status: str = "firing", *, answer: int = 202, **more: str) -> None:
        labels = (
            one["labels"] | {"slo": slo} | {name: more.pop(name) for name in ("severity", "service") if name in more}
        )
        made = one | {"status": status, "fingerprint": f"{n:016x}", "labels": labels} | more
        assert bot.alert(body | {"status": status, "alerts": [made]}).status_code == answer

    for status in ("started", "succeeded"):
        assert bot.deploy(status=status, by="alice").status_code == 202
    alert("a", 1)
    until(town.pages)
    for slo, n, more in (("a", 2, {}), ("a", 2, {}), ("b", 3, {"severity": "ticket"}), ("b", 4, {})):
        alert(slo, n, **more)
    alert("c", 5, service="gateway")
    until(lambda: len(town.pages()) == len(town.tickets()) == 3 and len(town.roots()) >= 3)
    alert("no such service", 6, service="nobody", answer=422)
    town.slack.slash("#docs-api", alice, "/captain", "incident list")
    until(lambda: town.whispers(alice), message="incident list was not answered")
    town.pagerduty.webhook_url, town.pagerduty.webhook_secret = f"{bot.url}/webhooks/pagerduty", PD_SECRET
    town.pagerduty.acknowledge(town.pages()[1]["id"], "bob")
    until(lambda: "acknowledged" in str(bot.ask("incident list")["data"]), message="the acknowledgement was not heard")
    town.pagerduty.webhook_url = ""
    for line in (
        "deploy list", "deploy list docs-api", "deploy show D-1", "deploy note gateway 2.0.0", "incident list --all", "incident show INC-1", "incident ack INC-1", "incident stats", "incident repair",
        "incident update half --of INC-1", "incident role lead me INC-1", "incident reconcile", "why INC-1", "why docs-api",
        "slo", "slo docs-api", "oncall", "flag on gateway-bypass it burns --for 10m", "flag list", "incident open sev2 docs-api by hand",
        "incident severity sev1 INC-2", "incident mitigate INC-1", "runbook run docs-api service=docs-api", "runbook list",
        "incident checks INC-1", "runbook show 1", "runbook show docs-api", "runbook history docs-api",
        "action run more it burns", "action list", "action show more",
    ):  # fmt: skip
        assert "error" not in bot.ask(line), line
    town.slack.open_home(alice)
    for line in (
        "maintenance start gateway 1h the mesh is moved", "incident silence 1h INC-1 known", "maintenance list", "slo",
        "incident unsilence INC-1", "incident silence 1h INC-2 known", "maintenance list",
    ):  # fmt: skip
        assert "error" not in bot.ask(line), line
    alert("held", 8, service="gateway")
    root = town.roots()[0]
    said = town.slack.say(root["channel"], alice, "it was the deploy", root["ts"])
    town.slack.react(root["channel"], said["ts"], alice, "pushpin")
    elsewhere = town.slack.say("#random", alice, "hello")
    town.slack.edit("#random", elsewhere["ts"], alice, "hello all")
    for n in (1, 2):
        alert("a", n, "resolved")
    until(lambda: town.pages()[0]["status"] == "resolved")
    before = len(town.pages())
    alert("a", 7, startsAt="2026-11-23T09:00:00Z")
    until(lambda: len(town.pages()) > before, message="what fires again pages again")
    alert("a", 7, "resolved", startsAt="2026-11-23T09:00:00Z")
    until(lambda: town.pages()[-1]["status"] == "resolved")
    until(lambda: "running" not in str(bot.ask("deploy list")["data"]), message="the checks after a deploy go on")
    for tick in TICKS:
        tick.run(bot.captain.desk, time.time())
    assert requests.get(f"{bot.url}/metrics", timeout=10).ok
    retention.purge(bot.captain.store, lambda days: bot.captain.engine.purge(days=days), now=time.time(), days=30)
    until(lambda: town.slack.state()["homes"].get(alice))
    until(lambda: not bot.captain.engine.owed().get("slack"), message="something is still on its way to Slack")


def analyse(store: Store) -> None:
    if not store.sqlite:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
            c.exec_driver_sql("analyze")


def findings(store: Store, record: Record, chance: random.Random) -> list[str]:
    """A sentence for each statement that reads a whole table that grows, or reads more when there is more to read."""
    model, found = history.seen(store), {}
    looks = []
    for incidents in (INCIDENTS, MORE):
        history.grow(store, model, incidents=incidents, now=time.time(), days=400, chance=chance)
        analyse(store)
        looks.append([plans.look(store, asked, BOUNDED) for asked in record.all])
    for asked, small, big in zip(record.all, *looks, strict=True):
        grew = big.touched > 1.3 * small.touched + 100
        if (big.scans and asked.where not in LIMITED) or (grew and asked.where not in OF_A_WINDOW):
            found[asked.sql] = f"{asked.where}: {small.touched} -> {big.touched}: {big.plan}: {asked.sql}"
    return list(found.values())


def test_nothing_that_is_asked_all_day_reads_more_the_more_there_was(busy: Town, database: str, alertmanager_body):
    busy.slack.add_channel("random")
    with plans.recorded(database) as record:
        bot = busy.start()
        a_day(busy, bot, alertmanager_body("firing-single"))
        bot.stop()
    busy.bots.clear()
    assert sorted(HOT - record.places()) == []
    with opened(database) as store:
        found = findings(store, record, random.Random(7))
        assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("index", "grows"),
    [("ix_flags_off_at", "flags"), ("ix_effects_about", "effects"), ("ix_incidents_room", "incidents")],
)
def test_an_index_that_is_gone_is_found(database: str, index: str, grows: str):
    with opened(database) as store:
        with plans.recorded(database) as record, store.read() as c:
            flags.ended_since(c, 0.0)
            table.effects_about(c, 1)
            table.by_room(c, "C0ROOM")
        asked = {one.sql: one for one in record.all}.values()
        assert [plans.look(store, one, BOUNDED).scans for one in asked] == [[], [], []]
        with store.write() as c:
            c.exec_driver_sql(f"drop index {index}")
        store.engine.dispose()  # the driver keeps what it was told of a plan
        assert [scan for one in asked for scan in plans.look(store, one, BOUNDED).scans] == [grows]


def test_a_statement_that_reads_its_way_through_an_index_is_found(database: str):
    t = REFUSALS()
    row = {"received_at": 1.0, "source": "x", "status": 400, "reason": "x", "payload": ""}
    with opened(database) as store:
        with plans.recorded(database) as record, store.read() as c:
            c.execute(sa.select(t.c.id).where(t.c.received_at > 0, t.c.reason == "y")).all()
        (asked,) = {one.sql: one for one in record.all}.values()
        touched = []
        for n in (200, 800):
            with store.write() as c:
                c.execute(t.insert(), [row] * n)
            analyse(store)
            touched.append(plans.look(store, asked, BOUNDED).touched)
        assert touched[1] > 3 * touched[0]
