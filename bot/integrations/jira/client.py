"""Asks Jira through the jira package, whose own retries are off and whose errors come out as Retry or GiveUp."""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import requests
from jira import JIRA, JIRAError
from urllib3.util import Timeout

from bot.errors import GiveUp, Retry, in_time
from bot.http_client import no_answer, retry_after
from bot.integrations.jira import (
    Account,
    Fit,
    Goal,
    JiraSettings,
    Link,
    Ticket,
    TicketRef,
    TicketRules,
    screen,
    steps,
)
from bot.integrations.jira.screen import Screen
from bot.integrations.jira.text import escaped

MAX_SUMMARY = 255
MAX_TEXT = 32_767
MAX_STEPS = 6
"""Transitions that one move may take; a workflow that needs more is for a person."""
REMEMBERED = 500
"""Issues whose ids we remember, so that Cloud's search can be told to look at them as they are."""
SCREEN_S = 300.0
"""Seconds for which a create screen is remembered: whoever mends it in Jira need not start the bot anew."""
FIELDS = "status,summary,priority,security"
"""What of an issue is read."""

UNREADABLE = "Jira's answer could not be read; is a proxy or a login page answering in its place?"
ASKED = {
    "search": "search",
    "create": "create the ticket",
    "read": "read",
    "move": "move the ticket",
    "comment": "comment",
    "edit": "change the ticket",
    "link": "link the ticket",
}
ONE = ("read", "move", "comment", "edit", "link")
"""What is about one issue, so that 404 says it is gone."""


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
        self._screens: dict[tuple[str, str], tuple[float, Screen]] = {}
        self._me: Account | None = None

    def find(self, project: str, key_label: str) -> TicketRef | None:
        jql = f"project = {_quoted(project)} AND labels = {_quoted(key_label)} ORDER BY created ASC"
        with self._asking("search") as site:
            known = self._ids.get(key_label)
            ask = {"fields": FIELDS.split(","), "maxResults": 1, "json_result": True}
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
            "description": _shorten(escaped(ask.description), MAX_TEXT),
            "labels": [ask.key_label, *ask.labels],
        }
        if ask.priority or ask.priority_id:
            fields["priority"] = {"id": ask.priority_id} if ask.priority_id else {"name": ask.priority}
        with self._asking("create", project=ask.project) as site:
            if ask.fields or ask.components or ask.security:
                made, wrong = screen.values(self._screen(site, ask.project, ask.issue_type), ask)
                if wrong:
                    raise GiveUp(f"no ticket can be made as captain.yml says: {'; '.join(wrong)}")
                fields |= made
            in_time(ask.by)
            made = site.create_issue(fields=fields, prefetch=False)
            self._remember(ask.key_label, made.id)
            return TicketRef(key=made.key, url=self._url(made.key), id=str(made.id))

    def get(self, key: str) -> TicketRef | None:
        try:
            with self._asking("read") as site:
                return self._ref(site.issue(key, fields=FIELDS).raw)
        except _Missing:
            return None

    def move(self, key: str, goal: Goal | str) -> TicketRef:
        goal = goal if isinstance(goal, Goal) else Goal(goal)
        seen: set[str] = set()
        passed: list[str] = []
        with self._asking("move") as site:
            issue = site.issue(key, fields=FIELDS).raw
            for _ in range(MAX_STEPS):
                status = issue["fields"]["status"]
                if steps.reached(goal, status):
                    return self._ref(issue, passed)
                seen.add(status["id"])
                offered = site.transitions(key, expand="transitions.fields")
                step = steps.step(goal, offered, seen)
                if step is None or not steps.leads(goal, step):
                    # What is offered may start where somebody else has moved it meanwhile: from done it leads back.
                    again = site.issue(key, fields=FIELDS).raw
                    if again["fields"]["status"]["id"] != status["id"]:
                        issue = again
                        seen.discard(status["id"])
                        continue
                if step is None:
                    raise GiveUp(steps.no_way(key, status["name"], goal, offered))
                if not self._take(site, key, step, goal):
                    seen.discard(status["id"])  # Somebody else moved it meanwhile: look again.
                else:
                    passed.append(step["to"]["id"])
                    if steps.leads(goal, step):
                        there = {**issue["fields"], "status": step["to"]}
                        return self._ref({**issue, "fields": there}, passed)
                issue = site.issue(key, fields=FIELDS).raw
            if steps.reached(goal, issue["fields"]["status"]):
                return self._ref(issue, passed)
        raise GiveUp(
            f"{key} is not where it should be after {MAX_STEPS} transitions; move it by hand and check its workflow."
        )

    def edit(self, key: str, *, summary: str = "", priority_id: str = "") -> None:
        fields: dict[str, Any] = {}
        if summary:
            fields["summary"] = _shorten(" ".join(summary.split()), MAX_SUMMARY)
        if priority_id:
            fields["priority"] = {"id": priority_id}
        with self._asking("edit") as site:
            site._session.put(site._get_url(f"issue/{key}"), data=json.dumps({"fields": fields}))  # noqa: SLF001 - issue.update() reads it twice

    def link(self, key: str, link: Link) -> None:
        body = {
            "globalId": link.name,
            "application": {"type": "release-captain", "name": "Release Captain"},
            "relationship": link.relation,
            "object": {"url": link.url, "title": link.title},
        }
        with self._asking("link") as site:
            # The package's own way asks for all application links first.
            site._session.post(site._get_url(f"issue/{key}/remotelink"), data=json.dumps(body))  # noqa: SLF001 - as above

    def comment(self, key: str, text: str) -> None:
        with self._asking("comment") as site:
            site.add_comment(key, _shorten(escaped(text), MAX_TEXT))

    def commented(self, key: str, mark: str) -> bool:
        with self._asking("read") as site:
            bodies = [str(one.body) for one in site.comments(key)]
            return any(mark in body or escaped(mark) in body for body in bodies)

    def me(self) -> Account:
        if self._me is None:
            with self._asking("read") as site:
                user = site.myself()
                self._me = Account(str(user["accountId" if self._cloud else "key"]), str(user["displayName"]))
        return self._me

    def fit(self, project: str, rules: TicketRules) -> Fit:
        found: list[str] = []
        kind = rules.issue_type or Ticket.issue_type
        try:
            with self._asking("read", project=project) as site:
                shown = self._screen(site, project, kind)
                known = {str(one["id"]): str(one["name"]) for one in site._get_json("priority")}  # noqa: SLF001 - no resource objects
                kinds = site._get_json(f"project/{project}/statuses")  # noqa: SLF001 - as above
        except GiveUp as e:
            return Fit([f"{project}: {e.reason}"])
        found += screen.literal(rules, shown)
        found += screen.missing(shown, rules)
        for rank, ident in rules.priorities.items():
            if ident not in known:
                found.append(f"jira.priorities.{rank}: there is no priority {ident}; there are {_listed(known)}")
        categories = {
            str(one["id"]): (str(one["name"]), str(one["statusCategory"]["key"]))
            for each in kinds
            if each["name"] == kind
            for one in each["statuses"]
        }
        found += _status_problems(project, kind, rules, categories)
        return Fit(found, {ident: name for ident, (name, _) in categories.items()}, known)

    def ping(self) -> str:
        with self._asking("read") as site:
            return str(site.myself()["displayName"])

    # -- inside -----------------------------------------------------------------------------------------------------

    def _screen(self, site: Any, project: str, kind: str) -> Screen:
        """The create screen of an issue type, remembered for a while. Raises GiveUp when there is no such type."""
        at, shown = self._screens.get((project, kind), (0.0, None))
        if shown is not None and time.monotonic() - at < SCREEN_S:
            return shown
        where = f"issue/createmeta/{project}/issuetypes"
        kinds = _paged(site, where, "issueTypes" if self._cloud else "values")
        mine = next((one for one in kinds if str(one["name"]).lower() == kind.lower()), None)
        if mine is None:
            names = ", ".join(str(one["name"]) for one in kinds)
            raise GiveUp(
                f"jira.issue_type: {project} has no issue type '{kind}' for the bot's account; it has {names}."
            )
        rows = _paged(site, f"{where}/{mine['id']}", "fields" if self._cloud else "values")
        shown = Screen(project, kind, {str(one["fieldId"]): one for one in rows}, self._cloud)
        self._screens[project, kind] = time.monotonic(), shown
        return shown

    def _take(self, site: Any, key: str, step: Mapping[str, Any], goal: Goal) -> bool:
        """Take a transition. False when the issue has meanwhile left the status that offers it."""
        try:
            fields = steps.filled(step, goal)
        except KeyError as e:
            raise GiveUp(
                f"jira.resolution: '{goal.resolution}' is not one that {step['name']} takes; it takes {e.args[0]}."
            ) from e
        try:
            site.transition_issue(key, step["id"], fields=fields)
        except JIRAError as error:
            if error.status_code not in (400, 409):
                raise
            offered = site.transitions(key)
            if any(other["id"] == step["id"] for other in offered):
                raise
            return False
        return True

    def _ref(self, issue: Mapping[str, Any], passed: Sequence[str] = ()) -> TicketRef:
        fields = issue["fields"]
        status, level = fields["status"], fields.get("security") or {}
        return TicketRef(
            key=issue["key"],
            url=self._url(issue["key"]),
            status=status["name"],
            status_category=status["statusCategory"]["key"],
            id=str(issue["id"]),
            status_id=str(status["id"]),
            summary=str(fields.get("summary") or ""),
            priority_id=str((fields.get("priority") or {}).get("id") or ""),
            security=tuple(str(level[name]) for name in ("id", "name") if level.get(name)),
            passed=tuple(passed),
        )

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
        if status == 404 and what in ONE and not project:
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


def _paged(site: Any, path: str, name: str) -> list[Any]:
    """All rows of a list that comes in pages. Cloud and Data Center call the rows differently."""
    rows: list[Any] = []
    while True:
        page = site._get_json(path, params={"startAt": len(rows), "maxResults": 100})  # noqa: SLF001 - the package knows one name
        rows += page[name]
        if not page[name] or len(rows) >= int(page.get("total", 0)):
            return rows


def _status_problems(project: str, kind: str, rules: TicketRules, known: Mapping[str, tuple[str, str]]) -> list[str]:
    """The configured statuses that this workflow does not have, or that end a ticket which is not to end."""
    there = _listed({ident: name for ident, (name, _) in known.items()})
    named: list[tuple[str, str, str]] = [
        (f"jira.statuses.{step}", step, ident) for step, idents in rules.statuses.items() for ident in idents
    ]
    named += [("jira.through", "through", ident) for ident in rules.through]
    found = []
    for setting, step, ident in named:
        if ident not in known:
            found.append(f"{setting}: a {kind} in {project} has no status {ident}; it has {there}")
        elif step != "resolved" and known[ident][1] == "done":
            found.append(
                f"{setting}: {known[ident][0]} ({ident}) is a done status, so I never move a ticket there for it"
            )
    return found


def _listed(known: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({ident})" for ident, name in known.items())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
