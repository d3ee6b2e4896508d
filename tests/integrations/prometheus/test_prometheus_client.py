"""The client against the stand-in over real HTTP: what it answers, and what each way of failing becomes."""

from __future__ import annotations

import math
import socket
import time

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from starlette.routing import Route

from bot.errors import GiveUp, Retry
from bot.integrations.prometheus import PrometheusSettings
from bot.integrations.prometheus.client import PrometheusClient
from bot.integrations.prometheus.fake import FakePrometheus


@pytest.fixture
def fake(calls):
    return FakePrometheus(calls)


@pytest.fixture
def client(fake, behind):
    asked = PrometheusClient(PrometheusSettings(url=behind(fake.app) + "/", timeout=1.0))
    yield asked
    asked.close()


@pytest.fixture
def serving(behind):
    return lambda *routes: behind(Starlette(routes=list(routes)))


def client_of(url, **settings):
    return PrometheusClient(PrometheusSettings(url=url, **{"timeout": 1.0, **settings}))


def test_an_instant_answer(client):
    answer = client.query('up{pod="docs-api-0"}')
    (sample,) = answer.samples
    assert sample.value == 1
    assert sample.labels["__name__"] == "up"
    assert abs(sample.at - time.time()) < 5
    assert answer.warnings == ()


def test_the_time_is_asked_for_to_the_millisecond(client):
    assert client.query("vector(1)", at=1_789_999_999.125).samples[0].at == 1_789_999_999.125


def test_a_scalar_is_one_sample_without_labels(client):
    (sample,) = client.query("1 + 1").samples
    assert (dict(sample.labels), sample.value) == ({}, 2.0)


def test_no_data_is_empty_and_nan_stays_nan(client):
    assert client.query("nothing_here").samples == ()
    (sample,) = client.query("vector(0) / 0").samples
    assert math.isnan(sample.value)
    assert client.query("vector(1) / 0").samples[0].value == math.inf


def test_a_range_answer(client):
    answer = client.query_range("time()", start=1_790_000_000.5, end=1_790_000_002.5, step=1)
    assert answer.series[0].points == (
        (1_790_000_000.5, 1_790_000_000.5),
        (1_790_000_001.5, 1_790_000_001.5),
        (1_790_000_002.5, 1_790_000_002.5),
    )
    assert client.query_range("nothing_here", start=1, end=2, step=1).series == ()


def test_warnings_are_not_lost(client, fake):
    fake.partial("remote store did not answer", "twice")
    assert client.query("up").warnings == ("remote store did not answer", "twice")
    assert client.query_range("up", start=1, end=2, step=1).warnings == ("remote store did not answer", "twice")


def test_a_hint_about_a_metrics_name_does_not_make_an_answer_a_partial_one(client, fake):
    """Prometheus 2.50 sends it as a warning; as one, an SLO of such a metric would never be measured."""
    fake.partial('PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "jobs"')
    assert client.query("up").warnings == ()
    fake.partial("PromQL info: metric might not be a counter", "remote read: timed out")
    assert client.query("up").warnings == ("remote read: timed out",)


def test_a_long_query_goes_by_post(client, calls):
    query = f"vector({' ' * 5000}1)"
    assert client.query(query).samples[0].value == 1
    assert calls.rows()[-1]["method"] == "POST"


def test_ping_tells_the_version(client):
    assert client.ping() == "2.42.0"


def test_a_bad_query_gives_up_with_prometheus_own_sentence(client):
    with pytest.raises(GiveUp, match=r"1:4: parse error: unexpected end of input inside braces"):
        client.query("up{")
    with pytest.raises(GiveUp, match="unsupported by this stand-in"):
        client.query("deriv(up[5m])")
    with pytest.raises(GiveUp, match="many-to-many"):
        client.query("istio_requests_total + ignoring(response_code) istio_requests_total")


def test_a_range_where_one_value_is_wanted_gives_up(client):
    with pytest.raises(GiveUp, match="matrix"):
        client.query("up[5m]")


@pytest.mark.parametrize("mode", ["500", "503", "429", "reset"])
def test_what_may_heal_is_retried_by_the_engine_not_here(client, fake, calls, mode):
    fake.faults.breaks(mode, retry_after=7)
    with pytest.raises(Retry) as caught:
        client.query("up")
    assert caught.value.after == (7.0 if mode == "429" else None)
    assert not caught.value.unknown  # it only reads
    assert len([c for c in calls.rows() if c["path"] == "/api/v1/query"]) == 1


def test_a_hang_ends_at_the_timeout(client, fake):
    fake.faults.breaks("hang")
    began = time.monotonic()
    with pytest.raises(Retry, match="within 1 s"):
        client.query("up")
    assert time.monotonic() - began < 2


def test_an_answer_that_drips_ends_at_the_timeout(serving):
    async def drip(request):
        async def forever():
            while True:
                yield b" "
                await asyncio_sleep(0.1)

        return StreamingResponse(forever(), media_type="application/json")

    url = serving(Route("/api/v1/query", drip))
    began = time.monotonic()
    with pytest.raises(Retry, match="did not finish"):
        client_of(url, timeout=0.5).query("up")
    assert time.monotonic() - began < 3


async def asyncio_sleep(seconds):
    import asyncio

    await asyncio.sleep(seconds)


def test_nobody_listening_is_a_retry_at_once():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(Retry, match="refused"):
        client_of(f"http://127.0.0.1:{port}").query("up")
    assert time.monotonic() - began < 1


def test_a_page_of_html_is_a_retry(serving):
    async def page(request):
        return HTMLResponse("<html>Please sign in</html>")

    async def moved(request):
        return RedirectResponse("/login")

    url = serving(Route("/api/v1/query", page), Route("/api/v1/status/buildinfo", moved), Route("/login", page))
    with pytest.raises(Retry, match="not Prometheus' API"):
        client_of(url).query("up")
    with pytest.raises(Retry, match="not Prometheus' API"):
        client_of(url).ping()
    with pytest.raises(GiveUp, match=r"check prometheus\.url"):
        client_of(url).query_range("up", start=1, end=2, step=1)


def test_the_token_is_sent_and_a_refusal_says_what_to_set(serving):
    async def guarded(request):
        if request.headers.get("authorization") != "Bearer t0ken":
            return JSONResponse({"error": "no"}, 401)
        return JSONResponse({"status": "success", "data": {"version": "9"}})

    url = serving(Route("/api/v1/status/buildinfo", guarded))
    assert client_of(url, bearer_token="t0ken").ping() == "9"
    with pytest.raises(GiveUp, match=r"prometheus\.bearer_token"):
        client_of(url, bearer_token="other").ping()


@pytest.mark.parametrize("url", ["not an address", "ftp://x", "http://"])
def test_an_address_that_is_none_gives_up(url):
    with pytest.raises(GiveUp, match=r"prometheus\.url"):
        client_of(url).ping()
