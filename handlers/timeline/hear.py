"""Slack's events about messages, read down to what is of use: which message to look at, or to open an incident from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from bot.grammar import Asker
from handlers.catalogue import Policy
from handlers.desk import Desk
from handlers.timeline import declared, marks

EVENTS = ("message.channels", "message.groups", "pin_added", "pin_removed", "reaction_added", "reaction_removed")
"""What the app subscribes to for this."""
LOOK, DECLARE = "look", "declare"


def read(policy: Policy, event: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an event asks for, as plain JSON; None when it is nothing to us, as nearly all of them are.

    ``edit``: it matters only where the message is in a timeline. ``at``: Slack's own mark of the occurrence, which a
    redelivery repeats.
    """
    kind, item = str(event.get("type")), _object(event.get("item"))
    where: tuple[Any, Any, Any] = (None, None, None)
    asked: dict[str, Any] = {"what": LOOK, "edit": False}
    if kind in ("reaction_added", "reaction_removed") and item.get("type") == "message":
        emoji = str(event.get("reaction") or "").partition("::")[0]
        if emoji in policy.declare_emoji and kind == "reaction_added":
            asked = {"what": DECLARE, "emoji": emoji}
        elif emoji != policy.mark_emoji:
            return None
        where = item.get("channel"), item.get("ts"), event.get("user")
    elif kind in ("pin_added", "pin_removed"):
        where = event.get("channel_id"), _object(item.get("message")).get("ts"), event.get("user")
    elif kind == "message":
        where, asked["edit"] = (event.get("channel"), _rewritten(event), ""), True
    channel, ts, user = where
    if not isinstance(channel, str) or not isinstance(ts, str) or not channel or not _is_ts(ts):
        return None
    return {"channel": channel, "ts": ts, "user": str(user or ""), "at": str(event.get("event_ts") or ""), **asked}


def _rewritten(event: Mapping[str, Any]) -> Any:
    """The ts of a message that was edited or deleted; None where nothing of what it says has changed."""
    if event.get("subtype") == "message_deleted":
        return event.get("deleted_ts")
    if event.get("subtype") != "message_changed":
        return None
    message, before = _object(event.get("message")), event.get("previous_message")
    seen = ("text", "files", "subtype", "attachments", "blocks")
    # Slack also tells so of a link that is shown, an answer in a thread, and the like.
    if isinstance(before, Mapping) and all(message.get(name) == before.get(name) for name in seen):
        return None
    return message.get("ts")


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_ts(ts: str) -> bool:
    whole, _, part = ts.partition(".")
    return whole.isdecimal() and part.isdecimal() and ts.isascii() and len(ts) <= 30


def hear(desk: Desk, told: Mapping[str, Any], check: Callable[[Asker], None]) -> str:
    """Owe what an event asks for; the verdict. ``check`` raises Refused when somebody may not open incidents."""
    now = time.time()
    if told["what"] == DECLARE:
        return declared.ask(desk, told, check, now=now)
    return marks.ask(desk, str(told["channel"]), str(told["ts"]), str(told["user"]), edit=bool(told["edit"]), now=now)
