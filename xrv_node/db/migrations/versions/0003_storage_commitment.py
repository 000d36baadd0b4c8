"""An archive is asked whether it keeps what it was sent: when, and under which transaction."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "commitment",
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("transaction_uid", name="pk_commitment"),
    )
    op.add_column("delivery", sa.Column("asked_at", sa.String(length=32), nullable=True))
