"""Who owns which field: the leaves of an object, the managers of each, and server-side apply between them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.integrations.kubernetes.fake_schema import ANY, Node
from bot.integrations.kubernetes.fake_status import ApiError

Step = tuple[str, Any]
"""("f", field name), ("k", ((key, value), …)) for a list item found by keys, or ("v", value as JSON) in a set."""
Path = tuple[Step, ...]

MISSING = object()
_UNOWNED_TOP = ("apiVersion", "kind")
_UNOWNED_META = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
]
_KEY_DEFAULTS = {"protocol": "TCP"}


@dataclass(frozen=True)
class Ownership:
    """One manager's entry: ``operation`` Apply or Update, ``time`` as RFC 3339, ``fields`` the leaves it owns."""

    manager: str
    operation: str
    api_version: str
    time: str
    subresource: str
    fields: frozenset[Path]

    def same_writer(self, other: Ownership) -> bool:
        mine = (self.manager, self.operation, self.subresource)
        return mine == (other.manager, other.operation, other.subresource)

    def wire(self) -> dict[str, Any]:
        """As it stands in ``metadata.managedFields``."""
        out = {"manager": self.manager, "operation": self.operation, "apiVersion": self.api_version, "time": self.time}
        out2: dict[str, Any] = {**out, "fieldsType": "FieldsV1", "fieldsV1": _encode(self.fields)}
        if self.subresource:
            out2["subresource"] = self.subresource
        return out2


def from_wire(entry: Mapping[str, Any]) -> Ownership:
    fields = frozenset(_decode(entry["fieldsV1"], ()))
    name, operation, version, when = (entry[k] for k in ("manager", "operation", "apiVersion", "time"))
    return Ownership(name, operation, version, when, entry.get("subresource", ""), fields)


def _encode(paths: Iterable[Path]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for path in sorted(paths, key=repr):
        at = out
        for step in path:
            at = at.setdefault(_step_text(step), {})
        if path and path[-1][0] == "k":
            at["."] = {}
    return out


def _step_text(step: Step) -> str:
    how, what = step
    if how == "k":
        return "k:" + json.dumps(dict(what), separators=(",", ":"))
    return f"{how}:{what}"


def _decode(at: Mapping[str, Any], path: Path) -> Iterable[Path]:
    for text, inner in at.items():
        if text == ".":
            yield path
            continue
        how, _, rest = text.partition(":")
        step: Step = (how, tuple(sorted(json.loads(rest).items()))) if how == "k" else (how, rest)
        if inner:
            yield from _decode(inner, (*path, step))
        else:
            yield (*path, step)


def leaves(body: Mapping[str, Any], node: Node) -> dict[Path, Any]:
    """Every ownable leaf of an object with its value."""
    out: dict[Path, Any] = {}
    for key, value in body.items():
        if key in _UNOWNED_TOP:
            continue
        kept = {k: v for k, v in value.items() if k not in _UNOWNED_META} if key == "metadata" else value
        if key == "metadata" and not kept:
            continue
        _leaves(kept, node.child(key) or ANY, (("f", key),), out)
    return out


def _leaves(value: Any, node: Node, path: Path, out: dict[Path, Any]) -> None:
    if isinstance(value, dict) and value and not node.atomic:
        for key, inner in value.items():
            _leaves(inner, node.child(key) or ANY, (*path, ("f", key)), out)
    elif isinstance(value, list) and value and node.keys:
        for item in value:
            at = (*path, ("k", item_keys(item, node)))
            out[at] = None
            for key, inner in item.items():
                _leaves(inner, (node.item or ANY).child(key) or ANY, (*at, ("f", key)), out)
    elif isinstance(value, list) and value and node.unique:
        for item in value:
            out[*path, ("v", json.dumps(item))] = None
    else:
        out[path] = value


def item_keys(item: Mapping[str, Any], node: Node) -> tuple[tuple[str, Any], ...]:
    """The keys by which an item of a merged list is known, sorted."""
    return tuple(sorted((key, item.get(key, _KEY_DEFAULTS.get(key))) for key in node.keys))


def changed(before: Mapping[Path, Any], after: Mapping[Path, Any]) -> set[Path]:
    """Leaves that were added, removed or have another value; filling what was empty is no change of the empty."""
    both = before.keys() | after.keys()
    found = {path for path in both if before.get(path, MISSING) != after.get(path, MISSING)}
    filled = _prefixes(after)
    return {path for path in found if not (path in filled and before.get(path) in ({}, []))}


def _prefixes(paths: Iterable[Path]) -> set[Path]:
    """Every path that has one of these inside."""
    return {path[:i] for path in paths for i in range(1, len(path))}


def updated(
    owners: Sequence[Ownership], before: Mapping[Path, Any], after: Mapping[Path, Any], writer: Ownership
) -> tuple[Ownership, ...]:
    """The owners after a plain write: the writer owns what it changed, nobody owns what is gone."""
    touched = changed(before, after)
    taken = frozenset(path for path in touched if path in after)
    there = after.keys() | _prefixes(after)
    out: list[Ownership] = []
    found = False
    for one in owners:
        if one.same_writer(writer):
            found = True
            kept = (one.fields & there) | taken
            moved = kept != one.fields
            one = replace(one, fields=kept, time=writer.time if moved else one.time, api_version=writer.api_version)  # noqa: PLW2901
        else:
            one = replace(one, fields=(one.fields - touched) & there)  # noqa: PLW2901
        if one.fields:
            out.append(one)
    if not found and taken:
        out.append(replace(writer, fields=taken))
    return tuple(out)


def apply(
    live: Mapping[str, Any],
    owners: Sequence[Ownership],
    config: Mapping[str, Any],
    node: Node,
    writer: Ownership,
    *,
    force: bool,
) -> tuple[dict[str, Any], tuple[Ownership, ...]]:
    """Server-side apply of ``config`` on ``live``; the object and its owners as they then are.

    Raises ApiError 409 when another manager owns a field with another value and ``force`` is not set.
    """
    wanted = leaves(config, node)
    before = leaves(live, node)
    merged = merge(live, config, node)
    touched = changed(before, leaves(merged, node))
    others = [one for one in owners if not one.same_writer(writer)]
    clashes = [(one, sorted(one.fields & touched, key=repr)) for one in others if one.fields & touched]
    if clashes and not force:
        raise _conflict(clashes)
    others = [replace(one, fields=one.fields - touched) for one in others]
    mine = next((one for one in owners if one.same_writer(writer)), None)
    if mine is not None:
        held = frozenset[Path]().union(*(one.fields for one in others))
        kept = held | wanted.keys()
        inside = _prefixes(kept)
        for path in sorted(mine.fields - kept - inside, key=len):  # an item before what is in it
            _remove(merged, path, node, kept)
    after = leaves(merged, node)
    there = after.keys() | _prefixes(after)
    fields = frozenset(wanted)
    if mine is not None and mine.fields == fields and mine.api_version == writer.api_version:
        writer = mine
    result = [replace(one, fields=one.fields & there) for one in others]
    entries = [*(one for one in result if one.fields), replace(writer, fields=fields)]
    order = {(o.manager, o.operation, o.subresource): i for i, o in enumerate(owners)}
    entries.sort(key=lambda o: order.get((o.manager, o.operation, o.subresource), len(order)))
    return merged, tuple(one for one in entries if one.fields)


def _conflict(clashes: Sequence[tuple[Ownership, Sequence[Path]]]) -> ApiError:
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {_who(one)}", "field": said(path)}
        for one, paths in clashes
        for path in paths
    ]
    if len(causes) == 1:
        text = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        blocks = [
            f"conflicts with {_who(one)}:\n" + "\n".join(f"- {said(path)}" for path in paths) for one, paths in clashes
        ]
        text = f"Apply failed with {len(causes)} conflicts: " + "\n".join(blocks)
    return ApiError(409, "Conflict", text, {"causes": causes})


def _who(one: Ownership) -> str:
    text = json.dumps(one.manager)
    if one.subresource:
        text += f" with subresource {json.dumps(one.subresource)}"
    if one.operation == "Update":
        text += f" using {one.api_version}"
    return text


def said(path: Path) -> str:
    """A path as conflicts name it: ``.spec.ports[port=80,protocol="TCP"].name``."""
    out = ""
    for how, what in path:
        if how == "f":
            out += f".{what}"
        elif how == "k":
            out += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in what) + "]"
        else:
            out += f"[={what}]"
    return out


def merge(live: Any, config: Any, node: Node) -> Any:
    """``config`` laid over ``live``: maps and keyed lists field by field, everything else as a whole."""
    if isinstance(live, dict) and isinstance(config, dict) and not node.atomic:
        out = dict(live)
        for key, value in config.items():
            child = node.child(key) or ANY
            out[key] = merge(live[key], value, child) if key in live else copy.deepcopy(value)
        return out
    if isinstance(live, list) and isinstance(config, list) and node.keys:
        items = {item_keys(item, node): item for item in live}
        for item in config:
            mark = item_keys(item, node)
            items[mark] = merge(items[mark], item, node.item or ANY) if mark in items else copy.deepcopy(item)
        return list(items.values())
    if isinstance(live, list) and isinstance(config, list) and node.unique:
        return [*live, *(item for item in config if item not in live)]
    return copy.deepcopy(config)


def _remove(at: Any, path: Path, node: Node, kept: frozenset[Path], gone: int = 0) -> bool:
    """Take one leaf out of a nested value; True when the value is empty afterwards and nobody keeps it as it is.

    ``gone``: how many steps of the path lead to ``at``.
    """
    (how, what), last = path[gone], gone + 1 == len(path)
    if how == "f":
        if not isinstance(at, dict) or what not in at:
            return False
        at[what] = copy.copy(at[what])
        if last or _remove(at[what], path, node.child(what) or ANY, kept, gone + 1):
            del at[what]
    elif not isinstance(at, list):
        return False
    elif how == "v":
        at[:] = [item for item in at if json.dumps(item) != what]
    else:
        i = next((i for i, item in enumerate(at) if item_keys(item, node) == what), None)
        if i is None:
            return False
        if last:
            del at[i]
        elif path[gone + 1] not in {("f", key) for key in node.keys}:  # what an item is known by stays with it
            at[i] = copy.copy(at[i])
            _remove(at[i], path, node.item or ANY, kept, gone + 1)
    return not at and path[:gone] not in kept
