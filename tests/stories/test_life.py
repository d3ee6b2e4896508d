"""The life of an incident: mitigated, resolved, closed, reopened in its own thread, and what is asked on the way."""

from __future__ import annotations

from typing import Any

import pytest
from ground.town import Town, user
from ground.waiting import until


def ended(fire: dict[str, Any]) -> dict[str, Any]:
    return fire | {"alerts": [fire["alerts"][0] | {"status": "resolved"}]}


def anew(fire: dict[str, Any], start: str = "2026-11-23T09:00:00Z", **labels: str) -> dict[str, Any]:
    alert = fire["alerts"][0]
    return fire | {"alerts": [alert | {"startsAt": start, "labels": alert["labels"] | labels}]}


def status(bot: Any, number: int = 1) -> str:
    return str(bot.ask(f"incident show INC-{number}")["data"]["status"])


def buttons(town: Town, root: dict[str, Any]) -> list[str]:
    """The commands that the panel offers."""
    message = next(m for m in town.messages() if m["ts"] == root["ts"] and m["channel"] == root["channel"])
    return [e["action_id"] for block in message["blocks"] if block["type"] == "actions" for e in block["elements"]]


def out(town: Town) -> dict[str, Any]:
    """The root message, once page and ticket are out."""
    root = until(town.roots)[0]
    until(lambda: town.pages() and "Jira ✔" in town.shown(town.roots()[0]), message="page and ticket are not out")
    return root


def test_an_incident_is_taken_mitigated_resolved_and_closed_by_its_buttons(town: Town, alertmanager_body):
    bot = town.start()
    fire, alice = alertmanager_body("firing-single"), user(town, "alice")
    bot.alert(fire)
    root = out(town)
    assert buttons(town, root) == ["incident ack", "incident mitigate", "incident resolve"]

    assert town.slack.press(root["channel"], root["ts"], "incident mitigate", alice)["ok"]
    until(
        lambda: town.pages()[0]["status"] == "acknowledged", message="who mitigates has it: PagerDuty must not escalate"
    )
    until(lambda: "mitigated by alice; alice has it" in town.shown(town.roots()[0]))
    until(lambda: any("Mitigated by alice" in text for text in town.thread(root)))
    until(lambda: buttons(town, root) == ["incident resolve", "incident reopen"])

    bot.alert(ended(fire))
    until(lambda: status(bot) == "resolved")
    until(lambda: buttons(town, root) == ["incident close", "incident reopen"])
    assert town.slack.press(root["channel"], root["ts"], "incident close", alice)["ok"]
    until(lambda: "closed by alice; resolved by Alertmanager" in town.shown(town.roots()[0]))
    assert "Mitigated by alice" in town.shown(town.roots()[0]), "who did it and when stays to be read"
    until(lambda: buttons(town, root) == ["incident reopen"])
    assert any("Closed by alice" in text for text in until(lambda: town.thread(root)))
    kinds = [event["kind"] for event in bot.ask("incident show INC-1")["data"]["timeline"]]
    assert [k for k in kinds if k in ("acknowledged", "mitigated", "resolved", "closed")] == [
        "acknowledged",
        "mitigated",
        "resolved",
        "closed",
    ]


def test_a_stale_button_says_what_it_found_and_changes_nothing(town: Town):
    bot = town.start()
    bot.ask("incident open sev2 docs-api p95 up")
    out(town)
    close = bot.ask("incident close INC-1")["text"]
    assert close.startswith("Nothing changed: INC-1 is open since")
    assert "Only what is resolved can be closed: `incident resolve INC-1`" in close
    bot.ask("incident mitigate INC-1", "dora")
    assert bot.ask("incident mitigate INC-1")["text"].startswith("Nothing changed: INC-1 was mitigated by dora")
    assert bot.ask("incident ack INC-1")["text"].startswith("Nothing changed: INC-1 was mitigated by dora")
    bot.ask("incident resolve INC-1", "erik")
    said = bot.ask("incident mitigate INC-1")["text"]
    assert said.startswith("Nothing changed: INC-1 was resolved by erik")
    assert "`incident reopen INC-1`" in said
    bot.ask("incident close")
    assert bot.ask("incident resolve INC-1")["text"].startswith("Nothing changed: INC-1 was closed by carol")
    assert status(bot) == "closed"


def test_a_mitigation_that_did_not_hold_is_taken_back_and_pages_nobody(town: Town):
    bot = town.start()
    bot.ask("incident open sev2 docs-api p95 up")
    root = out(town)
    bot.ask("incident mitigate INC-1", "dora")
    assert "You reopened INC-1" in bot.ask("incident reopen INC-1", "erik")["text"]
    assert status(bot) == "acknowledged"
    until(lambda: any("The mitigation did not hold" in text for text in town.thread(root)))
    until(lambda: "acknowledged by dora" in town.shown(town.roots()[0]))
    assert len(town.pages()) == 1
    assert town.pages()[0]["triggers"] == 1


def test_resolving_what_still_fires_asks_first(town: Town, alertmanager_body):
    bot = town.start()
    fire, alice = alertmanager_body("firing-single"), user(town, "alice")
    bot.alert(fire)
    root = out(town)
    refused = bot.ask("incident resolve INC-1")
    assert "INC-1 stays open: `SLOBurnFast` still fires" in refused["error"]
    assert "`incident resolve INC-1 --anyway` does it" in refused["error"]
    assert status(bot) == "triggered"

    assert town.slack.press(root["channel"], root["ts"], "incident resolve", alice)["ok"]
    asked = until(lambda: [m for m in town.slack.state()["messages"] if m.get("ephemeral_to") == alice])[-1]
    assert "Resolve anyway" in town.shown(asked)
    assert "incident resolve --anyway" in town.shown(asked)
    assert status(bot) == "triggered"
    bot.ask("incident resolve INC-1 --anyway", "alice")
    until(lambda: town.pages()[0]["status"] == "resolved")
    until(lambda: any("1 alert still fires" in text for text in town.thread(root)))


@pytest.mark.parametrize("closed", [False, True], ids=["resolved", "closed"])
def test_what_fires_again_soon_reopens_incident_page_and_ticket_in_the_same_thread(
    town: Town, alertmanager_body, closed
):
    bot = town.start()
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    root = out(town)
    bot.ask("incident ack INC-1")
    until(lambda: town.pages()[0]["status"] == "acknowledged")
    bot.alert(ended(fire))
    until(lambda: town.pages()[0]["status"] == "resolved" and town.tickets()[0]["status_category"] == "done")
    if closed:
        bot.ask("incident close INC-1")

    bot.alert(anew(fire))
    until(
        lambda: [page["status"] for page in town.pages()] == ["resolved", "triggered"], message="nobody was paged again"
    )
    assert town.pages()[0]["dedup_key"] == town.pages()[1]["dedup_key"], "the same page for PagerDuty"
    until(lambda: town.tickets()[0]["status_category"] == "indeterminate", message="the ticket was not reopened")
    until(lambda: "triggered, nobody has it yet" in town.shown(town.roots()[0]))
    until(lambda: any("Reopened: SLOBurnFast fires again" in text for text in town.thread(root)))
    assert len(town.roots()) == len(town.tickets()) == 1
    assert [row["number"] for row in bot.ask("incident list --all")["data"]] == [1]
    why = bot.ask("why INC-1")["text"]
    assert "reopened INC-1 and pages the on-call of docs-api: severity" in why
    assert "*The on-call of docs-api was paged*" in why

    # Its second life ends like its first one.
    bot.ask("incident ack INC-1", "dora")
    until(lambda: town.pages()[1]["status"] == "acknowledged", message="PagerDuty goes on escalating")
    bot.alert(ended(anew(fire)))
    until(lambda: town.pages()[1]["status"] == "resolved", message="the page outlived its incident")
    until(lambda: town.tickets()[0]["status_category"] == "done")
    until(lambda: "resolved by Alertmanager" in town.shown(town.roots()[0]))
    assert sum("Resolved: every alert has" in text for text in town.thread(root)) == 2


def test_what_fires_again_later_is_a_new_incident_that_names_the_one_before(town: Town, alertmanager_body):
    town.config["incidents"]["reopen_within"] = 0.001
    bot = town.start()
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    out(town)
    bot.alert(ended(fire))
    until(lambda: town.pages()[0]["status"] == "resolved")
    bot.alert(anew(fire))
    until(lambda: len(town.pages()) == len(town.roots()) == 2)
    assert town.pages()[0]["dedup_key"] != town.pages()[1]["dedup_key"]
    assert "*The same before:* INC-1" in town.shown(town.roots()[1])


def test_what_comes_back_as_a_ticket_wakes_nobody_until_it_is_a_page_again(town: Town, alertmanager_body):
    bot = town.start()
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    out(town)
    bot.alert(ended(fire))
    until(lambda: town.tickets()[0]["status_category"] == "done")
    slow = anew(fire, severity="ticket", alertname="SLOBurnSlow")
    slow["alerts"][0]["fingerprint"] = "7af3064281c2acde"
    bot.alert(slow)
    until(lambda: status(bot) == "triggered")
    until(lambda: town.tickets()[0]["status_category"] == "indeterminate")
    assert [page["status"] for page in town.pages()] == ["resolved"], "a slow burn woke the on-call"
    bot.alert(anew(fire))
    until(lambda: [page["status"] for page in town.pages()] == ["resolved", "triggered"], message="nobody was woken")


def test_a_person_reopens_what_they_resolved_too_early(town: Town):
    bot = town.start()
    bot.ask("incident open sev2 docs-api p95 up")
    root = out(town)
    bot.ask("incident resolve")
    until(lambda: town.pages()[0]["status"] == "resolved" and town.tickets()[0]["status_category"] == "done")
    assert "You reopened INC-1" in bot.ask("incident reopen", "dora")["text"]
    until(lambda: [page["status"] for page in town.pages()] == ["resolved", "triggered"])
    until(lambda: town.tickets()[0]["status_category"] == "indeterminate")
    until(lambda: any("Reopened by dora. It pages the on-call of docs-api" in text for text in town.thread(root)))


def test_an_incident_is_not_reopened_beside_the_one_that_is_open_for_the_same(town: Town, alertmanager_body):
    town.config["incidents"]["reopen_within"] = 0
    bot = town.start()
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    out(town)
    bot.alert(ended(fire))
    until(lambda: status(bot) == "resolved")
    bot.alert(anew(fire))
    until(lambda: len(town.pages()) == 2)
    said = bot.ask("incident reopen INC-1")["error"]
    assert "INC-2 is open for the same" in said
    assert status(bot) == "resolved"


def test_a_page_that_never_went_out_before_it_ended_and_came_back_is_one_page(town: Town, alertmanager_body):
    """PagerDuty was down all the while: whoever is called when it is back is called once, for what burns now."""
    bot = town.start()
    town.pagerduty.faults.breaks("500")
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    until(town.roots)
    bot.alert(ended(fire))
    until(lambda: status(bot) == "resolved")
    bot.alert(anew(fire))
    until(lambda: status(bot) == "triggered")
    town.pagerduty.faults.mend()
    until(lambda: [page["status"] for page in town.pages()] == ["triggered"], timeout=30, message="nobody was paged")
    until(lambda: "PagerDuty ✔" in town.shown(town.roots()[0]), timeout=20)
    assert [(page["status"], page["triggers"]) for page in town.pages()] == [("triggered", 1)]


def test_a_reopening_survives_a_kill(town: Town, alertmanager_body):
    bot = town.spawn()
    fire = alertmanager_body("firing-single")
    bot.alert(fire)
    root = out(town)
    bot.alert(ended(fire))
    until(lambda: town.pages()[0]["status"] == "resolved" and town.tickets()[0]["status_category"] == "done")
    town.pagerduty.faults.breaks("hang")
    town.jira.faults.breaks("hang")
    assert bot.alert(anew(fire)).status_code == 202
    bot.kill()
    town.pagerduty.faults.mend()
    town.jira.faults.mend()
    bot = town.spawn()
    until(lambda: [page["status"] for page in town.pages()] == ["resolved", "triggered"], timeout=30)
    until(lambda: town.tickets()[0]["status_category"] == "indeterminate", timeout=30)
    until(lambda: any("Reopened:" in text for text in town.thread(root)), timeout=30)
    assert sum("Reopened:" in text for text in town.thread(root)) == 1
    assert len(town.roots()) == len(town.tickets()) == 1
