"""Storms: more than anybody can read becomes one page and one table, and still nobody sleeps who should be awake."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from ground.town import Bot, Town, user
from ground.waiting import until

from bot.effects import EFFECTS
from handlers.alerts.journal import JOURNAL
from handlers.incidents.table import INCIDENTS
from handlers.storms import look
from handlers.storms import table as storms

NEVER = {"acknowledge": 0, "update": 0, "close": 0}
WAKING = ("sev1", "sev2")


@pytest.fixture
def rough(town: Town) -> Town:
    """A town in which the fourth incident within a minute is a storm."""
    town.config["incidents"] |= {"storm": {"keys": 3, "within": 60}, "remind": NEVER, "reopen_within": 0}
    return town


def one(slo: str, service: str = "docs-api", severity: str = "page", *, over: bool = False) -> dict[str, Any]:
    """An alert of a body."""
    return {
        "status": "resolved" if over else "firing",
        "labels": {"alertname": "Burn", "service": service, "severity": severity, "slo": slo},
        "annotations": {"summary": f"{slo} burns"},
        "startsAt": "2026-11-23T08:00:00Z",
        "endsAt": "2026-11-23T08:05:00Z" if over else "0001-01-01T00:00:00Z",
        "fingerprint": f"{abs(hash((slo, service, severity))):016x}"[-16:],
    }


def body(alerts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"version": "4", "groupKey": "{}", "receiver": "rc", "alerts": list(alerts)}


def send(bot: Bot, alerts: Iterable[dict[str, Any]]) -> None:
    """Deliver them one after the other, each decided before the next comes."""
    for alert in alerts:
        assert bot.alert(body([alert])).status_code == 202
        until(lambda: _decided(bot), message="an alert is not decided")


def _decided(bot: Bot) -> bool:
    with bot.captain.store.read() as c:
        return c.execute(sa.text("select count(*) from alerts where verdict is null")).scalar() == 0


def rows(bot: Bot) -> dict[int, Any]:
    with bot.captain.store.read() as c:
        return {row.number: row for row in c.execute(sa.select(INCIDENTS()))}


def storm(bot: Bot) -> Any:
    return next((row for row in rows(bot).values() if row.source == "storm"), None)


def of_slo(bot: Bot, slo: str) -> Any:
    return next(row for row in rows(bot).values() if f'"slo": "{slo}"' in row.about)


def show(bot: Bot, number: int) -> dict[str, Any]:
    return bot.ask(f"incident show INC-{number}")["data"]


def tick(bot: Bot) -> None:
    look.tick(bot.captain.desk, time.time())


def root_of(town: Town, number: int) -> dict[str, Any] | None:
    return next((m for m in town.roots() if f"INC-{number} " in m["text"]), None)


def raging(bot: Bot, n: int = 3) -> Any:
    """A storm of docs-api: three incidents of their own, the umbrella, and ``n`` that are folded in."""
    send(bot, [one(f"first-{i}") for i in range(3)])
    send(bot, [one(f"m-{i}") for i in range(n)])
    return storm(bot)


def quiet(bot: Bot) -> bool:
    """Whether nothing is owed outside any more."""
    with bot.captain.store.read() as c:
        t = EFFECTS()
        owed = t.c.state.in_(("waiting", "owed", "retrying")) & (t.c.lane != "reminders")
        return c.execute(sa.select(t.c.key).where(owed).limit(1)).first() is None


def test_a_storm_is_one_page_one_thread_one_ticket_and_one_table_and_each_member_is_an_incident(rough: Town):
    bot = rough.start()
    send(bot, [one(f"first-{i}") for i in range(3)])
    bot.alert(body([one(f"m-{i}") for i in range(30)] + [one(f"t-{i}", "gateway", "ticket") for i in range(10)]))
    until(lambda: len(rows(bot)) == 3 + 1 + 40 and _decided(bot))
    umbrella = storm(bot)
    members = [row for row in rows(bot).values() if row.umbrella == umbrella.number]
    assert len(members) == 40
    until(lambda: root_of(rough, umbrella.number))
    until(lambda: quiet(bot) and "40 of 40 incidents" in rough.shown(root_of(rough, umbrella.number)), timeout=15)
    assert len(rough.pages()) == len(rough.roots()) == len(rough.tickets()) == 3 + 1
    assert {page["triggers"] for page in rough.pages()} == {1}
    shown = rough.shown(root_of(rough, umbrella.number))
    assert "Storm: 40 incidents of 2 services" in shown
    assert "docs-api    30" in shown
    assert "gateway     10" in shown
    assert "and 32 more: `incident show INC-" in shown
    with bot.captain.store.read() as c:
        about = {row.about for row in c.execute(sa.select(EFFECTS().c.about).distinct())}
    assert about.isdisjoint(row.number for row in members), "nothing at all is owed for what is folded in"

    told = show(bot, umbrella.number)
    assert len(told["members"]) == told["members_open"] == 40
    listed = bot.ask("incident list")
    assert listed["text"].startswith("44 incidents open")
    assert listed["data"][0]["number"] == umbrella.number, "what has a page of its own stands first"
    page = next(row for row in members if row.severity == "sev2")
    why = bot.ask(f"why INC-{page.number}")["text"]
    assert f"folded into the storm INC-{umbrella.number}, whose page calls the on-call of docs-api" in why
    assert f"INC-{umbrella.number}: *The on-call of docs-api was paged*, because more than 3 incidents opened" in why
    assert "PagerDuty took the page at" in why
    ticket = next(row for row in members if row.severity == "sev3")
    assert (
        "which wakes nobody, and its thread and its ticket are the storm's"
        in bot.ask(f"why INC-{ticket.number}")["text"]
    )
    said = bot.ask("incident stats")["text"]
    assert "40 folded into storms are not counted" in said
    assert "*4 incidents*" in said


def test_another_service_is_called_by_its_first_and_by_nothing_after_that_until_all_of_it_is_over(rough: Town):
    bot = rough.start()
    umbrella = raging(bot)
    send(bot, [one("pay", "gateway", "critical")])
    until(lambda: any(page["service"] == "gateway" for page in rough.pages()), timeout=3)
    send(bot, [one("pay-2", "gateway", "critical"), one("pay-3", "gateway"), one("pay-4", "gateway", "ticket")])
    until(lambda: quiet(bot), timeout=15)
    lead = of_slo(bot, "pay")
    assert lead.umbrella is None
    assert [page["service"] for page in rough.pages()].count("gateway") == 1
    assert (
        f"INC-{lead.number} has called the on-call of gateway"
        in bot.ask(f"why INC-{of_slo(bot, 'pay-2').number}")["text"]
    )
    assert f"INC-{lead.number} (gateway)" in rough.shown(root_of(rough, umbrella.number))
    assert f"In the storm INC-{umbrella.number}" in bot.ask(f"incident show INC-{lead.number}")["text"]

    refused = bot.ask(f"incident resolve INC-{lead.number}")["error"]
    assert "2 incidents of gateway in the storm are open and have no page but this one's" in refused
    send(bot, [one("pay", "gateway", "critical", over=True)])
    assert of_slo(bot, "pay").status == "triggered", "its page stands for the others"
    send(bot, [one("pay-2", "gateway", "critical", over=True), one("pay-3", "gateway", over=True)])
    tick(bot)
    assert of_slo(bot, "pay").status == "resolved"
    assert storm(bot).status == "triggered"


def test_when_what_called_a_service_was_ended_by_hand_the_next_one_calls_again(rough: Town):
    bot = rough.start()
    raging(bot)
    send(bot, [one("pay", "gateway", "critical"), one("pay-2", "gateway", "critical")])
    lead = of_slo(bot, "pay").number
    assert (
        "1 incident of gateway in the storm has no page now" in bot.ask(f"incident resolve INC-{lead} --anyway")["text"]
    )
    send(bot, [one("pay-3", "gateway", "critical")])
    assert of_slo(bot, "pay-3").umbrella is None
    until(lambda: sum(page["service"] == "gateway" and page["status"] == "triggered" for page in rough.pages()) == 1)


def test_a_member_that_becomes_worse_calls_its_service_if_nobody_has(rough: Town):
    bot = rough.start()
    umbrella = raging(bot)
    send(bot, [one("slow", "gateway", "ticket"), one("slow-2", "gateway", "ticket"), one("mild", severity="ticket")])
    assert of_slo(bot, "slow").umbrella == umbrella.number
    send(
        bot,
        [one("slow", "gateway", "critical"), one("slow-2", "gateway", "critical"), one("mild", severity="critical")],
    )
    until(lambda: any(page["service"] == "gateway" for page in rough.pages()))
    until(lambda: quiet(bot), timeout=15)
    assert [page["service"] for page in rough.pages()].count("gateway") == 1
    worse = of_slo(bot, "slow")
    assert worse.umbrella is None
    assert root_of(rough, worse.number)
    assert of_slo(bot, "slow-2").umbrella == of_slo(bot, "mild").umbrella == umbrella.number
    assert storm(bot).severity == "sev1", "a storm is as bad as the worst in it"


def test_a_storm_of_tickets_wakes_nobody_until_something_in_it_pages(rough: Town):
    bot = rough.start()
    send(bot, [one(f"t-{i}", severity="ticket") for i in range(6)])
    until(lambda: quiet(bot), timeout=15)
    assert rough.pages() == []
    assert storm(bot).severity == "sev3"
    send(bot, [one("pay", "gateway", "critical")])
    until(rough.pages)
    assert [page["service"] for page in rough.pages()] == ["gateway"]
    assert (storm(bot).service, storm(bot).severity) == ("gateway", "sev1")
    assert of_slo(bot, "pay").umbrella == storm(bot).number


def test_who_takes_the_storm_has_its_members_and_it_ends_with_them(rough: Town):
    rough.config["incidents"]["storm"]["within"] = 3
    bot, alice = rough.start(), user(rough, "alice")
    bot.alert(body([one(f"first-{i}") for i in range(3)] + [one(f"m-{i}") for i in range(5)]))
    until(lambda: storm(bot) is not None and _decided(bot))
    umbrella = storm(bot).number
    folded = [row for row in rows(bot).values() if row.umbrella == umbrella]
    root = until(lambda: root_of(rough, umbrella))
    until(lambda: rough.slack.press(root["channel"], root["ts"], "incident ack", alice)["ok"])
    until(lambda: storm(bot).status == "acknowledged")
    assert f"INC-{umbrella} (acknowledged by alice)" in bot.ask(f"incident show INC-{folded[0].number}")["text"]
    key = f"captain-{storm(bot).uid}"
    until(lambda: next(p for p in rough.pages() if p["dedup_key"] == key)["status"] == "acknowledged")

    gone = [one(f"m-{i}", over=True) for i in range(5)] + [one(f"first-{i}", over=True) for i in range(3)]
    send(bot, gone)
    assert {row.status for row in rows(bot).values() if row.umbrella} == {"resolved"}
    until(lambda: tick(bot) or storm(bot).status == "resolved", message="the storm does not end")
    until(lambda: next(p for p in rough.pages() if p["dedup_key"] == key)["status"] == "resolved")
    until(lambda: f"*0 of {len(folded)} incident" in rough.shown(root_of(rough, umbrella)))
    assert "incident reopen" not in rough.shown(root_of(rough, umbrella))
    assert "a storm is not reopened" in bot.ask(f"incident reopen INC-{umbrella}")["error"]
    send(bot, [one("after")])
    assert of_slo(bot, "after").umbrella is None
    until(lambda: root_of(rough, of_slo(bot, "after").number))


def test_ending_a_storm_by_hand_asks_first_and_ends_all_of_it(rough: Town):
    bot = rough.start()
    umbrella = raging(bot, 30).number
    asked = bot.ask(f"incident resolve INC-{umbrella}")["error"]
    count = show(bot, umbrella)["members_open"]
    assert f"{count} incidents of it are still open" in asked
    assert (
        f"{count} incidents of it are resolved with it" in bot.ask(f"incident resolve INC-{umbrella} --anyway")["text"]
    )
    until(lambda: not any(row.umbrella and row.open_key for row in rows(bot).values()))
    assert {row.resolved_by for row in rows(bot).values() if row.umbrella} == {"carol"}


def test_one_can_be_taken_out_of_its_storm(rough: Town):
    bot = rough.start()
    umbrella = raging(bot).number
    number = of_slo(bot, "m-1").number
    for refused in ("page", "ticket", "channel"):
        assert (
            f"`incident unfold INC-{number}` gives it its own" in bot.ask(f"incident {refused} INC-{number}")["error"]
        )
    assert "it is in the timeline" in bot.ask(f"incident update it is looked at --of INC-{number}")["text"]
    pages = len(rough.pages())
    said = bot.ask(f"incident unfold INC-{number}")["text"]
    assert f"no longer folded into INC-{umbrella}" in said
    until(lambda: len(rough.pages()) > pages and root_of(rough, number))
    until(lambda: quiet(bot), timeout=15)
    kinds = [effect["kind"] for effect in show(bot, number)["effects"]]
    assert {"page", "root", "ticket", "checks"} <= set(kinds)
    assert "not folded into a storm" in bot.ask(f"incident unfold INC-{number}")["error"]


def test_what_people_declare_is_never_folded_and_nothing_is_when_it_is_switched_off(rough: Town):
    bot = rough.start()
    raging(bot)
    mine = bot.ask("incident open sev2 gateway p95 up")["data"]["number"]
    assert rows(bot)[mine].umbrella is None
    until(lambda: root_of(rough, mine))
    bot.stop()
    rough.bots.clear()
    rough.config["incidents"]["storm"] = {"keys": 0}
    bot = rough.start()
    send(bot, [one("more")])
    assert of_slo(bot, "more").umbrella is None


def test_what_fires_again_in_a_storm_is_folded_and_after_it_has_its_own_thread(rough: Town):
    rough.config["incidents"] |= {"reopen_within": 600, "storm": {"keys": 3, "within": 3}}
    bot = rough.start()
    bot.alert(body([one(f"first-{i}") for i in range(3)] + [one(f"m-{i}") for i in range(4)]))
    until(lambda: storm(bot) is not None and len(rows(bot)) == 8 and _decided(bot))
    slo = next(row for row in rows(bot).values() if row.umbrella).about.split('"slo": "')[1].split('"')[0]
    send(bot, [one(slo, over=True)])
    later = datetime.now(UTC).isoformat()
    pages = len(rough.pages())
    send(bot, [one(slo) | {"startsAt": later}])
    assert of_slo(bot, slo).umbrella == storm(bot).number
    assert of_slo(bot, slo).status == "triggered"
    until(lambda: quiet(bot), timeout=15)
    assert len(rough.pages()) == max(pages, 4)

    alerts = [one(f"first-{i}", over=True) for i in range(3)] + [one(f"m-{i}", over=True) for i in range(4)]
    send(bot, [*alerts, one(slo, over=True) | {"startsAt": later}])
    until(lambda: tick(bot) or storm(bot).status == "resolved", message="the storm does not end")
    send(bot, [one(slo) | {"startsAt": datetime.now(UTC).isoformat()}])
    back = of_slo(bot, slo)
    assert (back.umbrella, back.status) == (None, "triggered")
    until(lambda: root_of(rough, back.number), message="it has no thread")
    until(lambda: len(rough.pages()) == 5)


def test_a_storm_that_comes_back_goes_on_in_its_thread_and_pages_again(rough: Town):
    rough.config["incidents"] |= {"reopen_within": 600, "storm": {"keys": 3, "within": 3}}
    bot = rough.start()
    bot.alert(body(one(f"m-{i}") for i in range(6)))
    until(lambda: storm(bot) is not None and _decided(bot))
    send(bot, [one(f"m-{i}", over=True) for i in range(6)])
    until(lambda: tick(bot) or storm(bot).status == "resolved", message="the storm does not end")
    until(lambda: quiet(bot), timeout=15)
    before = len(rough.roots())
    bot.alert(body(one(f"n-{i}", "gateway", "critical") for i in range(6)))
    until(lambda: storm(bot).status == "triggered" and _decided(bot))
    assert (storm(bot).service, storm(bot).severity) == ("gateway", "sev1")
    assert [row.umbrella for row in rows(bot).values() if '"n-' in row.about].count(storm(bot).number) == 3
    key = f"captain-{storm(bot).uid}"
    until(lambda: any(p["dedup_key"] == key and p["service"] == "gateway" for p in rough.pages()))
    until(lambda: quiet(bot), timeout=15)
    assert len(rough.roots()) == before + 3
    thread = rough.thread(root_of(rough, storm(bot).number))
    assert any("Reopened: more than 3 incidents opened within 3 s" in text for text in thread)


def test_what_alertmanager_no_longer_knows_of_a_storm_is_asked_about_once_in_its_thread(rough: Town):
    rough.config["incidents"]["looks_apart"] = 0
    rough.config["alertmanager"]["url"] = f"{rough.served.url}/alertmanager"
    bot = rough.start()
    umbrella = raging(bot, 6).number
    until(lambda: root_of(rough, umbrella))
    for _ in range(4):
        bot.ask(f"incident reconcile INC-{of_slo(bot, 'm-3').number}")
    asked = [one for one in show(bot, umbrella)["asked"] if one["kind"] == "alert-gone"]
    assert len(asked) == 1
    assert "Alertmanager no longer knows Burn" in asked[0]["text"]
    assert bot.ask(f"incident resolve INC-{umbrella}")["text"].startswith(f"You resolved INC-{umbrella}")
    until(lambda: not any(row.umbrella and row.open_key for row in rows(bot).values()))


def test_a_note_on_a_member_is_in_its_timeline_alone(rough: Town):
    bot = rough.start()
    raging(bot)
    number = of_slo(bot, "m-1").number
    assert bot.ask(f"incident note the disk is full --of INC-{number}")["data"]["incidents"] == [number]
    assert bot.ask("incident note deployed 1.2 --service docs-api")["data"]["incidents"][-1] == storm(bot).number
    assert [e["text"] for e in show(bot, number)["timeline"] if e["kind"] == "note"] == ["the disk is full"]
    assert [e["state"] for e in show(bot, number)["effects"]] == ["skipped"]


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_comes_somebody_is_called_for_each_service_and_nobody_for_each_key(rough: Town, seed: int):
    """After every step: whatever is open and pages has a page out that is its own, or that of an open incident in its place."""
    rough.config["incidents"] |= {"storm": {"keys": 3, "within": 30}, "reopen_within": 600 * (seed % 2)}
    docs, gateway = rough.config["services"].values()
    services = {f"s{i}": dict((docs, gateway)[i % 2]) for i in range(4)}
    rough.config["services"] = services
    bot, rng = rough.start(), random.Random(seed)
    firing: dict[str, dict[str, Any]] = {}
    over: list[dict[str, Any]] = []
    number = itertools.count()
    for _ in range(45):
        act = rng.random()
        if act < 0.6 or not firing:
            alert = one(f"k-{next(number)}", rng.choice(list(services)), rng.choice(["critical", "page", "ticket"]))
            firing[alert["fingerprint"]] = alert
        elif act < 0.75:
            alert = rng.choice(list(firing.values()))
            labels = alert["labels"] | {"severity": "critical", "n": str(next(number))}
            alert = alert | {"labels": labels, "fingerprint": f"{next(number):016x}"}
            firing[alert["fingerprint"]] = alert
        elif act < 0.85 and over:
            alert = over.pop() | {"startsAt": datetime.now(UTC).isoformat()}  # it fires again
            firing[alert["fingerprint"]] = alert
        else:
            # Rather what calls others than any: its end is what may leave somebody asleep.
            calling = [name for name in firing if name in _calling(bot)]
            over.append(firing.pop(rng.choice(calling or list(firing))))
            alert = over[-1] | {"status": "resolved", "endsAt": datetime.now(UTC).isoformat()}
        send(bot, [alert])
        if rng.random() < 0.1:
            tick(bot)
        assert _asleep(bot) == []
    folded = [row for row in rows(bot).values() if row.umbrella]
    assert len(folded) > 10
    until(lambda: quiet(bot), timeout=30)
    assert all(page["triggers"] == 1 for page in rough.pages())
    never = {
        f"captain-{row.uid}" for row in folded if row.reopened_at is None
    }  # what came back may have had one before
    assert {page["dedup_key"] for page in rough.pages()}.isdisjoint(never)


def _calling(bot: Bot) -> set[str]:
    """The fingerprints of the alerts whose incidents have called somebody in a storm, and are not the storm."""
    with bot.captain.store.read() as c:
        t, j = storms.CALLS(), JOURNAL()
        found = sa.select(j.c.fingerprint).join(t, t.c.incident == j.c.incident)
        return set(c.execute(found.where(t.c.umbrella != t.c.incident)).scalars())


def _asleep(bot: Bot) -> list[str]:
    """Open incidents that page, and for which nobody of their service is called by anything that is open."""
    with bot.captain.store.read() as c:
        t, e = INCIDENTS(), EFFECTS()
        open_ = {row.number: row for row in c.execute(sa.select(t).where(t.c.open_key.is_not(None)))}
        paged = set(c.execute(sa.select(e.c.about).where(e.c.kind == "page")).scalars())
        found = []
        for row in open_.values():
            if row.severity not in WAKING or (row.number in paged and row.umbrella is None):
                continue
            who = row.umbrella and storms.caller(c, row.umbrella, row.service)
            if who not in open_ or who not in paged:
                found.append(f"INC-{row.number} of {row.service}, in {row.umbrella}, called by {who}")
        return found


def test_a_kill_in_the_middle_of_a_storm_leaves_one_storm_and_nothing_twice(rough: Town):
    rough.config["captain"]["lease"] = 2
    bot = rough.spawn()
    bot.alert(body([one(f"first-{i}") for i in range(3)] + [one(f"m-{i}") for i in range(60)]))
    bot.kill()
    bot = rough.spawn()
    until(lambda: bot.ask("incident list")["text"].startswith("64 incidents open"), timeout=20)
    until(lambda: len(rough.pages()) == len(rough.roots()) == 4, timeout=20)
    assert all(page["triggers"] == 1 for page in rough.pages())
    assert {page["service"] for page in rough.pages()} == {"docs-api"}


def test_two_replicas_in_a_storm_open_one(postgres: Any, rough: Town):
    rough.config["captain"]["database"] = postgres.url
    one_, two = rough.spawn(), rough.spawn()
    for i in range(0, 60, 10):
        for bot, part in ((one_, range(i, i + 5)), (two, range(i + 5, i + 10))):
            assert bot.alert(body(one(f"m-{n}", ("docs-api", "gateway")[n % 2]) for n in part)).status_code == 202
    until(lambda: one_.ask("incident list")["text"].startswith("61 incidents open"), timeout=30)
    listed = one_.ask("incident list")["data"]
    assert [row["source"] for row in listed].count("storm") == 1
    own = [row for row in listed if row["umbrella"] is None]
    until(lambda: len(rough.pages()) == len(own), timeout=30)
    assert {page["service"] for page in rough.pages()} == {"docs-api", "gateway"}
    assert len(own) <= 3 + 1 + 8 + 2, "while each sees only what the other has committed, a batch more may open alone"
