"""The pretend PagerDuty account: users, services, on-call and incidents, and the rules by which incidents change."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

OPEN = ("triggered", "acknowledged")
AGENT_API = "the API"


class Invalid(Exception):
    """A request PagerDuty refuses: HTTP status, its error code, its message and the list of reasons."""

    def __init__(
        self, *errors: str, status: int = 400, code: int = 2001, message: str = "Invalid Input Provided"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = list(errors)


def not_found() -> Invalid:
    return Invalid(status=404, code=2100, message="Not Found")


@dataclass
class Alert:
    """One dedup key within an incident. ``severity`` as the Events API spells it; ``created_at`` UNIX s."""

    id: str
    key: str
    status: str
    severity: str
    summary: str
    created_at: float
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass
class Incident:
    """An incident. Times are UNIX seconds, people are user ids, ``service`` is a service id."""

    id: str
    number: int
    title: str
    service: str
    dedup_key: str
    created_at: float
    severity: str = "critical"
    urgency: str = "high"
    status: str = "triggered"
    changed_at: float = 0.0
    acknowledged_at: float | None = None
    resolved_at: float | None = None
    snoozed_until: float | None = None
    level: int = 1
    priority: str = ""
    body: str = ""
    by_api: bool = False
    last_by: str = ""
    triggers: int = 0
    assignees: list[str] = field(default_factory=list)
    acknowledgers: list[tuple[str, float]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    status_updates: list[dict[str, Any]] = field(default_factory=list)
    responders: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        return self.status in OPEN


USERS = {
    "PALICE1": ("Alice Adams", "alice@example.com"),
    "PBOB001": ("Bob Brown", "bob@example.com"),
    "PCAROL1": ("Carol Cho", "carol@example.com"),
}
POLICY = "PPOLICY"
SCHEDULES = {"PSCHED1": "Primary rotation", "PSCHED2": "Secondary rotation"}
PRIORITIES = {"PPRIO01": "P1", "PPRIO02": "P2", "PPRIO03": "P3"}

Told = Callable[[str, Incident, str, Mapping[str, Any]], None]


class Account:
    """All that the account holds, changed under one lock; ``told`` hears (event type, incident, agent, extra).

    ``levels``: who is on call. ``shifts``: of a level that rotates, (user, start, end) in UNIX s. ``keys``: routing key →
    service.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self.lock = threading.RLock()
        self.services = {f"PSVC{i:03d}": name for i, name in enumerate(dict.fromkeys(services), 1)}
        self.levels: dict[int, list[str]] = {1: ["PALICE1"], 2: ["PBOB001", "PCAROL1"]}
        self.shifts: dict[int, list[tuple[str, float, float]]] = {}
        self.keys: dict[str, str] = {}
        self.incidents: dict[str, Incident] = {}
        self.changes: list[dict[str, Any]] = []
        self.told: list[Told] = []
        self._made = 0
        self._holder: dict[tuple[str, str], str] = {}  # (service, key) → the incident that took it last

    # -- looking ----------------------------------------------------------------------------------------------------

    def service_id(self, name: str) -> str:
        return next(sid for sid, known in self.services.items() if known == name)

    def incident(self, incident_id: str) -> Incident:
        """By id or number, as the REST API takes both. Raises Invalid (404)."""
        with self.lock:
            found = self.incidents.get(incident_id)
            if found is None and incident_id.isdigit():
                found = next((i for i in self.incidents.values() if i.number == int(incident_id)), None)
        if found is None:
            raise not_found()
        return found

    def user_id(self, who: str) -> str:
        """A user's id from an id, an address or a first name. Raises KeyError for a stranger."""
        for user, (name, email) in USERS.items():
            if who.lower() in (user.lower(), email, email.split("@")[0], name.lower()):
                return user
        raise KeyError(f"PagerDuty has no user {who!r}; it has {', '.join(e for _, e in USERS.values())}")

    def open_with(self, service: str, key: str) -> tuple[Incident, Alert | None] | None:
        """The open incident of that service that holds the key, and its alert."""
        incident = self.incidents.get(self._holder.get((service, key), ""))
        if incident is None or not incident.open:
            return None
        return incident, next((a for a in incident.alerts if a.key == key), None)

    # -- events -----------------------------------------------------------------------------------------------------

    def trigger(self, service: str, key: str, payload: Mapping[str, Any], event: Mapping[str, Any]) -> Incident:
        """Open an incident, or add this event to the open one of the same key."""
        with self.lock:
            now, held = time.time(), self.open_with(service, key)
            if held is None:
                incident = self._new(payload["summary"], service, key, now)
                incident.severity = payload["severity"]
                incident.urgency = "high" if payload["severity"] in ("critical", "error") else "low"
                incident.alerts.append(_alert(key, payload, now))
            else:
                incident, alert = held
                if alert is None:
                    incident.alerts.append(_alert(key, payload, now))
                else:
                    alert.status = "triggered"
                    alert.payload = dict(payload)
            incident.triggers += 1
            incident.links = list(event.get("links") or incident.links)
            incident.images = list(event.get("images") or incident.images)
            incident.details = dict(payload.get("custom_details") or {})
            self._log(incident, "trigger_log_entry", f"Triggered through {AGENT_API}.", "", now)
            if held is None:
                self._tell("incident.triggered", incident, "")
            return incident

    def event_acknowledge(self, service: str, key: str) -> None:
        """An acknowledge event: accepted whatever the key, effective on a triggered incident only."""
        with self.lock:
            held = self.open_with(service, key)
            if held is not None and held[0].status == "triggered":
                self._acknowledge(held[0], "", time.time())

    def event_resolve(self, service: str, key: str) -> None:
        """A resolve event closes its alert, and the incident when no alert is left open."""
        with self.lock:
            held = self.open_with(service, key)
            if held is None:
                return
            incident, alert = held
            if alert is not None:
                alert.status = "resolved"
            if all(a.status == "resolved" for a in incident.alerts):
                self._resolve(incident, "", time.time())

    # -- people and REST --------------------------------------------------------------------------------------------

    def create(self, title: str, service: str, key: str, by: str) -> Incident:
        with self.lock:
            if key and self.open_with(service, key):
                raise Invalid("Open incident with matching dedup key already exists on this service", code=2002)
            incident = self._new(title, service, key or uuid.uuid4().hex, time.time())
            incident.by_api = True
            self._log(incident, "trigger_log_entry", "Triggered through the website.", by, incident.created_at)
            self._tell("incident.triggered", incident, by)
            return incident

    def acknowledge(self, incident: Incident, by: str) -> None:
        with self.lock:
            self._must_be_open(incident)
            self._acknowledge(incident, by, time.time())

    def resolve(self, incident: Incident, by: str) -> None:
        with self.lock:
            self._must_be_open(incident)
            self._resolve(incident, by, time.time())

    def reopen(self, incident: Incident, by: str) -> None:
        with self.lock:
            if incident.open:
                raise Invalid("Incident is not resolved")
            now = time.time()
            incident.status, incident.resolved_at, incident.acknowledged_at = "triggered", None, None
            incident.acknowledgers, incident.changed_at, incident.last_by = [], now, by
            incident.assignees = list(self.levels[incident.level])
            for alert in incident.alerts:
                alert.status = "triggered"
            self._hold(incident)
            self._log(incident, "reopen_log_entry", f"Reopened by {self.name_of(by)}.", by, now)
            self._tell("incident.reopened", incident, by)

    def reassign(self, incident: Incident, users: list[str], by: str) -> None:
        with self.lock:
            self._must_be_open(incident)
            now = time.time()
            incident.assignees, incident.status = list(users), "triggered"
            incident.acknowledgers, incident.changed_at, incident.last_by = [], now, by
            names = ", ".join(self.name_of(u) for u in users)
            self._log(incident, "assign_log_entry", f"Reassigned to {names} by {self.name_of(by)}.", by, now)
            self._tell("incident.reassigned", incident, by)

    def escalate(self, incident: Incident, level: int, by: str) -> None:
        with self.lock:
            self._must_be_open(incident)
            if level not in self.levels:
                raise Invalid(f"Escalation level must be between 1 and {max(self.levels)}")
            now = time.time()
            incident.level, incident.assignees = level, list(self.levels[level])
            incident.status, incident.acknowledgers = "triggered", []
            incident.changed_at, incident.last_by = now, by
            self._log(incident, "escalate_log_entry", f"Escalated to level {level} by {self.name_of(by)}.", by, now)
            self._tell("incident.escalated", incident, by)

    def unacknowledge(self, incident: Incident) -> None:
        """The acknowledgement runs out: nobody did it, and whoever is assigned is called anew."""
        with self.lock:
            if incident.status != "acknowledged":
                raise Invalid("Incident is not acknowledged")
            now = time.time()
            incident.status, incident.acknowledgers = "triggered", []
            incident.changed_at, incident.last_by = now, ""
            self._log(incident, "unacknowledge_log_entry", "The acknowledgement timed out.", "", now)
            self._tell("incident.unacknowledged", incident, "")

    def delegate(self, incident: Incident, by: str) -> None:
        """Hand it to an escalation policy, which begins with its first level."""
        with self.lock:
            self._must_be_open(incident)
            now = time.time()
            incident.level, incident.assignees = 1, list(self.levels[1])
            incident.status, incident.acknowledgers = "triggered", []
            incident.changed_at, incident.last_by = now, by
            self._log(incident, "delegate_log_entry", f"Delegated by {self.name_of(by)}.", by, now)
            self._tell("incident.delegated", incident, by)

    def ask_to_join(self, incident: Incident, responder: dict[str, Any], user: str, by: str) -> None:
        """``responder``: as the REST API shows it."""
        with self.lock:
            incident.responders.append(responder)
            self._tell("incident.responder.added", incident, by, user=user, responder=responder)

    def answer(self, incident: Incident, user: str, *, joins: bool) -> None:
        """Somebody who was asked to join says whether they do."""
        with self.lock:
            asked = next((one for one in incident.responders if one["user"]["id"] == user), None)
            if asked is None:
                raise Invalid("Responder request not found")
            asked["state"] = "joined" if joins else "declined"
            self._log(
                incident, "responder_reply_log_entry", f"{self.name_of(user)} {asked['state']}.", user, time.time()
            )
            self._tell("incident.responder.replied", incident, user, user=user, responder=asked)

    def prioritise(self, incident: Incident, priority: str, by: str) -> None:
        with self.lock:
            incident.priority = priority
            name = PRIORITIES.get(priority, "none")
            self._log(incident, "priority_change_log_entry", f"Priority set to {name}.", by, time.time())
            self._tell("incident.priority_updated", incident, by)

    def note(self, incident: Incident, content: str, by: str) -> dict[str, Any]:
        with self.lock:
            now = time.time()
            made = {"id": self._id("N"), "content": content, "by": by, "at": now}
            incident.notes.append(made)
            self._log(incident, "annotate_log_entry", f"Note added by {self.name_of(by)}.", by, now)
            self._tell("incident.annotated", incident, by, note=made)
            return made

    def snooze(self, incident: Incident, seconds: int, by: str) -> None:
        with self.lock:
            self._must_be_open(incident)
            now = time.time()
            if incident.status == "triggered":
                self._acknowledge(incident, by, now)
            incident.snoozed_until = now + seconds
            self._log(incident, "snooze_log_entry", f"Snoozed for {seconds} s by {self.name_of(by)}.", by, now)

    def merge(self, target: Incident, sources: list[Incident], by: str) -> None:
        with self.lock:
            self._must_be_open(target)
            for source in sources:
                if source.id == target.id:
                    raise Invalid("Incident cannot be merged with itself")
            for source in sources:
                for key in (source.dedup_key, *(alert.key for alert in source.alerts)):
                    self._holder[source.service, key] = target.id
                target.alerts += source.alerts
                source.alerts = []
                self._log(target, "merge_log_entry", f"Merged with #{source.number}.", by, time.time())
                if source.open:
                    self._resolve(source, by, time.time())

    def log(self, incident: Incident, kind: str, summary: str, by: str) -> None:
        """Add a line to an incident's log for an action that leaves its status alone."""
        with self.lock:
            self._log(incident, kind, summary, by, time.time())

    def new_id(self) -> str:
        with self.lock:
            return self._id("R")

    def name_of(self, user: str) -> str:
        return USERS[user][0] if user in USERS else AGENT_API

    # -- keeping ----------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        with self.lock:
            levels = {str(level): users for level, users in self.levels.items()}
            shifts = {str(level): [list(one) for one in turns] for level, turns in self.shifts.items()}
            incidents = [asdict(i) for i in self.incidents.values()]
            holder = [[service, key, ident] for (service, key), ident in self._holder.items()]
            more = {"levels": levels, "shifts": shifts, "changes": list(self.changes), "holder": holder}
            return {"made": self._made, "incidents": incidents, **more}

    def load(self, data: Mapping[str, Any]) -> None:
        with self.lock:
            self._made = data["made"]
            self.levels = {int(level): list(users) for level, users in data["levels"].items()}
            turns = data.get("shifts", {})
            self.shifts = {int(level): [(who, start, end) for who, start, end in turns[level]] for level in turns}
            self.changes = list(data["changes"])
            self._holder = {(service, key): ident for service, key, ident in data["holder"]}
            self.incidents = {}
            for row in data["incidents"]:
                alerts = [Alert(**alert) for alert in row["alerts"]]
                acknowledgers = [(user, at) for user, at in row["acknowledgers"]]
                incident = Incident(**{**row, "alerts": alerts, "acknowledgers": acknowledgers})
                self.incidents[incident.id] = incident

    # -- inside -----------------------------------------------------------------------------------------------------

    def _id(self, letter: str) -> str:
        self._made += 1
        return f"P{letter}{self._made:05d}"

    def _new(self, title: str, service: str, key: str, now: float) -> Incident:
        incident = Incident(self._id("I"), len(self.incidents) + 1, title, service, key, now)
        incident.assignees = list(self.levels[1])
        incident.changed_at = now
        self.incidents[incident.id] = incident
        self._hold(incident)
        return incident

    def _hold(self, incident: Incident) -> None:
        """From now on this incident is the one that events with its keys are about."""
        for key in (incident.dedup_key, *(alert.key for alert in incident.alerts)):
            self._holder[incident.service, key] = incident.id

    def _must_be_open(self, incident: Incident) -> None:
        if not incident.open:
            raise Invalid("Incident Already Resolved")

    def _acknowledge(self, incident: Incident, by: str, now: float) -> None:
        if incident.status == "acknowledged" and by in [who for who, _ in incident.acknowledgers]:
            return
        incident.status, incident.changed_at, incident.last_by = "acknowledged", now, by
        if incident.acknowledged_at is None:
            incident.acknowledged_at = now
        if by:
            incident.acknowledgers.append((by, now))
        self._log(incident, "acknowledge_log_entry", f"Acknowledged by {self.name_of(by)}.", by, now)
        self._tell("incident.acknowledged", incident, by)

    def _resolve(self, incident: Incident, by: str, now: float) -> None:
        incident.status, incident.resolved_at, incident.changed_at = "resolved", now, now
        incident.last_by, incident.assignees = by, []
        for alert in incident.alerts:
            alert.status = "resolved"
        self._log(incident, "resolve_log_entry", f"Resolved by {self.name_of(by)}.", by, now)
        self._tell("incident.resolved", incident, by)

    def _log(self, incident: Incident, kind: str, summary: str, by: str, at: float) -> None:
        incident.log.append({"id": self._id("L"), "at": at, "type": kind, "summary": summary, "by": by})

    def _tell(self, event: str, incident: Incident, by: str, **extra: Any) -> None:
        for tell in self.told:
            tell(event, incident, by, extra)


def _alert(key: str, payload: Mapping[str, Any], now: float) -> Alert:
    name = f"A{uuid.uuid4().hex[:6].upper()}"
    return Alert(name, key, "triggered", payload["severity"], payload["summary"], now, dict(payload))
