"""Finds what a program started and no longer has in its process group, and kills it: on Linux, which tells of processes in /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

COOKIE = "CAPTAIN_CHECK"
_PROC = Path("/proc")
_GONE = b"ZX"
_ROUNDS = 20


@dataclass(frozen=True)
class Marks:
    """What all that a program starts carries: a variable of its environment, and a pipe (its inode) that it holds open.

    Only what began at or after the tick ``since`` can.
    """

    variable: str
    pipe: int
    since: int = 0


@dataclass(frozen=True)
class Process:
    """A process; its number may be given away again, its number and the tick at which it began are not."""

    pid: int
    began: int


def snapshot(pid: int) -> set[Process]:
    """Every descendant of a process whose line of parents is unbroken; none where there is no /proc."""
    parents: dict[int, list[Process]] = {}
    for process, parent in _all():
        parents.setdefault(parent, []).append(process)
    found: set[Process] = set()
    waiting = [pid]
    while waiting:
        for process in parents.get(waiting.pop(), ()):
            if process not in found:
                found.add(process)
                waiting.append(process.pid)
    return found


def began(pid: int) -> int:
    """The tick at which a process began, also of one that has ended and was not waited for; 0 when nobody tells."""
    try:
        return int((_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[19])
    except OSError:
        return 0


def sweep(marks: Marks, known: AbstractSet[Process]) -> int:
    """Kill what still runs of the known ones, of their descendants, and of what carries one of the marks; how many there were.

    Each is stopped as soon as it is found, so that it starts no other while the rest is looked for.
    """
    variable, pipe = marks.variable.encode(), f"pipe:[{marks.pipe}]"
    own = os.getpid()
    stopped: set[Process] = set()
    pids: set[int] = set()
    for _ in range(_ROUNDS):
        before = len(stopped)
        for process, parent in _all():
            if process.pid == own or process in stopped:
                continue
            ours = process in known or parent in pids
            if not ours and process.began >= marks.since and not (parent == own and _is_not_started_yet(process.pid)):
                ours = _carries(process.pid, variable, pipe)
            if ours:
                _send(process, signal.SIGSTOP)
                stopped.add(process)
                pids.add(process.pid)
        if len(stopped) == before:
            break
    for process in stopped:
        _send(process, signal.SIGKILL)
    for process in stopped:
        _reap(process.pid)
    return len(stopped)


def _reap(pid: int) -> None:
    """Take one that is ended from the table of processes, if it has become a child of this process."""
    for _ in range(10):
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
        except ChildProcessError:
            return
        threading.Event().wait(0.005)


def _send(process: Process, number: signal.Signals) -> None:
    """Send a signal, unless the process has ended and its number is another's."""
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(process.pid)
        try:
            told = _stat(process.pid)
            if told and told[0] == process:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def _all() -> Iterator[tuple[Process, int]]:
    """Every process that has not ended, with its parent."""
    if not _PROC.is_dir():
        return
    with os.scandir(_PROC) as entries:
        numbers = [int(entry.name) for entry in entries if entry.name.isdigit()]
    # The newest first: that is what might start another one.
    for number in sorted(numbers, reverse=True):
        if told := _stat(number):
            yield told


def _stat(pid: int) -> tuple[Process, int] | None:
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in _GONE else (Process(pid, int(fields[19])), int(fields[1]))


def _is_not_started_yet(pid: int) -> bool:
    """Whether a child of this process is still this process' double, with all that it has open: somebody starts a program."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes() == (_PROC / "self" / "cmdline").read_bytes()
    except OSError:
        return True


def _carries(pid: int, variable: bytes, pipe: str) -> bool:
    """Whether a process has the variable or the pipe; what is another user's is not ours."""
    with contextlib.suppress(OSError):
        if variable in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"):
            return True
        with os.scandir(_PROC / str(pid) / "fd") as descriptors:
            for descriptor in descriptors:
                with contextlib.suppress(OSError):
                    # Its writing end: the other one is ours.
                    if os.readlink(descriptor.path) == pipe and descriptor.stat(follow_symlinks=False).st_mode & 0o200:  # noqa: PTH115 - no path
                        return True
    return False
