"""One move of a request's state machine, and what is owed because of it: effects, messages, timeline and audit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from bot import audit
from bot.effects import EFFECTS, Effect, Tx
from bot.errors import Refused
from bot.grammar import Asker
from handlers import panels
from handlers.actions import rules, table, ways, words
from handlers.actions.kinds import Action
from handlers.actions.plan import Plan, plan
from handlers.actions.rules import OVER, Do, Event, Status
from handlers.actions.table import ACTIONS, key_of
from handlers.buckets import EDITS, posts
from handlers.desk import Desk
from handlers.flags import rules as flag_rules
from handlers.incidents import table as incidents

CLUSTER, CALLS, UNDOS = "kubernetes", "actions", "undo"
"""The lanes: of what stands in the cluster, of commands and calls, and of what undoes those: no long deed holds it up."""
LOOK, BEFORE, DEED, UNDO, AFTER = "action-look", "action-before", "action-do", "action-undo", "action-after"
AGAIN_AFTER = 60.0
"""Seconds after which an undo that the engine has given up is owed anew."""
START_WITHIN = 300.0
"""Seconds after its last permission in which a deed may begin: later, nobody would expect it any more."""


def move(desk: Desk, tx: Tx, row: Any, event: Event, *, by: str = "", why: str = "") -> bool:
    """Make one move of the state machine and owe what follows from it; False when it does not apply."""
    made = table.plan_of(row)
    found = rules.after(Status(row.status), event, undoable=made.undoable)
    if found is None:
        return False
    status, do = found
    values: dict[str, Any] = {"status": status.value, "off_by": row.off_by}
    if why:
        values["why"] = why[:500]
    if status is Status.TURNING_OFF:
        values["ending_at"] = row.ending_at or tx.now
    if by and event in (Event.END, Event.FAILED, Event.BY_HAND, Event.DECLINED):
        values["off_by"] = row.off_by or by
    if status in OVER:
        values |= {"off_at": tx.now, "lock": None}
    if status is Status.NOT_APPLIED and not (why or row.why):
        values["why"] = f"it was ended by {values['off_by'] or 'the clock'} before it was done"
    table.keep(tx.c, row.uid, **values)
    _follow(desk, tx, table.by_uid(tx.c, row.uid), made, do, delay=AGAIN_AFTER if event is Event.GAVE_UP else 0.0)
    if status in (Status.NOT_APPLIED, Status.REFUSED, Status.EXPIRED):
        row = table.by_uid(tx.c, row.uid)
        record(tx, row, f"action {status.value.replace('_', ' ')}", None, {"why": row.why})
        say(desk, tx, row, f"{status.value}:{row.term}", words.not_done(row))
    if status in OVER:
        alarm = key_of(row.uid, f"alarm:{row.term}")
        if owed(tx, alarm):
            key = key_of(row.uid, f"calm:{row.term}")
            tx.owe(Effect(key, "action-calm", "slack", urgency=2, after=alarm, bucket=EDITS))
    show(desk, tx, row.uid)
    return True


def _follow(desk: Desk, tx: Tx, row: Any, made: Plan, do: Do, *, delay: float) -> None:
    uid, term = row.uid, row.term
    if do is Do.FORGET:
        for what in ("look", "expire", "before", f"do:{term}", f"undo:{term}", f"after:{term}"):
            tx.cancel(key_of(uid, what), "it is not wanted any more")
    elif do is Do.ASK:
        left = max(0.0, (row.approve_by or tx.now) - tx.now)
        tx.owe(Effect(key_of(uid, "expire"), "action-expire", "reminders", delay=left))
    elif do is Do.CHECK:
        tx.cancel(key_of(uid, "expire"), "somebody has agreed")
        if made.before:
            tx.owe(Effect(key_of(uid, "before"), BEFORE, CALLS, urgency=2, deadline=tx.now + START_WITHIN))
        else:
            go(desk, tx, row)
    elif do is Do.ARM:
        table.keep(tx.c, uid, term=term + 1)
        row = table.by_uid(tx.c, uid)
        # The undo first. Both are committed together, so that there is no moment with the one and not the other.
        if row.until is not None:
            owe_undo(tx, row, made, delay=max(0.0, row.until - tx.now))
        lane = CLUSTER if made.fields is not None else CALLS
        tx.owe(Effect(key_of(uid, f"do:{row.term}"), DEED, lane, urgency=2, deadline=deadline(desk, row)))
    elif do is Do.AFTER and made.after:
        tx.owe(Effect(key_of(uid, f"after:{term}"), AFTER, CALLS, urgency=3))
    else:
        _follow_undo(tx, row, made, do, delay=delay)


def _follow_undo(tx: Tx, row: Any, made: Plan, do: Do, *, delay: float) -> None:
    uid, term = row.uid, row.term
    if do is Do.UNDO_NOW:
        tx.cancel(key_of(uid, f"do:{term}"), "it is being undone")
        tx.cancel(key_of(uid, f"after:{term}"), "it is being undone")
        if not tx.hasten(key_of(uid, f"undo:{term}")):
            owe_undo(tx, row, made, delay=0.0)
    elif do is Do.UNDO_AGAIN:
        for what in ("do", "undo", "after"):
            tx.cancel(key_of(uid, f"{what}:{term}"), "another has taken its place")
        table.keep(tx.c, uid, term=term + 1)
        owe_undo(tx, table.by_uid(tx.c, uid), made, delay=delay)


def owe_undo(tx: Tx, row: Any, made: Plan, *, delay: float) -> None:
    """Owe the undo of the row's present term in ``delay`` seconds."""
    lane = CLUSTER if made.fields is not None else UNDOS
    tx.owe(Effect(key_of(row.uid, f"undo:{row.term}"), UNDO, lane, urgency=1, delay=delay))


def sealed(desk: Desk, row: Any) -> bool:
    """Whether the row is still what was sealed, and captain.yml would ask for exactly that today."""
    action = desk.actions.get(row.name)
    if action is None or table.seal_of(row) != row.seal:
        return False
    if action.needs_approval(environment_of(desk, action)) and not row.approval:
        return False  # it was asked for when nobody else had to agree
    values = json.loads(row.parameters)
    if any(one not in action.parameters or action.parameters[one].unfit(value) for one, value in values.items()):
        return False
    try:
        fresh = plan(row.name, action, values, environment_of(desk, action), at=row.asked_at)
    except Refused:
        return False
    return bool(table.seal_of(row, fresh) == row.seal)


def deadline(desk: Desk, row: Any) -> float:
    """UNIX s after which the deed is not begun any more: early enough to be heard of before the undo."""
    latest = float(row.armed_at or row.asked_at) + START_WITHIN
    return latest if row.until is None else min(latest, float(row.until) - least(desk, table.plan_of(row)))


def least(desk: Desk, made: Plan) -> float:
    """Seconds for which it must stand at least, so that it can be done before it is undone."""
    if made.call is not None:
        return made.call.timeout + ways.GONE_AFTER
    cluster = desk.outside.cluster
    return flag_rules.margin(cluster.timeout if cluster is not None else 0.0)


def may_run(row: Any, *, now: float) -> bool:
    """Whether its command or call has gone out, and nobody knows yet that it has ended."""
    call = table.plan_of(row).call
    return call is not None and row.begun_at is not None and not row.heard and now < ways.gone_at(call, row.begun_at)


def environment_of(desk: Desk, action: Action) -> str:
    """Its own, or that of its service."""
    service = desk.services.get(action.service)
    return action.environment or (service.environment if service is not None else "")


def show(desk: Desk, tx: Tx, uid: str) -> None:
    """Owe one edit of the message; changes that come in the meantime ride along."""
    t = ACTIONS()
    if desk.outside.chat is None or not panels.mark(tx.c, t, t.c.uid == uid):
        return
    panel = tx.c.execute(sa.select(t.c.panel).where(t.c.uid == uid)).scalar_one()
    key, root, pause = key_of(uid, f"panel:{panel}"), key_of(uid, "root"), desk.policy.panel_pause
    tx.owe(Effect(key, "action-panel", "slack", urgency=4, after=root, delay=pause, bucket=EDITS))


def say(desk: Desk, tx: Tx, row: Any, name: str, text: str) -> None:
    """Owe one message in the thread."""
    root = key_of(row.uid, "root")
    if owed(tx, root):
        key, args, bucket = key_of(row.uid, f"note:{name}"), {"text": text}, posts(desk, row.service)
        tx.owe(Effect(key, "action-note", "slack", None, args, urgency=4, after=root, bucket=bucket))


def owed(tx: Tx, key: str) -> bool:
    t = EFFECTS()
    return tx.c.execute(sa.select(t.c.key).where(t.c.key == key)).first() is not None


def told(tx: Tx, row: Any, text: str) -> None:
    """Put what became of it into the timeline of its incident, or of whatever burns in its service."""
    numbers = [row.incident] if row.incident is not None else incidents.open_of(tx.c, row.service)
    for number in numbers:
        incidents.add_event(tx.c, incident=number, at=tx.now, kind="action", actor="Release Captain", text=text[:1000])


def title(desk: Desk, row: Any) -> str:
    action = desk.actions.get(row.name)
    told = f" ({action.title})" if action is not None and action.title else ""
    return f"the action {row.name}{told}, ACT-{row.id},"


def agreed(row: Any) -> dict[str, Any]:
    return {"approved_by": row.approved_by, "seal": row.approved, "parameters": row.parameters}


def agreed_by(row: Any) -> str:
    return f", approved by {row.approved_by}" if row.approved_by else ""


def because(row: Any) -> str:
    return f": {row.reason}" if row.reason else ""


def record(tx: Tx, row: Any, action: str, asker: Asker | None, detail: Mapping[str, Any]) -> None:
    actor = f"{asker.name} ({asker.id})" if asker is not None else "Release Captain"
    door = asker.door if asker is not None else "engine"
    subject, told = f"action {row.name}", {"request": row.uid, "id": row.id} | dict(detail)
    audit.append(tx.c, at=tx.now, actor=actor, door=door, action=action, subject=subject, detail=told)


def go(desk: Desk, tx: Tx, row: Any) -> None:
    """Nothing is in its way: owe the undo and the deed, unless what was agreed to is no longer what is asked for."""
    if row.approved != row.seal or not sealed(desk, row):
        move(desk, tx, row, Event.NO, why=words.EDITED)
        return
    seconds = table.plan_of(row).ttl
    table.keep(tx.c, row.uid, armed_at=tx.now, until=None if seconds is None else tx.now + seconds)
    move(desk, tx, table.by_uid(tx.c, row.uid), Event.CHECKED)


def alarm_if_overdue(desk: Desk, tx: Tx, row: Any) -> None:
    """Say it in the channel, once for each end, when it should have been undone for too long."""
    action, due = desk.actions.get(row.name), table.due(row)
    if due is None or Status(row.status) in OVER:
        return
    if tx.now - due > (action.loud_after if action is not None else 120.0):
        if desk.outside.chat is not None and row.channel:
            key, bucket = key_of(row.uid, f"alarm:{row.term}"), posts(desk, row.service)
            tx.owe(Effect(key, "action-alarm", "slack", urgency=1, bucket=bucket))
        show(desk, tx, row.uid)
