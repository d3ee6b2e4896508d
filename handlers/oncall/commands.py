"""The verb of ``oncall``: asks PagerDuty who is on call for the services of the catalogue."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from bot.config import nearest
from bot.errors import GiveUp, Refused, Retry
from bot.grammar import Asker, Reply, Verb
from bot.integrations.pagerduty import Paged, Pager
from handlers.desk import Desk
from handlers.oncall import words
from handlers.oncall.turns import levels
from handlers.oncall.words import Answer

AHEAD = 15 * 86400.0
"""Seconds into the future that are looked at for who is next: a fortnight's rotation, and a day."""
NOBODY = "⚠ nobody is on call in PagerDuty now, and nobody will be within 15 days: a page would wake nobody."


def oncall(desk: Desk, _asker: Asker, service: str = "") -> Reply:
    """Say who is on call now and who is next: for one service or for all, by escalation level, as PagerDuty knows it."""
    if service and service not in desk.services:
        raise Refused(f"I know no service '{service[:80]}'.{nearest(service, list(desk.services))}")
    if desk.outside.pager is None:
        raise Refused("The pagerduty: section is missing in captain.yml, so I cannot tell who is on call; add it.")
    names = [service] if service else sorted(desk.services)
    try:
        answers = answered(desk, desk.outside.pager, names, now=time.time())
    except (Retry, GiveUp) as e:
        raise Refused(f"I cannot tell who is on call: {e.reason.rstrip('.')}.") from e
    text, blocks = words.told(answers)
    return Reply(text, blocks, data=[words.data(answer) for answer in answers])


def answered(desk: Desk, pager: Pager, names: Sequence[str], *, now: float) -> Sequence[Answer]:
    """Who is on call for each of these services. Raises Retry or GiveUp when PagerDuty does not say."""
    services = _services(desk, pager, names)
    policies = sorted({paged.policy_id for paged in services.values()})
    turns = pager.on_calls(policies, since=now, until=now + AHEAD) if policies else ()
    made = []
    for name in names:
        paged = services.get(name)
        if paged is None:
            made.append(Answer(name, missing=_missing(desk, name)))
            continue
        found = levels([turn for turn in turns if turn.policy_id == paged.policy_id], now)
        made.append(Answer(name, paged, found, missing="" if found else NOBODY))
    return made


def _services(desk: Desk, pager: Pager, names: Sequence[str]) -> Mapping[str, Paged]:
    """Service of the catalogue → PagerDuty's: by the id that captain.yml has for it, else by its routing key."""
    ids, keys = {}, {}
    for name in names:
        entry = desk.services[name]
        if entry.pagerduty_service:
            ids[entry.pagerduty_service] = name
        elif entry.pagerduty is not None:
            keys[entry.pagerduty.get_secret_value()] = name
    if not ids and not keys:
        return {}
    found = pager.services(keys=keys, ids=ids)
    by_id, by_key = {one.id: one for one in found}, {key: one for one in found for key in one.keys}
    made = {}
    for name in names:
        entry = desk.services[name]
        key = entry.pagerduty.get_secret_value() if entry.pagerduty else ""
        one = by_id.get(entry.pagerduty_service) if entry.pagerduty_service else by_key.get(key)
        if one is not None:
            made[name] = one
    return made


def _missing(desk: Desk, name: str) -> str:
    entry = desk.services[name]
    if entry.pagerduty_service:
        return f"PagerDuty knows no service {entry.pagerduty_service}; check services.{name}.pagerduty_service."
    if entry.pagerduty is None:
        return f"nobody: services.{name}.pagerduty is not set in captain.yml, so it pages nobody."
    return (
        "PagerDuty shows no service with its routing key (it may be an orchestration's); "
        f"set services.{name}.pagerduty_service to the service's id."
    )


VERBS: Mapping[str, Verb] = {"": oncall}
