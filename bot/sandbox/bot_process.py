"""The bot as a child process of the sandbox: started, watched, killed on purpose, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bot.files import command_line
from bot.sandbox import remote

LOG_BYTES = 5_000_000
STEADY = 10.0
"""Seconds the bot must have stayed up for its next unexpected end to count as the first one again."""


@dataclass(frozen=True)
class BotStatus:
    """``state``: stopped, starting, ready or down. ``since`` UNIX seconds. ``restarts``: since the sandbox started."""

    state: str = "stopped"
    pid: int | None = None
    since: float = 0.0
    restarts: int = 0
    last_exit: str = ""


class BotProcess:
    """Keeps one child process alive until ``stop``.

    ``command`` is started in a session of its own, so that Ctrl-C in the terminal reaches the sandbox alone and the
    sandbox decides in which order things end. It is alive once ``GET /healthz`` on ``port`` answers 200.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        log: Path,
        pid_file: Path,
        environ: Mapping[str, str] | None = None,
        changed: Callable[[], None] = lambda: None,
        backoff: Sequence[float] = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
    ) -> None:
        self.command = list(command)
        self.port = port
        self.log = log
        self._pid_file = pid_file
        self._environ = {**(os.environ if environ is None else environ), "PYTHONUNBUFFERED": "1"}
        self._changed = changed
        self._backoff = backoff
        self._lock = threading.Lock()
        self._status = BotStatus()
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._down_for: float | None = None  # set when the end was asked for
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def start(self, **environ: str) -> None:
        """Start watching, with these variables besides; returns at once.

        A bot left over from a sandbox that was itself killed is ended first.
        """
        self._environ |= environ
        self._end_left_over()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._watch, name="bot-process", daemon=True)
        self._thread.start()

    def wait_ready(self, seconds: float) -> bool:
        return self._ready.wait(seconds)

    def status(self) -> dict[str, Any]:
        """The BotStatus as JSON, with the last lines of its log while it is not ready."""
        with self._lock:
            row = asdict(self._status)
        row["log"] = "" if row["state"] == "ready" else self.tail()
        return row

    def kill(self, down_for: float = 0.0) -> int:
        """Kill -9 now; it is started again after ``down_for`` seconds. Returns the pid that died, 0 if none ran."""
        return self._signal(signal.SIGKILL, down_for)

    def restart(self) -> int:
        """Ask it to end (SIGTERM), then start it again. Returns the pid that was asked, 0 if none ran."""
        return self._signal(signal.SIGTERM, 0.0)

    def stop(self, seconds: float = 3.0) -> None:
        """SIGTERM, then SIGKILL after ``seconds``."""
        with self._lock:  # from here on nothing is started any more
            self._stopping.set()
            process = self._process
        if process is not None:
            _signal_group(process.pid, signal.SIGTERM)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                _signal_group(process.pid, signal.SIGKILL)
        if self._thread is not None:
            self._thread.join(5)
        self._pid_file.unlink(missing_ok=True)

    def tail(self, lines: int = 12) -> str:
        """The last lines it wrote."""
        try:
            with self.log.open("rb") as f:
                f.seek(0, os.SEEK_END)
                f.seek(max(0, f.tell() - 8000))
                text = f.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _signal(self, number: signal.Signals, down_for: float) -> int:
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                return 0
            self._down_for = down_for
        _signal_group(process.pid, number)
        return process.pid

    def _watch(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            process = self._spawn()
            if process is None:
                break
            began = time.monotonic()
            self._until_ready(process)
            code = process.wait()
            self._ready.clear()
            with self._lock:
                asked, self._down_for, self._process = self._down_for, None, None
            self._set(state="down", pid=None, since=time.time(), last_exit=_ended(code))
            if self._stopping.is_set():
                break
            steady = time.monotonic() - began > STEADY
            failures = 0 if asked is not None else 1 if steady else min(failures + 1, len(self._backoff))
            self._stopping.wait(self._backoff[failures - 1] if asked is None else asked)
            if not self._stopping.is_set():
                self._set(restarts=self._status.restarts + 1)
        self._set(state="stopped", pid=None, since=time.time())

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        """Start it, unless the end has begun meanwhile."""
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_name(self.log.name + ".1"))
        with self.log.open("ab") as out, self._lock:
            if self._stopping.is_set():
                return None
            process = subprocess.Popen(  # noqa: S603 - the command is ours, or the one the test names
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._environ,
                start_new_session=True,
            )
            self._process = process
            self._pid_file.write_text(str(process.pid), encoding="ascii")
        self._set(state="starting", pid=process.pid, since=time.time())
        return process

    def _until_ready(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None and not self._stopping.wait(0.05):
            try:
                alive = remote.ask(self.port, "GET", "/healthz", timeout=1.0).status == 200
            except remote.Unreachable:
                continue
            if alive:
                self._set(state="ready", since=time.time())
                self._ready.set()
                return

    def _set(self, **changes: Any) -> None:
        with self._lock:
            self._status = replace(self._status, **changes)
        self._changed()

    def _end_left_over(self) -> None:
        try:
            pid = int(self._pid_file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return
        # A pid may have been given to somebody else since: only a process with our own command line is ended.
        if command_line(pid) == " ".join(self.command):
            _signal_group(pid, signal.SIGKILL)
        self._pid_file.unlink(missing_ok=True)


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # it has ended in between
        return
