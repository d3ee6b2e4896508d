"""The alerts that our own looks raise: shaped as Alertmanager's are, so that everything decided about those holds for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from handlers.alerts.payload import OURS, Alert, Source
from handlers.desk import Desk
from handlers.incidents.words import duration
from handlers.slo import budget, kinds, words
from handlers.slo.judge import Fired, State, recent
from handlers.slo.kinds import BURN, MISSING, Slo, Tier


def burn(desk: Desk, name: str, slo: Slo, tier: Tier, state: State, now: float) -> Fired:
    """A tier that begins to fire. ``now``: UNIX s."""
    speed = budget.burn(recent(state, tier.short_s, now), slo.budget)
    annotations = {
        "summary": words.summary(name, slo, speed),
        "description": slo.description,
        "burn": words.times(speed),
        "meaning": words.of_state(slo, state, tier, now),
    }
    return _fired(desk, name, slo, {"alertname": BURN, "tier": tier.name, "severity": tier.severity}, annotations, now)


def missing(desk: Desk, name: str, slo: Slo, state: State, now: float) -> Fired:
    """An SLO that cannot be measured begins to be a ticket. ``now``: UNIX s."""
    if state.blind_since is not None:
        since = duration(now - state.blind_since)
        why = f"There has been no measurement for {since}: {state.why or 'no data'}."
    else:
        why = f"Not a single event was counted in {slo.silent_after}: does its total query find what it shall count?"
    annotations = {
        "summary": f"{name} cannot be measured",
        "description": f"{why} Until there is data nobody is paged for this SLO, and what is open stays open. "
        "`captain slo check` says what Prometheus answers.",
    }
    return _fired(desk, name, slo, {"alertname": MISSING, "tier": "missing", "severity": "ticket"}, annotations, now)


def silent(desk: Desk, service: str, names: list[str], state: State, now: float) -> Fired:
    """Prometheus itself tells nothing: one ticket, however many SLOs depend on it. ``now``: UNIX s."""
    since = duration(now - (now if state.blind_since is None else state.blind_since))
    environment = desk.services[service].environment
    annotations = {
        "summary": f"No SLO can be measured: {words.unmeasured(names)}",
        "description": f"Prometheus has told nothing for {since}: {state.why}. Until it does nobody is paged for "
        f"{len(names)} SLO{'s' if len(names) != 1 else ''}, and what is open stays open.",
    }
    labels = {"alertname": MISSING, "tier": "missing", "severity": "ticket", "service": service, "env": environment}
    return _made(desk, service, environment, labels, annotations, now)


def _fired(
    desk: Desk, name: str, slo: Slo, labels: Mapping[str, str], annotations: Mapping[str, str], now: float
) -> Fired:
    service = desk.services[slo.service]
    known = kinds.labels(name, slo, environment=service.environment)
    links = {"runbook_url": slo.runbook, "dashboard": slo.dashboard or service.dashboard}
    return _made(desk, slo.service, known["env"], {**known, **labels}, {**annotations, **links}, now)


def _made(
    desk: Desk, service: str, environment: str, labels: Mapping[str, str], annotations: Mapping[str, str], now: float
) -> Fired:
    # Under the names by which the operator's own rules carry them, too: the decision reads those.
    named = {**labels, desk.policy.service_label: service, desk.policy.environment_label: environment}
    what = (labels.get("slo", ""), environment, labels["tier"], service)
    fingerprint = hashlib.sha256("\0".join(what).encode()).hexdigest()[:32]
    said = {key: text for key, text in annotations.items() if text}
    return Fired(int(now * 1e6), 0, service, fingerprint, named, said)


def delivery(fired: Fired, *, ended: float | None = None) -> Alert:
    """The alert as the journal takes it: firing, or resolved at ``ended`` (UNIX s)."""
    ends = None if ended is None else int(ended * 1e6)
    firing = ended is None
    return Alert(
        fired.fingerprint, fired.since, firing, ends, fired.labels, fired.annotations, fired.service, OURS, Source.SLO
    )
