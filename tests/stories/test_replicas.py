"""Three replicas on one database: who dies is replaced, who leaves hands over, who freezes does no harm, ticks fire once."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import time

import psycopg
import pytest
from ground.town import Town, user
from ground.waiting import until

from handlers import panels
from handlers.alerts import journal
from handlers.incidents import table


@pytest.fixture
def shared(postgres, town: Town):
    town.config["captain"] |= {"database": postgres.url, "lease": 2}
    return town


def other(body, n: int, service: str = "docs-api"):
    """The body of another alert, of another SLO."""
    alert = body["alerts"][0]
    labels = alert["labels"] | {"slo": f"slo-{n}", "service": service}
    return body | {"alerts": [alert | {"fingerprint": f"{n:016x}", "labels": labels}]}


def settled(town: Town, count: int) -> None:
    """Every incident has its one page, ticket and thread, and each panel says so."""
    until(lambda: len(town.pages()) == len(town.tickets()) == len(town.roots()) == count, timeout=20)
    for said in ("PagerDuty ✔", "Jira ✔"):
        until(lambda said=said: all(said in town.shown(root) for root in town.roots()), timeout=20)
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == count


def test_who_leaves_hands_its_work_over_at_once(shared: Town, alertmanager_body):
    """Not after a lease: with a rolling update nobody waits longer for a page than for its next try."""
    shared.config["captain"]["lease"] = 60
    leaving, staying = shared.spawn(), shared.spawn()
    shared.pagerduty.faults.breaks("429", retry_after=3)
    leaving.alert(alertmanager_body("firing-single"))
    until(lambda: shared.roots() and "retry 1" in shared.shown(shared.roots()[0]))
    began = time.monotonic()
    leaving.stop()
    assert leaving.process.returncode == 0
    assert time.monotonic() - began < 20
    shared.pagerduty.faults.mend()
    until(lambda: shared.pages(), timeout=10, message="the work of a replica that left waits for its lease")
    settled(shared, 1)
    assert staying.ask("incident list")["data"][0]["paged_at"]


@pytest.mark.slow
def test_a_frozen_replica_is_taken_over_and_does_no_harm_when_it_thaws(shared: Town, alertmanager_body):
    frozen, heir = shared.spawn(), shared.spawn()
    for fake in (shared.pagerduty, shared.slack, shared.jira):
        fake.faults.breaks("hang")
    frozen.alert(alertmanager_body("firing-single"))
    until(lambda: {"pagerduty", "slack", "jira"} <= {call.service for call in shared.calls.calls}, timeout=10)
    os.kill(frozen.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    for fake in (shared.pagerduty, shared.slack, shared.jira):
        fake.faults.mend()
    until(lambda: shared.pages() and shared.tickets() and shared.roots(), timeout=10)
    took = time.monotonic() - began
    assert took < 2 * 2 + 2, f"taken over after {took:.1f} s: two leases are 4 s, a poll more"
    os.kill(frozen.process.pid, signal.SIGCONT)
    until(lambda: frozen.ask("incident list")["data"][0]["paged_at"], timeout=10)
    assert frozen.alert(other(alertmanager_body("firing-single"), 7)).status_code == 202
    settled(shared, 2)
    assert heir.ask("incident list")["data"][0]["number"] == 2


@pytest.mark.slow
def test_a_replica_that_was_frozen_between_looking_and_acting_does_not_act(shared: Town, alertmanager_body):
    """It has read that there is no ticket; by the time it wakes up the one that took over has made it."""
    frozen, heir = shared.spawn(), shared.spawn()
    shared.jira.faults.breaks("late", times=1, only="search", delay=3.0)
    frozen.alert(alertmanager_body("firing-single"))
    until(lambda: shared.pages() and shared.roots() and not shared.jira.faults.active(), timeout=10)
    os.kill(frozen.process.pid, signal.SIGSTOP)
    until(lambda: shared.tickets(), timeout=10)
    settled(shared, 1)
    os.kill(frozen.process.pid, signal.SIGCONT)
    assert frozen.alert(other(alertmanager_body("firing-single"), 7)).status_code == 202
    settled(shared, 2)
    assert heir.ask("incident list")["data"][0]["number"] == 2


@pytest.mark.slow
def test_replicas_keep_to_one_message_a_second_in_a_channel_together(shared: Town, alertmanager_body):
    shared.config["slack"]["pace"] = 1.0
    bots = [shared.spawn() for _ in range(3)]
    began = time.time()
    for n in range(6):
        bots[n % 3].alert(other(alertmanager_body("firing-single"), n))
    until(lambda: len(shared.roots()) == 6, timeout=20)
    posts = sorted(call.at for call in shared.calls.calls if call.path.endswith("chat.postMessage"))
    # The pace is that of leaving, and each may be slow on its way; but none is early. Each replica with a pace of its own
    # would need one second for two each.
    assert posts[5] - began > 4.9, [at - began for at in posts]


def test_a_tick_that_all_replicas_hear_is_done_once(shared: Town, postgres):
    bots = [shared.start()]
    engine = bots[0].captain.engine
    slot = dt.datetime(2026, 1, 1, 3, 17, tzinfo=dt.UTC)
    for _ in range(3):
        engine.ticked("purge", slot)
    with psycopg.connect(postgres.url) as c:
        sql = "select status from dbos.workflow_status where workflow_uuid like 'cron:purge:%'"
        until(lambda: c.execute(sql).fetchall() == [("SUCCESS",)])


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["socket", "http"])
def test_a_command_is_done_once_whichever_replica_hears_it(shared: Town, alertmanager_body, mode):
    """In Socket Mode each replica connects, and Slack sends each command to one of them."""
    shared.config["slack"]["mode"] = mode
    bots = [shared.spawn() for _ in range(3)]
    if mode == "socket":
        until(lambda: shared.slack.state()["sockets"] == 3, message="a replica did not connect")
    bots[0].alert(alertmanager_body("firing-single"))
    settled(shared, 1)
    alice = user(shared, "alice")
    for _ in range(6):
        assert shared.slack.slash("#docs-api", alice, "/captain", "incident list")["ok"]
    until(lambda: sum("INC-1" in text for text in shared.whispers(alice)) == 6, timeout=20)
    shared.slack.slash("#docs-api", alice, "/captain", "incident ack INC-1")
    until(lambda: shared.pages()[0]["status"] == "acknowledged", timeout=20)
    root = shared.roots()[0]
    until(lambda: any("Acknowledged by" in text for text in shared.thread(root)))
    assert sum("Acknowledged by" in text for text in shared.thread(root)) == 1


def second(body):
    """The body of another alert of the same SLO, so of the same incident."""
    alert = body["alerts"][0]
    return body | {
        "alerts": [alert | {"fingerprint": f"{7:016x}", "labels": alert["labels"] | {"alertname": "SLOBurnSlow"}}]
    }


def ended(body):
    """The end of a body's alerts."""
    ends = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
    return body | {
        "status": "resolved",
        "alerts": [one | {"status": "resolved", "endsAt": ends} for one in body["alerts"]],
    }


def journaled(town: Town, body) -> None:
    """As another replica leaves it that has died between its answer and its decision."""
    captain = town.bots[0].captain
    with captain.store.write() as c:
        journal.write(c, [(time.time(), captain.read_alerts(json.dumps(body).encode()).alerts)])


def test_an_incident_does_not_end_while_one_more_of_its_alerts_waits_to_be_decided(town: Town, alertmanager_body):
    """Or what has burnt all the time would be a second incident, and page a second time."""
    bot, body = town.start(), alertmanager_body("firing-single")
    bot.alert(body)
    until(lambda: town.pages())
    journaled(town, second(body))
    bot.alert(ended(body))
    until(lambda: bot.captain.alerts._busy)  # looked at, and to be looked at again
    bot.captain.alerts.refresh(0.0)
    until(lambda: "SLOBurnSlow fires too" in str(bot.ask("incident show 1")["data"]["timeline"]))
    until(lambda: not bot.captain.alerts._busy)
    assert [row["status"] for row in bot.ask("incident list --all")["data"]] == ["triggered"]
    bot.alert(ended(second(body)))
    until(lambda: bot.ask("incident list --all")["data"][0]["status"] == "resolved")
    assert len(bot.ask("incident list --all")["data"]) == len(town.pages()) == 1


def test_an_alert_whose_end_came_while_it_waited_for_the_incident_opens_none(shared: Town, postgres, alertmanager_body):
    """One replica is about to put it into the incident while another sees the end of all its alerts."""
    bot, body = shared.start(), alertmanager_body("firing-single")
    bot.alert(body)
    until(lambda: shared.pages())
    with psycopg.connect(postgres.url) as other:
        other.execute("select * from incidents for update")
        bot.alert(second(body))
        blocked = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        with psycopg.connect(postgres.url, autocommit=True) as look:
            until(lambda: look.execute(blocked).fetchone()[0] >= 1)
        journaled(shared, ended(second(body)))
        other.execute(
            "update incidents set status = 'resolved', open_key = null, resolved_at = opened_at, resolved_by = 'x'"
        )
    until(lambda: "nobody is paged" in bot.ask("why SLOBurnSlow")["text"])
    assert len(bot.ask("incident list --all")["data"]) == 1


def test_whoever_draws_a_panel_waits_for_the_change_that_counts_on_it(shared: Town, postgres, alertmanager_body):
    """Or it would draw what was true before, and the change would count on an edit that has been made already."""
    bot = shared.start()
    bot.alert(alertmanager_body("firing-single"))
    settled(shared, 1)
    until(lambda: bot.captain.engine.owed() == {})
    t = table.INCIDENTS()
    with psycopg.connect(postgres.url, autocommit=True) as other:
        other.execute("update incidents set panel_owed = true")
        other.execute("set lock_timeout = '100ms'")
        with bot.captain.store.write() as c:
            assert panels.mark(c, t, t.c.number == 1) is False, "an edit is on its way"
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("update incidents set panel_owed = false")
        other.execute("update incidents set panel_owed = false")
    with bot.captain.store.write() as c:
        assert panels.mark(c, t, t.c.number == 1) is True
