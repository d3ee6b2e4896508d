"""Posting a message or a file once: looks for it first when an earlier try may have posted it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace

from bot.effects import Task
from bot.errors import GiveUp, Retry
from bot.integrations.slack import Chat, Post, Posted
from handlers.desk import Desk

CLOCK_SLACK = 3900.0
"""Seconds by which Slack's clock and ours may differ when a message is looked for: an hour that was set wrong, and a little."""
DOUBT = 86400.0
"""Seconds after a restore in which what was answered before it comes again."""
SHARE_LAG = 8.0
"""Seconds after which a file that Slack took is in its channel: Slack shares it after it has answered."""


def post_once(desk: Desk, task: Task, ask: Post) -> Posted:
    """Post, but look first when it may have been posted before: Slack itself has no idempotency key."""
    chat = chat_of(desk)
    since = _may_be_there(desk, task)
    found: Posted | None = None
    if since is not None:
        try:
            found = chat.find(ask.channel, task.key, since=since - CLOCK_SLACK, thread_ts=ask.thread_ts)
        except GiveUp:
            if task.tried:
                raise
            # Most likely it was never posted; a thread that is not opened would be worse than one opened twice.
    if found is not None:
        return found
    return chat.post(replace(ask, by=task.acting()))


def upload_once(
    desk: Desk,
    task: Task,
    channel: str,
    *,
    name: str,
    suffix: str,
    content: bytes,
    title: str,
    text: str = "",
    thread_ts: str | None = None,
) -> None:
    """Send a file, but look first when it may have been sent before: its name, made from the key, is how it is known.

    ``text``: mrkdwn that stands above it.
    """
    chat = chat_of(desk)
    named = f"{name}-{hashlib.sha256(task.key.encode()).hexdigest()[:8]}.{suffix}"
    since = _may_be_there(desk, task)
    if since is not None:
        if chat.find_file(channel, named, since=since - CLOCK_SLACK, thread_ts=thread_ts):
            return
        ago = time.time() - task.tried_at
        if task.tried and 0 <= ago < SHARE_LAG:
            raise Retry("looking again before sending, since Slack shows a file late", after=SHARE_LAG - ago)
    by = task.acting()
    chat.upload(channel, name=named, content=content, title=title, thread_ts=thread_ts, text=text, by=by)


def _may_be_there(desk: Desk, task: Task) -> float | None:
    """Since when, in UNIX s, an earlier try may have posted it; None when there was none.

    After a restore that may have been a try the database no longer knows of, since what it shows.
    """
    began = min(task.created_at, time.time())  # it was not owed in a time to come: the clock has been set back since
    past = desk.store.restored
    if past is not None and task.created_at < past.at + DOUBT:
        return min(began, past.shows)
    return began if task.tried else None


def chat_of(desk: Desk) -> Chat:
    """The chat. Raises GiveUp when it is not configured."""
    if desk.outside.chat is None:
        raise GiveUp("the slack: section is missing in captain.yml; add it and repair")
    return desk.outside.chat
