"""The workspace a stand-in Slack keeps: people, channels, messages, views, files, triggers and response addresses."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_MESSAGES = 5000
"""Messages kept per channel; older ones fall off."""
MAX_FILE_BYTES = 32 * 1024 * 1024
"""Bytes of uploads kept in all; the oldest contents fall off first."""
MAX_HOOKS = 2000
TRIGGER_SECONDS = 3.0
HOOK_SECONDS = 30 * 60.0
HOOK_USES = 5
SCOPES = frozenset(
    [
        "app_mentions:read",
        "bookmarks:read",
        "bookmarks:write",
        "channels:history",
        "channels:join",
        "channels:manage",
        "channels:read",
        "chat:write",
        "commands",
        "files:read",
        "files:write",
        "groups:history",
        "groups:read",
        "groups:write",
        "im:history",
        "im:read",
        "im:write",
        "pins:read",
        "pins:write",
        "reactions:read",
        "reactions:write",
        "usergroups:read",
        "users:read",
        "users:read.email",
    ]
)


@dataclass
class User:
    id: str
    name: str
    real_name: str
    email: str = ""
    is_bot: bool = False
    is_guest: bool = False


@dataclass
class Channel:
    id: str
    name: str
    is_private: bool = False
    is_archived: bool = False
    topic: str = ""
    purpose: str = ""
    members: list[str] = field(default_factory=list)
    creator: str = ""
    created: int = 0
    is_im: bool = False
    pins: list[str] = field(default_factory=list)
    bookmarks: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Message:
    channel: str
    ts: str
    user: str
    text: str
    thread_ts: str = ""
    broadcast: bool = False
    blocks: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] | None = None
    bot_id: str = ""
    username: str = ""
    edited: dict[str, str] | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    ephemeral_to: str = ""
    deleted: bool = False
    """A thread's head that somebody deleted: Slack keeps its place, without what it said."""
    files: list[str] = field(default_factory=list)
    inputs: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """What each person has chosen in it so far: person, then ``block_id action_id``, then the value."""


@dataclass
class View:
    """A modal or a home tab. ``body`` is what the app sent, with ids filled in."""

    id: str
    user: str
    body: dict[str, Any]
    hash: str
    root_id: str
    previous_id: str = ""
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class File:
    id: str
    name: str
    title: str
    length: int
    user: str
    created: int
    content: str = ""  # latin-1, so that a dump stays plain JSON
    uploaded: bool = False
    shared: bool = False


@dataclass
class Trigger:
    user: str
    until: float
    used: bool = False
    view_id: str = ""


@dataclass
class Hook:
    """A response_url. ``message_ts`` is the message it came from, empty for a slash command."""

    channel: str
    user: str
    until: float
    message_ts: str = ""
    thread_ts: str = ""
    uses: int = 0


@dataclass
class Group:
    id: str
    handle: str
    name: str
    users: list[str]


def stable_id(prefix: str, seed: str) -> str:
    """An id of Slack's looks that is the same for the same seed: a letter, a zero, nine capitals or digits."""
    number = int.from_bytes(hashlib.sha256(f"{prefix}:{seed}".encode()).digest()[:8], "big")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return f"{prefix}0" + "".join(letters[number // 36**i % 36] for i in range(9))


def _nobody(_event: dict[str, Any], _channel: Channel) -> None:
    """Nobody listens yet."""


class World:
    """Everything one workspace holds. Take ``changing()`` around whatever writes."""

    def __init__(self, *, domain: str = "release-captain", bot_name: str = "captain") -> None:
        self.lock = threading.RLock()
        self.changed: list[Callable[[], None]] = []
        self.tell: Callable[[dict[str, Any], Channel], None] = _nobody
        """Who hears of what the bot itself does to messages: (event, where)."""
        self.dirty = False
        self._depth = 0
        self.last_us = 0
        self.serial = 0
        self.scopes: set[str] = set(SCOPES)
        self.makes_channels = True
        """False: the workspace's admins keep apps from making channels."""
        self.domain = domain
        self.team = stable_id("T", domain)
        self.app_id = stable_id("A", domain)
        self.bot_id = stable_id("B", domain)
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, dict[str, Message]] = {}
        self.replies: dict[tuple[str, str], list[str]] = {}
        self.views: dict[str, View] = {}
        self.homes: dict[str, View] = {}
        self.files: dict[str, File] = {}
        self.triggers: dict[str, Trigger] = {}
        self.hooks: dict[str, Hook] = {}
        self.groups: dict[str, Group] = {}
        self.bot_user: str = self.add_user(bot_name, real_name="Release Captain", is_bot=True).id
        for name in ("alice", "bob", "carol"):
            self.add_user(name, real_name=name.capitalize(), email=f"{name}@example.com")
        for name in ("general", "incidents", "docs-api", "gateway"):
            self.add_channel(name)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock; tell the listeners after it is free again if something was marked as changed."""
        tell = False
        try:
            with self.lock:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                    if self._depth == 0:
                        tell, self.dirty = self.dirty, False
        finally:
            if tell:
                for hear in list(self.changed):
                    hear()

    def touch(self) -> None:
        self.dirty = True

    def add_user(self, name: str, *, real_name: str = "", email: str = "", is_bot: bool = False) -> User:
        user = User(stable_id("U", name), name, real_name or name, email, is_bot)
        with self.changing():
            self.users[user.id] = user
            self.touch()
        return user

    def add_channel(self, name: str, *, members: list[str] | None = None, is_private: bool = False) -> Channel:
        """A new channel; everybody of the workspace is in it unless ``members`` (user ids) says who."""
        with self.changing():
            self.serial += 1
            same = sum(1 for c in self.channels.values() if c.name == name)
            who = list(self.users) if members is None else list(members)
            made = Channel(stable_id("C", f"{name}/{same}"), name, is_private, members=who, created=int(time.time()))
            made.creator = next((name for name in who if not self.users[name].is_bot), self.bot_user)
            while made.id in self.channels:
                self.serial += 1
                made.id = stable_id("C", f"{name}/{self.serial}")
            self.channels[made.id] = made
            self.messages[made.id] = {}
            self.touch()
        return made

    def direct(self, user: str) -> Channel:
        """The direct message channel between the bot and a person."""
        name = stable_id("D", user)
        if name not in self.channels:
            both = [user, self.bot_user]
            made = Channel(
                name, user, is_private=True, members=both, creator=user, created=int(time.time()), is_im=True
            )
            self.channels[name] = made
            self.messages[name] = {}
        return self.channels[name]

    def channel(self, name: str) -> Channel | None:
        """By id, by #name or by name; an open channel wins over an archived one of the same name."""
        if name in self.channels:
            return self.channels[name]
        bare = name.removeprefix("#")
        named = [c for c in self.channels.values() if c.name == bare and not c.is_im]
        return min(named, key=lambda c: c.is_archived, default=None)

    def user(self, name: str) -> User | None:
        """By id, by @name or by name."""
        if name in self.users:
            return self.users[name]
        bare = name.removeprefix("@")
        return next((u for u in self.users.values() if u.name == bare), None)

    def next_ts(self) -> str:
        """A new timestamp, later than any before it."""
        self.last_us = max(self.last_us + 1, int(time.time() * 1_000_000))
        return f"{self.last_us // 1_000_000}.{self.last_us % 1_000_000:06d}"

    def put(self, message: Message) -> Message:
        kept = self.messages[message.channel]
        kept[message.ts] = message
        if message.thread_ts and not message.ephemeral_to:
            self.replies.setdefault((message.channel, message.thread_ts), []).append(message.ts)
        while len(kept) > MAX_MESSAGES:
            self.drop(kept[next(iter(kept))])
        self.touch()
        return message

    def drop(self, message: Message) -> None:
        """Delete a message; its replies stay, as they do in Slack."""
        del self.messages[message.channel][message.ts]
        head = (message.channel, message.thread_ts)
        if message.ts in self.replies.get(head, ()):
            self.replies[head].remove(message.ts)
            if not self.replies[head]:
                del self.replies[head]
        channel = self.channels[message.channel]
        channel.pins = [ts for ts in channel.pins if ts != message.ts]
        self.touch()

    def message(self, channel: str, ts: str) -> Message | None:
        return self.messages.get(channel, {}).get(ts)

    def thread(self, channel: str, ts: str) -> list[Message]:
        """The replies below a message, oldest first, without what only one person sees."""
        kept = self.messages[channel]
        return [kept[reply] for reply in self.replies.get((channel, ts), ()) if reply in kept]

    def permalink(self, message: Message) -> str:
        link = f"https://{self.domain}.slack.com/archives/{message.channel}/p{message.ts.replace('.', '')}"
        in_thread = message.thread_ts and message.thread_ts != message.ts
        return f"{link}?thread_ts={message.thread_ts}&cid={message.channel}" if in_thread else link

    def new_trigger(self, user: str, view_id: str = "") -> str:
        now = time.time()
        for old in [k for k, t in self.triggers.items() if t.until < now - 60]:
            del self.triggers[old]
        name = f"{secrets.randbelow(10**11)}.{secrets.randbelow(10**11)}.{secrets.token_hex(16)}"
        self.triggers[name] = Trigger(user, now + TRIGGER_SECONDS, view_id=view_id)
        return name

    def new_hook(self, hook: Hook) -> str:
        name = secrets.token_urlsafe(18)
        self.hooks[name] = hook
        while len(self.hooks) > MAX_HOOKS:
            del self.hooks[next(iter(self.hooks))]
        return name

    def keep_file(self, file: File) -> None:
        """Keep an upload; the contents of the oldest go when all together are too large."""
        self.files[file.id] = file
        held = sum(len(f.content) for f in self.files.values())
        for old in self.files.values():
            if held <= MAX_FILE_BYTES or old is file:
                break
            held -= len(old.content)
            old.content = ""
        self.touch()

    def dump(self) -> dict[str, Any]:
        with self.lock:
            out: dict[str, Any] = {
                "last_us": self.last_us,
                "serial": self.serial,
                "scopes": sorted(self.scopes),
                "messages": [asdict(m) for kept in self.messages.values() for m in kept.values()],
            }
            for name, _ in _TABLES:
                out[name] = {key: asdict(row) for key, row in getattr(self, name).items()}
            copy: dict[str, Any] = json.loads(json.dumps(out))
            return copy

    def load(self, data: dict[str, Any]) -> None:
        with self.changing():
            data = json.loads(json.dumps(data))
            self.last_us, self.serial, self.scopes = data["last_us"], data["serial"], set(data["scopes"])
            for name, row in _TABLES:
                setattr(self, name, {key: row(**value) for key, value in data[name].items()})
            self.messages = {name: {} for name in self.channels}
            self.replies = {}
            for value in data["messages"]:
                self.put(Message(**value))
            self.touch()


_TABLES: tuple[tuple[str, type[Any]], ...] = (
    ("users", User),
    ("channels", Channel),
    ("views", View),
    ("homes", View),
    ("files", File),
    ("triggers", Trigger),
    ("hooks", Hook),
    ("groups", Group),
)
