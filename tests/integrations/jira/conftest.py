"""A pretend Jira of either kind behind one address, the client that asks it, and somebody who listens to its webhooks."""

from __future__ import annotations

import pytest
import requests
from ground.doors import listening
from jira import JIRA

from bot.integrations.jira import JiraSettings, Ticket
from bot.integrations.jira.client import JiraClient
from bot.integrations.jira.fake import API_TOKEN, EMAIL, FakeJira


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
    """Who hears Jira's webhooks."""
    with listening("/webhooks/jira", 200) as ear:
        yield ear
