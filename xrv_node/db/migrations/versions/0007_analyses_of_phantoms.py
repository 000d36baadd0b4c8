"""Networks for phantoms take the place of untrained ones; an analysis by either is no patient's."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("ALTER TABLE analysis RENAME COLUMN commissioning TO phantom")
