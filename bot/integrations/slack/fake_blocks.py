"""What Block Kit accepts: checks blocks and views and says what is wrong in Slack's words, each with its JSON pointer."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MESSAGE_BLOCK_CHARACTERS = 13_200
"""Serialised blocks of one message. Not documented; seen as ``msg_blocks_too_long`` from about this size on."""
VIEW_BYTES = 250_000

Field = Callable[[Any, str, list[str]], None]
"""Checks one value at a JSON pointer and adds what is wrong to the list."""


@dataclass(frozen=True)
class Shape:
    """An object: which fields it may have, and which it must have."""

    fields: Mapping[str, Field]
    required: tuple[str, ...] = ()
    also: Callable[[Mapping[str, Any], str, list[str]], None] | None = None


def wrong(found: list[str], words: str, at: str) -> None:
    found.append(f"{words} [json-pointer:{at}]")


def string(most: int, least: int = 0) -> Field:
    def check(value: Any, at: str, found: list[str]) -> None:
        if not isinstance(value, str):
            wrong(found, "must provide a string", at)
        elif len(value) > most:
            wrong(found, f"must be less than {most + 1} characters", at)
        elif len(value) < least:
            wrong(found, f"must be more than {least - 1} characters", at)

    return check


def matching(pattern: str, words: str) -> Field:
    def check(value: Any, at: str, found: list[str]) -> None:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            wrong(found, words, at)

    return check


def boolean(value: Any, at: str, found: list[str]) -> None:
    if not isinstance(value, bool):
        wrong(found, "must provide a boolean", at)


def integer(value: Any, at: str, found: list[str]) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        wrong(found, "must provide a number", at)


def anything(value: Any, at: str, found: list[str]) -> None:
    """Accepted unseen: fields the bot never sends."""


def one_of(*allowed: str) -> Field:
    def check(value: Any, at: str, found: list[str]) -> None:
        if value not in allowed:
            wrong(found, "must be a valid enum value", at)

    return check


def items(check_item: Field, *, least: int = 1, most: int) -> Field:
    def check(value: Any, at: str, found: list[str]) -> None:
        if not isinstance(value, list):
            wrong(found, "must provide an array", at)
        elif len(value) > most:
            wrong(found, f"no more than {most} items allowed", at)
        elif len(value) < least:
            wrong(found, f"no fewer than {least} items allowed", at)
        else:
            for i, item in enumerate(value):
                check_item(item, f"{at}/{i}", found)

    return check


def shaped(value: Any, at: str, found: list[str], shape: Shape) -> None:
    if not isinstance(value, dict):
        wrong(found, "must provide an object", at)
        return
    for name in shape.required:
        if value.get(name) is None:
            wrong(found, f"missing required field: {name}", at)
    for name, content in value.items():
        if name not in shape.fields:
            wrong(found, f"invalid additional property: {name}", at)
        elif content is not None or name not in shape.required:
            shape.fields[name](content, f"{at}/{name}", found)
    if shape.also is not None:
        shape.also(value, at, found)


def obj(shape: Shape) -> Field:
    return lambda value, at, found: shaped(value, at, found, shape)


def text(most: int, *, plain: bool = False) -> Field:
    """A text object of 1 to ``most`` characters; ``plain`` refuses mrkdwn."""
    kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
    shape = Shape(
        {"type": one_of(*kinds), "text": string(most, 1), "emoji": boolean, "verbatim": boolean}, ("type", "text")
    )

    def check(value: Any, at: str, found: list[str]) -> None:
        inner: list[str] = []
        shaped(value, at, inner, shape)
        if inner and not plain:
            wrong(found, "failed to match all allowed schemas", at)
        found.extend(inner)

    return check


def _needs_choices(value: Mapping[str, Any], at: str, found: list[str]) -> None:
    if ("options" in value) == ("option_groups" in value):
        wrong(found, "must define either `options` or `option_groups`", at)


def _option(*, mrkdwn: bool = False) -> Field:
    fields = {
        "text": text(75, plain=not mrkdwn),
        "value": string(150),
        "description": text(75, plain=not mrkdwn),
        "url": string(3000),
    }
    return obj(Shape(fields, ("text", "value")))


_CONFIRM = obj(
    Shape(
        {
            "title": text(100, plain=True),
            "text": text(300),
            "confirm": text(30, plain=True),
            "deny": text(30, plain=True),
            "style": one_of("primary", "danger"),
        },
        ("title", "text", "confirm", "deny"),
    )
)
_BASE: dict[str, Field] = {
    "type": anything,
    "action_id": string(255, 1),
    "confirm": _CONFIRM,
    "focus_on_load": boolean,
}
_PLACEHOLDER: dict[str, Field] = {"placeholder": text(150, plain=True)}
_STRINGS = items(string(255, 1), least=0, most=100)
_GROUP = obj(Shape({"label": text(75, plain=True), "options": items(_option(), most=100)}, ("label", "options")))
_CHOICES: dict[str, Field] = {"options": items(_option(), most=100), "option_groups": items(_GROUP, most=100)}
_DATE = matching(r"\d{4}-\d{2}-\d{2}", "must be a valid date (YYYY-MM-DD)")
_TIME = matching(r"\d{2}:\d{2}", "must be a valid time (HH:mm)")


def _pick(initial: str, check: Field, *, many: bool = False) -> Shape:
    extra: dict[str, Field] = {"max_selected_items": integer} if many else {}
    passes: dict[str, Field] = {
        "filter": anything,
        "response_url_enabled": boolean,
        "default_to_current_conversation": boolean,
    }
    return Shape({**_BASE, **_PLACEHOLDER, **extra, **passes, initial: check})


def _typed(**more: Field) -> Shape:
    return Shape({**_BASE, **_PLACEHOLDER, "dispatch_action_config": anything, **more})


ELEMENTS: dict[str, Shape] = {
    "button": Shape(
        {
            **_BASE,
            "text": text(75, plain=True),
            "value": string(2000),
            "url": string(3000),
            "style": one_of("primary", "danger"),
            "accessibility_label": string(75),
        },
        ("text",),
    ),
    "static_select": Shape({**_BASE, **_PLACEHOLDER, **_CHOICES, "initial_option": _option()}, (), _needs_choices),
    "multi_static_select": Shape(
        {
            **_BASE,
            **_PLACEHOLDER,
            **_CHOICES,
            "initial_options": items(_option(), most=100),
            "max_selected_items": integer,
        },
        (),
        _needs_choices,
    ),
    "external_select": _pick("initial_option", _option()),
    "users_select": _pick("initial_user", string(255, 1)),
    "channels_select": _pick("initial_channel", string(255, 1)),
    "conversations_select": _pick("initial_conversation", string(255, 1)),
    "multi_users_select": _pick("initial_users", _STRINGS, many=True),
    "multi_channels_select": _pick("initial_channels", _STRINGS, many=True),
    "multi_conversations_select": _pick("initial_conversations", _STRINGS, many=True),
    "overflow": Shape({**_BASE, "options": items(_option(), most=5)}, ("options",)),
    "checkboxes": Shape(
        {
            **_BASE,
            "options": items(_option(mrkdwn=True), most=10),
            "initial_options": items(_option(mrkdwn=True), most=10),
        },
        ("options",),
    ),
    "radio_buttons": Shape(
        {**_BASE, "options": items(_option(mrkdwn=True), most=10), "initial_option": _option(mrkdwn=True)}, ("options",)
    ),
    "datepicker": Shape({**_BASE, **_PLACEHOLDER, "initial_date": _DATE}),
    "timepicker": Shape({**_BASE, **_PLACEHOLDER, "initial_time": _TIME, "timezone": string(255)}),
    "datetimepicker": Shape({**_BASE, "initial_date_time": integer}),
    "plain_text_input": _typed(initial_value=string(3000), multiline=boolean, min_length=integer, max_length=integer),
    "email_text_input": _typed(initial_value=string(3000)),
    "url_text_input": _typed(initial_value=string(3000)),
    "number_input": _typed(
        initial_value=string(3000), is_decimal_allowed=boolean, min_value=string(255), max_value=string(255)
    ),
    "image": Shape(
        {"type": anything, "image_url": string(3000, 1), "alt_text": string(2000, 1)}, ("image_url", "alt_text")
    ),
}
TYPED = {"plain_text_input", "email_text_input", "url_text_input", "number_input"}
"""Elements that stand in an input block alone."""
CHOOSERS = set(ELEMENTS) - TYPED - {"image"}
"""Elements that a person can press or choose from in a message."""


def element(*kinds: str) -> Field:
    def check(value: Any, at: str, found: list[str]) -> None:
        kind = value.get("type") if isinstance(value, dict) else None
        if kind in ("mrkdwn", "plain_text") and kind in kinds:
            text(3000)(value, at, found)
        elif kind not in kinds:
            wrong(found, f"unsupported type: {kind}", f"{at}/type")
        else:
            shaped(value, at, found, ELEMENTS[str(kind)])

    return check


def _text_or_fields(value: Mapping[str, Any], at: str, found: list[str]) -> None:
    if value.get("text") is None and value.get("fields") is None:
        wrong(found, "must define either `text` or `fields`", f"{at}/type")


def _unique_actions(value: Mapping[str, Any], at: str, found: list[str]) -> None:
    """Slack holds action_id to be unique within its block; the same one may come back in another block."""
    seen: set[str] = set()
    for i, part in enumerate(value.get("elements") or []):
        name = part.get("action_id") if isinstance(part, dict) else None
        if name in seen:
            wrong(found, f"`action_id` already exists: {name}", f"{at}/elements/{i}/action_id")
        if isinstance(name, str):
            seen.add(name)


_BLOCK: dict[str, Field] = {"type": anything, "block_id": string(255)}
_RICH = ("rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote")


def _rich(value: Any, at: str, found: list[str]) -> None:
    if not isinstance(value, dict) or value.get("type") not in _RICH:
        wrong(found, f"unsupported type: {value.get('type') if isinstance(value, dict) else None}", f"{at}/type")
    elif not isinstance(value.get("elements"), list):
        wrong(found, "missing required field: elements", at)


BLOCKS: dict[str, Shape] = {
    "section": Shape(
        {
            **_BLOCK,
            "text": text(3000),
            "fields": items(text(2000), most=10),
            "accessory": element("image", *CHOOSERS),
            "expand": boolean,
        },
        (),
        _text_or_fields,
    ),
    "header": Shape({**_BLOCK, "text": text(150, plain=True)}, ("text",)),
    "divider": Shape(_BLOCK),
    "context": Shape({**_BLOCK, "elements": items(element("image", "mrkdwn", "plain_text"), most=10)}, ("elements",)),
    "actions": Shape({**_BLOCK, "elements": items(element(*CHOOSERS), most=25)}, ("elements",), _unique_actions),
    "input": Shape(
        {
            **_BLOCK,
            "label": text(2000, plain=True),
            "element": element(*TYPED, *(CHOOSERS - {"button", "overflow"})),
            "hint": text(2000, plain=True),
            "optional": boolean,
            "dispatch_action": boolean,
        },
        ("label", "element"),
    ),
    "image": Shape(
        {**_BLOCK, "image_url": string(3000, 1), "alt_text": string(2000, 1), "title": text(2000, plain=True)},
        ("image_url", "alt_text"),
    ),
    "markdown": Shape({**_BLOCK, "text": string(12_000, 1)}, ("text",)),
    "rich_text": Shape({**_BLOCK, "elements": items(_rich, most=100)}, ("elements",)),
}


def check_blocks(blocks: Any, *, at: str = "/blocks", most: int = MESSAGE_BLOCKS, least: int = 0) -> list[str]:
    """What Slack finds wrong with these blocks, in its words; empty when it would take them."""
    found: list[str] = []
    ids: set[str] = set()

    def block(value: Any, here: str, problems: list[str]) -> None:
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in BLOCKS:
            wrong(problems, f"unsupported type: {kind}", f"{here}/type")
            return
        shaped(value, here, problems, BLOCKS[kind])
        name = value.get("block_id")
        if name and name in ids:
            wrong(problems, f"`block_id` already exists: {name}", f"{here}/block_id")
        if isinstance(name, str):
            ids.add(name)

    items(block, least=least, most=most)(blocks, at, found)
    return found


def check_view(view: Any) -> list[str]:
    """What Slack finds wrong with a modal or a home tab."""
    if not isinstance(view, dict):
        return ["must provide an object [json-pointer:/view]"]
    found: list[str] = []
    kind = view.get("type")
    common: dict[str, Field] = {
        "type": one_of("modal", "home"),
        "blocks": lambda value, at, out: out.extend(check_blocks(value, at=at, most=VIEW_BLOCKS)),
        "private_metadata": string(3000),
        "callback_id": string(255),
        "external_id": string(255),
    }
    short = text(24, plain=True)
    modal: dict[str, Field] = {
        "title": short,
        "submit": short,
        "close": short,
        "clear_on_close": boolean,
        "notify_on_close": boolean,
        "submit_disabled": boolean,
    }
    if kind == "modal":
        shaped(view, "/view", found, Shape({**common, **modal}, ("type", "title", "blocks")))
        for i, block in enumerate(view["blocks"] if isinstance(view.get("blocks"), list) else []):
            if isinstance(block, dict) and block.get("type") == "input" and not view.get("submit"):
                wrong(found, "must define `submit` to use an `input` block in modals", f"/view/blocks/{i}/input")
    else:
        shaped(view, "/view", found, Shape(common, ("type", "blocks")))
    return found


def too_long(blocks: list[dict[str, Any]]) -> bool:
    """True when a message's blocks together are more than Slack stores."""
    return len(json.dumps(blocks, ensure_ascii=False)) > MESSAGE_BLOCK_CHARACTERS


def with_ids(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks as Slack keeps them: a block_id for each, an action_id for each element that lacks one."""
    kept: list[dict[str, Any]] = json.loads(json.dumps(blocks))
    for block in kept:
        if not block.get("block_id"):
            block["block_id"] = secrets.token_urlsafe(4)[:5]
        for part in elements_of(block):
            if part["type"] in ELEMENTS and part["type"] != "image":
                part.setdefault("action_id", secrets.token_urlsafe(4)[:5])
    return kept


def elements_of(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The elements of a block, wherever they stand in it."""
    parts = [block.get("accessory"), block.get("element")]
    if block.get("type") in ("actions", "context"):
        parts.extend(block.get("elements") or [])
    return [part for part in parts if isinstance(part, dict)]
