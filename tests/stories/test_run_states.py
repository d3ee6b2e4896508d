"""What was last seen of each check is kept whoever else keeps it at the same moment."""

from __future__ import annotations

import threading
from types import SimpleNamespace

from ground.town import Town
from ground.waiting import until

from handlers.runs import states
from runbooks import Outcome, Result, Severity


def test_two_replicas_whose_runs_of_one_runbook_end_together_keep_both_ends(town: Town, postgres):
    town.config["captain"]["database"] = postgres.url
    store = town.start().captain.store

    def keep(c, number: int) -> None:
        row = SimpleNamespace(
            runbook="quick", service="docs-api", environment="prod", id=number, outcome="PASS", took_s=1
        )
        one = Result(
            name="one", kind="command", outcome=Outcome.PASS, value="", threshold="", unit="", samples=None, took_s=0.1,
            attempt=1, detail="", hint="", severity=Severity.BLOCKING,
        )  # fmt: skip
        states.keep(c, row, [one], now=1000.0 + number)

    def second() -> None:
        with store.engine.begin() as c:
            keep(c, 3)
        done.set()

    for number in (0, 1):  # the first of all, and one after another
        done = threading.Event()
        with store.engine.begin() as c:
            keep(c, number)
            other = threading.Thread(target=second)
            other.start()
            assert not done.wait(0.5)
        assert done.wait(10), "the second could not be kept"
        other.join()
    with store.read() as c:
        t = states.STATES()
        kept = until(lambda: c.execute(t.select().where(t.c.runbook == "quick")).all())
    assert {(row.name, row.run, row.since) for row in kept} == {("", 3, 1000.0), ("one", 3, 1000.0)}
