"""An incident's own channel, private incidents, its updates, its line in the digest, and its ticket wherever it was moved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("incidents", sa.Column("private", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("incidents", sa.Column("room", sa.String, nullable=False, server_default=""))
    op.add_column("incidents", sa.Column("digest_channel", sa.String, nullable=False, server_default=""))
    op.add_column("incidents", sa.Column("digest_ts", sa.String, nullable=False, server_default=""))
    # Jira's id of the ticket stays when its key changes; every webhook is looked up by one of them.
    op.add_column("incidents", sa.Column("ticket_id", sa.String, nullable=False, server_default=""))
    op.create_index("ix_incidents_ticket_id", "incidents", ["ticket_id"])
    op.create_index("ix_incidents_ticket_key", "incidents", ["ticket_key"])
    # Edits of the line are gathered as those of the panel are.
    op.add_column("incidents", sa.Column("digest", sa.Integer, nullable=False, server_default="0"))
    op.add_column("incidents", sa.Column("digest_owed", sa.Boolean, nullable=False, server_default=sa.false()))
    # The last stakeholder update, which panel, digest and Home show, and when the next is promised.
    op.add_column("incidents", sa.Column("update_text", sa.String, nullable=False, server_default=""))
    op.add_column("incidents", sa.Column("update_at", sa.Float))
    op.add_column("incidents", sa.Column("update_by", sa.String, nullable=False, server_default=""))
    op.add_column("incidents", sa.Column("next_update_at", sa.Float))
    # Every edit and deletion in Slack asks whether its message is in a timeline; only marked messages have a channel.
    said = sa.text("channel IS NOT NULL")
    op.create_index("ix_timeline_said", "timeline", ["channel", "ts"], sqlite_where=said, postgresql_where=said)
