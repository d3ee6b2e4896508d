"""The life of an incident: mitigated, closed and reopened, tests kept apart, roles, and messages marked for the timeline."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("incidents", sa.Column("mitigated_at", sa.Float))
    op.add_column("incidents", sa.Column("mitigated_by", sa.String, nullable=False, server_default=""))
    op.add_column("incidents", sa.Column("closed_at", sa.Float))
    op.add_column("incidents", sa.Column("closed_by", sa.String, nullable=False, server_default=""))
    op.add_column("incidents", sa.Column("reopened_at", sa.Float))
    op.add_column("incidents", sa.Column("test", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_incidents_key", "incidents", ["key", "number"])
    # A marked message keeps its own time, and is found again when somebody edits or deletes it.
    op.add_column("timeline", sa.Column("channel", sa.String))
    op.add_column("timeline", sa.Column("ts", sa.String))
    op.add_column("timeline", sa.Column("noted_at", sa.Float))
    op.create_index("ix_timeline_message", "timeline", ["incident", "channel", "ts"], unique=True)
    op.create_table(
        "roles",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("incident", sa.Integer, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("given_at", sa.Float, nullable=False),
        sa.Column("given_by", sa.String, nullable=False),
    )
    op.create_index("ix_roles_incident", "roles", ["incident", "role"], unique=True)
