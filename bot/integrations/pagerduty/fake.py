"""A stateful stand-in for PagerDuty: Events API v2, REST API v2, signed webhooks, and people who answer their phones."""

from __future__ import annotations

import html
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from bot.integrations.pagerduty.fake_account import USERS, Account, Incident
from bot.integrations.pagerduty.fake_events import Events
from bot.integrations.pagerduty.fake_rest import Rest
from bot.integrations.pagerduty.fake_views import Views
from bot.standin import CallLog, Faults, Guard, Notice
from bot.standin_hooks import Hooks, Manner

API_TOKEN = "pd-sandbox-token"
ROUTING_KEYS = {"d0c5a91d0c5a91d0c5a91d0c5a91d0c5": "docs-api", "6a7e3a96a7e3a96a7e3a96a7e3a96a7e": "gateway"}
"""Routing key (32 characters) → service name."""
WEBHOOKS = Manner(
    name="pagerduty",
    signed=("X-PagerDuty-Signature", "v1="),
    again=lambda status: not 200 <= status < 300,
    headers={"Content-Type": "application/json", "User-Agent": "PagerDuty-Webhook/V3.0"},
)


class FakePagerDuty:
    """One pretend account, served at the root of an address or mounted below one. Safe to use from any thread.

    ``webhook_url`` and ``webhook_secret`` may be set at any time; without an address nothing is sent.
    ``limit_events_per_minute`` throttles each routing key with 429, None for no limit.
    ``read_only`` makes the REST token a read-only key (writes answer 403).
    """

    name = "pagerduty"

    def __init__(
        self,
        calls: CallLog,
        *,
        api_token: str = API_TOKEN,
        routing_keys: Mapping[str, str] = ROUTING_KEYS,
        token_user: str = "",
        webhook_url: str = "",
        webhook_secret: str = "",
        limit_events_per_minute: int | None = None,
    ) -> None:
        self.account = Account(routing_keys.values())
        keys = {key: self.account.service_id(name) for key, name in routing_keys.items()}
        self.account.keys = dict(keys)
        self.faults = Faults()
        self.changed: list[Callable[[], None]] = []
        self.webhook_url = webhook_url
        self.webhook_secret = webhook_secret
        self.base_url = ""
        self.hooks = Hooks(WEBHOOKS)
        self.account.told.append(self._told)
        self._events = Events(self.account, keys)
        self._events.limit = limit_events_per_minute
        self._rest = Rest(self.account, api_token, self.account.user_id(token_user) if token_user else "")
        page = Route("/pages/incidents/{id}", self._page)
        routes = Starlette(routes=[*self._events.routes(), *self._rest.routes(), page])
        self.app: ASGIApp = Guard(self.name, Notice(self, routes), self.faults, calls)

    @property
    def limit_events_per_minute(self) -> int | None:
        return self._events.limit

    @limit_events_per_minute.setter
    def limit_events_per_minute(self, limit: int | None) -> None:
        self._events.limit = limit

    @property
    def read_only(self) -> bool:
        return self._rest.read_only

    @read_only.setter
    def read_only(self, only: bool) -> None:
        self._rest.read_only = only

    # -- people -----------------------------------------------------------------------------------------------------

    def acknowledge(self, incident_id: str, user: str) -> None:
        """``user`` (id, address or first name) acknowledges, as if by phone. Raises Invalid as the REST API would."""
        self.account.acknowledge(self.account.incident(incident_id), self.account.user_id(user))
        self.announce()

    def resolve(self, incident_id: str, user: str) -> None:
        self.account.resolve(self.account.incident(incident_id), self.account.user_id(user))
        self.announce()

    def reopen(self, incident_id: str, user: str) -> None:
        self.account.reopen(self.account.incident(incident_id), self.account.user_id(user))
        self.announce()

    def reassign(self, incident_id: str, to: str, user: str = "alice") -> None:
        """``user`` hands the incident to ``to``."""
        by, target = self.account.user_id(user), self.account.user_id(to)
        self.account.reassign(self.account.incident(incident_id), [target], by)
        self.announce()

    def escalate(self, incident_id: str, user: str) -> None:
        """To the next level; by ``user``, or by the policy itself when that is empty."""
        incident = self.account.incident(incident_id)
        self.account.escalate(incident, incident.level + 1, self.account.user_id(user) if user else "")
        self.announce()

    def delegate(self, incident_id: str, user: str) -> None:
        self.account.delegate(self.account.incident(incident_id), self.account.user_id(user))
        self.announce()

    def unacknowledge(self, incident_id: str) -> None:
        """The acknowledgement times out."""
        self.account.unacknowledge(self.account.incident(incident_id))
        self.announce()

    def prioritise(self, incident_id: str, priority: str, user: str) -> None:
        """``priority``: its id, such as PPRIO01."""
        self.account.prioritise(self.account.incident(incident_id), priority, self.account.user_id(user))
        self.announce()

    def ask_to_join(self, incident_id: str, who: str, user: str) -> None:
        """``user`` asks ``who`` to join."""
        incident, target, by = self.account.incident(incident_id), self.account.user_id(who), self.account.user_id(user)
        views = Views(self.account, self.base_url)
        asked = {"state": "pending", "user": views.user_ref(target), "message": "please join"}
        self.account.ask_to_join(incident, asked, target, by)
        self.announce()

    def answer(self, incident_id: str, user: str, *, joins: bool = True) -> None:
        """Whether somebody who was asked to join does."""
        self.account.answer(self.account.incident(incident_id), self.account.user_id(user), joins=joins)
        self.announce()

    def note(self, incident_id: str, text: str, user: str) -> None:
        self.account.note(self.account.incident(incident_id), text, self.account.user_id(user))
        self.announce()

    def set_on_call(self, level: int, users: list[str]) -> None:
        """Who is on call at an escalation level from now on."""
        with self.account.lock:
            self.account.levels[level] = [self.account.user_id(user) for user in users]
            self.account.shifts.pop(level, None)
        self.announce()

    def set_rotation(self, level: int, turns: list[tuple[str, float, float]]) -> None:
        """Who is on call at a level in turn: (user, start, end) in UNIX s. Who has the turn of now is on call."""
        now = time.time()
        with self.account.lock:
            shifts = [(self.account.user_id(user), start, end) for user, start, end in turns]
            self.account.shifts[level] = shifts
            self.account.levels[level] = [user for user, start, end in shifts if start <= now < end]
        self.announce()

    # -- stand-in ---------------------------------------------------------------------------------------------------

    def announce(self) -> None:
        """Tell whoever watches that something may have changed."""
        for hear in self.changed:
            hear()

    def state(self) -> dict[str, Any]:
        """``{"incidents": […], "changes": […], "webhooks": n}``; times are UNIX seconds, people e-mail addresses."""
        with self.account.lock:
            rows = [self._row(incident) for incident in self.account.incidents.values()]
            return {"incidents": rows, "changes": list(self.account.changes), "webhooks": len(self.hooks.sent)}

    def dump(self) -> dict[str, Any]:
        hooks = {"webhook_url": self.webhook_url, "webhook_secret": self.webhook_secret}
        return {"account": self.account.dump(), "base_url": self.base_url, **hooks}

    def load(self, data: dict[str, Any]) -> None:
        self.account.load(data["account"])
        self.base_url = data["base_url"]
        self.webhook_url, self.webhook_secret = data["webhook_url"], data["webhook_secret"]
        self.announce()

    def _row(self, incident: Incident) -> dict[str, Any]:
        return {
            "id": incident.id,
            "number": incident.number,
            "status": incident.status,
            "title": incident.title,
            "severity": incident.severity,
            "urgency": incident.urgency,
            "service": self.account.services[incident.service],
            "dedup_key": incident.dedup_key,
            "created_at": incident.created_at,
            "acknowledged_at": incident.acknowledged_at,
            "resolved_at": incident.resolved_at,
            "assignees": [USERS[user][1] for user in incident.assignees],
            "notes": [{"at": n["at"], "by": _email(n["by"]), "text": n["content"]} for n in incident.notes],
            "log": [
                {"at": line["at"], "type": line["type"], "summary": line["summary"], "by": _email(line["by"])}
                for line in incident.log
            ],
            "triggers": incident.triggers,
            "alerts": len(incident.alerts),
            "links": list(incident.links),
            "details": dict(incident.details),
            "url": f"{self.base_url}/pages/incidents/{incident.id}",
        }

    def _told(self, event: str, incident: Incident, by: str, extra: Mapping[str, Any]) -> None:
        if not self.webhook_url:
            return
        views = Views(self.account, self.base_url)
        body = {
            "id": uuid.uuid4().hex.upper()[:26],
            "event_type": event,
            "resource_type": "incident",
            "occurred_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "agent": views.agent(incident, by),
            "client": None,
            "data": views.webhook(event, incident, extra),
        }
        self.hooks.send(self.webhook_url, self.webhook_secret, {"event": body})

    async def _page(self, request: Request) -> HTMLResponse:
        """The page behind an incident's link, for whoever follows it in the sandbox."""
        rows = [row for row in self.state()["incidents"] if row["id"] == request.path_params["id"]]
        if not rows:
            return HTMLResponse("<!doctype html><title>No such incident</title><p>No such incident.</p>", 404)
        row = rows[0]
        title = html.escape(f"#{row['number']} {row['title']}")
        facts = {name: row[name] for name in ("status", "severity", "service")}
        facts["assignees"] = ", ".join(row["assignees"])
        shown = "".join(f"<dt>{name}<dd>{html.escape(text)}" for name, text in facts.items())
        lines = [f"{datetime.fromtimestamp(line['at'], UTC):%H:%M:%S} {line['summary']}" for line in row["log"]]
        lines += [f"{note['by']}: {note['text']}" for note in row["notes"]]
        items = "".join(f"<li>{html.escape(line)}" for line in lines)
        head = f'<!doctype html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
        return HTMLResponse(f"{head}<dl>{shown}</dl><ul>{items}</ul>")


def _email(user: str) -> str:
    return USERS[user][1] if user else ""
