"""What is held wakes nobody while there is a reason, and whoever must be paged is paged when the reason has ended."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
import sqlalchemy as sa
from ground.town import Bot, Town, channel, user
from ground.waiting import until

from handlers.alerts.journal import JOURNAL
from handlers.noise import again
from handlers.noise.table import HOLDS

FINGERPRINTS = itertools.count(0xABC000)


def alert(service: str = "docs-api", *, fingerprint: str = "", start: str = "", **labels: str) -> dict[str, Any]:
    """One alert that fires, by default of severity page."""
    said = {"alertname": "SLOBurn", "service": service, "severity": "page", "slo": f"{service}-slo", "env": "prod"}
    return {
        "status": "firing",
        "labels": said | labels,
        "annotations": {"summary": f"{service} burns"},
        "startsAt": start or "2026-11-23T08:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": fingerprint or f"{next(FINGERPRINTS):016x}",
    }


def send(bot: Bot, *alerts: dict[str, Any]) -> None:
    """Deliver alerts and wait until each is decided about."""
    body = {"version": "4", "status": "firing", "groupKey": "g", "alerts": list(alerts)}
    assert bot.alert(body).status_code == 202
    for one in alerts:
        until(lambda one=one: told(bot, one)["verdict"] is not None, message="nobody decided")


def ended(one: dict[str, Any]) -> dict[str, Any]:
    return one | {"status": "resolved", "endsAt": "2026-11-23T08:30:00Z"}


def told(bot: Bot, one: dict[str, Any]) -> dict[str, Any]:
    """What the journal holds of an alert."""
    t = JOURNAL()
    mine = (t.c.fingerprint == one["fingerprint"]) & (t.c.status == one["status"])
    with bot.captain.store.read() as c:
        row = c.execute(sa.select(t).where(mine).order_by(t.c.starts_at.desc()).limit(1)).first()
    return dict(row._mapping)


def look(bot: Bot) -> None:
    """What the clock does once a minute."""
    again.tick(bot.captain.desk, 0.0)


def on(bot: Bot) -> list[dict[str, Any]]:
    return bot.ask("maintenance list")["data"]["on"]


def said(town: Town, part: str) -> list[dict[str, Any]]:
    return [m for m in town.messages() if part in m["text"]]


# ---- maintenance ------------------------------------------------------------------------------------------------------


def test_maintenance_holds_what_fires_in_it_and_pages_for_what_still_fires_when_it_is_ended(town: Town):
    bot = town.start()
    begun = bot.ask("maintenance start docs-api 2h new disks")
    assert begun["data"]["by_name"] == "carol"
    short, long, other = alert(), alert(slo="another"), alert("gateway")
    send(bot, short, long, other)
    until(lambda: len(town.pages()) == 1, message="gateway is in no maintenance")
    assert [page["service"] for page in town.pages()] == ["gateway"]
    held = told(bot, short)
    assert held["held"] == "maintenance"
    assert held["incident"] is None
    assert held["verdict"].startswith("held, pages nobody: maintenance docs-api is on until 20")
    assert held["verdict"].endswith("UTC, by carol (new disks)")
    send(bot, ended(short))
    assert told(bot, ended(short))["verdict"] == "resolved while it was held: nothing was opened, nobody was paged"
    assert [(one["held"], one["holds"]) for one in on(bot)] == [(2, 1)]
    assert bot.metric('captain_alerts_held_total{kind="maintenance"}') == 2
    look(bot)
    assert told(bot, long)["held"] == "maintenance", "it is on: the clock lets nothing go"

    announced = until(lambda: said(town, "Maintenance of docs-api is on until"))[0]
    assert announced["channel"] == channel(town, "docs-api")
    assert town.slack.press(announced["channel"], announced["ts"], "maintenance end", user(town, "alice"))["ok"]
    until(lambda: len(town.pages()) == 2, message="what still fires at the end pages nobody")
    until(lambda: told(bot, long)["incident"] == 2)
    acted = told(bot, long)
    assert acted["held"] is None
    assert acted["verdict"].startswith(
        "opened INC-2 and pages the on-call of docs-api: severity 'page' is sev2, after it"
    )
    until(lambda: said(town, "is over, ended by alice. It held 2 alerts; 1 still fires and is acted on now."))
    until(lambda: "button" not in town.shown(announced_now(town, announced)), message="its button is still there")
    assert on(bot) == []
    assert len(town.pages()) == 2
    assert told(bot, short)["held"] == "maintenance", "what never acted stays counted"


def announced_now(town: Town, announced: dict[str, Any]) -> dict[str, Any]:
    return next(m for m in town.messages() if m["ts"] == announced["ts"])


def test_maintenance_ends_by_itself_and_then_pages(town: Town):
    bot = town.start()
    bot.ask("maintenance start docs-api 1s")
    one = alert()
    send(bot, one)
    assert told(bot, one)["held"] == "maintenance"
    until(town.pages, message="the end of the maintenance woke nobody")
    until(lambda: said(town, "is over, ended by itself"))
    until(lambda: len(town.roots()) == 1)


def test_what_a_kill_left_held_is_acted_on_by_the_next_look(town: Town):
    bot = town.start()
    bot.ask("maintenance start docs-api 2h")
    one = alert()
    send(bot, one)
    # As if its end had been written and nothing that follows from it.
    with bot.captain.store.write() as c:
        c.execute(sa.text("update silences set open_key = null, ended_at = 1"))
    look(bot)
    until(town.pages, message="nobody looked again")
    look(bot)
    with bot.captain.store.read() as c:
        assert c.execute(sa.select(HOLDS().c.outcome, HOLDS().c.turn)).all() == [("acted", 1)]
    assert len(town.pages()) == 1


def test_two_maintenances_that_overlap_hold_until_the_last_is_over(town: Town):
    bot = town.start()
    bot.ask("maintenance start docs-api 1h first")
    bot.ask("maintenance start docs-api 2h second", name="bob")
    one = alert()
    send(bot, one)
    assert "by bob (second)" in told(bot, one)["verdict"]
    assert "Which one?" in bot.ask("maintenance end docs-api")["error"]
    bot.ask("maintenance end 2")
    until(lambda: "by carol (first)" in told(bot, one)["verdict"], message="the first is still on")
    assert town.pages() == []
    assert told(bot, one)["held"] == "maintenance"
    bot.ask("maintenance end docs-api")
    until(town.pages)


def test_a_window_of_the_configuration_begins_by_itself_and_is_ended_by_a_click(town: Town):
    now = dt.datetime.now(dt.UTC)
    span = {"start": (now - dt.timedelta(hours=1)).isoformat(), "end": (now + dt.timedelta(hours=1)).isoformat()}
    later = {"start": (now + dt.timedelta(hours=5)).isoformat(), "end": (now + dt.timedelta(hours=6)).isoformat()}
    town.config["maintenance"] = {
        "reindexing": {"services": ["docs-api"], "matchers": ['slo=~"docs-.*"'], "reason": "every week", **span},
        "later": {"services": ["gateway"], **later},
    }
    bot = town.start()
    one, other = alert(), alert(slo="search")
    send(bot, one, other)
    assert "maintenance reindexing is on until" in told(bot, one)["verdict"]
    assert "by captain.yml (every week)" in told(bot, one)["verdict"]
    until(lambda: len(town.pages()) == 1, message="what its matchers do not meet is held by nobody")
    assert "later: " in bot.ask("maintenance list")["text"]
    announced = until(lambda: said(town, "Maintenance of reindexing"))[0]
    assert announced["channel"] == channel(town, "docs-api")
    assert town.slack.press(announced["channel"], announced["ts"], "maintenance end", user(town, "alice"))["ok"]
    until(lambda: len(town.pages()) == 2, message="it was ended, and what it held wakes nobody")
    look(bot)
    assert on(bot) == [], "what somebody ended does not begin again"
    assert len(said(town, "Maintenance of reindexing")) == 2


def test_a_window_that_captain_yml_no_longer_has_is_over(town: Town):
    now = dt.datetime.now(dt.UTC)
    span = {"start": (now - dt.timedelta(hours=1)).isoformat(), "end": (now + dt.timedelta(hours=1)).isoformat()}
    town.config["maintenance"] = {"reindexing": {"services": ["docs-api"], **span}}
    bot = town.start()
    one = alert()
    send(bot, one)
    bot.stop()
    town.bots.clear()
    del town.config["maintenance"]
    again_ = town.start()
    look(again_)
    until(town.pages, message="nothing holds it any more")
    until(lambda: said(town, "is over, ended by captain.yml"))


def test_a_button_pressed_again_says_what_it_found_and_changes_nothing(town: Town):
    bot = town.start()
    bot.ask("maintenance start docs-api 1h")
    bot.ask("maintenance end 1", name="alice")
    assert "#1, maintenance of docs-api, ended by alice" in bot.ask("maintenance end 1")["text"]
    assert "Nothing was changed." in bot.ask("maintenance end #1")["text"]
    assert len(until(lambda: said(town, "is over, ended by"))) >= 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("maintenance start docs-apo 1h", "Did you mean 'docs-api'?"),
        ("maintenance start docs-api 0", "is no length of time"),
        ("maintenance start docs-api 0h", "is no length of time"),
        ("maintenance start docs-api 260w", "too long: 1 d 0 h at most"),
        ("maintenance start docs-api soon", "is no length of time"),
        ("maintenance end 7", "Nothing is on."),
        ("maintenance end docs-api", "Nothing of the name or number 'docs-api' is on"),
    ],
)
def test_a_slip_is_explained_and_silences_nothing(town: Town, line: str, why: str):
    bot = town.start()
    assert why in bot.ask(line)["error"]
    assert on(bot) == []
