"""Below a burn stands what it means: how long the budget lasts, where it comes from, what was switched on, and a chart."""

from __future__ import annotations

import copy
from typing import Any

from ground.town import Bot, Town
from ground.waiting import until
from stories.test_slo_looks import NAME, Days, measured

from handlers.slo import look

__all__ = ["measured"]


def said(town: Town, part: str) -> str:
    """The message below the first root that has this in it."""
    root = until(town.roots, message="no root")[0]
    return until(lambda: next((text for text in town.thread(root) if part in text), ""), message=f"nobody said: {part}")


def pictures(town: Town) -> list[str]:
    return [name for m in town.messages() for name in map(str, m.get("files") or ()) if "burn" in name]


def told_by_alertmanager(bot: Bot, body: dict[str, Any], **labels: str) -> None:
    one = body["alerts"][0]
    one["labels"] = {
        "alertname": "SLOBurn",
        "service": "docs-api",
        "env": "prod",
        "slo": NAME,
        "tier": "page-20m",
    } | labels
    one["annotations"] = {"summary": "it burns"}
    body["alerts"] = [one]
    assert bot.alert(body).status_code == 202


def test_the_thread_says_what_a_burn_means_with_a_chart(measured: Town):
    measured.has_a_flag(service="docs-api")
    bot = measured.start()
    bot.ask("flag on gateway-bypass --for 30m a test", "alice")
    until(lambda: measured.bypass() == "true")
    measured.prometheus.set_world("docs-api", errors=0.5, ago=300)
    Days(bot).look()
    text = said(measured, "burns at")
    assert "burns at 500x* over 2m" in text
    assert "a page from 14.4x on" in text
    assert "50 %" in text
    assert '*Most of it:* `response_code="503"` 100 %' in text
    assert "*Flag:* `gateway-bypass` is on since" in text
    assert "by alice" in text
    assert "<https://grafana/d/docs|Dashboard>" in text
    assert "<https://wiki/docs|Runbook>" in text
    until(lambda: pictures(measured), message="no chart came")


def test_a_burn_that_alertmanager_tells_of_has_the_same(measured: Town, alertmanager_body):
    measured.config["slos"][NAME]["evaluate"] = False
    bot = measured.start()
    look.run(bot.captain.desk)  # what was seen while all was well says nothing of the burn
    measured.prometheus.set_world("docs-api", errors=0.2, ago=300)
    told_by_alertmanager(bot, alertmanager_body("firing-single"), severity="page")
    assert "burns at 200x" in said(measured, "burns at")
    until(lambda: "budget of 1h is spent" in measured.shown(measured.roots()[0]), message="the panel does not say it")
    until(lambda: pictures(measured))


def test_a_prometheus_that_is_away_delays_no_page_and_its_silence_is_said(measured: Town, alertmanager_body):
    measured.prometheus.faults.breaks("503")
    bot = measured.start()
    told_by_alertmanager(bot, alertmanager_body("firing-single"), severity="page")
    until(lambda: len(measured.pages()) == 1)
    until(measured.roots)
    assert "There is no chart" in said(measured, "is not known")
    assert pictures(measured) == []


def test_an_alert_of_no_slo_of_ours_and_one_that_says_that_data_is_missing_have_none(measured: Town, alertmanager_body):
    bot = measured.start()
    told_by_alertmanager(bot, alertmanager_body("firing-single"), slo="another", severity="page")
    told_by_alertmanager(
        bot, copy.deepcopy(alertmanager_body("firing-single")), alertname="SLODataMissing", severity="ticket"
    )
    until(lambda: len(measured.roots()) >= 1)
    shown = bot.ask("incident show INC-1")["data"]["effects"]
    assert [one for one in shown if one["kind"] == "burn"] == []
