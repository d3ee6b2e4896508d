"""Telling how an incident stands by a form, filled with what was last told; whatever is refused keeps what was typed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

from bot.effects import Effect, Outcome, Performer, Task, Tx
from bot.errors import GiveUp, Refused, Retry
from bot.grammar import Asker, Reply
from bot.integrations.slack.words import clip, escape, fit_view
from handlers.desk import Desk
from handlers.incidents import commands, latest, private, table
from handlers.incidents import update as updates
from handlers.incidents.rules import Status
from handlers.posts import chat_of

CALLBACK = "incident update"
"""The form's callback id and the button's action: the command that they stand for."""
NAMED = re.compile(r"incident update(?:\s+(?:--of[\s=])?\s*((?:inc-|#)\d{1,9}))?\s*", re.IGNORECASE)
"""The command without a text: alone, or with an incident."""
PAUSES: Mapping[str, str] = {
    "15m": "in 15 minutes", "30m": "in 30 minutes", "1h": "in 1 hour", "2h": "in 2 hours", "4h": "in 4 hours",
    "24h": "in 24 hours",
}  # fmt: skip
NONE = "none"
ALIVE = 3.0
"""Seconds for which Slack lets a press open a form."""
MOST = 100
"""Incidents in the menu; Slack takes no more."""


def view(c: Any, found: Any, *, told: Mapping[str, Any]) -> dict[str, Any]:
    """The form. ``found``: the incident it is about; None asks for one. ``told`` comes back with what is filled in."""
    blocks: list[dict[str, Any]] = []
    text: dict[str, Any] = {
        "type": "plain_text_input",
        "action_id": "it",
        "multiline": True,
        "max_length": updates.LONGEST,
    }
    if found is None:
        rows = table.open_incidents(c, limit=MOST)
        menu = {
            "type": "static_select",
            "action_id": "it",
            "options": [_option(_name(row), str(row.number)) for row in rows],
        }
        blocks.append(_input("incident", "Incident", menu))
    else:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": f"*{escape(_name(found))}*"}]})
        if found.update_text and not found.private:
            text["initial_value"] = found.update_text
    options = [_option("nothing is promised", NONE), *(_option(said, value) for value, said in PAUSES.items())]
    chosen = next((one for one in options if one["value"] == _before(found)), options[0])
    pause = {"type": "static_select", "action_id": "it", "options": options, "initial_option": chosen}
    hint = "It goes into the thread, the timeline, the ticket and the digest."
    blocks += [
        _input("text", "How does it stand?", text, hint=hint),
        _input("next", "Next update", pause, hint="I remind the thread when it is due."),
    ]
    return fit_view(
        {
            "type": "modal",
            "callback_id": CALLBACK,
            "title": _plain(f"Update INC-{found.number}" if found is not None else "Update"),
            "submit": _plain("Tell"),
            "close": _plain("Cancel"),
            "private_metadata": json.dumps(dict(told) | {"incident": found.number if found is not None else 0}),
            "blocks": blocks,
        }
    )


def read(desk: Desk, form: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """What was filled in, or None and what to say beside each field: then the form stays open, with what was typed."""
    given = {name: next(iter(fields.values())) for name, fields in form["state"]["values"].items()}
    told = json.loads(form.get("private_metadata") or "{}")
    number = int(told.get("incident") or _chosen(given.get("incident", {})) or 0)
    text, pause = str(given["text"].get("value") or ""), _chosen(given["next"])
    wrong: dict[str, str] = {}
    if updates.fault(text):
        wrong["text"] = "Say how it stands." if not text.strip() else updates.fault(text)
    with desk.store.read() as c:
        row = table.by_number(c, number)
    if row is None and not told.get("incident"):
        wrong["incident"] = "Choose an incident."
    elif row is None or row.status == Status.CLOSED.value:
        wrong.setdefault("text", updates.closed(number)[:150])
    if wrong:
        return None, wrong
    return {"incident": number, "text": text.strip(), "next": pause if pause in PAUSES else ""}, {}


def submitted(desk: Desk, asker: Asker, fields: Mapping[str, Any]) -> Reply:
    """Tell what a form says. Raises Refused."""
    number, promised = int(fields["incident"]), updates.promised(str(fields["next"]))
    private.ask(desk, asker)
    with desk.store.read() as c:
        commands.meant(desk, c, asker, str(number))  # that they may see it
    said = updates.update(desk, asker, number, str(fields["text"]), promised=promised, now=time.time())
    return Reply(f"INC-{number}: {said}")


def ask(tx: Tx, key: str, payload: Mapping[str, Any]) -> None:
    """Owe the form: it is shown within Slack's three seconds or not at all."""
    args = {name: payload.get(name, "") for name in ("trigger_id", "response_url", "channel", "user", "line", "home")}
    tx.owe(Effect(f"modal:{key}", "update-modal", "replies", None, args, urgency=0))


def performers(desk: Desk) -> list[Performer]:
    """What this file knows to do outside."""
    return [Performer("update-modal", lambda task: show(desk, task))]


def show(desk: Desk, task: Task) -> Outcome:
    """Open the form; when that comes too late or Slack does not, say how to do without."""
    args, why = task.args, "that took longer than Slack's three seconds"
    how = f"Press again, or say it in a line: `{desk.command} incident update how it stands`"
    if task.attempt == 1 and 0 <= time.time() - task.created_at < ALIVE:
        try:
            _open(desk, args)
        except Refused as no:
            why, how = str(no), ""
        except (Retry, GiveUp) as e:
            why = e.reason
        else:
            return Outcome()
    said = f"I could not show the form ({escape(why)}). {how}" if how else why

    def apply(tx: Tx) -> None:
        told = {"url": args["response_url"], "user": args["user"], "text": said, "blocks": [], "in_channel": False}
        tx.owe(Effect(task.key.replace("modal:", "reply:", 1), "reply", "replies", None, told, urgency=1))

    return Outcome(apply=apply, skipped=why)


def _open(desk: Desk, args: Mapping[str, Any]) -> None:
    named = NAMED.fullmatch(args["line"])
    ref = named.group(1) if named else None
    asker = Asker(args["user"], args["user"], "slack", "", args["channel"])
    private.ask(desk, asker)
    with desk.store.read() as c:
        found = commands.meant_by_form(desk, c, asker, ref or "")
        if found is not None and found.status == Status.CLOSED.value:
            raise Refused(updates.closed(found.number))
        told = {name: args[name] for name in ("response_url", "channel", "home")}
        shown = view(c, found, told=told)
    chat_of(desk).open_view(args["trigger_id"], shown)


def _name(row: Any) -> str:
    """An incident on one line, plain; of a private one only that there is one."""
    if row.private:
        return f"INC-{row.number} private incident"
    return f"INC-{row.number} {row.severity} {row.service}: {latest.one_line(row.title)}"


def _before(row: Any) -> str:
    """What was promised last time, as the menu has it; or nothing."""
    if row is None or row.update_at is None or row.next_update_at is None:
        return NONE
    promised = row.next_update_at - row.update_at
    return next((value for value in PAUSES if abs(updates.promised(value) - promised) < 1), NONE)


def _input(name: str, label: str, element: Mapping[str, Any], *, hint: str = "") -> dict[str, Any]:
    made = {"type": "input", "block_id": name, "label": _plain(label), "element": dict(element)}
    return made | ({"hint": _plain(hint)} if hint else {})


def _chosen(field: Mapping[str, Any]) -> str:
    return str((field.get("selected_option") or {}).get("value", ""))


def _option(text: str, value: str) -> dict[str, Any]:
    return {"text": _plain(clip(text, 75)), "value": value}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}
