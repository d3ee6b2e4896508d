"""What trust needs: pauses and deadlines of effects, repeats of alerts, refused payloads, heartbeats, findings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # A pause is kept beside the instant it ends: a clock that was set back must not stretch it.
    op.add_column("effects", sa.Column("pause", sa.Float, nullable=False, server_default="0"))
    op.add_column("effects", sa.Column("deadline", sa.Float))
    op.add_column("effects", sa.Column("bucket", sa.String, nullable=False, server_default=""))
    op.add_column("effects", sa.Column("deaths", sa.Integer, nullable=False, server_default="0"))
    op.add_column("alerts", sa.Column("seen_at", sa.Float))
    op.add_column("alerts", sa.Column("repeats", sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_alerts_received_at", "alerts", ["received_at"])
    op.add_column("inbox", sa.Column("verdict", sa.String, nullable=False, server_default=""))
    op.create_table(
        "refusals",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("payload", sa.String, nullable=False),
    )
    op.create_index("ix_refusals_received_at", "refusals", ["received_at"])
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("armed_at", sa.Float, nullable=False),
        sa.Column("seen_at", sa.Float),
    )
    op.create_table(
        "findings",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("incident", sa.Integer, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.Column("looks", sa.Integer, nullable=False),
        sa.Column("asked_at", sa.Float),
        sa.Column("settled_at", sa.Float),
        sa.Column("answer", sa.String, nullable=False, server_default=""),
    )
    op.create_index("ix_findings_incident", "findings", ["incident"])
    op.create_table(
        "paces",
        sa.Column("bucket", sa.String, primary_key=True),
        sa.Column("free_at", sa.Float, nullable=False),
    )
