"""The verbs of ``action``: typed functions whose signatures are the grammar and whose first lines are the help."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot.config import nearest
from bot.errors import GiveUp, Refused, Retry
from bot.grammar import Asker, Reply, Verb
from handlers.access import SHARED, Role
from handlers.actions import decide, moves, rules, table, ways, words
from handlers.actions.kinds import Action
from handlers.actions.plan import Plan, parameters, plan
from handlers.actions.rules import OVER, Person, Status
from handlers.desk import Desk
from handlers.incidents import commands as incident_commands
from handlers.incidents import table as incidents
from handlers.incidents.words import duration

REF = re.compile(r"(?:act-|#)?(\d{1,9})", re.IGNORECASE)
GIVEN = re.compile(r"([a-z][a-z0-9_]*)=(.*)", re.DOTALL)
LAST = 5
"""Requests of an action that are shown."""


def list_(desk: Desk, _asker: Asker) -> Reply:
    """Show the actions under way, who waits for whom, what is overdue, and what could be done."""
    now = time.time()
    with desk.store.read() as c:
        rows = [(row, table.trouble(c, row)) for row in table.not_over(c)]
        busy = {row.name for row, _ in rows}
        idle = [
            (name, one, next(iter(table.latest(c, name)), None))
            for name, one in sorted(desk.actions.items())
            if name not in busy
        ]
    text, blocks = words.listing(rows, idle, now=now)
    return Reply(text, blocks, data=[_plain(row) for row, _ in rows])


def show(desk: Desk, _asker: Asker, name: str) -> Reply:
    """Show what an action does, how it is undone and who agrees; or one request, such as ACT-7."""
    now = time.time()
    if REF.fullmatch(name) and name.lower() not in desk.actions:
        row = _find(desk, name)
        with desk.store.read() as c:
            trouble = table.trouble(c, row)
        return Reply(words.detail(row, trouble, now=now), data=_plain(row))
    name, action = _action(desk, name)
    with desk.store.read() as c:
        rows = table.latest(c, name, LAST)
    needed = action.needs_approval(moves.environment_of(desk, action))
    text = words.described(name, action, rows, approval=needed, now=now)
    return Reply(
        text, data=action.model_dump(mode="json", exclude_defaults=True) | {"requests": [_plain(row) for row in rows]}
    )


def run(desk: Desk, asker: Asker, name: str, *reason: str, dry_run: bool = False, incident: str = "") -> Reply:
    """Do a named action, with key=value before the reason; --dry-run says exactly what would change, and changes nothing."""
    name, action = _action(desk, name)
    given, said = _split(reason)
    now = time.time()
    values = parameters(name, action, given)
    made = plan(name, action, values, moves.environment_of(desk, action), at=now)
    if dry_run:
        return _dry(desk, asker, name, action, made)
    if not said:
        raise Refused(f'Say why: `action run {name} … "the reason"`. Nothing was changed.')
    if made.ttl is not None and made.ttl <= moves.least(desk, made):
        shortest = duration(moves.least(desk, made) + 1)
        raise Refused(
            f"actions.{name}.ttl must be {shortest} at least: doing it may take that long. Nothing was changed."
        )
    needed = action.needs_approval(moves.environment_of(desk, action))
    person = _person(desk, asker, "needs a second person, so it must be known who asks") if needed else Person(asker.id)
    with desk.store.read() as c:
        burns = incident_commands.meant(desk, c, asker, incident) if incident else incidents.by_room(c, asker.channel)
    row, new = decide.ask(desk, asker, person, made, values, reason=said, incident=burns, now=now)
    if not new:
        return Reply(f"{words.line(row, now=now)}\nThis very request was taken before.", data=_plain(row))
    return Reply(words.asked(desk, row), data=_plain(row))


def approve(desk: Desk, asker: Asker, ref: str, *, seal: str = "") -> Reply:
    """Agree to a request of somebody else's, to exactly what it shows; only who the action names may."""
    row = _find(desk, ref)
    _second(desk, asker, row, "approve")
    if seal and seal != row.seal:
        raise Refused(
            f"That is not what ACT-{row.id} would do: its seal is {row.seal}. Look at `action show ACT-{row.id}`."
        )
    now = time.time()
    row = decide.approve(desk, asker, row.uid, now=now)
    return Reply(words.line(row, now=now), data=_plain(row))


def refuse(desk: Desk, asker: Asker, ref: str, *reason: str) -> Reply:
    """Say no to a request that waits for a second person; nothing is changed."""
    row = _find(desk, ref)
    if row.status == Status.WAITING.value and not _asked_it(desk, asker, row):
        _second(desk, asker, row, "refuse")
    now = time.time()
    row = decide.decline(desk, asker, row.uid, reason=" ".join(" ".join(reason).split())[:300], now=now)
    return Reply(words.line(row, now=now), data=_plain(row))


def undo(desk: Desk, asker: Asker, ref: str, *, by_hand: bool = False) -> Reply:
    """Undo a request now, before its time, or withdraw it; --by-hand says that you have undone it yourself."""
    row, now = _find(desk, ref), time.time()
    made = table.plan_of(row)
    if made.none and Status(row.status) not in rules.BEFORE:
        raise Refused(f"{words.line(row, now=now)}\nIt has no undo: {made.none}")
    if row.status == Status.WAITING.value and not by_hand and not _asked_it(desk, asker, row):
        raise Refused(
            f"ACT-{row.id} is {row.asked_by}'s, and nothing has been done. `action refuse ACT-{row.id}` says no to it."
        )
    row, done = decide.undo(desk, asker, row.uid, by_hand=by_hand, now=now)
    if not done:
        return Reply(f"Nothing was changed: {words.line(row, now=now)}", data=_plain(row))
    return Reply(words.line(row, now=now), data=_plain(row))


# ---- inside ------------------------------------------------------------------------------------------------------------


def _dry(desk: Desk, asker: Asker, name: str, action: Action, made: Plan) -> Reply:
    look = ways.Look()
    try:
        look = ways.look(desk, made, "dry-run", asker.name)
    except (Retry, GiveUp) as e:
        look = replace(look, why=e.reason.rstrip("."))
    needed = action.needs_approval(moves.environment_of(desk, action))
    text = words.dry(name, look.lines, look.why, action, approval=needed, span=made.ttl)
    return Reply(
        text,
        data={"action": name, "would": list(look.lines), "why_not": look.why, "plan": made.model_dump(mode="json")},
    )


def _split(said: tuple[str, ...]) -> tuple[dict[str, str], str]:
    """The parameters that stand first, and the reason after them. Raises Refused for one that is given twice."""
    given: dict[str, str] = {}
    left = list(said)
    while left and (found := GIVEN.fullmatch(left[0])):
        if found[1] in given:
            raise Refused(f"{found[1]} is given twice. Nothing was changed.")
        given[found[1]] = found[2]
        left.pop(0)
    return given, " ".join(" ".join(left).split())[:500]


def _action(desk: Desk, name: str) -> tuple[str, Action]:
    plain = name.strip("*`").lower()
    action = desk.actions.get(plain)
    if action is None:
        if not desk.actions:
            raise Refused(
                "No action is configured: add one under actions: in captain.yml; captain.example.yml shows how."
            )
        raise Refused(f"I know no action '{name[:60]}'.{nearest(plain, list(desk.actions))}")
    return plain, action


def _find(desk: Desk, ref: str) -> Any:
    """The request meant, by its number or as ACT-7; of an action's name the one that is not over."""
    plain = ref.strip("*`").lower()
    match = REF.fullmatch(plain)
    with desk.store.read() as c:
        rows = [table.by_id(c, int(match[1]))] if match else table.not_over(c, plain)
    if len(rows) > 1:
        raise Refused(
            f"Several requests of {plain} are under way: {', '.join(f'ACT-{row.id}' for row in rows)}. Say which. "
            "Nothing was changed."
        )
    row = next(iter(rows), None)
    if row is None:
        raise Refused(f"There is no request '{ref[:60]}'. `action list` shows those under way, such as ACT-7.")
    return row


def _second(desk: Desk, asker: Asker, row: Any, verb: str) -> None:
    """Raises Refused unless this is another person than the one who asked, and one of those who may agree."""
    person = _person(desk, asker, f"must be known who would {verb} it")
    if row.status != Status.WAITING.value:
        raise Refused(f"{words.line(row, now=time.time())}\nThere is nothing to {verb}.")
    action = desk.actions.get(row.name)
    if action is None:
        raise Refused(f"{row.name} is no longer in captain.yml, so nobody can {verb} it; it is not done.")
    one = rules.same(person, Person(row.person, row.email))
    if one:
        raise Refused(
            f"You asked for ACT-{row.id} yourself: somebody else has to agree. {words.approvers(action)} may."
        )
    if one is None:
        raise Refused(
            f"I cannot tell whether you are somebody else than {row.asked_by}: you came through different doors, and "
            "Slack shows no e-mail address of one of you. Use the same door."
        )
    assert desk.access is not None
    if not desk.access.holds(asker, _roles(desk, action)):
        raise Refused(f"You may not {verb} {row.name}. {words.approvers(action)} may.")


def _asked_it(desk: Desk, asker: Asker, row: Any) -> bool:
    """Whether this is who asked for it, as far as their door proves it."""
    if asker.door == SHARED and not asker.email:
        return False  # behind the token that is shared anybody can call themselves anything
    email = desk.access.email(asker) if desk.access is not None else ""
    return asker.id == row.person or bool(email and email == row.email)


def _person(desk: Desk, asker: Asker, why: str) -> Person:
    """Who asks, as their door proves it. Raises Refused behind a token that is shared."""
    if desk.access is None or (asker.door == SHARED and not asker.email):
        raise Refused(
            f"This {why}, and the token you share with others proves nobody's name. Use Slack, or a token of your own: "
            "permissions.tokens in captain.yml has them, CAPTAIN_TOKEN carries it."
        )
    return Person(asker.id, desk.access.email(asker))


def _roles(desk: Desk, action: Action) -> list[Role]:
    named = desk.access.permissions.roles if desk.access is not None else {}
    roles = [named[name] for name in action.approval.by if name in named]
    return [*roles, Role(emails=action.approval.people), Role(usergroup=action.approval.group)]


def _plain(row: Any) -> dict[str, Any]:
    """The request as plain JSON."""
    kept = (
        "id", "uid", "name", "service", "environment", "incident", "status", "asked_by", "asked_at", "approved_by",
        "approved_at", "approve_by", "seal", "until", "on_at", "off_at", "off_by", "why", "diff", "checked",
    )  # fmt: skip
    told = {name: getattr(row, name) for name in kept} | {"reason": "" if row.quiet else row.reason}
    return told | {"over": Status(row.status) in OVER}


VERBS: Mapping[str, Verb] = {
    "list": list_,
    "show": show,
    "run": run,
    "approve": approve,
    "refuse": refuse,
    "undo": undo,
}
