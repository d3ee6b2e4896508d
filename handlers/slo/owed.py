"""What an incident about an SLO owes beside page and thread: what its burn means, said below its first message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.effects import FINAL, Effect, State, Tx
from handlers.desk import Desk
from handlers.incidents import table
from handlers.incidents.rules import Severity
from handlers.slo.kinds import MISSING

KIND = "burn"


def wanted(desk: Desk, tx: Tx, row: Any) -> None:
    """Owe it, where the incident is about an SLO of captain.yml that burns, and there is somebody to ask and to tell."""
    about: Mapping[str, str] = table.about(row)
    if about.get("slo") not in desk.slos or about.get("alertname") == MISSING or row.test or row.umbrella is not None:
        return
    if desk.outside.metrics is None or desk.outside.chat is None:
        return
    last = table.newest(tx.c, row.number, KIND)
    if last is not None and State(last.state) not in FINAL:
        return  # it says what is then
    # A lane that looks: a Prometheus that is slow delays no message, and no page.
    tx.owe(Effect(table.another_key(tx.c, row, KIND), KIND, "checks", row.number, urgency=Severity(row.severity).rank))
