"""The engine: what is owed is done once, retried, parked, repaired, found again, and taken over from the dead."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos import DBOS, SetWorkflowID
from ground.waiting import until

from bot.effects import EFFECTS, Effect, Outcome, Performer, Settled, State, Task
from bot.engine import Engine
from bot.errors import GiveUp, Retry
from bot.lanes import LaneRule
from bot.store import Store

RULES = [LaneRule("a", workers=2, first=0.05, cap=0.1), LaneRule("b", workers=1, first=0.05, cap=0.1, patience_h=1.0)]


@dataclass
class Bench:
    """An engine on a fresh file; ``does`` says what the performer of kind "do" does."""

    file: Path
    store: Store
    engine: Engine
    tasks: list[Task] = field(default_factory=list)
    told: list[Settled] = field(default_factory=list)
    does: Callable[[Task], Outcome] = lambda _task: Outcome({"ok": True})
    open: bool = False

    def run(self, task: Task) -> Outcome:
        self.tasks.append(task)
        return self.does(task)

    def launch(self) -> None:
        self.engine.perform([Performer("do", self.run)])
        self.engine.settled.append(lambda _tx, done: self.told.append(done))
        self.engine.launch()
        self.open = True

    def close(self) -> None:
        if self.open:
            self.engine.close(5)
            self.open = False

    def again(self) -> None:
        """A new process, as far as the engine can tell."""
        self.close()
        self.engine = Engine(self.store, RULES, lease=2.0, poll=0.1)
        self.launch()

    def owe(self, *effects: Effect) -> list[bool]:
        with self.engine.transaction(time.time()) as tx:
            return [tx.owe(effect) for effect in effects]

    def row(self, key: str):
        with self.store.read() as c:
            return c.execute(sa.select(EFFECTS()).where(EFFECTS().c.key == key)).one()

    def state(self, key: str) -> State:
        return State(self.row(key).state)

    def done(self) -> list[str]:
        return [task.key for task in self.tasks]

    def executor_sql(self, sql: str, *values: object) -> list[tuple]:
        """Look into the executor's own tables, as only a test may."""
        with contextlib.closing(sqlite3.connect(self.file.with_suffix(".dbos.db"), timeout=10)) as c, c:
            return c.execute(sql, values).fetchall()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    file = tmp_path / "bot.db"
    store = Store(f"sqlite:///{file}")
    store.migrate()
    made = Bench(file, store, Engine(store, RULES, lease=2.0, poll=0.1))
    yield made
    made.close()
    store.close()


def do(key: str, **more) -> Effect:
    return Effect(**({"key": key, "kind": "do", "lane": "a"} | more))


# ---- one effect -------------------------------------------------------------------------------------------------


def test_an_effect_is_done_once_however_often_it_is_owed(bench: Bench):
    bench.launch()
    assert bench.owe(do("x", args={"n": 1}), do("x", args={"n": 2})) == [True, False]
    until(lambda: bench.state("x") is State.DONE)
    assert bench.owe(do("x")) == [False]
    assert [(task.key, task.args) for task in bench.tasks] == [("x", {"n": 1})]
    assert bench.row("x").result == '{"ok": true}'


def test_what_is_owed_in_a_transaction_that_rolls_back_is_not_done(bench: Bench):
    bench.launch()
    with contextlib.suppress(ZeroDivisionError), bench.engine.transaction(time.time()) as tx:
        tx.owe(do("x"))
        1 / 0  # noqa: B018
    bench.owe(do("y"))
    until(lambda: bench.done() == ["y"])


def test_a_retry_is_tried_again_and_counts(bench: Bench):
    def does(task: Task) -> Outcome:
        if task.attempt < 3:
            raise Retry("the outside is down")
        return Outcome()

    bench.does = does
    bench.launch()
    bench.owe(do("x"))
    until(lambda: bench.state("x") is State.DONE)
    assert [task.attempt for task in bench.tasks] == [1, 2, 3]
    assert [(done.state, done.reason) for done in bench.told[:2]] == [(State.RETRYING, "the outside is down")] * 2


def test_retry_after_is_kept_to(bench: Bench):
    times = []

    def does(task: Task) -> Outcome:
        times.append(time.monotonic())
        if task.attempt == 1:
            raise Retry("slow down", after=0.6)
        return Outcome()

    bench.does = does
    bench.launch()
    bench.owe(do("x"))
    until(lambda: len(times) == 2)
    assert 0.55 <= times[1] - times[0] < 3


def test_a_performer_that_raises_what_nobody_expected_is_retried_and_shown(bench: Bench, caplog):
    def does(task: Task) -> Outcome:
        if task.attempt == 1:
            raise KeyError("oops")
        return Outcome()

    bench.does = does
    bench.launch()
    with caplog.at_level(logging.ERROR, "bot.engine"):
        bench.owe(do("x"))
        until(lambda: bench.state("x") is State.DONE)
    assert bench.told[0].state is State.RETRYING
    assert bench.told[0].reason == "a fault of mine, please report it: KeyError: 'oops'"
    assert "effect x broke" in caplog.text


def test_give_up_parks_and_repair_owes_it_again(bench: Bench):
    broken = True

    def does(_task: Task) -> Outcome:
        if broken:
            raise GiveUp("the channel does not exist; make it")
        return Outcome()

    bench.does = does
    bench.launch()
    bench.owe(do("x"))
    until(lambda: bench.state("x") is State.GAVE_UP)
    assert bench.row("x").reason == "the channel does not exist; make it"
    assert bench.engine.sweep(grace=None) == 0, "parked is parked"
    broken = False
    with bench.engine.transaction(time.time()) as tx:
        assert bench.engine.repair(tx, "x")
        assert not bench.engine.repair(tx, "unheard of")
    until(lambda: bench.state("x") is State.DONE)
    with bench.engine.transaction(time.time()) as tx:
        assert not bench.engine.repair(tx, "x"), "what is done is not done again"
    assert [task.attempt for task in bench.tasks] == [1, 2]


def test_patience_ends_in_giving_up_with_the_reason(bench: Bench):
    def does(_task: Task) -> Outcome:
        raise Retry("no answer")

    bench.does = does
    bench.launch()
    with bench.engine.transaction(time.time() - 3601) as tx:
        tx.owe(do("x", lane="b"))
    until(lambda: bench.state("x") is State.GAVE_UP)
    assert bench.row("x").reason == "no success in 1 h: no answer"


def test_an_effect_of_an_unknown_kind_is_parked(bench: Bench):
    bench.launch()
    bench.owe(do("x", kind="teleport"))
    until(lambda: bench.state("x") is State.GAVE_UP)
    assert "does not know how to do 'teleport'" in bench.row("x").reason


def test_acting_is_committed_before_the_call(bench: Bench):
    seen = []

    def does(task: Task) -> Outcome:
        task.acting()
        seen.append((bench.row("x").tried, task.tried, task.tried_at > 0))
        if task.attempt == 1:
            raise Retry("timeout", unknown=True)
        return Outcome()

    bench.does = does
    bench.launch()
    bench.owe(do("x"))
    until(lambda: bench.state("x") is State.DONE)
    assert seen == [(1, 0, False), (2, 1, True)]


@pytest.mark.parametrize("other", ["tried = 1", "state = 'done', attempt = 1", "state = 'skipped'"])
def test_who_was_overtaken_since_it_looked_does_not_act(bench: Bench, other):
    """Another process took this one for dead: it has acted, or has found the thing there, or it is not wanted any more."""
    acted = []

    def does(task: Task) -> Outcome:
        if task.attempt == 1:
            with bench.store.write() as c:
                c.exec_driver_sql(f"update effects set {other} where key = 'x'")
        task.acting()
        acted.append(task.attempt)
        return Outcome()

    bench.does = does
    bench.launch()
    bench.owe(do("x"))
    until(lambda: bench.done() == ["x"] and bench.executor_sql("select status from workflow_status") == [("SUCCESS",)])
    assert acted == []
    if other == "tried = 1":  # and has died before it could write down what came of it
        bench.engine.sweep(grace=0.0)
        until(lambda: bench.state("x") is State.DONE)
        assert (acted, bench.tasks[1].tried) == ([2], 1)
    else:
        assert bench.engine.sweep(grace=0.0) == 0
        assert bench.row("x").state == ("done" if "done" in other else "skipped")


def test_an_outcome_is_applied_in_the_transaction_that_settles(bench: Bench):
    def apply(tx) -> None:
        tx.owe(do("next"))
        if bench.done().count("x") == 1:
            raise sa.exc.OperationalError("", {}, Exception("the database went away"))

    bench.does = lambda task: Outcome(apply=apply) if task.key == "x" else Outcome()
    bench.launch()
    bench.owe(do("x"))
    until(lambda: len(bench.told) == 0 and len(bench.tasks) == 1)
    bench.tasks.append(bench.tasks[0])  # from now on it goes through
    until(lambda: bench.state("x") is State.DONE and bench.state("next") is State.DONE)


# ---- after ------------------------------------------------------------------------------------------------------


def test_after_waits_until_the_other_is_settled_and_then_goes(bench: Bench):
    gate = threading.Event()

    def does(task: Task) -> Outcome:
        if task.key == "first":
            gate.wait(5)
        return Outcome()

    bench.does = does
    bench.launch()
    bench.owe(do("first"), do("second", after="first"), do("third", after="second"), do("apart"))
    until(lambda: bench.state("apart") is State.DONE)
    assert bench.state("second") is State.WAITING
    assert bench.state("third") is State.WAITING
    gate.set()
    until(lambda: bench.state("third") is State.DONE)
    assert [key for key in bench.done() if key != "apart"] == ["first", "second", "third"]


@pytest.mark.parametrize("how", [State.GAVE_UP, State.SKIPPED])
def test_after_is_released_by_any_end(bench: Bench, how):
    def does(task: Task) -> Outcome:
        if task.key == "first" and how is State.GAVE_UP:
            raise GiveUp("no")
        return Outcome(skipped="not wanted" if task.key == "first" else "")

    bench.does = does
    bench.launch()
    bench.owe(do("first"), do("second", after="first"))
    until(lambda: bench.state("second") is State.DONE)
    assert bench.state("first") is how


def test_what_was_owed_in_the_moment_its_forerunner_settled_does_not_wait_for_ever(bench: Bench):
    bench.launch()
    bench.owe(do("first"))
    until(lambda: bench.state("first") is State.DONE)
    gate = threading.Event()
    bench.does = lambda _task: Outcome({"waited": gate.wait(5)})
    bench.owe(do("gate"), do("then", after="gate"))
    with bench.store.write() as c:
        c.exec_driver_sql("update effects set after = 'first' where key = 'then'")
    assert bench.state("then") is State.WAITING
    gate.set()
    until(lambda: bench.state("then") is State.DONE, timeout=5)


def test_after_something_settled_or_never_owed_goes_at_once(bench: Bench):
    bench.launch()
    bench.owe(do("first"))
    until(lambda: bench.state("first") is State.DONE)
    bench.owe(do("second", after="first"), do("third", after="never owed"))
    until(lambda: bench.state("second") is bench.state("third") is State.DONE)


# ---- found again ------------------------------------------------------------------------------------------------


def lose(bench: Bench, *effects: Effect, at: float | None = None) -> None:
    """Commit what is owed and forget to start it, as a kill between the two does."""
    from bot.effects import Tx

    with bench.store.write() as c:
        tx = Tx(c, time.time() if at is None else at)
        for effect in effects:
            tx.owe(effect)


def test_a_sweep_finds_what_a_kill_lost_between_commit_and_start(bench: Bench):
    bench.launch()
    lose(bench, do("x"), at=time.time() - 60)
    assert bench.engine.sweep(grace=5.0) == 1
    until(lambda: bench.state("x") is State.DONE)
    assert bench.engine.sweep(grace=0.0) == 0


def test_a_start_takes_up_everything_also_what_is_due_later(bench: Bench):
    lose(bench, do("now"), do("soon", delay=0.4))
    bench.launch()
    until(lambda: bench.state("now") is State.DONE)
    assert bench.state("soon") is State.OWED
    until(lambda: bench.state("soon") is State.DONE, timeout=3)


def test_a_clean_stop_hands_a_pending_retry_to_the_next_process_at_once(bench: Bench):
    def does(task: Task) -> Outcome:
        if task.attempt == 1:
            raise Retry("down", after=1.0)
        return Outcome()

    bench.does = does
    bench.launch()
    bench.owe(do("x"))
    until(lambda: bench.state("x") is State.RETRYING)
    began = time.monotonic()
    bench.close()
    assert time.monotonic() - began < 1
    with bench.store.read() as c:
        assert c.exec_driver_sql("select count(*) from replicas").scalar() == 0
    bench.again()
    until(lambda: bench.state("x") is State.DONE, timeout=3)
    assert [task.attempt for task in bench.tasks] == [1, 2]


def test_a_try_that_ended_without_settling_anything_takes_a_new_number(bench: Bench):
    """A fault inside the executor: its record says that try 1 is over, the ledger says that nothing was done."""
    bench.launch()
    bench.owe(do("other"))
    until(lambda: bench.state("other") is State.DONE)
    lose(bench, do("x"))
    until(
        lambda: (
            bench.executor_sql("select status from workflow_status where workflow_uuid = 'other#1'") == [("SUCCESS",)]
        )
    )
    bench.executor_sql(
        "update workflow_status set workflow_uuid = 'x#1', status = 'ERROR' where workflow_uuid = 'other#1'"
    )
    assert bench.engine.sweep(grace=0.0) == 1
    until(lambda: bench.state("x") is State.DONE)
    assert bench.row("x").attempt == 2


def test_a_try_that_is_ours_on_paper_and_in_no_hand_is_given_up_only_when_seen_twice(bench: Bench):
    bench.launch()
    bench.owe(do("other"))
    until(lambda: bench.state("other") is State.DONE)
    lose(bench, do("x"))
    until(
        lambda: (
            bench.executor_sql("select status from workflow_status where workflow_uuid = 'other#1'") == [("SUCCESS",)]
        )
    )
    bench.executor_sql(
        "update workflow_status set workflow_uuid = 'x#1', status = 'PENDING' where workflow_uuid = 'other#1'"
    )
    assert bench.engine.sweep(grace=0.0) == 0
    assert bench.engine.sweep(grace=0.0) == 1
    until(lambda: bench.state("x") is State.DONE)


def test_a_try_in_flight_is_not_swept(bench: Bench):
    gate = threading.Event()
    bench.does = lambda _task: Outcome({"waited": gate.wait(5)})
    bench.launch()
    bench.owe(do("x"))
    until(lambda: bench.done() == ["x"])
    for _ in range(3):
        assert bench.engine.sweep(grace=None) == 0
    gate.set()
    until(lambda: bench.state("x") is State.DONE)
    assert bench.done() == ["x"]


# ---- the contract with the executor -----------------------------------------------------------------------------


def test_recovery_takes_only_rows_of_the_dead_and_counts_the_attempts(bench: Bench):
    gate, ran = threading.Event(), []

    def does(task: Task) -> Outcome:
        ran.append(task.key)
        if task.key == "ours":
            gate.wait(5)
        return Outcome()

    bench.does = does
    bench.launch()
    bench.owe(do("theirs"), do("ours"))
    until(lambda: bench.state("theirs") is State.DONE and "ours" in ran)
    status = "select status, recovery_attempts, executor_id from workflow_status where workflow_uuid = ?"
    until(lambda: bench.executor_sql(status, "theirs#1")[0][0] == "SUCCESS")
    before = bench.executor_sql(status, "theirs#1")[0][1]
    # As a dead process leaves it: begun, never ended.
    with bench.store.write() as c:
        c.exec_driver_sql("update effects set state = 'owed', attempt = 0 where key = 'theirs'")
    bench.executor_sql("delete from operation_outputs where workflow_uuid = 'theirs#1'")
    bench.executor_sql(
        "update workflow_status set status = 'PENDING', executor_id = 'the dead' where workflow_uuid = 'theirs#1'"
    )
    assert bench.executor_sql(status, "ours#1")[0][::2] == ("PENDING", bench.engine.id)
    handles = DBOS._recover_pending_workflows(["the dead"])
    assert [handle.get_workflow_id() for handle in handles] == ["theirs#1"]
    until(lambda: bench.executor_sql(status, "theirs#1")[0][0] == "SUCCESS")
    assert ran.count("theirs") == 2
    assert bench.executor_sql(status, "theirs#1")[0][1] > before
    assert ran.count("ours") == 1
    assert bench.executor_sql(status, "ours#1")[0][::2] == ("PENDING", bench.engine.id)
    gate.set()
    until(lambda: bench.state("ours") is State.DONE)


def test_a_start_takes_over_what_a_dead_process_began(bench: Bench):
    bench.launch()
    bench.owe(do("x"))
    until(lambda: bench.state("x") is State.DONE)
    bench.close()
    with bench.store.write() as c:
        c.exec_driver_sql("update effects set state = 'owed', attempt = 0 where key = 'x'")
    bench.executor_sql("delete from operation_outputs where workflow_uuid = 'x#1'")
    bench.executor_sql("update workflow_status set status = 'PENDING' where workflow_uuid = 'x#1'")
    bench.again()
    until(lambda: bench.state("x") is State.DONE, timeout=5)
    assert bench.done() == ["x", "x"]
    assert bench.row("x").attempt == 1


def test_the_same_workflow_id_runs_once(bench: Bench):
    bench.launch()
    bench.owe(do("x"))
    until(lambda: bench.state("x") is State.DONE)
    with SetWorkflowID("x#1"):
        assert bench.engine._durable._effect("x", 1) == "done"
    assert bench.done() == ["x"]


def test_a_tick_heard_twice_runs_once(bench: Bench):
    import datetime as dt

    slots = []
    bench.engine.tick("purge", slots.append)
    bench.launch()
    at = dt.datetime(2026, 11, 23, 3, 17, tzinfo=dt.UTC)
    bench.engine.ticked("purge", at)
    bench.engine.ticked("purge", at.astimezone(dt.timezone(dt.timedelta(hours=5))))
    bench.engine.ticked("purge", at + dt.timedelta(days=1))
    until(lambda: len(slots) == 2)
    assert sorted(slots) == [at.timestamp(), at.timestamp() + 86400]


def test_purge_forgets_workflows_and_not_the_ledger(bench: Bench):
    bench.launch()
    bench.owe(do("x"), do("y"))
    until(lambda: bench.state("x") is bench.state("y") is State.DONE)
    done = "select count(*) from workflow_status where status = 'SUCCESS' and workflow_uuid like '_#1'"
    until(lambda: bench.executor_sql(done) == [(2,)])
    assert bench.engine.purge(days=1) == 0
    assert bench.engine.purge(days=-1) == 2
    assert bench.engine.purge(days=-1) == 0
    assert bench.owe(do("x")) == [False]


def test_owed_counts_each_lane_and_its_oldest(bench: Bench):
    lose(bench, do("x"), do("y", lane="b", after="x"), at=time.time() - 30)
    owed = bench.engine.owed()
    assert set(owed) == {"a"}, "what waits for another is not late"
    assert owed["a"][0] == 1
    assert 29 < owed["a"][1] < 40


# ---- deadlines, hastening, cancelling ---------------------------------------------------------------------------


def test_what_comes_after_its_deadline_is_not_done(bench: Bench):
    bench.launch()
    bench.owe(do("late", deadline=time.time() - 1), do("early", deadline=time.time() + 60))
    until(lambda: bench.state("early") is State.DONE)
    until(lambda: bench.state("late") is State.SKIPPED)
    assert bench.done() == ["early"]
    assert "too late to be undone" in bench.row("late").reason


def test_what_waits_for_later_can_be_hastened(bench: Bench):
    bench.launch()
    bench.owe(do("undo", delay=600))
    assert bench.state("undo") is State.OWED
    with bench.engine.transaction(time.time()) as tx:
        assert tx.hasten("undo")
        assert not tx.hasten("unheard of")
    until(lambda: bench.state("undo") is State.DONE)
    with bench.engine.transaction(time.time()) as tx:
        assert not tx.hasten("undo"), "what is done is not done again"
    assert bench.done() == ["undo"]


def test_what_is_cancelled_is_not_done_and_lets_go_what_waited_for_it(bench: Bench):
    bench.launch()
    bench.owe(do("a", delay=600), do("b", after="a"))
    with bench.engine.transaction(time.time()) as tx:
        assert tx.cancel("a", "nobody wants it any more")
        assert not tx.cancel("a", "twice")
    until(lambda: bench.state("b") is State.DONE)
    assert bench.done() == ["b"]
    assert bench.row("a").reason == "nobody wants it any more"


@pytest.mark.parametrize("ends", ["done", "retry"])
def test_what_is_cancelled_while_it_runs_tells_the_truth_when_it_ends(bench: Bench, ends):
    """Done after all is done; but what failed is not tried again."""
    began, go = threading.Event(), threading.Event()

    def does(_task: Task) -> Outcome:
        began.set()
        assert go.wait(10)
        if ends == "retry":
            raise Retry("no answer")
        return Outcome()

    bench.does = does
    bench.launch()
    bench.owe(do("x"))
    assert began.wait(10)
    with bench.engine.transaction(time.time()) as tx:
        assert tx.cancel("x", "stop")
    go.set()
    if ends == "done":
        until(lambda: bench.state("x") is State.DONE)
    else:
        bench.owe(do("y", delay=0.5))
        bench.does = lambda _task: Outcome()
        until(lambda: bench.state("y") is State.DONE)
        assert bench.state("x") is State.SKIPPED
        assert bench.done() == ["x", "y"]


# ---- what processes die of --------------------------------------------------------------------------------------


def as_left_by_the_dead(bench: Bench, key: str, *, deaths: int) -> None:
    """The ledger and the executor as a process leaves them that died in the middle of try 1."""
    with bench.store.write() as c:
        c.exec_driver_sql("update effects set state = 'owed', attempt = 0, deaths = ? where key = ?", (deaths, key))
    bench.executor_sql("delete from operation_outputs where workflow_uuid = ?", f"{key}#1")
    bench.executor_sql("update workflow_status set status = 'PENDING' where workflow_uuid = ?", f"{key}#1")


def test_what_processes_die_of_is_parked_shown_and_can_be_repaired(bench: Bench):
    bench.launch()
    bench.owe(do("x"))
    until(lambda: bench.state("x") is State.DONE)
    bench.close()
    as_left_by_the_dead(bench, "x", deaths=5)
    bench.again()
    bench.owe(do("y"))
    until(lambda: bench.state("y") is State.DONE, message="one poison effect held up the others")
    until(lambda: bench.state("x") is State.GAVE_UP, timeout=25)
    assert "5 processes of mine died one after the other" in bench.row("x").reason
    assert bench.told[-1].state is State.GAVE_UP
    assert bench.done() == ["x", "y"], "it was run again"
    with bench.engine.transaction(time.time()) as tx:
        assert bench.engine.repair(tx, "x")
    until(lambda: bench.state("x") is State.DONE)
    assert bench.row("x").deaths == 0


def test_a_few_deaths_are_no_proof(bench: Bench):
    bench.launch()
    bench.owe(do("x"))
    until(lambda: bench.state("x") is State.DONE)
    bench.close()
    as_left_by_the_dead(bench, "x", deaths=1)
    bench.again()
    until(lambda: bench.state("x") is State.DONE)
    assert bench.done() == ["x", "x"]
    assert bench.row("x").deaths == 0, "what ended well is no suspect any more"


# ---- clocks ------------------------------------------------------------------------------------------------------


def test_a_clock_set_back_while_the_bot_was_down_does_not_stretch_a_pause(bench: Bench):
    bench.does = lambda task: Outcome() if task.attempt > 1 else (_ for _ in ()).throw(Retry("down"))
    bench.launch()
    bench.owe(do("x", delay=600))
    bench.close()
    with bench.store.write() as c:  # due in an hour by the clock as it is now, after a pause of half a second
        c.exec_driver_sql("update effects set due_at = ?, pause = 0.5 where key = 'x'", (time.time() + 3600,))
    bench.again()
    until(lambda: bench.state("x") is State.DONE)


# ---- a service that is down ---------------------------------------------------------------------------------------


def test_a_clock_set_back_between_a_decision_and_its_effects_delays_none_of_them(bench: Bench):
    """Decided by a clock that is an hour ahead of the one by which it is started, now and after a restart."""
    bench.launch()
    ahead = time.time() + 3600
    with bench.engine.transaction(ahead) as tx:
        tx.owe(do("first"))
        tx.owe(do("after it", after="first", delay=0.1))
        tx.owe(do("later", delay=0.2))
    for key in ("first", "after it", "later"):
        until(lambda key=key: bench.state(key) is State.DONE, timeout=5)
    bench.close()
    with bench.engine.transaction(ahead) as tx:
        tx.owe(do("owed while it was down"))
    bench.again()
    until(lambda: bench.state("owed while it was down") is State.DONE, timeout=5)


def test_what_waits_for_a_service_that_is_down_says_so(bench: Bench):
    """Nobody must read "on its way" of a page that has not been tried since PagerDuty does not answer."""
    down = threading.Event()
    down.set()

    def does(_task: Task) -> Outcome:
        if down.is_set():
            raise Retry("no answer", unknown=True)
        return Outcome()

    bench.does = does
    bench.launch()
    bench.owe(*(do(f"trip-{n}") for n in range(5)))
    until(lambda: bench.engine._lanes["a"].down)
    bench.owe(do("page", urgency=9))
    until(lambda: bench.state("page") is State.RETRYING, timeout=5)
    assert bench.row("page").reason == "the service does not answer; I keep asking, and this goes as soon as it does"
    assert any(told.key == "page" and told.state is State.RETRYING for told in bench.told)
    down.clear()
    # A probe every five seconds, and ten from the second one on: the first may have gone out just before.
    until(lambda: bench.state("page") is State.DONE, timeout=25)
    assert bench.row("page").attempt == 1


def test_what_is_cancelled_while_it_waits_as_a_suspect_is_not_done(bench: Bench):
    """A flag that was switched off meanwhile must not come on because a try of it was taken over from the dead."""
    bench.launch()
    bench.owe(do("x"))
    until(lambda: bench.state("x") is State.DONE)
    bench.close()
    as_left_by_the_dead(bench, "x", deaths=3)
    bench.again()
    with bench.engine.transaction(time.time()) as tx:
        assert tx.cancel("x", "nobody wants it any more")
    status = "select status from workflow_status where workflow_uuid = 'x#1'"
    until(lambda: bench.executor_sql(status) == [("SUCCESS",)], timeout=20)
    assert bench.done() == ["x"], "it was run again"
    assert bench.state("x") is State.SKIPPED
