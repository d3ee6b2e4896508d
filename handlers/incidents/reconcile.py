"""Looks every few minutes whether Alertmanager, PagerDuty and Jira agree with us: heals what can be healed, asks the rest."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot import audit
from bot.effects import EFFECTS, FINAL, Effect, Outcome, Performer, State, Task, Tx
from bot.errors import GiveUp, Retry
from bot.grammar import Asker
from bot.integrations.alertmanager import ActiveAlert
from handlers.alerts import journal, payload
from handlers.alerts.payload import Alert
from handlers.buckets import events
from handlers.desk import Desk
from handlers.incidents import arrive, compare, decide, findings, table, verdicts
from handlers.incidents.compare import Compared, Heard, Kept, Known, Ours, Theirs
from handlers.incidents.effects import dedup_key
from handlers.incidents.rules import Deed, Status
from handlers.incidents.table import INCIDENTS
from handlers.storms import table as storms
from handlers.watchdogs.rules import matching

log = logging.getLogger(__name__)
T = TypeVar("T")

PERIOD = 180
"""Seconds between two slots of the tick."""
LAST, KEPT_S = 999_999_999_999, 2 * 86400.0
"""The last slot there is, and the seconds for which the record of a run is kept."""
MOST = 100
"""Incidents one run looks at; with more open, the runs take turns."""
ROOM = 20
"""Of these, at least so many for incidents that are over, when there are any."""
OVER_FOR = 86400.0
"""Seconds after its end in which an incident's page is still looked at."""
RUN_S = 60.0
"""Seconds after which a run begins no more calls."""
WAITED_S = 6.0
"""The same for a run that somebody waits for at the command line: with the last call it ends before that gives up."""
REFUSALS = 3
"""Refusals after which a service is not asked any more in this run: one ticket may be forbidden, a token is wrong for all."""
MOST_MISSED = 200
"""Alerts without a webhook that one run takes in, the worst first."""


@dataclass
class Told:
    """What one run did, in sentences.

    ``unheard``: service → why it said nothing. ``left``: incidents not looked at. ``doubtful``: what differs and must do
    so once more before anybody is asked. ``waiting``: what was asked before and has no answer.
    """

    looked: int = 0
    left: int = 0
    asked: list[str] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unheard: dict[str, str] = field(default_factory=dict)

    def each(self, say: Callable[[Sequence[str]], list[str]]) -> Told:
        """The same with what is said of incidents said anew."""
        return replace(
            self,
            asked=say(self.asked), healed=say(self.healed), doubtful=say(self.doubtful), waiting=say(self.waiting),
        )  # fmt: skip

    def text(self) -> str:
        """For whoever asked; plain text."""
        lines = [f"Looked at {'1 incident' if self.looked == 1 else f'{self.looked} incidents'}."]
        if self.left:
            lines[0] += f" {self.left} more are left to the next run."
        lines += [f"Healed: {line}." for line in self.healed]
        lines += [f"Asked: {line}" for line in self.asked]
        lines += [f"Asked before, no answer yet: {line}" for line in self.waiting]
        lines += [f"Differs, I look again before I ask: {line}" for line in self.doubtful]
        lines += [f"Not taken in: {line}" for line in self.refused]
        lines += [f"{name} said nothing: {why}" for name, why in sorted(self.unheard.items())]
        if len(lines) == 1 and self.looked:
            lines.append("Nothing differs that needs anybody.")
        return "\n".join(lines)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "looked": self.looked, "left": self.left, "asked": self.asked, "healed": self.healed,
            "doubtful": self.doubtful, "waiting": self.waiting, "refused": self.refused, "unheard": self.unheard,
        }  # fmt: skip


def performers(desk: Desk) -> list[Performer]:
    """The one kind of effect this owes: a run."""
    return [Performer("reconcile", lambda task: perform(desk, task))]


def tick(desk: Desk, slot: float) -> None:
    """Owe one run; its lane is its own, so that nothing waits for it. What runs of days ago found is forgotten."""
    t = EFFECTS()
    with desk.engine.transaction(time.time()) as tx:
        tx.owe(Effect(_key(slot), "reconcile", "reconcile", None, {"slot": slot}, urgency=9))
        old = t.c.key.between(_key(0), _key(slot - KEPT_S)) & t.c.state.in_([state.value for state in FINAL])
        tx.c.execute(t.delete().where(old))


def perform(desk: Desk, task: Task) -> Outcome:
    """Run, unless a younger slot waits: what an old one would see, that one sees as it is by then."""
    slot = float(task.args["slot"])
    younger = EFFECTS().c.key.between(_key(slot + 1), _key(LAST))
    with desk.store.read() as c:
        if c.execute(sa.select(EFFECTS().c.key).where(younger).limit(1)).first() is not None:
            return Outcome(skipped="a younger run looks instead")
    told = run(desk, turn=int(slot // PERIOD))
    for line in (*told.healed, *told.asked):
        log.info("reconciled: %s", line)
    for line in told.refused:
        log.warning("reconciling: %s", line)
    return Outcome(told.plain())


def by_hand(desk: Desk, asker: Asker, *, only: int | None) -> Told:
    """A run that somebody waits for: shorter, of one incident or of all."""
    told = run(desk, seconds=WAITED_S, only=only)
    if told.healed or told.asked:
        actor, subject = f"{asker.name} ({asker.id})", "all" if only is None else f"INC-{only}"
        with desk.engine.transaction(time.time()) as tx:
            audit.append(
                tx.c, at=tx.now, actor=actor, door=asker.door, action="incident reconcile", subject=subject,
                detail={"healed": told.healed, "asked": told.asked},
            )  # fmt: skip
    return told


def _key(slot: float) -> str:
    """The effect's key; the keys of two slots stand in the order of their times."""
    return f"reconcile:{int(slot):0{len(str(LAST))}d}"


def run(desk: Desk, *, turn: int = 0, seconds: float = RUN_S, only: int | None = None) -> Told:
    """Look once at what is open and what ended lately, or at one incident alone.

    ``turn``: which part is looked at when there are too many. After ``seconds`` no more call is begun.
    """
    until = time.monotonic() + seconds
    told = Told()
    line = _Line(told, lambda: time.monotonic() > until or desk.engine.stopping.is_set())
    with desk.store.read() as c:
        rows, told.left = _rows(c, turn=turn, now=time.time(), only=only)
        ours = _ours(c, rows)
        lasting = {row.incident for row in findings.unsettled(c, [row.number for row in rows])}
    alerts = _alerts(desk, line, ours.values())
    if alerts is not None and only is None:
        _take_in_missed(desk, alerts.value, told)
    known = None if alerts is None else Heard({alert.fingerprint for alert in alerts.value})
    need = sum(one.known_there for one in ours.values())
    needed = compare.looks_needed(known.value if known else (), need_alerts=need)
    for i, row in enumerate(rows):
        if line.over():
            told.left += len(rows) - i
            break
        theirs = _theirs(desk, line, row, ours[row.number], known)
        told.looked += 1
        found = compare.compare(ours[row.number], theirs, now=time.time(), patience=desk.policy.looks_apart)
        if found.seen or found.heals or row.number in lasting:
            _act(desk, ours[row.number], theirs, needed, told)
    _tell_lasting(desk, ours, told)
    return told


def _tell_lasting(desk: Desk, ours: Iterable[int], told: Told) -> None:
    with desk.store.read() as c:
        lasting = sorted(findings.unsettled(c, list(ours)), key=lambda one: (one.incident, one.kind))
    for one in lasting:
        line = f"INC-{one.incident}: {findings.plain(one.text)}"
        if one.asked_at is None:
            told.doubtful.append(line)
        elif not one.answer and line not in told.asked:
            told.waiting.append(line)


# ---- what we hold -----------------------------------------------------------------------------------------------------


def _rows(c: Connection, *, turn: int, now: float, only: int | None) -> tuple[list[Any], int]:
    """The incidents to look at, and how many must wait for another turn."""
    t = INCIDENTS()
    own = t.c.umbrella.is_(None)  # what is folded into a storm is looked at with that
    if only is not None:
        row = table.by_number(c, only)
        return [row if row.umbrella is None else table.by_number(c, row.umbrella)], 0
    open_ = _numbers(c, t.c.open_key.is_not(None) & own)
    over = _numbers(c, table.over_since(now - OVER_FOR) & own)
    first = turn_of(open_, turn, MOST - min(ROOM, len(over)))
    chosen = [*first, *turn_of(over, turn, MOST - len(first))]
    rows = c.execute(sa.select(t).where(t.c.number.in_(chosen)).order_by(t.c.number)).all()
    return list(rows), len(open_) + len(over) - len(chosen)


def _numbers(c: Connection, which: sa.ColumnElement[bool]) -> list[int]:
    t = INCIDENTS()
    # Sorted here: asked for in order, SQLite would walk through all of them from the first on.
    return sorted(c.execute(sa.select(t.c.number).where(which)).scalars())


def turn_of(numbers: Sequence[int], turn: int, most: int) -> list[int]:
    """At most ``most`` of them, others on each turn until all have had theirs."""
    if len(numbers) <= most:
        return list(numbers)
    start = turn * most % len(numbers)
    return [numbers[(start + i) % len(numbers)] for i in range(most)]


def _ours(c: Connection, rows: Sequence[Any]) -> dict[int, Ours]:
    """What we hold of these incidents."""
    numbers = [row.number for row in rows]
    firing: dict[int, dict[str, str]] = {}
    elsewhere = {row.number for row in rows if row.frozen_at is not None}
    of_storms = [
        (row.number, one) for row in rows if row.source == storms.SOURCE for one in storms.firing(c, row.number)
    ]
    for number, alert in [*((one.incident, one) for one in journal.firing(c, numbers)), *of_storms]:
        if alert.source == payload.Source.ALERTMANAGER.value:
            firing.setdefault(number, {})[alert.fingerprint] = json.loads(alert.labels).get("alertname", "")
        else:
            elsewhere.add(number)  # Alertmanager knows nothing of what others send and of what we see ourselves
    t, reopened = EFFECTS(), {row.number: row.reopened_at or 0.0 for row in rows}
    kept: dict[tuple[int, str], Kept] = {}
    wanted = t.c.about.in_(numbers) & t.c.kind.in_(("page", "page-resolve", "ticket"))
    for effect in c.execute(sa.select(t).where(wanted).order_by(t.c.created_at, t.c.key)):
        before = kept.get((effect.about, effect.kind))
        if effect.kind == "page-resolve" and effect.created_at < reopened[effect.about]:
            continue  # of the page before it was reopened
        count = 1 if before is None else before.count + 1
        kept[effect.about, effect.kind] = Kept(State(effect.state), effect.done_at or 0.0, count)
    return {
        row.number: Ours(
            number=row.number,
            status=Status(row.status),
            from_alert=row.source in ("alert", storms.SOURCE),
            firing=firing.get(row.number, {}),
            elsewhere=row.number in elsewhere,
            page=kept.get((row.number, "page")),
            page_resolve=kept.get((row.number, "page-resolve")),
            ticket=kept.get((row.number, "ticket")),
            ticket_key=row.ticket_key,
        )
        for row in rows
    }


# ---- what the others hold ---------------------------------------------------------------------------------------------


class _Line:
    """The calls of one run: a service that does not answer is not asked again in it."""

    def __init__(self, told: Told, over: Callable[[], bool]) -> None:
        self._told = told
        self.over = over
        """Says whether the time for calls is up."""
        self._refusals: dict[str, int] = {}
        self._shut: set[str] = set()

    def ask(self, service: str, call: Callable[[], T]) -> Heard[T] | None:
        """The answer; None when there is none, and then nothing may be concluded."""
        if service in self._shut or self.over():
            self._told.unheard.setdefault(service, "there was no time left for it in this run")
            return None
        try:
            return Heard(call())
        except Retry as e:
            self._told.unheard[service] = e.reason
            self._shut.add(service)
        except GiveUp as e:
            self._told.unheard[service] = e.reason
            self._refusals[service] = self._refusals.get(service, 0) + 1
            if self._refusals[service] >= REFUSALS:
                self._shut.add(service)
        return None


def _alerts(desk: Desk, line: _Line, ours: Iterable[Ours]) -> Heard[Sequence[ActiveAlert]] | None:
    asked = desk.outside.alerts
    if asked is None or not (asked.receiver or any(one.known_there for one in ours)):
        return None
    return line.ask("Alertmanager", asked.active)


def _theirs(desk: Desk, line: _Line, row: Any, ours: Ours, known: Heard[set[str]] | None) -> Theirs:
    now, patience = time.time(), desk.policy.looks_apart
    pager, tracker = desk.outside.pager, desk.outside.tracker
    page = ticket = None
    if pager is not None and compare.wants_pager(ours, now=now, patience=patience):
        key = dedup_key(row)
        page = line.ask("PagerDuty", lambda: pager.find(key))
    if tracker is not None and compare.wants_tracker(ours, now=now, patience=patience):
        ticket = line.ask("Jira", lambda: tracker.get(ours.ticket_key))
    return Theirs(known, page, ticket)


# ---- what follows -----------------------------------------------------------------------------------------------------


def _act(desk: Desk, before: Ours, theirs: Theirs, needed: Mapping[compare.Kind, int], told: Told) -> None:
    """Heal and ask, in one transaction that compares anew with what we hold by now: people may have been quicker."""
    policy, number = desk.policy, before.number
    with desk.engine.transaction(time.time()) as tx:
        row = table.locked(tx.c, number)
        ours = _ours(tx.c, [row])[number]
        if not ours.firing.keys() <= before.firing.keys():
            theirs = replace(theirs, alerts=None)  # of an alert that joined since, that list can know nothing
        found = compare.compare(ours, theirs, now=tx.now, patience=policy.looks_apart)
        healed = _heal(desk, tx, row, found)
        asked, changed = findings.look(desk, tx, row, found, needed=needed, apart=policy.looks_apart)
        if changed:
            decide.show(desk, tx, number)
    told.healed += healed
    told.asked += [f"INC-{number}: {findings.plain(found.seen[kind])}" for kind in asked]


def _heal(desk: Desk, tx: Tx, row: Any, found: Compared) -> list[str]:
    if found.acked_by:
        text = f"by {found.acked_by} in PagerDuty, found by looking"
        decide.move(desk, tx, row, Deed.ACKNOWLEDGE, actor=found.acked_by, text=text, tell_pager=False)
        return [f"INC-{row.number}: acknowledged {text}"]
    if found.resolve_page:
        page = table.newest(tx.c, row.number, "page")
        args = {"service": table.paged_service(page, row)} if page else {}
        last = table.newest(tx.c, row.number, "page-resolve")
        key = table.another_key(tx.c, row, "page-resolve")
        if last.state == State.GAVE_UP.value:
            desk.engine.repair(tx, last.key)
        else:
            after, bucket = page and page.key, events(row.service)
            again = Effect(
                f"{key}:again", "page-resolve", "pagerduty", row.number, args, urgency=2, after=after, bucket=bucket
            )
            tx.owe(again)
        text = "PagerDuty still had the page open: it is resolved there again"
        table.add_event(tx.c, incident=row.number, at=tx.now, kind="found", actor="Release Captain", text=text)
        return [f"INC-{row.number}: {text}"]
    return []


def _take_in_missed(desk: Desk, alerts: Sequence[ActiveAlert], told: Told) -> None:
    """Alerts that fire for us and whose webhook never came are taken in as if it had come now."""
    assert desk.outside.alerts is not None, "it has just answered"
    receiver = desk.outside.alerts.receiver
    # A watchdog that does not reach us is what its silence is for.
    ours = [one for one in alerts if receiver in one.receivers and not matching(desk.watchdogs, one.labels)]
    started = [(alert, _start(alert)) for alert in ours]
    with desk.store.read() as c:
        known = _known(c, sorted({alert.fingerprint for alert, _ in started}))
    found = compare.missed(started, known, receiver=receiver, now=time.time(), after=desk.policy.missed_after)
    taken: list[Alert] = []
    for one in found:
        try:
            taken.append(payload.one(_raw(one), desk.services, desk.policy))
        except ValueError as e:
            told.refused.append(f"{one.labels.get('alertname', one.fingerprint)} fires in Alertmanager: {e}")
    taken.sort(key=lambda alert: verdicts.severity_of(desk, alert.labels).rank)
    for alert in taken[:MOST_MISSED]:
        with desk.engine.transaction(time.time()) as tx:
            number = arrive.take_in(desk, tx, alert)
        if number is not None:
            name = alert.labels["alertname"]
            told.healed.append(f"INC-{number}: {name} taken in from Alertmanager, its webhook never came")


def _start(alert: ActiveAlert) -> int:
    """When it began, in microseconds; one whose start cannot be read began just now, and is not missed yet."""
    try:
        return payload.microseconds(alert.starts_at)
    except ValueError:
        return int(time.time() * 1e6)


def _known(c: Connection, fingerprints: Sequence[str]) -> list[Known]:
    rows = journal.of_fingerprints(c, fingerprints)
    ended = {(row.fingerprint, row.starts_at) for row in rows if row.status == "resolved"}
    open_ = set(_numbers(c, INCIDENTS().c.open_key.is_not(None)))
    return [
        Known(
            row.fingerprint,
            row.starts_at,
            row.status == "firing" and (row.fingerprint, row.starts_at) not in ended and row.incident in open_,
        )
        for row in rows
    ]


def _raw(alert: ActiveAlert) -> dict[str, Any]:
    """The alert as a webhook body would have carried it."""
    return {
        "status": "firing",
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": alert.starts_at,
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": alert.fingerprint,
    }
