"""The database's tables, one class each. No patient data: UIDs, states, times and digests only.

Times, but for a study's own, are UTC, stored as ISO 8601 text of fixed width, so that they sort and read the
same in SQLite and PostgreSQL.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from xrv_node.db.columns import ReasonList, ReasonText, UtcText
from xrv_node.reasons import Reason


class StudyState(StrEnum):
    """Where a study is on its way."""

    OPEN = "open"
    """Images are still coming."""
    CLOSED = "closed"
    """Complete; its analyses or its report are under way."""
    REPORTED = "reported"
    """The results exist; their deliveries have a state of their own."""
    FAILED = "failed"
    """The report job was parked."""


class InstanceState(StrEnum):
    """What became of one received object."""

    QUEUED = "queued"
    ANALYSED = "analysed"
    SKIPPED = "skipped"
    """Kept and reported, not analysed: the verdict says why."""
    FAILED = "failed"
    """Its analyse job was parked."""


class JobState(StrEnum):
    """The states of a job. Done, parked and cancelled are final until a person says otherwise."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    PARKED = "parked"
    CANCELLED = "cancelled"


class DeliveryState(StrEnum):
    """What became of one object on its way to one destination."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    WARNING = "warning"
    """Stored by the peer with a warning status (0xBxxx)."""
    CONFIRMED = "confirmed"
    """The peer has committed to keep it (storage commitment)."""
    REJECTED = "rejected"
    """The peer will not take it, however often it is sent."""
    PARKED = "parked"
    """Tried `max_attempts` times."""
    SILENT = "silent"
    """Made while nothing was to be sent there; it leaves only when a person sends it."""


class Base(DeclarativeBase):
    """Shared by all tables; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcText(),
        Reason: ReasonText(),
        tuple[Reason, ...]: ReasonList(),
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


class Study(Base):
    """A study as far as it has come."""

    __tablename__ = "study"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[str] = mapped_column(String(16), default=StudyState.OPEN)
    revision: Mapped[int] = mapped_column(default=0)
    """How often it was closed: a late image opens it again."""
    received_at: Mapped[datetime]
    """When the newest object came."""
    closed_at: Mapped[datetime | None]
    reported_at: Mapped[datetime | None]
    patient: Mapped[str | None] = mapped_column(String(64), index=True)
    """Keyed digest of who was examined (`priors.subject`); empty where the images do not tell or disagree."""
    study_date: Mapped[str | None] = mapped_column(String(8))
    """As in the source, ``YYYYMMDD``."""
    study_time: Mapped[str | None] = mapped_column(String(6))
    """As in the source, ``HHMMSS``."""
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    """The highest level of a rule that one of its images meets; its jobs have it."""

    instances: Mapped[list[Instance]] = relationship(back_populates="study")

    __table_args__ = (Index(None, "state", "received_at"),)


class Instance(Base):
    """One received object. The same SOP Instance UID with other bytes is a row of its own."""

    __tablename__ = "instance"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    sop_instance_uid: Mapped[str] = mapped_column(String(64))
    sop_class_uid: Mapped[str] = mapped_column(String(64))
    series_instance_uid: Mapped[str] = mapped_column(String(64))
    transfer_syntax_uid: Mapped[str] = mapped_column(String(64))
    modality: Mapped[str] = mapped_column(String(16))
    sha256: Mapped[str] = mapped_column(String(64))
    """Of the dataset's bytes as they came, without file meta information."""
    size: Mapped[int]
    path: Mapped[str] = mapped_column(String(255))
    """Relative to the data directory."""
    calling_ae: Mapped[str] = mapped_column(String(16))
    received_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16))
    verdict: Mapped[str] = mapped_column(String(16))
    view: Mapped[str | None] = mapped_column(String(16))
    reasons: Mapped[tuple[Reason, ...]]
    evidence: Mapped[list[Any]]
    error: Mapped[Reason | None]
    purged_at: Mapped[datetime | None]
    """When retention removed its file (`retention.purge`); the row stays."""
    accession: Mapped[str | None] = mapped_column(String(64))
    """Keyed digest of Accession Number (`keyed.attribute`); NULL of what came before there were such."""
    patient_id: Mapped[str | None] = mapped_column(String(64))
    """The same of Patient ID."""
    station: Mapped[str | None] = mapped_column(String(64))
    """The same of Station Name, a text of the site's, which may name anybody."""

    study: Mapped[Study] = relationship(back_populates="instances")

    __table_args__ = (UniqueConstraint("sop_instance_uid", "sha256"),)


class Job(Base):
    """One unit of work. Claimed under a lease, so that it survives the process that runs it."""

    __tablename__ = "job"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), default=JobState.QUEUED)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    instance_id: Mapped[int | None] = mapped_column(ForeignKey("instance.id"), index=True)
    delivery_id: Mapped[int | None] = mapped_column(ForeignKey("delivery.id"), index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int]
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    """The study's; a higher one is claimed first."""
    not_before: Mapped[datetime]
    lease: Mapped[str | None] = mapped_column(String(36))
    """Names the claim; only its holder may finish the job."""
    owner: Mapped[str | None] = mapped_column(String(128), index=True)
    """The process that claimed it last, ``<host>/<role>-<number>`` (`role_locks.hold_role`)."""
    lease_until: Mapped[datetime | None]
    error: Mapped[Reason | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        Index(None, "state", "kind", "priority", "not_before"),
        CheckConstraint("kind IN ('analyse', 'report', 'deliver')", name="kind"),
    )


class AnalysisRow(Base):
    """Where the analysis of one instance by one model set lies."""

    __tablename__ = "analysis"

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"))
    model_set: Mapped[str] = mapped_column(String(64))
    """Digest of the model set."""
    models: Mapped[dict[str, Any]]
    """Name and digest by role."""
    phantom: Mapped[bool]
    """Whether networks for phantoms made it, or untrained ones of before there were such: no patient's."""
    scores: Mapped[dict[str, Any]]
    """Score by label, so that a study can be read without its files."""
    reconstruction_error: Mapped[float]
    path: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    purged_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("instance_id", "model_set"),)


class ShadowRow(Base):
    """What a second classifier said of one image, which goes nowhere (`jobs.shadow`)."""

    __tablename__ = "shadow"

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instance.id"))
    classifier: Mapped[str] = mapped_column(String(64))
    """Its name."""
    weights: Mapped[str] = mapped_column(String(64))
    """Digest of its tensors."""
    scores: Mapped[dict[str, Any] | None]
    """By label; NULL with an error, and of an image that is begun or was in hand when the process ended."""
    error: Mapped[Reason | None]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("instance_id", "classifier", "weights"),)


class ResultRow(Base):
    """One object that the node made."""

    __tablename__ = "result"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    variant: Mapped[str] = mapped_column(String(64), default="")
    """Of the kind (`result_kinds.variant`); a destination gets those of its own style."""
    revision: Mapped[int]
    """The newest revision of the study that says it: of an unchanged result it moves on."""
    sop_class_uid: Mapped[str] = mapped_column(String(64))
    sop_instance_uid: Mapped[str] = mapped_column(String(64), unique=True)
    series_instance_uid: Mapped[str] = mapped_column(String(64))
    model_set: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int]
    path: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    purged_at: Mapped[datetime | None]


class Delivery(Base):
    """One result to one destination: the outbox."""

    __tablename__ = "delivery"

    id: Mapped[int] = mapped_column(primary_key=True)
    result_id: Mapped[int] = mapped_column(ForeignKey("result.id"))
    destination: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(16), default=DeliveryState.WAITING)
    status: Mapped[str | None] = mapped_column(String(8))
    """The peer's last DIMSE status, e.g. ``0x0000``."""
    error: Mapped[Reason | None]
    updated_at: Mapped[datetime]
    asked_at: Mapped[datetime | None]
    """When the peer was last asked to commit to it; empty when it was sent after that."""

    __table_args__ = (UniqueConstraint("result_id", "destination"),)


class Commitment(Base):
    """One request for storage commitment: what makes its answer, whenever it comes, an answer to us."""

    __tablename__ = "commitment"

    transaction_uid: Mapped[str] = mapped_column(String(64), primary_key=True)
    destination: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]


class AuditEvent(Base):
    """One thing that happened. Rows are only ever added; each holds the hash of the one before."""

    __tablename__ = "audit_event"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """1, 2, 3 ... without a gap."""
    at: Mapped[str] = mapped_column(String(32))
    event: Mapped[str] = mapped_column(String(48), index=True)
    study_instance_uid: Mapped[str | None] = mapped_column(String(64), index=True)
    sop_instance_uid: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[str]
    """Canonical JSON, kept as text because it is hashed."""
    hash: Mapped[str] = mapped_column(String(64))


class AuditHead(Base):
    """The chain's newest event and its beginning, one row: what makes a row missing there noticeable."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))
    removed: Mapped[int] = mapped_column(default=0)
    removed_hash: Mapped[str] = mapped_column(String(64), default="0" * 64)
    """Number and hash of the newest event that retention removed (`trail.forget`), 0 for none."""


class AlertPlace(Base):
    """How far the trail was looked at for an alert, one row each."""

    __tablename__ = "alert_place"

    alert: Mapped[str] = mapped_column(String(64), primary_key=True)
    event: Mapped[int]
    """The last event that was looked at."""
    told_at: Mapped[datetime | None] = mapped_column(UtcText)
    """When the newest message was made; of a digest, when it was looked at last."""


class AlertMessage(Base):
    """What an alert has to tell and has not told yet; a row that is gone was sent or given up, as the trail
    says."""

    __tablename__ = "alert_message"

    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    alert: Mapped[str] = mapped_column(String(64), index=True)
    notes: Mapped[str]
    """JSON, as ``alerts.notes`` writes and reads it; without patient data but UIDs."""
    made_at: Mapped[datetime] = mapped_column(UtcText)
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime] = mapped_column(UtcText)


class AuditSent(Base):
    """How far the trail was sent to an audit repository, one row each; another one gets the whole trail."""

    __tablename__ = "audit_sent"

    repository: Mapped[str] = mapped_column(String(300), primary_key=True)
    event: Mapped[int]
    """The last event that it has, or that there is no message for."""
