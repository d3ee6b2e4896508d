"""``captain slo …``: the SLOs of captain.yml as Prometheus rules, without Slack and without the bot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bot import config, replay_cli
from bot.errors import ConfigError
from bot.settings import Settings, load
from handlers.slo import rule_file

DEFAULT_CONFIG = Path("captain.yml")
ConfigOption = Annotated[Path, typer.Option("--config", "-c", envvar="CAPTAIN_CONFIG", help="the configuration file")]


def cli() -> typer.Typer:
    """The commands, made when asked for."""
    app = typer.Typer(name="captain", no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    app.callback()(_only_groups)
    slo = typer.Typer(help="The SLOs of captain.yml: docs/slo.md says what they mean.", no_args_is_help=True)
    slo.command("rules")(rules)
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
