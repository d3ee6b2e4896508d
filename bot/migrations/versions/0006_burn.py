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
