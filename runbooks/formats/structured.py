"""JSON: everything that is known, in a shape that only grows; docs/runbooks-ci.md shows it."""

from __future__ import annotations

import json
from typing import Any

from runbooks.formats.told import Told, Whole, facts

SCHEMA_VERSION = 1
"""Raised when a field goes away or changes its meaning; new fields do not raise it."""


def render(whole: Whole) -> str:
    made = {
        "schema_version": SCHEMA_VERSION,
        "outcome": whole.outcome.value,
        "exit_code": whole.code,
        "cancelled": whole.cancelled,
        "began": round(whole.began, 3),
        "took_s": round(whole.took_s, 3),
        "runbooks": [_run(run) for run in whole.runs],
    }
    return json.dumps(made, ensure_ascii=False, indent=2) + "\n"


def _run(run: Told) -> dict[str, Any]:
    return {
        "name": run.runbook,
        "title": run.title,
        "path": run.path,
        "owners": list(run.owners),
        "links": dict(run.links),
        "parameters": dict(run.parameters),
        "outcome": run.outcome.value,
        "detail": run.detail,
        "mistakes": [{"path": one.path, "line": one.line, "why": one.why} for one in run.mistakes],
        "began": round(run.began, 3),
        "took_s": round(run.took_s, 3),
        "checks": [{"name": result.name, **facts(run, result)} for result in run.results],
    }
