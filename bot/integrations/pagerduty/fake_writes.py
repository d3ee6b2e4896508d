"""The pretend REST API's writes on incidents: create, update, note, merge, snooze, status updates, responders."""

from __future__ import annotations

import time
from typing import Any, Protocol

from starlette.requests import Request

from bot.integrations.pagerduty.fake_account import PRIORITIES, USERS, Account, Incident, Invalid
from bot.integrations.pagerduty.fake_views import Json, Views, iso

CHANGES = {"status", "title", "priority", "urgency", "assignments", "escalation_level", "resolution"}
FIXED = {"id", "type", "incident_key", "escalation_policy", "conference_bridge", "incident_type", "service", "body"}


class Asked(Protocol):
    """What a write needs to know of its request."""

    request: Request
    views: Views
    body: Json
    by: str


class Writes:
    """Everything a PUT or POST under /incidents can do."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def create(self, asked: Asked) -> tuple[int, Json]:
        ask = _object(asked.body, "incident")
        errors = []
        title, service, priority = ask.get("title"), ask.get("service"), ask.get("priority")
        if ask.get("type") not in ("incident", "incident_reference"):
            errors.append("Type must be incident")
        if not isinstance(title, str) or not title.strip():
            errors.append("Title cannot be blank")
        service_id = service.get("id") if isinstance(service, dict) else None
        if service_id not in self.account.services:
            errors.append("Service cannot be blank" if service_id is None else "Service not found")
        if priority is not None and _id(priority) not in PRIORITIES:
            errors.append("Priority not found")
        if ask.get("urgency", "high") not in ("high", "low"):
            errors.append("Urgency must be high or low")
        if errors or not isinstance(title, str) or service_id is None:
            raise Invalid(*errors)
        assigned = _assignees(ask)
        incident = self.account.create(title, service_id, ask.get("incident_key") or "", asked.by)
        incident.urgency = ask.get("urgency", "high")
        incident.priority = _id(priority) if priority else ""
        body = ask.get("body")
        incident.body = str(body.get("details", "")) if isinstance(body, dict) else ""
        incident.assignees = assigned or incident.assignees
        return 201, {"incident": asked.views.incident(incident)}

    def update(self, asked: Asked) -> tuple[int, Json]:
        incident = self._one(asked)
        change = _object(asked.body, "incident")
        self._check(change, incident)
        self._change(incident, change, asked.by)
        return 200, {"incident": asked.views.incident(incident)}

    def update_many(self, asked: Asked) -> tuple[int, Json]:
        """All of the changes or none: each is checked before the first is made."""
        changes = asked.body.get("incidents")
        if not isinstance(changes, list) or not changes or len(changes) > 250:
            raise Invalid("incidents must be an array of 1 to 250 incidents")
        found = []
        for change in changes:
            if not isinstance(change, dict) or not change.get("id"):
                raise Invalid("Incident id cannot be blank")
            incident = self.account.incident(str(change["id"]))
            self._check(change, incident)
            found.append((incident, change))
        for incident, change in found:
            self._change(incident, change, asked.by)
        return 200, {"incidents": [asked.views.incident(incident) for incident, _ in found]}

    def note(self, asked: Asked) -> tuple[int, Json]:
        content = _object(asked.body, "note").get("content")
        if not isinstance(content, str) or not content.strip():
            raise Invalid("Content cannot be blank")
        if len(content) > 25_000:
            raise Invalid("Content is too long (maximum is 25000 characters)")
        return 200, {"note": asked.views.note(self.account.note(self._one(asked), content, asked.by))}

    def status_update(self, asked: Asked) -> tuple[int, Json]:
        incident, message = self._one(asked), asked.body.get("message")
        if not isinstance(message, str) or not message.strip():
            raise Invalid("Message cannot be blank")
        made: Json = {
            "id": self.account.new_id(),
            "message": message,
            "subject": asked.body.get("subject"),
            "created_at": iso(time.time()),
            "sender": asked.views.user_ref(asked.by),
        }
        incident.status_updates.append(made)
        self.account.log(incident, "status_update_log_entry", "Status update sent.", asked.by)
        return 200, {"status_update": made}

    def responder_request(self, asked: Asked) -> tuple[int, Json]:
        incident = self._one(asked)
        targets, message = asked.body.get("responder_request_targets"), asked.body.get("message")
        if asked.body.get("requester_id") not in USERS:
            raise Invalid("Requester not found")
        if not isinstance(targets, list) or not targets or not isinstance(message, str):
            raise Invalid("Message and responder request targets are required")
        users = [_id(t.get("responder_request_target")) for t in targets if isinstance(t, dict)]
        if not users or any(user not in USERS for user in users):
            raise Invalid("Responder request target not found")
        now, requester = iso(time.time()), asked.views.user_ref(asked.body["requester_id"])
        ref = asked.views.incident_ref(incident)
        rows = []
        for user in users:
            responder = {"state": "pending", "user": asked.views.user_ref(user), "incident": ref, "updated_at": now}
            responder |= {"message": message, "requester": requester, "requested_at": now}
            self.account.ask_to_join(incident, responder, user, asked.by)
            rows.append({"responder_request_target": {"type": "user", "id": user, "incidents_responders": [responder]}})
        self.account.log(incident, "responder_request_log_entry", "Responders requested.", asked.by)
        body = {"incident": ref, "requester": requester, "requested_at": now, "message": message}
        return 200, {"responder_request": {**body, "responder_request_targets": rows}}

    def merge(self, asked: Asked) -> tuple[int, Json]:
        sources = asked.body.get("source_incidents")
        if not isinstance(sources, list) or not sources:
            raise Invalid("source_incidents cannot be blank")
        target = self._one(asked)
        self.account.merge(target, [self.account.incident(_id(source)) for source in sources], asked.by)
        return 200, {"incident": asked.views.incident_ref(target)}

    def snooze(self, asked: Asked) -> tuple[int, Json]:
        duration = asked.body.get("duration")
        if not isinstance(duration, int) or not 1 <= duration <= 604_800:
            raise Invalid("Duration must be between 1 and 604800 seconds")
        incident = self._one(asked)
        self.account.snooze(incident, duration, asked.by)
        return 201, {"incident": asked.views.incident(incident)}

    def _one(self, asked: Asked) -> Incident:
        return self.account.incident(asked.request.path_params["id"])

    def _check(self, change: Json, incident: Incident) -> None:
        """Refuse nonsense before anything is changed."""
        if change.get("type") not in ("incident", "incident_reference"):
            raise Invalid("Type must be incident_reference")
        unknown = set(change) - CHANGES - FIXED
        if unknown:
            raise Invalid(f"Unknown attribute: {', '.join(sorted(unknown))}")
        status = change.get("status")
        if status not in (None, "acknowledged", "resolved"):
            raise Invalid("Status must be acknowledged or resolved")
        if not incident.open and set(change) & (CHANGES - {"priority", "title", "resolution"}):
            raise Invalid("Incident Already Resolved")
        level = change.get("escalation_level")
        if level is not None and level not in self.account.levels:
            raise Invalid(f"Escalation level must be between 1 and {max(self.account.levels)}")
        if level is not None and change.get("assignments"):
            raise Invalid("Escalation level cannot be given together with assignments")
        if change.get("priority") is not None and _id(change["priority"]) not in PRIORITIES:
            raise Invalid("Priority not found")
        if change.get("urgency", "high") not in ("high", "low"):
            raise Invalid("Urgency must be high or low")
        if "title" in change and (not isinstance(change["title"], str) or not change["title"].strip()):
            raise Invalid("Title cannot be blank")
        _assignees(change)

    def _change(self, incident: Incident, change: Json, by: str) -> None:
        if "title" in change:
            incident.title = change["title"]
        if "urgency" in change:
            incident.urgency = change["urgency"]
        if "priority" in change:
            self.account.prioritise(incident, _id(change["priority"]) if change["priority"] else "", by)
        if change.get("escalation_level") is not None:
            self.account.escalate(incident, change["escalation_level"], by)
        assignees = _assignees(change)
        if assignees:
            self.account.reassign(incident, assignees, by)
        if change.get("status") == "acknowledged":
            self.account.acknowledge(incident, by)
        elif change.get("status") == "resolved":
            self.account.resolve(incident, by)


def _object(body: Json, name: str) -> Json:
    found = body.get(name)
    if not isinstance(found, dict):
        raise Invalid(f"{name} cannot be blank")
    return found


def _id(reference: Any) -> str:
    return str(reference.get("id", "")) if isinstance(reference, dict) else ""


def _assignees(change: Json) -> list[str]:
    assignments = change.get("assignments") or []
    if not isinstance(assignments, list):
        raise Invalid("Assignments must be an array")
    users = [_id(a.get("assignee")) for a in assignments if isinstance(a, dict)]
    if any(user not in USERS for user in users) or len(users) != len(assignments):
        raise Invalid("Assignee not found")
    return users
