"""The verbs of ``deploy``: typed functions whose signatures are the grammar and whose first lines are the help."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from bot.config import nearest
from bot.errors import Refused
from bot.grammar import Asker, Reply, Verb
from bot.integrations.slack.words import escape
from handlers.deploys import decide, kinds, table, words
from handlers.deploys.kinds import Status, Told
from handlers.deploys.read import key_of, line
from handlers.desk import Desk

REF = re.compile(r"(?:[Dd]-)?(\d{1,9})")


def list_(desk: Desk, _asker: Asker, service: str = "") -> Reply:
    """Show the newest deploys, of one service or of all: version, who, how it went and what the checks said."""
    name = _service(desk, service) if service else ""
    with desk.store.read() as c:
        rows = table.newest(c, service=name)
    text, blocks = words.listing(rows, name, now=time.time())
    return Reply(text, blocks, data=[plain(row) for row in rows])


def show(desk: Desk, _asker: Asker, deploy: str) -> Reply:
    """Show all that is known of one deploy, such as D-12: who told of it, when, and what the checks found."""
    match = REF.fullmatch(deploy.strip("*`#"))
    if match is None:
        raise Refused(f"DEPLOY must be a number such as D-12, not '{escape(deploy[:40])}'. `deploy list` has them.")
    with desk.store.read() as c:
        row = table.by_id(c, int(match[1]))
        parts = table.parts(c, row.id) if row is not None else ()
    if row is None:
        raise Refused(f"I know no deploy D-{match[1]}. `deploy list` has the newest.")
    service = desk.services.get(row.service)
    runbook = kinds.after_deploy(desk.deploys, service) if service is not None else ""
    text = words.whole(row, parts, runbook, now=time.time())
    told = [{"origin": one.origin, "status": one.status, "at": one.at} for one in parts]
    return Reply(text, data=plain(row) | {"told": told})


def note(desk: Desk, asker: Asker, service: str, version: str, *, environment: str = "") -> Reply:
    """Tell of a deploy by hand: it is said in the service's channel, remembered, and checked as any other."""
    name, now = _service(desk, service), time.time()
    where = line(environment, 80) or desk.services[name].environment
    told = Told(
        key_of("person", asker.key), f"person:{asker.key[:80]}", "person", name, where, Status.SUCCEEDED.value, now,
        line(version), by=asker.name,
    )  # fmt: skip
    if not told.version:
        raise Refused("VERSION must not be empty. Nothing was written down.")
    row, said = decide.hear(desk, told, now=now, asker=asker)
    if said == words.JOINED:
        return Reply(f"I had heard of that already: {words.line(row, now=now)}", data=plain(row))
    where = escape(desk.services[name].channel) if desk.outside.chat is not None else "`deploy list`"
    return Reply(f"{words.line(row, now=now)}\n{where} shows what the checks say.", data=plain(row))


def _service(desk: Desk, name: str) -> str:
    found = name.strip("*`")
    if found not in desk.services:
        raise Refused(f"I know no service '{escape(found[:60])}'.{nearest(found, list(desk.services))}")
    return found


def plain(row: Any) -> dict[str, Any]:
    """A deploy as plain JSON."""
    kept = (
        "id", "service", "environment", "version", "before", "image", "revision", "status", "source", "by_name", "url",
        "why", "at", "started_at", "ended_at", "verdict",
    )  # fmt: skip
    return {name: getattr(row, name) for name in kept} | {"found": table.found_of(row)}


VERBS: Mapping[str, Verb] = {"list": list_, "show": show, "note": note}
