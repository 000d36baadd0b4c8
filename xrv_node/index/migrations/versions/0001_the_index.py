"""Studies, series, objects and their headers, and how far they have come."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def text(name: str, length: int | None = None, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=null)


def number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=null)


def flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


TABLES: dict[str, list[sa.Column[Any]]] = {
    "state": [number("event"), number("study", null=True), text("style")],
    "study": [
        text("study_instance_uid", 64),
        text("study_date", null=True),
        text("study_time", null=True),
        text("accession_number", null=True),
        text("patient_id", null=True),
        text("patient_birth_date", null=True),
        text("study_number", null=True),
        text("study_description", null=True),
        number("instances"),
        number("source"),
        text("answer"),
        text("attributes"),
    ],
    "series": [
        number("study_id"),
        text("series_instance_uid", 64),
        text("modality", null=True),
        number("series_number", null=True),
        text("series_description", null=True),
        text("performed_date", null=True),
        text("performed_time", null=True),
        number("instances"),
        number("source"),
        text("answer"),
        text("attributes"),
    ],
    "instance": [
        number("study_id"),
        number("series_id", null=True),
        text("study_instance_uid", 64),
        text("series_instance_uid", 64),
        text("sop_instance_uid", 64),
        text("sop_class_uid", 64),
        text("transfer_syntax_uid", 64),
        text("path", 255),
        number("size"),
        text("sha256", 64),
        flag("result"),
        flag("purged"),
        flag("listed"),
        number("instance_number", null=True),
        number("frames"),
        number("pixel_offset", null=True),
        number("pixel_length", null=True),
        text("received_at", 32),
        text("answer"),
    ],
    "text": [
        text("keyword", 64),
        text("text"),
        number("study_id"),
        number("series_id", null=True),
    ],
}

UNIQUE: dict[str, list[tuple[str, ...]]] = {
    "study": [("study_instance_uid",)],
    "series": [("study_id", "series_instance_uid")],
    "instance": [("sop_instance_uid",)],
}

INDEXES: dict[str, list[tuple[str, ...]]] = {
    "study": [
        ("id",),
        ("study_date",),
        ("study_time",),
        ("accession_number",),
        ("patient_id",),
        ("patient_birth_date",),
        ("study_number",),
        ("study_description",),
    ],
    "series": [
        ("series_instance_uid",),
        ("series_description",),
        ("performed_date",),
        ("modality", "study_id"),
    ],
    "instance": [("study_id",), ("series_id",), ("study_instance_uid",), ("sop_class_uid", "listed")],
    "text": [("study_id",), ("keyword", "text", "study_id", "series_id")],
}


def upgrade() -> None:
    for name, columns in TABLES.items():
        table = f"index_{name}"
        unique = [
            sa.UniqueConstraint(*over, name=f"uq_{table}_{'_'.join(over)}") for over in UNIQUE.get(name, [])
        ]
        key = sa.Column("id", sa.Integer(), nullable=False, autoincrement=name != "study")
        op.create_table(table, key, *columns, sa.PrimaryKeyConstraint("id", name=f"pk_{table}"), *unique)
        for over in INDEXES.get(name, []):
            op.create_index(f"ix_{table}_{'_'.join(over)}", table, list(over))
    op.create_table(
        "index_header",
        sa.Column("instance_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("instance_id", name="pk_index_header"),
    )
    op.execute("INSERT INTO index_state (id, event, study, style) VALUES (1, 0, 0, '')")


def downgrade() -> None:
    for name in ("header", *TABLES):
        op.drop_table(f"index_{name}")
