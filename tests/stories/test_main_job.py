"""The main job: an SLO burn becomes a page, a thread, a ticket and a checked runbook, and ends with all four."""

from __future__ import annotations

import concurrent.futures

from ground.town import Town, user
from ground.waiting import until


def test_a_burn_is_paged_threaded_ticketed_checked_and_closed(town: Town, alertmanager_body):
    bot = town.start()
    fire = alertmanager_body("firing-single")

    answer = bot.alert(fire)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "duplicates": 0}

    until(lambda: len(town.pages()) == 1, timeout=2, message="nobody was paged")
    page = town.pages()[0]
    assert page["status"] == "triggered"
    assert "docs-api burns its 99.9% budget" in page["title"]
    until(lambda: town.tickets(), message="no ticket")
    root = until(lambda: town.roots(), message="no root message")[0]
    assert root["channel_name"] == "docs-api"
    until(lambda: any("Checks of docs-api" in text for text in town.thread(root)), message="no check results")
    until(lambda: "Jira ✔" in town.shown(town.roots()[0]), message="the panel does not tell the truth")
    shown = town.shown(town.roots()[0])
    assert "PagerDuty ✔" in shown
    assert "docs-api-availability" in shown
    assert town.tickets()[0]["key"] in shown

    # A person presses Acknowledge.
    assert town.slack.press(root["channel"], root["ts"], "incident ack", user(town, "alice"))["ok"]
    until(lambda: town.pages()[0]["status"] == "acknowledged", message="PagerDuty does not know")
    until(lambda: "acknowledged by alice" in town.shown(town.roots()[0]))
    assert any("You acknowledged INC-1" in text for text in until(lambda: town.whispers(user(town, "alice"))))

    # The alert ends.
    over = fire | {"alerts": [fire["alerts"][0] | {"status": "resolved", "endsAt": "2026-11-23T08:30:00Z"}]}
    assert bot.alert(over).json()["accepted"] == 1
    until(lambda: town.pages()[0]["status"] == "resolved", message="the page is still open")
    until(lambda: town.tickets()[0]["status_category"] == "done", message="the ticket is still open")
    until(lambda: any("Resolved" in text for text in town.thread(root)), message="the thread was not closed")
    until(lambda: "✅" in town.shown(town.roots()[0]))
    assert "incident ack" not in town.shown(town.roots()[0]), "a resolved incident has no buttons"
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == 1


def test_the_same_payload_from_two_alertmanagers_at_once_is_one_incident(town: Town, alertmanager_body):
    bot = town.start()
    fire = alertmanager_body("firing-single")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: bot.alert(fire), range(32)))
    assert {a.status_code for a in answers} == {202}
    assert sum(a.json()["accepted"] for a in answers) == 1
    until(lambda: town.pages() and town.tickets() and town.roots())
    assert bot.alert(fire).json() == {"accepted": 0, "duplicates": 1}
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == 1
    assert town.pages()[0]["triggers"] == 1


def test_pagerduty_down_thread_and_ticket_appear_and_the_page_goes_out_when_it_returns(town: Town, alertmanager_body):
    bot = town.start()
    town.pagerduty.faults.breaks("500")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: town.tickets() and town.roots())
    until(lambda: "PagerDuty ⏳ retry" in town.shown(town.roots()[0]), message="the panel hides that nobody was paged")
    assert town.pages() == []
    town.pagerduty.faults.mend()
    until(lambda: len(town.pages()) == 1, timeout=15, message="the page never went out")
    until(lambda: "PagerDuty ✔" in town.shown(town.roots()[0]))


def test_slack_down_the_page_still_goes_out_at_once(town: Town, alertmanager_body):
    bot = town.start()
    town.slack.faults.breaks("hang")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: town.pages(), timeout=1.5, message="the page waited for Slack")
    until(lambda: town.tickets(), timeout=2)
    town.slack.faults.mend()
    until(lambda: town.roots(), timeout=15, message="the thread never appeared")


def test_a_page_that_acted_and_lost_its_answer_is_still_one_page(town: Town, alertmanager_body):
    bot = town.start()
    for fake in (town.pagerduty, town.jira, town.slack):
        fake.faults.breaks("reset", times=1)
    bot.alert(alertmanager_body("firing-single"))
    until(town.roots, timeout=20)
    until(lambda: "PagerDuty ✔" in town.shown(town.roots()[0]), timeout=20)
    until(lambda: "Jira ✔" in town.shown(town.roots()[0]), timeout=20)
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == 1


def test_what_ended_before_pagerduty_answered_is_closed_there_and_the_panel_says_what_is_known(
    town: Town, alertmanager_body
):
    """PagerDuty has taken the page and nobody heard of it: neither "was paged" nor "was not" would be true."""
    bot = town.start()
    town.pagerduty.faults.breaks("reset")
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    until(lambda: town.pages() and town.roots())
    bot.alert(fire | {"alerts": [fire["alerts"][0] | {"status": "resolved"}]})
    until(lambda: town.pages()[0]["status"] == "resolved")
    until(lambda: "resolved before PagerDuty confirmed the page" in town.shown(town.roots()[0]))
    town.pagerduty.faults.mend()
    until(lambda: "PagerDuty resolve ✔" in town.shown(town.roots()[0]), timeout=20)
    shown = town.shown(town.roots()[0])
    assert "resolved before PagerDuty confirmed the page" in shown
    assert "PagerDuty ✔" not in shown
    assert [page["status"] for page in town.pages()] == ["resolved"]


def test_a_slow_burn_makes_a_ticket_and_wakes_nobody_until_it_becomes_a_page(town: Town, alertmanager_body):
    bot = town.start()
    fast = alertmanager_body("firing-single")
    labels = fast["alerts"][0]["labels"] | {"severity": "ticket", "alertname": "SLOBurnSlow", "burn": "slow"}
    slow = fast | {"alerts": [fast["alerts"][0] | {"labels": labels, "fingerprint": "7af3064281c2acde"}]}
    bot.alert(slow)
    until(lambda: town.tickets() and town.roots())
    assert town.pages() == []
    bot.alert(fast)
    until(lambda: len(town.pages()) == 1, message="the fast burn must page")
    until(lambda: "sev2" in town.shown(town.roots()[0]))
    assert len(town.tickets()) == len(town.roots()) == 1, "one SLO, one incident"

    # The page's alert ends, the slow one goes on: nothing is over.
    bot.alert(fast | {"alerts": [fast["alerts"][0] | {"status": "resolved"}]})
    until(lambda: bot.metric('captain_alerts_total{verdict="accepted"}') == 3)
    assert town.pages()[0]["status"] == "triggered"
    bot.alert(slow | {"alerts": [slow["alerts"][0] | {"status": "resolved"}]})
    until(lambda: town.pages()[0]["status"] == "resolved")


def test_resolved_before_it_fired_pages_nobody(town: Town, alertmanager_body):
    bot = town.start()
    fire = alertmanager_body("firing-single")
    bot.alert(fire | {"alerts": [fire["alerts"][0] | {"status": "resolved"}]})
    bot.alert(fire)
    until(lambda: bot.captain.alerts.waiting() == 0)
    assert "No incident has ever been opened" in bot.ask("incident list --all")["text"]
    assert town.pages() == []


def test_what_was_given_up_is_shown_and_repaired_when_its_cause_is_mended(town: Town, alertmanager_body):
    """A Jira token that has expired: trying again cannot help until a person changes something."""
    bot = town.start()
    right, town.jira._door.token = town.jira._door.token, "another"
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: town.roots() and "Jira ✘" in town.shown(town.roots()[0]), message="the panel hides it")
    assert len(town.pages()) == 1
    assert town.tickets() == []

    def ticket() -> dict[str, object]:
        return next(e for e in bot.ask("incident show INC-1")["data"]["effects"] if e["kind"] == "ticket")

    # Repaired too early, it is tried once more and given up again.
    assert bot.ask("incident repair INC-1")["text"] == "Trying again for INC-1: ticket."
    until(lambda: (ticket()["state"], ticket()["attempt"]) == ("gave_up", 2))
    town.jira._door.token = right
    assert bot.ask("incident repair INC-1")["text"] == "Trying again for INC-1: ticket."
    until(lambda: len(town.tickets()) == 1)
    until(lambda: "Jira ✔" in town.shown(town.roots()[0]))
    assert bot.ask("incident repair INC-1")["text"].startswith("Nothing was given up")


def test_resolving_while_it_still_burns_says_so(town: Town, alertmanager_body):
    town.config["incidents"]["reopen_within"] = 0
    bot = town.start()
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    root = until(town.roots)[0]
    assert "1 alert still fires" in bot.ask("incident resolve INC-1 --anyway")["text"]
    until(lambda: any("1 alert still fires" in text for text in town.thread(root)))
    # The same alert again is no new one; once it has ended, the next is.
    assert bot.alert(fire).json() == {"accepted": 0, "duplicates": 1}
    again = fire["alerts"][0] | {"startsAt": "2026-11-23T09:00:00Z"}
    bot.alert(fire | {"alerts": [fire["alerts"][0] | {"status": "resolved"}, again]})
    until(lambda: len(town.pages()) == 2, message="a new burn after the old one must page")


def test_a_ticket_somebody_took_still_pages_when_it_becomes_a_page(town: Town, alertmanager_body):
    """Taken by day as a slow burn; at night it burns fast: the on-call must be woken, and take it anew."""
    bot = town.start()
    fast = alertmanager_body("firing-single")
    labels = fast["alerts"][0]["labels"] | {"severity": "ticket", "alertname": "SLOBurnSlow", "burn": "slow"}
    bot.alert(fast | {"alerts": [fast["alerts"][0] | {"labels": labels, "fingerprint": "7af3064281c2acde"}]})
    until(town.roots)
    bot.ask("incident ack INC-1", "dora")
    bot.alert(fast)
    until(lambda: len(town.pages()) == 1, message="nobody was woken")
    assert bot.ask("incident show INC-1")["data"]["status"] == "triggered"
    bot.ask("incident ack INC-1", "erik")
    until(lambda: town.pages()[0]["status"] == "acknowledged", message="PagerDuty goes on escalating")
