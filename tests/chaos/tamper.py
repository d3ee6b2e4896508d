"""Falsifies what the stand-ins hold, to prove that the judge sees it: each of these must be found."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import requests
from chaos.invariants import Owed, OwedFlag, Violation, Wrong, judge
from chaos.stage import Stage

from bot.integrations.slack.fake_world import Message


@dataclass(frozen=True)
class Tamper:
    """One falsification. ``act(stage, token)`` falsifies what is held about one opening, so that it is ``wrong``."""

    name: str
    wrong: Wrong
    act: Callable[[Stage, str], None]


def falsify(stage: Stage, owed: Sequence[Owed | OwedFlag]) -> tuple[list[Violation], list[str]]:
    """Falsify one thing after the other and judge after each; (all that was found, the names of what was overlooked).

    What was found before the first one is among it.
    """
    told = [one for one in owed if isinstance(one, Owed) and one.pages and not one.fickle]
    if not told:
        return judge(owed, stage.look(cluster=True)), [one.name for one in TAMPERS]
    overlooked = []
    found = judge(owed, stage.look(cluster=True))
    for number, tamper in enumerate(TAMPERS):
        tamper.act(stage, told[number % len(told)].token)
        now = judge(owed, stage.look(cluster=True))
        if not any(one.wrong is tamper.wrong and one not in found for one in now):
            overlooked.append(tamper.name)
        found = now
    return found, overlooked


def _page_twice(stage: Stage, token: str) -> None:
    account = stage.pagerduty.account
    held = next(one for one in list(account.incidents.values()) if token in one.title)
    account.create(held.title, held.service, f"{held.dedup_key}-again", held.assignees[0])


def _page_gone(stage: Stage, token: str) -> None:
    account = stage.pagerduty.account
    with account.lock:
        for one in [one for one in account.incidents.values() if token in one.title]:
            del account.incidents[one.id]


def _ticket_twice(stage: Stage, token: str) -> None:
    site = stage.jira.site
    held = next(one for one in list(site.issues.values()) if token in one.summary)
    site.create(held.project, {"summary": held.summary, "issue_type": held.issue_type}, held.reporter)


def _ticket_gone(stage: Stage, token: str) -> None:
    site = stage.jira.site
    for one in [one for one in list(site.issues.values()) if token in one.summary]:
        site.delete(one, one.reporter)


def _root_of(stage: Stage, token: str) -> Message:
    channel, ts = stage.look().roots[token][0].place.split("/")
    held = stage.slack.world.message(channel, ts)
    assert held is not None, "it was seen a moment ago"
    return held


def _root_twice(stage: Stage, token: str) -> None:
    again = copy.deepcopy(_root_of(stage, token))
    with stage.slack.world.lock:
        again.ts = stage.slack.world.next_ts()
        stage.slack.world.put(again)


def _note_twice(stage: Stage, token: str) -> None:
    root, world = _root_of(stage, token), stage.slack.world
    metadata = {"event_type": "captain", "event_payload": {"key": f"{token}:note"}}
    with world.lock:
        for _ in range(2):
            world.put(Message(root.channel, world.next_ts(), root.user, "said", root.ts, metadata=metadata))


def _panel_lies(stage: Stage, token: str) -> None:
    held = _root_of(stage, token)
    with stage.slack.world.lock:
        held.blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "INC-1 ⏳ on its way"}}]


def _left_on(stage: Stage, _token: str) -> None:
    place = next(iter(stage.flags.values()))
    url = f"{stage.served.url}/kubernetes/api/v1/namespaces/prod/configmaps/{place['name']}"
    headers = {"content-type": "application/merge-patch+json"}
    requests.patch(url, json={"data": {place["key"]: "true"}}, headers=headers, timeout=10).raise_for_status()


TAMPERS: Sequence[Tamper] = (
    Tamper("a page twice", Wrong.DUPLICATE_PAGE, _page_twice),
    Tamper("a ticket twice", Wrong.DUPLICATE_TICKET, _ticket_twice),
    Tamper("a note twice", Wrong.DUPLICATE_NOTE, _note_twice),
    Tamper("a panel that lies", Wrong.UNTRUE_PANEL, _panel_lies),
    Tamper("a root twice", Wrong.DUPLICATE_ROOT, _root_twice),
    Tamper("a page deleted", Wrong.LOST, _page_gone),
    Tamper("a ticket deleted", Wrong.LOST, _ticket_gone),
    Tamper("a flag left on", Wrong.LEFT_ON, _left_on),
)
