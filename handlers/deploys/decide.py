"""Turns what is told of a deploy into its row, its message and its checks, each telling in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot import audit
from bot.effects import Effect, Tx, insert_once
from bot.grammar import Asker
from handlers import panels
from handlers.buckets import EDITS, posts
from handlers.deploys import kinds, rules, table, words
from handlers.deploys.kinds import FINAL, Status, Told
from handlers.deploys.table import DEPLOYS, PARTS, key_of
from handlers.desk import Desk
from handlers.incidents import decide as incident_decide
from handlers.incidents import table as incidents
from handlers.incidents.rules import incident_uid

ROOT, PANEL, AFTER, ALARM = "deploy-root", "deploy-panel", "deploy-after", "deploy-alarm"
LANE = "reminders"
"""Where it is decided that the checks begin; nobody outside is asked for it."""
ACTOR = "Release Captain"
OUTRUN_S = 86400.0
"""Seconds for which a deploy that has no end is looked for when a newer one of the same place is done."""


def hear(desk: Desk, told: Told, *, now: float, asker: Asker | None = None) -> tuple[Any, str]:
    """Take one telling in a transaction of its own; (the deploy's row, what came of it)."""
    with desk.engine.transaction(now) as tx:
        row, said = take(desk, tx, told)
        if asker is not None and said != words.KNOWN:
            actor, detail = f"{asker.name} ({asker.id})", {"version": told.version, "environment": told.environment}
            audit.append(
                tx.c, at=now, actor=actor, door=asker.door, action="deploy note", subject=told.service, detail=detail
            )
    return row, said


def take(desk: Desk, tx: Tx, told: Told) -> tuple[Any, str]:
    """Take one telling: it begins a deploy, moves one, or is known already. (the deploy's row, what came of it)."""
    if told.service not in desk.services:
        return None, words.NOBODYS  # it was, when this was taken
    where = table.place(tx.c, told.service, told.environment)  # held from here on: one telling of a place at a time
    part = table.part(tx.c, told.key)
    if part is None:
        row = _of_others(tx, told)
        joined = row is not None
        if row is None:
            row = _begin(desk, tx, told, where)
        values = {
            "key": told.key, "deploy": row.id, "origin": told.origin, "source": told.source, "status": told.status,
            "at": told.at, "told_at": tx.now,
        }  # fmt: skip
        insert_once(tx.c, PARTS(), values)
        return _settle(desk, tx, row, told, begun=not joined), words.JOINED if joined else words.BEGUN
    row = table.by_id(tx.c, part.deploy)
    if row is None:
        return None, words.FORGOTTEN
    t = PARTS()
    if rules.counts(part.status, part.at, told.status, told.at):
        tx.c.execute(t.update().where(t.c.key == told.key).values(status=told.status, at=told.at))
        return _settle(desk, tx, row, told), words.MOVED
    if _more(row, told):
        return _settle(desk, tx, row, told), words.MORE
    return row, words.KNOWN


def replaced(desk: Desk, tx: Tx, key: str, why: str) -> None:
    """What was told under a key never came to its end: something newer has taken its place."""
    t, part = PARTS(), table.part(tx.c, key)
    if part is None or part.status != Status.STARTED.value:
        return
    tx.c.execute(t.update().where(t.c.key == key).values(status=Status.REPLACED.value, at=tx.now))
    row = table.by_id(tx.c, part.deploy)
    if row is not None:
        _move(desk, tx, row, {"why": why, "ended_at": tx.now})


def _outrun(desk: Desk, tx: Tx, row: Any) -> None:
    """Those that began before this one, which is done, and of whose end nobody has told will never end."""
    older = table.lately(tx.c, row.service, since=row.at - OUTRUN_S, environment=row.environment)
    for one in older:
        # What is told late was not done after what has begun since.
        if one.id < row.id and one.at <= row.ended_at and one.status == Status.STARTED.value:
            for part in table.parts(tx.c, one.id):
                replaced(desk, tx, part.key, f"{row.version} is there instead")


def _of_others(tx: Tx, told: Told) -> Any:
    """The deploy that somebody else has told of and that this is, or None."""
    names = (told.version, told.image, told.revision)
    near = table.lately(tx.c, told.service, since=tx.now - rules.LATE_S, environment=told.environment)
    for row in near:
        origins = {part.origin for part in table.parts(tx.c, row.id)}
        if told.origin not in origins and rules.belongs(row, names, tx.now):
            return row
        if rules.done_since(row, names, told.at):
            return None  # and what had been there before that comes back
    return None


def _begin(desk: Desk, tx: Tx, told: Told, where: Any) -> Any:
    """Write a new deploy down and owe its message."""
    uid = incident_uid("deploy", told.key)
    late = tx.now - told.at > rules.LATE_S
    last = table.by_id(tx.c, where.deploy) if where.deploy is not None else None
    # What is there now has not been there before a deploy that is told late.
    before = told.before or ("" if rules.overtaken(last, told.at) else where.version)
    back = bool(last and before and last.before == told.version != before == last.version)
    channel = desk.services[told.service].channel
    values: dict[str, Any] = {
        "uid": uid, "service": told.service, "environment": told.environment, "version": told.version, "before": before,
        "back": back, "image": told.image, "revision": told.revision, "status": Status.STARTED.value,
        "source": told.source, "by_name": told.by, "url": told.url, "at": told.at, "told_at": tx.now, "late": late,
        "channel": channel, "why": "", "turn": 0, "run": "", "verdict": "", "found": "[]", "ts": "", "panel": 0,
        "panel_owed": False,
    }  # fmt: skip
    insert_once(tx.c, DEPLOYS(), values)
    row = table.by_uid(tx.c, uid)
    if desk.outside.chat is not None and not late:
        tx.owe(Effect(key_of(uid, "root"), ROOT, "slack", urgency=4, bucket=posts(desk, told.service)))
    _timeline(desk, tx, row, words.began(row))
    return row


def _settle(desk: Desk, tx: Tx, row: Any, told: Told, *, begun: bool = False) -> Any:
    """Bring a deploy's row to what its tellers say now, and owe what follows from that."""
    more = {"by_name": told.by, "url": told.url, "image": told.image, "revision": told.revision}
    values: dict[str, Any] = {name: given for name, given in more.items() if given and not getattr(row, name)}
    if not begun and rules.SHA.fullmatch(row.version) and not rules.SHA.fullmatch(told.version):
        # A commit says less to a person than the tag that was built from it.
        values |= {"version": told.version, "revision": values.get("revision") or row.revision or row.version}
    if told.before and not row.before:
        values["before"] = told.before
    if told.status == Status.STARTED.value:
        values["started_at"] = min(told.at, row.started_at or told.at)
        values["at"] = min(row.at, told.at)
    else:
        values["ended_at"] = told.at if row.ended_at is None else max(row.ended_at, told.at)
    if told.status == Status.FAILED.value and told.why:
        values["why"] = told.why
    return _move(desk, tx, row, values, begun=begun)


def _move(desk: Desk, tx: Tx, row: Any, values: Mapping[str, Any], *, begun: bool = False) -> Any:
    said = [(part.source, part.status) for part in table.parts(tx.c, row.id)]
    status = rules.overall(said) if said else Status(row.status)
    values = {**values, "status": status.value}
    if status is Status.SUCCEEDED:
        values |= {"why": ""}
    moved = status.value != row.status
    row = table.change(tx.c, row.id, values)
    if moved and status is Status.SUCCEEDED:
        last = table.by_id(tx.c, table.place(tx.c, row.service, row.environment).deploy)
        if not rules.overtaken(last, row.ended_at):
            table.runs(tx.c, row.service, row.environment, row.version, row.id)
        _outrun(desk, tx, row)
        row = _check(desk, tx, row)
    if moved and status is Status.FAILED and not begun:
        alarm(desk, tx, row, f"failed:{row.turn}")
    if moved and status in FINAL:
        _timeline(desk, tx, row, words.ended(row))
    if not begun:  # its message is still to be posted, as it then is
        show(desk, tx, row)
    return row


def _check(desk: Desk, tx: Tx, row: Any) -> Any:
    """It is done, maybe once more: owe its checks."""
    row = table.change(tx.c, row.id, {"turn": row.turn + 1, "verdict": "", "found": "[]", "run": ""})
    wanted = kinds.after_deploy(desk.deploys, desk.services[row.service]) if row.service in desk.services else ""
    if wanted and not row.late:
        key, delay = key_of(row.uid, f"after:{row.turn}"), desk.deploys.checks_after
        tx.owe(Effect(key, AFTER, LANE, urgency=5, delay=delay))
        row = table.change(tx.c, row.id, {"verdict": words.OWED})
    return row


def _more(row: Any, told: Told) -> bool:
    """Whether a telling that moves nothing says what was not known."""
    earlier = told.status == Status.STARTED.value and (row.started_at is None or told.at < row.started_at)
    return bool(earlier or (told.by and not row.by_name) or (told.url and not row.url))


def show(desk: Desk, tx: Tx, row: Any) -> None:
    """Owe one edit of the message; what changes in the meantime rides along."""
    t = DEPLOYS()
    if desk.outside.chat is None or row is None or row.late or not panels.mark(tx.c, t, t.c.id == row.id):
        return
    panel = table.by_id(tx.c, row.id).panel
    key, root, pause = key_of(row.uid, f"panel:{panel}"), key_of(row.uid, "root"), desk.policy.panel_pause
    tx.owe(Effect(key, PANEL, "slack", urgency=5, after=root, delay=pause, bucket=EDITS))


def alarm(desk: Desk, tx: Tx, row: Any, name: str) -> None:
    """Owe a message of its own: nobody is told of an edit. ``name``: of what, so that it is said once."""
    if desk.outside.chat is not None and not row.late:
        key, root, bucket = key_of(row.uid, f"alarm:{name}"), key_of(row.uid, "root"), posts(desk, row.service)
        tx.owe(Effect(key, ALARM, "slack", urgency=4, after=root, bucket=bucket))


def _timeline(desk: Desk, tx: Tx, row: Any, text: str) -> None:
    """Put it into the timeline of whatever burns in its service."""
    tell(desk, tx, incidents.open_of(tx.c, row.service), text)


def tell(desk: Desk, tx: Tx, numbers: Sequence[int], text: str) -> None:
    """One line in the timeline of each of these incidents, and on their panels what there is now."""
    for number in numbers:
        incidents.add_event(tx.c, incident=number, at=tx.now, kind="deploy", actor=ACTOR, text=text)
        incident_decide.show(desk, tx, number)
