"""What Block Kit refuses, one rule a row, told with the pointer to the place; and what it takes."""

from __future__ import annotations

import pytest
from slack_sdk.errors import SlackApiError

from bot.integrations.slack.fake_blocks import check_blocks, check_view


def mrkdwn(text: str) -> dict:
    return {"type": "mrkdwn", "text": text}


def plain(text: str) -> dict:
    return {"type": "plain_text", "text": text}


def section(text: str = "x", **more) -> dict:
    return {"type": "section", "text": mrkdwn(text), **more}


def button(n: int = 0, **more) -> dict:
    return {"type": "button", "text": plain("ok"), "action_id": f"a{n}", **more}


def actions(*elements: dict, **more) -> dict:
    return {"type": "actions", "elements": list(elements), **more}


def option(n: int, text: str = "x") -> dict:
    return {"text": plain(text), "value": str(n)}


def select(count: int = 2, **more) -> dict:
    return {"type": "static_select", "action_id": "s", "options": [option(n) for n in range(count)], **more}


def entry(element: dict, **more) -> dict:
    return {"type": "input", "label": plain("Label"), "element": element, **more}


TEXT_INPUT = {"type": "plain_text_input", "action_id": "t"}

FINE = [
    section(),
    section("x" * 3000),
    {"type": "section", "fields": [mrkdwn("x" * 2000)] * 10},
    section(accessory=button()),
    section(accessory=select(100)),
    {"type": "header", "text": plain("x" * 150)},
    {"type": "divider"},
    {"type": "context", "elements": [mrkdwn("x")] * 10},
    actions(*[button(n) for n in range(25)]),
    actions(button(value="x" * 2000, style="danger", url="https://example.com")),
    actions(select(), {"type": "overflow", "action_id": "o", "options": [option(1)]}),
    actions({"type": "users_select", "action_id": "u", "placeholder": plain("who")}),
    actions({"type": "datepicker", "action_id": "d", "initial_date": "2026-01-31"}),
    actions({"type": "checkboxes", "action_id": "c", "options": [{"text": mrkdwn("*x*"), "value": "1"}]}),
    {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"},
    {"type": "markdown", "text": "# x"},
    {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}]},
    entry(TEXT_INPUT, optional=True, hint=plain("h")),
]

WRONG = [
    ("unknown block", {"type": "sektion"}, "unsupported type: sektion", "/0/type"),
    ("no type", {"text": plain("x")}, "unsupported type: None", "/0/type"),
    ("not a block", "text", "unsupported type: None", "/0/type"),
    ("long section", section("x" * 3001), "must be less than 3001 characters", "/0/text/text"),
    ("long section, told twice", section("x" * 3001), "failed to match all allowed schemas", "/0/text"),
    ("empty section text", section(""), "must be more than 0 characters", "/0/text/text"),
    ("bare section", {"type": "section"}, "must define either `text` or `fields`", "/0/type"),
    ("long header", {"type": "header", "text": plain("x" * 151)}, "must be less than 151 characters", "/0/text/text"),
    ("mrkdwn header", {"type": "header", "text": mrkdwn("x")}, "must be a valid enum value", "/0/text/type"),
    ("header without text", {"type": "header"}, "missing required field: text", "/0"),
    ("text for an object", {"type": "header", "text": "x"}, "must provide an object", "/0/text"),
    ("number for a text", section() | {"text": {"type": "mrkdwn", "text": 1}}, "must provide a string", "/0/text/text"),
    ("eleven fields", {"type": "section", "fields": [mrkdwn("x")] * 11}, "no more than 10 items allowed", "/0/fields"),
    (
        "long field",
        {"type": "section", "fields": [mrkdwn("x" * 2001)]},
        "must be less than 2001 characters",
        "/0/fields/0/text",
    ),
    ("26 actions", actions(*[button(n) for n in range(26)]), "no more than 25 items allowed", "/0/elements"),
    ("no actions", actions(), "no fewer than 1 items allowed", "/0/elements"),
    (
        "11 in context",
        {"type": "context", "elements": [mrkdwn("x")] * 11},
        "no more than 10 items allowed",
        "/0/elements",
    ),
    (
        "button in context",
        {"type": "context", "elements": [button()]},
        "unsupported type: button",
        "/0/elements/0/type",
    ),
    (
        "long button",
        actions(button() | {"text": plain("x" * 76)}),
        "must be less than 76 characters",
        "/0/elements/0/text/text",
    ),
    (
        "mrkdwn button",
        actions(button() | {"text": mrkdwn("x")}),
        "must be a valid enum value",
        "/0/elements/0/text/type",
    ),
    ("long value", actions(button(value="x" * 2001)), "must be less than 2001 characters", "/0/elements/0/value"),
    ("bad style", actions(button(style="green")), "must be a valid enum value", "/0/elements/0/style"),
    (
        "same action_id in a block",
        actions(button(), button()),
        "`action_id` already exists: a0",
        "/0/elements/1/action_id",
    ),
    ("101 options", actions(select(101)), "no more than 100 items allowed", "/0/elements/0/options"),
    (
        "no options",
        actions({"type": "static_select", "action_id": "s"}),
        "must define either `options` or `option_groups`",
        "/0/elements/0",
    ),
    (
        "six in overflow",
        actions({"type": "overflow", "action_id": "o", "options": [option(n) for n in range(6)]}),
        "no more than 5 items allowed",
        "/0/elements/0/options",
    ),
    (
        "eleven checkboxes",
        actions({"type": "checkboxes", "action_id": "c", "options": [option(n) for n in range(11)]}),
        "no more than 10 items allowed",
        "/0/elements/0/options",
    ),
    (
        "long option",
        actions(select() | {"options": [option(1, "x" * 76)]}),
        "must be less than 76 characters",
        "/0/elements/0/options/0/text/text",
    ),
    (
        "no such date",
        actions({"type": "datepicker", "action_id": "d", "initial_date": "today"}),
        "must be a valid date (YYYY-MM-DD)",
        "/0/elements/0/initial_date",
    ),
    ("text input among actions", actions(TEXT_INPUT), "unsupported type: plain_text_input", "/0/elements/0/type"),
    ("button as input", entry(button()), "unsupported type: button", "/0/element/type"),
    ("long block_id", section(block_id="x" * 256), "must be less than 256 characters", "/0/block_id"),
    ("stray property", section(colour="red"), "invalid additional property: colour", "/0"),
    (
        "stray property of a text",
        section() | {"text": mrkdwn("x") | {"bold": True}},
        "invalid additional property: bold",
        "/0/text",
    ),
    ("image without alt", {"type": "image", "image_url": "https://x/y"}, "missing required field: alt_text", "/0"),
]


@pytest.mark.parametrize("block", FINE, ids=[f"{i}-{b['type']}" for i, b in enumerate(FINE)])
def test_taken(block):
    assert check_blocks([block]) == []


@pytest.mark.parametrize(("block", "words", "pointer"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_refused(block, words, pointer):
    assert f"{words} [json-pointer:/blocks{pointer}]" in check_blocks([block])


def test_fifty_blocks_are_the_most_and_ids_come_once():
    assert check_blocks([section()] * 50) == []
    assert check_blocks([section()] * 51) == ["no more than 50 items allowed [json-pointer:/blocks]"]
    twice = [section(block_id="a"), section(block_id="b"), section(block_id="a")]
    assert check_blocks(twice) == ["`block_id` already exists: a [json-pointer:/blocks/2/block_id]"]


def test_the_same_action_id_may_come_back_in_another_block():
    assert check_blocks([actions(button()), actions(button()), section(accessory=button())]) == []


def test_the_refusal_reaches_the_sdk_with_its_details(slack, web):
    with pytest.raises(SlackApiError) as no:
        web.chat_postMessage(channel="#general", text="x", blocks=[section("x" * 3001)])
    answer = no.value.response
    assert answer["error"] == "invalid_blocks"
    assert "must be less than 3001 characters [json-pointer:/blocks/0/text/text]" in answer["errors"]
    assert (
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
        in answer["response_metadata"]["messages"]
    )
    assert slack.texts() == []


def test_blocks_that_together_are_too_long(slack, web):
    web.chat_postMessage(channel="#general", text="x", blocks=[section("x" * 2900)] * 4)
    with pytest.raises(SlackApiError, match="msg_blocks_too_long"):
        web.chat_postMessage(channel="#general", text="x", blocks=[section("x" * 2900)] * 5)


MODAL = {"type": "modal", "title": plain("Open"), "submit": plain("Go"), "blocks": [entry(TEXT_INPUT)]}
BAD_VIEWS = [
    (MODAL | {"title": plain("x" * 25)}, "must be less than 25 characters [json-pointer:/view/title/text]"),
    (
        MODAL | {"submit": None},
        "must define `submit` to use an `input` block in modals [json-pointer:/view/blocks/0/input]",
    ),
    (
        MODAL | {"private_metadata": "x" * 3001},
        "must be less than 3001 characters [json-pointer:/view/private_metadata]",
    ),
    (MODAL | {"blocks": [section()] * 101}, "no more than 100 items allowed [json-pointer:/view/blocks]"),
    (MODAL | {"type": "dialog"}, "must be a valid enum value [json-pointer:/view/type]"),
    ({"type": "modal", "blocks": []}, "missing required field: title [json-pointer:/view]"),
    ({"type": "home", "blocks": [], "title": plain("x")}, "invalid additional property: title [json-pointer:/view]"),
    ("{", "must provide an object [json-pointer:/view]"),
]


@pytest.mark.parametrize(("view", "words"), BAD_VIEWS, ids=range(len(BAD_VIEWS)))
def test_refused_views(view, words):
    assert words in check_view(view)


def test_taken_views():
    assert check_view(MODAL) == []
    assert check_view({"type": "home", "blocks": [section(), actions(button())]}) == []
