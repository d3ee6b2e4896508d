"""The fields of one object that an action changes: what the object says of them, and what to apply so that they change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot.integrations.kubernetes import ObjectRef
from handlers.actions.kinds import KINDS, Fields, Where, steps
from handlers.actions.rules import canonical
from handlers.flags import rules as flag_rules
from handlers.flags.kinds import MANAGER, owns, taken
from handlers.flags.rules import Mark, Seen, Way, read_mark
from runbooks.kind import Filling
from runbooks.parameters import references

PREFIX = "release-captain/action."
SHOWN = 40
"""Lines of a diff that are shown."""
LONGEST = 300
"""Characters of a value that are shown: more than any parameter's, for somebody agrees to what they read."""


@dataclass(frozen=True)
class SeenFields(Seen):
    """What an object says of an action's fields. ``value``: JSON of them all.

    ``mine``: those that our manager owns; ``shared``: those that another owns, who for one of ours asked for the same.
    """

    mine: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    plain: bool = True
    """Whether every field is text, a number, true, false or not there: nothing else can be put back whole."""


@dataclass(frozen=True)
class Spot:
    """Where one request of an action stands, with all that is needed to look at it and to write it, as flags have it."""

    action: str
    kind: str
    namespace: str
    name: str
    fields: Mapping[str, Any]

    @property
    def ref(self) -> ObjectRef:
        kind = KINDS[self.kind]
        return ObjectRef(kind.api_version, kind.plural, self.name, self.namespace)

    @property
    def target(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def on(self) -> str:
        """JSON of the fields as they are wanted."""
        return canonical(dict(self.fields))

    @property
    def part(self) -> str:
        """The field manager's own name: of this action and these fields, so that nothing else is taken away."""
        paths = hashlib.sha256("\0".join(sorted(self.fields)).encode()).hexdigest()[:8]
        return f"action.{self.action}.{paths}"

    @property
    def annotation(self) -> str:
        return PREFIX + self.action

    def seen(self, found: Mapping[str, Any] | None) -> SeenFields:
        """What the object says, as ``Cluster.get`` or ``apply`` gives it."""
        if found is None:
            return SeenFields()
        meta = found["metadata"]
        values = {path: _at(found, steps(path)) for path in self.fields}
        managed = meta.get("managedFields") or ()
        mine = f"{MANAGER}-{self.part}"
        owners = {path: {one["manager"] for one in managed if owns(one, steps(path))} for path in self.fields}
        held = tuple(sorted(path for path, who in owners.items() if mine in who))
        return SeenFields(
            there=True,
            value=canonical(values),
            mark=read_mark((meta.get("annotations") or {}).get(self.annotation)),
            held=len(held) == len(self.fields),
            rivals=tuple(sorted(set().union(*owners.values()) - {mine})),
            uid=str(meta["uid"]),
            version=str(meta["resourceVersion"]),
            taken=taken(meta, self.annotation, [steps(path) for path in self.fields]),
            mine=held,
            shared=tuple(sorted(path for path, who in owners.items() if who - {mine})),
            plain=all(not isinstance(value, dict | list) for value in values.values()),
        )

    def body(self, seen: Seen, value: str | None, mark: Mark | None = None) -> dict[str, Any]:
        """What to apply so that the fields hold ``value`` (JSON; null: is not there, unless another asks for it) and the mark.

        It names the object and the version that were seen: what has changed since refuses it, and nothing is created.
        """
        body: dict[str, Any] = {
            "kind": KINDS[self.kind].kind,
            "metadata": {"uid": seen.uid, "resourceVersion": seen.version},
        }
        if mark is not None:
            body["metadata"]["annotations"] = {self.annotation: mark.text()}
        for path, wanted in json.loads(value or "{}").items():
            if wanted is not None:
                *way, last = steps(path)
                inner = body
                for step in way:
                    inner = inner.setdefault(step, {})
                inner[last] = wanted
        return body

    def changes(self, seen: Seen) -> Spot:
        """The same for those fields alone that do not hold what is wanted already: the others are nobody's change."""
        there = json.loads(seen.value or "{}")
        return replace(self, fields={path: value for path, value in self.fields.items() if there.get(path) != value})

    def way(self, seen: SeenFields, uid: str) -> Way:
        """How the object goes back after the request ``uid``: whatever still stands as we have set it, and that alone."""
        if seen.there and seen.ours(uid, self.on):
            return Way.RESTORE if self.ours(seen) else Way.LEAVE
        return flag_rules.way_back(seen, uid, on=self.on)

    def ours(self, seen: SeenFields) -> tuple[str, ...]:
        """The fields that stand as we have set them, and that nobody else asks for."""
        there = json.loads(seen.value or "{}")
        return tuple(
            path for path, value in self.fields.items() if there.get(path) == value and path not in seen.shared
        )

    def restored(self, seen: SeenFields, values: Mapping[str, Any]) -> str:
        """What to apply so that our fields hold ``values``, and the others stay as they are."""
        kept = json.loads(self.kept(seen) or "{}")
        return canonical(kept | {path: values.get(path) for path in self.ours(seen)})

    @staticmethod
    def kept(seen: Seen) -> str | None:
        """The values to name in an apply that is to leave the fields as they are: what a manager owns and leaves out, goes."""
        if not isinstance(seen, SeenFields) or seen.value is None:
            return None
        return canonical({path: value for path, value in json.loads(seen.value).items() if path in seen.mine})


def named(action: str, made: object) -> Spot | None:
    """Where an action stands that no parameter moves elsewhere; its fields without the values they get. None for others."""
    if not isinstance(made, Where) or any(references([made.namespace, made.name], Filling.PLAIN)):
        return None
    paths = list(made.fields) if isinstance(made, Fields) else ["spec.replicas"]
    return Spot(action, made.kind, made.namespace, made.name, dict.fromkeys(paths))


def _at(found: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def diff(before: Mapping[str, Any], after: Mapping[str, Any], ours: str) -> list[str]:
    """What differs between an object and what the server says it would become, a line a field; not what each write changes.

    ``ours``: the annotation with our mark.
    """
    was, will = dict(_leaves(before, ())), dict(_leaves(after, ()))
    lines = []
    for path in sorted(was.keys() | will.keys()):
        if path[:2] in _NOISE or path[0] == "status" or path == ("metadata", "annotations", ours):
            continue
        if was.get(path) != will.get(path):
            lines.append(f"{_said(path)}: {_value(was.get(path))} → {_value(will.get(path))}")
    return lines if len(lines) <= SHOWN else [*lines[: SHOWN - 1], f"and {len(lines) - SHOWN + 1} fields more"]


_NOISE = tuple(("metadata", name) for name in ("managedFields", "resourceVersion", "generation"))


def _leaves(value: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and value:
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, str(key)))]
    return [(path, value)] if path else []


def _said(path: tuple[str, ...]) -> str:
    return "".join(f"[{step}]" if "." in step or "/" in step else f".{step}" for step in path).lstrip(".")


def _value(value: Any) -> str:
    said = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"
