"""What a run owes: to be carried out once, and its message kept true."""

from __future__ import annotations

import hashlib
import json

from bot.effects import Effect, Tx, insert_once
from handlers.desk import Desk
from handlers.runs.kinds import Wanted
from handlers.runs.table import RUNS

RUN, CHECKS = "run", "checks"
"""The kind of effect that runs a runbook; an incident's is shown on its panel by its own kind."""
LANE, INCIDENT_LANE = "runs", "checks"
"""An incident's checks never stand behind runs of people, deploys and the clock, which may be many and long."""
URGENCY = 6
WORKERS = 4
"""Runs that go on at the same time in one process, and as many of incidents."""


def owe(desk: Desk, tx: Tx, key: str, wanted: Wanted, *, urgency: int = URGENCY) -> bool:
    """Write a run down and owe it; False when ``key`` has been asked for before, and then nothing is changed.

    ``key`` is the caller's, unique for ever among the effects, and carries the occurrence, such as ``deploy:0f3a:checks``.
    How it stands is found by ``table.by_key``.
    """
    of_incident = wanted.incident is not None
    kind, lane = (CHECKS, INCIDENT_LANE) if of_incident else (RUN, LANE)
    if not tx.owe(Effect(key, kind, lane, wanted.incident, urgency=urgency)):
        return False
    write(desk, tx, key, wanted)
    return True


def write(desk: Desk, tx: Tx, key: str, wanted: Wanted) -> None:
    """Write the row of a run whose effect is owed; one that is there stays as it is."""
    service = desk.services.get(wanted.service)
    row = {
        "uid": uid(key),
        "key": key,
        "runbook": wanted.runbook,
        "trigger": wanted.trigger.value,
        "asked_by": wanted.asked_by,
        "asker": wanted.asker,
        "parameters": json.dumps(dict(wanted.parameters), ensure_ascii=False),
        "confined": json.dumps(list(wanted.only), ensure_ascii=False),
        "service": wanted.service,
        "environment": wanted.environment or (service.environment if service else ""),
        "channel": wanted.channel,
        "thread": wanted.thread,
        "incident": wanted.incident,
        "deploy": wanted.deploy or None,
        "schedule": wanted.schedule or None,
        "asked_at": tx.now,
        "turn": 0,
        "checks": 0,
        "outcome": "",
        "detail": "",
        "cancelled_by": "",
        "shown_by": "",
        "said_in": "",
        "ts": "",
        "panel": 0,
        "panel_owed": False,
    }
    insert_once(tx.c, RUNS(), row)


def uid(key: str) -> str:
    """The run's own name, made from the key it was asked for under."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def key_of(uid: str, what: str) -> str:
    """The key of one of its other effects: ``run:0f3a…:panel:3``."""
    return f"run:{uid}:{what}"


def uid_in(key: str) -> str:
    """The run that such a key is about."""
    return key.split(":")[1]
