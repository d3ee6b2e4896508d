"""Looks up what was stored: alerts with their verdicts, refusals, what PagerDuty said, pages. Reads only, within bounds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.effects import EFFECTS, State
from bot.inbox import INBOX
from bot.refusals import REFUSALS
from handlers.alerts.journal import JOURNAL
from handlers.alerts.payload import FINGERPRINT
from handlers.incidents import table
from handlers.incidents.effects import dedup_key
from handlers.incidents.table import INCIDENTS, TIMELINE
from handlers.storms import table as storms

SHOWN_ALERTS, SHOWN_REFUSALS, SHOWN_EVENTS, SHOWN_PAGES, SHOWN_AGAIN = 15, 8, 5, 6, 5
"""How many of each a window shows: together they fit into one message."""
LATEST = 10
"""Alerts and refusals a name shows."""
SEARCHED_ALERTS, SEARCHED_REFUSALS, SEARCHED_DAYS = 10_000, 2_000, 30
"""How far back labels and payloads are searched, which no index can do."""
CANDIDATES = 300
PATIENCE = 72 * 3600.0
"""Seconds for which a page is tried: an incident's page is not taken later than that after it was opened."""


@dataclass(frozen=True)
class Window:
    """What came in between two times, oldest first; ``more`` says how many of each are not among them."""

    alerts: Sequence[Any]
    refusals: Sequence[Any]
    events: Sequence[Any]
    pages: Sequence[Any]
    by_hand: Sequence[tuple[Any, str]]
    again: Sequence[Any]
    """Alerts that came before the window and were sent again in it or after it."""
    unpaged: Sequence[Any] = ()
    """Pages owed for these alerts and incidents that PagerDuty has not taken."""
    more: dict[str, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.alerts or self.refusals or self.events or self.pages or self.by_hand or self.again)


@dataclass(frozen=True)
class Matches:
    """What a name found, newest first. ``many``: there is more than was counted; ``since``: how far back was searched."""

    alerts: Sequence[Any]
    refusals: Sequence[Any]
    by_hand: Sequence[tuple[Any, str]]
    unpaged: Sequence[Any] = ()
    more: int = 0
    many: bool = False
    since: float | None = None
    names: Sequence[str] = ()
    """Alertnames that came lately, when nothing was found: one of them may be meant."""


@dataclass(frozen=True)
class Story:
    """One incident: its alerts, what was owed for it, what happened to it, what PagerDuty said of it.

    Of many alerts, those that decided something and the last ones; ``more`` says how many are not among them.
    ``caller``: of what is folded into a storm, the incident whose page called its on-call instead.
    """

    row: Any
    alerts: Sequence[Any]
    more: int
    effects: Sequence[Any]
    events: Sequence[Any]
    heard: Sequence[Any]
    caller: Story | None = None


def window(c: Connection, start: float, end: float) -> Window:
    """What came in from ``start`` to ``end`` (UNIX s). Of many alerts, those that opened or raised something."""
    t, r, i = JOURNAL(), REFUSALS(), INBOX()
    mine = (t.c.received_at >= start) & (t.c.received_at < end)
    # Most alerts of a storm join what the first of them opened; the first are what is asked about.
    quiet = t.c.verdict.like("joined%") | t.c.verdict.like("opened%the storm%")
    rank = sa.case((quiet, 2), (t.c.verdict.like("resolved%"), 1), else_=0)
    alerts = _oldest_first(
        c.execute(sa.select(t).where(mine).order_by(rank, t.c.received_at).limit(SHOWN_ALERTS)).all()
    )
    refused = (r.c.received_at >= start) & (r.c.received_at < end)
    refusals = c.execute(sa.select(r).where(refused).order_by(r.c.received_at).limit(SHOWN_REFUSALS)).all()
    phoned = (i.c.received_at >= start) & (i.c.received_at < end) & (i.c.kind == "pagerduty")
    events = c.execute(sa.select(i).where(phoned).order_by(i.c.received_at).limit(SHOWN_EVENTS)).all()
    pages, by_hand = _pages(c, start, end, [row.incident for row in alerts]), _by_hand_between(c, start, end)
    known = _latest(t, t.c.received_at < start, since=start - SEARCHED_DAYS * 86400)
    again = c.execute(_newest(known).where(known.c.seen_at >= start).limit(SHOWN_AGAIN)).all()
    more = {
        "alerts": _count(c, t, mine) - len(alerts),
        "refused payloads": _count(c, r, refused) - len(refusals),
        "PagerDuty events": _count(c, i, phoned) - len(events),
        "pages": len(pages[SHOWN_PAGES:]),
        "incidents opened without an alert": len(by_hand[SHOWN_EVENTS:]),
    }
    return Window(
        alerts, refusals, events, pages[:SHOWN_PAGES], by_hand[:SHOWN_EVENTS], again, _unpaged(c, alerts, by_hand),
        {what: n for what, n in more.items() if n > 0},
    )  # fmt: skip


def named(c: Connection, text: str, now: float) -> Matches:
    """The latest alerts and refusals that carry a name: a fingerprint, a service, or (a part of) any label's value."""
    t, r = JOURNAL(), REFUSALS()
    if FINGERPRINT.fullmatch(text) and len(text) >= 8:
        exact = sa.select(t).where(t.c.fingerprint == text.lower()).order_by(t.c.starts_at.desc(), t.c.id.desc())
        rows = c.execute(exact.limit(CANDIDATES)).all()
        if rows:
            return Matches(
                rows[:LATEST], (), (), _unpaged(c, rows[:LATEST], ()), len(rows[LATEST:]), len(rows) == CANDIDATES
            )
    since = now - SEARCHED_DAYS * 86400
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    taken = _latest(t, since=since)
    hit = (taken.c.service == text) | taken.c.labels.icontains(written, autoescape=True)
    rows = c.execute(_newest(taken).where(hit).limit(CANDIDATES)).all()
    wanted = text.casefold()
    # A service's own alerts are meant, not those whose SLO begins with its name; a part is meant when nothing is whole.
    whole = [row for row in rows if wanted in _values(row)]
    found = whole or [row for row in rows if any(wanted in value for value in _values(row))]
    refused = _latest(r, since=since, limit=SEARCHED_REFUSALS)
    hit = refused.c.payload.icontains(written, autoescape=True) | refused.c.reason.icontains(text, autoescape=True)
    refusals = c.execute(_newest(refused).where(hit).limit(LATEST)).all()
    oldest = c.execute(sa.select(sa.func.min(taken.c.received_at))).scalar()
    many, by_hand = len(rows) == CANDIDATES, _by_hand_of(c, text)
    names: Sequence[str] = ()
    if not (found or refusals or by_hand):
        recent = c.execute(_newest(taken).limit(CANDIDATES)).all()
        names = sorted({str(json.loads(row.labels).get("alertname", "")) for row in recent})
    unpaged = _unpaged(c, found[:LATEST], by_hand)
    return Matches(found[:LATEST], refusals, by_hand, unpaged, len(found[LATEST:]), many, oldest, names)


def story(c: Connection, number: int) -> Story | None:
    """All that is stored of an incident, or None when there is no such incident."""
    row = table.by_number(c, number)
    if row is None:
        return None
    t, i = JOURNAL(), INBOX()
    mine = sa.select(t).where(t.c.incident == number)
    alerts = c.execute(mine.order_by(t.c.id).limit(LATEST)).all()
    total = _count(c, t, t.c.incident == number)
    if len(alerts) < total:
        decisive = t.c.verdict.like("opened%") | t.c.verdict.like("raised%")
        first = c.execute(mine.where(decisive).order_by(t.c.id).limit(LATEST // 2)).all()
        last = c.execute(mine.order_by(t.c.id.desc()).limit(LATEST // 2)).all()
        alerts = [by_id for _, by_id in sorted({row.id: row for row in [*first, *last]}.items())]
    # Its webhooks cannot be older than itself; its name is in them as the dedup key.
    heard = (i.c.received_at >= row.opened_at) & (i.c.kind == "pagerduty") & i.c.payload.contains(dedup_key(row))
    said = c.execute(sa.select(i).where(heard).order_by(i.c.received_at).limit(LATEST)).all()
    caller = None
    if row.umbrella is not None and row.severity in storms.WAKING:
        number_of = storms.caller(c, row.umbrella, row.service) or row.umbrella
        caller = story(c, number_of) if number_of != number else None
    effects, events = table.effects_about(c, number), table.timeline(c, number)
    return Story(row, alerts, total - len(alerts), effects, events, said, caller)


def _latest(t: sa.Table, *where: Any, since: float, limit: int = SEARCHED_ALERTS) -> sa.Subquery:
    """The newest rows of a journal, to be searched: what is looked through has an end."""
    newest = sa.select(t).where(t.c.received_at >= since, *where).order_by(t.c.received_at.desc()).limit(limit)
    return newest.subquery()


def _newest(rows: sa.Subquery) -> sa.Select[Any]:
    return sa.select(rows).order_by(rows.c.received_at.desc())


def _count(c: Connection, t: sa.Table, where: sa.ColumnElement[bool]) -> int:
    return int(c.execute(sa.select(sa.func.count()).select_from(t).where(where)).scalar_one())


def _oldest_first(rows: Sequence[Any]) -> list[Any]:
    return sorted(rows, key=lambda row: row.received_at)


def _values(row: Any) -> set[str]:
    """What an alert's labels say, and its service; a label's own name does not count."""
    return {value.casefold() for value in [row.service, *json.loads(row.labels).values()]}


def _pages(c: Connection, start: float, end: float, numbers: Sequence[int | None]) -> Sequence[Any]:
    """Incidents whose page PagerDuty took between two times: opened within a page's patience, or named by an alert."""
    t = INCIDENTS()
    opened = (t.c.opened_at >= start - PATIENCE) & (t.c.opened_at < end)
    named_ = t.c.number.in_({number for number in numbers if number is not None})
    rows = [
        row
        for where in (opened, named_)
        for row in c.execute(sa.select(t).where(where, t.c.paged_at >= start, t.c.paged_at < end)).all()
    ]
    return sorted({row.number: row for row in rows}.values(), key=lambda row: float(row.paged_at))


def _unpaged(c: Connection, alerts: Sequence[Any], by_hand: Sequence[tuple[Any, str]]) -> Sequence[Any]:
    """The pages owed for what these alerts opened, and for these incidents, that are not done."""
    e = EFFECTS()
    numbers = {row.incident for row in alerts if row.incident is not None} | {row.number for row, _ in by_hand}
    open_ = (e.c.kind == "page") & (e.c.state != State.DONE.value)
    return c.execute(
        sa.select(e).where(e.c.about.in_(numbers), open_).order_by(e.c.created_at).limit(SHOWN_PAGES)
    ).all()


def _by_hand_between(c: Connection, start: float, end: float) -> list[tuple[Any, str]]:
    t = INCIDENTS()
    opened = (t.c.opened_at >= start) & (t.c.opened_at < end) & (t.c.source != "alert")
    rows = c.execute(sa.select(t).where(opened).order_by(t.c.opened_at).limit(100)).all()
    return _with_paging(c, rows)


def _by_hand_of(c: Connection, service: str) -> list[tuple[Any, str]]:
    t = INCIDENTS()
    # Written out, not bound, so that SQLite knows that the index of these few has them all.
    mine = (t.c.service == service) & (t.c.source != sa.literal_column("'alert'"))
    return _with_paging(c, c.execute(sa.select(t).where(mine).order_by(t.c.number.desc()).limit(SHOWN_EVENTS)).all())


def _with_paging(c: Connection, rows: Sequence[Any]) -> list[tuple[Any, str]]:
    """Each incident with what was decided about paging when it was opened."""
    e = TIMELINE()
    numbers = [row.number for row in rows]
    said = c.execute(sa.select(e.c.incident, e.c.text).where(e.c.incident.in_(numbers), e.c.kind == "paging")).all()
    decided = {row.incident: row.text for row in said}
    return [(row, decided.get(row.number, "")) for row in rows]
