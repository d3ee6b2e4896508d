"""Turns deeds and what the cluster says into rows and owed effects, each in one transaction: the undo is owed first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from bot import audit
from bot.effects import EFFECTS, Effect, Settled, State, Tx, insert_once
from bot.errors import Refused
from bot.grammar import Asker
from handlers import panels
from handlers.buckets import EDITS, posts
from handlers.desk import Desk
from handlers.flags import rules, table, words
from handlers.flags.kinds import LOUD_AFTER, Spot
from handlers.flags.rules import OVER, Do, Event, Mark, Seen, Status, Way
from handlers.flags.table import FLAGS, key_of
from handlers.incidents import table as incidents
from handlers.incidents.rules import incident_uid
from handlers.incidents.words import duration

LANE = "kubernetes"
LOOK, ON, OFF = "flag-look", "flag-on", "flag-off"
CLOCK = "the clock"
OTHERS = "somebody else"
AGAIN_AFTER = 60.0
"""Seconds after which an undo that the engine has given up is owed anew."""


# ---- what people do ----------------------------------------------------------------------------------------------------


def switch_on(desk: Desk, asker: Asker, name: str, *, seconds: float, reason: str, now: float) -> tuple[Any, bool]:
    """Write down that a flag is wanted on for ``seconds``; (row, True when new). Raises Refused when it is on already.

    Nothing is switched here: first the look reads what is there, and then the undo is owed together with the apply.
    """
    flag = desk.flags[name]
    uid = incident_uid("flag", asker.key)
    with desk.engine.transaction(now) as tx:
        known = table.by_uid(tx.c, uid)
        if known is not None:
            return known, False
        spot = Spot(name, flag.object, flag.on)
        made = _insert(desk, tx, spot, flag.service, {
            "uid": uid, "status": Status.ASKED.value, "asked_by": asker.name, "reason": reason, "until": now + seconds,
            "asker": asker.id if asker.door == "slack" else "",
        })  # fmt: skip
        row = table.by_uid(tx.c, uid)
        if not made:
            if row is not None:
                return row, False
            other = [words.line(one, now=now) for one in table.not_over(tx.c, name)] or [f"{name} was on until now."]
            raise Refused(f"{other[0]}\nNothing was changed. {words.CHOICES.format(name=name)}")
        tx.owe(Effect(key_of(uid, "look"), LOOK, LANE, urgency=2, deadline=deadline(desk, row)))
        _record(tx, row, "flag on", asker, {"for_s": seconds, "reason": reason, "object": str(spot.target)})
    return row, True


def switch_off(desk: Desk, asker: Asker, uid: str, *, now: float) -> tuple[Any, bool]:
    """A person wants it off before its time; (row as it then is, False when it was over already)."""
    with desk.engine.transaction(now) as tx:
        row = table.lock(tx.c, uid)
        done = move(desk, tx, row, Event.END, by=asker.name)
        if done:
            _record(tx, row, "flag off", asker, {"from": row.status})
        return table.by_uid(tx.c, uid), done


def extend(desk: Desk, asker: Asker, uid: str, *, seconds: float, longest: float, now: float) -> Any:
    """A person wants it on for ``seconds`` more; the row as it then is. Raises Refused when that is not possible."""
    with desk.engine.transaction(now) as tx:
        row = table.lock(tx.c, uid)
        until = row.until + seconds
        if rules.after(Status(row.status), Event.EXTENDED) is None or now >= row.until:
            raise Refused(
                f"{words.line(row, now=now)}\nThere is nothing to extend: `flag on {row.name} --for 30m` switches it on anew."
            )
        if until - now > longest:
            most = duration(longest)
            raise Refused(
                f"{row.name} may have at most {most} to run (flags.{row.name}.longest in captain.yml), and would have "
                f"{duration(until - now)}. Nothing was changed; extend it by less, or later."
            )
        tx.c.execute(FLAGS().update().where(FLAGS().c.uid == uid).values(until=until))
        move(desk, tx, table.by_uid(tx.c, uid), Event.EXTENDED)
        _record(tx, row, "flag extend", asker, {"for_s": seconds, "until": until})
        return table.by_uid(tx.c, uid)


# ---- what the cluster says ---------------------------------------------------------------------------------------------


def looked(desk: Desk, tx: Tx, uid: str, seen: Seen) -> None:
    """What is there has been read: keep it, owe the undo and, in the same transaction, the apply. Or say why not."""
    row = table.kept(tx.c, uid)
    if row is None or row.status != Status.ASKED.value:
        return
    spot = table.spot_of(row)
    why = rules.unfit(seen, on=spot.on, where=str(spot.target))
    if why:
        move(desk, tx, row, Event.REFUSED, why=why)
        return
    flag = desk.flags.get(row.name)
    back = flag.off if flag is not None and flag.off is not None else seen.value
    prior = json.dumps({"found": seen.value, "back": back}, ensure_ascii=False)
    tx.c.execute(FLAGS().update().where(FLAGS().c.uid == uid).values(prior=prior))
    move(desk, tx, table.by_uid(tx.c, uid), Event.LOOKED)


def applied(desk: Desk, tx: Tx, uid: str) -> None:
    """The cluster has it on: by now, or by a try that nobody heard of."""
    row = table.kept(tx.c, uid)
    if row.on_at is None:
        tx.c.execute(FLAGS().update().where(FLAGS().c.uid == uid).values(on_at=tx.now))
        _record(tx, row, "flag is on", None, {"object": str(table.spot_of(row).target)})
        _told(tx, row, f"the flag {row.name} is on, asked by {row.asked_by}{f': {row.reason}' if row.reason else ''}")
    move(desk, tx, row, Event.APPLIED)


def changed_by_others(desk: Desk, tx: Tx, uid: str, seen: Seen) -> None:
    """Somebody else has set it to another value: people win, and for us it is over."""
    row = table.kept(tx.c, uid)
    if move(desk, tx, row, Event.END, by=OTHERS):
        say(desk, tx, row, f"changed:{row.term}", words.changed(row, seen))
        _told(tx, row, f"the flag {row.name} was changed by {OTHERS}")


def begin_undo(desk: Desk, uid: str, term: int, *, now: float) -> Any:
    """The undo begins: no apply is begun any more. The row, or None when another undo has taken its place."""
    with desk.engine.transaction(now) as tx:
        row = table.lock(tx.c, uid)
        if row is None or row.term != term:
            return None
        if row.status in (Status.TURNING_ON.value, Status.ON.value):
            move(desk, tx, row, Event.END, by=CLOCK)
        return table.by_uid(tx.c, uid)


def was_on(desk: Desk, uid: str, *, now: float) -> None:
    """The undo has found it on, though no apply was heard to work."""
    first = (FLAGS().c.uid == uid) & FLAGS().c.on_at.is_(None)
    with desk.store.write() as c:
        c.execute(FLAGS().update().where(first).values(on_at=now))


def undone(desk: Desk, tx: Tx, uid: str, term: int, way: Way, seen: Seen) -> None:
    """The cluster has it off. ``seen``: what the undo found."""
    row = table.kept(tx.c, uid)
    if row.term != term:
        return
    if not move(desk, tx, row, Event.NEVER_ON if row.on_at is None else Event.UNDONE):
        return
    if row.on_at is not None:
        _record(tx, row, "flag is off", None, {"by": row.off_by, "way": way.value})
        _told(tx, row, f"the flag {row.name} is off, by {row.off_by}")
    if way is Way.LEAVE and row.off_by != OTHERS:
        say(desk, tx, row, f"left:{term}", words.left(row, seen))
    alarm = key_of(uid, f"alarm:{term}")
    if _owed(tx, alarm):
        tx.owe(Effect(key_of(uid, f"calm:{term}"), "flag-calm", "slack", urgency=2, after=alarm, bucket=EDITS))


def seen_on(desk: Desk, uid: str, *, now: float) -> bool:
    """It is over, and yet its mark is on the object: owe another undo; False when it is not over after all."""
    with desk.engine.transaction(now) as tx:
        row = table.lock(tx.c, uid)
        t = FLAGS()
        if row is None or Status(row.status) not in OVER:
            return False
        if not table.not_over(tx.c, row.name):
            tx.c.execute(t.update().where(t.c.uid == uid).values(on_key=row.name))
        tx.c.execute(t.update().where(t.c.uid == uid).values(ending_at=now))
        move(desk, tx, table.by_uid(tx.c, uid), Event.SEEN_ON)
        _record(tx, row, "flag seen on", None, {"after": row.status})
        say(desk, tx, row, f"again:{row.term + 1}", words.again(row))
    return True


def adopt(desk: Desk, spot: Spot, service: str, mark: Mark, *, now: float) -> bool:
    """A mark of ours that no row knows (the database is older than it): its undo is owed from here on."""
    with desk.engine.transaction(now) as tx:
        made = _insert(desk, tx, spot, service, {
            "uid": mark.uid, "status": Status.ON.value, "asked_by": mark.by, "until": mark.until, "on_at": now, "term": 1,
            "reason": "found in the cluster; my database knew nothing of it", "asker": "",
            "prior": json.dumps({"found": mark.back, "back": mark.back}, ensure_ascii=False),
        })  # fmt: skip
        if not made:
            return False
        row = table.by_uid(tx.c, mark.uid)
        _owe_undo(tx, row, delay=max(0.0, row.until - now))
        _record(tx, row, "flag adopted", None, {"object": str(spot.target), "until": row.until})
    return True


def settled(desk: Desk, tx: Tx, done: Settled) -> None:
    """An effect was tried: what follows from its failure, and the message tells the truth about it."""
    if done.kind not in (LOOK, ON, OFF):
        return
    row = table.kept(tx.c, table.uid_in(done.key))
    if row is None or (done.kind != LOOK and table.term_in(done.key) != row.term):
        return
    failed = done.state in (State.SKIPPED, State.GAVE_UP)
    if done.kind != OFF and failed:
        move(desk, tx, row, Event.REFUSED, why=done.reason)
    elif done.kind == OFF and done.state is State.GAVE_UP:
        # It is owed for ever: patience that has run out is no reason to leave it on.
        move(desk, tx, row, Event.GAVE_UP, why=done.reason)
    elif done.state is State.RETRYING:
        if done.kind == OFF:
            alarm_if_overdue(desk, tx, row)
        show(desk, tx, row.uid)


def alarm_if_overdue(desk: Desk, tx: Tx, row: Any) -> None:
    """Say it in the channel, once for each end, when it should have been off for too long."""
    flag = desk.flags.get(row.name)
    late = tx.now - table.due(row)
    if Status(row.status) not in OVER and late > (flag.loud_after if flag is not None else LOUD_AFTER):
        if desk.outside.chat is not None and row.channel:
            key, bucket = key_of(row.uid, f"alarm:{row.term}"), posts(desk, row.service)
            tx.owe(Effect(key, "flag-alarm", "slack", urgency=1, bucket=bucket))
        show(desk, tx, row.uid)


# ---- one move ----------------------------------------------------------------------------------------------------------


def move(desk: Desk, tx: Tx, row: Any, event: Event, *, by: str = "", why: str = "") -> bool:
    """Make one move of the state machine and owe what follows from it; False when it does not apply."""
    found = rules.after(Status(row.status), event)
    if found is None:
        return False
    status, do = found
    values: dict[str, Any] = {"status": status.value, "off_by": row.off_by}
    if why:
        values["why"] = why[:500]
    if status is Status.TURNING_OFF:
        values["ending_at"] = row.ending_at or tx.now
    if event in (Event.END, Event.REFUSED):
        values["off_by"] = row.off_by or by or "Release Captain"
    if status in OVER:
        values |= {"off_at": tx.now, "on_key": None}
    if status is Status.NOT_APPLIED and not (why or row.why):
        values["why"] = f"it was switched off by {values['off_by']} before it was on"
    t = FLAGS()
    tx.c.execute(t.update().where(t.c.uid == row.uid).values(**values))
    _follow(desk, tx, table.by_uid(tx.c, row.uid), do, delay=AGAIN_AFTER if event is Event.GAVE_UP else 0.0)
    if status is Status.NOT_APPLIED:
        _record(tx, row, "flag not applied", None, {"why": values.get("why", row.why)})
        say(desk, tx, row, f"not-applied:{row.term}", words.not_applied(table.by_uid(tx.c, row.uid)))
    show(desk, tx, row.uid)
    return True


def _follow(desk: Desk, tx: Tx, row: Any, do: Do, *, delay: float) -> None:
    on, undo = (key_of(row.uid, f"{what}:{row.term}") for what in ("on", "undo"))
    if do is Do.FORGET:
        tx.cancel(key_of(row.uid, "look"), "it is not wanted any more")
    elif do is Do.UNDO_NOW:
        tx.cancel(on, "it is being switched off")
        tx.hasten(undo)
    elif do is not Do.NOTHING:
        for key in (on, undo):
            tx.cancel(key, "another has taken its place")
        t = FLAGS()
        tx.c.execute(t.update().where(t.c.uid == row.uid).values(term=row.term + 1))
        row = table.by_uid(tx.c, row.uid)
        if do is Do.UNDO_AGAIN:
            _owe_undo(tx, row, delay=delay)
        else:
            # The undo first. Both are committed together, so that there is no moment with the one and not the other.
            _owe_undo(tx, row, delay=max(0.0, row.until - tx.now))
            key = key_of(row.uid, f"on:{row.term}")
            tx.owe(Effect(key, ON, LANE, urgency=2, deadline=deadline(desk, row)))


def _owe_undo(tx: Tx, row: Any, *, delay: float) -> None:
    tx.owe(Effect(key_of(row.uid, f"undo:{row.term}"), OFF, LANE, urgency=1, delay=delay))


def _insert(desk: Desk, tx: Tx, spot: Spot, service: str, values: Mapping[str, Any]) -> bool:
    """Write a switching-on and owe its message; False when the flag is on already, or the row is there."""
    entry = desk.services.get(service)
    row: dict[str, Any] = {
        "name": spot.flag, "on_key": spot.flag, "service": service, "target": table.target_text(spot), "prior": "",
        "term": 0, "asked_at": tx.now, "on_at": None, "channel": entry.channel if entry is not None else "",
    }  # fmt: skip
    defaults = {"off_by": "", "why": "", "ts": "", "alarm_ts": "", "panel": 0, "panel_owed": False}
    if insert_once(tx.c, FLAGS(), row | defaults | dict(values)) is None:
        return False
    if desk.outside.chat is not None and entry is not None:
        key, bucket = key_of(values["uid"], "root"), posts(desk, service)
        tx.owe(Effect(key, "flag-root", "slack", urgency=3, bucket=bucket))
    return True


def deadline(desk: Desk, row: Any) -> float:
    """UNIX s after which nothing is sent any more that switches it on: early enough to be answered before the undo."""
    return float(row.until) - least(desk)


def least(desk: Desk) -> float:
    """Seconds for which a flag must be wanted at least, so that it can be switched on before it is switched off."""
    cluster = desk.outside.cluster
    return rules.margin(cluster.timeout if cluster is not None else 0.0)


def show(desk: Desk, tx: Tx, uid: str) -> None:
    """Owe one edit of the message; changes that come in the meantime ride along."""
    t = FLAGS()
    if desk.outside.chat is None:
        return
    if not panels.mark(tx.c, t, t.c.uid == uid):
        return
    panel = tx.c.execute(sa.select(t.c.panel).where(t.c.uid == uid)).scalar_one()
    key, root = key_of(uid, f"panel:{panel}"), key_of(uid, "root")
    pause = desk.policy.panel_pause
    tx.owe(Effect(key, "flag-panel", "slack", urgency=4, after=root, delay=pause, bucket=EDITS))


def say(desk: Desk, tx: Tx, row: Any, name: str, text: str) -> None:
    """Owe one message in the thread."""
    root = key_of(row.uid, "root")
    if _owed(tx, root):
        key, args, bucket = key_of(row.uid, f"note:{name}"), {"text": text}, posts(desk, row.service)
        tx.owe(Effect(key, "flag-note", "slack", None, args, urgency=4, after=root, bucket=bucket))


def _owed(tx: Tx, key: str) -> bool:
    t = EFFECTS()
    return tx.c.execute(sa.select(t.c.key).where(t.c.key == key)).first() is not None


def _told(tx: Tx, row: Any, text: str) -> None:
    """Put what became of a flag into the timeline of whatever burns in its service."""
    for number in incidents.open_of(tx.c, row.service):
        incidents.add_event(tx.c, incident=number, at=tx.now, kind="flag", actor="Release Captain", text=text)


def _record(tx: Tx, row: Any, action: str, asker: Asker | None, detail: Mapping[str, Any]) -> None:
    actor = f"{asker.name} ({asker.id})" if asker is not None else "Release Captain"
    door = asker.door if asker is not None else "engine"
    told = {"switching_on": row.uid} | dict(detail)
    audit.append(tx.c, at=tx.now, actor=actor, door=door, action=action, subject=f"flag {row.name}", detail=told)
