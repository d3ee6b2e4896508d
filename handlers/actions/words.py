"""What is shown of actions: the message in the channel, the alarm when one is not undone, the list, the sentences between."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.integrations.slack.words import escape, fit
from handlers.actions import table
from handlers.actions.kinds import Action, Parameter
from handlers.actions.plan import Plan
from handlers.actions.rules import BEFORE, Status
from handlers.desk import Desk
from handlers.flags.rules import Seen
from handlers.incidents.words import duration

Blocks = list[dict[str, Any]]
ICON: Mapping[Status, str] = {
    Status.ASKED: "⏳",
    Status.WAITING: "✋",
    Status.CHECKING: "⏳",
    Status.TURNING_ON: "⏳",
    Status.ON: "🟠",
    Status.TURNING_OFF: "⏳",
    Status.OFF: "✅",
    Status.DONE: "✅",
    Status.NOT_APPLIED: "✘",
    Status.REFUSED: "✘",
    Status.EXPIRED: "✘",
    Status.FAILED: "⚠",
}
LAPSED = "nobody agreed in time"
EDITED = "what it would do is no longer what was asked for: captain.yml has been changed since. Ask anew"
MOST_DIFF = 2400


def panel(desk: Desk, row: Any, trouble: str) -> tuple[str, Blocks]:
    """The message of one request: what changes, who asked and agreed, how it stands, what went wrong. (text, blocks)."""
    action = desk.actions.get(row.name)
    title = f": {escape(action.title)}" if action is not None and action.title else ""
    blocks: Blocks = [
        _section(f"{_icon(row, trouble)} *{escape(row.name)}* ACT-{row.id} {_state(row, trouble, _date)}{title}")
    ]
    told = [f"Asked by *{escape(row.asked_by)}* at {_date(row.asked_at)}{_because(row)}.{_agreed(row)}"]
    if row.parameters != "{}":
        told.append(escape(", ".join(f"{key}={value}" for key, value in json.loads(row.parameters).items())))
    made = table.plan_of(row)
    told += _terms(row, made, action)
    if row.checked:
        told.append(_sentence(row.checked))
    if trouble:
        told.append(f"{_sentence(trouble)} I keep trying.")
    if action is not None and action.hint:
        told.append(escape(action.hint))
    blocks.append(_section("\n".join(told)))
    if row.diff:
        blocks.insert(1, _section(_fenced(row.diff, f"`action show ACT-{row.id}` shows all of it.")))
    buttons = _buttons(row, undoable=made.undoable)
    if buttons:
        blocks.append({"type": "actions", "block_id": "action", "elements": buttons})
    text = f"{_icon(row, trouble)} {escape(row.name)} ACT-{row.id} {_state(row, trouble, _utc)}{_because(row)}"
    kept, said = fit(blocks, text)
    return said, kept


def alarm(row: Any, trouble: str, owners: Sequence[str], *, now: float) -> tuple[str, Blocks]:
    """Said anew in the channel, since nobody is told of an edit: it should be undone and is not. (text, blocks)."""
    due = table.due(row) or now
    still = f"⚠ *{escape(row.name)} ACT-{row.id} {_still(row)}.* It should be since {_date(due)}, {duration(now - due)} ago."
    told = [still, f"{_sentence(trouble or 'Nobody has answered yet')} I keep trying, a minute apart at most."]
    told.append(f"{by_hand(row)} Then say `action undo ACT-{row.id} --by-hand`.")
    wake = [f"<@{row.asker}>"] if row.asker else [escape(row.asked_by)]
    told.append(f"Wake {' or '.join([*wake, *(escape(owner) for owner in owners)])}.")
    kept, text = fit([_section("\n".join(told))], still)
    return text, kept


def by_hand(row: Any) -> str:
    """How a person undoes it without us."""
    made = table.plan_of(row)
    if made.spot is not None:
        back = json.loads(json.loads(row.prior)["back"]) if row.prior else {}
        back = {path: value for path, value in back.items() if made.spot.fields.get(path) != value}
        was = ", ".join(
            f"{path} to {'nothing' if value is None else json.dumps(value)}" for path, value in back.items()
        )
        return f"By hand: in {escape(made.spot.target)}, set {escape(was)}."
    undone = next((line for line in row.diff.splitlines() if line.startswith("undone by ")), "")
    return f"By hand: {escape(undone.removeprefix('undone by '))}."


def calm(row: Any) -> tuple[str, Blocks]:
    """What becomes of the alarm when it is over at last. (text, blocks)."""
    text = f"✅ *{escape(row.name)}* ACT-{row.id} {_state(row, '', _date)}."
    return text, [_section(text)]


def not_done(row: Any) -> str:
    """Said in the thread, to whoever asked."""
    return f"✘ {_whom(row)}*{escape(row.name)}* ACT-{row.id} {_state(row, '', _utc)}. Nothing was changed."


def wanted(row: Any, action: Action) -> str:
    """Said in the thread when somebody has to agree: Slack tells nobody of a message that is edited."""
    until = _date(row.approve_by or 0.0)
    return f"⏳ {approvers(action)}: *{escape(row.name)}* ACT-{row.id} waits until {until} for one of you who did not ask for it."


def failed(row: Any, why: str, *, for_good: bool) -> str:
    """It was begun, and failed or was not heard of."""
    then = "There is no undo: look what has become of it" if for_good else "I undo what may have been done"
    return f"⚠ {_whom(row)}*{escape(row.name)}* ACT-{row.id} failed: {_sentence(why)} {then}."


def not_passed(row: Any, said: str) -> str:
    """The checks after it do not pass."""
    then = "I undo it." if table.plan_of(row).undoable else "It has no undo."
    return f"⚠ {_whom(row)}after *{escape(row.name)}* ACT-{row.id}: {_sentence(said)} {then}"


def changed(row: Any, seen: Seen) -> str:
    """Somebody else has changed it while it was on."""
    said = f"⚠ {_whom(row)}somebody else changed what *{escape(row.name)}* ACT-{row.id} had set, to"
    return f"{said} {escape((seen.value or 'nothing')[:200])}. I leave that alone: it is over."


def left(row: Any) -> str:
    """The undo has found other values than ours, or somebody who asks for the same."""
    return (
        f"⚠ {_whom(row)}what *{escape(row.name)}* ACT-{row.id} had set is not only my doing any more: I left it as it is and "
        "took my mark away. If that is not wanted, change it there."
    )


def again(row: Any) -> str:
    """It was undone and has come back."""
    return f"⚠ *{escape(row.name)}* ACT-{row.id} came on again after its end (a request that was late). I undo it."


def asked(desk: Desk, row: Any) -> str:
    """The answer to who wants it: nothing has happened yet, and where to see that it does."""
    service = desk.services.get(row.service)
    where = f"{escape(service.channel)} shows" if desk.outside.chat and service is not None else "`action list` shows"
    then = "it waits for a second person" if row.approval else "it is done"
    return f"⏳ *{escape(row.name)}* ACT-{row.id} is looked at; then {then}. {where} how it goes, and `action show ACT-{row.id}`."


def dry(name: str, lines: Sequence[str], why: str, action: Action, *, approval: bool, span: float | None) -> str:
    """What a dry run has found: exactly what would change."""
    if not lines:
        return f"`{escape(name)}` could not be done now: {escape(why)}.\nThis was a dry run: nothing was changed."
    then = [f"it could not be done now: {why}" if why else ""]
    then.append(f"after {duration(span)} it is undone by itself" if span else "")
    then.append("it stands until somebody undoes it" if action.lasting else "")
    then.append(f"there is no way back: {action.undo.none}" if action.undo.none else "")
    then.append("a second person has to agree" if approval else "nobody else has to agree")
    then.append(f"{action.check.before} must pass before" if action.check.before else "")
    then.append(f"{action.check.after} must pass after" if action.check.after else "")
    told = escape("; ".join(part for part in then if part))
    told = told[0].upper() + told[1:]
    return f"`{escape(name)}` would do this:\n{_fenced(chr(10).join(lines))}\n{told}.\nThis was a dry run: nothing was changed."


def line(row: Any, *, now: float, trouble: str = "") -> str:
    """One request on one line, mrkdwn that also reads well on a terminal."""
    left_s = (
        f" ({duration(row.until - now)} left)" if row.status == Status.ON.value and (row.until or 0.0) > now else ""
    )
    said = f"{_icon(row, trouble)} *{escape(row.name)}* ACT-{row.id} {_state(row, trouble, _utc)}{left_s}"
    said += f"; asked by {escape(row.asked_by)}{_because(row)}{_agreed(row, ', ')}"
    return said + (f"\n      {_sentence(trouble)} I keep trying." if trouble else "")


def listing(
    rows: Sequence[tuple[Any, str]], idle: Sequence[tuple[str, Action, Any]], *, now: float
) -> tuple[str, Blocks]:
    """What is under way, with the trouble each has, and what could be done: (name, action, last request). (text, blocks)."""
    lines = [line(row, now=now, trouble=trouble) for row, trouble in rows] or ["No action is under way. ✅"]
    for name, action, last in idle:
        told = "never run" if last is None else f"ACT-{last.id} {_state(last, '', _utc)}"
        lines.append(
            f"· {escape(name)}{f': {escape(action.title)}' if action.title else ''} ({escape(action.service)}); {told}"
        )
    blocks: Blocks = [_section("\n".join(lines[i : i + 10])) for i in range(0, len(lines), 10)]
    kept, text = fit(blocks, "\n".join(lines))
    return text, kept


def described(name: str, action: Action, rows: Sequence[Any], *, approval: bool, now: float) -> str:
    """What an action is: what it does, how it is undone, its parameters, who agrees, and its last requests."""
    lines = [f"*{escape(name)}*: {escape(action.title or name)} ({escape(action.service)})"]
    lines += [f"Parameter {_parameter(one, parameter)}" for one, parameter in action.parameters.items()]
    back = next(iter(action.undo.model_fields_set))
    lines.append(f"Does: {action.do.kind}. Undo: {f'none, {escape(action.undo.none)}' if action.undo.none else back}.")
    if not action.undo.none:
        lines.append(
            f"It is undone by itself after {action.ttl}." if action.ttl else "It stands until somebody undoes it."
        )
    lines.append(f"A second person has to agree: {approvers(action)}." if approval else "Nobody else has to agree.")
    for when, runbook in (("before", action.check.before), ("after", action.check.after)):
        if runbook:
            lines.append(f"The runbook {escape(runbook)} must pass {when} it.")
    if action.hint:
        lines.append(escape(action.hint))
    return "\n".join([*lines, *(line(row, now=now) for row in rows)])


def detail(row: Any, trouble: str, *, now: float) -> str:
    """One request with what it changes."""
    lines = [line(row, now=now, trouble=trouble)]
    if row.diff:
        lines.append(_fenced(row.diff))
    if row.checked:
        lines.append(_sentence(row.checked))
    if row.seal:
        lines.append(f"Its seal is {row.seal}; an approval is for exactly that.")
    return "\n".join(lines)


def approvers(action: Action) -> str:
    """Who may agree, mrkdwn."""
    names = [escape(name) for name in (*action.approval.by, *action.approval.people)]
    return ", ".join([*names, *([f"<!subteam^{action.approval.group}>"] if action.approval.group else [])]) or "Nobody"


def _terms(row: Any, made: Plan, action: Action | None) -> list[str]:
    """What else somebody has to know who may agree: who that is, how it ends, and the checks around it."""
    told = [f"There is no way back: {escape(made.none)}"] if made.none else []
    if Status(row.status) not in BEFORE:
        return told
    if row.status == Status.WAITING.value and action is not None:
        told.append(f"May agree, but for who asked: {approvers(action)}.")
    if not made.none:
        told.append(
            f"It is undone by itself {duration(made.ttl)} after that."
            if made.ttl
            else "It stands until somebody undoes it."
        )
    told += [f"The runbook {escape(made.before)} must pass before it."] if made.before else []
    told += [f"The runbook {escape(made.after)} must pass after it."] if made.after else []
    return told


def _fenced(text: str, rest: str = "") -> str:
    """As it is, whatever signs it holds. ``rest``: where to read on, when that is more than a message takes."""
    kept = text = text.replace("```", "'''")
    while rest and len(escape(kept)) > MOST_DIFF:
        kept = kept[: len(kept) * 9 // 10]
    return f"```{escape(kept)}```" if kept == text else f"```{escape(kept)} …```\nThat is not all: {rest}"


def _parameter(name: str, parameter: Parameter) -> str:
    valid = f"one of {', '.join(parameter.choices)}" if parameter.choices else f"matching `{parameter.pattern}`"
    given = f", {parameter.default} by default" if parameter.default is not None else ""
    return (
        f"`{escape(name)}`: {escape(valid)}{escape(given)}{f' ({escape(parameter.about)})' if parameter.about else ''}"
    )


def _icon(row: Any, trouble: str) -> str:
    return "⚠" if row.status == Status.TURNING_OFF.value and trouble else ICON[Status(row.status)]


def _state(row: Any, trouble: str, at: Callable[[float], str]) -> str:
    """``is on until 14:20:00 UTC``; ``at`` says a time."""
    status, who = Status(row.status), escape(row.off_by)
    if status is Status.TURNING_OFF and trouble:
        return f"{_still(row)}: it should be since {at(table.due(row) or 0.0)}"
    return {
        Status.ASKED: "is looked at",
        Status.WAITING: f"waits for a second person until {at(row.approve_by or 0.0)}",
        Status.CHECKING: "waits for the checks before it",
        Status.TURNING_ON: "is being done",
        Status.ON: f"is done and stands until {at(row.until)}"
        if row.until
        else "is done and stands until somebody undoes it",
        Status.TURNING_OFF: f"is being undone by {who}",
        Status.OFF: f"was undone at {at(row.off_at or 0.0)} by {who}",
        Status.DONE: f"was done at {at(row.on_at or 0.0)}",
        Status.NOT_APPLIED: f"was not done: {escape(row.why).rstrip('.')}",
        Status.REFUSED: f"was refused by {who}: {escape(row.why).rstrip('.')}",
        Status.EXPIRED: f"was not done: {escape(row.why).rstrip('.')}",
        Status.FAILED: f"FAILED, and has no undo: {escape(row.why).rstrip('.')}",
    }[status]


def _still(row: Any) -> str:
    return "is STILL NOT UNDONE" if row.on_at is not None else "MAY BE DONE AND IS NOT UNDONE"


def _agreed(row: Any, before: str = " ") -> str:
    if not row.approved_by:
        return ""
    return (
        f"{before}approved by {escape(row.approved_by)}"
        if before != " "
        else f" Approved by {escape(row.approved_by)}."
    )


def _because(row: Any) -> str:
    """Of a private incident's action not: the reason may tell what nobody else may know."""
    return f": {escape(row.reason[:300])}" if row.reason and not row.quiet else ""


def _sentence(text: str) -> str:
    said = escape(text[:500]).strip()
    return said if said.endswith((".", "!", "?", "…")) else f"{said}."


def _whom(row: Any) -> str:
    return f"<@{row.asker}> " if row.asker else ""


def _utc(at: float) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(at))


def _date(at: float) -> str:
    return f"<!date^{int(at)}^{{time_secs}}|{_utc(at)}>"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _buttons(row: Any, *, undoable: bool) -> list[dict[str, Any]]:
    """The value names the very request, and what would be agreed to: a button that is pressed late agrees to nothing else."""
    ref, status = f"ACT-{row.id}", Status(row.status)
    if status is Status.WAITING:
        agree = _button("Approve", "action approve", f"{ref} --seal {row.seal}", "primary")
        return [agree, _button("Refuse", "action refuse", ref, "danger")]
    if (status in (Status.TURNING_ON, Status.ON) and undoable) or status in (Status.ASKED, Status.CHECKING):
        label = "Undo" if status in (Status.TURNING_ON, Status.ON) else "Withdraw"
        return [_button(label, "action undo", ref, "danger")]
    return []


def _button(label: str, line: str, value: str, style: str) -> dict[str, Any]:
    text = {"type": "plain_text", "text": label}
    return {"type": "button", "action_id": line, "value": value, "style": style, "text": text}
