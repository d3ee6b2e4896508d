"""The same bot on PostgreSQL: one or several processes, and a database that goes away."""

from __future__ import annotations

import time

import pytest
from ground.town import Town
from ground.waiting import until


@pytest.fixture
def shared(postgres, town: Town):
    town.config["captain"]["database"] = postgres.url
    return town


def test_the_main_job_runs_on_postgresql(shared: Town, alertmanager_body):
    bot = shared.start()
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    until(lambda: shared.pages() and shared.tickets() and shared.roots())
    bot.alert(fire | {"alerts": [fire["alerts"][0] | {"status": "resolved"}]})
    until(lambda: shared.pages()[0]["status"] == "resolved")
    until(lambda: shared.tickets()[0]["status_category"] == "done")
    assert len(shared.pages()) == len(shared.tickets()) == len(shared.roots()) == 1


def test_two_replicas_that_hear_the_same_alert_page_once(shared: Town, alertmanager_body):
    one, two = shared.spawn(), shared.spawn()
    fire = alertmanager_body("firing-single")
    for bot in (one, two, one, two):
        assert bot.alert(fire).status_code == 202
    until(lambda: shared.pages() and shared.tickets() and shared.roots())
    until(lambda: "Jira ✔" in shared.shown(shared.roots()[0]))
    assert len(shared.pages()) == len(shared.tickets()) == len(shared.roots()) == 1
    assert shared.pages()[0]["triggers"] == 1


@pytest.mark.slow
def test_a_living_replica_takes_over_what_a_dead_one_left(shared: Town, alertmanager_body):
    shared.config["captain"]["lease"] = 2
    doomed, heir = shared.spawn(), shared.spawn()
    shared.pagerduty.faults.breaks("hang", times=1)
    doomed.alert(alertmanager_body("firing-single"))
    until(lambda: shared.tickets() and shared.roots())
    doomed.kill()
    shared.pagerduty.faults.mend()
    until(lambda: len(shared.pages()) == 1, timeout=6, message="nobody took over within two leases")
    until(lambda: heir.ask("incident list")["data"][0]["paged_at"])
    assert len(shared.tickets()) == len(shared.roots()) == 1


def test_a_database_that_is_down_is_answered_with_503_in_time_and_heals(shared: Town, postgres, alertmanager_body):
    bot = shared.start()
    fire = alertmanager_body("firing-single")
    postgres.stop("immediate")
    began = time.monotonic()
    answer = bot.alert(fire)
    took = time.monotonic() - began
    assert answer.status_code == 503
    assert "send it again" in answer.json()["error"]
    assert took < 2.5, "Alertmanager must hear within two seconds"
    postgres.start()
    until(lambda: bot.alert(fire).status_code == 202, timeout=20)
    until(lambda: len(shared.pages()) == 1, timeout=20)
    until(lambda: shared.roots() and shared.tickets(), timeout=20)
    assert len(shared.pages()) == len(shared.tickets()) == len(shared.roots()) == 1


def test_a_database_that_dies_under_an_open_effect_loses_nothing(shared: Town, postgres, alertmanager_body):
    bot = shared.start()
    shared.pagerduty.faults.breaks("late", delay=1.5, times=1)
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: shared.pages(), timeout=5)
    postgres.stop("immediate")
    postgres.start()
    until(lambda: shared.roots() and "PagerDuty ✔" in shared.shown(shared.roots()[0]), timeout=30)
    assert len(shared.pages()) == len(shared.roots()) == 1
