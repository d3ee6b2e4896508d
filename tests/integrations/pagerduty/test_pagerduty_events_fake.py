"""The stand-in's Events API: what it refuses, and how events become incidents."""

from __future__ import annotations

import json

import pdpyras
import pytest
import requests

from bot.integrations.pagerduty.fake import ROUTING_KEYS, FakePagerDuty
from bot.standin import CallLog, serve

DOCS, GATEWAY = ROUTING_KEYS

REFUSALS = [
    pytest.param({"routing_key": None}, "'routing_key' is missing", id="no routing key"),
    pytest.param({"routing_key": "short"}, "should be 32 characters", id="short routing key"),
    pytest.param({"routing_key": "f" * 32}, "'routing_key' is invalid", id="unknown routing key"),
    pytest.param({"routing_key": 5}, "'routing_key' is missing", id="numeric routing key"),
    pytest.param({"event_action": None}, "'event_action' is missing", id="no action"),
    pytest.param({"event_action": "open"}, "'event_action' is invalid", id="bad action"),
    pytest.param({"event_action": "acknowledge", "dedup_key": None}, "'dedup_key' is missing", id="ack without key"),
    pytest.param({"event_action": "resolve", "dedup_key": ""}, "'dedup_key' is missing", id="resolve without key"),
    pytest.param({"dedup_key": "k" * 256}, "'dedup_key' is invalid", id="long key"),
    pytest.param({"payload": {"summary": ""}}, "'payload.summary' is missing", id="blank summary"),
    pytest.param({"payload": {"summary": None}}, "'payload.summary' is missing", id="no summary"),
    pytest.param({"payload": {"summary": "x" * 1025}}, "maximum is 1024", id="long summary"),
    pytest.param({"payload": {"source": ""}}, "'payload.source' is missing", id="no source"),
    pytest.param({"payload": {"severity": None}}, "'payload.severity' is missing", id="no severity"),
    pytest.param({"payload": {"severity": "sev1"}}, "'payload.severity' is invalid", id="bad severity"),
    pytest.param(
        {"payload": {"custom_details": "text"}}, "'payload.custom_details' is invalid", id="details no object"
    ),
    pytest.param({"payload": {"component": 7}}, "'payload.component' is invalid", id="component no text"),
    pytest.param({"links": {"href": "http://a.example"}}, "'links' is invalid", id="links no list"),
    pytest.param({"links": [{"text": "x"}]}, "'links[0].href'", id="link without address"),
    pytest.param({"links": [{"href": "runbook"}]}, "'links[0].href'", id="link to nowhere"),
    pytest.param({"images": [{"href": "http://a.example"}]}, "'images[0].src'", id="image without source"),
    pytest.param({"images": [{"src": "http://a.example/x.png"}]}, "HTTPS", id="image over http"),
    pytest.param({"payload": {"custom_details": {"x": "y" * 530_000}}}, "maximum size", id="too big"),
]


@pytest.mark.parametrize(("change", "says"), REFUSALS)
def test_an_event_is_refused_with_the_field(event, pagerduty, change, says):
    answer = event(**change)
    assert answer.status_code == 400
    assert answer.json()["status"] == "invalid event"
    assert answer.json()["message"]
    assert any(says in error for error in answer.json()["errors"]), answer.json()
    assert pagerduty.state()["incidents"] == []


def test_all_that_is_wrong_is_said_at_once(event):
    assert len(event(payload={"summary": "", "source": "", "severity": "x"}).json()["errors"]) == 3


@pytest.mark.parametrize("body", [b"", b"{", b"routing_key=1"])
def test_what_is_not_json_is_unrecognised(url, body):
    answer = requests.post(f"{url}/v2/enqueue", data=body, timeout=5)
    assert (answer.status_code, answer.json()["errors"]) == (400, ["JSON parse error"])


def test_an_event_must_be_an_object(url):
    assert requests.post(f"{url}/v2/enqueue", json=[1], timeout=5).status_code == 400


def test_a_taken_event_is_202_with_its_key(event):
    answer = event()
    assert answer.status_code == 202
    assert answer.json() == {"status": "success", "message": "Event processed", "dedup_key": "captain-1"}


def test_a_trigger_without_a_key_is_given_one(event, pagerduty):
    keys = {event(dedup_key=None).json()["dedup_key"] for _ in range(2)}
    assert {row["dedup_key"] for row in pagerduty.state()["incidents"]} == keys
    assert len(keys) == 2


def test_the_same_key_keeps_one_open_incident(event, pagerduty):
    for n in range(3):
        event(payload={"summary": f"p95 up {n}"})
    (row,) = pagerduty.state()["incidents"]
    assert (row["title"], row["triggers"], row["alerts"]) == ("p95 up 0", 3, 1)
    assert [line["type"] for line in row["log"]] == ["trigger_log_entry"] * 3


def test_the_same_key_at_another_service_is_another_incident(event, pagerduty):
    event()
    event(routing_key=GATEWAY)
    assert [row["service"] for row in pagerduty.state()["incidents"]] == ["docs-api", "gateway"]


def test_acknowledge_then_resolve_then_trigger_opens_a_new_one(event, pagerduty):
    event()
    event(event_action="acknowledge")
    assert pagerduty.state()["incidents"][0]["status"] == "acknowledged"
    event()
    assert pagerduty.state()["incidents"][0]["status"] == "acknowledged", "a trigger does not undo an acknowledgement"
    event(event_action="resolve")
    event()
    first, second = pagerduty.state()["incidents"]
    assert (first["status"], second["status"]) == ("resolved", "triggered")
    assert first["acknowledged_at"] <= first["resolved_at"]
    assert (first["number"], second["number"]) == (1, 2)


@pytest.mark.parametrize("action", ["acknowledge", "resolve"])
def test_an_unknown_key_is_taken_and_does_nothing(event, pagerduty, action):
    assert event(event_action=action, dedup_key="nobody").status_code == 202
    assert pagerduty.state()["incidents"] == []


def test_links_and_details_are_kept(event, pagerduty):
    event(links=[{"href": "https://a.example", "text": "a"}], payload={"custom_details": {"burn": 14.4}})
    (row,) = pagerduty.state()["incidents"]
    assert row["links"] == [{"href": "https://a.example", "text": "a"}]
    assert row["details"] == {"burn": 14.4}
    assert row["assignees"] == ["alice@example.com"]


def test_a_change_event_makes_no_incident(event, pagerduty):
    assert event("/v2/change/enqueue", event_action=None, dedup_key=None).json()["status"] == "success"
    assert pagerduty.state()["incidents"] == []
    assert pagerduty.state()["changes"][0]["payload"]["summary"] == "p95 up"


@pytest.mark.parametrize("change", [{"routing_key": "f" * 32}, {"payload": {"summary": ""}}, {"links": [{}]}])
def test_a_change_event_is_refused(event, pagerduty, change):
    assert event("/v2/change/enqueue", **change).status_code == 400
    assert pagerduty.state()["changes"] == []


def test_too_many_events_a_minute_are_429(event, pagerduty):
    pagerduty.limit_events_per_minute = 2
    answers = [event() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[2].json()["status"] == "throttle exceeded"
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60
    assert pagerduty.state()["incidents"][0]["triggers"] == 2
    assert event(routing_key=GATEWAY).status_code == 202, "each integration has a limit of its own"


def test_pdpyras_as_it_comes_can_trigger_and_resolve(url, pagerduty):
    session = pdpyras.EventsAPISession(DOCS)
    session.url = url
    key = session.trigger("p95 up", "docs-api", severity="error", links=[{"href": "https://a.example"}])
    assert session.acknowledge(key) == key
    assert session.resolve(key) == key
    (row,) = pagerduty.state()["incidents"]
    assert (row["status"], row["severity"]) == ("resolved", "error")
    with pytest.raises(pdpyras.PDHTTPError, match="400"):
        session.trigger("p95 up", "docs-api", severity="sev1")


def test_pdpyras_as_it_comes_can_send_a_change(url, pagerduty):
    session = pdpyras.ChangeEventsAPISession(GATEWAY)
    session.url = url
    session.submit("deployed 1.2", source="ci", links=[{"href": "https://ci.example/1"}])
    assert pagerduty.state()["changes"][0]["payload"]["source"] == "ci"


def test_it_can_stand_below_a_prefix(event, calls):
    """As on the sandbox page: addresses in answers carry the prefix."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    below = FakePagerDuty(CallLog())
    served = serve(Starlette(routes=[Mount("/pagerduty", below.app)]))
    session = pdpyras.EventsAPISession(DOCS)
    session.url = f"{served.url}/pagerduty"
    session.trigger("p95 up", "docs-api")
    rest = pdpyras.APISession("pd-sandbox-token", default_from="bob@example.com")
    rest.url = f"{served.url}/pagerduty"
    (row,) = rest.rget("/incidents")
    assert row["self"] == f"{served.url}/pagerduty/incidents/{row['id']}"
    assert "p95 up" in requests.get(row["html_url"], timeout=5).text
    served.stop()


def test_what_it_holds_survives_a_restart(event, pagerduty, rest):
    event()
    event(event_action="acknowledge")
    event(dedup_key="other")
    row = pagerduty.state()["incidents"][0]
    pagerduty.note(row["id"], "on it", "carol")
    again = FakePagerDuty(CallLog())
    again.load(json.loads(json.dumps(pagerduty.dump())))
    assert again.state() == pagerduty.state()
    again.resolve(row["id"], "alice")
    again.account.trigger(again.account.service_id("docs-api"), "captain-1", {"summary": "s", "severity": "info"}, {})
    assert [(r["number"], r["status"]) for r in again.state()["incidents"]] == [
        (1, "resolved"),
        (2, "triggered"),
        (3, "triggered"),
    ]


def test_watchers_are_told_of_changes_only(event, rest, pagerduty):
    told = []
    pagerduty.changed.append(lambda: told.append(1))
    event()
    assert len(told) == 1
    rest("GET", "/incidents")
    assert len(told) == 1
    pagerduty.acknowledge(pagerduty.state()["incidents"][0]["id"], "alice")
    assert len(told) == 2
