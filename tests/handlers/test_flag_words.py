"""What a reader sees of a flag: true, complete, and never more than Slack takes."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.integrations.slack.fake_blocks import check_blocks
from handlers.flags import words
from handlers.flags.rules import Seen, Status

NOW = time.time()
TARGET = '{"kind": "configmap", "namespace": "prod", "name": "gateway-flags", "key": "bypass", "on": "true"}'


def flag(**changes):
    row = {
        "id": 7, "uid": "u", "name": "gateway-bypass", "service": "gateway", "status": "on", "target": TARGET,
        "prior": '{"found": "false", "back": "false"}', "term": 1, "asked_by": "alice", "asker": "U1", "asked_at": NOW - 60,
        "reason": "the sidecar is slow", "until": NOW + 600, "on_at": NOW - 59, "ending_at": None, "off_at": None,
        "off_by": "", "why": "", "channel": "C1", "ts": "1.1", "alarm_ts": "", "panel": 0, "panel_owed": False,
    }  # fmt: skip
    return SimpleNamespace(**(row | changes))


def shown(row, trouble="") -> str:
    return str(words.panel(row, trouble)[1])


def test_what_is_on_says_until_when_by_whom_why_and_what_comes_back():
    text = shown(flag())
    for said in (
        "is on until",
        "*alice*",
        "the sidecar is slow",
        "on is 'true', then back to 'false'",
        "flag off",
        "flag extend",
    ):
        assert said in text
    assert "then back to nothing" in shown(flag(prior='{"found": null, "back": null}'))


def test_the_buttons_name_the_very_switching_on():
    text = shown(flag())
    assert "gateway-bypass#7" in text
    assert "gateway-bypass#7 --for 30m" in text


@pytest.mark.parametrize("status", [Status.TURNING_OFF, Status.OFF, Status.NOT_APPLIED])
def test_what_ends_has_no_buttons(status):
    assert "actions" not in shown(flag(status=status.value, off_at=NOW, ending_at=NOW, off_by="bob", why="no"))


def test_still_on_is_said_only_of_what_was_on():
    row = flag(status="turning_off", ending_at=NOW - 200, off_by="the clock")
    assert "is being switched off by the clock" in shown(row)
    assert "⚠ *gateway-bypass* is STILL ON: it should be off since" in shown(row, "Kubernetes hangs")
    assert "Kubernetes hangs. I keep trying." in shown(row, "Kubernetes hangs")
    assert "MAY BE ON" in shown(flag(status="turning_off", ending_at=NOW, off_by="bob", on_at=None), "Kubernetes hangs")


def test_the_alarm_says_what_to_do_by_hand_and_whom_to_wake():
    row = flag(status="turning_off", ending_at=NOW - 200, off_by="the clock")
    text = str(words.alarm(row, "Kubernetes hangs", ["@edge-team"], now=NOW))
    for said in ("STILL ON", "3 min 20 s ago", "key bypass, set it to 'false'", "Wake <@U1> or @edge-team."):
        assert said in text
    assert "take the value out" in str(words.alarm(flag(prior='{"found": null, "back": null}'), "", [], now=NOW))
    assert "1 min 40 s late" in words.calm(flag(ending_at=NOW - 200, off_at=NOW - 100))[0]


@given(st.text(max_size=400), st.text(max_size=60), st.text(max_size=900), st.sampled_from(Status))
def test_whatever_people_and_clusters_say_slack_takes_it_and_nobody_is_mentioned(reason, who, trouble, status):
    row = flag(
        reason=reason, asked_by=who, off_by=who, why=trouble, status=status.value, off_at=NOW, ending_at=NOW, asker=""
    )
    seen = Seen(there=True, value=reason, rivals=(who,))
    panels = [words.panel(row, trouble), words.alarm(row, trouble, [who], now=NOW), words.calm(row)]
    panels.append(words.listing([(row, trouble)] * 30, [(f"f{i}", row) for i in range(30)], now=NOW))
    for text, blocks in panels:
        assert check_blocks(blocks) == []
        assert "<!channel>" not in text
        assert "<@" not in text
    said = [
        words.not_applied(row),
        words.left(row, seen),
        words.changed(row, seen),
        words.again(row),
        words.line(row, now=NOW),
    ]
    assert not any("<!channel>" in text or "<@" in text for text in said)
