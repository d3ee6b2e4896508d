"""What is shown of an incident: the panel, the thread's messages, the ticket's text, the lists."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bot.effects import State
from bot.integrations.slack.words import escape, fit
from handlers.desk import Desk
from handlers.incidents import latest, rules, table
from handlers.incidents.rules import Deed, Severity, Status
from runbooks import Outcome

Blocks = list[dict[str, Any]]

STATUS_ICON: Mapping[Status, str] = {
    Status.TRIGGERED: "🔴",
    Status.ACKNOWLEDGED: "🟠",
    Status.MITIGATED: "🟡",
    Status.RESOLVED: "✅",
    Status.CLOSED: "✔",
}
DEED_BUTTONS: Mapping[Deed, tuple[str, str]] = {
    Deed.ACKNOWLEDGE: ("Acknowledge", "incident ack"),
    Deed.MITIGATE: ("Mitigate", "incident mitigate"),
    Deed.RESOLVE: ("Resolve", "incident resolve"),
    Deed.CLOSE: ("Close", "incident close"),
    Deed.REOPEN: ("Reopen", "incident reopen"),
}
"""(label, command) of each deed's button."""
SEVERITY_WORD: Mapping[Severity, str] = {
    Severity.SEV1: "sev1 · critical",
    Severity.SEV2: "sev2 · major",
    Severity.SEV3: "sev3 · minor",
}
OUTCOME_ICON: Mapping[Outcome, str] = {
    Outcome.PASS: "✔",
    Outcome.FAIL: "✘",
    Outcome.INCONCLUSIVE: "◐",
    Outcome.NO_DATA: "∅",
    Outcome.ERROR: "⚠",
}
USER = re.compile(r"[UW][A-Z0-9]{2,}")
"""A Slack user's id."""
MOST_ROLES = 6
"""Roles in the panel: Slack takes ten fields in a section, and four are the incident's own."""
WORST_FIRST = (Outcome.FAIL, Outcome.ERROR, Outcome.NO_DATA, Outcome.INCONCLUSIVE, Outcome.PASS)
"""What a reader must see first stands first."""
SHOWN_EFFECTS = (
    ("page", "PagerDuty"),
    ("page-ack", "PagerDuty acknowledge"),
    ("page-resolve", "PagerDuty resolve"),
    ("ticket", "Jira"),
    ("ticket-reopen", "Jira reopen"),
    ("ticket-done", "Jira done"),
    ("ticket-move", "Jira status"),
    ("checks", "Checks"),
    ("room", "Channel"),
    ("room-panel", "Channel's panel"),
    ("room-pin", "Channel's pin"),
    ("room-topic", "Channel's topic"),
    ("room-links", "Channel's bookmarks"),
    ("room-invite", "Channel's invitations"),
    ("room-oncall", "Channel's on-call"),
)
UNLESS_DONE = "room-"
"""What is part of a channel is shown while it is not done: the channel itself shows the rest."""
"""The effects a reader asks about, in this order; the thread itself is proof of Slack."""
OVER = (State.DONE.value, State.SKIPPED.value)
ROOT_GONE = "the incident's message is gone: somebody deleted it. Repair posts it anew"
"""Why a panel was given up that repair brings back."""


def panel(
    row: Any, effects: Sequence[Any], asked: Sequence[Any] = (), roles: Sequence[Any] = (), more: Sequence[Any] = ()
) -> tuple[str, Blocks]:
    """The root message: what burns, how bad, who has it, and the truth about each effect. (text, blocks).

    ``asked``: what differs outside, was asked in the thread and has no answer. ``more``: blocks about its storm and its silence.
    """
    status, severity = Status(row.status), Severity(row.severity)
    text = escape(f"{STATUS_ICON[status]} INC-{row.number} {row.service}: {row.title} ({status.value})")
    blocks: Blocks = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": f"{STATUS_ICON[status]} INC-{row.number} · {row.title}"},
        },
        {
            "type": "section",
            "fields": [
                _field("Severity", SEVERITY_WORD[severity]),
                _field("Status", standing(row)),
                _field("Service", row.service),
                _field("Environment", row.environment),
                *(_role(one) for one in roles[:MOST_ROLES]),
            ],
        },
    ]
    if row.test:
        text = f"🧪 TEST {text}"
        blocks[0]["text"]["text"] = f"🧪 TEST · INC-{row.number} · {row.title}"
    alarms = [line for line in (_alarm(row, effects), _frozen(row), *(one.text for one in asked)) if line]
    if alarms:
        blocks.insert(1, {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(alarms)}})
    told = _told(row)
    if told:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": told}})
    blocks += more
    last = latest.panel(row, now=time.time())
    if last:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": last}})
    context = [{"type": "mrkdwn", "text": line} for line in (truth(row, effects), _when(row)) if line]
    blocks.append({"type": "context", "elements": context})
    buttons = _buttons(row, effects)
    if row.source == "storm" and not status.open:
        buttons = [one for one in buttons if one["action_id"] != DEED_BUTTONS[Deed.REOPEN][1]]  # it is never reopened
    if buttons:
        blocks.append({"type": "actions", "block_id": "incident", "elements": buttons})
    return fitted(text, blocks)


def _buttons(row: Any, effects: Sequence[Any]) -> Blocks:
    """What can be done now. An action id is the command it runs; its value is the command's argument."""
    ref, status = f"INC-{row.number}", Status(row.status)
    made = []
    for deed in rules.possible(status):
        one = button(*DEED_BUTTONS[deed], ref)
        if deed is Deed.ACKNOWLEDGE:
            one["style"] = "primary"
        if deed is Deed.REOPEN and not status.open:
            one["confirm"] = _confirm("Reopen it?", f"{ref} is {status.value}. Reopening pages the on-call again.")
        made.append(one)
    if status.open:
        made.append(button("Update", "incident update", ref))
    if status.open and row.source == "alert":
        made.append(button("Silence…", "incident silence", ref))
    if status.open and any(effect.kind == "checks" for effect in effects):
        made.append(button("Run checks", "incident checks", ref))
    if table.given_up(effects, open_=status.open):
        made.append(button("Repair", "incident repair", ref))
    return made


def _confirm(title: str, text: str) -> dict[str, Any]:
    """A question that Slack asks before it sends what was pressed."""
    said = {"title": title, "text": text, "confirm": title.removesuffix(" it?"), "deny": "Cancel"}
    return {name: {"type": "plain_text", "text": value} for name, value in said.items()}


def still_fires(number: int, names: Sequence[str]) -> tuple[str, Blocks]:
    """Asks whether an incident is to be resolved whose alerts fire. (text, blocks)."""
    shown = ", ".join(f"`{escape(name[:60])}`" for name in sorted(set(names))[:5])
    fire = f"{shown} still fires" if len(names) == 1 else f"{len(names)} alerts still fire ({shown})"
    why = "nobody is paged for what fires now until it has ended and starts anew"
    text = f"INC-{number} stays open: {fire}. If you resolve it all the same, {why}."
    confirm = button("Resolve anyway", "incident resolve --anyway", f"INC-{number}")
    said = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    blocks: Blocks = [said, {"type": "actions", "block_id": "still-fires", "elements": [confirm]}]
    return f"{text} `incident resolve INC-{number} --anyway` does it.", blocks


def nothing(row: Any, deed: Deed, *, now: float) -> str:
    """Why a deed did nothing: the state it found, since when, and what to do instead."""
    status, ref = Status(row.status), f"INC-{row.number}"
    found = {
        Status.TRIGGERED: (row.reopened_at or row.opened_at, ""),
        Status.ACKNOWLEDGED: (row.acked_at, row.acked_by),
        Status.MITIGATED: (row.mitigated_at, row.mitigated_by),
        Status.RESOLVED: (row.resolved_at, row.resolved_by),
        Status.CLOSED: (row.closed_at, row.closed_by),
    }
    since, who = found[status]
    ago = f"{duration(now - since)} ago"
    if status is Status.TRIGGERED:
        said = f"Nothing changed: {ref} is open since {duration(now - since)}, and nobody has it yet."
    else:
        said = f"Nothing changed: {ref} was {status.value} by {escape(who)} {ago}."
    if deed is Deed.CLOSE and status.open:
        return f"{said} Only what is resolved can be closed: `incident resolve {ref}`."
    if deed is not Deed.CLOSE and not status.open:
        return f"{said} If it burns again: `incident reopen {ref}`."
    return said


def moved(before: Status, deed: Deed, actor: str, text: str) -> str:
    """What the thread is told of a deed, plain. ``text``: ``by NAME …``, or why it happened by itself."""
    how = f" {text}." if text.startswith("by ") else f": {text}."
    if deed is Deed.ACKNOWLEDGE:
        return f"✋ Acknowledged by {actor}."
    if deed is Deed.MITIGATE:
        return f"🟡 Mitigated{how} Its cause is still there: resolve it when that is gone."
    if deed is Deed.RESOLVE:
        return f"✅ Resolved{how}"
    if deed is Deed.CLOSE:
        return f"✔ Closed{how}"
    if before.open:
        return f"🟠 Reopened{how} The mitigation did not hold; nobody is paged again for it."
    return f"🔴 Reopened{how}"


def button(label: str, line: str, value: str) -> dict[str, Any]:
    """A button that runs a command: ``line`` its words, ``value`` its argument."""
    return {"type": "button", "action_id": line, "value": value, "text": {"type": "plain_text", "text": label}}


def standing(row: Any) -> str:
    status = Status(row.status)
    if status is Status.TRIGGERED:
        return "triggered, nobody has it yet"
    if status is Status.ACKNOWLEDGED:
        return f"acknowledged by {row.acked_by}"
    if status is Status.MITIGATED:
        return f"mitigated by {row.mitigated_by}; {row.acked_by} has it"
    resolved = f"resolved by {row.resolved_by} after {duration(row.resolved_at - row.opened_at)}"
    return f"closed by {row.closed_by}; {resolved}" if status is Status.CLOSED else resolved


def _told(row: Any) -> str:
    said = table.about(row)
    lines = []
    if row.source == "alert":
        name = said.get("slo") or said.get("alertname", "")
        burn = f", {said['burn']} burn" if said.get("burn") not in (None, "", "none") else ""
        lines.append(f"*What burns:* {escape(name)}{escape(burn)}")
    if said.get("meaning"):
        lines.append(escape(said["meaning"]))
    if said.get("description"):
        lines.append(escape(said["description"]))
    if said.get("message"):
        lines.append(f"Declared from <{escape(said['message'])}|a message>")
    if said.get("before"):
        lines.append(f"*The same before:* {escape(said['before'])}")
    found = links(row)
    if found:
        lines.append(" · ".join(f"<{escape(url)}|{escape(text)}>" for text, url in found))
    if row.room:
        lines.append(f"*Channel:* <#{row.room}>" + (f", its thread is in <#{row.channel}>" if row.thread_ts else ""))
    if row.ticket_key:
        lines.append(f"*Ticket:* <{escape(row.ticket_url)}|{escape(row.ticket_key)}>")
    return "\n".join(lines)


def links(row: Any) -> list[tuple[str, str]]:
    """(text, address) of what helps at once; only addresses a browser opens."""
    said = table.about(row)
    wanted = (("Runbook", said.get("runbook_url", "")), ("Dashboard", said.get("dashboard", "")))
    return [(text, url) for text, url in wanted if url.startswith(("https://", "http://")) and "|" not in url]


def truth(row: Any, effects: Sequence[Any]) -> str:
    """``PagerDuty ✔ 0.4 s · Jira ⏳ retry 3 in 40 s``: only what is stored as accepted gets a tick.

    Checks that have run show their verdict, never a tick for having run.
    """
    # Of one kind the newest counts, but for one that was not wanted any more when its turn came.
    bykind = {effect.kind: effect for effect in effects if effect.state == State.SKIPPED.value}
    bykind |= {effect.kind: effect for effect in effects if effect.state != State.SKIPPED.value}
    parts = []
    for kind, name in SHOWN_EFFECTS:
        effect = bykind.get(kind)
        if effect is not None and not (kind.startswith(UNLESS_DONE) and effect.state in OVER):
            said = row.checks if kind == "checks" and row.checks else _effect(effect)
            parts.append(f"{name} {said}")
    return " · ".join(parts) if parts else "Nothing is owed to PagerDuty or Jira for this incident."


def _alarm(row: Any, effects: Sequence[Any]) -> str:
    """Said in full size while it is true: somebody should have been woken and has not been."""
    if not table.is_open(row) or row.test or row.umbrella is not None:
        return ""
    page = next((effect for effect in reversed(effects) if effect.kind == "page"), None)
    if page is None and not Severity(row.severity).pages:
        return ""
    if page is None:
        return "⚠ *Nobody is paged:* PagerDuty is not configured for this service. Call the on-call yourself."
    why = escape(page.reason[:300])
    said = {
        State.WAITING: "⚠ *Nobody has been paged again yet:* the page before is being resolved in PagerDuty. I keep trying.",
        State.GAVE_UP: f"⚠ *Nobody has been paged:* {why} Call the on-call yourself.",
        State.RETRYING: f"⚠ *Nobody has been paged yet:* {why} I keep trying; call the on-call yourself.",
    }
    return said.get(State(page.state), "")


def _frozen(row: Any) -> str:
    """Said while nothing is known: what looks calm may burn."""
    if row.frozen_at is None or not table.is_open(row):
        return ""
    return f"∅ *No data since {_instant(row.frozen_at)}:* nobody knows whether it still burns. Only a person ends it."


def _effect(row: Any) -> str:
    state = State(row.state)
    if state is State.DONE:
        took = max(0.0, row.done_at - row.created_at)
        return f"✔ {took:.1f} s" if took >= 0.1 else f"✔ {took:.2f} s"
    if state is State.RETRYING and row.due_at <= time.time():
        return f"⏳ not done yet ({escape(row.reason[:120])})"
    if state is State.RETRYING:
        left = max(0, round(row.due_at - time.time()))
        at = f"<!date^{int(row.due_at)}^{{time_secs}}|{time.strftime('%H:%M:%S', time.gmtime(row.due_at))} UTC>"
        return f"⏳ retry {row.attempt} in {left} s, at {at} ({escape(row.reason[:120])})"
    if state is State.GAVE_UP:
        return f"✘ {escape(row.reason[:200])}"
    if state is State.SKIPPED:
        return f"· {escape(row.reason[:120])}"
    return "⏳ on its way"


def _when(row: Any) -> str:
    told = [f"Opened by {escape(row.opened_by)} {_instant(row.opened_at)}"]
    if row.reopened_at is not None:
        told.append(f"Reopened {_instant(row.reopened_at)}")
    if row.mitigated_at is not None:
        told.append(f"Mitigated by {escape(row.mitigated_by)} {_instant(row.mitigated_at)}")
    if row.resolved_at is not None:
        told.append(f"Resolved {_instant(row.resolved_at)}")
    if row.closed_at is not None:
        told.append(f"Closed {_instant(row.closed_at)}")
    return " · ".join(told)


def _instant(at: float) -> str:
    """A time as each reader's Slack shows it, and as UTC where it cannot."""
    said = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
    return f"<!date^{int(at)}^{{date_short}} {{time_secs}}|{said}>"


def _role(one: Any) -> dict[str, str]:
    return {"type": "mrkdwn", "text": f"*{escape(one.role.capitalize())}*\n{person(one.person, one.name)}"}


def person(ident: str, name: str) -> str:
    """Somebody, as Slack shows them: a mention where their id is known, mrkdwn."""
    return f"<@{ident}>" if USER.fullmatch(ident) else escape(name)


def _field(name: str, value: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": f"*{name}*\n{escape(value)}"}


def ticket_text(desk: Desk, row: Any) -> str:
    """The ticket's description, plain text."""
    said = table.about(row)
    lines = [
        row.title,
        "",
        f"Incident INC-{row.number}, {row.severity}, service {row.service}, environment {row.environment}.",
        f"Opened by {row.opened_by} at {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(row.opened_at))}.",
    ]
    if said.get("description"):
        lines += ["", said["description"]]
    lines += [f"{text}: {url}" for text, url in links(row)]
    if desk.public_url:
        lines += ["", f"Reported by Release Captain ({desk.public_url})."]
    return "\n".join(lines)


def listing(rows: Sequence[Any], *, everything: bool, total: int = 0) -> tuple[str, Blocks]:
    """Incidents, a line each. (text, blocks). ``total``: how many are open, where that is more than are shown."""
    if not rows:
        text = "No incident has ever been opened." if everything else "No incident is open. ✅"
        return text, [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
    lines = [list_line(row) for row in rows]
    count = max(total, len(rows))
    head = f"{count} incident{'s' if count != 1 else ''}" + ("" if everything else " open")
    head += f", {len(rows)} of them shown" if count > len(rows) else ""
    blocks: Blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": f"*{head}*"}}]
    blocks += [
        {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines[i : i + 10])}}
        for i in range(0, len(lines), 10)
    ]
    return fitted("\n".join([head, *lines]), blocks)


def list_line(row: Any) -> str:
    """One incident on one line, mrkdwn."""
    status = Status(row.status)
    age = duration((row.resolved_at or time.time()) - row.opened_at)
    who = f", {escape(row.acked_by)} has it" if status in (Status.ACKNOWLEDGED, Status.MITIGATED) else ""
    who += f", in INC-{row.umbrella}" if row.umbrella is not None else ""
    return (
        f"{STATUS_ICON[status]} *INC-{row.number}* {row.severity} {escape(row.service)}: "
        f"{escape(row.title[:120])} ({status.value}, {age}{who})"
    )


def detail(
    row: Any,
    effects: Sequence[Any],
    events: Sequence[Any],
    asked: Sequence[Any] = (),
    roles: Sequence[Any] = (),
    more: Sequence[Any] = (),
    listed: Sequence[str] = (),
) -> tuple[str, Blocks]:
    """One incident with the truth about its effects and its timeline. (text, blocks). ``listed``: what is folded in."""
    _, blocks = panel(row, effects, asked, roles, more)
    has = [f"{one.role}: {escape(one.name)}" for one in roles]
    lines = [
        f"`{time.strftime('%H:%M:%S', time.gmtime(event.at))}` {escape(event.actor)}: {escape(_happened(event))}"
        for event in events[-20:]
    ]
    if lines:
        blocks.insert(
            -1, {"type": "section", "text": {"type": "mrkdwn", "text": "*Timeline (UTC)*\n" + "\n".join(lines)}}
        )
    blocks[-1:-1] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(listed[i : i + 10])}}
        for i in range(0, len(listed), 10)
        if row.source == "storm"
    ]
    told = [*(one.text for one in asked), truth(row, effects), *listed]
    text = "\n".join([list_line(row), *has, *latest.plain(row), *told, *lines])
    return fitted(text, blocks)


def _happened(event: Any) -> str:
    """What an event says; where it says no more than by whom, also what that was."""
    return f"{event.kind} {event.text}" if event.text.startswith("by ") else str(event.text)


def fitted(text: str, blocks: Blocks) -> tuple[str, Blocks]:
    """Whatever was said, Slack takes it: nothing is lost because it was too long. ``text`` is mrkdwn."""
    kept, said = fit(blocks, text)
    return said, kept


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 5 s``, ``2 h 10 min``, ``3 d 4 h``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
