"""The SQLite database as files: who holds it, the executor's file beside it, and an exchange that a kill cannot halve."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from bot.errors import ConfigError

STAGED = ".restoring"
"""What is to take a file's place, beside it."""


def engine_file(path: Path) -> Path:
    """The durable executor's own file beside the application's: one writer lock for both would starve the executor."""
    return path.with_suffix(".dbos.db")


def beside(path: Path, suffix: str) -> Path:
    """``bot.db`` and ``.lock`` give ``bot.db.lock``."""
    return path.with_name(path.name + suffix)


class Lock:
    """Says which one bot may act on a SQLite database; the system lets go of it when that process ends, however it ends.

    The file holds ``PID HOST`` of who took it last.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = beside(path, ".lock")
        self._handle: IO[str] | None = None

    def take(self, *, replace: float = 0.0) -> None:
        """Hold it from now on; harmless when it is held. Ends an exchange that was interrupted, since nobody else may.

        ``replace``: seconds to wait for another bot on this machine after asking it to stop; 0 asks nobody.
        Raises ConfigError when another process holds it, or keeps it.
        """
        if self._handle is not None:
            return
        holder = self._try()
        if holder is not None and replace:
            holder = self._ask_to_stop(holder, replace)
        if holder is not None:
            raise ConfigError(
                f"another bot ({_named(holder)}) is using {self._path}. Stop it first or let `captain serve --replace` do "
                "so, or give this one its own captain.database; for several replicas use PostgreSQL."
            )
        finish_exchange(self._path)

    def release(self) -> None:
        if self._handle is not None:
            with suppress(OSError):  # what could not be written then cannot be written now
                self._handle.close()
            self._handle = None

    def holder(self) -> str:
        """Who holds it, such as ``process 12``; empty when nobody does."""
        try:
            with self._file.open() as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    return _named(handle.read().strip())
        except FileNotFoundError:
            pass
        return ""

    def _try(self) -> str | None:
        """None when it is ours now; else who holds it, as far as the file says."""
        try:
            handle = self._file.open("a+")
        except OSError as e:
            raise ConfigError(
                f"captain.database: {self._file} cannot be written: {e.strerror}. "
                "The folder must be writable for the user that runs the bot."
            ) from e
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            said = handle.read().strip()
            handle.close()
            return said
        if os.geteuid() == 0:
            # Left behind by an operator it must not keep out the user that runs the bot.
            owner = (self._path if self._path.exists() else self._path.parent).stat()
            os.chown(self._file, owner.st_uid, owner.st_gid)
        with suppress(OSError):  # a full disk keeps the name out of it, not the lock
            handle.truncate(0)
            handle.write(f"{os.getpid()} {socket.gethostname()}")
            handle.flush()
        self._handle = handle
        return None

    def _ask_to_stop(self, holder: str, seconds: float) -> str | None:
        """None when the other has gone and the lock is ours."""
        pid, _, host = holder.partition(" ")
        if not pid.isdigit() or int(pid) == os.getpid() or (host and host != socket.gethostname()):
            raise ConfigError(
                f"the bot that uses {self._path} runs in another container or on another machine "
                f"({_named(holder)}), where this one cannot stop it. Stop it there, then start again."
            )
        if not self._is_a_bot(int(pid)):
            raise ConfigError(
                f"process {pid}, which holds {self._file}, is no running `captain serve` that can be seen from here, "
                "so it is not stopped. See what it is; when it has ended, start again."
            )
        try:
            os.kill(int(pid), signal.SIGTERM)
        except ProcessLookupError:
            pass  # it has ended in between
        except PermissionError as e:
            raise ConfigError(
                f"process {pid} uses {self._path} and belongs to another user, so this one may not stop it. "
                "Start as that user, or stop it yourself."
            ) from e
        pause, deadline = threading.Event(), time.monotonic() + seconds
        while (left := self._try()) is not None:
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"process {pid} was asked to stop {seconds:g} s ago and still uses {self._path}. Its log says what it "
                    f"waits for; `kill -9 {pid}` loses nothing, then start again."
                )
            pause.wait(0.05)
        return left

    def _is_a_bot(self, pid: int) -> bool:
        """True for a process that is ``captain serve`` and, where the system tells, has the lock file open."""
        words = command_line(pid).split()
        if "serve" not in words or not any(
            word in ("bot.serving", "captain") or word.endswith("/captain") for word in words
        ):
            return False
        try:
            opened = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return True
        for one in opened:
            with suppress(OSError):
                if one.samefile(self._file):
                    return True
        return False


def _named(holder: str) -> str:
    """``PID HOST`` as a person reads it."""
    pid, _, host = holder.partition(" ")
    if not pid:
        return "which did not say its process"
    return f"process {pid}" if host in ("", socket.gethostname()) else f"process {pid} on {host}"


def command_line(pid: int) -> str:
    """The command line of a running process; empty when it is gone or the system does not tell."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        return raw.replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        pass
    try:
        asked = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except OSError:
        return ""
    return asked.stdout.strip()


def exchange(path: Path, aside: str) -> None:
    """Put what is staged beside the database's files in their place; the replaced ones stay, with ``aside`` to their names.

    For who holds the lock. Killed in the middle it is carried to its end by whoever takes the lock next.
    """
    plan = _plan(path)
    new = beside(plan, ".new")
    new.write_text(json.dumps({"aside": aside}), encoding="utf-8")
    sync(new)
    new.rename(plan)
    sync(plan.parent)
    finish_exchange(path)


def finish_exchange(path: Path) -> bool:
    """Carry an exchange to its end; False when none was begun."""
    plan = _plan(path)
    try:
        aside = str(json.loads(plan.read_text(encoding="utf-8"))["aside"])
    except FileNotFoundError:
        return False
    for live in (path, engine_file(path)):
        staged = beside(live, STAGED)
        if not staged.exists():
            continue  # this one was done before the kill
        # The log goes before its file: a new file that found the old log would be damaged by it.
        for suffix in ("-wal", "-shm", "-journal", ""):
            old = beside(live, suffix)
            if old.exists():
                old.rename(_free(beside(live, aside + suffix)))
        staged.rename(live)
    sync(path.parent)
    plan.unlink()
    sync(path.parent)
    return True


def whole(path: Path) -> None:
    """For who only looks. Raises ConfigError when there is no database, or one in the middle of an exchange."""
    if _plan(path).exists():
        raise ConfigError(
            f"captain.database: a restore of {path} was interrupted. The next `captain serve` or `captain db restore` "
            "carries it to its end."
        )
    if not path.exists():
        raise ConfigError(f"captain.database: {path} does not exist; `captain serve` makes it when it first starts")


def sync(path: Path) -> None:
    """Have what was written to a file, or renamed in a folder, outlive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _plan(path: Path) -> Path:
    return beside(path, ".restore")


def _free(path: Path) -> Path:
    """A name that is not taken: what was put aside once is never written over."""
    while path.exists():
        path = beside(path, ".again")
    return path
