"""What is urgent goes first, and which station an image is from."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("instance", sa.Column("station", sa.String(length=64), nullable=True))
    for table in ("study", "job"):
        op.add_column(table, sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.drop_index("ix_job_state_kind_not_before", table_name="job")
    op.create_index(
        "ix_job_state_kind_priority_not_before", "job", ["state", "kind", "priority", "not_before"]
    )
