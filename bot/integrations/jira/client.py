"""Asks Jira through the jira package, whose own retries are off and whose errors come out as Retry or GiveUp."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
from jira import JIRA, JIRAError
from urllib3.util import Timeout

from bot.errors import GiveUp, Retry, in_time
from bot.http_client import no_answer, retry_after
from bot.integrations.jira import JiraSettings, Ticket, TicketRef

MAX_SUMMARY = 255
MAX_TEXT = 32_767
MAX_STEPS = 6
"""Transitions that one move may take; a workflow that needs more is for a person."""
REMEMBERED = 500
"""Issues whose ids we remember, so that Cloud's search can be told to look at them as they are."""


UNREADABLE = "Jira's answer could not be read; is a proxy or a login page answering in its place?"
ASKED = {
    "search": "search",
    "create": "create the ticket",
    "read": "read",
    "move": "move the ticket",
    "comment": "comment",
}


class _Site(JIRA):  # type: ignore[misc]
    """The package's client without the list of all fields it fetches before a search: we only name fields by id."""

    _fields_cache: Mapping[str, str] = {}


class JiraClient:
    """A ``Tracker``. Safe to use from any thread: each call borrows a client, and its warm connection, for itself alone.

    Making one sends nothing, so that a Jira that is down holds up no start.
    """

    def __init__(self, settings: JiraSettings) -> None:
        self._settings = settings
        self._cloud = settings.personal_token is None
        self._idle: list[Any] = []
        self._ids: OrderedDict[str, str] = OrderedDict()

    def find(self, project: str, key_label: str) -> TicketRef | None:
        jql = f"project = {_quoted(project)} AND labels = {_quoted(key_label)} ORDER BY created ASC"
        with self._asking("search") as site:
            known = self._ids.get(key_label)
            ask = {"fields": ["status"], "maxResults": 1, "json_result": True}
            if self._cloud:
                ids = [int(known)] if known else None
                found = site.enhanced_search_issues(jql, reconcileIssues=ids, **ask)["issues"]
            else:
                found = site.search_issues(jql, **ask)["issues"]
            if not found:
                return None
            self._remember(key_label, found[0]["id"])
            return self._ref(found[0])

    def create(self, ask: Ticket) -> TicketRef:
        fields: dict[str, Any] = {
            "project": {"key": ask.project},
            "issuetype": {"name": ask.issue_type},
            "summary": _shorten(" ".join(ask.summary.split()), MAX_SUMMARY),
            "description": _shorten(ask.description, MAX_TEXT),
            "labels": [ask.key_label, *ask.labels],
        }
        if ask.priority:
            fields["priority"] = {"name": ask.priority}
        with self._asking("create", project=ask.project) as site:
            in_time(ask.by)
            made = site.create_issue(fields=fields, prefetch=False)
            self._remember(ask.key_label, made.id)
            return TicketRef(key=made.key, url=self._url(made.key))

    def get(self, key: str) -> TicketRef | None:
        try:
            with self._asking("read") as site:
                return self._ref(site.issue(key, fields="status").raw)
        except _Missing:
            return None

    def move(self, key: str, category: str) -> TicketRef:
        seen: set[str] = set()
        with self._asking("move") as site:
            issue = site.issue(key, fields="status").raw
            for _ in range(MAX_STEPS):
                status = issue["fields"]["status"]
                if status["statusCategory"]["key"] == category:
                    return self._ref(issue)
                seen.add(status["id"])
                offered = site.transitions(key, expand="transitions.fields")
                step = _step(offered, category, seen)
                if step is None or not _leads_to(step, category):
                    # What is offered may start where somebody else has moved it meanwhile: from done it leads back.
                    again = site.issue(key, fields="status").raw
                    if again["fields"]["status"]["id"] != status["id"]:
                        issue = again
                        seen.discard(status["id"])
                        continue
                if step is None:
                    raise GiveUp(_no_way(key, status["name"], category, offered))
                if not self._take(site, key, step):
                    seen.discard(status["id"])  # Somebody else moved it meanwhile: look again.
                elif _leads_to(step, category):
                    return self._ref({"key": issue["key"], "fields": {"status": step["to"]}})
                issue = site.issue(key, fields="status").raw
            if issue["fields"]["status"]["statusCategory"]["key"] == category:
                return self._ref(issue)
        raise GiveUp(f"{key} is not {category} after {MAX_STEPS} transitions; move it by hand and check its workflow.")

    def comment(self, key: str, text: str) -> None:
        with self._asking("comment") as site:
            site.add_comment(key, _shorten(text, MAX_TEXT))

    def commented(self, key: str, mark: str) -> bool:
        with self._asking("read") as site:
            return any(mark in str(one.body) for one in site.comments(key))

    def ping(self) -> str:
        with self._asking("read") as site:
            return str(site.myself()["displayName"])

    # -- inside -----------------------------------------------------------------------------------------------------

    def _take(self, site: Any, key: str, step: Mapping[str, Any]) -> bool:
        """Take a transition. False when the issue has meanwhile left the status that offers it."""
        try:
            site.transition_issue(key, step["id"], fields=_filled(step))
        except JIRAError as error:
            if error.status_code not in (400, 409):
                raise
            offered = site.transitions(key)
            if any(other["id"] == step["id"] for other in offered):
                raise
            return False
        return True

    def _ref(self, issue: Mapping[str, Any]) -> TicketRef:
        status = issue["fields"]["status"]
        return TicketRef(issue["key"], self._url(issue["key"]), status["name"], status["statusCategory"]["key"])

    def _url(self, key: str) -> str:
        return f"{self._settings.url.rstrip('/')}/browse/{key}"

    def _remember(self, key_label: str, ident: str) -> None:
        self._ids[key_label] = ident
        while len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)

    @contextmanager
    def _asking(self, what: str, project: str = "") -> Iterator[Any]:
        """Lend a client, and say every failure as what happens next."""
        try:
            site = self._idle.pop()
        except IndexError:
            site = self._connect()
        try:
            yield site
        except JIRAError as error:
            raise self._refusal(error, what, project) from error
        except requests.exceptions.InvalidJSONError as error:
            raise Retry(UNREADABLE, unknown=True) from error
        except requests.RequestException as error:
            raise no_answer(error, "Jira", "jira.url", self._settings.timeout) from error
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise Retry(UNREADABLE, unknown=True) from error
        finally:
            self._idle.append(site)

    def _connect(self) -> Any:
        settings = self._settings
        options: dict[str, Any] = {"server": settings.url.rstrip("/"), "rest_api_version": "2"}
        options["verify"] = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        auth: dict[str, Any] = {}
        if settings.personal_token is not None:
            auth["token_auth"] = settings.personal_token.get_secret_value()
        elif settings.api_token is not None and settings.email:
            auth["basic_auth"] = (settings.email, settings.api_token.get_secret_value())
        else:
            raise GiveUp("Jira needs jira.email and jira.api_token (Cloud) or jira.personal_token in captain.yml.")
        deadline = Timeout(total=settings.timeout)
        site = _Site(options=options, max_retries=0, timeout=deadline, get_server_info=False, **auth)
        # What asking the server would have told; the package picks the search and the names of people by it.
        site.deploymentType = "Cloud" if self._cloud else "Server"
        return site

    def _refusal(self, error: JIRAError, what: str, project: str) -> Exception:
        status = error.status_code
        after = retry_after(error.response.headers) if error.response is not None else None
        said = f": {str(error.text).rstrip('.')[:300]}" if error.text and "<html" not in str(error.text).lower() else ""
        if status == 429:
            return Retry(f"Jira asks to slow down{said}.", after=after, limited=True)
        if status is None or status in (408, 409) or status >= 500:
            # 503 is said at the door; after the others the change may have been made.
            return Retry(f"Jira answered {status}{said}.", after=after, unknown=status != 503)
        if status == 404 and what in ("read", "move", "comment"):
            return _Missing(f"Jira does not know this issue, or may not show it to the bot{said}.")
        return GiveUp(f"Jira refused to {ASKED[what]} ({status}){said}; {self._hint(status, said, project)}.")

    def _hint(self, status: int, said: str, project: str) -> str:
        """What to do next."""
        secret = "jira.api_token and jira.email" if self._cloud else "jira.personal_token"
        kind = "Cloud (jira.email and jira.api_token)" if self._cloud else "Data Center (jira.personal_token)"
        hints = {
            401: f"check the secret behind {secret} in captain.yml; the token may be wrong, expired or revoked",
            403: "the bot's Jira account lacks the permission; grant it in the project's permission scheme",
            404: f"check jira.url in captain.yml, and that it is {kind}",
            410: f"check jira.url in captain.yml, and that it is {kind}",
        }
        if status in hints:
            return hints[status]
        named = f" {project!r}" if project else ""
        words = {
            "cannot be set": "the project's create screen differs: check what it lets the bot set",
            "issue type": "check issue_type in captain.yml against the project's settings",
            "priority": "check priority in captain.yml against the project's settings",
            "project": f"check the project key{named} in captain.yml, and that the bot's account may see that project",
            "is required": "the project's create screen differs: check its required fields",
        }
        return next((hint for word, hint in words.items() if word in said), "check what is asked against the project")


class _Missing(GiveUp):
    """The issue does not exist, or is hidden from the bot."""


def _step(offered: list[dict[str, Any]], category: str, seen: set[str]) -> dict[str, Any] | None:
    """The transition to take next: straight to the category, else through an open status not seen yet.

    Never through a done status on the way to an open one: that would tell everybody it is over.
    """
    usable = [t for t in offered if not _unfillable(t)]
    straight = [t for t in usable if _leads_to(t, category)]
    if straight:
        return straight[0]
    onward = [t for t in usable if t["to"]["statusCategory"]["key"] != "done" and t["to"]["id"] not in seen]
    onward.sort(key=lambda t: t["to"]["statusCategory"]["key"] != "indeterminate")
    return onward[0] if onward else None


def _leads_to(transition: Mapping[str, Any], category: str) -> bool:
    return bool(transition["to"]["statusCategory"]["key"] == category)


def _required(transition: Mapping[str, Any]) -> dict[str, Any]:
    fields = transition.get("fields") or {}
    return {n: f for n, f in fields.items() if f.get("required") and not f.get("hasDefaultValue")}


def _unfillable(transition: Mapping[str, Any]) -> list[str]:
    """The required fields of a transition that we cannot answer for a person."""
    return [n for n, f in _required(transition).items() if n != "resolution" or not f.get("allowedValues")]


def _filled(transition: Mapping[str, Any]) -> dict[str, Any]:
    """The resolution a screen insists on: Done or Fixed where there is one, else the first."""
    filled = {}
    for name, field in _required(transition).items():
        allowed = field["allowedValues"]
        best = [value for value in allowed if value.get("name", "").lower() in ("done", "fixed", "resolved")]
        filled[name] = {"id": (best or allowed)[0]["id"]}
    return filled


def _no_way(key: str, status: str, category: str, offered: list[dict[str, Any]]) -> str:
    names = ", ".join(t["name"] + (f" (needs {', '.join(_unfillable(t))})" if _unfillable(t) else "") for t in offered)
    return (
        f"{key} cannot be moved from {status} to a {category} status: its workflow offers {names or 'nothing'}; "
        "move it by hand, or let the bot's account use that transition."
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
