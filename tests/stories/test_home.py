"""The Home tab: what is mine, what is open, who is on call, what is owed; it opens at once, whoever is slow."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import sqlalchemy as sa
from ground.town import Bot, Town, user
from ground.waiting import until

from bot.integrations.pagerduty.fake import API_TOKEN
from handlers.incidents.table import INCIDENTS


@pytest.fixture
def paged(town: Town) -> Town:
    """A town whose bot may ask PagerDuty."""
    town.config["pagerduty"] |= {"api_token": API_TOKEN, "from_email": "bob@example.com"}
    town.config["incidents"]["remind"] = {"acknowledge": 0, "update": 0, "close": 0}
    return town


def tab(town: Town, name: str) -> dict[str, Any]:
    """The tab as it is shown to somebody now."""
    return until(lambda: town.slack.state()["homes"].get(user(town, name)), message="the tab was not drawn")


def shows(town: Town, name: str, text: str, *, timeout: float = 10.0) -> str:
    """The whole tab, once it has this in it."""
    until(lambda: text in str(tab(town, name)["blocks"]), timeout=timeout, message=f"{name} does not see {text!r}")
    return str(tab(town, name)["blocks"])


def opens(town: Town, name: str) -> None:
    assert town.slack.open_home(user(town, name))["ok"]


def offered(town: Town, name: str) -> list[tuple[str, str]]:
    """(command, argument) of every button."""
    blocks = tab(town, name)["blocks"]
    parts = [one for block in blocks for one in [*block.get("elements", ()), block.get("accessory") or {}]]
    return [(one["action_id"], one["value"]) for one in parts if one.get("type") == "button"]


def asked(town: Town) -> int:
    return sum(call.path.endswith("/oncalls") for call in list(town.calls.calls))


def say(town: Town, name: str, text: str) -> None:
    before = len(town.whispers(user(town, name)))
    assert town.slack.slash("#docs-api", user(town, name), "/incident", text)["ok"]
    until(lambda: len(town.whispers(user(town, name))) > before)


def test_it_shows_what_is_mine_and_why_and_what_else_is_open(paged: Town):
    bot = paged.start()
    say(paged, "alice", "open sev2 docs-api declared by alice")
    say(paged, "bob", "open sev2 gateway taken by alice")
    say(paged, "alice", "ack INC-2")
    say(paged, "bob", "open sev3 docs-api led by alice")
    say(paged, "bob", f"role lead <@{user(paged, 'alice')}|alice> INC-3")
    say(paged, "bob", "open sev2 gateway nothing to do with her")
    bot.ask('incident update "it is better" --of 2 --next 30m', "dora")
    opens(paged, "alice")
    seen = shows(paged, "alice", "nothing to do with her")
    mine, others = seen.split("*Also open*")
    for text in ("declared by alice", "_you declared it_", "_you have it_", "led by alice", "_you are lead_"):
        assert text in mine
    assert "nothing to do with her" not in mine
    assert "declared by alice" not in others
    assert "> it is better (dora, <!date^" in mine
    assert "*Next update by* <!date^" in mine
    assert ("incident resolve", "INC-2") in offered(paged, "alice")
    assert ("incident ack", "INC-2") not in offered(paged, "alice"), "she has it already"
    assert ("incident ack", "INC-4") in offered(paged, "alice")
    say(paged, "bob", "reopen INC-2")
    bot.ask("incident resolve INC-2 --anyway")
    opens(paged, "alice")
    until(lambda: "taken by alice" not in str(tab(paged, "alice")["blocks"]))


def test_with_nothing_open_it_says_so_and_what_to_do(paged: Town):
    paged.start()
    opens(paged, "carol")
    seen = shows(paged, "carol", "No incident is open")
    assert "incident open sev2 SERVICE what is wrong" in seen
    assert "Nothing is owed to PagerDuty, Slack or Jira" in seen
    assert ("incident open", "form") in offered(paged, "carol")


def test_what_is_pressed_is_done_and_the_tab_is_drawn_anew(paged: Town):
    bot, alice = paged.start(), user(paged, "alice")
    bot.ask("incident open sev2 docs-api p95 up")
    opens(paged, "alice")
    shows(paged, "alice", "nobody has it yet")
    assert paged.slack.press_view(tab(paged, "alice")["id"], "incident ack", alice)["ok"]
    shows(paged, "alice", "_you have it_")
    assert paged.slack.press_view(tab(paged, "alice")["id"], "incident update", alice)["ok"]
    form = until(lambda: paged.slack.state()["views"])[-1]
    assert form["title"]["text"] == "Update INC-1"
    filled = {"text": {"it": "the cache is warm"}, "next": {"it": "none"}}
    assert paged.slack.submit_view(form["id"], alice, filled)["ok"]
    shows(paged, "alice", "the cache is warm (alice")
    until(lambda: [m for m in paged.messages() if "your update is in" in m["text"]], message="she was not answered")


def test_of_what_is_private_it_says_that_there_is_one(paged: Town):
    bot = paged.start()
    bot.ask("incident open sev2 docs-api the merger leaks")
    bot.ask("incident update the board knows")
    with bot.captain.store.write() as c:
        c.execute(sa.update(INCIDENTS()).values(private=True))
    opens(paged, "alice")
    seen = shows(paged, "alice", "private incident")
    assert "merger" not in seen
    assert "board" not in seen


def test_it_offers_nothing_that_the_person_may_not_do(paged: Town):
    emails = {one["name"]: one["email"] for one in paged.slack.state()["users"]}
    paged.config["permissions"] = {
        "roles": {"captain": {"emails": [emails["alice"]]}}, "needs": {"incident": "captain"},
    }  # fmt: skip
    paged.jira.faults.breaks("500")
    bot = paged.start()
    say(paged, "alice", "open sev2 docs-api p95 up")
    until(paged.roots)
    with bot.captain.store.write() as c:
        c.execute(sa.text("update effects set created_at = created_at - 400 where kind = 'ticket'"))
    opens(paged, "bob")
    seen = shows(paged, "bob", "p95 up")
    assert "1 effect is stuck" in seen
    assert offered(paged, "bob") == []
    opens(paged, "alice")
    shows(paged, "alice", "p95 up")
    verbs = {command for command, _ in offered(paged, "alice")}
    assert {"incident ack", "incident resolve", "incident update", "incident open", "incident repair"} <= verbs


def test_what_is_owed_is_shown_with_its_age_and_repaired_by_a_press(paged: Town):
    paged.jira.faults.breaks("500")
    bot = paged.start()
    bot.ask("incident open sev2 docs-api p95 up")
    until(paged.roots)
    until(lambda: "retry" in paged.shown(paged.roots()[0]))
    with bot.captain.store.write() as c:
        c.execute(sa.text("update effects set created_at = created_at - 400 where kind = 'ticket'"))
    opens(paged, "bob")
    seen = shows(paged, "bob", "*Jira*: 1 not done, the oldest 6 min")
    assert "*INC-1* Jira: tried" in seen
    assert "owed for 6 min" in seen
    assert {("incident repair", "INC-1"), ("incident repair", "--all")} <= set(offered(paged, "bob"))
    paged.jira.faults.mend()
    assert paged.slack.press_view(tab(paged, "bob")["id"], "incident repair", user(paged, "bob"), value="INC-1")["ok"]
    until(paged.tickets, message="it was not tried again")

    def calm() -> bool:
        opens(paged, "bob")
        return "Nothing is owed" in str(tab(paged, "bob")["blocks"])

    until(calm, every=0.3)


def test_flags_that_are_on_are_shown(paged: Town):
    paged.has_a_flag()
    bot = paged.start()
    bot.ask("flag on gateway-bypass the sidecar is slow --for 10m")
    until(lambda: paged.bypass() == "true")
    opens(paged, "alice")
    assert "gateway-bypass" in shows(paged, "alice", "the sidecar is slow")


# ---- who is on call ----------------------------------------------------------------------------------------------------


def test_it_shows_who_is_on_call_for_every_service_and_asks_once_for_everybody(paged: Town):
    now = time.time()
    paged.pagerduty.set_rotation(1, [("alice", now - 60, now + 3600), ("bob", now + 3600, now + 7200)])
    paged.start()
    for name in ("alice", "bob", "carol"):
        opens(paged, name)
    for name in ("alice", "bob", "carol"):
        seen = shows(paged, name, "*On call now*, as PagerDuty said <!date^")
        assert "*docs-api*: Alice Adams until <!date^" in seen
        assert "*gateway*: Alice Adams" in seen
    assert asked(paged) <= 2, "each slot of a minute asks once"
    before = asked(paged)
    opens(paged, "alice")
    threading.Event().wait(0.5)
    assert asked(paged) == before, "what is a minute old is not asked again"


def test_with_two_replicas_pagerduty_is_asked_once_and_everybody_sees_it(postgres, paged: Town):
    paged.config["captain"]["database"] = postgres.url
    one, two = paged.spawn(), paged.spawn()
    for bot in (one, two):
        paged.slack.request_url = f"{bot.url}/slack/events"
        for name in ("alice", "bob"):
            opens(paged, name)
    one.ask("incident open sev2 docs-api p95 up")
    for name in ("alice", "bob"):
        assert "*docs-api*: Alice Adams" in shows(paged, name, "as PagerDuty said", timeout=20)
    assert asked(paged) <= 2, "each slot of a minute asks once"
    opens(paged, "carol")
    shows(paged, "carol", "p95 up")


@pytest.mark.parametrize("fault", ["hang", "500", "429", "reset", "late"])
def test_whatever_pagerduty_does_the_tab_opens_at_once(paged: Town, fault: str):
    bot = paged.start()
    bot.ask("incident open sev3 docs-api p95 up")
    more = {"delay": 3.0} if fault == "late" else {"retry_after": 60} if fault == "429" else {}
    paged.pagerduty.faults.breaks(fault, **more)
    began = time.monotonic()
    opens(paged, "alice")
    seen = shows(paged, "alice", "p95 up")
    assert time.monotonic() - began < 1.5
    assert "*On call now:* asking PagerDuty" in seen
    paged.pagerduty.faults.mend()


@pytest.mark.slow
def test_when_pagerduty_does_not_say_the_tab_says_why(paged: Town):
    paged.start()
    paged.pagerduty.faults.breaks("500")
    opens(paged, "alice")
    shows(paged, "alice", "*On call now:* not known. PagerDuty does not answer:", timeout=70)


def test_without_a_token_it_says_how_to_see_who_is_on_call(town: Town):
    town.start()
    opens(town, "alice")
    assert "Set pagerduty.api_token" in shows(town, "alice", "No incident is open")
    assert asked(town) == 0


@pytest.mark.slow
def test_killed_while_pagerduty_is_asked_the_next_process_draws_the_tab(paged: Town):
    bot = paged.spawn()
    paged.pagerduty.faults.breaks("hang", only="/oncalls")
    opens(paged, "alice")
    shows(paged, "alice", "asking PagerDuty")
    bot.kill()
    paged.pagerduty.faults.mend()
    paged.spawn()
    shows(paged, "alice", "as PagerDuty said", timeout=30)


def test_when_slack_does_not_take_the_tab_nobody_else_waits(paged: Town):
    bot: Bot = paged.start()
    paged.slack.faults.breaks("500", only="views.publish", times=1)
    opens(paged, "alice")
    bot.ask("incident open sev2 docs-api p95 up")
    until(paged.pages)
    opens(paged, "alice")
    shows(paged, "alice", "p95 up")
