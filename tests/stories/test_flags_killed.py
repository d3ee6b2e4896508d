"""Kill -9 at any point of a flag's life: it goes off in time, and the cluster is as it was."""

from __future__ import annotations

import threading
import time

import pytest
from ground.nth import taken, the_nth_call
from ground.town import Town
from ground.waiting import until

SLACK = 10.0
"""Seconds after its end, or after there is a bot again, by which it must be off: two leases on a machine that is busy."""


@pytest.fixture
def town(town: Town) -> Town:
    town.has_a_flag()
    town.config["kubernetes"]["timeout"] = 1
    return town


@pytest.fixture
def shared(postgres, town: Town) -> Town:
    town.config["captain"] |= {"database": postgres.url, "lease": 2}
    return town


def off_in_time(town: Town, bot, until_s: float) -> None:
    left = max(time.time(), until_s) + SLACK - time.time()
    until(lambda: bot.ask("flag list")["data"] == [], timeout=left, message="it is not over")
    assert town.bypass() == "false"
    assert town.flags()["annotations"] == {}
    assert town.flags()["data"]["rate-limit"] == "100"


def on(bot, seconds: int) -> float:
    """Ask for it; the UNIX s at which it must go off."""
    return bot.ask(f"flag on gateway-bypass --for {seconds}s")["data"]["until"]


ON = [
    pytest.param(1, "hang", id="before it has looked", marks=pytest.mark.slow),
    pytest.param(2, "hang", id="before it looks again", marks=pytest.mark.slow),
    pytest.param(3, "hang", id="before it is switched on", marks=pytest.mark.slow),
    pytest.param(3, "late", id="after it was switched on and before anybody heard of it"),
]


@pytest.mark.parametrize(("call", "fault"), ON)
def test_killed_while_it_is_switched_on(town: Town, call, fault):
    bot = town.spawn()
    came = the_nth_call(town, call, fault)
    end = on(bot, 8)
    until(lambda: taken(town, came), every=0.002)
    if fault == "late":
        until(lambda: town.bypass() == "true")
    bot.kill()
    town.kubernetes.faults.mend()
    off_in_time(town, town.spawn(), end)


def test_killed_while_it_is_on(town: Town):
    bot = town.spawn()
    end = on(bot, 8)
    until(lambda: town.bypass() == "true")
    bot.kill()
    again = town.spawn()
    assert town.bypass() == "true" or time.time() > end
    off_in_time(town, again, end)


@pytest.mark.slow
def test_dead_at_its_end_it_goes_off_as_soon_as_there_is_a_bot_again(town: Town):
    bot = town.spawn()
    end = on(bot, 6)
    until(lambda: town.bypass() == "true")
    bot.kill()
    until(lambda: time.time() > end + 1)
    assert town.bypass() == "true", "nobody is there"
    off_in_time(town, town.spawn(), time.time())


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        pytest.param(1, "hang", id="before it looks", marks=pytest.mark.slow),
        pytest.param(2, "hang", id="before it acts", marks=pytest.mark.slow),
        pytest.param(2, "late", id="after it has acted and before anybody heard of it"),
    ],
)
def test_killed_while_it_is_switched_off(town: Town, call, fault):
    bot = town.spawn()
    on(bot, 600)
    until(lambda: bot.ask("flag list")["data"][0]["on_at"])
    came = the_nth_call(town, call, fault)
    bot.ask("flag off gateway-bypass")
    until(lambda: taken(town, came), every=0.002)
    bot.kill()
    town.kubernetes.faults.mend()
    off_in_time(town, town.spawn(), time.time())


@pytest.mark.slow
def test_killed_while_it_is_fenced(town: Town):
    """Switched off before it was on: two requests give the object a new version; a kill between them leaves no mark."""
    bot = town.spawn()
    hung = the_nth_call(town, 2, "hang")
    on(bot, 600)
    until(lambda: taken(town, hung), every=0.002)
    came = threading.Event()

    def hear(call) -> None:
        if call.method == "PATCH" and not came.is_set():
            town.kubernetes.faults.breaks("hang", times=1)
            came.set()

    town.calls.heard.append(hear)
    bot.ask("flag off gateway-bypass")
    until(lambda: taken(town, came), every=0.002)
    assert "over" in str(town.flags()["annotations"])
    bot.kill()
    town.kubernetes.faults.mend()
    off_in_time(town, town.spawn(), time.time())


# ---- replicas ----------------------------------------------------------------------------------------------------------


def test_what_a_dead_replica_switched_on_a_living_one_switches_off(shared: Town):
    doomed, heir = shared.spawn(), shared.spawn()
    end = on(doomed, 8)
    until(lambda: shared.bypass() == "true")
    doomed.kill()
    off_in_time(shared, heir, end)


def test_two_replicas_that_are_asked_at_once_switch_it_on_once(shared: Town):
    one, two = shared.spawn(), shared.spawn()
    told = [bot.ask("flag on gateway-bypass --for 30m") for bot in (one, two)]
    assert sum("data" in answer for answer in told) == 1
    assert "Nothing was changed" in told[1]["error"]
    until(lambda: two.ask("flag list")["data"][0]["on_at"])
    assert two.ask("flag off gateway-bypass")["data"]["off_by"] == "carol"
    off_in_time(shared, one, time.time())
    patches = [call for call in shared.calls.calls if call.service == "kubernetes" and call.method == "PATCH"]
    assert sum('"true"' in call.body and call.status == 200 for call in patches) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("call", "fault"), [(3, "hang"), (3, "late")])
def test_a_living_replica_takes_over_an_apply_of_a_dead_one(shared: Town, call, fault):
    doomed, heir = shared.spawn(), shared.spawn()
    came = the_nth_call(shared, call, fault)
    end = on(doomed, 12)
    until(lambda: taken(shared, came), every=0.002)
    doomed.kill()
    shared.kubernetes.faults.mend()
    until(lambda: heir.ask("flag list")["data"][0]["on_at"], timeout=9, message="nobody took it over")
    off_in_time(shared, heir, end)
