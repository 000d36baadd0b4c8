"""What a second classifier says of the images, in the shadow of the first."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "shadow",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.Integer(), nullable=False),
        sa.Column("classifier", sa.String(length=64), nullable=False),
        sa.Column("weights", sa.String(length=64), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shadow"),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"], name="fk_shadow_instance_id"),
        sa.UniqueConstraint(
            "instance_id", "classifier", "weights", name="uq_shadow_instance_id_classifier_weights"
        ),
    )
