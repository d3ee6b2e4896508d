"""The stand-in's response addresses: five answers within thirty minutes to a command or a press."""

from __future__ import annotations

import json
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bot.integrations.slack.fake_api import Ask, SlackError, refuse_blocks
from bot.integrations.slack.fake_blocks import check_blocks, with_ids
from bot.integrations.slack.fake_world import HOOK_SECONDS, HOOK_USES, Hook, Message, World


def new_hook(world: World, base: str, *, channel: str, user: str, message: Message | None = None) -> str:
    """A response_url for something a person did."""
    hook = Hook(channel, user, time.time() + HOOK_SECONDS)
    if message is not None:
        hook.message_ts, hook.thread_ts = message.ts, message.thread_ts
    return f"{base}/hooks/response/{world.new_hook(hook)}"


async def answer_hook(world: World, request: Request) -> Response:
    """The endpoint of a response_url."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return PlainTextResponse("invalid_payload", status_code=400)
    with world.changing():
        hook = world.hooks.get(request.path_params["hook"])
        if hook is None or time.time() > hook.until:
            return PlainTextResponse("expired_url", status_code=404)
        if hook.uses >= HOOK_USES:
            return PlainTextResponse("used_url", status_code=404)
        try:
            respond(world, hook, body)
        except SlackError as no:
            return PlainTextResponse(no.code, status_code=404 if no.code == "channel_not_found" else 400)
        hook.uses += 1
    return PlainTextResponse("ok")


def respond(world: World, hook: Hook, body: dict[str, Any]) -> Message | None:
    """Show an answer: a new message, the original replaced, or the original gone (None)."""
    original = world.message(hook.channel, hook.message_ts) if hook.message_ts else None
    if body.get("delete_original") and original is not None:
        world.drop(original)
        if not body.get("text") and not body.get("blocks"):
            return None
    text, blocks = answer_content(body)
    if body.get("replace_original") and original is not None and not body.get("delete_original"):
        original.text, original.blocks, original.inputs = text, blocks, {}
        original.edited = {"user": world.bot_user, "ts": world.next_ts()}
        world.touch()
        return original
    shown = Message(hook.channel, world.next_ts(), world.bot_user, text, blocks=blocks, bot_id=world.bot_id)
    shown.thread_ts = str(body.get("thread_ts") or "")
    if body.get("response_type") != "in_channel":
        shown.ephemeral_to = hook.user
    return world.put(shown)


def answer_content(body: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Text and blocks of an answer or an acknowledgement, checked."""
    ask = Ask(body)
    blocks = ask.json("blocks", "invalid_blocks") or []
    refuse_blocks("invalid_blocks", check_blocks(blocks))
    if not ask.text("text").strip() and not blocks and not body.get("attachments"):
        raise SlackError("no_text")
    return ask.text("text"), with_ids(blocks)
