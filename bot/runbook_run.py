"""``captain runbook run``: looks with runbooks from this machine, without the bot, and tells what was found in one format or several."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, NoReturn

import typer

from bot import config, runbook_clients, runbook_find
from bot.errors import ConfigError, Refused
from bot.runbook_find import Found
from bot.runbook_screen import Lines, LiveTable, Nothing, Screen, said_to, wants_plain
from runbooks import Check, Looks, Report, Result, Runbook
from runbooks import run as look
from runbooks.book import DEADLINE_S, selected
from runbooks.document import nearest
from runbooks.formats import RENDER, Format, github, plain
from runbooks.formats.told import UNTOLD, Told, Whole, cleaned, told, unreadable

DEFAULT_CONFIG = Path("captain.yml")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KEPT_FREE = 128
"""Added to a signal's number in an exit code, as shells do."""
_OUTPUT = re.compile(rf"({'|'.join(Format)})=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Sheet:
    """A file to write, and in which format."""

    format: Format
    path: Path


@dataclass(frozen=True)
class Call:
    """What is wanted: runbooks, what goes over their own values, and whom it is told.

    ``of``: the service looked at, as parameters for runbooks that have such.
    """

    found: Sequence[Found]
    parameters: Mapping[str, str]
    of: Mapping[str, str]
    only: Sequence[str]
    tags: Sequence[str]
    environ: Mapping[str, str]
    parallel: int | None
    deadline_s: float | None


@dataclass
class Interrupted:
    """Whether a signal asked for the end, and which. A second one changes nothing: the first one leaves no process."""

    event: threading.Event = field(default_factory=threading.Event)
    number: int = 0

    def listen(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._heard)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        self.number = self.number or number
        self.event.set()


def cli() -> typer.Typer:
    """The command, made when asked for."""
    app = typer.Typer(name="captain", add_completion=False, rich_markup_mode=None)
    runbook = typer.Typer()
    runbook.command("run")(run)
    runbook.callback()(_only_groups)
    app.add_typer(runbook, name="runbook")
    app.callback()(_only_groups)
    return app


def _only_groups() -> None:
    """Without this, typer would take a single command for the whole."""


def run(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME_OR_PATH… [KEY=VALUE]…",
            help="runbooks by name, by file, or all of a folder; and values of their parameters",
        ),
    ],
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", envvar="CAPTAIN_CONFIG", help="the configuration file; ./captain.yml if it is there"
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help="this check and what it needs; may be repeated")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="the checks with this tag and what they need; may be repeated")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", "-f", help="what standard output shows")] = Format.TABLE,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="[FORMAT=]FILE",
            help="write a file: in FORMAT, or in that of --format, and standard output then shows the table; may be repeated",
        ),
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, max=64, help="checks at a time; else what the file says, else 4")
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(min=0.1, max=3600, help="seconds for each runbook; else what its file says, else 60")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env", metavar="NAME=VALUE", help="a variable for commands and env: references; no place for secrets"
        ),
    ] = None,
    service: Annotated[
        str,
        typer.Option(
            help="the service looked at: a value for runbooks that have this parameter, and no mistake for others"
        ),
    ] = "",
    environment: Annotated[str, typer.Option(help="where it is; likewise, also as the parameter env")] = "",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="say what each check asked, also when it passed")
    ] = False,
) -> None:
    """Look with runbooks, from this machine and with its rights. The bot need not run, and captain.yml need not be there.

    Ends with 0 when every blocking check PASSed, 1 when one FAILed, 2 when it could not be told: a check was
    INCONCLUSIVE, NO_DATA or ERROR, there was none, a runbook could not be read, or the command was not understood.
    Ctrl-C ends the checks and what they started, and then with 130.
    """
    stop = Interrupted()
    stop.listen()
    environ = dict(config.environment())
    try:
        environ |= _pairs(env or ())
        sheets, shown = _sheets(output or (), format_)
        found, parameters = _found(what, config_file, environ)
        of = {"service": service, "environment": environment, "env": environment}
        call = Call(found, parameters, of, tuple(only or ()), tuple(tag or ()), environ, parallel, deadline)
        call = replace(call, found=_chosen(call))
        books = [one.runbook for one in call.found if one.runbook]
        sections = runbook_clients.needed(books)
        looks = runbook_clients.looks(
            sections, config_file or DEFAULT_CONFIG, environ, must_exist=config_file is not None
        )
    except (Refused, ConfigError) as problem:
        _fail(str(problem))
    mask = runbook_clients.mask(books, environ)
    say = said_to(sys.stdout)
    whole = _carry_out(call, looks, _screen(shown, environ, Lines(say, mask, verbose), verbose=verbose), stop)
    if shown is not Format.TABLE:
        say(RENDER[shown](whole).removesuffix("\n"))
    _write(sheets, whole, verbose=verbose)
    if Format.GITHUB in (shown, *(sheet.format for sheet in sheets)):
        _summarise(whole, environ)
    raise typer.Exit(KEPT_FREE + stop.number if stop.number else whole.code)


def _found(
    what: Sequence[str], config_file: Path | None, environ: Mapping[str, str]
) -> tuple[list[Found], dict[str, str]]:
    words, parameters = runbook_find.parted(what)
    if not words:
        raise Refused("name a runbook, a file or a folder; `captain runbook list` shows the names")
    must = config_file is not None
    return runbook_find.named(words, config_file or DEFAULT_CONFIG, environ, must_exist=must), parameters


def _chosen(call: Call) -> list[Found]:
    """Those of the runbooks in which there is something to do. Raises Refused for what no runbook knows."""
    books = [one.runbook for one in call.found if one.runbook]
    unread = len(books) < len(call.found)
    declared = {name for book in books for name in book.parameters}
    for name in call.parameters:
        if name not in declared and not unread:
            whose = f"the runbook {books[0].name} has" if len(books) == 1 else "none of these runbooks has"
            raise Refused(f"{whose} no parameter '{name}'{nearest(name, declared)}")
    if not call.only and not call.tags:
        return list(call.found)
    chosen = [one for one in call.found if one.runbook is None or any(_known_in(one.runbook, call))]
    for names, tags in [*(((name,), ()) for name in call.only), *(((), (tag,)) for tag in call.tags)]:
        wrong = [why for book in books if (why := _unknown(book, names, tags))]
        if len(wrong) == len(books) and wrong:
            raise Refused(wrong[0] if len(wrong) == 1 else f"in none of these runbooks: {'; '.join(wrong)}")
    return chosen


def _known_in(book: Runbook, call: Call) -> tuple[list[str], list[str]]:
    """(names, tags) of the call that the runbook knows."""
    names = [name for name in call.only if not _unknown(book, (name,), ())]
    return names, [tag for tag in call.tags if not _unknown(book, (), (tag,))]


def _unknown(book: Runbook, names: Sequence[str], tags: Sequence[str]) -> str:
    """Why the runbook has no such check, or nothing."""
    try:
        selected(book, names, tags)
    except ValueError as why:
        return str(why)
    return ""


def _carry_out(call: Call, looks: Looks, screen: Screen, stop: Interrupted) -> Whole:
    """Run one runbook after the other; after a signal the rest are not looked at."""
    began, clock = time.time(), time.monotonic()
    runs: list[Told] = []
    try:
        for one in call.found:
            done = _one(call, one, looks, screen, stop)
            screen.finish(done)
            runs.append(done)
    finally:
        screen.close()
    return Whole(runs, began, time.monotonic() - clock, cancelled=stop.event.is_set())


def _one(call: Call, one: Found, looks: Looks, screen: Screen, stop: Interrupted) -> Told:
    book, began = one.runbook, time.time()
    path = runbook_find.shown(one.path)
    if book is None:
        return unreadable(one.name, one.problem, path=path, began=began)
    names, tags = _known_in(book, call)
    of = {name: value for name, value in call.of.items() if value}
    given = {name: value for name, value in {**of, **call.parameters}.items() if name in book.parameters}
    values = {name: value for name, value in {**book.parameters, **given}.items() if value is not None}
    mask = runbook_clients.mask([book], call.environ)
    before = told(book, Report(book.name, (), 0.0), values, path=path, began=began, mask=mask)
    if stop.event.is_set():
        return replace(before, detail="not looked at: the run was cancelled")
    screen.begin(
        before, [check.name for check in selected(book, names, tags)], call.deadline_s or book.deadline_s or DEADLINE_S
    )

    def started(check: Check) -> None:
        screen.started(check.name)

    def ended(result: Result) -> None:
        screen.ended(replace(result, name=cleaned(result.name)))

    report = look(
        book,
        given,
        looks,
        parallel=call.parallel,
        deadline_s=call.deadline_s,
        on_start=started,
        on_result=ended,
        cancelled=stop.event,
        environ=call.environ,
        only=names,
        tags=tags,
    )
    return told(book, report, values, path=path, began=began, mask=mask)


def _screen(shown: Format, environ: Mapping[str, str], lines: Lines, *, verbose: bool) -> Screen:
    """The table on standard output; for other formats, a terminal on standard error sees how far it is."""
    if shown is Format.TABLE:
        return lines if wants_plain(sys.stdout, environ) else LiveTable(sys.stdout, verbose=verbose)
    watched = not sys.stdout.isatty() and not wants_plain(sys.stderr, environ)
    return LiveTable(sys.stderr, keep=False) if watched else Nothing()


def _pairs(given: Sequence[str]) -> dict[str, str]:
    for one in given:
        if not runbook_find.PARAMETER.fullmatch(one):
            raise Refused(f"--env wants NAME=VALUE, such as BASE=https://docs.example, not '{one.partition('=')[0]}'")
    return dict(one.partition("=")[::2] for one in given)


def _sheets(outputs: Sequence[str], format_: Format) -> tuple[list[Sheet], Format]:
    """The files to write, and what standard output shows. Raises Refused for what cannot be written; nothing is looked at then."""
    sheets = []
    shown = format_
    for one in outputs:
        match = _OUTPUT.fullmatch(one)
        if match is None:
            shown = Format.TABLE
        path = Path(match[2] if match else one)
        sheets.append(Sheet(Format(match[1]) if match else format_, path))
        if not path.parent.is_dir():
            raise Refused(f"{path} cannot be written: there is no folder {path.parent}")
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            raise Refused(f"{path} cannot be written")
    return sheets, shown


def _write(sheets: Sequence[Sheet], whole: Whole, *, verbose: bool) -> None:
    for sheet in sheets:
        text = plain.render(whole, verbose=verbose) if sheet.format is Format.TABLE else RENDER[sheet.format](whole)
        try:
            if sheet.path.exists() and not sheet.path.is_file():
                sheet.path.write_text(text, encoding="utf-8")  # a pipe or a device stays what it is
                continue
            fresh = sheet.path.with_name(f"{sheet.path.name}.new")  # a collector in between must not read half of it
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(sheet.path)
        except OSError as problem:
            _fail(f"{sheet.path} cannot be written: {problem.strerror}")


def _summarise(whole: Whole, environ: Mapping[str, str]) -> None:
    """Add to the summary of the job, where GitHub Actions asks for one."""
    if path := environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(github.summary(whole))
        except OSError as problem:
            typer.echo(f"the summary {path} cannot be written: {problem.strerror}", err=True)


def _fail(why: str) -> NoReturn:
    sys.stdout.flush()
    typer.echo(why, err=True)
    raise typer.Exit(UNTOLD)


def _broken(kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
    """A fault of ours is not "a check failed", which Python's own exit code 1 would say."""
    traceback.print_exception(kind, problem, trace)
    os._exit(UNTOLD)


if __name__ == "__main__":
    sys.excepthook = _broken
    typer.main.get_command(cli())(prog_name="captain")
