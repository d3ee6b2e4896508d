"""The timeline: what people note and mark in the thread, with its own time, as it stands, to be read and taken away."""

from __future__ import annotations

import re

import pytest
from ground.town import Town, user
from ground.waiting import until


@pytest.fixture
def bot(town: Town):
    return town.start()


@pytest.fixture
def root(town: Town, bot):
    """The root message of an open incident."""
    bot.ask('incident open sev3 docs-api "p95 up"')
    return until(lambda: town.roots())[0]


def lines(bot, number: int = 1):
    """The timeline of an incident, as data."""
    return bot.ask(f"incident timeline INC-{number}")["data"]["timeline"]


def marked(bot, number: int = 1):
    """(who, what) of the messages in it."""
    return [(one["who"], one["text"]) for one in lines(bot, number) if one["kind"] == "message"]


def test_a_note_is_in_the_timeline_with_its_time_and_in_the_thread(town: Town, bot, root):
    assert bot.ask('incident note "rolled back to <1.4.2>"', "dora")["text"] == "Noted in INC-1: rolled back to <1.4.2>"
    until(lambda: "*dora* notes: rolled back to &lt;1.4.2&gt;" in town.thread(root))
    (note,) = [one for one in lines(bot) if one["kind"] == "note"]
    assert (note["who"], note["text"]) == ("dora", "rolled back to <1.4.2>")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", note["at"])


def test_a_marked_message_keeps_its_own_time_and_several_marks_are_one_line(town: Town, bot, root):
    said = town.slack.say("#docs-api", "bob", f"the replica <@{user(town, 'carol')}> lags", root["ts"])["ts"]
    town.slack.say("#docs-api", "bob", "nobody marks this", root["ts"])
    for who in ("alice", "carol"):
        assert town.slack.react("#docs-api", said, who, "pushpin")["ok"]
    until(lambda: marked(bot) == [("bob", "the replica @carol lags")])
    (line,) = [one for one in lines(bot) if one["kind"] == "message"]
    assert line["message"]["ts"] == said
    assert line["at"][:19] < line["message"]["noted_at"] or line["at"] <= line["message"]["noted_at"]
    town.slack.react("#docs-api", said, "alice", "pushpin", remove=True)
    town.slack.pin("#docs-api", said, "alice")
    town.slack.react("#docs-api", said, "carol", "pushpin", remove=True)
    assert town.slack.settled()
    until(lambda: marked(bot) == [("bob", "the replica @carol lags")])
    town.slack.pin("#docs-api", said, "bob", remove=True)
    until(lambda: marked(bot) == [])
