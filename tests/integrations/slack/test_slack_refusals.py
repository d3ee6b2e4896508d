"""What Slack refuses, the stand-in refuses: with Slack's word for it, through slack_sdk."""

from __future__ import annotations

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.integrations.slack.fake import APP_TOKEN

GENERAL, ALICE, BOT, TS, DM_TS = "{general}", "{alice}", "{bot}", "{ts}", "{person_ts}"
METADATA = {"event_type": "x", "event_payload": {}}

REFUSALS = [
    ("chat.postMessage", {"channel": "#nowhere", "text": "x"}, "channel_not_found"),
    ("chat.postMessage", {"text": "x"}, "channel_not_found"),
    ("chat.postMessage", {"channel": "#secret", "text": "x"}, "channel_not_found"),
    ("chat.postMessage", {"channel": "#others", "text": "x"}, "not_in_channel"),
    ("chat.postMessage", {"channel": "#old", "text": "x"}, "is_archived"),
    ("chat.postMessage", {"channel": GENERAL}, "no_text"),
    ("chat.postMessage", {"channel": GENERAL, "text": "  "}, "no_text"),
    ("chat.postMessage", {"channel": GENERAL, "text": "x", "thread_ts": "0"}, "invalid_thread_ts"),
    ("chat.postMessage", {"channel": GENERAL, "text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
    ("chat.postMessage", {"channel": GENERAL, "text": "x", "blocks": "not json"}, "invalid_blocks_format"),
    ("chat.postMessage", {"channel": GENERAL, "text": "x", "blocks": {"type": "divider"}}, "invalid_blocks_format"),
    ("chat.postMessage", {"channel": GENERAL, "text": "x", "metadata": "x"}, "invalid_metadata_format"),
    ("chat.postMessage", {"channel": GENERAL, "text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_format"),
    (
        "chat.postMessage",
        {"channel": GENERAL, "text": "x", "metadata": METADATA | {"event_type": "a b"}},
        "invalid_metadata_schema",
    ),
    (
        "chat.postMessage",
        {"channel": GENERAL, "text": "x", "metadata": METADATA | {"event_payload": {"a": "x" * 15_001}}},
        "metadata_too_large",
    ),
    ("chat.update", {"channel": GENERAL, "ts": "1.000001", "text": "x"}, "message_not_found"),
    ("chat.update", {"channel": GENERAL, "ts": DM_TS, "text": "x"}, "cant_update_message"),
    ("chat.update", {"channel": GENERAL, "ts": TS, "text": "x" * 4001}, "msg_too_long"),
    ("chat.update", {"channel": "#general", "ts": TS, "text": "x"}, "channel_not_found"),
    ("chat.delete", {"channel": GENERAL, "ts": DM_TS}, "cant_delete_message"),
    ("chat.postEphemeral", {"channel": GENERAL, "user": "U0NOBODY1", "text": "x"}, "user_not_found"),
    ("chat.postEphemeral", {"channel": "{mine}", "user": ALICE, "text": "x"}, "user_not_in_channel"),
    ("chat.getPermalink", {"channel": GENERAL, "message_ts": "1.000001"}, "message_not_found"),
    ("conversations.history", {"channel": "C0NOWHERE1"}, "channel_not_found"),
    ("conversations.history", {"channel": "{others}"}, "not_in_channel"),
    ("conversations.history", {"channel": GENERAL, "limit": 1000}, "invalid_limit"),
    ("conversations.history", {"channel": GENERAL, "cursor": "???"}, "invalid_cursor"),
    ("conversations.history", {"channel": GENERAL, "oldest": "yesterday"}, "invalid_ts_oldest"),
    ("conversations.history", {"channel": GENERAL, "latest": "tomorrow"}, "invalid_ts_latest"),
    ("conversations.replies", {"channel": GENERAL, "ts": "1.000001"}, "thread_not_found"),
    ("conversations.create", {"name": "general"}, "name_taken"),
    ("conversations.create", {"name": "old"}, "name_taken"),
    ("conversations.create", {"name": ""}, "invalid_name_required"),
    ("conversations.create", {"name": "a" * 81}, "invalid_name_maxlength"),
    ("conversations.create", {"name": "In Cident"}, "invalid_name_specials"),
    ("conversations.create", {"name": "---"}, "invalid_name_punctuation"),
    ("conversations.invite", {"channel": GENERAL, "users": ALICE}, "already_in_channel"),
    ("conversations.invite", {"channel": GENERAL, "users": "U0NOBODY1"}, "user_not_found"),
    ("conversations.invite", {"channel": GENERAL, "users": BOT}, "cant_invite_self"),
    ("conversations.invite", {"channel": GENERAL}, "no_user"),
    ("conversations.invite", {"channel": "{old}", "users": ALICE}, "is_archived"),
    ("conversations.archive", {"channel": "{old}"}, "already_archived"),
    ("conversations.archive", {"channel": GENERAL}, "cant_archive_general"),
    ("conversations.unarchive", {"channel": GENERAL}, "not_archived"),
    ("conversations.setTopic", {"channel": GENERAL, "topic": "x" * 251}, "too_long"),
    ("conversations.setPurpose", {"channel": "{others}", "purpose": "x"}, "not_in_channel"),
    ("conversations.rename", {"channel": GENERAL, "name": "x"}, "not_authorized"),
    ("conversations.join", {"channel": "{old}"}, "is_archived"),
    ("conversations.info", {"channel": "{secret}"}, "channel_not_found"),
    ("users.info", {"user": "U0NOBODY1"}, "user_not_found"),
    ("users.lookupByEmail", {"email": "x@y"}, "users_not_found"),
    ("usergroups.users.list", {"usergroup": "S0NOBODY1"}, "no_such_subteam"),
    ("reactions.add", {"channel": GENERAL, "timestamp": TS, "name": "tada"}, "already_reacted"),
    ("reactions.add", {"channel": GENERAL, "timestamp": TS, "name": "no such!"}, "invalid_name"),
    ("reactions.add", {"channel": GENERAL, "name": "eyes"}, "no_item_specified"),
    ("reactions.add", {"channel": GENERAL, "timestamp": "1.000001", "name": "eyes"}, "message_not_found"),
    ("reactions.remove", {"channel": GENERAL, "timestamp": TS, "name": "eyes"}, "no_reaction"),
    ("pins.add", {"channel": GENERAL, "timestamp": TS}, "already_pinned"),
    ("pins.remove", {"channel": GENERAL, "timestamp": DM_TS}, "no_pin"),
    ("bookmarks.add", {"channel_id": GENERAL, "title": "x", "type": "link", "link": "ftp://x"}, "invalid_link"),
    ("files.getUploadURLExternal", {"filename": "a", "length": 0}, "invalid_arguments"),
    ("files.completeUploadExternal", {"files": [{"id": "F0NOTHING1"}], "channel_id": GENERAL}, "file_not_found"),
    ("views.open", {"trigger_id": "1.2.3", "view": {}}, "invalid_trigger_id"),
    ("views.update", {"view_id": "V0NOTHING1", "view": "{modal}"}, "not_found"),
    ("views.publish", {"user_id": "U0NOBODY1", "view": {"type": "home", "blocks": []}}, "invalid_arguments"),
    ("no.such.method", {}, "unknown_method"),
    ("apps.connections.open", {}, "not_allowed_token_type"),
]


@pytest.fixture
def placed(slack, web):
    """A workspace with one of everything that can be in the way, and the names the cases use."""
    fake = slack.fake
    at = web.chat_postMessage(channel="#general", text="x")
    web.reactions_add(channel=at["channel"], timestamp=at["ts"], name="tada")
    web.pins_add(channel=at["channel"], timestamp=at["ts"])
    old = fake.add_channel("old")
    web.conversations_archive(channel=old)
    return {
        GENERAL: at["channel"],
        ALICE: fake.user_id("alice"),
        BOT: fake.bot_user,
        TS: at["ts"],
        DM_TS: fake.say("general", "alice", "mine")["ts"],
        "{others}": fake.add_channel("others", members=["alice"]),
        "{secret}": fake.add_channel("secret", members=["alice"], is_private=True),
        "{mine}": fake.add_channel("mine", members=["captain"]),
        "{old}": old,
        "{modal}": {"type": "modal", "title": {"type": "plain_text", "text": "t"}, "blocks": []},
    }


@pytest.mark.parametrize(
    ("method", "args", "error"), REFUSALS, ids=[f"{m}-{e}-{i}" for i, (m, _, e) in enumerate(REFUSALS)]
)
def test_refused_with_slacks_word(web, placed, method, args, error):
    given = {name: placed.get(value, value) if isinstance(value, str) else value for name, value in args.items()}
    with pytest.raises(SlackApiError) as no:
        web.api_call(method, json=given)
    assert no.value.response["error"] == error


def test_tokens(slack):
    def error(token: str | None, method: str = "auth.test") -> str:
        client = WebClient(token, base_url=slack.base_url, retry_handlers=[])
        with pytest.raises(SlackApiError) as no:
            client.api_call(method)
        return no.value.response["error"]

    assert error(None) == "not_authed"
    assert error("xoxb-other") == "invalid_auth"
    assert error(APP_TOKEN) == "not_allowed_token_type"
    assert slack.web(APP_TOKEN).api_call("apps.connections.open")["url"].startswith("ws://127.0.0.1")


SCOPES = [
    ("chat.postMessage", {"channel": "#general", "text": "x"}, "chat:write"),
    ("conversations.history", {"channel": GENERAL}, "channels:history"),
    ("conversations.create", {"name": "x"}, "channels:manage"),
    ("users.lookupByEmail", {"email": "alice@example.com"}, "users:read.email"),
    ("files.getUploadURLExternal", {"filename": "a", "length": 1}, "files:write"),
    ("pins.add", {"channel": GENERAL, "timestamp": "1"}, "pins:write"),
]


@pytest.mark.parametrize(("method", "args", "scope"), SCOPES, ids=[s for _, _, s in SCOPES])
def test_a_missing_scope_is_named(slack, web, method, args, scope):
    slack.fake.scopes = slack.fake.scopes - {scope}
    given = {name: slack.fake.channel_id("general") if value == GENERAL else value for name, value in args.items()}
    with pytest.raises(SlackApiError) as no:
        web.api_call(method, json=given)
    answer = no.value.response
    assert (answer["error"], answer["needed"]) == ("missing_scope", scope)
    assert scope not in answer["provided"].split(",")
    assert "users:read" in answer["provided"].split(",")


def test_a_very_long_text_is_cut_not_refused(slack, web):
    answer = web.chat_postMessage(channel="#general", text="x" * 40_001)
    assert answer["warning"] == "message_truncated"
    assert len(slack.texts()[0]) == 40_000


def test_a_limiter_that_can_be_switched_on(slack, web):
    slack.fake.limit_posts = True
    for _ in range(3):
        web.chat_postMessage(channel="#general", text="x")
    with pytest.raises(SlackApiError) as no:
        web.chat_postMessage(channel="#general", text="x")
    answer = no.value.response
    assert (answer.status_code, answer["error"], answer.headers["Retry-After"]) == (429, "ratelimited", "1")
    web.chat_postMessage(channel="#incidents", text="another channel")
    assert len(slack.texts()) == 3


@pytest.mark.parametrize(
    ("mode", "status", "error"),
    [("500", 500, "internal_error"), ("503", 503, "service_unavailable"), ("429", 429, "ratelimited")],
)
def test_broken_on_purpose_it_still_sounds_like_slack(slack, web, mode, status, error):
    slack.fake.faults.breaks(mode, times=1, retry_after=7)
    with pytest.raises(SlackApiError) as no:
        web.auth_test()
    assert (no.value.response.status_code, no.value.response["error"]) == (status, error)
    assert no.value.response.headers.get("Retry-After") == ("7" if mode == "429" else None)
    web.auth_test()
