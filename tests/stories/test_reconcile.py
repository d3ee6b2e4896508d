"""What drifts apart is brought together: lost webhooks, pages and tickets that people change elsewhere, and the questions asked."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from typing import Any

import pytest
import sqlalchemy as sa
from ground.town import Bot, Town, user
from ground.waiting import until

from bot.effects import EFFECTS
from bot.integrations.pagerduty.fake import API_TOKEN

GONE = "no longer knows"
NOTHING = {"looked": 0, "left": 0, "unheard": {}} | {
    name: [] for name in ("asked", "healed", "doubtful", "waiting", "refused")
}


@pytest.fixture
def watched(town: Town) -> Town:
    """A town whose bot may ask everybody, and takes differences for certain after a moment."""
    town.config["alertmanager"] |= {"url": f"{town.served.url}/alertmanager", "receiver": "rc"}
    town.config["pagerduty"]["api_token"] = API_TOKEN
    town.config["incidents"] |= {"looks_apart": 0.05, "missed_after": 60}
    return town


def burn(town: Town, bot: Bot, service: str = "docs-api") -> dict[str, Any]:
    """A burn that Alertmanager knows and has told; its root message once page, thread and ticket are there."""
    before = len(town.roots())
    town.alertmanager.webhook_url = f"{bot.url}/webhooks/alertmanager"
    town.alertmanager.burn(service)
    until(lambda: len(town.roots()) == before + 1, message="no incident")
    until(lambda: "PagerDuty ✔" in town.shown(town.roots()[-1]) and "Jira ✔" in town.shown(town.roots()[-1]))
    town.alertmanager.webhook_url = ""  # from here on every webhook is lost
    return town.roots()[-1]


def look(bot: Bot) -> dict[str, Any]:
    """One look that counts: the one before is long enough ago."""
    threading.Event().wait(0.06)
    return bot.ask("incident reconcile")["data"]


def asked(town: Town, part: str) -> list[dict[str, Any]]:
    """The questions in threads, answered or not."""
    return [m for m in town.messages() if part in m["text"] and m["ts"] != m.get("thread_ts") and m.get("thread_ts")]


def question(town: Town, part: str) -> dict[str, Any]:
    (one,) = until(lambda: asked(town, part), message=f"nobody asked: {part}")
    return one


def press(town: Town, message: dict[str, Any], line: str, who: str = "alice") -> None:
    assert town.slack.press(message["channel"], message["ts"], line, user(town, who))["ok"]


def shown(bot: Bot, number: int = 1) -> dict[str, Any]:
    return bot.ask(f"incident show INC-{number}")["data"]


def closed(town: Town, part: str, said: str) -> None:
    """The question has its answer, and nothing left to press."""
    until(lambda: said in question(town, part)["text"], message=f"the question does not say: {said}")
    assert "button" not in town.shown(question(town, part))


# ---- Alertmanager -----------------------------------------------------------------------------------------------------


def test_an_alert_that_is_gone_without_a_resolved_is_asked_about_once_and_resolved_by_a_press(watched: Town):
    bot = watched.start()
    burn(watched, bot)
    assert look(bot) == NOTHING | {"looked": 1}
    watched.alertmanager.calm("docs-api")

    (doubt,) = look(bot)["doubtful"]
    assert shown(bot)["asked"] == [], "one look is none: a resolved may be on its way"
    (said,) = look(bot)["asked"]
    assert said == doubt
    assert said.startswith("INC-1: Alertmanager no longer knows SLOBurnFast")
    assert look(bot)["waiting"] == [said]
    assert "Asked before, no answer yet: INC-1: Alertmanager" in bot.ask("incident reconcile")["text"]
    for _ in range(3):
        assert look(bot)["asked"] == []
    message = question(watched, GONE)
    until(lambda: GONE in watched.shown(watched.roots()[0]), message="the panel hides that a person must decide")
    assert shown(bot)["asked"][0]["kind"] == "alert-gone"

    press(watched, message, "incident resolve")
    until(lambda: watched.pages()[0]["status"] == "resolved")
    closed(watched, GONE, "Resolved by alice.")
    until(lambda: GONE not in watched.shown(watched.roots()[0]))
    assert look(bot)["asked"] == []
    assert len(asked(watched, GONE)) == 1


def test_two_looks_right_after_one_another_are_one(watched: Town):
    watched.config["incidents"]["looks_apart"] = 30
    bot = watched.start()
    burn(watched, bot)
    watched.alertmanager.calm("docs-api")
    assert [look(bot)["asked"] for _ in range(4)] == [[]] * 4


def test_a_silenced_alert_is_there_and_one_that_ends_in_silence_is_asked_about(watched: Town):
    bot = watched.start()
    burn(watched, bot)
    watched.alertmanager.post_silence(
        {"matchers": [{"name": "service", "value": "docs-api", "isRegex": False}], "startsAt": "2026-01-01T00:00:00Z",
         "endsAt": "2099-01-01T00:00:00Z", "createdBy": "me", "comment": "c"}
    )  # fmt: skip
    assert [look(bot)["asked"] for _ in range(3)] == [[]] * 3
    watched.alertmanager.webhook_url = f"{bot.url}/webhooks/alertmanager"
    watched.alertmanager.calm("docs-api")
    look(bot)
    assert len(look(bot)["asked"]) == 1


def test_what_is_kept_open_is_not_asked_again_while_it_lasts(watched: Town):
    bot = watched.start()
    burn(watched, bot)
    watched.alertmanager.calm("docs-api")
    until(lambda: look(bot)["asked"])
    press(watched, question(watched, GONE), "incident keep")
    closed(watched, GONE, "alice leaves it as it is.")
    assert [look(bot)["asked"] for _ in range(3)] == [[]] * 3
    told = shown(bot)
    assert told["status"] == "triggered"
    assert [(e["actor"], e["text"]) for e in told["timeline"] if e["kind"] == "keep"] == [
        ("alice", "leaves as it is: alert-gone")
    ]
    assert "I have no open question" in bot.ask("incident keep INC-1")["text"], "a second answer changes nothing"

    # It burns on, and is gone once more: that is another question.
    watched.alertmanager.burn("docs-api")
    look(bot)
    watched.alertmanager.calm("docs-api")
    until(lambda: look(bot)["asked"])
    until(lambda: len(asked(watched, GONE)) == 2)


def test_a_question_is_taken_back_when_it_is_no_longer_so(watched: Town):
    bot = watched.start()
    burn(watched, bot)
    watched.alertmanager.calm("docs-api")
    until(lambda: look(bot)["asked"])
    question(watched, GONE)
    watched.alertmanager.burn("docs-api")
    look(bot)
    closed(watched, GONE, "It is no longer so.")
    assert shown(bot)["asked"] == []


@pytest.mark.parametrize("mode", ["500", "429", "reset"])
def test_a_service_that_does_not_answer_says_nothing(watched: Town, mode):
    bot = watched.start()
    burn(watched, bot)
    for fake in (watched.alertmanager, watched.pagerduty, watched.jira):
        fake.faults.breaks(mode)
    for _ in range(3):
        told = look(bot)
        assert set(told["unheard"]) == {"Alertmanager", "PagerDuty", "Jira"}
        assert told["asked"] == told["healed"] == []
    assert "Alertmanager said nothing: " in bot.ask("incident reconcile")["text"]


def test_a_service_that_fails_is_asked_once_a_run_and_the_others_are_asked_on(watched: Town):
    bot = watched.start()
    for service in ("docs-api", "gateway"):
        burn(watched, bot, service)
    watched.pagerduty.faults.breaks("503")
    before = len(watched.calls.calls)
    look(bot)
    paths = [call.service for call in list(watched.calls.calls)[before:] if call.method == "GET"]
    assert (paths.count("pagerduty"), paths.count("jira"), paths.count("alertmanager")) == (1, 2, 1)


def test_an_alertmanager_that_has_just_started_asks_nobody_at_once(watched: Town, alertmanager_body):
    """It knows nothing yet, and four incidents need it: four looks, not two."""
    watched.config["slack"]["timeout"] = 5
    bot = watched.start()
    fire = alertmanager_body("firing-single")["alerts"][0]
    alerts = [fire | {"fingerprint": f"{n:016x}", "labels": fire["labels"] | {"slo": f"slo-{n}"}} for n in range(4)]
    bot.alert(alertmanager_body("firing-single") | {"alerts": alerts})
    until(lambda: len(watched.roots()) == 4)
    assert [len(look(bot)["asked"]) for _ in range(4)] == [0, 0, 0, 4]


def test_a_webhook_that_was_lost_is_made_good_and_pages(watched: Town):
    bot = watched.start()
    began = time.time() - 120
    watched.alertmanager.fire(
        {"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "a"},
        {"summary": "it burns"},
        began,
    )
    (said,) = look(bot)["healed"]
    assert "taken in from Alertmanager, its webhook never came" in said
    until(lambda: len(watched.pages()) == 1, message="nobody was paged")
    assert "it burns" in watched.pages()[0]["title"]
    until(lambda: watched.roots() and watched.tickets())
    assert any("its webhook never came" in event["text"] for event in shown(bot)["timeline"])
    assert look(bot)["healed"] == []

    # The webhook comes after all, and later the end of it: no second page, and a normal end.
    watched.alertmanager.webhook_url = f"{bot.url}/webhooks/alertmanager"
    watched.alertmanager.fire(
        {"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "a"},
        {"summary": "it burns"},
        began,
    )
    until(lambda: bot.metric('captain_webhooks_total{source="alertmanager",status="202"}') >= 1)
    watched.alertmanager.resolve({"alertname": "SLOBurnFast", "service": "docs-api", "severity": "page", "slo": "a"})
    until(lambda: watched.pages()[0]["status"] == "resolved", message="the end of it was not understood")
    assert len(watched.pages()) == len(watched.tickets()) == len(watched.roots()) == 1


def test_what_is_not_for_us_or_not_to_be_heard_is_not_taken_in(watched: Town):
    watched.config["alertmanager"]["receiver"] = "another"
    bot = watched.start()
    labels = {"alertname": "Burn", "service": "docs-api", "severity": "page", "slo": "a"}
    watched.alertmanager.fire(labels, {}, time.time() - 120)
    assert look(bot)["healed"] == []
    assert watched.pages() == []


def test_a_watchdog_that_never_reached_us_is_not_brought_to_life_by_looking(watched: Town):
    watched.config["watchdogs"] = {"prod": {"alertname": "Watchdog", "service": "docs-api"}}
    bot = watched.start()
    watched.alertmanager.fire({"alertname": "Watchdog", "service": "docs-api"}, {}, time.time() - 120)
    told = look(bot)
    assert told["healed"] == told["refused"] == []
    assert watched.pages() == []


def test_an_alert_that_nobody_can_be_paged_for_is_said(watched: Town):
    bot = watched.start()
    watched.alertmanager.fire({"alertname": "Burn", "service": "docs-apo"}, {}, time.time() - 120)
    (said,) = look(bot)["refused"]
    assert "'docs-apo' is not in captain.yml" in said


def test_without_our_receivers_name_nothing_is_taken_in(watched: Town):
    del watched.config["alertmanager"]["receiver"]
    bot = watched.start()
    watched.alertmanager.fire({"alertname": "Burn", "service": "docs-api", "severity": "page"}, {}, time.time() - 120)
    assert look(bot) == NOTHING


def test_what_a_person_resolved_while_it_burns_is_not_paged_again(watched: Town):
    watched.config["incidents"]["missed_after"] = 0
    bot = watched.start()
    burn(watched, bot)
    bot.ask("incident resolve INC-1 --anyway")
    until(lambda: watched.pages()[0]["status"] == "resolved")
    for _ in range(2):
        assert look(bot)["healed"] == []
    assert len(watched.pages()) == 1


# ---- PagerDuty --------------------------------------------------------------------------------------------------------


def test_an_acknowledgement_by_phone_whose_webhook_was_lost_is_taken_over(watched: Town):
    bot = watched.start()
    root = burn(watched, bot)
    watched.pagerduty.acknowledge(watched.pages()[0]["id"], "bob")
    assert look(bot)["healed"] == ["INC-1: acknowledged by Bob Brown in PagerDuty, found by looking"]
    until(lambda: any("Acknowledged by Bob Brown" in text for text in watched.thread(root)))
    until(lambda: "acknowledged by Bob Brown" in watched.shown(watched.roots()[0]))
    assert look(bot)["healed"] == []
    events = [c for c in watched.calls.calls if c.path.endswith("/v2/enqueue")]
    assert len(events) == 1, "what PagerDuty told us is not told back"


def test_a_page_resolved_elsewhere_is_paged_again_taken_anew_and_ends_with_the_incident(watched: Town):
    bot = watched.start()
    root = burn(watched, bot)
    bot.ask("incident ack INC-1", "dora")
    until(lambda: watched.pages()[0]["status"] == "acknowledged")
    watched.pagerduty.resolve(watched.pages()[0]["id"], "bob")
    assert look(bot)["asked"] == []
    assert "is resolved in PagerDuty by Bob Brown" in look(bot)["asked"][0]

    press(watched, question(watched, "resolved in PagerDuty"), "incident page")
    until(lambda: len(watched.pages()) == 2, message="nobody was woken")
    closed(watched, "resolved in PagerDuty", "alice has it paged again.")
    until(lambda: any("Paged again, asked for by alice" in text for text in watched.thread(root)))
    assert shown(bot)["status"] == "triggered", "whoever had it had the old page"
    assert look(bot)["asked"] == []
    bot.ask("incident ack INC-1", "erik")
    until(lambda: watched.pages()[1]["status"] == "acknowledged", message="PagerDuty goes on escalating")
    until(lambda: any("Acknowledged by erik" in text for text in watched.thread(root)))
    bot.ask("incident resolve INC-1 --anyway", "erik")
    until(lambda: [page["status"] for page in watched.pages()] == ["resolved", "resolved"])


def test_a_page_that_pagerduty_lost_is_said_loudly_at_once(watched: Town):
    bot = watched.start()
    burn(watched, bot)
    watched.pagerduty.account.incidents.clear()
    assert "nobody was woken" in look(bot)["asked"][0]
    until(lambda: "nobody was woken" in watched.shown(watched.roots()[0]), message="the panel still shows a tick alone")
    press(watched, question(watched, "nobody was woken"), "incident page")
    until(lambda: len(watched.pages()) == 1)
    closed(watched, "nobody was woken", "alice has it paged again.")
    until(lambda: "nobody was woken" not in watched.shown(watched.roots()[0]))
    assert look(bot)["asked"] == []


def test_a_page_lost_twice_is_said_twice(watched: Town):
    bot = watched.start()
    burn(watched, bot)
    for n in (1, 2):
        watched.pagerduty.account.incidents.clear()
        until(lambda: look(bot)["asked"], message="a second loss is a second reason to wake somebody")
        until(lambda n=n: len(asked(watched, "nobody was woken")) == n)
        bot.ask("incident page INC-1")
        until(lambda: len(watched.pages()) == 1)


def test_a_page_that_outlives_its_incident_is_resolved_again(watched: Town):
    bot = watched.start()
    burn(watched, bot)
    bot.ask("incident resolve INC-1 --anyway")
    until(lambda: watched.pages()[0]["status"] == "resolved")
    (page,) = watched.pagerduty.account.incidents.values()
    page.status, page.resolved_at, page.changed_at = "triggered", None, page.created_at
    page.alerts[0].status = "triggered"
    # Not before the resolving itself has been settled here: what is under way is nothing to heal.
    healed = until(lambda: look(bot)["healed"])
    assert healed == ["INC-1: PagerDuty still had the page open: it is resolved there again"]
    until(lambda: watched.pages()[0]["status"] == "resolved", message="a page outlived its incident")
    assert look(bot)["healed"] == []


def test_a_page_that_somebody_opened_again_is_theirs(watched: Town):
    bot = watched.start()
    burn(watched, bot)
    bot.ask("incident resolve INC-1 --anyway")
    until(lambda: watched.pages()[0]["status"] == "resolved")
    watched.pagerduty.reopen(watched.pages()[0]["id"], "bob")
    (page,) = watched.pagerduty.account.incidents.values()
    page.changed_at += 60  # a minute later
    for _ in range(2):
        assert look(bot)["healed"] == []
    assert watched.pages()[0]["status"] == "triggered"


def test_without_a_token_pagerduty_is_not_compared_and_that_is_said(watched: Town):
    del watched.config["pagerduty"]["api_token"]
    bot = watched.start()
    burn(watched, bot)
    told = look(bot)
    assert "set pagerduty.api_token" in told["unheard"]["PagerDuty"]
    watched.alertmanager.calm("docs-api")
    until(lambda: look(bot)["asked"], message="the others are compared all the same")


def test_paging_again_is_refused_where_it_cannot_be(watched: Town):
    del watched.config["services"]["gateway"]["pagerduty"]
    bot = watched.start()
    burn(watched, bot)
    bot.ask('incident open sev2 gateway "p95 up"')
    assert "services.gateway.pagerduty" in bot.ask("incident page INC-2")["error"]
    bot.ask("incident resolve INC-1 --anyway")
    assert "INC-1 is resolved" in bot.ask("incident page INC-1")["error"]
    assert "INC-1 is resolved" in bot.ask("incident ticket INC-1")["error"]
    assert len(watched.pages()) == 1


def test_a_page_that_is_still_on_its_way_is_tried_at_once_and_not_twice(watched: Town, alertmanager_body):
    bot = watched.start()
    watched.pagerduty.faults.breaks("500")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: watched.roots() and "PagerDuty ⏳ retry" in watched.shown(watched.roots()[0]))
    assert "had not gone out yet" in bot.ask("incident page INC-1")["text"]
    watched.pagerduty.faults.mend()
    until(lambda: len(watched.pages()) == 1)
    assert [e["kind"] for e in shown(bot)["effects"]].count("page") == 1


# ---- Jira -------------------------------------------------------------------------------------------------------------


def test_a_ticket_closed_by_hand_is_asked_about_and_reopened_by_a_press(watched: Town):
    bot = watched.start()
    burn(watched, bot)
    key = watched.tickets()[0]["key"]
    watched.jira.close(key, "bob")
    assert look(bot)["asked"] == []
    assert f"INC-1: {key} is Done in Jira" in look(bot)["asked"][0]
    press(watched, question(watched, "is Done in Jira"), "incident ticket --reopen")
    until(lambda: watched.tickets()[0]["status"] == "In Progress", message="the ticket stayed closed")
    closed(watched, "is Done in Jira", "alice reopens the ticket.")
    assert look(bot)["asked"] == []

    # Closed once more, and this time it is over.
    watched.jira.close(key, "bob")
    until(lambda: look(bot)["asked"])
    bot.ask("incident resolve INC-1 --anyway")
    until(lambda: [e["state"] for e in shown(bot)["effects"] if e["kind"] == "ticket-done"] == ["done"])
    watched.jira.transition(key, "To Do", "bob")
    for _ in range(2):
        assert look(bot)["healed"] == []
    assert watched.tickets()[0]["status"] == "To Do", "what a person reopens afterwards stays open"


def test_a_ticket_that_was_deleted_is_made_anew_by_a_press(watched: Town):
    bot = watched.start()
    burn(watched, bot)
    old = watched.tickets()[0]["key"]
    assert "has its ticket" in bot.ask("incident ticket INC-1")["error"], "not a second one beside the first"
    watched.jira.site.delete(watched.jira.site.issue(old), watched.jira.site.user("bob").id)
    assert look(bot)["asked"] == []
    assert f"INC-1: Jira no longer knows {old}" in look(bot)["asked"][0]
    press(watched, question(watched, "Jira no longer knows"), "incident ticket")
    new = until(watched.tickets, message="no new ticket")[0]["key"]
    assert new != old
    until(lambda: new in watched.shown(watched.roots()[0]))
    closed(watched, "Jira no longer knows", "alice has a new one made.")
    assert look(bot)["asked"] == []
    bot.ask("incident resolve INC-1 --anyway")
    until(lambda: watched.tickets()[0]["status_category"] == "done", message="the new ticket is left open")
    assert len(watched.tickets()) == 1


# ---- by the clock, by several, and killed -----------------------------------------------------------------------------


def runs(bot: Bot) -> list[Any]:
    t = EFFECTS()
    with bot.captain.store.read() as c:
        return c.execute(sa.select(t).where(t.c.kind == "reconcile").order_by(t.c.key)).all()


def slot(n: int = 0) -> dt.datetime:
    return dt.datetime(2026, 11, 23, 8, 3 * n, tzinfo=dt.UTC)


def test_the_clock_looks_and_an_old_slot_leaves_it_to_a_younger(watched: Town):
    watched.config["alertmanager"]["timeout"] = 3
    bot = watched.start()
    burn(watched, bot)
    assert ("reconcile", "*/3 * * * *") in bot.captain.ticks
    watched.alertmanager.calm("docs-api")
    watched.alertmanager.faults.breaks("hang", times=1)  # the first run stays busy while two more slots go by
    bot.captain.engine.ticked("reconcile", slot(0))
    until(lambda: not watched.alertmanager.faults.active(), message="nobody looked")
    for n in (1, 2):
        bot.captain.engine.ticked("reconcile", slot(n))
    until(lambda: [row.state for row in runs(bot)] == ["done", "skipped", "done"], timeout=20)
    assert runs(bot)[1].reason == "a younger run looks instead"
    threading.Event().wait(0.06)
    bot.captain.engine.ticked("reconcile", slot(3))
    question(watched, GONE)
    bot.captain.engine.ticked("reconcile", slot() + dt.timedelta(days=3))
    until(lambda: len(runs(bot)) == 1, message="the record of every run is kept for ever")


@pytest.mark.postgres
def test_two_replicas_that_hear_the_same_tick_look_once(watched: Town, postgres):
    watched.config["captain"]["database"] = postgres.url
    watched.spawn()
    bot = watched.start()
    burn(watched, bot)
    for _ in range(2):
        bot.captain.engine.ticked("reconcile", slot())

    def mine() -> list[tuple[str, int]]:
        return [(row.state, row.attempt) for row in runs(bot) if row.key == f"reconcile:{int(slot().timestamp()):012d}"]

    until(lambda: mine() == [("done", 1)])


@pytest.mark.postgres
@pytest.mark.slow
def test_two_replicas_that_look_at_the_same_moment_ask_once(watched: Town, postgres):
    watched.config["captain"]["database"] = postgres.url
    one, two = watched.spawn(), watched.spawn()
    burn(watched, one)
    watched.alertmanager.calm("docs-api")
    for _ in range(4):
        threading.Event().wait(0.06)
        asking = [
            threading.Thread(target=bot.ask, args=("incident reconcile",)) for bot in (one, two) for _ in range(3)
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
    question(watched, GONE)
    assert sum(e["kind"] == "asked" for e in shown(two)["timeline"]) == 1


def test_killed_in_the_middle_of_asking_it_is_asked_once(watched: Town):
    """The question is posted and its answer never came: the next process looks before it posts."""
    bot = watched.spawn()
    burn(watched, bot)
    watched.alertmanager.calm("docs-api")
    watched.slack.faults.breaks("late", delay=30, only="chat.postMessage")
    until(lambda: look(bot) and asked(watched, GONE))
    bot.kill()
    watched.slack.faults.mend()
    bot = watched.spawn()
    until(lambda: all(e["state"] == "done" for e in shown(bot)["effects"] if e["kind"] == "note"), timeout=30)
    for _ in range(3):
        assert look(bot)["asked"] == []
    press(watched, question(watched, GONE), "incident keep")
    closed(watched, GONE, "alice leaves it as it is.")


@pytest.mark.slow
def test_killed_in_the_middle_of_looking_the_next_process_looks_and_asks_once(watched: Town):
    bot = watched.spawn()
    burn(watched, bot)
    watched.alertmanager.calm("docs-api")
    look(bot)
    before = watched.calls.calls.copy()
    watched.jira.faults.breaks("hang")
    threading.Thread(target=_ask_in_vain, args=(bot,), daemon=True).start()
    until(lambda: any(c.service == "pagerduty" and c.method == "GET" for c in list(watched.calls.calls)[len(before) :]))
    bot.kill()
    watched.jira.faults.mend()
    bot = watched.spawn()
    until(lambda: look(bot) and asked(watched, GONE))
    assert len([e for e in shown(bot)["timeline"] if e["kind"] == "asked"]) == 1
    assert look(bot)["asked"] == []
    question(watched, GONE)


def _ask_in_vain(bot: Bot) -> None:
    with contextlib.suppress(OSError):
        look(bot)
