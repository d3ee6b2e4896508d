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
    umbrella = ["umbrella", "number"]
    op.create_index("ix_incidents_umbrella", "incidents", umbrella, sqlite_where=folded, postgresql_where=folded)
    # Whether something of a service is still open in a storm is asked at the end of every member.
    lasts = sa.text("umbrella IS NOT NULL AND open_key IS NOT NULL")
    service = ["umbrella", "service"]
    op.create_index("ix_incidents_folded", "incidents", service, sqlite_where=lasts, postgresql_where=lasts)
    # What is reopened counts for a storm as what is new does; few incidents ever are.
    back = sa.text("reopened_at IS NOT NULL")
    op.create_index("ix_incidents_reopened", "incidents", ["reopened_at"], sqlite_where=back, postgresql_where=back)
    # Whose page has called the on-call of a service in a storm.
    op.create_table(
        "storm_calls",
        sa.Column("umbrella", sa.Integer, primary_key=True),
        sa.Column("service", sa.String, primary_key=True),
        sa.Column("incident", sa.Integer, nullable=False, index=True),
    )
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
    # The incidents that come and go too often, and stay open until they are quiet.
    op.create_table(
        "flaps",
        sa.Column("incident", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("last_at", sa.Float, nullable=False),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.Column("over_at", sa.Float),
    )
    op.create_index("ix_flaps_now", "flaps", ["incident"], sqlite_where=still, postgresql_where=still)
    # What stands behind an incident, asked each time one is resolved or its panel is drawn.
    op.create_index("ix_holds_behind", "holds", ["incident"], sqlite_where=still, postgresql_where=still)
    # What the last look at an SLO saw, and since when its tiers fire: the next look goes on from there.
    op.create_table(
        "slo_states",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("looked_at", sa.Float, nullable=False),
        sa.Column("state", sa.String, nullable=False),
    )
    # Since when nothing is known of what an incident is about; until there is, nothing ends it but a person.
    op.add_column("incidents", sa.Column("frozen_at", sa.Float))
    _flat()


def _flat() -> None:
    """What is asked all day must not read all that was: these hold what is open, or give what is wanted at once."""
    open_ = sa.text("open_key IS NOT NULL")
    op.create_index("ix_incidents_open", "incidents", ["number"], sqlite_where=open_, postgresql_where=open_)
    both = ["service", "number"]
    op.create_index("ix_incidents_open_of", "incidents", both, sqlite_where=open_, postgresql_where=open_)
    by_hand = sa.text("source <> 'alert'")
    op.create_index("ix_incidents_by_hand", "incidents", both, sqlite_where=by_hand, postgresql_where=by_hand)
    over = sa.text("resolved_at IS NOT NULL")
    op.create_index("ix_incidents_over", "incidents", ["resolved_at"], sqlite_where=over, postgresql_where=over)
    # Every message in Slack asks whether an incident lives where it is.
    op.create_index("ix_incidents_room", "incidents", ["room"])
    op.create_index("ix_incidents_thread", "incidents", ["channel", "thread_ts"])
    left = sa.text("state IN ('waiting', 'owed', 'retrying', 'gave_up')")
    op.create_index("ix_effects_left", "effects", ["kind"], sqlite_where=left, postgresql_where=left)
    done = sa.text("done_at IS NOT NULL")
    op.create_index("ix_effects_done", "effects", ["kind", "done_at"], sqlite_where=done, postgresql_where=done)
    op.create_index("ix_timeline_at", "timeline", ["at"])
    undone = sa.text("done_at IS NULL")
    op.create_index("ix_inbox_undone", "inbox", ["received_at"], sqlite_where=undone, postgresql_where=undone)
    settled = sa.text("settled_at IS NOT NULL")
    op.create_index("ix_findings_settled", "findings", ["settled_at"], sqlite_where=settled, postgresql_where=settled)
    on = sa.text("on_key IS NOT NULL")
    op.create_index("ix_flags_on", "flags", ["id"], sqlite_where=on, postgresql_where=on)
    op.create_index("ix_audit_subject", "audit", ["subject"])
    # Every alert asks what is silenced now.
    op.create_index("ix_silences_on", "silences", ["id"], sqlite_where=open_, postgresql_where=open_)
    op.create_index("ix_silences_incident", "silences", ["incident", "id"])
    let_go = sa.text("over_at IS NOT NULL")
    op.create_index("ix_holds_over", "holds", ["over_at"], sqlite_where=let_go, postgresql_where=let_go)
    op.create_index("ix_flaps_over", "flaps", ["over_at"], sqlite_where=let_go, postgresql_where=let_go)
    # The post-mortem asks which flags were switched meanwhile.
    op.create_index("ix_flags_on_at", "flags", ["on_at"])
