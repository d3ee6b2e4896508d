"""What a person sees while runbooks run: a live table in a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from runbooks import Outcome, Result
from runbooks.formats import plain
from runbooks.formats.told import Told, cleaned, counted, decides, one_line, said, verdict

STYLES: Mapping[Outcome, str] = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.ERROR: "bold magenta",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.NO_DATA: "yellow",
}
REFRESH_HZ = 10
AROUND = 5
"""Lines of the live table that are not checks."""


class Screen(Protocol):
    """Where a run is shown: ``begin`` once, ``started`` and ``ended`` for each check, ``finish`` once, for each runbook."""

    def begin(self, told: Told, checks: Sequence[str], deadline_s: float) -> None:
        """``told`` has the runbook's name, title and parameters; ``checks`` are the names in the file's order."""
        ...

    def started(self, check: str) -> None: ...

    def ended(self, result: Result) -> None: ...

    def finish(self, told: Told) -> None: ...

    def close(self) -> None:
        """Leave the terminal as it was, whatever happened."""
        ...


class Nothing:
    """Shows nothing."""

    def begin(self, told: Told, checks: Sequence[str], deadline_s: float) -> None: ...

    def started(self, check: str) -> None: ...

    def ended(self, result: Result) -> None: ...

    def finish(self, told: Told) -> None: ...

    def close(self) -> None: ...


@dataclass
class Lines:
    """Plain lines, each as soon as it is known."""

    say: Callable[[str], None]
    mask: Callable[[str], str]
    verbose: bool = False

    def begin(self, told: Told, checks: Sequence[str], deadline_s: float) -> None:  # noqa: ARG002 - as the others
        self.say(plain.heading(told))

    def started(self, check: str) -> None: ...

    def ended(self, result: Result) -> None:
        for line in plain.check(result, verbose=self.verbose):
            self.say(cleaned(self.mask(line)))

    def finish(self, told: Told) -> None:
        for line in plain.ending(told):
            self.say(line)

    def close(self) -> None: ...


@dataclass
class _State:
    """One runbook under way. ``began`` and the times in ``running`` are monotonic s."""

    told: Told
    checks: Sequence[str]
    deadline_s: float
    began: float
    running: dict[str, float] = field(default_factory=dict)
    done: dict[str, Result] = field(default_factory=dict)


class LiveTable:
    """A table that changes in place; ``keep``: the result stays when it is done, else all of it is wiped away."""

    def __init__(self, stream: TextIO, *, keep: bool = True, verbose: bool = False) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=False)
        self._keep, self._verbose = keep, verbose
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._state: _State | None = None
        spins = "dots" if self._console.encoding.startswith("utf") else "line"
        self._spinner = Spinner(spins, style="cyan")

    def begin(self, told: Told, checks: Sequence[str], deadline_s: float) -> None:
        self._state = _State(told, [cleaned(name) for name in checks], deadline_s, time.monotonic())
        self._live = Live(
            console=self._console,
            get_renderable=self._now,
            refresh_per_second=REFRESH_HZ,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def started(self, check: str) -> None:
        if self._state is not None:
            with self._lock:
                self._state.running[cleaned(check)] = time.monotonic()

    def ended(self, result: Result) -> None:
        if self._state is not None:
            with self._lock:
                self._state.running.pop(cleaned(result.name), None)
                self._state.done[cleaned(result.name)] = result

    def finish(self, told: Told) -> None:
        self.close()
        if self._keep:
            self._console.print(result_of(told, verbose=self._verbose))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _now(self) -> RenderableType:
        state = self._state
        if state is None:
            return Text("")
        with self._lock:
            running, done = dict(state.running), dict(state.done)
        room = max(3, self._console.size.height - AROUND)
        shown = _those_that_matter(state.checks, running, done, room)
        width = self._console.size.width
        rows = Table.grid(padding=(0, 2), expand=True)
        rows.add_column(no_wrap=True, width=plain.WIDTH)
        widest = max((cell_len(one_line(name)) for name in state.checks), default=0)
        rows.add_column(no_wrap=True, overflow="ellipsis", width=min(widest, width * 2 // 5))
        rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        rows.add_column(no_wrap=True, justify="right", min_width=6)
        for name in shown:
            rows.add_row(*self._row(name, running, done))
        parts: list[RenderableType] = [_heading(state.told), rows]
        if hidden := len(state.checks) - len(shown):
            parts.append(Text(f"  and {hidden} more", style="dim"))
        return Group(*parts, self._bar(state, done))

    def _row(self, name: str, running: Mapping[str, float], done: Mapping[str, Result]) -> list[RenderableType]:
        if name in done:
            one = done[name]
            return [_outcome(one), Text(one_line(name)), Text(_seen(one)), Text(f"{one.took_s:.1f} s", style="dim")]
        if name in running:
            took = Text(f"{time.monotonic() - running[name]:.1f} s", style="dim")
            return [self._spinner, Text(one_line(name)), Text("looking", style="cyan"), took]
        return [Text("waiting", style="dim"), Text(one_line(name), style="dim"), Text(""), Text("")]

    def _bar(self, state: _State, done: Mapping[str, Result]) -> RenderableType:
        total = max(1, len(state.checks))
        failed = any(one.outcome is not Outcome.PASS and decides(one) for one in done.values())
        style = "red" if failed else "green"
        bar = Table.grid(padding=(0, 2))
        took = time.monotonic() - state.began
        said = f"{len(done)} of {len(state.checks)}, {took:.0f} s of at most {state.deadline_s:g} s"
        counts = counted(list(done.values()))
        bar.add_row(
            ProgressBar(total=total, completed=len(done), width=30, complete_style=style, finished_style=style),
            Text(said),
            Text(counts, style="dim"),
        )
        return bar


def result_of(told: Told, *, verbose: bool = False) -> RenderableType:
    """The compact result of a runbook, with what to do about each check that does not pass."""
    parts: list[RenderableType] = [_heading(told)]
    if told.results:
        rows = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
        rows.add_column("outcome", no_wrap=True, min_width=plain.WIDTH)
        rows.add_column("check", overflow="fold", ratio=3)
        rows.add_column("value", overflow="fold", ratio=2)
        rows.add_column("wanted", overflow="fold", ratio=2)
        rows.add_column("samples", justify="right", no_wrap=True)
        rows.add_column("took", justify="right", no_wrap=True)
        for one in told.results:
            took = f"{one.took_s:.2f} s" + (f", attempt {one.attempt}" if one.attempt > 1 else "")
            name = Text(one_line(one.name)).append("".join(f"  {tag}" for tag in one.tags), style="dim")
            value = one_line(f"{one.value} {one.unit}" if one.value else "")
            samples = "" if one.samples is None else str(one.samples)
            rows.add_row(
                _outcome(one), name, Text(value), Text(one_line(one.threshold)), samples, Text(took, style="dim")
            )
        parts.append(rows)
    for one in told.results:
        if one.outcome is not Outcome.PASS or verbose:
            parts += _below(one)
    if any(not decides(one) and one.outcome is not Outcome.PASS for one in told.results):
        parts += [Text(""), Text("* only a warning: it decides nothing", style="dim")]
    parts += [Text(said(wrong), style="red") for wrong in told.mistakes]
    parts.append(Text(""))
    parts.append(Text(verdict(told), style=STYLES[told.outcome]))
    return Group(*parts)


def _below(one: Result) -> list[RenderableType]:
    parts: list[RenderableType] = [Text("")]
    parts.append(Text.assemble((one.outcome.value, STYLES[one.outcome]), f" {one_line(one.name)}"))
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True, style="dim", min_width=7)
    rows.add_column(overflow="fold")
    said = list(plain.below(one))
    if not any(what == "seen" for what, _ in said) and one.detail:
        said.insert(0, ("seen", one_line(one.detail)))
    for what, text in said:
        rows.add_row(f"  {what}", Text(text))
    parts.append(rows)
    return parts


def _heading(told: Told) -> Text:
    return Text(plain.heading(told), style="bold", no_wrap=True, overflow="ellipsis")


def _outcome(one: Result) -> Text:
    text = Text(one.outcome.value, style=STYLES[one.outcome])
    return text if decides(one) or one.outcome is Outcome.PASS else text.append("*", style="dim")


def _seen(one: Result) -> str:
    wanted = f" (want {one.threshold})" if one.threshold and one.value else ""
    return cleaned(one_line(f"{one.value} {one.unit}{wanted}" if one.value else one.detail))


def _those_that_matter(
    checks: Sequence[str], running: Mapping[str, float], done: Mapping[str, Result], room: int
) -> list[str]:
    """As many checks as there is room for: what is wrong and what is under way before what waits and what passed."""
    if len(checks) <= room:
        return list(checks)

    def rank(name: str) -> int:
        if name in running:
            return 0
        if name in done:
            return 3 if done[name].outcome is Outcome.PASS else 1
        return 2

    kept = set(sorted(checks, key=rank)[: room - 1])
    return [name for name in checks if name in kept]


def wants_plain(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a stream is to be written to in plain lines: no terminal, a dumb one, CI, or somebody who wants no colour."""
    silent = any(environ.get(name) for name in ("NO_COLOR", "CI")) or environ.get("TERM", "") in ("", "dumb")
    return silent or not stream.isatty()


def said_to(stream: TextIO) -> Callable[[str], None]:
    """Writes lines to a stream, each at once. When whoever reads it (`| head`) has enough, the rest goes nowhere."""

    def say(line: str) -> None:
        try:
            stream.write(f"{line}\n")
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    return say
