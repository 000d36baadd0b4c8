"""The index's tables. Those of studies and series hold what is listed, no more; what was purged has one row
left, with its UIDs.

Text that is searched is kept as `normal` has it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from xrv_node.db.columns import UtcText


class Base(DeclarativeBase):
    """Shared by all; the names let the index lie in one database with other tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcText()}


class State(Base):
    """How far the index has come, one row."""

    __tablename__ = "index_state"

    id: Mapped[int] = mapped_column(primary_key=True)
    event: Mapped[int] = mapped_column(default=0)
    """The last event of the trail that was followed."""
    study: Mapped[int | None] = mapped_column(default=0)
    """While it is made anew, the last study that was; NULL once all are."""
    style: Mapped[str] = mapped_column(default="")
    """By which results were chosen (`listing.Chosen.key`)."""


class StudyRow(Base):
    """A study of which something is listed."""

    __tablename__ = "index_study"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, index=True)
    """The audit database's: an index that is made anew has the same order. It has an index of its own, which
    is walked to a page far down without what the rows hold."""
    study_instance_uid: Mapped[str] = mapped_column(String(64), unique=True)
    study_date: Mapped[str | None] = mapped_column(index=True)
    study_time: Mapped[str | None] = mapped_column(index=True)
    accession_number: Mapped[str | None] = mapped_column(index=True)
    patient_id: Mapped[str | None] = mapped_column(index=True)
    patient_birth_date: Mapped[str | None] = mapped_column(index=True)
    study_number: Mapped[str | None] = mapped_column(index=True)
    """Study ID (0020,0010)."""
    study_description: Mapped[str | None] = mapped_column(index=True)
    instances: Mapped[int]
    source: Mapped[int]
    """The object whose header says all this: the first that is listed."""
    answer: Mapped[str]
    """DICOM JSON of what QIDO-RS answers with, without the Retrieve URL."""
    attributes: Mapped[str]
    """DICOM JSON of all attributes of patient and study."""


class SeriesRow(Base):
    """A series of which something is listed."""

    __tablename__ = "index_series"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int]
    series_instance_uid: Mapped[str] = mapped_column(String(64), index=True)
    modality: Mapped[str | None]
    series_number: Mapped[int | None]
    series_description: Mapped[str | None] = mapped_column(index=True)
    performed_date: Mapped[str | None] = mapped_column(index=True)
    performed_time: Mapped[str | None]
    instances: Mapped[int]
    source: Mapped[int]
    answer: Mapped[str]
    attributes: Mapped[str]

    __table_args__ = (
        UniqueConstraint("study_id", "series_instance_uid"),
        Index(None, "modality", "study_id"),
    )


class InstanceRow(Base):
    """An object: received or made, listed or not, there or purged."""

    __tablename__ = "index_instance"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(index=True)
    series_id: Mapped[int | None] = mapped_column(index=True)
    """NULL where it is not listed."""
    study_instance_uid: Mapped[str] = mapped_column(String(64), index=True)
    series_instance_uid: Mapped[str] = mapped_column(String(64))
    sop_instance_uid: Mapped[str] = mapped_column(String(64), unique=True)
    sop_class_uid: Mapped[str] = mapped_column(String(64))
    transfer_syntax_uid: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(255))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    result: Mapped[bool]
    purged: Mapped[bool]
    listed: Mapped[bool]
    instance_number: Mapped[int | None]
    frames: Mapped[int]
    pixel_offset: Mapped[int | None]
    pixel_length: Mapped[int | None]
    received_at: Mapped[datetime]
    answer: Mapped[str]

    __table_args__ = (Index(None, "sop_class_uid", "listed"),)


class HeaderRow(Base):
    """An object's header as DICOM JSON, apart from its row, which is read far more often."""

    __tablename__ = "index_header"

    instance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    packed: Mapped[bytes]
    """UTF-8, deflated (zlib)."""


class TextRow(Base):
    """What a study or series may have several of: the groups of a name, and what was requested."""

    __tablename__ = "index_text"

    id: Mapped[int] = mapped_column(primary_key=True)
    keyword: Mapped[str] = mapped_column(String(64))
    text: Mapped[str]
    study_id: Mapped[int] = mapped_column(index=True)
    series_id: Mapped[int | None]
    """NULL of what is the study's."""

    __table_args__ = (Index(None, "keyword", "text", "study_id", "series_id"),)
