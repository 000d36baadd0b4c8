"""What is written of a received object: its row, its study's, its job and its audit event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import bindparam, insert, literal, select, union_all, update
from sqlalchemy.orm import Session

from xrv_node.db import progress, queue, trail
from xrv_node.db.tables import AnalysisRow, Instance, InstanceState, ResultRow, Study, StudyState
from xrv_node.reasons import Reason
from xrv_node.receive.header_facts import Facts
from xrv_node.spool import Spool
from xrv_node.values import SHARED_UID, WITHHELD_FOR_UID, FrontalDecision, Verdict

Reception = Literal["stored", "duplicate", "conflict", "own result"]


_KNOWN = union_all(
    select(literal("own result"))
    .select_from(ResultRow)
    .where(ResultRow.sop_instance_uid == bindparam("uid")),
    select(Instance.sha256).where(Instance.sop_instance_uid == bindparam("uid")),
)
_ADD = insert(Instance).returning(Instance.id)
_TOUCH = (
    update(Study)
    .where(Study.study_instance_uid == bindparam("uid"))
    .values(received_at=bindparam("now"))
    .returning(Study.id, Study.state)
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """An object as the network hands it over."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str
    data: Iterable[bytes | memoryview]
    """The encoded dataset, without preamble and file meta information, in pieces; read once and not held."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of it."""

    outcome: Reception
    study_instance_uid: str
    series_instance_uid: str
    decision: FrontalDecision | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """An object that is whole and on disk, and not yet on record."""

    incoming: Incoming
    facts: Facts
    sha256: str
    size: int
    digests: Mapping[str, str]
    """Of accession, patient and station, by column."""
    priority: int
    """The level that it gives its study."""

    @property
    def study(self) -> str:
        """Study Instance UID."""
        return self.facts.study


def seen(db: Session, received: Received) -> Reception | None:
    """Whether this object is known already: byte for byte, or with other content; or is a result."""
    uid = {"uid": received.incoming.sop_instance_uid}
    digests = db.connection().execute(_KNOWN, uid).scalars().all()
    if "own result" in digests or received.facts.is_result:
        return "own result"
    if received.sha256 in digests:
        return "duplicate"
    return "conflict" if digests else None


def record(db: Session, spool: Spool, received: Received, path: Path, *, undecided: bool) -> Accepted:
    """Write the object's row and what follows from it; `undecided`: queue it though its view is unknown.

    It runs under the write lock: another association may be bringing the same object. It goes past the
    session's unit of work, whose processor time every object would pay.
    """
    known = seen(db, received)
    if known == "own result":
        path.unlink(missing_ok=True)
        trail.record(db, "instance.own_result", **_named(received))
        return Accepted(known, received.study, received.facts.series)
    if known == "duplicate":
        if (purged := _purged(db, received)) is not None:
            return _again(db, purged, received, path)
        trail.record(db, "instance.duplicate", **_named(received))
        return Accepted(known, received.study, received.facts.series)
    return _new(db, spool, received, path, known, undecided=undecided)


def _named(received: Received) -> dict[str, str]:
    incoming = received.incoming
    return {
        "study": received.study,
        "instance": incoming.sop_instance_uid,
        "calling_ae": incoming.calling_ae,
    }


def _new(
    db: Session,
    spool: Spool,
    received: Received,
    path: Path,
    known: Reception | None,
    *,
    undecided: bool,
) -> Accepted:
    """An object that did not come before in this form."""
    incoming = received.incoming
    decision = received.facts.decision
    sure = decision.verdict in (Verdict.FRONTAL, Verdict.PHANTOM)  # of this one the pixels have the last word
    analyse = sure or (undecided and decision.verdict == Verdict.UNKNOWN)
    if known == "conflict":
        decision, analyse = _beside_another(db, received, analyse=analyse)
    now = datetime.now(UTC)
    study = _study(db, received.study, now)
    progress.prioritise(db, study, received.priority)
    judged: dict[str, Any] = {
        "verdict": decision.verdict,
        "view": decision.view,
        "reasons": list(decision.reasons),
        "evidence": [asdict(e) for e in decision.evidence],
    }
    fields = {
        "study_id": study,
        "sop_instance_uid": incoming.sop_instance_uid,
        "sop_class_uid": incoming.sop_class_uid,
        "series_instance_uid": received.facts.series,
        "transfer_syntax_uid": incoming.transfer_syntax_uid,
        "modality": received.facts.modality,
        "sha256": received.sha256,
        "size": received.size,
        "path": spool.relative(path),
        "calling_ae": incoming.calling_ae[:16],  # of one that is escaped the trail has the whole
        "received_at": now,
        "state": InstanceState.QUEUED if analyse else InstanceState.SKIPPED,
    }
    row = db.connection().execute(_ADD, {**fields, **judged, **received.digests}).scalar_one()
    event = "instance.conflict" if known else "instance.received"
    trail.record(db, event, **_named(received), **judged, sha256=received.sha256, analyse=analyse)
    if analyse:
        queue.enqueue(db, "analyse", study=study, instance=row)
    return Accepted(known or "stored", received.study, received.facts.series, decision)


def _beside_another(db: Session, received: Received, *, analyse: bool) -> tuple[FrontalDecision, bool]:
    """Decide on an object whose SOP Instance UID another one has, with other content. The first image of a
    UID is analysed and no other: of two with results nobody could tell which one they are about."""
    if not analyse:
        return FrontalDecision(Verdict.NOT_SUITABLE, None, (Reason(SHARED_UID),)), False
    same = Instance.sop_instance_uid == received.incoming.sop_instance_uid
    images = select(Instance.id).where(same, Instance.state != InstanceState.SKIPPED)
    if db.scalar(images.limit(1)) is not None:
        return FrontalDecision(Verdict.NOT_SUITABLE, None, (Reason(WITHHELD_FOR_UID),)), False
    own = received.facts.decision
    return replace(own, reasons=(*own.reasons, Reason(SHARED_UID))), True


def _purged(db: Session, received: Received) -> Instance | None:
    """The row of an object that was purged, under its lock."""
    uid = received.incoming.sop_instance_uid
    return db.scalars(
        select(Instance)
        .where(Instance.sop_instance_uid == uid, Instance.sha256 == received.sha256)
        .where(Instance.purged_at.is_not(None))
        .with_for_update()
    ).one_or_none()


def _again(db: Session, row: Instance, received: Received, path: Path) -> Accepted:
    """An object comes again after it was purged: it is kept again. It is analysed, and its study reported,
    only if what was made of it is gone too, or was never made.

    Raises
    ------
    FileNotFoundError
        When the purge has removed the new file with the old: the sender tries again.
    """
    path.stat()
    analysis = select(AnalysisRow.id).where(
        AnalysisRow.instance_id == row.id, AnalysisRow.purged_at.is_(None)
    )
    analyse = row.state == InstanceState.FAILED or (
        row.state == InstanceState.ANALYSED and db.scalar(analysis.limit(1)) is None
    )
    row.purged_at, row.received_at = None, datetime.now(UTC)
    row.calling_ae = received.incoming.calling_ae[:16]
    if analyse:
        _study(db, received.study, row.received_at)  # open again
        progress.analyse_again(db, row)
    else:
        db.connection().execute(_TOUCH, {"uid": received.study, "now": row.received_at})
    trail.record(
        db,
        "instance.received",
        study=received.study,
        instance=row.sop_instance_uid,
        calling_ae=row.calling_ae,
        verdict=row.verdict,
        sha256=row.sha256,
        analyse=analyse,
        after_purge=True,
    )
    return Accepted("stored", received.study, received.facts.series, received.facts.decision)


def _study(db: Session, uid: str, now: datetime) -> int:
    """The id of the study, open: new, or opened again by a late image."""
    connection = db.connection()
    found = connection.execute(_TOUCH, {"uid": uid, "now": now}).one_or_none()
    if found is None:
        fields = {"study_instance_uid": uid, "received_at": now}
        return int(connection.execute(insert(Study).returning(Study.id), fields).scalar_one())
    if found.state != StudyState.OPEN:
        progress.reopen(db, db.get_one(Study, found.id))
        db.flush()
    return int(found.id)
