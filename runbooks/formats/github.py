"""GitHub Actions: a group in the log, an annotation at the line of each check that does not pass, and a summary in Markdown."""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Iterator

from runbooks.formats import plain
from runbooks.formats.told import Told, Whole, counted, decides, measured, one_line, said, verdict
from runbooks.verdict import Outcome, Result

MAX_SUMMARY = 900_000
"""Bytes of a summary; GitHub takes a MiB for all that one step writes, and drops the whole of a longer one."""

_MARKDOWN = re.compile(r"([\\`*_\[\]|~#@!:])")


def render(whole: Whole) -> str:
    return "\n".join(line for run in whole.runs for line in _run(run)) + "\n" if whole.runs else ""


def summary(whole: Whole) -> str:
    """The Markdown for $GITHUB_STEP_SUMMARY; cut after whole lines when it is too long."""
    lines: list[str] = []
    for run in whole.runs:
        lines += _section(run)
    size = 0
    for number, line in enumerate(lines):
        size += len(line.encode()) + 1
        if size > MAX_SUMMARY:
            return "\n".join([*lines[:number], "", "The rest is too long for a summary; the log has it."]) + "\n"
    return "\n".join(lines) + "\n"


def _run(run: Told) -> Iterator[str]:
    yield f"::group::{_data(verdict(run))}"
    # What a check printed must not become a command of the runner, wherever in a line it stands.
    token = secrets.token_hex(16)
    yield f"::stop-commands::{token}"
    yield from plain.lines(run, verbose=True)
    yield f"::{token}::"
    yield "::endgroup::"
    for one in run.mistakes:
        place = f"file={_property(one.path)},line={one.line}," if one.line else ""
        yield f"::error {place}title={_property(f'{run.runbook} cannot be read')}::{_data(one.why)}"
    if not run.results and not run.mistakes:
        yield f"::error title={_property(f'{run.runbook}: {run.outcome.value}')}::{_data(run.detail or 'no check')}"
    for result in run.results:
        if result.outcome is not Outcome.PASS:
            yield _annotation(run, result)


def _annotation(run: Told, result: Result) -> str:
    level = "error" if decides(result) else "warning"
    place = f"file={_property(run.path)},line={run.line(result.name)}," if run.path else ""
    title = f"{result.outcome.value}: {run.runbook}: {one_line(result.name)}"
    told = [measured(result), *([result.detail] if result.value and result.detail else [])]
    told += [f"asked: {result.asked}"] if result.asked else []
    told += [f"hint: {result.hint}"] if result.hint else []
    return f"::{level} {place}title={_property(title)}::{_data(chr(10).join(told))}"


def _section(run: Told) -> Iterator[str]:
    yield f"### {_markdown(run.runbook)}: {run.outcome.value}"
    yield ""
    if run.detail or not run.results:
        yield _markdown(run.detail or "there was no check to look at")
        yield ""
    for mistake in run.mistakes:
        yield f"- {_markdown(said(mistake))}"
    if not run.results:
        yield ""
        return
    yield f"{counted(run.results)} in {run.took_s:.1f} s"
    yield ""
    yield "| outcome | check | value | wanted | samples | took | attempt | tags |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in run.results:
        cells = (
            one.outcome.value if decides(one) else f"{one.outcome.value} (warning)",
            one.name,
            f"{one.value} {one.unit}".strip() if one.value else "",
            one.threshold,
            "" if one.samples is None else str(one.samples),
            f"{one.took_s:.2f} s",
            str(one.attempt),
            ", ".join(one.tags),
        )
        yield f"| {' | '.join(_markdown(cell) for cell in cells)} |"
    yield ""
    for one in run.results:
        if one.outcome is not Outcome.PASS:
            yield f"**{_markdown(one.name)}**: {_markdown(one.detail)}"
            yield from (
                f"<br>{what}: {_markdown(text)}" for what, text in (("asked", one.asked), ("hint", one.hint)) if text
            )
            yield ""


def _data(text: str) -> str:
    """A command's message: GitHub reads these three back."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A command's property: a colon ends them all, and a comma this one."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line of a table."""
    return _MARKDOWN.sub(r"\\\1", html.escape(one_line(text), quote=False))
