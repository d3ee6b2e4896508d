"""What is stuck: effects that were given up or are tried in vain, over all incidents and beside them, and their repair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot import audit
from bot.effects import EFFECTS, Effect, State, Tx, left
from bot.grammar import Asker
from bot.integrations.slack.words import escape
from handlers.buckets import posts
from handlers.desk import Desk
from handlers.digest import follow
from handlers.incidents import decide, table, words
from handlers.incidents.rules import Status
from handlers.incidents.table import INCIDENTS

IN_VAIN = 300.0
"""Seconds after which an effect that is still tried again counts as stuck."""
MOST = 200
"""Stuck effects that are read at once; whoever has more begins with these."""
ANSWERS = "replies"
ANSWERED_WITHIN = 1800.0
"""Seconds for which Slack takes an answer to a command: what was not delivered by then is no longer wanted."""
PASSING = ("reconcile", "heartbeat", "home", "oncall-look")
"""Kinds whose next turn makes good what the last one failed to do."""


@dataclass(frozen=True)
class Stuck:
    """One stuck effect. ``about``: incident number, or None. ``since``: UNIX s from which on it is owed."""

    key: str
    kind: str
    about: int | None
    given_up: bool
    since: float
    attempt: int
    reason: str


def stuck(c: Connection, *, now: float) -> list[Stuck]:
    """Every stuck effect, what was given up first, then the oldest first."""
    t = EFFECTS()
    in_vain = (t.c.state == State.RETRYING.value) & (t.c.created_at <= now - IN_VAIN)
    wanted = sa.select(t).where(left(t), (t.c.state == State.GAVE_UP.value) | in_vain, t.c.kind.not_in(PASSING))
    late = (t.c.lane == ANSWERS) & (t.c.created_at < now - ANSWERED_WITHIN)
    rows = c.execute(wanted.where(~late).order_by(t.c.created_at)).all()
    given_up = _wanted(c, [row for row in rows if row.state == State.GAVE_UP.value])
    trying = [row for row in rows if row.state == State.RETRYING.value]
    return [_stuck(row) for row in [*given_up, *trying][:MOST]]


def of_incident(c: Connection, number: int) -> list[Stuck]:
    """What was given up for one incident and what waits for its next try, however short."""
    row, effects = table.by_number(c, number), table.effects_about(c, number)
    trying = [effect for effect in effects if effect.state == State.RETRYING.value]
    return [_stuck(effect) for effect in [*table.given_up(effects, open_=table.is_open(row)), *trying]]


def _wanted(c: Connection, rows: Sequence[Any]) -> list[Any]:
    """Of what was given up, what nothing has made good since."""
    numbers = sorted({row.about for row in rows if row.about is not None})
    t, i = EFFECTS(), INCIDENTS()
    by_incident: dict[int, list[Any]] = {}
    open_: dict[int, bool] = {}
    for start in range(0, len(numbers), 500):
        part = numbers[start : start + 500]
        for row in c.execute(sa.select(t).where(t.c.about.in_(part)).order_by(t.c.created_at)):
            by_incident.setdefault(row.about, []).append(row)
        for row in c.execute(sa.select(i.c.number, i.c.status).where(i.c.number.in_(part))):
            open_[row.number] = Status(row.status).open
    left = {row.key for n, effects in by_incident.items() for row in table.given_up(effects, open_=open_.get(n, False))}
    return [row for row in rows if row.about is None or row.key in left]


def _stuck(row: Any) -> Stuck:
    given_up = row.state == State.GAVE_UP.value
    return Stuck(row.key, row.kind, row.about, given_up, row.created_at, row.attempt, row.reason)


def repair_incident(desk: Desk, asker: Asker, number: int, *, now: float) -> tuple[list[str], list[str]]:
    """Try again what was given up for an incident, and at once what waits: the kinds of both."""
    with desk.engine.transaction(now) as tx:
        table.locked(tx.c, number)
        again, hastened = _try_again(desk, tx, number, of_incident(tx.c, number), by=asker.name)
        if again or hastened:
            decide.record(tx, asker, "incident repair", number, {"effects": [*again, *hastened]})
        return again, hastened


def repair_all(desk: Desk, asker: Asker, *, now: float) -> list[Stuck]:
    """Try everything again that is stuck; what it was."""
    with desk.store.read() as c:
        found = stuck(c, now=now)
    by_incident: dict[int | None, list[Stuck]] = {}
    for one in found:
        by_incident.setdefault(one.about, []).append(one)
    # A transaction each: alerts that come in meanwhile wait for one of them at most.
    for number, ones in by_incident.items():
        with desk.engine.transaction(now) as tx:
            _try_again(desk, tx, number, ones, by=asker.name)
    if found:
        with desk.engine.transaction(now) as tx:
            keys = [one.key for one in found]
            actor = f"{asker.name} ({asker.id})"
            audit.append(
                tx.c, at=now, actor=actor, door=asker.door, action="incident repair --all", subject="effects",
                detail={"effects": keys},
            )  # fmt: skip
    return found


def _try_again(
    desk: Desk, tx: Tx, number: int | None, found: Sequence[Stuck], *, by: str
) -> tuple[list[str], list[str]]:
    rootless = any(_gone(one) for one in found)
    # What belongs into a thread waits for the new one: the root message takes it along.
    mine = [one for one in found if not (rootless and one.kind in ("note", "asked"))]
    again = [one.kind for one in mine if one.given_up and _revive(desk, tx, one)]
    hastened = [one.kind for one in mine if not one.given_up and tx.hasten(one.key)]
    if number is not None and (again or hastened):
        text = f"tries again: {', '.join([*again, *hastened])}"
        table.add_event(tx.c, incident=number, at=tx.now, kind="repair", actor=by, text=text)
        if not rootless:
            decide.show(desk, tx, number)
    return again, hastened


def _revive(desk: Desk, tx: Tx, one: Stuck) -> bool:
    if one.reason == follow.LINE_GONE:
        follow.forget(tx, one.about or 0)
        follow.follow(desk, tx, one.about or 0)
    if not _gone(one):
        return desk.engine.repair(tx, one.key)
    # An edit cannot bring back what it was to change: the message is posted anew, and the thread goes on below that.
    last = table.newest(tx.c, one.about or 0, "root")
    if last is not None and last.state == State.DONE.value and last.done_at < one.since:
        row = table.by_number(tx.c, one.about or 0)
        key, bucket = table.another_key(tx.c, row, "root"), posts(desk, row.service)
        return tx.owe(Effect(key, "root", "slack", one.about, urgency=2, bucket=bucket))
    return False


def _gone(one: Stuck) -> bool:
    return one.kind == "panel" and one.reason == words.ROOT_GONE


def listing(found: Sequence[Stuck], *, now: float) -> tuple[str, words.Blocks]:
    """What is stuck, a line each, with a button that tries it again. (text, blocks)."""
    if not found:
        text = "Nothing is stuck: what was owed is done, or has been tried for less than five minutes."
        return text, [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
    head = f"{_counted(len(found))} stuck. `incident repair INC-n` or `incident repair --all` tries again."
    blocks: words.Blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": f"*{head}*"}}]
    for one in found[:40]:
        said: dict[str, Any] = {"type": "section", "text": {"type": "mrkdwn", "text": line(one, now=now)}}
        if one.about is not None:
            said["accessory"] = words.button("Repair", "incident repair", f"INC-{one.about}")
        blocks.append(said)
    everything = words.button("Repair all", "incident repair", "--all")
    blocks.append({"type": "actions", "block_id": "stuck", "elements": [everything]})
    if len(found) > 40:
        rest = f"… {len(found) - 40} more"
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": rest}]})
    return words.fitted("\n".join([head, *(line(one, now=now) for one in found)]), blocks)


def line(one: Stuck, *, now: float) -> str:
    """One stuck effect on one line, mrkdwn."""
    whose = f"*INC-{one.about}*" if one.about is not None else "*beside the incidents*"
    what = NAMES.get(one.kind, one.kind)
    how = "given up" if one.given_up else f"tried {one.attempt} times"
    ago = words.duration(now - one.since)
    return f"{whose} {escape(what)}: {how}, owed for {ago}: {escape(one.reason[:300])}"


def count_line(found: Sequence[Stuck]) -> str:
    """For the Home tab; empty when nothing is stuck."""
    return f"⚠ *{_counted(len(found))} stuck.* `incident repair` lists what and why." if found else ""


def _counted(n: int) -> str:
    return "1 effect is" if n == 1 else f"{n}{'+' if n == MOST else ''} effects are"


NAMES: Mapping[str, str] = {
    **dict(words.SHOWN_EFFECTS),
    "root": "Slack message",
    "panel": "Slack message's edit",
    "note": "Slack note",
    "asked": "Slack question's edit",
    "reply": "answer to a command",
    "digest": "line in the digest",
    "digest-edit": "digest line's edit",
    "ticket-note": "comment on the ticket",
    "members": "end of what is folded into a storm",
}
"""What a reader calls each kind."""
