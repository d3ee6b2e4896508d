"""Runs of runbooks, and what each of their checks found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uid", sa.String, nullable=False, unique=True),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("runbook", sa.String, nullable=False),
        sa.Column("trigger", sa.String, nullable=False),
        sa.Column("asked_by", sa.String, nullable=False, server_default=""),
        sa.Column("asker", sa.String, nullable=False, server_default=""),
        sa.Column("parameters", sa.String, nullable=False, server_default="{}"),
        sa.Column("confined", sa.String, nullable=False, server_default="[]"),
        sa.Column("service", sa.String, nullable=False, server_default=""),
        sa.Column("environment", sa.String, nullable=False, server_default=""),
        sa.Column("channel", sa.String, nullable=False, server_default=""),
        sa.Column("thread", sa.String, nullable=False, server_default=""),
        sa.Column("incident", sa.Integer),
        sa.Column("deploy", sa.String),
        sa.Column("schedule", sa.String),
        sa.Column("asked_at", sa.Float, nullable=False),
        sa.Column("began_at", sa.Float),
        sa.Column("ended_at", sa.Float),
        sa.Column("took_s", sa.Float),
        sa.Column("turn", sa.Integer, nullable=False, server_default="0"),
        sa.Column("checks", sa.Integer, nullable=False, server_default="0"),
        sa.Column("outcome", sa.String, nullable=False, server_default=""),
        sa.Column("detail", sa.String, nullable=False, server_default=""),
        sa.Column("cancelled_by", sa.String, nullable=False, server_default=""),
        sa.Column("shown_by", sa.String, nullable=False, server_default=""),
        sa.Column("said_in", sa.String, nullable=False, server_default=""),
        sa.Column("ts", sa.String, nullable=False, server_default=""),
        sa.Column("panel", sa.Integer, nullable=False, server_default="0"),
        sa.Column("panel_owed", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    # Few runs go on at a time, and those are listed, counted and cancelled.
    going = sa.text("ended_at IS NULL")
    op.create_index("ix_runs_going", "runs", ["id"], sqlite_where=going, postgresql_where=going)
    over = sa.text("ended_at IS NOT NULL")
    op.create_index("ix_runs_ended", "runs", ["ended_at"], sqlite_where=over, postgresql_where=over)
    op.create_index("ix_runs_of", "runs", ["runbook", "id"])
    for name in ("incident", "deploy"):
        has = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_runs_{name}", "runs", [name, "id"], sqlite_where=has, postgresql_where=has)
    op.create_table(
        "outcomes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("runbook", sa.String, nullable=False),
        sa.Column("service", sa.String, nullable=False, server_default=""),
        sa.Column("environment", sa.String, nullable=False, server_default=""),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("value", sa.String, nullable=False, server_default=""),
        sa.Column("threshold", sa.String, nullable=False, server_default=""),
        sa.Column("unit", sa.String, nullable=False, server_default=""),
        sa.Column("samples", sa.Integer),
        sa.Column("took_s", sa.Float, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("detail", sa.String, nullable=False, server_default=""),
        sa.Column("hint", sa.String, nullable=False, server_default=""),
        sa.Column("asked", sa.String, nullable=False, server_default=""),
        sa.Column("tags", sa.String, nullable=False, server_default="[]"),
        sa.Column("at", sa.Float, nullable=False),
        sa.UniqueConstraint("run", "name", name="uq_outcomes_run"),
    )
    op.create_index("ix_outcomes_of", "outcomes", ["runbook", "at"])
    op.create_index("ix_outcomes_at", "outcomes", ["at"])
    # What was last seen, and since when; the row without a name is the run's own. As many as captain.yml and the runbooks have.
    op.create_table(
        "check_states",
        sa.Column("runbook", sa.String, primary_key=True),
        sa.Column("service", sa.String, primary_key=True),
        sa.Column("environment", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("took_s", sa.Float, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
    )
    # Up to when each schedule's slots were seen to, and since when how its runs fail.
    op.create_table(
        "schedules",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("failing", sa.String, nullable=False, server_default=""),
        sa.Column("since", sa.Float),
        sa.Column("said_at", sa.Float),
    )
