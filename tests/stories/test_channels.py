"""An incident's own channel: made once, filled with whom and what it needs, and gone without when Slack says no."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from ground.town import Bot, Town, user
from ground.waiting import until

from bot.effects import EFFECTS
from bot.integrations.pagerduty.fake import API_TOKEN
from bot.integrations.slack.fake_world import Channel


@pytest.fixture
def roomy(town: Town) -> Town:
    """A town whose sev1 incidents get a channel, and whose bot may ask PagerDuty."""
    town.config["incidents"]["channel_for"] = ["sev1"]
    town.config["pagerduty"] |= {"api_token": API_TOKEN, "from_email": "bob@example.com"}
    return town


def rooms(town: Town) -> list[Channel]:
    """The channels of incidents, oldest first."""
    return [one for one in town.slack.world.channels.values() if one.name.startswith("inc-")]


def room(town: Town, bot: Bot, number: int = 1) -> Channel:
    """The incident's channel, once the bot has written it down and its panel stands there."""
    known = until(
        lambda: bot.ask(f"incident show INC-{number}").get("data", {}).get("room"),
        message="no channel was written down",
    )
    made = town.slack.world.channels[known]
    until(lambda: made.pins, message="no panel was pinned")
    return made


def said(town: Town, channel: str) -> list[str]:
    """What stands in a channel, outside of threads."""
    return [m["text"] for m in town.messages() if m["channel"] == channel and not m.get("thread_ts")]


def root(town: Town) -> dict[str, Any]:
    """The root message in the service's channel."""
    return until(lambda: [m for m in town.roots() if m["channel"] in home(town)])[0]


def home(town: Town) -> list[str]:
    """The channels that are nobody's own."""
    return [one.id for one in town.slack.world.channels.values() if not one.name.startswith("inc-")]


def panel(town: Town, made: Channel) -> str:
    """What the pinned panel shows."""
    message = next(m for m in town.messages() if m["channel"] == made.id and m["ts"] == made.pins[0])
    return town.shown(message)


def calls(town: Town, method: str) -> int:
    return sum(call.path.endswith(method) for call in list(town.calls.calls))


def test_a_sev1_gets_a_channel_with_its_people_its_panel_and_its_links(roomy: Town):
    roomy.pagerduty.set_rotation(1, [("bob", 0, 2e9)])
    bot = roomy.start()
    roomy.slack.slash("docs-api", user(roomy, "alice"), "/incident", 'open sev1 docs-api "Docs API: p95 up!"')
    made = room(roomy, bot)
    assert made.name == "inc-1-docs-api-docs-api-p95-up"
    assert not made.is_private
    until(lambda: user(roomy, "bob") in made.members, message="the on-call was not asked in")
    until(lambda: user(roomy, "alice") in made.members, message="who declared it was not asked in")
    until(lambda: made.topic == "INC-1 · sev1 · docs-api · Docs API: p95 up!")
    assert made.purpose.startswith("Incident INC-1, kept by Release Captain (")
    until(lambda: {"Thread"} <= {one["title"] for one in made.bookmarks})
    until(lambda: any(one["title"].startswith("Ticket OPS-") for one in made.bookmarks), message="no ticket above it")
    head = root(roomy)
    until(lambda: f"<#{made.id}>" in roomy.shown(root(roomy)), message="the root message does not lead there")
    until(lambda: any(f"Go on in <#{made.id}>" in text for text in roomy.thread(head)))
    assert f"its thread is in <#{head['channel']}>" in panel(roomy, made)
    assert calls(roomy, "/conversations.list") == 0, "the workspace is never listed"


def test_asking_who_is_on_call_for_a_channel_is_in_no_pages_way(roomy: Town):
    bot = roomy.start()
    bot.ask("incident open sev1 docs-api p95 up")
    room(roomy, bot)
    asked = sa.select(EFFECTS().c.lane).where(EFFECTS().c.kind == "room-oncall")

    def lane() -> str | None:
        with bot.captain.store.read() as c:
            return c.execute(asked).scalar()

    assert until(lane) != "pagerduty", "a REST API that is down would trip the lane of the pages"


def test_what_is_said_of_it_goes_to_its_channel_and_both_panels_stay_true(roomy: Town):
    bot = roomy.start()
    bot.ask("incident open sev1 docs-api p95 up")
    made = room(roomy, bot)
    bot.ask("incident ack INC-1", "dora")
    until(lambda: any("Acknowledged by dora" in text for text in said(roomy, made.id)))
    until(lambda: "acknowledged by dora" in panel(roomy, made))
    until(lambda: "acknowledged by dora" in roomy.shown(root(roomy)))
    bot.ask('incident title "p95 up in eu-west" --of INC-1')
    until(lambda: made.topic.endswith("p95 up in eu-west"))
    bot.ask("incident resolve INC-1 --anyway", "dora")
    bot.ask("incident close INC-1", "dora")
    until(lambda: any("Closed by dora" in text for text in said(roomy, made.id)), message="its channel was not told")
    assert not any("Closed" in text for text in roomy.thread(root(roomy)))
    until(lambda: any(file.name.startswith("postmortem-INC-1") for file in roomy.slack.world.files.values()))


def test_a_command_in_its_channel_means_that_incident(roomy: Town):
    bot, alice = roomy.start(), user(roomy, "alice")
    bot.ask("incident open sev1 docs-api p95 up")
    made = room(roomy, bot)
    bot.ask("incident open sev2 docs-api another")
    made.members.append(alice)
    roomy.slack.slash(made.id, alice, "/incident", "ack")
    until(lambda: bot.ask("incident show INC-1")["data"]["status"] == "acknowledged")
    assert bot.ask("incident show INC-2")["data"]["status"] == "triggered"


def test_roles_are_asked_in_and_one_who_cannot_come_keeps_nobody_out(roomy: Town):
    guest = roomy.slack.world.add_user("gast", email="gast@example.com")
    guest.is_guest = True
    bot = roomy.start()
    bot.ask("incident open sev1 docs-api p95 up")
    made = room(roomy, bot)
    bot.ask(f"incident role scribe <@{guest.id}> INC-1")
    bot.ask(f"incident role lead <@{user(roomy, 'bob')}> INC-1")
    until(lambda: user(roomy, "bob") in made.members, message="the lead was not asked in")
    until(lambda: any(f"I could not invite <@{guest.id}>" in text and "guest" in text for text in said(roomy, made.id)))
    assert guest.id not in made.members


def test_a_channel_is_made_when_somebody_asks_or_the_severity_rises(roomy: Town):
    bot = roomy.start()
    bot.ask("incident open sev3 docs-api first")
    bot.ask("incident open sev3 gateway second")
    bot.ask("incident open sev1 gateway a test --test")
    until(lambda: len(roomy.roots()) == 3)
    assert rooms(roomy) == []
    assert "gets its channel" in bot.ask("incident channel INC-1")["text"]
    room(roomy, bot, 1)
    assert "has its channel: <#" in bot.ask("incident channel INC-1")["text"]
    bot.ask("incident severity sev1 INC-2")
    room(roomy, bot, 2)
    assert sorted(one.name for one in rooms(roomy)) == ["inc-1-docs-api-first", "inc-2-gateway-second"]


def test_a_name_that_somebody_else_has_gets_another_ending(roomy: Town):
    roomy.slack.world.add_channel("inc-1-docs-api-p95-up")
    bot = roomy.start()
    bot.ask("incident open sev1 docs-api p95 up")
    assert room(roomy, bot).name == "inc-1-docs-api-p95-up-2"


@pytest.mark.parametrize("fault", ["reset", "late"])
def test_a_channel_whose_making_was_not_answered_is_found_and_not_made_twice(roomy: Town, fault: str):
    bot = roomy.start()
    roomy.slack.faults.breaks(fault, times=1, only="conversations.create", delay=3.0)
    bot.ask("incident open sev1 docs-api p95 up")
    made = until(lambda: bot.ask("incident show INC-1")["data"]["room"], timeout=20)
    assert [one.id for one in rooms(roomy)] == [made]


def test_a_bot_killed_while_it_makes_the_channel_makes_one(roomy: Town):
    bot = roomy.spawn()
    roomy.slack.faults.breaks("late", times=1, only="conversations.create", delay=1.9)
    bot.ask("incident open sev1 docs-api p95 up")
    until(lambda: rooms(roomy), message="no channel was made")
    bot.kill()
    again = roomy.spawn()
    made = until(lambda: again.ask("incident show INC-1")["data"]["room"], timeout=30)
    assert [one.id for one in rooms(roomy)] == [made]


def test_without_the_right_to_make_channels_the_thread_goes_on_and_says_what_is_missing(roomy: Town):
    roomy.slack.world.scopes -= {"channels:manage"}
    bot = roomy.start()
    bot.ask("incident open sev1 docs-api p95 up")
    until(lambda: "lacks the scope channels:manage" in roomy.shown(root(roomy)) if roomy.roots() else False)
    bot.ask("incident ack INC-1", "dora")
    until(lambda: any("Acknowledged by dora" in text for text in roomy.thread(root(roomy))))
    assert "channels:manage" in bot.ask("incident show INC-1")["text"], "the command line says it, too"
    roomy.slack.world.scopes |= {"channels:manage"}
    bot.ask("incident repair INC-1")
    room(roomy, bot)


def test_where_admins_keep_apps_from_making_channels_it_says_so(roomy: Town):
    roomy.slack.world.makes_channels = False
    bot = roomy.start()
    bot.ask("incident open sev1 docs-api p95 up")
    until(lambda: "Ask an admin" in roomy.shown(root(roomy)) if roomy.roots() else False)
    assert roomy.pages(), "who must be paged is paged whatever becomes of the channel"


@pytest.mark.parametrize("how", ["archived", "put out", "deleted"])
def test_a_channel_that_is_gone_is_said_once_in_the_thread_which_goes_on(roomy: Town, how: str):
    bot = roomy.start()
    bot.ask("incident open sev1 docs-api p95 up")
    made = room(roomy, bot)
    until(lambda: made.topic and made.bookmarks)
    if how == "archived":
        made.is_archived = True
    elif how == "put out":
        made.members.remove(roomy.slack.world.bot_user)
    else:
        del roomy.slack.world.channels[made.id], roomy.slack.world.messages[made.id]
    bot.ask("incident ack INC-1", "dora")
    head = root(roomy)
    until(lambda: any("Acknowledged by dora" in text for text in roomy.thread(head)), message="nobody reads of it")
    until(lambda: any("can no longer be used" in text for text in roomy.thread(head)))
    until(lambda: f"<#{made.id}>" not in roomy.shown(root(roomy)), message="the panel still leads there")
    bot.ask("incident mitigate INC-1", "dora")
    until(lambda: any("Mitigated by dora" in text for text in roomy.thread(head)))
    assert sum("can no longer be used" in text for text in roomy.thread(head)) == 1
    bot.ask("incident channel INC-1")
    until(lambda: bot.ask("incident show INC-1")["data"]["room"], message="no new channel")


def test_bookmarks_that_slack_forbids_are_said_and_the_channel_works(roomy: Town):
    roomy.slack.world.scopes -= {"bookmarks:write"}
    bot = roomy.start()
    bot.ask("incident open sev1 docs-api p95 up")
    made = room(roomy, bot)
    until(lambda: "bookmarks:write" in panel(roomy, made), message="the panel does not say what is missing")
    bot.ask("incident ack INC-1", "dora")
    until(lambda: any("Acknowledged by dora" in text for text in said(roomy, made.id)))
