"""What people do in Slack: slash commands and buttons, over signed HTTP and over Socket Mode."""

from __future__ import annotations

import pytest
import requests
from ground.town import Town, user
from ground.waiting import until


@pytest.fixture(params=["http", "socket"])
def bot(request, town: Town):
    town.config["slack"]["mode"] = request.param
    bot = town.start()
    if request.param == "socket":
        until(lambda: town.slack.state()["sockets"] == 1, message="the bot did not connect")
    return bot


def said_to(town: Town, name: str) -> str:
    return "\n".join(town.whispers(user(town, name)))


def test_an_incident_is_opened_shown_taken_and_resolved_by_commands(town: Town, bot):
    alice = user(town, "alice")
    assert town.slack.slash("#docs-api", alice, "/incident", 'open sev1 docs-api "p95 up <!channel>"')["ok"]
    until(lambda: "Opened *INC-1*" in said_to(town, "alice"))
    until(lambda: town.pages() and town.roots() and town.tickets())
    assert "<!channel>" not in town.roots()[0]["text"], "a title must not wake the channel"
    assert "&lt;!channel&gt;" in town.roots()[0]["text"]

    assert town.slack.slash("#docs-api", alice, "/captain", "incident list")["ok"]
    until(lambda: "1 incident open" in said_to(town, "alice"))
    town.slack.slash("#docs-api", alice, "/incident", "ack")
    until(lambda: town.pages()[0]["status"] == "acknowledged")
    town.slack.slash("#docs-api", alice, "/incident", "show INC-1")
    until(lambda: "Timeline" in said_to(town, "alice") or "alice: acknowledged by alice" in said_to(town, "alice"))
    town.slack.slash("#general", alice, "/incident", "resolve inc-1")
    until(lambda: town.pages()[0]["status"] == "resolved" and town.tickets()[0]["status_category"] == "done")


def test_what_cannot_be_done_is_answered_with_what_to_do(town: Town, bot):
    bob = user(town, "bob")
    for text, answer in (
        ("opn sev1 docs-api x", "Did you mean 'open'?"),
        ("open sev1 docs-ap x", "Did you mean 'docs-api'?"),
        ("open sev1 docs-api", "Say in a few words what is wrong"),
        ("ack INC-99", "There is no incident 'INC-99'"),
        ("ack", "No incident is open"),
    ):
        assert town.slack.slash("#docs-api", bob, "/incident", text)["ok"]
        until(lambda wanted=answer: wanted in said_to(town, "bob"), message=f"{text!r} was not answered")
    assert town.pages() == []


def test_a_stale_button_explains_and_does_nothing(town: Town, bot, alertmanager_body):
    bot.alert(alertmanager_body("firing-single"))
    root = until(town.roots)[0]
    alice, bob = user(town, "alice"), user(town, "bob")
    assert town.slack.press(root["channel"], root["ts"], "incident ack", alice)["ok"]
    until(lambda: "You acknowledged INC-1" in said_to(town, "alice"))
    bot.ask("incident resolve INC-1 --anyway")
    until(lambda: "resolved by carol" in town.shown(town.roots()[0]))
    # Bob's screen still shows the old message; Slack would let him press what he sees.
    assert bot.ask("incident ack INC-1", "bob")["text"].startswith("Nothing changed: INC-1 was resolved by carol")
    assert bob not in town.shown(town.roots()[0])


def test_a_double_press_is_one_deed(town: Town, bot, alertmanager_body):
    bot.alert(alertmanager_body("firing-single"))
    root = until(town.roots)[0]
    for _ in range(2):
        town.slack.press(root["channel"], root["ts"], "incident ack", user(town, "alice"))
    until(lambda: said_to(town, "alice").count("INC-1") >= 2)
    assert said_to(town, "alice").count("You acknowledged") == 1
    until(lambda: any("Acknowledged by alice" in text for text in town.thread(root)))
    assert sum("Acknowledged by" in text for text in town.thread(root)) == 1


def test_the_home_tab_shows_what_is_open(town: Town, bot, alertmanager_body):
    bot.alert(alertmanager_body("firing-single"))
    until(town.roots)
    assert town.slack.open_home(user(town, "carol"))["ok"]
    home = until(lambda: town.slack.state()["homes"].get(user(town, "carol")))
    assert "INC-1" in str(home)


def test_help_lists_every_command(town: Town, bot):
    town.slack.slash("#general", user(town, "alice"), "/captain", "help")
    until(lambda: "incident open SEVERITY SERVICE TITLE…" in said_to(town, "alice"))


def test_a_request_that_slack_did_not_sign_is_refused(town: Town):
    bot = town.start()
    answer = requests.post(f"{bot.url}/slack/events", data={"command": "/incident", "text": "list"}, timeout=5)
    assert answer.status_code == 401


def test_alerts_are_taken_while_slack_cannot_be_reached(town: Town, alertmanager_body):
    town.config["slack"]["mode"] = "socket"
    town.slack.faults.breaks("hang")
    bot = town.start()
    assert bot.alert(alertmanager_body("firing-single")).status_code == 202
    until(town.pages, timeout=2)
    town.slack.faults.mend()
    until(lambda: town.slack.state()["sockets"] == 1, timeout=20)


def test_by_phone_the_incident_follows(town: Town, alertmanager_body):
    """Acknowledged and resolved in PagerDuty's app: the thread shows it, and nothing is sent back twice."""
    bot = town.start()
    town.pagerduty.webhook_url = f"{bot.url}/webhooks/pagerduty"
    town.pagerduty.webhook_secret = town.config["pagerduty"]["webhook_secret"]
    bot.alert(alertmanager_body("firing-single"))
    page = until(town.pages)[0]
    root = until(town.roots)[0]
    town.pagerduty.acknowledge(page["id"], "bob")
    until(lambda: any("Acknowledged by" in text for text in town.thread(root)))
    town.pagerduty.resolve(page["id"], "bob")
    until(lambda: any("Resolved by" in text for text in town.thread(root)))
    until(lambda: town.tickets()[0]["status_category"] == "done")
    assert bot.ask("incident list")["text"].startswith("No incident is open")
    events = [c for c in town.calls.calls if c.path.endswith("/v2/enqueue")]
    assert len(events) == 1, "what PagerDuty told us is not told back"
