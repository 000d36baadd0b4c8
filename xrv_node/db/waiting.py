"""What waits for more than its turn: jobs that a person must see to, and destinations that take nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from xrv_node.db.fetch_tables import Fetch
from xrv_node.db.tables import Delivery, DeliveryState, Job, JobState
from xrv_node.errors import QueueError
from xrv_node.reasons import Reason

TAKEN = (DeliveryState.DELIVERED, DeliveryState.WARNING, DeliveryState.CONFIRMED)
"""What the peer of a delivery has."""

_WAITS = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Away:
    """A destination that took nothing at the last try."""

    destination: str
    since: datetime
    """It took nothing since: then the oldest of what waits was queued, or it took something for the last
    time."""
    jobs: int
    """Deliveries that wait: those that were tried, and those that came since and are not."""
    why: Reason
    """Of the last try."""


def why_parked(db: Session) -> list[tuple[str, str | None, Reason | None, int]]:
    """The same, parted by why."""
    query = select(Job.kind, Delivery.destination, Job.error, func.count()).outerjoin(
        Delivery, Delivery.id == Job.delivery_id
    )
    of_each = query.where(Job.state == JobState.PARKED).group_by(Job.kind, Delivery.destination, Job.error)
    return [(kind, to, why, number) for kind, to, why, number in db.execute(of_each.order_by(Job.kind))]


def parked(db: Session) -> list[tuple[str, str | None, int]]:
    """Kind, destination and number of the jobs that were given up until a person retries them."""
    query = select(Job.kind, Delivery.destination, func.count()).outerjoin(
        Delivery, Delivery.id == Job.delivery_id
    )
    of_each = query.where(Job.state == JobState.PARKED).group_by(Job.kind, Delivery.destination)
    return [(kind, to, number) for kind, to, number in db.execute(of_each.order_by(Job.kind))]


def fetches(db: Session) -> list[tuple[str, str, int]]:
    """Archive, state and number of the fetches that wait: for their turn, or for a person."""
    query = select(Fetch.archive, Fetch.state, func.count()).group_by(Fetch.archive, Fetch.state)
    waits = Fetch.state.in_((*_WAITS, JobState.PARKED))
    return [(name, state, n) for name, state, n in db.execute(query.where(waits).order_by(Fetch.archive))]


def away(db: Session) -> list[Away]:
    """The destinations that took nothing at the last try."""
    was_tried = Delivery.error.is_not(None)
    tried = (
        select(
            Delivery.destination,
            func.count(),
            func.min(Job.created_at).filter(was_tried),
            func.max(Delivery.updated_at).filter(was_tried),
        )
        .join(Job, Job.delivery_id == Delivery.id)
        .where(Job.state.in_(_WAITS), Delivery.state == DeliveryState.WAITING)
        .group_by(Delivery.destination)
        .having(func.count().filter(was_tried) > 0)
    )
    found = []
    for destination, number, oldest, last in db.execute(tried.order_by(Delivery.destination)):
        took = db.scalar(
            select(func.max(Delivery.updated_at)).where(
                Delivery.destination == destination, Delivery.state.in_(TAKEN)
            )
        )
        if took is None or took < last:
            found.append(Away(destination, max(oldest, took or oldest), number, _why(db, destination, last)))
    return found


def _why(db: Session, destination: str, at: datetime) -> Reason:
    of_last = select(Delivery.error).where(Delivery.destination == destination, Delivery.updated_at == at)
    return db.scalars(of_last.where(Delivery.error.is_not(None))).first() or Reason("peer-silent")


def strange(db: Session, configured: Collection[str]) -> dict[str, int]:
    """Destinations that are not configured, and how many jobs of each nobody will do."""
    query = (
        select(Delivery.destination, func.count())
        .join(Job, Job.delivery_id == Delivery.id)
        .where(Job.state.in_(_WAITS), Delivery.destination.not_in(configured))
        .group_by(Delivery.destination)
        .order_by(Delivery.destination)
    )
    return {destination: number for destination, number in db.execute(query)}


def to(db: Session, destination: str) -> list[int]:
    """The ids of the jobs that wait to be sent to a destination, or are parked.

    Raises
    ------
    QueueError
        When there are none, with the destinations that have some.
    """
    query = (
        select(Delivery.destination, Job.id)
        .join(Job, Job.delivery_id == Delivery.id)
        .where(Job.state.in_((JobState.QUEUED, JobState.PARKED)))
        .order_by(Job.id)
    )
    jobs = [(name, job) for name, job in db.execute(query)]
    found = [job for name, job in jobs if name == destination]
    if not found:
        others = ", ".join(sorted({name for name, _ in jobs})) or "none"
        raise QueueError(f"no job waits for a destination {destination!r}; there are jobs for: {others}")
    return found


def alike(db: Session, job_id: int) -> list[int]:
    """The ids of the jobs that are parked for the same reason as one, its own too."""
    same = select(Job.kind, Job.error).where(Job.id == job_id)
    found = db.execute(same).one_or_none()
    if found is None:
        raise QueueError(f"there is no job {job_id}; `xrv-node jobs list` shows them")
    kind, error = found
    return _ids(db, None, Job.state == JobState.PARKED, Job.kind == kind, Job.error == error)


def parked_jobs(db: Session, destination: str | None = None) -> list[int]:
    """The ids of the parked jobs, or of those of one destination."""
    return _ids(db, destination, Job.state == JobState.PARKED)


def paused_jobs(db: Session, destination: str | None = None) -> list[int]:
    """The ids of the jobs that wait for their next attempt, or of those of one destination."""
    return _ids(db, destination, Job.state == JobState.QUEUED, Job.not_before > datetime.now(UTC))


def _ids(db: Session, destination: str | None, *which: Any) -> list[int]:
    chosen = select(Job.id).where(*which).order_by(Job.id)
    if destination is not None:
        chosen = chosen.join(Delivery).where(Delivery.destination == destination)
    return list(db.scalars(chosen))
