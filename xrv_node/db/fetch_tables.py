"""The tables of what is asked for of archives. No patient data here either."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from xrv_node.db.tables import Base, JobState
from xrv_node.reasons import Reason


class FetchedState(StrEnum):
    """What became of one study that an archive was asked for."""

    WAITING = "waiting"
    DONE = "done"
    """All that was wanted of it is here."""
    MISSING = "missing"
    """The archive has no such study."""
    FAILED = "failed"
    """Something of it was refused, or did not come."""


class Fetch(Base):
    """One request for studies of an archive: a job that is of no study yet. What was asked for, which may be
    a patient's, is in a file beside the database until the archive has named the studies (`fetch.keys`)."""

    __tablename__ = "fetch"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    archive: Mapped[str] = mapped_column(String(64))
    """Its name."""
    state: Mapped[str] = mapped_column(String(16), default=JobState.QUEUED)
    all_series: Mapped[bool]
    """Whether also what the node does not analyse is wanted."""
    asked: Mapped[int]
    """How many things were asked for: studies, accessions, patients."""
    looked_up: Mapped[int] = mapped_column(default=0)
    """For how many of them the studies are known."""
    unmatched: Mapped[list[Any]] = mapped_column(default=list)
    """The numbers of those that no study was found for, from 1."""
    attempts: Mapped[int] = mapped_column(default=0)
    """Since something came last."""
    not_before: Mapped[datetime]
    lease: Mapped[str | None] = mapped_column(String(36))
    owner: Mapped[str | None] = mapped_column(String(128))
    lease_until: Mapped[datetime | None]
    """As a job's."""
    error: Mapped[Reason | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (Index(None, "state", "not_before"),)


class FetchStudy(Base):
    """One study of a fetch."""

    __tablename__ = "fetch_study"

    id: Mapped[int] = mapped_column(primary_key=True)
    fetch_id: Mapped[str] = mapped_column(ForeignKey("fetch.id"))
    study_instance_uid: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), default=FetchedState.WAITING)
    objects: Mapped[int] = mapped_column(default=0)
    """How many are wanted, once the archive has told."""
    present: Mapped[int] = mapped_column(default=0)
    """Of these, how many were here already."""
    fetched: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    error: Mapped[Reason | None]
    """Of the last that failed."""

    __table_args__ = (UniqueConstraint("fetch_id", "study_instance_uid"),)
