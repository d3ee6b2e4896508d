"""Messages in the stand-in: read as they stand, pinned, and deleted under their answers; and what the app hears of it."""

from __future__ import annotations

import pytest
from slack_bolt import App

from bot.errors import GiveUp
from bot.integrations.slack import Chat, Post
from bot.integrations.slack.fake import SIGNING_SECRET
from bot.integrations.slack.said import mentioned, plain


@pytest.fixture
def chat(slack) -> Chat:
    return slack.chat()


def test_a_message_is_read_as_it_stands_now_in_a_thread_or_out_of_one(slack, chat):
    fake = slack.fake
    head = fake.say("general", "alice", "one &lt;two&gt;")["ts"]
    reply = fake.say("general", "bob", "three", head)["ts"]
    fake.say("general", "carol", "four", head)
    fake.react("general", reply, "alice", "pushpin")
    fake.react("general", reply, "carol", "pushpin")
    fake.pin("general", head, "bob")
    where = fake.channel_id("general")
    read = chat.message(where, head)
    assert (read.text, read.thread_ts, read.user) == ("one &lt;two&gt;", head, fake.user_id("alice"))
    assert (read.pinned, read.reactions, read.ours) == (True, {}, False)
    answer = chat.message(where, reply)
    assert (answer.text, answer.thread_ts, answer.reactions, answer.pinned) == ("three", head, {"pushpin": 2}, False)
    assert chat.message(where, chat.post(Post(where, "mine")).ts).ours
    fake.delete("general", reply, "bob")
    assert chat.message(where, reply) is None
    fake.delete("general", head, "alice")
    assert chat.message(where, head) is None
    assert chat.channel_name(where) == "general"


def test_a_scope_that_is_missing_to_read_a_message_is_named(slack, chat):
    ts = slack.fake.say("general", "alice", "one")["ts"]
    slack.fake.scopes -= {"channels:history"}
    with pytest.raises(GiveUp, match=r"lacks the scope channels:history"):
        chat.message(slack.fake.channel_id("general"), ts)


def test_pins_are_told_with_the_message_and_a_deleted_head_of_a_thread_leaves_its_place(slack, new_app, run):
    app, heard, fake = new_app(), [], slack.fake

    @app.event("pin_added")
    def added(event):
        heard.append(event)

    @app.event("pin_removed")
    def removed(event):
        heard.append(event)

    @app.event("message")
    def message(event):
        heard.append(event)

    run(app)
    general, bob = fake.channel_id("general"), fake.user_id("bob")
    ts = fake.say("general", "alice", "one")["ts"]
    assert fake.pin("general", ts, "bob", remove=True)["error"] == "no_pin"
    steps = [
        lambda: fake.pin("general", ts, "bob"),
        lambda: fake.pin("general", ts, "bob", remove=True),
        lambda: fake.say("general", "bob", "two", ts),
        lambda: fake.delete("general", ts, "alice"),
    ]
    for step in steps:
        assert fake.settled()
        assert step()["ok"]
    assert fake.settled()
    _, pin, unpin, _, gone = heard
    assert set(pin) == {
        "type", "user", "channel_id", "item", "item_user", "pin_count", "pinned_info", "event_ts",
    }  # fmt: skip
    assert (pin["type"], pin["user"], pin["channel_id"], pin["pin_count"]) == ("pin_added", bob, general, 1)
    assert (pin["item"]["message"]["ts"], pin["item"]["message"]["pinned_to"]) == (ts, [general])
    assert (unpin["type"], unpin["has_pins"], unpin["pin_count"]) == ("pin_removed", False, 0)
    assert (gone["subtype"], gone["message"]["subtype"]) == ("message_changed", "tombstone")
    assert gone["previous_message"]["text"] == "one"
    assert "one" not in slack.texts()


def test_what_the_bot_itself_pins_and_reacts_to_is_told_too(slack, web, run):
    heard, fake = [], slack.fake
    app = App(
        client=web, signing_secret=SIGNING_SECRET, process_before_response=True, ignoring_self_events_enabled=False
    )
    app.event("message")(lambda: None)
    for kind in ("pin_added", "pin_removed", "reaction_added", "reaction_removed"):
        app.event(kind)(lambda event: heard.append((event["type"], event["user"])))
    run(app)
    ts, general = fake.say("general", "alice", "one")["ts"], fake.channel_id("general")
    for call, more in (
        (web.pins_add, {}),
        (web.pins_remove, {}),
        (web.reactions_add, {"name": "eyes"}),
        (web.reactions_remove, {"name": "eyes"}),
    ):
        call(channel=general, timestamp=ts, **more)
        assert fake.settled()
    kinds = ("pin_added", "pin_removed", "reaction_added", "reaction_removed")
    assert heard == [(kind, fake.bot_user) for kind in kinds]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<@U024BE7LH> sees &lt;b&gt; &amp; more", "@bob sees <b> & more"),
        ("<@U0000000X|xena> and <@U0000000Y>", "@xena and @U0000000Y"),
        ("<#C024BE7LH|docs-api> <#C024BE7LX>", "#docs-api #C024BE7LX"),
        ("<!here> <!subteam^S024BE7LH|@oncall> <!subteam^S024BE7LH>", "@here @oncall @subteam"),
        ("<https://a.example/?x=1&amp;y=2>", "https://a.example/?x=1&y=2"),
        ("<https://a.example|see> <http://b.example|b.example>", "see (https://a.example) http://b.example"),
        ("<mailto:a@example.com|a@example.com>", "a@example.com"),
        ("<!date^1392734382^{date}|18 Feb 2014> 2 < 3 > 1", "18 Feb 2014 2 < 3 > 1"),
    ],
)
def test_a_message_is_read_as_a_person_would(text, shown):
    assert plain(text, {"U024BE7LH": "bob"}) == shown


def test_who_is_mentioned_is_named_once():
    assert mentioned("<@U024BE7LH> <@W024BE7LX|x> <@U024BE7LH> @U0") == ("U024BE7LH", "W024BE7LX")
