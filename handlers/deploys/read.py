"""Reads a deploy as docs/deploys.md tells its form, and says who may tell of one."""

from __future__ import annotations

import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.config import nearest
from bot.grammar import plain
from handlers.alerts import payload
from handlers.alerts.payload import BadPayload
from handlers.catalogue import Service
from handlers.deploys import rules
from handlers.deploys.kinds import Status, Told

FIELDS = ("service", "environment", "version", "image", "revision", "status", "by", "url", "id", "at", "why")
TELLABLE = (Status.STARTED.value, Status.SUCCEEDED.value, Status.FAILED.value)
CI = {"success": "succeeded", "failure": "failed", "cancelled": "failed", "canceled": "failed", "running": "started"}
"""What CI calls the same; `job.status` of GitHub Actions and `CI_JOB_STATUS` of GitLab can be sent as they are."""
LONGEST = 300
"""Characters of one field that are kept."""
LONGEST_URL = 1000
MOST_NOTES = 10


@dataclass(frozen=True)
class Heard:
    """What a body told, or nothing where it told of no deploy. ``notes``: what was not understood of it, or why it is nothing."""

    told: Told | None
    notes: tuple[str, ...] = ()


def signed(body: bytes, header: str, secret: str) -> bool:
    """True when GitHub's X-Hub-Signature-256 is of this body and our secret; compared in constant time."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = header.strip().lower().encode("utf-8", "replace")
    return bool(secret) and hmac.compare_digest(expected.encode(), given)


def parsed(body: bytes, content_type: str) -> Mapping[str, Any]:
    """The JSON object of a body, which GitHub may have put into a form's field. Raises BadPayload."""
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        form = urllib.parse.parse_qs(body.decode("utf-8", "replace"), max_num_fields=20)
        body = (form.get("payload") or [""])[0].encode("utf-8", "replace")
    data = payload.parsed(body)
    if not isinstance(data, dict):
        raise BadPayload(400, f"the body must be a JSON object, not {type(data).__name__}")
    try:
        cleaned: Mapping[str, Any] = _clean(data)
    except RecursionError as e:
        raise BadPayload(400, "the body is nested too deeply") from e
    return cleaned


def _clean(value: Any) -> Any:
    """The same with every text, names of fields too, such that a database takes it and an answer can repeat it."""
    if isinstance(value, dict):
        return {plain(str(name)): _clean(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_clean(one) for one in value]
    return plain(value) if isinstance(value, str) else value


def read(data: Mapping[str, Any], services: Mapping[str, Service], *, now: float) -> Heard:
    """Read one deploy in our own form. Raises BadPayload with what is wrong with it."""
    service, ident, status = text(data, "service"), text(data, "id"), text(data, "status").lower()
    known(service, services)
    given, status = status, CI.get(status, status)
    if status not in TELLABLE:
        close = nearest(status, list(TELLABLE)) if status else f" Valid: {', '.join(TELLABLE)}."
        raise BadPayload(422, f"'status' must say where the deploy stands, not '{status[:40]}'.{close}")
    if not ident:
        why = "such as your CI's run, the same in each of its statuses: it is how one told twice is known for one"
        raise BadPayload(422, f"'id' is missing: what you call this deploy, {why}")
    image, revision = text(data, "image"), text(data, "revision")
    version = text(data, "version") or rules.tag_of(image) or revision[:12]
    if not version:
        raise BadPayload(422, "'version' is missing, and neither 'image' nor 'revision' says what was deployed")
    environment = text(data, "environment") or services[service].environment
    told = Told(
        key_of("webhook", service, environment, ident),
        "webhook",
        "webhook",
        service,
        environment,
        status,
        rules.believed(instant(data.get("at"), "at"), now),
        version,
        image,
        revision,
        by=text(data, "by"),
        url=address(text(data, "url", LONGEST_URL)),
        why=text(data, "why") or (given if given.startswith("cancel") else ""),
    )
    notes = [f"'{str(one)[:40]}' is not known here.{nearest(str(one)[:40], list(FIELDS))}" for one in _unknown(data)]
    if data.get("url") and not told.url:
        notes.append("'url' is left out: it is no https:// or http:// address")
    return Heard(told, tuple(notes))


def _unknown(data: Mapping[str, Any]) -> Sequence[str]:
    return [name for name in data if name not in FIELDS][:MOST_NOTES]


def known(service: str, services: Mapping[str, Service], more: str = "Add it there") -> None:
    """Raises BadPayload when it is no service of the catalogue; ``more`` says what else to do."""
    if not service:
        raise BadPayload(422, "'service' is missing: the name of a service of captain.yml")
    if service not in services:
        close = nearest(service, list(services))
        raise BadPayload(422, f"the service '{service[:80]}' is not in captain.yml.{close} {more}")


def text(data: Mapping[str, Any], name: str, most: int = LONGEST) -> str:
    """A field that is a text or a number, in one line and cut; empty when it is not there. Raises BadPayload."""
    value = data.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadPayload(422, f"'{name}' must be a string, not {type(value).__name__}")
    return line(str(value), most)


def line(value: str, most: int = LONGEST) -> str:
    """Text from outside as one line that every database takes, cut."""
    return " ".join(plain(value[: most * 4]).split())[:most]


def instant(value: Any, name: str) -> float | None:
    """UNIX s of an RFC 3339 time; None when it is not told. Raises BadPayload."""
    try:
        found = payload.instant(value, name)
    except (ValueError, OverflowError) as e:
        raise BadPayload(422, str(e)) from e
    return None if found is None else found / 1e6


def address(url: str) -> str:
    """An address that a browser opens and that a link can hold, or nothing."""
    fits = url.startswith(("https://", "http://")) and not any(one in url for one in "|<> ")
    return url if fits else ""


def key_of(*parts: str) -> str:
    """What a deploy is called here, however long its teller's names are."""
    return f"{parts[0]}:{hashlib.sha256(chr(31).join(parts).encode()).hexdigest()[:32]}"
