"""``captain runbook list|show|check|schema``: the runbooks of this machine, without the bot; ``run`` is another module's."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from bot import config, runbook_find
from bot.errors import ConfigError, Refused
from bot.runbook_find import Found
from runbooks import Check, Runbook, schema
from runbooks.formats.told import cleaned, mistakes, one_line, said
from runbooks.lint import warnings

DEFAULT_CONFIG = Path("captain.yml")
RUN = "bot.runbook_run"
"""Has what only a run needs, so that nobody else waits for its imports."""
ASK = "bot.ask"
RUN_NUMBER = re.compile(r"#?\d{1,9}")
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", envvar="CAPTAIN_CONFIG", help="the configuration file; ./captain.yml if it is there"
    ),
]


def cli() -> typer.Typer:
    """The commands, made when asked for."""
    app = typer.Typer(name="captain", no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    app.callback()(_only_groups)
    runbook = typer.Typer(
        help="Runbooks from this machine, without the bot: docs/runbooks-ci.md. `captain runbook history` and "
        "`captain runbook cancel` are asked of the running bot.",
        no_args_is_help=True,
    )
    runbook.command(
        "run", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
    )(run)
    runbook.command("list")(list_)
    runbook.command("show")(show)
    runbook.command("check")(check)
    runbook.command("schema")(schema_)
    app.add_typer(runbook, name="runbook")
    return app


def _only_groups() -> None:
    """Without this, typer would take a single group for the whole command."""


def run(context: typer.Context) -> None:
    """Look with runbooks, and end with 0, 1 or 2: pass, fail, could not tell."""
    _hand_over(RUN, "runbook", "run", *context.args)


def _hand_over(module: str, *words: str) -> NoReturn:
    """Replace this process by another of our modules."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *words])  # noqa: S606 - our own module, no shell


def list_(
    config_file: ConfigOption = None, as_json: Annotated[bool, typer.Option("--json", help="print plain JSON")] = False
) -> None:
    """The runbooks that can be run by name: the shipped ones and those beside captain.yml."""
    found = _known(config_file)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found.values()], indent=2, ensure_ascii=False))
        return
    width = max(len(name) for name in found)
    for name, one in found.items():
        typer.echo(f"{name.ljust(width)}  {_summary(one)}")


def show(
    name: Annotated[str, typer.Argument(metavar="NAME_OR_PATH", help="a runbook's name, or its file")],
    config_file: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="print plain JSON")] = False,
) -> None:
    """What a runbook looks at: its parameters, its checks with their hints, its owners and links.

    A number, such as 12 or #12, is a run of the running bot, which is asked for what it found.
    """
    if RUN_NUMBER.fullmatch(name) and not Path(name).exists():
        _hand_over(ASK, "runbook", *sys.argv[2:])
    found = _named([name], config_file)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found], indent=2, ensure_ascii=False))
    for one in found:
        if one.runbook is None:
            _fail(one.problem)
        if not as_json:
            typer.echo("\n".join(_shown(one.runbook)))


def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME_OR_PATH]…", help="files, folders or names; not given: all that `list` has"),
    ] = None,
    config_file: ConfigOption = None,
) -> None:
    """Read runbooks and say every mistake and what may surprise, with file and line; nothing is looked at.

    Ends with 0 when they can all be run, 1 when there is a mistake, 2 when there is nothing to read.
    """
    found = _named(paths, config_file) if paths else list(_known(config_file).values())
    wrong = warned = 0
    for one in found:
        for mistake in mistakes(one.problem):
            wrong += 1
            typer.echo(said(mistake))
        for line, why in warnings(one.runbook) if one.runbook else ():
            warned += 1
            typer.echo(f"{one.path}:{line}: warning: {cleaned(why)}")
    count = f"{len(found)} runbook{'s' * (len(found) != 1)}"
    typer.echo(f"{count}: {_some(wrong, 'mistake')}, {_some(warned, 'warning')}.", err=wrong > 0)
    raise typer.Exit(1 if wrong else 0)


def schema_() -> None:
    """Print the JSON Schema of a runbook's file, for editors: docs/runbooks-ci.md says where it goes."""
    typer.echo(json.dumps(schema(), indent=2, ensure_ascii=False))


def _known(config_file: Path | None) -> Mapping[str, Found]:
    try:
        must = config_file is not None
        return runbook_find.known(config_file or DEFAULT_CONFIG, config.environment(), must_exist=must)
    except ConfigError as problem:
        _fail(str(problem))


def _named(words: Sequence[str], config_file: Path | None) -> list[Found]:
    try:
        must = config_file is not None
        return runbook_find.named(words, config_file or DEFAULT_CONFIG, config.environment(), must_exist=must)
    except (Refused, ConfigError) as problem:
        _fail(str(problem))


def _summary(one: Found) -> str:
    if one.runbook is None:
        return f"cannot be read; see `captain runbook check {one.path}`"
    count = len(one.runbook.checks)
    owners = f" [{', '.join(one.runbook.owners)}]" if one.runbook.owners else ""
    return cleaned(f"{one_line(one.runbook.title)} ({_some(count, 'check')}){owners}")


def _shown(book: Runbook) -> Iterator[str]:
    """A runbook as a person reads it."""
    yield f"{book.name}: {cleaned(one_line(book.title))}"
    yield f"  file    {book.path}"
    for what, text in (
        ("owners", ", ".join(book.owners)),
        ("tags", ", ".join(book.tags)),
        *(("link", f"{name}: {link}") for name, link in (book.links or {}).items()),
    ):
        if text:
            yield f"  {what.ljust(6)}  {cleaned(text)}"
    if book.parameters:
        yield "parameters"
        width = max(len(name) for name in book.parameters)
        for name, default in book.parameters.items():
            yield f"  {name.ljust(width)}  {_parameter(book, name, default)}"
    yield "checks"
    for one in book.checks:
        yield f"  {cleaned(one_line(one.name))}: {_about(one)}"
        if one.hint:
            yield f"    hint: {cleaned(one_line(one.hint))}"
        if one.actions:
            yield f"    actions, offered in chat when it does not pass: {cleaned(', '.join(one.actions))}"


def _parameter(book: Runbook, name: str, default: str | None) -> str:
    declared = book.declared.get(name)
    said = "must be given" if default is None else f"{default}"
    if declared and declared.choices:
        said += f", one of {', '.join(declared.choices)}"
    return cleaned(f"{said}; {one_line(declared.description)}" if declared and declared.description else said)


def _about(one: Check) -> str:
    parts = [one.kind, f"within {one.timeout:g} s"]
    parts += [f"{_some(one.retries, 'retry', 'retries')}"] if one.retries else []
    parts += [f"{one.successes} times in a row"] if one.successes > 1 else []
    parts += [f"needs {', '.join(one.needs)}"] if one.needs else []
    parts += ["only a warning"] if one.severity.value == "warning" else []
    parts += [f"tags {', '.join(one.tags)}"] if one.tags else []
    return cleaned(", ".join(parts))


def _plain(one: Found) -> dict[str, Any]:
    """A runbook as JSON."""
    book = one.runbook
    if book is None:
        wrong = [{"path": m.path, "line": m.line, "why": m.why} for m in mistakes(one.problem)]
        return {"name": one.name, "path": str(one.path), "mistakes": wrong}
    return {
        "name": book.name,
        "title": book.title,
        "path": str(one.path),
        "owners": list(book.owners),
        "tags": list(book.tags),
        "links": dict(book.links or {}),
        "parameters": dict(book.parameters),
        "checks": [
            {
                "name": check.name,
                "kind": check.kind,
                "severity": check.severity.value,
                "timeout": check.timeout,
                "retries": check.retries,
                "needs": list(check.needs),
                "tags": list(check.tags),
                "hint": check.hint,
            }
            for check in book.checks
        ],
        "mistakes": [],
    }


def _some(count: int, one: str, many: str = "") -> str:
    return f"{count or 'no'} {one if count == 1 else many or f'{one}s'}"


def _fail(why: str) -> NoReturn:
    sys.stdout.flush()
    typer.echo(why, err=True)
    raise typer.Exit(2)


if __name__ == "__main__":
    cli()(prog_name="captain")
