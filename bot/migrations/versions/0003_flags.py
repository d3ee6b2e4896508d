"""Flags: one row for each switching-on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "flags",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uid", sa.String, nullable=False, unique=True),
        sa.Column("name", sa.String, nullable=False),
        # The flag's name while it is not over: on at most once.
        sa.Column("on_key", sa.String, unique=True),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("prior", sa.String, nullable=False),
        sa.Column("term", sa.Integer, nullable=False),
        sa.Column("asked_by", sa.String, nullable=False),
        sa.Column("asker", sa.String, nullable=False),
        sa.Column("asked_at", sa.Float, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("on_at", sa.Float),
        sa.Column("ending_at", sa.Float),
        sa.Column("off_at", sa.Float),
        sa.Column("off_by", sa.String, nullable=False),
        sa.Column("why", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("ts", sa.String, nullable=False),
        sa.Column("alarm_ts", sa.String, nullable=False),
        sa.Column("panel", sa.Integer, nullable=False),
        sa.Column("panel_owed", sa.Boolean, nullable=False),
    )
    op.create_index("ix_flags_name", "flags", ["name"])
    op.create_index("ix_flags_off_at", "flags", ["off_at"])
