"""A private incident fails closed: what it is about is read in its own channel and by its people, and nowhere else."""

from __future__ import annotations

import json
from urllib.parse import unquote_plus

import pytest
import requests
import sqlalchemy as sa
from ground.town import Bot, Town, channel, user
from ground.waiting import until

from handlers.incidents.table import INCIDENTS

CANARY = "zebra-credentials-leaked"
TOKEN, READER = "alices-own-token", "readers-own-token"
SECRET = "status-secret-of-32-characters-xx"
ASKED = (
    "incident list", "incident list --all", "incident show 1", "incident timeline 1", "incident export 1",
    "incident export 1 --format json", "incident postmortem 1", "incident ack 1", "incident note hello --of 1",
    "incident title other --of 1", "incident role lead me 1", "incident severity sev2 1", "incident resolve 1",
    "incident page 1", "incident escalate 1", "incident add-responder bob 1", "incident repair", "incident repair 1",
    "incident repair --all", "incident reconcile", "incident reconcile 1", "incident stats", "incident ticket 1",
    "incident keep 1", "incident service gateway 1", "incident environment staging 1", "incident mitigate 1",
    "incident close 1", "incident reopen 1", "why 1", "why docs-api", "why 10m", "why", "status",
)  # fmt: skip


@pytest.fixture
def town(town: Town) -> Town:
    emails = {one["name"]: one["email"] for one in town.slack.state()["users"]}
    town.config["captain"] |= {"status_secret": SECRET, "public_url": "https://captain.example.com"}
    town.config["permissions"] = {
        "roles": {"security": {"emails": ["reader@example.com"]}},
        "sees_private": "security",
        "tokens": {emails["alice"]: TOKEN, "reader@example.com": READER},
    }
    return town


def by_token(bot: Bot, token: str, line: str) -> dict:
    headers = {"authorization": f"Bearer {token}"}
    return requests.post(
        f"{bot.url}/api/command", json={"line": line, "as": "somebody"}, headers=headers, timeout=10
    ).json()


def opened(town: Town, bot: Bot, words: str = "incident open sev1 docs-api") -> str:
    """Alice opens it in Slack; the id of its channel."""
    town.slack.slash("#general", user(town, "alice"), "/captain", f"{words} {CANARY} --private")
    return until(lambda: by_token(bot, READER, "incident show 1").get("data", {}).get("room"), timeout=20)


def leaks(town: Town, *rooms: str, people: tuple[str, ...] = ("alice",)) -> list[str]:
    """Where the outside has read the canary beside its own channel and the answers to its people."""
    mine = {user(town, name) for name in people}
    world = town.slack.state()
    found = [
        f"a message in {m['channel']}: {m['text'][:80]}"
        for m in world["messages"]
        if CANARY in json.dumps(m) and m["channel"] not in rooms and m.get("ephemeral_to") not in mine
        and not _direct(world, m["channel"], mine)
    ]  # fmt: skip
    found += [f"the Home of {who}" for who, home in world["homes"].items() if CANARY in str(home) and who not in mine]
    found += [
        f"a channel's name or topic: {one}"
        for one in world["channels"]
        if CANARY in str(one) and one["id"] not in rooms
    ]
    for one in (town.pagerduty, town.jira, town.kubernetes, town.prometheus, town.alertmanager):
        if CANARY in json.dumps(one.state()):
            found.append(f"{one.name} holds it")
    for call in town.calls.calls:
        if call.service != "slack" and CANARY in unquote_plus(call.body):
            found.append(f"{call.service} was told: {call.method} {call.path}")
    return found


def _direct(world: dict, where: str, mine: set[str]) -> bool:
    """Whether a channel is the direct messages of one of these people."""
    return any(one["id"] == where and one["name"] in mine for one in world["channels"])


def test_what_it_is_about_is_read_in_its_channel_and_by_its_people_alone(town: Town):
    bot = town.start()
    room = opened(town, bot)
    alice, bob = user(town, "alice"), user(town, "bob")
    until(lambda: any(CANARY in town.shown(m) for m in town.messages() if m["channel"] == room), timeout=20)
    until(lambda: town.pages())
    (page,) = town.pages()
    assert "private incident INC-1" in json.dumps(page), "whoever must be paged is paged"

    town.slack.slash(room, alice, "/captain", f"incident note {CANARY} again")
    until(lambda: sum(CANARY in json.dumps(m) for m in town.messages() if m["channel"] == room) >= 2)
    for line in ASKED:
        before = len(town.whispers(bob))
        town.slack.slash("#docs-api", bob, "/captain", line)
        if line != "incident stats":  # which the channel is told; nothing but numbers
            until(lambda before=before: len(town.whispers(bob)) > before, message=line)
            assert CANARY not in town.whispers(bob)[-1], line
        assert CANARY not in json.dumps(bot.ask(line)), f"{line}, with the token that all share"
    town.slack.open_home(bob)
    until(lambda: town.slack.state()["homes"].get(bob))
    link = bot.ask("status")["data"]["link"].split("/status", 1)[1]
    page_ = requests.get(f"{bot.url}/status{link}", timeout=10).text
    assert "INC-1" in page_
    assert "private incident" in page_
    assert CANARY not in page_
    shown = by_token(bot, READER, "incident show 1")["data"]
    assert (shown["status"], shown["severity"], shown["service"]) == ("triggered", "sev1", "docs-api"), (
        "no deed was done"
    )
    assert leaks(town, room) == []


def test_its_people_see_it_and_others_are_told_how_to_become_one(town: Town):
    bot = town.start()
    room = opened(town, bot)
    alice, bob = user(town, "alice"), user(town, "bob")
    town.slack.slash("#docs-api", alice, "/captain", "incident show 1")
    until(lambda: CANARY in "".join(town.whispers(alice)[-1:]))
    town.slack.slash("#docs-api", bob, "/captain", "incident show 1")
    until(lambda: "INC-1 is private, and you are not part of it" in "".join(town.whispers(bob)[-1:]))
    assert "proves nobody's name" in bot.ask("incident show 1")["error"]
    assert by_token(bot, READER, "incident show 1")["data"]["title"] == CANARY, "a role of permissions.sees_private"
    assert "not part of it" in by_token(bot, TOKEN, "incident show 1")["error"], "another door is another name"

    town.slack.slash(room, alice, "/captain", f"incident role lead <@{bob}|bob>")
    until(lambda: any("bob is lead now" in json.dumps(m) for m in town.messages() if m["channel"] == room))
    town.slack.slash("#docs-api", bob, "/captain", "incident show 1")
    until(lambda: CANARY in "".join(town.whispers(bob)[-1:]), message="a role makes one part of it")
    assert leaks(town, room, people=("alice", "bob")) == []


def test_whose_name_is_not_proven_cannot_open_one(town: Town):
    bot = town.start()
    assert "proves nobody's name" in bot.ask(f"incident open sev1 docs-api {CANARY} --private")["error"]
    assert bot.ask("incident list --all")["data"] == []


def test_killed_at_any_point_it_is_said_nowhere_else(town: Town):
    bot = town.spawn()
    town.slack.slash("#general", user(town, "alice"), "/captain", f"incident open sev1 docs-api {CANARY} --private")
    until(lambda: by_token(bot, READER, "incident show 1").get("data"), every=0.005)
    bot.kill()
    again = town.spawn()
    room = until(lambda: by_token(again, READER, "incident show 1")["data"]["room"], timeout=30)
    until(lambda: any(CANARY in town.shown(m) for m in town.messages() if m["channel"] == room), timeout=30)
    until(lambda: len(town.pages()) == 1, timeout=20)
    assert len([one for one in town.slack.state()["channels"] if one["id"] == room or "inc-1" in one["name"]]) == 1
    assert leaks(town, room) == []
    for log in town.folder.glob("bot-*.log"):
        assert CANARY not in log.read_text(), "the log is read by more than its people"


def test_a_channel_that_slack_refuses_is_told_to_who_declared_it_alone(town: Town):
    town.slack.world.scopes -= {"groups:write"}
    bot = town.start()
    alice = user(town, "alice")
    town.slack.slash("#general", alice, "/captain", f"incident open sev1 docs-api {CANARY} --private")
    until(lambda: town.pages(), message="whoever must be paged is paged")

    def told() -> list[dict]:
        world = town.slack.state()
        return [
            m for m in world["messages"] if "could not be made" in m["text"] and _direct(world, m["channel"], {alice})
        ]

    (message,) = until(told, timeout=20)
    assert "groups:write" in message["text"], "it says what to do"
    assert leaks(town) == []
    listed = bot.ask("incident repair")["text"]
    assert "INC-1" in listed
    assert "groups:write" not in listed, "the reason is for its people"
    town.slack.world.scopes |= {"groups:write"}
    town.slack.slash("#general", alice, "/captain", "incident repair 1")
    room = until(lambda: by_token(bot, READER, "incident show 1")["data"]["room"], timeout=30)
    until(lambda: any(CANARY in town.shown(m) for m in town.messages() if m["channel"] == room), timeout=30)
    assert leaks(town, room) == []


def test_when_its_channel_is_gone_who_declared_it_hears_of_it_and_makes_another(town: Town):
    bot = town.start()
    room, alice = opened(town, bot), user(town, "alice")
    until(lambda: any(CANARY in town.shown(m) for m in town.messages() if m["channel"] == room), timeout=20)
    town.slack.world.channels[room].is_archived = True
    by_token(bot, READER, f"incident note {CANARY} once more --of 1")

    def told() -> bool:
        world = town.slack.state()
        return any(
            "can no longer be used" in m["text"] and _direct(world, m["channel"], {alice}) for m in world["messages"]
        )

    until(told, timeout=20)
    town.slack.slash("#general", alice, "/captain", "incident channel 1")
    another = until(lambda: by_token(bot, READER, "incident show 1")["data"]["room"], timeout=20)
    assert another != room
    until(lambda: any(CANARY in town.shown(m) for m in town.messages() if m["channel"] == another), timeout=20)
    assert leaks(town, room, another) == []


def test_a_channel_that_cannot_be_made_leaves_it_unsaid_and_paged(town: Town):
    town.slack.faults.breaks("500", only="conversations.create")
    bot = town.start()
    town.slack.slash("#general", user(town, "alice"), "/captain", f"incident open sev1 docs-api {CANARY} --private")
    until(lambda: town.pages(), message="whoever must be paged is paged, without Slack too")
    until(lambda: any("INC-1" in text for text in town.whispers(user(town, "alice"))))
    assert channel(town, "docs-api") not in {m["channel"] for m in town.messages() if "INC-1" in json.dumps(m)}
    assert leaks(town) == []
    town.slack.faults.mend()
    room = until(lambda: by_token(bot, READER, "incident show 1")["data"]["room"], timeout=30)
    until(lambda: any(CANARY in town.shown(m) for m in town.messages() if m["channel"] == room), timeout=30)
    assert leaks(town, room) == []


def test_who_somebody_is_is_asked_before_the_database_is_held(town: Town):
    """A Slack that answers slowly would hold a connection for each person that looks."""
    bot = town.start()
    bot.ask("incident open sev2 docs-api p95 up")
    with bot.captain.store.write() as c:
        c.execute(sa.update(INCIDENTS()).values(private=True))
    until(lambda: bot.captain.engine.owed() == {})
    held: list[int] = []
    pool = bot.captain.store.engine.pool
    town.calls.heard.append(lambda call: held.append(pool.checkedout()) if "users.info" in call.path else None)
    for name in ("alice", "bob", "carol"):
        asked = len(held)
        town.slack.open_home(user(town, name))
        until(lambda asked=asked: len(held) > asked, message=f"{name} was not asked about")
    assert min(held) == 0, "none was held by what asks"
