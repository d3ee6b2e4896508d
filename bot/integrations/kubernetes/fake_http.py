"""The API server's front: who calls, what the URL means, whether they may, and the answer in its shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from bot.integrations.kubernetes import fake_below, fake_discovery, fake_rbac
from bot.integrations.kubernetes.fake_kinds import Registry, Resource
from bot.integrations.kubernetes.fake_objects import Objects, Options
from bot.integrations.kubernetes.fake_patch import APPLY
from bot.integrations.kubernetes.fake_rbac import ADMIN, Ask, User
from bot.integrations.kubernetes.fake_status import (
    ApiError,
    bad_request,
    forbidden,
    method_not_allowed,
    no_such_resource,
    not_found,
    unsupported_media,
)
from bot.integrations.kubernetes.fake_watch import View, Watch, listing, shown

_RETURN_DELETED = ("pods", "services", "serviceaccounts", "persistentvolumeclaims")
_BODIES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor")
_WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True)
class Target:
    """What a URL names."""

    resource: Resource
    version: str
    namespace: str = ""
    name: str = ""
    sub: str = ""

    @property
    def place(self) -> tuple[str, str]:
        return self.namespace, self.name


@dataclass(frozen=True)
class Asked:
    """One call, read: ``media`` is the body's type without parameters."""

    method: str
    target: Target
    verb: str
    query: Mapping[str, str]
    media: str
    body: bytes
    how: Options


def locate(registry: Registry, path: str) -> Target:
    """Raises ApiError 404 for a URL that names nothing served."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2 and parts[1] == "v1":
        group, version, rest = "", "v1", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise no_such_resource()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not (group == "" and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    plural, name, sub = (*rest, "", "")[:3]
    resource = registry.find(group, plural)
    if (
        resource is None
        or version not in resource.versions
        or len(rest) > 3
        or (sub and sub not in resource.subresources)
    ):
        raise no_such_resource()
    if bool(namespace) != resource.namespaced and (name or namespace):
        raise no_such_resource()
    return Target(resource, version, namespace, name, sub)


class Api:
    """The ASGI app. ``after`` runs once a call has been carried out (the controllers' turn)."""

    def __init__(
        self, objects: Objects, tokens: dict[str, User], *, require_token: bool, after: Callable[[], None]
    ) -> None:
        self.objects = objects
        self.store = objects.store
        self.registry = objects.registry
        self.tokens = tokens
        self.require_token = require_token
        self.after = after
        self._run = {"get": self._get, "list": self._list, "create": self._create, "update": self._update}
        self._run |= {"patch": self._patch, "delete": self._delete, "deletecollection": self._delete_many}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        headers = {key.decode().lower(): value.decode("latin-1") for key, value in scope.get("headers", ())}
        if scope["type"] == "websocket":
            await self._exec(path, headers, receive, send)
            return
        request = Request(scope, receive)
        response: Response | Watch
        try:
            user = self._caller(headers)
            response = self._answer(user, request, path, await request.body())
        except ApiError as error:
            response = _failed(error)
        if isinstance(response, Watch):
            await response.serve(receive, send)
        else:
            await response(scope, receive, send)

    def _caller(self, headers: Mapping[str, str]) -> User:
        given = headers.get("authorization", "")
        if not given and not self.require_token:
            return ADMIN
        kind, _, token = given.partition(" ")
        user = self.tokens.get(token.strip()) if kind.lower() == "bearer" else None
        if user is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return user

    def _answer(self, user: User, request: Request, path: str, body: bytes) -> Response | Watch:
        ready = path in fake_discovery.HEALTH
        found = None if ready else fake_discovery.answer(self.registry, path)
        if ready or found is not None:
            ask = Ask("get", path=path)
            if not fake_rbac.allowed(self.store, user, ask):
                raise fake_rbac.refused(user, ask)
            if request.method != "GET":
                raise method_not_allowed()
            return PlainTextResponse("ok") if ready else JSONResponse(found)
        target = locate(self.registry, path)
        asked = _read(request, target, body)
        ask = Ask(asked.verb, target.resource.group, target.resource.plural, target.sub, target.namespace, target.name)
        if not fake_rbac.allowed(self.store, user, ask):
            raise fake_rbac.refused(user, ask)
        if asked.verb == "watch":
            fields = asked.query.get("fieldSelector", "")
            if target.name:
                fields = ",".join(filter(None, (fields, f"metadata.name={target.name}")))
            view = View(target.resource, target.version, target.namespace, asked.query.get("labelSelector", ""), fields)
            return Watch(self.store, view, asked.query)
        if asked.verb not in target.resource.verbs:
            raise method_not_allowed()
        response = self._below(asked) if target.sub not in ("", "status", "finalize") else None
        if response is None:
            self._may_grant(asked, user)
            if not target.resource.selectable and target.resource.verbs == ("create",):
                review = fake_below.review(self.objects, target.resource, user, _loaded(asked.body))
                response = JSONResponse(review, 201)
            else:
                response = self._run[asked.verb](asked)
        for text in asked.how.warnings:
            response.headers.append("Warning", f"299 - {json.dumps(text)}")
        self.after()
        return response

    def _may_grant(self, asked: Asked, user: User) -> None:
        target = asked.target
        if asked.method not in _WRITES or target.resource.group != "rbac.authorization.k8s.io":
            return
        body = _loaded(asked.body)
        if not isinstance(body, dict):
            return
        why = fake_rbac.escalates(self.store, user, target.resource, target.namespace, body)
        if why:
            raise forbidden(target.resource.group, target.resource.plural, target.name, why)

    # The verbs

    def _shown(self, target: Target, record: Any, code: int = 200) -> Response:
        return JSONResponse(shown(target.resource, target.version, record), code)

    def _get(self, asked: Asked) -> Response:
        return self._shown(asked.target, self.objects.get(asked.target.resource, *asked.target.place))

    def _view(self, asked: Asked) -> View:
        target, query = asked.target, asked.query
        labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
        return View(target.resource, target.version, target.namespace, labels, fields)

    def _list(self, asked: Asked) -> Response:
        return JSONResponse(listing(self.store, self._view(asked), asked.query))

    def _create(self, asked: Asked) -> Response:
        target = asked.target
        if target.name:
            raise method_not_allowed()
        if target.resource.namespaced and not target.namespace:
            raise bad_request("an empty namespace may not be set during creation")
        body = _loaded(asked.body)
        record = self.objects.create(target.resource, target.version, target.namespace, body, asked.how)
        return self._shown(target, record, 201)

    def _update(self, asked: Asked) -> Response:
        target = asked.target
        body = _loaded(asked.body)
        record = self.objects.replace(target.resource, target.version, *target.place, body, asked.how, target.sub)
        return self._shown(target, record)

    def _patch(self, asked: Asked) -> Response:
        target = asked.target
        kind = _patch_type(asked)
        body = _loaded(asked.body)
        if kind == APPLY:
            record, new = self.objects.apply(target.resource, target.version, target.place, body, asked.how, target.sub)
            return self._shown(target, record, 201 if new else 200)
        record = self.objects.patch(target.resource, target.version, target.place, kind, body, asked.how, target.sub)
        return self._shown(target, record)

    def _delete(self, asked: Asked) -> Response:
        resource = asked.target.resource
        options = _delete_options(asked)
        dry = asked.how.dry_run or bool(options.get("dryRun"))
        record, gone = self.objects.delete(resource, *asked.target.place, options, dry_run=dry)
        if not gone or (resource.plural in _RETURN_DELETED and not resource.custom):
            return self._shown(asked.target, record)
        details = {"name": record.meta["name"], "kind": resource.plural, "uid": record.meta["uid"]}
        if resource.group:
            details["group"] = resource.group
        top = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return JSONResponse({**top, "details": details})

    def _delete_many(self, asked: Asked) -> Response:
        options = _delete_options(asked)
        with self.store.lock:
            found = listing(self.store, self._view(asked), asked.query)
            for item in found["items"]:
                place = item["metadata"].get("namespace", ""), item["metadata"]["name"]
                if self.store.get(asked.target.resource.table, place):
                    self.objects.delete(asked.target.resource, *place, options, dry_run=asked.how.dry_run)
        return JSONResponse(found)

    # Below a name

    def _below(self, asked: Asked) -> Response | None:
        target, place = asked.target, asked.target.place
        match target.sub, asked.method:
            case "scale", "GET":
                return JSONResponse(fake_below.scale(target.resource, self.objects.get(target.resource, *place)))
            case "scale", "PUT" | "PATCH":
                kind = _patch_type(asked) if asked.method == "PATCH" else ""
                body = _loaded(asked.body)
                made = fake_below.rescale(self.objects, target.resource, target.version, place, kind, body, asked.how)
                return JSONResponse(made)
            case "eviction", "POST":
                body = _loaded(asked.body)
                return JSONResponse(fake_below.evict(self.objects, target.resource, place, body, asked.how), 201)
            case "log", "GET":
                text = fake_below.log(self.objects, target.resource, place, asked.query)
                return Response(status_code=204) if text is None else PlainTextResponse(text)
            case "token", "POST":
                body = _loaded(asked.body)
                return JSONResponse(fake_below.token(self.objects, target.resource, place, body, self.tokens), 201)
            case "exec", "GET" | "POST":
                raise bad_request("Upgrade request required")
        raise method_not_allowed()

    async def _exec(self, path: str, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        """No pod here runs a process: an exec is refused as a cluster refuses it whose kubelet is out of reach."""
        await receive()
        try:
            user = self._caller(headers)
            target = locate(self.registry, path)
            ask = Ask("get", target.resource.group, target.resource.plural, target.sub, *target.place)
            if not fake_rbac.allowed(self.store, user, ask):
                raise fake_rbac.refused(user, ask)
            pod = self.objects.get(target.resource, *target.place)
            said = "error dialing backend: dial tcp 127.0.0.1:10250: connection refused"
            error = ApiError(500, "InternalError", said)
            if not pod.body["spec"].get("nodeName"):
                error = bad_request(f"pod {target.name} does not have a host assigned")
        except ApiError as found:
            error = found
        body = json.dumps(error.body()).encode()
        sent = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "websocket.http.response.start", "status": error.code, "headers": sent})
        await send({"type": "websocket.http.response.body", "body": body})


def _failed(error: ApiError) -> Response:
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else None
    return JSONResponse(error.body(), error.code, headers)


def _read(request: Request, target: Target, body: bytes) -> Asked:
    query = {key: value for key, value in request.query_params.items()}  # noqa: C416 - the last of each name
    method = request.method
    if method == "GET":
        watched = query.get("watch") in ("true", "1") and not target.sub
        verb = "watch" if watched else "get" if target.name else "list"
    elif method == "DELETE":
        verb = "delete" if target.name else "deletecollection"
    elif method in _WRITES:
        verb = _WRITES[method]
    else:
        raise method_not_allowed()
    if method in ("PUT", "PATCH") and not target.name:
        raise method_not_allowed()
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    return Asked(method, target, verb, query, media, body, _options(request, query))


def _options(request: Request, query: Mapping[str, str]) -> Options:
    agent = request.headers.get("user-agent", "unknown").partition("/")[0] or "unknown"
    dry = query.get("dryRun")
    if dry not in (None, "", "All"):
        raise bad_request(f'Invalid value: "{dry}": must be All')
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Strict", "Warn", "Ignore"):
        raise bad_request(f'Unsupported value: "{validation}": supported values: "Ignore", "Strict", "Warn"')
    manager = query.get("fieldManager", "")
    if len(manager) > 128 or not manager.isprintable():
        raise bad_request("fieldManager: Invalid value: must be at most 128 printable characters")
    force = query.get("force") in ("true", "True", "1")
    return Options(manager or agent, bool(manager), dry == "All", validation, force)


def _patch_type(asked: Asked) -> str:
    accepted = asked.target.resource.patches
    if asked.media not in accepted:
        raise unsupported_media(accepted)
    if asked.target.name == "":
        raise not_found(asked.target.resource.group, asked.target.resource.plural, "")
    return asked.media


def _loaded(body: bytes) -> Any:
    """The body as JSON, or YAML when it is not JSON. Raises ApiError 400."""
    try:
        return json.loads(body)
    except ValueError:
        pass
    try:
        return yaml.safe_load(body)
    except (yaml.YAMLError, UnicodeDecodeError) as wrong:
        raise bad_request(f"the object provided is unrecognized: couldn't get version/kind: {wrong}") from wrong


def _delete_options(asked: Asked) -> dict[str, Any]:
    options = _loaded(asked.body) if asked.body.strip() else {}
    if not isinstance(options, dict):
        raise bad_request("the object provided is not a meta/v1 DeleteOptions")
    out = dict(options)
    if "propagationPolicy" in asked.query:
        out["propagationPolicy"] = asked.query["propagationPolicy"]
    grace = asked.query.get("gracePeriodSeconds")
    if grace is not None and grace.isdigit():
        out["gracePeriodSeconds"] = int(grace)
    return out
