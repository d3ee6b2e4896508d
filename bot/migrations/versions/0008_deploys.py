"""Deploys, as they were told or seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "deploys",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uid", sa.String, nullable=False, unique=True),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("environment", sa.String, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("before", sa.String, nullable=False, server_default=""),
        sa.Column("back", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("image", sa.String, nullable=False, server_default=""),
        sa.Column("revision", sa.String, nullable=False, server_default=""),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("by_name", sa.String, nullable=False, server_default=""),
        sa.Column("url", sa.String, nullable=False, server_default=""),
        sa.Column("why", sa.String, nullable=False, server_default=""),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("ended_at", sa.Float),
        sa.Column("told_at", sa.Float, nullable=False),
        sa.Column("late", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("turn", sa.Integer, nullable=False, server_default="0"),
        sa.Column("run", sa.String, nullable=False, server_default=""),
        sa.Column("verdict", sa.String, nullable=False, server_default=""),
        sa.Column("found", sa.String, nullable=False, server_default="[]"),
        sa.Column("channel", sa.String, nullable=False, server_default=""),
        sa.Column("ts", sa.String, nullable=False, server_default=""),
        sa.Column("panel", sa.Integer, nullable=False, server_default="0"),
        sa.Column("panel_owed", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    # What burns asks what was deployed to its service lately, and a telling which deploy it belongs to.
    op.create_index("ix_deploys_service", "deploys", ["service", "at"])
    # The post-mortem asks what was deployed anywhere shortly before.
    op.create_index("ix_deploys_at", "deploys", ["at"])
    running = sa.text("verdict = 'running'")
    op.create_index("ix_deploys_running", "deploys", ["id"], sqlite_where=running, postgresql_where=running)
    # What each teller calls a deploy, and says of it.
    op.create_table(
        "deploy_parts",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("deploy", sa.Integer, nullable=False, index=True),
        sa.Column("origin", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("told_at", sa.Float, nullable=False, index=True),
    )
    # What runs where: one row for each service and environment, and who writes of one waits for its row.
    op.create_table(
        "deploy_places",
        sa.Column("service", sa.String, primary_key=True),
        sa.Column("environment", sa.String, primary_key=True),
        sa.Column("version", sa.String, nullable=False, server_default=""),
        sa.Column("deploy", sa.Integer),
    )
    # What the cluster has shown of each workload: a rollout is what differs from it. Of a kind in a namespace, since when
    # it is looked at.
    op.create_table(
        "deploy_workloads",
        sa.Column("place", sa.String, primary_key=True),
        sa.Column("object_uid", sa.String, nullable=False, server_default=""),
        sa.Column("revision", sa.String, nullable=False, server_default=""),
        sa.Column("state", sa.String, nullable=False, server_default=""),
        sa.Column("images", sa.String, nullable=False, server_default="{}"),
        sa.Column("seq", sa.Integer, nullable=False, server_default="0"),
        sa.Column("at", sa.Float, nullable=False),
    )
