"""What is held, by what and until when: the decision of noise control, as rules."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.noise import matchers
from handlers.noise.kinds import seconds_of
from handlers.noise.matchers import Matcher
from handlers.noise.weigh import LOOK_AGAIN, Incoming, Kind, Known, Parent, Past, Quiet, Rule, weigh

NOW = 1_800_000_000.0


def incoming(
    service: str = "docs-api",
    *,
    rank: int = 2,
    at: float = NOW,
    key: str = "",
    since: float | None = None,
    **labels: str,
) -> Incoming:
    said = {"alertname": "Burn", "service": service, "env": "prod", "slo": "docs"} | labels
    return Incoming(
        said, service, said["env"], key or f"prod/{service}/docs", rank, rank < 3, at, at if since is None else since
    )


def quiet(number: int = 1, kind: Kind = Kind.MAINTENANCE, *, left: float = 60.0, **more: Any) -> Quiet:
    return Quiet(id=number, kind=kind, name="docs-api", until=NOW + left, length=3600.0, by="alice", **more)


def test_nothing_is_held_without_a_reason():
    assert weigh(incoming(), Known()) is None
    assert weigh(incoming(), Known(quiets=[quiet(services=["gateway"])])) is None
    assert weigh(incoming(), Known(quiets=[quiet(left=0)])) is None, "its time is over"


def test_the_sentence_says_what_by_whom_why_and_until_when():
    held = weigh(incoming(), Known(quiets=[quiet(services=["docs-api"], reason="new disks")]))
    assert held
    assert (
        held.sentence
        == "held, pages nobody: maintenance docs-api is on until 2027-01-15 08:01 UTC, by alice (new disks)"
    )
    assert (held.kind, held.quiet, held.until) == (Kind.MAINTENANCE, 1, NOW + 60)


def test_of_several_the_last_to_end_is_named():
    held = weigh(incoming(), Known(quiets=[quiet(1, left=10), quiet(2, left=30), quiet(3, left=20)]))
    assert held
    assert held.quiet == 2


def test_a_silence_covers_its_incident_and_nothing_that_is_worse_than_what_was_seen():
    silence = quiet(kind=Kind.SILENCE, key="prod/docs-api/docs", rank=3)
    assert weigh(incoming(rank=3), Known(quiets=[silence]))
    assert weigh(incoming(rank=2), Known(quiets=[silence])) is None
    assert weigh(incoming(rank=3, key="dev/docs-api/docs"), Known(quiets=[silence])) is None


@pytest.mark.parametrize(
    ("text", "labels", "met"),
    [
        ('slo="docs"', {"slo": "docs"}, True),
        ("slo=docs", {"slo": "docs"}, True),
        ('slo="docs"', {"slo": "docs-2"}, False),
        ('slo=~"docs.*"', {"slo": "docs-2"}, True),
        ('slo=~"docs"', {"slo": "docs-2"}, False),
        ('env!="dev"', {}, True),
        ('env!~"dev|test"', {"env": "test"}, False),
        ('team=""', {}, True),
        ('team="Zoë\\nß"', {"team": "Zoë\nß"}, True),
        ('path="C:\\\\x"', {"path": "C:\\x"}, True),
    ],
)
def test_a_matcher_means_what_it_means_in_alertmanager(text: str, labels: dict[str, str], met: bool):
    assert matchers.read(text).matches(labels) is met


@pytest.mark.parametrize("text", ["", "slo", "=docs", 'slo=="x', 'slo=~"("', '1slo="x"', 'slo="a" env="b"'])
def test_what_is_no_matcher_is_said(text: str):
    with pytest.raises(ValueError, match=re.escape(f"'{text}'")):
        matchers.read(text)


@given(st.from_regex(r"[a-z_][a-z0-9_]{0,9}", fullmatch=True), st.sampled_from(("=", "!=")), st.text(max_size=40))
def test_a_matcher_is_read_as_it_is_written(name: str, op: str, value: str):
    one = Matcher(name, op, value)
    assert matchers.read(str(one)) == one
    assert one.matches({name: value}) == (op == "=")


@pytest.mark.parametrize(
    ("text", "length"),
    [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172800), ("2H", 7200), ("0", None), ("0h", None),
     ("", None), ("5y", None), ("-2h", None), ("2", None), ("²h", None), ("1.5h", None)],
)  # fmt: skip
def test_lengths_of_time(text: str, length: float | None):
    assert seconds_of(text) == length


def parent(*, rank: int = 2, pages: bool = True, key: str = "prod/gateway/x", env: str = "prod") -> Parent:
    return Parent(7, key, {"service": "gateway", "env": env, "severity": f"sev{rank}", "slo": "x"}, rank, pages)


DEPENDS = Rule([Matcher("service", "=", "gateway")], [Matcher("service", "=", "docs-api")], ("env",), depends=True)


def test_a_parent_that_is_down_holds_its_children_as_long_as_somebody_was_woken_for_it():
    held = weigh(incoming(), Known(parents=[parent()], rules=[DEPENDS]))
    assert held
    assert held.sentence == "held, pages nobody: INC-7 of gateway is open, which docs-api depends on"
    assert (held.kind, held.incident, held.until) == (Kind.INHIBITED, 7, NOW + LOOK_AGAIN)


@pytest.mark.parametrize(
    "other",
    [parent(rank=3, pages=False), parent(pages=False), parent(env="dev"), parent(key="prod/docs-api/docs")],
    ids=["less bad", "woke nobody", "another environment", "itself"],
)
def test_a_parent_that_is_less_than_the_child_holds_nothing(other: Parent):
    assert weigh(incoming(), Known(parents=[other], rules=[DEPENDS])) is None


def test_a_child_that_wakes_nobody_may_stand_behind_a_parent_that_wakes_nobody():
    assert weigh(incoming(rank=3), Known(parents=[parent(rank=3, pages=False)], rules=[DEPENDS]))


def test_what_is_not_the_target_is_not_inhibited():
    assert weigh(incoming("search"), Known(parents=[parent()], rules=[DEPENDS])) is None


def past(*, ago: float = 60.0, rank: int = 2) -> Past:
    return Past(3, rank, NOW - ago)


def test_after_its_end_a_key_cools_down_unless_it_is_worse_than_before():
    held = weigh(incoming(), Known(past=past(), cooldown=300))
    assert held
    assert (held.kind, held.until, held.incident) == (Kind.COOLDOWN, NOW + 240, 3)
    assert "INC-3 ended at 2027-01-15 07:59 UTC, and noise.cooldown lasts until 2027-01-15 08:04 UTC" in held.sentence
    assert weigh(incoming(rank=1), Known(past=past(), cooldown=300)) is None, "it is worse"
    assert weigh(incoming(), Known(past=past(ago=300), cooldown=300)) is None, "it is over"
    assert weigh(incoming(), Known(past=past(ago=-3600), cooldown=300)) is None, "the clock was set back"
    assert weigh(incoming(), Known(past=past())) is None, "there is none"


QUIETS = st.lists(
    st.builds(
        lambda number, left, services, rank: quiet(number, left=left, services=services, rank=rank),
        st.integers(1, 9), st.floats(-100, 100), st.lists(st.sampled_from(["docs-api", "gateway"]), max_size=2),
        st.integers(1, 3),
    ),
    max_size=6,
)  # fmt: skip


@given(QUIETS, st.integers(1, 3))
def test_what_is_held_has_an_end_and_acts_once_every_reason_is_over(quiets: list[Quiet], rank: int):
    """Weighed anew at the end of what holds it, as the sweep does, it acts after at most as many turns as there are reasons."""
    at = NOW
    for _ in range(len(quiets) + 1):
        held = weigh(incoming(rank=rank, at=at), Known(quiets=quiets))
        if held is None:
            break
        assert held.until is not None
        assert held.until > at
        at = held.until
    else:
        raise AssertionError("it is held for ever")
    assert not any(one.holds(incoming(rank=rank, at=at)) for one in quiets)


@given(QUIETS, st.integers(1, 3), st.floats(-1000, 1000), st.floats(0, 500))
def test_whatever_holds_it_once_all_of_it_is_over_it_acts(quiets: list[Quiet], rank: int, ago: float, cooldown: float):
    known = Known(quiets=quiets, parents=[parent(rank=1)], rules=[DEPENDS], past=past(ago=ago), cooldown=cooldown)
    held = weigh(incoming(rank=rank), known)
    assert held is not None, "its parent is open"
    after = max([held.until or NOW, *(one.until for one in quiets), NOW - ago + cooldown])
    assert weigh(incoming(rank=rank, at=after), replace(known, parents=[])) is None


@given(QUIETS, st.integers(1, 2))
def test_what_is_worse_is_never_held_where_what_is_better_acts(quiets: list[Quiet], rank: int):
    if weigh(incoming(rank=rank), Known(quiets=quiets)) is not None:
        assert weigh(incoming(rank=rank + 1), Known(quiets=quiets)) is not None
