"""What fields a kind has: the shapes of built-in kinds and of custom resources, and the checks made with them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bot.integrations.kubernetes.fake_status import Cause, required, wrong

_WRITTEN = re.compile(r"^(?P<name>\w+)(?P<more>\[=\]|\[[\w,]*\]|\{\})?$")
_SCALARS = {
    "string": "string",
    "int": "integer",
    "bool": "boolean",
    "time": "string",
    "quantity": "any",
    "intstr": "any",
}
_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "object": (dict,),
    "map": (dict,),
}
_GO = {"string": "string", "integer": "int32", "boolean": "bool", "list": "[]interface {}", "map": "map[string]string"}


@dataclass(frozen=True)
class Node:
    """One place in an object. ``type``: object, map, list, string, integer, number, boolean or any.

    ``keys`` make a list one that is merged by them; ``unique`` makes it a set; neither, and it is replaced as a whole.
    ``rules`` are the OpenAPI constraints of a custom resource (enum, minimum, pattern, …).
    """

    type: str = "any"
    fields: Mapping[str, Node] = field(default_factory=dict)
    item: Node | None = None
    keys: tuple[str, ...] = ()
    unique: bool = False
    preserve: bool = False
    atomic: bool = False
    required: tuple[str, ...] = ()
    rules: Mapping[str, Any] = field(default_factory=dict)

    def child(self, name: str) -> Node | None:
        """The node of a field; None when the kind does not have it."""
        if name in self.fields:
            return self.fields[name]
        if self.type == "map":
            return self.item
        return ANY if self.preserve or self.type == "any" else None


ANY = Node(preserve=True)


@cache
def _written() -> dict[str, dict[str, str]]:
    with Path(__file__).with_name("schemas.yaml").open(encoding="utf-8") as file:
        loaded: dict[str, dict[str, str]] = yaml.safe_load(file)
    return loaded


@cache
def _named(text: str) -> Node:
    """A node from the short notation of schemas.yaml."""
    match = _WRITTEN.match(text)
    if match is None:
        raise ValueError(f"schemas.yaml: cannot read {text!r}")
    more = match["more"]
    if more is None:
        name = match["name"]
        if name == "any":
            return ANY
        if name in _SCALARS:
            return Node(_SCALARS[name])
        fields = {key: _named(value) for key, value in _written()[name].items()}
        return Node("object", fields)
    item = _named(match["name"])
    if more == "{}":
        return Node("map", item=item)
    keys = () if more in ("[]", "[=]") else tuple(more[1:-1].split(","))
    return Node("list", item=item, keys=keys, unique=more == "[=]")


@cache
def builtin(kind: str) -> Node:
    """The shape of a built-in kind, metadata included."""
    top = {"apiVersion": "string", "kind": "string", "metadata": "ObjectMeta", **_written()[kind]}
    return Node("object", {key: _named(value) for key, value in top.items()})


def custom(schema: Mapping[str, Any]) -> Node:
    """The shape of a custom resource from its ``openAPIV3Schema``."""
    node = _openapi(schema)
    top = {"apiVersion": Node("string"), "kind": Node("string"), "metadata": _named("ObjectMeta")}
    return Node("object", {**node.fields, **top}, preserve=node.preserve, required=node.required, rules=node.rules)


def _openapi(schema: Mapping[str, Any]) -> Node:
    kept = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    required_fields = tuple(schema.get("required", ()))
    kind = schema.get("type", "any")
    if schema.get("x-kubernetes-int-or-string"):
        kind = "any"
    if kind == "object":
        fields = {key: _openapi(value) for key, value in (schema.get("properties") or {}).items()}
        extra = schema.get("additionalProperties")
        atomic = schema.get("x-kubernetes-map-type") == "atomic"
        if isinstance(extra, Mapping) and not fields:
            return Node("map", item=_openapi(extra), required=required_fields, rules=schema, atomic=atomic)
        kept = kept or extra is True or bool(schema.get("x-kubernetes-embedded-resource"))
        return Node("object", fields, preserve=kept, required=required_fields, rules=schema, atomic=atomic)
    if kind == "array":
        how = schema.get("x-kubernetes-list-type", "atomic")
        keys = tuple(schema.get("x-kubernetes-list-map-keys", ())) if how == "map" else ()
        return Node("list", item=_openapi(schema.get("items") or {}), keys=keys, unique=how == "set", rules=schema)
    return Node(kind, preserve=kind == "any", rules=schema)


def unknown(value: Any, node: Node, path: str = "") -> Iterator[str]:
    """The dotted paths of fields the kind does not have."""
    if isinstance(value, dict):
        for key, inner in value.items():
            at = f"{path}.{key}" if path else key
            child = node.child(key)
            if child is None:
                yield at
            else:
                yield from unknown(inner, child, at)
    elif isinstance(value, list) and node.item is not None:
        for i, inner in enumerate(value):
            yield from unknown(inner, node.item, f"{path}[{i}]")


def prune(value: Any, node: Node) -> Any:
    """The value without fields the kind does not have and, as on the wire, without nulls; defaults of the schema set."""
    if isinstance(value, dict):
        out = {}
        for key, inner in value.items():
            child = node.child(key)
            if child is not None and (inner is not None or child.rules.get("nullable") or child is ANY):
                out[key] = prune(inner, child)
        for key, child in node.fields.items():
            if "default" in child.rules and key not in out:
                out[key] = child.rules["default"]
        return out
    if isinstance(value, list):
        return [prune(inner, node.item or ANY) for inner in value]
    return value


def misfit(value: Any, node: Node, path: str = "") -> str | None:
    """The first value whose type a built-in kind cannot take, as the decoder says it; None when all fit."""
    if value is None or node.type == "any":
        return None
    if not _is(value, node.type):
        return f"json: cannot unmarshal {_json_type(value)} into Go struct field {path} of type {_go(node)}"
    inner: Iterator[tuple[Any, Node, str]] = iter(())
    if isinstance(value, dict):
        inner = ((v, node.child(k) or ANY, f"{path}.{k}") for k, v in value.items())
    elif isinstance(value, list):
        inner = ((v, node.item or ANY, path) for v in value)
    for v, child, at in inner:
        said = misfit(v, child, at)
        if said:
            return said
    return None


def _go(node: Node) -> str:
    return _GO.get(node.type, "struct")


def _is(value: Any, kind: str) -> bool:
    if kind in ("integer", "number") and isinstance(value, bool):
        return False
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _PYTHON.get(kind, (object,)))


def _json_type(value: Any) -> str:
    for name, kinds in (("bool", bool), ("number", (int, float)), ("string", str), ("array", list), ("object", dict)):
        if isinstance(value, kinds):
            return name
    return "null"


def _openapi_type(value: Any) -> str:
    for name, kinds in (("boolean", bool), ("integer", int), ("number", float), ("string", str), ("array", list)):
        if isinstance(value, kinds):
            return name
    return "object" if isinstance(value, dict) else "null"


def problems(value: Any, node: Node, path: str = "") -> Iterator[Cause]:
    """What a custom resource's schema forbids about the value."""
    if value is None and (node.rules.get("nullable") or node.type == "any"):
        return
    if node.type != "any" and not _is(value, node.type):
        want = {"list": "array", "map": "object"}.get(node.type, node.type)
        got = _openapi_type(value)
        text = f'Invalid value: "{got}": {path} in body must be of type {want}: "{got}"'
        yield Cause("FieldValueTypeInvalid", text, path)
        return
    yield from _constraints(value, node.rules, path)
    yield from _combined(value, node.rules, path)
    if isinstance(value, dict):
        for key in node.required:
            if key not in value:
                yield required(f"{path}.{key}" if path else key)
        for key, inner in value.items():
            child = node.child(key)
            if child is not None and not (path == "" and key == "metadata"):
                yield from problems(inner, child, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        yield from _repeated(value, node, path)
        for i, inner in enumerate(value):
            yield from problems(inner, node.item or ANY, f"{path}[{i}]")


def _repeated(value: list[Any], node: Node, path: str) -> Iterator[Cause]:
    seen: list[Any] = []
    for i, inner in enumerate(value):
        mark = inner
        if node.keys and isinstance(inner, dict):
            mark = {key: inner.get(key) for key in node.keys}
        if (node.keys or node.unique) and mark in seen:
            yield Cause("FieldValueDuplicate", f"Duplicate value: {json.dumps(mark)}", f"{path}[{i}]")
        seen.append(mark)


def _constraints(value: Any, rules: Mapping[str, Any], path: str) -> Iterator[Cause]:
    said = json.dumps(value)
    allowed = rules.get("enum")
    if allowed is not None and value not in allowed:
        known = ", ".join(json.dumps(one) for one in allowed)
        yield Cause("FieldValueNotSupported", f"Unsupported value: {said}: supported values: {known}", path)
    if isinstance(value, str):
        yield from _text(value, rules, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        low, high = rules.get("minimum"), rules.get("maximum")
        if low is not None and (value < low or (rules.get("exclusiveMinimum") and value == low)):
            yield wrong(path, said, f"{path} in body should be greater than or equal to {low}")
        if high is not None and (value > high or (rules.get("exclusiveMaximum") and value == high)):
            yield wrong(path, said, f"{path} in body should be less than or equal to {high}")
    elif isinstance(value, list | dict):
        short = "Items" if isinstance(value, list) else "Properties"
        most, least = rules.get(f"max{short}"), rules.get(f"min{short}")
        if most is not None and len(value) > most:
            text = f"Too many: {len(value)}: must have at most {most} items"
            yield Cause("FieldValueTooMany", text, path)
        if least is not None and len(value) < least:
            yield wrong(path, str(len(value)), f"{path} in body should have at least {least} items")


def _text(value: str, rules: Mapping[str, Any], path: str) -> Iterator[Cause]:
    most, least, pattern = rules.get("maxLength"), rules.get("minLength"), rules.get("pattern")
    if most is not None and len(value) > most:
        yield Cause("FieldValueTooLong", f"Too long: may not be more than {most} bytes", path)
    if least is not None and len(value) < least:
        yield wrong(path, json.dumps(value), f"{path} in body should be at least {least} chars long")
    if pattern is not None and not re.search(pattern, value):
        yield wrong(path, json.dumps(value), f"{path} in body should match '{pattern}'")


def _combined(value: Any, rules: Mapping[str, Any], path: str) -> Iterator[Cause]:
    def fits(schema: Mapping[str, Any]) -> bool:
        return not any(problems(value, _valued(schema), path))

    every, some, one = rules.get("allOf", ()), rules.get("anyOf", ()), rules.get("oneOf", ())
    said = json.dumps(value)
    if not all(fits(schema) for schema in every):
        yield wrong(path or "<nil>", said, "must validate all the schemas (allOf)")
    if some and not any(fits(schema) for schema in some):
        yield wrong(path or "<nil>", said, "must validate at least one schema (anyOf)")
    if one and sum(fits(schema) for schema in one) != 1:
        yield wrong(path or "<nil>", said, "must validate one and only one schema (oneOf)")
    if "not" in rules and fits(rules["not"]):
        yield wrong(path or "<nil>", said, "must not validate the schema (not)")


def _valued(schema: Mapping[str, Any]) -> Node:
    """A schema inside allOf and its kin constrains values and names no types."""
    node = _openapi({"type": "object", **schema} if "properties" in schema or "required" in schema else schema)
    return Node(node.type, node.fields, node.item, preserve=True, required=node.required, rules=node.rules)
