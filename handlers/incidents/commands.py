"""The verbs of ``incident``: typed functions whose signatures are the grammar and whose first lines are the help."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from bot.config import nearest
from bot.errors import Refused
from bot.grammar import Asker, Duration, Reply, Verb
from bot.integrations.slack.words import escape
from handlers.desk import Desk
from handlers.incidents import (
    again,
    change,
    decide,
    findings,
    owing,
    pager,
    postmortem,
    private,
    reconcile,
    stuck,
    table,
    words,
)
from handlers.incidents import update as updates
from handlers.incidents.learned import stats_
from handlers.incidents.rules import Deed, Severity, Status
from handlers.noise import panel as noise
from handlers.storms import shown as storms

PAST: Mapping[Deed, str] = {
    Deed.ACKNOWLEDGE: "acknowledged",
    Deed.MITIGATE: "mitigated",
    Deed.RESOLVE: "resolved",
    Deed.CLOSE: "closed",
    Deed.REOPEN: "reopened",
}
OVER: Mapping[Deed, Sequence[Status]] = {
    Deed.CLOSE: (Status.RESOLVED,),
    Deed.REOPEN: (Status.RESOLVED, Status.CLOSED),
}
"""What a deed is done to when no incident is named, where that is not an open one."""
REF = re.compile(r"(?:inc-?|#)?(\d{1,9})", re.IGNORECASE)


def list_(desk: Desk, asker: Asker, *, all_: bool = False) -> Reply:
    """Show the open incidents, or the latest 20 with --all."""
    with desk.store.read() as c:
        found = table.latest_incidents(c) if all_ else table.open_incidents(c, folded=True)
        rows = [private.shown(desk, c, row, asker) for row in found]
        total = 0 if all_ else table.count_open(c)
    text, blocks = words.listing(rows, everything=all_, total=total)
    return Reply(text, blocks, data=[_plain(row) for row in rows])


def show(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """Show one incident: panel, effects and timeline."""
    with desk.store.read() as c:
        row = _find(desk, c, asker, incident)
        effects, events = table.effects_about(c, row.number), table.latest_events(c, row.number, limit=200)
        asked, roles = findings.questions(c, row.number), table.roles(c, row.number)
        listed, storm = storms.detail(c, row)
        more = [*storms.blocks(c, row), *noise.blocks(c, row)]
    text, blocks = words.detail(row, effects, events, asked, roles, more, listed)
    owed = [{"key": e.key, "kind": e.kind, "state": e.state, "attempt": e.attempt, "reason": e.reason} for e in effects]
    told = [{"at": e.at, "kind": e.kind, "actor": e.actor, "text": e.text} for e in events]
    questions = [{"kind": one.kind, "text": findings.plain(one.text), "asked_at": one.asked_at} for one in asked]
    has = [{"role": r.role, "person": r.person, "name": r.name, "given_at": r.given_at} for r in roles]
    data = _plain(row) | {"effects": owed, "timeline": told, "asked": questions, "roles": has}
    return Reply(text, blocks, data=data | dict(storm))


def ack(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """Acknowledge: you have it; PagerDuty stops escalating."""
    return _do(desk, asker, incident, Deed.ACKNOWLEDGE)


def mitigate(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """Mitigate: nobody is hurt any more, and its cause is still there."""
    return _do(desk, asker, incident, Deed.MITIGATE)


def resolve(desk: Desk, asker: Asker, incident: str = "", *, anyway: bool = False) -> Reply:
    """Resolve: the page is resolved, the ticket is done; what still fires wants --anyway."""
    return _do(desk, asker, incident, Deed.RESOLVE, anyway=anyway)


def close(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """Close a resolved incident: what was to be done afterwards is done."""
    return _do(desk, asker, incident, Deed.CLOSE)


def reopen(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """Reopen what is over: the on-call is paged again, the ticket reopened, in the same thread."""
    return _do(desk, asker, incident, Deed.REOPEN)


def severity(desk: Desk, asker: Asker, severity: Severity, incident: str = "") -> Reply:
    """Raise or lower the severity: raised from sev3 it pages, lowered it calls nobody back."""
    number = _number(desk, asker, incident)
    return _after(desk, number, change.severity(desk, asker, number, severity, now=time.time()))


def service(desk: Desk, asker: Asker, name: str, incident: str = "") -> Reply:
    """Move an incident to another service: what is owed from now on is that one's."""
    number = _number(desk, asker, incident)
    return _after(desk, number, change.service(desk, asker, number, name, now=time.time()))


def environment(desk: Desk, asker: Asker, name: str, incident: str = "") -> Reply:
    """Say that an incident is in another environment."""
    number = _number(desk, asker, incident)
    return _after(desk, number, change.environment(desk, asker, number, name, now=time.time()))


def title(desk: Desk, asker: Asker, *title: str, of: Annotated[str, "INCIDENT"] = "") -> Reply:
    """Give an incident another title."""
    number = _number(desk, asker, of)
    return _after(desk, number, change.title(desk, asker, number, " ".join(title), now=time.time()))


def update(desk: Desk, asker: Asker, *text: str, of: Annotated[str, "INCIDENT"] = "", next_: Duration = "") -> Reply:
    """Tell how it stands: thread, ticket and digest; --next 30m promises when they hear more. In Slack, alone: a form."""
    said, promised = " ".join(text), updates.promised(next_)
    if REF.fullmatch(said):
        raise Refused(f'Say how it stands: `incident update "latency falls" --of {said}`. Nobody was told anything.')
    number = _number(desk, asker, of)
    return _after(desk, number, updates.update(desk, asker, number, said, promised=promised, now=time.time()))


def role(desk: Desk, asker: Asker, role: str, person: str, incident: str = "") -> Reply:
    """Give somebody a role, such as lead: @NAME, me, or none to take it back."""
    number = _number(desk, asker, incident)
    return _after(desk, number, change.role(desk, asker, number, role, person, now=time.time()))


def _number(desk: Desk, asker: Asker, incident: str) -> int:
    with desk.store.read() as c:
        return int(_find(desk, c, asker, incident).number)


def repair(desk: Desk, asker: Asker, incident: str = "", *, all_: bool = False) -> Reply:
    """Try again what is stuck: of an incident, or --all; without either, list what is stuck and why."""
    if all_:
        if incident:
            raise Refused("Name an incident or say --all, not both.")
        found: Sequence[stuck.Stuck] = stuck.repair_all(desk, asker, now=time.time())
        with desk.store.read() as c:
            found = private.hushed(desk, c, found, asker)
        said = "".join(f"\n{stuck.line(one, now=time.time())}" for one in found)
        return Reply(f"Trying again: {len(found)}.{said}" if found else "Nothing is stuck; there is nothing to repair.")
    with desk.store.read() as c:
        row = _find(desk, c, asker, incident) if incident else _clear(desk, c, asker)
        clear = row is not None and (bool(incident) or bool(stuck.of_incident(c, row.number)))
    if not clear:
        now = time.time()
        with desk.store.read() as c:
            found = private.hushed(desk, c, stuck.stuck(c, now=now), asker)
        text, blocks = stuck.listing(found, now=now)
        return Reply(text, blocks, data=[asdict(one) for one in found])
    revived, hastened = stuck.repair_incident(desk, asker, row.number, now=time.time())
    if not revived and not hastened:
        why = "Nothing was given up for INC-{}, and nothing waits for its next try; there is nothing to repair."
        return Reply(why.format(row.number), data=_plain(row))
    lines = [f"Trying again for INC-{row.number}: {', '.join(revived)}."] if revived else []
    lines += (
        [f"Not waiting for the next try any longer for INC-{row.number}: {', '.join(hastened)}."] if hastened else []
    )
    return Reply("\n".join(lines), data=_plain(row))


def page(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """Page the on-call again: when PagerDuty lost the page, or it was resolved there and still burns."""
    with desk.store.read() as c:
        number = _find(desk, c, asker, incident).number
    return _after(desk, number, again.page(desk, asker, number, now=time.time()))


def escalate(desk: Desk, asker: Asker, incident: str = "", *, level: int = 0) -> Reply:
    """Escalate the page to the next level of PagerDuty's policy, or to --level: they are called, and have to take it."""
    with desk.store.read() as c:
        number = _find(desk, c, asker, incident).number
    return _after(desk, number, pager.escalate(desk, asker, number, level=level, now=time.time()))


def add_responder(desk: Desk, asker: Asker, person: str, incident: str = "") -> Reply:
    """Ask one more person to join, by @name or e-mail address: PagerDuty calls them."""
    with desk.store.read() as c:
        number = _find(desk, c, asker, incident).number
    return _after(desk, number, pager.add_responder(desk, asker, number, person, now=time.time()))


def ticket(desk: Desk, asker: Asker, incident: str = "", *, reopen: bool = False) -> Reply:
    """Make a new ticket when Jira no longer knows the old one; with --reopen, open it again."""
    with desk.store.read() as c:
        number = _find(desk, c, asker, incident).number
    return _after(desk, number, again.ticket(desk, asker, number, reopen=reopen, now=time.time()))


def keep(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """Leave an incident as it is when I have asked about it: I do not ask again while that lasts."""
    with desk.store.read() as c:
        number = _find(desk, c, asker, incident).number
    kinds = again.keep(desk, asker, number, now=time.time())
    if not kinds:
        return _after(desk, number, "nothing changed: I have no open question about it.")
    return _after(desk, number, f"it stays as it is, and I do not ask again ({', '.join(kinds)}).")


def reconcile_(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """Compare with Alertmanager, PagerDuty and Jira now, instead of within three minutes."""
    only = None
    if incident:
        with desk.store.read() as c:
            only = _find(desk, c, asker, incident).number
    told = reconcile.by_hand(desk, asker, only=only)
    with desk.store.read() as c:
        told = told.each(lambda said: private.lines(desk, c, said, asker))
    return Reply(escape(told.text()), data=told.plain())


def postmortem_(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """Show the draft of a post-mortem as it is now; in Slack as a file in the incident's thread."""
    with desk.store.read() as c:
        row = _find(desk, c, asker, incident, (Status.RESOLVED, Status.CLOSED))
        text = postmortem.draft(postmortem.facts(c, row))
    if asker.door != "slack" or desk.outside.chat is None or row.umbrella is not None:
        return Reply(escape(text), data={"incident": row.number, "markdown": text})
    with desk.engine.transaction(time.time()) as tx:
        owing.postmortem(desk, tx, table.locked(tx.c, row.number), asked=asker.key)
    return Reply(f"The post-mortem draft of INC-{row.number} follows in its thread.", data={"incident": row.number})


def _after(desk: Desk, number: int, said: str) -> Reply:
    with desk.store.read() as c:
        return Reply(f"INC-{number}: {said}", data=_plain(table.by_number(c, number)))


def open_(
    desk: Desk,
    asker: Asker,
    severity: Severity,
    service: str,
    *title: str,
    test: bool = False,
    private: bool = False,
) -> Reply:
    """Open an incident by hand: sev1 and sev2 page, sev3 makes a ticket; --test wakes nobody, --private hides it. In Slack, alone: a form."""
    said = " ".join(" ".join(title).split())
    if service not in desk.services:
        raise Refused(f"I know no service '{service[:80]}'.{nearest(service, list(desk.services))}")
    if not said:
        raise Refused(
            f'Say in a few words what is wrong: `incident open {severity.value} {service} "p95 up"`. Nothing was opened.'
        )
    return opened(desk, asker, severity, service, said, test=test, hidden=private)


def opened(
    desk: Desk,
    asker: Asker,
    severity: Severity,
    service: str,
    title: str,
    *,
    test: bool = False,
    link: str = "",
    hidden: bool = False,
) -> Reply:
    """Open an incident for a person, and say what follows. ``link``: the message it is about. ``hidden``: it is private."""
    about = private.detail(asker) if hidden else {}
    if hidden and desk.outside.chat is None:
        raise Refused(
            "A private incident lives in a private channel of its own, and the slack: section is missing. Nothing was opened."
        )
    row, new = decide.open_by_person(
        desk, asker, severity=severity, service=service, title=title, now=time.time(), test=test, link=link, about=about
    )
    if not new:
        with desk.store.read() as c:
            row = private.shown(desk, c, row, asker)  # others may have said the same key
        return Reply(f"INC-{row.number} is open already for this very request.", data=_plain(row))
    entry = desk.services[service]
    wakes = severity.pages and desk.outside.pager and entry.pagerduty and not test
    follows = [
        "is a test, pages nobody and makes no ticket" if test else "pages the on-call" if wakes else "pages nobody",
        f"its thread is in {_channel(entry.channel)}" if desk.outside.chat else "no thread (Slack is not configured)",
    ]
    if hidden:
        follows.pop()
    elif desk.outside.tracker and entry.jira and not test:
        follows.append(f"its ticket is in {entry.jira}")
    text = f"Opened *INC-{row.number}* ({severity.value}, {service}): {escape(row.title)}\nIt {', '.join(follows)}."
    if hidden:
        text += " It is private: only its own channel, to which you are invited, says what it is about."
    return Reply(text, data=_plain(row))


def _do(desk: Desk, asker: Asker, incident: str, deed: Deed, *, anyway: bool = False) -> Reply:
    with desk.store.read() as c:
        number = _find(desk, c, asker, incident, OVER.get(deed, ())).number
    row, changed = decide.do(desk, asker, number, deed, now=time.time(), anyway=anyway)
    if changed:
        burns = _still(desk, row) if deed is Deed.RESOLVE else ""
        if deed is Deed.ACKNOWLEDGE and row.umbrella is not None:
            burns = f"\nIts page is the storm's: `incident ack INC-{row.umbrella}` ends the calling."
        return Reply(f"You {PAST[deed]} INC-{number}: {escape(row.title)}{burns}", data=_plain(row))
    return Reply(words.nothing(row, deed, now=time.time()), data=_plain(row))


def _still(desk: Desk, row: Any) -> str:
    with desk.store.read() as c:
        said = decide.still(c, row)
    return f"\n{said.strip()}" if said else ""


def _find(desk: Desk, c: Any, asker: Asker, ref: str, among: Sequence[Status] = ()) -> Any:
    """The incident meant: by number, or the one open incident of this channel, or the only open one.

    ``among``: the statuses that are meant when none is named, where it is not an open one.
    """
    if ref:
        match = REF.fullmatch(ref.strip("*`"))
        row = table.by_number(c, int(match.group(1))) if match else None
        if row is None:
            raise Refused(f"There is no incident '{ref[:40]}'. `incident list --all` shows the latest ones.")
        private.check(desk, c, row, asker)
        return row
    row = _clear(desk, c, asker, among)
    if row is not None:
        return row
    found, here = _candidates(desk, c, asker, among)
    what = " or ".join(status.value for status in among) or "open"
    if not found:
        raise Refused(f"No incident is {what}, so there is none to act on.")
    numbers = ", ".join(f"INC-{row.number}" for row in found[:10])
    raise Refused(
        f"Which one? {what.capitalize()} {'here ' if here else ''}are {numbers}. Name it, for example INC-{found[0].number}."
    )


def meant(desk: Desk, c: Any, asker: Asker, ref: str, among: Sequence[Status] = ()) -> Any:
    """The incident that a verb of another file is about, as here. Raises Refused."""
    return _find(desk, c, asker, ref, among)


def _clear(desk: Desk, c: Any, asker: Asker, among: Sequence[Status] = ()) -> Any:
    """The one incident that can be meant when none is named; None when there is none or several."""
    found, _ = _candidates(desk, c, asker, among)
    return found[0] if len(found) == 1 else None


def _candidates(desk: Desk, c: Any, asker: Asker, among: Sequence[Status] = ()) -> tuple[Sequence[Any], bool]:
    """The incident whose own channel this is; else the open ones of this channel, or all that are open; True for those of the channel. ``among``: see _find."""
    mine = table.by_room(c, asker.channel)
    if mine is not None and private.sees(desk, c, mine, asker):
        return [mine], True
    found = table.latest_incidents(c, among=among) if among else table.open_incidents(c)
    rows = [row for row in found if private.sees(desk, c, row, asker)]
    here = [row for row in rows if asker.channel and asker.channel in (row.channel, row.room)]
    return here or rows, bool(here)


def meant_by_form(desk: Desk, c: Any, asker: Asker, ref: str) -> Any:
    """The incident a form is to be about: the one named, or the one that can be meant; None when several can. Raises Refused."""
    if ref:
        return _find(desk, c, asker, ref)
    found, _ = _candidates(desk, c, asker)
    return found[0] if len(found) == 1 else None if found else _find(desk, c, asker, "")


def _channel(channel: str) -> str:
    return channel if channel.startswith("#") else f"<#{channel}>"


def _plain(row: Any) -> dict[str, Any]:
    """The incident as plain JSON."""
    kept = (
        "number", "uid", "service", "environment", "severity", "title", "status", "source", "opened_at", "opened_by",
        "paged_at", "acked_at", "acked_by", "mitigated_at", "mitigated_by", "resolved_at", "resolved_by", "closed_at",
        "closed_by", "reopened_at", "channel", "thread_ts", "ticket_key",
        "ticket_url", "checks", "test", "private", "room", "umbrella", "update_text", "update_at", "update_by", "next_update_at",
    )  # fmt: skip
    return {name: getattr(row, name) for name in kept}


VERBS: Mapping[str, Verb] = {
    "list": list_,
    "show": show,
    "ack": ack,
    "mitigate": mitigate,
    "resolve": resolve,
    "close": close,
    "reopen": reopen,
    "open": open_,
    "severity": severity,
    "service": service,
    "environment": environment,
    "title": title,
    "update": update,
    "role": role,
    "repair": repair,
    "page": page,
    "escalate": escalate,
    "add-responder": add_responder,
    "ticket": ticket,
    "keep": keep,
    "reconcile": reconcile_,
    "stats": stats_,
    "postmortem": postmortem_,
}
