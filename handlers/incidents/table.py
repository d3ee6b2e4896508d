"""The incidents' tables, and the reads that more than one file needs."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

from bot.effects import EFFECTS, State, left
from handlers.incidents.rules import Deed, Severity, Status


class Incident(SQLModel, table=True):
    """One incident. Times are UNIX seconds. ``open_key`` is unique while it is open and NULL afterwards.

    ``channel`` and ``thread_ts``: where its panel and thread are; ``room``: the id of its own channel, when it has one.
    ``ticket_id``: Jira's own, which stays when somebody moves the ticket; its key does not.
    ``digest_channel`` without ``digest_ts``: its line in the digest was there, and somebody deleted it.
    ``umbrella``: the number of the storm it is folded into. ``frozen_at``: since when nothing is known of what it is about.
    ``next_update_at``: when the next update is promised; None when it is not, or when the incident is over.
    """

    __tablename__ = "incidents"

    number: int | None = Field(default=None, primary_key=True)
    uid: str = Field(unique=True)
    key: str
    open_key: str | None = Field(default=None, unique=True)
    service: str = Field(index=True)
    environment: str
    severity: str
    title: str
    status: str
    source: str
    about: str = "{}"
    opened_at: float = Field(index=True)
    opened_by: str
    paged_at: float | None = None
    acked_at: float | None = None
    acked_by: str = ""
    resolved_at: float | None = None
    resolved_by: str = ""
    mitigated_at: float | None = None
    mitigated_by: str = ""
    closed_at: float | None = None
    closed_by: str = ""
    reopened_at: float | None = None
    test: bool = False
    private: bool = False
    room: str = ""
    digest_channel: str = ""
    digest_ts: str = ""
    digest: int = 0
    digest_owed: bool = False
    update_text: str = ""
    update_at: float | None = None
    update_by: str = ""
    next_update_at: float | None = None
    channel: str = ""
    thread_ts: str = ""
    ticket_key: str = ""
    ticket_url: str = ""
    ticket_id: str = ""
    checks: str = ""
    panel: int = 0
    panel_owed: bool = False
    umbrella: int | None = None
    frozen_at: float | None = None


class TimelineEvent(SQLModel, table=True):
    """Something that happened to an incident, never changed afterwards. ``at`` UNIX seconds.

    A message somebody marked also has its ``channel`` and ``ts``, and when it was ``noted_at``; ``at`` is its own time.
    """

    __tablename__ = "timeline"

    id: int | None = Field(default=None, primary_key=True)
    incident: int = Field(index=True)
    at: float
    kind: str
    actor: str
    text: str
    channel: str | None = None
    ts: str | None = None
    noted_at: float | None = None


class Role(SQLModel, table=True):
    """Who has a role in an incident. ``person``: Slack user id, or who else asked; ``name``: as they are shown."""

    __tablename__ = "roles"

    id: int | None = Field(default=None, primary_key=True)
    incident: int
    role: str
    person: str
    name: str
    given_at: float
    given_by: str


def INCIDENTS() -> sa.Table:  # noqa: N802 - it is the table
    """The incidents' table, for SQL."""
    return Incident.__table__  # type: ignore[attr-defined,no-any-return]


def TIMELINE() -> sa.Table:  # noqa: N802 - it is the table
    """The timeline's table, for SQL."""
    return TimelineEvent.__table__  # type: ignore[attr-defined,no-any-return]


def ROLES() -> sa.Table:  # noqa: N802 - it is the table
    """The table of roles, for SQL."""
    return Role.__table__  # type: ignore[attr-defined,no-any-return]


def roles(c: Connection, number: int) -> Sequence[Any]:
    """Who has which role in an incident, in the order in which they were given."""
    t = ROLES()
    return c.execute(sa.select(t).where(t.c.incident == number).order_by(t.c.given_at, t.c.id)).all()


def role_of(c: Connection, number: int, role: str) -> Any:
    """Who has a role in an incident: its row, or None."""
    t = ROLES()
    return c.execute(sa.select(t).where(t.c.incident == number, t.c.role == role)).first()


def by_number(c: Connection, number: int) -> Any:
    """The incident's row, or None."""
    return c.execute(sa.select(INCIDENTS()).where(INCIDENTS().c.number == number)).first()


def by_room(c: Connection, channel: str) -> Any:
    """The incident whose own channel this is, whatever its state; or None."""
    if not channel:
        return None
    return c.execute(sa.select(INCIDENTS()).where(INCIDENTS().c.room == channel)).first()


def locked(c: Connection, number: int) -> Any:
    """The incident's row, which nobody else changes until this transaction ends; or None."""
    return c.execute(sa.select(INCIDENTS()).where(INCIDENTS().c.number == number).with_for_update()).first()


def open_by_key(c: Connection, key: str) -> Any:
    """The open incident of a key, or None; by its unique index."""
    return c.execute(sa.select(INCIDENTS()).where(INCIDENTS().c.open_key == key)).first()


def open_incidents(c: Connection, *, limit: int = 50, folded: bool = False) -> Sequence[Any]:
    """The open incidents, newest first; with ``folded`` after them what is folded into a storm, else none of that."""
    t = INCIDENTS()
    asked = sa.select(t).where(t.c.open_key.is_not(None))
    own = asked.where(t.c.umbrella.is_(None)).order_by(t.c.number.desc()).limit(limit)
    found = list(c.execute(own).all())
    if folded and len(found) < limit:
        rest = asked.where(t.c.umbrella.is_not(None)).order_by(t.c.number.desc()).limit(limit - len(found))
        found += c.execute(rest).all()
    return found


def count_open(c: Connection) -> int:
    """How many incidents are open, folded into a storm or not."""
    t = INCIDENTS()
    return int(c.execute(sa.select(sa.func.count()).select_from(t).where(t.c.open_key.is_not(None))).scalar_one())


def over_since(at: float) -> sa.ColumnElement[bool]:
    """True of incidents that were over after ``at`` (UNIX s) and still are: reopening takes ``resolved_at`` away."""
    return INCIDENTS().c.resolved_at > at


def parents(c: Connection, rank: int) -> Sequence[Any]:
    """The open incidents that may stand before an alert of this rank: none of them less bad, a test or private."""
    t = INCIDENTS()
    severities = [one.value for one in Severity if one.rank <= rank]
    mine = t.c.open_key.is_not(None) & t.c.severity.in_(severities) & t.c.test.is_(False) & t.c.private.is_(False)
    return c.execute(sa.select(t).where(mine).order_by(t.c.number)).all()


def open_among(c: Connection, numbers: Collection[int]) -> set[int]:
    """Which of these incidents are open."""
    t, wanted, found = INCIDENTS(), sorted(numbers), set[int]()
    for start in range(0, len(wanted), 500):
        mine = t.c.number.in_(wanted[start : start + 500]) & t.c.open_key.is_not(None)
        found |= set(c.execute(sa.select(t.c.number).where(mine)).scalars())
    return found


def open_of(c: Connection, service: str) -> Sequence[int]:
    """The numbers of a service's open incidents, oldest first; the storm stands for what is folded into it."""
    t = INCIDENTS()
    number = sa.func.coalesce(t.c.umbrella, t.c.number).label("n")
    mine = sa.select(number).where(t.c.service == service, t.c.open_key.is_not(None))
    return c.execute(mine.distinct().order_by("n")).scalars().all()


def latest_incidents(c: Connection, *, limit: int = 20, among: Sequence[Status] = ()) -> Sequence[Any]:
    """The newest incidents, open or not; with ``among`` only those of these statuses."""
    t = INCIDENTS()
    asked = sa.select(t).order_by(t.c.number.desc()).limit(limit)
    return c.execute(asked.where(t.c.status.in_([one.value for one in among])) if among else asked).all()


def effects_about(c: Connection, number: int) -> Sequence[Any]:
    """The ledger rows of an incident, oldest first."""
    t = EFFECTS()
    return c.execute(sa.select(t).where(t.c.about == number).order_by(t.c.created_at, t.c.key)).all()


@dataclass(frozen=True)
class Page:
    """A page as the ledger has it. ``since``: UNIX s at which the alert that pages arrived, or a person asked."""

    number: int
    source: str
    state: str
    since: float


def page(c: Connection, key: str) -> Page | None:
    """The page of an effect's key, or None when its incident is gone."""
    found = _pages(c, EFFECTS().c.key == key)
    return found[0] if found else None


def pages_unheard(c: Connection) -> Sequence[Page]:
    """The pages of open incidents that PagerDuty has not accepted and that nobody has taken, the oldest first."""
    t, e = INCIDENTS(), EFFECTS()
    nobody = t.c.open_key.is_not(None) & (t.c.status == Status.TRIGGERED.value)
    return _pages(c, nobody & left(e))


def _pages(c: Connection, which: sa.ColumnElement[bool]) -> Sequence[Page]:
    t, e = INCIDENTS(), EFFECTS()
    asked = sa.select(t.c.number, t.c.source, e.c.state, e.c.args, e.c.created_at)
    rows = c.execute(asked.join(e, (e.c.about == t.c.number) & (e.c.kind == "page")).where(which)).all()
    since = [float(json.loads(row.args).get("since", row.created_at)) for row in rows]
    found = [Page(row.number, row.source, row.state, at) for row, at in zip(rows, since, strict=True)]
    return sorted(found, key=lambda page: page.since)


def add_event(c: Connection, *, incident: int, at: float, kind: str, actor: str, text: str) -> None:
    """Put one line into the timeline."""
    c.execute(TIMELINE().insert(), {"incident": incident, "at": at, "kind": kind, "actor": actor, "text": text})


def timeline(c: Connection, number: int, *, limit: int = 200) -> Sequence[Any]:
    """The timeline of an incident, oldest first."""
    t = TIMELINE()
    return c.execute(sa.select(t).where(t.c.incident == number).order_by(t.c.at, t.c.id).limit(limit)).all()


def latest_events(c: Connection, number: int, *, limit: int) -> Sequence[Any]:
    """The newest lines of a timeline, oldest first."""
    t = TIMELINE()
    mine = sa.select(t).where(t.c.incident == number)
    return c.execute(mine.order_by(t.c.at.desc(), t.c.id.desc()).limit(limit)).all()[::-1]


def events_of(c: Connection, number: int, kind: str) -> int:
    """How many timeline events of a kind an incident has."""
    t = TIMELINE()
    mine = (t.c.incident == number) & (t.c.kind == kind)
    return int(c.execute(sa.select(sa.func.count()).select_from(t).where(mine)).scalar_one())


def about(row: Any) -> Mapping[str, str]:
    """What the alert said of the incident: summary, slo, runbook_url, dashboard, description."""
    found: Mapping[str, str] = json.loads(row.about)
    return found


def is_open(row: Any) -> bool:
    """True until it is resolved."""
    return Status(row.status).open


def newest(c: Connection, number: int, kind: str) -> Any:
    """The newest effect of a kind of an incident: its ledger row, or None."""
    t = EFFECTS()
    mine = (t.c.about == number) & (t.c.kind == kind)
    return c.execute(sa.select(t).where(mine).order_by(t.c.created_at.desc(), t.c.key.desc()).limit(1)).first()


def another_key(c: Connection, row: Any, kind: str) -> str:
    """The key of one more effect of a kind: ``UID:KIND`` for the first, ``UID:KIND:2`` for the second."""
    t = EFFECTS()
    mine = (t.c.about == row.number) & (t.c.kind == kind)
    taken = set(c.execute(sa.select(t.c.key).where(mine)).scalars())
    n = len(taken) + 1
    while (key := f"{row.uid}:{kind}" if n == 1 else f"{row.uid}:{kind}:{n}") in taken:
        n += 1
    return key


def newest_of(c: Connection, number: int, *kinds: str) -> Any:
    """The newest effect among several kinds of an incident: its ledger row, or None."""
    found = [row for kind in kinds if (row := newest(c, number, kind)) is not None]
    return max(found, key=lambda row: float(row.created_at), default=None)


def paged_service(page: Any, row: Any) -> str:
    """The service whose on-call a ledger row about a page goes to: an incident may have moved to another since."""
    return str(json.loads(page.args).get("service") or row.service)


UNMITIGATED: Mapping[str, Any] = {"mitigated_at": None, "mitigated_by": ""}
ANEW: Mapping[str, Any] = {"status": Status.TRIGGERED.value, **UNMITIGATED}
"""What becomes of an incident that somebody has to take anew, whoever had it."""
NOT_OVER: Mapping[str, Any] = {"resolved_at": None, "resolved_by": "", "closed_at": None, "closed_by": ""}


def changed(row: Any, deed: Deed, *, actor: str, now: float) -> Mapping[str, Any]:
    """What a deed writes into the incident's row, beside its status."""
    if deed is Deed.ACKNOWLEDGE:
        return {"acked_at": now, "acked_by": actor}
    if deed is Deed.MITIGATE:
        return {"mitigated_at": now, "mitigated_by": actor}
    if deed is Deed.RESOLVE:
        return {"resolved_at": now, "resolved_by": actor, "open_key": None, "next_update_at": None, "frozen_at": None}
    if deed is Deed.CLOSE:
        return {"closed_at": now, "closed_by": actor}
    return UNMITIGATED if is_open(row) else {**UNMITIGATED, **NOT_OVER, "reopened_at": now}


def take_key(c: Connection, row: Any) -> bool:
    """Make an incident that is over the open one of its key; False when another is open for it."""
    t = INCIDENTS()
    if open_by_key(c, row.key) is not None:
        return False
    try:
        with c.begin_nested():
            c.execute(t.update().where(t.c.number == row.number).values(open_key=row.key))
    except sa.exc.IntegrityError:
        return False  # another replica has opened one in this moment
    return True


def last_of_key(c: Connection, key: str) -> Any:
    """The newest incident of a key, open or over; or None. By its index: every alert that opens one asks this."""
    t = INCIDENTS()
    return c.execute(sa.select(t).where(t.c.key == key).order_by(t.c.number.desc()).limit(1)).first()


MADE_GOOD_BY: Mapping[str, Sequence[str]] = {
    "page": ("page",),
    "page-ack": ("page-ack", "page-resolve"),
    "page-resolve": ("page-resolve",),
    "escalate": ("escalate",),
    "escalate-to": ("escalate-to",),
    "root": ("root",),
    "panel": ("panel", "root"),
    "ticket": ("ticket",),
    "ticket-reopen": ("ticket-reopen", "ticket-done"),
    "ticket-done": ("ticket-done",),
    "ticket-move": ("ticket-move", "ticket-done", "ticket-reopen"),
    "ticket-edit": ("ticket-edit",),
    "checks": ("checks",),
    "burn": ("burn",),
    "burn-chart": ("burn-chart",),
    "postmortem": ("postmortem",),
    "room": ("room",),
    "room-panel": ("room-panel", "room"),
    "room-pin": ("room-pin", "room"),
    "room-topic": ("room-topic", "room"),
    "room-links": ("room-links", "room"),
    "room-oncall": ("room-oncall",),
    "digest": ("digest",),
    "digest-edit": ("digest-edit", "digest"),
}
"""A later success of these kinds is all that was wanted of the one that was given up; a note is a message of its own."""
WHILE_OPEN = (
    "page",
    "page-ack",
    "escalate",
    "escalate-to",
    "responder",
    "ticket-reopen",
    "ticket-move",
    "digest",
    "room",
    "room-invite",
    "room-oncall",
    "burn",
    "thaw",
)
"""What nobody needs any more once the incident is resolved."""


def given_up(effects: Sequence[Any], *, open_: bool = True) -> list[Any]:
    """The effects of one incident that were given up and that nothing has made good since; oldest first, as given.

    Of a kind whose next success makes good what failed before, the newest stands for all.
    """
    done: dict[str, float] = {}
    newest: dict[str, Any] = {}
    for effect in effects:
        if effect.state == State.DONE.value:
            done[effect.kind] = max(done.get(effect.kind, 0.0), effect.done_at or 0.0)
        newest[effect.kind] = effect
    return [
        effect
        for effect in effects
        if effect.state == State.GAVE_UP.value
        and (open_ or effect.kind not in WHILE_OPEN)
        and (effect.kind not in MADE_GOOD_BY or effect is newest[effect.kind])
        and all(done.get(kind, -1.0) < effect.created_at for kind in MADE_GOOD_BY.get(effect.kind, ()))
    ]
