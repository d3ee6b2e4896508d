"""Posting a message once: looks for it first when an earlier try may have posted it."""

from __future__ import annotations

from bot.effects import Task
from bot.errors import GiveUp
from bot.integrations.slack import Chat, Post, Posted
from handlers.desk import Desk

CLOCK_SLACK = 120.0
"""Seconds by which Slack's clock and ours may differ when a message is looked for."""


def post_once(desk: Desk, task: Task, ask: Post) -> Posted:
    """Post, but look first when an earlier try may have posted: Slack itself has no idempotency key."""
    chat = chat_of(desk)
    if task.tried:
        found = chat.find(ask.channel, task.key, since=task.created_at - CLOCK_SLACK, thread_ts=ask.thread_ts)
        if found is not None:
            return found
    task.acting()
    return chat.post(ask)


def chat_of(desk: Desk) -> Chat:
    """The chat. Raises GiveUp when it is not configured."""
    if desk.outside.chat is None:
        raise GiveUp("the slack: section is missing in captain.yml; add it and repair")
    return desk.outside.chat
