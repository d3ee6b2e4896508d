"""From alert to incident: what the template of captain.yml puts together, and alerts as no rule book foresees them."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import logging
import re
from typing import Any

import pytest
from ground.town import Town
from ground.waiting import until

from bot.app import build
from bot.errors import ConfigError


def burning(alertmanager_body, *alerts: dict[str, Any]) -> dict[str, Any]:
    """One body of alerts that fire: each a change of the same burn; ``labels`` that are None are left out."""
    body = alertmanager_body("firing-single")
    made = []
    for n, change in enumerate(alerts):
        labels = {k: v for k, v in (body["alerts"][0]["labels"] | change.pop("labels", {})).items() if v is not None}
        made.append(body["alerts"][0] | {"fingerprint": f"{n + 1:016x}", "labels": labels} | change)
    return body | {"alerts": made}


def decided(bot, count: int) -> list[dict[str, Any]]:
    """The open incidents once that many alerts have been decided about, oldest first."""
    until(lambda: bot.captain.alerts.waiting() == 0)
    return until(lambda: len(found := bot.ask("incident list")["data"]) == count and found[::-1])


def test_the_template_decides_what_is_one_incident_and_what_lacks_a_label_is_one_of_its_own(
    town: Town, alertmanager_body, caplog
):
    town.config["incidents"]["group_by"] = "{service}/{cluster}/{alertname}"
    bot = town.start()
    caplog.set_level(logging.WARNING, "handlers.incidents.arrive")
    bot.alert(
        burning(
            alertmanager_body,
            {"labels": {"cluster": "eu", "pod": "a"}},
            {"labels": {"cluster": "eu", "pod": "b"}},
            {"labels": {"cluster": "us"}},
            {"labels": {"cluster": None, "pod": "c"}},
            {"labels": {"cluster": None, "pod": "d"}},
        )
    )
    assert len(decided(bot, 4)) == 4, "eu, us, and each alert without a cluster"
    until(lambda: len(town.pages()) == 4, message="an alert was forgotten because a label is missing")
    (number,) = {row["incident"] for row in bot.ask(f"why {4:016x}")["data"]["alerts"]}
    said = bot.ask(f"why INC-{number}")["text"]
    assert "it has no label 'cluster', which group_by wants, so it is an incident of its own" in said
    assert f"has no label cluster, which group_by wants: INC-{number} is of it alone" in caplog.text


def test_a_service_has_a_template_of_its_own(town: Town, alertmanager_body):
    town.config["services"]["gateway"]["group_by"] = "{service}/{alertname}/{zone}"
    bot = town.start()
    bot.alert(
        burning(
            alertmanager_body,
            *({"labels": {"service": name, "zone": zone}} for name in ("gateway", "docs-api") for zone in "ab"),
        )
    )
    assert sorted(row["service"] for row in decided(bot, 3)) == ["docs-api", "gateway", "gateway"]


@pytest.mark.parametrize(
    ("template", "said"),
    [("{service}", "tells two problems of a service apart"), ("{service}/{{slo}}", "is no part of a template")],
)
def test_a_template_that_cannot_work_stops_the_start_with_its_line(town: Town, template, said):
    town.config["incidents"]["group_by"] = template
    with pytest.raises(ConfigError, match=said) as caught:
        build(town.write(), {})
    line = next(n for n, text in enumerate(town.file.read_text().splitlines(), 1) if "group_by" in text)
    assert f"{town.file}:{line}: incidents.group_by: " in str(caught.value)


def test_an_alertmanager_whose_clock_is_ahead_pages_at_once_and_no_duration_is_negative(town: Town, alertmanager_body):
    bot = town.start()
    ahead = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=10)).isoformat()
    fire = burning(alertmanager_body, {"startsAt": ahead})
    bot.alert(fire)
    until(lambda: len(town.pages()) == 1, timeout=3, message="an alert from the future waits for its time")
    until(lambda: town.roots() and "Jira ✔" in town.shown(town.roots()[0]))
    bot.alert(fire | {"alerts": [fire["alerts"][0] | {"status": "resolved", "endsAt": ahead}]})
    until(lambda: town.pages()[0]["status"] == "resolved")
    said = [
        bot.ask(line)["text"]
        for line in ("incident show INC-1", "why INC-1", "incident stats", "incident timeline INC-1")
    ]
    assert not [text for text in said if re.search(r"(?<![\w-])-\d", text)], said
    row = bot.ask("incident show INC-1")["data"]
    assert row["opened_at"] <= row["paged_at"] <= row["resolved_at"]


def test_labels_of_ten_kilobytes_and_lines_and_one_start_for_all_are_kept_apart(town: Town, alertmanager_body):
    bot = town.start()
    long = "ä/%\n" * 2500
    names = [long + "1", long + "2", "two\nlines", "two lines", "a/b", "a%2Fb"]
    bot.alert(burning(alertmanager_body, *({"labels": {"slo": name}} for name in names)))
    decided(bot, len(names))
    until(lambda: len(town.pages()) == len(town.tickets()) == len(town.roots()) == len(names), timeout=20)


def decided_of(bot) -> int:
    """How many alerts are in the first incident."""
    told = bot.ask("why INC-1").get("data") or {"alerts": [], "more_alerts": 0}
    return len(told["alerts"]) + told["more_alerts"]


def test_many_alerts_of_one_incident_at_two_replicas_at_once_open_one(postgres, town: Town, alertmanager_body):
    town.config["captain"]["database"] = postgres.url
    bots = [town.spawn(), town.spawn()]
    body = burning(alertmanager_body, *({} for _ in range(24)))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sent = [body | {"alerts": [alert]} for alert in body["alerts"]]
        answers = list(pool.map(lambda one: bots[one[0] % 2].alert(one[1]), enumerate(sent)))
    assert {answer.status_code for answer in answers} == {202}
    until(lambda: decided_of(bots[0]) == 24, timeout=20, message="not all of them are in the one incident")
    until(lambda: town.pages() and town.roots())
    assert len(bots[1].ask("incident list --all")["data"]) == 1
    assert len(town.pages()) == 1
    assert town.pages()[0]["triggers"] == 1
