"""Declaring an incident: in a line, by a form, from a message, as a test; and what a person hears when it does not work."""

from __future__ import annotations

import json

import pytest
from ground.town import Town, user
from ground.waiting import until

from bot.errors import ConfigError
from bot.settings import load


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
        **({"kind": {"it": ["test"]}} if test else {}),
    }


def test_the_form_opens_an_incident_and_the_person_hears_what_follows(town: Town, bot):
    alice = user(town, "alice")
    shown = form(town)
    assert [block["block_id"] for block in shown["blocks"]] == ["title", "service", "severity", "kind"]
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


# ---- by an emoji on a message ------------------------------------------------------------------------------------------


@pytest.fixture
def emoji(town: Town):
    """A bot that opens incidents from two emoji."""
    town.config["incidents"]["declare_emoji"] = {":rotating_light:": "sev1", "warning": "sev3"}
    return town.start()


def told(town: Town, who: str = "alice"):
    """The last thing that somebody alone has heard."""
    return until(lambda: town.whispers(user(town, who)))[-1]


def test_an_emoji_on_a_message_opens_an_incident_of_the_channels_service_once(town: Town, emoji):
    said = town.slack.say("#docs-api", "bob", f"search is &lt;down&gt;\nfor <@{user(town, 'carol')}>")["ts"]
    assert town.slack.react("#docs-api", said, "alice", "rotating_light")["ok"]
    until(lambda: town.pages() and town.roots())
    assert "Opened *INC-1* (sev1, docs-api): search is &lt;down&gt; for @carol" in told(town)
    for new in (False, True):
        town.slack.redeliver_last(new_event_id=new)
    town.slack.react("#docs-api", said, "bob", "warning")
    assert told(town, "bob") == "alice has opened INC-1 from that message already."
    town.slack.react("#docs-api", said, "alice", "rotating_light", remove=True)
    assert town.slack.settled()
    (row,) = emoji.ask("incident list --all")["data"]
    assert (row["opened_by"], row["severity"], row["service"]) == ("alice", "sev1", "docs-api")
    assert said.replace(".", "") in town.shown(until(lambda: town.roots())[0])
    assert len(town.pages()) == 1
    assert len(town.whispers(user(town, "alice"))) == 1


def test_where_no_service_or_several_live_the_person_hears_how_to_name_one(town: Town, emoji):
    said = town.slack.say("#general", "bob", "it burns")["ts"]
    town.slack.react("#general", said, "alice", "warning")
    assert "No service lives in this channel" in told(town)
    assert "`/captain incident open sev2 SERVICE what is wrong`" in told(town)
    assert emoji.ask("incident list --all")["data"] == []


def test_several_services_of_one_channel_are_named(town: Town):
    town.config["incidents"]["declare_emoji"] = "fire"
    town.config["services"]["gateway"]["channel"] = town.slack.channel_id("docs-api")
    bot = town.start()
    said = town.slack.say("#docs-api", "bob", "it burns")["ts"]
    town.slack.react("#docs-api", said, "alice", "fire")
    assert "Several services live in this channel (docs-api, gateway)" in told(town)
    assert bot.ask("incident list --all")["data"] == []


def test_who_may_not_open_incidents_hears_so_and_who_may_opens_it_afterwards(town: Town):
    town.config["incidents"]["declare_emoji"] = "fire"
    town.config["permissions"] = {
        "roles": {"on-call": {"emails": ["bob@example.com"]}},
        "needs": {"incident open": "on-call"},
    }
    bot = town.start()
    said = town.slack.say("#docs-api", "carol", "it burns")["ts"]
    town.slack.react("#docs-api", said, "alice", "fire")
    assert "needs the role on-call, which you do not have" in told(town)
    assert bot.ask("incident list --all")["data"] == []
    town.slack.react("#docs-api", said, "bob", "fire")
    assert "Opened *INC-1* (sev2, docs-api)" in told(town, "bob")


def test_a_scope_that_is_missing_is_named_to_whoever_reacted(town: Town, emoji):
    said = town.slack.say("#docs-api", "bob", "it burns")["ts"]
    town.slack.scopes -= {"channels:history"}
    town.slack.react("#docs-api", said, "alice", "warning")
    assert "lacks the scope channels:history" in told(town)
    assert "incident open sev2 SERVICE" in told(town)


def test_messages_of_an_incident_and_deleted_ones_open_nothing(town: Town, emoji):
    emoji.ask('incident open sev3 docs-api "first"')
    root = until(lambda: town.roots())[0]
    inside = town.slack.say("#docs-api", "bob", "me too", root["ts"])["ts"]
    town.slack.react("#docs-api", inside, "alice", "warning")
    assert "That message belongs to INC-1. Nothing was opened." in told(town)
    town.slack.react("#docs-api", root["ts"], "bob", "warning")
    assert "That message is one of mine. Nothing was opened." in told(town, "bob")
    gone = town.slack.say("#docs-api", "bob", "oops")["ts"]
    town.slack.faults.breaks("503", only="conversations.replies", times=1)
    town.slack.react("#docs-api", gone, "carol", "warning")
    town.slack.delete("#docs-api", gone, "bob")
    assert "That message was deleted before I could read it." in told(town, "carol")
    assert len(emoji.ask("incident list --all")["data"]) == 1


def test_while_slack_gives_no_message_the_person_hears_that_it_is_late_and_then_it_is_opened(town: Town, emoji):
    said = town.slack.say("#docs-api", "bob", "it burns")["ts"]
    town.slack.faults.breaks("503", only="conversations.replies")
    town.slack.react("#docs-api", said, "alice", "rotating_light")
    assert "I have not opened an incident from that message yet" in told(town)
    assert "I keep trying." in told(town)
    town.slack.faults.mend()
    until(lambda: town.pages(), timeout=30)
    until(lambda: "Opened *INC-1*" in told(town))


def test_a_page_does_not_wait_for_names(town: Town, emoji):
    said = town.slack.say("#docs-api", "bob", f"ask <@{user(town, 'carol')}>")["ts"]
    town.slack.faults.breaks("503", only="users.info")
    town.slack.faults.breaks("503", only="chat.getPermalink")
    town.slack.react("#docs-api", said, "alice", "rotating_light")
    until(lambda: town.pages())
    assert f"ask @{user(town, 'carol')}" in json.dumps(town.pages()[0])
    assert "Opened *INC-1*" in told(town)


def test_a_page_does_not_wait_for_many_names_that_come_slowly(town: Town, emoji):
    people = " ".join(f"<@U0SOMEBODY{n}>" for n in range(10))
    said = town.slack.say("#docs-api", "bob", f"ask {people}")["ts"]
    town.slack.faults.breaks("late", only="users.info", delay=0.8)
    town.slack.react("#docs-api", said, "alice", "rotating_light")
    until(lambda: town.pages(), timeout=20)
    asked = [one for one in town.calls.rows() if one["path"].endswith("users.info")]
    assert len(asked) <= 4


def test_when_slack_asks_for_fewer_looks_an_emoji_opens_an_incident_all_the_same(town: Town, emoji):
    emoji.ask('incident open sev3 docs-api "first"')
    root = until(lambda: town.roots())[0]
    until(lambda: not any(n for n, _ in emoji.captain.engine.owed().values()))
    inside = town.slack.say("#docs-api", "bob", "the replica lags", root["ts"])["ts"]
    said = town.slack.say("#docs-api", "bob", "it burns")["ts"]
    town.slack.faults.breaks("429", retry_after=8, times=1, only="conversations.replies")
    town.slack.pin("#docs-api", inside, "alice")
    until(lambda: not town.slack.faults.active())
    town.slack.react("#docs-api", said, "alice", "rotating_light")
    until(lambda: town.pages(), timeout=5)


def test_an_emoji_is_heard_after_a_kill_and_opens_one_incident(town: Town):
    town.config["incidents"]["declare_emoji"] = "fire"
    town.config["slack"]["timeout"] = 1
    bot = town.spawn()
    said = town.slack.say("#docs-api", "bob", "it burns")["ts"]
    town.slack.faults.breaks("503", only="conversations.replies")
    town.slack.react("#docs-api", said, "alice", "fire")
    until(lambda: [one for one in town.calls.rows() if one["path"].endswith("conversations.replies")])
    bot.kill()
    town.slack.faults.mend()
    bot = town.spawn()
    until(lambda: town.pages(), timeout=40)
    assert "Opened *INC-1*" in told(town)
    assert len(bot.ask("incident list --all")["data"]) == 1


def test_without_the_setting_no_emoji_opens_anything(town: Town):
    bot = town.start()
    said = town.slack.say("#docs-api", "bob", "it burns")["ts"]
    for name in ("fire", "rotating_light", "warning"):
        town.slack.react("#docs-api", said, "alice", name)
    assert town.slack.settled()
    until(lambda: bot.captain.requests.waiting() == 0)
    assert bot.ask("incident list --all")["data"] == []


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"declare_emoji": "pushpin"}, "must be another emoji than mark_emoji"),
        ({"declare_emoji": {"no good": "sev1"}}, "must be an emoji's name"),
        ({"declare_emoji": {"fire": "sev9"}}, "declare_emoji"),
        ({"mark_emoji": "a b"}, "must be an emoji's name"),
    ],
)
def test_a_wrong_emoji_is_said_when_the_configuration_is_read(town: Town, given, why):
    town.config["incidents"] |= given
    with pytest.raises(ConfigError, match=why):
        load(town.write(), {})
