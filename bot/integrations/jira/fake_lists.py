"""The pretend Jira's search and its lists: server, people, projects, fields, statuses, what can be created."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.integrations.jira.fake_fields import SCREEN
from bot.integrations.jira.fake_jql import parse, search
from bot.integrations.jira.fake_rest import Answer, Asked, Endpoint
from bot.integrations.jira.fake_site import PRIORITIES, Invalid, Project, Site
from bot.integrations.jira.fake_views import CATEGORIES, Json, option_id

FIELDS = (*SCREEN, "project", "status", "created", "updated", "resolution", "comment", "issuekey")
GONE = "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API."


class Lists:
    """Everything that is not about one issue. ``cloud`` decides which search there is."""

    def __init__(self, site: Site, *, cloud: bool) -> None:
        self.site = site
        self.cloud = cloud

    def opened(self) -> list[tuple[str, str, Endpoint]]:
        return [("GET", "serverInfo", self.server_info)]

    def table(self) -> list[tuple[str, str, Endpoint]]:
        return [
            ("GET", "myself", self.myself),
            ("GET", "field", self.fields),
            ("GET", "priority", self.priorities),
            ("GET", "status", self.statuses),
            ("GET", "statuscategory", self.categories),
            ("GET", "issuetype", self.issue_types),
            ("GET", "project/{key}", self.project),
            ("GET", "project/{key}/statuses", self.project_statuses),
            ("GET", "user/search", self.users),
            ("GET", "search", self.search),
            ("POST", "search", self.search),
            ("GET", "search/jql", self.search_jql),
            ("POST", "search/jql", self.search_jql),
            ("GET", "issue/createmeta", self.createmeta),
            ("GET", "issue/createmeta/{key}/issuetypes", self.createmeta_types),
            ("GET", "issue/createmeta/{key}/issuetypes/{id}", self.createmeta_fields),
        ]

    # -- search -----------------------------------------------------------------------------------------------------

    def search(self, asked: Asked) -> Answer:
        """Data Center's search: pages by startAt, and the total."""
        if self.cloud:
            raise Invalid(GONE, status=410)
        found = search(parse(asked.parameter("jql") or "", self.site), self.site.searchable(), self.site)
        start, most = asked.number("startAt", 0), min(asked.number("maxResults", 50), 1000)
        wanted = asked.names("fields") or ["*navigable"]
        rows = [asked.views.issue(issue, wanted) for issue in found[start : start + most]]
        page = {"startAt": start, "maxResults": most, "total": len(found)}
        return 200, {"expand": "schema,names", **page, "issues": rows}

    def search_jql(self, asked: Asked) -> Answer:
        """Cloud's search: late, bounded, pages by token, and only ids unless fields are asked for."""
        if not self.cloud:
            raise Invalid(status=404)
        reconcile = asked.names("reconcileIssues")
        if len(reconcile) > 50 or not all(ident.isdigit() for ident in reconcile):
            raise Invalid("reconcileIssues must be at most 50 issue ids.")
        query = parse(asked.parameter("jql") or "", self.site)
        if not query.bounded:
            raise Invalid("Unbounded JQL queries are not allowed here. Please add a search restriction to your query.")
        found = search(query, self.site.searchable(reconcile), self.site)
        token = asked.parameter("nextPageToken") or "0"
        if not str(token).isdigit():
            raise Invalid("The provided next page token is invalid or expired.")
        start, most = int(token), min(asked.number("maxResults", 50), 100)
        rows = [asked.views.issue(issue, asked.names("fields")) for issue in found[start : start + most]]
        last = start + most >= len(found)
        body = {"issues": rows, "isLast": last}
        return 200, body if last else {**body, "nextPageToken": str(start + most)}

    # -- lists ------------------------------------------------------------------------------------------------------

    def server_info(self, asked: Asked) -> Answer:
        version = [1001, 0, 0] if self.cloud else [9, 12, 0]
        shape = {"version": ".".join(map(str, version)), "versionNumbers": version, "buildNumber": 100_300}
        kind = {"deploymentType": "Cloud" if self.cloud else "Server", "serverTitle": "Jira"}
        return 200, {"baseUrl": asked.views.base, **shape, **kind}

    def myself(self, asked: Asked) -> Answer:
        return 200, asked.views.user(asked.by)

    def fields(self, _: Asked) -> Answer:
        shape = {"custom": False, "orderable": True, "navigable": True, "searchable": True}
        return 200, [{"id": n, "key": n, "name": n.capitalize(), **shape, "clauseNames": [n]} for n in FIELDS]

    def priorities(self, asked: Asked) -> Answer:
        return 200, [asked.views.priority(name) for name in PRIORITIES.values()]

    def statuses(self, asked: Asked) -> Answer:
        return 200, [asked.views.status(status) for status in self.site.statuses()]

    def categories(self, asked: Asked) -> Answer:
        return 200, [asked.views.category(key) for key in CATEGORIES]

    def issue_types(self, asked: Asked) -> Answer:
        found = {name: p for p in self.site.projects.values() for name in p.issue_types}
        return 200, [asked.views.issue_type(project, name) for name, project in found.items()]

    def project(self, asked: Asked) -> Answer:
        project = self._project(asked)
        kinds = [asked.views.issue_type(project, name) for name in project.issue_types]
        return 200, {**asked.views.project(project), "issueTypes": kinds, "lead": asked.views.user(asked.by)}

    def project_statuses(self, asked: Asked) -> Answer:
        project = self._project(asked)
        statuses = [asked.views.status(status) for status in project.workflow.statuses]
        return 200, [{**asked.views.issue_type(project, n), "statuses": statuses} for n in project.issue_types]

    def users(self, asked: Asked) -> Answer:
        query = asked.request.query_params
        text = query.get("query" if self.cloud else "username", "").lower()
        if not text:
            name = "query" if self.cloud else "username"
            raise Invalid(f"The {name} query parameter was not provided.")
        found = [u for u in self.site.users.values() if any(text in t.lower() for t in (u.name, u.email, u.id))]
        return 200, [asked.views.user(user.id) for user in found]

    def createmeta(self, asked: Asked) -> Answer:
        keys = asked.names("projectKeys")
        projects = [p for p in self.site.projects.values() if not keys or p.key in keys]
        rows = [
            {**asked.views.project(p), "issuetypes": [asked.views.issue_type(p, name) for name in p.issue_types]}
            for p in projects
        ]
        return 200, {"expand": "projects", "projects": rows}

    def createmeta_types(self, asked: Asked) -> Answer:
        project = self._project(asked)
        rows = [asked.views.issue_type(project, name) for name in project.issue_types]
        name = "issueTypes" if self.cloud else "values"
        return 200, {"startAt": 0, "maxResults": 50, "total": len(rows), "isLast": True, name: rows}

    def createmeta_fields(self, asked: Asked) -> Answer:
        project = self._project(asked)
        if not any(asked.views.issue_type(project, n)["id"] == asked.path("id") for n in project.issue_types):
            raise Invalid("Issue type not found.", status=404)
        must = {"summary", "project", "issuetype", *project.required}
        names = [n for n in ("project", *SCREEN) if n not in ("security", "components") or self._has(project, n)]
        rows = [self._field(asked, project, n) | {"required": n in must} for n in names]
        for one in project.customs:
            kind = {"type": "array", "items": one.kind} if one.many else {"type": one.kind}
            row: Json = {"fieldId": one.id, "key": one.id, "name": one.name, "required": one.id in must, "schema": kind}
            if one.kind == "option":
                row["allowedValues"] = [{"id": option_id(i), "value": v} for i, v in enumerate(one.options)]
            rows.append(row | {"hasDefaultValue": False})
        name = "fields" if self.cloud else "values"
        return 200, {"startAt": 0, "maxResults": 50, "total": len(rows), "isLast": True, name: rows}

    def _has(self, project: Project, name: str) -> bool:
        return bool(project.levels if name == "security" else project.components)

    def _field(self, asked: Asked, project: Project, name: str) -> Json:
        """A system field as createmeta describes it."""
        shown = {"security": "Security Level", "components": "Components", "issuetype": "Issue Type"}
        kinds = {"priority": "priority", "security": "securitylevel", "assignee": "user", "reporter": "user"}
        schema = {"type": kinds.get(name, "string"), "system": name}
        row: Json = {"fieldId": name, "key": name, "name": shown.get(name, name.capitalize()), "schema": schema}
        row["hasDefaultValue"] = name == "priority"
        if name in ("labels", "components"):
            row["schema"] = {"type": "array", "items": "string" if name == "labels" else "component", "system": name}
        allowed: dict[str, Callable[[], list[Any]]] = {
            "priority": lambda: [asked.views.priority(one) for one in PRIORITIES.values()],
            "security": lambda: [asked.views.level(project, one) for one in project.levels],
            "components": lambda: [asked.views.component(project, one) for one in project.components],
        }
        return row | ({"allowedValues": allowed[name]()} if name in allowed else {})

    def _project(self, asked: Asked) -> Project:
        key = asked.path("key")
        found = [p for p in self.site.projects.values() if key in (p.key, p.id)]
        if not found:
            raise Invalid(f"No project could be found with key '{key}'.", status=404)
        return found[0]
