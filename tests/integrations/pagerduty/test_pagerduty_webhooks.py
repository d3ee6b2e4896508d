"""The stand-in's people and its signed v3 webhooks."""

from __future__ import annotations

import hashlib
import hmac
import threading

import pytest
from ground.waiting import free_port, until

from bot.integrations.pagerduty.fake_account import Invalid


@pytest.fixture
def heard(pagerduty, listener, event):
    """An incident, and a listener that has heard of it."""
    pagerduty.webhook_url, pagerduty.webhook_secret = listener.url, "s3cret"
    event()
    until(lambda: listener.heard)
    return pagerduty.state()["incidents"][0]["id"]


def test_the_signature_is_the_hmac_of_the_body(listener, heard):
    headers, body = listener.heard[0]
    digest = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["x-pagerduty-signature"] == f"v1={digest}"
    assert headers["content-type"] == "application/json"


def test_without_a_secret_it_is_not_signed_and_without_an_address_not_sent(pagerduty, listener, event):
    event()
    pagerduty.webhook_url = listener.url
    event(dedup_key="two")
    until(lambda: listener.heard)
    assert [e["data"]["incident_key"] for e in listener.events()] == ["two"]
    assert "x-pagerduty-signature" not in listener.heard[0][0]


def test_each_act_of_a_person_is_told(pagerduty, listener, heard):
    pagerduty.acknowledge(heard, "alice")
    pagerduty.note(heard, "rolling back", "bob@example.com")
    pagerduty.reassign(heard, "carol", "alice")
    pagerduty.resolve(heard, "PCAROL1")
    pagerduty.reopen(heard, "bob")
    until(lambda: len(listener.heard) == 6)
    kinds = [(e["event_type"], e["agent"]["summary"]) for e in listener.events()]
    assert kinds == [
        ("incident.triggered", "docs-api"),
        ("incident.acknowledged", "Alice Adams"),
        ("incident.annotated", "Bob Brown"),
        ("incident.reassigned", "Alice Adams"),
        ("incident.resolved", "Carol Cho"),
        ("incident.reopened", "Bob Brown"),
    ]
    acknowledged, note, reassigned = (e["data"] for e in listener.events()[1:4])
    assert (acknowledged["status"], acknowledged["incident_key"], acknowledged["number"]) == (
        "acknowledged",
        "captain-1",
        1,
    )
    assert (note["content"], note["incident"]["id"]) == ("rolling back", heard)
    assert [a["summary"] for a in reassigned["assignees"]] == ["Carol Cho"]
    assert len({e["id"] for e in listener.events()}) == 6
    row = pagerduty.state()["incidents"][0]
    assert (row["status"], row["resolved_at"], row["notes"][0]["by"]) == ("triggered", None, "bob@example.com")


def test_rest_writes_and_events_are_told_too(pagerduty, listener, heard, rest, event):
    rest("PUT", f"/incidents/{heard}", {"incident": {"type": "incident", "priority": {"id": "PPRIO01"}}})
    event(event_action="resolve")
    until(lambda: len(listener.heard) == 3)
    assert [e["event_type"] for e in listener.events()[1:]] == ["incident.priority_updated", "incident.resolved"]
    assert listener.events()[1]["data"]["priority"]["summary"] == "P1"


def test_a_second_trigger_is_not_told(pagerduty, listener, heard, event):
    event()
    pagerduty.resolve(heard, "alice")
    until(lambda: len(listener.heard) == 2)
    assert listener.events()[1]["event_type"] == "incident.resolved"


def test_it_tries_again_with_the_same_event(pagerduty, listener, event):
    listener.answers[:] = [503, 202]
    pagerduty.webhook_url = listener.url
    event()
    until(lambda: len(listener.heard) == 2)
    first, second = listener.events()
    assert first["id"] == second["id"]
    until(lambda: [status for status, _ in pagerduty.hooks.sent] == [503, 202])


def test_a_listener_that_is_down_holds_up_nobody(pagerduty, listener, event):
    pagerduty.webhook_url = f"http://127.0.0.1:{free_port()}/"
    event()
    until(lambda: pagerduty.hooks.sent, message="the first attempt was made")
    assert pagerduty.hooks.sent[0][0] == 0
    pagerduty.webhook_url = listener.url
    event(dedup_key="two")
    until(lambda: listener.heard, timeout=1.0, message="the second event goes out while the first waits for its turn")


def test_people_are_refused_as_the_api_refuses(pagerduty, heard):
    pagerduty.resolve(heard, "alice")
    with pytest.raises(Invalid) as refused:
        pagerduty.acknowledge(heard, "alice")
    assert refused.value.errors == ["Incident Already Resolved"]
    with pytest.raises(KeyError, match="eve"):
        pagerduty.reopen(heard, "eve")
    with pytest.raises(Invalid):
        pagerduty.note("PNO", "x", "alice")


def test_people_may_come_from_any_thread(pagerduty, heard):
    threads = [threading.Thread(target=pagerduty.note, args=(heard, f"note {n}", "bob")) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row = pagerduty.state()["incidents"][0]
    assert len(row["notes"]) == 20
    assert len({line["at"] for line in row["log"]}) > 1
