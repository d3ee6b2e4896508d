"""Reminds whoever should act: one reminder is owed at any time, for later; acting cancels it, and a kill forgets none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import EFFECTS, UNSETTLED, Effect, Outcome, State, Task, Tx
from bot.integrations.slack.words import escape
from handlers.desk import Desk
from handlers.incidents import latest, table, words
from handlers.incidents.rules import Deed, Reminder, Status, reminder_of
from handlers.incidents.table import TIMELINE

KIND, LANE = "remind", "reminders"
DOUBLED = 6
"""How often the pause until the next reminder doubles: a thread must not hold reminders alone."""
MACHINES = ("Alertmanager", "Grafana", "A webhook", "PagerDuty", "Release Captain")
"""Actors whose events are no news from people."""
OFFERS: Mapping[Reminder, tuple[Deed, ...]] = {
    Reminder.ACKNOWLEDGE: (Deed.ACKNOWLEDGE,),
    Reminder.UPDATE: (Deed.MITIGATE, Deed.RESOLVE),
    Reminder.CLOSE: (Deed.CLOSE,),
}
"""The buttons below each; one that asks for news also has a form for them."""
TELLS = "communications"
"""The role that is reminded of a promised update before the lead is, where captain.yml has it and somebody has it."""
LATE = 60.0
"""Seconds after which a promised update is not merely due."""
Show = Callable[[Tx, int], None]
"""Owes an edit of an incident's panel: (tx, the incident's number)."""
Say = Callable[[Tx, Any, str, str, words.Blocks], None]
"""Owes a message in an incident's thread: (tx, the incident's row, its name there, text, blocks)."""


def begin(desk: Desk, tx: Tx, number: int, uid: str) -> None:
    """Owe a new incident's first reminder."""
    _owe(desk, tx, f"{uid}:{KIND}", number, Reminder.ACKNOWLEDGE)


def arm(
    desk: Desk,
    tx: Tx,
    row: Any,
    status: Status,
    *,
    times: int = 0,
    after: float = 0.0,
    since: float | None = None,
) -> None:
    """Owe the reminder that belongs to a status, and cancel the one before. A promised update is reminded of when it is due.

    ``times``: how many came since somebody last acted. ``after``: seconds until it, instead of what captain.yml says.
    ``since``: UNIX s since which the deed is missing; now without it.
    """
    t = EFFECTS()
    pending = (t.c.about == row.number) & (t.c.kind == KIND) & t.c.state.in_((State.WAITING.value, *UNSETTLED))
    for key in tx.c.execute(sa.select(t.c.key).where(pending)).scalars().all():
        tx.cancel(key, "somebody has acted")
    what = reminder_of(status) if row.umbrella is None else None  # whoever has its storm is reminded of that
    if what is Reminder.UPDATE and row.next_update_at is not None and row.next_update_at > tx.now:
        after = row.next_update_at - tx.now
    if what is not None:
        _owe(desk, tx, table.another_key(tx.c, row, KIND), row.number, what, times=times, after=after, since=since)


def _owe(
    desk: Desk,
    tx: Tx,
    key: str,
    number: int,
    what: Reminder,
    *,
    times: int = 0,
    after: float = 0.0,
    since: float | None = None,
) -> None:
    pause = desk.policy.remind.after(what)
    if desk.outside.chat is None or (pause == 0 and not after):
        return
    args = {"what": what.value, "times": times, "since": since or tx.now}
    delay = after or pause * 2 ** min(times, DOUBLED)
    tx.owe(Effect(key, KIND, LANE, number, args, urgency=8, delay=delay))


def remind(desk: Desk, task: Task, say: Say, show: Show) -> Outcome:
    """Remind, if it still applies, and owe the next reminder; the message is an effect of its own."""
    what, times = Reminder(task.args["what"]), int(task.args["times"])

    def apply(tx: Tx) -> None:
        row = table.locked(tx.c, task.about or 0)
        pause = desk.policy.remind.after(what)
        if row is None or row.service not in desk.services or reminder_of(Status(row.status)) is not what:
            return
        status, since, again = Status(row.status), float(task.args["since"]), times
        promised = row.next_update_at if what is Reminder.UPDATE else None
        if promised is not None and promised > tx.now:
            arm(desk, tx, row, status)
            return
        if promised is None and pause == 0:
            return
        if what is Reminder.UPDATE:
            # Only an update keeps a promise; other news is news to this thread alone.
            since = _news(tx.c, row) if promised is None else promised
        if since > task.created_at and promised is None:
            # There was news since it was owed: it counts from there.
            if since + pause > tx.now:
                arm(desk, tx, row, status, after=since + pause - tx.now)
                return
            again = 0
        whose = table.role_of(tx.c, row.number, TELLS) if promised is not None else None
        whose = whose or table.role_of(tx.c, row.number, "lead")
        text, blocks = said(row, what, whose, ago=tx.now - since)
        told = f"reminded to {what.value}"
        table.add_event(tx.c, incident=row.number, at=tx.now, kind="reminded", actor="Release Captain", text=told)
        say(tx, row, task.key.removeprefix(f"{row.uid}:"), text, blocks)
        arm(desk, tx, row, status, times=again + 1, since=since)
        if promised is not None:
            show(tx, row.number)

    return Outcome({"what": what.value}, apply)


def _news(c: Connection, row: Any) -> float:
    """When a person last did or noted something, in UNIX s."""
    t = TIMELINE()
    newest = sa.func.max(sa.func.coalesce(t.c.noted_at, t.c.at))
    by_people = (t.c.incident == row.number) & t.c.actor.not_in(MACHINES)
    return float(c.execute(sa.select(newest).where(by_people)).scalar() or row.opened_at)


def said(row: Any, what: Reminder, lead: Any, *, ago: float) -> tuple[str, words.Blocks]:
    """A reminder's message. (text, blocks). ``lead``: the row of whose role it is, or None; ``ago``: s without the deed.

    Of an update that was promised ``ago`` is how late it is.
    """
    ref, long = f"INC-{row.number}", words.duration(ago)
    whose = words.person(lead.person, lead.name) if lead is not None else escape(row.acked_by)
    text = {
        Reminder.ACKNOWLEDGE: f"⚠ *Nobody has {ref} yet*, for {long} now. Who takes it?",
        Reminder.UPDATE: f"{whose}: there has been no news of {ref} for {long}, and it is {row.status}. How does it stand?",
        Reminder.CLOSE: f"{ref} is resolved for {long} and not closed. Is what was to follow done?",
    }[what]
    if what is Reminder.CLOSE and lead is not None:
        text = f"{whose}: {text}"
    if what is Reminder.UPDATE and row.next_update_at is not None:
        late = f"is due for {long}" if ago >= LATE else "is due now"
        text = f"{whose}: the update of {ref} that was promised for {latest.clock(row.next_update_at)} {late}. How does it stand?"
    buttons = [words.button(*words.DEED_BUTTONS[deed], ref) for deed in OFFERS[what]]
    if what is Reminder.UPDATE:
        buttons.insert(0, words.button("Update", "incident update", ref))
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return text, [section, {"type": "actions", "block_id": f"remind-{what.value}", "elements": buttons}]
