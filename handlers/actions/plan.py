"""One request of an action with its parameters filled in: exactly what is done, undone, looked at, and for how long."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from bot.config import nearest
from bot.errors import Refused
from handlers.actions.kinds import (
    RESTARTED_AT,
    Action,
    Call,
    Command,
    Fields,
    Http,
    Model,
    Scale,
    Where,
    length,
)
from handlers.actions.place import Spot
from handlers.actions.rules import canonical
from runbooks.kind import Filling
from runbooks.parameters import filled, filled_beside_secrets


class Plan(Model):
    """What one request does and how it is undone. It holds no secret: those are references until they are used.

    One of ``fields``, ``command`` and ``http``. ``undo``: the way back of a command or a call; fields get back what they
    had, unless ``none`` says why there is no way back. ``ttl``: seconds it stands, None: until somebody undoes it.
    """

    action: str
    fields: Fields | None = None
    command: Command | None = None
    http: Http | None = None
    undo: Command | Http | None = None
    none: str = ""
    ttl: float | None = None
    before: str = ""
    after: str = ""
    within: float = 120.0

    @property
    def spot(self) -> Spot | None:
        """Where it stands in the cluster; None for commands and calls."""
        if self.fields is None:
            return None
        return Spot(self.action, self.fields.kind, self.fields.namespace, self.fields.name, self.fields.fields)

    @property
    def call(self) -> Command | Http | None:
        return self.command or self.http

    @property
    def undoable(self) -> bool:
        return not self.none

    @property
    def lock(self) -> str:
        """What no other request may change meanwhile: the object, or what the action does by itself."""
        return self.spot.target if self.spot is not None else f"action {self.action}"

    def text(self) -> str:
        """As JSON, the same for the same plan."""
        return canonical(self.model_dump(mode="json"))

    @staticmethod
    def read(text: str) -> Plan:
        return Plan.model_validate(json.loads(text))


def parameters(name: str, action: Action, given: Mapping[str, str]) -> dict[str, str]:
    """The values of an action's own parameters. Raises Refused with the valid ones."""
    known = list(action.parameters)
    for one in given:
        if one not in known:
            raise Refused(f"`{name}` has no parameter '{one[:40]}'.{nearest(one, known)} Nothing was changed.")
    made = {}
    for one, parameter in action.parameters.items():
        value = given.get(one, parameter.default)
        if value is None:
            about = f" ({parameter.about})" if parameter.about else ""
            raise Refused(
                f"`{name}` needs {one}={about}: {_valid(parameter.choices, parameter.pattern)}. Nothing was changed."
            )
        wrong = parameter.unfit(value) or ("must not refer to anything" if "{{" in value or "${" in value else "")
        if wrong:
            raise Refused(f"{one} {wrong}, and '{value[:60]}' does not. Nothing was changed.")
        made[one] = value
    return made


def plan(name: str, action: Action, values: Mapping[str, str], environment: str, *, at: float) -> Plan:
    """The plan of a request. ``at``: UNIX s it was asked for, which is what a restart is marked with. Raises Refused."""
    known = {**values, "service": action.service, "environment": environment}
    made = action.do.made
    parts: dict[str, Any] = {
        "action": name,
        "none": action.undo.none,
        "ttl": length(action.ttl) if action.ttl else None,
    }
    parts |= {"before": action.check.before, "after": action.check.after, "within": length(action.check.within)}
    if isinstance(made, Call):
        parts[action.do.kind] = _call(made, known)
    else:
        parts["fields"] = _fields(made, known, at)
    back = action.undo.command or action.undo.http
    if back is not None:
        parts["undo"] = _call(back, known)
    try:
        return Plan(**parts)
    except ValueError as e:
        raise Refused(f"With these parameters that is nothing to change: {_first(e)}. Nothing was changed.") from e


def _fields(made: Where, known: Mapping[str, str], at: float) -> Fields:
    where = {part: filled(getattr(made, part), known) for part in ("namespace", "name")}
    if isinstance(made, Fields):
        fields = {path: filled(value, known) for path, value in made.fields.items()}
    elif isinstance(made, Scale):
        said = str(filled(made.replicas, known))
        if not said.isdigit() or len(said) > 4:
            raise Refused(f"replicas must be a whole number from 0 to 9999, not '{said[:20]}'. Nothing was changed.")
        fields = {"spec.replicas": int(said)}
    else:
        fields = {RESTARTED_AT: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))}
    return _valid_fields({"kind": made.kind, **where, "fields": fields})


def _valid_fields(values: Mapping[str, Any]) -> Fields:
    try:
        return Fields(**values)
    except ValueError as e:
        raise Refused(f"With these parameters that is no object: {_first(e)}. Nothing was changed.") from e


def _call(made: Call, known: Mapping[str, str]) -> Call:
    try:
        return _filled_call(made, known)
    except ValueError as e:
        raise Refused(f"With these parameters it cannot be done: {e}. Nothing was changed.") from e


def _filled_call(made: Call, known: Mapping[str, str]) -> Call:
    if isinstance(made, Command):
        argv, env = filled(list(made.argv), known, Filling.SHELL), filled_beside_secrets(dict(made.env), known)
        return made.model_copy(update={"argv": tuple(argv), "env": env})
    assert isinstance(made, Http)
    quoted = {name: json.dumps(value, ensure_ascii=False)[1:-1] for name, value in known.items()}
    told = {
        "url": _address(filled(made.url, known, Filling.URL)),
        "headers": filled_beside_secrets(dict(made.headers), known),
    }
    return made.model_copy(update=told | {"body": filled(made.body, quoted)})


def _address(url: str) -> str:
    """Raises Refused where a parameter would lead to another path: whoever sends it takes the steps of . and .. away."""
    parts = unquote(urlsplit(url).path).replace("\\", "/").split("/")
    if "." in parts or ".." in parts:
        raise Refused(f"'{url[:200]}' would lead to another path: none of its steps is . or .. . Nothing was changed.")
    return url


def _valid(choices: tuple[str, ...], pattern: str) -> str:
    return f"one of {', '.join(choices)}" if choices else f"what matches {pattern}"


def _first(problem: ValueError) -> str:
    if isinstance(problem, ValidationError):
        return str(problem.errors()[0]["msg"]).removeprefix("Value error, ")
    return str(problem)
