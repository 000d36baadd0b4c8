"""Keyed digests by which an image's accession and Patient ID are known again."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for name in ("accession", "patient_id"):
        op.add_column("instance", sa.Column(name, sa.String(length=64), nullable=True))
