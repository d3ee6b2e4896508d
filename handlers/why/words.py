"""Tells why: one incident's story, or what came in, a line each, as mrkdwn that Slack takes whatever was sent to us."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.effects import State
from bot.integrations.slack.words import clip, escape, fit
from handlers.incidents import words as incidents
from handlers.incidents.rules import Severity
from handlers.why.find import SEARCHED_DAYS, Matches, Story, Window
from handlers.why.what import ByName, ByTime, clock_of

Blocks = list[dict[str, Any]]

NAME, SAID = 60, 240
"""Characters of a name and of a sentence in one line."""
A_SECTION = 2800
"""Characters of one section; Slack takes 3000."""
MOVES = ("acknowledged", "mitigated", "resolved", "closed", "reopened")
TOLD = ("paging", "paged", *MOVES, "severity", "effect", "repair")
"""The timeline's kinds that belong to the question."""
EFFECT_NAMES: Mapping[str, str] = dict(incidents.SHOWN_EFFECTS)
STUCK = (State.RETRYING.value, State.GAVE_UP.value)
HELD = "What holds alerts back, or did"
NOT_OUT = "⚠ Pages that are not out"
ANSWERS = (
    "Whoever sends to me hears 202 for what I took, 4xx for what I refused and 503 when my database did not answer "
    "(send it again); what I took or refused is written down and would be shown here. If the sender says it delivered, "
    "look at Alertmanager's own log, its route and its receiver's url: it did not reach me."
)


def story(found: Story, now: float) -> tuple[str, Blocks]:
    """Why the people of an incident were paged, or nobody. (text, blocks)."""
    row = found.row
    head = [incidents.list_line(row), answer(found, now)]
    came = [_of_incident(alert, now) for alert in found.alerts]
    if found.more:
        came.insert(len(came) // 2, f"… and {_n(found.more, 'more alert')} of it …")
    if row.source != "alert":
        came.insert(0, f"`{clock_of(row.opened_at, now)}` {escape(row.opened_by)} opened it {_how(row)}")
    order = {kind: n for n, kind in enumerate(EFFECT_NAMES)}
    told = [effect for effect in found.effects if effect.kind in order or effect.state in STUCK]
    owed = [_effect(effect, now) for effect in sorted(told, key=lambda one: order.get(one.kind, len(order)))]
    happened = [_happened(event, now) for event in found.events if event.kind in TOLD]
    parts = {
        "What came in": came,
        "What was owed for it": owed,
        "What happened": happened[-12:],
        "What PagerDuty told me": [_event(event, now) for event in found.heard],
    }
    return _fitted(
        head, parts, f"Times are UTC. `incident show INC-{row.number}` has the panel and the whole timeline."
    )


def answer(found: Story, now: float) -> str:
    """The question's answer in one sentence; of what is folded into a storm also of the one that called instead."""
    if found.caller is None:
        return _answer(found, now)
    instead = f"INC-{found.caller.row.number}: {_answer(found.caller, now)}"
    return f"*Its own page is folded*, because {_reason(found, 'pages nobody: ')}. {instead}"


def _answer(found: Story, now: float) -> str:
    row = found.row
    page = next((effect for effect in reversed(found.effects) if effect.kind == "page"), None)
    if page is None:
        return f"*Nobody was paged*, because {_reason(found, 'pages nobody: ')}."
    state, on_call = State(page.state), f"The on-call of {escape(row.service)}"
    if state is State.DONE:
        tried = "" if page.attempt <= 1 else f", at try {page.attempt}"
        took = (
            f"PagerDuty took the page at {clock_of(page.done_at, now)}, after {_took(page.done_at - page.created_at)}"
        )
        reason = _reason(found, f"pages the on-call of {row.service}: ")
        return f"*{on_call} was paged*, because {reason}: {took}{tried}."
    if state is State.GAVE_UP:
        mend = f"Once that is mended: `incident repair INC-{row.number}`."
        return f"*Nobody has been paged:* {_said(page.reason)}. It was given up at try {page.attempt}. {mend}"
    if state is State.RETRYING:
        again = f"The next is at {clock_of(page.due_at, now)}; call the on-call yourself."
        return f"*Nobody has been paged yet:* try {page.attempt} failed: {_said(page.reason)}. {again}"
    if state is State.SKIPPED:
        return f"*Nobody was paged:* {_said(page.reason)}."
    return f"*{on_call} is being paged:* the page is owed since {clock_of(page.created_at, now)} and on its way."


def window(asked: ByTime, found: Window, now: float, held: Sequence[str] = ()) -> tuple[str, Blocks]:
    """Everything that came in between two times, in the order it came. (text, blocks). ``held``: what held alerts then."""
    start, end = clock_of(asked.start, now), clock_of(asked.end, asked.start)
    head = f"*{asked.said[0].upper()}{asked.said[1:]}* ({start} to {end} UTC)"
    if found.empty:
        nothing = "no alert, no refused payload, no PagerDuty event, and nobody opened an incident"
        return _fitted([f"{head} nothing came in: {nothing}.", ANSWERS], {HELD: held}, "")
    lines = [(row.received_at, _alert(row, now)) for row in found.alerts]
    lines += [(row.received_at, _refusal(row, now)) for row in found.refusals]
    lines += [(row.received_at, _event(row, now)) for row in found.events]
    lines += [(row.opened_at, _by_hand(row, said, now)) for row, said in found.by_hand]
    lines += [(row.paged_at, _page(row, now)) for row in found.pages]
    shown = [line for _, line in sorted(lines, key=lambda one: float(one[0]))]
    if found.more:
        shown.append(f"… and {', '.join(f'{n} more {what}' for what, n in found.more.items())}")
    if not shown:
        shown = ["Nothing new."]
    parts = {
        NOT_OUT: [_unpaged(row, now) for row in found.unpaged],
        HELD: held,
        "What came in": shown,
        "Known before, and sent again since": [_alert(row, now) for row in found.again],
    }
    return _fitted([head], parts, "`why INC-…` tells one incident's story.")


def matches(asked: ByName, found: Matches, near: str, now: float, held: Sequence[str] = ()) -> tuple[str, Blocks]:
    """The latest alerts and refusals that carry a name. ``near``: a name that may be meant. (text, blocks).

    ``held``: what of that name holds alerts now.
    """
    back = f"back to {clock_of(found.since, now)} UTC" if found.since else f"of the last {SEARCHED_DAYS} days"
    name, near = _code(asked.text), f" Did you mean {_code(near)}?" if near else ""
    if not (found.alerts or found.refusals or found.by_hand):
        head = f"*No alert and no refused payload carries {name}.*{near}"
        looked = f"I looked for an alertname, a fingerprint, a service, or any label's value, in the alerts {back}."
        return _fitted([head, looked, ANSWERS], {HELD: held}, "")
    alerts = [_alert(row, now) for row in found.alerts]
    if found.more:
        alerts.append(f"… and {found.more}{' or more' if found.many else ''} older ones")
    parts = {
        NOT_OUT: [_unpaged(row, now) for row in found.unpaged],
        HELD: held,
        "Alerts": alerts,
        "Refused": [_refusal(row, now) for row in found.refusals],
        "Opened without an alert": [_by_hand(row, said, now) for row, said in found.by_hand],
    }
    searched = f" I searched the alerts {back}." if found.since else ""
    return _fitted([f"*The latest about {name}*, newest first"], parts, f"Times are UTC.{searched}")


def plain(row: Any) -> dict[str, Any]:
    """A stored row as plain JSON: what was stored as JSON text is given as what it says."""
    made = dict(row._mapping)  # noqa: SLF001 - the public name of a row's columns
    for name in ("labels", "annotations", "args", "result", "about") + (("payload",) if "kind" in made else ()):
        if isinstance(made.get(name), str):
            made[name] = json.loads(made[name])
    return made


# ---- lines ----------------------------------------------------------------------------------------------------------


def _alert(row: Any, now: float) -> str:
    return f"`{clock_of(row.received_at, now)}` alert {_code(_alertname(row))} of {_said(row.service)} {_verdict(row, now)}"


def _of_incident(row: Any, now: float) -> str:
    return f"`{clock_of(row.received_at, now)}` alert {_code(_alertname(row))} {_verdict(row, now)}"


def _verdict(row: Any, now: float) -> str:
    does = "fires" if row.status == "firing" else "ended"
    verdict = _said(row.verdict) if row.verdict else "not decided yet"
    again = ""
    if row.repeats:
        again = f" It came {_n(row.repeats, 'more time')}, last at {clock_of(row.seen_at, now)}: nobody is paged twice."
    return f"{does} ({_code(row.fingerprint[:16])}): {verdict}.{again}"


def _refusal(row: Any, now: float) -> str:
    held = ", ".join(_code(name) for name in _held(row.payload))
    what = f" It held {held}." if held else ""
    # The sender of a delivery that was taken otherwise saw a success: the very case in which somebody asks.
    how = f"refused with {row.status}" if row.status >= 400 else f"refused, in a delivery answered with {row.status}"
    return f"`{clock_of(row.received_at, now)}` ✘ {how} ({_said(row.source)}): {_said(row.reason)}.{what}"


def _event(row: Any, now: float) -> str:
    event = json.loads(row.payload)["event"]
    verdict = row.verdict or "not decided yet"
    said = f"{event['type']} by {event['agent']}"
    return f"`{clock_of(row.received_at, now)}` PagerDuty: {_said(said)}: {_said(verdict)}."


def _by_hand(row: Any, said: str, now: float) -> str:
    opened = f"{row.opened_by} opened INC-{row.number} ({row.severity}, {row.service}) {_how(row)}"
    return f"`{clock_of(row.opened_at, now)}` {_said(opened)}{f': {_said(said)}' if said else ''}."


def _how(row: Any) -> str:
    return "by hand" if row.source == "person" else "by itself"


def _page(row: Any, now: float) -> str:
    return f"`{clock_of(row.paged_at, now)}` PagerDuty took the page of INC-{row.number} ({_said(row.service)})."


def _unpaged(row: Any, now: float) -> str:
    state, said = State(row.state), _said(row.reason)
    if state is State.RETRYING:
        said = f"nobody has been paged yet, try {row.attempt} failed and the next is at {clock_of(row.due_at, now)}: {said}"
    elif state is State.GAVE_UP:
        said = f"nobody has been paged, and I gave up: {said}"
    elif state is State.SKIPPED:
        said = f"nobody was paged: {said}"
    else:
        said = "the page is on its way"
    return f"`{clock_of(row.created_at, now)}` INC-{row.about}: {said}."


def _effect(row: Any, now: float) -> str:
    state, tries = State(row.state), _n(row.attempt, "try", "tries")
    if state is State.DONE:
        said = f"done after {_took(row.done_at - row.created_at)}, {tries}"
    elif state is State.RETRYING:
        said = f"{tries}, the next at {clock_of(row.due_at, now)}: {_said(row.reason)}"
    elif state is State.GAVE_UP:
        said = f"✘ given up after {tries}: {_said(row.reason)}"
    elif state is State.SKIPPED:
        said = f"not done: {_said(row.reason)}"
    else:
        said = "waits for what comes before it" if state is State.WAITING else "on its way"
    return f"`{clock_of(row.created_at, now)}` {EFFECT_NAMES.get(row.kind, row.kind)}: {said}"


def _happened(event: Any, now: float) -> str:
    at, text = clock_of(event.at, now), _said(event.text)
    if event.kind in MOVES:
        return f"`{at}` {event.kind} {text}" if text.startswith("by ") else f"`{at}` {event.kind}: {text}"
    return f"`{at}` {escape(event.actor)}: {text}"


def _reason(found: Story, after: str) -> str:
    """The reason that was stored when it was decided; without one, what the incident itself says."""
    since = found.row.reopened_at or 0.0  # what was decided before it was over has no part in why it pages again
    paging = [event.text for event in found.events if event.kind == "paging" and event.at >= since]
    told = [alert.verdict or "" for alert in found.alerts if alert.received_at > since]
    told = paging + told if since else told + paging
    # The first thing that paged did it; that nobody was paged is as the last decision left it.
    reasons = [text.partition(after)[2] for text in told if after in text]
    reason = (reasons[-1] if after.startswith("pages nobody") else reasons[0]) if reasons else ""
    if not reason:
        severity = Severity(found.row.severity)
        reason = f"it is {severity.value}"
        if after == "pages nobody: ":
            reason += ", and no page was owed when that was decided"
    return _said(reason)


def _alertname(row: Any) -> str:
    return str(json.loads(row.labels).get("alertname", "?"))


def _held(payload: str) -> list[str]:
    """The names of the alerts in a refused payload, three at most; none when it cannot be read."""
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError):
        return []
    found = data.get("alerts", [data]) if isinstance(data, dict) else []
    alerts = [alert for alert in found if isinstance(alert, dict)] if isinstance(found, list) else []
    labels = [alert["labels"] for alert in alerts if isinstance(alert.get("labels"), dict)]
    names = dict.fromkeys(str(one["alertname"]) for one in labels if one.get("alertname"))
    return [*list(names)[:3], *(["…"] if len(names) > 3 else [])]


def _said(text: str) -> str:
    """A sentence from outside, without its full stop."""
    return escape(clip(" ".join(text.split()).rstrip("."), SAID))


def _code(text: str) -> str:
    """A name from outside: nothing in it is read as formatting."""
    return f"`{escape(clip(' '.join(text.replace('`', chr(39)).split()), NAME)) or '?'}`"


def _took(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds >= 0.1 else f"{max(0.0, seconds):.2f} s"
    return incidents.duration(seconds)


def _n(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _fitted(head: Sequence[str], parts: Mapping[str, Sequence[str]], tail: str) -> tuple[str, Blocks]:
    """Head, titled parts and a last line; (text, blocks) that Slack takes."""
    blocks: Blocks = [_section("\n".join(head))]
    text = list(head)
    for title, lines in parts.items():
        if lines:
            titled = [f"*{title}*", *lines]
            blocks += [_section(chunk) for chunk in _chunks(titled)]
            text += titled
    if tail:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": tail}]})
        text.append(tail)
    kept, said = fit(blocks, "\n".join(text))
    return said, kept


def _chunks(lines: Iterable[str]) -> list[str]:
    made: list[str] = []
    for line in lines:
        if made and len(made[-1]) + len(line) < A_SECTION:
            made[-1] += f"\n{line}"
        else:
            made.append(line)
    return made


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}
