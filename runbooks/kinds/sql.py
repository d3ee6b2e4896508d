"""Checks what a database answers to one query, in a transaction that the database itself keeps from changing anything."""

from __future__ import annotations

import math
import os
import re
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from runbooks.compare import COMPARATORS
from runbooks.kind import Ask, Field, Filling, Kind, Shape
from runbooks.outward import Way, judged
from runbooks.verdict import Finding, Outcome

MAX_ROWS = 10_000
"""Rows that are counted; a query that has more is to count by itself."""

PORT = 5432
_READS = re.compile(r"(?:\s|\()*(select|with|values|table|show|explain|pragma)\b", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9]{0,20}")
_PASSWORD = re.compile(r"[?&](?:ssl)?password=([^&]*)")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_ACTS = re.compile(
    r"\b(pg_(?:terminate|cancel)_backend|pg_reload_conf|pg_rotate_logfile|pg_promote|dblink\w*|lo_\w+|"
    r"pg_switch_wal|pg_create_restore_point|pg_logical_emit_message|pg_stat_reset\w*|load_extension|"
    r"pg_\w*replication_(?:slot|origin)\w*|pg_logical_slot_get_\w+|pg_wal_replay_(?:pause|resume)|pg_log_backend\w*)\"?\s*\(",
    re.IGNORECASE,
)
_ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_PRAGMAS = frozenset(
    ("integrity_check", "quick_check", "foreign_key_check", "user_version", "application_id", "schema_version",
     "table_info", "index_list", "page_count", "freelist_count", "journal_mode", "database_list", "encoding")
)  # fmt: skip
_PRAGMAS_ASKED = frozenset(("table_info", "index_list", "integrity_check", "quick_check", "foreign_key_check"))
"""Those whose argument says what is asked about; the argument of any other would set something."""

_NO_PART = frozenset(("service", "servicefile", "options", "passfile", "replication"))
"""What an address may not name: settings from elsewhere, and those that this check sets."""

_ROLE = """
SELECT r.rolsuper OR pg_has_role(r.oid, 'pg_execute_server_program', 'member')
       OR pg_has_role(r.oid, 'pg_write_server_files', 'member')
FROM pg_roles r WHERE r.rolname = current_user
"""


def look(ask: Ask) -> Finding:
    """FAIL when the value or the count of rows is not as wanted, NO_DATA without a row or with a NULL.

    ERROR (ValueError) when the database cannot be asked, refuses, takes too long, or the query would change something.
    """
    url = ask.secrets.resolve(ask.spec["database"])
    scheme = url.partition("://")[0].partition("+")[0].lower()
    for password in (urlsplit(url).password or "", *_PASSWORD.findall(url)):
        for form in (password, unquote(password)):
            ask.secrets.know(form)
    counts = ask.spec.get("of", "value") == "rows"
    match scheme:
        case "postgresql" | "postgres":
            rows = _postgres(ask, url, counts)
        case "sqlite":
            rows = _sqlite(ask, url, counts)
        case _:
            # What stands before :// is told only if it can be nothing else: "password=… host=…" is an address, too.
            told = f"{scheme}://" if _SCHEME.fullmatch(scheme) and "://" in url else "something else"
            raise ValueError(f"database: must be a postgresql:// or sqlite:// address, not {told}")
    return _judged(ask.spec, rows)


def _postgres(ask: Ask, url: str, counts: bool) -> list[Any]:
    """Look in a read-only transaction of a role that could not do more, with the time limit known to the server too."""
    asked = _address(ask, url)
    with Way(ask) as way:
        try:
            with closing(
                psycopg.connect(
                    **asked,
                    connect_timeout=max(math.ceil(way.left), 2),
                    application_name="release-captain check",
                    autocommit=True,
                )
            ) as connection:
                with socket.socket(fileno=os.dup(connection.fileno())) as held:
                    way.hold(held)
                return _read_only(connection, ask.spec["query"], counts, max(int(way.left * 1000), 1))
        except psycopg.Error as problem:
            if way.over:
                raise ValueError(f"the database did not answer within {ask.timeout:g} s") from problem
            raise ValueError(f"the database says: {_said(problem)}") from problem


def _read_only(connection: psycopg.Connection[Any], query: str, counts: bool, limit_ms: int) -> list[Any]:
    with connection.cursor() as cursor:
        # A snapshot is taken before the query runs: from then on PostgreSQL lets nobody make the transaction writable.
        # It is never committed: closing the connection takes back what it may have left, such as a notification.
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # Within the transaction and not when connecting, where a pooler would refuse them.
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SET LOCAL {name} = {limit_ms:d}")
        powers = cursor.execute(_ROLE).fetchone()
        if powers is None or powers[0]:
            raise ValueError(
                "the role of this address may do what no read-only transaction prevents (superuser, or programs and "
                "files of the server); give the check a role that may only read"
            )
        # Streamed rows come by the extended protocol, in which a query is one statement.
        return _some(cursor.stream(query.encode()), counts)


def _address(ask: Ask, url: str) -> dict[str, Any]:
    """What to connect with, its host judged. Raises ValueError for an address that names what is no part of one."""
    try:
        given = conninfo_to_dict("postgresql" + url[url.index(":") :])
    except psycopg.Error as problem:
        raise ValueError(f"database: is not an address: {_said(problem)}") from problem
    if other := sorted(given.keys() & _NO_PART):
        raise ValueError(f"database: must not name {', '.join(other)}")
    given = {name: value for name, value in given.items() if name not in ("connect_timeout", "application_name")}
    host = str(given.get("hostaddr") or given.get("host") or "")
    if not host or host.startswith("/"):
        return given
    if "," in host:
        raise ValueError("database: must name one host")
    try:
        addresses = judged(host, int(given.get("port") or PORT), ask.looks.allow)
    except socket.gaierror as problem:
        raise ValueError(f"{host} does not resolve: {problem.strerror}") from problem
    return {**given, "host": given.get("host", host), "hostaddr": str(addresses[0][1][0])}


def _sqlite(ask: Ask, url: str, counts: bool) -> list[Any]:
    """Look through a connection that cannot write, with a clerk who lets nothing but reading through."""
    path = Path(unquote(url.partition("://")[2].removeprefix("/").partition("?")[0]))
    if not path.is_file():
        raise ValueError(f"there is no database {path}")
    ends = time.monotonic() + ask.timeout
    why: list[str] = []

    def late() -> bool:
        return time.monotonic() >= ends or ask.cancelled.is_set()

    def allowed(action: int, first: str | None, second: str | None, _base: str | None, _by: str | None) -> int:
        fine = action in _ALLOWED and (second or "").lower() != "load_extension"
        if action == sqlite3.SQLITE_PRAGMA:
            name = (first or "").lower()
            fine = name in _PRAGMAS and (not second or name in _PRAGMAS_ASKED)
        if not fine:
            why.append("it would change something, or look elsewhere")
        return sqlite3.SQLITE_OK if fine else sqlite3.SQLITE_DENY

    try:
        address = f"file:{quote(str(path))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=ask.timeout, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.set_progress_handler(late, 1000)
            connection.set_authorizer(allowed)
            return _some(connection.execute(ask.spec["query"]), counts)
    except (sqlite3.Error, sqlite3.Warning) as problem:
        if ask.cancelled.is_set():
            raise ValueError("the run was cancelled while it looked") from problem
        if late():
            raise ValueError(f"the database did not answer within {ask.timeout:g} s") from problem
        raise ValueError(f"the database says: {problem}{f' ({why[0]})' if why else ''}") from problem


def _some(rows: Iterable[Any], counts: bool) -> list[Any]:
    """As many rows as are needed to judge; of those that are only counted, nothing is kept."""
    found = islice(rows, MAX_ROWS + 1 if counts else 2)
    return [None if counts else tuple(row) for row in found]


def _judged(spec: Mapping[str, Any], rows: list[Any]) -> Finding:
    unit = spec.get("unit", "")
    if spec.get("of", "value") == "rows":
        if len(rows) > MAX_ROWS:
            raise ValueError(f"it gave more than {MAX_ROWS} rows; count them in the query: SELECT count(*)")
        return _compared(spec, len(rows), unit or "rows", len(rows))
    threshold = _threshold(spec)
    if not rows:
        return Finding(Outcome.NO_DATA, "the query gave no row", "", threshold, unit, 0)
    if len(rows) > 1:
        raise ValueError("the query gave more than one row; one value is wanted, or of: rows")
    if len(rows[0]) != 1:
        raise ValueError(f"the query gave {len(rows[0])} columns; one value is wanted")
    value = rows[0][0]
    if value is None:
        return Finding(Outcome.NO_DATA, "the value is NULL", "", threshold, unit, 1)
    if "equals" in spec:
        same = value == spec["equals"] or str(value) == str(spec["equals"])
        told = f"the value is {value}" + ("" if same else f", not {spec['equals']}")
        return Finding(Outcome.PASS if same else Outcome.FAIL, told, str(value), threshold, unit, 1)
    return _compared(spec, value, unit, 1)


def _threshold(spec: Mapping[str, Any]) -> str:
    return f"== {spec['equals']}" if "equals" in spec else f"{spec.get('op', '<')} {spec['threshold']:g}"


def _compared(spec: Mapping[str, Any], value: Any, unit: str, samples: int) -> Finding:
    threshold = _threshold(spec)
    try:
        number = float(value) if isinstance(value, int | float | Decimal | str) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        return Finding(
            Outcome.NO_DATA, f"the value is no number: {str(value)[:100]}", str(value)[:100], threshold, unit, samples
        )
    holds = COMPARATORS[spec.get("op", "<")](number, spec["threshold"])
    shown = f"{number:.10g}"
    told = f"{shown}{' ' + unit if unit else ''} (want {threshold})"
    return Finding(Outcome.PASS if holds else Outcome.FAIL, told, shown, threshold, unit, samples)


def _said(problem: Exception) -> str:
    return " ".join(str(problem).split())[:300] or type(problem).__name__


def _judge(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    bare = _COMMENT.sub(" ", spec["query"])
    if not _READS.match(bare):
        yield "query", "query must be one that reads: SELECT, WITH, VALUES, TABLE, SHOW, EXPLAIN or PRAGMA"
    # Also as it stands: what looks like a comment may be within quotes.
    if found := _ACTS.search(bare) or _ACTS.search(spec["query"]):
        yield "query", f"query calls {found[1]}, which acts outside of its transaction"
    if ("threshold" in spec) == ("equals" in spec):
        yield "threshold", "give either threshold: or equals:"
    if spec.get("of") == "rows" and "equals" in spec:
        yield "equals", "rows are counted: give threshold: and op: instead of equals:"


def _asks(spec: Mapping[str, Any]) -> str:
    return " ".join(str(spec["query"]).split())


KIND = Kind(
    fields={
        "database": Field(
            Shape.TEXT,
            required=True,
            secret=True,
            about="postgresql://… or sqlite:///path, by reference (env:, file:, secret:) when it holds a password; the role may only read",
        ),
        "query": Field(Shape.TEXT, required=True, filling=Filling.SQL, about="one statement that reads"),
        "of": Field(
            Shape.TEXT, choices=("value", "rows"), about="what is compared: the one value it gives, or how many rows"
        ),
        "op": Field(Shape.TEXT, choices=tuple(COMPARATORS), about="how it is compared with threshold; < by default"),
        "threshold": Field(Shape.NUMBER, about="the number it is compared with"),
        "equals": Field(Shape.ANY, about="the value it must be, instead of a threshold"),
        "unit": Field(Shape.TEXT, about="what the value counts, for people"),
    },
    look=look,
    judge=_judge,
    keeps_time=True,
    asks=_asks,
)
