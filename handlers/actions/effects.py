"""Performs what is owed for actions: looks, checks, does, undoes, and keeps the message in the channel true."""

from __future__ import annotations

import json
import time
from typing import Any

from bot.effects import Outcome, Performer, Task, Tx
from bot.errors import GiveUp, Retry, in_time
from bot.integrations.slack import Edit, Post
from handlers.actions import decide, moves, table, ways, words
from handlers.actions.kinds import Command, Http
from handlers.actions.place import Spot
from handlers.actions.plan import Plan
from handlers.actions.rules import OVER, Status
from handlers.desk import Desk
from handlers.flags.back import PAUSE
from handlers.flags.rules import Change, Way
from handlers.incidents import table as incidents
from handlers.posts import chat_of, post_once
from handlers.rooms.place import place
from runbooks.verdict import Outcome as Verdict

LONGEST_PAUSE = 60.0
"""Seconds that the outside may ask a deed or an undo to wait at most."""
LOOK_AGAIN = 5.0
"""Seconds between two looks at checks that shall pass within a while."""
THREAD_COMES = 30.0
"""Seconds in which an incident's thread is waited for, before the service's channel is told instead."""
TOO_LATE = "it came too late to be undone in time, so it was not done"
NOT_HEARD = (
    "nobody heard whether it ran to its end, and it is not said to be repeatable: it is not done a second time. "
    "Look whether it has happened"
)


def performers(desk: Desk) -> list[Performer]:
    """Every kind of effect this subject owes."""
    return [
        Performer(moves.LOOK, lambda task: look(desk, task)),
        Performer("action-expire", lambda task: expire(desk, task)),
        Performer(moves.BEFORE, lambda task: before(desk, task)),
        Performer(moves.DEED, lambda task: do(desk, task)),
        Performer(moves.UNDO, lambda task: undo(desk, task)),
        Performer(moves.AFTER, lambda task: after(desk, task)),
        Performer("action-root", lambda task: root(desk, task)),
        Performer("action-panel", lambda task: panel(desk, task)),
        Performer("action-note", lambda task: note(desk, task)),
        Performer("action-alarm", lambda task: alarm(desk, task)),
        Performer("action-calm", lambda task: calm(desk, task)),
    ]


# ---- before it is done -------------------------------------------------------------------------------------------------


def look(desk: Desk, task: Task) -> Outcome:
    """Ask what would change. What settles this seals it, and asks for a second person or goes on."""
    row = _row(desk, task)
    found = ways.look(desk, table.plan_of(row), row.uid, row.asked_by)
    return Outcome({}, lambda tx: decide.looked(desk, tx, row.uid, found))


def expire(desk: Desk, task: Task) -> Outcome:
    """Nobody has agreed in time."""
    decide.lapsed(desk, table.uid_in(task.key), now=time.time())
    return Outcome()


def before(desk: Desk, task: Task) -> Outcome:
    """Run the checks before it; what cannot be told is no pass."""
    row = _row(desk, task)
    if row.status != Status.CHECKING.value:
        return Outcome(skipped="it is not wanted any more")
    report = ways.check(desk, table.plan_of(row).before, row, json.loads(row.parameters))
    said, passed = ways.summary(report), ways.passed(report)
    return Outcome({"said": said}, lambda tx: decide.checked(desk, tx, row.uid, said, passed=passed))


# ---- done and undone ---------------------------------------------------------------------------------------------------


def do(desk: Desk, task: Task) -> Outcome:
    """Do it, unless it is too late, it is not what was agreed to, or an earlier try has done it."""
    row, made = _row_and_plan(desk, task)
    if row.status not in (Status.TURNING_ON.value, Status.ON.value) or row.term != table.term_in(task.key):
        return Outcome(skipped="it is being undone")
    if table.seal_of(row) != row.approved:
        raise GiveUp("what is written down is not what was approved")
    spot = ways.spot_of(made, row)
    try:
        return _set(desk, row, made, spot) if spot is not None else _send(desk, row, made, task)
    except Retry as e:
        raise _sooner(e) from e


def _set(desk: Desk, row: Any, made: Plan, spot: Spot) -> Outcome:
    """Fields of an object: what is there says whether an earlier try has set them."""
    cluster = ways.cluster_of(desk)
    mark = None if made.none else table.mark_of(row)
    seen = spot.seen(cluster.get(spot.ref))
    change = ways.to_apply(spot, seen, row, mark)
    if change is Change.LEAVE:
        if row.on_at is not None:
            return Outcome(
                {}, lambda tx: decide.changed_by_others(desk, tx, row.uid, seen), skipped="changed by others"
            )
        return Outcome(skipped="somebody else changed it after I had looked: nothing was changed")
    if change is Change.WRITE:
        if time.time() > moves.deadline(desk, row):
            return Outcome(skipped=TOO_LATE)
        if not decide.begin(desk, row, now=time.time()):
            return Outcome(skipped="it is being undone")
        ways.apply(cluster, spot, seen, mark)
    return Outcome({"value": spot.on}, lambda tx: decide.applied(desk, tx, row.uid))


def _send(desk: Desk, row: Any, made: Plan, task: Task) -> Outcome:
    """A command or a call. Whoever begins it writes that down first, so that no other does; and nobody does it blindly again."""
    call, parameters = made.call, json.loads(row.parameters)
    assert call is not None
    done = _done_before(desk, row, call) if row.begun_at is not None else ""
    if done:
        return Outcome({}, lambda tx: decide.applied(desk, tx, row.uid, done))
    why = ways.unready(made)
    if why:
        raise GiveUp(why)
    by, now = task.acting(), time.time()
    if now > moves.deadline(desk, row):
        return Outcome(skipped=TOO_LATE)
    in_time(by)
    if not decide.begin(desk, row, now=now):
        return Outcome(skipped="it is being undone, or another does it")
    try:
        said = ways.send(call, task.key, parameters)
    except Retry as e:
        if not e.unknown:
            decide.not_begun(desk, row, begun_at=now)
            raise
        decide.heard(desk, row.uid)
        if call.done_when or call.repeatable:
            raise Retry(e.reason, after=e.after or PAUSE, unknown=True) from e
        raise GiveUp(f"{e.reason} {NOT_HEARD}") from e
    except GiveUp:
        decide.heard(desk, row.uid)
        raise
    return Outcome({"said": said}, lambda tx: decide.applied(desk, tx, row.uid, said))


def _done_before(desk: Desk, row: Any, call: Command | Http) -> str:
    """An earlier try began it, and nobody heard of its end: what says that it is done, or nothing when it may be done again.

    Raises Retry while that cannot be told, and GiveUp when it never can.
    """
    left = 0.0 if row.heard else ways.gone_at(call, row.begun_at) - time.time()
    if left > 0:
        raise Retry("an earlier try may run still; waiting for its end", after=left)
    if call.done_when:
        report = ways.check(desk, call.done_when, row, json.loads(row.parameters))
        if ways.passed(report):
            return ways.summary(report)
        if report.outcome is not Verdict.FAIL:
            raise Retry(f"it cannot be told whether it has been done: {ways.summary(report)}", after=LOOK_AGAIN)
    elif not call.repeatable:
        raise GiveUp(NOT_HEARD)
    return ""


def undo(desk: Desk, task: Task) -> Outcome:
    """Undo it. It is tried until it works: nothing that anybody says is a reason to leave it as it is."""
    term = table.term_in(task.key)
    row = decide.begin_undo(desk, table.uid_in(task.key), term, now=time.time())
    if row is None:
        return Outcome(skipped="it is over, or another undo has taken its place")
    try:
        return _undo(desk, row, term, task)
    except GiveUp as e:
        # With a pause, for somebody has answered: other undos need not wait for what this one is refused.
        raise Retry(e.reason, after=PAUSE) from e
    except Retry as e:
        raise _sooner(e) from e


def _sooner(e: Retry) -> Retry:
    """The same, with a pause that somebody who waits here can bear."""
    after = None if e.after is None else min(e.after, LONGEST_PAUSE)
    return Retry(e.reason, after=after, unknown=e.unknown, limited=e.limited)


def _undo(desk: Desk, row: Any, term: int, task: Task) -> Outcome:
    made = table.plan_of(row)
    spot = ways.spot_of(made, row)
    if spot is not None:
        seen = spot.seen(ways.cluster_of(desk).get(spot.ref))
        if row.prior and seen.there and seen.ours(row.uid, spot.on):
            decide.was_on(desk, row.uid, now=time.time())
        way = ways.put_back(desk, spot, row, seen)
        left = way is Way.LEAVE or (way is Way.RESTORE and len(spot.ours(seen)) < len(spot.fields))
        return Outcome({"way": way.value}, lambda tx: decide.undone(desk, tx, row.uid, term, way.value, left=left))
    call = made.call
    assert call is not None
    if row.begun_at is None or made.undo is None:
        return Outcome({"way": "nothing"}, lambda tx: decide.undone(desk, tx, row.uid, term, "it was never begun"))
    left_s = 0.0 if row.heard else ways.gone_at(call, row.begun_at) - time.time()
    if left_s > 0:
        raise Retry("what is to be undone may run still; waiting for its end", after=left_s)
    decide.was_on(desk, row.uid, now=time.time())
    in_time(task.acting())
    said = ways.send(made.undo, task.key, json.loads(row.parameters))
    return Outcome({"said": said}, lambda tx: decide.undone(desk, tx, row.uid, term, said))


def after(desk: Desk, task: Task) -> Outcome:
    """Run the checks after it, again and again until they pass or their time is up."""
    row, made = _row_and_plan(desk, task)
    if row.status not in (Status.ON.value, Status.DONE.value) or row.term != table.term_in(task.key):
        return Outcome(skipped="it is being undone")
    report = ways.check(desk, made.after, row, json.loads(row.parameters))
    said, passed = ways.summary(report), ways.passed(report)
    if not passed and time.time() < (row.on_at or 0.0) + made.within:
        raise Retry(said, after=min(LOOK_AGAIN, made.within / 4))
    return Outcome({"said": said}, lambda tx: decide.followed(desk, tx, row.uid, said, passed=passed))


# ---- the channel -------------------------------------------------------------------------------------------------------


def root(desk: Desk, task: Task) -> Outcome:
    """Post the message of a request: in its incident's place, else in the service's channel."""
    row = _row(desk, task)
    channel, thread = row.channel, None
    if row.incident is not None:
        with desk.store.read() as c:
            incident = incidents.by_number(c, row.incident)
        spot = place(incident) if incident is not None else None
        if spot is None and time.time() < row.asked_at + THREAD_COMES:
            raise Retry("its incident has no thread yet", after=1.0)
        if spot is None and row.quiet:
            return Outcome(skipped="its private incident has no channel to say it in")
        channel, thread = spot or (channel, None)
    text, blocks = words.panel(desk, row, _trouble(desk, row))
    posted = post_once(desk, task, Post(channel, text, blocks, thread, task.key))
    where = {"channel": posted.channel, "ts": posted.ts, "thread": thread or ""}
    return Outcome(where, lambda tx: table.keep(tx.c, row.uid, **where))


def panel(desk: Desk, task: Task) -> Outcome:
    """Edit it to what is true now. Whatever changes after this starts makes an edit of its own."""
    with desk.store.write() as c:
        table.keep(c, table.uid_in(task.key), panel_owed=False)
    row = _row(desk, task)
    if not row.ts:
        return Outcome(skipped="there is no message to edit")
    if row.panel != table.term_in(task.key):
        return Outcome(skipped="a newer edit is on its way")
    text, blocks = words.panel(desk, row, _trouble(desk, row))
    if not chat_of(desk).edit(Edit(row.channel, row.ts, text, blocks)):
        return Outcome(skipped="somebody deleted the message")
    return Outcome()


def note(desk: Desk, task: Task) -> Outcome:
    """Post one message in its thread."""
    row = _row(desk, task)
    if not row.ts:
        return Outcome(skipped="there is no thread to post into: the message was never posted")
    post_once(desk, task, Post(row.channel, str(task.args["text"]), (), row.thread or row.ts, task.key))
    return Outcome()


def alarm(desk: Desk, task: Task) -> Outcome:
    """Say in the channel that it is not undone."""
    row = _row(desk, task)
    if not task.tried and Status(row.status) in OVER:
        return Outcome(skipped="it is undone by now")
    if row.quiet and not row.ts:
        return Outcome(skipped="its private incident has no channel to say it in")
    service = desk.services.get(row.service)
    owners = service.owners if service is not None else ()
    text, blocks = words.alarm(row, _trouble(desk, row), owners, now=time.time())
    posted = post_once(desk, task, Post(row.channel, text, blocks, None, task.key))
    return Outcome({"ts": posted.ts}, lambda tx: _alarmed(tx, row.uid, posted.channel, posted.ts))


def _alarmed(tx: Tx, uid: str, channel: str, ts: str) -> None:
    table.keep(tx.c, uid, channel=channel, alarm_ts=ts)


def calm(desk: Desk, task: Task) -> Outcome:
    """Take the alarm back, in its own place."""
    row = _row(desk, task)
    if not row.alarm_ts:
        return Outcome(skipped="no alarm was posted")
    text, blocks = words.calm(row)
    if not chat_of(desk).edit(Edit(row.channel, row.alarm_ts, text, blocks)):
        return Outcome(skipped="somebody deleted the alarm")
    return Outcome()


def _row(desk: Desk, task: Task) -> Any:
    with desk.store.read() as c:
        row = table.by_uid(c, table.uid_in(task.key))
    if row is None:
        raise GiveUp(f"the request of {task.key} is not in the database")
    return row


def _row_and_plan(desk: Desk, task: Task) -> tuple[Any, Plan]:
    row = _row(desk, task)
    return row, table.plan_of(row)


def _trouble(desk: Desk, row: Any) -> str:
    with desk.store.read() as c:
        return table.trouble(c, row)
