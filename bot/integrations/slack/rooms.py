"""Channels that the bot makes at Slack: created once, recognised by name, maker and time, and filled with people and links."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bot.errors import GiveUp, in_time
from bot.integrations.slack import Declined
from bot.integrations.slack.words import unescape

SKEW = 3900.0
"""Seconds by which Slack's clock may be behind ours, an hour that was set wrong among them."""
PAGES = 20
"""How often the list of the bot's own channels is turned, a thousand at a time, before it says that it cannot know."""
THERE = frozenset({"already_in_channel", "cant_invite_self"})
WHY_NOT: Mapping[str, str] = {
    "user_not_found": "Slack knows no such person",
    "cant_invite": "Slack does not let me invite them (an app, or somebody who was deactivated)",
    "user_is_restricted": "they are a guest, whom an admin has to add",
    "user_is_ultra_restricted": "they are a guest of one channel",
    "ura_max_channels": "they are a guest of one channel",
    "org_user_not_in_team": "they are in another workspace",
    "too_many_members_in_channel": "the channel is full",
}
"""What of an invitation's refusals is about the person, as the end of a sentence; anything else is about the channel."""


class SlackRooms:
    """The ``Rooms`` protocol over the client's own connection. ``ask(doing, call)`` makes a call; ``me()`` is the bot's id."""

    def __init__(self, web: Any, ask: Callable[[str, Callable[[], Any]], Any], me: Callable[[], str]) -> None:
        self._web = web
        self._ask = ask
        self._me = me

    def create(self, name: str, *, private: bool, by: float | None = None) -> str:
        def send() -> Any:
            in_time(by)
            return self._web.conversations_create(name=name, is_private=private)

        try:
            answer = self._ask(f"make the channel #{name}", send)
        except Declined as no:
            if no.code == "name_taken":
                return ""
            raise
        return str(answer["channel"]["id"])

    def mine(self, name: str, *, private: bool, since: float, mark: str) -> str:
        cursor: str | None = None
        for _ in range(PAGES):
            answer = self._ask("look among the bot's own channels", partial(self._own, cursor))
            for one in answer["channels"]:
                said = unescape(str((one.get("purpose") or {}).get("value") or ""))
                ours = one.get("creator") == self._me() and float(one.get("created") or 0) >= since - SKEW
                hidden = bool(one.get("is_private")) is private  # what is private is never said in a public one
                if one.get("name") == name and hidden and ours and said in ("", mark):
                    return str(one["id"])
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                return ""
        raise GiveUp(
            "The bot is in more than 20,000 channels, too many to look through. Archive old ones, then repair."
        )

    def _own(self, cursor: str | None) -> Any:
        return self._web.users_conversations(
            types="public_channel,private_channel", exclude_archived=True, limit=1000, cursor=cursor
        )

    def invite(self, room: str, user: str) -> str:
        try:
            self._ask(f"invite {user}", lambda: self._web.conversations_invite(channel=room, users=user))
        except Declined as no:
            if no.code in THERE:
                return ""
            if no.code in WHY_NOT:
                return WHY_NOT[no.code]
            raise
        return ""

    def by_email(self, email: str) -> str:
        try:
            found = self._ask("look somebody up by e-mail", lambda: self._web.users_lookupByEmail(email=email))
        except Declined as no:
            if no.code in ("users_not_found", "user_not_found"):
                return ""
            raise
        return str(found["user"]["id"])

    def describe(self, room: str, *, topic: str, purpose: str) -> None:
        found = self._ask("look at the channel", lambda: self._web.conversations_info(channel=room))["channel"]
        if unescape(str((found.get("purpose") or {}).get("value") or "")) != purpose:
            doing = "set the channel's purpose"
            self._ask(doing, lambda: self._web.conversations_setPurpose(channel=room, purpose=purpose))
        if unescape(str((found.get("topic") or {}).get("value") or "")) != topic:
            self._ask("set the channel's topic", lambda: self._web.conversations_setTopic(channel=room, topic=topic))

    def bookmark(self, room: str, links: Sequence[tuple[str, str]]) -> None:
        kept = self._ask("list the channel's bookmarks", lambda: self._web.bookmarks_list(channel_id=room))["bookmarks"]
        there = {str(one.get("title")): one for one in kept}
        for title, url in links:
            old = there.get(title)
            if old is None:
                self._ask("bookmark a link", partial(self._link, room, title, url))
            elif unescape(str(old.get("link"))) != url:
                self._ask("change a bookmark", partial(self._relink, room, str(old["id"]), title, url))

    def _link(self, room: str, title: str, url: str) -> Any:
        return self._web.bookmarks_add(channel_id=room, title=title, type="link", link=url)

    def _relink(self, room: str, known: str, title: str, url: str) -> Any:
        return self._web.bookmarks_edit(channel_id=room, bookmark_id=known, title=title, link=url)

    def pin(self, room: str, ts: str) -> None:
        try:
            self._ask("pin the panel", lambda: self._web.pins_add(channel=room, timestamp=ts))
        except Declined as no:
            if no.code != "already_pinned":
                raise
