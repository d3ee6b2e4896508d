"""The first schema: alerts, incidents, timeline, effects, inbox, audit, replicas."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("starts_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("ends_at", sa.BigInteger),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("labels", sa.String, nullable=False),
        sa.Column("annotations", sa.String, nullable=False),
        sa.Column("group_key", sa.String, nullable=False),
        sa.Column("verdict", sa.String),
        sa.Column("incident", sa.Integer),
        sa.UniqueConstraint("fingerprint", "starts_at", "status"),
    )
    op.create_index("ix_alerts_incident", "alerts", ["incident"])
    # Only the undecided are looked for at start, and they are few however long the history is.
    op.create_index(
        "ix_alerts_undecided",
        "alerts",
        ["id"],
        sqlite_where=sa.text("verdict IS NULL"),
        postgresql_where=sa.text("verdict IS NULL"),
    )
    op.create_table(
        "incidents",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("uid", sa.String, nullable=False, unique=True),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("open_key", sa.String, unique=True),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("environment", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("about", sa.String, nullable=False),
        sa.Column("opened_at", sa.Float, nullable=False),
        sa.Column("opened_by", sa.String, nullable=False),
        sa.Column("paged_at", sa.Float),
        sa.Column("acked_at", sa.Float),
        sa.Column("acked_by", sa.String, nullable=False),
        sa.Column("resolved_at", sa.Float),
        sa.Column("resolved_by", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("thread_ts", sa.String, nullable=False),
        sa.Column("ticket_key", sa.String, nullable=False),
        sa.Column("ticket_url", sa.String, nullable=False),
        sa.Column("checks", sa.String, nullable=False),
        sa.Column("panel", sa.Integer, nullable=False),
        sa.Column("panel_owed", sa.Boolean, nullable=False),
    )
    op.create_index("ix_incidents_service", "incidents", ["service"])
    op.create_index("ix_incidents_opened_at", "incidents", ["opened_at"])
    op.create_table(
        "timeline",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("incident", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("text", sa.String, nullable=False),
    )
    op.create_index("ix_timeline_incident", "timeline", ["incident"])
    op.create_table(
        "effects",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("lane", sa.String, nullable=False),
        sa.Column("about", sa.Integer),
        sa.Column("args", sa.String, nullable=False),
        sa.Column("urgency", sa.Integer, nullable=False),
        sa.Column("after", sa.String),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("tried", sa.Integer, nullable=False),
        sa.Column("tried_at", sa.Float),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("done_at", sa.Float),
        sa.Column("took_ms", sa.Float),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("result", sa.String, nullable=False),
    )
    op.create_index("ix_effects_about", "effects", ["about"])
    # Both are asked while most effects are settled: they hold the open ones only.
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_effects_waiting", "effects", ["after"], sqlite_where=waiting, postgresql_where=waiting)
    unsettled = sa.text("state IN ('owed', 'retrying')")
    op.create_index("ix_effects_due", "effects", ["due_at"], sqlite_where=unsettled, postgresql_where=unsettled)
    op.create_table(
        "inbox",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("payload", sa.String, nullable=False),
        sa.Column("done_at", sa.Float),
    )
    op.create_index("ix_inbox_received_at", "inbox", ["received_at"])
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("door", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
        sa.Column("before", sa.String, nullable=False),
        sa.Column("seal", sa.String, nullable=False),
    )
    op.create_table(
        "replicas",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("seen", sa.Float, nullable=False),
    )
