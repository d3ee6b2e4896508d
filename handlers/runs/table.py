"""The tables of runs: a row for each run and each outcome, what was last seen of each check, and how far each schedule is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

from runbooks import Outcome, Result, Severity


class RunRow(SQLModel, table=True):
    """One run. Times are UNIX seconds; ``parameters`` (a mapping) and ``confined`` (a list: to which checks and tags) are JSON without secrets.

    ``turn`` counts who has it in hand: whoever has an older number runs for nobody any more. ``checks``: how many it has.
    ``outcome`` is empty until it has ended. ``shown_by``: the key of the effect that posts its message, in ``said_in``
    under ``ts`` once that is done; empty where it is not shown (yet).
    """

    __tablename__ = "runs"

    id: int | None = Field(default=None, primary_key=True)
    uid: str = Field(unique=True)
    key: str = Field(unique=True)
    runbook: str
    trigger: str
    asked_by: str = ""
    asker: str = ""
    parameters: str = "{}"
    confined: str = "[]"
    service: str = ""
    environment: str = ""
    channel: str = ""
    thread: str = ""
    incident: int | None = None
    deploy: str | None = None
    schedule: str | None = None
    asked_at: float
    began_at: float | None = None
    ended_at: float | None = None
    took_s: float | None = None
    turn: int = 0
    checks: int = 0
    outcome: str = ""
    detail: str = ""
    cancelled_by: str = ""
    shown_by: str = ""
    said_in: str = ""
    ts: str = ""
    panel: int = 0
    panel_owed: bool = False


class OutcomeRow(SQLModel, table=True):
    """What one check of a run found: a ``runbooks.Result``. ``place``: where it stands in the runbook, from 0."""

    __tablename__ = "outcomes"
    __table_args__ = (sa.UniqueConstraint("run", "name", name="uq_outcomes_run"),)

    id: int | None = Field(default=None, primary_key=True)
    run: int
    place: int
    name: str
    runbook: str
    service: str = ""
    environment: str = ""
    kind: str
    outcome: str
    severity: str
    value: str = ""
    threshold: str = ""
    unit: str = ""
    samples: int | None = None
    took_s: float
    attempt: int
    detail: str = ""
    hint: str = ""
    asked: str = ""
    tags: str = "[]"
    at: float


class StateRow(SQLModel, table=True):
    """What was last seen of a check in one service and environment; without a name, of the whole runbook.

    ``since``: UNIX s from which it has said the same.
    """

    __tablename__ = "check_states"

    runbook: str = Field(primary_key=True)
    service: str = Field(primary_key=True)
    environment: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    outcome: str
    since: float
    at: float
    took_s: float
    run: int


class ScheduleRow(SQLModel, table=True):
    """How far a schedule is: its slots ``until`` (UNIX s) are seen to.

    ``failing``: how its last run failed, empty when it passed; ``since`` when its runs fail, and ``said_at`` when that was said.
    """

    __tablename__ = "schedules"

    name: str = Field(primary_key=True)
    until: float
    failing: str = ""
    since: float | None = None
    said_at: float | None = None


def RUNS() -> sa.Table:  # noqa: N802 - it is the table
    """The table, for SQL."""
    return RunRow.__table__  # type: ignore[attr-defined,no-any-return]


def OUTCOMES() -> sa.Table:  # noqa: N802 - it is the table
    """The table, for SQL."""
    return OutcomeRow.__table__  # type: ignore[attr-defined,no-any-return]


def STATES() -> sa.Table:  # noqa: N802 - it is the table
    """The table, for SQL."""
    return StateRow.__table__  # type: ignore[attr-defined,no-any-return]


def SCHEDULES() -> sa.Table:  # noqa: N802 - it is the table
    """The table, for SQL."""
    return ScheduleRow.__table__  # type: ignore[attr-defined,no-any-return]


def by_key(c: Connection, key: str) -> Any:
    """The run that was owed under a key, or None."""
    return c.execute(sa.select(RUNS()).where(RUNS().c.key == key)).first()


def by_uid(c: Connection, uid: str) -> Any:
    """The run, or None."""
    return c.execute(sa.select(RUNS()).where(RUNS().c.uid == uid)).first()


def locked(c: Connection, uid: str) -> Any:
    """The run, kept from other writers until the transaction ends; or None."""
    return c.execute(sa.select(RUNS()).where(RUNS().c.uid == uid).with_for_update()).first()


def by_id(c: Connection, number: int) -> Any:
    """The run by the number that people say, or None."""
    return c.execute(sa.select(RUNS()).where(RUNS().c.id == number)).first()


def results(c: Connection, run: int) -> list[Result]:
    """What is known of a run's checks, in the order of the runbook."""
    t = OUTCOMES()
    rows = c.execute(sa.select(t).where(t.c.run == run).order_by(t.c.place)).all()
    return [result_of(row) for row in rows]


def result_of(row: Any) -> Result:
    """The result that a row keeps."""
    return Result(
        name=row.name,
        kind=row.kind,
        outcome=Outcome(row.outcome),
        value=row.value,
        threshold=row.threshold,
        unit=row.unit,
        samples=row.samples,
        took_s=row.took_s,
        attempt=row.attempt,
        detail=row.detail,
        hint=row.hint,
        severity=Severity(row.severity),
        asked=row.asked,
        at=row.at,
        tags=tuple(json.loads(row.tags)),
    )


def write(c: Connection, run: Any, found: Mapping[int, Result], *, now: float) -> None:
    """Keep what checks found, each by its place in the runbook."""
    kept = ("name", "kind", "value", "threshold", "unit", "samples", "took_s", "attempt", "detail", "hint", "asked")
    rows = [
        {name: getattr(one, name) for name in kept}
        | {"run": run.id, "place": place, "outcome": one.outcome.value, "severity": one.severity.value}
        | {"runbook": run.runbook, "service": run.service, "environment": run.environment}
        | {"tags": json.dumps(one.tags, ensure_ascii=False), "at": one.at or now}
        for place, one in found.items()
    ]
    if rows:
        c.execute(OUTCOMES().insert(), rows)


def wipe(c: Connection, run: int) -> None:
    """Forget what was found of a run's checks: it is looked at anew."""
    c.execute(OUTCOMES().delete().where(OUTCOMES().c.run == run))


def going(c: Connection) -> Sequence[Any]:
    """The runs that have not ended, oldest first."""
    t = RUNS()
    return c.execute(sa.select(t).where(t.c.ended_at.is_(None)).order_by(t.c.id)).all()


def latest(c: Connection, runbook: str, *, limit: int) -> Sequence[Any]:
    """The newest runs of a runbook, newest first."""
    t = RUNS()
    return c.execute(sa.select(t).where(t.c.runbook == runbook).order_by(t.c.id.desc()).limit(limit)).all()


def of_deploy(c: Connection, deploy: str) -> Sequence[Any]:
    """The runs that belong to a deploy, oldest first."""
    t = RUNS()
    return c.execute(sa.select(t).where(t.c.deploy == deploy).order_by(t.c.id)).all()


def parameters(row: Any) -> dict[str, str]:
    """The parameters a run was asked for with."""
    given: dict[str, str] = json.loads(row.parameters)
    return given


def only(row: Any) -> list[str]:
    """The checks and tags it was confined to."""
    named: list[str] = json.loads(row.confined)
    return named
