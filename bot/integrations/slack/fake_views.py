"""The stand-in's modals and home tabs: opened by a trigger within three seconds, stacked three deep, checked like messages."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from bot.integrations.slack.fake_api import Ask, Method, SlackError, refuse_blocks
from bot.integrations.slack.fake_blocks import VIEW_BYTES, check_view, with_ids
from bot.integrations.slack.fake_inputs import initial_inputs
from bot.integrations.slack.fake_world import View, World, stable_id

STACK = 3


def checked_view(ask: Ask, kind: str) -> dict[str, Any]:
    view = ask.json("view", "invalid_arguments")
    refuse_blocks("invalid_arguments", check_view(view))
    if view["type"] != kind:
        refuse_blocks("invalid_arguments", ["must be a valid enum value [json-pointer:/view/type]"])
    if len(json.dumps(view)) > VIEW_BYTES:
        raise SlackError("view_too_large")
    return dict(view) | {"blocks": with_ids(view["blocks"])}


def view_json(world: World, view: View) -> dict[str, Any]:
    """A view as Slack shows it to the app, with the state of every input."""
    body = view.body
    out: dict[str, Any] = {
        "id": view.id,
        "team_id": world.team,
        "type": body["type"],
        "blocks": body["blocks"],
        "private_metadata": body.get("private_metadata", ""),
        "callback_id": body.get("callback_id", ""),
        "external_id": body.get("external_id", ""),
        "state": {"values": view.inputs},
        "hash": view.hash,
        "clear_on_close": body.get("clear_on_close", False),
        "notify_on_close": body.get("notify_on_close", False),
        "title": body.get("title"),
        "submit": body.get("submit"),
        "close": body.get("close"),
        "root_view_id": view.root_id,
        "previous_view_id": view.previous_id or None,
        "app_id": world.app_id,
        "app_installed_team_id": world.team,
        "bot_id": world.bot_id,
    }
    return json.loads(json.dumps(out))  # type: ignore[no-any-return]


def new_hash() -> str:
    return f"{int(time.time())}.{secrets.token_hex(4)}"


def take_trigger(world: World, ask: Ask) -> tuple[str, str]:
    """The person and the view behind a trigger, which is then spent."""
    trigger = world.triggers.get(ask.text("trigger_id"))
    if trigger is None:
        raise SlackError("invalid_trigger_id")
    if trigger.used:
        raise SlackError("exchanged_trigger_id")
    if time.time() > trigger.until:
        raise SlackError("expired_trigger_id")
    return trigger.user, trigger.view_id


def spend_trigger(world: World, ask: Ask) -> None:
    world.triggers[ask.text("trigger_id")].used = True


def stack_of(world: World, user: str) -> list[View]:
    """The modals a person has open, the topmost last."""
    return [view for view in world.views.values() if view.user == user]


def check_external_id(world: World, body: dict[str, Any]) -> None:
    external = body.get("external_id")
    if external and any(v.body.get("external_id") == external for v in world.views.values()):
        raise SlackError("duplicate_external_id")


def put_view(world: World, user: str, body: dict[str, Any], *, below: View | None = None) -> View:
    check_external_id(world, body)
    world.serial += 1
    name = stable_id("V", f"{user}/{world.serial}")
    view = View(name, user, body, new_hash(), below.root_id if below else name, below.id if below else "")
    view.inputs = initial_inputs(body["blocks"])
    world.views[name] = view
    world.touch()
    return view


def replace_body(world: World, view: View, body: dict[str, Any]) -> None:
    """Change a view in place; what was typed stays where block_id and action_id stay."""
    view.body, view.hash = body, new_hash()
    fresh = initial_inputs(body["blocks"])
    for block, actions in fresh.items():
        for action in actions:
            kept = view.inputs.get(block, {}).get(action)
            if kept and kept["type"] == actions[action]["type"]:
                actions[action] = kept
    view.inputs = fresh
    world.touch()


def open_view(world: World, ask: Ask) -> dict[str, Any]:
    user, _ = take_trigger(world, ask)
    body = checked_view(ask, "modal")
    check_external_id(world, body)
    spend_trigger(world, ask)
    for old in stack_of(world, user):
        del world.views[old.id]
    return {"view": view_json(world, put_view(world, user, body))}


def push_view(world: World, ask: Ask) -> dict[str, Any]:
    user, _ = take_trigger(world, ask)
    body = checked_view(ask, "modal")
    stack = stack_of(world, user)
    if not stack:
        raise SlackError("not_found")
    if len(stack) >= STACK:
        raise SlackError("push_limit_reached")
    check_external_id(world, body)
    spend_trigger(world, ask)
    return {"view": view_json(world, put_view(world, user, body, below=stack[-1]))}


def update_view(world: World, ask: Ask) -> dict[str, Any]:
    name, external = ask.text("view_id"), ask.text("external_id")
    body = checked_view(ask, "modal")
    found = world.views.get(name)
    if found is None and external:
        found = next((v for v in world.views.values() if v.body.get("external_id") == external), None)
    if found is None:
        raise SlackError("not_found")
    if ask.text("hash") and ask.text("hash") != found.hash:
        raise SlackError("hash_conflict")
    replace_body(world, found, body)
    return {"view": view_json(world, found)}


def publish_view(world: World, ask: Ask) -> dict[str, Any]:
    user = ask.text("user_id")
    if user not in world.users or user == world.bot_user:
        refuse_blocks("invalid_arguments", ["user_not_found [json-pointer:/user_id]"])
    body = checked_view(ask, "home")
    home = world.homes.get(user)
    if home and ask.text("hash") and ask.text("hash") != home.hash:
        raise SlackError("hash_conflict")
    if home is None:
        name = stable_id("V", f"home/{user}")
        home = world.homes[user] = View(name, user, body, new_hash(), name)
        home.inputs = initial_inputs(body["blocks"])
    replace_body(world, home, body)
    return {"view": view_json(world, home)}


METHODS: dict[str, Method] = {
    "views.open": Method(open_view),
    "views.push": Method(push_view),
    "views.update": Method(update_view),
    "views.publish": Method(publish_view),
}
