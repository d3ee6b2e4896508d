"""Messages through slack_sdk against the stand-in: posted, threaded, edited, found, paged, reacted to, pinned, uploaded."""

from __future__ import annotations

import json
import threading
import urllib.request

import pytest
from slack_sdk.errors import SlackApiError

from bot.integrations.slack.fake import BOT_TOKEN, FakeSlack
from bot.standin import CallLog, serve

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*up*"}}


def test_a_post_by_name_answers_the_id_and_shows_in_the_state(slack, web):
    answer = web.chat_postMessage(channel="#general", text="hello", blocks=[SECTION])
    assert answer["channel"] == slack.fake.channel_id("general")
    assert answer["message"]["blocks"][0]["block_id"]
    (row,) = slack.rows()
    assert (row["ts"], row["text"], row["username"], row["user"]) == (
        answer["ts"],
        "hello",
        "captain",
        slack.fake.bot_user,
    )
    assert row["permalink"] == web.chat_getPermalink(channel=answer["channel"], message_ts=answer["ts"])["permalink"]


def test_the_same_people_and_channels_have_the_same_ids_every_time(slack):
    other = FakeSlack(CallLog())
    assert other.channel_id("incidents") == slack.fake.channel_id("incidents")
    assert other.user_id("alice") == slack.fake.user_id("alice")
    assert other.user_id("alice")[0] == "U"


def test_a_thread_holds_its_replies_and_the_channel_only_the_head(slack, web):
    channel = slack.fake.channel_id("incidents")
    head = web.chat_postMessage(channel=channel, text="head")["ts"]
    reply = web.chat_postMessage(channel=channel, text="reply", thread_ts=head)["ts"]
    web.chat_postMessage(channel=channel, text="loud", thread_ts=reply, reply_broadcast=True)
    said = slack.fake.say("incidents", "alice", "me too", thread_ts=head)
    assert said["ok"]
    texts = [m["text"] for m in web.conversations_replies(channel=channel, ts=head)["messages"]]
    assert texts == ["head", "reply", "loud", "me too"]
    seen = web.conversations_history(channel=channel)["messages"]
    assert [m["text"] for m in seen] == ["loud", "head"]
    assert seen[0]["subtype"] == "thread_broadcast"
    assert (seen[1]["reply_count"], seen[1]["latest_reply"]) == (3, said["ts"])


def test_an_edit_changes_text_and_blocks_and_keeps_metadata(slack, web):
    metadata = {"event_type": "captain_message", "event_payload": {"key": "a"}}
    at = web.chat_postMessage(channel="#general", text="one", blocks=[SECTION], metadata=metadata)
    web.chat_update(channel=at["channel"], ts=at["ts"], text="two")
    (row,) = slack.rows()
    assert (row["text"], row["blocks"], row["edited"], row["metadata"]) == ("two", [], True, metadata)
    web.chat_delete(channel=at["channel"], ts=at["ts"])
    assert slack.rows() == []


def test_metadata_is_told_only_when_asked_for(slack, web):
    metadata = {"event_type": "captain_message", "event_payload": {"key": "a"}}
    at = web.chat_postMessage(channel="#general", text="x", metadata=metadata)
    told = web.conversations_history(channel=at["channel"], include_all_metadata=True)["messages"]
    quiet = web.conversations_history(channel=at["channel"])["messages"]
    assert told[0]["metadata"] == metadata
    assert "metadata" not in quiet[0]


def test_history_pages_and_bounds(slack, web):
    channel = slack.fake.channel_id("general")
    stamps = [web.chat_postMessage(channel=channel, text=str(i))["ts"] for i in range(7)]
    texts, cursor = [], None
    while cursor != "":
        page = web.conversations_history(channel=channel, limit=3, cursor=cursor)
        texts += [m["text"] for m in page["messages"]]
        cursor = page["response_metadata"]["next_cursor"]
        assert page["has_more"] is (cursor != "")
    assert texts == list("6543210")

    def between(**more):
        return "".join(m["text"] for m in web.conversations_history(channel=channel, **more)["messages"])

    assert between(oldest=stamps[2], latest=stamps[5]) == "43"
    assert between(oldest=stamps[2], latest=stamps[5], inclusive=True) == "5432"


def test_an_ephemeral_message_is_for_one_person_and_not_in_the_history(slack, web):
    channel, alice = slack.fake.channel_id("general"), slack.fake.user_id("alice")
    web.chat_postEphemeral(channel=channel, user=alice, text="only you")
    assert slack.rows()[0]["ephemeral_to"] == alice
    assert web.conversations_history(channel=channel)["messages"] == []


def test_a_direct_message_goes_to_the_persons_own_channel(slack, web):
    alice = slack.fake.user_id("alice")
    answer = web.chat_postMessage(channel=alice, text="psst")
    assert answer["channel"][0] == "D"
    assert web.conversations_open(users=alice)["channel"]["id"] == answer["channel"]


def test_reactions_pins_and_bookmarks(slack, web):
    at = web.chat_postMessage(channel="#general", text="x")
    channel, ts = at["channel"], at["ts"]
    web.reactions_add(channel=channel, timestamp=ts, name="eyes")
    slack.fake.react("general", ts, "alice", ":eyes:")
    (seen,) = web.reactions_get(channel=channel, timestamp=ts)["message"]["reactions"]
    assert (seen["name"], seen["count"]) == ("eyes", 2)
    web.reactions_remove(channel=channel, timestamp=ts, name="eyes")
    assert slack.rows()[0]["reactions"] == {"eyes": [slack.fake.user_id("alice")]}
    web.pins_add(channel=channel, timestamp=ts)
    assert slack.rows()[0]["pinned"]
    assert [item["message"]["ts"] for item in web.pins_list(channel=channel)["items"]] == [ts]
    web.pins_remove(channel=channel, timestamp=ts)
    assert web.pins_list(channel=channel)["items"] == []
    web.bookmarks_add(channel_id=channel, title="Runbook", type="link", link="https://example.com/r")
    assert [b["title"] for b in web.bookmarks_list(channel_id=channel)["bookmarks"]] == ["Runbook"]


def test_a_file_goes_up_in_three_steps_and_stands_in_a_thread(slack, web):
    at = web.chat_postMessage(channel="#general", text="x")
    web.files_upload_v2(
        channel=at["channel"], filename="log.txt", content="café".encode(), title="Log", thread_ts=at["ts"]
    )
    row = slack.rows()[1]
    assert row["thread_ts"] == at["ts"]
    assert (row["files"][0]["title"], row["files"][0]["size"]) == ("Log", 5)
    assert slack.fake.file(row["files"][0]["id"]) == "café".encode()


def test_an_upload_of_another_length_is_refused(slack, web):
    ticket = web.files_getUploadURLExternal(filename="a.txt", length=3)
    request = urllib.request.Request(ticket["upload_url"], b"four", method="POST")
    with pytest.raises(urllib.error.HTTPError) as no:
        urllib.request.urlopen(request)
    no.value.close()
    with pytest.raises(SlackApiError, match="file_not_found"):
        web.files_completeUploadExternal(files=[{"id": ticket["file_id"]}], channel_id=slack.fake.channel_id("general"))


def test_the_life_of_an_incident_channel(slack, web):
    alice, bob = slack.fake.user_id("alice"), slack.fake.user_id("bob")
    made = web.conversations_create(name="inc-7")["channel"]
    channel = made["id"]
    web.conversations_invite(channel=channel, users=[alice, bob])
    web.conversations_setTopic(channel=channel, topic="sev2")
    web.conversations_setPurpose(channel=channel, purpose="p95 up")
    assert set(web.conversations_members(channel=channel)["members"]) == {slack.fake.bot_user, alice, bob}
    told = web.conversations_info(channel=channel)["channel"]
    assert (told["topic"]["value"], told["purpose"]["value"], told["is_member"]) == ("sev2", "p95 up", True)
    web.conversations_rename(channel=channel, name="inc-7-docs")
    web.conversations_archive(channel=channel)
    open_names = [c["name"] for c in web.conversations_list(exclude_archived=True)["channels"]]
    assert "inc-7-docs" not in open_names
    web.conversations_unarchive(channel=channel)
    assert web.chat_postMessage(channel="#inc-7-docs", text="back")["channel"] == channel


def test_people_and_groups(slack, web):
    alice = slack.fake.user_id("alice")
    assert web.users_info(user=alice)["user"]["profile"]["email"] == "alice@example.com"
    assert web.users_lookupByEmail(email="ALICE@example.com")["user"]["id"] == alice
    assert {u["name"] for u in web.users_list()["members"]} >= {"alice", "bob", "carol", "captain"}
    group = slack.fake.add_usergroup("oncall", ["alice", "bob"])
    assert web.usergroups_users_list(usergroup=group)["users"] == [alice, slack.fake.user_id("bob")]
    slack.fake.scopes = slack.fake.scopes - {"users:read.email"}
    assert "email" not in web.users_info(user=alice)["user"]["profile"]


def test_a_form_with_the_token_in_it_is_understood_as_well(slack):
    body = f"token={BOT_TOKEN}&channel=%23general&text=hi&blocks=".encode()
    with urllib.request.urlopen(f"{slack.base_url}chat.postMessage", body) as answer:
        assert json.load(answer)["ok"]
    assert slack.texts() == ["hi"]


def test_everything_is_still_there_after_a_restart(slack, web):
    at = web.chat_postMessage(channel="#general", text="x", blocks=[SECTION])
    web.chat_postMessage(channel="#general", text="y", thread_ts=at["ts"])
    web.files_upload_v2(channel=at["channel"], filename="a.bin", content=b"\x00\xff", title="a")
    web.views_publish(user_id=slack.fake.user_id("alice"), view={"type": "home", "blocks": [SECTION]})
    slack.fake.add_channel("release-7")
    slack.fake.react("general", at["ts"], "bob", "eyes")
    held = json.loads(json.dumps(slack.fake.dump()))
    again = FakeSlack(CallLog())
    again.load(held)
    before = slack.fake.state()
    assert again.state() == before
    assert again.dump() == held
    upload = next(m for m in before["messages"] if m["files"])["files"][0]["id"]
    assert again.file(upload) == b"\x00\xff"
    server = serve(again.app)
    try:  # At the root this time, and with a client that knew the old one.
        web.base_url = f"{server.url}/api/"
        later = web.chat_postMessage(channel=at["channel"], text="z", thread_ts=at["ts"])
    finally:
        server.stop()
    assert later["ts"] > at["ts"]


def test_listeners_hear_every_change_once_it_can_be_seen(slack, web):
    heard = []
    slack.fake.changed.append(lambda: heard.append(len(slack.texts())))
    web.chat_postMessage(channel="#general", text="x")
    web.conversations_info(channel=slack.fake.channel_id("general"))
    assert heard == [1]


def test_many_threads_at_once_lose_nothing_and_order_stays(slack):
    def post(n: int) -> None:
        slack.web().chat_postMessage(channel="#general", text=str(n))

    threads = [threading.Thread(target=post, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stamps = [row["ts"] for row in slack.rows()]
    assert sorted(map(int, slack.texts())) == list(range(16))
    assert stamps == sorted(set(stamps))
