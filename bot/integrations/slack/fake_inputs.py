"""What a person does to the elements of a message or a view: the value each element then has, in Slack's shape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bot.integrations.slack.fake_blocks import TYPED, elements_of

Value = dict[str, Any]

_KEYS = {
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "users_select": ("selected_user", "initial_user"),
    "channels_select": ("selected_channel", "initial_channel"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "multi_static_select": ("selected_options", "initial_options"),
    "checkboxes": ("selected_options", "initial_options"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    **dict.fromkeys(TYPED, ("value", "initial_value")),
}
"""Element type to the field that holds its value and the field it starts from."""
_MANY = {kind for kind, (key, _) in _KEYS.items() if key.endswith("s")}


def initial_inputs(blocks: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Value]]:
    """``state.values`` before anybody touched anything: every element that holds a value is in it."""
    out: dict[str, dict[str, Value]] = {}
    for block in blocks:
        for part in elements_of(block):
            if part["type"] in _KEYS:
                key, start = _KEYS[part["type"]]
                empty: Any = [] if part["type"] in _MANY else None
                out.setdefault(block["block_id"], {})[part["action_id"]] = {
                    "type": part["type"],
                    key: part.get(start, empty),
                }
    return out


def _options(part: Mapping[str, Any]) -> list[Value]:
    grouped = [option for group in part.get("option_groups") or [] for option in group["options"]]
    return [*(part.get("options") or []), *grouped]


def value_of(part: Mapping[str, Any], given: Any) -> Value | None:
    """The value of an element after a person chose or typed ``given``; None when the element does not offer that.

    Options are given by their ``value``, people and channels by id; what takes several takes a list; a value already in
    Slack's shape passes.
    """
    kind = part["type"]
    if isinstance(given, dict) and "type" in given:
        return dict(given)
    key = "selected_option" if kind == "overflow" else _KEYS[kind][0]
    if key in ("selected_option", "selected_options"):
        return _chosen(part, kind, key, given)
    if key == "selected_date" and not (given is None or re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(given))):
        return None
    if key == "selected_time" and not (given is None or re.fullmatch(r"\d{2}:\d{2}", str(given))):
        return None
    if kind in _MANY:
        return {"type": kind, key: [given] if isinstance(given, str) else list(given or [])}
    return {"type": kind, key: given}


def _chosen(part: Mapping[str, Any], kind: str, key: str, given: Any) -> Value | None:
    wanted = [given] if isinstance(given, str) else list(given or [])
    offered = {option["value"]: option for option in _options(part)}
    if not all(name in offered for name in wanted):
        return None
    rows = [offered[name] for name in wanted]
    if key == "selected_options":
        return {"type": kind, key: rows}
    if len(rows) > 1 or (not rows and kind == "overflow"):
        return None
    return {"type": kind, key: rows[0] if rows else None}


def action_of(part: Mapping[str, Any], block_id: str, given: Any, ts: str) -> tuple[Value, Value | None] | None:
    """The entry of ``actions`` for a press and the element's new value (None for what holds none); None when impossible."""
    action: Value = {"type": part["type"], "action_id": part["action_id"], "block_id": block_id, "action_ts": ts}
    if part["type"] == "button":
        for name in ("text", "value", "style", "url"):
            if name in part:
                action[name] = part[name]
        return action, None
    value = value_of(part, given)
    if value is None:
        return None
    if "placeholder" in part:
        action["placeholder"] = part["placeholder"]
    action |= {name: content for name, content in value.items() if name != "type"}
    return action, None if part["type"] == "overflow" else value


def find_element(
    blocks: Iterable[Mapping[str, Any]], action_id: str, block_id: str | None
) -> tuple[Mapping[str, Any], Value] | None:
    """The block and the element with that action_id, in ``block_id`` when it is given."""
    for block in blocks:
        if block_id is None or block.get("block_id") == block_id:
            for part in elements_of(block):
                if part.get("action_id") == action_id:
                    return block, part
    return None


def missing(blocks: Iterable[Mapping[str, Any]], values: Mapping[str, Mapping[str, Value]]) -> dict[str, str]:
    """What Slack itself refuses before it submits a modal: block_id to its words."""
    out: dict[str, str] = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        part = block["element"]
        key, _ = _KEYS[part["type"]]
        content = values[block["block_id"]][part["action_id"]].get(key)
        if content in (None, "", []):
            if not block.get("optional"):
                out[block["block_id"]] = "Please complete this required field."
        elif isinstance(content, str) and part["type"] == "plain_text_input":
            if len(content) < part.get("min_length", 0):
                out[block["block_id"]] = f"Please enter at least {part['min_length']} characters."
            elif len(content) > part.get("max_length", 3000):
                out[block["block_id"]] = f"Please use at most {part.get('max_length', 3000)} characters."
        elif part["type"] == "number_input" and not re.fullmatch(r"-?\d+(\.\d+)?", str(content)):
            out[block["block_id"]] = "Please enter a number."
    return out
