"""The JSON Schema of a runbook's file, for editors: made of the kinds and fields that the reader itself goes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbooks.book import DEADLINE_S, PARALLEL, TIMEOUT_S
from runbooks.kind import Field, Kind, Shape
from runbooks.kinds import KINDS
from runbooks.parameters import NAME
from runbooks.read import FILE_NAME, MAX_DEADLINE_S, MAX_PARALLEL
from runbooks.rows import MAX_CHECKS, MAX_NAME, MAX_RETRIES, MAX_SUCCESSES, MAX_TIMEOUT_S, TAG
from runbooks.verdict import Severity

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_Schema = dict[str, Any]
_TEMPLATE = r"\{\{|\$\{"
_NUMBER = r"^\s*[+-]?(\d[\d_]*\.?[\d_]*|\.\d+|\.?inf)([eE][+-]?\d+)?\s*$"


def schema() -> _Schema:
    """A JSON Schema (draft 2020-12) of a runbook. What needs the whole file to judge, as needs: in a circle, is the reader's."""
    defs = {f"check {name}": _check(name, kind) for name, kind in KINDS.items()}
    return {
        "$schema": DIALECT,
        "title": "A runbook of Release Captain: checks that look and change nothing",
        "type": "object",
        "required": ["checks"],
        "additionalProperties": False,
        "properties": {
            "name": _about("What it is called; the file's name without another.", pattern=_whole(FILE_NAME.pattern)),
            "title": _about("What people read.", type="string"),
            "owners": _about("Who is asked about it.", type="array", items={"type": "string"}),
            "links": _about("Text to address.", **_mapping({"type": "string"})),
            "tags": _tags("Tags of all of its checks."),
            "parameters": _parameters(),
            "env": _about(
                "Variables of every command, as texts or references such as env:NAME or file:PATH.",
                type="object",
                propertyNames={"pattern": _whole(NAME.pattern)},
                additionalProperties=_scalar(),
            ),
            "defaults": _about(
                "What holds for every check that says nothing else.",
                type="object",
                additionalProperties=False,
                properties=_timing(),
            ),
            "deadline": _about(
                f"Seconds for the whole run; {DEADLINE_S:g} if nothing else is said.",
                type="number",
                minimum=0.1,
                maximum=MAX_DEADLINE_S,
            ),
            "parallel": _about(
                f"How many checks look at a time; {PARALLEL} if nothing else is said.",
                type="integer",
                minimum=1,
                maximum=MAX_PARALLEL,
            ),
            "checks": {"type": "array", "minItems": 1, "maxItems": MAX_CHECKS, "items": _any_check()},
        },
        "$defs": {**defs, "uses": _uses()},
    }


def _any_check() -> _Schema:
    """One entry, told apart by uses: and kind:, so that an editor speaks of the fields of that kind alone."""
    kinds = [
        {
            "if": {"required": ["kind"], "properties": {"kind": {"const": name}}, "not": {"required": ["uses"]}},
            "then": {"$ref": f"#/$defs/check {name}"},
        }
        for name in KINDS
    ]
    return {
        "type": "object",
        "properties": {"kind": {"enum": list(KINDS)}},
        "anyOf": [{"required": ["uses"]}, {"required": ["kind"]}, {"required": ["command"]}],
        "allOf": [
            *kinds,
            {
                "if": {"not": {"anyOf": [{"required": ["kind"]}, {"required": ["uses"]}]}},
                "then": {"$ref": "#/$defs/check command"},
            },
            {"if": {"required": ["uses"]}, "then": {"$ref": "#/$defs/uses"}},
        ],
    }


def _check(name: str, kind: Kind) -> _Schema:
    fields = {key: _field(field) for key, field in kind.fields.items()}
    common = {
        "name": _name(),
        "kind": _about(f"A check of kind {name}.", const=name),
        "hint": _about("What to do when it does not pass.", **_scalar()),
        "needs": _texts("Checks, or entries with uses:, that must PASS before it looks."),
        "tags": _tags("Tags to select it by."),
        "actions": _tags("Actions of captain.yml that are offered when it does not pass."),
        **_timing(),
    }
    required = ["name", *(key for key, field in kind.fields.items() if field.required)]
    return {
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "properties": {**common, **fields},
    }


def _uses() -> _Schema:
    return {
        "type": "object",
        "required": ["uses"],
        "additionalProperties": False,
        "properties": {
            "name": _name(),
            "uses": _about("A runbook of the same folder, or a shipped one, whose checks come along.", type="string"),
            "with": _about("Values of its parameters.", **_mapping({"type": ["string", "number", "boolean"]})),
            "needs": _texts("Checks, or entries with uses:, that must PASS before any of its checks looks."),
            "tags": _tags("Tags of all that comes along."),
            "severity": _about("warning: none of its checks decides the verdict.", enum=list(Severity)),
        },
    }


def _timing() -> _Schema:
    seconds = {"type": "number", "maximum": MAX_TIMEOUT_S}
    return {
        "severity": _about("Whether it decides the runbook's verdict.", enum=list(Severity)),
        "timeout": _about(f"Seconds for one look; {TIMEOUT_S:g} if nothing else is said.", minimum=0.01, **seconds),
        "retries": _about("Looks that may be no pass.", type="integer", minimum=0, maximum=MAX_RETRIES),
        "retry_delay": _about("Seconds between two looks; 1 if nothing else is said.", minimum=0, **seconds),
        "successes": _about("Passes in a row that make a pass.", type="integer", minimum=1, maximum=MAX_SUCCESSES),
        "mutex": _texts("Keys of which no two checks of the bot hold the same at once."),
        "actions": _texts("Names of actions in captain.yml that are offered when it does not pass."),
    }


def _parameters() -> _Schema:
    value = {"type": ["string", "number", "boolean", "null"]}
    full = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "description": _about("What it is.", type="string"),
            "default": _about("Its value when none is given.", **value),
            "required": _about("Whether it must be given.", type="boolean"),
            "choices": _about("All that it may be.", type="array", items={"type": ["string", "number", "boolean"]}),
        },
    }
    return _about(
        "Name to default (nothing: it must be given), or to a mapping that says more.",
        type="object",
        propertyNames={"pattern": _whole(NAME.pattern)},
        additionalProperties={"anyOf": [value, full]},
    )


def _field(field: Field) -> _Schema:
    """What a field may hold, or a text with a parameter in it where that is filled in first."""
    known: _Schema
    match field.shape:
        case Shape.TEXT:
            known = {"type": ["string", "number"]}
        case Shape.NUMBER:
            known = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": _NUMBER}]}
        case Shape.FLAG:
            known = {"enum": [True, False, "true", "false"]}
        case Shape.TEXTS:
            known = _mapping(_scalar())
        case Shape.LIST:
            one: _Schema = {"type": ["string", "number"]}
            known = {"anyOf": [one, {"type": "array", "minItems": 1, "items": one}]}
        case Shape.VALUES:
            known = {"type": "object"}
        case Shape.STATUSES:
            one = {
                "anyOf": [
                    {"type": "integer", "minimum": 100, "maximum": 599},
                    {"type": "string", "pattern": rf"^[1-5]\d\d$|{_TEMPLATE}"},
                ]
            }
            known = {"anyOf": [one, {"type": "array", "minItems": 1, "items": one}]}
        case Shape.LINE:
            words = {"type": "array", "minItems": 1, "items": _scalar()}
            known = {"anyOf": [{"type": "string", "pattern": r"\S"}, words]}
        case _:
            known = {}
    if field.choices:
        known = {"enum": list(field.choices)}
    if known.get("type") != ["string", "number"] and known:
        known = {"anyOf": [known, {"type": "string", "pattern": _TEMPLATE}]}
    return _about(field.about, **known) if field.about else known


def _name() -> _Schema:
    return _about("What it is called, once in a runbook.", type="string", minLength=1, maxLength=MAX_NAME)


def _tags(about: str) -> _Schema:
    return _texts(about, pattern=_whole(TAG.pattern))


def _texts(about: str, **more: Any) -> _Schema:
    one = {"type": "string", "minLength": 1, **more}
    return _about(about, anyOf=[one, {"type": "array", "items": one}, {"type": "null"}])


def _mapping(values: Mapping[str, Any]) -> _Schema:
    return {"type": "object", "additionalProperties": dict(values)}


def _scalar() -> _Schema:
    return {"type": ["string", "number", "boolean", "null"]}


def _whole(pattern: str) -> str:
    return f"^{pattern}$"


def _about(about: str, **known: Any) -> _Schema:
    return {"description": about, **known}
