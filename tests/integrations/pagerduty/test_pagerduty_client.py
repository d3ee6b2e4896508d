"""The client against the stand-in: one request a call, and every failure said as what happens next."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from ground.waiting import free_port, until

from bot.errors import GiveUp, Retry
from bot.integrations.pagerduty import Accepted, PagerDutySettings, PageRef, User
from bot.integrations.pagerduty.client import PagerDutyClient
from bot.integrations.pagerduty.fake import API_TOKEN, ROUTING_KEYS, FakePagerDuty
from bot.standin import CallLog

DOCS, GATEWAY = ROUTING_KEYS


def test_a_page_goes_out_whole(client, page, pagerduty, calls):
    accepted = client.trigger(
        page(component="edge", group="docs", links=[("https://a.example", "dashboard")], details={"burn": 14.4, "n": 3})
    )
    assert accepted == Accepted("captain-1", "Event processed")
    (row,) = pagerduty.state()["incidents"]
    assert (row["title"], row["severity"], row["service"]) == ("p95 up", "critical", "docs-api")
    assert row["links"] == [{"href": "https://a.example", "text": "dashboard"}]
    assert row["details"] == {"burn": 14.4, "n": 3}
    (alert,) = pagerduty.account.incident(row["id"]).alerts
    assert (alert.payload["component"], alert.payload["group"]) == ("edge", "docs")
    assert len(calls.calls) == 1


def test_acknowledge_and_resolve(client, page, pagerduty):
    client.trigger(page())
    assert client.acknowledge(PageRef(DOCS, "captain-1")).dedup_key == "captain-1"
    assert pagerduty.state()["incidents"][0]["status"] == "acknowledged"
    client.resolve(PageRef(DOCS, "captain-1"))
    assert pagerduty.state()["incidents"][0]["status"] == "resolved"


def test_each_page_goes_to_the_service_of_its_key(client, page, pagerduty):
    client.trigger(page(routing_key=GATEWAY))
    client.trigger(page())
    assert [row["service"] for row in pagerduty.state()["incidents"]] == ["gateway", "docs-api"]


def test_a_page_is_never_refused_for_its_trimmings(client, page, pagerduty):
    odd = {"when": time, "nan": float("nan"), "inf": float("inf"), "nested": [{1: {2}}], "flag": True, "none": None}
    client.trigger(page(summary="x" * 3000, links=[("runbook.md", "not an address")], details=odd))
    (row,) = pagerduty.state()["incidents"]
    assert len(row["title"]) == 1024
    assert row["title"].endswith("…")
    assert row["links"] == []
    assert row["details"]["nan"] == "nan"
    assert row["details"]["nested"] == [{"1": [2]}]
    client.trigger(page(dedup_key="big", details={"log": "x" * 600_000}))
    assert list(pagerduty.state()["incidents"][1]["details"]) == ["left out"]


def test_find_gives_the_newest_of_the_key(client, page, pagerduty, calls, url):
    assert client.find("captain-1") is None
    for _ in range(2):
        client.trigger(page())
        client.resolve(PageRef(DOCS, "captain-1"))
    client.trigger(page())
    before = len(calls.calls)
    found = client.find("captain-1")
    assert len(calls.calls) == before + 1
    row = pagerduty.state()["incidents"][2]
    assert (found.id, found.number, found.status, found.title) == (row["id"], 3, "triggered", "p95 up")
    assert (found.dedup_key, found.assignees, found.html_url) == ("captain-1", ("Alice Adams",), row["url"])
    assert (found.changed_at, found.changed_by) == (int(row["created_at"]), ""), "an event is no person"
    pagerduty.acknowledge(row["id"], "bob")
    found = client.find("captain-1")
    assert (found.status, found.changed_by) == ("acknowledged", "Bob Brown")
    assert found.changed_at == int(pagerduty.state()["incidents"][2]["acknowledged_at"])


def test_a_note_is_signed_with_the_configured_user(client, page, pagerduty):
    client.trigger(page())
    client.note(client.find("captain-1").id, "INC-1 is mitigated")
    (note,) = pagerduty.state()["incidents"][0]["notes"]
    assert (note["text"], note["by"]) == ("INC-1 is mitigated", "bob@example.com")


def test_on_calls_by_policy(client):
    assert [(c.name, c.level, c.policy, c.until) for c in client.on_calls()] == [
        ("Alice Adams", 1, "Default", 0.0),
        ("Bob Brown", 2, "Default", 0.0),
        ("Carol Cho", 2, "Default", 0.0),
    ]
    assert len(client.on_calls(["PPOLICY"])) == 3
    assert client.on_calls(["PNOBODY"]) == []


def test_a_note_is_signed_with_who_wrote_it(client, page, pagerduty):
    client.trigger(page())
    client.note(client.find("captain-1").id, "p95 is down", sender="carol@example.com")
    (note,) = pagerduty.state()["incidents"][0]["notes"]
    assert (note["text"], note["by"]) == ("p95 is down", "carol@example.com")
    assert client.notes(client.find("captain-1").id) == ["p95 is down"]


def test_people_by_address_or_by_name(client):
    assert [one.id for one in client.users("bob@example.com")] == ["PBOB001"]
    assert [one.name for one in client.users("caro")] == ["Carol Cho"]
    assert len(client.users("example.com")) == 3
    assert client.users("eve@example.com") == []


def test_in_whose_name_something_is_asked(client, settings):
    assert client.sender("Carol@example.com").name == "Carol Cho"
    assert client.sender("eve@example.com").name == "Bob Brown", "the configured one"
    assert client.sender("").name == "Bob Brown"
    gives_up(lambda: PagerDutyClient(settings(from_email="eve@example.com")).sender(""), "no user eve@example.com")
    gives_up(lambda: PagerDutyClient(settings(from_email="")).sender("eve@example.com"), "eve", "pagerduty.from_email")


def test_escalate_gives_it_to_the_level(client, page, pagerduty):
    client.trigger(page())
    client.acknowledge(PageRef(DOCS, "captain-1"))
    found = client.find("captain-1")
    assert (client.levels(found.policy_id), found.assignee_ids) == (2, ("PALICE1",))
    client.escalate(found.id, 2, sender="bob@example.com")
    found = client.find("captain-1")
    assert (found.status, found.assignee_ids) == ("triggered", ("PBOB001", "PCAROL1"))
    gives_up(lambda: client.escalate(found.id, 3, sender="bob@example.com"), "between 1 and 2")


def test_who_was_asked_to_join_is_told_by_the_page(client, page):
    client.trigger(page())
    found = client.find("captain-1")
    assert found.responder_ids == ()
    client.request_responder(found.id, BOB, "join", sender=BOB)
    assert client.find("captain-1").responder_ids == ("PBOB001",)
    gives_up(lambda: client.request_responder(found.id, User("PNO", "", ""), "join", sender=BOB), "not found")


def test_services_by_routing_key_and_by_id(client, calls, pagerduty):
    (docs,) = client.services(keys=[DOCS, "f" * 32])
    assert (docs.name, docs.policy_id, docs.policy, docs.keys) == ("docs-api", "PPOLICY", "Default", (DOCS,))
    assert [one.name for one in client.services(keys=[DOCS], ids=[pagerduty.account.service_id("gateway")])] == [
        "docs-api",
        "gateway",
    ]
    before = len(calls.calls)
    assert [one.name for one in client.services(ids=[docs.id, "PNOBODY"])] == ["docs-api"]
    assert len(calls.calls) == before + 2


def test_the_turns_of_a_while(client, pagerduty):
    now = float(int(time.time()))
    turns = [("alice", now - 60, now + 60), ("bob", now + 60, now + 120), ("carol", now + 9000, now + 9060)]
    pagerduty.set_rotation(1, turns)
    found = [c for c in client.on_calls(["PPOLICY"], since=now, until=now + 3600) if c.level == 1]
    assert [(c.name, c.since, c.until) for c in found] == [
        ("Alice Adams", now - 60, now + 60),
        ("Bob Brown", now + 60, now + 120),
    ]
    assert [c.name for c in client.on_calls() if c.level == 1] == ["Alice Adams"]


def test_ping_names_something_of_the_account(client, calls):
    assert client.ping() == "docs-api"
    assert len(calls.calls) == 1


def test_ping_of_an_account_without_services(settings, behind):
    behind(FakePagerDuty(CallLog(), routing_keys={}).app)
    assert PagerDutyClient(settings()).ping() == "Alice Adams"


# What is refused for good.


def gives_up(call, *words):
    with pytest.raises(GiveUp) as given_up:
        call()
    for word in words:
        assert word in given_up.value.reason, given_up.value.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"routing_key": "f" * 32}, ("routing_key", "captain.yml")),
        ({"routing_key": "short"}, ("32 characters", "captain.yml")),
        ({"routing_key": ""}, ("routing_key", "captain.yml")),
        ({"summary": " "}, ("payload.summary",)),
        ({"source": ""}, ("payload.source",)),
        ({"severity": "sev1"}, ("payload.severity",)),
        ({"dedup_key": "k" * 256}, ("dedup_key",)),
    ],
)
def test_a_refused_page_says_what_to_check(client, page, pagerduty, change, words):
    gives_up(lambda: client.trigger(page(**change)), *words)
    assert pagerduty.state()["incidents"] == []


def test_an_acknowledge_needs_a_key(client):
    gives_up(lambda: client.acknowledge(PageRef(DOCS, "")), "dedup_key")


def test_a_wrong_token_names_the_secret(settings, calls):
    gives_up(PagerDutyClient(settings(api_token="wrong")).ping, "401", "pagerduty.api_token")
    assert len(calls.calls) == 1


def test_no_token_names_the_setting(settings, calls):
    client = PagerDutyClient(settings(api_token=None))
    gives_up(lambda: client.find("captain-1"), "pagerduty.api_token")
    gives_up(client.on_calls, "pagerduty.api_token")
    assert len(calls.calls) == 0


def test_a_key_that_may_only_read_names_the_permission(client, page, pagerduty):
    client.trigger(page())
    pagerduty.read_only = True
    gives_up(lambda: client.note(client.find("captain-1").id, "x"), "403", "full-access")


@pytest.mark.parametrize("sender", ["", "eve@example.com"])
def test_a_note_without_a_user_names_the_setting(settings, page, sender):
    client = PagerDutyClient(settings(from_email=sender))
    client.trigger(page())
    gives_up(lambda: client.note(client.find("captain-1").id, "x"), "pagerduty.from_email")


def test_a_note_on_nothing(client):
    gives_up(lambda: client.note("PNO", "x"), "404", "does not know it")


@pytest.mark.parametrize("address", ["ftp://pager.example", "nonsense", "http://"])
def test_an_address_that_is_none(page, address):
    client = PagerDutyClient(PagerDutySettings(events_url=address, timeout=1))
    gives_up(lambda: client.trigger(page()), "captain.yml")


# What may work later: always one request, never a sleep of the SDK's own.


def retries(call):
    began = time.perf_counter()
    with pytest.raises(Retry) as retry:
        call()
    return retry.value, time.perf_counter() - began


BOB = User("PBOB001", "Bob Brown", "bob@example.com")
ASKS = [
    pytest.param(lambda client, page: client.trigger(page()), id="trigger"),
    pytest.param(lambda client, page: client.resolve(PageRef(DOCS, "captain-1")), id="resolve"),
    pytest.param(lambda client, page: client.find("captain-1"), id="find"),
    pytest.param(lambda client, page: client.note("PI00001", "x"), id="note"),
    pytest.param(lambda client, page: client.on_calls(), id="on-calls"),
    pytest.param(lambda client, page: client.services(keys=[DOCS]), id="services"),
    pytest.param(lambda client, page: client.notes("PI00001"), id="notes"),
    pytest.param(lambda client, page: client.users("bob"), id="users"),
    pytest.param(lambda client, page: client.levels("PPOLICY"), id="levels"),
    pytest.param(lambda client, page: client.escalate("PI00001", 2, sender="bob@example.com"), id="escalate"),
    pytest.param(lambda client, page: client.request_responder("PI00001", BOB, "join", sender=BOB), id="responder"),
]


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(("mode", "after", "unknown"), [("429", 7.0, False), ("500", None, True), ("503", None, False)])
def test_one_request_then_retry(client, page, pagerduty, calls, ask, mode, after, unknown):
    pagerduty.faults.breaks(mode, retry_after=7)
    error, took = retries(lambda: ask(client, page))
    assert (error.after, error.unknown) == (after, unknown)
    assert mode in error.reason or "slow down" in error.reason
    assert len(calls.calls) == 1
    assert took < 0.5


@pytest.mark.parametrize("ask", ASKS)
def test_a_hang_ends_at_the_deadline(settings, page, pagerduty, calls, ask):
    client = PagerDutyClient(settings(timeout=0.3))
    pagerduty.faults.breaks("hang")
    error, took = retries(lambda: ask(client, page))
    assert error.unknown
    assert "0.3 s" in error.reason
    assert 0.25 < took < 0.8
    until(lambda: len(calls.calls) == 1)


def test_a_reset_after_acting_pages_once(client, page, pagerduty, calls):
    pagerduty.faults.breaks("reset", times=1)
    error, took = retries(lambda: client.trigger(page()))
    assert error.unknown
    assert took < 0.5
    assert len(calls.calls) == 1
    assert client.find("captain-1").status == "triggered", "it had acted"
    client.trigger(page())
    (row,) = pagerduty.state()["incidents"]
    assert (row["triggers"], row["alerts"]) == (2, 1)


def test_an_answer_that_comes_too_late_may_have_acted(settings, page, pagerduty):
    client = PagerDutyClient(settings(timeout=0.6))
    pagerduty.faults.breaks("late", delay=1.2, times=1)
    error, _ = retries(lambda: client.trigger(page()))
    assert error.unknown
    until(lambda: len(pagerduty.state()["incidents"]) == 1)


def test_the_services_own_limit(client, page, pagerduty):
    pagerduty.limit_events_per_minute = 1
    client.trigger(page())
    error, _ = retries(lambda: client.trigger(page()))
    assert 1 <= error.after <= 60


def test_a_closed_port_has_not_acted(page):
    client = PagerDutyClient(PagerDutySettings(events_url=f"http://127.0.0.1:{free_port()}", timeout=1))
    error, took = retries(lambda: client.trigger(page()))
    assert not error.unknown
    assert took < 0.5


@pytest.mark.parametrize(("status", "unknown"), [(200, True), (202, True), (403, False), (404, False)])
def test_a_proxy_that_answers_in_its_place_loses_no_page(page, behind, status, unknown):
    async def login(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<html>please log in</html>"})

    there = behind(login)
    client = PagerDutyClient(PagerDutySettings(events_url=there, rest_url=there, api_token=API_TOKEN, timeout=1))
    error, _ = retries(lambda: client.trigger(page()))
    assert error.unknown is unknown
    assert "proxy" in error.reason
    if status < 400:
        error, _ = retries(lambda: client.find("captain-1"))
        assert "proxy" in error.reason


def test_a_session_is_good_again_after_a_failure(client, page, pagerduty):
    for mode in ("500", "reset", "429"):
        pagerduty.faults.breaks(mode, times=1)
        retries(lambda: client.trigger(page()))
        assert client.trigger(page()).dedup_key == "captain-1"


# Threads, connections, import.


def test_many_threads_page_at_once(client, page, pagerduty):
    keys = [(f"k{n}", (DOCS, GATEWAY)[n % 2]) for n in range(60)]
    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(lambda k: client.trigger(page(dedup_key=k[0], routing_key=k[1])), keys))
    assert [a.dedup_key for a in accepted] == [key for key, _ in keys]
    rows = {row["dedup_key"]: row["service"] for row in pagerduty.state()["incidents"]}
    assert rows == {key: "docs-api" if routing == DOCS else "gateway" for key, routing in keys}


def test_connections_stay_warm_across_threads(page, pagerduty, behind):
    ports = []

    async def watch(scope, receive, send):
        ports.append(scope["client"][1])
        await pagerduty.app(scope, receive, send)

    client = PagerDutyClient(PagerDutySettings(events_url=behind(watch), timeout=1))
    for _ in range(5):
        thread = threading.Thread(target=client.trigger, args=(page(),))
        thread.start()
        thread.join()
    assert len(ports) == 5
    assert len(set(ports)) == 1


def test_making_a_client_sends_nothing(settings, calls):
    PagerDutyClient(settings())
    assert len(calls.calls) == 0


def test_our_token_is_not_replaced_by_the_machines(settings, tmp_path, monkeypatch):
    """requests would rather send what ~/.netrc has for the host."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert PagerDutyClient(settings()).ping() == "docs-api"


def test_importing_it_warns_of_nothing_and_hides_nothing():
    code = "import warnings\nimport bot.integrations.pagerduty.client\nwarnings.warn('still shown', UserWarning)\n"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert "still shown" in done.stderr
    assert "pdpyras" not in done.stderr
