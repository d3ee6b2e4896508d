"""Opening an incident by a form: the modal, what was filled in, and what is said when the form could not be shown."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.config import nearest
from bot.effects import Effect, Outcome, Performer, Task, Tx
from bot.errors import GiveUp, Refused, Retry
from bot.grammar import Asker, Reply
from bot.integrations.slack.words import escape, fit_view
from handlers.desk import Desk
from handlers.incidents import commands, words
from handlers.incidents.rules import Severity
from handlers.posts import chat_of

CALLBACK = "incident open"
"""The modal's callback id, the shortcuts' and the button's action: the command that they stand for."""
LONGEST_LIST = 100
"""Options that Slack takes in one menu; with more services the name is typed."""
LONGEST_TITLE = 300
ALIVE = 3.0
"""Seconds for which Slack lets a press open a modal."""


@dataclass(frozen=True)
class Filled:
    """What somebody filled in. ``link``: the message it is about, or empty."""

    severity: Severity
    service: str
    title: str
    test: bool
    link: str
    private: bool


def view(desk: Desk, *, title: str = "", told: Mapping[str, str]) -> dict[str, Any]:
    """The form. ``told`` comes back with what is filled in: where to answer, and the message it is about."""
    services = sorted(desk.services)
    service: dict[str, Any] = {"type": "plain_text_input", "action_id": "it", "max_length": 100}
    if len(services) <= LONGEST_LIST:
        service = {"type": "static_select", "action_id": "it", "options": [_option(name, name) for name in services]}
        if len(services) == 1:
            service["initial_option"] = _option(services[0], services[0])
    said: dict[str, Any] = {"type": "plain_text_input", "action_id": "it", "max_length": LONGEST_TITLE}
    if title:
        said["initial_value"] = title
    severities = [_option(words.SEVERITY_WORD[one], one.value) for one in Severity]
    chosen = {"type": "static_select", "action_id": "it", "options": severities, "initial_option": severities[1]}
    kind = {
        "type": "checkboxes",
        "action_id": "it",
        "options": [
            _option("Only a test: wakes nobody, makes no ticket", "test"),
            _option("Private: only its own channel says what it is about", "private"),
        ],
    }
    return fit_view(
        {
            "type": "modal",
            "callback_id": CALLBACK,
            "title": _plain("Open an incident"),
            "submit": _plain("Open"),
            "close": _plain("Cancel"),
            "private_metadata": json.dumps(told),
            "blocks": [
                _input("title", "What is wrong?", said),
                _input("service", "Service", service),
                _input("severity", "Severity", chosen, hint="sev1 and sev2 wake the on-call, sev3 makes a ticket."),
                _input("kind", "Is it special?", kind, optional=True),
            ],
        }
    )


def read(desk: Desk, form: Mapping[str, Any]) -> tuple[Filled | None, dict[str, str]]:
    """What was filled in, or None and what to say beside each field. ``form``: the view as Slack sends it back."""
    given = {name: next(iter(fields.values())) for name, fields in form["state"]["values"].items()}
    title = " ".join(str(given["title"].get("value") or "").split())
    service = _chosen(given["service"]) or str(given["service"].get("value") or "").strip()
    severity = _chosen(given["severity"])
    wrong: dict[str, str] = {}
    if not title:
        wrong["title"] = "Say in a few words what is wrong."
    if service not in desk.services:
        wrong["service"] = f"I know no service '{service[:40]}'.{nearest(service, list(desk.services))}"[:150]
    if severity not in list(Severity):
        wrong["severity"] = "Choose how bad it is."
    if wrong:
        return None, wrong
    told = json.loads(form.get("private_metadata") or "{}")
    ticked = {str(one["value"]) for one in given.get("kind", {}).get("selected_options") or ()}
    link = str(told.get("link", ""))
    made = Filled(Severity(severity), service, title[:LONGEST_TITLE], "test" in ticked, link, "private" in ticked)
    return made, {}


def submitted(desk: Desk, asker: Asker, fields: Mapping[str, Any]) -> Reply:
    """Open what a form asks for. Raises Refused."""
    if fields["service"] not in desk.services:
        raise Refused(f"The service '{fields['service'][:80]}' is no longer in captain.yml. Nothing was opened.")
    severity, title, test = Severity(fields["severity"]), str(fields["title"]), bool(fields["test"])
    hidden = bool(fields.get("private"))  # forms of before did not ask
    link = str(fields["link"])
    return commands.opened(desk, asker, severity, fields["service"], title, test=test, link=link, hidden=hidden)


def ask(tx: Tx, key: str, payload: Mapping[str, Any]) -> None:
    """Owe the modal: it is shown within Slack's three seconds or not at all."""
    args = {name: payload.get(name, "") for name in ("trigger_id", "response_url", "title", "channel", "ts", "user")}
    tx.owe(Effect(f"modal:{key}", "modal", "replies", None, args, urgency=0))


def performers(desk: Desk) -> list[Performer]:
    """What this file knows to do outside."""
    return [Performer("modal", lambda task: show(desk, task))]


def show(desk: Desk, task: Task) -> Outcome:
    """Open the modal; when that comes too late or Slack does not, say how to do without."""
    args = task.args
    why = "that took longer than Slack's three seconds"
    if task.attempt == 1 and 0 <= time.time() - task.created_at < ALIVE:
        try:
            chat_of(desk).open_view(
                args["trigger_id"], view(desk, title=args["title"][:LONGEST_TITLE], told=_told(desk, args))
            )
        except (Retry, GiveUp) as e:
            why = e.reason
        else:
            return Outcome()
    said = f"I could not show the form ({escape(why)}). Press again, or say it in a line: `{desk.command} incident open sev2 SERVICE what is wrong`"

    def apply(tx: Tx) -> None:
        told = {
            "url": args["response_url"],
            "user": args.get("user", ""),
            "text": said,
            "blocks": [],
            "in_channel": False,
        }
        tx.owe(Effect(task.key.replace("modal:", "reply:", 1), "reply", "replies", None, told, urgency=1))

    return Outcome(apply=apply, skipped=why)


def _told(desk: Desk, args: Mapping[str, Any]) -> dict[str, str]:
    """What the form carries back. The link costs a call, and the form does not wait for one that fails."""
    told = {"response_url": args["response_url"], "channel": args["channel"]}
    if args["ts"]:
        try:
            told["link"] = chat_of(desk).permalink(args["channel"], args["ts"])
        except (Retry, GiveUp):
            told["link"] = ""
    return told


def _input(
    name: str, label: str, element: Mapping[str, Any], *, hint: str = "", optional: bool = False
) -> dict[str, Any]:
    made = {"type": "input", "block_id": name, "label": _plain(label), "element": dict(element), "optional": optional}
    return made | ({"hint": _plain(hint)} if hint else {})


def _chosen(field: Mapping[str, Any]) -> str:
    return str((field.get("selected_option") or {}).get("value", ""))


def _option(text: str, value: str) -> dict[str, Any]:
    return {"text": _plain(text[:75]), "value": value[:150]}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}
