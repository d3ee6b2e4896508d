"""The three patches that are not apply: JSON patch (RFC 6902), merge patch (RFC 7396) and strategic merge."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from bot.integrations.kubernetes.fake_schema import ANY, Node
from bot.integrations.kubernetes.fake_status import ApiError, bad_request, rejected

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def patched(kind: str, body: Mapping[str, Any], patch: Any, node: Node) -> dict[str, Any]:
    """The body after a patch of the named media type; it is not changed in place. Raises ApiError 400 or 422."""
    if kind == JSON_PATCH:
        return _json_patch(body, patch)
    if not isinstance(patch, dict):
        what = "array" if isinstance(patch, list) else "value"
        said = f"json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding patch: {said}")
    out = merge_patch(body, patch) if kind == MERGE_PATCH else strategic(body, patch, node)
    if not isinstance(out, dict):
        raise bad_request("error decoding patch: the patched object is not an object")
    return out


def merge_patch(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge_patch(out.get(key), value)
    return out


def strategic(target: Any, patch: Any, node: Node) -> Any:
    """Merge with the kind's own list keys; ``$patch``, ``$retainKeys`` and ``$deleteFromPrimitiveList`` obeyed."""
    if not isinstance(patch, dict):
        return _strategic_list(target, patch, node) if isinstance(patch, list) else copy.deepcopy(patch)
    patch = dict(patch)
    directive = patch.pop("$patch", None)
    if directive == "replace":
        return copy.deepcopy(patch)
    if directive == "delete":
        return {}
    out = dict(target) if isinstance(target, dict) else {}
    retained = patch.pop("$retainKeys", None)
    if retained is not None:
        out = {key: value for key, value in out.items() if key in retained}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            out[name] = [item for item in out.get(name, ()) if item not in value]
        elif key.startswith("$setElementOrder/"):
            continue
        elif value is None:
            out.pop(key, None)
        else:
            out[key] = strategic(out.get(key), value, node.child(key) or ANY)
    return _ordered(out, patch, node)


def _ordered(out: dict[str, Any], patch: Mapping[str, Any], node: Node) -> dict[str, Any]:
    for key, order in patch.items():
        if not key.startswith("$setElementOrder/"):
            continue
        name = key.partition("/")[2]
        by = (node.child(name) or ANY).keys
        marks = [item[by[0]] if by and isinstance(item, dict) else item for item in order]

        def rank(item: Any, by: tuple[str, ...] = by, marks: Sequence[Any] = marks) -> int:
            mark = item[by[0]] if by and isinstance(item, dict) else item
            return marks.index(mark) if mark in marks else len(marks)

        if name in out:
            out[name] = sorted(out[name], key=rank)
    return out


def _strategic_list(target: Any, patch: list[Any], node: Node) -> list[Any]:
    live = list(target) if isinstance(target, list) else []
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [copy.deepcopy(item) for item in patch if not (isinstance(item, dict) and "$patch" in item)]
    if node.unique:
        return [*live, *(item for item in patch if item not in live)]
    if not node.keys:
        return copy.deepcopy(patch)
    key = node.keys[0]
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item!r} does not contain declared merge key: {key}")
        at = next((i for i, one in enumerate(live) if one.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del live[at]
        elif at is None:
            live.append(strategic({}, item, node.item or ANY))
        else:
            live[at] = strategic(live[at], item, node.item or ANY)
    return live


def _json_patch(body: Mapping[str, Any], patch: Any) -> dict[str, Any]:
    if not isinstance(patch, list):
        said = "json: cannot unmarshal object into Go value of type jsonpatch.Patch"
        raise bad_request(f"error decoding patch: {said}")
    doc: Any = copy.deepcopy(dict(body))
    for op in patch:
        if not isinstance(op, dict) or "op" not in op or "path" not in op:
            raise bad_request("error decoding patch: an operation needs op and path")
        doc = _operate(doc, op)
    if not isinstance(doc, dict):
        raise rejected()
    return doc


def _operate(doc: Any, op: Mapping[str, Any]) -> Any:
    path = _pointer(str(op["path"]))
    match op["op"]:
        case "test":
            if _at(doc, path) != op.get("value"):
                raise rejected()
            return doc
        case "add":
            return _add(doc, path, copy.deepcopy(op.get("value")))
        case "replace":
            _at(doc, path)
            return _set(doc, path, copy.deepcopy(op.get("value")))
        case "remove":
            return _drop(doc, path)
        case "move":
            source = _pointer(str(op.get("from", "")))
            value = _at(doc, source)
            return _add(_drop(doc, source), path, value)
        case "copy":
            return _add(doc, path, copy.deepcopy(_at(doc, _pointer(str(op.get("from", ""))))))
        case other:
            raise ApiError(400, "BadRequest", f"Unexpected kind: {other}")


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise rejected()
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(at: list[Any], part: str, *, end: int) -> int:
    if part == "-" and end > len(at) - 1:
        return len(at)
    if not part.isdigit() or int(part) > end:
        raise rejected()
    return int(part)


def _at(doc: Any, path: Sequence[str]) -> Any:
    for part in path:
        if isinstance(doc, dict) and part in doc:
            doc = doc[part]
        elif isinstance(doc, list):
            at = _index(doc, part, end=len(doc) - 1)
            if at >= len(doc):
                raise rejected()
            doc = doc[at]
        else:
            raise rejected()
    return doc


def _add(doc: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    parent = _at(doc, path[:-1])
    if isinstance(parent, list):
        parent.insert(_index(parent, path[-1], end=len(parent)), value)
        return doc
    return _set(doc, path, value)


def _set(doc: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    parent = _at(doc, path[:-1])
    if isinstance(parent, dict):
        parent[path[-1]] = value
    elif isinstance(parent, list):
        parent[_index(parent, path[-1], end=len(parent) - 1)] = value
    else:
        raise rejected()
    return doc


def _drop(doc: Any, path: Sequence[str]) -> Any:
    if not path:
        return {}
    _at(doc, path)
    parent = _at(doc, path[:-1])
    if isinstance(parent, list):
        del parent[_index(parent, path[-1], end=len(parent) - 1)]
    else:
        del parent[path[-1]]
    return doc
