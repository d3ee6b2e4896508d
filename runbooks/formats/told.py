"""What is told of runs of runbooks, whatever the format: cleaned of what no reader can show, and with its exit code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runbooks.document import read
from runbooks.read import Runbook
from runbooks.verdict import WORST_FIRST, Outcome, Report, Result, Severity

PASSED, FAILED, UNTOLD = 0, 1, 2
"""Exit codes: every blocking check PASSed; one FAILed; it could not be told."""

BETWEEN = " / "

_ENDS = re.compile(r"\r\n?|[\u2028\u2029]")
_SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BROKEN = re.compile(r"[\ud800-\udfff\ufffe\uffff]")
_MISTAKE = re.compile(r"(.+?):(\d+): (.+)", re.DOTALL)


@dataclass(frozen=True)
class Mistake:
    """What is wrong in a runbook's file; line 0 when no line is known."""

    path: str
    line: int
    why: str


@dataclass(frozen=True)
class Told:
    """One runbook's run. ``path`` is empty when no file of the person who asks holds it; ``began`` in UNIX s.

    ``lines``: a check's name to its line in the file. ``detail`` and ``mistakes`` say why there are no results, if so.
    """

    runbook: str
    outcome: Outcome
    title: str = ""
    path: str = ""
    detail: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    owners: Sequence[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    began: float = 0.0
    took_s: float = 0.0
    results: Sequence[Result] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    mistakes: Sequence[Mistake] = ()

    def line(self, check: str) -> int:
        """The line of a check in the file, or of the entry it came with (``ENTRY / CHECK``); 1 when neither is known."""
        while check not in self.lines and BETWEEN in check:
            check = check.rpartition(BETWEEN)[0]
        return self.lines.get(check, 1)


@dataclass(frozen=True)
class Whole:
    """All runs of one call. ``cancelled``: somebody ended it before it was done."""

    runs: Sequence[Told]
    began: float = 0.0
    took_s: float = 0.0
    cancelled: bool = False

    @property
    def outcome(self) -> Outcome:
        """The worst of the runs; ERROR when there is none, or when it was cancelled before anything failed."""
        seen = {run.outcome for run in self.runs} | ({Outcome.ERROR} if self.cancelled or not self.runs else set())
        return next(outcome for outcome in WORST_FIRST if outcome in seen)

    @property
    def code(self) -> int:
        return {Outcome.PASS: PASSED, Outcome.FAIL: FAILED}.get(self.outcome, UNTOLD)


def told(
    runbook: Runbook,
    report: Report,
    parameters: Mapping[str, str],
    *,
    path: str,
    began: float,
    mask: Callable[[str], str],
) -> Told:
    """A run as it is told. ``mask`` takes secrets out of what the person gave; results hold none already."""

    def clean(text: str) -> str:
        return cleaned(mask(text))

    return Told(
        runbook=runbook.name,
        outcome=report.outcome,
        title=clean(runbook.title),
        path=path,
        detail=clean(report.detail),
        parameters={name: clean(value) for name, value in parameters.items()},
        owners=[cleaned(owner) for owner in runbook.owners],
        links={cleaned(name): cleaned(link) for name, link in (runbook.links or {}).items()},
        began=began,
        took_s=report.took_s,
        results=[_clean(result, clean) for result in report.results],
        lines=lines(runbook),
    )


def unreadable(name: str, why: str, *, path: str, began: float) -> Told:
    """A runbook that could not be read: ``why`` is ConfigError's text, a mistake a line."""
    return Told(name, Outcome.ERROR, path=path, detail="it cannot be read", began=began, mistakes=mistakes(why))


def mistakes(why: str) -> list[Mistake]:
    """The mistakes in ConfigError's text: ``PATH:LINE: SENTENCE``, one a line."""
    found = [(_MISTAKE.fullmatch(line), line) for line in why.splitlines() if line.strip()]
    return [
        Mistake(match[1], int(match[2]), cleaned(match[3])) if match else Mistake("", 0, cleaned(line))
        for match, line in found
    ]


def lines(runbook: Runbook) -> dict[str, int]:
    """The line of each check in the runbook's file."""
    if runbook.path is None:
        return {}
    document = read(runbook.path)
    rows = document.values["checks"]
    names = [str(row.get("name") or row.get("uses")) for row in rows]
    return {cleaned(name): document.line(("checks", i)) for i, name in enumerate(names)}


def cleaned(text: str) -> str:
    """The text without what a terminal would obey or XML cannot hold; its lines end in a newline each."""
    text = _SEQUENCES.sub("", _ENDS.sub("\n", text))
    return _BROKEN.sub("\ufffd", _CONTROLS.sub("", text))


def one_line(text: str) -> str:
    return " ".join(text.split())


def facts(run: Told, result: Result) -> dict[str, Any]:
    """All that is known of one check, in the order in which it is told; plain values alone."""
    return {
        "outcome": result.outcome.value,
        "severity": result.severity.value,
        "kind": result.kind,
        "value": result.value,
        "threshold": result.threshold,
        "unit": result.unit,
        "samples": result.samples,
        "took_s": round(result.took_s, 3),
        "attempt": result.attempt,
        "at": round(result.at, 3),
        "asked": result.asked,
        "detail": result.detail,
        "hint": result.hint,
        "tags": list(result.tags),
        "file": run.path,
        "line": run.line(result.name) if run.path else None,
    }


def decides(result: Result) -> bool:
    """Whether it is among those on which the runbook's verdict rests."""
    return result.severity is Severity.BLOCKING


def measured(result: Result) -> str:
    """``812 ms (want <= 400)``, as far as there is something to tell; its detail when there is no value."""
    seen = one_line(f"{result.value} {result.unit}" if result.value else result.detail)
    wanted = f"(want {one_line(result.threshold)})" if result.threshold else ""
    return one_line(f"{seen} {wanted}")


def counted(results: Sequence[Result]) -> str:
    """``5 PASS, 1 FAIL``, the worst first; what a warning says is counted with the rest."""
    seen = [result.outcome for result in results]
    return ", ".join(f"{seen.count(outcome)} {outcome.value}" for outcome in WORST_FIRST if outcome in seen)


def verdict(run: Told) -> str:
    """One line on the whole runbook: ``docs-api: FAIL in 3.1 s: 1 FAIL, 5 PASS; warnings: 1 FAIL``."""
    parts = [one_line(run.detail)] if run.detail else []
    parts += [counted([one for one in run.results if decides(one)])]
    warned = [one for one in run.results if not decides(one) and one.outcome is not Outcome.PASS]
    parts += [f"warnings: {counted(warned)}"] if warned else []
    told = "; ".join(part for part in parts if part)
    return f"{run.runbook}: {run.outcome.value} in {run.took_s:.1f} s" + (f": {told}" if told else "")


def said(mistake: Mistake) -> str:
    return f"{mistake.path}:{mistake.line}: {mistake.why}" if mistake.line else mistake.why


def _clean(result: Result, clean: Callable[[str], str]) -> Result:
    return replace(
        result,
        name=clean(result.name),
        value=clean(result.value),
        threshold=clean(result.threshold),
        unit=clean(result.unit),
        detail=clean(result.detail),
        hint=clean(result.hint),
        asked=clean(result.asked),
        tags=tuple(clean(tag) for tag in result.tags),
    )
