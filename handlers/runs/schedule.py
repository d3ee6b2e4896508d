"""Runs that the clock asks for: each slot once, what was missed is said instead of run late, and failures are said once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bot.effects import Effect, Outcome, Task, Tx, insert_once
from bot.integrations.slack import Post
from bot.integrations.slack.words import escape
from handlers.desk import Desk
from handlers.posts import post_once
from handlers.runs import cron, table
from handlers.runs.kinds import Trigger, Wanted
from handlers.runs.owing import owe
from handlers.runs.settings import Schedule
from handlers.runs.table import SCHEDULES
from runbooks import Outcome as Verdict
from runbooks import Result

LINE = "* * * * *"
SAID = "run-said"
LATE = 300.0
"""Seconds after its slot in which a run is begun all the same; the clock itself may be as late."""
AHEAD = 600.0
"""Seconds by which a schedule may be further than a slot that is told late; from then on the clock has been set back."""
AGAIN = 20 * 3600.0
"""Seconds after which a failure that goes on unchanged is said again: once a day, also by a schedule of once a day."""


def tick(desk: Desk, slot: float) -> None:
    """Begin what is due, and say what was missed."""
    now = time.time()
    with desk.engine.transaction(now) as tx:
        for name, one in sorted(desk.runbook_settings.schedules.items()):
            _see_to(desk, tx, name, one, slot)
        tx.c.execute(SCHEDULES().delete().where(SCHEDULES().c.name.not_in(list(desk.runbook_settings.schedules))))


def _see_to(desk: Desk, tx: Tx, name: str, one: Schedule, slot: float) -> None:
    t = SCHEDULES()
    # One that is new has missed nothing.
    insert_once(tx.c, t, {"name": name, "until": slot - 60.0, "failing": ""})
    row = tx.c.execute(sa.select(t).where(t.c.name == name).with_for_update()).one()
    after = row.until
    if after > slot + AHEAD:
        after = slot - 60.0  # the clock was ahead, and has been set right; each slot has its key all the same
    if slot <= after:
        return
    tx.c.execute(t.update().where(t.c.name == name).values(until=slot))
    due = cron.slots(one.cron, after=after, until=slot)
    missed = [at for at in due if tx.now - at > LATE]
    if missed:
        _missed(desk, tx, name, one, missed)
    if len(missed) < len(due):
        # Several within LATE are one run: it looks once at what all of them would have looked at now.
        _begin(desk, tx, name, one, due[-1])


def _begin(desk: Desk, tx: Tx, name: str, one: Schedule, slot: float) -> None:
    before = next((row for row in table.going(tx.c) if row.schedule == name), None)
    if before is not None:
        since = _clock(before.began_at or before.asked_at)
        why = f"its run #{before.id} of {since} still goes on; `runbook cancel #{before.id}` ends that"
        _say(desk, tx, name, one, slot, f"⚠ The schedule *{escape(name)}* did not run at {_clock(slot)}: {why}.")
        return
    service = desk.services.get(one.service)
    environment = one.environment or (service.environment if service else "")
    wanted = Wanted(
        one.runbook,
        Trigger.SCHEDULE,
        name,
        one.parameters,
        one.service,
        environment,
        channel=_channel(desk, one),
        schedule=name,
        only=one.only,
    )
    owe(desk, tx, f"schedule:{name}:{int(slot)}", wanted)


def _missed(desk: Desk, tx: Tx, name: str, one: Schedule, slots: Sequence[float]) -> None:
    """Say that slots went by while nobody was there; they are not made up for: a check that runs late says nothing of then."""
    count = f"{len(slots)} times" if len(slots) > 1 else "once"
    when = _clock(slots[0]) if len(slots) == 1 else f"{_clock(slots[0])} to {_clock(slots[-1])}"
    coming = cron.following(one.cron, tx.now)
    then = f"The next run is at {_clock(coming)}; " if coming is not None else ""
    text = f"⚠ The schedule *{escape(name)}* did not run {count} ({when}): I was down then. It is not made up for. "
    _say(desk, tx, name, one, slots[-1], f"{text}{then}`runbook run {escape(one.runbook)}` looks now.")


def _say(desk: Desk, tx: Tx, name: str, one: Schedule, slot: float, text: str) -> None:
    if desk.outside.chat is None:
        return
    channel = _channel(desk, one)
    key, args = f"schedule:{name}:{int(slot)}:said", {"channel": channel, "text": text}
    tx.owe(Effect(key, SAID, "slack", None, args, urgency=5, bucket=f"post:{channel}"))


def said(desk: Desk, task: Task) -> Outcome:
    """Post one message about a schedule."""
    posted = post_once(desk, task, Post(str(task.args["channel"]), str(task.args["text"]), (), None, task.key))
    return Outcome({"channel": posted.channel, "ts": posted.ts})


def ended(desk: Desk, tx: Tx, run: Any, found: Sequence[Result]) -> tuple[bool, str]:
    """What a scheduled run's end is worth: whether it is shown, and what is said beside its results."""
    one = desk.runbook_settings.schedules.get(run.schedule)
    t = SCHEDULES()
    row = tx.c.execute(sa.select(t).where(t.c.name == run.schedule).with_for_update()).first()
    if one is None or row is None or run.cancelled_by:
        return run.outcome != Verdict.PASS.value, ""
    failing = "" if run.outcome == Verdict.PASS.value else _signature(run, found)
    values: dict[str, Any] = {"failing": failing, "since": row.since if row.failing and failing else None}
    if failing and not row.failing:
        values["since"] = tx.now
    news = failing != row.failing or (bool(failing) and tx.now - (row.said_at or 0.0) >= AGAIN)
    if failing and news:
        values["said_at"] = tx.now
    tx.c.execute(t.update().where(t.c.name == run.schedule).values(**values))
    since = f" since {cron.said(row.since)}" if row.since else ""
    if not failing and row.failing:
        return True, f"It passes again; it had failed{since}."
    if failing:
        told = "I say so again when that changes, when it passes, and once a day."
        return news, f"It has failed{since}. {told}" if row.failing else told
    return not one.only_failures, ""


def _signature(run: Any, found: Sequence[Result]) -> str:
    """How a run failed; another way is news."""
    return "; ".join([run.outcome, *(f"{r.name} {r.outcome.value}" for r in found if r.outcome is not Verdict.PASS)])[
        :4000
    ]


def _channel(desk: Desk, one: Schedule) -> str:
    return one.channel or desk.services[one.service].channel


def _clock(at: float) -> str:
    """A time as each reader's Slack shows it, and as UTC where it cannot."""
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time}}|{cron.said(at)}>"
