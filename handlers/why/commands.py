"""The verb of ``why``: one question, whatever it is asked about."""

from __future__ import annotations

import difflib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Connection

from bot.errors import Refused
from bot.grammar import Asker, Reply, Verb
from handlers.desk import Desk
from handlers.incidents import private
from handlers.noise import table as noise
from handlers.noise import words as noise_words
from handlers.why import find, words
from handlers.why.what import ByName, ByNumber, ByTime, read


def why(desk: Desk, asker: Asker, *what: str) -> Reply:
    """Say why somebody was paged, or nobody: by incident, alert, service, SLO or time (14:05, 10m); alone, the last hour."""
    now = time.time()
    asked = read(what, now)
    if isinstance(asked, ByNumber):
        return _story(desk, asker, asked, now)
    return _window(desk, asker, asked, now) if isinstance(asked, ByTime) else _matches(desk, asker, asked, now)


def _story(desk: Desk, asker: Asker, asked: ByNumber, now: float) -> Reply:
    with desk.store.read() as c:
        found = find.story(c, asked.number)
        if found is not None:
            private.check(desk, c, found.row, asker)
    if found is None:
        raise Refused(
            f"There is no INC-{asked.number}. `incident list --all` shows the latest ones; "
            "a time is said as 14:05, 10m or 2026-11-25T14:05Z."
        )
    text, blocks = words.story(found, now)
    data = _rows(alerts=found.alerts, effects=found.effects, timeline=found.events, pagerduty=found.heard)
    answer = words.answer(found, now).replace("*", "")
    said = {"answer": answer, "incident": words.plain(found.row), "more_alerts": found.more}
    return Reply(text, blocks, data=said | data)


def _window(desk: Desk, asker: Asker, asked: ByTime, now: float) -> Reply:
    with desk.store.read() as c:
        found = find.window(c, asked.start, asked.end)
        pages = [private.shown(desk, c, row, asker) for row in found.pages]
        heard = private.overheard(desk, c, found.events, asker)
        found = replace(found, pages=pages, events=heard, by_hand=_shown(desk, c, asker, found.by_hand))
        quiets = noise.between(c, asked.start, asked.end)
    text, blocks = words.window(asked, found, now, [noise_words.history(row) for row in quiets])
    data = _rows(
        alerts=found.alerts, refusals=found.refusals, pagerduty=found.events, pages=found.pages, again=found.again,
        opened_by_hand=[row for row, _ in found.by_hand],
    )  # fmt: skip
    return Reply(text, blocks, data={"from": asked.start, "to": asked.end, "more": found.more} | data)


def _matches(desk: Desk, asker: Asker, asked: ByName, now: float) -> Reply:
    with desk.store.read() as c:
        found = find.named(c, asked.text, now)
        found = replace(found, by_hand=_shown(desk, c, asker, found.by_hand))
    near = difflib.get_close_matches(asked.text, [*desk.services, *found.names], n=1)
    with desk.store.read() as c:
        quiets = [row for row in noise.active(c) if asked.text in (row.name, *noise.quiet(row).services)]
    held = [noise_words.history(row) for row in quiets]
    text, blocks = words.matches(asked, found, near[0] if near else "", now, held)
    data = _rows(alerts=found.alerts, refusals=found.refusals, opened_by_hand=[row for row, _ in found.by_hand])
    return Reply(text, blocks, data={"name": asked.text, "more_alerts": found.more} | data)


def _shown(desk: Desk, c: Connection, asker: Asker, rows: Sequence[tuple[Any, str]]) -> list[tuple[Any, str]]:
    return [(private.shown(desk, c, row, asker), said) for row, said in rows]


def _rows(**named: Any) -> dict[str, Any]:
    return {name: [words.plain(row) for row in rows] for name, rows in named.items()}


VERBS: Mapping[str, Verb] = {"": why}
