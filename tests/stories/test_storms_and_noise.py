"""Storms, noise control and flapping meet: whoever must be paged is paged, whatever keeps whom quiet."""

from __future__ import annotations

from ground.town import Town
from ground.waiting import until
from stories.test_storms import NEVER, one, rows, send


def called(town: Town, service: str) -> int:
    """How many pages call a service's on-call."""
    return [page["service"] for page in town.pages()].count(service)


def test_a_storm_that_began_with_a_parent_holds_no_child_when_the_parent_is_up_again(town: Town):
    town.config["incidents"] |= {"storm": {"keys": 3, "within": 60}, "remind": NEVER, "reopen_within": 0}
    town.config["services"]["docs-api"]["depends_on"] = ["gateway"]
    bot = town.start()
    burns = [one(f"g-{i}", "gateway", "critical") for i in range(4)]
    send(bot, burns)
    send(bot, [one(f"g-{i}", "gateway", "critical", over=True) for i in range(4)])
    assert [row.source for row in rows(bot).values() if row.open_key] == ["storm"]
    send(bot, [one("web")])
    until(lambda: called(town, "docs-api") == 1, message="nothing of the parent burns, and the child pages nobody")
