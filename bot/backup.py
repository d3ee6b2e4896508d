"""Backups of the SQLite database: both files as of one instant in one archive, and the way back from it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot import audit
from bot.effects import EFFECTS, State
from bot.errors import Refused
from bot.files import STAGED, beside, engine_file, exchange, sync
from bot.store import Restore, revisions

FORMAT = 1
MANIFEST = "manifest.json"
NAMES = ("bot.db", "bot.dbos.db")
"""The two files in an archive, whatever they are called where they live: the application's, then the executor's."""
BUSY = 10.0
"""Seconds to wait for whoever writes."""
SETTLED = (State.DONE.value, State.SKIPPED.value)
RESTORED = "db restore"
DATABASE = "database"
"""The audit entry that says that a database was restored: ``at`` when, detail ``shows`` which instant it holds (UNIX s)."""


@dataclass(frozen=True)
class Manifest:
    """What an archive holds. ``taken_at`` UNIX s; ``files``: name → {"sha256", "bytes"}."""

    format: int
    release: str
    revision: str
    taken_at: float
    files: Mapping[str, Mapping[str, Any]]


def save(path: Path, target: Path) -> Manifest:
    """Back up the database at ``path`` into the archive ``target``, which must not exist; the bot may run meanwhile.

    The archive appears whole or not at all, readable for its owner alone. Raises Refused with what to do instead.
    """
    if target.exists():
        raise Refused(f"{target} exists already; a backup is never written over. Name another file.")
    try:
        # Beside the target: what is renamed into its place has to be on the same disk. The folder is its owner's alone.
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.absolute().parent) as name:
            folder = Path(name)
            manifest = _copy(path, folder)
            archive = folder / "archive"
            _pack(folder, manifest, archive)
            archive.rename(target)
        sync(target.absolute().parent)
    except OSError as e:
        raise Refused(
            f"the backup could not be written to {target}: {e.strerror or e}. Nothing was left behind."
        ) from e
    except sqlite3.Error as e:
        raise Refused(f"{path} could not be read for the backup: {e}. `captain db check` says more.") from e
    return manifest


def _copy(path: Path, folder: Path) -> Manifest:
    """Copy both files as of one instant."""
    sources = [path, engine_file(path)]
    if not sources[1].exists():
        raise Refused(
            f"{sources[1]}, the executor's own file beside the database, is missing; start the bot once first."
        )
    with _one_instant(sources) as readers:
        at = time.time()
        for reader, name in zip(readers, NAMES, strict=True):
            with closing(sqlite3.connect(folder / name)) as copy:
                reader.backup(copy)
    files: dict[str, Mapping[str, Any]] = {}
    for name in NAMES:
        if fault := _fault(folder / name):
            raise Refused(f"the database is damaged ({fault}), so no backup was made of it. Restore the last good one.")
        files[name] = {"sha256": _sum(folder / name), "bytes": (folder / name).stat().st_size}
    with closing(sqlite3.connect(folder / NAMES[0])) as copy:
        found = _revision(copy)
    return Manifest(FORMAT, version("release-captain"), found, at, files)


@contextmanager
def _one_instant(files: Sequence[Path]) -> Iterator[list[sqlite3.Connection]]:
    """Readers that see all the files as of one instant.

    Nobody can write to any of them while the readers take their first look, which is all the time it takes: from then on
    each sees what it saw first, whatever is written. Two instants would do harm: a ledger older than the executor's record
    of what has been tried has a try made again without looking. The locks are taken in the order given, by nobody else.
    """
    with ExitStack() as open_:

        def connect(file: Path) -> sqlite3.Connection:
            uri = f"{file.absolute().as_uri()}?mode=rw"
            made = sqlite3.connect(uri, uri=True, timeout=BUSY, isolation_level=None)
            return open_.enter_context(closing(made))

        readers, writers = [connect(file) for file in files], [connect(file) for file in files]
        for writer in writers:
            writer.execute("begin immediate")
        for reader in readers:
            reader.execute("begin")
            reader.execute("select count(*) from sqlite_schema").fetchone()
        for writer in writers:
            writer.execute("rollback")
        yield readers


def _fault(file: Path) -> str:
    """Make a copy one file that needs no other, and say what is wrong with it; empty when it is whole."""
    with closing(sqlite3.connect(file)) as c:
        c.execute("pragma journal_mode=delete")
        said = c.execute("pragma integrity_check(3)").fetchall()
    return "" if said == [("ok",)] else str(said[0][0])


def _revision(c: sqlite3.Connection) -> str:
    try:
        return str(c.execute("select version_num from alembic_version").fetchone()[0])
    except (sqlite3.Error, TypeError) as e:
        raise Refused("this is no database of Release Captain: it has no schema of ours") from e


def _sum(file: Path) -> str:
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _pack(folder: Path, manifest: Manifest, archive: Path) -> None:
    handle = os.open(archive, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as f:
        with zipfile.ZipFile(f, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1) + "\n")
            for name in NAMES:
                made.write(folder / name, name)
        f.flush()
        os.fsync(f.fileno())


def read(archive: Path) -> Manifest:
    """What an archive says of itself. Raises Refused when it is none, or one this release cannot restore."""
    try:
        with zipfile.ZipFile(archive) as opened:
            said = json.loads(opened.read(MANIFEST))
            names = set(opened.namelist())
        if said["format"] != FORMAT:
            raise Refused(
                f"{archive} was made by release {said['release']}; restore it with that release, or a newer one."
            )
        manifest = Manifest(**said)
        missing = [name for name in NAMES if name not in names or not manifest.files[name]["sha256"]]
    except FileNotFoundError as e:
        raise Refused(f"{archive} does not exist") from e
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as e:
        raise Refused(f"{archive} is no backup of Release Captain, or is damaged ({e})") from e
    known = revisions()
    if manifest.revision not in known:
        raise Refused(
            f"{archive} was made by release {manifest.release} with schema {manifest.revision}; this release knows no "
            f"further than {known[-1]}. Restore it with that release, or a newer one."
        )
    if missing:
        raise Refused(f"{archive} is damaged: {missing[0]} is missing in it")
    return manifest


@dataclass(frozen=True)
class Restored:
    """``aside``: where the replaced files are. ``doubtful``: effects that may have been done after the backup was made."""

    manifest: Manifest
    aside: Sequence[Path]
    doubtful: int


def restore(path: Path, archive: Path, *, actor: str, now: float) -> Restored:
    """Put the files of an archive in the place of the database's; for who holds the lock.

    Killed at any moment, the database is the old one or the restored one: the exchange is written down before it is begun,
    and whoever takes the lock next carries it to its end. Raises Refused with nothing changed.
    """
    manifest = read(archive)
    aside = time.strftime(".before-restore-%Y%m%dT%H%M%SZ", time.gmtime(now))
    live = [path, engine_file(path)]
    staged = [beside(file, STAGED) for file in live]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for name, file, old in zip(NAMES, staged, live, strict=True):
            _unpack(archive, name, file, like=old)
            if _sum(file) != manifest.files[name]["sha256"]:
                raise Refused(f"{archive} is damaged: {name} is not what its checksum says")
            if fault := _fault(file):
                raise Refused(f"{archive} holds a damaged database ({fault}). Take an older one.")
        doubtful = _doubt(staged[0], actor=actor, now=now, manifest=manifest)
        for file in staged:
            sync(file)
    except (OSError, zipfile.BadZipFile, zlib.error, sqlite3.Error, Refused) as e:
        for file in staged:
            file.unlink(missing_ok=True)
        if isinstance(e, Refused):
            raise
        raise Refused(f"{archive} could not be restored: {e}. The database is as it was.") from e
    had = [file for file in live if file.exists()]
    try:
        exchange(path, aside)
    except OSError as e:
        raise Refused(f"the files could not be exchanged: {e}. Mend that and say `captain db restore` again.") from e
    return Restored(manifest, [beside(file, aside) for file in had], doubtful)


def _unpack(archive: Path, name: str, target: Path, *, like: Path) -> None:
    """Write one file of an archive; it belongs to whom the one belongs that it replaces, or the folder."""
    target.unlink(missing_ok=True)
    handle = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with zipfile.ZipFile(archive) as opened, opened.open(name) as source, os.fdopen(handle, "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    if like.exists():
        target.chmod(like.stat().st_mode & 0o777)
    if os.geteuid() == 0:
        owner = (like if like.exists() else like.parent).stat()
        os.chown(target, owner.st_uid, owner.st_gid)


def _doubt(file: Path, *, actor: str, now: float, manifest: Manifest) -> int:
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(file))
    try:
        with engine.begin() as c:
            detail = {"release": manifest.release, "schema": manifest.revision}
            return doubt(c, actor=actor, at=now, shows=manifest.taken_at, detail=detail)
    finally:
        engine.dispose()


def doubt(c: Connection, *, actor: str, at: float, shows: float, detail: Mapping[str, Any]) -> int:
    """Say that this database was restored and holds what was so at ``shows`` (UNIX s); returns how many effects are open.

    What is open in it may have been done since. So each is looked for outside before it is done, as after an answer that
    never came: a page by its dedup key, a ticket by its label, a message by its metadata. What it does not know of and is
    told again, such as an alert that still fires, is looked for in the same way because ``last_restore`` tells of this.
    """
    t = EFFECTS()
    tried = t.update().where(t.c.state.not_in(SETTLED)).values(tried=t.c.tried + 1, tried_at=at)
    count = c.execute(tried).rowcount
    told = {"shows": shows, **detail}
    audit.append(c, at=at, actor=actor, door="cli", action=RESTORED, subject=DATABASE, detail=told)
    return count


def last_restore(c: Connection) -> Restore | None:
    """The last restore of this database, None when there was none."""
    t = audit.AuditEntry.__table__  # type: ignore[attr-defined]
    told = (t.c.subject == DATABASE) & (t.c.action == RESTORED)
    row = c.execute(sa.select(t).where(told).order_by(t.c.id.desc()).limit(1)).first()
    return Restore(row.at, float(json.loads(row.detail)["shows"])) if row else None


def newest(c: Connection) -> float:
    """The newest instant a database tells of, UNIX s: about when the copy of it was made."""
    asked = (
        "max(created_at) from effects",
        "max(received_at) from alerts",
        "max(at) from timeline",
        "max(seen) from replicas",
    )
    return max(float(c.execute(sa.text(f"select {one}")).scalar() or 0.0) for one in asked)
