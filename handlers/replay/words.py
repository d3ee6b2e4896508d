"""What a replay says: a table of what two policies make of the same alerts, and where they differ. Plain text and JSON."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

WEEK, DAY = 604_800.0, 86_400.0
SHOWN = 40
"""Differences that the table shows; JSON has all."""
LONGEST = 110


@dataclass(frozen=True)
class Wake:
    """A page or a ticket that would have been. ``at`` UNIX s.

    ``alert``: the fingerprint of the alert that made it, empty when none did at that moment; ``why``: its verdict.
    """

    kind: str
    at: float
    service: str
    severity: str
    title: str
    incident: int
    alert: str = ""
    why: str = ""

    @property
    def same(self) -> tuple[str, int, str, str]:
        """What makes a page of one policy that of another: of one service, in one second, by one alert."""
        return self.kind, round(self.at), self.service, self.alert


@dataclass(frozen=True)
class Decision:
    """What was decided about an alert that fired. ``alert``: its fingerprint; ``held``: by which kind of rule it was held, or empty."""

    at: float
    service: str
    alert: str
    verdict: str
    held: str


@dataclass(frozen=True)
class Result:
    """What a policy made of a stream. ``start``, ``end`` UNIX s; ``refused``: sentence → how many alerts."""

    name: str
    start: float
    end: float
    alerts: int
    incidents: int
    wakes: Sequence[Wake]
    decisions: Sequence[Decision]
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def weeks(self) -> float | None:
        """The length of the stream; None when it is too short to say anything of a week."""
        return (self.end - self.start) / WEEK if self.end - self.start >= DAY else None

    def count(self, kind: str, service: str = "") -> int:
        """How many pages, or tickets, of one service or of all."""
        return sum(one.kind == kind and service in ("", one.service) for one in self.wakes)

    @property
    def held(self) -> int:
        return sum(bool(one.held) for one in self.decisions)


def only(of: Result, other: Result) -> list[Wake]:
    """The pages and tickets of one policy that the other does not make."""
    left = Counter(one.same for one in other.wakes)
    found = []
    for wake in of.wakes:
        if left[wake.same]:
            left[wake.same] -= 1
        else:
            found.append(wake)
    return found


def table(result: Result, against: Result | None) -> str:
    """The numbers, and what differs."""
    columns = [result, *([against] if against else [])]
    weeks = f" ({result.weeks:.1f} weeks)" if result.weeks else ""
    lines = [f"{result.alerts} alerts from {_utc(result.start)} to {_utc(result.end)} UTC{weeks}.", ""]
    rows = [("", [one.name for one in columns])]
    rows += [(name, [_shown(one, name, service) for one in columns]) for name, service in _rows(columns)]
    if against:
        rows[0][1].append("difference")
        for _, cells in rows[1:]:
            cells.append(_difference(cells))
    wide = max(len(name) for name, _ in rows)
    widths = [max(len(cells[i]) for _, cells in rows) for i in range(len(rows[0][1]))]
    for name, cells in rows:
        lines.append(
            f"{name.ljust(wide)}  {'  '.join(c.rjust(w) for c, w in zip(cells, widths, strict=True))}".rstrip()
        )
    for one in columns:
        for why, n in list(one.refused.items())[:5]:
            lines.append(f"{one.name} takes {n} alerts not: {why}")
    if against:
        for mine, theirs in ((result, against), (against, result)):
            lines += _apart(mine, theirs)
    else:
        lines += ["", *(_line(one) for one in result.wakes[:SHOWN])]
        lines += [f"… and {len(result.wakes) - SHOWN} more; --json has all"] if len(result.wakes) > SHOWN else []
    return "\n".join(lines)


def plain(result: Result, against: Result | None) -> dict[str, Any]:
    """The same as JSON."""
    made = {"policy": _plain(result), "against": _plain(against) if against else None}
    if against:
        made["difference"] = {
            "pages": result.count("page") - against.count("page"),
            "tickets": result.count("ticket") - against.count("ticket"),
            "only_policy": [asdict(one) | {"other": _other(one, against)} for one in only(result, against)],
            "only_against": [asdict(one) | {"other": _other(one, result)} for one in only(against, result)],
        }
    return made


def _plain(result: Result) -> dict[str, Any]:
    services = sorted({one.service for one in result.wakes})
    return {
        "name": result.name, "start": result.start, "end": result.end, "weeks": result.weeks, "alerts": result.alerts,
        "incidents": result.incidents, "pages": result.count("page"), "tickets": result.count("ticket"),
        "pages_a_week": round(result.count("page") / result.weeks, 2) if result.weeks else None,
        "held": dict(Counter(one.held for one in result.decisions if one.held)),
        "services": {
            name: {"pages": result.count("page", name), "tickets": result.count("ticket", name)} for name in services
        },
        "refused": dict(result.refused),
        "made": [asdict(one) for one in result.wakes],
    }  # fmt: skip


def _rows(columns: Sequence[Result]) -> list[tuple[str, str]]:
    services = sorted({one.service for result in columns for one in result.wakes})
    rows = [("pages", ""), *([("pages a week", "")] if columns[0].weeks else [])]
    rows += [("tickets", ""), ("incidents", ""), ("alerts held", ""), ("alerts not taken", "")]
    return rows + [(f"{kind}s of {name}", name) for name in services for kind in ("page", "ticket")]


def _shown(result: Result, name: str, service: str) -> str:
    if name == "pages a week":
        return f"{result.count('page') / (result.weeks or 1):.1f}"
    numbers = {
        "incidents": result.incidents,
        "alerts held": result.held,
        "alerts not taken": sum(result.refused.values()),
    }
    return str(
        numbers[name] if name in numbers else result.count("page" if name.startswith("page") else "ticket", service)
    )


def _difference(cells: Sequence[str]) -> str:
    by = float(cells[0]) - float(cells[1])
    return f"{by:+.1f}" if "." in cells[0] else f"{by:+.0f}" if by else "0"


def _apart(mine: Result, theirs: Result) -> list[str]:
    found = only(mine, theirs)
    if not found:
        return []
    lines = ["", f"Only with {mine.name}:"]
    for one in found[:SHOWN]:
        lines += [_line(one), f"    {theirs.name}: {_other(one, theirs)}"]
    return [*lines, *([f"… and {len(found) - SHOWN} more; --json has all"] if len(found) > SHOWN else [])]


def _other(wake: Wake, result: Result) -> str:
    """What the other policy made of the alerts of that moment."""
    then = [one for one in result.decisions if round(one.at) == round(wake.at) and one.service == wake.service]
    said = [one.verdict for one in then if one.alert == wake.alert] or [one.verdict for one in then]
    return said[0] if said else "decided nothing about this service then"


def _line(wake: Wake) -> str:
    title = wake.title if len(wake.title) <= LONGEST else f"{wake.title[: LONGEST - 1]}…"
    return f"  {_utc(wake.at)}  {wake.kind.ljust(6)}  {wake.service}  {wake.severity}  INC-{wake.incident} {title}"


def _utc(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))
