"""Changes what an incident is and who does what in it: each in one transaction, said in the thread with what did not move."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from bot.config import nearest
from bot.effects import EFFECTS, State, Tx
from bot.errors import Refused
from bot.grammar import Asker
from bot.integrations.slack.words import escape
from handlers.desk import Desk
from handlers.incidents import decide, owing, remind, table, verdicts, words
from handlers.incidents.rules import Severity, Status
from handlers.incidents.table import INCIDENTS
from handlers.rooms import owing as rooms
from handlers.storms import fold
from handlers.tickets import owed as tickets

ENVIRONMENT = re.compile(r"[\w.-]{1,60}")
MENTION = re.compile(r"<@([UW][A-Z0-9]{2,})(?:\|([^>]*))?>")
LONGEST_NAME = 80
LONGEST_TITLE = 300
"""Characters of a title that are kept, however it was given."""
NOBODY = "none"


def severity(desk: Desk, asker: Asker, number: int, new: Severity, *, now: float) -> str:
    """Raise or lower an incident's severity; what follows, as a sentence. Raising it to one that pages pages."""
    with desk.engine.transaction(now) as tx:
        return set_severity(desk, tx, asker, _row(tx, number), new)


def set_severity(desk: Desk, tx: Tx, asker: Asker, row: Any, new: Severity) -> str:
    """The same, of an incident whose row is locked and that is not closed."""
    old, number, now = Severity(row.severity), row.number, tx.now
    if old is new:
        return f"nothing changed: it is {new.value} already."
    values: dict[str, Any] = {"severity": new.value}
    if row.umbrella is not None and table.is_open(row) and new.rank < old.rank:
        return _raised(desk, tx, asker, row, new)
    wakes = table.is_open(row) and new.pages and not old.pages and not row.test and not _is_paged(tx, row)
    if wakes and verdicts.pages(desk, new, row.service):
        # Whoever took it took a ticket; a page is for the on-call, and somebody has to take it anew.
        values |= table.ANEW
        remind.arm(desk, tx, row, Status.TRIGGERED)
        owing.page(tx, row, new, since=now)
    what = f"severity {'raised' if new.rank < old.rank else 'lowered'} from {old.value} to {new.value}"
    if wakes:
        follows = verdicts.opened_by_itself(desk, new, row.service, f"it was raised to {new.value}")
        table.add_event(tx.c, incident=number, at=now, kind="paging", actor=decide.ITSELF, text=follows)
        follows = f"It {follows}."
    else:
        follows = _unpaged(row, new, paged=_is_paged(tx, row))
    return _done(desk, tx, asker, row, "severity", what, follows, values, {"from": old.value, "to": new.value})


def _raised(desk: Desk, tx: Tx, asker: Asker, row: Any, new: Severity) -> str:
    """What is folded into a storm has become worse: its on-call is called if nobody was in this storm."""
    t = INCIDENTS()
    tx.c.execute(t.update().where(t.c.number == row.number).values(severity=new.value))
    stays = fold.raised(desk, tx, table.by_number(tx.c, row.number), since=tx.now)
    said = verdicts.opened_by_itself(desk, new, row.service, f"it was raised to {new.value}")
    follows = f"It pages nobody by itself: {stays}." if stays else f"It is no longer folded, and {said}."
    table.add_event(tx.c, incident=row.number, at=tx.now, kind="paging", actor=decide.ITSELF, text=follows)
    now, what = table.by_number(tx.c, row.number), f"severity raised from {row.severity} to {new.value}"
    return _done(desk, tx, asker, now, "severity", what, escape(follows), {}, {"from": row.severity, "to": new.value})


def _unpaged(row: Any, new: Severity, *, paged: bool) -> str:
    """Why a change of severity wakes nobody."""
    if row.test:
        return "It is a test, so nobody is paged."
    if not table.is_open(row):
        return "It is over, so nobody is paged."
    if paged and not new.pages:
        return f"{new.value} pages nobody, but the page is out: it stays until somebody acknowledges or resolves it."
    return "The on-call has its page already; nobody is paged anew." if paged else "Nobody is paged for it."


def _is_paged(tx: Tx, row: Any) -> bool:
    """True when a page is out, or on its way."""
    last = table.newest_of(tx.c, row.number, "page", "page-resolve")
    return last is not None and last.kind == "page" and last.state != State.SKIPPED.value


def service(desk: Desk, asker: Asker, number: int, new: str, *, now: float) -> str:
    """Move an incident to another service: what is owed from now on is that one's. Raises Refused."""
    if new not in desk.services:
        raise Refused(f"I know no service '{new[:80]}'.{nearest(new, list(desk.services))}")
    with desk.engine.transaction(now) as tx:
        row = _row(tx, number)
        if row.service == new:
            return f"nothing changed: it is of {escape(new)} already."
        _pages_stay(tx, row)
        follows = [
            f"From now on pages, checks and tickets are {escape(new)}'s.",
            "The thread stays where it is, and so does what is out:",
            f"the page with the on-call of {escape(row.service)} (`incident page INC-{number}` calls {escape(new)}'s),",
            f"the ticket {escape(row.ticket_key)}," if row.ticket_key else "no ticket,",
            "and alerts that belonged to it still do.",
        ]
        what = f"service changed from {row.service} to {new}"
        values, detail = {"service": new}, {"from": row.service, "to": new}
        return _done(desk, tx, asker, row, "service", what, " ".join(follows), values, detail)


def _pages_stay(tx: Tx, row: Any) -> None:
    """Pages of a release before did not say to whom they went: they went to the service that it is moved from."""
    t = EFFECTS()
    for page in table.effects_about(tx.c, row.number):
        args = json.loads(page.args)
        if page.kind == "page" and "service" not in args:
            said = json.dumps(args | {"service": row.service}, ensure_ascii=False)
            tx.c.execute(t.update().where(t.c.key == page.key).values(args=said))


def environment(desk: Desk, asker: Asker, number: int, new: str, *, now: float) -> str:
    """Say that an incident is in another environment. Raises Refused."""
    if not ENVIRONMENT.fullmatch(new):
        raise Refused(
            "An environment is one word of at most 60 letters, digits, dots and dashes, such as prod or eu-west."
        )
    with desk.engine.transaction(now) as tx:
        row = _row(tx, number)
        if row.environment == new:
            return f"nothing changed: it is in {escape(new)} already."
        what = f"environment changed from {row.environment} to {new}"
        follows = f"Alerts of {escape(row.environment)} that belonged to it still do; page and ticket that are out keep the old name."
        detail = {"from": row.environment, "to": new}
        return _done(desk, tx, asker, row, "environment", what, follows, {"environment": new}, detail)


def title(desk: Desk, asker: Asker, number: int, new: str, *, now: float) -> str:
    """Give an incident another title. Raises Refused."""
    said = " ".join(new.split())[:LONGEST_TITLE]
    if not said:
        raise Refused('Say the new title: `incident title "p95 up in eu-west"`. Nothing was changed.')
    with desk.engine.transaction(now) as tx:
        row = _row(tx, number)
        if row.title == said:
            return "nothing changed: that is its title already."
        what = f"title changed from “{row.title}” to “{said}”"
        follows = "The panel and the ticket show it; a page that is out keeps the old one."
        return _done(desk, tx, asker, row, "title", what, follows, {"title": said}, {"from": row.title, "to": said})


def role(desk: Desk, asker: Asker, number: int, name: str, who: str, *, now: float) -> str:
    """Give a role to somebody, or with "none" take it back. Raises Refused on a role that captain.yml does not have."""
    roles, key = desk.policy.roles, name.lower()
    if key not in roles:
        raise Refused(f"I know no role '{escape(name[:40])}'.{nearest(key, list(roles))}")
    t = table.ROLES()
    with desk.engine.transaction(now) as tx:
        row = _row(tx, number)
        had = table.role_of(tx.c, number, key)
        mine = (t.c.incident == number) & (t.c.role == key)
        if who.lower() == NOBODY:
            if had is None:
                return f"nothing changed: nobody is {escape(key)}."
            tx.c.execute(t.delete().where(mine))
            what, follows = (
                f"{had.name} is no longer {key}",
                f"Nobody is: `incident role {key} @NAME` gives it to somebody.",
            )
            return _done(desk, tx, asker, row, "role", what, follows, {}, {"role": key, "from": had.name, "to": ""})
        person, shown = _person(asker, who)
        if had is not None and had.person == person:
            return f"nothing changed: {escape(shown)} is {escape(key)} already."
        values = {"person": person, "name": shown, "given_at": now, "given_by": asker.name}
        if had is None:
            tx.c.execute(t.insert(), {"incident": number, "role": key, **values})
        else:
            tx.c.execute(t.update().where(mine).values(**values))
        before = f", it was {had.name}" if had is not None else ""
        detail = {"role": key, "from": had.name if had is not None else "", "to": shown}
        follows = f"{words.person(person, shown)}: {escape(roles[key])}"
        rooms.invite(tx, row, [person])
        return _done(desk, tx, asker, row, "role", f"{shown} is {key} now{before}", follows, {}, detail)


def _person(asker: Asker, who: str) -> tuple[str, str]:
    """(id or name, name as it is shown) of whoever is meant: a mention, a name, or "me"."""
    mention = MENTION.fullmatch(who)
    if mention:
        return mention.group(1), mention.group(2) or mention.group(1)
    if who.lower() == "me":
        return asker.id, asker.name
    name = " ".join(who.lstrip("@").split())[:LONGEST_NAME]
    if not name:
        raise Refused(f"Say who: `@NAME`, `me`, or `{NOBODY}` to take the role back.")
    return name, name


def _row(tx: Tx, number: int) -> Any:
    """The incident's row, locked. Raises Refused when it is closed: what is written of it then stays as it is."""
    row = table.locked(tx.c, number)
    if row.status == Status.CLOSED.value:
        raise Refused(
            f"INC-{number} is closed, so nothing of it is changed. `incident reopen INC-{number}` comes first."
        )
    return row


def _done(
    desk: Desk,
    tx: Tx,
    asker: Asker,
    row: Any,
    kind: str,
    what: str,
    follows: str,
    values: Mapping[str, Any],
    detail: Mapping[str, Any],
) -> str:
    """Write a change down, everywhere it is read; what the asker is told. ``what`` is plain, ``follows`` mrkdwn."""
    t = INCIDENTS()
    if values:
        tx.c.execute(t.update().where(t.c.number == row.number).values(**values))
    if kind == "severity":
        rooms.raised(desk, tx, row.number)
    elif "title" in values or "service" in values:
        rooms.retitle(tx, row)
    table.add_event(tx.c, incident=row.number, at=tx.now, kind=kind, actor=asker.name, text=what)
    decide.record(tx, asker, f"incident {kind}", row.number, detail)
    said = f"{escape(what)}. {follows}"
    text = f"{escape(what[0].upper() + what[1:])} by {escape(asker.name)}. {follows}"
    if kind == "role":
        text = f"{escape(what)}, says {escape(asker.name)}. {follows}"
    if kind in ("severity", "title", "service"):
        tickets.edited(desk, tx, row, kind)
    decide.say(desk, tx, row, f"{kind}:{table.events_of(tx.c, row.number, kind)}", text)
    decide.show(desk, tx, row.number)
    return said
