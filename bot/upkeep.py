"""``captain db …`` and ``captain purge``: backup, restore, check and retention of the database, without Slack and without the bot."""

from __future__ import annotations

import getpass
import logging
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import sqlalchemy as sa
import typer

from bot import audit, backup, config, retention
from bot.config import CaptainSettings, OwnSection
from bot.durable import Finished
from bot.effects import EFFECTS, UNSETTLED, State
from bot.errors import ConfigError, Refused
from bot.files import Lock, engine_file, whole
from bot.store import Store, driver_url, revision, revisions
from handlers.alerts.journal import JOURNAL

DEFAULT_CONFIG = Path("captain.yml")
ConfigOption = Annotated[Path, typer.Option("--config", "-c", envvar="CAPTAIN_CONFIG", help="the configuration file")]
AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([dw]?)")
ROOM = 200_000_000
"""Bytes that should be free on the database's disk."""


def cli() -> typer.Typer:
    """The commands, made when asked for."""
    app = typer.Typer(
        name="captain",
        help="Look after the database.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )
    db = typer.Typer(help="Back up, restore and check the database.", no_args_is_help=True)
    db.command("backup")(save)
    db.command("restore")(restore)
    db.command("restored")(restored)
    db.command("check")(check)
    app.add_typer(db, name="db")
    app.command("purge")(purge)
    return app


# ---- backup and restore ---------------------------------------------------------------------------------------------------


def save(
    file: Annotated[Path, typer.Argument(help="the archive to write, or a folder to write one into")],
    config_file: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write both SQLite files as of one instant into one archive; the bot may run meanwhile."""
    with _opened(config_file) as store:
        path = _sqlite(store, file)
        whole(path)
        if file.is_dir():
            file /= time.strftime("captain-%Y%m%dT%H%M%SZ.zip", time.gmtime())
        made = backup.save(path, file)
    size = file.stat().st_size
    typer.echo(f"{file}: release {made.release}, schema {made.revision}, as of {_utc(made.taken_at)}, {size:,} bytes.")


def restore(
    file: Annotated[Path, typer.Argument(help="an archive that `captain db backup` wrote")],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    config_file: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Put a backup in the place of the database; what is replaced is kept beside it. The bot must be stopped."""
    with _opened(config_file) as store:
        path = _sqlite(store, file)
        store.lock_file()
        made = backup.read(file)
        asked = f"Put {file} (as of {_utc(made.taken_at)}, release {made.release}) in the place of {path}?"
        if not yes:
            if not sys.stdin.isatty():
                raise Refused(f"{asked} Say --yes if so; nothing was changed.")
            typer.confirm(asked, abort=True)
        done = backup.restore(path, file, actor=_who(), now=time.time())
    typer.echo(f"{path} is as it was at {_utc(made.taken_at)}.")
    if done.aside:
        typer.echo(f"What was there before is kept: {', '.join(str(one) for one in done.aside)}")
    typer.echo(_doubtful(done.doubtful))


def restored(config_file: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say that the database was restored by other means (pg_restore), before the bot starts on it."""
    with _opened(config_file) as store:
        if store.path:
            whole(store.path)
        store.lock_file()
        with store.write() as c:
            if revision(c) not in revisions():
                raise Refused("this database has no schema of this release; is captain.database the right one?")
            shows = backup.newest(c)
            count = backup.doubt(c, actor=_who(), at=time.time(), shows=shows, detail={})
    typer.echo(f"The newest that this database tells of is of {_utc(shows)}.")
    typer.echo(_doubtful(count))


def _doubtful(count: int) -> str:
    if not count:
        return "Nothing was owed in it."
    return f"What was owed in it ({count}) may have been done since: it is looked for before it is done again."


def _sqlite(store: Store, file: Path) -> Path:
    """The database's file. Raises Refused on PostgreSQL, with the commands that do there what was asked for."""
    if store.path is not None:
        return store.path
    url = driver_url(store.url).set(drivername="postgresql", password=None).render_as_string()
    dump = file if file.suffix else file / "captain.dump"
    raise Refused(
        "captain.database is PostgreSQL, whose own tools do this. Both schemas, public and dbos, belong together and are "
        "dumped as of one instant while the replicas run:\n"
        f"  pg_dump --format=custom --file={dump} {url}\n"
        "To restore, stop every replica, then:\n"
        f"  pg_restore --clean --if-exists --single-transaction --dbname={url} {dump}\n"
        "  captain db restored"
    )


# ---- check -------------------------------------------------------------------------------------------------------------------


def check(config_file: ConfigOption = DEFAULT_CONFIG) -> None:
    """Look whether the database is whole, of this release, and what is owed in it; changes nothing."""
    with _opened(config_file) as store:
        if store.path:
            whole(store.path)
        bad = list(_files(store.path) if store.path else _server(store)) or list(_contents(store))
        bad += _room(store.path) if store.path else ()
    if bad:
        _fail("\n".join(bad))


def _files(path: Path) -> Iterator[str]:
    """Looks at the two files, says what is well, and yields what is not."""
    for file in (path, engine_file(path)):
        if not file.exists():
            yield f"{file} is missing; start the bot once, or restore a backup."
            continue
        try:
            with closing(sqlite3.connect(file, timeout=10)) as c:
                said = c.execute("pragma integrity_check(5)").fetchall()
        except sqlite3.Error as e:
            said = [(str(e),)]
        if said == [("ok",)]:
            typer.echo(f"{file}: whole, {file.stat().st_size:,} bytes")
        else:
            yield f"{file} is damaged ({said[0][0]}): stop the bot and restore the last backup."
    holder = Lock(path).holder()
    typer.echo(f"in use by a bot ({holder})" if holder else "no bot is running on it")


def _room(path: Path) -> Iterator[str]:
    free = shutil.disk_usage(path.absolute().parent).free
    if free < ROOM:
        yield f"only {free:,} bytes are free on its disk: when it is full, alerts are refused with 503."


def _server(store: Store) -> Iterator[str]:
    with store.read() as c:
        name = str(c.exec_driver_sql("select version()").scalar_one())
        dbos = c.exec_driver_sql("select 1 from pg_namespace where nspname = 'dbos'").first()
    typer.echo(" ".join(name.split()[:2]))
    if dbos is None:
        yield "the schema dbos is missing, which the executor keeps; start the bot once, or restore both schemas."


def _contents(store: Store) -> Iterator[str]:
    known = revisions()
    with store.read() as c:
        at = revision(c)
        if at is None:
            yield "it has no schema of ours; `captain serve` makes it when it first starts."
            return
        if at not in known:
            yield f"schema {at} is of a newer release; this one knows no further than {known[-1]}."
            return
        typer.echo(f"schema {at}" + ("" if at == known[-1] else f"; `captain serve` brings it to {known[-1]}"))
        held, broken = audit.verify(c)
        if broken:
            yield f"the audit chain is broken after {held} entries: {broken}."
        else:
            typer.echo(f"the audit chain holds: {held} entries")
        t, alerts = EFFECTS(), JOURNAL()
        state = sa.select(t.c.state, sa.func.count(), sa.func.min(t.c.created_at)).group_by(t.c.state)
        found = {row[0]: (row[1], row[2]) for row in c.execute(state)}
        undecided = c.execute(sa.select(sa.func.count()).where(alerts.c.verdict.is_(None))).scalar_one()
    owed = [found[one] for one in (*UNSETTLED, State.WAITING.value) if one in found]
    oldest = f", the oldest since {_utc(min(since for _, since in owed))}" if owed else ""
    typer.echo(f"owed: {sum(count for count, _ in owed)} effects{oldest}; alerts not decided about: {undecided}")
    parked = found.get(State.GAVE_UP.value, (0, 0.0))[0]
    typer.echo(f"given up: {parked} effects" + ("; `captain incident repair` tries them again" if parked else ""))


# ---- purge -------------------------------------------------------------------------------------------------------------------


def purge(
    older_than: Annotated[
        str, typer.Option("--older-than", help="such as 90d or 12w; not given: captain.retention_days")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only count")] = False,
    vacuum: Annotated[
        bool, typer.Option("--vacuum", help="shrink the SQLite files although a bot runs: it answers 503 meanwhile")
    ] = False,
    config_file: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Delete what is settled and old, as the bot does every night; it may run meanwhile.

    Incidents, their pages and tickets, and the audit chain are kept for good, and whatever is open as long as it is open.
    """
    with _opened(config_file) as store:
        days = _days(older_than) if older_than else _settings(config_file).retention_days
        if store.path:
            whole(store.path)
        with store.read() as c:
            if revision(c) != revisions()[-1]:
                raise Refused("the database is not at this release's schema yet; start the bot once first.")
        with closing(Finished(store)) as finished:
            gone = retention.purge(
                store, lambda old: finished.purge(old, dry=dry_run), now=time.time(), days=days, dry=dry_run
            )
        typer.echo(f"Older than {days:g} days{' would go' if dry_run else ', gone'}: {gone}.")
        if store.path and not dry_run:
            _shrink(store, store.path, anyway=vacuum)


def _shrink(store: Store, path: Path, *, anyway: bool) -> None:
    """Give the room back to the disk, which takes the files' write lock for as long as it takes."""
    if not anyway:
        try:
            store.lock_file()
        except ConfigError:
            typer.echo("The files keep their size while the bot runs: what is free in them is used again.")
            return
    sizes = []
    for file in (path, engine_file(path)):
        before = file.stat().st_size
        with closing(sqlite3.connect(file, timeout=10)) as c:
            c.execute("vacuum")
            c.execute("pragma wal_checkpoint(truncate)")
        sizes.append(f"{file} {before:,} → {file.stat().st_size:,} bytes")
    typer.echo("; ".join(sizes))


def _days(said: str) -> float:
    match = AGE.fullmatch(said.strip().lower())
    days = float(match.group(1)) * (7 if match.group(2) == "w" else 1) if match else 0.0
    if days < 1:
        raise Refused(f"--older-than wants an age of a day or more, such as 90d or 12w, not '{said}'")
    return days


# ---- what they share -----------------------------------------------------------------------------------------------------------


def _settings(config_file: Path) -> CaptainSettings:
    return config.load(config_file, OwnSection, config.environment()).captain


@contextmanager
def _opened(config_file: Path) -> Iterator[Store]:
    """The configured database; what cannot be done with it is said on standard error, with exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        with closing(Store(_settings(config_file).database)) as store:
            try:
                yield store
            except sa.exc.DBAPIError as e:
                raise store.unusable(e) from e
    except (ConfigError, Refused) as e:
        _fail(str(e))


def _utc(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"  # a container's user may have no name


def _fail(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(2)


if __name__ == "__main__":
    cli()(prog_name="captain")
