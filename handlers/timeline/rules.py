"""What a message gives to a timeline, as pure functions."""

from __future__ import annotations

from collections.abc import Mapping

from bot.grammar import plain as storable
from bot.integrations.slack import Message
from bot.integrations.slack.said import plain
from bot.integrations.slack.words import clip

MESSAGE, NOTE = "message", "note"
"""The kinds of timeline events that people write themselves."""
DELETED = "(deleted)"
"""What is left of a marked message that somebody deleted: a reader sees that something was said, and not what."""
LONGEST = 20_000
"""Characters of a message that are kept; Slack takes 40,000."""


def is_marked(message: Message, emoji: str) -> bool:
    """True for what somebody pinned, or marked with ``emoji`` (empty: pins alone count), and is not our own."""
    return not message.ours and (message.pinned or (bool(emoji) and message.reactions.get(emoji, 0) > 0))


def said(message: Message, names: Mapping[str, str]) -> str:
    """What a message says, plain, with the names of its files. ``names``: user id → name."""
    parts = [plain(message.text, names).strip()]
    if message.files:
        parts.append(f"[{'file' if len(message.files) == 1 else 'files'}: {', '.join(message.files)}]")
    return clip(storable("\n".join(part for part in parts if part)), LONGEST) or "(no text)"
