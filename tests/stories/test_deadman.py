"""Dead-man's switches both ways: a watchdog that falls silent pages, and a bot that does not work stops its heartbeat."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from ground.town import WEBHOOK_SECRET, Bot, Town, user
from ground.waiting import free_port, until

from bot.integrations.heartbeat.fake import FakeHeartbeat
from bot.standin import Served, serve
from handlers import heartbeat
from handlers.watchdogs.look import look as look_once
from handlers.watchdogs.table import LOOKER

MINUTE = 60
LABELS = {"alertname": "Watchdog", "severity": "none", "prometheus": "monitoring/mesh"}


@pytest.fixture
def watched(town: Town) -> Town:
    """A town whose Prometheus sends a watchdog, and whose gateway people are paged when it stops."""
    town.config["watchdogs"] = {"mesh": {"service": "gateway", "labels": {"prometheus": "monitoring/mesh"}}}
    return town


@pytest.fixture
def outside(town: Town) -> Iterator[FakeHeartbeat]:
    """A dead-man's switch outside, which the bot is told to keep quiet."""
    fake = FakeHeartbeat(town.calls)
    served: Served = serve(fake.app)
    town.config["heartbeat"] = {"url": f"{served.url}/{fake.uuid}"}
    yield fake
    served.stop()


def watchdog(status: str = "firing", **labels: str) -> dict[str, Any]:
    one = {
        "status": status,
        "labels": LABELS | labels,
        "annotations": {"summary": "always fires"},
        "startsAt": "2026-11-23T07:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "c4ca4238a0b92382",
    }
    return {"version": "4", "groupKey": "{}", "status": status, "alerts": [one]}


def rows(bot: Bot) -> dict[str, Any]:
    with bot.captain.store.read() as c:
        return {row.name: row for row in c.execute(sa.text("select * from heartbeats"))}


def look(bot: Bot) -> None:
    """What the clock asks for each minute."""
    look_once(bot.captain.desk, time.time())


def passes(bot: Bot, seconds: float, *names: str) -> None:
    """Time passes: what is written down becomes that much older, for some watchdogs or for all there is."""
    old = "update heartbeats set armed_at = armed_at - :s, seen_at = seen_at - :s where name = :name"
    for name in names or tuple(rows(bot)):
        with bot.captain.store.write() as c:
            c.execute(sa.text(old), {"s": seconds, "name": name})
        heard = bot.captain.watchdogs._written
        heard.update({name: at - seconds for name, at in heard.items()})


def verdicts(bot: Bot) -> list[str]:
    with bot.captain.store.read() as c:
        return list(c.execute(sa.text("select verdict from alerts order by id")).scalars())


def shown(bot: Bot, number: int) -> dict[str, Any]:
    return bot.ask(f"incident show INC-{number}")["data"]


def test_a_watchdog_is_no_incident_and_needs_no_service_label(watched: Town):
    bot = watched.start()
    assert bot.alert(watchdog()).json() == {"accepted": 1, "duplicates": 0}
    until(lambda: verdicts(bot) == ["watchdog mesh: alive"])
    assert bot.alert(watchdog()).json() == {"accepted": 0, "duplicates": 1}
    look(bot)
    assert bot.ask("incident list --all")["data"] == []
    # One of another Prometheus is no watchdog of ours: whom should it page?
    other = bot.alert(watchdog(prometheus="monitoring/other"))
    assert other.status_code == 422
    assert "the label 'service' is missing" in other.json()["error"]


def test_silence_pages_and_the_return_resolves(watched: Town):
    bot = watched.start()
    bot.alert(watchdog())
    look(bot)
    passes(bot, 12 * MINUTE, "mesh")
    assert ("watchdogs", "* * * * *") in bot.captain.ticks
    before = rows(bot)[LOOKER].seen_at
    bot.captain.engine.ticked("watchdogs", dt.datetime.now(dt.UTC))
    until(lambda: rows(bot)[LOOKER].seen_at > before, message="nobody looked")
    until(lambda: len(watched.pages()) == 1, message="nobody was paged by the silence")
    page = watched.pages()[0]
    assert "No alert could reach me: Watchdog of mesh has not arrived for 12 min" in page["title"]
    assert page["service"] == "gateway"
    root = until(lambda: watched.roots())[0]
    assert root["channel_name"] == "gateway"
    for word in ("Prometheus", "Alertmanager", "repeat_interval", "It last arrived at"):
        assert word in watched.shown(root), word
    look(bot)
    assert len(bot.ask("incident list --all")["data"]) == 1, "one silence, one incident"
    until(lambda: shown(bot, 1)["paged_at"])
    assert "was paged*, because the watchdog mesh was silent for longer than 600 s" in bot.ask("why INC-1")["text"]
    for asked in ("why gateway", "why"):
        assert (
            "Release Captain opened INC-1 (sev1, gateway) by itself: pages the on-call of gateway"
            in bot.ask(asked)["text"]
        )

    bot.alert(watchdog())
    look(bot)
    until(lambda: watched.pages()[0]["status"] == "resolved", message="the page outlives the silence")
    until(lambda: any("Resolved: the watchdog is back." in text for text in watched.thread(root)))
    until(lambda: watched.tickets()[0]["status_category"] == "done")
    assert shown(bot, 1)["resolved_by"] == "Release Captain"

    # Silent again is a new page.
    passes(bot, 12 * MINUTE, "mesh")
    look(bot)
    until(lambda: len(watched.pages()) == 2)


def test_the_same_alert_delivered_again_and_again_keeps_it_alive(watched: Town):
    bot = watched.start()
    for _ in range(3):
        bot.alert(watchdog())
        look(bot)
        passes(bot, 9 * MINUTE, "mesh")
        look(bot)
    assert watched.pages() == []
    assert bot.metric('captain_watchdog_age_seconds{watchdog="mesh"}') >= 9 * MINUTE
    bot.alert(watchdog())
    assert bot.metric('captain_watchdog_age_seconds{watchdog="mesh"}') < MINUTE
    assert bot.metric('captain_watchdog_within_seconds{watchdog="mesh"}') == 10 * MINUTE


def test_a_flood_of_watchdogs_is_written_down_once(watched: Town):
    bot = watched.start()
    bot.alert(watchdog())
    first = rows(bot)["mesh"].seen_at
    for _ in range(20):
        assert bot.alert(watchdog()).json() == {"accepted": 0, "duplicates": 1}
    assert rows(bot)["mesh"].seen_at == first


def test_one_that_has_resolved_does_not_count_as_alive(watched: Town):
    bot = watched.start()
    bot.alert(watchdog())
    look(bot)
    passes(bot, 12 * MINUTE, "mesh")
    assert bot.alert(watchdog("resolved")).json()["accepted"] == 1
    look(bot)
    until(lambda: len(watched.pages()) == 1, message="Prometheus stopped, and a resolved watchdog hid it")
    until(lambda: verdicts(bot)[-1].startswith("watchdog mesh: has ended"))


def test_one_that_has_never_arrived_pages_too_and_says_that_it_was_never_on_its_way(watched: Town):
    bot = watched.start()
    look(bot)
    assert watched.pages() == []
    passes(bot, 11 * MINUTE, "mesh")
    look(bot)
    until(lambda: len(watched.pages()) == 1)
    assert "Watchdog of mesh has never arrived in 11 min" in watched.pages()[0]["title"]
    root = until(lambda: watched.roots())[0]
    assert "compare its rule, its route in Alertmanager and watchdogs.mesh in captain.yml" in watched.shown(root)
    bot.alert(watchdog())
    look(bot)
    until(lambda: watched.pages()[0]["status"] == "resolved")


def test_a_bot_that_was_down_itself_does_not_page_at_once(watched: Town):
    bot = watched.start()
    bot.alert(watchdog())
    look(bot)
    passes(bot, 4 * MINUTE, "mesh")
    look(bot)
    passes(bot, 3600)
    bot.stop()
    bot = watched.start()
    look(bot)
    passes(bot, 4 * MINUTE, "mesh")
    look(bot)
    assert watched.pages() == [], "the hour in which nobody listened counts as silence"
    # What counts is the time in which somebody listened: some five minutes before, six minutes after.
    passes(bot, 2 * MINUTE, "mesh")
    look(bot)
    until(lambda: len(watched.pages()) == 1, message="after a restart nobody watches")
    assert "has not arrived for 1 h 10 min" in watched.pages()[0]["title"]


def test_one_that_was_taken_out_and_put_back_is_armed_anew(watched: Town):
    bot = watched.start()
    bot.alert(watchdog())
    look(bot)
    passes(bot, 9 * MINUTE, "mesh")
    bot.stop()
    kept = watched.config["watchdogs"].pop("mesh")
    watched.config["watchdogs"]["other"] = {"service": "docs-api", "alertname": "AlwaysOn"}
    bot = watched.start()
    look(bot)
    bot.stop()
    watched.config["watchdogs"]["mesh"] = kept
    bot = watched.start()
    look(bot)
    passes(bot, 5 * MINUTE, "mesh")
    look(bot)
    assert watched.pages() == []


def test_a_clock_that_was_set_back_does_not_buy_an_hour_of_silence(watched: Town):
    bot = watched.start()
    bot.alert(watchdog())
    look(bot)
    passes(bot, -3600)
    look(bot)
    passes(bot, 11 * MINUTE, "mesh")
    look(bot)
    until(lambda: len(watched.pages()) == 1, message="a heartbeat from the future kept a dead watchdog alive")


def test_a_clock_set_back_while_it_is_silent_neither_resolves_nor_hides_the_return(watched: Town):
    bot = watched.start()
    look(bot)
    passes(bot, 11 * MINUTE, "mesh")
    look(bot)
    until(lambda: len(watched.pages()) == 1)
    passes(bot, -3600)
    look(bot)
    assert shown(bot, 1)["status"] == "triggered"
    bot.alert(watchdog())
    look(bot)
    until(lambda: watched.pages()[0]["status"] == "resolved")


def test_resolved_by_hand_while_it_is_silent_says_so_and_pages_again(watched: Town):
    bot = watched.start()
    bot.alert(watchdog())
    look(bot)
    passes(bot, 12 * MINUTE, "mesh")
    look(bot)
    root = until(lambda: watched.roots())[0]
    said = bot.ask("incident resolve INC-1")["text"]
    assert "if it stays so, I page again" in said
    until(lambda: any("I page again" in text for text in watched.thread(root)))
    look(bot)
    assert len(bot.ask("incident list --all")["data"]) == 1, "not at once: somebody has just looked"
    passes(bot, 12 * MINUTE, "mesh")
    with bot.captain.store.write() as c:
        c.execute(sa.text("update incidents set resolved_at = resolved_at - 720"))
    look(bot)
    until(lambda: len(watched.pages()) == 2, message="resolved by hand, forgotten for ever")


def test_the_app_home_tells_of_watchdogs(watched: Town):
    bot = watched.start()
    look(bot)
    alice = user(watched, "alice")
    watched.slack.open_home(alice)

    def home() -> str:
        return str(watched.slack.state()["homes"].get(alice))

    until(lambda: "Watchdogs: *mesh* has never arrived" in home())
    bot.alert(watchdog())
    watched.slack.open_home(alice)
    until(lambda: "*mesh* arrived" in home())


def test_two_replicas_page_once(watched: Town, postgres):
    watched.config["captain"]["database"] = postgres.url
    watched.spawn()
    watched.config["captain"]["listen"] = "127.0.0.1:0"
    bot = watched.start()
    bot.alert(watchdog())
    look(bot)
    passes(bot, 12 * MINUTE, "mesh")
    # Many looks at once, done by both: whoever is first opens it.
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    for second in range(20):
        for _ in range(2):
            bot.captain.engine.ticked("watchdogs", now + dt.timedelta(seconds=second))
    until(lambda: len(watched.pages()) == 1 and watched.roots() and watched.tickets())

    def all_made() -> bool:
        with bot.captain.store.read() as c:
            left = (
                "select count(*) from dbos.workflow_status where name = 'tick' and status not in ('SUCCESS', 'ERROR')"
            )
            return c.execute(sa.text(left)).scalar_one() == 0

    until(all_made, timeout=30)
    assert len(watched.pages()) == len(watched.roots()) == len(watched.tickets()) == 1
    assert watched.pages()[0]["triggers"] == 1
    assert len(bot.ask("incident list --all")["data"]) == 1
    assert bot.metric("captain_replicas") == 2


# ---- the heartbeat out ------------------------------------------------------------------------------------------------


class Slots:
    """The minutes from the one in which it was made: the clock may strike while a test runs."""

    def __init__(self) -> None:
        self.first = time.time() // MINUTE * MINUTE

    def __call__(self, minutes: int) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.first + minutes * MINUTE, dt.UTC)


@pytest.fixture
def slot() -> Slots:
    return Slots()


def beat(bot: Bot, at: dt.datetime) -> None:
    """What the clock asks for in a slot."""
    heartbeat.beat(bot.captain.desk, at.timestamp())


def strike(bot: Bot, at: dt.datetime) -> None:
    """The clock of one replica strikes."""
    bot.captain.engine.ticked("heartbeat", at)


def owed(bot: Bot, state: str = "%") -> list[str]:
    with bot.captain.store.read() as c:
        found = sa.text("select key from effects where kind = 'heartbeat' and state like :state order by key")
        return list(c.execute(found, {"state": state}).scalars())


def made(bot: Bot, at: dt.datetime) -> bool:
    """True when the tick of a slot has run to its end."""
    with bot.captain.engine._airborne("test"):
        states = bot.captain.engine._durable.states([f"cron:heartbeat:{at.isoformat()}"])
    return states[f"cron:heartbeat:{at.isoformat()}"][0] == "SUCCESS"


def test_a_heartbeat_goes_out_once_a_slot(town: Town, outside: FakeHeartbeat, slot: Slots):
    town.config["heartbeat"]["every"] = 120
    bot = town.start()
    even = [slot(n) for n in range(1, 9) if slot(n).timestamp() % 120 == 0]
    for n in range(1, 9):
        strike(bot, slot(n))
        strike(bot, slot(n))
    until(lambda: outside.count == len(even) == 4, timeout=30)
    until(lambda: len(owed(bot, "done")) == 4, timeout=30)
    assert outside.status() == "up"
    # A slot that is over is not made up for: nobody outside believes it any more.
    beat(bot, slot(-10))
    assert len(owed(bot)) == 4
    # The record of what was told long ago goes.
    old = heartbeat.key_of(slot(-3000).timestamp())
    with bot.captain.store.write() as c:
        c.execute(sa.text("update effects set key = :old where key = :key"), {"old": old, "key": owed(bot)[0]})
    last = next(at for at in (slot(9), slot(10)) if at.timestamp() % 120 == 0)
    beat(bot, last)
    assert old not in owed(bot)
    assert len(owed(bot)) == 4


def test_replicas_send_it_once(town: Town, outside: FakeHeartbeat, slot: Slots, postgres):
    town.config["captain"]["database"] = postgres.url
    town.spawn()
    town.config["captain"]["listen"] = "127.0.0.1:0"
    bot = town.start()
    slots = [slot(n) for n in range(2, 7)]
    for at in slots:
        strike(bot, at)
        strike(bot, at)
    until(lambda: all(made(bot, at) for at in slots), timeout=30)
    until(lambda: len(owed(bot, "done")) == len(owed(bot)), timeout=30)
    assert outside.count == len(owed(bot)), "a slot was told twice"
    assert len(owed(bot)) - len(slots) in (0, 1, 2), "the other replica's own clock may have struck meanwhile"


def test_it_is_withheld_while_a_page_is_stuck_and_comes_back_after(
    town: Town, outside: FakeHeartbeat, slot: Slots, alertmanager_body
):
    bot = town.start()
    town.pagerduty.faults.breaks("500")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: bot.metric("captain_pages_unheard") == 1)
    beat(bot, slot(1))
    until(lambda: outside.count == 1, message="a page that is owed for a moment is no reason for alarm")
    with bot.captain.store.write() as c:
        late = f'{{"since": {time.time() - 301}}}'
        c.execute(sa.text("update effects set args = :late where kind = 'page'"), {"late": late})
    assert bot.metric("captain_page_oldest_seconds") > 300
    beat(bot, slot(2))
    assert owed(bot) == [f"heartbeat:{int(slot(1).timestamp()):012d}"], "it tells the outside that all is well"

    town.pagerduty.faults.mend()
    until(lambda: len(town.pages()) == 1, timeout=30)
    until(lambda: bot.metric("captain_pages_unheard") == 0)
    assert bot.metric("captain_page_oldest_seconds") == 0
    beat(bot, slot(3))
    until(lambda: outside.count == 2)


def test_it_is_withheld_when_a_page_was_given_up_until_somebody_takes_the_incident(
    town: Town, outside: FakeHeartbeat, slot: Slots, alertmanager_body
):
    town.config["services"]["docs-api"]["pagerduty"] = "f" * 32
    bot = town.start()
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: bot.metric('captain_pages_missed_total{why="gave_up"}') == 1)
    beat(bot, slot(1))
    assert owed(bot) == []
    bot.ask("incident ack INC-1")
    beat(bot, slot(2))
    until(lambda: outside.count == 1, message="somebody has it, and still the outside is alarmed")


@pytest.mark.parametrize("fault", ["hang", "500"])
def test_an_outside_that_does_not_answer_delays_no_page(
    town: Town, outside: FakeHeartbeat, slot: Slots, alertmanager_body, fault
):
    town.config["heartbeat"]["timeout"] = 1
    bot = town.start()
    outside.faults.breaks(fault)
    for n in range(1, 8):
        beat(bot, slot(n))
    until(lambda: any(call.service == "heartbeat" for call in town.calls.calls) or len(owed(bot)) > 2)
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: len(town.pages()) == 1, timeout=1.5, message="the page waited for the heartbeat")
    until(lambda: town.roots() and town.tickets())
    outside.faults.mend()
    until(lambda: outside.count >= 1, timeout=30)


def test_the_address_is_in_no_record(town: Town, outside: FakeHeartbeat, slot: Slots):
    """Whoever knows it can keep the switch quiet."""
    right = town.config["heartbeat"]["url"]
    town.config["heartbeat"]["url"] = f"http://127.0.0.1:{free_port()}/{outside.uuid}"
    bot = town.start()
    beat(bot, slot(1))
    until(lambda: owed(bot, "retrying"))
    with bot.captain.store.read() as c:
        told = str(c.execute(sa.text("select * from effects where kind = 'heartbeat'")).all())
    assert outside.uuid not in told
    assert "cannot be reached" in told
    assert right not in told


# ---- the bot's own measure --------------------------------------------------------------------------------------------


def test_the_time_to_the_page_counts_from_what_asked_for_it(town: Town, alertmanager_body):
    """Opened as a ticket an hour ago, raised now: the page took a moment, not an hour."""
    bot = town.start()
    fast = alertmanager_body("firing-single")
    labels = fast["alerts"][0]["labels"] | {"severity": "ticket", "alertname": "SLOBurnSlow", "burn": "slow"}
    bot.alert(fast | {"alerts": [fast["alerts"][0] | {"labels": labels, "fingerprint": "7af3064281c2acde"}]})
    until(town.roots)
    with bot.captain.store.write() as c:
        c.execute(sa.text("update incidents set opened_at = opened_at - 3600"))
    bot.alert(fast)
    until(lambda: len(town.pages()) == 1)
    until(lambda: bot.metric('captain_page_seconds_count{source="alert"}') == 1)
    assert bot.metric('captain_page_seconds_bucket{le="10.0",source="alert"}') == 1
    bot.ask("incident open sev1 gateway broken")
    until(lambda: bot.metric('captain_page_seconds_bucket{le="10.0",source="person"}') == 1)
    assert bot.metric('captain_page_seconds_count{source="alert"}') == 1


def test_a_page_that_came_too_late_for_its_incident_is_counted_as_missed(town: Town, alertmanager_body):
    bot = town.start()
    town.pagerduty.faults.breaks("500")
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    until(lambda: bot.metric("captain_pages_unheard") == 1)
    with bot.captain.store.write() as c:
        c.execute(sa.text(f"""update effects set args = '{{"since": {time.time() - 40}}}' where kind = 'page'"""))
    bot.alert(fire | {"alerts": [fire["alerts"][0] | {"status": "resolved"}]})
    until(lambda: bot.metric('captain_pages_missed_total{why="ended"}') == 1, timeout=30)
    assert bot.metric('captain_page_seconds_count{source="alert"}') == 0
    assert bot.metric("captain_pages_unheard") == 0


def test_the_metrics_answer_while_the_database_is_away(town: Town, postgres):
    town.config["captain"]["database"] = postgres.url
    bot = town.start()
    assert bot.metric("captain_database_up") == 1
    postgres.stop("immediate")
    assert bot.metric("captain_database_up") == 0
    assert bot.metric("captain_replicas") == 1
    postgres.start()
    until(lambda: bot.metric("captain_database_up") == 1, timeout=20)


@pytest.mark.slow
def test_a_real_alertmanager_keeps_the_watchdog_alive(watched: Town, real_prometheus):
    """Its route repeats the same alert every second or two; what is repeated counts, and is journaled once."""
    port = free_port()
    real = real_prometheus(webhook=f"http://127.0.0.1:{port}/webhooks/alertmanager", bearer=WEBHOOK_SECRET)
    bot = watched.spawn(port=port)
    fired = [{"labels": LABELS}]
    assert requests.post(f"{real.alertmanager_url}/api/v2/alerts", json=fired, timeout=5).status_code == 200
    age = 'captain_watchdog_age_seconds{watchdog="mesh"}'
    began = until(lambda: bot.metric('captain_alerts_total{verdict="accepted"}') and time.monotonic(), timeout=20)
    until(
        lambda: bot.metric('captain_alerts_total{verdict="duplicate"}') >= 4, timeout=30, message="it was not repeated"
    )
    until(lambda: bot.metric(age) < time.monotonic() - began - 2, timeout=20, message="what was repeated did not count")
    assert bot.metric('captain_alerts_total{verdict="accepted"}') == 1
    assert bot.ask("incident list --all")["data"] == []
