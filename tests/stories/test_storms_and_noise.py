"""Storms, noise control and flapping meet: whoever must be paged is paged, whatever keeps whom quiet."""

from __future__ import annotations

import sqlalchemy as sa
from ground.town import Bot, Town
from ground.waiting import until
from stories.test_noise import alert, ended, look, told
from stories.test_noise import send as deliver
from stories.test_noise import times as again
from stories.test_storms import NEVER, of_slo, one, rows, send, storm


def called(town: Town, service: str) -> int:
    """How many pages call a service's on-call."""
    return [page["service"] for page in town.pages()].count(service)


def quiet_for_long(bot: Bot) -> None:
    with bot.captain.store.write() as c:
        c.execute(sa.text("update flaps set last_at = last_at - 700"))


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


def test_what_flapped_and_pages_for_others_in_a_storm_does_not_end_before_them(town: Town):
    town.config["incidents"] |= {"storm": {"keys": 3, "within": 60}, "remind": NEVER, "reopen_within": 0}
    town.config["noise"] = {"flap": {"changes": 4, "quiet": 600}}
    bot = town.start()
    lead = alert("gateway", slo="pay")
    for n in range(2):
        deliver(bot, again(lead, n))
        deliver(bot, ended(again(lead, n)))
    flaps = lasting(bot, "pay")
    send(bot, [one("a"), one("b"), one("pay-2", "gateway")])
    assert of_slo(bot, "pay-2").umbrella == storm(bot).number
    quiet_for_long(bot)
    look(bot)
    assert rows(bot)[flaps].open_key, "what is folded in has no page but its"
    send(bot, [one("pay-2", "gateway", over=True)])
    look(bot)
    assert rows(bot)[flaps].status == "resolved"


def lasting(bot: Bot, slo: str) -> int:
    return next(row.number for row in rows(bot).values() if f'"slo": "{slo}"' in row.about and row.open_key)


def test_what_flapped_and_ended_for_want_of_data_is_left_to_a_person(town: Town):
    town.config["noise"] = {"flap": {"changes": 4, "quiet": 600}}
    bot = town.start()
    lead = alert()
    for n in range(2):
        deliver(bot, again(lead, n))
        deliver(bot, ended(again(lead, n)))
    deliver(bot, again(lead, 2))
    gone = ended(again(lead, 2)) | {"annotations": {"grafana_state_reason": "MissingSeries"}}
    deliver(bot, gone)
    assert "stays open until somebody resolves it" in told(bot, gone)["verdict"]
    quiet_for_long(bot)
    look(bot)
    assert rows(bot)[1].open_key, "nobody knows that it is over"


def test_a_silence_holds_what_has_no_label_for_its_environment(town: Town):
    bot = town.start()
    first = alert()
    del first["labels"]["env"]
    deliver(bot, first)
    bot.ask("incident silence 2h INC-1")
    deliver(bot, ended(first))
    later = again(first, 5)
    deliver(bot, later)
    assert told(bot, later)["held"] == "silence"
