"""One received object: check it, keep it, decide about it, record it. Both DIMSE and the web come here."""

from __future__ import annotations

import errno
import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import sqlalchemy.exc
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom.dsutils import create_file_meta
from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, durable, frontal
from xrv_node.attributes import text
from xrv_node.audit import trail
from xrv_node.audit.store import Store
from xrv_node.audit.tables import Instance, InstanceState, ResultRow, Study, StudyState
from xrv_node.errors import ImageError, RefusedError
from xrv_node.jobs import progress, queue
from xrv_node.radiograph.header import read_header
from xrv_node.receive.spool import Spool, is_uid
from xrv_node.settings import FrontalSection
from xrv_node.values import FrontalDecision, Verdict

OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
"""Failure statuses of the Storage Service Class (PS3.4 table B.2-1)."""

Outcome = Literal["stored", "duplicate", "conflict", "own result"]


@dataclass(frozen=True, slots=True)
class Incoming:
    """An object as the network hands it over."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str
    data: bytes
    """The encoded dataset, without preamble and file meta information."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of it."""

    outcome: Outcome
    study_instance_uid: str
    decision: FrontalDecision | None = None


def accept(
    store: Store,
    spool: Spool,
    rules: FrontalSection,
    incoming: Incoming,
    *,
    views_from_pixels: bool = False,
) -> Accepted:
    """Take one object: when this returns, its bytes and its row are on disk.

    Parameters
    ----------
    views_from_pixels
        Whether the worker can tell a view that the header leaves open: such images are queued for it.

    Raises
    ------
    RefusedError
        With the DIMSE status to answer: 0xA700 no room, 0xA900 the object is not what the request says,
        0xC000 it cannot be understood. Nothing of it is kept.
    """
    _check_uids(SOPClassUID=incoming.sop_class_uid, SOPInstanceUID=incoming.sop_instance_uid)
    with _no_room():
        draft = durable.draft(spool.drafts, (_part10_prefix(incoming), incoming.data))
        try:
            header = _header(draft, incoming)
            sha256 = hashlib.sha256(incoming.data).hexdigest()
            target = spool.input(text(header, "StudyInstanceUID"), incoming.sop_instance_uid, sha256)
            with store.begin() as db:
                # Under the write lock: another association may be bringing the same object.
                if outcome := _seen(db, incoming.sop_instance_uid, sha256):
                    if outcome == "duplicate" and not target.is_file():
                        durable.keep(draft, target)  # somebody removed it: here it is again
                    return _again(db, header, incoming, outcome)
                durable.keep(draft, target)
                undecided = views_from_pixels or rules.unknown == "analyse"
                try:
                    return _record(db, spool, rules, header, incoming, sha256, target, undecided=undecided)
                except BaseException:
                    target.unlink()
                    raise
        finally:
            draft.unlink(missing_ok=True)


def refused(store: Store, incoming: Incoming, error: RefusedError) -> None:
    """Put a refusal on record; UIDs are kept only where they are UIDs."""
    uid = incoming.sop_instance_uid
    with store.begin() as db:
        trail.record(
            db,
            "instance.refused",
            instance=uid if is_uid(uid) else None,
            status=f"0x{error.status:04X}",
            why=str(error),
            calling_ae=incoming.calling_ae,
            bytes=len(incoming.data),
        )


def _check_uids(**uids: str) -> None:
    for keyword, uid in uids.items():
        if not is_uid(uid):
            raise RefusedError(CANNOT_UNDERSTAND, f"{keyword} is not a UID (digits and dots, 64 at most)")


def _part10_prefix(incoming: Incoming) -> bytes:
    """Preamble and file meta information (PS3.10 7.1), as the association negotiated them."""
    buffer = DicomBytesIO()
    meta = create_file_meta(
        sop_class_uid=UID(incoming.sop_class_uid),
        sop_instance_uid=UID(incoming.sop_instance_uid),
        transfer_syntax=UID(incoming.transfer_syntax_uid),
    )
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    meta.SourceApplicationEntityTitle = incoming.calling_ae
    write_file_meta_info(buffer, meta)
    return b"\x00" * 128 + b"DICM" + buffer.getvalue()


def _header(path: Path, incoming: Incoming) -> Dataset:
    try:
        header = read_header(path)
    except ImageError as error:
        raise RefusedError(CANNOT_UNDERSTAND, str(error)) from error
    for keyword, wanted in (
        ("SOPClassUID", incoming.sop_class_uid),
        ("SOPInstanceUID", incoming.sop_instance_uid),
    ):
        found = text(header, keyword)
        if found != wanted:
            raise RefusedError(DOES_NOT_MATCH, f"{keyword} of the object is not the one of the request")
    _check_uids(**{k: text(header, k) for k in ("StudyInstanceUID", "SeriesInstanceUID")})
    return header


def _seen(db: Session, sop_instance_uid: str, sha256: str) -> Outcome | None:
    """Whether this object, byte for byte, is known already."""
    if db.scalar(select(ResultRow.id).where(ResultRow.sop_instance_uid == sop_instance_uid)):
        return "own result"
    same = select(Instance.id).where(Instance.sop_instance_uid == sop_instance_uid, Instance.sha256 == sha256)
    return "duplicate" if db.scalar(same) else None


def _again(db: Session, header: Dataset, incoming: Incoming, outcome: Outcome) -> Accepted:
    study = text(header, "StudyInstanceUID")
    event = "instance.duplicate" if outcome == "duplicate" else "instance.own_result"
    trail.record(db, event, study=study, instance=incoming.sop_instance_uid, calling_ae=incoming.calling_ae)
    return Accepted(outcome, study)


def _record(
    db: Session,
    spool: Spool,
    rules: FrontalSection,
    header: Dataset,
    incoming: Incoming,
    sha256: str,
    path: Path,
    *,
    undecided: bool,
) -> Accepted:
    """Write the object's row and what follows from it; `undecided`: queue it though its view is unknown."""
    now = datetime.now(UTC)
    conflict = bool(
        db.scalar(select(Instance.id).where(Instance.sop_instance_uid == incoming.sop_instance_uid).limit(1))
    )
    decision = (
        FrontalDecision(
            Verdict.NOT_SUITABLE,
            None,
            ("another object with the same SOP Instance UID came before, with other content",),
        )
        if conflict
        else frontal.decide(header, min_age_years=rules.min_age_years)
    )
    analyse = decision.verdict == Verdict.FRONTAL or (undecided and decision.verdict == Verdict.UNKNOWN)
    study = _study(db, text(header, "StudyInstanceUID"), now)
    instance = Instance(
        study_id=study.id,
        sop_instance_uid=incoming.sop_instance_uid,
        sop_class_uid=incoming.sop_class_uid,
        series_instance_uid=text(header, "SeriesInstanceUID"),
        transfer_syntax_uid=incoming.transfer_syntax_uid,
        modality=text(header, "Modality")[:16],
        sha256=sha256,
        size=path.stat().st_size,
        path=spool.relative(path),
        calling_ae=incoming.calling_ae,
        received_at=now,
        state=InstanceState.QUEUED if analyse else InstanceState.SKIPPED,
        verdict=decision.verdict,
        view=decision.view,
        reasons=list(decision.reasons),
        evidence=[asdict(e) for e in decision.evidence],
    )
    db.add(instance)
    db.flush()
    trail.record(
        db,
        "instance.conflict" if conflict else "instance.received",
        study=study.study_instance_uid,
        instance=instance.sop_instance_uid,
        calling_ae=incoming.calling_ae,
        sha256=sha256,
        verdict=decision.verdict,
        view=decision.view,
        reasons=instance.reasons,
        evidence=instance.evidence,
        analyse=analyse,
    )
    if analyse:
        queue.enqueue(db, "analyse", study=study.id, instance=instance.id)
    return Accepted("conflict" if conflict else "stored", study.study_instance_uid, decision)


def _study(db: Session, uid: str, now: datetime) -> Study:
    """The study's row, open: new, or opened again by a late image."""
    study = db.scalars(select(Study).where(Study.study_instance_uid == uid).with_for_update()).one_or_none()
    if study is None:
        study = Study(study_instance_uid=uid, state=StudyState.OPEN, revision=0, received_at=now)
        db.add(study)
        db.flush()
    elif study.state != StudyState.OPEN:
        progress.reopen(db, study)
    study.received_at = now
    return study


@contextmanager
def _no_room() -> Iterator[None]:
    """Turn "the disk is full", of the spool or the database, into 0xA700: the sender keeps it and retries."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise RefusedError(OUT_OF_RESOURCES, "the disk of node.data_dir is full") from error
    except sqlalchemy.exc.OperationalError as error:
        if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
            raise
        raise RefusedError(OUT_OF_RESOURCES, "the disk of the database is full") from error
