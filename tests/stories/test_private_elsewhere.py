"""Of a private incident nothing is read or changed by the ways around its channel: what runs over all, a shared key, a log."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading

import pytest
import requests
import sqlalchemy as sa
from ground.town import PD_SECRET, Bot, Town, user
from ground.waiting import until

from bot.effects import EFFECTS
from bot.inbox import Request
from bot.integrations.pagerduty.fake import API_TOKEN

CANARY = "zebra-credentials-leaked"
OWN = "doras-own-token"
SECRET = "status-secret-of-32-characters-xx"


@pytest.fixture
def town(town: Town) -> Town:
    town.config["captain"] |= {"status_secret": SECRET, "public_url": "https://captain.example.com"}
    town.config["permissions"] = {"tokens": {"dora@example.com": OWN}}
    return town


def by_dora(bot: Bot, line: str, **more: str) -> dict:
    headers = {"authorization": f"Bearer {OWN}"}
    return requests.post(
        f"{bot.url}/api/command", json={"line": line, "as": "dora", **more}, headers=headers, timeout=10
    ).json()


def opened(town: Town, bot: Bot, **more: str) -> str:
    """Dora opens a private incident; its uid."""
    told = by_dora(bot, f"incident open sev1 docs-api {CANARY} --private", **more)
    until(lambda: town.pages(), message="whoever must be paged is paged")
    return str(told["data"]["uid"])


def phone(bot: Bot, event: dict) -> None:
    body = json.dumps({"event": event}).encode()
    signature = "v1=" + hmac.new(PD_SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-pagerduty-signature": signature, "content-type": "application/json"}
    assert requests.post(f"{bot.url}/webhooks/pagerduty", data=body, headers=headers, timeout=10).status_code == 202


@pytest.mark.parametrize("known", [True, False])
def test_why_of_the_last_minutes_tells_no_note_of_the_page_and_nobody_who_took_it(town: Town, known: bool):
    bot = town.start()
    uid = opened(town, bot)
    agent = {"summary": "Bob Secretive", "type": "user_reference"}
    data = {"incident_key": f"captain-{uid}"} if known else {}
    note = {**data, "type": "incident_note", "content": f"it is {CANARY}", "incident": {"id": "PX"}}
    phone(bot, {"id": "E1", "event_type": "incident.annotated", "agent": agent, "data": note})
    told = until(lambda: (told := bot.ask("why"))["data"]["pagerduty"] and told)
    assert "incident.annotated" in told["text"]
    assert CANARY not in json.dumps(told)
    assert "Secretive" not in json.dumps(told)
    if known:
        assert CANARY in json.dumps(by_dora(bot, "why")), "who may see it does"


def test_a_comparison_of_all_says_of_it_neither_who_took_it_nor_what_was_asked(town: Town):
    town.config["pagerduty"]["api_token"] = API_TOKEN
    town.config["incidents"]["looks_apart"] = 0.05
    bot = town.start()
    opened(town, bot)
    town.pagerduty.acknowledge(town.pages()[0]["id"], "bob")

    def healed() -> dict:
        threading.Event().wait(0.06)
        told = bot.ask("incident reconcile")
        return told if told["data"]["healed"] else {}

    told = until(healed)
    assert told["data"]["healed"] == ["INC-1: it is private, and the reason is shown in its own channel"]
    assert "bob" not in json.dumps(told).lower()
    assert by_dora(bot, "incident show 1")["data"]["acked_by"]


def test_the_status_page_says_how_its_ticket_stands_and_not_which_it_is(town: Town):
    bot = town.start()
    opened(town, bot)
    e = EFFECTS()
    ticket = until(lambda: by_dora(bot, "incident show 1")["data"]["ticket_key"])
    with bot.captain.store.write() as c:
        done = e.update().where(e.c.kind == "ticket").values(state="skipped", reason=f"somebody has ended {ticket}")
        c.execute(done)
    link = bot.ask("status")["data"]["link"].split("/status", 1)[1]
    page = requests.get(f"{bot.url}/status{link}", timeout=10).text
    assert "private incident" in page
    assert ticket not in page


def test_who_deploys_writes_nothing_into_it(town: Town):
    bot = town.start()
    opened(town, bot)
    bot.ask("incident open sev3 docs-api another")
    assert bot.ask("incident note deployed --service docs-api")["data"]["incidents"] == [2]
    assert by_dora(bot, "incident note deployed --service docs-api")["data"]["incidents"] == [1, 2]


def test_the_key_of_a_request_shows_nobody_what_another_opened_with_it(town: Town):
    bot = town.start()
    opened(town, bot, key="deploy-42")
    headers = {"authorization": "Bearer cli-token"}
    line = {"line": "incident open sev3 docs-api mine", "as": "carol", "key": "deploy-42"}
    told = requests.post(f"{bot.url}/api/command", json=line, headers=headers, timeout=10).json()
    assert told["data"]["number"] == 1
    assert CANARY not in json.dumps(told)
    assert "dora" not in json.dumps(told)


def test_what_breaks_is_in_the_log_without_what_people_wrote(town: Town, caplog):
    bot = town.start()
    with bot.captain.store.write() as c:
        c.execute(sa.text("alter table timeline rename to away"))
    with caplog.at_level(logging.DEBUG):
        town.slack.slash("#general", user(town, "alice"), "/captain", f"incident open sev1 docs-api {CANARY} --private")
        until(lambda: "no such table" in caplog.text)
    assert CANARY not in caplog.text
    asked = Request("slack:1", 0.0, "command", {"line": CANARY})
    assert CANARY not in repr(asked), "what could not be decided is named in the log"
    with bot.captain.store.write() as c:
        c.execute(sa.text("alter table away rename to timeline"))


def test_slack_is_asked_who_sees_private_ones_while_no_connection_is_held(town: Town):
    town.config["permissions"] |= {"roles": {"security": {"emails": ["x@example.com"]}}, "sees_private": "security"}
    bot = town.start()
    opened(town, bot)
    bob, pool = user(town, "bob"), bot.captain.store.engine.pool
    until(lambda: not any(n for n, _ in bot.captain.engine.owed().values()))
    town.slack.faults.breaks("late", delay=0.5, times=1, only="users.info")
    held: list[int] = []
    town.slack.open_home(bob)
    until(lambda: held.append(pool.checkedout()) or bob in town.slack.state()["homes"], every=0.02)
    longest = max(len(run) for run in "".join("x" if n else " " for n in held).split(" "))
    assert longest < 10, "a connection is held for as long as Slack takes to answer"
