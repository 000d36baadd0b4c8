"""What is written of a received object: its row, its study's, its job and its audit event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydicom import Dataset
from sqlalchemy import bindparam, insert, literal, select, union_all, update
from sqlalchemy.orm import Session

from xrv_node.attributes import text
from xrv_node.audit import trail
from xrv_node.audit.tables import Instance, InstanceState, ResultRow, Study, StudyState
from xrv_node.jobs import progress, queue
from xrv_node.receive.spool import Spool
from xrv_node.values import FrontalDecision, Verdict

Outcome = Literal["stored", "duplicate", "conflict", "own result"]

_CONFLICT = FrontalDecision(
    Verdict.NOT_SUITABLE,
    None,
    ("another object with the same SOP Instance UID came before, with other content",),
)

_KNOWN = union_all(
    select(literal("own result"))
    .select_from(ResultRow)
    .where(ResultRow.sop_instance_uid == bindparam("uid")),
    select(Instance.sha256).where(Instance.sop_instance_uid == bindparam("uid")),
)
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

    outcome: Outcome
    study_instance_uid: str
    decision: FrontalDecision | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """An object that is whole and on disk, and not yet on record."""

    incoming: Incoming
    header: Dataset
    sha256: str
    size: int
    decision: FrontalDecision

    @property
    def study(self) -> str:
        """Study Instance UID."""
        return text(self.header, "StudyInstanceUID")


def seen(db: Session, received: Received) -> Outcome | None:
    """Whether this object is known already: byte for byte, or with other content."""
    uid = {"uid": received.incoming.sop_instance_uid}
    digests = db.connection().execute(_KNOWN, uid).scalars().all()
    if "own result" in digests:
        return "own result"
    if received.sha256 in digests:
        return "duplicate"
    return "conflict" if digests else None


def record(db: Session, spool: Spool, received: Received, path: Path, *, undecided: bool) -> Accepted:
    """Write the object's row and what follows from it; `undecided`: queue it though its view is unknown.

    It runs under the write lock: another association may be bringing the same object. It goes past the
    session's unit of work, whose processor time every object would pay.
    """
    incoming, known = received.incoming, seen(db, received)
    common = {
        "study": received.study,
        "instance": incoming.sop_instance_uid,
        "calling_ae": incoming.calling_ae,
    }
    if known == "own result":
        path.unlink(missing_ok=True)
        trail.record(db, "instance.own_result", **common)
        return Accepted(known, received.study)
    if known == "duplicate":
        trail.record(db, "instance.duplicate", **common)
        return Accepted(known, received.study)
    decision = _CONFLICT if known == "conflict" else received.decision
    analyse = decision.verdict == Verdict.FRONTAL or (undecided and decision.verdict == Verdict.UNKNOWN)
    now = datetime.now(UTC)
    study = _study(db, received.study, now)
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
        "series_instance_uid": text(received.header, "SeriesInstanceUID"),
        "transfer_syntax_uid": incoming.transfer_syntax_uid,
        "modality": text(received.header, "Modality")[:16],
        "sha256": received.sha256,
        "size": received.size,
        "path": spool.relative(path),
        "calling_ae": incoming.calling_ae,
        "received_at": now,
        "state": InstanceState.QUEUED if analyse else InstanceState.SKIPPED,
    }
    row = db.connection().execute(insert(Instance).returning(Instance.id), fields | judged).scalar_one()
    event = "instance.conflict" if known else "instance.received"
    trail.record(db, event, **common, **judged, sha256=received.sha256, analyse=analyse)
    if analyse:
        queue.enqueue(db, "analyse", study=study, instance=row)
    return Accepted(known or "stored", received.study, decision)


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
