"""A result is of a variant of its kind: one language, one geometry. A study is some patient's, of a day."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("result", sa.Column("variant", sa.String(length=64), nullable=False, server_default=""))
    # what there was came in the only form there was
    op.execute("UPDATE result SET variant = 'language=en' WHERE kind = 'report'")
    op.execute("UPDATE result SET variant = 'seg_geometry=nominal seg_type=binary' WHERE kind = 'seg'")
    # unknown for the studies that there are, until one is analysed again
    op.add_column("study", sa.Column("patient", sa.String(length=64), nullable=True))
    op.add_column("study", sa.Column("study_date", sa.String(length=8), nullable=True))
    op.add_column("study", sa.Column("study_time", sa.String(length=6), nullable=True))
    op.create_index("ix_study_patient", "study", ["patient"])
