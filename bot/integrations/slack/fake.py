"""A stand-in for Slack: a workspace with people in it, spoken to over Slack's own Web API, Socket Mode and signed requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.integrations.slack import fake_bookmarks, fake_chat, fake_conversations, fake_files, fake_views
from bot.integrations.slack.fake_api import Api, Ask, Method, SlackError
from bot.integrations.slack.fake_chat import file_json
from bot.integrations.slack.fake_conversations import check_name
from bot.integrations.slack.fake_delivery import Delivery
from bot.integrations.slack.fake_hooks import answer_hook
from bot.integrations.slack.fake_modals import ModalPeople, Values
from bot.integrations.slack.fake_people import Done, NotPossible
from bot.integrations.slack.fake_views import view_json
from bot.integrations.slack.fake_world import Channel, Group, Message, User, World, stable_id
from bot.standin import CallLog, Fault, Faults, Guard, Mode

BOT_TOKEN = "xoxb-stand-in"
APP_TOKEN = "xapp-stand-in"
SIGNING_SECRET = "stand-in-signing-secret"


class _SlackGuard(Guard):
    """Breaks as the others do, with the bodies Slack sends."""

    _CODES: ClassVar = {
        Mode.ERROR: "internal_error",
        Mode.UNAVAILABLE: "service_unavailable",
        Mode.TOO_MANY: "ratelimited",
    }

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.mode not in self._CODES:
            await super()._fail(fault, scope, receive, send)
            return
        headers = {"retry-after": str(fault.retry_after)} if fault.mode is Mode.TOO_MANY else {}
        body = {"ok": False, "error": self._CODES[fault.mode]}
        await JSONResponse(body, status_code=int(fault.mode.value), headers=headers)(scope, receive, send)


class FakeSlack:
    """One workspace with the app installed.

    Web API under ``/api/``, sockets at ``/socket``, uploads under ``/upload/v1/``, response addresses under
    ``/hooks/response/``. What persons do are methods (``say``, ``slash``, ``press``, …): call them from any thread but the
    server's own; they return ``{"ok": True, …}`` or ``{"ok": False, "error": …}`` and wait at most three seconds.
    """

    name = "slack"

    def __init__(
        self,
        calls: CallLog,
        *,
        bot_token: str = BOT_TOKEN,
        app_token: str = APP_TOKEN,
        signing_secret: str = SIGNING_SECRET,
        command: str = "/captain",
    ) -> None:
        self.world = World()
        self.faults = Faults()
        self.delivery = Delivery(self.world, signing_secret=signing_secret)
        self.people = ModalPeople(self.world, self.delivery, command)
        self.bot_token, self.app_token, self.signing_secret = bot_token, app_token, signing_secret
        self.api = Api(self.world, self._methods(), bot_token=bot_token, app_token=app_token)
        routes = [
            Route("/api/{method}", self._api, methods=["GET", "POST"]),
            Route("/hooks/response/{hook}", self._hook, methods=["POST"]),
            Route("/upload/v1/{file}", self._upload, methods=["POST", "PUT"]),
            WebSocketRoute("/socket", self.delivery.serve_socket),
        ]
        self.app: ASGIApp = _SlackGuard("slack", Starlette(routes=routes), self.faults, calls)

    def _methods(self) -> dict[str, Method]:
        own = {"auth.test": Method(self._auth_test), "api.test": Method(lambda _, ask: {"args": ask.args})}
        rooms = (fake_bookmarks, fake_chat, fake_conversations, fake_files, fake_views)
        return own | self.delivery.methods() | {name: method for room in rooms for name, method in room.METHODS.items()}

    def _auth_test(self, world: World, ask: Ask) -> dict[str, Any]:
        return {
            "url": f"{ask.base}/",
            "team": world.domain,
            "user": world.users[world.bot_user].name,
            "team_id": world.team,
            "user_id": world.bot_user,
            "bot_id": world.bot_id,
            "is_enterprise_install": False,
        }

    async def _api(self, request: Request) -> Response:
        self.people.url = f"{request.url.scheme}://{request.headers['host']}{request.scope.get('root_path', '')}"
        return await self.api.answer(request)

    async def _hook(self, request: Request) -> Response:
        return await answer_hook(self.world, request)

    async def _upload(self, request: Request) -> Response:
        return await fake_files.receive_upload(self.world, request)

    # Settings.

    @property
    def changed(self) -> list[Callable[[], None]]:
        """Called after every change, from whichever thread made it; keep them cheap."""
        return self.world.changed

    @changed.setter
    def changed(self, hear: list[Callable[[], None]]) -> None:
        self.world.changed = hear

    @property
    def scopes(self) -> set[str]:
        """The scopes the bot token has; take some away to see missing_scope."""
        return self.world.scopes

    @scopes.setter
    def scopes(self, scopes: set[str]) -> None:
        self.world.scopes = set(scopes)

    @property
    def events(self) -> set[str]:
        """The event types the app has subscribed to; what it leaves unanswered is sent up to four times."""
        return self.people.events

    @events.setter
    def events(self, events: set[str]) -> None:
        self.people.events = set(events)

    @property
    def request_url(self) -> str:
        """Where commands, presses and events go while no socket is connected; empty for nowhere."""
        return self.delivery.request_url

    @request_url.setter
    def request_url(self, url: str) -> None:
        self.delivery.request_url = url

    @property
    def limit_posts(self) -> bool:
        """True to hold chat.postMessage to one a second per channel, with a burst of three."""
        return self.api.limit_posts

    @limit_posts.setter
    def limit_posts(self, on: bool) -> None:
        self.api.limit_posts = on

    @property
    def url(self) -> str:
        """The stand-in's own address as response_url uses it; learnt from the bot's requests, or set."""
        return self.people.url

    @url.setter
    def url(self, url: str) -> None:
        self.people.url = url.rstrip("/")

    @property
    def bot_user(self) -> str:
        return self.world.bot_user

    def user_id(self, name: str) -> str:
        """The id of a person by name; KeyError for a stranger."""
        found = self.world.user(name)
        if found is None:
            raise KeyError(name)
        return found.id

    def channel_id(self, name: str) -> str:
        """The id of a channel by name, with or without #; KeyError for none."""
        found = self.world.channel(name)
        if found is None:
            raise KeyError(name)
        return found.id

    def add_channel(self, name: str, *, members: list[str] | None = None, is_private: bool = False) -> str:
        """A new channel with everybody in it, or with ``members`` (names or ids); returns its id."""
        try:
            check_name(self.world, name)
        except SlackError as no:
            raise ValueError(f"#{name}: {no.code}") from None
        who = None if members is None else [self.user_id(member) for member in members]
        return self.world.add_channel(name, members=who, is_private=is_private).id

    def add_user(self, name: str, *, real_name: str = "", email: str = "", channels: list[str] | None = None) -> str:
        """A new person, in every public channel or in ``channels``; returns the id."""
        user = self.world.add_user(name, real_name=real_name, email=email)
        with self.world.changing():
            for channel in self.world.channels.values():
                wanted = not channel.is_private if channels is None else channel.name in channels
                if wanted and not channel.is_im:
                    channel.members.append(user.id)
            self.world.touch()
        return user.id

    def add_usergroup(self, handle: str, users: list[str]) -> str:
        """A new user group; returns its id."""
        made = Group(stable_id("S", handle), handle, handle.capitalize(), [self.user_id(user) for user in users])
        with self.world.changing():
            self.world.groups[made.id] = made
            self.world.touch()
        return made.id

    # What persons do.

    def _do(self, act: Callable[..., Done], *args: Any, **more: Any) -> Done:
        try:
            return act(*args, **more)
        except NotPossible as no:
            return {"ok": False, "error": str(no)}

    def say(self, channel: str, user: str, text: str, thread_ts: str | None = None) -> Done:
        """Write a message; returns ``channel`` and ``ts``. The app hears of it in the background."""
        return self._do(self.people.say, channel, user, text, thread_ts)

    def edit(self, channel: str, ts: str, user: str, text: str) -> Done:
        return self._do(self.people.edit, channel, ts, user, text)

    def delete(self, channel: str, ts: str, user: str) -> Done:
        return self._do(self.people.delete, channel, ts, user)

    def slash(self, channel: str, user: str, command: str, text: str = "") -> Done:
        """Run a slash command; returns ``payload`` (the acknowledgement) and the ``ts`` of what it showed, or None."""
        return self._do(self.people.slash, channel, user, command, text)

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
        """Press a button or choose in a message. ``selected``: an option's value, an id, a date, or a list of them."""
        return self._do(
            self.people.press, channel, ts, action_id, user, block_id=block_id, value=value, selected=selected
        )

    def press_view(
        self,
        view_id: str,
        action_id: str,
        user: str,
        *,
        block_id: str | None = None,
        value: Any = None,
        selected: Any = None,
        values: Values | None = None,
    ) -> Done:
        """The same in a modal or on the home tab; ``values`` is what else stands in its inputs by then."""
        return self._do(
            self.people.press_view,
            view_id,
            action_id,
            user,
            block_id=block_id,
            value=value,
            selected=selected,
            values=values,
        )

    def submit_view(self, view_id: str, user: str, values: Values | None = None) -> Done:
        """Submit a modal: ``values`` by block_id and action_id; ``errors`` in the answer when an input is refused."""
        return self._do(self.people.submit_view, view_id, user, values)

    def close_view(self, view_id: str, user: str) -> Done:
        return self._do(self.people.close_view, view_id, user)

    def shortcut(self, callback_id: str, user: str, channel: str | None = None, ts: str | None = None) -> Done:
        """A global shortcut, or with ``channel`` and ``ts`` one on a message."""
        return self._do(self.people.shortcut, callback_id, user, channel, ts)

    def react(self, channel: str, ts: str, user: str, emoji: str, *, remove: bool = False) -> Done:
        return self._do(self.people.react, channel, ts, user, emoji, remove=remove)

    def pin(self, channel: str, ts: str, user: str, *, remove: bool = False) -> Done:
        return self._do(self.people.pin, channel, ts, user, remove=remove)

    def open_home(self, user: str) -> Done:
        return self._do(self.people.open_home, user)

    def redeliver_last(self, new_event_id: bool = False) -> Done:
        """Send the last event once more: as a retry, or with a new event_id as if it had happened again."""
        return self.people.redeliver_last(new_event_id=new_event_id)

    def settled(self, timeout: float = 5.0) -> bool:
        """Wait until every event under way was acknowledged or given up."""
        return self.delivery.errands.settled(timeout)

    def refresh_sockets(self, *, linger: float = 0.5) -> int:
        """Tell the app's connections to come back on new ones, as Slack does every few hours; returns how many."""
        return self.delivery.refresh(linger=linger)

    def drop_sockets(self, most: int | None = None) -> int:
        """Close the app's connections without a word, the oldest first; returns how many."""
        return self.delivery.drop(most)

    def verify_url(self) -> bool:
        """Slack's handshake with ``request_url``; True when the app answered the challenge."""
        return self.delivery.verify_url()

    def file(self, file_id: str) -> bytes:
        """The bytes of an upload; KeyError for an unknown one."""
        return self.world.files[file_id].content.encode("latin-1")

    # What it holds.

    def state(self) -> dict[str, Any]:
        world = self.world
        with world.lock:
            everything = [m for kept in world.messages.values() for m in kept.values()]
            out = {
                "team": {"id": world.team, "domain": world.domain},
                "channels": [_channel_row(c) for c in world.channels.values()],
                "users": [_user_row(u) for u in world.users.values()],
                "messages": [self._message_row(m) for m in sorted(everything, key=lambda m: m.ts)],
                "views": [view_json(world, v) | {"user": v.user} for v in world.views.values()],
                "homes": {user: view_json(world, v) for user, v in world.homes.items()},
                "sockets": len(self.delivery.sockets),
            }
            plain: dict[str, Any] = json.loads(json.dumps(out))
            return plain

    def _message_row(self, message: Message) -> dict[str, Any]:
        world = self.world
        channel, author = world.channels[message.channel], world.users.get(message.user)
        return {
            "channel": channel.id,
            "channel_name": channel.name,
            "ts": message.ts,
            "thread_ts": message.thread_ts or None,
            "user": message.user,
            "username": message.username or (author.name if author else ""),
            "is_bot": bool(message.bot_id),
            "text": message.text,
            "blocks": message.blocks,
            "edited": bool(message.edited),
            "reactions": message.reactions,
            "metadata": message.metadata,
            "ephemeral_to": message.ephemeral_to or None,
            "files": [file_json(world, name) for name in message.files],
            "pinned": message.ts in channel.pins,
            "permalink": world.permalink(message),
        }

    def dump(self) -> dict[str, Any]:
        return self.world.dump()

    def load(self, data: dict[str, Any]) -> None:
        self.world.load(data)


def _channel_row(channel: Channel) -> dict[str, Any]:
    names = ("id", "name", "is_private", "is_archived", "topic", "purpose", "members")
    return {name: getattr(channel, name) for name in names}


def _user_row(user: User) -> dict[str, Any]:
    return asdict(user)
