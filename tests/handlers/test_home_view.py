"""The Home tab, whatever there is to show: within Slack's limits, escaped, and its end is never cut off."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.integrations.slack.fake_blocks import check_blocks
from handlers.home.facts import Facts
from handlers.home.turns import Turns
from handlers.home.view import view
from handlers.incidents.rules import Status
from handlers.incidents.stuck import Stuck

NOW = time.time()
words = st.text(max_size=400)


def incident(number, text, status):
    return SimpleNamespace(
        number=number, severity="sev1", service=text or "x", title=text, status=status.value, acked_by=text, channel="C1",
        opened_at=NOW - 60, update_text=text, update_at=NOW, update_by=text, next_update_at=NOW + 60, test=False,
        mitigated_at=NOW,
    )  # fmt: skip


def answer(text, n):
    people = [{"name": text, "since": NOW, "until": NOW + 9, "schedule": ""}] * n
    return {
        "service": text, "policy": text, "missing": "" if n else text,
        "levels": [{"level": 1, "now": people, "next": []}, {"level": 2, "now": [], "next": people}],
    }  # fmt: skip


def stuck_(text, n):
    return Stuck(f"k{n}", "ticket", n or None, given_up=bool(n % 2), since=NOW - 900, attempt=3, reason=text)


@settings(deadline=None)
@given(
    text=words,
    mine=st.integers(0, 60),
    others=st.integers(0, 200),
    services=st.integers(0, 90),
    people=st.integers(0, 6),
    stuck=st.integers(0, 200),
    flags=st.integers(0, 40),
    allowed=st.sets(st.sampled_from(["open", "ack", "mitigate", "resolve", "update", "repair"])),
    statuses=st.lists(st.sampled_from([Status.TRIGGERED, Status.ACKNOWLEDGED, Status.MITIGATED]), min_size=1),
    private=st.booleans(),
)
def test_whatever_there_is_to_show_slack_takes_it(
    text, mine, others, services, people, stuck, flags, allowed, statuses, private
):
    rows = [incident(n, text, statuses[n % len(statuses)]) for n in range(mine + others)]
    flag = SimpleNamespace(
        id=7, name=text, status="on", until=NOW + 60, asked_by=text, reason=text, prior="", on_at=NOW, ending_at=None
    )
    found = Facts(
        user="U012AB3CD", command="/captain", now=NOW, may=lambda _subject, verb: verb in allowed,
        mine=[(row, text) for row in rows[:mine]], others=rows[mine:], hidden=set(range(7)) if private else (),
        on_call=Turns(NOW, [answer(text, people)] * services, why=text), flags=[(flag, text)] * flags, has_flags=True,
        owed={"pagerduty": (3, 70.0), "looks": (1, 1.0)}, stuck=[stuck_(text, n) for n in range(stuck)], watchdogs="*w*",
    )  # fmt: skip
    blocks = view(found)["blocks"]
    assert check_blocks(blocks, most=100) == []
    assert len(blocks) < 100, "nothing was left out by the last resort"
    assert "lists what you can ask for" in str(blocks[-1])
    said = [part for block in blocks for part in texts(block)]
    calls = [mark for one in said for mark in re.findall(r"<[^>]*>", one)]
    assert all(mark.startswith(("<!date^", "<@U012AB3CD>", "<#C1>")) for mark in calls), calls
    pressed = {one["action_id"].split()[1] for block in blocks for one in parts(block) if one["type"] == "button"}
    assert pressed <= allowed


@given(st.sampled_from([Status.TRIGGERED, Status.ACKNOWLEDGED, Status.MITIGATED]), st.booleans())
def test_of_a_private_incident_nothing_is_shown_but_that_there_is_one(status, mine):
    row = incident(7, "merger", status)
    whose = {"mine": [(row, "you have it")]} if mine else {"others": [row]}
    shown = str(view(Facts(user="U1", command="/captain", now=NOW, may=lambda *_: True, hidden={7}, **whose)))
    assert "private incident" in shown
    assert "merger" not in shown


def parts(block):
    return [*block.get("elements", ()), *([block["accessory"]] if "accessory" in block else [])]


def texts(block):
    found = [block["text"]["text"]] if block["type"] == "section" else []
    return found + [one["text"] for one in block.get("elements", ()) if one["type"] == "mrkdwn"]
