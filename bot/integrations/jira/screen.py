"""What a project's create screen takes, and our settings in the shapes it wants: pure, given Jira's createmeta."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.integrations.jira import Ticket, TicketRules, places

CHOSEN = ("option", "priority", "securitylevel", "version", "component", "resolution")
"""Kinds of which the screen lists the values there are."""
GIVEN = ("summary", "description", "project", "issuetype", "labels", "reporter")
"""Fields that every ticket of ours has, or that Jira fills in."""


class Unfit(Exception):
    """A value that a field does not take; the text says what it takes."""


@dataclass(frozen=True)
class Screen:
    """A create screen. ``fields``: id → Jira's description of it."""

    project: str
    issue_type: str
    fields: Mapping[str, Mapping[str, Any]]
    cloud: bool

    def field(self, name: str) -> str | None:
        """The id of a field that is named by id or, in any case of its letters, by name."""
        if name in self.fields:
            return name
        found = [ident for ident, one in self.fields.items() if str(one.get("name", "")).lower() == name.lower()]
        return found[0] if len(found) == 1 else None


def values(screen: Screen, ask: Ticket) -> tuple[dict[str, Any], list[str]]:
    """The configured fields as Jira takes them, and what does not fit, each as a sentence."""
    wanted: dict[str, tuple[str, Any]] = {f"jira.fields.{name}": (name, given) for name, given in ask.fields.items()}
    if ask.components:
        wanted["jira.components"] = ("components", list(ask.components))
    if ask.security:
        wanted["jira.security_level"] = ("security", ask.security)
    made: dict[str, Any] = {}
    wrong = []
    for setting, (name, given) in wanted.items():
        ident = screen.field(name)
        if ident is None:
            wrong.append(f"{setting}: {_no_field(screen, name)}")
            continue
        try:
            made[ident] = shaped(screen.fields[ident], given, cloud=screen.cloud)
        except Unfit as e:
            wrong.append(f"{setting}: {e}")
    return made, wrong


def missing(screen: Screen, rules: TicketRules) -> list[str]:
    """The fields that a new ticket must have and nobody sets."""
    set_ = {screen.field(name) for name in rules.fields}
    set_ |= {"components"} if rules.components else set()
    set_ |= {"security"} if rules.security_level else set()
    set_ |= {"priority"} if rules.priorities else set()
    return [
        f"{screen.project} wants the field '{one.get('name', ident)}' ({ident}) for a {screen.issue_type}: "
        "set it under jira.fields"
        for ident, one in screen.fields.items()
        if one.get("required") and not one.get("hasDefaultValue") and ident not in GIVEN and ident not in set_
    ]


def literal(rules: TicketRules, screen: Screen) -> list[str]:
    """What of the settings does not fit, as far as it can be told before there is an incident."""
    fields = {name: given for name, given in rules.fields.items() if not places(given)}
    ask = Ticket("", "", "", "", components=rules.components, security=rules.security_level, fields=fields)
    _, wrong = values(screen, ask)
    unknown = [name for name in rules.fields if name not in fields and screen.field(name) is None]
    return [*wrong, *(f"jira.fields.{name}: {_no_field(screen, name)}" for name in unknown)]


def shaped(field: Mapping[str, Any], given: Any, *, cloud: bool) -> Any:
    """A value in the shape its field wants. What is given as a mapping is taken as it is. Raises Unfit."""
    schema = field.get("schema") or {}
    kind, items = str(schema.get("type", "string")), str(schema.get("items", ""))
    allowed = field.get("allowedValues")
    if kind == "array":
        many = given if isinstance(given, list | tuple) else [given]
        return [_one(items, one, allowed, cloud=cloud) for one in many]
    if isinstance(given, list | tuple):
        raise Unfit("is a list, and the field takes one value")
    return _one(kind, given, allowed, cloud=cloud)


def _one(kind: str, given: Any, allowed: Sequence[Mapping[str, Any]] | None, *, cloud: bool) -> Any:
    if isinstance(given, Mapping):
        return dict(given)
    if kind in CHOSEN or allowed:
        return _chosen(kind, given, allowed)
    if kind == "number":
        try:
            return float(given)
        except (TypeError, ValueError):
            raise Unfit(f"'{given}' is no number") from None
    if kind == "user":
        return {"accountId" if cloud else "name": str(given)}
    return str(given)


def _chosen(kind: str, given: Any, allowed: Sequence[Mapping[str, Any]] | None) -> Any:
    if allowed is None:
        return {"value" if kind == "option" else "name": str(given)}
    for one in allowed:
        if str(given).lower() in (str(one.get("id")), *(str(one.get(n, "")).lower() for n in ("value", "name"))):
            return {"id": str(one["id"])}
    names = [str(one.get("value") or one.get("name")) for one in allowed]
    raise Unfit(f"'{given}' is not one of its values: {', '.join(names[:20]) or 'there are none'}")


def _no_field(screen: Screen, name: str) -> str:
    names = [str(one.get("name", ident)) for ident, one in screen.fields.items()]
    double = [ident for ident, one in screen.fields.items() if str(one.get("name", "")).lower() == name.lower()]
    if double:
        return f"{screen.project} has several fields of this name; use an id: {', '.join(double)}"
    close = difflib.get_close_matches(name, [*names, *screen.fields], n=1, cutoff=0.6)
    hint = f" Did you mean '{close[0]}'?" if close else f" It has: {', '.join(sorted(names)[:30])}."
    return f"there is no such field on the create screen of a {screen.issue_type} in {screen.project}.{hint}"
