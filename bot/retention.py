"""What is forgotten, and when: one rule for the nightly purge and for ``captain purge``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from bot import inbox
from bot.effects import EFFECTS, State
from bot.refusals import REFUSALS
from bot.store import Store
from handlers.alerts.journal import JOURNAL
from handlers.deploys.table import DEPLOYS, PARTS
from handlers.incidents.table import INCIDENTS, TIMELINE
from handlers.noise.table import FLAPS, HOLDS, SILENCES
from handlers.runs.table import OUTCOMES, RUNS

A_TRANSACTION = 500
"""Rows deleted in one transaction: nobody who waits to write waits long."""
FOREVER = 1e18
WORKFLOW_DAYS = 7.0
"""Most days a finished workflow is kept: the ledger holds what came of it."""
SAID = (
    "panel",
    "note",
    "asked",
    "remind",
    "reply",
    "flag-panel",
    "flag-note",
    "flag-calm",
    "deploy-root",
    "deploy-panel",
    "deploy-after",
    "deploy-alarm",
    "action-panel",
    "action-note",
    "action-calm",
    "mark",
    "mark-sweep",
    "whisper",
    "export",
    "ticket-heard",
    "ticket-note",
    "hold-again",
    "silence-end",
    "silence-rest",
    "silence-said",
    "run-said",
    "run-chart",
)
"""Kinds of effects that only said something. What an incident was paged, ticketed and opened with stays with it for good."""
SHOWN = ("digest-edit", "home", "oncall-look", "update-modal", "silence-shown", "run-post", "run-panel", "run-file")
"""Kinds that only kept something true that is shown."""


LOOKED = ("run",)
"""Kinds that only looked: what they saw is kept by itself."""


@dataclass(frozen=True)
class Purged:
    """How many rows were deleted, or would be."""

    alerts: int = 0
    refusals: int = 0
    requests: int = 0
    messages: int = 0
    events: int = 0
    findings: int = 0
    workflows: int = 0
    holds: int = 0
    silences: int = 0
    flaps: int = 0
    deploys: int = 0
    tellings: int = 0
    runs: int = 0
    outcomes: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in asdict(self).items())


def purge(
    store: Store,
    workflows: Callable[[float], int],
    *,
    now: float,
    days: float,
    run_days: float = 0.0,
    dry: bool = False,
) -> Purged:
    """Delete what is older than ``days`` and settled, or with ``dry`` only count it.

    ``run_days``: days that runs of runbooks and their outcomes are kept; without it as long as the rest.

    ``workflows(days)`` does the same with the executor's finished workflows. Kept for good: incidents, the audit chain,
    and the effects that page, open a ticket or post an incident's first message, because their keys are what keeps them
    from being done twice. Kept as long as they are open: everything about an open incident, an alert that still comes
    again, an undecided alert, one that is held, what was given up and may be repaired.
    """
    before, ran = now - days * 86400, now - (run_days or days) * 86400
    old = {**_old(before), **_old_runs(ran)}
    counts = {name: _delete(store, table, gone, dry=dry) for name, (table, gone) in old.items()}
    return Purged(**counts, workflows=workflows(min(days, WORKFLOW_DAYS)))


def _old(before: float) -> dict[str, tuple[sa.FromClause, sa.ColumnElement[bool]]]:
    """For each name in Purged: the table, and which of its rows are past keeping."""
    alerts, effects, events, requests, refusals = JOURNAL(), EFFECTS(), TIMELINE(), inbox.INBOX(), REFUSALS()
    holds, silences, flaps, deploys, tellings = HOLDS(), SILENCES(), FLAPS(), DEPLOYS(), PARTS()
    held = sa.select(holds.c.alert).where(holds.c.over_at.is_(None))
    findings = sa.table("findings", sa.column("key"), sa.column("settled_at"))
    settled = effects.c.state.in_((State.DONE.value, State.SKIPPED.value)) & (effects.c.done_at < before)
    return {
        # One that has been resolved by hand and still burns comes again and again: its row is why nobody is paged for it.
        "alerts": (
            alerts,
            (alerts.c.received_at < before)
            & (sa.func.coalesce(alerts.c.seen_at, 0.0) < before)
            & alerts.c.verdict.is_not(None)
            & (sa.func.coalesce(_ended(alerts.c.incident), 0.0) < before)
            & alerts.c.id.not_in(held),
        ),
        "refusals": (refusals, refusals.c.received_at < before),
        "requests": (requests, requests.c.received_at < before),
        "messages": (
            effects,
            settled
            & effects.c.kind.in_((*SAID, *SHOWN, *LOOKED))
            & (effects.c.about.is_(None) | (_ended(effects.c.about) < before)),
        ),
        "events": (events, (events.c.at < before) & (_ended(events.c.incident) < before)),
        "findings": (findings, findings.c.settled_at < before),
        "holds": (holds, holds.c.over_at < before),
        "deploys": (deploys, (deploys.c.at < before) & (deploys.c.told_at < before)),
        # Together with their deploys, or later: a telling that comes again must not be taken for a new one.
        "tellings": (tellings, tellings.c.told_at < before),
        "flaps": (flaps, flaps.c.over_at < before),
        "silences": (silences, silences.c.open_key.is_(None) & (silences.c.ended_at < before)),
    }


def _old_runs(before: float) -> dict[str, tuple[sa.FromClause, sa.ColumnElement[bool]]]:
    """As above, of runs and what they found."""
    runs, outcomes = RUNS(), OUTCOMES()
    return {
        "outcomes": (outcomes, outcomes.c.at < before),
        "runs": (runs, runs.c.ended_at < before),
    }


def _ended(number: sa.ColumnElement[Any]) -> sa.ScalarSelect[Any]:
    """When the incident of a row was over: UNIX s, FOREVER while it is open, NULL where there is none.

    Asked of each row that is looked at: a list of all that are over would be longer every night.
    """
    t = INCIDENTS()
    ended = sa.case((t.c.open_key.is_not(None), FOREVER), else_=t.c.resolved_at)
    return sa.select(ended).where(t.c.number == number).scalar_subquery()


def _delete(store: Store, table: Any, old: sa.ColumnElement[bool], *, dry: bool) -> int:
    if dry:
        with store.read() as c:
            return int(c.execute(sa.select(sa.func.count()).select_from(table).where(old)).scalar_one())
    key = next(iter(table.c))  # each of these tables begins with it
    some = sa.select(key).where(old).limit(A_TRANSACTION)
    gone = 0
    while True:
        with store.write() as c:
            # Named one by one: of a list to be found, PostgreSQL does not know that it is short, and reads the whole table.
            named = c.execute(some).scalars().all()
            count = c.execute(sa.delete(table).where(key.in_(named), old)).rowcount if named else 0
        gone += count
        if len(named) < A_TRANSACTION:
            return gone
