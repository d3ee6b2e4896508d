"""The pretend REST API v2: incidents and what hangs on them, services, people and on-call."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.integrations.pagerduty.fake_account import (
    POLICY,
    PRIORITIES,
    SCHEDULES,
    USERS,
    Account,
    Incident,
    Invalid,
    not_found,
)
from bot.integrations.pagerduty.fake_views import Json, Views
from bot.integrations.pagerduty.fake_writes import Writes

MONTH = 30 * 86400.0


@dataclass
class Asked:
    """One authenticated request. ``by`` is the id of the user it is made for, or empty."""

    request: Request
    views: Views
    body: Json
    by: str

    def all(self, name: str) -> list[str]:
        """A list parameter, in both spellings (``statuses[]`` and ``statuses``)."""
        query = self.request.query_params
        return query.getlist(f"{name}[]") + query.getlist(name)

    def number(self, name: str, default: int, most: int) -> int:
        text = self.request.query_params.get(name, str(default))
        if not text.isdigit() or int(text) > most:
            raise Invalid(f"{name} must be a number between 0 and {most}")
        return int(text)

    def flag(self, name: str) -> bool:
        text = self.request.query_params.get(name, "false")
        if text not in ("true", "false", "1", "0"):
            raise Invalid(f"{name} must be true or false")
        return text in ("true", "1")

    def time(self, name: str) -> float | None:
        text = self.request.query_params.get(name)
        if text is None:
            return None
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise Invalid(f"{name} is not a valid ISO 8601 time") from None
        return at.replace(tzinfo=at.tzinfo or UTC).timestamp()

    def page(self, wrapper: str, rows: list[Any], show: Callable[[Any], Json]) -> Json:
        """Classic pagination: the slice asked for, and whether there is more."""
        limit, offset = self.number("limit", 25, 100), self.number("offset", 0, 9999)
        if limit + offset > 10_000:
            raise Invalid("Offset must be less than 10000")
        body: Json = {wrapper: [show(row) for row in rows[offset : offset + limit]]}
        more = offset + limit < len(rows)
        total = len(rows) if self.flag("total") else None
        return {**body, "limit": limit, "offset": offset, "total": total, "more": more}


Answer = tuple[int, Json]


class Rest:
    """The REST endpoints of one account. ``token`` opens them; ``token_user`` is set for a user's own token."""

    def __init__(self, account: Account, token: str, token_user: str = "") -> None:
        self.account = account
        self.token = token
        self.token_user = token_user
        self.read_only = False
        self._writes = Writes(account)

    def routes(self) -> list[Route]:
        one = "/incidents/{id}"
        write = self._writes
        table: list[tuple[str, str, Callable[..., Answer]]] = [
            ("GET", "/incidents", self.incidents),
            ("POST", "/incidents", write.create),
            ("PUT", "/incidents", write.update_many),
            ("GET", one, self.incident),
            ("PUT", one, write.update),
            ("GET", f"{one}/alerts", self.alerts),
            ("GET", f"{one}/log_entries", self.log_entries),
            ("GET", f"{one}/notes", self.notes),
            ("POST", f"{one}/notes", write.note),
            ("POST", f"{one}/status_updates", write.status_update),
            ("POST", f"{one}/responder_requests", write.responder_request),
            ("PUT", f"{one}/merge", write.merge),
            ("POST", f"{one}/snooze", write.snooze),
            ("GET", "/services", self.services),
            ("GET", "/services/{id}", self.service),
            ("GET", "/oncalls", self.oncalls),
            ("GET", "/schedules", self.schedules),
            ("GET", "/schedules/{id}", self.schedule),
            ("GET", "/escalation_policies", self.policies),
            ("GET", "/escalation_policies/{id}", self.policy),
            ("GET", "/users", self.users),
            ("GET", "/users/me", self.me),
            ("GET", "/users/{id}", self.user),
            ("GET", "/priorities", self.priorities),
            ("GET", "/abilities", self.abilities),
        ]
        return [Route(path, self._endpoint(answer), methods=[method]) for method, path, answer in table]

    def _endpoint(self, answer: Callable[..., Answer]) -> Callable[..., Any]:
        async def endpoint(request: Request) -> Response:
            try:
                asked = self._asked(request, await request.body())
                with self.account.lock:
                    status, body = answer(asked)
            except Invalid as refusal:
                return _refused(refusal)
            return JSONResponse(body, status)

        return endpoint

    def _asked(self, request: Request, raw: bytes) -> Asked:
        if request.headers.get("authorization") not in (f"Token token={self.token}", f"Bearer {self.token}"):
            raise Invalid(status=401, code=2006, message="Unauthorized")
        accept = request.headers.get("accept", "*/*")
        if not any(kind in accept for kind in ("json", "*/*")) or "version=1" in accept:
            raise Invalid(status=406, code=2004, message="Not Acceptable")
        by, body = self.token_user, {}
        if request.method != "GET":
            if self.read_only:
                raise Invalid(status=403, code=2010, message="Access Denied")
            by = self._requester(request)
            body = _json(raw)
        base = f"{request.url.scheme}://{request.headers['host']}{request.scope.get('root_path', '')}"
        return Asked(request, Views(self.account, base), body, by)

    def _requester(self, request: Request) -> str:
        email = request.headers.get("from", "")
        if not email:
            if self.token_user:
                return self.token_user
            raise Invalid("From header is required and must be the email address of a user", message="Missing From")
        found = [user for user, (_, known) in USERS.items() if known == email]
        if not found:
            raise Invalid("Requester User Not Found", code=1008, message="Requester User Not Found")
        return found[0]

    # -- incidents --------------------------------------------------------------------------------------------------

    def incidents(self, asked: Asked) -> Answer:
        rows = [i for i in self.account.incidents.values() if self._wanted(asked, i)]
        order = asked.request.query_params.get("sort_by", "created_at:desc")
        name, _, way = order.partition(":")
        keys: dict[str, Callable[[Incident], Any]] = {
            "incident_number": lambda i: i.number,
            "created_at": lambda i: (i.created_at, i.number),
            "resolved_at": lambda i: (i.resolved_at or 0, i.number),
            "urgency": lambda i: (i.urgency == "high", i.number),
        }
        if name not in keys or way not in ("", "asc", "desc"):
            raise Invalid(f"sort_by {order!r} is not one of {', '.join(keys)} with :asc or :desc")
        rows.sort(key=keys[name], reverse=way == "desc")
        return 200, asked.page("incidents", rows, asked.views.incident)

    def _wanted(self, asked: Asked, incident: Incident) -> bool:
        query = asked.request.query_params
        statuses, urgencies, services = asked.all("statuses"), asked.all("urgencies"), asked.all("service_ids")
        if set(statuses) - {"triggered", "acknowledged", "resolved"}:
            raise Invalid(f"Invalid statuses: {', '.join(statuses)}")
        if set(urgencies) - {"high", "low"}:
            raise Invalid(f"Invalid urgencies: {', '.join(urgencies)}")
        users, key = asked.all("user_ids"), query.get("incident_key")
        fits = [
            not statuses or incident.status in statuses,
            not urgencies or incident.urgency in urgencies,
            not services or incident.service in services,
            not users or bool(set(users) & set(incident.assignees)),
            key is None or incident.dedup_key == key,
            _within(asked, incident),
        ]
        return all(fits)

    def _one(self, asked: Asked) -> Incident:
        return self.account.incident(asked.request.path_params["id"])

    def incident(self, asked: Asked) -> Answer:
        return 200, {"incident": asked.views.incident(self._one(asked))}

    def alerts(self, asked: Asked) -> Answer:
        incident = self._one(asked)
        statuses, key = asked.all("statuses"), asked.request.query_params.get("alert_key")
        rows = [a for a in incident.alerts if (not statuses or a.status in statuses) and key in (None, a.key)]
        return 200, asked.page("alerts", rows, lambda alert: asked.views.alert(incident, alert))

    def log_entries(self, asked: Asked) -> Answer:
        incident = self._one(asked)
        lines = list(reversed(incident.log))
        return 200, asked.page("log_entries", lines, lambda line: asked.views.log_entry(incident, line))

    def notes(self, asked: Asked) -> Answer:
        return 200, {"notes": [asked.views.note(note) for note in self._one(asked).notes]}

    # -- the account ------------------------------------------------------------------------------------------------

    def services(self, asked: Asked) -> Answer:
        query = asked.request.query_params.get("query", "").lower()
        rows = [sid for sid, name in self.account.services.items() if query in name.lower()]
        more = "integrations" in asked.all("include")
        return 200, asked.page("services", rows, lambda sid: asked.views.service(sid, integrations=more))

    def service(self, asked: Asked) -> Answer:
        return 200, {"service": asked.views.service(_known(asked, self.account.services))}

    def oncalls(self, asked: Asked) -> Answer:
        now = time.time()
        since, until = asked.time("since"), asked.time("until")
        since = now if since is None else since
        until = since if until is None else until
        if until < since or until - since > 3.1 * MONTH:
            raise Invalid("until must be after since, and at most 3 months later")
        rows = asked.views.oncalls(since, until)
        filters = {"escalation_policy_ids": "escalation_policy", "user_ids": "user", "schedule_ids": "schedule"}
        for parameter, name in filters.items():
            wanted = asked.all(parameter)
            rows = [row for row in rows if not wanted or row[name]["id"] in wanted]
        if asked.flag("earliest"):
            rows = list({(row["escalation_level"], row["user"]["id"]): row for row in rows}.values())
        return 200, asked.page("oncalls", rows, lambda row: row)

    def schedules(self, asked: Asked) -> Answer:
        return 200, asked.page("schedules", list(SCHEDULES), asked.views.schedule)

    def schedule(self, asked: Asked) -> Answer:
        return 200, {"schedule": asked.views.schedule(_known(asked, SCHEDULES))}

    def policies(self, asked: Asked) -> Answer:
        return 200, asked.page("escalation_policies", [POLICY], lambda _: asked.views.policy())

    def policy(self, asked: Asked) -> Answer:
        _known(asked, {POLICY: "Default"})
        return 200, {"escalation_policy": asked.views.policy()}

    def users(self, asked: Asked) -> Answer:
        query = asked.request.query_params.get("query", "").lower()
        rows = [user for user, names in USERS.items() if any(query in name.lower() for name in names)]
        return 200, asked.page("users", rows, asked.views.user)

    def user(self, asked: Asked) -> Answer:
        return 200, {"user": asked.views.user(_known(asked, USERS))}

    def me(self, asked: Asked) -> Answer:
        if not self.token_user:
            return 400, {"error": "Cannot get current user (/users/me) when using an account-level access token"}
        return 200, {"user": asked.views.user(self.token_user)}

    def priorities(self, asked: Asked) -> Answer:
        return 200, asked.page("priorities", list(PRIORITIES), lambda p: asked.views.priority_ref(p) or {})

    def abilities(self, _: Asked) -> Answer:
        return 200, {"abilities": ["teams", "urgencies", "service_support_hours", "response_operations"]}


def _within(asked: Asked, incident: Incident) -> bool:
    if asked.request.query_params.get("date_range") == "all" or "incident_key" in asked.request.query_params:
        return True
    until = asked.time("until") or time.time()
    since = asked.time("since")
    since = until - MONTH if since is None else since
    if since > until or until - since > 6.2 * MONTH:
        raise Invalid("since must be before until, and the two at most 6 months apart")
    return since <= incident.created_at <= until + 1


def _known(asked: Asked, table: Any) -> str:
    ident: str = asked.request.path_params["id"]
    if ident not in table:
        raise not_found()
    return ident


def _json(raw: bytes) -> Json:
    try:
        body = json.loads(raw)
    except ValueError:
        raise Invalid("Could not parse request body as valid JSON.") from None
    if not isinstance(body, dict):
        raise Invalid("Request body must be a JSON object.")
    return body


def _refused(refusal: Invalid) -> JSONResponse:
    error: Json = {"message": refusal.message, "code": refusal.code}
    if refusal.errors:
        error["errors"] = refusal.errors
    return JSONResponse({"error": error}, refusal.status)
