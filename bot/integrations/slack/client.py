"""The bot's way to Slack: slack_sdk with its own retries off, hard timeouts, and every refusal as a sentence to act on."""

from __future__ import annotations

import http.client
import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.error import URLError
from urllib.parse import urlsplit

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web import SlackResponse
from slack_sdk.webhook import WebhookClient

from bot.errors import GiveUp, Problem, Retry, in_time
from bot.integrations.slack import Declined, Edit, Ephemeral, Message, Person, Post, Posted, Respond, SlackSettings
from bot.integrations.slack.rooms import SlackRooms
from bot.integrations.slack.said import read_message
from bot.integrations.slack.words import fit, fit_view

EVENT_TYPE = "captain_message"
"""The metadata event_type under which our posts carry their key."""
SKEW = 120.0
"""Seconds by which Slack's clock may be behind ours; a search starts that much earlier."""
PAGE, PAGES = 200, 25
"""Messages a search reads at a time, and how often it turns the page before it says it cannot know."""
Answer = TypeVar("Answer")
_ID = re.compile(r"[CGDUWZ][A-Z0-9]{7,}")
_PASSING = {"internal_error", "fatal_error", "request_timeout", "service_unavailable", "team_added_to_org"}
_FRESH = "Slack does not take the bot token. Put the app's current xoxb- token into slack.bot_token and start again."
_SAYS = {
    "not_in_channel": "the bot is not in that channel. Write /invite @captain there (the app's own name), then repair this.",
    "channel_not_found": "there is no such channel, or it is private and the bot is not in it. Check the channel in captain.yml and invite the bot.",
    "is_archived": "the channel is archived. Unarchive it or name another one in captain.yml.",
    "message_not_found": "the message is gone; somebody deleted it.",
    "thread_not_found": "the message at the head of the thread is gone. Post to the channel instead.",
    "cant_update_message": "the message was posted by somebody else; the bot may edit its own messages only.",
    "edit_window_closed": "the workspace forbids edits of old messages. Post a new message.",
    "msg_too_long": "the text is too long. Send it as a file.",
    "msg_blocks_too_long": "the blocks together are too long. Send it as a file.",
    "no_text": "the message is empty. This is a mistake in the bot; report it with this line.",
    "user_not_found": "there is no such person in this workspace. Check the ids in captain.yml.",
    "user_not_in_channel": "that person is not in the channel. Invite them first.",
    "restricted_action": "the workspace's settings forbid it. Ask an admin to let apps do that.",
    "expired_trigger_id": "more than three seconds went by. Press or run the command again.",
    "exchanged_trigger_id": "that press was used for a dialog before. Press again.",
    "invalid_trigger_id": "that is not a press of this app. Press or run the command again.",
    "not_found": "the dialog was closed meanwhile. Open it again.",
    "hash_conflict": "the dialog changed meanwhile. Open it again.",
}
_GONE = {"thread_not_found", "message_not_found"}
_UNKNOWN_BOT = {
    "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type",
}  # fmt: skip


class SlackClient:
    """Asks Slack for what the bot needs (the ``Chat`` protocol). Safe to use from many threads.

    Blocks and texts are made to fit before they are sent. Channels by id or by #name; answers carry ids.
    """

    def __init__(self, settings: SlackSettings) -> None:
        self.settings = settings
        self._log = logging.getLogger("bot.integrations.slack.sdk")
        self._log.setLevel(logging.CRITICAL)  # The SDK logs what we raise anyway.
        self._web = WebClient(
            token=settings.bot_token.get_secret_value(),
            base_url=settings.base_url,
            timeout=settings.timeout,  # type: ignore[arg-type]  # urllib takes fractions of a second
            retry_handlers=[],
            logger=self._log,
        )
        if _loopback(settings.base_url):
            self._web.proxy = None  # The SDK takes HTTPS_PROXY from the environment and knows no NO_PROXY.
        self._lock = threading.Lock()
        self._ids: dict[str, str] = {}
        self._me = ""
        self.rooms = SlackRooms(self._web, _asking, self._self)

    def post(self, ask: Post) -> Posted:
        blocks, text = fit(ask.blocks, ask.text)
        more: dict[str, Any] = {"blocks": blocks} if blocks else {}
        if ask.key:
            more["metadata"] = {"event_type": EVENT_TYPE, "event_payload": {"key": ask.key}}

        def send() -> Any:
            in_time(ask.by)
            return self._web.chat_postMessage(
                channel=ask.channel,
                text=text,
                thread_ts=ask.thread_ts,
                unfurl_links=False,
                unfurl_media=False,
                **more,
            )

        answer = _asking(f"post to {ask.channel}", send)
        posted = Posted(str(answer["channel"]), str(answer["ts"]))
        self._remember(ask.channel, posted.channel)
        return posted

    def edit(self, ask: Edit) -> bool:
        blocks, text = fit(ask.blocks, ask.text)
        channel = self._channel(ask.channel)
        try:
            _asking(
                f"edit a message in {ask.channel}",
                lambda: self._web.chat_update(channel=channel, ts=ask.ts, text=text, blocks=blocks),
            )
        except GiveUp as no:
            if isinstance(no.__cause__, SlackApiError) and _code(no.__cause__) == "message_not_found":
                return False
            raise
        return True

    def ephemeral(self, ask: Ephemeral) -> None:
        blocks, text = fit(ask.blocks, ask.text)
        channel = self._channel(ask.channel)
        _asking(
            f"show a message to one person in {ask.channel}",
            lambda: self._web.chat_postEphemeral(
                channel=channel, user=ask.user, text=text, thread_ts=ask.thread_ts, blocks=blocks or None
            ),
        )

    def respond(self, ask: Respond) -> None:
        blocks, text = fit(ask.blocks, ask.text)
        hook = WebhookClient(
            ask.url,
            timeout=self.settings.timeout,  # type: ignore[arg-type]
            retry_handlers=[],
            logger=self._log,
        )
        if _loopback(ask.url):
            hook.proxy = None
        doing = "answer a command"
        with_kind = "in_channel" if ask.in_channel else "ephemeral"
        answer = _reaching(
            doing,
            lambda: hook.send(
                text=text, blocks=blocks or None, response_type=with_kind, replace_original=ask.replace_original
            ),
        )
        if answer.status_code != 200:
            raise _by_status(doing, answer.status_code, answer.headers) or _late_answer(answer.status_code, answer.body)

    def find(self, channel: str, key: str, *, since: float, thread_ts: str | None = None) -> Posted | None:
        """The message we posted under ``key`` at or after ``since``, by its metadata; reads at most 5,000 messages."""
        where = self._channel(channel)
        oldest = f"{max(0.0, since - SKEW):.6f}"
        for message in self._messages(where, oldest, thread_ts):
            metadata = message.get("metadata") or {}
            if metadata.get("event_type") == EVENT_TYPE and (metadata.get("event_payload") or {}).get("key") == key:
                return Posted(where, str(message["ts"]))
        return None

    def _messages(self, channel: str, oldest: str, thread_ts: str | None) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        doing = f"look through {channel}"
        more: dict[str, Any] = {"channel": channel, "oldest": oldest, "limit": PAGE, "include_all_metadata": True}
        for _ in range(PAGES):
            try:
                answer = _asking(doing, partial(self._page, more, cursor, thread_ts))
            except GiveUp as no:
                if isinstance(no.__cause__, SlackApiError) and _code(no.__cause__) == "thread_not_found":
                    return
                raise
            yield from answer["messages"]
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
        raise GiveUp(
            f"Slack's {channel} has more than {PAGE * PAGES:,} messages since then. Look there for it by hand."
        )

    def _page(self, more: dict[str, Any], cursor: str | None, thread_ts: str | None) -> SlackResponse:
        if thread_ts is None:
            return self._web.conversations_history(cursor=cursor, **more)
        return self._web.conversations_replies(ts=thread_ts, cursor=cursor, **more)

    def find_file(self, channel: str, name: str, *, since: float, thread_ts: str | None = None) -> bool:
        oldest = f"{max(0.0, since - SKEW):.6f}"
        messages = self._messages(self._channel(channel), oldest, thread_ts)
        return any(file.get("name") == name for message in messages for file in message.get("files") or ())

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
        where = self._channel(channel)

        def send() -> SlackResponse:
            in_time(by)
            return self._web.files_upload_v2(
                channel=where,
                filename=name,
                content=content,
                title=title,
                thread_ts=thread_ts,
                initial_comment=text or None,
            )

        _asking(f"send a file to {channel}", send)

    def open_view(self, trigger_id: str, view: Mapping[str, Any]) -> str:
        answer = _asking("open a dialog", lambda: self._web.views_open(trigger_id=trigger_id, view=fit_view(view)))
        return str(answer["view"]["id"])

    def update_view(self, view_id: str, view: Mapping[str, Any]) -> None:
        _asking("update a dialog", lambda: self._web.views_update(view_id=view_id, view=fit_view(view)))

    def publish_home(self, user: str, view: Mapping[str, Any]) -> None:
        _asking("show the home tab", lambda: self._web.views_publish(user_id=user, view=fit_view(view)))

    def person(self, user: str) -> Person:
        found = _asking(f"look up {user}", lambda: self._web.users_info(user=user))["user"]
        profile = found.get("profile") or {}
        return Person(str(found["id"]), str(found.get("name") or ""), str(profile.get("email") or ""))

    def usergroup(self, group: str) -> frozenset[str]:
        answer = _asking(f"list the members of {group}", lambda: self._web.usergroups_users_list(usergroup=group))
        return frozenset(str(one) for one in answer["users"])

    def permalink(self, channel: str, ts: str) -> str:
        where = self._channel(channel)
        answer = _asking(
            f"link to a message in {channel}", lambda: self._web.chat_getPermalink(channel=where, message_ts=ts)
        )
        return str(answer["permalink"])

    def message(self, channel: str, ts: str) -> Message | None:
        where = self._channel(channel)
        try:
            # Of a message in a thread Slack gives the head as well; of one without a thread the message alone.
            answer = _asking(
                f"read a message in {channel}",
                lambda: self._web.conversations_replies(
                    channel=where, ts=ts, oldest=ts, latest=ts, inclusive=True, limit=PAGE
                ),
            )
        except GiveUp as no:
            if isinstance(no.__cause__, SlackApiError) and _code(no.__cause__) in _GONE:
                return None
            raise
        found = next((one for one in answer["messages"] if one.get("ts") == ts), None)
        return (
            None if found is None or found.get("subtype") == "tombstone" else read_message(where, found, self._self())
        )

    def messages(self, channel: str, *, since: float, thread_ts: str | None = None) -> Sequence[Message]:
        where, me = self._channel(channel), self._self()
        found = self._messages(where, f"{max(0.0, since - SKEW):.6f}", thread_ts)
        return [read_message(where, one, me) for one in found if one.get("subtype") != "tombstone"]

    def channel_name(self, channel: str) -> str:
        return str(
            _asking(f"look up {channel}", lambda: self._web.conversations_info(channel=channel))["channel"]["name"]
        )

    def _self(self) -> str:
        """The bot's own user id, asked once."""
        if not self._me:
            self._me = self.ping()
        return self._me

    def ping(self) -> str:
        return str(_asking("say who we are", self._web.auth_test)["user_id"])

    def _remember(self, name: str, channel_id: str) -> None:
        with self._lock:
            self._ids[name.removeprefix("#")] = channel_id

    def _channel(self, name: str) -> str:
        """The id of a channel or of the direct messages with a person; most methods take nothing else."""
        if _ID.fullmatch(name) and name[0] not in "UW":
            return name
        bare = name.removeprefix("#")
        with self._lock:
            known = self._ids.get(bare)
        if known:
            return known
        if _ID.fullmatch(name):
            opened = _asking(f"write to {name}", lambda: self._web.conversations_open(users=name))
            self._remember(name, str(opened["channel"]["id"]))
            return str(opened["channel"]["id"])
        cursor: str | None = ""
        while cursor is not None:
            page = _asking(f"look for #{bare}", partial(self._list, cursor))
            for channel in page["channels"]:
                self._remember(channel["name"], channel["id"])
                if channel["name"] == bare:
                    return str(channel["id"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or None
        raise GiveUp(f"Slack cannot find #{bare}: {_SAYS['channel_not_found']}")

    def _list(self, cursor: str) -> SlackResponse:
        return self._web.conversations_list(
            types="public_channel,private_channel", exclude_archived=True, limit=1000, cursor=cursor or None
        )


def _loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _asking(doing: str, call: Callable[[], SlackResponse]) -> SlackResponse:
    """Make a Web API call; every way it can fail becomes Retry or GiveUp."""
    try:
        return _reaching(doing, call)
    except SlackApiError as no:
        raise _problem(doing, no) from no
    except SlackRequestError as no:
        # Raised for a refused upload, before the message that would show the file.
        raise Retry(f"Slack did not let us {doing}: {str(no)[:200]}") from no


def _reaching(doing: str, call: Callable[[], Answer]) -> Answer:
    """Make a call; what the network does to it becomes Retry, with ``unknown`` once Slack may have heard it."""
    try:
        return call()
    except URLError as no:
        if isinstance(no.reason, ssl.SSLCertVerificationError):
            raise GiveUp(
                f"Slack's certificate is not trusted ({no.reason.verify_message}). Install the proxy's CA."
            ) from no
        unsent = isinstance(no.reason, ConnectionRefusedError | socket.gaierror)
        raise Retry(f"Slack could not be reached to {doing}: {no.reason}", unknown=not unsent) from no
    except TimeoutError as no:
        raise Retry(f"Slack did not answer in time when asked to {doing}", unknown=True) from no
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as no:
        raise Retry(f"Slack dropped the connection when asked to {doing}: {no!r}", unknown=True) from no


def _problem(doing: str, no: SlackApiError) -> Problem:
    """What a refusal means for whoever asked."""
    answer, code = no.response, _code(no)
    passing = _by_status(doing, answer.status_code, answer.headers)
    if passing is not None:
        return passing
    if code in ("ratelimited", "rate_limited"):
        return Retry(f"Slack asks us to {doing} more slowly", after=30.0)
    if code in _PASSING:
        return Retry(f"Slack failed to {doing}: {code}", unknown=True)
    if not re.fullmatch(r"[a-z_]+", code):  # Not Slack's JSON: a proxy or a captive page answered in its place.
        return Retry(f"Something that is not Slack answered when we tried to {doing}: {code[:120]}", unknown=True)
    return Declined(f"Slack refused to {doing}: {_advice(code, answer)}", code)


def _advice(code: str, answer: SlackResponse) -> str:
    """What a person has to do about a refusal that will not go away."""
    if code in _UNKNOWN_BOT:
        return f"{code}. {_FRESH}"
    if code == "missing_scope":
        return (
            f"the app lacks the scope {answer.get('needed') or '(unnamed)'}. Add it to the app's bot token scopes"
            " (`captain slack manifest` has them all) and reinstall the app to the workspace."
        )
    if code in _SAYS:
        return _SAYS[code]
    told = (answer.get("response_metadata") or {}).get("messages") or []
    details = "; ".join(str(line).removeprefix("[ERROR] ") for line in told[:3])
    return (
        f"{code}{f' ({details})' if details else ''}."
        " Look the word up in Slack's API reference; if it is about blocks, report it as a mistake in the bot."
    )


def _code(no: SlackApiError) -> str:
    data = no.response.data
    return str(data.get("error") or "") if isinstance(data, dict) else ""


def _by_status(doing: str, status: int, headers: Mapping[str, Any]) -> Retry | None:
    """429 and 5xx pass by themselves. Slack says of a 5xx that part of the work may be done."""
    if status == 429:
        return Retry(f"Slack asks us to {doing} more slowly", after=_seconds(headers), limited=True)
    if status >= 500:
        return Retry(f"Slack failed to {doing} (HTTP {status})", unknown=True)
    return None


def _seconds(headers: Mapping[str, Any]) -> float | None:
    value = next((str(v) for name, v in headers.items() if name.lower() == "retry-after"), "")
    return float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else None


def _late_answer(status: int, body: str) -> GiveUp:
    if body in ("expired_url", "used_url"):
        return GiveUp("The answer came too late: Slack takes five within thirty minutes. Run the command again.")
    return GiveUp(
        f"Slack refused the answer to a command (HTTP {status}: {body[:120]}). Report it as a mistake in the bot."
    )
