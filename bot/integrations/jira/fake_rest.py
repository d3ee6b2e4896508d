"""The pretend Jira's REST API, versions 2, 3 and latest: who may ask, and everything about a single issue."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.integrations.jira.fake_fields import Checker
from bot.integrations.jira.fake_site import Invalid, Issue, Site, User
from bot.integrations.jira.fake_views import Json, Views


@dataclass
class Asked:
    """One authenticated request. ``by`` is the id of the user who asks."""

    request: Request
    views: Views
    checker: Checker
    body: Any
    by: str

    def flag(self, name: str) -> bool:
        return self.request.query_params.get(name, "false").lower() == "true"

    def number(self, name: str, default: int) -> int:
        text = str(self.parameter(name, default))
        if not text.isdigit():
            raise Invalid(f"The value '{text}' of {name} is not a number.")
        return int(text)

    def parameter(self, name: str, default: Any = None) -> Any:
        """From the body of a POST, else from the query."""
        if self.request.method == "POST":
            return self.body.get(name, default)
        return self.request.query_params.get(name, default)

    def names(self, name: str) -> list[str]:
        """A list parameter: repeated, comma-separated, or a list in the body."""
        if self.request.method == "POST":
            return [str(item) for item in self.body.get(name) or []]
        parts = [part for text in self.request.query_params.getlist(name) for part in text.split(",")]
        return [part.strip() for part in parts if part.strip()]

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])


Answer = tuple[int, Any]
Endpoint = Callable[[Asked], Answer]


@dataclass
class Door:
    """Who may come in. Cloud: Basic with email and token; Server: Bearer with a personal token."""

    bot: User
    token: str
    cloud: bool
    read_only: bool = False

    def admits(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        if not self.cloud:
            return given == f"Bearer {self.token}"
        pair = base64.b64encode(f"{self.bot.email}:{self.token}".encode()).decode()
        return given == f"Basic {pair}"

    def refusal(self) -> Response:
        headers = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
        if self.cloud:
            text = "Client must be authenticated to access this resource."
            headers["WWW-Authenticate"] = 'OAuth realm="https%3A%2F%2Fexample.atlassian.net"'
            return JSONResponse({"message": text, "status-code": 401}, 401, headers)
        text = "You are not authenticated. Authentication required to perform this operation."
        return JSONResponse({"errorMessages": [text], "errors": {}}, 401, headers)


class Rest:
    """Turns functions from ``Asked`` to (status, JSON) into routes under /rest/api/{2,3,latest}."""

    def __init__(self, site: Site, door: Door) -> None:
        self.site = site
        self.door = door

    def routes(self, table: list[tuple[str, str, Endpoint]], *, opened: bool = False) -> list[Route]:
        """``opened``: for anybody, without credentials."""
        return [
            Route(f"/rest/api/{{version}}/{path}", self._endpoint(answer, opened=opened), methods=[method])
            for method, path, answer in table
        ]

    def _endpoint(self, answer: Endpoint, *, opened: bool) -> Callable[..., Any]:
        async def endpoint(request: Request) -> Response:
            if not opened and not self.door.admits(request):
                return self.door.refusal()
            try:
                asked = self._asked(request, await request.body())
                with self.site.lock:
                    status, body = answer(asked)
            except Invalid as refusal:
                return _refused(refusal)
            return Response(status_code=status) if body is None else JSONResponse(body, status)

        return endpoint

    def _asked(self, request: Request, raw: bytes) -> Asked:
        version, cloud = str(request.path_params["version"]), self.door.cloud
        allowed = ("2", "3", "latest") if cloud else ("2", "latest")
        if version not in allowed:
            raise Invalid(status=404)
        number = {"latest": "3" if cloud else "2"}.get(version, version)
        searching = "/search" in request.url.path
        if self.door.read_only and request.method != "GET" and not searching:
            raise Invalid("You do not have permission to do this in this project.", status=403)
        base = f"{request.url.scheme}://{request.headers['host']}{request.scope.get('root_path', '')}"
        views = Views(self.site, base, number, cloud=cloud)
        body = _json(raw) if request.method in ("POST", "PUT") else {}
        return Asked(request, views, Checker(self.site, number, cloud=cloud), body, self.door.bot.id)


class Issues:
    """The endpoints of single issues."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def table(self) -> list[tuple[str, str, Endpoint]]:
        one = "issue/{issue}"
        return [
            ("POST", "issue", self.create),
            ("GET", one, self.get),
            ("PUT", one, self.edit),
            ("DELETE", one, self.delete),
            ("GET", f"{one}/transitions", self.transitions),
            ("POST", f"{one}/transitions", self.transition),
            ("GET", f"{one}/comment", self.comments),
            ("POST", f"{one}/comment", self.comment),
            ("GET", f"{one}/comment/{{id}}", self.one_comment),
            ("PUT", f"{one}/comment/{{id}}", self.edit_comment),
            ("DELETE", f"{one}/comment/{{id}}", self.delete_comment),
            ("PUT", f"{one}/assignee", self.assign),
            ("GET", f"{one}/properties", self.properties),
            ("GET", f"{one}/properties/{{key}}", self.get_property),
            ("PUT", f"{one}/properties/{{key}}", self.set_property),
            ("DELETE", f"{one}/properties/{{key}}", self.delete_property),
            ("GET", f"{one}/remotelink", self.links),
            ("POST", f"{one}/remotelink", self.link),
        ]

    def _one(self, asked: Asked) -> Issue:
        return self.site.issue(asked.path("issue"))

    def create(self, asked: Asked) -> Answer:
        body = _object(asked.body)
        project, fields = asked.checker.for_create(body.get("fields"))
        issue = self.site.create(project.key, fields, asked.by)
        for row in body.get("properties") or []:
            issue.properties[row["key"]] = row["value"]
        return 201, {"id": issue.id, "key": issue.key, "self": asked.views.at(f"issue/{issue.id}")}

    def get(self, asked: Asked) -> Answer:
        issue, wanted = self._one(asked), asked.names("fields") or ["*all"]
        expand = asked.names("expand")
        body = asked.views.issue(issue, wanted, history="changelog" in expand)
        if "transitions" in expand:
            body["transitions"] = self._offered(asked, issue, screen=False)
        return 200, body

    def edit(self, asked: Asked) -> Answer:
        issue = self._one(asked)
        fields, comments = asked.checker.for_edit(issue, _object(asked.body))
        self.site.edit(issue, fields, asked.by)
        for text in comments:
            self.site.comment(issue, text, asked.by)
        return 204, None

    def delete(self, asked: Asked) -> Answer:
        self.site.delete(self._one(asked), asked.by)
        return 204, None

    def _offered(self, asked: Asked, issue: Issue, *, screen: bool) -> list[Json]:
        project = self.site.projects[issue.project]
        return [asked.views.transition(project, t, screen=screen) for t in project.workflow.offered(issue.status)]

    def transitions(self, asked: Asked) -> Answer:
        rows = self._offered(asked, self._one(asked), screen="transitions.fields" in asked.names("expand"))
        only = asked.request.query_params.get("transitionId")
        shown = [row for row in rows if only in (None, row["id"])]
        return 200, {"expand": "transitions", "transitions": shown}

    def transition(self, asked: Asked) -> Answer:
        issue, body = self._one(asked), _object(asked.body)
        given = body.get("transition")
        ident = str(given.get("id", "")) if isinstance(given, dict) else ""
        if not ident:
            raise Invalid("Missing 'transition' identifier")
        workflow = self.site.projects[issue.project].workflow
        found = next((t for t in workflow.transitions if t.id == ident), None)
        if found is None or found not in workflow.offered(issue.status):
            raise Invalid(f"Transition id '{ident}' is not valid for this issue.")
        fields = asked.checker.for_transition(body.get("fields"), found.required)
        operations = (body.get("update") or {}).get("comment") or []
        texts = [asked.checker.text(operation["add"]["body"]) for operation in operations]
        self.site.transition(issue, found, fields, asked.by)
        for text in texts:
            self.site.comment(issue, text, asked.by)
        return 204, None

    def comments(self, asked: Asked) -> Answer:
        return 200, asked.views.comments(self._one(asked))

    def comment(self, asked: Asked) -> Answer:
        issue = self._one(asked)
        text = asked.checker.text(_object(asked.body).get("body"))
        if not text.strip():
            raise Invalid(fields={"comment": "Comment body can not be empty!"})
        return 201, asked.views.comment(issue, self.site.comment(issue, text, asked.by))

    def one_comment(self, asked: Asked) -> Answer:
        issue = self._one(asked)
        for comment in issue.comments:
            if comment["id"] == asked.path("id"):
                return 200, asked.views.comment(issue, comment)
        raise Invalid(f"Can not find a comment for the id: {asked.path('id')}.", status=404)

    def edit_comment(self, asked: Asked) -> Answer:
        text = asked.checker.text(_object(asked.body).get("body"))
        self.site.edit_comment(self._one(asked), asked.path("id"), text, asked.by)
        return self.one_comment(asked)

    def delete_comment(self, asked: Asked) -> Answer:
        self.site.delete_comment(self._one(asked), asked.path("id"), asked.by)
        return 204, None

    def assign(self, asked: Asked) -> Answer:
        issue, body = self._one(asked), _object(asked.body)
        name = "accountId" if asked.views.cloud else "name"
        value = body if body.get(name) is not None else None
        if name not in body:
            raise Invalid(f"'{name}' is required.")
        person = asked.checker.person("assignee", value)
        if asked.checker.errors:
            raise Invalid(fields=asked.checker.errors)
        self.site.edit(issue, {"assignee": person}, asked.by)
        return 204, None

    def properties(self, asked: Asked) -> Answer:
        issue = self._one(asked)
        at = asked.views.at(f"issue/{issue.id}/properties")
        return 200, {"keys": [{"self": f"{at}/{key}", "key": key} for key in issue.properties]}

    def get_property(self, asked: Asked) -> Answer:
        issue, key = self._one(asked), asked.path("key")
        if key not in issue.properties:
            raise Invalid(f"The property {key} does not exist.", status=404)
        return 200, {"key": key, "value": issue.properties[key]}

    def set_property(self, asked: Asked) -> Answer:
        issue, key = self._one(asked), asked.path("key")
        new = key not in issue.properties
        issue.properties[key] = asked.body
        return (201 if new else 200), {}

    def delete_property(self, asked: Asked) -> Answer:
        issue, key = self._one(asked), asked.path("key")
        if issue.properties.pop(key, None) is None:
            raise Invalid(f"The property {key} does not exist.", status=404)
        return 204, None

    def links(self, asked: Asked) -> Answer:
        issue = self._one(asked)
        at = asked.views.at(f"issue/{issue.key}/remotelink")
        return 200, [{"self": f"{at}/{link['id']}", **link} for link in issue.links]

    def link(self, asked: Asked) -> Answer:
        issue, body = self._one(asked), _object(asked.body)
        target = body.get("object")
        errors = {
            name: f"'{name}' is required."
            for name in ("title", "url")
            if not isinstance(target, dict) or not target.get(name)
        }
        if errors:
            raise Invalid(fields=errors)
        made = self.site.link(issue, body)
        return 201, {"id": made["id"], "self": asked.views.at(f"issue/{issue.key}/remotelink/{made['id']}")}


def _object(body: Any) -> Json:
    if not isinstance(body, dict):
        raise Invalid("Can not deserialize the request body.")
    return body


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise Invalid("There was an error parsing JSON. Check that your request body is valid.") from None


def _refused(refusal: Invalid) -> JSONResponse:
    return JSONResponse({"errorMessages": refusal.messages, "errors": refusal.fields}, refusal.status)
