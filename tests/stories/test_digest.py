"""The digest: one line for each open incident, edited in place, found again after a kill, and never in anybody's way."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from ground.town import Bot, Town, channel, user
from ground.waiting import until

from bot.errors import ConfigError
from handlers.incidents.table import INCIDENTS

NEVER = {"acknowledge": 0, "update": 0, "close": 0}


@pytest.fixture
def told(town: Town) -> Town:
    """A town with a digest channel."""
    town.config["incidents"] |= {"digest": town.slack.channel_id("incidents"), "remind": NEVER}
    return town


def messages(town: Town, name: str = "incidents") -> list[dict[str, Any]]:
    return [m for m in town.messages() if m["channel"] == channel(town, name)]


def lines(town: Town, name: str = "incidents") -> list[str]:
    """The lines of the digest, as a reader sees them, oldest first."""
    return [town.shown(m) for m in messages(town, name)]


def effects(bot: Bot, kind: str, number: int = 1) -> list[dict[str, Any]]:
    return [one for one in bot.ask(f"incident show INC-{number}")["data"]["effects"] if one["kind"] == kind]


def settled(bot: Bot, number: int = 1) -> bool:
    """Whether nothing is owed to the digest any more."""
    owed = [*effects(bot, "digest", number), *effects(bot, "digest-edit", number)]
    return bool(owed) and all(one["state"] in ("done", "skipped", "gave_up") for one in owed)


def calls(town: Town, method: str, part: str) -> int:
    found = [c for c in list(town.calls.calls) if c.path.endswith(method)]
    return sum(part in c.body for c in found)


def opened(town: Town, bot: Bot, line: str = "incident open sev2 docs-api p95 up") -> int:
    """An incident whose line is up."""
    before = len(messages(town))
    number = bot.ask(line)["data"]["number"]
    until(lambda: len(messages(town)) == before + 1 and settled(bot, number), message="it has no line")
    return number


def test_one_line_follows_an_incident_from_its_opening_to_its_end_and_back(told: Town):
    bot, alice = told.start(), user(told, "alice")
    opened(told, bot)
    (first,) = messages(told)
    root = next(m for m in told.roots() if m["channel"] != first["channel"])
    assert f"/archives/{root['channel']}/p{root['ts'].replace('.', '')}|INC-1>" in lines(told)[0]
    assert "*sev2*" in lines(told)[0]
    assert "nobody has it yet" in lines(told)[0]
    bot.ask("incident ack INC-1", "dora")
    until(lambda: "acknowledged, dora has it" in lines(told)[0])
    bot.ask("incident severity sev1")
    bot.ask("incident title p99 up")
    bot.ask(f"incident role lead <@{alice}|alice>")
    until(lambda: "*sev1*" in lines(told)[0] and "p99 up" in lines(told)[0] and "alice leads" in lines(told)[0])
    bot.ask("incident mitigate INC-1", "dora")
    until(lambda: "mitigated <!date^" in lines(told)[0])
    bot.ask("incident resolve INC-1", "dora")
    until(lambda: "*Resolved* <!date^" in lines(told)[0] and "~*sev1*" in lines(told)[0])
    bot.ask("incident close INC-1")
    until(lambda: ", closed" in lines(told)[0])
    bot.ask("incident reopen INC-1")
    until(lambda: "triggered, alice leads" in lines(told)[0] and "~" not in lines(told)[0])
    assert [m["ts"] for m in messages(told)] == [first["ts"]], "a reopened incident keeps its line"


def test_changes_are_gathered_and_what_changes_nothing_is_not_sent(told: Town):
    told.config["incidents"]["panel_pause"] = 0.5
    told.config["services"]["docs-api"].pop("jira")  # a ticket asks Slack for the thread's address, too
    bot = told.start()
    opened(told, bot)
    ts = messages(told)[0]["ts"]
    for n in range(6):
        bot.ask(f"incident title p8{n} up")
    until(lambda: "p85 up" in lines(told)[0] and settled(bot))
    assert 1 <= calls(told, "chat.update", ts) <= 3
    before = calls(told, "chat.update", ts)
    bot.ask("incident environment staging")
    until(lambda: [one["state"] for one in effects(bot, "digest-edit")][-1] == "skipped")
    assert calls(told, "chat.update", ts) == before
    assert calls(told, "chat.getPermalink", "") == 1, "the link is asked for once"


def test_tests_private_incidents_and_other_severities_have_no_line(told: Town):
    told.config["incidents"]["digest_severities"] = ["sev1", "sev2"]
    bot = told.start()
    bot.ask("incident open sev1 docs-api only a try --test")
    bot.ask("incident open sev3 docs-api a ticket")
    opened(told, bot, "incident open sev2 docs-api it burns")
    threading.Event().wait(0.5)
    assert len(messages(told)) == 1
    bot.ask("incident severity sev2 INC-2")
    until(lambda: len(messages(told)) == 2, message="what became worse has no line")
    bot.ask("incident severity sev3 INC-2")
    until(lambda: "*sev3*" in lines(told)[1], message="a line that is there must stay true")


def test_what_becomes_private_loses_every_word_of_its_line(told: Town):
    bot = told.start()
    opened(told, bot, "incident open sev2 docs-api the merger leaks")
    alice = user(told, "alice")
    told.slack.slash("#docs-api", alice, "/captain", "incident role lead me")
    until(lambda: bot.ask("incident show 1")["data"]["roles"])
    with bot.captain.store.write() as c:
        c.execute(sa.update(INCIDENTS()).values(private=True))
    told.slack.slash("#docs-api", alice, "/captain", "incident update the board knows")
    answer = until(lambda: next((text for text in told.whispers(alice) if "your update" in text), None))
    assert "digest" not in answer
    assert "OPS" not in answer
    until(lambda: "private incident" in lines(told)[0])
    assert "merger" not in str(messages(told))
    assert "board" not in str(messages(told))
    assert "docs-api" not in str(messages(told))
    assert "board" not in str(told.tickets())


def test_what_is_over_before_it_could_be_posted_gets_no_line(told: Town):
    bot = told.start()
    told.slack.faults.breaks("500", only="chat.postMessage", times=3)
    bot.ask("incident open sev2 docs-api a blip")
    bot.ask("incident resolve INC-1")
    until(lambda: settled(bot), timeout=30)
    assert messages(told) == []
    bot.ask("incident reopen INC-1")
    until(lambda: len(messages(told)) == 1, timeout=20, message="and one that comes back does")


def test_another_channel_in_captain_yml_takes_the_new_ones_and_the_old_stay_true(told: Town):
    bot = told.start()
    opened(told, bot)
    bot.stop()
    told.bots.clear()
    told.config["incidents"]["digest"] = told.slack.add_channel("news")
    bot = told.start()
    bot.ask("incident open sev2 gateway slow")
    until(lambda: len(messages(told, "news")) == 1)
    bot.ask("incident ack INC-1", "dora")
    until(lambda: "dora has it" in lines(told)[0])
    bot.stop()
    told.bots.clear()
    told.config["incidents"].pop("digest")
    bot = told.start()
    bot.ask("incident resolve INC-1", "dora")
    until(lambda: "*Resolved*" in lines(told)[0], message="switched off, a line that is up must not lie")


def test_incidents_that_were_open_before_there_was_a_digest_get_their_line(told: Town):
    digest = told.config["incidents"].pop("digest")
    bot = told.start()
    bot.ask("incident open sev2 docs-api p95 up")
    bot.ask("incident open sev2 docs-api only a try --test")
    bot.ask("incident open sev2 gateway over")
    bot.ask("incident resolve INC-3")
    bot.stop()
    told.bots.clear()
    told.config["incidents"]["digest"] = digest
    bot = told.start()
    for _ in range(2):
        bot.captain.engine.ticked("digest", datetime.now(UTC))
        until(lambda: len(messages(told)) == 1 and settled(bot))
    assert "INC-1" in lines(told)[0]


def test_a_digest_that_is_no_channel_stops_the_start(told: Town):
    told.config["incidents"]["digest"] = "incidents"
    with pytest.raises(ConfigError, match="must be a channel id"):
        told.start()


# ---- when Slack fails --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["429", "500", "reset", "late"])
@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
def test_whatever_slack_does_there_is_one_line_and_it_is_true(told: Town, fault: str, method: str):
    bot = told.start()
    more = {"retry_after": 1} if fault == "429" else {"delay": 3.0} if fault == "late" else {}
    bot.ask("incident open sev2 docs-api p95 up")
    # The thread's first message is no matter of this story.
    until(lambda: [m for m in told.roots() if m["channel"] != channel(told, "incidents")])
    told.slack.faults.breaks(fault, times=2, only=method, **more)
    bot.ask("incident ack INC-1", "dora")
    until(lambda: lines(told) and "dora has it" in lines(told)[-1] and settled(bot), timeout=30)
    assert len(messages(told)) == 1


def is_stuck(bot: Bot, words: str) -> None:
    bot.ask("incident open sev3 gateway another --test")  # of two it lists what is stuck, instead of repairing the one
    until(lambda: words in bot.ask("incident repair")["text"], message="`incident repair` does not say it")


def test_a_deleted_line_stays_away_until_it_is_repaired(told: Town):
    bot = told.start()
    opened(told, bot)
    (line,) = messages(told)
    with told.slack.world.changing():
        told.slack.world.drop(told.slack.world.message(line["channel"], line["ts"]))
    bot.ask("incident ack INC-1", "dora")
    is_stuck(bot, "somebody deleted it. Repair posts it anew")
    bot.ask("incident mitigate INC-1", "dora")
    threading.Event().wait(0.5)
    assert messages(told) == []
    assert len(effects(bot, "digest-edit")) == 1, "who deleted it is not asked again and again"
    assert "Trying again" in bot.ask("incident repair INC-1")["text"]
    until(lambda: messages(told) and "mitigated" in lines(told)[0])
    until(lambda: "Nothing is stuck" in bot.ask("incident repair")["text"])
    bot.ask("incident resolve INC-1", "dora")
    until(lambda: "*Resolved*" in lines(told)[0])
    assert len(messages(told)) == 1


@pytest.mark.parametrize("why", ["archived", "missing", "scope"])
def test_a_channel_that_takes_nothing_is_named_by_repair_and_holds_nothing_up(told: Town, why: str):
    digest = told.config["incidents"]["digest"]
    said = {"archived": "the channel is archived", "missing": "there is no such channel", "scope": "lacks the scope"}[
        why
    ]
    if why == "missing":
        told.config["incidents"]["digest"] = "C0NOSUCHONE"
    bot = told.start()
    if why == "archived":
        told.slack.world.channels[digest].is_archived = True
    bot.ask("incident open sev2 docs-api p95 up")
    root = until(told.roots)[0]
    if why == "scope":
        scopes = told.slack.scopes
        bot.ask("incident resolve INC-1")
        until(lambda: settled(bot))
        told.slack.scopes = scopes - {"chat:write", "chat:write.public"}
        bot.ask("incident open sev2 docs-api p95 up again")
    number = 2 if why == "scope" else 1
    is_stuck(bot, said)
    until(lambda: len(town_pages(told, number)) == number)
    if why == "scope":
        told.slack.scopes = scopes
        return
    assert "digest" not in bot.ask("incident update still slow --of 1")["text"], (
        "it says where it is read, and not where not"
    )
    bot.ask("incident ack INC-1", "dora")
    until(lambda: any("Acknowledged by dora" in text for text in told.thread(root)))
    if why == "archived":
        told.slack.world.channels[digest].is_archived = False

        def repaired() -> bool:
            bot.ask("incident repair INC-1")  # again, should the last try before the mending still have been under way
            return bool(messages(told)) and "dora has it" in lines(told)[0]

        until(repaired, every=0.5)


def town_pages(town: Town, number: int) -> list[dict[str, Any]]:
    return until(lambda: town.pages()[:number] if len(town.pages()) >= number else None)


def test_a_line_of_unknown_fate_is_found_when_slack_lets_us_look_again(told: Town):
    told.config["services"]["docs-api"].pop("runbook")  # nothing else is posted in the meantime
    bot = told.start()
    scopes = told.slack.scopes
    bot.ask("incident open sev2 docs-api another --test")
    until(told.roots)
    told.slack.faults.breaks("late", delay=1.0, only="chat.getPermalink")  # time to break what follows
    bot.ask("incident open sev2 docs-api p95 up")
    until(lambda: len(told.roots()) == 2)
    told.slack.faults.breaks("late", delay=3.0, times=1, only="chat.postMessage")
    until(lambda: messages(told), message="the line was not posted")
    told.slack.scopes = scopes - {"channels:history"}
    until(lambda: effects(bot, "digest", 2)[-1]["state"] == "gave_up", timeout=20)
    assert "line in the digest: given up" in bot.ask("incident repair")["text"]
    told.slack.scopes = scopes
    bot.ask("incident ack INC-2", "dora")
    until(lambda: "dora has it" in lines(told)[0] and settled(bot, 2), timeout=20)
    assert len(messages(told)) == 1


def test_when_captain_yml_names_a_better_channel_repair_posts_there(told: Town):
    digest = told.config["incidents"]["digest"]
    told.config["incidents"]["digest"] = "C0NOSUCHONE"
    bot = told.start()
    bot.ask("incident open sev2 docs-api p95 up")
    is_stuck(bot, "there is no such channel")
    bot.stop()
    told.bots.clear()
    told.config["incidents"]["digest"] = digest
    bot = told.start()
    bot.ask("incident repair INC-1")
    until(lambda: len(messages(told)) == 1 and settled(bot))


def test_a_burst_of_incidents_is_paged_and_threaded_before_its_lines_are_posted(told: Town):
    told.config["slack"]["pace"] = 0.3
    bot = told.start()
    for n in range(8):
        bot.ask(f"incident open sev2 {'docs-api' if n % 2 else 'gateway'} burst {n}")
    here = channel(told, "incidents")
    until(lambda: len(town_pages(told, 8)) == 8, timeout=5)
    until(lambda: len([m for m in told.roots() if m["channel"] != here]) == 8, timeout=10)
    until(lambda: len(messages(told)) == 8, timeout=20)
    stamps = [float(m["ts"]) for m in messages(told)]
    assert stamps[-1] - stamps[0] > 7 * 0.3 * 0.9, "Slack takes one message a second"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
def test_killed_after_slack_acted_the_next_process_finds_the_line(told: Town, method: str):
    bot = told.spawn()
    bot.ask("incident open sev2 docs-api p95 up")
    until(lambda: [m for m in told.roots() if m["channel"] != channel(told, "incidents")])
    if method == "chat.update":
        until(lambda: messages(told) and settled(bot))
        told.slack.faults.breaks("late", delay=30, only=method)
        bot.ask("incident title p99 up")
        until(lambda: "p99 up" in lines(told)[0])
    else:
        told.slack.faults.breaks("late", delay=30, only=method)
        bot.ask("incident open sev2 gateway slow")
        until(lambda: any("slow" in m["text"] for m in told.roots()))
    bot.kill()
    told.slack.faults.mend()
    bot = told.spawn()
    bot.ask("incident ack INC-1", "dora")
    until(lambda: "dora has it" in str(lines(told)) and settled(bot), timeout=30)
    number = 2 if method == "chat.postMessage" else 1
    until(lambda: settled(bot, number) and len(messages(told)) == number, timeout=30)
    assert len(messages(told)) == number, "a line was posted twice"


@pytest.mark.slow
def test_killed_while_the_line_is_posted_and_changed_meanwhile_there_is_one_and_it_is_true(told: Town):
    """The post has acted, its answer never came, and the incident moves on before anybody looks."""
    bot = told.spawn()
    told.slack.faults.breaks("late", delay=60, only="chat.postMessage")
    bot.ask("incident open sev2 docs-api p95 up")
    root = until(lambda: [m for m in told.roots() if m["channel"] != channel(told, "incidents")])
    assert root
    bot.kill()
    told.slack.faults.mend()
    bot = told.spawn()
    until(lambda: effects(bot, "root")[-1]["state"] == "done", timeout=30)
    until(lambda: len(messages(told)) == 1, timeout=30)
    bot.kill()
    bot = told.spawn()
    bot.ask("incident resolve INC-1", "dora")
    until(lambda: "*Resolved*" in lines(told)[0] and settled(bot), timeout=30)
    assert len(messages(told)) == 1


def test_two_replicas_keep_one_line(postgres, told: Town):
    told.config["captain"]["database"] = postgres.url
    one, two = told.spawn(), told.spawn()
    one.ask("incident open sev2 docs-api p95 up")
    until(lambda: len(messages(told)) == 1, timeout=20)
    for n in range(10):
        (one if n % 2 else two).ask(f"incident title p9{n} up")
    two.ask("incident ack INC-1", "dora")
    until(lambda: "p99 up" in lines(told)[0] and "dora has it" in lines(told)[0], timeout=20)
    one.ask("incident resolve INC-1", "dora")
    until(lambda: "*Resolved*" in lines(told)[0], timeout=20)
    assert len(messages(told)) == 1
