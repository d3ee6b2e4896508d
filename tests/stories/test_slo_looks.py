"""We look at each SLO ourselves: a burn pages once, what cannot be measured is never over, and a kill loses nothing."""

from __future__ import annotations

import concurrent.futures
import copy
import dataclasses
import time
from typing import Any

import pytest
import sqlalchemy as sa
from ground.town import Bot, Town
from ground.waiting import until

from bot.effects import EFFECTS
from handlers.alerts import journal
from handlers.incidents import arrive
from handlers.slo import alert, judge, look, states
from handlers.slo.kinds import MISSING

BAD = 'istio_requests_total{reporter="destination",destination_workload="docs-api",response_code=~"5.."}'
ALL = 'istio_requests_total{reporter="destination",destination_workload="docs-api"}'
NAME = "docs-availability"
TIERS = [
    {"severity": "page", "burn": 14.4, "long": "20m", "short": "2m"},
    {"severity": "ticket", "burn": 3, "long": "30m", "short": "5m"},
]


class Days:
    """Looks, a minute apart by a clock of their own; the world they look at stands at the real time."""

    def __init__(self, bot: Bot) -> None:
        assert bot.captain is not None
        self.desk = bot.captain.desk
        self.now = time.time()

    def look(self, times: int = 1) -> look.Told:
        for _ in range(times):
            self.now += 60
            told = look.run(self.desk, clock=lambda: self.now)
        return told

    def state(self, name: str = NAME) -> judge.State:
        with self.desk.store.read() as c:
            return states.load(c)[name][1]


@pytest.fixture
def measured(town: Town) -> Town:
    """A town with one SLO of docs-api, whose world has been calm for two hours."""
    town.config["slos"] = {
        NAME: {
            "service": "docs-api", "objective": 99.9, "window": "1h", "tiers": TIERS, "few_bad": 0, "silent_after": "",
            "bad": f"sum(rate({BAD}[{{{{window}}}}]))", "total": f"sum(rate({ALL}[{{{{window}}}}]))",
            "by": ["response_code"], "dashboard": "https://grafana/d/docs", "runbook": "https://wiki/docs",
        }
    }  # fmt: skip
    town.config["incidents"] |= {"remind": {"acknowledge": 0, "update": 0, "close": 0}, "reopen_within": 0}
    return town


def incidents(bot: Bot) -> list[dict[str, Any]]:
    return bot.ask("incident list --all")["data"]


def of(bot: Bot, slo_name: str) -> list[dict[str, Any]]:
    return [one for one in incidents(bot) if slo_name in one["title"]]


def test_a_burn_pages_once_within_one_look_and_ends_when_it_is_over(measured: Town):
    bot = measured.start()
    days = Days(bot)
    assert days.look().began == []
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    assert days.look().began == [f"{NAME} page-20m"]
    until(lambda: len(measured.pages()) == 1)
    (one,) = incidents(bot)
    assert (one["severity"], one["status"], one["opened_by"]) == ("sev2", "triggered", "Release Captain")
    assert "The budget of 1h is spent" in measured.shown(until(measured.roots)[0]), (
        "what it means stands in the first message"
    )
    assert days.look(3).began == [], "what fires is not raised again, and its slow tier makes no ticket of its own"
    measured.prometheus.set_world("docs-api", errors=0.0, ago=300)
    assert days.look(2).ended == [], "a look or two without burning is no end"
    assert days.look().ended == [f"{NAME} page-20m"]
    until(lambda: incidents(bot)[0]["status"] == "resolved")
    assert days.look(2).began == [], "the slow tier's short window still holds the burst"
    assert len(measured.pages()) == len(incidents(bot)) == 1


def test_a_slow_burn_is_a_ticket_and_stays_one_incident_when_it_becomes_a_page(measured: Town):
    bot = measured.start()
    days = Days(bot)
    measured.prometheus.set_world("docs-api", errors=0.006, ago=2000)
    assert days.look().began == [f"{NAME} ticket-30m"]
    until(measured.tickets)
    assert incidents(bot)[0]["severity"] == "sev3"
    assert measured.pages() == []
    measured.prometheus.set_world("docs-api", errors=0.9, ago=300)
    assert days.look().began == [f"{NAME} page-20m"]
    until(lambda: len(measured.pages()) == 1)
    (one,) = incidents(bot)
    assert one["severity"] == "sev2"


def test_what_cannot_be_measured_any_more_stays_open_and_is_a_ticket_of_its_own(measured: Town):
    bot = measured.start()
    days = Days(bot)
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    days.look()
    until(lambda: len(measured.pages()) == 1)
    kept = measured.prometheus.world("docs-api")
    measured.prometheus.remove("docs-api")
    told = days.look(3)
    assert "total query returns nothing" in told.unheard[NAME]
    root = until(measured.roots)[0]
    until(lambda: any("stays open" in text for text in measured.thread(root)), message="nobody said that it is frozen")
    assert days.look(9).began == [f"{NAME} {MISSING}"] or MISSING in days.state().fired
    until(lambda: len(incidents(bot)) == 2)
    (ticket,) = of(bot, "cannot be measured")
    assert (ticket["severity"], ticket["status"]) == ("sev3", "triggered")
    days.look(40)
    assert of(bot, "burns")[0]["status"] == "triggered", "no data is no end, however long"
    assert sum("stays open" in text for text in measured.thread(root)) == 1
    measured.prometheus.set_world("docs-api", errors=0.0, rps=kept.rps)
    assert days.look().ended == [f"{NAME} {MISSING}"]
    until(lambda: of(bot, "cannot be measured")[0]["status"] == "resolved")
    until(lambda: any("there is data again" in text.lower() for text in measured.thread(root)))
    days.look(2)
    until(lambda: of(bot, "burns")[0]["status"] == "resolved")
    assert len(measured.pages()) == 1


@pytest.mark.parametrize("how", ["500", "429", "hang", "partial", "nan"])
def test_prometheus_in_trouble_neither_pages_nor_ends_anything(measured: Town, how: str):
    measured.config["prometheus"]["timeout"] = 1.0 if how == "hang" else 5
    if how == "nan":
        measured.config["slos"][NAME] |= {"bad": f"sum(rate({BAD}[{{{{window}}}}])) * (vector(0) / 0)"}
    bot = measured.start()
    days = Days(bot)
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    if how != "nan":
        days.look()
        until(lambda: len(measured.pages()) == 1)
    if how == "partial":
        measured.prometheus.partial("a store did not answer")
    elif how != "nan":
        measured.prometheus.faults.breaks(how)
    for _ in range(4):
        told = days.look()
        assert (told.began, told.ended) == ([], [])
        assert told.unheard[NAME]
    if how == "nan":
        assert incidents(bot) == []
        return
    assert [one["status"] for one in incidents(bot)] == ["triggered"]
    days.now += look.SILENT_AFTER_S
    assert len(days.look().began) == 1, "one ticket says so"
    assert days.look().began == []
    until(lambda: len(incidents(bot)) == 2)
    measured.prometheus.faults.mend()
    measured.prometheus.partial()
    assert MISSING in days.look().ended[0]
    assert [one["status"] for one in incidents(bot)] == ["resolved", "triggered"]


def test_many_slos_and_a_prometheus_that_is_away_cost_few_calls_and_one_ticket(measured: Town):
    for n in range(9):
        measured.config["slos"][f"more-{n}"] = copy.deepcopy(measured.config["slos"][NAME])
    bot = measured.start()
    days = Days(bot)
    measured.prometheus.faults.breaks("503")
    before = len(measured.calls.calls)
    told = days.look()
    assert (len(told.unheard), len(told.left)) == (3, 7)
    assert sum(call.service == "prometheus" for call in list(measured.calls.calls)[before:]) == 3
    days.look(2)
    days.now += look.SILENT_AFTER_S
    days.look()
    (one,) = incidents(bot)
    assert "No SLO can be measured: docs-availability and 9 more" in one["title"]


def test_an_slo_in_calm_costs_one_call_a_look(measured: Town):
    days = Days(measured.start())
    days.look()
    before = len(measured.calls.calls)
    days.look(5)
    assert sum(call.service == "prometheus" for call in list(measured.calls.calls)[before:]) == 5


def test_a_kill_between_the_look_and_its_decision_loses_nothing(measured: Town):
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    bot = measured.start()
    days = Days(bot)
    desk, now = days.desk, days.now
    slo = desk.slos[NAME]
    # What the look commits before it decides; then the process is gone.
    with desk.engine.transaction(now) as tx:
        _, before = states.hold(tx.c, NAME)
        fired = alert.burn(desk, NAME, slo, slo.all_tiers[0], before, now)
        states.write(tx.c, NAME, dataclasses.replace(before, fired={"page-20m": fired}), now=now)
        journal.write(tx.c, [(now, [alert.delivery(fired)])])
    bot.stop()
    measured.bots.clear()
    bot = measured.start()
    until(lambda: len(measured.pages()) == 1, message="nobody was paged")
    assert Days(bot).look().began == [], "and it is not raised twice"


def test_an_slo_that_is_taken_out_of_captain_yml_ends_what_it_had_begun(measured: Town):
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    bot = measured.start()
    Days(bot).look()
    until(lambda: len(measured.pages()) == 1)
    bot.stop()
    measured.bots.clear()
    measured.config["slos"] = {}
    bot = measured.start()
    assert Days(bot).look().ended == [f"{NAME} page-20m"]
    assert incidents(bot)[0]["status"] == "resolved"
    assert any("captain.yml was changed" in e["text"] for e in bot.ask("incident show INC-1")["data"]["timeline"])


def test_a_burn_of_prometheus_own_rules_that_ends_for_want_of_data_is_not_over(measured: Town):
    measured.config["slos"][NAME]["evaluate"] = False
    bot = measured.start()
    desk = Days(bot).desk
    slo, now = desk.slos[NAME], time.time()
    burn = dataclasses.replace(
        alert.delivery(alert.burn(desk, NAME, slo, slo.all_tiers[0], judge.State(), now)), group_key=""
    )
    gone = dataclasses.replace(alert.delivery(alert.missing(desk, NAME, slo, judge.State(), now)), group_key="")

    def come(one, *, ended: bool = False) -> None:
        with desk.engine.transaction(now) as tx:
            (new,) = journal.write(tx.c, [(now, [dataclasses.replace(one, firing=not ended)])])
        arrive.on_alerts(desk, new, now=now)

    come(burn)
    come(gone)
    come(burn, ended=True)
    assert of(bot, "burns")[0]["status"] == "triggered"
    with desk.store.read() as c:
        verdicts = c.execute(sa.select(journal.JOURNAL().c.verdict)).scalars().all()
    assert any("no data is no end" in one for one in verdicts)
    come(gone, ended=True)
    assert of(bot, "burns")[0]["status"] == "triggered", "what burns on has a while to say so"
    shown = bot.ask("incident show INC-1")["data"]
    (thaw,) = [one for one in shown["effects"] if one["kind"] == "thaw"]
    with desk.engine.transaction(time.time()) as tx:
        tx.hasten(thaw["key"])
    until(lambda: of(bot, "burns")[0]["status"] == "resolved")


def test_the_reconciler_does_not_miss_our_own_alerts_in_alertmanager(measured: Town):
    measured.config["alertmanager"] |= {"url": f"{measured.served.url}/alertmanager", "receiver": "rc"}
    measured.config["incidents"] |= {"looks_apart": 0}
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    bot = measured.start()
    Days(bot).look()
    until(measured.roots)
    for _ in range(3):
        told = bot.ask("incident reconcile")["data"]
        assert (told["asked"], told["doubtful"]) == ([], [])


def test_the_clock_asks_for_one_look_however_many_hear_it(measured: Town):
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    bot = measured.start()
    desk, slot = Days(bot).desk, float(int(time.time()) // 60 * 60)
    for _ in range(3):
        look.tick(desk, slot)
    until(lambda: len(measured.pages()) == 1)
    with desk.store.read() as c:
        (run,) = c.execute(sa.select(EFFECTS()).where(EFFECTS().c.kind == look.KIND)).all()
    until(lambda: '"measured": 1' in _result(desk, run.key))


def _result(desk: Any, key: str) -> str:
    with desk.store.read() as c:
        return str(c.execute(sa.select(EFFECTS().c.result).where(EFFECTS().c.key == key)).scalar())


def test_nothing_is_looked_at_where_there_is_no_slo(town: Town):
    desk = Days(town.start()).desk
    look.tick(desk, 60.0)
    with desk.store.read() as c:
        assert c.execute(sa.select(EFFECTS()).where(EFFECTS().c.kind == look.KIND)).all() == []


def test_two_looks_in_the_same_moment_raise_a_burn_once(postgres, measured: Town):
    measured.config["captain"]["database"] = postgres.url
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    bot = measured.start()
    desk, now = Days(bot).desk, time.time()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda n: look.run(desk, clock=lambda: now + n), range(4)))
    assert sum(len(one.began) for one in told) == 1
    until(lambda: len(measured.pages()) == 1)
    assert len(incidents(bot)) == 1


def test_counters_that_start_over_are_no_burn_and_several_series_are_one_sum(measured: Town):
    measured.config["slos"][NAME] |= {
        "bad": 'increase(hits_total{code="500"}[{{window}}])', "total": "increase(hits_total[{{window}}])",
    }  # fmt: skip
    now = time.time()
    for step in range(0, 3600, 15):
        at, n = now - 3600 + step, step // 15
        for pod in ("a", "b"):
            # Each pod is started anew every ten minutes, one after the other.
            count = (n + (20 if pod == "b" else 0)) % 40 * 100
            text = f'hits_total{{code="200",pod="{pod}"}} {count}\nhits_total{{code="500",pod="{pod}"}} {count // 10_000}\n'
            measured.prometheus.ingest(text, at=at)
    days = Days(measured.start())
    days.now = time.time() - 60
    assert days.look().began == []
    heard = days.state().windows[20 * 60]
    assert heard.reading.known
    assert heard.total == pytest.approx(2 * 80 * 100, rel=0.1)


def test_what_a_tier_is_about_changes_in_captain_yml_and_its_alert_ends(measured: Town):
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    bot = measured.start()
    Days(bot).look()
    until(lambda: len(measured.pages()) == 1)
    bot.stop()
    measured.bots.clear()
    measured.config["slos"][NAME]["tiers"] = [{"severity": "page", "burn": 14.4, "long": "30m", "short": "2m"}]
    bot = measured.start()
    told = Days(bot).look()
    assert told.began == [f"{NAME} page-30m"]
    shown = bot.ask("incident show INC-1")["data"]
    assert shown["status"] == "triggered", "it burns on, and stays one incident"
    assert len(measured.pages()) == 1
