"""What is forgotten and what is kept, on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot import retention
from bot.effects import EFFECTS
from bot.inbox import INBOX
from bot.retention import A_TRANSACTION, Purged
from bot.store import Store
from handlers.alerts.journal import JOURNAL
from handlers.deploys.table import DEPLOYS, PARTS
from handlers.incidents.table import INCIDENTS, TIMELINE
from handlers.noise.table import HOLDS, SILENCES
from handlers.runs.table import OUTCOMES, RUNS

NOW = 1_800_000_000.0
OLD, NEW = NOW - 100 * 86400, NOW - 10 * 86400
RUN_DAYS = 30
OPEN, LATELY, LONG = 1, 2, 3
"""Incidents: open since long ago; opened long ago and resolved lately; resolved long ago."""


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/bot.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").url
    made = Store(url)
    made.migrate()
    with made.write() as c:
        for number, resolved in ((OPEN, None), (LATELY, NEW), (LONG, OLD)):
            c.execute(INCIDENTS().insert(), incident(number, resolved))
    yield made
    made.close()


def incident(number: int, resolved: float | None) -> dict[str, object]:
    text = dict.fromkeys(
        ("environment", "title", "source", "opened_by", "acked_by", "resolved_by", "channel", "thread_ts", "checks"), ""
    )
    return text | {
        "number": number, "uid": f"u{number}", "key": f"k{number}", "open_key": None if resolved else f"k{number}",
        "service": "docs-api", "severity": "sev2", "status": "resolved" if resolved else "triggered", "about": "{}",
        "opened_at": OLD - 1, "resolved_at": resolved, "ticket_key": "", "ticket_url": "", "panel": 0,
        "panel_owed": False,
    }  # fmt: skip


def alert(
    c, name: str, at: float, about: int | None, *, verdict: str | None = "joined", seen: float | None = None
) -> None:
    row = {"received_at": at, "fingerprint": name, "starts_at": 1, "status": "firing", "service": "docs-api"}
    row |= {
        "labels": "{}",
        "annotations": "{}",
        "group_key": "",
        "verdict": verdict,
        "incident": about,
        "seen_at": seen,
    }
    c.execute(JOURNAL().insert(), row | {"repeats": 0})


def effect(c, key: str, kind: str, about: int | None, *, state: str = "done", at: float = OLD) -> None:
    row = {"key": key, "kind": kind, "lane": "slack", "about": about, "args": "{}", "urgency": 5, "state": state}
    row |= {"attempt": 1, "tried": 1, "due_at": at, "pause": 0.0, "created_at": at, "reason": "", "result": "{}"}
    c.execute(EFFECTS().insert(), row | {"done_at": at if state in ("done", "skipped") else None})


def left(store: Store, column: sa.Column) -> set[object]:
    with store.read() as c:
        return set(c.execute(sa.select(column)).scalars())


def purge(store: Store, *, dry: bool = False) -> Purged:
    asked: list[float] = []

    def workflows(days: float) -> int:
        asked.append(days)
        return 7

    gone = retention.purge(store, workflows, now=NOW, days=90, run_days=RUN_DAYS, dry=dry)
    assert asked == [retention.WORKFLOW_DAYS], "finished workflows are kept for a week at most"
    return gone


def test_of_alerts_what_is_open_undecided_or_still_coming_stays(store: Store):
    with store.write() as c:
        alert(c, "of the resolved", OLD, LONG)
        alert(c, "of none", OLD, None)
        for name, at, about in (("new", NEW, LONG), ("of the open", OLD, OPEN), ("resolved lately", OLD, LATELY)):
            alert(c, name, at, about)
        alert(c, "undecided", OLD, None, verdict=None)
        alert(c, "burns on after it was resolved by hand", OLD, LONG, seen=NEW)
        alert(c, "came again, and no more", OLD, LONG, seen=OLD + 1)
    assert purge(store).alerts == 3
    assert left(store, JOURNAL().c.fingerprint) == {
        "new", "of the open", "resolved lately", "undecided", "burns on after it was resolved by hand",
    }  # fmt: skip


def test_of_effects_only_what_was_said_about_long_closed_incidents_goes(store: Store):
    kept = {}
    with store.write() as c:
        for key, kind, about in (("p", "panel", LONG), ("n", "note", LONG), ("q", "asked", LONG), ("r", "reply", None)):
            effect(c, key, kind, about)
        for key, kind, about in (("h", "ticket-heard", LONG), ("c", "ticket-note", LONG), ("m", "update-modal", None)):
            effect(c, key, kind, about)
        for kind in ("page", "page-resolve", "ticket", "ticket-done", "root", "checks"):
            kept[f"its {kind}"] = (kind, LONG, {})
        kept["of the open"] = ("note", OPEN, {})
        kept["of the lately resolved"] = ("note", LATELY, {})
        kept["parked"] = ("note", LONG, {"state": "gave_up"})
        kept["owed"] = ("note", LONG, {"state": "owed"})
        kept["done lately"] = ("note", LONG, {"at": NEW})
        kept["another subject's"] = ("undo", None, {})
        for key, (kind, about, more) in kept.items():
            effect(c, key, kind, about, **more)
    assert purge(store).messages == 7
    assert left(store, EFFECTS().c.key) == kept.keys()


def test_runs_that_are_over_go_with_what_they_found_in_a_time_of_their_own(store: Store):
    before = NOW - RUN_DAYS * 86400
    with store.write() as c:
        for n, (name, at, ended) in enumerate(
            (("new", NEW, NEW), ("old", before - 1, before - 1), ("on", OLD, None)), 1
        ):
            run = {
                "uid": name,
                "key": name,
                "runbook": "docs-api",
                "trigger": "person",
                "asked_at": at,
                "ended_at": ended,
            }
            c.execute(RUNS().insert(), run | {"id": n, "turn": 1, "checks": 1, "panel": 0, "panel_owed": False})
            found = {
                "run": n,
                "place": 0,
                "name": "a",
                "runbook": "docs-api",
                "kind": "http",
                "outcome": "PASS",
                "at": at,
            }
            c.execute(OUTCOMES().insert(), found | {"severity": "blocking", "took_s": 0.1, "attempt": 1})
            effect(c, name, "run", None, at=at, state="owed" if ended is None else "done")
    gone = purge(store)
    assert (gone.runs, gone.outcomes, gone.messages) == (1, 2, 0)
    assert left(store, RUNS().c.key) == {"new", "on"}


def test_what_is_held_and_what_holds_it_stay_until_they_are_over(store: Store):
    with store.write() as c:
        for n, (name, over) in enumerate((("held on", None), ("held long ago", OLD), ("held lately", NEW)), 1):
            alert(c, name, OLD, None)
            row = {"id": n, "alert": n, "kind": "silence", "key": "k", "service": "docs-api", "rank": 1, "since": OLD}
            c.execute(HOLDS().insert(), row | {"turn": 1, "over_at": over, "outcome": ""})
            row = {"id": n, "uid": f"s{n}", "open_key": None if over else "s", "kind": "silence", "name": name}
            row |= {"by_name": "alice", "made_at": OLD, "end_at": OLD, "length": 1.0, "ended_at": over}
            c.execute(SILENCES().insert(), row)
    gone = purge(store)
    assert (gone.alerts, gone.holds, gone.silences) == (2, 1, 1)
    assert left(store, JOURNAL().c.fingerprint) == {"held on"}
    assert left(store, SILENCES().c.name) == {"held on", "held lately"}


def test_the_rest_goes_by_its_age_and_incidents_stay(store: Store):
    with store.write() as c:
        for name, at in (("old", OLD), ("new", NEW)):
            c.execute(
                INBOX().insert(), {"key": name, "received_at": at, "kind": "command", "payload": "{}", "verdict": ""}
            )
            refusal = {"at": at, "name": name}
            c.execute(REFUSED, refusal)
            c.execute(FOUND, refusal)
            for number in (OPEN, LATELY, LONG):
                event = {"incident": number, "at": at, "kind": "alert", "actor": "x", "text": name}
                c.execute(TIMELINE().insert(), event)
    gone = purge(store)
    assert (gone.requests, gone.refusals, gone.findings, gone.events, gone.workflows) == (1, 1, 1, 1, 7)
    assert left(store, INBOX().c.key) == {"new"}
    assert left(store, sa.column("reason", _selectable=sa.table("refusals", sa.column("reason")))) == {"new"}
    assert left(store, INCIDENTS().c.number) == {OPEN, LATELY, LONG}
    assert str(gone).startswith("0 alerts, 1 refusals, 1 requests, 0 messages, 1 events, 1 findings, 7 workflows")


def test_deploys_go_with_what_was_told_of_them(store: Store):
    with store.write() as c:
        for name, at in (("old", OLD), ("new", NEW)):
            row = {"uid": name, "service": "docs-api", "environment": "prod", "version": "1", "status": "succeeded"}
            made = c.execute(
                DEPLOYS().insert(), row | {"source": "webhook", "at": at, "told_at": at}
            ).inserted_primary_key
            part = {"key": name, "deploy": made[0], "origin": "webhook", "source": "webhook", "status": "succeeded"}
            c.execute(PARTS().insert(), part | {"at": at, "told_at": at})
        effect(c, "deploy:old:root", "deploy-root", None)
    gone = purge(store)
    assert (gone.deploys, gone.tellings, gone.messages) == (1, 1, 1)
    assert left(store, DEPLOYS().c.uid) == left(store, PARTS().c.key) == {"new"}


REFUSED = sa.text(
    "insert into refusals (received_at, source, status, reason, payload) values (:at, 'alertmanager', 422, :name, '')"
)
FOUND = sa.text(
    "insert into findings (key, incident, kind, text, seen_at, looks, settled_at) values (:name, 1, 'x', '', 0, 1, :at)"
)


def test_counting_deletes_nothing(store: Store):
    with store.write() as c:
        alert(c, "old", OLD, LONG)
        effect(c, "n", "note", LONG)
    counted = purge(store, dry=True)
    assert (counted.alerts, counted.messages) == (1, 1)
    assert purge(store) == counted
    assert purge(store) == Purged(workflows=7)


def test_many_rows_go_in_many_short_transactions(store: Store):
    with store.write() as c:
        for n in range(A_TRANSACTION * 2 + 1):
            alert(c, json.dumps(n), OLD, None)
    assert purge(store).alerts == A_TRANSACTION * 2 + 1
    assert left(store, JOURNAL().c.id) == set()
