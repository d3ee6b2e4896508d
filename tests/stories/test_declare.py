"""Declaring an incident: in a line, by a form, from a message, as a test; and what a person hears when it does not work."""

from __future__ import annotations

import pytest
from ground.town import Town, user
from ground.waiting import until


@pytest.fixture(params=["socket", "http"])
def bot(request, town: Town):
    town.config["slack"]["mode"] = request.param
    bot = town.start()
    if request.param == "socket":
        until(lambda: town.slack.state()["sockets"] == 1, message="the bot did not connect")
    return bot


def form(town: Town, who: str = "alice", text: str = "open"):
    """The form that somebody asked for."""
    before = len(town.slack.state()["views"])
    assert town.slack.slash("#docs-api", user(town, who), "/incident", text)["ok"]
    return until(lambda: town.slack.state()["views"][before:])[-1]


def filled(title="search is slow", service="docs-api", severity="sev2", *, test=False):
    return {
        "title": {"it": title},
        "service": {"it": service},
        "severity": {"it": severity},
        **({"test": {"it": ["test"]}} if test else {}),
    }


def test_the_form_opens_an_incident_and_the_person_hears_what_follows(town: Town, bot):
    alice = user(town, "alice")
    shown = form(town)
    assert [block["block_id"] for block in shown["blocks"]] == ["title", "service", "severity", "test"]
    assert town.slack.submit_view(shown["id"], alice, filled())["ok"]
    until(lambda: town.pages() and town.tickets() and town.roots())
    assert "INC-1 docs-api: search is slow" in town.roots()[0]["text"]
    until(lambda: "pages the on-call" in "".join(town.whispers(alice)[-1:]))
    assert bot.ask("incident show 1")["data"]["opened_by"] == "alice"


def test_a_double_click_makes_one_incident(town: Town, bot):
    shown = form(town)
    for _ in range(2):
        town.slack.submit_view(shown["id"], user(town, "alice"), filled())
    until(lambda: town.roots())
    bot.ask('incident open sev3 docs-api "another"')
    until(lambda: len(town.roots()) == 2)
    assert len(bot.ask("incident list")["data"]) == 2


def test_what_is_missing_is_said_beside_the_field_and_nothing_is_opened(town: Town, bot):
    told = town.slack.submit_view(form(town)["id"], user(town, "alice"), filled(title="   "))
    assert told["errors"] == {"title": "Say in a few words what is wrong."}
    assert bot.ask("incident list")["data"] == []


def test_from_a_message_the_form_has_its_words_and_the_incident_its_link(town: Town, bot):
    alice = user(town, "alice")
    said = town.slack.say("#general", alice, "the <gateway> answers\n502 & nobody knows why")
    assert town.slack.shortcut("incident open", alice, "#general", said["ts"])["ok"]
    shown = until(lambda: town.slack.state()["views"])[-1]
    assert "502" in shown["blocks"][0]["element"]["initial_value"]
    town.slack.submit_view(shown["id"], alice, filled(title=shown["blocks"][0]["element"]["initial_value"]))
    root = until(lambda: town.roots())[0]
    until(lambda: "Declared from" in town.shown(town.roots()[0]))
    assert said["ts"].replace(".", "") in town.shown(town.roots()[0])
    assert root["channel"]


def test_a_test_wakes_nobody_makes_no_ticket_and_says_so(town: Town, bot):
    alice = user(town, "alice")
    town.slack.submit_view(form(town)["id"], alice, filled(severity="sev1", test=True))
    root = until(lambda: town.roots())[0]
    assert "TEST" in root["text"]
    assert "Nobody is paged" not in town.shown(root)
    until(lambda: "pages nobody" in "".join(town.whispers(alice)[-1:]))
    bot.ask('incident open sev2 docs-api "another test" --test')
    until(lambda: len(town.roots()) == 2)
    bot.ask('incident open sev2 docs-api "a real one"')
    until(lambda: town.pages() and town.tickets())
    assert len(town.pages()) == len(town.tickets()) == 1
    assert [one["test"] for one in bot.ask("incident list")["data"]] == [False, True, True]
    assert "it was opened as a test" in bot.ask("why 1")["text"]


def test_when_slack_cannot_show_the_form_the_person_hears_how_to_do_without(town: Town, bot):
    town.slack.faults.breaks("500", only="views.open", times=1)
    town.slack.slash("#docs-api", user(town, "alice"), "/incident", "open")
    until(lambda: "I could not show the form" in "".join(town.whispers(user(town, "alice"))[-1:]))
    assert "incident open sev2" in town.whispers(user(town, "alice"))[-1]


def test_from_the_home_tab_the_person_hears_in_a_direct_message(town: Town, bot):
    """There is no address to answer to, and whoever declares must hear what came of it."""
    alice = user(town, "alice")
    town.slack.open_home(alice)
    home = until(lambda: town.slack.state()["homes"].get(alice))
    assert town.slack.press_view(home["id"], "incident open", alice)["ok"]
    shown = until(lambda: town.slack.state()["views"])[-1]
    town.slack.submit_view(shown["id"], alice, filled())
    until(lambda: [m for m in town.messages() if "Opened *INC-1*" in m["text"]])
    town.slack.faults.breaks("500", only="views.open", times=1)
    town.slack.press_view(home["id"], "incident open", alice)
    until(lambda: [m for m in town.messages() if "I could not show the form" in m["text"]])


def test_a_form_that_comes_too_late_is_not_shown(town: Town, bot):
    """Slack's trigger lives for three seconds."""
    town.slack.faults.breaks("hang", only="views.open", times=1)
    town.slack.slash("#docs-api", user(town, "alice"), "/incident", "open")
    until(lambda: "I could not show the form" in "".join(town.whispers(user(town, "alice"))[-1:]), timeout=15)
    assert town.slack.state()["views"] == []


@pytest.mark.parametrize(
    "title",
    [
        "x",
        "ü" * 300,
        "it\u2019s \u201cbroken\u201d \u2014 'really' \"so\"",
        "مرحبا \u202e abc",
        "<!channel> <@U123> <https://evil|x>",
        "🔥" * 100,
    ],
    ids=["short", "long", "quotes", "right to left", "mrkdwn", "emoji"],
)
def test_whatever_the_title_it_arrives_as_it_was_typed(town: Town, title):
    bot = town.start()
    town.slack.submit_view(form(town)["id"], user(town, "alice"), filled(title=title))
    until(lambda: town.roots())
    assert bot.ask("incident show 1")["data"]["title"] == title
    assert "<!channel>" not in town.roots()[0]["text"]
