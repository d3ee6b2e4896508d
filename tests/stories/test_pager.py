"""PagerDuty both ways: who is on call, the next level, more responders, notes, and what people do on their phones."""

from __future__ import annotations

import time

import pytest
from ground.town import Town, user
from ground.waiting import until

from bot.integrations.pagerduty.fake import API_TOKEN

HOUR = 3600.0


@pytest.fixture
def paged(town: Town) -> Town:
    """A town whose bot may ask PagerDuty."""
    town.config["pagerduty"] |= {"api_token": API_TOKEN, "from_email": "bob@example.com"}
    return town


# Who is on call.


def test_oncall_says_who_is_on_call_now_and_who_is_next(paged: Town):
    now = time.time()
    handover = now + 5 * HOUR
    paged.pagerduty.set_rotation(
        1,
        [
            ("alice", now - HOUR, handover),
            ("bob", handover, handover + 12 * HOUR),
            ("alice", handover + 12 * HOUR, 2e9),
        ],
    )
    told = paged.start().ask("oncall docs-api")
    (answer,) = told["data"]
    first, second = answer["levels"]
    assert [one["name"] for one in first["now"]] == ["Alice Adams"]
    assert first["now"][0]["until"] == pytest.approx(handover, abs=1)
    assert [one["name"] for one in first["next"]] == ["Bob Brown"]
    assert [one["name"] for one in second["now"]] == ["Bob Brown", "Carol Cho"]
    assert second["next"] == []
    assert "level 1: Alice Adams until " in told["text"]
    assert "next Bob Brown from " in told["text"]


def test_oncall_alone_says_it_of_every_service(paged: Town):
    paged.config["services"]["batch"] = {"channel": "#general"}
    told = paged.start().ask("oncall")
    assert [one["service"] for one in told["data"]] == ["batch", "docs-api", "gateway"]
    assert "services.batch.pagerduty is not set" in told["data"][0]["missing"]
    assert told["data"][2]["levels"][0]["now"][0]["name"] == "Alice Adams"


def test_in_slack_the_answer_follows_in_each_readers_own_time(paged: Town):
    now = time.time()
    paged.pagerduty.set_rotation(1, [("alice", now - HOUR, now + HOUR), ("carol", now + HOUR, now + 9 * HOUR)])
    paged.start()
    paged.pagerduty.faults.breaks("late", delay=1.0, times=1)
    alice = user(paged, "alice")
    assert paged.slack.slash("#docs-api", alice, "/oncall", "docs-api")["ok"]
    until(lambda: paged.whispers(alice))
    shown = next(m for m in paged.slack.state()["messages"] if m.get("ephemeral_to") == alice)
    assert "*Alice Adams* until <!date^" in paged.shown(shown)
    assert "next Carol Cho from <!date^" in paged.shown(shown)


def test_nobody_on_call_is_said_loudly(paged: Town):
    now = time.time()
    paged.pagerduty.set_rotation(1, [("bob", now + HOUR, now + 2 * HOUR)])
    paged.pagerduty.set_rotation(2, [])
    bot = paged.start()
    assert "level 1: ⚠ nobody now; next Bob Brown from " in bot.ask("oncall docs-api")["text"]
    paged.pagerduty.set_rotation(1, [])
    assert "a page would wake nobody" in bot.ask("oncall docs-api")["text"]


def test_a_key_that_is_no_services_own_is_told_with_the_setting_that_helps(paged: Town):
    paged.config["services"]["docs-api"]["pagerduty"] = "c" * 32
    assert "set services.docs-api.pagerduty_service" in paged.start().ask("oncall docs-api")["text"]


def test_the_id_that_the_operator_names_is_taken(paged: Town):
    service = next(i for i, name in paged.pagerduty.account.services.items() if name == "docs-api")
    paged.config["services"]["docs-api"] |= {"pagerduty": "c" * 32, "pagerduty_service": service}
    paged.config["services"]["gateway"]["pagerduty_service"] = "PGONE999"
    bot = paged.start()
    assert bot.ask("oncall docs-api")["data"][0]["policy"] == "Default"
    assert "PagerDuty knows no service PGONE999" in bot.ask("oncall gateway")["text"]


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (lambda town: town.config["pagerduty"].pop("api_token"), "set pagerduty.api_token"),
        (lambda town: town.config["pagerduty"].update(api_token="wrong"), "pagerduty.api_token"),
        (lambda town: town.pagerduty.faults.breaks("500"), "PagerDuty answered 500"),
        (lambda town: town.pagerduty.faults.breaks("429", retry_after=7), "slow down"),
        (lambda town: town.pagerduty.faults.breaks("hang"), "has not answered within"),
    ],
    ids=["no token", "wrong token", "500", "429", "hang"],
)
def test_who_asks_hears_why_it_cannot_be_told(paged: Town, breaks, said):
    paged.config["pagerduty"]["timeout"] = 0.5
    breaks(paged)
    told = paged.start().ask("oncall")
    assert said in told["error"]
    assert told["error"].startswith("I cannot tell who is on call")


def test_an_unknown_service_gets_the_nearest_name(paged: Town):
    assert "Did you mean 'docs-api'?" in paged.start().ask("oncall docs-ap")["error"]
