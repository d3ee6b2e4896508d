"""What is said of runbooks themselves: which there are, what each looks at, and how each stood last."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bot.integrations.slack.words import clip, escape
from handlers.catalogue import Service
from handlers.incidents.words import OUTCOME_ICON, Blocks, button, duration, fitted
from handlers.runs import cron
from handlers.runs.settings import Schedule
from runbooks import Outcome, Result, Runbook, Severity

MOST = 60
"""Checks of a runbook that are shown."""


def listing(
    runbooks: Mapping[str, Runbook],
    services: Mapping[str, Service],
    last: Sequence[Any],
    going: Sequence[Any],
    *,
    now: float,
) -> tuple[str, Blocks]:
    """The runbooks, a line each, and what is being run. (text, blocks)."""
    lines = []
    for name, one in sorted(runbooks.items()):
        users = sorted(service for service, entry in services.items() if entry.runbook == name)
        of = f", checks {', '.join(escape(user) for user in users)}" if users else ""
        stood = "; ".join(_stood(row, now) for row in last if row.runbook == name)
        title = f" {escape(one.title)}" if one.title != name else ""
        count = f"{len(one.checks)} check{'s' if len(one.checks) != 1 else ''}"
        lines.append(f"*{escape(name)}*{title} ({count}{of})" + (f"\n      {stood}" if stood else ""))
    parts = [_section("\n".join(lines[i : i + 10])) for i in range(0, len(lines), 10)]
    running = [f"⏳ #{row.id} {escape(row.runbook)}, {_since(row, now)}" for row in going]
    if running:
        parts.insert(0, _section("*Being run now*\n" + "\n".join(running[:20])))
    buttons = [button(f"Cancel #{row.id}", "runbook cancel", f"#{row.id}") for row in going[:5]]
    if buttons:
        parts.insert(1, {"type": "actions", "block_id": "runs", "elements": buttons})
    return fitted("\n".join([*running, *lines]) or "There is no runbook.", parts)


def runbook(one: Runbook, schedules: Mapping[str, Schedule], last: Sequence[Any], *, now: float) -> tuple[str, Blocks]:
    """One runbook. (text, blocks)."""
    head = [f"*{escape(one.name)}*" + (f" {escape(one.title)}" if one.title != one.name else "")]
    if one.owners:
        head.append(f"Owners: {', '.join(escape(owner) for owner in one.owners)}")
    links = [f"<{escape(url)}|{escape(said)}>" for said, url in (one.links or {}).items() if url.startswith("http")]
    head += [" · ".join(links)] if links else []
    if one.parameters:
        head += ["Parameters:", *(_parameter(one, name, value) for name, value in one.parameters.items())]
    for name, each in sorted(schedules.items()):
        if each.runbook == one.name:
            coming = cron.following(each.cron, now)
            then = f", next {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(coming))}" if coming is not None else ""
            head.append(f"By the schedule {escape(name)}: `{escape(each.cron)}`{then}")
    head += [_stood(row, now) for row in last]
    lines = [_check(check) for check in one.checks[:MOST]]
    lines += [f"… {len(one.checks) - MOST} more"] if len(one.checks) > MOST else []
    parts = [_section("\n".join(head)), *(_section("\n".join(lines[i : i + 8])) for i in range(0, len(lines), 8))]
    if all(default is not None for default in one.parameters.values()):
        parts.append({"type": "actions", "block_id": "runbook", "elements": [button("Run", "runbook run", one.name)]})
    return fitted("\n".join([*head, *lines]), parts)


def plain(one: Runbook) -> dict[str, Any]:
    """A runbook as plain JSON."""
    checks = [
        {"name": c.name, "kind": c.kind, "severity": c.severity.value, "hint": c.hint, "tags": list(c.tags)}
        for c in one.checks
    ]
    told = {"name": one.name, "title": one.title, "owners": list(one.owners), "links": dict(one.links or {})}
    return told | {"parameters": dict(one.parameters), "checks": checks}


def result(one: Result) -> dict[str, Any]:
    """A result as plain JSON."""
    return asdict(one) | {"outcome": one.outcome.value, "severity": one.severity.value, "tags": list(one.tags)}


def _parameter(one: Runbook, name: str, default: str | None) -> str:
    declared = one.declared.get(name)
    said = [f"`{name}`" + (f"={escape(default)}" if default is not None else " must be given")]
    if declared is not None:
        said += [escape(declared.description)] if declared.description else []
        said += [f"one of {escape(', '.join(declared.choices))}"] if declared.choices else []
    return f"· {'; '.join(said)}"


def _check(check: Any) -> str:
    named = [check.kind, *(["a warning"] if check.severity is Severity.WARNING else []), *check.tags]
    hint = f"\n      → {escape(clip(check.hint, 200))}" if check.hint else ""
    return f"· *{escape(check.name)}* ({escape(', '.join(named))}){hint}"


def _stood(row: Any, now: float) -> str:
    """``✘ FAIL 3 min ago for docs-api in prod, since 2 h 10 min``."""
    where = f" for {escape(row.service)} in {escape(row.environment)}" if row.service else ""
    ago = f"{duration(now - row.at)} ago"
    since = f", so since {duration(now - row.since)}" if row.since < row.at else ""
    return f"{OUTCOME_ICON[Outcome(row.outcome)]} {row.outcome} {ago}{where}{since}"


def _since(row: Any, now: float) -> str:
    waits = "waits for its turn" if row.began_at is None else f"since {duration(now - row.began_at)}"
    return f"{waits}, asked by {escape(row.asked_by)}"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}
