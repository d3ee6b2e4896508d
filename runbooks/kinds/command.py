"""Checks by running a program from the reviewed runbook: its own process group, its output capped, never left behind."""

from __future__ import annotations

import os
import re
import shlex
import signal
from collections.abc import Iterator, Mapping
from typing import Any

from runbooks.kind import Ask, Field, Filling, Kind, Shape
from runbooks.parameters import environment, shell_quote
from runbooks.patterns import unfit
from runbooks.process import MAX_OUTPUT, run
from runbooks.verdict import Finding, Outcome

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What a command sees of the bot's environment besides the variables its own line names; the bot's secrets stay here."""

_SHELLS_OWN = frozenset({"PWD", "OLDPWD", "IFS", "PPID", "OPTIND", "OPTARG", "LINENO", "PS1", "PS2", "PS4", "SHELL"})
"""What a shell knows without being told, or may do without."""
_MENTIONED = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{#?([A-Za-z_][A-Za-z0-9_]*)(:?[-=+?])?)")
_ASSIGNED = re.compile(
    r"(?:^|[\s;&|(])(?:([A-Za-z_]\w*)=|for\s+([A-Za-z_]\w*)|getopts\s+\S+\s+([A-Za-z_]\w*)|read\s+((?:-\w+\s+)*(?:[A-Za-z_]\w*[ \t]*)+))"
)
_NOT_PRINTED = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


def look(ask: Ask) -> Finding:
    """PASS when it exits as wanted, FAIL when not; ERROR (ValueError) when it could not run or did not end in time."""
    spec = ask.spec
    line = spec["command"]
    ended = run(_words(line), _environment(ask, line), timeout=ask.timeout, cancelled=ask.cancelled)
    text = _NOT_PRINTED.sub("", ended.output.decode("utf-8", "replace").replace("\r", "\n"))
    # Masked before it is cut: half a secret would not be known as one.
    tail = _tail(ask.secrets.mask(text)[:MAX_OUTPUT]) + (
        f" (output cut at 64 kB of {ended.seen // 1024} kB)" if ended.seen > MAX_OUTPUT else ""
    )
    if ended.left:
        tail = f"{tail} {ended.left}".strip()
    if ended.code is None:
        raise ValueError(f"{ended.why}; it and what it started were killed. {tail}".strip())
    if ended.code < 0:
        raise ValueError(f"it was killed by {_signal_name(-ended.code)}. {tail}".strip())
    if isinstance(line, str) and ended.code in (126, 127):
        raise ValueError(f"the shell could not run it (exit {ended.code}). {tail}".strip())
    wanted = int(spec.get("exit", 0))
    value, threshold = str(ended.code), f"exit {wanted}"
    if ended.code != wanted:
        return Finding(Outcome.FAIL, f"exit {ended.code}. {tail}".strip(), value, threshold)
    if "matches" in spec and not re.search(spec["matches"], text):
        return Finding(Outcome.FAIL, f"its output does not match. {tail}".strip(), value, f"output ~ {spec['matches']}")
    return Finding(Outcome.PASS, tail or f"exit {ended.code}", value, threshold)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


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
        missing: list[str] = []
        own = {name for found in _ASSIGNED.findall(line) for part in found for name in part.split()} | _SHELLS_OWN
        for found in _MENTIONED.finditer(line):
            name = found[1] or found[2]
            if name in outside:
                environ.setdefault(name, outside[name])
                ask.secrets.know_named(name, outside[name])
            elif name not in environ and name not in own and not found[3] and _is_read(line, found.start()):
                missing.append(name)
        if missing:
            names = " and no ".join(dict.fromkeys(missing))
            raise ValueError(
                f"the environment has no {names}, which the command names; set it for the bot or under env:"
            )
    return environ


def _is_read(line: str, at: int) -> bool:
    """Whether the shell that is given the line fills in the variable there: not within single quotes, nor after a backslash."""
    backslashes = len(line[:at]) - len(line[:at].rstrip("\\"))
    return backslashes % 2 == 0 and shell_quote(line, at) != "'"


def _tail(text: str) -> str:
    """The last lines of an output, short enough for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-3:])[-300:]


def _judge(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not float(spec.get("exit", 0)).is_integer() or not 0 <= spec.get("exit", 0) <= 255:
        yield "exit", f"exit must be a whole number from 0 to 255, not {spec['exit']:g}"
    if "matches" in spec and (why := unfit(spec["matches"])):
        yield "matches", f"matches {why}"


def _asks(spec: Mapping[str, Any]) -> str:
    line = spec["command"]
    return line if isinstance(line, str) else shlex.join(line)


KIND = Kind(
    fields={
        "command": Field(
            Shape.LINE,
            required=True,
            filling=Filling.SHELL,
            about="a line for /bin/sh, or a list of words that no shell reads",
        ),
        "env": Field(
            Shape.TEXTS,
            secret=True,
            about="variables for this command, as texts or references such as env:NAME or file:PATH",
        ),
        "exit": Field(Shape.NUMBER, about="the exit status of a pass; 0 if nothing else is said"),
        "matches": Field(
            Shape.TEXT, filling=Filling.PATTERN, about="a regular expression that its output must hold, too"
        ),
    },
    look=look,
    judge=_judge,
    keeps_time=True,
    asks=_asks,
)
