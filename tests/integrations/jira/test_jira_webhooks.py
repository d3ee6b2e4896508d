"""The stand-in's people and its signed webhooks."""

from __future__ import annotations

import hashlib
import hmac
import threading

import pytest
from ground.waiting import free_port, until

from bot.integrations.jira.fake_site import Invalid


@pytest.fixture
def heard(jira, listener):
    jira.webhook_url, jira.webhook_secret = listener.url, "s3cret"
    return listener


def test_the_signature_is_the_hmac_of_the_body(heard, make):
    make()
    until(lambda: heard.heard)
    headers, body = heard.heard[0]
    assert headers["x-hub-signature"] == "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["x-atlassian-webhook-identifier"]


def test_without_a_secret_it_is_not_signed_and_without_an_address_not_sent(jira, listener, make):
    make()
    jira.webhook_url = listener.url
    make()
    until(lambda: listener.heard)
    assert [e["issue"]["key"] for e in listener.events()] == ["OPS-2"]
    assert "x-hub-signature" not in listener.heard[0][0]


def test_each_act_of_a_person_is_told(jira, heard, make, deployment):
    key = make()
    jira.transition(key, "in progress", "alice")
    jira.comment(key, "on it", "bob@example.com")
    jira.assign(key, "carol", "alice")
    jira.close(key, "carol")
    until(lambda: len(heard.heard) == 5)
    kinds = [(e["webhookEvent"], (e.get("user") or e["comment"]["author"])["displayName"]) for e in heard.events()]
    assert kinds == [
        ("jira:issue_created", "Release Captain"),
        ("jira:issue_updated", "Alice Adams"),
        ("comment_created", "Bob Brown"),
        ("jira:issue_updated", "Alice Adams"),
        ("jira:issue_updated", "Carol Cho"),
    ]
    _, moved, comment, assigned, closed = heard.events()
    (item,) = moved["changelog"]["items"]
    assert (item["field"], item["fromString"], item["toString"]) == ("status", "To Do", "In Progress")
    assert comment["comment"]["body"] == "on it"
    assert ("issue" in comment) is jira.cloud
    assert "/comment/" in comment["comment"]["self"], "where Data Center says which issue it is about"
    assert assigned["changelog"]["items"][0]["toString"] == "Carol Cho"
    assert closed["issue"]["fields"]["status"]["statusCategory"]["key"] == "done"
    assert {item["field"] for item in closed["changelog"]["items"]} == {"status", "resolution"}
    assert isinstance(closed["timestamp"], int)
    assert ("accountId" in closed["user"]) is jira.cloud


def test_what_the_bot_does_itself_is_told_with_its_name(heard, make, client):
    client.move(make(), "indeterminate")
    until(lambda: len(heard.heard) == 2)
    assert heard.events()[1]["user"]["emailAddress"] == "captain@example.com"


def test_close_goes_through_the_workflow_and_stays(jira, make):
    key = make()
    jira.close(key, "alice")
    jira.close(key, "alice")
    assert jira.state()["issues"][0]["status"] == "Done"
    assert len(jira.site.issue(key).history) == 2


@pytest.mark.parametrize(("answer", "times"), [(503, 2), (429, 2), (404, 1)])
def test_it_tries_again_where_jira_would(jira, listener, make, answer, times):
    listener.answers[:] = [answer, 200]
    jira.webhook_url = listener.url
    make()
    until(lambda: len(jira.hooks.sent) == times)
    until(lambda: jira.hooks._thread is None)
    assert [status for status, _ in jira.hooks.sent] == [answer, 200][:times]
    if times == 2:
        first, second = (headers for headers, _ in listener.heard)
        assert first["x-atlassian-webhook-identifier"] == second["x-atlassian-webhook-identifier"]
        assert second["x-atlassian-webhook-retry"] == "1"


def test_a_listener_that_is_down_holds_up_nobody(jira, listener, make):
    jira.webhook_url = f"http://127.0.0.1:{free_port()}/"
    make()
    until(lambda: jira.hooks.sent)
    jira.webhook_url = listener.url
    make()
    until(lambda: listener.heard, timeout=1.0)


def test_people_are_refused_as_the_workflow_refuses(jira, make):
    key = make()
    with pytest.raises(Invalid, match="cannot go from To Do to Done"):
        jira.transition(key, "Done", "alice")
    with pytest.raises(KeyError, match="eve"):
        jira.comment(key, "x", "eve")
    with pytest.raises(Invalid, match="does not exist"):
        jira.close("OPS-9", "alice")


def test_people_may_come_from_any_thread(jira, make):
    key = make()
    threads = [threading.Thread(target=jira.comment, args=(key, f"note {n}", "bob")) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(jira.state()["issues"][0]["comments"]) == 20
