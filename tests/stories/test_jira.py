"""Jira both ways, Cloud and Data Center: the ticket follows the incident, and what people do to it is heard, once, and not echoed."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from ground.town import Bot, Town, user
from ground.waiting import until
from starlette.applications import Starlette
from starlette.routing import Mount

from bot import inbox
from bot.inbox import Request
from bot.integrations.jira.fake import API_TOKEN, EMAIL, FakeJira
from bot.integrations.jira.fake_site import Custom, Project, Status, Transition, Workflow
from bot.integrations.pagerduty.fake import API_TOKEN as PD_TOKEN
from bot.standin import serve
from handlers.incidents.table import INCIDENTS

SECRET = "jira-webhook-secret"
FLOW = Workflow(
    (
        Status("10000", "To Do", "new"),
        Status("3", "In Progress", "indeterminate"),
        Status("10010", "Monitoring", "indeterminate"),
        Status("10001", "Done", "done"),
        Status("10002", "Won't Do", "done"),
    ),
    (
        Transition("51", "Never", "10002"),
        Transition("11", "Start", "3", ("10000", "10010")),
        Transition("12", "Watch", "10010", ("3",)),
        Transition("21", "Finish", "10001", ("3", "10010"), ("resolution",)),
        Transition("41", "Reopen", "10000", ("10001", "10002")),
    ),
)
CUSTOMS = (
    Custom("customfield_10050", "Affected service", "option", ("docs-api", "gateway")),
    Custom("customfield_10051", "Root cause"),
    Custom("customfield_10052", "Points", "number"),
    Custom("customfield_10053", "Teams", "option", ("web", "db"), many=True),
)
OPS = Project("OPS", workflow=FLOW, components=("docs",), levels=("Staff only",), customs=CUSTOMS)
STATUSES = {"acknowledged": 3, "mitigated": 10010, "resolved": [10001], "reopened": 10000}


CLOUD = pytest.mark.parametrize("ops", ["Cloud"], indirect=True)
"""For what does not depend on whose Jira it is: a kill, a lost answer, who may read."""


@pytest.fixture(params=["Cloud", "Server"])
def ops(town: Town, request) -> Iterator[Town]:
    """A town whose Jira has a workflow of its own, is told which status means what, and tells what people do."""
    cloud = request.param == "Cloud"
    sup = Project("SUP", "Support", "10001", workflow=FLOW)
    jira = FakeJira(town.calls, deployment=request.param, projects=[OPS, sup])
    jira.webhook_secret = SECRET if cloud else ""
    served = serve(Starlette(routes=[Mount("/jira", app=jira.app)]))
    town.jira = jira
    auth = {"email": EMAIL, "api_token": API_TOKEN} if cloud else {"personal_token": API_TOKEN}
    town.config["jira"] = {"url": f"{served.url}/jira", "timeout": 2, "webhook_secret": SECRET, **auth}
    town.config["jira"] |= {"statuses": STATUSES, "priorities": {"sev1": 1, "sev2": 2, "sev3": 4}}
    yield town
    for bot in town.bots:
        bot.stop()
    served.stop()


def started(town: Town) -> Bot:
    """A bot that hears Jira, which signs in Cloud and shows the secret in the address in Data Center."""
    bot = town.start()
    listen(town, bot)
    return bot


def listen(town: Town, bot: Bot) -> None:
    town.jira.webhook_url = f"{bot.url}/webhooks/jira" + ("" if town.jira.cloud else f"/{SECRET}")


def opened(town: Town, bot: Bot, line: str = 'incident open sev2 docs-api "p95 up"') -> str:
    """An incident with its thread and its ticket; the ticket's key."""
    before = len(town.tickets())
    bot.ask(line)
    until(lambda: len(town.tickets()) > before and town.roots(), message="no ticket")
    return until(lambda: shown(bot, before + 1)["ticket_key"], message="the ticket was never taken down")


def shown(bot: Bot, number: int = 1) -> dict[str, Any]:
    return bot.ask(f"incident show INC-{number}")["data"]


def ticket(town: Town, key: str = "OPS-1") -> dict[str, Any]:
    return next(one for one in town.tickets() if one["key"] == key)


def comments(town: Town, key: str = "OPS-1") -> list[str]:
    return [one["text"] for one in ticket(town, key)["comments"] if one["by"] == EMAIL]


def said(town: Town, part: str, *, times: int = 1) -> str:
    """The one message in the newest thread that has this in it."""
    found = until(lambda: [t for t in town.thread(town.roots()[-1]) if part in t], message=f"nobody said: {part}")
    assert len(found) == times, found
    return found[0]


def is_(bot: Bot, status: str) -> None:
    until(lambda: shown(bot)["status"] == status, message=f"it is not {status} but {shown(bot)['status']}")


def stands(town: Town, status: str) -> None:
    until(lambda: ticket(town)["status"] == status, message=f"{ticket(town)['status']}, not {status}")


def settled(bot: Bot) -> None:
    """Nothing is owed to Jira any more, and all that was heard was decided."""
    until(lambda: not open_effects(bot), message="something is still owed")


def open_effects(bot: Bot) -> list[Any]:
    store = bot.captain.store
    with store.read() as c:
        rows = c.execute(
            sa.text("select key from effects where state in ('owed', 'retrying', 'waiting') and lane = 'jira'")
        )
        left = [row.key for row in rows]
        left += [row.key for row in c.execute(sa.text("select key from inbox where done_at is null"))]
    return left


def effects(bot: Bot, kind: str) -> list[Any]:
    with bot.captain.store.read() as c:
        return list(c.execute(sa.text("select * from effects where kind = :kind order by created_at"), {"kind": kind}))


def timeline(bot: Bot, kind: str) -> list[str]:
    return [one["text"] for one in shown(bot)["timeline"] if one["kind"] == kind]


def passed(town: Town) -> list[str]:
    """The statuses the ticket went through, whoever moved it."""
    history = town.jira.site.issue("OPS-1").history
    return [item["toString"] for row in history for item in row["items"] if item["field"] == "status"]


# ---- out ------------------------------------------------------------------------------------------------------------


def test_a_ticket_is_made_with_the_fields_of_captain_yml(ops: Town):
    ops.config["jira"] |= {
        "issue_type": "Incident",
        "labels": ["prod"],
        "components": ["docs"],
        "security_level": "Staff only",
        "fields": {
            "Affected service": "{service}",
            "customfield_10051": "{number}: {title}",
            "points": 3,
            "Teams": ["web", "db"],
        },
    }
    bot = started(ops)
    key = opened(ops, bot)
    made, issue = ticket(ops, key), ops.jira.site.issue(key)
    assert (made["issue_type"], made["priority"], made["security"]) == ("Incident", "High", "Staff only")
    assert {"prod", "incident", "sev2"} < set(made["labels"])
    assert made["components"] == ["docs"]
    assert issue.extra["customfield_10050"] == {"id": "40000"}
    assert issue.extra["customfield_10051"] == "INC-1: p95 up"
    assert issue.extra["customfield_10052"] == 3.0
    assert issue.extra["customfield_10053"] == [{"id": "40000"}, {"id": "40001"}]


def test_a_field_that_jira_does_not_have_is_named_and_repair_makes_the_ticket(ops: Town):
    ops.config["jira"]["fields"] = {"Affected servce": "docs-api", "Points": "many"}
    bot = started(ops)
    bot.ask('incident open sev2 docs-api "p95 up"')
    reason = until(lambda: [one.reason for one in effects(bot, "ticket") if one.state == "gave_up"])[0]
    assert "Did you mean 'Affected service'?" in reason
    assert "jira.fields.Points: 'many' is no number" in reason
    until(lambda: ops.pages(), message="a bad ticket held up the page")
    bot.stop()
    ops.config["jira"]["fields"] = {"Points": "5"}
    again = started(ops)
    again.ask("incident repair INC-1")
    until(ops.tickets)


def test_the_ticket_follows_the_incident_by_status_id_and_hears_who_did_it(ops: Town):
    bot = started(ops)
    opened(ops, bot)
    bot.ask("incident ack 1", "alice")
    stands(ops, "In Progress")
    bot.ask("incident mitigate 1", "alice")
    stands(ops, "Monitoring")
    bot.ask("incident resolve 1", "bob")
    stands(ops, "Done")
    assert ops.jira.site.issue("OPS-1").resolution == "Done"
    bot.ask("incident reopen 1", "carol")
    stands(ops, "To Do")
    texts = until(lambda: comments(ops) if len([t for t in comments(ops) if "by" in t]) >= 4 else None)
    heads = [text.split(" by ")[0] for text in texts if "draft" not in text]
    assert heads == ["Acknowledged", "Mitigated", "Resolved", "Reopened"]
    assert "by alice" in texts[0]
    assert "(INC-1, 20" in texts[0]
    assert passed(ops) == ["In Progress", "Monitoring", "Done", "To Do"], "no status that nobody asked for"


def test_a_note_is_on_the_ticket_too_and_not_told_back(ops: Town):
    bot = started(ops)
    opened(ops, bot)
    bot.ask('incident note "rolled back to [v41]" --of 1', "alice")
    (text,) = until(lambda: comments(ops))
    assert text.startswith("alice: rolled back to \\[v41] (INC-1, ")
    until(lambda: [one for one in effects(bot, "ticket-heard") if one.state == "done"])
    settled(bot)
    assert timeline(bot, "ticket-comment") == []


def test_our_own_moves_comments_and_edits_are_not_told_back(ops: Town):
    bot = started(ops)
    opened(ops, bot)
    for line in ("ack 1", "severity sev1 1", 'title "p99 {up} [now] up" --of 1', "mitigate 1", "resolve 1"):
        bot.ask(f"incident {line}", "alice")
    until(lambda: len(comments(ops)) >= 3 and ticket(ops)["priority"] == "Highest")
    stands(ops, "Done")
    settled(bot)
    sent = len(ops.jira.hooks.sent)
    assert sent >= 7, "Jira told of all of it"
    settled(bot)
    assert [
        text for text in ops.thread(ops.roots()[0]) if "moved" in text or " on <" in text or "set the prio" in text
    ] == []
    assert [one["kind"] for one in shown(bot)["timeline"] if one["kind"].startswith("ticket-")] == []
    assert shown(bot)["status"] == "resolved"
    assert {one.state for one in effects(bot, "ticket-heard") if "issue_updated" in one.args} == {"skipped"}


def test_it_is_never_ended_another_way_than_the_one_that_was_asked_for(ops: Town):
    """From To Do the workflow offers Won't Do at once; the way to Done leads over In Progress."""
    bot = started(ops)
    opened(ops, bot)
    bot.ask("incident resolve 1")
    stands(ops, "Done")
    assert passed(ops) == ["In Progress", "Done"]


def test_a_way_that_captain_yml_does_not_name_is_not_taken_and_the_error_says_what_there_is(ops: Town):
    ops.config["jira"]["statuses"] = {"resolved": "10001"}
    bot = started(ops)
    opened(ops, bot)
    bot.ask("incident resolve 1")
    reason = until(lambda: [one.reason for one in effects(bot, "ticket-done") if one.state == "gave_up"])[0]
    assert "OPS-1 cannot be moved from To Do to status 10001" in reason
    assert "Start to In Progress (3)" in reason
    assert "jira.through" in reason
    assert passed(ops) == []


def test_severity_and_title_change_the_ticket_but_not_what_a_person_renamed(ops: Town):
    bot = started(ops)
    opened(ops, bot)
    bot.ask("incident severity sev1 1")
    until(lambda: ticket(ops)["priority"] == "Highest")
    bot.ask('incident title "p99 up" --of 1')
    until(lambda: ticket(ops)["summary"] == "[sev1] docs-api: p99 up")
    ops.jira.rename("OPS-1", "Search is slow for everybody", "bob")
    said(ops, "Bob Brown renamed")
    bot.ask('incident title "p50 up" --of 1')
    bot.ask("incident severity sev2 1")
    until(lambda: ticket(ops)["priority"] == "High")
    settled(bot)
    assert ticket(ops)["summary"] == "Search is slow for everybody"


def test_a_severity_that_an_alert_raises_is_the_tickets_priority_too(ops: Town, alertmanager_body):
    bot = started(ops)
    body = alertmanager_body("firing-single")
    alert = body["alerts"][0]
    slow = alert | {
        "fingerprint": "f" * 16,
        "labels": alert["labels"] | {"severity": "ticket", "alertname": "SLOBurnSlow"},
    }
    bot.alert(body | {"alerts": [slow]})
    until(lambda: ops.tickets() and ticket(ops)["priority"] == "Low")
    bot.alert(body)
    worse = until(lambda: shown(bot)["severity"] if shown(bot)["severity"] != "sev3" else None)
    until(lambda: ticket(ops)["priority"] == {"sev1": "Highest", "sev2": "High"}[worse])
    assert ticket(ops)["summary"].startswith(f"[{worse}]")


def test_the_ticket_links_to_the_thread_and_to_the_page_once(ops: Town):
    ops.config["pagerduty"]["api_token"] = PD_TOKEN
    ops.jira.faults.breaks("reset", only="remotelink", times=1)
    bot = started(ops)
    opened(ops, bot)
    links = until(lambda: found if len(found := ticket(ops)["links"]) == 2 else None, timeout=30)
    by_name = {one["name"].rsplit(":", 1)[1]: one for one in links}
    assert ops.roots()[0]["ts"].replace(".", "") in by_name["thread"]["url"]
    assert by_name["page"]["url"].endswith(f"/incidents/{ops.pages()[0]['id']}")
    assert by_name["thread"]["title"] == "INC-1 in Slack"


@pytest.mark.parametrize("mode", ["429", "500", "reset", "late", "hang"])
@CLOUD
def test_a_comment_whose_answer_is_lost_is_made_once(ops: Town, mode: str):
    bot = started(ops)
    opened(ops, bot)
    ops.jira.faults.breaks(mode, only="/comment", times=1, retry_after=1, delay=3.0)
    bot.ask("incident ack 1", "alice")
    until(lambda: [one for one in effects(bot, "ticket-note") if one.state == "done"], timeout=30)
    settled(bot)
    assert len(comments(ops)) == 1


# ---- in -------------------------------------------------------------------------------------------------------------


def test_a_ticket_moved_in_jira_acknowledges_the_incident_and_its_page(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    until(ops.pages)
    ops.jira.transition(key, "In Progress", "bob")
    is_(bot, "acknowledged")
    line = said(ops, "moved")
    assert line.startswith("Bob Brown moved <")
    assert "|OPS-1> from To Do to In Progress." in line
    said(ops, "Acknowledged by Bob Brown")
    until(lambda: ops.pages()[0]["status"] == "acknowledged")
    ops.jira.transition(key, "Monitoring", "bob")
    is_(bot, "mitigated")
    ops.jira.transition(key, "In Progress", "bob")
    is_(bot, "acknowledged")
    settled(bot)
    assert comments(ops) == [], "who did it in Jira is not told it there"
    assert timeline(bot, "ticket-status")[0] == "Bob Brown moved OPS-1 from To Do to In Progress."


def test_ended_in_jira_it_is_resolved_when_nothing_fires(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    ops.jira.transition(key, "In Progress", "bob")
    ops.jira.transition(key, "Done", "bob")
    is_(bot, "resolved")
    assert shown(bot)["resolved_by"] == "Bob Brown"
    until(lambda: ops.pages()[0]["status"] == "resolved")
    settled(bot)
    assert passed(ops) == ["In Progress", "Done"]
    ops.jira.transition(key, "To Do", "bob")
    said(ops, "INC-1 stays resolved")
    assert shown(bot)["status"] == "resolved"
    assert len(ops.pages()) == 1, "a ticket that is reopened wakes nobody"


def test_ended_in_jira_while_its_alert_fires_it_is_asked_about(ops: Town, alertmanager_body):
    bot = started(ops)
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: ops.tickets() and ops.roots())
    key = until(lambda: shown(bot)["ticket_key"])
    ops.jira.close(key, "bob")
    question = said(ops, "and this incident is open. Is it over?")
    assert "in Jira" in question
    assert shown(bot)["status"] != "resolved"
    ops.jira.transition(key, "To Do", "bob")
    until(lambda: any("It is no longer so." in t for t in ops.thread(ops.roots()[0])), message="the question stays")


def test_ended_in_a_way_that_is_not_named_it_is_asked_about_and_the_answer_leaves_it_so(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    ops.jira.transition(key, "Won't Do", "bob")
    said(ops, "is Won't Do in Jira")
    message = next(m for m in ops.messages() if "is Won't Do in Jira" in m["text"] and m.get("thread_ts") != m["ts"])
    assert ops.slack.press(message["channel"], message["ts"], "incident resolve", user(ops, "alice"))["ok"]
    is_(bot, "resolved")
    settled(bot)
    assert passed(ops) == ["Won't Do"], "what a person ended is not reopened to be ended otherwise"


def test_an_acknowledgement_does_not_reopen_what_a_person_has_ended(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    ops.jira.transition(key, "Won't Do", "bob")
    said(ops, "is Won't Do in Jira")
    bot.ask("incident ack 1")
    settled(bot)
    assert passed(ops) == ["Won't Do"]
    assert [one.reason for one in effects(bot, "ticket-move")] == ["somebody has ended OPS-1 in Jira"]


def test_another_priority_is_another_severity_and_pages_when_it_is_raised_to_one_that_does(ops: Town):
    bot = started(ops)
    key = opened(ops, bot, 'incident open sev3 docs-api "p95 up"')
    assert ticket(ops)["priority"] == "Low"
    assert ops.pages() == []
    ops.jira.prioritise(key, "Medium", "bob")
    said(ops, "Bob Brown set the priority of")
    settled(bot)
    assert shown(bot)["severity"] == "sev3", "a priority that captain.yml does not name means nothing"
    ops.jira.prioritise(key, "Highest", "bob")
    until(lambda: shown(bot)["severity"] == "sev1")
    until(ops.pages, message="raised in Jira, and nobody was woken")
    said(ops, "raised from sev3 to sev1 by Bob Brown in Jira")
    settled(bot)
    assert len(ops.pages()) == 1
    assert ticket(ops)["priority"] == "Highest"


def test_comments_come_into_the_thread_and_change_there_with_the_ticket(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    ident = ops.jira.comment(key, "rolled back <!channel> [~accountid:5b10] & *now*", "bob")
    line = said(ops, "rolled back")
    assert line.startswith("Bob Brown on <http")
    assert line.endswith("|OPS-1>: rolled back &lt;!channel&gt; @somebody &amp; *now*")
    assert timeline(bot, "ticket-comment")[0].startswith("Bob Brown on OPS-1: rolled back")
    ops.jira.edit_comment(key, ident, "rolled back to v41", "bob")
    until(lambda: any("(edited): rolled back to v41" in t for t in ops.thread(ops.roots()[0])))
    assert len([t for t in ops.thread(ops.roots()[0]) if "rolled back" in t]) == 1
    until(lambda: timeline(bot, "ticket-comment") == ["Bob Brown on OPS-1 (edited): rolled back to v41"])
    ops.jira.delete_comment(key, ident, "bob")
    until(lambda: any("was deleted" in t for t in ops.thread(ops.roots()[0])))
    until(lambda: timeline(bot, "ticket-comment") == ["A comment of Bob Brown on OPS-1 was deleted."])
    assert not any("rolled back" in t for t in ops.thread(ops.roots()[0]))


def test_a_comment_for_a_few_only_is_not_shown_to_all(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    ops.jira.comment(key, "salary of the CEO", "bob", only="Administrators")
    said(ops, "for Administrators only: read it there.")
    settled(bot)
    assert not any("salary" in text for text in ops.thread(ops.roots()[0]))
    with bot.captain.store.read() as c:
        kept = [
            *c.execute(sa.text("select payload from inbox")).scalars(),
            *c.execute(sa.text("select args from effects")).scalars(),
        ]
    assert not any("salary" in one for one in kept), "nor kept"


def test_a_ticket_of_a_release_before_is_known_by_its_key_also_when_it_is_moved(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    settled(bot)
    with bot.captain.store.write() as c:
        c.execute(INCIDENTS().update().values(ticket_id=""))
    if ops.jira.cloud:  # Data Center's comments say the id alone
        ops.jira.comment(key, "on it", "bob")
        said(ops, "on it")
    ops.jira.move(key, "SUP", "bob")
    until(lambda: shown(bot)["ticket_key"] == "SUP-1")
    ops.jira.comment("SUP-1", "still on it", "bob")
    said(ops, "still on it")


def test_who_has_it_in_jira_is_shown(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    ops.jira.assign(key, "carol", "bob")
    assert said(ops, "Bob Brown gave").endswith(" to Carol Cho.")
    ops.jira.assign(key, "bob", "bob")
    said(ops, "Bob Brown took")


def test_a_person_who_shares_my_account_is_heard_all_the_same(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    settled(bot)
    ops.jira.comment(key, "I am on it", EMAIL)
    said(ops, "I am on it")
    ops.jira.transition(key, "In Progress", EMAIL)
    is_(bot, "acknowledged")


def test_a_ticket_that_is_moved_to_another_project_is_followed(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    assert ops.jira.move(key, "SUP", "bob") == "SUP-1"
    until(lambda: shown(bot)["ticket_key"] == "SUP-1")
    assert shown(bot)["ticket_url"].endswith("/browse/SUP-1")
    said(ops, "Bob Brown moved OPS-1 to another project: it is")
    bot.ask("incident ack 1", "alice")
    until(lambda: comments(ops, "SUP-1"))
    until(lambda: ticket(ops, "SUP-1")["status"] == "In Progress")
    ops.jira.transition("SUP-1", "Done", "carol")
    is_(bot, "resolved")


def test_moved_while_no_webhook_came_it_is_found_by_its_old_key(ops: Town):
    bot = ops.start()
    key = opened(ops, bot)
    ops.jira.move(key, "SUP", "bob")
    bot.ask("incident resolve 1")
    until(lambda: ticket(ops, "SUP-1")["status"] == "Done")
    until(lambda: shown(bot)["ticket_key"] == "SUP-1")


def test_a_ticket_that_is_deleted_is_asked_about_and_a_new_one_made(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    settled(bot)
    ops.jira.delete(key, "bob")
    said(ops, "Bob Brown deleted OPS-1 in Jira.")
    said(ops, "Shall there be a new one?")
    bot.ask("incident ticket 1")
    until(lambda: shown(bot)["ticket_key"] == "OPS-2", timeout=20)
    ops.jira.transition("OPS-2", "In Progress", "bob")
    is_(bot, "acknowledged")


def test_a_clone_of_the_ticket_is_not_the_ticket(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    original = ops.jira.site.issue(key)
    bob = ops.jira.site.user("bob").id
    clone = ops.jira.site.create("OPS", {"summary": "a clone", "issue_type": "Task", "labels": original.labels}, bob)
    ops.jira.transition(clone.key, "In Progress", "bob")
    ops.jira.comment(clone.key, "another matter", "bob")
    until(lambda: len(ops.jira.hooks.sent) >= 3)
    settled(bot)
    assert shown(bot)["status"] == "triggered"
    assert not any("another matter" in text for text in ops.thread(ops.roots()[0]))


# ---- the door -------------------------------------------------------------------------------------------------------


def post(bot: Bot, event: dict[str, Any] | bytes, *, path: str = "", sign: str = "", **more: Any) -> requests.Response:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    headers = dict(more.pop("headers", {}))
    if sign:
        headers["X-Hub-Signature"] = "sha256=" + hmac.new(sign.encode(), body, hashlib.sha256).hexdigest()
    return requests.post(f"{bot.url}/webhooks/jira{path}", data=body, headers=headers, timeout=10, **more)


EVENT = {
    "webhookEvent": "jira:issue_updated",
    "timestamp": 1,
    "issue": {"id": "1", "key": "X-1"},
    "changelog": {"id": "7", "items": []},
}


def test_the_door_opens_to_a_signature_or_to_the_secret_and_to_nobody_else(ops: Town):
    bot = ops.start()
    assert post(bot, EVENT, sign=SECRET).json() == {"accepted": 1}
    for shown_as in (
        {"path": f"/{SECRET}"},
        {"path": f"?secret={SECRET}"},
        {"headers": {"Authorization": f"Bearer {SECRET}"}},
    ):
        assert post(bot, EVENT, **shown_as).status_code == 202
    for bad in ({}, {"path": "/wrong"}, {"path": "?secret="}, {"headers": {"Authorization": f"Basic {SECRET}"}}):
        answer = post(bot, EVENT, **bad)
        assert answer.status_code == 401
        assert "in Data Center end its address with /webhooks/jira/SECRET" in answer.json()["error"]
    wrong = post(bot, EVENT, sign="other", path=f"/{SECRET}")
    assert (wrong.status_code, "does not match" in wrong.json()["error"]) == (401, True)
    assert post(bot, b"{", sign=SECRET).status_code == 400
    assert post(bot, {"webhookEvent": "jira:issue_updated"}, sign=SECRET).status_code == 400
    assert post(bot, {"webhookEvent": "user_created"}, sign=SECRET).json() == {"accepted": 0}


def test_an_empty_secret_is_none(ops: Town):
    """As of ${JIRA_WEBHOOK_SECRET} where the variable is there and empty."""
    ops.config["jira"]["webhook_secret"] = ops.config["alertmanager"]["webhook_secret"] = ""
    ops.config["pagerduty"]["webhook_secret"] = ops.config["captain"]["api_token"] = ""
    bot = ops.start()
    assert [post(bot, EVENT).status_code, post(bot, EVENT, path="?secret=").status_code] == [404, 404]
    unsigned = {"X-PagerDuty-Signature": "v1=" + hmac.new(b"", b"{}", hashlib.sha256).hexdigest()}
    assert requests.post(f"{bot.url}/webhooks/pagerduty", data=b"{}", headers=unsigned, timeout=10).status_code == 404
    for path in ("/webhooks/alertmanager", "/api/command"):
        bare = {"Authorization": "Bearer "}
        assert requests.post(f"{bot.url}{path}", json={}, headers=bare, timeout=10).status_code == 401, path


def test_without_a_secret_the_door_is_shut(ops: Town):
    del ops.config["jira"]["webhook_secret"]
    answer = post(ops.start(), EVENT, sign=SECRET)
    assert (answer.status_code, "jira.webhook_secret is not set" in answer.json()["error"]) == (404, True)


def test_a_webhook_on_a_fault_of_ours_owes_an_answer_to_nobody(ops: Town):
    bot = ops.start()
    assert bot.captain.take(Request("jira:odd", time.time(), "jira", {"event": {"id": "odd"}}))
    settled(bot)
    assert effects(bot, "reply") == [], "it can never be delivered, and would be stuck for ever"


def test_a_webhook_that_was_taken_is_done_however_long_the_process_was_away(ops: Town):
    bot = ops.start()
    since = time.time() - 3600
    with bot.captain.store.write() as c:
        inbox.write(c, [[Request(f"{kind}:1", since, kind, {})] for kind in ("jira", "command")])
        assert [one.key for one in inbox.undone(c, time.time())] == ["jira:1"]


def test_a_move_told_late_takes_no_page_that_is_newer(ops: Town):
    """Jira sends again for an hour what a restart of ours refused: by then the same ticket may stand for a new page."""
    bot = ops.start()
    key = opened(ops, bot)
    ops.jira.webhook_url = f"{bot.url}/nowhere"
    ops.jira.transition(key, "In Progress", "bob")
    until(lambda: ops.jira.hooks.sent)
    ops.jira.webhook_url = ""
    (event,) = [told for _, told in ops.jira.hooks.sent]
    ops.jira.faults.breaks("500", only="transitions")
    bot.ask("incident resolve INC-1")
    bot.ask("incident reopen INC-1")
    assert shown(bot)["status"] == "triggered"
    assert post(bot, event, sign=SECRET).status_code == 202
    until(lambda: timeline(bot, "ticket-status"), message="it is shown all the same")
    assert shown(bot)["status"] == "triggered", "somebody has to take the new page"


def test_a_comment_changed_twice_ends_as_it_is_whatever_slack_puts_off(ops: Town):
    bot = started(ops)
    key = opened(ops, bot)
    ident = ops.jira.comment(key, "the password is hunter2", "bob")
    said(ops, "hunter2")
    ops.slack.faults.breaks("500", only="chat.update")
    ops.jira.edit_comment(key, ident, "the password is h…", "bob")
    until(lambda: len(effects(bot, "asked")) == 1)
    ops.jira.edit_comment(key, ident, "nothing to see", "bob")
    until(lambda: len(effects(bot, "asked")) == 2)
    first, second = effects(bot, "asked")
    assert second.after == first.key
    ops.slack.faults.mend()
    until(lambda: any("nothing to see" in t for t in ops.thread(ops.roots()[0])), timeout=20)


def test_when_pagerduty_shows_no_pages_its_lane_pages_all_the_same(ops: Town):
    ops.config["pagerduty"] |= {"api_token": PD_TOKEN, "from_email": "bob@example.com"}
    ops.pagerduty.faults.breaks("500", only="/incidents")
    bot = ops.start()
    opened(ops, bot)
    opened(ops, bot, 'incident open sev2 docs-api "again"')
    until(lambda: sum(one.attempt for one in effects(bot, "ticket-page")) >= 6, timeout=30, message="it is not asked")
    assert not bot.captain.engine._lanes["pagerduty"].down
    assert len(ops.pages()) == 2


def test_what_comes_unordered_and_again_under_new_ids_changes_nothing_twice(ops: Town):
    bot = ops.start()
    key = opened(ops, bot)
    heard: list[dict[str, Any]] = []
    ops.jira.webhook_url = f"{bot.url}/nowhere"  # Jira keeps what it could not deliver
    ops.jira.transition(key, "In Progress", "bob")
    ops.jira.prioritise(key, "Highest", "bob")
    ops.jira.prioritise(key, "Low", "bob")
    ops.jira.comment(key, "on it", "bob")
    ops.jira.transition(key, "Monitoring", "bob")
    until(lambda: len(ops.jira.hooks.sent) == 5)
    ops.jira.webhook_url = ""
    heard = [event for _, event in ops.jira.hooks.sent]
    for event in [*reversed(heard), *heard, *heard]:
        assert post(bot, event, sign=SECRET).status_code == 202
    until(lambda: len(effects(bot, "ticket-heard")) == 5)
    is_(bot, "mitigated")
    settled(bot)
    assert shown(bot)["severity"] == "sev3"
    assert len(timeline(bot, "ticket-comment")) == 1
    assert len(timeline(bot, "ticket-status")) == 2
    assert len(timeline(bot, "severity")) == 1, "the priority in between drove nothing"
    assert ticket(ops)["status"] == "Monitoring"


@pytest.mark.parametrize("kills", [1, 3])
@CLOUD
def test_what_was_answered_survives_a_kill_and_is_done_once(ops: Town, kills: int):
    bot = ops.spawn()
    listen(ops, bot)
    bot.ask('incident open sev2 docs-api "p95 up"')
    until(lambda: ops.tickets() and ops.roots())
    key = until(lambda: shown(bot)["ticket_key"])
    sent = len(ops.jira.hooks.sent)
    ops.jira.faults.breaks("500", only=f"/issue/{ops.jira.site.issue(key).id}")  # it cannot look, so it cannot act yet
    ops.jira.transition(key, "In Progress", "bob")
    until(lambda: len(ops.jira.hooks.sent) > sent and ops.jira.hooks.sent[-1][0] == 202)
    for _ in range(kills):
        bot.kill()
        bot = ops.spawn()
    ops.jira.faults.mend()
    until(lambda: shown(bot)["status"] == "acknowledged", timeout=40)
    said(ops, "Bob Brown moved")
    until(lambda: ops.pages()[0]["status"] == "acknowledged", timeout=40)


@CLOUD
def test_two_replicas_that_hear_the_same_act_once(postgres, ops: Town):
    ops.config["captain"] |= {"database": postgres.url, "lease": 2}
    one, two = ops.spawn(), ops.spawn()
    one.ask('incident open sev3 docs-api "p95 up"')
    until(lambda: ops.tickets() and ops.roots())
    key = until(lambda: shown(one)["ticket_key"])
    ops.jira.webhook_url = f"{one.url}/nowhere"
    before = len(ops.jira.hooks.sent)
    ops.jira.prioritise(key, "Highest", "bob")
    ops.jira.transition(key, "In Progress", "bob")
    ops.jira.comment(key, "on it", "bob")
    until(lambda: len(ops.jira.hooks.sent) == before + 3)
    heard = [event for _, event in ops.jira.hooks.sent[before:]]
    threads = [
        threading.Thread(target=post, args=(bot, event), kwargs={"sign": SECRET})
        for event in heard * 3
        for bot in (one, two)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    until(lambda: shown(two)["severity"] == "sev1" and len(ops.pages()) == 1, timeout=20)
    until(lambda: len([t for t in ops.thread(ops.roots()[0]) if "Bob Brown" in t]) >= 4, timeout=20)
    kinds = [line["kind"] for line in shown(two)["timeline"]]
    assert [kinds.count(kind) for kind in ("ticket-status", "ticket-priority", "ticket-comment", "severity")] == [
        1,
        1,
        1,
        1,
    ]
    assert len(ops.pages()) == 1


@pytest.mark.parametrize("event", ["comment_created", "jira:issue_updated"])
@CLOUD
def test_killed_after_jira_took_it_and_before_it_answered_it_is_there_once(ops: Town, event: str):
    bot = ops.spawn()
    bot.ask('incident open sev2 docs-api "p95 up"')
    until(lambda: ops.tickets() and shown(bot)["ticket_key"], timeout=20)
    until(lambda: ticket(ops)["links"], timeout=20)
    killed = threading.Event()

    def kill(told: str, *_: object) -> None:
        if told == event and not killed.is_set():
            killed.set()
            bot.kill()

    ops.jira.site.told.append(kill)
    bot.ask("incident ack 1", "alice")
    assert killed.wait(20), "Jira was never asked"
    ops.spawn()
    stands(ops, "In Progress")
    until(lambda: len(comments(ops)) == 1, timeout=30)
    until(lambda: "Jira status ✔" in ops.shown(ops.roots()[0]), timeout=30)
    assert len(comments(ops)) == 1
    assert len(ticket(ops)["links"]) == 1
    assert passed(ops) == ["In Progress"]


# ---- private --------------------------------------------------------------------------------------------------------


INSIDER = "insiders-own-token"


@pytest.fixture
def inside(ops: Town) -> Town:
    """A town in which somebody sees what is private."""
    ops.config["permissions"] = {
        "roles": {"security": {"emails": ["insider@example.com"]}},
        "sees_private": "security",
        "tokens": {"insider@example.com": INSIDER},
    }
    return ops


def ask_inside(bot: Bot, line: str) -> None:
    headers = {"authorization": f"Bearer {INSIDER}"}
    asked = {"line": line, "as": "insider"}
    told = requests.post(f"{bot.url}/api/command", json=asked, headers=headers, timeout=10).json()
    assert "error" not in told, told


def make_private(bot: Bot) -> None:
    with bot.captain.store.write() as c:
        c.execute(INCIDENTS().update().values(private=True))


@CLOUD
def test_of_a_private_incident_nothing_more_is_written_on_its_ticket(inside: Town, ops: Town):
    bot = started(ops)
    opened(ops, bot)
    until(lambda: len(ticket(ops)["links"]) == 1)
    make_private(bot)
    ask_inside(bot, 'incident title "payroll leaked" --of 1')
    ask_inside(bot, "incident ack 1")
    until(lambda: [one for one in effects(bot, "ticket-note") if one.state == "skipped"])
    until(lambda: ticket(ops)["summary"] == "Private incident INC-1")
    settled(bot)
    assert comments(ops) == []
    assert "payroll" not in json.dumps(ops.tickets())


@pytest.mark.parametrize("level", ["", "Staff only", "Nobody"])
def test_the_ticket_of_a_private_incident_is_guarded_or_says_nothing_or_is_not_made(ops: Town, level: str):
    ops.config["jira"]["private_security_level"] = level
    ops.config["jira"]["fields"] = {"Root cause": "{title}"}
    bot = started(ops)
    ops.jira.faults.breaks("503")
    bot.ask('incident open sev2 docs-api "payroll leaked"')
    until(lambda: effects(bot, "ticket") and effects(bot, "ticket")[0].attempt)
    make_private(bot)
    ops.jira.faults.mend()
    if level == "Nobody":
        reason = until(lambda: [one.reason for one in effects(bot, "ticket") if one.state == "gave_up"], timeout=30)[0]
        assert "'Nobody' is not one of its values: Staff only" in reason
        assert ops.tickets() == []
        return
    made = until(lambda: ops.tickets() and ticket(ops), timeout=30)
    assert made["security"] == level
    assert ("payroll" in json.dumps(ops.jira.dump())) is bool(level)
    assert made["summary"] == ("[sev2] docs-api: payroll leaked" if level else "Private incident INC-1")


@CLOUD
def test_a_guarded_ticket_of_a_private_incident_hears_all_until_somebody_takes_the_guard_away(inside: Town, ops: Town):
    ops.config["jira"] |= {"private_security_level": "Staff only", "security_level": "Staff only"}
    bot = started(ops)
    key = opened(ops, bot)
    make_private(bot)
    ask_inside(bot, "incident ack 1")
    until(lambda: len(comments(ops)) == 1)
    ops.jira.site.issue(key).security = ""
    ask_inside(bot, "incident mitigate 1")
    until(lambda: [one for one in effects(bot, "ticket-note") if one.state == "skipped"])
    assert len(comments(ops)) == 1
