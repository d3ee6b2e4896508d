"""The life of an incident: mitigated, resolved, closed, reopened in its own thread, and what is asked on the way."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import Any

import pytest
from ground.town import Town, user
from ground.waiting import until

from bot.errors import ConfigError


def ended(fire: dict[str, Any]) -> dict[str, Any]:
    return fire | {"alerts": [fire["alerts"][0] | {"status": "resolved"}]}


def anew(fire: dict[str, Any], start: str = "2026-11-23T09:00:00Z", **labels: str) -> dict[str, Any]:
    alert = fire["alerts"][0]
    return fire | {"alerts": [alert | {"startsAt": start, "labels": alert["labels"] | labels}]}


def status(bot: Any, number: int = 1) -> str:
    return str(bot.ask(f"incident show INC-{number}")["data"]["status"])


def buttons(town: Town, root: dict[str, Any]) -> list[str]:
    """The commands that the panel offers to move it, beside the form for an update, what silences it and what looks again."""
    message = next(m for m in town.messages() if m["ts"] == root["ts"] and m["channel"] == root["channel"])
    offered = [e["action_id"] for block in message["blocks"] if block["type"] == "actions" for e in block["elements"]]
    return [command for command in offered if command not in ("incident update", "incident silence", "incident checks")]


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
    until(lambda: any("Closed by alice" in text for text in town.thread(root)))
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
    until(lambda: "*The on-call of docs-api was paged*" in bot.ask("why INC-1")["text"])

    # Its second life ends like its first one.
    bot.ask("incident ack INC-1", "dora")
    until(lambda: town.pages()[1]["status"] == "acknowledged", message="PagerDuty goes on escalating")
    bot.alert(ended(anew(fire)))
    until(lambda: town.pages()[1]["status"] == "resolved", message="the page outlived its incident")
    until(lambda: town.tickets()[0]["status_category"] == "done")
    until(lambda: "resolved by Alertmanager" in town.shown(town.roots()[0]))
    until(lambda: sum("Resolved: every alert has" in text for text in town.thread(root)) == 2)


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


# ---- what it is, and who does what -------------------------------------------------------------------------------------


def test_a_ticket_that_is_raised_pages_and_says_so_and_a_page_that_is_lowered_stays(town: Town):
    bot = town.start()
    bot.ask("incident open sev3 docs-api slow answers")
    root = until(town.roots)[0]
    until(town.tickets)
    bot.ask("incident ack INC-1", "dora")
    assert "It pages the on-call of docs-api: it was raised to sev2" in bot.ask("incident severity sev2 INC-1")["text"]
    until(lambda: len(town.pages()) == 1, message="nobody was woken")
    assert status(bot) == "triggered", "who took a ticket has not taken the page"
    until(lambda: any("Severity raised from sev3 to sev2 by carol" in text for text in town.thread(root)))
    until(lambda: "sev2 · major" in town.shown(town.roots()[0]))
    assert "it was raised to sev2" in bot.ask("why INC-1")["text"]

    assert "has its page already" in bot.ask("incident severity sev1")["text"]
    assert "but the page is out" in bot.ask("incident severity sev3")["text"]
    assert "has its page already" in bot.ask("incident severity sev2")["text"]
    assert bot.ask("incident severity sev2")["text"] == "INC-1: nothing changed: it is sev2 already."
    assert [(page["status"], page["triggers"]) for page in town.pages()] == [("triggered", 1)]
    assert "SEVERITY cannot be 'sev9'" in bot.ask("incident severity sev9")["error"]
    bot.ask("incident resolve INC-1")
    until(lambda: town.pages()[0]["status"] == "resolved")
    bot.ask("incident close INC-1")
    assert "INC-1 is closed, so nothing of it is changed" in bot.ask("incident severity sev3 INC-1")["error"]


def test_an_incident_moves_to_another_service_and_its_page_ends_where_it_went(town: Town):
    bot = town.start()
    bot.ask("incident open sev2 docs-api p95 up")
    root = out(town)
    until(lambda: town.pages()[0]["service"])
    assert "Did you mean 'gateway'?" in bot.ask("incident service gatway")["error"]
    said = bot.ask("incident service gateway")["text"]
    assert "service changed from docs-api to gateway" in said
    assert "the page with the on-call of docs-api" in said
    until(lambda: any("Service changed from docs-api to gateway by carol" in text for text in town.thread(root)))
    assert len(town.pages()) == 1
    assert "The on-call is paged again" in bot.ask("incident page INC-1")["text"]
    until(lambda: len(town.pages()) == 2, message="the other on-call was not paged")
    assert len({page["service"] for page in town.pages()}) == 2
    bot.ask("incident resolve INC-1")
    until(lambda: [page["status"] for page in town.pages()] == ["resolved", "resolved"], message="a page was left open")
    until(lambda: town.tickets()[0]["status_category"] == "done")
    assert len(town.roots()) == len(town.tickets()) == 1


def test_environment_and_title_can_be_corrected(town: Town):
    bot = town.start()
    bot.ask("incident open sev2 docs-api p95 up")
    root = out(town)
    assert "environment changed from prod to staging" in bot.ask("incident environment staging")["text"]
    assert "one word of at most 60" in bot.ask('incident environment "a b"')["error"]
    assert "Say the new title" in bot.ask("incident title")["error"]
    assert "title changed" in bot.ask("incident title p95 up in <!channel> eu --of INC-1")["text"]
    until(lambda: "p95 up in <!channel> eu" in town.shown(town.roots()[0]))
    until(lambda: "staging" in town.shown(town.roots()[0]))
    until(lambda: any("&lt;!channel&gt;" in text for text in town.thread(root)), message="a title woke the channel")
    shown = bot.ask("incident show INC-1")["data"]
    assert (shown["environment"], shown["title"]) == ("staging", "p95 up in <!channel> eu")


def test_roles_are_given_told_what_to_do_shown_and_taken_back(town: Town):
    town.config["incidents"]["roles"] = {"lead": "you decide.", "medic": "you look after <people>."}
    bot, alice = town.start(), user(town, "alice")
    bot.ask("incident open sev2 docs-api p95 up")
    root = out(town)
    assert "alice is lead now" in bot.ask(f"incident role lead <@{alice}|alice>")["text"]
    until(lambda: any(f"<@{alice}>: you decide." in text for text in town.thread(root)), message="alice was not told")
    until(lambda: f"*Lead*\\n<@{alice}>" in town.shown(town.roots()[0]))
    assert "nothing changed: alice is lead already" in bot.ask(f"incident role lead <@{alice}|alice>")["text"]
    assert "dora is lead now, it was alice" in bot.ask("incident role lead @dora")["text"]
    bot.ask("incident role medic me INC-1", "erik")
    until(lambda: any("you look after &lt;people&gt;" in text for text in town.thread(root)))
    shown = bot.ask("incident show INC-1")
    assert [(one["role"], one["name"]) for one in shown["data"]["roles"]] == [("lead", "dora"), ("medic", "erik")]
    assert "medic: erik" in shown["text"]
    assert "dora is no longer lead" in bot.ask("incident role lead none")["text"]
    assert "nothing changed: nobody is lead" in bot.ask("incident role lead none")["text"]
    assert "Did you mean 'lead'?" in bot.ask("incident role laed dora")["error"]
    until(lambda: "*Lead*" not in town.shown(town.roots()[0]))
    kinds = [event["kind"] for event in bot.ask("incident show INC-1")["data"]["timeline"]]
    assert kinds.count("role") == 4


def test_a_role_that_captain_yml_spells_badly_stops_the_start(town: Town):
    town.config["incidents"]["roles"] = {"Big Boss": "decides"}
    with pytest.raises(ConfigError, match="must be a word of small letters"):
        town.start()


# ---- reminders ---------------------------------------------------------------------------------------------------------

NEVER = {"acknowledge": 0, "update": 0, "close": 0}


def reminders(town: Town, root: dict[str, Any], said: str) -> int:
    return sum(said in text for text in town.thread(root))


def owed(bot: Any) -> list[tuple[str, str]]:
    """(what, state) of the reminders that were ever owed, oldest first."""
    effects = bot.ask("incident show INC-1")["data"]["effects"]
    return [(effect["kind"], effect["state"]) for effect in effects if effect["kind"] == "remind"]


def test_the_thread_is_reminded_while_nobody_has_it_and_no_longer_when_somebody_has(town: Town):
    town.config["incidents"]["remind"] = NEVER | {"acknowledge": 0.3}
    bot = town.start()
    bot.ask("incident open sev2 docs-api p95 up")
    root = until(town.roots)[0]
    until(lambda: reminders(town, root, "Nobody has INC-1 yet") == 2, message="nobody was reminded again")
    said = next(m for m in town.messages() if "Nobody has INC-1 yet" in m["text"])
    assert "incident ack" in town.shown(said), "a reminder offers what it asks for"
    assert town.slack.press(said["channel"], said["ts"], "incident ack", user(town, "alice"))["ok"]
    until(lambda: status(bot) == "acknowledged")
    assert owed(bot)[-1] == ("remind", "skipped"), "it was not stopped by acting"
    before = reminders(town, root, "Nobody has")
    never = threading.Event()
    never.wait(2.5)  # the next was due in 1.2 s
    assert reminders(town, root, "Nobody has") == before


def test_an_incident_without_news_is_asked_about_and_news_put_it_off(town: Town):
    town.config["incidents"]["remind"] = NEVER | {"update": 1.5}
    bot = town.start()
    alice = user(town, "alice")
    bot.ask("incident open sev2 docs-api p95 up")
    root = until(town.roots)[0]
    bot.ask(f"incident role lead <@{alice}|alice>")
    bot.ask("incident ack INC-1", "dora")
    threading.Event().wait(1.0)
    bot.ask("incident severity sev1", "dora")
    threading.Event().wait(0.9)
    assert reminders(town, root, "there has been no news") == 0, "there was news within 1.5 s"
    until(lambda: reminders(town, root, f"<@{alice}>: there has been no news of INC-1") == 1)
    bot.ask("incident resolve INC-1")
    threading.Event().wait(3.5)  # the next was due in 3 s
    assert reminders(town, root, "there has been no news") == 1


def test_what_is_resolved_and_not_closed_is_asked_about_until_it_is_closed(town: Town):
    town.config["incidents"]["remind"] = NEVER | {"close": 0.3}
    bot = town.start()
    bot.ask("incident open sev2 docs-api p95 up")
    root = until(town.roots)[0]
    bot.ask("incident resolve INC-1")
    until(lambda: reminders(town, root, "INC-1 is resolved for") >= 1)
    bot.ask("incident close")
    assert owed(bot)[-1] == ("remind", "skipped")


def test_a_reminder_outlives_a_kill_and_comes_once(town: Town):
    town.config["incidents"]["remind"] = NEVER | {"acknowledge": 4}
    bot = town.spawn()
    bot.ask("incident open sev2 docs-api p95 up")
    root = out(town)
    bot.kill()
    assert reminders(town, root, "Nobody has") == 0
    bot = town.spawn()
    until(lambda: reminders(town, root, "Nobody has INC-1 yet") == 1, timeout=20, message="the kill ate the reminder")
    bot.ask("incident ack INC-1")
    bot.kill()
    bot = town.spawn()
    assert [state for _, state in owed(bot)] == ["done", "skipped"]
    assert reminders(town, root, "Nobody has INC-1 yet") == 1


def test_a_reminder_waits_for_slack_and_is_not_lost(town: Town):
    town.config["incidents"]["remind"] = NEVER | {"acknowledge": 1}
    bot = town.start()
    bot.ask("incident open sev2 docs-api p95 up")
    root = until(town.roots)[0]
    town.slack.faults.breaks("500")
    until(lambda: ("remind", "done") in owed(bot))
    town.slack.faults.mend()
    until(lambda: reminders(town, root, "Nobody has INC-1 yet") >= 1, timeout=20)


# ---- several replicas --------------------------------------------------------------------------------------------------


def test_two_replicas_that_hear_it_come_back_reopen_it_once(postgres, town: Town, alertmanager_body):
    town.config["captain"]["database"] = postgres.url
    one, two = town.spawn(), town.spawn()
    fire = alertmanager_body("firing-single")
    one.alert(fire)
    root = out(town)
    two.alert(ended(fire))
    until(lambda: town.pages()[0]["status"] == "resolved" and town.tickets()[0]["status_category"] == "done")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: (one if i % 2 else two).alert(anew(fire)), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    until(lambda: [page["status"] for page in town.pages()] == ["resolved", "triggered"], timeout=20)
    until(lambda: town.tickets()[0]["status_category"] == "indeterminate", timeout=20)
    until(lambda: reminders(town, root, "Reopened:") == 1, timeout=20)
    assert [(page["status"], page["triggers"]) for page in town.pages()] == [("resolved", 1), ("triggered", 1)]
    assert len(town.roots()) == len(town.tickets()) == 1


def test_a_person_and_an_alert_that_reopen_and_open_at_once_leave_one_open(postgres, town: Town, alertmanager_body):
    town.config["captain"]["database"] = postgres.url
    town.config["incidents"]["reopen_within"] = 0
    one, two = town.spawn(), town.spawn()
    fire = alertmanager_body("firing-single")
    for turn in range(1, 4):
        start = f"2026-11-23T0{turn}:00:00Z"
        one.alert(anew(fire, start))
        until(lambda: len(one.ask("incident list")["data"]) == 1, timeout=20)
        two.alert(ended(anew(fire, start)))
        until(lambda: one.ask("incident list")["data"] == [], timeout=20)
        newest = one.ask("incident list --all")["data"][0]["number"]
        later = anew(fire, f"2026-11-23T1{turn}:00:00Z")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            opened = pool.submit(one.alert, later)
            said = pool.submit(two.ask, f"incident reopen INC-{newest}").result()
        assert opened.result().status_code == 202
        while "Say it again" in said.get("error", ""):  # the database let the alert go first, and says so
            said = two.ask(f"incident reopen INC-{newest}")
        told = said.get("text", "") + said.get("error", "")
        assert any(text in told for text in ("You reopened", "is open for the same", "Nothing changed")), said
        until(lambda: one.ask("why 1h")["text"].count("not decided yet") == 0, timeout=20)
        assert len(until(lambda: one.ask("incident list")["data"])) == 1
        two.alert(ended(later))
        for row in one.ask("incident list")["data"]:
            one.ask(f"incident resolve INC-{row['number']} --anyway")
        until(lambda: one.ask("incident list")["data"] == [], timeout=20)
