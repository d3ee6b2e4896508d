"""What captain.yml says of tickets, against what a project has: fields in the shape they want, and every mistake by name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bot.errors import GiveUp
from bot.integrations.jira import Goal, JiraSettings, Link, TicketRules, filled, places
from bot.integrations.jira.client import JiraClient
from bot.integrations.jira.fake import FakeJira
from bot.integrations.jira.fake_site import Custom, Project, Transition, Workflow
from bot.integrations.jira.text import escaped, plain

CUSTOMS = (
    Custom("customfield_1", "Service", "option", ("docs-api", "gateway")),
    Custom("customfield_2", "Cause"),
    Custom("customfield_3", "Cause"),
    Custom("customfield_4", "Points", "number"),
    Custom("customfield_5", "Owner", "user"),
)
MUST = ("customfield_1",)


@pytest.fixture
def jira(calls, deployment):
    return FakeJira(
        calls,
        deployment=deployment,
        projects=[Project("OPS", customs=CUSTOMS, components=("docs",), levels=("Staff",))],
    )


def test_each_field_gets_the_shape_it_wants(client, ticket, jira, deployment):
    fields = {"service": "Docs-API", "customfield_2": "x", "Points": "3", "Owner": "5b10", "environment": "prod"}
    client.create(ticket(fields=fields, components=["DOCS"], security="20000"))
    issue = jira.site.issue("OPS-1")
    assert issue.extra["customfield_1"] == {"id": "40000"}
    assert issue.extra["customfield_4"] == 3.0
    assert issue.extra["customfield_5"] == {"accountId" if jira.cloud else "name": "5b10"}
    assert (issue.extra["customfield_2"], issue.extra["environment"]) == ("x", "prod")
    assert (issue.components, issue.security) == (["docs"], "Staff")
    assert client.get("OPS-1").security == ("20000", "Staff")


def test_the_screen_is_asked_for_once_and_not_at_all_without_fields(client, ticket, calls, deployment):
    client.create(ticket())
    assert [call.method for call in calls.calls] == ["POST"]
    calls.calls.clear()
    for n in range(3):
        client.create(ticket(key_label=f"captain-{n}", fields={"Points": 1}))
    assert [call.method for call in calls.calls] == ["GET", "GET", "POST", "POST", "POST"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fields": {"Pionts": 1}}, r"jira.fields.Pionts: .*Did you mean 'Points'\?"),
        ({"fields": {"Cause": "x"}}, "several fields of this name; use an id: customfield_2, customfield_3"),
        ({"fields": {"Service": "search"}}, "'search' is not one of its values: docs-api, gateway"),
        ({"fields": {"Service": ["a"]}}, "is a list, and the field takes one value"),
        ({"fields": {"Points": "many"}}, "'many' is no number"),
        ({"components": ["none"]}, "jira.components: 'none' is not one of its values: docs"),
        ({"security": "Board"}, "jira.security_level: 'Board' is not one of its values: Staff"),
        ({"issue_type": "Outage", "fields": {"Points": 1}}, "no issue type 'Outage' .*Task, Bug, Story, Incident"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_made(client, ticket, jira, deployment, change, words):
    with pytest.raises(GiveUp, match=words):
        client.create(ticket(**change))
    assert jira.state()["issues"] == []


def test_all_that_is_wrong_is_said_at_once_when_asked(calls, behind, settings, deployment):
    jira = FakeJira(calls, deployment=deployment, projects=[Project("OPS", customs=CUSTOMS, required=MUST)])
    client = JiraClient(settings().model_copy(update={"url": behind(jira.app)}))
    rules = TicketRules(
        fields={"Pionts": "{title}", "Points": "{number}"},
        security_level="Staff",
        priorities={"sev1": 1, "sev2": 77},
        statuses={"acknowledged": [3, 99], "mitigated": 10001, "resolved": 10001},
        through=[98],
    )
    found = client.fit("OPS", rules).problems
    text = "\n".join(found)
    assert len(found) == 7, text
    for said in (
        "jira.fields.Pionts", "jira.security_level", "OPS wants the field 'Service' (customfield_1) for a Task",
        "jira.priorities.sev2: there is no priority 77; there are Highest (1), High (2)",
        "jira.statuses.acknowledged: a Task in OPS has no status 99; it has To Do (10000), In Progress (3), Done (10001)",
        "jira.statuses.mitigated: Done (10001) is a done status", "jira.through: a Task in OPS has no status 98",
    ):  # fmt: skip
        assert said in text
    assert client.fit("OPS", TicketRules(fields={"Service": "gateway"})).problems == []
    assert "no issue type 'Outage'" in client.fit("OPS", TicketRules(issue_type="Outage")).problems[0]
    (unknown,) = client.fit("NOPE", TicketRules()).problems
    assert unknown.startswith("NOPE: ")


def test_a_resolution_is_the_configured_one_or_named_as_unknown(calls, behind, settings, deployment):
    flow = Workflow(transitions=(Transition("1", "Close", "10001", (), ("resolution",)),))
    jira = FakeJira(calls, deployment=deployment, projects=[Project("OPS", workflow=flow)])
    client = JiraClient(settings().model_copy(update={"url": behind(jira.app)}))
    bot = jira.site.user("captain@example.com").id
    for _ in range(2):
        jira.site.create("OPS", {"summary": "s", "issue_type": "Task"}, bot)
    client.move("OPS-1", Goal("done", ("10001",), resolution="duplicate"))
    assert jira.site.issue("OPS-1").resolution == "Duplicate"
    with pytest.raises(
        GiveUp, match=r"jira.resolution: 'Fixed' is not one that Close takes; it takes Done \(10000\), Won't"
    ):
        client.move("OPS-2", Goal("done", ("10001",), resolution="Fixed"))


def test_edit_link_and_who_i_am(client, make, jira, calls, deployment):
    key = make()
    client.edit(key, summary="a\nb", priority_id="1")
    assert (client.get(key).summary, client.get(key).priority_id) == ("a b", "1")
    for title in ("one", "two"):
        client.link(key, Link("release-captain:1:thread", "https://slack.example/x", title))
    (link,) = jira.state()["issues"][0]["links"]
    assert (link["title"], link["url"], link["name"]) == ("two", "https://slack.example/x", "release-captain:1:thread")
    calls.calls.clear()
    assert client.me() == client.me()
    assert client.me().id == jira.site.user("captain@example.com").id
    assert len(calls.calls) == 1


def test_a_ticket_is_found_by_its_id_and_by_a_key_it_had(calls, behind, settings, deployment):
    jira = FakeJira(calls, deployment=deployment, projects=["OPS", Project("SUP", id="10001")])
    client = JiraClient(settings().model_copy(update={"url": behind(jira.app)}))
    issue = jira.site.create("OPS", {"summary": "s", "issue_type": "Task"}, jira.site.user("bob").id)
    jira.move("OPS-1", "SUP", "bob")
    for name in ("OPS-1", "SUP-1", issue.id):
        ref = client.get(name)
        assert (ref.key, ref.id, ref.url.endswith("/browse/SUP-1")) == ("SUP-1", issue.id, True)


def test_an_alerts_text_is_no_markup(client, ticket, jira, deployment):
    client.create(ticket(description="{color} [~bob] !http://x/y.png! http://a/{b}[c] wow!"))
    assert jira.site.issue("OPS-1").description == "\\{color} \\[~bob] \\!http://x/y.png! http://a/{b}[c] wow!"
    client.comment("OPS-1", "Acknowledged by {alice}.")
    assert client.commented("OPS-1", "by {alice}.")
    assert escaped("plain, as *it* is") == "plain, as *it* is"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("on it [~bob] and [~accountid:5b10:x]", "on it @bob and @somebody"),
        ({"type": "doc", "content": [{"type": "paragraph", "content": [{"type": "mention", "attrs": {"text": "@Bob"}}, {"type": "text", "text": " on it"}, {"type": "hardBreak"}, {"type": "text", "text": "now"}]}, {"type": "paragraph", "content": [{"type": "text", "text": "bye"}]}]}, "@Bob on it\nnow\nbye"),
        ({"type": "doc", "content": "x"}, ""),
        (None, ""),
    ],
)  # fmt: skip
def test_what_people_write_is_read_as_wiki_text_and_as_a_document(body, text):
    assert plain(body) == text


# captain.yml.


def test_one_project_may_differ():
    made = JiraSettings(
        url="https://x", labels=["a"], statuses={"resolved": 5, "acknowledged": "3"}, priorities={"sev1": 1}, issue_type="Bug",
        projects={"OPS": {"statuses": {"resolved": ["7", 8]}, "issue_type": "Incident"}},
    )  # fmt: skip
    rules = made.rules("OPS")
    assert (rules.issue_type, rules.labels, rules.priorities) == ("Incident", ("a",), {"sev1": "1"})
    assert rules.statuses == {"resolved": ("7", "8"), "acknowledged": ("3",)}
    assert made.rules("SUP").issue_type == "Bug"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"priorities": {"sev9": "1"}}, "sev1"),
        ({"priorities": {"sev1": "High"}}, "no id of a priority"),
        ({"statuses": {"resolved": "Done"}}, "no id of a status"),
        ({"statuses": {"done": "1"}}, "acknowledged"),
        ({"fields": {"Cause": "{titel}"}}, r"\{titel\} in 'Cause' is not known; there are \{number\}, \{title\}"),
        ({"fields": {"Summary": "x"}}, "is set by the incident's title, not here"),
        ({"labels": ["two words"]}, "no spaces"),
        ({"statusses": {}}, "statusses"),
    ],
)
def test_a_mistake_in_captain_yml_is_said(wrong, words):
    with pytest.raises(ValidationError, match=words):
        JiraSettings(url="https://x", **wrong)


def test_templates_are_filled_wherever_they_stand():
    given = {"a": ["{title}", {"b": "{number}: {title}"}], "n": 3}
    assert list(places(given)) == ["title", "number", "title"]
    assert filled(given, {"title": "p95 {up}", "number": "INC-1"}) == {
        "a": ["p95 {up}", {"b": "INC-1: p95 {up}"}],
        "n": 3,
    }
