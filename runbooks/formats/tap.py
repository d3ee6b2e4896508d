"""TAP 14: a line for each check and its facts as YAML below; a warning that does not pass is marked as one that decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from runbooks.formats.told import Told, Whole, decides, facts, one_line, said
from runbooks.verdict import Outcome, Result


def render(whole: Whole) -> str:
    points = [point for run in whole.runs for point in _points(run)]
    lines = ["TAP version 14", f"1..{len(points)}"]
    for number, (good, name, warns, more) in enumerate(points, 1):
        lines.append(f"{'ok' if good else 'not ok'} {number} - {_escaped(name)}{'' if good else warns}")
        text = yaml.safe_dump(more, sort_keys=False, allow_unicode=True, width=10_000)
        lines += ["  ---", *(f"  {line}" for line in text.splitlines()), "  ..."]
    if whole.cancelled:
        lines.append("Bail out! the run was cancelled")
    return "\n".join(lines) + "\n"


def _points(run: Told) -> Iterator[tuple[bool, str, str, dict[str, Any]]]:
    for result in run.results:
        warns = "" if decides(result) else " # TO" + "DO only a warning; it decides nothing"
        yield result.outcome is Outcome.PASS, _name(run, result), warns, facts(run, result)
    if not run.results:
        wrong = [said(one) for one in run.mistakes]
        more = {
            "outcome": run.outcome.value,
            "detail": run.detail or "there was no check to look at",
            "mistakes": wrong,
        }
        yield False, run.runbook, "", more


def _name(run: Told, result: Result) -> str:
    return f"{run.runbook}: {result.name}"


def _escaped(name: str) -> str:
    """A description as TAP wants it: one line, in which # begins a directive and a backslash escapes."""
    return one_line(name).replace("\\", "\\\\").replace("#", "\\#")
