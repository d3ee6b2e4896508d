"""What is stuck is listed with its reason, for every incident and beside them, and repaired by a word or a press."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import Any

import pytest
import sqlalchemy as sa
from ground.town import Bot, Town, user
from ground.waiting import until

from bot.effects import EFFECTS, Effect, Outcome, Performer, Task
from bot.errors import Retry


def effects(bot: Bot, kind: str, number: int = 1) -> list[dict[str, Any]]:
    return [e for e in bot.ask(f"incident show INC-{number}")["data"]["effects"] if e["kind"] == kind]


def states(bot: Bot, kind: str, number: int = 1) -> list[str]:
    return [e["state"] for e in effects(bot, kind, number)]


def expired(town: Town) -> str:
    """Jira's token has expired; returns the right one."""
    right, town.jira._door.token = town.jira._door.token, "another"
    return right


@pytest.fixture
def two(town: Town, alertmanager_body) -> tuple[Bot, str]:
    """Two incidents whose tickets were given up, and the token that mends it."""
    right = expired(town)
    bot = town.start()
    fire = alertmanager_body("firing-single")
    other = fire["alerts"][0] | {"fingerprint": "ff", "labels": fire["alerts"][0]["labels"] | {"service": "gateway"}}
    bot.alert(fire | {"alerts": [fire["alerts"][0], other]})
    for number in (1, 2):
        until(
            lambda n=number: bot.ask(f"incident show INC-{n}").get("data") and states(bot, "ticket", n) == ["gave_up"]
        )
    return bot, right


def test_without_naming_one_everything_that_is_stuck_is_listed(town: Town, two):
    bot, right = two
    told = bot.ask("incident repair")
    assert told["text"].startswith("2 effects are stuck.")
    assert "*INC-1* Jira: given up, owed for" in told["text"]
    assert "jira.api_token" in told["text"], "the reason says what to mend"
    assert {(one["about"], one["kind"], one["given_up"]) for one in told["data"]} == {
        (1, "ticket", True),
        (2, "ticket", True),
    }
    assert states(bot, "ticket") == ["gave_up"], "a list repairs nothing"

    town.jira._door.token = right
    alice = user(town, "alice")
    town.slack.slash("#general", alice, "/captain", "incident repair")
    until(lambda: any("2 effects are stuck" in text for text in town.whispers(alice)))
    (message,) = [m for m in town.slack.state()["messages"] if "2 effects are stuck" in m["text"]]
    assert town.slack.press(message["channel"], message["ts"], "incident repair", alice, block_id="stuck")["ok"]
    until(lambda: len(town.tickets()) == 2, message="repair all repaired not all")
    until(lambda: "Nothing is stuck" in bot.ask("incident repair --all")["text"])
    assert "Nothing is stuck" in bot.ask("incident repair")["text"]


def test_one_of_them_is_repaired_by_its_button(town: Town, two):
    bot, right = two
    town.jira._door.token = right
    root = until(
        lambda: next((m for m in town.roots() if "INC-1" in m["text"] and "incident repair" in town.shown(m)), None),
        message="the panel offers no repair",
    )
    assert town.slack.press(root["channel"], root["ts"], "incident repair", user(town, "bob"))["ok"]
    until(lambda: len(town.tickets()) == 1)
    until(lambda: "incident repair" not in next(town.shown(m) for m in town.roots() if "INC-1" in m["text"]))
    until(lambda: "incident repair" in "".join(town.shown(m) for m in town.roots() if "INC-2" in m["text"]))
    assert [
        (e["actor"], e["text"]) for e in bot.ask("incident show INC-1")["data"]["timeline"] if e["kind"] == "repair"
    ] == [("bob", "tries again: ticket")]


def test_the_home_tab_says_how_many_are_stuck(town: Town, two):
    carol = user(town, "carol")
    assert town.slack.open_home(carol)["ok"]
    home = str(until(lambda: town.slack.state()["homes"].get(carol)))
    assert "2 effects are stuck" in home
    assert "Repair all" in home


def test_both_an_incident_and_all_is_refused(town: Town):
    assert "not both" in town.start().ask("incident repair INC-1 --all")["error"]


def test_repair_does_not_wait_for_the_next_try(town: Town, alertmanager_body):
    bot = town.start()
    tries: list[int] = []

    def slow(task: Task) -> Outcome:
        tries.append(task.attempt)
        if task.attempt == 1:
            raise Retry("come back in an hour", after=3600)
        return Outcome()

    bot.captain.engine.perform([Performer("slow", slow)])
    bot.ask('incident open sev2 docs-api "p95 up"')
    with bot.captain.engine.transaction(time.time()) as tx:
        tx.owe(Effect("slow", "slow", "checks", 1))
    until(lambda: states(bot, "slow") == ["retrying"])
    assert bot.ask("incident repair --all")["text"].startswith("Nothing is stuck"), "it was tried for a moment only"
    until(lambda: "retrying" not in states(bot, "page") + states(bot, "ticket"))
    assert bot.ask("incident repair")["text"] == "Not waiting for the next try any longer for INC-1: slow."
    until(lambda: tries == [1, 2], message="it waits for its hour")


def older(bot: Bot, key: str, seconds: float) -> None:
    """Make an effect so much older."""
    t = EFFECTS()
    with bot.captain.store.write() as c:
        c.execute(t.update().where(t.c.key.like(f"%{key}")).values(created_at=t.c.created_at - seconds))


def test_what_is_tried_in_vain_for_long_is_stuck_too(town: Town, alertmanager_body):
    bot = town.start()
    town.jira.faults.breaks("503")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: bot.ask("incident show INC-1").get("data") and states(bot, "ticket") == ["retrying"])
    older(bot, ":ticket", 400)
    bot.ask("incident resolve INC-1 --anyway")  # none is open: no single incident is meant
    told = bot.ask("incident repair")
    assert "*INC-1* Jira: tried" in told["text"]
    assert "503" in told["text"]
    town.jira.faults.mend()
    bot.ask("incident repair --all")
    until(lambda: states(bot, "ticket") == ["done"])


def test_while_slack_is_down_the_command_line_says_what_is_stuck(town: Town, alertmanager_body):
    bot = town.start()
    town.slack.faults.breaks("500")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: bot.ask("incident show INC-1").get("data") and states(bot, "root") == ["retrying"])
    older(bot, ":root", 400)
    bot.ask("incident resolve INC-1 --anyway")
    assert "*INC-1* Slack message: tried" in bot.ask("incident repair")["text"]
    town.slack.faults.mend()
    bot.ask("incident repair --all")
    until(town.roots, message="the thread never came")


def test_what_is_stuck_beside_the_incidents_is_listed_and_repaired_with_all(town: Town):
    bot = town.start()
    with bot.captain.engine.transaction(time.time()) as tx:
        tx.owe(Effect("beside:1", "unheard-of", "checks"))
        tx.owe(Effect("reply:old", "gone", "replies"))
    until(lambda: len(bot.ask("incident repair")["data"]) == 2)
    older(bot, "reply:old", 3600)
    (one,) = bot.ask("incident repair")["data"]
    assert (one["key"], one["about"]) == ("beside:1", None), "an answer nobody can be given any more is not stuck"
    assert "*beside the incidents* unheard-of: given up" in bot.ask("incident repair")["text"]
    assert "Trying again: 1." in bot.ask("incident repair --all")["text"]
    t = EFFECTS()

    def attempts() -> int:
        with bot.captain.store.read() as c:
            return c.execute(sa.select(t.c.attempt).where(t.c.key == "beside:1")).scalar_one()

    until(lambda: attempts() == 2)


def test_what_a_later_success_has_made_good_is_not_stuck(town: Town, alertmanager_body):
    town.config["services"]["docs-api"]["pagerduty"] = "c" * 32  # PagerDuty knows no such key
    bot = town.start()
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: bot.ask("incident show INC-1").get("data") and states(bot, "page") == ["gave_up"])
    bot.ask("incident repair INC-1")
    until(lambda: effects(bot, "page")[0]["attempt"] == 2)
    bot.ask("incident resolve INC-1 --anyway")
    until(lambda: states(bot, "page-resolve") == ["gave_up"])
    assert [one["kind"] for one in bot.ask("incident repair")["data"]] == ["page-resolve"], "no page for what is over"


def test_a_root_message_that_was_deleted_is_posted_anew_when_somebody_says_so(town: Town, alertmanager_body):
    bot = town.start()
    bot.alert(alertmanager_body("firing-single"))
    root = until(town.roots)[0]
    until(lambda: "Jira ✔" in town.shown(town.roots()[0]) and "Checks of docs-api" in str(town.thread(root)))
    world = town.slack.world
    with world.changing():
        world.drop(world.message(root["channel"], root["ts"]))
    bot.ask("incident ack INC-1")
    until(lambda: "gave_up" in states(bot, "panel"), message="nobody noticed")
    assert town.roots() == [], "what somebody deleted does not come back by itself"
    until(lambda: set(states(bot, "panel")) & {"owed", "retrying"} == set())
    assert "panel" in bot.ask("incident repair INC-1")["text"]
    until(lambda: len(town.roots()) == 1, message="the thread never came back")
    until(
        lambda: any("Acknowledged by carol" in text for text in town.thread(town.roots()[0])), message="a note is lost"
    )
    until(lambda: "acknowledged by carol" in town.shown(town.roots()[0]))
    bot.ask("incident resolve INC-1 --anyway")
    until(lambda: any("Resolved" in text for text in town.thread(town.roots()[0])), message="the new thread is silent")
    assert len(town.roots()) == 1
    assert [one["kind"] for one in bot.ask("incident repair")["data"] if one["kind"] in ("panel", "root")] == []


def test_checks_that_a_stop_cuts_short_are_made_by_the_next_process(town: Town, alertmanager_body):
    bot = town.start()
    town.kubernetes.faults.breaks("500")
    bot.alert(alertmanager_body("firing-single"))
    # The rollout is looked at again after two seconds: the stop comes in between.
    until(lambda: town.roots() and any(call.service == "kubernetes" for call in town.calls.calls))
    bot.stop()
    town.kubernetes.faults.mend()
    with contextlib.closing(sqlite3.connect(town.folder / "bot.db")) as c:
        assert c.execute("select state from effects where kind = 'checks'").fetchall() == [("retrying",)]
    again = town.start()
    until(lambda: "Checks of docs-api" in str(town.thread(town.roots()[0])), timeout=20)
    assert states(again, "checks") == ["done"]
