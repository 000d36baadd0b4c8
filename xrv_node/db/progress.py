"""What follows from what: how studies, instances and deliveries move when a job ends.

Each function runs in the caller's transaction and writes its audit event there, so that a state and its
record are never apart.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from xrv_node.db import queue, trail
from xrv_node.db.tables import (
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
from xrv_node.reasons import Reason

ACTIVE = (JobState.QUEUED, JobState.RUNNING)


def study_of(db: Session, study_id: int) -> Study:
    """The study, locked where the database locks rows."""
    return db.scalars(select(Study).where(Study.id == study_id).with_for_update()).one()


def reopen(db: Session, study: Study) -> None:
    """A late image came: the study is open again and a report that was not begun is not made."""
    study.state = StudyState.OPEN
    waiting = select(Job).where(
        Job.study_id == study.id, Job.kind == "report", Job.state.in_((JobState.QUEUED, JobState.PARKED))
    )
    for job in db.scalars(waiting):
        queue.close(job, JobState.CANCELLED, Reason("study-opened-again"))
    trail.record(db, "study.reopened", study=study.study_instance_uid, revision=study.revision)


def close_study(db: Session, study: Study, why: Reason) -> None:
    """Nothing more is expected: report as soon as the last analysis ends."""
    if study.state != StudyState.OPEN:
        return
    study.state, study.closed_at = StudyState.CLOSED, datetime.now(UTC)
    study.revision += 1
    trail.record(db, "study.closed", study=study.study_instance_uid, revision=study.revision, why=why)
    report_when_ready(db, study)


def report_when_ready(db: Session, study: Study) -> None:
    """Enqueue the report of a closed study when no analysis and no earlier report is under way."""
    if study.state != StudyState.CLOSED:
        return
    under_way = select(Job.id).where(
        Job.study_id == study.id, Job.kind.in_(("analyse", "report")), Job.state.in_(ACTIVE)
    )
    if db.scalar(under_way.limit(1)) is None:
        queue.enqueue(db, "report", study=study.id)


def prioritise(db: Session, study_id: int, level: int) -> None:
    """Let a study and what waits of it go before others, if the level is above what it has."""
    higher = update(Study).where(Study.id == study_id, Study.priority < level).values(priority=level)
    uid = db.scalar(higher.returning(Study.study_instance_uid)) if level else None
    if uid is None:
        return
    waits = Job.study_id == study_id, Job.state == JobState.QUEUED
    db.execute(update(Job).where(*waits).values(priority=level))
    trail.record(db, "study.prioritised", study=uid, priority=level)


def report_anew(study: Study) -> None:
    """What is done again for a study that was closed belongs into a new report."""
    if study.state != StudyState.OPEN:
        study.state, study.closed_at = StudyState.CLOSED, datetime.now(UTC)
        study.revision += 1


def analyse_again(db: Session, image: Instance) -> None:
    """Queue an image that was analysed before, or given up."""
    image.state, image.error = InstanceState.QUEUED, None
    queue.enqueue(db, "analyse", study=image.study_id, instance=image.id)


def reported(db: Session, study: Study, revision: int) -> None:
    """The report of `revision` is made; a newer one may be due already."""
    if study.state == StudyState.CLOSED and study.revision == revision:
        study.state, study.reported_at = StudyState.REPORTED, datetime.now(UTC)
    else:
        report_when_ready(db, study)


def failed(db: Session, claim: queue.Claim, error: Reason, *, final: bool, blameless: bool = False) -> None:
    """A job did not succeed: try it again later, or park it.

    Parameters
    ----------
    error
        Without patient data.
    final
        Whether trying again would change nothing.
    blameless
        Whether the machine failed and not the job: it is tried again, however often.

    Raises
    ------
    LeaseLostError
        When the job is another's by now.
    """
    job = queue.hold(db, claim)
    if final or (job.attempts >= job.max_attempts and not blameless):
        park(db, job, error, rejected=final)
        return
    wait = queue.postpone(job, error, blameless=blameless)
    trail.record(
        db, "job.postponed", **_subject(db, job), attempts=job.attempts, seconds=round(wait, 1), error=error
    )


def park(db: Session, job: Job, error: Reason, *, rejected: bool = False) -> None:
    """Give a job up until a person retries it, and let everything else go on without it."""
    queue.close(job, JobState.PARKED, error)
    trail.record(db, "job.parked", **_subject(db, job), attempts=job.attempts, error=error)
    _go_on_without(db, job, error, rejected=rejected)


def cancel(db: Session, job_id: int) -> Job:
    """Give a job up that waits, on a person's word; `retry` takes that back.

    Raises
    ------
    QueueError
        When it does not wait.
    """
    job = queue.withdraw(db, job_id)
    trail.record(db, "job.cancelled", **_subject(db, job))
    _go_on_without(db, job, Reason("cancelled-by-person"), rejected=False)
    return job


def _go_on_without(db: Session, job: Job, error: Reason, *, rejected: bool) -> None:
    """Let everything else go on without a job that was given up."""
    study = study_of(db, job.study_id)
    if job.kind == "analyse" and job.instance_id is not None:
        instance = db.get_one(Instance, job.instance_id)
        instance.state, instance.error = InstanceState.FAILED, error
        report_when_ready(db, study)
    elif job.kind == "report":
        study.state = StudyState.FAILED
    elif job.delivery_id is not None:
        delivery = db.get_one(Delivery, job.delivery_id)
        delivery.state = DeliveryState.REJECTED if rejected else DeliveryState.PARKED
        delivery.error, delivery.updated_at = error, datetime.now(UTC)


def park_abandoned(db: Session) -> int:
    """Park the jobs that outlived every worker that tried them; returns how many."""
    jobs = queue.abandoned(db)
    for job in jobs:
        park(db, job, Reason("process-ended", times=job.attempts))
    return len(jobs)


def retry(db: Session, job_id: int) -> Job:
    """Queue a job now that is parked, cancelled or waits for its next attempt, on a person's word.

    Raises
    ------
    QueueError
        When it is none of these.
    """
    waited = db.get(Job, job_id)
    given_up = waited is not None and waited.state != JobState.QUEUED
    job = queue.revive(db, job_id)
    if given_up:
        _take_up(db, job)
    trail.record(db, "job.retried", **_subject(db, job))
    return job


def _take_up(db: Session, job: Job) -> None:
    """Take back what was done without a job that was given up (`_go_on_without`)."""
    study = study_of(db, job.study_id)
    if job.kind == "analyse" and job.instance_id is not None:
        instance = db.get_one(Instance, job.instance_id)
        instance.state, instance.error = InstanceState.QUEUED, None
        report_anew(study)
    elif job.kind == "report":
        study.state = StudyState.CLOSED
    elif job.delivery_id is not None:
        delivery = db.get_one(Delivery, job.delivery_id)
        delivery.state, delivery.error = DeliveryState.WAITING, None


def _subject(db: Session, job: Job) -> dict[str, Any]:
    """Who and what a job is about, as an audit event names it."""
    about: dict[str, Any] = {"job": job.id, "kind": job.kind}
    about["study"] = db.get_one(Study, job.study_id).study_instance_uid
    if job.instance_id is not None:
        about["instance"] = db.get_one(Instance, job.instance_id).sop_instance_uid
    if job.delivery_id is not None:
        delivery = db.get_one(Delivery, job.delivery_id)
        about["instance"] = db.get_one(ResultRow, delivery.result_id).sop_instance_uid
        about["destination"] = delivery.destination
    return about
