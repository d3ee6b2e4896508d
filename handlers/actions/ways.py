"""How an action is done and undone: fields of an object, a command, or an HTTP call; each looks before it does again."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot import http_client
from bot.errors import GiveUp, Retry
from bot.integrations.kubernetes import Cluster
from handlers.actions import place, rules, table
from handlers.actions.kinds import Command, Http
from handlers.actions.place import SeenFields, Spot
from handlers.actions.plan import Plan
from handlers.checks import looks
from handlers.desk import Desk
from handlers.flags import rules as flag_rules
from handlers.flags.back import PAUSE, go_back
from handlers.flags.rules import Change, Mark, Seen, Way
from runbooks import Looks, Report, run
from runbooks.kind import Ask
from runbooks.kinds import command as commands
from runbooks.secret_refs import Secrets
from runbooks.verdict import Outcome as Verdict

LONGEST_SAID = 300
CHECKS_DEADLINE = 60.0
"""Seconds that the checks before and after an action may take."""
GONE_AFTER = 3.0
"""Seconds after its time by which a command is really gone, whatever has become of who started it."""


@dataclass(frozen=True)
class Look:
    """What is there, and what would become of it. ``why``: why it cannot be done; empty when it can."""

    why: str = ""
    found: str = ""
    lines: tuple[str, ...] = ()


def cluster_of(desk: Desk) -> Cluster:
    """Raises GiveUp when there is none."""
    if desk.outside.cluster is None:
        raise GiveUp("the kubernetes: section is missing in captain.yml; put it back")
    return desk.outside.cluster


# ---- looking -----------------------------------------------------------------------------------------------------------


def look(desk: Desk, plan: Plan, uid: str, by: str) -> Look:
    """What doing it would change: by the API server's own word for an object, as it is sent for the others.

    Changes nothing. Raises Retry, or GiveUp where the cluster would refuse it.
    """
    spot = plan.spot
    if spot is None:
        return Look(unready(plan), lines=tuple(shown(plan)))
    cluster = cluster_of(desk)
    found = cluster.get(spot.ref)
    seen = spot.seen(found)
    why = flag_rules.unfit(seen, on=spot.on, where=spot.target)
    if not why and not seen.plain:
        why = f"a field of it in {spot.target} holds more than one value, which could not be put back whole"
    if why or found is None:
        return Look(why=why)
    mark, spot = None if plan.none else Mark(uid, table.FAR, seen.value, by), spot.changes(seen)
    after = cluster.apply(spot.ref, spot.body(seen, spot.on, mark), force=True, part=spot.part, dry_run=True)
    lines = place.diff(found, after, spot.annotation)
    return Look(found=seen.value or "", lines=(f"{spot.target}:", *(f"  {line}" for line in lines)))


def shown(plan: Plan) -> list[str]:
    """A command or a call as it is sent, with references in place of secrets."""
    call = plan.call
    lines = [_shown(call)] if call is not None else []
    if plan.undo is not None:
        lines.append(f"undone by {_shown(plan.undo)}")
    return lines


def _shown(call: Command | Http) -> str:
    if isinstance(call, Command):
        env = "".join(f" {name}={value}" for name, value in call.env.items())
        return f"run{env and f' with{env},'} {' '.join(_quoted(word) for word in call.argv)}"
    headers = "".join(f"; {name}: {value}" for name, value in call.headers.items())
    return f"{call.method} {call.url}{headers}{f'; body {call.body}' if call.body else ''}"


def _quoted(word: str) -> str:
    return word if word and not set(word) & set(" \t\"'\\") else repr(word)


# ---- objects -----------------------------------------------------------------------------------------------------------


def spot_of(plan: Plan, row: Any) -> Spot | None:
    """Where a request stands: those of its fields that the look has found otherwise than they are wanted."""
    spot = plan.spot
    return spot if spot is None or not row.prior else spot.changes(Seen(value=table.found_of(row)))


def changed(spot: Spot, seen: SeenFields, back: str) -> Spot:
    """The fields of a spot that hold something else than they go back to, with what they hold as what is wanted."""
    there, was = json.loads(seen.value or "{}"), json.loads(back)
    return replace(
        spot, fields={path: value for path, value in there.items() if value is not None and value != was.get(path)}
    )


def to_apply(spot: Spot, seen: Seen, row: Any, mark: Mark | None) -> Change:
    """What an apply has to do as the object stands."""
    if mark is not None:
        return flag_rules.to_switch_on(
            seen, mark, on=spot.on, prior=narrowed(spot, mark.back), was_on=row.on_at is not None
        )
    if seen.there and seen.value == spot.on:
        return Change.NOTHING  # an earlier try has done it
    return Change.WRITE if seen.there and seen.value == narrowed(spot, table.found_of(row)) else Change.LEAVE


def narrowed(spot: Spot, values: str | None) -> str:
    """JSON of the values of a spot's fields alone."""
    there = json.loads(values or "{}")
    return rules.canonical({path: there.get(path) for path in spot.fields})


def apply(cluster: Cluster, spot: Spot, seen: Seen, mark: Mark | None) -> None:
    """By force: whoever set the fields before owns them until now, which the API knows no way to give back."""
    cluster.apply(spot.ref, spot.body(seen, spot.on, mark), force=True, part=spot.part)


def put_back(desk: Desk, spot: Spot, row: Any, seen: SeenFields) -> Way:
    """Undo what was set in an object, as it stands."""
    if not row.prior:
        return Way.NOTHING  # nothing was ever found that could be put back, so nothing was set
    way, cluster, mark = spot.way(seen, row.uid), cluster_of(desk), table.mark_of(row)
    if way is Way.RESTORE:
        _restore(cluster, spot, seen, mark)
    else:
        go_back(cluster, spot, seen, way, mark)
    return way


def _restore(cluster: Cluster, spot: Spot, seen: SeenFields, mark: Mark) -> None:
    """The old values of what is ours and no mark, in one request. Without force: who took a field since then keeps it."""
    ours, back = spot.ours(seen), json.loads(mark.back or "{}")
    if set(ours) - set(seen.mine):
        # Somebody has wiped out who owns what, and an apply takes away only what its manager owns.
        body = spot.body(seen, spot.restored(seen, spot.fields), mark)
        seen = spot.seen(cluster.apply(spot.ref, body, force=True, part=spot.part))
    after = spot.seen(cluster.apply(spot.ref, spot.body(seen, spot.restored(seen, back)), part=spot.part))
    stay = [path for path in spot.ours(after) if path in ours]
    if stay:
        raise Retry(f"{spot.target} still has {', '.join(stay)} as it was set after it was put back", after=PAUSE)


# ---- commands and calls ------------------------------------------------------------------------------------------------


def unready(plan: Plan) -> str:
    """Why a command or call cannot even begin, or could not be undone; empty when both can."""
    for call, what in ((plan.call, ""), (plan.undo, "it could not be undone: ")):
        if isinstance(call, Command) and shutil.which(call.argv[0]) is None:
            return f"{what}there is no program {call.argv[0]} here; install it, or name it by its whole path"
        secrets = Secrets(os.environ)
        try:
            for value in () if call is None else (call.env if isinstance(call, Command) else call.headers).values():
                secrets.resolve(value)
        except ValueError as e:
            return f"{what}{e}"
    return ""


def send(call: Command | Http, key: str, parameters: Mapping[str, str]) -> str:
    """Do it once; what it said, without secrets.

    Raises Retry without ``unknown`` when it surely has not acted, Retry with it when it may have, and GiveUp when it
    failed, or was refused.
    """
    secrets = Secrets(os.environ)
    try:
        if isinstance(call, Command):
            return secrets.mask(_run(call, parameters, secrets))
        return secrets.mask(_ask(call, key, secrets))
    except GiveUp as e:
        raise GiveUp(secrets.mask(e.reason)) from None
    except Retry as e:
        raise Retry(secrets.mask(e.reason), after=e.after, unknown=e.unknown) from None


def _run(call: Command, parameters: Mapping[str, str], secrets: Secrets) -> str:
    # The group is killed at its time by whoever waits for it; should nobody be left to wait, timeout(1) does it.
    bound = shutil.which("timeout")
    words = [bound, "-k", "1", f"{call.timeout + 1:g}", *call.argv] if bound else list(call.argv)
    ask = Ask(
        spec={"command": words, "env": dict(call.env)},
        looks=Looks(),
        timeout=call.timeout,
        cancelled=threading.Event(),
        secrets=secrets,
        parameters=parameters,
    )
    try:
        found = commands.look(ask)
    except (ValueError, OSError) as e:
        raise GiveUp(f"{call.argv[0]}: {e}") from e
    if found.outcome is not Verdict.PASS:
        raise GiveUp(f"{call.argv[0]}: {found.detail}")
    return found.detail[:LONGEST_SAID]


def _ask(call: Http, key: str, secrets: Secrets) -> str:
    try:
        headers = {name: secrets.resolve(value) for name, value in call.headers.items()}
    except ValueError as e:
        raise GiveUp(str(e)) from e
    headers = {"User-Agent": "release-captain", "Idempotency-Key": key} | headers
    where = call.url.split("?", 1)[0]
    told: dict[str, Any] = {"headers": headers, "body": call.body.encode() if call.body else None}
    got = http_client.act(call.method, call.url, timeout=call.timeout, name=where, setting="the action's url", **told)
    said = f"it answered {got.status}: {' '.join(got.body.decode('utf-8', 'replace').split())[:160] or 'nothing'}"
    if got.status in call.status or (not call.status and 200 <= got.status < 300):
        return said
    if got.status == 429:
        raise Retry(said, after=http_client.retry_after(got.headers))
    if got.status >= 500 or got.status == 408:
        raise Retry(said, after=http_client.retry_after(got.headers), unknown=True)
    raise GiveUp(said)


def gone_at(call: Command | Http, begun_at: float) -> float:
    """UNIX s by which what was begun then has ended, whatever has become of who began it."""
    return begun_at + call.timeout + GONE_AFTER


# ---- checks ------------------------------------------------------------------------------------------------------------


def check(desk: Desk, name: str, row: Any, parameters: Mapping[str, str]) -> Report:
    """Run a runbook with what it knows of the request's parameters. Raises GiveUp when there is none of that name."""
    runbook = desk.runbooks.get(name)
    if runbook is None:
        raise GiveUp(f"there is no runbook '{name}' any more")
    given = {**parameters, "service": row.service, "environment": row.environment}
    known = {key: value for key, value in given.items() if key in runbook.parameters}
    report = run(runbook, known, looks(desk.outside), deadline_s=CHECKS_DEADLINE, cancelled=desk.engine.stopping)
    if desk.engine.stopping.is_set():
        raise Retry("I was stopped while I looked; it is looked at anew", after=0.1)
    return report


def summary(report: Report) -> str:
    """What a runbook says, on a line: its verdict, and what does not pass with its value and hint."""
    wrong = [one for one in report.results if one.outcome is not Verdict.PASS]
    told = "; ".join(
        f"{one.name}: {one.outcome.value}, {one.detail}{f' ({one.hint})' if one.hint else ''}" for one in wrong[:3]
    )
    return (
        f"{report.runbook} says {report.outcome.value}{f': {told or report.detail}' if told or report.detail else ''}"[
            :500
        ]
    )


def passed(report: Report) -> bool:
    return report.outcome is Verdict.PASS
