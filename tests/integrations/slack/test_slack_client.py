"""What the bot asks of Slack, over real HTTP: done once, found again, and every failure turned into what to do next."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from ground.waiting import free_port

from bot.errors import GiveUp, Retry
from bot.integrations.slack import Chat, Edit, Ephemeral, Post, Posted, Respond, SlackSettings
from bot.integrations.slack.client import EVENT_TYPE, SlackClient
from bot.integrations.slack.fake import SIGNING_SECRET, FakeSlack
from bot.integrations.slack.fake_hooks import new_hook
from bot.standin import CallLog, serve

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*up*"}}
MODAL = {"type": "modal", "title": {"type": "plain_text", "text": "A very long title for a modal"}, "blocks": [SECTION]}


@pytest.fixture
def chat(slack) -> Chat:
    return slack.chat()


def test_post_edit_and_thread(slack, chat):
    posted = chat.post(Post("#incidents", "INC-7", [SECTION], key="inc-7/thread"))
    assert posted.channel == slack.fake.channel_id("incidents")
    chat.post(Post(posted.channel, "below", thread_ts=posted.ts))
    assert chat.edit(Edit("#incidents", posted.ts, "INC-7 resolved"))
    head, reply = slack.rows("incidents")
    assert (head["text"], head["blocks"], head["edited"]) == ("INC-7 resolved", [], True)
    assert head["metadata"] == {"event_type": EVENT_TYPE, "event_payload": {"key": "inc-7/thread"}}
    assert reply["thread_ts"] == posted.ts
    assert chat.permalink("#incidents", posted.ts) == head["permalink"]


def test_an_edit_of_a_message_that_somebody_deleted_says_so(chat):
    assert not chat.edit(Edit("#general", "1.000001", "x"))


def test_blocks_alone_still_have_words_for_the_notification(slack, chat):
    chat.post(Post("#general", "", [SECTION]))
    assert slack.texts() == ["*up*"]


def test_more_than_fits_is_made_to_fit(slack, chat):
    giant = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 9000}}] * 60
    posted = chat.post(Post("#general", "y" * 9000, giant))
    chat.edit(Edit(posted.channel, posted.ts, "z" * 9000, giant))
    (row,) = slack.rows()
    assert len(row["text"]) == 4000
    assert row["text"].endswith("…")
    assert row["blocks"][-1]["elements"][0]["text"] == f"… {60 - len(row['blocks']) + 1} more"


def test_only_one_person_sees_an_ephemeral_message(slack, chat):
    alice = slack.fake.user_id("alice")
    chat.ephemeral(Ephemeral("#general", alice, "only you", [SECTION]))
    assert slack.rows()[0]["ephemeral_to"] == alice


def test_people_views_and_who_we_are(slack, chat):
    alice = slack.fake.user_id("alice")
    person = chat.person(alice)
    assert (person.id, person.name, person.email) == (alice, "alice", "alice@example.com")
    assert chat.ping() == slack.fake.bot_user
    trigger = slack.fake.world.new_trigger(alice)
    view = chat.open_view(trigger, MODAL)
    chat.update_view(view, MODAL | {"title": {"type": "plain_text", "text": "Second"}})
    assert slack.fake.state()["views"][0]["title"]["text"] == "Second"
    chat.publish_home(alice, {"type": "home", "blocks": [SECTION] * 120})
    assert len(slack.fake.state()["homes"][alice]["blocks"]) == 100


def test_a_file_in_a_thread(slack, chat):
    posted = chat.post(Post("#general", "x"))
    chat.upload("#general", name="evidence.json", content=b"{}", title="Evidence", thread_ts=posted.ts)
    row = slack.rows()[1]
    assert (row["thread_ts"], row["files"][0]["title"]) == (posted.ts, "Evidence")


def test_a_direct_message_and_finding_it(slack, chat):
    alice = slack.fake.user_id("alice")
    began = time.time()
    posted = chat.post(Post(alice, "psst", key="k"))
    assert posted.channel[0] == "D"
    assert slack.chat().find(alice, "k", since=began) == posted


# Finding again.


def test_a_post_whose_answer_was_lost_is_found_and_not_made_twice(slack, chat):
    began = time.time()
    slack.fake.faults.breaks("reset", times=1, only="chat.postMessage")
    with pytest.raises(Retry) as lost:
        chat.post(Post("#incidents", "INC-7", key="inc-7"))
    assert lost.value.unknown
    found = chat.find("#incidents", "inc-7", since=began)
    (row,) = slack.rows("incidents")
    assert found == Posted(row["channel"], row["ts"])
    assert slack.methods().count("chat.postMessage") == 1


def test_a_post_that_was_never_made_is_not_found(slack, chat):
    began = time.time()
    slack.fake.faults.breaks("500", times=1, only="chat.postMessage")
    with pytest.raises(Retry):
        chat.post(Post("#incidents", "INC-7", key="inc-7"))
    assert chat.find("#incidents", "inc-7", since=began) is None


def test_a_reply_is_found_in_its_thread_alone(slack, chat):
    began = time.time()
    head = chat.post(Post("#general", "head", key="head"))
    reply = chat.post(Post("#general", "reply", thread_ts=head.ts, key="reply"))
    assert chat.find("#general", "reply", since=began, thread_ts=head.ts) == reply
    assert chat.find("#general", "reply", since=began) is None
    assert chat.find("#general", "head", since=began) == head
    assert chat.find("#general", "reply", since=began, thread_ts="1.000001") is None


def test_looking_turns_pages_and_stops_at_the_time_asked_for(slack, chat):
    began = time.time()
    slack.fake.events = set()
    first = chat.post(Post("#general", "first", key="first"))
    for n in range(250):
        slack.fake.say("general", "alice", str(n))
    assert chat.find("#general", "first", since=began) == first
    assert slack.methods().count("conversations.history") == 2
    assert chat.find("#general", "first", since=began + 3600) is None
    assert slack.methods().count("conversations.history") == 3


def test_the_same_key_from_somebody_elses_app_is_not_ours(slack, chat):
    metadata = {"event_type": "other", "event_payload": {"key": "k"}}
    slack.web().chat_postMessage(channel="#general", text="x", metadata=metadata)
    assert chat.find("#general", "k", since=0.0) is None


# What goes wrong.


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("not_in_channel", "/invite"),
        ("channel_not_found", "captain.yml"),
        ("is_archived", "Unarchive"),
        ("missing_scope", "chat:write.*reinstall"),
        ("invalid_auth", "xoxb-"),
        ("thread_not_found", "head of the thread"),
        ("invalid_blocks", "unsupported type: nope"),
    ],
)
def test_a_refusal_says_what_to_do_next(slack, chat, code, words):
    fake = slack.fake
    ask = Post("#general", "x")
    if code == "not_in_channel":
        ask = Post(fake.add_channel("others", members=["alice"]), "x")
    elif code == "channel_not_found":
        ask = Post("#nowhere", "x")
    elif code == "is_archived":
        slack.web().conversations_archive(channel=fake.channel_id("gateway"))
        ask = Post("#gateway", "x")
    elif code == "missing_scope":
        fake.scopes = fake.scopes - {"chat:write"}
    elif code == "invalid_auth":
        chat = slack.chat(token="xoxb-stale")
    elif code == "thread_not_found":
        ask = Post("#general", "x", thread_ts="1.000001")
    elif code == "invalid_blocks":
        ask = Post("#general", "x", [{"type": "nope"}])
    with pytest.raises(GiveUp, match=words) as no:
        chat.post(ask)
    assert ask.channel in no.value.reason


def test_every_other_refusal_is_a_give_up_too(slack, chat):
    with pytest.raises(GiveUp, match="deleted"):
        chat.permalink("#general", "1.000001")
    with pytest.raises(GiveUp, match="#nowhere.*captain.yml"):
        chat.edit(Edit("#nowhere", "1.000001", "x"))
    said = slack.fake.say("general", "alice", "x")
    with pytest.raises(GiveUp, match="own messages"):
        chat.edit(Edit("#general", said["ts"], "x"))
    with pytest.raises(GiveUp, match="no such person"):
        chat.person("U0NOBODY1")
    with pytest.raises(GiveUp, match="not a press"):
        chat.open_view("1.2.3", MODAL)
    with pytest.raises(GiveUp, match="Open it again"):
        chat.update_view("V0NOTHING1", MODAL)
    with pytest.raises(GiveUp, match=r"invalid_arguments \(user_not_found"):
        chat.publish_home("U0NOBODY1", {"type": "home", "blocks": []})


ASKS = {
    "post": lambda chat: chat.post(Post("#general", "x", key="k")),
    "edit": lambda chat: chat.edit(Edit("C0BZ67Q443G", "1.000001", "x")),
    "ephemeral": lambda chat: chat.ephemeral(Ephemeral("C0BZ67Q443G", "U0BYKESUMMB", "x")),
    "find": lambda chat: chat.find("C0BZ67Q443G", "k", since=0.0),
    "upload": lambda chat: chat.upload("C0BZ67Q443G", name="a", content=b"a", title="a"),
    "open_view": lambda chat: chat.open_view("1.2.3", MODAL),
    "update_view": lambda chat: chat.update_view("V0", MODAL),
    "publish_home": lambda chat: chat.publish_home("U0BYKESUMMB", MODAL | {"type": "home"}),
    "person": lambda chat: chat.person("U0BYKESUMMB"),
    "permalink": lambda chat: chat.permalink("C0BZ67Q443G", "1.000001"),
    "ping": lambda chat: chat.ping(),
}


@pytest.mark.parametrize("ask", ASKS)
def test_too_many_and_server_errors_are_tried_again_later(slack, chat, ask):
    slack.fake.faults.breaks("429", times=1, retry_after=7)
    with pytest.raises(Retry) as later:
        ASKS[ask](chat)
    assert (later.value.after, later.value.unknown) == (7.0, False)
    for mode in ("500", "503"):
        slack.fake.faults.breaks(mode, times=1)
        with pytest.raises(Retry) as later:
            ASKS[ask](chat)
        assert (later.value.after, later.value.unknown) == (None, True)
    assert len(slack.calls.calls) == 3, "the SDK tried again on its own"


@pytest.mark.parametrize("ask", ASKS)
def test_a_reset_is_of_unknown_outcome(slack, chat, ask):
    slack.fake.faults.breaks("reset", times=1)
    with pytest.raises(Retry) as lost:
        ASKS[ask](chat)
    assert lost.value.unknown
    assert len(slack.calls.calls) == 1, "the SDK tried again on its own"


@pytest.mark.parametrize("ask", ["post", "find", "ping"])
def test_no_answer_in_time_is_of_unknown_outcome(slack, ask):
    slack.fake.faults.breaks("hang")
    began = time.monotonic()
    with pytest.raises(Retry, match="in time") as lost:
        ASKS[ask](slack.chat(timeout=0.2))
    assert lost.value.unknown
    assert 0.15 < time.monotonic() - began < 1.5


def test_slack_not_there_at_all_has_not_acted():
    settings = SlackSettings(bot_token="x", base_url=f"http://127.0.0.1:{free_port()}/api/", timeout=1)
    with pytest.raises(Retry) as gone:
        SlackClient(settings).ping()
    assert not gone.value.unknown


def test_something_that_is_not_slack_answers(slack):
    async def captive(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<html>Please sign in</html>"})

    server = serve(captive)
    try:
        with pytest.raises(Retry, match="not Slack"):
            SlackClient(SlackSettings(bot_token="x", base_url=f"{server.url}/api/")).ping()
    finally:
        server.stop()


def test_the_sdk_keeps_quiet_about_what_we_raise(slack, chat, caplog):
    caplog.set_level(logging.DEBUG)
    slack.fake.faults.breaks("reset", times=1)
    with pytest.raises(Retry):
        chat.ping()
    assert [r for r in caplog.records if "slack" in r.name] == []


# Answers to commands.


@pytest.fixture
def hook(slack):
    """The response_url of a press on a message in #general."""
    posted = slack.chat().post(Post("#general", "original"))
    world = slack.fake.world
    message, alice = world.message(posted.channel, posted.ts), slack.fake.user_id("alice")
    return new_hook(world, slack.url, channel=posted.channel, user=alice, message=message)


def test_answers_through_a_response_url(slack, chat, hook):
    chat.respond(Respond(hook, "to you", [SECTION]))
    chat.respond(Respond(hook, "to all", in_channel=True))
    chat.respond(Respond(hook, "instead", replace_original=True))
    rows = slack.rows()
    assert [m["text"] for m in rows] == ["instead", "to you", "to all"]
    assert [m["ephemeral_to"] is not None for m in rows] == [False, True, False]


def test_an_answer_that_comes_too_late(slack, chat, hook):
    for n in range(5):
        chat.respond(Respond(hook, str(n)))
    with pytest.raises(GiveUp, match="too late"):
        chat.respond(Respond(hook, "6"))


def test_an_answer_slack_does_not_understand(chat, hook):
    with pytest.raises(GiveUp, match="invalid_blocks"):
        chat.respond(Respond(hook, "x", [{"type": "nope"}]))


@pytest.mark.parametrize("mode", ["429", "503", "reset", "hang"])
def test_an_answer_slack_could_not_take(slack, hook, mode):
    slack.fake.faults.breaks(mode, retry_after=3)
    with pytest.raises(Retry) as later:
        slack.chat(timeout=0.2).respond(Respond(hook, "x"))
    assert (later.value.after, later.value.unknown) == ((3.0, False) if mode == "429" else (None, True))


def test_many_threads_share_one_client(slack, chat):
    failed = []

    def work(n: int) -> None:
        try:
            posted = chat.post(Post("#general", str(n), key=str(n)))
            chat.edit(Edit("#general", posted.ts, f"{n}!"))
        except (Retry, GiveUp) as no:
            failed.append(no)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(slack.texts()) == sorted(f"{n}!" for n in range(12))


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(slack, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert slack.chat().ping() == slack.fake.bot_user


def test_the_stand_in_speaks_with_its_default_secrets():
    fake = FakeSlack(CallLog())
    assert fake.signing_secret == SIGNING_SECRET
    assert fake.delivery.signed("x")["X-Slack-Signature"].startswith("v0=")
