"""What is shown of a run: while it goes on, when it has ended, and in full as a file."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bot.integrations.slack.words import clip, escape
from handlers.incidents.words import OUTCOME_ICON, WORST_FIRST, Blocks, button, duration, fitted, person
from handlers.runs import picked
from handlers.runs.kinds import Trigger
from runbooks import Outcome, Result, Runbook, Severity

MOST = 12
"""Results that each have a line of their own when all is over; of more, those that passed share one."""
DETAIL, HINT = 300, 300
"""Characters of a line's detail and hint; the file has them whole."""
OFFERED = 4
"""Actions that are offered below a run."""
WIDE = 20
"""Signs of the progress bar."""
ASKED: Mapping[Trigger, str] = {
    Trigger.PERSON: "asked by",
    Trigger.INCIDENT: "for",
    Trigger.DEPLOY: "after",
    Trigger.SCHEDULE: "by the schedule",
}


def message(row: Any, found: Sequence[Result], runbook: Runbook | None) -> tuple[str, Blocks]:
    """A run's message as it is true now. (text, blocks)."""
    if row.ended_at is None:
        return _going(row, found, runbook)
    return _over(row, found, runbook)


def verdict(row: Any, found: Sequence[Result]) -> str:
    """``✘ Checks of docs-api: FAIL (2 FAIL, 12 PASS)``, plain."""
    counts = ", ".join(f"{n} {outcome.value}" for outcome in Outcome if (n := _count(found, outcome)))
    said = f"cancelled by {row.cancelled_by}" if row.cancelled_by else ""
    inner = "; ".join(part for part in (said, counts) if part) or "none ran"
    return f"{OUTCOME_ICON[Outcome(row.outcome)]} Checks of {row.runbook}: {row.outcome} ({inner})"


def short(row: Any, found: Sequence[Result]) -> str:
    """The run in one short line, kept on the incident."""
    outcome = Outcome(row.outcome)
    if row.cancelled_by:
        return f"{OUTCOME_ICON[outcome]} {outcome.value} (cancelled by {row.cancelled_by})"
    return f"{OUTCOME_ICON[outcome]} {outcome.value} ({_count(found, Outcome.PASS)} of {len(found)} passed)"


def holds(found: Sequence[Result]) -> bool:
    """Whether the message shows all there is; a file has the rest where it does not."""
    return len(found) <= MOST and all(len(one.detail) <= DETAIL and len(one.hint) <= HINT for one in found)


def document(row: Any, found: Sequence[Result]) -> str:
    """Everything a run found, plain text, what failed first."""
    head = [
        f"{row.runbook}, run #{row.id}: {row.outcome}",
        f"Asked {_utc(row.asked_at)} ({who(row, plain=True)}), ended {_utc(row.ended_at)}, took {row.took_s or 0:.1f} s",
    ]
    given = json.loads(row.parameters)
    head += [f"Parameters: {', '.join(f'{name}={value}' for name, value in given.items())}"] if given else []
    head += [row.detail] if row.detail else []
    return "\n".join([*head, *(part for one in _sorted(found) for part in _paragraph(one))]) + "\n"


def who(row: Any, *, plain: bool = False) -> str:
    """Who or what asked for it, mrkdwn, or plain."""
    how = ASKED[Trigger(row.trigger)]
    name = row.asked_by if plain else person(row.asker, row.asked_by)
    return f"{how} {name}"


def again(row: Any, runbook: Runbook | None) -> str:
    """What ``runbook run`` has to be told to run it again, of the same service whoever had asked for it."""
    known = picked.of_service(runbook, row.service, row.environment) if runbook is not None else {}
    given = [f"{name}={value}" for name, value in {**known, **json.loads(row.parameters)}.items()]
    only = ",".join(json.loads(row.confined))
    return shlex.join([row.runbook, *given, *(["--only", only] if only else [])])


def _going(row: Any, found: Sequence[Result], runbook: Runbook | None) -> tuple[str, Blocks]:
    done, most = len(found), max(row.checks, len(found), 1)
    text = escape(f"⏳ Checks of {row.runbook}: {done} of {row.checks or '?'} looked at")
    bad = _count(found, *(one for one in Outcome if one is not Outcome.PASS))
    bar = "■" * (WIDE * done // most) + "□" * (WIDE - WIDE * done // most)
    head = f"*{text}*" + (f", {bad} not passed" if bad else "") + f"\n`{bar}`"
    seen = {one.name for one in found}
    lines = [_line(one) for one in found]
    if runbook is not None and not json.loads(row.confined):
        lines += [f"· {escape(check.name)}" for check in runbook.checks if check.name not in seen]
    since = f" · since {_instant(row.began_at)}" if row.began_at else ""
    waits = "" if row.began_at else " · it waits for its turn"
    blocks = [_section(head), *_paragraphs(lines), _context(f"{who(row)}{since}{waits} · run #{row.id}")]
    return fitted(text, [*blocks, _buttons([button("Cancel", "runbook cancel", f"#{row.id}")])])


def _over(row: Any, found: Sequence[Result], runbook: Runbook | None) -> tuple[str, Blocks]:
    text = escape(verdict(row, found))
    blocks: Blocks = [_section(f"*{text}*")]
    if row.detail and not (row.cancelled_by and not found):
        blocks.append(_section(escape(row.detail)))
    ordered = _sorted(found)
    if len(ordered) > MOST:
        passed = [one for one in ordered if one.outcome is Outcome.PASS]
        ordered = [one for one in ordered if one.outcome is not Outcome.PASS]
        blocks += _paragraphs([_line(one) for one in ordered])
        if passed:
            names = clip(", ".join(escape(one.name) for one in passed), 1200)
            blocks.append(_section(f"{OUTCOME_ICON[Outcome.PASS]} *{len(passed)} passed:* {names}"))
    else:
        blocks += _paragraphs([_line(one) for one in ordered])
    if runbook is not None and runbook.links and row.outcome != Outcome.PASS.value:
        named = [f"<{escape(url)}|{escape(said)}>" for said, url in runbook.links.items() if _opens(url)]
        blocks += [_section(" · ".join(named))] if named else []
    if not holds(found):
        blocks.append(_context("All results are in a file in the thread."))
    blocks.append(_context(f"{who(row)} · took {_took(row.took_s)} · run #{row.id}"))
    anew = button("Run again", "runbook run", again(row, runbook))
    if row.incident is not None:
        anew = button("Run again", "incident checks", f"INC-{row.incident}")
    return fitted(text, [*blocks, _buttons([anew, *_offered(row, ordered, runbook)])])


def _offered(row: Any, found: Sequence[Result], runbook: Runbook | None) -> list[dict[str, Any]]:
    """A button for each action that a check names which does not pass; it begins what `action run` begins."""
    named = {check.name: check.actions for check in runbook.checks} if runbook is not None else {}
    wanted: dict[str, Result] = {}
    for one in found:
        for action in named.get(one.name, ()) if one.outcome is not Outcome.PASS else ():
            wanted.setdefault(action, one)
    buttons = []
    for action, one in list(wanted.items())[:OFFERED]:
        why = f"{one.name[:200]} is {one.outcome.value} in run #{row.id}"
        about = ["--incident", f"INC-{row.incident}"] if row.incident is not None else []
        made = button(f"Run {action}"[:75], "action run", shlex.join([action, *about, why]))
        buttons.append(made | {"confirm": _confirm(action)})
    return buttons


def _confirm(action: str) -> dict[str, Any]:
    texts = {"title": f"Run {action}?"[:100], "confirm": "Run it", "deny": "No"}
    texts["text"] = "This changes something. Where a second person has to agree, they are asked first."
    return {name: {"type": "plain_text", "text": text} for name, text in texts.items()}


def _line(one: Result) -> str:
    line = f"{OUTCOME_ICON[one.outcome]} *{escape(one.name)}* {one.outcome.value}"
    if one.severity is Severity.WARNING:
        line += " (a warning)"
    if one.detail:
        line += f": {escape(one.detail[:DETAIL])}"
    if one.outcome is Outcome.PASS:
        return line
    if one.value and one.threshold and not (one.value in one.detail and one.threshold in one.detail):
        line += f"\n      {escape(f'{one.value}{_unit(one)}, wanted {one.threshold}{_unit(one)}')}"
    if one.hint:
        line += f"\n      → {escape(one.hint[:HINT])}"
    return line


def _paragraph(one: Result) -> list[str]:
    """One result in full, plain."""
    facts = {
        "value": one.value and f"{one.value}{_unit(one)}",
        "wanted": one.threshold and f"{one.threshold}{_unit(one)}",
        "samples": "" if one.samples is None else str(one.samples),
        "asked": one.asked,
        "detail": one.detail,
        "hint": one.hint,
        "tags": ", ".join(one.tags),
    }
    weight = ", a warning" if one.severity is Severity.WARNING else ""
    tries = f", attempt {one.attempt}" if one.attempt > 1 else ""
    lines = ["", f"{one.outcome.value} {one.name} ({one.kind}{weight}, {one.took_s:.2f} s{tries})"]
    return lines + [f"  {name}: {value}" for name, value in facts.items() if value]


def _sorted(found: Sequence[Result]) -> list[Result]:
    """What a reader must see first, first; what only warns behind what decides."""
    return sorted(found, key=lambda one: (WORST_FIRST.index(one.outcome), one.severity is Severity.WARNING))


def _count(found: Sequence[Result], *outcomes: Outcome) -> int:
    return sum(one.outcome in outcomes for one in found)


def _unit(one: Result) -> str:
    return f" {one.unit}" if one.unit else ""


def _took(seconds: float | None) -> str:
    took = seconds or 0.0
    return f"{took:.1f} s" if took < 10 else duration(took)


def _utc(at: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at)) if at else "never"


def _instant(at: float) -> str:
    """A time as each reader's Slack shows it, and as UTC where it cannot."""
    return f"<!date^{int(at)}^{{time_secs}}|{time.strftime('%H:%M:%S UTC', time.gmtime(at))}>"


def _opens(url: str) -> bool:
    return url.startswith(("https://", "http://")) and "|" not in url


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _buttons(elements: Blocks) -> dict[str, Any]:
    return {"type": "actions", "block_id": "run", "elements": elements}


def _paragraphs(lines: Sequence[str]) -> Blocks:
    return [_section("\n".join(lines[i : i + 8])) for i in range(0, len(lines), 8)]
