"""What the pretend Jira accepts as the fields of an issue, and what it says to the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from bot.integrations.jira.fake_site import PRIORITIES, RESOLUTIONS, Custom, Invalid, Issue, Project, Site
from bot.integrations.jira.fake_views import component_id, level_id, option_id, plain

MAX_TEXT = 32_767
SCREEN = (
    "summary",
    "description",
    "priority",
    "labels",
    "assignee",
    "reporter",
    "duedate",
    "environment",
    "issuetype",
    "security",
    "components",
)
"""Fields on the create and edit screens, beside the project."""


class Checker:
    """Checks fields for one request; ``version`` 3 wants documents, ``cloud`` names people by accountId."""

    def __init__(self, site: Site, version: str, *, cloud: bool) -> None:
        self.site = site
        self.version = version
        self.cloud = cloud
        self.errors: dict[str, str] = {}
        self.project_of: Project | None = None

    def for_create(self, fields: Any) -> tuple[Project, dict[str, Any]]:
        """The project and the checked values. Raises Invalid with all that is wrong, by field."""
        if not isinstance(fields, dict):
            raise Invalid("Field 'fields' is required.")
        project = self.project(fields.get("project"))
        if project is None:
            # Without a project Jira knows no screen, and says nothing of the other fields.
            raise Invalid(fields={"project": "valid project is required"})
        kind = self.issue_type(project, fields.get("issuetype"))
        rest = {name: value for name, value in fields.items() if name not in ("project", "issuetype")}
        customs = tuple(one.id for one in project.customs)
        self.project_of = project
        checked = self._checked(rest, (*SCREEN, *customs))
        if "summary" not in fields:
            self.errors["summary"] = "You must specify a summary of the issue."
        for name in project.required:
            if not fields.get(name):
                self.errors[name] = f"{name.capitalize()} is required."
        self._raise()
        extra = {name: checked.pop(name) for name in ("duedate", "environment", *customs) if name in checked}
        return project, {**checked, "issue_type": kind, "extra": extra}

    def for_edit(self, issue: Issue, body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The checked values of ``fields`` and ``update``, and the texts of comments added by ``update``."""
        fields, update = body.get("fields") or {}, body.get("update") or {}
        if not isinstance(fields, dict) or not isinstance(update, dict):
            raise Invalid("Can not deserialize the request body.")
        self.project_of = self.site.projects[issue.project]
        both = set(fields) & set(update)
        for name in both:
            self.errors[name] = f"Field '{name}' cannot appear in both 'fields' and 'update'"
        checked = self._checked(fields, (*SCREEN, "resolution"))
        comments = []
        for name, operations in update.items():
            if name == "comment":
                comments += [self.text(op.get("add", {}).get("body")) for op in operations]
            elif name == "labels":
                checked["labels"] = self._labels_after(issue, operations)
            elif len(operations) == 1 and "set" in operations[0]:
                checked |= self._checked({name: operations[0]["set"]}, SCREEN)
            else:
                self.errors[name] = f"Field '{name}' does not support operations other than 'set'."
        kind = checked.pop("issuetype", None)
        if kind is not None:
            checked["issue_type"] = self.issue_type(self.site.projects[issue.project], kind)
        self._raise()
        return checked, comments

    def for_transition(self, fields: Any, screen: tuple[str, ...]) -> dict[str, Any]:
        checked = self._checked(fields or {}, (*screen, "resolution"))
        self._raise()
        return checked

    def text(self, value: Any) -> str:
        """A comment or description as plain text. Raises Invalid."""
        text = plain(value) if self.version == "3" else value
        if not isinstance(text, str):
            raise Invalid("Can not deserialize instance of java.lang.String out of START_OBJECT token")
        if len(text) > MAX_TEXT:
            raise Invalid("The entered text is too long. It exceeds the allowed limit of 32,767 characters.")
        return text

    def project(self, value: Any) -> Project | None:
        if not isinstance(value, dict):
            return None
        projects = self.site.projects.values()
        return next((p for p in projects if value.get("key") == p.key or str(value.get("id")) == p.id), None)

    def issue_type(self, project: Project, value: Any) -> str:
        if isinstance(value, dict):
            for i, name in enumerate(project.issue_types, 10_001):
                if value.get("name") == name or str(value.get("id")) == str(i):
                    return name
        text = "Specify a valid issue type" if value else "issue type is required"
        self.errors["issuetype"] = text
        return ""

    def person(self, name: str, value: Any) -> str:
        if value is None:
            return ""
        given = value.get("accountId" if self.cloud else "name") if isinstance(value, dict) else None
        if given is None:
            wanted = "accountId" if self.cloud else "name"
            self.errors[name] = f"{name} needs {wanted}"
            return ""
        for user in self.site.users.values():
            if given == (user.id if self.cloud else user.login):
                return user.id
        self.errors[name] = f"User '{given}' does not exist."
        return ""

    # -- inside -----------------------------------------------------------------------------------------------------

    def _raise(self) -> None:
        if self.errors:
            raise Invalid(fields=self.errors)

    def _checked(self, fields: Mapping[str, Any], screen: tuple[str, ...]) -> dict[str, Any]:
        checks: dict[str, Callable[[Any], Any]] = {
            "summary": self._summary,
            "description": self._description,
            "priority": self._priority,
            "labels": self._labels,
            "assignee": lambda value: self.person("assignee", value),
            "reporter": lambda value: self.person("reporter", value),
            "duedate": self._day,
            "environment": lambda value: value,
            "issuetype": lambda value: value,
            "resolution": self._resolution,
            "security": self._security,
            "components": self._components,
        }
        for one in self.project_of.customs if self.project_of else ():
            checks[one.id] = lambda value, one=one: self._custom(one, value)  # type: ignore[misc]
        checked = {}
        for name, value in fields.items():
            if name not in screen or name not in checks:
                text = f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."
                self.errors[name] = text
            else:
                checked[name] = checks[name](value)
        return checked

    def _summary(self, value: Any) -> Any:
        if not isinstance(value, str):
            self.errors["summary"] = "Operation value must be a string"
        elif not value.strip():
            self.errors["summary"] = "You must specify a summary of the issue."
        elif len(value) > 255:
            self.errors["summary"] = "Summary can't exceed 255 characters."
        elif "\n" in value or "\r" in value:
            self.errors["summary"] = "The summary is invalid because it contains newline characters."
        return value

    def _description(self, value: Any) -> str:
        if value is None:
            return ""
        try:
            return self.text(value)
        except Invalid as wrong:
            self.errors["description"] = wrong.messages[0]
            return ""

    def _priority(self, value: Any) -> Any:
        for ident, name in PRIORITIES.items():
            if isinstance(value, dict) and (value.get("name") == name or str(value.get("id")) == ident):
                return name
        self.errors["priority"] = (
            "The priority selected is invalid." if isinstance(value, dict) else "data was not an object"
        )
        return None

    def _security(self, value: Any) -> str:
        levels = self.project_of.levels if self.project_of else ()
        for i, name in enumerate(levels):
            if isinstance(value, dict) and (value.get("name") == name or str(value.get("id")) == level_id(i)):
                return name
        self.errors["security"] = "The security level is not valid."
        return ""

    def _components(self, value: Any) -> list[str]:
        known = self.project_of.components if self.project_of else ()
        ids = {component_id(i): name for i, name in enumerate(known)}
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.errors["components"] = "data was not an array"
            return []
        names = [str(one.get("name") or ids.get(str(one.get("id")), "")) for one in value]
        if any(name not in known for name in names):
            self.errors["components"] = "Component name is not valid"
        return names

    def _custom(self, field: Custom, value: Any) -> Any:
        """The value as it is kept, or an error in the words of Jira."""
        many = value if field.many else [value]
        if not isinstance(many, list):
            self.errors[field.id] = "data was not an array"
            return None
        for one in many:
            if field.kind == "option":
                names = {option_id(i): name for i, name in enumerate(field.options)}
                good = isinstance(one, dict) and (one.get("value") in field.options or str(one.get("id")) in names)
            elif field.kind == "user":
                good = isinstance(one, dict) and ("accountId" if self.cloud else "name") in one
            else:
                good = isinstance(one, int | float) if field.kind == "number" else isinstance(one, str)
            if not good:
                self.errors[field.id] = f"Specify a valid value for {field.name}"
        return value

    def _resolution(self, value: Any) -> str:
        for ident, name in RESOLUTIONS.items():
            if isinstance(value, dict) and (value.get("name") == name or str(value.get("id")) == ident):
                return name
        self.errors["resolution"] = "Specify a valid value for resolution"
        return ""

    def _labels(self, value: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
            self.errors["labels"] = "data was not an array"
            return []
        for label in value:
            self._label(label)
        return sorted(set(value))

    def _label(self, label: Any) -> None:
        if not isinstance(label, str) or re.search(r"\s", label) or not label:
            self.errors["labels"] = f"The label '{label}' contains spaces which is invalid."
        elif len(label) > 255:
            self.errors["labels"] = f"The label '{label}' exceeds the maximum length of 255 characters."

    def _labels_after(self, issue: Issue, operations: list[dict[str, Any]]) -> list[str]:
        labels = set(issue.labels)
        for operation in operations:
            for verb, value in operation.items():
                if verb == "set":
                    labels = set(self._labels(value))
                elif verb == "add":
                    self._label(value)
                    labels.add(value)
                elif verb == "remove":
                    labels.discard(value)
                else:
                    self.errors["labels"] = f"Unknown operation '{verb}'"
        return sorted(labels)

    def _day(self, value: Any) -> Any:
        if value is None:
            return None
        try:
            return date.fromisoformat(value).isoformat()
        except (TypeError, ValueError):
            self.errors["duedate"] = f"Error parsing date string: {value}"
            return None
