"""Turns alerts and deeds into rows and owed effects, each in one transaction: this is the policy, in order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot import audit
from bot.effects import Effect, Settled, State, Tx, insert_once
from bot.errors import Refused
from bot.grammar import Asker
from bot.integrations.slack.words import escape
from handlers import panels
from handlers.alerts import journal
from handlers.alerts.payload import SENDERS
from handlers.buckets import EDITS, events, posts
from handlers.desk import Desk
from handlers.digest.follow import follow
from handlers.incidents import findings, owing, remind, rules, table, verdicts, words
from handlers.incidents.compare import Kind
from handlers.incidents.rules import Deed, Severity, Status
from handlers.incidents.table import INCIDENTS
from handlers.noise import owed
from handlers.noise import table as noise
from handlers.rooms import owing as rooms
from handlers.slo import owed as burns
from handlers.storms import table as storms
from handlers.storms import words as storm_words
from handlers.tickets import owed as tickets

ITSELF = "Release Captain"
"""Who opened or ended an incident where neither a person nor an alert did."""


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
    number = open_(
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
        number = open_(
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
            row = _back(desk, tx, row)
        changed = move(desk, tx, row, deed, actor=asker.name, text=f"by {asker.name}")
        if changed:
            record(tx, asker, f"incident {deed.value}", number, {"from": row.status})
        return table.by_number(tx.c, number), changed


def _ask_first(c: Connection, row: Any) -> None:
    """Whoever resolves what still fires must mean it: it fires on, and nobody is paged for these alerts any more."""
    if findings.gone(c, row.number):
        return  # Alertmanager knows it no longer, and that is what was asked about
    carried = storms.carried(c, row)
    if carried:
        raise Refused(*storm_words.carries(row, carried))
    names = [str(json.loads(alert.labels).get("alertname", "?")) for alert in journal.firing(c, [row.number])]
    if names:
        raise Refused(*words.still_fires(row.number, names))


def _back(desk: Desk, tx: Tx, row: Any) -> Any:
    """What a person may reopen, as it then is: what was folded into a storm comes back with a thread of its own."""
    other = table.open_by_key(tx.c, row.key)
    if other is not None:
        raise Refused(
            f"INC-{row.number} stays {row.status}: INC-{other.number} is open for the same. Go on there: "
            f"`incident show INC-{other.number}`."
        )
    if row.source == storms.SOURCE:
        raise Refused(storm_words.stays_over(row.number))
    return row if row.umbrella is None else unfold(desk, tx, row)


def unfold(desk: Desk, tx: Tx, row: Any) -> Any:
    """Take an incident out of its storm: its thread, its ticket and its channel are owed; the row as it then is."""
    t = INCIDENTS()
    tx.c.execute(t.update().where(t.c.number == row.number).values(umbrella=None))
    now = table.by_number(tx.c, row.number)
    _place(desk, tx, now._mapping)  # noqa: SLF001 - the public name of a row's columns
    burns.wanted(desk, tx, now)
    return now


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
        owed.release(tx, noise.behind(tx.c, row.number))
        owing.members(tx, row, by=actor)
        by_itself = actor in (*SENDERS.values(), ITSELF)
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
    if row.umbrella is not None:
        said = storm_words.folded(row.umbrella)
        table.add_event(tx.c, incident=row.number, at=tx.now, kind="paging", actor=ITSELF, text=said)
        return escape(f"It {said}.")
    if verdicts.pages(desk, severity, row.service) and not row.test:
        owing.page(tx, row, severity, since=since)
    if desk.outside.tracker is not None:
        owing.ticket_follow_up(tx, row, "ticket-reopen")
    owing.checks(desk, tx, row)
    burns.wanted(desk, tx, row)
    said = verdicts.opened_by_itself(desk, severity, row.service, reason or f"it was reopened as {severity.value}")
    if row.test:
        said = verdicts.TEST
    table.add_event(tx.c, incident=row.number, at=tx.now, kind="paging", actor=ITSELF, text=said)
    return escape(f"It {said}.")


def still(c: Connection, row: Any) -> str:
    """What a person must know who resolves while it still burns; empty when it does not."""
    if row.source == "watchdog":
        return " ⚠ The watchdog was still silent when I last looked: if it stays so, I page again."
    carried = storms.carried(c, row)
    if carried:
        return storm_words.lose_their_page(row, carried)
    firing = journal.still_firing(c, row.number)
    if not firing:
        return ""
    alerts = "1 alert still fires" if firing == 1 else f"{firing} alerts still fire"
    return f" ⚠ {alerts}: nobody is paged for them again until they have ended and start anew."


def say(
    desk: Desk, tx: Tx, row: Any, name: str, text: str, blocks: Sequence[Mapping[str, Any]] = (), *, once: bool = False
) -> None:
    """Owe one message in the incident's thread; ``name`` is its own among the incident's. What is folded has none.

    ``once``: by its name it is known whether this was asked for before, also where there is no thread.
    """
    nowhere = row.umbrella is not None and not row.thread_ts and not row.room
    if nowhere and not once:
        return
    args = {"text": text, "blocks": list(blocks)}
    key, after, bucket = (
        f"{row.uid}:note:{name}",
        f"{row.uid}:room" if row.private else f"{row.uid}:root",
        rooms.bucket(desk, row),
    )
    tx.owe(Effect(key, "note", "slack", row.number, args, urgency=4, after=after, bucket=bucket))
    if nowhere:
        tx.cancel(key, "its thread is the storm's")


def show(desk: Desk, tx: Tx, number: int) -> None:
    """Owe one edit of the panel and one of the line in the digest; changes that come in the meantime ride along.

    What is folded into a storm is shown in the storm's table.
    """
    row = table.by_number(tx.c, number)
    if row is None:
        return
    if row.umbrella is not None:
        show(desk, tx, row.umbrella)
    if row.umbrella is None or row.thread_ts or row.room:
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


def open_(desk: Desk, tx: Tx, values: dict[str, Any], *, by: str = "") -> int | None:
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
    severity = Severity(row["severity"])
    table.add_event(tx.c, incident=number, at=tx.now, kind="opened", actor=row["opened_by"], text=row["title"])
    if row.get("umbrella") is not None:
        show(desk, tx, number)
        return number
    if verdicts.pages(desk, severity, service) and not row["test"]:
        args, bucket = {"since": row["opened_at"], "service": service}, events(service)
        tx.owe(Effect(f"{uid}:page", "page", "pagerduty", number, args, urgency=severity.rank, bucket=bucket))
    _place(desk, tx, row | {"number": number}, by=by)
    remind.begin(desk, tx, number, uid)
    now = table.by_number(tx.c, number)
    owing.checks(desk, tx, now)
    burns.wanted(desk, tx, now)
    return number


def _place(desk: Desk, tx: Tx, row: Mapping[str, Any], *, by: str = "") -> None:
    """Owe an incident its thread, its channel, its line in the digest and its ticket."""
    uid, service, number, rank = row["uid"], row["service"], int(row["number"]), Severity(row["severity"]).rank
    if desk.outside.chat is not None:
        tx.owe(Effect(f"{uid}:root", "root", "slack", number, urgency=rank + 1, bucket=posts(desk, service)))
        rooms.wanted(desk, tx, table.by_number(tx.c, number), by=by)
        if desk.policy.digest:
            follow(desk, tx, number)
    if desk.outside.tracker is not None and desk.services[service].jira and not row["test"]:
        tx.owe(Effect(f"{uid}:ticket", "ticket", "jira", number, urgency=rank + 1))


def _lock(tx: Tx, number: int) -> Any:
    return table.locked(tx.c, number)


def record(tx: Tx, asker: Asker, action: str, number: int, detail: Mapping[str, Any]) -> None:
    """Put what somebody did to an incident into the audit chain, in the transaction that does it."""
    actor = f"{asker.name} ({asker.id})"
    audit.append(tx.c, at=tx.now, actor=actor, door=asker.door, action=action, subject=f"INC-{number}", detail=detail)
