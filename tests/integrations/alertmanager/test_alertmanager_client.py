"""The client against the stand-in over real HTTP: what it answers, and what each way of failing becomes."""

from __future__ import annotations

import socket
import time

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from bot.errors import GiveUp, Retry
from bot.integrations.alertmanager import AlertmanagerSettings, LabelMatcher, SilenceAsk
from bot.integrations.alertmanager.client import AlertmanagerClient
from bot.integrations.alertmanager.fake import FakeAlertmanager


@pytest.fixture
def fake(calls):
    made = FakeAlertmanager(calls)
    yield made
    made.stop()


def client_of(url, **settings):
    return AlertmanagerClient(AlertmanagerSettings(url=url, webhook_secret="x", **{"timeout": 1.0, **settings}))


@pytest.fixture
def client(fake, behind):
    asked = client_of(behind(fake.app) + "/")
    yield asked
    asked.close()


def test_active_alerts_with_their_silences(client, fake):
    assert client.active() == ()
    fingerprint = fake.burn("docs-api")
    (alert,) = client.active()
    assert (alert.fingerprint, alert.state, alert.labels["service"]) == (fingerprint, "active", "docs-api")
    assert all(at.endswith("Z") for at in (alert.starts_at, alert.ends_at, alert.updated_at))
    assert (alert.receivers, alert.annotations["summary"][:14]) == (("rc",), "docs-api burns")
    name = fake.post_silence(
        {"matchers": [{"name": "service", "value": "docs-api", "isRegex": False}], "startsAt": "2026-01-01T00:00:00Z",
         "endsAt": "2099-01-01T00:00:00Z", "createdBy": "me", "comment": "c"}
    )  # fmt: skip
    (alert,) = client.active()
    assert (alert.state, alert.silenced_by) == ("suppressed", (name,))


def ask(**more):
    said = {"matchers": [LabelMatcher("service", "docs-api")], "until": time.time() + 600, "created_by": "Zoë"}
    return SilenceAsk(**{**said, "comment": "new disks", "by": time.monotonic() + 5, **more})


def test_a_silence_is_made_given_another_end_and_ended(client, fake):
    fake.burn("docs-api")
    name = client.silence(ask())
    (made,) = client.silences()
    assert (made.id, made.state, made.created_by, made.comment) == (name, "active", "Zoë", "new disks")
    assert made.matchers == (LabelMatcher("service", "docs-api"),)
    assert client.active()[0].silenced_by == (name,)
    assert client.silence(ask(id=name, until=time.time() + 7200)) == name
    assert [one.ends_at > made.ends_at for one in client.silences()] == [True]
    client.expire(name)
    assert client.active()[0].state == "active"
    client.expire(name)
    client.expire("00000000-0000-0000-0000-000000000000")
    assert [one.state for one in client.silences()] == ["expired"]


def test_a_silence_that_ended_before_it_began_is_refused(client):
    with pytest.raises(GiveUp, match="end time can't be in the past|start time must be before end time"):
        client.silence(ask(until=time.time() - 60))


def test_a_silence_whose_answer_is_lost_may_have_been_made(client, fake):
    fake.faults.breaks("reset")
    with pytest.raises(Retry) as caught:
        client.silence(ask())
    assert caught.value.unknown
    fake.faults.mend()
    assert len(client.silences()) == 1


def test_what_waited_too_long_is_not_sent(client, fake):
    with pytest.raises(Retry, match="looks again first"):
        client.silence(ask(by=time.monotonic() - 1))
    assert client.silences() == ()


def test_ping_tells_the_version(client):
    assert client.ping() == "0.25.0"


@pytest.mark.parametrize("mode", ["500", "503", "429", "reset"])
def test_what_may_heal_is_retried_by_the_engine_not_here(client, fake, calls, mode):
    fake.faults.breaks(mode, retry_after=7)
    with pytest.raises(Retry) as caught:
        client.active()
    assert caught.value.after == (7.0 if mode == "429" else None)
    assert len(calls.rows()) == 1


def test_a_hang_ends_at_the_timeout(fake, behind):
    url = behind(fake.app)
    fake.faults.breaks("hang")
    began = time.monotonic()
    with pytest.raises(Retry, match=r"within 0\.5 s"):
        client_of(url, timeout=0.5).ping()
    assert time.monotonic() - began < 1.5


def test_nobody_listening_is_a_retry_at_once():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(Retry, match="refused"):
        client_of(f"http://127.0.0.1:{port}").ping()


def test_what_is_no_alertmanager_is_said(behind):
    async def page(request):
        return HTMLResponse("<html>Please sign in</html>")

    async def guarded(request):
        return JSONResponse({}, 200 if request.headers.get("authorization") == "Bearer t0ken" else 403)

    url = behind(Starlette(routes=[Route("/api/v2/alerts", page), Route("/api/v2/status", guarded)]))
    with pytest.raises(Retry, match="not Alertmanager's API"):
        client_of(url).active()
    with pytest.raises(GiveUp, match=r"alertmanager\.bearer_token"):
        client_of(url).ping()
    assert client_of(url, bearer_token="t0ken").ping() == "unknown version"
    behind(Starlette())
    with pytest.raises(GiveUp, match=r"check alertmanager\.url"):
        client_of(url).ping()


@pytest.mark.parametrize("url", ["", "not an address", "ftp://x"])
def test_an_address_that_is_none_gives_up(url):
    with pytest.raises(GiveUp, match=r"alertmanager\.url"):
        client_of(url).ping()
