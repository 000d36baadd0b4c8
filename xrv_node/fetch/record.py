"""How far a fetch is: claimed under a lease as jobs are, put off, parked, done.

Each change and its event of the trail are one transaction, and only who holds the lease makes one.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from xrv_node.db import progress, trail
from xrv_node.db.fetch_tables import Fetch, FetchedState, FetchStudy
from xrv_node.db.queue import LEASE_SECONDS, LeaseLostError
from xrv_node.db.store import Store
from xrv_node.db.tables import JobState, Study
from xrv_node.reasons import Reason

MAX_ATTEMPTS = 100
"""Since something came last: a day of quarter hours, so that an archive may be away for a night."""
FIRST_WAIT, LONGEST_WAIT = 5.0, 900.0
"""Seconds; doubled after each attempt, as a delivery's."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A fetch in hand."""

    fetch: str
    """Its identifier."""
    archive: str
    all_series: bool
    lease: str


def claim(store: Store, archive: str, owner: str) -> Claim | None:
    """Take the fetch from an archive that has waited longest, if one is due."""
    now = datetime.now(UTC)
    due = and_(
        Fetch.archive == archive,
        or_(
            and_(Fetch.state == JobState.QUEUED, Fetch.not_before <= now),
            and_(Fetch.state == JobState.RUNNING, Fetch.lease_until < now),
        ),
    )
    first = select(Fetch).where(due).order_by(Fetch.updated_at, Fetch.id).limit(1)
    with store.read() as db:  # an idle look never takes the write lock
        if db.scalar(first) is None:
            return None
    with store.begin() as db:
        fetch = db.scalars(first.with_for_update(skip_locked=True)).one_or_none()
        if fetch is None:
            return None
        fetch.state, fetch.lease, fetch.owner = JobState.RUNNING, str(uuid.uuid4()), owner
        fetch.lease_until, fetch.updated_at = now + timedelta(seconds=LEASE_SECONDS), now
        trail.record(db, "fetch.started", fetch=fetch.id, archive=archive, owner=owner)
        return Claim(fetch.id, archive, fetch.all_series, fetch.lease)


def recover(store: Store, owner: str) -> None:
    """End the leases of a dead process of this name now, instead of when they run out (`queue.recover`)."""
    with store.begin() as db:
        held = select(Fetch).where(Fetch.owner == owner, Fetch.state == JobState.RUNNING)
        for fetch in db.scalars(held):
            fetch.lease_until = datetime.now(UTC)


def unfinished(db: Session) -> set[str]:
    """Identifiers of the fetches that are not over."""
    over = (JobState.DONE, JobState.CANCELLED)
    return set(db.scalars(select(Fetch.id).where(Fetch.state.not_in(over))))


def hold(db: Session, claim: Claim, seconds: float = 0) -> Fetch:
    """The claim's fetch, while the claim holds; renewed for what takes so long at most, and a lease more.

    Raises
    ------
    LeaseLostError
        A person has given it up, or another process has it.
    """
    fetch = db.get(Fetch, claim.fetch, with_for_update=True)
    if fetch is None or fetch.lease != claim.lease or fetch.state != JobState.RUNNING:
        raise LeaseLostError(f"fetch {claim.fetch} is no longer ours")
    now = datetime.now(UTC)
    fetch.lease_until, fetch.updated_at = now + timedelta(seconds=LEASE_SECONDS + seconds), now
    return fetch


def next_study(db: Session, claim: Claim) -> FetchStudy | None:
    """The next study that waits."""
    waits = FetchStudy.fetch_id == claim.fetch, FetchStudy.state == FetchedState.WAITING
    return db.scalars(select(FetchStudy).where(*waits).order_by(FetchStudy.id).limit(1)).one_or_none()


def others_wait(db: Session, claim: Claim) -> bool:
    """Whether another fetch from the same archive is due."""
    queued = Fetch.state == JobState.QUEUED, Fetch.archive == claim.archive
    due = select(Fetch.id).where(*queued, Fetch.not_before <= datetime.now(UTC))
    return db.scalar(due.limit(1)) is not None


def settle_study(db: Session, claim: Claim, study: FetchStudy, state: FetchedState) -> None:
    """Nothing more comes of a study: it is complete, as at the release of an association."""
    study.state = state
    trail.record(
        db,
        "fetch.study",
        study=study.study_instance_uid,
        fetch=claim.fetch,
        archive=claim.archive,
        state=state,
        objects=study.objects,
        present=study.present,
        fetched=study.fetched,
        failed=study.failed,
        error=study.error,
    )
    if study.fetched:
        came = Study.study_instance_uid == study.study_instance_uid
        for row in db.scalars(select(Study).where(came).with_for_update()):
            progress.close_study(db, row, Reason("fetched-from", archive=claim.archive))


def release(db: Session, claim: Claim) -> None:
    """Give a fetch back as it is: another one has its turn, or the process ends."""
    _free(hold(db, claim), JobState.QUEUED)


def finish(db: Session, claim: Claim) -> None:
    """All studies are settled: done, or parked where something did not come."""
    fetch = hold(db, claim)
    of_it = FetchStudy.fetch_id == claim.fetch
    states = Counter(db.scalars(select(FetchStudy.state).where(of_it)))
    failed, studies = states[FetchedState.FAILED], states.total()
    told: dict[str, Any] = {"fetch": claim.fetch, "archive": claim.archive, "studies": studies}
    if failed:
        why = Reason("fetch-incomplete", failed=failed, all=studies, fetch=claim.fetch)
        _free(fetch, JobState.PARKED, why)
        trail.record(db, "fetch.parked", **told, error=why)
        return
    _free(fetch, JobState.DONE)
    missing, unmatched = states[FetchedState.MISSING], len(fetch.unmatched)
    trail.record(db, "fetch.done", **told, missing=missing, unmatched=unmatched)


def failed(db: Session, claim: Claim, why: Reason, *, final: bool = False, blameless: bool = False) -> None:
    """It did not go on: try it later, or park it.

    Parameters
    ----------
    final
        Whether trying again would change nothing.
    blameless
        Whether the machine failed, and not the archive: it is tried again, however often.
    """
    fetch = hold(db, claim)
    fetch.attempts += not blameless
    told: dict[str, Any] = {"fetch": claim.fetch, "archive": claim.archive}
    told |= {"attempts": fetch.attempts, "error": why}
    if final or fetch.attempts >= MAX_ATTEMPTS:
        _free(fetch, JobState.PARKED, why)
        trail.record(db, "fetch.parked", **told)
        return
    wait = min(FIRST_WAIT * 2 ** min(max(fetch.attempts - 1, 0), 30), LONGEST_WAIT)
    _free(fetch, JobState.QUEUED, why)
    fetch.not_before = datetime.now(UTC) + timedelta(seconds=wait)
    trail.record(db, "fetch.postponed", **told, seconds=wait)


def _free(fetch: Fetch, state: JobState, error: Reason | None = None) -> None:
    fetch.state, fetch.error, fetch.updated_at = state, error, datetime.now(UTC)
    fetch.lease, fetch.lease_until = None, None
