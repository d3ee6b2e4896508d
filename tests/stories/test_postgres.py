"""The same bot on PostgreSQL: one or several processes, and a database that goes away."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from ground.town import Town
from ground.waiting import until

from bot.errors import ConfigError


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


CLASH = """
    CREATE SEQUENCE clashes;
    CREATE FUNCTION clash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('clashes') = 1 THEN RAISE 'deadlock detected' USING ERRCODE = '40P01'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER clash BEFORE UPDATE OF acked_at ON incidents FOR EACH ROW EXECUTE FUNCTION clash();
"""
"""The first write that acknowledges is taken back, as of two transactions that wait for one another; a sequence is not."""


def test_who_stands_in_another_transactions_way_is_done_all_the_same(shared: Town):
    bot = shared.start()
    bot.ask("incident open sev2 docs-api it burns")
    until(lambda: shared.pages() and shared.roots())
    with psycopg.connect(shared.config["captain"]["database"], autocommit=True) as c:
        c.execute(CLASH)
        assert bot.ask("incident ack INC-1")["data"]["status"] == "acknowledged"
        assert c.execute("SELECT last_value FROM clashes").fetchone() == (2,)


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
@pytest.mark.parametrize("service", ["pagerduty", "slack", "jira"])
@pytest.mark.parametrize("fault", ["hang", "late"])
def test_a_living_replica_takes_over_what_a_dead_one_had_in_hand(shared: Town, alertmanager_body, service, fault):
    """``hang``: the call has not acted, the heir must. ``late``: it has, and the answer never came; the heir must look."""
    shared.config["captain"]["lease"] = 2
    fake = getattr(shared, service)
    made = {"pagerduty": shared.pages, "slack": shared.roots, "jira": shared.tickets}
    doomed, heir = shared.spawn(), shared.spawn()
    if fault == "hang":
        fake.faults.breaks("hang")
    else:
        fake.faults.breaks("late", delay=30, only={"jira": "/issue"}.get(service, ""))
    doomed.alert(alertmanager_body("firing-single"))
    for name, held in made.items():
        if fault == "late" or name != service:
            until(lambda held=held: held(), message=f"{name} was never asked")
    if fault == "hang":
        until(lambda: any(call.service == service for call in shared.calls.calls))
    doomed.kill()
    fake.faults.mend()
    until(lambda: all(held() for held in made.values()), timeout=6, message="nobody took over within two leases")
    until(lambda: heir.ask("incident list")["data"][0]["paged_at"])
    until(lambda: "PagerDuty ✔" in shared.shown(shared.roots()[0]) and "Jira ✔" in shared.shown(shared.roots()[0]))
    assert len(shared.pages()) == len(shared.tickets()) == len(shared.roots()) == 1


@pytest.mark.slow
def test_a_living_replica_decides_what_a_dead_one_had_only_taken(shared: Town, alertmanager_body):
    shared.config["captain"]["lease"] = 2
    doomed, _heir = shared.spawn(), shared.spawn()
    assert doomed.alert(alertmanager_body("firing-single")).status_code == 202
    doomed.kill()
    until(lambda: shared.pages() and shared.tickets() and shared.roots(), timeout=8, message="nobody took over")
    until(lambda: "PagerDuty ✔" in shared.shown(shared.roots()[0]) and "Jira ✔" in shared.shown(shared.roots()[0]))
    assert len(shared.pages()) == len(shared.tickets()) == len(shared.roots()) == 1


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


def test_a_press_that_cannot_be_stored_is_not_acknowledged_and_works_when_pressed_again(
    shared: Town, postgres, alertmanager_body
):
    """Slack shows a warning beside the button then; without it, somebody would believe that the page is taken."""
    bot = shared.start()
    bot.alert(alertmanager_body("firing-single"))
    root = until(lambda: next((root for root in shared.roots() if "PagerDuty ✔" in shared.shown(root)), None))
    postgres.stop("immediate")
    assert not shared.slack.press(root["channel"], root["ts"], "incident ack", "alice")["ok"]
    assert shared.pages()[0]["status"] == "triggered"
    postgres.start()
    until(lambda: shared.slack.press(root["channel"], root["ts"], "incident ack", "alice")["ok"], timeout=20)
    until(lambda: shared.pages()[0]["status"] == "acknowledged", timeout=20)


def test_a_database_that_dies_under_an_open_effect_loses_nothing(shared: Town, postgres, alertmanager_body):
    bot = shared.start()
    shared.pagerduty.faults.breaks("late", delay=1.5, times=1)
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: shared.pages(), timeout=5)
    postgres.stop("immediate")
    postgres.start()
    until(lambda: shared.roots() and "PagerDuty ✔" in shared.shown(shared.roots()[0]), timeout=30)
    assert len(shared.pages()) == len(shared.roots()) == 1


def test_a_database_restarted_behind_our_back_costs_no_webhook(shared: Town, postgres, alertmanager_body):
    """The pool holds connections that died; Alertmanager must not be told to come again for that."""
    bot = shared.start()
    fire = alertmanager_body("firing-single")
    later = fire["alerts"][0] | {"fingerprint": "00000000000000ff", "status": "resolved"}
    assert bot.alert(fire | {"alerts": [later]}).status_code == 202
    postgres.restart("immediate")
    assert bot.alert(fire).status_code == 202
    until(lambda: shared.pages() and shared.tickets() and shared.roots())


@contextmanager
def frozen(postgres) -> Iterator[None]:
    """Every process of the server stands still: connections stay open and nothing answers."""
    main = postgres.server._process.pid
    pids = [main, *map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split())]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_database_that_freezes_is_answered_with_503_in_time_and_heals(shared: Town, postgres, alertmanager_body):
    bot = shared.start()
    fire = alertmanager_body("firing-single")
    with frozen(postgres):
        began = time.monotonic()
        assert bot.alert(fire).status_code == 503
        assert time.monotonic() - began < 2.5
    # What was on its way when it froze is committed now: it is a duplicate, and it is decided about.
    until(lambda: bot.alert(fire).status_code == 202)
    until(lambda: shared.pages() and shared.tickets() and shared.roots())
    assert len(shared.pages()) == len(shared.tickets()) == len(shared.roots()) == 1


def test_sigterm_while_the_database_is_down_ends_in_time_and_loses_nothing(shared: Town, postgres, alertmanager_body):
    bot = shared.spawn()
    shared.pagerduty.faults.breaks("500")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: shared.roots() and "retry" in shared.shown(shared.roots()[0]), timeout=30)
    postgres.stop("immediate")
    began = time.monotonic()
    bot.stop()
    assert bot.process.returncode == 0
    assert time.monotonic() - began < 15, "a supervisor waits 20"
    postgres.start()
    shared.pagerduty.faults.mend()
    shared.spawn()
    until(lambda: len(shared.pages()) == 1, message="the page was lost with the database")
    assert len(shared.tickets()) == len(shared.roots()) == 1


def test_sigterm_while_the_database_is_frozen_ends_in_time(shared: Town, postgres, alertmanager_body):
    bot = shared.spawn()
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: shared.roots())
    with frozen(postgres):
        began = time.monotonic()
        bot.stop()
        assert bot.process.returncode == 0
        assert time.monotonic() - began < 8


@pytest.mark.slow
def test_after_a_long_outage_a_new_page_goes_out_at_once(shared: Town, postgres, alertmanager_body):
    """Long for the executor, whose own pauses double: none of them may stand before a new page."""
    bot = shared.start()
    shared.pagerduty.faults.breaks("500")
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    until(lambda: shared.roots())
    postgres.stop("immediate")
    threading.Event().wait(8)  # the outage itself
    postgres.start()
    shared.pagerduty.faults.mend()
    other = fire["alerts"][0] | {
        "fingerprint": "00000000000000ff",
        "labels": fire["alerts"][0]["labels"] | {"service": "gateway"},
    }
    until(lambda: bot.alert(fire | {"alerts": [other]}).status_code == 202)
    until(lambda: len(shared.pages()) == 2, timeout=15, message="a page waits for the executor")


def test_a_database_that_is_read_only_is_refused_with_a_sentence(shared: Town, postgres):
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {postgres.database} SET default_transaction_read_only = on")
    with pytest.raises(ConfigError, match="is read-only; name the primary"):
        shared.start()


def test_a_database_that_is_not_there_is_refused_with_a_sentence_and_without_the_password(shared: Town, postgres):
    shared.config["captain"]["database"] = postgres.url.replace("captain@", "captain:hunter2@") + "_gone"
    with pytest.raises(ConfigError, match="does not take us; is it running") as refused:
        shared.start()
    assert "hunter2" not in str(refused.value)
