"""The API server's refusals: one exception, said in the shape ``kind: Status`` that every client reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

STALE = "the object has been modified; please apply your changes to the latest version and try again"


@dataclass(frozen=True)
class Cause:
    """One thing wrong with one field: ``reason`` as Kubernetes names it (FieldValueRequired), ``field`` dotted."""

    reason: str
    message: str
    field: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class ApiError(Exception):
    """A call refused. ``code`` is the HTTP status; ``retry_after`` seconds, when the caller shall wait."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body |= {"message": self.message, "reason": self.reason}
        if self.details:
            body["details"] = self.details
        return body | {"code": self.code}


def target(group: str, resource: str) -> str:
    """``deployments.apps``, or ``pods`` for the group without a name."""
    return f"{resource}.{group}" if group else resource


def _details(group: str, kind: str, name: str, causes: Sequence[Cause] = ()) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name, "group": group, "kind": kind}
    details = {key: value for key, value in details.items() if value}
    if causes:
        details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return details


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def not_found(group: str, resource: str, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{target(group, resource)} "{name}" not found', _details(group, resource, name))


def no_such_resource() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def already_exists(group: str, resource: str, name: str) -> ApiError:
    text = f'{target(group, resource)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, _details(group, resource, name))


def conflict(group: str, resource: str, name: str, why: str = STALE) -> ApiError:
    text = f'Operation cannot be fulfilled on {target(group, resource)} "{name}": {why}'
    return ApiError(409, "Conflict", text, _details(group, resource, name))


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    said = str(causes[0]) if len(causes) == 1 else "[" + ", ".join(str(c) for c in causes) + "]"
    text = f'{target(group, kind)} "{name}" is invalid: {said}'
    return ApiError(422, "Invalid", text, _details(group, kind, name, causes))


def forbidden(group: str, resource: str, name: str, why: str) -> ApiError:
    what = target(group, resource) + (f' "{name}"' if name else "")
    return ApiError(403, "Forbidden", f"{what} is forbidden: {why}", _details(group, resource, name))


def unsupported_media(accepted: Sequence[str]) -> ApiError:
    text = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", text)


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def rejected() -> ApiError:
    """A JSON patch whose ``test`` fails or whose path is not there."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request")


def required(field: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value: {detail}" if detail else "Required value", field)


def wrong(field: str, value: str, why: str) -> Cause:
    """``value`` as it is to be printed: JSON of what was given."""
    return Cause("FieldValueInvalid", f"Invalid value: {value}: {why}", field)
