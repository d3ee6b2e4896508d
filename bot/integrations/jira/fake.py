"""A stateful stand-in for Jira, Cloud or Data Center: REST API, JQL search that is late, workflows, signed webhooks."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from bot.integrations.jira.fake_lists import Lists
from bot.integrations.jira.fake_rest import Door, Issues, Rest
from bot.integrations.jira.fake_site import PEOPLE, Invalid, Issue, Project, Site, User
from bot.integrations.jira.fake_views import Views
from bot.standin import CallLog, Faults, Guard, Notice
from bot.standin_hooks import Hooks, Manner

EMAIL = "captain@example.com"
API_TOKEN = "jira-sandbox-token"
BOT_ID = "5b10a2844c20165700ede200"
AGAIN = (0, 408, 409, 425, 429)
"""Answers after which a webhook is sent again, beside every 5xx; 0 stands for no answer."""
SEARCH_DELAY = 0.3
"""Seconds by which Cloud's search is late, unless told otherwise; Data Center's is not."""
WEBHOOKS = Manner(
    name="jira",
    signed=("X-Hub-Signature", "sha256="),
    again=lambda status: status in AGAIN or status >= 500,
    headers={"Content-Type": "application/json; charset=UTF-8", "User-Agent": "Atlassian HttpClient"},
    count_header="X-Atlassian-Webhook-Retry",
)


class FakeJira:
    """One pretend site, served at the root of an address or mounted below one. Safe to use from any thread.

    ``deployment``: "Cloud" (Basic, ``email`` and ``api_token``) or "Server" (Bearer, ``api_token`` as personal token).
    ``webhook_url`` and ``webhook_secret`` may be set at any time; without an address nothing is sent.
    ``read_only`` takes away the bot's right to change anything (writes answer 403).
    """

    name = "jira"

    def __init__(
        self,
        calls: CallLog,
        *,
        email: str = EMAIL,
        api_token: str = API_TOKEN,
        projects: Sequence[Project | str] = ("OPS",),
        deployment: str = "Cloud",
        search_delay: float | None = None,
        webhook_url: str = "",
        webhook_secret: str = "",
    ) -> None:
        cloud = deployment == "Cloud"
        known = [user for user in PEOPLE if user.email == email]
        bot = known[0] if known else User(BOT_ID, "Release Captain", email)
        made = [p if isinstance(p, Project) else Project(p, p, str(10_000 + i)) for i, p in enumerate(projects)]
        delay = search_delay if search_delay is not None else SEARCH_DELAY if cloud else 0.0
        self.site = Site(made, bot, delay)
        self.site.told.append(self._told)
        self.faults = Faults()
        self.changed: list[Callable[[], None]] = []
        self.webhook_url = webhook_url
        self.webhook_secret = webhook_secret
        self.base_url = ""
        self.hooks = Hooks(WEBHOOKS)
        self._event_numbers = count()
        self.cloud = cloud
        self._door = Door(bot, api_token, cloud)
        rest, lists, issues = Rest(self.site, self._door), Lists(self.site, cloud=cloud), Issues(self.site)
        routes = [*rest.routes(lists.opened(), opened=True), *rest.routes(lists.table()), *rest.routes(issues.table())]
        pages = Starlette(routes=[*routes, Route("/browse/{key}", self._browse)])
        self.app: ASGIApp = Guard(self.name, Notice(self, pages), self.faults, calls)

    @property
    def search_delay(self) -> float:
        return self.site.search_delay

    @search_delay.setter
    def search_delay(self, seconds: float) -> None:
        self.site.search_delay = seconds

    @property
    def read_only(self) -> bool:
        return self._door.read_only

    @read_only.setter
    def read_only(self, only: bool) -> None:
        self._door.read_only = only

    # -- people -----------------------------------------------------------------------------------------------------

    def transition(self, key: str, to: str, user: str) -> None:
        """``user`` moves an issue to the status named ``to``. Raises Invalid when the workflow has no such step here."""
        with self.site.lock:
            issue = self.site.issue(key)
            workflow = self.site.projects[issue.project].workflow
            steps = [t for t in workflow.offered(issue.status) if workflow.status(t.to).name.lower() == to.lower()]
            if not steps:
                raise Invalid(f"{issue.key} cannot go from {self.site.status_of(issue).name} to {to}.")
            fields = dict.fromkeys(steps[0].required, "Done")
            self.site.transition(issue, steps[0], fields, self.site.user(user).id)
        self.announce()

    def close(self, key: str, user: str) -> None:
        """``user`` takes the issue to a status of the category done, through In Progress where the workflow wants it."""
        issue = self.site.issue(key)
        workflow = self.site.projects[issue.project].workflow
        order = ("done", "indeterminate", "new")
        for _ in workflow.statuses:
            if self.site.status_of(issue).category == "done":
                return
            ways = [workflow.status(step.to) for step in workflow.offered(issue.status)]
            self.transition(key, min(ways, key=lambda status: order.index(status.category)).name, user)

    def comment(self, key: str, text: str, user: str, only: str = "") -> str:
        """``user`` comments on the issue, for the role ``only``; the comment's id."""
        made = self.site.comment(self.site.issue(key), text, self.site.user(user).id, only)
        self.announce()
        return str(made["id"])

    def edit_comment(self, key: str, ident: str, text: str, user: str) -> None:
        self.site.edit_comment(self.site.issue(key), ident, text, self.site.user(user).id)
        self.announce()

    def delete_comment(self, key: str, ident: str, user: str) -> None:
        self.site.delete_comment(self.site.issue(key), ident, self.site.user(user).id)
        self.announce()

    def prioritise(self, key: str, priority: str, user: str) -> None:
        """``user`` sets the priority of that name."""
        self.site.edit(self.site.issue(key), {"priority": priority}, self.site.user(user).id)
        self.announce()

    def rename(self, key: str, summary: str, user: str) -> None:
        """``user`` gives the issue another summary."""
        self.site.edit(self.site.issue(key), {"summary": summary}, self.site.user(user).id)
        self.announce()

    def move(self, key: str, project: str, user: str) -> str:
        """``user`` takes the issue to another project; its new key."""
        issue = self.site.issue(key)
        self.site.move(issue, project, self.site.user(user).id)
        self.announce()
        return issue.key

    def delete(self, key: str, user: str) -> None:
        self.site.delete(self.site.issue(key), self.site.user(user).id)
        self.announce()

    def assign(self, key: str, to: str, user: str) -> None:
        """``user`` gives the issue to ``to``."""
        self.site.edit(self.site.issue(key), {"assignee": self.site.user(to).id}, self.site.user(user).id)
        self.announce()

    # -- stand-in ---------------------------------------------------------------------------------------------------

    def announce(self) -> None:
        """Tell whoever watches that something may have changed."""
        for hear in self.changed:
            hear()

    def state(self) -> dict[str, Any]:
        """``{"issues": […], "webhooks": n}``; times are UNIX seconds, people e-mail addresses, text plain."""
        with self.site.lock:
            rows = [self._row(issue) for issue in self.site.issues.values()]
            return {"issues": rows, "webhooks": len(self.hooks.sent)}

    def dump(self) -> dict[str, Any]:
        hooks = {"webhook_url": self.webhook_url, "webhook_secret": self.webhook_secret}
        return {"site": self.site.dump(), "base_url": self.base_url, **hooks}

    def load(self, data: dict[str, Any]) -> None:
        self.site.load(data["site"])
        self.base_url = data["base_url"]
        self.webhook_url, self.webhook_secret = data["webhook_url"], data["webhook_secret"]
        self.announce()

    def _row(self, issue: Issue) -> dict[str, Any]:
        status = self.site.status_of(issue)
        return {
            "key": issue.key,
            "summary": issue.summary,
            "description": issue.description,
            "status": status.name,
            "status_category": status.category,
            "priority": issue.priority,
            "issue_type": issue.issue_type,
            "security": issue.security,
            "components": list(issue.components),
            "links": [{"name": one.get("globalId", ""), **one["object"]} for one in issue.links],
            "labels": list(issue.labels),
            "assignee": self._email(issue.assignee),
            "comments": [{"at": c["at"], "by": self._email(c["by"]), "text": c["text"]} for c in issue.comments],
            "created": issue.created,
            "updated": issue.updated,
            "resolved_at": issue.resolved_at,
            "url": f"{self.base_url}/browse/{issue.key}",
        }

    def _email(self, user: str) -> str:
        return self.site.users[user].email if user else ""

    def _told(self, event: str, issue: Issue, by: str, extra: Mapping[str, Any]) -> None:
        if not self.webhook_url:
            return
        views = Views(self.site, self.base_url, "2", cloud=self.cloud)
        body: dict[str, Any] = {"timestamp": int(time.time() * 1000), "webhookEvent": event}
        if "comment" not in extra:
            body |= {"user": views.user(by), "issue": views.issue(issue)}
        elif self.cloud:
            # Who has commented is in the comment alone, and of the issue there is little. Data Center tells no issue.
            body["issue"] = views.issue(issue, ("summary", "issuetype", "project", "assignee", "priority", "status"))
        if "change" in extra:
            change = extra["change"]
            body["issue_event_type_name"] = "issue_generic"
            body["changelog"] = {"id": change["id"], "items": change["items"]}
        if "comment" in extra:
            body["comment"] = views.comment(issue, extra["comment"])
        identifier = f"captain-{body['timestamp']}-{next(self._event_numbers)}"
        headers = {"X-Atlassian-Webhook-Identifier": identifier}
        self.hooks.send(self.webhook_url, self.webhook_secret, body, headers)

    async def _browse(self, request: Request) -> HTMLResponse:
        """The page behind a ticket's link, for whoever follows it in the sandbox."""
        key = str(request.path_params["key"])
        rows = [row for row in self.state()["issues"] if row["key"] == key.upper()]
        if not rows:
            return HTMLResponse("<!doctype html><title>No such issue</title><p>No such issue.</p>", 404)
        return HTMLResponse(_page(rows[0]))


def _page(row: Mapping[str, Any]) -> str:
    shown = ("status", "priority", "issue_type", "labels", "assignee")
    text = {n: ", ".join(row[n]) if isinstance(row[n], list) else str(row[n]) for n in (*shown, "key", "summary")}
    facts = "".join(f"<dt>{name}<dd>{html.escape(text[name])}" for name in shown)
    comments = "".join(f"<li><b>{html.escape(c['by'])}</b> {html.escape(c['text'])}" for c in row["comments"])
    title = html.escape(f"{text['key']} {text['summary']}")
    return (
        f'<!doctype html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1><dl>{facts}</dl>'
        f"<pre>{html.escape(row['description'])}</pre><ul>{comments}</ul>"
    )
