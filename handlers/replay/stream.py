"""Alerts as they came: read from a folder of webhook bodies, or from the journal of a bot."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.errors import Refused
from handlers.alerts import payload
from handlers.alerts.journal import JOURNAL
from handlers.alerts.payload import Source

ENDINGS = (".json", ".jsonl", ".ndjson")
LARGEST = 500_000_000
"""Bytes of a file that is read; a stream of that size is some million alerts."""
VERSIONS: Mapping[str, Source] = {"4": Source.ALERTMANAGER, "1": Source.GRAFANA}


@dataclass(frozen=True)
class Delivery:
    """One webhook. ``at``: UNIX s at which it came; ``source`` says how ``body`` is read."""

    at: float
    source: Source
    body: Mapping[str, Any] | Sequence[Any]

    def line(self) -> str:
        """As a line of a recording."""
        said = {"at": self.at, "source": self.source.value, "body": self.body}
        return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def folder(path: Path) -> list[Delivery]:
    """Every delivery recorded below a folder, or in one file, oldest first. Raises Refused with the file of what cannot be read."""
    if not path.exists():
        raise Refused(f"{path} does not exist; name a folder of recorded webhook bodies, or journal, or prometheus")
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.suffix in ENDINGS)
    read = [one for file in files for one in _file(file)]
    if not read:
        raise Refused(f"{path} holds no webhook body; the files' names must end in {', '.join(ENDINGS)}")
    return sorted(_timed(read), key=lambda one: one.at)


def journal(c: Connection, *, since: float) -> list[Delivery]:
    """What a bot's own journal holds since a time (UNIX s), as it came, oldest first."""
    t = JOURNAL()
    rows = c.execute(sa.select(t).where(t.c.received_at >= since).order_by(t.c.received_at, t.c.id)).all()
    return [
        Delivery(at, Source.ALERTMANAGER, body([_raw(row) for row in together]))
        for at, together in itertools.groupby(rows, key=lambda row: float(row.received_at))
    ]


def body(alerts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Alerts as an Alertmanager sends them."""
    return {"version": "4", "groupKey": "", "alerts": alerts}


def instant(micros: int) -> str:
    """Microseconds since the epoch as a webhook has them."""
    return (payload.EPOCH + micros * payload.MICROSECOND).isoformat()


def _raw(row: Any) -> Mapping[str, Any]:
    return {
        "status": row.status,
        "labels": json.loads(row.labels),
        "annotations": json.loads(row.annotations),
        "startsAt": instant(row.starts_at),
        "endsAt": instant(row.ends_at) if row.ends_at else None,
        "fingerprint": row.fingerprint,
    }


def _file(path: Path) -> Iterator[tuple[str, Any]]:
    """The JSON documents of a file, each with where it stands."""
    if path.stat().st_size > LARGEST:
        raise Refused(f"{path} is larger than {LARGEST:,} bytes; split it")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise Refused(f"{path} cannot be read: {e}") from e
    try:
        yield str(path), json.loads(text)
    except (ValueError, RecursionError):
        for n, line in enumerate(text.splitlines(), 1):
            if line.strip():
                try:
                    yield f"{path}:{n}", json.loads(line)
                except (ValueError, RecursionError) as e:
                    raise Refused(f"{path}:{n}: not JSON: {e}") from e


def _timed(read: Iterable[tuple[str, Any]]) -> Iterator[Delivery]:
    """Deliveries with their times: what was recorded, or else the latest that is told in the body, never before the last."""
    last = 0.0
    for where, given in read:
        wrapped = isinstance(given, dict) and "body" in given
        held = given["body"] if wrapped else given
        if not isinstance(held, (dict, list)):
            raise Refused(f"{where}: is no webhook body")
        if wrapped and "at" in given:
            at = _at(given["at"], where)
        else:
            last = at = max(last, _told(held))
        if not at:
            raise Refused(
                f'{where}: nothing in it says when it came; write {{"at": UNIX seconds, "body": …}} around it'
            )
        yield Delivery(at, _source(given.get("source") if wrapped else None, held, where), held)


def _source(named: object, held: Any, where: str) -> Source:
    if named is None:
        return VERSIONS.get(str(held.get("version")), Source.WEBHOOK) if isinstance(held, dict) else Source.WEBHOOK
    try:
        return Source(str(named))
    except ValueError as e:
        raise Refused(f"{where}: source must be alertmanager, grafana or webhook, not {str(named)[:40]!r}") from e


def _at(value: object, where: str) -> float:
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return dt.datetime.fromtimestamp(value, dt.UTC).timestamp()
        return payload.microseconds(str(value)) / 1e6
    except (ValueError, OverflowError, OSError) as e:
        raise Refused(f"{where}: 'at' must be UNIX seconds or an RFC 3339 time, not {str(value)[:40]!r}") from e


def _told(held: Any) -> float:
    """The latest time in a body: an end where one has ended, else a start. UNIX s; 0 when there is none."""
    listed = held if isinstance(held, list) else held.get("alerts", [held])
    latest = 0.0
    for alert in listed if isinstance(listed, list) else []:
        if isinstance(alert, dict):
            ended = alert.get("status") == "resolved"
            for name in ("endsAt", "ends_at") if ended else ("startsAt", "starts_at"):
                try:
                    latest = max(latest, (payload.instant(alert.get(name), name) or 0) / 1e6)
                except ValueError:
                    continue
    return latest
