"""Runs a runbook: a few checks at a time, in the order of their needs, each within its time and all within theirs."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from bot.errors import GiveUp, Retry
from runbooks.document import nearest
from runbooks.kind import Ask, Looks, fitted
from runbooks.kinds import KINDS
from runbooks.parameters import filled
from runbooks.read import Check, Runbook
from runbooks.secret_refs import Secrets
from runbooks.verdict import Finding, Outcome, Report, Result

SLACK_S = 1.0
"""How much longer than its timeout a kind that keeps time may take to clean up before nobody waits for it any more."""

_CANCELLED = Finding(Outcome.ERROR, "not looked at: the run was cancelled")


def run(
    runbook: Runbook,
    parameters: Mapping[str, str],
    looks: Looks,
    *,
    parallel: int = 4,
    deadline_s: float = 60.0,
    on_result: Callable[[Result], None] | None = None,
    cancelled: threading.Event | None = None,
    environ: Mapping[str, str] | None = None,
) -> Report:
    """Run every check and report. Returns within ``deadline_s`` and a moment, whatever the outside does.

    ``parameters`` go over the runbook's defaults. ``on_result`` is called here, once per check, as they end.
    ``environ`` is where env: references and shell lines look; the process' own by default.
    """
    began = time.monotonic()
    values, why = _values(runbook, parameters)
    if why:
        return Report(runbook.name, (), 0.0, why)
    stop = cancelled or threading.Event()
    secrets = Secrets(os.environ if environ is None else environ, looks.cluster)
    plan = _Plan(runbook, values, looks, stop, began + deadline_s, secrets)
    results = plan.carry_out(max(1, parallel), on_result or _nobody)
    return Report(runbook.name, results, time.monotonic() - began)


def _nobody(_result: Result) -> None:
    pass


def _values(runbook: Runbook, given: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The parameters' values, or why there are none."""
    for name in given:
        if name not in runbook.parameters:
            return {}, f"the runbook {runbook.name} has no parameter '{name}'{nearest(name, runbook.parameters)}"
    values = {**runbook.parameters, **given}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        return {}, f"the runbook {runbook.name} needs the parameter {', '.join(missing)}"
    for name, value in given.items():
        if "\0" in value:
            return {}, f"the parameter {name} holds a NUL byte"
    return {name: str(value) for name, value in values.items()}, ""


@dataclass
class _Plan:
    """One run: what is waiting, what is under way, what is done."""

    runbook: Runbook
    values: Mapping[str, str]
    looks: Looks
    stop: threading.Event
    deadline: float
    secrets: Secrets
    done: dict[str, Result] = field(default_factory=dict)
    ended: queue.SimpleQueue[Result] = field(default_factory=queue.SimpleQueue)

    def carry_out(self, parallel: int, on_result: Callable[[Result], None]) -> tuple[Result, ...]:
        waiting = list(self.runbook.checks)
        running: set[str] = set()
        while waiting or running:
            for check in list(waiting):
                finding = self._not_to_be_looked_at(check)
                if finding is not None:
                    waiting.remove(check)
                    self._end(self._result(check, finding, 0.0, 0), on_result)
                elif len(running) < parallel and all(need in self.done for need in check.needs):
                    waiting.remove(check)
                    running.add(check.name)
                    threading.Thread(target=self._check, args=(check,), name=f"check-{check.name}", daemon=True).start()
            if not running:
                continue
            result = self.ended.get()
            running.discard(result.name)
            self._end(result, on_result)
        return tuple(self.done[check.name] for check in self.runbook.checks)

    def _end(self, result: Result, on_result: Callable[[Result], None]) -> None:
        self.done[result.name] = result
        on_result(result)

    def _not_to_be_looked_at(self, check: Check) -> Finding | None:
        if self.stop.is_set():
            return _CANCELLED
        if time.monotonic() >= self.deadline:
            return Finding(Outcome.ERROR, "not looked at: the runbook's time was up")
        for need in check.needs:
            if need in self.done and self.done[need].outcome is not Outcome.PASS:
                why = f"not looked at: it needs '{need}', which is {self.done[need].outcome.value}"
                return Finding(Outcome.INCONCLUSIVE, why)
        return None

    def _check(self, check: Check) -> None:
        """All attempts of one check, on a thread of its own."""
        began = time.monotonic()
        attempt, finding = 0, _CANCELLED
        while attempt <= check.retries:
            attempt += 1
            finding = self._attempt(check)
            left = self.deadline - time.monotonic()
            if finding.outcome is Outcome.PASS or attempt > check.retries or left <= check.retry_delay:
                break
            if self.stop.wait(check.retry_delay):
                break
        self.ended.put(self._result(check, finding, time.monotonic() - began, attempt))

    def _attempt(self, check: Check) -> Finding:
        """One look, given up on when it does not come back: its own client ends the thread left behind."""
        timeout = min(check.timeout, self.deadline - time.monotonic())
        if timeout <= 0:
            return Finding(Outcome.ERROR, "not looked at: the runbook's time was up")
        came: queue.SimpleQueue[Finding] = queue.SimpleQueue()
        thread = threading.Thread(
            target=lambda: came.put(self._look(check, timeout)), name=f"look-{check.name}", daemon=True
        )
        thread.start()
        patience = time.monotonic() + timeout + (SLACK_S if KINDS[check.kind].keeps_time else 0.0)
        while (left := patience - time.monotonic()) > 0:
            try:
                return came.get(timeout=min(left, 0.1))
            except queue.Empty:
                if self.stop.is_set() and not KINDS[check.kind].keeps_time:
                    return replace(_CANCELLED, detail="the run was cancelled while it looked")
        return Finding(Outcome.ERROR, f"no answer within {timeout:g} s")

    def _look(self, check: Check, timeout: float) -> Finding:
        kind = KINDS[check.kind]
        try:
            spec = {
                name: fitted(kind.fields[name], filled(value, self.values, kind.fields[name].filling))
                for name, value in check.spec.items()
            }
            for name, why in kind.judge(spec):
                raise ValueError(f"{name}: {why}")
            return kind.look(Ask(spec, self.looks, timeout, self.stop, self.secrets, self.values))
        except (Retry, GiveUp) as problem:
            return Finding(Outcome.ERROR, problem.reason)
        except (ValueError, OSError) as problem:
            return Finding(Outcome.ERROR, str(problem))

    def _result(self, check: Check, finding: Finding, took: float, attempt: int) -> Result:
        mask = self.secrets.mask
        return Result(
            name=check.name,
            kind=check.kind,
            outcome=finding.outcome,
            value=mask(finding.value),
            threshold=mask(finding.threshold),
            unit=finding.unit,
            samples=finding.samples,
            took_s=took,
            attempt=attempt,
            detail=mask(finding.detail),
            hint=mask(str(filled(check.hint, self.values))),
            severity=check.severity,
        )
