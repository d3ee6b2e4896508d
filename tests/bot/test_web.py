"""The HTTP ear: who may speak, what is refused, and that a refusal leaves nothing behind."""

from __future__ import annotations

import contextlib
import json

import pytest
import requests
from ground.town import API_TOKEN, WEBHOOK_SECRET, Bot, Town
from ground.waiting import until


@pytest.fixture
def bot(town: Town) -> Bot:
    for section in ("slack", "jira", "prometheus", "kubernetes"):
        town.config.pop(section)
    for service in town.config["services"].values():
        service.pop("jira")
    return town.start()


def post(bot: Bot, body: bytes, **headers: str) -> requests.Response:
    headers = {"authorization": f"Bearer {WEBHOOK_SECRET}"} | headers
    return requests.post(f"{bot.url}/webhooks/alertmanager", data=body, headers=headers, timeout=10)


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", f"Basic {WEBHOOK_SECRET}", "Bearer \xe9", f"bearer{WEBHOOK_SECRET}"]
)
def test_a_wrong_secret_is_refused(bot: Bot, given):
    answer = requests.post(
        f"{bot.url}/webhooks/alertmanager", data=b"{}", headers={"authorization": given.encode("latin-1")}, timeout=5
    )
    assert answer.status_code == 401
    assert "webhook_secret" in answer.json()["error"]


def test_a_refusal_is_counted_and_leaves_nothing_behind(bot: Bot, town: Town, alertmanager_body):
    body = alertmanager_body("firing-single")
    body["alerts"][0]["labels"].pop("service")
    assert post(bot, json.dumps(body).encode()).status_code == 422
    assert post(bot, b"{nonsense").status_code == 400
    assert bot.metric('captain_webhooks_total{source="alertmanager",status="422"}') == 1
    assert bot.metric('captain_webhooks_total{source="alertmanager",status="400"}') == 1
    assert bot.ask("incident list --all")["data"] == []
    assert town.pages() == []


def test_ten_megabytes_are_refused(bot: Bot):
    assert post(bot, b"x" * 10_000_000).status_code == 413


def test_ten_megabytes_without_a_length_are_refused(bot: Bot):
    def chunks():
        for _ in range(200):
            yield b"x" * 65536

    # The bot may hang up while we still send.
    with contextlib.suppress(requests.ConnectionError):
        assert post(bot, chunks()).status_code == 413
    assert bot.metric('captain_webhooks_total{source="alertmanager",status="413"}') == 1


def test_a_group_of_sixty_is_one_incident_a_key(bot: Bot, town: Town, alertmanager_body):
    body = alertmanager_body("group-of-60")
    for alert in body["alerts"]:
        alert["labels"]["service"] = "docs-api"
    assert bot.alert(body).json()["accepted"] == 60
    until(lambda: bot.captain.alerts.waiting() == 0)
    until(lambda: len(town.pages()) == 1, message="one SLO, one page")
    assert len(bot.ask("incident list")["data"]) == 1


def test_the_clis_door(bot: Bot):
    url = f"{bot.url}/api/command"
    right = {"authorization": f"Bearer {API_TOKEN}"}
    assert requests.post(url, json={"line": "incident list", "as": "a"}, timeout=5).status_code == 401
    assert requests.post(url, data=b"[", headers=right, timeout=5).status_code == 400
    assert requests.post(url, json={"line": "incident list", "as": " "}, headers=right, timeout=5).status_code == 400
    refused = requests.post(url, json={"line": "incident akc", "as": "a"}, headers=right, timeout=5)
    assert refused.status_code == 422
    assert "Did you mean 'ack'?" in refused.json()["error"]
    assert bot.ask("incident list")["text"].startswith("No incident is open")


def test_a_request_that_is_sent_again_opens_one_incident(bot: Bot):
    right = {"authorization": f"Bearer {API_TOKEN}"}
    asked = {"line": "incident open sev3 docs-api slow", "as": "dora", "key": "same"}
    numbers = {
        requests.post(f"{bot.url}/api/command", json=asked, headers=right, timeout=5).json()["data"]["number"]
        for _ in range(3)
    }
    assert numbers == {1}


def test_health_readiness_and_metrics(bot: Bot):
    assert requests.get(f"{bot.url}/healthz", timeout=5).text == "ok\n"
    assert requests.get(f"{bot.url}/readyz", timeout=5).text == "ready\n"
    assert "captain_page_seconds_bucket" in requests.get(f"{bot.url}/metrics", timeout=5).text


def test_an_unsigned_pagerduty_webhook_is_refused(bot: Bot):
    answer = requests.post(f"{bot.url}/webhooks/pagerduty", json={"event": {}}, timeout=5)
    assert answer.status_code == 401


def test_every_deed_is_in_the_audit_chain_and_the_chain_shows_tampering(bot: Bot):
    import sqlalchemy as sa

    from bot import audit

    bot.ask("incident open sev3 docs-api slow", "dora")
    bot.ask("incident ack INC-1", "dora")
    with bot.captain.store.write() as c:
        assert audit.verify(c) == (2, "")
        c.execute(sa.text("update audit set actor = 'somebody else' where id = 1"))
        assert audit.verify(c) == (0, "entry 1 was changed after it was written")
