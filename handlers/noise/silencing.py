"""Silences the incident of a thread: our own at once, and a real one in Alertmanager as an effect that is owed."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.engine import Connection

from bot.effects import Effect, Settled, State, Tx
from bot.errors import Refused
from bot.grammar import Asker
from handlers import catalogue
from handlers.alerts import journal
from handlers.alerts.payload import Source
from handlers.desk import Desk
from handlers.incidents import decide as incidents
from handlers.incidents import grouping
from handlers.incidents import table as incident_table
from handlers.incidents.rules import Severity
from handlers.noise import decide, matchers, table, words
from handlers.noise.decide import MAKE, OUTSIDE, UNMAKE, Wanted
from handlers.noise.matchers import Matcher
from handlers.noise.table import SILENCES
from handlers.noise.weigh import Kind


def silence(desk: Desk, tx: Tx, asker: Asker, row: Any, *, seconds: float, reason: str) -> Any:
    """Silence an incident, or give its silence another end; the silence's row. ``row``: the incident. Raises Refused."""
    if row.source != "alert":
        raise Refused(f"No alert opened INC-{row.number}, so none comes for it that could be silenced.")
    incident_table.locked(tx.c, row.number)  # whoever silences it too waits here
    known = table.open_by_key(tx.c, f"silence/{row.key}")
    if known is not None:
        return _again(desk, tx, asker, row, known, seconds=seconds, reason=reason)
    wanted = Wanted(
        kind=Kind.SILENCE,
        name=f"INC-{row.number}",
        uid=decide.uid_of(Kind.SILENCE, asker.key),
        open_key=f"silence/{row.key}",
        seconds=seconds,
        reason=reason,
        matchers=stable(desk, tx.c, row),
        key=row.key,
        rank=Severity(row.severity).rank,
        incident=row.number,
    )
    made, new = decide.begin(desk, tx, wanted, asker)
    if new:
        _follow(desk, tx, row, made, f"{words.ICON[Kind.SILENCE]} Silenced")
    return made


def unsilence(desk: Desk, tx: Tx, asker: Asker, row: Any) -> tuple[Any, bool]:
    """End an incident's silence now; (the silence's row or None, True when it was on). ``row``: the incident."""
    known = table.open_by_key(tx.c, f"silence/{row.key}")
    if known is None:
        return table.latest_of(tx.c, row.number), False
    return decide.end(desk, tx, known.id, by=asker.name, asker=asker)


def stable(desk: Desk, c: Connection, row: Any) -> tuple[Matcher, ...]:
    """What the alerts of an incident, ``row``, have that other alerts have not, as conditions for Alertmanager.

    Their names and severities are among them: what is worse than anybody has seen must get through. None when they
    cannot be told from others: a silence that is too wide would keep somebody from being paged.
    """
    found = [json.loads(one.labels) for one in journal.labels_of(c, row.number, Source.ALERTMANAGER)]
    policy, names = desk.policy, {"alertname", "severity"}
    for part in grouping.parse(catalogue.grouped(policy, desk.services, row.service)).parts:
        if isinstance(part, str) or part == (grouping.SERVICE,):
            continue
        # One that has none of a part is an incident of its own, told apart by all its labels.
        shared = next((name for name in part if all(one.get(name) for one in found)), "")
        if not shared and len(found) != 1:
            return ()
        names |= {shared} if shared else set(found[0])
    names |= {policy.service_label, policy.environment_label}
    return matchers.any_of({name: {one.get(name, "") for one in found} for name in names}) if found else ()


def through(desk: Desk, c: Connection, number: int) -> bool:
    """True when alerts of an incident come through an Alertmanager that can be asked to silence them."""
    return desk.outside.alerts is not None and bool(journal.labels_of(c, number, Source.ALERTMANAGER, limit=1))


def settled(desk: Desk, tx: Tx, done: Settled) -> None:
    """What became of a silence in Alertmanager is said in the thread when it is not what was wanted."""
    if done.kind not in (MAKE, UNMAKE) or done.state is not State.GAVE_UP or done.about is None:
        return
    row = incident_table.by_number(tx.c, done.about)
    what = "made" if done.kind == MAKE else "ended"
    text = words.not_done(row.number, what, done.reason)
    incidents.say(desk, tx, row, f"{done.key.partition(':')[2]}:failed", text)


def _again(desk: Desk, tx: Tx, asker: Asker, row: Any, known: Any, *, seconds: float, reason: str) -> Any:
    if known.asked_key == asker.key:
        return known
    t = SILENCES()
    tx.cancel(f"silence:{known.uid}:end:{known.term}", "it was given another end")
    values = {
        "term": known.term + 1, "made_at": tx.now, "end_at": tx.now + seconds, "length": seconds, "asked_key": asker.key,
        "by_name": asker.name, "by_id": asker.id, "reason": reason, "rank": Severity(row.severity).rank,
    }  # fmt: skip
    tx.c.execute(t.update().where(t.c.id == known.id).values(**values))
    made = table.by_id(tx.c, known.id)
    tx.owe(decide.end_of(made, seconds))
    decide.record(tx, asker, made, "extend", {"until": made.end_at, "was": known.end_at, "was_by": known.by_name})
    before = f"{words.ICON[Kind.SILENCE]} It was silenced by {known.by_name} until {words.instant(known.end_at)}; now"
    _follow(desk, tx, row, made, before)
    return made


def _follow(desk: Desk, tx: Tx, row: Any, made: Any, said: str) -> None:
    """What follows from a new end: the thread hears of it, the panel shows it, Alertmanager is asked."""
    real = through(desk, tx.c, row.number)
    text, blocks = words.silenced(made, said, real=real)
    incidents.say(desk, tx, row, f"silenced:{made.uid}:{made.term}", text, blocks)
    decide.note(tx, made, words.plain_silenced(made))
    incidents.show(desk, tx, row.number)
    if real:
        before = f"silence:{made.uid}:make:{made.term - 1}" if made.term > 1 else None
        args = {"silence": made.id, "term": made.term}
        tx.owe(Effect(f"silence:{made.uid}:make:{made.term}", MAKE, OUTSIDE, row.number, args, urgency=3, after=before))
