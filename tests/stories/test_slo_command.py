"""``slo``: what is left, what burns, what fires, from the last look alone; and the same as metrics."""

from __future__ import annotations

import io

import pytest
from ground.town import Town, channel, user
from ground.waiting import until
from PIL import Image
from stories.test_slo_looks import NAME, Days, measured

from bot.__main__ import ASK, _room

__all__ = ["measured"]


def test_slo_says_what_is_left_what_burns_and_what_fires_without_asking_prometheus(measured: Town):
    bot = measured.start()
    assert "not looked at yet" in bot.ask("slo docs-api")["text"].lower()
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    days = Days(bot)
    days.now -= 60
    days.look()
    before = len(measured.calls.calls)
    until(lambda: len(measured.pages()) == 1)
    told = bot.ask(f"slo {NAME}")
    assert "99.9 % good over 1h" in told["text"]
    assert "were good in the last 1h" in told["text"]
    assert "page-20m" in told["text"]
    assert "fires since" in told["text"]
    assert "*INC-1* sev2" in told["text"]
    (one,) = told["data"]
    assert one["fires"].keys() == {"page-20m"}
    assert one["burn"]["2m"] == pytest.approx(500, rel=0.2)
    assert one["incidents"] == [1]
    listed = bot.ask("slo")["text"]
    assert "page-20m: fires" in listed
    assert bot.metric(f'captain_slo_burn{{slo="{NAME}",window="2m"}}') == pytest.approx(500, rel=0.2)
    assert bot.metric(f'captain_slo_budget_left{{slo="{NAME}"}}') < 0
    asked = [call for call in list(measured.calls.calls)[before:] if call.service == "prometheus"]
    assert all("captain_part" not in call.body or "query_range" in call.path for call in asked)


def test_slo_says_that_data_is_missing_and_what_silences_it(measured: Town):
    bot = measured.start()
    measured.prometheus.remove("docs-api")
    days = Days(bot)
    days.now -= 60
    days.look()
    bot.ask("maintenance start docs-api 1h reindexing", "alice")
    told = bot.ask("slo docs-api")["text"]
    assert "No data" in told
    assert "its total query returns nothing" in told
    assert "100 %" not in told.replace("100 % of", "")
    assert "reindexing" in told
    assert bot.metric(f'captain_slo_missing{{slo="{NAME}"}}') == 1
    assert "no data" in bot.ask("slo")["text"]


def test_an_slo_whose_alerts_prometheus_raises_is_measured_for_slo_and_wakes_nobody(measured: Town):
    measured.config["slos"][NAME]["evaluate"] = False
    bot = measured.start()
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    days = Days(bot)
    days.now -= 180
    assert len(days.look().measured) == 1
    assert days.look().measured == [], "every three minutes will do"
    assert days.look().began == []
    told = bot.ask("slo docs-api")
    assert "Prometheus' own rules" in told["text"]
    assert told["data"][0]["burn"]["2m"] == pytest.approx(500, rel=0.2)
    assert bot.ask("incident list --all")["data"] == []


def test_what_is_no_longer_ours_to_raise_ends_and_says_why(measured: Town):
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    bot = measured.start()
    Days(bot).look()
    until(lambda: len(measured.pages()) == 1)
    bot.stop()
    measured.bots.clear()
    measured.config["slos"][NAME]["evaluate"] = False
    bot = measured.start()
    days = Days(bot)
    days.now += 300
    days.look()
    shown = bot.ask("incident show INC-1")["data"]
    assert shown["status"] == "resolved"
    assert any("captain.yml was changed" in e["text"] for e in shown["timeline"])
    days.look(4)
    assert len(measured.pages()) == 1


def test_an_unknown_name_has_a_nearest_one_and_a_service_without_slo_is_said_to_be_one(measured: Town):
    bot = measured.start()
    assert "docs-api" in bot.ask("slo docs-apo")["error"]
    assert NAME in bot.ask("slo docs-availabilit")["error"]
    assert "has no SLO" in bot.ask("slo gateway")["error"]


def test_captain_slo_is_asked_of_the_bot_unless_it_is_work_of_this_machine():
    assert _room(["slo"]) == _room(["slo", "docs-api"]) == _room(["incident", "list"]) == ASK
    assert {_room(["slo", word]) for word in ("rules", "check", "import")} == {"bot.slo_cli"}
    assert _room(["serve"]) == "bot.serving"


def test_asked_in_slack_a_chart_follows_in_the_channel(measured: Town):
    bot = measured.start()
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    Days(bot).look()
    measured.slack.slash("#gateway", user(measured, "alice"), "/slo", "docs-api")
    until(lambda: any("page-20m" in m["text"] for m in measured.slack.state()["messages"]))
    gateway = channel(measured, "gateway")
    (message,) = until(
        lambda: [m for m in measured.messages() if m["channel"] == gateway and m.get("files")], message="no chart came"
    )
    assert Image.open(io.BytesIO(measured.slack.file(message["files"][0]["id"]))).format == "PNG"
