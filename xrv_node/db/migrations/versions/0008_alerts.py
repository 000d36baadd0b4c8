"""Alerts: how far the trail was looked at for each, and the messages that wait to be sent."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "alert_place",
        sa.Column("alert", sa.String(length=64), nullable=False),
        sa.Column("event", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("alert", name="pk_alert_place"),
    )
    op.create_table(
        "alert_message",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("alert", sa.String(length=64), nullable=False),
        sa.Column("notes", sa.String(), nullable=False),
        sa.Column("made_at", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_message"),
    )
    op.create_index("ix_alert_message_alert", "alert_message", ["alert"])
