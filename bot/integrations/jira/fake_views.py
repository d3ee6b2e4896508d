"""How the pretend Jira spells issues, people and workflows as JSON, for Cloud and for Data Center, API 2 and 3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from bot.integrations.jira.fake_site import (
    PRIORITIES,
    RESOLUTIONS,
    Invalid,
    Issue,
    Project,
    Site,
    Status,
    Transition,
)

Json = dict[str, Any]


def level_id(i: int) -> str:
    return str(20_000 + i)


def component_id(i: int) -> str:
    return str(30_000 + i)


def option_id(i: int) -> str:
    return str(40_000 + i)


CATEGORIES = {
    "new": (2, "To Do", "blue-gray"),
    "indeterminate": (4, "In Progress", "yellow"),
    "done": (3, "Done", "green"),
}
NO_DOCUMENT = "Operation value must be an Atlassian Document (see the Atlassian Document Format)"


def stamp(at: float | None) -> str | None:
    """UNIX seconds as Jira writes times."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def document(text: str) -> Json | None:
    """Plain text as an Atlassian Document, one paragraph a line; None for no text, as Jira answers."""
    if not text:
        return None
    lines = [[{"type": "text", "text": line}] if line else [] for line in text.split("\n")]
    return {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": line} for line in lines]}


def plain(node: Any) -> str:
    """The text of an Atlassian Document. Raises Invalid when it is none."""
    if not isinstance(node, dict) or node.get("type") != "doc" or not isinstance(node.get("content"), list):
        raise Invalid(NO_DOCUMENT)
    return "\n".join(_text(block) for block in node["content"])


def _text(node: Any) -> str:
    if not isinstance(node, dict):
        raise Invalid(NO_DOCUMENT)
    if node.get("type") == "hardBreak":
        return "\n"
    return str(node.get("text", "")) + "".join(_text(inner) for inner in node.get("content", []))


class Views:
    """JSON bodies with addresses under ``base``. ``version``: 2 (text) or 3 (documents); ``cloud``: people by accountId."""

    def __init__(self, site: Site, base: str, version: str, *, cloud: bool) -> None:
        self.site = site
        self.base = base
        self.version = version
        self.cloud = cloud

    def at(self, path: str) -> str:
        return f"{self.base}/rest/api/{self.version}/{path}"

    def text(self, text: str) -> Any:
        return document(text) if self.version == "3" else text or None

    def user(self, ident: str) -> Json | None:
        if not ident:
            return None
        user = self.site.users[ident]
        shown = {"displayName": user.name, "emailAddress": user.email, "active": True, "timeZone": "Etc/UTC"}
        if self.cloud:
            address = self.at(f"user?accountId={ident}")
            return {"self": address, "accountId": ident, "accountType": "atlassian", **shown}
        return {"self": self.at(f"user?username={user.login}"), "key": ident, "name": user.login, **shown}

    def category(self, key: str) -> Json:
        number, name, colour = CATEGORIES[key]
        shape = {"id": number, "key": key, "colorName": colour, "name": name}
        return {"self": self.at(f"statuscategory/{number}"), **shape}

    def status(self, status: Status) -> Json:
        shape = {"name": status.name, "id": status.id, "statusCategory": self.category(status.category)}
        return {"self": self.at(f"status/{status.id}"), "description": "", **shape}

    def priority(self, name: str) -> Json:
        ident = next(i for i, known in PRIORITIES.items() if known == name)
        return {"self": self.at(f"priority/{ident}"), "name": name, "id": ident}

    def issue_type(self, project: Project, name: str) -> Json:
        ident = str(10_001 + project.issue_types.index(name))
        return {"self": self.at(f"issuetype/{ident}"), "id": ident, "name": name, "subtask": False}

    def project(self, project: Project) -> Json:
        shape = {"id": project.id, "key": project.key, "name": project.name or project.key}
        return {"self": self.at(f"project/{project.id}"), **shape, "projectTypeKey": "software"}

    def level(self, project: Project, name: str) -> Json | None:
        """A security level; one that this project does not have is none: a moved issue loses it."""
        if name not in project.levels:
            return None
        ident = level_id(project.levels.index(name))
        return {"self": self.at(f"securitylevel/{ident}"), "id": ident, "name": name, "description": ""}

    def component(self, project: Project, name: str) -> Json:
        ident = component_id(project.components.index(name))
        return {"self": self.at(f"component/{ident}"), "id": ident, "name": name}

    def resolution(self, name: str) -> Json | None:
        if not name:
            return None
        ident = next(i for i, known in RESOLUTIONS.items() if known == name)
        return {"self": self.at(f"resolution/{ident}"), "id": ident, "name": name}

    def comment(self, issue: Issue, comment: Mapping[str, Any]) -> Json:
        role = comment.get("only")
        seen_by = {"visibility": {"type": "role", "value": role, "identifier": role}} if role else {}
        return seen_by | {
            "self": self.at(f"issue/{issue.id}/comment/{comment['id']}"),
            "id": comment["id"],
            "author": self.user(comment["by"]),
            "updateAuthor": self.user(comment.get("edited_by", comment["by"])),
            "body": self.text(comment["text"]),
            "created": stamp(comment["at"]),
            "updated": stamp(comment.get("edited_at", comment["at"])),
        }

    def comments(self, issue: Issue) -> Json:
        rows = [self.comment(issue, comment) for comment in issue.comments]
        return {"comments": rows, "maxResults": len(rows), "total": len(rows), "startAt": 0}

    def fields(self, issue: Issue) -> Json:
        project = self.site.projects[issue.project]
        return {
            "summary": issue.summary,
            "description": self.text(issue.description),
            "project": self.project(project),
            "issuetype": self.issue_type(project, issue.issue_type),
            "status": self.status(self.site.status_of(issue)),
            "statuscategorychangedate": stamp(issue.category_changed),
            "priority": self.priority(issue.priority),
            "labels": list(issue.labels),
            "assignee": self.user(issue.assignee),
            "reporter": self.user(issue.reporter),
            "creator": self.user(issue.reporter),
            "resolution": self.resolution(issue.resolution),
            "resolutiondate": stamp(issue.resolved_at),
            "created": stamp(issue.created),
            "updated": stamp(issue.updated),
            "comment": self.comments(issue),
            "duedate": None,
            "environment": None,
            **issue.extra,
            "security": self.level(project, issue.security),
            "components": [self.component(project, name) for name in issue.components if name in project.components],
            "issuelinks": [],
            "subtasks": [],
            "attachment": [],
        }

    def issue(self, issue: Issue, wanted: Iterable[str] = ("*all",), *, history: bool = False) -> Json:
        """The issue with the fields asked for; ``*all`` and ``*navigable`` are everything but comments in the latter."""
        asked = list(wanted)
        every = self.fields(issue)
        if "*all" not in asked:
            navigable = "*navigable" in asked
            every = {n: v for n, v in every.items() if n in asked or (navigable and n != "comment")}
        body: Json = {"expand": "renderedFields,names,schema,transitions,changelog", "id": issue.id}
        body |= {"self": self.at(f"issue/{issue.id}"), "key": issue.key}
        if every or asked:
            body["fields"] = {name: value for name, value in every.items() if f"-{name}" not in asked}
        if history:
            rows = [self.change(row) for row in issue.history]
            body["changelog"] = {"startAt": 0, "maxResults": len(rows), "total": len(rows), "histories": rows}
        return body

    def change(self, row: Mapping[str, Any]) -> Json:
        return {"id": row["id"], "author": self.user(row["by"]), "created": stamp(row["at"]), "items": row["items"]}

    def transition(self, project: Project, transition: Transition, *, screen: bool) -> Json:
        body: Json = {"id": transition.id, "name": transition.name}
        body["to"] = self.status(project.workflow.status(transition.to))
        body |= {"hasScreen": bool(transition.required), "isGlobal": not transition.sources, "isAvailable": True}
        if screen:
            body["fields"] = {name: self._field(name) for name in transition.required}
        return body

    def _field(self, name: str) -> Json:
        shape: Json = {"required": True, "name": name.capitalize(), "key": name, "hasDefaultValue": False}
        shape |= {"schema": {"type": name, "system": name}, "operations": ["set"]}
        if name == "resolution":
            shape["allowedValues"] = [self.resolution(known) for known in RESOLUTIONS.values()]
        return shape
