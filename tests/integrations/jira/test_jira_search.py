"""The stand-in's search: JQL, its refusals, Cloud's lateness and its two ways of paging."""

from __future__ import annotations

import pytest
from ground.waiting import until


@pytest.fixture
def keys(sdk, make, rest):
    """``keys(jql)``: the keys found, in order, among five issues."""
    make(labels=["a"], priority="Low")
    make(labels=["a", "b"], summary="disk full", issue_type="Bug")
    make(status="3", priority="Highest")
    make(status="10001", labels=["two-words"], resolution="Done")
    make(assignee="5b10a2844c20165700ede21c", description="the disk is full")
    return lambda jql: [issue.key.removeprefix("OPS-") for issue in sdk.search_issues(jql)]


@pytest.mark.parametrize(
    ("jql", "found"),
    [
        ("project = OPS", "54321"),
        ("project = ops ORDER BY key ASC", "12345"),
        ("project = OPS order by priority DESC, key asc", "32451"),
        ('labels = "a" AND project = "OPS"', "21"),
        ("labels = a and labels = b", "2"),
        ("labels in (b, two-words)", "42"),
        ("labels not in (a) and project = OPS", "543"),
        ("labels is EMPTY", "53"),
        ("labels is not EMPTY", "421"),
        ("project = OPS and labels != a", "543"),
        ('status = "In Progress"', "3"),
        ('statusCategory = "To Do"', "521"),
        ("statusCategory != Done and project = OPS", "5321"),
        ("key = OPS-2", "2"),
        ("key in (OPS-2, OPS-4) order by key", "24"),
        ("issuetype = Bug", "2"),
        ("summary ~ disk", "2"),
        ("text ~ disk", "52"),
        ("assignee = carol", "5"),
        ("resolution is EMPTY and project = OPS", "5321"),
        ("(labels = b or key = OPS-5) and not key = OPS-2", "5"),
        ("project = OPS and labels = nothing", ""),
    ],
)
def test_jql(keys, deployment, jql, found):
    assert "".join(keys(jql)) == found


@pytest.mark.parametrize(
    ("jql", "says"),
    [
        ("project = NOPE", "The value 'NOPE' does not exist for the field 'project'."),
        ("status = Gone", "The value 'Gone' does not exist for the field 'status'."),
        ("colour = red", "Field 'colour' does not exist or you do not have permission to view it."),
        ("key = OPS-99", "An issue with key 'OPS-99' does not exist for field 'key'."),
        ("project = OPS status = Done", "Expecting either 'OR' or 'AND' but got 'status'. (line 1, character 15)"),
        ("project = OPS AND", "Expecting a field name before the end of the query."),
        ("project", "Expecting an operator before the end of the query."),
        ("project =", "Expecting either a value, list or function before the end of the query."),
        ("project > OPS", "Expecting either '=' or 'IN' but got '>'."),
        ("(project = OPS", "Expecting ')' before the end of the query."),
        ("key in OPS-1", "Expecting '(' but got 'OPS-1'."),
        ("key in (OPS-1", "Expecting ')' before the end of the query."),
        ('labels = "a', "The quoted string 'a' has not been completed."),
        ("project = OPS ORDER created", "Expecting 'BY' but got 'created'."),
        ("project = OPS ORDER BY colour", "Field 'colour' does not exist"),
        ("labels is a", "Expecting EMPTY"),
    ],
)
def test_bad_jql_is_400_with_where(rest, make, deployment, jql, says):
    make()
    path = "search/jql" if deployment == "Cloud" else "search"
    answer = rest("GET", path, params={"jql": jql})
    assert answer.status_code == 400
    assert answer.json()["errors"] == {}
    assert says in answer.json()["errorMessages"][0]


def test_cloud_has_lost_its_old_search(rest):
    assert rest("GET", "search", params={"jql": "project = OPS"}).status_code == 410
    assert rest("GET", "search", params={"jql": "project = OPS"}, version="3").status_code == 410


@pytest.mark.parametrize("jql", ["", "order by created"])
def test_cloud_wants_a_bound(rest, jql):
    answer = rest("GET", "search/jql", params={"jql": jql})
    assert answer.status_code == 400
    assert "Unbounded JQL queries are not allowed here" in answer.json()["errorMessages"][0]


def test_cloud_gives_ids_alone_unless_asked(rest, make):
    make()
    (row,) = rest("GET", "search/jql", params={"jql": "project = OPS"}).json()["issues"]
    assert "fields" not in row
    (row,) = rest("POST", "search/jql", {"jql": "project = OPS", "fields": ["status"]}).json()["issues"]
    assert list(row["fields"]) == ["status"]


def test_cloud_pages_by_token(rest, make):
    for _ in range(5):
        make()
    seen, token = [], None
    while True:
        ask = {"jql": "project = OPS order by key", "maxResults": 2, "fields": ["summary"]}
        page = rest("POST", "search/jql", {**ask, **({"nextPageToken": token} if token else {})}).json()
        seen += [row["key"] for row in page["issues"]]
        token = page.get("nextPageToken")
        assert page["isLast"] is (token is None)
        if token is None:
            break
    assert seen == [f"OPS-{n}" for n in range(1, 6)]
    assert rest("POST", "search/jql", {"jql": "project = OPS", "nextPageToken": "x"}).status_code == 400


def test_the_package_pages_through_all(sdk, make, deployment):
    for _ in range(7):
        make()
    assert len(sdk.search_issues("project = OPS", maxResults=False)) == 7
    assert len(sdk.search_issues("project = OPS", maxResults=3)) == 3


def test_cloud_is_late_with_new_and_changed_issues(sdk, jira, rest):
    jira.search_delay = 0.25
    fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "s", "labels": ["captain-1"]}
    made = rest("POST", "issue", {"fields": fields}).json()
    assert sdk.search_issues("labels = captain-1") == []
    (known,) = sdk.enhanced_search_issues("labels = captain-1", reconcileIssues=[int(made["id"])])
    assert known.key == made["key"]
    until(lambda: sdk.search_issues("labels = captain-1"), timeout=2)
    rest("POST", "issue/OPS-1/transitions", {"transition": {"id": "11"}})
    (stale,) = sdk.search_issues("labels = captain-1")
    assert stale.fields.status.name == "To Do"
    assert sdk.issue("OPS-1").fields.status.name == "In Progress"
    until(lambda: sdk.search_issues("labels = captain-1")[0].fields.status.name == "In Progress", timeout=2)


def test_data_center_is_not_late(sdk, jira, rest, deployment):
    if deployment == "Cloud":
        assert jira.search_delay > 0
        return
    sdk.create_issue(project="OPS", issuetype="Task", summary="s", labels=["captain-1"])
    assert len(sdk.search_issues("labels = captain-1")) == 1


@pytest.mark.parametrize("ids", [list(range(51)), ["x"]])
def test_reconciling_has_its_limits(rest, ids):
    assert rest("POST", "search/jql", {"jql": "project = OPS", "reconcileIssues": ids}).status_code == 400
