"""Where what an archive gives is taken, as the receiver takes it; and what is here already."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node import keyed
from xrv_node.db.tables import AuditEvent, Instance, ResultRow, Study
from xrv_node.errors import RefusedError, XrvNodeError
from xrv_node.reasons import Reason
from xrv_node.receive import taking
from xrv_node.receive.instance_rows import Incoming
from xrv_node.receive.receiver import Receiver
from xrv_node.receive.statuses import DOES_NOT_MATCH, OUT_OF_RESOURCES, SUCCESS
from xrv_node.receive.taking import Taken

_BATCH = 500
"""Below the 999 parameters that a statement of an old SQLite takes."""


class NoRoomError(XrvNodeError):
    """Nothing can be taken at present, whatever it is."""


@dataclass(frozen=True, slots=True)
class Image:
    """An object that is wanted."""

    study: str
    """Study Instance UID."""
    series: str
    """Series Instance UID."""
    instance: str
    """SOP Instance UID."""
    sop_class: str
    """Empty where the archive does not tell."""
    patient_id: str
    """As the archive tells it of the study; what comes must have it. Empty where it does not."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Takes what comes from one archive."""

    receiver: Receiver
    """With its limits."""
    address: str
    """The archive's host, for the record."""

    def take(self, image: Image, incoming: Incoming) -> Taken:
        """Take an object, if it is the one that was asked for."""
        if incoming.sop_instance_uid != image.instance:
            other = RefusedError(DOES_NOT_MATCH, Reason("not-of-the-request", attribute="SOPInstanceUID"))
            return taking.refused(self.receiver, incoming, other, self.address)
        patient_id = image.patient_id or None
        return taking.take(self.receiver, incoming, self.address, study=image.study, patient_id=patient_id)

    def amiss(self, image: Image, archive: Reason | str) -> Reason | None:
        """What is wrong with an object that came by way of the receiver."""
        patient = keyed.attribute(self.receiver.spool.root, "patient_id", image.patient_id)
        with self.receiver.store.read() as db:
            row = db.execute(
                select(Study.study_instance_uid, Instance.patient_id)
                .join(Study, Study.id == Instance.study_id)
                .where(Instance.sop_instance_uid == image.instance, Instance.purged_at.is_(None))
                .limit(1)
            ).one_or_none()
            if row is None and not _came_back(db, image.instance):
                return Reason("archive-sent-nothing", archive=archive)
        if row is not None and row.study_instance_uid != image.study:
            return Reason("not-of-the-request", attribute="StudyInstanceUID")
        if row is not None and patient and row.patient_id != patient:
            return Reason("not-of-the-request", attribute="PatientID")
        return None


def outcome(taken: Taken) -> Reason | None:
    """Why an object is not taken; None where it is.

    Raises
    ------
    NoRoomError
        No other would be.
    """
    if taken.status == SUCCESS:
        return None
    why = taken.why or Reason("unexpected-error", error="intake")
    if taken.status == OUT_OF_RESOURCES:
        raise NoRoomError(why)
    return why


def here(db: Session, images: Collection[Image]) -> set[str]:
    """SOP Instance UIDs of those that need not be fetched: they are here, or are results of ours."""
    found: set[str] = set()
    wanted = [image.instance for image in images]
    for begin in range(0, len(wanted), _BATCH):
        uids = wanted[begin : begin + _BATCH]
        came = Instance.sop_instance_uid.in_(uids), Instance.purged_at.is_(None)
        found |= set(db.scalars(select(Instance.sop_instance_uid).where(*came)))
        made = ResultRow.sop_instance_uid.in_(uids)
        found |= set(db.scalars(select(ResultRow.sop_instance_uid).where(made)))
    return found


def _came_back(db: Session, instance: str) -> bool:
    """Whether it is a result, of this node or another: of such there is no row."""
    own = AuditEvent.event == "instance.own_result", AuditEvent.sop_instance_uid == instance
    return db.scalar(select(AuditEvent.id).where(*own).limit(1)) is not None
