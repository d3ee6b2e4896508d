"""Named actions, and how each is undone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "actions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uid", sa.String, nullable=False, unique=True),
        sa.Column("name", sa.String, nullable=False, index=True),
        # What nobody else may change while it is not over: one at a time for each object.
        sa.Column("lock", sa.String, unique=True),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("environment", sa.String, nullable=False, server_default=""),
        sa.Column("incident", sa.Integer),
        sa.Column("quiet", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("parameters", sa.String, nullable=False, server_default="{}"),
        sa.Column("plan", sa.String, nullable=False),
        sa.Column("prior", sa.String, nullable=False, server_default=""),
        sa.Column("diff", sa.String, nullable=False, server_default=""),
        sa.Column("seal", sa.String, nullable=False, server_default=""),
        sa.Column("approval", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("approve_by", sa.Float),
        sa.Column("approved", sa.String, nullable=False, server_default=""),
        sa.Column("approved_by", sa.String, nullable=False, server_default=""),
        sa.Column("approved_at", sa.Float),
        sa.Column("term", sa.Integer, nullable=False, server_default="0"),
        sa.Column("asked_by", sa.String, nullable=False),
        sa.Column("asker", sa.String, nullable=False, server_default=""),
        sa.Column("person", sa.String, nullable=False, server_default=""),
        sa.Column("email", sa.String, nullable=False, server_default=""),
        sa.Column("asked_at", sa.Float, nullable=False),
        sa.Column("reason", sa.String, nullable=False, server_default=""),
        sa.Column("until", sa.Float),
        sa.Column("armed_at", sa.Float),
        sa.Column("begun_at", sa.Float),
        sa.Column("heard", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("on_at", sa.Float),
        sa.Column("ending_at", sa.Float),
        sa.Column("off_at", sa.Float, index=True),
        sa.Column("off_by", sa.String, nullable=False, server_default=""),
        sa.Column("why", sa.String, nullable=False, server_default=""),
        sa.Column("checked", sa.String, nullable=False, server_default=""),
        sa.Column("channel", sa.String, nullable=False, server_default=""),
        sa.Column("thread", sa.String, nullable=False, server_default=""),
        sa.Column("ts", sa.String, nullable=False, server_default=""),
        sa.Column("alarm_ts", sa.String, nullable=False, server_default=""),
        sa.Column("panel", sa.Integer, nullable=False, server_default="0"),
        sa.Column("panel_owed", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    # What is not over is asked for every minute; nearly all that ever was, is.
    on = sa.text("lock IS NOT NULL")
    op.create_index("ix_actions_on", "actions", ["id"], sqlite_where=on, postgresql_where=on)
