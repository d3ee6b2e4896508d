"""The stand-in's REST API: who may ask, what it refuses, and that pdpyras finds what it expects."""

from __future__ import annotations

import time
from datetime import datetime

import pdpyras
import pytest

from bot.integrations.pagerduty.fake import API_TOKEN, FakePagerDuty
from bot.standin import CallLog, serve


@pytest.fixture
def session(url):
    session = pdpyras.APISession(API_TOKEN, default_from="alice@example.com")
    session.url = url
    return session


@pytest.fixture
def incident(event, pagerduty):
    """The id of one triggered incident."""
    event()
    return pagerduty.state()["incidents"][0]["id"]


def service(session, name="docs-api"):
    return {"id": session.find("services", name)["id"], "type": "service_reference"}


def test_a_wrong_token_is_401(rest):
    answer = rest("GET", "/incidents", token="wrong")
    assert answer.status_code == 401
    assert answer.json()["error"] == {"message": "Unauthorized", "code": 2006}


@pytest.mark.parametrize("accept", ["text/html", "application/vnd.pagerduty+json;version=1"])
def test_an_accept_it_cannot_serve_is_406(rest, accept):
    assert rest("GET", "/incidents", headers={"Accept": accept}).status_code == 406


@pytest.mark.parametrize(
    "path",
    [
        "/incidents/PNOBODY",
        "/incidents/PNOBODY/notes",
        "/services/PNO",
        "/users/PNO",
        "/schedules/PNO",
        "/escalation_policies/PNO",
    ],
)
def test_what_does_not_exist_is_404(rest, path):
    answer = rest("GET", path)
    assert answer.status_code == 404
    assert answer.json()["error"] == {"message": "Not Found", "code": 2100}


def test_a_read_only_key_may_look_but_not_touch(rest, pagerduty, incident):
    pagerduty.read_only = True
    assert rest("GET", "/incidents").status_code == 200
    answer = rest("POST", f"/incidents/{incident}/notes", {"note": {"content": "x"}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, 2010)


@pytest.mark.parametrize(("sender", "says"), [("", "From header"), ("eve@example.com", "Requester User Not Found")])
def test_a_write_needs_a_user(rest, incident, sender, says):
    answer = rest("POST", f"/incidents/{incident}/notes", {"note": {"content": "x"}}, sender=sender)
    assert answer.status_code == 400
    assert says in answer.json()["error"]["errors"][0]


def test_an_account_token_has_no_me_and_a_users_token_has(rest, session):
    assert rest("GET", "/users/me").status_code == 400
    assert session.api_key_access == "account"
    served = serve(FakePagerDuty(CallLog(), token_user="carol").app)
    session.url = served.url
    assert session.rget("/users/me")["email"] == "carol@example.com"
    served.stop()


WRONG = [
    pytest.param("POST", "/incidents", {}, "incident cannot be blank", id="create nothing"),
    pytest.param("POST", "/incidents", {"incident": {"type": "incident", "title": ""}}, "Title", id="create untitled"),
    pytest.param("POST", "/incidents", {"incident": {"type": "incident", "title": "t"}}, "Service", id="no service"),
    pytest.param("PUT", "/incidents", {"incidents": []}, "incidents must be", id="update none"),
    pytest.param("PUT", "/incidents", {"incidents": [{"status": "resolved"}]}, "id", id="update nobody"),
    pytest.param("PUT", "/incidents/1", {"incident": {"status": "resolved"}}, "Type", id="no type"),
    pytest.param(
        "PUT", "/incidents/1", {"incident": {"type": "incident_reference", "status": "x"}}, "Status", id="bad status"
    ),
    pytest.param(
        "PUT", "/incidents/1", {"incident": {"type": "incident_reference", "stat": "x"}}, "Unknown attribute", id="typo"
    ),
    pytest.param(
        "PUT", "/incidents/1", {"incident": {"type": "incident", "escalation_level": 9}}, "Escalation level", id="level"
    ),
    pytest.param(
        "PUT",
        "/incidents/1",
        {"incident": {"type": "incident", "assignments": [{"assignee": {"id": "PNO"}}]}},
        "Assignee",
        id="assignee",
    ),
    pytest.param(
        "PUT", "/incidents/1", {"incident": {"type": "incident", "priority": {"id": "PNO"}}}, "Priority", id="priority"
    ),
    pytest.param("PUT", "/incidents/1", {"incident": {"type": "incident", "urgency": "mid"}}, "Urgency", id="urgency"),
    pytest.param("PUT", "/incidents/1", {"incident": {"type": "incident", "title": " "}}, "Title", id="blank title"),
    pytest.param("POST", "/incidents/1/notes", {"note": {"content": " "}}, "Content", id="blank note"),
    pytest.param("POST", "/incidents/1/notes", {"note": {"content": "x" * 25_001}}, "too long", id="long note"),
    pytest.param("POST", "/incidents/1/status_updates", {"message": ""}, "Message", id="blank update"),
    pytest.param("POST", "/incidents/1/snooze", {"duration": 0}, "Duration", id="snooze for nothing"),
    pytest.param("PUT", "/incidents/1/merge", {"source_incidents": []}, "source_incidents", id="merge nothing"),
    pytest.param("PUT", "/incidents/1/merge", {"source_incidents": [{"id": "1"}]}, "itself", id="merge with itself"),
    pytest.param(
        "POST", "/incidents/1/responder_requests", {"requester_id": "PNO"}, "Requester", id="unknown requester"
    ),
    pytest.param(
        "POST",
        "/incidents/1/responder_requests",
        {"requester_id": "PBOB001", "message": "m", "responder_request_targets": [{}]},
        "target",
        id="no target",
    ),
    pytest.param("GET", "/incidents?statuses[]=open", None, "statuses", id="unknown status filter"),
    pytest.param("GET", "/incidents?sort_by=colour", None, "sort_by", id="unknown sort"),
    pytest.param("GET", "/incidents?limit=101", None, "limit", id="limit too high"),
    pytest.param("GET", "/incidents?since=yesterday", None, "since", id="no time"),
    pytest.param("GET", "/incidents?since=2020-01-01T00:00:00Z", None, "6 months", id="too long ago"),
    pytest.param("GET", "/oncalls?earliest=True", None, "earliest", id="a boolean in Python's spelling"),
]


@pytest.mark.parametrize(("method", "path", "body", "says"), WRONG)
def test_nonsense_is_400(rest, incident, pagerduty, method, path, body, says):
    before = pagerduty.state()
    answer = rest(method, path, body)
    assert answer.status_code == 400
    assert any(says in error for error in answer.json()["error"]["errors"]), answer.json()
    assert pagerduty.state() == before


def test_a_body_that_is_no_json_is_400(rest):
    assert rest("PUT", "/incidents", data="{").status_code == 400


def test_nothing_is_changed_unless_all_of_a_bulk_is_right(rest, event, pagerduty, incident):
    event(dedup_key="two")
    body = [{"id": incident, "type": "incident_reference", "status": "resolved"}]
    second = pagerduty.state()["incidents"][1]["id"]
    bad = rest("PUT", "/incidents", {"incidents": [*body, {"id": second, "type": "incident_reference", "status": "x"}]})
    assert bad.status_code == 400
    assert {row["status"] for row in pagerduty.state()["incidents"]} == {"triggered"}
    good = rest("PUT", "/incidents", {"incidents": [*body, {**body[0], "id": second}]})
    assert [row["status"] for row in good.json()["incidents"]] == ["resolved", "resolved"]


def test_a_created_incident_holds_its_key(session, pagerduty):
    ask = {"type": "incident", "title": "disk", "service": service(session), "incident_key": "disk-1", "urgency": "low"}
    made = session.rpost("/incidents", json={**ask, "body": {"type": "incident_body", "details": "full"}})
    assert (made["status"], made["urgency"], made["body"]["details"]) == ("triggered", "low", "full")
    with pytest.raises(pdpyras.PDHTTPError) as refused:
        session.rpost("/incidents", json=ask)
    error = refused.value.response.json()["error"]
    assert (refused.value.response.status_code, error["code"]) == (400, 2002)
    assert "matching dedup key" in error["errors"][0]
    session.rput(made, json={"type": "incident_reference", "status": "resolved"})
    assert session.rpost("/incidents", json=ask)["incident_number"] == 2


def test_status_goes_forward_only(session, incident):
    path = f"/incidents/{incident}"
    acked = session.rput(path, json={"type": "incident_reference", "status": "acknowledged"})
    assert acked["acknowledgements"][0]["acknowledger"]["summary"] == "Alice Adams"
    assert session.rput(path, json={"type": "incident_reference", "status": "acknowledged"})["status"] == "acknowledged"
    done = session.rput(path, json={"type": "incident_reference", "status": "resolved"})
    assert done["resolved_at"]
    assert done["alert_counts"] == {"all": 1, "triggered": 0, "resolved": 1}
    for status in ("acknowledged", "resolved"):
        with pytest.raises(pdpyras.PDHTTPError, match="Incident Already Resolved"):
            session.rput(path, json={"type": "incident_reference", "status": status})


def test_reassign_and_escalate(session, incident, pagerduty):
    path = f"/incidents/{incident}"
    carol = {"assignee": {"id": "PCAROL1", "type": "user_reference"}}
    row = session.rput(path, json={"type": "incident_reference", "assignments": [carol]})
    assert [a["assignee"]["summary"] for a in row["assignments"]] == ["Carol Cho"]
    row = session.rput(path, json={"type": "incident_reference", "escalation_level": 2})
    assert [a["assignee"]["summary"] for a in row["assignments"]] == ["Bob Brown", "Carol Cho"]
    row = session.rput(path, json={"type": "incident_reference", "priority": {"id": "PPRIO01"}, "title": "p99 up"})
    assert (row["priority"]["summary"], row["title"]) == ("P1", "p99 up")


def test_what_hangs_on_an_incident(session, incident, event):
    event()
    path = f"/incidents/{incident}"
    session.rpost(f"{path}/notes", json={"content": "looking"})
    assert [n["content"] for n in session.rget(f"{path}/notes")] == ["looking"]
    (alert,) = session.rget(f"{path}/alerts")
    assert (alert["alert_key"], alert["severity"], alert["status"]) == ("captain-1", "critical", "triggered")
    kinds = [line["type"] for line in session.iter_all(f"{path}/log_entries")]
    assert kinds == ["annotate_log_entry", "trigger_log_entry", "trigger_log_entry"]
    update = session.post(f"{path}/status_updates", json={"message": "half of the users"}).json()["status_update"]
    assert update["sender"]["summary"] == "Alice Adams"
    target = {"responder_request_target": {"id": "PBOB001", "type": "user_reference"}}
    ask = {"requester_id": "PALICE1", "message": "please", "responder_request_targets": [target]}
    made = session.post(f"{path}/responder_requests", json=ask).json()["responder_request"]
    responder = made["responder_request_targets"][0]["responder_request_target"]["incidents_responders"][0]
    assert responder["user"]["summary"] == "Bob Brown"
    assert session.rget(path)["incidents_responders"][0]["state"] == "pending"
    snoozed = session.post(f"{path}/snooze", json={"duration": 3600}).json()["incident"]
    assert (snoozed["status"], snoozed["pending_actions"][0]["type"]) == ("acknowledged", "unacknowledge")


def test_merged_alerts_follow_their_new_incident(session, event, pagerduty, incident):
    event(dedup_key="two")
    second = pagerduty.state()["incidents"][1]["id"]
    session.rput(
        f"/incidents/{incident}/merge", json={"source_incidents": [{"id": second, "type": "incident_reference"}]}
    )
    first, second = pagerduty.state()["incidents"]
    assert (first["alerts"], second["status"]) == (2, "resolved")
    event(dedup_key="two")
    assert len(pagerduty.state()["incidents"]) == 2, "the key now belongs to the open incident it was merged into"
    event(event_action="resolve")
    assert pagerduty.state()["incidents"][0]["status"] == "triggered", "one of its two alerts is still open"
    event(event_action="resolve", dedup_key="two")
    assert pagerduty.state()["incidents"][0]["status"] == "resolved"


def test_the_list_is_filtered_sorted_and_paged(session, event, pagerduty, rest):
    for n in range(5):
        event(dedup_key=f"k{n}", payload={"severity": "info" if n == 4 else "critical"})
    ids = [row["id"] for row in pagerduty.state()["incidents"]]
    pagerduty.resolve(ids[0], "bob")

    def numbers(**params):
        return [row["incident_number"] for row in session.list_all("/incidents", params=params, page_size=2)]

    assert numbers(sort_by="incident_number:asc") == [1, 2, 3, 4, 5]
    assert numbers(sort_by="created_at:desc")[0] == 5
    assert numbers(statuses=["resolved"]) == [1]
    assert numbers(incident_key="k2") == [3]
    assert numbers(urgencies=["low"]) == [5]
    assert numbers(user_ids=["PALICE1"], sort_by="incident_number") == [2, 3, 4, 5]
    assert numbers(service_ids=["PSVC002"]) == []
    assert numbers(until="2020-01-01T00:00:00Z") == []
    assert len(numbers(date_range="all")) == 5
    page = rest("GET", "/incidents?limit=2&offset=4&total=true").json()
    assert (page["more"], page["total"], page["limit"], page["offset"]) == (False, 5, 2, 4)
    assert rest("GET", "/incidents?limit=2&offset=2").json()["more"] is True


def test_the_account(session, pagerduty):
    assert {row["name"] for row in session.iter_all("/services")} == {"docs-api", "gateway"}
    assert session.find("users", "carol@example.com", attribute="email")["name"] == "Carol Cho"
    levels = [(row["escalation_level"], row["user"]["summary"]) for row in session.iter_all("/oncalls")]
    assert levels == [(1, "Alice Adams"), (2, "Bob Brown"), (2, "Carol Cho")]
    pagerduty.set_on_call(1, ["bob"])
    assert session.rget("/schedules/PSCHED1")["users"][0]["summary"] == "Bob Brown"
    (policy,) = session.iter_all("/escalation_policies")
    assert len(policy["escalation_rules"]) == 2
    assert session.rget(f"/escalation_policies/{policy['id']}")["name"] == "Default"
    assert session.rget("/users/PBOB001")["email"] == "bob@example.com"
    assert len(list(session.iter_all("/priorities"))) == 3
    assert "urgencies" in session.rget("/abilities")
    assert session.rget(f"/services/{service(session)['id']}")["name"] == "docs-api"


def test_times_are_utc_and_recent(session, incident):
    created = session.rget(f"/incidents/{incident}")["created_at"]
    assert created.endswith("Z")
    assert abs(time.time() - datetime.fromisoformat(created).timestamp()) < 60


def test_a_page_can_be_opened_by_a_person(url, incident, rest):
    body = rest("GET", f"/pages/incidents/{incident}")
    assert body.status_code == 200
    assert "Triggered through" in body.text
    assert rest("GET", "/pages/incidents/PNO").status_code == 404
