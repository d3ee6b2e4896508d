"""The Slack ear: slash commands, buttons, shortcuts and the Home tab, over Socket Mode or signed HTTP (slack-bolt).

Everything is stored before it is acknowledged and done afterwards: Bolt runs with ``process_before_response``, since
its own acknowledgement loop costs eleven milliseconds a command.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from slack_bolt import App, BoltRequest, BoltResponse
from slack_bolt.adapter.socket_mode.builtin import SocketModeHandler
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from bot import inbox
from bot.app import Captain
from bot.integrations.slack import SlackSettings
from bot.integrations.slack.words import unescape
from bot.refusals import Refusal
from bot.store import now
from handlers import forms
from handlers.incidents import declare
from handlers.timeline import hear

log = logging.getLogger(__name__)
ANY = re.compile(".*")
ABOUT_MESSAGES = re.compile("message|(pin|reaction)_(added|removed)")
NOT_STORED = (
    "I could not write your request down, so nothing was done: my database does not answer. "
    "Please try again in a moment; paging itself is in PagerDuty."
)
UNSIGNED = "the signature does not match slack.signing_secret of captain.yml, or is older than five minutes"
MAX_FORM = 1024 * 1024
"""Bytes of one signed request; Slack's own are far smaller."""


class SlackEar:
    """Slack's side of the bot. ``listen`` connects in Socket Mode; ``http`` answers signed requests."""

    def __init__(self, captain: Captain, settings: SlackSettings) -> None:
        self._captain = captain
        self._settings = settings
        self._stopping = threading.Event()
        self._socket: SocketModeHandler | None = None
        self._thread: threading.Thread | None = None
        token = settings.bot_token.get_secret_value()
        # The client carries no token: authorize gives it, without asking Slack.
        secret = settings.signing_secret.get_secret_value() if settings.signing_secret else "unused in socket mode"
        client = WebClient(base_url=settings.base_url, timeout=int(settings.timeout), retry_handlers=[])
        # Both would ask Slack before the first command is taken, and Slack may be down.
        self.app = App(
            client=client,
            signing_secret=secret,
            process_before_response=True,
            token_verification_enabled=False,
            request_verification_enabled=settings.mode == "http",
            authorize=_authorize(token),
            ignoring_self_events_enabled=False,
            raise_error_for_unhandled_request=False,
        )
        self._hear()

    def _hear(self) -> None:
        self.app.command(ANY)(self._command)
        self.app.action(ANY)(self._press)
        self.app.shortcut(ANY)(self._shortcut)
        self.app.view(ANY)(self._submit)
        self.app.event("app_home_opened")(self._home)
        self.app.event(ABOUT_MESSAGES)(self._event)
        self.app.event(ANY)(_ignore)

    # ---- what people do ---------------------------------------------------------------------------------------------

    def _command(self, ack: Callable[..., Any], body: dict[str, Any]) -> None:
        name, text = body["command"].removeprefix("/"), body.get("text", "")
        # `/captain incident list` and `/incident list` are the same line.
        line = text if body["command"] == self._settings.command else f"{name} {text}"
        key = f"slack:{body.get('trigger_id') or body['response_url']}"
        payload = self._asked(body, body["user_id"], body.get("user_name", ""), body.get("channel_id", ""), line)
        kind = "modal" if forms.shows(line) else "command"
        if self._captain.take(inbox.Request(key, now(), kind, payload)):
            ack()
        else:
            ack(NOT_STORED)

    def _press(self, ack: Callable[..., Any], body: dict[str, Any]) -> None:
        user, action = body["user"], body["actions"][0]
        if action.get("type") != "button" or not action.get("value"):
            ack()
            return
        # A button's action id is the command it runs, its value the argument: one grammar for every door.
        line = f"{action['action_id']} {action['value']}"
        key = f"slack:{body.get('trigger_id', '')}:{action.get('action_ts', '')}"
        channel = body.get("channel", {}).get("id", "")
        name = user.get("name") or user.get("username", "")
        payload = self._asked(body, user["id"], name, channel, line)
        if (body.get("view") or {}).get("type") == "home":
            payload |= {"home": True}  # it is drawn anew when what was pressed is done
        kind = "modal" if action["action_id"] in forms.forms() else "press"
        if not self._captain.take(inbox.Request(key, now(), kind, payload)):
            # Not acknowledged: Slack shows a warning beside the button, and the person presses again.
            log.error("a button press of %s could not be stored: %s", user["id"], line)
            return
        ack()

    def _shortcut(self, ack: Callable[..., Any], body: dict[str, Any]) -> None:
        """A shortcut, of a message or of none: the form, with the message's words as its title."""
        if body.get("callback_id") != declare.CALLBACK:
            ack()
            return
        user, message = body["user"], body.get("message") or {}
        channel = body.get("channel", {}).get("id", "")
        payload = self._asked(body, user["id"], user.get("name") or user.get("username", ""), channel, declare.CALLBACK)
        # Slack escapes a message's text; in a form it stands as it was typed.
        payload |= {"title": " ".join(unescape(str(message.get("text", ""))).split())[: declare.LONGEST_TITLE]}
        payload |= {"ts": str(message.get("ts", ""))}
        if not self._captain.take(inbox.Request(f"slack:{body['trigger_id']}", now(), "modal", payload)):
            log.error("a shortcut of %s could not be stored", user["id"])
            return
        ack()

    def _submit(self, ack: Callable[..., Any], body: dict[str, Any]) -> None:
        """A form that was filled in: what is wrong is said beside the field; what is right is stored, once for each form."""
        form, user = body["view"], body["user"]
        if form.get("callback_id") not in forms.forms():
            ack()
            return
        try:
            filled, wrong = forms.read(self._captain.desk, form)
        except (SQLAlchemyError, OSError) as e:
            log.warning("a form of %s could not be read: %s", user["id"], e)
            ack(response_action="errors", errors=_unstored(form))
            return
        if filled is None:
            ack(response_action="errors", errors=wrong)
            return
        told = json.loads(form.get("private_metadata") or "{}")
        payload = self._asked(
            told, user["id"], user.get("name") or user.get("username", ""), told.get("channel", ""), ""
        )
        payload |= {"form": filled, "home": bool(told.get("home"))}
        if self._captain.take(inbox.Request(f"slack:{form['id']}", now(), "form", payload)):
            ack()
        else:
            ack(response_action="errors", errors=_unstored(form))

    def _home(self, ack: Callable[..., Any], body: dict[str, Any]) -> None:
        ack()
        if body["event"].get("tab", "home") == "home":
            key = f"slack:{body.get('event_id', '')}"
            self._captain.take(inbox.Request(key, now(), "home", {"user": body["event"]["user"]}))

    def _event(self, ack: Callable[..., Any], body: dict[str, Any]) -> BoltResponse | None:
        """Something happened to a message; nearly always that is nothing to us."""
        told = hear.read(self._captain.settings.incidents, body["event"])
        if told is not None and not self._captain.take(
            inbox.Request(f"slack:{body.get('event_id', '')}", now(), "event", told)
        ):
            # Not acknowledged: Slack sends it again.
            log.error("an event could not be stored: %s", told)
            return BoltResponse(status=503)
        ack()
        return None

    @staticmethod
    def _asked(body: dict[str, Any], user: str, name: str, channel: str, line: str) -> dict[str, Any]:
        return {
            "user": user,
            "name": name or user,
            "channel": channel,
            "line": line.strip(),
            "response_url": body.get("response_url", ""),
            "trigger_id": body.get("trigger_id", ""),
        }

    # ---- the two ways to hear ---------------------------------------------------------------------------------------

    async def http(self, request: HttpRequest) -> Response:
        """Answer one signed request; Bolt checks the signature and its age. Runs off the event loop: alerts go on."""
        body = await request.body()
        if len(body) > MAX_FORM:
            return Response("too large", 413)
        headers: dict[str, str | Sequence[str]] = dict(request.headers)
        asked = BoltRequest(body=body.decode("utf-8", "replace"), query=request.url.query, headers=headers)
        answer = await run_in_threadpool(self.app.dispatch, asked)
        if answer.status == 401:
            self._captain.refusals.put([Refusal(now(), "slack", 401, UNSIGNED, stranger=True)])
        return Response(answer.body, answer.status, {k: v[0] for k, v in answer.headers.items()})

    def listen(self) -> None:
        """Connect in Socket Mode, on a thread: the bot takes alerts before, while and after Slack is there."""
        if self._settings.mode == "socket":
            self._thread = threading.Thread(target=self._connect, name="slack-socket", daemon=True)
            self._thread.start()

    def _connect(self) -> None:
        token = self._settings.app_token
        assert token is not None, "checked when captain.yml was read"
        pause = 0.2
        while not self._stopping.is_set():
            handler = SocketModeHandler(self.app, token.get_secret_value(), ping_interval=10)
            try:
                handler.connect()  # type: ignore[no-untyped-call]
            except (OSError, SlackApiError) as e:
                log.warning("Slack cannot be reached, trying again in %.1f s: %s", pause, e)
                handler.close()  # type: ignore[no-untyped-call]
                self._stopping.wait(pause)
                pause = min(15.0, pause * 2)
                continue
            self._socket = handler
            log.info("connected to Slack")
            return

    def close(self) -> None:
        """Hang up. The SDK's own threads may sleep some seconds longer; nobody waits for them."""
        self._stopping.set()
        if self._socket is not None:
            hanging_up = threading.Thread(target=self._socket.close, name="slack-close", daemon=True)
            hanging_up.start()
            hanging_up.join(0.5)


def _unstored(form: dict[str, Any]) -> dict[str, str]:
    """What is said beside a form's first field; it stays open, with what was typed."""
    return {next(iter(form["state"]["values"])): NOT_STORED[:150]}


def _authorize(token: str) -> Callable[..., AuthorizeResult]:
    def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=token)

    return authorize


def _ignore(ack: Callable[..., Any]) -> None:
    """Events we did not ask for are acknowledged, so that Slack does not send them again."""
    ack()


Endpoint = Callable[[HttpRequest], Awaitable[Response]]
