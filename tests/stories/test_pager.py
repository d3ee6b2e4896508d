"""PagerDuty both ways: who is on call, the next level, more responders, notes, and what people do on their phones."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from ground.town import PD_SECRET, Bot, Town, user
from ground.waiting import until

from bot.errors import ConfigError
from bot.grammar import Asker
from bot.inbox import INBOX
from bot.integrations.pagerduty.fake import API_TOKEN
from handlers.incidents import owing, table

HOUR = 3600.0


@pytest.fixture
def paged(town: Town) -> Town:
    """A town whose bot may ask PagerDuty."""
    town.config["pagerduty"] |= {"api_token": API_TOKEN, "from_email": "bob@example.com"}
    return town


def burn(town: Town, bot: Bot) -> dict[str, Any]:
    """An incident that has paged; its page as PagerDuty has it."""
    before = len(town.pages())
    bot.ask('incident open sev2 docs-api "p95 up"')
    until(lambda: len(town.pages()) > before and town.roots(), message="nobody was paged")
    return town.pages()[-1]


def page(town: Town) -> dict[str, Any]:
    return town.pages()[-1]


def said(town: Town, part: str, *, times: int = 1) -> str:
    """The one message in the newest thread that has this in it."""
    found = until(lambda: [t for t in town.thread(town.roots()[-1]) if part in t], message=f"nobody said: {part}")
    assert len(found) == times, found
    return found[0]


def count(town: Town, method: str, ending: str) -> int:
    """How often PagerDuty was asked for that."""
    return sum(call.method == method and call.path.endswith(ending) for call in list(town.calls.calls))


def logged(town: Town, kind: str) -> int:
    return sum(line["type"] == kind for line in page(town)["log"])


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


# The next level.


def test_escalate_calls_the_next_level_and_the_thread_says_whom(paged: Town):
    bot = paged.start()
    burn(paged, bot)
    bot.ask("incident ack")
    until(lambda: page(paged)["status"] == "acknowledged")
    assert "the next level" in bot.ask("incident escalate 1")["text"]
    until(lambda: page(paged)["assignees"] == ["bob@example.com", "carol@example.com"])
    assert "Called: Bob Brown, Carol Cho" in said(paged, "Escalated to level 2 by carol")
    until(lambda: bot.ask("incident show 1")["data"]["status"] == "triggered", message="nobody has to take it anew")
    kinds = [event["kind"] for event in bot.ask("incident show 1")["data"]["timeline"]]
    assert kinds.count("escalated") == 1
    bot.ask("incident ack 1")
    until(lambda: page(paged)["status"] == "acknowledged")
    assert page(paged)["assignees"] == ["bob@example.com", "carol@example.com"]


def test_from_slack_it_is_escalated_in_the_name_of_who_asks(paged: Town):
    bot = paged.start()
    burn(paged, bot)
    assert paged.slack.slash("#docs-api", user(paged, "alice"), "/incident", "escalate")["ok"]
    said(paged, "Escalated to level 2 by alice")
    assert next(e["by"] for e in page(paged)["log"] if e["type"] == "escalate_log_entry") == "alice@example.com"


def test_after_the_last_level_the_thread_says_what_else_can_be_done(paged: Town):
    bot = paged.start()
    burn(paged, bot)
    bot.ask("incident escalate")
    said(paged, "Escalated to level 2")
    bot.ask("incident escalate")
    assert "incident add-responder" in said(paged, "Not escalated: the policy has 2 levels")
    bot.ask("incident escalate --level 1")
    said(paged, "Escalated to level 1")
    assert page(paged)["assignees"] == ["alice@example.com"]


def test_two_who_escalate_in_the_same_moment_escalate_once(paged: Town):
    bot = paged.start()
    burn(paged, bot)
    paged.pagerduty.faults.breaks("500", times=1)
    bot.ask("incident escalate")
    assert "on its way already" in bot.ask("incident escalate")["text"]
    said(paged, "Escalated to level 2")
    assert logged(paged, "escalate_log_entry") == 1


@pytest.mark.parametrize(
    ("breaks", "said_"),
    [
        (lambda town, bot: bot.ask("incident resolve 1"), "nobody is called for it"),
        (lambda town, bot: None, "--level must be 1 or more"),
    ],
    ids=["resolved", "no level"],
)
def test_what_cannot_be_escalated_says_why(paged: Town, breaks, said_):
    bot = paged.start()
    burn(paged, bot)
    breaks(paged, bot)
    assert said_ in bot.ask("incident escalate 1 --level=-1" if "level" in said_ else "incident escalate 1")["error"]


def test_without_a_token_the_setting_is_named(town: Town):
    bot = town.start()
    burn(town, bot)
    for line in ("incident escalate", "incident add-responder bob"):
        assert "pagerduty.api_token" in bot.ask(line)["error"]


def test_what_paged_nobody_has_nobody_to_escalate_to(paged: Town):
    bot = paged.start()
    bot.ask('incident open sev3 docs-api "slow"')
    assert "has paged nobody" in bot.ask("incident escalate")["error"]


FAULTS = [("429", {"retry_after": 1}), ("500", {}), ("reset", {}), ("late", {"delay": 1.0}), ("hang", {})]


@pytest.mark.parametrize(("mode", "how"), FAULTS, ids=[mode for mode, _ in FAULTS])
def test_whatever_pagerduty_does_the_next_level_is_called_once(paged: Town, mode, how):
    paged.config["pagerduty"]["timeout"] = 0.6
    bot = paged.start()
    burn(paged, bot)
    paged.pagerduty.faults.breaks(mode, times=1, only="/incidents/P", **how)
    bot.ask("incident escalate")
    said(paged, "Escalated to level 2")
    assert logged(paged, "escalate_log_entry") == 1
    assert page(paged)["assignees"] == ["bob@example.com", "carol@example.com"]


# More responders.


def test_a_responder_is_asked_once_and_the_thread_says_so(paged: Town):
    bot = paged.start()
    burn(paged, bot)
    bot.ask("incident add-responder bob@example.com")
    said(paged, "Bob Brown was asked to join by carol")
    bot.ask("incident add-responder Bob INC-1")
    said(paged, "Bob Brown is called for this already")
    assert count(paged, "POST", "/responder_requests") == 1


def test_in_slack_a_responder_is_named_as_people_are_named_there(paged: Town):
    bot = paged.start()
    burn(paged, bot)
    person = f"<@{user(paged, 'carol')}|carol>"
    assert paged.slack.slash("#docs-api", user(paged, "alice"), "/incident", f"add-responder {person}")["ok"]
    said(paged, "Carol Cho was asked to join by alice")


def test_who_has_no_address_in_slack_is_asked_for_by_a_clear_sentence(paged: Town):
    bot = paged.start()
    burn(paged, bot)
    ghost = paged.slack.add_user("ghost", email="")
    assert "shows no e-mail address" in bot.ask(f"incident add-responder '<@{ghost}>'")["error"]


@pytest.mark.parametrize(("who", "why"), [("nobody@example.com", "has no user"), ("example.com", "several people")])
def test_who_cannot_be_told_for_certain_is_not_asked(paged: Town, who, why):
    bot = paged.start()
    burn(paged, bot)
    bot.ask(f"incident add-responder {who}")
    assert why in said(paged, "Nobody was asked to join")
    assert count(paged, "POST", "/responder_requests") == 0


@pytest.mark.parametrize(("mode", "how"), FAULTS, ids=[mode for mode, _ in FAULTS])
def test_whatever_pagerduty_does_a_responder_is_asked_once(paged: Town, mode, how):
    paged.config["pagerduty"]["timeout"] = 0.6
    bot = paged.start()
    burn(paged, bot)
    paged.pagerduty.faults.breaks(mode, times=1, only="/incidents/P", **how)
    bot.ask("incident add-responder bob")
    said(paged, "Bob Brown was asked to join")
    assert logged(paged, "responder_request_log_entry") == 1


def test_without_anybody_to_ask_in_whose_name_the_setting_is_named(paged: Town):
    paged.config["pagerduty"].pop("from_email")
    bot = paged.start()
    burn(paged, bot)
    bot.ask("incident add-responder bob")
    until(
        lambda: "pagerduty.from_email" in bot.ask("incident repair 1")["text"] + str(bot.ask("incident show 1")["data"])
    )


# Nobody acknowledges.


def test_what_nobody_acknowledges_goes_to_the_next_level_by_itself(paged: Town):
    paged.config["incidents"]["escalate_after"] = 0.5
    bot = paged.start()
    burn(paged, bot)
    assert "nobody had acknowledged it" in said(paged, "Escalated to level 2 by Release Captain")
    until(lambda: page(paged)["assignees"] == ["bob@example.com", "carol@example.com"])
    said(paged, "Not escalated: the policy has 2 levels")
    assert logged(paged, "escalate_log_entry") == 1


def test_an_acknowledgement_stops_the_escalation(paged: Town):
    paged.config["incidents"]["escalate_after"] = 30
    bot = paged.start()
    burn(paged, bot)
    owed = until(lambda: [e for e in bot.ask("incident show 1")["data"]["effects"] if e["kind"] == "escalate"])
    assert owed[0]["state"] in ("owed", "waiting")
    bot.ask("incident ack")
    (waited,) = [e for e in bot.ask("incident show 1")["data"]["effects"] if e["kind"] == "escalate"]
    assert (waited["state"], waited["reason"]) == ("skipped", "somebody has taken it")


def test_whoever_escalates_by_hand_is_not_overtaken_by_the_clock(paged: Town):
    paged.config["incidents"]["escalate_after"] = 1.5
    bot = paged.start()
    burn(paged, bot)
    until(lambda: [e for e in bot.ask("incident show 1")["data"]["effects"] if e["kind"] == "escalate"])
    bot.ask("incident escalate")
    said(paged, "Escalated to level 2 by carol")
    until(lambda: logged(paged, "escalate_log_entry") == 1)
    bot.ask("incident ack")
    states = [e["state"] for e in bot.ask("incident show 1")["data"]["effects"] if e["kind"] == "escalate"]
    assert sorted(states) == ["done", "skipped"]


def test_the_escalation_survives_a_kill(paged: Town):
    paged.config["incidents"]["escalate_after"] = 3
    bot = paged.spawn()
    burn(paged, bot)
    until(lambda: [e for e in bot.ask("incident show 1")["data"]["effects"] if e["kind"] == "escalate"])
    bot.kill()
    bot = paged.spawn()
    until(lambda: page(paged)["assignees"] == ["bob@example.com", "carol@example.com"], timeout=20)
    said(paged, "Escalated to level 2 by Release Captain")
    assert logged(paged, "escalate_log_entry") == 1


def test_escalating_by_itself_needs_what_it_takes(paged: Town, tmp_path):
    paged.config["incidents"]["escalate_after"] = 300
    paged.config["pagerduty"].pop("from_email")
    with pytest.raises(ConfigError, match="pagerduty.from_email"):
        paged.start()


@pytest.mark.parametrize(
    ("line", "kind", "told"),
    [
        ("incident escalate", "escalate_log_entry", "Escalated to level 2"),
        ("incident add-responder bob", "responder_request_log_entry", "Bob Brown was asked to join"),
    ],
    ids=["escalate", "add-responder"],
)
def test_killed_right_after_pagerduty_has_acted_it_is_not_asked_again(paged: Town, line, kind, told):
    bot = paged.spawn()
    burn(paged, bot)
    paged.pagerduty.faults.breaks("late", times=1, only="/incidents/P", delay=1.5)
    bot.ask(line)
    until(lambda: logged(paged, kind) == 1)
    bot.kill()
    paged.spawn()
    said(paged, told)
    assert logged(paged, kind) == 1


# Notes.


def write_down(bot: Bot, *texts: str) -> None:
    """Owe notes on the page of INC-1, as alice in Slack would."""
    asker = Asker("U0ALICE", "alice", "cli", "k", email="alice@example.com")
    with bot.captain.desk.engine.transaction(time.time()) as tx:
        for text in texts:
            assert owing.page_note(bot.captain.desk, tx, table.by_number(tx.c, 1), asker, text)


def notes(town: Town) -> list[tuple[str, str]]:
    return [(note["by"], note["text"]) for note in page(town)["notes"]]


@pytest.mark.parametrize(("mode", "how"), FAULTS, ids=[mode for mode, _ in FAULTS])
def test_whatever_pagerduty_does_a_note_stands_there_once(paged: Town, mode, how):
    paged.config["pagerduty"]["timeout"] = 0.6
    bot = paged.start()
    burn(paged, bot)
    paged.pagerduty.faults.breaks(mode, times=1, only="/notes", **how)
    write_down(bot, "the cache is cold")
    until(lambda: notes(paged))
    until(
        lambda: (
            [e["state"] for e in bot.ask("incident show 1")["data"]["effects"] if e["kind"] == "page-note"] == ["done"]
        )
    )
    write_down(bot, "the cache is cold")
    until(lambda: len(notes(paged)) == 2, message="who says it twice is written down twice")
    assert notes(paged) == [("alice@example.com", "alice: the cache is cold")] * 2


def test_a_note_without_a_token_is_not_owed(town: Town):
    bot = town.start()
    burn(town, bot)
    with bot.captain.desk.engine.transaction(time.time()) as tx:
        asker = Asker("U0ALICE", "alice", "cli", "k")
        assert not owing.page_note(bot.captain.desk, tx, table.by_number(tx.c, 1), asker, "nobody reads this")


# What people do on their phones.


@pytest.fixture
def phoned(paged: Town) -> tuple[Town, Bot]:
    """A town that tells the bot what people do on their phones; an incident that has paged."""
    bot = paged.start()
    paged.pagerduty.webhook_url, paged.pagerduty.webhook_secret = f"{bot.url}/webhooks/pagerduty", PD_SECRET
    burn(paged, bot)
    return paged, bot


def status(bot: Bot) -> str:
    return bot.ask("incident show 1")["data"]["status"]


def told(bot: Bot, kind: str) -> list[dict[str, Any]]:
    return [event for event in bot.ask("incident show 1")["data"]["timeline"] if event["kind"] == kind]


ACTS = [
    ("reassigned", lambda pd, ident: pd.reassign(ident, "carol", "bob"), "Reassigned to Carol Cho by Bob Brown"),
    ("escalated", lambda pd, ident: pd.escalate(ident, "alice"), "Escalated by Alice Adams in PagerDuty. Called: Bob"),
    ("escalated", lambda pd, ident: pd.escalate(ident, ""), "nobody had acknowledged it in time. Called: Bob Brown"),
    ("delegated", lambda pd, ident: pd.delegate(ident, "bob"), "Handed to another escalation policy by Bob Brown"),
    (
        "annotated",
        lambda pd, ident: pd.note(ident, "rolling <back> & forth", "bob"),
        "rolling &lt;back&gt; &amp; forth",
    ),
    ("responder-added", lambda pd, ident: pd.ask_to_join(ident, "carol", "bob"), "Carol Cho was asked to join by Bob"),
    ("priority_updated", lambda pd, ident: pd.prioritise(ident, "PPRIO01", "bob"), "Priority P1 set by Bob Brown"),
]


@pytest.mark.parametrize(("kind", "act", "shown"), ACTS, ids=[f"{kind} {i}" for i, (kind, _, _) in enumerate(ACTS)])
def test_what_is_done_by_phone_shows_in_the_thread_and_the_timeline(phoned, kind, act, shown):
    town, bot = phoned
    act(town.pagerduty, page(town)["id"])
    said(town, shown)
    assert len(told(bot, kind)) == 1


def test_whether_a_responder_joins_is_said(phoned):
    town, bot = phoned
    bot.ask("incident add-responder bob")
    said(town, "Bob Brown was asked to join by carol")
    town.pagerduty.answer(page(town)["id"], "bob", joins=False)
    said(town, "Bob Brown does not join")
    assert len(town.thread(town.roots()[0])) == len(set(town.thread(town.roots()[0])))
    assert told(bot, "responder-added") == [], "what we asked ourselves is not told twice"


@pytest.mark.parametrize(
    "act",
    [
        lambda pd, ident: pd.reassign(ident, "carol", "bob"),
        lambda pd, ident: pd.escalate(ident, "bob"),
        lambda pd, ident: pd.unacknowledge(ident),
    ],
    ids=["reassigned", "escalated", "timed out"],
)
def test_who_is_called_anew_has_to_take_it_anew(phoned, act):
    town, bot = phoned
    town.pagerduty.acknowledge(page(town)["id"], "alice")
    until(lambda: status(bot) == "acknowledged")
    act(town.pagerduty, page(town)["id"])
    until(lambda: status(bot) == "triggered")
    town.pagerduty.acknowledge(page(town)["id"], "bob")
    until(lambda: status(bot) == "acknowledged")
    assert bot.ask("incident show 1")["data"]["acked_by"] == "Bob Brown"


def test_our_own_escalation_and_our_own_notes_do_not_echo(phoned):
    town, bot = phoned
    bot.ask("incident escalate")
    said(town, "Escalated to level 2")
    write_down(bot, "the cache is cold")
    until(lambda: notes(town))
    town.pagerduty.note(page(town)["id"], "I see", "bob")
    said(town, "Note by Bob Brown in PagerDuty: I see")
    assert len(told(bot, "escalated")) == 1
    assert [event["text"] for event in told(bot, "annotated")] == ["Note by Bob Brown in PagerDuty: I see"]


def test_a_note_of_which_only_pagerduty_knows_the_incident_is_asked_about(phoned):
    town, bot = phoned
    secret, town.pagerduty.webhook_url = town.pagerduty.webhook_secret, ""
    row = page(town)
    body = {
        "id": "EONLYNOTE",
        "event_type": "incident.annotated",
        "occurred_at": "2026-01-01T00:00:00Z",
        "agent": {"type": "user_reference", "summary": "Bob Brown"},
        "data": {"type": "incident_note", "content": "seen", "incident": {"id": row["id"]}},
    }
    with bot.captain.store.write() as c:
        c.execute(INBOX().delete())
    for _ in range(3):
        assert send(bot, body, secret) == 202
    said(town, "Note by Bob Brown in PagerDuty: seen")
    assert len(told(bot, "annotated")) == 1


def send(bot: Bot, event: dict[str, Any], secret: str = PD_SECRET) -> int:
    body = json.dumps({"event": event}).encode()
    signature = "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-PagerDuty-Signature": signature}
    return requests.post(f"{bot.url}/webhooks/pagerduty", data=body, headers=headers, timeout=10).status_code


def undecided(bot: Bot) -> int:
    """How many requests nobody has decided about."""
    with bot.captain.store.read() as c:
        return c.execute(
            sa.select(sa.func.count()).select_from(INBOX()).where(INBOX().c.done_at.is_(None))
        ).scalar_one()


GIVEN_ON = ("escalated", "reassigned", "delegated", "unacknowledged")
LIVES = [
    (("acknowledged", "unacknowledged", "acknowledged", "escalated"), "triggered"),
    (("acknowledged", "reassigned", "acknowledged"), "acknowledged"),
    (("escalated", "acknowledged", "delegated", "unacknowledged", "acknowledged"), "acknowledged"),
    (("acknowledged", "escalated", "acknowledged", "resolved"), "resolved"),
]


def events_of(row: dict[str, Any], acts: tuple[str, ...]) -> list[dict[str, Any]]:
    """What PagerDuty tells of an incident in which this was done, in this order."""
    events = []
    for n, act in enumerate(acts):
        standing = act if act in ("acknowledged", "resolved") else "triggered"
        data = {"id": row["id"], "type": "incident", "incident_key": row["dedup_key"], "status": standing}
        data["assignees"] = [{"summary": f"person {n}"}]
        at = datetime.fromtimestamp(time.time() + n * 0.01, UTC).isoformat()
        agent = {"type": "user_reference", "summary": "Bob Brown"}
        name = f"E{row['id']}{n}"
        events.append({"id": name, "event_type": f"incident.{act}", "occurred_at": at, "agent": agent, "data": data})
    return events


def shuffled(luck: random.Random, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As they may arrive: each once at least, in any order."""
    deliveries = [*events, *luck.choices(events, k=4)]
    luck.shuffle(deliveries)
    return deliveries


@pytest.mark.parametrize("seed", range(12))
def test_in_whatever_order_and_however_often_it_is_told_the_newest_counts(paged: Town, seed):
    bot = paged.start()
    luck = random.Random(seed)
    acts, ends = LIVES[seed % len(LIVES)]
    burn(paged, bot)
    deliveries = shuffled(luck, events_of(page(paged), acts))
    for event in deliveries:
        assert send(bot, event) == 202
    until(lambda: undecided(bot) == 0)
    assert status(bot) == ends, [e["id"] for e in deliveries]
    for n, act in enumerate(acts):
        if act not in ("acknowledged", "resolved"):
            assert len([e for e in told(bot, act) if f"person {n}" in e["text"]]) == 1, act
    texts = until(lambda: t if len(t := [x for x in paged.thread(paged.roots()[-1]) if "person" in x]) >= 1 else None)
    assert len(texts) == len(set(texts))


def test_it_is_so_with_two_replicas_that_hear_it_in_the_same_moment(postgres, paged: Town):
    paged.config["captain"]["database"] = postgres.url
    bots = [paged.spawn(), paged.spawn()]
    luck = random.Random(4)
    for n, (acts, ends) in enumerate(LIVES, start=1):
        burn(paged, bots[0])
        with ThreadPoolExecutor(6) as pool:
            sent = [pool.submit(send, luck.choice(bots), e) for e in shuffled(luck, events_of(page(paged), acts))]
        assert {one.result() for one in sent} == {202}
        shown = sorted(act for act in acts if act not in ("acknowledged", "resolved"))

        def told_once(n: int = n, shown: list[str] = shown, ends: str = ends) -> bool:
            data = bots[1].ask(f"incident show {n}")["data"]
            kinds = sorted(e["kind"] for e in data["timeline"] if "in PagerDuty" in e["text"] and e["kind"] in GIVEN_ON)
            return (kinds, data["status"]) == (shown, ends)

        until(told_once, message=f"{acts} did not end as {ends}")


def test_the_late_word_that_the_page_before_was_resolved_does_not_end_what_was_reopened(paged: Town):
    bot = paged.start()
    row = burn(paged, bot)
    bot.ask("incident resolve INC-1")
    until(lambda: page(paged)["status"] == "resolved")
    ended = datetime.fromtimestamp(time.time(), UTC).isoformat()
    bot.ask("incident reopen INC-1")
    until(lambda: page(paged)["status"] == "triggered", message="nobody is called anew")
    data = {"id": row["id"], "type": "incident", "incident_key": row["dedup_key"], "status": "resolved"}
    event = {"id": "ELATE", "event_type": "incident.resolved", "occurred_at": ended, "data": data}
    assert send(bot, event | {"agent": {"type": "inbound_integration_reference", "summary": "Events API"}}) == 202
    until(lambda: undecided(bot) == 0)
    assert status(bot) == "triggered"
