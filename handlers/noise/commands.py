"""The verbs of ``maintenance``: typed functions whose signatures are the grammar and whose first lines are the help."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bot.config import nearest
from bot.errors import Refused
from bot.grammar import Asker, Reply, Verb
from handlers.desk import Desk
from handlers.incidents.words import duration
from handlers.noise import decide, outside, table, words
from handlers.noise.kinds import seconds_of
from handlers.noise.matchers import Matcher
from handlers.noise.weigh import Kind


def list_(desk: Desk, _asker: Asker) -> Reply:
    """Show all that keeps alerts from waking anybody now: maintenance, silences and drills, each with what it has held."""
    with desk.store.read() as c:
        rows = table.active(c)
        counts = table.counts(c, [row.id for row in rows])
        held, flaps = table.by_rule(c), table.flapping(c)
    rules = [words.by_rule(one) for one in held] + [words.flaps_line(one) for one in flaps]
    planned = [(name, span) for name, one in desk.maintenance.items() if (span := one.after(time.time()))]
    lines = [words.planned(name, *span) for name, span in sorted(planned, key=lambda one: one[1])]
    elsewhere, trouble = outside.elsewhere(desk)
    others = [words.elsewhere(one, count) for one, count in elsewhere]
    more = {
        "Held by rules": rules,
        "Made in Alertmanager": [*others, *([trouble] if trouble else [])],
        "Planned in captain.yml": lines,
    }
    text, blocks = words.listing(rows, counts, more)
    data = [plain(row) | {"held": counts[row.id][0], "holds": counts[row.id][1]} for row in rows]
    made = [asdict(one) | {"alerts": count} for one, count in elsewhere]
    by_rule = [{"kind": one.kind, "incident": one.incident, "alerts": one.n} for one in held]
    flapping = [{"incident": one.incident, "changes": one.changes, "since": one.since} for one in flaps]
    told = {"on": data, "rules": by_rule, "flapping": flapping, "alertmanager": made, "trouble": trouble}
    return Reply(words.utc(text), blocks, data=told)


def start(desk: Desk, asker: Asker, service: str, duration: str, *reason: str, env: str = "", slo: str = "") -> Reply:
    """Hold a service's alerts for a while, such as 2h: they wake nobody, and what still fires at the end is acted on then."""
    if service not in desk.services:
        raise Refused(f"I know no service '{service[:80]}'.{nearest(service, list(desk.services))}")
    only = [Matcher(name, "=", value) for name, value in (("env", env), ("slo", slo)) if value]
    wanted = decide.Wanted(
        kind=Kind.MAINTENANCE,
        name=service,
        uid=decide.uid_of(Kind.MAINTENANCE, asker.key),
        open_key=decide.uid_of(Kind.MAINTENANCE, asker.key),
        seconds=length(desk, duration),
        reason=_reason(reason),
        services=[service],
        matchers=only,
    )
    return _begun(desk, asker, wanted)


def drill(desk: Desk, asker: Asker, slo: str, duration: str, *reason: str) -> Reply:
    """Hold the alerts of one SLO while it is drilled, such as 15m, and nothing else of its service."""
    known = desk.slos.get(slo)
    if known is None:
        none = "" if desk.slos else " No SLO is configured: add it under slos: in captain.yml."
        raise Refused(f"I know no SLO '{slo[:80]}'.{nearest(slo, list(desk.slos))}{none}")
    wanted = decide.Wanted(
        kind=Kind.DRILL,
        name=slo,
        uid=decide.uid_of(Kind.DRILL, asker.key),
        open_key=decide.uid_of(Kind.DRILL, asker.key),
        seconds=length(desk, duration),
        reason=_reason(reason),
        services=[known.service],
        matchers=[Matcher("slo", "=", slo)],
    )
    return _begun(desk, asker, wanted)


def end(desk: Desk, asker: Asker, what: str) -> Reply:
    """End a maintenance, silence or drill now, by its number or service: what still fires is acted on at once."""
    now = time.time()
    number = _find(desk, what)
    with desk.engine.transaction(now) as tx:
        row, done = decide.end(desk, tx, number, by=asker.name, asker=asker)
        everything, still = table.counts(tx.c, [number])[number]
    if not done:
        return Reply(words.utc(words.over(row)), data=plain(row))
    return Reply(words.utc(words.ended(row, held=everything, still=still)), data=plain(row))


def length(desk: Desk, text: str) -> float:
    """Seconds of a duration that somebody gave. Raises Refused when it is none, or too long."""
    seconds, longest = seconds_of(text), desk.noise.longest
    if seconds is None:
        raise Refused(f"'{text[:40]}' is no length of time such as 30m, 2h or 1h30m. Nothing was silenced.")
    if seconds > longest:
        raise Refused(
            f"{text[:40]} is too long: {duration(longest)} at most (noise.longest in captain.yml). Nothing was silenced; "
            "a longer window belongs under maintenance: in captain.yml."
        )
    return seconds


def plain(row: Any) -> dict[str, Any]:
    """A silence as plain JSON."""
    quiet = table.quiet(row)
    kept = (
        "id",
        "kind",
        "name",
        "incident",
        "source",
        "by_name",
        "reason",
        "made_at",
        "end_at",
        "ended_at",
        "ended_by",
    )
    said = {"services": list(quiet.services), "matchers": [str(one) for one in quiet.matchers]}
    return {name: getattr(row, name) for name in kept} | said


def _begun(desk: Desk, asker: Asker, wanted: decide.Wanted) -> Reply:
    now = time.time()
    with desk.engine.transaction(now) as tx:
        row, new = decide.begin(desk, tx, wanted, asker)
    again = "" if new else " This very request was taken before."
    text = f"{words.utc(words.line(row, now=now))}{again} `maintenance end {row.id}` ends it."
    return Reply(text, data=plain(row))


def _find(desk: Desk, what: str) -> int:
    """The silence meant: by number, or the only one that is on by its name. Raises Refused."""
    ref = what.strip("*`#")
    with desk.store.read() as c:
        rows = table.active(c)
        known = table.by_id(c, int(ref)) if ref.isdigit() and len(ref) < 10 else None
    if known is not None:
        return int(known.id)
    named = [row for row in rows if row.name == ref]
    if len(named) == 1:
        return int(named[0].id)
    if named:
        raise Refused(f"Which one? {', '.join(f'#{row.id}' for row in named)} are on for {ref}. Name its number.")
    on = ", ".join(f"#{row.id} ({row.name})" for row in rows[:10])
    raise Refused(f"Nothing of the name or number '{what[:40]}' is on. {f'On are: {on}.' if on else 'Nothing is on.'}")


def _reason(words_: tuple[str, ...]) -> str:
    return " ".join(" ".join(words_).split())[:500]


VERBS: Mapping[str, Verb] = {"list": list_, "start": start, "drill": drill, "end": end}
