"""What was removed by retention says so: files by their rows, events by where the trail begins."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

FROM_THE_BEGINNING = {
    # An empty audit_head must not open the trail: what is NULL forbids.
    "sqlite": [
        "DROP TRIGGER audit_event_no_delete",
        "CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event "
        "WHEN OLD.id > COALESCE((SELECT removed FROM audit_head), 0) "
        "BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END",
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION audit_event_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF TG_OP = 'DELETE' AND OLD.id <= (SELECT removed FROM audit_head) THEN RETURN OLD; "
        "END IF; RAISE EXCEPTION 'audit_event is append-only'; END $$",
    ],
}
"""The database lets go of events only up to the checkpoint in audit_head."""


def upgrade() -> None:
    for table in ("instance", "analysis", "result"):
        op.add_column(table, sa.Column("purged_at", sa.String(length=32), nullable=True))
    op.add_column("audit_head", sa.Column("removed", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(
        "audit_head", sa.Column("removed_hash", sa.String(length=64), nullable=False, server_default="0" * 64)
    )
    for statement in FROM_THE_BEGINNING[op.get_bind().dialect.name]:
        op.execute(statement)
