"""Alerts of Grafana and of whoever sends the documented form: paged like Alertmanager's, and ended only when all is well."""

from __future__ import annotations

import concurrent.futures
import time
from typing import Any

import pytest
import requests
from ground.town import Bot, Town
from ground.waiting import until

from handlers.incidents import table

SECRET = "of-the-sender"
KEY = {"key": "backup-failed", "service": "docs-api", "severity": "page", "title": "The backup failed"}


@pytest.fixture
def bot(town: Town) -> Bot:
    town.config |= {section: {"webhook_secret": SECRET} for section in ("grafana", "webhooks")}
    return town.start()


def send(bot: Bot, body: Any, door: str = "grafana", secret: str = SECRET) -> requests.Response:
    headers = {"authorization": f"Bearer {secret}"}
    return requests.post(f"{bot.url}/webhooks/{door}", json=body, headers=headers, timeout=10)


def tell(bot: Bot, **change: Any) -> dict[str, Any]:
    answer = send(bot, KEY | change, "alerts")
    assert answer.status_code == 202
    return answer.json()


def standing(bot: Bot) -> dict[int, str]:
    """Number → status of every incident, once all alerts have been decided about."""
    until(lambda: bot.captain.alerts.waiting() == 0 and not bot.captain.alerts._busy)
    return {row["number"]: row["status"] for row in bot.ask("incident list --all")["data"]}


def test_a_burn_that_grafana_sees_is_paged_and_ends_with_it(bot: Bot, town: Town, grafana_body):
    assert send(bot, grafana_body("firing")).json() == {"accepted": 1, "duplicates": 0}
    assert send(bot, grafana_body("firing")).json() == {"accepted": 0, "duplicates": 1}
    until(lambda: town.pages(), timeout=3, message="nobody was paged")
    root = until(lambda: town.roots() and "PagerDuty ✔" in town.shown(town.roots()[0]) and town.roots()[0])
    assert "https://grafana.example.com/d/abc?orgId=1" in town.shown(root)
    assert "Grafana: docs-api burns its budget" in bot.ask("incident show INC-1")["text"]
    assert send(bot, grafana_body("resolved")).json()["accepted"] == 1
    until(lambda: town.pages()[0]["status"] == "resolved")
    assert send(bot, grafana_body("resolved")).json() == {"accepted": 0, "duplicates": 1}
    assert len(town.pages()) == len(town.roots()) == 1


def test_while_there_is_no_data_a_burn_stays_open_and_is_over_when_it_is_measured_again(
    bot: Bot, town: Town, grafana_body
):
    """Grafana lets the burn's alert run out and raises another: that is no end, and no burn either."""
    send(bot, grafana_body("firing"))
    until(town.pages)
    send(bot, grafana_body("no-data"))
    until(lambda: len(town.pages()) == 2)
    assert "No data for ErrorRate" in town.pages()[1]["title"]
    until(lambda: any("No data: DatasourceNoData fires" in text for text in town.thread(town.roots()[0])))
    send(bot, grafana_body("resolved"))
    kept = "INC-1 stays open: there is no data, and no data is no end"
    until(lambda: kept in bot.ask("why INC-1")["text"])
    assert standing(bot) == {1: "triggered", 2: "triggered"}
    back = grafana_body("no-data")
    back["alerts"][0] |= {"status": "resolved", "endsAt": "2026-11-23T09:00:00Z"}
    back["alerts"][0]["annotations"].pop("grafana_state_reason")
    send(bot, back)
    until(lambda: any("There is data again" in text for text in town.thread(town.roots()[0])))
    with bot.captain.engine.transaction(time.time()) as tx:
        assert tx.hasten(table.newest(tx.c, 1, "thaw").key), "five minutes later"
    until(lambda: {page["status"] for page in town.pages()} == {"resolved"}, message="it is measured again, and well")
    until(lambda: standing(bot) == {1: "resolved", 2: "resolved"})


def test_the_end_of_no_data_never_ends_what_burns(bot: Bot, town: Town, grafana_body):
    send(bot, grafana_body("firing"))
    send(bot, grafana_body("error"))
    until(lambda: len(town.pages()) == 2)
    over = grafana_body("error")
    over["alerts"][0] |= {"status": "resolved", "annotations": {}}
    send(bot, over)
    until(lambda: sorted(standing(bot).values()) == ["resolved", "triggered"])
    (row,) = bot.ask("incident list")["data"]
    assert "burns" in row["title"]


def test_an_end_for_want_of_a_series_leaves_the_incident_to_a_person(bot: Bot, town: Town, grafana_body):
    send(bot, grafana_body("firing"))
    root = until(town.roots)[0]
    assert send(bot, grafana_body("missing-series")).json()["accepted"] == 1
    until(lambda: any("its series is gone. I leave this open" in text for text in town.thread(root)))
    assert standing(bot) == {1: "triggered"}
    assert town.pages()[0]["status"] == "triggered"
    bot.ask("incident resolve INC-1")
    until(lambda: town.pages()[0]["status"] == "resolved")


def test_what_is_told_without_a_start_is_paged_once_a_fire(bot: Bot, town: Town):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        told = list(pool.map(lambda _: tell(bot), range(24)))
    assert sum(one["accepted"] for one in told) == 1
    until(town.pages)
    assert tell(bot, status="resolved")["accepted"] == 1
    assert tell(bot, status="resolved") == {"accepted": 0, "duplicates": 1}
    until(lambda: town.pages()[0]["status"] == "resolved")
    assert tell(bot)["accepted"] == 1
    until(lambda: standing(bot) == {1: "triggered"}, message="it fires again and nobody hears of it")
    assert tell(bot)["duplicates"] == 1
    assert len(bot.ask("why INC-1")["data"]["alerts"]) == 3


def test_what_ends_and_fires_again_in_one_delivery_burns_and_what_fires_and_ends_in_one_is_over(bot: Bot, town: Town):
    over = KEY | {"status": "resolved"}
    tell(bot)
    until(town.pages)
    assert send(bot, {"alerts": [over, KEY]}, "alerts").json()["accepted"] == 2
    assert standing(bot) == {1: "triggered"}, "it burns, and is taken for over"
    assert send(bot, {"alerts": [over, KEY, over]}, "alerts").json()["accepted"] == 3
    until(lambda: standing(bot) == {1: "resolved"}, message="it is over, and nobody ends it")


def test_who_never_says_that_it_is_over_is_heard_again_after_a_person_ended_it(bot: Bot, town: Town):
    tell(bot)
    until(town.pages)
    bot.ask("incident resolve INC-1 --anyway")
    until(lambda: town.pages()[0]["status"] == "resolved")
    tell(bot)
    until(lambda: standing(bot) == {1: "triggered"}, message="the next fire is lost")
    tell(bot, status="resolved")
    until(lambda: standing(bot) == {1: "resolved"})


def test_alertmanager_is_not_asked_about_what_it_never_sent(town: Town, grafana_body):
    town.config |= {section: {"webhook_secret": SECRET} for section in ("grafana", "webhooks")}
    town.config["alertmanager"] |= {"url": f"{town.served.url}/alertmanager", "receiver": "rc"}
    town.config["incidents"]["looks_apart"] = 0
    bot = town.start()
    send(bot, grafana_body("firing"))
    tell(bot)
    until(lambda: len(town.roots()) == 2)
    looks = [bot.ask("incident reconcile")["data"] for _ in range(3)]
    assert [(look["asked"], look["doubtful"]) for look in looks] == [([], [])] * 3


def test_who_has_not_shown_the_secret_is_refused_and_what_cannot_be_taken_is_said(bot: Bot, town: Town, grafana_body):
    for door, section in (("grafana", "grafana"), ("alerts", "webhooks")):
        stranger = send(bot, {}, door, secret="x")
        assert (stranger.status_code, f"{section}.webhook_secret" in stranger.json()["error"]) == (401, True)
        assert send(bot, {"version": "4"}, door).status_code == 422
    odd = grafana_body("firing")
    odd["alerts"].append(odd["alerts"][0] | {"labels": {"alertname": "x"}})
    odd["truncatedAlerts"] = 3
    told = send(bot, odd).json()
    assert told["accepted"] == 1
    assert told["refused"][0].startswith("alerts[1]: the label 'service' is missing")
    said = bot.ask("why last 10m")["text"]
    assert "Grafana left 3 alerts out of this delivery" in said
    assert "refused, in a delivery answered with 202 (grafana)" in said
    assert tell(bot, sevrity="page")["notes"] == ["alerts[0].sevrity is not known here. Did you mean 'severity'?"]
    assert bot.metric('captain_webhooks_total{source="webhook",status="202"}') == 1


def test_a_sender_without_a_section_is_told_so(town: Town):
    bot = town.start()
    for door, section in (("grafana", "grafana"), ("alerts", "webhooks")):
        answer = send(bot, {}, door)
        assert (answer.status_code, answer.json()["error"]) == (404, f"there is no {section}: section in captain.yml")
