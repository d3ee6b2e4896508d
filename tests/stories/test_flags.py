"""Whatever is switched on is switched off again: killed, cut off, late, or changed by somebody else meanwhile."""

from __future__ import annotations

import pytest
from ground.town import Town
from ground.waiting import until


@pytest.fixture
def town(town: Town) -> Town:
    town.config["kubernetes"]["timeout"] = 0.5
    return town


def test_it_is_on_for_its_time_and_then_as_it_was(town: Town):
    bot = town.start()
    print(bot.ask("flag list"))
    print(bot.ask("flag on gateway-bypass --for 4s it burns"))
    until(lambda: town.bypass() == "true")
    print(bot.ask("flag list"))
    print(town.flags())
    until(lambda: town.bypass() == "false")
    until(lambda: town.flags()["annotations"] == {})
    print(bot.ask("flag list"))
    until(lambda: "is off since" in town.shown(town.messages()[0]))
    for m in town.messages():
        print(m["text"], town.shown(m))
    print(town.flags())
