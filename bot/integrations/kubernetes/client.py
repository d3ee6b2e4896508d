"""The official Kubernetes client behind get, apply, listing, watch and ping, each with a hard timeout."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import urllib3
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from bot.errors import GiveUp, Retry
from bot.http_client import retry_after
from bot.integrations.kubernetes import Event, Gone, KubernetesSettings, Listing, ListRef, ObjectRef

MANAGER = "release-captain"
SELECTED = 2000
"""Objects that a selector may pick."""
MOMENT = 0.1
"""Seconds after which a write that met another may be tried again."""
PAGE = 200
"""Objects in a page of a list."""
MOST_EVENT = 8 * 1024 * 1024
"""Bytes of one event of a watch; an object is of 1.5 MB at most."""
_APPLY = "application/apply-patch+yaml"


class KubernetesClient:
    """A ``Cluster`` (see the package) over the official client; safe to use from any thread.

    Settings name a plain ``url`` (a proxy or a stand-in), a ``kubeconfig`` with an optional ``context``, or neither:
    then the pod's own service account is used. Raises GiveUp when there is no such account or kubeconfig.
    """

    def __init__(self, settings: KubernetesSettings) -> None:
        self.timeout = settings.timeout
        configuration = _configuration(settings)
        # Whoever called us decides about retries; the pool would repeat a call three times by itself.
        configuration.retries = urllib3.Retry(total=0, redirect=False, respect_retry_after_header=False)
        self._api = client.ApiClient(configuration)

    def get(self, ref: ObjectRef) -> Mapping[str, Any] | None:
        """The object as plain JSON, or None when it does not exist. Raises Retry or GiveUp."""
        status, body = self._call("GET", _path(ref), f"read {_said(ref)}", may_act=False)
        return None if status == 404 else body

    def apply(
        self, ref: ObjectRef, body: Mapping[str, Any], *, force: bool = False, part: str = "", dry_run: bool = False
    ) -> Mapping[str, Any]:
        """Server-side apply; returns the object as it then is, or with ``dry_run`` as it would be.

        Raises Retry (``unknown`` when it may have been applied; also when ``body`` names a version that is no longer
        the newest: read it again and decide anew), or GiveUp: another manager owns a field (409, unless ``force``), the
        account may not (403), the object is refused (400, 422), or its kind or namespace is missing (404).
        """
        manager = f"{MANAGER}-{part}" if part else MANAGER
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        wanted, doing = _complete(ref, body), f"{'try to ' if dry_run else ''}apply {_said(ref)}"
        _, found = self._call("PATCH", _path(ref), doing, query=query, body=wanted, may_act=not dry_run)
        return found

    def listing(self, what: ListRef) -> Listing:
        """All the objects of a kind in a namespace. Raises Gone, Retry or GiveUp."""
        items: list[Mapping[str, Any]] = []
        query = {"limit": str(PAGE)}
        while True:
            _, body = self._call("GET", _folder(what), f"list {_named(what)}", query=query, may_act=False)
            items += [one for one in body.get("items") or () if isinstance(one, dict)]
            meta = body.get("metadata") or {}
            if not meta.get("continue"):
                return Listing(items, str(meta.get("resourceVersion") or ""))
            query["continue"] = str(meta["continue"])

    def watch(self, what: ListRef, version: str, *, seconds: int) -> Stream:
        """What changes after ``version``, for ``seconds``. Raises Gone, Retry or GiveUp."""
        query = {
            "watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds),
        }  # fmt: skip
        doing = f"watch {_named(what)}"
        # The server is silent for as long as nothing happens, so only its own end tells a watch from a dead line.
        limits = (self.timeout, seconds + self.timeout)
        answer = self._send("GET", _folder(what), doing, query, None, limits, may_act=False)
        if answer.status != 200:
            text = _body(answer.response, time.monotonic() + self.timeout)
            _read(answer.status, answer.headers, text, "GET", doing, may_act=False)
        return Stream(answer.response, doing)

    def select(self, api_version: str, plural: str, namespace: str, labels: str) -> list[Mapping[str, Any]]:
        """The objects that a label selector picks, page by page. Raises Retry or GiveUp, also when there are too many."""
        folder = _path(ObjectRef(api_version, plural, "", namespace)).rstrip("/")
        query = {"labelSelector": labels, "limit": str(SELECTED // 4)}
        found: list[Mapping[str, Any]] = []
        while True:
            _, body = self._call("GET", folder, f"list {plural} with {labels}", query=query, may_act=False)
            found += [one for one in body.get("items") or () if isinstance(one, dict)]
            more = (body.get("metadata") or {}).get("continue")
            if not more:
                return found
            if len(found) >= SELECTED:
                raise GiveUp(f"more than {SELECTED} {plural} have the labels {labels}; name more labels")
            query["continue"] = str(more)

    def ping(self) -> str:
        """The server's version, such as "v1.36.2". Raises Retry or GiveUp."""
        _, body = self._call("GET", "/version", "ask for the version", may_act=False)
        return str(body.get("gitVersion", ""))

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def _call(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        may_act: bool,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """One request. A 404 to a GET is answered, not raised."""
        ends = time.monotonic() + self.timeout
        answer = self._send(method, path, doing, query, body, self.timeout, may_act=may_act)
        try:
            text = _body(answer.response, ends)
        except urllib3.exceptions.HTTPError as error:
            said = f"Kubernetes did not answer when asked to {doing}: {_reason(error)}"
            raise Retry(said, unknown=may_act) from error
        return _read(answer.status, answer.headers, text, method, doing, may_act=may_act)

    def _send(
        self,
        method: str,
        path: str,
        doing: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        limit: float | tuple[float, float],
        *,
        may_act: bool,
    ) -> Any:
        """Send one request and return the answer with its body unread. ``limit``: s to connect, and of silence."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = _APPLY
        try:
            request = self._api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=dict(body) if body is not None else None,
                auth_settings=["BearerToken"],
            )
            return self._api.call_api(*request, _request_timeout=limit)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            raise Retry(f"Kubernetes cannot be reached to {doing}: {_reason(error)}") from error
        except urllib3.exceptions.MaxRetryError as error:
            sent = not isinstance(
                error.reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
            )
            said = f"Kubernetes did not answer when asked to {doing}: {_reason(error.reason or error)}"
            raise Retry(said, unknown=may_act and sent) from error
        except urllib3.exceptions.HTTPError as error:
            said = f"Kubernetes did not answer when asked to {doing}: {_reason(error)}"
            raise Retry(said, unknown=may_act) from error
        except client.ApiException as error:
            raise GiveUp(f"Kubernetes could not be asked to {doing}: {error.reason}; check the certificate") from error


class Stream:
    """A watch that is open (a ``Watching``, see the package)."""

    def __init__(self, response: Any, doing: str) -> None:
        self._response = response
        self._doing = doing
        self._cancelled = False

    def __iter__(self) -> Iterator[Event]:
        rest = b""
        try:
            while part := self._response.read1(65536):
                *lines, rest = (rest + part).split(b"\n")
                for one in lines:
                    if one.strip():
                        yield _event(one, self._doing)
                if len(rest) > MOST_EVENT:
                    raise Retry(
                        f"Kubernetes sent an object of more than {MOST_EVENT} bytes when asked to {self._doing}"
                    )
        except (
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as error:  # ValueError: another thread has shut it down
            if not self._cancelled:
                raise Retry(f"Kubernetes broke off when asked to {self._doing}: {_reason(error)}") from error
        finally:
            self._response.close()

    def cancel(self) -> None:
        """End it from another thread."""
        self._cancelled = True
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # it may have ended by itself just now
            self._response.shutdown()


def _event(line: bytes, doing: str) -> Event:
    """One line of a watch. Raises Gone, and Retry when it is none."""
    try:
        told = json.loads(line)
        kind, body = str(told["type"]), told["object"]
        if kind == "ERROR":
            _read(int(body.get("code") or 500), {}, json.dumps(body).encode(), "GET", doing, may_act=False)
        version = str(body["metadata"]["resourceVersion"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Retry(f"Kubernetes sent what is no event when asked to {doing}: {_reason(error)}") from error
    return Event(kind, body, version)


def _configuration(settings: KubernetesSettings) -> Any:
    configuration = client.Configuration()
    try:
        if settings.url:
            configuration.host = settings.url.rstrip("/")
        elif settings.kubeconfig:
            config.load_kube_config(
                os.path.expanduser(settings.kubeconfig),  # noqa: PTH111 - the loader takes a list of paths as text
                settings.context or None,
                configuration,
                persist_config=False,
            )
        else:
            config.load_incluster_config(configuration)
    except ConfigException as error:
        raise GiveUp(f"Kubernetes is not configured: {error}; set kubernetes.url or kubernetes.kubeconfig") from error
    return configuration


def _path(ref: ObjectRef) -> str:
    root = "/apis/" if "/" in ref.api_version else "/api/"
    where = f"/namespaces/{quote(ref.namespace, safe='')}" if ref.namespace else ""
    return f"{root}{ref.api_version}{where}/{quote(ref.plural, safe='')}/{quote(ref.name, safe='')}"


def _folder(what: ListRef) -> str:
    return _path(ObjectRef(what.api_version, what.plural, "", what.namespace)).rstrip("/")


def _named(what: ListRef) -> str:
    return f"{what.plural} in {what.namespace}"


def _said(ref: ObjectRef) -> str:
    return f"{ref.plural} {ref.namespace}/{ref.name}" if ref.namespace else f"{ref.plural} {ref.name}"


def _complete(ref: ObjectRef, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with the identity that server-side apply insists on; what it carries of a read object is left out."""
    meta = {key: value for key, value in (body.get("metadata") or {}).items() if key != "managedFields"}
    meta = {**meta, "name": ref.name, **({"namespace": ref.namespace} if ref.namespace else {})}
    return {"apiVersion": ref.api_version, **body, "metadata": meta}


def _body(response: Any, ends: float) -> bytes:
    """The whole body, read before a point of ``time.monotonic``: the SDK's timeout is per read, not per answer."""
    parts: list[bytes] = []
    while part := response.read1(65536):
        parts.append(part)
        if time.monotonic() > ends:
            response.close()
            raise urllib3.exceptions.ReadTimeoutError(None, "", "the answer took too long")  # type: ignore[arg-type]
    response.release_conn()
    return b"".join(parts)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".split("\n", 1)[0][:200]


def _read(
    status: int, headers: Mapping[str, str], text: bytes | None, method: str, doing: str, *, may_act: bool
) -> tuple[int, dict[str, Any]]:
    """The answer as JSON. Raises what the status means."""
    try:
        body = json.loads(text or b"{}")
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    if 200 <= status < 300:
        if not body:
            raise Retry(f"Kubernetes answered {status} without an object when asked to {doing}", unknown=may_act)
        return status, body
    why = str(body.get("message") or f"HTTP {status}")[:500]
    if (
        status == 404
        and method == "GET"
        and body.get("reason") == "NotFound"
        and (body.get("details") or {}).get("name")
    ):
        return status, body
    if status == 500 and "failed to create typed patch object" in why:
        raise GiveUp(f"Kubernetes refused to {doing}: {why}; correct the object")
    if status == 409 and _raced(body):
        # With a pause: that the cluster says so shows that it is there.
        raise Retry(f"Somebody else wrote at the same time; {doing} did not happen: {why}", after=MOMENT)
    if status == 410:
        raise Gone(f"Kubernetes no longer knows what was asked for, to {doing}: {why}")
    if status == 429 or status >= 500 or status == 408:
        # A refusal with 429 or 503 comes before the call is carried out; other failures may come after.
        unknown = may_act and status not in (429, 503)
        raise Retry(f"Kubernetes could not {doing} ({status}): {why}", after=retry_after(headers), unknown=unknown)
    raise GiveUp(f"Kubernetes refused to {doing} ({status}): {why}; {_next(status, body)}")


def _raced(body: Mapping[str, Any]) -> bool:
    """A 409 that is nobody's claim to a field: two writers met, or the call named a version that is not the newest."""
    return not (body.get("details") or {}).get("causes")


def _next(status: int, body: Mapping[str, Any]) -> str:
    causes = (body.get("details") or {}).get("causes") or []
    if status == 409 and any(one.get("reason") == "FieldManagerConflict" for one in causes):
        return "agree with that manager who owns the field, or force it"
    return {
        400: "correct the object",
        401: "renew the token or certificate",
        403: "grant the bot's account this verb in a Role",
        404: "install its kind and create its namespace first",
        422: "correct the object",
    }.get(status, "see the API server's log")
