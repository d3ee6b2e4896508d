"""Kill -9 is a test: whatever was owed when the process died is done by the next one, once."""

from __future__ import annotations

import contextlib
import time

import pytest
from ground.town import Town
from ground.waiting import until


def fired(town: Town) -> int:
    return sum(call.path.endswith("/v2/enqueue") for call in town.calls.calls)


def one_of_each(town: Town) -> None:
    until(lambda: len(town.pages()) == 1, timeout=30, message="nobody was paged")
    until(lambda: len(town.tickets()) == 1, timeout=30, message="no ticket")
    until(lambda: len(town.roots()) == 1, timeout=30, message="no thread")
    for said in ("PagerDuty ✔", "Jira ✔"):
        until(lambda said=said: said in town.shown(town.roots()[0]), timeout=30, message="the panel lags")
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == 1


def test_killed_right_after_the_ack_everything_is_still_done(town: Town, alertmanager_body):
    bot = town.spawn()
    assert bot.alert(alertmanager_body("firing-single")).status_code == 202
    bot.kill()
    town.spawn()
    one_of_each(town)


@pytest.mark.slow
@pytest.mark.parametrize("service", ["pagerduty", "slack", "jira"])
def test_killed_while_a_call_hangs_the_next_process_does_it(town: Town, alertmanager_body, service):
    """The call has not acted; the new process must act."""
    fake = getattr(town, service)
    bot = town.spawn()
    fake.faults.breaks("hang")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: any(c.service == other for c in town.calls.calls for other in {"pagerduty", "jira"} - {service}))
    bot.kill()
    fake.faults.mend()
    town.spawn()
    one_of_each(town)


@pytest.mark.parametrize(
    "service",
    ["pagerduty", pytest.param("slack", marks=pytest.mark.slow), pytest.param("jira", marks=pytest.mark.slow)],
)
def test_killed_after_a_call_acted_and_before_it_answered_nothing_is_done_twice(town: Town, alertmanager_body, service):
    """The call has acted and its answer never came: the new process must look before it acts."""
    fake = getattr(town, service)
    made = {"pagerduty": town.pages, "slack": town.roots, "jira": town.tickets}[service]
    bot = town.spawn()
    fake.faults.breaks("late", delay=30, only={"jira": "/issue"}.get(service, ""))
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: len(made()) == 1, message=f"{service} was never asked")
    bot.kill()
    fake.faults.mend()
    town.spawn()
    one_of_each(town)


def test_a_second_bot_on_the_same_file_is_refused(town: Town):
    town.spawn()
    with pytest.raises(RuntimeError, match="another bot"):
        town.spawn()


def test_sigterm_hands_over_at_once(town: Town, alertmanager_body):
    bot = town.spawn()
    town.pagerduty.faults.breaks("500")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: town.roots() and "retry" in town.shown(town.roots()[0]), timeout=15)
    bot.stop()
    assert bot.process.returncode == 0
    town.pagerduty.faults.mend()
    town.spawn()
    one_of_each(town)


def test_sigterm_while_a_call_hangs_waits_for_its_timeout_and_no_longer(town: Town, alertmanager_body):
    bot = town.spawn()
    town.pagerduty.faults.breaks("hang")
    bot.alert(alertmanager_body("firing-single"))
    until(lambda: any(call.service == "pagerduty" for call in town.calls.calls))
    began = time.monotonic()
    bot.stop()
    assert bot.process.returncode == 0
    assert time.monotonic() - began < town.config["pagerduty"]["timeout"] + 3
    town.pagerduty.faults.mend()
    town.spawn()
    one_of_each(town)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_kills_the_bot_each_time_is_parked_while_everything_else_is_done(town: Town, alertmanager_body):
    """A check that takes the bot down with it: a supervisor starts the bot again and again, and people are paged."""
    folder = town.folder / "runbooks"
    folder.mkdir()
    runbook = folder / "poison.yml"
    poison = "name: poison\nchecks:\n  - name: deadly\n    kind: command\n    command: {command}\n"
    runbook.write_text(poison.format(command='kill -9 "$(ps -o ppid= -p $$)"'))
    town.config["captain"]["runbooks"] = "runbooks"
    town.config["services"]["docs-api"]["runbook"] = "poison"
    bot, deaths = town.spawn(), 0
    assert bot.alert(alertmanager_body("firing-single")).status_code == 202
    parked = "processes of mine died"

    def is_parked() -> bool:
        return any(parked in town.shown(root) for root in town.roots())

    while not is_parked():
        until(lambda bot=bot: bot.process.poll() is not None or is_parked(), timeout=40)
        while bot.process.poll() is not None:
            deaths += 1
            assert deaths <= 7, "it is never parked"
            with contextlib.suppress(RuntimeError):  # it dies before it is ready
                town.spawn()
            bot = town.bots[-1]
    assert deaths == 6, "its own process, and five that had taken it over"
    assert len(town.pages()) == len(town.tickets()) == len(town.roots()) == 1
    runbook.write_text(poison.format(command="'true'"))
    bot.stop()
    bot = town.spawn()
    assert "Trying again for INC-1: checks" in bot.ask("incident repair INC-1")["text"]
    until(lambda: "1 of 1 passed" in town.shown(town.roots()[0]), timeout=20)
