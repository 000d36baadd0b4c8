"""A result is of a variant of its kind: one language, one geometry."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("result", sa.Column("variant", sa.String(length=64), nullable=False, server_default=""))
    # what there was came in the only form there was
    op.execute("UPDATE result SET variant = 'language=en' WHERE kind = 'report'")
    op.execute("UPDATE result SET variant = 'seg_geometry=nominal seg_type=binary' WHERE kind = 'seg'")
