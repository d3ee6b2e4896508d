"""What people do, as a real Bolt app hears it: over Socket Mode and over signed HTTP, with the same outcome."""

from __future__ import annotations

import json
import threading
import urllib.request

import pytest
from ground.waiting import until
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from bot.integrations.slack.fake import APP_TOKEN, FakeSlack
from bot.standin import CallLog


def plain(text: str) -> dict:
    return {"type": "plain_text", "text": text}


def option(name: str) -> dict:
    return {"text": plain(name.title()), "value": name}


BUTTONS = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "*INC-7*"}},
    {
        "type": "actions",
        "block_id": "row",
        "elements": [
            {"type": "button", "text": plain("Ack"), "action_id": "ack", "value": "INC-7"},
            {"type": "static_select", "action_id": "sev", "options": [option("sev1"), option("sev2")]},
            {"type": "users_select", "action_id": "who"},
            {"type": "datepicker", "action_id": "day", "initial_date": "2026-01-01"},
            {"type": "overflow", "action_id": "more", "options": [option("close")]},
            {"type": "checkboxes", "action_id": "boxes", "options": [option("a"), option("b")]},
            {"type": "channels_select", "action_id": "room"},
        ],
    },
]
MODAL = {
    "type": "modal",
    "callback_id": "open_incident",
    "title": plain("Open"),
    "submit": plain("Go"),
    "private_metadata": "INC",
    "notify_on_close": True,
    "blocks": [
        {"type": "input", "block_id": "t", "label": plain("Title"), "element": {"type": "plain_text_input", "action_id": "v", "initial_value": "p95 up", "min_length": 3}},
        {"type": "input", "block_id": "s", "label": plain("Severity"), "element": {"type": "static_select", "action_id": "v", "options": [option("sev1"), option("sev2")]}},
        {"type": "input", "block_id": "n", "label": plain("Note"), "optional": True, "element": {"type": "plain_text_input", "action_id": "v"}},
    ],
}  # fmt: skip


# Commands.


def test_a_slash_command_is_acknowledged_in_words_only_its_asker_sees(slack, new_app, run):
    app = new_app()
    heard = []

    @app.command("/captain")
    def captain(ack, command):
        heard.append(command)
        ack(f"heard {command['text']}")

    run(app)
    done = slack.fake.slash("general", "alice", "/captain", ' incident open "p95 <up> & away" ')
    assert done["ok"]
    (row,) = slack.rows()
    alice = slack.fake.user_id("alice")
    assert (row["ts"], row["ephemeral_to"]) == (done["ts"], alice)
    assert row["text"] == 'heard incident open "p95 <up> & away"'
    assert (heard[0]["user_id"], heard[0]["user_name"]) == (alice, "alice")
    assert (heard[0]["channel_name"], heard[0]["channel_id"]) == ("general", slack.fake.channel_id("general"))
    assert heard[0]["response_url"].startswith(f"{slack.url}/hooks/response/")


def test_an_acknowledgement_for_everybody_and_a_silent_one(slack, new_app, run):
    app = new_app()

    @app.command("/captain")
    def captain(ack, command):
        if command["text"] == "loud":
            ack(text="all", response_type="in_channel", blocks=[{"type": "divider"}])
        else:
            ack()

    run(app)
    slack.fake.slash("general", "alice", "/captain", "loud")
    assert slack.fake.slash("general", "alice", "/captain", "quiet")["ts"] is None
    (row,) = slack.rows()
    assert (row["ephemeral_to"], row["blocks"][0]["type"]) == (None, "divider")


def test_respond_works_five_times_and_no_more(slack, new_app, run):
    app = new_app()
    urls = []

    @app.command("/captain")
    def captain(ack, respond, command):
        ack()
        urls.append(command["response_url"])
        respond("to you")
        respond(text="to all", response_type="in_channel")

    run(app)
    slack.fake.slash("general", "alice", "/captain", "x")
    assert [(m["text"], m["ephemeral_to"] is None) for m in slack.rows()] == [("to you", False), ("to all", True)]
    hook = WebhookClient(urls[0])
    assert [hook.send(text="again").status_code for _ in range(4)] == [200, 200, 200, 404]
    assert hook.send(text="again").body == "used_url"
    assert WebhookClient(f"{slack.url}/hooks/response/none").send(text="x").body == "expired_url"
    for held in slack.fake.world.hooks.values():
        held.uses, held.until = 0, 1.0
    assert hook.send(text="again").body == "expired_url"


def test_what_a_response_url_refuses(slack, new_app, by_socket):
    app = new_app()
    urls = []

    @app.command("/captain")
    def captain(ack, command):
        ack()
        urls.append(command["response_url"])

    by_socket(app)
    slack.fake.slash("general", "alice", "/captain", "x")
    hook = WebhookClient(urls[0])
    assert (hook.send(text="").status_code, hook.send(text="").body) == (400, "no_text")
    assert hook.send(text="x", blocks=[{"type": "nope"}]).body == "invalid_blocks"
    request = urllib.request.Request(urls[0], b"{", method="POST")
    with pytest.raises(urllib.error.HTTPError) as no:
        urllib.request.urlopen(request)
    assert no.value.read() == b"invalid_payload"
    no.value.close()
    assert slack.texts() == []


def test_a_command_nobody_answers(slack, new_app, run):
    app = new_app()
    gate = threading.Event()

    @app.command("/captain")
    def captain(ack, command):
        if command["text"] == "slow":
            gate.wait(5)
        if command["text"] == "junk":
            ack(blocks=[{"type": "nope"}])
        else:
            ack()

    run(app)
    fake = slack.fake
    fake.delivery.ack_seconds = 0.1
    assert fake.slash("general", "alice", "/captain", "slow") == {"ok": False, "error": "operation_timeout"}
    gate.set()
    fake.delivery.ack_seconds = 3.0
    assert fake.slash("general", "alice", "/captain", "junk")["error"] == "invalid_command_response"
    assert fake.slash("general", "alice", "/other", "x")["error"] == "unknown_command"
    assert fake.slash("general", "mallory", "/captain", "x")["error"] == "user_not_found"
    assert fake.slash("nowhere", "alice", "/captain", "x")["error"] == "channel_not_found"


def test_with_nobody_listening_the_person_is_told(slack):
    assert slack.fake.slash("general", "alice", "/captain", "x")["error"] == "dispatch_failed"
    slack.fake.request_url = "http://127.0.0.1:9/slack/events"
    assert slack.fake.slash("general", "alice", "/captain", "x")["error"] == "dispatch_failed"


# Messages and events.


def test_a_mention_and_the_message_it_stands_in(slack, new_app, run):
    app = new_app()
    heard = []

    @app.event("app_mention")
    def mentioned(event, say):
        heard.append(("app_mention", event["user"]))
        say("here", thread_ts=event["ts"])

    @app.event("message")
    def message(event):
        heard.append((event["type"], event["user"]))

    run(app)
    said = slack.fake.say("general", "alice", f"<@{slack.fake.bot_user}> status")
    assert slack.fake.settled()
    alice = slack.fake.user_id("alice")
    assert sorted(heard) == [("app_mention", alice), ("message", alice)]
    assert slack.rows()[1]["thread_ts"] == said["ts"]


def test_edits_deletions_and_reactions_are_told(slack, new_app, run):
    app = new_app()
    heard = []

    @app.event({"type": "message", "subtype": "message_changed"})
    def changed(event):
        heard.append(("changed", event["previous_message"]["text"], event["message"]["text"]))

    @app.event({"type": "message", "subtype": "message_deleted"})
    def deleted(event):
        heard.append(("deleted", event["previous_message"]["text"], event["deleted_ts"]))

    @app.event("reaction_added")
    def added(event):
        heard.append(("added", event["reaction"], event["item"]["ts"]))

    @app.event("reaction_removed")
    def removed(event):
        heard.append(("removed", event["reaction"], event["item"]["ts"]))

    @app.event("message")
    def message(event):
        heard.append(("said", event["text"], event["ts"]))

    run(app)
    fake = slack.fake
    ts = fake.say("general", "alice", "one")["ts"]
    assert fake.edit("general", ts, "bob", "no")["error"] == "cant_update_message"
    assert fake.delete("general", ts, "bob")["error"] == "cant_delete_message"
    steps = [
        lambda: fake.react("general", ts, "bob", "eyes"),
        lambda: fake.react("general", ts, "bob", "eyes", remove=True),
        lambda: fake.edit("general", ts, "alice", "two"),
        lambda: fake.delete("general", ts, "alice"),
    ]
    for step in steps:
        assert fake.settled()
        assert step()["ok"]
    assert fake.settled()
    assert heard == [
        ("said", "one", ts),
        ("added", "eyes", ts),
        ("removed", "eyes", ts),
        ("changed", "one", "two"),
        ("deleted", "two", ts),
    ]


def test_an_event_nobody_took_comes_again_and_then_stops(slack, new_app, run):
    app = new_app()
    heard = []

    @app.event("message")
    def message(body, request):
        heard.append((body["event_id"], request.headers.get("x-slack-retry-num", ["0"])[0]))
        raise RuntimeError("not today")

    app.logger.setLevel("CRITICAL")
    run(app)
    slack.fake.delivery.ack_seconds = 0.1
    slack.fake.say("general", "alice", "x")
    assert slack.fake.settled()
    assert [retry for _, retry in heard] == ["0", "1", "2", "3"]
    assert len({event for event, _ in heard}) == 1


def test_the_last_event_can_come_twice(slack, new_app, run):
    app = new_app()
    heard = []

    @app.event("message")
    def message(body, request):
        heard.append((body["event_id"], request.headers.get("x-slack-retry-num", ["0"])[0]))

    run(app)
    fake = slack.fake
    assert fake.redeliver_last(new_event_id=False) == {"ok": False, "error": "no_event"}
    fake.say("general", "alice", "x")
    assert fake.settled()
    assert fake.redeliver_last(new_event_id=False)["ok"]
    assert fake.redeliver_last(new_event_id=True)["ok"]
    (first, _), (again, retry), (other, _) = heard
    assert (again, retry) == (first, "1")
    assert other != first


def test_the_bot_hears_nothing_from_where_it_is_not_or_may_not_look(slack, new_app, by_socket):
    app = new_app()
    heard = []

    @app.event("message")
    def message(event):
        heard.append(event["text"])

    by_socket(app)
    fake = slack.fake
    fake.add_channel("private-talk", members=["alice"])
    assert fake.say("private-talk", "alice", "unheard")["ok"]
    assert fake.say("private-talk", "bob", "x")["error"] == "not_in_channel"
    fake.scopes = fake.scopes - {"channels:history"}
    fake.say("general", "alice", "unscoped")
    assert fake.settled()
    assert heard == []


# Presses.


@pytest.fixture
def pressed(slack, new_app, run):
    """An app that notes every press, with a message that has one of everything to press."""
    app = new_app()
    notes = []

    @app.action({"block_id": "row", "action_id": ""})
    def never(ack):
        ack()

    for name in ("ack", "sev", "who", "day", "more", "boxes", "room"):

        @app.action(name)
        def action(ack, body, action):
            ack()
            notes.append((action, body))

    run(app)
    at = slack.web().chat_postMessage(channel="#general", text="INC-7", blocks=BUTTONS)
    return notes, at["ts"]


def test_every_element_tells_what_was_chosen(slack, pressed):
    notes, ts = pressed
    fake, bob = slack.fake, slack.fake.user_id("bob")
    general = fake.channel_id("general")
    presses = [
        ("ack", None, "value", "INC-7"),
        ("sev", "sev2", "selected_option", option("sev2")),
        ("who", bob, "selected_user", bob),
        ("day", "2026-02-03", "selected_date", "2026-02-03"),
        ("more", "close", "selected_option", option("close")),
        ("boxes", ["a", "b"], "selected_options", [option("a"), option("b")]),
        ("room", general, "selected_channel", general),
    ]
    for action_id, selected, key, told in presses:
        assert fake.press("general", ts, action_id, "alice", selected=selected)["ok"]
        action, body = notes[-1]
        assert (action["action_id"], action["block_id"], action[key]) == (action_id, "row", told)
        assert body["user"]["id"] == fake.user_id("alice")
        assert body["message"]["ts"] == body["container"]["message_ts"] == ts
    values = notes[-1][1]["state"]["values"]["row"]
    assert values["sev"]["selected_option"] == option("sev2")
    assert values["day"]["selected_date"] == "2026-02-03"
    assert "more" not in values
    assert "ack" not in values


def test_what_is_not_there_cannot_be_pressed(slack, pressed):
    notes, ts = pressed
    press = slack.fake.press
    assert press("general", ts, "nope", "alice")["error"] == "element_not_found"
    assert press("general", ts, "ack", "alice", block_id="other")["error"] == "element_not_found"
    assert press("general", ts, "ack", "alice", value="INC-8")["error"] == "element_not_found"
    assert press("general", ts, "sev", "alice", selected="sev9")["error"] == "option_not_offered"
    assert press("general", ts, "day", "alice", selected="tomorrow")["error"] == "option_not_offered"
    assert press("general", "1.000001", "ack", "alice")["error"] == "message_not_found"
    assert notes == []


def test_an_answer_to_a_press_replaces_or_deletes_the_message_even_an_ephemeral_one(slack, new_app, run):
    app = new_app()

    @app.command("/captain")
    def captain(ack):
        ack(text="sure?", blocks=BUTTONS)

    @app.action("ack")
    def acked(ack, body, respond):
        ack()
        assert "message" not in body
        assert body["container"]["is_ephemeral"]
        respond(text="done", replace_original=True)
        respond(delete_original=True)
        respond(text="said anew", replace_original=False)

    run(app)
    ts = slack.fake.slash("general", "alice", "/captain", "x")["ts"]
    assert slack.fake.press("general", ts, "ack", "bob")["error"] == "message_not_found"
    seen = []
    slack.fake.changed.append(lambda: seen.append(slack.texts()))
    assert slack.fake.press("general", ts, "ack", "alice")["ok"]
    assert ["done"] in seen
    assert [] in seen
    assert slack.texts() == ["said anew"]


# Modals, home, shortcuts.


def test_a_modal_from_a_shortcut_with_errors_then_an_update_then_gone(slack, new_app, run):
    app = new_app()
    views, closed = [], []

    @app.shortcut("open")
    def open_modal(ack, shortcut, client):
        ack()
        client.views_open(trigger_id=shortcut["trigger_id"], view=MODAL)
        with pytest.raises(SlackApiError, match="exchanged_trigger_id"):
            client.views_open(trigger_id=shortcut["trigger_id"], view=MODAL)

    @app.view("open_incident")
    def submitted(ack, view):
        values = view["state"]["values"]
        views.append(values)
        if values["s"]["v"]["selected_option"]["value"] == "sev1":
            ack(response_action="errors", errors={"s": "sev1 needs an approver"})
        elif values["n"]["v"]["value"] is None:
            ack(response_action="update", view=MODAL | {"title": plain("Sure?")})
        else:
            ack()

    @app.view_closed("open_incident")
    def gone(ack, view):
        ack()
        closed.append(view["private_metadata"])

    run(app)
    fake = slack.fake
    assert fake.shortcut("open", "alice")["ok"]
    (view,) = fake.state()["views"]
    name = view["id"]
    assert fake.submit_view(name, "bob", {})["error"] == "view_not_found"
    assert fake.submit_view(name, "alice", {})["errors"] == {"s": "Please complete this required field."}
    assert fake.submit_view(name, "alice", {"t": {"v": "x"}, "s": {"v": "sev1"}})["errors"] == {"t": "Please enter at least 3 characters."}  # fmt: skip
    assert fake.submit_view(name, "alice", {"q": {"v": "x"}})["error"] == "element_not_found"
    assert fake.submit_view(name, "alice", {"s": {"v": "sev9"}})["error"] == "option_not_offered"
    assert views == []
    refused = fake.submit_view(name, "alice", {"t": {"v": "p95 up"}, "s": {"v": "sev1"}})
    assert (refused["ok"], refused["errors"]) == (False, {"s": "sev1 needs an approver"})
    assert views[0]["t"]["v"] == {"type": "plain_text_input", "value": "p95 up"}
    updated = fake.submit_view(name, "alice", {"s": {"v": "sev2"}})
    assert (updated["ok"], updated["response_action"], updated["view_id"]) == (True, "update", name)
    assert fake.state()["views"][0]["title"]["text"] == "Sure?"
    done = fake.submit_view(name, "alice", {"n": {"v": "note"}})
    assert (done["ok"], done["view_id"], fake.state()["views"]) == (True, None, [])
    fake.shortcut("open", "alice")
    assert fake.close_view(fake.state()["views"][0]["id"], "alice")["ok"]
    assert (closed, fake.state()["views"]) == (["INC"], [])


def test_modals_stack_three_deep_and_clear_at_once(slack, new_app, by_socket):
    app = new_app()
    step = {"type": "actions", "elements": [{"type": "button", "text": plain("More"), "action_id": "deeper"}]}
    view = MODAL | {"blocks": [step], "callback_id": "stack"}
    errors = []

    @app.shortcut("open")
    def open_modal(ack, shortcut, client):
        ack()
        client.views_open(trigger_id=shortcut["trigger_id"], view=view)

    @app.action("deeper")
    def deeper(ack, body, client):
        ack()
        try:
            client.views_push(trigger_id=body["trigger_id"], view=view)
        except SlackApiError as no:
            errors.append(no.response["error"])

    @app.view("stack")
    def submitted(ack):
        ack(response_action="clear")

    by_socket(app)
    fake = slack.fake
    fake.shortcut("open", "alice")
    for _ in range(3):
        assert fake.press_view(fake.state()["views"][-1]["id"], "deeper", "alice")["ok"]
    open_views = fake.state()["views"]
    assert [v["previous_view_id"] for v in open_views] == [None, open_views[0]["id"], open_views[1]["id"]]
    assert {v["root_view_id"] for v in open_views} == {open_views[0]["id"]}
    assert errors == ["push_limit_reached"]
    assert fake.submit_view(open_views[2]["id"], "alice")["response_action"] == "clear"
    assert fake.state()["views"] == []


def test_a_view_is_updated_by_id_or_external_id_unless_it_changed_meanwhile(slack, new_app, by_socket):
    app = new_app()
    triggers = []

    @app.shortcut("open")
    def open_modal(ack, shortcut):
        ack()
        triggers.append(shortcut["trigger_id"])

    by_socket(app)
    web, fake = slack.web(), slack.fake
    fake.shortcut("open", "alice")
    opened = web.views_open(trigger_id=triggers[0], view=MODAL | {"external_id": "mine"})["view"]
    fake.press_view(opened["id"], "v", "alice", block_id="t", selected="typed")
    changed = web.views_update(external_id="mine", view=MODAL | {"external_id": "mine"}, hash=opened["hash"])["view"]
    assert changed["state"]["values"]["t"]["v"]["value"] == "typed"
    with pytest.raises(SlackApiError, match="hash_conflict"):
        web.views_update(view_id=opened["id"], view=MODAL, hash=opened["hash"])
    fake.shortcut("open", "bob")
    with pytest.raises(SlackApiError, match="duplicate_external_id"):
        web.views_open(trigger_id=triggers[1], view=MODAL | {"external_id": "mine"})
    fake.shortcut("open", "bob")
    fake.world.triggers[triggers[2]].until -= 3.1
    with pytest.raises(SlackApiError, match="expired_trigger_id"):
        web.views_open(trigger_id=triggers[2], view=MODAL)
    with pytest.raises(SlackApiError) as no:
        web.views_open(trigger_id=triggers[1], view=MODAL | {"title": plain("x" * 25)})
    assert no.value.response["error"] == "invalid_arguments"
    assert "[json-pointer:/view/title/text]" in no.value.response["response_metadata"]["messages"][0]


def test_the_home_tab(slack, new_app, run):
    app = new_app()
    noted = []

    @app.event("app_home_opened")
    def opened(event, client):
        client.views_publish(user_id=event["user"], view={"type": "home", "blocks": BUTTONS})

    @app.action("ack")
    def acked(ack, body, action):
        ack()
        noted.append((action["value"], body["view"]["type"], body["container"]["type"]))

    run(app)
    fake = slack.fake
    assert fake.open_home("alice") == {"ok": True, "view": None}
    assert fake.settled()
    home = fake.state()["homes"][fake.user_id("alice")]
    assert fake.open_home("alice")["view"]["id"] == home["id"]
    assert fake.settled()
    assert fake.press_view(home["id"], "ack", "bob")["error"] == "view_not_found"
    assert fake.press_view(home["id"], "ack", "alice")["ok"]
    assert noted == [("INC-7", "home", "view")]


def test_a_shortcut_on_a_message(slack, new_app, run):
    app = new_app()

    @app.shortcut("to_incident")
    def from_message(ack, shortcut, respond):
        ack()
        respond(f"incident from: {shortcut['message']['text']}")

    run(app)
    slack.fake.events = {"app_mention"}  # This app has not subscribed to messages.
    ts = slack.fake.say("general", "alice", "it burns")["ts"]
    assert slack.fake.shortcut("to_incident", "bob", "general", ts)["ok"]
    assert slack.texts() == ["it burns", "incident from: it burns"]
    assert slack.fake.settled()


# The wires themselves.


def noting(app, heard: list[str], name: str):
    @app.command("/captain")
    def captain(ack):
        heard.append(name)
        ack()

    return app


def test_of_several_sockets_one_is_picked_and_when_it_is_gone_another(slack, new_app, by_socket):
    heard: list[str] = []
    first, _ = (by_socket(noting(new_app(), heard, name)) for name in "ab")
    for _ in range(4):
        assert slack.fake.slash("general", "alice", "/captain", "x")["ok"]
    assert sorted(heard) == ["a", "a", "b", "b"]
    first.client.auto_reconnect_enabled = False
    assert slack.fake.drop_sockets(1) == 1
    until(lambda: slack.fake.state()["sockets"] == 1)
    for _ in range(2):
        assert slack.fake.slash("general", "alice", "/captain", "x")["ok"]
    assert heard[4:] == ["b", "b"]


def test_told_to_refresh_the_app_comes_back_on_a_new_socket(slack, new_app, by_socket):
    app = new_app()

    @app.command("/captain")
    def captain(ack):
        ack("yes")

    handler = by_socket(app)
    session = handler.client.session_id()
    assert slack.fake.refresh_sockets(linger=0.05) == 1
    until(lambda: handler.client.is_connected() and handler.client.session_id() != session)
    until(lambda: slack.fake.state()["sockets"] == 1)
    assert slack.fake.slash("general", "alice", "/captain", "x")["ok"]


def test_a_socket_needs_a_fresh_address(slack):
    address = slack.web(APP_TOKEN).apps_connections_open(app_token=APP_TOKEN)["url"]
    with connect(address) as socket:
        assert json.loads(socket.recv())["type"] == "hello"
    until(lambda: slack.fake.state()["sockets"] == 0)
    for used_or_made_up in (address, f"{address[:-5]}"):
        with pytest.raises(InvalidStatus) as no:
            connect(used_or_made_up)
        assert no.value.response.status_code == 403


def test_the_app_refuses_what_slack_did_not_sign(slack, new_app, by_http):
    app = new_app()
    heard = []

    @app.command("/captain")
    def captain(ack):
        heard.append(1)
        ack()

    by_http(app)
    app.logger.setLevel("CRITICAL")
    assert slack.fake.verify_url()
    assert slack.fake.slash("general", "alice", "/captain", "x")["ok"]
    slack.fake.delivery.signing_secret = "another"
    assert slack.fake.slash("general", "alice", "/captain", "x")["error"] == "dispatch_failed"
    assert heard == [1]


def test_a_socket_wins_over_the_request_url(slack, new_app, by_socket, by_http):
    heard: list[str] = []
    by_http(noting(new_app(), heard, "http"))
    slack.fake.slash("general", "alice", "/captain", "x")
    by_socket(noting(new_app(), heard, "socket"))
    slack.fake.slash("general", "alice", "/captain", "x")
    assert heard == ["http", "socket"]


def test_envelopes_have_the_fields_the_real_ones_have(slack, new_app, by_socket):
    app = new_app()
    raw = []

    @app.command("/captain")
    def captain(ack):
        ack()

    @app.event("message")
    def message():
        pass

    handler = by_socket(app)
    handler.client.message_listeners.append(lambda _client, envelope, _raw: raw.append(envelope))
    slack.fake.slash("general", "alice", "/captain", "x")
    slack.fake.say("general", "alice", "x")
    assert slack.fake.settled()
    command, event = (envelope for envelope in raw if "envelope_id" in envelope)
    assert set(command) == {"envelope_id", "payload", "type", "accepts_response_payload"}
    assert set(command["payload"]) == {
        "token", "team_id", "team_domain", "channel_id", "channel_name", "user_id", "user_name", "command", "text",
        "api_app_id", "is_enterprise_install", "response_url", "trigger_id",
    }  # fmt: skip
    assert (event["retry_attempt"], event["accepts_response_payload"]) == (0, False)
    assert set(event["payload"]) >= {
        "token", "team_id", "api_app_id", "event", "type", "event_id", "event_time", "authorizations",
        "is_ext_shared_channel",
    }  # fmt: skip
    assert json.loads(json.dumps(raw)) == raw


def test_at_the_root_and_with_its_own_command(new_app):
    fake = FakeSlack(CallLog(), command="/ship")
    assert fake.slash("general", "alice", "/captain", "x")["error"] == "unknown_command"
    assert fake.slash("general", "alice", "/ship", "x")["error"] == "dispatch_failed"
