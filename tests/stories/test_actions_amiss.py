"""What goes amiss around an action: it is undone all the same, nobody agrees by mistake, and nobody waits for ever."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from ground.town import Town, user
from ground.waiting import until
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from bot.standin import serve
from handlers.actions import decide

BYPASS = {
    "object": {"kind": "configmap", "namespace": "prod", "name": "gateway-flags", "fields": {"data.bypass": "half"}}
}
RESTART = {
    "service": "docs-api",
    "parameters": {"name": {"default": "docs-api", "choices": ["docs-api", "gateway"]}},
    "do": {"restart": {"kind": "deployment", "namespace": "prod", "name": "{{ name }}"}},
    "undo": {"none": "a restart cannot be taken back"},
    "approval": {"people": ["bob@example.com"], "within": "30m"},
}


@pytest.fixture
def town(town: Town) -> Town:
    tokens = {"alice@example.com": "alice-token", "bob@example.com": "bob-token"}
    town.config["permissions"] = {"tokens": tokens}
    town.config["actions"] = {"restart": dict(RESTART)}
    return town


def ask(bot, line: str, who: str = "", name: str = "") -> dict:
    """Through the CLI's door: with somebody's own token, or the shared one."""
    if not who:
        return bot.ask(line, name or "carol")
    headers = {"authorization": f"Bearer {who}-token"}
    return requests.post(f"{bot.url}/api/command", json={"line": line, "as": who}, headers=headers, timeout=10).json()


def becomes(bot, wanted: str, number: int = 1, timeout: float = 20) -> dict:
    until(lambda: bot.ask(f"action show ACT-{number}").get("data", {}).get("status", "") == wanted, timeout=timeout)
    return bot.ask(f"action show ACT-{number}")["data"]


@pytest.fixture
def answers(town: Town):
    """The action ``gate`` calls a service: what it was asked, and the status it gives next."""
    asked: list[str] = []
    next_: list[int] = []

    async def take(request) -> Response:
        asked.append(request.method)
        return Response("", next_.pop(0) if next_ else 200)

    served = serve(Starlette(routes=[Route("/gate", take, methods=["POST", "DELETE"])]))
    url = f"{served.url}/gate"
    town.config["actions"]["gate"] = {
        "service": "docs-api", "lasting": True, "do": {"http": {"url": url, "timeout": 1, "repeatable": True}},
        "undo": {"http": {"url": url, "method": "DELETE", "timeout": 1}},
    }  # fmt: skip
    yield asked, next_
    served.stop()


def test_what_an_earlier_try_may_have_done_is_undone_though_the_last_one_surely_did_nothing(town: Town, answers):
    asked, next_ = answers
    next_ += [500, *[429] * 50]
    bot = town.start()
    bot.ask('action run gate "x"')
    until(lambda: asked == ["POST"] * 3)
    next_.clear()
    bot.ask("action undo ACT-1")
    until(lambda: bot.ask("action list")["data"] == [])
    assert asked[-1] == "DELETE"


def test_a_flag_and_an_action_in_the_same_field_do_not_put_back_what_the_other_has_set(town: Town):
    town.has_a_flag()
    town.config["actions"]["half"] = {"service": "gateway", "do": BYPASS, "undo": "restore", "lasting": True}
    bot = town.start()
    bot.ask('flag on gateway-bypass --for 5m "x"')
    until(lambda: town.flags()["data"]["bypass"] == "true")
    assert "is set by the flag gateway-bypass" in bot.ask("action run half --dry-run")["text"]
    bot.ask('action run half "x"')
    assert "is set by the flag gateway-bypass" in becomes(bot, "not_applied")["why"]
    bot.ask("flag off gateway-bypass")
    until(lambda: town.flags()["data"]["bypass"] == "false" and not town.flags()["annotations"])
    bot.ask('action run half "x"')
    becomes(bot, "on", 2)
    bot.ask('flag on gateway-bypass --for 5m "x"')
    until(lambda: any("is set by the action half" in m["text"] for m in town.messages()))
    bot.ask("action undo ACT-2")
    becomes(bot, "off", 2)
    assert town.flags()["data"]["bypass"] == "false"


def test_what_nobody_agreed_to_is_over_though_the_clock_was_put_back_meanwhile(town: Town):
    bot = town.start()
    ask(bot, 'action run restart "x"', "alice")
    approve_by = becomes(bot, "waiting")["approve_by"]
    decide.lapsed(bot.captain.desk, uid(bot), now=approve_by - 3600)
    assert becomes(bot, "expired")["why"] == "nobody agreed in time"


def uid(bot, number: int = 1) -> str:
    return bot.ask(f"action show ACT-{number}")["data"]["uid"]


def test_what_was_asked_for_when_nobody_had_to_agree_is_not_done_when_somebody_has_to(town: Town):
    """captain.yml was edited while the checks before it ran."""
    scale = {"kind": "deployment", "namespace": "prod", "name": "docs-api", "replicas": 4}
    more = {"service": "docs-api", "do": {"scale": scale}, "undo": "restore", "lasting": True}
    town.config["actions"]["more"] = more
    bot = town.start()
    town.kubernetes.faults.breaks("500")
    bot.ask('action run more "x"')
    until(lambda: "500" in bot.ask("action list")["text"])
    bot.stop()
    town.bots.clear()
    town.config["actions"]["more"] = more | {"approval": {"needed": True, "people": "bob@example.com"}}
    town.kubernetes.faults.mend()
    bot = town.start()
    assert "captain.yml has been changed since" in becomes(bot, "not_applied")["why"]


def test_what_could_not_be_undone_is_not_begun(town: Town, tmp_path):
    done = tmp_path / "done"
    deed = {"command": {"argv": [sys.executable, "-c", f"open({str(done)!r}, 'w')"]}}
    town.config["actions"] |= {
        "stray": {"service": "docs-api", "do": deed, "undo": {"command": {"argv": ["no-such-program"]}}, "lasting": True},
        "poor": {
            "service": "docs-api", "do": json.loads(json.dumps(deed)), "lasting": True,
            "undo": {"command": {"argv": ["true"], "env": {"TOKEN": "env:NOT_SET_ANYWHERE"}}},
        },
    }  # fmt: skip
    bot = town.start()
    bot.ask('action run stray "x"')
    assert "could not be undone: there is no program no-such-program" in becomes(bot, "not_applied")["why"]
    assert "the environment has no NOT_SET_ANYWHERE" in bot.ask("action run poor --dry-run")["text"]
    bot.ask('action run poor "x"')
    assert "the environment has no NOT_SET_ANYWHERE" in becomes(bot, "not_applied", 2)["why"]
    assert not done.exists()


def test_of_two_requests_of_one_name_nobody_agrees_to_one_by_mistake(town: Town):
    bot = town.start()
    for n, name in enumerate(("docs-api", "gateway"), start=1):
        ask(bot, f'action run restart name={name} "x"', "alice")
        becomes(bot, "waiting", n)
    assert "ACT-1, ACT-2. Say which" in ask(bot, "action approve restart", "bob")["error"]
    # Behind the token that everybody shares, anybody can call themselves Alice.
    assert "says no to it" in ask(bot, "action undo ACT-1", name="alice@example.com")["error"]
    assert ask(bot, "action refuse ACT-1", "alice")["data"]["status"] == "refused"
    assert ask(bot, "action approve restart", "bob")["data"]["id"] == 2


def test_a_group_that_slack_does_not_know_keeps_nobody_from_agreeing_who_is_named(town: Town):
    town.config["permissions"]["roles"] = {"captains": {"usergroup": "S0GONE"}}
    approval = {"people": ["bob@example.com"], "by": "captains", "group": "S0GONEALSO"}
    town.config["actions"]["restart"]["approval"] = approval
    bot, bob, carol = town.start(), user(town, "bob"), user(town, "carol")
    ask(bot, 'action run restart "x"', "alice")
    becomes(bot, "waiting")
    town.slack.slash("#docs-api", carol, "/action", "approve ACT-1")
    until(lambda: town.whispers(carol))
    assert bot.ask("action show ACT-1")["data"]["status"] == "waiting"
    town.slack.slash("#docs-api", bob, "/action", "approve ACT-1")
    assert becomes(bot, "done")["approved_by"] == "bob"


def test_whoever_has_to_agree_reads_who_may_how_it_ends_and_until_when(town: Town):
    scale = {"kind": "deployment", "namespace": "prod", "name": "docs-api", "replicas": 4}
    approval = {"needed": True, "people": "bob@example.com"}
    more = {"service": "docs-api", "do": {"scale": scale}, "undo": "restore", "ttl": "20m", "approval": approval}
    town.config["actions"]["more"] = more
    bot = town.start()
    ask(bot, 'action run more "the queue grows"', "alice")
    becomes(bot, "waiting")
    shown = until(lambda: next((t for m in town.messages() if "second person until" in (t := town.shown(m))), None))
    for said in (
        "spec.replicas: 2 → 4",
        "alice@example.com",
        "the queue grows",
        "bob@example.com",
        "undone by itself 20",
    ):
        assert said in shown


def test_undone_by_hand_is_not_believed_while_it_may_run_still(town: Town, tmp_path):
    code = "import sys, threading; open(sys.argv[1], 'w'); threading.Event().wait(2)"
    deed = {"command": {"argv": [sys.executable, "-c", code, str(tmp_path / "begun")], "timeout": 4}}
    town.config["actions"]["slow"] = {
        "service": "docs-api", "do": deed, "undo": {"command": {"argv": ["true"]}}, "lasting": True,
    }  # fmt: skip
    bot = town.start()
    bot.ask('action run slow "x"')
    until((tmp_path / "begun").exists)
    bot.ask("action undo ACT-1")
    assert "may run still" in bot.ask("action undo ACT-1 --by-hand")["error"]
    becomes(bot, "off")


def test_two_who_agree_at_once_through_two_replicas_are_one_approval(town: Town, postgres):
    town.config["permissions"]["tokens"]["eve@example.com"] = "eve-token"
    town.config["actions"]["restart"]["approval"] = {"people": ["bob@example.com", "eve@example.com"]}
    town.config["captain"] |= {"database": postgres.url, "lease": 2}
    one, two = town.spawn(), town.spawn()
    ask(one, 'action run restart "x"', "alice")
    becomes(one, "waiting")
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(ask, bot, "action approve ACT-1", who) for bot, who in ((one, "bob"), (two, "eve"))]
        told = [one_.result() for one_ in asked]
    assert sorted("data" in answer for answer in told) == [False, True], told
    becomes(two, "done")
    deeds = [
        c for c in town.calls.calls if c.service == "kubernetes" and c.method == "PATCH" and "restartedAt" in c.body
    ]
    assert len(deeds) == 2, "a dry run and a deed"
    assert json.dumps(told).count("There is nothing to approve") == 1
