"""The command line: ``captain serve`` runs the bot, the other commands talk to a running one."""

from __future__ import annotations

import getpass
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import requests
import typer
import uvicorn

from bot import clock, config, grammar, manifest, web
from bot.app import Captain, Settings, build, load
from bot.errors import ConfigError, Refused
from bot.sandbox.cli import sandbox_app
from bot.slack import SlackEar
from handlers.subjects import SUBJECTS, TICKS

DEFAULT_CONFIG = Path("captain.yml")
ConfigOption = Annotated[Path, typer.Option("--config", "-c", envvar="CAPTAIN_CONFIG", help="the configuration file")]


def cli() -> typer.Typer:
    """The commands, made when asked for."""
    app = typer.Typer(name="captain", help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    app.command()(serve)
    app.command()(check)
    slack = typer.Typer(help="Slack's side.", no_args_is_help=True)
    slack.command("manifest")(slack_manifest)
    app.add_typer(slack, name="slack")
    app.add_typer(sandbox_app(), name="sandbox")
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
    for subject in SUBJECTS:
        app.command(subject, help=_subject_help(subject), context_settings=settings)(_subject(subject))
    return app


def serve(config_file: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the bot against the services that captain.yml names."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    sys.setswitchinterval(0.0005)  # a page must not wait five milliseconds for another thread to yield
    try:
        captain = build(config_file, config.environment())
        captain.start()
    except ConfigError as e:
        _fail(str(e))
    Serving(captain).run()


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
        self._clock = clock.build(TICKS, captain.engine.ticked)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then finish what is in flight within 20 s and hand the rest over."""
        self._clock.start()
        if self._slack:
            self._slack.listen()
        for stop in (signal.SIGTERM, signal.SIGINT):
            # uvicorn stops on either and then raises it again, which would end us before our own work is handed over.
            signal.signal(stop, lambda _number, _frame: None)
        try:
            self._server.run()
        finally:
            self._clock.shutdown(wait=False)
            if self._slack:
                self._slack.close()
            self._captain.stop()


def check(config_file: ConfigOption = DEFAULT_CONFIG) -> None:
    """Read captain.yml and the runbooks and say every mistake in them; nothing is started."""
    try:
        settings, runbooks = load(config_file, config.environment())
    except ConfigError as e:
        _fail(str(e))
    typer.echo(f"{config_file} is right: {len(settings.services)} services, {len(runbooks)} runbooks.")


def slack_manifest(config_file: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print the Slack app manifest: its scopes and slash commands are read off the code."""
    settings, _ = load(config_file, config.environment()) if config_file.exists() else (Settings(), {})
    typer.echo(manifest.render(settings.slack, settings.captain.public_url))


def _subject(subject: str) -> Any:
    def run(
        context: typer.Context,
        config_file: ConfigOption = DEFAULT_CONFIG,
        as_: Annotated[str, typer.Option("--as", envvar="CAPTAIN_USER", help="who you are")] = "",
        as_json: Annotated[bool, typer.Option("--json", help="print plain JSON")] = False,
    ) -> None:
        _ask(subject, list(context.args), config_file, as_ or getpass.getuser(), as_json=as_json)

    return run


def _subject_help(subject: str) -> str:
    known = {key: c for key, c in grammar.commands(SUBJECTS).items() if key[0] == subject}
    return "Ask the running bot. Verbs:\n\n" + "\n\n".join(f"{c.usage}: {c.help}" for c in known.values())


def _ask(subject: str, words: list[str], config_file: Path, name: str, *, as_json: bool) -> None:
    """Send one line to the running bot, and say what it answers."""
    if "--json" in words:
        words, as_json = [word for word in words if word != "--json"], True
    try:
        line = " ".join([subject, *(_quoted(word) for word in words)])
        grammar.parse(grammar.commands(SUBJECTS), line)
        settings, _ = load(config_file, config.environment())
    except (Refused, ConfigError) as e:
        _fail(str(e))
    token = settings.captain.api_token
    if token is None:
        _fail(f"{config_file}: captain.api_token is not set, so the bot's door for the CLI is shut; set it")
    host, port = settings.captain.address
    url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '') else host}:{port}/api/command"  # noqa: S104 - compared, not bound
    headers = {"authorization": f"Bearer {token.get_secret_value()}"}
    try:
        answer = requests.post(url, json={"line": line, "as": name}, headers=headers, timeout=10)
        told = answer.json()
    except (requests.RequestException, ValueError) as e:
        _fail(f"the bot does not answer at {url}: {type(e).__name__}. Is `captain serve` running?")
    if answer.status_code != 200:
        _fail(told.get("error", answer.text))
    typer.echo(json.dumps(told["data"], indent=2, ensure_ascii=False) if as_json else told["text"])


def _quoted(word: str) -> str:
    return (
        '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' if not word.isalnum() and word[:1] != "-" else word
    )


def _fail(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(2)


def main() -> None:
    """The console script."""
    # A reader that hangs up (`captain … | head`) is no error.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    cli()()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
