"""The five verdicts, what one check found, and how a runbook's verdict follows from its checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """Never a sixth, never one folded into another: no data is not a pass, and not having looked is not a failure."""

    PASS = "PASS"  # noqa: S105 - a verdict, no password
    """Looked, and it is as it should be."""
    FAIL = "FAIL"
    """Looked, and it is not as it should be."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """Looked, and what was seen is not enough to say either."""
    NO_DATA = "NO_DATA"
    """Looked where the answer should be, and nothing was there."""
    ERROR = "ERROR"
    """Could not look."""


class Severity(StrEnum):
    """Whether a check decides the runbook's verdict."""

    BLOCKING = "blocking"
    WARNING = "warning"


WORST_FIRST = (Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE, Outcome.NO_DATA, Outcome.PASS)


@dataclass(frozen=True)
class Finding:
    """What one look of a check saw. ``value`` and ``threshold`` are texts for people; ``samples`` is what they rest on."""

    outcome: Outcome
    detail: str
    value: str = ""
    threshold: str = ""
    unit: str = ""
    samples: int | None = None


@dataclass(frozen=True)
class Result:
    """The last look of one check, with how long it took (s) and which attempt it was. Holds no secret.

    ``asked``: the query, address or argv that was looked with; ``at``: UNIX s at which its first attempt began or, with
    ``attempt`` 0, at which it was clear that it is not looked at. ``tags`` are the runbook's and its own.
    """

    name: str
    kind: str
    outcome: Outcome
    value: str
    threshold: str
    unit: str
    samples: int | None
    took_s: float
    attempt: int
    detail: str
    hint: str
    severity: Severity
    asked: str = ""
    at: float = 0.0
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A runbook's results in the order of its checks. ``detail`` says why there are none, or why they decide nothing."""

    runbook: str
    results: Sequence[Result]
    took_s: float
    detail: str = ""

    @property
    def outcome(self) -> Outcome:
        return fold(self.results)


def fold(results: Iterable[Result]) -> Outcome:
    """The worst verdict of the blocking checks. ERROR without any: nothing that was looked at could have failed."""
    seen = {r.outcome for r in results if r.severity is Severity.BLOCKING}
    return next((outcome for outcome in WORST_FIRST if outcome in seen), Outcome.ERROR)
