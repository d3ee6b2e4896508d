"""The rules of flags, and the promise as a property: whatever happens in whatever order, it ends off."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.integrations.kubernetes.fake import FakeKubernetes
from bot.integrations.kubernetes.fake_objects import Options
from bot.integrations.kubernetes.fake_patch import MERGE_PATCH
from bot.integrations.kubernetes.fake_status import ApiError
from bot.integrations.kubernetes.fake_store import Record
from bot.standin import CallLog
from handlers.flags import rules
from handlers.flags.kinds import KINDS, MANAGER, Spot, Target
from handlers.flags.rules import OVER, Change, Do, Event, Mark, Seen, Status, Way

SPOT = Spot("bypass", Target(kind="configmap", namespace="prod", name="gateway-flags", key="bypass"), "true")
MARK = Mark("u1", 1_800_000_000.0, "false", "alice")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800), ("1h", 3600), ("1h30m", 5400), ("90s", 90), ("2H5M1S", 7501), ("30min", 1800), (" 5m ", 300),
        ("0m", 0), ("30", None), ("", None), ("m", None), ("-5m", None), ("5m1h", None), ("1.5h", None), ("٣m", 180),
    ],
)  # fmt: skip
def test_durations_are_read_as_people_write_them(text, seconds):
    assert rules.seconds_of(text) == seconds


@given(st.text(max_size=30), st.floats(0, 4e9), st.none() | st.text(max_size=30), st.text(max_size=30), st.booleans())
def test_a_mark_is_read_as_it_was_written(uid, until, back, by, over):
    mark = Mark(uid, float(int(until)), back, by, over)
    assert rules.read_mark(mark.text()) == mark


@given(st.none() | st.text() | st.sampled_from(['{"uid": 1}', "[]", "null", '{"uid":"u","until":"x","back":1,"by":2}']))
def test_what_is_no_mark_is_none(text):
    assert rules.read_mark(text) is None


def test_every_status_can_be_left_but_the_two_ends_and_those_only_by_being_seen_on():
    for status in Status:
        leaves = {event for event in Event if rules.after(status, event) is not None}
        assert leaves == {Event.SEEN_ON} if status in OVER else Event.END in leaves


def test_nothing_is_armed_without_its_undo():
    """Only the look leads to an apply, and the one step that owes an apply owes the undo with it."""
    assert {pair for pair, (_, do) in rules.NEXT.items() if do is Do.ARM} == {(Status.ASKED, Event.LOOKED)}
    onto = {pair for pair, (status, _) in rules.NEXT.items() if status in (Status.TURNING_ON, Status.ON)}
    assert {status for status, _ in onto} == {Status.ASKED, Status.TURNING_ON, Status.ON}


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Seen(), "does not exist; create it first"),
        (Seen(there=True, value="true"), "it is 'true' in it already, and not by me"),
        (Seen(there=True, value="x" * 1001), "that is no flag"),
        (Seen(there=True, value="true", mark=MARK), "carries the mark of a switching-on by alice until"),
        (Seen(there=True, value="false"), ""),
        (Seen(there=True, value=None), ""),
        (Seen(there=True, value="false", mark=Mark("u0", 0, None, "x", over=True)), ""),
    ],
)
def test_why_it_cannot_be_switched_on(seen, why):
    said = rules.unfit(seen, on="true", where="it")
    assert why in said if why else said == ""


@pytest.mark.parametrize(
    ("seen", "was_on", "change"),
    [
        (Seen(there=True, value="false"), False, Change.WRITE),
        (Seen(there=True, value="maybe"), False, Change.LEAVE),
        (Seen(), False, Change.LEAVE),
        (Seen(there=True, value="true", mark=MARK), False, Change.NOTHING),
        (Seen(there=True, value="true", mark=Mark("u1", 1.0, "false", "alice")), True, Change.WRITE),
        (Seen(there=True, value="false", mark=MARK), True, Change.LEAVE),
        (Seen(there=True, value="false"), True, Change.LEAVE),
        (Seen(there=True, value="false", mark=Mark("u2", 9e9, "false", "bob")), False, Change.LEAVE),
    ],
)
def test_people_win_over_an_apply(seen, was_on, change):
    assert rules.to_switch_on(seen, MARK, on="true", prior="false", was_on=was_on) is change


@pytest.mark.parametrize(
    ("seen", "way"),
    [
        (Seen(), Way.NOTHING),
        (Seen(there=True, value="true", mark=MARK, held=True), Way.RESTORE),
        (Seen(there=True, value="true", mark=MARK), Way.RESTORE),
        (Seen(there=True, value="true", held=True), Way.RESTORE),
        (Seen(there=True, value="true", mark=MARK, held=True, rivals=("argo",)), Way.LEAVE),
        (Seen(there=True, value="maybe", mark=MARK), Way.LEAVE),
        (Seen(there=True, value="false"), Way.FENCE),
        (Seen(there=True, value="true"), Way.FENCE),
        (Seen(there=True, value="true", mark=Mark("u2", 9e9, None, "bob")), Way.NOTHING),
    ],
)
def test_how_it_goes_back(seen, way):
    assert rules.way_back(seen, "u1", on="true") is way


# ---- the promise -------------------------------------------------------------------------------------------------------


@dataclass
class Sent:
    """A request that has left us and that the cluster may take now, later, or never."""

    body: dict
    force: bool


@dataclass
class Play:
    """One switching-on between a clock, people and a cluster that may lose requests or take them late.

    The cluster is the stand-in's own store of objects. What the engine does with what is owed is said in a few lines: it
    tries, and tries again. Each act of ours has two halves, a look and a request, and anything may happen in between.
    """

    back: str | None
    again: bool = False  # it has been on and off before, so that the value is there under our name
    cluster: FakeKubernetes = field(default_factory=lambda: FakeKubernetes(CallLog(), seed=False, rollout_seconds=None))
    status: Status = Status.ASKED
    prior: str | None = None
    was_on: bool = False
    term: int = 0
    owed: set[str] = field(default_factory=lambda: {"look"})
    wire: list[Sent] = field(default_factory=list)
    plan: dict[str, Seen] = field(default_factory=dict)
    late: bool = False
    people: int = 0

    def __post_init__(self) -> None:
        meta = {"name": "gateway-flags", "namespace": "prod"}
        data = {"rate-limit": "100"} | ({"bypass": self.back} if self.back is not None else {})
        self.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}})
        self.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
        if self.again:
            assert self.land(Sent(SPOT.body(self.seen(), "true", Mark("u0", 0.0, self.back, "bob")), True))
            assert self.land(Sent(SPOT.body(self.seen(), self.back), False))

    # the cluster

    def seen(self) -> Seen:
        kind = self.cluster.registry.by_kind("", "ConfigMap")
        record: Record = self.cluster.objects.get(kind, "prod", "gateway-flags")
        meta = {**record.meta, "managedFields": [one.wire() for one in record.owners]}
        return SPOT.seen({**record.body, "metadata": meta})

    def land(self, sent: Sent) -> bool:
        """The cluster takes a request; False when it refuses it."""
        kind = self.cluster.registry.by_kind("", "ConfigMap")
        body = {"apiVersion": "v1", **sent.body}
        how = Options(f"{MANAGER}-{SPOT.part}", named=True, force=sent.force)
        try:
            self.cluster.objects.apply(kind, "v1", ("prod", "gateway-flags"), body, how)
        except ApiError as refused:
            assert refused.code == 409, refused
            return False
        return True

    # our side

    def move(self, event: Event) -> None:
        found = rules.after(self.status, event)
        if found is None:
            return
        self.status, do = found
        if do in (Do.ARM, Do.REARM):
            self.term += 1
            self.owed |= {"undo", "on"}
        elif do in (Do.UNDO_NOW, Do.UNDO_AGAIN):
            self.owed.discard("on")
            self.owed.add("undo")
        elif do is Do.FORGET:
            self.owed.discard("look")
        self.sound()

    def sound(self) -> None:
        """The law: never a moment in which it could be on without an undo owed."""
        if "on" in self.owed or self.status in (Status.TURNING_ON, Status.ON, Status.TURNING_OFF):
            assert "undo" in self.owed
        if self.status in OVER:
            seen = self.seen()
            assert "undo" not in self.owed
            assert not (seen.held and seen.value == "true"), "it is over, and what we set is there"

    def look(self) -> None:
        if "look" in self.owed:
            seen = self.seen()
            self.owed.discard("look")
            if rules.unfit(seen, on="true", where="it"):
                self.move(Event.REFUSED)
            else:
                self.prior = seen.value
                self.move(Event.LOOKED)

    def mark(self) -> Mark:
        return Mark("u1", float(self.term), self.prior, "alice")

    def on_looks(self) -> None:
        if "on" in self.owed:
            self.plan["on"] = self.seen()

    def on_sends(self, *, heard: bool) -> None:
        """The second half. An apply in flight does not hear that it was cancelled: what was planned is sent."""
        seen = self.plan.pop("on", None)
        if seen is None:
            return
        change = rules.to_switch_on(seen, self.mark(), on="true", prior=self.prior, was_on=self.was_on)
        if change is Change.LEAVE:
            self.owed.discard("on")
            self.move(Event.END if self.was_on else Event.REFUSED)
        elif change is Change.WRITE and self.late:
            self.owed.discard("on")
            self.move(Event.REFUSED)
        elif change is Change.WRITE:
            sent = Sent(SPOT.body(seen, "true", self.mark()), True)
            if not heard:
                self.wire.append(sent)
            elif self.land(sent):
                self.on_done()
        else:
            self.on_done()

    def on_done(self) -> None:
        self.owed.discard("on")
        self.was_on = True
        self.move(Event.APPLIED)

    def undo_looks(self) -> None:
        if "undo" in self.owed and (self.late or self.status is Status.TURNING_OFF):
            self.move(Event.END)
            self.plan["undo"] = self.seen()

    def undo_sends(self, *, heard: bool) -> None:
        seen = self.plan.pop("undo", None)
        if seen is None or "undo" not in self.owed:
            return
        way = rules.way_back(seen, "u1", on="true")
        bodies = {
            Way.RESTORE: [SPOT.body(seen, self.prior)],
            Way.LEAVE: [SPOT.body(seen, SPOT.kept(seen))],
            Way.FENCE: [SPOT.body(seen, SPOT.kept(seen), Mark("u1", 0.0, None, "alice", over=True))],
            Way.NOTHING: [],
        }[way]
        self.was_on |= way in (Way.RESTORE, Way.LEAVE)
        for body in bodies:
            sent = Sent(body, False)
            if not heard:
                self.wire.append(sent)
                return
            if not self.land(sent):
                return
        if way is Way.FENCE:
            fenced = self.seen()
            if not self.land(Sent(SPOT.body(fenced, SPOT.kept(fenced)), False)):
                return
        if way is Way.RESTORE and self.seen().value == "true":
            return
        self.owed.discard("undo")
        self.move(Event.UNDONE if self.was_on else Event.NEVER_ON)

    def tick(self) -> None:
        seen = self.seen()
        if self.status in OVER and seen.mark is not None and not seen.mark.over and seen.mark.uid == "u1":
            self.move(Event.SEEN_ON)

    def person(self, value: str) -> None:
        self.people += 1
        kind = self.cluster.registry.by_kind("", "ConfigMap")
        place = ("prod", "gateway-flags")
        self.cluster.objects.patch(kind, "v1", place, MERGE_PATCH, {"data": {"bypass": value}}, Options("kubectl-edit"))

    def finish(self) -> None:
        """The cluster answers again: what was on its way arrives or is lost, what is owed is done, the clock ticks."""
        self.late = True
        for _ in range(6):
            self.look()
            self.on_looks()
            self.on_sends(heard=True)
            self.undo_looks()
            self.undo_sends(heard=True)
            while self.wire:
                self.land(self.wire.pop())
            self.tick()


ACTS = {
    "look": Play.look,
    "on looks": Play.on_looks,
    "on is heard": lambda play: play.on_sends(heard=True),
    "on is not heard": lambda play: play.on_sends(heard=False),
    "undo looks": Play.undo_looks,
    "undo is heard": lambda play: play.undo_sends(heard=True),
    "undo is not heard": lambda play: play.undo_sends(heard=False),
    "its time is over": lambda play: setattr(play, "late", True),
    "a person wants it off": lambda play: play.move(Event.END),
    "a person extends it": lambda play: None if play.late else play.move(Event.EXTENDED),
    "the engine gives up": lambda play: play.move(Event.GAVE_UP) if "undo" in play.owed and play.late else None,
    "the first on its way arrives": lambda play: play.land(play.wire.pop(0)) if play.wire else None,
    "the last on its way arrives": lambda play: play.land(play.wire.pop()) if play.wire else None,
    "the first on its way is lost": lambda play: play.wire and play.wire.pop(0),
    "the tick": Play.tick,
}
BY_HAND = {
    "somebody sets it to maybe": lambda play: play.person("maybe"),
    "somebody sets it to false": lambda play: play.person("false"),
    "somebody sets it to true": lambda play: play.person("true"),
}


STARTS = st.sampled_from(["false", None]), st.booleans()
UNHEARD = ["look", "on looks", "on is not heard", "a person wants it off"]
BEGUN = (["look"], ["look", "on looks"], UNHEARD, [*UNHEARD, "undo looks", "undo is heard"])


def sequences(acts: dict) -> st.SearchStrategy[list[str]]:
    """Any acts in any order, after a beginning that gets somewhere."""
    return st.builds(list.__add__, st.sampled_from([[], *BEGUN]), st.lists(st.sampled_from(sorted(acts)), max_size=40))


@given(*STARTS, sequences(ACTS))
@settings(max_examples=300)
def test_every_sequence_of_events_ends_off_and_as_it_was(back, again, acts):
    play = Play(back, again)
    for act in acts:
        ACTS[act](play)
        play.sound()
    play.finish()
    play.sound()
    seen = play.seen()
    assert play.status in OVER
    assert play.owed == set()
    assert (seen.value, seen.mark) == (back, None)
    assert play.status is Status.OFF or not play.was_on


@given(*STARTS, sequences({**ACTS, **BY_HAND}))
@settings(max_examples=300)
def test_whatever_people_do_meanwhile_no_mark_and_no_doing_of_ours_is_left(back, again, acts):
    play = Play(back, again)
    for act in acts:
        {**ACTS, **BY_HAND}[act](play)
        play.sound()
    play.finish()
    seen = play.seen()
    assert play.status in OVER
    assert seen.mark is None
    assert not (seen.held and seen.value == "true"), "what we set stays on"
    if seen.value == "true":
        assert "somebody sets it to true" in acts
    elif seen.value == "maybe":
        assert "somebody sets it to maybe" in acts


def test_the_same_spot_is_the_same_manager_and_another_key_is_another():
    other = Spot("bypass", SPOT.target.model_copy(update={"key": "other"}), "true")
    assert SPOT.part == Spot("bypass", SPOT.target, "on").part
    assert SPOT.part != other.part
    assert len(f"{MANAGER}-{'x' * 50}") + len(SPOT.part) < 128


def test_every_kind_says_where_its_value_stands():
    for name, kind in KINDS.items():
        target = Target(kind=name, namespace="a", name="b", key="c" if kind.keyed else "")
        assert all(kind.path(target)), name


def test_what_was_on_its_way_when_it_was_fenced_is_refused():
    """The proof in one line of play: looked, sent and not heard; switched off; and only then it arrives."""
    play = Play("false")
    for act in ("look", "on looks", "on is not heard", "a person wants it off", "undo looks", "undo is heard"):
        ACTS[act](play)
    assert play.status is Status.NOT_APPLIED
    (sent,) = play.wire
    assert not play.land(sent)
    assert play.seen() == Seen(
        there=True, value="false", rivals=("seed",), uid=play.seen().uid, version=play.seen().version
    )


def test_both_orders_of_two_that_meet_are_safe():
    for order in itertools.permutations(["on is heard", "undo is heard"]):
        play = Play("false")
        for act in ("look", "on looks", "a person wants it off", "undo looks", *order):
            ACTS[act](play)
        play.finish()
        assert (play.status in OVER, play.seen().value, play.seen().mark) == (True, "false", None)


def test_an_object_that_is_restored_to_a_time_when_it_was_on_is_seen_and_put_back():
    play = Play("false")
    for act in ("look", "on looks", "on is heard", "a person wants it off", "undo looks", "undo is heard"):
        ACTS[act](play)
    assert play.status is Status.OFF
    play.land(Sent(SPOT.body(play.seen(), "true", play.mark()), True))
    play.tick()
    assert play.status is Status.TURNING_OFF
    play.finish()
    assert (play.status, play.seen().value, play.seen().mark) == (Status.OFF, "false", None)
