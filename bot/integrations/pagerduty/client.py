"""Asks PagerDuty through pdpyras, whose own retries are off and whose errors come out as Retry or GiveUp."""

from __future__ import annotations

import json
import math
import os
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests
from pydantic import SecretStr
from requests.utils import get_environ_proxies
from urllib3.util import Timeout

from bot.errors import GiveUp, NotConfigured, Retry
from bot.http_client import no_answer, retry_after
from bot.integrations.pagerduty import Accepted, OnCall, Page, Paged, PagerDutySettings, PageRef, Trigger, User

with warnings.catch_warnings():
    # Exactly its farewell notice, which comes with every import: any other warning still shows.
    warnings.filterwarnings("ignore", message='The package "pdpyras" is deprecated', category=UserWarning)
    import pdpyras

MAX_SUMMARY = 1024
UNREADABLE = "PagerDuty's answer could not be read; is a proxy or a login page answering in its place?"
FEW = 5
"""Services that are asked for one by one; more are found in the list."""
MAX_EVENT = 500_000
"""Bytes of an event we dare to send; PagerDuty refuses more than 512 KB, and a page must not be lost for its details."""


class Unknown(GiveUp):
    """What was asked for is not there (404)."""


class PagerDutyClient:
    """A ``Pager``. Safe to use from any thread: each call borrows a session, and its warm connection, for itself alone."""

    def __init__(self, settings: PagerDutySettings) -> None:
        self._settings = settings
        self._events: list[Any] = []
        self._rest: list[Any] = []

    def trigger(self, ask: Trigger) -> Accepted:
        payload = {"summary": _shorten(ask.summary), "source": ask.source, "severity": ask.severity}
        payload |= {name: text for name, text in (("component", ask.component), ("group", ask.group)) if text}
        links = [{"href": href, "text": text} for href, text in ask.links if href.startswith(("http://", "https://"))]
        details = _plain(ask.details)
        if len(json.dumps(details)) > MAX_EVENT:
            details = {"left out": f"the details are longer than {MAX_EVENT} bytes"}
        event = {
            "event_action": "trigger",
            "dedup_key": ask.dedup_key,
            "payload": {**payload, "custom_details": details},
        }
        return self._send(ask.routing_key, {**event, "links": links, "client": "Release Captain"})

    def acknowledge(self, ask: PageRef) -> Accepted:
        return self._send(ask.routing_key, {"event_action": "acknowledge", "dedup_key": ask.dedup_key})

    def resolve(self, ask: PageRef) -> Accepted:
        return self._send(ask.routing_key, {"event_action": "resolve", "dedup_key": ask.dedup_key})

    def find(self, dedup_key: str) -> Page | None:
        params = {"incident_key": dedup_key, "date_range": "all", "sort_by": "created_at:desc", "limit": 1}
        found = self._ask(lambda session: session.rget("/incidents", params=params))
        return _page(found[0]) if found else None

    def incident(self, incident_id: str) -> Page | None:
        try:
            return _page(self._ask(lambda session: session.rget(f"/incidents/{quote(incident_id, safe='')}")))
        except Unknown:
            return None

    @property
    def reads(self) -> bool:
        return self._settings.api_token is not None

    def note(self, incident_id: str, text: str, *, sender: str = "") -> None:
        path, note = f"/incidents/{incident_id}/notes", {"note": {"content": text}}
        self._ask(lambda session: session.rpost(path, json=note, headers=_from(sender)))

    def notes(self, incident_id: str) -> Sequence[str]:
        path = f"/incidents/{incident_id}/notes"
        return self._ask(lambda session: [str(row["content"]) for row in session.rget(path)])  # type: ignore[no-any-return]

    def users(self, who: str) -> Sequence[User]:
        rows = self._ask(lambda session: session.rget("/users", params={"query": who, "limit": 100}))
        found = [User(row["id"], row["name"], row["email"]) for row in rows]
        return [one for one in found if one.email.lower() == who.lower()] or found

    def sender(self, email: str) -> User:
        ours = self._settings.from_email
        exact = (one for who in (email, ours) if who for one in self.users(who) if one.email.lower() == who.lower())
        found = next(exact, None)
        if found is None and ours:
            raise GiveUp(
                f"PagerDuty has no user {ours}: set pagerduty.from_email in captain.yml to one it has, and repair"
            )
        if found is None:
            who = f"PagerDuty has no user {email}" if email else "I know no e-mail address of who asks"
            raise GiveUp(f"{who}, and pagerduty.from_email is not set in captain.yml; set it and repair")
        return found

    def levels(self, policy_id: str) -> int:
        path = f"/escalation_policies/{policy_id}"
        return self._ask(lambda session: len(session.rget(path)["escalation_rules"]))  # type: ignore[no-any-return]

    def escalate(self, incident_id: str, level: int, *, sender: str) -> None:
        change = {"incident": {"type": "incident_reference", "escalation_level": level}}
        self._ask(lambda session: session.rput(f"/incidents/{incident_id}", json=change, headers=_from(sender)))

    def request_responder(self, incident_id: str, user: User, message: str, *, sender: User) -> None:
        path = f"/incidents/{incident_id}/responder_requests"
        target = {"responder_request_target": {"id": user.id, "type": "user_reference"}}
        ask = {"requester_id": sender.id, "message": message, "responder_request_targets": [target]}
        headers = _from(sender.email)
        self._ask(lambda session: _taken(session.post(path, json=ask, headers=headers)))

    def services(self, *, keys: Collection[str] = (), ids: Collection[str] = ()) -> Sequence[Paged]:
        if not keys and len(ids) <= FEW:
            return [found for one in ids if (found := self._service(one)) is not None]
        missing, ends = set(keys) | set(ids), time.monotonic() + 2 * self._settings.timeout

        def look(session: Any) -> list[Paged]:
            found: list[Paged] = []
            for row in session.iter_all("/services", params={"include[]": ["integrations"]}, page_size=100):
                one = _paged(row)
                if missing & {one.id, *one.keys}:
                    found.append(one)
                    missing.difference_update({one.id, *one.keys})
                if not missing:
                    break
                if time.monotonic() > ends:
                    raise GiveUp(
                        "PagerDuty has more services than could be read in time; "
                        "say which they are: services.NAME.pagerduty_service in captain.yml."
                    )
            return found

        made: list[Paged] = self._ask(look)
        return made

    def _service(self, ident: str) -> Paged | None:
        try:
            return _paged(self._ask(lambda session: session.rget(f"/services/{quote(ident, safe='')}")))
        except Unknown:
            return None

    def on_calls(self, policy_ids: Sequence[str] = (), *, since: float = 0.0, until: float = 0.0) -> Sequence[OnCall]:
        params: dict[str, Any] = {"since": _iso(since), "until": _iso(until)} if until else {"earliest": "true"}
        if policy_ids:
            params["escalation_policy_ids[]"] = list(policy_ids)
        return self._ask(  # type: ignore[no-any-return]
            lambda session: [_on_call(row) for row in session.iter_all("/oncalls", params=params, page_size=100)]
        )

    def ping(self) -> str:
        found = self._ask(lambda session: session.rget("/services", params={"limit": 1}))
        if not found:
            found = self._ask(lambda session: session.rget("/users", params={"limit": 1}))
        return str(found[0]["name"])

    # -- sessions ---------------------------------------------------------------------------------------------------

    def _send(self, routing_key: str, event: Mapping[str, Any]) -> Accepted:
        if not routing_key:
            raise GiveUp("There is no PagerDuty routing key for this page: set routing_key in captain.yml.")
        with _borrowed(self._events, self._events_session) as session, _told("event", self._settings):
            session.api_key = routing_key
            response = session.post("/v2/enqueue", json=dict(event))
            if response.status_code != 202:
                raise _refusal(response, "event")
            answer = response.json()
            return Accepted(dedup_key=answer["dedup_key"], message=answer["message"])

    def _ask(self, call: Callable[[Any], Any]) -> Any:
        token = self._settings.api_token
        if token is None:
            raise NotConfigured("PagerDuty's REST API needs a token: set pagerduty.api_token in captain.yml.")
        with _borrowed(self._rest, lambda: self._rest_session(token)) as session, _told("request", self._settings):
            return call(session)

    def _events_session(self) -> Any:
        return self._tamed(pdpyras.EventsAPISession("unset"), self._settings.events_url)

    def _rest_session(self, token: SecretStr) -> Any:
        session = pdpyras.APISession(token.get_secret_value(), default_from=self._settings.from_email or None)
        return self._tamed(session, self._settings.rest_url)

    def _tamed(self, session: Any, url: str) -> Any:
        """One attempt, one deadline for connecting and reading together, and the environment read once.

        pdpyras repeats a 429 for ever unless ``retry`` names it, and then until ``max_http_attempts`` is exceeded:
        a count below zero is exceeded by the first answer.
        """
        session.url = url.rstrip("/")
        session.retry = {429: 1}
        session.max_http_attempts = -1
        session.max_network_attempts = 0
        session.timeout = Timeout(total=self._settings.timeout)
        session.proxies = get_environ_proxies(session.url)
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        # With trust_env an entry in ~/.netrc would replace our token, and each call would read the environment again.
        session.trust_env = False
        return session


@contextmanager
def _borrowed(idle: list[Any], make: Callable[[], Any]) -> Iterator[Any]:
    """The session used last, so that its connection is warm; a new one when all are lent out."""
    try:
        session = idle.pop()
    except IndexError:
        session = make()
    try:
        yield session
    finally:
        idle.append(session)


@contextmanager
def _told(what: str, settings: PagerDutySettings) -> Iterator[None]:
    """Say every failure as what happens next."""
    try:
        yield
    except pdpyras.PDHTTPError as error:
        raise _refusal(error.response, what) from error
    except pdpyras.PDClientError as error:
        if error.__cause__ is None:
            raise Retry(f"PagerDuty: {error}", unknown=True) from error
        where = "pagerduty.events_url and rest_url"
        raise no_answer(error.__cause__, "PagerDuty", where, settings.timeout) from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Retry(UNREADABLE, unknown=True) from error


def _refusal(response: requests.Response, what: str) -> Retry | GiveUp:
    """An answer that is not a yes. ``what``: an event (no token, a routing key) or a REST request."""
    status, said = response.status_code, _said(response)
    # The REST API says it by a name of its own.
    after = retry_after(response.headers, "Retry-After", "ratelimit-reset")
    if status == 429:
        return Retry(f"PagerDuty asks to slow down{said}.", after=after, limited=True)
    if status == 408 or status >= 500:
        # 503 is said at the door; after the others the event may have been taken.
        return Retry(f"PagerDuty answered {status}{said}.", after=after, unknown=status != 503)
    if status < 400:
        return Retry(UNREADABLE, unknown=True)
    if what == "event" and status not in (400, 413):
        # The Events API refuses with 400: whatever else comes from a proxy, and must not park a page.
        return Retry(f"PagerDuty answered {status}{said}; is a proxy in the way? Check pagerduty.events_url.")
    if what == "event":
        where = "its routing_key in captain.yml" if "routing_key" in said else "what is sent"
        return GiveUp(f"PagerDuty refused the event ({status}){said}; check {where}.")
    hints = {
        401: "check the secret behind pagerduty.api_token; the token may be wrong or revoked",
        402: "the PagerDuty plan does not include this",
        403: "the token behind pagerduty.api_token may not do this; it needs a full-access key",
        404: "PagerDuty does not know it; it may have been deleted",
    }
    hint = hints.get(status, "check what is asked")
    if status == 400 and ("From" in said or "Requester" in said):
        hint = "set pagerduty.from_email in captain.yml to the address of a PagerDuty user"
    refused = Unknown if status == 404 else GiveUp
    return refused(f"PagerDuty refused the request ({status}){said}; {hint}.")


def _said(response: requests.Response) -> str:
    """What the answer says, as ``: text``, or nothing."""
    try:
        body = response.json()
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    error = body.get("error", body)
    if not isinstance(error, dict):
        return f": {str(error)[:300]}"
    reasons = error.get("errors")
    text = "; ".join(str(r) for r in reasons) if isinstance(reasons, list) and reasons else error.get("message", "")
    return f": {str(text).rstrip('.')[:300]}" if text else ""


def _from(sender: str) -> dict[str, str]:
    return {"From": sender} if sender else {}


def _taken(response: requests.Response) -> None:
    """For what pdpyras cannot unwrap: the answer, unless it is a yes, as what happens next."""
    if not response.ok:
        raise _refusal(response, "request")


def _page(row: Mapping[str, Any]) -> Page:
    return Page(
        id=row["id"],
        number=row["incident_number"],
        status=row["status"],
        title=row["title"],
        dedup_key=row["incident_key"],
        html_url=row["html_url"],
        assignees=tuple(a["assignee"]["summary"] for a in row["assignments"]),
        changed_at=_instant(row.get("last_status_change_at")),
        changed_by=_person(row.get("last_status_change_by")),
        policy_id=(row.get("escalation_policy") or {}).get("id") or "",
        assignee_ids=tuple(a["assignee"]["id"] for a in row["assignments"]),
        responder_ids=tuple(one["user"]["id"] for one in row.get("incidents_responders") or ()),
    )


def _paged(row: Mapping[str, Any]) -> Paged:
    policy = row["escalation_policy"]
    # An integration that is only referred to comes without its key.
    keys = tuple(str(one["integration_key"]) for one in row.get("integrations", ()) if one.get("integration_key"))
    return Paged(row["id"], row["name"], policy["id"], policy["summary"], row.get("html_url") or "", keys)


def _on_call(row: Mapping[str, Any]) -> OnCall:
    policy = row["escalation_policy"]
    return OnCall(
        name=row["user"]["summary"],
        level=row["escalation_level"],
        policy=policy["summary"],
        policy_id=policy["id"],
        user_id=row["user"]["id"],
        schedule=(row.get("schedule") or {}).get("summary") or "",
        since=_instant(row["start"]),
        until=_instant(row["end"]),
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _instant(text: str | None) -> float:
    """ISO 8601 as UNIX s; 0 when it is not told."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _person(agent: Mapping[str, Any] | None) -> str:
    """The name of an agent that is a person; a service or an integration is none."""
    return str(agent["summary"]) if agent and agent["type"] in ("user", "user_reference") else ""


def _shorten(summary: str) -> str:
    return summary if len(summary) <= MAX_SUMMARY else summary[: MAX_SUMMARY - 1] + "…"


def _plain(value: Any) -> Any:
    """The same as JSON can carry it: what it cannot, as text. A page is not refused for an odd detail."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)
