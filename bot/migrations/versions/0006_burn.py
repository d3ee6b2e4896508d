"""What keeps an alert from waking anybody, and the storm an incident is folded into."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # Cooldown, flap, maintenance, silence, drill, inhibited; few alerts have one, and only those are counted and listed.
    op.add_column("alerts", sa.Column("held", sa.String))
    held = sa.text("held IS NOT NULL")
    op.create_index("ix_alerts_held", "alerts", ["received_at"], sqlite_where=held, postgresql_where=held)
    # Who sent it: Alertmanager is asked only about its own.
    op.add_column("alerts", sa.Column("source", sa.String, nullable=False, server_default="alertmanager"))
    # The members of a storm are listed by its number; nearly no incident is one.
    op.add_column("incidents", sa.Column("umbrella", sa.Integer))
    folded = sa.text("umbrella IS NOT NULL")
    op.create_index("ix_incidents_umbrella", "incidents", ["umbrella"], sqlite_where=folded, postgresql_where=folded)
    # What people and captain.yml silence: those that are on are found by the unique key, which is NULL afterwards.
    op.create_table(
        "silences",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uid", sa.String, nullable=False, unique=True),
        sa.Column("open_key", sa.String, unique=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("services", sa.String, nullable=False, server_default="[]"),
        sa.Column("matchers", sa.String, nullable=False, server_default="[]"),
        sa.Column("key", sa.String, nullable=False, server_default=""),
        sa.Column("rank", sa.Integer, nullable=False, server_default="1"),
        sa.Column("incident", sa.Integer),
        sa.Column("source", sa.String, nullable=False, server_default="person"),
        sa.Column("by_name", sa.String, nullable=False),
        sa.Column("by_id", sa.String, nullable=False, server_default=""),
        sa.Column("asked_key", sa.String, nullable=False, server_default=""),
        sa.Column("reason", sa.String, nullable=False, server_default=""),
        sa.Column("made_at", sa.Float, nullable=False),
        sa.Column("end_at", sa.Float, nullable=False),
        sa.Column("length", sa.Float, nullable=False),
        sa.Column("term", sa.Integer, nullable=False, server_default="1"),
        sa.Column("ended_at", sa.Float, index=True),
        sa.Column("ended_by", sa.String, nullable=False, server_default=""),
        sa.Column("outside", sa.String, nullable=False, server_default=""),
    )
    # The alerts that are held, so that each is decided about anew when its reason ends; few are, of all that ever were.
    op.create_table(
        "holds",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("alert", sa.Integer, nullable=False, unique=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("silence", sa.Integer, index=True),
        sa.Column("incident", sa.Integer),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("until", sa.Float),
        sa.Column("turn", sa.Integer, nullable=False, server_default="1"),
        sa.Column("over_at", sa.Float),
        sa.Column("outcome", sa.String, nullable=False, server_default=""),
    )
    still = sa.text("over_at IS NULL")
    op.create_index("ix_holds_still", "holds", ["rank", "id"], sqlite_where=still, postgresql_where=still)
    # What the last look at an SLO saw, and since when its tiers fire: the next look goes on from there.
    op.create_table(
        "slo_states",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("looked_at", sa.Float, nullable=False),
        sa.Column("state", sa.String, nullable=False),
    )
    # Since when nothing is known of what an incident is about; until there is, nothing ends it but a person.
    op.add_column("incidents", sa.Column("frozen_at", sa.Float))
