"""An event is only ever added behind the last one: neither REPLACE nor TRUNCATE removes any."""

from alembic import op

revision = "0006"
down_revision = "0005"

BEHIND_THE_LAST = {
    # SQLite's REPLACE removes the row in its way without asking the triggers on DELETE (lang_conflict).
    "sqlite": [
        "CREATE TRIGGER audit_event_only_added BEFORE INSERT ON audit_event "
        "WHEN NEW.id <= MAX(COALESCE((SELECT MAX(id) FROM audit_event), 0), "
        "COALESCE((SELECT count FROM audit_head), 0)) "
        "BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END",
    ],
    # Row triggers do not hear of TRUNCATE.
    "postgresql": [
        "CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_event_append_only()",
    ],
}


def upgrade() -> None:
    for statement in BEHIND_THE_LAST[op.get_bind().dialect.name]:
        op.execute(statement)
