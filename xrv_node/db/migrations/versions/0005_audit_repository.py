"""How far the audit trail was sent to an audit repository."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "audit_sent",
        sa.Column("repository", sa.String(length=300), nullable=False),
        sa.Column("event", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("repository", name="pk_audit_sent"),
    )
