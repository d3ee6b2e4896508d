"""What is shown of deploys: the message in the channel, the list, and the lines below an incident."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from bot.integrations.slack.words import escape, fit
from handlers.deploys import table
from handlers.deploys.kinds import Status
from handlers.incidents.words import OUTCOME_ICON, WORST_FIRST, duration
from runbooks import Outcome

Blocks = list[dict[str, Any]]
BEGUN, JOINED, MOVED, MORE, KNOWN = (
    "a new deploy",
    "told by another too",
    "it moved",
    "more is known of it",
    "known already",
)
FORGOTTEN = "it is too old to be remembered"
NOBODYS = "its service is no longer in captain.yml"
OWED, RUNNING, UNDONE = "owed", "running", "undone: "
"""What stands for a verdict before there is one, and before the reason why there will be none."""
MOST_FOUND = 8
"""Checks that did not pass and are shown; the run's own message has all."""
ICON: Mapping[Status, str] = {
    Status.STARTED: "⏳",
    Status.SUCCEEDED: "✅",
    Status.FAILED: "✘",
    Status.REPLACED: "·",
}


def panel(row: Any, runbook: str) -> tuple[str, Blocks]:
    """The message of one deploy: what became what, by whom, how long it took, and what the checks say. (text, blocks)."""
    head = f"{_icon(row)} *{escape(row.service)}* {_from_to(row)} {_state(row)} in {escape(row.environment)}"
    lines = [head, " · ".join(_facts(row))]
    if row.status == Status.FAILED.value and row.why:
        lines.append(f"*Why:* {escape(row.why)}")
    lines += _checks(row, runbook)
    blocks: Blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(line for line in lines if line)}}
    ]
    kept, text = fit(
        blocks, f"{_icon(row)} {escape(row.service)} {_plain(row)} {_state(row)} in {escape(row.environment)}"
    )
    return text, kept


def _icon(row: Any) -> str:
    if row.status == Status.SUCCEEDED.value and row.verdict in tuple(Outcome) and row.verdict != Outcome.PASS.value:
        return "🔴" if row.verdict in (Outcome.FAIL.value, Outcome.ERROR.value) else OUTCOME_ICON[Outcome(row.verdict)]
    return ICON[Status(row.status)]


def _from_to(row: Any) -> str:
    """``1.4.2 → 1.4.3``, each as code."""
    new = f"`{escape(row.version)}`"
    if not row.before or row.before == row.version:
        return new
    return f"`{escape(row.before)}` → {new}"


def _plain(row: Any) -> str:
    return escape(versions(row))


def versions(row: Any) -> str:
    """``1.4.2 → 1.4.3``, plain text."""
    return f"{row.before} → {row.version}" if row.before and row.before != row.version else str(row.version)


def verdict(row: Any) -> str:
    """What its checks said; nothing where they have not."""
    return str(row.verdict) if row.verdict in tuple(Outcome) else ""


def _state(row: Any) -> str:
    """``is being rolled out``: what a reader wants to know first."""
    again = bool(row.before) and row.before == row.version
    match Status(row.status):
        case Status.STARTED:
            return (
                "is being rolled back" if row.back else "is being rolled out again" if again else "is being rolled out"
            )
        case Status.SUCCEEDED:
            return "was rolled back" if row.back else "was deployed again" if again else "was deployed"
        case Status.FAILED:
            return "*failed to deploy*"
        case Status.REPLACED:
            return "was replaced by a newer one before it was done,"


def _facts(row: Any) -> list[str]:
    told = [f"D-{row.id}"]
    if row.by_name:
        told.append(f"by {escape(row.by_name)}")
    if row.started_at is not None and row.ended_at is None:
        told.append(f"since {_date(row.started_at)}")
    if row.ended_at is not None:
        told.append(_date(row.ended_at))
        took = row.ended_at - row.started_at if row.started_at is not None else -1.0
        if took >= 1:  # less than nothing is of two clocks
            told.append(f"took {duration(took)}")
    if row.revision and row.revision != row.version:
        told.append(f"revision {escape(row.revision[:12])}")
    if row.url:
        told.append(f"<{escape(row.url)}|Log>")
    return told


def _checks(row: Any, runbook: str) -> list[str]:
    """What the checks say: in a line, and below it each that did not pass."""
    if row.status != Status.SUCCEEDED.value or not row.verdict:
        return []
    named = f"*Checks* ({escape(runbook)})" if runbook else "*Checks*"
    if row.verdict == OWED:
        return [f"{named} follow."]
    if row.verdict == RUNNING:
        return [f"⏳ {named} are running, in the thread."]
    if row.verdict not in tuple(Outcome):
        return [f"⚠ {named} did not come to an end: {escape(row.verdict.removeprefix(UNDONE))}."]
    outcome = Outcome(row.verdict)
    said = {Outcome.PASS: "passed", Outcome.FAIL: "FAILED", Outcome.NO_DATA: "found no data"}
    lines = [f"{OUTCOME_ICON[outcome]} {named} {said.get(outcome, 'could not tell')}."]
    found = table.found_of(row)
    for one in found[:MOST_FOUND]:
        lines.append(f"{OUTCOME_ICON[Outcome(one['outcome'])]} *{escape(one['name'])}*: {_found(one)}")
        if one["hint"]:
            lines.append(f"      _{escape(one['hint'])}_")
    if len(found) > MOST_FOUND:
        lines.append(f"And {len(found) - MOST_FOUND} more, in the thread.")
    return lines


def alarm(row: Any, link: str) -> str:
    """Said anew in the channel, since nobody is told of an edit: it has failed, or its checks have not passed."""
    what = f"*{escape(row.service)}* `{escape(row.version)}`"
    if row.status == Status.FAILED.value:
        why = f": {escape(row.why)}" if row.why else ""
        said = f"✘ {what} failed to deploy in {escape(row.environment)}{why}."
    else:
        outcome = Outcome(row.verdict)
        found = table.found_of(row)
        first = f": *{escape(found[0]['name'])}* {_found(found[0])}" if found else ""
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        became = "FAILED" if outcome is Outcome.FAIL else f"could not tell ({outcome.value})"
        said = f"{_icon(row)} The checks after {what} in {escape(row.environment)} {became}{first}{more}."
    return f"{said} <{escape(link)}|D-{row.id}>" if link else f"{said} `deploy show D-{row.id}` has it all."


def bad(row: Any) -> bool:
    """Whether somebody has to be told."""
    return row.status == Status.FAILED.value or verdict(row) not in ("", Outcome.PASS.value)


def undone(reason: str) -> str:
    """What is kept as the verdict of checks that did not come to an end."""
    return f"{UNDONE}{reason[:300].rstrip('.')}"


def worst(outcome: str) -> int:
    """Sorts outcomes: what a reader must see first is smallest."""
    return WORST_FIRST.index(Outcome(outcome))


def _found(one: Mapping[str, str]) -> str:
    """``0.05, threshold 0.01``, or what there is instead of a value."""
    unit = f" {one['unit']}" if one["unit"] else ""
    if one["value"] and one["threshold"]:
        return f"`{escape(one['value'])}{escape(unit)}`, threshold `{escape(one['threshold'])}`"
    return escape(one["detail"] or one["value"] or "see the thread")


# ---- lists -------------------------------------------------------------------------------------------------------------


def line(row: Any, *, now: float) -> str:
    """One deploy on one line, mrkdwn that also reads well on a terminal."""
    at = row.ended_at or row.started_at or row.at
    said = f"{_icon(row)} D-{row.id} *{escape(row.service)}* {_plain(row)} {_state(row)} in {escape(row.environment)}"
    said += f", {ago(at, now)}"
    if row.by_name:
        said += f", by {escape(row.by_name)}"
    if row.verdict in tuple(Outcome):
        said += f"; checks {row.verdict}"
    return said


def listing(rows: Sequence[Any], service: str, *, now: float) -> tuple[str, Blocks]:
    """The newest deploys, the newest first. (text, blocks)."""
    of = f" of {escape(service)}" if service else ""
    lines = [line(row, now=now) for row in rows] or [
        f"I know of no deploy{of}. docs/deploys.md says how I hear of one."
    ]
    blocks: Blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines[i : i + 10])}}
        for i in range(0, len(lines), 10)
    ]
    kept, text = fit(blocks, "\n".join(lines))
    return text, kept


def whole(row: Any, parts: Sequence[Any], runbook: str, *, now: float) -> str:
    """All that is known of one deploy, mrkdwn."""
    lines = [line(row, now=now)]
    for name, value in (
        ("Image", row.image), ("Revision", row.revision), ("Log", row.url), ("Why", row.why),
        ("Began", _utc(row.started_at)), ("Ended", _utc(row.ended_at)),
    ):  # fmt: skip
        if value:
            lines.append(f"*{name}:* {escape(value)}")
    lines += [f"*Told by {escape(_teller(one.origin))}:* {one.status} at {_utc(one.at)}" for one in parts]
    return "\n".join(lines + _checks(row, runbook))


def _teller(origin: str) -> str:
    kind, _, rest = origin.partition(":")
    known = {"webhook": "a webhook", "github": "GitHub", "kubernetes": "Kubernetes", "person": "hand"}
    return f"{known.get(kind, kind)} ({rest})" if rest else known.get(kind, kind)


# ---- below an incident -------------------------------------------------------------------------------------------------


def recent(rows: Sequence[Any], environment: str, now: float) -> list[str]:
    """What was deployed to the service lately, a line each, mrkdwn; ``environment``: what needs no mention."""
    return [f"*Deploy:* {brief(row, environment, now)}." for row in rows]


def brief(row: Any, environment: str, now: float) -> str:
    """``1.4.2 → 1.4.3 was deployed 12 min ago by alice (D-7)``."""
    where = "" if row.environment == environment else f" in {escape(row.environment)}"
    at = row.ended_at or row.started_at or row.at
    link = f"<{escape(row.url)}|D-{row.id}>" if row.url else f"D-{row.id}"
    by = f" by {escape(row.by_name)}" if row.by_name else ""
    checked = f", its checks {row.verdict}" if row.verdict in tuple(Outcome) else ""
    return f"{_from_to(row)} {_state(row).replace('*', '').rstrip(',')}{where} {ago(at, now)}{by} ({link}){checked}"


def began(row: Any) -> str:
    """For a timeline: plain text, as all below."""
    by = f", by {row.by_name}" if row.by_name else ""
    before = f" (was {row.before})" if row.before and row.before != row.version else ""
    return f"deploy D-{row.id}: {row.version}{before} begins in {row.environment}{by}"


def ended(row: Any) -> str:
    what = {
        Status.SUCCEEDED.value: "was deployed",
        Status.FAILED.value: "failed to deploy",
        Status.REPLACED.value: "was replaced before it was done",
    }[row.status]
    why = f": {row.why}" if row.why and row.status == Status.FAILED.value else ""
    return f"deploy D-{row.id}: {row.version} {what} in {row.environment}{why}"


def checked(row: Any) -> str:
    names = ", ".join(one["name"] for one in table.found_of(row)[:MOST_FOUND])
    return f"deploy D-{row.id}: the checks after {row.version} say {row.verdict}{f' ({names})' if names else ''}"


def ago(at: float, now: float) -> str:
    return f"{duration(max(0.0, now - at))} ago"


def _utc(at: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at)) if at is not None else ""


def _date(at: float) -> str:
    short = time.strftime("%H:%M:%S UTC", time.gmtime(at))
    return f"<!date^{int(at)}^{{time_secs}}|{short}>"
