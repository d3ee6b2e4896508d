"""Turns deeds and what is heard from outside into rows and owed effects, each in one transaction: the undo is owed first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.effects import Effect, Settled, State, Tx, insert_once
from bot.errors import Refused
from bot.grammar import Asker
from handlers.actions import moves, rules, table, ways, words
from handlers.actions.kinds import Fields, length
from handlers.actions.place import Spot
from handlers.actions.plan import Plan
from handlers.actions.rules import OVER, Event, Person, Status
from handlers.actions.table import ACTIONS, key_of
from handlers.buckets import posts
from handlers.desk import Desk
from handlers.flags.rules import Mark, Seen
from handlers.incidents.rules import incident_uid

CLOCK, OTHERS, CHECK_AFTER = "the clock", "somebody else", "the check after it"


# ---- what people do ----------------------------------------------------------------------------------------------------


def ask(
    desk: Desk,
    asker: Asker,
    person: Person,
    made: Plan,
    values: Mapping[str, str],
    *,
    reason: str,
    incident: Any,
    now: float,
) -> tuple[Any, bool]:
    """Write down that an action is wanted; (row, True when new). Raises Refused when another is in its way.

    Nothing is done here: first a look says what would change, and whoever has to agree sees that.
    """
    action = desk.actions[made.action]
    environment = moves.environment_of(desk, action)
    uid = incident_uid("action", asker.key)
    with desk.engine.transaction(now) as tx:
        known = table.by_uid(tx.c, uid)
        if known is not None:
            return known, False
        service = desk.services.get(action.service)
        row = {
            "uid": uid, "name": made.action, "lock": made.lock, "service": action.service, "environment": environment,
            "incident": incident.number if incident is not None else None,
            "quiet": bool(incident is not None and incident.private), "status": Status.ASKED.value,
            "parameters": rules.canonical(dict(values)), "plan": made.text(), "asked_at": now, "reason": reason,
            "approval": action.needs_approval(environment), "asked_by": asker.name, "person": person.id,
            "asker": asker.id if asker.door == "slack" else "", "email": person.email,
            "channel": service.channel if service is not None else "",
        }  # fmt: skip
        if insert_once(tx.c, ACTIONS(), dict(_DEFAULTS) | row) is None:
            mine, other = table.by_uid(tx.c, uid), table.holds(tx.c, made.lock)
            if mine is not None:
                return mine, False
            told = words.line(other, now=now) if other is not None else f"{made.lock} was being changed until now."
            ends = f" `action undo ACT-{other.id}` ends that." if other is not None else ""
            raise Refused(f"{told}\nOne at a time: nothing was changed.{ends}")
        if desk.outside.chat is not None and service is not None:
            tx.owe(Effect(key_of(uid, "root"), "action-root", "slack", urgency=3, bucket=posts(desk, action.service)))
        lane = moves.CLUSTER if made.fields is not None else moves.CALLS
        tx.owe(Effect(key_of(uid, "look"), moves.LOOK, lane, urgency=2, deadline=now + moves.START_WITHIN))
        made_row = table.by_uid(tx.c, uid)
        moves.record(
            tx, made_row, "action run", asker, {"parameters": dict(values), "reason": reason, "plan": made.text()}
        )
    return made_row, True


_DEFAULTS: Mapping[str, Any] = {
    "prior": "", "diff": "", "seal": "", "approved": "", "approved_by": "", "term": 0, "heard": False, "off_by": "",
    "why": "", "checked": "", "thread": "", "ts": "", "alarm_ts": "", "panel": 0, "panel_owed": False,
}  # fmt: skip


def approve(desk: Desk, asker: Asker, uid: str, *, now: float) -> Any:
    """A second person agrees; the row as it then is. Raises Refused when there is nothing to agree to any more.

    Who they are has been looked at already. What they agree to is the seal of the row, if captain.yml still asks for it.
    """
    why = ""
    with desk.engine.transaction(now) as tx:
        row = table.lock(tx.c, uid)
        if row.status != Status.WAITING.value:
            raise Refused(f"{words.line(row, now=now)}\nThere is nothing to approve.")
        if row.approve_by is not None and now >= row.approve_by:
            moves.move(desk, tx, row, Event.LAPSED, why=words.LAPSED)
            why = words.LAPSED
        elif not moves.sealed(desk, row):
            moves.move(desk, tx, row, Event.NO, why=words.EDITED)
            why = words.EDITED
        else:
            table.keep(tx.c, uid, approved=row.seal, approved_by=asker.name, approved_at=now)
            moves.record(tx, row, "action approve", asker, {"seal": row.seal, "asked_by": row.asked_by})
            moves.move(desk, tx, table.by_uid(tx.c, uid), Event.APPROVED)
        row = table.by_uid(tx.c, uid)
    if why:
        raise Refused(f"ACT-{row.id} was not approved: {why}. Nothing was changed.")
    return row


def decline(desk: Desk, asker: Asker, uid: str, *, reason: str, now: float) -> Any:
    """A second person says no; the row as it then is. Raises Refused when there is nothing to refuse any more."""
    with desk.engine.transaction(now) as tx:
        row = table.lock(tx.c, uid)
        if row.status != Status.WAITING.value:
            raise Refused(f"{words.line(row, now=now)}\nThere is nothing to refuse.")
        moves.record(tx, row, "action refuse", asker, {"seal": row.seal, "reason": reason})
        moves.move(desk, tx, row, Event.DECLINED, by=asker.name, why=reason or "no reason was given")
        return table.by_uid(tx.c, uid)


def undo(desk: Desk, asker: Asker, uid: str, *, by_hand: bool, now: float) -> tuple[Any, bool]:
    """A person wants it undone, withdrawn, or says that they have undone it; (row, False when that changes nothing)."""
    with desk.engine.transaction(now) as tx:
        row = table.lock(tx.c, uid)
        if by_hand and moves.may_run(row, now=now):
            raise Refused(
                f"What ACT-{row.id} does may run still, after whatever you have undone. Say it again in a moment."
            )
        event = Event.BY_HAND if by_hand else Event.END
        done = moves.move(desk, tx, row, event, by=asker.name, why=f"withdrawn by {asker.name}" if _before(row) else "")
        if done:
            moves.record(tx, row, "action undone by hand" if by_hand else "action undo", asker, {"from": row.status})
        return table.by_uid(tx.c, uid), done


# ---- what is heard -----------------------------------------------------------------------------------------------------


def looked(desk: Desk, tx: Tx, uid: str, look: ways.Look) -> None:
    """What would change is known: seal it, and ask for a second person, or go on. Or say why it cannot be done."""
    row = table.kept(tx.c, uid)
    if row is None or row.status != Status.ASKED.value:
        return
    if look.why:
        moves.move(desk, tx, row, Event.NO, why=look.why)
        return
    prior = json.dumps({"found": look.found, "back": look.found}, ensure_ascii=False) if look.found else ""
    table.keep(tx.c, uid, prior=prior, diff="\n".join(look.lines))
    row = table.by_uid(tx.c, uid)
    action = desk.actions.get(row.name)
    within = length(action.approval.within) if action is not None else 0.0
    values = {"seal": table.seal_of(row), "approve_by": tx.now + within if row.approval else None}
    if not row.approval:
        values["approved"] = values["seal"]
    table.keep(tx.c, uid, **values)
    row = table.by_uid(tx.c, uid)
    moves.move(desk, tx, row, Event.LOOKED if row.approval else Event.FREE)
    if row.approval and action is not None:
        moves.say(desk, tx, row, "wanted", words.wanted(row, action))


def lapsed(desk: Desk, uid: str, *, now: float) -> None:
    """The time in which somebody might have agreed is over.

    Whoever calls this has waited for it by a clock that is never set, which may be a moment, or an hour that was put back,
    ahead of the other: not to end it then would leave it waiting for ever.
    """
    with desk.engine.transaction(now) as tx:
        row = table.lock(tx.c, uid)
        if row is not None:
            moves.move(desk, tx, row, Event.LAPSED, why=words.LAPSED)


def checked(desk: Desk, tx: Tx, uid: str, said: str, *, passed: bool) -> None:
    """The checks before it have been run."""
    row = table.kept(tx.c, uid)
    if row is not None and row.status == Status.CHECKING.value:
        table.keep(tx.c, uid, checked=said)
        row = table.by_uid(tx.c, uid)
        if passed:
            moves.go(desk, tx, row)
        else:
            moves.move(desk, tx, row, Event.NO, why=said)


def begin(desk: Desk, row: Any, *, now: float) -> bool:
    """Write down that the deed is about to go out; False when it is not to be done, or another has begun it meanwhile."""
    t = ACTIONS()
    was = t.c.begun_at.is_(None) if row.begun_at is None else t.c.begun_at == row.begun_at
    mine = (t.c.uid == row.uid) & (t.c.term == row.term) & (t.c.status == Status.TURNING_ON.value) & was
    with desk.store.write() as c:
        return bool(c.execute(t.update().where(mine).values(begun_at=now, heard=False)).rowcount == 1)


def not_begun(desk: Desk, row: Any, *, begun_at: float) -> None:
    """It surely has not acted this time; what an earlier try may have done (``row`` as it was before) still counts."""
    t = ACTIONS()
    was = {"begun_at": row.begun_at, "heard": row.heard}
    with desk.store.write() as c:
        c.execute(t.update().where((t.c.uid == row.uid) & (t.c.begun_at == begun_at)).values(**was))


def heard(desk: Desk, uid: str) -> None:
    """What was begun has ended, whatever came of it."""
    with desk.store.write() as c:
        table.keep(c, uid, heard=True)


def applied(desk: Desk, tx: Tx, uid: str, said: str = "") -> None:
    """It is done: by now, or by a try that nobody heard of."""
    row = table.kept(tx.c, uid)
    if row.on_at is None:
        table.keep(tx.c, uid, on_at=tx.now, heard=True)
        moves.record(tx, row, "action done", None, moves.agreed(row) | {"diff": row.diff, "said": said})
        moves.told(
            tx,
            row,
            f"{moves.title(desk, row)} was done, asked by {row.asked_by}{moves.agreed_by(row)}{moves.because(row)}",
        )
    moves.move(desk, tx, table.by_uid(tx.c, uid), Event.APPLIED)


def changed_by_others(desk: Desk, tx: Tx, uid: str, seen: Seen) -> None:
    """Somebody else has set it to another value: people win, and for us it is over."""
    row = table.kept(tx.c, uid)
    if moves.move(desk, tx, row, Event.END, by=OTHERS):
        moves.say(desk, tx, row, f"changed:{row.term}", words.changed(row, seen))
        moves.told(tx, row, f"what {moves.title(desk, row)} did was changed by {OTHERS}")


def followed(desk: Desk, tx: Tx, uid: str, said: str, *, passed: bool) -> None:
    """The checks after it have been run: what does not pass is undone, where that can be, and said aloud."""
    row = table.kept(tx.c, uid)
    if row is None or row.status not in (Status.ON.value, Status.DONE.value):
        return
    table.keep(tx.c, uid, checked=said)
    moves.record(tx, row, "action checked", None, {"said": said, "passed": passed})
    if not passed:
        moves.say(desk, tx, row, f"after:{row.term}", words.not_passed(row, said))
        moves.told(tx, row, f"after {moves.title(desk, row)}: {said}")
        moves.move(desk, tx, row, Event.END, by=CHECK_AFTER)
    moves.show(desk, tx, uid)


def begin_undo(desk: Desk, uid: str, term: int, *, now: float) -> Any:
    """The undo begins: no deed is begun any more. The row, or None when another undo has taken its place."""
    with desk.engine.transaction(now) as tx:
        row = table.lock(tx.c, uid)
        if row is None or row.term != term or Status(row.status) in OVER:
            return None
        if row.status in (Status.TURNING_ON.value, Status.ON.value):
            moves.move(desk, tx, row, Event.END, by=CLOCK)
        return table.by_uid(tx.c, uid)


def was_on(desk: Desk, uid: str, *, now: float) -> None:
    """The undo has found it done, though nobody heard of that."""
    first = (ACTIONS().c.uid == uid) & ACTIONS().c.on_at.is_(None)
    with desk.store.write() as c:
        c.execute(ACTIONS().update().where(first).values(on_at=now))


def undone(desk: Desk, tx: Tx, uid: str, term: int, said: str, *, left: bool = False) -> None:
    """It is undone. ``left``: the undo found what others have set, and left that alone."""
    row = table.kept(tx.c, uid)
    if row.term != term:
        return
    if not moves.move(desk, tx, row, Event.NEVER_ON if row.on_at is None else Event.UNDONE):
        return
    if row.on_at is not None:
        moves.record(tx, row, "action undone", None, {"by": row.off_by, "way": said})
        moves.told(tx, row, f"{moves.title(desk, row)} was undone, by {row.off_by}")
    if left and row.off_by != OTHERS:
        moves.say(desk, tx, row, f"left:{term}", words.left(row))


def seen_on(desk: Desk, uid: str, *, now: float) -> bool:
    """It is over, and yet its mark is on the object: owe another undo; False when it is not over after all."""
    with desk.engine.transaction(now) as tx:
        row = table.lock(tx.c, uid)
        if row is None or Status(row.status) not in OVER:
            return False
        what = table.plan_of(row).lock
        if table.holds(tx.c, what) is None:
            table.keep(tx.c, uid, lock=what)
        table.keep(tx.c, uid, ending_at=now)
        if not moves.move(desk, tx, table.by_uid(tx.c, uid), Event.SEEN_ON):
            return False
        moves.record(tx, row, "action seen on", None, {"after": row.status})
        moves.say(desk, tx, row, f"again:{row.term + 1}", words.again(row))
    return True


def adopt(desk: Desk, name: str, spot: Spot, mark: Mark, *, now: float) -> bool:
    """A mark of ours that no row knows (the database is older than it): its undo is owed from here on."""
    action, until = desk.actions[name], mark.until if mark.until < table.FAR else None
    fields = Fields(kind=spot.kind, namespace=spot.namespace, name=spot.name, fields=spot.fields)
    made = Plan(action=name, fields=fields, ttl=None)
    service = desk.services.get(action.service)
    row = {
        "uid": mark.uid, "name": name, "lock": made.lock, "service": action.service, "status": Status.ON.value,
        "environment": moves.environment_of(desk, action), "quiet": False, "parameters": "{}", "plan": made.text(),
        "prior": json.dumps({"found": mark.back, "back": mark.back}, ensure_ascii=False), "approval": False, "term": 1,
        "asked_by": mark.by, "asker": "", "person": "", "email": "", "asked_at": now, "armed_at": now, "on_at": now,
        "until": until, "reason": "found in the cluster; my database knew nothing of it",
        "channel": service.channel if service is not None else "",
    }  # fmt: skip
    with desk.engine.transaction(now) as tx:
        if insert_once(tx.c, ACTIONS(), dict(_DEFAULTS) | row) is None:
            return False
        kept = table.by_uid(tx.c, mark.uid)
        if desk.outside.chat is not None and service is not None:
            key, bucket = key_of(mark.uid, "root"), posts(desk, action.service)
            tx.owe(Effect(key, "action-root", "slack", urgency=3, bucket=bucket))
        if until is not None:
            moves.owe_undo(tx, kept, made, delay=max(0.0, until - now))
        moves.record(tx, kept, "action adopted", None, {"object": spot.target, "until": until})
    return True


def settled(desk: Desk, tx: Tx, done: Settled) -> None:
    """An effect was tried: what follows from its failure, and the message tells the truth about it."""
    if done.kind not in (moves.LOOK, moves.BEFORE, moves.DEED, moves.UNDO, moves.AFTER):
        return
    row = table.kept(tx.c, table.uid_in(done.key))
    if row is None or (done.kind in (moves.DEED, moves.UNDO, moves.AFTER) and table.term_in(done.key) != row.term):
        return
    failed = done.state in (State.SKIPPED, State.GAVE_UP)
    if done.kind in (moves.LOOK, moves.BEFORE) and failed:
        moves.move(desk, tx, row, Event.NO, why=done.reason)
    elif done.kind == moves.DEED and failed:
        _failed(desk, tx, row, done.reason)
    elif done.kind == moves.AFTER and done.state is State.GAVE_UP:
        followed(desk, tx, row.uid, done.reason, passed=False)
    elif done.kind == moves.UNDO and done.state is State.GAVE_UP:
        # It is owed for ever: patience that has run out is no reason to leave it on.
        moves.move(desk, tx, row, Event.GAVE_UP, why=done.reason)
    elif done.state is State.RETRYING:
        if done.kind == moves.UNDO:
            moves.alarm_if_overdue(desk, tx, row)
        moves.show(desk, tx, row.uid)


def _failed(desk: Desk, tx: Tx, row: Any, why: str) -> None:
    for_good = not table.plan_of(row).undoable
    event = Event.NO if for_good and row.begun_at is None else Event.FAILED
    if moves.move(desk, tx, row, event, by="Release Captain", why=why) and event is Event.FAILED:
        moves.record(tx, row, "action failed", None, moves.agreed(row) | {"why": why})
        moves.say(desk, tx, row, f"failed:{row.term}", words.failed(row, why, for_good=for_good))
        moves.told(tx, row, f"{moves.title(desk, row)} failed: {why}")


def _before(row: Any) -> bool:
    return Status(row.status) in rules.BEFORE
