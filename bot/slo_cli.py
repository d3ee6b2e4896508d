"""``captain slo …``: SLOs into Prometheus rules, what Prometheus answers for them, and OpenSLO into SLOs; without the bot."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bot import config, replay_cli
from bot.errors import ConfigError, GiveUp, Retry
from bot.integrations import connect
from bot.settings import Settings, load
from handlers.slo import dry, openslo, rule_file

DEFAULT_CONFIG = Path("captain.yml")
ConfigOption = Annotated[Path, typer.Option("--config", "-c", envvar="CAPTAIN_CONFIG", help="the configuration file")]


def cli() -> typer.Typer:
    """The commands, made when asked for."""
    app = typer.Typer(name="captain", no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    app.callback()(_only_groups)
    slo = typer.Typer(help="The SLOs of captain.yml: docs/slo.md says what they mean.", no_args_is_help=True)
    slo.command("rules")(rules)
    slo.command("check")(check)
    slo.command("import")(import_)
    slo.command("replay")(replay_cli.command)
    app.add_typer(slo, name="slo")
    return app


def _only_groups() -> None:
    """Without this, typer would take a single group for the whole command."""


def rules(
    config_file: ConfigOption = DEFAULT_CONFIG,
    out: Annotated[Path | None, typer.Option("--out", help="the file to write; not given: standard output")] = None,
    prometheusrule: Annotated[
        bool, typer.Option("--prometheusrule", help="as a PrometheusRule of the Prometheus operator")
    ] = False,
    name: Annotated[str, typer.Option(help="the PrometheusRule's name")] = "release-captain-slos",
    namespace: Annotated[str, typer.Option(help="the PrometheusRule's namespace")] = "",
    label: Annotated[
        list[str] | None, typer.Option("--label", help="KEY=VALUE: a label of the PrometheusRule; may be repeated")
    ] = None,
) -> None:
    """Write recording and alerting rules of all SLOs for Prometheus; asks nobody."""
    settings = _read(config_file)
    made = rule_file.groups(settings.slos, settings.services, settings.incidents)
    if prometheusrule:
        text = rule_file.prometheus_rule(made, name=name, namespace=namespace, marks=_pairs(label or []))
    else:
        text = rule_file.plain(made)
    if out is None:
        typer.echo(text, nl=False)
    else:
        try:
            fresh = out.with_name(f"{out.name}.new")  # a reload in between must not read half of it
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(out)
        except OSError as e:
            _fail(f"{out} cannot be written: {e.strerror}")
        count = sum(len(group["rules"]) for group in made)
        typer.echo(
            f"{out}: {count} rules for {_slos(len(settings.slos))}; name it in rule_files:, then reload Prometheus."
        )
    doubled = [name for name, slo in settings.slos.items() if slo.evaluate]
    if doubled:
        typer.echo(
            f"The bot evaluates {', '.join(doubled)} too: once Prometheus runs these rules, set evaluate: false there.",
            err=True,
        )


def check(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SLO]…", help="not given: all of them")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print plain JSON")] = False,
    config_file: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Ask Prometheus every query of every SLO, and say what is counted, what is left, and what is wrong.

    Ends with 0 when all is well, 1 when something is to be mended, 2 when something could not be told.
    """
    settings = _read(config_file)
    for name in names or ():
        if name not in settings.slos:
            _fail(f"'{name}' is not one of slos:.{config.nearest(name, list(settings.slos))}")
    metrics = connect.prometheus(settings.prometheus)
    if metrics is None or settings.prometheus is None:
        _fail("there is no prometheus: section in captain.yml, so there is nobody to ask")
    try:
        version = metrics.ping()
    except (Retry, GiveUp) as e:
        _fail(e.reason)
    timeout = settings.prometheus.timeout
    done = []
    for name in sorted(names or settings.slos):
        one = dry.check(metrics, name, settings.slos[name], timeout=timeout, clock=time.monotonic)
        done.append(one)
        if not as_json:
            typer.echo("\n".join(dry.lines(one)) + "\n")
    code = dry.code(done)
    if as_json:
        typer.echo(json.dumps({"prometheus": version, "slos": [dry.plain(one) for one in done]}, indent=2))
    else:
        said = ("all is well", "there is something to mend", "not everything could be told")[code]
        typer.echo(f"Prometheus {version}, {_slos(len(done))}: {said}.")
    raise typer.Exit(code)


def import_(
    files: Annotated[list[Path], typer.Argument(help="OpenSLO v1 documents, several in a file or in several")],
    config_file: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write OpenSLO v1 documents as a slos: section, and say what of them was left out or reads differently here.

    Ends with 0 when every SLO was taken, 1 when some were, 2 when none was.
    """
    texts = {}
    for file in files:
        try:
            texts[str(file)] = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            _fail(f"{file} cannot be read: {e}")
    made = openslo.read(texts)
    notes = [*made.notes, *_strange(made, config_file)]
    for line in (*(f"refused: {why}" for why in made.refused), *(f"note: {why}" for why in notes)):
        typer.echo(line, err=True)
    if made.slos:
        typer.echo(f"# From OpenSLO: {', '.join(str(file) for file in files)}")
        typer.echo(rule_file.as_yaml({"slos": made.slos}), nl=False)
    if made.refused:
        raise typer.Exit(1 if made.slos else 2)


def _strange(made: openslo.Imported, config_file: Path) -> Iterator[str]:
    """What the captain.yml that these are for does not know, or knows already."""
    if not config_file.exists():
        return
    try:
        settings = load(config_file, config.environment())[0]
    except ConfigError as e:
        yield f"not compared with {config_file}, which is not right: {str(e).partition(chr(10))[0]}"
        return
    for name, row in made.slos.items():
        service = row["service"]
        if service not in settings.services:
            near = config.nearest(service, list(settings.services))
            yield f"{name}: '{service}' is not a service of {config_file}.{near}"
        if name in settings.slos:
            yield f"{name} is in {config_file} already; keep one of the two"


def _slos(n: int) -> str:
    return "1 SLO" if n == 1 else f"{n} SLOs"


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = dict(one.partition("=")[::2] for one in given)
    if not all(pairs) or not all("=" in one for one in given):
        _fail("--label wants KEY=VALUE, such as release=kube-prometheus-stack")
    return pairs


def _read(config_file: Path) -> Settings:
    try:
        settings, _ = load(config_file, config.environment())
    except ConfigError as e:
        _fail(str(e))
    if not settings.slos:
        _fail(
            f"{config_file} has no slos: section; captain.example.yml shows one, `captain slo import` makes one of OpenSLO"
        )
    return settings


def _fail(why: str) -> NoReturn:
    sys.stdout.flush()
    typer.echo(why, err=True)
    raise typer.Exit(2)


if __name__ == "__main__":
    cli()(prog_name="captain")
