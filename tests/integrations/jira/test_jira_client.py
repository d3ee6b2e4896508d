"""The client against the stand-in, Cloud and Data Center: few requests, and every failure said as what happens next."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from ground.waiting import free_port, until

from bot.errors import GiveUp, Retry
from bot.integrations.jira import JiraSettings
from bot.integrations.jira.client import JiraClient
from bot.integrations.jira.fake import API_TOKEN, EMAIL, FakeJira
from bot.integrations.jira.fake_site import Project, Status, Transition, Workflow

NEW, OPEN, DONE = ("1", "New", "new"), ("2", "Doing", "indeterminate"), ("3", "Done", "done")


def asked(calls):
    """The requests since the last time, as "METHOD path"."""
    rows = [f"{call.method} {call.path.removeprefix('/rest/api/2/')}" for call in calls.calls]
    calls.calls.clear()
    return rows


def test_create_is_one_request(client, ticket, jira, calls, deployment, url):
    made = client.create(ticket(priority="High", labels=["incident", "sev2"]))
    assert asked(calls) == ["POST issue"]
    assert (made.key, made.url) == ("OPS-1", f"{url}/browse/OPS-1")
    (row,) = jira.state()["issues"]
    assert (row["summary"], row["description"], row["priority"]) == ("p95 up", "docs-api burns", "High")
    assert row["labels"] == ["captain-1", "incident", "sev2"]


def test_find_is_one_request(client, make, calls, deployment):
    make(labels=["captain-1"], status="3")
    make(labels=["captain-2"])
    found = client.find("OPS", "captain-1")
    search = "GET search/jql" if deployment == "Cloud" else "GET search"
    assert asked(calls) == [search]
    assert (found.key, found.status, found.status_category) == ("OPS-1", "In Progress", "indeterminate")
    assert client.find("OPS", "captain-3") is None
    assert asked(calls) == [search]


def test_find_adopts_the_oldest_of_several(client, make, deployment):
    for _ in range(3):
        make(labels=["captain-1"])
    assert client.find("OPS", "captain-1").key == "OPS-1"


@pytest.mark.parametrize("label", ['say"so', "back\\slash", "it's", "a,b(c)", "ünïcode", "AND", "captain-1"])
def test_any_label_is_found_again(client, make, label, deployment):
    key = make(labels=[label])
    make(labels=["other"])
    assert client.find("OPS", label).key == key


def test_get_is_one_request(client, make, calls, deployment):
    key = make()
    assert client.get(key).status == "To Do"
    assert client.get("OPS-99") is None
    assert asked(calls) == ["GET issue/OPS-1", "GET issue/OPS-99"]


def test_move_goes_through_the_workflow_and_stops_there(client, make, jira, calls, deployment):
    key = make()
    moved = client.move(key, "done")
    assert (moved.status, moved.status_category) == ("Done", "done")
    look, offers, take = f"GET issue/{key}", f"GET issue/{key}/transitions", f"POST issue/{key}/transitions"
    # Before a step that does not end it, it looks whether somebody else has moved it meanwhile.
    assert asked(calls) == [look, offers, look, take, look, offers, take]
    assert jira.state()["issues"][0]["resolved_at"]
    assert client.move(key, "done") == moved
    assert asked(calls) == [f"GET issue/{key}"]
    assert client.move(key, "indeterminate").status == "In Progress"
    assert client.move(key, "new").status == "To Do"
    assert jira.state()["issues"][0]["resolved_at"] is None


def test_a_comment_is_found_by_what_it_says(client, make):
    key = make()
    assert not client.commented(key, "version 1")
    client.comment(key, "The draft, version 1, is there")
    assert client.commented(key, "version 1")
    assert not client.commented(key, "version 2")


def test_comment_and_ping(client, make, jira, calls, deployment):
    client.comment(make(), "resolved after 12 min")
    (comment,) = jira.state()["issues"][0]["comments"]
    assert (comment["text"], comment["by"]) == ("resolved after 12 min", EMAIL)
    assert client.ping() == "Release Captain"
    assert asked(calls) == ["POST issue/OPS-1/comment", "GET myself"]


def test_what_jira_would_refuse_for_its_length_is_shortened(client, ticket, jira):
    client.create(ticket(summary="p95\r\nis  up " + "x" * 300, description="d" * 40_000))
    client.comment("OPS-1", "c" * 40_000)
    (row,) = jira.state()["issues"]
    assert row["summary"].startswith("p95 is up x")
    assert (len(row["summary"]), len(row["description"]), len(row["comments"][0]["text"])) == (255, 32_767, 32_767)


# Workflows.


def workflow(*transitions, statuses=(NEW, OPEN, DONE)):
    return Workflow(tuple(Status(*s) for s in statuses), tuple(Transition(*t) for t in transitions))


@pytest.fixture
def at(calls, behind):
    """``at(workflow, category)``: the client of a Jira whose only issue starts in the workflow's first status."""

    def made(steps):
        jira = FakeJira(calls, projects=[Project("OPS", workflow=steps)])
        jira.site.create("OPS", {"summary": "s", "issue_type": "Task"}, jira.site.user(EMAIL).id)
        there = JiraSettings(url=behind(jira.app), email=EMAIL, api_token=API_TOKEN, timeout=1)
        return jira, JiraClient(there)

    return made


def passed(jira):
    """The statuses the issue went through."""
    (issue,) = jira.site.issues.values()
    return [item["toString"] for row in issue.history for item in row["items"] if item["field"] == "status"]


def test_an_open_ticket_is_never_closed_on_the_way(at):
    """From New the only way leads to Done, and from there back to Doing: that would announce an end that is none."""
    jira, client = at(workflow(("1", "Close", "3", ("1",)), ("2", "Reopen", "2", ("3",))))
    with pytest.raises(GiveUp, match=r"cannot be moved from New to a indeterminate.*Close"):
        client.move("OPS-1", "indeterminate")
    assert passed(jira) == []


def test_the_straight_way_is_taken(at):
    jira, client = at(workflow(("1", "Start", "2", ()), ("2", "Close", "3", ())))
    client.move("OPS-1", "done")
    assert passed(jira) == ["Done"]


def test_a_loop_is_left(at):
    review = ("4", "Review", "indeterminate")
    steps = (
        ("1", "Start", "2", ("1",)),
        ("2", "Back", "1", ("2",)),
        ("3", "Ask", "4", ("2",)),
        ("4", "Ok", "3", ("4",)),
    )
    jira, client = at(workflow(*steps, statuses=(NEW, OPEN, review, DONE)))
    assert client.move("OPS-1", "done").status == "Done"
    assert passed(jira) == ["Doing", "Review", "Done"]


def test_a_workflow_without_end_is_given_up(at):
    jira, client = at(workflow(("1", "Start", "2", ("1",)), ("2", "Back", "1", ("2",))))
    with pytest.raises(GiveUp, match=r"from Doing to a done status.*offers Back"):
        client.move("OPS-1", "done")
    assert passed(jira) == ["Doing"]


def test_a_resolution_that_is_asked_for_is_given(at):
    jira, client = at(workflow(("1", "Close", "3", ("1",), ("resolution",))))
    client.move("OPS-1", "done")
    assert jira.site.issue("OPS-1").resolution == "Done"


def test_what_only_a_person_can_fill_in_is_named(at):
    jira, client = at(workflow(("1", "Close", "3", ("1",), ("duedate",))))
    with pytest.raises(GiveUp, match=r"Close \(needs duedate\)"):
        client.move("OPS-1", "done")
    assert passed(jira) == []


# Two movers at once.


class Meanwhile:
    """A stand-in's app that lets somebody else act once, right before it takes the ``nth`` call that matches."""

    def __init__(self, jira, method, ending, act, nth=1):
        self.jira, self.method, self.ending, self.act, self.left = jira, method, ending, act, nth

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["method"] == self.method and scope["path"].endswith(self.ending):
            self.left -= 1
            if self.left == 0:
                self.act()
        await self.jira.app(scope, receive, send)


@pytest.fixture
def beside(calls, behind):
    """``beside(moves, method, ending, nth)``: (jira, client), where somebody else makes these moves before that call."""

    def made(moves, method, ending, nth=1):
        jira = FakeJira(calls)
        jira.site.create("OPS", {"summary": "s", "issue_type": "Task"}, jira.site.user(EMAIL).id)

        def act():
            for to in moves:
                jira.transition("OPS-1", to, "bob")

        app = Meanwhile(jira, method, ending, act, nth)
        return jira, JiraClient(JiraSettings(url=behind(app), email=EMAIL, api_token=API_TOKEN, timeout=1))

    return made


ALL, LAST = ["In Progress", "Done"], ["Done"]
MOMENTS = [
    pytest.param(ALL, "GET", "/OPS-1", 1, id="before the status is read"),
    pytest.param(ALL, "GET", "/transitions", 1, id="between the status and what is offered"),
    pytest.param(ALL, "GET", "/OPS-1", 2, id="before it looks whether anything has changed"),
    pytest.param(ALL, "POST", "/transitions", 1, id="before the first step"),
    pytest.param(LAST, "GET", "/OPS-1", 3, id="after the first step"),
    pytest.param(LAST, "GET", "/transitions", 2, id="between the status and what is offered next"),
    pytest.param(LAST, "POST", "/transitions", 2, id="before the last step"),
]


@pytest.mark.parametrize(("moves", "method", "ending", "nth"), MOMENTS)
def test_what_somebody_else_has_resolved_meanwhile_is_not_reopened(beside, moves, method, ending, nth):
    jira, client = beside(moves, method, ending, nth)
    assert client.move("OPS-1", "done").status == "Done"
    assert passed(jira) == ["In Progress", "Done"], "resolved once, and never opened again"


def test_what_somebody_else_has_started_meanwhile_is_ended_from_there(beside):
    jira, client = beside(["In Progress"], "GET", "/transitions")
    assert client.move("OPS-1", "done").status == "Done"
    assert passed(jira) == ["In Progress", "Done"]


def test_what_somebody_else_has_reopened_meanwhile_is_ended(beside):
    """It was Doing when it was read, and is New when the steps are: from there it is ended, step by step."""
    jira, client = beside(["To Do"], "GET", "/transitions")
    jira.transition("OPS-1", "In Progress", "bob")
    assert client.move("OPS-1", "done").status == "Done"
    assert passed(jira) == ["In Progress", "To Do", "In Progress", "Done"]


# Search that is late, and outcomes that are unknown.


def test_a_new_ticket_is_found_after_a_while(ticket, jira, settings):
    jira.search_delay = 0.2
    JiraClient(settings()).create(ticket())
    other = JiraClient(settings())
    assert other.find("OPS", "captain-1") is None, "search is late"
    assert until(lambda: other.find("OPS", "captain-1"), timeout=2).key == "OPS-1"


def test_a_ticket_we_know_is_found_at_once_and_as_it_is(client, ticket, jira):
    jira.search_delay = 60
    made = client.create(ticket())
    assert client.find("OPS", "captain-1").key == made.key
    client.move(made.key, "done")
    assert client.find("OPS", "captain-1").status == "Done"


def test_a_reset_after_acting_is_adopted(client, ticket, jira, calls, deployment):
    jira.faults.breaks("reset", times=1)
    error, took = retries(lambda: client.create(ticket()))
    assert error.unknown
    assert took < 0.5
    assert asked(calls) == ["POST issue"]
    found = until(lambda: client.find("OPS", "captain-1"), timeout=2)
    assert found.key == "OPS-1"
    assert len(jira.state()["issues"]) == 1


# What may work later: always one request, never a sleep of the SDK's own.


def retries(call):
    began = time.perf_counter()
    with pytest.raises(Retry) as retry:
        call()
    return retry.value, time.perf_counter() - began


ASKS = [
    pytest.param(lambda client, ticket: client.create(ticket()), id="create"),
    pytest.param(lambda client, ticket: client.find("OPS", "captain-1"), id="find"),
    pytest.param(lambda client, ticket: client.get("OPS-1"), id="get"),
    pytest.param(lambda client, ticket: client.move("OPS-1", "done"), id="move"),
    pytest.param(lambda client, ticket: client.comment("OPS-1", "x"), id="comment"),
    pytest.param(lambda client, ticket: client.ping(), id="ping"),
]


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(("mode", "after", "unknown"), [("429", 7.0, False), ("500", None, True), ("503", None, False)])
def test_one_request_then_retry(client, ticket, jira, calls, deployment, ask, mode, after, unknown):
    jira.faults.breaks(mode, retry_after=7)
    error, took = retries(lambda: ask(client, ticket))
    assert (error.after, error.unknown) == (after, unknown)
    assert len(calls.calls) == 1
    assert took < 0.5


@pytest.mark.parametrize("ask", ASKS)
def test_a_hang_ends_at_the_deadline(settings, ticket, jira, calls, ask):
    client = JiraClient(settings(timeout=0.3))
    jira.faults.breaks("hang")
    error, took = retries(lambda: ask(client, ticket))
    assert error.unknown
    assert "0.3 s" in error.reason
    assert 0.25 < took < 0.8
    until(lambda: len(calls.calls) == 1)


@pytest.mark.parametrize("ask", ASKS)
def test_a_reset_may_have_acted(client, ticket, jira, calls, ask):
    jira.faults.breaks("reset")
    error, took = retries(lambda: ask(client, ticket))
    assert error.unknown
    assert took < 0.5
    assert len(calls.calls) == 1


def test_a_move_that_broke_off_goes_on_where_it_was(client, make, jira):
    key = make()
    jira.faults.breaks("reset", times=1, only="/transitions")
    retries(lambda: client.move(key, "done"))
    assert client.move(key, "done").status == "Done"


def test_a_closed_port_has_not_acted_and_holds_up_nobody(ticket):
    began = time.perf_counter()
    client = JiraClient(
        JiraSettings(url=f"http://127.0.0.1:{free_port()}", email=EMAIL, api_token=API_TOKEN, timeout=1)
    )
    error, _ = retries(lambda: client.create(ticket()))
    assert not error.unknown
    assert time.perf_counter() - began < 0.5


def test_a_port_that_takes_no_connection_ends_at_the_deadline(ticket):
    """A full backlog: the connection itself never comes about."""
    with socket.socket() as full, socket.socket() as first:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        first.connect(full.getsockname())
        there = f"http://127.0.0.1:{full.getsockname()[1]}"
        client = JiraClient(JiraSettings(url=there, email=EMAIL, api_token=API_TOKEN, timeout=0.3))
        error, took = retries(lambda: client.create(ticket()))
    assert took < 0.8
    assert error.after is None


def test_making_a_client_sends_nothing(settings, calls, deployment):
    JiraClient(settings())
    assert len(calls.calls) == 0


@pytest.mark.parametrize("status", [200, 201])
def test_a_login_page_in_its_place(ticket, behind, status):
    async def login(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<html>please log in</html>"})

    client = JiraClient(JiraSettings(url=behind(login), email=EMAIL, api_token=API_TOKEN, timeout=1))
    for ask in (lambda: client.create(ticket()), lambda: client.find("OPS", "captain-1"), client.ping):
        error, _ = retries(ask)
        assert error.unknown
        assert "login page" in error.reason


# What is refused for good.


def gives_up(call, *words):
    with pytest.raises(GiveUp) as given_up:
        call()
    for word in words:
        assert word in given_up.value.reason, given_up.value.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"project": "NOPE"}, ("valid project is required", "'NOPE'", "captain.yml")),
        ({"issue_type": "Outage"}, ("Specify a valid issue type", "issue_type")),
        ({"priority": "P1"}, ("priority selected is invalid", "priority in captain.yml")),
        ({"key_label": "two words"}, ("contains spaces",)),
        ({"summary": " "}, ("specify a summary",)),
    ],
)
def test_a_refused_ticket_says_what_to_check(client, ticket, jira, calls, deployment, change, words):
    gives_up(lambda: client.create(ticket(**change)), *words)
    assert jira.state()["issues"] == []
    assert len(calls.calls) == 1


def test_a_required_field_is_named(ticket, calls, behind):
    jira = FakeJira(calls, projects=[Project("OPS", required=("duedate",))])
    client = JiraClient(JiraSettings(url=behind(jira.app), email=EMAIL, api_token=API_TOKEN, timeout=1))
    gives_up(lambda: client.create(ticket()), "Duedate is required", "required fields")


def test_an_unknown_project_in_a_search(client, deployment):
    gives_up(lambda: client.find("NOPE", "captain-1"), "NOPE", "project key", "captain.yml")


def test_a_wrong_secret_is_named(settings, deployment):
    wrong = {"api_token": "wrong"} if deployment == "Cloud" else {"personal_token": "wrong"}
    name = "jira.api_token" if deployment == "Cloud" else "jira.personal_token"
    client = JiraClient(settings(**wrong))
    gives_up(client.ping, "401", name)
    gives_up(lambda: client.find("OPS", "captain-1"), "401", name)


def test_a_missing_secret_is_named(settings):
    gives_up(JiraClient(settings(api_token=None)).ping, "jira.api_token", "captain.yml")


def test_a_missing_permission_is_named(client, ticket, jira, deployment):
    jira.read_only = True
    gives_up(lambda: client.create(ticket()), "403", "permission scheme")


def test_the_wrong_kind_of_jira_is_named(calls, behind, settings):
    server = FakeJira(calls, deployment="Server")
    client = JiraClient(JiraSettings(url=behind(server.app), email=EMAIL, api_token=API_TOKEN, timeout=1))
    gives_up(client.ping, "401")
    cloud = FakeJira(calls)
    client = JiraClient(JiraSettings(url=f"{behind(cloud.app)}/jira", email=EMAIL, api_token=API_TOKEN, timeout=1))
    gives_up(lambda: client.find("OPS", "captain-1"), "404", "jira.url")


@pytest.mark.parametrize("ask", [lambda c: c.move("OPS-9", "done"), lambda c: c.comment("OPS-9", "x")])
def test_a_ticket_that_is_gone(client, ask, deployment):
    gives_up(lambda: ask(client), "does not know this issue")


@pytest.mark.parametrize("address", ["ftp://jira.example", "nonsense"])
def test_an_address_that_is_none(ticket, address):
    client = JiraClient(JiraSettings(url=address, email=EMAIL, api_token=API_TOKEN, timeout=1))
    gives_up(lambda: client.create(ticket()), "jira.url")


# Threads.


def test_many_threads_at_once(client, ticket, jira, deployment):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: client.create(ticket(key_label=f"captain-{n}")), range(40)))
    labels = {row["key"]: row["labels"] for row in jira.state()["issues"]}
    assert {ref.key: [f"captain-{n}"] for n, ref in enumerate(made)} == labels
