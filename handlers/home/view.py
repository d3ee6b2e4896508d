"""The Home tab as Slack takes it: every part has its share of the blocks, and what does not fit is counted; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.integrations.slack.words import clip, escape, fit_view
from handlers.actions import words as action_words
from handlers.flags import words as flag_words
from handlers.home.facts import Facts
from handlers.home.turns import Turns
from handlers.incidents import declare, latest, rules, stuck, words
from handlers.incidents.latest import ago, clock, one_line
from handlers.incidents.rules import Deed, Status
from handlers.incidents.words import Blocks, button

MINE, OTHERS, STUCK, FLAGS, SERVICES = 10, 25, 5, 3, 40
"""How many of each are shown: two blocks for each of mine, one for each other and each stuck, ten services in one."""
HIDDEN = ("looks",)
"""Lanes that owe nothing to an outside service: who looks at this page is why they have something to do."""
LANES: Mapping[str, str] = {"pagerduty": "PagerDuty", "slack": "Slack", "jira": "Jira", "kubernetes": "Kubernetes"}
OFFERED = (Deed.ACKNOWLEDGE, Deed.MITIGATE, Deed.RESOLVE)
TITLE, UPDATE, LINE = 150, 200, 280
"""Characters of a title, of an update and of a line about who is on call."""


def view(found: Facts) -> dict[str, Any]:
    """The whole tab of one person, as Slack's views.publish takes it."""
    blocks: Blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Release Captain"}},
        *_mine(found),
        *_others(found),
        {"type": "divider"},
        *_on_call(found.on_call, found.command),
        *(flag_words.listing(found.flags, (), now=found.now)[1][:FLAGS] if found.flags or found.has_flags else ()),
        *(action_words.listing(found.actions, (), now=found.now)[1][:FLAGS] if found.actions else ()),
        {"type": "divider"},
        _section(_owed(found.owed)),
        *_stuck(found),
        *([_context(found.watchdogs)] if found.watchdogs else ()),
        _context(f"As of {clock(found.now)}. `{escape(found.command)} help` lists what you can ask for."),
    ]
    return fit_view({"type": "home", "blocks": blocks})


# ---- incidents ---------------------------------------------------------------------------------------------------------


def _mine(found: Facts) -> Blocks:
    """What the person has to do with, each with the buttons for what they may do to it."""
    blocks: Blocks = [_section(f"*Yours, <@{found.user}>*")] if found.mine else []
    for row, why in found.mine[:MINE]:
        blocks.append(_section(f"{_incident(row, found)}\n_{escape(why)}_{_told(row, found)}"))
        elements = [
            button(*words.DEED_BUTTONS[deed], f"INC-{row.number}")
            for deed in OFFERED
            if deed in rules.possible(Status(row.status)) and found.may(*words.DEED_BUTTONS[deed][1].split())
        ]
        if found.may("incident", "update"):
            elements.append(button("Update", "incident update", f"INC-{row.number}"))
        if elements:
            blocks.append({"type": "actions", "elements": elements})
    return blocks + _more(len(found.mine) - MINE, f"{found.command} incident list")


def _others(found: Facts) -> Blocks:
    """What else is open; with nothing open, what to do when something burns."""
    blocks: Blocks = []
    if found.others:
        blocks.append(_section(f"*{'Also open' if found.mine else 'Open'}*"))
    elif not found.mine:
        blocks.append(_section(f"Hello <@{found.user}>. No incident is open. ✅"))
        if found.may("incident", "open"):
            line = f"{found.command} incident open sev2 SERVICE what is wrong"
            blocks.append(_context(f"If something burns: the button below, or `{escape(line)}`."))
    for row in found.others[:OTHERS]:
        offered = "incident update"
        if row.status == Status.TRIGGERED.value and found.may("incident", "ack"):
            offered = "incident ack"
        label = "Acknowledge" if offered == "incident ack" else "Update"
        accessory = {}
        if found.may(*offered.split()):
            accessory = {"accessory": button(label, offered, f"INC-{row.number}")}
        blocks.append(_section(f"{_incident(row, found)}{_told(row, found)}") | accessory)
    blocks += _more(len(found.others) - OTHERS, f"{found.command} incident list")
    if found.may("incident", "open"):
        blocks.append({"type": "actions", "elements": [button("Open an incident", declare.CALLBACK, "form")]})
    return blocks


def _incident(row: Any, found: Facts) -> str:
    """One incident, mrkdwn; of one that is hidden that there is one and how it stands."""
    status = Status(row.status)
    head = f"{words.STATUS_ICON[status]} *INC-{row.number}* {escape(row.severity)}"
    if row.number in found.hidden:
        return f"{head} private incident ({status.value}, opened {ago(row.opened_at)})"
    test = "TEST " if row.test else ""
    who = f", {_part(row.acked_by, 80)} has it" if status is not Status.TRIGGERED else ", nobody has it yet"
    where = f" · <#{row.channel}>" if row.channel else ""
    text = f"{test}{_part(row.service, 80)}: {_part(row.title, TITLE)}"
    return f"{head} {text}\n{status.value}{who} · opened {ago(row.opened_at)}{where}"


def _told(row: Any, found: Facts) -> str:
    """What was last told of it and when the next is promised, on lines of their own; or nothing."""
    if row.number in found.hidden:
        return ""
    lines = []
    if row.update_at is not None:
        lines.append(f"> {_part(row.update_text, UPDATE)} ({_part(row.update_by, 80)}, {clock(row.update_at)})")
    due = latest.promise(row, now=found.now)
    if due:
        lines.append(f"> {due}")
    return "".join(f"\n{line}" for line in lines)


# ---- on call -----------------------------------------------------------------------------------------------------------


def _on_call(turns: Turns | None, command: str) -> Blocks:
    """Who is on call now, a line for each service, with the age of the answer."""
    if turns is None:
        return []
    if not turns.reads:
        return [_context("Set pagerduty.api_token in captain.yml, and this shows who is on call.")]
    why = f" PagerDuty does not answer: {_part(turns.why, 300)}" if turns.why else ""
    if turns.at is None:
        said = "asking PagerDuty …" if turns.asking else "not known."
        return [_section(f"*On call now:* {said}{why}")]
    lines = [_service(one) for one in turns.answers[:SERVICES]]
    blocks = [_section(f"*On call now*, as PagerDuty said {ago(turns.at)}.{why}")]
    blocks += [_section("\n".join(lines[i : i + 10])) for i in range(0, len(lines), 10)]
    return blocks + _more(len(turns.answers) - SERVICES, f"{command} oncall")


def _service(answer: Mapping[str, Any]) -> str:
    """``*docs-api*: Alice until 14:00; then Bob``: the first level with its end, the others by name."""
    head = f"*{_part(str(answer['service']), 60)}*: "
    if answer["missing"]:
        return head + _part(str(answer["missing"]), LINE)
    parts: list[str] = []
    for level in answer["levels"]:
        names = ", ".join(_part(str(one["name"]), 60) for one in level["now"][:4]) or "⚠ nobody now"
        ends = [float(one["until"]) for one in level["now"] if one["until"]]
        until = f" until {clock(min(ends))}" if ends and not parts else ""
        parts.append(f"{names}{until}")
    return head + "; then ".join(parts[:4])


# ---- what is owed ------------------------------------------------------------------------------------------------------


def _owed(owed: Mapping[str, tuple[int, float]]) -> str:
    lines = [
        f"*{LANES.get(lane, lane)}*: {n} not done, the oldest {words.duration(age)} old"
        for lane, (n, age) in sorted(owed.items())
        if lane not in HIDDEN
    ]
    if not lines:
        return "Nothing is owed to PagerDuty, Slack or Jira."
    return "*Still owed*\n" + "\n".join(lines)


def _stuck(found: Facts) -> Blocks:
    """What is stuck, the worst first, with a button that tries it again for who may."""
    said = stuck.count_line(found.stuck)
    if not said:
        return []
    may = found.may("incident", "repair")
    blocks: Blocks = [_section(said)]
    for one in found.stuck[:STUCK]:
        block = _section(stuck.line(one, now=found.now))
        if may and one.about is not None:
            block["accessory"] = button("Repair", "incident repair", f"INC-{one.about}")
        blocks.append(block)
    blocks += _more(len(found.stuck) - STUCK, f"{found.command} incident repair")
    if may:
        blocks.append({"type": "actions", "elements": [button("Repair all", "incident repair", "--all")]})
    return blocks


# ---- pieces ------------------------------------------------------------------------------------------------------------


def _more(n: int, line: str) -> Blocks:
    return [_context(f"… {n} more: `{escape(line)}`.")] if n > 0 else []


def _part(text: str, most: int) -> str:
    return escape(clip(one_line(text), most))


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}
