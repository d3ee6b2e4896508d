"""Checks by running a program from the reviewed runbook: its own process group, its output capped, never left behind."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runbooks.kind import Ask, Field, Filling, Kind, Shape
from runbooks.parameters import environment
from runbooks.verdict import Finding, Outcome

MAX_OUTPUT = 64 * 1024
GRACE_S = 0.5
"""Between SIGTERM and SIGKILL."""

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What a command sees of the bot's environment besides the variables its own line names; the bot's secrets stay here."""

_TICK_S = 0.02
_MENTIONED = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(:?[-=+?])?)")
_ASSIGNED = re.compile(
    r"(?:^|[\s;&|(])(?:([A-Za-z_][A-Za-z0-9_]*)=|for\s+([A-Za-z_]\w*)|read\s+(?:-r\s+)?([A-Za-z_]\w*))"
)
_NOT_PRINTED = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code, negative for a signal; None when it was stopped for taking too long."""

    code: int | None
    output: bytes
    seen: int
    why: str = ""


def look(ask: Ask) -> Finding:
    """PASS when it exits as wanted, FAIL when not; ERROR (ValueError) when it could not run or did not end in time."""
    spec = ask.spec
    line = spec["command"]
    ended = run(_words(line), _environment(ask, line), ask)
    text = _NOT_PRINTED.sub("", ended.output.decode("utf-8", "replace").replace("\r", "\n"))
    tail = _tail(text) + (f" (output cut at 64 kB of {ended.seen // 1024} kB)" if ended.seen > MAX_OUTPUT else "")
    if ended.code is None:
        raise ValueError(f"{ended.why}; it and what it started were killed. {tail}".strip())
    if ended.code < 0:
        raise ValueError(f"it was killed by {signal.Signals(-ended.code).name}. {tail}".strip())
    if isinstance(line, str) and ended.code in (126, 127):
        raise ValueError(f"the shell could not run it (exit {ended.code}). {tail}".strip())
    wanted = int(spec.get("exit", 0))
    value, threshold = str(ended.code), f"exit {wanted}"
    if ended.code != wanted:
        return Finding(Outcome.FAIL, f"exit {ended.code}. {tail}".strip(), value, threshold)
    if "matches" in spec and not re.search(spec["matches"], text):
        return Finding(Outcome.FAIL, f"its output does not match. {tail}".strip(), value, f"output ~ {spec['matches']}")
    return Finding(Outcome.PASS, tail or f"exit {ended.code}", value, threshold)


def run(words: list[str], environ: Mapping[str, str], ask: Ask) -> Ended:
    """Run a program in a session of its own until it exits, the time is up or the run is cancelled.

    Nothing of its process group is left either way. Raises ValueError when it cannot be started.
    """
    deadline = time.monotonic() + ask.timeout
    try:
        process = subprocess.Popen(  # noqa: S603 - from a reviewed file; parameters are never part of a shell line
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            start_new_session=True,
        )
    except (OSError, ValueError) as problem:
        raise ValueError(f"{words[0]} cannot be run: {getattr(problem, 'strerror', None) or problem}") from problem
    assert process.stdout is not None
    output = bytearray()
    seen, why = 0, ""
    with process.stdout as pipe, selectors.DefaultSelector() as ready:
        os.set_blocking(pipe.fileno(), False)
        ready.register(pipe, selectors.EVENT_READ)
        while not _exited(process.pid):
            if time.monotonic() >= deadline or ask.cancelled.is_set():
                why = "the run was cancelled" if ask.cancelled.is_set() else f"it did not end within {ask.timeout:g} s"
                break
            seen += _drain(ready, output, _TICK_S)
        if why:
            _signal(process.pid, signal.SIGTERM)
            patience = time.monotonic() + GRACE_S
            while time.monotonic() < patience and not _exited(process.pid):
                seen += _drain(ready, output, _TICK_S)
        # Also after a plain exit: what it left in the background would hold the pipe and run on unseen. The group's
        # number cannot have been given to others, because its leader has not been waited for yet.
        _signal(process.pid, signal.SIGKILL)
        while more := _drain(ready, output, 0):
            seen += more
    code = process.wait()
    return Ended(None if why else code, bytes(output), seen, why)


def _exited(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _drain(ready: selectors.BaseSelector, output: bytearray, wait: float) -> int:
    """Read what there is, keep it as far as there is room, and tell how much it was. Waits when the pipe is closed."""
    if not ready.get_map():
        time.sleep(wait)
        return 0
    total = 0
    for key, _ in ready.select(wait):
        part = os.read(key.fd, 65_536)
        if not part:
            ready.unregister(key.fileobj)
        output += part[: max(0, MAX_OUTPUT - len(output))]
        total += len(part)
    return total


def _words(line: str | list[str]) -> list[str]:
    return ["/bin/sh", "-c", line] if isinstance(line, str) else line


def _environment(ask: Ask, line: str | list[str]) -> dict[str, str]:
    """The variables of a command. Raises ValueError for one that its line needs and nobody has set."""
    outside = ask.secrets.environ
    environ = {name: outside[name] for name in PASSED_ON if name in outside}
    environ.setdefault("PATH", os.defpath)
    environ |= environment(ask.parameters)
    environ |= {name: ask.secrets.resolve(value) for name, value in ask.spec.get("env", {}).items()}
    if isinstance(line, str):
        own = {name for found in _ASSIGNED.findall(line) for name in found if name}
        for plain, braced, default in _MENTIONED.findall(line):
            name = plain or braced
            if name in outside:
                environ.setdefault(name, outside[name])
            elif name not in environ and name not in own and not default:
                raise ValueError(
                    f"the environment has no {name}, which the command names; set it for the bot or under env:"
                )
    return environ


def _tail(text: str) -> str:
    """The last lines of an output, short enough for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-3:])[-300:]


def _judge(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not float(spec.get("exit", 0)).is_integer() or not 0 <= spec.get("exit", 0) <= 255:
        yield "exit", f"exit must be a whole number from 0 to 255, not {spec['exit']:g}"
    try:
        re.compile(spec.get("matches", ""))
    except re.error as problem:
        yield "matches", f"matches is not a regular expression: {problem}"


KIND = Kind(
    fields={
        "command": Field(Shape.LINE, required=True, filling=Filling.SHELL),
        "env": Field(Shape.TEXTS, secret=True),
        "exit": Field(Shape.NUMBER),
        "matches": Field(Shape.TEXT),
    },
    look=look,
    judge=_judge,
    keeps_time=True,
)
