"""Begins and ends maintenance, silences and drills' silences, each in one transaction with what is owed for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot import audit
from bot.effects import Effect, Tx, insert_once
from bot.grammar import Asker
from handlers.buckets import EDITS, posts
from handlers.desk import Desk
from handlers.incidents import decide as incidents
from handlers.incidents import table as incident_table
from handlers.incidents.rules import incident_uid
from handlers.noise import owed, table, words
from handlers.noise.matchers import Matcher
from handlers.noise.table import SILENCES
from handlers.noise.weigh import Kind

END, REST, SAID, SHOWN = "silence-end", "silence-rest", "silence-said", "silence-shown"
REST_AFTER = 1.0
"""Seconds after an end in which whoever had not heard of it has decided."""
MAKE, UNMAKE, OUTSIDE = "silence-make", "silence-unmake", "alertmanager"
"""The effects on Alertmanager, and their lane."""
ITSELF, CONFIG = "itself", "captain.yml"
"""Who ended what nobody ended by hand; who wants what nobody asked for."""


@dataclass(frozen=True)
class Wanted:
    """A silence that is to be. ``seconds``: how long. ``uid``: ours, unique for ever, the same when it is asked twice.

    ``open_key``: at most one is on under it. ``services``, ``matchers``, ``key``, ``rank``: see ``Quiet``.
    """

    kind: Kind
    name: str
    uid: str
    open_key: str
    seconds: float
    reason: str = ""
    services: Sequence[str] = ()
    matchers: Sequence[Matcher] = ()
    key: str = ""
    rank: int = 1
    incident: int | None = None
    source: str = "person"


def begin(desk: Desk, tx: Tx, wanted: Wanted, asker: Asker | None = None) -> tuple[Any, bool]:
    """Make it; (row, True when it is new). Without an asker captain.yml wants it. The same request asked twice makes one."""
    known = table.by_uid(tx.c, wanted.uid)
    if known is not None:
        return known, False
    made = insert_once(
        tx.c,
        SILENCES(),
        {
            "uid": wanted.uid, "open_key": wanted.open_key, "kind": wanted.kind.value, "name": wanted.name,
            "services": json.dumps(list(wanted.services), ensure_ascii=False),
            "matchers": table.plain(wanted.matchers), "key": wanted.key, "rank": wanted.rank,
            "incident": wanted.incident, "source": wanted.source, "by_name": asker.name if asker else wanted.source,
            "by_id": asker.id if asker else "", "asked_key": asker.key if asker else "", "reason": wanted.reason,
            "made_at": tx.now, "end_at": tx.now + wanted.seconds, "length": wanted.seconds, "term": 1,
            "ended_by": "", "outside": "",
        },
    )  # fmt: skip
    if made is None:
        return table.by_uid(tx.c, wanted.uid) or table.open_by_key(tx.c, wanted.open_key), False
    row = table.by_id(tx.c, int(made[0]))
    tx.owe(end_of(row, wanted.seconds))
    if wanted.incident is None:
        text, blocks = words.begun(row)
        for service in words.told(row):
            _post(desk, tx, row, service, "begun", text, blocks)
    record(tx, asker, row, "begin", {"until": row.end_at, "services": wanted.services, "reason": wanted.reason})
    return row, True


def end(desk: Desk, tx: Tx, number: int, *, by: str, asker: Asker | None = None) -> tuple[Any, bool]:
    """End it now, and decide anew about what it holds; (row, False when it was over). ``number``: its row."""
    row = table.locked(tx.c, number)
    if row is None or row.open_key is None:
        return row, False
    t = SILENCES()
    tx.c.execute(t.update().where(t.c.id == number).values(open_key=None, ended_at=tx.now, ended_by=by))
    tx.cancel(f"silence:{row.uid}:end:{row.term}", "it was ended before")
    held = table.held(tx.c, silence=number, limit=owed.AT_ONCE)
    owed.release(tx, held)
    # What another replica was deciding about in this moment took it for on; and there may be more than were let go at once.
    tx.owe(Effect(f"silence:{row.uid}:rest", REST, owed.LANE, None, {"silence": row.id}, urgency=1, delay=REST_AFTER))
    row = table.by_id(tx.c, number)
    everything, still = table.counts(tx.c, [number])[number]
    text = words.ended(row, held=everything, still=still)
    if row.incident is not None:
        _in_thread(desk, tx, row, text)
    else:
        for service in words.told(row):
            _post(desk, tx, row, service, "ended", text, ())
            _show(desk, tx, row, service, text)
    record(tx, asker, row, "end", {"by": by, "held": len(held)})
    return row, True


def rest(tx: Tx, number: int) -> None:
    """Let go what a silence that is over still holds. ``number``: its row."""
    row = table.by_id(tx.c, number)
    if row is not None and row.open_key is None:
        owed.release(tx, table.held(tx.c, silence=number, limit=4 * owed.AT_ONCE))


def note(tx: Tx, row: Any, text: str) -> None:
    """Put what happened to an incident's silence into its timeline."""
    kind, actor = "silence", incidents.ITSELF
    incident_table.add_event(tx.c, incident=row.incident, at=tx.now, kind=kind, actor=actor, text=text)


def _in_thread(desk: Desk, tx: Tx, row: Any, text: str) -> None:
    """Say in the incident's thread that its silence is over, and owe its end in Alertmanager."""
    incidents.say(desk, tx, incident_table.by_number(tx.c, row.incident), f"unsilenced:{row.uid}", text)
    note(tx, row, f"its silence is over, ended by {row.ended_by}")
    incidents.show(desk, tx, row.incident)
    if desk.outside.alerts is not None and table.quiet(row).matchers and row.ended_by != ITSELF:
        # What ends by itself here ends by itself there; without matchers none was made.
        key, after, args = f"silence:{row.uid}:unmake", f"silence:{row.uid}:make:{row.term}", {"silence": row.id}
        tx.owe(Effect(key, UNMAKE, OUTSIDE, row.incident, args, after=after))


def due(desk: Desk, tx: Tx, number: int, key: str) -> None:
    """The time that an effect stands for has come: end the silence, unless it has been given another end."""
    row = table.locked(tx.c, number)
    if row is not None and key == f"silence:{row.uid}:end:{row.term}":
        end(desk, tx, number, by=ITSELF)


def expire(desk: Desk, tx: Tx) -> None:
    """End what is due. A clock that was set back makes nothing longer than it was made for."""
    t = SILENCES()
    for row in table.active(tx.c):
        if row.end_at <= tx.now:
            end(desk, tx, row.id, by=ITSELF)
        elif row.end_at - tx.now > row.length:
            tx.c.execute(t.update().where(t.c.id == row.id).values(end_at=tx.now + row.length))


def sync(desk: Desk, tx: Tx) -> Sequence[Any]:
    """Begin the windows of captain.yml whose time has come, and end those it no longer has; all that is on."""
    on = table.active(tx.c)
    now = {name: window_uid(name, *span) for name, one in desk.maintenance.items() if (span := one.at(tx.now))}
    stale = [row for row in on if row.source == CONFIG and row.uid not in now.values()]
    fresh = now.keys() - {row.name for row in on if row.source == CONFIG and row.uid in now.values()}
    if not stale and not fresh:
        return on
    for row in stale:
        end(desk, tx, row.id, by=ITSELF if row.end_at <= tx.now else CONFIG)
    for name in sorted(fresh):
        window, span = desk.maintenance[name], desk.maintenance[name].at(tx.now)
        assert span is not None, "its time has come"
        wanted = Wanted(
            kind=Kind.MAINTENANCE, name=name, uid=now[name], open_key=f"window/{name}", seconds=span[1] - tx.now,
            reason=window.reason, services=window.services, matchers=window.conditions, source=CONFIG,
        )  # fmt: skip
        begin(desk, tx, wanted)
    return table.active(tx.c)


def window_uid(name: str, start: float, end: float) -> str:
    """Our name for one time that a window of captain.yml is on."""
    return incident_uid("window", name, f"{start:.0f}", f"{end:.0f}")


def uid_of(kind: Kind, key: str) -> str:
    """Our name for a silence that one request asks for: the same request asks for the same."""
    return incident_uid("silence", kind.value, key)


def record(tx: Tx, asker: Asker | None, row: Any, action: str, detail: Mapping[str, Any]) -> None:
    """Put it into the audit chain, in the transaction that does it."""
    actor, door = (f"{asker.name} ({asker.id})", asker.door) if asker else ("Release Captain", "clock")
    audit.append(
        tx.c, at=tx.now, actor=actor, door=door, action=f"{row.kind} {action}", subject=f"silence #{row.id}",
        detail={"name": row.name, **{name: list(v) if isinstance(v, tuple) else v for name, v in detail.items()}},
    )  # fmt: skip


def end_of(row: Any, seconds: float) -> Effect:
    """The end of a silence, owed for when its time is over."""
    return Effect(f"silence:{row.uid}:end:{row.term}", END, owed.LANE, None, {"silence": row.id}, delay=seconds)


def _post(
    desk: Desk, tx: Tx, row: Any, service: str, what: str, text: str, blocks: Sequence[Mapping[str, Any]]
) -> None:
    """Owe one message in a service's channel."""
    if desk.outside.chat is None or service not in desk.services:
        return
    args = {"service": service, "text": text, "blocks": list(blocks)}
    key, bucket = f"silence:{row.uid}:{what}:{service}", posts(desk, service)
    tx.owe(Effect(key, SAID, "slack", None, args, urgency=5, bucket=bucket))


def _show(desk: Desk, tx: Tx, row: Any, service: str, text: str) -> None:
    """Owe the edit that takes the button from the message that announced it."""
    if desk.outside.chat is None or service not in desk.services:
        return
    said = f"silence:{row.uid}:begun:{service}"
    args = {"of": said, "text": text}
    tx.owe(Effect(f"{said}:over", SHOWN, "slack", None, args, urgency=6, after=said, bucket=EDITS))
