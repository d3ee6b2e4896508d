"""The tables of deploys: one row for each, what each teller says of it, what runs where, and what the cluster has shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import Field, SQLModel

from bot.effects import insert_once


class DeployRow(SQLModel, table=True):
    """One deploy. Times are UNIX seconds.

    ``at``: when it began, or as near to that as is known; ``told_at``: when we first heard of it. ``before``: the version
    that it replaces; ``back``: that one had replaced it before. ``late``: it was heard of so late that it is only remembered.
    ``turn`` counts how often it was done, and so checked; ``run`` is the key of the run that counts, ``verdict`` and
    ``found`` (JSON, a list of what did not pass) what came of it. ``channel`` and ``ts``: its message.
    """

    __tablename__ = "deploys"

    id: int | None = Field(default=None, primary_key=True)
    uid: str = Field(unique=True)
    service: str
    environment: str
    version: str
    before: str = ""
    back: bool = False
    image: str = ""
    revision: str = ""
    status: str
    source: str
    by_name: str = ""
    url: str = ""
    why: str = ""
    at: float = Field(index=True)
    started_at: float | None = None
    ended_at: float | None = None
    told_at: float
    late: bool = False
    turn: int = 0
    run: str = ""
    verdict: str = ""
    found: str = "[]"
    channel: str = ""
    ts: str = ""
    panel: int = 0
    panel_owed: bool = False


class PartRow(SQLModel, table=True):
    """What one teller says of a deploy, under the key by which it calls it."""

    __tablename__ = "deploy_parts"

    key: str = Field(primary_key=True)
    deploy: int = Field(index=True)
    origin: str
    source: str
    status: str
    at: float
    told_at: float = Field(index=True)


class PlaceRow(SQLModel, table=True):
    """What runs of a service in an environment, as far as is known."""

    __tablename__ = "deploy_places"

    service: str = Field(primary_key=True)
    environment: str = Field(primary_key=True)
    version: str = ""
    deploy: int | None = None


class WorkloadRow(SQLModel, table=True):
    """What the cluster has shown of ``place`` (namespace/kind/name). ``seq`` counts its rollouts, ``images`` is JSON.

    A place without a name is a kind in a namespace; its ``at`` says since when it is looked at.
    """

    __tablename__ = "deploy_workloads"

    place: str = Field(primary_key=True)
    object_uid: str = ""
    revision: str = ""
    state: str = ""
    images: str = "{}"
    seq: int = 0
    at: float


def DEPLOYS() -> sa.Table:  # noqa: N802 - it is the table
    """The table of deploys, for SQL."""
    return DeployRow.__table__  # type: ignore[attr-defined,no-any-return]


def PARTS() -> sa.Table:  # noqa: N802 - as above
    """The table of what tellers say."""
    return PartRow.__table__  # type: ignore[attr-defined,no-any-return]


def PLACES() -> sa.Table:  # noqa: N802 - as above
    """The table of what runs where."""
    return PlaceRow.__table__  # type: ignore[attr-defined,no-any-return]


def WORKLOADS() -> sa.Table:  # noqa: N802 - as above
    """The table of what the cluster has shown."""
    return WorkloadRow.__table__  # type: ignore[attr-defined,no-any-return]


# ---- deploys -----------------------------------------------------------------------------------------------------------


def key_of(uid: str, what: str) -> str:
    """The key of one of its effects: ``deploy:0f3a…:panel:2``."""
    return f"deploy:{uid}:{what}"


def uid_in(key: str) -> str:
    """The deploy that an effect's key is about."""
    return key.split(":")[1]


def number_in(key: str) -> int:
    """The number at the end of an effect's key."""
    return int(key.rsplit(":", 1)[1])


def by_uid(c: Connection, uid: str) -> Any:
    """The row, or None."""
    return c.execute(sa.select(DEPLOYS()).where(DEPLOYS().c.uid == uid)).first()


def by_id(c: Connection, number: int | None) -> Any:
    """The row, or None; also of no number."""
    return c.execute(sa.select(DEPLOYS()).where(DEPLOYS().c.id == number)).first()


def kept(c: Connection, uid: str) -> Any:
    """The row, kept from other writers until the transaction ends; or None."""
    return c.execute(sa.select(DEPLOYS()).where(DEPLOYS().c.uid == uid).with_for_update()).first()


def change(c: Connection, number: int, values: Mapping[str, Any]) -> Any:
    """Write into a row; the row as it then is."""
    t = DEPLOYS()
    c.execute(t.update().where(t.c.id == number).values(**values))
    return by_id(c, number)


def lately(c: Connection, service: str, *, since: float, environment: str = "", limit: int = 20) -> Sequence[Any]:
    """The deploys of a service that began at ``since`` (UNIX s) or later, the newest first; of one environment, or of all."""
    t = DEPLOYS()
    asked = sa.select(t).where(t.c.service == service, t.c.at >= since)
    if environment:
        asked = asked.where(t.c.environment == environment)
    return c.execute(asked.order_by(t.c.at.desc(), t.c.id.desc()).limit(limit)).all()


def between(c: Connection, since: float, until: float, *, limit: int = 100) -> Sequence[Any]:
    """The deploys of every service that began in a span of time (UNIX s), oldest first."""
    t = DEPLOYS()
    return c.execute(sa.select(t).where(t.c.at.between(since, until)).order_by(t.c.at, t.c.id).limit(limit)).all()


def newest(c: Connection, *, service: str = "", limit: int = 20) -> Sequence[Any]:
    """The newest deploys, of one service or of all, the newest first."""
    t = DEPLOYS()
    asked = sa.select(t).where(t.c.service == service) if service else sa.select(t)
    return c.execute(asked.order_by(t.c.at.desc(), t.c.id.desc()).limit(limit)).all()


def waiting(c: Connection) -> Sequence[Any]:
    """The deploys whose checks run, as far as they know: few at a time."""
    t = DEPLOYS()
    return c.execute(sa.select(t).where(t.c.verdict == sa.literal_column("'running'")).order_by(t.c.id)).all()


# ---- what tellers say --------------------------------------------------------------------------------------------------


def part(c: Connection, key: str) -> Any:
    """What a teller has said under a key, or None."""
    return c.execute(sa.select(PARTS()).where(PARTS().c.key == key)).first()


def parts(c: Connection, deploy: int) -> Sequence[Any]:
    """What all of them say of a deploy, in the order in which they began to."""
    t = PARTS()
    return c.execute(sa.select(t).where(t.c.deploy == deploy).order_by(t.c.told_at, t.c.key)).all()


# ---- places, workloads -------------------------------------------------------------------------------------------------


def place(c: Connection, service: str, environment: str) -> Any:
    """What runs of a service in an environment, kept from other writers until the transaction ends."""
    t = PLACES()
    insert_once(c, t, {"service": service, "environment": environment, "version": ""})
    mine = (t.c.service == service) & (t.c.environment == environment)
    return c.execute(sa.select(t).where(mine).with_for_update()).one()


def runs(c: Connection, service: str, environment: str, version: str, deploy: int | None) -> None:
    """Write down what runs there from now on."""
    t = PLACES()
    mine = (t.c.service == service) & (t.c.environment == environment)
    c.execute(t.update().where(mine).values(version=version, deploy=deploy))


def workload(c: Connection, name: str, *, keep: bool = False) -> Any:
    """What the cluster has shown of a place, or None; ``keep`` keeps it from other writers."""
    asked = sa.select(WORKLOADS()).where(WORKLOADS().c.place == name)
    return c.execute(asked.with_for_update() if keep else asked).first()


def write_workload(c: Connection, name: str, values: Mapping[str, Any]) -> bool:
    """Write down what is shown of a place that has no row; False when it has one."""
    row = {"object_uid": "", "revision": "", "state": "", "images": "{}", "seq": 0} | dict(values) | {"place": name}
    return insert_once(c, WORKLOADS(), row) is not None


def change_workload(c: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Write down what is shown of a place that has one."""
    t = WORKLOADS()
    c.execute(t.update().where(t.c.place == name).values(**values))


def found_of(row: Any) -> list[dict[str, str]]:
    """What the checks after a deploy did not pass."""
    told: list[dict[str, str]] = json.loads(row.found)
    return told
