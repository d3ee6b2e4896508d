"""What the people of the stand-in's workspace do in channels: write, run commands, press, react, use shortcuts."""

from __future__ import annotations

import secrets
import time
from typing import Any

from bot.integrations.slack.fake_api import SlackError
from bot.integrations.slack.fake_chat import EMOJI, message_json, pin_event, reaction_event, unreact
from bot.integrations.slack.fake_delivery import INTERACTIVE, SLASH, Delivery
from bot.integrations.slack.fake_hooks import new_hook, respond
from bot.integrations.slack.fake_inputs import action_of, find_element, initial_inputs
from bot.integrations.slack.fake_world import Channel, Hook, Message, User, World

Done = dict[str, Any]
"""``ok``, and ``error`` where it is False; more as each action says."""
EVENTS = (
    "app_home_opened", "app_mention", "message", "pin_added", "pin_removed", "reaction_added", "reaction_removed",
)  # fmt: skip
TOMBSTONE = "This message was deleted."


class NotPossible(Exception):
    """Slack's own client would not let the person do this; the text is the error they see."""


class People:
    """Actions of persons, callable from any thread but the server's own. Channels and users by id or name."""

    def __init__(self, world: World, delivery: Delivery, command: str) -> None:
        self.world = world
        self.delivery = delivery
        self.command = command
        self.commands = {command}
        """Every slash command the app has registered; add the subjects' own here."""
        self.url = ""
        """The stand-in's own address, for response_url; learnt from the last request."""
        self.events = set(EVENTS)
        """The event types the app has subscribed to; others are not sent."""
        self._last_event: dict[str, Any] | None = None
        world.tell = lambda event, channel: self.emit(event, channel=channel)

    # Looking things up.

    def _who(self, user: str) -> User:
        found = self.world.user(user)
        if found is None:
            raise NotPossible("user_not_found")
        return found

    def _where(self, channel: str, user: User) -> Channel:
        found = self.world.channel(channel)
        if found is None:
            raise NotPossible("channel_not_found")
        if found.is_archived:
            raise NotPossible("is_archived")
        if user.id not in found.members:
            raise NotPossible("not_in_channel")
        return found

    def _message(self, channel: Channel, ts: str, user: User) -> Message:
        found = self.world.message(channel.id, ts)
        if found is None or found.ephemeral_to not in ("", user.id):
            raise NotPossible("message_not_found")
        return found

    def _person_json(self, user: User) -> dict[str, str]:
        return {"id": user.id, "username": user.name, "name": user.name, "team_id": self.world.team}

    def interaction(self, kind: str, user: User) -> dict[str, Any]:
        """What every interactive payload starts with."""
        return {
            "type": kind,
            "team": {"id": self.world.team, "domain": self.world.domain},
            "enterprise": None,
            "is_enterprise_install": False,
            "api_app_id": self.world.app_id,
            "token": "stand-in",
            "user": self._person_json(user),
        }

    # Events.

    def emit(self, event: dict[str, Any], *, channel: Channel | None = None) -> None:
        """Tell the app of an event, when it may see it: in channels it is in, with the scope for it."""
        if channel is not None and self.world.bot_user not in channel.members:
            return
        if event["type"] not in self.events:
            return
        scope = _event_scope(event["type"], channel)
        if scope and scope not in self.world.scopes:
            return
        payload = self._event_payload(event)
        self._last_event = payload
        self.delivery.event(payload)

    def _event_payload(self, event: dict[str, Any]) -> dict[str, Any]:
        world = self.world
        seen_by = {"enterprise_id": None, "team_id": world.team, "user_id": world.bot_user, "is_bot": True}
        return {
            "token": "stand-in",
            "team_id": world.team,
            "api_app_id": world.app_id,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev0{secrets.token_hex(5).upper()}",
            "event_time": int(time.time()),
            "authorizations": [seen_by | {"is_enterprise_install": False}],
            "is_ext_shared_channel": False,
            "event_context": f"1-{event['type']}-{world.team}-{event.get('channel', '')}",
        }

    def redeliver_last(self, *, new_event_id: bool = False) -> Done:
        """Send the last event once more and wait: as a retry of the same, or as if it had happened again."""
        if self._last_event is None:
            return {"ok": False, "error": "no_event"}
        payload, retry, reason = self._last_event, 1, "timeout"
        if new_event_id:
            payload = payload | {"event_id": f"Ev0{secrets.token_hex(5).upper()}"}
            retry, reason = 0, ""
        ack = self.delivery.send("events_api", payload, retry=retry, reason=reason)
        return {"ok": not ack.error, "event_id": payload["event_id"]} | ({"error": ack.error} if ack.error else {})

    # Writing.

    def say(self, channel: str, user: str, text: str, thread_ts: str | None = None) -> Done:
        """Write a message; returns its ``channel`` and ``ts``."""
        world = self.world
        with world.changing():
            person = self._who(user)
            place = self._where(channel, person)
            if not text.strip():
                raise NotPossible("no_text")
            parent = world.message(place.id, thread_ts) if thread_ts else None
            if thread_ts and parent is None:
                raise NotPossible("thread_not_found")
            message = Message(place.id, world.next_ts(), person.id, text)
            message.thread_ts = (parent.thread_ts or parent.ts) if parent else ""
            world.put(message)
            body = message_json(world, message)
        kind = "im" if place.is_im else "group" if place.is_private else "channel"
        event = body | {"channel": place.id, "event_ts": message.ts, "channel_type": kind}
        event["client_msg_id"] = secrets.token_hex(16)
        self.emit(event, channel=place)
        if f"<@{world.bot_user}>" in text and not place.is_im:
            mention = {k: v for k, v in event.items() if k != "channel_type"} | {"type": "app_mention"}
            self.emit(mention, channel=place)
        return {"ok": True, "channel": place.id, "ts": message.ts}

    def edit(self, channel: str, ts: str, user: str, text: str) -> Done:
        """Change one's own message."""
        world = self.world
        with world.changing():
            person = self._who(user)
            place = self._where(channel, person)
            message = self._message(place, ts, person)
            if message.user != person.id:
                raise NotPossible("cant_update_message")
            before = message_json(world, message)
            now = world.next_ts()
            message.text, message.edited = text, {"user": person.id, "ts": now}
            world.touch()
            after = message_json(world, message)
        changed = {"subtype": "message_changed", "message": after, "previous_message": before}
        self._hidden(place, now, changed)
        return {"ok": True, "channel": place.id, "ts": ts}

    def delete(self, channel: str, ts: str, user: str) -> Done:
        """Delete one's own message; of the head of a thread its place stays, as long as somebody has answered."""
        world = self.world
        with world.changing():
            person = self._who(user)
            place = self._where(channel, person)
            message = self._message(place, ts, person)
            if message.user != person.id:
                raise NotPossible("cant_delete_message")
            before = message_json(world, message)
            told: dict[str, Any] = {"subtype": "message_deleted", "deleted_ts": ts, "previous_message": before}
            if world.thread(place.id, ts):
                message.text, message.user, message.deleted = TOMBSTONE, "USLACKBOT", True
                message.blocks, message.attachments, message.files, message.reactions = [], [], [], {}
                place.pins = [pin for pin in place.pins if pin != ts]
                world.touch()
                shown = message_json(world, message)
                told = {"subtype": "message_changed", "message": shown, "previous_message": before}
            else:
                world.drop(message)
            now = world.next_ts()
        self._hidden(place, now, told)
        return {"ok": True, "channel": place.id, "ts": ts}

    def _hidden(self, place: Channel, ts: str, more: dict[str, Any]) -> None:
        event = {"type": "message", "hidden": True, "channel": place.id, "ts": ts, "event_ts": ts}
        self.emit(event | {"channel_type": "group" if place.is_private else "channel"} | more, channel=place)

    def react(self, channel: str, ts: str, user: str, emoji: str, *, remove: bool = False) -> Done:
        world = self.world
        name = emoji.strip(":")
        with world.changing():
            person = self._who(user)
            place = self._where(channel, person)
            message = self._message(place, ts, person)
            if not EMOJI.fullmatch(name):
                raise NotPossible("invalid_name")
            has = person.id in message.reactions.get(name, [])
            if has is not remove:
                raise NotPossible("no_reaction" if remove else "already_reacted")
            if remove:
                unreact(message, name, person.id)
            else:
                message.reactions.setdefault(name, []).append(person.id)
            world.touch()
            event = reaction_event(world, message, name, person.id, removed=remove)
        self.emit(event, channel=place)
        return {"ok": True}

    def pin(self, channel: str, ts: str, user: str, *, remove: bool = False) -> Done:
        """Pin a message to its channel, or take the pin off; anybody in the channel may do both."""
        world = self.world
        with world.changing():
            person = self._who(user)
            place = self._where(channel, person)
            message = self._message(place, ts, person)
            if message.ephemeral_to or message.deleted:
                raise NotPossible("not_pinnable")
            if (ts in place.pins) is not remove:
                raise NotPossible("no_pin" if remove else "already_pinned")
            if remove:
                place.pins.remove(ts)
            else:
                place.pins.append(ts)
            world.touch()
            event = pin_event(world, message, person.id, removed=remove)
        self.emit(event, channel=place)
        return {"ok": True}

    # Commands, presses, shortcuts: the person waits for the app.

    def slash(self, channel: str, user: str, command: str, text: str) -> Done:
        """Run a slash command; returns ``payload`` (the acknowledgement) and the ``ts`` of what it showed, if anything."""
        world = self.world
        with world.changing():
            person = self._who(user)
            place = self._where(channel, person)
            if command not in self.commands or "commands" not in world.scopes:
                raise NotPossible("unknown_command")
            hook = Hook(place.id, person.id, 0)
            payload = {
                "token": "stand-in",
                "team_id": world.team,
                "team_domain": world.domain,
                "channel_id": place.id,
                "channel_name": "directmessage" if place.is_im else place.name,
                "user_id": person.id,
                "user_name": person.name,
                "command": command,
                "text": text.strip(),
                "api_app_id": world.app_id,
                "is_enterprise_install": "false",
                "response_url": new_hook(world, self.url, channel=place.id, user=person.id),
                "trigger_id": world.new_trigger(person.id),
            }
        ack = self.delivery.send(SLASH, payload)
        if ack.error:
            return {"ok": False, "error": ack.error}
        if not ack.payload.get("text") and not ack.payload.get("blocks"):
            return {"ok": True, "payload": ack.payload, "ts": None}
        try:
            with world.changing():
                shown = respond(world, hook, ack.payload)
        except SlackError:
            return {"ok": False, "error": "invalid_command_response"}
        return {"ok": True, "payload": ack.payload, "ts": shown.ts if shown else None}

    def press(
        self,
        channel: str,
        ts: str,
        action_id: str,
        user: str,
        *,
        block_id: str | None = None,
        value: Any = None,
        selected: Any = None,
    ) -> Done:
        """Press or choose in a message. ``selected``: an option's value, an id, a date, or a list of them."""
        world = self.world
        with world.changing():
            person = self._who(user)
            place = self._where(channel, person)
            message = self._message(place, ts, person)
            found = find_element(message.blocks, action_id, block_id)
            if found is None:
                raise NotPossible("element_not_found")
            block, part = found
            if part["type"] == "button" and value is not None and value != part.get("value"):
                raise NotPossible("element_not_found")
            made = action_of(part, block["block_id"], value if selected is None else selected, world.next_ts())
            if made is None:
                raise NotPossible("option_not_offered")
            action, now = made
            mine = message.inputs.setdefault(person.id, {})
            if now is not None:
                mine[f"{block['block_id']} {action_id}"] = now
            payload = self._press_payload(person, place, message, action)
            world.touch()
        ack = self.delivery.send(INTERACTIVE, payload)
        return {"ok": not ack.error, "action": action} | ({"error": ack.error} if ack.error else {})

    def _press_payload(self, person: User, place: Channel, message: Message, action: dict[str, Any]) -> dict[str, Any]:
        world = self.world
        ephemeral = bool(message.ephemeral_to)
        container = {"type": "message", "message_ts": message.ts, "channel_id": place.id, "is_ephemeral": ephemeral}
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        values = initial_inputs(message.blocks)
        for where, kept in message.inputs.get(person.id, {}).items():
            block, _, name = where.partition(" ")
            values.setdefault(block, {})[name] = kept
        payload = self.interaction("block_actions", person) | {
            "container": container,
            "trigger_id": world.new_trigger(person.id),
            "channel": {"id": place.id, "name": "directmessage" if place.is_im else place.name},
            "state": {"values": values},
            "response_url": new_hook(world, self.url, channel=place.id, user=person.id, message=message),
            "actions": [action],
        }
        return payload if ephemeral else payload | {"message": message_json(world, message)}

    def shortcut(self, callback_id: str, user: str, channel: str | None = None, ts: str | None = None) -> Done:
        """A global shortcut, or with ``channel`` and ``ts`` one on a message."""
        world = self.world
        with world.changing():
            person = self._who(user)
            stamp = f"{time.time():.6f}"
            extra = {"callback_id": callback_id, "trigger_id": world.new_trigger(person.id), "action_ts": stamp}
            payload = self.interaction("shortcut" if ts is None else "message_action", person) | extra
            if ts is not None:
                place = self._where(channel or "", person)
                message = self._message(place, ts, person)
                payload["channel"] = {"id": place.id, "name": place.name}
                payload["message_ts"] = ts
                payload["message"] = message_json(world, message)
                payload["response_url"] = new_hook(world, self.url, channel=place.id, user=person.id, message=message)
        ack = self.delivery.send(INTERACTIVE, payload)
        return {"ok": not ack.error} | ({"error": ack.error} if ack.error else {})


def _event_scope(kind: str, channel: Channel | None) -> str:
    if kind == "app_mention":
        return "app_mentions:read"
    if kind.startswith("reaction_"):
        return "reactions:read"
    if kind.startswith("pin_"):
        return "pins:read"
    if kind == "message" and channel is not None:
        return "im:history" if channel.is_im else "groups:history" if channel.is_private else "channels:history"
    return ""
