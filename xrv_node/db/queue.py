"""The queue in the database: enqueue, claim under a lease, finish, fail.

A claim is a lease with an end: a worker that dies loses it, and another takes the job. Only the holder of
the lease may finish the job, so a worker that was merely slow cannot finish it a second time.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, true, update
from sqlalchemy.orm import Session

from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Job, JobState, Study
from xrv_node.errors import QueueError
from xrv_node.reasons import Reason

Kind = Literal["analyse", "report", "deliver"]


@dataclass(frozen=True, slots=True)
class Policy:
    """How often a kind of job is tried, and how long between."""

    max_attempts: int
    first_wait: float
    """Seconds after the first failure; doubled after each."""
    longest_wait: float
    again_alone: bool
    """Whether a job that was tried before is claimed alone: if it is the one that kills workers, it kills
    no job beside it."""
    longest_run: float
    """Seconds after which jobs that were claimed together are taken to hang. Far beyond what the slowest
    machine or line needs."""


POLICIES: dict[str, Policy] = {
    # What fails here fails again, but for a busy disk or a full GPU.
    "analyse": Policy(max_attempts=5, first_wait=5, longest_wait=60, again_alone=True, longest_run=1800),
    "report": Policy(max_attempts=5, first_wait=5, longest_wait=60, again_alone=True, longest_run=1800),
    # A PACS that is down for a weekend: about three days of quarter hours.
    "deliver": Policy(max_attempts=300, first_wait=5, longest_wait=900, again_alone=False, longest_run=7200),
}

GOLDEN = 0.6180339887
"""Multiples of it, modulo one, are as far from each other as can be: they spread pauses by job number."""

SPREAD = 0.2
"""Part of a pause by which it is made shorter or longer."""

LEASE_SECONDS = 120.0
"""How long a claim holds without a sign of life; a worker renews it several times in that span."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in hand."""

    job_id: int
    kind: str
    lease: str
    study_id: int
    instance_id: int | None
    delivery_id: int | None
    attempts: int
    max_attempts: int


class LeaseLostError(Exception):
    """The lease ran out and the job is another's now: drop the work."""


def enqueue(
    db: Session, kind: Kind, *, study: int, instance: int | None = None, delivery: int | None = None
) -> int:
    """Add a job with its study's priority, in the caller's transaction; returns its id."""
    now = datetime.now(UTC)
    fields = {
        "kind": kind,
        "state": JobState.QUEUED,
        "study_id": study,
        "instance_id": instance,
        "delivery_id": delivery,
        "max_attempts": POLICIES[kind].max_attempts,
        "priority": select(Study.priority).where(Study.id == study).scalar_subquery(),
        "not_before": now,
        "created_at": now,
        "updated_at": now,
    }
    db.flush()  # what the job is about comes first
    return int(db.connection().execute(insert(Job).values(fields).returning(Job.id)).scalar_one())


def claim(
    store: Store, kind: Kind, *, owner: str, limit: int = 1, destination: str | None = None
) -> list[Claim]:
    """Take up to `limit` jobs of one kind, those of urgent studies first, of the same priority the oldest.

    Parameters
    ----------
    owner
        The claiming process's name (`role_locks.hold_role`), see `recover`.
    destination
        Only deliveries to the destination of this name.
    """
    due = _claimable(kind, destination)
    with store.read() as db:  # an idle poll never takes the write lock
        if db.scalar(select(Job.id).where(due).limit(1)) is None:
            return []
    with store.begin() as db:
        return _take(db, due, kind, limit, owner)


def _claimable(kind: str, destination: str | None) -> ColumnElement[bool]:
    now = datetime.now(UTC)
    # No pause is longer: what waits for a later time was queued before the clock was put back.
    latest = now + timedelta(seconds=POLICIES[kind].longest_wait * (1 + SPREAD))
    return and_(
        _deliveries(destination) if destination is not None else true(),
        Job.kind == kind,
        Job.attempts < Job.max_attempts,
        or_(
            and_(Job.state == JobState.QUEUED, or_(Job.not_before <= now, Job.not_before > latest)),
            and_(Job.state == JobState.RUNNING, Job.lease_until < now),
        ),
    )


def _take(db: Session, due: ColumnElement[bool], kind: str, limit: int, owner: str) -> list[Claim]:
    jobs = db.scalars(
        select(Job)
        .where(due)
        .order_by(Job.priority.desc(), Job.not_before, Job.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if POLICIES[kind].again_alone:
        jobs = jobs[:1] if jobs and jobs[0].attempts else [job for job in jobs if not job.attempts]
    now = datetime.now(UTC)
    lease = str(uuid.uuid4())
    for job in jobs:
        job.state, job.lease, job.owner = JobState.RUNNING, lease, owner
        job.lease_until = now + timedelta(seconds=LEASE_SECONDS)
        job.attempts, job.updated_at = job.attempts + 1, now
        trail.record(db, "job.started", job=job.id, kind=job.kind, attempt=job.attempts, owner=owner)
    return [
        Claim(j.id, j.kind, lease, j.study_id, j.instance_id, j.delivery_id, j.attempts, j.max_attempts)
        for j in jobs
    ]


def recover(store: Store, owner: str) -> int:
    """End the leases of a dead process now, instead of when they run out.

    Only for the process that has its name now (`role_locks.hold_role`): the one before is certainly gone.

    Returns
    -------
    int
        How many jobs it had in hand.
    """
    with store.begin() as db:
        held = db.scalars(select(Job).where(Job.owner == owner, Job.state == JobState.RUNNING)).all()
        for job in held:
            job.lease_until = datetime.now(UTC)
    return len(held)


def renew(store: Store, claims: Sequence[Claim]) -> None:
    """Extend the leases of jobs still in hand."""
    until = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)
    with store.begin() as db:
        db.execute(
            update(Job)
            .where(Job.lease.in_({c.lease for c in claims}), Job.state == JobState.RUNNING)
            .values(lease_until=until)
        )


def hold(db: Session, claim: Claim) -> Job:
    """The claim's job, while the claim still holds.

    Raises
    ------
    LeaseLostError
        When another has it now; whatever was made for it must not be recorded.
    """
    job = db.get(Job, claim.job_id, with_for_update=True)
    if job is None or job.lease != claim.lease or job.state != JobState.RUNNING:
        raise LeaseLostError(f"job {claim.job_id} is no longer ours")
    return job


def close(job: Job, state: JobState, error: Reason | None = None) -> None:
    """End a job: done, parked or cancelled."""
    job.state, job.error = state, error
    job.lease, job.lease_until, job.updated_at = None, None, datetime.now(UTC)


def postpone(job: Job, error: Reason, *, blameless: bool = False) -> float:
    """Queue a job again after a pause that grows, spread so that many do not come back at once.

    Parameters
    ----------
    blameless
        The job has nothing to do with what failed: the attempt does not count, the pause is the longest.

    Returns
    -------
    float
        The pause in seconds.
    """
    policy = POLICIES[job.kind]
    wait: float = min(policy.first_wait * 2 ** min(job.attempts - 1, 30), policy.longest_wait)
    if blameless:
        wait, job.attempts = policy.longest_wait, job.attempts - 1
    wait *= 1 - SPREAD + 2 * SPREAD * (job.id * GOLDEN % 1)
    close(job, JobState.QUEUED, error)
    job.not_before = datetime.now(UTC) + timedelta(seconds=wait)
    return wait


def waiting(db: Session, destination: str) -> int:
    """How many deliveries to a destination are queued or under way."""
    active = Job.state.in_((JobState.QUEUED, JobState.RUNNING))
    return db.scalar(select(func.count()).select_from(Job).where(_deliveries(destination), active)) or 0


def hasten(db: Session, destination: str) -> None:
    """Let the pauses of a destination's deliveries be over."""
    paused = _deliveries(destination), Job.state == JobState.QUEUED
    db.execute(update(Job).where(*paused).values(not_before=datetime.now(UTC)))


def _deliveries(destination: str) -> ColumnElement[bool]:
    return Job.delivery_id.in_(select(Delivery.id).where(Delivery.destination == destination))


def abandoned(db: Session) -> list[Job]:
    """Jobs whose workers died at every attempt they had."""
    return list(
        db.scalars(
            select(Job).where(
                Job.state == JobState.RUNNING,
                Job.lease_until < datetime.now(UTC),
                Job.attempts >= Job.max_attempts,
            )
        )
    )


def withdraw(db: Session, job_id: int) -> Job:
    """Take a job out of the queue that waits for its turn or for a person.

    Raises
    ------
    QueueError
        When there is no such job, or it is neither queued nor parked.
    """
    job = _found(db, job_id)
    if job.state not in (JobState.QUEUED, JobState.PARKED):
        raise QueueError(f"job {job_id} is {job.state}; only queued and parked jobs can be cancelled")
    close(job, JobState.CANCELLED, Reason("cancelled-by-person"))
    return job


def revive(db: Session, job_id: int) -> Job:
    """Queue a job now that is parked, cancelled or waits for its next attempt, with all its attempts.

    Raises
    ------
    QueueError
        When there is no such job, or it is running or done.
    """
    job = _found(db, job_id)
    if job.state not in (JobState.PARKED, JobState.CANCELLED, JobState.QUEUED):
        raise QueueError(f"job {job_id} is {job.state}: only what is queued, parked or cancelled is retried")
    close(job, JobState.QUEUED)
    job.attempts, job.not_before = 0, datetime.now(UTC)
    return job


def _found(db: Session, job_id: int) -> Job:
    job = db.get(Job, job_id, with_for_update=True)
    if job is None:
        raise QueueError(f"there is no job {job_id}; `xrv-node jobs list` shows them")
    return job
