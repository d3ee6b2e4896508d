"""Performs what is owed for silences: their ends, and what channels are told of them."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from bot.effects import EFFECTS, Outcome, Performer, Task
from bot.errors import GiveUp
from bot.integrations.slack import Edit, Post
from handlers.desk import Desk
from handlers.noise import decide
from handlers.posts import chat_of, post_once


def performers(desk: Desk) -> list[Performer]:
    """Every kind of effect this subject owes, but for the decisions."""
    return [
        Performer(decide.END, lambda task: _end(desk, task), decides=True),
        Performer(decide.REST, _rest, decides=True),
        Performer(decide.SAID, lambda task: _said(desk, task)),
        Performer(decide.SHOWN, lambda task: _shown(desk, task)),
    ]


def _end(desk: Desk, task: Task) -> Outcome:
    """Its time is over, unless it was given another end meanwhile."""
    return Outcome(apply=lambda tx: decide.due(desk, tx, int(task.args["silence"]), task.key))


def _rest(task: Task) -> Outcome:
    """Let go what a silence that is over holds still."""
    number = int(task.args["silence"])
    return Outcome(apply=lambda tx: decide.rest(tx, number))


def _said(desk: Desk, task: Task) -> Outcome:
    service = desk.services.get(str(task.args["service"]))
    if service is None:
        raise GiveUp(f"the service '{task.args['service']}' is no longer in captain.yml; put it back and repair")
    posted = post_once(desk, task, Post(service.channel, task.args["text"], task.args["blocks"], None, task.key))
    return Outcome({"channel": posted.channel, "ts": posted.ts})


def _shown(desk: Desk, task: Task) -> Outcome:
    """Edit the message that announced it to how it ended."""
    posted = _result(desk, str(task.args["of"]))
    if "ts" not in posted:
        return Outcome(skipped="its beginning was never posted")
    text = str(task.args["text"])
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
    if not chat_of(desk).edit(Edit(posted["channel"], posted["ts"], text, blocks)):
        return Outcome(skipped="somebody deleted the message")
    return Outcome()


def _result(desk: Desk, key: str) -> dict[str, Any]:
    with desk.store.read() as c:
        put = c.execute(sa.select(EFFECTS().c.result).where(EFFECTS().c.key == key)).scalar()
    found: dict[str, Any] = json.loads(put or "{}")
    return found
