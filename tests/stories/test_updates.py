"""Stakeholder updates and the digest: what is told of an incident, where it is read, and when the next is promised."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from ground.town import Bot, Town, channel, user
from ground.waiting import until

NEVER = {"acknowledge": 0, "update": 0, "close": 0}


@pytest.fixture
def told(town: Town) -> Town:
    """A town with a digest channel."""
    town.config["incidents"] |= {"digest": town.slack.channel_id("incidents"), "remind": NEVER}
    return town


def burn(town: Town, bot: Bot, line: str = "incident open sev2 docs-api p95 up") -> dict[str, Any]:
    """An incident whose thread, page and ticket are out; its root message."""
    before = len(roots(town))
    number = bot.ask(line)["data"]["number"]
    until(lambda: len(roots(town)) > before, message="no thread")
    until(lambda: "Jira ✔" in town.shown(roots(town)[-1]), message="no ticket")
    assert f"INC-{number}" in roots(town)[-1]["text"]
    return roots(town)[-1]


def roots(town: Town) -> list[dict[str, Any]]:
    """The threads' root messages; the digest's lines are none."""
    digest = {c["id"] for c in town.slack.state()["channels"] if c["name"] in ("incidents", "news")}
    return [m for m in town.roots() if m["channel"] not in digest]


def lines(town: Town, name: str = "incidents") -> list[str]:
    """The lines of the digest, as a reader sees them, oldest first."""
    return [town.shown(m) for m in town.messages() if m["channel"] == channel(town, name)]


def comments(town: Town) -> list[str]:
    return [one["text"] for ticket in town.tickets() for one in ticket.get("comments", ())]


def events(bot: Bot, number: int = 1) -> list[dict[str, Any]]:
    return bot.ask(f"incident show INC-{number}")["data"]["timeline"]


def effects(bot: Bot, kind: str, number: int = 1) -> list[dict[str, Any]]:
    return [one for one in bot.ask(f"incident show INC-{number}")["data"]["effects"] if one["kind"] == kind]


# ---- an update ---------------------------------------------------------------------------------------------------------


def test_an_update_is_read_in_the_thread_the_panel_the_ticket_the_digest_and_the_timeline(told: Town):
    bot = told.start()
    root = burn(told, bot)
    until(lambda: lines(told))
    answer = bot.ask('incident update "cache is <!channel> warm & latency falls" --next 30m', "dora")["text"]
    assert "in its thread, OPS-1, the digest and the timeline" in answer
    assert re.search(r"The next is promised by \w{3} \d\d:\d\d UTC", answer), "a terminal reads no date of Slack's"
    shown = bot.ask("incident show INC-1")["text"]
    assert re.search(r"Last update by dora, \w{3} \d\d:\d\d UTC: cache is <!channel> warm", shown)
    assert "Next update by" in shown
    until(lambda: any("*Update* by dora: cache is &lt;!channel&gt; warm" in text for text in told.thread(root)))
    until(lambda: "*Last update* by dora" in told.shown(roots(told)[0]))
    assert "*Next update by* <!date^" in told.shown(roots(told)[0])
    assert "UTC" in told.shown(roots(told)[0])
    until(lambda: "cache is &lt;!channel&gt; warm &amp; latency falls (dora" in lines(told)[0])
    assert "Next update by" in lines(told)[0]
    (comment,) = until(lambda: comments(told))
    assert "by dora" in comment
    assert "channel> warm & latency falls" in comment
    assert "Next update by" in comment
    (event,) = [event for event in events(bot) if event["kind"] == "update"]
    assert (event["actor"], event["text"]) == ("dora", "cache is <!channel> warm & latency falls")
    assert len(lines(told)) == 1, "the digest has one line for one incident"


def test_without_a_text_a_ticket_or_a_digest_it_says_what_there_is(town: Town):
    town.config.pop("jira")
    for service in town.config["services"].values():
        service.pop("jira")
    bot = town.start()
    bot.ask("incident open sev2 docs-api p95 up")
    assert "Say how it stands" in bot.ask("incident update")["error"]
    assert "Say how it stands" in bot.ask("incident update INC-1")["error"], "a name alone is no update"
    assert "in its thread and the timeline" in bot.ask("incident update still slow")["text"]
    assert "--next must be a length of time" in bot.ask("incident update x --next soon")["error"]
    assert "3000" in bot.ask(f"incident update {'x' * 3001}")["error"]
    bot.ask("incident resolve INC-1")
    assert "so no next one is promised" in bot.ask("incident update all is well --of 1 --next 1h")["text"]
    bot.ask("incident close INC-1")
    assert "`incident reopen INC-1` comes first" in bot.ask("incident update more --of 1")["error"]


def test_the_same_request_asked_twice_is_told_once(told: Town):
    bot = told.start()
    root = burn(told, bot)
    alice = user(told, "alice")
    for _ in range(2):
        assert told.slack.slash("#docs-api", alice, "/incident", "update it is better")["ok"]
    until(lambda: len([text for text in told.thread(root) if "it is better" in text]) == 2)
    told.slack.redeliver_last()
    until(lambda: len(comments(told)) == 2)
    assert len([event for event in events(bot) if event["kind"] == "update"]) == 2


def test_a_long_update_is_read_whole(told: Town):
    bot = told.start()
    root = burn(told, bot)
    said = " ".join(f"w{n}" for n in range(580)) + " <end>"
    bot.ask(f'incident update "{said}"')
    message = until(lambda: [m for m in told.messages() if m["text"].startswith("*Update* by carol")])[0]
    assert message["thread_ts"] == root["ts"]
    shown = "".join(block["text"]["text"] for block in message["blocks"] if block["type"] == "section")
    assert "w579 &lt;end&gt;" in shown


@pytest.mark.parametrize("fault", ["429", "500", "reset", "late"])
def test_when_jira_fails_the_ticket_has_the_update_once(told: Town, fault: str):
    bot = told.start()
    burn(told, bot)
    more = {"retry_after": 1} if fault == "429" else {"delay": 3.0} if fault == "late" else {}
    told.jira.faults.breaks(fault, times=1, only="/comment", **more)
    bot.ask("incident update it is better")
    until(lambda: effects(bot, "ticket-note")[-1]["state"] == "done", timeout=30, message="it was not commented")
    assert len(comments(told)) == 1


@pytest.mark.slow
def test_killed_while_the_ticket_is_told_it_is_told_once(told: Town):
    bot = told.spawn()
    burn(told, bot)
    told.jira.faults.breaks("late", delay=30, only="/comment")
    bot.ask("incident update it is better")
    until(lambda: comments(told), message="Jira was never asked")
    bot.kill()
    told.jira.faults.mend()
    bot = told.spawn()
    until(lambda: effects(bot, "ticket-note")[-1]["state"] == "done", timeout=30)
    assert len(comments(told)) == 1


# ---- the promise of a next one -----------------------------------------------------------------------------------------


def reminders(town: Town, root: dict[str, Any], said: str) -> int:
    return sum(said in text for text in town.thread(root))


def test_the_thread_is_reminded_when_a_promised_update_is_due_and_no_longer_when_it_came(told: Town):
    bot, alice = told.start(), user(told, "alice")
    root = burn(told, bot)
    bot.ask("incident ack INC-1", "dora")
    bot.ask(f"incident role lead <@{alice}|alice>")
    bot.ask("incident update it is better --next 2s")
    bot.ask("incident severity sev1")
    threading.Event().wait(1.0)
    assert reminders(told, root, "was promised for") == 0
    until(lambda: reminders(told, root, f"<@{alice}>: the update of INC-1 that was promised for") == 1, timeout=10)
    until(lambda: "The next update was promised for" in told.shown(roots(told)[0]), message="the panel still promises")
    until(lambda: "The next update was promised for" in lines(told)[0], message="the digest still promises")
    said = next(m for m in told.messages() if "was promised for" in m["text"] and m.get("thread_ts"))
    assert "incident update" in told.shown(said), "it offers what it asks for"
    bot.ask("incident update it is well")
    until(lambda: "promised" not in told.shown(roots(told)[0]))
    threading.Event().wait(2.5)
    assert reminders(told, root, "was promised for") == 1


def test_who_speaks_for_the_incident_is_reminded_of_what_was_promised(told: Town):
    bot, bob = told.start(), user(told, "bob")
    root = burn(told, bot)
    bot.ask("incident ack INC-1", "dora")
    bot.ask("incident role lead @alice")
    bot.ask(f"incident role communications <@{bob}|bob>")
    bot.ask("incident update it is better --next 1s")
    until(lambda: reminders(told, root, f"<@{bob}>: the update of INC-1 that was promised for") == 1)


def test_a_promise_made_before_anybody_has_it_is_kept_in_mind_by_who_takes_it(told: Town):
    told.config["incidents"]["remind"] = NEVER | {"update": 600}
    bot = told.start()
    root = burn(told, bot)
    answer = bot.ask("incident update we look at it --next 3s")["text"]
    assert answer.endswith("I remind the thread then, once somebody has it."), "nobody is reminded while nobody has it"
    bot.ask("incident ack INC-1", "dora")
    until(lambda: reminders(told, root, "was promised for") == 1, timeout=10)


def test_an_update_puts_the_reminder_off(told: Town):
    told.config["incidents"]["remind"] = NEVER | {"update": 2.0}
    bot = told.start()
    root = burn(told, bot)
    bot.ask("incident ack INC-1", "dora")
    threading.Event().wait(1.2)
    bot.ask("incident update it is better")
    threading.Event().wait(1.2)
    assert reminders(told, root, "there has been no news") == 0
    until(lambda: reminders(told, root, "there has been no news") == 1)


def test_an_end_keeps_no_promise_open(told: Town):
    bot = told.start()
    root = burn(told, bot)
    bot.ask("incident ack INC-1", "dora")
    bot.ask("incident update it is better --next 2s")
    bot.ask("incident resolve INC-1")
    until(lambda: "promised" not in told.shown(roots(told)[0]) and "Next update" not in told.shown(roots(told)[0]))
    bot.ask("incident reopen INC-1")
    threading.Event().wait(2.5)
    assert reminders(told, root, "was promised for") == 0
    assert bot.ask("incident show INC-1")["data"]["next_update_at"] is None


@pytest.mark.slow
def test_a_promise_outlives_a_kill_and_is_reminded_of_once(told: Town):
    bot = told.spawn()
    root = burn(told, bot)
    bot.ask("incident ack INC-1", "dora")
    bot.ask("incident update it is better --next 4s")
    bot.kill()
    told.spawn()
    until(lambda: reminders(told, root, "was promised for") == 1, timeout=20, message="the kill ate the promise")


# ---- by a form ---------------------------------------------------------------------------------------------------------


def form(town: Town, n: int = 0) -> dict[str, Any]:
    return until(lambda: town.slack.state()["views"][n:], message="no form was shown")[-1]


def block(view: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in view["blocks"] if one["block_id"] == name)


def test_the_panels_button_opens_a_form_with_the_last_update_in_it(told: Town):
    bot, alice = told.start(), user(told, "alice")
    root = burn(told, bot)
    bot.ask("incident update the cache is cold\nand slow --next 30m")
    assert told.slack.press(root["channel"], root["ts"], "incident update", alice)["ok"]
    shown = form(told)
    assert "the cache is cold" in block(shown, "text")["element"]["initial_value"]
    assert block(shown, "next")["element"]["initial_option"]["value"] == "30m"
    filled = {"text": {"it": "the cache is warm\nand quick"}, "next": {"it": "none"}}
    assert told.slack.submit_view(shown["id"], alice, filled)["ok"]
    until(lambda: any("*Update* by alice: the cache is warm\nand quick" in text for text in told.thread(root)))
    until(lambda: "your update is in" in "".join(told.whispers(alice)[-1:]))
    assert bot.ask("incident show INC-1")["data"]["next_update_at"] is None


def test_alone_or_with_a_name_the_command_shows_the_form_and_asks_which_where_several_burn(told: Town):
    bot, alice = told.start(), user(told, "alice")
    burn(told, bot)
    told.slack.slash("#docs-api", alice, "/incident", "update")
    assert form(told)["title"]["text"] == "Update INC-1"
    burn(told, bot, "incident open sev2 gateway it is slow")
    told.slack.slash("#docs-api", alice, "/incident", "update INC-2")
    until(lambda: form(told)["title"]["text"] == "Update INC-2")
    told.slack.slash("#general", alice, "/incident", "update")
    until(lambda: form(told)["title"]["text"] == "Update")
    asked = form(told)
    filled = {"incident": {"it": "2"}, "text": {"it": "it is quick"}, "next": {"it": "1h"}}
    assert told.slack.submit_view(asked["id"], alice, filled)["ok"]
    until(lambda: [event for event in events(bot, 2) if event["kind"] == "update"])


def test_a_refused_form_stays_open_with_what_was_typed(told: Town):
    bot, alice = told.start(), user(told, "alice")
    root = burn(told, bot)
    told.slack.press(root["channel"], root["ts"], "incident update", alice)
    shown = form(told)
    filled = {"text": {"it": "   "}, "next": {"it": "none"}}
    assert told.slack.submit_view(shown["id"], alice, filled)["errors"] == {"text": "Say how it stands."}
    bot.ask("incident resolve INC-1")
    bot.ask("incident close INC-1")
    filled["text"]["it"] = "a long and thoughtful text"
    errors = told.slack.submit_view(shown["id"], alice, filled)["errors"]
    assert "INC-1 is closed" in errors["text"]
    assert form(told)["id"] == shown["id"], "the form was closed over the text"
    bot.ask("incident reopen INC-1")
    assert told.slack.submit_view(shown["id"], alice)["ok"]
    until(lambda: any("a long and thoughtful text" in text for text in told.thread(root)))


def test_who_may_not_and_who_mistypes_gets_the_text_back(told: Town):
    emails = {one["name"]: one["email"] for one in told.slack.state()["users"]}
    told.config["permissions"] = {
        "roles": {"speaker": {"emails": [emails["alice"]]}}, "needs": {"incident update": "speaker"},
    }  # fmt: skip
    bot, alice, carol = told.start(), user(told, "alice"), user(told, "carol")
    root = burn(told, bot)
    told.slack.slash("#docs-api", alice, "/incident", "update --nxt 30m a thoughtful text")
    until(lambda: "has no option --nxt" in "".join(told.whispers(alice)[-1:]))
    assert "a thoughtful text" in told.whispers(alice)[-1]
    told.slack.press(root["channel"], root["ts"], "incident update", carol)
    shown = form(told)
    told.slack.submit_view(shown["id"], carol, {"text": {"it": "carol's <text>"}, "next": {"it": "none"}})
    until(lambda: "needs the role speaker" in "".join(told.whispers(carol)[-1:]))
    assert "carol's &lt;text&gt;" in told.whispers(carol)[-1]
    assert not [event for event in events(bot) if event["kind"] == "update"]


@pytest.mark.parametrize("fault", ["500", "429", "hang"])
def test_when_slack_cannot_show_the_form_the_person_hears_how_to_do_without(told: Town, fault: str):
    bot, alice = told.start(), user(told, "alice")
    root = burn(told, bot)
    told.slack.faults.breaks(fault, only="views.open", times=1)
    told.slack.press(root["channel"], root["ts"], "incident update", alice)
    until(lambda: "incident update how it stands" in "".join(told.whispers(alice)[-1:]))
    bot.ask("incident resolve INC-1")
    told.slack.slash("#general", alice, "/incident", "update")
    until(lambda: "No incident is open" in "".join(told.whispers(alice)[-1:]))
