"""Which SQL the bot really runs, and what each statement has to read: by the database's own word, not by a clock."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.store import Store, driver_url

ROOT = Path(__file__).resolve().parents[2]
GROWS = frozenset(
    {
        "actions",
        "alerts",
        "audit",
        "deploy_parts",
        "deploys",
        "effects",
        "findings",
        "flaps",
        "flags",
        "holds",
        "inbox",
        "incidents",
        "outcomes",
        "refusals",
        "roles",
        "runs",
        "silences",
        "storm_calls",
        "timeline",
    }
)
"""The tables that get longer with every incident; the others hold what there is now."""
READS = re.compile(
    r"\s*(select|update|delete|with)\b.*\b(" + "|".join(sorted(GROWS)) + r")\b", re.IGNORECASE | re.DOTALL
)
LEAST = 200
"""Steps, or rows, that a statement may take more without anybody asking why."""


@dataclass(frozen=True)
class Asked:
    """A statement as the driver got it. ``where``: the function of ours that asked, such as "incidents/table.py open_of"."""

    sql: str
    values: Any
    where: str


@dataclass(frozen=True)
class Look:
    """What a statement had to do. ``scans``: tables that grow and that its plan reads from end to end.

    ``touched``: steps of SQLite's machine, or rows that PostgreSQL read of tables that grow.
    """

    scans: Sequence[str]
    touched: int
    plan: str


@dataclass
class Record:
    """Every different statement of a database, with the values of its first and of its last run."""

    asked: dict[tuple[str, str, bool], Asked] = field(default_factory=dict)

    def note(self, sql: str, values: Any, *, many: bool) -> None:
        if not READS.match(sql) or "pg_catalog" in sql:
            return
        given = Asked(sql, values[0] if many else values, _whose())
        self.asked.setdefault((sql, given.where, True), given)
        self.asked[sql, given.where, False] = given

    @property
    def all(self) -> list[Asked]:
        return list(self.asked.values())

    def places(self) -> set[str]:
        return {one.where for one in self.all}


@contextmanager
def recorded(database: str) -> Iterator[Record]:
    """Write down what is asked of a database (its URL) while the block runs, from the very start of whoever asks."""
    record, wanted = Record(), driver_url(database)

    def heard(c: Connection, _cursor: Any, sql: str, values: Any, _context: Any, many: bool) -> None:
        if c.engine.url.database == wanted.database and "dbos." not in sql:
            record.note(sql, values, many=many)

    sa.event.listen(sa.Engine, "before_cursor_execute", heard)
    try:
        yield record
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", heard)


def _whose() -> str:
    """The innermost function of ours on the stack that is no wrapper of SQL itself."""
    frame = sys._getframe(2)  # the traceback module would read every source file
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if (
            path.is_relative_to(ROOT)
            and path.relative_to(ROOT).parts[0] in ("bot", "handlers")
            and frame.f_code.co_name[0] != "<"
        ):
            return f"{path.relative_to(ROOT)} {frame.f_code.co_name}"
        frame = frame.f_back
    return "nobody of ours"


def look(store: Store, asked: Asked, bounded: frozenset[str]) -> Look:
    """What a statement does on the database as it is now; nothing of it stays. ``bounded``: indexes that do not grow."""
    with store.engine.connect() as c:
        judge = _sqlite if store.sqlite else _postgres
        try:
            return judge(c, asked, bounded)
        finally:
            c.rollback()


def _sqlite(c: Connection, asked: Asked, bounded: frozenset[str]) -> Look:
    lines = [row[3] for row in c.exec_driver_sql(f"explain query plan {asked.sql}", asked.values)]
    names = _aliases(asked.sql)
    scans = []
    for line in lines:
        found = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", line)
        if found and names.get(found[1], found[1]) in GROWS and found[2] not in bounded:
            scans.append(names.get(found[1], found[1]))
    raw: Any = c.connection.driver_connection
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    raw.set_progress_handler(step, 1)
    try:
        raw.execute(asked.sql, asked.values).fetchall()
    except sqlite3.IntegrityError:
        pass  # it has been done before, and had to look for that
    finally:
        raw.set_progress_handler(None, 0)
    return Look(scans, steps, " / ".join(lines))


def _aliases(sql: str) -> Mapping[str, str]:
    return {alias: name for name, alias in re.findall(r"\b(\w+) as (\w+)\b", sql, re.IGNORECASE) if name in GROWS}


def _postgres(c: Connection, asked: Asked, _bounded: frozenset[str]) -> Look:
    c.exec_driver_sql("set local enable_seqscan = off")
    possible = _nodes(c, f"explain (format json) {asked.sql}", asked.values)
    scans = [node["Relation Name"] for node in possible if _from_end_to_end(node)]
    c.exec_driver_sql("set local enable_seqscan = on")
    done = _nodes(c, f"explain (analyze, timing off, format json) {asked.sql}", asked.values)
    touched = sum(_rows(node) for node in done if node.get("Relation Name") in GROWS)
    plan = [
        f"{n['Node Type']} {n['Relation Name']} {n.get('Index Name', '')}: {_rows(n)} rows"
        for n in done
        if "Relation Name" in n
    ]
    return Look(scans, touched, " / ".join(plan))


def _nodes(c: Connection, sql: str, values: Any) -> list[Mapping[str, Any]]:
    told = c.exec_driver_sql(sql, values).scalar_one()
    told = json.loads(told) if isinstance(told, str) else told
    left, found = [told[0]["Plan"]], []
    while left:
        node = left.pop()
        found.append(node)
        left.extend(node.get("Plans", ()))
    return found


def _from_end_to_end(node: Mapping[str, Any]) -> bool:
    """A scan for want of an index."""
    return node["Node Type"] == "Seq Scan" and node["Relation Name"] in GROWS


def _rows(node: Mapping[str, Any]) -> int:
    """Rows a node has read, wanted or not."""
    if node["Node Type"] in ("ModifyTable", "Bitmap Index Scan"):
        return 0
    removed = sum(int(node.get(f"Rows Removed by {what}", 0)) for what in ("Filter", "Index Recheck"))
    return round((node["Actual Rows"] + removed) * node["Actual Loops"])
