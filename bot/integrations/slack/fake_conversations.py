"""The stand-in's conversation, user and user group methods: who is where, and what was said."""

from __future__ import annotations

import base64
import binascii
import re
import time
from typing import Any

from bot.integrations.slack.fake_api import Ask, Method, SlackError, the_channel
from bot.integrations.slack.fake_chat import message_json
from bot.integrations.slack.fake_world import Channel, Message, User, World

PAGE = 100
MOST = 999
NAME_LENGTH = 80
TOPIC_LENGTH = 250


def channel_json(world: World, channel: Channel) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": channel.id,
        "is_im": channel.is_im,
        "is_archived": channel.is_archived,
        "created": channel.created,
        "context_team_id": world.team,
    }
    if channel.is_im:
        return out | {"user": channel.name, "is_channel": False}
    return out | {
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_private": channel.is_private,
        "is_mpim": False,
        "is_general": channel.name == "general",
        "is_member": world.bot_user in channel.members,
        "creator": channel.creator,
        "num_members": len(channel.members),
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": channel.purpose, "creator": "", "last_set": 0},
    }


def user_json(world: World, user: User) -> dict[str, Any]:
    profile: dict[str, Any] = {"real_name": user.real_name, "display_name": user.name, "team": world.team}
    if "users:read.email" in world.scopes and user.email:
        profile["email"] = user.email
    return {
        "id": user.id,
        "team_id": world.team,
        "name": user.name,
        "real_name": user.real_name,
        "deleted": False,
        "is_bot": user.is_bot,
        "tz": "Etc/UTC",
        "tz_offset": 0,
        "profile": profile,
    }


def _readable(world: World, ask: Ask) -> Channel:
    channel = the_channel(world, ask)
    kind = "im" if channel.is_im else "groups" if channel.is_private else "channels"
    if f"{kind}:history" not in world.scopes:
        raise SlackError("missing_scope", needed=f"{kind}:history", provided=",".join(sorted(world.scopes)))
    if world.bot_user not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def _stamp(ask: Ask, name: str, error: str) -> int | None:
    """A ts or UNIX seconds as microseconds."""
    value = ask.text(name)
    if not value:
        return None
    if not re.fullmatch(r"\d{1,12}(\.\d{1,9})?", value):
        raise SlackError(error)
    whole, _, part = value.partition(".")
    return int(whole) * 1_000_000 + int((part + "000000")[:6])


def _us(ts: str) -> int:
    whole, _, part = ts.partition(".")
    return int(whole) * 1_000_000 + int(part)


def _within(ask: Ask, messages: list[Message]) -> list[Message]:
    oldest = _stamp(ask, "oldest", "invalid_ts_oldest")
    latest = _stamp(ask, "latest", "invalid_ts_latest")
    edge = 1 if ask.flag("inclusive") else 0
    return [
        m
        for m in messages
        if (oldest is None or _us(m.ts) > oldest - edge) and (latest is None or _us(m.ts) < latest + edge)
    ]


def _page(ask: Ask, rows: list[Any], *, most: int = MOST) -> tuple[list[Any], dict[str, Any]]:
    """One page of rows and what stands beside it; a cursor says how many rows came before."""
    limit = ask.number("limit", PAGE)
    if not 1 <= limit <= most:
        raise SlackError("invalid_limit")
    start = 0
    if cursor := ask.text("cursor"):
        try:
            start = int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
        except (ValueError, binascii.Error):
            raise SlackError("invalid_cursor") from None
    more = len(rows) > start + limit
    following = base64.b64encode(f"next:{start + limit}".encode()).decode() if more else ""
    return rows[start : start + limit], {"has_more": more, "response_metadata": {"next_cursor": following}}


def history(world: World, ask: Ask) -> dict[str, Any]:
    """Newest first; replies only where they were also sent to the channel."""
    channel = _readable(world, ask)
    seen = [m for m in world.messages[channel.id].values() if not m.ephemeral_to and (not m.thread_ts or m.broadcast)]
    rows, beside = _page(ask, _within(ask, seen)[::-1])
    full = ask.flag("include_all_metadata")
    return {"messages": [message_json(world, m, metadata=full) for m in rows], "pin_count": len(channel.pins)} | beside


def replies(world: World, ask: Ask) -> dict[str, Any]:
    """The message at the head of the thread, then its replies, oldest first."""
    channel = _readable(world, ask)
    asked = world.message(channel.id, ask.text("ts"))
    if asked is None or asked.ephemeral_to:
        raise SlackError("thread_not_found")
    head = world.message(channel.id, asked.thread_ts) if asked.thread_ts else asked
    below = world.thread(channel.id, asked.thread_ts or asked.ts)
    rows, beside = _page(ask, _within(ask, below))
    full = ask.flag("include_all_metadata")
    return {"messages": [message_json(world, m, metadata=full) for m in [*([head] if head else []), *rows]]} | beside


def check_name(world: World, name: str) -> None:
    if not name:
        raise SlackError("invalid_name_required")
    if len(name) > NAME_LENGTH:
        raise SlackError("invalid_name_maxlength")
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise SlackError("invalid_name_specials")
    if not re.search(r"[a-z0-9]", name):
        raise SlackError("invalid_name_punctuation")
    if any(c.name == name and not c.is_im for c in world.channels.values()):
        raise SlackError("name_taken")


def create(world: World, ask: Ask) -> dict[str, Any]:
    name = ask.text("name")
    check_name(world, name)
    private = ask.flag("is_private")
    if private and "groups:write" not in world.scopes:
        raise SlackError("missing_scope", needed="groups:write", provided=",".join(sorted(world.scopes)))
    if not world.makes_channels:
        raise SlackError("restricted_action")
    made = world.add_channel(name, members=[world.bot_user], is_private=private)
    return {"channel": channel_json(world, made)}


def _mine(world: World, ask: Ask) -> Channel:
    """A channel the bot may change: open, and the bot in it."""
    channel = the_channel(world, ask)
    if channel.is_im:
        raise SlackError("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise SlackError("is_archived")
    if world.bot_user not in channel.members:
        raise SlackError("not_in_channel")
    world.touch()
    return channel


def invite(world: World, ask: Ask) -> dict[str, Any]:
    channel = _mine(world, ask)
    names = ask.names("users")
    if not names:
        raise SlackError("no_user")
    problems = []
    for name in names:
        code = ""
        if name not in world.users:
            code = "user_not_found"
        elif name == world.bot_user:
            code = "cant_invite_self"
        elif name in channel.members:
            code = "already_in_channel"
        elif world.users[name].is_bot:
            code = "cant_invite"
        elif world.users[name].is_guest:
            code = "user_is_restricted"
        if code:
            problems.append({"user": name, "ok": False, "error": code})
    refused = {str(one["user"]) for one in problems}
    able = [name for name in dict.fromkeys(names) if name not in refused]
    if problems and not (ask.flag("force") and able):
        raise SlackError(str(problems[0]["error"]), errors=problems)
    channel.members.extend(able)
    return {"channel": channel_json(world, channel)} | ({"errors": problems} if problems else {})


def archive(world: World, ask: Ask) -> dict[str, Any]:
    channel = the_channel(world, ask)
    if channel.is_archived:
        raise SlackError("already_archived")
    if channel.name == "general":
        raise SlackError("cant_archive_general")
    if world.bot_user not in channel.members:
        raise SlackError("not_in_channel")
    channel.is_archived = True
    world.touch()
    return {}


def unarchive(world: World, ask: Ask) -> dict[str, Any]:
    channel = the_channel(world, ask)
    if not channel.is_archived:
        raise SlackError("not_archived")
    channel.is_archived = False
    world.touch()
    return {}


def set_topic(world: World, ask: Ask) -> dict[str, Any]:
    channel = _mine(world, ask)
    if len(ask.text("topic")) > TOPIC_LENGTH:
        raise SlackError("too_long")
    channel.topic = ask.text("topic")
    return {"channel": channel_json(world, channel)}


def set_purpose(world: World, ask: Ask) -> dict[str, Any]:
    channel = _mine(world, ask)
    if len(ask.text("purpose")) > TOPIC_LENGTH:
        raise SlackError("too_long")
    channel.purpose = ask.text("purpose")
    return {"purpose": channel.purpose, "channel": channel_json(world, channel)}


def rename(world: World, ask: Ask) -> dict[str, Any]:
    channel = _mine(world, ask)
    if channel.creator != world.bot_user:
        raise SlackError("not_authorized")
    check_name(world, ask.text("name"))
    channel.name = ask.text("name")
    return {"channel": channel_json(world, channel)}


def join(world: World, ask: Ask) -> dict[str, Any]:
    channel = the_channel(world, ask)
    if channel.is_archived:
        raise SlackError("is_archived")
    if channel.is_private:
        raise SlackError("method_not_supported_for_channel_type")
    if world.bot_user in channel.members:
        return {"channel": channel_json(world, channel), "warning": "already_in_channel"}
    channel.members.append(world.bot_user)
    world.touch()
    return {"channel": channel_json(world, channel)}


def info(world: World, ask: Ask) -> dict[str, Any]:
    return {"channel": channel_json(world, the_channel(world, ask))}


def members(world: World, ask: Ask) -> dict[str, Any]:
    rows, beside = _page(ask, the_channel(world, ask).members)
    return {"members": rows, "response_metadata": beside["response_metadata"]}


def listing(world: World, ask: Ask) -> dict[str, Any]:
    kinds = ask.names("types") or ["public_channel"]
    chosen = []
    for channel in world.channels.values():
        kind = "im" if channel.is_im else "private_channel" if channel.is_private else "public_channel"
        hidden = channel.is_private and world.bot_user not in channel.members
        if kind in kinds and not hidden and not (channel.is_archived and ask.flag("exclude_archived")):
            chosen.append(channel)
    rows, beside = _page(ask, chosen, most=1000)
    return {"channels": [channel_json(world, c) for c in rows], "response_metadata": beside["response_metadata"]}


def mine(world: World, ask: Ask) -> dict[str, Any]:
    """users.conversations without a user: the channels the bot itself is in."""
    kinds = ask.names("types") or ["public_channel"]
    chosen = [
        channel
        for channel in world.channels.values()
        if not channel.is_im
        and world.bot_user in channel.members
        and ("private_channel" if channel.is_private else "public_channel") in kinds
        and not (channel.is_archived and ask.flag("exclude_archived"))
    ]
    rows, beside = _page(ask, chosen, most=1000)
    return {"channels": [channel_json(world, c) for c in rows], "response_metadata": beside["response_metadata"]}


def open_direct(world: World, ask: Ask) -> dict[str, Any]:
    names = ask.names("users")
    if len(names) != 1 or names[0] not in world.users or names[0] == world.bot_user:
        raise SlackError("user_not_found" if names else "users_list_not_supplied")
    world.touch()
    return {"channel": channel_json(world, world.direct(names[0]))}


def user_info(world: World, ask: Ask) -> dict[str, Any]:
    user = world.users.get(ask.text("user"))
    if user is None:
        raise SlackError("user_not_found")
    return {"user": user_json(world, user)}


def user_list(world: World, ask: Ask) -> dict[str, Any]:
    rows, beside = _page(ask, list(world.users.values()))
    return {"members": [user_json(world, u) for u in rows], "cache_ts": int(time.time())} | {
        "response_metadata": beside["response_metadata"]
    }


def user_by_email(world: World, ask: Ask) -> dict[str, Any]:
    email = ask.text("email").lower()
    found = next((u for u in world.users.values() if email and u.email.lower() == email), None)
    if found is None:
        raise SlackError("users_not_found")
    return {"user": user_json(world, found)}


def group_list(world: World, _ask: Ask) -> dict[str, Any]:
    return {
        "usergroups": [
            {"id": g.id, "team_id": world.team, "handle": g.handle, "name": g.name, "user_count": len(g.users)}
            for g in world.groups.values()
        ]
    }


def group_users(world: World, ask: Ask) -> dict[str, Any]:
    group = world.groups.get(ask.text("usergroup"))
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}


METHODS: dict[str, Method] = {
    "conversations.history": Method(history),
    "conversations.replies": Method(replies),
    "conversations.create": Method(create, "channels:manage"),
    "conversations.invite": Method(invite, "channels:manage"),
    "conversations.archive": Method(archive, "channels:manage"),
    "conversations.unarchive": Method(unarchive, "channels:manage"),
    "conversations.setTopic": Method(set_topic, "channels:manage"),
    "conversations.setPurpose": Method(set_purpose, "channels:manage"),
    "conversations.rename": Method(rename, "channels:manage"),
    "conversations.join": Method(join, "channels:join"),
    "conversations.info": Method(info, "channels:read"),
    "conversations.members": Method(members, "channels:read"),
    "conversations.list": Method(listing, "channels:read"),
    "conversations.open": Method(open_direct, "im:write"),
    "users.conversations": Method(mine, "channels:read"),
    "users.info": Method(user_info, "users:read"),
    "users.list": Method(user_list, "users:read"),
    "users.lookupByEmail": Method(user_by_email, "users:read.email"),
    "usergroups.list": Method(group_list, "usergroups:read"),
    "usergroups.users.list": Method(group_users, "usergroups:read"),
}
