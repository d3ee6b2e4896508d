"""Finds out which fire a delivery is about where its sender does not say, so that a repeat is none, and an end ends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.engine import Connection

from bot.store import Store
from handlers.alerts import journal
from handlers.alerts.payload import Alert, Source
from handlers.incidents import table

NEWEST = 20
"""Rows of an alert's history that are looked at."""
LULL = 3600.0
"""Seconds without a word after which an alert that woke nobody, and that nobody ended, counts as a new fire."""


@dataclass(frozen=True)
class Fire:
    """One fire of an alert as we know it. ``starts_at`` µs; ``heard`` UNIX s when it last came.

    ``over``: its incident has ended, though nobody said that it has. None where it is in no incident.
    """

    starts_at: int
    fired: bool
    ended: bool
    heard: float
    over: bool | None = None


def placed_in(store: Store, alerts: Iterable[Alert], *, at: float) -> list[Alert]:
    """As ``placed``, in a transaction of its own."""
    with store.read() as c:
        return placed(c, alerts, at=at)


def placed(c: Connection, alerts: Iterable[Alert], *, at: float) -> list[Alert]:
    """The alerts with the starts of the fires they are about; an end that ends several fires is several alerts.

    ``at``: UNIX s at which they came. Alertmanager's are left as they are: it knows.
    """
    made: list[Alert] = []
    before: dict[str, list[Alert]] = {}
    for alert in alerts:
        said = before.setdefault(alert.fingerprint, [])
        now = [alert]
        if needs(alert):
            starts = _starts(alert, _and_then(_fires(c, alert.fingerprint), said, at=at), at=at)
            now = [replace(alert, starts_at=start) for start in starts]
        said += now
        made += now
    return made


def needs(alert: Alert) -> bool:
    """True of an alert without a start, and of Grafana's ends: what it lost sight of ends with a start of its own."""
    ends = not alert.firing and alert.source in (Source.GRAFANA, Source.WEBHOOK)
    return alert.starts_at == 0 or ends


def _starts(alert: Alert, fires: Sequence[Fire], *, at: float) -> list[int]:
    """The starts of the fires an alert is about; ``fires`` newest first."""
    now = round(at * 1e6)
    if not alert.firing:
        burns = [fire.starts_at for fire in fires if fire.fired and not fire.ended]
        ended = [start for start in burns if not alert.starts_at or start <= alert.starts_at]
        if ended:
            return ended
        # Nothing of it burns: said again, or never fired.
        return [alert.starts_at or (fires[0].starts_at if fires else now)]
    last = fires[0] if fires else None
    if last is not None and last.fired and not last.ended and not _new(last, at):
        return [last.starts_at]
    return [max(now, last.starts_at + 1) if last else now]


def _and_then(fires: Sequence[Fire], said: Iterable[Alert], *, at: float) -> list[Fire]:
    """The fires of an alert, newest first, with what the same delivery said of it before: it may end and fire again in one."""
    known = {fire.starts_at: fire for fire in fires}
    for alert in said:
        new = Fire(alert.starts_at, fired=False, ended=False, heard=at, over=False)
        fire = known.get(alert.starts_at, new)
        fired, ended = fire.fired or alert.firing, fire.ended or not alert.firing
        known[alert.starts_at] = replace(fire, fired=fired, ended=ended, heard=at)
    return [known[start] for start in sorted(known, reverse=True)]


def _new(last: Fire, at: float) -> bool:
    """True when an alert that comes again is a new fire, although nobody said that the last has ended."""
    return last.over if last.over is not None else at - last.heard > LULL


def _fires(c: Connection, fingerprint: str) -> list[Fire]:
    made: dict[int, list[Any]] = {}
    for row in journal.latest(c, fingerprint, limit=NEWEST):
        made.setdefault(row.starts_at, []).append(row)
    return [_fire(c, start, rows) for start, rows in made.items()]


def _fire(c: Connection, start: int, rows: Sequence[Any]) -> Fire:
    fired = next((row for row in rows if row.status == "firing"), None)
    ended = any(row.status == "resolved" for row in rows)
    heard = max(row.seen_at or row.received_at for row in rows)
    if fired is None or fired.incident is None:
        # Not decided yet is as if it were open.
        return Fire(
            start, fired is not None, ended, heard, False if fired is not None and fired.verdict is None else None
        )
    incident = table.by_number(c, fired.incident)
    return Fire(start, True, ended, heard, incident is None or not table.is_open(incident))
