"""A pretend PagerDuty on a port of its own, the client that asks it, and somebody who listens to its webhooks."""

from __future__ import annotations

import pytest
import requests
from ground.doors import listening

from bot.integrations.pagerduty import PagerDutySettings, Trigger
from bot.integrations.pagerduty.client import PagerDutyClient
from bot.integrations.pagerduty.fake import API_TOKEN, ROUTING_KEYS, FakePagerDuty

DOCS, GATEWAY = ROUTING_KEYS


@pytest.fixture
def pagerduty(calls):
    return FakePagerDuty(calls)


@pytest.fixture
def url(pagerduty, behind):
    return behind(pagerduty.app)


@pytest.fixture
def settings(url):
    def made(**changes):
        given = {"api_token": API_TOKEN, "from_email": "bob@example.com", "timeout": 1.0, **changes}
        return PagerDutySettings(events_url=url, rest_url=url, **given)

    return made


@pytest.fixture
def client(settings):
    return PagerDutyClient(settings())


@pytest.fixture
def page():
    """A page for docs-api, changed as asked."""

    def made(**changes):
        given = {"routing_key": DOCS, "dedup_key": "captain-1", "summary": "p95 up", "source": "docs-api"}
        return Trigger(**{**given, "severity": "critical", **changes})

    return made


@pytest.fixture
def rest(url):
    """``rest(method, path, body, …)``: one bare REST request, without an SDK, as bob."""

    def ask(method, path, body=None, *, token=API_TOKEN, sender="bob@example.com", **more):
        headers = {"Authorization": f"Token token={token}", "From": sender, **more.pop("headers", {})}
        headers = {name: value for name, value in headers.items() if value}
        return requests.request(method, f"{url}{path}", json=body, headers=headers, timeout=5, **more)

    return ask


@pytest.fixture
def event(url):
    """``event(**changes)``: one bare alert event; a change of None leaves the field out."""

    def send(path="/v2/enqueue", **changes):
        payload = {"summary": "p95 up", "source": "docs-api", "severity": "critical", **changes.pop("payload", {})}
        whole = {
            "routing_key": DOCS,
            "event_action": "trigger",
            "dedup_key": "captain-1",
            "payload": payload,
            **changes,
        }
        body = {name: value for name, value in whole.items() if value is not None}
        return requests.post(f"{url}{path}", json=body, timeout=5)

    return send


@pytest.fixture
def listener():
    """Who hears PagerDuty's webhooks."""
    with listening("/webhooks/pagerduty", 202, inside="event") as ear:
        yield ear
