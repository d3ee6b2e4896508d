"""The order of one run: what waits for its needs, for a free place, for a key or for its next look, and when it is over."""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from runbooks.book import Check
from runbooks.kinds import KINDS
from runbooks.looking import Looking
from runbooks.mutex import Holder, shared
from runbooks.verdict import Finding, Outcome, Result

SLACK_S = 2.0
"""How much longer than its timeout, or than the run is not cancelled, a kind that keeps time may take to clean up."""

_TICK_S = 0.05
"""How soon a run is aware of being cancelled, and of what another run of this process holds no longer."""

_CANCELLED = Finding(Outcome.ERROR, "not looked at: the run was cancelled")
_BROKE_OFF = Finding(Outcome.ERROR, "the look broke off by a fault of its kind; the log has it")
_TIME_UP = "not looked at: the runbook's time was up"


@dataclass(eq=False)
class _Going:
    """A check between its first look and its result. Times are of the monotonic clock but ``at``, UNIX s."""

    check: Check
    index: int
    began: float
    at: float
    holder: Holder
    attempt: int = 0
    failed: int = 0
    row: int = 0
    finding: Finding = _CANCELLED


@dataclass(eq=False)
class _Look:
    """One look under way: its thread, and when nobody waits for it any more."""

    going: _Going
    timeout: float
    patience: float
    thread: threading.Thread


@dataclass
class Plan:
    """One run of some checks: ``deadline`` on the monotonic clock, ``parallel`` looks at most at a time.

    One thread a look, made when it begins: that costs less than a tenth of a millisecond, and a look that is given up on
    takes no place of a pool with it.
    """

    checks: Sequence[Check]
    looking: Looking
    deadline: float
    parallel: int
    cancelled: threading.Event
    done: dict[str, Result] = field(default_factory=dict)
    fresh: list[int] = field(default_factory=list)
    put_off: list[int] = field(default_factory=list)
    keys: dict[int, tuple[str, ...]] = field(default_factory=dict)
    again: list[tuple[float, int, _Going]] = field(default_factory=list)
    under_way: set[_Look] = field(default_factory=set)
    ended: queue.SimpleQueue[tuple[_Look, Finding]] = field(default_factory=queue.SimpleQueue)
    missing: dict[str, int] = field(default_factory=dict)
    wanted_by: dict[str, list[int]] = field(default_factory=dict)
    held_up: dict[int, str] = field(default_factory=dict)
    holders: set[Holder] = field(default_factory=set)
    cancelled_at: float = 0.0

    def carry_out(self, on_start: Callable[[Check], None], on_result: Callable[[Result], None]) -> tuple[Result, ...]:
        """Look with every check, and give the results in the order of the checks."""
        self.on_start, self.on_result = on_start, on_result
        names = {check.name for check in self.checks}
        for index, check in enumerate(self.checks):
            needs = set(check.needs)
            self.missing[check.name] = len(needs)
            for need in needs:
                self.wanted_by.setdefault(need, []).append(index)
            if not needs:
                self.fresh.append(index)
        for index, check in enumerate(self.checks):
            if check.name not in self.done and (unknown := sorted(set(check.needs) - names)):
                why = f"not looked at: it needs '{unknown[0]}', which is no check of this runbook"
                self._say(index, Finding(Outcome.ERROR, why))
        try:
            while len(self.done) < len(names):
                self._give_up()
                self._begin()
                if len(self.done) < len(names):
                    self._hear()
        finally:
            self._leave()
        return tuple(self.done[check.name] for check in self.checks)

    def _give_up(self) -> None:
        """End what waits when the run is over, and what looks longer than anybody waits."""
        now = time.monotonic()
        cancelled, late = self.cancelled.is_set(), now >= self.deadline
        if cancelled:
            self.looking.stop.set()
        for look in [look for look in self.under_way if now >= look.patience]:
            self._abandon(look, Finding(Outcome.ERROR, f"no answer within {look.timeout:g} s"))
        if cancelled:
            self.cancelled_at = self.cancelled_at or now
            cleaned_up = now >= self.cancelled_at + SLACK_S
            for look in [look for look in self.under_way if cleaned_up or not KINDS[look.going.check.kind].keeps_time]:
                self._abandon(look, replace(_CANCELLED, detail="the run was cancelled while it looked"))
        if not cancelled and not late:
            return
        for _, _, going in self.again:
            self._end(going, _unfinished(going, "the run was cancelled" if cancelled else "the time was up"))
        self.again.clear()
        waiting = [i for i, check in enumerate(self.checks) if check.name not in self.done and not self._is_going(i)]
        for index in waiting:
            if self.checks[index].name not in self.done:
                held_up = f" while it waited for {self.held_up[index]}" if index in self.held_up else ""
                self._say(index, _CANCELLED if cancelled else Finding(Outcome.ERROR, _TIME_UP + held_up))
        self.fresh.clear()
        self.put_off.clear()

    def _is_going(self, index: int) -> bool:
        return any(look.going.index == index for look in self.under_way)

    def _begin(self) -> None:
        """Begin as many looks as there is room for: first those that look again, then the others in the order of the file."""
        now = time.monotonic()
        while self.again and len(self.under_way) < self.parallel and self.again[0][0] <= now:
            _, index, going = heapq.heappop(self.again)
            if _has_room(going.check):
                self._look(going)
            else:
                heapq.heappush(self.again, (now + _TICK_S, index, going))
        busy: set[str] = set()
        put_off, self.put_off = self.put_off, []
        for place, index in enumerate(put_off):
            if len(self.under_way) >= self.parallel:
                self.put_off += put_off[place:]
                return
            if not self._begun(index, busy):
                self.put_off.append(index)
        while self.fresh and len(self.under_way) < self.parallel:
            index = heapq.heappop(self.fresh)
            if not self._begun(index, busy):
                self.put_off.append(index)

    def _begun(self, index: int, busy: set[str]) -> bool:
        """Begin a check, or say that it cannot be; False when it must wait. ``busy`` are the keys that are known to be held."""
        check = self.checks[index]
        try:
            if index not in self.keys:
                self.keys[index] = self.looking.keys(check)
        except ValueError as problem:
            self._say(index, Finding(Outcome.ERROR, str(problem)))
            return True
        if not _has_room(check):
            self.held_up[index] = "looks that were given up on to come back"
            return False
        keys, holder = self.keys[index], Holder()
        if not busy.isdisjoint(keys) or not shared().take(keys, holder):
            busy.update(keys)
            self.held_up[index] = f"the mutex {', '.join(keys)}"
            return False
        self.held_up.pop(index, None)
        self.holders.add(holder)
        self.on_start(check)
        self._look(_Going(check, index, time.monotonic(), time.time(), holder))
        return True

    def _look(self, going: _Going) -> None:
        timeout = min(going.check.timeout, self.deadline - time.monotonic())
        if timeout <= 0:
            time_up = Finding(Outcome.ERROR, _TIME_UP)
            self._end(going, _unfinished(going, "the time was up") if going.attempt else time_up)
            return

        def work() -> None:
            finding = _BROKE_OFF
            try:
                finding = self.looking.look(going.check, timeout)
            finally:
                self.ended.put((look, finding))

        going.attempt += 1
        slack = SLACK_S if KINDS[going.check.kind].keeps_time else 0.0
        thread = threading.Thread(target=work, name=f"look-{going.check.name}", daemon=True)
        look = _Look(going, timeout, time.monotonic() + timeout + slack, thread)
        try:
            thread.start()
        except RuntimeError:
            self._weigh(going, Finding(Outcome.ERROR, "the system gives the bot no more threads to look with"))
        else:
            self.under_way.add(look)

    def _hear(self) -> None:
        """Wait until something ends or may begin, and take what has ended."""
        now = time.monotonic()
        due = [look.patience for look in self.under_way] + [self.deadline] * (now < self.deadline)
        if self.again and len(self.under_way) < self.parallel:
            due.append(self.again[0][0])
        wait = max(0.0, min(_TICK_S, min(due, default=now) - now))
        try:
            look, finding = self.ended.get(timeout=wait)
            while True:
                if look in self.under_way:
                    self.under_way.discard(look)
                    self._weigh(look.going, self._in_its_time(look, finding))
                look, finding = self.ended.get_nowait()
        except queue.Empty:
            pass

    def _in_its_time(self, look: _Look, finding: Finding) -> Finding:
        """A look that the runbook's deadline cut short did not wait as long as its check would: no answer proves nothing."""
        cut = look.timeout < look.going.check.timeout and time.monotonic() >= self.deadline
        if not cut or finding.outcome in (Outcome.PASS, Outcome.ERROR):
            return finding
        return Finding(Outcome.ERROR, f"the runbook's time was up while it looked: {finding.detail}")

    def _weigh(self, going: _Going, finding: Finding) -> None:
        """Whether a look is the last one of its check, and when the next is if not."""
        check, passed = going.check, finding.outcome is Outcome.PASS
        going.finding = finding
        going.row = going.row + 1 if passed else 0
        going.failed += not passed
        if passed and going.row >= check.successes:
            told = f"{finding.detail} ({check.successes} times in a row)" if check.successes > 1 else finding.detail
            self._end(going, replace(finding, detail=told))
        elif going.failed > check.retries or self.looking.stop.is_set():
            self._end(going, _unfinished(going, "the run was cancelled"))
        elif self.deadline - time.monotonic() <= check.retry_delay:
            self._end(going, _unfinished(going, "the time was up"))
        else:
            heapq.heappush(self.again, (time.monotonic() + check.retry_delay, going.index, going))

    def _abandon(self, look: _Look, finding: Finding) -> None:
        """Wait no more for a look; its own client ends the thread that is left behind."""
        self.under_way.discard(look)
        if look.thread.is_alive():
            shared().leave_behind(look.thread, look.going.holder)
        self._weigh(look.going, finding)

    def _end(self, going: _Going, finding: Finding) -> None:
        self.holders.discard(going.holder)
        shared().give_back(going.holder)
        took = time.monotonic() - going.began
        self._note(self.looking.result(going.check, finding, at=going.at, took=took, attempt=going.attempt))

    def _say(self, index: int, finding: Finding) -> None:
        """The result of a check that was never looked with."""
        self._note(self.looking.result(self.checks[index], finding, at=time.time(), took=0.0, attempt=0))

    def _note(self, result: Result) -> None:
        """A check has its result: those that need it may begin, or are not looked at either, and so are those that need them."""
        settled = deque([result])
        self.done[result.name] = result
        while settled:
            result = settled.popleft()
            self.on_result(result)
            for index in self.wanted_by.get(result.name, ()):
                check = self.checks[index]
                self.missing[check.name] -= 1
                if check.name in self.done:
                    continue
                if result.outcome is not Outcome.PASS and not self._over():
                    why = f"not looked at: it needs '{result.name}', which is {result.outcome.value}"
                    finding = Finding(Outcome.INCONCLUSIVE, why)
                    self.done[check.name] = self.looking.result(check, finding, at=time.time(), took=0.0, attempt=0)
                    settled.append(self.done[check.name])
                elif self.missing[check.name] == 0:
                    heapq.heappush(self.fresh, index)

    def _over(self) -> bool:
        return self.cancelled.is_set() or time.monotonic() >= self.deadline

    def _leave(self) -> None:
        """Leave nothing running: when the caller's own code broke off the run, what keeps time is told to end, and waited for."""
        self.looking.stop.set()
        until = time.monotonic() + SLACK_S
        for look in self.under_way:
            if KINDS[look.going.check.kind].keeps_time:
                look.thread.join(max(0.0, until - time.monotonic()))
            if look.thread.is_alive():
                shared().leave_behind(look.thread, look.going.holder)
        for holder in self.holders:
            shared().give_back(holder)


def _has_room(check: Check) -> bool:
    return shared().has_room(keeps_time=KINDS[check.kind].keeps_time)


def _unfinished(going: _Going, why: str) -> Finding:
    """The finding of a check that ends before it passed often enough: a pass that was not enough is none."""
    finding = going.finding
    if finding.outcome is not Outcome.PASS:
        return finding
    told = f"it passed {going.row} of {going.check.successes} times in a row before {why}"
    return replace(finding, outcome=Outcome.INCONCLUSIVE, detail=f"{told}: {finding.detail}")
