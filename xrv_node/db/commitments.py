"""Storage commitment as its user (PS3.4 annex J): what is asked for, and what follows from the answers.

A C-STORE's Success says that an archive has received an object, its commitment that it will keep it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from pydicom import Dataset
from pydicom.uid import generate_uid
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from xrv_node.db import progress, queue, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Commitment, Delivery, DeliveryState, Job, ResultRow
from xrv_node.reasons import Reason

log = structlog.get_logger("deliver")

WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
"""Its one SOP instance."""
REQUEST = 1
"""Action Type ID of a request (PS3.4 table J.3-1)."""

SUCCESS, PROCESSING_FAILURE, INVALID_ARGUMENT = 0x0000, 0x0110, 0x0115
"""N-EVENT-REPORT statuses (PS3.7 10.1.1.1.8)."""

MOST = 200
"""Objects in one request."""
KEPT_ASKING = timedelta(days=7)
"""After an object was sent. Older ones are let be: an archive that has dropped one by its own rules must not
get it again."""

_STORED = (DeliveryState.DELIVERED, DeliveryState.WARNING)

# By Failure Reason (0008,1197) of an object (PS3.3 C.14.1.1): the key of our reason, and whether sending it
# again can change that.
_REASONS: dict[int, tuple[str, bool]] = {
    0x0110: ("peer-failed", True),
    0x0112: ("peer-lacks-it", True),
    0x0119: ("peer-has-other-class", False),
    0x0122: ("peer-does-not-commit-class", False),
    0x0131: ("peer-knows-transaction", True),
    0x0213: ("peer-has-no-room", True),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object whose commitment is due to be asked for."""

    delivery_id: int
    sop_class_uid: str
    sop_instance_uid: str


def due(db: Session, destination: str, wait: timedelta) -> list[Wanted]:
    """What a destination has stored and not been asked about, or asked and not answered in `wait`; the oldest
    first, at most `MOST`."""
    now = datetime.now(UTC)
    rows = db.execute(
        select(Delivery.id, ResultRow.sop_class_uid, ResultRow.sop_instance_uid)
        .join(ResultRow, ResultRow.id == Delivery.result_id)
        .where(
            Delivery.destination == destination,
            Delivery.state.in_(_STORED),
            Delivery.updated_at > now - KEPT_ASKING,
            or_(Delivery.asked_at.is_(None), Delivery.asked_at < now - wait),
        )
        .order_by(Delivery.id)
        .limit(MOST)
    )
    return [Wanted(*row) for row in rows]


def asked(store: Store, destination: str, wanted: Sequence[Wanted]) -> Dataset:
    """Put a request on record, before it is sent: its answer may come over another association at once.

    Returns
    -------
    Dataset
        The Action Information (PS3.4 table J.3-2) under a Transaction UID that is new and cannot be guessed.
    """
    request = Dataset()
    request.TransactionUID = generate_uid(prefix=None)
    request.ReferencedSOPSequence = [_reference(one) for one in wanted]
    now = datetime.now(UTC)
    with store.begin() as db:
        db.add(Commitment(transaction_uid=request.TransactionUID, destination=destination, asked_at=now))
        for one in wanted:
            db.get_one(Delivery, one.delivery_id).asked_at = now
        trail.record(
            db,
            "commitments.asked",
            destination=destination,
            transaction=request.TransactionUID,
            instances=len(wanted),
        )
    return request


def answered(store: Store, information: Dataset) -> int:
    """Record what a peer commits to; it comes over any association, once or more, early or late.

    Parameters
    ----------
    information
        The Event Information of an N-EVENT-REPORT (PS3.4 table J.3-4), whatever its Event Type: success and
        failure are told by its sequences.

    Returns
    -------
    int
        The status to answer with: 0x0000, or 0x0115 for a transaction that is not ours.
    """
    with store.begin() as db:
        asked_for = db.get(Commitment, str(information.get("TransactionUID", ""))[:64])
        if asked_for is None:
            log.warning("an answer on storage commitment to a question that was not asked")
            return INVALID_ARGUMENT
        where, transaction = asked_for.destination, asked_for.transaction_uid
        for item in information.get("ReferencedSOPSequence") or ():
            if found := _stored(db, where, item):
                found[0].state = DeliveryState.CONFIRMED
                _record(db, "result.confirmed", *found, transaction=transaction)
        for item in information.get("FailedSOPSequence") or ():
            if found := _stored(db, where, item):
                _not_committed(db, *found, transaction, int(item.get("FailureReason") or 0x0110))
    return SUCCESS


def _reference(one: Wanted) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = one.sop_class_uid
    item.ReferencedSOPInstanceUID = one.sop_instance_uid
    return item


def _stored(db: Session, destination: str, item: Dataset) -> tuple[Delivery, ResultRow] | None:
    """The delivery that an item is about, unless it was confirmed already or is on its way again."""
    row = db.execute(
        select(Delivery, ResultRow)
        .join(ResultRow, ResultRow.id == Delivery.result_id)
        .where(
            Delivery.destination == destination,
            Delivery.state.in_(_STORED),
            Delivery.asked_at.is_not(None),
            ResultRow.sop_instance_uid == str(item.get("ReferencedSOPInstanceUID", "")),
        )
    ).first()
    return None if row is None else (row[0], row[1])


def _not_committed(db: Session, delivery: Delivery, result: ResultRow, transaction: str, reason: int) -> None:
    """Send the object again after a pause, as often as any delivery; or give it up."""
    key, again = _REASONS.get(reason, ("peer-does-not-commit", True))
    why = Reason(key, status=f"0x{reason:04X}")
    _record(db, "result.not_committed", delivery, result, transaction=transaction, why=why)
    job = db.scalars(select(Job).where(Job.delivery_id == delivery.id).order_by(Job.id.desc())).first()
    delivery.error, delivery.asked_at = why, None
    if job is None:
        return
    if not again or job.attempts >= job.max_attempts:
        progress.park(db, job, why, rejected=not again)
    else:
        queue.postpone(job, why)
        delivery.state = DeliveryState.WAITING


def _record(db: Session, event: str, delivery: Delivery, result: ResultRow, **detail: str | Reason) -> None:
    study = progress.study_of(db, result.study_id)
    trail.record(
        db,
        event,
        study=study.study_instance_uid,
        instance=result.sop_instance_uid,
        kind=result.kind,
        destination=delivery.destination,
        **detail,
    )
