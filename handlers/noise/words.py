"""What people read of noise control: the announcements, the shared list, and the answers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bot.integrations.alertmanager import Silence
from bot.integrations.slack.words import escape
from handlers.incidents.words import Blocks, button, duration, fitted
from handlers.noise import table
from handlers.noise.weigh import Kind, clock

ICON: Mapping[Kind, str] = {Kind.MAINTENANCE: "🔧", Kind.DRILL: "🧪", Kind.SILENCE: "🔕"}
END_LINE, UNSILENCE_LINE = "maintenance end", "incident unsilence"
"""The commands behind the buttons that end one."""
DATE = re.compile(r"<!date\^[^|>]*\|([^>]*)>")
LENGTHS = (("30m", "30 min", 1800), ("2h", "2 hours", 7200), ("8h", "8 hours", 28800), ("24h", "24 hours", 86400))


def told(row: Any) -> list[str]:
    """The services whose channels hear of a silence: those it names."""
    return list(json.loads(row.services))


def instant(at: float) -> str:
    """A time as each reader's Slack shows it, and as UTC where it cannot."""
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time}}|{clock(at)}>"


def utc(text: str) -> str:
    """The same text for where it is not Slack that shows it: times in UTC."""
    return DATE.sub(r"\1", text)


def what(row: Any) -> str:
    """``maintenance of docs-api``, ``drill of docs-slo``, ``silence of INC-3``; mrkdwn."""
    return f"{row.kind} of {escape(row.name)}"


def scope(row: Any) -> str:
    """Which alerts it is about, in words; empty when its name says it all. mrkdwn."""
    quiet = table.quiet(row)
    parts = [f"`{one}`" for one in quiet.matchers]
    if quiet.services and list(quiet.services) != [row.name]:
        parts.insert(0, f"service {', '.join(quiet.services)}")
    return f" (only {escape(', '.join(parts))})" if parts and not row.key else ""


def begun(row: Any) -> tuple[str, Blocks]:
    """Announces it in the service's channel, with the button that ends it. (text, blocks)."""
    reason = f": {escape(row.reason)}" if row.reason else ""
    text = (
        f"{ICON[Kind(row.kind)]} {_first(what(row))}{scope(row)} is on until {instant(row.end_at)}, "
        f"by {escape(row.by_name)}{reason}. Its alerts wake nobody until then; what still fires at the end is acted on then."
    )
    return fitted(text, [_section(text), _actions([button("End it now", END_LINE, str(row.id))])])


def ended(row: Any, *, held: int, still: int) -> str:
    """Says that it is over, what it held, and what is acted on now. mrkdwn."""
    by = "by itself" if row.ended_by == "itself" else f"by {escape(row.ended_by)}"
    kept = "It held no alert." if not held else f"It held {_alerts(held)}; "
    if held:
        fire = "1 still fires and is acted on now." if still == 1 else f"{still} still fire and are acted on now."
        kept += fire if still else "none still fires."
    return f"✅ {_first(what(row))}{scope(row)} is over, ended {by}. {kept}"


def line(row: Any, *, now: float, held: int = 0, still: int = 0) -> str:
    """One silence on one line, mrkdwn."""
    reason = f": {escape(row.reason)}" if row.reason else ""
    kept = f" Held {_alerts(held)}, {still} of them now." if held else " Held nothing so far."
    left = f"{duration(row.end_at - now)} left" if row.end_at > now else "ending"
    icon = ICON[Kind(row.kind)]
    return (
        f"{icon} *#{row.id}* {what(row)}{scope(row)} until {instant(row.end_at)} ({left}), "
        f"by {escape(row.by_name)}{reason}.{kept}"
    )


def silenced(row: Any, said: str, *, real: bool) -> tuple[str, Blocks]:
    """What the thread hears of a silence of its incident, with the button that ends it. (text, blocks)."""
    reason = f": {escape(row.reason)}" if row.reason else ""
    where = "here and in Alertmanager" if real else "here alone: they come through no Alertmanager that I can ask"
    text = (
        f"{escape(said)} until {instant(row.end_at)} by {escape(row.by_name)}{reason}. What is no worse than now wakes "
        f"nobody until then, {where}; what still fires at the end is acted on then."
    )
    return fitted(text, [_section(text), _actions([button("End silence", UNSILENCE_LINE, row.name)])])


def plain_silenced(row: Any) -> str:
    """The same for the timeline, plain."""
    conditions = ", ".join(str(one) for one in table.quiet(row).matchers)
    said = f"silenced by {row.by_name} until {clock(row.end_at)}{f' ({row.reason})' if row.reason else ''}"
    return f"{said}: {conditions}" if conditions else said


def on_panel(row: Any, incident: Any) -> dict[str, Any]:
    """Who has silenced an incident and until when, with the button that ends it. ``row``: the silence's."""
    reason = f": {escape(row.reason[:200])}" if row.reason else ""
    text = f"{ICON[Kind.SILENCE]} *Silenced* until {instant(row.end_at)} by {escape(row.by_name)}{reason}"
    end = button("End silence", UNSILENCE_LINE, f"INC-{incident.number}")
    return {**_section(text), "accessory": end}


def behind(held: Mapping[str, int]) -> dict[str, Any]:
    """Which alerts stand behind an open incident, by service."""
    parts = ", ".join(f"{escape(name)} {n}" for name, n in sorted(held.items(), key=lambda one: (-one[1], one[0]))[:15])
    total = sum(held.values())
    return _section(
        f"*Held behind it:* {_alerts(total)} ({parts}). What still fires when this is resolved is acted on then."
    )


def flapping(count: int, *, within: float, quiet: float) -> str:
    """What the thread hears when an incident begins to flap, once; mrkdwn."""
    return (
        f"〰 It flaps: {count} changes within {duration(within)}. It stays open until it has been quiet for {duration(quiet)}, "
        "and nobody is paged anew unless it gets worse; the panel counts on."
    )


def flaps(state: Any) -> dict[str, Any]:
    """The summary of an incident that flaps, in its panel."""
    said = f"*Flaps:* {state.changes} changes, the last {instant(state.last_at)}, flapping since {instant(state.since)}"
    return _section(f"〰 {said}. It stays open until it is quiet; nobody is paged anew.")


def choices(number: int, longest: float) -> tuple[str, Blocks]:
    """Offers lengths for which an incident may be silenced. (text, blocks)."""
    ref = f"INC-{number}"
    text = f"For how long? Or `incident silence 2h {ref} REASON…`. What gets worse than it is now still pages."
    offered = [(name, said) for name, said, seconds in LENGTHS if seconds <= longest]
    buttons = [button(said, f"incident silence {name}", ref) for name, said in offered]
    return fitted(text, [_section(text), _actions(buttons)])


def not_done(number: int, what: str, reason: str) -> str:
    """Says in the thread that Alertmanager did not do what was asked, mrkdwn. ``what``: made or ended."""
    if what == "made":
        return f"⚠ The silence could not be made in Alertmanager: {escape(reason)}. Mine holds all the same."
    return (
        f"⚠ The silence could not be ended in Alertmanager: {escape(reason)}. End it there by hand, or nobody hears of "
        f"INC-{number} until it ends by itself."
    )


def elsewhere(one: Silence, alerts: int) -> str:
    """One silence that somebody made in Alertmanager, mrkdwn."""
    conditions = ", ".join(
        f'{m.name}{"=" if m.equal else "!"}{"~" if m.regex else "" if m.equal else "="}"{m.value}"'
        for m in one.matchers
    )
    keeps = f"It keeps {_alerts(alerts)} from me now." if alerts else "No alert that fires meets it."
    return (
        f"{ICON[Kind.SILENCE]} `{escape(conditions[:200])}` until {escape(one.ends_at)} ({one.state}), "
        f"by {escape(one.created_by[:60])}: {escape(one.comment[:120])}. {keeps}"
    )


def by_rule(one: Any) -> str:
    """How many alerts a rule of captain.yml holds, mrkdwn."""
    why = {
        Kind.INHIBITED.value: f"stand behind INC-{one.incident}, which is open",
        Kind.COOLDOWN.value: f"wait since INC-{one.incident} has just ended (noise.cooldown)",
        Kind.FLAP.value: f"wait to fire steadily, for INC-{one.incident} came and went too often (noise.flap)",
    }
    return f"{_alerts(one.n)} {why[one.kind]}"


def flaps_line(state: Any) -> str:
    """An incident that flaps, mrkdwn."""
    return f"INC-{state.incident} flaps: {state.changes} changes, the last {instant(state.last_at)}; it stays open until it is quiet"


def history(row: Any) -> str:
    """What held alerts at some time, with its beginning and end, mrkdwn."""
    reason = f": {escape(row.reason)}" if row.reason else ""
    by = "by itself" if row.ended_by == "itself" else f"by {escape(row.ended_by)}"
    end = f"until {clock(row.end_at)}" if row.ended_at is None else f"ended {by} at {clock(row.ended_at)}"
    return f"#{row.id}, {what(row)}{scope(row)}, from {clock(row.made_at)} by {escape(row.by_name)}{reason}, {end}"


def planned(name: str, start: float, end: float) -> str:
    """One window that is to come, mrkdwn."""
    return f"{escape(name)}: {instant(start)} to {instant(end)}"


def over(row: Any) -> str:
    """Says of one that is over when and by whom it ended, mrkdwn."""
    by = "by itself" if row.ended_by == "itself" else f"by {escape(row.ended_by)}"
    return f"#{row.id}, {what(row)}, ended {by} {instant(row.ended_at)}. Nothing was changed."


def listing(
    rows: Sequence[Any], counts: Mapping[int, tuple[int, int]], more: Mapping[str, Sequence[str]]
) -> tuple[str, Blocks]:
    """All that holds alerts now, with how many each has held. (text, blocks). ``more``: further parts by their titles."""
    now = time.time()
    head = f"*{len(rows)} on*" if rows else "Nothing is silenced and no maintenance is on."
    lines, blocks = [head], [_section(head)]
    for row in rows:
        held, still = counts[row.id]
        lines.append(line(row, now=now, held=held, still=still))
        blocks.append({**_section(lines[-1]), "accessory": button("End it now", END_LINE, str(row.id))})
    for title, said in more.items():
        if said:
            lines += [f"*{title}*", *said]
            blocks.append(_section("\n".join([f"*{title}*", *said[:15]])))
    return fitted("\n".join(lines), blocks)


def _alerts(n: int) -> str:
    return "1 alert" if n == 1 else f"{n} alerts"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _actions(elements: Blocks) -> dict[str, Any]:
    return {"type": "actions", "block_id": "silence", "elements": elements}


def _first(text: str) -> str:
    """With its first letter large."""
    return text[:1].upper() + text[1:]
