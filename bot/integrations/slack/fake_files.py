"""The stand-in's uploads: ask for an address, send the bytes there, say where the file shall appear."""

from __future__ import annotations

import secrets
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bot.integrations.slack.fake_api import Ask, Method, SlackError
from bot.integrations.slack.fake_chat import file_json, the_thread, writable
from bot.integrations.slack.fake_world import File, Message, World, stable_id

MAX_FILE = 16 * 1024 * 1024


def upload_url(world: World, ask: Ask) -> dict[str, Any]:
    name = ask.text("filename")
    length = ask.number("length", 0)
    if not name or length < 1:
        raise SlackError("invalid_arguments")
    if length > MAX_FILE:
        raise SlackError("file_upload_size_restricted")
    world.serial += 1
    made = stable_id("F", f"{name}/{world.serial}/{secrets.token_hex(4)}")
    world.keep_file(File(made, name, name, length, world.bot_user, int(time.time())))
    return {"upload_url": f"{ask.base}/upload/v1/{made}", "file_id": made}


async def receive_upload(world: World, request: Request) -> Response:
    """The endpoint of an upload_url: the bytes as they are, exactly as many as were announced, once."""
    body = await request.body()
    with world.changing():
        kept = world.files.get(request.path_params["file"])
        if kept is None or kept.uploaded:
            return PlainTextResponse("Not found", status_code=404)
        if len(body) != kept.length:
            return PlainTextResponse("Content length does not match the announced one", status_code=400)
        kept.content, kept.uploaded = body.decode("latin-1"), True
        world.keep_file(kept)
    return PlainTextResponse(f"OK - {len(body)}")


def complete_upload(world: World, ask: Ask) -> dict[str, Any]:
    rows = ask.json("files", "invalid_arguments")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise SlackError("invalid_arguments")
    names = [str(row.get("id")) for row in rows]
    for name in names:
        kept = world.files.get(name)
        if kept is None or not kept.uploaded or kept.shared:
            raise SlackError("file_not_found")
    places = ask.names("channels") or ask.names("channel_id")
    asks = [Ask({"channel": place, "thread_ts": ask.text("thread_ts")}) for place in places]
    targets = [writable(world, one) for one in asks]
    threads = [the_thread(world, one, target) for one, target in zip(asks, targets, strict=True)]
    for row, name in zip(rows, names, strict=True):
        world.files[name].title = str(row.get("title") or world.files[name].name)
        world.files[name].shared = bool(targets)
    for target, thread in zip(targets, threads, strict=True):
        text = ask.text("initial_comment")
        message = Message(target.id, world.next_ts(), world.bot_user, text, thread_ts=thread, files=list(names))
        message.bot_id = world.bot_id
        world.put(message)
    world.touch()
    return {"files": [file_json(world, name) for name in names]}


METHODS: dict[str, Method] = {
    "files.getUploadURLExternal": Method(upload_url, "files:write"),
    "files.completeUploadExternal": Method(complete_upload, "files:write"),
}
