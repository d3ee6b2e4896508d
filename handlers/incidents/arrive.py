"""Decides about alerts: which incident each belongs to, what it makes of it, and whom that wakes; all in one transaction."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bot.effects import Tx
from bot.intake import Later
from handlers.alerts import journal
from handlers.alerts.journal import Entry
from handlers.alerts.payload import Alert
from handlers.catalogue import grouped
from handlers.desk import Desk
from handlers.incidents import decide, doubt, freeze, grouping, owing, remind, rules, table, verdicts, words
from handlers.incidents.rules import Deed, Severity, Status
from handlers.incidents.table import INCIDENTS
from handlers.noise import flap, hold
from handlers.rooms import owing as rooms
from handlers.slo import owed as burns
from handlers.storms import fold
from handlers.storms import table as storms
from handlers.storms import words as storm_words
from handlers.tickets import owed as tickets
from handlers.watchdogs.rules import matching

log = logging.getLogger(__name__)


class Twice(Exception):
    """Another replica has decided about this alert: everything written down here is taken back."""


UNDECIDED = 60.0
"""Seconds for which the end of an incident waits for an alert that nobody has decided about; one that breaks must not hold it."""
KEPT = ("summary", "description", "runbook_url", "dashboard", "slo", "tier", "burn", "meaning")
"""What of an alert's annotations and labels is kept on the incident."""


def on_alerts(desk: Desk, entries: Sequence[Entry], *, now: float) -> None:
    """Decide about journaled alerts and write down what follows, all or nothing. ``now``: UNIX s."""
    try:
        with desk.engine.transaction(now) as tx:
            for entry in entries:
                _on_alert(desk, tx, entry)
    except Twice:
        if len(entries) > 1:
            for entry in entries:
                on_alerts(desk, [entry], now=now)


def take_in(desk: Desk, tx: Tx, alert: Alert) -> int | None:
    """Journal an alert that fires and whose webhook never came, and decide as if it had come now; the incident it is in."""
    (new,) = journal.write(tx.c, [(tx.now, [alert])])
    if not new:
        return None  # it came after all
    number = _on_alert(desk, tx, new[0], how=", found by looking: no webhook came for it")
    if number is not None:
        text = f"{alert.labels['alertname']} was found firing in Alertmanager: its webhook never came"
        table.add_event(tx.c, incident=number, at=tx.now, kind="found", actor="Release Captain", text=text)
    return number


def _on_alert(desk: Desk, tx: Tx, entry: Entry, *, how: str = "") -> int | None:
    verdict, incident = _judge(desk, tx, entry)
    verdict += _alone(desk, entry, incident)
    if not journal.decided(tx.c, entry, verdict=verdict + how, incident=incident):
        raise Twice
    return incident


def _alone(desk: Desk, entry: Entry, incident: int | None) -> str:
    """What is said of an alert that firing put into an incident of its own, for want of a label; empty when it did not."""
    missing = key_of(desk, entry.alert).missing if entry.alert.firing and incident is not None else ""
    if not missing:
        return ""
    log.warning(
        "alert %s (%s) of %s has no label %s, which group_by wants: INC-%d is of it alone",
        entry.alert.labels["alertname"][: verdicts.LONGEST_LABEL],
        entry.alert.fingerprint,
        entry.alert.service,
        missing,
        incident,
    )
    return verdicts.alone(missing)


def _judge(desk: Desk, tx: Tx, entry: Entry) -> tuple[str, int | None]:
    alert = entry.alert
    watchdogs = matching(desk.watchdogs, alert.labels)
    if watchdogs:
        said = "alive" if alert.firing else "has ended, which it never should; only its firing counts as alive"
        return f"watchdog {', '.join(watchdogs)}: {said}", None
    other = journal.sibling(tx.c, alert)
    if not alert.firing:
        if other is None:
            return verdicts.NEVER_FIRED, None
        if other.verdict is None:
            raise Later
        if other.incident is None:
            return _opened_nothing(desk, tx, alert, other.id)
        return _ended(desk, tx, alert, other.incident), other.incident
    if other is not None:
        return verdicts.CAME_TOO_LATE, None
    return again(desk, tx, entry)


def _opened_nothing(desk: Desk, tx: Tx, alert: Alert, firing: int) -> tuple[str, int | None]:
    """The end of an alert that had opened nothing; held, it may have done so in this moment. ``firing``: its row."""
    said, acted = hold.ended(desk, tx, firing)
    if acted is None:
        return said or "resolved: it had opened nothing", None
    return _ended(desk, tx, alert, acted), acted


def again(desk: Desk, tx: Tx, entry: Entry) -> tuple[str, int | None]:
    """Decide about an alert that fires; anew about one that was held, as if it came at ``received_at``: its verdict, and the incident it is in."""
    verdict, incident = _firing(desk, tx, entry)
    if incident is not None:
        freeze.freeze_seen(desk, tx, where(desk, entry.alert)[1], f"{entry.alert.labels['alertname']} fires")
    return verdict, incident


def _firing(desk: Desk, tx: Tx, entry: Entry) -> tuple[str, int | None]:
    alert = entry.alert
    environment, key = where(desk, alert)
    severity = verdicts.severity_of(desk, alert.labels)
    row = _lock_open(tx, key)
    if row is None and journal.sibling(tx.c, alert) is not None:
        # While this waited for the incident, another replica saw the end of all its alerts, of this one too.
        return verdicts.CAME_TOO_LATE, None
    held = hold.held(desk, tx, entry, key=key, environment=environment, severity=severity, row=row)
    if held is not None:
        return held
    before = None if row else table.last_of_key(tx.c, key)
    if row is None:
        uid = rules.incident_uid(key, alert.fingerprint, str(alert.starts_at))
        if before is not None and before.uid != uid:
            said = _back(desk, tx, before.number, entry, severity)
            if said:
                return said, before.number
        title = " ".join(
            (alert.annotations.get("summary") or f"{alert.labels['alertname']} on {alert.service}").split()
        )
        kept = {name: value for name in KEPT if (value := alert.annotations.get(name) or alert.labels.get(name))}
        if before is not None and before.uid != uid:
            kept["before"] = f"INC-{before.number}"
        place = fold.place(desk, tx, fold.Opening(uid, alert.service, environment, severity, entry.received_at))
        number = decide.open_(
            desk,
            tx,
            {
                **place.values, "uid": uid, "key": key, "open_key": key, "service": alert.service, "environment": environment,
                "severity": severity.value, "title": title[:300], "source": "alert", "opened_by": _by(alert),
                "about": json.dumps(kept | {"alertname": alert.labels["alertname"]}, ensure_ascii=False),
                "opened_at": entry.received_at,
            },
        )  # fmt: skip
        if number is not None:
            return fold.opened(desk, tx, place, number, alert, severity), number
        row = _lock_open(tx, key)
        if row is None:
            # This very occurrence was decided before and is over by now.
            return verdicts.SEEN_BEFORE, None
    return _joined(desk, tx, row, entry, severity), row.number


def _by(alert: Alert) -> str:
    """Who says so."""
    return alert.source.sender


def where(desk: Desk, alert: Alert) -> tuple[str, str]:
    """The environment an alert is about, and the key of the incident it belongs to."""
    named = alert.labels.get(desk.policy.environment_label, "")[:100]
    environment = named or desk.services[alert.service].environment
    return environment, key_of(desk, alert).text


def key_of(desk: Desk, alert: Alert) -> grouping.Key:
    """What makes an alert one incident with others, by the template of its service."""
    return grouping.key_of(
        grouped(desk.policy, desk.services, alert.service),
        alert.labels,
        service=alert.service,
        environment=alert.labels.get(desk.policy.environment_label, "") or desk.services[alert.service].environment,
        fingerprint=alert.fingerprint,
    )


def _back(desk: Desk, tx: Tx, number: int, entry: Entry, severity: Severity) -> str:
    """Reopen the incident that was of the same key, when it ended so lately that this is no new one.

    Gives the verdict; empty when it is not reopened.
    """
    row = before = table.locked(tx.c, number)
    if not rules.is_back(row.resolved_at, entry.received_at, within=desk.policy.reopen_within):
        return ""
    ago = words.duration(entry.received_at - row.resolved_at)
    text = f"{entry.alert.labels['alertname']} fires again, {ago} after it was resolved"
    if severity.value != row.severity:
        # As if it were a new one: what is no worse than a ticket now wakes nobody, and what becomes worse pages then.
        tx.c.execute(INCIDENTS().update().where(INCIDENTS().c.number == number).values(severity=severity.value))
        said = f"severity is {severity.value} now, it was {row.severity}"
        table.add_event(tx.c, incident=number, at=tx.now, kind="severity", actor=_by(entry.alert), text=said)
        tickets.edited(desk, tx, row, "severity")
        row = table.by_number(tx.c, number)
    reason, since = verdicts.label(desk, entry.alert, severity), entry.received_at
    place = fold.place(desk, tx, fold.Opening(row.uid, row.service, row.environment, severity, since))
    row = fold.reopening(desk, tx, place, row)
    if not decide.move(desk, tx, row, Deed.REOPEN, actor=_by(entry.alert), text=text, since=since, reason=reason):
        return ""
    return fold.reopened(desk, place, before, entry.alert, severity)


def _joined(desk: Desk, tx: Tx, row: Any, entry: Entry, severity: Severity) -> str:
    """Another alert of an open incident: remember it, and raise the severity if it is worse."""
    name = entry.alert.labels["alertname"]
    table.add_event(
        tx.c, incident=row.number, at=tx.now, kind="alert", actor=_by(entry.alert), text=f"{name} fires too"
    )
    verdict = verdicts.joined(desk, row, entry.alert, severity)
    if severity.rank < Severity(row.severity).rank:
        verdict = verdicts.raised(desk, row, entry.alert, severity)
        values: dict[str, Any] = {"severity": severity.value}
        wakes = severity.pages and not Severity(row.severity).pages
        if wakes:
            # Whoever took it took a ticket; a page is for the on-call, and somebody has to take it anew.
            values |= table.ANEW
            remind.arm(desk, tx, row, Status.TRIGGERED)
            burns.wanted(desk, tx, row)
        tx.c.execute(INCIDENTS().update().where(INCIDENTS().c.number == row.number).values(**values))
        text = f"severity raised from {row.severity} to {severity.value} by {name}"
        table.add_event(tx.c, incident=row.number, at=tx.now, kind="severity", actor=_by(entry.alert), text=text)
        tickets.edited(desk, tx, row, "severity")
        if row.umbrella is not None:
            stays = fold.raised(desk, tx, table.by_number(tx.c, row.number), since=entry.received_at)
            verdict = (
                f"raised INC-{row.number} from {row.severity} to {severity.value}, pages nobody: {stays}"
                if stays
                else verdict
            )
        elif wakes and verdicts.pages(desk, severity, row.service):
            owing.page(tx, row, severity, since=entry.received_at)
        rooms.raised(desk, tx, row.number)
    elif row.umbrella is not None and not row.thread_ts:
        return verdict  # the storm's table counts incidents, not alerts
    decide.show(desk, tx, row.number)
    return verdict


def _ended(desk: Desk, tx: Tx, alert: Alert, number: int) -> str:
    """An alert of the incident has resolved; when none fires any more, the incident is over. Gives the verdict."""
    row = table.locked(tx.c, number)  # before counting: another replica may be putting one more alert into it
    firing = journal.still_firing(tx.c, number)
    if firing:
        decide.show(desk, tx, number)
        return verdicts.ended(number, firing, over=False)
    if row is not None:
        freeze.thaw_seen(desk, tx, row.key)
    over = row is None or not table.is_open(row)
    if not over and freeze.blind(tx, row):
        freeze.freeze(desk, tx, number, "what measures this says so")
        return verdicts.frozen(number)
    if not over and row.source == "alert":
        if more_to_come(desk, tx, row):
            raise Later
        because = doubt.why(tx, alert, row)
        if because:
            return doubt.keep_open(desk, tx, row, alert, because)
        carried = _carried(tx, row)
        if carried:
            text = storm_words.held(number, carried)
            table.add_event(tx.c, incident=number, at=tx.now, kind="storm", actor=decide.ITSELF, text=text)
            decide.show(desk, tx, number)
            return f"resolved: {text}"
        flaps = flap.keeps_open(desk, tx, row)
        if flaps:
            return flaps
        decide.move(desk, tx, row, Deed.RESOLVE, actor=_by(alert), text="every alert has resolved")
    return verdicts.ended(number, firing, over=over)


def _carried(tx: Tx, row: Any) -> int:
    """How many incidents of its service have no page but this one's, which called their on-call in a storm."""
    call = storms.call_of(tx.c, row.number)
    if call is None:
        return 0
    table.locked(tx.c, call.umbrella)  # before counting: another replica may be folding one in because this is open
    return storms.carried(tx.c, row)


def quiet(desk: Desk, tx: Tx, number: int, why: str) -> bool:
    """End an incident of which nothing fires any more and which was kept open for that it flapped; False when it stays."""
    row = table.locked(tx.c, number)
    if row is None or not table.is_open(row) or journal.still_firing(tx.c, number):
        return False
    if freeze.blind(tx, row) or more_to_come(desk, tx, row) or _carried(tx, row):
        return False
    return decide.move(desk, tx, row, Deed.RESOLVE, actor=decide.ITSELF, text=why)


def more_to_come(desk: Desk, tx: Tx, row: Any) -> bool:
    """True when an alert of the incident has fired and waits to be decided, here or at another replica.

    To end now would open a second incident, and page a second time, for what has never stopped burning.
    """
    waiting = journal.waiting(tx.c, row.service, since=tx.now - UNDECIDED)
    return any(where(desk, alert)[1] == row.key for alert in waiting)


def _lock_open(tx: Tx, key: str) -> Any:
    t = INCIDENTS()
    return tx.c.execute(sa.select(t).where(t.c.open_key == key).with_for_update()).first()
