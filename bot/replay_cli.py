"""``captain slo replay``: recorded alerts, or those that Prometheus remembers, through a policy, and against another."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, NoReturn

import sqlalchemy as sa
import typer

from bot import config, replay
from bot.errors import ConfigError, GiveUp, Refused, Retry
from bot.files import whole
from bot.integrations import connect
from bot.settings import Settings
from bot.store import Store, revision, revisions
from handlers.replay import history, stream, words
from handlers.replay.stream import Delivery

DEFAULT_CONFIG = Path("captain.yml")
AGE = re.compile(r"(\d{1,4})([hdw])")
SECONDS = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}
STEPS = (10.0, 3600.0)


def command(
    source: Annotated[
        str, typer.Option("--from", help="a folder (or file) of recorded webhooks, or: journal, or: prometheus")
    ],
    policy: Annotated[
        Path, typer.Option("--policy", "--config", "-c", envvar="CAPTAIN_CONFIG", help="the captain.yml that is tried")
    ] = DEFAULT_CONFIG,
    against: Annotated[Path | None, typer.Option("--against", help="another captain.yml, such as the old one")] = None,
    since: Annotated[str, typer.Option(help="how far back journal and prometheus are read, such as 4w or 36h")] = "4w",
    step: Annotated[float, typer.Option(help="seconds between two looks at Prometheus' history")] = 60.0,
    record: Annotated[
        Path | None, typer.Option("--record", help="also write the alerts into this file, as JSON lines")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print everything as JSON")] = False,
) -> None:
    """Say which pages and tickets a policy would have made of alerts that have been; nobody is paged.

    Both policies decide in a temporary database. Variables of captain.yml that are not set are no mistake here, but for
    those that name the database (--from journal) or Prometheus (--from prometheus).
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        tried = replay.policy(policy, config.environment())
        other = replay.policy(against, config.environment()) if against else None
        deliveries = _read(source, tried[0], since=since, step=step)
        if record is not None:
            _record(record, deliveries)
        result = replay.run(*tried, deliveries, name=str(policy))
        compared = replay.run(*other, deliveries, name=str(against)) if other else None
    except (ConfigError, Refused) as e:
        _fail(str(e))
    except (Retry, GiveUp) as e:
        _fail(e.reason)
    if as_json:
        typer.echo(json.dumps(words.plain(result, compared), ensure_ascii=False, indent=2))
    else:
        typer.echo(words.table(result, compared))


def _read(source: str, settings: Settings, *, since: str, step: float) -> Sequence[Delivery]:
    now = time.time()
    if source == "journal":
        found = _journal(settings, since=now - _span(since))
    elif source == "prometheus":
        metrics = connect.prometheus(settings.prometheus)
        if metrics is None:
            raise Refused("there is no prometheus: section in captain.yml, so there is no history to ask for")
        if not STEPS[0] <= step <= STEPS[1]:
            raise Refused(f"--step must be between {STEPS[0]:g} and {STEPS[1]:g} seconds")
        found = history.read(
            metrics, start=now - _span(since), end=now, step=step, say=lambda said: typer.echo(said, err=True)
        )
    else:
        found = stream.folder(Path(source))
    if not found:
        raise Refused(f"no alert fired in the last {since}, as far as {source} knows; --since goes further back")
    return found


def _journal(settings: Settings, *, since: float) -> list[Delivery]:
    with closing(Store(settings.captain.database)) as store:
        if store.path:
            whole(store.path)
        try:
            with store.read() as c:
                if revision(c) != revisions()[-1]:
                    raise Refused("the database is not at this release's schema; start the bot once first")
                return stream.journal(c, since=since)
        except sa.exc.DBAPIError as e:
            raise store.unusable(e) from e


def _record(path: Path, deliveries: Sequence[Delivery]) -> None:
    try:
        path.write_text("".join(f"{one.line()}\n" for one in deliveries), encoding="utf-8")
    except OSError as e:
        raise Refused(f"{path} cannot be written: {e.strerror}") from e


def _span(said: str) -> float:
    match = AGE.fullmatch(said.strip().lower())
    if match is None or not int(match.group(1)):
        raise Refused(f"--since wants a length of time such as 36h, 14d or 4w, not '{said}'")
    return int(match.group(1)) * SECONDS[match.group(2)]


def _fail(why: str) -> NoReturn:
    sys.stdout.flush()
    typer.echo(why, err=True)
    raise typer.Exit(2)
