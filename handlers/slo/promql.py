"""Turns a PromQL query that was written for one range into one for any: ``[5m]`` becomes ``[{{window}}]``."""

from __future__ import annotations

import re

from handlers.slo.kinds import QUOTED, kinds

WINDOW = "[{{window}}]"
DURATION = r"(?:\d+(?:ms|[smhdwy]))+"
TEMPLATE = r"\{\{\s*\.?\s*window\s*\}\}|\$\{?\w+\}?"
RANGE = re.compile(rf"\[\s*({DURATION}|{TEMPLATE})\s*\]")
SUBQUERY = re.compile(r"\[[^\]]*:[^\]]*\]")
SELECTOR = re.compile(r"(?P<metric>[A-Za-z_:][A-Za-z0-9_:]*)\s*(?P<labels>\{[^{}]*\})?")
SUMMED = re.compile(r"(?P<sum>sum\s*(?:(?:by|without)\s*\([^()]*\)\s*)?)\((?P<inner>.*)\)", re.DOTALL)
COUNTERS = ("_total", "_count", "_bucket", "_sum")


def windowed(text: str, *, counter: bool | None) -> str:
    """The query with ``{{window}}`` for its range. ``counter``: what is said of a metric that is named alone.

    Raises ValueError with why that cannot be done without changing what it says.
    """
    query = text.strip()
    kept: list[str] = []

    def put_aside(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f'"{len(kept) - 1}"'

    bare = QUOTED.sub(put_aside, query)
    if SUBQUERY.search(bare):
        raise ValueError("has a subquery, whose windows could not be changed without changing what it says")
    ranges = {re.sub(r"\s", "", found) for found in RANGE.findall(bare)}
    if len(ranges) > 1:
        raise ValueError(
            f"has ranges that differ ({', '.join(sorted(ranges))}), so no single window could stand for them"
        )
    made = RANGE.sub(lambda _: WINDOW, bare) if ranges else _counted(bare, counter)
    return re.sub(r'"(\d+)"', lambda match: kept[int(match[1])], made)


def _counted(bare: str, counter: bool | None) -> str:
    """A metric that is named alone, or within sum(), as the number of its events."""
    if kinds(bare):
        raise ValueError("has rate() or increase() without a range")
    outer = SUMMED.fullmatch(bare)
    inner = outer["inner"].strip() if outer else bare
    found = SELECTOR.fullmatch(inner)
    if found is None:
        raise ValueError(
            "has no range such as [5m], so it does not say over which time it counts: write rate(…[5m]) in it"
        )
    if counter is None:
        if not found["metric"].endswith(COUNTERS):
            raise ValueError(
                f"names {found['metric']} alone, and ratioMetric.counter does not say whether that is a counter"
            )
        counter = True
    counts = "increase" if counter else "sum_over_time"
    return f"{outer['sum'].strip() if outer else 'sum'}({counts}({inner}{WINDOW}))"
