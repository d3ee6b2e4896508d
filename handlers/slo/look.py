"""Looks every minute how fast each SLO burns, by asking Prometheus; what begins and ends is journaled as any other alert is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from bot.effects import EFFECTS, FINAL, Effect, Outcome, Performer, Task, Tx
from bot.errors import GiveUp, Retry
from bot.intake import Later
from bot.integrations.prometheus import Metrics
from handlers.alerts import journal
from handlers.alerts.journal import Entry
from handlers.alerts.payload import Alert
from handlers.desk import Desk
from handlers.incidents import arrive, freeze
from handlers.slo import alert, ask, judge, kinds, states
from handlers.slo.judge import BLIND_LOOKS, Fired, Heard, State
from handlers.slo.kinds import MISSING, Slo

log = logging.getLogger(__name__)

KIND, LANE = "slo-look", "slo"
LINE = "* * * * *"
LAST, KEPT_S = 999_999_999_999, 2 * 86400.0
"""The last slot there is, and the seconds for which the record of a run is kept."""
RUN_S = 45.0
"""Seconds after which a run asks no more: the next one is due."""
REFUSALS = 3
"""Calls in a row without an answer after which a run asks no more: each may have taken the whole time limit."""
SPARE_S = 180.0
"""Seconds between two looks at an SLO whose alerts Prometheus' own rules raise: only `slo` and the metrics live on them."""
SILENT_AFTER_S = 600.0
"""Seconds for which Prometheus may tell nothing before a ticket says so."""


@dataclass
class Told:
    """What one run did. ``measured``: SLOs that were; ``unheard``: SLO → why it could not be told; ``left``: SLOs not asked about."""

    measured: list[str] = field(default_factory=list)
    unheard: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    began: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "measured": len(self.measured), "unheard": self.unheard, "left": len(self.left), "began": self.began,
            "ended": self.ended,
        }  # fmt: skip


def performers(desk: Desk) -> list[Performer]:
    """The one kind of effect this owes: a run."""
    return [Performer(KIND, lambda task: perform(desk, task))]


def looked_at(desk: Desk) -> Mapping[str, Slo]:
    """The SLOs that can be measured: all of captain.yml, where there is a Prometheus to be asked."""
    return desk.slos if desk.outside.metrics is not None else {}


def tick(desk: Desk, slot: float) -> None:
    """Owe one run, where there is anything to look at; its lane is its own, so that nothing waits for it."""
    if not looked_at(desk):
        with desk.store.read() as c:
            if not states.load(c):
                return
    t = EFFECTS()
    with desk.engine.transaction(time.time()) as tx:
        tx.owe(Effect(_key(slot), KIND, LANE, None, {"slot": slot}, urgency=9))
        old = t.c.key.between(_key(0), _key(slot - KEPT_S)) & t.c.state.in_([state.value for state in FINAL])
        tx.c.execute(t.delete().where(old))


def perform(desk: Desk, task: Task) -> Outcome:
    """Run, unless a younger slot waits: what an old one would see, that one sees as it is by then."""
    younger = EFFECTS().c.key.between(_key(float(task.args["slot"]) + 1), _key(LAST))
    with desk.store.read() as c:
        if c.execute(sa.select(EFFECTS().c.key).where(younger).limit(1)).first() is not None:
            return Outcome(skipped="a younger run looks instead")
    told = run(desk)
    for name, why in told.unheard.items():
        log.warning("SLO %s: %s", name, why)
    return Outcome(told.plain())


def _key(slot: float) -> str:
    """The effect's key; the keys of two slots stand in the order of their times."""
    return f"slo-look:{int(slot):0{len(str(LAST))}d}"


def run(desk: Desk, *, clock: Callable[[], float] = time.time, seconds: float = RUN_S) -> Told:
    """Look once at every SLO, the one that waits longest first. ``clock``: UNIX s. After ``seconds`` no call is begun."""
    told, wanted, metrics = Told(), looked_at(desk), desk.outside.metrics
    until = time.monotonic() + seconds
    with desk.store.read() as c:
        kept, gone = states.load(c), states.others(c, list(wanted))
    for name in gone:
        _forget(desk, name, told, clock())
    last = {name: kept[name][0] if name in kept else 0.0 for name in wanted}
    order = sorted(
        (name for name in wanted if _is_due(wanted[name], last[name], clock())), key=lambda one: (last[one], one)
    )
    silent: dict[str, str] = {}
    row = 0
    for i, name in enumerate(order):
        if metrics is None or row >= REFUSALS or time.monotonic() > until or desk.engine.stopping.is_set():
            told.left = order[i:]
            break
        now, state = clock(), kept[name][1] if name in kept else State()
        try:
            heard, why = _asked(metrics, wanted[name], state, now)
        except (Retry, GiveUp) as e:
            silent[name] = e.reason
            row = REFUSALS if isinstance(e, Retry) and e.limited else row + 1
            continue
        row = 0
        _heard(desk, name, wanted[name], heard, why, told, now)
    _unheard(desk, wanted, silent, told, clock())
    return told


def _is_due(slo: Slo, last: float, now: float) -> bool:
    return slo.evaluate or not 0 <= now - last < SPARE_S - judge.SLACK_S


def _asked(metrics: Metrics, slo: Slo, state: State, now: float) -> tuple[Mapping[int, Heard], str]:
    """What the windows that are due say, and those that a burn in a short one makes urgent. Raises Retry and GiveUp.

    A long window that is not told costs that window alone; without the short ones there is no measurement.
    """
    found: dict[int, Heard] = {}
    said = ""
    batches = judge.batches(judge.due(slo, state, now))
    while batches:
        for wanted in batches:
            try:
                heard, why = ask.windows(metrics, slo, wanted, now=now)
            except (Retry, GiveUp):
                if not found or min(wanted) <= judge.LONG_S:
                    raise
                heard, why = dict.fromkeys(wanted, Heard(now)), ""
            found |= heard
            said = said or (why if judge.lengths(slo)[0] in wanted else "")
        seen = replace(state, windows={**state.windows, **found})
        batches = judge.batches([length for length in judge.hot(slo, seen, now) if length not in found])
    return found, said


def _heard(desk: Desk, name: str, slo: Slo, heard: Mapping[int, Heard], why: str, told: Told, now: float) -> None:
    """Write down what was heard, and what begins and ends by it; then decide about that."""
    with desk.engine.transaction(now) as tx:
        _, before = states.hold(tx.c, name)
        stale = _stale(desk, name, slo, before)
        if not slo.evaluate:
            _not_ours(tx, name, before)
        mine = {length: one for length, one in before.windows.items() if length in judge.lengths(slo)}
        fired = {one: alert_ for one, alert_ in before.fired.items() if one not in stale}
        seen = replace(before, windows={**mine, **heard}, fired=fired, why=why)
        after, changes = judge.look(slo, seen, now)
        changes = changes if slo.evaluate else []
        fired, alerts = dict(after.fired), [alert.delivery(before.fired[one], ended=now) for one in stale]
        for change in changes:
            if not change.begins:
                alerts.append(alert.delivery(before.fired[change.name], ended=now))
                told.ended.append(f"{name} {change.name}")
                continue
            made = (
                alert.burn(desk, name, slo, change.tier, after, now)
                if change.tier is not None
                else alert.missing(desk, name, slo, after, now)
            )
            fired[change.name] = made
            alerts.append(alert.delivery(made))
            told.began.append(f"{name} {change.name}")
        after = replace(after, fired=fired)
        states.write(tx.c, name, after, now=now)
        # What begins first: an incident that it belongs to must not end in between.
        (new,) = journal.write(tx.c, [(now, sorted(alerts, key=lambda one: not one.firing))])
        _hold_open(desk, tx, after)
    _decide(desk, new, now)
    if after.blind:
        told.unheard[name] = after.why or "no data"
    else:
        told.measured.append(name)


def _stale(desk: Desk, name: str, slo: Slo, state: State) -> list[str]:
    """Alerts of tiers that captain.yml no longer has so: the tier, the service or the environment is another one."""
    if not slo.evaluate:
        return list(state.fired)
    tiers = {tier.name: tier for tier in slo.all_tiers}
    found = []
    for one, fired in state.fired.items():
        wanted = {**kinds.labels(name, slo, environment=desk.services[slo.service].environment)}
        same = all(fired.labels.get(label) == value for label, value in wanted.items())
        if not same or (one != MISSING and one not in tiers):
            found.append(one)
    return found


def _hold_open(desk: Desk, tx: Tx, state: State) -> None:
    """Say in the thread, once, that nothing is known any more of what burns, and that it is known again."""
    for name, fired in state.fired.items():
        if name == MISSING:
            continue
        number = journal.incident_firing(tx.c, fired.fingerprint, fired.since)
        if number is None:
            continue
        if state.blind >= BLIND_LOOKS:
            freeze.freeze(desk, tx, number, state.why or "there is no data")
        elif not state.blind and MISSING not in state.fired:
            freeze.thaw(desk, tx, number)


def _unheard(desk: Desk, wanted: Mapping[str, Slo], silent: Mapping[str, str], told: Told, now: float) -> None:
    """What a call without an answer means: where nothing at all was told in this run, that Prometheus is silent."""
    everywhere = bool(silent) and not told.measured and not told.unheard
    for name, why in silent.items():
        if everywhere:
            told.unheard[name] = why
        else:
            _heard(desk, name, wanted[name], {}, why, told, now)
    _silence(desk, wanted, next(iter(silent.values()), "") if everywhere else "", told, now)


def _silence(desk: Desk, wanted: Mapping[str, Slo], why: str, told: Told, now: float) -> None:
    """Count the runs in which Prometheus told nothing; one ticket says so, and ends when it tells something again."""
    if not why and not told.measured and not told.unheard and wanted:
        return  # this run asked nobody
    own = [name for name, slo in sorted(wanted.items()) if slo.evaluate]
    with desk.engine.transaction(now) as tx:
        _, before = states.hold(tx.c, states.ALL)
        alerts: list[Alert] = []
        if why:
            since = now if before.blind_since is None else min(before.blind_since, now)
            after = replace(before, blind=before.blind + 1, blind_since=since, why=why)
        else:
            after = State()
            alerts = [alert.delivery(one, ended=now) for one in before.fired.values()]
            told.ended += [MISSING for _ in alerts]
        if (
            after.blind >= BLIND_LOOKS
            and now - (after.blind_since or now) >= SILENT_AFTER_S
            and own
            and not after.fired
        ):
            made = alert.silent(desk, _whose(desk, wanted[own[0]]), own, after, now)
            after = replace(after, fired={MISSING: made})
            alerts.append(alert.delivery(made))
            told.began.append(MISSING)
        states.write(tx.c, states.ALL, after, now=now)
        (new,) = journal.write(tx.c, [(now, alerts)])
        if after.blind >= BLIND_LOOKS:
            _freeze_all(desk, tx, after.why)
    _decide(desk, new, now)


def _whose(desk: Desk, first: Slo) -> str:
    """The service that gets the ticket about Prometheus."""
    fallback = desk.policy.fallback_service
    return fallback if fallback in desk.services else first.service


def _freeze_all(desk: Desk, tx: Tx, why: str) -> None:
    for name, (_, state) in states.load(tx.c).items():
        for one, fired in state.fired.items():
            number = journal.incident_firing(tx.c, fired.fingerprint, fired.since)
            if name != states.ALL and one != MISSING and number is not None:
                freeze.freeze(desk, tx, number, why)


def _forget(desk: Desk, name: str, told: Told, now: float) -> None:
    """End what fires of an SLO that is no longer ours to measure: nobody else would."""
    with desk.engine.transaction(now) as tx:
        _, state = states.hold(tx.c, name)
        _not_ours(tx, name, state)
        (new,) = journal.write(tx.c, [(now, [alert.delivery(one, ended=now) for one in state.fired.values()])])
        states.forget(tx.c, name)
        told.ended += [f"{name} {one}" for one in state.fired]
    _decide(desk, new, now)


def _not_ours(tx: Tx, name: str, state: State) -> None:
    """Write into the timeline why what fired ends, though nothing has become better."""
    for fired in state.fired.values():
        number = journal.incident_firing(tx.c, fired.fingerprint, fired.since)
        if number is not None:
            freeze.unmeasured(tx, number, name)


def _decide(desk: Desk, new: Sequence[Entry], now: float) -> None:
    """Decide at once. What must wait for another replica, and what a kill leaves here, the intake finds in the journal."""
    try:
        arrive.on_alerts(desk, new, now=now)
    except Later:
        log.info("%d alerts of our own are decided in a moment", len(new))


__all__ = ["Fired", "Told", "looked_at", "perform", "performers", "run", "tick"]
