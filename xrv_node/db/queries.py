"""What the command line shows of the record: plain dictionaries, ready for a table or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from xrv_node.db import waiting
from xrv_node.db.rows import (
    EventRow,
    InstanceRow,
    JobHistory,
    JobRow,
    MadeRow,
    StudyProgress,
    StudyRow,
    StudyShown,
)
from xrv_node.db.tables import (
    AnalysisRow,
    AuditEvent,
    AuditHead,
    Delivery,
    DeliveryState,
    Instance,
    Job,
    JobState,
    ResultRow,
    Study,
)
from xrv_node.errors import QueueError, XrvNodeError
from xrv_node.reasons import Reason

Row = dict[str, Any]

_AT_ONCE = 1000
"""Values in one query; SQLite takes 32766."""


def jobs(
    db: Session, *, state: str | None = None, kind: str | None = None, limit: int | None = 100
) -> list[JobRow]:
    """Jobs, newest first."""
    few = state not in (
        None,
        JobState.DONE,
    )  # they are found by their state, not among all from the newest on
    query = _job_query().order_by((Job.id + 0 if few else Job.id).desc()).limit(limit)
    if state is not None:
        query = query.where(Job.state == state)
    if kind is not None:
        query = query.where(Job.kind == kind)
    return [_job(*row) for row in db.execute(query)]


def job(db: Session, job_id: int) -> JobHistory:
    """One job with its events.

    Raises
    ------
    QueueError
        When there is no such job.
    """
    found = db.execute(_job_query().where(Job.id == job_id)).one_or_none()
    if found is None:
        raise QueueError(f"there is no job {job_id}; `xrv-node jobs list` shows them")
    events_ = db.scalars(
        select(AuditEvent)
        .where(AuditEvent.event.like("job.%"), AuditEvent.detail.contains(f'"job":{job_id},'))
        .order_by(AuditEvent.id)
    )
    # `contains` above only narrows: the detail's own field decides.
    own = [e for e in map(event_row, events_) if e["detail"].get("job") == job_id]
    return {**_job(*found), "events": own}


def studies(
    db: Session, *which: ColumnElement[bool], state: str | None = None, limit: int | None = 100
) -> list[StudyRow]:
    """Studies, newest first, with how many objects and results they have.

    Parameters
    ----------
    which
        More that they must be: ``jobs.lookup`` has some.
    """
    query = select(Study).where(*which).order_by(Study.id.desc()).limit(limit)
    if state is not None:
        query = query.where(Study.state == state)
    found = db.scalars(query).all()
    ids = [row.id for row in found]
    columns = (Instance.verdict, Instance.state, Instance.calling_ae, Delivery.state)
    verdicts, states, senders, sent = (_counted(db, column, ids) for column in columns)
    return [
        {
            **_study(row),
            "senders": list(senders[row.id]),
            "verdicts": verdicts[row.id],
            "instances": states[row.id],
            "deliveries": sent[row.id],
        }
        for row in found
    ]


def _counted(db: Session, column: Any, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Of each of these studies, how many of its images, or of the deliveries of its results, have which value
    of a column: one query for as many as a database takes values in one."""
    found: dict[int, dict[str, int]] = {number: {} for number in ids}
    study = Instance.study_id if column.class_ is Instance else ResultRow.study_id
    query = select(study, column, func.count()).group_by(study, column).order_by(study, column)
    if column.class_ is Delivery:
        query = query.join(ResultRow, ResultRow.id == Delivery.result_id)
    for begin in range(0, len(ids), _AT_ONCE):
        for number, value, count in db.execute(query.where(study.in_(ids[begin : begin + _AT_ONCE]))):
            found[number][value] = count
    return found


def study(db: Session, uid: str) -> StudyShown:
    """One study: every object, score, result and delivery.

    Raises
    ------
    XrvNodeError
        When the node has no such study.
    """
    found = db.scalars(select(Study).where(Study.study_instance_uid == uid)).one_or_none()
    if found is None:
        raise XrvNodeError(f"no study {uid} came here; `xrv-node studies list` shows them")
    results = db.scalars(select(ResultRow).where(ResultRow.study_id == found.id).order_by(ResultRow.id)).all()
    away = {one.destination: one.why for one in waiting.away(db)}
    return {
        **_study(found),
        "inputs_purged_at": max((i.purged_at for i in found.instances if i.purged_at), default=None),
        "results_purged_at": max((r.purged_at for r in results if r.purged_at), default=None),
        "instances": [_instance(db, i) for i in sorted(found.instances, key=lambda i: i.id)],
        "results": [_result(db, r, away) for r in results],
    }


def events(
    db: Session,
    *,
    study: str | None = None,
    event: str | None = None,
    named: Sequence[str] | None = None,
    limit: int | None = None,
    after: int = 0,
    first: int | None = None,
) -> Iterator[EventRow]:
    """Audit events in order.

    Parameters
    ----------
    study, event
        Only of this Study Instance UID; only of this name.
    named
        Only of these names.
    limit
        So many of the newest; None: all.
    after
        Only those with a greater number.
    first
        So many of the oldest that are left then; None: all.
    """
    query = select(AuditEvent).where(AuditEvent.id > after)
    if study is not None:
        query = query.where(AuditEvent.study_instance_uid == study)
    if event is not None:
        query = query.where(AuditEvent.event == event)
    if named is not None:
        query = query.where(AuditEvent.event.in_(named))
    if limit is None:
        query = query.order_by(AuditEvent.id).limit(first)
        yield from map(event_row, db.scalars(query.execution_options(yield_per=1000)))
    else:
        newest: Sequence[AuditEvent] = db.scalars(query.order_by(AuditEvent.id.desc()).limit(limit)).all()
        yield from map(event_row, reversed(newest))


def event_names(db: Session) -> set[str]:
    """The names of the events that the trail has."""
    return set(db.scalars(select(AuditEvent.event).distinct()))


def require_events(db: Session, study: str | None) -> None:
    """See that the trail has something of a study, where one is given.

    Raises
    ------
    XrvNodeError
        It has nothing.
    """
    of_it = select(AuditEvent.id).where(AuditEvent.study_instance_uid == study).limit(1)
    if study is not None and db.scalar(of_it) is None:
        raise XrvNodeError(f"the trail has no study {study}; `xrv-node studies list` shows those that came")


def commissioning(db: Session) -> bool:
    """Whether the node was last started to answer for phantoms alone."""
    started = events(db, event="node.started", limit=1)
    return any(event["detail"].get("commissioning") for event in started)


def counts(db: Session) -> Row:
    """How many there are of everything, by state."""
    return {
        "studies": _count(db, Study.state),
        "instances": _count(db, Instance.state),
        "jobs": {f"{k} {s}": n for k, s, n in grouped(db, Job.kind, Job.state)},
        "deliveries": {f"{d}: {s}": n for d, s, n in grouped(db, Delivery.destination, Delivery.state)},
        "audit_events": db.scalar(select(AuditHead.count - AuditHead.removed)),
    }


def _count(db: Session, column: Any) -> dict[str, int]:
    return {state: n for state, n in grouped(db, column)}


def grouped(db: Session, *columns: Any) -> list[Any]:
    """The distinct values of `columns`, in order, each with how many rows have them."""
    return list(db.execute(select(*columns, func.count()).group_by(*columns).order_by(*columns)))


def _job_query() -> Select[Job, str, str, str, str]:
    about = func.coalesce(Instance.sop_instance_uid, ResultRow.sop_instance_uid)
    return (
        select(Job, Study.study_instance_uid, about, ResultRow.kind, Delivery.destination)
        .join(Study, Study.id == Job.study_id)
        .outerjoin(Instance, Instance.id == Job.instance_id)
        .outerjoin(Delivery, Delivery.id == Job.delivery_id)
        .outerjoin(ResultRow, ResultRow.id == Delivery.result_id)
    )


def _job(row: Job, study: str, instance: str | None, result: str | None, destination: str | None) -> JobRow:
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "priority": row.priority,
        "attempts": row.attempts,
        "study": study,
        "instance": instance,
        "result": result,
        "destination": destination,
        "error": row.error,
        "not_before": row.not_before,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _study(row: Study) -> StudyProgress:
    return {
        "study": row.study_instance_uid,
        "state": row.state,
        "revision": row.revision,
        "priority": row.priority,
        "received_at": row.received_at,
        "closed_at": row.closed_at,
        "reported_at": row.reported_at,
    }


def _instance(db: Session, row: Instance) -> InstanceRow:
    analyses = db.scalars(select(AnalysisRow).where(AnalysisRow.instance_id == row.id))
    return {
        "instance": row.sop_instance_uid,
        "state": row.state,
        "verdict": row.verdict,
        "view": row.view,
        "reasons": row.reasons,
        "evidence": row.evidence,
        "error": row.error,
        "calling_ae": row.calling_ae,
        "received_at": row.received_at,
        "size": row.size,
        "sha256": row.sha256,
        "path": row.path,
        "purged_at": row.purged_at,
        "analyses": [
            {
                "models": {role: m["name"] for role, m in a.models.items()},
                "phantom": a.phantom,
                "scores": a.scores,
                "reconstruction_error": a.reconstruction_error,
            }
            for a in analyses
        ],
    }


def _result(db: Session, row: ResultRow, away: Mapping[str, Reason]) -> MadeRow:
    deliveries = db.scalars(select(Delivery).where(Delivery.result_id == row.id))
    return {
        "kind": row.kind,
        "instance": row.sop_instance_uid,
        "revision": row.revision,
        "size": row.size,
        "path": row.path,
        "purged_at": row.purged_at,
        "created_at": row.created_at,
        "deliveries": [
            {
                "destination": d.destination,
                "state": d.state,
                "status": d.status,
                # nothing is tried with one that is away
                "error": d.error or (away.get(d.destination) if d.state == DeliveryState.WAITING else None),
            }
            for d in deliveries
        ],
    }


def event_row(row: AuditEvent) -> EventRow:
    """An event as it is shown."""
    return {
        "id": row.id,
        "at": row.at,
        "event": row.event,
        "study": row.study_instance_uid,
        "instance": row.sop_instance_uid,
        "detail": json.loads(row.detail),
        "hash": row.hash,
    }
