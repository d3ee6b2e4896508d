"""The timeline: what people note and mark in the thread, with its own time, as it stands, to be read and taken away."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from itertools import pairwise

import pytest
import requests
import sqlalchemy as sa
from ground.town import API_TOKEN, Town, channel, user
from ground.waiting import until

from bot.inbox import INBOX
from bot.integrations.pagerduty.fake import API_TOKEN as PD_TOKEN
from handlers.incidents.table import INCIDENTS, TIMELINE
from handlers.timeline import marks, sweep


@pytest.fixture
def bot(town: Town):
    return town.start()


@pytest.fixture
def root(town: Town, bot):
    """The root message of an open incident."""
    bot.ask('incident open sev3 docs-api "p95 up"')
    return until(lambda: town.roots())[0]


def lines(bot, number: int = 1):
    """The timeline of an incident, as data."""
    return bot.ask(f"incident timeline INC-{number}")["data"]["timeline"]


def marked(bot, number: int = 1):
    """(who, what) of the messages in it."""
    return [(one["who"], one["text"]) for one in lines(bot, number) if one["kind"] == "message"]


def test_a_note_is_in_the_timeline_with_its_time_and_in_the_thread(town: Town, bot, root):
    assert bot.ask('incident note "rolled back to <1.4.2>"', "dora")["text"] == "Noted in INC-1: rolled back to <1.4.2>"
    until(lambda: "*dora* notes: rolled back to &lt;1.4.2&gt;" in town.thread(root))
    (note,) = [one for one in lines(bot) if one["kind"] == "note"]
    assert (note["who"], note["text"]) == ("dora", "rolled back to <1.4.2>")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", note["at"])


def test_a_note_from_slack_is_noted_as_it_was_typed(town: Town, bot, root):
    said = "see <https://a.example/?a=1&amp;b=2> with <@U012AB3CD|dora> &amp; &lt;others&gt;"
    town.slack.slash("#docs-api", user(town, "alice"), "/incident", f"note {said}")
    until(lambda: [one for one in lines(bot) if one["kind"] == "note"])
    (note,) = [one for one in lines(bot) if one["kind"] == "note"]
    assert (note["who"], note["text"]) == ("alice", "see https://a.example/?a=1&b=2 with @dora & <others>")


def test_a_marked_message_keeps_its_own_time_and_several_marks_are_one_line(town: Town, bot, root):
    said = town.slack.say("#docs-api", "bob", f"the replica <@{user(town, 'carol')}> lags", root["ts"])["ts"]
    town.slack.say("#docs-api", "bob", "nobody marks this", root["ts"])
    for who in ("alice", "carol"):
        assert town.slack.react("#docs-api", said, who, "pushpin")["ok"]
    until(lambda: marked(bot) == [("bob", "the replica @carol lags")])
    (line,) = [one for one in lines(bot) if one["kind"] == "message"]
    assert line["message"]["ts"] == said
    assert line["at"] <= line["message"]["noted_at"]
    town.slack.react("#docs-api", said, "alice", "pushpin", remove=True)
    town.slack.pin("#docs-api", said, "alice")
    town.slack.react("#docs-api", said, "carol", "pushpin", remove=True)
    assert town.slack.settled()
    until(lambda: marked(bot) == [("bob", "the replica @carol lags")])
    town.slack.pin("#docs-api", said, "bob", remove=True)
    until(lambda: marked(bot) == [])


def test_an_edit_follows_and_of_a_deleted_message_only_its_place_is_left(town: Town, bot, root):
    said = town.slack.say("#docs-api", "bob", "the password is hunter2", root["ts"])["ts"]
    town.slack.react("#docs-api", said, "alice", "pushpin")
    until(lambda: marked(bot))
    town.slack.edit("#docs-api", said, "bob", "the password was posted here")
    until(lambda: marked(bot) == [("bob", "the password was posted here")])
    town.slack.delete("#docs-api", said, "bob")
    until(lambda: marked(bot) == [("bob", "(deleted)")])
    assert "password" not in bot.ask("incident export 1")["text"]


def test_the_last_pin_of_a_skin_toned_emoji_or_of_another_emoji_is_what_captain_yml_says(town: Town):
    town.config["incidents"]["mark_emoji"] = ":point_up:"
    bot = town.start()
    bot.ask('incident open sev3 docs-api "p95 up"')
    root = until(lambda: town.roots())[0]
    first = town.slack.say("#docs-api", "bob", "first", root["ts"])["ts"]
    second = town.slack.say("#docs-api", "bob", "second", root["ts"])["ts"]
    town.slack.react("#docs-api", first, "alice", "pushpin")
    town.slack.react("#docs-api", second, "alice", "point_up::skin-tone-4")
    until(lambda: marked(bot) == [("bob", "second")])


def test_messages_elsewhere_and_the_bots_own_are_no_business_of_the_timeline(town: Town, bot, root):
    elsewhere = town.slack.say("#docs-api", "bob", "in the channel")["ts"]
    other = town.slack.say("#general", "bob", "in another channel")["ts"]
    own = until(lambda: [m for m in town.messages() if m.get("thread_ts") == root["ts"] and m["is_bot"]])[0]["ts"]
    mine = town.slack.say("#docs-api", "bob", "this one", root["ts"])["ts"]
    for where, ts in (("#docs-api", elsewhere), ("#general", other), ("#docs-api", root["ts"]), ("#docs-api", own)):
        town.slack.react(where, ts, "alice", "pushpin")
        town.slack.pin(where, ts, "alice")
    town.slack.react("#docs-api", mine, "alice", "pushpin")
    until(lambda: marked(bot) == [("bob", "this one")])
    assert town.slack.settled()
    read = [one for one in town.calls.rows() if one["path"].endswith("conversations.replies") and other in one["body"]]
    assert read == []


def test_a_message_of_any_size_and_script_in_the_incidents_own_channel_comes_through(town: Town, bot, root):
    room = town.slack.add_channel("inc-1")
    with bot.captain.store.write() as c:
        c.execute(INCIDENTS().update().values(room=room))
    texts = ["x" * 39_000, "🔥 \u202e\u0645\u0631\u062d\u2066 <!channel> | `a` *b*\n\n- c", "&lt;script&gt; \x00 end"]
    for text in texts:
        town.slack.pin(room, town.slack.say(room, "carol", text)["ts"], "alice")
    until(lambda: len(marked(bot)) == 3)
    first, second, third = (text for _, text in marked(bot))
    assert 19_000 < len(first) <= 20_000
    assert "@channel" in second
    assert third.startswith("<script>")
    shown = bot.ask("incident timeline")["text"]
    assert "`incident export INC-1` has the whole" in shown
    assert len(shown) < 9_500
    exported = bot.ask("incident export")["text"]
    rows = [line for line in exported.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(lines(bot))
    assert "\u202e" not in exported


def test_events_come_twice_out_of_order_and_malformed_and_the_timeline_is_as_slack_is(town: Town, bot, root):
    said = town.slack.say("#docs-api", "bob", "one", root["ts"])["ts"]
    town.slack.react("#docs-api", said, "alice", "pushpin")
    until(lambda: marked(bot) == [("bob", "one")])
    for new in (False, True, True):
        assert town.slack.redeliver_last(new_event_id=new)["ok"]
    emit, where = town.slack.people.emit, town.slack.world.channels[channel(town, "docs-api")]
    reaction = {"type": "reaction_added", "reaction": "pushpin", "user": "U0GONE0000"}
    item = {"type": "message", "channel": where.id}
    for event in (
        {"type": "reaction_removed", "reaction": "pushpin", "user": "U0GONE0000", "item": {**item, "ts": said}},
        {**reaction, "item": {**item, "ts": "1.000000"}},
        {**reaction, "item": {**item, "ts": "; drop table"}},
        {**reaction, "item": {"type": "file"}},
        {**reaction, "item": None},
        {**reaction},
        {"type": "pin_added", "user": "U0GONE0000", "channel_id": where.id, "item": {"type": "file", "file": {}}},
        {"type": "message", "subtype": "message_changed", "channel": where.id},
        {"type": "message", "subtype": "message_deleted", "channel": where.id, "deleted_ts": None},
        {"type": "message", "subtype": "message_changed", "channel": where.id, "message": {"ts": said, "text": "old"}},
    ):
        emit(event, channel=where)
    assert town.slack.settled()
    until(lambda: bot.captain.requests.waiting() == 0)
    bot.ask("incident note done")
    until(lambda: marked(bot) == [("bob", "one")])
    until(lambda: bot.captain.engine.owed() == {} or not any(n for n, _ in bot.captain.engine.owed().values()))
    assert marked(bot) == [("bob", "one")]


def test_the_bot_killed_while_slack_is_away_still_takes_the_mark(town: Town):
    town.config["slack"]["timeout"] = 1
    bot = town.spawn()
    bot.ask('incident open sev3 docs-api "p95 up"')
    root = until(lambda: town.roots(), timeout=20)[0]
    said = town.slack.say("#docs-api", "bob", "one", root["ts"])["ts"]
    town.slack.faults.breaks("503", only="conversations.replies")
    town.slack.react("#docs-api", said, "alice", "pushpin")
    until(lambda: [one for one in town.calls.rows() if one["path"].endswith("conversations.replies")])
    bot.kill()
    town.slack.faults.mend()
    bot = town.spawn()
    until(lambda: marked(bot) == [("bob", "one")], timeout=40)


def test_who_marks_hears_which_scope_is_missing_and_repair_takes_the_mark(town: Town, bot, root):
    said = town.slack.say("#docs-api", "bob", "one", root["ts"])["ts"]
    scopes = set(town.slack.scopes)
    town.slack.scopes = scopes - {"channels:history"}
    town.slack.react("#docs-api", said, "alice", "pushpin")
    told = until(lambda: town.whispers(user(town, "alice")))[-1]
    assert "I could not put the message you marked into the timeline" in told
    assert "lacks the scope channels:history" in told
    town.slack.scopes = scopes
    bot.ask("incident repair --all")
    until(lambda: marked(bot) == [("bob", "one")])


def test_the_timeline_is_a_file_in_the_thread_in_slack_and_text_on_the_command_line(town: Town, bot, root):
    bot.ask('incident note "a | b <c> *d* `e`"')
    data = json.loads(bot.ask("incident export 1 --format json")["text"])
    assert data["incident"]["number"] == 1
    assert data["incident"]["opened_at"].endswith("Z")
    assert [one["text"] for one in data["timeline"] if one["kind"] == "note"] == ["a | b <c> *d* `e`"]
    assert data["timeline"][0]["kind"] == "opened"
    table = bot.ask("incident export 1 --format md")["text"]
    assert r"| note | carol | a \| b \<c\> \*d\* \`e\` |" in table
    assert "cannot be 'pdf'" in bot.ask("incident export 1 --format pdf")["error"]
    alice = user(town, "alice")
    for kind in ("json", "md"):
        assert town.slack.slash("#docs-api", alice, "/incident", f"export INC-1 --format {kind}")["ok"]
    files = until(lambda: len(found := [f for m in town.messages() for f in m["files"]]) == 2 and found)
    assert {m["thread_ts"] for m in town.messages() if m["files"]} == {root["ts"]}
    contents = {one["filetype"]: town.slack.file(one["id"]).decode() for one in files}
    assert json.loads(contents["json"])["incident"]["title"] == "p95 up"
    assert "# Timeline of INC-1 p95 up" in contents["md"]
    until(lambda: "follows in its thread as a file" in "".join(town.whispers(alice)[-1:]))


def test_a_long_timeline_shows_its_end_and_says_where_the_whole_is(town: Town, bot, root):
    for n in range(80):
        bot.ask(f'incident note "note number {n:03} {"long " * 40}" --of INC-1')
    told = bot.ask("incident timeline")
    assert "earlier lines: `incident export INC-1` has all." in told["text"]
    assert "note number 079" in told["text"]
    assert "note number 001" not in told["text"]
    assert re.search(r"\*\d{4}-\d\d-\d\d\*\n`\d\d:\d\d:\d\d` carol: notes: note number", told["text"])
    assert "note number 001" in bot.ask("incident export")["text"]
    alice = user(town, "alice")
    town.slack.slash("#docs-api", alice, "/incident", "timeline")
    shown = until(lambda: [m for m in town.slack.state()["messages"] if m["ephemeral_to"] == alice])[-1]
    assert "note number 079" in town.shown(shown)


def test_a_deploy_is_noted_wherever_its_service_burns(town: Town, bot, root):
    bot.ask('incident open sev3 docs-api "errors"')
    bot.ask('incident open sev3 gateway "other"')
    assert bot.ask('incident note "docs-api 1.4.3 deployed" --service docs-api', "ci")["data"] == {"incidents": [1, 2]}
    assert [one["text"] for one in lines(bot, 2) if one["kind"] == "note"] == ["docs-api 1.4.3 deployed"]
    assert [one for one in lines(bot, 3) if one["kind"] == "note"] == []
    for number in (1, 2):
        bot.ask(f"incident resolve INC-{number}")
    assert "nothing was noted" in bot.ask('incident note "1.4.4" --service docs-api', "ci")["text"]
    assert "not both" in bot.ask("incident note x --service gateway --of 3")["error"]
    assert "Say what is to be noted" in bot.ask("incident note --of 3")["error"]


def test_the_same_note_asked_twice_is_one(town: Town, bot, root):
    headers = {"authorization": f"Bearer {API_TOKEN}"}
    body = {"line": "incident note deployed", "as": "ci", "key": "build-7"}
    for _ in range(2):
        assert requests.post(f"{bot.url}/api/command", json=body, headers=headers, timeout=10).status_code == 200
    assert len([one for one in lines(bot) if one["kind"] == "note"]) == 1


def test_the_post_mortem_has_what_was_noted_and_marked(town: Town, bot, root):
    bot.ask('incident note "rolled back"', "dora")
    said = town.slack.say("#docs-api", "bob", "the index was dropped", root["ts"])["ts"]
    town.slack.pin("#docs-api", said, "alice")
    until(lambda: marked(bot))
    bot.ask("incident resolve 1")
    draft = bot.ask("incident postmortem 1")["text"]
    assert re.search(r"\| note \| dora \| rolled back \|", draft)
    assert re.search(r"\| message \| bob \| the index was dropped \|", draft)
    assert "- bob: message" in draft


def test_of_a_private_incident_nothing_is_shown_outside_its_own_channel(town: Town, bot, root):
    room = town.slack.add_channel("inc-1", is_private=True)
    with bot.captain.store.write() as c:
        c.execute(INCIDENTS().update().values(room=room, private=True))
    for line in ("timeline", "export", "timeline 1", "export 1 --format json", "note leak --of 1"):
        told = bot.ask(f"incident {line}")
        assert "INC-1 is private" in told["error"] or (
            line in ("timeline", "export") and "No incident" in told["error"]
        )
        assert "p95" not in json.dumps(told)
    alice = user(town, "alice")
    town.slack.slash("#docs-api", alice, "/incident", "timeline 1")
    until(lambda: "INC-1 is private" in "".join(town.whispers(alice)[-1:]))
    town.slack.slash(room, alice, "/incident", "timeline 1")
    until(lambda: "p95 up" in "".join(town.whispers(alice)[-1:]))
    town.slack.slash(room, alice, "/incident", "export 1")
    (message,) = until(lambda: [m for m in town.messages() if m["files"]])
    assert message["channel"] == room


def test_everything_that_happens_is_a_line(town: Town):
    town.has_a_flag()
    town.config["pagerduty"] |= {"api_token": PD_TOKEN, "from_email": "bob@example.com"}
    bot = town.start()
    bot.ask('incident open sev2 gateway "p95 up"')
    until(lambda: town.pages() and town.tickets() and town.roots())

    def kinds():
        return [one["kind"] for one in lines(bot)]

    until(lambda: {"opened", "paging", "paged", "ticket", "checks"} <= set(kinds()))
    for line, kind in (
        ("ack 1", "acknowledged"),
        ("severity sev1 1", "severity"),
        ("title worse --of 1", "title"),
        ("role lead me 1", "role"),
        ("environment eu 1", "environment"),
        ("page 1", "page"),
        ("note here --of 1", "note"),
        ("mitigate 1", "mitigated"),
        ("reopen 1", "reopened"),
        ("escalate 1", "escalated"),
    ):
        bot.ask(f"incident {line}")
        until(lambda kind=kind: kind in kinds(), message=f"no {kind}")
    until(lambda: "carol: here" in json.dumps(town.pages()[0]["notes"]))
    until(lambda: "PagerDuty took the page again" in [one["text"] for one in lines(bot)])
    bot.ask("flag on gateway-bypass the replica lags --for 30m")
    until(lambda: town.bypass() == "true")
    bot.ask("flag off gateway-bypass")
    until(lambda: kinds().count("flag") == 2)
    told = [one["text"] for one in lines(bot) if one["kind"] == "flag"]
    assert told == [
        "the flag gateway-bypass is on, asked by carol: the replica lags",
        "the flag gateway-bypass is off, by carol",
    ]
    bot.ask("incident resolve 1")
    until(lambda: "is done" in " ".join(one["text"] for one in lines(bot)))
    bot.ask("incident close 1")
    assert "closed" in kinds()


def test_what_was_marked_edited_and_deleted_while_nobody_listened_is_found_by_looking(town: Town, bot, root):
    def reads() -> int:
        return len([one for one in town.calls.rows() if one["path"].endswith("conversations.replies")])

    first, second, third, fourth = (
        town.slack.say("#docs-api", "bob", f"message {n}", root["ts"])["ts"] for n in range(4)
    )
    for ts in (first, second, third):
        town.slack.react("#docs-api", ts, "alice", "pushpin")
    until(lambda: len(marked(bot)) == 3)
    town.slack.events = set()
    town.slack.edit("#docs-api", first, "bob", "message 0, corrected")
    town.slack.delete("#docs-api", second, "bob")
    town.slack.react("#docs-api", third, "alice", "pushpin", remove=True)
    town.slack.pin("#docs-api", fourth, "alice")
    sweep.tick(bot.captain.desk, 300.0)
    wanted = [("bob", "message 0, corrected"), ("bob", "(deleted)"), ("bob", "message 3")]
    until(lambda: marked(bot) == wanted)
    before = reads()
    sweep.tick(bot.captain.desk, 600.0)
    until(lambda: reads() > before)
    until(lambda: not any(count for count, _ in bot.captain.engine.owed().values()))
    assert reads() == before + 1
    assert marked(bot) == wanted


def test_what_was_read_earlier_and_arrives_later_does_not_count(town: Town, bot, root):
    said = town.slack.say("#docs-api", "bob", "one", root["ts"])["ts"]
    town.slack.faults.breaks("late", only="conversations.replies", times=1, delay=1.0)
    town.slack.react("#docs-api", said, "alice", "pushpin")
    until(lambda: not town.slack.faults.active())  # it has been read, and Slack is slow to say so
    town.slack.react("#docs-api", said, "alice", "pushpin", remove=True)
    note = town.slack.say("#docs-api", "bob", "two", root["ts"])["ts"]
    town.slack.pin("#docs-api", note, "alice")
    until(lambda: ("bob", "two") in marked(bot))
    until(lambda: not any(count for count, _ in bot.captain.engine.owed().values()))
    assert marked(bot) == [("bob", "two")]


def test_an_incidents_own_channel_is_looked_at_as_well_as_its_thread(town: Town, bot, root):
    room = town.slack.add_channel("inc-1")
    with bot.captain.store.write() as c:
        c.execute(INCIDENTS().update().values(room=room))
    town.slack.events = set()
    town.slack.pin("#docs-api", town.slack.say("#docs-api", "bob", "in the thread", root["ts"])["ts"], "alice")
    town.slack.pin(room, town.slack.say(room, "bob", "in the channel")["ts"], "alice")
    sweep.tick(bot.captain.desk, 300.0)
    until(lambda: marked(bot) == [("bob", "in the thread"), ("bob", "in the channel")])


def test_an_incident_without_a_thread_is_looked_at_in_its_channel(town: Town, bot, root):
    room = town.slack.add_channel("inc-1", is_private=True)
    with bot.captain.store.write() as c:
        c.execute(INCIDENTS().update().values(room=room, channel="", thread_ts="", private=True))
    town.slack.events = set()
    town.slack.pin(room, town.slack.say(room, "bob", "in the channel")["ts"], "alice")
    sweep.tick(bot.captain.desk, 300.0)
    kept = sa.select(TIMELINE().c.text).where(TIMELINE().c.kind == "message")

    def found() -> list[str]:
        with bot.captain.store.read() as c:
            return list(c.execute(kept).scalars())

    until(lambda: found() == ["in the channel"])


def test_with_many_incidents_the_looks_take_turns(town: Town, bot, root):
    town.slack.events = set()
    town.slack.pin("#docs-api", town.slack.say("#docs-api", "bob", "the oldest", root["ts"])["ts"], "alice")
    with bot.captain.store.write() as c:
        row = dict(c.execute(sa.select(INCIDENTS())).one()._mapping)
        for n in range(2, sweep.MOST + 5):
            name = f"copy {n}"
            more = {"number": n, "uid": name, "key": name, "open_key": name, "thread_ts": f"{n}.000001"}
            c.execute(INCIDENTS().insert(), row | more)
    for n in (1, 2, 3):
        sweep.tick(bot.captain.desk, n * 300.0)
        until(lambda: not any(count for count, _ in bot.captain.engine.owed().values()))
    assert marked(bot) == [("bob", "the oldest")]


def test_one_run_owes_so_many_looks_and_the_next_the_rest(town: Town, bot, root):
    town.slack.events = set()
    for n in range(sweep.MOST_LOOKS + 3):
        town.slack.react("#docs-api", town.slack.say("#docs-api", "bob", f"m{n}", root["ts"])["ts"], "alice", "pushpin")
    counts = [0]
    kept = sa.select(sa.func.count()).where(TIMELINE().c.kind == "message")
    while counts[-1] < sweep.MOST_LOOKS + 3 and len(counts) < 8:  # a run that Slack does not answer looks at nothing
        sweep.tick(bot.captain.desk, len(counts) * 300.0)
        until(lambda: not any(count for count, _ in bot.captain.engine.owed().values()), timeout=60)
        with bot.captain.store.read() as c:
            counts.append(c.execute(kept).scalar())
    assert counts[-1] == sweep.MOST_LOOKS + 3
    assert max(after - before for before, after in pairwise(counts)) == sweep.MOST_LOOKS


def test_in_a_thread_that_began_anew_the_lines_of_the_old_one_are_kept_and_cost_nothing(town: Town, bot, root):
    said = town.slack.say("#docs-api", "bob", "one", root["ts"])["ts"]
    town.slack.react("#docs-api", said, "alice", "pushpin")
    until(lambda: marked(bot) == [("bob", "one")])
    posted = town.slack.say("#docs-api", "alice", "stands for the root message, posted anew")["ts"]
    with bot.captain.store.write() as c:
        c.execute(INCIDENTS().update().values(thread_ts=posted))
    town.slack.edit("#docs-api", said, "bob", "one, corrected")
    until(lambda: marked(bot) == [("bob", "one, corrected")])
    until(lambda: not any(count for count, _ in bot.captain.engine.owed().values()))
    before = len([one for one in town.calls.rows() if one["path"].endswith("conversations.replies")])
    sweep.tick(bot.captain.desk, 300.0)
    until(lambda: not any(count for count, _ in bot.captain.engine.owed().values()))
    after = len([one for one in town.calls.rows() if one["path"].endswith("conversations.replies")])
    assert after == before + 1, "the new thread was read, and no message of the old one"


def test_a_flood_of_looks_lets_the_panel_go_first(town: Town, bot, root):
    until(lambda: not any(count for count, _ in bot.captain.engine.owed().values()))
    town.slack.faults.breaks("late", only="conversations.replies", delay=0.3)
    began = len(town.calls.rows())
    for n in range(40):
        marks.ask(bot.captain.desk, channel(town, "docs-api"), f"1.{n:06}", "", edit=False, now=time.time())
    bot.ask("incident ack 1")
    until(lambda: any(one["path"].endswith("chat.update") for one in town.calls.rows()[began:]), timeout=20)
    rows = [one["path"].rsplit("/", 1)[-1] for one in town.calls.rows()[began:]]
    assert rows[: rows.index("chat.update")].count("conversations.replies") < 30


def test_a_flood_of_marks_holds_up_nobodys_command(town: Town):
    bot = town.start()
    bot.stop()
    town.bots.remove(bot)
    now = time.time()
    look = {"channel": "C0NOWHERE", "ts": "1.000000", "user": "U1", "at": "1.0", "what": "look", "edit": False}
    asked = {"user": "U1", "name": "alice", "channel": "C1", "line": "incident list", "response_url": ""}
    rows = [("command", now - 60, "command", json.dumps(asked))]
    rows += [(f"event {n}", now - 50 + n / 100, "event", json.dumps(look)) for n in range(300)]
    with closing(sqlite3.connect(town.folder / "bot.db")) as c, c:
        c.executemany("insert into inbox (key, received_at, kind, payload, verdict) values (?, ?, ?, ?, '')", rows)
    bot = town.start()
    i = INBOX()
    done = sa.select(i.c.key).where(i.c.done_at.is_not(None)).order_by(i.c.done_at)
    until(lambda: bot.captain.requests.waiting() == 0)
    with bot.captain.store.read() as c:
        first = list(c.execute(done.limit(20)).scalars())
    assert "command" in first, "somebody waits for it; for a mark nobody does"


def test_a_mark_is_heard_by_socket_too(town: Town):
    town.config["slack"]["mode"] = "socket"
    bot = town.start()
    until(lambda: town.slack.state()["sockets"] == 1, message="the bot did not connect")
    bot.ask('incident open sev3 docs-api "p95 up"')
    root = until(lambda: town.roots())[0]
    said = town.slack.say("#docs-api", "bob", "one", root["ts"])["ts"]
    town.slack.react("#docs-api", said, "alice", "pushpin")
    until(lambda: marked(bot) == [("bob", "one")])


def test_an_event_that_could_not_be_stored_is_not_taken_so_that_slack_sends_it_again(town: Town, bot, root):
    said = town.slack.say("#docs-api", "bob", "one", root["ts"])["ts"]
    town.slack.request_url = ""
    town.slack.delivery.retry_delays = ()
    town.slack.react("#docs-api", said, "alice", "pushpin")
    assert town.slack.settled()
    town.slack.request_url = f"{bot.url}/slack/events"
    with bot.captain.store.write():  # whoever else wants to write waits
        assert town.slack.redeliver_last()["error"] == "dispatch_failed"
    assert town.slack.redeliver_last()["ok"]
    until(lambda: marked(bot) == [("bob", "one")])
