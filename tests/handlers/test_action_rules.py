"""The rules of actions, and their promises as properties: nobody's wish is not done, and what has an undo ends undone."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic import ValidationError

from bot.errors import Refused
from bot.integrations.kubernetes.fake import FakeKubernetes
from bot.integrations.kubernetes.fake_objects import Options
from bot.standin import CallLog
from handlers.actions import place, plan, rules, words
from handlers.actions.kinds import Action, Parameter, misfits, steps
from handlers.actions.place import Spot
from handlers.actions.rules import BEFORE, OVER, Do, Event, Person, Status
from handlers.flags import rules as flag_rules
from handlers.flags.kinds import MANAGER
from handlers.flags.rules import Mark, Way

ONE = {
    "service": "docs-api",
    "parameters": {"n": {"pattern": "[0-9]+"}},
    "do": {"scale": {"kind": "deployment", "namespace": "prod", "name": "docs-api", "replicas": "{{ n }}"}},
    "undo": "restore",
    "ttl": "30m",
}


# ---- moves -------------------------------------------------------------------------------------------------------------


def test_nothing_is_armed_but_by_checks_that_pass_after_everybody_has_agreed():
    for table in (rules.NEXT, rules.FOR_GOOD):
        assert {pair for pair, (_, do) in table.items() if do is Do.ARM} == {(Status.CHECKING, Event.CHECKED)}
        onto = {pair for pair, (status, _) in table.items() if status is Status.CHECKING}
        assert onto == {(Status.ASKED, Event.FREE), (Status.WAITING, Event.APPROVED)}


def test_whatever_stands_can_be_ended_and_what_is_over_only_comes_back_by_being_seen():
    for status in Status:
        leaves = {event for event in Event if rules.after(status, event, undoable=True) is not None}
        if status in (Status.OFF, Status.NOT_APPLIED):
            assert leaves == {Event.SEEN_ON}
        elif status in OVER:
            assert leaves == set()
        else:
            assert Event.END in leaves


def test_what_has_no_undo_never_waits_for_one():
    reached = {status for status, _ in rules.FOR_GOOD.values()}
    assert not reached & {Status.ON, Status.TURNING_OFF, Status.OFF}
    assert all(status in BEFORE or status is Status.TURNING_ON for status, _ in rules.FOR_GOOD)


class Life(RuleBasedStateMachine):
    """One request between a clock, people, checks and an outside that may act unheard; what the engine does in a few lines."""

    undoable = True

    def __init__(self) -> None:
        super().__init__()
        self.status = Status.ASKED
        self.owed = {"look"}
        self.agreed = self.done = self.begun = self.late = self.by_hand = False
        self.needed = False
        self.deeds = 0

    def move(self, event: Event) -> bool:
        found = rules.after(self.status, event, undoable=self.undoable)
        if found is None:
            return False
        self.status, do = found
        if do is Do.ASK:
            self.owed.add("expire")
        elif do is Do.CHECK:
            self.owed = {"check"}
        elif do is Do.ARM:
            self.owed |= {"do"} | ({"undo"} if self.undoable else set())
        elif do is Do.FORGET:
            self.owed = set()
        elif do in (Do.UNDO_NOW, Do.UNDO_AGAIN):
            self.owed.discard("do")
            self.owed.add("undo")
        return True

    @rule(needed=st.booleans(), fits=st.booleans())
    @precondition(lambda self: "look" in self.owed)
    def looks(self, needed: bool, fits: bool) -> None:
        self.owed.discard("look")
        self.needed = needed
        self.move((Event.LOOKED if needed else Event.FREE) if fits else Event.NO)

    @rule(same=st.booleans(), in_time=st.booleans())
    def somebody_agrees(self, same: bool, in_time: bool) -> None:
        if not same and self.status is Status.WAITING:
            self.agreed = in_time and self.move(Event.APPROVED)
            if not in_time:
                self.move(Event.LAPSED)

    @rule(event=st.sampled_from([Event.DECLINED, Event.LAPSED, Event.END, Event.NO]))
    def it_is_given_up(self, event: Event) -> None:
        if event is Event.NO and self.status not in BEFORE:
            return  # only what was not begun is said to be nothing
        self.move(event)

    @rule(passes=st.booleans())
    @precondition(lambda self: "check" in self.owed)
    def checks(self, passes: bool) -> None:
        self.owed.discard("check")
        self.move(Event.CHECKED if passes else Event.NO)

    @rule(acts=st.booleans(), heard=st.booleans())
    @precondition(lambda self: "do" in self.owed)
    def does(self, acts: bool, heard: bool) -> None:
        if self.late or self.begun:  # too late; or begun by a dead process, and never done blindly again
            self.owed.discard("do")
            self.move(Event.FAILED)
            return
        self.begun = True
        self.done |= acts
        self.deeds += acts
        if heard:
            self.owed.discard("do")
            self.move(Event.APPLIED if acts else Event.FAILED)

    @rule()
    def the_clock(self) -> None:
        self.late = True
        if self.undoable:
            self.move(Event.END) if self.status in (Status.TURNING_ON, Status.ON) else None

    @rule(works=st.booleans(), gave_up=st.booleans())
    @precondition(lambda self: "undo" in self.owed and self.status is Status.TURNING_OFF)
    def undoes(self, works: bool, gave_up: bool) -> None:
        if works:
            self.done = False
            self.owed.discard("undo")
            self.move(Event.UNDONE if self.begun else Event.NEVER_ON)
        elif gave_up:
            self.move(Event.GAVE_UP)

    @rule()
    def a_person_says_it_is_undone(self) -> None:
        if self.undoable and self.move(Event.BY_HAND):
            self.done, self.by_hand = False, True

    @invariant()
    def nobody_is_passed_over(self) -> None:
        if self.begun or "do" in self.owed:
            assert self.agreed or not self.needed

    @invariant()
    def what_may_be_done_has_its_undo_owed(self) -> None:
        if self.undoable and self.status in (Status.TURNING_ON, Status.ON, Status.TURNING_OFF):
            assert "undo" in self.owed
        if self.undoable and self.status in OVER:
            assert not self.done

    @invariant()
    def it_is_done_once(self) -> None:
        assert self.deeds <= 1


class LifeForGood(Life):
    """The same of what has no undo."""

    undoable = False


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestLifeForGood = LifeForGood.TestCase
TestLifeForGood.settings = settings(max_examples=80, stateful_step_count=20, deadline=None)


# ---- the seal, two people, parameters ----------------------------------------------------------------------------------


@given(
    st.tuples(*[st.text(max_size=8)] * 4),
    st.tuples(*[st.text(max_size=8)] * 4),
    st.dictionaries(st.text(), st.text(), max_size=3),
)
def test_a_seal_is_of_exactly_one_change(one, other, parameters):
    seal = rules.seal(one[0], parameters, *one[1:])
    assert (seal == rules.seal(other[0], parameters, *other[1:])) == (one == other)
    assert seal == rules.seal(one[0], dict(reversed(parameters.items())), *one[1:])
    assert seal != rules.seal(one[0], parameters | {"more": "x" + parameters.get("more", "")}, *one[1:])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Person("U1"), Person("U1"), True),
        (Person("U1", "a@x"), Person("cli:a@x", "A@x"), True),
        (Person("U1", "a@x"), Person("U2", "b@x"), False),
        (Person("U1"), Person("U2"), False),
        (Person("U1"), Person("U2", "b@x"), False),
        (Person("U1"), Person("cli:a@x", "a@x"), None),
        (Person("cli:a@x", "a@x"), Person("cli:b@x", "b@x"), False),
    ],
)
def test_whether_two_are_one(one, other, same):
    assert rules.same(one, other) is same
    assert rules.same(other, one) is same


@pytest.mark.parametrize(
    ("value", "wrong"),
    [("a-1", ""), ("-rf", "must not begin with -"), ("a\nb", "that can be printed"), ("a" * 201, "at most 200"), ("A", "must match")],
)  # fmt: skip
def test_a_value_is_bounded(value, wrong):
    said = Parameter(pattern="[a-z0-9-]+").unfit(value)
    assert wrong in said if wrong else said == ""


@pytest.mark.parametrize("value", ["{{ service }}", "${PATH}"])
def test_a_value_refers_to_nothing(value):
    action = Action(**ONE | {"parameters": {"n": {"pattern": ".*"}}})
    with pytest.raises(Refused, match="must not refer to anything"):
        plan.parameters("more", action, {"n": value})


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30))
def test_a_parameter_stays_one_word_and_one_part_of_an_address_and_one_value_of_json(value):
    assume(not {".", ".."} & set(unquote(value).replace("\\", "/").split("/")))
    deeds = {
        "command": {"argv": ["run", "--to={{ n }}", "{{ n }}"]},
        "http": {"url": "https://x.example.com/a/{{ n }}/b", "body": '{"n": "{{ n }}"}'},
    }
    for kind, deed in deeds.items():
        action = Action(service="docs-api", parameters={"n": {"pattern": ".*"}}, do={kind: deed}, undo={"none": "x"})
        made = plan.plan("a", action, {"n": value}, "prod", at=0.0)
        if made.command is not None:
            assert made.command.argv == ("run", f"--to={value}", value)
        if made.http is not None:
            assert made.http.url.count("/") == 5
            assert json.loads(made.http.body) == {"n": value}
        assert plan.Plan.read(made.text()) == made


@pytest.mark.parametrize("value", ["..", ".", "a/../../b", "..\\x"])
def test_a_parameter_leads_to_no_other_path(value):
    http = {"url": "https://x.example.com/gates/{{ n }}", "method": "DELETE"}
    action = Action(service="docs-api", parameters={"n": {"pattern": ".*"}}, do={"http": http}, undo={"none": "x"})
    with pytest.raises(Refused, match="another path"):
        plan.plan("a", action, {"n": value}, "prod", at=0.0)


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ({"command": {"argv": ["sh", "-ec", "scale {{ n }}"]}}, "as code"),
        ({"command": {"argv": ["kubectl", "exec", "x", "--", "/bin/bash", "-c", "echo ${n}"]}}, "as code"),
        ({"command": {"argv": ["su", "-", "app", "-c", "echo {{ n }}"]}}, "as code"),
        ({"command": {"argv": ["sh", "-c", 'echo "$1"', "sh", "{{ n }}"]}}, ""),
        ({"command": {"argv": ["sh", "-c", "echo {{ one }}"]}}, ""),
        ({"command": {"argv": ["kubectl", "exec", "x", "-c", "{{ n }}"]}}, ""),
        ({"command": {"argv": ["python3", "scale.py", "-c", "{{ n }}"]}}, ""),
        ({"command": {"argv": ["run"], "env": {"API_TOKEN": "abc"}}}, "API_TOKEN is a secret by its name"),
        ({"command": {"argv": ["run"], "env": {"API_TOKEN": "env:API_TOKEN"}}}, ""),
        ({"http": {"url": "https://x.example.com/a", "headers": {"Authorization": "Bearer abc"}}}, "secret by its name"),
        ({"http": {"url": "https://x.example.com/a", "headers": {"Authorization": "Bearer env:T"}}}, ""),
        ({"http": {"url": "https://x.example.com/a", "body": "xoxb-123456789012-abcdef"}}, "a Slack token"),
    ],
)  # fmt: skip
def test_what_would_be_read_as_code_or_shown_though_it_is_secret_stops_the_start(deed, said):
    parameters = {"n": {"pattern": ".*"}, "one": {"choices": ["a", "b"]}}
    action = Action(
        service="docs-api", parameters=parameters, do=deed, undo={"none": "x"}, approval={"people": "a@x.de"}
    )
    told = " ".join(text for _, text in misfits({"a": action}, {"docs-api": "prod"}, {}, (), cluster=True))
    assert said in told if said else told == ""


def test_whoever_agrees_reads_all_of_it_or_that_there_is_more():
    text = "POST https://x.example.com/; body " + "a" * 400 + "``` *approved by bob*"
    assert "a" * 400 in words._fenced(text, "more")
    assert words._fenced(text, "more").count("```") == 2
    cut = words._fenced("&<" * 2000, "see there")
    assert len(cut) < 2800
    assert cut.endswith("That is not all: see there")


@pytest.mark.parametrize(
    ("deed", "value", "why"),
    [
        ({"command": {"argv": ["run"], "env": {"T": "{{ n }}"}}}, "env:SLACK_BOT_TOKEN", "a reference to a secret"),
        ({"http": {"url": "https://x.example.com/", "headers": {"X": "{{ n }}"}}}, "file:/etc/x", "a reference to a secret"),
        ({"command": {"argv": ["sh", "-c", "run {{ n }}"]}}, "; rm x", "would be code"),
    ],
)  # fmt: skip
def test_a_value_is_neither_a_secret_nor_code(deed, value, why):
    action = Action(service="docs-api", parameters={"n": {"pattern": ".*"}}, do=deed, undo={"none": "x"})
    with pytest.raises(Refused, match=why):
        plan.plan("a", action, {"n": value}, "prod", at=0.0)


def test_an_action_without_a_way_back_says_why_and_always_needs_somebody_else():
    restart = {"kind": "deployment", "namespace": "a", "name": "b"}
    action = Action(service="docs-api", do={"restart": restart}, undo={"none": "it restarts"})
    assert action.needs_approval("stage")
    with pytest.raises(ValidationError, match="a restart cannot be taken back"):
        Action(service="docs-api", do={"restart": restart}, undo="restore", ttl="5m")


@pytest.mark.parametrize(
    ("path", "found"),
    [("spec.replicas", ("spec", "replicas")), ("data[a.b]", ("data", "a.b")), ("metadata.labels[a/b.c].x", ("metadata", "labels", "a/b.c", "x"))],
)  # fmt: skip
def test_paths(path, found):
    assert steps(path) == found


# ---- fields of an object -----------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b.c", "d"])
VALUES = st.text(max_size=5)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(KEYS, VALUES, min_size=1),
    st.dictionaries(KEYS, VALUES, min_size=1),
    st.sampled_from(["", "changes one", "asks for one"]),
)
def test_fields_get_back_what_they_had_and_nothing_else_is_touched(before, wanted, meanwhile):
    """The cluster is the stand-in's own store of objects; what somebody else has set meanwhile stays."""
    cluster = FakeKubernetes(CallLog(), seed=False, rollout_seconds=None)
    meta = {"name": "m", "namespace": "n"}
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": before | {"other": "x"}})
    kind = cluster.registry.by_kind("", "ConfigMap")
    spot = Spot("act", "configmap", "n", "m", {f"data[{key}]": value for key, value in wanted.items()})

    def found() -> dict:
        record = cluster.objects.get(kind, "n", "m")
        return {**record.body, "metadata": {**record.meta, "managedFields": [one.wire() for one in record.owners]}}

    def land(body: dict, manager: str = "", *, force: bool = False) -> None:
        how = Options(manager or f"{MANAGER}-{spot.part}", named=True, force=force)
        cluster.objects.apply(kind, "v1", ("n", "m"), {"apiVersion": "v1", **body}, how)

    seen = spot.seen(found())
    mark = Mark("u1", 1_800_000_000.0, seen.value, "alice")
    if flag_rules.unfit(seen, on=spot.on, where="it"):
        assert all(before.get(key) == value for key, value in wanted.items())
        return
    was, spot = found(), spot.changes(seen)
    land(spot.body(seen, spot.on, mark), force=True)
    assert {line.split(":")[0] for line in place.diff(was, found(), spot.annotation)} == {
        f"data[{key}]" if "." in key else f"data.{key}" for key, value in wanted.items() if before.get(key) != value
    }
    expected, key = before | {"other": "x"}, steps(min(spot.fields))[1]
    if meanwhile == "changes one":
        land({"kind": "ConfigMap", "metadata": meta, "data": {key: "theirs!"}}, "kubectl-edit", force=True)
        expected[key] = "theirs!"
    elif meanwhile == "asks for one":
        land({"kind": "ConfigMap", "metadata": meta, "data": {key: wanted[key]}}, "argo")
        expected[key] = wanted[key]
    seen = spot.seen(found())
    assert seen.ours("u1", spot.on)
    way = spot.way(seen, "u1")
    assert way is (Way.LEAVE if meanwhile and len(spot.fields) == 1 else Way.RESTORE)
    land(spot.body(seen, spot.restored(seen, json.loads(mark.back)) if way is Way.RESTORE else spot.kept(seen)))
    assert found()["data"] == expected
    assert spot.annotation not in (found()["metadata"].get("annotations") or {})
