"""Plain lines for people: what a log of CI, a pipe or a file shows of a run."""

from __future__ import annotations

from collections.abc import Iterator

from runbooks.formats.told import Told, Whole, decides, measured, one_line, said, verdict
from runbooks.verdict import Outcome, Result

WIDTH = len(Outcome.INCONCLUSIVE.value)


def render(whole: Whole, *, verbose: bool = False) -> str:
    return "\n".join(line for run in whole.runs for line in [*lines(run, verbose=verbose), ""]).rstrip("\n") + "\n"


def lines(run: Told, *, verbose: bool = False) -> Iterator[str]:
    """A heading, the lines of each check, and the verdict."""
    yield heading(run)
    for result in run.results:
        yield from check(result, verbose=verbose)
    yield from ending(run)


def heading(run: Told) -> str:
    """``docs-api: Is docs-api well? (service=docs-api window=5m)``."""
    given = " ".join(f"{key}={one_line(value)}" for key, value in run.parameters.items())
    title = f": {one_line(run.title)}" if run.title and run.title != run.runbook else ""
    return f"{run.runbook}{title}{f' ({given})' if given else ''}"


def check(result: Result, *, verbose: bool = False) -> Iterator[str]:
    """One line of a check that passes; what was asked and what to do next below one that does not."""
    yield f"  {result.outcome.value.ljust(WIDTH)}  {one_line(result.name)}: {_measured(result)}{_more(result)}"
    if result.outcome is not Outcome.PASS or verbose:
        yield from (f"  {' ' * WIDTH}    {what}: {text}" for what, text in below(result))


def below(result: Result) -> Iterator[tuple[str, str]]:
    """What stands below a check that does not pass: what was seen, what was asked, what to do."""
    if result.value and (detail := one_line(result.detail)) and detail != measured(result):
        yield "seen", detail
    for what, text in (("asked", result.asked), ("hint", result.hint)):
        if text:
            yield what, one_line(text)


def ending(run: Told) -> Iterator[str]:
    for one in run.mistakes:
        yield f"  {said(one)}"
    yield verdict(run)


def _measured(result: Result) -> str:
    return measured(result) or "nothing more is known"


def _more(result: Result) -> str:
    """What it rests on, how long it took, and what sort of check it is."""
    parts = [f"{result.took_s:.2f} s"]
    parts += [f"{result.samples} samples"] if result.samples is not None else []
    parts += [f"attempt {result.attempt}"] if result.attempt > 1 else []
    parts += [] if decides(result) else ["only a warning"]
    parts += list(result.tags)
    return f" [{', '.join(parts)}]"
