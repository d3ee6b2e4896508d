"""One server for the stand-in and one for the bot: each test puts its own workspace, and its own Bolt app, behind them."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass

import pytest
from ground.doors import Door
from ground.waiting import until
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.adapter.starlette import SlackRequestHandler
from slack_sdk import WebClient
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from bot.integrations.slack import SlackSettings
from bot.integrations.slack.client import SlackClient
from bot.integrations.slack.fake import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, FakeSlack
from bot.standin import CallLog


@dataclass
class Place:
    """A workspace that is being served under a prefix, as the sandbox does."""

    fake: FakeSlack
    calls: CallLog
    url: str
    bot_url: str = ""

    @property
    def base_url(self) -> str:
        return f"{self.url}/api/"

    def web(self, token: str = BOT_TOKEN, **more) -> WebClient:
        return WebClient(token, base_url=self.base_url, retry_handlers=[], **more)

    def chat(self, *, timeout: float = 5.0, token: str = BOT_TOKEN) -> SlackClient:
        return SlackClient(SlackSettings(bot_token=token, base_url=self.base_url, timeout=timeout))

    def methods(self) -> list[str]:
        """The Web API methods called so far, in order."""
        return [call.path.removeprefix("/api/") for call in self.calls.calls if call.path.startswith("/api/")]

    def rows(self, channel: str = "general") -> list[dict]:
        return [m for m in self.fake.state()["messages"] if m["channel_name"] == channel]

    def texts(self, channel: str = "general") -> list[str]:
        return [m["text"] for m in self.rows(channel)]


@pytest.fixture(scope="session")
def _doors():
    doors = Door(), Door()
    yield doors
    for door in doors:
        door.served.stop()


@pytest.fixture
def slack(_doors):
    calls = CallLog()
    fake = FakeSlack(calls)
    fake.delivery.retry_delays = (0.02, 0.02, 0.02)
    _doors[0].app = Starlette(routes=[Mount("/slack", app=fake.app)])
    yield Place(fake, calls, f"{_doors[0].url}/slack", _doors[1].url)
    fake.faults.mend()
    assert fake.settled(5)


@pytest.fixture
def web(slack):
    return slack.web()


@pytest.fixture
def new_app(slack):
    """A real, unmodified Bolt app for this workspace."""

    def make() -> App:
        return App(client=slack.web(), signing_secret=SIGNING_SECRET, process_before_response=True)

    return make


@pytest.fixture(scope="session")
def _closers():
    """Threads that close handlers: closing one takes the SDK up to three seconds, and no test has to wait for that."""
    threads = []
    yield threads
    for thread in threads:
        thread.join()


def _close(handler: SocketModeHandler) -> None:
    with contextlib.suppress(AttributeError):  # Two of the SDK's threads close the same socket and one comes too late.
        handler.close()


@pytest.fixture
def by_socket(slack, _closers):
    """Connect an app by Socket Mode; returns the handler."""
    handlers = []

    def start(app: App) -> SocketModeHandler:
        before = slack.fake.state()["sockets"]
        handler = SocketModeHandler(app, APP_TOKEN)
        handlers.append(handler)
        handler.connect()
        until(lambda: slack.fake.state()["sockets"] > before, message="no socket connected")
        return handler

    yield start
    for handler in handlers:
        handler.client.auto_reconnect_enabled = False
    slack.fake.drop_sockets()
    for handler in handlers:
        closer = threading.Thread(target=_close, args=(handler,))
        closer.start()
        _closers.append(closer)
    until(lambda: slack.fake.state()["sockets"] == 0, message="a socket stayed")


@pytest.fixture
def by_http(slack, _doors):
    """Let Slack's requests come in over signed HTTP."""

    def start(app: App) -> None:
        handler = SlackRequestHandler(app)
        _doors[1].app = Starlette(routes=[Route("/slack/events", handler.handle, methods=["POST"])])
        slack.fake.request_url = f"{slack.bot_url}/slack/events"

    return start


@pytest.fixture(params=["socket", "http"])
def run(request):
    """Start an app over one transport, then over the other: what follows has to be the same."""
    return request.getfixturevalue(f"by_{request.param}")
