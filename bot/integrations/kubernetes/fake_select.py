"""Label and field selectors, as they stand in a URL and in a spec."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bot.integrations.kubernetes.fake_status import bad_request

Match = Callable[[Mapping[str, Any]], bool]

_TERM = re.compile(r"\s*(?:(?P<key>[\w./-]+)\s+(?P<how>in|notin)\s*\((?P<of>[^)]*)\)|(?P<plain>[^,(]+))\s*(?:,|$)")
_PLAIN = re.compile(r"^(?P<key>[\w./-]+)\s*(?P<how>==|!=|=)\s*(?P<value>[\w.-]*)$")
FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "reason",
        "type",
        "source",
        "reportingComponent",
    ),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "nodes": ("spec.unschedulable",),
    "jobs": ("status.successful",),
}


def labels(text: str) -> Match:
    """Raises ApiError 400 for a selector that cannot be read."""
    terms: list[Match] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None or found.end() == at:
            raise bad_request(f"unable to parse requirement: found '{text[at:]}'")
        at = found.end()
        if found["how"]:
            values = {one.strip() for one in found["of"].split(",")}
            terms.append(_among(found["key"], values, inside=found["how"] == "in"))
        else:
            terms.append(_plain(found["plain"].strip()))
    return lambda body: all(term(_labels(body)) for term in terms)


def _labels(body: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (body.get("metadata") or {}).get("labels") or {}
    return found


def _among(key: str, values: set[str], *, inside: bool) -> Match:
    if inside:
        return lambda have: have.get(key) in values
    return lambda have: have.get(key) not in values


def _plain(text: str) -> Match:
    found = _PLAIN.match(text)
    if found is not None:
        return _among(found["key"], {found["value"]}, inside=found["how"] != "!=")
    key = text.removeprefix("!").strip()
    if not re.fullmatch(r"[\w./-]+", key):
        raise bad_request(f"unable to parse requirement: found '{text}'")
    if text.startswith("!"):
        return lambda have: key not in have
    return lambda have: key in have


def fields(text: str, allowed: Iterable[str]) -> Match:
    """Raises ApiError 400 for a field this kind cannot be selected by."""
    known = {"metadata.name", "metadata.namespace", *allowed}
    terms: list[Match] = []
    for part in filter(None, text.split(",")):
        found = re.match(r"^(?P<key>[\w.]+)(?P<how>==|!=|=)(?P<value>.*)$", part)
        if found is None:
            raise bad_request(f"invalid field selector: '{part}'; can't understand '{part}'")
        if found["key"] not in known:
            raise bad_request(f"field label not supported: {found['key']}")
        terms.append(_field(found["key"].split("."), found["value"], same=found["how"] != "!="))
    return lambda body: all(term(body) for term in terms)


def _field(path: list[str], value: str, *, same: bool) -> Match:
    def match(body: Mapping[str, Any]) -> bool:
        at: Any = body
        for part in path:
            at = at.get(part) if isinstance(at, Mapping) else None
        have = "" if at is None else str(at).lower() if isinstance(at, bool) else str(at)
        return (have == value) is same

    return match


def selects(selector: Mapping[str, Any], have: Mapping[str, str]) -> bool:
    """Whether a ``LabelSelector`` of a spec takes an object with these labels."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if have.get(key) != value:
            return False
    for need in selector.get("matchExpressions") or ():
        key, how, values = need["key"], need["operator"], need.get("values") or ()
        fits = {
            "In": have.get(key) in values,
            "NotIn": have.get(key) not in values,
            "Exists": key in have,
            "DoesNotExist": key not in have,
        }[how]
        if not fits:
            return False
    return True
