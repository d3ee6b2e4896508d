"""A small bot for trying the sandbox itself: real slack_bolt over the socket, Block Kit of every sort, no rules of its own."""

import json
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
import yaml
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

COMMANDS = [
    {"text": "/captain help", "usage": "/captain help", "help": "What the captain can do"},
    {
        "text": "/captain incident open ",
        "usage": "/captain incident open SEV SERVICE SUMMARY",
        "help": "Declare an incident",
    },
    {"text": "/captain incident list", "usage": "/captain incident list", "help": "Open incidents"},
    {"text": "/captain form", "usage": "/captain form", "help": "A modal with every sort of input"},
    {"text": "/captain blocks", "usage": "/captain blocks", "help": "Every block there is"},
]


def button(label, action, style=None, **more):
    made = {"type": "button", "action_id": action, "text": {"type": "plain_text", "text": label, "emoji": True}, **more}
    return made | ({"style": style} if style else {})


def md(text):
    return {"type": "mrkdwn", "text": text}


def incident_blocks(summary, state, by=""):
    facts = [
        f"*Status*\n{state}",
        "*Severity*\nSEV2",
        "*Service*\n`docs-api` (prod)",
        f"*Started*\n<!date^{int(time.time())}^{{time}}|now>",
    ]
    buttons = [
        button("Acknowledge", "ack", "primary", value="1"),
        button("Update", "update"),
        button(
            "Resolve",
            "resolve",
            "danger",
            confirm={
                "title": {"type": "plain_text", "text": "Resolve?"},
                "text": {"type": "plain_text", "text": "The alert still fires."},
                "confirm": {"type": "plain_text", "text": "Resolve"},
                "deny": {"type": "plain_text", "text": "Keep open"},
            },
        ),
    ]
    pick = {
        "type": "static_select",
        "action_id": "severity",
        "placeholder": {"type": "plain_text", "text": "Severity"},
        "options": [{"text": {"type": "plain_text", "text": f"SEV{n}"}, "value": f"sev{n}"} for n in (1, 2, 3)],
    }
    return [
        {"type": "header", "text": {"type": "plain_text", "text": f":rotating_light: INC-1 {summary}"}},
        {"type": "section", "fields": [md(text) for text in facts]},
        {"type": "actions", "block_id": "do", "elements": [*buttons, pick]},
        {
            "type": "context",
            "elements": [md(f"Runbook <https://runbooks.example/docs-api|docs-api> · page `triggered` {by}")],
        },
    ]


def every_block():
    text = "*bold* _italic_ ~gone~ `code` <https://example.com|a link> :tada: &lt;b&gt;not markup&lt;/b&gt; <javascript:alert(1)|bad>\n> quoted\n```two\nlines```"
    rich = [
        {
            "type": "rich_text_section",
            "elements": [
                {"type": "text", "text": "Rich ", "style": {"bold": True}},
                {"type": "emoji", "name": "rocket"},
            ],
        },
        {
            "type": "rich_text_list",
            "style": "bullet",
            "elements": [
                {"type": "rich_text_section", "elements": [{"type": "text", "text": f"point {n}"}]} for n in (1, 2)
            ],
        },
    ]
    return [
        {
            "type": "section",
            "text": md(text),
            "accessory": {
                "type": "overflow",
                "action_id": "more",
                "options": [
                    {"text": {"type": "plain_text", "text": "Show the log"}, "value": "log"},
                    {"text": {"type": "plain_text", "text": "Mute"}, "value": "mute"},
                ],
            },
        },
        {"type": "divider"},
        {"type": "rich_text", "elements": rich},
    ]


def form():
    options = [{"text": {"type": "plain_text", "text": f"SEV{n}"}, "value": f"sev{n}"} for n in (1, 2, 3)]
    label = lambda text: {"type": "plain_text", "text": text}  # noqa: E731
    return {
        "type": "modal",
        "callback_id": "form",
        "title": label("Update INC-1"),
        "submit": label("Send"),
        "close": label("Cancel"),
        "blocks": [
            {
                "type": "input",
                "block_id": "what",
                "label": label("What happened"),
                "element": {"type": "plain_text_input", "action_id": "text", "multiline": True},
            },
            {
                "type": "input",
                "block_id": "sev",
                "label": label("Severity"),
                "element": {
                    "type": "static_select",
                    "action_id": "pick",
                    "options": options,
                    "initial_option": options[1],
                },
            },
            {
                "type": "input",
                "block_id": "tell",
                "optional": True,
                "label": label("Tell"),
                "element": {
                    "type": "checkboxes",
                    "action_id": "boxes",
                    "options": [
                        {"text": label("Stakeholders"), "value": "st"},
                        {"text": label("Status page"), "value": "page"},
                    ],
                },
            },
            {
                "type": "input",
                "block_id": "lead",
                "optional": True,
                "label": label("Lead"),
                "hint": label("Who decides"),
                "element": {"type": "users_select", "action_id": "user"},
            },
        ],
    }


def listen(app, config):
    client = app.client

    @app.command("/captain")
    def on_command(ack, body, respond):
        text = body["text"]
        ack()
        if text == "form":
            client.views_open(trigger_id=body["trigger_id"], view=form())
        elif text == "blocks":
            client.chat_postMessage(channel=body["channel_id"], text="Every block", blocks=every_block())
        elif text.startswith("incident open"):
            opened(client, config, text.removeprefix("incident open").strip() or "something")
            respond(text=":white_check_mark: Opened INC-1")
        else:
            respond(text=f"You asked for `{text or 'help'}`: I am a *pretend* bot.")


def listen_to_presses(app):
    client = app.client

    @app.action("ack")
    def on_ack(ack, body):
        ack()
        who = body["user"]["id"]
        where, ts = body["channel"]["id"], body["message"]["ts"]
        client.chat_update(
            channel=where,
            ts=ts,
            text="INC-1 acknowledged",
            blocks=incident_blocks("docs-api burns", f"Acknowledged by <@{who}>", "· :eyes:"),
        )
        client.chat_postMessage(channel=where, thread_ts=ts, text=f":eyes: <@{who}> has acknowledged")

    @app.action("update")
    def on_update(ack, body):
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=form())

    @app.action("resolve")
    def on_resolve(ack, body):
        ack()
        client.chat_postMessage(
            channel=body["channel"]["id"], thread_ts=body["message"]["ts"], text=":white_check_mark: resolved"
        )

    @app.action("severity")
    def on_severity(ack, body, respond):
        ack()
        respond(text=f"Severity is now {body['actions'][0]['selected_option']['value']}", replace_original=False)

    @app.action("more")
    def on_more(ack, body, respond):
        ack()
        respond(text=f"You chose {body['actions'][0]['selected_option']['value']}", replace_original=False)


def listen_to_the_rest(app):
    client = app.client

    @app.view("form")
    def on_form(ack, body, view):
        given = view["state"]["values"]
        if len(given["what"]["text"]["value"]) < 5:
            ack(response_action="errors", errors={"what": "Say a little more."})
            return
        ack()
        where = client.conversations_list()["channels"]
        room = next(c["id"] for c in where if c["name"] == "incidents")
        client.chat_postMessage(
            channel=room,
            text=f"Update from <@{body['user']['id']}>: {given['what']['text']['value']} ({given['sev']['pick']['selected_option']['value']})",
        )

    @app.event("app_home_opened")
    def on_home(event):
        client.views_publish(
            user_id=event["user"],
            view={
                "type": "home",
                "blocks": [
                    {"type": "header", "text": {"type": "plain_text", "text": "Your watch"}},
                    {
                        "type": "section",
                        "text": md("One incident is open."),
                        "accessory": button("Open form", "update"),
                    },
                ],
            },
        )

    @app.event("message")
    def on_message(event, say):
        if event.get("text", "").startswith("echo "):
            say(text=event["text"].removeprefix("echo "), thread_ts=event.get("thread_ts") or event["ts"])


def opened(client, config, summary):
    """Page, ticket, post: enough to fill the panels."""
    pager, jira = config["pagerduty"], config["jira"]
    key = config["services"]["docs-api"]["pagerduty"]
    event = {
        "routing_key": key,
        "event_action": "trigger",
        "dedup_key": summary[:60],
        "payload": {
            "summary": summary,
            "source": "docs-api",
            "severity": "critical",
            "custom_details": {"slo": "docs-api-availability"},
        },
    }
    requests.post(f"{pager['events_url']}/v2/enqueue", json=event, timeout=3)
    fields = {
        "project": {"key": "OPS"},
        "issuetype": {"name": "Task"},
        "summary": summary,
        "labels": ["inc-1"],
        "description": "Opened by the captain.",
    }
    requests.post(
        f"{jira['url']}/rest/api/2/issue", json={"fields": fields}, auth=(jira["email"], jira["api_token"]), timeout=3
    )
    client.chat_postMessage(channel="#incidents", text=f"INC-1 {summary}", blocks=incident_blocks(summary, "Triggered"))


def web(config, client):
    port = int(config["captain"]["listen"].rsplit(":", 1)[1])

    class Door(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def answer(self, status, body, kind="application/json"):
            raw = json.dumps(body).encode() if isinstance(body, dict) else body
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_GET(self):
            if self.path == "/metrics":
                self.answer(200, b'captain_build_info{version="pretend"} 1\n', "text/plain")
                return
            self.answer(200, {"commands": COMMANDS} if self.path == "/api/commands" else {"ok": True})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path != "/webhooks/alertmanager":
                self.answer(202, {})
                return
            if self.headers["authorization"] != f"Bearer {config['alertmanager']['webhook_secret']}":
                self.answer(401, {"error": "bad token"})
                return
            for alert in body["alerts"]:
                if alert["status"] == "firing":
                    opened(client, config, alert["annotations"].get("summary", "an alert"))
            self.answer(202, {"taken": len(body["alerts"])})

    return ThreadingHTTPServer(("127.0.0.1", port), Door)


def main():
    config = yaml.safe_load(Path(sys.argv[1]).read_text())
    slack = config["slack"]
    client = WebClient(slack["bot_token"], base_url=slack["base_url"], timeout=5)
    app = App(client=client, signing_secret=slack["signing_secret"])
    listen(app, config)
    listen_to_presses(app)
    listen_to_the_rest(app)
    SocketModeHandler(app, slack["app_token"]).connect()
    server = web(config, client)
    sys.stdout.write("pretend bot is up\n")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()
