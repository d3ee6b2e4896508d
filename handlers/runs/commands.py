"""The verbs of ``runbook``, and ``incident checks``: what there is to look with, and to look, stop and look back."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Annotated, Any

from sqlalchemy.engine import Connection

from bot import audit
from bot.config import nearest
from bot.effects import UNSETTLED, Effect
from bot.errors import Refused
from bot.grammar import Asker, Reply, Verb
from handlers.desk import Desk
from handlers.incidents import commands as incident_commands
from handlers.incidents import owing as incident_owing
from handlers.incidents import private
from handlers.incidents import table as incidents
from handlers.runs import effects, history, picked, states, table, told, words
from handlers.runs.kinds import Trigger, Wanted
from handlers.runs.owing import CHECKS, WORKERS, owe
from runbooks import Runbook

REF = re.compile(r"#?(\d{1,9})")
WORD = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
LONGEST = 1000
"""Characters of a parameter's value."""


def list_(desk: Desk, asker: Asker) -> Reply:
    """Show the runbooks, what each said last, and what is being run now."""
    now = time.time()
    with desk.store.read() as c:
        last = [row for row in states.of(c, desk.runbooks, desk.services) if row.name == states.WHOLE]
        going = [row for row in table.going(c) if _sees(desk, c, row, asker)]
    text, blocks = told.listing(desk.runbooks, desk.services, last, going, now=now)
    data = {"runbooks": sorted(desk.runbooks), "going": [_plain(row) for row in going]}
    return Reply(text, blocks, data=data)


def show(desk: Desk, asker: Asker, name: str) -> Reply:
    """Show a runbook: its parameters, its checks and when it runs; or all that a run (#12) found."""
    if REF.fullmatch(name) and name not in desk.runbooks:
        with desk.store.read() as c:
            row = _run(desk, c, asker, name)
            found = table.results(c, int(row.id))
        text, blocks = words.message(row, found, desk.runbooks.get(row.runbook))
        if row.ended_at is not None and asker.door != "slack":
            text = words.document(row, found)
        return Reply(text, blocks, data=_plain(row) | {"results": [told.result(one) for one in found]})
    runbook = _runbook(desk, name)
    with desk.store.read() as c:
        last = [row for row in states.of(c, {runbook.name: runbook}, desk.services) if row.name == states.WHOLE]
    text, blocks = told.runbook(runbook, desk.runbook_settings.schedules, last, now=time.time())
    return Reply(text, blocks, data=told.plain(runbook))


def run(
    desk: Desk,
    asker: Asker,
    name: str,
    *parameters: str,
    only: Annotated[str, "TAG/CHECK"] = "",
) -> Reply:
    """Run a runbook, with KEY=VALUE for its parameters; --only one of its tags or checks, or several with commas."""
    runbook = _runbook(desk, name)
    given, confined = _given(parameters), tuple(part.strip() for part in only.split(",") if part.strip())
    service, environment = given.get("service", ""), given.get("environment", given.get("env", ""))
    wrong = [*picked.faults(runbook, given), *picked.unknown(runbook, confined)]
    if wrong:
        raise Refused(f"{' '.join(one[0].upper() + one[1:] for one in wrong)} Nothing was run.")
    known = desk.services.get(service)
    wanted = Wanted(
        runbook.name,
        Trigger.PERSON,
        asker.name,
        given,
        service if known else "",
        environment if known else "",
        channel=asker.channel if asker.door == "slack" and desk.outside.chat is not None else "",
        asker=asker.id if asker.door == "slack" else "",
        only=confined,
    )
    key = f"runbook:{asker.key}"
    with desk.engine.transaction(time.time()) as tx:
        new = owe(desk, tx, key, wanted, urgency=2)
        row = table.by_key(tx.c, key)
        before = sum(one.incident is None and one.id != row.id for one in table.going(tx.c))
        if new:
            _record(tx.c, asker, "runbook run", row, {"parameters": given, "only": list(confined)}, now=tx.now)
    if not new:
        return Reply(f"This very request was taken before: it is run #{row.id}.", data=_plain(row))
    follows = (
        "its message follows in this channel" if wanted.channel else f"`runbook show #{row.id}` says how it stands"
    )
    begins = "begins" if before < WORKERS else f"waits for its turn, since {before} others go on (`runbook list`)"
    return Reply(f"Run #{row.id} of {runbook.name} {begins}; {follows}.", data=_plain(row))


def cancel(desk: Desk, asker: Asker, run: str = "") -> Reply:
    """End a run (#12) now: its verdict is ERROR, and no process of it is left; alone, the only one there is."""
    with desk.store.read() as c:
        row = _run(desk, c, asker, run) if run else _only(desk, c, asker)
    with desk.engine.transaction(time.time()) as tx:
        done = effects.cancel(desk, tx, row, by=asker.name)
        if done:
            _record(tx.c, asker, "runbook cancel", row, {}, now=tx.now)
        row = table.by_uid(tx.c, row.uid)
    if not done:
        return Reply(
            f"Nothing was changed: run #{row.id} of {row.runbook} has ended ({row.outcome}).", data=_plain(row)
        )
    return Reply(f"Run #{row.id} of {row.runbook} is cancelled.", data=_plain(row))


def history_(desk: Desk, asker: Asker, name: str, *, service: str = "") -> Reply:
    """Show what each check of a runbook said in the last 30 days, how long it took, and since when it fails; in Slack with a chart."""
    now = time.time()
    with desk.store.read() as c:
        found = history.read(c, name, now=now, service=service)
    if not found:
        _runbook(desk, name)
    text, blocks = history.listing(name, found, now=now)
    if found and asker.door == "slack" and asker.channel and desk.outside.chat is not None:
        with desk.engine.transaction(now) as tx:
            # Named by the request: one that is asked again after a kill draws no second chart.
            args = {"runbook": name, "service": service, "channel": asker.channel}
            key, bucket = f"runbook-history:{asker.key}", f"post:{asker.channel}"
            tx.owe(Effect(key, history.CHART, "slack", None, args, urgency=7, bucket=bucket))
        text += "\nA chart follows in this channel, where the app is in it."
    return Reply(text, blocks, data=[history.plain(one) for one in found])


def checks(desk: Desk, asker: Asker, incident: str = "") -> Reply:
    """Run the checks of an incident's service again; what they find is said where the incident is."""
    with desk.store.read() as c:
        row = incident_commands.meant(desk, c, asker, incident)
    with desk.engine.transaction(time.time()) as tx:
        row = incidents.locked(tx.c, row.number)
        last = incidents.newest(tx.c, row.number, CHECKS)
        if last is not None and last.state in UNSETTLED:
            run = table.by_key(tx.c, last.key)
            ref = f" (#{run.id})" if run is not None else ""
            return Reply(f"The checks for INC-{row.number} are being run already{ref}.", data={"incident": row.number})
        if row.service not in desk.services or not incident_owing.checks(
            desk, tx, row, by=asker.name, asker=asker.id if asker.door == "slack" else ""
        ):
            raise Refused(
                f"The service {row.service} has no runbook (services.{row.service}.runbook in captain.yml), so there is "
                "nothing to run. `runbook list` shows what there is."
            )
        run = table.by_key(tx.c, incidents.newest(tx.c, row.number, CHECKS).key)
        _record(tx.c, asker, "incident checks", run, {"incident": row.number}, now=tx.now)
    where = "in its thread" if desk.outside.chat is not None else f"by `runbook show #{run.id}`"
    return Reply(
        f"The checks of {run.runbook} for INC-{row.number} are run; what they find is said {where}.", data=_plain(run)
    )


def _runbook(desk: Desk, name: str) -> Runbook:
    found = desk.runbooks.get(name)
    if found is None:
        raise Refused(f"I know no runbook '{name[:80]}'.{nearest(name, list(desk.runbooks))}")
    return found


def _given(parameters: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    for one in parameters:
        match = WORD.fullmatch(one)
        if match is None:
            raise Refused(
                f"'{one[:80]}' is no parameter; say it as name=value, with quotes around a value with spaces."
            )
        name, value = match.groups()
        if name in given:
            raise Refused(f"The parameter {name} is given twice. Nothing was run.")
        if len(value) > LONGEST:
            raise Refused(f"The parameter {name} has {len(value)} characters; at most {LONGEST} can be meant.")
        given[name] = value
    return given


def _run(desk: Desk, c: Connection, asker: Asker, ref: str) -> Any:
    """The run meant by a number. Raises Refused, and says nothing of a private incident's to who may not see that."""
    match = REF.fullmatch(ref.strip("*`"))
    row = table.by_id(c, int(match.group(1))) if match else None
    if row is None or not _sees(desk, c, row, asker):
        raise Refused(f"There is no run '{ref[:40]}'. `runbook list` shows those that go on.")
    return row


def _only(desk: Desk, c: Connection, asker: Asker) -> Any:
    going = [row for row in table.going(c) if _sees(desk, c, row, asker)]
    if len(going) == 1:
        return going[0]
    if not going:
        raise Refused("Nothing is being run, so there is nothing to cancel.")
    named = ", ".join(f"#{row.id} ({row.runbook})" for row in going[:10])
    raise Refused(f"Which one? These go on: {named}. `runbook cancel #{going[0].id}` ends the first.")


def _sees(desk: Desk, c: Connection, row: Any, asker: Asker) -> bool:
    if row.incident is None:
        return True
    incident = incidents.by_number(c, row.incident)
    return incident is not None and private.sees(desk, c, incident, asker)


def _record(c: Connection, asker: Asker, action: str, row: Any, detail: Mapping[str, Any], *, now: float) -> None:
    actor, subject = f"{asker.name} ({asker.id})", f"run #{row.id} of {row.runbook}"
    audit.append(c, at=now, actor=actor, door=asker.door, action=action, subject=subject, detail=detail)


def _plain(row: Any) -> dict[str, Any]:
    """The run as plain JSON."""
    kept = (
        "id", "key", "runbook", "trigger", "asked_by", "service", "environment", "incident", "deploy", "schedule", "asked_at",
        "began_at", "ended_at", "took_s", "checks", "outcome", "detail", "cancelled_by",
    )  # fmt: skip
    return {name: getattr(row, name) for name in kept} | {"parameters": table.parameters(row), "only": table.only(row)}


VERBS: Mapping[str, Verb] = {"list": list_, "show": show, "run": run, "cancel": cancel, "history": history_}
OF_INCIDENTS: Mapping[str, Verb] = {"checks": checks}
