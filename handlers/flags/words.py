"""What is shown of flags: the message in the channel, the alarm when one stays on, the list, the sentences in between."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bot.integrations.slack.words import escape, fit
from handlers.catalogue import Service
from handlers.flags import table
from handlers.flags.rules import Seen, Status
from handlers.incidents.words import duration

Blocks = list[dict[str, Any]]

ICON: Mapping[Status, str] = {
    Status.ASKED: "⏳",
    Status.TURNING_ON: "⏳",
    Status.ON: "🟠",
    Status.TURNING_OFF: "⏳",
    Status.OFF: "✅",
    Status.NOT_APPLIED: "✘",
}
CHOICES = "`flag extend {name} --for 30m` keeps it on for longer, `flag off {name}` switches it off now."
BUTTON_EXTENDS = "30m"


def panel(row: Any, trouble: str) -> tuple[str, Blocks]:
    """The message of one switching-on: what is on, until when, by whom, why, and what went wrong. (text, blocks)."""
    head = f"{_icon(row, trouble)} *{escape(row.name)}* {_state(row, trouble, _date)}"
    told = [f"Asked by {_who(row)} at {_date(row.asked_at)}{_because(row)}.", f"It stands in {_where(row)}."]
    if trouble:
        told.append(f"{_sentence(trouble)} I keep trying.")
    blocks: Blocks = [_section(head), _section("\n".join(told))]
    if row.status in (Status.ASKED.value, Status.TURNING_ON.value, Status.ON.value):
        blocks.append(_buttons(row))
    kept, text = fit(blocks, f"{_icon(row, trouble)} {escape(row.name)} {_state(row, trouble, _utc)}{_because(row)}")
    return text, kept


def alarm(row: Any, trouble: str, owners: Sequence[str], *, now: float) -> tuple[str, Blocks]:
    """Said anew in the channel, since nobody is told of an edit: it should be off and is not known to be. (text, blocks)."""
    late = duration(now - table.due(row))
    still = f"⚠ *{escape(row.name)} {_still(row)}.* It should be off since {_date(table.due(row))}, {late} ago."
    told = [
        still,
        f"{_sentence(trouble or 'Nobody has answered yet')} I keep trying, a minute apart at most.",
    ]
    back = _back(row)
    by_hand = "take the value out" if back is None else f"set it to '{escape(back)}'"
    told.append(f"By hand: in {escape(str(table.spot_of(row).target))}, {by_hand}.")
    wake = [f"<@{row.asker}>"] if row.asker else [escape(row.asked_by)]
    told.append(f"Wake {' or '.join([*wake, *(escape(owner) for owner in owners)])}.")
    kept, text = fit([_section("\n".join(told))], still)
    return text, kept


def calm(row: Any) -> tuple[str, Blocks]:
    """What becomes of the alarm when it is off at last. (text, blocks)."""
    late = duration(max(0.0, (row.off_at or 0.0) - table.due(row)))
    text = f"✅ *{escape(row.name)}* is off since {_date(row.off_at)}, {late} late."
    return text, [_section(text)]


def not_applied(row: Any) -> str:
    """Said in the thread, to whoever asked."""
    return f"✘ {_whom(row)}*{escape(row.name)}* was not switched on: {escape(row.why)}."


def changed(row: Any, seen: Seen) -> str:
    """Somebody else has changed it while it was on."""
    return f"⚠ {_whom(row)}somebody else set *{escape(row.name)}* to {_value(seen.value)} meanwhile. I leave that alone: it is over."


def left(row: Any, seen: Seen) -> str:
    """The undo has found another value than ours, or somebody who asks for the same."""
    if seen.rivals and seen.value == table.spot_of(row).on:
        who = ", ".join(escape(name) for name in seen.rivals)
        return (
            f"⚠ {_whom(row)}*{escape(row.name)}* stays at {_value(seen.value)}: {who} asks for that too, and I do not "
            "take it from them. If that is not wanted, change it there."
        )
    return f"*{escape(row.name)}* was at {_value(seen.value)}, which is not my doing: I left it at that and took my mark away."


def again(row: Any) -> str:
    """It was off and has come back on."""
    return f"⚠ *{escape(row.name)}* came on again after its end (a request that was late, or an object restored). I switch it off."


def asked(row: Any, service: Service | None, *, chat: bool) -> str:
    """The answer to who wants it on: nothing has happened yet, and where to see that it does."""
    where = f"{escape(service.channel)} shows" if chat and service is not None else "`flag list` shows"
    return (
        f"⏳ *{escape(row.name)}* is being switched on until {_utc(row.until)}; {where} when it is. It goes off by itself. "
        + CHOICES.format(name=row.name)
    )


def line(row: Any, *, now: float, trouble: str = "") -> str:
    """One switching-on on one line, mrkdwn that also reads well on a terminal."""
    left = f" ({duration(row.until - now)} left)" if row.status == Status.ON.value and row.until > now else ""
    said = f"{_icon(row, trouble)} *{escape(row.name)}* {_state(row, trouble, _utc)}{left}"
    said += f"; asked by {escape(row.asked_by)}{_because(row)}"
    return said + (f"\n      {_sentence(trouble)} I keep trying." if trouble else "")


def listing(rows: Sequence[tuple[Any, str]], idle: Sequence[tuple[str, Any]], *, now: float) -> tuple[str, Blocks]:
    """What is on, with the trouble each has, and what could be: (name, its last switching-on or None). (text, blocks)."""
    lines = [line(row, now=now, trouble=trouble) for row, trouble in rows]
    lines = lines or ["Nothing is switched on. ✅"]
    for name, last in idle:
        told = "never switched on" if last is None else _state(last, "", _utc)
        lines.append(f"· {escape(name)}: {told}")
    blocks: Blocks = [_section("\n".join(lines[i : i + 10])) for i in range(0, len(lines), 10)]
    kept, text = fit(blocks, "\n".join(lines))
    return text, kept


def _icon(row: Any, trouble: str) -> str:
    return "⚠" if row.status == Status.TURNING_OFF.value and trouble else ICON[Status(row.status)]


def _state(row: Any, trouble: str, at: Any) -> str:
    """``is on until 14:20:00 UTC``; ``at`` says a time."""
    status = Status(row.status)
    if status is Status.ON:
        return f"is on until {at(row.until)}"
    if status is Status.TURNING_OFF:
        if trouble:
            return f"{_still(row)}: it should be off since {at(table.due(row))}"
        return f"is being switched off by {escape(row.off_by)}"
    if status is Status.OFF:
        return f"is off since {at(row.off_at)}, switched off by {escape(row.off_by)}"
    if status is Status.NOT_APPLIED:
        return f"was not switched on: {escape(row.why)}"
    return f"is being switched on, until {at(row.until)}"


def _still(row: Any) -> str:
    return "is STILL ON" if row.on_at is not None else "MAY BE ON"


def _where(row: Any) -> str:
    spot = table.spot_of(row)
    said = f"{escape(str(spot.target))}: on is {_value(spot.on)}"
    return said + (f", then back to {_value(_back(row))}" if row.prior else "")


def _back(row: Any) -> str | None:
    back: str | None = json.loads(row.prior)["back"] if row.prior else None
    return back


def _value(value: str | None) -> str:
    return "nothing" if value is None else f"'{escape(value[:60])}'"


def _because(row: Any) -> str:
    return f": {escape(row.reason[:300])}" if row.reason else ""


def _sentence(text: str) -> str:
    said = escape(text[:500]).strip()
    return said if said.endswith((".", "!", "?", "…")) else f"{said}."


def _who(row: Any) -> str:
    return f"*{escape(row.asked_by)}*"


def _whom(row: Any) -> str:
    return f"<@{row.asker}> " if row.asker else ""


def _utc(at: float) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(at))


def _date(at: float) -> str:
    return f"<!date^{int(at)}^{{time_secs}}|{_utc(at)}>"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _buttons(row: Any) -> dict[str, Any]:
    """The value names the very switching-on: a button that is pressed late must not end another."""
    ref = f"{row.name}#{row.id}"
    off = {
        "type": "button", "action_id": "flag off", "value": ref, "style": "danger",
        "text": {"type": "plain_text", "text": "Switch off"},
    }  # fmt: skip
    extend = {
        "type": "button", "action_id": "flag extend", "value": f"{ref} --for {BUTTON_EXTENDS}",
        "text": {"type": "plain_text", "text": "Extend 30 min"},
    }  # fmt: skip
    return {"type": "actions", "block_id": "flag", "elements": [off, extend]}
