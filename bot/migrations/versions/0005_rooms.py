"""An incident's own channel, private incidents, and its line in the digest."""

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
    # Every edit and deletion in Slack asks whether its message is in a timeline; only marked messages have a channel.
    said = sa.text("channel IS NOT NULL")
    op.create_index("ix_timeline_said", "timeline", ["channel", "ts"], sqlite_where=said, postgresql_where=said)
