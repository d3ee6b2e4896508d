"""Runs one program with an end: its output is bounded, its time is, and nothing of what it started is left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import selectors
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from runbooks.descendants import COOKIE, Marks, began, snapshot, sweep
from runbooks.mutex import shared

MAX_OUTPUT = 64 * 1024
_BEYOND = 4096
"""Kept behind that, so that a secret that lies across the cut is whole when it is masked."""
GRACE_S = 0.5
"""Between SIGTERM and SIGKILL."""
HUNT_S = 1.0
"""How long what left its process group is looked for after that."""

_TICK_S = 0.05
_PIPE = 1024 * 1024
"""The most that a pipe may still hold when nobody writes to it any more."""
_HIGH = 100
"""Where the leash's descriptor stands: above all that a shell script names."""


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code, negative for a signal; None when it was stopped for taking too long.

    ``seen`` bytes were printed, of which ``output`` is the beginning, a little more than MAX_OUTPUT at most. ``left`` says
    so if something may still run.
    """

    code: int | None
    output: bytes
    seen: int
    why: str = ""
    left: str = ""


@dataclass
class _Output:
    """What was printed, as far as there is room, and how much it was."""

    kept: bytearray = field(default_factory=bytearray)
    seen: int = 0

    def take(self, pipe: int) -> int:
        """Read what there is once; how many bytes that were, 0 at the end or when there are none."""
        try:
            part = os.read(pipe, 65_536)
        except BlockingIOError:
            return 0
        self.kept += part[: max(0, MAX_OUTPUT + _BEYOND - len(self.kept))]
        self.seen += len(part)
        return len(part)


def run(words: list[str], environ: Mapping[str, str], *, timeout: float, cancelled: threading.Event) -> Ended:
    """Run a program in a session of its own until it exits, ``timeout`` seconds are over or the run is cancelled.

    Nothing of its process group is left either way. What left the group is found by its parents, by a variable of its
    environment or by a pipe that it holds open, and killed: always when the program did not end by itself, and otherwise
    when the pipe is still open. Only Linux tells enough of processes for that; elsewhere it is said that something is left.
    Raises ValueError when it cannot be started.
    """
    deadline = time.monotonic() + timeout
    cookie = uuid.uuid4().hex
    process, held = _started(words, {**environ, COOKIE: cookie})
    marks = Marks(f"{COOKIE}={cookie}", os.fstat(held).st_ino, began(process.pid))
    output = _Output()
    assert process.stdout is not None
    try:
        with process.stdout as pipe:
            os.set_blocking(pipe.fileno(), False)
            why = _until_it_exits(process.pid, pipe.fileno(), output, deadline, cancelled)
            if why:
                why = f"it did not end within {timeout:g} s" if why == "late" else "the run was cancelled"
            left = _end(process.pid, pipe.fileno(), output, marks, held, early=bool(why))
            rest = 0
            while rest < _PIPE and (more := output.take(pipe.fileno())):
                rest += more
        code = process.wait()
        _reap(process.pid)
    finally:
        os.close(held)
    return Ended(None if why else code, bytes(output.kept), output.seen, why, left)


def _started(words: list[str], environ: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    """A program, and our end of its leash: a pipe whose writing end all that it starts inherits.

    Our end is at its end when none of them runs any more. One program is started at a time, because what is about to be
    started has, for a moment, all that this process has open, and would hold the leash of another.
    """
    with shared().starting:
        held, low = os.pipe()
        given = -1
        try:
            given = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _HIGH)
            return subprocess.Popen(  # noqa: S603 - from a reviewed file; parameters are never part of a shell line
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                start_new_session=True,
                pass_fds=(given,),
            ), held
        except (OSError, ValueError) as problem:
            os.close(held)
            raise ValueError(f"{words[0]} cannot be run: {getattr(problem, 'strerror', None) or problem}") from problem
        finally:
            os.close(low)
            if given >= 0:
                os.close(given)


def _until_it_exits(pid: int, pipe: int, output: _Output, deadline: float, cancelled: threading.Event) -> str:
    """Read what it prints until it exits; "late" or "cancelled" when it does not."""
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        tick = 0.001
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                exits = os.pidfd_open(pid)
                stack.callback(os.close, exits)
                ready.register(exits, selectors.EVENT_READ)
                tick = _TICK_S
        while not _exited(pid):
            left = deadline - time.monotonic()
            if left <= 0 or cancelled.is_set():
                return "late" if left <= 0 else "cancelled"
            if not ready.get_map():
                # It closed its output, and there is no descriptor that tells when it exits.
                cancelled.wait(min(tick, left))
            for key, _ in ready.select(min(tick, left)) if ready.get_map() else ():
                if key.fd == pipe and not output.take(pipe):
                    ready.unregister(pipe)
            tick = min(tick * 1.5, _TICK_S)
    return ""


def _end(pid: int, pipe: int, output: _Output, marks: Marks, held: int, *, early: bool) -> str:
    """End what runs of it: the group by SIGTERM and SIGKILL, what left the group by SIGKILL. What is left, if anything is.

    The group's number cannot have been given to others: its leader has not been waited for yet.
    """
    known = snapshot(pid) if early else set()
    if early:
        _signal(pid, signal.SIGTERM)
        patience = time.monotonic() + GRACE_S
        while time.monotonic() < patience and not _exited(pid):
            readable, _, _ = select.select([pipe], [], [], 0.01)
            if not readable or not output.take(pipe):
                threading.Event().wait(0.005)
        known |= snapshot(pid)
    # Also after a plain exit: what it left in the background would hold the pipe and run on unseen.
    _signal(pid, signal.SIGKILL)
    if not early and _all_let_go(held, 0.02):
        return ""
    until = time.monotonic() + HUNT_S
    # One that starts the next and ends may be missed by a sweep, so none found is not enough while the leash is held.
    while sweep(marks, known) or not _all_let_go(held, 0.01):
        if time.monotonic() > until:
            return "Something that it started has left its process group and may still run."
    return ""


def _reap(group: int) -> None:
    """Wait for what else of a group has become a child of this process: as a container's first process it inherits orphans.

    Their leader has been waited for, so these are theirs alone; nobody else would ever take them from the table of processes.
    """
    for _ in range(10):
        try:
            while os.waitpid(-group, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        threading.Event().wait(0.005)  # Killed, and not yet gone.


def _all_let_go(held: int, seconds: float) -> bool:
    """Whether nobody holds the other end of the leash any more, or not after so many seconds."""
    poll = select.poll()
    poll.register(held, 0)
    return bool(poll.poll(seconds * 1000))


def _exited(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
