"""What people do on their phones: PagerDuty's signed v3 webhooks, as deeds on our incidents."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from handlers.alerts.payload import BadPayload
from handlers.desk import Desk
from handlers.incidents import decide
from handlers.incidents.rules import Deed
from handlers.incidents.table import INCIDENTS

DEEDS: Mapping[str, Deed] = {"incident.acknowledged": Deed.ACKNOWLEDGE, "incident.resolved": Deed.RESOLVE}
PAST: Mapping[Deed, str] = {Deed.ACKNOWLEDGE: "acknowledged", Deed.RESOLVE: "resolved"}
PREFIX = "captain-"


def signed(body: bytes, header: str, secret: str) -> bool:
    """True when one of the header's signatures ("v1=…", several while a secret is rotated) is ours."""
    expected = "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = [part.strip() for part in header.split(",")]
    return any(hmac.compare_digest(expected.encode(), one.encode("utf-8", "replace")) for one in given)


def read(body: bytes) -> tuple[str, dict[str, Any]]:
    """(event id, what of the event is kept). Raises BadPayload when it is no v3 event."""
    try:
        event = json.loads(body)["event"]
        data = event.get("data") or {}
        agent = event.get("agent") or {}
        kept = {
            "type": str(event["event_type"]),
            "dedup_key": str(data.get("incident_key") or ""),
            "agent": str(agent.get("summary") or "somebody"),
            "agent_type": str(agent.get("type") or ""),
        }
        return str(event["id"]), kept
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise BadPayload(400, "the body is not a PagerDuty v3 webhook: it needs event.id, event_type and data") from e


def hear(desk: Desk, event: Mapping[str, Any]) -> str:
    """Acknowledge or resolve the incident the page was for; what was decided, as a sentence.

    Unordered and repeated events change nothing twice.
    """
    deed, key = DEEDS.get(event["type"]), event["dedup_key"]
    if not key.startswith(PREFIX):
        return "not ours: no dedup key of mine"
    if deed is None:
        return "nothing to do: only acknowledging and resolving change an incident"
    t = INCIDENTS()
    with desk.engine.transaction(time.time()) as tx:
        row = tx.c.execute(sa.select(t).where(t.c.uid == key.removeprefix(PREFIX)).with_for_update()).first()
        if row is None:
            return "not ours: I know no incident with this dedup key"
        text = f"by {event['agent']} in PagerDuty"
        if decide.move(desk, tx, row, deed, actor=event["agent"], text=text, tell_pager=False):
            return f"{PAST[deed]} INC-{row.number}"
        return f"nothing to do: INC-{row.number} is {row.status} already"
