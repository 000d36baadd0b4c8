"""What a person asks for once more: a study's results sent again, or its images analysed again.

Each function runs in the caller's transaction and writes its audit event there; who asked, `trail.asked_by`
adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from xrv_node.db import progress, queue, trail
from xrv_node.db.rows import QueuedResult
from xrv_node.db.tables import (
    AnalysisRow,
    Delivery,
    DeliveryState,
    Instance,
    InstanceState,
    Job,
    JobState,
    ResultRow,
    Study,
    StudyState,
)
from xrv_node.errors import ConfigError, XrvNodeError
from xrv_node.phantom.recognition import NOT_A_PHANTOM
from xrv_node.reasons import Reason
from xrv_node.result_kinds import KINDS, variant
from xrv_node.settings import Settings
from xrv_node.settings.destinations import DestinationSection
from xrv_node.spool import Spool


def receivers(settings: Settings, to: str | None = None) -> tuple[DestinationSection, ...]:
    """To which destinations results are sent again: one, or all, but for those to which nothing leaves.

    Raises
    ------
    ConfigError
        There is none of that name, or nothing leaves for any of them.
    """
    named = settings.destinations if to is None else (settings.destination(to),)
    found = tuple(one for one in named if not settings.keeps_back(one))
    if named and not found:
        names = ", ".join(one.name for one in named)
        raise ConfigError(
            f"nothing leaves for {names}: [node] silent, or active = false; change that, then send"
        )
    return found


def resend(
    db: Session,
    spool: Spool,
    study_instance_uid: str,
    destinations: Sequence[DestinationSection],
    *,
    kind: str | None = None,
    anew: bool = False,
) -> list[QueuedResult]:
    """Queue the newest results of a study for delivery again, those that have arrived too.

    They are the same objects under the same UIDs: a peer that has them notes or ignores them.

    Parameters
    ----------
    destinations
        To which; those that were never to get a result are left out.
    kind
        Only results of this kind.
    anew
        Send also what a destination takes and did not get before, for one that was configured since.

    Returns
    -------
    list of QueuedResult
        What was queued; what still waits is not queued twice.

    Raises
    ------
    XrvNodeError
        For an unknown study or kind, and where there is nothing to send.
    """
    if kind is not None and kind not in KINDS:
        raise XrvNodeError(f'result kind "{kind}" is not known: use {", ".join(KINDS)}')
    study = _study(db, study_instance_uid)
    rows = db.scalars(select(ResultRow).where(ResultRow.study_id == study.id).order_by(ResultRow.id)).all()
    newest = max((row.revision for row in rows), default=0)
    chosen = [row for row in rows if row.revision == newest and kind in (None, row.kind)]
    if not chosen:
        raise XrvNodeError(
            f"study {study_instance_uid} has no {kind or 'result'} to send: `xrv-node studies show` tells why"
        )
    if any(row.purged_at or not spool.absolute(row.path).is_file() for row in chosen):
        raise XrvNodeError(
            f"the results of study {study_instance_uid} are no longer here ([retention] results_days); "
            "ask a destination that has them"
        )
    pairs = [(row, d) for row in chosen for d in destinations]
    owed = [(row, d, _owed(db, row, d, anew=anew)) for row, d in pairs]
    if not any(delivery for _, _, delivery in owed):
        raise XrvNodeError(
            f"no result of study {study_instance_uid} went to {', '.join(d.name for d in destinations)}; "
            "name the destination with --to to send it what it takes"
        )
    queued: list[QueuedResult] = [
        {"instance": row.sop_instance_uid, "kind": row.kind, "destination": d.name}
        for row, d, delivery in owed
        if delivery is not None and _send(db, study, delivery)
    ]
    trail.record(db, "study.resent", study=study_instance_uid, revision=newest, deliveries=queued)
    return queued


def reprocess(db: Session, spool: Spool, study_instance_uid: str) -> int:
    """Queue the analyses of a study again, and a new report after them.

    The worker analyses by the models that it has now. Where its answer is that of before, the results are
    those of before, and nothing is sent.

    Returns
    -------
    int
        How many images are queued.

    Raises
    ------
    XrvNodeError
        For an unknown study, and one of which a received object is no longer here.
    """
    study = _study(db, study_instance_uid)
    images = db.scalars(select(Instance).where(Instance.study_id == study.id).order_by(Instance.id)).all()
    gone = sum(bool(i.purged_at) or not spool.absolute(i.path).is_file() for i in images)
    if gone:
        raise XrvNodeError(
            f"{gone} of {len(images)} objects of study {study_instance_uid} are no longer here ([retention] "
            "inputs_days): have them sent again, then reprocess"
        )
    due = [i for i in images if i.state in (InstanceState.ANALYSED, InstanceState.FAILED) or _waits(i)]
    for image in due:
        _drop(db, Job.instance_id == image.id, Job.kind == "analyse")
        progress.analyse_again(db, image)
    _drop(db, Job.study_id == study.id, Job.kind == "report")
    progress.report_anew(study)
    uids = [image.sop_instance_uid for image in due]
    trail.record(db, "study.reprocessed", study=study_instance_uid, revision=study.revision, images=uids)
    progress.report_when_ready(db, study)
    return len(due)


def _waits(image: Instance) -> bool:
    """Whether an image was left out for want of weights for patients."""
    return any(reason.key == NOT_A_PHANTOM.key for reason in image.reasons)


def choose(
    db: Session, *, failed: bool = False, since: datetime | None = None, not_by: str | None = None
) -> list[str]:
    """Return the Study Instance UIDs of the studies to reprocess, in the order in which they came.

    Parameters
    ----------
    failed
        Only studies whose report failed, or the analysis of one of whose images.
    since
        Only studies to which an object came at that time or later.
    not_by
        Digest of a model set: only studies with an image that was analysed, and not by it.
    """
    query = select(Study.study_instance_uid).order_by(Study.id)
    if failed:
        of_image = select(Instance.study_id).where(Instance.state == InstanceState.FAILED)
        query = query.where(or_(Study.state == StudyState.FAILED, Study.id.in_(of_image)))
    if since is not None:
        query = query.where(Study.received_at >= since)
    if not_by is not None:
        by_it = select(AnalysisRow.instance_id).where(AnalysisRow.model_set == not_by)
        older = select(Instance.study_id).where(
            Instance.state == InstanceState.ANALYSED, Instance.id.not_in(by_it)
        )
        query = query.where(Study.id.in_(older))
    return list(db.scalars(query))


def unfinished(db: Session, study_instance_uids: Sequence[str]) -> set[str]:
    """Return those of these studies whose report is still to come."""
    on_the_way = select(Study.study_instance_uid).where(Study.state.in_((StudyState.OPEN, StudyState.CLOSED)))
    return set(db.scalars(on_the_way)) & set(study_instance_uids)


def made(db: Session, study_instance_uid: str) -> tuple[str, int]:
    """Return a study's state, and how many results it has had."""
    study = _study(db, study_instance_uid)
    count = select(func.count()).select_from(ResultRow).where(ResultRow.study_id == study.id)
    return study.state, db.scalar(count) or 0


def _study(db: Session, study_instance_uid: str) -> Study:
    query = select(Study).where(Study.study_instance_uid == study_instance_uid).with_for_update()
    found = db.scalars(query).one_or_none()
    if found is None:
        raise XrvNodeError(f"no study {study_instance_uid} came here; `xrv-node studies list` shows them")
    return found


def _owed(db: Session, row: ResultRow, destination: DestinationSection, *, anew: bool) -> Delivery | None:
    """The delivery of a result to a destination; a new one where it is due `anew`."""
    to = select(Delivery).where(Delivery.result_id == row.id, Delivery.destination == destination.name)
    found = db.scalars(to).one_or_none()
    takes = row.kind in destination.send and row.variant == variant(row.kind, destination.style)
    if found is None and anew and takes:
        found = Delivery(
            result_id=row.id,
            destination=destination.name,
            state=DeliveryState.WAITING,
            updated_at=datetime.now(UTC),
        )
        db.add(found)
        db.flush()
    return found


def _send(db: Session, study: Study, delivery: Delivery) -> bool:
    """Queue a delivery; False where it still waits."""
    jobs = db.scalars(select(Job).where(Job.delivery_id == delivery.id).order_by(Job.id)).all()
    if any(job.state in progress.ACTIVE for job in jobs):
        return False
    _drop(db, Job.delivery_id == delivery.id)
    delivery.state, delivery.error = DeliveryState.WAITING, None
    delivery.updated_at, delivery.asked_at = datetime.now(UTC), None
    queue.enqueue(db, "deliver", study=study.id, delivery=delivery.id)
    return True


def _drop(db: Session, *which: Any) -> None:
    """Cancel jobs that a new one stands in for; one that runs ends by itself."""
    waiting = select(Job).where(*which, Job.state.in_((JobState.QUEUED, JobState.PARKED)))
    for job in db.scalars(waiting.with_for_update()):
        queue.close(job, JobState.CANCELLED, Reason("asked-again"))
