"""Deploys: told by CI, by GitHub or by hand, seen in the cluster; said once, followed by the service's checks once."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
import time
from typing import Any

import pytest
import requests
from ground.town import DEPLOY_SECRET, Bot, Town, channel
from ground.waiting import until

from bot.integrations.kubernetes.fake_objects import Options


def said(town: Town, service: str = "docs-api") -> list[dict[str, Any]]:
    """The messages of deploys in a service's channel, oldest first."""
    where = channel(town, service)
    return [m for m in town.messages() if m["channel"] == where and "D-" in town.shown(m) and not _below(m)]


def _below(message: dict[str, Any]) -> bool:
    return message.get("thread_ts") not in (None, message["ts"])


def runs(bot: Bot) -> list[Any]:
    with bot.captain.store.read() as c:
        return list(c.exec_driver_sql("select * from runs order by id").all())


def calm(town: Town) -> None:
    """docs-api does well, so that its checks pass."""
    town.prometheus.set_world("docs-api", errors=0.0, rps=50)


def rolls_out(town: Town, image: str, *, name: str = "docs-api", **spec: Any) -> None:
    """Somebody deploys into the cluster."""
    objects = town.kubernetes.objects
    resource = objects.registry.find("apps", "deployments")
    with town.kubernetes.store.lock:
        body = objects.get(resource, "prod", name).body
        template = json.loads(json.dumps(body["spec"]["template"]))
        if image:
            template["spec"]["containers"][0]["image"] = image
        made = {**body, "spec": {**body["spec"], "template": template, **spec}}
        objects.replace(resource, "v1", "prod", name, json.loads(json.dumps(made)), Options("skaffold", named=True), "")
        town.kubernetes.play.run()


def watching(town: Town) -> None:
    town.config["deploys"]["watch"] = {"namespaces": ["prod"]}


def hears(bot: Bot, kind: str = "deployments") -> None:
    until(lambda: bot.metric(f'captain_deploy_watch_up{{kind="{kind}",namespace="prod"}}') == 1.0)


def test_a_deploy_of_ci_is_one_message_that_is_edited_and_its_checks_run_below_it(town: Town):
    calm(town)
    bot = town.start()
    assert bot.deploy(status="started", by="alice", url="https://ci.example/77").json() == {"accepted": 1}
    (message,) = until(lambda: said(town))
    assert "is being rolled out" in town.shown(message)
    for _ in range(3):
        assert bot.deploy(status="succeeded", by="alice", url="https://ci.example/77").status_code == 202
    until(lambda: "*Checks* (docs-api) passed" in town.shown(said(town)[0]), message=lambda: town.shown(said(town)[0]))
    (message,) = said(town)
    assert "https://ci.example/77" in town.shown(message)
    assert "by alice" in town.shown(message)
    assert len(runs(bot)) == 1
    assert any("docs-api" in text for text in until(lambda: town.thread(message)))
    assert "1.4.3 was deployed" in bot.ask("deploy list docs-api")["text"].replace("*", "").replace("docs-api ", "")
    assert "Told by a webhook: succeeded" in bot.ask("deploy show D-1")["text"].replace("*", "")


def test_checks_that_fail_after_a_deploy_are_said_with_value_threshold_and_hint(town: Town):
    town.prometheus.set_world("docs-api", errors=0.2, rps=50, ago=900)
    bot = town.start()
    bot.deploy()
    message = until(lambda: next((m for m in said(town) if "FAILED" in town.shown(m)), None))
    shown = town.shown(message)
    assert "error ratio" in shown
    assert "threshold `&lt;= 0.01" in shown
    assert "roll back what changed last" in shown
    loud = until(lambda: [m["text"] for m in town.messages() if "The checks after" in m["text"]])
    assert len(loud) == 1, "nobody is told of an edit"
    assert "FAILED: *error ratio* `0.2`" in loud[0]
    assert not town.pages(), "whoever deploys is told; nobody is woken"


def test_whatever_order_the_statuses_arrive_in_the_deploy_ends_as_it_did(town: Town):
    bot = town.start()
    began, ended = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago)) for ago in (90, 30))
    bot.deploy(status="succeeded", at=ended)
    until(lambda: "was deployed" in str([town.shown(m) for m in said(town)]))
    bot.deploy(status="started", at=began)
    until(lambda: "took 1 min" in town.shown(said(town)[0]))
    assert len(said(town)) == 1
    assert len(until(lambda: runs(bot))) == 1


def test_what_is_told_late_neither_takes_the_place_of_what_goes_on_nor_of_what_is_there(town: Town):
    bot = town.start()
    times = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago)) for ago in (120, 90, 60, 30, 5)]

    def tell(number: int, version: str, status: str, at: str) -> dict[str, Any]:
        bot.deploy(id=version, version=version, status=status, at=at)
        return until(
            lambda: (one := bot.ask(f"deploy show D-{number}").get("data")) and one["status"] == status and one
        )

    tell(1, "1.4.3", "succeeded", times[2])
    tell(2, "1.4.4", "started", times[3])
    assert tell(3, "1.4.2", "succeeded", times[0])["before"] == ""
    assert bot.ask("deploy show D-2")["data"]["status"] == "started"
    assert tell(4, "1.4.5", "succeeded", times[4])["before"] == "1.4.3"


def test_who_has_not_the_secret_or_names_no_service_is_told_so_and_nothing_is_kept(town: Town):
    bot = town.start()
    assert bot.deploy(secret="wrong").status_code == 401
    unknown = bot.deploy(service="docs-apy")
    assert unknown.status_code == 422
    assert "Did you mean 'docs-api'?" in unknown.json()["error"]
    huge = requests.post(
        f"{bot.url}/webhooks/deploy",
        data=b"x" * (9 << 20),
        headers={"authorization": f"Bearer {DEPLOY_SECRET}"},
        timeout=10,
    )
    assert huge.status_code == 413
    for body in (b"", b"[]", b"null", b'{"service": {}}', b"[" * 100_000, b"\xff\xfe"):
        headers = {"authorization": f"Bearer {DEPLOY_SECRET}"}
        assert (
            400 <= requests.post(f"{bot.url}/webhooks/deploy", data=body, headers=headers, timeout=10).status_code < 500
        )
    assert bot.ask("deploy list")["data"] == []


def test_a_deploy_that_cannot_be_written_down_is_not_taken_and_is_one_when_it_is_sent_again(town: Town):
    bot = town.start()
    other = sqlite3.connect(town.folder / "bot.db", isolation_level=None)
    other.execute("begin immediate")  # nobody else can write
    try:
        assert bot.deploy().status_code == 503
    finally:
        other.rollback()
        other.close()
    assert bot.deploy().status_code == 202
    until(lambda: len(said(town)) == 1)
    assert len(bot.ask("deploy list")["data"]) == 1


def test_a_deploy_without_an_end_has_one_when_a_newer_one_is_done_and_old_news_is_only_remembered(town: Town):
    bot = town.start()
    bot.deploy(status="started", version="1.4.3")
    until(lambda: said(town))
    bot.deploy(status="succeeded", version="1.4.4", id="run-2")
    until(lambda: "was replaced by a newer one" in town.shown(said(town)[0]))
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 86400))
    bot.deploy(version="1.4.1", id="run-0", at=before)
    until(lambda: len(bot.ask("deploy list")["data"]) == 3)
    assert len(said(town)) == 2
    assert [one["version"] for one in bot.ask("deploy list")["data"]] == ["1.4.4", "1.4.3", "1.4.1"]
    until(lambda: len(runs(bot)) == 1)


def test_github_signs_what_it_tells_and_its_ping_is_answered(town: Town):
    town.config["deploys"]["repositories"] = {"acme/docs": "docs-api"}
    bot = town.start()
    status = {"state": "success", "environment": "prod", "created_at": None, "creator": {"login": "alice"}}
    body = {"deployment": {"id": 7, "sha": "3f2c1ab90d4e5f60718293a4b5c6d7e8f9012345", "ref": "v2.0.0"}}
    body |= {"deployment_status": status, "repository": {"full_name": "acme/docs"}}

    def send(event: str, secret: str = DEPLOY_SECRET) -> requests.Response:
        raw = json.dumps(body).encode()
        signed = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
        headers = {"x-github-event": event, "x-hub-signature-256": signed, "content-type": "application/json"}
        return requests.post(f"{bot.url}/webhooks/deploy", data=raw, headers=headers, timeout=10)

    assert send("ping").status_code == 202
    assert send("deployment_status", "wrong").status_code == 401
    assert send("deployment_status").json() == {"accepted": 1}
    until(lambda: "v2.0.0" in str([town.shown(m) for m in said(town)]))


def test_a_rollout_in_the_cluster_is_seen_said_and_checked_and_a_restart_repeats_nothing(town: Town):
    calm(town)
    watching(town)
    bot = town.start()
    hears(bot)
    rolls_out(town, "ghcr.io/example/docs-api:1.4.3")
    until(lambda: "*Checks* (docs-api) passed" in str([town.shown(m) for m in said(town)]), timeout=30)
    (message,) = said(town)
    assert "`1.4.2` → `1.4.3`" in town.shown(message)
    assert "by skaffold" in town.shown(message)
    rolls_out(town, "", replicas=3)  # more of the same is no deploy
    rolls_out(town, "ghcr.io/example/gateway:2.0.0", name="gateway")
    until(lambda: len(said(town, "gateway")) == 1)
    bot.stop()
    town.bots.clear()
    rolls_out(town, "ghcr.io/example/docs-api:1.4.4")
    until(lambda: bool(town.kubernetes.play.pending() == 0))
    again = town.start()
    hears(again)
    until(lambda: len(said(town)) == 2, message="what happened meanwhile is not missed")
    assert "`1.4.3` → `1.4.4`" in town.shown(said(town)[1])
    assert len(again.ask("deploy list")["data"]) == 3


def test_what_ci_tells_and_the_cluster_shows_is_one_deploy(town: Town):
    calm(town)
    watching(town)
    bot = town.start()
    hears(bot)
    bot.deploy(status="started", version="", revision="3f2c1ab90d4e5f60718293a4b5c6d7e8f9012345", by="alice")
    until(lambda: len(said(town)) == 1)
    rolls_out(town, "ghcr.io/example/docs-api:1.4.3")
    until(lambda: "passed" in town.shown(said(town)[0]), timeout=30)
    assert "`1.4.2` → `1.4.3`" in town.shown(said(town)[0])
    bot.deploy(status="succeeded", version="", revision="3f2c1ab90d4e5f60718293a4b5c6d7e8f9012345", by="alice")
    until(lambda: bot.ask("deploy show 1")["data"]["told"][0]["status"] == "succeeded")
    assert len(said(town)) == 1
    assert len(runs(bot)) == 1


def test_ci_that_goes_back_to_what_only_the_cluster_had_shown_tells_of_a_new_deploy(town: Town):
    calm(town)
    watching(town)
    bot = town.start()
    hears(bot)
    rolls_out(town, "ghcr.io/example/docs-api:1.4.5")
    until(lambda: bot.ask("deploy show D-1").get("data", {}).get("status") == "succeeded")
    bot.deploy(id="forth", version="1.4.6", status="started")
    rolls_out(town, "ghcr.io/example/docs-api:1.4.6")
    bot.deploy(id="forth", version="1.4.6")
    until(lambda: bot.ask("deploy show D-2").get("data", {}).get("status") == "succeeded")
    bot.deploy(id="back", version="1.4.5", status="started")
    back = until(lambda: bot.ask("deploy show D-3").get("data"), message="it is taken for the deploy of before")
    assert (back["before"], back["version"], back["status"]) == ("1.4.6", "1.4.5", "started")


def test_a_rollout_that_stands_still_has_failed_and_is_not_checked(town: Town):
    watching(town)
    bot = town.start()
    hears(bot)
    rolls_out(town, "ghcr.io/example/docs-api:broken-crashes", progressDeadlineSeconds=1)
    until(lambda: "failed to deploy" in str([town.shown(m) for m in said(town)]), timeout=30)
    assert "timed out progressing" in town.shown(said(town)[0])
    assert until(lambda: [m for m in town.messages() if "failed to deploy in prod" in m["text"] and not m["blocks"]])
    assert runs(bot) == []


def test_a_watch_that_is_too_old_lists_anew_and_one_that_breaks_off_comes_back(town: Town):
    watching(town)
    bot = town.start()
    hears(bot)
    town.kubernetes.faults.breaks("500", times=2)
    rolls_out(town, "ghcr.io/example/docs-api:1.4.3")
    town.kubernetes.compact()
    until(lambda: len(said(town)) == 1, timeout=30)
    assert "1.4.3" in town.shown(said(town)[0])
    assert bot.ask("deploy list")["data"][0]["version"] == "1.4.3"


def test_what_burns_says_what_was_deployed(town: Town, alertmanager_body):
    bot = town.start()
    bot.deploy(by="alice", version="1.4.3")
    until(lambda: bot.ask("deploy list")["data"])
    bot.alert(alertmanager_body("firing-single"))
    root = until(lambda: next(iter(town.roots()), None))
    until(lambda: "*Deploy:* `1.4.3` was deployed" in town.shown(town.roots()[0]))
    bot.deploy(version="1.4.4", id="run-2")
    until(lambda: "1.4.4" in town.shown(town.roots()[0]), message="one that happens meanwhile, too")
    number = root["text"].partition("INC-")[2].split()[0]
    told = bot.ask(f"incident timeline INC-{number}")["text"]
    assert "1.4.4 was deployed" in told


def test_a_deploy_told_by_hand_is_said_and_checked_as_any_other(town: Town):
    calm(town)
    bot = town.start()
    assert "error" in bot.ask("deploy note docs-apy 1.0")
    told = bot.ask("deploy note docs-api 1.4.3", name="bob")
    assert told["data"]["version"] == "1.4.3"
    until(lambda: "by bob" in str([town.shown(m) for m in said(town)]))
    assert len(until(lambda: runs(bot))) == 1
    assert "D-1" in bot.ask("deploy show D-1")["text"]
    assert "error" in bot.ask("deploy show 77")


def test_a_deploy_that_was_taken_is_said_and_checked_once_though_the_bot_is_killed_at_once(town: Town):
    calm(town)
    town.config["deploys"]["checks_after"] = 1
    bot = town.spawn()
    assert bot.deploy(by="alice").status_code == 202
    bot.kill()
    again = town.spawn()
    again.deploy(by="alice")  # CI has heard the answer, or has not, and sends it again
    until(lambda: "passed" in str([town.shown(m) for m in said(town)]), timeout=40)
    (message,) = said(town)
    assert len(until(lambda: [text for text in town.thread(message) if "docs-api" in text])) == 1
    assert len(again.ask("deploy list")["data"]) == 1


@pytest.mark.postgres
def test_two_replicas_that_see_the_same_rollout_say_it_once(town: Town, postgres):
    calm(town)
    watching(town)
    town.config["captain"]["database"] = postgres.url
    one, other = town.spawn(), town.spawn()
    for bot in (one, other):
        hears(bot)
    rolls_out(town, "ghcr.io/example/docs-api:1.4.3")
    until(lambda: "passed" in str([town.shown(m) for m in said(town)]), timeout=40)
    assert len(said(town)) == 1
    assert len(other.ask("deploy list")["data"]) == 1
