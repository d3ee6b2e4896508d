"""The heartbeat's client against the stand-in over real HTTP: what it tells, and what each way of failing becomes."""

from __future__ import annotations

import time

import pytest
from ground.waiting import free_port
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bot.errors import GiveUp, Retry
from bot.integrations import connect
from bot.integrations.heartbeat import HeartbeatSettings
from bot.integrations.heartbeat.client import HeartbeatClient
from bot.integrations.heartbeat.fake import FakeHeartbeat


class Clock:
    at = 1_700_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def fake(calls):
    return FakeHeartbeat(calls, period=60, grace=120, clock=Clock())


def client_of(url: str, **settings) -> HeartbeatClient:
    return HeartbeatClient(HeartbeatSettings(url=url, **{"timeout": 1.0, **settings}))


@pytest.fixture
def client(fake, behind):
    made = client_of(f"{behind(fake.app)}/{fake.uuid}")
    yield made
    made.close()


def test_a_beat_keeps_the_switch_quiet_and_silence_sets_it_off(client, fake):
    assert fake.status() == "new"
    client.beat()
    assert fake.state() == {"status": "up", "count": 1, "last": Clock.at}
    fake.clock.at += 61
    assert fake.status() == "grace"
    fake.clock.at += 120
    assert fake.status() == "down"
    client.beat()
    assert (fake.status(), fake.count) == ("up", 2)


def test_what_it_holds_survives_a_restart(client, fake, calls):
    client.beat()
    other = FakeHeartbeat(calls, clock=fake.clock)
    other.load(fake.dump())
    assert other.state() == fake.state()


@pytest.mark.parametrize("mode", ["500", "503", "429", "reset"])
def test_what_may_heal_is_retried_by_the_engine_not_here(client, fake, calls, mode):
    fake.faults.breaks(mode, retry_after=7)
    with pytest.raises(Retry) as caught:
        client.beat()
    assert caught.value.after == (7.0 if mode == "429" else None)
    assert len(calls.calls) == 1
    assert fake.uuid not in caught.value.reason


def test_a_hanging_switch_is_left_in_time(client, fake):
    fake.faults.breaks("hang")
    began = time.monotonic()
    with pytest.raises(Retry, match="did not answer within 1 s"):
        client.beat()
    assert time.monotonic() - began < 2


def test_an_unknown_heartbeat_is_given_up_although_it_is_answered_with_200(fake, behind):
    client = client_of(f"{behind(fake.app)}/another")
    with pytest.raises(GiveUp, match="knows no such heartbeat: check heartbeat.url"):
        client.beat()
    client.close()


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [(404, "not found", GiveUp), (410, "", GiveUp), (403, "", GiveUp), (200, "OK (rate limited)", Retry)],
)
def test_what_it_answers_is_read(behind, status, text, error):
    async def answer(_request):
        return PlainTextResponse(text, status)

    client = client_of(f"{behind(Starlette(routes=[Route('/x', answer)]))}/x")
    with pytest.raises(error):
        client.beat()
    client.close()


def test_no_error_carries_the_address():
    client = client_of(f"http://127.0.0.1:{free_port()}/secret-uuid")
    with pytest.raises(Retry) as caught:
        client.beat()
    assert "secret-uuid" not in str(caught.value)
    client.close()


@pytest.mark.parametrize("url", ["secret-uuid", "ftp://x/secret-uuid", "https://", "http://x:99999/secret-uuid"])
def test_an_address_that_cannot_be_called_is_refused_without_being_shown(url):
    with pytest.raises(ValidationError) as caught:
        HeartbeatSettings(url=url)
    assert caught.value.errors()[0]["msg"] == "Value error, must be an address such as https://hc-ping.com/your-uuid"


def test_it_is_made_when_it_is_configured():
    assert connect.heartbeat(None) is None
    made = connect.heartbeat(HeartbeatSettings(url="https://hc-ping.com/x"))
    assert isinstance(made, HeartbeatClient)
    made.close()
