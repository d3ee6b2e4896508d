"""Turns alerts and deeds into rows and owed effects, each in one transaction: this is the policy, in order."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot import audit
from bot.effects import Effect, Settled, State, Tx, insert_once
from bot.errors import Refused
from bot.grammar import Asker
from bot.intake import Later
from bot.integrations.slack.words import escape
from handlers import panels
from handlers.alerts import journal
from handlers.alerts.journal import Entry
from handlers.alerts.payload import Alert
from handlers.buckets import EDITS, events, posts
from handlers.desk import Desk
from handlers.digest.follow import follow
from handlers.incidents import findings, owing, remind, rules, table, verdicts, words
from handlers.incidents.compare import Kind
from handlers.incidents.rules import Deed, Severity, Status
from handlers.incidents.table import INCIDENTS
from handlers.rooms import owing as rooms
from handlers.tickets import owed as tickets
from handlers.watchdogs.rules import matching


class Twice(Exception):
    """Another replica has decided about this alert: everything written down here is taken back."""


ALERTMANAGER, ITSELF = "Alertmanager", "Release Captain"
"""Who opened or ended an incident where no person did: its alerts, or we."""
UNDECIDED = 60.0
"""Seconds for which the end of an incident waits for an alert that nobody has decided about; one that breaks must not hold it."""
KEPT = ("summary", "description", "runbook_url", "dashboard", "slo", "burn")
"""What of an alert's annotations and labels is kept on the incident."""


def on_alerts(desk: Desk, entries: Sequence[Entry]) -> None:
    """Decide about journaled alerts and write down what follows, all or nothing."""
    try:
        with desk.engine.transaction(time.time()) as tx:
            for entry in entries:
                _on_alert(desk, tx, entry)
    except Twice:
        if len(entries) > 1:
            for entry in entries:
                on_alerts(desk, [entry])


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
    if not journal.decided(tx.c, entry, verdict=verdict + how, incident=incident):
        raise Twice
    return incident


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
            return "resolved: it had opened nothing", None
        return _ended(desk, tx, other.incident), other.incident
    if other is not None:
        return verdicts.CAME_TOO_LATE, None
    return _firing(desk, tx, entry)


def _firing(desk: Desk, tx: Tx, entry: Entry) -> tuple[str, int | None]:
    alert = entry.alert
    environment, key = _where(desk, alert)
    severity = verdicts.severity_of(desk, alert.labels)
    row = _lock_open(tx, key)
    if row is None and journal.sibling(tx.c, alert) is not None:
        # While this waited for the incident, another replica saw the end of all its alerts, of this one too.
        return verdicts.CAME_TOO_LATE, None
    before = None if row else table.last_of_key(tx.c, key)
    if row is None:
        uid = rules.incident_uid(key, alert.fingerprint, str(alert.starts_at))
        if before is not None and before.uid != uid and _back(desk, tx, before.number, entry, severity):
            return verdicts.reopened(desk, before, alert, severity), before.number
        title = " ".join(
            (alert.annotations.get("summary") or f"{alert.labels['alertname']} on {alert.service}").split()
        )
        kept = {name: value for name in KEPT if (value := alert.annotations.get(name) or alert.labels.get(name))}
        if before is not None and before.uid != uid:
            kept["before"] = f"INC-{before.number}"
        number = _open(
            desk,
            tx,
            {
                "uid": uid, "key": key, "open_key": key, "service": alert.service, "environment": environment,
                "severity": severity.value, "title": title[:300], "source": "alert", "opened_by": "Alertmanager",
                "about": json.dumps(kept | {"alertname": alert.labels["alertname"]}, ensure_ascii=False),
                "opened_at": entry.received_at,
            },
        )  # fmt: skip
        if number is not None:
            return verdicts.opened(desk, number, alert, severity), number
        row = _lock_open(tx, key)
        if row is None:
            # This very occurrence was decided before and is over by now.
            return verdicts.SEEN_BEFORE, None
    return _joined(desk, tx, row, entry, severity), row.number


def _where(desk: Desk, alert: Alert) -> tuple[str, str]:
    """The environment an alert is about, and the key of the incident it belongs to."""
    named = alert.labels.get(desk.policy.environment_label, "")[:100]
    environment = named or desk.services[alert.service].environment
    return environment, rules.incident_key(alert.labels, service=alert.service, environment=environment)


def _back(desk: Desk, tx: Tx, number: int, entry: Entry, severity: Severity) -> bool:
    """Reopen the incident that was of the same key, when it ended so lately that this is no new one; False when not."""
    row = _lock(tx, number)
    if not rules.is_back(row.resolved_at, entry.received_at, within=desk.policy.reopen_within):
        return False
    ago = words.duration(entry.received_at - row.resolved_at)
    text = f"{entry.alert.labels['alertname']} fires again, {ago} after it was resolved"
    if severity.value != row.severity:
        # As if it were a new one: what is no worse than a ticket now wakes nobody, and what becomes worse pages then.
        tx.c.execute(INCIDENTS().update().where(INCIDENTS().c.number == number).values(severity=severity.value))
        said = f"severity is {severity.value} now, it was {row.severity}"
        table.add_event(tx.c, incident=number, at=tx.now, kind="severity", actor=ALERTMANAGER, text=said)
        tickets.edited(desk, tx, row, "severity")
        row = table.by_number(tx.c, number)
    reason, since = verdicts.label(desk, entry.alert, severity), entry.received_at
    return move(desk, tx, row, Deed.REOPEN, actor=ALERTMANAGER, text=text, since=since, reason=reason)


def _joined(desk: Desk, tx: Tx, row: Any, entry: Entry, severity: Severity) -> str:
    """Another alert of an open incident: remember it, and raise the severity if it is worse."""
    name = entry.alert.labels["alertname"]
    table.add_event(tx.c, incident=row.number, at=tx.now, kind="alert", actor="Alertmanager", text=f"{name} fires too")
    verdict = verdicts.joined(desk, row, entry.alert, severity)
    if severity.rank < Severity(row.severity).rank:
        verdict = verdicts.raised(desk, row, entry.alert, severity)
        values: dict[str, Any] = {"severity": severity.value}
        wakes = severity.pages and not Severity(row.severity).pages
        if wakes:
            # Whoever took it took a ticket; a page is for the on-call, and somebody has to take it anew.
            values |= table.ANEW
            remind.arm(desk, tx, row, Status.TRIGGERED)
        tx.c.execute(INCIDENTS().update().where(INCIDENTS().c.number == row.number).values(**values))
        text = f"severity raised from {row.severity} to {severity.value} by {name}"
        table.add_event(tx.c, incident=row.number, at=tx.now, kind="severity", actor="Alertmanager", text=text)
        tickets.edited(desk, tx, row, "severity")
        if wakes and verdicts.pages(desk, severity, row.service):
            owing.page(tx, row, severity, since=entry.received_at)
        rooms.raised(desk, tx, row.number)
    show(desk, tx, row.number)
    return verdict


def _ended(desk: Desk, tx: Tx, number: int) -> str:
    """An alert of the incident has resolved; when none fires any more, the incident is over. Gives the verdict."""
    row = _lock(tx, number)  # before counting: another replica may be putting one more alert into it
    firing = journal.still_firing(tx.c, number)
    if firing:
        show(desk, tx, number)
        return verdicts.ended(number, firing, over=False)
    over = row is None or not table.is_open(row)
    if not over and row.source == "alert":
        if _more_to_come(desk, tx, row):
            raise Later
        move(desk, tx, row, Deed.RESOLVE, actor="Alertmanager", text="every alert has resolved")
    return verdicts.ended(number, firing, over=over)


def _more_to_come(desk: Desk, tx: Tx, row: Any) -> bool:
    """True when an alert of the incident has fired and waits to be decided, here or at another replica.

    To end now would open a second incident, and page a second time, for what has never stopped burning.
    """
    waiting = journal.waiting(tx.c, row.service, since=tx.now - UNDECIDED)
    return any(_where(desk, alert)[1] == row.key for alert in waiting)


def open_by_itself(
    desk: Desk,
    tx: Tx,
    *,
    key: str,
    uid: str,
    source: str,
    service: str,
    severity: Severity,
    title: str,
    about: Mapping[str, str],
    reason: str,
) -> int | None:
    """Open an incident that we noticed ourselves; its number, or None when ``key`` has one that is open.

    ``reason``: why that pages, as it is said when somebody asks.
    """
    number = _open(
        desk,
        tx,
        {
            "uid": uid, "key": key, "open_key": key, "service": service, "source": source, "opened_at": tx.now,
            "environment": desk.services[service].environment, "severity": severity.value, "title": title[:300],
            "opened_by": ITSELF, "about": json.dumps(dict(about), ensure_ascii=False),
        },
    )  # fmt: skip
    if number is not None:
        said = verdicts.opened_by_itself(desk, severity, service, reason)
        table.add_event(tx.c, incident=number, at=tx.now, kind="paging", actor=ITSELF, text=said)
    return number


def end_by_itself(desk: Desk, tx: Tx, row: Any, *, why: str) -> bool:
    """Resolve an incident that we opened ourselves; False when it is over already."""
    return move(desk, tx, _lock(tx, row.number), Deed.RESOLVE, actor=ITSELF, text=why)


def open_by_person(
    desk: Desk,
    asker: Asker,
    *,
    severity: Severity,
    service: str,
    title: str,
    now: float,
    test: bool = False,
    link: str = "",
    about: Mapping[str, str] | None = None,
) -> tuple[Any, bool]:
    """Open an incident for a person; (row, True when new). The same request asked twice opens one.

    ``test``: it wakes nobody and makes no ticket. ``link``: the message it is about. ``about``: makes it a private one,
    and says who may see it.
    """
    uid = rules.incident_uid("person", asker.key)
    with desk.engine.transaction(now) as tx:
        known = tx.c.execute(sa.select(INCIDENTS()).where(INCIDENTS().c.uid == uid)).first()
        if known is not None:
            return known, False
        key = f"{desk.services[service].environment}/{service}/{uid}"
        number = _open(
            desk,
            tx,
            {
                "uid": uid, "key": key, "open_key": key, "service": service, "source": "person", "opened_at": now,
                "environment": desk.services[service].environment, "severity": severity.value, "title": title[:300],
                "opened_by": asker.name, "test": test, "private": bool(about),
                "about": json.dumps({"summary": title, "message": link, **(about or {})}, ensure_ascii=False),
            },
            by=rooms.person(asker),
        )  # fmt: skip
        if number is not None:
            detail = {"severity": severity.value, "service": service, "title": title[:300], "test": test}
            record(tx, asker, "incident open", number, detail)
            said = verdicts.opened_by_hand(desk, severity, service, test=test)
            table.add_event(tx.c, incident=number, at=now, kind="paging", actor="Release Captain", text=said)
        row = tx.c.execute(sa.select(INCIDENTS()).where(INCIDENTS().c.uid == uid)).one()
    return row, True


def do(desk: Desk, asker: Asker, number: int, deed: Deed, *, now: float, anyway: bool = False) -> tuple[Any, bool]:
    """A person's deed on an incident; (row as it then is, True when it changed something). Raises Refused.

    What still fires is not resolved unless ``anyway``.
    """
    with desk.engine.transaction(now) as tx:
        row = _lock(tx, number)
        if row is None:
            raise Refused(f"There is no INC-{number}. `incident list --all` shows the latest ones.")
        applies = rules.after(Status(row.status), deed) is not None
        if applies and deed is Deed.RESOLVE and not anyway:
            _ask_first(tx.c, row)
        if applies and deed is Deed.REOPEN and not table.is_open(row):
            _no_other(tx.c, row)
        changed = move(desk, tx, row, deed, actor=asker.name, text=f"by {asker.name}")
        if changed:
            record(tx, asker, f"incident {deed.value}", number, {"from": row.status})
        return table.by_number(tx.c, number), changed


def _ask_first(c: Connection, row: Any) -> None:
    """Whoever resolves what still fires must mean it: it fires on, and nobody is paged for these alerts any more."""
    if findings.gone(c, row.number):
        return  # Alertmanager knows it no longer, and that is what was asked about
    names = [str(json.loads(alert.labels).get("alertname", "?")) for alert in journal.firing(c, [row.number])]
    if names:
        raise Refused(*words.still_fires(row.number, names))


def _no_other(c: Connection, row: Any) -> None:
    other = table.open_by_key(c, row.key)
    if other is not None:
        raise Refused(
            f"INC-{row.number} stays {row.status}: INC-{other.number} is open for the same. Go on there: "
            f"`incident show INC-{other.number}`."
        )


def move(
    desk: Desk,
    tx: Tx,
    row: Any,
    deed: Deed,
    *,
    actor: str,
    text: str,
    tell_pager: bool = True,
    tell_tracker: bool = True,
    since: float | None = None,
    reason: str = "",
) -> bool:
    """Make one move of the state machine and owe what follows from it; False when it does not apply.

    ``tell_pager`` is False when PagerDuty itself told us: what it knows is not sent back. ``tell_tracker`` is False when
    Jira did: the ticket is there already, and who moved it there knows it. ``since``: UNIX s from which
    the time to the page of a reopened incident counts; now without it. ``reason``: why that pages, or does not.
    """
    before, status = Status(row.status), rules.after(Status(row.status), deed)
    over = deed is Deed.REOPEN and not before.open
    if status is None or (over and not table.take_key(tx.c, row)):
        return False
    if before is Status.TRIGGERED and status is Status.MITIGATED:
        # Who mitigates has it, and PagerDuty need not call anybody else.
        move(
            desk, tx, row, Deed.ACKNOWLEDGE, actor=actor, text=text, tell_pager=tell_pager, tell_tracker=tell_tracker
        )  # fmt: skip
    t = INCIDENTS()
    values = {**table.changed(row, deed, actor=actor, now=tx.now), "status": status.value}
    tx.c.execute(t.update().where(t.c.number == row.number).values(**values))
    kind = "reopened" if deed is Deed.REOPEN else status.value
    table.add_event(tx.c, incident=row.number, at=tx.now, kind=kind, actor=actor, text=text)
    if deed in (Deed.ACKNOWLEDGE, Deed.RESOLVE):
        owing.taken(tx, row)
    if tell_pager and deed in (Deed.ACKNOWLEDGE, Deed.RESOLVE):
        owing.page_follow_up(tx, row, "page-ack" if deed is Deed.ACKNOWLEDGE else "page-resolve")
    note = words.moved(before, deed, actor, text)
    if tell_tracker:
        tickets.moved(desk, tx, row, status, note, back=over)
    if deed is Deed.RESOLVE:
        if tell_tracker:
            owing.ticket_follow_up(tx, row, "ticket-done")
        owing.postmortem(desk, tx, row)
        by_itself = actor in (ALERTMANAGER, ITSELF)
        findings.answer(tx, row, tuple(Kind), escape(note.removeprefix("✅ ")))
        note = escape(note) + ("" if by_itself else still(tx.c, row))
    elif over:
        note = f"{escape(note)} {_reopened(desk, tx, row, since=since or tx.now, reason=reason)}"
    else:
        note = escape(note)
    times = table.events_of(tx.c, row.number, kind)
    say(desk, tx, row, kind if times == 1 else f"{kind}:{times}", note)
    remind.arm(desk, tx, row, status)
    show(desk, tx, row.number)
    return True


def _reopened(desk: Desk, tx: Tx, row: Any, *, since: float, reason: str) -> str:
    """What follows when an incident that was over is open again; the sentence that says whom it wakes, mrkdwn."""
    severity = Severity(row.severity)
    if verdicts.pages(desk, severity, row.service) and not row.test:
        owing.page(tx, row, severity, since=since)
    if desk.outside.tracker is not None:
        owing.ticket_follow_up(tx, row, "ticket-reopen")
    if desk.services[row.service].runbook:
        tx.owe(
            Effect(table.another_key(tx.c, row, "checks"), "checks", "checks", row.number, urgency=severity.rank + 1)
        )
    said = verdicts.opened_by_itself(desk, severity, row.service, reason or f"it was reopened as {severity.value}")
    if row.test:
        said = verdicts.TEST
    table.add_event(tx.c, incident=row.number, at=tx.now, kind="paging", actor=ITSELF, text=said)
    return escape(f"It {said}.")


def still(c: Connection, row: Any) -> str:
    """What a person must know who resolves while it still burns; empty when it does not."""
    if row.source == "watchdog":
        return " ⚠ The watchdog was still silent when I last looked: if it stays so, I page again."
    firing = journal.still_firing(c, row.number)
    if not firing:
        return ""
    alerts = "1 alert still fires" if firing == 1 else f"{firing} alerts still fire"
    return f" ⚠ {alerts}: nobody is paged for them again until they have ended and start anew."


def say(desk: Desk, tx: Tx, row: Any, name: str, text: str, blocks: Sequence[Mapping[str, Any]] = ()) -> None:
    """Owe one message in the incident's thread; ``name`` is its own among the incident's."""
    args = {"text": text, "blocks": list(blocks)}
    key, after, bucket = (
        f"{row.uid}:note:{name}",
        f"{row.uid}:room" if row.private else f"{row.uid}:root",
        rooms.bucket(desk, row),
    )
    tx.owe(Effect(key, "note", "slack", row.number, args, urgency=4, after=after, bucket=bucket))


def show(desk: Desk, tx: Tx, number: int) -> None:
    """Owe one edit of the panel and one of the line in the digest; changes that come in the meantime ride along."""
    follow(desk, tx, number)
    _panel(desk, tx, number)


def _panel(desk: Desk, tx: Tx, number: int) -> None:
    t = INCIDENTS()
    if desk.outside.chat is None:
        return
    if not panels.mark(tx.c, t, t.c.number == number):
        return
    row = tx.c.execute(sa.select(t.c.uid, t.c.panel).where(t.c.number == number)).one()
    key, pause, after = f"{row.uid}:panel:{row.panel}", desk.policy.panel_pause, f"{row.uid}:root"
    tx.owe(Effect(key, "panel", "slack", number, urgency=6, after=after, delay=pause, bucket=EDITS))


def settled(desk: Desk, tx: Tx, done: Settled) -> None:
    """An effect was tried: the panel tells the truth about it."""
    if done.about is None or done.kind in ("panel", "reply", "digest", "digest-edit", remind.KIND):
        return
    if done.state is State.GAVE_UP:
        text = f"{done.kind} could not be done: {done.reason}"
        table.add_event(tx.c, incident=done.about, at=tx.now, kind="effect", actor="Release Captain", text=text)
    if done.kind in ("root", "ticket") and done.state is State.DONE:
        rooms.link(tx, table.by_number(tx.c, done.about))
    if done.kind not in ("root", "note", "asked", *rooms.FILLING) or done.state is not State.DONE:
        _panel(desk, tx, done.about)


def _open(desk: Desk, tx: Tx, values: dict[str, Any], *, by: str = "") -> int | None:
    """Write the incident and what is owed for it; its number, or None when it is open or was open already.

    ``by``: the Slack id of whoever opens it.

    The order is the urgency: page first, and nothing waits for anything but the thread for its root message.
    """
    row = {"test": False} | values | {"status": Status.TRIGGERED.value}
    defaults = {"acked_by": "", "resolved_by": "", "channel": "", "thread_ts": "", "ticket_key": "", "ticket_url": ""}
    defaults |= {"mitigated_by": "", "closed_by": ""}
    made = insert_once(tx.c, INCIDENTS(), row | defaults | {"checks": "", "panel": 0, "panel_owed": False})
    if made is None:
        return None
    uid, service, number = row["uid"], row["service"], int(made[0])
    severity, entry = Severity(row["severity"]), desk.services[service]
    table.add_event(tx.c, incident=number, at=tx.now, kind="opened", actor=row["opened_by"], text=row["title"])
    if verdicts.pages(desk, severity, service) and not row["test"]:
        args, bucket = {"since": row["opened_at"], "service": service}, events(service)
        tx.owe(Effect(f"{uid}:page", "page", "pagerduty", number, args, urgency=severity.rank, bucket=bucket))
    if desk.outside.chat is not None:
        bucket = posts(desk, service)
        tx.owe(Effect(f"{uid}:root", "root", "slack", number, urgency=severity.rank + 1, bucket=bucket))
        rooms.wanted(desk, tx, table.by_number(tx.c, number), by=by)
        if desk.policy.digest:
            follow(desk, tx, number)
    if desk.outside.tracker is not None and entry.jira and not row["test"]:
        tx.owe(Effect(f"{uid}:ticket", "ticket", "jira", number, urgency=severity.rank + 1))
    remind.begin(desk, tx, number, uid)
    if entry.runbook:
        tx.owe(Effect(f"{uid}:checks", "checks", "checks", number, urgency=severity.rank + 1))
    return number


def _lock_open(tx: Tx, key: str) -> Any:
    t = INCIDENTS()
    return tx.c.execute(sa.select(t).where(t.c.open_key == key).with_for_update()).first()


def _lock(tx: Tx, number: int) -> Any:
    return table.locked(tx.c, number)


def record(tx: Tx, asker: Asker, action: str, number: int, detail: Mapping[str, Any]) -> None:
    """Put what somebody did to an incident into the audit chain, in the transaction that does it."""
    actor = f"{asker.name} ({asker.id})"
    audit.append(tx.c, at=tx.now, actor=actor, door=asker.door, action=action, subject=f"INC-{number}", detail=detail)
