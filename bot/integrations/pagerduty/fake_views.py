"""How the pretend PagerDuty's REST API and webhooks spell incidents, users and the rest as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bot.integrations.pagerduty.fake_account import POLICY, PRIORITIES, SCHEDULES, USERS, Account, Alert, Incident

Json = dict[str, Any]


def iso(at: float | None) -> str | None:
    """UNIX seconds as the REST API writes times: UTC, whole seconds."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Views:
    """JSON bodies with addresses under ``base``, the address the caller used."""

    def __init__(self, account: Account, base: str) -> None:
        self.account = account
        self.base = base

    def ref(self, kind: str, path: str, ident: str, summary: str) -> Json:
        at = {"self": f"{self.base}/{path}/{ident}", "html_url": f"{self.base}/pages/{path}/{ident}"}
        return {"id": ident, "type": f"{kind}_reference", "summary": summary, **at}

    def user_ref(self, user: str) -> Json:
        return self.ref("user", "users", user, USERS[user][0])

    def service_ref(self, service: str) -> Json:
        return self.ref("service", "services", service, self.account.services[service])

    def policy_ref(self) -> Json:
        return self.ref("escalation_policy", "escalation_policies", POLICY, "Default")

    def priority_ref(self, priority: str) -> Json | None:
        if not priority:
            return None
        return {**self.ref("priority", "priorities", priority, PRIORITIES[priority]), "name": PRIORITIES[priority]}

    def incident_ref(self, incident: Incident) -> Json:
        return self.ref("incident", "incidents", incident.id, f"[#{incident.number}] {incident.title}")

    def agent(self, incident: Incident, by: str) -> Json:
        """Who did it: a person, or the service an event came in through."""
        return self.user_ref(by) if by else self.service_ref(incident.service)

    def assignments(self, incident: Incident) -> list[Json]:
        return [{"at": iso(incident.changed_at), "assignee": self.user_ref(u)} for u in incident.assignees]

    def incident(self, incident: Incident) -> Json:
        unresolved = sum(a.status != "resolved" for a in incident.alerts)
        total = len(incident.alerts)
        first = incident.log[0]
        entry = self.ref("trigger_log_entry", "log_entries", first["id"], first["summary"])
        return {
            **self.incident_ref(incident),
            "type": "incident",
            "incident_number": incident.number,
            "title": incident.title,
            "description": incident.title,
            "created_at": iso(incident.created_at),
            "updated_at": iso(incident.log[-1]["at"]),
            "status": incident.status,
            "incident_key": incident.dedup_key,
            "service": self.service_ref(incident.service),
            "assignments": self.assignments(incident),
            "assigned_via": "escalation_policy",
            "acknowledgements": [
                {"at": iso(at), "acknowledger": self.user_ref(user)}
                for user, at in incident.acknowledgers
                if incident.status == "acknowledged"
            ],
            "last_status_change_at": iso(incident.changed_at),
            "last_status_change_by": self.agent(incident, incident.last_by),
            "resolved_at": iso(incident.resolved_at),
            "first_trigger_log_entry": entry,
            "alert_counts": {"all": total, "triggered": unresolved, "resolved": total - unresolved},
            "is_mergeable": incident.open,
            "incident_type": {"name": "incident_default"},
            "escalation_policy": self.policy_ref(),
            "teams": [],
            "pending_actions": [
                {"type": "unacknowledge", "at": iso(incident.snoozed_until)} for _ in [0] if incident.snoozed_until
            ],
            "priority": self.priority_ref(incident.priority),
            "resolve_reason": None,
            "incidents_responders": incident.responders,
            "responder_requests": [],
            "urgency": incident.urgency,
            **({"body": {"type": "incident_body", "details": incident.body}} if incident.body else {}),
        }

    def alert(self, incident: Incident, alert: Alert) -> Json:
        return {
            **self.ref("alert", f"incidents/{incident.id}/alerts", alert.id, alert.summary),
            "type": "alert",
            "created_at": iso(alert.created_at),
            "status": "resolved" if alert.status == "resolved" else "triggered",
            "alert_key": alert.key,
            "service": self.service_ref(incident.service),
            "body": {
                "type": "alert_body",
                "contexts": [{"type": "link", **link} for link in incident.links],
                "details": alert.payload.get("custom_details") or {},
                "cef_details": alert.payload,
            },
            "incident": self.incident_ref(incident),
            "suppressed": False,
            "severity": alert.severity,
            "integration": self.ref("events_api_v2_inbound_integration", "integrations", "PINTEG1", "Events API V2"),
        }

    def log_entry(self, incident: Incident, line: Mapping[str, Any]) -> Json:
        return {
            **self.ref(line["type"], "log_entries", line["id"], line["summary"]),
            "type": line["type"],
            "created_at": iso(line["at"]),
            "agent": self.agent(incident, line["by"]),
            "channel": {"type": "web_trigger" if line["by"] else "api"},
            "incident": self.incident_ref(incident),
            "service": self.service_ref(incident.service),
            "teams": [],
            "contexts": [],
        }

    def note(self, note: Mapping[str, Any]) -> Json:
        return {
            "id": note["id"],
            "user": self.user_ref(note["by"]),
            "channel": {"summary": "The PagerDuty website or APIs"},
            "content": note["content"],
            "created_at": iso(note["at"]),
        }

    def user(self, user: str) -> Json:
        name, email = USERS[user]
        role = {"role": "user", "time_zone": "Etc/UTC", "job_title": "Engineer", "teams": []}
        return {**self.user_ref(user), "type": "user", "name": name, "email": email, **role}

    def service(self, service: str, *, integrations: bool = False) -> Json:
        """``integrations``: with them and their keys; else they are only referred to."""
        keys = [key for key, owner in self.account.keys.items() if owner == service]
        kind, made = "events_api_v2_inbound_integration", []
        for key in keys:
            ref = self.ref(kind, f"services/{service}/integrations", f"PINT{key[:4].upper()}", "Events API V2")
            made.append({**ref, "type": kind, "integration_key": key} if integrations else ref)
        shape = {"type": "service", "name": self.account.services[service], "status": "active", "teams": []}
        return {**self.service_ref(service), **shape, "escalation_policy": self.policy_ref(), "integrations": made}

    def schedule(self, schedule: str) -> Json:
        level = list(SCHEDULES).index(schedule) + 1
        users = [self.user_ref(u) for u in self.account.levels[level]]
        shape = {"type": "schedule", "name": SCHEDULES[schedule], "time_zone": "Etc/UTC", "users": users}
        return {**self.ref("schedule", "schedules", schedule, SCHEDULES[schedule]), **shape}

    def policy(self) -> Json:
        rules = [
            {"id": f"PRULE{level:02d}", "escalation_delay_in_minutes": 15, "targets": [self._schedule_ref(level)]}
            for level in sorted(self.account.levels)
        ]
        services = [self.service_ref(s) for s in self.account.services]
        shape = {"type": "escalation_policy", "name": "Default", "num_loops": 0, "teams": []}
        return {**self.policy_ref(), **shape, "escalation_rules": rules, "services": services}

    def oncalls(self, since: float, until: float) -> list[Json]:
        """Everybody on call between two instants, by level; who is so always, as in a rotation of one, without start and end."""
        rows = []
        for level, users in sorted(self.account.levels.items()):
            always: list[tuple[str, float | None, float | None]] = [(user, None, None) for user in users]
            turns = self.account.shifts.get(level)
            if turns is not None:
                always = [(who, start, end) for who, start, end in turns if start <= until and since < end]
            rows += [
                {
                    "escalation_policy": self.policy_ref(),
                    "escalation_level": level,
                    "schedule": self._schedule_ref(level),
                    "user": self.user_ref(user),
                    "start": iso(start),
                    "end": iso(end),
                }
                for user, start, end in always
            ]
        return rows

    def webhook(self, event: str, incident: Incident, extra: Mapping[str, Any]) -> Json:
        """The ``data`` of a v3 webhook event."""
        if event == "incident.annotated":
            note = extra["note"]
            data: Json = {"id": note["id"], "type": "incident_note", "content": note["content"], "trimmed": False}
            return {"incident": self.incident_ref(incident), **data}
        if event.startswith("incident.responder."):
            data = {"type": "incident_responder", "user": self.user_ref(extra["user"]), "escalation_policy": None}
            kept = {name: extra["responder"][name] for name in ("message", "state")}
            return {"incident": self.incident_ref(incident), **data, **kept}
        return {
            **self.incident_ref(incident),
            "type": "incident",
            "number": incident.number,
            "status": incident.status,
            "incident_key": incident.dedup_key,
            "created_at": iso(incident.created_at),
            "title": incident.title,
            "service": self.service_ref(incident.service),
            "assignees": [self.user_ref(u) for u in incident.assignees],
            "escalation_policy": self.policy_ref(),
            "teams": [],
            "priority": self.priority_ref(incident.priority),
            "urgency": incident.urgency,
            "conference_bridge": None,
            "resolve_reason": None,
        }

    def _schedule_ref(self, level: int) -> Json:
        schedule = list(SCHEDULES)[level - 1]
        return self.ref("schedule", "schedules", schedule, SCHEDULES[schedule])
