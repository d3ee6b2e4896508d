"""The verbs of ``flag``: typed functions whose signatures are the grammar and whose first lines are the help."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from bot.config import nearest
from bot.errors import Refused
from bot.grammar import Asker, Duration, Reply, Verb
from handlers.desk import Desk
from handlers.flags import decide, table, words
from handlers.flags.rules import OVER, Status, seconds_of
from handlers.incidents.words import duration

REF = re.compile(r"([^#]+?)(?:#(\d{1,9}))?")


def list_(desk: Desk, _asker: Asker) -> Reply:
    """Show what is switched on, until when and by whom, and what could be."""
    now = time.time()
    with desk.store.read() as c:
        rows = [(row, table.trouble(c, row)) for row in table.not_over(c)]
        on = {row.name for row, _ in rows}
        idle = [(name, table.latest(c, name)) for name in sorted(desk.flags) if name not in on]
    text, blocks = words.listing(rows, idle, now=now)
    return Reply(text, blocks, data=[_plain(row) for row, _ in rows])


def on(desk: Desk, asker: Asker, name: str, *reason: str, for_: Duration) -> Reply:
    """Switch a flag on for a while, such as --for 30m; it is switched off again whatever happens."""
    flag = desk.flags.get(_name(name))
    if flag is None:
        raise Refused(_unknown(desk, name))
    if desk.outside.cluster is None:
        raise Refused("The kubernetes: section is missing in captain.yml, so nothing can be switched. Add it.")
    seconds = _seconds(for_)
    if seconds > flag.longest:
        most = duration(flag.longest)
        raise Refused(
            f"{name} may be on for {most} at most (flags.{name}.longest in captain.yml), not {duration(seconds)}."
        )
    if seconds <= decide.least(desk):
        shortest = duration(decide.least(desk) + 1)
        raise Refused(
            f"--for must be {shortest} at least: Kubernetes may take that long to answer. Nothing was changed."
        )
    said = " ".join(" ".join(reason).split())[:500]
    now = time.time()
    row, new = decide.switch_on(desk, asker, _name(name), seconds=seconds, reason=said, now=now)
    if not new:
        return Reply(f"{words.line(row, now=now)}\nThis very request was taken before.", data=_plain(row))
    return Reply(
        words.asked(row, desk.services.get(flag.service), chat=desk.outside.chat is not None), data=_plain(row)
    )


def off(desk: Desk, asker: Asker, name: str) -> Reply:
    """Switch a flag off now, before its time; one that is being switched off is tried again at once."""
    now = time.time()
    row, done = decide.switch_off(desk, asker, _find(desk, name).uid, now=now)
    if not done:
        return Reply(f"Nothing was changed: {words.line(row, now=now)}", data=_plain(row))
    return Reply(words.line(row, now=now), data=_plain(row))


def extend(desk: Desk, asker: Asker, name: str, *, for_: Duration) -> Reply:
    """Keep a flag on for that much longer."""
    now = time.time()
    row = _find(desk, name)
    flag = desk.flags.get(row.name)
    if flag is None:
        raise Refused(f"{row.name} is no longer in captain.yml, so it cannot be extended; it goes off as it was to.")
    row = decide.extend(desk, asker, row.uid, seconds=_seconds(for_), longest=flag.longest, now=now)
    return Reply(words.line(row, now=now), data=_plain(row))


def _find(desk: Desk, ref: str) -> Any:
    """The switching-on meant: of a button the very one it stands under, of a name the one that is not over."""
    match = REF.fullmatch(ref.strip("*`"))
    name, number = (_name(match.group(1)), match.group(2)) if match else (ref, None)
    with desk.store.read() as c:
        rows = table.not_over(c, name)
        last = table.latest(c, name)
    if last is None:
        if name in desk.flags:
            raise Refused(f"{name} has never been switched on. `flag on {name} --for 30m` does it.")
        raise Refused(_unknown(desk, name))
    row = rows[0] if rows else last
    if number is not None and row.id != int(number):
        raise Refused(
            f"That button is of an earlier time. Now: {words.line(row, now=time.time())}\nNothing was changed."
        )
    return row


def _name(text: str) -> str:
    return text.strip("*`").lower()


def _unknown(desk: Desk, name: str) -> str:
    if not desk.flags:
        return "No flag is configured: add one under flags: in captain.yml; captain.example.yml shows how."
    return f"I know no flag '{name[:60]}'.{nearest(_name(name), list(desk.flags))}"


def _seconds(text: str) -> float:
    seconds = seconds_of(text)
    if not seconds:
        raise Refused(f"--for wants a time such as 30m, 1h30m or 90s, not '{text[:40]}'. Nothing was changed.")
    return seconds


def _plain(row: Any) -> dict[str, Any]:
    """The switching-on as plain JSON."""
    kept = (
        "uid", "name", "service", "status", "asked_by", "asked_at", "reason", "until", "on_at", "off_at", "off_by", "why",
    )  # fmt: skip
    return {name: getattr(row, name) for name in kept} | {"over": Status(row.status) in OVER}


VERBS: Mapping[str, Verb] = {"list": list_, "on": on, "off": off, "extend": extend}
