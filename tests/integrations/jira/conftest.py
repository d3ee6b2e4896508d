"""A pretend Jira of either kind behind one address, the client that asks it, and somebody who listens to its webhooks."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import requests
from jira import JIRA

from bot.integrations.jira import JiraSettings, Ticket
from bot.integrations.jira.client import JiraClient
from bot.integrations.jira.fake import API_TOKEN, EMAIL, FakeJira
from bot.standin import CallLog, serve


class Door:
    """An address that stays while the app behind it changes: starting a server for each test would cost 0.2 s."""

    def __init__(self):
        self.app = None
        self.served = serve(self)

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def _door():
    door = Door()
    yield door
    door.served.stop()


@pytest.fixture
def behind(_door):
    """``behind(app)`` serves the app until the test ends, or the next call, and gives its address."""

    def put(app):
        _door.app = app
        return _door.served.url

    return put


@pytest.fixture
def calls():
    return CallLog()


@pytest.fixture(params=["Cloud", "Server"])
def deployment(request):
    """Tests that ask for it run once for each kind of Jira."""
    return request.param


@pytest.fixture
def jira(calls, request):
    """Cloud, unless the test asks for ``deployment``."""
    kind = request.getfixturevalue("deployment") if "deployment" in request.fixturenames else "Cloud"
    return FakeJira(calls, deployment=kind)


@pytest.fixture
def url(jira, behind):
    return behind(jira.app)


@pytest.fixture
def settings(url, jira):
    def made(**changes):
        cloud = {"email": EMAIL, "api_token": API_TOKEN}
        given = {**(cloud if jira.cloud else {"personal_token": API_TOKEN}), "timeout": 1.0, **changes}
        return JiraSettings(url=url, **given)

    return made


@pytest.fixture
def client(settings):
    return JiraClient(settings())


@pytest.fixture
def ticket():
    def made(**changes):
        given = {"project": "OPS", "key_label": "captain-1", "summary": "p95 up", "description": "docs-api burns"}
        return Ticket(**{**given, **changes})

    return made


@pytest.fixture
def sdk(url, jira):
    """The jira package as it comes, but for the retries that would take minutes."""
    auth = {"basic_auth": (EMAIL, API_TOKEN)} if jira.cloud else {"token_auth": API_TOKEN}
    return JIRA(server=url, max_retries=0, timeout=5, **auth)


@pytest.fixture
def rest(url, jira):
    """``rest(method, path, body)``: one bare request below /rest/api/2/ (or ``version``), without an SDK."""

    def ask(method, path, body=None, *, version="2", auth=True, **more):
        headers = {} if jira.cloud or not auth else {"Authorization": f"Bearer {API_TOKEN}"}
        basic = (EMAIL, API_TOKEN) if jira.cloud and auth else None
        address = f"{url}/rest/api/{version}/{path}"
        return requests.request(method, address, json=body, auth=basic, headers=headers, timeout=5, **more)

    return ask


@pytest.fixture
def make(jira):
    """``make(**fields)``: an issue that is simply there, searchable at once; gives its key."""

    def made(project="OPS", **fields):
        delay, jira.search_delay = jira.search_delay, 0
        by = jira.site.user("captain@example.com").id
        issue = jira.site.create(project, {"summary": "p95 up", "issue_type": "Task", **fields}, by)
        jira.search_delay = delay
        return issue.key

    return made


@pytest.fixture
def listener():
    """Hears webhooks: ``heard`` has (headers, body); ``answers`` are the statuses to give, the last for ever."""
    ear = SimpleNamespace(heard=[], answers=[200], url="")

    async def app(scope, receive, send):
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        ear.heard.append(({name.decode(): value.decode() for name, value in scope["headers"]}, body))
        status = ear.answers.pop(0) if len(ear.answers) > 1 else ear.answers[0]
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    ear.events = lambda: [json.loads(body) for _, body in ear.heard]
    served = serve(app)
    ear.url = f"{served.url}/webhooks/jira"
    yield ear
    served.stop()
