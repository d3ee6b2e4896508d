"""A timeline as it is read and taken away: whatever was said, it is whole, in order, and nothing in it becomes markup."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.integrations.slack import Message
from bot.integrations.slack.fake_blocks import check_blocks
from handlers.catalogue import Policy
from handlers.timeline import hear, rules, words

NOW = 1_790_000_000.25
CHANNEL = "C012AB3CD"


def incident(**changes):
    times = ("paged_at", "acked_at", "mitigated_at", "resolved_at", "closed_at", "reopened_at")
    row = {
        "number": 7, "title": "it burns", "severity": "sev2", "service": "docs-api", "environment": "prod",
        "status": "triggered", "opened_by": "alice", "opened_at": NOW, "ticket_key": "", "ticket_url": "", "test": False,
        "private": False, **dict.fromkeys(times),
    }  # fmt: skip
    return SimpleNamespace(**(row | changes))


def event(n, text="x", kind="note", actor="alice", ts=None):
    said = {"channel": CHANNEL, "ts": ts, "noted_at": NOW + n} if ts else dict.fromkeys(("channel", "ts", "noted_at"))
    return SimpleNamespace(id=n, at=NOW + n, kind=kind, actor=actor, text=text, **said)


ANYTHING = st.text(max_size=600)
EVENTS = st.lists(st.builds(event, st.integers(0, 200_000), ANYTHING, st.just("note"), ANYTHING), max_size=90)


@given(EVENTS)
def test_whatever_was_said_slack_takes_what_is_shown(events):
    text, blocks = words.shown(incident(), events, of=len(events) + 3)
    assert check_blocks(blocks) == []
    assert len(blocks) <= 50
    assert len(text) < 12_000
    assert "earlier lines" in text
    assert "<" not in text


def test_the_newest_lines_are_kept_with_their_days():
    events = [event(n * 3600, f"line {n}") for n in range(70)]
    text, _ = words.shown(incident(), events[-60:], of=70)
    assert "… 10 earlier lines: `incident export INC-7` has all." in text
    assert "line 9\n" not in text
    assert text.index("line 10\n") < text.index("line 69")
    assert re.findall(r"^\*(\d{4}-\d\d-\d\d)\*$", text, re.MULTILINE) == [
        "2026-09-22",
        "2026-09-23",
        "2026-09-24",
    ]
    assert "`12:13:20` alice: notes: line 22" in text


def test_a_message_stands_in_quotes_and_a_long_one_says_where_its_end_is():
    events = [
        event(1, "a\nb", "message", "bob", "1.000001"),
        event(2, "y" * 900),
        event(3, "by dora", "acknowledged", "dora"),
    ]
    text, _ = words.shown(incident(), events, of=3)
    assert "bob: “a b”" in text
    assert "dora: acknowledged by dora" in text
    assert "What ends with … is longer: `incident export INC-7` has the whole." in text


@given(st.text(max_size=300), st.lists(st.tuples(ANYTHING, ANYTHING), max_size=8))
def test_markdown_has_a_row_for_each_line_and_no_text_is_markup(title, said):
    events = [event(n, text, actor=who) for n, (text, who) in enumerate(said)]
    made = words.as_markdown(incident(title=title), events, [])
    table = [line for line in made.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(events)
    for line in table[2:]:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 5


@given(st.lists(st.tuples(ANYTHING, ANYTHING), max_size=8))
def test_json_gives_back_every_word_and_every_time_in_utc(said):
    events = [event(n, text, actor=who, ts=f"{n}.000001") for n, (text, who) in enumerate(said)]
    made = json.loads(words.as_json(words.data(incident(resolved_at=NOW), events, [])))
    assert [(one["text"], one["who"]) for one in made["timeline"]] == said
    assert made["incident"]["resolved_at"] == "2026-09-21T14:13:20.250Z"
    assert made["incident"]["closed_at"] is None
    assert [one["message"]["ts"] for one in made["timeline"]] == [f"{n}.000001" for n in range(len(said))]


def message(text="", **changes):
    return Message(CHANNEL, "1.000001", text, **changes)


@pytest.mark.parametrize(
    ("found", "emoji", "wanted"),
    [
        (message(reactions={"pushpin": 2}), "pushpin", True),
        (message(reactions={"eyes": 2}), "pushpin", False),
        (message(pinned=True), "pushpin", True),
        (message(pinned=True), "", True),
        (message(reactions={"": 1}), "", False),
        (message(pinned=True, reactions={"pushpin": 1}, ours=True), "pushpin", False),
    ],
)
def test_what_counts_as_marked(found, emoji, wanted):
    assert rules.is_marked(found, emoji) is wanted


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (message("see <@U024BE7LH> &amp; co"), "see @bob & co"),
        (message("graph", files=["a.png", "b.txt"]), "graph\n[files: a.png, b.txt]"),
        (message("", files=["a.png"]), "[file: a.png]"),
        (message("  "), "(no text)"),
        (message("a\0b"), "a\ufffdb"),
    ],
)
def test_what_a_message_says(found, said):
    assert rules.said(found, {"U024BE7LH": "bob"}) == said


POLICY = Policy(declare_emoji="fire")
REACTION = {"type": "reaction_added", "user": "U1", "reaction": "pushpin", "event_ts": "2.000001"}
ITEM = {"type": "message", "channel": CHANNEL, "ts": "1.000001"}


def test_of_a_reaction_only_the_two_emoji_are_heard():
    asked = hear.read(POLICY, {**REACTION, "item": ITEM})
    assert asked == {
        "channel": CHANNEL, "ts": "1.000001", "user": "U1", "at": "2.000001", "what": "look", "edit": False,
    }  # fmt: skip
    fire = hear.read(POLICY, {**REACTION, "reaction": "fire::skin-tone-2", "item": ITEM})
    assert fire is not None
    assert (fire["what"], fire["emoji"]) == ("declare", "fire")
    assert hear.read(POLICY, {**REACTION, "reaction": "fire", "type": "reaction_removed", "item": ITEM}) is None
    assert hear.read(POLICY, {**REACTION, "reaction": "eyes", "item": ITEM}) is None
    assert hear.read(POLICY, {**REACTION, "item": {"type": "file", "file": "F1"}}) is None


def test_of_messages_only_changed_words_and_deletions_are_heard():
    def read(subtype, **more):
        return hear.read(POLICY, {"type": "message", "subtype": subtype, "channel": CHANNEL, **more})

    old = {"ts": "1.000001", "text": "a", "user": "U1"}
    assert hear.read(POLICY, {"type": "message", "channel": CHANNEL, "ts": "1.000001", "text": "a"}) is None
    assert read("message_changed", message={**old, "text": "b"}, previous_message=old)["edit"] is True
    assert read("message_changed", message={**old, "reply_count": 2}, previous_message=old) is None
    assert read("message_deleted", deleted_ts="1.000001", previous_message=old)["ts"] == "1.000001"
    assert read("channel_join", ts="1.000001") is None


JUNK = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.dictionaries(
    st.sampled_from(["type", "item", "message", "channel", "channel_id", "ts", "user", "reaction", "subtype", "deleted_ts"]),
    inner, max_size=5,
), max_leaves=8)  # fmt: skip


@given(JUNK, JUNK, st.sampled_from(["reaction_added", "pin_added", "pin_removed", "message"]), JUNK)
def test_no_event_breaks_the_reader(item, inner, kind, text):
    event = {"type": kind, "item": item, "message": inner, "reaction": "pushpin", "subtype": "message_changed"}
    read = hear.read(POLICY, {**event, "channel": text, "channel_id": text, "previous_message": text})
    assert read is None or re.fullmatch(r"\d+\.\d+", read["ts"])
