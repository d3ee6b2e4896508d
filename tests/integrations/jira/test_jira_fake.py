"""The stand-in's REST API: who may ask, what it refuses, its workflow, and that the jira package finds what it expects."""

from __future__ import annotations

import json
import time

import pytest
import requests
from jira import JIRA, JIRAError
from starlette.applications import Starlette
from starlette.routing import Mount

from bot.integrations.jira.fake import API_TOKEN, EMAIL, FakeJira
from bot.integrations.jira.fake_site import Project
from bot.standin import CallLog

GOOD = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "p95 up"}


def with_field(**change):
    return {"fields": {name: value for name, value in {**GOOD, **change}.items() if value is not None}}


REFUSALS = [
    pytest.param(with_field(project=None), "project", "valid project is required", id="no project"),
    pytest.param(with_field(project={"key": "NOPE"}), "project", "valid project is required", id="unknown project"),
    pytest.param(with_field(issuetype=None), "issuetype", "issue type is required", id="no type"),
    pytest.param(
        with_field(issuetype={"name": "Outage"}), "issuetype", "Specify a valid issue type", id="unknown type"
    ),
    pytest.param(with_field(summary=None), "summary", "You must specify a summary", id="no summary"),
    pytest.param(with_field(summary="  "), "summary", "You must specify a summary", id="blank summary"),
    pytest.param(with_field(summary="x" * 256), "summary", "can't exceed 255", id="long summary"),
    pytest.param(with_field(summary="a\nb"), "summary", "contains newline characters", id="newline"),
    pytest.param(with_field(summary=5), "summary", "must be a string", id="summary no text"),
    pytest.param(with_field(description="x" * 32_768), "description", "allowed limit of 32,767", id="long text"),
    pytest.param(with_field(description={"a": 1}), "description", "deserialize", id="description no text"),
    pytest.param(with_field(labels=["a b"]), "labels", "The label 'a b' contains spaces which is invalid.", id="label"),
    pytest.param(with_field(labels=["x" * 256]), "labels", "maximum length of 255", id="long label"),
    pytest.param(with_field(labels="a"), "labels", "not an array", id="labels no list"),
    pytest.param(with_field(priority={"name": "P1"}), "priority", "The priority selected is invalid.", id="priority"),
    pytest.param(with_field(priority="High"), "priority", "not an object", id="priority no object"),
    pytest.param(with_field(duedate="soon"), "duedate", "Error parsing date string: soon", id="date"),
    pytest.param(
        with_field(severity="1"), "severity", "It is not on the appropriate screen, or unknown.", id="unknown"
    ),
    pytest.param(with_field(status={"name": "Done"}), "status", "cannot be set", id="status is not a field to set"),
    pytest.param(with_field(resolution={"name": "Done"}), "resolution", "cannot be set", id="resolution at birth"),
    pytest.param(
        with_field(assignee={"accountId": "eve", "name": "eve"}), "assignee", "'eve' does not exist", id="user"
    ),
]


@pytest.mark.parametrize(("body", "field", "says"), REFUSALS)
def test_a_new_issue_is_refused_by_field(rest, jira, deployment, body, field, says):
    answer = rest("POST", "issue", body)
    assert answer.status_code == 400
    assert answer.json()["errorMessages"] == []
    assert says in answer.json()["errors"][field]
    assert jira.state()["issues"] == []


def test_all_that_is_wrong_is_said_at_once(rest):
    answer = rest("POST", "issue", with_field(summary="", labels=["a b"], nonsense=1))
    assert set(answer.json()["errors"]) == {"summary", "labels", "nonsense"}


@pytest.mark.parametrize("data", ["", "{", "[1]"])
def test_a_body_that_is_none_is_400(rest, data):
    assert rest("POST", "issue", data=data).status_code == 400


def test_cloud_wants_email_and_token(url, jira):
    for auth in (None, (EMAIL, "wrong"), ("eve@example.com", API_TOKEN)):
        answer = requests.get(f"{url}/rest/api/2/myself", auth=auth, timeout=5)
        assert answer.status_code == 401
        assert answer.json() == {"message": "Client must be authenticated to access this resource.", "status-code": 401}
        assert answer.headers["x-seraph-loginreason"] == "AUTHENTICATED_FAILED"
    assert (
        requests.get(
            f"{url}/rest/api/2/myself", headers={"Authorization": f"Bearer {API_TOKEN}"}, timeout=5
        ).status_code
        == 401
    )
    assert requests.get(f"{url}/rest/api/2/serverInfo", timeout=5).json()["deploymentType"] == "Cloud"


def test_data_center_wants_a_personal_token(calls, behind):
    at = f"{behind(FakeJira(calls, deployment='Server').app)}/rest/api/2/myself"
    answer = requests.get(at, auth=(EMAIL, API_TOKEN), timeout=5)
    assert (answer.status_code, "not authenticated" in answer.json()["errorMessages"][0]) == (401, True)
    good = requests.get(at, headers={"Authorization": f"Bearer {API_TOKEN}"}, timeout=5)
    assert good.json()["name"] == "captain"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "issue/OPS-9"),
        ("PUT", "issue/OPS-9"),
        ("DELETE", "issue/OPS-9"),
        ("GET", "issue/OPS-9/transitions"),
        ("POST", "issue/OPS-9/transitions"),
        ("POST", "issue/OPS-9/comment"),
    ],
)
def test_an_issue_that_does_not_exist_is_404(rest, method, path):
    answer = rest(method, path, {})
    assert answer.status_code == 404
    assert answer.json()["errorMessages"] == ["Issue does not exist or you do not have permission to see it."]


def test_without_permission_it_is_403(rest, jira, make):
    key, jira.read_only = make(), True
    assert rest("GET", f"issue/{key}").status_code == 200
    assert rest("PUT", f"issue/{key}", {"fields": {"summary": "x"}}).status_code == 403


# The workflow.


def test_only_what_the_workflow_offers_can_be_done(rest, make, jira, deployment):
    key = make()
    offered = rest("GET", f"issue/{key}/transitions").json()["transitions"]
    assert [(t["id"], t["name"], t["to"]["statusCategory"]["key"]) for t in offered] == [
        ("11", "Start Progress", "indeterminate")
    ]
    refused = rest("POST", f"issue/{key}/transitions", {"transition": {"id": "21"}})
    assert refused.status_code == 400
    assert refused.json()["errorMessages"] == ["Transition id '21' is not valid for this issue."]
    for ident in ("11", "21"):
        assert rest("POST", f"issue/{key}/transitions", {"transition": {"id": ident}}).status_code == 204
    fields = rest("GET", f"issue/{key}").json()["fields"]
    assert (fields["status"]["name"], fields["resolution"]["name"]) == ("Done", "Done")
    assert fields["resolutiondate"]


@pytest.mark.parametrize("body", [{}, {"transition": {}}, {"transition": "11"}])
def test_a_transition_needs_its_id(rest, make, body):
    assert rest("POST", f"issue/{make()}/transitions", body).json()["errorMessages"] == [
        "Missing 'transition' identifier"
    ]


def test_the_package_walks_the_workflow_by_name(sdk, make, jira, deployment):
    key = make()
    sdk.transition_issue(key, "Start Progress", comment="looking")
    with pytest.raises(JIRAError, match="Invalid transition name"):
        sdk.transition_issue(key, "Start Progress")
    sdk.transition_issue(key, "Done", fields={"resolution": {"name": "Won't Do"}})
    issue = sdk.issue(key, expand="changelog")
    assert (issue.fields.status.name, issue.fields.resolution.name) == ("Done", "Won't Do")
    assert issue.fields.comment.comments[0].body == "looking"
    assert [i.toString for h in issue.changelog.histories for i in h.items if i.field == "status"] == [
        "In Progress",
        "Done",
    ]


# The jira package, as it comes.


def test_the_package_creates_and_reads(sdk, jira, deployment, url):
    made = sdk.create_issue(project="OPS", issuetype="Bug", summary="p95 up", description="burns", labels=["b", "a"])
    assert (made.key, made.fields.issuetype.name, made.fields.labels) == ("OPS-1", "Bug", ["a", "b"])
    assert made.self.startswith(f"{url}/rest/api/2/issue/")
    made.update(summary="p99 up", labels=[{"add": "c"}, {"remove": "a"}])
    assert (made.fields.summary, made.fields.labels) == ("p99 up", ["b", "c"])
    sdk.add_comment(made, "first")
    assert [c.body for c in sdk.comments(made)] == ["first"]
    sdk.assign_issue(made, "carol@example.com" if jira.cloud else "carol")
    assert sdk.issue(made.key).fields.assignee.displayName == "Carol Cho"
    sdk.assign_issue(made, None)
    assert sdk.issue(made.key).fields.assignee is None
    made.delete()
    with pytest.raises(JIRAError) as gone:
        sdk.issue("OPS-1")
    assert gone.value.status_code == 404


def test_the_package_keeps_properties_and_links(sdk, make, deployment):
    key = make()
    sdk.add_issue_property(key, "captain", {"uid": "abc"})
    assert sdk.issue_property(key, "captain").value.uid == "abc"
    assert [p.key for p in sdk.issue_properties(key)] == ["captain"]
    for title in ("thread", "thread again"):
        sdk._session.post(
            sdk._get_url(f"issue/{key}/remotelink"),
            data=json.dumps({"globalId": "slack", "object": {"url": "https://s.example", "title": title}}),
        )
    (link,) = sdk.remote_links(key)
    assert link.object.title == "thread again"


def test_the_package_knows_the_site(sdk, jira, deployment):
    assert sdk.deploymentType == deployment
    assert sdk.myself()["displayName"] == "Release Captain"
    assert [s.name for s in sdk.statuses()] == ["To Do", "In Progress", "Done"]
    assert sdk.project("OPS").key == "OPS"
    assert "High" in {p.name for p in sdk.priorities()}
    assert {f["id"] for f in sdk.fields()} >= {"summary", "labels", "status"}
    assert {t.name for t in sdk.project("OPS").issueTypes} >= {"Task", "Bug"}
    with pytest.raises(JIRAError) as unknown:
        sdk.project("NOPE")
    assert unknown.value.status_code == 404


def test_what_can_be_created_is_told(rest):
    types = rest("GET", "issue/createmeta/OPS/issuetypes").json()["issueTypes"]
    assert [t["name"] for t in types][:2] == ["Task", "Bug"]
    fields = rest("GET", f"issue/createmeta/OPS/issuetypes/{types[0]['id']}").json()["fields"]
    assert {f["fieldId"] for f in fields if f["required"]} == {"project", "summary", "issuetype"}
    (project,) = rest("GET", "issue/createmeta?projectKeys=OPS").json()["projects"]
    assert project["key"] == "OPS"


# API version 3: documents.


def test_version_3_speaks_documents(rest, jira):
    text = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": "a"}]}]}
    assert rest("POST", "issue", with_field(description="plain"), version="3").json()["errors"] == {
        "description": "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
    }
    key = rest("POST", "issue", with_field(description=text), version="3").json()["key"]
    assert rest("GET", f"issue/{key}", version="3").json()["fields"]["description"] == text
    assert rest("GET", f"issue/{key}", version="2").json()["fields"]["description"] == "a"
    assert rest("POST", f"issue/{key}/comment", {"body": "plain"}, version="3").status_code == 400
    assert rest("POST", f"issue/{key}/comment", {"body": text}, version="3").json()["body"] == text


@pytest.mark.parametrize("version", ["1", "4"])
def test_there_are_no_other_versions(rest, version):
    assert rest("GET", "myself", version=version).status_code == 404


# Editing.


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"fields": {"summary": ""}}, "summary"),
        ({"fields": {"nonsense": 1}}, "nonsense"),
        ({"update": {"labels": [{"add": "a b"}]}}, "labels"),
        ({"update": {"labels": [{"flip": "a"}]}}, "labels"),
        ({"update": {"summary": [{"add": "x"}]}}, "summary"),
        ({"fields": {"labels": []}, "update": {"labels": [{"add": "a"}]}}, "labels"),
    ],
)
def test_an_edit_is_refused_by_field(rest, make, jira, body, field):
    key = make()
    answer = rest("PUT", f"issue/{key}", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert jira.state()["issues"][0]["summary"] == "p95 up"


def test_only_the_fields_asked_for(rest, make):
    key = make()
    assert set(rest("GET", f"issue/{key}?fields=status,summary").json()["fields"]) == {"status", "summary"}
    assert "comment" not in rest("GET", f"issue/{key}?fields=*navigable").json()["fields"]
    assert "summary" not in rest("GET", f"issue/{key}?fields=*all,-summary").json()["fields"]


# The house.


def test_it_can_stand_below_a_prefix(behind):
    below = FakeJira(CallLog())
    there = f"{behind(Starlette(routes=[Mount('/jira', below.app)]))}/jira"
    sdk = JIRA(server=there, basic_auth=(EMAIL, API_TOKEN), max_retries=0, timeout=5)
    issue = sdk.create_issue(fields=with_field()["fields"])
    assert issue.self.startswith(f"{there}/rest/api/2/issue/")
    issue.update(summary="p99 up")
    page = requests.get(issue.permalink(), timeout=5)
    assert (page.status_code, "OPS-1 p99 up" in page.text) == (200, True)
    assert below.state()["issues"][0]["url"] == issue.permalink()
    assert requests.get(f"{there}/browse/OPS-9", timeout=5).status_code == 404


def test_a_page_shows_text_as_text(rest, make, url):
    key = make(summary="<script>alert(1)</script>")
    assert "<script>" not in requests.get(f"{url}/browse/{key}", timeout=5).text


def test_each_project_has_its_own_numbers(calls, behind):
    jira = FakeJira(calls, projects=["OPS", Project("WEB", id="20")])
    sdk = JIRA(server=behind(jira.app), basic_auth=(EMAIL, API_TOKEN), max_retries=0, timeout=5)
    keys = [sdk.create_issue(fields={**GOOD, "project": {"key": p}}).key for p in ("OPS", "WEB", "WEB")]
    keys.append(sdk.create_issue(fields={**GOOD, "project": {"id": "20"}}).key)
    assert keys == ["OPS-1", "WEB-1", "WEB-2", "WEB-3"]


def test_what_it_holds_survives_a_restart(sdk, jira, make):
    key = make(labels=["captain-1"])
    sdk.transition_issue(key, "11")
    jira.comment(key, "hello", "alice")
    again = FakeJira(CallLog())
    again.load(json.loads(json.dumps(jira.dump())))
    assert again.state() == {**jira.state(), "webhooks": 0}
    again.close(key, "bob")
    assert again.state()["issues"][0]["status"] == "Done"
    assert [i.key for i in again.site.searchable()] == [key]
    assert again.site.create("OPS", {"summary": "s", "issue_type": "Task"}, again.site.user("bob").id).key == "OPS-2"


def test_watchers_are_told_of_changes_only(rest, jira):
    told = []
    jira.changed.append(lambda: told.append(1))
    key = rest("POST", "issue", with_field()).json()["key"]
    assert len(told) == 1
    rest("GET", f"issue/{key}")
    assert len(told) == 1
    jira.comment(key, "x", "bob")
    assert len(told) == 2


def test_state_gives_plain_times(rest, jira):
    rest("POST", "issue", with_field())
    (row,) = jira.state()["issues"]
    assert abs(row["created"] - time.time()) < 60
    assert row["resolved_at"] is None
    json.dumps(jira.state())
