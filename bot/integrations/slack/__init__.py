"""Slack: what can be asked of the chat, by whom, and with which settings.

Texts are Slack mrkdwn already escaped; blocks are Block Kit dicts, at most 50 a message. ``ts`` is Slack's message id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.errors import GiveUp

Block = dict[str, Any]
NOT_THERE = frozenset({"is_archived", "channel_not_found", "not_in_channel"})
"""Slack's codes for a channel that nothing can be posted to any more."""


class Declined(GiveUp):
    """Slack has said no, and would say it again. ``code``: its error, such as name_taken."""

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.code = code

    @property
    def lost(self) -> bool:
        """True when the channel is archived or gone, or the bot was put out of it."""
        return self.code in NOT_THERE


@dataclass(frozen=True)
class Post:
    """A message. ``key`` is ours and travels as message metadata, so that a post of unknown outcome can be looked for.

    ``by``: monotonic s after which it must not leave any more (see ``Task.acting``); None: any time.
    """

    channel: str
    text: str
    blocks: Sequence[Block] = ()
    thread_ts: str | None = None
    key: str = ""
    by: float | None = None


@dataclass(frozen=True)
class Edit:
    """The whole new content of a message that exists."""

    channel: str
    ts: str
    text: str
    blocks: Sequence[Block] = ()


@dataclass(frozen=True)
class Ephemeral:
    """A message that one person sees."""

    channel: str
    user: str
    text: str
    blocks: Sequence[Block] = ()
    thread_ts: str | None = None


@dataclass(frozen=True)
class Respond:
    """An answer to a slash command or a button through its ``response_url`` (good for 30 minutes and 5 answers)."""

    url: str
    text: str
    blocks: Sequence[Block] = ()
    in_channel: bool = False
    replace_original: bool = False


@dataclass(frozen=True)
class Posted:
    """Where a message landed: the channel's id (never its name) and the message's ts."""

    channel: str
    ts: str


@dataclass(frozen=True)
class Message:
    """A message as it stands in Slack now. ``text`` is mrkdwn as Slack keeps it, escaped.

    ``thread_ts``: the head of its thread, empty outside of one. ``user``: its author's id. ``name``: what a bot calls
    itself, empty for people. ``reactions``: emoji (without colons and skin tone) → by how many. ``ours``: the bot's own.
    """

    channel: str
    ts: str
    text: str
    thread_ts: str = ""
    user: str = ""
    name: str = ""
    files: Sequence[str] = ()
    reactions: Mapping[str, int] = field(default_factory=dict)
    pinned: bool = False
    ours: bool = False


@dataclass(frozen=True)
class Person:
    """A Slack user. ``email`` is empty where the scope or the address is missing."""

    id: str
    name: str
    email: str = ""


class Rooms(Protocol):
    """Channels that the bot makes. Channels by id. Raises Retry or GiveUp; ``Declined`` carries Slack's code."""

    def create(self, name: str, *, private: bool, by: float | None = None) -> str:
        """A new channel's id; empty when its name is taken. Not asked any more after ``by`` (monotonic s)."""
        ...

    def mine(self, name: str, *, private: bool, since: float, mark: str) -> str:
        """The id of a channel of this name that the bot itself made at or after ``since`` (UNIX s), or empty.

        Only among the channels that the bot is in. One whose purpose says something else than ``mark``,
        or that is public where a ``private`` one is wanted, is not meant.
        """
        ...

    def invite(self, room: str, user: str) -> str:
        """Ask somebody in; empty when they are there now, else why not, as the end of a sentence."""
        ...

    def by_email(self, email: str) -> str:
        """The user id of an e-mail address; empty when nobody in the workspace has it."""
        ...

    def describe(self, room: str, *, topic: str, purpose: str) -> None:
        """Set both, plain text; what stands there already is not set again, since Slack announces each."""
        ...

    def bookmark(self, room: str, links: Sequence[tuple[str, str]]) -> None:
        """Put (title, address) above the channel; a title that is there is not put there again."""
        ...

    def pin(self, room: str, ts: str) -> None: ...


class Chat(Protocol):
    """What the bot asks of Slack. Every call has a hard timeout and raises Retry or GiveUp, never an SDK error."""

    @property
    def rooms(self) -> Rooms: ...

    def post(self, ask: Post) -> Posted: ...

    def edit(self, ask: Edit) -> bool:
        """False when the message is no longer there: somebody has deleted it."""
        ...

    def ephemeral(self, ask: Ephemeral) -> None: ...

    def respond(self, ask: Respond) -> None: ...

    def find(self, channel: str, key: str, *, since: float, thread_ts: str | None = None) -> Posted | None:
        """The message we posted under ``key`` at or after ``since`` (UNIX s), by its metadata; None when there is none."""
        ...

    def find_file(self, channel: str, name: str, *, since: float, thread_ts: str | None = None) -> bool:
        """True when a file of this name was shared there at or after ``since`` (UNIX s)."""
        ...

    def upload(
        self,
        channel: str,
        *,
        name: str,
        content: bytes,
        title: str,
        thread_ts: str | None = None,
        text: str = "",
        by: float | None = None,
    ) -> None:
        """Send a file with ``text`` (mrkdwn) above it; not shown any more after ``by`` (monotonic s)."""
        ...

    def open_view(self, trigger_id: str, view: Mapping[str, Any]) -> str: ...

    def update_view(self, view_id: str, view: Mapping[str, Any]) -> None: ...

    def publish_home(self, user: str, view: Mapping[str, Any]) -> None: ...

    def person(self, user: str) -> Person: ...

    def usergroup(self, group: str) -> frozenset[str]:
        """The user ids of a user group's members."""
        ...

    def permalink(self, channel: str, ts: str) -> str: ...

    def message(self, channel: str, ts: str) -> Message | None:
        """A message as it stands now; None when there is none, or it was deleted."""
        ...

    def messages(self, channel: str, *, since: float, thread_ts: str | None = None) -> Sequence[Message]:
        """What was said in a thread, its head first, or in a channel outside of threads, at or after ``since`` (UNIX s)."""
        ...

    def channel_name(self, channel: str) -> str:
        """The name of a channel by its id, without #."""
        ...

    def ping(self) -> str:
        """One cheap call (auth.test) that proves the token works; returns the bot's user id."""
        ...


class SlackSettings(BaseModel):
    """The ``slack:`` section of captain.yml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["socket", "http"] = "socket"
    bot_token: SecretStr = Field(description="xoxb-…; scopes are in the manifest that `captain slack manifest` prints")
    app_token: SecretStr | None = Field(None, description="xapp-…, needed for mode: socket")
    signing_secret: SecretStr | None = Field(None, description="needed for mode: http")
    base_url: str = Field("https://slack.com/api/", description="the Web API, with its trailing slash")
    command: str = Field("/captain", description="the slash command that takes every subject")
    timeout: float = Field(5.0, gt=0, le=60, description="seconds a call may take")
    pace: float = Field(
        1.0, ge=0, le=10, description="seconds between messages in one channel, and between edits; Slack's limit is 1"
    )
