"""The sql kind against real PostgreSQL and SQLite: what it says, and that it changes nothing whatever it is asked."""

from __future__ import annotations

import sqlite3
import threading
import time

import psycopg
import pytest
from ground.waiting import until

from bot.errors import ConfigError
from runbooks import Looks, Outcome, load

SCHEMA = """
CREATE TABLE jobs (id integer PRIMARY KEY, state text, age real);
INSERT INTO jobs VALUES (1, 'done', 1.5), (2, 'stuck', 90), (3, 'it''s odd', NULL);
CREATE TABLE empty (id integer);
"""


@pytest.fixture
def reader(postgres):
    """The address of a role that may read, and even write: it is the check that must not."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(SCHEMA)
        connection.execute("CREATE SEQUENCE numbers")
        role = f"reader_{postgres.database}"
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pa55-word/x'")
        connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        connection.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}")
        connection.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {role}")
    yield f"postgresql://{role}:pa55-word%2Fx@127.0.0.1:{postgres.server.port}/{postgres.database}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {role}")
        connection.execute(f"DROP ROLE {role}")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "jobs.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(SCHEMA)
    connection.close()
    return path


@pytest.fixture(params=["postgres", "sqlite"])
def sql(request, one):
    """``sql(fields)`` looks into the same rows on both databases."""
    if request.param == "postgres":
        url = request.getfixturevalue("reader")
    else:
        url = f"sqlite:///{request.getfixturevalue('file')}"
    return lambda text, **how: one(f"kind: sql\ndatabase: env:URL\n{text}", Looks(), environ={"URL": url}, **how)


@pytest.mark.parametrize(
    ("text", "outcome", "value", "said"),
    [
        ("query: SELECT count(*) FROM jobs\nthreshold: 5", "PASS", "3", "3 (want < 5)"),
        ("query: SELECT max(age) FROM jobs\nop: <=\nthreshold: 60\nunit: s", "FAIL", "90", "90 s (want <= 60)"),
        ("query: SELECT state FROM jobs WHERE id = 1\nequals: done", "PASS", "done", "done"),
        ("query: SELECT state FROM jobs WHERE id = 2\nequals: done", "FAIL", "stuck", "stuck, not done"),
        ("query: SELECT id FROM jobs WHERE age > 60\nof: rows\nop: ==\nthreshold: 0", "FAIL", "1", "1 rows"),
        ("query: SELECT id FROM empty\nof: rows\nop: ==\nthreshold: 0", "PASS", "0", "0 rows"),
        ("query: SELECT id FROM empty\nthreshold: 1", "NO_DATA", "", "no row"),
        ("query: SELECT age FROM jobs WHERE id = 3\nthreshold: 1", "NO_DATA", "", "NULL"),
        ("query: SELECT state FROM jobs WHERE id = 1\nthreshold: 1", "NO_DATA", "done", "no number"),
        ("query: SELECT id FROM jobs\nthreshold: 1", "ERROR", "", "more than one row"),
        ("query: SELECT id, age FROM jobs WHERE id = 1\nthreshold: 1", "ERROR", "", "2 columns"),
        ("query: SELECT id FROM nowhere\nthreshold: 1", "ERROR", "", "nowhere"),
        ("query: SELECT count(*) FROM jobs; SELECT 1\nthreshold: 5", "ERROR", "", "the database says"),
        ("query: WITH x AS (SELECT 4 AS n) SELECT n FROM x -- why\nop: ==\nthreshold: 4", "PASS", "4", ""),
    ],
)
def test_sql(sql, text, outcome, value, said):
    result = sql(text)
    assert result.outcome == Outcome(outcome), result.detail
    assert result.value == value
    assert said in result.detail


CHANGES = [
    "WITH gone AS (DELETE FROM jobs RETURNING id) SELECT count(*) FROM gone",
    "WITH more AS (INSERT INTO jobs VALUES (9, 'x', 1) RETURNING id) SELECT id FROM more",
    "SELECT id INTO copied FROM jobs",
    "SELECT nextval('numbers')",
    "SELECT setval('numbers', 77)",
    "EXPLAIN ANALYZE DELETE FROM jobs",
    "SELECT id FROM jobs FOR UPDATE",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT set_config('default_transaction_read_only', 'off', false); DELETE FROM jobs",
    "SELECT 1; COMMIT; DELETE FROM jobs",
    "SELECT 1; ROLLBACK; BEGIN; DELETE FROM jobs; COMMIT",
    "SELECT query_to_xml('SELECT lo' || '_create(4711)', true, true, '')",
    "SELECT query_to_xml('DELETE FROM jobs', true, true, '')",
    "SELECT pg_advisory_lock(7), pg_notify('all', 'x')",
]


@pytest.mark.parametrize("query", CHANGES)
def test_nothing_that_a_query_tries_changes_postgresql(one, reader, postgres, query):
    with psycopg.connect(postgres.url, autocommit=True) as watch:
        watch.execute('LISTEN "all"')
        before = state(watch)
        result = one(f"kind: sql\ndatabase: env:URL\nquery: {query!r}\nthreshold: 1000", environ={"URL": reader})
        assert state(watch) == before
        assert not list(watch.notifies(timeout=0.05))
        until(lambda: not watch.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").fetchall(), timeout=14)
    assert result.outcome is not Outcome.PASS, result


def state(connection):
    return [
        connection.execute(query).fetchall()
        for query in (
            "SELECT * FROM jobs ORDER BY id",
            "SELECT last_value, is_called FROM numbers",
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
            "SELECT oid FROM pg_largeobject_metadata",
        )
    ]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM jobs",
        "DO $$ BEGIN DELETE FROM jobs; END $$",
        "CALL something()",
        "COPY jobs TO PROGRAM 'touch /tmp/x'",
        "SET default_transaction_read_only = off",
        "/* SELECT */ UPDATE jobs SET state = 'x'",
        "ATTACH 'x' AS y",
        "VACUUM",
        "SELECT pg_terminate_backend(1)",
        "SELECT '--', pg_terminate_backend(1)",
        "SELECT pg_drop_replication_slot('x')",
        "SELECT * FROM dblink('dbname=x', 'DELETE FROM jobs')",
        "SELECT pg_reload_conf ()",
        'SELECT "pg_terminate_backend" (1)',
        "SELECT lo_create(4711)",
    ],
)
def test_what_does_not_read_is_refused_when_the_file_is_read(written, query):
    path = written("")
    path.write_text(f"checks:\n- name: a\n  kind: sql\n  database: env:URL\n  query: {query!r}\n  threshold: 1\n")
    with pytest.raises(ConfigError, match=rf"{path}:5: query "):
        load(path)


def test_a_role_that_may_do_anything_is_refused(one, postgres):
    result = one("kind: sql\ndatabase: env:URL\nquery: SELECT 1\nthreshold: 2", environ={"URL": postgres.url})
    assert result.outcome is Outcome.ERROR
    assert "give the check a role that may only read" in result.detail


@pytest.mark.parametrize(
    "query",
    [
        "WITH x AS (SELECT 1) DELETE FROM jobs",
        "WITH x AS (SELECT 9 AS i) INSERT INTO jobs SELECT i, 'x', 1 FROM x",
        "PRAGMA query_only = OFF",
        "PRAGMA user_version = 7",
        "PRAGMA journal_mode = wal",
        "PRAGMA writable_schema = ON",
        "SELECT load_extension('x')",
        "EXPLAIN ANALYZE DELETE FROM jobs",
        "SELECT 1; DELETE FROM jobs",
    ],
)
def test_nothing_that_a_query_tries_changes_sqlite(one, file, query):
    before = file.read_bytes()
    text = f"kind: sql\ndatabase: env:URL\nquery: {query!r}\nthreshold: 1000"
    try:
        result = one(text, environ={"URL": f"sqlite:///{file}"})
    except ConfigError:
        result = None
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir() if path.suffix != ".yml") == ["jobs.sqlite"]
    assert result is None or result.outcome is Outcome.ERROR, result


def test_sqlite_that_is_being_written_to_is_read(one, file):
    with sqlite3.connect(file) as writer:
        writer.execute("PRAGMA journal_mode = wal")
        writer.execute("INSERT INTO jobs VALUES (4, 'new', 1)")
        writer.commit()
        writer.execute("INSERT INTO jobs VALUES (5, 'not yet', 1)")
        result = one("kind: sql\ndatabase: env:URL\nquery: SELECT count(*) FROM jobs\nop: ==\nthreshold: 4",
                     environ={"URL": f"sqlite:///{file}"})  # fmt: skip
    writer.close()
    assert result.outcome is Outcome.PASS, result.detail


SLOW = {
    "postgres": "SELECT count(*) FROM (SELECT pg_sleep(30)) x",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
}


@pytest.mark.parametrize("which", SLOW)
def test_a_query_that_does_not_end_is_stopped(one, request, which):
    url = request.getfixturevalue("reader") if which == "postgres" else f"sqlite:///{request.getfixturevalue('file')}"
    began = time.monotonic()
    result = one(
        f"kind: sql\ndatabase: env:URL\nquery: {SLOW[which]}\nthreshold: 1\ntimeout: 0.5", environ={"URL": url}
    )
    assert time.monotonic() - began < 2.5
    assert result.outcome is Outcome.ERROR
    assert "timeout" in result.detail or "did not answer within 0.5 s" in result.detail
    if which == "postgres":
        postgres = request.getfixturevalue("postgres")
        with psycopg.connect(postgres.url, autocommit=True) as watch:
            ours = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'release-captain check'"
            until(lambda: not watch.execute(ours).fetchall(), timeout=14)


@pytest.mark.parametrize("which", SLOW)
def test_a_query_is_cancelled_with_its_run(one, request, which):
    url = request.getfixturevalue("reader") if which == "postgres" else f"sqlite:///{request.getfixturevalue('file')}"
    stop, results = threading.Event(), []
    text = f"kind: sql\ndatabase: env:URL\nquery: {SLOW[which]}\nthreshold: 1\ntimeout: 60"
    thread = threading.Thread(target=lambda: results.append(one(text, environ={"URL": url}, cancelled=stop)))
    thread.start()
    assert not threading.Event().wait(0.3)
    stop.set()
    thread.join(5)
    assert results
    assert results[0].outcome is Outcome.ERROR
    assert "cancelled" in results[0].detail


def test_a_result_without_end_is_not_read_to_its_end(one, reader):
    query = "SELECT 1 FROM generate_series(1, 10000) a, generate_series(1, 10000) b"
    result = one(
        f"kind: sql\ndatabase: env:URL\nquery: {query}\nof: rows\nthreshold: 5\ntimeout: 20", environ={"URL": reader}
    )
    assert result.outcome is Outcome.ERROR
    assert "more than 10000 rows" in result.detail


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me@127.0.0.1:9/x", "refused"),
        ("postgresql://me@no-such-host.invalid/x", "does not resolve"),
        ("postgresql://me@169.254.169.254/x", "where a check must not look"),
        ("postgresql://me@10.0.0.1/x?hostaddr=169.254.169.254", "where a check must not look"),
        ("postgresql://me@a,b/x", "one host"),
        ("postgresql://me@a/x?options=-c%20x", "must not name options"),
        ("postgresql://me@a/x?what=ever", "is not an address"),
        ("mysql://me@a/x", "must be a postgresql:// or sqlite:// address, not mysql://"),
        ("sqlite:////no/such/file", "there is no database /no/such/file"),
    ],
)
def test_a_database_that_cannot_be_asked_is_an_error(one, url, said):
    result = one("kind: sql\ndatabase: env:URL\nquery: SELECT 1\nthreshold: 2", environ={"URL": url})
    assert result.outcome is Outcome.ERROR
    assert said in result.detail, result.detail


def test_the_password_is_never_told(one, reader):
    query = "SELECT 'pa55-word/x and pa55-word%2Fx'"
    told = one(f"kind: sql\ndatabase: env:URL\nquery: {query!r}\nequals: 1", environ={"URL": reader})
    assert told.outcome is Outcome.FAIL
    assert "pa55" not in told.detail + told.value


def test_a_garbled_server_is_an_error(one):
    from ground.wire import talking

    def say(peer, stop):
        peer.recv(100)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with talking(say) as port:
        result = one("kind: sql\ndatabase: env:URL\nquery: SELECT 1\nthreshold: 2",
                     environ={"URL": f"postgresql://me@127.0.0.1:{port}/x"})  # fmt: skip
    assert result.outcome is Outcome.ERROR
    with talking(lambda _peer, stop: stop.wait(5)) as port:
        began = time.monotonic()
        result = one("kind: sql\ndatabase: env:URL\nquery: SELECT 1\nthreshold: 2\ntimeout: 0.5",
                     environ={"URL": f"postgresql://me@127.0.0.1:{port}/x"})  # fmt: skip
        assert time.monotonic() - began < 3
    assert result.outcome is Outcome.ERROR


@pytest.mark.parametrize(
    ("query", "value", "outcome"),
    [
        ("SELECT count(*) FROM jobs WHERE state = '{{x}}'", "done", "PASS"),
        ("SELECT count(*) FROM jobs WHERE state = '{{x}}'", "it's odd", "PASS"),
        ("SELECT count(*) FROM jobs WHERE state = '{{x}}'", "' OR '1'='1", "FAIL"),
        ("SELECT count(*) FROM jobs WHERE state = '{{x}}'", "a\\", "ERROR"),
        ("SELECT count(*) FROM jobs WHERE id = {{x}}", "2", "PASS"),
        ("SELECT count(*) FROM jobs WHERE id = {{x}}", "2 OR 1=1", "ERROR"),
        ("SELECT count(*) FROM jobs WHERE id = {{x}}", "-1", "ERROR"),
        ("SELECT count(*) /* don't */ FROM jobs WHERE id = {{x}}", "2", "ERROR"),
    ],
)
def test_a_parameter_stays_a_value_in_a_query(sql, query, value, outcome):
    if "/*" in query:
        with pytest.raises(ConfigError, match="cannot stand in a query that holds comments"):
            sql(f"query: {query!r}\nop: ==\nthreshold: 1", parameters={"x": value})
        return
    result = sql(f"query: {query!r}\nop: ==\nthreshold: 1", parameters={"x": "1"}, given={"x": value})
    assert result.outcome == Outcome(outcome), result.detail


def test_the_server_itself_keeps_it_short_and_read_only(one, reader):
    for query, wanted in (
        ("SHOW transaction_read_only", "equals: 'on'"),
        ("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'", "op: <=\nthreshold: 2000"),
        ("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'", "op: '>'\nthreshold: 0"),
    ):
        text = f"kind: sql\ndatabase: env:URL\nquery: {query!r}\ntimeout: 2\n{wanted}"
        result = one(text, environ={"URL": reader})
        assert result.outcome is Outcome.PASS, result.detail
