"""``captain serve`` and what else needs the whole bot: check, slack manifest, audit verify."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, NoReturn

import sqlalchemy as sa
import typer
import uvicorn

from bot import audit, clock, config, manifest, web
from bot.app import Captain, build
from bot.errors import ConfigError, GiveUp, Retry
from bot.files import whole
from bot.integrations import connect
from bot.settings import Settings, load
from bot.slack import SlackEar
from bot.store import Store
from bot.watch import Watcher

DEFAULT_CONFIG = Path("captain.yml")
REPLACE_WITHIN = 25.0
"""Seconds that a bot may take to stop which is replaced: it promises twenty."""
ConfigOption = Annotated[Path, typer.Option("--config", "-c", envvar="CAPTAIN_CONFIG", help="the configuration file")]


def cli() -> typer.Typer:
    """The commands, made when asked for."""
    app = typer.Typer(
        name="captain", help="Run the bot.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
    )
    app.command()(serve)
    app.command()(check)
    slack = typer.Typer(help="Slack's side.", no_args_is_help=True)
    slack.command("manifest")(slack_manifest)
    app.add_typer(slack, name="slack")
    chain = typer.Typer(help="The record of who did what.", no_args_is_help=True)
    chain.command("verify")(audit_verify)
    app.add_typer(chain, name="audit")
    return app


def serve(
    config_file: ConfigOption = DEFAULT_CONFIG,
    replace: Annotated[
        bool, typer.Option("--replace", help="stop the bot that holds the SQLite file, then start; says so if it stays")
    ] = False,
) -> None:
    """Run the bot against the services that captain.yml names.

    On SQLite (captain.database: sqlite:///data/bot.db) one process runs; a second is refused, or takes over with --replace.

    On PostgreSQL run three: the same command and the same captain.yml on three machines. They share the work; when one
    dies, another carries on within two leases (captain.lease, 15 s). In front of them goes a load balancer that asks
    /readyz; in Slack's mode: socket each replica connects by itself, and the load balancer is for webhooks alone.

    SIGTERM: it takes no more, finishes what is in flight, hands the rest over and ends within 20 s. kill -9 loses nothing.

    docs/operating.md has the rest: backup, upgrade, and what to do when something is down.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    sys.setswitchinterval(0.0005)  # a page must not wait five milliseconds for another thread to yield
    try:
        captain = build(config_file, config.environment())
        if replace:
            _replace(captain.store)
        captain.start()
    except ConfigError as e:
        _fail(str(e))
    Serving(captain).run()
    logging.shutdown()
    # A thread that still waits for an outside call or a database is not waited for: what it does is handed over.
    os._exit(0)


def _replace(store: Store) -> None:
    if not store.sqlite:
        raise ConfigError(
            "--replace is for SQLite; on PostgreSQL replicas share the work: start another, stop the old one"
        )
    store.lock_file(replace=REPLACE_WITHIN)


class Serving:
    """One running bot: its ears, and how they stop."""

    def __init__(self, captain: Captain) -> None:
        self._captain = captain
        slack = captain.settings.slack
        self._slack = SlackEar(captain, slack) if slack else None
        endpoint = self._slack.http if self._slack and slack and slack.mode == "http" else None
        host, port = captain.settings.captain.address
        options = uvicorn.Config(
            web.build(captain, endpoint),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(options)
        self._watcher = Watcher(captain)
        self._clock = clock.build(captain.ticks, captain.engine.ticked)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then finish what is in flight within 20 s and hand the rest over."""
        self._clock.start()
        self._watcher.start()
        if self._slack:
            self._slack.listen()
        for stop in (signal.SIGTERM, signal.SIGINT):
            # uvicorn stops on either and then raises it again, which would end us before our own work is handed over.
            signal.signal(stop, lambda _number, _frame: None)
        try:
            self._server.run()
        finally:
            self._clock.shutdown(wait=False)
            self._watcher.stop()
            if self._slack:
                self._slack.close()
            self._captain.stop()


def check(
    config_file: ConfigOption = DEFAULT_CONFIG,
    ask: Annotated[
        bool, typer.Option("--ask", help="also ask Jira whether it has the projects, fields, priorities and statuses")
    ] = False,
) -> None:
    """Read captain.yml and the runbooks and say every mistake in them; nothing is started."""
    try:
        settings, runbooks = load(config_file, config.environment())
    except ConfigError as e:
        _fail(str(e))
    typer.echo(f"{config_file} is right: {len(settings.services)} services, {len(runbooks)} runbooks.")
    if ask:
        _ask_jira(settings)


def _ask_jira(settings: Settings) -> None:
    """Say what Jira does not have of what captain.yml names, or that all of it is there."""
    jira, tracker = settings.jira, connect.jira(settings.jira)
    if jira is None or tracker is None:
        _fail("there is no jira: section in captain.yml, so there is nobody to ask")
    projects = sorted({service.jira for service in settings.services.values() if service.jira} | set(jira.projects))
    try:
        who = tracker.ping()
        fits = {project: tracker.fit(project, jira.rules(project)) for project in projects}
    except (Retry, GiveUp) as e:
        _fail(e.reason)
    for project, fit in fits.items():
        for name, known in (("statuses", fit.statuses), ("priorities", fit.priorities)):
            if known:
                typer.echo(f"{project}: {name} {', '.join(f'{called} ({ident})' for ident, called in known.items())}")
    found = [line for fit in fits.values() for line in fit.problems]
    if found:
        _fail("\n".join(found))
    typer.echo(f"Jira ({who}) has what captain.yml names in {', '.join(projects) or 'no project'}.")
    if jira.webhook_secret is None:
        typer.echo("jira.webhook_secret is not set: what people do in Jira is not heard.")


def slack_manifest(config_file: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print the Slack app manifest: its scopes and slash commands are read off the code."""
    settings, _ = load(config_file, config.environment()) if config_file.exists() else (Settings(), {})
    typer.echo(manifest.render(settings.slack, settings.captain.public_url))


def audit_verify(config_file: ConfigOption = DEFAULT_CONFIG) -> None:
    """Walk the audit chain and say whether anything was changed, removed or inserted."""
    try:
        settings, _ = load(config_file, config.environment())
        with closing(Store(settings.captain.database)) as store:
            held, broken = _verified(store)
    except ConfigError as e:
        _fail(str(e))
    if broken:
        _fail(f"the audit chain is broken after {held} entries: {broken}")
    typer.echo(f"the audit chain holds: {held} entries.")


def _verified(store: Store) -> tuple[int, str]:
    if store.path:
        whole(store.path)
    try:
        with store.read() as c:
            return audit.verify(c)
    except sa.exc.DBAPIError as e:
        raise store.unusable(e) from e


def _fail(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(2)


if __name__ == "__main__":
    cli()(prog_name="captain")
