"""The stand-in's chat, reaction, pin and bookmark methods: what becomes of messages."""

from __future__ import annotations

import json
import re
from typing import Any

from bot.integrations.slack.fake_api import Ask, Method, SlackError, refuse_blocks, the_channel, the_message
from bot.integrations.slack.fake_blocks import check_blocks, too_long, with_ids
from bot.integrations.slack.fake_world import Channel, Message, World

TEXT_KEPT = 40_000
"""chat.postMessage cuts longer texts at this many characters and says so nowhere but in a warning."""
EDIT_TEXT = 4_000
"""chat.update refuses longer texts."""
METADATA_BYTES = 15_000
EMOJI = re.compile(r"[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?")


def message_json(world: World, message: Message, *, metadata: bool = False) -> dict[str, Any]:
    """A message as the Web API and the events show it."""
    out: dict[str, Any] = {
        "type": "message",
        "user": message.user,
        "text": message.text,
        "ts": message.ts,
        "team": world.team,
    }
    if message.bot_id:
        out["bot_id"], out["app_id"] = message.bot_id, world.app_id
        bot = world.users[world.bot_user]
        out["bot_profile"] = {
            "id": message.bot_id,
            "app_id": world.app_id,
            "name": bot.real_name,
            "team_id": world.team,
        }
    optional: dict[str, Any] = {
        "blocks": message.blocks,
        "attachments": message.attachments,
        "username": message.username,
        "edited": message.edited,
        "metadata": message.metadata if metadata else None,
        "files": [file_json(world, name) for name in message.files],
        "reactions": [{"name": n, "users": who, "count": len(who)} for n, who in message.reactions.items()],
    }
    out |= {name: value for name, value in optional.items() if value}
    channel = world.channels[message.channel]
    if message.deleted:
        out["subtype"], out["hidden"] = "tombstone", True
    if message.ts in channel.pins:
        out["pinned_to"] = [channel.id]
    replies = world.thread(message.channel, message.ts)
    if message.thread_ts and message.thread_ts != message.ts:
        out["thread_ts"] = message.thread_ts
        parent = world.message(message.channel, message.thread_ts)
        out["parent_user_id"] = parent.user if parent else ""
        if message.broadcast:
            out["subtype"] = "thread_broadcast"
    elif replies:
        who = list(dict.fromkeys(reply.user for reply in replies))
        out |= {
            "thread_ts": message.ts,
            "reply_count": len(replies),
            "reply_users": who,
            "latest_reply": replies[-1].ts,
        }
    return json.loads(json.dumps(out))  # type: ignore[no-any-return]


def file_json(world: World, name: str) -> dict[str, Any]:
    kept = world.files[name]
    return {
        "id": kept.id,
        "name": kept.name,
        "title": kept.title,
        "size": kept.length,
        "user": kept.user,
        "created": kept.created,
        "mode": "hosted",
        "filetype": kept.name.rpartition(".")[2] or "text",
        "permalink": f"https://{world.domain}.slack.com/files/{kept.user}/{kept.id}/{kept.name}",
    }


def content_of(
    ask: Ask, *, most: int = 0, blocks_code: str = "invalid_blocks"
) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    """Text, blocks and attachments of a message, checked. ``most`` > 0 refuses longer texts; otherwise they are cut."""
    text = ask.text("text") or ask.text("markdown_text")
    blocks = ask.json("blocks", "invalid_blocks_format")
    attachments = ask.json("attachments", "invalid_attachments") or []
    if blocks is not None and not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    refuse_blocks(blocks_code, check_blocks(blocks or []))
    if not text.strip() and not blocks and not attachments:
        raise SlackError("no_text")
    if len(attachments) > 100:
        raise SlackError("too_many_attachments")
    if most and len(text) > most:
        raise SlackError("msg_too_long")
    if too_long(blocks or []):
        raise SlackError("msg_blocks_too_long")
    return text[:TEXT_KEPT], with_ids(blocks or []), list(attachments)


def metadata_of(ask: Ask) -> dict[str, Any] | None:
    """Message metadata: an event_type and an object of plain values, at most 15,000 bytes."""
    value = ask.json("metadata", "invalid_metadata_format")
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("event_payload"), dict) or "event_type" not in value:
        raise SlackError("invalid_metadata_format")
    if not isinstance(value["event_type"], str) or not re.fullmatch(r"[A-Za-z0-9_:.-]{1,255}", value["event_type"]):
        raise SlackError("invalid_metadata_schema")
    if len(json.dumps(value)) > METADATA_BYTES:
        raise SlackError("metadata_too_large")
    return {"event_type": value["event_type"], "event_payload": value["event_payload"]}


def writable(world: World, ask: Ask) -> Channel:
    """The channel to post to: by id or name, or a person for a direct message; open, and the bot in it."""
    name = ask.text("channel")
    if name in world.users and name != world.bot_user:
        return world.direct(name)
    channel = the_channel(world, ask, by_name=True)
    if channel.is_archived:
        raise SlackError("is_archived")
    if world.bot_user not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def the_thread(world: World, ask: Ask, channel: Channel) -> str:
    """The thread to answer in: a message that exists; a reply's own ts leads to its thread."""
    ts = ask.text("thread_ts")
    if not ts:
        return ""
    if not re.fullmatch(r"\d{1,12}\.\d{6}", ts):
        raise SlackError(
            "invalid_thread_ts", response_metadata={"messages": [f"[ERROR] {ts} is not a valid thread_ts"]}
        )
    parent = world.message(channel.id, ts)
    if parent is None or parent.ephemeral_to:
        raise SlackError("thread_not_found")
    return parent.thread_ts or parent.ts


def post(world: World, ask: Ask) -> dict[str, Any]:
    channel = writable(world, ask)
    text, blocks, attachments = content_of(ask)
    thread = the_thread(world, ask, channel)
    sent = len(ask.text("text") or ask.text("markdown_text"))
    message = Message(
        channel.id,
        world.next_ts(),
        world.bot_user,
        text,
        thread_ts=thread,
        broadcast=bool(thread) and ask.flag("reply_broadcast"),
        blocks=blocks,
        attachments=attachments,
        metadata=metadata_of(ask),
        bot_id=world.bot_id,
        username=ask.text("username"),
    )
    world.put(message)
    out = {"channel": channel.id, "ts": message.ts, "message": message_json(world, message, metadata=True)}
    return out | ({"warning": "message_truncated"} if sent > TEXT_KEPT else {})


def update(world: World, ask: Ask) -> dict[str, Any]:
    channel = the_channel(world, ask)
    message = the_message(world, ask, channel)
    if message.bot_id != world.bot_id:
        raise SlackError("cant_update_message")
    if channel.is_archived:
        raise SlackError("is_archived")
    text, blocks, attachments = content_of(ask, most=EDIT_TEXT)
    if ask.json("metadata", "invalid_metadata_format") == {}:
        message.metadata = None
    elif (metadata := metadata_of(ask)) is not None:
        message.metadata = metadata
    message.text, message.blocks, message.attachments = text, blocks, attachments
    message.edited = {"user": world.bot_user, "ts": world.next_ts()}
    world.touch()
    return {
        "channel": channel.id,
        "ts": message.ts,
        "text": text,
        "message": message_json(world, message, metadata=True),
    }


def delete(world: World, ask: Ask) -> dict[str, Any]:
    channel = the_channel(world, ask)
    message = the_message(world, ask, channel)
    if message.bot_id != world.bot_id:
        raise SlackError("cant_delete_message")
    world.drop(message)
    return {"channel": channel.id, "ts": message.ts}


def post_ephemeral(world: World, ask: Ask) -> dict[str, Any]:
    channel = writable(world, ask)
    user = ask.need("user", "user_not_found")
    if user not in world.users:
        raise SlackError("user_not_found")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    text, blocks, attachments = content_of(ask)
    thread = the_thread(world, ask, channel)
    ts = world.next_ts()
    world.put(
        Message(
            channel.id,
            ts,
            world.bot_user,
            text,
            thread_ts=thread,
            blocks=blocks,
            attachments=attachments,
            bot_id=world.bot_id,
            ephemeral_to=user,
        )
    )
    return {"message_ts": ts}


def permalink(world: World, ask: Ask) -> dict[str, Any]:
    channel = the_channel(world, ask)
    message = the_message(world, ask, channel, "message_ts")
    return {"channel": channel.id, "permalink": world.permalink(message)}


def _reaction(world: World, ask: Ask) -> tuple[Message, str]:
    name = ask.need("name", "no_reaction").strip(":")
    if not EMOJI.fullmatch(name):
        raise SlackError("invalid_name")
    if not ask.text("channel") or not ask.text("timestamp"):
        raise SlackError("no_item_specified")
    channel = the_channel(world, ask)
    if channel.is_archived:
        raise SlackError("is_archived")
    return the_message(world, ask, channel, "timestamp"), name


def add_reaction(world: World, ask: Ask) -> dict[str, Any]:
    message, name = _reaction(world, ask)
    who = message.reactions.setdefault(name, [])
    if world.bot_user in who:
        raise SlackError("already_reacted")
    who.append(world.bot_user)
    world.touch()
    world.tell(reaction_event(world, message, name, world.bot_user), world.channels[message.channel])
    return {}


def remove_reaction(world: World, ask: Ask) -> dict[str, Any]:
    message, name = _reaction(world, ask)
    if world.bot_user not in message.reactions.get(name, []):
        raise SlackError("no_reaction")
    unreact(message, name, world.bot_user)
    world.touch()
    event = reaction_event(world, message, name, world.bot_user, removed=True)
    world.tell(event, world.channels[message.channel])
    return {}


def reaction_event(world: World, message: Message, name: str, user: str, *, removed: bool = False) -> dict[str, Any]:
    """What the app hears of a reaction: which message, never what it says."""
    return {
        "type": "reaction_removed" if removed else "reaction_added",
        "user": user,
        "reaction": name,
        "item": {"type": "message", "channel": message.channel, "ts": message.ts},
        "item_user": message.user,
        "event_ts": world.next_ts(),
    }


def pin_event(world: World, message: Message, user: str, *, removed: bool = False) -> dict[str, Any]:
    """What the app hears of a pin, with the message as it was then."""
    channel, now = world.channels[message.channel], world.next_ts()
    shown = message_json(world, message) | {"permalink": world.permalink(message)}
    seconds = int(float(now))
    event = {
        "type": "pin_removed" if removed else "pin_added",
        "user": user,
        "channel_id": channel.id,
        "item": {
            "type": "message",
            "channel": channel.id,
            "created": seconds,
            "created_by": user,
            "message": shown,
        },
        "item_user": message.user,
        "pin_count": len(channel.pins),
        "pinned_info": {"channel": channel.id, "pinned_by": user, "pinned_ts": seconds},
        "event_ts": now,
    }
    return event | ({"has_pins": bool(channel.pins)} if removed else {})


def unreact(message: Message, name: str, user: str) -> None:
    message.reactions[name].remove(user)
    if not message.reactions[name]:
        del message.reactions[name]


def get_reactions(world: World, ask: Ask) -> dict[str, Any]:
    channel = the_channel(world, ask)
    message = the_message(world, ask, channel, "timestamp")
    return {"type": "message", "channel": channel.id, "message": message_json(world, message)}


def _pin_target(world: World, ask: Ask) -> tuple[Channel, Message]:
    channel = the_channel(world, ask)
    if channel.is_archived:
        raise SlackError("is_archived")
    if world.bot_user not in channel.members:
        raise SlackError("not_in_channel")
    return channel, the_message(world, ask, channel, "timestamp")


def add_pin(world: World, ask: Ask) -> dict[str, Any]:
    channel, message = _pin_target(world, ask)
    if message.ts in channel.pins:
        raise SlackError("already_pinned")
    channel.pins.append(message.ts)
    world.touch()
    world.tell(pin_event(world, message, world.bot_user), channel)
    return {}


def remove_pin(world: World, ask: Ask) -> dict[str, Any]:
    channel, message = _pin_target(world, ask)
    if message.ts not in channel.pins:
        raise SlackError("no_pin")
    channel.pins.remove(message.ts)
    world.touch()
    world.tell(pin_event(world, message, world.bot_user, removed=True), channel)
    return {}


def list_pins(world: World, ask: Ask) -> dict[str, Any]:
    channel = the_channel(world, ask)
    pinned = [world.messages[channel.id][ts] for ts in reversed(channel.pins) if ts in world.messages[channel.id]]
    rows = [{"type": "message", "channel": channel.id, "message": message_json(world, message)} for message in pinned]
    return {"items": rows}


METHODS: dict[str, Method] = {
    "chat.postMessage": Method(post, "chat:write"),
    "chat.update": Method(update, "chat:write"),
    "chat.delete": Method(delete, "chat:write"),
    "chat.postEphemeral": Method(post_ephemeral, "chat:write"),
    "chat.getPermalink": Method(permalink),
    "reactions.add": Method(add_reaction, "reactions:write"),
    "reactions.remove": Method(remove_reaction, "reactions:write"),
    "reactions.get": Method(get_reactions, "reactions:read"),
    "pins.add": Method(add_pin, "pins:write"),
    "pins.remove": Method(remove_pin, "pins:write"),
    "pins.list": Method(list_pins, "pins:read"),
}
