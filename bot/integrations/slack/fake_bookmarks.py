"""The stand-in's bookmarks: the links that stand above a channel."""

from __future__ import annotations

import re
import time
from typing import Any

from bot.integrations.slack.fake_api import Ask, Method, SlackError, the_channel
from bot.integrations.slack.fake_world import Channel, World, stable_id

MOST = 100


def _mine(world: World, ask: Ask) -> Channel:
    channel = the_channel(world, Ask({"channel": ask.text("channel_id") or ask.text("channel")}))
    if channel.is_archived:
        raise SlackError("is_archived")
    if world.bot_user not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def add_bookmark(world: World, ask: Ask) -> dict[str, Any]:
    channel = _mine(world, ask)
    link = ask.text("link")
    if ask.text("type") != "link" or not ask.text("title"):
        raise SlackError("invalid_arguments")
    if not re.match(r"https?://", link):
        raise SlackError("invalid_link")
    if len(channel.bookmarks) >= MOST:
        raise SlackError("too_many_bookmarks")
    world.serial += 1
    row = {
        "id": stable_id("Bk", f"{channel.id}/{world.serial}"),
        "channel_id": channel.id,
        "title": ask.text("title"),
        "link": link,
        "emoji": ask.text("emoji"),
        "type": "link",
        "date_created": int(time.time()),
    }
    channel.bookmarks.append(row)
    world.touch()
    return {"bookmark": row}


def list_bookmarks(world: World, ask: Ask) -> dict[str, Any]:
    name = ask.text("channel_id") or ask.text("channel")
    return {"bookmarks": list(the_channel(world, Ask({"channel": name})).bookmarks)}


def edit_bookmark(world: World, ask: Ask) -> dict[str, Any]:
    channel = _mine(world, ask)
    row = next((one for one in channel.bookmarks if one["id"] == ask.text("bookmark_id")), None)
    if row is None:
        raise SlackError("not_found")
    link = ask.text("link")
    if link and not re.match(r"https?://", link):
        raise SlackError("invalid_link")
    row |= {name: ask.text(name) for name in ("title", "link", "emoji") if ask.text(name)}
    world.touch()
    return {"bookmark": row}


METHODS: dict[str, Method] = {
    "bookmarks.add": Method(add_bookmark, "bookmarks:write"),
    "bookmarks.edit": Method(edit_bookmark, "bookmarks:write"),
    "bookmarks.list": Method(list_bookmarks, "bookmarks:read"),
}
