"""Messages that others have written, read from Slack's JSON and turned into plain text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bot.integrations.slack import Message
from bot.integrations.slack.words import first_words, unescape

_TOKEN = re.compile(r"<((?:[@#!]|[a-z][a-z0-9+.-]*:)[^<>]*)>")
_PERSON = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
NOTHING = "…"


def read_message(channel: str, found: Mapping[str, Any], me: str) -> Message:
    """A message from its JSON. ``me``: the bot's own user id."""
    text = str(found.get("text") or "")
    if not text.strip():
        blocks = first_words(found.get("blocks") or ())
        more = [str(one.get("fallback") or one.get("text") or "") for one in found.get("attachments") or ()]
        text = "\n".join(one for one in ("" if blocks == NOTHING else blocks, *more) if one)
    names = (str(one.get("title") or one.get("name") or one.get("id") or "") for one in found.get("files") or ())
    profile = found.get("bot_profile") or {}
    called = str(found.get("username") or profile.get("name") or "") if found.get("bot_id") else ""
    reactions: dict[str, int] = {}
    for one in found.get("reactions") or ():
        name = str(one.get("name") or "").partition("::")[0]
        reactions[name] = reactions.get(name, 0) + int(one.get("count") or len(one.get("users") or ()))
    return Message(
        channel,
        str(found["ts"]),
        text,
        thread_ts=str(found.get("thread_ts") or ""),
        user=str(found.get("user") or ""),
        name=called,
        files=tuple(names),
        reactions=reactions,
        pinned=channel in (found.get("pinned_to") or ()),
        ours=found.get("user") == me,
    )


def mentioned(text: str) -> tuple[str, ...]:
    """The ids of the people whom a mrkdwn text mentions, each once."""
    return tuple(dict.fromkeys(_PERSON.findall(text)))


def plain(text: str, names: Mapping[str, str]) -> str:
    """A mrkdwn text as a person reads it where it is not Slack that shows it. ``names``: user id → name."""
    return unescape(_TOKEN.sub(lambda found: _shown(found.group(1), names), text))


def _shown(token: str, names: Mapping[str, str]) -> str:
    """What stands between < and >: a mention, a channel, a command or a link."""
    what, _, label = token.partition("|")
    kind, rest = what[:1], what[1:]
    if kind == "@":
        return f"@{names.get(rest) or label or rest}"
    if kind == "#":
        return f"#{label or rest}"
    if kind == "!":
        return label or f"@{rest.partition('^')[0]}"
    address = what.removeprefix("mailto:")
    return address if label in ("", address) or what.endswith(f"//{label}") else f"{label} ({address})"
