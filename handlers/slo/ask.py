"""Asks Prometheus for an SLO's windows, several in one call, and reads from the answer only what can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.errors import GiveUp
from bot.integrations.prometheus import Answer, Metrics
from handlers.slo.judge import Heard
from handlers.slo.kinds import Slo, bad_query, total_query

PART = "captain_part"
"""The label that says which of the numbers of one answer is which."""
BAD, TOTAL = "bad", "total"


def expression(slo: Slo, lengths: Sequence[int]) -> str:
    """One query for the bad events and for all events of several windows (s), each with its mark."""
    parts = []
    for length in lengths:
        for name, query in ((BAD, bad_query(slo, length)), (TOTAL, total_query(slo, length))):
            # On a line of its own: a query of captain.yml may end in a comment.
            parts.append(f'label_replace(\n{query}\n, "{PART}", "{name}:{length}", "", "")')
    return "\nor ".join(parts)


def windows(metrics: Metrics, slo: Slo, lengths: Sequence[int], *, now: float) -> tuple[Mapping[int, Heard], str]:
    """What the windows say by Prometheus' own clock, and why not where one says nothing. Raises Retry and GiveUp.

    ``now``: UNIX s by ours, which is written beside it.
    """
    answer = metrics.query(expression(slo, lengths))
    if answer.warnings:
        return dict.fromkeys(lengths, Heard(now)), f"Prometheus answered in part only: {answer.warnings[0][:200]}"
    told = _parts(answer)
    found = {length: _heard(told, length, now) for length in lengths}
    blank = [length for length in lengths if not found[length].reading.known]
    if not blank:
        return found, ""
    shown = [told.get(f"{name}:{min(blank)}") for name in (BAD, TOTAL)]
    if shown[1] is None:
        return found, "its total query returns nothing"
    return found, f"its queries return no count of events: bad {shown[0]}, total {shown[1]}"


def _heard(told: Mapping[str, float], length: int, now: float) -> Heard:
    heard = Heard(now, told.get(f"{BAD}:{length}"), told.get(f"{TOTAL}:{length}"))
    # What cannot be a count is not kept either: NaN is not JSON, and nobody may take it for a number.
    return heard if heard.reading.known else Heard(now)


def _parts(answer: Answer) -> Mapping[str, float]:
    told: dict[str, float] = {}
    for sample in answer.samples:
        part = sample.labels.get(PART, "")
        if part in told:
            raise GiveUp(f"Prometheus answered with several series for {part}; each query must give one number")
        told[part] = sample.value
    return told
