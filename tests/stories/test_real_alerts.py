"""Real alerts: a real Prometheus sees the burn, a real Alertmanager tells it, and somebody is paged once."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from ground.town import WEBHOOK_SECRET, Town
from ground.waiting import free_port, until
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bot.standin import serve

pytestmark = pytest.mark.slow


def test_a_burn_that_prometheus_sees_is_paged_threaded_ticketed_and_closed(town: Town, real_prometheus):
    port = free_port()
    hook = f"http://127.0.0.1:{port}/webhooks/alertmanager"
    real = real_prometheus(webhook=hook, bearer=WEBHOOK_SECRET)
    town.config["prometheus"]["url"] = real.url
    town.config["alertmanager"]["url"] = real.alertmanager_url
    bot = town.spawn(port=port)

    # 30 % of the requests fail: the error budget of 99.9 % burns three hundred times too fast.
    real.set(err=0.3)
    until(lambda: len(town.pages()) == 1, timeout=40, message="a real burn paged nobody")
    until(lambda: town.tickets() and town.roots(), timeout=10)
    root = town.roots()[0]
    until(lambda: any("Checks of docs-api" in text for text in town.thread(root)), timeout=20)
    until(lambda: "PagerDuty ✔" in town.shown(town.roots()[0]))
    assert "docs-api-availability" in town.shown(town.roots()[0])
    alerts = requests.get(f"{real.alertmanager_url}/api/v2/alerts", timeout=5).json()
    assert {alert["labels"]["slo"] for alert in alerts if "slo" in alert["labels"]} == {"docs-api-availability"}

    real.set(err=0.0)
    until(lambda: town.pages()[0]["status"] == "resolved", timeout=60, message="the page outlives the burn")
    until(lambda: town.tickets()[0]["status_category"] == "done")
    until(lambda: any("Resolved" in text for text in town.thread(root)))
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == 1
    assert "SLOBurnSlow fires too" in bot.ask("incident show INC-1")["text"], "the slow burn joins the same incident"
    assert bot.metric('captain_webhooks_total{source="alertmanager",status="202"}') >= 2


def test_a_burn_that_the_written_rules_see_is_one_page_that_says_how_fast_and_ends_with_it(town: Town, real_prometheus):
    requests_total = 'istio_requests_total{destination_workload="docs-api"'
    town.config["slos"] = {
        "docs-api-availability": {
            "service": "docs-api",
            "environment": "test",
            "objective": 99.9,
            "bad": f'sum(rate({requests_total},response_code=~"5.."}}[{{{{window}}}}]))',
            "total": f"sum(rate({requests_total}}}[{{{{window}}}}]))",
            "tiers": [
                {"severity": "page", "burn": 14.4, "long": "1m", "short": "10s"},
                {"severity": "ticket", "burn": 1, "long": "2m", "short": "10s"},
            ],
            "few_bad": 0,
            "evaluate": False,
            "runbook": "https://runbooks.example/docs-api",
        }
    }
    captain = str(Path(sys.executable).with_name("captain"))
    written = [captain, "slo", "rules", "--config", str(town.write())]
    made = subprocess.run(written, capture_output=True, text=True, timeout=60, check=True).stdout
    rules = made.replace("interval: 30s", "interval: 1s").replace("interval: 2m", "interval: 1s")
    port = free_port()
    real = real_prometheus(webhook=f"http://127.0.0.1:{port}/webhooks/alertmanager", bearer=WEBHOOK_SECRET, rules=rules)
    bot = town.spawn(port=port)

    real.set(err=0.3)
    until(lambda: len(town.pages()) == 1, timeout=40, message="a real burn paged nobody")
    assert re.search(r"docs-api-availability burns \d+\.\d times its error budget", town.pages()[0]["title"])
    real.set(err=0.0)
    until(lambda: town.pages()[0]["status"] == "resolved", timeout=60, message="the page outlives the burn")
    until(lambda: town.tickets()[0]["status_category"] == "done")
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == 1
    assert len(bot.ask("incident list --all")["data"]) == 1


def test_a_real_alertmanager_sends_again_what_was_answered_with_503(town: Town, real_prometheus):
    """What stands at the bot's address answers 503, then nothing is there, then the bot: nothing is lost or doubled."""
    port = free_port()
    asked: list[str] = []

    async def unready(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        await Response(status_code=503)(scope, receive, send)

    standing = serve(unready, port=port)
    try:
        real = real_prometheus(webhook=f"http://127.0.0.1:{port}/webhooks/alertmanager", bearer=WEBHOOK_SECRET)
        fired = [{"labels": {"alertname": "Burn", "service": "docs-api", "severity": "page", "slo": "s"}}]
        assert requests.post(f"{real.alertmanager_url}/api/v2/alerts", json=fired, timeout=5).status_code == 200
        until(lambda: len(asked) >= 2, timeout=30, message="Alertmanager did not send again")
    finally:
        standing.stop()
    town.config["prometheus"]["url"] = real.url
    town.spawn(port=port)
    until(lambda: len(town.pages()) == 1, timeout=30, message="the alert was lost")
    until(lambda: town.roots() and town.tickets())
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == 1


def test_what_a_real_alertmanager_could_not_tell_us_is_found_and_paged(town: Town, real_prometheus):
    """Its webhooks go nowhere; it is asked what fires for us, and what no longer does is asked about."""
    real = real_prometheus(webhook=f"http://127.0.0.1:{free_port()}/nowhere", bearer=WEBHOOK_SECRET)
    town.config["alertmanager"] |= {"url": real.alertmanager_url, "receiver": "captain"}
    town.config["incidents"] |= {"missed_after": 0, "looks_apart": 0}
    bot = town.start()
    labels = {"alertname": "Burn", "service": "docs-api", "severity": "page", "slo": "s"}
    fired = [{"labels": labels, "annotations": {"summary": "it burns"}}]
    url = f"{real.alertmanager_url}/api/v2/alerts"
    assert requests.post(url, json=fired, timeout=5).status_code == 200
    until(lambda: bot.ask("incident reconcile")["data"]["healed"], timeout=20, message="nobody found it")
    until(lambda: len(town.pages()) == 1)
    assert "it burns" in town.pages()[0]["title"]
    assert bot.ask("incident reconcile")["data"]["healed"] == [], "the same fire is known by now"

    now = dt.datetime.now(dt.UTC)
    ended = [fired[0] | {"startsAt": (now - dt.timedelta(hours=1)).isoformat(), "endsAt": now.isoformat()}]
    assert requests.post(url, json=ended, timeout=5).status_code == 200
    until(lambda: bot.ask("incident reconcile")["data"]["asked"], timeout=20, message="nobody asked")
    bot.ask("incident resolve INC-1 --anyway")
    until(lambda: town.pages()[0]["status"] == "resolved")


def test_a_silence_from_the_thread_holds_in_a_real_alertmanager_and_ends_there(town: Town, real_prometheus):
    port = free_port()
    hook = f"http://127.0.0.1:{port}/webhooks/alertmanager"
    real = real_prometheus(webhook=hook, bearer=WEBHOOK_SECRET)
    town.config["alertmanager"]["url"] = real.alertmanager_url
    bot = town.spawn(port=port)
    labels = {"alertname": "Burn (p95) é", "service": "docs-api", "severity": "page", "slo": "s", "env": "prod"}
    other = labels | {"alertname": "Burn | slow"}
    url = f"{real.alertmanager_url}/api/v2"

    def states() -> dict[str, str]:
        return {a["labels"]["alertname"]: a["status"]["state"] for a in requests.get(f"{url}/alerts", timeout=5).json()}

    for one in (labels, other, labels | {"slo": "another"}):
        assert requests.post(f"{url}/alerts", json=[{"labels": one}], timeout=5).status_code == 200
    until(lambda: len(town.pages()) == 2, timeout=30, message="two SLOs burn")
    found = bot.ask("why s")["data"]["alerts"]
    number = until(lambda: found and found[0]["incident"])
    said = bot.ask(f"incident silence 1h INC-{number} wir wissen's schon", name="Zoë")
    assert "error" not in said
    silences = until(lambda: [s for s in requests.get(f"{url}/silences", timeout=5).json()], timeout=20)  # noqa: C416
    assert [s["createdBy"] for s in silences] == ["Zoë"]
    muted = [a for a in requests.get(f"{url}/alerts", timeout=5).json() if a["status"]["state"] == "suppressed"]
    assert {a["labels"]["slo"] for a in muted} == {"s"}, "another SLO is not silenced"
    assert {a["labels"]["alertname"] for a in muted} == set(states()), "every alert of the incident is"

    bot.ask(f"incident silence 2h INC-{number}", name="bob")
    until(
        lambda: requests.get(f"{url}/silences", timeout=5).json()[0]["endsAt"] > silences[0]["endsAt"],
        timeout=20,
        message="its end was not changed",
    )
    bot.ask(f"incident unsilence INC-{number}", name="bob")
    until(lambda: set(states().values()) == {"active"}, timeout=20, message="it was not ended there")
    assert {s["status"]["state"] for s in requests.get(f"{url}/silences", timeout=5).json()} == {"expired"}
    assert bot.ask("maintenance list")["data"]["on"] == []


def test_a_slow_burn_is_a_ticket_and_wakes_nobody_and_what_flaps_stays_open(town: Town, real_prometheus):
    port = free_port()
    real = real_prometheus(webhook=f"http://127.0.0.1:{port}/webhooks/alertmanager", bearer=WEBHOOK_SECRET)
    town.config["alertmanager"]["url"] = real.alertmanager_url
    town.config["noise"] = {"flap": {"changes": 4}}
    bot = town.spawn(port=port)

    # Nine times the budget of 99.9 %: slower than what pages, and faster than what is nobody's business.
    real.set(err=0.009)
    labels = {"alertname": "Flaps", "service": "gateway", "severity": "page", "slo": "gateway-latency"}
    url, began = f"{real.alertmanager_url}/api/v2/alerts", dt.datetime.now(dt.UTC)

    def flaps() -> str:
        listed = bot.ask("incident list --all")["data"]
        return next((one["status"] for one in listed if one["service"] == "gateway"), "")

    for change, after in enumerate(("triggered", "resolved", "triggered")):
        now = dt.datetime.now(dt.UTC)
        ends = {"endsAt": now.isoformat()} if change % 2 else {}
        assert requests.post(url, json=[{"labels": labels, "startsAt": began.isoformat(), **ends}], timeout=5).ok
        until(lambda after=after: flaps() == after, timeout=30, message=f"it is not {after}")
        began = began if change % 2 == 0 else now
    ended = {"labels": labels, "startsAt": began.isoformat(), "endsAt": dt.datetime.now(dt.UTC).isoformat()}
    assert requests.post(url, json=[ended], timeout=5).ok
    until(lambda: "stays open: it flaps" in bot.ask("why gateway")["text"], timeout=30, message="its end was not held")
    assert flaps() == "triggered"

    slow = until(lambda: [one for one in town.tickets() if "slowly" in str(one)], timeout=40, message="no ticket came")
    assert len(slow) == 1
    assert [page for page in town.pages() if "docs-api" in page["title"]] == [], "a slow burn woke somebody"
