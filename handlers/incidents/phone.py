"""What people do on their phones: PagerDuty's signed v3 webhooks, as deeds on our incidents and lines in their threads."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot import inbox
from bot.effects import EFFECTS, UNSETTLED, Effect, State, Tx
from bot.inbox import INBOX
from bot.integrations.slack.words import clip, escape
from handlers.alerts.payload import BadPayload
from handlers.desk import Desk
from handlers.incidents import decide, remind, table
from handlers.incidents.rules import Deed, Status
from handlers.incidents.table import INCIDENTS, TIMELINE

DEEDS: Mapping[str, Deed] = {"incident.acknowledged": Deed.ACKNOWLEDGE, "incident.resolved": Deed.RESOLVE}
PAST: Mapping[Deed, str] = {Deed.ACKNOWLEDGE: "acknowledged", Deed.RESOLVE: "resolved"}
GIVEN_ON = ("incident.escalated", "incident.reassigned", "incident.delegated", "incident.unacknowledged")
"""What takes an acknowledgement back: somebody else is called, or the same person anew."""
STANDING = (*DEEDS, *GIVEN_ON)
"""What says where the page stands: the newest by its own time counts, in whatever order they arrive."""
TOLD = (
    *GIVEN_ON,
    "incident.annotated",
    "incident.responder.added",
    "incident.responder.replied",
    "incident.priority_updated",
)
"""What is shown in the thread and the timeline."""
PREFIX = "captain-"
WHICH = "phoned"
"""The kind of effect that asks which incident an event is about that has no dedup key."""
REMEMBERED = 14 * 86400.0
"""Seconds for which it is known from what came before which incident one of PagerDuty's ids is; then PagerDuty is asked."""
LONGEST = 2500
"""Characters of a note that are shown."""
AROUND = 120.0
"""Seconds by which PagerDuty's clock and ours may differ when we look whether we did it ourselves."""


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
        about = data if data.get("type") == "incident" else data.get("incident") or {}
        kept = {
            "type": str(event["event_type"]),
            "dedup_key": str(data.get("incident_key") or ""),
            "agent": str(agent.get("summary") or "somebody"),
            "agent_type": str(agent.get("type") or ""),
            "id": str(event["id"]),
            "at": _instant(event.get("occurred_at")),
            "pd": str(about.get("id") or ""),
            "status": str(data.get("status") or ""),
            "people": [str(one.get("summary") or "") for one in data.get("assignees") or []],
            "note": clip(str(data.get("content") or ""), 20_000),
            "user": str((data.get("user") or {}).get("summary") or ""),
            "user_id": str((data.get("user") or {}).get("id") or ""),
            "state": str(data.get("state") or ""),
            "priority": str((data.get("priority") or {}).get("summary") or ""),
        }
        return str(event["id"]), kept
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise BadPayload(400, "the body is not a PagerDuty v3 webhook: it needs event.id, event_type and data") from e


def _instant(text: Any) -> float:
    """ISO 8601 as UNIX s; 0 when it is not told."""
    return datetime.fromisoformat(str(text)).timestamp() if text else 0.0


def hear(desk: Desk, event: Mapping[str, Any]) -> str:
    """Do on the incident what was done on its page, and show it; what was decided, as a sentence.

    Unordered and repeated events change nothing twice, and an older one never undoes what a newer one has done.
    """
    now = time.time()
    with desk.engine.transaction(now) as tx:
        key = event["dedup_key"] or _key_of(tx, event)
        if not key and event["type"] in TOLD and event.get("pd"):
            return _ask_which(desk, tx, event)
        if not key.startswith(PREFIX):
            return "not ours: no dedup key of mine"
        if event["type"] not in (*DEEDS, *TOLD):
            return f"nothing to do: {event['type'][:80]} changes no incident"
        t = INCIDENTS()
        row = tx.c.execute(sa.select(t).where(t.c.uid == key.removeprefix(PREFIX)).with_for_update()).first()
        if row is None:
            return "not ours: I know no incident with this dedup key"
        done = None if event.get("again") else _decided(tx, event)
        if done:
            return done
        said = _heard(desk, tx, row, key, event)
        if event.get("id"):
            # In this transaction, so that a kill after it leaves nothing to be decided anew.
            inbox.done(tx.c, f"pagerduty:{event['id']}", at=now, verdict=said)
        return said


def _heard(desk: Desk, tx: Tx, row: Any, key: str, event: Mapping[str, Any]) -> str:
    kind = event["type"]
    if _ours(tx, row, event):
        return "nothing to do: I did this myself"
    late = kind in STANDING and (_overtaken(tx, row, key, event) or _of_the_page_before(row, event))
    if kind in TOLD:
        _show(desk, tx, row, event)
    if late:
        return f"came late: something newer is known of INC-{row.number}"
    deed = DEEDS.get(kind)
    if deed is not None:
        text = f"by {event['agent']} in PagerDuty"
        if decide.move(desk, tx, row, deed, actor=event["agent"], text=text, tell_pager=False):
            return f"{PAST[deed]} INC-{row.number}"
        return f"nothing to do: INC-{row.number} is {row.status} already"
    if kind in GIVEN_ON and event.get("status") != "acknowledged" and _take_back(desk, tx, row):
        return f"shown in INC-{row.number}, which somebody has to take anew"
    return f"shown in INC-{row.number}"


def _take_back(desk: Desk, tx: Tx, row: Any) -> bool:
    """Somebody has to take it anew; False when nobody had, or an acknowledgement of ours is still on its way there."""
    ack = table.newest(tx.c, row.number, "page-ack")
    if row.status != Status.ACKNOWLEDGED.value or (ack and ack.state in (State.WAITING.value, *UNSETTLED)):
        return False
    tx.c.execute(INCIDENTS().update().where(INCIDENTS().c.number == row.number).values(**table.ANEW))
    remind.arm(desk, tx, row, Status.TRIGGERED)
    decide.show(desk, tx, row.number)
    return True


def _show(desk: Desk, tx: Tx, row: Any, event: Mapping[str, Any]) -> None:
    """One line in the thread and one in the timeline, there at its own time."""
    text = _said(event)
    at, kind = min(event.get("at") or tx.now, tx.now), event["type"].removeprefix("incident.").replace(".", "-")
    line = {"incident": row.number, "at": at, "kind": kind, "actor": event["agent"], "text": text}
    tx.c.execute(TIMELINE().insert(), line)
    decide.say(desk, tx, row, f"phone:{event.get('id', '')}", escape(text))


def _said(event: Mapping[str, Any]) -> str:
    """What happened, as a sentence."""
    person = "user" in event.get("agent_type", "")
    by = f"by {event['agent']} in PagerDuty" if person else "in PagerDuty"
    people = ", ".join(event.get("people") or ()) or "nobody"
    user = event.get("user") or "somebody"
    replies = {"accepted": "joins", "joined": "joins", "declined": "does not join"}
    return {
        "incident.escalated": f"Escalated {by}{'' if person else ': nobody had acknowledged it in time'}. Called: {people}.",
        "incident.reassigned": f"Reassigned to {people} {by}.",
        "incident.delegated": f"Handed to another escalation policy {by}. Called: {people}.",
        "incident.unacknowledged": f"No longer acknowledged {by}: {people} has to take it anew.",
        "incident.annotated": f"Note {by}: {clip(event.get('note', ''), LONGEST)}",
        "incident.responder.added": f"{user} was asked to join {by}.",
        "incident.responder.replied": f"{user} {replies.get(event.get('state', ''), 'has answered')} (asked in PagerDuty).",
        "incident.priority_updated": f"Priority {event.get('priority') or 'none'} set {by}.",
    }[event["type"]]


# ---- what is known already ------------------------------------------------------------------------------------------


def _decided(tx: Tx, event: Mapping[str, Any]) -> str:
    """What was decided about this very event before; empty when nothing was."""
    t = INBOX()
    mine = (t.c.key == f"pagerduty:{event.get('id', '')}") & t.c.done_at.is_not(None)
    return str(tx.c.execute(sa.select(t.c.verdict).where(mine)).scalar() or "")


def _overtaken(tx: Tx, row: Any, key: str, event: Mapping[str, Any]) -> bool:
    """True when something that says where the page stands is known and happened after this."""
    at = float(event.get("at") or 0.0)
    others = _events(tx, row.opened_at, f'"{key}"')
    return at > 0 and any(one["type"] in STANDING and float(one.get("at") or 0.0) > at for one in others)


def _of_the_page_before(row: Any, event: Mapping[str, Any]) -> bool:
    """True when it happened before the incident was reopened: it is about the page before, of the same dedup key."""
    at = float(event.get("at") or 0.0)
    return 0 < at < (row.reopened_at or 0.0)


def _events(tx: Tx, since: float, having: str) -> Sequence[Mapping[str, Any]]:
    """The events decided about since then that have this text in them."""
    t = INBOX()
    mine = (t.c.received_at >= since - AROUND) & (t.c.kind == "pagerduty") & t.c.done_at.is_not(None)
    found = tx.c.execute(sa.select(t.c.payload).where(mine & t.c.payload.contains(having, autoescape=True)))
    return [json.loads(payload)["event"] for payload in found.scalars()]


def _key_of(tx: Tx, event: Mapping[str, Any]) -> str:
    """The dedup key of an event that came without one, as an event that came before knows it; or empty."""
    ident = str(event.get("pd") or "")
    known = _events(tx, tx.now - REMEMBERED, f'"pd": "{ident}"') if ident else ()
    return next((str(one["dedup_key"]) for one in known if one.get("pd") == ident and one["dedup_key"]), "")


def _ask_which(desk: Desk, tx: Tx, event: Mapping[str, Any]) -> str:
    if desk.outside.pager is None or not desk.outside.pager.reads:
        return "cannot tell which incident this is about: set pagerduty.api_token in captain.yml"
    tx.owe(Effect(f"{WHICH}:{event['id']}", WHICH, "pagerduty", None, {"event": dict(event)}, urgency=5))
    return "PagerDuty is asked which incident this is about"


def _ours(tx: Tx, row: Any, event: Mapping[str, Any]) -> bool:
    """True for the echo of what we asked PagerDuty to do."""
    kind, t = event["type"], EFFECTS()
    effects = {
        "incident.annotated": "page-note",
        "incident.escalated": "escalate-to",
        "incident.responder.added": "responder",
    }
    if kind not in effects:
        return False
    mine = (t.c.about == row.number) & (t.c.kind == effects[kind]) & (t.c.tried > 0)
    return any(_echoes(one, event) for one in tx.c.execute(sa.select(t).where(mine)).all())


def _echoes(effect: Any, event: Mapping[str, Any]) -> bool:
    args, result = json.loads(effect.args), json.loads(effect.result)
    if event["type"] == "incident.annotated":
        return bool(args["text"] == event.get("note"))
    at = event.get("at") or time.time()
    if not effect.created_at - AROUND <= at <= (effect.done_at or time.time()) + AROUND:
        return False
    if event["type"] == "incident.escalated":
        return set(str(args["names"]).split(", ")) == set(event.get("people") or ())
    return "user" not in result or result["user"] == event.get("user_id")
