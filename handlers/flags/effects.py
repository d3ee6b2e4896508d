"""Performs what is owed for flags: looks, switches on, switches off, and keeps the message in the channel true."""

from __future__ import annotations

import json
import time
from typing import Any

from bot.effects import Outcome, Performer, Task, Tx
from bot.errors import GiveUp, Retry
from bot.integrations.kubernetes import Cluster
from bot.integrations.slack import Edit, Post
from handlers.desk import Desk
from handlers.flags import decide, rules, table, words
from handlers.flags.back import PAUSE, go_back
from handlers.flags.rules import OVER, Change, Seen, Status, Way
from handlers.flags.table import FLAGS
from handlers.posts import chat_of, post_once

LONGEST_PAUSE = 60.0
"""Seconds that Kubernetes may ask an undo to wait at most."""
TOO_LATE = "it came too late to be undone in time, so it was not done"


def performers(desk: Desk) -> list[Performer]:
    """Every kind of effect this subject owes."""
    return [
        Performer(decide.LOOK, lambda task: look(desk, task)),
        Performer(decide.ON, lambda task: turn_on(desk, task)),
        Performer(decide.OFF, lambda task: turn_off(desk, task)),
        Performer("flag-root", lambda task: root(desk, task)),
        Performer("flag-panel", lambda task: panel(desk, task)),
        Performer("flag-note", lambda task: note(desk, task)),
        Performer("flag-alarm", lambda task: alarm(desk, task)),
        Performer("flag-calm", lambda task: calm(desk, task)),
    ]


# ---- the cluster -------------------------------------------------------------------------------------------------------


def look(desk: Desk, task: Task) -> Outcome:
    """Read what is there. What settles this keeps it, and owes the undo and the apply together."""
    row = _row(desk, task)
    spot = table.spot_of(row)
    seen = spot.seen(_cluster(desk).get(spot.ref))
    return Outcome({"found": seen.value}, lambda tx: decide.looked(desk, tx, row.uid, seen))


def turn_on(desk: Desk, task: Task) -> Outcome:
    """Switch it on, unless it is too late, or somebody has changed it since we looked."""
    row = _row(desk, task)
    if row.status not in (Status.TURNING_ON.value, Status.ON.value) or row.term != table.term_in(task.key):
        return Outcome(skipped="it is being switched off")
    cluster, spot, mark = _cluster(desk), table.spot_of(row), table.mark_of(row)
    seen = spot.seen(cluster.get(spot.ref))
    was_on = row.on_at is not None
    change = rules.to_switch_on(seen, mark, on=spot.on, prior=json.loads(row.prior)["found"], was_on=was_on)
    if change is Change.LEAVE:
        if was_on:
            return Outcome(
                {}, lambda tx: decide.changed_by_others(desk, tx, row.uid, seen), skipped="changed by others"
            )
        return Outcome(skipped="somebody else changed it after I had looked: nothing was changed")
    if change is Change.WRITE:
        if time.time() > decide.deadline(desk, row):
            return Outcome(skipped=TOO_LATE)
        # By force: whoever set the value before owns the field until now. That cannot be given back, the API knows no
        # way to; the old value comes back under our name, which whoever applies the same value then shares.
        cluster.apply(spot.ref, spot.body(seen, spot.on, mark), force=True, part=spot.part)
    return Outcome({"value": spot.on}, lambda tx: decide.applied(desk, tx, row.uid))


def turn_off(desk: Desk, task: Task) -> Outcome:
    """Put it back. It is tried until it works: nothing that Kubernetes says is a reason to leave it on."""
    term = table.term_in(task.key)
    row = decide.begin_undo(desk, table.uid_in(task.key), term, now=time.time())
    if row is None:
        return Outcome(skipped="another undo has taken its place")
    try:
        way, seen = _put_back(desk, row)
    except GiveUp as e:
        # With a pause, for the cluster has answered: other flags need not wait for what this one is refused.
        raise Retry(e.reason, after=PAUSE) from e
    except Retry as e:
        after = None if e.after is None else min(e.after, LONGEST_PAUSE)
        raise Retry(e.reason, after=after, unknown=e.unknown, limited=e.limited) from e
    return Outcome({"way": way.value}, lambda tx: decide.undone(desk, tx, row.uid, term, way, seen))


def _put_back(desk: Desk, row: Any) -> tuple[Way, Seen]:
    cluster, spot = _cluster(desk), table.spot_of(row)
    seen = spot.seen(cluster.get(spot.ref))
    way = rules.way_back(seen, row.uid, on=spot.on) if row.prior else Way.NOTHING
    if way in (Way.RESTORE, Way.LEAVE):
        decide.was_on(desk, row.uid, now=time.time())
    mark = table.mark_of(row) if row.prior else None
    go_back(cluster, spot, seen, way, mark)
    return way, seen


# ---- the channel -------------------------------------------------------------------------------------------------------


def root(desk: Desk, task: Task) -> Outcome:
    """Post the message of a switching-on."""
    row = _row(desk, task)
    text, blocks = words.panel(row, _trouble(desk, row))
    posted = post_once(desk, task, Post(row.channel, text, blocks, None, task.key))
    where = {"channel": posted.channel, "ts": posted.ts}
    return Outcome(where, lambda tx: _keep(tx, row.uid, where))


def panel(desk: Desk, task: Task) -> Outcome:
    """Edit it to what is true now. Whatever changes after this starts makes an edit of its own."""
    t = FLAGS()
    with desk.store.write() as c:
        c.execute(t.update().where(t.c.uid == table.uid_in(task.key)).values(panel_owed=False))
    row = _row(desk, task)
    if not row.ts:
        return Outcome(skipped="there is no message to edit")
    if row.panel != table.term_in(task.key):
        return Outcome(skipped="a newer edit is on its way")
    text, blocks = words.panel(row, _trouble(desk, row))
    if not chat_of(desk).edit(Edit(row.channel, row.ts, text, blocks)):
        return Outcome(skipped="somebody deleted the message")
    return Outcome()


def note(desk: Desk, task: Task) -> Outcome:
    """Post one message in its thread."""
    row = _row(desk, task)
    if not row.ts:
        return Outcome(skipped="there is no thread to post into: the message was never posted")
    post_once(desk, task, Post(row.channel, str(task.args["text"]), (), row.ts, task.key))
    return Outcome()


def alarm(desk: Desk, task: Task) -> Outcome:
    """Say in the channel that it is still on."""
    row = _row(desk, task)
    if not task.tried and Status(row.status) in OVER:
        return Outcome(skipped="it is off by now")
    service = desk.services.get(row.service)
    owners = service.owners if service is not None else ()
    text, blocks = words.alarm(row, _trouble(desk, row), owners, now=time.time())
    posted = post_once(desk, task, Post(row.channel, text, blocks, None, task.key))
    return Outcome({"ts": posted.ts}, lambda tx: _keep(tx, row.uid, {"channel": posted.channel, "alarm_ts": posted.ts}))


def calm(desk: Desk, task: Task) -> Outcome:
    """Take the alarm back, in its own place."""
    row = _row(desk, task)
    if not row.alarm_ts:
        return Outcome(skipped="no alarm was posted")
    text, blocks = words.calm(row)
    if not chat_of(desk).edit(Edit(row.channel, row.alarm_ts, text, blocks)):
        return Outcome(skipped="somebody deleted the alarm")
    return Outcome()


def _keep(tx: Tx, uid: str, values: dict[str, Any]) -> None:
    tx.c.execute(FLAGS().update().where(FLAGS().c.uid == uid).values(**values))


def _row(desk: Desk, task: Task) -> Any:
    with desk.store.read() as c:
        row = table.by_uid(c, table.uid_in(task.key))
    if row is None:
        raise GiveUp(f"the switching-on of {task.key} is not in the database")
    return row


def _trouble(desk: Desk, row: Any) -> str:
    with desk.store.read() as c:
        return table.trouble(c, row)


def _cluster(desk: Desk) -> Cluster:
    if desk.outside.cluster is None:
        raise GiveUp("the kubernetes: section is missing in captain.yml; put it back")
    return desk.outside.cluster
