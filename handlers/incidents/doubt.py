"""When an alert ended and yet nobody knows that all is well: its incident stays open, and says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.effects import Tx
from bot.integrations.slack.words import escape
from handlers.alerts import journal
from handlers.alerts.payload import Alert
from handlers.desk import Desk
from handlers.incidents import decide, table

SAID: Mapping[str, str] = {
    "MissingSeries": "its series is gone",
    "NoData": "there is no data for it",
    "Error": "its rule cannot be evaluated",
    "Paused": "its rule was paused",
    "Updated": "its rule was changed",
    "RuleDeleted": "its rule was deleted",
}
"""Grafana's reasons; another one is told as it stands."""
LONGEST = 60
KIND = "unsure"
"""The timeline's kind."""


def why(tx: Tx, alert: Alert, row: Any) -> str:
    """Why the end of an incident's last alert is no end of the incident; empty when it is one."""
    reason = alert.annotations.get(journal.REASON, "")
    if reason:
        return _said(reason)
    ended = journal.unsure(tx.c, row.number)
    ended = {name: one for name, one in ended.items() if name != alert.fingerprint or one[0] > alert.starts_at}
    if ended:
        return f"of another of its alerts {_said(next(iter(ended.values()))[1])}"
    return ""


def keep_open(desk: Desk, tx: Tx, row: Any, alert: Alert, because: str) -> str:
    """Say in thread and timeline that the incident stays open; the verdict of the alert that ended."""
    name = alert.labels["alertname"]
    text = f"{name} has ended, and not because all is well: {because}"
    table.add_event(tx.c, incident=row.number, at=tx.now, kind=KIND, actor=alert.source.sender, text=text)
    note = f"⚠ {escape(text)}. I leave this open: look whether it is over, and resolve it if so."
    decide.say(desk, tx, row, f"{KIND}:{table.events_of(tx.c, row.number, KIND)}", note)
    decide.show(desk, tx, row.number)
    return f"resolved, but not because all is well ({because}): INC-{row.number} stays open until somebody resolves it"


def _said(reason: str) -> str:
    return SAID.get(reason, f"{journal.REASON} is {reason[:LONGEST]}")
